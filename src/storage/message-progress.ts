/**
 * How a message's state rises. Several things may push one message at the same time (two deliveries, a click, a
 * bounce), so the rule "never to a lower rank" is kept by the statement that writes, not by whoever read before.
 */
import { MESSAGE_RANK, type Message, type MessageState } from "../engine/model.ts";
import type { Millis } from "../lib/clock.ts";
import type { Dialect, Operation, Row } from "./database.ts";
import { among, lockingRows, storable, text, textList } from "./text.ts";

export interface Rise {
  readonly env: string;
  readonly messageId: string;
  readonly state: MessageState;
  /** Written if the state rises. */
  readonly reason?: Message["reason"];
  readonly error?: string | null;
  /** First times: each is kept once it is set. */
  readonly sentAt?: Millis;
  readonly deliveredAt?: Millis;
  readonly openedAt?: Millis;
  readonly clickedAt?: Millis;
}

const RANK = `case m.state ${Object.entries(MESSAGE_RANK)
  .map(([state, rank]) => `when '${state}' then ${rank}`)
  .join(" ")} end`;

const RISE = `update messages as m set
    state = case when ${RANK} < v.rank then v.state else m.state end,
    reason = case when ${RANK} < v.rank then v.reason else m.reason end,
    error = case when ${RANK} < v.rank then v.error else m.error end,
    sent_at = coalesce(m.sent_at, v.sent_at), delivered_at = coalesce(m.delivered_at, v.delivered_at),
    opened_at = coalesce(m.opened_at, v.opened_at), clicked_at = coalesce(m.clicked_at, v.clicked_at)
  from :rows where m.env_id = v.env_id and m.id = v.id`;

const RISE_COLUMNS = {
  env_id: "text",
  id: "text",
  rank: "int",
  state: "text",
  reason: "text",
  error: "text",
  sent_at: "int",
  delivered_at: "int",
  opened_at: "int",
  clicked_at: "int",
} as const;

/** Applies them as if one after the other; several of one message become one. */
export function* raiseMessages(rises: readonly Rise[]): Operation<void> {
  if (rises.length === 0) return;
  const merged = new Map<string, Rise>();
  for (const rise of rises) {
    const known = merged.get(rise.messageId);
    merged.set(rise.messageId, known === undefined ? rise : merge(known, rise));
  }
  yield {
    kind: "each",
    sql: RISE,
    columns: RISE_COLUMNS,
    rows: [...merged.values()].map((r) => [
      r.env,
      r.messageId,
      MESSAGE_RANK[r.state],
      r.state,
      r.reason ?? null,
      storable(r.error ?? null),
      r.sentAt ?? null,
      r.deliveredAt ?? null,
      r.openedAt ?? null,
      r.clickedAt ?? null,
    ]),
  };
}

function merge(first: Rise, second: Rise): Rise {
  const higher = MESSAGE_RANK[second.state] > MESSAGE_RANK[first.state] ? second : first;
  return {
    ...second,
    ...definedOf(first),
    state: higher.state,
    reason: higher.reason ?? null,
    error: higher.error ?? null,
  };
}

/** First times that are set win over later ones. */
function definedOf(rise: Rise): Partial<Rise> {
  return Object.fromEntries(Object.entries(rise).filter(([, value]) => value !== undefined));
}

/**
 * Locks messages until the operation ends, in one order everywhere, and tells what they are now. Whoever writes
 * messages and deliveries locks the messages first.
 * @returns state by message id; absent ones are left out.
 */
export function* lockMessages(
  dialect: Dialect,
  env: string,
  ids: readonly string[],
): Operation<ReadonlyMap<string, MessageState>> {
  const distinct = [...new Set(ids)];
  const sql = `select id, state from messages where env_id = ? and ${among(dialect, "id")} order by id`;
  const { rows } = yield text(dialect, `${sql}${lockingRows(dialect)}`, [env, textList(dialect, distinct)]);
  return new Map(rows.map((row: Row) => [row.id as string, row.state as MessageState]));
}
