/** What all channel types share: how a template's fields are read once, and what they are rendered with. */
import type { Rendered } from "../../engine/model.ts";
import { RenderError } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import type { StepRendering } from "../../engine/workflow/ports.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import type { Budget } from "../liquid/budget.ts";
import type { Mode, Session, TemplateContext } from "../liquid/context.ts";
import type { Steps } from "../liquid/drive.ts";
import {
  compile,
  contextOf,
  described,
  failedLookUp,
  lineOf,
  type Path,
  print,
  printPieces,
  type Template,
  TemplateError,
} from "../liquid/language.ts";
import { propertyOf } from "../liquid/values.ts";

/** A template that was read: makes the content of one message after the other. */
export type MessageTemplate = (message: MessageRendering) => Steps<Rendered>;

/** One text of a template, with the name under which its author knows it. */
export interface Field {
  readonly name: string;
  readonly text: Template;
}

/** Reads the fields of a template. @throws Refusal("invalid") naming the field. */
export class Fields {
  readonly #object: JsonObject;
  readonly #path: string;

  constructor(object: JsonObject, path = "template") {
    this.#object = object;
    this.#path = path;
  }

  path(name: string): string {
    return `${this.#path}.${name}`;
  }

  value(name: string): Json | undefined {
    return Object.hasOwn(this.#object, name) ? (this.#object[name] ?? undefined) : undefined;
  }

  /** Null when it is absent or null. */
  optional(name: string): Field | null {
    const value = this.value(name);
    if (value === undefined) return null;
    if (typeof value !== "string") throw wrong(this.path(name), "a string");
    return { name, text: readText(value, this.path(name)) };
  }

  /** Must be there and say something. */
  required(name: string): Field {
    const field = this.optional(name);
    if (field === null || field.text.source.trim() === "") throw wrong(this.path(name), "a text that is not empty");
    return field;
  }

  /** The fields of an object within; those of an empty one when it is absent. */
  within(name: string): Fields {
    const value = this.value(name) ?? {};
    if (!isObject(value)) throw wrong(this.path(name), "an object");
    return new Fields(value, this.path(name));
  }

  /** The objects of a list; none when it is absent. */
  list(name: string, most: number): readonly Fields[] {
    const value = this.value(name) ?? [];
    if (!Array.isArray(value)) throw wrong(this.path(name), "a list");
    if (value.length > most) throw wrong(this.path(name), `a list of at most ${most}`);
    return (value as readonly Json[]).map((item, i) => {
      if (!isObject(item)) throw wrong(`${this.path(name)}[${i}]`, "an object");
      return new Fields(item, `${this.path(name)}[${i}]`);
    });
  }
}

/** @throws Refusal("invalid") with the field and the line. */
export function readText(text: string, field: string): Template {
  try {
    return compile(text);
  } catch (error) {
    if (error instanceof TemplateError) {
      throw new Refusal("invalid", error.message, { field, ...(error.line !== null && { line: error.line }) });
    }
    throw error;
  }
}

export function wrong(field: string, expected: string): Refusal {
  return new Refusal("invalid", `${field} must be ${expected}`, { field });
}

/** Names that templates find at the top level; trigger data stands behind them. */
function namesOf(scope: StepRendering["scope"]): object {
  return Object.assign(Object.create(null), scope);
}

/** One message on its way: its texts share a budget and the values of its markdown. */
export class MessageRendering {
  readonly rendering: StepRendering;
  readonly session: Session;

  constructor(rendering: StepRendering, budget: Budget, now: number) {
    this.rendering = rendering;
    this.session = { budget, sources: rendering.sources, now, values: [], answers: new Map() };
  }

  get budget(): Budget {
    return this.session.budget;
  }

  /** A context of its own, for texts that are to see what one another assign. */
  context(mode: Mode): TemplateContext {
    const { scope } = this.rendering;
    return contextOf(this.session, mode, namesOf(scope), scope.data);
  }

  /** @throws RenderError that names the field. */
  *print(field: Field, mode: Mode | TemplateContext): Steps<string> {
    const { literal, pieces } = field.text;
    if (literal !== null) return literal;
    try {
      if (typeof mode !== "string") return yield* print(field.text, mode);
      if (pieces === null) return yield* print(field.text, this.context(mode));
      const { budget, session } = this;
      return printPieces(pieces, { mode, budget, session }, (path) => this.#valueAt(path));
    } catch (error) {
      throw failure(error, field.name);
    }
  }

  /** As a context of its own would find it. */
  #valueAt(path: Path): unknown {
    const { scope } = this.rendering;
    let at: unknown = Object.hasOwn(scope, path[0] as string) ? scope : scope.data;
    for (const key of path) at = propertyOf(at, key);
    return at;
  }

  *optional(field: Field | null, mode: Mode): Steps<string | null> {
    return field === null ? null : yield* this.print(field, mode);
  }

  /** @throws RenderError when the text is no JSON object. */
  *object(field: Field | null): Steps<JsonObject | null> {
    const text = (yield* this.optional(field, "json"))?.trim() ?? "";
    if (field === null || text === "") return null;
    const value = parsedJson(text);
    if (!isObject(value)) {
      throw new RenderError(`${field.name}: this is no JSON object`, { field: field.name });
    }
    return value;
  }
}

/** As an error of the author's that names the field; a failed look-up stays what it is. */
export function failure(error: unknown, field: string): unknown {
  return (
    failedLookUp(error) ??
    new RenderError(`${field}: ${described(error)}`, { cause: error, field, line: lineOf(error) })
  );
}

/** @returns undefined when the text is no JSON. Keys named `__proto__` are plain keys. */
export function parsedJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** Line ends would begin another header, or another line on a screen that has one. */
export function oneLine(text: string): string {
  return text.replace(/\s*[\r\n\u2028\u2029]+\s*/g, " ").trim();
}
