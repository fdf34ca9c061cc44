/**
 * Recording what tries came to, in batches. The messages concerned are locked first: of several deliveries of one
 * message that fail at once, in whatever processes, each looks at the others only after the one before has committed.
 * What was decided on while another was still pending is then not written but decided on again.
 */
import { type Delivery, type DeliveryId, MESSAGE_RANK, type MessageState } from "../engine/model.ts";
import type { Settled, Settlement } from "../engine/ports.ts";
import { noteTried } from "./change-notes.ts";
import type { Dialect, Operation, Value } from "./database.ts";
import { noteSettled } from "./happening-notes.ts";
import { lockMessages, type Rise, raiseMessages } from "./message-progress.ts";
import { insertDeliveries, markInInbox } from "./planned.ts";
import { ATTEMPT_COLUMNS, attemptValues } from "./rows.ts";
import { lockEndpointRows, settleEndpoints } from "./settle-endpoints.ts";
import { among, encodeJson, storable, text, textList } from "./text.ts";

const SETTLE = `update deliveries set
    state = v.state, due_at = coalesce(v.due_at, deliveries.due_at), lease_until = null, ready_at = v.due_at,
    attempts = deliveries.attempts + v.tried, started_at = coalesce(deliveries.started_at, v.started_at), error = v.error,
    reference = coalesce(v.reference, deliveries.reference), sent_at = coalesce(deliveries.sent_at, v.sent_at),
    delivered_at = coalesce(deliveries.delivered_at, v.delivered_at)
  from :rows where deliveries.id = v.id and deliveries.state = 'pending' and deliveries.lease_until = v.held
  returning deliveries.id`;

const SETTLE_COLUMNS = {
  id: "text",
  held: "int",
  state: "text",
  due_at: "int",
  tried: "int",
  started_at: "int",
  error: "text",
  reference: "text",
  sent_at: "int",
  delivered_at: "int",
} as const;

/** States of a delivery that a message's readers see. */
const SHOWN: ReadonlySet<string> = new Set(["sent", "delivered", "failed"]);
/** What is written for these depends on the state of the message. */
const LOOKING: ReadonlySet<string> = new Set(["pending", "failed"]);

/** Of two settlements of one delivery at most the first is written. */
export function* settle(dialect: Dialect, batch: readonly Settlement[]): Operation<readonly Settled[]> {
  if (batch.length === 0) return [];
  const firsts = new Map<string, Settlement>();
  for (const settlement of batch) {
    if (!firsts.has(settlement.delivery.id)) firsts.set(settlement.delivery.id, settlement);
  }
  const all = [...firsts.values()];
  // Deliveries to endpoints of applications have no row in `messages` that could be looked at or rise.
  const toApps = all.filter((s) => s.endpoint !== undefined);
  const states = yield* lockAll(dialect, toApps.length === 0 ? all : all.filter((s) => s.endpoint === undefined));
  yield* lockEndpointRows(dialect, toApps);
  const outdated = yield* outdatedOf(dialect, all);
  const current = outdated.size === 0 ? all : all.filter((s) => !outdated.has(s));
  const settled = current.map((s) => (isOver(s, states) ? canceled(s) : s));
  const { rows } = yield {
    kind: "each",
    sql: SETTLE,
    columns: SETTLE_COLUMNS,
    rows: settled.map(settledValues),
  };
  const writtenIds = new Set(rows.map((row) => row.id));
  const written = settled.filter((s) => s.endpoint === undefined && writtenIds.has(s.delivery.id));

  const attempts = written.flatMap((s) => (s.attempt === null ? [] : [attemptValues(s.attempt)]));
  if (attempts.length > 0) yield { kind: "insert", table: "attempts", columns: ATTEMPT_COLUMNS, rows: attempts };
  yield* failOver(dialect, written, states);
  yield* raiseMessages([...written.flatMap(risesOf), ...(yield* endings(dialect, written))]);
  yield* noteTried(written.filter(({ next }) => SHOWN.has(next.state)).map((s) => s.delivery));
  yield* noteSettled(dialect, written);
  yield* settleEndpoints(toApps.filter((s) => writtenIds.has(s.delivery.id)));
  return batch.map((s) => {
    if (firsts.get(s.delivery.id) !== s) return "lost";
    if (outdated.has(s)) return "again";
    return writtenIds.has(s.delivery.id) ? "written" : "lost";
  });
}

/** Those that took a delivery for pending which has come to an end, before or by an earlier one of the batch. */
function* outdatedOf(dialect: Dialect, batch: readonly Settlement[]): Operation<ReadonlySet<Settlement>> {
  const depending = batch.filter((s) => besidesOf(s).length > 0);
  if (depending.length === 0) return new Set();
  const sql = `select id from deliveries where ${among(dialect, "id")} and state <> 'pending'`;
  const { rows } = yield text(dialect, sql, [textList(dialect, [...new Set(depending.flatMap(besidesOf))])]);
  const over = new Set(rows.map((row) => row.id as string));
  const outdated = new Set<Settlement>();
  for (const s of batch) {
    if (besidesOf(s).some((id) => over.has(id))) outdated.add(s);
    else if (s.next.state !== "pending") over.add(s.delivery.id);
  }
  return outdated;
}

function besidesOf({ next }: Settlement): readonly DeliveryId[] {
  return next.state === "failed" ? (next.besides ?? []) : [];
}

/** A try that failed is not repeated for a message that was canceled during the try. */
function isOver({ delivery, next }: Settlement, states: ReadonlyMap<string, MessageState>): boolean {
  return next.state === "pending" && states.get(delivery.messageId) === "canceled";
}

function canceled(s: Settlement): Settlement {
  return { ...s, next: { state: "canceled", at: s.attempt?.endedAt ?? s.leaseUntil } };
}

/** Only failures look at their message; the rest is locked too, to keep one order of locking. */
function* lockAll(dialect: Dialect, batch: readonly Settlement[]): Operation<ReadonlyMap<string, MessageState>> {
  // On SQLite nobody can come between, so the messages are looked at only where it matters.
  const concerned = dialect === "sqlite" ? batch.filter((s) => LOOKING.has(s.next.state)) : batch;
  const states = new Map<string, MessageState>();
  for (const [env, settlements] of byEnvironment(concerned)) {
    const ids = settlements.map((s) => s.delivery.messageId);
    for (const [id, state] of yield* lockMessages(dialect, env, ids)) states.set(id, state);
  }
  return states;
}

function byEnvironment(batch: readonly Settlement[]): [string, Settlement[]][] {
  const grouped = Map.groupBy(batch, (s) => s.delivery.environmentId as string);
  return [...grouped].sort(([a], [b]) => (a < b ? -1 : 1));
}

function settledValues({ delivery, leaseUntil, attempt: own, next, endpoint }: Settlement): Value[] {
  const attempt = endpoint === undefined ? own : endpoint.attempt;
  const pending = next.state === "pending" ? next : null;
  const reached = next.state === "sent" || next.state === "simulated" || next.state === "delivered" ? next : null;
  const sentAt = reached !== null && next.state !== "simulated" ? reached.at : (pending?.sentAt ?? null);
  const reference = (reached ?? pending)?.reference ?? null;
  const error = next.state === "pending" || next.state === "failed" ? next.error : null;
  return [
    delivery.id,
    leaseUntil,
    next.state,
    pending?.dueAt ?? null,
    attempt === null ? 0 : 1,
    pending?.startedAt ?? attempt?.startedAt ?? null,
    storable(error),
    encodeJson(reference),
    sentAt,
    next.state === "delivered" ? next.at : null,
  ];
}

/** Starts the deliveries that take the place of failed ones, unless their message was ended meanwhile. */
function* failOver(
  dialect: Dialect,
  written: readonly Settlement[],
  states: ReadonlyMap<string, MessageState>,
): Operation<void> {
  const started: Delivery[] = [];
  for (const { delivery, next } of written) {
    if (next.state === "failed" && isOpen(states.get(delivery.messageId))) started.push(...next.failover);
  }
  yield* insertDeliveries(started);
  const items = started.filter((d) => d.channel === "inbox");
  yield* markInInbox(dialect, items);
  yield* raiseMessages(
    items.map((d) => ({
      env: d.environmentId,
      messageId: d.messageId,
      state: "delivered",
      sentAt: d.createdAt,
      deliveredAt: d.createdAt,
    })),
  );
}

/** Whether anything may still be started for a message in this state. */
function isOpen(state: MessageState | undefined): boolean {
  return state !== undefined && MESSAGE_RANK[state] < MESSAGE_RANK.canceled;
}

function risesOf({ delivery, next }: Settlement): Rise[] {
  const message = { env: delivery.environmentId, messageId: delivery.messageId };
  switch (next.state) {
    case "pending":
      return next.sentAt === undefined ? [] : [{ ...message, state: "sent", sentAt: next.sentAt }];
    case "sent":
      return [{ ...message, state: "sent", sentAt: next.at }];
    case "simulated":
      return [{ ...message, state: "simulated" }];
    case "delivered":
      return [{ ...message, state: "delivered", sentAt: next.at, deliveredAt: next.at }];
    default:
      return [];
  }
}

/** What becomes of messages whose last hope has failed. */
function* endings(dialect: Dialect, written: readonly Settlement[]): Operation<Rise[]> {
  const ends = new Map<string, Rise>();
  for (const { delivery, next } of written) {
    if (next.state !== "failed") continue;
    const { state, reason } = next.ifLast;
    const rise = { env: delivery.environmentId, messageId: delivery.messageId, state, reason, error: next.error };
    ends.set(delivery.messageId, rise);
  }
  if (ends.size === 0) return [];
  const sql = `select distinct message_id from deliveries
    where ${among(dialect, "message_id")} and state in ('pending', 'sent', 'delivered')`;
  const { rows } = yield text(dialect, sql, [textList(dialect, [...ends.keys()])]);
  for (const row of rows) ends.delete(row.message_id as string);
  return [...ends.values()];
}
