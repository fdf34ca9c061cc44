/** One message, or a few by their ids: reading them, what they say, what happened to them, and marking them. */
import type { FastifyRequest } from "fastify";
import type { Delivery, DeliveryId } from "../../engine/model.ts";
import type { MessageRecord } from "../../engine/ports.ts";
import { hasPairs, type Json, type JsonObject } from "../../lib/json.ts";
import { activitiesOf, activityView } from "./activity-views.ts";
import { type Caller, callerOf, client, environmentOf, mayActFor, SECRET } from "./auth.ts";
import { invalid, missing } from "./errors.ts";
import { pairsOf } from "./feed-scope.ts";
import { fromMessageId, toMessageId } from "./ids.ts";
import type { Knock, Routes } from "./knock.ts";
import { contentViews } from "./message-content.ts";
import { deliveryLogs, historyLine, historyOf } from "./message-events.ts";
import { ACTOR, MARKS, type Mark, marksOf, metadataOf, UNDOING } from "./message-marks.ts";
import { messageViews, recipientOf } from "./message-views.ts";
import { type AskedPage, itemsOf, pageOf } from "./paging.ts";
import { partyViews } from "./party-views.ts";
import { paramOf } from "./path.ts";
import { queryOf } from "./query.ts";
import { RateLimits } from "./rate-limits.ts";
import { Fields } from "./wire.ts";

/** Messages of one call; as many changes are one commit. */
const MAX_BATCH = 500;
const MARKING = client("user/feed_write");
/** Names the messages of a batch that were left as they are. */
const RATE_LIMITED = "x-ratelimited-message_ids";

export const messageRoutes: Routes = (app, knock) => {
  const { engine, clock, settings } = knock;
  const limits = settings.rateLimits ? new RateLimits() : null;

  app.get("/messages/:message_id", MARKING, async (request) => {
    const delivery = await deliveryOf(knock, request);
    const [view] = await messageViews(knock, environmentOf(request).id, [delivery]);
    return view;
  });

  app.get("/messages/:message_id/content", SECRET, async (request) => {
    const [view] = await contentViews(knock, environmentOf(request).id, [await deliveryOf(knock, request)]);
    return view;
  });

  app.get("/messages/:message_id/activities", SECRET, async (request) => {
    const query = queryOf(request);
    const asked = pageOf(query, "ma");
    const data = query.map("trigger_data");
    const pairs = data === undefined ? {} : pairsOf("trigger_data", data);
    const { delivery, record } = await recordOf(knock, request);
    const recipient = recipientOf(delivery, record.message);
    const all = activitiesOf(delivery).filter((activity) => hasPairs(activity.data, pairs));
    const page = sliceOf(all, asked, ({ id }) => id);
    const parties = [recipient, ...page.items.flatMap(({ actor }) => actor ?? [])];
    const party = await partyViews(knock, environmentOf(request).id, parties);
    const shown = page.items.map((activity) => activityView(activity, recipient, party));
    return itemsOf(asked, page, shown, ({ id }) => id);
  });

  app.get("/messages/:message_id/events", SECRET, async (request) => {
    const asked = pageOf(queryOf(request), "me");
    const { delivery, record } = await recordOf(knock, request);
    const recipient = recipientOf(delivery, record.message);
    const page = sliceOf(historyOf(delivery, record), asked, ({ key }) => key);
    return itemsOf(
      asked,
      page,
      page.items.map((one) => historyLine(one, recipient)),
      ({ key }) => key,
    );
  });

  app.get("/messages/:message_id/delivery_logs", SECRET, async (request) => {
    const asked = pageOf(queryOf(request), "ml");
    const { delivery, record } = await recordOf(knock, request);
    const logs = deliveryLogs(engine.workflows.opened(delivery), record);
    const page = sliceOf(logs, asked, ({ id }) => id as string);
    return itemsOf(asked, page, page.items, ({ id }) => id as string);
  });

  app.get("/messages/batch/content", SECRET, async (request) => {
    const ids = checkedIds(queryOf(request).texts("message_ids"));
    if (ids.length === 0) throw invalid("message_ids", "is required", "required");
    const found = await deliveriesOf(knock, callerOf(request), ids);
    return contentViews(knock, environmentOf(request).id, found);
  });

  for (const mark of MARKS) {
    app.put(`/messages/:message_id/${mark}`, MARKING, async (request) => {
      const delivery = await deliveryOf(knock, request);
      return markOne(request, delivery, mark, mark === "interacted" ? metadataOf(request.body) : null);
    });

    app.post(`/messages/batch/${mark}`, MARKING, async (request, reply) => {
      const body = new Fields(request.body);
      const asked = body.list("message_ids", { max: MAX_BATCH, required: true }, (id, at) => {
        if (typeof id !== "string") throw invalid(at, "Expected the id of a message");
        return id;
      });
      body.done();
      const metadata = mark === "interacted" ? metadataOf(request.body) : null;
      const ids = checkedIds(asked ?? []);
      const { id: environmentId } = environmentOf(request);
      const found = await deliveriesOf(knock, callerOf(request), ids);
      const held = new Set(limits === null ? [] : found.filter((one) => !mayChange(limits, one, mark)));
      if (held.size > 0) reply.header(RATE_LIMITED, [...held].map(({ id }) => toMessageId(id)).join(","));
      const free = found.filter((one) => !held.has(one));
      const marks = marksOf(
        free.map(({ id }) => id),
        mark,
        metadata,
      );
      const changed = await engine.inbox.change(environmentId, null, marks, ACTOR);
      const now = new Map(changed.flatMap((one) => (one === null ? [] : [[one.id, one] as const])));
      const shown = found.map((delivery) => now.get(delivery.id) ?? delivery);
      return messageViews(knock, environmentId, shown);
    });
  }

  /** By a batch a message is marked the same way once a second; one that was is shown as it is. */
  function mayChange(within: RateLimits, { environmentId, id }: Delivery, mark: Mark): boolean {
    return within.take(`${environmentId} ${mark} ${id}`, 1, clock.now()) === null;
  }

  for (const [mark, undoing] of Object.entries(UNDOING)) {
    app.delete(`/messages/:message_id/${mark}`, MARKING, async (request) =>
      markOne(request, await deliveryOf(knock, request), undoing, null),
    );
  }

  async function markOne(
    request: FastifyRequest,
    delivery: Delivery,
    mark: Mark,
    metadata: JsonObject | null,
  ): Promise<JsonObject> {
    const { id: environmentId } = environmentOf(request);
    const changed = await engine.inbox.change(environmentId, null, marksOf([delivery.id], mark, metadata), ACTOR);
    const [view] = await messageViews(knock, environmentId, [changed.at(-1) ?? delivery]);
    return view as JsonObject;
  }
};

/** The delivery of the path. Of another user's the caller learns no more than of none. @throws KnockError 404. */
async function deliveryOf(knock: Knock, request: FastifyRequest): Promise<Delivery> {
  const text = paramOf(request, "message_id");
  const id = fromMessageId(text);
  const caller = callerOf(request);
  const delivery = id === null ? null : await knock.engine.messages.readDelivery(caller.environment.id, id);
  if (delivery === null || !isShownTo(caller, delivery)) throw missing("Message", text);
  return delivery;
}

async function recordOf(
  knock: Knock,
  request: FastifyRequest,
): Promise<{ readonly delivery: Delivery; readonly record: MessageRecord }> {
  const delivery = await deliveryOf(knock, request);
  const record = await knock.engine.messages.read(environmentOf(request).id, delivery.messageId);
  if (record === null) throw missing("Message", toMessageId(delivery.id));
  return { delivery, record };
}

/** In the order of `ids`, each once; those that are not there, or not the caller's, left out. */
async function deliveriesOf(knock: Knock, caller: Caller, ids: readonly DeliveryId[]): Promise<readonly Delivery[]> {
  if (ids.length === 0) return [];
  const found = await knock.engine.messages.readDeliveries(caller.environment.id, ids);
  const byId = new Map(found.map((delivery) => [delivery.id, delivery]));
  return ids.flatMap((id) => {
    const delivery = byId.get(id);
    return delivery !== undefined && isShownTo(caller, delivery) ? [delivery] : [];
  });
}

function checkedIds(texts: readonly string[]): readonly DeliveryId[] {
  if (texts.length > MAX_BATCH) throw invalid("message_ids", `Expected at most ${MAX_BATCH} ids`);
  return [...new Set(texts.flatMap((text) => fromMessageId(text) ?? []))];
}

/**
 * Whether there is such a message for this caller. What goes to endpoints is nobody's message, and what was deleted is
 * gone. Items without a tenant are in the feeds of all tenants, so whoever may see one of these may mark them.
 */
function isShownTo(caller: Caller, { app, providerId, deletedAt, userId, tenantId }: Delivery): boolean {
  if (app !== undefined || providerId.startsWith("ohk_") || deletedAt !== null) return false;
  if (caller.user === null) return true;
  return userId !== null && mayActFor(caller, userId, "user/feed_write", tenantId ?? undefined);
}

/** A page of a list that is whole in memory, newest first. */
function sliceOf<T extends Json | object>(
  all: readonly T[],
  { after, before, limit }: AskedPage,
  keyOf: (item: T) => string,
): { readonly items: readonly T[]; readonly next: string | null } {
  const place = (key: string): number => all.findIndex((item) => keyOf(item) === key);
  if (before !== null) {
    const end = Math.max(0, place(before));
    const start = Math.max(0, end - limit);
    const items = all.slice(start, end);
    return { items, next: start > 0 ? keyOf(items[0] as T) : null };
  }
  // What the key named may be gone; there is then nothing behind it.
  const start = after === null ? 0 : place(after) + 1 || all.length;
  const items = all.slice(start, start + limit);
  return { items, next: start + limit < all.length ? keyOf(items.at(-1) as T) : null };
}
