/** What clients mark messages as, and what each word does to a delivery. */
import type { DeliveryMark } from "../../engine/engine.ts";
import type { DeliveryId } from "../../engine/model.ts";
import type { ItemField } from "../../engine/ports.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { invalid } from "./errors.ts";
import { checkText } from "./wire.ts";

/** Changes told to sockets under this name are not told to Knock's own again. */
export const ACTOR = { via: "knock", origin: null } as const;

export const MARKS = ["seen", "unseen", "read", "unread", "interacted", "archived", "unarchived"] as const;
export type Mark = (typeof MARKS)[number];

const CHANGE: { readonly [mark in Mark]: { readonly field: ItemField; readonly value: boolean } } = {
  seen: { field: "seen", value: true },
  unseen: { field: "seen", value: false },
  read: { field: "read", value: true },
  unread: { field: "read", value: false },
  interacted: { field: "interacted", value: true },
  archived: { field: "archived", value: true },
  unarchived: { field: "archived", value: false },
};

/** What taking a mark back is called. */
export const UNDOING: { readonly [mark: string]: Mark } = {
  seen: "unseen",
  read: "unread",
  archived: "unarchived",
  unseen: "unseen",
  unread: "unread",
  unarchived: "unarchived",
};

/** Marking again moves the time. Whoever interacts has read; that it was read before stays as it was. */
export function changesOf(mark: Mark, detail: JsonObject | null): readonly Omit<DeliveryMark, "deliveryId">[] {
  const change = { ...CHANGE[mark], again: "move", named: true, detail } as const;
  if (mark !== "interacted") return [change];
  return [change, { field: "read", value: true, again: "keep", named: true }];
}

export function marksOf(ids: readonly DeliveryId[], mark: Mark, detail: JsonObject | null): readonly DeliveryMark[] {
  const changes = changesOf(mark, detail);
  return ids.flatMap((deliveryId) => changes.map((change) => ({ deliveryId, ...change })));
}

const MAX_PAIRS = 5;
const MAX_TEXT_LENGTH = 4_096;

/** What a client says of an interaction: a few plain values. @throws KnockError 422. */
export function metadataOf(body: unknown): JsonObject | null {
  const metadata = isObject(body) ? (body.metadata ?? null) : null;
  if (metadata === null) return null;
  if (!isObject(metadata)) throw invalid("metadata", "Expected an object");
  const entries = Object.entries(metadata);
  if (entries.length > MAX_PAIRS) throw invalid("metadata", `Expected at most ${MAX_PAIRS} pairs`);
  for (const [name, value] of entries) {
    const field = `metadata.${name.slice(0, MAX_TEXT_LENGTH)}`;
    checkText(field, name);
    if (typeof value === "object" && value !== null) throw invalid(field, "Expected a plain value");
    const length = name.length + (typeof value === "string" ? checkText(field, value).length : 0);
    if (length > MAX_TEXT_LENGTH) throw invalid(field, `Expected at most ${MAX_TEXT_LENGTH} characters`, "too_long");
  }
  return metadata;
}
