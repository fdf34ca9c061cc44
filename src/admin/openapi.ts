/** The description of `/admin`, served as `/openapi.json`. A test compares it with the routes that exist. */
import { CHANNELS } from "../engine/model.ts";
import { CHANNEL_TYPES } from "../engine/workflow/model.ts";
import type { JsonObject } from "../lib/json.ts";
import { KNOCK_WEBHOOKS, OUTBOUND_WEBHOOKS, type WebhookAddresses } from "./webhook-addresses.ts";

interface Operation {
  readonly method: "get" | "post" | "put" | "delete";
  readonly path: string;
  readonly summary: string;
  readonly query?: { readonly [name: string]: JsonObject };
  readonly body?: JsonObject;
  readonly status: 200 | 201 | 204;
  readonly answer?: JsonObject;
}

const TEXT = { type: "string" };
const TIME = { type: "string", format: "date-time" };
const PAGING = {
  after: { ...TEXT, description: "The `next` of the page before" },
  limit: { type: "integer", minimum: 1, maximum: 200, default: 50 },
};
const MODE = { type: "string", enum: ["published", "draft", "mock"], default: "published" };

const ENVIRONMENT = fields({
  id: TEXT,
  name: TEXT,
  public_key: TEXT,
  app_code: TEXT,
  feed_id: { type: "string", format: "uuid" },
  created_at: TIME,
});
const KEY = fields({ id: TEXT, mode: MODE, hint: TEXT, created_at: TIME });
const SIGNING_KEY = fields({ id: TEXT, public_key: TEXT, created_at: TIME });
const KNOCK_SECURITY = fields({ enhanced_security: { type: "boolean" } });
const NULLABLE_TEXT = { type: ["string", "null"] };
const CHANNEL_FIELDS = {
  key: TEXT,
  name: TEXT,
  provider: { ...NULLABLE_TEXT, description: "A kind of provider or the id of one; null: what there is for the type" },
  settings: {
    type: "object",
    description: "`sandbox_mode`, `conditions`, and of e-mail `from_address`, `link_tracking` and the like",
  },
};
const CHANNEL_TYPE = { type: "string", enum: [...CHANNEL_TYPES] };
const KNOCK_CHANNEL = fields({ id: TEXT, ...CHANNEL_FIELDS, type: CHANNEL_TYPE, created_at: TIME, updated_at: TIME });
const VARIABLE_VALUE = { description: "Any JSON; of a secret null, once it is kept" };
const VARIABLE = fields({
  key: TEXT,
  value: VARIABLE_VALUE,
  secret: { type: "boolean" },
  description: NULLABLE_TEXT,
  created_at: TIME,
  updated_at: TIME,
});
const PREFERENCES = {
  type: "object",
  properties: Object.fromEntries(
    ["workflows", "categories", "channel_types", "channels"].map((name) => [name, { type: "object" }]),
  ),
};
const SHOWN = { type: "string", enum: ["all", "own"], default: "all" };
const VISIBILITY = { type: "object", properties: { courier: SHOWN, knock: SHOWN, pushwoosh: SHOWN } };
const GUIDE_KEYS = { type: "array", items: TEXT, maxItems: 500 };
const GUIDE_ORDER = {
  type: "object",
  properties: {
    display_sequence: { ...GUIDE_KEYS, description: "Those that are not named come last, the oldest first" },
    unthrottled: { ...GUIDE_KEYS, description: "Neither wait for the interval nor begin one" },
    display_interval: { type: ["integer", "null"], minimum: 0, description: "Seconds" },
  },
};
const PUSHWOOSH = {
  type: "object",
  required: ["require_device_token"],
  properties: {
    require_device_token: { type: "boolean" },
    propagate_user_removals: {
      type: "boolean",
      default: false,
      description: "Whether clients are told of what a user deleted or archived elsewhere",
    },
    default_inbox_days: {
      type: ["integer", "null"],
      minimum: 1,
      maximum: 30,
      default: null,
      description: "How long messages stay in the inbox that do not say; null: they do not enter it",
    },
  },
};

const OPERATIONS: readonly Operation[] = [
  {
    method: "get",
    path: "/admin/captured",
    summary: "What the stand-in providers kept instead of sending it, newest first",
    query: { ...PAGING, channel: { type: "string", enum: [...CHANNELS] }, message_id: TEXT },
    status: 200,
    answer: pageOf(
      fields({
        id: TEXT,
        message_id: TEXT,
        delivery_id: TEXT,
        channel: { type: "string", enum: [...CHANNELS] },
        provider: TEXT,
        address: { type: "object" },
        payload: { type: "object" },
        at: TIME,
      }),
    ),
  },
  { method: "delete", path: "/admin/captured", summary: "Throws all of it away", status: 204 },
  {
    method: "get",
    path: "/admin/environments",
    summary: "All environments; for keys of the first one",
    status: 200,
    answer: fields({ items: { type: "array", items: ENVIRONMENT } }),
  },
  {
    method: "post",
    path: "/admin/environments",
    summary: "Makes an environment; its secret key is shown this once",
    body: { type: "object", required: ["name"], properties: { name: TEXT, mode: MODE } },
    status: 201,
    answer: { allOf: [ENVIRONMENT, fields({ secret_key: TEXT })] },
  },
  {
    method: "get",
    path: "/admin/keys",
    summary: "Secret keys of the environment that are in force",
    status: 200,
    answer: fields({ items: { type: "array", items: KEY } }),
  },
  {
    method: "post",
    path: "/admin/keys",
    summary: "Makes a secret key; its text is shown this once",
    body: { type: "object", properties: { mode: MODE } },
    status: 201,
    answer: { allOf: [KEY, fields({ key: TEXT })] },
  },
  { method: "delete", path: "/admin/keys/{id}", summary: "Revokes a secret key other than the one used", status: 204 },
  ...webhookOperations(OUTBOUND_WEBHOOKS, "what happens in the environment"),
  ...webhookOperations(KNOCK_WEBHOOKS, "what happens to Knock's messages, runs and resources"),
  {
    method: "get",
    path: "/admin/knock/signing-keys",
    summary: "Keys that sign the tokens of Knock's users",
    query: PAGING,
    status: 200,
    answer: pageOf(SIGNING_KEY),
  },
  {
    method: "post",
    path: "/admin/knock/signing-keys",
    summary: "Adds an RSA public key, in PEM",
    body: { type: "object", required: ["public_key"], properties: { public_key: TEXT } },
    status: 201,
    answer: SIGNING_KEY,
  },
  { method: "delete", path: "/admin/knock/signing-keys/{id}", summary: "Removes it", status: 204 },
  {
    method: "get",
    path: "/admin/knock/security",
    summary: "Whether Knock's users need signed tokens",
    status: 200,
    answer: KNOCK_SECURITY,
  },
  {
    method: "put",
    path: "/admin/knock/security",
    summary: "Sets it",
    body: KNOCK_SECURITY,
    status: 200,
    answer: KNOCK_SECURITY,
  },
  {
    method: "get",
    path: "/admin/knock/channels",
    summary: "Channels that Knock's workflows name by their keys",
    status: 200,
    answer: listOf(KNOCK_CHANNEL),
  },
  {
    method: "post",
    path: "/admin/knock/channels",
    summary: "Adds a channel",
    body: { type: "object", required: ["key", "type"], properties: { ...CHANNEL_FIELDS, type: CHANNEL_TYPE } },
    status: 201,
    answer: KNOCK_CHANNEL,
  },
  { method: "get", path: "/admin/knock/channels/{id}", summary: "One of them", status: 200, answer: KNOCK_CHANNEL },
  {
    method: "put",
    path: "/admin/knock/channels/{id}",
    summary: "Changes what is given of it; its type stays",
    body: { type: "object", properties: CHANNEL_FIELDS },
    status: 200,
    answer: KNOCK_CHANNEL,
  },
  {
    method: "delete",
    path: "/admin/knock/channels/{id}",
    summary: "Removes it; the channel of the environment's feed stays",
    status: 204,
  },
  {
    method: "get",
    path: "/admin/knock/variables",
    summary: "Variables of Knock's templates, under `vars`",
    status: 200,
    answer: listOf(VARIABLE),
  },
  {
    method: "put",
    path: "/admin/knock/variables/{key}",
    summary: "Adds or replaces a variable; a secret one is never shown",
    body: {
      type: "object",
      required: ["value"],
      properties: { value: VARIABLE_VALUE, secret: { type: "boolean", default: false }, description: NULLABLE_TEXT },
    },
    status: 200,
    answer: VARIABLE,
  },
  { method: "delete", path: "/admin/knock/variables/{key}", summary: "Removes it", status: 204 },
  {
    method: "get",
    path: "/admin/knock/preferences",
    summary: "The preferences that Knock's users and objects have until they choose",
    status: 200,
    answer: PREFERENCES,
  },
  {
    method: "put",
    path: "/admin/knock/preferences",
    summary: "Replaces them",
    body: PREFERENCES,
    status: 200,
    answer: PREFERENCES,
  },
  {
    method: "get",
    path: "/admin/inbox-visibility",
    summary: "Which items of inboxes each facade shows: all, or only those sent through it",
    status: 200,
    answer: VISIBILITY,
  },
  {
    method: "put",
    path: "/admin/inbox-visibility",
    summary: "Sets it; a facade that is not named shows all",
    body: VISIBILITY,
    status: 200,
    answer: VISIBILITY,
  },
  {
    method: "get",
    path: "/admin/knock/guide-order",
    summary: "In which order Knock's guides are shown, and how far apart",
    status: 200,
    answer: GUIDE_ORDER,
  },
  {
    method: "put",
    path: "/admin/knock/guide-order",
    summary: "Replaces it",
    body: GUIDE_ORDER,
    status: 200,
    answer: GUIDE_ORDER,
  },
  {
    method: "get",
    path: "/admin/pushwoosh",
    summary: "Whether Pushwoosh's calls need a device token",
    status: 200,
    answer: PUSHWOOSH,
  },
  { method: "put", path: "/admin/pushwoosh", summary: "Sets it", body: PUSHWOOSH, status: 200, answer: PUSHWOOSH },
  {
    method: "get",
    path: "/admin/client-config",
    summary: "Addresses and identifiers to give to browser SDKs",
    status: 200,
    answer: fields({ public_key: TEXT, app_code: TEXT, feed_id: TEXT, apiUrls: { type: "object" } }),
  },
];

const NAMES = { type: "array", items: TEXT, minItems: 1, maxItems: 100 };
const PLACE = fields({ after: TEXT, seen: { type: "array", items: TEXT } });
const LISTEN_FILTER = {
  event_types: { ...NAMES, description: "Absent: all" },
  channels: { ...NAMES, description: "Messages that carry one of them; absent: all" },
};

const LISTEN_OPERATIONS: readonly Operation[] = [
  {
    method: "post",
    path: "/admin/listen",
    summary: "Where to begin to hear the messages of an application: of the only one, unless it is named",
    body: { type: "object", properties: { app: { ...TEXT, description: "Id or uid" }, ...LISTEN_FILTER } },
    status: 200,
    answer: fields({ app: fields({ id: TEXT, uid: { type: ["string", "null"] }, name: TEXT }), place: PLACE }),
  },
  {
    method: "post",
    path: "/admin/listen/messages",
    summary: "Messages that have come since; waits for one, and answers with the place to go on from",
    body: {
      type: "object",
      required: ["app", "place"],
      properties: {
        app: TEXT,
        ...LISTEN_FILTER,
        place: PLACE,
        wait_ms: { type: "integer", minimum: 0, maximum: 30_000, default: 0 },
      },
    },
    status: 200,
    answer: fields({
      items: {
        type: "array",
        items: fields({
          id: TEXT,
          event_id: { type: ["string", "null"] },
          event_type: TEXT,
          channels: { type: ["array", "null"], items: TEXT },
          payload: {
            type: ["string", "null"],
            description: "The very text of the JSON; null when it is no longer kept",
          },
          raw: { type: ["string", "null"], description: "Sent in its place" },
          parameters: { type: ["object", "null"] },
          deliver_at: { type: ["string", "null"], format: "date-time" },
          created_at: TIME,
        }),
      },
      place: PLACE,
      header_names: { type: "string", enum: ["both", "svix", "standard"] },
    }),
  },
];

/**
 * @param publicUrl where the server is reached.
 * @param listens whether the paths of `carillon listen` are there.
 */
export function openApi(publicUrl: string, listens: boolean): JsonObject {
  const paths: Record<string, Record<string, JsonObject>> = {};
  for (const operation of listens ? [...OPERATIONS, ...LISTEN_OPERATIONS] : OPERATIONS) {
    paths[operation.path] ??= {};
    (paths[operation.path] as Record<string, JsonObject>)[operation.method] = describe(operation);
  }
  return {
    openapi: "3.1.0",
    info: { title: "Carillon administration", version: "1" },
    servers: [{ url: publicUrl }],
    security: [{ secretKey: [] }],
    paths,
    components: {
      securitySchemes: { secretKey: { type: "http", scheme: "bearer" } },
      schemas: { Error: { ...fields({ message: TEXT, type: TEXT }), description: "Any answer from 400 on" } },
    },
  };
}

function describe({ path, summary, query, body, status, answer }: Operation): JsonObject {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => {
    return { name, in: "path", required: true, schema: TEXT };
  });
  const inQuery = Object.entries(query ?? {}).map(([name, schema]) => ({ name, in: "query", schema }));
  return {
    summary,
    parameters: [...inPath, ...inQuery],
    ...(body === undefined ? {} : { requestBody: { required: true, content: json(body) } }),
    responses: {
      [status]: answer === undefined ? { description: summary } : { description: summary, content: json(answer) },
      default: { description: "Refused", content: json({ $ref: "#/components/schemas/Error" }) },
    },
  };
}

function json(schema: JsonObject): JsonObject {
  return { "application/json": { schema } };
}

function fields(properties: { readonly [name: string]: JsonObject }): JsonObject {
  return { type: "object", required: Object.keys(properties), properties };
}

function listOf(item: JsonObject): JsonObject {
  return fields({ items: { type: "array", items: item } });
}

function pageOf(item: JsonObject): JsonObject {
  return fields({ items: { type: "array", items: item }, next: { type: ["string", "null"] } });
}

/** Addresses that are told of events; the two kinds of them differ in their events only. */
function webhookOperations({ path, events: types }: WebhookAddresses, of: string): readonly Operation[] {
  const events = { type: "array", items: { type: "string", enum: [...types] }, description: "Empty: all" };
  const secret = { type: ["string", "null"] };
  const shown = fields({
    id: { type: "string" },
    url: { type: "string" },
    has_secret: { type: "boolean" },
    events,
    created_at: { type: "string", format: "date-time" },
    updated_at: { type: "string", format: "date-time" },
  });
  const body = { type: "object", required: ["url"], properties: { url: { type: "string" }, secret, events } };
  const written = fields({ id: { type: "string" }, url: { type: "string" }, secret, events });
  const one = `${path}/{id}`;
  return [
    {
      method: "get",
      path,
      summary: `Addresses that are told ${of}`,
      query: PAGING,
      status: 200,
      answer: pageOf(shown),
    },
    {
      method: "post",
      path,
      summary: "Adds an address; without a secret one is made, with null nothing is signed",
      body,
      status: 201,
      answer: written,
    },
    { method: "get", path: one, summary: "One of them", status: 200, answer: shown },
    {
      method: "put",
      path: one,
      summary: "Replaces it; without a secret the old one stays",
      body,
      status: 200,
      answer: written,
    },
    { method: "delete", path: one, summary: "Removes it", status: 204 },
  ];
}
