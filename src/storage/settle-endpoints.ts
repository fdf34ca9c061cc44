/**
 * What tries at applications' endpoints leave behind beside the delivery: the attempt, how the endpoint is doing, who
 * is told, and the pair's own row when the try was a manual one. There is no row in `messages` to lock, so what two
 * processes could write is locked by key: content that may go first, then deliveries.
 */
import type { Settlement } from "../engine/ports.ts";
import { writeAppMessages } from "./app-accept.ts";
import { WITHOUT_CONTENT } from "./app-messages.ts";
import type { Dialect, Operation, Value } from "./database.ts";
import { noteHealth } from "./endpoint-health.ts";
import { among, storable, text, textList } from "./text.ts";
import { ENDPOINT_ATTEMPT_COLUMNS, endpointAttemptValues } from "./webhook-rows.ts";

/** Locks what settling these will write, on Postgres; on SQLite nobody can come between. */
export function* lockEndpointRows(dialect: Dialect, settlements: readonly Settlement[]): Operation<void> {
  if (dialect === "sqlite" || settlements.length === 0) return;
  const wiping = settlements.filter(({ endpoint }) => endpoint?.wipeContent === true);
  // Of two that settle the last deliveries of a message at once, the second then sees what the first has written.
  if (wiping.length > 0) {
    const sql = `select id from app_messages where ${among(dialect, "app_id")} and ${among(dialect, "id")}
      order by id for update`;
    const apps = wiping.map(({ delivery }) => delivery.app?.id ?? "");
    const ids = wiping.map(({ delivery }) => delivery.messageId);
    yield text(dialect, sql, [textList(dialect, apps), textList(dialect, ids)]);
  }
  const ids: string[] = settlements.map(({ delivery }) => delivery.id);
  const manual = settlements.filter(({ delivery }) => delivery.app?.manual === true);
  if (manual.length > 0) {
    const rows = manual.map(({ delivery }) => [delivery.providerId, delivery.messageId]);
    const found = yield { kind: "each", sql: PAIRS, columns: PAIR_KEY, rows };
    ids.push(...found.rows.map((row) => row.id as string));
  }
  const sql = `select id from deliveries where ${among(dialect, "id")} order by id for update`;
  yield text(dialect, sql, [textList(dialect, ids)]);
}

const PAIR_KEY = { endpoint_id: "text", message_id: "text" } as const;
const PAIRS = `select d.id from :rows cross join deliveries as d
  where d.provider_id = v.endpoint_id and d.message_id = v.message_id and d.app_id is not null and d.manual = 0`;

/** @param settlements those that were written, their deliveries included. */
export function* settleEndpoints(settlements: readonly Settlement[]): Operation<void> {
  if (settlements.length === 0) return;
  const attempts = settlements.flatMap(({ endpoint }) => endpoint?.attempt ?? []);
  if (attempts.length > 0) {
    const rows = attempts.map(endpointAttemptValues);
    yield { kind: "insert", table: "endpoint_attempts", columns: ENDPOINT_ATTEMPT_COLUMNS, rows };
  }
  yield* showOnPairs(settlements);
  yield* wipeContent(settlements);
  yield* noteHealth(settlements);
  yield* writeAppMessages(settlements.flatMap(({ endpoint }) => endpoint?.told ?? []));
}

/** Whether somebody is trying the pair at this moment: what comes of that is for them to write. */
const IS_CLAIMED = "coalesce(deliveries.state = 'pending' and deliveries.lease_until > v.at, false)";
const NOW_SENT = `(v.outcome = 'sent' and not ${IS_CLAIMED})`;
const SHOW_ON_PAIR = `update deliveries set
    state = case when ${NOW_SENT} then 'sent'
      when v.outcome = 'failed' and deliveries.state = 'canceled' and deliveries.started_at is null then 'failed'
      else deliveries.state end,
    ready_at = case when ${NOW_SENT} then null else deliveries.ready_at end,
    lease_until = case when ${NOW_SENT} then null else deliveries.lease_until end,
    sent_at = case when ${NOW_SENT} then coalesce(deliveries.sent_at, v.at) else deliveries.sent_at end,
    error = case when v.outcome = 'sent' then null when v.outcome = 'failed' and deliveries.state <> 'sent' then v.error
      else deliveries.error end,
    started_at = coalesce(deliveries.started_at, v.started_at)
  from :rows where deliveries.provider_id = v.endpoint_id and deliveries.message_id = v.message_id
    and deliveries.app_id is not null and deliveries.manual = 0`;
const SHOWN = {
  endpoint_id: "text",
  message_id: "text",
  outcome: "text",
  at: "int",
  started_at: "int",
  error: "text",
} as const;

/** The pair's own row is what lists show, so a manual try shows there too. */
function* showOnPairs(settlements: readonly Settlement[]): Operation<void> {
  let left = settlements.filter(({ delivery, endpoint }) => delivery.app?.manual === true && endpoint?.attempt != null);
  // Postgres takes a row only once in a statement: further tries of one pair come in a further one.
  while (left.length > 0) {
    const firsts = new Map<string, Settlement>();
    const later: Settlement[] = [];
    for (const settlement of left) {
      const { providerId, messageId } = settlement.delivery;
      const pair = `${providerId} ${messageId}`;
      if (firsts.has(pair)) later.push(settlement);
      else firsts.set(pair, settlement);
    }
    yield { kind: "each", sql: SHOW_ON_PAIR, columns: SHOWN, rows: [...firsts.values()].map(shownValues) };
    left = later;
  }
}

function shownValues({ delivery, next, endpoint, leaseUntil }: Settlement): Value[] {
  const attempt = endpoint?.attempt ?? null;
  return [
    delivery.providerId,
    delivery.messageId,
    next.state,
    attempt?.endedAt ?? leaseUntil,
    attempt?.startedAt ?? null,
    next.state === "failed" ? storable(next.error) : null,
  ];
}

const WIPE = `update app_messages set ${WITHOUT_CONTENT}
  from :rows where app_messages.env_id = v.env_id and app_messages.app_id = v.app_id and app_messages.id = v.id
    and app_messages.payload_until is not null
    and not exists (select 1 from deliveries as d
      where d.message_id = v.id and (d.state = 'pending' or d.state = 'failed'))`;
const MESSAGE_KEY = { env_id: "text", app_id: "text", id: "text" } as const;

function* wipeContent(settlements: readonly Settlement[]): Operation<void> {
  const wiping = settlements.filter(({ endpoint }) => endpoint?.wipeContent === true);
  if (wiping.length === 0) return;
  const rows = new Map(
    wiping.map(({ delivery }) => [
      delivery.messageId,
      [delivery.environmentId, delivery.app?.id ?? null, delivery.messageId],
    ]),
  );
  yield { kind: "each", sql: WIPE, columns: MESSAGE_KEY, rows: [...rows.values()] };
}
