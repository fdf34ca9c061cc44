/** Reading what was tried and what came of it, throwing away what was answered, and trying once more. */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { EnvironmentId, MessageId } from "../../engine/model.ts";
import type { AppEndpoint, AppEndpointId, AppId, AppMessage, EndpointAttempt } from "../../engine/webhooks/model.ts";
import type { EndpointAttemptFilter, Walk, Walked } from "../../engine/webhooks/ports.ts";
import { applicationOf, type Caller, endpointOf, may, ORGANISATION } from "./access.ts";
import {
  attemptText,
  endpointMessageText,
  outcomesOf,
  pairStatusesOf,
  STATUSES,
  type Status,
  showAttemptHeaders,
  showMessageEndpoint,
} from "./attempt-views.ts";
import { contentPage } from "./content-pages.ts";
import { badRequest, notFound } from "./errors.ts";
import { fromKsuid, ksuid } from "./ids.ts";
import { messageFilter } from "./message-fields.ts";
import { contentGone, type JsonText, listText, messageText, sendText } from "./message-views.ts";
import { messageOf } from "./messages.ts";
import { type AskedWalk, listResponse, timeWindow, type WalkRule, walkOf } from "./paging.ts";
import type { Routes, Svix } from "./svix.ts";
import { type Fields, query } from "./wire.ts";

const ATTEMPTS: WalkRule = { prefix: "atmpt", ownPrefix: "att", order: "descending", orderable: false };
const MESSAGES: WalkRule = { prefix: "msg", ownPrefix: "msg", order: "descending", orderable: false };
const ENDPOINTS: WalkRule = { prefix: "ep", ownPrefix: "ep", order: "ascending", orderable: false };
/** Codes from each up to 99 more; 0 is no answer at all. */
export const STATUS_CODE_CLASSES = [0, 100, 200, 300, 400, 500] as const;
/** Counting goes no further: nobody reads the exact number of so many. */
const MOST_COUNTED = 10_000;

const NONE: Walked<never> = { items: [], more: false };

export const attemptRoutes: Routes = (app, svix) => {
  const { webhooks, clock } = svix;
  const { messages } = webhooks;

  app.get("/app/:app_id/attempt/endpoint/:endpoint_id", may("ViewBase"), async (request, reply) => {
    const asked = askedAttempts(svix, request);
    const f = query(request);
    const withMessage = f.bool("with_msg");
    f.done();
    const { caller, application, endpoint } = await endpointInPath(svix, request, true);
    return await answer(reply, caller, application.id, { endpointId: endpoint.id }, asked, withMessage);
  });

  app.get("/app/:app_id/attempt/endpoint/:endpoint_id/count", may("ViewBase"), async (request) => {
    const { filter, empty } = askedAttempts(svix, request);
    const { caller, application, endpoint } = await endpointInPath(svix, request, true);
    if (empty) return { count: 0, approximated: false };
    const { count, exact } = await messages.countAttempts(
      caller.environment.id,
      application.id,
      { ...filter, endpointId: endpoint.id },
      MOST_COUNTED,
    );
    return { count, approximated: !exact };
  });

  // The second path is the vendor's earlier one for the same.
  for (const path of ["/app/:app_id/attempt/msg/:msg_id", "/app/:app_id/msg/:msg_id/attempt"]) {
    app.get(path, may("ViewBase"), async (request, reply) => {
      const asked = askedAttempts(svix, request);
      const f = query(request);
      const key = f.text("endpoint_id", { nullable: true, max: 300 });
      f.done();
      const { caller, application, message } = await messageOf(svix, request);
      const endpoint = key === null ? null : await endpointOf(svix, caller, application, key, true);
      const of = { messageId: message.id, ...(endpoint === null ? {} : { endpointId: endpoint.id }) };
      return await answer(reply, caller, application.id, of, asked);
    });
  }

  // Also of earlier days.
  app.get("/app/:app_id/msg/:msg_id/endpoint/:endpoint_id/attempt", may("ViewBase"), async (request, reply) => {
    const asked = askedAttempts(svix, request);
    const { message } = await messageOf(svix, request);
    const { caller, application, endpoint } = await endpointInPath(svix, request, true);
    return await answer(reply, caller, application.id, { messageId: message.id, endpointId: endpoint.id }, asked);
  });

  async function answer(
    reply: FastifyReply,
    caller: Caller,
    appId: AppId,
    of: { readonly endpointId?: AppEndpointId; readonly messageId?: MessageId },
    { walk, filter, view, empty }: AskedAttempts,
    withMessage = false,
  ): Promise<FastifyReply> {
    const environmentId = caller.environment.id;
    const read = (page: Walk) => messages.listAttempts(environmentId, appId, { ...filter, ...of }, page);
    if (empty)
      return sendText(
        reply,
        listText(NONE, walk, attemptKey, () => ""),
      );
    if (!withMessage) {
      return sendText(
        reply,
        listText(await read(walk), walk, attemptKey, (attempt) => attemptText(attempt, view)),
      );
    }
    const found = await contentPage<AttemptAndMessage>(
      walk,
      ({ attempt }) => attempt.id,
      ({ message }) => (view.withContent ? (message?.payload?.length ?? 0) : 0),
      async (page) => {
        const { items, more } = await read(page);
        return { items: await withMessages(environmentId, appId, items), more };
      },
    );
    const now = clock.now();
    const text = ({ attempt, message }: AttemptAndMessage): JsonText =>
      attemptText(attempt, view, message === null ? "null" : messageText(message, view.withContent, now));
    return sendText(
      reply,
      listText(found, walk, ({ attempt }) => attemptKey(attempt), text),
    );
  }

  async function withMessages(
    environmentId: EnvironmentId,
    appId: AppId,
    attempts: readonly EndpointAttempt[],
  ): Promise<readonly AttemptAndMessage[]> {
    const ids = [...new Set(attempts.map(({ messageId }) => messageId))];
    const found = await Promise.all(ids.map((id) => messages.read(environmentId, appId, id)));
    const byId = new Map(ids.map((id, i) => [id, found[i] ?? null]));
    return attempts.map((attempt) => ({ attempt, message: byId.get(attempt.messageId) ?? null }));
  }

  app.get("/app/:app_id/endpoint/:endpoint_id/msg", may("ViewBase"), async (request, reply) => {
    const f = query(request);
    const walk = walkOf(f, MESSAGES);
    const { walk: from, ...times } = timeWindow(f, clock.now(), walk);
    const labels = messageFilter(f);
    const view = { withContent: f.bool("with_content", true), expanded: f.bool("expanded_statuses") };
    const status = statusIn(f);
    f.done();
    const { caller, application, endpoint } = await endpointInPath(svix, request);
    const statuses = status === null ? null : pairStatusesOf(status, view.expanded);
    const filter = { ...labels, ...times, ...(statuses === null ? {} : { statuses }) };
    const environmentId = caller.environment.id;
    const read = (page: Walk) =>
      messages.messagesOf(environmentId, application.id, endpoint.id, filter, page, view.withContent);
    const found =
      statuses?.length === 0
        ? NONE
        : view.withContent
          ? await contentPage(
              from,
              ({ message }) => message.id,
              ({ message }) => message.payload?.length ?? 0,
              read,
            )
          : await read(from);
    const now = clock.now();
    const key = ({ message }: { readonly message: AppMessage }): string => ksuid("msg", message.id);
    return sendText(
      reply,
      listText(found, from, key, (item) => endpointMessageText(item, view, now)),
    );
  });

  app.get("/app/:app_id/msg/:msg_id/endpoint", may("ViewBase"), async (request) => {
    const f = query(request);
    const walk = walkOf(f, ENDPOINTS);
    const expanded = f.bool("expanded_statuses");
    f.done();
    const { caller, application, message } = await messageOf(svix, request);
    const environmentId = caller.environment.id;
    const found = await messages.endpointsOf(environmentId, application.id, message.id, walk);
    const snapshot = await webhooks.snapshot(environmentId, application.id);
    const known = new Map(snapshot?.endpoints.map((endpoint) => [endpoint.id, endpoint]));
    const rows = await Promise.all(
      found.items.map(async (pair) => {
        const { endpointId: id } = pair;
        const endpoint = known.get(id) ?? (await webhooks.endpoints.read(environmentId, application.id, { id }, true));
        return { pair, endpoint };
      }),
    );
    const items = rows.filter((row): row is typeof row & { endpoint: AppEndpoint } => row.endpoint !== null);
    return listResponse(
      { items, more: found.more },
      walk,
      ({ pair }) => ksuid("ep", pair.endpointId),
      ({ pair, endpoint }) => showMessageEndpoint(endpoint, pair, expanded),
    );
  });

  app.get("/app/:app_id/msg/:msg_id/attempt/:attempt_id", may("ViewBase"), async (request, reply) => {
    const f = query(request);
    const expanded = f.bool("expanded_statuses");
    f.done();
    const { attempt } = await attemptInPath(svix, request);
    return sendText(reply, attemptText(attempt, { withContent: true, expanded }));
  });

  app.get("/app/:app_id/msg/:msg_id/attempt/:attempt_id/headers", may("ViewBase"), async (request) => {
    return showAttemptHeaders((await attemptInPath(svix, request)).attempt);
  });

  app.delete("/app/:app_id/msg/:msg_id/attempt/:attempt_id/content", ORGANISATION, async (request, reply) => {
    const { caller, appId, attempt } = await attemptInPath(svix, request);
    if (!(await messages.expungeAttempt(caller.environment.id, appId, attempt.id))) throw notFound();
    return reply.code(204).send();
  });

  app.post("/app/:app_id/msg/:msg_id/endpoint/:endpoint_id/resend", may("CreateAttempts"), async (request, reply) => {
    const { message } = await messageOf(svix, request);
    const { endpoint } = await endpointInPath(svix, request);
    if (contentGone(message, clock.now())) {
      throw badRequest("The message's payload is no longer kept", "missing_payload");
    }
    await webhooks.resend(message, endpoint);
    return reply.code(202).send({});
  });
};

interface AttemptAndMessage {
  readonly attempt: EndpointAttempt;
  /** Null when it is no longer kept. */
  readonly message: AppMessage | null;
}

interface AskedAttempts {
  readonly walk: AskedWalk;
  readonly filter: Omit<EndpointAttemptFilter, "endpointId" | "messageId">;
  readonly view: { readonly withContent: boolean; readonly expanded: boolean };
  /** Whether no attempt can be what is asked for. */
  readonly empty: boolean;
}

/** @throws Invalid */
function askedAttempts(svix: Pick<Svix, "clock">, request: FastifyRequest): AskedAttempts {
  const f = query(request);
  const { walk, ...times } = timeWindow(f, svix.clock.now(), walkOf(f, ATTEMPTS));
  const labels = messageFilter(f);
  const status = statusIn(f);
  const statusCodeClass = f.integer("status_code_class", { nullable: true, values: STATUS_CODE_CLASSES });
  const view = { withContent: f.bool("with_content", true), expanded: f.bool("expanded_statuses") };
  f.done();
  const outcomes = status === null ? null : outcomesOf(status, view.expanded);
  return {
    walk,
    filter: {
      ...labels,
      ...times,
      ...(outcomes === null ? {} : { outcomes }),
      ...(statusCodeClass === null ? {} : { statusCodeClass }),
    },
    view,
    empty: outcomes?.length === 0,
  };
}

function statusIn(f: Fields): Status | null {
  return f.integer("status", { nullable: true, values: STATUSES }) as Status | null;
}

function attemptKey({ id }: EndpointAttempt): string {
  return ksuid("atmpt", id);
}

/** @param deleted true finds deleted endpoints, too: attempts outlive them. @throws SvixError 404 */
async function endpointInPath(svix: Pick<Svix, "webhooks">, request: FastifyRequest, deleted = false) {
  const { caller, application } = await applicationOf(svix, request);
  const { endpoint_id } = request.params as { readonly endpoint_id: string };
  const endpoint = await endpointOf(svix, caller, application, endpoint_id, deleted);
  return { caller, application, endpoint };
}

/** The attempt of the path, if it is one of the message in the path. @throws SvixError 404 */
async function attemptInPath(
  svix: Pick<Svix, "webhooks">,
  request: FastifyRequest,
): Promise<{ readonly caller: Caller; readonly appId: AppId; readonly attempt: EndpointAttempt }> {
  const { caller, application, message } = await messageOf(svix, request);
  const { attempt_id: text } = request.params as { readonly attempt_id: string };
  const id = fromKsuid("atmpt", "att", text);
  const appId = application.id;
  const attempt = id === null ? null : await svix.webhooks.messages.readAttempt(caller.environment.id, appId, id);
  if (attempt === null || attempt.messageId !== message.id) throw notFound();
  return { caller, appId, attempt };
}
