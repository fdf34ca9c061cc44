/**
 * What old browser SDKs call on the REST host. Their newer versions dropped these calls; pages that are out there did
 * not. Some take the address of the GraphQL endpoint for the base of these paths, hence the second prefix.
 */
import type { FastifyRequest } from "fastify";
import Type from "typebox";
import { checkListId } from "../../engine/list-pattern.ts";
import { bodyOf } from "../../http/body.ts";
import { deepMerge } from "../../lib/json.ts";
import { environmentOf, requireUser } from "./auth.ts";
import type { Routes } from "./courier.ts";
import { boundedProfile } from "./profiles.ts";
import { AnyObject, checkId, Maybe } from "./wire.ts";

const identifyBody = bodyOf(Type.Object({ profile: Maybe(AnyObject) }));

/** The user in the path must be one of the token's; the hook of `auth.ts` sees to it. */
const OF_THE_USER = { config: { access: "user" } } as const;

export const clientRoutes: Routes = (app, { engine: { directory, clock } }) => {
  for (const base of ["/client", "/client/q/client"]) {
    app.put(`${base}/lists/:list_id/subscribe/:user_id`, OF_THE_USER, async (request, reply) => {
      const subscription = { listId: listOf(request), userId: userOf(request), preferences: null };
      await directory.subscribe(environmentOf(request).id, [subscription], clock.now());
      return reply.code(204).send();
    });

    // Unlike the server's own call it does not say whether there was a subscription: a browser retries and forgets.
    app.delete(`${base}/lists/:list_id/unsubscribe/:user_id`, OF_THE_USER, async (request, reply) => {
      await directory.unsubscribe(environmentOf(request).id, listOf(request), userOf(request));
      return reply.code(204).send();
    });

    app.post(`${base}/identify/:user_id`, OF_THE_USER, async (request) => {
      const userId = userOf(request);
      // No scope is documented for it. A token that may only read must not change where a user's mail goes.
      requireUser(request, userId, ["inbox:write:events", "write:preferences", "write:user-tokens"]);
      const { profile } = identifyBody(request.body);
      await directory.modifyUser(environmentOf(request).id, userId, clock.now(), (old) =>
        boundedProfile(deepMerge(old ?? {}, profile ?? {})),
      );
      return { status: "SUCCESS" };
    });
  }
};

function userOf(request: FastifyRequest): string {
  return checkId("user_id", (request.params as { user_id: string }).user_id);
}

function listOf(request: FastifyRequest): string {
  return checkListId(checkId("list_id", (request.params as { list_id: string }).list_id));
}
