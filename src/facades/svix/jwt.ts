/** Tokens that operators sign themselves, as Svix's own server takes them: JWT, HS256. */
import { createHmac } from "node:crypto";
import { equal } from "../../http/user-token.ts";
import type { Millis } from "../../lib/clock.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";

/** Clocks differ. */
export const LEEWAY_MS = 15 * 60_000;
const MAX_LENGTH = 16_384;
const THREE_PARTS = /^[\w-]+\.[\w-]+\.[\w-]+$/;

export interface SignedClaims {
  readonly subject: string;
  /** Of tokens of applications: whose application it is. */
  readonly organisation: string | null;
  readonly featureFlags: readonly string[];
  /** 0 when it does not say. */
  readonly issuedAt: Millis;
  readonly notBefore: Millis | null;
  readonly expiresAt: Millis | null;
}

export function looksSigned(token: string): boolean {
  return THREE_PARTS.test(token);
}

/**
 * Checks form and signature, not the time (see `isCurrent`).
 * @returns why not instead of claims: `no-subject` for a token that is ours but names nobody.
 */
export function verifySigned(token: string, secret: string): SignedClaims | "invalid" | "no-subject" {
  if (token.length > MAX_LENGTH || !looksSigned(token)) return "invalid";
  const [header, payload, signature] = token.split(".") as [string, string, string];
  // `alg` decides nothing, but a token that says anything else was signed for someone else.
  if (decode(header)?.alg !== "HS256") return "invalid";
  const claims = decode(payload);
  const expected = createHmac("sha256", secret).update(`${header}.${payload}`).digest("base64url");
  if (claims === null || !equal(expected, signature)) return "invalid";
  const { sub, org, exp, nbf, iat, feature_flags: flags } = claims;
  if (![exp, nbf, iat].every(isTimeOrAbsent)) return "invalid";
  if (sub === undefined || sub === null || sub === "") return "no-subject";
  if (typeof sub !== "string" || (org !== undefined && org !== null && typeof org !== "string")) return "invalid";
  return {
    subject: sub,
    organisation: org ?? null,
    featureFlags: Array.isArray(flags) ? flags.filter((flag) => typeof flag === "string") : [],
    issuedAt: typeof iat === "number" ? iat * 1000 : 0,
    notBefore: typeof nbf === "number" ? nbf * 1000 : null,
    expiresAt: typeof exp === "number" ? exp * 1000 : null,
  };
}

export function isCurrent(claims: SignedClaims, now: Millis): boolean {
  if (claims.notBefore !== null && claims.notBefore > now + LEEWAY_MS) return false;
  return claims.expiresAt === null || claims.expiresAt > now - LEEWAY_MS;
}

function isTimeOrAbsent(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === "number" && Number.isFinite(value) && value >= 0);
}

function decode(part: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString());
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}
