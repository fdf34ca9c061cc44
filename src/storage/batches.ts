/**
 * Batches: activities that wait to go on together. A batch is closed in the commit in which its carrier goes on, and goes
 * with its activities; of a large one, they are swept later. Every change of what it holds raises its `version`, so that
 * a carrier which has read it finds out that somebody came after.
 */
import { type Activity, type BatchId, type PartyRef, partyKey, type Run } from "../engine/workflow/model.ts";
import type { BatchContents } from "../engine/workflow/ports.ts";
import type { Millis } from "../lib/clock.ts";
import type { Json, JsonObject } from "../lib/json.ts";
import { type Database, type Dialect, type Operation, run, type Value } from "./database.ts";
import { cancelsOf, partyFrom, partyText } from "./run-rows.ts";
import { columnsOf, type RowOf } from "./schema.ts";
import { inSlices } from "./slices.ts";
import { among, decodeObject, encodeJson, lockingRows, text, textList } from "./text.ts";

/** A batch of more activities than this is only marked as closed: deleting them is left to housekeeping. */
const GONE_AT_ONCE = 1000;
/** Activities that are looked at in one read; the embedded database answers within our own thread. */
const LOOKED_AT_ONCE = 2000;
/** Longest text that is left of an activity's data when batches are merged, in characters. */
const MAX_MERGED_TEXT = 256;

const BATCH_COLUMNS = columnsOf("batches");
const ITEM_COLUMNS = columnsOf("batch_items");
const KEY = { env_id: "text", id: "text" } as const;
const UPDATE = `update batches set closes_at = v.closes_at, version = v.version, joined = v.joined, n = v.n
  from :rows where batches.env_id = v.env_id and batches.id = v.id`;
const DELETE = "delete from batches where (env_id, id) in (select v.env_id, v.id from :rows)";
const DELETE_ITEMS = "delete from batch_items where (env_id, batch_id) in (select v.env_id, v.id from :rows)";
const CLOSE = "update batches set closed = 1 from :rows where batches.env_id = v.env_id and batches.id = v.id";
const UPDATE_COLUMNS = { ...KEY, closes_at: "int", version: "int", joined: "int", n: "int" } as const;

/** An open batch, as an operation has locked it and leaves it. */
export interface OpenBatch {
  readonly environmentId: string;
  readonly id: string;
  readonly carrierId: string;
  readonly openedAt: Millis;
  closesAt: Millis;
  version: number;
  joined: number;
  n: number;
}

interface Held {
  readonly batch: OpenBatch;
  is: "read" | "changed" | "new" | "gone";
  /** The time it closed at when it was read. */
  readonly closedAt: Millis;
}

/** The open batches that an operation has locked. Whoever locks gates, too, locks them first; runs come after. */
export class LockedBatches {
  readonly #held = new Map<string, Held>();
  readonly #items: { readonly batch: OpenBatch; readonly values: Value[] }[] = [];

  static *lock(dialect: Dialect, keys: readonly { environmentId: string; id: string }[]): Operation<LockedBatches> {
    const locked = new LockedBatches();
    if (keys.length === 0) return locked;
    const environments = [...new Set(keys.map((key) => key.environmentId))];
    const sql = `select ${BATCH_COLUMNS.join(", ")} from batches
      where ${among(dialect, "env_id")} and ${among(dialect, "id")} and closed = 0 order by env_id, id${lockingRows(dialect)}`;
    const ids = keys.map((key) => key.id);
    const { rows } = yield text(dialect, sql, [textList(dialect, environments), textList(dialect, ids)]);
    for (const found of rows) {
      const row = found as RowOf<"batches">;
      const batch: OpenBatch = {
        environmentId: row.env_id,
        id: row.id,
        carrierId: row.carrier_id,
        openedAt: row.opened_at,
        closesAt: row.closes_at,
        version: row.version,
        joined: row.joined,
        n: row.n,
      };
      locked.#held.set(nameOf(row.env_id, row.id), { batch, is: "read", closedAt: batch.closesAt });
    }
    return locked;
  }

  /** Null when it is closed. */
  find(environmentId: string, id: string): OpenBatch | null {
    const held = this.#held.get(nameOf(environmentId, id));
    return held === undefined || held.is === "gone" ? null : held.batch;
  }

  all(): OpenBatch[] {
    return [...this.#held.values()].filter(({ is }) => is !== "gone").map(({ batch }) => batch);
  }

  open(carrier: Run, id: BatchId, now: Millis, closesAt: Millis): OpenBatch {
    const batch: OpenBatch = {
      environmentId: carrier.environmentId,
      id,
      carrierId: carrier.messageId,
      openedAt: now,
      closesAt,
      version: 0,
      joined: 0,
      n: 0,
    };
    this.#held.set(nameOf(batch.environmentId, id), { batch, is: "new", closedAt: closesAt });
    return batch;
  }

  add(batch: OpenBatch, run: Run, activity: Activity): void {
    this.#items.push({ batch, values: itemValues(batch, run, activity) });
    batch.joined++;
    batch.n++;
    this.changed(batch);
  }

  /** After `n` or `closesAt` was changed. */
  changed(batch: OpenBatch): void {
    batch.version++;
    const held = this.#held.get(nameOf(batch.environmentId, batch.id));
    if (held?.is === "read") held.is = "changed";
  }

  /** Whether or not anything is in it. */
  close(batch: OpenBatch): void {
    const held = this.#held.get(nameOf(batch.environmentId, batch.id));
    if (held !== undefined) held.is = "gone";
  }

  /** Batches that close at another time than they did when they were read. */
  moved(): OpenBatch[] {
    return [...this.#held.values()]
      .filter(({ is, batch, closedAt }) => is === "changed" && batch.closesAt !== closedAt)
      .map(({ batch }) => batch);
  }

  *write(): Operation<void> {
    const of = (is: Held["is"]): OpenBatch[] =>
      [...this.#held.values()].filter((held) => held.is === is).map(({ batch }) => batch);
    const opened = of("new");
    if (opened.length > 0) {
      yield { kind: "insert", table: "batches", columns: BATCH_COLUMNS, rows: opened.map(batchValues) };
    }
    const changed = of("changed");
    if (changed.length > 0) {
      const rows = changed.map((b) => [b.environmentId, b.id, b.closesAt, b.version, b.joined, b.n]);
      yield { kind: "each", sql: UPDATE, columns: UPDATE_COLUMNS, rows };
    }
    const items = this.#items.filter(({ batch }) => this.find(batch.environmentId, batch.id) !== null);
    if (items.length > 0) {
      yield { kind: "insert", table: "batch_items", columns: ITEM_COLUMNS, rows: items.map(({ values }) => values) };
    }
    const gone = of("gone");
    const few = gone.filter(({ joined }) => joined <= GONE_AT_ONCE).map((b) => [b.environmentId, b.id]);
    const many = gone.filter(({ joined }) => joined > GONE_AT_ONCE).map((b) => [b.environmentId, b.id]);
    if (few.length > 0) {
      yield { kind: "each", sql: DELETE_ITEMS, columns: KEY, rows: few };
      yield { kind: "each", sql: DELETE, columns: KEY, rows: few };
    }
    if (many.length > 0) yield { kind: "each", sql: CLOSE, columns: KEY, rows: many };
  }
}

/** Throws away what closed batches have left. @returns how many rows went. */
export function* sweepBatches(dialect: Dialect, limit: number): Operation<number> {
  const items = `delete from batch_items where (env_id, batch_id, position) in (
    select i.env_id, i.batch_id, i.position from batches as b join batch_items as i
      on i.env_id = b.env_id and i.batch_id = b.id where b.closed = 1 limit ?)`;
  const { changes } = yield text(dialect, items, [limit]);
  if (changes > 0) return changes;
  const empty = `delete from batches where (env_id, id) in (
    select b.env_id, b.id from batches as b where b.closed = 1 and not exists (
      select 1 from batch_items as i where i.env_id = b.env_id and i.batch_id = b.id) limit ?)`;
  return (yield text(dialect, empty, [limit])).changes;
}

function nameOf(environmentId: string, id: string): string {
  return `${environmentId} ${id}`;
}

function batchValues(b: OpenBatch): Value[] {
  return [b.environmentId, b.id, b.carrierId, b.openedAt, b.closesAt, b.version, b.joined, b.n, 0];
}

function itemValues(batch: OpenBatch, run: Run, activity: Activity): Value[] {
  const { workflow, cancellationKey } = run;
  const scalars = scalarsOf(activity.data);
  return [
    batch.environmentId,
    batch.id,
    batch.joined,
    activity.id,
    partyKey(run.recipient),
    cancellationKey === null ? null : cancelsOf(workflow, cancellationKey),
    partyText(activity.actor),
    activity.at,
    scalars === activity.data ? null : encodeJson(scalars),
    encodeJson(activity.data),
  ];
}

/** What is left of an activity's data when batches are merged; the very same object when that is all of it. */
function scalarsOf(data: JsonObject): JsonObject {
  let same = true;
  const kept: [string, Json][] = [];
  for (const [key, value] of Object.entries(data)) {
    if (value === undefined) continue;
    if (typeof value === "object" && value !== null) same = false;
    else if (typeof value === "string" && value.length > MAX_MERGED_TEXT) {
      // A character takes two units at most; the rest need not be taken apart.
      const cut = [...value.slice(0, 2 * MAX_MERGED_TEXT)].slice(0, MAX_MERGED_TEXT).join("");
      if (cut.length !== value.length) same = false;
      kept.push([key, cut]);
    } else kept.push([key, value]);
  }
  // Defines keys and does not assign them: `__proto__` is one like any other.
  return same ? data : Object.fromEntries(kept);
}

/**
 * As `RunStore.batch`. What is large, the activities' data, is read only of those that are asked for. The version is read
 * first: what is added while the rest is read makes it out of date, and the batch will not be closed with it.
 */
export async function readBatch(
  db: Database,
  environmentId: string,
  id: BatchId,
  order: "asc" | "desc",
  limit: number,
): Promise<BatchContents | null> {
  const of = [environmentId, id];
  const shown = await db.read(function* () {
    const sql = "select version from batches where env_id = ? and id = ? and closed = 0";
    const version = (yield text(db.dialect, sql, of)).rows[0]?.version as number | undefined;
    if (version === undefined) return null;
    const some = (direction: "asc" | "desc", count: number) => activitiesOf(db.dialect, of, direction, count);
    const activities = yield* some(order, limit);
    const newest = order === "desc" && limit > 0 ? activities[0] : (yield* some("desc", 1))[0];
    return { version, activities: order === "asc" ? activities : activities.reverse(), newestData: newest?.data ?? {} };
  });
  return shown === null ? null : { ...shown, ...(await lookedThrough(db, of, limit)) };
}

function* activitiesOf(
  dialect: Dialect,
  of: readonly string[],
  direction: "asc" | "desc",
  count: number,
): Operation<Activity[]> {
  const sql = `select message_id, actor, at, data from batch_items where env_id = ? and batch_id = ?
    order by position ${direction} limit ?`;
  return (yield text(dialect, sql, [...of, count])).rows.map((row) => activityOf(row as ActivityRow));
}

/** What can be said of a batch only after looking at all that is in it. */
async function lookedThrough(
  db: Database,
  of: readonly string[],
  limit: number,
): Promise<Pick<BatchContents, "total" | "actors" | "totalActors" | "mergedData">> {
  const merged = new Map<string, Json | undefined>();
  const actors = new Map<string, PartyRef>();
  const sql = `select position, actor, coalesce(scalars, data) as scalars from batch_items
    where env_id = ? and batch_id = ? and position > ? order by position limit ?`;
  let total = 0;
  const slice = async (after: string): Promise<string | null> => {
    const { rows } = await db.read(() => run(text(db.dialect, sql, [...of, Number(after), LOOKED_AT_ONCE])));
    for (const row of rows) {
      for (const [key, value] of Object.entries(decodeObject(row.scalars))) merged.set(key, value);
      const actor = partyFrom(row.actor as string | null);
      if (actor !== null && !actors.has(row.actor as string)) actors.set(row.actor as string, actor);
    }
    total += rows.length;
    return rows.length < LOOKED_AT_ONCE ? null : String(rows.at(-1)?.position);
  };
  await inSlices("-1", slice);
  return {
    total,
    actors: [...actors.values()].slice(0, limit),
    totalActors: actors.size,
    mergedData: Object.fromEntries(merged),
  };
}

type ActivityRow = Pick<RowOf<"batch_items">, "message_id" | "actor" | "at" | "data">;

function activityOf(row: ActivityRow): Activity {
  return {
    id: row.message_id as Activity["id"],
    actor: partyFrom(row.actor),
    data: decodeObject(row.data),
    at: row.at,
  };
}
