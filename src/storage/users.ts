/** Users and what planning a message needs to know of them. */
import type { DeviceToken, EnvironmentId, User } from "../engine/model.ts";
import type { DirectoryStore, RecipientFacts } from "../engine/ports.ts";
import type { JsonObject } from "../lib/json.ts";
import { type Database, type Dialect, type Operation, only, type Row, run } from "./database.ts";
import type { RowOf } from "./schema.ts";
import { decodeJson, decodeObject, encodeJson, lockingRows, requireId, text, textList } from "./text.ts";
import { tokenOf } from "./tokens.ts";

type UserMethods = "facts" | "readUser" | "modifyUser" | "deleteUser";

/** The part of the directory that keeps profiles. */
export function userStore(db: Database): Pick<DirectoryStore, UserMethods> {
  const { dialect } = db;
  return {
    async facts(environmentId, userIds) {
      if (userIds.length === 0) return [];
      return db.read(() =>
        dialect === "sqlite" ? factsOneByOne(environmentId, userIds) : factsAtOnce(environmentId, userIds),
      );
    },
    readUser: (environmentId, userId) =>
      db.read(function* () {
        const { rows } = yield* run(
          text(dialect, "select * from users where env_id = ? and user_id = ?", [environmentId, userId]),
        );
        return rows[0] === undefined ? null : userOf(rows[0]);
      }),
    async modifyUser(environmentId, userId, at, modify) {
      requireId("userId", userId);
      return db.write(() => modifyOne(dialect, environmentId, userId, at, modify));
    },
    deleteUser: (environmentId, userId) =>
      db.write(function* () {
        const sql = "delete from users where env_id = ? and user_id = ?";
        return (yield* run(only(text(dialect, sql, [environmentId, userId])))).changes > 0;
      }),
  };
}

/**
 * A user who does not exist yet has no row to lock, so an empty one is put there first: of two calls that meet, the
 * second waits for it. It is part of the transaction and goes with it when `modify` throws.
 */
function* modifyOne(
  dialect: Dialect,
  environmentId: EnvironmentId,
  userId: string,
  at: number,
  modify: (profile: JsonObject | null) => JsonObject,
): Operation<User> {
  for (;;) {
    const { rows } = yield* run(
      text(dialect, `select * from users where env_id = ? and user_id = ?${lockingRows(dialect)}`, [
        environmentId,
        userId,
      ]),
    );
    const found = rows[0] === undefined ? null : userOf(rows[0]);
    if (found === null) {
      const { changes } = yield* run(
        text(
          dialect,
          `insert into users (env_id, user_id, profile, created_at, updated_at) values (?, ?, '{}', ?, ?)
          on conflict (env_id, user_id) do nothing`,
          [environmentId, userId, at, at],
        ),
      );
      // Someone else was first: theirs is the row to read, unless it is deleted again by then.
      if (changes === 0) continue;
    }
    // What is returned is read back from the text, so that it shares nothing with the caller's objects.
    const profile = encodeJson(modify(found === null ? null : found.profile));
    yield* run(
      text(dialect, "update users set profile = ?, updated_at = ? where env_id = ? and user_id = ?", [
        profile,
        at,
        environmentId,
        userId,
      ]),
    );
    return {
      environmentId,
      id: userId,
      profile: decodeObject(profile),
      createdAt: found?.createdAt ?? at,
      updatedAt: at,
    };
  }
}

/**
 * Rows of device_tokens as JSON, by token. The JSON columns go in as plain text: SQLite's own parser stops at a depth
 * of 1,000 that our columns need not keep to.
 */
const TOKEN_FIELDS =
  "'token', token, 'user_id', user_id, 'provider', provider, 'state', state, 'state_reason', state_reason, " +
  "'expires_at', expires_at, 'device', device, 'properties', properties, 'tracking', tracking, " +
  "'created_at', created_at, 'updated_at', updated_at";

/** Prepared once and run once for each user: 9 µs, parsing included, for one with a profile, a token and a tenant. */
const FACTS_OF_ONE = `select
  (select profile from users where env_id = ?1 and user_id = ?2) as profile,
  (select json_group_array(json_object(${TOKEN_FIELDS}) order by token) from device_tokens
    where env_id = ?1 and user_id = ?2) as tokens,
  (select json_group_array(tenant_id) from (select tenant_id from memberships
    where env_id = ?1 and user_id = ?2 order by tenant_id limit 2)) as tenants`;

const FACTS_OF_MANY = `select u.id as user_id,
  (select profile from users where env_id = $1 and user_id = u.id) as profile,
  (select json_agg(json_build_object(${TOKEN_FIELDS}) order by token)::text from device_tokens
    where env_id = $1 and user_id = u.id) as tokens,
  (select json_agg(tenant_id)::text from (select tenant_id from memberships
    where env_id = $1 and user_id = u.id order by tenant_id limit 2) as two) as tenants
  from unnest($2::text[]) with ordinality as u(id, place) order by u.place`;

function* factsOneByOne(
  environmentId: EnvironmentId,
  userIds: readonly string[],
): Operation<readonly RecipientFacts[]> {
  const found: RecipientFacts[] = [];
  for (const userId of userIds) {
    const { rows } = yield* run(text("sqlite", FACTS_OF_ONE, [environmentId, userId]));
    found.push(factsOf(userId, rows[0] as Row));
  }
  return found;
}

function* factsAtOnce(environmentId: EnvironmentId, userIds: readonly string[]): Operation<readonly RecipientFacts[]> {
  const { rows } = yield* run({
    kind: "text",
    sql: FACTS_OF_MANY,
    params: [environmentId, textList("postgres", userIds)],
  });
  return rows.map((row) => factsOf(row.user_id as string, row));
}

function factsOf(userId: string, row: Row): RecipientFacts {
  return {
    userId,
    profile: decodeJson(row.profile as string | null),
    tokens: parsedList<Row>(row.tokens as string | null).map(tokenOf) as readonly DeviceToken[],
    tenantIds: parsedList<string>(row.tenants as string | null),
  };
}

/** An aggregate over nothing is `[]` on SQLite and null on Postgres. */
function parsedList<T>(list: string | null): readonly T[] {
  return list === null || list === "[]" ? [] : (JSON.parse(list) as readonly T[]);
}

export function userOf(row: Row): User {
  const user = row as unknown as RowOf<"users">;
  return {
    environmentId: user.env_id as EnvironmentId,
    id: user.user_id,
    profile: decodeObject(user.profile),
    createdAt: user.created_at,
    updatedAt: user.updated_at,
  };
}
