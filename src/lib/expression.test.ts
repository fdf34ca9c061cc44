import assert from "node:assert/strict";
import { test } from "node:test";
import { checkExpression, compileExpression, compileExpressionValue } from "./expression.ts";
import type { JsonObject } from "./json.ts";

const scope: JsonObject = {
  data: {
    a: 3,
    s: "150",
    name: "Ann",
    tags: ["x", "y"],
    deep: { list: [{ v: 1 }] },
    "odd-key": true,
    empty: "",
    no: null,
  },
  profile: { age: 20 },
};

const TRUE = [
  "data.a === 3",
  "data.a == 3",
  "data.a !== '3'",
  'data.a != "3"',
  "data.a > 2 && data.a < 4 && data.a >= 3 && data.a <= 3",
  "data.s > 100",
  "data.a > -1",
  "data.missing.deeper === undefined",
  "!data.missing",
  "!!data.name",
  "!data.empty",
  "!data.no",
  "data.no === null",
  "data.no == null",
  "data.missing != null",
  "(data.a === 1 || data.a === 3) && profile.age >= 18",
  "data.a === 1 && data.a === 1 || true",
  "data.name.length === 3",
  "data.tags.length == 2",
  "data.tags.includes('y')",
  'data.name.includes("nn")',
  "data.deep.list[0].v === 1",
  "data['odd-key']",
  "data.tags[data.deep.list[0].v] == 'y'",
  "{{data.a === 3}}",
  "{{ data.a }} == 3",
  "$.data.a == 3",
  "'it\\'s' == \"it's\"",
  '"\\u0041" == "A"',
  "1e2 == 100",
];

test("an expression of the language is evaluated as JavaScript would, with strict equality", () => {
  for (const text of TRUE) {
    assert.equal(checkExpression(text), null, text);
    assert.equal(compileExpression(text)(scope), true, text);
    assert.equal(compileExpression(`!(${text})`)(scope), false, `!(${text})`);
  }
});

const OUTSIDE = [
  "",
  " ",
  "data.a = 4",
  "process.exit()",
  "data.a.toString()",
  "fetch('http://x')",
  "`a`",
  "data.a + 1 === 4",
  "data.a ? 1 : 2",
  "() => 1",
  "data.",
  "data..a",
  "'open",
  "data[",
  "(data.a",
  "data.a === 3)",
  "data.a === 3; 1",
  "true true",
  "{{true",
  "\u0000",
  "\ud800",
  "new Date",
  "data.tags.includes('y'",
  "data?.a",
];

test("a text outside the language executes nothing and is false", () => {
  for (const text of OUTSIDE) {
    assert.notEqual(checkExpression(text), null, text);
    assert.equal(compileExpression(text)(scope), false, text);
    assert.equal(compileExpressionValue(text)(scope), undefined, text);
  }
});

test("nothing inherited can be reached", () => {
  const own = JSON.parse('{"o":{"__proto__":{"mine":1}},"s":"x","l":[1]}') as JsonObject;
  for (const path of [
    "constructor",
    "__proto__",
    "toString",
    "o.constructor",
    "o.hasOwnProperty",
    "s.constructor",
    "s.trim",
    "l.map",
    "l.constructor",
    "l['constructor']",
    "l['__proto__']",
    "o['const' ]",
  ])
    assert.equal(compileExpressionValue(path)(own), undefined, path);
  assert.equal(compileExpressionValue("o.__proto__.mine")(own), 1);
});

test("an operation that the data does not allow makes the whole expression false", () => {
  assert.equal(compileExpression("!data.missing.includes('x')")(scope), false);
  assert.equal(compileExpression("data.a.includes(3) || true")(scope), false);
  assert.equal(compileExpression("data.deep < 3 || data.deep >= 0")(scope), false);
});

test("expressions that are too long or too deep are false instead of exhausting anything", () => {
  for (const text of [
    "(".repeat(2000) + ")".repeat(2000),
    `${"!".repeat(3000)}true`,
    `a${"[a".repeat(1000)}${"]".repeat(1000)}`,
    "a.".repeat(2000),
    `${"true && ".repeat(600)}true`,
    "1<".repeat(2000),
    "'".repeat(4001),
    "x".repeat(10_000_000),
  ])
    assert.equal(compileExpression(text)(scope), false);
  assert.equal(compileExpression(`${"true && ".repeat(500)}true`)(scope), true);
});

test("the value variant gives what the path names", () => {
  assert.deepEqual(compileExpressionValue("{{data.tags}}")(scope), ["x", "y"]);
  assert.equal(compileExpressionValue("data.missing || data.name")(scope), "Ann");
  assert.equal(
    compileExpressionValue("x")((name) => (name === "x" ? 7 : undefined)),
    7,
  );
});

test("a search through much data is charged, and what the charge throws gets out", () => {
  const big: JsonObject = { text: "a".repeat(1_000_000) };
  let spent = 0;
  compileExpression("text.includes('b')")(big, (units) => {
    spent += units;
  });
  assert.equal(spent, 3906);
  assert.throws(
    () =>
      compileExpression("text.includes('b')")(big, () => {
        throw new Error("enough");
      }),
    /enough/,
  );
});

test("the cache does not grow without bound and forgets nothing that matters", () => {
  for (let i = 0; i < 3000; i++) assert.equal(compileExpression(`n == ${i}`)({ n: i }), true);
  assert.equal(compileExpression("n == 0")({ n: 0 }), true);
});
