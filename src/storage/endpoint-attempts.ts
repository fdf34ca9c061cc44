/** What was tried at applications' endpoints: lists of it, and counts. Attempts are written by settling. */
import type { EnvironmentId } from "../engine/model.ts";
import type { AppEndpointId, AppId } from "../engine/webhooks/model.ts";
import type { AppMessageStore, AttemptCounts, EndpointAttemptFilter } from "../engine/webhooks/ports.ts";
import type { Millis } from "../lib/clock.ts";
import { firstIdAt } from "../lib/ids.ts";
import { type Conditions, rangeConditions, wordConditions } from "./app-messages.ts";
import { type Database, type Dialect, only, type Row, run, type Value } from "./database.ts";
import { inSlices } from "./slices.ts";
import { among, text, textList } from "./text.ts";
import { walkedOf, walking } from "./walk.ts";
import { endpointAttemptOf, SELECT_ENDPOINT_ATTEMPT } from "./webhook-rows.ts";

type AttemptMethods = Pick<
  AppMessageStore,
  "listAttempts" | "readAttempt" | "expungeAttempt" | "countAttempts" | "attemptCounts" | "attemptCountsByType"
>;

/** Entries of an index counted at a stretch: some 10 ms. */
const COUNTED_AT_ONCE = 100_000;

/**
 * Whose an endpoint's attempts are is seen from any one of them. Asking every row would mean to read every row, where
 * all else that is to be counted stands in the index.
 */
function ownedBy(column: "endpoint_id" | "app_id"): string {
  return `exists (select 1 from
    (select o.env_id, o.app_id from endpoint_attempts as o where o.${column} = ? limit 1) as owner
    where owner.env_id = ? and owner.app_id = ?)`;
}

export function endpointAttemptStore(db: Database): AttemptMethods {
  const { dialect } = db;

  return {
    listAttempts: (environmentId, appId, filter, walk) =>
      db.read(function* () {
        const way = walking(walk, "a.id");
        const { where, params } = conditionsOf(dialect, filter);
        const sql = `select ${SELECT_ENDPOINT_ATTEMPT} from endpoint_attempts as a
          where ${["a.env_id = ?", "a.app_id = ?", ...way.where, ...where].join(" and ")}
          order by ${way.orderBy} limit ?`;
        const { rows } = yield text(dialect, sql, [environmentId, appId, ...way.params, ...params, way.limit]);
        return walkedOf(rows.map(endpointAttemptOf), walk);
      }),

    readAttempt: (environmentId, appId, id) =>
      db.read(function* () {
        const sql = `select ${SELECT_ENDPOINT_ATTEMPT} from endpoint_attempts as a
          where a.app_id = ? and a.id = ? and a.env_id = ?`;
        const { rows } = yield text(dialect, sql, [appId, id, environmentId]);
        return rows[0] === undefined ? null : endpointAttemptOf(rows[0]);
      }),

    expungeAttempt: (environmentId, appId, id) =>
      db.write(function* () {
        const sql = "update endpoint_attempts set response = null where app_id = ? and id = ? and env_id = ?";
        return (yield* run(only(text(dialect, sql, [appId, id, environmentId])))).changes > 0;
      }),

    countAttempts: (environmentId, appId, filter, most) =>
      db.read(function* () {
        const { where, params } = conditionsOf(dialect, filter);
        const { endpointId, messageId } = filter;
        const byEndpoint = endpointId !== undefined && messageId === undefined;
        const owner = byEndpoint ? [ownedBy("endpoint_id")] : ["a.env_id = ?", "a.app_id = ?"];
        const sql = `select count(*) as n from (select 1 from endpoint_attempts as a
          where ${[...where, ...owner].join(" and ")} limit ?) as counted`;
        const asked = byEndpoint ? [endpointId, environmentId, appId] : [environmentId, appId];
        const { rows } = yield text(dialect, sql, [...params, ...asked, most + 1]);
        const n = rows[0]?.n as number;
        return { count: Math.min(n, most), exact: n <= most };
      }),

    async attemptCounts(environmentId, appId, endpointId, from, to) {
      const counts = new Map<string, AttemptCounts>();
      const sql = `select '' as event_type, counted.outcome, count(*) as n, max(counted.id) as last
        from (select a.id, a.outcome from endpoint_attempts as a
          where a.endpoint_id = ? and a.id > ? and a.id < ? and ${ownedBy("endpoint_id")}
          order by a.id limit ?) as counted
        group by counted.outcome`;
      await countAll(counts, sql, endpointId, environmentId, appId, from, to, []);
      return counts.get("") ?? NONE;
    },

    async attemptCountsByType(environmentId, appId, from, to, eventTypes) {
      const counts = new Map<string, AttemptCounts>();
      const ofTypes = eventTypes === null ? "" : `and ${among(dialect, "a.event_type")}`;
      const sql = `select counted.event_type, counted.outcome, count(*) as n, max(counted.id) as last
        from (select a.id, a.event_type, a.outcome from endpoint_attempts as a
          where a.app_id = ? and a.id > ? and a.id < ? and ${ownedBy("app_id")} ${ofTypes}
          order by a.id limit ?) as counted
        group by counted.event_type, counted.outcome`;
      const params = eventTypes === null ? [] : [textList(dialect, eventTypes)];
      await countAll(counts, sql, appId, environmentId, appId, from, to, params);
      return counts;
    },
  };

  /** Adds up what such a statement counts slice by slice. */
  function countAll(
    counts: Map<string, AttemptCounts>,
    sql: string,
    of: AppEndpointId | AppId,
    environmentId: EnvironmentId,
    appId: AppId,
    from: Millis,
    to: Millis,
    more: readonly Value[],
  ): Promise<void> {
    const end = firstIdAt("att", to);
    // Ids of attempts are longer than this, so that the first of the time is beyond it.
    return inSlices(firstIdAt("att", from).slice(0, -1), async (after) => {
      const params = [of, after, end, of, environmentId, appId, ...more, COUNTED_AT_ONCE];
      const rows = await db.read(function* () {
        return (yield text(dialect, sql, params)).rows;
      });
      return addUp(counts, rows);
    });
  }
}

const NONE: AttemptCounts = { sent: 0, failed: 0, canceled: 0 };

/** @returns the last id counted; null when that was the last slice. */
function addUp(counts: Map<string, AttemptCounts>, rows: readonly Row[]): string | null {
  let total = 0;
  let last = "";
  for (const row of rows) {
    const type = row.event_type as string;
    const known = counts.get(type) ?? NONE;
    const outcome = row.outcome as keyof AttemptCounts;
    counts.set(type, { ...known, [outcome]: known[outcome] + (row.n as number) });
    total += row.n as number;
    if ((row.last as string) > last) last = row.last as string;
  }
  return total < COUNTED_AT_ONCE ? null : last;
}

function conditionsOf(dialect: Dialect, filter: EndpointAttemptFilter): Conditions {
  const where: string[] = [];
  const params: Value[] = [];
  const also = (condition: string, ...values: Value[]): void => {
    where.push(condition);
    params.push(...values);
  };
  const { endpointId, messageId, outcomes, statusCodeClass } = filter;
  if (messageId !== undefined) also("a.message_id = ?", messageId);
  // A message has few attempts: of both, it is to be looked up by the message, which the planners cannot know.
  if (endpointId !== undefined)
    also(messageId === undefined ? "a.endpoint_id = ?" : "a.endpoint_id || '' = ?", endpointId);
  if (outcomes?.length === 1) also(`a.outcome = '${outcomes[0]}'`);
  else if (outcomes !== undefined) also(among(dialect, "a.outcome"), textList(dialect, outcomes));
  if (statusCodeClass !== undefined) {
    also("a.status_code >= ? and a.status_code < ?", statusCodeClass, statusCodeClass + 100);
  }
  const range = rangeConditions(dialect, filter, { id: "a.id", prefix: "att", eventType: "a.event_type" });
  also(range.where.join(" and ") || "1 = 1", ...range.params);
  const words = wordConditions(dialect, filter);
  if (words.where.length > 0) {
    also(
      `exists (select 1 from app_messages as m
        where m.app_id = a.app_id and m.id = a.message_id and ${words.where.join(" and ")})`,
      ...words.params,
    );
  }
  return { where, params };
}
