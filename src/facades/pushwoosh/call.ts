/** One call: its fields, read leniently as this vendor does, and whose they are. */
import type { Environment, KeyMode } from "../../engine/model.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { invalid } from "./errors.ts";
import type { World } from "./pushwoosh.ts";

/** The vendor's own tables spell it in more than one way. */
const USER_FIELDS = ["userId", "userID", "user_id"] as const;
/** Longest text of a field that is kept with a device. */
const MAX_TEXT = 1024;

/** Reads the fields of an object. Null counts as absent; numbers will do for texts, and texts of digits for numbers. */
export class Fields {
  readonly #object: JsonObject;
  readonly #path: string;

  /** @param path what stands before the fields' names in refusals, for example `notifications[0].`. */
  constructor(object: JsonObject, path = "") {
    this.#object = object;
    this.#path = path;
  }

  /** Undefined when absent or null. */
  any(name: string): Json | undefined {
    const value = Object.hasOwn(this.#object, name) ? this.#object[name] : undefined;
    return value === null ? undefined : value;
  }

  /** @throws Refusal("invalid") for what is neither text nor number. An empty text is as good as none. */
  text(name: string): string | undefined {
    const value = this.any(name);
    if (value === undefined || value === "") return undefined;
    if (typeof value === "string") return value;
    if (typeof value === "number") return String(value);
    throw this.wrong(name, "Expected a text");
  }

  required(name: string): string {
    const value = this.text(name);
    if (value === undefined) throw this.wrong(name, "Required");
    return value;
  }

  integer(name: string): number | undefined {
    const value = this.any(name);
    if (value === undefined || value === "") return undefined;
    const number = typeof value === "string" && /^\s*-?\d{1,15}\s*$/.test(value) ? Number(value) : value;
    if (typeof number !== "number" || !Number.isSafeInteger(number)) throw this.wrong(name, "Expected an integer");
    return number;
  }

  /** True for what clients write for "yes". */
  flag(name: string): boolean {
    const value = this.any(name);
    return value === true || value === 1 || value === "1" || value === "true";
  }

  object(name: string): JsonObject | undefined {
    const value = this.any(name);
    if (value === undefined) return undefined;
    if (!isObject(value)) throw this.wrong(name, "Expected an object");
    return value;
  }

  list(name: string, most: number): readonly Json[] | undefined {
    const value = this.any(name);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw this.wrong(name, "Expected a list");
    if (value.length > most) throw this.wrong(name, `Expected at most ${most} entries, got ${value.length}`);
    return value as readonly Json[];
  }

  /** A text to be kept: cut, and without halves of characters. Never throws. */
  shortText(name: string): string | undefined {
    const value = this.any(name);
    if (typeof value !== "string" && typeof value !== "number") return undefined;
    return String(value).slice(0, MAX_TEXT).replaceAll("\0", "").toWellFormed() || undefined;
  }

  wrong(name: string, message: string): ReturnType<typeof invalid> {
    return invalid(`${this.#path}${name}`, message);
  }
}

/** A call that was let in. */
export class Call extends Fields {
  readonly environment: Environment;
  /** Of the secret key that it came with; null when it came without. */
  readonly mode: KeyMode | null;

  constructor(request: JsonObject, environment: Environment, mode: KeyMode | null) {
    super(request);
    this.environment = environment;
    this.mode = mode;
  }

  /** The user that the call names itself. */
  namedUser(): string | undefined {
    for (const name of USER_FIELDS) {
      const value = this.text(name);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  hwid(): string {
    return this.required("hwid");
  }

  /**
   * Whom the call is about: the user it names, else the one its device belongs to; a device never heard of is its own,
   * anonymous user.
   * @throws Refusal("invalid") when it names neither.
   */
  async user({ engine }: World): Promise<string> {
    const named = this.namedUser();
    if (named !== undefined) return named;
    const hwid = this.text("hwid");
    if (hwid === undefined) throw invalid("userId", "Required, or hwid in its place");
    const [device] = await engine.devices.read(this.environment.id, [hwid]);
    return device?.userId ?? hwid;
  }
}
