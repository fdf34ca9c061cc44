/** Who wants what is sent to an object. */
import type { EnvironmentId } from "../engine/model.ts";
import type { Page } from "../engine/ports.ts";
import { keyInTime, type ObjectSubscription, type PartyRef, partyKey, partyOf } from "../engine/workflow/model.ts";
import type { PartyStore, Walk } from "../engine/workflow/ports.ts";
import { type Database, type Dialect, type Operation, only, type Row, run, type Value } from "./database.ts";
import { requireParty } from "./party-keys.ts";
import { columnsOf, type RowOf } from "./schema.ts";
import { among, byCodePoints, decodeJson, encodeJson, insert, pageOf, text, textList } from "./text.ts";
import { pageInTime, walkingInTime } from "./walk-in-time.ts";

type SubscriptionMethods = "subscribe" | "unsubscribe" | "subscriptions" | "subscribersOf";
type Filter = Parameters<PartyStore["subscriptions"]>[1];

interface Pair {
  readonly object: PartyRef;
  readonly recipient: PartyRef;
}

const KEY = { env_id: "text", object: "text", recipient: "text" } as const;
const COLUMNS = columnsOf("object_subscriptions");
const RENEW = `on conflict (env_id, object, recipient) do update set
  properties = coalesce(excluded.properties, object_subscriptions.properties), updated_at = excluded.updated_at
  returning *`;

/** The part of the parties' store that keeps subscriptions. Of properties for the same pair in one call the last count. */
export function objectSubscriptionStore(db: Database): Pick<PartyStore, SubscriptionMethods> {
  const { dialect } = db;
  return {
    async subscribe(environmentId, subscriptions, at) {
      for (const pair of subscriptions) requirePair(pair);
      if (subscriptions.length === 0) return [];
      const properties = new Map<string, string | null>();
      for (const subscription of subscriptions) {
        const key = pairKey(subscription);
        properties.set(key, encodeJson(subscription.properties) ?? properties.get(key) ?? null);
      }
      const rows = inLockOrder(subscriptions).map((pair) => [
        environmentId,
        partyKey(pair.object),
        partyKey(pair.recipient),
        properties.get(pairKey(pair)) ?? null,
        at,
        at,
      ]);
      return db.write(function* () {
        const written = yield* run(only(insert("object_subscriptions", COLUMNS, rows, RENEW)));
        const found = new Map(written.rows.map(subscriptionOf).map((one) => [pairKey(one), one]));
        return subscriptions.map((pair) => found.get(pairKey(pair)) as ObjectSubscription);
      });
    },

    async unsubscribe(environmentId, pairs) {
      for (const pair of pairs) requirePair(pair);
      if (pairs.length === 0) return [];
      const rows = inLockOrder(pairs).map((pair) => [environmentId, partyKey(pair.object), partyKey(pair.recipient)]);
      return db.write(function* () {
        const found = yield* removed(dialect, rows);
        const byKey = new Map(found.map((one) => [pairKey(one), one]));
        return [...new Set(pairs.map(pairKey))].flatMap((key) => byKey.get(key) ?? []);
      });
    },

    async subscriptions(environmentId, filter, walk) {
      if (filter.objects?.length === 0 || filter.recipients?.length === 0) return { items: [], next: null };
      return db.read(() => list(dialect, environmentId, filter, walk));
    },

    subscribersOf: (environmentId, object, page) =>
      db.read(function* () {
        const sql = `select * from object_subscriptions where env_id = ? and object = ? and recipient > ?
          order by recipient limit ?`;
        const params = [environmentId, partyKey(object), page.after ?? "", page.limit + 1];
        const { rows } = yield* run(text(dialect, sql, params));
        return pageOf(rows.map(subscriptionOf), page.limit, ({ recipient }) => partyKey(recipient));
      }),
  };
}

function requirePair({ object, recipient }: Pair): void {
  requireParty("object", object);
  requireParty("recipient", recipient);
}

function pairKey({ object, recipient }: Pair): string {
  return `${partyKey(object)}\0${partyKey(recipient)}`;
}

/** Each pair once, in one order for all callers: so that they cannot wait for each other. */
function inLockOrder<P extends Pair>(pairs: readonly P[]): readonly P[] {
  const distinct = [...new Map(pairs.map((pair) => [pairKey(pair), pair])).values()];
  return distinct.sort(
    (a, b) =>
      byCodePoints(partyKey(a.object), partyKey(b.object)) ||
      byCodePoints(partyKey(a.recipient), partyKey(b.recipient)),
  );
}

function* removed(dialect: Dialect, rows: readonly (readonly Value[])[]): Operation<readonly ObjectSubscription[]> {
  if (dialect === "postgres") {
    // A delete locks rows in the order of its plan; this makes it the order of `subscribe`.
    const sql = `select s.object from :rows join object_subscriptions as s on s.env_id = v.env_id
      and s.object = v.object and s.recipient = v.recipient order by s.object, s.recipient for update of s`;
    yield* run({ kind: "each", sql, columns: KEY, rows });
  }
  const sql = `delete from object_subscriptions where (env_id, object, recipient) in (
    select v.env_id, v.object, v.recipient from :rows) returning *`;
  return (yield* run({ kind: "each", sql, columns: KEY, rows })).rows.map(subscriptionOf);
}

/**
 * A side that is one party throughout is left out of the order, so that the index on the other gives it. With one side
 * given and some of the other, the pairs are few: the sign keeps planners from walking all that the one side has instead.
 */
function* list(
  dialect: Dialect,
  environmentId: EnvironmentId,
  { object, objects, recipient, recipients }: Filter,
  walk: Walk,
): Operation<Page<ObjectSubscription>> {
  const few = (object !== undefined && recipients !== undefined) || (recipient !== undefined && objects !== undefined);
  const way = walkingInTime(walk, few ? "+created_at" : "created_at", [
    object === undefined ? "object" : null,
    recipient === undefined ? "recipient" : null,
  ]);
  let where = "env_id = ?";
  const params: Value[] = [environmentId];
  const require = (condition: string, value: Value): void => {
    where += ` and ${condition}`;
    params.push(value);
  };
  if (object !== undefined) require("object = ?", partyKey(object));
  if (recipient !== undefined) require("recipient = ?", partyKey(recipient));
  if (objects !== undefined) require(among(dialect, "object"), textList(dialect, objects.map(partyKey)));
  if (recipients !== undefined) require(among(dialect, "recipient"), textList(dialect, recipients.map(partyKey)));
  if (params.length === 1) throw new Error("subscriptions are listed by object or by recipient");
  const sql = `select * from object_subscriptions where ${where}${way.where} order by ${way.orderBy} limit ?`;
  const { rows } = yield* run(text(dialect, sql, [...params, ...way.params, way.limit]));
  return pageInTime(rows.map(subscriptionOf), walk, (one) =>
    keyInTime(one.createdAt, partyKey(one.object), partyKey(one.recipient)),
  );
}

function subscriptionOf(row: Row): ObjectSubscription {
  const subscription = row as unknown as RowOf<"object_subscriptions">;
  return {
    object: partyOf(subscription.object),
    recipient: partyOf(subscription.recipient),
    properties: decodeJson(subscription.properties),
    createdAt: subscription.created_at,
    updatedAt: subscription.updated_at,
  };
}
