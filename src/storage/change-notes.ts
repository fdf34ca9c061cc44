/**
 * Noting that a message has changed, in the commit that changes it, where an endpoint may want to know.
 *
 * A message that is changed is noted by a trigger (migrations.ts), so that no statement can forget it. So is one that
 * is inserted, on Postgres. On SQLite a trigger on inserts costs a send 3.2 µs even if its condition is `0`, so there
 * `insertPlanned`, the one place that inserts messages, calls `noteBorn`: one probe for all messages of an operation.
 *
 * How far a provider is cannot be seen from the message. That is noted by `noteTried` and `noteHeard`, after the message
 * has risen: where the message rose too, it is one change and not two.
 */
import type { Delivery, Message, MessageEvent } from "../engine/model.ts";
import type { Dialect, Operation, Value } from "./database.ts";
import { columnsOf } from "./schema.ts";
import { text } from "./text.ts";

const COLUMNS = columnsOf("message_changes");
/** Text, and not a parameter, so that the partial index on these documents is used. */
const ENDPOINTS = "select 1 from documents as d where d.kind = 'outbound-webhook' and d.env_id =";

/** Notes messages just inserted. */
export function* noteBorn(dialect: Dialect, messages: readonly Message[]): Operation<void> {
  if (dialect === "postgres") return;
  const told = new Set<string>();
  const seen = new Set<string>();
  for (const { environmentId, toEndpoints } of messages) {
    if (toEndpoints === true || seen.has(environmentId)) continue;
    seen.add(environmentId);
    const { rows } = yield text(dialect, `${ENDPOINTS} ? limit 1`, [environmentId]);
    if (rows.length > 0) told.add(environmentId);
  }
  if (told.size === 0) return;
  const rows = messages.filter((m) => m.toEndpoints !== true && told.has(m.environmentId)).map(bornValues);
  yield { kind: "insert", table: "message_changes", columns: COLUMNS, rows };
}

/** In the order of the columns in schema.ts. */
function bornValues(m: Message): Value[] {
  return [
    m.environmentId,
    m.id,
    m.state,
    m.reason,
    m.error,
    m.sentAt,
    m.deliveredAt,
    m.openedAt,
    m.clickedAt,
    m.canceledAt,
    null,
    0,
    1,
  ];
}

/**
 * Notes the message as it now is. `cross join` is for the planner of SQLite, which then begins with the one row that is
 * given. Two of `:rows` may be about one message, and Postgres takes a row only once, hence `distinct`.
 */
function noting(condition: string): string {
  const key = ["env_id", "message_id", "state", "revision"];
  const kept = COLUMNS.filter((column) => !key.includes(column));
  return `insert into message_changes (${COLUMNS.join(", ")})
    select distinct m.env_id, m.id, m.state, m.reason, m.error, m.sent_at, m.delivered_at, m.opened_at, m.clicked_at,
      m.canceled_at, cast(null as bigint), 0, 1
    from :rows cross join messages as m
    where m.env_id = v.env_id and m.id = v.message_id and m.to_endpoints = 0
      and exists (${ENDPOINTS} v.env_id)${condition}
    on conflict (env_id, message_id, state) do update set
      ${kept.map((column) => `${column} = excluded.${column}`).join(", ")}, revision = message_changes.revision + 1`;
}

const NOTE_TRIED = noting("");
const TRIED_COLUMNS = { env_id: "text", message_id: "text" } as const;

/** Notes the messages of deliveries that a provider has just accepted or refused for good. */
export function* noteTried(deliveries: readonly Delivery[]): Operation<void> {
  if (deliveries.length === 0) return;
  yield {
    kind: "each",
    sql: NOTE_TRIED,
    columns: TRIED_COLUMNS,
    rows: deliveries.map((d) => [d.environmentId, d.messageId]),
  };
}

const NOTE_HEARD = noting(` and 1 = (select count(*) from message_events as e
  where e.message_id = v.message_id and e.delivery_id = v.delivery_id and e.kind = v.kind)`);
const HEARD_COLUMNS = { env_id: "text", message_id: "text", delivery_id: "text", kind: "text" } as const;
const HEARD: ReadonlySet<string> = new Set(["delivered", "opened", "clicked", "bounced"]);

/** Notes the messages of deliveries that something was heard of for the first time. The events have been stored. */
export function* noteHeard(events: readonly MessageEvent[]): Operation<void> {
  const rows = events
    .filter((event) => HEARD.has(event.kind) && event.deliveryId !== null)
    .map((event) => [event.environmentId, event.messageId, event.deliveryId, event.kind]);
  if (rows.length > 0) yield { kind: "each", sql: NOTE_HEARD, columns: HEARD_COLUMNS, rows };
}
