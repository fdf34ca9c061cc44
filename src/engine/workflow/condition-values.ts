/** What the variable and the argument of a condition stand for: paths, JSON, or text that means itself. */
import type { Json } from "../../lib/json.ts";
import { isList, textOf } from "./comparisons.ts";
import { resolvePath } from "./paths.ts";
import type { StepScope } from "./ports.ts";

/** `refs` holds what `stepStatus` makes of the steps before. */
export type ConditionScope = Partial<
  Pick<StepScope, "data" | "recipient" | "actor" | "tenant" | "vars" | "workflow" | "run" | "refs">
>;

const PREFIXES = ["data", "recipient", "actor", "tenant", "vars", "workflow", "run", "refs"];
/** The name alone is no path: an argument may well be the word `workflow`. */
const PATH = new RegExp(`^(?:${PREFIXES.join("|")})[.[]\\S+$`);

/** Whether a text is a path that conditions resolve, so `data.plan` but not `data plan`. */
export function isPath(text: string): boolean {
  return PATH.test(text);
}

/** Undefined when there is none, which only `exists` tells from the empty text. */
export function variableOf(variable: string, scope: ConditionScope): Json | undefined {
  const found = lookUp(variable, scope);
  if (found !== undefined) return found;
  // A variable may also be a value itself, as JSON; any other text is a path that leads nowhere.
  const decoded = literal(variable);
  return decoded === variable ? undefined : decoded;
}

export interface Argument {
  readonly value: Json;
  /** For looking it up in a text: as it was written, `1.0` and not `1`. Null for lists and objects. */
  readonly text: string | null;
}

/** What is missing is the empty text. */
export function argumentOf(argument: Json | undefined, scope: ConditionScope): Argument {
  if (typeof argument !== "string") return valued(withPathsResolved(argument ?? "", scope));
  if (isPath(argument)) return valued(lookUp(argument, scope) ?? "");
  const value = withPathsResolved(literal(argument), scope);
  return typeof value === "number" ? { value, text: argument.trim() } : valued(value);
}

function valued(value: Json): Argument {
  return { value, text: textOf(value) };
}

/** The items of a list may be paths; a text that is none was either resolved or meant as it stands. */
function withPathsResolved(value: Json, scope: ConditionScope): Json {
  if (!isList(value)) return value;
  return value.map((item) => (typeof item === "string" && isPath(item) ? (lookUp(item, scope) ?? "") : item));
}

function lookUp(path: string, scope: ConditionScope): Json | undefined {
  return resolvePath(scope as { readonly [name: string]: Json | undefined }, path);
}

/** What a text means that is JSON; the text itself if it is none, or digits that JSON would round. */
function literal(text: string): Json {
  if (!/^\s*(?:[[{"\d-]|true|false|null)/.test(text)) return text;
  try {
    const decoded: Json = JSON.parse(text);
    return Number.isInteger(decoded) && !Number.isSafeInteger(decoded) ? text.trim() : decoded;
  } catch {
    return text;
  }
}

/** The two ends of a range: a list of two. */
export function pairOf(value: Json | undefined): readonly (Json | undefined)[] {
  return isList(value) && value.length === 2 ? value : [undefined, undefined];
}

/** A range may also be written as text with a comma. */
export function withCommasRead(argument: Json | undefined): Json | undefined {
  if (typeof argument !== "string" || !argument.includes(",") || /^\s*\[/.test(argument)) return argument;
  return argument.split(",").map((part) => part.trim());
}
