/**
 * Objects: things of a collection that can be notified, acted for and subscribed to. Tenants are objects of the
 * collection `$tenants`; they are kept elsewhere, and reading and writing them here is reading and writing them there.
 */
import type { FastifyInstance } from "fastify";
import type { EnvironmentId } from "../../engine/model.ts";
import { TENANT } from "../../engine/templates.ts";
import { deleteTenants } from "../../engine/tenants.ts";
import { keyInTime, type PartyRef, TENANTS } from "../../engine/workflow/model.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { environmentOf, SECRET } from "./auth.ts";
import { MAX_BULK, recordBulk } from "./bulk-operations.ts";
import { invalid, missing } from "./errors.ts";
import type { Knock } from "./knock.ts";
import { entriesOf, pageOf } from "./paging.ts";
import { PartyRequests } from "./party-requests.ts";
import { partyViews, showObject, tenantAsParty } from "./party-views.ts";
import { objectOf, paramOf } from "./path.ts";
import { wantsPreferences, withPreferences } from "./preferences.ts";
import { queryOf } from "./query.ts";
import { tenantPage } from "./tenant-list.ts";
import { checkCollection, checkId, Fields } from "./wire.ts";

export function objectRoutes(scope: FastifyInstance, knock: Knock): void {
  const { engine, clock } = knock;
  const { parties } = engine.workflows;

  scope.get("/objects/:collection", SECRET, async (request) => {
    const query = queryOf(request);
    const collection = checkCollection("collection", paramOf(request, "collection"));
    const environmentId = environmentOf(request).id;
    const include = wantsPreferences(query);
    const shownWith = async (refs: readonly PartyRef[], shown: readonly JsonObject[]) =>
      include ? await withPreferences(knock, environmentId, refs, shown) : shown;
    if (collection === TENANTS) {
      const asked = pageOf(query, "te");
      const page = await tenantPage(engine.documents, environmentId, asked, {});
      const known = page.items.map(tenantAsParty);
      const refs = known.map(({ party }) => party);
      return entriesOf(asked, page, await shownWith(refs, known.map(showObject)), ({ id }) => id);
    }
    const asked = pageOf(query, "ob");
    const page = await parties.objects(environmentId, collection, asked);
    const refs = page.items.map(({ id }) => ({ collection, id }));
    const shown = page.items.map((object, i) => showObject({ ...object, party: refs[i] as PartyRef }));
    return entriesOf(asked, page, await shownWith(refs, shown), ({ createdAt, id }) => keyInTime(createdAt, id));
  });

  scope.get("/objects/:collection/:object_id", SECRET, async (request) => {
    const party = objectOf(request);
    const environmentId = environmentOf(request).id;
    return readObject(knock, environmentId, party);
  });

  scope.put("/objects/:collection/:object_id", SECRET, async (request) => {
    const party = objectOf(request);
    const environmentId = environmentOf(request).id;
    const body = new Fields(request.body);
    body.done();
    const requests = new PartyRequests();
    requests.describe("", party, withoutCollection(body.value));
    await requests.write(knock, environmentId);
    return readObject(knock, environmentId, party);
  });

  scope.delete("/objects/:collection/:object_id", SECRET, async (request, reply) => {
    const party = objectOf(request);
    const [was] = await deleteObjects(knock, environmentOf(request).id, [party]);
    if (was !== true) throw missing(`Object of ${party.collection}`, party.id);
    return reply.code(204).send();
  });

  scope.post("/objects/:collection/bulk/set", SECRET, async (request) => {
    const startedAt = clock.now();
    const environmentId = environmentOf(request).id;
    const collection = checkCollection("collection", paramOf(request, "collection"));
    const body = new Fields(request.body);
    const requests = new PartyRequests();
    const objects = body.list("objects", { max: MAX_BULK, required: true }, (item, at) => {
      if (!isObject(item)) throw invalid(at, "Expected an object with an id");
      const party = { collection, id: checkId(`${at}.id`, item.id) };
      requests.describe(at, party, withoutCollection(item));
      return party;
    });
    body.done();
    await requests.write(knock, environmentId);
    return recordBulk(knock, environmentId, "objects.set", objects?.length ?? 0, startedAt);
  });

  scope.post("/objects/:collection/bulk/delete", SECRET, async (request) => {
    const startedAt = clock.now();
    const environmentId = environmentOf(request).id;
    const collection = checkCollection("collection", paramOf(request, "collection"));
    const body = new Fields(request.body);
    const ids = body.list("object_ids", { max: MAX_BULK, required: true }, (item, at) => checkId(at, item)) ?? [];
    body.done();
    await deleteObjects(
      knock,
      environmentId,
      ids.map((id) => ({ collection, id })),
    );
    return recordBulk(knock, environmentId, "objects.delete", ids.length, startedAt);
  });
}

/** Objects of one collection, or tenants. @returns for each whether it was there. */
export async function deleteObjects(
  { engine }: Knock,
  environmentId: EnvironmentId,
  objects: readonly PartyRef[],
): Promise<readonly boolean[]> {
  // What is kept with a tenant as a party goes first: after a crash in between the call can be made again.
  const was = await engine.workflows.parties.delete(environmentId, objects);
  if (objects[0]?.collection !== TENANTS) return was;
  return deleteTenants(
    engine,
    environmentId,
    objects.map(({ id }) => id),
  );
}

async function readObject(knock: Knock, environmentId: EnvironmentId, party: PartyRef): Promise<JsonObject> {
  const view = (await partyViews(knock, environmentId, [party]))(party);
  // Nobody in particular was never written.
  if (view.updated_at === null) {
    const thing = party.collection === TENANTS ? TENANT : `object of ${party.collection}`;
    throw missing(`The ${thing}`, party.id);
  }
  return view;
}

/** An object that is sent back as it was read: its properties are those of the body. */
function withoutCollection({ collection: _collection, ...body }: JsonObject): JsonObject {
  return body;
}
