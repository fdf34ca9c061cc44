/**
 * Liquid, as the library parses it, run under our budget with our own filters, comparisons and tags. Nothing of the
 * library's own filters is left: they trust the sizes of what they are given.
 */
import {
  Liquid,
  LiquidError,
  type Template as Node,
  Output,
  Parser,
  Tokenizer,
  type TopLevelToken,
  TypeGuards,
} from "liquidjs";
import { RenderError } from "../../engine/ports.ts";
import { Lru } from "../../lib/lru.ts";
import { cleanText } from "../handlebars/parse.ts";
import { type Mode, Printed, type Session, type Surroundings, TemplateContext, Writer } from "./context.ts";
import { LookUpFailure, type Steps } from "./drive.ts";
import { registerFilters } from "./filters/register.ts";
import { OPERATORS } from "./operators.ts";
import { readRangesAsFilters } from "./ranges.ts";
import { printPartial, registerTags } from "./tags.ts";

/** A text that was read once and can be rendered any number of times, at once. */
export interface Template {
  /** Without characters that no database keeps. */
  readonly source: string;
  /** The text itself when nothing in it is Liquid. */
  readonly literal: string | null;
  /**
   * The text as pieces of the author's and paths to values between them. Null when there is more to it (filters, tags).
   * Most texts are so plain; where no names but those of the run are to be seen, they are printed without the library.
   */
  readonly pieces: readonly (string | Path)[] | null;
  readonly nodes: readonly Node[];
}

/** Keys of `a.b[0]`, the outermost first. */
export type Path = readonly (string | number)[];

/** The text is no Liquid. The message names the line. */
export class TemplateError extends Error {
  override name = "TemplateError";
  readonly line: number | null;

  constructor(message: string, line: number | null = null) {
    super(message);
    this.line = line;
  }
}

/** Mailers cut what is longer than 100 KB. At this size the worst text takes 0.3 s to read. */
const MAX_SOURCE = 300_000;
/** Small texts come by the thousand, large ones by the dozen. */
const SMALL = 4_000;
const LARGE = 100_000;
const small = new Lru<string, Template>(1_000);
const large = new Lru<string, Template>(40);

readRangesAsFilters(OPERATORS);
const liquid = new Liquid({
  ownPropertyOnly: true,
  strictFilters: true,
  cache: false,
  operators: OPERATORS,
  // The library's type says string; its renderer hands whatever this returns to our writer.
  outputEscape: ((value: unknown) => new Printed(value)) as unknown as (value: unknown) => string,
});
const texts = { compile, print, described };
registerFilters(liquid, texts);
registerTags(liquid, texts);

/** @throws TemplateError */
export function compile(source: string): Template {
  const cache = source.length <= SMALL ? small : large;
  const known = cache.get(source);
  if (known !== undefined) return known;
  const template = parse(source);
  if (source.length <= LARGE) cache.set(source, template);
  return template;
}

function parse(source: string): Template {
  if (source.length > MAX_SOURCE) throw new TemplateError(`a text has at most ${MAX_SOURCE} characters`);
  const text = cleanText(source);
  if (!text.includes("{{") && !text.includes("{%")) {
    return { source: text, literal: text, pieces: [text], nodes: [] };
  }
  try {
    const tokens = new Tokenizer(text, liquid.options.operators).readTopLevelTokens(liquid.options);
    const queue = new TokenQueue(tokens);
    // The parser takes tokens off with `shift` and asks for `length`, and so do its tags.
    const nodes = new Parser(liquid).parseTokens(queue as unknown as TopLevelToken[]);
    return { source: text, literal: null, pieces: piecesOf(nodes), nodes };
  } catch (error) {
    if (error instanceof RangeError) throw new TemplateError("the template is nested too deeply");
    throw new TemplateError(described(error), lineOf(error));
  }
}

/** Taking the first of a hundred thousand off an array moves all others; this does not. */
class TokenQueue {
  readonly #tokens: readonly TopLevelToken[];
  #at = 0;

  constructor(tokens: readonly TopLevelToken[]) {
    this.#tokens = tokens;
  }

  get length(): number {
    return this.#tokens.length - this.#at;
  }

  shift(): TopLevelToken | undefined {
    return this.#tokens[this.#at++];
  }
}

function piecesOf(nodes: readonly Node[]): Template["pieces"] {
  const pieces: (string | Path)[] = [];
  for (const node of nodes) {
    const { token } = node;
    const piece = TypeGuards.isHTMLToken(token) ? token.getContent() : node instanceof Output ? pathOf(node) : null;
    if (piece === null) return null;
    pieces.push(piece);
  }
  return pieces;
}

/** The one filter of a plain output is the one that hands every value to our writer. */
function pathOf({ value: { initial, filters } }: Output): Path | null {
  const [token] = initial.postfix;
  if (filters.length !== 1 || initial.postfix.length !== 1 || !TypeGuards.isPropertyAccessToken(token)) return null;
  if (token.variable !== undefined) return null;
  const keys = token.props.map((prop) => ("content" in prop ? prop.content : null));
  return keys.every((key) => typeof key === "string" || typeof key === "number") ? keys : null;
}

/** A context for the names given; see `TemplateContext`. */
export function contextOf(session: Session, mode: Mode, names: object, fallback: object): TemplateContext {
  return new TemplateContext(liquid, session, mode, names, fallback);
}

/** @throws RenderError */
export function* print(template: Template, context: TemplateContext): Steps<string> {
  if (template.literal !== null) return template.literal;
  const writer = new Writer(context);
  yield liquid.renderer.renderTemplates(template.nodes as Node[], context, writer);
  return writer.buffer;
}

/** Prints the pieces of a template. @throws RenderError */
export function printPieces(
  pieces: NonNullable<Template["pieces"]>,
  surroundings: Surroundings,
  valueAt: (path: Path) => unknown,
): string {
  const writer = new Writer(surroundings);
  for (const piece of pieces) {
    surroundings.budget.step();
    writer.write(typeof piece === "string" ? piece : new Printed(valueAt(piece)));
  }
  return writer.buffer;
}

/** The text of a partial, which sees the names it is given and no others. @throws RenderError */
export function partial(key: string, names: object, context: TemplateContext): Steps<string> {
  return printPartial(texts, key, names, context);
}

/** What the expression of a text that is nothing else comes to, for where lists may be handed on; else its text. */
export function* soleValue(template: Template, context: TemplateContext): Steps<unknown> {
  const [node] = template.nodes;
  if (template.nodes.length !== 1 || !(node instanceof Output)) return yield* print(template, context);
  const caught: { value?: unknown } = {};
  const catcher = {
    buffer: "",
    write: (written: unknown) => {
      caught.value = written instanceof Printed ? written.value : written;
    },
  };
  yield node.render(context, catcher);
  return caught.value;
}

/** What went wrong where, as a person who wrote the text needs it. */
export function described(error: unknown): string {
  if (error instanceof RenderError || error instanceof TemplateError) return error.message;
  if (!LiquidError.is(error)) return "the template cannot be rendered";
  const { originalError, token } = error as { originalError?: unknown; token?: { getPosition(): number[] } };
  if (LiquidError.is(originalError)) return described(originalError);
  if (originalError instanceof RangeError) return "the template is nested too deeply";
  const message = originalError instanceof Error ? originalError.message : error.message;
  const line = token?.getPosition()[0];
  const said = message.replace(/, line:\d+, col:\d+$/, "").slice(0, 300);
  // What happened in a partial is told with the line of the partial.
  return line === undefined || / \(line \d+\)$/.test(said) ? said : `${said} (line ${line})`;
}

/** In which line of the author's text that is; of what a partial is at fault for, the line that includes it. */
export function lineOf(error: unknown): number | null {
  if (error instanceof RenderError || error instanceof TemplateError) return error.line;
  if (!LiquidError.is(error)) return null;
  const { originalError, token } = error as { originalError?: unknown; token?: { getPosition(): number[] } };
  if (LiquidError.is(originalError)) return lineOf(originalError);
  return lineOf(originalError) ?? token?.getPosition()[0] ?? null;
}

/** The look-up that failed, if it was one: then the template is not at fault. */
export function failedLookUp(error: unknown): LookUpFailure | null {
  let at = error;
  for (let depth = 0; depth < 100 && at instanceof Error; depth++) {
    if (at instanceof LookUpFailure) return at;
    at = (at as { originalError?: unknown }).originalError ?? at.cause;
  }
  return null;
}
