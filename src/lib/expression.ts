/**
 * A small boolean language that reads data and can do nothing else: `data.plan === "pro" && profile.age > 3`.
 *
 *   comparison  == === != !== < > <= >=      (both spellings of equality are strict)
 *   logic       && || ! ( )                  (truthiness as in JavaScript; `&&` and `||` give an operand)
 *   access      a.b  a["b"]  a[0]  .length  .includes(x)      (own properties only)
 *   literals    "s" 's' 12.5 -3 true false null
 *
 * `{{` and `}}` count as parentheses, since people wrap expressions that way. `$.a` is `a`. There are no calls but
 * `.includes`, no assignment and no globals, so there is nothing to escape from.
 */
import type { Json, JsonObject } from "./json.ts";

/** Where the first name of a path comes from. An object answers with its own properties. */
export type Scope = JsonObject | ((name: string) => Json | undefined);
/** Called with the units of work that an evaluation did beyond its own few steps; may throw to stop it. */
export type Spend = (units: number) => void;

type Value = Json | undefined;
type Look = (name: string) => Value;
type Code = (look: Look, spend: Spend) => Value;

const MAX_LENGTH = 4096;
/** Parentheses, indices and negations inside each other. */
const MAX_DEPTH = 64;
const CACHE_LIMIT = 1000;
/** Characters or elements that `.includes` looks at for one unit of work. */
const SEARCHED_PER_UNIT = 256;

/** A text that is not in the language. Stays inside this file. */
class Malformed extends Error {}
/** An operation that the data at hand does not allow, such as `.includes` of a number. Stays inside this file. */
class Impossible extends Error {}

const noSpend: Spend = () => {};

/**
 * Never throws: a text outside the language gives a function that is always false, and so does data that the
 * expression cannot be applied to. Only what `spend` throws gets out. Compiled texts are cached.
 */
export function compileExpression(text: string): (scope: Scope, spend?: Spend) => boolean {
  const value = compileExpressionValue(text);
  return (scope, spend) => Boolean(value(scope, spend));
}

/** As `compileExpression`, but gives the value; undefined where that is false for want of one. */
export function compileExpressionValue(text: string): (scope: Scope, spend?: Spend) => Json | undefined {
  const code = compiled(text);
  if (typeof code === "string") return () => undefined;
  return (scope, spend = noSpend) => {
    try {
      return code(typeof scope === "function" ? scope : (name) => own(scope, name), spend);
    } catch (error) {
      if (error instanceof Impossible) return undefined;
      throw error;
    }
  };
}

/** @returns what is wrong with the text, for people; null when it is an expression. */
export function checkExpression(text: string): string | null {
  const code = compiled(text);
  return typeof code === "string" ? code : null;
}

/** The own property of an object, an element of an array, or a length; undefined for anything inherited. */
export function own(value: Json | undefined, key: string | number): Json | undefined {
  if (typeof value === "string") {
    if (key === "length") return value.length;
    return typeof key === "number" ? value[key] : undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  return Object.hasOwn(value, key) ? (value as JsonObject)[key] : undefined;
}

const cache = new Map<string, Code | string>();

function compiled(text: string): Code | string {
  if (text.length > MAX_LENGTH) return `an expression may have ${MAX_LENGTH} characters, this one has ${text.length}`;
  let code = cache.get(text);
  if (code !== undefined) {
    // Taken out and put back, so that the first key is always the one unused for longest.
    cache.delete(text);
  } else {
    try {
      code = new Parser(text).parse();
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      code = error.message;
    }
    if (cache.size >= CACHE_LIMIT) cache.delete(cache.keys().next().value as string);
  }
  cache.set(text, code);
  return code;
}

type Token =
  | { readonly kind: "name" | "operator"; readonly text: string }
  | { readonly kind: "literal"; readonly value: string | number };

const TOKEN =
  /\s*(?:([A-Za-z_$][\w$]*)|(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(===|!==|==|!=|<=|>=|&&|\|\||\{\{|\}\}|[<>!().[\]-]))/sy;

function tokens(text: string): Token[] {
  const found: Token[] = [];
  TOKEN.lastIndex = 0;
  const end = text.trimEnd().length;
  while (TOKEN.lastIndex < end) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) throw new Malformed(`cannot read the expression at character ${at + 1}`);
    const [, name, number, quoted, operator] = match;
    if (name !== undefined) found.push({ kind: "name", text: name });
    else if (number !== undefined) found.push({ kind: "literal", value: Number(number) });
    else if (quoted !== undefined) found.push({ kind: "literal", value: unquote(quoted) });
    else
      found.push({ kind: "operator", text: operator === "{{" ? "(" : operator === "}}" ? ")" : (operator as string) });
  }
  return found;
}

const ESCAPES: { readonly [letter: string]: string } = { n: "\n", t: "\t", r: "\r" };

function unquote(quoted: string): string {
  return quoted
    .slice(1, -1)
    .replace(/\\(?:u([0-9a-fA-F]{4})|(.))/gs, (_, hex?: string, letter?: string) =>
      hex !== undefined
        ? String.fromCharCode(Number.parseInt(hex, 16))
        : (ESCAPES[letter as string] ?? (letter as string)),
    );
}

const COMPARISONS: { readonly [operator: string]: (a: Value, b: Value) => boolean } = {
  "==": (a, b) => a === b,
  "===": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "!==": (a, b) => a !== b,
  "<": (a, b) => ordered(a, b) && (a as number) < (b as number),
  ">": (a, b) => ordered(a, b) && (a as number) > (b as number),
  "<=": (a, b) => ordered(a, b) && (a as number) <= (b as number),
  ">=": (a, b) => ordered(a, b) && (a as number) >= (b as number),
};

/** Objects would be compared by what their conversion functions say; they have no order here. */
function ordered(a: Value, b: Value): boolean {
  return (typeof a !== "object" || a === null) && (typeof b !== "object" || b === null);
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#tokens = tokens(text);
  }

  parse(): Code {
    const code = this.#or();
    if (this.#at < this.#tokens.length) throw new Malformed("the expression goes on where it should end");
    return code;
  }

  #accept(...operators: string[]): string | null {
    const token = this.#tokens[this.#at];
    if (token?.kind !== "operator" || !operators.includes(token.text)) return null;
    this.#at++;
    return token.text;
  }

  #expect(operator: string): void {
    if (this.#accept(operator) === null) throw new Malformed(`expected ${operator}`);
  }

  #deeper<T>(parse: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw new Malformed(`the expression is nested more than ${MAX_DEPTH} deep`);
    const result = parse();
    this.#depth--;
    return result;
  }

  #or(): Code {
    const parts = [this.#and()];
    while (this.#accept("||") !== null) parts.push(this.#and());
    return parts.length === 1 ? (parts[0] as Code) : chain(parts, true);
  }

  #and(): Code {
    const parts = [this.#equality()];
    while (this.#accept("&&") !== null) parts.push(this.#equality());
    return parts.length === 1 ? (parts[0] as Code) : chain(parts, false);
  }

  #equality(): Code {
    return this.#comparisons(["==", "===", "!=", "!=="], () =>
      this.#comparisons(["<", ">", "<=", ">="], () => this.#not()),
    );
  }

  #comparisons(operators: string[], operand: () => Code): Code {
    let left = operand();
    for (
      let count = 0, operator = this.#accept(...operators);
      operator !== null;
      operator = this.#accept(...operators)
    ) {
      // `a < b < c …` nests to the left without parentheses.
      if (++count > MAX_DEPTH) throw new Malformed(`more than ${MAX_DEPTH} comparisons in a row`);
      const compare = COMPARISONS[operator] as (a: Value, b: Value) => boolean;
      const a = left;
      const b = operand();
      left = (look, spend) => compare(a(look, spend), b(look, spend));
    }
    return left;
  }

  #not(): Code {
    if (this.#accept("!") === null) return this.#access();
    const inner = this.#deeper(() => this.#not());
    return (look, spend) => !inner(look, spend);
  }

  #access(): Code {
    let code = this.#primary();
    for (let count = 0; ; count++) {
      if (count > MAX_DEPTH) throw new Malformed(`a path may have ${MAX_DEPTH} parts`);
      if (this.#accept(".") !== null) {
        const name = this.#name();
        code = name === "includes" && this.#accept("(") !== null ? this.#includes(code) : property(code, name);
      } else if (this.#accept("[") !== null) {
        const key = this.#deeper(() => this.#or());
        this.#expect("]");
        code = element(code, key);
      } else return code;
    }
  }

  #includes(where: Code): Code {
    const what = this.#deeper(() => this.#or());
    this.#expect(")");
    return (look, spend) => {
      const hay = where(look, spend);
      const needle = what(look, spend);
      if (typeof hay !== "string" && !Array.isArray(hay)) throw new Impossible();
      spend(Math.floor(hay.length / SEARCHED_PER_UNIT));
      if (typeof hay !== "string") return hay.includes(needle as Json);
      return typeof needle === "string" && hay.includes(needle);
    };
  }

  #name(): string {
    const token = this.#tokens[this.#at++];
    if (token?.kind !== "name") throw new Malformed("expected a name after the point");
    return token.text;
  }

  #primary(): Code {
    if (this.#accept("(") !== null) {
      const inner = this.#deeper(() => this.#or());
      this.#expect(")");
      return inner;
    }
    const negative = this.#accept("-") !== null;
    const token = this.#tokens[this.#at++];
    if (token?.kind === "literal" && (!negative || typeof token.value === "number")) {
      const value = negative ? -(token.value as number) : token.value;
      return () => value;
    }
    if (token?.kind !== "name" || negative) throw new Malformed("expected a value");
    if (token.text === "true") return () => true;
    if (token.text === "false") return () => false;
    if (token.text === "null") return () => null;
    const name = token.text === "$" && this.#accept(".") !== null ? this.#name() : token.text;
    return (look) => look(name);
  }
}

/** The first operand whose truth is `stopAt`, else the last. */
function chain(parts: readonly Code[], stopAt: boolean): Code {
  return (look, spend) => {
    let value: Value;
    for (const part of parts) {
      value = part(look, spend);
      if (Boolean(value) === stopAt) break;
    }
    return value;
  };
}

function property(of: Code, name: string): Code {
  return (look, spend) => own(of(look, spend), name);
}

function element(of: Code, key: Code): Code {
  return (look, spend) => {
    const at = key(look, spend);
    return typeof at === "string" || typeof at === "number" ? own(of(look, spend), at) : undefined;
  };
}
