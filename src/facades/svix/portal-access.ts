/** Letting an application's people into its portal, and out again; and the standing tokens of pollers. */
import type { FastifyRequest } from "fastify";
import type { Application } from "../../engine/webhooks/model.ts";
import {
  ANY_TOKEN,
  ANYONE,
  applicationOf,
  CAPABILITIES,
  type Capability,
  callerOf,
  endpointOf,
  ORGANISATION,
} from "./access.ts";
import { bearerOf, environmentNamed } from "./authentication.ts";
import { badRequest, insufficientAccess, unauthenticated } from "./errors.ts";
import { ksuid } from "./ids.ts";
import { applicationFields, findOrCreateApplication } from "./inline-application.ts";
import type { Routes } from "./svix.ts";
import { environmentIn } from "./token-text.ts";
import type { Holder, PortalGrant, ServiceToken, TokenId } from "./tokens.ts";
import { EVENT_NAME, type Fields, fields, SESSION_ID, timestamp, timestampOrNull } from "./wire.ts";

const HOUR_S = 3_600;
const WEEK_S = 7 * 24 * HOUR_S;
const THREE_DAYS_S = 3 * 24 * HOUR_S;
const YEAR_S = 365 * 24 * HOUR_S;
const MAX_FLAGS = 25;
const MAX_SESSIONS = 1_000;

export const portalAccessRoutes: Routes = (app, svix) => {
  const { tokens, clock } = svix;

  app.post("/auth/app-portal-access/:app_id", ORGANISATION, async (request) => {
    const caller = callerOf(request);
    const f = fields(request.body);
    const inside = f.inside("application");
    const given = inside === null ? null : applicationFields(inside);
    const grant = grantOf(f);
    f.done();
    const { app_id } = request.params as { readonly app_id: string };
    return await open(request, await findOrCreateApplication(svix, caller, app_id, given), grant);
  });

  // The vendor's earlier call for the same.
  app.post("/auth/dashboard-access/:app_id", ORGANISATION, async (request) => {
    const f = fields(request.body);
    const grant = grantOf(f);
    f.done();
    const { application } = await applicationOf(svix, request);
    return await open(request, application, grant);
  });

  async function open(
    request: FastifyRequest,
    { id: appId }: Application,
    { lifeS, ...grant }: ReturnType<typeof grantOf>,
  ): Promise<{ readonly url: string; readonly token: string }> {
    const portal: PortalGrant = { ...grant, appId, expiresAt: clock.now() + lifeS * 1000 };
    const { token, code } = await tokens.openPortal(callerOf(request).environment, portal);
    const { publicUrl } = svix.settings;
    const key = { appId: ksuid("app", appId), oneTimeToken: code, region: "self_hosted", serverUrl: publicUrl };
    const fragment = Buffer.from(JSON.stringify(key)).toString("base64url");
    return { url: `${publicUrl}/portal/login#key=${fragment}`, token };
  }

  app.post("/auth/one-time-token", ANYONE, async (request) => {
    const f = fields(request.body);
    const code = f.text("oneTimeToken", { min: 1, max: 1_024 });
    f.done();
    const id = environmentIn("code", code);
    const environment = id === null ? undefined : await environmentNamed(svix, id, code);
    const redeemed = environment === undefined ? null : await tokens.redeem(environment, code);
    if (redeemed === null) throw unauthenticated("The code is unknown, was used or is too old");
    return { token: redeemed.token, capabilities: redeemed.grant.capabilities ?? CAPABILITIES };
  });

  app.get("/auth/whoami", ANY_TOKEN, (request) => {
    const { orgId, appId, sessionId, source } = callerOf(request);
    return {
      envId: orgId,
      appId: appId === null ? null : ksuid("app", appId),
      streamAppId: null,
      permissionSource: source === "signed" ? "SvixJwt" : "RegionalAuthToken",
      sessionId,
    };
  });

  app.post("/auth/logout", ANY_TOKEN, async (request, reply) => {
    const { environment, kind, appId, source, tokenId, expiresAt } = callerOf(request);
    if (kind !== "application" || appId === null) throw insufficientAccess("Only tokens of an application can log out");
    if (source === "signed") await tokens.endSigned(environment.id, { hash: tokenId, expiresAt });
    else await tokens.endPortal(environment.id, appId, tokenId as TokenId, bearerOf(request));
    return reply.code(204).send();
  });

  app.post("/auth/app/:app_id/expire-all", ORGANISATION, async (request, reply) => {
    const f = fields(request.body);
    const delayS = f.integer("expiry", { min: 0, max: THREE_DAYS_S, nullable: true });
    const sessions = f.names("sessionIds", { max: MAX_SESSIONS, maxLength: 64, pattern: SESSION_ID, nullable: true });
    f.done();
    const { caller, application } = await applicationOf(svix, request);
    const at = clock.now() + (delayS ?? 0) * 1000;
    // Only if there are any do they limit what ends.
    const named = sessions === null || sessions.length === 0 ? null : new Set(sessions);
    await tokens.endAll(caller.environment.id, application.id, named, at);
    return reply.code(204).send();
  });

  app.get("/auth/app/:app_id/poller/:endpoint_id/token", ORGANISATION, async (request) => {
    const holder = await pollerOf(request);
    const { environment } = callerOf(request);
    return showToken((await tokens.current(environment, holder)) ?? (await tokens.rotate(environment, holder)));
  });

  app.post("/auth/app/:app_id/poller/:endpoint_id/token/rotate", ORGANISATION, async (request, reply) => {
    const f = fields(request.body);
    const lifeS = f.integer("expiry", { min: 1, max: YEAR_S, nullable: true });
    const graceS = f.integer("oldTokenExpiry", { min: 0, max: 24 * HOUR_S, default: 300 });
    f.done();
    const holder = await pollerOf(request);
    const lifeMs = lifeS === null ? null : lifeS * 1000;
    const token = await tokens.rotate(callerOf(request).environment, holder, { graceMs: graceS * 1000, lifeMs });
    return reply.code(201).send(showToken(token));
  });

  async function pollerOf(request: FastifyRequest): Promise<Holder> {
    const { caller, application } = await applicationOf(svix, request);
    const { endpoint_id } = request.params as { readonly endpoint_id: string };
    const endpoint = await endpointOf(svix, caller, application, endpoint_id);
    if (endpoint.kind !== "poller") throw badRequest("The endpoint is not a poller");
    return { kind: "poller", appId: application.id, id: endpoint.id };
  }
};

function grantOf(f: Fields): Omit<PortalGrant, "appId" | "expiresAt"> & { readonly lifeS: number } {
  const readOnly = f.boolean("readOnly", { nullable: true });
  const asked = f.names("capabilities", { max: CAPABILITIES.length, unique: true, nullable: true });
  for (const [i, name] of (asked ?? []).entries()) {
    if (CAPABILITIES.includes(name as Capability)) continue;
    f.issue(["capabilities", `[${i}]`], `Expected one of ${CAPABILITIES.join(", ")}`);
  }
  return {
    capabilities: readOnly === true ? ["ViewBase"] : (asked as readonly Capability[] | null),
    featureFlags: f.names("featureFlags", { max: MAX_FLAGS, pattern: EVENT_NAME, unique: true, nullable: true }) ?? [],
    sessionId: f.text("sessionId", { min: 1, max: 64, pattern: SESSION_ID, nullable: true }),
    lifeS: f.integer("expiry", { min: HOUR_S, max: WEEK_S, nullable: true }) ?? WEEK_S,
  };
}

/** ApiTokenOut. */
export function showToken({ id, text, createdAt, expiresAt }: ServiceToken) {
  return {
    id: ksuid("key", id),
    token: text,
    name: null,
    createdAt: timestamp(createdAt),
    expiresAt: timestampOrNull(expiresAt),
    scopes: null,
  };
}
