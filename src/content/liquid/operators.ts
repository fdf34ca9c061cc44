/** The comparisons of templates, bounded. Values of unlike kinds are unlike and neither is greater. */
import type { Context } from "liquidjs";
import type { TemplateContext } from "./context.ts";
import { isEqual, plain } from "./values.ts";

function isTrue(value: unknown): boolean {
  const bare = plain(value);
  return bare !== null && bare !== false;
}

/** Numbers by value, a text that is a number with numbers, and otherwise texts by their characters. */
function compare(left: unknown, right: unknown): number | null {
  const [a, b] = [plain(left), plain(right)];
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  const [x, y] = [numeric(a), numeric(b)];
  return x === null || y === null ? null : x - y;
}

function numeric(value: unknown): number | null {
  if (typeof value === "number") return value;
  if (typeof value !== "string" || value.trim() === "" || value.length > 400) return null;
  const number = Number(value);
  return Number.isNaN(number) ? null : number;
}

function contains(list: unknown, item: unknown, context: TemplateContext): boolean {
  const [of, wanted] = [plain(list), plain(item)];
  if (Array.isArray(of)) return of.some((inner) => isEqual(inner, wanted, context.budget));
  if (typeof of === "string") {
    if (typeof wanted !== "string" && typeof wanted !== "number") return false;
    const part = String(wanted);
    context.budget.use(searchCost(of.length, part.length));
    return of.includes(part);
  }
  return typeof of === "object" && of !== null && typeof wanted === "string" && Object.hasOwn(of, wanted);
}

/** V8 shifts a long pattern by 250 characters at most, so that looking for one can take length × length / 250. */
export function searchCost(length: number, part: number): number {
  return length + (length * part) / 250;
}

type Binary = (left: unknown, right: unknown, context: Context) => boolean;

function budgeted(body: (left: unknown, right: unknown, context: TemplateContext) => boolean): Binary {
  return (left, right, context) => {
    // The library hands on the context we rendered with.
    const ours = context as TemplateContext;
    ours.budget.step();
    return body(left, right, ours);
  };
}

export const OPERATORS: { readonly [operator: string]: Binary | ((value: unknown) => boolean) } = {
  "==": budgeted((l, r, context) => isEqual(l, r, context.budget)),
  "!=": budgeted((l, r, context) => !isEqual(l, r, context.budget)),
  ">": budgeted((l, r) => (compare(l, r) ?? 0) > 0),
  "<": budgeted((l, r) => (compare(l, r) ?? 0) < 0),
  ">=": budgeted((l, r) => (compare(l, r) ?? -1) >= 0),
  "<=": budgeted((l, r) => (compare(l, r) ?? 1) <= 0),
  contains: budgeted(contains),
  not: (value: unknown) => !isTrue(value),
  and: (l: unknown, r: unknown) => isTrue(l) && isTrue(r),
  or: (l: unknown, r: unknown) => isTrue(l) || isTrue(r),
};
