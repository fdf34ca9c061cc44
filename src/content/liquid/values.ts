/** Values in templates: what they are as text, as numbers, as lists, and when they are the same. Nothing here trusts a size. */
import { Drop, Tokenizer } from "liquidjs";
import { RenderError } from "../../engine/ports.ts";
import type { Json } from "../../lib/json.ts";
import type { Budget } from "./budget.ts";

/**
 * Text that is markup already: of a capture, of a filter that makes HTML, of an author who says so. Printed as it is
 * where its kind belongs; for filters and comparisons it is plain text.
 */
export class Markup extends Drop {
  /** `author`: whatever is being written, as if it stood in the template. `marked`: has marks of values in it. */
  readonly kind: "html" | "json" | "marked" | "author";
  readonly text: string;

  constructor(kind: Markup["kind"], text: string) {
    super();
    this.kind = kind;
    this.text = text;
  }

  override valueOf(): string {
    return this.text;
  }
}

/** Lists that an author may also print as a whole. */
export class PrintableList extends Array<Json> {
  html = "";
}

/** Nested more deeply than any data of people; recursion ends here. */
const MAX_DEPTH = 60;
/** Pieces and characters that one list may be made of, counting what is in it several times as often as it is. */
const MAX_WEIGHT = 2_000_000;

/** Without wrappers: the literals `nil` and `empty` and pieces of markup are values, too. */
export function plain(value: unknown): unknown {
  if (!(value instanceof Drop)) return value ?? null;
  if (value instanceof Markup) return value.text;
  const inner: unknown = value.valueOf();
  return inner instanceof Drop || typeof inner === "function" ? null : (inner ?? null);
}

/** As it is printed: nothing for null, items of lists one after the other, objects as JSON. @throws RenderError */
export function textOf(value: unknown, budget: Budget): string {
  const bare = plain(value);
  if (typeof bare === "string") return bare;
  if (bare === null) return "";
  if (typeof bare === "number" || typeof bare === "boolean") return String(bare);
  if (Array.isArray(bare)) {
    let text = "";
    for (const item of bare as readonly unknown[]) {
      text += Array.isArray(item) ? jsonOf(item, budget) : textOf(item, budget);
      budget.text(text.length);
    }
    return text;
  }
  return jsonOf(bare, budget);
}

/** @throws RenderError when it is too deep or too long. */
export function jsonOf(value: unknown, budget: Budget, space = 0): string {
  measure(value, budget, budget.limits.textLength);
  const text = JSON.stringify(value, (_key, inner: unknown) => plain(inner), Math.min(Math.max(space, 0), 4)) ?? "null";
  budget.text(text.length);
  return text;
}

/** Liquid counts any text that begins with a number as one, and everything else as 0. */
export function numberOf(value: unknown): number {
  const bare = plain(value);
  if (typeof bare === "number") return Number.isFinite(bare) ? bare : 0;
  if (typeof bare !== "string") return 0;
  const found = Number.parseFloat(bare.slice(0, 400));
  return Number.isFinite(found) ? found : 0;
}

export function listOf(value: unknown): readonly unknown[] {
  const bare = plain(value);
  if (bare === null) return [];
  return Array.isArray(bare) ? bare : [bare];
}

/**
 * Whether what a list is made of is within bounds: templates can put a list into itself over and over, and what is
 * doubled forty times cannot be printed, compared or measured any more. Called wherever a list could grow.
 * @throws RenderError
 */
export function weighed<T>(value: T, budget: Budget): T {
  measure(value, budget, MAX_WEIGHT);
  return value;
}

function measure(value: unknown, budget: Budget, most: number): void {
  let weight = 0;
  const visit = (inner: unknown, depth: number): void => {
    const bare = plain(inner);
    weight += typeof bare === "string" ? bare.length + 1 : 1;
    if (weight > most) throw new RenderError("a list of the template grows too large", { cause: "limit" });
    if (typeof bare !== "object" || bare === null) return;
    if (depth > MAX_DEPTH) throw new RenderError(`values are nested more than ${MAX_DEPTH} deep`, { cause: "limit" });
    if (Array.isArray(bare)) for (const item of bare) visit(item, depth + 1);
    else {
      for (const key of Object.keys(bare)) {
        weight += key.length;
        visit((bare as Record<string, unknown>)[key], depth + 1);
      }
    }
  };
  try {
    visit(value, 0);
  } finally {
    budget.use(weight);
  }
}

/** Same type and same value; lists and objects piece by piece. `empty` and `blank` are equal to what is so. */
export function isEqual(left: unknown, right: unknown, budget: Budget, depth = 0): boolean {
  budget.step();
  if (left === EMPTY || right === EMPTY) return isEmpty(plain(left === EMPTY ? right : left));
  if (left === BLANK || right === BLANK) return isBlank(plain(left === BLANK ? right : left));
  const [a, b] = [plain(left), plain(right)];
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null || depth > MAX_DEPTH) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every(
    (key) =>
      Object.hasOwn(b, key) &&
      isEqual((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key], budget, depth + 1),
  );
}

/** The library has one object for each of its literals. */
const EMPTY = new Tokenizer("empty").readLiteral()?.content;
const BLANK = new Tokenizer("blank").readLiteral()?.content;

function isEmpty(value: unknown): boolean {
  return value === "" || (typeof value === "object" && value !== null && Object.keys(value).length === 0);
}

function isBlank(value: unknown): boolean {
  return value === null || value === false || isEmpty(value) || (typeof value === "string" && value.trim() === "");
}

/** An own property of a value, by name or index, with `size`, `first` and `last` where they mean something. */
export function propertyOf(value: unknown, key: unknown): unknown {
  const of = plain(value);
  const name = plain(key);
  if (of === null || (typeof name !== "string" && typeof name !== "number")) return undefined;
  if (Array.isArray(of)) {
    if (name === "size") return of.length;
    if (name === "first") return of[0];
    if (name === "last") return of.at(-1);
    const index = typeof name === "number" ? name : /^-?\d{1,9}$/.test(name) ? Number(name) : Number.NaN;
    return Number.isInteger(index) ? of.at(index) : undefined;
  }
  if (typeof of === "string") return name === "size" ? of.length : undefined;
  if (typeof of !== "object") return undefined;
  if (Object.hasOwn(of, name)) return (of as Record<string | number, unknown>)[name];
  return name === "size" ? Object.keys(of).length : undefined;
}

/** A path such as `author.name` into a value. */
export function pathOf(value: unknown, path: string): unknown {
  let at = value;
  for (const key of path.slice(0, 1_000).split(".")) at = propertyOf(at, key);
  return at;
}
