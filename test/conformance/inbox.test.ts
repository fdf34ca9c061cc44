import assert from "node:assert/strict";
import { test } from "node:test";
import type { Delivery, EnvironmentId, InboxItem } from "../../src/engine/model.ts";
import type { InboxFilter, ItemChange, ItemField, Progress, Store } from "../../src/engine/ports.ts";
import { matches } from "../../src/storage/inbox-query.ts";
import { forEachDatabase } from "./databases.ts";
import {
  accepting,
  aDelivery,
  aMessage,
  anItem,
  aRequest,
  inboxSend,
  mailSend,
  newEnvironmentId,
  progressOf,
  T0,
} from "./fixtures.ts";

const NOTHING = (): readonly Progress[] => [];
const ANN = { userId: "ann" };

function change(item: Delivery, field: ItemField, value = true, again: ItemChange["again"] = "keep"): ItemChange {
  return { deliveryId: item.id, field, value, again };
}

forEachDatabase((name, open) => {
  async function given(
    env: EnvironmentId,
    ...items: readonly { readonly user?: string; readonly tenant?: string; readonly item?: Partial<Delivery> }[]
  ): Promise<{ store: Store; items: InboxItem[] }> {
    const store = await open();
    const sends = items.map(({ user, tenant, item }) =>
      inboxSend(env, user ?? "ann", {
        message: { tenantId: tenant ?? null, tags: item?.tags ?? [] },
        ...(item && { item }),
      }),
    );
    await store.pipeline.accept(sends);
    return { store, items: sends.map((s) => s.item) };
  }

  /** Everything the filter lets through, page by page. */
  async function allOf(
    store: Store,
    env: EnvironmentId,
    filter: InboxFilter,
    now = T0,
    limit = 3,
  ): Promise<InboxItem[]> {
    const found: InboxItem[] = [];
    for (let after: string | null = null; ; ) {
      const page: Awaited<ReturnType<Store["inbox"]["list"]>> = await store.inbox.list(env, filter, now, {
        after,
        limit,
      });
      found.push(...page.items);
      if (page.next === null) return found;
      after = page.next;
    }
  }

  const ids = (items: readonly { readonly id: string }[]): string[] => items.map((item) => item.id);

  // ——— listing and counting ————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: lists an inbox newest first, and only its own`, async () => {
    const [env, other] = [newEnvironmentId(), newEnvironmentId()];
    const { store, items } = await given(env, {}, {}, {}, { user: "bob" }, { user: "ANN" });
    await given(other, {});
    const page = await store.inbox.list(env, ANN, T0, { limit: 2 });
    assert.deepEqual(page.items, [items[2], items[1]]);
    assert.equal(page.next, items[1]?.id);
    const rest = await store.inbox.list(env, ANN, T0, { limit: 2, after: page.next });
    assert.deepEqual(rest, { items: [items[0]], next: null });
    assert.equal(await store.inbox.count(env, ANN, T0), 3);
    assert.equal(await store.inbox.count(other, ANN, T0), 1);
  });

  test(`${name}: a tenant is exact, none is exact, and no tenant asked for is every one`, async () => {
    const env = newEnvironmentId();
    const { store, items } = await given(env, { tenant: "a" }, {}, { tenant: "b" }, { tenant: "a" });
    const cases: [InboxFilter, (InboxItem | undefined)[]][] = [
      [{ ...ANN, tenantId: "a" }, [items[3], items[0]]],
      [{ ...ANN, tenantId: null }, [items[1]]],
      [{ ...ANN, tenantId: "c" }, []],
      [ANN, [...items].reverse()],
    ];
    for (const [filter, expected] of cases) {
      assert.deepEqual(await allOf(store, env, filter), expected);
      assert.equal(await store.inbox.count(env, filter, T0), expected.length);
    }
  });

  test(`${name}: more tenants than one statement takes are still one list in order`, async () => {
    const env = newEnvironmentId();
    const { store, items } = await given(
      env,
      ...Array.from({ length: 100 }, (_, i) => ({ tenant: `t${(i * 37) % 50}` })),
    );
    await store.inbox.change(
      env,
      "ann",
      items.filter((_, i) => i % 3 === 0).map((i) => change(i, "read")),
      T0,
      NOTHING,
    );
    assert.deepEqual(ids(await allOf(store, env, ANN, T0, 7)), ids(items).reverse());
    assert.equal(await store.inbox.count(env, { ...ANN, read: true }, T0), 34);
  });

  test(`${name}: tags match any of those asked for, exactly; an empty list matches nothing`, async () => {
    const env = newEnvironmentId();
    const odd = `"],["x`;
    const tags = [["a", "b"], ["b"], [odd], ["x"], [], ["A"]];
    const { store, items } = await given(env, ...tags.map((t) => ({ item: { tags: t } })));
    const cases: [string[], number[]][] = [
      [["a"], [0]],
      [
        ["a", "b"],
        [1, 0],
      ],
      [[odd], [2]],
      [["x", "nope"], [3]],
      [[], []],
      [["'; drop table deliveries; --"], []],
    ];
    for (const [asked, expected] of cases) {
      const found = await allOf(store, env, { ...ANN, tags: asked });
      assert.deepEqual(
        ids(found),
        expected.map((i) => items[i]?.id),
      );
      assert.equal(await store.inbox.count(env, { ...ANN, tags: asked }, T0), expected.length);
    }
  });

  test(`${name}: from is inclusive`, async () => {
    const env = newEnvironmentId();
    const { store, items } = await given(env, ...[1, 2, 3].map((ms) => ({ item: { createdAt: T0 + ms } })));
    const filter = { ...ANN, from: T0 + 2 };
    assert.deepEqual(ids(await allOf(store, env, filter, T0 + 5)), ids(items.slice(1)).reverse());
    assert.equal(await store.inbox.count(env, filter, T0 + 5), 2);
  });

  test(`${name}: 10,000 items of one millisecond are paged without gap or repetition, while more arrive`, async () => {
    const env = newEnvironmentId();
    const { store } = await given(env);
    const sends = Array.from({ length: 10_000 }, () => inboxSend(env, "ann"));
    for (let i = 0; i < sends.length; i += 1000) await store.pipeline.accept(sends.slice(i, i + 1000));
    const found: string[] = [];
    for (let after: string | null = null; ; ) {
      const page: Awaited<ReturnType<Store["inbox"]["list"]>> = await store.inbox.list(env, ANN, T0, {
        after,
        limit: 900,
      });
      found.push(...ids(page.items));
      if (page.next === null) break;
      after = page.next;
      await store.pipeline.accept([inboxSend(env, "ann")]);
      // What moves to another pile keeps its place.
      await store.inbox.change(env, "ann", [change(page.items[0] as InboxItem, "read")], T0, NOTHING);
    }
    assert.deepEqual(found, ids(sends.map((s) => s.item)).reverse());
    assert.equal(await store.inbox.count(env, ANN, T0), 10_011);
    assert.equal(await store.inbox.count(env, { ...ANN, read: true }, T0), 11);
  });

  // ——— changing ————————————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: every field is set, kept or moved, and cleared as asked; two of them for good`, async () => {
    const env = newEnvironmentId();
    const { store, items } = await given(env, {});
    const [item] = items as [InboxItem];
    for (const field of ["seen", "read", "interacted", "archived", "deleted"] as const) {
      const column = `${field}At` as const;
      const make = async (value: boolean, again: ItemChange["again"], at: number) => {
        const [result] = await store.inbox.change(env, null, [change(item, field, value, again)], at, NOTHING);
        return [result?.item?.[column], result?.changed];
      };
      const final = field === "interacted" || field === "deleted";
      assert.deepEqual(await make(false, "keep", T0 + 1), [null, false]);
      assert.deepEqual(await make(true, "keep", T0 + 2), [T0 + 2, true]);
      assert.deepEqual(await make(true, "keep", T0 + 3), [T0 + 2, false]);
      if (field !== "deleted") assert.deepEqual(await make(true, "move", T0 + 4), [T0 + 4, true]);
      assert.deepEqual(
        await make(false, "keep", T0 + 5),
        final ? [field === "deleted" ? T0 + 2 : T0 + 4, false] : [null, true],
      );
    }
  });

  test(`${name}: what is unknown or another's is absent, and nothing is written for it`, async () => {
    const [env, other] = [newEnvironmentId(), newEnvironmentId()];
    const { store, items } = await given(env, {}, { user: "bob" });
    const [anns, bobs] = items as [InboxItem, InboxItem];
    const nowhere = { ...anns, id: "dlv_nowhere" as const };
    const results = await store.inbox.change(
      env,
      "ann",
      [change(nowhere, "read"), change(bobs, "read"), change(anns, "read")],
      T0,
      NOTHING,
    );
    assert.deepEqual(results, [
      { item: null, changed: false },
      { item: null, changed: false },
      { item: { ...anns, readAt: T0 }, changed: true },
    ]);
    assert.deepEqual(await store.inbox.change(other, null, [change(anns, "seen")], T0, NOTHING), [
      { item: null, changed: false },
    ]);
    assert.deepEqual(await store.inbox.change(env, "ann", [], T0, NOTHING), []);
    assert.equal((await store.messages.readDelivery(env, bobs.id))?.readAt, null);
  });

  test(`${name}: a deleted item is gone for its user, from lists, counts and lookups`, async () => {
    const env = newEnvironmentId();
    const { store, items } = await given(env, {});
    const [item] = items as [InboxItem];
    assert.deepEqual(await store.inbox.readByMessage(env, "ann", item.messageId), item);
    assert.equal(await store.inbox.readByMessage(env, "bob", item.messageId), null);
    await store.inbox.change(env, "ann", [change(item, "deleted")], T0 + 1, NOTHING);
    assert.deepEqual(await allOf(store, env, ANN), []);
    assert.equal(await store.inbox.count(env, ANN, T0), 0);
    assert.equal(await store.inbox.readByMessage(env, "ann", item.messageId), null);
    const again = await store.inbox.change(
      env,
      "ann",
      [change(item, "read"), change(item, "deleted")],
      T0 + 2,
      NOTHING,
    );
    assert.deepEqual(again, [
      { item: null, changed: false },
      { item: { ...item, deletedAt: T0 + 1 }, changed: false },
    ]);
  });

  test(`${name}: changes apply in order and bring the message and its history along, in one commit`, async () => {
    const env = newEnvironmentId();
    const { store, items } = await given(env, {});
    const [item] = items as [InboxItem];
    const seen: [ItemField, number | null][] = [];
    const results = await store.inbox.change(
      env,
      "ann",
      [change(item, "read"), change(item, "read", false), change(item, "interacted"), change(item, "interacted")],
      T0 + 9,
      (made, delivery) => {
        seen.push([made.field, delivery.readAt]);
        return made.field === "interacted"
          ? [progressOf(delivery, "clicked", "clicked", T0 + 9)]
          : [progressOf(delivery, made.value ? "read" : "unread", null, T0 + 9)];
      },
    );
    assert.deepEqual(
      results.map((r) => r.changed),
      [true, true, true, false],
    );
    assert.deepEqual(seen, [
      ["read", T0 + 9],
      ["read", null],
      ["interacted", null],
    ]);
    const record = await store.messages.read(env, item.messageId);
    assert.deepEqual([record?.message.state, record?.message.clickedAt], ["clicked", T0 + 9]);
    assert.deepEqual(
      record?.events.map((e) => e.kind),
      ["read", "unread", "clicked"],
    );
  });

  test(`${name}: what was sent through one facade can be told from the rest, however it is asked for`, async () => {
    const env = newEnvironmentId();
    const vias = ["courier", "knock", "courier", undefined, "pushwoosh"];
    const { store, items } = await given(env, ...vias.map((via) => ({ item: via === undefined ? {} : { via } })));
    const mine = { ...ANN, via: "courier" };
    const listed = async (filter: InboxFilter): Promise<readonly number[]> =>
      (await store.inbox.list(env, filter, T0, { limit: 10 })).items.map(({ id }) =>
        items.findIndex((item) => item.id === id),
      );
    assert.deepEqual(await listed(mine), [2, 0]);
    assert.deepEqual(await listed({ ...ANN, via: "nobody" }), []);
    const [first, ...more] = (await store.inbox.list(env, mine, T0, { limit: 1 })).items;
    assert.deepEqual([first, more], [items[2], []]);
    assert.equal(await store.inbox.count(env, { ...mine, read: false }, T0), 2);
    assert.deepEqual(await store.inbox.piles(env, mine, T0), [{ seen: false, read: false, archived: false, count: 2 }]);
    const brief = await store.inbox.brief(env, { userId: "ann", archived: false, via: "pushwoosh" }, T0, { limit: 10 });
    assert.deepEqual(
      brief.items.map(({ id }) => id),
      [items[4]?.id],
    );
    const changed = await store.inbox.changeAll(
      env,
      mine,
      { field: "read", value: true, again: "keep" },
      T0 + 1,
      () => [],
    );
    assert.deepEqual(changed, [items[2]?.messageId, items[0]?.messageId]);
    assert.equal(await store.inbox.count(env, { ...ANN, read: false }, T0 + 1), 3);
  });

  test(`${name}: a delivery of another channel is changed too, without showing in an inbox`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const { delivery, ...send } = mailSend(env);
    await store.pipeline.accept([send]);
    const [result] = await store.inbox.change(env, null, [change(delivery, "seen")], T0 + 1, NOTHING);
    assert.deepEqual(result, { item: { ...delivery, seenAt: T0 + 1 }, changed: true });
    assert.equal(await store.inbox.count(env, ANN, T0), 0);
  });

  test(`${name}: one item marked by many at the same time is changed once and counted once`, async () => {
    const env = newEnvironmentId();
    const { store, items } = await given(env, {}, {});
    const results = await Promise.all(
      Array.from({ length: 30 }, (_, i) =>
        store.inbox.change(
          env,
          "ann",
          [change(items[0] as InboxItem, "read"), change(items[1] as InboxItem, "seen")],
          T0 + i,
          NOTHING,
        ),
      ),
    );
    assert.equal(results.filter(([first]) => first?.changed).length, 1);
    assert.equal(await store.inbox.count(env, { ...ANN, read: true }, T0), 1);
    assert.equal(await store.inbox.count(env, { ...ANN, seen: false }, T0), 1);
    assert.equal(await store.inbox.count(env, ANN, T0), 2);
  });

  test(`${name}: changing all touches what matches, tells the messages changed, and leaves later ones alone`, async () => {
    const env = newEnvironmentId();
    const { store, items } = await given(
      env,
      ...Array.from({ length: 600 }, (_, i) => ({ tenant: i % 2 === 0 ? "a" : "b" })),
      { user: "bob" },
    );
    await store.inbox.change(env, "ann", [change(items[0] as InboxItem, "archived")], T0, NOTHING);
    const filter: InboxFilter = { ...ANN, archived: false };
    const told = await store.inbox.changeAll(
      env,
      filter,
      { field: "read", value: true, again: "keep" },
      T0 + 1,
      (d) => [progressOf(d, "read", null, T0 + 1)],
    );
    assert.deepEqual(new Set(told), new Set(items.slice(1, 600).map((i) => i.messageId)));
    assert.equal(told.length, 599);
    assert.equal(await store.inbox.count(env, { ...ANN, read: false }, T0), 1);
    assert.equal(await store.inbox.count(env, { userId: "bob", read: false }, T0), 1);
    assert.equal((await store.messages.read(env, (items[5] as InboxItem).messageId))?.events.length, 1);
    const again = await store.inbox.changeAll(
      env,
      filter,
      { field: "read", value: true, again: "keep" },
      T0 + 2,
      NOTHING,
    );
    assert.deepEqual(again, []);
    const archived = await store.inbox.changeAll(
      env,
      filter,
      { field: "archived", value: true, again: "keep" },
      T0 + 2,
      NOTHING,
    );
    assert.equal(archived.length, 599);
    assert.equal(await store.inbox.count(env, filter, T0), 0);
  });

  // ——— progress ————————————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: progress keeps first times and only rises; a bounce ends what was sent, not what was delivered`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const sends = Array.from({ length: 2 }, () => mailSend(env, { message: { state: "sent" } }));
    await store.pipeline.accept(sends);
    const [a, b] = sends.map((s) => s.delivery) as [Delivery, Delivery];
    await store.inbox.progress(env, [
      progressOf(a, "clicked", "clicked", T0 + 1),
      progressOf(a, "opened", "opened", T0 + 2),
      progressOf(a, "opened", "opened", T0 + 3),
      progressOf(b, "bounced", "undeliverable", T0 + 4),
      progressOf({ ...b, messageId: "msg_nowhere" }, "opened", "opened", T0 + 5),
    ]);
    await store.inbox.progress(env, [progressOf(a, "bounced", "undeliverable", T0 + 6)]);
    await store.inbox.progress(newEnvironmentId(), [progressOf(b, "opened", "opened", T0 + 7)]);
    await store.inbox.progress(env, []);
    const [first, second] = await Promise.all([a, b].map((d) => store.messages.read(env, d.messageId)));
    assert.deepEqual(
      [first?.message.state, first?.message.openedAt, first?.message.clickedAt, first?.events.length],
      ["clicked", T0 + 2, T0 + 1, 4],
    );
    assert.deepEqual(
      [second?.message.state, second?.message.reason, second?.message.openedAt, second?.events.length],
      ["undeliverable", "bounced", null, 1],
    );
  });

  // ——— the end of items ————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: an expired item is gone at once, before and after it is ended`, async () => {
    const env = newEnvironmentId();
    const { store, items } = await given(
      env,
      { item: { expiresAt: T0 + 10 } },
      { item: { expiresAt: T0 + 20 }, tenant: "a" },
      {},
      { user: "bob", item: { expiresAt: T0 + 10 } },
    );
    const look = async (now: number) => [
      await store.inbox.count(env, ANN, now),
      await store.inbox.count(env, { ...ANN, tenantId: null, read: false }, now),
      (await allOf(store, env, ANN, now)).length,
    ];
    assert.deepEqual(await look(T0 + 9), [3, 2, 3]);
    assert.deepEqual(await look(T0 + 10), [2, 1, 2]);
    assert.equal(await store.inbox.expire(T0 + 10, 1), 1);
    assert.deepEqual(await look(T0 + 10), [2, 1, 2]);
    assert.equal(await store.inbox.expire(T0 + 10, 10), 1);
    assert.equal(await store.inbox.expire(T0 + 10, 10), 0);
    assert.deepEqual(await look(T0 + 10), [2, 1, 2]);
    assert.deepEqual(await look(T0 + 20), [1, 1, 1]);
    // A late click on it is recorded, but does not bring it back.
    const [late] = await store.inbox.change(env, "ann", [change(items[0] as InboxItem, "read")], T0 + 30, NOTHING);
    assert.equal(late?.changed, true);
    assert.deepEqual(await look(T0 + 10), [2, 1, 2]);
  });

  test(`${name}: whatever is done in whatever order, counts are what one would count by looking`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const dice = diceOf(20260105);
    const pick = <T>(all: readonly T[]): T => all[Math.floor(dice() * all.length)] as T;
    const users = ["ann", "bob"];
    const tenants = [null, "a", "b"];
    const known: string[] = [];
    let now = T0;
    for (let round = 0; round < 25; round++) {
      now += 10;
      const work = Array.from({ length: 8 }, async () => {
        const user = pick(users);
        const filter = randomFilter(user);
        const roll = dice();
        if (roll < 0.35 || known.length === 0) {
          const expiresAt = dice() < 0.3 ? now + Math.floor(dice() * 80) : null;
          const sends = Array.from({ length: 3 }, () =>
            inboxSend(env, user, { message: { tenantId: pick(tenants) }, item: { expiresAt, ...randomState() } }),
          );
          known.push(...sends.map((s) => s.item.id));
          await store.pipeline.accept(sends);
        } else if (roll < 0.8) {
          const changes = Array.from({ length: 4 }, () => ({
            deliveryId: pick(known) as `dlv_${string}`,
            field: pick(["seen", "read", "archived", "interacted", dice() < 0.3 ? "deleted" : "read"] as const),
            value: dice() < 0.6,
            again: pick(["keep", "move"] as const),
          }));
          await store.inbox.change(env, user, changes, now, NOTHING);
        } else if (roll < 0.9) {
          const field = pick(["seen", "read", "archived"] as const);
          await store.inbox.changeAll(env, filter, { field, value: dice() < 0.7, again: "keep" }, now, NOTHING);
        } else {
          await store.inbox.expire(now, 3);
        }
      });
      await Promise.all(work);
      const all = (await Promise.all(
        known.map((id) => store.messages.readDelivery(env, id as `dlv_${string}`)),
      )) as Delivery[];
      for (let i = 0; i < 6; i++) {
        const filter = randomFilter(pick(users));
        const expected = all.filter((item) => matches(item, filter, now));
        assert.equal(await store.inbox.count(env, filter, now), expected.length, JSON.stringify(filter));
        assert.deepEqual(ids(await allOf(store, env, filter, now, 17)), ids(expected).sort().reverse());
      }
    }

    function randomFilter(userId: string): InboxFilter {
      return {
        userId,
        ...(dice() < 0.5 && { tenantId: pick(tenants) }),
        ...(dice() < 0.5 && { archived: dice() < 0.5 }),
        ...(dice() < 0.5 && { read: dice() < 0.5 }),
        ...(dice() < 0.3 && { seen: dice() < 0.5 }),
      };
    }

    function randomState(): Partial<Delivery> {
      return { readAt: dice() < 0.2 ? T0 : null, archivedAt: dice() < 0.2 ? T0 : null };
    }
  });

  test(`${name}: an item that takes the place of a failed delivery is counted`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const request = aRequest(env);
    const message = aMessage(request);
    const due = T0 - 1_000_000;
    const first = aDelivery(message, { dueAt: due });
    await store.pipeline.accept([accepting(request, [{ message, deliveries: [first] }])]);
    const held = (await store.pipeline.claimDeliveries(due, 1000, T0 + 77)).find((d) => d.id === first.id) as Delivery;
    await store.pipeline.settle([
      {
        delivery: held,
        leaseUntil: T0 + 77,
        attempt: null,
        next: {
          state: "failed",
          at: T0,
          error: "",
          failover: [anItem(message)],
          ifLast: { state: "undeliverable", reason: "failed" },
        },
      },
    ]);
    assert.equal(await store.inbox.count(env, { ...ANN, read: false }, T0), 1);
  });
});

/** Numbers that look random and are the same in every run (mulberry32). */
function diceOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
