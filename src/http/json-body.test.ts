import assert from "node:assert/strict";
import { test } from "node:test";
import { depthOf } from "./json-body.ts";

test("depth counts brackets outside of strings", () => {
  for (const [text, depth] of [
    ["3", 0],
    ["{}", 1],
    ['{"a":[1,{"b":[]}]}', 4],
    ['"[[[["', 0],
    ['{"a":"\\"[["}', 1],
    ['["\\\\",[]]', 2],
    ["[][][]", 1],
  ] as const) {
    assert.equal(depthOf(text), depth, text);
  }
});
