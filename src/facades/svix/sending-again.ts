/** Sending messages again, many of them in the background, and sending an example. */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Millis } from "../../lib/clock.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { applicationOf, type Caller, endpointOf, may, ORGANISATION, seesFlags } from "./access.ts";
import { pairStatusesOf, STATUSES, type Status } from "./attempt-views.ts";
import { STATUS_CODE_CLASSES } from "./attempts.ts";
import { badRequest, conflict, notFound } from "./errors.ts";
import { eventTypesFor } from "./event-types.ts";
import { KEEP_MS } from "./message-fields.ts";
import { messageText, sendText } from "./message-views.ts";
import type { Routes, Svix } from "./svix.ts";
import { taskStarted } from "./tasks.ts";
import { CHANNEL, EVENT_NAME, type Fields, fields, TAG } from "./wire.ts";

const DAY_MS = 86_400_000;
/** How far back failed messages are recovered. The slack is for callers who compute it first and send it then. */
const LONGEST_RECOVERY_MS = 14 * DAY_MS + 5 * 60_000;
/** Tries out an endpoint; there need not be such an event type. */
const PING = "svix.ping";
const PING_PAYLOAD = '{"success":true}';

export const sendingAgainRoutes: Routes = (app, svix) => {
  const { webhooks, clock } = svix;

  app.post("/app/:app_id/endpoint/:endpoint_id/recover", may("CreateAttempts"), async (request, reply) => {
    const f = fields(request.body);
    const { since, until, ...window } = windowIn(f, clock.now());
    if ((until ?? clock.now()) - since > LONGEST_RECOVERY_MS) {
      f.issue(["since"], "Expected a time at most 14 days before `until`");
    }
    f.done();
    return await start(request, reply, "recover", window);
  });

  app.post("/app/:app_id/endpoint/:endpoint_id/replay-missing", may("CreateAttempts"), async (request, reply) => {
    const f = fields(request.body);
    const { from, to } = windowIn(f, clock.now());
    f.done();
    return await start(request, reply, "replay-missing", { from, to });
  });

  app.post("/app/:app_id/endpoint/:endpoint_id/bulk-replay", may("CreateAttempts"), async (request, reply) => {
    const f = fields(request.body);
    const { from, to } = windowIn(f, clock.now());
    const eventTypes = f.names("eventTypes", { nullable: true, max: 500, pattern: EVENT_NAME });
    const channel = f.text("channel", { nullable: true, min: 1, max: 128, pattern: CHANNEL });
    const tag = f.text("tag", { nullable: true, min: 1, max: 128, pattern: TAG });
    const status = f.integer("status", { nullable: true, values: STATUSES }) as Status | null;
    const statusCodeClass = f.integer("statusCodeClass", { nullable: true, values: STATUS_CODE_CLASSES });
    f.done();
    const statuses = status === null ? null : pairStatusesOf(status, true);
    return await start(request, reply, "bulk-replay", {
      from,
      to,
      eventTypes,
      channel,
      tag,
      statuses,
      statusCodeClass,
    });
  });

  async function start(
    request: FastifyRequest,
    reply: FastifyReply,
    kind: "recover" | "replay-missing" | "bulk-replay",
    spec: JsonObject,
  ): Promise<FastifyReply> {
    const { caller, application, endpoint } = await endpointInPath(svix, request);
    const task = await webhooks.tasks.start(caller.environment.id, kind, {
      appId: application.id,
      endpointId: endpoint.id,
      ...spec,
    });
    return reply.code(202).send(taskStarted(task));
  }

  app.post("/app/:app_id/endpoint/:endpoint_id/send-example", may("CreateAttempts"), async (request, reply) => {
    const f = fields(request.body);
    const eventType = f.text("eventType", { min: 1, max: 256, pattern: EVENT_NAME });
    const index = f.integer("exampleIndex", { min: 0, default: 0 });
    f.done();
    const { caller, application, endpoint } = await endpointInPath(svix, request);
    const payload = eventType === PING ? PING_PAYLOAD : await examplePayload(svix, caller, eventType, index);
    const made = await webhooks.publish(
      caller.environment.id,
      application.id,
      {
        eventId: null,
        eventType,
        channels: null,
        tags: null,
        payload,
        raw: null,
        parameters: null,
        deliverAt: null,
        keepMs: KEEP_MS,
      },
      { only: endpoint.id },
    );
    if (made.kind === "duplicate") throw conflict("The message is there already");
    if (made.kind !== "accepted") throw notFound();
    return sendText(reply, messageText(made.message, true, clock.now()), 202);
  });

  // There is no queue beside the ledger that deliveries could have fallen out of: whatever is to be tried is in it.
  app.post("/admin/redrive-dlq", ORGANISATION, (_request, reply) => reply.code(204).send());
};

/** The time that is asked for; what comes in while the task runs is not meant. */
function windowIn(
  f: Fields,
  now: Millis,
): { readonly since: Millis; readonly until: Millis | null; readonly from: Millis; readonly to: Millis } {
  const since = f.time("since");
  const until = f.time("until", { nullable: true });
  if (until !== null && since > until) f.issue(["since"], "Expected a time that is not after `until`");
  // The last millisecond belongs to it.
  return { since, until, from: since, to: Math.min(until ?? now, now) + 1 };
}

async function endpointInPath(svix: Pick<Svix, "webhooks">, request: FastifyRequest) {
  const { caller, application } = await applicationOf(svix, request);
  const { endpoint_id } = request.params as { readonly endpoint_id: string };
  return { caller, application, endpoint: await endpointOf(svix, caller, application, endpoint_id) };
}

/** The example that the first version of the event type's schema has in this place. @throws SvixError 404, 400 */
async function examplePayload(
  svix: Pick<Svix, "engine">,
  caller: Caller,
  eventType: string,
  index: number,
): Promise<string> {
  const known = await eventTypesFor(svix, caller.environment.id).readEventType(eventType);
  if (known === null || !seesFlags(caller, known.featureFlags)) throw notFound();
  const schema = known.schemas?.["1"];
  const examples = isObject(schema) && Array.isArray(schema.examples) ? schema.examples : [];
  const example = examples[index];
  if (!isObject(example)) throw badRequest("The event type has no such example that is an object", "invalid_scheme");
  return JSON.stringify(example);
}
