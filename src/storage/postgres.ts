/**
 * The same storage on Postgres. An operation gets one client of the pool and a transaction around it. What two
 * transactions may do to each other (deadlocks, failed serializations) is answered by running the operation again from
 * its beginning, which is why an operation must have no effect but its statements.
 *
 * Postgres may be stopped and started at any time: calls made meanwhile are refused as `unavailable`, later ones find
 * new connections.
 */
import { DatabaseError, Pool, type PoolClient, types } from "pg";
import { Refusal } from "../engine/refusal.ts";
import type { Millis } from "../lib/clock.ts";
import type { Database, EachStatement, InsertStatement, Operation, Result, Row, Statement, Value } from "./database.ts";
import { SCHEMA_VERSION, stepsFrom } from "./migrations.ts";
import { kindOf } from "./schema.ts";

/** For a new connection, and for one of the pool to become free: who waits longer is better told to come back. */
const CONNECT_TIMEOUT_MS = 3000;
/** No statement of ours takes this long; one that does waits for a lock that someone has forgotten. */
const STATEMENT_TIMEOUT_MS = 30_000;
/** Silence longer than this is a dead machine or a cut cable, which no error would tell of. */
const ANSWER_TIMEOUT_MS = 35_000;
const RUNS = 6;
/** Statements known to begin a read of several; more only cost some reads their first statement twice. */
const LONG_READS_KEPT = 1000;
/** Statements prepared by name on each connection, for as long as it lives. */
const NAMED_KEPT = 500;
/** Any number that nobody else on the server uses for an advisory lock. */
const MIGRATION_LOCK = 4_720_185_532;

const BIGINT_OID = 20;
const NUMERIC_OID = 1700;
/** Counts and milliseconds stay far below 2^53, so nothing is lost by reading them as numbers. */
const parsers = {
  getTypeParser: ((oid: number, format?: "text" | "binary") =>
    oid === BIGINT_OID || oid === NUMERIC_OID ? Number : types.getTypeParser(oid, format as "text")) as never,
};

/**
 * Connects and brings the schema up to date.
 * @param poolSize connections at most.
 * @throws Refusal("unavailable") while Postgres cannot be reached, Error when the database is a newer program's.
 */
export async function openPostgres(url: string, poolSize = 10): Promise<Database> {
  const pool = new Pool({
    connectionString: url,
    max: poolSize,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
    idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
    keepAlive: true,
    application_name: "carillon",
    types: parsers,
  });
  // An idle connection that breaks is dropped by the pool; unheard, the event would end the process.
  pool.on("error", () => {});
  // One that breaks while it is handed out, between two statements, tells only itself: the next statement fails.
  pool.on("connect", (client) => client.on("error", () => {}));
  const database = new PostgresDatabase(pool);
  try {
    await migrate(pool);
  } catch (error) {
    await pool.end();
    throw translated(error);
  }
  return database;
}

class PostgresDatabase implements Database {
  readonly dialect = "postgres";
  readonly #pool: Pool;
  /** Texts of first statements of reads that turned out to have more. */
  readonly #longReads = new Set<string>();
  readonly #names = new Map<string, string>();
  #ended = false;
  /** Calls under way, which closing waits for. */
  readonly #running = new Set<Promise<unknown>>();

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  write<T>(operation: () => Operation<T>): Promise<T> {
    return this.#withRetry(async (client) => {
      const running = operation();
      const first = running.next();
      if (first.done) return first.value;
      if (first.value.only) return await this.#driveOnly(client, running, first.value);
      return await this.#inTransaction(client, "begin", running, first);
    });
  }

  /** Servers of Postgres group commits themselves. */
  lease<T>(operation: () => Operation<T>): Promise<T> {
    return this.write(operation);
  }

  /**
   * A read of one statement needs no transaction to see one snapshot. Whether there are more is known only after the
   * first: then the read begins anew inside a transaction, and the next like it goes there at once.
   */
  read<T>(operation: () => Operation<T>): Promise<T> {
    return this.#withRetry(async (client) => {
      const running = operation();
      const first = running.next();
      if (first.done) return first.value;
      const text = first.value.kind === "text" ? first.value.sql : null;
      if (text !== null && !this.#longReads.has(text)) {
        const second = running.next(await this.#execute(client, first.value));
        if (second.done) return second.value;
        running.return(undefined as never);
        if (this.#longReads.size < LONG_READS_KEPT) this.#longReads.add(text);
      }
      const again = text === null ? running : operation();
      const step = text === null ? first : again.next();
      return await this.#inTransaction(client, "begin isolation level repeatable read read only", again, step);
    });
  }

  async time(): Promise<Millis> {
    return await this.read(function* () {
      const sql = "select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now";
      const { rows } = yield { kind: "text", sql, params: [] };
      return rows[0]?.now as Millis;
    });
  }

  async ping(): Promise<void> {
    await this.read(function* () {
      yield { kind: "text", sql: "select 1", params: [] };
    });
  }

  /** Waits for what is under way. Later calls are refused as unavailable. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await Promise.allSettled(this.#running);
    await this.#pool.end();
  }

  #withRetry<T>(run: (client: PoolClient) => Promise<T>): Promise<T> {
    if (this.#ended) {
      return Promise.reject(new Refusal("unavailable", "the database is closed", { retryAfterMs: 1000 }));
    }
    const running = this.#tryRepeatedly(run);
    this.#running.add(running);
    const done = (): unknown => this.#running.delete(running);
    running.then(done, done);
    return running;
  }

  async #tryRepeatedly<T>(run: (client: PoolClient) => Promise<T>): Promise<T> {
    for (let round = 1; ; round++) {
      try {
        return await this.#withClient(run);
      } catch (error) {
        if (!isConflict(error) || round === RUNS) throw translated(error);
        // Those who met once should not meet again in step.
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 5 * 2 ** round));
      }
    }
  }

  async #withClient<T>(run: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await asked(this.#pool.connect());
    let lost = false;
    try {
      return await run(client);
    } catch (error) {
      lost = isLost(error);
      throw error;
    } finally {
      client.release(lost);
    }
  }

  async #driveOnly<T>(client: PoolClient, running: Operation<T>, statement: Statement): Promise<T> {
    const end = running.next(await this.#execute(client, statement));
    if (!end.done) throw new Error("an operation went on after a statement marked as its only one");
    return end.value;
  }

  async #inTransaction<T>(
    client: PoolClient,
    begin: string,
    running: Operation<T>,
    first: IteratorResult<Statement, T>,
  ): Promise<T> {
    await asked(client.query(begin));
    try {
      let step = first;
      while (!step.done) step = running.next(await this.#execute(client, step.value));
      await asked(client.query("commit"));
      return step.value;
    } catch (error) {
      // A connection that cannot even roll back is gone, and the transaction with it.
      if (!isLost(error)) await asked(client.query("rollback"));
      throw error;
    }
  }

  async #execute(client: PoolClient, statement: Statement): Promise<Result> {
    if (statement.kind !== "text" && statement.rows.length === 0) return { rows: [], changes: 0 };
    const sql = textOf(statement);
    const values =
      statement.kind === "text" ? (statement.params as Value[]) : transposed(widthOf(statement), statement.rows);
    const name = this.#nameOf(sql);
    const result = await asked(
      client.query<{ [column: string]: Value }>(
        name === undefined ? { text: sql, values } : { name, text: sql, values },
      ),
    );
    return { rows: result.rows as readonly Row[], changes: result.rowCount ?? 0 };
  }

  /** Planning costs as much as running a small statement, so the first so many texts are prepared. */
  #nameOf(sql: string): string | undefined {
    let name = this.#names.get(sql);
    if (name === undefined && this.#names.size < NAMED_KEPT) {
      name = `s${this.#names.size}`;
      this.#names.set(sql, name);
    }
    return name;
  }
}

function textOf(statement: Statement): string {
  if (statement.kind === "text") return statement.sql;
  return statement.kind === "insert" ? insertText(statement) : eachText(statement);
}

function widthOf(statement: InsertStatement | EachStatement): number {
  return statement.kind === "insert" ? statement.columns.length : Object.keys(statement.columns).length;
}

const insertTexts = new WeakMap<readonly string[], { readonly key: string; readonly sql: string }>();

function insertText(insert: InsertStatement): string {
  const key = `${insert.table} ${insert.suffix ?? ""}`;
  const known = insertTexts.get(insert.columns);
  // The same list of columns may serve several statements.
  if (known?.key === key) return known.sql;
  const arrays = insert.columns.map(
    (column, i) => `$${i + 1}::${kindOf(insert.table, column).startsWith("int") ? "bigint" : "text"}[]`,
  );
  const columns = insert.columns.map((column) => `"${column}"`).join(", ");
  const sql = `insert into ${insert.table} (${columns}) select * from unnest(${arrays.join(", ")}) ${insert.suffix ?? ""}`;
  insertTexts.set(insert.columns, { key, sql });
  return sql;
}

const eachTexts = new WeakMap<EachStatement["columns"], { readonly from: string; readonly sql: string }>();

function eachText(each: EachStatement): string {
  const known = eachTexts.get(each.columns);
  if (known?.from === each.sql) return known.sql;
  const arrays = Object.values(each.columns).map((kind, i) => `$${i + 1}::${kind === "int" ? "bigint" : "text"}[]`);
  const names = Object.keys(each.columns).map((column) => `"${column}"`);
  const sql = each.sql.replace(":rows", `unnest(${arrays.join(", ")}) as v(${names.join(", ")})`);
  eachTexts.set(each.columns, { from: each.sql, sql });
  return sql;
}

/** One array per column, written out here: the client's own encoder takes twice the time. */
function transposed(width: number, rows: readonly (readonly Value[])[]): string[] {
  return Array.from({ length: width }, (_, column) => {
    let array = "";
    for (const row of rows) {
      const value = row[column] ?? null;
      const element =
        value === null ? "NULL" : typeof value === "number" ? String(value) : `"${value.replace(/["\\]/g, "\\$&")}"`;
      array += array === "" ? element : `,${element}`;
    }
    return `{${array}}`;
  });
}

async function migrate(pool: Pool): Promise<void> {
  const client = await asked(pool.connect());
  const ask = (sql: string, values: Value[] = []) => asked(client.query<{ version: number | null }>(sql, values));
  try {
    await ask("begin");
    // Others that open the same database wait here, and then find nothing left to do.
    await ask("select pg_advisory_xact_lock($1)", [MIGRATION_LOCK]);
    await ask("create table if not exists schema_version (version bigint not null)");
    const { rows } = await ask("select max(version) as version from schema_version");
    const found = rows[0]?.version ?? 0;
    for (const statement of stepsFrom(found, "postgres")) await ask(statement);
    if (found < SCHEMA_VERSION) await ask("insert into schema_version values ($1)", [SCHEMA_VERSION]);
    await ask("commit");
  } catch (error) {
    // The pool is closed over this, and an open transaction ends with its connection.
    client.release(true);
    throw error;
  }
  client.release();
}

/** The client failed rather than the statement: refused, cut off, silent for too long. */
class ConnectionLost extends Error {
  override name = "ConnectionLost";
}

/**
 * Waits for the client. What it throws that is not the server's answer is about the connection: the modules beneath
 * mark such errors in many ways, or not at all, so they are told apart here, where they cannot be anything else.
 */
async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    if (cause instanceof DatabaseError) throw cause;
    throw new ConnectionLost("the connection to Postgres failed", { cause });
  }
}

function isLost(error: unknown): boolean {
  return error instanceof ConnectionLost || (error instanceof DatabaseError && /^(08|57P)/.test(error.code ?? ""));
}

function isConflict(error: unknown): boolean {
  return error instanceof DatabaseError && (error.code === "40001" || error.code === "40P01");
}

/**
 * SQLSTATE classes and codes that mean "not now": connection lost, too little of something (disk, memory,
 * connections), canceled or shut down by the operator, I/O error, no lock to be had, a standby that takes no writes,
 * and conflicts that did not end.
 */
const UNAVAILABLE_STATES = /^(08|53|57|58)|^(55P03|25006|25P03|40001|40P01)$/;

/** Conditions of the machine become refusals; everything else stays what it is. */
function translated(error: unknown): unknown {
  if (error instanceof DatabaseError) {
    const state = error.code ?? "";
    if (state === "22021" || state === "22P05") {
      return new Refusal("invalid", "text without NUL characters was expected", { cause: error });
    }
    if (state === "54000") return new Refusal("too_large", "a value is too large to be stored", { cause: error });
    if (!UNAVAILABLE_STATES.test(state)) return error;
  } else if (!(error instanceof ConnectionLost)) {
    return error;
  }
  return new Refusal("unavailable", "the database cannot be reached just now", { cause: error, retryAfterMs: 1000 });
}
