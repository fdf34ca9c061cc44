import assert from "node:assert/strict";
import { test } from "node:test";
import type { InboxItem } from "../../engine/model.ts";
import {
  concerns,
  countedBy,
  countsOf,
  type FeedOwner,
  type FeedScope,
  listedBy,
  scopeOfOptions,
  scopeOfQuery,
  takesNew,
} from "./feed-scope.ts";
import { Query } from "./query.ts";

const OWNER: FeedOwner = { userId: "u1", channelIds: null, tenants: null };
const scope = (query: string): FeedScope => scopeOfQuery(new Query(query));
const filter = (query: string, owner: Partial<FeedOwner> = {}) => {
  const { userId, archived, ...rest } = countedBy(scope(query), { ...OWNER, ...owner });
  return rest;
};

test("a tenant's feed shows its items and those without a tenant", () => {
  assert.deepEqual(filter(""), {});
  assert.deepEqual(filter("tenant=acme"), { tenantIds: ["acme", null] });
  assert.deepEqual(filter("tenant=acme&has_tenant=false"), { tenantIds: ["acme", null] });
  assert.deepEqual(filter("tenant=acme&has_tenant=true"), { tenantId: "acme" });
  assert.deepEqual(filter("has_tenant=true"), { hasTenant: true });
  assert.deepEqual(filter("has_tenant=false"), { tenantId: null });
  assert.deepEqual(filter("tenant=&has_tenant=&status=&archived="), {});
});

test("a token that is limited to tenants shows theirs, and what has none", () => {
  assert.deepEqual(filter("", { tenants: ["a", "b"] }), { tenantIds: ["a", "b", null] });
  assert.deepEqual(filter("has_tenant=true", { tenants: ["a"] }), { tenantIds: ["a"] });
  assert.deepEqual(filter("has_tenant=false", { tenants: ["a"] }), { tenantId: null });
});

test("archived narrows lists and counts, status only lists", () => {
  assert.deepEqual(listedBy(scope(""), OWNER), { userId: "u1", archived: false });
  assert.deepEqual(listedBy(scope("archived=include&status=unread"), OWNER), { userId: "u1", read: false });
  assert.deepEqual(countedBy(scope("archived=only&status=seen"), OWNER), { userId: "u1", archived: true });
  const piles = [
    { seen: false, read: false, archived: false, count: 3 },
    { seen: true, read: false, archived: false, count: 4 },
    { seen: false, read: true, archived: false, count: 5 },
  ];
  const counts = (status: FeedScope["status"]) => Object.values(countsOf(piles, status));
  assert.deepEqual(counts("all"), [12, 7, 8]);
  assert.deepEqual(counts("unread"), [7, 7, 8]);
  assert.deepEqual(counts("read"), [5, 7, 8]);
  assert.deepEqual(counts("unseen"), [8, 7, 8]);
  assert.deepEqual(counts("seen"), [4, 7, 8]);
  assert.deepEqual(Object.values(countsOf([], "all")), [0, 0, 0]);
});

test("the other options narrow both", () => {
  const query = "source=wf&workflow_categories[]=a&workflow_categories[]=b&inserted_at.gt=2026-01-01T00:00:00Z";
  assert.deepEqual(filter(`${query}&inserted_at.lte=2026-01-02T00:00:00Z`), {
    events: ["wf"],
    tags: ["a", "b"],
    from: Date.UTC(2026, 0, 1) + 1,
    until: Date.UTC(2026, 0, 2) + 1,
  });
  assert.deepEqual(filter(`trigger_data=${encodeURIComponent('{"n":1,"s":"x","b":true,"z":null}')}`), {
    data: { n: 1, s: "x", b: true, z: null },
  });
});

test("data is compared by its first 256 characters, and only plain values are", () => {
  const long = "\u{1F600}".repeat(300);
  const read = scopeOfOptions({ trigger_data: { long } });
  assert.equal(Array.from(read.data?.long as string).length, 256);
  for (const bad of ['{"a":{"b":1}}', '{"a":[1]}', "[1]", '"x"', "nope"]) {
    assert.throws(() => scope(`trigger_data=${encodeURIComponent(bad)}`), { code: "invalid_params" }, bad);
  }
});

test("the socket means by an option what the list means by it", () => {
  const options = { tenant: "acme", has_tenant: true, source: "wf", "inserted_at.lt": "2026-01-01T00:00:00Z" };
  const query = "tenant=acme&has_tenant=true&source=wf&inserted_at.lt=2026-01-01T00:00:00Z";
  assert.deepEqual(scopeOfOptions(options), scope(query));
  assert.deepEqual(scopeOfOptions({}), scope(""));
});

test("an item concerns the feeds that would show it", () => {
  const item = { tenantId: "acme", createdAt: 1_000, tags: ["c"], data: { x: 1 } } as unknown as InboxItem;
  const untenanted = { ...item, tenantId: null };
  const is = (query: string, one: InboxItem, owner: Partial<FeedOwner> = {}) =>
    concerns(scope(query), { ...OWNER, ...owner }, one);
  assert.deepEqual(
    ["", "tenant=acme", "tenant=zeta", "has_tenant=true", "has_tenant=false", "tenant=acme&has_tenant=true"].map(
      (query) => [is(query, item), is(query, untenanted)],
    ),
    [
      [true, true],
      [true, true],
      [false, true],
      [true, false],
      [false, true],
      [true, false],
    ],
  );
  assert.equal(is("", item, { tenants: ["zeta"] }), false);
  assert.equal(is("", untenanted, { tenants: ["zeta"] }), true);
  assert.equal(is("", item, { channelIds: ["f"] }), false);
  assert.equal(is("", item, { channelIds: ["f", null] }), true);
  assert.equal(is("workflow_categories[]=d", item), false);
  assert.equal(is('trigger_data={"x":"1"}', item), false);
  assert.equal(is("inserted_at.gt=1970-01-01T00:00:01Z", item), false);
  assert.equal(is("inserted_at.gte=1970-01-01T00:00:01Z", item), true);
});

test("what is new is unread, unseen and not archived", () => {
  assert.deepEqual(
    ["", "status=unread", "status=unseen", "status=read", "status=seen", "archived=only", "archived=include"].map(
      (query) => takesNew(scope(query)),
    ),
    [true, true, true, false, false, false, true],
  );
});
