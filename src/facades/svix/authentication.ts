/**
 * From `Authorization: Bearer …` to a `Caller`:
 *
 *   a secret key of the environment        its organisation
 *   appsk_… integsk_… sk_poll_…            what tokens.ts says
 *   three parts joined by dots             a token signed with the operator's secret: `sub` is `org_…`, or `app_…` of `org`
 */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Environment, EnvironmentId } from "../../engine/model.ts";
import type { Principal } from "../../http/principal.ts";
import { equal } from "../../http/user-token.ts";
import { fromHex } from "../../lib/ids.ts";
import { Lru } from "../../lib/lru.ts";
import { admit, type Caller, type Callers } from "./access.ts";
import { insufficientAccess, SvixError, unauthenticated } from "./errors.ts";
import { fromKsuid, isKsuid, ksuid } from "./ids.ts";
import { isCurrent, LEEWAY_MS, looksSigned, type SignedClaims, verifySigned } from "./jwt.ts";
import type { Svix } from "./svix.ts";
import { environmentIn, kindOfToken } from "./token-text.ts";
import { type Granted, tokenHash } from "./tokens.ts";

const BEARER = /^bearer +(\S+) *$/i;
const MAX_TOKEN_LENGTH = 16_384;
const CACHED = 10_000;
const SIGNING_SECRET = /^wh(?:sec|sk|pk)1?_/;

/** Must be called before the routes of the scope are registered. */
export function addAuthentication(scope: FastifyInstance, svix: Svix): void {
  const authentication = new Authentication(svix);
  scope.decorateRequest("svixCaller", null);
  scope.addHook("onRequest", (request, _reply, done) => {
    // A path that does not exist is told of to anyone.
    if (request.is404) return done();
    const callers = request.routeOptions.config.callers as Callers;
    if (callers === "anyone") return done();
    const known = authentication.recall(request.headers.authorization);
    if (known !== undefined) {
      let error: Error | undefined;
      try {
        admit(callers, known);
        request.svixCaller = known;
      } catch (refused) {
        error = refused as Error;
      }
      return done(error);
    }
    authentication
      .identify(request.headers.authorization)
      .then((caller) => {
        admit(callers, caller);
        request.svixCaller = caller;
        done();
      })
      .catch(done);
  });
}

/** The token that a request carries. */
export function bearerOf(request: FastifyRequest): string {
  return tokenIn(request.headers.authorization) ?? "";
}

interface SignedToken {
  readonly claims: SignedClaims;
  readonly caller: Caller;
}

class Authentication {
  readonly #svix: Svix;
  readonly #signed = new Lru<string, SignedToken>(CACHED);
  readonly #organisations = new WeakMap<Principal, Caller>();
  readonly #granted = new WeakMap<Granted, Caller>();

  constructor(svix: Svix) {
    this.#svix = svix;
  }

  /** Who calls, if that is known without asking anyone: nearly every call. */
  recall(header: string | undefined): Caller | undefined {
    const token = tokenIn(header);
    if (token === null) return undefined;
    const principal = this.#svix.recallPrincipal(token);
    if (principal?.kind === "secret" && principal.mode !== "mock") return this.#organisationOf(principal);
    const kind = kindOfToken(token);
    if (kind !== null) {
      const granted = this.#svix.tokens.recall(token);
      return granted === null || granted === undefined ? undefined : this.#granted.get(granted);
    }
    const signed = this.#signed.get(token);
    if (signed === undefined || signed.caller.kind !== "organisation") return undefined;
    return isCurrent(signed.claims, this.#svix.clock.now()) ? signed.caller : undefined;
  }

  /** @throws SvixError 401, 403, or 400 for a signed token whose ids are none. */
  async identify(header: string | undefined): Promise<Caller> {
    const token = tokenIn(header);
    if (token === null) throw unauthenticated();
    const kind = kindOfToken(token);
    if (kind !== null && kind !== "code") {
      const id = environmentIn(kind, token);
      const environment = id === null ? undefined : await environmentNamed(this.#svix, id, token);
      const granted = environment === undefined ? null : await this.#svix.tokens.find(environment, token);
      if (environment !== undefined && granted !== null) return this.#callerOf(environment, granted);
    }
    const { jwtSecret } = this.#svix.settings;
    if (jwtSecret !== null && looksSigned(token)) return await this.#signedCaller(token, jwtSecret);
    if (SIGNING_SECRET.test(token) || (jwtSecret !== null && equal(token, jwtSecret))) {
      throw unauthenticated("This is the secret that signs, not a token; make a token with it");
    }
    const principal = await this.#svix.findPrincipal(token);
    if (principal?.kind !== "secret") throw unauthenticated();
    if (principal.mode === "mock")
      throw insufficientAccess("A key for trials sends nothing; webhooks need another one");
    return this.#organisationOf(principal);
  }

  #organisationOf(principal: Principal & { readonly kind: "secret" }): Caller {
    const known = this.#organisations.get(principal);
    if (known !== undefined) return known;
    const { environment } = principal;
    const caller = organisation(environment, ksuid("org", environment.id), "opaque", principal.keyId);
    this.#organisations.set(principal, caller);
    return caller;
  }

  #callerOf(environment: Environment, granted: Granted): Caller {
    const known = this.#granted.get(granted);
    if (known !== undefined) return known;
    const portal = granted.kind === "portal" ? granted : null;
    const caller: Caller = {
      environment,
      kind: portal === null ? (granted.kind as "integration" | "poller") : "application",
      orgId: ksuid("org", environment.id),
      appId: granted.appId,
      endpointId: granted.kind === "portal" ? null : granted.endpointId,
      capabilities: portal?.capabilities == null ? null : new Set(portal.capabilities),
      featureFlags: granted.featureFlags === null ? null : new Set(granted.featureFlags),
      sessionId: portal?.sessionId ?? null,
      source: "opaque",
      tokenId: granted.id,
      expiresAt: null,
    };
    this.#granted.set(granted, caller);
    return caller;
  }

  // ——— signed tokens ———

  async #signedCaller(token: string, secret: string): Promise<Caller> {
    const signed = this.#signed.get(token) ?? (await this.#readSigned(token, secret));
    if (!isCurrent(signed.claims, this.#svix.clock.now())) throw unauthenticated();
    const { caller } = signed;
    if (caller.appId !== null) {
      const { issuedAt } = signed.claims;
      const asked = { hash: caller.tokenId, appId: caller.appId, issuedAt, expiresAt: caller.expiresAt };
      if (await this.#svix.tokens.isEnded(caller.environment.id, asked)) throw unauthenticated();
    }
    this.#signed.set(token, signed);
    return caller;
  }

  async #readSigned(token: string, secret: string): Promise<SignedToken> {
    const claims = verifySigned(token, secret);
    if (claims === "invalid") throw unauthenticated();
    if (claims === "no-subject") throw unauthenticated("Invalid token: it has no `sub`");
    // Nothing is made for a token whose time is over.
    if (!isCurrent(claims, this.#svix.clock.now())) throw unauthenticated();
    const { subject, organisation: org, featureFlags } = claims;
    if (isKsuid("org", subject)) {
      const environment = await this.#environmentOfOrganisation(subject);
      return { claims, caller: organisation(environment, subject, "signed", tokenHash(token)) };
    }
    if (!isKsuid("app", subject)) throw badToken("`sub` is neither the id of an organisation nor of an application");
    if (org === null || !isKsuid("org", org)) throw badToken("`org` is not the id of an organisation");
    const appId = fromKsuid("app", "app", subject);
    if (appId === null) throw unauthenticated();
    const environment = await this.#environmentOfOrganisation(org);
    const caller: Caller = {
      ...organisation(environment, org, "signed", tokenHash(token)),
      kind: "application",
      appId,
      featureFlags: new Set(featureFlags),
      expiresAt: claims.expiresAt === null ? null : claims.expiresAt + LEEWAY_MS,
    };
    return { claims, caller };
  }

  /** Organisations need no registration: any in a token that is signed well is an environment, from its first call on. */
  async #environmentOfOrganisation(org: string): Promise<Environment> {
    const own = fromKsuid("org", "env", org);
    const known = own === null ? undefined : await environmentNamed(this.#svix, own, org);
    if (known !== undefined) return known;
    if (own !== null) throw unauthenticated();
    const id = environmentIdOf(org);
    return (await environmentNamed(this.#svix, id, org)) ?? (await this.#svix.openEnvironment(id, org));
  }
}

/**
 * The environment that a credential names.
 * @param credential what names it. @returns undefined when there is none.
 */
export async function environmentNamed(
  svix: Svix,
  id: EnvironmentId,
  credential: string,
): Promise<Environment | undefined> {
  const known = svix.environmentById(id);
  if (known !== undefined) return known;
  // Asking for a credential that nobody knows makes this process look for environments that another one has made.
  await svix.findPrincipal(credential);
  return svix.environmentById(id);
}

/** The environment of an organisation that has its id from elsewhere: every process finds the same. */
export function environmentIdOf(org: string): EnvironmentId {
  return fromHex("env", tokenHash(`svix organisation ${org}`).slice(0, 32));
}

function organisation(environment: Environment, orgId: string, source: Caller["source"], tokenId: string): Caller {
  return {
    environment,
    kind: "organisation",
    orgId,
    appId: null,
    endpointId: null,
    capabilities: null,
    featureFlags: null,
    sessionId: null,
    source,
    tokenId,
    expiresAt: null,
  };
}

function badToken(detail: string): SvixError {
  return new SvixError(400, "bad_token", detail);
}

function tokenIn(header: string | undefined): string | null {
  if (header === undefined || header.length > MAX_TOKEN_LENGTH) return null;
  return BEARER.exec(header)?.[1] ?? null;
}
