/** What people configure: small documents, read whole and written by comparing versions. */
import type { Document } from "../engine/model.ts";
import type { DocumentStore, DocumentWrite } from "../engine/ports.ts";
import type { Millis } from "../lib/clock.ts";
import { writeAppMessages } from "./app-accept.ts";
import { type Database, type Dialect, type Operation, type Row, run } from "./database.ts";
import { note } from "./happening-notes.ts";
import type { RowOf } from "./schema.ts";
import { byCodePoints, decodeObject, encodeJson, lockingRows, pageOf, requireId, text, textList } from "./text.ts";

/** Ids of documents are put together from other ids, so they may be longer; kind and id share an index row. */
const MAX_KIND_BYTES = 128;
const MAX_DOCUMENT_ID_BYTES = 2400;

/** A document does not have the version expected of it; undoes what its call has written already. */
class NotAsExpected extends Error {}

interface Key {
  readonly kind: string;
  readonly id: string;
}

/**
 * Documents. The first version is 1. A document that is deleted and written anew begins with 1 again, so a version
 * says nothing about a document's earlier lives. Several writes of one document in one call: each is compared with
 * what stood before the call, and they are applied in order.
 */
export function documentStore(db: Database): DocumentStore {
  const { dialect } = db;
  return {
    read: (environmentId, kind, id) =>
      db.read(function* () {
        const { rows } = yield* run(
          text(dialect, "select * from documents where env_id = ? and kind = ? and id = ?", [environmentId, kind, id]),
        );
        return rows[0] === undefined ? null : documentOf(rows[0]);
      }),

    async readMany(environmentId, keys) {
      if (keys.length === 0) return [];
      return db.read(() => readAll(dialect, environmentId, keys));
    },

    list: (environmentId, kind, page) =>
      db.read(function* () {
        const beyond = page.newestFirst ? "id < ?" : "id > ?";
        const { rows } = yield* run(
          text(
            dialect,
            `select * from documents where env_id = ? and kind = ? ${page.after == null ? "" : `and ${beyond} `}
            order by id ${page.newestFirst ? "desc" : "asc"} limit ?`,
            [environmentId, kind, ...(page.after == null ? [] : [page.after]), page.limit + 1],
          ),
        );
        return pageOf(rows.map(documentOf), page.limit, (document) => document.id);
      }),

    async write(environmentId, writes, at, effects = {}) {
      for (const { kind, id } of writes) {
        requireId("kind", kind, MAX_KIND_BYTES);
        requireId("id", id, MAX_DOCUMENT_ID_BYTES);
      }
      const { told = [], happened = [] } = effects;
      if (writes.length === 0 && told.length === 0 && happened.length === 0) return [];
      const bodies = writes.map((write) => encodeJson(write.body));
      try {
        return await db.write(function* () {
          const versions = yield* compareAndSet(dialect, environmentId, writes, bodies, at);
          yield* writeAppMessages(told);
          yield* note(dialect, happened);
          return versions;
        });
      } catch (error) {
        if (error instanceof NotAsExpected) return null;
        throw error;
      }
    },
  };
}

function* readAll(
  dialect: Dialect,
  environmentId: string,
  keys: readonly Key[],
): Operation<readonly (Document | null)[]> {
  if (dialect === "sqlite") {
    const found: (Document | null)[] = [];
    for (const { kind, id } of keys) {
      const { rows } = yield* run(
        text(dialect, "select * from documents where env_id = ? and kind = ? and id = ?", [environmentId, kind, id]),
      );
      found.push(rows[0] === undefined ? null : documentOf(rows[0]));
    }
    return found;
  }
  const { rows } = yield* run(
    text(
      dialect,
      `select d.* from unnest(?::text[], ?::text[]) with ordinality as k(kind, id, place)
      left join documents d on d.env_id = ? and d.kind = k.kind and d.id = k.id order by k.place`,
      [
        textList(
          dialect,
          keys.map((key) => key.kind),
        ),
        textList(
          dialect,
          keys.map((key) => key.id),
        ),
        environmentId,
      ],
    ),
  );
  return rows.map((row) => (row.id === null ? null : documentOf(row)));
}

/**
 * One document after the other, in the order of their keys, is locked, compared and written, so that two calls wait for
 * each other in one direction only. What was written already is rolled back by what is thrown.
 */
function* compareAndSet(
  dialect: Dialect,
  environmentId: string,
  writes: readonly DocumentWrite[],
  bodies: readonly (string | null)[],
  at: Millis,
): Operation<readonly number[]> {
  const order = writes
    .map((write, place) => ({ write, place, body: bodies[place] as string | null }))
    .sort((a, b) => byCodePoints(a.write.kind, b.write.kind) || byCodePoints(a.write.id, b.write.id));
  const versions = new Array<number>(writes.length).fill(0);
  let last: Key | null = null;
  let before: number | "absent" = "absent";
  for (const { write, place, body } of order) {
    const key = [environmentId, write.kind, write.id];
    const again = last !== null && last.kind === write.kind && last.id === write.id;
    if (!again) before = yield* lockedVersion(dialect, key);
    if (write.expect !== "any" && write.expect !== before) throw new NotAsExpected();
    if (body === null) {
      yield* run(text(dialect, "delete from documents where env_id = ? and kind = ? and id = ?", key));
    } else {
      versions[place] = yield* put(
        dialect,
        key,
        body,
        at,
        write.expect === "absent" && !again ? "do nothing" : REPLACE,
      );
    }
    last = write;
  }
  return versions;
}

function* lockedVersion(dialect: Dialect, key: readonly string[]): Operation<number | "absent"> {
  const sql = `select version from documents where env_id = ? and kind = ? and id = ?${lockingRows(dialect)}`;
  const { rows } = yield* run(text(dialect, sql, key));
  return rows[0] === undefined ? "absent" : (rows[0].version as number);
}

const REPLACE = `do update set body = excluded.body, version = documents.version + 1, updated_at = excluded.updated_at`;

function* put(
  dialect: Dialect,
  key: readonly string[],
  body: string,
  at: Millis,
  onConflict: string,
): Operation<number> {
  const { rows } = yield* run(
    text(
      dialect,
      `insert into documents (env_id, kind, id, body, version, created_at, updated_at) values (?, ?, ?, ?, 1, ?, ?)
      on conflict (env_id, kind, id) ${onConflict} returning version`,
      [...key, body, at, at],
    ),
  );
  // A row that is not there cannot be locked, so only now is it seen that another call has just made one.
  if (rows[0] === undefined) throw new NotAsExpected();
  return rows[0].version as number;
}

function documentOf(row: Row): Document {
  const document = row as unknown as RowOf<"documents">;
  return {
    kind: document.kind,
    id: document.id,
    body: decodeObject(document.body),
    version: document.version,
    createdAt: document.created_at,
    updatedAt: document.updated_at,
  };
}
