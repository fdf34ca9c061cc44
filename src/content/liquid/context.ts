/** What a template finds and writes to while it is rendered. */
import { Context, Drop, type Liquid } from "liquidjs";
import { RenderError } from "../../engine/ports.ts";
import type { StepSources } from "../../engine/workflow/ports.ts";
import { cleanText, VALUE_CLOSE, VALUE_OPEN } from "../handlebars/parse.ts";
import { escapeHtml } from "../markdown/print-html.ts";
import type { Budget } from "./budget.ts";
import type { Steps } from "./drive.ts";
import { jsonOf, Markup, PrintableList, plain, propertyOf, textOf } from "./values.ts";

/**
 * How values are written: `plain` as they are, `html` so that they are no markup, `json` so that they do not end the
 * string they stand in, `marked` as marks whose values are put in after the text around them was read as markdown.
 */
export type Mode = "plain" | "html" | "json" | "marked";

/** What a mark stands for: text, or HTML that a filter made. */
export type Value = string | Markup;

/** What one call of a template language renders with; its texts share all of it. */
export interface Session {
  readonly budget: Budget;
  readonly sources: StepSources;
  /** Epoch milliseconds; what `now` means. */
  readonly now: number;
  /** Filled in `marked` mode. */
  readonly values: Value[];
  /** What was looked up already, so that a loop asks once. */
  readonly answers: Map<string, unknown>;
}

/** A template that looks up something else for each of a thousand items is a mistake. */
const MAX_LOOKUPS = 100;

/**
 * Asks the sources, once for each key.
 * @throws RenderError when it is too much that is asked.
 */
export function* lookUp<T>(session: Session, key: string, ask: (sources: StepSources) => Promise<T>): Steps<T> {
  // Whatever was put there under this key was an answer to this question.
  if (session.answers.has(key)) return session.answers.get(key) as T;
  if (session.answers.size >= MAX_LOOKUPS) {
    throw new RenderError(`the template looks up more than ${MAX_LOOKUPS} things`, { cause: "limit" });
  }
  session.answers.set(key, null);
  const answer = (yield ask(session.sources)) as T;
  session.answers.set(key, answer);
  return answer;
}

/** The fields of the loop variables; everything else of theirs is machinery. */
const LOOP_FIELDS = new Set(
  "index index0 rindex rindex0 first last length name row col col0 col_first col_last".split(" "),
);

export class TemplateContext extends Context {
  readonly session: Session;
  readonly budget: Budget;
  readonly mode: Mode;
  /** How many partials are around. */
  readonly partials: number;

  /**
   * @param names an object without a prototype; `increment` writes to it.
   * @param fallback whose own properties are found where `names` has none.
   */
  constructor(liquid: Liquid, session: Session, mode: Mode, names: object, fallback: object, partials = 0) {
    super(names, liquid.options, { globals: fallback }, { liquid });
    this.session = session;
    this.budget = session.budget;
    this.mode = mode;
    this.partials = partials;
  }

  /** For what is rendered inside with names of its own. `shares` lets it see ours, too. */
  inner(names: object, { shares, mode = this.mode, partials = this.partials }: InnerOptions): TemplateContext {
    const own: object = Object.assign(Object.create(null), shares ? this.environments : null, names);
    return new TemplateContext(this.liquid as Liquid, this.session, mode, own, shares ? this.globals : {}, partials);
  }

  override readProperty(of: unknown, key: unknown): unknown {
    if (of instanceof Drop && !(of instanceof Markup)) {
      return typeof key === "string" && LOOP_FIELDS.has(key) ? super.readProperty(of as never, key) : undefined;
    }
    return propertyOf(of, key);
  }
}

export interface InnerOptions {
  readonly shares: boolean;
  readonly mode?: Mode;
  readonly partials?: number;
}

/** What a writer needs to know of where it writes. */
export type Surroundings = Pick<TemplateContext, "mode" | "budget" | "session">;

/** Text of a template with its values, as the context's mode says. @throws RenderError when it grows too long. */
export class Writer {
  buffer = "";
  readonly #context: Surroundings;

  constructor(context: Surroundings) {
    this.#context = context;
  }

  /** @param written text of the author's; or `Printed`, what an expression came to. */
  write(written: unknown): void {
    const text = written instanceof Printed ? this.#print(written.value) : String(written ?? "");
    this.#context.budget.text(text.length);
    this.buffer += text;
    if (this.buffer.length > this.#context.budget.limits.textLength) this.#context.budget.text(this.buffer.length);
  }

  #print(value: unknown): string {
    const { mode, budget, session } = this.#context;
    if (value instanceof Markup) return this.#markup(value);
    if (value instanceof PrintableList && mode !== "json") return mode === "html" ? value.html : "";
    if (mode === "json") return jsonValue(value, budget);
    const text = cleanText(textOf(value, budget));
    if (mode === "plain") return text;
    if (mode === "html") return escapeHtml(text);
    return text === "" ? "" : mark(session.values, text);
  }

  #markup(markup: Markup): string {
    const { mode, session } = this.#context;
    // Captured marks stay what they are; in anything else of an author's they would name values of others.
    const text = markup.kind === "marked" ? markup.text : cleanText(markup.text);
    if (markup.kind === "author" || mode === "plain" || mode === markup.kind) return text;
    if (mode === "html") return escapeHtml(text);
    if (mode === "json") return JSON.stringify(text).slice(1, -1);
    return mark(session.values, markup.kind === "html" ? markup : text);
  }
}

/** What an expression came to, on its way to the writer; the library writes the author's own text as a string. */
export class Printed {
  readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }
}

/** A text that was written in the context, as a value of it. */
export function asWritten(text: string, { mode }: TemplateContext): string | Markup {
  return mode === "plain" ? text : new Markup(mode, text);
}

function mark(values: Value[], value: Value): string {
  return VALUE_OPEN + (values.push(value) - 1) + VALUE_CLOSE;
}

/** Texts without their quotation marks, which the author wrote; everything else as JSON. */
function jsonValue(value: unknown, budget: Budget): string {
  const bare = plain(value);
  if (bare === null) return "";
  return typeof bare === "string" ? JSON.stringify(cleanText(bare)).slice(1, -1) : jsonOf(bare, budget);
}
