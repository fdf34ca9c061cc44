/**
 * Finding items of an inbox. A filter picks buckets; each bucket of each tenant is one range of the index
 * (env_id, user_id, tenant_id, bucket, id), read from its newest end. The newest of all ranges together are the page, so
 * that a first page costs the same whether the user has ten items or a million.
 */
import type { Delivery, EnvironmentId } from "../engine/model.ts";
import type { InboxFilter } from "../engine/ports.ts";
import type { Millis } from "../lib/clock.ts";
import type { Dialect, Operation, Value } from "./database.ts";
import { bucketOf, bucketsOf } from "./inbox-counts.ts";
import { tenantColumn } from "./schema.ts";
import { text, textList } from "./text.ts";

/** Ranges read by one statement; more tenants than that take several. */
const RANGES_AT_ONCE = 32;
/** Sorts after every delivery id. */
const AFTER_ALL = "~";

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
  const { rows } = yield text(
    dialect,
    `select tenant_id, bucket from inbox_counts
     where env_id = ? and user_id = ? and bucket in (${buckets.join(", ")}) and n > 0`,
    [environmentId, filter.userId],
  );
  return rows.map((row) => ({ tenant: row.tenant_id as string, bucket: row.bucket as number }));
}

/** What the buckets do not say. Starts with ` and`; the table is `d`. */
export function conditionsOf(
  dialect: Dialect,
  filter: InboxFilter,
  now: Millis,
): { readonly sql: string; readonly params: readonly Value[] } {
  let sql = " and (d.expires_at is null or d.expires_at > ?)";
  const params: Value[] = [now];
  if (filter.from !== undefined) {
    sql += " and d.created_at >= ?";
    params.push(filter.from);
  }
  if (filter.tags !== undefined) {
    sql +=
      dialect === "sqlite"
        ? " and exists (select 1 from json_each(d.tags) as t where t.value in (select value from json_each(?)))"
        : " and jsonb_exists_any(d.tags::jsonb, ?::text[])";
    params.push(textList(dialect, filter.tags));
  }
  return { sql, params };
}

/** The same question about one item in hand. */
export function matches(item: Delivery, filter: InboxFilter, now: Millis): boolean {
  const bucket = bucketOf(item);
  return (
    bucket !== null &&
    item.userId === filter.userId &&
    (filter.tenantId === undefined || filter.tenantId === item.tenantId) &&
    bucketsOf(filter).includes(bucket) &&
    (item.expiresAt === null || item.expiresAt > now) &&
    (filter.from === undefined || item.createdAt >= filter.from) &&
    (filter.tags === undefined || filter.tags.some((tag) => item.tags.includes(tag)))
  );
}

/** Ids of the newest items that match, beginning after `after`. */
export function* idsOf(
  dialect: Dialect,
  environmentId: EnvironmentId,
  filter: InboxFilter,
  now: Millis,
  after: string | null,
  limit: number,
): Operation<readonly string[]> {
  if (filter.tags?.length === 0) return [];
  const piles = yield* pilesOf(dialect, environmentId, filter);
  const conditions = conditionsOf(dialect, filter, now);
  const range = `select * from (select d.id from deliveries as d
    where d.env_id = ? and d.user_id = ? and d.tenant_id = ? and d.bucket = ? and d.id < ?${conditions.sql}
    order by d.id desc limit ?) as newest`;
  let ids: string[] = [];
  for (let i = 0; i < piles.length; i += RANGES_AT_ONCE) {
    const some = piles.slice(i, i + RANGES_AT_ONCE);
    const params = some.flatMap(({ tenant, bucket }) => [
      environmentId,
      filter.userId,
      tenant,
      bucket,
      after ?? AFTER_ALL,
      ...conditions.params,
      limit,
    ]);
    const sql = `select id from (${some.map(() => range).join(" union all ")}) as found order by id desc limit ?`;
    const { rows } = yield text(dialect, sql, [...params, limit]);
    ids.push(...rows.map((row) => row.id as string));
  }
  // Ids are plain ASCII, so JavaScript sorts them as the databases do.
  if (piles.length > RANGES_AT_ONCE) ids = ids.sort().reverse().slice(0, limit);
  return ids;
}
