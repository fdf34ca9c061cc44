/** Environments and their keys. */
import type { ApiKey, Environment, EnvironmentId, KeyId, KeyMode } from "../engine/model.ts";
import type { EnvironmentStore } from "../engine/ports.ts";
import { Refusal } from "../engine/refusal.ts";
import { type Database, type Dialect, type Operation, only, type Row, run } from "./database.ts";
import { columnsOf, type RowOf } from "./schema.ts";
import { byCodePoints, insert, text } from "./text.ts";

/**
 * Environments, oldest first, and keys, in the order of their ids.
 *
 * `create` and `addKey` reject with Refusal("conflict") when the id or the hash of a key is taken, and write nothing;
 * `update` with Refusal("not_found") when there is no such environment. `findKey` and `keys` give revoked keys too: who
 * lets someone in has to look at `revokedAt`. A key that is revoked again keeps its first time; one that was revoked and is
 * added again to its own environment is valid again, under its first id.
 */
export function environmentStore(db: Database): EnvironmentStore {
  const { dialect } = db;
  return {
    environments: () =>
      db.read(function* () {
        const { rows } = yield* run(text(dialect, "select * from environments order by created_at, id", []));
        return rows.map(environmentOf);
      }),

    create: (environment, keys) =>
      db.write(function* () {
        const e = environment;
        const row = [e.id, e.name, e.signingSecret, e.publicKey, e.appCode, e.feedId, e.createdAt];
        const { changes } = yield* run(
          insert("environments", columnsOf("environments"), [row], "on conflict do nothing"),
        );
        if (changes === 0) throw new Refusal("conflict", `there is an environment with the id ${e.id} already`);
        yield* addKeys(keys);
      }),

    async update(environment) {
      const e = environment;
      const changes = await db.write(function* () {
        const sql = `update environments set name = ?, signing_secret = ?, public_key = ?, app_code = ?, feed_id = ?
          where id = ?`;
        const params = [e.name, e.signingSecret, e.publicKey, e.appCode, e.feedId, e.id];
        return (yield* run(only(text(dialect, sql, params)))).changes;
      });
      if (changes === 0) throw new Refusal("not_found", `there is no environment with the id ${e.id}`);
    },

    keys: (environmentId) =>
      db.read(() => readKeys(dialect, "select * from api_keys where env_id = ? order by id", environmentId)),

    findKey: (hash) =>
      db.read(function* () {
        return (yield* readKeys(dialect, "select * from api_keys where hash = ?", hash))[0] ?? null;
      }),

    addKey: (key) =>
      db.write(function* () {
        const sql = "update api_keys set revoked_at = null where env_id = ? and hash = ? and revoked_at is not null";
        const { changes } = yield* run(text(dialect, sql, [key.environmentId, key.hash]));
        if (changes === 0) yield* addKeys([key]);
      }),

    async revokeKey(environmentId, id, at) {
      return db.write(function* () {
        const sql = "update api_keys set revoked_at = coalesce(revoked_at, ?) where env_id = ? and id = ?";
        return (yield* run(only(text(dialect, sql, [at, environmentId, id])))).changes > 0;
      });
    },
  };
}

function* readKeys(dialect: Dialect, sql: string, param: string): Operation<readonly ApiKey[]> {
  return (yield* run(text(dialect, sql, [param]))).rows.map(keyOf);
}

function* addKeys(keys: readonly ApiKey[]): Operation<void> {
  const rows = [...keys]
    .sort((a, b) => byCodePoints(a.id, b.id))
    .map((key) => [key.id, key.environmentId, key.mode, key.hash, key.hint, key.createdAt, key.revokedAt]);
  const { changes } = yield* run(insert("api_keys", columnsOf("api_keys"), rows, "on conflict do nothing"));
  if (changes < rows.length) throw new Refusal("conflict", "there is a key with this id or this value already");
}

function environmentOf(row: Row): Environment {
  const environment = row as unknown as RowOf<"environments">;
  return {
    id: environment.id as EnvironmentId,
    name: environment.name,
    signingSecret: environment.signing_secret,
    publicKey: environment.public_key,
    appCode: environment.app_code,
    feedId: environment.feed_id,
    createdAt: environment.created_at,
  };
}

function keyOf(row: Row): ApiKey {
  const key = row as unknown as RowOf<"api_keys">;
  return {
    id: key.id as KeyId,
    environmentId: key.env_id as EnvironmentId,
    mode: key.mode as KeyMode,
    hash: key.hash,
    hint: key.hint,
    createdAt: key.created_at,
    revokedAt: key.revoked_at,
  };
}
