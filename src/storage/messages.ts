/** Reading messages and what became of them. */
import type { EnvironmentId, MessageId, RequestId } from "../engine/model.ts";
import type { MessageFilter, MessageStore, PageQuery } from "../engine/ports.ts";
import { firstIdAt, timeOf } from "../lib/ids.ts";
import type { Database, Dialect, TextStatement, Value } from "./database.ts";
import { deliveryLists } from "./delivery-lists.ts";
import { CLOCK_SLACK_MS } from "./newest-first.ts";
import { readRequest } from "./requests.ts";
import {
  ATTEMPT_COLUMNS,
  attemptOf,
  deliveryOf,
  EVENT_COLUMNS,
  eventOf,
  messageOf,
  SELECT_DELIVERY,
  SELECT_MESSAGE,
} from "./rows.ts";
import { tenantColumn } from "./schema.ts";
import { among, pageOf, text, textList } from "./text.ts";

const HISTORY_LIMIT = 1000;

export function messageStore(db: Database): MessageStore {
  const { dialect } = db;

  return {
    list: (environmentId, filter, page) =>
      db.read(function* () {
        const { rows } = yield listStatement(dialect, environmentId, filter, page);
        return pageOf(rows.map(messageOf), page.limit, (message) => message.id);
      }),

    read: (environmentId, id) =>
      db.read(function* () {
        const sql = `select ${SELECT_MESSAGE} from messages as m where env_id = ? and id = ?`;
        const found = (yield text(dialect, sql, [environmentId, id])).rows[0];
        if (found === undefined) return null;
        const message = messageOf(found);
        const request = yield* readRequest(db, environmentId, message.requestId);
        if (request === null) throw new Error(`message ${id} has lost its request`);
        const deliveries = yield deliveriesOf(dialect, environmentId, id, "asc");
        const attempts = yield historyOf(dialect, "attempts", ATTEMPT_COLUMNS, environmentId, id);
        const events = yield historyOf(dialect, "message_events", EVENT_COLUMNS, environmentId, id);
        return {
          message,
          request,
          deliveries: deliveries.rows.map(deliveryOf),
          attempts: attempts.rows.map(attemptOf),
          events: events.rows.map(eventOf),
        };
      }),

    findByUser: (environmentId, requestId, userId) =>
      db.read(function* () {
        // A message is never older than its request, which makes this the beginning of a range and not all the user has.
        const from = firstIdAt("msg", timeOf(requestId) - CLOCK_SLACK_MS);
        const { rows } = yield text(
          dialect,
          `select id from messages
           where env_id = ? and recipient = ? and id >= ? and request_id = ? and user_id = ? order by id limit 1`,
          [environmentId, userId, from, requestId, userId],
        );
        return (rows[0]?.id as MessageId | undefined) ?? null;
      }),

    reached: (environmentId, requestId, recipients) =>
      db.read(function* () {
        if (recipients.length === 0) return new Set<string>();
        const from = firstIdAt("msg", timeOf(requestId) - CLOCK_SLACK_MS);
        const { rows } = yield text(
          dialect,
          `select distinct recipient from messages
           where env_id = ? and ${among(dialect, "recipient")} and id >= ? and request_id = ?`,
          [environmentId, textList(dialect, recipients), from, requestId],
        );
        return new Set(rows.map((row) => row.recipient as string));
      }),

    readRequest: (environmentId, id) => db.read(() => readRequest(db, environmentId, id)),

    archiveRequest: (environmentId, id, at) =>
      db.write(function* () {
        const sql = "update requests set archived_at = coalesce(archived_at, ?) where env_id = ? and id = ?";
        const { changes } = yield { ...text(dialect, sql, [at, environmentId, id]), only: true };
        return changes > 0;
      }),

    readDelivery: (environmentId, id) =>
      db.read(function* () {
        const sql = `select ${SELECT_DELIVERY} from deliveries as d where id = ? and env_id = ?`;
        const { rows } = yield text(dialect, sql, [id, environmentId]);
        return rows[0] === undefined ? null : deliveryOf(rows[0]);
      }),

    readDeliveries: (environmentId, ids) =>
      db.read(function* () {
        const sql = `select ${SELECT_DELIVERY} from deliveries as d where ${among(dialect, "id")} and env_id = ?
          order by id desc`;
        const { rows } = yield text(dialect, sql, [textList(dialect, ids), environmentId]);
        return rows.map(deliveryOf);
      }),

    readMessages: (environmentId, ids) =>
      db.read(function* () {
        const sql = `select ${SELECT_MESSAGE} from messages as m where ${among(dialect, "id")} and env_id = ?
          order by id desc`;
        const { rows } = yield text(dialect, sql, [textList(dialect, ids), environmentId]);
        return rows.map(messageOf);
      }),

    listDeliveries: (environmentId, messageId) =>
      db.read(function* () {
        const { rows } = yield deliveriesOf(dialect, environmentId, messageId, "desc");
        return rows.map(deliveryOf);
      }),

    ...deliveryLists(db),
  };
}

function deliveriesOf(
  dialect: Dialect,
  environmentId: EnvironmentId,
  messageId: MessageId,
  order: "asc" | "desc",
): TextStatement {
  const sql = `select ${SELECT_DELIVERY} from deliveries as d where message_id = ? and env_id = ? order by id ${order}`;
  return text(dialect, sql, [messageId, environmentId]);
}

function historyOf(
  dialect: Dialect,
  table: "attempts" | "message_events",
  columns: readonly string[],
  environmentId: EnvironmentId,
  messageId: MessageId,
): TextStatement {
  const sql = `select ${columns.join(", ")} from ${table} where message_id = ? and env_id = ? order by id limit ?`;
  return text(dialect, sql, [messageId, environmentId, HISTORY_LIMIT]);
}

/** Newest first. Which index leads is left to the planner: every one of them ends in the id. */
function listStatement(
  dialect: Dialect,
  environmentId: EnvironmentId,
  filter: MessageFilter,
  page: PageQuery,
): TextStatement {
  const where: string[] = ["m.env_id = ?", "m.to_endpoints = 0"];
  const params: Value[] = [environmentId];
  const also = (condition: string, ...values: Value[]): void => {
    where.push(condition);
    params.push(...values);
  };

  // A single tag leads: its messages lie in order. Of several, the first to be found under each is kept.
  const byTag = filter.tags?.length === 1;
  const from = byTag
    ? "message_tags as t join messages as m on m.env_id = t.env_id and m.id = t.message_id"
    : "messages as m";
  const id = byTag ? "t.message_id" : "m.id";
  if (byTag) also("t.env_id = ? and t.tag = ?", environmentId, filter.tags?.[0] as string);
  for (const tags of [byTag ? undefined : filter.tags, filter.moreTags]) {
    if (tags === undefined) continue;
    const tagged = `select o.message_id from message_tags as o where o.env_id = ? and ${among(dialect, "o.tag")}`;
    also(`m.id in (${tagged})`, environmentId, textList(dialect, tags));
  }

  if (page.after !== undefined && page.after !== null) also(`${id} < ?`, page.after);
  if (filter.createdAfter !== undefined) {
    also(
      `m.created_at > ? and ${id} >= ?`,
      filter.createdAfter,
      firstIdAt("msg", filter.createdAfter - CLOCK_SLACK_MS),
    );
  }
  for (const [column, value] of columnsAsked(filter)) also(`m.${column} = ?`, value);
  if (filter.trace !== undefined) also(...traceCondition(filter.trace));
  if (filter.states !== undefined) also(among(dialect, "m.state"), textList(dialect, filter.states));
  if (filter.providers !== undefined) {
    also(
      `exists (select 1 from deliveries as d
        where d.message_id = m.id and d.env_id = m.env_id and ${among(dialect, "d.provider")})`,
      textList(dialect, filter.providers),
    );
  }
  if (filter.archived !== true) {
    also(`not exists (select 1 from requests as r
        where r.env_id = m.env_id and r.id = m.request_id and r.archived_at is not null)`);
  }
  const sql = `select ${SELECT_MESSAGE} from ${from} where ${where.join(" and ")} order by ${id} desc limit ?`;
  return text(dialect, sql, [...params, page.limit + 1]);
}

function columnsAsked(filter: MessageFilter): [string, string][] {
  const asked: [string, string | undefined][] = [
    ["id", filter.id],
    ["request_id", filter.requestId],
    ["event", filter.event],
    ["list_id", filter.listId],
    ["template_id", filter.templateId],
    ["recipient", filter.recipient],
    ["tenant_id", filter.tenantId === undefined ? undefined : tenantColumn(filter.tenantId)],
  ];
  return asked.filter((pair): pair is [string, string] => pair[1] !== undefined);
}

function traceCondition(trace: {
  readonly traceId: string;
  readonly requestId: RequestId | null;
}): [string, ...Value[]] {
  if (trace.requestId === null) return ["m.trace_id = ?", trace.traceId];
  return ["(m.trace_id = ? or m.request_id = ?)", trace.traceId, trace.requestId];
}
