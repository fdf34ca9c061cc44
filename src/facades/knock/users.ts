/** Users: whoever can be notified. Their properties are the profile that every facade shares. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { keyInTime, type PartyRef } from "../../engine/workflow/model.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { callerOf, client, environmentOf, requireUser, SECRET } from "./auth.ts";
import { missing } from "./errors.ts";
import type { Knock } from "./knock.ts";
import { entriesOf, pageOf } from "./paging.ts";
import { PartyRequests } from "./party-requests.ts";
import { showUser } from "./party-views.ts";
import { userOf } from "./path.ts";
import { requireSet, wantsPreferences, withPreferences } from "./preferences.ts";
import { queryOf } from "./query.ts";
import { Fields, userRef } from "./wire.ts";

export function userRoutes(scope: FastifyInstance, knock: Knock): void {
  const { directory, workflows } = knock.engine;
  const { parties } = workflows;

  scope.get("/users", SECRET, async (request) => {
    const query = queryOf(request);
    const asked = pageOf(query, "us");
    const environmentId = environmentOf(request).id;
    const include = wantsPreferences(query);
    const page = await parties.users(environmentId, asked);
    const shown = page.items.map(showUser);
    const refs = page.items.map(({ id }) => userRef(id));
    const entries = include ? await withPreferences(knock, environmentId, refs, shown) : shown;
    return entriesOf(asked, page, entries, ({ createdAt, id }) => keyInTime(createdAt, id));
  });

  scope.get("/users/:user_id", client("user/read"), async (request) => {
    const { id } = userOf(request);
    const user = await directory.readUser(environmentOf(request).id, id);
    if (user === null) throw missing("User", id);
    return showUser(user);
  });

  scope.put("/users/:user_id", client("user/write"), async (request) => {
    const party = userOf(request);
    const body = new Fields(request.body);
    body.done();
    requireInline(request, party, body.value);
    const requests = new PartyRequests();
    requests.describe("", party, body.value);
    const [facts] = await requests.write(knock, environmentOf(request).id);
    return showUser({
      id: party.id,
      profile: facts?.properties ?? null,
      createdAt: facts?.createdAt ?? null,
      updatedAt: facts?.updatedAt ?? null,
    });
  });

  scope.delete("/users/:user_id", SECRET, async (request, reply) => {
    const party = userOf(request);
    const [was] = await parties.delete(environmentOf(request).id, [party]);
    if (was !== true) throw missing("User", party.id);
    return reply.code(204).send();
  });

  scope.post("/users/:user_id/merge", SECRET, async (request): Promise<JsonObject> => {
    const { id } = userOf(request);
    const body = new Fields(request.body);
    const from = body.id("from_user_id");
    if (from === id) body.error("from_user_id", "Expected another user than the one of the path");
    body.done();
    const environmentId = environmentOf(request).id;
    await parties.mergeUsers(environmentId, id, from, knock.clock.now());
    const user = await directory.readUser(environmentId, id);
    if (user === null) throw missing("User", id);
    return showUser(user);
  });
}

/** What stands beside a user's properties has paths of its own: a token that does not reach those writes nothing here. */
function requireInline(request: FastifyRequest, user: PartyRef, { channel_data, preferences }: JsonObject): void {
  if (isObject(channel_data)) requireUser(callerOf(request), user.id, "channel_data/write");
  if (!isObject(preferences)) return;
  for (const set of Object.keys(preferences)) requireSet(request, user, set, "preferences/write");
}
