import assert from "node:assert/strict";
import { test } from "node:test";
import { feedTopic, listenersOf } from "./joins.ts";

test("a topic is divided at its first two colons only", () => {
  assert.deepEqual(feedTopic("feeds:f-1:org:7:x"), { feedId: "f-1", userId: "org:7:x" });
  assert.deepEqual(feedTopic("feeds:f:a\nb"), { feedId: "f", userId: "a\nb" });
  for (const topic of ["feeds:f", "feeds:f:", "feeds::u", "guides:f:u", "xfeeds:f:u", ""]) {
    assert.equal(feedTopic(topic), null, topic);
  }
});

test("feeds are told apart by their names", () => {
  const [a, b, ...others] = listenersOf({
    client_a: { archived: "exclude", mode: "compact", tenant: "acme", trigger_data: { x: 1 }, page_size: 20 },
    client_b: {
      archived: "only",
      mode: "compact",
      status: "unread",
      trigger_data: '{"y":"2"}',
      "inserted_at.gte": "2026-01-01T00:00:00Z",
      workflow_categories: ["c"],
    },
  });
  assert.equal(others.length, 0);
  assert.deepEqual([a?.id, a?.scope.tenant, a?.scope.data], ["client_a", "acme", { x: 1 }]);
  assert.deepEqual(
    [b?.id, b?.scope.archived, b?.scope.status, b?.scope.data],
    ["client_b", "only", "unread", { y: "2" }],
  );
  assert.deepEqual([b?.scope.from, b?.scope.categories], [Date.UTC(2026, 0, 1), ["c"]]);
});

test("former clients give the options of one feed without a name, or none at all", () => {
  assert.deepEqual(
    listenersOf({ tenant: "acme", archived: "exclude" }).map(({ id, scope }) => [id, scope.tenant]),
    [[null, "acme"]],
  );
  assert.deepEqual(
    listenersOf({}).map(({ id, scope }) => [id, scope.archived]),
    [[null, "exclude"]],
  );
});

test("a feed whose options make no sense hears nothing, and the others of its page do", () => {
  const names = listenersOf({
    good: { archived: "exclude" },
    nested: { trigger_data: { a: { b: 1 } } },
    wrong: { status: "sideways" },
    late: { "inserted_at.gt": "yesterday" },
    odd: { tenant: { id: "x" } },
    nul: { tenant: "a\u0000" },
    text: "nope",
    many: { workflow_categories: Array.from({ length: 101 }, () => "c") },
  }).map(({ id }) => id);
  assert.deepEqual(names, ["good"]);
});

test("as many feeds as a page can have, and no more", () => {
  const payload = Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`client_${i}`, {}]));
  assert.equal(listenersOf(payload).length, 100);
});
