/**
 * Noting what happens to what workflows send, to runs and to what authors write, in the commit in which it happens, where
 * an endpoint may want to know. Unlike changes of messages (change-notes.ts) this is done by whoever makes it happen, not
 * by triggers: what is told (which try, which link) cannot be read off the rows, and whatever no workflow made is told
 * apart before the database is asked anything, so that it pays nothing.
 *
 * How far the delivery is then is read after all else was written, by the statement that notes it.
 */
import type { Delivery } from "../engine/model.ts";
import type { Planned, Progress, Settlement } from "../engine/ports.ts";
import type { HappeningNote, Run, RunRecord } from "../engine/workflow/model.ts";
import type { RunNext } from "../engine/workflow/ports.ts";
import type { Millis } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import type { JsonObject } from "../lib/json.ts";
import type { Dialect, Operation } from "./database.ts";
import { encodeJson, text } from "./text.ts";

/** Text, and not a parameter, so that the partial index on these documents is used. */
const ENDPOINT = "select 1 from documents as d where d.kind = 'knock-webhook' and d.env_id = ? limit 1";
/** `ready_at` 0: at once, whatever anybody's clock says. */
const NOTE = `insert into happenings (env_id, id, subject, happened_at, note, state, attempts, sent_at, delivered_at,
    seen_at, read_at, interacted_at, archived_at, lease_until, ready_at)
  select v.env_id, v.id, v.subject, v.happened_at, v.note, d.state, d.attempts, d.sent_at, d.delivered_at,
    d.seen_at, d.read_at, d.interacted_at, d.archived_at, cast(null as bigint), 0
  from :rows left join deliveries as d on d.id = v.subject and d.env_id = v.env_id`;
const NOTE_COLUMNS = { env_id: "text", id: "text", subject: "text", happened_at: "int", note: "text" } as const;

/** Notes those of environments that have an endpoint. To be called when all else of the operation has been written. */
export function* note(dialect: Dialect, notes: readonly HappeningNote[]): Operation<void> {
  if (notes.length === 0) return;
  const told = new Set<string>();
  for (const environmentId of new Set(notes.map((one) => one.environmentId))) {
    const { rows } = yield text(dialect, ENDPOINT, [environmentId]);
    if (rows.length > 0) told.add(environmentId);
  }
  const rows = notes
    .filter(({ environmentId }) => told.has(environmentId))
    .map(({ environmentId, subject, at, ...rest }) => [environmentId, newId("hap", at), subject, at, encodeJson(rest)]);
  if (rows.length > 0) yield { kind: "each", sql: NOTE, columns: NOTE_COLUMNS, rows };
}

/** Runs that begin, those among them that are over at once, and items that are delivered by being stored. */
export function* noteBegun(dialect: Dialect, planned: readonly Planned[]): Operation<void> {
  const notes: HappeningNote[] = [];
  for (const { message, deliveries } of planned) {
    if (message.run === undefined) continue;
    const { environmentId, id, createdAt, run } = message;
    notes.push({ environmentId, subject: id, at: createdAt, detail: null, of: "run", what: "started" });
    notes.push(...deliveries.flatMap(stored), ...over({ environmentId, messageId: id }, run, createdAt));
  }
  yield* note(dialect, notes);
}

/** Runs that are over with their leg, and items that the legs delivered by storing them. */
export function* noteLegs(
  dialect: Dialect,
  legs: readonly { readonly run: Run; readonly deliveries: readonly Delivery[]; readonly next: RunNext }[],
): Operation<void> {
  yield* note(
    dialect,
    legs.flatMap(({ run, deliveries, next }) => [
      ...deliveries.flatMap(stored),
      ...(next.kind === "end" ? over(run, next.record, run.dueAt) : []),
    ]),
  );
}

function stored(d: Delivery): readonly HappeningNote[] {
  if (d.channel !== "inbox" || (d.state !== "pending" && d.state !== "delivered")) return [];
  return [happened(d, "delivered", d.deliveredAt ?? d.createdAt, null)];
}

/** @param before when the run was known to be under way, should its log say nothing. */
function over(
  { environmentId, messageId }: Pick<Run, "environmentId" | "messageId">,
  { status, log }: RunRecord,
  before: Millis,
): readonly HappeningNote[] {
  if (status !== "completed") return [];
  const at = log.at(-1)?.at ?? before;
  const completed: HappeningNote = {
    environmentId,
    subject: messageId,
    at,
    detail: null,
    of: "run",
    what: "completed",
  };
  const error = log.findLast(({ ok }) => !ok);
  if (error === undefined) return [completed];
  const detail: JsonObject = { ...error.data, ...(error.ref === undefined ? {} : { step_ref: error.ref }) };
  return [{ ...completed, what: "failed", detail }, completed];
}

/** What tries of deliveries came to. */
export function* noteSettled(dialect: Dialect, written: readonly Settlement[]): Operation<void> {
  const notes: HappeningNote[] = [];
  for (const { delivery, attempt, next } of written) {
    if (delivery.origin === undefined) continue;
    if (attempt !== null && attempt.outcome !== "sent") {
      const detail = { attempt: attempt.number, retryable: attempt.outcome === "failed" };
      notes.push(happened(delivery, "attempted", attempt.endedAt, detail));
    }
    if (next.state === "sent" || next.state === "delivered") {
      notes.push(happened(delivery, "sent", next.at, null));
      // A webhook's answer is its receipt.
      const confirmed = next.state === "delivered" || delivery.channel === "webhook";
      if (confirmed) notes.push(happened(delivery, "delivered", next.at, null));
    } else if (next.state === "failed") {
      const fatal = attempt?.outcome === "rejected";
      notes.push(happened(delivery, "failed", next.at, { fatal, error: next.error }));
    }
  }
  yield* note(dialect, notes);
}

/** What was heard of deliveries since, and what their users did with them. */
export function* noteProgress(dialect: Dialect, steps: readonly Progress[]): Operation<void> {
  yield* note(
    dialect,
    steps.flatMap(({ event, happens }): HappeningNote[] => {
      const { environmentId, deliveryId, kind, at, data } = event;
      if (happens !== true || deliveryId === null) return [];
      return [{ environmentId, subject: deliveryId, at, detail: data, of: "delivery", what: kind }];
    }),
  );
}

function happened(
  { environmentId, id }: Delivery,
  what: (HappeningNote & { readonly of: "delivery" })["what"],
  at: Millis,
  detail: JsonObject | null,
): HappeningNote {
  return { environmentId, subject: id, at, detail, of: "delivery", what };
}
