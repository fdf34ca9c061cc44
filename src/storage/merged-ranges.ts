/** Lists that no one index has in their order: the newest of several ranges, each read from its newest end. */
import type { Dialect, Operation, Value } from "./database.ts";
import { text } from "./text.ts";

/** Ranges read by one statement; more take several. */
const RANGES_AT_ONCE = 32;

export interface Range {
  /** Selects the column `id`, in the order of the list and no more than the list is to have. */
  readonly sql: string;
  readonly params: readonly Value[];
}

/** The first `limit` ids of all ranges together. */
export function* mergedIds(
  dialect: Dialect,
  ranges: readonly Range[],
  order: "asc" | "desc",
  limit: number,
): Operation<readonly string[]> {
  let ids: string[] = [];
  for (let i = 0; i < ranges.length; i += RANGES_AT_ONCE) {
    const some = ranges.slice(i, i + RANGES_AT_ONCE);
    const all = some.map((range) => `select * from (${range.sql}) as newest`).join(" union all ");
    const sql = `select id from (${all}) as found order by id ${order} limit ?`;
    const { rows } = yield text(dialect, sql, [...some.flatMap(({ params }) => params), limit]);
    ids.push(...rows.map((row) => row.id as string));
    if (i === 0) continue;
    // Ids are plain ASCII, so JavaScript sorts them as the databases do.
    ids.sort();
    if (order === "desc") ids.reverse();
    ids = ids.slice(0, limit);
  }
  return ids;
}
