/** Schemas of an OpenAPI document as JSON Schema draft 7 that stands on its own. */
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";

/** References to references; more are a circle. */
const MAX_HOPS = 32;
const COMPONENT = /^#\/components\/schemas\/([^/]+)$/;

/** Keywords whose value is a schema, a list of schemas (or either), and an object of schemas. */
const ONE = new Set(
  "items additionalItems additionalProperties contains propertyNames not if then else unevaluatedItems unevaluatedProperties".split(
    " ",
  ),
);
const SEVERAL = new Set(["allOf", "anyOf", "oneOf", "items", "prefixItems"]);
const NAMED = new Set(["properties", "patternProperties", "definitions", "$defs", "dependentSchemas"]);

/** Something in the document that cannot be used; shown to the caller. */
export class SpecFault extends Error {}

/** What a JSON pointer (`#/…`) points to. @throws SpecFault */
export function pointedTo(spec: JsonObject, ref: string): Json {
  let value: Json | undefined = spec;
  for (const part of pointerParts(ref)) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) throw nowhere(ref);
    value = (value as JsonObject)[part];
  }
  if (value === undefined) throw nowhere(ref);
  return value;
}

function pointerParts(ref: string): readonly string[] {
  try {
    return ref
      .split("/")
      .slice(1)
      .map((part) => decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~"));
  } catch {
    throw nowhere(ref);
  }
}

function nowhere(ref: string): SpecFault {
  return new SpecFault(`the reference ${JSON.stringify(ref.slice(0, 200))} leads nowhere`);
}

/**
 * Follows `$ref` of an object that stands for another, until there is none. References to other documents are never
 * followed.
 * @throws SpecFault
 */
export function dereferenced(spec: JsonObject, value: Json | undefined): Json | undefined {
  let at = value;
  for (let hop = 0; hop < MAX_HOPS; hop++) {
    if (!isObject(at) || typeof at.$ref !== "string") return at;
    if (!at.$ref.startsWith("#/")) throw new SpecFault(`${JSON.stringify(at.$ref.slice(0, 200))} is another document`);
    at = pointedTo(spec, at.$ref);
  }
  throw new SpecFault("references go round in a circle");
}

interface Converted {
  readonly schema: Json;
  /** What it refers to, as pointers. */
  readonly refs: ReadonlySet<string>;
}

/**
 * Turns schemas of one document into draft 7: each with the components it refers to, directly or by others, in
 * `definitions`. What only OpenAPI 3.0 says is said in draft 7's words: `nullable`, `example`, exclusive bounds that are
 * switches. References to other documents stay as they are.
 */
export class SchemaBundler {
  readonly #spec: JsonObject;
  /** By pointer: a component is converted once, however many refer to it. */
  #converted = new Map<string, Converted>();
  #names = new Map<string, string>();
  #taken = new Set<string>();

  constructor(spec: JsonObject) {
    this.#spec = spec;
  }

  /** @throws SpecFault */
  bundle(schema: Json): Json {
    const root = this.#root(schema);
    const definitions = new Map<string, Json>();
    const queue = [...root.refs];
    for (let ref = queue.pop(); ref !== undefined; ref = queue.pop()) {
      const name = this.#nameOf(ref);
      if (definitions.has(name)) continue;
      const { schema: one, refs } = this.#component(ref);
      definitions.set(name, one);
      queue.push(...refs);
    }
    if (definitions.size === 0 || !isObject(root.schema)) return root.schema;
    const own = isObject(root.schema.definitions) ? root.schema.definitions : {};
    return { ...root.schema, definitions: { ...own, ...Object.fromEntries(definitions) } };
  }

  /** The schema itself, where it only names a component. */
  #root(schema: Json): Converted {
    let at = schema;
    let last: string | null = null;
    for (let hop = 0; hop < MAX_HOPS; hop++) {
      if (!isObject(at) || typeof at.$ref !== "string" || !at.$ref.startsWith("#/")) {
        return last === null ? this.#convert(at) : this.#component(last);
      }
      last = at.$ref;
      at = pointedTo(this.#spec, last);
    }
    throw new SpecFault("references go round in a circle");
  }

  #component(ref: string): Converted {
    let converted = this.#converted.get(ref);
    if (converted === undefined) {
      converted = this.#convert(pointedTo(this.#spec, ref));
      this.#converted.set(ref, converted);
    }
    return converted;
  }

  #convert(schema: Json): Converted {
    const refs = new Set<string>();
    return { schema: this.#schema(schema, refs), refs };
  }

  #schema(schema: Json, refs: Set<string>): Json {
    if (!isObject(schema)) return schema;
    const entries: [string, Json | undefined][] = [];
    for (const [key, value] of Object.entries(schema)) {
      if (value === undefined) continue;
      if (key === "$ref" && typeof value === "string" && value.startsWith("#/")) {
        refs.add(value);
        entries.push([key, `#/definitions/${encodePointer(this.#nameOf(value))}`]);
      } else if (Array.isArray(value) && SEVERAL.has(key)) {
        entries.push([key, value.map((one) => this.#schema(one, refs))]);
      } else if (ONE.has(key) && isObject(value)) {
        entries.push([key, this.#schema(value, refs)]);
      } else if (NAMED.has(key) && isObject(value)) {
        const named = Object.entries(value).map(([name, one]) => [name, this.#schema(one as Json, refs)] as const);
        entries.push([key, Object.fromEntries(named)]);
      } else entries.push([key, value]);
    }
    return inDraft7(Object.fromEntries(entries));
  }

  /** The name of a component as it is; one of its own for anything else that is pointed to. */
  #nameOf(ref: string): string {
    let name = this.#names.get(ref);
    if (name === undefined) {
      const component = COMPONENT.exec(ref)?.[1];
      name = component === undefined ? pointerParts(ref).join("_") : (pointerParts(ref).at(-1) as string);
      while (this.#taken.has(name)) name += "_";
      this.#taken.add(name);
      this.#names.set(ref, name);
    }
    return name;
  }
}

function encodePointer(name: string): string {
  return encodeURIComponent(name.replaceAll("~", "~0").replaceAll("/", "~1"));
}

/** What OpenAPI 3.0 says in words of its own. */
function inDraft7(schema: JsonObject): JsonObject {
  let { nullable, example, ...rest } = schema;
  if (nullable === true) {
    const types = typeof rest.type === "string" ? [rest.type] : rest.type;
    if (Array.isArray(types) && !types.includes("null")) rest = { ...rest, type: [...types, "null"] };
    if (Array.isArray(rest.enum) && !rest.enum.includes(null)) rest = { ...rest, enum: [...rest.enum, null] };
  }
  if (example !== undefined && rest.examples === undefined) rest = { ...rest, examples: [example] };
  rest = bound(rest, "minimum", "exclusiveMinimum");
  return bound(rest, "maximum", "exclusiveMaximum");
}

/** `minimum: 5, exclusiveMinimum: true` is `exclusiveMinimum: 5` there. */
function bound(schema: JsonObject, inclusive: "minimum" | "maximum", exclusive: string): JsonObject {
  if (typeof schema[exclusive] !== "boolean") return schema;
  const { [inclusive]: limit, [exclusive]: isExclusive, ...rest } = schema;
  if (limit === undefined) return rest;
  return { ...rest, [isExclusive === true ? exclusive : inclusive]: limit };
}
