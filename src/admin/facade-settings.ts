/**
 * Settings of single facades that their vendors keep in a dashboard. Each facade reads its own; what is kept for one that
 * this version does not serve waits for the one that does.
 */
import { createPublicKey } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import Type from "typebox";
import { Refusal } from "../engine/refusal.ts";
import { bodyOf } from "../http/body.ts";
import { FACADE_SETTINGS, INBOX_VISIBILITY, KNOCK_SIGNING_KEY } from "../http/facade-documents.ts";
import { ALL_SHOWN } from "../http/inbox-visibility.ts";
import { isId, newId } from "../lib/ids.ts";
import type { JsonObject } from "../lib/json.ts";
import { type Admin, listQuery, queryOf } from "./contract.ts";
import { knockChannelRoutes } from "./knock-channels.ts";
import { knockGuideOrderRoutes } from "./knock-guide-order.ts";
import { knockVariableRoutes } from "./knock-variables.ts";
import { KNOCK_WEBHOOKS, webhookAddressRoutes } from "./webhook-addresses.ts";

const keyBody = bodyOf(Type.Object({ public_key: Type.String({ maxLength: 10_000 }) }));
const knockBody = bodyOf(Type.Object({ enhanced_security: Type.Boolean() }));
const SHOWN = Type.Optional(Type.Union([Type.Literal("all"), Type.Literal("own")]));
const visibilityBody = bodyOf(Type.Object({ courier: SHOWN, knock: SHOWN, pushwoosh: SHOWN }));
const pushwooshBody = bodyOf(
  Type.Object({
    // Has to be said every time: whoever sets another one must not open the door with it.
    require_device_token: Type.Boolean(),
    propagate_user_removals: Type.Optional(Type.Boolean()),
    default_inbox_days: Type.Optional(Type.Union([Type.Integer({ minimum: 1, maximum: 30 }), Type.Null()])),
  }),
);

const PUSHWOOSH_UNSET = { require_device_token: false, propagate_user_removals: false, default_inbox_days: null };

export function facadeSettingsRoutes(app: FastifyInstance, admin: Admin): void {
  const { documents, clock } = admin.engine;
  knockChannelRoutes(app, admin);
  knockVariableRoutes(app, admin);
  webhookAddressRoutes(app, admin, KNOCK_WEBHOOKS);
  knockGuideOrderRoutes(app, admin);
  const environmentIn = (request: FastifyRequest) => request.operator.environment.id;

  app.get("/admin/knock/signing-keys", async (request) => {
    const page = await documents.list(environmentIn(request), KNOCK_SIGNING_KEY, listQuery(queryOf(request)));
    const items = page.items.map(({ id, body, createdAt }) => ({
      id,
      public_key: body.publicKey,
      created_at: new Date(createdAt).toISOString(),
    }));
    return { items, next: page.next };
  });

  app.post("/admin/knock/signing-keys", async (request, reply) => {
    const publicKey = checkRsaKey(keyBody(request.body).public_key);
    const now = clock.now();
    const id = newId("ksk", now);
    await documents.write(
      environmentIn(request),
      [{ kind: KNOCK_SIGNING_KEY, id, body: { publicKey }, expect: "absent" }],
      now,
    );
    return reply.code(201).send({ id, public_key: publicKey, created_at: new Date(now).toISOString() });
  });

  app.delete("/admin/knock/signing-keys/:id", async (request, reply) => {
    const { id } = request.params as { id: string };
    const known = isId("ksk", id) && (await documents.read(environmentIn(request), KNOCK_SIGNING_KEY, id)) !== null;
    if (!known) throw new Refusal("not_found", "There is no such signing key");
    await documents.write(
      environmentIn(request),
      [{ kind: KNOCK_SIGNING_KEY, id, body: null, expect: "any" }],
      clock.now(),
    );
    return reply.code(204).send();
  });

  const settings = (path: string, facade: string, unset: JsonObject, read: (body: unknown) => JsonObject): void => {
    app.get(path, async (request) => {
      const document = await documents.read(environmentIn(request), FACADE_SETTINGS, facade);
      return { ...unset, ...document?.body };
    });
    app.put(path, async (request) => {
      const body = read(request.body);
      await documents.write(
        environmentIn(request),
        [{ kind: FACADE_SETTINGS, id: facade, body, expect: "any" }],
        clock.now(),
      );
      return body;
    });
  };
  settings("/admin/knock/security", "knock", { enhanced_security: false }, (body) => {
    return { enhanced_security: knockBody(body).enhanced_security };
  });
  settings("/admin/inbox-visibility", INBOX_VISIBILITY, { ...ALL_SHOWN }, (body) => {
    const { courier = "all", knock = "all", pushwoosh = "all" } = visibilityBody(body);
    return { courier, knock, pushwoosh };
  });
  settings("/admin/pushwoosh", "pushwoosh", PUSHWOOSH_UNSET, (body) => {
    const { require_device_token, propagate_user_removals = false, default_inbox_days = null } = pushwooshBody(body);
    return { require_device_token, propagate_user_removals, default_inbox_days };
  });
}

/** @throws Refusal for what is no RSA public key. A private key is refused, so that none is ever kept. */
function checkRsaKey(text: string): string {
  const refuse = (cause?: unknown) =>
    new Refusal("invalid", "public_key: Expected an RSA public key in PEM", { field: "public_key", cause });
  if (!/^-----BEGIN (RSA )?PUBLIC KEY-----/.test(text.trim())) throw refuse();
  try {
    const key = createPublicKey(text);
    if (key.asymmetricKeyType !== "rsa") throw refuse();
    return key.export({ type: "spki", format: "pem" }).toString();
  } catch (error) {
    throw error instanceof Refusal ? error : refuse(error);
  }
}
