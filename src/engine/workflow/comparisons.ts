/**
 * How conditions compare values. Numbers and texts that are numbers are compared as numbers, everything else by what it
 * is as JSON, and plain values of different kinds by their text: `true` is "true", null is "". Nothing here throws, or
 * takes longer than reading its input.
 */
import { isObject, type Json } from "../../lib/json.ts";

/** Deeper values are equal to nothing, so that no input overflows the stack. */
const MAX_DEPTH = 32;
/** No leading zeros, no exponents: `007` and `1e3` are likelier to be names than numbers. */
const NUMERIC = /^-?(?:0|[1-9]\d{0,63})(?:\.\d{1,64})?$/;

export function equal(left: Json, right: Json): boolean {
  const key = keyOf(left);
  return key !== null && key === keyOf(right);
}

/**
 * @returns below, at or above 0 as the left is smaller, equal or greater; null where there is no telling: lists, objects,
 *   and something beside nothing (so that a value that is missing is neither more nor less than 5).
 */
export function order(left: Json, right: Json): number | null {
  const [a, b] = [numericOf(left), numericOf(right)];
  if (a !== null && b !== null) return a < b ? -1 : a > b ? 1 : 0;
  const [text, other] = [textOf(left), textOf(right)];
  if (text === null || other === null || (text === "") !== (other === "")) return null;
  return text < other ? -1 : text > other ? 1 : 0;
}

/**
 * Text in text, item in list, or an item that two lists share; of a list beside a text, any of its items. Nothing is
 * contained nowhere: a condition on two values that are both missing does not hold.
 * @param argumentText the argument as it was written, where it stands for itself.
 */
export function contains(value: Json, argument: Json, argumentText: string | null = textOf(argument)): boolean {
  if (isList(value)) return overlaps(value, isList(argument) ? argument : [argument]);
  const text = textOf(value);
  if (text === null) return false;
  if (isList(argument)) return argument.some((item) => isIn(text, textOf(item)));
  return isIn(text, argumentText);
}

/** Whether a list has every item of the argument, which is a list or a single item. */
export function containsAll(value: Json, argument: Json): boolean {
  if (!isList(value)) return false;
  const keys = new Set(value.map((item) => keyOf(item)));
  return (isList(argument) ? argument : [argument]).every((item) => {
    const key = keyOf(item);
    return key !== null && keys.has(key);
  });
}

/** Nothing to speak of: "", null or an empty list. */
export function isEmpty(value: Json | undefined): boolean {
  return value === undefined || value === null || value === "" || (isList(value) && value.length === 0);
}

/** The text of a plain value; null for lists and objects. */
export function textOf(value: Json): string | null {
  if (value === null) return "";
  return typeof value === "object" ? null : String(value);
}

export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

function isIn(text: string, part: string | null): boolean {
  return part !== null && part !== "" && text.includes(part);
}

function overlaps(left: readonly Json[], right: readonly Json[]): boolean {
  const keys = new Set(right.map((item) => keyOf(item)));
  keys.delete(null);
  return left.some((item) => keys.has(keyOf(item)));
}

/** Whole numbers beyond what a double tells apart are kept exact: ids are often made of such digits. */
function numericOf(value: Json): number | bigint | null {
  if (typeof value === "number") return value;
  if (typeof value !== "string" || !NUMERIC.test(value)) return null;
  const number = Number(value);
  return Number.isInteger(number) && !Number.isSafeInteger(number) && !value.includes(".") ? BigInt(value) : number;
}

/** Two values are equal when their keys are. Null: equal to nothing. */
function keyOf(value: Json, depth = 0): string | null {
  const number = numericOf(value);
  if (number !== null) return `n${number}`;
  if (typeof value !== "object" || value === null) return `t${textOf(value)}`;
  if (depth === MAX_DEPTH) return null;
  const parts: string[] = [];
  const entries = isObject(value) ? Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)) : value.entries();
  for (const [name, item] of entries) {
    if (item === undefined) continue;
    const key = keyOf(item, depth + 1);
    if (key === null) return null;
    // With the lengths in front nothing has to be escaped, which at this depth would grow beyond all bounds.
    parts.push(`${String(name).length}:${name}${key.length}:${key}`);
  }
  return (isObject(value) ? "o" : "l") + parts.join("");
}
