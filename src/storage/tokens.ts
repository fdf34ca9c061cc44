/** Device tokens. A token belongs to one user of its environment; putting it on another moves it. */
import type { DeviceToken } from "../engine/model.ts";
import type { DirectoryStore } from "../engine/ports.ts";
import { Refusal } from "../engine/refusal.ts";
import { type Database, type Dialect, type Operation, only, type Row, run } from "./database.ts";
import { columnsOf, type RowOf } from "./schema.ts";
import {
  among,
  byCodePoints,
  decodeJson,
  encodeJson,
  insert,
  lockingRows,
  MAX_ID_BYTES,
  requireId,
  text,
  textList,
} from "./text.ts";
import { dropTokens } from "./token-keys.ts";

/** With an id of `MAX_ID_BYTES` beside it, a token of this length still fits into the index by user. */
const MAX_TOKEN_BYTES = MAX_ID_BYTES + 512;

/**
 * A send reads all of a user's tokens at once, so their number has to end somewhere. People have a handful of devices;
 * what reaches a thousand is a client that registers a new token at every start.
 */
export const MAX_TOKENS_OF_USER = 1000;

type TokenMethods = "tokens" | "putTokens" | "readToken" | "modifyToken" | "deleteToken" | "failTokens";

const OVERWRITE = `on conflict (env_id, token) do update set ${columnsOf("device_tokens")
  .filter((column) => column !== "env_id" && column !== "token")
  .map((column) => `${column} = excluded.${column}`)
  .join(", ")}`;

/**
 * The part of the directory that keeps device tokens. `putTokens` writes every field as it is given, so that it also
 * serves to change one; of the same token twice the last wins. It refuses, having written nothing, what would leave a
 * user with more than `MAX_TOKENS_OF_USER`.
 */
export function tokenStore(db: Database): Pick<DirectoryStore, TokenMethods> {
  const { dialect } = db;
  return {
    tokens: (environmentId, userId) =>
      db.read(function* () {
        const { rows } = yield* run(
          text(dialect, "select * from device_tokens where env_id = ? and user_id = ? order by token", [
            environmentId,
            userId,
          ]),
        );
        return rows.map(tokenOf);
      }),
    async putTokens(environmentId, tokens) {
      if (tokens.length > 0) await db.write(() => putTokens(dialect, environmentId, tokens));
    },
    readToken: (environmentId, userId, token) =>
      db.read(function* () {
        const { rows } = yield* run(
          text(dialect, "select * from device_tokens where env_id = ? and token = ? and user_id = ?", [
            environmentId,
            token,
            userId,
          ]),
        );
        return rows[0] === undefined ? null : tokenOf(rows[0]);
      }),
    modifyToken: (environmentId, userId, token, modify) =>
      db.write(function* () {
        const { rows } = yield* run(
          text(
            dialect,
            `select * from device_tokens where env_id = ? and token = ? and user_id = ?${lockingRows(dialect)}`,
            [environmentId, token, userId],
          ),
        );
        if (rows[0] === undefined) return null;
        const next = modify(tokenOf(rows[0]));
        yield* putTokens(dialect, environmentId, [next]);
        return next;
      }),
    deleteToken: (environmentId, userId, token) => db.write(() => deleteToken(dialect, environmentId, userId, token)),
    async failTokens(environmentId, tokens, reason, at) {
      if (tokens.length > 0) await db.write(() => fail(dialect, environmentId, tokens, reason, at));
    },
  };
}

/** @returns whether the user had it. */
export function* deleteToken(
  dialect: Dialect,
  environmentId: string,
  userId: string,
  token: string,
): Operation<boolean> {
  const sql = "delete from device_tokens where env_id = ? and token = ? and user_id = ?";
  return (yield* run(only(text(dialect, sql, [environmentId, token, userId])))).changes > 0;
}

/** Gives tokens of one user to another. @throws Refusal("invalid") when that user would have too many. */
export function* giveTokens(
  dialect: Dialect,
  environmentId: string,
  tokens: readonly string[],
  from: string,
  into: string,
  at: number,
): Operation<void> {
  if (tokens.length === 0) return;
  const sql = `update device_tokens set user_id = ?, updated_at = ?
    where env_id = ? and user_id = ? and ${among(dialect, "token")}`;
  yield* run(text(dialect, sql, [into, at, environmentId, from, textList(dialect, tokens)]));
  yield* requireRoom(dialect, environmentId, [into]);
}

/** @throws Refusal("invalid"), having written nothing, for what cannot be stored and for too many of one user. */
export function* putTokens(dialect: Dialect, environmentId: string, tokens: readonly DeviceToken[]): Operation<void> {
  for (const { token, userId } of tokens) {
    requireId("token", token, MAX_TOKEN_BYTES);
    requireId("userId", userId);
  }
  // In one order, so that two calls with the same tokens cannot wait for each other.
  const last = [...new Map(tokens.map((token) => [token.token, token])).values()].sort((a, b) =>
    byCodePoints(a.token, b.token),
  );
  const rows = last.map((token) => [
    environmentId,
    token.token,
    token.userId,
    token.provider,
    token.state,
    token.stateReason,
    token.expiresAt,
    encodeJson(token.device),
    encodeJson(token.properties),
    encodeJson(token.tracking),
    token.createdAt,
    token.updatedAt,
  ]);
  yield* run(insert("device_tokens", columnsOf("device_tokens"), rows, OVERWRITE));
  yield* requireRoom(dialect, environmentId, [...new Set(last.map((token) => token.userId))]);
}

/** Looks at what has been written in this operation, which what it throws takes back. */
function* requireRoom(dialect: Dialect, environmentId: string, users: readonly string[]): Operation<void> {
  const sql = `select user_id from device_tokens where env_id = ? and ${among(dialect, "user_id")}
    group by user_id having count(*) > ? limit 1`;
  const { rows } = yield* run(text(dialect, sql, [environmentId, textList(dialect, users), MAX_TOKENS_OF_USER]));
  if (rows.length === 0) return;
  throw new Refusal("invalid", `a user can have at most ${MAX_TOKENS_OF_USER} device tokens`, { field: "token" });
}

/**
 * A token that has failed keeps its first reason, and one that was revoked stays so. The device that had it has none any
 * more, so that its client hears of it and registers another.
 */
function* fail(
  dialect: Dialect,
  environmentId: string,
  tokens: readonly string[],
  reason: string,
  at: number,
): Operation<void> {
  // Devices are locked before tokens, as where a device gets one.
  yield* dropTokens(dialect, environmentId, tokens);
  const usable = `env_id = ? and ${among(dialect, "token")} and state in ('active', 'unknown')`;
  const list = textList(dialect, tokens);
  // An update locks rows in the order of its plan; this select makes it the order of `putTokens`.
  if (dialect === "postgres") {
    const sql = `select token from device_tokens where ${usable} order by token${lockingRows(dialect)}`;
    yield* run(text(dialect, sql, [environmentId, list]));
  }
  yield* run(
    text(dialect, `update device_tokens set state = 'failed', state_reason = ?, updated_at = ? where ${usable}`, [
      // A provider's words: what cannot be stored of them is not worth the rest.
      reason.replaceAll("\0", "").toWellFormed(),
      at,
      environmentId,
      list,
    ]),
  );
}

/** A row of device_tokens, from a select or out of the JSON that gathers a user's tokens. */
export function tokenOf(row: Row): DeviceToken {
  const token = row as unknown as RowOf<"device_tokens">;
  return {
    token: token.token,
    userId: token.user_id,
    provider: token.provider,
    state: token.state as DeviceToken["state"],
    stateReason: token.state_reason,
    expiresAt: token.expires_at,
    device: decodeJson(token.device),
    properties: decodeJson(token.properties),
    tracking: decodeJson(token.tracking),
    createdAt: token.created_at,
    updatedAt: token.updated_at,
  };
}
