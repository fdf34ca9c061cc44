/** Reading Knock's bodies and writing its answers: fields, ids chosen by callers, parties and times. */
import { Refusal } from "../../engine/refusal.ts";
import { type PartyRef, TENANTS, USERS } from "../../engine/workflow/model.ts";
import type { Millis } from "../../lib/clock.ts";
import { isoOf } from "../../lib/iso.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { type FieldError, INVALID, invalid, invalidParams, KnockError } from "./errors.ts";

// ——— bodies ——————————————————————————————————————————————————————————————————————————————————————————————————————

/**
 * Reads an object field by field and collects what is wrong, so that a caller learns of all of it at once; `done` throws.
 * What a getter returns for a field at fault is of no use to anyone. Null counts as absent unless a getter says otherwise.
 */
export class Fields {
  readonly value: JsonObject;
  readonly #at: string;
  readonly #errors: FieldError[];
  /** What the checks called their complaints; when all agree, it is what the whole is called. */
  readonly #codes = new Set<string>();

  /**
   * @param value the body, or what is at the path `at` of it; absent reads as `{}`.
   * @param errors where faults are collected, when several readers share a list.
   */
  constructor(value: unknown, at = "", errors: FieldError[] = []) {
    this.#at = at;
    this.#errors = errors;
    this.value = isObject(value) ? value : {};
    if (value !== undefined && value !== null && !isObject(value)) this.error("", "Expected an object");
  }

  /** Records a fault of a field of this object; `""` for the object itself. */
  error(name: string, message: string, type = "invalid"): void {
    this.#errors.push({ field: this.path(name), type, message });
    this.#codes.add(INVALID);
  }

  path(name: string): string {
    if (name === "") return this.#at;
    return this.#at === "" || name.startsWith("[") ? `${this.#at}${name}` : `${this.#at}.${name}`;
  }

  raw(name: string): Json | undefined {
    const value = Object.hasOwn(this.value, name) ? this.value[name] : undefined;
    return value === null ? undefined : value;
  }

  /** The field, or undefined with a fault recorded. */
  required(name: string): Json | undefined {
    const value = this.raw(name);
    if (value === undefined) this.error(name, "is required", "required");
    return value;
  }

  text(name: string, options: { readonly max?: number; readonly required?: boolean } = {}): string | undefined {
    const value = options.required ? this.required(name) : this.raw(name);
    if (value === undefined) return undefined;
    if (typeof value !== "string" || (options.required && value === "")) {
      this.error(name, "Expected text");
      return undefined;
    }
    if (value.length > (options.max ?? Number.POSITIVE_INFINITY)) {
      this.error(name, `Expected at most ${options.max} characters`, "too_long");
      return undefined;
    }
    return value;
  }

  /** An id of the caller's; required. */
  id(name: string): string {
    const value = this.required(name);
    return value === undefined ? "" : (this.try(name, () => checkId(this.path(name), value)) ?? "");
  }

  flag(name: string): boolean | undefined {
    const value = this.raw(name);
    if (value === undefined || typeof value === "boolean") return value;
    this.error(name, "Expected true or false");
    return undefined;
  }

  object(name: string): JsonObject | undefined {
    const value = this.raw(name);
    if (value === undefined || isObject(value)) return value;
    this.error(name, "Expected an object");
    return undefined;
  }

  /** @param of called for each entry with its path; what it throws becomes a fault of that entry. */
  list<T>(
    name: string,
    limits: { readonly max: number; readonly min?: number; readonly required?: boolean },
    of: (item: Json, at: string) => T,
  ): readonly T[] | undefined {
    const value = limits.required ? this.required(name) : this.raw(name);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) {
      this.error(name, "Expected a list");
      return undefined;
    }
    if (value.length > limits.max) this.error(name, `Expected at most ${limits.max} entries, got ${value.length}`);
    else if (value.length < (limits.min ?? 0)) this.error(name, `Expected at least ${limits.min} entries`, "required");
    else {
      return value.flatMap((item: Json, i) => {
        const read = this.try(`${name}[${i}]`, () => of(item, this.path(`${name}[${i}]`)));
        return read === undefined ? [] : [read];
      });
    }
    return undefined;
  }

  /** Runs a check that throws `KnockError` or `Refusal("invalid")`; what it complains of is added to these faults. */
  try<T>(name: string, check: () => T): T | undefined {
    try {
      return check();
    } catch (error) {
      const found = fieldErrors(error, this.path(name));
      if (found === null) throw error;
      this.#errors.push(...found);
      this.#codes.add(error instanceof KnockError ? error.code : INVALID);
      return undefined;
    }
  }

  /** @throws KnockError 422 with all faults there are. */
  done(): void {
    if (this.#errors.length === 0) return;
    const [code = INVALID, ...others] = this.#codes;
    throw invalidParams(this.#errors, others.length === 0 ? code : INVALID);
  }
}

/** What a check said, or null when it is no complaint of a check. */
function fieldErrors(error: unknown, path: string): readonly FieldError[] | null {
  if (error instanceof KnockError) return error.errors ?? null;
  if (!(error instanceof Refusal) || error.code !== "invalid") return null;
  return [{ field: error.field ?? path, type: "invalid", message: error.message }];
}

// ——— ids chosen by callers ———————————————————————————————————————————————————————————————————————————————————————

const MAX_ID_LENGTH = 256;
/** Beyond the vendor's own alphabet: letters of other scripts do no harm. */
const COLLECTION = /^[^\s/#?]{1,256}$/u;

/** The id of a user, an object or a tenant: 1 to 256 characters, no `/`, no `#`. @throws KnockError 422. */
export function checkId(field: string, value: unknown): string {
  if (typeof value !== "string") throw invalid(field, "Expected text");
  if (value === "") throw invalid(field, "is required", "required");
  if (value.length > MAX_ID_LENGTH) throw invalid(field, `Expected at most ${MAX_ID_LENGTH} characters`, "too_long");
  if (/[/#]/.test(value)) throw invalid(field, "Expected no / and no #");
  return checkText(field, value);
}

/** @throws KnockError 422 for what no database keeps as it is. */
export function checkText(field: string, text: string): string {
  if (text.includes("\0") || !text.isWellFormed()) {
    throw invalid(field, "Expected text without NUL and without broken surrogate pairs");
  }
  return text;
}

/** Of an object. `$tenants` is one; other names that begin with `$` are reserved. @throws KnockError 422. */
export function checkCollection(field: string, value: unknown): string {
  if (typeof value !== "string" || !COLLECTION.test(value)) {
    throw invalid(field, "Expected the name of a collection: up to 256 characters, no /, # or blank");
  }
  if (value.startsWith("$") && value !== TENANTS) throw invalid(field, "Names that begin with $ are reserved");
  return checkText(field, value);
}

// ——— parties —————————————————————————————————————————————————————————————————————————————————————————————————————

export function userRef(id: string): PartyRef {
  return { collection: USERS, id };
}

/** Reads a RecipientRef: the id of a user, or `{collection, id}`. Further keys are let through. @throws KnockError 422. */
export function readParty(field: string, value: unknown): PartyRef {
  if (typeof value === "string") return userRef(checkId(field, value));
  if (!isObject(value)) throw invalid(field, "Expected the id of a user, or an object with id and collection");
  const id = checkId(`${field}.id`, value.id);
  const { collection } = value;
  if (collection === undefined || collection === null || collection === USERS) return userRef(id);
  return { collection: checkCollection(`${field}.collection`, collection), id };
}

/** Writes a RecipientRef. */
export function showRef({ collection, id }: PartyRef): Json {
  return collection === USERS ? id : { collection, id };
}

// ——— times ———————————————————————————————————————————————————————————————————————————————————————————————————————

/** A moment as ISO 8601 in UTC; null stays null. */
export function toIso<T extends Millis | null>(at: T): T extends null ? string | null : string {
  return (at === null ? null : isoOf(at)) as T extends null ? string | null : string;
}

const ISO_DATE = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?\s?(Z|[+-]\d{2}:?\d{2})?)?$/i;

/** Reads an ISO 8601 date or moment; without a zone it is UTC. Null when it is none. */
export function parseIso(text: string): Millis | null {
  if (!ISO_DATE.test(text)) return null;
  const spelled = text
    .replace(/^(\d{4}-\d{2}-\d{2}) /, "$1T")
    .replaceAll(" ", "")
    .replace(",", ".");
  const zoned = /(Z|[+-]\d{2}:?\d{2})$/i.test(spelled.slice(10)) || spelled.length === 10 ? spelled : `${spelled}Z`;
  const at = Date.parse(zoned);
  return Number.isNaN(at) ? null : at;
}
