/**
 * Tasks: work of many pages. `ready_at` says when one may be claimed, as that of a request does (requests.ts).
 *
 *   running, ready ──claim──▶ running, leased ──commitPage──▶ running, leased ──▶ finished, failed
 *        ▲                          │
 *        └──────────────────────────┘ released, lapsed
 */
import type { EnvironmentId } from "../engine/model.ts";
import type { TaskEffects, TaskStore } from "../engine/webhooks/ports.ts";
import { writeAppMessages } from "./app-accept.ts";
import { expungeMany } from "./app-messages.ts";
import { type Database, type Dialect, type Operation, only, run, type Value } from "./database.ts";
import { addManual, addMissing, beginAgain, type ManualRows, manualRows } from "./endpoint-queue.ts";
import { byCodePoints, encodeJson, insert, lockingRows, text } from "./text.ts";
import { walkedOf, walking } from "./walk.ts";
import { RETURN_TASK, SELECT_TASK, TASK_COLUMNS, taskOf, taskValues } from "./webhook-rows.ts";

export function taskStore(db: Database): TaskStore {
  const { dialect } = db;
  const skipLocked = dialect === "postgres" ? "for update skip locked" : "";
  const claim = `with claimed as materialized (
      select env_id, id from tasks where ready_at <= ? order by ready_at, id limit ? ${skipLocked})
    update tasks set lease_until = ?, ready_at = ? from claimed
    where tasks.env_id = claimed.env_id and tasks.id = claimed.id
    returning ${RETURN_TASK}`;

  return {
    create: (task) =>
      db.write(function* () {
        yield* run(only(insert("tasks", TASK_COLUMNS, [taskValues(task)])));
      }),

    read: (environmentId, id) =>
      db.read(function* () {
        const sql = `select ${SELECT_TASK} from tasks as t where t.env_id = ? and t.id = ?`;
        const { rows } = yield text(dialect, sql, [environmentId, id]);
        return rows[0] === undefined ? null : taskOf(rows[0]);
      }),

    list: (environmentId, filter, walk) =>
      db.read(function* () {
        const way = walking(walk, "t.id");
        const where = ["t.env_id = ?", ...way.where];
        const params: Value[] = [environmentId, ...way.params];
        for (const [column, value] of [
          ["state", filter.state],
          ["kind", filter.kind],
        ] as const) {
          if (value === undefined) continue;
          where.push(`t.${column} = ?`);
          params.push(value);
        }
        const sql = `select ${SELECT_TASK} from tasks as t where ${where.join(" and ")} order by ${way.orderBy} limit ?`;
        const { rows } = yield text(dialect, sql, [...params, way.limit]);
        return walkedOf(rows.map(taskOf), walk);
      }),

    claim: (now, limit, leaseUntil) =>
      db.lease(function* () {
        const { rows } = yield* run(only(text(dialect, claim, [now, limit, leaseUntil, leaseUntil])));
        return rows.map(taskOf).sort((a, b) => a.createdAt - b.createdAt || byCodePoints(a.id, b.id));
      }),

    async commitPage(task, lease, effects, after) {
      const { environmentId, id } = task;
      const manual = manualRows(effects.manual ?? []);
      return db.write(function* () {
        const held = `select id from tasks where env_id = ? and id = ? and state = 'running' and lease_until = ?`;
        const found = yield text(dialect, `${held}${lockingRows(dialect)}`, [environmentId, id, lease.held]);
        if (found.rows.length === 0) return null;
        const { messages, begun } = yield* applied(dialect, environmentId, effects, manual);
        const written = after(messages, begun);
        const until = written.state === "running" ? lease.next : null;
        yield text(
          dialect,
          `update tasks set state = ?, cursor = ?, data = ?, updated_at = ?, lease_until = ?, ready_at = ?
           where env_id = ? and id = ?`,
          [
            written.state,
            written.cursor,
            encodeJson(written.data),
            written.updatedAt,
            ...[until, until, environmentId, id],
          ],
        );
        return written;
      });
    },

    release: (id, held) =>
      db.lease(function* () {
        const sql = `update tasks set lease_until = null, ready_at = created_at
          where id = ? and state = 'running' and lease_until = ?`;
        yield* run(only(text(dialect, sql, [id, held])));
      }),
  };
}

/** @returns what `TaskStore.commitPage` tells its caller of. */
function* applied(
  dialect: Dialect,
  environmentId: EnvironmentId,
  { missing = [], again = [], messages = [], expunge }: TaskEffects,
  manual: ManualRows,
): Operation<{ readonly messages: readonly boolean[]; readonly begun: number }> {
  yield* addManual(manual);
  const begun = (yield* addMissing(missing)) + (yield* beginAgain(again));
  const written = yield* writeAppMessages(messages);
  if (expunge !== undefined && expunge.ids.length > 0) {
    yield* expungeMany(dialect, environmentId, expunge.appId, expunge.ids);
  }
  return { messages: written, begun };
}
