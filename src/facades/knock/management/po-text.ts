/**
 * Translations as gettext's PO files: entries of `msgid` and `msgstr`, with plural forms `msgstr[0]` and `msgstr[1]` as
 * `one` and `other`. Nested keys are joined by dots on the way out; lookups find a dotted key as it stands.
 */
import { isObject, type Json, type JsonObject } from "../../../lib/json.ts";
import { invalid } from "../errors.ts";

const LINE = /^(msgctxt|msgid|msgid_plural|msgstr(?:\[\d\])?)?\s*"((?:[^"\\]|\\.)*)"\s*$/;
const FORMS = ["one", "other"] as const;

/** @throws KnockError 422 naming the line that is none of a PO file. */
export function readPo(text: string): JsonObject {
  const table: Record<string, Json> = {};
  let entry: Record<string, string> = {};
  let field = "";
  const close = (): void => {
    const { msgid } = entry;
    // The entry without an id is the file's header.
    if (msgid) {
      const one = entry["msgstr[0]"];
      const value = one === undefined ? entry.msgstr : { one, other: entry["msgstr[1]"] ?? one };
      if (value !== undefined && msgid !== "__proto__") table[msgid] = value;
    }
    entry = {};
    field = "";
  };
  for (const [i, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) {
      if (line === "") close();
      continue;
    }
    const match = LINE.exec(line);
    if (match === null) throw invalid("content", `Line ${i + 1} is none of a PO file`);
    const [, keyword, value = ""] = match;
    if ((keyword === "msgid" && field !== "msgctxt") || keyword === "msgctxt") close();
    if (keyword !== undefined) field = keyword;
    if (field === "") throw invalid("content", `Line ${i + 1} belongs to no entry`);
    entry[field] = (entry[field] ?? "") + unescaped(value);
  }
  close();
  return table;
}

export function writePo(table: JsonObject): string {
  const entries: string[] = [];
  const walk = (value: Json | undefined, key: string): void => {
    if (isObject(value)) {
      const keys = Object.keys(value);
      if (keys.length > 0 && keys.every((form) => form === "zero" || FORMS.some((one) => one === form))) {
        const forms = FORMS.map((form, i) => `msgstr[${i}] ${quoted(textOf(value[form] ?? value.other))}`);
        entries.push(`msgid ${quoted(key)}\nmsgid_plural ${quoted(key)}\n${forms.join("\n")}\n`);
      } else for (const [name, one] of Object.entries(value)) walk(one, key === "" ? name : `${key}.${name}`);
    } else if (value !== undefined) entries.push(`msgid ${quoted(key)}\nmsgstr ${quoted(textOf(value))}\n`);
  };
  walk(table, "");
  return entries.join("\n");
}

function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
}

function quoted(text: string): string {
  return JSON.stringify(text);
}

const ESCAPED: { readonly [char: string]: string } = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f" };

/** What `quoted` writes, and what other programs do of it. */
function unescaped(text: string): string {
  return text.replace(/\\(?:u([0-9a-f]{4})|(.))/gi, (_, hex: string | undefined, char: string) =>
    hex === undefined ? (ESCAPED[char] ?? char) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
