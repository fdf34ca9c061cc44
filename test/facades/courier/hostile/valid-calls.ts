/** One valid call for every route that takes a body, and the things in the database they speak of. */
import assert from "node:assert/strict";
import type { HostileServer, Route } from "./hostile-server.ts";

export interface ValidCall extends Route {
  readonly path: string;
  readonly body: unknown;
}

/** What the examples refer to; made once for each server. */
export interface Things {
  readonly templateId: string;
  readonly providerId: string;
  readonly messageId: string;
  readonly requestId: string;
  readonly elementId: string;
}

export async function makeThings(server: HostileServer): Promise<Things> {
  const make = async (method: string, path: string, body?: unknown) => {
    const { status, text } = await server.call(method, path, body === undefined ? {} : { body: JSON.stringify(body) });
    assert.ok(status < 300, `${method} ${path} → ${status} ${text}`);
    return text === "" ? {} : JSON.parse(text);
  };
  await make("PUT", "/profiles/ann", { profile: { email: "ann@example.com", phone_number: "+15550100" } });
  await make("PUT", "/lists/news", { name: "News" });
  await make("PUT", "/lists/news/subscriptions/ann", {});
  await make("PUT", "/tenants/acme", { name: "Acme" });
  await make("PUT", "/users/ann/tenants/acme", { profile: {} });
  await make("PUT", "/users/ann/tokens/t1", { provider_key: "expo" });
  const template = await make("POST", "/notifications", {
    notification: {
      name: "Template",
      tags: [],
      brand: null,
      subscription: null,
      routing: null,
      content: { version: "2022-01-01", elements: [{ type: "text", content: "Hi {{name}}", id: "e1" }] },
    },
    state: "PUBLISHED",
  });
  const provider = await make("POST", "/providers", { provider: "capture-sms", title: "Texts" });
  await make("PUT", "/events/order", { id: template.id, type: "notification" });
  await make("PUT", "/translations/default/fr", 'msgid "a"\nmsgstr "b"\n');
  const sent = await make("POST", "/send", { message: { to: { user_id: "ann" }, template: template.id } });
  return {
    templateId: template.id,
    providerId: provider.id,
    messageId: sent.requestId,
    requestId: sent.requestId,
    elementId: "e1",
  };
}

const PATCH = { patch: [{ op: "add", path: "/nick", value: { a: [1] }, from: null }] };
const RECIPIENTS = { recipients: [{ recipientId: "ann", preferences: { notifications: {} } }] };
const TOKEN = {
  provider_key: "expo",
  device: { app_id: "a", platform: "ios" },
  expiry_date: false,
  properties: { a: 1 },
  tracking: { ip: "::1" },
};

function bodies({ templateId }: Things): { readonly [route: string]: unknown } {
  const content = {
    version: "2022-01-01",
    elements: [
      { type: "meta", title: "Title {{name}}" },
      {
        type: "text",
        content: "Hello **{{name}}**",
        id: "e1",
        if: "data.a == 1",
        loop: "data.list",
        channels: ["email"],
      },
      { type: "action", content: "Go", href: "https://example.com/{{id}}", style: "button" },
      { type: "group", elements: [{ type: "text", content: "inner" }] },
      { type: "image", src: "https://example.com/a.png" },
      {
        type: "list",
        list_type: "ordered",
        elements: [{ type: "list-item", elements: [{ type: "string", content: "x" }] }],
      },
    ],
  };
  const notification = {
    notification: {
      name: "Template",
      tags: ["a"],
      brand: { id: "b" },
      subscription: { topic_id: "t" },
      routing: null,
      content,
    },
    state: "DRAFT",
  };
  const graphql = {
    query:
      "query Q($a: String, $n: Int) { count(params: {accountId: $a}) messages(limit: $n) { nodes { messageId } } }",
    variables: { a: "acme", n: 5 },
    operationName: "Q",
  };
  const subscriptions = { name: "News", preferences: { notifications: { t: { status: "OPTED_IN" } } } };
  return {
    "POST /send": {
      message: {
        to: [
          {
            user_id: "ann",
            email: "ann@example.com",
            phone_number: "+15550100",
            locale: "en_US",
            data: { name: "Ann" },
            preferences: { notifications: { t: { status: "OPTED_IN" } } },
            context: { tenant_id: "acme" },
            webhook: { url: "http://127.0.0.1:9/" },
            slack: { email: "a@example.com", access_token: "x" },
          },
        ],
        content,
        data: { name: "Ann", a: 1, list: [1, 2], deep: { er: true } },
        brand_id: "b",
        routing: { method: "all", channels: ["email", "inbox", { method: "single", channels: ["sms", "push"] }] },
        channels: {
          email: {
            if: "data.a == 1",
            override: { subject: "{{name}}", headers: { a: "b" } },
            providers: ["capture-email"],
            routing_method: "single",
            metadata: { utm: { source: "s" } },
            timeouts: { channel: 1000, provider: 500 },
            timeout: 1000,
          },
        },
        providers: { "capture-email": { if: "true", override: { body: { x: "{{name}}" } }, timeouts: 100 } },
        timeout: { message: 10000, channel: { email: 100 }, provider: 100 },
        delay: { duration: 0, timezone: "Europe/Berlin" },
        expiry: { expires_in: "P1D", expires_at: "2036-01-01T00:00:00Z" },
        metadata: { event: "e", tags: ["a"], trace_id: "t", utm: { medium: "m" } },
        preferences: { subscription_topic_id: "t" },
        context: { tenant_id: "acme" },
      },
    },
    "POST /profiles/:user_id": { profile: { name: "Ann", address: { city: "B" } } },
    "PUT /profiles/:user_id": { profile: { email: "ann@example.com", list: [1, "a"] } },
    "PATCH /profiles/:user_id": PATCH,
    "POST /profiles/:user_id/lists": { lists: [{ listId: "news", preferences: { notifications: {} } }] },
    "PUT /lists/:list_id": subscriptions,
    "PUT /lists/:list_id/restore": {},
    "POST /lists/:list_id/subscriptions": RECIPIENTS,
    "PUT /lists/:list_id/subscriptions": RECIPIENTS,
    "PUT /lists/:list_id/subscriptions/:user_id": { preferences: { notifications: {} } },
    "PUT /users/:user_id/tokens": { tokens: [{ token: "t1", ...TOKEN }] },
    "PUT /users/:user_id/tokens/:token": { ...TOKEN, token: "t1" },
    "PATCH /users/:user_id/tokens/:token": { patch: [{ op: "replace", path: "/properties", value: { a: 2 } }] },
    "PUT /users/:user_id/tenants": { tenants: [{ tenant_id: "acme", profile: { a: 1 } }] },
    "PUT /users/:user_id/tenants/:tenant_id": { profile: { a: 1 } },
    "PUT /tenants/:tenant_id": {
      name: "Acme",
      parent_tenant_id: null,
      brand_id: "b",
      default_preferences: { items: [] },
      properties: { a: 1 },
      user_profile: { locale: "en" },
    },
    "POST /notifications": notification,
    "PUT /notifications/:id": notification,
    "PUT /notifications/:id/content": { content, state: "DRAFT" },
    "PUT /notifications/:id/elements/:element_id": { type: "text", content: "x", state: "DRAFT" },
    "PUT /notifications/:id/locales/:locale_id": { elements: [{ id: "e1", content: "y" }], state: "DRAFT" },
    "POST /notifications/:id/publish": { version: "v001" },
    "POST /providers": {
      provider: "smtp",
      title: "T",
      alias: "a",
      settings: { host: "127.0.0.1", port: 9, secure: false, starttls: "off", from: "a@b.c" },
    },
    "PUT /providers/:provider_id": { provider: "capture-sms", title: "T", settings: { from: "x" } },
    "PUT /events/:event_id": { id: templateId, type: "notification" },
    "PUT /translations/:domain/:locale": 'msgid "a"\nmsgstr "b"\n',
    "POST /inbound/courier": { event: "order", messageId: "m1", properties: { a: 1 }, type: "track", userId: "ann" },
    "POST /auth/issue-token": { scope: "user_id:ann inbox:read:messages", expires_in: "1 hour" },
    "POST /q": graphql,
    "POST /client/q": graphql,
    "POST /e/:id": { event: "CLICKED" },
    "POST /client/identify/:user_id": { profile: { name: "Ann" } },
    "POST /client/q/client/identify/:user_id": { profile: { name: "Ann" } },
    "POST /messages/:message_id/cancel": {},
    "POST /messages/:message_id/resend": {},
    "PUT /requests/:request_id/archive": {},
    "PUT /client/lists/:list_id/subscribe/:user_id": {},
    "PUT /client/q/client/lists/:list_id/subscribe/:user_id": {},
  };
}

/** Parameters that name the things that exist. */
export function pathOf(url: string, things: Things): string {
  const value: { readonly [name: string]: string } = {
    user_id: "ann",
    list_id: "news",
    tenant_id: "acme",
    token: "t1",
    message_id: things.messageId,
    request_id: things.requestId,
    provider_id: things.providerId,
    element_id: things.elementId,
    locale_id: "fr",
    event_id: "order",
    domain: "default",
    locale: "fr",
    channel_id: "email",
    part: "html",
  };
  const template = url.startsWith("/notifications/") ? things.templateId : "x";
  return url.replace(/:(\w+)/g, (_, name: string) => value[name] ?? (name === "id" ? template : "x"));
}

/** A valid call for every route that takes a body. Routes that answer 501 get any body. */
export function validCalls(routes: readonly Route[], things: Things): readonly ValidCall[] {
  const known = bodies(things);
  return routes
    .filter(({ method }) => method !== "GET" && method !== "DELETE")
    .map(({ method, url }) => ({ method, url, path: pathOf(url, things), body: known[`${method} ${url}`] ?? {} }));
}

/** Routes of which nothing is known here: a new one must be given its example. */
export function unknownRoutes(routes: readonly Route[], things: Things, answering501: ReadonlySet<string>): string[] {
  const known = bodies(things);
  return routes
    .filter(({ method }) => method !== "GET" && method !== "DELETE")
    .map(({ method, url }) => `${method} ${url}`)
    .filter((name) => !Object.hasOwn(known, name) && !answering501.has(name));
}

/** Headers that a route's valid call needs besides the secret key. */
export const ACTING_FOR_ANN = { "x-courier-user-id": "ann" };
