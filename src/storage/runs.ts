/**
 * Runs that wait. `ready_at` says when one may be claimed: when it is due, or when the lease of whoever has it now ends.
 *
 *   due ──claim──▶ leased ──commit──▶ waits for its next time, or gone
 *    ▲               │ lapsed, released
 *    └───────────────┘
 *
 * What is left of a run that is over, and of all that never waited, is the record in its message (`messages.run`).
 */
import type { RunStore } from "../engine/workflow/ports.ts";
import { readBatch } from "./batches.ts";
import { type Database, only, run, type Value } from "./database.ts";
import { deliveryOf, SELECT_DELIVERY } from "./rows.ts";
import { cancelRuns } from "./run-cancel.ts";
import { commitLegs } from "./run-legs.ts";
import { IS_ANY_RUN, listRuns, recipientCondition } from "./run-lists.ts";
import { RETURN_RUN, runOf, SELECT_RUN } from "./run-rows.ts";
import { tenantColumn } from "./schema.ts";
import { among, byCodePoints, lockingRows, text, textList } from "./text.ts";

export function runStore(db: Database): RunStore {
  const { dialect } = db;
  const skipLocked = dialect === "postgres" ? "for update skip locked" : "";
  const claim = `with claimed as materialized (
      select env_id, message_id from runs where ready_at <= ? order by ready_at, message_id limit ? ${skipLocked})
    update runs set lease_until = ?, ready_at = ? from claimed
    where runs.env_id = claimed.env_id and runs.message_id = claimed.message_id
    returning ${RETURN_RUN}`;
  // Who holds a lease knows when it ends, and so where in the index the run is. Locked in the order of all who lock runs.
  const leased = `with leased as materialized (
      select env_id, message_id from runs where ready_at = ? and lease_until = ? and ${among(dialect, "message_id")}
      order by env_id, message_id${lockingRows(dialect)})`;
  const ofLeased = "from leased where runs.env_id = leased.env_id and runs.message_id = leased.message_id";

  return {
    claim: (now, limit, leaseUntil) =>
      db.lease(function* () {
        const { rows } = yield* run(only(text(dialect, claim, [now, limit, leaseUntil, leaseUntil])));
        return rows.map(runOf).sort((a, b) => a.dueAt - b.dueAt || byCodePoints(a.messageId, b.messageId));
      }),

    commit: (legs, leaseUntil, now) => db.write(() => commitLegs(dialect, legs, leaseUntil, now)),

    async renew(ids, held, leaseUntil) {
      if (ids.length === 0) return;
      const sql = `${leased} update runs set lease_until = ?, ready_at = ? ${ofLeased}`;
      const params = [held, held, textList(dialect, ids), leaseUntil, leaseUntil];
      await db.lease(() => run(only(text(dialect, sql, params))));
    },

    async release(ids, held) {
      if (ids.length === 0) return;
      const sql = `${leased} update runs set lease_until = null, ready_at = due_at ${ofLeased}`;
      await db.lease(() => run(only(text(dialect, sql, [held, held, textList(dialect, ids)]))));
    },

    batch: (environmentId, id, order, limit) => readBatch(db, environmentId, id, order, limit),

    cancel: (environmentId, workflow, cancellationKey, recipients, at, record) =>
      cancelRuns(db, { environmentId, workflow, cancellationKey, recipients, at }, record),

    read: (environmentId, id) =>
      db.read(function* () {
        const sql = `select ${SELECT_RUN} from runs as r where r.env_id = ? and r.message_id = ?`;
        const { rows } = yield text(dialect, sql, [environmentId, id]);
        return rows[0] === undefined ? null : runOf(rows[0]);
      }),

    list: (environmentId, filter, now, page) => db.read(() => listRuns(dialect, environmentId, filter, now, page)),

    deliveries: (environmentId, ids) =>
      db.read(function* () {
        const sql = `select ${SELECT_DELIVERY} from deliveries as d where ${among(dialect, "d.id")} and d.env_id = ?`;
        const { rows } = yield text(dialect, sql, [textList(dialect, ids), environmentId]);
        const found = new Map(rows.map((row) => [row.id as string, deliveryOf(row)]));
        return ids.flatMap((id) => found.get(id) ?? []);
      }),

    hasRun: (environmentId, workflow, recipient, tenantId, before) =>
      db.read(function* () {
        const to = recipientCondition(recipient);
        const where = ["m.env_id = ?", to.sql, "m.event = ?", IS_ANY_RUN, "m.id < ?"];
        const params: Value[] = [environmentId, ...to.params, workflow, before];
        if (tenantId !== undefined) {
          where.push("m.tenant_id = ?");
          params.push(tenantColumn(tenantId));
        }
        const sql = `select 1 as found from messages as m where ${where.join(" and ")} limit 1`;
        return (yield text(dialect, sql, params)).rows.length > 0;
      }),
  };
}
