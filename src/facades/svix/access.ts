/**
 * Who may call what. Every route says in its `config` who its callers are; one that does not is refused when it is
 * registered, so that none is open by oversight:
 *
 *   "organisation"   the environment's own keys and tokens                           `ORGANISATION`
 *   { capability }   … and tokens of an application that have this capability        `may("ManageEndpoint")`
 *   "application"    … that may look at things: the capability `ViewBase`            `APPLICATION`
 *   "poller"         … and tokens of one poller, which `endpointOf` holds to it      `POLLER`
 *   "token"          any valid token                                                 `ANY_TOKEN`
 *   "anyone"         also without a token                                            `ANYONE`
 *
 * Which application a token may act for is the business of `applicationOf`.
 */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Environment } from "../../engine/model.ts";
import type { AppEndpoint, AppEndpointId, AppId, Application } from "../../engine/webhooks/model.ts";
import { isOperationsApp } from "../../engine/webhooks/operational-app.ts";
import type { Millis } from "../../lib/clock.ts";
import { insufficientAccess, notFound, unauthenticated } from "./errors.ts";
import { keyOf } from "./ids.ts";
import type { Svix } from "./svix.ts";

export const CAPABILITIES = [
  "ViewBase",
  "ViewEndpointSecret",
  "ManageEndpointSecret",
  "ManageTransformations",
  "CreateAttempts",
  "ManageEndpoint",
] as const;
export type Capability = (typeof CAPABILITIES)[number];

export type Callers =
  | "organisation"
  | "application"
  | { readonly capability: Capability }
  | "poller"
  | "token"
  | "anyone";

/** Who makes a call, as far as the token tells. */
export interface Caller {
  readonly environment: Environment;
  readonly kind: "organisation" | "application" | "integration" | "poller";
  /** The environment as the caller knows it. */
  readonly orgId: string;
  /** Null for organisations. */
  readonly appId: AppId | null;
  /** Of pollers: the only endpoint they may ask for. */
  readonly endpointId: AppEndpointId | null;
  /** Null: all. */
  readonly capabilities: ReadonlySet<Capability> | null;
  /** Null: sees whatever the flags. */
  readonly featureFlags: ReadonlySet<string> | null;
  readonly sessionId: string | null;
  /** How the token proves itself. */
  readonly source: "signed" | "opaque";
  /** Of an opaque token its id, of a signed one a hash, of a key the key's id. */
  readonly tokenId: string;
  /** When a signed token is over for good; null: never, or whoever keeps the token knows. */
  readonly expiresAt: Millis | null;
}

declare module "fastify" {
  interface FastifyRequest {
    /** Null on routes open to anyone. */
    svixCaller: Caller | null;
  }
  interface FastifyContextConfig {
    callers?: Callers;
  }
}

export const ORGANISATION = { config: { callers: "organisation" } } as const;
export const APPLICATION = { config: { callers: "application" } } as const;
export const POLLER = { config: { callers: "poller" } } as const;
export const ANY_TOKEN = { config: { callers: "token" } } as const;
export const ANYONE = { config: { callers: "anyone" } } as const;

export function may(capability: Capability): { readonly config: { readonly callers: Callers } } {
  return { config: { callers: { capability } } };
}

/** Must be called before the routes of the scope are registered. */
export function requireCallers(scope: FastifyInstance): void {
  scope.addHook("onRoute", ({ method, url, config }) => {
    if (config?.callers !== undefined) return;
    throw new Error(`${[method].flat().join(" ")} ${url} does not say who may call it (see facades/svix/access.ts)`);
  });
}

/** @throws SvixError 403 when the route is not open to the caller. */
export function admit(callers: Callers, caller: Caller): void {
  if (caller.kind === "organisation" || callers === "token" || callers === "anyone") return;
  if (caller.kind === "poller") {
    if (callers !== "poller") throw insufficientAccess();
    return;
  }
  if (callers === "organisation") throw insufficientAccess("This call needs a token of the organisation");
  const capability = callers === "application" || callers === "poller" ? "ViewBase" : callers.capability;
  if (caller.capabilities === null || caller.capabilities.has(capability)) return;
  throw insufficientAccess(`This token lacks the capability ${capability}`);
}

/** @throws SvixError 401 */
export function callerOf(request: FastifyRequest): Caller {
  const caller = request.svixCaller;
  if (caller === null || caller === undefined) throw unauthenticated();
  return caller;
}

/** @throws SvixError 401, 403 */
export function requireOrganisation(request: FastifyRequest): Caller {
  const caller = callerOf(request);
  admit("organisation", caller);
  return caller;
}

/** For calls that need one more capability than their route. @throws SvixError 401, 403 */
export function requireCapability(request: FastifyRequest, capability: Capability): Caller {
  const caller = callerOf(request);
  admit({ capability }, caller);
  return caller;
}

/** Whether something with these feature flags exists for the caller. */
export function seesFlags(caller: Caller, flags: readonly string[] | null): boolean {
  if (caller.featureFlags === null || flags === null || flags.length === 0) return true;
  return flags.some((flag) => caller.featureFlags?.has(flag));
}

/**
 * The application of the path (`:app_id`, an id or a uid). For a token of another application it does not exist.
 * @param what the detail of the 404. @throws SvixError 401, 404
 */
export async function applicationOf(
  svix: Pick<Svix, "webhooks">,
  request: FastifyRequest,
  what?: string,
): Promise<{ readonly caller: Caller; readonly application: Application }> {
  const caller = callerOf(request);
  const { app_id } = request.params as { readonly app_id: string };
  const application = await svix.webhooks.applications.read(caller.environment.id, keyOf("app", "app", app_id));
  if (application === null || (caller.appId !== null && caller.appId !== application.id)) throw notFound(what);
  // What was told of the environment can be looked at; only the environment itself writes it.
  const isHidden = isOperationsApp(caller.environment.id, application.id);
  if (isHidden && request.method !== "GET" && request.method !== "HEAD") throw notFound(what);
  return { caller, application };
}

/**
 * An endpoint of the application by its id or uid. For the token of another poller it does not exist.
 * @param deleted true finds deleted ones, too. @throws SvixError 404
 */
export async function endpointOf(
  svix: Pick<Svix, "webhooks">,
  caller: Caller,
  application: Application,
  key: string,
  deleted = false,
): Promise<AppEndpoint> {
  const endpoint = await svix.webhooks.endpoints.read(
    caller.environment.id,
    application.id,
    keyOf("ep", "ep", key),
    deleted,
  );
  if (endpoint === null || (caller.endpointId !== null && caller.endpointId !== endpoint.id)) throw notFound();
  return endpoint;
}
