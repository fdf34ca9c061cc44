import assert from "node:assert/strict";
import { test } from "node:test";
import { isoOf } from "./iso.ts";

test("says what Date says", () => {
  const far = 8.64e15;
  const moments = [
    0,
    -1,
    1,
    999,
    -86_400_000,
    -86_400_001,
    951_782_399_999,
    253_402_300_800_000,
    far,
    -far,
    1.5,
    -1.5,
    1795293557158.9,
  ];
  for (let i = 0; i < 5_000; i++) moments.push((i * 7_777_777_777) % 4e12, 1.7e12 + i * 86_399_999, -i * 1e11);
  for (const at of moments) assert.equal(isoOf(at), new Date(at).toISOString(), String(at));
  for (const none of [Number.NaN, far + 1, Number.POSITIVE_INFINITY]) assert.throws(() => isoOf(none), RangeError);
});
