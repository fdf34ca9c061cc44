/** Writing properties of users and objects, many at once and as part of whatever operation. */
import { Refusal } from "../engine/refusal.ts";
import { isUser, type PartyRef, partyKey, TENANTS } from "../engine/workflow/model.ts";
import type { Millis } from "../lib/clock.ts";
import { deepMerge, type JsonObject } from "../lib/json.ts";
import { type Dialect, type Operation, type Row, run } from "./database.ts";
import { requireParty } from "./party-keys.ts";
import { byCodePoints, decodeObject, encodeJson, insert } from "./text.ts";

/** Where one kind of party lies. */
interface Home {
  readonly table: "users" | "objects";
  readonly body: "profile" | "properties";
  /** Beside the environment. */
  readonly key: readonly string[];
  keyOf(party: PartyRef): readonly string[];
}

const HOMES: readonly Home[] = [
  { table: "users", body: "profile", key: ["user_id"], keyOf: ({ id }) => [id] },
  { table: "objects", body: "properties", key: ["collection", "id"], keyOf: ({ collection, id }) => [collection, id] },
];

export interface PropertyUpdate {
  readonly party: PartyRef;
  readonly properties: JsonObject;
}

/**
 * Merges properties deeply into users and objects, in order; who is not there is created. They stay locked until the
 * operation ends.
 *
 * What cannot be written is left out, because an operation may speak for many who must not fail with one: parties that
 * cannot be stored as they are named, properties that are nested too deeply, and tenants, whose are in their documents.
 * @param refuses throws Refusal("invalid") for these instead.
 */
export function* mergeProperties(
  dialect: Dialect,
  environmentId: string,
  updates: readonly PropertyUpdate[],
  at: Millis,
  refuses = false,
): Operation<void> {
  const wanted = updates.filter(({ party }) => refuses || !isRefused(() => requireHome(party)));
  for (const { party } of wanted) requireHome(party);
  for (const home of HOMES) {
    const mine = wanted.filter(({ party }) => isUser(party) === (home.table === "users"));
    if (mine.length > 0) yield* mergeInto(dialect, environmentId, home, mine, at, refuses);
  }
}

function requireHome(party: PartyRef): void {
  requireParty("party", party);
  if (party.collection !== TENANTS) return;
  const message = "a user or an object was expected; properties of a tenant are in its document";
  throw new Refusal("invalid", message, { field: "party" });
}

function isRefused(action: () => unknown): boolean {
  try {
    action();
    return false;
  } catch (error) {
    if (error instanceof Refusal) return true;
    throw error;
  }
}

/** One party with all that is to be merged into it. */
interface Merging {
  readonly key: readonly string[];
  readonly name: string;
  readonly properties: JsonObject[];
}

function* mergeInto(
  dialect: Dialect,
  environmentId: string,
  home: Home,
  updates: readonly PropertyUpdate[],
  at: Millis,
  refuses: boolean,
): Operation<void> {
  const merging = mergingOf(home, updates);
  const old = yield* holdAll(dialect, environmentId, home, merging, at);
  const same = ["env_id", ...home.key].map((column) => `${home.table}.${column} = v.${column}`).join(" and ");
  yield* run({
    kind: "each",
    sql: `update ${home.table} set ${home.body} = v.body, updated_at = v.at from :rows where ${same}`,
    columns: UPDATE_COLUMNS[home.table],
    rows: merging.map(({ key, name, properties }) => [
      environmentId,
      ...key,
      bodyOf(old.get(name) as JsonObject, properties, refuses),
      at,
    ]),
  });
}

function bodyOf(old: JsonObject, properties: readonly JsonObject[], refuses: boolean): string {
  let kept = old;
  for (const over of properties) {
    if (refuses || !isRefused(() => encodeJson(merged(kept, over)))) kept = merged(kept, over);
  }
  return encodeJson(kept);
}

const UPDATE_COLUMNS = {
  users: { env_id: "text", user_id: "text", body: "text", at: "int" },
  objects: { env_id: "text", collection: "text", id: "text", body: "text", at: "int" },
} as const;
const KEY_COLUMNS = {
  users: { env_id: "text", user_id: "text" },
  objects: { env_id: "text", collection: "text", id: "text" },
} as const;
const PLACE_COLUMNS = {
  users: ["env_id", "user_id", "profile", "created_at", "updated_at"],
  objects: ["env_id", "collection", "id", "properties", "created_at", "updated_at"],
} as const;

/** Each party once, in one order for all callers: so that they wait for each other in one direction only. */
function mergingOf(home: Home, updates: readonly PropertyUpdate[]): readonly Merging[] {
  const byName = new Map<string, Merging>();
  for (const { party, properties } of updates) {
    const name = partyKey(party);
    const known = byName.get(name);
    if (known === undefined) byName.set(name, { key: home.keyOf(party), name, properties: [properties] });
    else known.properties.push(properties);
  }
  return [...byName.values()].sort(
    (a, b) => byCodePoints(a.key[0] as string, b.key[0] as string) || byCodePoints(a.key[1] ?? "", b.key[1] ?? ""),
  );
}

/**
 * Locks all of them, those that are not there yet as empty rows put there first: of two calls that meet, the second waits
 * for the first. The rows are part of the transaction and go with it when something throws.
 * @returns what each has, by name.
 */
function* holdAll(
  dialect: Dialect,
  environmentId: string,
  home: Home,
  merging: readonly Merging[],
  at: Millis,
): Operation<ReadonlyMap<string, JsonObject>> {
  const { table, body, key } = home;
  const same = ["env_id", ...key].map((column) => `t.${column} = v.${column}`).join(" and ");
  const keys = key.map((column) => `t.${column}`).join(", ");
  const lock = dialect === "sqlite" ? "" : ` order by ${keys} for update of t`;
  const sql = `select ${keys}, t.${body} as body from :rows join ${table} as t on ${same}${lock}`;
  const held = new Map<string, JsonObject>();
  // Another round only if someone was deleted between the two statements.
  for (let left = merging; left.length > 0; left = left.filter(({ name }) => !held.has(name))) {
    const places = left.map((one) => [environmentId, ...one.key, "{}", at, at]);
    yield* run(insert(table, PLACE_COLUMNS[table], places, `on conflict (env_id, ${key.join(", ")}) do nothing`));
    const rows = left.map((one) => [environmentId, ...one.key]);
    const found = yield* run({ kind: "each", sql, columns: KEY_COLUMNS[table], rows });
    const names = new Map(left.map((one) => [one.key.join("\0"), one.name]));
    const nameOf = (row: Row): string => names.get(key.map((column) => row[column]).join("\0")) as string;
    for (const row of found.rows) held.set(nameOf(row), decodeObject(row.body));
  }
  return held;
}

/** @throws Refusal("invalid") when the two are nested deeper than the stack reaches. */
export function merged(base: JsonObject, over: JsonObject): JsonObject {
  try {
    return deepMerge(base, over);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new Refusal("invalid", "properties were expected; these are nested too deeply", { cause });
  }
}
