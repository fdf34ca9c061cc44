/** What else Knock's vendor keeps in a dashboard: variables of templates, and the preferences everybody begins with. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import Type from "typebox";
import type { Document } from "../engine/model.ts";
import { Refusal } from "../engine/refusal.ts";
import { DEFAULT_PREFERENCES, VARIABLE } from "../engine/workflow/model.ts";
import { checkPreferenceSet } from "../engine/workflow/preference-checks.ts";
import { bodyOf } from "../http/body.ts";
import type { Json, JsonObject } from "../lib/json.ts";
import type { Admin } from "./contract.ts";

const PREFERENCES_ID = "default";
/** Every run reads all of them. */
const MAX_VARIABLES = 500;
const MAX_CHARS = 100_000;
const KEY = /^[A-Za-z_][A-Za-z0-9_-]{0,254}$/;

const variableBody = bodyOf(
  Type.Object({
    value: Type.Unknown(),
    secret: Type.Optional(Type.Boolean()),
    description: Type.Optional(Type.Union([Type.String({ maxLength: 1_000 }), Type.Null()])),
  }),
);

interface Keyed {
  readonly key: string;
}

export function knockVariableRoutes(app: FastifyInstance, { engine: { documents, clock } }: Admin): void {
  const environmentIn = (request: FastifyRequest) => request.operator.environment.id;

  app.get("/admin/knock/variables", async (request) => {
    const { items } = await documents.list(environmentIn(request), VARIABLE, { limit: MAX_VARIABLES });
    return { items: items.map(showVariable) };
  });

  app.put<{ Params: Keyed }>("/admin/knock/variables/:key", async (request) => {
    const key = keyIn(request.params.key);
    const { value, secret = false, description = null } = variableBody(request.body);
    const text = JSON.stringify(value);
    if (text.length > MAX_CHARS || text.includes("\\u0000")) {
      throw new Refusal("invalid", `value: Expected at most ${MAX_CHARS} characters of JSON, none of them NUL`, {
        field: "value",
      });
    }
    const environmentId = environmentIn(request);
    const { items } = await documents.list(environmentId, VARIABLE, { limit: MAX_VARIABLES });
    const old = items.find(({ id }) => id === key);
    if (old === undefined && items.length === MAX_VARIABLES) {
      throw new Refusal("conflict", `There are ${MAX_VARIABLES} variables already`);
    }
    const body = { value: value as Json, secret, description };
    const now = clock.now();
    await documents.write(environmentId, [{ kind: VARIABLE, id: key, body, expect: "any" }], now);
    const createdAt = old?.createdAt ?? now;
    return showVariable({ kind: VARIABLE, id: key, body, version: 0, createdAt, updatedAt: now });
  });

  app.delete<{ Params: Keyed }>("/admin/knock/variables/:key", async (request, reply) => {
    const { key } = request.params;
    const environmentId = environmentIn(request);
    const known = KEY.test(key) && (await documents.read(environmentId, VARIABLE, key)) !== null;
    if (!known) throw new Refusal("not_found", "There is no such variable");
    await documents.write(environmentId, [{ kind: VARIABLE, id: key, body: null, expect: "any" }], clock.now());
    return reply.code(204).send();
  });

  app.get("/admin/knock/preferences", async (request) => {
    return (await documents.read(environmentIn(request), DEFAULT_PREFERENCES, PREFERENCES_ID))?.body ?? {};
  });

  app.put("/admin/knock/preferences", async (request) => {
    const body = checkPreferenceSet(request.body ?? {}, "") as JsonObject;
    const write = { kind: DEFAULT_PREFERENCES, id: PREFERENCES_ID, body, expect: "any" } as const;
    await documents.write(environmentIn(request), [write], clock.now());
    return body;
  });
}

function keyIn(key: string): string {
  if (KEY.test(key)) return key;
  throw new Refusal("invalid", `key: Expected a name that matches ${KEY.source}`, { field: "key" });
}

/** A secret is never shown again. */
function showVariable({ id, body, createdAt, updatedAt }: Document): JsonObject {
  return {
    key: id,
    value: body.secret === true ? null : (body.value ?? null),
    secret: body.secret === true,
    description: body.description ?? null,
    created_at: new Date(createdAt).toISOString(),
    updated_at: new Date(updatedAt).toISOString(),
  };
}
