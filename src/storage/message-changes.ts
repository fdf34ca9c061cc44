/**
 * What has changed about messages and is to be told to endpoints; how it gets here is told in change-notes.ts.
 *
 * `ready_at` is 0 (at once, whatever anybody's clock says) or the end of the lease.
 *
 *   noted ──claim──▶ leased ──replace──▶ gone; in its place a message to endpoints with its deliveries
 *     ▲                │
 *     └────────────────┘ the lease lapses, or the same is noted again
 */
import { MESSAGE_RANK, type MessageChange } from "../engine/model.ts";
import type { MessageChangeStore } from "../engine/ports.ts";
import type { Database, Row } from "./database.ts";
import { insertPlanned } from "./planned.ts";
import { REQUEST_COLUMNS, requestValues } from "./rows.ts";
import { columnsOf, type RowOf } from "./schema.ts";
import { byCodePoints, text } from "./text.ts";

const COLUMNS = columnsOf("message_changes");

const REPLACE = `delete from message_changes where (env_id, message_id, state, revision, lease_until) in
    (select v.env_id, v.message_id, v.state, v.revision, v.held from :rows)
  returning message_id, state`;
const REPLACE_COLUMNS = { env_id: "text", message_id: "text", state: "text", revision: "int", held: "int" } as const;

export function messageChangeStore(db: Database): MessageChangeStore {
  const { dialect } = db;
  const skipLocked = dialect === "postgres" ? "for update skip locked" : "";
  const claim = `with claimed as materialized (
      select env_id, message_id, state from message_changes where ready_at <= ? order by ready_at, message_id
      limit ? ${skipLocked})
    update message_changes set lease_until = ?, ready_at = ? from claimed
    where message_changes.env_id = claimed.env_id and message_changes.message_id = claimed.message_id
      and message_changes.state = claimed.state
    returning ${COLUMNS.map((column) => `message_changes.${column}`).join(", ")}`;

  return {
    claim: (now, limit, leaseUntil) =>
      db.write(function* () {
        const { rows } = yield { ...text(dialect, claim, [now, limit, leaseUntil, leaseUntil]), only: true };
        return rows.map(changeOf).sort(inOrder);
      }),

    replace: (told, leaseUntil) =>
      db.write(function* () {
        if (told.length === 0) return [];
        const ordered = told.map(({ change }) => change).sort(inOrder);
        const { rows } = yield {
          kind: "each",
          sql: REPLACE,
          columns: REPLACE_COLUMNS,
          rows: ordered.map((c) => [c.environmentId, c.messageId, c.state, c.revision, leaseUntil]),
        };
        const gone = new Set(rows.map((row) => `${row.message_id} ${row.state}`));
        const written = told.map(({ change }) => gone.has(`${change.messageId} ${change.state}`));
        const messages = told.flatMap(({ by }, i) => (written[i] && by !== null ? [by] : []));
        if (messages.length > 0) {
          yield {
            kind: "insert",
            table: "requests",
            columns: REQUEST_COLUMNS,
            rows: messages.map(({ request }) => requestValues(request, true)),
          };
          yield* insertPlanned(dialect, messages);
        }
        return written;
      }),
  };
}

function inOrder(a: MessageChange, b: MessageChange): number {
  return byCodePoints(a.messageId, b.messageId) || MESSAGE_RANK[a.state] - MESSAGE_RANK[b.state];
}

function changeOf(found: Row): MessageChange {
  const row = found as RowOf<"message_changes">;
  return {
    environmentId: row.env_id as MessageChange["environmentId"],
    messageId: row.message_id as MessageChange["messageId"],
    state: row.state as MessageChange["state"],
    reason: row.reason as MessageChange["reason"],
    error: row.error,
    sentAt: row.sent_at,
    deliveredAt: row.delivered_at,
    openedAt: row.opened_at,
    clickedAt: row.clicked_at,
    canceledAt: row.canceled_at,
    revision: row.revision,
  };
}
