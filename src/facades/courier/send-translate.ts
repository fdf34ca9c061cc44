/** From the body of `POST /send` to what the engine is asked for. Pure: the clock comes in as `now`. */
import { checkListId, checkPattern } from "../../engine/list-pattern.ts";
import type {
  ChannelOptions,
  KeyMode,
  ProviderOptions,
  Recipient,
  Routing,
  SendSpec,
  Timeouts,
  UserRecipient,
  Utm,
} from "../../engine/model.ts";
import { parseUntil, timezoneOf } from "../../engine/opening-hours.ts";
import { Refusal } from "../../engine/refusal.ts";
import type { Millis } from "../../lib/clock.ts";
import type { Json, JsonObject } from "../../lib/json.ts";
import { parseExpiry } from "./expiry.ts";
import type { CourierChannel, CourierMessage, CourierProvider, CourierRecipient } from "./send-schema.ts";
import { checkText } from "./wire.ts";

/** Nesting of routings has no limit in the protocol; nobody needs more, and the engine walks them recursively. */
const MAX_ROUTING_DEPTH = 10;
/** Of a routing with all that is nested in it. Each may become a delivery with a copy of the content rendered for it. */
const MAX_ROUTING_ENTRIES = 50;
/** Ids and other texts that things are found by, in UTF-8: what storage takes for an id. */
const MAX_KEY_BYTES = 1024;
/** A message without user is found by its address, so that an address has to fit into an index, too. */
const MAX_ADDRESS_BYTES = 2048;

const CONTROL_KEYS: ReadonlySet<string> = new Set([
  "user_id",
  "tenant_id",
  "account_id",
  "context",
  "data",
  "list_id",
  "list_pattern",
  "audience_id",
  "preferences",
  "filters",
  "include_children",
  "_type",
  "__proto__",
]);
const ADDRESS_KEYS = [
  "email",
  "phone_number",
  "slack",
  "ms_teams",
  "discord",
  "intercom",
  "facebookPSID",
  "webhook",
  "pagerduty",
  "firebaseToken",
  "apn",
  "expo",
  "oneSignalPlayerID",
  "airship",
  "aws_sns",
] as const;

/** Courier says `direct_message` where the engine says `chat`; provider keys and unknown words stay as they are. */
export function toChannel(name: string): string {
  return name === "direct_message" ? "chat" : name;
}

/**
 * Translates a message whose shape has been checked against `MessageShape`. Inline content is passed on unread: the
 * caller has the content language check it.
 * @throws Refusal naming the field at fault; `not_implemented` for audiences.
 */
export function translateSend(message: CourierMessage, mode: KeyMode, now: Millis): SendSpec {
  const { metadata, delay } = message;
  return {
    recipients: recipientsOf(message.to),
    content: contentOf(message),
    data: message.data ?? {},
    mode,
    via: "courier",
    routing: message.routing == null ? undefined : routingOf(message.routing, "message.routing"),
    channels: mapOf(message.channels, toChannel, channelOptions),
    providers: mapOf(message.providers, (key) => key, providerOptions),
    timeouts: timeoutsOf(message.timeout, message.timeouts),
    delay: delay == null ? undefined : delayOf(delay),
    expiresAt: message.expiry == null ? undefined : parseExpiry(message.expiry, now, "message.expiry"),
    event: key(metadata?.event, "message.metadata.event"),
    tags: metadata?.tags?.map((tag, i) => plain(tag, `message.metadata.tags.${i}`)),
    traceId: key(metadata?.trace_id, "message.metadata.trace_id"),
    utm: utmOf(metadata?.utm),
    topicId: message.preferences?.subscription_topic_id || undefined,
    tenantId: key(message.context?.tenant_id, "message.context.tenant_id"),
    brandId: message.brand_id || undefined,
  };
}

function contentOf(message: CourierMessage): SendSpec["content"] {
  const template = key(message.template, "message.template");
  const { content } = message;
  if (template === undefined) {
    if (content == null) throw invalid("message", "either `content` or `template` must be defined");
    return { kind: "inline", language: "elemental", source: content };
  }
  if (content != null) throw invalid("message", "`content` and `template` exclude each other; both were given");
  return { kind: "template", template };
}

// ——— recipients ——————————————————————————————————————————————————————————————————————————————————————————————————

function recipientsOf(to: CourierMessage["to"]): readonly Recipient[] {
  if (to == null) throw invalid("message.to", "Expected a recipient or a list of recipients, got none");
  if (!Array.isArray(to)) return [recipientOf(to, "message.to")];
  if (to.length === 0) throw invalid("message.to", "Expected at least one recipient, got an empty list");
  return to.map((entry, i) => recipientOf(entry, `message.to.${i}`));
}

function recipientOf(to: CourierRecipient, field: string): Recipient {
  if (Object.values(to).every((value) => value === null)) {
    throw invalid(field, "Expected a recipient, got an object without any field");
  }
  const data = to.data == null ? {} : { data: to.data };
  if (to.audience_id != null) {
    throw new Refusal("not_implemented", `${field}.audience_id: audiences are not available on this server`, {
      field: `${field}.audience_id`,
    });
  }
  if (to.list_pattern != null) {
    const pattern = bounded(to.list_pattern, MAX_KEY_BYTES, `${field}.list_pattern`);
    return { kind: "pattern", pattern: at(`${field}.list_pattern`, () => checkPattern(pattern)), ...data };
  }
  if (to.list_id != null) {
    const id = bounded(to.list_id, MAX_KEY_BYTES, `${field}.list_id`);
    const listId = at(`${field}.list_id`, () => checkListId(id));
    const memberOf =
      to.filters == null ? {} : { memberOf: to.filters.map((f, i) => tenantOf(f, `${field}.filters.${i}`)) };
    return { kind: "list", listId, ...data, ...memberOf };
  }
  const own = to.tenant_id || to.account_id;
  const userId = key(to.user_id, `${field}.user_id`);
  if (own && userId === undefined && !ADDRESS_KEYS.some((name) => (to as JsonObject)[name] != null)) {
    return {
      kind: "tenant",
      tenantId: key(own, `${field}.tenant_id`) as string,
      includeChildren: to.include_children === true,
      ...data,
    };
  }
  return userOf(to, userId ?? null, field, data);
}

function userOf(
  to: CourierRecipient,
  userId: string | null,
  field: string,
  data: { readonly data?: JsonObject },
): UserRecipient {
  const profile: Record<string, Json> = {};
  for (const [name, value] of Object.entries(to)) {
    if (value == null || CONTROL_KEYS.has(name)) continue;
    checkAddress(value, `${field}.${name}`);
    profile[name] = value;
  }
  const tenantId = key(to.context?.tenant_id || to.tenant_id || to.account_id, `${field}.tenant_id`);
  return {
    kind: "user",
    userId,
    profile,
    ...data,
    ...(tenantId === undefined ? {} : { tenantId }),
    ...(to.preferences == null ? {} : { preferences: to.preferences }),
  };
}

function checkAddress(value: Json, field: string): void {
  if (typeof value === "string") {
    bounded(value, MAX_ADDRESS_BYTES, field);
  } else if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    for (const [name, inner] of Object.entries(value)) {
      if (typeof inner === "string") checkAddress(inner, `${field}.${name}`);
    }
  }
}

function tenantOf(filter: { readonly [key: string]: unknown }, field: string): string {
  const { operator, path, value } = filter;
  // A filter that is not understood must not be passed over: the message would reach people it was kept from.
  if (operator !== "MEMBER_OF" || path !== "account_id" || typeof value !== "string" || value === "") {
    throw invalid(field, 'Expected {operator: "MEMBER_OF", path: "account_id", value: <tenant id>}');
  }
  return key(value, `${field}.value`) as string;
}

// ——— routing and its options —————————————————————————————————————————————————————————————————————————————————————

/**
 * Reads a routing, nested ones included, and puts the engine's names for its channels.
 * @param field where it stands in the body, for messages.
 * @throws Refusal naming the entry at fault.
 */
export function routingOf(routing: unknown, field: string): Routing {
  return routingLevel(routing, field, 1, { entries: 0 });
}

function routingLevel(routing: unknown, field: string, depth: number, seen: { entries: number }): Routing {
  if (typeof routing !== "object" || routing === null || Array.isArray(routing)) {
    throw invalid(field, "Expected an object with method and channels");
  }
  const { method, channels } = routing as { readonly method?: unknown; readonly channels?: unknown };
  if (method !== "single" && method !== "all") {
    throw invalid(`${field}.method`, `Expected "single" or "all", got ${show(method)}`);
  }
  if (!Array.isArray(channels)) throw invalid(`${field}.channels`, `Expected a list, got ${show(channels)}`);
  seen.entries += channels.length;
  if (seen.entries > MAX_ROUTING_ENTRIES) {
    throw invalid(`${field}.channels`, `Expected at most ${MAX_ROUTING_ENTRIES} entries in the whole routing`);
  }
  if (depth > MAX_ROUTING_DEPTH) throw invalid(field, `Expected at most ${MAX_ROUTING_DEPTH} levels of routing`);
  return {
    method,
    channels: channels.map((entry: unknown, i) =>
      typeof entry === "string" ? toChannel(entry) : routingLevel(entry, `${field}.channels.${i}`, depth + 1, seen),
    ),
  };
}

function channelOptions(channel: CourierChannel): ChannelOptions {
  return {
    if: channel.if || undefined,
    providers: channel.providers ?? undefined,
    routingMethod: channel.routing_method ?? undefined,
    brandId: channel.brand_id || undefined,
    utm: utmOf(channel.metadata?.utm),
    timeoutMs: channel.timeouts?.channel ?? channel.timeout ?? undefined,
    providerTimeoutMs: channel.timeouts?.provider ?? undefined,
    override: channel.override ?? undefined,
  };
}

function providerOptions(provider: CourierProvider): ProviderOptions {
  return {
    if: provider.if || undefined,
    utm: utmOf(provider.metadata?.utm),
    timeoutMs: provider.timeouts ?? undefined,
    override: provider.override ?? undefined,
  };
}

/** Entries that are null count as absent; `__proto__` is no name of anything. */
function mapOf<From, To>(
  map: { readonly [key: string]: From | null } | null | undefined,
  rename: (key: string) => string,
  translate: (value: From) => To,
): { [key: string]: To } | undefined {
  if (map == null) return undefined;
  const out: { [key: string]: To } = {};
  for (const [name, value] of Object.entries(map)) {
    if (value !== null && name !== "__proto__") out[rename(name)] = translate(value);
  }
  return out;
}

/** Of the two spellings the newer one, `timeout`, counts where both say something. */
function timeoutsOf(timeout: CourierMessage["timeout"], timeouts: CourierMessage["timeouts"]): Timeouts | undefined {
  if (timeout == null && timeouts == null) return undefined;
  return {
    messageMs: timeout?.message ?? timeouts?.message ?? undefined,
    channelMs: limitOf(timeout?.channel ?? timeouts?.channel, toChannel),
    providerMs: limitOf(timeout?.provider ?? timeouts?.provider, (key) => key),
  };
}

function limitOf(
  limit: number | { readonly [key: string]: number | null } | null | undefined,
  rename: (key: string) => string,
): Millis | { readonly [key: string]: Millis } | undefined {
  return typeof limit === "number" ? limit : mapOf(limit, rename, (ms) => ms);
}

function delayOf(delay: NonNullable<CourierMessage["delay"]>): SendSpec["delay"] {
  const { duration, until, timezone } = delay;
  if (duration == null && !until) return undefined;
  if (until) {
    at("message.delay.until", () => parseUntil(until));
  }
  if (timezone && timezoneOf(timezone) === null) {
    throw invalid("message.delay.timezone", `Expected the name of a time zone, got ${show(timezone)}`);
  }
  return {
    durationMs: until ? undefined : (duration ?? undefined),
    until: until || undefined,
    timezone: timezone || undefined,
  };
}

function utmOf(utm: { readonly [key: string]: string | null } | null | undefined): Utm | undefined {
  return mapOf(
    utm,
    (key) => key,
    (value) => value,
  );
}

// ——— texts ———————————————————————————————————————————————————————————————————————————————————————————————————————

/**
 * A text that things are found by; an empty one counts as absent.
 * @throws Refusal naming the field when storage could not keep it as an id.
 */
export function key(text: string | null | undefined, field: string): string | undefined {
  if (text == null || text === "") return undefined;
  return bounded(text, MAX_KEY_BYTES, field);
}

function bounded(text: string, maxBytes: number, field: string): string {
  // A UTF-16 unit takes three bytes at most.
  if (text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes) {
    throw invalid(field, `Expected at most ${maxBytes} bytes, got ${Buffer.byteLength(text)}`);
  }
  return plain(text, field);
}

/** One caller's odd text must not reach the commit that other callers share. */
function plain(text: string, field: string): string {
  return checkText(field, text);
}

function invalid(field: string, message: string): Refusal {
  return new Refusal("invalid", `${field}: ${message}`, { field });
}

/**
 * Runs a check of the engine's, which cannot know where its value stood.
 * @throws Refusal naming `field` in place of whatever the check named.
 */
export function at<T>(field: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof Refusal && error.code === "invalid") throw invalid(field, error.message);
    throw error;
  }
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
