/**
 * What happened to a message. The first steps are read off the delivery and its attempts, as nothing is stored of them;
 * what was heard since is kept with the message.
 */
import type { Attempt, Delivery, MessageEvent, MessageEventKind } from "../../engine/model.ts";
import type { MessageRecord } from "../../engine/ports.ts";
import type { PartyRef } from "../../engine/workflow/model.ts";
import type { Millis } from "../../lib/clock.ts";
import { fromHex, toHex } from "../../lib/ids.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { toKsuid } from "../../lib/ksuid.ts";
import { toUuid } from "./ids.ts";
import { showRef, toIso } from "./wire.ts";

/** One line of the history. `key` pages through it. */
export interface HistoryLine {
  readonly key: string;
  readonly type: string;
  readonly at: Millis;
  readonly data: JsonObject | null;
}

/** Tries at most, see engine/retry.ts. */
export const MAX_ATTEMPTS = 8;

/** Newest first. Of what happened in one millisecond, the later step first. */
export function historyOf(delivery: Delivery, { attempts, events }: MessageRecord): readonly HistoryLine[] {
  const tries = attempts.filter(({ deliveryId }) => deliveryId === delivery.id);
  const heard = events.filter(({ deliveryId }) => deliveryId === delivery.id);
  const all = [...told(delivery, tries, heard), ...heard.flatMap(heardOf)];
  return all.toSorted((a, b) => a.at - b.at).reverse();
}

function told(delivery: Delivery, tries: readonly Attempt[], heard: readonly MessageEvent[]): readonly HistoryLine[] {
  const { id, channel, state, createdAt, sentAt, deliveredAt } = delivery;
  const lastAt = tries.at(-1)?.endedAt ?? createdAt;
  const steps: HistoryLine[] = [];
  const step = (type: string, at: Millis, data: JsonObject | null = null, key = stepId(id, steps.length)): void => {
    steps.push({ key, type: `message.${type}`, at, data });
  };
  step("created", createdAt);
  const bySending = state === "sent" && channel === "webhook";
  const delivered = (state === "delivered" || bySending) && !heard.some(({ kind }) => kind === "delivered");
  if (channel === "inbox") {
    if (delivered) step("delivered", deliveredAt ?? createdAt);
    return steps;
  }
  if (state === "simulated" || state === "canceled") {
    step("not_sent", sentAt ?? createdAt);
    return steps;
  }
  step("queued", createdAt);
  for (const { id: key, number, endedAt, outcome } of tries) {
    if (outcome === "sent") continue;
    const data = { attempt: number, max_attempts: MAX_ATTEMPTS, retryable: outcome === "failed" };
    step("delivery_attempted", endedAt, data, toKsuid(key));
  }
  if (sentAt !== null) step("sent", sentAt);
  if (delivered) step("delivered", deliveredAt ?? sentAt ?? createdAt);
  if (state === "failed" && !heard.some(({ kind }) => kind === "bounced")) {
    const fatal = tries.at(-1)?.outcome === "rejected";
    step("undelivered", lastAt, {
      failure_reason: fatal ? "fatal_error" : "retries_exhausted",
      failure_details: delivery.error ?? "",
    });
  }
  return steps;
}

/** The same for ever, and of the delivery's time: its id with another ending. */
function stepId(id: Delivery["id"], step: number): string {
  return toKsuid(fromHex("evt", toHex(id).slice(0, 30) + step.toString(16).padStart(2, "0")));
}

/** `clicked` is the click on a link where it has an address, and otherwise another facade's word for an interaction. */
const TYPE_OF: { readonly [kind in MessageEventKind]: string } = {
  delivered: "delivered",
  opened: "seen",
  clicked: "interacted",
  read: "read",
  unread: "unread",
  archived: "archived",
  unarchived: "unarchived",
  canceled: "not_sent",
  bounced: "bounced",
  seen: "seen",
  unseen: "unseen",
  interacted: "interacted",
};

function heardOf({ id, kind, at, data }: MessageEvent): readonly HistoryLine[] {
  const key = toKsuid(id);
  const href = data?.href;
  if (kind === "clicked" && typeof href === "string") {
    return [{ key, type: "message.link_clicked", at, data: { url: href } }];
  }
  // Ids of links are nobody's business.
  const shown = data === null || Object.hasOwn(data, "trackingId") ? null : data;
  return [{ key, type: `message.${TYPE_OF[kind]}`, at, data: shown }];
}

export function historyLine({ key, type, at, data }: HistoryLine, recipient: PartyRef): JsonObject {
  return { __typename: "MessageEvent", id: key, type, recipient: showRef(recipient), data, inserted_at: toIso(at) };
}

/** What of the exchange with the provider is kept: when it was, the status and the reason. Newest first. */
export function deliveryLogs(delivery: Delivery, { attempts }: MessageRecord): readonly JsonObject[] {
  if (delivery.channel === "inbox") return [];
  const tries = attempts.filter(({ deliveryId }) => deliveryId === delivery.id).reverse();
  const request = requestOf(delivery);
  return tries.map(({ id, environmentId, startedAt, statusCode, reason, outcome }) => ({
    __typename: "MessageDeliveryLog",
    id: toKsuid(id),
    environment_id: toUuid(environmentId),
    service_name: delivery.provider,
    inserted_at: toIso(startedAt),
    request,
    response: { status: statusCode ?? (outcome === "sent" ? 200 : 0), headers: {}, body: reason ?? "" },
  }));
}

/** The request that an http step rendered, the same on every try. What others send to their providers is not kept. */
function requestOf({ content }: Delivery): JsonObject {
  const { method, url, headers, body } = isObject(content.raw?.request) ? content.raw.request : {};
  const at = typeof url === "string" ? URL.parse(url) : null;
  return {
    host: at?.host ?? "",
    method: method ?? "POST",
    path: at?.pathname ?? "",
    query: at === null || at.search === "" ? null : at.search.slice(1),
    headers: headers ?? {},
    body: body ?? "",
  };
}
