import assert from "node:assert/strict";
import { test } from "node:test";
import { readPo, writePo } from "./po-text.ts";

test("entries, several lines of one, plural forms, comments and the header", () => {
  const text = [
    'msgid ""',
    'msgstr ""',
    '"Language: de\\n"',
    "",
    "# a comment",
    "#: src/a.ts:1",
    'msgid "welcome.title"',
    'msgstr "Guten "',
    '"Tag \\"Du\\""',
    "",
    'msgid "apples"',
    'msgid_plural "apples"',
    'msgstr[0] "ein Apfel"',
    'msgstr[1] "{{ count }} Äpfel\\n"',
    'msgid "next"',
    'msgstr "weiter"',
  ].join("\n");
  const table = {
    "welcome.title": 'Guten Tag "Du"',
    apples: { one: "ein Apfel", other: "{{ count }} Äpfel\n" },
    next: "weiter",
  };
  assert.deepEqual(readPo(text), table);
  assert.deepEqual(readPo(writePo(table)), table);
  assert.deepEqual(readPo(writePo({ a: { b: "c" } })), { "a.b": "c" });
});

test("whatever is written is read as it was", () => {
  const texts = ['\u0001\u001f\b\f\n\r\t"\\', "\\n", "\\u0041", "\u2028 \u007f ü😀", "", " blanks "];
  const table = Object.fromEntries(texts.map((text, i) => [`${i} ${text}`, text]));
  assert.deepEqual(readPo(writePo(table)), table);
});

test("what is no PO file is refused with its line", () => {
  assert.throws(() => readPo('msgid "a"\nnonsense'), /Line 2/);
  assert.throws(() => readPo('"a"'), /Line 1/);
});
