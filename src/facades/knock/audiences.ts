/** Audiences: users by name, each perhaps for one tenant only. An audience is there as soon as it has a member. */
import type { FastifyInstance } from "fastify";
import { keyInTime } from "../../engine/workflow/model.ts";
import { isObject } from "../../lib/json.ts";
import { environmentOf, SECRET } from "./auth.ts";
import { MAX_BULK } from "./bulk-operations.ts";
import { invalid } from "./errors.ts";
import type { Knock } from "./knock.ts";
import { entriesOf, pageOf } from "./paging.ts";
import { PartyRequests } from "./party-requests.ts";
import { partyViews } from "./party-views.ts";
import { paramOf } from "./path.ts";
import { queryOf } from "./query.ts";
import { checkId, Fields, toIso, userRef } from "./wire.ts";

interface Member {
  readonly userId: string;
  readonly tenantId: string | null;
}

export function audienceRoutes(scope: FastifyInstance, knock: Knock): void {
  const { parties } = knock.engine.workflows;

  scope.get("/audiences/:key/members", SECRET, async (request) => {
    const audience = checkId("key", paramOf(request, "key"));
    const asked = pageOf(queryOf(request), "am");
    const environmentId = environmentOf(request).id;
    const page = await parties.members(environmentId, audience, asked);
    const view = await partyViews(
      knock,
      environmentId,
      page.items.map(({ userId }) => userRef(userId)),
    );
    const entries = page.items.map(({ userId, tenantId, addedAt }) => ({
      __typename: "AudienceMember",
      user_id: userId,
      user: view(userRef(userId)),
      tenant: tenantId,
      added_at: toIso(addedAt),
    }));
    return entriesOf(asked, page, entries, ({ addedAt, userId, tenantId }) =>
      keyInTime(addedAt, userId, tenantId ?? ""),
    );
  });

  scope.post("/audiences/:key/members", SECRET, async (request, reply) => {
    const audience = checkId("key", paramOf(request, "key"));
    const environmentId = environmentOf(request).id;
    // Whether it may be made by this: it may always.
    queryOf(request).flag("create_audience");
    const requests = new PartyRequests();
    const members = membersIn(request.body, requests);
    await requests.write(knock, environmentId);
    await parties.putMembers(environmentId, audience, members, knock.clock.now());
    return reply.code(204).send();
  });

  scope.delete("/audiences/:key/members", SECRET, async (request, reply) => {
    const audience = checkId("key", paramOf(request, "key"));
    await parties.deleteMembers(environmentOf(request).id, audience, membersIn(request.body, null));
    return reply.code(204).send();
  });
}

/** @param requests null where members are named only, and nobody is identified. */
function membersIn(value: unknown, requests: PartyRequests | null): readonly Member[] {
  const body = new Fields(value);
  const members = body.list("members", { max: MAX_BULK, required: true }, (item, at): Member => {
    if (!isObject(item)) throw invalid(at, "Expected an object with a user");
    const { user, tenant } = item;
    const userId = checkId(`${at}.user.id`, isObject(user) ? user.id : user);
    if (requests !== null) requests.describe(`${at}.user`, userRef(userId), isObject(user) ? user : {});
    const hasTenant = tenant !== undefined && tenant !== null;
    return { userId, tenantId: hasTenant ? checkId(`${at}.tenant`, isObject(tenant) ? tenant.id : tenant) : null };
  });
  body.done();
  return members ?? [];
}
