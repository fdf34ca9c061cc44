import assert from "node:assert/strict";
import { test } from "node:test";
import { firstIdAt, fromHex, newId } from "../../lib/ids.ts";
import { fromMessageId, fromUuid, toMessageId, toUuid } from "./ids.ts";

test("an ordinary id is a UUID of version 4 and comes back as itself", () => {
  for (let i = 0; i < 2_000; i++) {
    const id = newId("req", Date.UTC(2026, 0, 1) + i * 7_919);
    const uuid = toUuid(id);
    assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(fromUuid("req", uuid), id);
    assert.equal(fromUuid("req", uuid.toUpperCase()), id);
  }
});

test("every bit survives, whatever the bits are", () => {
  for (let bit = 0; bit < 128; bit++) {
    const hex = (1n << BigInt(bit)).toString(16).padStart(32, "0");
    const id = fromHex("x", hex);
    assert.equal(fromUuid("x", toUuid(id)), id, `bit ${bit}`);
    const uuid = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
    assert.equal(toUuid(fromUuid("x", uuid) as string), uuid, `bit ${bit} of a UUID`);
  }
});

test("the spelling keeps the order of time", () => {
  const at = Date.UTC(2026, 5, 1);
  const spelled = [0, 1, 2, 999, 1_000, 60_000].map((ms) => toUuid(firstIdAt("x", at + ms)));
  assert.deepEqual(spelled.toSorted(), spelled);
});

test("what is no id is nobody's", () => {
  assert.equal(fromUuid("req", "nope"), null);
  assert.equal(fromMessageId("nope"), null);
  const id = newId("dlv", Date.UTC(2026, 0, 1));
  assert.equal(toMessageId(id).length, 27);
  assert.equal(fromMessageId(toMessageId(id)), id);
});
