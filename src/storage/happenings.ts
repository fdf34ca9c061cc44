/**
 * What happened and is to be told to endpoints; how it gets here is told in happening-notes.ts.
 *
 * `ready_at` is 0 (at once, whatever anybody's clock says) or the end of the lease.
 *
 *   noted ──claim──▶ leased ──replace──▶ gone; in its place a message to endpoints with its deliveries
 *     ▲                │
 *     └────────────────┘ the lease lapses
 */
import type { EnvironmentId } from "../engine/model.ts";
import type { DeliveryThen, Happening, HappeningNote } from "../engine/workflow/model.ts";
import type { HappeningStore } from "../engine/workflow/ports.ts";
import type { Database, Row } from "./database.ts";
import { insertPlanned } from "./planned.ts";
import { REQUEST_COLUMNS, requestValues } from "./rows.ts";
import { columnsOf, type RowOf } from "./schema.ts";
import { byCodePoints, text } from "./text.ts";

const RETURNED = columnsOf("happenings")
  .map((column) => `happenings.${column}`)
  .join(", ");
const REPLACE = `delete from happenings where (env_id, id, lease_until) in (select v.env_id, v.id, v.held from :rows)
  returning id`;
const REPLACE_COLUMNS = { env_id: "text", id: "text", held: "int" } as const;

export function happeningStore(db: Database): HappeningStore {
  const { dialect } = db;
  const skipLocked = dialect === "postgres" ? "for update skip locked" : "";
  const claim = `with claimed as materialized (
      select env_id, id from happenings where ready_at <= ? order by ready_at, id limit ? ${skipLocked})
    update happenings set lease_until = ?, ready_at = ? from claimed
    where happenings.env_id = claimed.env_id and happenings.id = claimed.id
    returning ${RETURNED}`;

  return {
    claim: (now, limit, leaseUntil) =>
      db.lease(function* () {
        const { rows } = yield { ...text(dialect, claim, [now, limit, leaseUntil, leaseUntil]), only: true };
        return rows.map(happeningOf).sort((a, b) => byCodePoints(a.id, b.id));
      }),

    replace: (told, leaseUntil) =>
      db.write(function* () {
        if (told.length === 0) return [];
        const ordered = told.map(({ happening }) => happening).sort((a, b) => byCodePoints(a.id, b.id));
        const { rows } = yield {
          kind: "each",
          sql: REPLACE,
          columns: REPLACE_COLUMNS,
          rows: ordered.map(({ environmentId, id }) => [environmentId, id, leaseUntil]),
        };
        const gone = new Set(rows.map((row) => row.id));
        const written = told.map(({ happening }) => gone.has(happening.id));
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

function happeningOf(found: Row): Happening {
  const row = found as RowOf<"happenings">;
  const note = JSON.parse(row.note) as Omit<HappeningNote, "environmentId" | "subject" | "at">;
  const delivery: DeliveryThen | null =
    row.state === null
      ? null
      : {
          state: row.state as DeliveryThen["state"],
          attempts: row.attempts ?? 0,
          sentAt: row.sent_at,
          deliveredAt: row.delivered_at,
          seenAt: row.seen_at,
          readAt: row.read_at,
          interactedAt: row.interacted_at,
          archivedAt: row.archived_at,
        };
  return {
    ...note,
    environmentId: row.env_id as EnvironmentId,
    id: row.id as Happening["id"],
    subject: row.subject,
    at: row.happened_at,
    delivery,
    // The note was stored as one of the union's members.
  } as Happening;
}
