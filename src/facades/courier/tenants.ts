/**
 * Tenants: the customers of a customer, in a hierarchy. What holds at every moment: a parent exists, and no chain of
 * parents is a circle. Since a tenant is one document among others, a write that hangs it below a parent also writes
 * that parent and all above it, unchanged, with the versions it has seen: of two writes that would close a circle
 * together, or hang a tenant below one that is just being deleted, the second finds a version risen and looks again.
 */
import type { FastifyRequest } from "fastify";
import Type from "typebox";
import type { Document, EnvironmentId } from "../../engine/model.ts";
import type { DocumentStore, DocumentWrite, Page } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import { TENANT, type TenantBody } from "../../engine/templates.ts";
import { deleteTenants, untilWritten } from "../../engine/tenants.ts";
import { bodyOf } from "../../http/body.ts";
import type { JsonObject } from "../../lib/json.ts";
import { environmentOf } from "./auth.ts";
import type { Routes } from "./courier.ts";
import { notFound } from "./errors.ts";
import { listEnvelope, pageQuery } from "./paging.ts";
import { AnyObject, checkId, checkText, Maybe, queryText } from "./wire.ts";

const MAX_LIMIT = 100;
/** Levels that can be stored; four of them count for a message. */
const MAX_LEVELS = 32;
const SCAN_LIMIT = 500;

const tenantBody = bodyOf(
  Type.Object({
    name: Type.String(),
    parent_tenant_id: Maybe(Type.String()),
    brand_id: Maybe(Type.String()),
    default_preferences: Maybe(Type.Object({ items: Maybe(Type.Array(Type.Unknown())) })),
    properties: Maybe(AnyObject),
    user_profile: Maybe(AnyObject),
  }),
);

export const tenantRoutes: Routes = (app, { engine }) => {
  const { directory, documents, clock } = engine;

  app.get("/tenants", async (request) => {
    const environmentId = environmentOf(request).id;
    const parentId = queryText(request.query, "parent_tenant_id");
    const query = pageQuery(request.query, { max: MAX_LIMIT });
    const page =
      parentId === undefined
        ? await documents.list(environmentId, TENANT, query)
        : await childrenOf(documents, environmentId, parentId, query.after ?? null, query.limit);
    return listEnvelope(request, page, showTenant);
  });

  app.get("/tenants/:tenant_id", async (request) => {
    const id = tenantOf(request);
    const tenant = await documents.read(environmentOf(request).id, TENANT, id);
    if (tenant === null) throw notFound("Tenant", id);
    return showTenant(tenant);
  });

  app.put("/tenants/:tenant_id", async (request) => {
    const id = tenantOf(request);
    const input = tenantBody(request.body);
    if ((input.default_preferences?.items?.length ?? 0) > 0) {
      throw new Refusal("not_implemented", "Default preferences of tenants are not implemented");
    }
    const body: TenantBody = {
      name: checkText("name", input.name),
      parentId: input.parent_tenant_id ? checkId("parent_tenant_id", input.parent_tenant_id) : null,
      brandId: input.brand_id || null,
      properties: input.properties ?? {},
      userProfile: input.user_profile ?? {},
      extra: {},
    };
    const environmentId = environmentOf(request).id;
    await untilWritten(async () => {
      const old = await documents.read(environmentId, TENANT, id);
      const ancestors = await ancestorsOf(documents, environmentId, id, body.parentId);
      return documents.write(
        environmentId,
        [
          {
            kind: TENANT,
            id,
            body: { ...body, extra: old?.body.extra ?? {} } as unknown as JsonObject,
            expect: old?.version ?? "absent",
          },
          ...ancestors.map(unchanged),
        ],
        clock.now(),
      );
    });
    return showTenant({ id, body: body as unknown as JsonObject });
  });

  app.delete("/tenants/:tenant_id", async (request, reply) => {
    const id = tenantOf(request);
    const environmentId = environmentOf(request).id;
    await deleteTenants(engine, environmentId, [id]);
    return reply.code(204).send();
  });

  app.get("/tenants/:tenant_id/users", async (request) => {
    const query = pageQuery(request.query, { max: MAX_LIMIT });
    const page = await directory.membersOfAny(environmentOf(request).id, [tenantOf(request)], query);
    return listEnvelope(request, page, ({ tenantId, userId, profile }) => ({
      tenant_id: tenantId,
      user_id: userId,
      type: "user",
      profile,
    }));
  });
};

/** The parent and all above it. @throws Refusal when one is missing, is the tenant itself, or the chain is too long. */
async function ancestorsOf(
  documents: DocumentStore,
  environmentId: EnvironmentId,
  id: string,
  parentId: string | null,
): Promise<readonly Document[]> {
  const field = "parent_tenant_id";
  const found: Document[] = [];
  for (let next = parentId; next !== null; ) {
    if (next === id) throw new Refusal("invalid", `${field}: A tenant cannot be below itself`, { field });
    if (found.length === MAX_LEVELS)
      throw new Refusal("invalid", `${field}: More than ${MAX_LEVELS} levels`, { field });
    const parent: Document | null = await documents.read(environmentId, TENANT, next);
    if (parent === null) throw new Refusal("invalid", `${field}: There is no tenant ${next}`, { field });
    found.push(parent);
    next = bodyIn(parent).parentId;
  }
  return found;
}

/** Direct children by id. Reads through all tenants: there are few, and they are asked for by people. */
async function childrenOf(
  documents: DocumentStore,
  environmentId: EnvironmentId,
  parentId: string,
  after: string | null,
  limit: number,
): Promise<Page<Document>> {
  const items: Document[] = [];
  for (let from = after; ; ) {
    const page: Page<Document> = await documents.list(environmentId, TENANT, { after: from, limit: SCAN_LIMIT });
    for (const document of page.items) {
      if (bodyIn(document).parentId !== parentId) continue;
      if (items.length === limit) return { items, next: items.at(-1)?.id ?? null };
      items.push(document);
    }
    if (page.next === null) return { items, next: null };
    from = page.next;
  }
}

function unchanged({ id, body, version }: Document): DocumentWrite {
  return { kind: TENANT, id, body, expect: version };
}

function showTenant(document: Pick<Document, "id" | "body">): JsonObject {
  const { name, parentId, brandId, properties, userProfile } = bodyIn(document);
  return {
    id: document.id,
    name,
    ...(parentId === null ? {} : { parent_tenant_id: parentId }),
    ...(brandId === null ? {} : { brand_id: brandId }),
    properties,
    user_profile: userProfile,
  };
}

/** Whoever writes documents of this kind writes such bodies. */
function bodyIn(document: Pick<Document, "body">): TenantBody {
  return document.body as unknown as TenantBody;
}

function tenantOf(request: FastifyRequest): string {
  return checkId("tenant_id", (request.params as { tenant_id: string }).tenant_id);
}
