/** Messages of applications: taking them in, reading them, and throwing their content away. */
import type { EnvironmentId } from "../engine/model.ts";
import type { AppId, AppMessage } from "../engine/webhooks/model.ts";
import type { AppMessageFilter, AppMessageStore } from "../engine/webhooks/ports.ts";
import type { Millis } from "../lib/clock.ts";
import { firstIdAt } from "../lib/ids.ts";
import { acceptAppMessages } from "./app-accept.ts";
import { type Database, type Dialect, type Operation, only, run, type Value } from "./database.ts";
import { among, text, textList } from "./text.ts";
import { walkedOf, walking } from "./walk.ts";
import {
  appMessageOf,
  bareMessageOf,
  SELECT_APP_MESSAGE,
  SELECT_APP_MESSAGE_HEAD,
  wordPattern,
} from "./webhook-rows.ts";

type MessageMethods = Pick<
  AppMessageStore,
  "accept" | "read" | "readMany" | "list" | "expunge" | "expungeMany" | "expireContent"
>;

/** Of an `update app_messages`. */
export const WITHOUT_CONTENT = "parameters = null, payload = null, raw = null, payload_until = null";

/** What `AppMessageStore.readMany` asks for. */
type Key = Pick<AppMessage, "environmentId" | "appId" | "id">;
const KEY = { env_id: "text", app_id: "text", id: "text" } as const;

export function appMessageStore(db: Database): MessageMethods {
  const { dialect } = db;

  return {
    async accept(batch) {
      if (batch.length === 0) return [];
      return db.write(() => acceptAppMessages(dialect, batch));
    },

    read: (environmentId, appId, key) =>
      db.read(function* () {
        const [column, value] = typeof key === "string" ? ["id", key] : ["event_id", key.eventId];
        const sql = `select ${SELECT_APP_MESSAGE} from app_messages as m where env_id = ? and app_id = ? and ${column} = ?`;
        const { rows } = yield text(dialect, sql, [environmentId, appId, value]);
        return rows[0] === undefined ? null : appMessageOf(rows[0]);
      }),

    async readMany(keys) {
      if (keys.length === 0) return [];
      return db.read(() => readMany(dialect, keys));
    },

    list: (environmentId, appId, filter, walk, withContent) =>
      db.read(function* () {
        const way = walking(walk, "m.id");
        const range = rangeConditions(dialect, filter, OF_MESSAGE);
        const words = wordConditions(dialect, filter);
        const where = ["m.env_id = ?", "m.app_id = ?", ...way.where, ...range.where, ...words.where];
        const sql = `select ${withContent ? SELECT_APP_MESSAGE : SELECT_APP_MESSAGE_HEAD} from app_messages as m
          where ${where.join(" and ")} order by ${way.orderBy} limit ?`;
        const params = [environmentId, appId, ...way.params, ...range.params, ...words.params, way.limit];
        const { rows } = yield text(dialect, sql, params);
        return walkedOf(rows.map(withContent ? appMessageOf : bareMessageOf), walk);
      }),

    expunge: (environmentId, appId, id) =>
      db.write(function* () {
        const sql = `update app_messages set ${WITHOUT_CONTENT} where env_id = ? and app_id = ? and id = ?`;
        return (yield* run(only(text(dialect, sql, [environmentId, appId, id])))).changes > 0;
      }),

    async expungeMany(environmentId, appId, ids) {
      if (ids.length === 0) return new Set();
      return db.write(() => expungeMany(dialect, environmentId, appId, ids));
    },

    expireContent: (now, limit) => db.write(() => expireContent(dialect, now, limit)),
  };
}

const MATCHING = `cross join app_messages as m where m.env_id = v.env_id and m.app_id = v.app_id and m.id = v.id`;
const READ_EACH = `select ${SELECT_APP_MESSAGE} from :rows ${MATCHING}`;
/** As a text and not as an `each`, so that on Postgres the read is one statement without a transaction around it. */
const READ_ALL = `select ${SELECT_APP_MESSAGE}
  from unnest(?::text[], ?::text[], ?::text[]) as v(env_id, app_id, id) ${MATCHING}`;

function* readMany(dialect: Dialect, keys: readonly Key[]): Operation<readonly (AppMessage | null)[]> {
  const asked = [...new Map(keys.map((key) => [nameOf(key), [key.environmentId, key.appId, key.id]])).values()];
  const column = (i: number): string =>
    textList(
      dialect,
      asked.map((key) => key[i] as string),
    );
  const { rows } = yield* run(
    dialect === "sqlite"
      ? { kind: "each", sql: READ_EACH, columns: KEY, rows: asked }
      : text(dialect, READ_ALL, [column(0), column(1), column(2)]),
  );
  const found = new Map(rows.map((row) => [`${row.env_id} ${row.app_id} ${row.id}`, appMessageOf(row)]));
  return keys.map((key) => found.get(nameOf(key)) ?? null);
}

function nameOf({ environmentId, appId, id }: Key): string {
  return `${environmentId} ${appId} ${id}`;
}

/** See `AppMessageStore.expireContent`. */
export function* expireContent(dialect: Dialect, now: Millis, limit: number): Operation<number> {
  const skipLocked = dialect === "postgres" ? " for update skip locked" : "";
  const sql = `update app_messages set ${WITHOUT_CONTENT} where (app_id, id) in (
    select app_id, id from app_messages where payload_until <= ? order by payload_until limit ?${skipLocked})`;
  return (yield* run(only(text(dialect, sql, [now, limit])))).changes;
}

/** See `AppMessageStore.expungeMany`. */
export function* expungeMany(
  dialect: Dialect,
  environmentId: EnvironmentId,
  appId: AppId,
  ids: readonly AppMessage["id"][],
): Operation<ReadonlySet<AppMessage["id"]>> {
  const sql = `update app_messages set ${WITHOUT_CONTENT}
    where env_id = ? and app_id = ? and ${among(dialect, "id")} returning id`;
  const { rows } = yield* run(text(dialect, sql, [environmentId, appId, textList(dialect, ids)]));
  return new Set(rows.map((row) => row.id as AppMessage["id"]));
}

export interface Conditions {
  readonly where: readonly string[];
  readonly params: readonly Value[];
}

/** Where a statement has what an `AppMessageFilter` asks about. */
export interface FilterColumns {
  /** Times are looked up in these ids. */
  readonly id: string;
  readonly prefix: "msg" | "att";
  readonly eventType: string;
}

const OF_MESSAGE: FilterColumns = { id: "m.id", prefix: "msg", eventType: "m.event_type" };

/** What a filter asks, but for what only the message itself can answer (`wordConditions`). */
export function rangeConditions(
  dialect: Dialect,
  filter: Pick<AppMessageFilter, "from" | "to" | "eventTypes">,
  columns: FilterColumns,
): Conditions {
  const where: string[] = [];
  const params: Value[] = [];
  if (filter.from !== undefined) {
    where.push(`${columns.id} >= ?`);
    params.push(firstIdAt(columns.prefix, filter.from));
  }
  if (filter.to !== undefined) {
    where.push(`${columns.id} < ?`);
    params.push(firstIdAt(columns.prefix, filter.to));
  }
  if (filter.eventTypes !== undefined) {
    where.push(among(dialect, columns.eventType));
    params.push(textList(dialect, filter.eventTypes));
  }
  return { where, params };
}

/** What a filter asks of a message called `m`: its channels and tags. */
export function wordConditions(dialect: Dialect, filter: Pick<AppMessageFilter, "channels" | "tag">): Conditions {
  const where: string[] = [];
  const params: Value[] = [];
  const any = (column: string, words: readonly string[]): void => {
    const patterns = words.map(wordPattern).filter((pattern) => pattern !== null);
    where.push(patterns.length === 0 ? "1 = 0" : `(${patterns.map(() => has(dialect, column)).join(" or ")})`);
    params.push(...patterns);
  };
  if (filter.channels !== undefined) any("m.channels", filter.channels);
  if (filter.tag !== undefined) any("m.tags", [filter.tag]);
  return { where, params };
}

function has(dialect: Dialect, column: string): string {
  return `${dialect === "sqlite" ? "instr" : "strpos"}(${column}, ?) > 0`;
}
