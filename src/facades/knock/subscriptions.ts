/** Who is subscribed to which object: what is sent to the object reaches its subscribers, too. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { EnvironmentId } from "../../engine/model.ts";
import { keyInTime, type ObjectSubscription, type PartyRef, partyKey } from "../../engine/workflow/model.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { environmentOf, SECRET } from "./auth.ts";
import { MAX_BULK, recordBulk } from "./bulk-operations.ts";
import { invalid } from "./errors.ts";
import type { Knock } from "./knock.ts";
import { entriesOf, pageOf } from "./paging.ts";
import { PartyRequests } from "./party-requests.ts";
import { partyViews } from "./party-views.ts";
import { objectOf, paramOf, userOf } from "./path.ts";
import { wantsPreferences, withPreferences } from "./preferences.ts";
import { queryOf } from "./query.ts";
import { checkCollection, checkId, Fields, readParty, toIso } from "./wire.ts";

/** Of one call for one object. */
const MAX_RECIPIENTS = 100;

interface Pair {
  readonly object: PartyRef;
  readonly recipient: PartyRef;
  readonly properties: JsonObject | null;
}

export function subscriptionRoutes(scope: FastifyInstance, knock: Knock): void {
  const { clock } = knock;
  const { parties } = knock.engine.workflows;

  scope.get("/users/:user_id/subscriptions", SECRET, (request) => list(request, { recipient: userOf(request) }));

  scope.get("/objects/:collection/:object_id/subscriptions", SECRET, (request) => {
    const mode = queryOf(request).oneOf("mode", ["object", "recipient"]) ?? "object";
    return list(request, mode === "object" ? { object: objectOf(request) } : { recipient: objectOf(request) });
  });

  scope.post("/objects/:collection/:object_id/subscriptions", SECRET, async (request) => {
    const environmentId = environmentOf(request).id;
    const body = new Fields(request.body);
    const requests = new PartyRequests();
    const pairs = pairsIn(body, objectOf(request), requests, MAX_RECIPIENTS);
    body.done();
    await requests.write(knock, environmentId);
    return shown(environmentId, await subscribe(environmentId, pairs));
  });

  scope.delete("/objects/:collection/:object_id/subscriptions", SECRET, async (request) => {
    const environmentId = environmentOf(request).id;
    const object = objectOf(request);
    const body = new Fields(request.body);
    const recipients = body.list("recipients", { max: MAX_RECIPIENTS, required: true }, (item, at) =>
      readParty(at, item),
    );
    body.done();
    const pairs = (recipients ?? []).map((recipient) => ({ object, recipient }));
    return shown(environmentId, await parties.unsubscribe(environmentId, pairs));
  });

  scope.post("/objects/:collection/bulk/subscriptions/add", SECRET, async (request) => {
    const startedAt = clock.now();
    const environmentId = environmentOf(request).id;
    const body = new Fields(request.body);
    const requests = new PartyRequests();
    const pairs = bulkPairs(request, body, requests);
    body.done();
    await requests.write(knock, environmentId);
    await subscribe(environmentId, pairs);
    return recordBulk(knock, environmentId, "objects.add_subscriptions", pairs.length, startedAt);
  });

  scope.post("/objects/:collection/bulk/subscriptions/delete", SECRET, async (request) => {
    const startedAt = clock.now();
    const environmentId = environmentOf(request).id;
    const body = new Fields(request.body);
    const pairs = bulkPairs(request, body, null);
    body.done();
    await parties.unsubscribe(environmentId, pairs);
    return recordBulk(knock, environmentId, "objects.delete_subscriptions", pairs.length, startedAt);
  });

  async function list(
    request: FastifyRequest,
    side: { readonly object: PartyRef } | { readonly recipient: PartyRef },
  ): Promise<JsonObject> {
    const query = queryOf(request);
    const asked = pageOf(query, "su");
    const environmentId = environmentOf(request).id;
    const recipients = query.parties("recipients");
    const objects = query.parties("objects");
    const filter = {
      ...side,
      ...(recipients.length === 0 ? {} : { recipients }),
      ...(objects.length === 0 ? {} : { objects }),
    };
    const include = wantsPreferences(query);
    const page = await parties.subscriptions(environmentId, filter, asked);
    const entries = await shown(environmentId, page.items, include);
    return entriesOf(asked, page, entries, ({ createdAt, object, recipient }) =>
      keyInTime(createdAt, partyKey(object), partyKey(recipient)),
    );
  }

  /** In the order they were named; a recipient that is named twice is subscribed once. */
  async function subscribe(
    environmentId: EnvironmentId,
    pairs: readonly Pair[],
  ): Promise<readonly ObjectSubscription[]> {
    const distinct = new Map(pairs.map((pair) => [`${partyKey(pair.object)}\0${partyKey(pair.recipient)}`, pair]));
    return parties.subscribe(environmentId, [...distinct.values()], clock.now());
  }

  async function shown(
    environmentId: EnvironmentId,
    subscriptions: readonly ObjectSubscription[],
    include = false,
  ): Promise<readonly JsonObject[]> {
    const view = await partyViews(
      knock,
      environmentId,
      subscriptions.flatMap(({ object, recipient }) => [object, recipient]),
    );
    const plain = subscriptions.map(({ recipient }) => view(recipient));
    const refs = subscriptions.map(({ recipient }) => recipient);
    const recipients = include ? await withPreferences(knock, environmentId, refs, plain) : plain;
    return subscriptions.map(({ object, properties, createdAt, updatedAt }, i) => ({
      __typename: "Subscription",
      object: view(object),
      recipient: recipients[i] as JsonObject,
      properties: properties ?? {},
      inserted_at: toIso(createdAt),
      updated_at: toIso(updatedAt),
    }));
  }
}

function pairsIn(body: Fields, object: PartyRef, requests: PartyRequests, max: number): readonly Pair[] {
  const properties = body.object("properties") ?? null;
  const recipients = body.list("recipients", { max, required: true }, (item, at) => requests.recipient(at, item).party);
  return (recipients ?? []).map((recipient) => ({ object, recipient, properties }));
}

/** @param requests null where recipients are named only, and nobody is identified. */
function bulkPairs(request: FastifyRequest, body: Fields, requests: PartyRequests | null): readonly Pair[] {
  const collection = checkCollection("collection", paramOf(request, "collection"));
  let left = MAX_BULK;
  const lists = body.list("subscriptions", { max: MAX_BULK, required: true }, (item: Json, at) => {
    if (!isObject(item)) throw invalid(at, "Expected an object with an id and recipients");
    const object = { collection, id: checkId(`${at}.id`, item.id) };
    const entry = new Fields(item, at);
    const found = entry.list("recipients", { max: MAX_BULK, required: true }, (recipient, place) =>
      requests === null ? readParty(place, recipient) : requests.recipient(place, recipient).party,
    );
    const properties = entry.object("properties") ?? null;
    entry.done();
    left -= found?.length ?? 0;
    if (left < 0) throw invalid(at, `Expected at most ${MAX_BULK} recipients in all`);
    return (found ?? []).map((recipient): Pair => ({ object, recipient, properties }));
  });
  return lists?.flat() ?? [];
}
