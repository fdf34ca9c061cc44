/** Runs of workflows as Knock shows them: one for each recipient of a trigger. */
import type { FastifyInstance } from "fastify";
import type { Message } from "../../engine/model.ts";
import type { RunEvent, RunRecord } from "../../engine/workflow/model.ts";
import { fromHex, isId, toHex } from "../../lib/ids.ts";
import type { JsonObject } from "../../lib/json.ts";
import { toKsuid } from "../../lib/ksuid.ts";
import { environmentOf, SECRET } from "./auth.ts";
import { missing } from "./errors.ts";
import { fromUuid, toMessageId, toUuid } from "./ids.ts";
import type { Knock } from "./knock.ts";
import { itemsOf, pageOf } from "./paging.ts";
import { queryOf } from "./query.ts";
import { showRef, toIso } from "./wire.ts";

const STATUSES = ["queued", "processing", "paused", "completed", "cancelled"] as const;

export function workflowRunRoutes(scope: FastifyInstance, { engine }: Knock): void {
  const { runs } = engine.workflows;

  scope.get("/workflow_recipient_runs", SECRET, async (request) => {
    const query = queryOf(request);
    const asked = pageOf(query, "wr");
    const workflow = query.text("workflow");
    const statuses = query.wordsOf("status", STATUSES);
    const tenantId = query.text("tenant");
    const hasErrors = query.flag("has_errors");
    const recipient = query.party("recipient");
    const from = query.moment("starting_at");
    const until = query.moment("ending_at");
    const filter = {
      ...(workflow === undefined ? {} : { workflow }),
      ...(statuses.length === 0 ? {} : { statuses }),
      ...(tenantId === undefined ? {} : { tenantId }),
      ...(hasErrors === undefined ? {} : { hasErrors }),
      ...(recipient === undefined ? {} : { recipient }),
      ...(from === undefined ? {} : { from }),
      // The bound is the last moment that still counts.
      ...(until === undefined ? {} : { until: until + 1 }),
    };
    const page = await runs.list(environmentOf(request).id, filter, engine.clock.now(), asked);
    return itemsOf(asked, page, page.items.map(showRun), ({ id }) => id);
  });

  scope.get("/workflow_recipient_runs/:id", SECRET, async (request) => {
    const { id } = request.params as { id: string };
    const messageId = fromUuid("msg", id);
    const environmentId = environmentOf(request).id;
    const [message] = messageId === null ? [] : await engine.messages.readMessages(environmentId, [messageId]);
    if (message?.run === undefined) throw missing("Workflow recipient run", id);
    return { ...showRun(message), events: message.run.log.map((event, i) => showEvent(message, event, i)) };
  });
}

/** A message that is a run. */
export function showRun(message: Message): JsonObject {
  const run = message.run as RunRecord;
  const { source } = run;
  return {
    __typename: "WorkflowRecipientRun",
    id: toUuid(message.id),
    workflow_run_id: toUuid(message.requestId),
    workflow: run.workflow,
    recipient: showRef(run.recipient),
    actor: run.actor === null ? null : showRef(run.actor),
    tenant: message.tenantId,
    status: run.status,
    error_count: run.log.filter(({ ok }) => !ok).length,
    trigger_source: {
      type: source.type,
      cancellation_key: run.cancellationKey,
      schedule_id: source.scheduleId === undefined ? null : toUuid(source.scheduleId),
      audience_key: source.audienceKey ?? null,
    },
    inserted_at: toIso(message.createdAt),
    updated_at: toIso(run.log.at(-1)?.at ?? message.createdAt),
  };
}

function showEvent(message: Message, event: RunEvent, place: number): JsonObject {
  return {
    __typename: "WorkflowRecipientRunEvent",
    id: toKsuid(eventId(message, place)),
    event: event.event,
    status: event.ok ? "ok" : "error",
    attempt: event.attempt,
    step_ref: event.ref ?? null,
    step_type: event.type ?? null,
    data: event.data === undefined ? null : showData(event.data),
    inserted_at: toIso(event.at),
  };
}

function showData(data: JsonObject): JsonObject {
  const { message_id: id } = data;
  return typeof id === "string" && isId("dlv", id) ? { ...data, message_id: toMessageId(id) } : data;
}

/** The log has no ids of its own: an entry has its message's, with its place in the last 16 bits. */
function eventId(message: Message, place: number): string {
  const hex = toHex(message.id);
  const last = (Number.parseInt(hex.slice(28), 16) + place + 1) & 0xffff;
  return fromHex("evt", hex.slice(0, 28) + last.toString(16).padStart(4, "0"));
}
