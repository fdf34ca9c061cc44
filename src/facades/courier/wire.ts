/** Reading Courier's requests and writing its answers: schemas, query strings, ids and times. */
import Type, { type TOptional, type TSchema, type TUnion } from "typebox";
import { Refusal } from "../../engine/refusal.ts";
import type { Millis } from "../../lib/clock.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";

// ——— bodies ——————————————————————————————————————————————————————————————————————————————————————————————————————

/** An optional field; Courier treats null as absent. */
export function Maybe<T extends TSchema>(schema: T): TOptional<TUnion<[T, ReturnType<typeof Type.Null>]>> {
  return Type.Optional(Type.Union([schema, Type.Null()]));
}

/** Any JSON object. */
export const AnyObject = Type.Unsafe<JsonObject>({ type: "object" });

/** One of several strings. */
export function OneOf<const T extends readonly string[]>(values: T) {
  return Type.Unsafe<T[number]>({ type: "string", enum: [...values] });
}

const preferences = Maybe(
  Type.Record(
    Type.String(),
    Type.Union([
      Type.Object({
        status: OneOf(["OPTED_IN", "OPTED_OUT", "REQUIRED"]),
        channel_preferences: Maybe(Type.Array(Type.Object({ channel: Type.String() }))),
        rules: Maybe(Type.Array(Type.Object({ until: Type.String(), start: Maybe(Type.String()) }))),
      }),
      Type.Null(),
    ]),
  ),
);

/** By template and by category. Checked when written: an opt-out with a slip in it must not pass for one. */
export const RecipientPreferences = Type.Unsafe<JsonObject>(
  Type.Object({ notifications: preferences, categories: preferences }),
);

// ——— ids chosen by callers ———————————————————————————————————————————————————————————————————————————————————————

const MAX_ID_LENGTH = 512;

/** No alias and no event may begin like this: under it a tracked event is sent that is mapped to no template. */
export const RESERVED_PREFIX = "inbound/";

/**
 * Passes an id on if a database can keep it as text: not empty, at most 512 characters, no NUL, no half of a surrogate
 * pair. @throws Refusal naming `field`.
 */
export function checkId(field: string, id: string): string {
  if (id === "") throw new Refusal("invalid", `${field}: Required`, { field });
  if (id.length > MAX_ID_LENGTH) {
    throw new Refusal("invalid", `${field}: Expected at most ${MAX_ID_LENGTH} characters`, { field });
  }
  return checkText(field, id);
}

/** As `checkId`, for text of any length. */
export function checkText(field: string, text: string): string {
  if (text.includes("\0") || !text.isWellFormed()) {
    throw new Refusal("invalid", `${field}: Expected text without NUL and without broken surrogate pairs`, { field });
  }
  return text;
}

// ——— query strings ———————————————————————————————————————————————————————————————————————————————————————————————

/** One value of a query; undefined when absent or empty. Of several, the last. */
export function queryText(query: unknown, name: string): string | undefined {
  const text = rawQuery(query, name).at(-1);
  return text === undefined || text === "" ? undefined : checkText(name, text);
}

/** Values joined by commas, in repeated keys, or under `name[]`; empty ones dropped. */
export function queryList(query: unknown, name: string): readonly string[] {
  return [...rawQuery(query, name), ...rawQuery(query, `${name}[]`)]
    .flatMap((value) => value.split(","))
    .map((value) => value.trim())
    .filter((value) => value !== "")
    .map((value) => checkText(name, value));
}

/** @throws Refusal when it is neither `true` nor `false`, in any case, nor `1` or `0`. */
export function queryBoolean(query: unknown, name: string): boolean | undefined {
  const text = queryText(query, name)?.toLowerCase();
  if (text === undefined) return undefined;
  if (text === "true" || text === "1") return true;
  if (text === "false" || text === "0") return false;
  throw new Refusal("invalid", `${name}: Expected true or false`, { field: name });
}

function rawQuery(query: unknown, name: string): readonly string[] {
  if (!isObject(query) || !Object.hasOwn(query, name)) return [];
  return [query[name]].flat().filter((value) => typeof value === "string");
}

// ——— times ———————————————————————————————————————————————————————————————————————————————————————————————————————

/** A moment as ISO 8601 in UTC; null stays null. */
export function toIso<T extends Millis | null>(at: T): T extends null ? string | null : string {
  return (at === null ? null : new Date(at).toISOString()) as T extends null ? string | null : string;
}

const ISO_DATE = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$/i;

/** Reads an ISO 8601 date or moment; without a zone it is UTC. Null when it is none. */
export function parseIso(text: string): Millis | null {
  if (!ISO_DATE.test(text)) return null;
  const zoned = /([zZ]|[+-]\d{2}:?\d{2})$/.test(text) || text.length === 10 ? text : `${text}Z`;
  const at = Date.parse(zoned.replace(" ", "T").replace(",", "."));
  return Number.isNaN(at) ? null : at;
}

/** Reads ISO 8601, epoch seconds or epoch milliseconds (numbers from 10^11 on are milliseconds). Null when it is none. */
export function parseMoment(text: string): Millis | null {
  if (!/^\d{1,16}$/.test(text)) return parseIso(text);
  const number = Number(text);
  const at = number >= 1e11 ? number : number * 1000;
  return at <= 8.64e15 ? at : null;
}
