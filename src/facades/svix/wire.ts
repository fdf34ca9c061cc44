/** Reading Svix's requests, all mistakes of one at once, and writing its times. */
import type { FastifyRequest } from "fastify";
import type { Metadata } from "../../engine/webhooks/model.ts";
import type { Millis } from "../../lib/clock.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { Invalid, type Issue, JSON_ERROR, VALUE_ERROR } from "./errors.ts";
import { MAX_UID_LENGTH, type SvixPrefix, UID } from "./ids.ts";

/** A value is required unless it may be null or has a default. */
interface Rule<T> {
  readonly required?: boolean;
  /** Null is a value, and what an absent field counts as. */
  readonly nullable?: boolean;
  readonly default?: T;
}
type Nullable = { readonly nullable: true };

export interface TextRule extends Rule<string> {
  /** In UTF-16 units. */
  readonly min?: number;
  readonly max?: number;
  readonly pattern?: RegExp;
}

export interface NumberRule extends Rule<number> {
  readonly min?: number;
  readonly max?: number;
  readonly values?: readonly number[];
}

export interface NamesRule extends Rule<readonly string[]> {
  /** Bounds of the count. */
  readonly min?: number;
  readonly max?: number;
  /** Bound of each text; 256 unless told. */
  readonly maxLength?: number;
  readonly pattern?: RegExp;
  /** Refuses a text that comes twice; otherwise the second is dropped. */
  readonly unique?: boolean;
}

/** Names of event types, groups and feature flags. */
export const EVENT_NAME = /^[a-zA-Z0-9\-_.]+$/;
export const CHANNEL = /^[a-zA-Z0-9\-_.:+]+$/;
export const TAG = /^[a-zA-Z0-9\-_./\\#]+$/;
export const SESSION_ID = /^[a-zA-Z0-9@_-]+$/;

const MAX_METADATA_BYTES = 4_096;
const DEFAULT_NAME_LENGTH = 256;
/** More entries than this are not even looked at. */
const MAX_ENTRIES = 10_000;

/** @param body an absent one counts as `{}`. */
export function fields(body: unknown, root = "body"): Fields {
  return new Fields(body ?? {}, [root], [], false);
}

/** The fields of a query string: all are text there, and lists have four spellings. */
export function query(request: FastifyRequest): Fields {
  return queryFields(request.query);
}

export function queryFields(query: unknown): Fields {
  return new Fields(query ?? {}, ["query"], [], true);
}

/**
 * Reads fields of an object. A reader that finds something wrong notes it and gives a fallback of the right type, so that
 * all that is wrong is told together: by `done`, which must be called before anything is believed.
 */
export class Fields {
  readonly #source: JsonObject;
  readonly #root: readonly string[];
  readonly #issues: Issue[];
  readonly #textual: boolean;

  constructor(source: unknown, root: readonly string[], issues: Issue[], textual: boolean) {
    this.#root = root;
    this.#issues = issues;
    this.#textual = textual;
    this.#source = isObject(source) ? source : {};
    if (!isObject(source)) this.#issue([], `Expected an object, got ${kindOf(source)}`, JSON_ERROR);
  }

  /** @throws Invalid with everything that was noted. */
  done(): void {
    if (this.#issues.length > 0) throw new Invalid(this.#issues);
  }

  /** @param loc from these fields on. */
  issue(loc: readonly string[], msg: string, type: string = VALUE_ERROR): void {
    this.#issue(loc, msg, type);
  }

  /** Whether the field is there at all, null included. */
  has(name: string): boolean {
    return Object.hasOwn(this.#source, name) && this.#source[name] !== undefined;
  }

  /** As it came; undefined when absent. */
  raw(name: string): unknown {
    return this.has(name) ? this.#source[name] : undefined;
  }

  /**
   * Which of several spellings of one field is used: the first of `names` that is there.
   * @param exclusive true: two of them at once are a mistake.
   */
  alias(names: readonly [string, ...string[]], exclusive = false): string {
    const given = names.filter((name) => this.has(name));
    if (exclusive && given.length > 1) {
      this.#issue([given[1] as string], `Expected one of ${names.join(", ")}, got ${given.length}`, JSON_ERROR);
    }
    return given[0] ?? names[0];
  }

  text(name: string, rule: TextRule & Nullable): string | null;
  text(name: string, rule?: TextRule): string;
  text(name: string, rule: TextRule = {}): string | null {
    const value = this.#value(name);
    if (typeof value !== "string") return this.#absent(name, value, "a string", rule, "");
    const wrong = textFault(value, rule);
    if (wrong === null) return value;
    this.#issue([name], wrong);
    return rule.default ?? "";
  }

  /** The caller's own name for a thing; null when absent or null. */
  uid(name: string, prefix: SvixPrefix): string | null {
    const value = this.#value(name);
    if (typeof value !== "string") return this.#absent(name, value, "a string", { nullable: true }, "");
    let wrong = textFault(value, { min: 1, max: MAX_UID_LENGTH, pattern: UID });
    if (wrong === null && value.startsWith(`${prefix}_`)) wrong = `Expected a uid that does not begin with ${prefix}_`;
    if (wrong !== null) this.#issue([name, "__all__"], wrong);
    return value;
  }

  number(name: string, rule: NumberRule & Nullable): number | null;
  number(name: string, rule?: NumberRule): number;
  number(name: string, rule: NumberRule = {}): number | null {
    return this.#number(name, rule, false);
  }

  integer(name: string, rule: NumberRule & Nullable): number | null;
  integer(name: string, rule?: NumberRule): number;
  integer(name: string, rule: NumberRule = {}): number | null {
    return this.#number(name, rule, true);
  }

  boolean(name: string, rule: Rule<boolean> & Nullable): boolean | null;
  boolean(name: string, rule?: Rule<boolean>): boolean;
  boolean(name: string, rule: Rule<boolean> = {}): boolean | null {
    const value = this.#value(name);
    if (typeof value === "boolean") return value;
    if (this.#textual && (value === "true" || value === "false")) return value === "true";
    return this.#absent(name, value, "true or false", rule, false);
  }

  /** Of a query: false when absent, unless told. */
  bool(name: string, absent = false): boolean {
    return this.boolean(name, { default: absent });
  }

  oneOf<const T extends string>(name: string, values: readonly T[], rule: Rule<T> & Nullable): T | null;
  oneOf<const T extends string>(name: string, values: readonly T[], rule?: Rule<T>): T;
  oneOf<const T extends string>(name: string, values: readonly T[], rule: Rule<T> = {}): T | null {
    const value = this.#value(name);
    const found = values.find((one) => one === value);
    if (found !== undefined) return found;
    const expected = `one of ${values.join(", ")}`;
    const fallback = rule.default ?? (values[0] as T);
    if (typeof value !== "string") return this.#absent(name, value, expected, rule, fallback);
    this.#issue([name], `Expected ${expected}, got ${shown(value)}`);
    return fallback;
  }

  /** RFC 3339, or a date alone; without a zone UTC. */
  time(name: string, rule: Rule<Millis> & Nullable): Millis | null;
  time(name: string, rule?: Rule<Millis>): Millis;
  time(name: string, rule: Rule<Millis> = {}): Millis | null {
    const value = this.#value(name);
    const expected = "an RFC 3339 date-time";
    if (typeof value !== "string") return this.#absent(name, value, expected, rule, 0);
    const at = parseTime(value);
    if (at === null) this.#issue([name], `Expected ${expected}, got ${shown(value)}`);
    return at ?? 0;
  }

  /** Texts in order. Null when absent or null and nullable; `[]` when wrong. */
  names(name: string, rule: NamesRule & Nullable): readonly string[] | null;
  names(name: string, rule?: NamesRule): readonly string[];
  names(name: string, rule: NamesRule = {}): readonly string[] | null {
    const value = this.#textual ? this.#queryList(name) : this.#value(name);
    if (!Array.isArray(value)) return this.#absent(name, value, "a list of strings", rule, []);
    if (rule.min !== undefined && value.length < rule.min) {
      this.#issue([name], `Expected at least ${rule.min} entries, got ${value.length}`);
    }
    const max = Math.min(rule.max ?? MAX_ENTRIES, MAX_ENTRIES);
    if (value.length > max) {
      this.#issue([name], `Expected at most ${max} entries, got ${value.length}`);
      return [];
    }
    const each: TextRule = {
      min: 1,
      max: rule.maxLength ?? DEFAULT_NAME_LENGTH,
      ...(rule.pattern === undefined ? {} : { pattern: rule.pattern }),
    };
    const seen = new Set<string>();
    for (const [i, item] of value.entries()) {
      const wrong = typeof item === "string" ? textFault(item, each) : `Expected a string, got ${kindOf(item)}`;
      if (wrong !== null) this.#issue([name, `[${i}]`], wrong, typeof item === "string" ? VALUE_ERROR : JSON_ERROR);
      else if (rule.unique === true && seen.has(item)) this.#issue([name, `[${i}]`], `${shown(item)} is there twice`);
      else seen.add(item);
    }
    return [...seen];
  }

  /** Names in a query as `a,b`, in repeated keys, as `name[]=a` or `name[0]=a`; null when there are none. */
  list(name: string, rule: Omit<NamesRule, "nullable" | "default" | "required"> = {}): readonly string[] | null {
    return this.names(name, { ...rule, nullable: true });
  }

  /** Text by text; `{}` when absent or null. */
  metadata(name: string): Metadata {
    return this.textMap(name, { nullable: true, maxBytes: MAX_METADATA_BYTES }) ?? {};
  }

  /** An object whose values are all strings. @param maxBytes of the whole as JSON. */
  textMap(name: string, rule: Rule<Metadata> & { readonly maxBytes?: number } & Nullable): Metadata | null;
  textMap(name: string, rule?: Rule<Metadata> & { readonly maxBytes?: number }): Metadata;
  textMap(name: string, rule: Rule<Metadata> & { readonly maxBytes?: number } = {}): Metadata | null {
    const map = this.#map(name, rule, false);
    return map as Metadata | null;
  }

  /** As `textMap`, with null for what is to be taken out. */
  patchMap(name: string): { readonly [key: string]: string | null } {
    return this.#map(name, { nullable: true }, true) ?? {};
  }

  object(name: string, rule: Rule<JsonObject> & Nullable): JsonObject | null;
  object(name: string, rule?: Rule<JsonObject>): JsonObject;
  object(name: string, rule: Rule<JsonObject> = {}): JsonObject | null {
    const value = this.#value(name);
    return isObject(value) ? value : this.#absent(name, value, "an object", rule, {});
  }

  /** The fields of an object in a field, whose mistakes are told with these; null when absent or null. */
  inside(name: string): Fields | null {
    const value = this.#value(name);
    if (value === undefined || value === null) return null;
    return new Fields(value, [...this.#root, name], this.#issues, false);
  }

  /** The fields of each object in a list; null when absent or null. */
  each(name: string, max = MAX_ENTRIES): readonly Fields[] | null {
    const value = this.#value(name);
    if (value === undefined || value === null) return null;
    if (!Array.isArray(value) || value.length > max) {
      const got = Array.isArray(value) ? `${value.length} entries` : kindOf(value);
      this.#issue([name], `Expected a list of at most ${max} objects, got ${got}`, JSON_ERROR);
      return [];
    }
    return value.map((item, i) => new Fields(item, [...this.#root, name, `[${i}]`], this.#issues, false));
  }

  // ——— one value ———

  #value(name: string): unknown {
    const value = this.raw(name);
    // Of a key that is repeated in a query the last counts.
    if (!this.#textual || !Array.isArray(value)) return value;
    return value.at(-1);
  }

  #queryList(name: string): readonly string[] | undefined {
    const found = [...rawTexts(this.raw(name)), ...rawTexts(this.raw(`${name}[]`))];
    const prefix = `${name}[`;
    for (const [key, value] of Object.entries(this.#source)) {
      if (key.startsWith(prefix) && /^\d{1,4}\]$/.test(key.slice(prefix.length))) found.push(...rawTexts(value));
    }
    const items = found.flatMap((text) => text.split(",")).filter((text) => text !== "");
    return items.length === 0 ? undefined : items;
  }

  #number(name: string, rule: NumberRule, whole: boolean): number | null {
    let value = this.#value(name);
    if (this.#textual && typeof value === "string" && /^-?\d{1,15}(\.\d{1,15})?$/.test(value)) value = Number(value);
    const expected = whole ? "a whole number" : "a number";
    const fallback = rule.default ?? rule.min ?? 0;
    if (typeof value !== "number" || !Number.isFinite(value) || (whole && !Number.isSafeInteger(value))) {
      return this.#absent(name, value, expected, rule, fallback);
    }
    const { min, max, values } = rule;
    let bounds: string | null = null;
    if (values !== undefined && !values.includes(value)) bounds = `one of ${values.join(", ")}`;
    else if (min !== undefined && value < min) bounds = `at least ${min}`;
    else if (max !== undefined && value > max) bounds = `at most ${max}`;
    if (bounds === null) return value;
    this.#issue([name], `Expected ${bounds}, got ${value}`);
    return fallback;
  }

  #map(
    name: string,
    rule: Rule<Metadata> & { readonly maxBytes?: number },
    nullableValues: boolean,
  ): { readonly [key: string]: string | null } | null {
    const value = this.#value(name);
    if (!isObject(value)) return this.#absent(name, value, "an object of strings", rule, {});
    const entries: [string, string | null][] = [];
    for (const [key, item] of Object.entries(value)) {
      const wrong = textFault(key, {}) ?? (typeof item === "string" ? textFault(item, {}) : null);
      if (wrong !== null) this.#issue([name, key], wrong);
      else if (typeof item === "string" || (nullableValues && item === null)) entries.push([key, item]);
      else this.#issue([name, key], `Expected a string, got ${kindOf(item)}`, JSON_ERROR);
    }
    const { maxBytes } = rule;
    if (maxBytes !== undefined && Buffer.byteLength(JSON.stringify(value)) > maxBytes) {
      this.#issue([name], `Expected at most ${maxBytes} bytes of JSON`);
    }
    return Object.fromEntries(entries);
  }

  /** What a field counts as that does not hold a value of its type. */
  #absent<T>(name: string, value: unknown, expected: string, rule: Rule<T>, fallback: T): T | null {
    if (value === undefined) {
      if (rule.default !== undefined) return rule.default;
      if (rule.nullable === true) return null;
      if (rule.required !== false) this.#issue([name], `Expected ${expected}; the field is required`, JSON_ERROR);
      return fallback;
    }
    if (value === null && rule.nullable === true) return null;
    this.#issue([name], `Expected ${expected}, got ${kindOf(value)}`, JSON_ERROR);
    return rule.default ?? fallback;
  }

  #issue(loc: readonly string[], msg: string, type: string = VALUE_ERROR): void {
    this.#issues.push({ loc: [...this.#root, ...loc], msg, type });
  }
}

function textFault(text: string, { min, max, pattern }: TextRule): string | null {
  if (text.includes("\0") || !text.isWellFormed()) return "Expected text without NUL and broken surrogate pairs";
  if (min !== undefined && text.length < min) return `Expected at least ${min} characters`;
  if (max !== undefined && text.length > max) return `Expected at most ${max} characters`;
  if (pattern !== undefined && !pattern.test(text)) return `Expected text that matches ${pattern.source}`;
  return null;
}

function rawTexts(value: unknown): readonly string[] {
  return [value].flat().filter((item) => typeof item === "string");
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  if (typeof value === "string") return shown(value);
  return typeof value === "number" || typeof value === "boolean" ? String(value) : "something else";
}

const MAX_SHOWN = 80;

function shown(text: string): string {
  return JSON.stringify(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN).toWellFormed()}…` : text);
}

// ——— times ———————————————————————————————————————————————————————————————————————————————————————————————————————

const RFC_3339 = /^\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,18})?)?(?:[Zz]|[+-]\d{2}:?\d{2})?)?$/;

/** @returns null when it is no date-time. */
export function parseTime(text: string): Millis | null {
  // A `+` that was not escaped in a query has become a space.
  const spelled = text.replace(/^(.{11,}) (\d{2}:?\d{2})$/, "$1+$2");
  if (!RFC_3339.test(spelled)) return null;
  const zoned = spelled.length === 10 || /(?:[Zz]|[+-]\d{2}:?\d{2})$/.test(spelled.slice(10)) ? spelled : `${spelled}Z`;
  const at = Date.parse(zoned.replace(" ", "T"));
  return Number.isNaN(at) ? null : at;
}

/** RFC 3339 in UTC; fractions of a second only where there are some. */
export function timestamp(at: Millis): string {
  const text = new Date(at).toISOString();
  return text.endsWith(".000Z") ? `${text.slice(0, -5)}Z` : text;
}

export function timestampOrNull(at: Millis | null): string | null {
  return at === null ? null : timestamp(at);
}
