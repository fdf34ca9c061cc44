/**
 * Deliveries as a queue. `ready_at` says when a row may be claimed: when it is due, or when the lease of whoever has
 * it now ends. So due rows, lapsed leases and the next wake-up are read off the beginning of one small index.
 *
 *   pending, ready_at <= now ──claim──▶ pending, leased ──settle──▶ sent, delivered, failed, …
 *        ▲                                   │
 *        └──── lease lapses, is released, or the try is to be repeated (`dueAt` moves)
 */
import type { Message } from "../engine/model.ts";
import type { PipelineStore } from "../engine/ports.ts";
import type { Database } from "./database.ts";
import { lockMessages } from "./message-progress.ts";
import { deliveryOf, messageOf, RETURN_DELIVERY, SELECT_MESSAGE } from "./rows.ts";
import { cancelRunOf } from "./run-cancel.ts";
import { settle } from "./settle.ts";
import { among, byCodePoints, text, textList } from "./text.ts";

type QueueMethods = Pick<
  PipelineStore,
  "claimDeliveries" | "renewLeases" | "releaseLeases" | "settle" | "nextDueAt" | "cancel"
>;

/**
 * Canceling leaves alone what is claimed at that moment. Should its claimer never settle it, it ends here: looked up
 * only for lapsed and released leases, so that a first claim pays nothing for it.
 */
const MESSAGE_CANCELED = `exists (select 1 from messages as m
  where m.env_id = deliveries.env_id and m.id = deliveries.message_id and m.state = 'canceled')`;

export function deliveryStore(db: Database): QueueMethods {
  const { dialect } = db;
  const skipLocked = dialect === "postgres" ? "for update skip locked" : "";
  // Materialized, because Postgres may otherwise run a limited, locking subquery more than once.
  const claim = `with claimed as materialized (
      select id, case when lease_until is not null and ${MESSAGE_CANCELED} then 1 else 0 end as ended
      from deliveries where ready_at <= ? order by ready_at, id limit ? ${skipLocked})
    update deliveries set state = case claimed.ended when 1 then 'canceled' else deliveries.state end,
      lease_until = case claimed.ended when 1 then null else cast(? as bigint) end,
      ready_at = case claimed.ended when 1 then null else cast(? as bigint) end
    from claimed where deliveries.id = claimed.id
    returning ${RETURN_DELIVERY}`;

  return {
    claimDeliveries: (now, limit, leaseUntil) =>
      db.lease(function* () {
        const { rows } = yield { ...text(dialect, claim, [now, limit, leaseUntil, leaseUntil]), only: true };
        const claimed = rows.map(deliveryOf).filter(({ state }) => state === "pending");
        return claimed.sort((a, b) => a.dueAt - b.dueAt || byCodePoints(a.id, b.id));
      }),

    async renewLeases(ids, held, leaseUntil) {
      if (ids.length === 0) return;
      await db.lease(function* () {
        const sql = `update deliveries set lease_until = ?, ready_at = ?
          where ${among(dialect, "id")} and state = 'pending' and lease_until = ?`;
        yield { ...text(dialect, sql, [leaseUntil, leaseUntil, textList(dialect, ids), held]), only: true };
      });
    },

    async releaseLeases(ids, held) {
      if (ids.length === 0) return;
      await db.lease(function* () {
        const sql = `update deliveries set state = case when ${MESSAGE_CANCELED} then 'canceled' else state end,
            lease_until = null, ready_at = case when ${MESSAGE_CANCELED} then null else due_at end
          where ${among(dialect, "id")} and state = 'pending' and lease_until = ?`;
        yield { ...text(dialect, sql, [textList(dialect, ids), held]), only: true };
      });
    },

    settle: (batch) => db.write(() => settle(dialect, batch)),

    nextDueAt: () =>
      db.read(function* () {
        const earliest = (table: string): string =>
          `(select min(ready_at) from ${table} where ready_at is not null) as ${table}`;
        const tables = [
          "requests",
          "messages",
          "deliveries",
          "message_changes",
          "tasks",
          "runs",
          "schedules",
          "happenings",
        ];
        const sql = `select ${tables.map(earliest).join(", ")}`;
        const { rows } = yield text(dialect, sql, []);
        const times = Object.values(rows[0] ?? {}).filter((at) => at !== null) as number[];
        return times.length === 0 ? null : Math.min(...times);
      }),

    cancel: (environmentId, id, at) =>
      db.write(function* () {
        const state = (yield* lockMessages(dialect, environmentId, [id])).get(id);
        if (state === undefined) return null;
        const canceled = state === "enqueued" || state === "delayed" || state === "routed";
        if (canceled) {
          yield text(
            dialect,
            `update messages set state = 'canceled', canceled_at = ?, lease_until = null, ready_at = null
             where env_id = ? and id = ?`,
            [at, environmentId, id],
          );
          // One that is claimed may be on its way to the provider this moment: its claimer settles it.
          yield text(
            dialect,
            `update deliveries set state = 'canceled', lease_until = null, ready_at = null
             where message_id = ? and env_id = ? and state = 'pending' and (lease_until is null or lease_until <= ?)`,
            [id, environmentId, at],
          );
          yield* cancelRunOf(dialect, environmentId, id, at);
        }
        const { rows } = yield text(
          dialect,
          `select ${SELECT_MESSAGE} from messages as m where env_id = ? and id = ?`,
          [environmentId, id],
        );
        return { message: messageOf(rows[0] as NonNullable<(typeof rows)[0]>) as Message, canceled };
      }),
  };
}
