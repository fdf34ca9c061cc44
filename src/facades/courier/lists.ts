/** Lists and who is on them. */
import type { FastifyRequest } from "fastify";
import Type from "typebox";
import { checkListId, checkPattern, matchesPattern, patternPrefix } from "../../engine/list-pattern.ts";
import type { List } from "../../engine/model.ts";
import { bodyOf } from "../../http/body.ts";
import { environmentOf } from "./auth.ts";
import type { Routes } from "./courier.ts";
import { notFound } from "./errors.ts";
import { pageQuery, pagingEnvelope } from "./paging.ts";
import { at } from "./send-translate.ts";
import { checkId, checkText, Maybe, queryText, RecipientPreferences, toIso } from "./wire.ts";

const listBody = bodyOf(Type.Object({ name: Type.String(), preferences: Maybe(RecipientPreferences) }));
const subscriptionBody = bodyOf(Type.Object({ preferences: Maybe(RecipientPreferences) }));
const recipientsBody = bodyOf(
  Type.Object({
    recipients: Type.Array(Type.Object({ recipientId: Type.String(), preferences: Maybe(RecipientPreferences) })),
  }),
);

export const listRoutes: Routes = (app, { engine }) => {
  const { directory, clock } = engine;

  app.get("/lists", async (request) => {
    const pattern = queryPattern(request.query);
    const page = await directory.lists(
      environmentOf(request).id,
      pattern === undefined ? "" : patternPrefix(pattern),
      pattern === undefined ? () => true : (listId) => matchesPattern(pattern, listId),
      pageQuery(request.query),
    );
    return pagingEnvelope("items", page, showList);
  });

  app.get("/lists/:list_id", async (request) => showList(await existing(request)));

  app.put("/lists/:list_id", async (request, reply) => {
    const id = listOf(request);
    const { name, preferences } = listBody(request.body);
    const list = { id, name: checkText("name", name), preferences: preferences ?? null };
    await directory.putList(environmentOf(request).id, list, clock.now());
    return reply.code(204).send();
  });

  app.delete("/lists/:list_id", async (request, reply) => {
    const id = listOf(request);
    if (!(await directory.deleteList(environmentOf(request).id, id, clock.now()))) throw notFound("List", id);
    return reply.code(204).send();
  });

  app.put("/lists/:list_id/restore", async (request, reply) => {
    const id = listOf(request);
    if (!(await directory.restoreList(environmentOf(request).id, id, clock.now()))) throw notFound("List", id);
    return reply.code(204).send();
  });

  app.get("/lists/:list_id/subscriptions", async (request) => {
    const { id } = await existing(request);
    const page = await directory.subscribers(environmentOf(request).id, id, pageQuery(request.query));
    return pagingEnvelope("items", page, ({ userId, createdAt, preferences }) => ({
      recipientId: userId,
      created: toIso(createdAt),
      ...(preferences === null ? {} : { preferences }),
    }));
  });

  app.post("/lists/:list_id/subscriptions", async (request, reply) => {
    const of = { listId: listOf(request), replace: false };
    await directory.subscribe(environmentOf(request).id, subscriptionsIn(request), clock.now(), of);
    return reply.code(204).send();
  });

  app.put("/lists/:list_id/subscriptions", async (request, reply) => {
    const of = { listId: listOf(request), replace: true };
    await directory.subscribe(environmentOf(request).id, subscriptionsIn(request), clock.now(), of);
    return reply.code(204).send();
  });

  app.put("/lists/:list_id/subscriptions/:user_id", async (request, reply) => {
    const { preferences } = subscriptionBody(request.body);
    const subscription = { listId: listOf(request), userId: userOf(request), preferences: preferences ?? null };
    await directory.subscribe(environmentOf(request).id, [subscription], clock.now());
    return reply.code(204).send();
  });

  app.delete("/lists/:list_id/subscriptions/:user_id", async (request, reply) => {
    const listId = listOf(request);
    const userId = userOf(request);
    if (!(await directory.unsubscribe(environmentOf(request).id, listId, userId))) {
      throw notFound("Subscription", `of ${userId} to ${listId}`);
    }
    return reply.code(204).send();
  });

  async function existing(request: FastifyRequest): Promise<List> {
    const id = listOf(request);
    const list = await directory.readList(environmentOf(request).id, id);
    if (list === null || list.deletedAt !== null) throw notFound("List", id);
    return list;
  }
};

/** Of the `POST`ed or `PUT` set, for the list in the path. */
function subscriptionsIn(request: FastifyRequest) {
  const listId = listOf(request);
  return recipientsBody(request.body).recipients.map(({ recipientId, preferences }, i) => ({
    listId,
    userId: checkId(`recipients.${i}.recipientId`, recipientId),
    preferences: preferences ?? null,
  }));
}

/** An empty value counts as absent, here as everywhere in a query. */
function queryPattern(query: unknown): string | undefined {
  const pattern = queryText(query, "pattern");
  if (pattern === undefined) return undefined;
  checkId("pattern", pattern);
  return at("pattern", () => checkPattern(pattern));
}

function showList({ id, name, createdAt, updatedAt }: List) {
  return { id, name, created: toIso(createdAt), updated: toIso(updatedAt) };
}

function listOf(request: FastifyRequest): string {
  return checkListId(checkId("list_id", (request.params as { list_id: string }).list_id));
}

function userOf(request: FastifyRequest): string {
  return checkId("user_id", (request.params as { user_id: string }).user_id);
}
