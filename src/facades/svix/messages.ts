/** Messages of applications: taking them in, reading them, throwing their content away. */
import type { FastifyRequest } from "fastify";
import type { EnvironmentId, MessageId } from "../../engine/model.ts";
import type { StoredAnswer } from "../../engine/ports.ts";
import type { AppId, Application, AppMessage } from "../../engine/webhooks/model.ts";
import type { NewAppMessage, Published, Webhooks } from "../../engine/webhooks/webhooks.ts";
import { isId, withPrefix } from "../../lib/ids.ts";
import { Lru } from "../../lib/lru.ts";
import { applicationOf, type Caller, callerOf, endpointOf, may, ORGANISATION } from "./access.ts";
import { attemptText } from "./attempt-views.ts";
import { contentPage } from "./content-pages.ts";
import { badRequest, conflict, notFound } from "./errors.ts";
import { type IdempotencyKey, idempotencyOf } from "./idempotency.ts";
import { fromKsuid, ksuid, MAX_UID_LENGTH, UID } from "./ids.ts";
import { findOrCreateApplication } from "./inline-application.ts";
import { askedMessage, askedPrecheck, messageFilter } from "./message-fields.ts";
import { contentGone, listText, messageText, sendText } from "./message-views.ts";
import { type AskedWalk, type TimeWindow, timeWindow, type WalkRule, walkOf } from "./paging.ts";
import type { Routes, Svix } from "./svix.ts";
import { taskStarted } from "./tasks.ts";
import { fields, query } from "./wire.ts";

const APP_NOT_FOUND = "Application not found";
const NEWEST_FIRST: WalkRule = { prefix: "msg", ownPrefix: "msg", order: "descending", orderable: false };
/** Ids of one call to throw content away. */
const MAX_BULK = 1_000;
/** Applications that are called by a uid and whose id is remembered. */
const MAX_REMEMBERED = 20_000;

export const messageRoutes: Routes = (app, svix) => {
  const { webhooks, clock } = svix;
  const appIdOf = rememberedAppIds(webhooks);

  // The key of a repetition is kept in the message's own commit, so nothing else may keep it.
  app.post("/app/:app_id/msg", { config: { callers: "organisation", idempotency: "own" } }, async (request, reply) => {
    const caller = callerOf(request);
    const now = clock.now();
    const { app_id: path } = request.params as { readonly app_id: string };
    const asked = askedMessage(request, now);
    const f = query(request);
    const withContent = f.bool("with_content", true);
    f.done();
    const message = await take(caller, path, asked, idempotencyOf(request, now));
    return sendText(reply, messageText(message, withContent, now), 202);
  });

  async function take(
    caller: Caller,
    path: string,
    asked: ReturnType<typeof askedMessage>,
    key: IdempotencyKey | null,
  ): Promise<AppMessage> {
    const environmentId = caller.environment.id;
    let appId = await appIdOf(environmentId, path);
    // The hidden application of the environment is told only of what really happened.
    if (appId === withPrefix("app", environmentId)) throw notFound(APP_NOT_FOUND);
    let published = await publish(environmentId, appId, asked.message, key);
    if (published.kind === "no-application") {
      if (asked.application === null) throw notFound(APP_NOT_FOUND);
      appId = (await findOrCreateApplication(svix, caller, path, asked.application, APP_NOT_FOUND)).id;
      published = await publish(environmentId, appId, asked.message, key);
    }
    if (appId === null || published.kind === "no-application") throw notFound(APP_NOT_FOUND);
    if (published.kind === "accepted") return published.message;
    if (published.kind === "duplicate") throw duplicate();
    const kept = await firstOf(environmentId, appId, published.answer);
    if (kept === null) throw notFound();
    return kept;
  }

  async function publish(
    environmentId: EnvironmentId,
    appId: AppId | null,
    message: NewAppMessage,
    key: IdempotencyKey | null,
  ): Promise<Published> {
    if (appId === null) return { kind: "no-application" };
    if (key === null) return await webhooks.publish(environmentId, appId, message);
    return await webhooks.publish(environmentId, appId, message, { idempotency: { ...key, answer: idOnly } });
  }

  /** The message that a call with the same key has made. */
  async function firstOf(
    environmentId: EnvironmentId,
    appId: AppId,
    { body }: StoredAnswer,
  ): Promise<AppMessage | null> {
    return isId("msg", body) ? await webhooks.messages.read(environmentId, appId, body) : null;
  }

  app.post("/app/:app_id/msg/precheck/active", ORGANISATION, async (request) => {
    const asked = askedPrecheck(request);
    const { caller, application } = await applicationOf(svix, request, APP_NOT_FOUND);
    return { active: await webhooks.wouldReach(caller.environment.id, application.id, asked) };
  });

  app.get("/app/:app_id/msg", may("ViewBase"), async (request, reply) => {
    const f = query(request);
    const walk = walkOf(f, NEWEST_FIRST);
    const window = timeWindow(f, clock.now(), walk);
    const filter = messageFilter(f);
    const withContent = f.bool("with_content", true);
    f.done();
    return sendText(reply, await list(request, window, filter, withContent));
  });

  app.post("/app/:app_id/msg/search", may("ViewBase"), async (request, reply) => {
    const f = fields(request.body);
    const walk = walkOf(f, NEWEST_FIRST);
    const window = timeWindow(f, clock.now(), walk);
    const filter = messageFilter(f);
    const withContent = f.bool("with_content");
    f.done();
    return sendText(reply, await list(request, window, filter, withContent));
  });

  async function list(
    request: FastifyRequest,
    { walk, ...times }: TimeWindow,
    labels: ReturnType<typeof messageFilter>,
    withContent: boolean,
  ): Promise<string> {
    const { caller, application } = await applicationOf(svix, request);
    const filter = { ...labels, ...times };
    const read = (page: Pick<AskedWalk, "limit" | "from" | "order">) =>
      webhooks.messages.list(caller.environment.id, application.id, filter, page, withContent);
    const found = withContent ? await contentPage(walk, ({ id }) => id, sizeOf, read) : await read(walk);
    const now = clock.now();
    return listText(found, walk, vendorId, (message) => messageText(message, withContent, now));
  }

  app.get("/app/:app_id/msg/:msg_id", may("ViewBase"), async (request, reply) => {
    const f = query(request);
    const withContent = f.bool("with_content", true);
    f.done();
    const { message } = await messageOf(svix, request);
    return sendText(reply, messageText(message, withContent, clock.now()));
  });

  app.get("/app/:app_id/msg/:msg_id/raw", may("ViewBase"), async (request) => {
    const { message } = await messageOf(svix, request);
    if (contentGone(message, clock.now())) throw notFound();
    return { payload: message.raw ?? message.payload };
  });

  app.delete("/app/:app_id/msg/:msg_id/content", ORGANISATION, async (request, reply) => {
    const { caller, application, message } = await messageOf(svix, request);
    if (!(await webhooks.messages.expunge(caller.environment.id, application.id, message.id))) throw notFound();
    return reply.code(204).send();
  });

  app.post("/app/:app_id/msg/bulk-expunge", ORGANISATION, async (request) => {
    const f = fields(request.body);
    const keys = f.names("ids", { default: [], max: MAX_BULK, pattern: UID, maxLength: MAX_UID_LENGTH });
    f.done();
    const { caller, application } = await applicationOf(svix, request);
    const environmentId = caller.environment.id;
    const ids = new Map<string, MessageId | null>();
    for (const key of keys) ids.set(key, await messageIdOf(environmentId, application.id, key));
    const known = [...ids.values()].filter((id) => id !== null);
    const expunged =
      known.length === 0
        ? new Set<MessageId>()
        : await webhooks.messages.expungeMany(environmentId, application.id, known);
    const result = (id: MessageId | null): string => (id !== null && expunged.has(id) ? "expunged" : "not-found");
    return { results: Object.fromEntries([...ids].map(([key, id]) => [key, result(id)])) };
  });

  async function messageIdOf(environmentId: EnvironmentId, appId: AppId, key: string): Promise<MessageId | null> {
    const id = fromKsuid("msg", "msg", key);
    return id ?? (await webhooks.messages.read(environmentId, appId, { eventId: key }))?.id ?? null;
  }

  app.post("/app/:app_id/msg/expunge-all-contents", ORGANISATION, async (request, reply) => {
    const { caller, application } = await applicationOf(svix, request);
    const task = await webhooks.tasks.start(caller.environment.id, "expunge", { appId: application.id });
    return reply.code(202).send(taskStarted(task));
  });

  app.post("/app/:app_id/endpoint/:endpoint_id/msg/test-attempt", ORGANISATION, async (request, reply) => {
    const { endpoint_id } = request.params as { readonly endpoint_id: string };
    const { message: given } = askedMessage(request, clock.now());
    const { caller, application } = await applicationOf(svix, request, APP_NOT_FOUND);
    const endpoint = await endpointOf(svix, caller, application, endpoint_id);
    if (endpoint.disabled || endpoint.kind !== "http") {
      throw badRequest("The endpoint is disabled or is not sent to", "endpoint_disabled");
    }
    const made = await webhooks.publish(caller.environment.id, application.id, given, { only: "none" });
    if (made.kind === "duplicate") throw duplicate();
    if (made.kind !== "accepted") throw notFound(APP_NOT_FOUND);
    const attempt = await webhooks.tryNow(made.message, endpoint);
    if (attempt === null) throw badRequest("The endpoint was disabled meanwhile", "endpoint_disabled");
    return sendText(reply, attemptText(attempt, { withContent: true, expanded: true }), 201);
  });
};

/** What is kept of an answer: the rest of it is with the message. */
function idOnly(id: MessageId): StoredAnswer {
  return { status: 202, body: id };
}

function duplicate(): Error {
  return conflict("The application has a message with this eventId already");
}

function sizeOf(message: AppMessage): number {
  return message.payload?.length ?? 0;
}

function vendorId({ id }: AppMessage): string {
  return ksuid("msg", id);
}

/**
 * The message of the path (`:msg_id`, an id or an event id) with its application.
 * @throws SvixError 404
 */
export async function messageOf(
  svix: Pick<Svix, "webhooks">,
  request: FastifyRequest,
): Promise<{ readonly caller: Caller; readonly application: Application; readonly message: AppMessage }> {
  const { caller, application } = await applicationOf(svix, request);
  const { msg_id: text } = request.params as { readonly msg_id: string };
  const id = fromKsuid("msg", "msg", text);
  if (id === null && (text.length > MAX_UID_LENGTH || !UID.test(text))) throw notFound();
  const message = await svix.webhooks.messages.read(caller.environment.id, application.id, id ?? { eventId: text });
  if (message === null) throw notFound();
  return { caller, application, message };
}

/**
 * Which application a path means, on the way on which every message comes. An id is not looked up: publishing tells
 * whether there is such an application. Of a uid the id is remembered, and believed while the application still has it.
 */
function rememberedAppIds(
  webhooks: Pick<Webhooks, "applications" | "snapshot">,
): (environmentId: EnvironmentId, path: string) => Promise<AppId | null> {
  const remembered = new Lru<string, AppId>(MAX_REMEMBERED);
  return async (environmentId, path) => {
    const id = fromKsuid("app", "app", path);
    if (id !== null) return id;
    if (path.length > MAX_UID_LENGTH || !UID.test(path)) return null;
    const name = `${environmentId} ${path}`;
    const known = remembered.get(name);
    if (known !== undefined && (await webhooks.snapshot(environmentId, known))?.application.uid === path) return known;
    const application = await webhooks.applications.read(environmentId, { uid: path });
    if (application === null) remembered.delete(name);
    else remembered.set(name, application.id);
    return application?.id ?? null;
  };
}
