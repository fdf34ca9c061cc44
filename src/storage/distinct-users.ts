/**
 * Pages through the distinct users of several groups (lists, tenants) without reading the groups: each group is an
 * index range ordered by user, and a page merges those ranges.
 *
 * A few rows are read ahead from every group. Up to the **horizon**, the least user at which such a reading was cut
 * off, every group is known completely, so the users up to there can be given out. That leaves the groups that were
 * cut off at the horizon dry; they, and only they, are read on from it. Sorting in SQL instead would read all rows of
 * all groups for each page: 600 times 600,000 rows for one large list.
 */
import { type Database, type Dialect, type Operation, type Row, run } from "./database.ts";
import { byCodePoints, text, textList } from "./text.ts";

/** A table whose primary key is the environment, the group and the user. */
export interface Grouped {
  readonly table: "list_subscriptions" | "memberships";
  readonly group: "list_id" | "tenant_id";
}

/** What was read ahead from one group; `next` is the first row not given out yet. */
interface Range {
  rows: readonly Row[];
  next: number;
  /** Nothing follows the last of `rows`. */
  ended: boolean;
}

/** Fewer rows from a group are not worth the statement. */
const SMALLEST_CHUNK = 16;

/**
 * @param groups distinct. They are read as they are: leaving out deleted ones is the caller's business.
 * @returns up to `limit + 1` rows, one for each user, by user id ascending; of a user in several groups the row of the
 *   least group.
 */
export function* distinctUsers(
  db: Database,
  grouped: Grouped,
  environmentId: string,
  groups: readonly string[],
  page: { readonly after?: string | null; readonly limit: number },
): Operation<readonly Row[]> {
  const found: Row[] = [];
  const sorted = [...groups].sort(byCodePoints);
  const ranges = new Map<string, Range>(sorted.map((id) => [id, { rows: [], next: 0, ended: false }]));
  let after = page.after ?? "";
  let chunk = Math.max(SMALLEST_CHUNK, Math.ceil((page.limit + 1) / Math.max(1, sorted.length)));
  for (;;) {
    const dry = sorted.filter((id) => isDry(ranges.get(id) as Range));
    if (dry.length > 0) {
      const read = yield* readOn(db.dialect, grouped, environmentId, dry, after, chunk);
      for (const id of dry) {
        const rows = read.get(id) ?? [];
        ranges.set(id, { rows, next: 0, ended: rows.length < chunk });
      }
    }
    const horizon = horizonOf(ranges.values());
    for (const row of takeUpTo(horizon, ranges.values())) {
      found.push(row);
      if (found.length > page.limit) return found;
    }
    if (horizon === null) return found;
    after = horizon;
    // A group that is read on has many users to give; with larger pieces it needs few statements for them.
    chunk = Math.min(chunk * 2, page.limit + 1);
  }
}

function isDry(range: Range): boolean {
  return range.next === range.rows.length && !range.ended;
}

function userOf(row: Row): string {
  return row.user_id as string;
}

/** Null when every group has been read to its end. */
function horizonOf(ranges: Iterable<Range>): string | null {
  let horizon: string | null = null;
  for (const range of ranges) {
    if (range.ended) continue;
    const last = userOf(range.rows.at(-1) as Row);
    if (horizon === null || byCodePoints(last, horizon) < 0) horizon = last;
  }
  return horizon;
}

/** Rows up to and with the horizon, each user once. Groups come in order, so the first row of a user is the one to show. */
function takeUpTo(horizon: string | null, ranges: Iterable<Range>): readonly Row[] {
  const first = new Map<string, Row>();
  for (const range of ranges) {
    for (; range.next < range.rows.length; range.next++) {
      const row = range.rows[range.next] as Row;
      if (horizon !== null && byCodePoints(userOf(row), horizon) > 0) break;
      if (!first.has(userOf(row))) first.set(userOf(row), row);
    }
  }
  return [...first.values()].sort((a, b) => byCodePoints(userOf(a), userOf(b)));
}

/** Up to `chunk` rows after the user from each group, by user: one round trip on Postgres. */
function* readOn(
  dialect: Dialect,
  { table, group }: Grouped,
  environmentId: string,
  groups: readonly string[],
  after: string,
  chunk: number,
): Operation<ReadonlyMap<string, readonly Row[]>> {
  const read = new Map<string, Row[]>();
  if (dialect === "sqlite") {
    const sql = `select * from ${table} where env_id = ? and ${group} = ? and user_id > ? order by user_id limit ?`;
    for (const id of groups) {
      const { rows } = yield* run(text(dialect, sql, [environmentId, id, after, chunk]));
      read.set(id, [...rows]);
    }
    return read;
  }
  const { rows } = yield* run(
    text(
      dialect,
      `select s.* from unnest(?::text[]) as g(id)
      cross join lateral (select * from ${table} where env_id = ? and ${group} = g.id and user_id > ?
        order by user_id limit ?) as s
      order by s.user_id`,
      [textList(dialect, groups), environmentId, after, chunk],
    ),
  );
  for (const row of rows) {
    const id = row[group] as string;
    const ofGroup = read.get(id);
    if (ofGroup === undefined) read.set(id, [row]);
    else ofGroup.push(row);
  }
  return read;
}
