/**
 * Reads the two notations of content: `{path}` and the `{{…}}` of Handlebars. All parsing happens here, once per text;
 * a text that cannot be read becomes a template with a `fault`, which is reported when it is rendered: stored content
 * with a slip in one channel must not keep the other channels from being sent.
 */
import { isFunction } from "./functions.ts";

export interface Path {
  /** How many `../` it begins with. */
  readonly up: number;
  /** From the root, past the blocks around: written `$.` or `@root.`. */
  readonly root: boolean;
  /** Null for `this`. */
  readonly head: string | null;
  readonly rest: readonly string[];
}

export type Expression =
  | { readonly kind: "literal"; readonly value: string | number | boolean | null | undefined }
  | { readonly kind: "path"; readonly path: Path }
  | Call;

export interface Call {
  readonly kind: "call";
  readonly name: string;
  readonly args: readonly Expression[];
  readonly named: readonly { readonly name: string; readonly value: Expression }[];
}

export interface Block {
  readonly kind: "block";
  /** `if`, `unless`, `each`, `with`; `section` shows its body for each element, or once, as the value suggests. */
  readonly name: "if" | "unless" | "each" | "with" | "section";
  readonly value: Expression;
  /** Names after `as |…|`. */
  readonly names: readonly string[];
  readonly body: readonly Part[];
  readonly otherwise: readonly Part[];
}

export type Part =
  | string
  /** `{path}`; `source` is what stays when there is no value. */
  | { readonly kind: "variable"; readonly path: Path; readonly source: string }
  /** `{{…}}`; raw for `{{{…}}}`. */
  | { readonly kind: "value"; readonly value: Expression; readonly raw: boolean }
  | Block
  | { readonly kind: "partial"; readonly name: string; readonly named: Call["named"] };

export interface Template {
  readonly parts: readonly Part[];
  /** The whole text when nothing in it depends on values. */
  readonly literal: string | null;
  /** False when the literal text itself depends on values, because of blocks or partials. */
  readonly flat: boolean;
  readonly fault: string | null;
}

/** Stand around the number of a value in a text that is still to be read as markdown; noncharacters of Unicode. */
export const VALUE_OPEN = "\uFDD0";
export const VALUE_CLOSE = "\uFDD1";

const MAX_BLOCK_DEPTH = 50;
const MAX_CALL_DEPTH = 20;
const CACHED_LENGTH = 10_000;
const CACHE_LIMIT = 1000;

const VARIABLE = /\{\s*((?:\$\.)?[A-Za-z_]\w*(?:\.\w+|\[\d+\])*)\s*\}/y;
const PATH = /(?:\.\.\/)*(?:\.\.|\.(?![\w[])|@?[A-Za-z_$][\w$-]*|\[[^\]]*\])(?:[./](?:[\w$-]+|\[[^\]]*\])|\[\d+\])*/y;
const NUMBER = /-?\d+(?:\.\d+)?(?=[\s)}~])/y;
const QUOTED = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/sy;
const NAME = /[A-Za-z_][\w-]*/y;
const BLANK_TO_LINE_END = /[ \t]*(?:\r?\n|$)/y;

const NOTHING: Template = { parts: [], literal: "", flat: true, fault: null };
const cache = new Map<string, Template>();

/** As `parseTemplate`, remembering short texts: for strings that come with the context, such as brand snippets. */
export function cachedTemplate(text: string): Template {
  if (text.length > CACHED_LENGTH) return parseTemplate(text);
  let template = cache.get(text);
  if (template === undefined) {
    template = parseTemplate(text);
    if (cache.size >= CACHE_LIMIT) cache.delete(cache.keys().next().value as string);
    cache.set(text, template);
  }
  return template;
}

/** Never throws; see `Template.fault`. Takes time linear in the text. */
export function parseTemplate(text: string): Template {
  const clean = cleanText(text);
  if (clean === "") return NOTHING;
  if (!clean.includes("{")) return { parts: [clean], literal: clean, flat: true, fault: null };
  try {
    const parts = new Parser(clean).parse();
    const literal = parts.every((part) => typeof part === "string") ? parts.join("") : null;
    const flat = parts.every((part) => typeof part === "string" || part.kind === "variable" || part.kind === "value");
    return { parts, literal, flat, fault: null };
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return { parts: [], literal: null, flat: true, fault: error.message };
  }
}

/** @returns null when the text is not a path. `$.a.b[0]`, `a/b` and a leading `data.` are all paths. */
export function parsePath(text: string): Path | null {
  const trimmed = text.trim();
  PATH.lastIndex = 0;
  const match = PATH.exec(trimmed);
  return match !== null && match[0].length === trimmed.length ? pathOf(trimmed) : null;
}

/** Databases refuse NUL and lone surrogates, and the two marks of values are ours. */
export function cleanText(text: string): string {
  let clean = text.isWellFormed() ? text : text.toWellFormed();
  if (clean.includes("\0")) clean = clean.replaceAll("\0", "");
  return clean.includes(VALUE_OPEN) || clean.includes(VALUE_CLOSE) ? clean.replace(/[\uFDD0\uFDD1]/g, "\uFFFD") : clean;
}

class Malformed extends Error {}

/** A block whose end has not been read yet. */
interface Open {
  readonly tag: string;
  readonly name: Block["name"];
  readonly value: Expression;
  readonly names: readonly string[];
  readonly body: Part[];
  otherwise: Part[] | null;
  /** Opened by `{{else if}}`: the end of the block around it ends it too. */
  readonly chained: boolean;
}

class Parser {
  readonly #text: string;
  #at = 0;
  #root: Part[] = [];
  #open: Open[] = [];
  #literal = "";
  /** A `~}}` was read: blanks up to the next text go. */
  #trimNext = false;
  /** The tag read last ended with `~}}`. */
  #tilde = false;
  #callDepth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Part[] {
    const text = this.#text;
    while (this.#at < text.length) {
      const brace = text.indexOf("{", this.#at);
      if (brace < 0) {
        this.#say(text.slice(this.#at));
        break;
      }
      if (text[brace - 1] === "\\" && brace > this.#at) {
        this.#escaped(brace);
        continue;
      }
      this.#say(text.slice(this.#at, brace));
      this.#at = brace;
      if (text.startsWith("{{", brace)) this.#mustache();
      else this.#variable();
    }
    this.#flush();
    const left = this.#open.at(-1);
    if (left !== undefined) throw new Malformed(`{{#${left.tag}}} is not closed`);
    return this.#root;
  }

  /** `\{` and `\{{` are braces; `\\{` is a backslash before something that counts. */
  #escaped(brace: number): void {
    if (this.#text[brace - 2] === "\\" && brace - 2 >= this.#at) {
      this.#say(this.#text.slice(this.#at, brace - 1));
      this.#at = brace;
      if (this.#text.startsWith("{{", brace)) this.#mustache();
      else this.#variable();
      return;
    }
    const braces = this.#text.startsWith("{{", brace) ? "{{" : "{";
    this.#say(this.#text.slice(this.#at, brace - 1) + braces);
    this.#at = brace + braces.length;
  }

  #variable(): void {
    VARIABLE.lastIndex = this.#at;
    const match = VARIABLE.exec(this.#text);
    if (match === null) {
      this.#say("{");
      this.#at++;
      return;
    }
    this.#at += match[0].length;
    this.#add({ kind: "variable", path: pathOf(match[1] as string), source: match[0] });
  }

  #say(text: string): void {
    if (this.#trimNext) {
      text = text.trimStart();
      if (text === "") return;
      this.#trimNext = false;
    }
    this.#literal += text;
  }

  #flush(): void {
    if (this.#literal !== "") this.#target().push(this.#literal);
    this.#literal = "";
  }

  #target(): Part[] {
    const open = this.#open.at(-1);
    return open === undefined ? this.#root : (open.otherwise ?? open.body);
  }

  #add(part: Part): void {
    this.#flush();
    this.#trimNext = false;
    this.#target().push(part);
  }

  #mustache(): void {
    const start = this.#at;
    const text = this.#text;
    const comment = /\{\{~?!(?:--)?/y;
    comment.lastIndex = start;
    const opening = comment.exec(text)?.[0];
    if (opening !== undefined) {
      const closing = opening.endsWith("--") ? "--}}" : "}}";
      const end = text.indexOf(closing, start);
      if (end < 0) throw new Malformed("a comment is not closed");
      this.#at = end + closing.length;
      this.#standalone(start);
      return;
    }
    const raw = text.startsWith("{{{", start);
    this.#at += raw ? 3 : 2;
    if (text[this.#at] === "~") {
      this.#at++;
      this.#literal = this.#literal.trimEnd();
    }
    const sigil = raw ? "" : (/[#/^>&]/y.exec(this.#skip().slice(0, 1))?.[0] ?? "");
    this.#at += sigil.length;
    if (sigil === "#") this.#begin(start);
    else if (sigil === "/") this.#finish(start);
    else if (sigil === "^") this.#inverse(start);
    else if (sigil === ">") this.#partial(start);
    else this.#value(start, raw, raw || sigil === "&");
  }

  #value(start: number, triple: boolean, raw: boolean): void {
    NAME.lastIndex = this.#skipTo();
    if (!triple && NAME.exec(this.#text)?.[0] === "else") {
      this.#else(start);
      return;
    }
    const value = this.#expression();
    this.#close(triple);
    this.#add({ kind: "value", value, raw });
    this.#trimAfter();
  }

  #begin(start: number, chained = false): void {
    if (this.#open.length >= MAX_BLOCK_DEPTH)
      throw new Malformed(`blocks are nested more than ${MAX_BLOCK_DEPTH} deep`);
    NAME.lastIndex = this.#skipTo();
    const tag = NAME.exec(this.#text)?.[0];
    if (tag === undefined) throw new Malformed("a block has no name");
    let name: Block["name"] = "section";
    let value: Expression;
    if (tag === "if" || tag === "unless" || tag === "each" || tag === "with") {
      name = tag;
      this.#at += tag.length;
      this.#skipTo();
      value = this.#operand();
    } else {
      value = this.#expression();
      // A function as a block asks whether it gives something true.
      if (value.kind === "call") name = "if";
    }
    const names = this.#blockNames();
    this.#close(false);
    if (!chained) this.#standalone(start);
    this.#flush();
    this.#open.push({ tag, name, value, names, body: [], otherwise: null, chained });
    this.#trimAfter();
  }

  #inverse(start: number): void {
    this.#skipTo();
    if (this.#atClose()) {
      this.#close(false);
      this.#otherwise(start);
      return;
    }
    NAME.lastIndex = this.#at;
    const tag = NAME.exec(this.#text)?.[0] ?? "";
    const value = this.#expression();
    this.#close(false);
    this.#standalone(start);
    this.#flush();
    this.#open.push({ tag, name: "unless", value, names: [], body: [], otherwise: null, chained: false });
    this.#trimAfter();
  }

  #else(start: number): void {
    this.#at += 4;
    this.#skipTo();
    if (this.#atClose()) {
      this.#close(false);
      this.#otherwise(start);
      return;
    }
    const rest = this.#at;
    this.#otherwise(start, false);
    this.#at = rest;
    this.#begin(start, true);
    this.#standalone(start);
  }

  #otherwise(start: number, closed = true): void {
    const open = this.#open.at(-1);
    if (open === undefined || open.otherwise !== null) throw new Malformed("{{else}} without a block");
    if (closed) this.#standalone(start);
    this.#flush();
    open.otherwise = [];
    if (closed) this.#trimAfter();
  }

  #finish(start: number): void {
    NAME.lastIndex = this.#skipTo();
    PATH.lastIndex = this.#at;
    const tag = NAME.exec(this.#text)?.[0] ?? "";
    const path = PATH.exec(this.#text)?.[0] ?? "";
    this.#at += path.length;
    this.#skipTo();
    this.#close(false);
    this.#standalone(start);
    this.#flush();
    for (;;) {
      const open = this.#open.pop();
      if (open === undefined) throw new Malformed(`{{/${tag}}} closes nothing`);
      const { name, value, names, body, otherwise } = open;
      if (!open.chained && open.tag !== tag) throw new Malformed(`{{#${open.tag}}} is closed by {{/${tag}}}`);
      this.#target().push({ kind: "block", name, value, names, body, otherwise: otherwise ?? [] });
      if (!open.chained) break;
    }
    this.#trimAfter();
  }

  #partial(start: number): void {
    NAME.lastIndex = this.#skipTo();
    const name = NAME.exec(this.#text)?.[0];
    if (name === undefined) throw new Malformed("a partial has no name");
    this.#at += name.length;
    const { named, args } = this.#arguments();
    if (args.length > 0) throw new Malformed(`{{> ${name}}} takes only named values`);
    this.#close(false);
    this.#standalone(start);
    this.#add({ kind: "partial", name, named });
    this.#trimAfter();
  }

  /** What follows `{{`: a path, a literal, or a function with what it is applied to. */
  #expression(): Expression {
    this.#skipTo();
    NAME.lastIndex = this.#at;
    const name = NAME.exec(this.#text)?.[0];
    const first = this.#operand();
    const { args, named } = this.#arguments();
    if (args.length === 0 && named.length === 0) return first;
    if (first.kind !== "path" || name === undefined || !isFunction(name)) {
      throw new Malformed(`there is no function ${JSON.stringify(name ?? "")}`);
    }
    return { kind: "call", name, args, named };
  }

  #arguments(): Pick<Call, "args" | "named"> {
    const args: Expression[] = [];
    const named: { name: string; value: Expression }[] = [];
    for (;;) {
      this.#skipTo();
      const next = this.#text[this.#at];
      if (next === undefined) throw new Malformed("{{ is not closed");
      if (next === "}" || next === "~" || next === ")" || next === "|") return { args, named };
      if (this.#text.startsWith("as |", this.#at)) return { args, named };
      NAME.lastIndex = this.#at;
      const name = NAME.exec(this.#text)?.[0];
      if (name !== undefined && this.#text[this.#at + name.length] === "=") {
        this.#at += name.length + 1;
        this.#skipTo();
        named.push({ name, value: this.#operand() });
      } else args.push(this.#operand());
    }
  }

  #operand(): Expression {
    const text = this.#text;
    if (text[this.#at] === "(") {
      if (++this.#callDepth > MAX_CALL_DEPTH) throw new Malformed(`calls are nested more than ${MAX_CALL_DEPTH} deep`);
      this.#at++;
      const inner = this.#expression();
      this.#skipTo();
      if (text[this.#at] !== ")") throw new Malformed("( is not closed");
      this.#at++;
      this.#callDepth--;
      return inner;
    }
    for (const pattern of [QUOTED, NUMBER, PATH]) {
      pattern.lastIndex = this.#at;
      const found = pattern.exec(text)?.[0];
      if (found === undefined) continue;
      this.#at += found.length;
      if (pattern === QUOTED) return { kind: "literal", value: found.slice(1, -1).replace(/\\(["'\\])/g, "$1") };
      if (pattern === NUMBER) return { kind: "literal", value: Number(found) };
      if (found === "true" || found === "false") return { kind: "literal", value: found === "true" };
      if (found === "null") return { kind: "literal", value: null };
      if (found === "undefined") return { kind: "literal", value: undefined };
      return { kind: "path", path: pathOf(found) };
    }
    throw new Malformed(
      this.#at >= text.length
        ? "{{ is not closed"
        : `cannot read ${JSON.stringify(text.slice(this.#at, this.#at + 10))}`,
    );
  }

  #blockNames(): string[] {
    this.#skipTo();
    if (!this.#text.startsWith("as |", this.#at)) return [];
    const end = this.#text.indexOf("|", this.#at + 4);
    if (end < 0) throw new Malformed("the names after `as |` are not closed");
    const names = this.#text
      .slice(this.#at + 4, end)
      .trim()
      .split(/\s+/);
    this.#at = end + 1;
    return names;
  }

  #skipTo(): number {
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at++;
    return this.#at;
  }

  #skip(): string {
    const at = this.#skipTo();
    return this.#text.slice(at, at + 1);
  }

  #atClose(): boolean {
    return this.#text.startsWith("}}", this.#at) || this.#text.startsWith("~}}", this.#at);
  }

  #close(raw: boolean): void {
    this.#skipTo();
    this.#tilde = this.#text[this.#at] === "~";
    if (this.#tilde) this.#at++;
    const braces = raw ? "}}}" : "}}";
    if (!this.#text.startsWith(braces, this.#at)) throw new Malformed("{{ is not closed");
    this.#at += braces.length;
  }

  #trimAfter(): void {
    this.#trimNext = this.#tilde;
  }

  /** A block tag alone on its line takes the line with it, so that blocks in lists leave no empty lines. */
  #standalone(start: number): void {
    const text = this.#text;
    let lineStart = start;
    while (lineStart > 0 && (text[lineStart - 1] === " " || text[lineStart - 1] === "\t")) lineStart--;
    if (lineStart > 0 && text[lineStart - 1] !== "\n") return;
    BLANK_TO_LINE_END.lastIndex = this.#at;
    const rest = BLANK_TO_LINE_END.exec(text)?.[0];
    if (rest === undefined) return;
    this.#literal = this.#literal.replace(/[ \t]+$/, "");
    this.#flush();
    this.#at += rest.length;
  }
}

function pathOf(text: string): Path {
  let up = 0;
  let rest = text;
  while (rest.startsWith("../")) {
    up++;
    rest = rest.slice(3);
  }
  if (rest === "..") {
    up++;
    rest = "this";
  }
  const segments =
    rest === "." ? ["this"] : (rest.match(/\[[^\]]*\]|[^./[\]]+/g) ?? []).map((s) => s.replace(/^\[|\]$/g, ""));
  const root = segments[0] === "$" || segments[0] === "@root";
  if (root) segments.shift();
  const head = segments.shift() ?? null;
  return { up, root, head: head === "this" && !root ? null : head, rest: segments };
}
