/** What capture providers kept instead of sending it. */
import type { Captured, Channel, DeliveryId, EnvironmentId, MessageId } from "../engine/model.ts";
import type { CaptureStore } from "../engine/ports.ts";
import type { Id } from "../lib/ids.ts";
import { type Database, type Dialect, type Operation, only, type Row, run, type Value } from "./database.ts";
import { columnsOf, type RowOf } from "./schema.ts";
import { decodeObject, encodeJson, insert, pageOf, text } from "./text.ts";

/** Rows that are removed in one commit; their payloads may be large. */
const REMOVED_AT_ONCE = 2000;

const COLUMNS = columnsOf("captured");

/**
 * What is captured twice under one id is kept once. `clear` removes what was there when it was called, in batches, each
 * of them one commit.
 */
export function captureStore(db: Database): CaptureStore {
  const { dialect } = db;
  return {
    async add(captured) {
      if (captured.length === 0) return;
      const rows = captured.map((c) => [
        c.environmentId,
        c.id,
        c.messageId,
        c.deliveryId,
        c.channel,
        c.provider,
        encodeJson(c.address),
        encodeJson(c.payload),
        c.at,
      ]);
      await db.write(function* () {
        yield* run(only(insert("captured", COLUMNS, rows, "on conflict (env_id, id) do nothing")));
      });
    },

    list: (environmentId, filter, page) =>
      db.read(function* () {
        const params: Value[] = [environmentId];
        let where = "env_id = ?";
        const restrict = (condition: string, value: Value | undefined | null): void => {
          if (value === undefined || value === null) return;
          where += ` and ${condition}`;
          params.push(value);
        };
        restrict("message_id = ?", filter.messageId);
        restrict("channel = ?", filter.channel);
        restrict("id < ?", page.after);
        const sql = `select * from captured where ${where} order by id desc limit ?`;
        const { rows } = yield* run(text(dialect, sql, [...params, page.limit + 1]));
        return pageOf(rows.map(capturedOf), page.limit, (captured) => captured.id);
      }),

    async clear(environmentId) {
      const last = await db.read(() => idAt(dialect, environmentId, "desc", 0, null));
      if (last === null) return;
      let more: boolean;
      do {
        more = await db.write(function* () {
          const bound = yield* idAt(dialect, environmentId, "asc", REMOVED_AT_ONCE - 1, last);
          yield* run(
            text(dialect, "delete from captured where env_id = ? and id <= ?", [environmentId, bound ?? last]),
          );
          return bound !== null;
        });
      } while (more);
    },
  };
}

/** The id at a place in the order of ids, up to `last`; null when there are not that many. */
function* idAt(
  dialect: Dialect,
  environmentId: string,
  order: "asc" | "desc",
  place: number,
  last: string | null,
): Operation<string | null> {
  const { rows } = yield* run(
    text(
      dialect,
      `select id from captured where env_id = ? ${last === null ? "" : "and id <= ? "}order by id ${order} limit 1 offset ?`,
      last === null ? [environmentId, place] : [environmentId, last, place],
    ),
  );
  return (rows[0]?.id ?? null) as string | null;
}

function capturedOf(row: Row): Captured {
  const captured = row as unknown as RowOf<"captured">;
  return {
    id: captured.id as Id<"cap">,
    environmentId: captured.env_id as EnvironmentId,
    messageId: captured.message_id as MessageId,
    deliveryId: captured.delivery_id as DeliveryId,
    channel: captured.channel as Channel,
    provider: captured.provider,
    address: decodeObject(captured.address),
    payload: decodeObject(captured.payload),
    at: captured.at,
  };
}
