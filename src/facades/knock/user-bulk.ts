/** Many users in one call: all of it is written, or nothing. */
import type { FastifyInstance } from "fastify";
import { isObject, type Json } from "../../lib/json.ts";
import { environmentOf, SECRET } from "./auth.ts";
import { MAX_BULK, recordBulk } from "./bulk-operations.ts";
import { invalid } from "./errors.ts";
import type { Knock } from "./knock.ts";
import { PartyRequests } from "./party-requests.ts";
import { preferenceWrite } from "./preference-writes.ts";
import { checkId, Fields, userRef } from "./wire.ts";

export function userBulkRoutes(scope: FastifyInstance, knock: Knock): void {
  const { clock } = knock;
  const { parties } = knock.engine.workflows;
  const limits = { max: MAX_BULK, required: true } as const;

  scope.post("/users/bulk/identify", SECRET, async (request) => {
    const startedAt = clock.now();
    const environmentId = environmentOf(request).id;
    const body = new Fields(request.body);
    const requests = new PartyRequests();
    const users = body.list("users", limits, (item, at) => {
      if (!isObject(item)) throw invalid(at, "Expected an object with an id");
      const party = userRef(checkId(`${at}.id`, item.id));
      requests.describe(at, party, item);
      return party;
    });
    body.done();
    await requests.write(knock, environmentId);
    return recordBulk(knock, environmentId, "users.identify", users?.length ?? 0, startedAt);
  });

  scope.post("/users/bulk/delete", SECRET, async (request) => {
    const startedAt = clock.now();
    const environmentId = environmentOf(request).id;
    const body = new Fields(request.body);
    const users = body.list("user_ids", limits, (item, at) => userRef(checkId(at, item))) ?? [];
    body.done();
    await parties.delete(environmentId, users);
    return recordBulk(knock, environmentId, "users.delete", users.length, startedAt);
  });

  scope.post("/users/bulk/preferences", SECRET, async (request) => {
    const startedAt = clock.now();
    const environmentId = environmentOf(request).id;
    const body = new Fields(request.body);
    const users = body.list("user_ids", limits, (item, at) => userRef(checkId(at, item))) ?? [];
    const given = body.required("preferences");
    const write = body.try("preferences", () => preferenceWrite("preferences", given ?? {}, "replace"));
    const name = body.try("preferences", () => setIdIn(given ?? {}));
    body.done();
    if (write !== undefined && name !== undefined) {
      const documents = [{ kind: "preferences", name, body: write }] as const;
      const writes = users.map((party) => ({ party, properties: {}, documents }));
      await parties.write(environmentId, writes, clock.now());
    }
    return recordBulk(knock, environmentId, "users.set_preferences", users.length, startedAt);
  });
}

/** The set that is written: the id of a tenant, or the default. */
function setIdIn(preferences: Json): string {
  const id = isObject(preferences) ? preferences.id : undefined;
  return id === undefined || id === null ? "default" : checkId("preferences.id", id);
}
