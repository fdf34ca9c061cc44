/**
 * Settings of single facades that their vendors keep in a dashboard. Each facade reads its own; what is kept for one that
 * this version does not serve waits for the one that does.
 */
import { createPublicKey } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import Type from "typebox";
import { Refusal } from "../engine/refusal.ts";
import { bodyOf } from "../http/body.ts";
import { isId, newId } from "../lib/ids.ts";
import type { JsonObject } from "../lib/json.ts";
import { type Admin, listQuery, queryOf } from "./contract.ts";

/** Keys that sign the tokens of Knock's users. Id is ours; body `{ publicKey }`, PEM. */
export const KNOCK_SIGNING_KEY = "knock-signing-key";
/** One document a facade, with its name as id. */
export const FACADE_SETTINGS = "facade-settings";

const keyBody = bodyOf(Type.Object({ public_key: Type.String({ maxLength: 10_000 }) }));
const knockBody = bodyOf(Type.Object({ enhanced_security: Type.Boolean() }));
const pushwooshBody = bodyOf(Type.Object({ require_device_token: Type.Boolean() }));

export function facadeSettingsRoutes(app: FastifyInstance, { engine: { documents, clock } }: Admin): void {
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
    app.get(
      path,
      async (request) => (await documents.read(environmentIn(request), FACADE_SETTINGS, facade))?.body ?? unset,
    );
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
  settings("/admin/pushwoosh", "pushwoosh", { require_device_token: false }, (body) => {
    return { require_device_token: pushwooshBody(body).require_device_token };
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
