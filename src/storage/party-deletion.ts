/** Deleting parties with what hangs on them: subscriptions, documents, memberships of audiences. What they got stays. */
import { isUser, type PartyRef, partyKey } from "../engine/workflow/model.ts";
import { type Dialect, type Operation, type Row, run } from "./database.ts";
import { among, byCodePoints, lockingRows, text, textList } from "./text.ts";

/** Subscriptions that are deleted in one commit; half a million at once would stop everything else. */
const DELETED_AT_ONCE = 5000;

const SUBSCRIPTION = { env_id: "text", object: "text", recipient: "text" } as const;
const DELETE_SUBSCRIPTIONS = `delete from object_subscriptions where (env_id, object, recipient) in (
  select v.env_id, v.object, v.recipient from :rows)`;

/**
 * Deletes some of the subscriptions that the parties are part of.
 * @returns whether there may be more.
 */
export function* deleteSomeSubscriptions(
  dialect: Dialect,
  environmentId: string,
  parties: readonly PartyRef[],
): Operation<boolean> {
  const keys = textList(dialect, parties.map(partyKey));
  const found: Row[] = [];
  for (const side of ["object", "recipient"]) {
    const left = DELETED_AT_ONCE - found.length;
    if (left === 0) break;
    const sql = `select object, recipient from object_subscriptions where env_id = ? and ${among(dialect, side)} limit ?`;
    found.push(...(yield* run(text(dialect, sql, [environmentId, keys, left]))).rows);
  }
  if (found.length === 0) return false;
  const rows = found.map((row) => [environmentId, row.object as string, row.recipient as string]);
  yield* run({ kind: "each", sql: DELETE_SUBSCRIPTIONS, columns: SUBSCRIPTION, rows });
  return found.length === DELETED_AT_ONCE;
}

const BELONGINGS = [
  { table: "party_documents", column: "party", index: null },
  { table: "object_subscriptions", column: "object", index: null },
  { table: "object_subscriptions", column: "recipient", index: "object_subscriptions_recipient" },
] as const;

/** SQLite has to be told of an index that is not the key: it takes an environment for ten rows, and reads them all. */
function indexed(dialect: Dialect, index: string | null): string {
  return dialect === "sqlite" && index !== null ? ` indexed by ${index}` : "";
}

/** @returns for each whether it was there. */
export function* deleteAll(
  dialect: Dialect,
  environmentId: string,
  parties: readonly PartyRef[],
): Operation<readonly boolean[]> {
  const users = parties.filter(isUser).map(({ id }) => id);
  const objects = parties.filter((party) => !isUser(party));
  const gone = new Set<string>();
  for (const id of yield* deleteUsers(dialect, environmentId, users)) gone.add(partyKey({ collection: "$users", id }));
  for (const object of yield* deleteObjects(dialect, environmentId, objects)) gone.add(object);
  const keys = textList(dialect, parties.map(partyKey));
  for (const { table, column, index } of BELONGINGS) {
    const mine = `${indexed(dialect, index)} where env_id = ? and ${among(dialect, column)}`;
    yield* run(text(dialect, `delete from ${table}${mine}`, [environmentId, keys]));
  }
  return parties.map((party) => gone.has(partyKey(party)));
}

function* deleteUsers(dialect: Dialect, environmentId: string, ids: readonly string[]): Operation<readonly string[]> {
  if (ids.length === 0) return [];
  const params = [environmentId, textList(dialect, ids)];
  const mine = `where env_id = ? and ${among(dialect, "user_id")}`;
  // A delete locks rows in the order of its plan; this makes it the order in which they are written.
  if (dialect === "postgres") {
    yield* run(text(dialect, `select user_id from users ${mine} order by user_id${lockingRows(dialect)}`, params));
  }
  const { rows } = yield* run(text(dialect, `delete from users ${mine} returning user_id`, params));
  yield* run(text(dialect, `delete from audience_members${indexed(dialect, "audience_members_user")} ${mine}`, params));
  return rows.map((row) => row.user_id as string);
}

const OBJECT = { env_id: "text", collection: "text", id: "text" } as const;

/** @returns keys of those that were there. */
function* deleteObjects(
  dialect: Dialect,
  environmentId: string,
  objects: readonly PartyRef[],
): Operation<readonly string[]> {
  if (objects.length === 0) return [];
  const distinct = [...new Map(objects.map((object) => [partyKey(object), object])).values()].sort(
    (a, b) => byCodePoints(a.collection, b.collection) || byCodePoints(a.id, b.id),
  );
  const rows = distinct.map(({ collection, id }) => [environmentId, collection, id]);
  if (dialect === "postgres") {
    const sql = `select o.id from :rows join objects as o on o.env_id = v.env_id and o.collection = v.collection
      and o.id = v.id order by o.collection, o.id for update of o`;
    yield* run({ kind: "each", sql, columns: OBJECT, rows });
  }
  const sql = `delete from objects where (env_id, collection, id) in (
    select v.env_id, v.collection, v.id from :rows) returning collection, id`;
  const deleted = yield* run({ kind: "each", sql, columns: OBJECT, rows });
  return deleted.rows.map((row) => partyKey({ collection: row.collection as string, id: row.id as string }));
}
