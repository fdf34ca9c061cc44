/** Device tokens: where a user's push messages go. Phones register them with a user token of their own. */
import type { FastifyRequest } from "fastify";
import Type, { type Static } from "typebox";
import type { DeviceToken } from "../../engine/model.ts";
import { Refusal } from "../../engine/refusal.ts";
import { bodyOf } from "../../http/body.ts";
import type { Millis } from "../../lib/clock.ts";
import type { JsonObject } from "../../lib/json.ts";
import { environmentOf } from "./auth.ts";
import type { Routes } from "./courier.ts";
import { notFound } from "./errors.ts";
import { applyPatch, PatchBody } from "./json-patch.ts";
import { AnyObject, checkId, checkText, Maybe, OneOf, parseIso, toIso } from "./wire.ts";

const MAX_TOKEN_LENGTH = 1_024;
/** What a patch of one token may move about. */
const MAX_PATCH_CHARS = 100_000;

const READ = { access: "user", scope: "read:user-tokens" } as const;
const WRITE = { access: "user", scope: "write:user-tokens" } as const;

const Token = {
  provider_key: OneOf(["firebase-fcm", "apn", "expo", "onesignal"]),
  device: Maybe(AnyObject),
  expiry_date: Maybe(Type.Union([Type.String(), Type.Boolean()])),
  properties: Maybe(AnyObject),
  tracking: Maybe(AnyObject),
};
const TokenBody = Type.Object({ ...Token, token: Maybe(Type.String()) });
const NamedToken = Type.Object({ ...Token, token: Type.String() });

const tokenBody = bodyOf(TokenBody);
const tokensBody = bodyOf(Type.Object({ tokens: Type.Array(NamedToken) }));
const patchBody = bodyOf(PatchBody);

export const tokenRoutes: Routes = (app, { engine }) => {
  const { directory, clock } = engine;

  app.get("/users/:user_id/tokens", { config: READ }, async (request) => {
    const tokens = await directory.tokens(environmentOf(request).id, userOf(request));
    return { tokens: tokens.map(showToken) };
  });

  app.put("/users/:user_id/tokens", { config: WRITE }, async (request, reply) => {
    const userId = userOf(request);
    const { tokens } = tokensBody(Array.isArray(request.body) ? { tokens: request.body } : request.body);
    const now = clock.now();
    const rows = tokens.map((body, i) => toDeviceToken(userId, body.token, body, now, `tokens.${i}.`));
    await directory.putTokens(environmentOf(request).id, rows);
    return reply.code(204).send();
  });

  app.get("/users/:user_id/tokens/:token", { config: READ }, async (request) => showToken(await existing(request)));

  app.put("/users/:user_id/tokens/:token", { config: WRITE }, async (request, reply) => {
    const token = tokenOf(request);
    const body = tokenBody(request.body);
    if (body.token !== undefined && body.token !== null && body.token !== token) throw otherToken();
    const environmentId = environmentOf(request).id;
    await directory.putTokens(environmentId, [toDeviceToken(userOf(request), token, body, clock.now())]);
    return reply.code(204).send();
  });

  app.patch("/users/:user_id/tokens/:token", { config: WRITE }, async (request, reply) => {
    const { patch } = patchBody(request.body);
    const token = tokenOf(request);
    const now = clock.now();
    const changed = await directory.modifyToken(environmentOf(request).id, userOf(request), token, (old) => {
      const patched = tokenBody(applyPatch(writable(old), patch, MAX_PATCH_CHARS));
      if (patched.token !== old.token) throw otherToken();
      const { state, stateReason, createdAt } = old;
      return { ...toDeviceToken(old.userId, old.token, patched, now), state, stateReason, createdAt };
    });
    if (changed === null) throw notFound("Token", token.slice(0, 100));
    return reply.code(204).send();
  });

  app.delete("/users/:user_id/tokens/:token", { config: WRITE }, async (request, reply) => {
    await directory.deleteToken(environmentOf(request).id, userOf(request), tokenOf(request));
    return reply.code(204).send();
  });

  async function existing(request: FastifyRequest): Promise<DeviceToken> {
    const token = tokenOf(request);
    const found = await directory.readToken(environmentOf(request).id, userOf(request), token);
    if (found === null) throw notFound("Token", token.slice(0, 100));
    return found;
  }
};

/**
 * A token that is put is new again, whatever became of it before.
 * @param parent what goes before the names of fields in messages, with its dot.
 */
function toDeviceToken(
  userId: string,
  token: string,
  body: Static<typeof TokenBody>,
  now: Millis,
  parent = "",
): DeviceToken {
  return {
    token: checkToken(`${parent}token`, token),
    userId,
    provider: body.provider_key,
    state: "active",
    stateReason: null,
    expiresAt: expiryOf(body.expiry_date, now, `${parent}expiry_date`),
    device: body.device ?? null,
    properties: body.properties ?? null,
    tracking: body.tracking ?? null,
    createdAt: now,
    updatedAt: now,
  };
}

/** @returns null for never. Without a date, two months from now. */
function expiryOf(date: string | boolean | null | undefined, now: Millis, field: string): Millis | null {
  if (date === false) return null;
  if (date === undefined || date === null) {
    const end = new Date(now);
    end.setUTCMonth(end.getUTCMonth() + 2);
    return end.getTime();
  }
  const at = date === true ? null : parseIso(date);
  if (at !== null) return at;
  throw new Refusal("invalid", `${field}: Expected an ISO 8601 date or false`, { field });
}

/** The fields a client writes, as it writes them: what a patch is applied to. */
function writable(token: DeviceToken): JsonObject {
  return {
    token: token.token,
    provider_key: token.provider,
    expiry_date: token.expiresAt === null ? false : toIso(token.expiresAt),
    ...(token.device === null ? {} : { device: token.device }),
    ...(token.properties === null ? {} : { properties: token.properties }),
    ...(token.tracking === null ? {} : { tracking: token.tracking }),
  };
}

function showToken(token: DeviceToken): JsonObject {
  return {
    ...writable(token),
    status: token.state,
    ...(token.stateReason === null ? {} : { status_reason: token.stateReason }),
  };
}

function otherToken(): Refusal {
  return new Refusal("invalid", "token: Expected the token of the path; it cannot change", { field: "token" });
}

function userOf(request: FastifyRequest): string {
  return checkId("user_id", (request.params as { user_id: string }).user_id);
}

function tokenOf(request: FastifyRequest): string {
  return checkToken("token", (request.params as { token: string }).token);
}

function checkToken(field: string, token: string): string {
  if (token === "" || token.length > MAX_TOKEN_LENGTH) {
    throw new Refusal("invalid", `${field}: Expected 1 to ${MAX_TOKEN_LENGTH} characters`, { field });
  }
  return checkText(field, token);
}
