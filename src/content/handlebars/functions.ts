/** What may be called inside `{{…}}`. Functions see values only; they cannot reach anything but their arguments. */
import type { Json } from "../../lib/json.ts";

export type Value = Json | undefined;

/** What a function may ask of the rendering it is called from. */
export interface Surroundings {
  lookup(path: string): Value;
  set(name: string, value: Value): void;
  translate(key: string): string | undefined;
  /** `textOf`, counted against the limits of the rendering. */
  text(value: Value): string;
  /** Counts work against the limits of the rendering. @throws RenderError past them. */
  work(characters: number): void;
}

type Function = (args: readonly Value[], around: Surroundings, named: ReadonlyMap<string, Value>) => Value;

/** Truth as Handlebars has it: an empty list is false too. */
export function isTrue(value: Value): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

export function isFunction(name: string): boolean {
  return FUNCTIONS.has(name);
}

/** @returns undefined when the arguments make no sense; that prints as nothing. */
export function call(
  name: string,
  args: readonly Value[],
  around: Surroundings,
  named: ReadonlyMap<string, Value>,
): Value {
  return FUNCTIONS.get(name)?.(args, around, named);
}

/** A value as text; objects and lists as JSON, nothing for a missing one. */
export function textOf(value: Value): string {
  if (typeof value === "string") return value;
  if (value === undefined || value === null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/**
 * Places `args` in the `%s` and `%d` of a text, in order or by number (`%2$s`); `%%` is a percent sign. What has no
 * argument stays.
 */
export function sprintf(format: string, args: readonly Value[], text: (value: Value) => string = textOf): string {
  let next = 0;
  return format.replace(
    /%(?:%|(?:(\d{1,2})\$)?([sdif]))/g,
    (whole, place: string | undefined, kind: string | undefined) => {
      if (kind === undefined) return "%";
      const at = place === undefined ? next++ : Number(place) - 1;
      if (at < 0 || at >= args.length) return whole;
      const value = args[at];
      if (kind === "s") return text(value);
      // What is to become of an object is for itself to say, and one that came as data may say nonsense.
      const number = typeof value === "object" ? Number.NaN : Number(value);
      if (!Number.isFinite(number)) return text(value);
      return String(kind === "f" ? number : Math.trunc(number));
    },
  );
}

/** Sums of decimal fractions are printed as people expect: 0.1 + 0.2 is 0.3. */
function finite(value: number): Value {
  return Number.isFinite(value) ? Number(value.toPrecision(15)) : undefined;
}

function number(value: Value): number {
  if (typeof value === "number") return value;
  return typeof value === "string" && value.trim() !== "" ? Number(value) : Number.NaN;
}

const arithmetic =
  (of: (a: number, b: number) => number): Function =>
  ([a, b]) =>
    finite(of(number(a), number(b)));

const rounding =
  (of: (a: number) => number): Function =>
  ([a]) =>
    finite(of(number(a)));

const subtract = arithmetic((a, b) => a - b);

/** Equal, or the same when written down: 3 and "3". Objects only equal themselves. */
export function loosely(a: Value, b: Value): boolean {
  return a === b || (typeof a !== "object" && typeof b !== "object" && textOf(a) === textOf(b));
}

/** Whether two values stand in an order: as numbers if both can be read as such, else as texts. */
export function ordered(a: Value, b: Value, holds: (a: number | string, b: number | string) => boolean): boolean {
  const [x, y] = [number(a), number(b)];
  if (!Number.isNaN(x) && !Number.isNaN(y)) return holds(x, y);
  return typeof a === "string" && typeof b === "string" && holds(a, b);
}

/** Numbers written as text count as numbers here: what people type into a form arrives as text. */
const CONDITIONS = new Map<Value, (a: Value, b: Value) => boolean>([
  ["==", loosely],
  ["===", (a, b) => a === b],
  ["!=", (a, b) => !loosely(a, b)],
  ["!==", (a, b) => a !== b],
  ["<", (a, b) => ordered(a, b, (x, y) => x < y)],
  ["<=", (a, b) => ordered(a, b, (x, y) => x <= y)],
  [">", (a, b) => ordered(a, b, (x, y) => x > y)],
  [">=", (a, b) => ordered(a, b, (x, y) => x >= y)],
  ["&&", (a, b) => isTrue(a) && isTrue(b)],
  ["||", (a, b) => isTrue(a) || isTrue(b)],
]);

function trim(text: string, what: string, left: boolean, right: boolean): string {
  let start = 0;
  let end = text.length;
  const blank = /\s/;
  const starts = (): boolean => (what === "" ? blank.test(text[start] ?? "") : text.startsWith(what, start));
  const ends = (): boolean => (what === "" ? blank.test(text[end - 1] ?? "") : text.endsWith(what, end));
  const step = what.length || 1;
  while (left && start + step <= end && starts()) start += step;
  while (right && end - step >= start && ends()) end -= step;
  return text.slice(start, end);
}

const trimming =
  (left: boolean, right: boolean): Function =>
  ([value, what], { text }) =>
    trim(text(value), text(what), left, right);

const translate: Function = ([key, ...args], around) => {
  const name = around.text(key);
  const text = around.translate(name) ?? name;
  return args.length === 0 ? text : sprintf(text, args, around.text);
};

const FUNCTIONS: ReadonlyMap<string, Function> = new Map<string, Function>([
  ["and", (args) => args.every(isTrue)],
  ["or", (args) => args.some(isTrue)],
  ["not", ([value]) => !isTrue(value)],
  [
    "condition",
    ([a, operator, b], { work }) => {
      work((typeof a === "string" ? a.length : 0) + (typeof b === "string" ? b.length : 0));
      return CONDITIONS.get(operator)?.(a, b) ?? false;
    },
  ],
  ["conditional", ([test, yes, no]) => (isTrue(test) ? yes : no)],
  ["default", ([value, other]) => (value === undefined || value === null || value === "" ? other : value)],
  [
    "json-parse",
    ([text], { work }) => {
      if (typeof text !== "string") return text;
      // Parsing costs about as much as looking at every character four times.
      work(text.length * 4);
      try {
        return JSON.parse(text) as Json;
      } catch {
        return undefined;
      }
    },
  ],
  ["var", ([path], { lookup }) => (typeof path === "string" ? lookup(path) : path)],
  ["path", ([path], { lookup }) => (typeof path === "string" ? lookup(path) : path)],
  [
    "set",
    ([name, value], { set }, named) => {
      if (typeof name === "string") set(name, value);
      for (const [key, given] of named) set(key, given);
      return undefined;
    },
  ],
  [
    "capitalize",
    ([value], around) => {
      const text = around.text(value);
      const first = String.fromCodePoint(text.codePointAt(0) ?? 32);
      return text === "" ? "" : first.toUpperCase() + text.slice(first.length);
    },
  ],
  ["concat", (args, { text }) => args.map(text).join("")],
  ["format", ([format, ...args], { text }) => sprintf(text(format), args, text)],
  ["trim", trimming(true, true)],
  ["trim-left", trimming(true, false)],
  ["trim-right", trimming(false, true)],
  [
    "trim-one-char-right",
    ([value], around) => {
      const text = around.text(value);
      return text.slice(0, -(/[\uDC00-\uDFFF]/.test(text.at(-1) ?? "") ? 2 : 1));
    },
  ],
  [
    "truncate",
    ([value, length, end], around) => {
      const text = around.text(value);
      const keep = Math.max(0, Math.floor(number(length)));
      if (!(text.length > keep)) return text;
      let at = 0;
      for (let i = 0; i < keep && at < text.length; i++) at += (text.codePointAt(at) as number) > 0xffff ? 2 : 1;
      return at >= text.length ? text : text.slice(0, at) + (end === undefined ? "…" : around.text(end));
    },
  ],
  ["abs", rounding(Math.abs)],
  ["ceil", rounding(Math.ceil)],
  ["floor", rounding(Math.floor)],
  ["inc", ([a, by]) => finite(number(a) + (by === undefined ? 1 : number(by)))],
  [
    "round",
    ([a, digits]) => {
      const places = 10 ** Math.min(15, Math.max(0, Math.floor(number(digits ?? 0)) || 0));
      return finite(Math.round(number(a) * places) / places);
    },
  ],
  ["add", arithmetic((a, b) => a + b)],
  ["subtract", subtract],
  ["sub", subtract],
  ["multiply", arithmetic((a, b) => a * b)],
  ["divide", arithmetic((a, b) => a / b)],
  ["mod", arithmetic((a, b) => a % b)],
  ["t", translate],
  ["translate", translate],
]);
