/** What a change makes of a device's tags. Pure. */
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { invalid } from "./errors.ts";

const MAX_TAGS = 1_000;
const MAX_TAGS_CHARS = 65_536;

/**
 * The tags after a change. Pure. Null removes a tag; `{operation: "increment" | "append" | "remove", value}` changes one.
 * @throws Refusal("invalid") for values that are neither plain nor a list of plain ones, and for too many.
 */
export function changedTags(tags: JsonObject, changes: JsonObject): JsonObject {
  const changed = new Map(Object.entries(tags));
  for (const [name, change] of Object.entries(changes)) {
    const value = isObject(change) ? operated(name, changed.get(name), change) : checked(name, change ?? null);
    if (value === null) changed.delete(name);
    else changed.set(name, value);
  }
  const all: JsonObject = Object.fromEntries(changed);
  if (changed.size > MAX_TAGS || JSON.stringify(all).length > MAX_TAGS_CHARS) {
    throw invalid("tags", `Expected at most ${MAX_TAGS} tags of ${MAX_TAGS_CHARS} characters in all`);
  }
  return all;
}

function operated(name: string, old: Json | undefined, { operation, value }: JsonObject): Json {
  const given = checked(name, value ?? null);
  const before = old === undefined ? [] : Array.isArray(old) ? (old as readonly Json[]) : [old];
  const listed = Array.isArray(given) ? (given as readonly Json[]) : given === null ? [] : [given];
  switch (operation) {
    case "increment": {
      const sum = Number(old ?? 0) + Number(given);
      if (!Number.isFinite(sum)) throw invalid(`tags.${name}`, "Expected numbers to add");
      return sum;
    }
    case "append":
      return [...before, ...listed.filter((one) => !before.includes(one))];
    case "remove":
      return before.filter((one) => !listed.includes(one));
    default:
      throw invalid(`tags.${name}.operation`, "Expected increment, append or remove");
  }
}

function checked(name: string, value: Json): Json {
  const isPlain = (one: Json): boolean => one === null || typeof one !== "object";
  if (isPlain(value) || (Array.isArray(value) && value.every(isPlain))) return value;
  throw invalid(`tags.${name}`, "Expected a text, a number, a boolean or a list of these");
}
