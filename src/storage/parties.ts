/** Users and objects alike: what planning needs to know of them, writing many of them at once, and deleting them. */
import type { EnvironmentId, User } from "../engine/model.ts";
import type { Page } from "../engine/ports.ts";
import {
  keyInTime,
  type PartyDocumentKind,
  type PartyObject,
  type PartyRef,
  partyKey,
  USERS,
} from "../engine/workflow/model.ts";
import type { PartyFacts, PartyStore, PartyWrite, Walk } from "../engine/workflow/ports.ts";
import type { Millis } from "../lib/clock.ts";
import { type Database, type Dialect, type Operation, type Row, run } from "./database.ts";
import { deleteAll, deleteSomeSubscriptions } from "./party-deletion.ts";
import { requireDocument, writeDocuments } from "./party-documents.ts";
import { isStorable, PARTY_COLUMNS, partyValues, requireParty } from "./party-keys.ts";
import { mergeProperties, type PropertyUpdate } from "./party-properties.ts";
import type { RowOf } from "./schema.ts";
import { changeTenants } from "./tenant-changes.ts";
import { decodeJson, decodeObject, text } from "./text.ts";
import { userOf } from "./users.ts";
import { pageInTime, walkingInTime } from "./walk-in-time.ts";

type PartyMethods = "facts" | "write" | "delete" | "users" | "objects";

/**
 * The part of the parties' store that keeps the parties themselves. `delete` takes the subscribers of an object away in
 * batches before it, each of them one commit: after a crash the call has to be made again.
 */
export function partyStore(db: Database): Pick<PartyStore, PartyMethods> {
  const { dialect } = db;
  return {
    async facts(environmentId, parties) {
      if (parties.length === 0) return [];
      return db.read(() => factsOf(dialect, environmentId, parties));
    },

    async write(environmentId, writes, at, tenants = []) {
      if (writes.length === 0 && tenants.length === 0) return [];
      const updates: PropertyUpdate[] = [];
      for (const { party, properties } of writes) {
        requireParty("party", party);
        if (properties !== null) updates.push({ party, properties });
      }
      const documents = writes.flatMap(documentsOf);
      for (const document of documents) requireDocument(document);
      return db.write(function* () {
        yield* mergeProperties(dialect, environmentId, updates, at, true);
        yield* writeDocuments(dialect, environmentId, documents, at);
        yield* changeTenants(dialect, environmentId, tenants, at);
        const parties = writes.map(({ party }) => party);
        return parties.length === 0 ? [] : yield* factsOf(dialect, environmentId, parties);
      });
    },

    async delete(environmentId, parties) {
      for (const party of parties) requireParty("party", party);
      if (parties.length === 0) return [];
      while (await db.write(() => deleteSomeSubscriptions(dialect, environmentId, parties)));
      return db.write(() => deleteAll(dialect, environmentId, parties));
    },

    users: (environmentId, walk) =>
      db.read(function* (): Operation<Page<User>> {
        const way = walkingInTime(walk, "created_at", ["user_id"]);
        const sql = `select * from users where env_id = ?${way.where} order by ${way.orderBy} limit ?`;
        const { rows } = yield* run(text(dialect, sql, [environmentId, ...way.params, way.limit]));
        return pageInTime(rows.map(userOf), walk, ({ createdAt, id }) => keyInTime(createdAt, id));
      }),

    objects: (environmentId, collection, walk) => db.read(() => objectsOf(dialect, environmentId, collection, walk)),
  };
}

function documentsOf({ party, documents }: PartyWrite) {
  return documents.map(({ kind, name, body }) => ({ party, kind, name, body }));
}

/**
 * One statement for parties of all kinds: on Postgres a trigger then costs one round trip and no transaction. The bodies
 * of documents go in as plain text (see users.ts on device tokens).
 */
const factsText = (
  gather: string,
  list: string,
): string => `select v.place, coalesce(u.profile, o.properties) as properties,
    coalesce(u.created_at, o.created_at) as created_at, coalesce(u.updated_at, o.updated_at) as updated_at,
    (select cast(${gather}(${list}(d.kind, d.name, d.body, d.created_at, d.updated_at) order by d.kind, d.name) as text)
      from party_documents as d
      where d.env_id = v.env_id and d.party = v.party and d.kind <> 'guide') as documents
  from :rows
    left join users as u on u.env_id = v.env_id and u.user_id = v.user_id
    left join objects as o on o.env_id = v.env_id and o.collection = v.collection and o.id = v.id`;
const FACTS = {
  sqlite: factsText("json_group_array", "json_array"),
  postgres: factsText("json_agg", "json_build_array"),
};
const FACTS_COLUMNS = { place: "int", env_id: "text", party: "text", ...PARTY_COLUMNS } as const;

/** In the order of `parties`. A party that could not be stored under its name is one that nobody has identified. */
function* factsOf(
  dialect: Dialect,
  environmentId: EnvironmentId,
  parties: readonly PartyRef[],
): Operation<readonly PartyFacts[]> {
  const keys = parties.map(partyKey);
  const distinct = new Map(keys.map((key, i) => [key, parties[i] as PartyRef]));
  const asked = [...distinct].filter(([key]) => isStorable(key));
  const { rows } = yield* run({
    kind: "each",
    sql: FACTS[dialect],
    columns: FACTS_COLUMNS,
    rows: asked.map(([key, party], place) => [place, environmentId, key, ...partyValues(party)]),
  });
  const found = new Map<string, PartyFacts>();
  for (const row of rows) {
    const [key, party] = asked[row.place as number] as [string, PartyRef];
    found.set(key, factsOfRow(party, row));
  }
  return keys.map((key, i) => found.get(key) ?? factsOfRow(parties[i] as PartyRef, NOBODY));
}

const NOBODY: Row = { properties: null, created_at: null, updated_at: null, documents: null };

type Gathered = readonly [
  kind: Exclude<PartyDocumentKind, "guide">,
  name: string,
  body: string,
  created: Millis,
  updated: Millis,
];

function factsOfRow(party: PartyRef, row: Row): PartyFacts {
  // An aggregate over nothing is `[]` on SQLite and null on Postgres.
  const gathered = JSON.parse((row.documents as string | null) ?? "[]") as readonly Gathered[];
  return {
    party,
    properties: decodeJson(row.properties as string | null),
    createdAt: row.created_at as Millis | null,
    updatedAt: row.updated_at as Millis | null,
    documents: gathered.map(([kind, name, body, createdAt, updatedAt]) => {
      return { party, kind, name, body: decodeObject(body), createdAt, updatedAt };
    }),
  };
}

function* objectsOf(
  dialect: Dialect,
  environmentId: EnvironmentId,
  collection: string,
  walk: Walk,
): Operation<Page<PartyObject>> {
  const way = walkingInTime(walk, "created_at", ["id"]);
  const sql = `select * from objects where env_id = ? and collection = ?${way.where} order by ${way.orderBy} limit ?`;
  // Users are no objects, whatever their collection is called.
  if (collection === USERS) return { items: [], next: null };
  const { rows } = yield* run(text(dialect, sql, [environmentId, collection, ...way.params, way.limit]));
  return pageInTime(rows.map(objectOf), walk, ({ createdAt, id }) => keyInTime(createdAt, id));
}

function objectOf(row: Row): PartyObject {
  const object = row as unknown as RowOf<"objects">;
  return {
    collection: object.collection,
    id: object.id,
    properties: decodeObject(object.properties),
    createdAt: object.created_at,
    updatedAt: object.updated_at,
  };
}
