/** Reading messages, canceling and repeating them, and hiding requests from lists. */
import type { FastifyRequest } from "fastify";
import { MESSAGE_STATES, type MessageId, type MessageState } from "../../engine/model.ts";
import type { MessageFilter, MessageRecord } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import { isId, withPrefix } from "../../lib/ids.ts";
import { environmentOf } from "./auth.ts";
import type { Courier, Routes } from "./courier.ts";
import { notFound } from "./errors.ts";
import { HISTORY_TYPES, historyOf } from "./history.ts";
import { fromCourierId, parsePublicMessageId, toCourierId } from "./ids.ts";
import { messageDetails, messageOutput, messageRecord, OUTPUT_PARTS, type OutputPart } from "./message-views.ts";
import { pageQuery, pagingEnvelope } from "./paging.ts";
import { parseMoment, queryBoolean, queryList, queryText } from "./wire.ts";

/** Statuses of features that this server has not got: asking for them is no mistake, there just are none. */
const NEVER: ReadonlySet<string> = new Set(["digested", "throttled"]);

export const messageRoutes: Routes = (app, courier) => {
  const { engine } = courier;

  app.get("/messages", async (request) => {
    const { id: environmentId } = environmentOf(request);
    const page = pageQuery(request.query);
    if (page.after != null && !isId("msg", page.after)) {
      throw new Refusal("invalid", "Invalid cursor format", { field: "cursor" });
    }
    const filter = await filterOf(request, courier);
    const found = filter === null ? { items: [], next: null } : await engine.messages.list(environmentId, filter, page);
    return pagingEnvelope("results", found, messageDetails);
  });

  app.get("/messages/:message_id", async (request) => {
    const record = await read(request, courier);
    return messageRecord(record);
  });

  app.get("/messages/:message_id/history", async (request) => {
    const type = queryText(request.query, "type")?.toUpperCase();
    if (type !== undefined && !HISTORY_TYPES.has(type)) {
      throw new Refusal("invalid", `type: Expected one of ${[...HISTORY_TYPES].join(", ")}`, { field: "type" });
    }
    const items = historyOf(await read(request, courier));
    return { results: type === undefined ? items : items.filter((item) => item.type === type) };
  });

  app.get("/messages/:message_id/output", async (request) => {
    return { results: messageOutput((await read(request, courier)).deliveries) };
  });

  app.get("/messages/:message_id/output/:channel_id/:part", async (request, reply) => {
    const { channel_id: channelId, part } = request.params as { channel_id: string; part: string };
    const output = messageOutput((await read(request, courier)).deliveries);
    const found = output.find((item) => item.channel_id === channelId);
    if (found === undefined || !isPart(part)) throw notFound("Output", `${channelId}/${part}`);
    // Written by the author of a template and read on the origin of the dashboard: it must not run there.
    if (part === "html") reply.header("content-security-policy", "sandbox").header("x-content-type-options", "nosniff");
    reply.type(part === "html" ? "text/html; charset=utf-8" : "application/json; charset=utf-8");
    return reply.send(part === "html" ? found.content.html : JSON.stringify(found.content[part]));
  });

  app.post("/messages/:message_id/cancel", async (request, reply) => {
    const { id: environmentId } = environmentOf(request);
    const result = await engine.cancel(environmentId, await resolve(request, courier));
    if (result === null) throw unknown(request);
    // Documented: whoever comes too late gets the record as it is, not an error body.
    if (!result.canceled && result.message.state !== "canceled") reply.code(409).header("x-should-retry", "false");
    return messageDetails(result.message);
  });

  app.post("/messages/:message_id/resend", async (request, reply) => {
    const { id: environmentId } = environmentOf(request);
    const requestId = await engine.resend(environmentId, await resolve(request, courier));
    if (requestId === null) throw unknown(request);
    return reply.code(202).send({ messageId: toCourierId(requestId) });
  });

  app.put("/requests/:request_id/archive", async (request, reply) => {
    const { request_id: text } = request.params as { request_id: string };
    const id = fromCourierId("req", text);
    const { id: environmentId } = environmentOf(request);
    if (id === null || !(await engine.messages.archiveRequest(environmentId, id, engine.clock.now()))) {
      throw notFound("Request", text);
    }
    return reply.code(202).send();
  });
};

async function read(request: FastifyRequest, courier: Courier): Promise<MessageRecord> {
  const { messages } = courier.engine;
  const { id: environmentId } = environmentOf(request);
  const id = await resolve(request, courier);
  const record = await messages.read(environmentId, id);
  if (record !== null) return record;
  // An item that a workflow put into an inbox goes by its own id there.
  const delivery = await messages.readDelivery(environmentId, withPrefix("dlv", id));
  const itself = delivery === null ? null : await messages.read(environmentId, delivery.messageId);
  if (itself === null) throw unknown(request);
  return itself;
}

/** @throws Refusal 404 when the id in the path can belong to no message. */
async function resolve(request: FastifyRequest, courier: Courier): Promise<MessageId> {
  const { message_id: text } = request.params as { message_id: string };
  const id = await find(request, courier, text);
  if (id === null) throw unknown(request);
  return id;
}

async function find(request: FastifyRequest, courier: Courier, text: string): Promise<MessageId | null> {
  const reference = parsePublicMessageId(text);
  if (reference === null) return null;
  if (reference.kind === "message") return reference.messageId;
  return await courier.engine.messages.findByUser(environmentOf(request).id, reference.requestId, reference.userId);
}

function unknown(request: FastifyRequest): Refusal {
  return notFound("Message", (request.params as { message_id: string }).message_id);
}

function isPart(part: string): part is OutputPart {
  return (OUTPUT_PARTS as readonly string[]).includes(part);
}

/** @returns null when nothing can match. @throws Refusal for what is no filter at all. */
async function filterOf(request: FastifyRequest, courier: Courier): Promise<MessageFilter | null> {
  const { query } = request;
  const text = (name: string): string | undefined => queryText(query, name);
  const statuses = queryList(query, "status");
  const states = statuses.map(stateOf).filter((state) => state !== null);
  if (statuses.length > 0 && states.length === 0) return null;

  // A message without event is shown with its own id for one; so that id, asked for as an event, finds it.
  const event = text("event");
  const byId = event !== undefined && parsePublicMessageId(event) !== null;
  const ids: MessageId[] = [];
  for (const name of byId ? ["messageId", "event"] : ["messageId"]) {
    const asked = text(name);
    const id = asked === undefined ? undefined : await find(request, courier, asked);
    if (id === null) return null;
    if (id !== undefined) ids.push(id);
  }
  const [id, other = id] = ids;
  if (id !== other) return null;

  const after = text("enqueued_after");
  const createdAfter = after === undefined ? undefined : parseMoment(after);
  if (createdAfter === null) {
    throw new Refusal("invalid", "enqueued_after: Expected an ISO 8601 time or epoch time", {
      field: "enqueued_after",
    });
  }
  const traceId = text("traceId");
  const providers = queryList(query, "provider");
  const [tags = [], moreTags = []] = [queryList(query, "tag"), queryList(query, "tags")].filter(
    (list) => list.length > 0,
  );
  return {
    archived: queryBoolean(query, "archived") === true,
    ...(id === undefined ? {} : { id }),
    ...(createdAfter === undefined ? {} : { createdAfter }),
    ...(providers.length === 0 ? {} : { providers }),
    ...(states.length === 0 ? {} : { states }),
    ...(tags.length === 0 ? {} : { tags }),
    ...(moreTags.length === 0 ? {} : { moreTags }),
    ...given("event", byId ? "" : event),
    ...given("listId", text("list")),
    ...given("templateId", text("notification")),
    ...given("recipient", ownId(text("recipient"))),
    ...given("tenantId", text("tenant_id")),
    ...(traceId === undefined ? {} : { trace: { traceId, requestId: fromCourierId("req", traceId) } }),
  };
}

function given<N extends string>(name: N, value: string | undefined): { readonly [key in N]?: string } {
  return (value === undefined ? {} : { [name]: value }) as { readonly [key in N]?: string };
}

/** A message without address is stored under its own id, and shown under its public one. */
function ownId(text: string | undefined): string | undefined {
  return text === undefined ? undefined : (fromCourierId("msg", text) ?? text);
}

function stateOf(status: string): MessageState | null {
  const name = status.toLowerCase();
  const state = MESSAGE_STATES.find((known) => known === name);
  if (state !== undefined) return state;
  if (NEVER.has(name)) return null;
  throw new Refusal("invalid", `status: Expected a message status, got ${JSON.stringify(status.slice(0, 60))}`, {
    field: "status",
  });
}
