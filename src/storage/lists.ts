/**
 * Lists and who is subscribed to them.
 *
 *   (none) ──put, subscribe──▶ alive ──delete──▶ deleted
 *                                ▲ ◀──restore──────┤        with its subscribers
 *                                └──put, subscribe─┘        anew: without its old subscribers
 */
import type { EnvironmentId, List, Subscription } from "../engine/model.ts";
import type { DirectoryStore, Page } from "../engine/ports.ts";
import type { JsonObject } from "../lib/json.ts";
import { type Database, type Dialect, type Operation, only, type Row, run } from "./database.ts";
import { distinctUsers } from "./distinct-users.ts";
import type { RowOf } from "./schema.ts";
import {
  among,
  byCodePoints,
  decodeJson,
  encodeJson,
  insert,
  lockingRows,
  pageOf,
  requireId,
  text,
  textList,
} from "./text.ts";

/** Candidates of `lists` read at a time; between two batches other work gets its turn. */
const LISTS_READ_AT_ONCE = 500;

/** Read or removed by one statement when a list is replaced. */
const SUBSCRIBERS_AT_ONCE = 5000;

const SUBSCRIPTION_COLUMNS = ["env_id", "list_id", "user_id", "preferences", "created_at"] as const;

const GROUPED = { table: "list_subscriptions", group: "list_id" } as const;

type ListMethods =
  | "readList"
  | "lists"
  | "putList"
  | "deleteList"
  | "restoreList"
  | "subscribe"
  | "unsubscribe"
  | "unsubscribeFromAll"
  | "subscribers"
  | "subscribersOfAny"
  | "subscriptionsOf";

/** The part of the directory that keeps lists. `readList` gives a deleted list too, with its `deletedAt`. */
export function listStore(db: Database): Pick<DirectoryStore, ListMethods> {
  const { dialect } = db;
  const write = (sql: string, params: readonly (string | number | null)[]): Promise<number> =>
    db.write(function* () {
      return (yield* run(only(text(dialect, sql, params)))).changes;
    });

  return {
    readList: (environmentId, listId) =>
      db.read(function* () {
        const { rows } = yield* run(
          text(dialect, "select * from lists where env_id = ? and id = ?", [environmentId, listId]),
        );
        return rows[0] === undefined ? null : listOf(rows[0]);
      }),

    async lists(environmentId, prefix, matches, page) {
      const found: List[] = [];
      let after = page.after ?? null;
      for (;;) {
        const from: string | null = after;
        const batch = await db.read(() => candidates(dialect, environmentId, prefix, from, LISTS_READ_AT_ONCE));
        for (const list of batch) {
          // Ids with one prefix lie together in the order of ids; the first without it comes after all of them.
          if (!list.id.startsWith(prefix)) return pageOf(found, page.limit, (one) => one.id);
          if (matches(list.id) && found.push(list) > page.limit) return pageOf(found, page.limit, (one) => one.id);
        }
        if (batch.length < LISTS_READ_AT_ONCE) return pageOf(found, page.limit, (one) => one.id);
        after = batch.at(-1)?.id ?? null;
      }
    },

    async putList(environmentId, list, at) {
      requireId("listId", list.id);
      const preferences = encodeJson(list.preferences);
      await db.write(function* () {
        for (;;) {
          const { changes } = yield* run(
            text(
              dialect,
              `update lists set name = ?, preferences = ?, updated_at = ?
              where env_id = ? and id = ? and deleted_at is null`,
              [list.name, preferences, at, environmentId, list.id],
            ),
          );
          if (changes > 0) return;
          if (yield* createAnew(dialect, environmentId, list.id, list.name, preferences, at)) {
            yield* removeAll(dialect, environmentId, list.id);
            return;
          }
          // Neither found its row, so someone created the list between the two.
        }
      });
    },

    deleteList: async (environmentId, listId, at) =>
      (await write("update lists set deleted_at = ? where env_id = ? and id = ? and deleted_at is null", [
        at,
        environmentId,
        listId,
      ])) > 0,

    restoreList: async (environmentId, listId, at) =>
      // Touches a list that is not deleted without changing it, to learn whether it exists.
      (await write(
        `update lists set updated_at = case when deleted_at is null then updated_at else ? end, deleted_at = null
        where env_id = ? and id = ?`,
        [at, environmentId, listId],
      )) > 0,

    async subscribe(environmentId, subscriptions, at, of) {
      for (const { listId, userId } of subscriptions) {
        requireId("listId", listId);
        requireId("userId", userId);
      }
      if (of !== undefined) requireId("listId", of.listId);
      else if (subscriptions.length === 0) return;
      await db.write(() => subscribeAll(dialect, environmentId, subscriptions, at, of ?? null));
    },

    unsubscribe: async (environmentId, listId, userId) =>
      (await write(
        `delete from list_subscriptions where env_id = ? and list_id = ? and user_id = ?
        and exists (select 1 from lists where env_id = ? and id = ? and deleted_at is null)`,
        [environmentId, listId, userId, environmentId, listId],
      )) > 0,

    unsubscribeFromAll: (environmentId, userId) =>
      db.write(function* () {
        const mine = "from list_subscriptions where env_id = ? and user_id = ?";
        // A delete locks rows in the order of its plan; this makes it the order of `subscribe`.
        if (dialect === "postgres") {
          const sql = `select list_id ${mine} order by list_id${lockingRows(dialect)}`;
          yield* run(text(dialect, sql, [environmentId, userId]));
        }
        yield* run(text(dialect, `delete ${mine}`, [environmentId, userId]));
      }),

    subscribers: (environmentId, listId, page) =>
      db.read(function* () {
        const alive = yield* aliveOf(dialect, environmentId, [listId]);
        const rows = yield* distinctUsers(db, GROUPED, environmentId, alive, page);
        return subscriptionPage(rows, page.limit);
      }),

    subscribersOfAny: (environmentId, listIds, page) =>
      db.read(function* () {
        const alive = yield* aliveOf(dialect, environmentId, listIds);
        const rows = yield* distinctUsers(db, GROUPED, environmentId, alive, page);
        return subscriptionPage(rows, page.limit);
      }),

    subscriptionsOf: (environmentId, userId, page) =>
      db.read(function* () {
        const { rows } = yield* run(
          text(
            dialect,
            `select l.*, s.preferences as own_preferences, s.created_at as subscribed_at
            from list_subscriptions s join lists l on l.env_id = s.env_id and l.id = s.list_id
            where s.env_id = ? and s.user_id = ? and s.list_id > ? and l.deleted_at is null
            order by s.list_id limit ?`,
            [environmentId, userId, page.after ?? "", page.limit + 1],
          ),
        );
        const found = rows.map((row) => ({
          ...listOf(row),
          subscription: {
            listId: row.id as string,
            userId,
            preferences: decodeJson(row.own_preferences as string | null),
            createdAt: row.subscribed_at as number,
          },
        }));
        return pageOf(found, page.limit, (list) => list.id);
      }),
  };
}

function* candidates(
  dialect: Dialect,
  environmentId: string,
  prefix: string,
  after: string | null,
  limit: number,
): Operation<readonly List[]> {
  const { rows } = yield* run(
    text(
      dialect,
      "select * from lists where env_id = ? and id >= ? and id > ? and deleted_at is null order by id limit ?",
      [environmentId, prefix, after ?? "", limit],
    ),
  );
  return rows.map(listOf);
}

/** Of these lists, those that exist and are not deleted; each once. */
function* aliveOf(dialect: Dialect, environmentId: string, listIds: readonly string[]): Operation<readonly string[]> {
  if (listIds.length === 0) return [];
  const { rows } = yield* run(
    text(dialect, `select id from lists where env_id = ? and ${among(dialect, "id")} and deleted_at is null`, [
      environmentId,
      textList(dialect, listIds),
    ]),
  );
  return rows.map((row) => row.id as string);
}

/**
 * Creates a list that is missing or deleted. The subscribers it had before it was deleted are the caller's to remove.
 * @returns false, having changed nothing, when the list is alive.
 */
function* createAnew(
  dialect: Dialect,
  environmentId: string,
  listId: string,
  name: string,
  preferences: string | null,
  at: number,
): Operation<boolean> {
  const created = yield* run(
    text(
      dialect,
      `insert into lists (env_id, id, name, preferences, created_at, updated_at, deleted_at)
      values (?, ?, ?, ?, ?, ?, null) on conflict (env_id, id) do nothing`,
      [environmentId, listId, name, preferences, at, at],
    ),
  );
  if (created.changes > 0) return true;
  const revived = yield* run(
    text(
      dialect,
      `update lists set name = ?, preferences = ?, created_at = ?, updated_at = ?, deleted_at = null
      where env_id = ? and id = ? and deleted_at is not null`,
      [name, preferences, at, at, environmentId, listId],
    ),
  );
  return revived.changes > 0;
}

function* removeAll(dialect: Dialect, environmentId: string, listId: string): Operation<void> {
  const sql = "delete from list_subscriptions where env_id = ? and list_id = ?";
  yield* run(text(dialect, sql, [environmentId, listId]));
}

/**
 * Makes sure that a list is alive, and keeps it to this transaction until its end.
 * @returns whether it had to be created anew.
 */
function* holdAlive(dialect: Dialect, environmentId: string, listId: string, at: number): Operation<boolean> {
  for (;;) {
    const sql = `select id from lists where env_id = ? and id = ? and deleted_at is null${lockingRows(dialect)}`;
    const { rows } = yield* run(text(dialect, sql, [environmentId, listId]));
    if (rows.length > 0) return false;
    if (yield* createAnew(dialect, environmentId, listId, listId, null, at)) return true;
  }
}

interface Wanted {
  readonly listId: string;
  readonly userId: string;
  readonly preferences: JsonObject | null;
}

/**
 * On Postgres lists that are created or replaced are locked first and then the subscriptions, both in the order of ids,
 * so that calls wait for each other in one direction only. Lists that are alive are not locked: who is added while a list
 * is deleted, renewed or replaced counts as added before or after, and a lock for that would make all who subscribe to
 * one list wait for each other's commits. (A shared one was tried: two that share it and then both need it alone stand
 * still until the database notices.)
 */
function* subscribeAll(
  dialect: Dialect,
  environmentId: EnvironmentId,
  subscriptions: readonly Wanted[],
  at: number,
  of: { readonly listId: string; readonly replace: boolean } | null,
): Operation<void> {
  const rows = inLockOrder(subscriptions);
  const replaced = of?.replace ? of.listId : null;
  const listIds = [...new Set([...rows.map((row) => row.listId), ...(of === null ? [] : [of.listId])])];
  const alive = new Set(yield* aliveOf(dialect, environmentId, listIds));
  if (replaced === null && alive.size === listIds.length) {
    yield* putSubscriptions(environmentId, rows, at);
    return;
  }

  listIds.sort(byCodePoints);
  const anew = new Set<string>();
  for (const listId of listIds) {
    if (listId !== replaced && alive.has(listId)) continue;
    if (yield* holdAlive(dialect, environmentId, listId, at)) anew.add(listId);
  }

  const byList = Map.groupBy(rows, (row) => row.listId);
  for (const listId of listIds) {
    const ofList = byList.get(listId) ?? [];
    if (anew.has(listId)) yield* removeAll(dialect, environmentId, listId);
    if (listId !== replaced) yield* putSubscriptions(environmentId, ofList, at);
    else yield* replaceSubscriptions(dialect, environmentId, listId, ofList, at);
  }
}

function* putSubscriptions(environmentId: string, rows: readonly Wanted[], at: number): Operation<void> {
  if (rows.length === 0) return;
  yield* run(
    insert(
      "list_subscriptions",
      SUBSCRIPTION_COLUMNS,
      rows.map((row) => [environmentId, row.listId, row.userId, encodeJson(row.preferences), at]),
      "on conflict (env_id, list_id, user_id) do update set preferences = excluded.preferences",
    ),
  );
}

/**
 * Who is to go is found out here rather than in SQL: without fresh statistics Postgres compares every subscriber with
 * every one to keep (12,000 with 11,000: 7 s; this way 0.1 s). There, those who go are written once more among those who
 * stay, because that locks all of them in one order.
 */
function* replaceSubscriptions(
  dialect: Dialect,
  environmentId: string,
  listId: string,
  wanted: readonly Wanted[],
  at: number,
): Operation<void> {
  const going = yield* othersThan(dialect, environmentId, listId, new Set(wanted.map((one) => one.userId)));
  const others = dialect === "sqlite" ? [] : going.map((userId) => ({ listId, userId, preferences: null }));
  yield* putSubscriptions(environmentId, inLockOrder([...wanted, ...others]), at);
  for (let i = 0; i < going.length; i += SUBSCRIBERS_AT_ONCE) {
    yield* run(
      text(
        dialect,
        `delete from list_subscriptions where env_id = ? and list_id = ? and ${among(dialect, "user_id")}`,
        [environmentId, listId, textList(dialect, going.slice(i, i + SUBSCRIBERS_AT_ONCE))],
      ),
    );
  }
}

function* othersThan(
  dialect: Dialect,
  environmentId: string,
  listId: string,
  kept: ReadonlySet<string>,
): Operation<readonly string[]> {
  const sql = `select user_id from list_subscriptions where env_id = ? and list_id = ? and user_id > ?
    order by user_id limit ?`;
  const others: string[] = [];
  let after = "";
  for (;;) {
    const { rows } = yield* run(text(dialect, sql, [environmentId, listId, after, SUBSCRIBERS_AT_ONCE]));
    for (const row of rows) if (!kept.has(row.user_id as string)) others.push(row.user_id as string);
    if (rows.length < SUBSCRIBERS_AT_ONCE) return others;
    after = rows.at(-1)?.user_id as string;
  }
}

/** Each subscription once, the last of duplicates, in one order for all callers: so they cannot wait for each other. */
function inLockOrder(subscriptions: readonly Wanted[]): readonly Wanted[] {
  const sorted = [...subscriptions].sort(
    (a, b) => byCodePoints(a.listId, b.listId) || byCodePoints(a.userId, b.userId),
  );
  // Sorting keeps the order of equals, so the last of them is the last that came.
  return sorted.filter((one, i) => one.listId !== sorted[i + 1]?.listId || one.userId !== sorted[i + 1]?.userId);
}

function subscriptionPage(rows: readonly Row[], limit: number): Page<Subscription> {
  return pageOf(rows.map(subscriptionOf), limit, (subscription) => subscription.userId);
}

function subscriptionOf(row: Row): Subscription {
  const subscription = row as unknown as RowOf<"list_subscriptions">;
  return {
    listId: subscription.list_id,
    userId: subscription.user_id,
    preferences: decodeJson(subscription.preferences),
    createdAt: subscription.created_at,
  };
}

function listOf(row: Row): List {
  const list = row as unknown as RowOf<"lists">;
  return {
    id: list.id,
    name: list.name,
    preferences: decodeJson(list.preferences),
    createdAt: list.created_at,
    updatedAt: list.updated_at,
    deletedAt: list.deleted_at,
  };
}
