/** JSON as the portal shows it: laid out, and to the letter. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { layOutJson } from "../../dashboard/src/portal/json-layout.ts";

const ALL = 1_000_000;

test("lays out objects and lists, and leaves empty ones in one piece", () => {
  const text = '{"a":[1,{"b":"c"}],"none":{ },"e":[]}';
  assert.equal(
    layOutJson(text, ALL),
    ["{", '  "a": [', "    1,", "    {", '      "b": "c"', "    }", "  ],", '  "none": {},', '  "e": []', "}"].join(
      "\n",
    ),
  );
});

test("keeps numbers, keys, escapes and what stands in strings as they are written", () => {
  const text = String.raw`{"n":12345678901234567890,"f":1.0,"e":1E+2,"s":"a{b}[c],\"d\\":"\u00e9","n":2}`;
  const out = layOutJson(text, ALL);
  for (const part of ["12345678901234567890", "1.0", "1E+2", String.raw`"a{b}[c],\"d\\"`, String.raw`"\u00e9"`]) {
    assert.ok(out.includes(part), part);
  }
  assert.equal(out.split('"n": ').length, 3);
  const again = '{ "a" :\n[ 1 , true , null , "x y" ] }';
  assert.deepEqual(JSON.parse(layOutJson(again, ALL)), JSON.parse(again));
});

test("shows what is no JSON as it is", () => {
  for (const text of ["", "hello, world: {}", "<p>{</p>", "  12", '"just text"'])
    assert.equal(layOutJson(text, ALL), text);
});

test("comes to an end with broken JSON, whichever way it is broken", () => {
  for (const text of ["{", "[[[", "}", '{"a', '{"a\\', "]]]]", "{]}[", '["a" "b"', "{,,,:::}"]) {
    assert.equal(typeof layOutJson(text, ALL), "string", text);
  }
});

test("ends at the limit, however long, deep or wide the text is, and never within a character", () => {
  const deep = "[".repeat(200_000);
  const long = JSON.stringify({ text: "x".repeat(2_000_000) });
  const emoji = JSON.stringify(["🎉".repeat(1_000)]);
  for (const text of [deep, long, emoji, "🎉".repeat(1_000)]) {
    for (const limit of [10, 11, 12, 500]) {
      const out = layOutJson(text, limit);
      assert.ok(out.length <= limit && out.isWellFormed(), `${limit}: ${out.slice(0, 20)}`);
    }
  }
});
