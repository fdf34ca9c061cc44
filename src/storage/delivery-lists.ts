/**
 * Lists of the deliveries that workflows made, of every channel. Those of the environment lie in an index of their own. Of
 * a user, what lies in the inbox is found there, pile by pile (inbox-counts.ts), and only the rest has an index, so that
 * an item pays for one index and not for two.
 */
import type { DeliveryId, EnvironmentId, MessageId } from "../engine/model.ts";
import type { DeliveryFilter, DeliverySignal, DeliveryStage, InboxPageQuery, MessageStore } from "../engine/ports.ts";
import { isUser, partyKey } from "../engine/workflow/model.ts";
import { firstIdAt } from "../lib/ids.ts";
import type { Database, Dialect, Operation, Row, TextStatement, Value } from "./database.ts";
import { type Condition, channelOf, pairsCondition, tenantsOf } from "./inbox-query.ts";
import { mergedIds, type Range } from "./merged-ranges.ts";
import { CLOCK_SLACK_MS } from "./newest-first.ts";
import { deliveryOf, SELECT_DELIVERY } from "./rows.ts";
import { among, pageOf, text, textList } from "./text.ts";

export function deliveryLists(db: Database): Pick<MessageStore, "deliveriesPage" | "signals"> {
  const { dialect } = db;
  return {
    deliveriesPage: (environmentId, filter, page) =>
      db.read(function* () {
        const found = (yield* listed(dialect, environmentId, filter, page)).map(deliveryOf);
        if (!goesUp(page)) return pageOf(found, page.limit, ({ id }) => id);
        const items = found.slice(0, page.limit).reverse();
        return { items, next: found.length > page.limit ? (items[0]?.id ?? null) : null };
      }),

    signals: (environmentId, messageIds) =>
      db.read(function* () {
        if (messageIds.length === 0) return [];
        const { rows } = yield signalsStatement(dialect, environmentId, messageIds);
        return rows.map((row) => ({
          deliveryId: row.delivery_id as DeliveryId,
          kind: row.kind === "clicked" ? "link-clicked" : (row.kind as DeliverySignal["kind"]),
          at: row.at as number,
        }));
      }),
  };
}

function goesUp({ after = null, before = null }: InboxPageQuery): boolean {
  return before !== null && after === null;
}

/** Newest first; upwards the oldest first, so that the page is the one next to `before`. One more than the page has. */
function* listed(
  dialect: Dialect,
  environmentId: EnvironmentId,
  filter: DeliveryFilter,
  page: InboxPageQuery,
): Operation<readonly Row[]> {
  const { recipient, messageId, requestId } = filter;
  const order = goesUp(page) ? "asc" : "desc";
  const limit = page.limit + 1;
  const bounds = boundsOf(filter, page);
  const which = conditionsOf(dialect, environmentId, filter);
  if (messageId !== undefined || requestId !== undefined || (recipient !== undefined && !isUser(recipient))) {
    const inBounds = withinBounds(bounds);
    const sql = `select ${SELECT_DELIVERY} from deliveries as d where ${hidden("d.env_id = ?")}${inBounds.sql}${which.sql}
      order by ${hidden("d.id")} ${order} limit ?`;
    return (yield text(dialect, sql, [environmentId, ...inBounds.params, ...which.params, limit])).rows;
  }
  if (recipient !== undefined) {
    const ids = yield* idsOfUser(
      dialect,
      environmentId,
      recipient.id,
      filter,
      withinBounds(bounds),
      which,
      order,
      limit,
    );
    if (ids.length === 0) return [];
    const sql = `select ${SELECT_DELIVERY} from deliveries as d where ${among(dialect, "d.id")} and d.env_id = ?
      order by d.id ${order}`;
    return (yield text(dialect, sql, [textList(dialect, ids), environmentId])).rows;
  }
  if (dialect === "sqlite") {
    const inBounds = withinBounds(bounds);
    const sql = `select ${SELECT_DELIVERY} from deliveries as d where d.env_id = ?${inBounds.sql}${which.sql}
      order by d.id ${order} limit ?`;
    return (yield text(dialect, sql, [environmentId, ...inBounds.params, ...which.params, limit])).rows;
  }
  // Postgres takes deliveries of workflows to be as many in every environment, and would walk all deliveries of all of them
  // by their ids: of 300,000 it looked at 156,000 to find 51. Spelled so, only the index of the environment has the order.
  const sql = `select ${SELECT_DELIVERY} from deliveries as d where (d.env_id, d.id) > (?, ?) and (d.env_id, d.id) < (?, ?)${which.sql}
    order by d.env_id ${order}, d.id ${order} limit ?`;
  const { above = "", below = AFTER_ALL } = bounds;
  return (yield text(dialect, sql, [environmentId, above, environmentId, below, ...which.params, limit])).rows;
}

/** Between which ids the page is. */
interface Bounds {
  readonly above?: string;
  readonly below?: string;
}

/** Sorts after every delivery id. */
const AFTER_ALL = "~";

/** What steps make is made when its id is; see `CLOCK_SLACK_MS` all the same. The exact times are compared as well. */
function boundsOf({ from, until }: DeliveryFilter, { after, before }: InboxPageQuery): Bounds {
  const above = [before ?? "", from === undefined ? "" : firstIdAt("dlv", from - CLOCK_SLACK_MS)].sort()[1];
  const below = [
    after ?? AFTER_ALL,
    until === undefined ? AFTER_ALL : firstIdAt("dlv", until + CLOCK_SLACK_MS),
  ].sort()[0];
  return { ...(above === "" ? {} : { above }), ...(below === AFTER_ALL ? {} : { below }) };
}

function withinBounds({ above, below }: Bounds): Condition {
  return {
    sql: `${below === undefined ? "" : " and d.id < ?"}${above === undefined ? "" : " and d.id > ?"}`,
    params: [below, above].filter((id) => id !== undefined),
  };
}

function* idsOfUser(
  dialect: Dialect,
  environmentId: EnvironmentId,
  userId: string,
  filter: DeliveryFilter,
  inBounds: Condition,
  which: Condition,
  order: "asc" | "desc",
  limit: number,
): Operation<readonly string[]> {
  const tenants = tenantsOf(dialect, filter);
  const { rows: piles } = yield text(
    dialect,
    `select tenant_id, bucket from inbox_counts where env_id = ? and user_id = ? and n > 0${tenants.sql}`,
    [environmentId, userId, ...tenants.params],
  );
  const range = (place: string, ...params: readonly Value[]): Range => ({
    sql: `select d.id from deliveries as d where d.env_id = ? and d.user_id = ? and ${place}${inBounds.sql}${which.sql}
      order by d.id ${order} limit ?`,
    params: [environmentId, userId, ...params, ...inBounds.params, ...which.params, limit],
  });
  const ranges = piles.map(({ tenant_id, bucket }) =>
    range("d.tenant_id = ? and d.bucket = ?", tenant_id as string, bucket as number),
  );
  return yield* mergedIds(dialect, [range("d.bucket is null"), ...ranges], order, limit);
}

/** Which of the deliveries that workflows made. Begins with ` and`. */
function conditionsOf(dialect: Dialect, environmentId: EnvironmentId, filter: DeliveryFilter): Condition {
  const { recipient, ids, messageId, requestId, channelId, events, tags, stages, marks = [], data } = filter;
  const where = ["d.origin is not null", "d.deleted_at is null"];
  const params: Value[] = [];
  const also = (condition: string, ...values: Value[]): void => {
    where.push(condition);
    params.push(...values);
  };
  if (recipient !== undefined && !isUser(recipient)) {
    also(
      "d.message_id in (select m.id from messages as m where m.env_id = ? and m.recipient = ?)",
      environmentId,
      partyKey(recipient),
    );
  }
  if (ids !== undefined) also(among(dialect, "d.id"), textList(dialect, ids));
  if (messageId !== undefined) also("d.message_id = ?", messageId);
  if (requestId !== undefined) {
    also(
      "d.message_id in (select m.id from messages as m where m.request_id = ?) and d.request_id = ?",
      requestId,
      requestId,
    );
  }
  // Postgres expects a plain comparison to hold for one in 200, and would sort them all; of this it expects one in two.
  if (channelId !== undefined) also(`case when ${channelOf(dialect)} = ? then true else false end`, channelId);
  if (events !== undefined) {
    also(
      `exists (select 1 from messages as m
        where m.id = d.message_id and m.env_id = d.env_id and ${among(dialect, "m.event")})`,
      textList(dialect, events),
    );
  }
  if (tags !== undefined) {
    // Only inbox items repeat the tags of their message.
    also(
      `exists (select 1 from message_tags as t
        where t.env_id = d.env_id and ${among(dialect, "t.tag")} and t.message_id = d.message_id)`,
      textList(dialect, tags),
    );
  }
  if (stages !== undefined) {
    also(stages.length === 0 ? "1 = 0" : `(${stages.map((stage) => IN_STAGE[stage]).join(" or ")})`);
  }
  for (const { field, value } of marks) also(`d.${field}_at is ${value ? "not null" : "null"}`);
  if (filter.linkClicked === true) also(heard(LINK_CLICKED));
  if (filter.from !== undefined) also("d.created_at >= ?", filter.from);
  if (filter.until !== undefined) also("d.created_at < ?", filter.until);
  const tenants = tenantsOf(dialect, filter);
  const pairs = pairsCondition(dialect, data ?? {});
  return {
    sql: ` and ${where.join(" and ")}${tenants.sql}${pairs.sql}`,
    params: [...params, ...tenants.params, ...pairs.params],
  };
}

/**
 * The deliveries of a few messages are found by their messages. SQLite would read the environment's index instead, all of
 * it, because that is in order already: what it must not use stands where no index is seen.
 */
function hidden(expression: string): string {
  return expression.replace(/^(\S+)/, "$1 || ''");
}

/** What a tracked link keeps of a click; other clicks have no address. */
const LINK_CLICKED = `e.kind = 'clicked' and e.data like '%"href":%'`;
const BOUNCED = heard("e.kind = 'bounced'");
/** A webhook's answer is its receipt. */
const CONFIRMED = `(d.channel = 'webhook' or ${heard("e.kind = 'delivered'")})`;

const IN_STAGE: { readonly [stage in DeliveryStage]: string } = {
  waiting: "(d.state = 'pending' and d.attempts = 0)",
  tried: "(d.state = 'pending' and d.attempts > 0)",
  sent: `(d.state = 'sent' and not ${BOUNCED} and not ${CONFIRMED})`,
  delivered: `(not ${BOUNCED} and (d.state = 'delivered' or (d.state = 'sent' and ${CONFIRMED})))`,
  failed: `(d.state = 'failed' and not ${BOUNCED})`,
  bounced: `(d.state in ('sent', 'delivered', 'failed') and ${BOUNCED})`,
  withheld: "d.state in ('canceled', 'simulated')",
};

function heard(condition: string): string {
  return `exists (select 1 from message_events as e
    where e.message_id = d.message_id and e.env_id = d.env_id and e.delivery_id = d.id and ${condition})`;
}

function signalsStatement(
  dialect: Dialect,
  environmentId: EnvironmentId,
  messageIds: readonly MessageId[],
): TextStatement {
  const sql = `select e.delivery_id, e.kind, max(e.happened_at) as at from message_events as e
    where ${among(dialect, "e.message_id")} and e.env_id = ? and e.delivery_id is not null
      and (e.kind in ('delivered', 'bounced') or (${LINK_CLICKED}))
    group by e.delivery_id, e.kind`;
  return text(dialect, sql, [textList(dialect, messageIds), environmentId]);
}
