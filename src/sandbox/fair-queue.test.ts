import assert from "node:assert/strict";
import { test } from "node:test";
import { FairQueue } from "./fair-queue.ts";

const anyone = (): boolean => true;

test("owners are served in turn, each in the order of what it added", () => {
  const queue = new FairQueue<string>(10);
  for (const item of ["a1", "a2", "a3", "b1", "c1", "c2"]) assert.ok(queue.add(item[0] as string, item));
  const taken: (string | null)[] = [];
  while (queue.size > 0) taken.push(queue.take(anyone));
  assert.deepEqual(taken, ["a1", "b1", "c1", "a2", "c2", "a3"]);
  assert.equal(queue.take(anyone), null);
});

test("an owner that may not have another keeps its place", () => {
  const queue = new FairQueue<string>(10);
  for (const item of ["a1", "b1", "b2"]) queue.add(item[0] as string, item);
  assert.equal(
    queue.take((owner) => owner !== "a"),
    "b1",
  );
  assert.equal(queue.take(anyone), "a1");
  assert.equal(
    queue.take(() => false),
    null,
  );
  assert.equal(queue.size, 1);
});

test("one owner has half of the places", () => {
  const queue = new FairQueue<number>(4);
  assert.deepEqual(
    [1, 2, 3].map((item) => queue.add("greedy", item)),
    [true, true, false],
  );
  assert.deepEqual(
    [1, 2, 3].map((item) => queue.add(`other ${item}`, item)),
    [true, true, false],
  );
});
