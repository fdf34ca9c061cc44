/**
 * Throwing away what is past its retention, in bounded batches. Everything is found at the beginning of an index on
 * its age, so that a sweep that finds nothing costs nothing, however much is kept.
 */
import type { Delivery } from "../engine/model.ts";
import type { HousekeepingStore, Retention } from "../engine/ports.ts";
import type { Millis } from "../lib/clock.ts";
import { expireContent } from "./app-messages.ts";
import { sweepBatches } from "./batches.ts";
import type { Database, Operation, Row } from "./database.ts";
import { CountChanges } from "./inbox-counts.ts";
import { markLeftInbox } from "./planned.ts";
import { deliveryOf, SELECT_DELIVERY } from "./rows.ts";
import { among, text, textList } from "./text.ts";

/** Tasks that have ended can be asked about for this long. */
const KEEP_TASKS_MS: Millis = 90 * 86_400_000;
/** And bulk operations, which are done before they are answered. */
const KEEP_BULK_OPERATIONS_MS: Millis = 7 * 86_400_000;

export function housekeepingStore(db: Database): HousekeepingStore {
  const { dialect } = db;
  const skipLocked = (table: string): string => (dialect === "postgres" ? ` for update of ${table} skip locked` : "");

  return {
    async sweep(now: Millis, retention: Retention, limit: number): Promise<number> {
      const { capturedMs, inboxMs, messagesMs } = retention;
      // Items before messages: a message whose item has just gone can go in the same batch.
      const parts: ((left: number) => Operation<number>)[] = [
        (left) => expiredKeys(now, left),
        (left) => expireContent(dialect, now, left),
        (left) => endedTasks(now - KEEP_TASKS_MS, left),
        (left) => bulkOperations(now - KEEP_BULK_OPERATIONS_MS, left),
        (left) => openGates(now, left),
        (left) => sweepBatches(dialect, left),
      ];
      if (capturedMs !== null) parts.push((left) => captured(now - capturedMs, left));
      if (inboxMs !== null) parts.push((left) => items(now - inboxMs, left));
      if (messagesMs !== null) {
        parts.push((left) => messages(now - messagesMs, left));
        parts.push((left) => emptyRequests(now - messagesMs, left));
        parts.push((left) => appMessages(now - messagesMs, left));
      }
      let gone = 0;
      for (const part of parts) {
        if (gone >= limit) break;
        const left = limit - gone;
        gone += await db.write(() => part(left));
      }
      return gone;
    },
  };

  function* expiredKeys(now: Millis, limit: number): Operation<number> {
    const sql = `delete from idempotency_keys where (env_id, scope, key) in (
        select env_id, scope, key from idempotency_keys where expires_at <= ? order by expires_at limit ?)
      and expires_at <= ?`;
    return (yield text(dialect, sql, [now, limit, now])).changes;
  }

  function* captured(before: Millis, limit: number): Operation<number> {
    const sql = `delete from captured where (env_id, id) in (
      select env_id, id from captured where at < ? order by at limit ?)`;
    return (yield text(dialect, sql, [before, limit])).changes;
  }

  /** Inbox items, also those of messages that are kept longer. */
  function* items(before: Millis, limit: number): Operation<number> {
    // `cross join` is for the planner of SQLite, which then begins with the messages and their age.
    const sql = `select ${SELECT_DELIVERY} from messages as m cross join deliveries as d
      where m.in_inbox = 1 and m.created_at < ? and d.message_id = m.id and d.bucket is not null and d.created_at < ?
      limit ?${skipLocked("d")}`;
    const { rows } = yield text(dialect, sql, [before, before, limit]);
    if (rows.length === 0) return 0;
    const gone = rows.map(deliveryOf);
    yield text(dialect, `delete from deliveries where ${among(dialect, "id")}`, [list(rows, "id")]);
    yield* markLeftInbox(dialect, gone);
    yield* uncount(rows, gone);
    return rows.length;
  }

  /** Messages nobody waits for any more, with all that belongs to them. */
  function* messages(before: Millis, limit: number): Operation<number> {
    const sql = `select m.env_id, m.id, m.request_id, m.tags from messages as m
      where m.in_inbox = 0 and m.created_at < ? and m.ready_at is null
        and not exists (select 1 from deliveries as d where d.message_id = m.id and d.state = 'pending')
        and not exists (select 1 from runs as r where r.env_id = m.env_id and r.message_id = m.id)
      order by m.created_at limit ?${skipLocked("m")}`;
    const { rows } = yield text(dialect, sql, [before, limit]);
    if (rows.length === 0) return 0;
    const ids = list(rows, "id");
    for (const table of ["attempts", "message_events", "deliveries"]) {
      yield text(dialect, `delete from ${table} where ${among(dialect, "message_id")}`, [ids]);
    }
    yield* untag(rows);
    yield {
      kind: "each",
      sql: "delete from messages where (env_id, id) in (select v.env_id, v.id from :rows)",
      columns: KEY,
      rows: rows.map((row) => [row.env_id ?? null, row.id ?? null]),
    };
    return rows.length + (yield* bereftRequests(rows));
  }

  function* untag(messages: readonly Row[]): Operation<void> {
    const tagged = messages.filter((row) => row.tags !== "[]");
    if (tagged.length === 0) return;
    yield {
      kind: "each",
      sql: `delete from message_tags where (env_id, tag, message_id) in (select v.env_id, v.tag, v.message_id from :rows)`,
      columns: TAG_KEY,
      rows: tagged.flatMap((row) =>
        (JSON.parse(row.tags as string) as string[]).map((tag) => [row.env_id ?? null, tag, row.id ?? null]),
      ),
    };
  }

  /** A request goes with its last message; one still expanding goes when it is empty in the end. */
  function* bereftRequests(messages: readonly Row[]): Operation<number> {
    const distinct = [...new Map(messages.map((row) => [row.request_id, row])).values()];
    const keys = distinct.map((row) => [row.env_id ?? null, row.request_id ?? null]);
    const orphaned = `(env_id, id) in (select v.env_id, v.id from :rows)
      and not exists (select 1 from messages as m where m.request_id = requests.id)`;
    const { changes } = yield {
      kind: "each",
      sql: `delete from requests where ${orphaned} and state = 'expanded'`,
      columns: KEY,
      rows: keys,
    };
    yield { kind: "each", sql: `update requests set has_messages = 0 where ${orphaned}`, columns: KEY, rows: keys };
    return changes;
  }

  function* emptyRequests(before: Millis, limit: number): Operation<number> {
    const sql = `delete from requests where (env_id, id) in (
      select env_id, id from requests where has_messages = 0 and created_at < ? and state = 'expanded'
      order by created_at limit ?)`;
    return (yield text(dialect, sql, [before, limit])).changes;
  }

  /** Messages of applications that no endpoint waits for any more, with all that belongs to them. */
  function* appMessages(before: Millis, limit: number): Operation<number> {
    const sql = `select m.app_id, m.id from app_messages as m
      where m.created_at < ?
        and not exists (select 1 from deliveries as d where d.message_id = m.id and d.state = 'pending')
      order by m.created_at limit ?${skipLocked("m")}`;
    const { rows } = yield text(dialect, sql, [before, limit]);
    if (rows.length === 0) return 0;
    for (const table of ["endpoint_attempts", "deliveries"]) {
      yield text(dialect, `delete from ${table} where ${among(dialect, "message_id")}`, [list(rows, "id")]);
    }
    yield {
      kind: "each",
      sql: "delete from app_messages where (app_id, id) in (select v.app_id, v.id from :rows)",
      columns: APP_KEY,
      rows: rows.map((row) => [row.app_id ?? null, row.id ?? null]),
    };
    return rows.length;
  }

  function* endedTasks(before: Millis, limit: number): Operation<number> {
    const sql = `delete from tasks where (env_id, id) in (
      select env_id, id from tasks where ready_at is null and updated_at < ? order by updated_at limit ?)`;
    return (yield text(dialect, sql, [before, limit])).changes;
  }

  /** Gates that let everybody pass. */
  function* openGates(now: Millis, limit: number): Operation<number> {
    const sql = `delete from gates where (env_id, key) in (
      select env_id, key from gates where over_at <= ? order by over_at limit ?${skipLocked("gates")})`;
    return (yield text(dialect, sql, [now, limit])).changes;
  }

  function* bulkOperations(before: Millis, limit: number): Operation<number> {
    const sql = `delete from bulk_operations where (env_id, id) in (
      select env_id, id from bulk_operations where created_at < ? order by created_at limit ?)`;
    return (yield text(dialect, sql, [before, limit])).changes;
  }

  function* uncount(rows: readonly Row[], items: readonly Delivery[]): Operation<void> {
    const counts = new CountChanges();
    for (const [i, item] of items.entries()) counts.move(item, rows[i]?.bucket as number, null);
    yield* counts.write();
  }

  function list(rows: readonly Row[], column: string): string {
    return textList(
      dialect,
      rows.map((row) => row[column] as string),
    );
  }
}

const KEY = { env_id: "text", id: "text" } as const;
const APP_KEY = { app_id: "text", id: "text" } as const;
const TAG_KEY = { env_id: "text", tag: "text", message_id: "text" } as const;
