/** Endpoints as Svix speaks of them: their fields read and checked, in the spelling of either SDK, and shown in both. */
import type { AppEndpoint } from "../../engine/webhooks/model.ts";
import type { WebhookSettings } from "../../engine/webhooks/settings.ts";
import { checkSecret, generateSecret } from "../../engine/webhooks/signing.ts";
import type { AppEndpointFields } from "../../engine/webhooks/webhooks.ts";
import { readHeaders } from "./header-rules.ts";
import { ksuid } from "./ids.ts";
import { CHANNEL, EVENT_NAME, type Fields, fields, timestamp } from "./wire.ts";

const MAX_URL_LENGTH = 65_536;
/** Each endpoint is kept in memory while its application is sent to. */
const MAX_DESCRIPTION_LENGTH = 10_000;
const MAX_EVENT_TYPES = 1_000;
const MAX_CHANNELS = 10;
const MAX_CHANNEL_LENGTH = 128;
const MAX_U16 = 65_535;
const SYMMETRIC = "whsec_";

/** What is asked of an endpoint's fields beyond their form. */
export interface EndpointRules {
  readonly settings: Pick<WebhookSettings, "requireHttps" | "requireChannels" | "requireEventTypes">;
  /** Whether an empty list filters nothing instead of being a mistake: svix-react sends one for a new endpoint. */
  readonly emptyIsAll: boolean;
  /** Those that an endpoint may not be given. */
  readonly unknownEventTypes: (names: readonly string[]) => Promise<readonly string[]>;
  /** Of keys that we make. */
  readonly secretKind: "symmetric" | "asymmetric";
}

/** What a PUT replaces. An endpoint keeps its secret, headers and transformation through it. */
export type EndpointUpdate = Pick<
  AppEndpointFields,
  "uid" | "url" | "description" | "throttleRate" | "version" | "disabled" | "eventTypes" | "channels" | "metadata"
>;

/** A new endpoint with its own secret, or one that we make. @throws Invalid */
export async function readNewEndpoint(body: unknown, rules: EndpointRules): Promise<AppEndpointFields> {
  const f = fields(body);
  const update = readWhole(f, rules);
  const secret = readSecret(f, "secret");
  const headers = f.has("headers") && f.raw("headers") !== null ? readHeaders(f, "headers") : {};
  await checkEventTypes(f, update.eventTypes ?? [], rules);
  f.done();
  return newEndpoint(update, secret ?? generateSecret(rules.secretKind), headers);
}

/**
 * @param kept event types that the endpoint has by now: they may stay, even if they were archived since.
 * @throws Invalid
 */
export async function readEndpointUpdate(
  body: unknown,
  rules: EndpointRules,
  kept: readonly string[],
): Promise<EndpointUpdate> {
  const f = fields(body);
  const update = readWhole(f, rules);
  await checkEventTypes(f, added(update.eventTypes, kept), rules);
  f.done();
  return update;
}

/** @param kept as for `readEndpointUpdate`. @throws Invalid */
export async function readEndpointPatch(
  body: unknown,
  rules: EndpointRules,
  kept: readonly string[],
): Promise<Partial<EndpointUpdate & Pick<AppEndpointFields, "secret">>> {
  const f = fields(body);
  const rate = rateName(f);
  const types = eventTypesName(f);
  const eventTypes = f.has(types) ? readEventTypes(f, types, rules) : undefined;
  // Null has no meaning for a secret, which there always is: it stays.
  const secret = readSecret(f, "secret");
  const patch = {
    ...(f.has("uid") && { uid: f.uid("uid", "ep") }),
    ...(f.has("url") && { url: readUrl(f, rules) }),
    ...(f.has("description") && { description: f.text("description", { max: MAX_DESCRIPTION_LENGTH }) }),
    ...(f.has(rate) && { throttleRate: readRate(f, rate) }),
    ...(f.has("version") && { version: f.integer("version", { min: 1, max: MAX_U16 }) }),
    ...(f.has("disabled") && { disabled: f.boolean("disabled") }),
    ...(eventTypes !== undefined && { eventTypes }),
    ...(f.has("channels") && { channels: readChannels(f, rules) }),
    ...(f.has("metadata") && { metadata: f.metadata("metadata") }),
    ...(secret !== null && { secret }),
  };
  await checkEventTypes(f, added(eventTypes ?? null, kept), rules);
  f.done();
  return patch;
}

export function newEndpoint(
  update: EndpointUpdate,
  secret: string,
  headers: AppEndpointFields["headers"] = {},
): AppEndpointFields {
  return {
    ...update,
    headers,
    secret,
    oldSecrets: [],
    transformation: null,
    kind: "http",
  };
}

/** Messages per second; of two spellings the newer one counts. */
export function readThrottleRate(f: Fields): number | null {
  return readRate(f, rateName(f));
}

export function rateName(f: Fields): string {
  return f.alias(["throttleRate", "rateLimit"]);
}

function readRate(f: Fields, name: string): number | null {
  return f.integer(name, { nullable: true, min: 1, max: MAX_U16 });
}

/**
 * A key that somebody chose, with its prefix; null when there is none. What is wrong with one is told without the key.
 */
export function readSecret(f: Fields, name: string): string | null {
  const text = f.text(name, { nullable: true });
  // A text of the wrong type is told of already.
  if (text === null || typeof f.raw(name) !== "string") return null;
  const wrong = checkSecret(text);
  if (wrong !== null) f.issue([name], `Cannot be used: ${wrong}`);
  return text.includes("_") ? text : SYMMETRIC + text;
}

function readWhole(f: Fields, rules: EndpointRules): EndpointUpdate {
  return {
    uid: f.uid("uid", "ep"),
    url: readUrl(f, rules),
    description: f.text("description", { default: "", max: MAX_DESCRIPTION_LENGTH }),
    throttleRate: readThrottleRate(f),
    version: f.integer("version", { nullable: true, min: 1, max: MAX_U16 }) ?? 1,
    disabled: f.boolean("disabled", { default: false }),
    eventTypes: readEventTypes(f, eventTypesName(f), rules),
    channels: readChannels(f, rules),
    metadata: f.metadata("metadata"),
  };
}

/** As a browser would write it: host in lower case, no default port, at least `/` for a path. */
function readUrl(f: Fields, { settings }: EndpointRules): string {
  const text = f.text("url", { min: 1, max: MAX_URL_LENGTH });
  // Told already.
  if (text === "") return text;
  const url = URL.parse(text);
  if (url === null) f.issue(["url"], "Expected an absolute URL");
  else if (url.protocol !== "http:" && url.protocol !== "https:") {
    f.issue(["url"], `Expected an http or https URL, got ${url.protocol.slice(0, 32)}`);
  } else if (url.protocol === "http:" && settings.requireHttps) {
    f.issue(["url"], "Expected an https URL: this environment sends to no others");
  } else if (url.href.length > MAX_URL_LENGTH) {
    f.issue(["url"], `Expected a URL of at most ${MAX_URL_LENGTH} characters once it is escaped`);
  }
  return url?.href ?? "";
}

/** The spelling of the request. Both at once are one field that is there twice. */
function eventTypesName(f: Fields): string {
  return f.alias(["eventTypes", "filterTypes"], true);
}

function readEventTypes(f: Fields, name: string, rules: EndpointRules): readonly string[] | null {
  const names = isEmptyList(f, name)
    ? emptyList(f, name, rules)
    : f.names(name, { nullable: true, max: MAX_EVENT_TYPES, pattern: EVENT_NAME });
  if (names === null && rules.settings.requireEventTypes) {
    f.issue([name], "Expected event types: this environment demands them of every endpoint");
  }
  return names;
}

function readChannels(f: Fields, rules: EndpointRules): readonly string[] | null {
  const name = "channels";
  const channels = isEmptyList(f, name)
    ? emptyList(f, name, rules)
    : f.names(name, { nullable: true, max: MAX_CHANNELS, maxLength: MAX_CHANNEL_LENGTH, pattern: CHANNEL });
  if (channels === null && rules.settings.requireChannels) {
    f.issue([name], "Expected channels: this environment demands them of every endpoint");
  }
  return channels;
}

function isEmptyList(f: Fields, name: string): boolean {
  const value = f.raw(name);
  return Array.isArray(value) && value.length === 0;
}

function emptyList(f: Fields, name: string, { emptyIsAll }: EndpointRules): readonly string[] | null {
  if (emptyIsAll) return null;
  f.issue([name], "Expected at least 1 entry, or null for all");
  return [];
}

function added(names: readonly string[] | null, kept: readonly string[]): readonly string[] {
  const before = new Set(kept);
  return names?.filter((name) => !before.has(name)) ?? [];
}

async function checkEventTypes(f: Fields, names: readonly string[], rules: EndpointRules): Promise<void> {
  if (names.length === 0) return;
  const unknown = await rules.unknownEventTypes(names.filter((name) => EVENT_NAME.test(name)));
  if (unknown.length === 0) return;
  const shown = unknown.length > 20 ? `${unknown.slice(0, 20).join(", ")}, …` : unknown.join(", ");
  f.issue([eventTypesName(f)], `Unknown or archived event types: ${shown}`);
}

/** Every spelling at once: of each SDK the ones it reads must not be missing. */
export function showEndpoint(endpoint: AppEndpoint) {
  const { throttleRate, eventTypes } = endpoint;
  return {
    id: ksuid("ep", endpoint.id),
    uid: endpoint.uid,
    url: endpoint.url,
    description: endpoint.description,
    version: endpoint.version,
    disabled: endpoint.disabled,
    eventTypes,
    filterTypes: eventTypes,
    channels: endpoint.channels,
    throttleRate,
    rateLimit: throttleRate,
    metadata: endpoint.metadata,
    createdAt: timestamp(endpoint.createdAt),
    updatedAt: timestamp(endpoint.updatedAt),
  };
}
