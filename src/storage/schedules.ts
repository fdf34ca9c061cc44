/**
 * Schedules. `ready_at` says when one may be claimed: at its next time, or when the lease of whoever has it now ends;
 * null when it is exhausted. Whatever is written to a schedule ends its lease, so that what was made of the old one is
 * not fired.
 */
import { partyKey, type Schedule, type ScheduleId } from "../engine/workflow/model.ts";
import type { ScheduleStore } from "../engine/workflow/ports.ts";
import { type Database, type Operation, only, run, type Value } from "./database.ts";
import { newestFirst, newestPage } from "./newest-first.ts";
import { REQUEST_COLUMNS, requestValues } from "./rows.ts";
import { RETURN_SCHEDULE, SCHEDULE_COLUMNS, SELECT_SCHEDULE, scheduleOf, scheduleValues } from "./run-rows.ts";
import { kindOf, tenantColumn } from "./schema.ts";
import { among, byCodePoints, insert, text, textList } from "./text.ts";

const REPLACED = SCHEDULE_COLUMNS.filter((column) => column !== "env_id" && column !== "id" && column !== "created_at");
const REPLACE = `update schedules set ${REPLACED.map((column) => `${column} = v.${column}`).join(", ")}
  from :rows where schedules.env_id = v.env_id and schedules.id = v.id and schedules.recipient = v.recipient
    and schedules.last_at is not distinct from v.last_at
  returning schedules.env_id, schedules.id`;
const REPLACE_COLUMNS = Object.fromEntries(
  SCHEDULE_COLUMNS.map((column) => [column, kindOf("schedules", column).startsWith("int") ? "int" : "text"] as const),
);

export function scheduleStore(db: Database): ScheduleStore {
  const { dialect } = db;
  const skipLocked = dialect === "postgres" ? "for update skip locked" : "";
  const claim = `with claimed as materialized (
      select env_id, id from schedules where ready_at <= ? order by ready_at, id limit ? ${skipLocked})
    update schedules set lease_until = ?, ready_at = ? from claimed
    where schedules.env_id = claimed.env_id and schedules.id = claimed.id
    returning ${RETURN_SCHEDULE}`;

  return {
    create: (schedules) =>
      db.write(function* () {
        if (schedules.length > 0)
          yield* run(only(insert("schedules", SCHEDULE_COLUMNS, schedules.map(scheduleValues))));
      }),

    read: (environmentId, ids) =>
      db.read(function* () {
        const sql = `select ${SELECT_SCHEDULE} from schedules as s where s.env_id = ? and ${among(dialect, "s.id")}`;
        const { rows } = yield text(dialect, sql, [environmentId, textList(dialect, ids)]);
        return inOrderOf(ids, rows.map(scheduleOf));
      }),

    update: (schedules) =>
      db.write(function* () {
        // Of one that is named twice the last wins; and no two processes lock the same ones in different orders.
        const last = [...new Map(schedules.map((s) => [`${s.environmentId} ${s.id}`, s])).values()];
        last.sort((a, b) => byCodePoints(a.environmentId, b.environmentId) || byCodePoints(a.id, b.id));
        const { rows } = yield { kind: "each", sql: REPLACE, columns: REPLACE_COLUMNS, rows: last.map(checkedValues) };
        const there = new Set(rows.map((row) => `${row.env_id} ${row.id}`));
        return schedules.map((s) => there.has(`${s.environmentId} ${s.id}`));
      }),

    delete: (environmentId, ids) =>
      db.write(function* () {
        const sql = `delete from schedules where env_id = ? and ${among(dialect, "id")} returning ${RETURN_SCHEDULE}`;
        const { rows } = yield* run(only(text(dialect, sql, [environmentId, textList(dialect, ids)])));
        return inOrderOf(ids, rows.map(scheduleOf));
      }),

    list: (environmentId, filter, page) =>
      db.read(function* () {
        const way = newestFirst(page, "s.id");
        const where = ["s.env_id = ?", ...way.where];
        const params: Value[] = [environmentId, ...way.params];
        if (filter.workflow !== undefined) {
          where.push("s.workflow = ?");
          params.push(filter.workflow);
        }
        if (filter.recipients !== undefined) {
          where.push(among(dialect, "s.recipient"));
          params.push(textList(dialect, filter.recipients.map(partyKey)));
        }
        if (filter.tenantId !== undefined) {
          where.push("s.tenant_id = ?");
          params.push(tenantColumn(filter.tenantId));
        }
        const sql = `select ${SELECT_SCHEDULE} from schedules as s where ${where.join(" and ")}
          order by ${way.orderBy} limit ?`;
        const { rows } = yield text(dialect, sql, [...params, way.limit]);
        return newestPage(rows.map(scheduleOf), page, (schedule) => schedule.id);
      }),

    claim: (now, limit, leaseUntil) =>
      db.lease(function* () {
        const { rows } = yield* run(only(text(dialect, claim, [now, limit, leaseUntil, leaseUntil])));
        return rows.map(scheduleOf).sort((a, b) => (a.nextAt ?? 0) - (b.nextAt ?? 0) || byCodePoints(a.id, b.id));
      }),

    fire: (schedule, leaseUntil, request, nextAt) =>
      db.write(function* (): Operation<boolean> {
        // Its time as it was is the time it fires for; `last_at` changes only when it does fire.
        const { changes } = yield text(
          dialect,
          `update schedules set next_at = ?, last_at = case when ? = 1 then next_at else last_at end,
             lease_until = null, ready_at = ?
           where env_id = ? and id = ? and lease_until = ? and next_at is not distinct from ? and updated_at = ?`,
          [
            nextAt,
            request === null ? 0 : 1,
            nextAt,
            schedule.environmentId,
            schedule.id,
            leaseUntil,
            schedule.nextAt,
            schedule.updatedAt,
          ],
        );
        if (changes === 0) return false;
        if (request !== null) {
          const rows = [requestValues(request, false)];
          yield { kind: "insert", table: "requests", columns: REQUEST_COLUMNS, rows };
        }
        return true;
      }),
  };
}

/** What is written through `:rows` is not looked at by `text`. */
function checkedValues(schedule: Schedule): Value[] {
  const values = scheduleValues(schedule);
  insert("schedules", SCHEDULE_COLUMNS, [values]);
  return values;
}

function inOrderOf<T extends { readonly id: ScheduleId }>(ids: readonly ScheduleId[], found: readonly T[]): T[] {
  const byId = new Map(found.map((schedule) => [schedule.id, schedule]));
  return [...new Set(ids)].flatMap((id) => byId.get(id) ?? []);
}
