import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal } from "../engine/refusal.ts";
import { parsePo } from "./translations.ts";

test("a file is read with contexts, plurals, escapes and strings over several lines", () => {
  const text = `# a comment
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"

#: src/a.ts:1
msgid "Hello"
msgstr "Bonjour"

msgctxt "menu"
msgid "Open"
msgstr "Ouvrir"

msgid "%d item"
msgid_plural "%d items"
msgstr[0] "%d article"
msgstr[1] "%d articles"

msgid ""
"one "
"\\"two\\"\\n"
msgstr ""
"un "
"\\"deux\\"\\t\\\\"

#, fuzzy
msgid "Maybe"
msgstr "Peut-être"

#~ msgid "Old"
#~ msgstr "Vieux"

msgid "Untranslated"
msgstr ""

msgid "__proto__"
msgstr "p"
msgid "After"
msgstr "Après"
`;
  const { entries } = parsePo(text.replaceAll("\n", "\r\n"));
  assert.deepEqual(Object.entries(entries), [
    ["Open", "Ouvrir"],
    ["Hello", "Bonjour"],
    ["%d item", "%d article"],
    ['one "two"\n', 'un "deux"\t\\'],
    ["__proto__", "p"],
    ["After", "Après"],
  ]);
});

test("an empty file has no entries", () => {
  assert.deepEqual(parsePo("").entries, {});
  assert.deepEqual(parsePo("\uFEFF# only\n\n").entries, {});
});

test("a file that cannot be read is refused with the line", () => {
  for (const [text, line] of [
    ["not a po file", 1],
    ['msgid "a"\n', 1],
    ['msgid "a"\nmsgid "b"\nmsgstr "c"', 1],
    ['msgid "a\nmsgstr "b"', 1],
    ['"floating"', 1],
    ['msgid "a"\nmsgstr "b"\nmsgstr "c"', 3],
    ['msgid "a" x\nmsgstr "b"', 1],
    ['msgstr "b"', 1],
    ['{"Hello":"Bonjour"}', 1],
  ] as const) {
    assert.throws(
      () => parsePo(text),
      (error) => error instanceof Refusal && error.code === "invalid" && error.message.includes(`line ${line} `),
      text,
    );
  }
});
