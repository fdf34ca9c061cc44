/**
 * The embedded database: one connection, which writes and reads. An operation runs from its first statement to its
 * last within one synchronous turn, so nothing of another can come between, and a read can only see what is committed.
 *
 * **Group commit by turn.** Writes that arrive in one turn of the event loop share one commit, and with it the one
 * `fsync` that full durability costs: measured here, 1,000 callers at once reach 20 times the rate of one commit each.
 * Each runs in its own savepoint: what throws is undone alone.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { Refusal } from "../engine/refusal.ts";
import { TimeSlice } from "../lib/time-slice.ts";
import type { Database, EachStatement, InsertStatement, Operation, Result, Row, Statement, Value } from "./database.ts";
import { SCHEMA_VERSION, stepsFrom } from "./migrations.ts";

/** Distinct texts kept prepared. The program has about 200; lists of variable length make the rest. */
const STATEMENTS_KEPT = 500;
/** Writes of one commit; more wait for the next, so that reads and sockets get their turn between. */
const GROUP_LIMIT = 1000;
/**
 * The same in time: marking 250 items takes 10 ms, a page of an expanding list more, and many may come in one turn. With
 * twelve people who marked 3,000 items each at once, another's write took 340 to 410 ms and takes 20 to 30, in all no longer.
 */
const GROUP_MS = 20;
/** Another process (the CLI) may hold the file for a moment. Waiting for it blocks the event loop, so not for long. */
const BUSY_TIMEOUT_MS = 2000;

/** Primary result codes of SQLite that mean "not now" rather than "wrong": busy, locked, I/O error, full, cannot open. */
const UNAVAILABLE_CODES = new Set([5, 6, 10, 13, 14]);
const TOO_BIG_CODE = 18;

interface Prepared {
  readonly statement: StatementSync;
  readonly returnsRows: boolean;
}

interface Waiting {
  readonly operation: () => Operation<unknown>;
  /** Survives a power cut, if the database is to be durable at all. */
  readonly lasting: boolean;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** What became of one operation of a group, before the commit has decided. */
type Ran = { readonly done: true; readonly value: unknown } | { readonly done: false; readonly error: unknown };

/**
 * Opens (and creates, and brings up to date) the database.
 * @param path of the file; its directory exists. `:memory:` for a database that ends with the process.
 * @param durability `full`: what is committed survives a power cut. `normal`: it survives a crash of the process.
 * @throws Error when the file is no database, or a newer program's.
 */
export function openSqlite(path: string, durability: "full" | "normal"): Database {
  const connection = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    connection.exec("pragma journal_mode = wal");
    connection.exec(`pragma synchronous = ${durability}`);
    // 32 MiB of log: a page that changes again before it is copied back is copied once. Sends to scattered users cost
    // 74 to 90 µs each with the usual 1,000 pages, 57 to 71 µs with 8,000; no more is gained beyond.
    connection.exec("pragma wal_autocheckpoint = 8000");
    // 64 MiB of pages: the inner pages of every index of a database of some ten gigabytes.
    connection.exec("pragma cache_size = -65536");
    connection.exec("pragma temp_store = memory");
    migrate(connection);
  } catch (error) {
    connection.close();
    throw error;
  }
  return new SqliteDatabase(connection, durability);
}

class SqliteDatabase implements Database {
  readonly dialect = "sqlite";
  readonly #connection: DatabaseSync;
  /** By text, the least recently used first. */
  readonly #prepared = new Map<string, Prepared>();
  #waiting: Waiting[] = [];
  #scheduled = false;
  readonly #isFull: boolean;
  /** Whether commits wait for the disk at present. */
  #waitsForDisk: boolean;

  constructor(connection: DatabaseSync, durability: "full" | "normal") {
    this.#connection = connection;
    this.#isFull = durability === "full";
    this.#waitsForDisk = this.#isFull;
  }

  write<T>(operation: () => Operation<T>): Promise<T> {
    return this.#add(operation, true);
  }

  lease<T>(operation: () => Operation<T>): Promise<T> {
    return this.#add(operation, false);
  }

  #add<T>(operation: () => Operation<T>, lasting: boolean): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ operation, lasting, resolve: resolve as (value: unknown) => void, reject });
      if (this.#scheduled) return;
      this.#scheduled = true;
      setImmediate(() => this.#drain());
    });
  }

  async read<T>(operation: () => Operation<T>): Promise<T> {
    this.#checkOpen();
    try {
      // Only other processes could write between two statements, but they could.
      this.#prepare("begin").statement.run();
      try {
        return this.#drive(operation());
      } finally {
        if (this.#connection.isTransaction) this.#prepare("commit").statement.run();
      }
    } catch (error) {
      throw translated(error);
    }
  }

  /** One machine, one clock. */
  async time(): Promise<null> {
    return null;
  }

  async ping(): Promise<void> {
    await this.read(function* () {
      yield { kind: "text", sql: "select 1", params: [] };
    });
  }

  /** Commits what waits, then closes. Later calls are refused as unavailable. */
  async close(): Promise<void> {
    while (this.#waiting.length > 0) this.#commitGroup();
    if (!this.#connection.isOpen) return;
    this.#prepared.clear();
    this.#connection.close();
  }

  #checkOpen(): void {
    if (!this.#connection.isOpen) throw new Refusal("unavailable", "the database is closed", { retryAfterMs: 1000 });
  }

  #drain(): void {
    this.#scheduled = false;
    this.#commitGroup();
    if (this.#waiting.length === 0 || this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#drain());
  }

  /** Never throws: every operation of the group is resolved or rejected, after the commit. */
  #commitGroup(): void {
    const group = this.#waiting.splice(0, GROUP_LIMIT);
    if (group.length === 0) return;
    let ran: Ran[];
    try {
      this.#checkOpen();
      if (this.#isFull) this.#waitForDisk(group.some(({ lasting }) => lasting));
      this.#prepare("begin immediate").statement.run();
      ran = group.length === 1 ? [this.#runAlone(group[0] as Waiting)] : this.#runInSavepoints(group);
      this.#waiting.unshift(...group.splice(ran.length));
      if (this.#connection.isTransaction) this.#prepare("commit").statement.run();
    } catch (error) {
      this.#rollBack();
      const cause = translated(error);
      for (const w of group) w.reject(cause);
      return;
    }
    for (const [i, w] of group.entries()) {
      const result = ran[i] as Ran;
      if (result.done) w.resolve(result.value);
      else w.reject(translated(result.error));
    }
  }

  /** The log is synchronized as a whole: a commit that waits makes those before it durable, too. */
  #waitForDisk(wait: boolean): void {
    if (this.#waitsForDisk === wait) return;
    this.#connection.exec(`pragma synchronous = ${wait ? "full" : "normal"}`);
    this.#waitsForDisk = wait;
  }

  /** As many, but at least one, as there is time for. */
  #runInSavepoints(group: readonly Waiting[]): Ran[] {
    const ran: Ran[] = [];
    const slice = new TimeSlice(GROUP_MS);
    for (const w of group) {
      ran.push(this.#runInSavepoint(w));
      if (slice.over) break;
    }
    return ran;
  }

  /** A group of one needs no savepoint: its failure is the transaction's. */
  #runAlone(w: Waiting): Ran {
    try {
      return { done: true, value: this.#drive(w.operation()) };
    } catch (error) {
      this.#rollBack();
      return { done: false, error };
    }
  }

  #runInSavepoint(w: Waiting): Ran {
    this.#prepare("savepoint operation").statement.run();
    try {
      const value = this.#drive(w.operation());
      this.#prepare("release operation").statement.run();
      return { done: true, value };
    } catch (error) {
      // A full disk may have rolled back everything, the others' work too: then nobody may be told it was kept.
      if (!this.#connection.isTransaction) throw error;
      this.#prepare("rollback to operation").statement.run();
      this.#prepare("release operation").statement.run();
      return { done: false, error };
    }
  }

  #rollBack(): void {
    if (this.#connection.isOpen && this.#connection.isTransaction) this.#prepare("rollback").statement.run();
  }

  #drive<T>(operation: Operation<T>): T {
    let step = operation.next();
    while (!step.done) step = operation.next(this.#execute(step.value));
    return step.value;
  }

  #execute(statement: Statement): Result {
    if (statement.kind === "insert") return this.#runEach(insertText(statement), statement.rows);
    if (statement.kind === "each") return this.#runEach(eachText(statement), statement.rows);
    const { statement: prepared, returnsRows } = this.#prepare(statement.sql);
    if (!returnsRows) return { rows: [], changes: Number(prepared.run(...statement.params).changes) };
    const rows = prepared.all(...statement.params) as unknown as Row[];
    return { rows, changes: rows.length };
  }

  #runEach(sql: string, paramsOfEach: readonly (readonly Value[])[]): Result {
    const { statement: prepared, returnsRows } = this.#prepare(sql);
    const rows: Row[] = [];
    let changes = 0;
    for (const params of paramsOfEach) {
      if (!returnsRows) changes += Number(prepared.run(...params).changes);
      else for (const returned of prepared.all(...params)) rows.push(returned as unknown as Row);
    }
    return { rows, changes: returnsRows ? rows.length : changes };
  }

  #prepare(sql: string): Prepared {
    let prepared = this.#prepared.get(sql);
    if (prepared === undefined) {
      const statement = this.#connection.prepare(sql);
      prepared = { statement, returnsRows: statement.columns().length > 0 };
      if (this.#prepared.size >= STATEMENTS_KEPT) this.#forgetOldest();
      this.#prepared.set(sql, prepared);
    } else if (this.#prepared.size > STATEMENTS_KEPT / 2) {
      // Only a cache that fills up needs its order kept; below that, moving entries about would be pure cost.
      this.#prepared.delete(sql);
      this.#prepared.set(sql, prepared);
    }
    return prepared;
  }

  #forgetOldest(): void {
    for (const sql of this.#prepared.keys()) {
      this.#prepared.delete(sql);
      return;
    }
  }
}

/** The texts of inserts by table and columns, so that the hot ones are not built anew for every batch. */
const insertTexts = new WeakMap<readonly string[], string>();

function insertText(insert: InsertStatement): string {
  const known = insert.suffix === undefined ? insertTexts.get(insert.columns) : undefined;
  const head = `insert into ${insert.table} (`;
  // The same list of columns may serve two tables.
  if (known?.startsWith(head)) return known;
  const places = insert.columns.map(() => "?").join(", ");
  const sql = `${head}${insert.columns.map(quoted).join(", ")}) values (${places}) ${insert.suffix ?? ""}`;
  if (insert.suffix === undefined) insertTexts.set(insert.columns, sql);
  return sql;
}

function quoted(column: string): string {
  return `"${column}"`;
}

const eachTexts = new WeakMap<EachStatement["columns"], { readonly from: string; readonly sql: string }>();

function eachText(each: EachStatement): string {
  const known = eachTexts.get(each.columns);
  if (known?.from === each.sql) return known.sql;
  const row = Object.keys(each.columns).map((column) => `? as ${quoted(column)}`);
  const sql = each.sql.replace(":rows", `(select ${row.join(", ")}) as v`);
  eachTexts.set(each.columns, { from: each.sql, sql });
  return sql;
}

function migrate(connection: DatabaseSync): void {
  connection.exec("begin exclusive");
  try {
    const found = connection.prepare("pragma user_version").get() as { user_version: number };
    for (const statement of stepsFrom(found.user_version, "sqlite")) connection.exec(statement);
    connection.exec(`pragma user_version = ${SCHEMA_VERSION}`);
    connection.exec("commit");
  } catch (error) {
    if (connection.isTransaction) connection.exec("rollback");
    throw error;
  }
}

/** Conditions of the machine become refusals; everything else stays what it is. */
function translated(error: unknown): unknown {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return error;
  const code = error.errcode & 0xff;
  if (UNAVAILABLE_CODES.has(code)) {
    return new Refusal("unavailable", "the database cannot be used just now", { cause: error, retryAfterMs: 1000 });
  }
  if (code === TOO_BIG_CODE) return new Refusal("too_large", "a value is too large to be stored", { cause: error });
  return error;
}
