/** Reading what authors push: the fields of a resource, with all faults collected under their paths. */
import { isObject, type Json, type JsonObject } from "../../../lib/json.ts";
import type { FieldError } from "../errors.ts";
import { Fields } from "../wire.ts";

/** Adds to `Fields` what resources have and requests have not. Fields that are not asked for are left behind. */
export class Reader extends Fields {
  readonly at: string;
  readonly errors: FieldError[];

  constructor(value: unknown, at: string, errors: FieldError[]) {
    super(value, at, errors);
    this.at = at;
    this.errors = errors;
  }

  /** The object in a field; undefined when there is none. */
  inside(name: string): Reader | undefined {
    const value = this.object(name);
    return value === undefined ? undefined : new Reader(value, this.path(name), this.errors);
  }

  /** Non-empty text; null, absent and `""` are all nothing. */
  filled(name: string, max = MAX_TEXT): string | undefined {
    const text = this.text(name, { max });
    return text === "" ? undefined : text;
  }

  oneOf<const T extends string>(name: string, values: readonly T[]): T | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    const found = values.find((one) => one === value);
    if (found === undefined) this.error(name, `Expected ${values.join(", ")}`);
    return found;
  }

  number(
    name: string,
    rule: { readonly min: number; readonly max: number; readonly integer?: boolean },
  ): number | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    const fits = typeof value === "number" && value >= rule.min && value <= rule.max;
    if (fits && (rule.integer !== true || Number.isInteger(value))) return value;
    this.error(name, `Expected ${rule.integer ? "an integer" : "a number"} from ${rule.min} to ${rule.max}`);
    return undefined;
  }

  /** A list of texts, none of them empty. */
  texts(name: string, max: number): readonly string[] | undefined {
    return this.list(name, { max }, (item, at) => {
      if (typeof item === "string" && item !== "" && item.length <= MAX_NAME) return item;
      this.errors.push({ field: at, type: "invalid", message: `Expected text of 1 to ${MAX_NAME} characters` });
      return "";
    });
  }

  /** A list of objects, each read by `of`. */
  objects<T>(
    name: string,
    limits: { readonly max: number; readonly min?: number; readonly required?: boolean },
    of: (item: Reader) => T,
  ): readonly T[] | undefined {
    return this.list(name, limits, (item, at) => of(new Reader(item ?? {}, at, this.errors)));
  }
}

export const MAX_NAME = 255;
/** Of any single text that is no template, in UTF-16 units. */
export const MAX_TEXT = 100_000;

/** `{ a: undefined, b: 1 }` to `{ b: 1 }`: what is not given is not kept. */
export function given<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as T;
}

/** Fields that the CLI writes into files, and that only it reads. */
const OF_THE_CLI = new Set(["$schema", "__readonly", "__annotation"]);

/**
 * A resource without what belongs to the author's files: keys ending in `@`, which name a file whose content stands beside
 * them, and the CLI's own. Text that a database cannot keep is a fault.
 * @param as the field of the body that holds it, for an error about the whole.
 * @param whole fields whose content is left as it is.
 */
export function cleaned(value: unknown, as: string, errors: FieldError[], whole: readonly string[] = []): JsonObject {
  if (!isObject(value)) {
    errors.push({ field: as, type: "required", message: "Expected an object" });
    return {};
  }
  const clean = (item: Json, at: string, drops: boolean): Json => {
    if (typeof item === "string") {
      if (item.includes("\0") || !item.isWellFormed()) {
        errors.push({ field: at, type: "invalid", message: "Expected text without NUL and broken surrogate pairs" });
      }
      return item;
    }
    if (Array.isArray(item)) return item.map((one: Json, i) => clean(one, `${at}[${i}]`, drops));
    if (!isObject(item)) return item;
    const entries: [string, Json][] = [];
    for (const [key, one] of Object.entries(item)) {
      if (one === undefined || key === "__proto__" || (drops && isFileKey(key))) continue;
      const path = at === "" ? key : `${at}.${key}`;
      clean(key, path, drops);
      entries.push([key, clean(one, path, drops && !(at === "" && whole.includes(key)))]);
    }
    return Object.fromEntries(entries);
  };
  return clean(value, "", true) as JsonObject;
}

function isFileKey(key: string): boolean {
  return key.endsWith("@") || OF_THE_CLI.has(key);
}
