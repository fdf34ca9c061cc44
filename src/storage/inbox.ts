/** What a user has got, as the user sees it: lists, counts and the changes a user makes. */
import type { Delivery, EnvironmentId, InboxItem, MessageId } from "../engine/model.ts";
import type {
  InboxFilter,
  InboxPageQuery,
  InboxPile,
  InboxStore,
  ItemChange,
  ItemChanged,
  Progress,
} from "../engine/ports.ts";
import type { Millis } from "../lib/clock.ts";
import { noteHeard } from "./change-notes.ts";
import type { Database, Operation, Row } from "./database.ts";
import { noteProgress } from "./happening-notes.ts";
import { ARCHIVED, bucketOf, bucketsOf, CountChanges, READ, SEEN } from "./inbox-counts.ts";
import { conditionsOf, idsOf, looksAtItems, matches, pilesOf, tenantsOf } from "./inbox-query.ts";
import { lockMessages, type Rise, raiseMessages } from "./message-progress.ts";
import { markLeftInbox } from "./planned.ts";
import { deliveryOf, EVENT_COLUMNS, eventValues, SELECT_DELIVERY } from "./rows.ts";
import { among, lockingRows, pageOf, text, textList } from "./text.ts";

/** Items changed in one commit by `changeAll`: some 10 ms, during which nobody else is served on SQLite. */
const CHANGED_AT_ONCE = 250;
const REPORTED_AT_MOST = 10_000;

const WRITE_ITEM = `update deliveries as d set seen_at = v.seen_at, read_at = v.read_at,
    interacted_at = v.interacted_at, archived_at = v.archived_at, deleted_at = v.deleted_at, bucket = v.bucket
  from :rows where d.id = v.id`;
const ITEM_COLUMNS = {
  id: "text",
  seen_at: "int",
  read_at: "int",
  interacted_at: "int",
  archived_at: "int",
  deleted_at: "int",
  bucket: "int",
} as const;

/** A delivery while it is being changed. */
interface Held {
  delivery: Delivery;
  /** As stored. Null stays null: what has left the inbox does not come back. */
  readonly bucket: number | null;
  touched: boolean;
}

export function inboxStore(db: Database): InboxStore {
  const { dialect } = db;
  /** Of changes of everything, one batch is under way at a time: who writes anything else waits for no more than that. */
  let sweeping: Promise<unknown> = Promise.resolve();

  return {
    list: (environmentId, filter, now, page) => db.read(() => list(environmentId, filter, now, page)),

    count: (environmentId, filter, now) =>
      db.read(() =>
        looksAtItems(filter) ? countItems(environmentId, filter, now) : countPiles(environmentId, filter, now),
      ),

    piles: (environmentId, filter, now) =>
      db.read(() => (looksAtItems(filter) ? pileItems(environmentId, filter, now) : piles(environmentId, filter, now))),

    readByMessage: (environmentId, userId, messageId) =>
      db.read(function* () {
        const { rows } = yield text(
          dialect,
          `select ${SELECT_DELIVERY} from deliveries as d
           where message_id = ? and env_id = ? and user_id = ? and channel = 'inbox' and deleted_at is null
           order by id desc limit 1`,
          [messageId, environmentId, userId],
        );
        return rows[0] === undefined ? null : (deliveryOf(rows[0]) as InboxItem);
      }),

    change: (environmentId, userId, changes, at, history) =>
      db.write(function* () {
        const held = yield* hold(
          environmentId,
          changes.map((change) => change.deliveryId),
        );
        const steps: Progress[] = [];
        const results = changes.map((change): ItemChanged => {
          const item = held.get(change.deliveryId);
          if (item === undefined || !belongs(item.delivery, userId, change)) return { item: null, changed: false };
          const changed = apply(item, change, at);
          if (changed) steps.push(...history(change, item.delivery));
          return { item: item.delivery, changed };
        });
        yield* writeBack(environmentId, [...held.values()], steps);
        return results;
      }),

    async changeAll(environmentId, filter, change, at, history, committed) {
      const reported: MessageId[] = [];
      for (let after: string | null = null; ; ) {
        const from = after;
        const write = () => db.write(() => changeSome(environmentId, filter, change, at, history, from));
        const writing: Promise<ChangedBatch> = sweeping.then(write, write);
        sweeping = writing;
        const batch = await writing;
        const { items } = batch;
        if (items.length > 0) committed?.(items);
        for (const { messageId } of items.slice(0, REPORTED_AT_MOST - reported.length)) reported.push(messageId);
        if (batch.next === null) return reported;
        after = batch.next;
      }
    },

    progress: (environmentId, steps) =>
      db.write(function* () {
        if (steps.length > 0) yield* record(environmentId, steps);
      }),

    expire: (now, limit) => db.write(() => expire(now, limit)),
  };

  function* list(
    environmentId: EnvironmentId,
    filter: InboxFilter,
    now: Millis,
    page: InboxPageQuery,
  ): Operation<{ items: readonly InboxItem[]; next: string | null }> {
    const { after = null, before = null, limit } = page;
    const upwards = before !== null && after === null;
    const found = yield* idsOf(dialect, environmentId, filter, now, { after, before }, limit + 1);
    if (found.length === 0) return { items: [], next: null };
    const ids = upwards ? found.slice(0, limit) : found;
    const { rows } = yield text(
      dialect,
      `select ${SELECT_DELIVERY} from deliveries as d where ${among(dialect, "id")} order by id desc`,
      [textList(dialect, ids)],
    );
    const items = rows.map(deliveryOf) as InboxItem[];
    if (upwards) return { items, next: found.length > limit ? (ids.at(-1) as string) : null };
    return pageOf(items, limit, (item) => item.id);
  }

  /** The piles, less what has expired and not been ended yet: few, and in an index of their own. */
  function* countPiles(environmentId: EnvironmentId, filter: InboxFilter, now: Millis): Operation<number> {
    const tenants = tenantsOf(dialect, filter);
    const buckets = bucketsOf(filter).join(", ");
    const params = [environmentId, filter.userId, ...tenants.params];
    const { rows } = yield text(
      dialect,
      `select coalesce((select sum(n) from inbox_counts
           where env_id = ? and user_id = ?${tenants.sql} and bucket in (${buckets})), 0)
         - (select count(*) from deliveries
           where env_id = ? and user_id = ? and bucket is not null and expires_at is not null and expires_at <= ?
             and bucket in (${buckets})${tenants.sql}) as n`,
      [...params, environmentId, filter.userId, now, ...tenants.params],
    );
    return rows[0]?.n as number;
  }

  function* piles(environmentId: EnvironmentId, filter: InboxFilter, now: Millis): Operation<readonly InboxPile[]> {
    const tenants = tenantsOf(dialect, filter);
    const buckets = bucketsOf(filter).join(", ");
    const { rows } = yield text(
      dialect,
      `select bucket, sum(n) as n from (
         select bucket, n from inbox_counts
         where env_id = ? and user_id = ?${tenants.sql} and bucket in (${buckets})
         union all
         select bucket, -1 as n from deliveries
         where env_id = ? and user_id = ? and bucket is not null and expires_at is not null and expires_at <= ?
           and bucket in (${buckets})${tenants.sql}) as found
       group by bucket`,
      [environmentId, filter.userId, ...tenants.params, environmentId, filter.userId, now, ...tenants.params],
    );
    return rows.map(pileOf);
  }

  function* pileItems(environmentId: EnvironmentId, filter: InboxFilter, now: Millis): Operation<readonly InboxPile[]> {
    if (filter.tags?.length === 0 || filter.events?.length === 0 || filter.channelIds?.length === 0) return [];
    const tenants = tenantsOf(dialect, filter);
    const { sql, params } = conditionsOf(dialect, filter, now);
    const { rows } = yield text(
      dialect,
      `select bucket, count(*) as n from deliveries as d
       where env_id = ? and user_id = ?${tenants.sql} and bucket in (${bucketsOf(filter).join(", ")})${sql}
       group by bucket`,
      [environmentId, filter.userId, ...tenants.params, ...params],
    );
    return rows.map(pileOf);
  }

  function* countItems(environmentId: EnvironmentId, filter: InboxFilter, now: Millis): Operation<number> {
    const piles = yield* pilesOf(dialect, environmentId, filter);
    const { sql, params } = conditionsOf(dialect, filter, now);
    let n = 0;
    for (const { tenant, bucket } of piles) {
      const { rows } = yield text(
        dialect,
        `select count(*) as n from deliveries as d
         where env_id = ? and user_id = ? and tenant_id = ? and bucket = ?${sql}`,
        [environmentId, filter.userId, tenant, bucket, ...params],
      );
      n += rows[0]?.n as number;
    }
    return n;
  }

  /** Reads deliveries of any channel and keeps them from being changed by others until the operation ends. */
  function* hold(environmentId: EnvironmentId, ids: readonly string[]): Operation<Map<string, Held>> {
    const { rows } = yield text(
      dialect,
      `select ${SELECT_DELIVERY} from deliveries as d where ${among(dialect, "id")} and env_id = ?
       order by id${lockingRows(dialect)}`,
      [textList(dialect, [...new Set(ids)]), environmentId],
    );
    return new Map(
      rows.map((row) => [
        row.id as string,
        { delivery: deliveryOf(row), bucket: row.bucket as number | null, touched: false },
      ]),
    );
  }

  function* writeBack(
    environmentId: EnvironmentId,
    held: readonly Held[],
    steps: readonly Progress[],
  ): Operation<void> {
    const counts = new CountChanges();
    const touched = held.filter((item) => item.touched);
    for (const { delivery, bucket } of touched) counts.move(delivery, bucket, nowOn(delivery, bucket));
    if (touched.length > 0) {
      yield {
        kind: "each",
        sql: WRITE_ITEM,
        columns: ITEM_COLUMNS,
        rows: touched.map(({ delivery: d, bucket }) => [
          d.id,
          d.seenAt,
          d.readAt,
          d.interactedAt,
          d.archivedAt,
          d.deletedAt,
          nowOn(d, bucket),
        ]),
      };
    }
    if (steps.length > 0) yield* record(environmentId, steps);
    const left = touched.filter(({ delivery, bucket }) => bucket !== null && nowOn(delivery, bucket) === null);
    yield* markLeftInbox(
      dialect,
      left.map((item) => item.delivery),
    );
    yield* counts.write();
  }

  function* changeSome(
    environmentId: EnvironmentId,
    filter: InboxFilter,
    change: Omit<ItemChange, "deliveryId">,
    at: Millis,
    history: (delivery: Delivery) => readonly Progress[],
    after: string | null,
  ): Operation<ChangedBatch> {
    const ids = yield* idsOf(dialect, environmentId, filter, at, { after }, CHANGED_AT_ONCE);
    const held = [...(yield* hold(environmentId, ids)).values()];
    const items: InboxItem[] = [];
    const steps: Progress[] = [];
    for (const item of held) {
      // Between finding and holding, another may have moved it.
      if (item.bucket === null || !matches(item.delivery, filter, at) || !apply(item, change, at)) continue;
      items.push(item.delivery as InboxItem);
      steps.push(...history(item.delivery));
    }
    yield* writeBack(environmentId, held, steps);
    // Newest first, as they were looked for.
    return { items: items.reverse(), next: ids.length < CHANGED_AT_ONCE ? null : (ids.at(-1) as string) };
  }

  /** Adds to the history of messages that exist, and moves them on. */
  function* record(environmentId: EnvironmentId, steps: readonly Progress[]): Operation<void> {
    const known = yield* lockMessages(
      dialect,
      environmentId,
      steps.map((step) => step.event.messageId),
    );
    const ours = steps.filter((step) => known.has(step.event.messageId));
    if (ours.length === 0) return;
    yield {
      kind: "insert",
      table: "message_events",
      columns: EVENT_COLUMNS,
      rows: ours.map((step) => eventValues(step.event)),
      suffix: "on conflict (message_id, id) do nothing",
    };
    yield* raiseMessages(ours.flatMap((step) => riseOf(environmentId, step)));
    yield* noteHeard(ours.map((step) => step.event));
    yield* noteProgress(dialect, ours);
  }

  function* expire(now: Millis, limit: number): Operation<number> {
    const skipLocked = dialect === "postgres" ? " for update skip locked" : "";
    const { rows } = yield text(
      dialect,
      `select ${SELECT_DELIVERY} from deliveries as d
       where bucket is not null and expires_at is not null and expires_at <= ?
       order by expires_at limit ?${skipLocked}`,
      [now, limit],
    );
    if (rows.length === 0) return 0;
    const items = rows.map(deliveryOf);
    const counts = new CountChanges();
    for (const [i, item] of items.entries()) counts.move(item, rows[i]?.bucket as number, null);
    const ids = textList(
      dialect,
      rows.map((row) => row.id as string),
    );
    yield text(dialect, `update deliveries set bucket = null where ${among(dialect, "id")}`, [ids]);
    yield* markLeftInbox(dialect, items);
    yield* counts.write();
    return rows.length;
  }
}

interface ChangedBatch {
  readonly items: readonly InboxItem[];
  readonly next: string | null;
}

function pileOf({ bucket, n }: Row): InboxPile {
  const bits = bucket as number;
  return {
    seen: (bits & SEEN) !== 0,
    read: (bits & READ) !== 0,
    archived: (bits & ARCHIVED) !== 0,
    count: n as number,
  };
}

/** To its user a deleted item is gone, except that it may be deleted once more. */
function belongs(delivery: Delivery, userId: string | null, change: ItemChange): boolean {
  if (userId === null) return true;
  return delivery.userId === userId && (delivery.deletedAt === null || change.field === "deleted");
}

/** Where an item lies after its timestamps have changed. */
function nowOn(delivery: Delivery, before: number | null): number | null {
  return before === null ? null : bucketOf(delivery);
}

/** @returns whether anything changed. */
function apply(item: Held, change: Omit<ItemChange, "deliveryId">, at: Millis): boolean {
  const column = `${change.field}At` as const;
  const old = item.delivery[column];
  if (!change.value && (change.field === "interacted" || change.field === "deleted")) return false;
  const wanted = !change.value
    ? null
    : old !== null && (change.again === "keep" || change.field === "deleted")
      ? old
      : at;
  if (wanted === old) return false;
  item.delivery = { ...item.delivery, [column]: wanted };
  item.touched = true;
  return true;
}

function riseOf(env: string, { event, state }: Progress): Rise[] {
  const message = { env, messageId: event.messageId };
  switch (state) {
    case null:
      return [];
    case "delivered":
      return [{ ...message, state, deliveredAt: event.at }];
    case "opened":
      return [{ ...message, state, openedAt: event.at }];
    case "clicked":
      return [{ ...message, state, clickedAt: event.at }];
    case "undeliverable":
      return [{ ...message, state, reason: event.kind === "bounced" ? "bounced" : "failed" }];
  }
}
