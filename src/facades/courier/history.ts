/**
 * The event log of a message. Nothing of it is stored as such: it is told from what was asked for (the request), what was
 * decided (the message), what was tried (deliveries and attempts) and what was heard of since (events).
 */
import type { Delivery, Message, MessageEvent, MessageEventKind, SendSpec } from "../../engine/model.ts";
import { nextOpening } from "../../engine/opening-hours.ts";
import type { MessageRecord } from "../../engine/ports.ts";
import type { Millis } from "../../lib/clock.ts";
import { deepMerge, type Json, type JsonObject } from "../../lib/json.ts";
import {
  byAge,
  courierChannel,
  idOf,
  isOnlyTracked,
  messageDetails,
  OUTPUT_PARTS,
  outputContent,
  outputPath,
} from "./message-views.ts";

/** Types that a history may be asked for; some belong to features that never occur here, and simply match nothing. */
export const HISTORY_TYPES: ReadonlySet<string> = new Set([
  "ARCHIVED",
  "CANCELED",
  "CLICKED",
  "DELAYED",
  "DELIVERED",
  "DELIVERING",
  "DIGESTED",
  "ENQUEUED",
  "FILTERED",
  "MAPPED",
  "OPENED",
  "PROFILE_LOADED",
  "READ",
  "RENDERED",
  "ROUTED",
  "SENT",
  "SIMULATED",
  "THROTTLED",
  "UNARCHIVED",
  "UNDELIVERABLE",
  "UNMAPPED",
  "UNREAD",
  "UNROUTABLE",
]);

export interface HistoryItem {
  readonly ts: Millis;
  readonly type: string;
  readonly [field: string]: Json | undefined;
}

/** A delay beyond this ends a message instead of delaying it. */
const MAX_DELAY_MS = 90 * 24 * 3_600_000;

/** Null: Courier has no word for it. */
const TYPE_OF_EVENT: { readonly [kind in MessageEventKind]: string | null } = {
  delivered: "DELIVERED",
  opened: "OPENED",
  clicked: "CLICKED",
  read: "READ",
  unread: "UNREAD",
  archived: "ARCHIVED",
  unarchived: "UNARCHIVED",
  canceled: "CANCELED",
  bounced: "UNDELIVERABLE",
  seen: "OPENED",
  unseen: null,
  interacted: "CLICKED",
};

/** Oldest first; what happened in the same millisecond stands in the order of the pipeline. */
export function historyOf(record: MessageRecord): readonly HistoryItem[] {
  const { message, deliveries, events } = record;
  const items = [enqueued(record), ...delayed(record), ...planned(record)];
  const inOrder = byAge(deliveries);
  const start = inOrder[0];
  if (start !== undefined) {
    items.push({ ts: start.createdAt, type: "ROUTED", channel: { id: courierChannel(start.channel) } });
  }
  for (const delivery of inOrder) items.push(...tried(record, delivery));
  for (const event of events) items.push(...heard(event, deliveries));
  if (message.canceledAt !== null && !events.some((event) => event.kind === "canceled")) {
    items.push({ ts: message.canceledAt, type: "CANCELED" });
  }
  return items.toSorted((a, b) => a.ts - b.ts);
}

function enqueued({ message, request }: MessageRecord): HistoryItem {
  const { spec } = request;
  const recipient = spec.recipients[message.entry];
  const details = messageDetails(message);
  return {
    ts: message.createdAt,
    type: "ENQUEUED",
    data: recipient?.data === undefined ? spec.data : deepMerge(spec.data, recipient.data),
    event: details.event,
    profile: received(spec, message),
    override: overrides(spec),
    recipient: details.recipient,
  };
}

function received(spec: SendSpec, message: Message): JsonObject {
  const recipient = spec.recipients[message.entry];
  return recipient?.kind === "user" ? recipient.profile : {};
}

function overrides(spec: SendSpec): JsonObject {
  const of = (options: { readonly [name: string]: { readonly override?: JsonObject } } | undefined): JsonObject =>
    Object.fromEntries(
      Object.entries(options ?? {}).flatMap(([name, { override }]) => (override ? [[name, override]] : [])),
    );
  const channels = of(spec.channels);
  const providers = of(spec.providers);
  return {
    ...(Object.keys(channels).length === 0 ? {} : { channels }),
    ...(Object.keys(providers).length === 0 ? {} : { providers }),
  };
}

/** The end of a delay is stored only while it lasts; afterwards it is worked out again. */
function delayed({ message, request }: MessageRecord): readonly HistoryItem[] {
  const { delay } = request.spec;
  if (delay === undefined) return [];
  const at = message.createdAt;
  const due = message.dueAt ?? endOfDelay(delay, { ...message.storedProfile, ...received(request.spec, message) }, at);
  if (due <= at || due - at > MAX_DELAY_MS) return [];
  return [
    {
      ts: at,
      type: "DELAYED",
      delay: {
        ...(delay.durationMs === undefined ? {} : { duration: delay.durationMs }),
        ...(delay.until === undefined ? {} : { until: delay.until }),
        ...(delay.timezone === undefined ? {} : { timezone: delay.timezone }),
      },
      // The message may have been made a millisecond before its delay was worked out.
      details: {
        duration: delay.until === undefined ? wholeMinutes(delay.durationMs ?? 0) : due - at,
        date: new Date(due).toISOString(),
      },
    },
  ];
}

function wholeMinutes(ms: Millis): Millis {
  return Math.ceil(ms / 60_000) * 60_000;
}

function endOfDelay(delay: NonNullable<SendSpec["delay"]>, profile: JsonObject, at: Millis): Millis {
  if (delay.until === undefined) return at + wholeMinutes(delay.durationMs ?? 0);
  const zone = [delay.timezone, profile.zoneinfo, profile.timezone].find((name) => typeof name === "string");
  return nextOpening(delay.until, at, zone as string | undefined);
}

/** What planning decided, up to the point where it ended the message or made deliveries. */
function planned({ message, request, deliveries }: MessageRecord): readonly HistoryItem[] {
  const ts = message.plannedAt;
  if (ts === null) return [];
  const items: HistoryItem[] = [];
  const { content } = request.spec;
  if (message.state === "unmapped") {
    const named = content.kind === "template" && !isOnlyTracked(message);
    return [{ ts, type: "UNMAPPED", event_id: named ? content.template : message.event }];
  }
  if (content.kind === "template") {
    items.push({ ts, type: "MAPPED", event_id: content.template, notification_id: message.templateId });
  }
  const own = received(request.spec, message);
  const stored = message.storedProfile ?? {};
  items.push({
    ts,
    type: "PROFILE_LOADED",
    received_profile: own,
    stored_profile: stored,
    merged_profile: deepMerge(stored, own),
  });
  const reason = message.reason?.toUpperCase() ?? null;
  if (message.state === "unroutable") items.push({ ts, type: "UNROUTABLE", reason, error_message: message.error });
  else if (message.state === "filtered") items.push({ ts, type: "FILTERED", reason });
  else if (message.state === "undeliverable" && deliveries.length === 0) {
    items.push({ ts, type: "UNDELIVERABLE", error_message: message.error ?? reason ?? "" });
  }
  return items;
}

function tried(record: MessageRecord, delivery: Delivery): readonly HistoryItem[] {
  const where = placeOf(delivery);
  const content = outputContent(delivery.channel, delivery.content);
  const id = idOf(record.message);
  const output = Object.fromEntries(
    OUTPUT_PARTS.filter((part) => content[part].length > 0).map((part) => [
      part,
      outputPath(id, delivery.channel, part),
    ]),
  );
  const items: HistoryItem[] = [{ ts: delivery.createdAt, type: "RENDERED", ...where, output }];
  const attempts = record.attempts.filter((attempt) => attempt.deliveryId === delivery.id);
  if (delivery.state === "simulated") {
    items.push({ ts: delivery.sentAt ?? delivery.createdAt, type: "SIMULATED" });
    return items;
  }
  const started =
    delivery.startedAt ?? attempts[0]?.startedAt ?? (delivery.channel === "inbox" ? delivery.sentAt : null);
  if (started !== null) items.push({ ts: started, type: "DELIVERING", ...where });
  if (delivery.sentAt !== null) items.push({ ts: delivery.sentAt, type: "SENT", ...where });
  if (delivery.deliveredAt !== null && !toldOf(record.events, delivery, "delivered")) {
    items.push({ ts: delivery.deliveredAt, type: "DELIVERED", ...where, reference: delivery.reference ?? {} });
  }
  if (delivery.state === "failed") {
    const ts = attempts.reduce((latest, attempt) => Math.max(latest, attempt.endedAt), started ?? delivery.createdAt);
    items.push({ ts, type: "UNDELIVERABLE", ...where, error_message: delivery.error ?? "" });
  }
  return items;
}

function toldOf(events: readonly MessageEvent[], delivery: Delivery, kind: MessageEventKind): boolean {
  return events.some((event) => event.deliveryId === delivery.id && event.kind === kind);
}

function heard(event: MessageEvent, deliveries: readonly Delivery[]): readonly HistoryItem[] {
  const type = TYPE_OF_EVENT[event.kind];
  if (type === null) return [];
  const delivery = deliveries.find(({ id }) => id === event.deliveryId);
  const reason = event.data?.reason;
  return [
    {
      ts: event.at,
      type,
      ...(delivery === undefined ? {} : placeOf(delivery)),
      ...(event.kind === "delivered" ? { reference: delivery?.reference ?? {} } : {}),
      ...(event.kind === "bounced" ? { error_message: typeof reason === "string" ? reason : "bounced" } : {}),
      ...(event.data !== null && event.kind !== "bounced" ? { details: event.data } : {}),
    },
  ];
}

function placeOf(delivery: Delivery): { readonly channel: JsonObject; readonly integration: JsonObject } {
  return {
    channel: { id: courierChannel(delivery.channel) },
    integration: { id: delivery.providerId, provider: delivery.provider },
  };
}
