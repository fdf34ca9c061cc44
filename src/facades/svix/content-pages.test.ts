import assert from "node:assert/strict";
import { test } from "node:test";
import type { Walk, Walked } from "../../engine/webhooks/ports.ts";
import { contentPage } from "./content-pages.ts";

interface Item {
  readonly id: number;
  readonly size: number;
}

const key = ({ id }: Item): string => String(id).padStart(4, "0");

/** A list of 100 in descending order, as a store would walk it. */
function listOf(size: (id: number) => number) {
  const all = Array.from({ length: 100 }, (_, i) => ({ id: 99 - i, size: size(99 - i) }));
  const limits: number[] = [];
  const read = async ({ limit, from }: Walk): Promise<Walked<Item>> => {
    limits.push(limit);
    const back = from?.back ?? false;
    const ahead = back ? [...all].reverse() : all;
    const rest = from === null ? ahead : ahead.filter((one) => (back ? key(one) > from.key : key(one) < from.key));
    const items = rest.slice(0, limit);
    return { items: back ? items.reverse() : items, more: rest.length > limit };
  };
  const page = (limit: number, from: Walk["from"]) =>
    contentPage<Item>({ limit, from, order: "descending" }, key, (one) => one.size, read);
  return { page, limits };
}

const ids = ({ items }: Walked<Item>): number[] => items.map(({ id }) => id);
const down = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from - i);

test("small things come as many as were asked for, in the order of the list, whichever way", async () => {
  const { page, limits } = listOf(() => 10);
  const first = await page(60, null);
  assert.deepEqual([ids(first), first.more], [down(99, 60), true]);
  assert.deepEqual(limits, [10, 40, 10]);
  const last = await page(60, { key: "0040", back: false });
  assert.deepEqual([ids(last), last.more], [down(39, 40), false]);
  const back = await page(30, { key: "0040", back: true });
  assert.deepEqual([ids(back), back.more], [down(70, 30), true]);
  const start = await page(250, { key: "0040", back: true });
  assert.deepEqual([ids(start), start.more], [down(99, 59), false]);
});

test("large things make short pages, and going on from them leaves nothing out", async () => {
  const { page } = listOf(() => 1_000_000);
  for (const back of [false, true]) {
    const found: number[] = [];
    for (let from: Walk["from"] = back ? { key: "-", back } : null, more = true; more; ) {
      const next: Walked<Item> = await page(250, from);
      assert.equal(next.items.length, 10);
      found.push(...(back ? [...next.items].reverse() : next.items).map(({ id }) => id));
      from = { key: key((back ? next.items[0] : next.items.at(-1)) as Item), back };
      more = next.more;
    }
    assert.deepEqual(found, back ? down(99, 100).reverse() : down(99, 100));
  }
});
