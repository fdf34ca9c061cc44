/**
 * Committing legs: what one turn of each of some runs came to. Everything that legs depend on is locked first, always in
 * this order: gates, batches, runs (the legs' own, and the carriers of batches that may be joined), messages. Then the
 * legs are decided one after the other in memory, and what they came to is written, one statement for each kind of row.
 */
import type { Delivery } from "../engine/model.ts";
import type { Run, RunRecord, RunState } from "../engine/workflow/model.ts";
import type { Leg, LegResult, RunNext } from "../engine/workflow/ports.ts";
import type { Millis } from "../lib/clock.ts";
import { LockedBatches } from "./batches.ts";
import type { Dialect, Operation, Value } from "./database.ts";
import { LockedGates } from "./gates.ts";
import { noteLegs } from "./happening-notes.ts";
import { lockMessages, type Rise, raiseMessages } from "./message-progress.ts";
import { mergeProperties } from "./party-properties.ts";
import { insertDeliveries, markInInbox } from "./planned.ts";
import { REQUEST_COLUMNS, requestValues, runRecordValues } from "./rows.ts";
import { runStateText } from "./run-rows.ts";
import { changeTenants } from "./tenant-changes.ts";
import { among, lockingRows, storable, text, textList } from "./text.ts";

const KEY = { env_id: "text", message_id: "text" } as const;
const END = "delete from runs where (env_id, message_id) in (select v.env_id, v.message_id from :rows)";
const WAIT = `update runs set status = v.status, state = v.state, due_at = v.due_at, ready_at = v.due_at,
    lease_until = null
  from :rows where runs.env_id = v.env_id and runs.message_id = v.message_id`;
const WAIT_COLUMNS = { ...KEY, status: "text", state: "text", due_at: "int" } as const;
/** Under a lease, a run is ready when that lapses; its new time counts if the lease is given back. */
const MOVE = `update runs set due_at = v.due_at,
    ready_at = case when lease_until is null then v.due_at else ready_at end
  from :rows where runs.env_id = v.env_id and runs.message_id = v.message_id`;
const MOVE_COLUMNS = { ...KEY, due_at: "int" } as const;
/** Errors that fell out of a bounded log have happened all the same. */
export const RECORD = `update messages set run = v.run, run_status = v.run_status,
    run_errors = case when v.run_errors > messages.run_errors then v.run_errors else messages.run_errors end
  from :rows where messages.env_id = v.env_id and messages.id = v.id`;
export const RECORD_COLUMNS = {
  env_id: "text",
  id: "text",
  run: "text",
  run_status: "text",
  run_errors: "int",
} as const;
/** Of runs that are over and had nothing to send. */
const NOTHING_SENT = `update messages set state = v.state, reason = v.reason, error = v.error,
    canceled_at = v.canceled_at
  from :rows where messages.env_id = v.env_id and messages.id = v.message_id
    and messages.state in ('enqueued', 'delayed', 'routed')
    and not exists (select 1 from deliveries as d where d.message_id = v.message_id)`;
const NOTHING_SENT_COLUMNS = { ...KEY, state: "text", reason: "text", error: "text", canceled_at: "int" } as const;

type Decided = { readonly leg: Leg; readonly next: RunNext };

/** As `RunStore.commit`. Of two legs of one run at most the first is written. */
export function* commitLegs(
  dialect: Dialect,
  legs: readonly Leg[],
  leaseUntil: Millis,
  now: () => Millis = () => 0,
): Operation<readonly LegResult[]> {
  if (legs.length === 0) return [];
  const gates = yield* LockedGates.lock(legs, now);
  const batches = yield* LockedBatches.lock(dialect, [...gates.batchKeys(), ...batchesOf(legs)]);
  const held = yield* lockRuns(dialect, legs, batches);

  const decided: Decided[] = [];
  const results = legs.map((leg): LegResult => {
    const { run, gate, closes } = leg;
    const name = nameOf(run);
    if (held.get(name) !== leaseUntil) return "lost";
    const closing = closes === null ? null : batches.find(run.environmentId, closes.batchId);
    if (closes !== null && closing?.version !== closes.version) return "again";
    if (closing !== null) batches.close(closing);
    const next = gate === null ? leg.next : gates.pass(run, gate, batches);
    if (next === null) throw new Error(`the leg of run ${run.messageId} has neither a gate nor a next`);
    leaveBatch(run, next, batches);
    held.delete(name);
    decided.push({ leg, next });
    return "written";
  });

  yield* gates.write(batches);
  yield* batches.write();
  yield* writeRuns(decided, batches);
  yield* writeMessages(dialect, decided);
  yield* writeParties(dialect, decided);
  yield* noteLegs(
    dialect,
    decided.map(({ leg: { run, deliveries }, next }) => ({ run, deliveries, next })),
  );
  return results;
}

function nameOf(run: { readonly environmentId: string; readonly messageId: string }): string {
  return `${run.environmentId} ${run.messageId}`;
}

/** The batches that legs close, or leave behind. */
function batchesOf(legs: readonly Leg[]): { environmentId: string; id: string }[] {
  return legs.flatMap(({ run: { environmentId, state }, closes }) =>
    [closes?.batchId ?? null, state.carries].flatMap((id) => (id === null ? [] : [{ environmentId, id }])),
  );
}

/** A carrier that gives up must not leave a batch behind which others still join. */
function leaveBatch(run: Run, next: RunNext, batches: LockedBatches): void {
  const { carries } = run.state;
  if (carries === null || (next.kind === "wait" && next.state.carries === carries)) return;
  const left = batches.find(run.environmentId, carries);
  if (left !== null && left.carrierId === run.messageId) batches.close(left);
}

/** @returns the leases of the runs that are there; null without one. */
function* lockRuns(
  dialect: Dialect,
  legs: readonly Leg[],
  batches: LockedBatches,
): Operation<Map<string, Millis | null>> {
  const carriers = batches.all().map(({ environmentId, carrierId }) => ({ environmentId, messageId: carrierId }));
  const wanted = [...legs.map(({ run }) => run), ...carriers];
  const environments = [...new Set(wanted.map((run) => run.environmentId))];
  const ids = [...new Set(wanted.map((run) => run.messageId))];
  const sql = `select env_id, message_id, lease_until from runs
    where ${among(dialect, "env_id")} and ${among(dialect, "message_id")}
    order by env_id, message_id${lockingRows(dialect)}`;
  const { rows } = yield text(dialect, sql, [textList(dialect, environments), textList(dialect, ids)]);
  return new Map(
    rows.map((row) => [
      nameOf({ environmentId: row.env_id as string, messageId: row.message_id as string }),
      row.lease_until as Millis | null,
    ]),
  );
}

function* writeRuns(decided: readonly Decided[], batches: LockedBatches): Operation<void> {
  const ended: Value[][] = [];
  const waiting: Value[][] = [];
  const written = new Set<string>();
  for (const { leg, next } of decided) {
    const { run } = leg;
    written.add(nameOf(run));
    if (next.kind === "end") ended.push([run.environmentId, run.messageId]);
    else {
      const closesAt = carriedBy(run, next.state, batches)?.closesAt ?? next.dueAt;
      // Who opens a batch waits for its close; a carrier that failed to close it waits longer.
      const dueAt = leg.gate === null ? Math.max(closesAt, next.dueAt) : closesAt;
      waiting.push([run.environmentId, run.messageId, next.status, runStateText(next.state), dueAt]);
    }
  }
  const moved = batches
    .moved()
    .filter((b) => !written.has(nameOf({ environmentId: b.environmentId, messageId: b.carrierId })))
    .map((b) => [b.environmentId, b.carrierId, b.closesAt]);
  if (ended.length > 0) yield { kind: "each", sql: END, columns: KEY, rows: ended };
  if (waiting.length > 0) yield { kind: "each", sql: WAIT, columns: WAIT_COLUMNS, rows: waiting };
  if (moved.length > 0) yield { kind: "each", sql: MOVE, columns: MOVE_COLUMNS, rows: moved };
}

function carriedBy(run: Run, state: RunState, batches: LockedBatches) {
  const batch = state.carries === null ? null : batches.find(run.environmentId, state.carries);
  return batch?.carrierId === run.messageId ? batch : null;
}

function* writeMessages(dialect: Dialect, decided: readonly Decided[]): Operation<void> {
  if (decided.length === 0) return;
  // Nobody can come between on SQLite, and what is written here does not depend on what a message is.
  if (dialect === "postgres") {
    const byEnvironment = Map.groupBy(decided, ({ leg }) => leg.run.environmentId as string);
    for (const [environmentId, of] of [...byEnvironment].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const ids = of.map(({ leg }) => leg.run.messageId);
      yield* lockMessages(dialect, environmentId, ids);
    }
  }
  yield {
    kind: "each",
    sql: RECORD,
    columns: RECORD_COLUMNS,
    rows: decided.map(({ leg: { run }, next }) => [run.environmentId, run.messageId, ...runRecordValues(next.record)]),
  };
  const deliveries = decided.flatMap(({ leg }) => leg.deliveries);
  yield* insertDeliveries(deliveries);
  yield* markInInbox(
    dialect,
    deliveries.filter((d) => d.channel === "inbox"),
  );
  yield* raiseMessages(deliveries.flatMap(riseOf));
  const ended = decided.filter(({ leg, next }) => next.kind === "end" && leg.deliveries.length === 0);
  if (ended.length > 0) {
    const rows = ended.map(({ leg: { run }, next }) => [run.environmentId, run.messageId, ...endOf(next.record)]);
    yield { kind: "each", sql: NOTHING_SENT, columns: NOTHING_SENT_COLUMNS, rows };
  }
  const requests = decided.flatMap(({ leg }) => leg.requests);
  if (requests.length > 0) {
    const rows = requests.map((request) => requestValues(request, false));
    yield { kind: "insert", table: "requests", columns: REQUEST_COLUMNS, rows };
  }
}

/** What becomes of a message whose run was all for nothing: canceled, failed, or with nothing to send. */
function endOf({ log, status }: RunRecord): Value[] {
  if (status === "cancelled") return ["canceled", null, null, log.at(-1)?.at ?? null];
  const error = log.findLast(({ ok }) => !ok)?.data?.error;
  if (error === undefined) return ["filtered", "filtered", null, null];
  return ["undeliverable", "failed", typeof error === "string" ? storable(error) : null, null];
}

function* writeParties(dialect: Dialect, decided: readonly Decided[]): Operation<void> {
  const updating = decided.filter(({ leg }) => leg.updates.length > 0 || leg.tenants.length > 0);
  const byEnvironment = Map.groupBy(updating, ({ leg }) => leg.run.environmentId as string);
  for (const [environmentId, of] of [...byEnvironment].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const at = Math.max(...of.map(({ leg, next }) => next.record.log.at(-1)?.at ?? leg.run.dueAt));
    yield* mergeProperties(
      dialect,
      environmentId,
      of.flatMap(({ leg }) => leg.updates),
      at,
    );
    yield* changeTenants(
      dialect,
      environmentId,
      of.flatMap(({ leg }) => leg.tenants),
      at,
    );
  }
}

/** What a message is at least once it has that delivery; one to the inbox is delivered by being stored. */
function riseOf(d: Delivery): Rise[] {
  const message = { env: d.environmentId, messageId: d.messageId };
  const sentAt = d.sentAt ?? d.createdAt;
  switch (d.channel === "inbox" && d.state === "pending" ? "delivered" : d.state) {
    case "pending":
      return [{ ...message, state: "routed" }];
    case "sent":
      return [{ ...message, state: "sent", sentAt }];
    case "simulated":
      return [{ ...message, state: "simulated", sentAt }];
    case "delivered":
      return [{ ...message, state: "delivered", sentAt, deliveredAt: d.deliveredAt ?? d.createdAt }];
    default:
      return [];
  }
}
