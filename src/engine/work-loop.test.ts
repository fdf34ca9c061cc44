import assert from "node:assert/strict";
import { test } from "node:test";
import { WorkLoop } from "./work-loop.ts";

test("a call that comes while a look ends is answered with another look", async () => {
  let looks = 0;
  const loop = new WorkLoop("deliveries", 4, async () => {
    looks++;
    return [];
  });
  // One of these depths lies between the end of the look and the moment at which the loop notices it.
  for (let depth = 0; depth < 12; depth++) {
    looks = 0;
    let later = (): void => loop.wake();
    for (let i = 0; i < depth; i++) {
      const inner = later;
      later = () => queueMicrotask(inner);
    }
    loop.wake();
    later();
    await loop.idle();
    await new Promise((resolve) => setImmediate(resolve));
    await loop.idle();
    assert.ok(looks >= 2, `${depth} microtasks later: ${looks} looks`);
  }
});

test("a look that fails is not repeated at once, whoever called meanwhile", async () => {
  let looks = 0;
  const loop = new WorkLoop("deliveries", 4, async () => {
    looks++;
    await null;
    loop.wake();
    throw new Error("the database is away");
  });
  let failures = 0;
  loop.onFailure = () => failures++;
  loop.wake();
  await loop.idle();
  assert.deepEqual([looks, failures], [1, 1]);
});
