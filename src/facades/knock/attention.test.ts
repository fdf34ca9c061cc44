import assert from "node:assert/strict";
import { test } from "node:test";
import type { InboxItem } from "../../engine/model.ts";
import type { InboxEvent } from "../../engine/ports.ts";
import { FakeClock } from "../../lib/clock.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { Subscription } from "../../realtime/connection.ts";
import { Attention, isHeard, type JoinedFeed } from "./attention.ts";
import { listenersOf } from "./joins.ts";

const TOPIC = "feeds:f:u1";

function item(over: Partial<InboxItem> = {}): InboxItem {
  return { messageId: "msg_1", tenantId: null, createdAt: 1_000, tags: [], data: {}, ...over } as unknown as InboxItem;
}

function added(over: Partial<InboxItem> = {}): InboxEvent {
  return { kind: "added", environmentId: "env_1", userId: "u1", item: item(over) };
}

function changed(field: "read" | "seen" | "archived" | "deleted" | "interacted" | "clicked", via: string): InboxEvent {
  const shared = { kind: "changed", environmentId: "env_1", userId: "u1", value: true, origin: null } as const;
  return { ...shared, item: item(), field, via };
}

/** Connections that write down what they are sent. */
function world() {
  const clock = new FakeClock();
  const looks: string[] = [];
  const problems: unknown[] = [];
  let fails = false;
  const attention = new Attention({
    clock,
    report: (error) => problems.push(error),
    sources: {
      counts: async (_environment, scope) => {
        looks.push(scope.tenant ?? "");
        if (fails) throw new Error("away");
        return { total_count: 3, unread_count: 2, unseen_count: 1 };
      },
      source: async (_environment, { messageId }) => (messageId === "msg_1" ? "wf" : "other"),
    },
  });
  const join = (payload: JsonObject) => {
    const sent: JsonObject[] = [];
    const connection = {
      environmentId: "env_1",
      subscriptions: [] as unknown[],
      send: (text: string) => sent.push(JSON.parse(text)[4]),
    };
    const owner = { userId: "u1", channelIds: null, tenants: null };
    const filter: JoinedFeed = { topic: TOPIC, joinRef: "1", owner, listeners: listenersOf(payload) };
    const subscription = { connection, key: TOPIC, userId: "u1", filter, origin: null } as unknown as Subscription<
      unknown,
      JoinedFeed
    >;
    connection.subscriptions.push(subscription);
    return { sent, subscription, leave: () => connection.subscriptions.pop() };
  };
  /** The turn ends, and what was to be looked up has been. */
  const turn = (): Promise<void> => new Promise((done) => setImmediate(() => setImmediate(done)));
  const settle = async (): Promise<void> => {
    await turn();
    clock.advance(250);
    await turn();
  };
  return { turn, clock, attention, looks, problems, join, settle, break: () => (fails = true) };
}

test("a quiet topic is told at once, all of one turn together; what follows is one push, a quarter of a second later", async () => {
  const { clock, attention, join, turn, settle, looks } = world();
  const page = join({ a: { tenant: "acme" }, z: { tenant: "zeta" }, o: { archived: "only" } });
  attention.tell(added({ tenantId: "acme" }), page.subscription);
  attention.tell(added({ tenantId: "acme" }), page.subscription);
  await turn();
  const metadata = { total_count: 3, unread_count: 2, unseen_count: 1 };
  assert.deepEqual(page.sent, [{ event: "new-message", metadata, data: { a: { metadata } }, attn: ["a"] }]);
  assert.deepEqual(looks, ["acme"]);
  attention.tell(added({ tenantId: "acme" }), page.subscription);
  clock.advance(249);
  attention.tell(added(), page.subscription);
  await turn();
  assert.equal(page.sent.length, 1);
  clock.advance(1);
  await turn();
  assert.deepEqual(page.sent[1]?.attn, ["a", "z"]);
  // Quiet again.
  await settle();
  attention.tell(added(), page.subscription);
  await turn();
  assert.equal(page.sent.length, 3);
});

test("nobody concerned, nothing sent, nothing looked up", async () => {
  const { attention, join, settle, looks } = world();
  const page = join({ z: { tenant: "zeta" } });
  attention.tell(added({ tenantId: "acme" }), page.subscription);
  await settle();
  assert.deepEqual([page.sent, looks], [[], []]);
});

test("connections that look at the same share one look", async () => {
  const { attention, join, settle, looks } = world();
  const pages = [join({ a: {} }), join({ b: {} }), join({ c: { tenant: "acme" } })];
  for (const { subscription } of pages) attention.tell(added(), subscription);
  await settle();
  assert.deepEqual(
    pages.map(({ sent }) => sent[0]?.attn),
    [["a"], ["b"], ["c"]],
  );
  assert.deepEqual(looks, ["", "acme"]);
});

test("a feed without a name is pushed to without being named", async () => {
  const { attention, join, settle } = world();
  const page = join({});
  attention.tell(added(), page.subscription);
  await settle();
  const metadata = { total_count: 3, unread_count: 2, unseen_count: 1 };
  assert.deepEqual(page.sent, [{ event: "new-message", metadata, data: {}, attn: [] }]);
});

test("a feed that narrows itself to a workflow is told of that one only", async () => {
  const { attention, join, settle } = world();
  const page = join({ w: { source: "wf" }, o: { source: "other" }, all: {} });
  attention.tell(added(), page.subscription);
  await settle();
  assert.deepEqual(page.sent[0]?.attn, ["w", "all"]);
});

test("who has left by then hears nothing; a look that fails is reported and the next push comes", async () => {
  const it = world();
  const page = it.join({ a: {} });
  it.attention.tell(added(), page.subscription);
  page.leave();
  await it.settle();
  assert.deepEqual([page.sent, it.looks], [[], []]);
  const other = it.join({ a: {} });
  it.break();
  it.attention.tell(added(), other.subscription);
  await it.settle();
  assert.equal(it.problems.length, 1);
});

test("changes made through another facade are heard when they change what is counted, Knock's own never", async () => {
  const { join, attention, settle } = world();
  const { subscription, sent } = join({ a: { archived: "only" } });
  const heard = (event: InboxEvent): boolean => isHeard(event, subscription.filter);
  for (const field of ["read", "seen", "archived", "deleted"] as const) {
    assert.deepEqual([heard(changed(field, "courier")), heard(changed(field, "knock"))], [true, false], field);
  }
  assert.deepEqual([heard(changed("interacted", "courier")), heard(changed("clicked", "courier"))], [false, false]);
  const all = { kind: "changed-all", environmentId: "env_1", userId: "u1", what: "read-all", origin: null } as const;
  assert.deepEqual([heard({ ...all, via: "courier" }), heard({ ...all, via: "knock" })], [true, false]);
  // A feed of archived items is concerned by what is archived, though not by what is new.
  attention.tell(changed("archived", "courier"), subscription);
  await settle();
  assert.equal(sent.length, 1);
});
