/** The `if` of an element in both its forms: an expression, or what the designer writes. */
import { compileExpression, compileExpressionValue } from "../../lib/expression.ts";
import { isObject, type Json } from "../../lib/json.ts";
import type { Rendering } from "../handlebars/evaluate.ts";
import { loosely, ordered, type Value } from "../handlebars/functions.ts";
import { cachedTemplate, parsePath } from "../handlebars/parse.ts";
import type { Operator } from "./document.ts";

export type Condition = (rendering: Rendering) => boolean;
export type Loop = (rendering: Rendering) => readonly Json[];

/** @returns null when there is no condition. An expression that cannot be read is false. */
export function compileCondition(source: Json | undefined): Condition | null {
  if (source === undefined || source === null) return null;
  if (typeof source === "boolean") return () => source;
  if (Array.isArray(source)) return anyGroup(source);
  if (typeof source !== "string" || source.trim() === "") return null;
  const holds = compileExpression(source);
  const cost = 1 + (source.length >> 6);
  return (rendering) => {
    rendering.step(cost);
    return holds(rendering.name, rendering.step);
  };
}

/** @returns null when the element stands once. What is no list gives no repetitions. */
export function compileLoop(source: Json | undefined): Loop | null {
  if (typeof source !== "string" || source.trim() === "") return null;
  const value = compileExpressionValue(source.trim().replace(/^\{([^{}]*)\}$/, "$1"));
  return (rendering) => {
    const list = value(rendering.name, rendering.step);
    return Array.isArray(list) ? list : [];
  };
}

/** Groups are alternatives; a group without conditions is no obstacle, and neither is an empty list of groups. */
function anyGroup(groups: readonly Json[]): Condition | null {
  const compiled = groups.filter(isObject).map((group): Condition => {
    const conditions = (Array.isArray(group.conditions) ? group.conditions : []).filter(isObject).map(single);
    if (conditions.length === 0) return () => true;
    return group.logical_operator === "or"
      ? (rendering) => conditions.some((condition) => condition(rendering))
      : (rendering) => conditions.every((condition) => condition(rendering));
  });
  return compiled.length === 0 ? null : (rendering) => compiled.some((group) => group(rendering));
}

function single(condition: { readonly [key: string]: Json | undefined }): Condition {
  const path = parsePath(String(condition.property).replace(/^\{\{?([^{}]*)\}?\}$/, "$1"));
  const test = TESTS[condition.operator as Operator];
  const expected = condition.value;
  const template = typeof expected === "string" ? cachedTemplate(expected) : null;
  return (rendering) => {
    const actual = path === null ? undefined : rendering.resolve(path);
    if (typeof actual === "string") rendering.work(actual.length);
    else if (Array.isArray(actual)) rendering.work(actual.length);
    return test(actual, template === null ? expected : rendering.print(template));
  };
}

function contains(actual: Value, expected: Value): boolean {
  if (Array.isArray(actual)) return actual.some((item) => loosely(item, expected));
  // Objects are part of no text; to make them one would ask their own `toString`, which may be anything.
  return typeof actual === "string" && typeof expected !== "object" && actual.includes(String(expected));
}

function isEmpty(value: Value): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (isObject(value)) return Object.keys(value).length === 0;
  return value === undefined || value === null || value === "";
}

const TESTS: { readonly [operator in Operator]: (actual: Value, expected: Value) => boolean } = {
  equals: loosely,
  not_equals: (a, b) => !loosely(a, b),
  greater_than: (a, b) => ordered(a, b, (x, y) => x > y),
  less_than: (a, b) => ordered(a, b, (x, y) => x < y),
  greater_than_or_equals: (a, b) => ordered(a, b, (x, y) => x >= y),
  less_than_or_equals: (a, b) => ordered(a, b, (x, y) => x <= y),
  contains,
  not_contains: (a, b) => !contains(a, b),
  is_empty: isEmpty,
  is_not_empty: (a) => !isEmpty(a),
};
