/** Lists of runs: messages that have the record of one, whether or not they still wait. */
import type { Message } from "../engine/model.ts";
import type { Page } from "../engine/ports.ts";
import { isUser, type PartyRef, partyKey } from "../engine/workflow/model.ts";
import type { RunFilter } from "../engine/workflow/ports.ts";
import type { Millis } from "../lib/clock.ts";
import { firstIdAt } from "../lib/ids.ts";
import type { Dialect, Operation, Value } from "./database.ts";
import { type BothWays, CLOCK_SLACK_MS, newestFirst, newestPage } from "./newest-first.ts";
import { messageOf, SELECT_MESSAGE } from "./rows.ts";
import { tenantColumn } from "./schema.ts";
import { among, text, textList } from "./text.ts";

const STORED = ["queued", "paused", "completed", "cancelled"] as const;
type Status = NonNullable<RunFilter["statuses"]>[number];

interface Condition {
  readonly sql: string;
  readonly params: readonly Value[];
}

/**
 * A message names a user by its id and an object by its key; an id may look like a key. To be put beside `IS_ANY_RUN`.
 */
export function recipientCondition(recipient: PartyRef): Condition {
  return isUser(recipient)
    ? { sql: "m.recipient = ? and m.user_id is not null", params: [recipient.id] }
    : { sql: "m.recipient = ? and m.user_id is null", params: [partyKey(recipient)] };
}

/** Lets the indexes of runs answer. */
const IS_RUN = "m.run is not null";
/** Means the same and leaves them out: what somebody got is less than what a workflow has sent. */
export const IS_ANY_RUN = "m.run_status is not null";

/**
 * Rows of `runs` lead, and what is joined cannot. Postgres would rather look at every run there is, 90,000 of them to find
 * 51 that wait, did `offset` not stand between.
 */
const WAITING = {
  sqlite: "runs as r join messages as m on m.env_id = r.env_id and m.id = r.message_id",
  postgres: `runs as r cross join lateral
      (select * from messages as m where m.env_id = r.env_id and m.id = r.message_id offset 0) as m`,
};
const ANY = "messages as m left join runs as r on m.env_id = r.env_id and m.id = r.message_id";

/** As `RunStore.list`. */
export function* listRuns(
  dialect: Dialect,
  environmentId: string,
  filter: RunFilter,
  now: Millis,
  page: BothWays,
): Operation<Page<Message>> {
  const statuses = filter.statuses === undefined ? null : new Set(filter.statuses);
  if (statuses?.size === 0) return { items: [], next: null };
  // Few of the many runs wait. Where only such are asked for, their rows lead.
  const onlyWaiting = statuses !== null && !statuses.has("completed") && !statuses.has("cancelled");
  const id = onlyWaiting ? "r.message_id" : "m.id";
  const way = newestFirst(page, id);
  const where: string[] = [onlyWaiting ? "r.env_id = ?" : "m.env_id = ?", ...way.where];
  where.push(filter.recipient === undefined ? IS_RUN : IS_ANY_RUN);
  const params: Value[] = [environmentId, ...way.params];
  const also = (condition: string, ...values: readonly Value[]): void => {
    where.push(condition);
    params.push(...values);
  };
  if (filter.workflow !== undefined) also("m.event = ?", filter.workflow);
  if (filter.tenantId !== undefined) also("m.tenant_id = ?", tenantColumn(filter.tenantId));
  if (filter.hasErrors !== undefined) also(filter.hasErrors ? "m.run_errors > 0" : "m.run_errors = 0");
  if (filter.recipient !== undefined) {
    const to = recipientCondition(filter.recipient);
    also(to.sql, ...to.params);
  }
  if (filter.from !== undefined) {
    also(`m.created_at >= ? and ${id} >= ?`, filter.from, firstIdAt("msg", filter.from - CLOCK_SLACK_MS));
  }
  // Not by ids: a message may be made long after what it was created at, when its request waited to be expanded.
  if (filter.until !== undefined) also("m.created_at < ?", filter.until);
  if (statuses !== null) {
    const condition = statusCondition(dialect, statuses, now);
    also(condition.sql, ...condition.params);
  }
  const sql = `select ${SELECT_MESSAGE}, r.lease_until as run_lease_until from ${onlyWaiting ? WAITING[dialect] : ANY}
    where ${where.join(" and ")} order by ${way.orderBy} limit ?`;
  const { rows } = yield text(dialect, sql, [...params, way.limit]);
  const messages = rows.map((row) => ({ ...messageOf(row), leaseUntil: row.run_lease_until as Millis | null }));
  return newestPage(messages, page, (message) => message.id);
}

/** Those under a lease are `processing`, and neither queued nor paused, whatever is stored. */
function statusCondition(dialect: Dialect, statuses: ReadonlySet<Status>, now: Millis): Condition {
  const stored = STORED.filter((status) => statuses.has(status));
  // Spelled so that the index on what was cancelled answers.
  const amongStored: Condition =
    stored.length === 1
      ? { sql: `m.run_status = '${stored[0]}'`, params: [] }
      : { sql: among(dialect, "m.run_status"), params: [textList(dialect, stored)] };
  const unleased = "(r.lease_until is null or r.lease_until <= ?)";
  if (!statuses.has("processing")) {
    const waits = statuses.has("queued") || statuses.has("paused");
    return waits ? { sql: `${amongStored.sql} and ${unleased}`, params: [...amongStored.params, now] } : amongStored;
  }
  if (stored.length === 0) return { sql: "r.lease_until > ?", params: [now] };
  return {
    sql: `(r.lease_until > ? or (${amongStored.sql} and ${unleased}))`,
    params: [now, ...amongStored.params, now],
  };
}
