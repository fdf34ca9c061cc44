/**
 * Pollers: endpoints whose owner fetches the messages. Three ways to fetch:
 *
 *   the caller holds the iterator      GET /poller/{poller}
 *   the server remembers an iterator   GET /poller/{poller}/consumer/{consumer}
 *   the server leases messages         GET /polling-endpoint/{poller}/consumer/{consumer}, then POST …/commit
 *
 * Svix makes pollers in its dashboard or as destinations. Here it is `POST /app/{app}/polling-endpoint`, our own.
 */
import type { FastifyRequest } from "fastify";
import type { EnvironmentId } from "../../engine/model.ts";
import { passes } from "../../engine/webhooks/match.ts";
import type { AppEndpoint, AppId, AppMessage } from "../../engine/webhooks/model.ts";
import type { AppMessageFilter, Walked } from "../../engine/webhooks/ports.ts";
import type { Millis } from "../../lib/clock.ts";
import { applicationOf, type Caller, endpointOf, may, POLLER } from "./access.ts";
import { readNewEndpoint, showEndpoint } from "./endpoint-fields.ts";
import { rulesFor } from "./endpoints.ts";
import { invalid, notFound } from "./errors.ts";
import { ksuid, MAX_UID_LENGTH, UID } from "./ids.ts";
import { type JsonText, messageMembers, sendText } from "./message-views.ts";
import { listResponse, walkOf } from "./paging.ts";
import { dropCursors, lookWith } from "./poller-cursors.ts";
import { committed, leasedCursor, newLeasedCursor, pollLeased } from "./poller-leases.ts";
import {
  type Place,
  placeAfter,
  placeAt,
  placeBody,
  placeIn,
  placeNow,
  placeOf,
  placeText,
  readFrom,
} from "./poller-place.ts";
import type { Routes } from "./svix.ts";
import { CHANNEL, EVENT_NAME, type Fields, fields, query } from "./wire.ts";

const POLLER_PATH = "/app/:app_id/poller/:sink_id";
const LEASED_PATH = "/app/:app_id/polling-endpoint";
const MAX_LIMIT = 250;
const DEFAULT_LIMIT = 50;
const MAX_LEASED = 50;
const DEFAULT_LEASE_MS = 30_000;
const LONGEST_LEASE_MS = 12 * 3_600_000;
const MAX_ITERATOR_LENGTH = 5_000;
/** Endpoints of an application, pollers included, are few enough to be looked through. */
const NOWHERE = "https://poller.invalid/";

export const pollerRoutes: Routes = (app, svix) => {
  const { webhooks, clock } = svix;
  const { documents } = svix.engine;
  const { messages } = webhooks;

  // ——— the pollers themselves ———

  app.post(LEASED_PATH, may("ManageEndpoint"), async (request, reply) => {
    const { caller, application } = await applicationOf(svix, request);
    const body = fields(request.body);
    body.done();
    // An endpoint in everything but that it has no address; nothing of one that was given is taken over.
    const given = await readNewEndpoint({ ...(request.body as object), url: NOWHERE }, await rulesFor(svix, caller));
    const made = await webhooks.endpoints.create(caller.environment.id, application.id, {
      ...given,
      url: "",
      headers: {},
      kind: "poller",
    });
    return reply.code(201).send(showEndpoint(made));
  });

  app.get(LEASED_PATH, may("ViewBase"), async (request) => {
    const walk = walkOf(request.query, { prefix: "ep", ownPrefix: "ep", order: "descending", orderable: true });
    const { caller, application } = await applicationOf(svix, request);
    const snapshot = await webhooks.snapshot(caller.environment.id, application.id);
    const pollers = snapshot?.endpoints.filter(({ kind }) => kind === "poller") ?? [];
    return listResponse(pageOf(pollers, walk), walk, ({ id }) => ksuid("ep", id), showEndpoint);
  });

  app.get(`${LEASED_PATH}/:sink_id`, may("ViewBase"), async (request) =>
    showEndpoint((await poller(request)).endpoint),
  );

  app.delete(`${LEASED_PATH}/:sink_id`, may("ManageEndpoint"), async (request, reply) => {
    const { caller, appId, endpoint } = await poller(request);
    const environmentId = caller.environment.id;
    if (!(await webhooks.endpoints.delete(environmentId, appId, { id: endpoint.id }))) throw notFound();
    await dropCursors(documents, environmentId, endpoint.id, clock.now());
    return reply.code(204).send();
  });

  /** The poller of the path. @throws SvixError 404, also when the endpoint is another kind of endpoint */
  async function poller(request: FastifyRequest): Promise<Poller> {
    const { caller, application } = await applicationOf(svix, request);
    const { sink_id } = request.params as { readonly sink_id: string };
    const endpoint = await endpointOf(svix, caller, application, sink_id);
    if (endpoint.kind !== "poller") throw notFound();
    return { caller, appId: application.id, endpoint, environmentId: caller.environment.id };
  }

  // ——— the caller holds the iterator ———

  app.get(POLLER_PATH, POLLER, async (request, reply) => {
    const f = query(request);
    const limit = limitIn(f, MAX_LIMIT);
    const from = iteratorIn(f);
    const eventType = f.text("event_type", { nullable: true, min: 1, max: 256, pattern: EVENT_NAME });
    const channel = f.text("channel", { nullable: true, min: 1, max: 128, pattern: CHANNEL });
    const after = f.time("after", { nullable: true });
    f.done();
    const of = await poller(request);
    const now = clock.now();
    if (from === null) {
      const place = after === null ? await placeNow(messages, of, now) : placeAt(after);
      return sendText(reply, pageText([], place, false));
    }
    const { items, place, done } = await read(of, from, limit, filterOf(of.endpoint, eventType, channel), now);
    return sendText(
      reply,
      pageText(
        items.map((message) => `{${messageMembers(message, true, now)}}`),
        place,
        done,
      ),
    );
  });

  async function read(
    of: Poller,
    from: Place,
    limit: number,
    filter: MessageChoice | null,
    now: Millis,
  ): Promise<{ readonly items: readonly AppMessage[]; readonly place: Place; readonly done: boolean }> {
    if (filter === null || of.endpoint.disabled) return { items: [], place: from, done: true };
    const { messages: found, done } = await readFrom(messages, of, from, filter, limit);
    const place = placeAfter(
      from,
      found.map(({ id }) => id),
      now,
    );
    return { items: found.filter((message) => passes(of.endpoint, message)), place, done };
  }

  // ——— the server remembers the iterator ———

  app.get(`${POLLER_PATH}/consumer/:consumer_id`, POLLER, async (request, reply) => {
    const f = query(request);
    const limit = limitIn(f, MAX_LIMIT);
    const given = iteratorIn(f);
    f.done();
    const of = await poller(request);
    const now = clock.now();
    const text = await lookWith(documents, cursorOf(request, of, "remembered"), now, async (cursor) => {
      const kept = cursor === null ? null : placeOf(cursor.place);
      const from = given ?? kept;
      if (from === null) {
        // A new consumer, from now on.
        const place = await placeNow(messages, of, now);
        return { cursor: { place: placeBody(place) }, answer: pageText([], place, false) };
      }
      // What is given says what was received; only that is remembered, so that nothing is lost with an answer.
      const isNews = given !== null && (kept === null || placeText(given) !== placeText(kept));
      const { items, place, done } = await read(of, from, limit, filterOf(of.endpoint, null, null), now);
      return {
        cursor: isNews ? { place: placeBody(given) } : null,
        answer: pageText(
          items.map((message) => `{${messageMembers(message, true, now)}}`),
          place,
          done,
        ),
      };
    });
    return sendText(reply, text);
  });

  app.post(`${POLLER_PATH}/consumer/:consumer_id/seek`, POLLER, async (request) => {
    const f = fields(request.body);
    const after = f.time("after");
    f.done();
    const of = await poller(request);
    const place = placeAt(after);
    const answer = { iterator: placeText(place) };
    return await lookWith(documents, cursorOf(request, of, "remembered"), clock.now(), async () => ({
      cursor: { place: placeBody(place) },
      answer,
    }));
  });

  // ——— the server leases messages ———

  app.get(`${LEASED_PATH}/:sink_id/consumer/:consumer_id`, POLLER, async (request, reply) => {
    const f = query(request);
    const limit = limitIn(f, MAX_LEASED);
    const leaseMs = f.integer("lease_duration_ms", { default: DEFAULT_LEASE_MS, min: 1, max: LONGEST_LEASE_MS });
    const start = f.oneOf("starting_position", ["earliest", "latest"], { default: "latest" });
    f.done();
    const of = await poller(request);
    const now = clock.now();
    const text = await lookWith(documents, cursorOf(request, of, "leased"), now, async (body) => {
      const cursor =
        body === null
          ? newLeasedCursor(start === "earliest" ? placeAt(0) : await placeNow(messages, of, now))
          : leasedCursor(body);
      const filter = filterOf(of.endpoint, null, null);
      const polled = await pollLeased(messages, of, cursor, { filter, limit, until: now + leaseMs, now });
      const items = polled.items.map(
        ({ offset, message }) => `{"offset":${offset},${messageMembers(message, true, now)}}`,
      );
      return {
        cursor: body !== null && !polled.changed ? null : polled.cursor,
        answer: `{"data":[${items.join(",")}],"done":${polled.done}}`,
      };
    });
    return sendText(reply, text);
  });

  app.post(`${LEASED_PATH}/:sink_id/consumer/:consumer_id/commit`, POLLER, async (request, reply) => {
    const f = fields(request.body);
    const offset = f.integer("offset", { min: 0 });
    f.done();
    const of = await poller(request);
    await lookWith(documents, cursorOf(request, of, "leased"), clock.now(), async (body) => {
      if (body === null) throw notFound();
      const cursor = leasedCursor(body);
      if (offset >= cursor.next) throw invalid(["body", "offset"], "Expected an offset that was given out");
      return { cursor: committed(cursor, offset), answer: undefined };
    });
    return reply.code(204).send();
  });
};

interface Poller {
  readonly caller: Caller;
  readonly environmentId: EnvironmentId;
  readonly appId: AppId;
  readonly endpoint: AppEndpoint;
}

type MessageChoice = Pick<AppMessageFilter, "eventTypes" | "channels">;

/**
 * What to read for a poller, of which `passes` may still refuse some; null when it is nothing at all.
 * @param eventType of the poller's messages only these; null: all. @param channel likewise.
 */
function filterOf(
  { eventTypes, channels }: AppEndpoint,
  eventType: string | null,
  channel: string | null,
): MessageChoice | null {
  if (eventType !== null && eventTypes !== null && !eventTypes.includes(eventType)) return null;
  const types = eventType === null ? eventTypes : [eventType];
  const some = channel === null ? channels : [channel];
  return { ...(types === null ? {} : { eventTypes: types }), ...(some === null ? {} : { channels: some }) };
}

function limitIn(f: Fields, max: number): number {
  return f.integer("limit", { min: 1, max, default: DEFAULT_LIMIT });
}

function iteratorIn(f: Fields): Place | null {
  const text = f.text("iterator", { nullable: true, max: MAX_ITERATOR_LENGTH });
  if (text === null || text === "") return null;
  const place = placeIn(text);
  if (place === null) f.issue(["iterator"], "Expected an iterator that this poller has given out");
  return place;
}

function cursorOf(request: FastifyRequest, { environmentId, endpoint }: Poller, way: "remembered" | "leased") {
  const { consumer_id: consumer } = request.params as { readonly consumer_id: string };
  if (consumer.length > MAX_UID_LENGTH || !UID.test(consumer)) {
    throw invalid(["path", "consumer_id"], `Expected at most ${MAX_UID_LENGTH} characters of ${UID.source}`);
  }
  return { environmentId, endpointId: endpoint.id, way, consumer };
}

function pageText(items: readonly JsonText[], place: Place, done: boolean): JsonText {
  return `{"data":[${items.join(",")}],"iterator":"${placeText(place)}","done":${done}}`;
}

/** A page of what is all in memory. */
function pageOf<T extends { readonly id: string }>(all: readonly T[], walk: ReturnType<typeof walkOf>): Walked<T> {
  const ascending = (walk.order === "ascending") !== (walk.from?.back ?? false);
  const sorted = [...all].sort((a, b) => (a.id < b.id === ascending ? -1 : 1));
  const { from } = walk;
  const ahead = from === null ? sorted : sorted.filter(({ id }) => (ascending ? id > from.key : id < from.key));
  const items = ahead.slice(0, walk.limit);
  return { items: from?.back === true ? items.reverse() : items, more: ahead.length > walk.limit };
}
