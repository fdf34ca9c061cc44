/** What was asked for in bulk, for whoever asks how far it is. Swept after a week (housekeeping.ts). */
import type { BulkOperation } from "../engine/workflow/model.ts";
import type { PartyStore } from "../engine/workflow/ports.ts";
import { type Database, type Operation, only, run } from "./database.ts";
import { columnsOf, type RowOf } from "./schema.ts";
import { decodeObject, encodeJson, insert, requireId, text } from "./text.ts";

const REPLACE = "on conflict (env_id, id) do update set body = excluded.body";

/** The part of the parties' store that keeps bulk operations. */
export function bulkOperationStore(db: Database): Pick<PartyStore, "putBulkOperation" | "bulkOperation"> {
  const { dialect } = db;
  return {
    async putBulkOperation(environmentId, { id, body, createdAt }) {
      requireId("id", id);
      const row = [environmentId, id, encodeJson(body), createdAt];
      await db.write(function* () {
        yield* run(only(insert("bulk_operations", columnsOf("bulk_operations"), [row], REPLACE)));
      });
    },

    bulkOperation: (environmentId, id) =>
      db.read(function* (): Operation<BulkOperation | null> {
        const sql = "select * from bulk_operations where env_id = ? and id = ?";
        const found = (yield* run(text(dialect, sql, [environmentId, id]))).rows[0];
        if (found === undefined) return null;
        const row = found as unknown as RowOf<"bulk_operations">;
        return { id: row.id, body: decodeObject(row.body), createdAt: row.created_at };
      }),
  };
}
