import assert from "node:assert/strict";
import { test } from "node:test";
import { newId } from "../../lib/ids.ts";
import { codeOf, hashOf, idsOfCode, inboxIdOf, isOrder, nameOf, Orders, orderOfItem, timeOfOrder } from "./ids.ts";

const NOW = Date.UTC(2026, 0, 5, 12);

test("names are read back", () => {
  const request = { kind: "request", id: newId("req", NOW) } as const;
  const item = { kind: "item", id: newId("dlv", NOW) } as const;
  for (const name of [request, item]) {
    assert.deepEqual(nameOf(inboxIdOf(name)), name);
    assert.deepEqual(nameOf(hashOf(name)), name);
    assert.match(hashOf(name), /^[a-z0-9]{27}$/);
  }
  for (const text of ["", "m", "m_", "x_00000000000000000000000000", "m_zzzzzzzzzzzzzzzzzzzzzzzzzz", "m-1", "𝟙"]) {
    assert.equal(nameOf(text), null, text);
  }
});

test("a code stands for a range that holds its request and not its neighbours", () => {
  const ids = Array.from({ length: 50 }, () => newId("req", NOW));
  assert.equal(new Set(ids.map(codeOf)).size, 50);
  for (const id of ids) {
    const range = idsOfCode(codeOf(id));
    assert.ok(range !== null);
    assert.deepEqual(
      ids.filter((one) => one >= range.from && one <= range.to),
      [id],
    );
  }
  for (const text of ["", "nonsense", "4C1D-0A5B77E2-91F03C6", "4C1D0A5B77E291F03C6D", "XXXX-00000000-00000000"]) {
    assert.equal(idsOfCode(text), null, text);
  }
});

test("orders have 15 digits, rise, and lead back to their time", () => {
  const orders = new Orders(99_998);
  let last = 0;
  for (const at of [NOW, NOW, NOW + 1, NOW - 5_000, NOW + 10]) {
    const order = orders.next(at);
    assert.ok(order > last && isOrder(String(order)) && order <= Number.MAX_SAFE_INTEGER);
    last = order;
  }
  assert.equal(timeOfOrder(orders.next(NOW + 60_000)), NOW + 60_000);
  // What was scheduled a second later, to the millisecond, for the same moment had the same order.
  const later = Array.from({ length: 1_000 }, () => orders.nextAt(NOW + 1e6));
  assert.equal(new Set(later).size, later.length);
  for (const order of later) assert.ok(Math.abs(timeOfOrder(order) - (NOW + 1e6) - 500) <= 500);
  const [first, second] = [newId("dlv", NOW + 1e9), newId("dlv", NOW + 1e9)].map(orderOfItem);
  assert.equal((second as number) - (first as number), 1);
  assert.equal(timeOfOrder(first as number), NOW + 1e9);
});
