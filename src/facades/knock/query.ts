/**
 * Query strings in all the styles of Knock's clients, decoded into one structure:
 *
 *   status=unread                                              text
 *   categories[]=a&categories[]=b                              list
 *   resource_type=workflow,partial                             list, where known words are asked for
 *   objects[0][id]=a&objects[0][collection]=b                  list of maps
 *   recipients[]=u1&recipients[][id]=o&recipients[][collection]=c   list; what follows an `[][id]` completes its map
 *   recipient[id]=o&recipient[collection]=c                    map
 *   query_options.cursor=x, inserted_at.gte=…                  map: a dot outside brackets is a level
 *   trigger_data={"x":1}                                       map, where a map is asked for
 *   status=                                                    nothing
 */
import type { FastifyRequest } from "fastify";
import type { PartyRef } from "../../engine/workflow/model.ts";
import type { Millis } from "../../lib/clock.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { invalid } from "./errors.ts";
import { checkText, parseIso, readParty } from "./wire.ts";

/** Above it a query is garbage, or an attack. */
const MAX_PAIRS = 5_000;
const MAX_LEVELS = 6;
const INDEX = /^\d{1,6}$/;

type Node = string | Node[] | Branch;
type Branch = Map<string, Node>;

/** Of one request. Names are those of the first level. */
export class Query {
  readonly #root: Branch;

  constructor(text: string) {
    this.#root = decode(text);
  }

  /** Undefined when absent or empty. Of several values the last. @throws KnockError 422 for what is no plain text. */
  text(name: string): string | undefined {
    const node = this.#root.get(name);
    const last = Array.isArray(node) ? node.at(-1) : node;
    if (last === undefined || last === "") return undefined;
    if (typeof last !== "string") throw invalid(name, "Expected text");
    return checkText(name, last);
  }

  /** @throws KnockError 422 when it is neither `true` nor `false`. */
  flag(name: string): boolean | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (text === "true" || text === "1") return true;
    if (text === "false" || text === "0") return false;
    throw invalid(name, "Expected true or false");
  }

  oneOf<const T extends string>(name: string, values: readonly T[]): T | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const found = values.find((value) => value === text);
    if (found === undefined) throw invalid(name, `Expected ${values.join(", ")}`);
    return found;
  }

  integer(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (!/^-?\d{1,15}$/.test(text)) throw invalid(name, "Expected an integer");
    return Number(text);
  }

  /** Texts of a list, or the one text there is; empty ones dropped. */
  texts(name: string): readonly string[] {
    return this.#items(name)
      .filter((item) => item !== "")
      .map((item, i) => {
        if (typeof item !== "string") throw invalid(`${name}[${i}]`, "Expected text");
        return checkText(`${name}[${i}]`, item);
      });
  }

  /** As `texts`, of known words; these may come in one text with commas. */
  wordsOf<const T extends string>(name: string, words: readonly T[]): readonly T[] {
    const given = this.texts(name).flatMap((text) => text.split(",").filter((word) => word !== ""));
    return given.map((text, i) => {
      const found = words.find((word) => word === text);
      if (found === undefined) throw invalid(`${name}[${i}]`, `Expected ${words.join(", ")}`);
      return found;
    });
  }

  /** A map, or JSON of one. @throws KnockError 422 for any other value. */
  map(name: string): JsonObject | undefined {
    const node = this.#root.get(name);
    if (node === undefined || node === "") return undefined;
    if (node instanceof Map) return jsonOf(node) as JsonObject;
    const text = Array.isArray(node) ? node.at(-1) : node;
    const value = typeof text === "string" ? parsed(text) : undefined;
    if (!isObject(value)) throw invalid(name, "Expected a JSON object");
    return value;
  }

  /** A user by its id, or an object as a map of `id` and `collection`. */
  party(name: string): PartyRef | undefined {
    const node = this.#root.get(name);
    if (node === undefined || node === "") return undefined;
    return partyIn(name, Array.isArray(node) ? (node.at(-1) as Node) : node);
  }

  parties(name: string): readonly PartyRef[] {
    return this.#items(name)
      .filter((item) => item !== "")
      .map((item, i) => partyIn(`${name}[${i}]`, item));
  }

  /** @throws KnockError 422 for what is no ISO 8601. */
  moment(name: string): Millis | undefined {
    return momentIn(name, this.text(name));
  }

  /** `<name>.gt`, `.gte`, `.lt`, `.lte`, each inclusive or not as its name says. */
  range(name: string): { readonly gt?: Millis; readonly gte?: Millis; readonly lt?: Millis; readonly lte?: Millis } {
    const node = this.#root.get(name);
    if (node === undefined || node === "") return {};
    if (!(node instanceof Map)) throw invalid(name, "Expected gt, gte, lt or lte of it");
    const bounds: { gt?: Millis; gte?: Millis; lt?: Millis; lte?: Millis } = {};
    for (const bound of ["gt", "gte", "lt", "lte"] as const) {
      const value = node.get(bound);
      const at = momentIn(`${name}.${bound}`, typeof value === "string" ? value : undefined);
      if (at !== undefined) bounds[bound] = at;
    }
    return bounds;
  }

  #items(name: string): readonly Node[] {
    const node = this.#root.get(name);
    if (node === undefined) return [];
    if (Array.isArray(node)) return node;
    return node instanceof Map ? (listOf(node) ?? [node]) : [node];
  }
}

const known = new WeakMap<FastifyRequest, Query>();

/** Decoded once for each request. */
export function queryOf(request: FastifyRequest): Query {
  let query = known.get(request);
  if (query === undefined) {
    query = new Query(request.url.slice(request.url.indexOf("?") + 1 || request.url.length));
    known.set(request, query);
  }
  return query;
}

function decode(text: string): Branch {
  const root: Branch = new Map();
  if (text === "") return root;
  let pairs = 0;
  for (const [key, value] of new URLSearchParams(text)) {
    if (key === "") continue;
    if (++pairs > MAX_PAIRS) throw invalid("", `The query has more than ${MAX_PAIRS} parameters`);
    const path = pathOf(key);
    if (path.length > MAX_LEVELS) throw invalid(path[0] as string, `Nested more than ${MAX_LEVELS} levels deep`);
    put(root, path, value);
  }
  return root;
}

/** `a.b[c][]` to `a`, `b`, `c` and `""`. A key that is no such path is a name as it stands. */
function pathOf(key: string): readonly string[] {
  const bracket = key.indexOf("[");
  const head = bracket === -1 ? key : key.slice(0, bracket);
  const tail = bracket === -1 ? "" : key.slice(bracket);
  if (head === "" || !/^(?:\[[^[\]]*\])*$/.test(tail)) return [key];
  const dotted = /^[^.]+(?:\.[^.]+)+$/.test(head) ? head.split(".") : [head];
  return [...dotted, ...[...tail.matchAll(/\[([^[\]]*)\]/g)].map(([, part]) => part as string)];
}

function put(into: Branch, path: readonly string[], value: string): void {
  const [name, ...rest] = path as [string, ...string[]];
  const old = into.get(name);
  if (rest.length === 0) {
    // A name that is repeated without brackets: whoever asks for a text gets the last, for a list all.
    if (old === undefined) into.set(name, value);
    else if (Array.isArray(old)) old.push(value);
    else if (typeof old === "string") into.set(name, [old, value]);
    return;
  }
  if (rest[0] === "") {
    const list = Array.isArray(old) ? old : typeof old === "string" ? [old] : [];
    if (list !== old) into.set(name, list);
    append(list, rest.slice(1), value);
    return;
  }
  const branch = old instanceof Map ? old : new Map<string, Node>();
  if (branch !== old) into.set(name, branch);
  put(branch, rest, value);
}

function append(list: Node[], path: readonly string[], value: string): void {
  if (path.length === 0) {
    list.push(value);
    return;
  }
  const last = list.at(-1);
  // A key that the last map has already begins the next one.
  const open = last instanceof Map && !last.has(path[0] as string);
  const branch: Branch = open ? last : new Map();
  put(branch, path, value);
  if (!open) list.push(branch);
}

/** The values of a map all of whose keys are indices, in their order; null for any other. */
function listOf(branch: Branch): readonly Node[] | null {
  const keys = [...branch.keys()];
  if (keys.length === 0 || !keys.every((key) => INDEX.test(key))) return null;
  return keys.sort((a, b) => Number(a) - Number(b)).map((key) => branch.get(key) as Node);
}

function jsonOf(node: Node): Json {
  if (typeof node === "string") return node;
  if (Array.isArray(node)) return node.map(jsonOf);
  const list = listOf(node);
  if (list !== null) return list.map(jsonOf);
  // `__proto__` would set the prototype instead of a key.
  return Object.fromEntries(
    [...node].filter(([key]) => key !== "__proto__").map(([key, value]) => [key, jsonOf(value)]),
  );
}

function partyIn(name: string, node: Node): PartyRef {
  // No user's id is likely to be JSON; one client sends maps as such.
  const value = typeof node !== "string" ? jsonOf(node) : node.startsWith("{") ? (parsed(node) ?? node) : node;
  // The objects that hold a provider's token are named by `object_id`.
  const named = isObject(value) && value.id === undefined ? { ...value, id: value.object_id } : value;
  return readParty(name, named);
}

function momentIn(name: string, text: string | undefined): Millis | undefined {
  if (text === undefined || text === "") return undefined;
  const at = parseIso(text);
  if (at === null) throw invalid(name, "Expected an ISO 8601 date");
  return at;
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text, (key, value) => (key === "__proto__" ? undefined : value)) as Json;
  } catch {
    return undefined;
  }
}
