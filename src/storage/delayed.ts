/** Delayed messages: claimed when their time has come, replaced by what planning made of them. */
import type { PipelineStore } from "../engine/ports.ts";
import type { Database, Value } from "./database.ts";
import { insertDeliveries, insertTags } from "./planned.ts";
import { MESSAGE_COLUMNS, messageOf, messageValues, RETURN_MESSAGE } from "./rows.ts";
import { insertRuns } from "./run-rows.ts";
import { kindOf } from "./schema.ts";
import { byCodePoints, text } from "./text.ts";

/** Everything but what identifies a message. */
const REPLACED = MESSAGE_COLUMNS.filter((column) => column !== "env_id" && column !== "id");
const REPLACE = `update messages set ${REPLACED.map((column) => `"${column}" = v."${column}"`).join(", ")}
  from :rows where messages.env_id = v.env_id and messages.id = v.id and messages.lease_until = v.held
    and messages.ready_at is not null
  returning messages.id`;
const REPLACE_COLUMNS = Object.fromEntries([
  ...MESSAGE_COLUMNS.map((column) => [column, kindOf("messages", column).startsWith("int") ? "int" : "text"] as const),
  ["held", "int"] as const,
]);

export function delayedStore(db: Database): Pick<PipelineStore, "claimMessages" | "commitPlanned"> {
  const { dialect } = db;
  const skipLocked = dialect === "postgres" ? "for update skip locked" : "";
  const claim = `with claimed as materialized (
      select env_id, id from messages where ready_at <= ? order by ready_at, id limit ? ${skipLocked})
    update messages set lease_until = ?, ready_at = ? from claimed
    where messages.env_id = claimed.env_id and messages.id = claimed.id
    returning ${RETURN_MESSAGE}`;

  return {
    claimMessages: (now, limit, leaseUntil) =>
      db.write(function* () {
        const { rows } = yield { ...text(dialect, claim, [now, limit, leaseUntil, leaseUntil]), only: true };
        return rows.map(messageOf).sort((a, b) => (a.dueAt ?? 0) - (b.dueAt ?? 0) || byCodePoints(a.id, b.id));
      }),

    commitPlanned: (planned, leaseUntil) =>
      db.write(function* () {
        if (planned.length === 0) return [];
        // In one order everywhere, so that two who planned the same messages do not deadlock.
        const ordered = [...planned].sort((a, b) => byCodePoints(a.message.id, b.message.id));
        const { rows } = yield {
          kind: "each",
          sql: REPLACE,
          columns: REPLACE_COLUMNS,
          rows: ordered.map(({ message, deliveries }): Value[] => [...messageValues(message, deliveries), leaseUntil]),
        };
        const replaced = new Set(rows.map((row) => row.id));
        const kept = planned.filter(({ message }) => replaced.has(message.id));
        yield* insertTags(kept);
        yield* insertDeliveries(kept.flatMap((p) => p.deliveries));
        yield* insertRuns(kept);
        return planned.map(({ message }) => replaced.has(message.id));
      }),
  };
}
