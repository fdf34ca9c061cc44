/** Requests that their sender took back, how far that has come, and who is still to be told of it. */
import type { EnvironmentId, Message, MessageId, RequestId } from "../engine/model.ts";
import type { Recall, RecallStore } from "../engine/ports.ts";
import type { Millis } from "../lib/clock.ts";
import { type Database, type Operation, only, type Row, run } from "./database.ts";
import { CountChanges } from "./inbox-counts.ts";
import { requestOf, SELECT_REQUEST } from "./rows.ts";
import { type RowOf, tenantColumn } from "./schema.ts";
import { text } from "./text.ts";

export function recallStore(db: Database): RecallStore {
  const { dialect } = db;
  const skipLocked = dialect === "postgres" ? " for update skip locked" : "";

  return {
    begin: (environmentId, id, at, leaseUntil) =>
      db.write(function* () {
        const ofRequest = [environmentId, id];
        const known = yield* run(text(dialect, "select id from requests where env_id = ? and id = ?", ofRequest));
        if (known.rows.length === 0) return null;
        yield* run(
          text(
            dialect,
            `insert into recalls (env_id, request_id, cursor, recalled_at, until, ready_at) values (?, ?, null, ?, ?, ?)
             on conflict (env_id, request_id) do nothing`,
            [...ofRequest, at, at, leaseUntil],
          ),
        );
        // Whoever is expanding it holds a lease, which is thereby over: no page of it is written any more.
        yield* run(
          text(
            dialect,
            `update requests set state = 'expanded', cursor = null, lease_until = null, ready_at = null
             where env_id = ? and id = ? and state = 'expanding'`,
            ofRequest,
          ),
        );
        return yield* readOne(environmentId, id);
      }),

    claim: (now, limit, leaseUntil) =>
      db.write(function* () {
        const sql = `with claimed as materialized (
            select env_id, request_id from recalls where ready_at <= ? order by ready_at, request_id limit ?${skipLocked})
          update recalls set ready_at = ? from claimed
          where recalls.env_id = claimed.env_id and recalls.request_id = claimed.request_id
          returning recalls.env_id, recalls.request_id, recalls.cursor, recalls.ready_at`;
        const { rows } = yield* run(only(text(dialect, sql, [now, limit, leaseUntil])));
        return rows.map(recallOf);
      }),

    messages: ({ environmentId, requestId, cursor }, limit) =>
      db.read(function* () {
        const sql = `select id, state from messages where request_id = ? and env_id = ? and id > ? order by id limit ?`;
        const { rows } = yield* run(text(dialect, sql, [requestId, environmentId, cursor ?? "", limit]));
        return rows.map((row) => ({ id: row.id as MessageId, state: row.state as Message["state"] }));
      }),

    advance: ({ environmentId, requestId }, items, cursor, leaseUntil) =>
      db.write(function* () {
        let until = 0;
        for (const item of items) until = Math.max(until, item.until);
        if (items.length > 0) {
          yield* run({
            kind: "insert",
            table: "recalled_items",
            columns: ["env_id", "user_id", "request_id", "until"],
            rows: items.map((item) => [environmentId, item.userId, requestId, item.until]),
            suffix: "on conflict (env_id, user_id, request_id) do nothing",
          });
          yield* stamped(
            environmentId,
            items.map((item) => item.userId),
          );
        }
        yield* run(
          text(
            dialect,
            `update recalls set cursor = ?, ready_at = ?, until = case when until < ? then ? else until end
             where env_id = ? and request_id = ?`,
            [cursor, cursor === null ? null : leaseUntil, until, until, environmentId, requestId],
          ),
        );
      }),

    ofUser: (environmentId, userId, now) =>
      db.read(function* () {
        const sql = `select request_id, until from recalled_items where env_id = ? and user_id = ? and until > ?
          order by request_id desc`;
        const { rows } = yield* run(text(dialect, sql, [environmentId, userId, now]));
        return rows.map((row) => ({ requestId: row.request_id as RequestId, until: row.until as Millis }));
      }),

    move: (environmentId, from, into) =>
      db.write(function* () {
        const mine = [environmentId, from];
        yield* run(
          text(
            dialect,
            `insert into recalled_items (env_id, user_id, request_id, until)
             select env_id, cast(? as text), request_id, until from recalled_items where env_id = ? and user_id = ?
             on conflict (env_id, user_id, request_id) do nothing`,
            [into, ...mine],
          ),
        );
        yield* run(text(dialect, "delete from recalled_items where env_id = ? and user_id = ?", mine));
        yield* stamped(environmentId, [from, into]);
      }),

    requests: (environmentId, from, to, limit) =>
      db.read(function* () {
        const sql = `select ${SELECT_REQUEST} from requests as r where env_id = ? and id >= ? and id <= ? order by id limit ?`;
        const { rows } = yield* run(text(dialect, sql, [environmentId, from, to, limit]));
        return rows.map(requestOf);
      }),

    sweep: (now, limit) =>
      db.write(function* () {
        const items = `delete from recalled_items where (env_id, user_id, request_id) in (
          select env_id, user_id, request_id from recalled_items where until <= ? order by until limit ?)`;
        const told = yield* run(text(dialect, items, [now, limit]));
        const recalls = `delete from recalls where (env_id, request_id) in (
          select env_id, request_id from recalls where ready_at is null and until <= ? order by until limit ?)`;
        return told.changes + (yield* run(text(dialect, recalls, [now, limit]))).changes;
      }),
  };

  /** What a user is told of is part of what the inbox says, and has to be seen to have changed. */
  function* stamped(environmentId: EnvironmentId, users: readonly string[]): Operation<void> {
    const counts = new CountChanges();
    for (const user of users) counts.add(environmentId, user, tenantColumn(null), 0, 0);
    yield* counts.write();
  }

  function* readOne(environmentId: EnvironmentId, id: RequestId): Operation<Recall | "finished" | null> {
    const sql = "select env_id, request_id, cursor, ready_at from recalls where env_id = ? and request_id = ?";
    const { rows } = yield* run(text(dialect, sql, [environmentId, id]));
    if (rows[0] === undefined) return null;
    return rows[0].ready_at === null ? "finished" : recallOf(rows[0]);
  }
}

function recallOf(found: Row): Recall {
  const row = found as RowOf<"recalls">;
  return {
    environmentId: row.env_id as EnvironmentId,
    requestId: row.request_id as RequestId,
    cursor: row.cursor as MessageId | null,
  };
}
