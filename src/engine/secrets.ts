/**
 * Which of the texts that are kept are secret, and how they are found in what they are kept with: for the store that
 * seals and opens them on their way (sealed-store.ts), for the few places that do so themselves, and for the command
 * that seals them anew under another key. Pure.
 *
 * What is called `change…` calls its `change` with each secret text and puts what that gives in its place. The places do
 * not depend on the texts, so that what was sealed is found again.
 */
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { OUTBOUND_WEBHOOK } from "./endpoints.ts";
import type { Captured, Delivery } from "./model.ts";
import { PROVIDER } from "./templates.ts";
import { KNOCK_WEBHOOK, VARIABLE, WORKFLOW, WORKFLOW_VERSION } from "./workflow/model.ts";

export type Change = (text: string) => string;
type ChangeSecrets = (body: JsonObject, change: Change) => JsonObject;

// ——— documents ———————————————————————————————————————————————————————————————————————————————————————————————————

/** What their kinds begin with; deleted ones have no secrets any more. */
const ENDPOINT = "endpoint:";

/**
 * Settings of a provider are sealed as a whole: which of them are secret is known to its kind, but some are secret by
 * what they hold, such as an address with a token in it.
 */
const BY_KIND: { readonly [kind: string]: ChangeSecrets } = {
  [PROVIDER]: (body, change) => inField(body, "settings", change),
  [OUTBOUND_WEBHOOK]: (body, change) => inField(body, "secret", change),
  [KNOCK_WEBHOOK]: (body, change) => inField(body, "secret", change),
  [VARIABLE]: (body, change) => (body.secret === true ? inField(body, "value", change) : body),
  [WORKFLOW]: (body, change) => within(body, "draft", (draft) => changeStepSecrets(draft, change)),
  [WORKFLOW_VERSION]: (body, change) => within(body, "workflow", (workflow) => changeStepSecrets(workflow, change)),
};

/** Secrets of a document that the store seals itself. @returns the body itself when nothing changed. */
export function changeStoredSecrets(kind: string, body: JsonObject, change: Change): JsonObject {
  return Object.hasOwn(BY_KIND, kind) ? (BY_KIND[kind] as ChangeSecrets)(body, change) : body;
}

export function isSealedByStore(kind: string): boolean {
  return Object.hasOwn(BY_KIND, kind);
}

/**
 * Secrets of any document. Endpoints of applications seal and open their own (webhooks/endpoint-documents.ts), because
 * their snapshots hold them opened.
 */
export function changeSecrets(kind: string, body: JsonObject, change: Change): JsonObject {
  return kind.startsWith(ENDPOINT) ? changeEndpoint(body, change) : changeStoredSecrets(kind, body, change);
}

/** Whether `changeSecrets` may find something in documents of this kind. */
export function holdsSecrets(kind: string): boolean {
  return isSealedByStore(kind) || kind.startsWith(ENDPOINT);
}

function changeEndpoint(body: JsonObject, change: Change): JsonObject {
  const { oldSecrets } = body;
  const old = Array.isArray(oldSecrets)
    ? oldSecrets.map((entry: Json) => (isObject(entry) ? inField(entry, "secret", change) : entry))
    : null;
  const changed = inField(inField(body, "secret", change), "headers", change);
  const whole = within(changed, "transformation", (made) => inField(made, "variables", change));
  return old?.some((entry, i) => entry !== (oldSecrets as readonly Json[])[i]) ? { ...whole, oldSecrets: old } : whole;
}

/** What steps that call somebody else's server log in with; an address may have a token in it, too. */
const STEP_SECRETS: ReadonlySet<string> = new Set(["signing_key", "url", "headers", "query_params"]);

/** Of a workflow, in the words of its author. */
export function changeStepSecrets(workflow: JsonObject, change: Change): JsonObject {
  const steps = workflow.steps === undefined ? undefined : changeSteps(workflow.steps, change);
  return steps === workflow.steps ? workflow : { ...workflow, steps };
}

function changeSteps(value: Json, change: Change): Json {
  return changeInner(value, (inner, name) =>
    name !== null && STEP_SECRETS.has(name) ? changeValues(inner, change) : changeSteps(inner, change),
  );
}

/** A text, or the values of a list of keys and values. */
function changeValues(value: Json, change: Change): Json {
  if (typeof value === "string") return change(value);
  if (!Array.isArray(value)) return changeSteps(value, change);
  return changeInner(value, (pair) => (isObject(pair) ? inField(pair, "value", change) : pair));
}

// ——— where parties are reached ———————————————————————————————————————————————————————————————————————————————————

const SEALED = "carillon-sealed";
/** Addresses, as those of mails are: other tables have them as well, and look them up. */
const DEVICES: readonly string[] = ["devices", "player_ids"];

/**
 * What a party is reached with on one channel, as it is to be stored: all but the tokens of devices as one text, so that
 * a reader has one to open.
 */
export function sealChannelData(body: JsonObject, seal: Change): JsonObject {
  const entries = Object.entries(body);
  const rest = Object.fromEntries(entries.filter(([name]) => !DEVICES.includes(name)));
  const text = JSON.stringify(rest);
  const changed = text === "{}" ? text : seal(text);
  if (changed === text && !Object.hasOwn(body, SEALED)) return body;
  return { ...Object.fromEntries(entries.filter(([name]) => DEVICES.includes(name))), [SEALED]: changed };
}

/** The other way around; also of what was stored before there was a key. */
export function openChannelData(body: JsonObject, open: Change): JsonObject {
  const { [SEALED]: sealed, ...devices } = body;
  return typeof sealed === "string" ? { ...(JSON.parse(open(sealed)) as JsonObject), ...devices } : body;
}

/** Of what is stored. */
function changeChannelData(stored: JsonObject, change: Change): JsonObject {
  return typeof stored[SEALED] === "string" ? inField(stored, SEALED, change) : sealChannelData(stored, change);
}

// ——— deliveries, and what is kept of tries ———————————————————————————————————————————————————————————————————————

/** Of one that a step of a workflow made: what the chat is reached with, or where its author's request goes. */
export function changeDeliverySecrets<D extends Pick<Delivery, "address" | "content">>(delivery: D, change: Change): D {
  const address = changeChatAddress(delivery.address, change);
  const { content } = delivery;
  const request = content.raw?.request;
  const changed = isObject(request) ? inField(inField(request, "url", change), "headers", change) : request;
  if (address === delivery.address && changed === request) return delivery;
  return {
    ...delivery,
    address,
    content: changed === request ? content : { ...content, raw: { ...content.raw, request: changed } },
  };
}

/** Whether `changeDeliverySecrets` may find something. */
export function mayHoldSecrets({ origin, channel }: Pick<Delivery, "origin" | "channel">): boolean {
  return origin !== undefined && (channel === "chat" || channel === "webhook");
}

/** What a stand-in for a chat keeps. */
export function changeCapturedSecrets<C extends Pick<Captured, "address" | "payload">>(captured: C, change: Change): C {
  return {
    ...captured,
    address: changeChatAddress(captured.address, change),
    payload: within(captured.payload, "target", (target) => changeChatAddress(target, change)),
  };
}

/** By platform; each may come with a token and with an address that is one. */
function changeChatAddress(address: JsonObject, change: Change): JsonObject {
  return changeInner(address, (target) => {
    if (!isObject(target)) return target;
    return within(inField(target, "access_token", change), "incoming_webhook", (hook) => inField(hook, "url", change));
  }) as JsonObject;
}

/** Names of headers that we send ourselves, of which nobody can make anything. */
const OUR_HEADERS =
  /^(?:content-type|content-length|user-agent|host|accept|(?:svix|webhook)-(?:id|timestamp|signature))$/i;

/** As they were sent with a try at an endpoint: those that its owner or a transformation has added. */
export function changeSentHeaders(
  headers: { readonly [name: string]: string },
  change: Change,
): { readonly [name: string]: string } {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, OUR_HEADERS.test(name) ? value : change(value)]),
  );
}

// ——— rows ————————————————————————————————————————————————————————————————————————————————————————————————————————————

/** Secrets of a row of a table that storage/sealed-rows.ts walks, by what its columns hold. */
export const SECRETS_OF_ROWS: {
  readonly [table: string]: (texts: readonly string[], change: Change) => readonly string[];
} = {
  party_documents: ([body], change) => [inJson(body, (parsed) => changeChannelData(parsed, change))],
  deliveries: ([address, content], change) => {
    const delivery = { address: parsedOf(address), content: parsedOf(content) as unknown as Delivery["content"] };
    const changed = changeDeliverySecrets(delivery, change);
    return changed === delivery
      ? [address as string, content as string]
      : [JSON.stringify(changed.address), JSON.stringify(changed.content)];
  },
  captured: ([address, payload], change) => {
    const changed = changeCapturedSecrets({ address: parsedOf(address), payload: parsedOf(payload) }, change);
    return [JSON.stringify(changed.address), JSON.stringify(changed.payload)];
  },
  endpoint_attempts: ([headers], change) => [
    inJson(headers, (parsed) => changeSentHeaders(parsed as { readonly [name: string]: string }, change)),
  ],
  // Whatever was answered, and not always JSON.
  idempotency_keys: ([body], change) => [change(body as string)],
};

function parsedOf(text: string | undefined): JsonObject {
  return JSON.parse(text as string) as JsonObject;
}

function inJson(text: string | undefined, change: (parsed: JsonObject) => JsonObject): string {
  return JSON.stringify(change(parsedOf(text)));
}

// ——— finding texts ———————————————————————————————————————————————————————————————————————————————————————————————

function inField(body: JsonObject, field: string, change: Change): JsonObject {
  const value = Object.hasOwn(body, field) ? body[field] : undefined;
  if (value === undefined) return body;
  const changed = changeTexts(value, change);
  return changed === value ? body : { ...body, [field]: changed };
}

function within(body: JsonObject, field: string, change: (inner: JsonObject) => JsonObject): JsonObject {
  const inner = Object.hasOwn(body, field) ? body[field] : undefined;
  if (!isObject(inner)) return body;
  const changed = change(inner);
  return changed === inner ? body : { ...body, [field]: changed };
}

/** Changes every text of a value, at any depth; names stay. @returns the value itself when nothing changed. */
export function changeTexts(value: Json, change: Change): Json {
  return typeof value === "string" ? change(value) : changeInner(value, (inner) => changeTexts(inner, change));
}

/** Changes what a list or an object holds; `name` is null in a list. @returns the value itself when nothing changed. */
function changeInner(value: Json, change: (inner: Json, name: string | null) => Json): Json {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const items = value.map((item: Json) => change(item, null));
    return items.some((item, i) => item !== value[i]) ? items : value;
  }
  let isChanged = false;
  const entries = Object.entries(value as JsonObject).map(([name, inner]): [string, Json | undefined] => {
    const changed = inner === undefined ? undefined : change(inner, name);
    isChanged ||= changed !== inner;
    return [name, changed];
  });
  return isChanged ? Object.fromEntries(entries) : value;
}
