/**
 * How values pass between the program and the text of SQL: one spelling of statements for both databases, and the
 * checks that keep a caller's odd text from becoming an error of the database.
 */
import type { Page } from "../engine/ports.ts";
import { Refusal } from "../engine/refusal.ts";
import type { JsonObject } from "../lib/json.ts";
import type { Dialect, InsertStatement, TextStatement, Value } from "./database.ts";

/**
 * Longest id, in bytes of UTF-8. Postgres keeps index rows below 2,704 bytes, and the widest keys hold two ids beside
 * the environment's; a longer id would be found out by the database only, and only when it does not compress.
 */
export const MAX_ID_BYTES = 1024;

/** Statements are written out in the source, so they are few; the bound is there should someone compose one. */
const MAX_KNOWN_STATEMENTS = 2000;
const numbered = new Map<string, string>();

/**
 * A statement whose placeholders are `?` in `sql`, for the database at hand. Question marks inside quotes are left
 * alone; the operators of Postgres that are spelled with one cannot be used.
 * @throws Refusal("invalid") when a parameter is text that cannot be stored as it is: NUL characters (Postgres takes
 *   none) and unpaired surrogates (both databases would silently make them U+FFFD, and two ids one).
 */
export function text(dialect: Dialect, sql: string, params: readonly Value[]): TextStatement {
  for (const param of params) if (typeof param === "string") requireStorable(param);
  return { kind: "text", sql: dialect === "sqlite" ? sql : withNumbers(sql), params };
}

/** As the statement of the same name, with the check of `text`. */
export function insert(
  table: string,
  columns: readonly string[],
  rows: readonly (readonly Value[])[],
  suffix?: string,
): InsertStatement {
  for (const row of rows) for (const value of row) if (typeof value === "string") requireStorable(value);
  return suffix === undefined
    ? { kind: "insert", table, columns, rows }
    : { kind: "insert", table, columns, rows, suffix };
}

function withNumbers(sql: string): string {
  const known = numbered.get(sql);
  if (known !== undefined) return known;
  let count = 0;
  const made = sql.replace(/'[^']*'|"[^"]*"|\?/g, (found) => (found === "?" ? `$${++count}` : found));
  if (numbered.size < MAX_KNOWN_STATEMENTS) numbered.set(sql, made);
  return made;
}

/** A condition that holds when `column` is one of a list; its one parameter is made by `textList`. */
export function among(dialect: Dialect, column: string): string {
  return dialect === "sqlite" ? `${column} in (select value from json_each(?))` : `${column} = any(?::text[])`;
}

/** A list of texts as one parameter: JSON on SQLite, an array's text on Postgres. @throws as `text` does. */
export function textList(dialect: Dialect, values: readonly string[]): string {
  for (const value of values) requireStorable(value);
  if (dialect === "sqlite") return JSON.stringify(values);
  return `{${values.map((value) => `"${value.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;
}

/** SQLite has one writer, so whatever an operation reads stays so until it ends; Postgres has to be told. */
export function lockingRows(dialect: Dialect): string {
  return dialect === "sqlite" ? "" : " for update";
}

function requireStorable(value: string): void {
  if (value.includes("\0") || !value.isWellFormed()) {
    throw new Refusal("invalid", "text without NUL characters and unpaired surrogates was expected");
  }
}

/** @throws Refusal("invalid") when the id is empty, cannot be stored as it is, or is longer than an index can hold. */
export function requireId(field: string, id: string, maxBytes = MAX_ID_BYTES): void {
  if (typeof id !== "string" || id === "" || id.includes("\0") || !id.isWellFormed()) {
    throw new Refusal("invalid", `${field}: a text without NUL characters and unpaired surrogates was expected`, {
      field,
    });
  }
  // A UTF-16 unit takes three bytes at most.
  if (id.length * 3 > maxBytes && Buffer.byteLength(id) > maxBytes) {
    throw new Refusal("invalid", `${field}: at most ${maxBytes} bytes were expected, ${Buffer.byteLength(id)} came`, {
      field,
    });
  }
}

/**
 * JSON for a column. Its escapes make NUL characters and unpaired surrogates storable.
 * @throws Refusal("invalid") when the value is nested deeper than the stack reaches.
 */
export function encodeJson(value: JsonObject): string;
export function encodeJson(value: JsonObject | null): string | null;
export function encodeJson(value: JsonObject | null): string | null {
  if (value === null) return null;
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw new Refusal("invalid", "an object that can be written as JSON was expected; this one is nested too deeply", {
      cause,
    });
  }
}

/** Reads a column that `encodeJson` wrote. */
export function decodeJson(value: Value): JsonObject | null {
  return typeof value === "string" ? (JSON.parse(value) as JsonObject) : null;
}

/** Reads a JSON column that is never null. */
export function decodeObject(value: Value | undefined): JsonObject {
  return JSON.parse(value as string) as JsonObject;
}

/**
 * The order in which both databases sort text: by code points. Comparing with `<` puts characters beyond U+FFFF before
 * those from U+E000 on.
 */
export function byCodePoints(a: string, b: string): number {
  const end = Math.min(a.length, b.length);
  for (let i = 0; i < end; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return (isSurrogate(x) ? x + 0x10000 : x) - (isSurrogate(y) ? y + 0x10000 : y);
  }
  return a.length - b.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}

/** Makes a page of up to `limit + 1` things read: the one too many only tells that there are more. */
export function pageOf<T>(found: readonly T[], limit: number, key: (item: T) => string): Page<T> {
  const items = found.length > limit ? found.slice(0, limit) : found;
  const last = items.at(-1);
  return { items, next: found.length > limit && last !== undefined ? key(last) : null };
}

/** What strangers answered, as both databases can store it: a try must be recorded whatever came back. */
export function storable(text: string): string;
export function storable(text: string | null): string | null;
export function storable(text: string | null): string | null {
  return text === null ? null : text.replaceAll("\0", "\ufffd").toWellFormed();
}
