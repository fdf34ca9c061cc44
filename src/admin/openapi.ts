/** The description of `/admin`, served as `/openapi.json`. A test compares it with the routes that exist. */
import { CHANNELS } from "../engine/model.ts";
import type { JsonObject } from "../lib/json.ts";
import { OUTBOUND_EVENTS } from "./outbound-webhooks.ts";

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
const EVENTS = { type: "array", items: { type: "string", enum: [...OUTBOUND_EVENTS] } };
const WEBHOOK = fields({
  id: TEXT,
  url: TEXT,
  has_secret: { type: "boolean" },
  events: EVENTS,
  created_at: TIME,
  updated_at: TIME,
});
const WEBHOOK_BODY = {
  type: "object",
  required: ["url"],
  properties: { url: TEXT, secret: { type: ["string", "null"] }, events: EVENTS },
};
const WEBHOOK_WRITTEN = fields({ id: TEXT, url: TEXT, secret: { type: ["string", "null"] }, events: EVENTS });

const SIGNING_KEY = fields({ id: TEXT, public_key: TEXT, created_at: TIME });
const KNOCK_SECURITY = fields({ enhanced_security: { type: "boolean" } });
const PUSHWOOSH = fields({ require_device_token: { type: "boolean" } });

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
  {
    method: "get",
    path: "/admin/outbound-webhooks",
    summary: "Addresses that are told what happens in the environment",
    query: PAGING,
    status: 200,
    answer: pageOf(WEBHOOK),
  },
  {
    method: "post",
    path: "/admin/outbound-webhooks",
    summary: "Adds an address; without a secret one is made, with null nothing is signed",
    body: WEBHOOK_BODY,
    status: 201,
    answer: WEBHOOK_WRITTEN,
  },
  { method: "get", path: "/admin/outbound-webhooks/{id}", summary: "One of them", status: 200, answer: WEBHOOK },
  {
    method: "put",
    path: "/admin/outbound-webhooks/{id}",
    summary: "Replaces it; without a secret the old one stays",
    body: WEBHOOK_BODY,
    status: 200,
    answer: WEBHOOK_WRITTEN,
  },
  { method: "delete", path: "/admin/outbound-webhooks/{id}", summary: "Removes it", status: 204 },
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

/** @param publicUrl where the server is reached. */
export function openApi(publicUrl: string): JsonObject {
  const paths: Record<string, Record<string, JsonObject>> = {};
  for (const operation of OPERATIONS) {
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
  const inPath = path.includes("{id}") ? [{ name: "id", in: "path", required: true, schema: TEXT }] : [];
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

function pageOf(item: JsonObject): JsonObject {
  return fields({ items: { type: "array", items: item }, next: { type: ["string", "null"] } });
}
