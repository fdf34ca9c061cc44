/**
 * Tokens that narrow a public key to one user: JWT, RS256, signed with a key pair whose public half the operator gave us
 * through `/admin`. Verified with `node:crypto`: one check of a signature that takes some tens of microseconds, in the
 * path of a browser's call.
 */
import { createPublicKey, type KeyObject, verify } from "node:crypto";
import type { EnvironmentId } from "../../engine/model.ts";
import type { Bus, DocumentStore } from "../../engine/ports.ts";
import { FACADE_SETTINGS, KNOCK_SIGNING_KEY } from "../../http/facade-documents.ts";
import type { Clock, Millis } from "../../lib/clock.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { Lru } from "../../lib/lru.ts";
import { type Grants, readGrants } from "./grants.ts";

/** A user whose token was checked. */
export interface TokenUser {
  readonly id: string;
  readonly grants: Grants;
}

/** What the environment asks of public keys. */
export interface Security {
  /** Every call needs a token. */
  readonly enhanced: boolean;
  readonly keys: readonly KeyObject[];
}

interface Verified {
  readonly user: TokenUser;
  readonly expiresAt: Millis | null;
  readonly notBefore: Millis | null;
  /** The keys it was verified with; others may have come or gone since. */
  readonly keys: readonly KeyObject[];
}

/** Clocks of whoever signs may differ from ours by so much. */
const LEEWAY_MS = 30_000;
/** Another process may have changed the settings; this process hears of its own changes at once. */
const STALE_AFTER_MS = 1_000;
const MAX_KEYS = 20;
const MAX_TOKEN_LENGTH = 16_384;
const CACHED = 10_000;
const MAX_USER_ID = 256;

export class UserTokens {
  readonly #documents: DocumentStore;
  readonly #clock: Clock;
  readonly #security = new Map<EnvironmentId, { readonly value: Promise<Security>; readonly readAt: Millis }>();
  readonly #verified = new Lru<string, Verified>(CACHED);

  constructor(options: {
    readonly documents: DocumentStore;
    readonly clock: Clock;
    readonly bus: Pick<Bus, "onChanged">;
  }) {
    this.#documents = options.documents;
    this.#clock = options.clock;
    options.bus.onChanged((environmentId, kind) => {
      if (kind === KNOCK_SIGNING_KEY || kind === FACADE_SETTINGS) this.#security.delete(environmentId);
    });
  }

  /** From memory, at most a second old. Rejects only if the database does. */
  security(environmentId: EnvironmentId): Promise<Security> {
    const now = this.#clock.now();
    const held = this.#security.get(environmentId);
    if (held !== undefined && now - held.readAt < STALE_AFTER_MS) return held.value;
    const value = this.#read(environmentId);
    const mine = { value, readAt: now };
    this.#security.set(environmentId, mine);
    value.catch(() => {
      if (this.#security.get(environmentId) === mine) this.#security.delete(environmentId);
    });
    return value;
  }

  async #read(environmentId: EnvironmentId): Promise<Security> {
    const [settings, keys] = await Promise.all([
      this.#documents.read(environmentId, FACADE_SETTINGS, "knock"),
      // The newest ones: a key that was rotated out long ago has had its time.
      this.#documents.list(environmentId, KNOCK_SIGNING_KEY, { limit: MAX_KEYS, newestFirst: true }),
    ]);
    return {
      enhanced: settings?.body.enhanced_security === true,
      keys: keys.items.map(({ body }) => createPublicKey(body.publicKey as string)),
    };
  }

  /** @returns null for a token that none of the keys signed, that is over, or that is not valid yet. */
  verify(environmentId: EnvironmentId, { keys }: Security, token: string): TokenUser | null {
    const id = `${environmentId} ${token}`;
    let found = this.#verified.get(id);
    if (found === undefined || found.keys !== keys) {
      const fresh = readToken(token, keys);
      if (fresh === null) return null;
      found = fresh;
      this.#verified.set(id, found);
    }
    const now = this.#clock.now();
    if (found.expiresAt !== null && found.expiresAt + LEEWAY_MS <= now) return null;
    if (found.notBefore !== null && found.notBefore - LEEWAY_MS > now) return null;
    return found.user;
  }
}

/** Form, signature and claims; times are compared by the caller. */
function readToken(token: string, keys: readonly KeyObject[]): Verified | null {
  if (token.length > MAX_TOKEN_LENGTH || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return null;
  const [header, payload, signature] = token.split(".") as [string, string, string];
  const head = decode(header);
  // `none`, and HMAC with our public key as the secret, are the two classic forgeries.
  if (head?.alg !== "RS256" || head.crit !== undefined) return null;
  const signed = Buffer.from(`${header}.${payload}`);
  const bytes = Buffer.from(signature, "base64url");
  if (!keys.some((key) => verify("RSA-SHA256", signed, key, bytes))) return null;
  const claims = decode(payload);
  if (claims === null) return null;
  const { sub, exp, nbf } = claims;
  if (typeof sub !== "string" || sub === "" || sub.length > MAX_USER_ID) return null;
  if (!isMoment(exp) || !isMoment(nbf)) return null;
  const grants = readGrants(claims, sub);
  if (grants === null) return null;
  return { user: { id: sub, grants }, expiresAt: millis(exp), notBefore: millis(nbf), keys };
}

/** Seconds; absent means no such limit. */
function isMoment(value: unknown): value is number | null | undefined {
  return value === undefined || value === null || (typeof value === "number" && Number.isFinite(value));
}

function millis(seconds: number | null | undefined): Millis | null {
  return seconds === undefined || seconds === null ? null : seconds * 1000;
}

function decode(part: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString());
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}
