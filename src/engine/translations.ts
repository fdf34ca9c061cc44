/** Reads gettext's `.po` files: what translators deliver, one for each locale. */
import { Refusal } from "./refusal.ts";

export interface Translations {
  /** Translation by message id; entries without one are left out, so that the id itself is shown. */
  readonly entries: { readonly [msgid: string]: string };
}

type Field = "msgctxt" | "msgid" | "msgid_plural" | "msgstr" | "msgstr_plural";

interface Entry {
  fields: Map<Field, string>;
  fuzzy: boolean;
  line: number;
}

const KEYWORD = /^(msgctxt|msgid_plural|msgid|msgstr)(?:\[(\d{1,2})\])?[ \t]*(?=")/;
const STRING = /^"((?:[^"\\]|\\.)*)"\s*$/;
const ESCAPES: { readonly [letter: string]: string } = {
  n: "\n",
  t: "\t",
  r: "\r",
  a: "\u0007",
  b: "\b",
  f: "\f",
  v: "\v",
};
const MAX_LENGTH = 5_000_000;

/**
 * Of plural forms the singular counts. An entry with a context is found by its id alone, unless an entry without
 * one has the same id. The header, fuzzy and obsolete entries are ignored.
 * @throws Refusal("invalid") with the number of the line that cannot be read.
 */
export function parsePo(text: string): Translations {
  if (text.length > MAX_LENGTH) throw new Refusal("too_large", `a translation may have ${MAX_LENGTH} characters`);
  const plain = new Map<string, string>();
  const inContext = new Map<string, string>();
  for (const entry of entriesOf(text)) {
    const id = entry.fields.get("msgid");
    const translation = entry.fields.get("msgstr");
    if (id === undefined) throw unreadable(entry.line, "expected msgid");
    if (translation === undefined) throw unreadable(entry.line, "expected msgstr after msgid");
    if (id === "" || translation === "" || entry.fuzzy) continue;
    const target = entry.fields.has("msgctxt") ? inContext : plain;
    if (!target.has(id)) target.set(id, translation);
  }
  // From entries, not by assignment: `__proto__` is a message id like any other.
  return { entries: Object.fromEntries([...inContext, ...plain]) };
}

function entriesOf(text: string): Entry[] {
  const entries: Entry[] = [];
  let entry: Entry | null = null;
  let field: Field | null = null;
  let fuzzy = false;
  const lines = text.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/);
  lines.forEach((line, i) => {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#")) {
      // Comments stand before their entry; one after a msgstr begins the next.
      if (trimmed.startsWith("#,") && /\bfuzzy\b/.test(trimmed)) fuzzy = true;
      if (entry?.fields.has("msgstr")) entry = null;
      field = null;
      return;
    }
    const keyword = KEYWORD.exec(trimmed);
    const string = STRING.exec(keyword === null ? trimmed : trimmed.slice(keyword[0].length))?.[1];
    if (string === undefined) throw unreadable(i + 1, "expected a keyword or a string in quotation marks");
    const value = unquoted(string);
    if (keyword === null) {
      if (entry === null || field === null) throw unreadable(i + 1, "a string that belongs to nothing");
      entry.fields.set(field, (entry.fields.get(field) as string) + value);
      return;
    }
    field = fieldOf(keyword);
    const begins =
      field === "msgctxt" || (field === "msgid" && !(entry?.fields.size === 1 && entry.fields.has("msgctxt")));
    if (entry === null || begins) {
      entry = { fields: new Map(), fuzzy, line: i + 1 };
      fuzzy = false;
      entries.push(entry);
    }
    if (field !== "msgstr_plural" && entry.fields.has(field)) throw unreadable(i + 1, `a second ${field}`);
    entry.fields.set(field, value);
  });
  return entries;
}

function fieldOf(keyword: RegExpExecArray): Field {
  const name = keyword[1] as Field;
  return name === "msgstr" && keyword[2] !== undefined && Number(keyword[2]) > 0 ? "msgstr_plural" : name;
}

function unquoted(text: string): string {
  return text.replace(
    /\\(?:([0-7]{1,3})|x([0-9a-fA-F]{2})|(.))/g,
    (_, octal?: string, hex?: string, letter?: string) => {
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      return ESCAPES[letter as string] ?? (letter as string);
    },
  );
}

function unreadable(line: number, what: string): Refusal {
  return new Refusal("invalid", `line ${line} of the translation: ${what}`);
}
