import assert from "node:assert/strict";
import { test } from "node:test";
import type { Delivery, DeliveryId, EnvironmentId, Message, StepOrigin } from "../../src/engine/model.ts";
import type { DeliveryFilter, Page, Progress, Store } from "../../src/engine/ports.ts";
import { newId } from "../../src/lib/ids.ts";
import { forEachDatabase } from "./databases.ts";
import { accepting, aDelivery, aMessage, anItem, aRequest, newEnvironmentId, progressOf, T0 } from "./fixtures.ts";

const FEED = "5a88728a-3ecb-400d-ba6f-9c0956ab252f";
const MAIL = "6b99839b-4fdc-411e-cb70-ad1067bc3630";

function originOf(channelId: string, over: Partial<StepOrigin> = {}): StepOrigin {
  return {
    ref: "step_1",
    channelId,
    versionId: newId("wfv", T0),
    categories: [],
    actors: [],
    totalActors: 0,
    activities: null,
    totalActivities: 1,
    ...over,
  };
}

interface Made {
  readonly env: EnvironmentId;
  readonly store: Store;
  /** Commits a message of a workflow with one delivery. */
  add(over?: {
    readonly message?: Partial<Message>;
    readonly delivery?: Partial<Delivery>;
    readonly kind?: "mail" | "item";
  }): Promise<Delivery>;
  ids(filter?: DeliveryFilter): Promise<readonly DeliveryId[]>;
}

function made(store: Store): Made {
  const env = newEnvironmentId();
  return {
    env,
    store,
    add: async ({ message: ofMessage = {}, delivery: ofDelivery = {}, kind = "mail" } = {}) => {
      const request = aRequest(env);
      const message = aMessage(request, { event: "welcome", ...ofMessage });
      const delivery =
        kind === "item"
          ? anItem(message, { origin: originOf(FEED), ...ofDelivery })
          : aDelivery(message, { origin: originOf(MAIL), ...ofDelivery });
      await store.pipeline.accept([accepting(request, [{ message, deliveries: [delivery] }])]);
      return delivery;
    },
    ids: async (filter = {}) =>
      (await store.messages.deliveriesPage(env, filter, { limit: 50 })).items.map((d) => d.id),
  };
}

forEachDatabase((name, open) => {
  test(`${name}: deliveries of workflows are listed newest first, of every channel; others are not`, async () => {
    const { env, store, add, ids } = made(await open());
    const mail = await add();
    const item = await add({ kind: "item" });
    const plain = aRequest(env);
    const message = aMessage(plain);
    await store.pipeline.accept([accepting(plain, [{ message, deliveries: [anItem(message)] }])]);
    const gone = await add({ kind: "item" });
    await store.inbox.change(
      env,
      null,
      [{ deliveryId: gone.id, field: "deleted", value: true, again: "keep" }],
      T0 + 1,
      () => [],
    );
    assert.deepEqual(await ids(), [item.id, mail.id]);
    const another = await store.messages.deliveriesPage(newEnvironmentId(), {}, { limit: 50 });
    assert.deepEqual(another, { items: [], next: null });
    const [listed] = (await store.messages.deliveriesPage(env, { ids: [mail.id] }, { limit: 1 })).items;
    assert.deepEqual(listed?.origin, mail.origin);
  });

  test(`${name}: pages meet in both directions while more arrive`, async () => {
    const { env, store, add } = made(await open());
    const all: DeliveryId[] = [];
    for (let i = 0; i < 7; i++) all.unshift((await add()).id);
    const first = await store.messages.deliveriesPage(env, {}, { limit: 3 });
    assert.deepEqual(
      first.items.map((d) => d.id),
      all.slice(0, 3),
    );
    const newer = [(await add()).id, (await add()).id, (await add()).id].reverse();
    const second = await store.messages.deliveriesPage(env, {}, { limit: 3, after: first.next });
    const third = await store.messages.deliveriesPage(env, {}, { limit: 3, after: second.next });
    assert.deepEqual(
      [...second.items, ...third.items].map((d) => d.id),
      all.slice(3),
    );
    assert.equal(third.next, null);
    // The two next to the key, and a key to go on from.
    const back = await store.messages.deliveriesPage(env, {}, { limit: 2, before: all[0] as string });
    assert.deepEqual(
      back.items.map((d) => d.id),
      newer.slice(1),
    );
    const rest = await store.messages.deliveriesPage(env, {}, { limit: 2, before: back.next });
    assert.deepEqual(rest, { items: [rest.items[0]], next: null });
    assert.equal(rest.items[0]?.id, newer[0]);
  });

  test(`${name}: what a user got is one list, wherever it lies`, async () => {
    const { env, store, add } = made(await open());
    const all: DeliveryId[] = [];
    const items: DeliveryId[] = [];
    for (let i = 0; i < 24; i++) {
      const kind = i % 3 === 0 ? "mail" : "item";
      const expiring = i === 20 ? { delivery: { expiresAt: T0 + 10 } } : {};
      const { id } = await add({ kind, message: { tenantId: i % 4 === 0 ? "acme" : null }, ...expiring });
      all.unshift(id);
      if (kind === "item" && i !== 20) items.push(id);
      await add({ kind, message: { userId: "bob", recipient: "bob" } });
    }
    const plain = aRequest(env);
    const message = aMessage(plain);
    await store.pipeline.accept([accepting(plain, [{ message, deliveries: [anItem(message)] }])]);
    const change = (deliveryId: DeliveryId, field: "seen" | "read" | "archived" | "deleted") =>
      store.inbox.change(env, null, [{ deliveryId, field, value: true, again: "keep" }], T0 + 1, () => []);
    const [a, b, c, gone] = items as [DeliveryId, DeliveryId, DeliveryId, DeliveryId];
    await change(a, "seen");
    await change(b, "read");
    await change(c, "archived");
    await change(gone, "deleted");
    // It leaves the inbox; it was sent all the same.
    assert.equal(await store.inbox.expire(T0 + 11, 10), 1);
    all.splice(all.indexOf(gone), 1);
    const ofAnn: DeliveryFilter = { recipient: { collection: "$users", id: "ann" } };
    for (const limit of [1, 5, 50]) {
      const walked: string[] = [];
      for (let after: string | null = null, more = true; more; more = after !== null) {
        const page: Page<Delivery> = await store.messages.deliveriesPage(env, ofAnn, { limit, after });
        walked.push(...page.items.map(({ id }) => id));
        after = page.next;
      }
      assert.deepEqual(walked, all);
      const newer = await store.messages.deliveriesPage(env, ofAnn, { limit, before: all[9] as string });
      assert.deepEqual(
        newer.items.map(({ id }) => id),
        all.slice(Math.max(0, 9 - limit), 9),
      );
    }
    const acme = await store.messages.deliveriesPage(env, { ...ofAnn, tenantId: "acme" }, { limit: 50 });
    assert.ok(acme.items.length > 0 && acme.items.every(({ tenantId }) => tenantId === "acme"));
  });

  test(`${name}: every filter narrows, and they narrow together`, async () => {
    const { env, store, add, ids } = made(await open());
    const mail = await add({
      message: { tags: ["collab", "x"] },
      delivery: { data: { page: "A\u0000", n: 1 }, tags: [] },
    });
    const item = await add({ kind: "item", message: { tenantId: "acme", userId: "bob", event: "other" } });
    const toObject = await add({ message: { userId: null, recipient: "projects/p1" } });
    const is = async (filter: DeliveryFilter, ...expected: readonly Delivery[]): Promise<void> =>
      assert.deepEqual(await ids(filter), expected.map((d) => d.id).reverse(), JSON.stringify(filter));

    await is({ recipient: { collection: "$users", id: "ann" } }, mail);
    await is({ recipient: { collection: "$users", id: "bob" } }, item);
    await is({ recipient: { collection: "projects", id: "p1" } }, toObject);
    await is({ ids: [mail.id, toObject.id, newId("dlv", T0)] }, mail, toObject);
    await is({ messageId: item.messageId }, item);
    await is({ requestId: item.requestId }, item);
    await is({ tenantId: "acme" }, item);
    await is({ channelId: FEED }, item);
    await is({ channelId: MAIL }, mail, toObject);
    await is({ events: ["welcome", "x"] }, mail, toObject);
    await is({ events: [] });
    await is({ tenantIds: ["acme", null] }, mail, item, toObject);
    await is({ tenantIds: ["zeta"] });
    await is({ tenantId: null }, mail, toObject);
    await is({ hasTenant: true }, item);
    await is({ tags: ["x", "collab"] }, mail);
    await is({ tags: [] });
    await is({ data: { n: 1 } }, mail);
    await is({ data: { n: "1" } });
    await is({ from: T0 }, mail, item, toObject);
    await is({ until: T0 });
    await is({ marks: [{ field: "read", value: true }] });
    await store.inbox.change(
      env,
      null,
      [{ deliveryId: mail.id, field: "read", value: true, again: "keep" }],
      T0,
      () => [],
    );
    await is({ marks: [{ field: "read", value: true }] }, mail);
    await is({
      marks: [
        { field: "read", value: true },
        { field: "seen", value: true },
      ],
    });
    await is({ marks: [{ field: "read", value: false }], tenantId: "acme" }, item);
  });

  test(`${name}: stages follow the state, the tries and what was heard; of what was heard the last time is told`, async () => {
    const { env, store, add, ids } = made(await open());
    const waiting = await add();
    const tried = await add({ delivery: { attempts: 2 } });
    const sent = await add({ delivery: { state: "sent", sentAt: T0 } });
    const receipt = await add({ delivery: { state: "sent", sentAt: T0 } });
    const hook = await add({ delivery: { state: "sent", channel: "webhook" } });
    const item = await add({ kind: "item" });
    const failed = await add({ delivery: { state: "failed" } });
    const bounced = await add({ delivery: { state: "sent" } });
    const withheld = await add({ delivery: { state: "simulated" } });
    const clicked = (at: number, data: Progress["event"]["data"]): Progress => {
      const { event, state } = progressOf(sent, "clicked", "clicked", at);
      return { event: { ...event, data }, state };
    };
    await store.inbox.progress(env, [
      progressOf(receipt, "delivered", "delivered", T0 + 1),
      progressOf(bounced, "delivered", "delivered", T0 + 1),
      progressOf(bounced, "bounced", "undeliverable", T0 + 2),
      clicked(T0 + 3, { href: "https://a.example/" }),
      clicked(T0 + 9, { href: "https://b.example/" }),
      clicked(T0 + 20, null),
    ]);
    const stages = {
      waiting: [waiting],
      tried: [tried],
      sent: [sent],
      delivered: [item, hook, receipt],
      failed: [failed],
      bounced: [bounced],
      withheld: [withheld],
    } as const;
    for (const [stage, expected] of Object.entries(stages)) {
      const found = await ids({ stages: [stage as keyof typeof stages] });
      assert.deepEqual(
        found,
        expected.map((d) => d.id),
        stage,
      );
    }
    assert.deepEqual(await ids({ stages: ["sent", "waiting"] }), [sent.id, waiting.id]);
    assert.deepEqual(await ids({ stages: [] }), []);
    assert.deepEqual(await ids({ linkClicked: true }), [sent.id]);

    const signals = await store.messages.signals(
      env,
      [sent, bounced, waiting].map((d) => d.messageId),
    );
    assert.deepEqual(
      signals.toSorted((a, b) => a.at - b.at),
      [
        { deliveryId: bounced.id, kind: "delivered", at: T0 + 1 },
        { deliveryId: bounced.id, kind: "bounced", at: T0 + 2 },
        { deliveryId: sent.id, kind: "link-clicked", at: T0 + 9 },
      ],
    );
    assert.deepEqual(await store.messages.signals(newEnvironmentId(), [sent.messageId]), []);
  });

  test(`${name}: an inbox is narrowed to channels, and counted and changed so`, async () => {
    const { env, store, add } = made(await open());
    const ours = await add({ kind: "item", delivery: { origin: originOf(FEED, { ref: "\u0000\ud83d\ude00" }) } });
    const others = await add({ kind: "item", delivery: { origin: originOf(MAIL) } });
    const request = aRequest(env);
    const message = aMessage(request);
    const plain = anItem(message);
    await store.pipeline.accept([accepting(request, [{ message, deliveries: [plain] }])]);
    const listed = async (channelIds: readonly (string | null)[]): Promise<readonly string[]> => {
      const filter = { userId: "ann", channelIds };
      const { items } = await store.inbox.list(env, filter, T0, { limit: 10 });
      const piles = await store.inbox.piles(env, filter, T0);
      assert.equal(
        piles.reduce((sum, { count }) => sum + count, 0),
        items.length,
      );
      assert.equal(await store.inbox.count(env, filter, T0), items.length);
      return items.map((d) => d.id);
    };
    assert.deepEqual(await listed([FEED]), [ours.id]);
    assert.deepEqual(await listed([FEED, null]), [plain.id, ours.id]);
    assert.deepEqual(await listed([FEED, MAIL]), [others.id, ours.id]);
    assert.deepEqual(await listed([null]), [plain.id]);
    assert.deepEqual(await listed([]), []);
    const filter = { userId: "ann", channelIds: [FEED, null] };
    const changed = await store.inbox.changeAll(
      env,
      filter,
      { field: "read", value: true, again: "keep" },
      T0 + 1,
      () => [],
    );
    assert.deepEqual(changed, [plain.messageId, ours.messageId]);
    assert.equal(await store.inbox.count(env, { userId: "ann", read: false }, T0), 1);
  });
});
