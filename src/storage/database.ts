/**
 * One way to talk to two databases. An operation is a generator: it yields statements and gets their results, and
 * never awaits anything else. The SQLite runner drives it to its end within one synchronous turn, the Postgres runner
 * awaits between statements on one client; the operation cannot tell the difference. That is how a store method is
 * written once and how nothing can slip in between `begin` and `commit` on the one connection of SQLite.
 */

import type { Millis } from "../lib/clock.ts";

export type Dialect = "sqlite" | "postgres";
export type Value = string | number | null;
export type Row = { readonly [column: string]: Value };

/** One statement in the words of the database at hand; placeholders are `?` on SQLite and `$1` on Postgres. */
export interface TextStatement {
  readonly kind: "text";
  readonly sql: string;
  readonly params: readonly Value[];
  /** See `only`. */
  readonly only?: true;
}

/** Many rows into one table: a prepared insert for each on SQLite, arrays through `unnest` on Postgres. */
export interface InsertStatement {
  readonly kind: "insert";
  readonly table: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Value[])[];
  /** Text after the values, for example `on conflict (id) do nothing returning id`. Valid on both databases. */
  readonly suffix?: string;
  /** See `only`. */
  readonly only?: true;
}

/**
 * One statement for each of many rows: run once per row on SQLite, once for all of them on Postgres. In `sql` the word
 * `:rows` stands where a table may stand; it becomes a table `v` of one row, or of all. No two rows may touch the same
 * row of the database. Without placeholders of its own, it is valid on both databases.
 */
export interface EachStatement {
  readonly kind: "each";
  readonly sql: string;
  readonly columns: { readonly [column: string]: "text" | "int" };
  readonly rows: readonly (readonly Value[])[];
  /** See `only`. */
  readonly only?: true;
}

export type Statement = TextStatement | InsertStatement | EachStatement;

export interface Result {
  readonly rows: readonly Row[];
  /** Rows inserted, updated or deleted. */
  readonly changes: number;
}

export type Operation<T> = Generator<Statement, T, Result>;

export interface Database {
  readonly dialect: Dialect;
  /** Runs an operation in one transaction; resolves after the commit. What it throws rolls back it alone. */
  write<T>(operation: () => Operation<T>): Promise<T>;
  /**
   * The same for what need not survive a power cut, only a crash of the process: leases, which are over by the time the
   * machine is back. On SQLite that spares waiting for the disk.
   */
  lease<T>(operation: () => Operation<T>): Promise<T>;
  /** Runs an operation that only reads, on one snapshot. */
  read<T>(operation: () => Operation<T>): Promise<T>;
  /** What the clock shows that all who use the database share; null when that is the machine's. */
  time(): Promise<Millis | null>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Runs one statement inside an operation: `const { rows } = yield* run(text(sql, params))`. */
export function* run(statement: Statement): Operation<Result> {
  return yield statement;
}

/**
 * Marks the statement that is the whole operation, so that Postgres need not open a transaction around it: one round
 * trip instead of three. Yielding anything after it is an Error.
 */
export function only<S extends Statement>(statement: S): S {
  return { ...statement, only: true };
}
