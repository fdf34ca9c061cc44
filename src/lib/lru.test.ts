import assert from "node:assert/strict";
import { test } from "node:test";
import { Lru } from "./lru.ts";

test("forgets what was used longest ago, and nothing while there is room", () => {
  const lru = new Lru<string, number>(4);
  for (const [i, key] of ["a", "b", "c", "d"].entries()) {
    lru.set(key, i);
    assert.equal(lru.get("a"), 0);
  }
  lru.set("e", 4);
  assert.equal(lru.get("b"), undefined);
  assert.deepEqual(
    ["a", "c", "d", "e"].map((key) => lru.get(key)),
    [0, 2, 3, 4],
  );
  assert.equal(lru.size, 4);
});
