/** Filters that make texts of texts. */
import { RenderError } from "../../../engine/ports.ts";
import type { Budget } from "../budget.ts";
import { searchCost } from "../operators.ts";
import { listOf, Markup, numberOf, textOf } from "../values.ts";
import type { Call, Filter, Filters } from "./filter.ts";

/** A text in, a text out; what is made is paid for. */
function onText(body: (text: string, args: readonly string[], call: Call) => string): Filter {
  return (value, args, call) => {
    const made = body(
      textOf(value, call.budget),
      args.map((arg) => textOf(arg, call.budget)),
      call,
    );
    call.budget.text(made.length);
    return made;
  };
}

function count(value: unknown, otherwise: number): number {
  return value === undefined || value === null ? otherwise : Math.max(0, Math.trunc(numberOf(value)));
}

/** Pieces between the separators; between all characters when there is none. */
function pieces(text: string, separator: string, budget: Budget): string[] {
  budget.use(searchCost(text.length, separator.length));
  return separator === "" ? Array.from(text) : text.split(separator);
}

function replaced(text: string, part: string, by: string, budget: Budget): string {
  if (part === "") return text;
  const parts = pieces(text, part, budget);
  budget.text(text.length + (parts.length - 1) * Math.max(0, by.length - part.length));
  return parts.join(by);
}

function cut(text: string, place: number, part: string, by: string): string {
  return place < 0 || part === "" ? text : text.slice(0, place) + by + text.slice(place + part.length);
}

function found(text: string, part: string, budget: Budget, where: "first" | "last"): number {
  budget.use(searchCost(text.length, part.length));
  return where === "first" ? text.indexOf(part) : text.lastIndexOf(part);
}

function titlecase(text: string): string {
  return text.toLowerCase().replace(/(?<![\p{L}\p{N}\p{M}'’])\p{L}/gu, (letter) => letter.toUpperCase());
}

export const TEXT_FILTERS: Filters = {
  append: onText((text, [more = ""], { budget }) => {
    budget.text(text.length + more.length);
    return text + more;
  }),
  prepend: onText((text, [more = ""], { budget }) => {
    budget.text(text.length + more.length);
    return more + text;
  }),
  upcase: onText((text) => text.toUpperCase()),
  downcase: onText((text) => text.toLowerCase()),
  capitalize: onText((text) => {
    const [first = ""] = text;
    return first.toUpperCase() + text.slice(first.length).toLowerCase();
  }),
  titlecase: onText(titlecase),
  strip: onText((text) => text.trim()),
  lstrip: onText((text) => text.trimStart()),
  rstrip: onText((text) => text.trimEnd()),
  squish: onText((text) => text.trim().replace(/\s+/g, " ")),
  strip_newlines: onText((text) => text.replace(/\r?\n/g, "")),
  remove: onText((text, [part = ""], { budget }) => replaced(text, part, "", budget)),
  remove_first: onText((text, [part = ""], { budget }) => cut(text, found(text, part, budget, "first"), part, "")),
  remove_last: onText((text, [part = ""], { budget }) => cut(text, found(text, part, budget, "last"), part, "")),
  replace: onText((text, [part = "", by = ""], { budget }) => replaced(text, part, by, budget)),
  replace_first: onText((text, [part = "", by = ""], { budget }) =>
    cut(text, found(text, part, budget, "first"), part, by),
  ),
  replace_last: onText((text, [part = "", by = ""], { budget }) =>
    cut(text, found(text, part, budget, "last"), part, by),
  ),
  split: (value, [separator], { budget }) => {
    const parts = pieces(textOf(value, budget), textOf(separator, budget), budget);
    while (parts.at(-1) === "") parts.pop();
    return parts;
  },
  truncate: (value, [length, end], { budget }) => {
    const text = textOf(value, budget);
    const most = count(length, 50);
    const mark = end === undefined ? "..." : textOf(end, budget);
    if (text.length <= most) return text;
    const characters = Array.from(text);
    budget.use(text.length);
    if (characters.length <= most) return text;
    return characters.slice(0, Math.max(0, most - Array.from(mark).length)).join("") + mark;
  },
  truncatewords: (value, [length, end], { budget }) => {
    const text = textOf(value, budget);
    budget.use(text.length);
    const words = text.trim().split(/\s+/);
    const most = Math.max(1, count(length, 15));
    return words.length <= most
      ? text
      : words.slice(0, most).join(" ") + (end === undefined ? "..." : textOf(end, budget));
  },
  slice: (value, [from, length], { budget }) => {
    const list = Array.isArray(value) ? (value as readonly unknown[]) : Array.from(textOf(value, budget));
    budget.use(list.length);
    const begin = Math.trunc(numberOf(from));
    const start = begin < 0 ? list.length + begin : begin;
    const taken = start < 0 ? [] : list.slice(start, start + (length === undefined ? 1 : count(length, 1)));
    return Array.isArray(value) ? taken : taken.join("");
  },
  pluralize: (value, [one, many], { budget }) => textOf(numberOf(value) === 1 ? one : many, budget),
  default: (value, [otherwise], { named }) => {
    const bare = value instanceof Markup ? value.text : value;
    if (bare === false) return named.allow_false === true ? false : otherwise;
    return bare === null || bare === "" || (Array.isArray(bare) && bare.length === 0) ? otherwise : value;
  },
  size: (value) => {
    if (typeof value === "string" || Array.isArray(value)) return value.length;
    return typeof value === "object" && value !== null ? Object.keys(value).length : 0;
  },
  array_to_sentence_string: (value, [word], { budget }) => {
    const items = listOf(value).map((item) => textOf(item, budget));
    budget.text(items.reduce((sum, item) => sum + item.length + 2, 0));
    const connector = word === undefined ? "and" : textOf(word, budget);
    if (items.length < 3) return items.join(` ${connector} `);
    return `${items.slice(0, -1).join(", ")}, ${connector} ${items.at(-1)}`;
  },
  /** -1, 0 or 1 for a version before, the same as, or after another; nothing for what is no version. */
  compare_versions: (value, [other], { budget }) => {
    const [a, b] = [versionOf(textOf(value, budget)), versionOf(textOf(other, budget))];
    return a === null || b === null ? null : compareVersions(a, b);
  },
};

interface Version {
  readonly numbers: readonly number[];
  readonly before: readonly string[];
}

function versionOf(text: string): Version | null {
  if (text.length > 256) throw new RenderError("compare_versions: a version has at most 256 characters");
  const match = /^\s*v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?\s*$/.exec(text);
  if (match === null) return null;
  const [, major, minor = "0", patch = "0", before] = match;
  return { numbers: [major, minor, patch].map(Number), before: before === undefined ? [] : before.split(".") };
}

/** As semver.org orders them: a pre-release comes before its release, numbers before words. */
function compareVersions(a: Version, b: Version): number {
  for (let i = 0; i < 3; i++) {
    const difference = (a.numbers[i] as number) - (b.numbers[i] as number);
    if (difference !== 0) return Math.sign(difference);
  }
  if (a.before.length === 0 || b.before.length === 0) return Math.sign(b.before.length - a.before.length);
  for (let i = 0; i < Math.max(a.before.length, b.before.length); i++) {
    const [x, y] = [a.before[i], b.before[i]];
    if (x === undefined || y === undefined) return x === undefined ? -1 : 1;
    if (x === y) continue;
    const [m, n] = [/^\d+$/.test(x), /^\d+$/.test(y)];
    if (m && n) return Math.sign(Number(x) - Number(y));
    if (m !== n) return m ? -1 : 1;
    return x < y ? -1 : 1;
  }
  return 0;
}
