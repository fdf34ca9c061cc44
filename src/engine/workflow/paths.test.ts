import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePath, resolvePath } from "./paths.ts";

const scope = { data: { a: { b: [10, { c: "deep" }] }, "two words": 1, 日本: "ja", "": "nameless" } };

for (const [path, value] of [
  ["data.a.b.0", 10],
  ["data.a.b[0]", 10],
  ["data.a.b[1].c", "deep"],
  ['data["two words"]', 1],
  ["data['two words']", 1],
  ["data.two words", 1],
  ["data.日本", "ja"],
  ['data[""]', "nameless"],
] as const) {
  test(`${path} leads somewhere`, () => assert.equal(resolvePath(scope, path), value));
}

for (const path of [
  "data.constructor",
  "data.__proto__.toString",
  "data.a.b.length",
  "data.a.b.-1",
  "data.a.b.01",
  "data.a.b.7",
  "data.a.b.0.c",
  "missing.a",
]) {
  test(`${path} leads nowhere`, () => assert.equal(resolvePath(scope, path), undefined));
}

test("a text that is no path is refused", () => {
  for (const text of ["", ".", "a.", ".a", "a..b", "a[", "a]", "a[b]", "a.[0]", "a[0]b", "x".repeat(1001)]) {
    assert.equal(parsePath(text), null, text);
  }
});

test("a path of more than 32 keys is refused", () => {
  assert.equal(parsePath(Array(32).fill("a").join("."))?.length, 32);
  assert.equal(parsePath(Array(33).fill("a").join(".")), null);
});
