/** What operators, the dashboard and the CLI ask, under `/admin`, with an environment's secret key as bearer. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import Type from "typebox";
import type { Captured, Environment } from "../engine/model.ts";
import { CHANNELS, type Channel, type KeyId } from "../engine/model.ts";
import { Refusal } from "../engine/refusal.ts";
import { apiUrls } from "../http/api-urls.ts";
import { bodyOf } from "../http/body.ts";
import type { Credentials } from "../http/credentials.ts";
import { createEnvironment, FIRST_ENVIRONMENT_ID } from "../http/environments.ts";
import type { Principal } from "../http/principal.ts";
import { fromHex, isId } from "../lib/ids.ts";
import { type Admin, listQuery, queryOf } from "./contract.ts";
import { facadeSettingsRoutes } from "./facade-settings.ts";
import { listenRoutes } from "./listen.ts";
import { openApi } from "./openapi.ts";
import { OUTBOUND_WEBHOOKS, webhookAddressRoutes } from "./webhook-addresses.ts";

const MODES = ["published", "draft", "mock"] as const;
const Mode = Type.Unsafe<(typeof MODES)[number]>({ type: "string", enum: MODES });

const environmentBody = bodyOf(
  Type.Object({ name: Type.String({ minLength: 1, maxLength: 200 }), mode: Type.Optional(Mode) }),
);
const keyBody = bodyOf(Type.Object({ mode: Type.Optional(Mode) }));

/** Registers `/admin` and `/openapi.json` in a scope of their own. */
export function adminRoutes(app: FastifyInstance, admin: Admin): void {
  app.get("/openapi.json", () => openApi(admin.publicUrl, admin.listen !== undefined));
  app.register(async (scope) => {
    // Set for every request by the hook below; null never meets a handler.
    scope.decorateRequest("operator", null as never);
    scope.addHook("onRequest", async (request) => {
      request.operator = await operatorOf(request, admin.credentials);
    });
    capturedRoutes(scope, admin);
    environmentRoutes(scope, admin);
    keyRoutes(scope, admin);
    webhookAddressRoutes(scope, admin, OUTBOUND_WEBHOOKS);
    facadeSettingsRoutes(scope, admin);
    if (admin.listen !== undefined) listenRoutes(scope, admin.listen);
    scope.get("/admin/client-config", (request) => {
      const { publicKey, appCode, feedId } = request.operator.environment;
      return { public_key: publicKey, app_code: appCode, feed_id: feedId, apiUrls: apiUrls(admin.publicUrl) };
    });
  });
}

async function operatorOf(
  request: FastifyRequest,
  credentials: Credentials,
): Promise<Principal & { readonly kind: "secret" }> {
  const [, key] = /^Bearer\s+(\S+)\s*$/i.exec(request.headers.authorization ?? "") ?? [];
  const principal = key === undefined ? null : await credentials.findPrincipal(key);
  if (principal === null) throw new Refusal("unauthenticated", "Expected the secret key as bearer token");
  if (principal.kind !== "secret") throw new Refusal("forbidden", "This needs the secret key");
  return principal;
}

// ——— what the stand-in providers kept ————————————————————————————————————————————————————————————————————————————

function capturedRoutes(app: FastifyInstance, { engine }: Admin): void {
  app.get("/admin/captured", async (request) => {
    const query = queryOf(request);
    const page = await engine.captured.list(
      request.operator.environment.id,
      { ...channelIn(query.channel), ...messageIn(query.message_id) },
      listQuery(query),
    );
    return { items: page.items.map(showCaptured), next: page.next };
  });

  app.delete("/admin/captured", async (request, reply) => {
    await engine.captured.clear(request.operator.environment.id);
    return reply.code(204).send();
  });
}

function channelIn(text: string | undefined): { channel?: Channel } {
  if (text === undefined) return {};
  const channel = CHANNELS.find((name) => name === text);
  if (channel !== undefined) return { channel };
  throw new Refusal("invalid", `channel: Expected one of ${CHANNELS.join(", ")}`, { field: "channel" });
}

/** A message's id as we spell it, or as Courier's clients see it: `1-<8 hex>-<24 hex>`. */
function messageIn(text: string | undefined): { messageId?: Captured["messageId"] } {
  if (text === undefined) return {};
  if (isId("msg", text)) return { messageId: text };
  const [, seconds, rest] = /^1-([0-9a-f]{8})-([0-9a-f]{24})$/.exec(text) ?? [];
  if (seconds !== undefined && rest !== undefined) return { messageId: fromHex("msg", seconds + rest) };
  throw new Refusal("invalid", "message_id: Expected the id of a message", { field: "message_id" });
}

function showCaptured(captured: Captured) {
  return {
    id: captured.id,
    message_id: captured.messageId,
    delivery_id: captured.deliveryId,
    channel: captured.channel,
    provider: captured.provider,
    address: captured.address,
    payload: captured.payload,
    at: new Date(captured.at).toISOString(),
  };
}

// ——— environments and keys ———————————————————————————————————————————————————————————————————————————————————————

function environmentRoutes(app: FastifyInstance, { engine, credentials }: Admin): void {
  app.get("/admin/environments", async (request) => {
    ofFirstEnvironment(request);
    return { items: (await engine.environments.environments()).map(showEnvironment) };
  });

  app.post("/admin/environments", async (request, reply) => {
    ofFirstEnvironment(request);
    const { name, mode } = environmentBody(request.body);
    const { environments, documents, clock } = engine;
    const made = await createEnvironment(environments, documents, clock, name, mode ?? "published");
    await credentials.refresh();
    return reply.code(201).send({ ...showEnvironment(made.environment), secret_key: made.secretKey });
  });
}

/** Environments share nothing, so that their keys must not see each other; the operator's own is the first one's. */
function ofFirstEnvironment(request: FastifyRequest): void {
  if (request.operator.environment.id === FIRST_ENVIRONMENT_ID) return;
  throw new Refusal("forbidden", "Environments are managed with a key of the first environment");
}

function showEnvironment(environment: Environment) {
  return {
    id: environment.id,
    name: environment.name,
    public_key: environment.publicKey,
    app_code: environment.appCode,
    feed_id: environment.feedId,
    created_at: new Date(environment.createdAt).toISOString(),
  };
}

function keyRoutes(app: FastifyInstance, { engine, credentials }: Admin): void {
  app.get("/admin/keys", async (request) => {
    const keys = await engine.environments.keys(request.operator.environment.id);
    return { items: keys.filter((key) => key.revokedAt === null).map(showKey) };
  });

  app.post("/admin/keys", async (request, reply) => {
    const { mode } = keyBody(request.body);
    const { key, text } = await credentials.createKey(request.operator.environment.id, mode ?? "published");
    return reply.code(201).send({ ...showKey(key), key: text });
  });

  app.delete("/admin/keys/:id", async (request, reply) => {
    const { id } = request.params as { id: string };
    const { environment, keyId } = request.operator;
    if (id === keyId) throw new Refusal("conflict", "A key cannot revoke itself; use another one");
    if (!isId("key", id) || !(await credentials.revokeKey(environment.id, id as KeyId))) {
      throw new Refusal("not_found", "There is no such key");
    }
    return reply.code(204).send();
  });
}

function showKey(key: { id: string; mode: string; hint: string; createdAt: number }) {
  return { id: key.id, mode: key.mode, hint: key.hint, created_at: new Date(key.createdAt).toISOString() };
}
