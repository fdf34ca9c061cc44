/** A user's feed over HTTP: `GET /users/:user_id/feeds/:channel_id`. */
import type { EnvironmentId, InboxItem } from "../../engine/model.ts";
import type { Page } from "../../engine/ports.ts";
import { VARIABLE } from "../../engine/workflow/model.ts";
import { isId } from "../../lib/ids.ts";
import type { Json, JsonObject } from "../../lib/json.ts";
import { callerOf, client, requireUser, tenantsOpenTo } from "./auth.ts";
import { invalid } from "./errors.ts";
import { feedChannel } from "./feed-channels.ts";
import { countedBy, countsOf, type FeedOwner, listedBy, scopeOfQuery } from "./feed-scope.ts";
import { FEED_CURSOR, feedItems } from "./feed-views.ts";
import type { Knock, Routes } from "./knock.ts";
import { type AskedPage, entriesOf, pageOf } from "./paging.ts";
import { paramOf, userOf } from "./path.ts";
import { type Query, queryOf } from "./query.ts";

export const feedRoutes: Routes = (app, knock) => {
  const { engine, clock } = knock;

  app.get("/users/:user_id/feeds/:channel_id", client("user/feed_read"), async (request) => {
    const caller = callerOf(request);
    const { environment } = caller;
    const { id: userId } = userOf(request);
    const query = queryOf(request);
    const scope = scopeOfQuery(query);
    requireUser(caller, userId, "user/feed_read", scope.tenant);
    const mode = query.oneOf("mode", ["compact", "rich"]) ?? "rich";
    const left = exclusionsOf(query);
    const page = deliveryPage(query, FEED_CURSOR);
    const owner: FeedOwner = {
      userId,
      channelIds: await feedChannel(knock, environment, paramOf(request, "channel_id")),
      tenants: tenantsOpenTo(caller, "user/feed_read"),
    };
    const now = clock.now();
    const [found, piles, vars] = await Promise.all([
      engine.inbox.list(environment.id, listedBy(scope, owner), now, page),
      engine.inbox.piles(environment.id, countedBy(scope, owner), now),
      publicVars(knock, environment.id),
    ]);
    const items = await feedItems(knock, environment.id, found.items, mode);
    const answer = {
      ...entriesOf(page, found as Page<InboxItem>, items, ({ id }) => id),
      meta: { __typename: "FeedMetadata", ...countsOf(piles, scope.status) },
      vars,
    };
    return left.reduce<Json>(without, answer);
  });

  app.get("/users/:user_id/feeds/:channel_id/settings", client("user/feed_read"), async (request) => {
    await feedChannel(knock, callerOf(request).environment, paramOf(request, "channel_id"));
    return { features: { branding_required: false } };
  });
};

/** A page of a list whose keys are ids of deliveries. @throws KnockError 422 for a cursor that is none. */
export function deliveryPage(query: Query, kind: string): AskedPage {
  const page = pageOf(query, kind);
  for (const name of ["after", "before"] as const) {
    const key = page[name];
    if (key !== null && !isId("dlv", key)) throw invalid(name, "Expected a cursor of this list");
  }
  return page;
}

/** A name more than this is a mistake. */
const MAX_VARS = 500;

/** Few, and read with one look at the range they lie in. */
async function publicVars({ engine }: Knock, environmentId: EnvironmentId): Promise<JsonObject> {
  const { items } = await engine.documents.list(environmentId, VARIABLE, { limit: MAX_VARS });
  return Object.fromEntries(items.filter(({ body }) => body.secret !== true).map(({ id, body }) => [id, body.value]));
}

const MAX_EXCLUSIONS = 50;
const MAX_LEVELS = 3;

/** `exclude=entries.archived_at,vars`. @throws KnockError 422 for paths that are too deep or too many. */
function exclusionsOf(query: Query): readonly (readonly string[])[] {
  const paths = (query.text("exclude") ?? "").split(",").map((path) => path.trim());
  const left = paths.filter((path) => path !== "").map((path) => path.split("."));
  if (left.length > MAX_EXCLUSIONS) throw invalid("exclude", `Expected at most ${MAX_EXCLUSIONS} paths`);
  if (left.some((path) => path.length > MAX_LEVELS)) throw invalid("exclude", `Expected at most ${MAX_LEVELS} levels`);
  return left;
}

/** Lists are gone through: `entries.data` is the `data` of every entry. */
function without(value: Json, [name, ...rest]: readonly string[]): Json {
  if (Array.isArray(value)) return value.map((one: Json) => without(one, [name as string, ...rest]));
  if (typeof value !== "object" || value === null || name === undefined || !Object.hasOwn(value, name)) return value;
  const { [name]: found, ...others } = value as JsonObject;
  return rest.length === 0 || found === undefined ? others : { ...others, [name]: without(found, rest) };
}
