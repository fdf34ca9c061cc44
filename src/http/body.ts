/** Checks of bodies against a TypeBox schema, with messages for people: the field, what was expected, what came. */
import type { Static, TSchema } from "typebox";
import { Compile } from "typebox/compile";
import { Refusal } from "../engine/refusal.ts";

/** The part of a TypeBox error that is read here. */
interface Fault {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: object;
  readonly message: string;
}

const MAX_SHOWN_CHARS = 60;
const MAX_CLAUSES = 10;

/**
 * Checks bodies against a schema, which is compiled at its first use. An absent body is read as `{}`; unknown fields are
 * let through.
 * @returns a function that gives a body its type, or throws Refusal("invalid") with one clause for each field at fault.
 */
export function bodyOf<T extends TSchema>(schema: T): (value: unknown) => Static<T> {
  let validator: ReturnType<typeof Compile<T>> | undefined;
  return (value) => {
    validator ??= Compile(schema);
    const body = value ?? {};
    if (validator.Check(body)) return body as Static<T>;
    throw refusalOf(validator.Errors(body), body);
  };
}

/**
 * A union complains once for each of its members. What people need to know is said by those that got furthest: of faults
 * one inside the other, only the innermost are told.
 */
function refusalOf(faults: readonly Fault[], value: unknown): Refusal {
  const paths = [...new Set(faults.flatMap(pathsOf))];
  const innermost = paths.filter((path) => !paths.some((other) => other !== path && other.startsWith(`${path}/`)));
  const clauses = innermost.slice(0, MAX_CLAUSES).map((path) => {
    const name = nameOf(path);
    const expected = expectation(faults.filter((fault) => pathsOf(fault).includes(path)));
    const found = at(value, path);
    if (found === undefined) return `${name}: Required`;
    return `${name}: Expected ${expected}, got ${show(found)}`;
  });
  const first = innermost[0];
  return new Refusal(
    "invalid",
    clauses.join("; "),
    first === undefined || first === "" ? {} : { field: nameOf(first) },
  );
}

/** A missing field is a fault of the object around it; it is told of the field. */
function pathsOf(fault: Fault): readonly string[] {
  if (fault.keyword !== "required") return [fault.instancePath];
  const { requiredProperties } = fault.params as { readonly requiredProperties?: readonly string[] };
  return (requiredProperties ?? []).map(
    (name) => `${fault.instancePath}/${name.replace(/~/g, "~0").replace(/\//g, "~1")}`,
  );
}

function expectation(faults: readonly Fault[]): string {
  const types: string[] = [];
  const values: string[] = [];
  const others: string[] = [];
  for (const { keyword, params, message } of faults) {
    const { type, allowedValue, allowedValues, limit } = params as {
      readonly type?: string | readonly string[];
      readonly allowedValue?: unknown;
      readonly allowedValues?: readonly unknown[];
      readonly limit?: number;
    };
    if (keyword === "type") types.push(...[type ?? []].flat());
    else if (keyword === "const") values.push(JSON.stringify(allowedValue));
    else if (keyword === "enum") values.push(...(allowedValues ?? []).map((value) => JSON.stringify(value)));
    else if (keyword === "maxLength") others.push(`at most ${limit} characters`);
    else if (keyword === "minLength") others.push(`at least ${limit} characters`);
    else if (keyword === "maxItems") others.push(`at most ${limit} entries`);
    else if (keyword === "minItems") others.push(`at least ${limit} entries`);
    else if (keyword !== "anyOf" && keyword !== "required") others.push(message.replace(/^must be /, ""));
  }
  // Null is what clients send for "not given"; nobody has to be told to send it.
  const named = [...new Set([...others, ...values, ...types.filter((type) => type !== "null")])];
  return named.length === 0 ? "another value" : named.join(" or ");
}

function nameOf(path: string): string {
  return path === "" ? "body" : path.split("/").slice(1).map(unescaped).join(".");
}

function at(value: unknown, path: string): unknown {
  let found = value;
  for (const key of path.split("/").slice(1)) {
    const name = unescaped(key);
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, name)) return undefined;
    found = (found as { readonly [key: string]: unknown })[name];
  }
  return found;
}

function unescaped(token: string): string {
  return token.replaceAll("~1", "/").replaceAll("~0", "~");
}

function show(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > MAX_SHOWN_CHARS ? `${text.slice(0, MAX_SHOWN_CHARS)}…` : text;
}
