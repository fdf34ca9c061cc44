/** Tenants: the customers of a customer. Every facade shares them; branding and preferences are this one's. */
import type { FastifyInstance } from "fastify";
import type { Document, EnvironmentId } from "../../engine/model.ts";
import { TENANT } from "../../engine/templates.ts";
import { TENANTS } from "../../engine/workflow/model.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { environmentOf, SECRET } from "./auth.ts";
import { MAX_BULK, recordBulk } from "./bulk-operations.ts";
import { invalid, missing } from "./errors.ts";
import type { Knock } from "./knock.ts";
import { deleteObjects } from "./objects.ts";
import { entriesOf, pageOf } from "./paging.ts";
import { PartyRequests } from "./party-requests.ts";
import { settingsOf, showTenant } from "./party-views.ts";
import { paramOf } from "./path.ts";
import { showPreferenceSet } from "./preference-writes.ts";
import { DEFAULT_SET, resolvedTenantSet } from "./preferences.ts";
import { queryOf } from "./query.ts";
import { tenantPage } from "./tenant-list.ts";
import { checkId, Fields } from "./wire.ts";

export function tenantRoutes(scope: FastifyInstance, knock: Knock): void {
  const { engine, clock } = knock;

  scope.get("/tenants", SECRET, async (request) => {
    const query = queryOf(request);
    const asked = pageOf(query, "te");
    const filter = { id: query.text("tenant_id"), name: query.text("name") };
    const page = await tenantPage(engine.documents, environmentOf(request).id, asked, filter);
    return entriesOf(
      asked,
      page,
      page.items.map((document) => showTenant(document, namedSet(document))),
      ({ id }) => id,
    );
  });

  scope.get("/tenants/:tenant_id", SECRET, async (request) => {
    const id = checkId("tenant_id", paramOf(request, "tenant_id"));
    const full = queryOf(request).flag("resolve_full_preference_settings") ?? false;
    return read(environmentOf(request).id, id, full);
  });

  scope.put("/tenants/:tenant_id", SECRET, async (request) => {
    const id = checkId("tenant_id", paramOf(request, "tenant_id"));
    const full = queryOf(request).flag("resolve_full_preference_settings") ?? false;
    const environmentId = environmentOf(request).id;
    const body = new Fields(request.body);
    body.done();
    const requests = new PartyRequests();
    requests.describe("", { collection: TENANTS, id }, body.value);
    await requests.write(knock, environmentId);
    return read(environmentId, id, full);
  });

  scope.delete("/tenants/:tenant_id", SECRET, async (request, reply) => {
    const id = checkId("tenant_id", paramOf(request, "tenant_id"));
    const [was] = await deleteObjects(knock, environmentOf(request).id, [{ collection: TENANTS, id }]);
    if (was !== true) throw missing("Tenant", id);
    return reply.code(204).send();
  });

  scope.post("/tenants/bulk/set", SECRET, async (request) => {
    const startedAt = clock.now();
    const environmentId = environmentOf(request).id;
    const body = new Fields(request.body);
    const requests = new PartyRequests();
    const tenants = body.list("tenants", { max: MAX_BULK, required: true }, (item, at) => requests.tenant(at, item));
    body.done();
    await requests.write(knock, environmentId);
    return recordBulk(knock, environmentId, "tenants.set", tenants?.length ?? 0, startedAt);
  });

  scope.post("/tenants/bulk/delete", SECRET, async (request) => {
    const startedAt = clock.now();
    const environmentId = environmentOf(request).id;
    // The list is in the query. Should a client send it as other calls do, it is read from there.
    const inBody = isObject(request.body) ? request.body.tenant_ids : undefined;
    const ids = Array.isArray(inBody) ? (inBody as readonly unknown[]) : queryOf(request).texts("tenant_ids");
    if (ids.length === 0) throw invalid("tenant_ids", "is required", "required");
    if (ids.length > MAX_BULK) throw invalid("tenant_ids", `Expected at most ${MAX_BULK} entries, got ${ids.length}`);
    const parties = ids.map((id, i) => ({ collection: TENANTS, id: checkId(`tenant_ids[${i}]`, id) }));
    await deleteObjects(knock, environmentId, parties);
    return recordBulk(knock, environmentId, "tenants.delete", ids.length, startedAt);
  });

  async function read(environmentId: EnvironmentId, id: string, full: boolean): Promise<JsonObject> {
    const document = await engine.documents.read(environmentId, TENANT, id);
    if (document === null) throw missing("Tenant", id);
    return showTenant(document, full ? await fullSet(environmentId, document) : namedSet(document));
  }

  /** With what the environment wants of everybody below it. */
  async function fullSet(environmentId: EnvironmentId, document: Document): Promise<JsonObject> {
    return showPreferenceSet(DEFAULT_SET, await resolvedTenantSet(knock, environmentId, ownSet(document)));
  }
}

function ownSet(document: Document): JsonObject | null {
  const { preference_set } = settingsOf(document);
  return isObject(preference_set) ? preference_set : null;
}

/** As it was written; what reads preference sets goes by their ids. */
function namedSet(document: Document): JsonObject | null {
  const own = ownSet(document);
  return own === null ? null : { id: DEFAULT_SET, ...own };
}
