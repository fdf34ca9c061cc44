/** Conditions as people write them, checked before they are kept, so that a run meets no surprises. */
import { isObject, type Json } from "../../lib/json.ts";
import { Refusal } from "../refusal.ts";
import { isList } from "./comparisons.ts";
import { isPath, pairOf, withCommasRead } from "./condition-values.ts";
import { isAboutAudience, isAboutTime, isTemplate } from "./conditions.ts";
import { STATUS_ARGUMENTS, statusArgument } from "./message-status.ts";
import type { Condition, Conditions } from "./model.ts";
import { parseRelative, parseTimestamp } from "./timestamps.ts";

const WITHOUT_ARGUMENT = [
  "empty",
  "not_empty",
  "exists",
  "not_exists",
  "is_timestamp",
  "is_not_timestamp",
  "is_timestamp_before_now",
  "is_timestamp_on_or_after_now",
] as const;

export const OPERATORS: ReadonlySet<string> = new Set([
  ...WITHOUT_ARGUMENT,
  "equal_to",
  "not_equal_to",
  "greater_than",
  "less_than",
  "greater_than_or_equal_to",
  "less_than_or_equal_to",
  "contains",
  "not_contains",
  "contains_all",
  "not_contains_all",
  "is_timestamp_before",
  "is_timestamp_on_or_after",
  "is_timestamp_after",
  "is_timestamp_between",
  "is_timestamp_before_date",
  "is_timestamp_on_or_after_date",
  "is_between",
  "is_audience_member",
  "is_not_audience_member",
]);

/** Far more than a person writes; each run evaluates them. */
const MAX_CONDITIONS = 100;
const MAX_VARIABLE_CHARS = 1000;
const MAX_ARGUMENT_CHARS = 10_000;
const MAX_SHOWN_CHARS = 60;

/**
 * @param value `{all: […]}`, `{any: […]}` whose members may be `{all: […]}`, or a list, which means all of it. Keys that
 *   mean nothing are dropped.
 * @returns null where nothing is asked for.
 * @throws Refusal("invalid") with the field at fault, such as `steps[0].conditions.all[1].operator`.
 */
export function checkConditions(value: unknown, field: string): Conditions | null {
  if (value === undefined || value === null) return null;
  if (Array.isArray(value)) return value.length === 0 ? null : { all: checkConditionList(value, field) };
  if (!isObject(value)) throw refusal(field, `expected an object with "all" or "any", got ${named(value)}`);
  if (value.all != null && value.any != null) throw refusal(field, `expected either "all" or "any", got both`);
  if (value.all != null) return { all: checkConditionList(value.all, `${field}.all`) };
  if (value.any == null) return null;
  const parts = checkedList(value.any, `${field}.any`);
  let count = 0;
  const any = parts.map((part: unknown, index) => {
    const path = `${field}.any[${index}]`;
    const checked =
      isObject(part) && part.all != null
        ? { all: checkConditionList(part.all, `${path}.all`) }
        : checkCondition(part, path);
    count += "all" in checked ? checked.all.length : 1;
    if (count > MAX_CONDITIONS) throw refusal(`${field}.any`, `expected at most ${MAX_CONDITIONS} conditions`);
    return checked;
  });
  return { any };
}

/** As `checkConditions`, for a list of conditions that all have to hold. */
export function checkConditionList(value: unknown, field: string): readonly Condition[] {
  return checkedList(value, field).map((condition, index) => checkCondition(condition, `${field}[${index}]`));
}

function checkedList(value: unknown, field: string): readonly unknown[] {
  if (!Array.isArray(value)) throw refusal(field, `expected a list of conditions, got ${named(value)}`);
  if (value.length > MAX_CONDITIONS)
    throw refusal(field, `expected at most ${MAX_CONDITIONS} conditions, got ${value.length}`);
  return value;
}

function checkCondition(value: unknown, field: string): Condition {
  if (!isObject(value)) throw refusal(field, `expected a condition, got ${named(value)}`);
  const { variable, operator, argument } = value;
  if (typeof variable !== "string" || variable.trim() === "" || variable.length > MAX_VARIABLE_CHARS) {
    throw refusal(`${field}.variable`, `expected a path such as "data.plan", got ${named(variable)}`);
  }
  if (typeof operator !== "string" || !OPERATORS.has(operator)) {
    throw refusal(`${field}.operator`, `expected one of ${[...OPERATORS].join(", ")}, got ${named(operator)}`);
  }
  checkArgument(operator, argument, `${field}.argument`);
  return argument === undefined ? { variable, operator } : { variable, operator, argument };
}

function checkArgument(operator: string, argument: Json | undefined, field: string): void {
  if ((WITHOUT_ARGUMENT as readonly string[]).includes(operator)) return;
  const items = isList(argument) ? argument : [argument];
  if (items.length > MAX_CONDITIONS || items.some((item) => typeof item === "object" && item !== null)) {
    throw refusal(field, "expected text, a number, a boolean or a list of up to 100 of these");
  }
  if (items.some((item) => typeof item === "string" && item.length > MAX_ARGUMENT_CHARS)) {
    throw refusal(field, `expected at most ${MAX_ARGUMENT_CHARS} characters`);
  }
  for (const item of items) {
    if (typeof item === "string" && item.startsWith("$message.") && statusArgument(item) === null) {
      throw refusal(field, `expected one of ${STATUS_ARGUMENTS.join(", ")}, got ${named(item)}`);
    }
  }
  if (isAboutAudience(operator) && (typeof argument !== "string" || argument.trim() === "")) {
    throw refusal(field, `expected the key of an audience, got ${named(argument)}`);
  }
  if (operator === "is_timestamp_between") checkTimes(argument, field);
  else if (operator === "is_between") checkPair(argument, field, "numbers");
  else if (isAboutTime(operator)) checkTime(argument, field);
}

function checkTimes(argument: Json | undefined, field: string): void {
  if (isTemplate(argument)) return;
  for (const time of checkPair(argument, field, "times")) checkTime(time, field);
}

function checkPair(argument: Json | undefined, field: string, what: string): readonly (Json | undefined)[] {
  // A path has to lead to a list, which is seen when it is followed.
  if (typeof argument === "string" && isPath(argument) && !argument.includes(",")) return [];
  const written = withCommasRead(argument);
  // What the vendor's editor writes is JSON in a text.
  const range = typeof written === "string" ? decoded(written) : written;
  const [from, until] = pairOf(range);
  if (from === undefined || until === undefined) {
    throw refusal(field, `expected two ${what} such as ["a", "b"], got ${named(argument)}`);
  }
  return [from, until];
}

function checkTime(argument: Json | undefined, field: string): void {
  const text = typeof argument === "string" && argument.startsWith('"') ? decoded(argument) : argument;
  if (typeof text === "string") {
    if (isTemplate(text) || isPath(text) || parseTimestamp(text) !== null) return;
    const relative = parseRelative(text, 0);
    if (relative?.kind === "moment") return;
    if (relative !== null) throw refusal(field, `expected at least 15 minutes, got ${named(text)}`);
  }
  throw refusal(field, `expected a time in ISO 8601, a path or a span such as "7 days ago", got ${named(argument)}`);
}

function decoded(text: string): Json | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function named(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "a list" : "an object";
  const text = typeof value === "string" ? JSON.stringify(value.slice(0, MAX_SHOWN_CHARS)) : String(value);
  return typeof value === "string" && value.length > MAX_SHOWN_CHARS ? `${text}…` : text;
}

function refusal(field: string, message: string): Refusal {
  return new Refusal("invalid", message, { field });
}
