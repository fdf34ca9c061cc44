/**
 * Gates: throttles and batches, which decide what becomes of a run that reaches them. The row of a gate is locked while
 * that is decided, so that runs pass one after the other, whichever process commits them.
 *
 *   throttle   until `window_until`, `passed` runs have passed; then the next one begins a new window
 *   batch      `batch_id` is the batch that others may join, as long as it is open, its time has not come, and it is
 *              not full: then the next one opens another. Under `window_until` a leading run was let through.
 */
import type { PartyRef, Run } from "../engine/workflow/model.ts";
import type { Gate, Leg, RunNext } from "../engine/workflow/ports.ts";
import type { Millis } from "../lib/clock.ts";
import type { LockedBatches, OpenBatch } from "./batches.ts";
import { type Dialect, type Operation, run } from "./database.ts";
import { gateKeyOf, gateKeysOf } from "./run-rows.ts";
import { columnsOf, type RowOf } from "./schema.ts";
import { among, byCodePoints, text, textList } from "./text.ts";

/** Every activity is looked at when a batch closes; one that has so many closes without waiting for its time. */
const MAX_ITEMS = 100_000;

const COLUMNS = columnsOf("gates");
/** Locks those that are there, too, and tells what they are. */
const LOCK = `on conflict (env_id, key) do update set over_at = gates.over_at
  returning ${COLUMNS.map((column) => `gates.${column}`).join(", ")}`;
const UPDATE = `update gates set window_until = v.window_until, passed = v.passed, batch_id = v.batch_id,
    over_at = v.over_at
  from :rows where gates.env_id = v.env_id and gates.key = v.key`;
const UPDATE_COLUMNS = {
  env_id: "text",
  key: "text",
  window_until: "int",
  passed: "int",
  batch_id: "text",
  over_at: "int",
} as const;

interface LockedGate {
  readonly environmentId: string;
  readonly key: string;
  windowUntil: Millis;
  passed: number;
  batchId: string | null;
  changed: boolean;
}

type Throttle = Gate & { readonly kind: "throttle" };
type Batch = Gate & { readonly kind: "batch" };

/** The gates of some legs, locked until the operation ends. */
export class LockedGates {
  readonly #gates = new Map<string, LockedGate>();
  #now: Millis = 0;

  /**
   * In one order everywhere, so that two operations at the same gates wait for each other instead of deadlocking.
   * @param now is asked when they are locked: whoever locks them later passes later.
   */
  static *lock(legs: readonly Leg[], now: () => Millis): Operation<LockedGates> {
    const locked = new LockedGates();
    const wanted = new Map<string, [string, string]>();
    for (const { run, gate } of legs) {
      if (gate === null) continue;
      const key = gateKeyOf(run.recipient, gate.kind, gate.key);
      wanted.set(nameOf(run.environmentId, key), [run.environmentId, key]);
    }
    if (wanted.size === 0) return locked;
    const keys = [...wanted].sort(([a], [b]) => byCodePoints(a, b)).map(([, key]) => key);
    const { rows } = yield {
      kind: "insert",
      table: "gates",
      columns: COLUMNS,
      rows: keys.map(([environmentId, key]) => [environmentId, key, 0, 0, null, 0]),
      suffix: LOCK,
    };
    for (const found of rows) {
      const row = found as RowOf<"gates">;
      locked.#gates.set(nameOf(row.env_id, row.key), {
        environmentId: row.env_id,
        key: row.key,
        windowUntil: row.window_until,
        passed: row.passed,
        batchId: row.batch_id,
        changed: false,
      });
    }
    locked.#now = now();
    return locked;
  }

  /** The batches that could be joined. */
  batchKeys(): { environmentId: string; id: string }[] {
    return [...this.#gates.values()].flatMap(({ environmentId, batchId }) =>
      batchId === null ? [] : [{ environmentId, id: batchId }],
    );
  }

  /** Decides what becomes of the run. To be called in the order in which the runs are to pass. */
  pass(run: Run, gate: Gate, batches: LockedBatches): RunNext {
    const row = this.#gates.get(nameOf(run.environmentId, gateKeyOf(run.recipient, gate.kind, gate.key)));
    if (row === undefined) throw new Error(`the gate of run ${run.messageId} was not locked`);
    const now = Math.max(gate.now, this.#now);
    return gate.kind === "throttle" ? throttled(row, gate, now) : batched(row, { ...gate, now }, run, batches);
  }

  /** @param batches after all that is to happen to them has happened. */
  *write(batches: LockedBatches): Operation<void> {
    const rows = [...this.#gates.values()]
      .filter(({ changed }) => changed)
      .map((g) => {
        const batch = g.batchId === null ? null : batches.find(g.environmentId, g.batchId);
        const overAt = Math.max(g.windowUntil, batch?.closesAt ?? 0);
        return [g.environmentId, g.key, g.windowUntil, g.passed, batch?.id ?? null, overAt];
      });
    if (rows.length > 0) yield { kind: "each", sql: UPDATE, columns: UPDATE_COLUMNS, rows };
  }
}

/**
 * Makes the gates of one recipient those of another. Where both have one, whoever passed either counts, and of two open
 * batches the other's own is joined from now on. To be called before runs are locked.
 */
export function* moveGates(
  dialect: Dialect,
  environmentId: string,
  from: PartyRef,
  into: PartyRef,
  at: Millis,
): Operation<void> {
  const [old, own] = [gateKeysOf(from), gateKeysOf(into)];
  const remove = `delete from gates where env_id = ? and key > ? and key < ? returning ${COLUMNS.join(", ")}`;
  const { rows } = yield* run(text(dialect, remove, [environmentId, ...old]));
  if (rows.length === 0) return;
  const moved = new Map(
    (rows as unknown as RowOf<"gates">[]).map((row) => [own[0] + row.key.slice(old[0].length), row]),
  );
  const found = yield* run({
    kind: "insert",
    table: "gates",
    columns: COLUMNS,
    rows: [...moved.keys()].sort(byCodePoints).map((key) => [environmentId, key, 0, 0, null, 0]),
    suffix: LOCK,
  });
  const pairs = (found.rows as unknown as RowOf<"gates">[]).map((mine) => {
    return { mine, other: moved.get(mine.key) as RowOf<"gates"> };
  });
  const ids = pairs.flatMap(({ mine, other }) =>
    mine.batch_id !== null && other.batch_id !== null ? mine.batch_id : [],
  );
  const open = new Set<unknown>();
  if (ids.length > 0) {
    const sql = `select id from batches where env_id = ? and ${among(dialect, "id")} and closed = 0`;
    const batches = yield* run(text(dialect, sql, [environmentId, textList(dialect, ids)]));
    for (const { id } of batches.rows) open.add(id);
  }
  yield* run({
    kind: "each",
    sql: UPDATE,
    columns: UPDATE_COLUMNS,
    rows: pairs.map(({ mine, other }) => [
      environmentId,
      mine.key,
      Math.max(mine.window_until, other.window_until),
      [mine, other].reduce((sum, { window_until, passed }) => sum + (window_until > at ? passed : 0), 0),
      other.batch_id === null || open.has(mine.batch_id) ? mine.batch_id : other.batch_id,
      Math.max(mine.over_at, other.over_at),
    ]),
  });
}

function nameOf(environmentId: string, key: string): string {
  return `${environmentId} ${key}`;
}

function throttled(row: LockedGate, gate: Throttle, now: Millis): RunNext {
  if (row.windowUntil <= now) {
    row.windowUntil = now + (gate.until - gate.now);
    row.passed = 0;
    row.changed = true;
  }
  if (row.passed >= gate.limit) return gate.stop;
  row.passed++;
  row.changed = true;
  return gate.pass;
}

function batched(row: LockedGate, gate: Batch, run: Run, batches: LockedBatches): RunNext {
  const maxItems = Math.min(gate.maxItems, MAX_ITEMS);
  const open = row.batchId === null ? null : batches.find(run.environmentId, row.batchId);
  const joinable = open !== null && gate.now < open.closesAt && open.n < maxItems ? open : null;
  const underWay = row.windowUntil > gate.now;
  row.changed = true;
  if (joinable === null && gate.leading && !underWay) {
    row.windowUntil = gate.closesAt;
    return gate.lead;
  }
  if (joinable === null) {
    const closesAt = gate.leading ? row.windowUntil : gate.closesAt;
    const batch = batches.open(run, gate.batchId, gate.now, closesAt);
    row.batchId = batch.id;
    batches.add(batch, run, gate.activity);
    if (batch.n >= maxItems) batch.closesAt = gate.now;
    return gate.open;
  }
  if (gate.slideMs !== null) joinable.closesAt = slid(joinable, gate, gate.slideMs);
  batches.add(joinable, run, gate.activity);
  if (joinable.n >= maxItems) joinable.closesAt = gate.now;
  return gate.join;
}

function slid(batch: OpenBatch, gate: Batch, slideMs: Millis): Millis {
  const latest = gate.extensionMs === null ? Number.POSITIVE_INFINITY : batch.openedAt + gate.extensionMs;
  return Math.max(gate.now, Math.min(gate.now + slideMs, latest));
}
