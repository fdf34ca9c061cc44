/** Tokens that let a browser or a phone act for certain users: JWT, HS256, signed with the environment's own secret. */
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import type { Environment } from "../engine/model.ts";
import type { Millis } from "../lib/clock.ts";
import { isObject, type JsonObject } from "../lib/json.ts";

export interface UserTokenClaims {
  /** Of the environment that signed it. */
  readonly environmentId: string;
  readonly userIds: readonly string[];
  /** All items of the claim, those that name users included. */
  readonly scopes: readonly string[];
  readonly expiresAt: Millis;
}

const HEADER = encode({ alg: "HS256", typ: "JWT" });
const USER_SCOPE = "user_id:";
/** A token of ours with a hundred users fits; beyond it someone feeds us garbage. */
const MAX_TOKEN_LENGTH = 16_384;

/** @param scope items separated by single spaces, as they go into the claim. */
export function signUserToken(environment: Environment, scope: string, now: Millis, expiresAt: Millis): string {
  const body = `${HEADER}.${encode({
    scope,
    tenant_id: environment.id,
    tenant_scope: "published/production",
    iat: Math.floor(now / 1000),
    // Not cut to whole seconds: a token for one second lives for one second. The JWT standard allows fractions.
    exp: expiresAt / 1000,
    jti: randomUUID(),
  })}`;
  return `${body}.${sign(body, environment.signingSecret)}`;
}

/** Three parts joined by dots; no key of ours looks like that. */
export function looksLikeUserToken(credential: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(credential);
}

/**
 * Checks form and signature, not the time: the caller compares `expiresAt` with its clock at each use.
 * @param find the environment that a token claims to be of.
 * @returns null for anything we did not sign.
 */
export function verifyUserToken(
  token: string,
  find: (environmentId: string) => Environment | undefined,
): UserTokenClaims | null {
  if (token.length > MAX_TOKEN_LENGTH) return null;
  const [header, payload, signature] = token.split(".") as [string, string, string];
  // `alg` decides nothing here, but a token that says `none` was not made by us.
  if (decode(header)?.alg !== "HS256") return null;
  const claims = decode(payload);
  if (claims === null || typeof claims.tenant_id !== "string" || typeof claims.scope !== "string") return null;
  if (typeof claims.exp !== "number") return null;
  const environment = find(claims.tenant_id);
  if (environment === undefined || !equal(sign(`${header}.${payload}`, environment.signingSecret), signature)) {
    return null;
  }
  const scopes = claims.scope.split(" ").filter((item) => item !== "");
  return {
    environmentId: environment.id,
    userIds: scopes.filter((item) => item.startsWith(USER_SCOPE)).map((item) => item.slice(USER_SCOPE.length)),
    scopes,
    expiresAt: Math.round(claims.exp * 1000),
  };
}

/** Compares in a time that does not depend on where they differ. */
export function equal(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

function sign(body: string, secret: string): string {
  return createHmac("sha256", Buffer.from(secret, "base64url")).update(body).digest("base64url");
}

function encode(value: JsonObject): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function decode(part: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString());
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}
