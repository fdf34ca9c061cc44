import assert from "node:assert/strict";
import { test } from "node:test";
import { maySend, passes, wants } from "./match.ts";

const ALL = { eventTypes: null, channels: null };

test("an endpoint without filters lets every message through", () => {
  assert.equal(passes(ALL, { eventType: "a", channels: null }), true);
  assert.equal(passes(ALL, { eventType: "a", channels: ["x"] }), true);
});

test("an endpoint that names types lets no others through", () => {
  const some = { ...ALL, eventTypes: ["a", "b"] };
  assert.equal(passes(some, { eventType: "b", channels: null }), true);
  assert.equal(passes(some, { eventType: "A", channels: null }), false);
  assert.equal(passes({ ...ALL, eventTypes: [] }, { eventType: "a", channels: null }), false);
});

test("an endpoint that names channels wants messages with one of them, and none without channels", () => {
  const some = { ...ALL, channels: ["x", "y"] };
  assert.equal(passes(some, { eventType: "a", channels: ["z", "y"] }), true);
  assert.equal(passes(some, { eventType: "a", channels: ["z"] }), false);
  assert.equal(passes(some, { eventType: "a", channels: [] }), false);
  assert.equal(passes(some, { eventType: "a", channels: null }), false);
});

test("both filters have to let a message through", () => {
  const both = { eventTypes: ["a"], channels: ["x"] };
  assert.equal(passes(both, { eventType: "a", channels: ["x"] }), true);
  assert.equal(passes(both, { eventType: "b", channels: ["x"] }), false);
  assert.equal(passes(both, { eventType: "a", channels: ["y"] }), false);
});

test("nothing is sent to what is disabled, deleted or fetches for itself", () => {
  const alive = { ...ALL, disabled: false, deletedAt: null, kind: "http" as const };
  const message = { eventType: "a", channels: null };
  assert.equal(wants(alive, message), true);
  assert.equal(wants({ ...alive, eventTypes: ["b"] }, message), false);
  for (const dead of [{ disabled: true }, { deletedAt: 1 }, { kind: "poller" as const }]) {
    assert.equal(maySend({ ...alive, ...dead }), false);
    assert.equal(wants({ ...alive, ...dead }, message), false);
  }
});
