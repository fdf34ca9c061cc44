/**
 * Pairs of a message and an endpoint: their own row in `deliveries`, the one that is not `manual`. It is shown once it
 * has been tried, which is when `started_at` is set.
 */
import type { AppMessageHead, EndpointMessage } from "../engine/webhooks/model.ts";
import type { AppMessageStore } from "../engine/webhooks/ports.ts";
import type { Millis } from "../lib/clock.ts";
import { firstIdAt } from "../lib/ids.ts";
import { rangeConditions, wordConditions } from "./app-messages.ts";
import type { Database, Row, Value } from "./database.ts";
import { inSlices } from "./slices.ts";
import { among, text, textList } from "./text.ts";
import { walkedOf, walking } from "./walk.ts";
import {
  appMessageOf,
  bareMessageOf,
  headOf,
  pairOf,
  SELECT_APP_MESSAGE,
  SELECT_APP_MESSAGE_HEAD,
} from "./webhook-rows.ts";

type PairMethods = Pick<AppMessageStore, "endpointsOf" | "messagesOf" | "failedAt" | "untriedAt" | "countPairs">;

const PAIR = "d.message_id, d.provider_id, d.state, d.due_at";
const TRIED = "d.manual = 0 and d.started_at is not null";
/** In the words of the index on those that were not sent. */
const UNSENT = "d.manual < 1 and d.started_at is not null and d.state <> 'sent'";
const STATES: { readonly [status in EndpointMessage["status"]]: string } = {
  sent: "sent",
  failed: "failed",
  trying: "pending",
  canceled: "canceled",
};
/** Candidates looked at by one statement. */
const LOOKED_AT = 1000;
const COUNTED_AT_ONCE = 10_000;

export function endpointPairStore(db: Database): PairMethods {
  const { dialect } = db;

  return {
    endpointsOf: (environmentId, appId, messageId, walk) =>
      db.read(function* () {
        const way = walking(walk, "d.provider_id");
        const where = ["d.message_id = ?", "d.env_id = ?", "d.app_id = ?", TRIED, ...way.where].join(" and ");
        const sql = `select ${PAIR} from deliveries as d where ${where} order by ${way.orderBy} limit ?`;
        const params = [messageId, environmentId, appId, ...way.params, way.limit];
        const { rows } = yield text(dialect, sql, params);
        return walkedOf(rows.map(pairOf), walk);
      }),

    messagesOf: (environmentId, appId, endpointId, filter, walk, withContent) =>
      db.read(function* () {
        const way = walking(walk, "d.message_id");
        const range = rangeConditions(dialect, filter, {
          id: "d.message_id",
          prefix: "msg",
          eventType: "m.event_type",
        });
        const words = wordConditions(dialect, filter);
        const isUnsent = filter.statuses !== undefined && !filter.statuses.includes("sent");
        const shown = isUnsent ? UNSENT : TRIED;
        const where = ["d.provider_id = ?", "d.env_id = ?", "d.app_id = ?", shown, "m.app_id = d.app_id"];
        const params: Value[] = [endpointId, environmentId, appId];
        where.push("m.id = d.message_id", ...way.where, ...range.where, ...words.where);
        params.push(...way.params, ...range.params, ...words.params);
        if (filter.statuses !== undefined) {
          where.push(among(dialect, "d.state"));
          params.push(
            textList(
              dialect,
              filter.statuses.map((status) => STATES[status]),
            ),
          );
        }
        // `cross join` is for the planner of SQLite, which then begins with the endpoint's pairs.
        const sql = `select ${PAIR}, ${withContent ? SELECT_APP_MESSAGE : SELECT_APP_MESSAGE_HEAD}
          from deliveries as d cross join app_messages as m
          where ${where.join(" and ")} order by ${way.orderBy} limit ?`;
        const { rows } = yield text(dialect, sql, [...params, way.limit]);
        const messageOf = withContent ? appMessageOf : bareMessageOf;
        return walkedOf(
          rows.map((row) => ({ pair: pairOf(row), message: messageOf(row) })),
          walk,
        );
      }),

    async failedAt(environmentId, appId, endpointId, window, after, limit) {
      // A manual try is made long after the message, so the window says nothing about how old the messages are.
      // `|| ''` keeps the planner of SQLite from looking through all attempts at the endpoint for each message.
      const sql = `select ${SELECT_APP_MESSAGE_HEAD},
          case when exists (select 1 from endpoint_attempts as a
              where a.message_id = d.message_id and a.endpoint_id || '' = d.provider_id and a.outcome = 'failed'
                and a.id >= ? and a.id < ?)
            and not exists (select 1 from endpoint_attempts as a
              where a.message_id = d.message_id and a.endpoint_id || '' = d.provider_id and a.outcome = 'sent')
            and not exists (select 1 from deliveries as w
              where w.message_id = d.message_id and w.provider_id = d.provider_id and w.manual = 1
                and w.state = 'pending')
          then 1 else 0 end as chosen
        from deliveries as d cross join app_messages as m
        where d.provider_id = ? and d.env_id = ? and d.app_id = ? and ${UNSENT}
          and d.message_id > ? and d.message_id < ? and m.app_id = d.app_id and m.id = d.message_id
        order by d.message_id limit ?`;
      const [from, to] = [firstIdAt("att", window.from), firstIdAt("att", window.to)];
      return chosen(after ?? "", limit, sql, (last) => {
        // No attempt is older than its message, unless another machine's clock was behind.
        const end = firstIdAt("msg", window.to + CLOCK_SLACK_MS);
        return [from, to, endpointId, environmentId, appId, last, end, LOOKED_AT];
      });
    },

    async untriedAt(environmentId, appId, endpointId, window, after, limit) {
      const sql = `select ${SELECT_APP_MESSAGE_HEAD},
          case when exists (select 1 from deliveries as d where d.provider_id = ? and d.message_id = m.id
            and d.app_id = ? and ${TRIED}) then 0 else 1 end as chosen
        from app_messages as m where m.env_id = ? and m.app_id = ? and m.id > ? and m.id >= ? and m.id < ?
        order by m.id limit ?`;
      const [from, to] = [firstIdAt("msg", window.from), firstIdAt("msg", window.to)];
      return chosen(after ?? "", limit, sql, (last) => [
        ...[endpointId, appId, environmentId, appId, last, from, to, LOOKED_AT],
      ]);
    },

    async countPairs(environmentId, appId, from, to) {
      const sql = `select count(*) as messages, max(counted.id) as last, sum(counted.pairs) as pairs
        from (select m.id,
            (select count(*) from deliveries as d where d.message_id = m.id and d.app_id = m.app_id and d.manual = 0) as pairs
          from app_messages as m where m.env_id = ? and m.app_id = ? and m.id > ? and m.id < ?
          order by m.id limit ?) as counted`;
      let pairs = 0;
      // Ids of messages are longer than this, so that the first of the time is beyond it.
      await inSlices(firstIdAt("msg", from).slice(0, -1), async (last) => {
        const row = (await rowsOf(sql, [environmentId, appId, last, firstIdAt("msg", to), COUNTED_AT_ONCE]))[0] as Row;
        pairs += (row.pairs as number | null) ?? 0;
        return (row.messages as number) < COUNTED_AT_ONCE ? null : (row.last as string);
      });
      return pairs;
    },
  };

  function rowsOf(sql: string, params: readonly Value[]): Promise<readonly Row[]> {
    return db.read(function* () {
      return (yield text(dialect, sql, params)).rows;
    });
  }

  /** Looks at candidates slice by slice until `limit` are `chosen`. */
  async function chosen(
    first: string,
    limit: number,
    sql: string,
    paramsAfter: (last: string) => readonly Value[],
  ): Promise<readonly AppMessageHead[]> {
    const found: AppMessageHead[] = [];
    await inSlices(first, async (last) => {
      const rows = await rowsOf(sql, paramsAfter(last));
      for (const row of rows) if (row.chosen === 1 && found.length < limit) found.push(headOf(row));
      return rows.length < LOOKED_AT || found.length >= limit ? null : ((rows.at(-1) as Row).id as string);
    });
    return found;
  }
}

/** As in messages.ts: how far apart the clocks of two machines may be. */
const CLOCK_SLACK_MS: Millis = 3_600_000;
