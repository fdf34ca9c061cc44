/** What callers say of messages: new ones, and which ones of a list. */
import type { FastifyRequest } from "fastify";
import type { AppMessageFilter } from "../../engine/webhooks/ports.ts";
import type { ApplicationFields, NewAppMessage } from "../../engine/webhooks/webhooks.ts";
import type { Millis } from "../../lib/clock.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { rawTextOf } from "./body.ts";
import { applicationFields } from "./inline-application.ts";
import { memberText } from "./payload-text.ts";
import { CHANNEL, EVENT_NAME, type Fields, fields, TAG } from "./wire.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** How far ahead a message may be told to wait. */
const SHORTEST_DELAY_MS = MINUTE_MS;
const LONGEST_DELAY_MS = DAY_MS;
const DEFAULT_RETENTION_DAYS = 90;
const MAX_CHANNELS = 10;
const MAX_TAGS = 5;
const MAX_NAME_LENGTH = 256;
const MAX_LABEL_LENGTH = 128;
/** What HTTP lets stand in the value of a header. */
const HEADER_VALUE = /^[\t\x20-\x7e]{1,256}$/;

export const KEEP_MS: Millis = DEFAULT_RETENTION_DAYS * DAY_MS;

export interface AskedMessage {
  readonly message: NewAppMessage;
  /** The application to make if there is none yet. */
  readonly application: ApplicationFields | null;
}

/** The body of a call that makes a message. @throws Invalid */
export function askedMessage(request: FastifyRequest, now: Millis): AskedMessage {
  const f = fields(request.body);
  const { eventType, eventId, channels, keepMs } = commonFields(f);
  const tags = f.names("tags", { nullable: true, max: MAX_TAGS, maxLength: MAX_LABEL_LENGTH, pattern: TAG });
  const deliverAt = deliveryTime(f, now);
  const { raw, parameters } = transformationParameters(f);
  const payload = payloadText(f, request);
  const application = inlineApplication(f);
  f.done();
  return {
    message: { eventId, eventType, channels, tags, payload, raw, parameters, deliverAt, keepMs },
    application,
  };
}

export interface AskedBroadcast {
  readonly eventId: string | null;
  readonly eventType: string;
  readonly payload: string;
  readonly channels: readonly string[] | null;
  readonly keepMs: Millis;
}

/** @throws Invalid */
export function askedBroadcast(request: FastifyRequest): AskedBroadcast {
  const f = fields(request.body);
  const common = commonFields(f);
  const payload = payloadText(f, request);
  f.done();
  return { ...common, payload };
}

/** @throws Invalid */
export function askedPrecheck(request: FastifyRequest): Pick<NewAppMessage, "eventType" | "channels"> {
  const f = fields(request.body);
  const asked = { eventType: eventTypeOf(f), channels: channelsOf(f) };
  f.done();
  return asked;
}

function commonFields(f: Fields): Omit<AskedBroadcast, "payload"> {
  return {
    eventId: f.uid("eventId", "msg"),
    eventType: eventTypeOf(f),
    channels: channelsOf(f),
    keepMs: retention(f),
  };
}

/** Any name will do: messages may be of types that nobody has described. */
function eventTypeOf(f: Fields): string {
  return f.text("eventType", { min: 1, max: MAX_NAME_LENGTH, pattern: EVENT_NAME });
}

function channelsOf(f: Fields): readonly string[] | null {
  return f.names("channels", {
    nullable: true,
    min: 1,
    max: MAX_CHANNELS,
    maxLength: MAX_LABEL_LENGTH,
    pattern: CHANNEL,
  });
}

function retention(f: Fields): Millis {
  const days = f.integer("payloadRetentionPeriod", { nullable: true, min: 1, max: DEFAULT_RETENTION_DAYS });
  const hours = f.integer("payloadRetentionHours", { nullable: true, min: 1, max: DEFAULT_RETENTION_DAYS * 24 });
  if (days !== null && hours !== null) {
    f.issue(["payloadRetentionHours"], "Expected either payloadRetentionPeriod or payloadRetentionHours, got both");
  }
  if (hours !== null) return hours * HOUR_MS;
  return (days ?? DEFAULT_RETENTION_DAYS) * DAY_MS;
}

function deliveryTime(f: Fields, now: Millis): Millis | null {
  const at = f.time("deliverAt", { nullable: true });
  // What is no time at all has been noted.
  if (at !== null && at !== 0 && (at < now + SHORTEST_DELAY_MS || at > now + LONGEST_DELAY_MS)) {
    f.issue(["deliverAt"], "Expected a time that is between one minute and 24 hours ahead");
  }
  return at;
}

/** The text of the payload as it stands in the body; `data` is another name of it. */
function payloadText(f: Fields, request: FastifyRequest): string {
  const name = f.alias(["payload", "data"]);
  // Noted for its type only; what is kept is the text.
  const parsed = f.object(name);
  if (!isObject(f.raw(name))) return JSON.stringify(parsed);
  return memberText(rawTextOf(request), name) ?? "{}";
}

/** Raw content is kept once, beside what else there is for transformations. */
function transformationParameters(f: Fields): { readonly raw: string | null; readonly parameters: JsonObject | null } {
  const name = "transformationsParams";
  const inside = f.inside(name);
  if (inside === null) return { raw: null, parameters: null };
  const raw = inside.text("rawPayload", { nullable: true });
  const headers = inside.textMap("headers", { nullable: true });
  for (const [header, value] of Object.entries(headers ?? {})) {
    if (header.toLowerCase() === "content-type" && !HEADER_VALUE.test(value)) {
      inside.issue(["headers", header], "Expected what may stand in a header: at most 256 printable characters");
    }
  }
  // What is no object has been noted.
  const given = f.raw(name);
  const { rawPayload: _, ...parameters } = isObject(given) ? given : {};
  return { raw, parameters };
}

/** Whether its uid is the one of the path matters only when it is to be made. */
function inlineApplication(f: Fields): ApplicationFields | null {
  const inside = f.inside("application");
  return inside === null ? null : applicationFields(inside);
}

/** What messages a list is to have, by the names of the query. */
export function messageFilter(f: Fields): Pick<AppMessageFilter, "eventTypes" | "channels" | "tag"> {
  const channel = f.text("channel", { nullable: true, min: 1, max: MAX_LABEL_LENGTH, pattern: CHANNEL });
  const tag = f.text("tag", { nullable: true, min: 1, max: MAX_LABEL_LENGTH, pattern: TAG });
  const eventTypes = f.list("event_types", { maxLength: MAX_NAME_LENGTH, pattern: EVENT_NAME, max: 500 });
  return {
    ...(eventTypes === null ? {} : { eventTypes }),
    ...(channel === null ? {} : { channels: [channel] }),
    ...(tag === null ? {} : { tag }),
  };
}
