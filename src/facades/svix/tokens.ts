/**
 * Tokens that act for one application: of its portal, for hours or days, and of integrations and pollers, until they are
 * rotated. What a token may do is a document, read at most once a second for each token in use.
 *
 *   kind `portal-token:<application>`   id: the token's, so the oldest come first; codes are kept here, too
 *   kind `service-token:<application>`  id: the integration's or the poller's; all of its tokens that are still good
 *   kind `signed-token-end`             id: when it expires, and a hash: signed tokens that logged out
 *   kind `signed-token-cutoff`          id: the application's: signed tokens of it that were all ended
 */
import { createHash } from "node:crypto";
import type { Document, Environment, EnvironmentId } from "../../engine/model.ts";
import type { DocumentStore, Page } from "../../engine/ports.ts";
import type { AppEndpointId, AppId } from "../../engine/webhooks/model.ts";
import { Turns } from "../../engine/webhooks/turns.ts";
import type { Clock, Millis } from "../../lib/clock.ts";
import { type Id, newId } from "../../lib/ids.ts";
import type { JsonObject } from "../../lib/json.ts";
import { Lru } from "../../lib/lru.ts";
import { CAPABILITIES, type Capability } from "./access.ts";
import { SvixError } from "./errors.ts";
import { idsIn, kindOfToken, tokenText } from "./token-text.ts";

export type TokenId = Id<"tok">;
export type IntegrationId = Id<"itg">;

/** What the portal may be opened with. */
export interface PortalGrant {
  readonly appId: AppId;
  /** Null: all. */
  readonly capabilities: readonly Capability[] | null;
  readonly featureFlags: readonly string[];
  readonly sessionId: string | null;
  readonly expiresAt: Millis;
}

/** Whoever has a standing token: an integration, or an endpoint that is a poller. */
export type Holder =
  | {
      readonly kind: "integration";
      readonly appId: AppId;
      readonly id: IntegrationId;
      readonly featureFlags: readonly string[];
    }
  | { readonly kind: "poller"; readonly appId: AppId; readonly id: AppEndpointId };

export interface ServiceToken {
  readonly id: TokenId;
  readonly text: string;
  readonly createdAt: Millis;
  /** Null: until it is rotated. */
  readonly expiresAt: Millis | null;
}

/** What a token is good for. */
export type Granted =
  | (PortalGrant & { readonly kind: "portal"; readonly id: TokenId })
  | {
      readonly kind: "integration" | "poller";
      readonly id: TokenId;
      readonly appId: AppId;
      readonly endpointId: AppEndpointId | null;
      readonly featureFlags: readonly string[] | null;
      readonly expiresAt: Millis | null;
    };

const PORTAL = "portal-token";
const SERVICE = "service-token";
const SIGNED_END = "signed-token-end";
const SIGNED_CUTOFF = "signed-token-cutoff";

/** For so long a token that another process ended may still be good here. */
const TRUSTED_MS = 1_000;
const CACHED = 10_000;
const PAGE = 200;
/** Expired ones thrown away with each that is made: more than are made, so that they never pile up. */
const SWEPT_AT_ONCE = 4;
/** Old tokens of one holder that are still good; one more drops the one that ends first. */
const MAX_OLD_TOKENS = 10;
const MAX_CUTOFFS = 16;
const TRIES = 100;

type Cached<T> = { readonly value: T; readonly until: Millis };

export class AccessTokens {
  readonly #documents: DocumentStore;
  readonly #clock: Clock;
  readonly #granted = new Lru<string, Cached<Granted | null>>(CACHED);
  readonly #ended = new Lru<string, Cached<boolean>>(CACHED);
  readonly #turns = new Turns();
  /** How often tokens were ended here: what was read before the last time is not kept. */
  #ends = 0;

  constructor({ documents, clock }: { readonly documents: DocumentStore; readonly clock: Clock }) {
    this.#documents = documents;
    this.#clock = clock;
  }

  // ——— reading ———

  /** What the token is good for, as far as it was looked up within the last second; undefined when it has to be. */
  recall(text: string): Granted | null | undefined {
    const cached = this.#granted.get(text);
    const now = this.#clock.now();
    if (cached === undefined || cached.until <= now) return undefined;
    return cached.value !== null && isOver(cached.value.expiresAt, now) ? null : cached.value;
  }

  /** @param environment the one whose id is in the token. @returns null when it is not, or no longer, good. */
  async find(environment: Environment, text: string): Promise<Granted | null> {
    const recalled = this.recall(text);
    if (recalled !== undefined) return recalled;
    const kind = kindOfToken(text);
    const ids = kind === null || kind === "code" ? null : idsIn(kind, environment, text);
    if (kind === null || kind === "code" || ids === null) return null;
    const ends = this.#ends;
    const found =
      kind === "portal"
        ? await this.#findPortal(environment.id, ids[0] as AppId, ids[1] as TokenId)
        : await this.#findService(environment.id, kind, ids[0] as AppId, ids[1] as Holder["id"], ids[2] as TokenId);
    const now = this.#clock.now();
    if (ends === this.#ends) this.#granted.set(text, { value: found, until: now + TRUSTED_MS });
    return found === null || isOver(found.expiresAt, now) ? null : found;
  }

  async #findPortal(environmentId: EnvironmentId, appId: AppId, id: TokenId): Promise<Granted | null> {
    const document = await this.#documents.read(environmentId, kindOf(PORTAL, appId), id);
    const body = document === null ? null : readPortal(document.body);
    return body === null || body.use !== "token" ? null : { kind: "portal", id, ...grantIn(appId, body) };
  }

  async #findService(
    environmentId: EnvironmentId,
    kind: Holder["kind"],
    appId: AppId,
    holder: Holder["id"],
    id: TokenId,
  ): Promise<Granted | null> {
    const document = await this.#documents.read(environmentId, kindOf(SERVICE, appId), holder);
    if (document === null) return null;
    const { tokens, featureFlags } = readService(document.body);
    const kept = tokens.find((token) => token.id === id);
    if (kept === undefined) return null;
    const endpointId = kind === "poller" ? (holder as AppEndpointId) : null;
    return {
      kind,
      id,
      appId,
      endpointId,
      featureFlags: kind === "poller" ? null : featureFlags,
      expiresAt: kept.expiresAt,
    };
  }

  // ——— the portal ———

  /** A token for the portal and a code that can be swapped for another one, once. Both are good after this resolves. */
  async openPortal(
    environment: Environment,
    grant: PortalGrant,
  ): Promise<{ readonly token: string; readonly code: string }> {
    const now = this.#clock.now();
    await this.#sweep(environment.id, kindOf(PORTAL, grant.appId), now, (_id, body) => readPortal(body).expiresAt);
    const [token, code] = [newId("tok", now), newId("tok", now)];
    const kind = kindOf(PORTAL, grant.appId);
    await this.#documents.write(
      environment.id,
      [
        { kind, id: token, body: portalBody("token", grant, now), expect: "absent" },
        { kind, id: code, body: portalBody("code", grant, now), expect: "absent" },
      ],
      now,
    );
    return {
      token: tokenText("portal", environment, [grant.appId, token]),
      code: tokenText("code", environment, [grant.appId, code]),
    };
  }

  /** Swaps a code for a token. @returns null when it is none, is used or is over. */
  async redeem(
    environment: Environment,
    code: string,
  ): Promise<{ readonly token: string; readonly grant: PortalGrant } | null> {
    const ids = idsIn("code", environment, code);
    if (ids === null) return null;
    const [appId, id] = ids as [AppId, TokenId];
    const kind = kindOf(PORTAL, appId);
    const document = await this.#documents.read(environment.id, kind, id);
    if (document === null) return null;
    const body = readPortal(document.body);
    const now = this.#clock.now();
    if (body.use !== "code" || isOver(body.expiresAt, now)) return null;
    const token = newId("tok", now);
    // Of any number of callers one finds the version it has read.
    const written = await this.#documents.write(
      environment.id,
      [
        { kind, id, body: null, expect: document.version },
        { kind, id: token, body: { ...document.body, use: "token" }, expect: "absent" },
      ],
      now,
    );
    if (written === null) return null;
    return { token: tokenText("portal", environment, [appId, token]), grant: grantIn(appId, body) };
  }

  /** Ends one token of the portal. Other processes may take it for good a second longer. */
  async endPortal(environmentId: EnvironmentId, appId: AppId, id: TokenId, text: string): Promise<void> {
    await this.#documents.write(
      environmentId,
      [{ kind: kindOf(PORTAL, appId), id, body: null, expect: "any" }],
      this.#clock.now(),
    );
    this.#ends++;
    this.#granted.delete(text);
  }

  /**
   * Ends all tokens and codes of an application's portal that there are now, or those of some sessions.
   * @param at when they end.
   */
  async endAll(
    environmentId: EnvironmentId,
    appId: AppId,
    sessionIds: ReadonlySet<string> | null,
    at: Millis,
  ): Promise<void> {
    const now = this.#clock.now();
    const asked = ({ sessionId, issuedAt, expiresAt }: PortalBody): boolean =>
      issuedAt <= now && expiresAt > at && (sessionIds === null || (sessionId !== null && sessionIds.has(sessionId)));
    await this.#turns.run(`${environmentId} ${appId}`, async () => {
      let tries = 0;
      // One that has changed meanwhile may be a code that was swapped for a token behind our back: look again.
      while (!(await this.#endThose(environmentId, appId, asked, now, at))) {
        if (++tries === TRIES)
          throw new SvixError(409, "conflict", "The application's tokens change too fast; try again");
      }
      if (sessionIds === null) await this.#cutSigned(environmentId, appId, now, at);
    });
    this.#forget();
  }

  /** To be called after tokens nobody can name have ended. */
  #forget(): void {
    this.#ends++;
    this.#granted.clear();
    this.#ended.clear();
  }

  /** @returns false when some have changed meanwhile. */
  async #endThose(
    environmentId: EnvironmentId,
    appId: AppId,
    asked: (token: PortalBody) => boolean,
    now: Millis,
    at: Millis,
  ): Promise<boolean> {
    const kind = kindOf(PORTAL, appId);
    let complete = true;
    let after: string | null = null;
    do {
      const page: Page<Document> = await this.#documents.list(environmentId, kind, { limit: PAGE, after });
      for (const { id, version, body } of page.items) {
        if (!asked(readPortal(body))) continue;
        const left = at <= now ? null : { ...body, expiresAt: at };
        const write = { kind, id, body: left, expect: version };
        if ((await this.#documents.write(environmentId, [write], now)) === null) complete = false;
      }
      after = page.next;
    } while (after !== null);
    return complete;
  }

  // ——— integrations and pollers ———

  /** The holder's newest token that is still good, or null. */
  async current(environment: Environment, holder: Holder): Promise<ServiceToken | null> {
    const document = await this.#documents.read(environment.id, kindOf(SERVICE, holder.appId), holder.id);
    const now = this.#clock.now();
    const kept = document === null ? [] : readService(document.body).tokens;
    const newest = kept.findLast((token) => !isOver(token.expiresAt, now));
    return newest === undefined ? null : withText(environment, holder, newest);
  }

  /**
   * Makes a new token of the holder; those it had end.
   * @param graceMs how long the earlier ones stay good. @param lifeMs of the new one; null: for ever.
   */
  async rotate(
    environment: Environment,
    holder: Holder,
    { graceMs = 0, lifeMs = null }: { readonly graceMs?: Millis; readonly lifeMs?: Millis | null } = {},
  ): Promise<ServiceToken> {
    const now = this.#clock.now();
    const fresh: KeptToken = {
      id: newId("tok", now),
      createdAt: now,
      expiresAt: lifeMs === null ? null : now + lifeMs,
    };
    await this.#changeService(environment.id, holder, (tokens) => {
      const until = now + graceMs;
      const old =
        graceMs === 0 ? [] : tokens.map((token) => ({ ...token, expiresAt: earlier(token.expiresAt, until) }));
      return [...old.filter((token) => !isOver(token.expiresAt, now)).slice(-MAX_OLD_TOKENS), fresh];
    });
    return withText(environment, holder, fresh);
  }

  /** To be called when the holder's feature flags have changed; does nothing when it has no token. */
  async refresh(environmentId: EnvironmentId, holder: Holder): Promise<void> {
    if ((await this.#documents.read(environmentId, kindOf(SERVICE, holder.appId), holder.id)) === null) return;
    await this.#changeService(environmentId, holder, (tokens) => tokens);
  }

  /** Ends all tokens of the holder. */
  async drop(environmentId: EnvironmentId, holder: Pick<Holder, "appId" | "id">): Promise<void> {
    await this.#documents.write(
      environmentId,
      [{ kind: kindOf(SERVICE, holder.appId), id: holder.id, body: null, expect: "any" }],
      this.#clock.now(),
    );
    this.#forget();
  }

  #changeService(
    environmentId: EnvironmentId,
    holder: Holder,
    change: (tokens: readonly KeptToken[]) => readonly KeptToken[],
  ): Promise<void> {
    return this.#turns.run(`${environmentId} ${holder.id}`, () => this.#writeService(environmentId, holder, change));
  }

  async #writeService(
    environmentId: EnvironmentId,
    holder: Holder,
    change: (tokens: readonly KeptToken[]) => readonly KeptToken[],
  ): Promise<void> {
    const kind = kindOf(SERVICE, holder.appId);
    for (let i = 0; i < TRIES; i++) {
      const document = await this.#documents.read(environmentId, kind, holder.id);
      const tokens = document === null ? [] : readService(document.body).tokens;
      const body = {
        holder: holder.kind,
        featureFlags: holder.kind === "integration" ? holder.featureFlags : null,
        tokens: change(tokens).map((token) => ({ ...token })),
      };
      const expect = document === null ? ("absent" as const) : document.version;
      const write = { kind, id: holder.id, body, expect };
      if ((await this.#documents.write(environmentId, [write], this.#clock.now())) !== null) {
        this.#forget();
        return;
      }
    }
    throw new SvixError(409, "conflict", "The token is being changed by others; try again");
  }

  // ——— tokens that others have signed ———

  /** Whether a signed token of an application was ended before its time. */
  async isEnded(
    environmentId: EnvironmentId,
    token: {
      readonly hash: string;
      readonly appId: AppId;
      readonly issuedAt: Millis;
      readonly expiresAt: Millis | null;
    },
  ): Promise<boolean> {
    const now = this.#clock.now();
    const cached = this.#ended.get(token.hash);
    if (cached !== undefined && cached.until > now) return cached.value;
    const ends = this.#ends;
    const [end, cutoff] = await this.#documents.readMany(environmentId, [
      { kind: SIGNED_END, id: endId(token) },
      { kind: SIGNED_CUTOFF, id: token.appId },
    ]);
    const cut = cutoffsIn(cutoff?.body).some(({ issuedBefore, at }) => token.issuedAt < issuedBefore && at <= now);
    const value = (end ?? null) !== null || cut;
    if (ends === this.#ends) this.#ended.set(token.hash, { value, until: now + TRUSTED_MS });
    return value;
  }

  async endSigned(
    environmentId: EnvironmentId,
    token: { readonly hash: string; readonly expiresAt: Millis | null },
  ): Promise<void> {
    const now = this.#clock.now();
    await this.#sweep(environmentId, SIGNED_END, now, (id) => Number(id.slice(0, END_DIGITS)));
    const write = { kind: SIGNED_END, id: endId(token), body: {}, expect: "any" as const };
    await this.#documents.write(environmentId, [write], now);
    this.#ends++;
    this.#ended.delete(token.hash);
  }

  async #cutSigned(environmentId: EnvironmentId, appId: AppId, now: Millis, at: Millis): Promise<void> {
    for (let i = 0; i < TRIES; i++) {
      const document = await this.#documents.read(environmentId, SIGNED_CUTOFF, appId);
      const cutoffs = withCutoff(cutoffsIn(document?.body), { issuedBefore: now + 1, at }, now);
      const expect = document === null ? ("absent" as const) : document.version;
      const write = {
        kind: SIGNED_CUTOFF,
        id: appId,
        body: { cutoffs: cutoffs.map((cutoff) => ({ ...cutoff })) },
        expect,
      };
      if ((await this.#documents.write(environmentId, [write], now)) !== null) return;
    }
    throw new SvixError(409, "conflict", "The application's tokens are being ended by others; try again");
  }

  /** Throws away a few of a kind's oldest documents if their time is over. */
  async #sweep(
    environmentId: EnvironmentId,
    kind: string,
    now: Millis,
    endOf: (id: string, body: JsonObject) => Millis,
  ): Promise<void> {
    const { items } = await this.#documents.list(environmentId, kind, { limit: SWEPT_AT_ONCE, after: null });
    const over = items.filter(({ id, body }) => endOf(id, body) <= now);
    if (over.length === 0) return;
    // Another process that sweeps the same does no harm.
    const writes = over.map(({ id }) => ({ kind, id, body: null, expect: "any" as const }));
    await this.#documents.write(environmentId, writes, now);
  }
}

// ——— what documents hold —————————————————————————————————————————————————————————————————————————————————————————

interface PortalBody {
  readonly use: "token" | "code";
  readonly capabilities: readonly Capability[] | null;
  readonly featureFlags: readonly string[];
  readonly sessionId: string | null;
  readonly issuedAt: Millis;
  readonly expiresAt: Millis;
}

interface KeptToken {
  readonly id: TokenId;
  readonly createdAt: Millis;
  readonly expiresAt: Millis | null;
}

/** Ends tokens issued earlier than `issuedBefore`, from `at` on. In a list both rise. */
interface Cutoff {
  readonly issuedBefore: Millis;
  readonly at: Millis;
}

function portalBody(use: PortalBody["use"], grant: PortalGrant, issuedAt: Millis): JsonObject {
  const { capabilities, featureFlags, sessionId, expiresAt } = grant;
  return { use, capabilities, featureFlags, sessionId, issuedAt, expiresAt };
}

// Documents of these kinds are written in this file only.
function readPortal(body: JsonObject): PortalBody {
  return body as unknown as PortalBody;
}

function readService(body: JsonObject): {
  readonly tokens: readonly KeptToken[];
  readonly featureFlags: readonly string[];
} {
  return body as unknown as { tokens: readonly KeptToken[]; featureFlags: readonly string[] };
}

function cutoffsIn(body: JsonObject | undefined): readonly Cutoff[] {
  return (body?.cutoffs as unknown as readonly Cutoff[] | undefined) ?? [];
}

/** What others end no later is left out, and a long list is shortened by ending some a little early. */
function withCutoff(cutoffs: readonly Cutoff[], added: Cutoff, now: Millis): readonly Cutoff[] {
  const list = [...cutoffs.filter(({ at }) => at < added.at), added];
  const inForce = list.findLastIndex(({ at }) => at <= now);
  const kept = list.slice(Math.max(0, inForce));
  while (kept.length > MAX_CUTOFFS) {
    const [first, second] = kept.splice(0, 2) as [Cutoff, Cutoff];
    kept.unshift({ issuedBefore: second.issuedBefore, at: first.at });
  }
  return kept;
}

function grantIn(appId: AppId, { capabilities, featureFlags, sessionId, expiresAt }: PortalBody): PortalGrant {
  const known = capabilities?.filter((name) => CAPABILITIES.includes(name)) ?? null;
  return { appId, capabilities: known, featureFlags, sessionId, expiresAt };
}

function withText(environment: Environment, holder: Holder, token: KeptToken): ServiceToken {
  return { ...token, text: tokenText(holder.kind, environment, [holder.appId, holder.id, token.id]) };
}

function kindOf(kind: string, appId: AppId): string {
  return `${kind}:${appId}`;
}

const END_DIGITS = 16;

/** Begins with the time, so that those whose time is over come first. */
function endId(token: { readonly hash: string; readonly expiresAt: Millis | null }): string {
  const end = token.expiresAt ?? Number.MAX_SAFE_INTEGER;
  return `${String(Math.min(end, Number.MAX_SAFE_INTEGER)).padStart(END_DIGITS, "0")}-${token.hash}`;
}

/** What a signed token is known by. */
export function tokenHash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function isOver(expiresAt: Millis | null, now: Millis): boolean {
  return expiresAt !== null && expiresAt <= now;
}

function earlier(a: Millis | null, b: Millis): Millis {
  return a === null ? b : Math.min(a, b);
}
