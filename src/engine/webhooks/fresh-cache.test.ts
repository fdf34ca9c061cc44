import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "../../lib/clock.ts";
import { FreshCache } from "./fresh-cache.ts";

/** A cache of texts whose reads are answered by hand. */
function aCache(limits: { maxEntries?: number; maxWeight?: number } = {}) {
  const clock = new FakeClock();
  const reads: { key: string; held: string | undefined; answer: (value: string | null | Error) => void }[] = [];
  const cache = new FreshCache<string>({
    clock,
    load: (key, held) =>
      new Promise((resolve, reject) => {
        reads.push({ key, held, answer: (value) => (value instanceof Error ? reject(value) : resolve(value)) });
      }),
    maxEntries: 100,
    weigh: (value) => value.length,
    ...limits,
  });
  const load = async (key: string, value: string): Promise<void> => {
    const got = cache.get(key);
    reads.at(-1)?.answer(value);
    await got;
  };
  return { clock, reads, cache, load };
}

test("what was read is remembered for a second", async () => {
  const { clock, reads, cache, load } = aCache();
  await load("k", "v");
  clock.advance(999);
  assert.equal(cache.peek("k"), "v");
  assert.equal(await cache.get("k"), "v");
  assert.equal(reads.length, 1);
  clock.advance(1);
  assert.equal(cache.peek("k"), undefined);
  const again = cache.get("k");
  assert.equal(reads[1]?.held, "v");
  reads[1]?.answer("w");
  assert.equal(await again, "w");
});

test("a clock that is set back keeps nothing alive", async () => {
  const { clock, cache, load } = aCache();
  await load("k", "v");
  clock.advance(-1);
  assert.equal(cache.peek("k"), undefined);
});

test("that there is nothing is not remembered", async () => {
  const { reads, cache } = aCache();
  const first = cache.get("k");
  reads[0]?.answer(null);
  assert.equal(await first, null);
  const second = cache.get("k");
  reads[1]?.answer("v");
  assert.equal(await second, "v");
});

test("who asks at the same time shares one read, and its failure is forgotten", async () => {
  const { reads, cache } = aCache();
  const both = [cache.get("k"), cache.get("k")];
  assert.equal(reads.length, 1);
  reads[0]?.answer(new Error("down"));
  for (const got of both) await assert.rejects(got, /down/);
  const later = cache.get("k");
  reads[1]?.answer("v");
  assert.equal(await later, "v");
});

test("a read that was overtaken by a change is not remembered, nor given to those who ask after it", async () => {
  const { reads, cache } = aCache();
  const before = cache.get("k");
  cache.forget("k");
  const after = cache.get("k");
  assert.equal(reads.length, 2);
  reads[1]?.answer("new");
  assert.equal(await after, "new");
  reads[0]?.answer("old");
  assert.equal(await before, "old");
  assert.equal(cache.peek("k"), "new");
});

test("a fresh value is never one that was being read already; those who want one share the next", async () => {
  const { reads, cache, load } = aCache();
  await load("k", "0");
  const fresh = cache.get("k", true);
  assert.equal(reads.length, 2);
  const later = [cache.get("k", true), cache.get("k", true)];
  reads[1]?.answer("1");
  assert.equal(await fresh, "1");
  await new Promise(setImmediate);
  assert.equal(reads.length, 3);
  reads[2]?.answer("2");
  assert.deepEqual(await Promise.all(later), ["2", "2"]);
  assert.equal(cache.peek("k"), "2");
});

test("a fresh value is read anew after the read before it failed", async () => {
  const { reads, cache } = aCache();
  const first = cache.get("k");
  const fresh = cache.get("k", true);
  reads[0]?.answer(new Error("down"));
  await assert.rejects(first, /down/);
  await new Promise(setImmediate);
  reads[1]?.answer("v");
  assert.equal(await fresh, "v");
});

test("what was used longest ago goes first, by number and by weight", async () => {
  const { cache, load } = aCache({ maxEntries: 3, maxWeight: 6 });
  for (const key of ["a", "b", "c"]) await load(key, "x");
  cache.peek("a");
  await load("d", "x");
  assert.deepEqual(
    ["a", "b", "c", "d"].map((key) => cache.peek(key)),
    ["x", undefined, "x", "x"],
  );
  await load("e", "xxxxx");
  assert.deepEqual(
    ["a", "c", "d", "e"].map((key) => cache.peek(key)),
    [undefined, undefined, "x", "xxxxx"],
  );
  await load("f", "x".repeat(50));
  assert.equal(cache.peek("e"), undefined);
  assert.equal(cache.peek("f")?.length, 50);
});
