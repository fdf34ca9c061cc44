/**
 * Who may call what. Every route says in its `config` who its callers are; one that does not is refused when it is
 * registered, so that none is open by oversight:
 *
 *   "secret"          the secret key                                                      `SECRET`
 *   "management"      … and the same key as a service token                               `MANAGEMENT`
 *   { capability }    … and the public key, as far as its user token reaches              `client("user/read")`
 *   "anyone"          also without a key                                                  `ANYONE`
 *
 * On a route for clients, a `:user_id` in the path is held against the token here. What depends on a tenant or on an
 * object is asked by the handler: `requireUser`, `requireObject`.
 */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Environment, KeyMode } from "../../engine/model.ts";
import type { PartyRef } from "../../engine/workflow/model.ts";
import type { Principal } from "../../http/principal.ts";
import { KnockError, notAuthorized } from "./errors.ts";
import { allowsObject, allowsOwn, type Capability, tenantsWith } from "./grants.ts";
import type { Knock } from "./knock.ts";
import type { TokenUser } from "./user-tokens.ts";

export type Access = "secret" | "management" | "anyone" | { readonly capability: Capability | null };

/** Who makes a call. */
export interface Caller {
  readonly kind: "secret" | "public";
  readonly environment: Environment;
  readonly mode: KeyMode;
  /** Of a public key the user it was narrowed to; null: it may act for any. */
  readonly user: TokenUser | null;
}

/** What a client shows of itself, on HTTP or in the query of a socket. Empty counts as absent. */
export interface Presented {
  readonly apiKey: string | undefined;
  readonly userToken: string | undefined;
}

declare module "fastify" {
  interface FastifyRequest {
    /** Null on routes open to anyone. */
    knockCaller: Caller | null;
  }
  interface FastifyContextConfig {
    knock?: Access;
  }
}

export const SECRET = { config: { knock: "secret" } } as const;
export const MANAGEMENT = { config: { knock: "management" } } as const;
export const ANYONE = { config: { knock: "anyone" } } as const;

/** @param capability null where none is asked for but a token may be needed all the same. */
export function client(capability: Capability | null): { readonly config: { readonly knock: Access } } {
  return { config: { knock: { capability } } };
}

const BEARER = /^bearer +(\S+) *$/i;
const SERVICE_TOKEN = "knock_st_";

/** Must be called before the routes of the scope are registered. */
export function addAuthentication(scope: FastifyInstance, knock: Knock): void {
  scope.decorateRequest("knockCaller", null);
  scope.addHook("onRoute", ({ method, url, config }) => {
    if (config?.knock === undefined) throw new Error(`${method} ${url} does not say who may call it`);
  });
  scope.addHook("onRequest", (request, _reply, done) => {
    // A path that does not exist is told of to anyone.
    if (request.is404) return done();
    const access = request.routeOptions.config.knock as Access;
    if (access === "anyone") return done();
    // A key that was seen a moment ago need not be waited for; that is nearly every call of a server.
    const known = knock.recallPrincipal(bearerOf(request));
    if (known?.kind === "secret" && known.mode !== "mock") {
      request.knockCaller = ofSecretKey(known);
      return done();
    }
    identify(knock, { apiKey: bearerOf(request), userToken: header(request, "x-knock-user-token") }, access)
      .then((caller) => {
        admit(request, access, caller);
        request.knockCaller = caller;
        done();
      })
      .catch(done);
  });
}

/**
 * Who these credentials stand for, on a route for clients.
 * @throws KnockError 401 for a key that is unknown, or a token that is missing or not valid where one is needed.
 */
export function authorize(knock: Knock, presented: Presented): Promise<Caller> {
  return identify(knock, presented, { capability: null });
}

async function identify(knock: Knock, { apiKey, userToken }: Presented, access: Access): Promise<Caller> {
  if (!apiKey) throw unauthenticated("api_key_missing", "Expected an API key in the header Authorization: Bearer …");
  const principal = await holderOf(knock, apiKey, access);
  if (principal === null || principal.kind === "user") {
    throw unauthenticated("authentication_required", "The API key is not known, or was revoked");
  }
  if (principal.kind === "secret") return ofSecretKey(principal);
  if (typeof access === "string") {
    throw unauthenticated("incorrect_token_type", "A public key may not make this call; use the secret key");
  }
  const { environment } = principal;
  return { kind: "public", environment, mode: "published", user: await userOf(knock, environment, userToken) };
}

/** A service token is a secret key, plain or with the vendor's prefix for such tokens. */
async function holderOf(knock: Knock, apiKey: string, access: Access): Promise<Principal | null> {
  const principal = await knock.findPrincipal(apiKey);
  if (principal !== null || !apiKey.startsWith(SERVICE_TOKEN)) return principal;
  const inner = await knock.findPrincipal(apiKey.slice(SERVICE_TOKEN.length));
  if (inner?.kind !== "secret") return null;
  if (access === "management") return inner;
  throw unauthenticated("incorrect_token_type", "A service token may not make this call; use the secret key");
}

async function userOf(knock: Knock, environment: Environment, token: string | undefined): Promise<TokenUser | null> {
  const security = await knock.tokens.security(environment.id);
  if (!token) {
    if (!security.enhanced) return null;
    throw unauthenticated("missing_user_token", "This environment asks for a user token in X-Knock-User-Token");
  }
  if (security.keys.length === 0) {
    // A client that sends a token before anyone set up keys is not to be locked out by it.
    if (!security.enhanced) return null;
    throw unauthenticated("missing_jwt_signing_key", "This environment has no signing key to check user tokens with");
  }
  const user = knock.tokens.verify(environment.id, security, token);
  if (user === null) throw unauthenticated("invalid_user_token", "The user token is not valid, or has expired");
  return user;
}

/** @throws KnockError 403 when the token is not for the user of the path, or does not reach as far as the route. */
function admit(request: FastifyRequest, access: Access, caller: Caller): void {
  if (typeof access === "string" || access.capability === null || caller.user === null) return;
  const { user_id } = request.params as { user_id?: string };
  if (user_id !== undefined) requireUser(caller, user_id, access.capability);
}

function ofSecretKey({ environment, mode }: Principal & { kind: "secret" }): Caller {
  // What such a key begins must reach nobody, and a run may go on for months: workflows have a sandbox of their own.
  if (mode === "mock") throw notAuthorized("A mock key may not make this call; use settings.sandbox_mode");
  return { kind: "secret", environment, mode, user: null };
}

// ——— for handlers ————————————————————————————————————————————————————————————————————————————————————————————————

/** The caller of a route that is not open to anyone. */
export function callerOf(request: FastifyRequest): Caller {
  const caller = request.knockCaller;
  if (caller === null) throw unauthenticated("authentication_required", "Expected an API key");
  return caller;
}

export function environmentOf(request: FastifyRequest): Environment {
  return callerOf(request).environment;
}

/**
 * Whether the caller may do this for the user.
 * @param tenantId for feeds and preferences the tenant that is asked for, null for none. Undefined where tenants play no
 *   part: then one way of being allowed is enough.
 */
export function mayActFor({ user }: Caller, userId: string, capability: Capability, tenantId?: string | null): boolean {
  return user === null || (user.id === userId && allowsOwn(user.grants, capability, tenantId));
}

/** @throws KnockError 403. */
export function requireUser(caller: Caller, userId: string, capability: Capability, tenantId?: string | null): void {
  if (mayActFor(caller, userId, capability, tenantId)) return;
  if (caller.user?.id !== userId) throw notAuthorized("The user token is for another user");
  throw notAuthorized(`The user token does not grant ${capability} here`);
}

/** The tenants that the caller's token limits feeds or preferences to; null when it does not. */
export function tenantsOpenTo({ user }: Caller, capability: Capability): readonly string[] | null {
  return user === null ? null : tenantsWith(user.grants, capability);
}

/** For objects and tenants, which a token reaches only where it names them. @throws KnockError 403. */
export function requireObject({ user }: Caller, party: PartyRef, capability: Capability): void {
  if (user === null || allowsObject(user.grants, party, capability)) return;
  throw notAuthorized(`The user token does not grant ${capability} on this object`);
}

function bearerOf(request: FastifyRequest): string | undefined {
  return BEARER.exec(request.headers.authorization ?? "")?.[1];
}

function header(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === "string" ? value : undefined;
}

function unauthenticated(code: string, message: string): KnockError {
  return new KnockError(code, 401, message);
}
