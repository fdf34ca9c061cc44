/** What is kept with a party beside its properties: preferences by set, and where it is reached by channel. */
import {
  type PartyDocument,
  type PartyDocumentKind,
  type PartyRef,
  partyKey,
  partyOf,
} from "../engine/workflow/model.ts";
import type { PartyStore, PartyWrite } from "../engine/workflow/ports.ts";
import type { Millis } from "../lib/clock.ts";
import type { JsonObject } from "../lib/json.ts";
import { type Database, type Dialect, type Operation, type Row, run } from "./database.ts";
import { requireParty } from "./party-keys.ts";
import type { RowOf } from "./schema.ts";
import { byCodePoints, decodeObject, encodeJson, insert, requireId, text } from "./text.ts";

type DocumentMethods = "document" | "documents" | "modifyDocument";

/** One document to be written: as it is to be, or how to make it of what is there. */
export interface DocumentWrite {
  readonly party: PartyRef;
  readonly kind: PartyDocumentKind;
  readonly name: string;
  readonly body: PartyWrite["documents"][number]["body"];
}

/** The part of the parties' store that keeps their documents. They may be there before their party is. */
export function partyDocumentStore(db: Database): Pick<PartyStore, DocumentMethods> {
  const { dialect } = db;
  return {
    document: (environmentId, party, kind, name) => db.read(() => readOne(dialect, environmentId, party, kind, name)),

    documents: (environmentId, party, kind) =>
      db.read(function* () {
        const sql = "select * from party_documents where env_id = ? and party = ? and kind = ? order by name";
        const { rows } = yield* run(text(dialect, sql, [environmentId, partyKey(party), kind]));
        return rows.map(documentOf);
      }),

    async modifyDocument(environmentId, party, kind, name, at, modify) {
      const write = { party, kind, name, body: modify };
      requireDocument(write);
      return db.write(function* () {
        yield* writeDocuments(dialect, environmentId, [write], at);
        return yield* readOne(dialect, environmentId, party, kind, name);
      });
    },
  };
}

/** @throws Refusal("invalid") when the document cannot be stored under its name. */
export function requireDocument({ party, name }: DocumentWrite): void {
  requireParty("party", party);
  requireId("name", name);
}

function* readOne(
  dialect: Dialect,
  environmentId: string,
  party: PartyRef,
  kind: PartyDocumentKind,
  name: string,
): Operation<PartyDocument | null> {
  const sql = "select * from party_documents where env_id = ? and party = ? and kind = ? and name = ?";
  const { rows } = yield* run(text(dialect, sql, [environmentId, partyKey(party), kind, name]));
  return rows[0] === undefined ? null : documentOf(rows[0]);
}

const COLUMNS = ["env_id", "party", "kind", "name", "body", "created_at", "updated_at"] as const;
const KEY = { env_id: "text", party: "text", kind: "text", name: "text" } as const;
const SAME = "d.env_id = v.env_id and d.party = v.party and d.kind = v.kind and d.name = v.name";
const REPLACE = `on conflict (env_id, party, kind, name)
  do update set body = excluded.body, updated_at = excluded.updated_at`;
const HOLD_PLACE = "on conflict (env_id, party, kind, name) do nothing returning party, kind, name";
const DELETE = `delete from party_documents where (env_id, party, kind, name) in (
  select v.env_id, v.party, v.kind, v.name from :rows)`;

/** All that is to happen to one document. */
interface Change {
  readonly key: readonly [env: string, party: string, kind: string, name: string];
  readonly bodies: DocumentWrite["body"][];
  /** Undefined until it is known. */
  old: JsonObject | null | undefined;
}

/** Writes documents as part of an operation, several writes of one document in order. The writes have been checked. */
export function* writeDocuments(
  dialect: Dialect,
  environmentId: string,
  writes: readonly DocumentWrite[],
  at: Millis,
): Operation<void> {
  if (writes.length === 0) return;
  const changes = changesOf(environmentId, writes);
  yield* readOld(dialect, changes, at);
  const kept: (readonly [Change, string])[] = [];
  const gone: Change[] = [];
  for (const change of changes) {
    let body = change.old ?? null;
    for (const next of change.bodies) body = typeof next === "function" ? next(body) : next;
    if (body === null) gone.push(change);
    else kept.push([change, encodeJson(body)]);
  }
  if (kept.length > 0) {
    const rows = kept.map(([{ key }, body]) => [...key, body, at, at]);
    yield* run(insert("party_documents", COLUMNS, rows, REPLACE));
  }
  if (gone.length > 0) yield* run({ kind: "each", sql: DELETE, columns: KEY, rows: gone.map(({ key }) => key) });
}

/** Each document once, in the order of keys: so that two calls wait for each other in one direction only. */
function changesOf(environmentId: string, writes: readonly DocumentWrite[]): readonly Change[] {
  const changes = new Map<string, Change>();
  for (const { party, kind, name, body } of writes) {
    const key = [environmentId, partyKey(party), kind, name] as const;
    const known = changes.get(key.join("\0"));
    if (known === undefined) changes.set(key.join("\0"), { key, bodies: [body], old: undefined });
    else known.bodies.push(body);
  }
  return [...changes.values()].sort(
    (a, b) => byCodePoints(a.key[1], b.key[1]) || byCodePoints(a.key[2], b.key[2]) || byCodePoints(a.key[3], b.key[3]),
  );
}

/**
 * Finds out what is there and keeps it so until the operation ends. What is not there cannot be locked, so on Postgres
 * an empty one is put there first where it matters: of two calls that meet, the second waits for it.
 */
function* readOld(dialect: Dialect, changes: readonly Change[], at: Millis): Operation<void> {
  const lock = dialect === "sqlite" ? "" : " order by d.party, d.kind, d.name for update of d";
  const sql = `select d.party, d.kind, d.name, d.body from :rows join party_documents as d on ${SAME}${lock}`;
  for (let unknown = changes; unknown.length > 0; ) {
    const byKey = new Map(unknown.map((change) => [change.key.slice(1).join("\0"), change]));
    const found = yield* run({ kind: "each", sql, columns: KEY, rows: unknown.map(({ key }) => key) });
    for (const row of found.rows) (byKey.get(nameOf(row)) as Change).old = decodeObject(row.body);
    const absent = unknown.filter((change) => change.old === undefined);
    if (dialect === "sqlite") return;
    unknown = absent.filter(({ bodies }) => typeof bodies[0] === "function");
    if (unknown.length === 0) return;
    const places = unknown.map(({ key }) => [...key, "{}", at, at]);
    const held = yield* run(insert("party_documents", COLUMNS, places, HOLD_PLACE));
    for (const row of held.rows) (byKey.get(nameOf(row)) as Change).old = null;
    // Where someone else was first, theirs is to be read, unless it is deleted again by then.
    unknown = unknown.filter((change) => change.old === undefined);
  }
}

function nameOf(row: Row): string {
  return `${row.party}\0${row.kind}\0${row.name}`;
}

export function documentOf(row: Row): PartyDocument {
  const document = row as unknown as RowOf<"party_documents">;
  return {
    party: partyOf(document.party),
    kind: document.kind as PartyDocumentKind,
    name: document.name,
    body: decodeObject(document.body),
    createdAt: document.created_at,
    updatedAt: document.updated_at,
  };
}
