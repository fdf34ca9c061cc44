/**
 * Canceling runs by the key they were triggered with, in bounded commits, each of which locks in the order of all who
 * commit runs: batches, runs, messages.
 *
 *   1. requests of the key that are still being expanded end, or reach those recipients no more, so that no more runs
 *      come of them
 *   2. runs of the key that wait end, and whoever has one under a lease writes no more. The carrier of an open batch
 *      stays, for those who joined it or still will; it is only nobody's any more: no key cancels it, and a batch that
 *      is empty when its time comes ends it
 *   3. activities of the key leave the open batches they are in
 */
import type { EnvironmentId, MessageId, SendSpec } from "../engine/model.ts";
import { isUser, type PartyRef, partyKey, type RunRecord, type RunState } from "../engine/workflow/model.ts";
import type { Millis } from "../lib/clock.ts";
import { LockedBatches } from "./batches.ts";
import type { Database, Dialect, Operation, Row } from "./database.ts";
import { changeExpanding, endExpanding, expandingWith, withRemaining } from "./expanding.ts";
import { lockMessages } from "./message-progress.ts";
import { runRecordValues } from "./rows.ts";
import { RECORD, RECORD_COLUMNS } from "./run-legs.ts";
import { runFrom } from "./run-records.ts";
import { cancelsOf } from "./run-rows.ts";
import { among, lockingRows, text, textList } from "./text.ts";

/** Runs or activities of one commit. */
const AT_ONCE = 500;

interface Cancellation {
  readonly environmentId: EnvironmentId;
  readonly workflow: string;
  readonly cancellationKey: string;
  /** Null: whoever it is. */
  readonly recipients: readonly PartyRef[] | null;
  readonly at: Millis;
}

/** As `RunStore.cancel`. */
export async function cancelRuns(
  db: Database,
  what: Cancellation,
  record: (old: RunRecord) => RunRecord,
): Promise<number> {
  const { dialect } = db;
  if (what.recipients?.length === 0) return 0;
  let count = await db.write(() => endRequests(dialect, what));
  for (const some of [() => endRuns(dialect, what, record), () => takeOutActivities(dialect, what)]) {
    for (let seen = AT_ONCE; seen === AT_ONCE; ) {
      const part = await db.write(some);
      seen = part.seen;
      count += part.canceled;
    }
  }
  return count;
}

/**
 * Page by page, a request that is being expanded asks for its lease; without one it writes no more. Who is only subscribed
 * to an object that it names cannot be taken out of it.
 * @returns how many recipients were, where recipients are asked for.
 */
function* endRequests(dialect: Dialect, what: Cancellation): Operation<number> {
  const { environmentId, workflow, cancellationKey, recipients, at } = what;
  const mine = (yield* expandingWith(dialect, environmentId, cancellationKey)).filter(({ spec: { content } }) => {
    if (content.kind !== "workflow") return false;
    const { trigger } = content;
    return trigger.key === workflow && trigger.cancellationKey === cancellationKey;
  });
  if (recipients === null) {
    yield* endExpanding(dialect, environmentId, mine);
    return 0;
  }
  const users = new Set(recipients.filter(isUser).map(({ id }) => id));
  const changed = mine.map((request) =>
    withRemaining(request, (one) => (one.kind === "user" && users.has(one.userId ?? "") ? [] : [one])),
  );
  yield* changeExpanding(
    changed.filter((request, i) => request !== mine[i]),
    at,
  );
  return changed.reduce((sum, { spec }, i) => sum + lengthOf(mine[i]?.spec) - lengthOf(spec), 0);
}

function lengthOf(spec: SendSpec | undefined): number {
  return spec?.recipients.length ?? 0;
}

interface Wanted {
  readonly sql: string;
  readonly params: readonly string[];
}

/** Which runs, or activities. */
function wanted(dialect: Dialect, { environmentId, workflow, cancellationKey, recipients }: Cancellation): Wanted {
  const params = [environmentId, cancelsOf(workflow, cancellationKey)];
  if (recipients === null) return { sql: "env_id = ? and cancels = ?", params };
  return {
    sql: `env_id = ? and cancels = ? and ${among(dialect, "recipient")}`,
    params: [...params, textList(dialect, recipients.map(partyKey))],
  };
}

/** `seen` may be more than were canceled: carriers stay, and others may have canceled the same. */
interface Part {
  readonly seen: number;
  readonly canceled: number;
}

function* takeOutActivities(dialect: Dialect, what: Cancellation): Operation<Part> {
  const { environmentId } = what;
  const { sql, params } = wanted(dialect, what);
  const few = `select batch_id, position from batch_items where ${sql} and exists (select 1 from batches as b
      where b.env_id = batch_items.env_id and b.id = batch_items.batch_id and b.closed = 0)
    order by message_id limit ?`;
  const found = yield text(dialect, few, [...params, AT_ONCE]);
  if (found.rows.length === 0) return { seen: 0, canceled: 0 };
  const ids = [...new Set(found.rows.map((row) => row.batch_id as string))];
  const batches = yield* LockedBatches.lock(
    dialect,
    ids.map((id) => ({ environmentId, id })),
  );
  // Only what is still there now that the batches are locked: others may have closed one, or canceled the same.
  const { rows } = yield {
    kind: "each",
    sql: `delete from batch_items where (env_id, batch_id, position) in
        (select v.env_id, v.batch_id, v.position from :rows)
      returning batch_id`,
    columns: { env_id: "text", batch_id: "text", position: "int" },
    rows: found.rows
      .filter((row) => batches.find(environmentId, row.batch_id as string) !== null)
      .map((row) => [environmentId, row.batch_id ?? null, row.position ?? null]),
  };
  yield* uncount(batches, environmentId, rows);
  return { seen: found.rows.length, canceled: rows.length };
}

/** @param taken out of their batches. */
function* uncount(batches: LockedBatches, environmentId: string, taken: readonly Row[]): Operation<void> {
  for (const row of taken) {
    const batch = batches.find(environmentId, row.batch_id as string);
    if (batch === null) continue;
    batch.n--;
    batches.changed(batch);
  }
  yield* batches.write();
}

function* endRuns(dialect: Dialect, what: Cancellation, record: (old: RunRecord) => RunRecord): Operation<Part> {
  const { environmentId, at } = what;
  const { sql, params } = wanted(dialect, what);
  const few = `select message_id, state from runs where ${sql} order by env_id, message_id limit ?`;
  const { rows } = yield text(dialect, `${few}${lockingRows(dialect)}`, [...params, AT_ONCE]);
  if (rows.length === 0) return { seen: 0, canceled: 0 };
  const carriers = new Map<string, MessageId>();
  for (const row of rows) {
    const { carries } = JSON.parse(row.state as string) as RunState;
    if (carries !== null) carriers.set(carries, row.message_id as MessageId);
  }
  // Looked at without locking them: batches come before runs, and only the carrier, which we have locked, closes one.
  const open =
    carriers.size === 0
      ? []
      : (yield text(
          dialect,
          `select carrier_id from batches where env_id = ? and ${among(dialect, "id")} and closed = 0`,
          [environmentId, textList(dialect, [...carriers.keys()])],
        )).rows;
  const staying = new Set(open.map((row) => row.carrier_id as MessageId));
  const all = rows.map((row) => row.message_id as MessageId);
  yield* disown(
    dialect,
    environmentId,
    all.filter((id) => staying.has(id)),
  );
  const canceled = all.filter((id) => !staying.has(id));
  yield* endMessages(dialect, environmentId, canceled, at, record);
  return { seen: rows.length, canceled: canceled.length };
}

function* disown(dialect: Dialect, environmentId: EnvironmentId, carriers: readonly MessageId[]): Operation<void> {
  if (carriers.length === 0) return;
  yield text(
    dialect,
    `update runs set cancellation_key = null, cancels = null where env_id = ? and ${among(dialect, "message_id")}`,
    [environmentId, textList(dialect, carriers)],
  );
}

/** For whoever cancels a message: the run that it is, should it wait, ends or is left to those who joined its batch. */
export function* cancelRunOf(
  dialect: Dialect,
  environmentId: EnvironmentId,
  id: MessageId,
  at: Millis,
): Operation<void> {
  const sql = `select state from runs where env_id = ? and message_id = ?${lockingRows(dialect)}`;
  const { rows } = yield text(dialect, sql, [environmentId, id]);
  if (rows[0] === undefined) return;
  const { carries } = JSON.parse(rows[0].state as string) as RunState;
  const batches = yield* LockedBatches.lock(dialect, carries === null ? [] : [{ environmentId, id: carries }]);
  if (carries === null || batches.find(environmentId, carries) === null) {
    return yield* endMessages(dialect, environmentId, [id], at, (old) => ({
      ...old,
      status: "cancelled",
      log: [...old.log, { at, event: "run_cancelled", ok: true, attempt: 1 }],
    }));
  }
  yield* disown(dialect, environmentId, [id]);
  const taken = yield text(
    dialect,
    "delete from batch_items where env_id = ? and batch_id = ? and message_id = ? returning batch_id",
    [environmentId, carries, id],
  );
  yield* uncount(batches, environmentId, taken.rows);
}

/** Ends runs that the operation has locked, with the messages they are. */
function* endMessages(
  dialect: Dialect,
  environmentId: EnvironmentId,
  ids: readonly MessageId[],
  at: Millis,
  record: (old: RunRecord) => RunRecord,
): Operation<void> {
  if (ids.length === 0) return;
  const list = textList(dialect, ids);
  yield text(dialect, `delete from runs where env_id = ? and ${among(dialect, "message_id")}`, [environmentId, list]);
  yield* lockMessages(dialect, environmentId, ids);
  const { rows } = yield text(
    dialect,
    `select id, run from messages where env_id = ? and ${among(dialect, "id")} and run is not null`,
    [environmentId, list],
  );
  yield {
    kind: "each",
    sql: RECORD,
    columns: RECORD_COLUMNS,
    rows: rows.map((row) => [environmentId, row.id ?? null, ...runRecordValues(record(runFrom(row.run as string)))]),
  };
  yield text(
    dialect,
    `update messages set state = 'canceled', canceled_at = ?
     where env_id = ? and ${among(dialect, "id")} and state in ('enqueued', 'delayed', 'routed')
       and not exists (select 1 from deliveries as d where d.message_id = messages.id)`,
    [at, environmentId, list],
  );
}
