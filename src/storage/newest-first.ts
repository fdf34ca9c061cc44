/** Lists of what is newest first that can be walked both ways by id: `after` goes on to older ones, `before` back to newer ones. */
import type { Page, PageQuery } from "../engine/ports.ts";
import type { Value } from "./database.ts";

/**
 * An id carries the time of the machine that made it, `created_at` that of the one that accepted. Where ids bound a
 * search by time they are given this much room for clocks that differ; the exact comparison is made as well.
 */
export const CLOCK_SLACK_MS = 3_600_000;

export type BothWays = PageQuery & { readonly before?: string | null };

/** What a statement needs to read one more row than `page.limit`. */
export interface NewestFirst {
  /** Conditions to be joined by `and`; none at the beginning of the list. */
  readonly where: readonly string[];
  readonly params: readonly Value[];
  readonly orderBy: string;
  readonly limit: number;
}

/** With `before` alone the rows next to it are read, so they come oldest first. */
export function newestFirst(page: BothWays, column: string): NewestFirst {
  const where: string[] = [];
  const params: Value[] = [];
  for (const [sign, key] of [
    ["<", page.after],
    [">", page.before],
  ] as const) {
    if (key === undefined || key === null) continue;
    where.push(`${column} ${sign} ?`);
    params.push(key);
  }
  return { where, params, orderBy: `${column} ${isUpwards(page) ? "asc" : "desc"}`, limit: page.limit + 1 };
}

/** Makes a page of what such a statement found. After a page that was read with `before` alone, `next` is a `before`. */
export function newestPage<T>(found: readonly T[], page: BothWays, key: (item: T) => string): Page<T> {
  const items = found.slice(0, page.limit);
  const last = items.at(-1);
  const next = found.length > page.limit && last !== undefined ? key(last) : null;
  return { items: isUpwards(page) ? items.reverse() : items, next };
}

function isUpwards({ after = null, before = null }: BothWays): boolean {
  return after === null && before !== null;
}
