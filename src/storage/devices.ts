/** Devices: whose they are and where they are reached. Of all devices of an environment, one at most has a token. */
import { hash } from "node:crypto";
import type { Device, EnvironmentId } from "../engine/model.ts";
import type { DeviceStore } from "../engine/ports.ts";
import type { Millis } from "../lib/clock.ts";
import { type Database, type Dialect, type Operation, type Row, run, type Value } from "./database.ts";
import type { RowOf } from "./schema.ts";
import { among, decodeObject, encodeJson, lockingRows, requireId, text, textList } from "./text.ts";
import { tokenKeyOf } from "./token-keys.ts";
import { deleteToken, giveTokens, putTokens } from "./tokens.ts";

/** Users looked at in one step of `languages`. */
const USERS_AT_ONCE = 500;

export function deviceStore(db: Database): DeviceStore {
  const { dialect } = db;
  return {
    read: (environmentId, ids) =>
      db.read(function* () {
        if (ids.length === 0) return [];
        const sql = `select * from devices where env_id = ? and ${among(dialect, "id")}`;
        const { rows } = yield* run(text(dialect, sql, [environmentId, textList(dialect, ids)]));
        const found = new Map(rows.map((row) => [row.id, deviceOf(row)]));
        return ids.map((id) => found.get(id) ?? null);
      }),

    withTokens: (environmentId, tokens) =>
      db.read(function* () {
        if (tokens.length === 0) return [];
        // In the order of an index: for one by id, SQLite reads all devices of the environment (36 ms of 100,000).
        const sql = `select * from devices where env_id = ? and ${among(dialect, "token_key")} and registered = 1
          order by token_key`;
        const { rows } = yield* run(text(dialect, sql, [environmentId, textList(dialect, tokens.map(tokenKeyOf))]));
        return rows.map(deviceOf);
      }),

    async modify(environmentId, id, at, modify, tokens = {}) {
      requireId("hwid", id);
      return db.write(() => modifyOne(dialect, environmentId, id, at, modify, tokens));
    },

    ofUser: (environmentId, userId, limit) =>
      db.read(function* () {
        const sql = `select * from devices where env_id = ? and user_id = ? order by updated_at desc, id limit ?`;
        const { rows } = yield* run(text(dialect, sql, [environmentId, userId, limit]));
        return rows.map(deviceOf);
      }),

    async moveAll(environmentId, from, into, at) {
      requireId("user", into);
      return db.write(function* () {
        const sql = "update devices set user_id = ?, updated_at = ? where env_id = ? and user_id = ? returning token";
        const { rows } = yield* run(text(dialect, sql, [into, at, environmentId, from]));
        const tokens = rows.flatMap(({ token }) => (typeof token === "string" ? [token] : []));
        yield* giveTokens(dialect, environmentId, tokens, from, into, at);
        return rows.length;
      });
    },

    users: (environmentId, page) =>
      db.read(function* () {
        const sql = `select distinct user_id from devices where env_id = ? and user_id > ? and registered = 1
          order by user_id limit ?`;
        const { rows } = yield* run(text(dialect, sql, [environmentId, page.after ?? "", page.limit + 1]));
        const users = rows.map((row) => row.user_id as string);
        const items = users.slice(0, page.limit);
        return { items, next: users.length > page.limit ? (items.at(-1) as string) : null };
      }),

    languages: (environmentId, userIds) =>
      db.read(function* () {
        const languages = new Map<string, string>();
        for (let i = 0; i < userIds.length; i += USERS_AT_ONCE) {
          const some = userIds.slice(i, i + USERS_AT_ONCE);
          const sql = `select user_id, language from devices
            where env_id = ? and ${among(dialect, "user_id")} and language is not null order by updated_at, id`;
          const { rows } = yield* run(text(dialect, sql, [environmentId, textList(dialect, some)]));
          for (const row of rows) languages.set(row.user_id as string, row.language as string);
        }
        return languages;
      }),
  };
}

/** Whoever changes the device or takes the token waits for the others who do, whether there is such a row or not. */
function* modifyOne(
  dialect: Dialect,
  environmentId: EnvironmentId,
  id: string,
  at: Millis,
  modify: Parameters<DeviceStore["modify"]>[3],
  { gets, listed }: NonNullable<Parameters<DeviceStore["modify"]>[4]>,
): Operation<Awaited<ReturnType<DeviceStore["modify"]>>> {
  yield* lock(dialect, [
    `device ${environmentId} ${id}`,
    ...(gets === undefined ? [] : [`token ${environmentId} ${gets}`]),
  ]);
  const before = yield* readLocked(dialect, environmentId, id);
  const next = modify(before);
  if (before !== null && before.token !== null && before.token !== next?.token) {
    yield* deleteToken(dialect, environmentId, before.userId, before.token);
  }
  if (next === null) {
    if (before !== null) {
      yield* run(text(dialect, "delete from devices where env_id = ? and id = ?", [environmentId, id]));
    }
    return { before, after: null, lostToken: [] };
  }
  requireId("user", next.userId);
  const keeps = next.token === null || next.token === before?.token;
  if (!keeps && next.token !== gets) throw new Error("a device was given a token that was not told of");
  const key = next.token === null ? null : tokenKeyOf(next.token);
  const lostToken: Device[] = [];
  if (!keeps) {
    const holding = `env_id = ? and token_key = ? and id <> ?`;
    const mine = [environmentId, key, id];
    const sql = `select * from devices where ${holding} order by id${lockingRows(dialect)}`;
    const { rows } = yield* run(text(dialect, sql, mine));
    lostToken.push(...rows.map(deviceOf));
    if (rows.length > 0) {
      yield* run(text(dialect, `update devices set token = null, token_key = null where ${holding}`, mine));
    }
  }
  const values: Value[] = [
    next.userId,
    next.registered ? 1 : 0,
    next.token,
    key,
    next.language,
    encodeJson(next.info),
    encodeJson(next.tags),
    at,
  ];
  const { rows } = yield* run(
    text(
      dialect,
      `insert into devices (user_id, registered, token, token_key, language, info, tags, updated_at, env_id, id, created_at)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       on conflict (env_id, id) do update set user_id = excluded.user_id, registered = excluded.registered,
         token = excluded.token, token_key = excluded.token_key, language = excluded.language, info = excluded.info,
         tags = excluded.tags, updated_at = excluded.updated_at
       returning *`,
      [...values, environmentId, id, at],
    ),
  );
  const after = deviceOf(rows[0] as Row);
  const entry = after.token === null ? null : listed?.({ ...after, token: after.token }, before);
  if (entry != null) yield* putTokens(dialect, environmentId, [entry]);
  return { before, after, lostToken };
}

/** On SQLite there is one writer. Always in the same order, so that nobody waits for each other. */
function* lock(dialect: Dialect, names: readonly string[]): Operation<void> {
  if (dialect === "sqlite") return;
  const keys = names.map(lockKeyOf).sort((a, b) => a - b);
  for (const key of keys) yield* run(text(dialect, "select pg_advisory_xact_lock(?::bigint)", [key]));
}

/** Two things with the same key only wait for each other without need. 52 bits: a number that JavaScript knows. */
function lockKeyOf(name: string): number {
  return Number.parseInt(hash("sha256", name, "hex").slice(0, 13), 16);
}

function* readLocked(dialect: Dialect, environmentId: EnvironmentId, id: string): Operation<Device | null> {
  const sql = `select * from devices where env_id = ? and id = ?${lockingRows(dialect)}`;
  const { rows } = yield* run(text(dialect, sql, [environmentId, id]));
  return rows[0] === undefined ? null : deviceOf(rows[0]);
}

function deviceOf(found: Row): Device {
  const row = found as RowOf<"devices">;
  return {
    id: row.id,
    userId: row.user_id,
    registered: row.registered === 1,
    token: row.token,
    language: row.language,
    info: decodeObject(row.info),
    tags: decodeObject(row.tags),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
