/**
 * Lists of the deliveries that workflows made, of every channel. Two partial indexes carry them, so that deliveries which
 * no workflow made pay nothing: by id for the environment, and by user.
 */
import type { DeliveryId, EnvironmentId, MessageId } from "../engine/model.ts";
import type { DeliveryFilter, DeliverySignal, DeliveryStage, InboxPageQuery, MessageStore } from "../engine/ports.ts";
import { isUser, partyKey } from "../engine/workflow/model.ts";
import type { Database, Dialect, TextStatement, Value } from "./database.ts";
import { channelOf, pairsCondition, tenantsOf } from "./inbox-query.ts";
import { deliveryOf, SELECT_DELIVERY } from "./rows.ts";
import { among, pageOf, text, textList } from "./text.ts";

export function deliveryLists(db: Database): Pick<MessageStore, "deliveriesPage" | "signals"> {
  const { dialect } = db;
  return {
    deliveriesPage: (environmentId, filter, page) =>
      db.read(function* () {
        const { rows } = yield listStatement(dialect, environmentId, filter, page);
        const found = rows.map(deliveryOf);
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

/** Newest first; upwards the oldest first, so that the page is the one next to `before`. */
function listStatement(
  dialect: Dialect,
  environmentId: EnvironmentId,
  filter: DeliveryFilter,
  page: InboxPageQuery,
): TextStatement {
  const { recipient, ids, messageId, requestId, channelId, events, tags, stages, marks = [], data } = filter;
  const few = messageId !== undefined || requestId !== undefined || (recipient !== undefined && !isUser(recipient));
  const where = [few ? hidden("d.env_id = ?") : "d.env_id = ?", "d.origin is not null", "d.deleted_at is null"];
  const params: Value[] = [environmentId];
  const also = (condition: string, ...values: Value[]): void => {
    where.push(condition);
    params.push(...values);
  };
  if (page.after != null) also("d.id < ?", page.after);
  if (page.before != null) also("d.id > ?", page.before);
  if (recipient !== undefined && isUser(recipient)) also("d.user_id = ?", recipient.id);
  else if (recipient !== undefined) {
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
  if (channelId !== undefined) also(`${channelOf(dialect)} = ?`, channelId);
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
  const order = goesUp(page) ? "asc" : "desc";
  const sql = `select ${SELECT_DELIVERY} from deliveries as d where ${where.join(" and ")}${tenants.sql}${pairs.sql}
    order by ${few ? hidden("d.id") : "d.id"} ${order} limit ?`;
  return text(dialect, sql, [...params, ...tenants.params, ...pairs.params, page.limit + 1]);
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
