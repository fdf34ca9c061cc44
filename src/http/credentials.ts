/**
 * Keys and who they stand for, and the first environment, which exists before anyone can ask for one.
 *
 * Keys are kept as hashes. Only what was generated for the first environment is also kept in the clear, in
 * `credentials.json` of the data directory, readable by its owner alone, because somebody has to be able to look it up.
 */
import { createHash, randomBytes } from "node:crypto";
import type { ApiKey, Environment, EnvironmentId, KeyMode } from "../engine/model.ts";
import type { EnvironmentStore } from "../engine/ports.ts";
import type { Clock, Millis } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import { Lru } from "../lib/lru.ts";
import type { Principal } from "./principal.ts";
import { looksLikeUserToken, type UserTokenClaims, verifyUserToken } from "./user-token.ts";

/** For so long a key revoked in another process may still be accepted by this one. */
const KEY_TRUSTED_MS = 5_000;
/** How often, at most, an unknown publishable key or environment makes us ask the database for new environments. */
const REFRESH_EVERY_MS = 1_000;
const CACHED_KEYS = 1_000;
const CACHED_TOKENS = 10_000;
/** Longer than any key that was ever handed out; hashing more is work for nothing. */
const MAX_KEY_LENGTH = 4_096;

export class Credentials {
  readonly #store: EnvironmentStore;
  readonly #clock: Clock;
  #byId = new Map<string, Environment>();
  #byPublicKey = new Map<string, Environment>();
  #byAppCode = new Map<string, Environment>();
  #refreshedAt: Millis = Number.NEGATIVE_INFINITY;
  readonly #keys = new Lru<string, { readonly principal: Principal; readonly until: Millis }>(CACHED_KEYS);
  readonly #tokens = new Lru<string, { readonly claims: UserTokenClaims; readonly signedWith: string }>(CACHED_TOKENS);

  constructor(store: EnvironmentStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Reads all environments; to be awaited once before anything else is asked. */
  async refresh(): Promise<void> {
    this.#refreshedAt = this.#clock.now();
    const environments = await this.#store.environments();
    this.#byId = new Map(environments.map((environment) => [environment.id, environment]));
    this.#byPublicKey = new Map(environments.map((environment) => [environment.publicKey, environment]));
    this.#byAppCode = new Map(environments.map((environment) => [environment.appCode, environment]));
  }

  /** Null for an unknown code. Rejects only if the database cannot be asked. */
  async environmentByAppCode(code: string): Promise<Environment | null> {
    const known = this.#byAppCode.get(code);
    if (known !== undefined) return known;
    return (await this.#refreshIfOld()) ? (this.#byAppCode.get(code) ?? null) : null;
  }

  environmentById(id: string): Environment | undefined {
    return this.#byId.get(id);
  }

  /**
   * Who a secret key, a publishable key or a user token stands for; null for anything unknown, revoked or expired.
   * Rejects only if the database cannot be asked.
   */
  async findPrincipal(credential: string): Promise<Principal | null> {
    if (credential === "") return null;
    if (looksLikeUserToken(credential)) {
      const user = await this.#userOf(credential);
      if (user !== null) return user;
    }
    if (credential.length > MAX_KEY_LENGTH) return null;
    const publicOf = this.#byPublicKey.get(credential);
    if (publicOf !== undefined) return { kind: "public", environment: publicOf };
    const principal = await this.#holderOf(credential);
    if (principal !== null) return principal;
    // It may be the publishable key of an environment that another process made.
    if (!(await this.#refreshIfOld())) return null;
    const found = this.#byPublicKey.get(credential);
    return found === undefined ? null : { kind: "public", environment: found };
  }

  /** The principal of a secret key found within `KEY_TRUSTED_MS`; undefined when `findPrincipal` has to be asked. */
  recallPrincipal(credential: string | undefined): Principal | undefined {
    const cached = credential === undefined ? undefined : this.#keys.get(credential);
    return cached !== undefined && cached.until > this.#clock.now() ? cached.principal : undefined;
  }

  /** Keeps a new key. @returns it together with its text, which cannot be had again. */
  async createKey(environmentId: EnvironmentId, mode: KeyMode): Promise<{ key: ApiKey; text: string }> {
    const text = newSecretKey(mode);
    const key = apiKey(environmentId, mode, text, this.#clock.now());
    await this.#store.addKey(key);
    return { key, text };
  }

  /** Another process may accept the key for `KEY_TRUSTED_MS` more. @returns false when there is no such key. */
  async revokeKey(environmentId: EnvironmentId, id: ApiKey["id"]): Promise<boolean> {
    const revoked = await this.#store.revokeKey(environmentId, id, this.#clock.now());
    this.#keys.clear();
    return revoked;
  }

  async #holderOf(text: string): Promise<Principal | null> {
    const recalled = this.recallPrincipal(text);
    if (recalled !== undefined) return recalled;
    const key = await this.#store.findKey(hashOf(text));
    const environment =
      key === null || key.revokedAt !== null ? undefined : await this.#environmentOf(key.environmentId);
    if (key === null || environment === undefined) {
      this.#keys.delete(text);
      return null;
    }
    const principal = { kind: "secret" as const, environment, mode: key.mode, keyId: key.id };
    this.#keys.set(text, { principal, until: this.#clock.now() + KEY_TRUSTED_MS });
    return principal;
  }

  async #userOf(token: string): Promise<Principal | null> {
    const claims = this.#claimsOf(token) ?? ((await this.#refreshIfOld()) ? this.#claimsOf(token) : null);
    if (claims === null || claims.expiresAt <= this.#clock.now()) return null;
    const environment = this.#byId.get(claims.environmentId);
    if (environment === undefined) return null;
    const { userIds, scopes, expiresAt } = claims;
    return { kind: "user", environment, userIds, scopes, expiresAt };
  }

  #claimsOf(token: string): UserTokenClaims | null {
    const cached = this.#tokens.get(token);
    if (cached !== undefined && this.#byId.get(cached.claims.environmentId)?.signingSecret === cached.signedWith) {
      return cached.claims;
    }
    const claims = verifyUserToken(token, (id) => this.#byId.get(id));
    const signedWith = claims === null ? undefined : this.#byId.get(claims.environmentId)?.signingSecret;
    if (claims === null || signedWith === undefined) return null;
    this.#tokens.set(token, { claims, signedWith });
    return claims;
  }

  async #environmentOf(id: EnvironmentId): Promise<Environment | undefined> {
    if (!this.#byId.has(id)) await this.#refreshIfOld();
    return this.#byId.get(id);
  }

  async #refreshIfOld(): Promise<boolean> {
    if (this.#clock.now() - this.#refreshedAt < REFRESH_EVERY_MS) return false;
    await this.refresh();
    return true;
  }
}

const KEY_PREFIX: { readonly [mode in KeyMode]: string } = { published: "pk", draft: "dk", mock: "mk" };

/** A fresh key of 160 random bits, named for its mode as Courier names its keys. */
export function newSecretKey(mode: KeyMode): string {
  return `${KEY_PREFIX[mode]}_prod_${randomText(32)}`;
}

/** The row to keep of a key; the key itself is not in it. */
export function apiKey(environmentId: EnvironmentId, mode: KeyMode, text: string, now: Millis): ApiKey {
  return {
    id: newId("key", now),
    environmentId,
    mode,
    hash: hashOf(text),
    hint: text.slice(-4),
    createdAt: now,
    revokedAt: null,
  };
}

export function hashOf(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

/** In the alphabet of Crockford's base32, upper case; 5 random bits a character. */
export function randomText(length: number): string {
  return Array.from(randomBytes(length), (byte) => "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[byte & 31]).join("");
}
