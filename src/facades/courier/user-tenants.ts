/** Which tenants a user belongs to, and what the profile is in each. */
import type { FastifyRequest } from "fastify";
import Type from "typebox";
import type { EnvironmentId, Membership } from "../../engine/model.ts";
import { TENANT } from "../../engine/templates.ts";
import { bodyOf } from "../../http/body.ts";
import { environmentOf } from "./auth.ts";
import type { Courier, Routes } from "./courier.ts";
import { notFound } from "./errors.ts";
import { listEnvelope, pageQuery } from "./paging.ts";
import { boundedProfile } from "./profiles.ts";
import { AnyObject, checkId, Maybe } from "./wire.ts";

const MAX_LIMIT = 100;

const membershipBody = bodyOf(Type.Object({ profile: Maybe(AnyObject) }));
const membershipsBody = bodyOf(
  Type.Object({
    tenants: Type.Array(Type.Object({ tenant_id: Type.String(), profile: Maybe(AnyObject) }), { maxItems: 1_000 }),
  }),
);

export const userTenantRoutes: Routes = (app, courier) => {
  const { directory, clock } = courier.engine;

  app.get("/users/:user_id/tenants", async (request) => {
    const query = pageQuery(request.query, { max: MAX_LIMIT });
    const page = await directory.tenantsOf(environmentOf(request).id, userOf(request), query);
    return listEnvelope(request, page, showMembership);
  });

  app.get("/users/:user_id/tenants/:tenant_id", async (request) => {
    const tenantId = tenantOf(request);
    const membership = await directory.readMembership(environmentOf(request).id, userOf(request), tenantId);
    if (membership === null) throw notFound("Membership in tenant", tenantId);
    return showMembership(membership);
  });

  app.put("/users/:user_id/tenants", async (request, reply) => {
    const userId = userOf(request);
    const createdAt = clock.now();
    const memberships = membershipsBody(request.body).tenants.map(({ tenant_id, profile }, i) => ({
      tenantId: checkId(`tenants.${i}.tenant_id`, tenant_id),
      userId,
      profile: profile ? boundedProfile(profile) : null,
      createdAt,
    }));
    await join(courier, environmentOf(request).id, memberships);
    return reply.code(204).send();
  });

  app.put("/users/:user_id/tenants/:tenant_id", async (request, reply) => {
    const { profile } = membershipBody(request.body);
    await join(courier, environmentOf(request).id, [
      {
        tenantId: tenantOf(request),
        userId: userOf(request),
        profile: profile ? boundedProfile(profile) : null,
        createdAt: clock.now(),
      },
    ]);
    return reply.code(204).send();
  });

  app.delete("/users/:user_id/tenants", async (request, reply) => {
    await directory.deleteMembershipsOfUser(environmentOf(request).id, userOf(request));
    return reply.code(204).send();
  });

  app.delete("/users/:user_id/tenants/:tenant_id", async (request, reply) => {
    await directory.deleteMembership(environmentOf(request).id, userOf(request), tenantOf(request));
    return reply.code(204).send();
  });
};

/**
 * Writes memberships of tenants that exist, all or none. Tenants are looked up before and after: one that is deleted
 * in between takes its members with it either way.
 */
async function join(
  { engine: { directory, documents } }: Courier,
  environmentId: EnvironmentId,
  memberships: readonly Membership[],
): Promise<void> {
  const keys = memberships.map(({ tenantId }) => ({ kind: TENANT, id: tenantId }));
  const firstMissing = async (): Promise<string | undefined> => {
    const found = await documents.readMany(environmentId, keys);
    return keys[found.indexOf(null)]?.id;
  };
  const missing = await firstMissing();
  if (missing !== undefined) throw notFound("Tenant", missing);
  await directory.putMemberships(environmentId, memberships);
  const vanished = await firstMissing();
  if (vanished === undefined) return;
  await directory.deleteMembershipsOfTenant(environmentId, vanished);
  throw notFound("Tenant", vanished);
}

function showMembership({ tenantId, userId, profile }: Membership) {
  return { tenant_id: tenantId, user_id: userId, type: "user", profile };
}

function userOf(request: FastifyRequest): string {
  return checkId("user_id", (request.params as { user_id: string }).user_id);
}

function tenantOf(request: FastifyRequest): string {
  return checkId("tenant_id", (request.params as { tenant_id: string }).tenant_id);
}
