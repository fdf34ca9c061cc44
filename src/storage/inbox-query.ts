/**
 * Finding items of an inbox. A filter picks buckets; each bucket of each tenant is one range of the index
 * (env_id, user_id, tenant_id, bucket, id), read from its newest end. The newest of all ranges together are the page, so
 * that a first page costs the same whether the user has ten items or a million.
 */
import type { Delivery, EnvironmentId } from "../engine/model.ts";
import type { InboxFilter } from "../engine/ports.ts";
import type { Millis } from "../lib/clock.ts";
import { COMPARED_CHARS, hasPairs, type Pairs } from "../lib/json.ts";
import type { Dialect, Operation, Value } from "./database.ts";
import { bucketOf, bucketsOf } from "./inbox-counts.ts";
import { mergedIds } from "./merged-ranges.ts";
import { tenantColumn } from "./schema.ts";
import { among, text, textList } from "./text.ts";

/** Sorts after every delivery id. */
const AFTER_ALL = "~";
/** JSON text that Postgres can look into: it has no NUL characters, and no halves of characters. */
const READABLE_DATA = readable("d.data");

function readable(column: string): string {
  return String.raw`regexp_replace(${column}, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g')::jsonb`;
}

interface Pile {
  readonly tenant: string;
  readonly bucket: number;
}

/** The piles that may hold what the filter lets through. */
export function* pilesOf(
  dialect: Dialect,
  environmentId: EnvironmentId,
  filter: InboxFilter,
): Operation<readonly Pile[]> {
  const buckets = bucketsOf(filter);
  if (filter.tenantId !== undefined) {
    const tenant = tenantColumn(filter.tenantId);
    return buckets.map((bucket) => ({ tenant, bucket }));
  }
  const tenants = tenantsOf(dialect, filter);
  const { rows } = yield text(
    dialect,
    `select tenant_id, bucket from inbox_counts
     where env_id = ? and user_id = ? and bucket in (${buckets.join(", ")}) and n > 0${tenants.sql}`,
    [environmentId, filter.userId, ...tenants.params],
  );
  return rows.map((row) => ({ tenant: row.tenant_id as string, bucket: row.bucket as number }));
}

export interface Condition {
  /** Empty, or beginning with ` and`. */
  readonly sql: string;
  readonly params: readonly Value[];
}

type TenantFilter = Pick<InboxFilter, "tenantId" | "tenantIds" | "hasTenant">;

/** Whose items by tenant. */
export function tenantsOf(dialect: Dialect, { tenantId, tenantIds, hasTenant }: TenantFilter): Condition {
  let sql = "";
  const params: Value[] = [];
  if (tenantId !== undefined) {
    sql += " and tenant_id = ?";
    params.push(tenantColumn(tenantId));
  }
  if (tenantIds !== undefined) {
    sql += ` and ${among(dialect, "tenant_id")}`;
    params.push(textList(dialect, tenantIds.map(tenantColumn)));
  }
  if (hasTenant === true) sql += " and tenant_id <> ''";
  return { sql, params };
}

/** Whether only the items themselves know the answer, and not the piles on which they lie. */
export function looksAtItems(filter: InboxFilter): boolean {
  return (
    filter.tags !== undefined ||
    filter.events !== undefined ||
    filter.data !== undefined ||
    filter.channelIds !== undefined ||
    filter.via !== undefined ||
    filter.interacted !== undefined ||
    filter.from !== undefined ||
    filter.until !== undefined
  );
}

/** What the buckets do not say. Starts with ` and`; the table is `d`. */
export function conditionsOf(dialect: Dialect, filter: InboxFilter, now: Millis): Condition {
  let sql = " and (d.expires_at is null or d.expires_at > ?)";
  const params: Value[] = [now];
  if (filter.from !== undefined) {
    sql += " and d.created_at >= ?";
    params.push(filter.from);
  }
  if (filter.until !== undefined) {
    sql += " and d.created_at < ?";
    params.push(filter.until);
  }
  if (filter.via !== undefined) {
    sql += " and d.via = ?";
    params.push(filter.via);
  }
  if (filter.interacted !== undefined) sql += ` and d.interacted_at is ${filter.interacted ? "not null" : "null"}`;
  if (filter.tags !== undefined) {
    sql += ` and ${tagged(dialect)}`;
    params.push(textList(dialect, filter.tags));
  }
  if (filter.events !== undefined) {
    sql += ` and exists (select 1 from messages as m
      where m.id = d.message_id and m.env_id = d.env_id and ${among(dialect, "m.event")})`;
    params.push(textList(dialect, filter.events));
  }
  if (filter.channelIds !== undefined) {
    const own = `${channelOf(dialect)} ${dialect === "sqlite" ? "in (select value from json_each(?))" : "= any(?::text[])"}`;
    sql += filter.channelIds.includes(null) ? ` and (d.origin is null or ${own})` : ` and ${own}`;
    params.push(
      textList(
        dialect,
        filter.channelIds.filter((id) => id !== null),
      ),
    );
  }
  const pairs = pairsCondition(dialect, filter.data ?? {});
  return { sql: sql + pairs.sql, params: [...params, ...pairs.params] };
}

/** That an item has any of some tags; its parameter is a `textList`. */
function tagged(dialect: Dialect): string {
  return dialect === "sqlite"
    ? "exists (select 1 from json_each(d.tags) as t where t.value in (select value from json_each(?)))"
    : "jsonb_exists_any(d.tags::jsonb, ?::text[])";
}

/** The channel of a workflow that a delivery went through; null for what no workflow sent. */
export function channelOf(dialect: Dialect): string {
  return dialect === "sqlite" ? "(d.origin ->> '$.channelId')" : `(${readable("d.origin")} ->> 'channelId')`;
}

/** That a delivery's data has each of the pairs, as `hasPairs` compares. Empty, or beginning with ` and`. */
export function pairsCondition(dialect: Dialect, pairs: Pairs): Condition {
  const conditions = Object.entries(pairs).map(dialect === "sqlite" ? pairOnSqlite : pairOnPostgres);
  return { sql: conditions.map(({ sql }) => sql).join(""), params: conditions.flatMap(({ params }) => params) };
}

function pairOnSqlite([key, value]: [string, Pairs[string]]): Condition {
  const pair = (equal: string, ...params: Value[]): Condition => ({
    sql: ` and exists (select 1 from json_each(d.data) as t where t.key = ? and ${equal})`,
    params: [key, ...params],
  });
  switch (typeof value) {
    case "string":
      return pair(`t.type = 'text' and substr(t.atom, 1, ${COMPARED_CHARS}) = ?`, value);
    case "number":
      return pair("t.type in ('integer', 'real') and t.atom = ?", value);
    default:
      return pair("t.type = ?", String(value));
  }
}

function pairOnPostgres([key, value]: [string, Pairs[string]]): Condition {
  if (typeof value !== "string") {
    return {
      sql: ` and ${READABLE_DATA} -> ?::text = ?::jsonb`,
      params: [key, JSON.stringify(value)],
    };
  }
  return {
    sql: ` and jsonb_typeof(${READABLE_DATA} -> ?::text) = 'string'
      and left(${READABLE_DATA} ->> ?::text, ${COMPARED_CHARS}) = ?`,
    params: [key, key, value],
  };
}

/** The same question about one item in hand, but for the message's event, which never changes. */
export function matches(item: Delivery, filter: InboxFilter, now: Millis): boolean {
  const bucket = bucketOf(item);
  return (
    bucket !== null &&
    item.userId === filter.userId &&
    (filter.tenantId === undefined || filter.tenantId === item.tenantId) &&
    (filter.tenantIds === undefined || filter.tenantIds.includes(item.tenantId)) &&
    (filter.hasTenant === undefined || item.tenantId !== null) &&
    bucketsOf(filter).includes(bucket) &&
    (item.expiresAt === null || item.expiresAt > now) &&
    (filter.from === undefined || item.createdAt >= filter.from) &&
    (filter.until === undefined || item.createdAt < filter.until) &&
    (filter.interacted === undefined || filter.interacted === (item.interactedAt !== null)) &&
    (filter.data === undefined || hasPairs(item.data, filter.data)) &&
    (filter.via === undefined || filter.via === item.via) &&
    (filter.channelIds === undefined || filter.channelIds.includes(item.origin?.channelId ?? null)) &&
    (filter.tags === undefined || filter.tags.some((tag) => item.tags.includes(tag)))
  );
}

/** From which ids on; null for no bound. */
export interface IdRange {
  readonly after: string | null;
  readonly before?: string | null;
}

/**
 * Ids of the newest items that match, beginning after `after`; with `before` alone, those that follow it, the oldest
 * of them first.
 */
export function* idsOf(
  dialect: Dialect,
  environmentId: EnvironmentId,
  filter: InboxFilter,
  now: Millis,
  { after, before = null }: IdRange,
  limit: number,
): Operation<readonly string[]> {
  if (filter.tags?.length === 0 || filter.events?.length === 0 || filter.tenantIds?.length === 0) return [];
  if (filter.channelIds?.length === 0) return [];
  const piles = yield* pilesOf(dialect, environmentId, filter);
  const conditions = conditionsOf(dialect, filter, now);
  const upwards = before !== null && after === null;
  const order = upwards ? "asc" : "desc";
  const bounds = upwards ? [before] : before === null ? [after ?? AFTER_ALL] : [after as string, before];
  const bounded = upwards ? "d.id > ?" : before === null ? "d.id < ?" : "d.id < ? and d.id > ?";
  const sql = `select d.id from deliveries as d
    where d.env_id = ? and d.user_id = ? and d.tenant_id = ? and d.bucket = ? and ${bounded}${conditions.sql}
    order by d.id ${order} limit ?`;
  const ranges = piles.map(({ tenant, bucket }) => ({
    sql,
    params: [environmentId, filter.userId, tenant, bucket, ...bounds, ...conditions.params, limit],
  }));
  return yield* mergedIds(dialect, ranges, order, limit);
}
