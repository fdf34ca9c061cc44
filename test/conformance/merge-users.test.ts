import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeviceToken, EnvironmentId, InboxItem, SendSpec } from "../../src/engine/model.ts";
import type { ItemChange, Store } from "../../src/engine/ports.ts";
import { Refusal } from "../../src/engine/refusal.ts";
import { type BatchId, type PartyRef, type Run, USERS } from "../../src/engine/workflow/model.ts";
import type { Gate } from "../../src/engine/workflow/ports.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import { run } from "../../src/storage/database.ts";
import { text } from "../../src/storage/text.ts";
import { MAX_TOKENS_OF_USER } from "../../src/storage/tokens.ts";
import { forEachDatabase } from "./databases.ts";
import { accepting, aDelivery, aMessage, aRequest, inboxSend, newEnvironmentId, T0 } from "./fixtures.ts";
import { aBatching, aLeg, aSchedule, aThrottle, aTrigger, claimedRuns, commitLeg, messageOf } from "./run-fixtures.ts";

const user = (id: string): PartyRef => ({ collection: USERS, id });
const project = (id: string): PartyRef => ({ collection: "projects", id });

async function identify(store: Store, env: EnvironmentId, users: { readonly [id: string]: JsonObject }, at = T0) {
  const writes = Object.entries(users).map(([id, properties]) => ({ party: user(id), properties, documents: [] }));
  await store.parties.write(env, writes, at);
}

function aToken(token: string, userId: string): DeviceToken {
  const rest = { stateReason: null, expiresAt: null, device: null, properties: null, tracking: null };
  return { token, userId, provider: "fcm", state: "active", ...rest, createdAt: T0, updatedAt: T0 };
}

function reading({ id }: InboxItem): ItemChange {
  return { deliveryId: id, field: "read", value: true, again: "keep" };
}

/** What the badge says, and what is there when all items are looked at. */
async function countsOf(store: Store, env: EnvironmentId, userId: string) {
  const counts: { [tenant: string]: readonly [number, number] } = {};
  for (const tenantId of [null, "acme"]) {
    for (const read of [true, false]) {
      const filter = { userId, tenantId, read };
      const kept = await store.inbox.count(env, filter, T0);
      const found = await store.inbox.list(env, filter, T0, { limit: 1000 });
      counts[`${tenantId} ${read ? "read" : "unread"}`] = [kept, found.items.length];
    }
  }
  return counts;
}

forEachDatabase((name, open, openRaw) => {
  test(`${name}: the target's profile wins at every depth, and the other user is gone`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    await identify(store, env, { old: { name: "Old", phone: "1", a: { x: 1, y: { p: 1 } }, list: [1, 2] } });
    await identify(store, env, { new: { name: "New", email: null, a: { x: 2, y: { q: 2 } }, list: [3] } }, T0 + 1);
    await store.parties.mergeUsers(env, "new", "old", T0 + 9);
    const [merged, gone] = await store.parties.facts(env, [user("new"), user("old")]);
    assert.deepEqual(merged?.properties, {
      name: "New",
      phone: "1",
      email: null,
      a: { x: 2, y: { p: 1, q: 2 } },
      list: [3],
    });
    assert.deepEqual([merged?.createdAt, merged?.updatedAt], [T0 + 1, T0 + 9]);
    assert.equal(gone?.properties, null);
  });

  test(`${name}: refuses a user who is not there or is the same, having changed nothing`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    await identify(store, env, { ann: { name: "Ann" } });
    await store.parties.subscribe(env, [{ object: project("p"), recipient: user("ann"), properties: null }], T0);
    const refused = (into: string, from: string, code: string, field: string) =>
      assert.rejects(
        store.parties.mergeUsers(env, into, from, T0),
        (error) => error instanceof Refusal && error.code === code && error.field === field,
      );
    await refused("ann", "nobody", "not_found", "from");
    await refused("nobody", "ann", "not_found", "into");
    await refused("ann", "ann", "invalid", "from");
    await refused("ann", "a\0", "invalid", "from");
    await refused("", "ann", "invalid", "into");
    await assert.rejects(store.parties.mergeUsers(newEnvironmentId(), "ann", "bob", T0), Refusal);
    assert.deepEqual((await store.parties.facts(env, [user("ann")]))[0]?.properties, { name: "Ann" });
    assert.equal((await store.parties.subscriptions(env, { recipient: user("ann") }, { limit: 5 })).items.length, 1);
  });

  test(`${name}: inbox items and their counts move, by tenant and by what was done with them`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    await identify(store, env, { old: {}, new: {}, other: {} });
    const shapes = [
      ["old", null, null, 3],
      ["old", null, T0, 2],
      ["old", "acme", null, 1],
      ["new", null, null, 1],
      ["new", "acme", T0, 2],
      ["other", null, null, 1],
    ] as const;
    const sends = shapes.flatMap(([userId, tenantId, readAt, n]) =>
      Array.from({ length: n }, () => inboxSend(env, userId, { message: { tenantId }, item: { tenantId, readAt } })),
    );
    await store.pipeline.accept(sends);
    // Another environment's user of the same name, and an address that reads like the id.
    const elsewhere = inboxSend(newEnvironmentId(), "old");
    const request = aRequest(env);
    const address = aMessage(request, { userId: null, recipient: "old" });
    await store.pipeline.accept([elsewhere, accepting(request, [{ message: address, deliveries: [] }])]);

    await store.parties.mergeUsers(env, "new", "old", T0 + 1);
    assert.deepEqual(await countsOf(store, env, "new"), {
      "null read": [2, 2],
      "null unread": [4, 4],
      "acme read": [2, 2],
      "acme unread": [1, 1],
    });
    assert.deepEqual(Object.values(await countsOf(store, env, "old")).flat(), [0, 0, 0, 0, 0, 0, 0, 0]);
    assert.deepEqual((await countsOf(store, env, "other"))["null unread"], [1, 1]);
    assert.deepEqual((await countsOf(store, elsewhere.message.environmentId, "old"))["null unread"], [1, 1]);
    assert.equal((await store.messages.read(env, address.id))?.message.recipient, "old");
    const db = await openRaw();
    const { rows } = await db.read(() =>
      run(text(db.dialect, "select * from inbox_counts where env_id = ? and user_id = ?", [env, "old"])),
    );
    assert.deepEqual(rows, [], "no empty piles are left behind");

    const [item] = (await store.inbox.list(env, { userId: "new", read: false, tenantId: "acme" }, T0, { limit: 1 }))
      .items;
    assert.ok(item);
    await store.inbox.change(env, "new", [reading(item)], T0 + 2, () => []);
    assert.deepEqual((await countsOf(store, env, "new"))["acme unread"], [0, 0]);
    const record = await store.messages.read(env, item.messageId);
    assert.deepEqual([record?.message.userId, record?.message.recipient], ["new", "new"]);
  });

  test(`${name}: deliveries of other channels and waiting messages move`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    await identify(store, env, { old: {}, new: {} });
    const request = aRequest(env);
    const message = aMessage(request, { userId: "old" });
    const mail = aDelivery(message);
    await store.pipeline.accept([accepting(request, [{ message, deliveries: [mail] }])]);
    await store.parties.mergeUsers(env, "new", "old", T0 + 1);
    const record = await store.messages.read(env, message.id);
    assert.equal(record?.message.userId, "new");
    assert.deepEqual(
      record?.deliveries.map((d) => [d.userId, d.state]),
      [["new", "pending"]],
    );
    assert.equal(await store.messages.findByUser(env, request.id, "new"), message.id);
  });

  test(`${name}: a delayed message that is being planned is planned anew for the target`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    await identify(store, env, { old: {}, new: {} });
    const request = aRequest(env);
    const message = aMessage(request, {
      userId: "old",
      recipient: "old",
      state: "delayed",
      dueAt: T0,
      plannedAt: null,
    });
    await store.pipeline.accept([accepting(request, [{ message, deliveries: [] }])]);
    const held = T0 + 30_000;
    await store.pipeline.claimMessages(T0, 10_000, held);
    await store.parties.mergeUsers(env, "new", "old", T0 + 1);
    const planned = { message: { ...message, state: "routed" as const, plannedAt: T0 }, deliveries: [] };
    assert.deepEqual(await store.pipeline.commitPlanned([planned], held), [false]);
    const again = (await store.pipeline.claimMessages(T0 + 1, 10_000, held + 1)).find(({ id }) => id === message.id);
    assert.deepEqual([again?.userId, again?.recipient], ["new", "new"]);
  });

  test(`${name}: runs that wait go on for the target; a lease on one is over`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    await identify(store, env, { old: {}, new: {} });
    const run = { dueAt: T0 + 60_000 };
    const [mine, other] = [
      aTrigger(env, { recipient: user("old"), run }),
      aTrigger(env, { recipient: user("new"), run }),
    ];
    await store.pipeline.accept([mine, other]);
    const held = T0 + 120_000;
    const claimed = (await store.runs.claim(T0 + 60_000, 1000, held)).filter((r) => r.environmentId === env);
    assert.equal(claimed.length, 2);
    await store.parties.mergeUsers(env, "new", "old", T0 + 60_001);

    const moved = await store.runs.read(env, mine.message.id);
    assert.deepEqual([moved?.recipient, moved?.leaseUntil, moved?.dueAt], [user("new"), null, T0 + 60_000]);
    assert.equal((await store.runs.read(env, other.message.id))?.leaseUntil, held, "the target's own is left alone");
    const record = await store.messages.read(env, mine.message.id);
    assert.deepEqual(record?.message.run, { ...mine.message.run, recipient: user("new") });
    const listed = await store.runs.list(env, { recipient: user("new") }, T0, { limit: 9 });
    assert.equal(listed.items.length, 2);
    const again = (await store.runs.claim(T0 + 60_002, 1000, held + 1)).filter((r) => r.environmentId === env);
    assert.deepEqual(
      again.map(({ messageId, recipient }) => [messageId, recipient]),
      [[mine.message.id, user("new")]],
    );
  });

  test(`${name}: what an open batch has collected can be canceled as the target's`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    await identify(store, env, { old: {}, new: {} });
    const run = { cancellationKey: "k" };
    const triggers = [aTrigger(env, { recipient: user("old"), run }), aTrigger(env, { recipient: user("old"), run })];
    const [first, second] = await claimedRuns(store, triggers, T0 + 30_000);
    assert.ok(first && second);
    for (const one of [first, second]) await commitLeg(store, aLeg(one, { gate: aBatching(one, "key") }));
    await store.parties.mergeUsers(env, "new", "old", T0 + 1);
    const cancel = (id: string) => store.runs.cancel(env, "welcome", "k", [user(id)], T0 + 2, (record) => record);
    assert.equal(await cancel("old"), 0);
    assert.equal(await cancel("new"), 2);
  });

  test(`${name}: gates move: what passed either counts, and an open batch is joined by the target's runs`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    await identify(store, env, { old: {}, new: {} });
    const held = T0 + 1_000_000;
    const runsOf = (id: string, count: number) =>
      claimedRuns(
        store,
        Array.from({ length: count }, () => aTrigger(env, { recipient: user(id) })),
        held,
      );
    const pass = async (run: Run | undefined, gate: (run: Run) => Gate): Promise<string | undefined> => {
      assert.ok(run);
      await commitLeg(store, aLeg(run, { gate: gate(run) }));
      return (await messageOf(store, run)).run?.actor?.id;
    };
    const throttle = (key: string, now = T0) => aThrottle(key, { limit: 3, now, until: now + 60_000 });
    const before = [await runsOf("old", 6), await runsOf("new", 3)] as const;
    for (const run of before[0].slice(0, 2)) await pass(run, () => throttle("both"));
    await pass(before[1][0], () => throttle("both"));
    for (const run of before[0].slice(2, 4)) await pass(run, () => throttle("mine"));
    const ended = (key: string) => aThrottle(key, { until: T0 + 1 });
    await pass(before[1][1], () => ended("over"));
    await pass(before[0][4], (run) => aBatching(run, "batch"));
    await pass(before[0][5], (run) => aBatching(run, "two"));
    await pass(before[1][2], (run) => aBatching(run, "two"));

    await store.parties.mergeUsers(env, "new", "old", T0 + 2);
    const after = await runsOf("new", 7);
    assert.equal(await pass(after[0], () => throttle("both", T0 + 3)), "stopped");
    assert.equal(await pass(after[1], () => throttle("mine", T0 + 3)), "passed");
    assert.equal(await pass(after[2], () => throttle("mine", T0 + 3)), "stopped");
    assert.equal(await pass(after[3], () => throttle("over", T0 + 3)), "passed");
    assert.equal(await pass(after[4], (run) => aBatching(run, "batch")), "joined");
    assert.equal(await pass(after[5], (run) => aBatching(run, "two")), "joined");
    const totalOf = async (carrier: Run | undefined) => {
      const carries = (await store.runs.read(env, carrier?.messageId as Run["messageId"]))?.state.carries;
      return (await store.runs.batch(env, carries as BatchId, "asc", 10))?.total;
    };
    assert.deepEqual(
      await Promise.all([before[0][4], before[0][5], before[1][2]].map(totalOf)),
      [2, 1, 2],
      "of two open batches the target's own is joined",
    );
    const [stranger] = await runsOf("old", 1);
    assert.equal(await pass(stranger, () => throttle("both", T0 + 3)), "passed", "nothing is left of the other");
  });

  test(`${name}: what requests have still to expand is for the target, once, and a page under way is not written`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    await identify(store, env, { old: {}, new: {} });
    const to = (...ids: readonly string[]) =>
      ids.map((userId) => ({ kind: "user" as const, userId, profile: {}, data: { of: userId } }));
    const trigger = {
      key: "welcome",
      versionId: "wfv_1" as const,
      actor: null,
      cancellationKey: null,
      source: { type: "api" as const },
      sandbox: false,
      skipDelay: false,
      depth: 0,
    };
    const expanding = (ids: readonly string[], content?: SendSpec["content"], cursor: string | null = null) => {
      const request = aRequest(env, { state: "expanding", cursor });
      const spec = { ...request.spec, recipients: to(...ids), content: content ?? request.spec.content };
      return { ...request, spec };
    };
    const workflow = { kind: "workflow" as const, trigger };
    const requests = [
      expanding(["a", "old", "b"], workflow),
      expanding(["old", "a", "new"], workflow),
      expanding(["old", "new", "a"]),
      expanding(["old", "a"], workflow, JSON.stringify({ entry: 1, after: null })),
      expanding(["older", "a"], workflow),
    ];
    await store.pipeline.accept(requests.map((request) => ({ request, planned: [], idempotency: null })));
    const held = T0 + 30_000;
    await store.pipeline.claimRequests(T0, 10_000, held);
    await store.parties.mergeUsers(env, "new", "old", T0 + 1);
    const page = { held, next: held };
    const written = await Promise.all(requests.map((request) => store.pipeline.commitPage(request, page, null, [])));
    assert.deepEqual(written, [false, false, false, true, true]);
    const again = await store.pipeline.claimRequests(T0 + 1, 10_000, held);
    assert.deepEqual(
      requests
        .slice(0, 3)
        .map(({ id }) =>
          again
            .find((one) => one.id === id)
            ?.spec.recipients.map((one) => one.kind === "user" && [one.userId, one.data?.of]),
        ),
      [
        [
          ["a", "a"],
          ["new", "old"],
          ["b", "b"],
        ],
        [
          ["a", "a"],
          ["new", "new"],
        ],
        [
          ["new", "old"],
          ["new", "new"],
          ["a", "a"],
        ],
      ],
    );
  });

  test(`${name}: schedules move, and what was made of one under a lease does not fire`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    await identify(store, env, { old: {}, new: {} });
    const schedule = aSchedule(env, { recipient: user("old"), nextAt: T0 });
    await store.schedules.create([schedule]);
    const held = T0 + 30_000;
    const claimed = (await store.schedules.claim(T0, 1000, held)).find(({ id }) => id === schedule.id);
    assert.ok(claimed);
    await store.parties.mergeUsers(env, "new", "old", T0 + 1);
    assert.equal(await store.schedules.fire(claimed, held, null, null), false);
    const found = await store.schedules.list(env, { recipients: [user("new")] }, { limit: 5 });
    assert.deepEqual(
      found.items.map(({ id, nextAt }) => [id, nextAt]),
      [[schedule.id, T0]],
    );
    assert.ok((await store.schedules.claim(T0 + 1, 1000, held)).some(({ id }) => id === schedule.id));
  });

  test(`${name}: subscriptions, documents and memberships move; the target's own stay as they are`, async () => {
    const store = await open();
    const { parties, directory } = store;
    const env = newEnvironmentId();
    await identify(store, env, { old: {}, new: {} });
    const of = (recipient: string, object: string) => {
      return { object: project(object), recipient: user(recipient), properties: { of: recipient } };
    };
    await parties.subscribe(env, [of("old", "a"), of("old", "b"), of("new", "b")], T0);
    for (const [id, names] of [
      ["old", ["one", "two"]],
      ["new", ["two"]],
    ] as const) {
      for (const name of names) await parties.modifyDocument(env, user(id), "channel", name, T0, () => ({ of: id }));
      await directory.subscribe(
        env,
        [...names].map((listId) => ({ listId, userId: id, preferences: { of: id } })),
        T0,
      );
      const memberships = names.map((tenantId) => ({ tenantId, userId: id, profile: { of: id }, createdAt: T0 }));
      await directory.putMemberships(env, memberships);
      for (const [i, name] of names.entries())
        await parties.putMembers(env, name, [{ userId: id, tenantId: "t" }], T0 + i);
    }
    await directory.putTokens(env, [aToken("t1", "old"), aToken("t2", "new")]);
    await parties.mergeUsers(env, "new", "old", T0 + 5);

    const whose = { one: "old", two: "new" };
    const documents = await parties.documents(env, user("new"), "channel");
    assert.deepEqual(Object.fromEntries(documents.map((d) => [d.name, d.body.of])), whose);
    const subscriptions = await parties.subscriptions(env, { recipient: user("new") }, { limit: 9 });
    assert.deepEqual(
      subscriptions.items.map((s) => [s.object.id, s.properties?.of]),
      [
        ["b", "new"],
        ["a", "old"],
      ],
    );
    const lists = (await directory.subscriptionsOf(env, "new", { limit: 9 })).items;
    assert.deepEqual(Object.fromEntries(lists.map((l) => [l.id, l.subscription.preferences?.of])), whose);
    const tenants = (await directory.tenantsOf(env, "new", { limit: 9 })).items;
    assert.deepEqual(Object.fromEntries(tenants.map((t) => [t.tenantId, t.profile?.of])), whose);
    for (const audience of ["one", "two"]) {
      assert.deepEqual(
        (await parties.members(env, audience, { limit: 9 })).items.map((m) => [m.userId, m.addedAt]),
        [["new", T0]],
      );
    }
    assert.deepEqual(
      (await directory.tokens(env, "new")).map((t) => t.token),
      ["t1", "t2"],
    );

    assert.deepEqual((await parties.facts(env, [user("old")]))[0]?.documents, []);
    assert.deepEqual((await parties.subscriptions(env, { recipient: user("old") }, { limit: 9 })).items, []);
    assert.deepEqual((await directory.subscriptionsOf(env, "old", { limit: 9 })).items, []);
    assert.deepEqual((await directory.tenantsOf(env, "old", { limit: 9 })).items, []);
    assert.deepEqual(await directory.tokens(env, "old"), []);
  });

  test(`${name}: devices move, so that nothing is sent to the user who is gone`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    await identify(store, env, { old: {}, new: {} });
    const device = { userId: "old", registered: true, token: null, language: "de", info: {}, tags: {} };
    await store.devices.modify(env, "d", T0, () => device);
    await store.parties.mergeUsers(env, "new", "old", T0);
    assert.deepEqual((await store.devices.users(env, { limit: 10 })).items, ["new"]);
  });

  test(`${name}: refuses what would be too many device tokens, having moved nothing`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    await identify(store, env, { old: { name: "Old" }, new: {} });
    const tokens = Array.from({ length: MAX_TOKENS_OF_USER }, (_, i) => aToken(`t${i}`, "new"));
    await store.directory.putTokens(env, [...tokens, aToken("one too many", "old")]);
    await store.pipeline.accept([inboxSend(env, "old")]);
    await assert.rejects(
      store.parties.mergeUsers(env, "new", "old", T0),
      (error) => error instanceof Refusal && error.code === "invalid" && error.field === "from",
    );
    assert.deepEqual((await store.parties.facts(env, [user("old")]))[0]?.properties, { name: "Old" });
    assert.equal(await store.inbox.count(env, { userId: "old" }, T0), 1);
  });

  test(`${name}: counts stay right while items are added, read and moved at once`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const ids = ["a", "b", "c", "d"];
    await identify(store, env, Object.fromEntries(ids.map((id) => [id, {}])));
    await store.pipeline.accept(ids.flatMap((id) => Array.from({ length: 20 }, () => inboxSend(env, id))));
    const items = (await store.inbox.list(env, { userId: "b" }, T0, { limit: 10 })).items;
    const settled = await Promise.allSettled([
      ...ids.map((id) => store.pipeline.accept([inboxSend(env, id), inboxSend(env, id)])),
      store.parties.mergeUsers(env, "a", "b", T0),
      store.inbox.change(env, "b", items.map(reading), T0, () => []),
      store.parties.mergeUsers(env, "c", "d", T0),
      store.parties.mergeUsers(env, "a", "c", T0),
      ...ids.map((id) => store.pipeline.accept([inboxSend(env, id)])),
    ]);
    assert.deepEqual(
      settled.filter(({ status }) => status === "rejected"),
      [],
    );
    let all = 0;
    for (const id of ids) {
      for (const [kept, found] of Object.values(await countsOf(store, env, id))) {
        assert.equal(kept, found, `of ${id}`);
        all += found;
      }
    }
    assert.equal(all, 4 * 23);
  });

  test(`${name}: the records of more runs than are read at once all name the target`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    await identify(store, env, { old: {}, new: {} });
    const over = { recipient: user("old"), waits: false };
    await store.pipeline.accept(Array.from({ length: 1001 }, () => aTrigger(env, over)));
    await store.parties.mergeUsers(env, "new", "old", T0);
    const { items } = await store.runs.list(env, { recipient: user("new") }, T0, { limit: 2000 });
    assert.equal(items.length, 1001);
    assert.ok(items.every(({ run: record }) => record?.recipient.id === "new"));
  });
});
