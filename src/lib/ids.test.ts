import assert from "node:assert/strict";
import { test } from "node:test";
import { firstIdAt, fromHex, isId, newId, timeOf, toHex, withPrefix } from "./ids.ts";

const NOW = Date.UTC(2026, 10, 21, 7, 40, 12, 345);

test("ids of one process rise strictly, also within a millisecond and when the clock goes back", () => {
  const ids = [NOW, NOW, NOW, NOW - 5000, NOW - 1, NOW + 1].flatMap((now) => [newId("msg", now), newId("msg", now)]);
  assert.deepEqual(ids, [...ids].sort());
  assert.equal(new Set(ids).size, ids.length);
});

test("an id tells its time to the millisecond", () => {
  const at = NOW + 86_400_000;
  assert.equal(timeOf(newId("dlv", at)), at);
  assert.equal(timeOf(firstIdAt("dlv", at)), at);
});

test("the first eight hex digits are Unix seconds, and hex leads back to the same id", () => {
  for (let i = 0; i < 500; i++) {
    const id = newId("msg", NOW + 2 * 86_400_000 + i * 997);
    assert.match(toHex(id), /^[0-9a-f]{32}$/);
    assert.equal(Number.parseInt(toHex(id).slice(0, 8), 16), Math.floor(timeOf(id) / 1000));
    assert.equal(fromHex("msg", toHex(id)), id);
  }
  for (const hex of ["f".repeat(32), "0".repeat(32), "0123456789abcdef".repeat(2)])
    assert.equal(toHex(fromHex("msg", hex)), hex);
});

test("the first id of a millisecond is not above any id made in it, and above all before", () => {
  const at = NOW + 3 * 86_400_000;
  const before = newId("msg", at - 1);
  const id = newId("msg", at);
  assert.ok(before < firstIdAt("msg", at) && firstIdAt("msg", at) <= id);
});

test("knows an id from other text", () => {
  const id = newId("req", NOW);
  assert.ok(isId("req", id));
  assert.ok(isId("msg", withPrefix("msg", id)));
  for (const text of [
    "",
    "req_",
    id.slice(0, -1),
    `${id}0`,
    id.replace("req", "msg"),
    id.toUpperCase(),
    `req_z${"0".repeat(25)}`,
  ]) {
    assert.ok(!isId("req", text), text);
  }
});
