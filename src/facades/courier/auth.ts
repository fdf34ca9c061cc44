/**
 * Who may call what. `addAuthentication` puts `request.principal` on every request of the scope and refuses, before
 * the body is read, what the route does not allow. A route says so in its `config`; one that says nothing is for the
 * secret key alone:
 *
 *   access "secret"  the secret key                                                        (default)
 *   access "user"    … and user tokens: with `scope`, if given, and for the user in the path, if there is one
 *   access "public"  … and the publishable key alone; the handler asks `requireUser` where it matters
 *   access "anyone"  … and no credential at all; `request.principal` is then null
 */
import { createHmac } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Environment } from "../../engine/model.ts";
import { Refusal } from "../../engine/refusal.ts";
import type { Principal } from "../../http/principal.ts";
import { equal, looksLikeUserToken } from "../../http/user-token.ts";
import type { Courier } from "./courier.ts";

export type Access = "secret" | "user" | "public" | "anyone";

declare module "fastify" {
  interface FastifyRequest {
    /** Null on routes open to anyone when no valid credential came. */
    principal: Principal | null;
  }
  interface FastifyContextConfig {
    access?: Access;
    /** What a user token must carry; `<scope>:<brand_id>` will do on a path that names a brand. */
    scope?: string;
  }
}

/** What a client can show of itself, on HTTP or in the query of a socket. Empty values count as absent. */
export interface Presented {
  /** The whole `Authorization` header: `Bearer …`, `Basic …` or a bare token. */
  readonly authorization?: string | undefined;
  readonly clientKey?: string | undefined;
  readonly userId?: string | undefined;
  /** HMAC-SHA256 of the user id under the secret key, hex. */
  readonly signature?: string | undefined;
}

/** What a publishable key with a proven user id may do: everything a browser's inbox does. */
const CLIENT_KEY_SCOPES = [
  "inbox:read:messages",
  "inbox:write:events",
  "read:preferences",
  "write:preferences",
  "read:brands",
] as const;

/** Must be called before the routes of the scope are registered. */
export function addAuthentication(app: FastifyInstance, courier: Courier): void {
  app.decorateRequest("principal", null);
  app.addHook("onRequest", (request, _reply, done) => {
    // A key that was seen a moment ago need not be waited for; that is nearly every call.
    const { authorization } = request.headers;
    const known = authorization === undefined ? undefined : courier.recallPrincipal(credentialIn(authorization));
    if (known !== undefined) {
      admit(request, known);
      return done();
    }
    identify(courier, presentedBy(request))
      .then((principal) => {
        admit(request, principal);
        done();
      })
      .catch(done);
  });
}

/** @throws Refusal 401 or 403 when the route is not open to the principal. */
function admit(request: FastifyRequest, principal: Principal | null): void {
  request.principal = principal;
  const { access = "secret", scope } = request.routeOptions.config;
  if (access === "anyone" || principal?.kind === "secret") return;
  if (principal === null) throw unauthorized();
  if (access === "public") return;
  if (access === "secret" || principal.kind === "public") {
    throw new Refusal("forbidden", "This credential may not make this call; use the secret key");
  }
  const params = request.params as { user_id?: string; brand_id?: string };
  if (params.user_id !== undefined) requireUser(request, params.user_id);
  if (scope !== undefined && !hasScope(principal, scope, params.brand_id)) throw missingScope(scope);
}

export function presentedBy(request: FastifyRequest): Presented {
  const header = (name: string): string | undefined => {
    const value = request.headers[name];
    return typeof value === "string" ? value : undefined;
  };
  return {
    authorization: request.headers.authorization,
    clientKey: header("x-courier-client-key"),
    userId: header("x-courier-user-id"),
    signature: header("x-courier-user-signature"),
  };
}

/**
 * The principal that a client's credentials amount to; null when there are none or they are not valid. With an
 * `Authorization`, the client key is not looked at: browsers send placeholders in it.
 */
export async function identify(courier: Courier, presented: Presented): Promise<Principal | null> {
  const credential = presented.authorization ? credentialIn(presented.authorization) : presented.clientKey;
  if (credential === undefined || credential === "") return null;
  const principal = await courier.findPrincipal(credential);
  if (!presented.authorization && principal?.kind !== "public") return null;
  return principal?.kind === "public" ? await withProvenUser(courier, principal, presented) : principal;
}

/** @returns the secret-key principal. @throws Refusal 401 or 403 */
export function requireSecret(request: FastifyRequest): Principal & { kind: "secret" } {
  const principal = requireAny(request);
  if (principal.kind !== "secret") throw new Refusal("forbidden", "This call needs the secret key");
  return principal;
}

/**
 * Passes for the secret key, and for a token of this user that carries the scope (or one of several).
 * @throws Refusal 401 without a credential, 403 otherwise.
 */
export function requireUser(request: FastifyRequest, userId: string, scope?: string | readonly string[]): Principal {
  const principal = requireAny(request);
  if (principal.kind === "secret") return principal;
  if (principal.kind === "public") throw new Refusal("forbidden", "A client key alone may not act for a user");
  if (!principal.userIds.includes(userId)) throw new Refusal("forbidden", "The token is not for this user");
  if (scope !== undefined) {
    const any = typeof scope === "string" ? [scope] : scope;
    if (!any.some((item) => hasScope(principal, item))) throw missingScope(any.join(" or "));
  }
  return principal;
}

/** The user a browser acts for: the one of its `x-courier-user-id`, else the first of its token. @throws Refusal */
export function actingUser(request: FastifyRequest): string {
  const principal = requireAny(request);
  const named = presentedBy(request).userId;
  if (principal.kind === "user") {
    const userId = named || principal.userIds[0];
    if (userId === undefined) throw new Refusal("forbidden", "The token names no user");
    requireUser(request, userId);
    return userId;
  }
  if (principal.kind === "public") throw new Refusal("forbidden", "A client key alone may not act for a user");
  if (!named) throw new Refusal("invalid", "Expected the user in the header x-courier-user-id");
  return named;
}

/** The environment of whoever calls. @throws Refusal 401 without a credential. */
export function environmentOf(request: FastifyRequest): Environment {
  return requireAny(request).environment;
}

/** @param suffix also accepts the scope narrowed to this thing, as in `read:brands:b1`. */
export function hasScope(principal: Principal, scope: string, suffix?: string): boolean {
  if (principal.kind !== "user") return principal.kind === "secret";
  return principal.scopes.includes(scope) || (suffix !== undefined && principal.scopes.includes(`${scope}:${suffix}`));
}

export function unauthorized(): Refusal {
  return new Refusal("unauthenticated", "Unauthorized");
}

function requireAny(request: FastifyRequest): Principal {
  if (request.principal === null) throw unauthorized();
  return request.principal;
}

function missingScope(scope: string): Refusal {
  return new Refusal("forbidden", `The token lacks the scope ${scope}`);
}

/** `Bearer x`, the password of `Basic …`, or a user token on its own, as an old browser SDK sends it. */
function credentialIn(authorization: string): string | undefined {
  const text = authorization.trim();
  const [, scheme, rest] = /^(\S+)\s+(\S+)$/.exec(text) ?? [];
  if (scheme === undefined || rest === undefined) return looksLikeUserToken(text) ? text : undefined;
  if (scheme.toLowerCase() === "bearer") return rest;
  if (scheme.toLowerCase() !== "basic") return undefined;
  const pair = Buffer.from(rest, "base64").toString();
  return pair.includes(":") ? pair.slice(pair.indexOf(":") + 1) : undefined;
}

/** A publishable key that comes with a user becomes that user, as far as the settings and the signature allow it. */
async function withProvenUser(
  courier: Courier,
  principal: Principal & { kind: "public" },
  { userId, signature }: Presented,
): Promise<Principal> {
  const { clientKeyAuth, signatureKey } = courier.settings;
  if (!userId || clientKeyAuth === "off") return principal;
  if (clientKeyAuth === "signed") {
    if (!signature || signatureKey === null) return principal;
    const signer = await courier.findPrincipal(signatureKey);
    if (signer?.environment.id !== principal.environment.id) return principal;
    const expected = createHmac("sha256", signatureKey).update(userId).digest("hex");
    if (!equal(expected, signature.toLowerCase())) return principal;
  }
  return {
    kind: "user",
    environment: principal.environment,
    userIds: [userId],
    scopes: CLIENT_KEY_SCOPES,
    expiresAt: Number.POSITIVE_INFINITY,
  };
}
