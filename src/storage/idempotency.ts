/**
 * Idempotency keys of calls in general. (A send takes its key in the commit that accepts it, see requests.ts, and
 * leaves a row in state `done` here.)
 *
 *   (free) ──begin──▶ begun ──finish──▶ done ──(expires)──▶ (free)
 *      ▲                ├──abandon, expires, begun too long ago
 *      └────────────────┘
 */
import type { IdempotencyStore } from "../engine/ports.ts";
import { Refusal } from "../engine/refusal.ts";
import { type Database, only, type Row, run } from "./database.ts";
import { requireId, text } from "./text.ts";

/** Scope and key share an index row. */
const MAX_SCOPE_BYTES = 1024;
const MAX_KEY_BYTES = 1024;

/**
 * One statement decides who begins, so of any number of callers it is one. A call that comes back after its key was
 * held to be abandoned and given to another may still `finish`: the answer that is stored first stays.
 */
export function idempotencyStore(db: Database): IdempotencyStore {
  const { dialect } = db;
  return {
    async begin(environmentId, scope, key, now, expiresAt, abandonedAfterMs) {
      requireId("scope", scope, MAX_SCOPE_BYTES);
      requireId("key", key, MAX_KEY_BYTES);
      return db.write(function* () {
        for (;;) {
          const taken = yield* run(
            text(
              dialect,
              `insert into idempotency_keys (env_id, scope, key, state, status, body, begun_at, expires_at)
              values (?, ?, ?, 'begun', null, null, ?, ?)
              on conflict (env_id, scope, key) do update set state = 'begun', status = null, body = null,
                begun_at = excluded.begun_at, expires_at = excluded.expires_at
              where idempotency_keys.expires_at <= excluded.begun_at
                or (idempotency_keys.state = 'begun' and idempotency_keys.begun_at < ?)`,
              [environmentId, scope, key, now, expiresAt, now - abandonedAfterMs],
            ),
          );
          if (taken.changes > 0) return { kind: "begun" };
          const { rows } = yield* run(
            text(
              dialect,
              "select state, status, body from idempotency_keys where env_id = ? and scope = ? and key = ?",
              [environmentId, scope, key],
            ),
          );
          // Nothing there: it was abandoned or swept between the two statements.
          if (rows[0] !== undefined) return standing(rows[0]);
        }
      });
    },

    async finish(environmentId, scope, key, answer) {
      if (!Number.isInteger(answer.status)) throw new Refusal("invalid", "an answer's status is a whole number");
      await db.write(function* () {
        yield* run(
          only(
            text(
              dialect,
              `update idempotency_keys set state = 'done', status = ?, body = ?
              where env_id = ? and scope = ? and key = ? and state = 'begun'`,
              [answer.status, answer.body, environmentId, scope, key],
            ),
          ),
        );
      });
    },

    find: (environmentId, scope, key, now) =>
      db.read(function* () {
        const sql = `select status, body from idempotency_keys
          where env_id = ? and scope = ? and key = ? and state = 'done' and expires_at > ?`;
        const { rows } = yield* run(text(dialect, sql, [environmentId, scope, key, now]));
        const [row] = rows;
        return row === undefined ? null : { status: row.status as number, body: row.body as string };
      }),

    abandon: (environmentId, scope, key) =>
      db.write(function* () {
        const sql = "delete from idempotency_keys where env_id = ? and scope = ? and key = ? and state = 'begun'";
        yield* run(only(text(dialect, sql, [environmentId, scope, key])));
      }),
  };
}

function standing(row: Row): Awaited<ReturnType<IdempotencyStore["begin"]>> {
  if (row.state !== "done") return { kind: "busy" };
  return { kind: "replayed", answer: { status: row.status as number, body: row.body as string } };
}
