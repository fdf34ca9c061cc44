/**
 * How far somebody has read an application's messages. Ids are made before their messages are committed, so that one may
 * appear behind another that was read already: a slower commit, or a process whose clock is behind. So a place is a
 * message up to which all is read, and single ones beyond it; written down, an iterator:
 *
 *   msg_<27 characters>                       everything up to this id
 *   msg_<27 characters>.<base64url>           … and these, 16 bytes each
 */
import type { EnvironmentId, MessageId } from "../../engine/model.ts";
import type { AppId, AppMessage } from "../../engine/webhooks/model.ts";
import type { AppMessageFilter } from "../../engine/webhooks/ports.ts";
import type { Webhooks } from "../../engine/webhooks/webhooks.ts";
import type { Millis } from "../../lib/clock.ts";
import { firstIdAt, fromHex, isId, toHex } from "../../lib/ids.ts";
import type { Json, JsonObject } from "../../lib/json.ts";
import { isObject } from "../../lib/json.ts";
import { contentPage } from "./content-pages.ts";
import { fromKsuid, ksuid } from "./ids.ts";

export interface Place {
  readonly after: MessageId;
  /** Ascending, all beyond `after`. */
  readonly seen: readonly MessageId[];
}

/** Longer than a commit may take together with what clocks may differ by. */
const SETTLED_AFTER_MS: Millis = 30_000;
/**
 * Iterators travel in addresses, which servers and proxies commonly bound at 8 kB. With more messages in that time than
 * this the place moves on early.
 */
export const MOST_SEEN = 150;
/** The count of seconds in the vendor's ids begins here; there are no earlier messages. */
const FIRST_TIME: Millis = 1_400_000_000_000;
const ID_BYTES = 16;
const IN_TEXT = /^(msg_[0-9A-Za-z]{27})(?:\.([A-Za-z0-9_-]{1,4000}))?$/;

type Messages = Pick<Webhooks["messages"], "list">;

export interface Of {
  readonly environmentId: EnvironmentId;
  readonly appId: AppId;
}

/** Before all that was made at this time or later. */
export function placeAt(at: Millis): Place {
  return { after: firstIdAt("msg", Math.max(at, FIRST_TIME)), seen: [] };
}

/** Behind all that is there; before all that is committed from now on, however old its id. */
export async function placeNow(messages: Messages, { environmentId, appId }: Of, now: Millis): Promise<Place> {
  const start = placeAt(now - SETTLED_AFTER_MS);
  const newest = await messages.list(
    environmentId,
    appId,
    { from: now - SETTLED_AFTER_MS },
    { limit: MOST_SEEN + 1, from: null, order: "descending" },
    false,
  );
  return shortened({ after: start.after, seen: newest.items.map(({ id }) => id).reverse() });
}

/** The place after these have been read as well, which were all there were from `place` on as far as they go. */
export function placeAfter(place: Place, read: readonly MessageId[], now: Millis): Place {
  const seen = [...new Set([...place.seen, ...read])].sort();
  const settled = firstIdAt("msg", now - SETTLED_AFTER_MS);
  const unsettled = seen.findIndex((id) => id >= settled);
  const through = unsettled === -1 ? seen.length : unsettled;
  const after = through === 0 ? place.after : (seen[through - 1] as MessageId);
  return shortened({ after, seen: seen.slice(through) });
}

function shortened({ after, seen }: Place): Place {
  const surplus = seen.length - MOST_SEEN;
  return surplus <= 0 ? { after, seen } : { after: seen[surplus - 1] as MessageId, seen: seen.slice(surplus) };
}

export interface Reading {
  /** Oldest first, with what they say. */
  readonly messages: readonly AppMessage[];
  /** Whether there are no more by now. */
  readonly done: boolean;
}

/** What comes after a place; the page may be shorter than `limit` though there is more. */
export async function readFrom(
  messages: Messages,
  { environmentId, appId }: Of,
  place: Place,
  filter: Pick<AppMessageFilter, "eventTypes" | "channels">,
  limit: number,
): Promise<Reading> {
  const seen = new Set(place.seen);
  const walk = { limit, from: { key: place.after, back: false }, order: "ascending" as const };
  const found = await contentPage<AppMessage>(
    walk,
    ({ id }) => id,
    ({ payload }) => payload?.length ?? 0,
    async (page) => {
      // Those that were read before take no place on the page.
      let { from } = page;
      for (;;) {
        const { items, more } = await messages.list(environmentId, appId, filter, { ...page, from }, true);
        const fresh = items.filter(({ id }) => !seen.has(id));
        if (fresh.length > 0 || !more) return { items: fresh, more };
        from = { key: (items.at(-1) as AppMessage).id, back: false };
      }
    },
  );
  return { messages: found.items, done: !found.more };
}

export function placeText({ after, seen }: Place): string {
  const text = ksuid("msg", after);
  if (seen.length === 0) return text;
  return `${text}.${Buffer.from(seen.map(toHex).join(""), "hex").toString("base64url")}`;
}

/** @returns null when the text is no iterator of ours. */
export function placeIn(text: string): Place | null {
  const [, first, rest] = IN_TEXT.exec(text) ?? [];
  const after = first === undefined ? null : fromKsuid("msg", "msg", first);
  if (after === null) return null;
  if (rest === undefined) return { after, seen: [] };
  const hex = Buffer.from(rest, "base64url").toString("hex");
  const digits = ID_BYTES * 2;
  if (hex.length % digits !== 0 || hex.length / digits > MOST_SEEN) return null;
  const seen = Array.from({ length: hex.length / digits }, (_, i) =>
    fromHex("msg", hex.slice(i * digits, (i + 1) * digits)),
  );
  return { after, seen };
}

/** For documents. */
export function placeBody({ after, seen }: Place): JsonObject {
  return { after, seen };
}

/** @throws Error when it is not what `placeBody` made: only we write these documents. */
export function placeOf(body: Json | undefined): Place {
  if (!isObject(body) || typeof body.after !== "string" || !Array.isArray(body.seen)) throw new Error("no place");
  const ids = [body.after, ...body.seen];
  if (!ids.every((id): id is MessageId => typeof id === "string" && isId("msg", id))) throw new Error("no place");
  return { after: ids[0] as MessageId, seen: ids.slice(1) };
}
