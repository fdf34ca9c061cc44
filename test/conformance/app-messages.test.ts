import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import type { EnvironmentId } from "../../src/engine/model.ts";
import type { Store } from "../../src/engine/ports.ts";
import { Refusal } from "../../src/engine/refusal.ts";
import type { AppId, AppMessage } from "../../src/engine/webhooks/model.ts";
import { type AppAcceptance, ENDPOINTS_GENERATION, type Walk } from "../../src/engine/webhooks/ports.ts";
import { forEachDatabase } from "./databases.ts";
import { newEnvironmentId, T0 } from "./fixtures.ts";
import { ALL, anAppMessage, DAY, newAppId, newEndpointId, publishing, toEndpoint } from "./webhook-fixtures.ts";

const ACCEPTED = { kind: "accepted" };
const STALE = { kind: "stale" };
const DUPLICATE = { kind: "duplicate" };

forEachDatabase((name, open) => {
  /** Writes the endpoints' generation anew. @returns its version. */
  async function changed(store: Store, env: EnvironmentId, appId: AppId): Promise<number> {
    const write = { kind: ENDPOINTS_GENERATION, id: appId, body: {}, expect: "any" } as const;
    return (await store.documents.write(env, [write], T0))?.[0] as number;
  }

  function keyed(item: AppAcceptance, key: string, body = "first"): AppAcceptance {
    return { ...item, idempotency: { scope: "publish", key, expiresAt: T0 + DAY, answer: { status: 202, body } } };
  }

  function replayed(body: string) {
    return { kind: "replayed", answer: { status: 202, body } };
  }

  async function stored(store: Store, { environmentId, appId, id }: AppMessage): Promise<AppMessage | null> {
    return await store.appMessages.read(environmentId, appId, id);
  }

  // ——— taking in ———————————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: a message is read back field by field, its texts byte for byte`, async () => {
    const store = await open();
    const [env, app] = [newEnvironmentId(), newAppId()];
    const odd = `q"uo'te\\ {},NULL ü😀 \\u0000 \n\t`;
    const full = anAppMessage(env, app, {
      eventId: odd,
      eventType: "a.b-c_D",
      channels: ["a", "b:c+d"],
      tags: ["x/y", "\\#"],
      payload: `{ "z":1.0,\t"a":12345678901234567890, "z": "${odd.replaceAll("\\", "\\\\")}" }`,
      raw: odd,
      parameters: { nul: "\0", lone: "\ud800", headers: { "content-type": "text/plain" } },
      deliverAt: T0 + 5,
    });
    const bare = anAppMessage(env, app, { channels: [], tags: [], payload: null, payloadUntil: T0 });
    const deliveries = [toEndpoint(full, newEndpointId()), toEndpoint(full, newEndpointId(), { dueAt: T0 + 5 })];
    assert.deepEqual(await store.appMessages.accept([publishing(full, deliveries), publishing(bare)]), [
      ACCEPTED,
      ACCEPTED,
    ]);
    assert.deepEqual(await stored(store, full), full);
    assert.deepEqual(await store.appMessages.read(env, app, { eventId: odd }), full);
    assert.deepEqual(await stored(store, bare), bare);
    for (const delivery of deliveries) {
      assert.deepEqual(await store.messages.readDelivery(env, delivery.id), delivery);
    }
  });

  test(`${name}: a raw body may hold NUL characters and begin with any other`, async () => {
    const store = await open();
    const [env, app] = [newEnvironmentId(), newAppId()];
    for (const raw of ["\0", "a\0b", "\u0001", '\u0001"x"', "", "plain"]) {
      const message = anAppMessage(env, app, { raw });
      await store.appMessages.accept([publishing(message)]);
      assert.equal((await stored(store, message))?.raw, raw);
    }
  });

  test(`${name}: what cannot be stored as it is, is refused, with everything that came in the same batch`, async () => {
    const store = await open();
    const [env, app] = [newEnvironmentId(), newAppId()];
    for (const over of [
      { raw: "lone \ud800" },
      { payload: '{"a":"\0"}' },
      { payload: '{"a":"\udc00"}' },
      { eventType: "a\0" },
      { eventId: "\0" },
      { eventId: "" },
      { eventId: randomBytes(2000).toString("hex") },
      { channels: ["a,b"] },
      { tags: [""] },
      { tags: ["\ud800"] },
    ]) {
      const good = anAppMessage(env, app);
      const bad = publishing(anAppMessage(env, app, over));
      await assert.rejects(store.appMessages.accept([publishing(good), bad]), Refusal, JSON.stringify(over));
      assert.equal(await stored(store, good), null);
    }
  });

  test(`${name}: an event id is used once in an application, for ever; of a batch the first has it`, async () => {
    const store = await open();
    const [env, app, other, endpoint] = [newEnvironmentId(), newAppId(), newAppId(), newEndpointId()];
    const named = (eventId: string, of = app) => {
      const message = anAppMessage(env, of, { eventId });
      return publishing(message, [toEndpoint(message, endpoint)]);
    };
    const items = [named("1"), named("2"), named("1"), named("1", other), publishing(anAppMessage(env, app))];
    assert.deepEqual(await store.appMessages.accept(items), [ACCEPTED, ACCEPTED, DUPLICATE, ACCEPTED, ACCEPTED]);
    const again = [named("2"), named("3")];
    assert.deepEqual(await store.appMessages.accept(again), [DUPLICATE, ACCEPTED]);

    for (const vain of [items[2], again[0]]) {
      assert.equal(await stored(store, vain?.message as AppMessage), null);
      assert.equal(await store.messages.readDelivery(env, vain?.deliveries[0]?.id as "dlv_"), null);
    }
    assert.equal((await store.appMessages.read(env, app, { eventId: "1" }))?.id, items[0]?.message.id);
    // Also when nothing of it is left but its row.
    await store.appMessages.expunge(env, app, items[0]?.message.id as "msg_");
    assert.deepEqual(await store.appMessages.accept([named("1")]), [DUPLICATE]);
  });

  test(`${name}: of 200 messages with one event id, in batches and at once, one is accepted`, async () => {
    const store = await open();
    const [env, app] = [newEnvironmentId(), newAppId()];
    // In an order of its own in every batch, among others that are shared, too.
    const batches = Array.from({ length: 20 }, (_, b) =>
      Array.from({ length: 10 }, (_, i) => publishing(anAppMessage(env, app, { eventId: `${(i * 7 + b * 3) % 10}` }))),
    );
    const results = (await Promise.all(batches.map((batch) => store.appMessages.accept(batch)))).flat();
    assert.equal(results.filter((r) => r.kind === "accepted").length, 10);
    assert.equal(results.filter((r) => r.kind === "duplicate").length, 190);
    assert.equal((await store.appMessages.list(env, app, {}, ALL, false)).items.length, 10);
  });

  test(`${name}: deliveries made for other endpoints than there are now are not written`, async () => {
    const store = await open();
    const [env, app, gone] = [newEnvironmentId(), newAppId(), newAppId()];
    const old = await changed(store, env, app);
    const generation = await changed(store, env, app);
    const at = (of: AppId, generation: number | null) => publishing(anAppMessage(env, of), [], { generation });
    const items = [at(app, generation), at(app, old), at(gone, 1), at(app, null), at(gone, null)];
    assert.deepEqual(await store.appMessages.accept(items), [ACCEPTED, STALE, STALE, ACCEPTED, ACCEPTED]);
    assert.equal(await stored(store, items[1]?.message as AppMessage), null);
    await store.documents.write(env, [{ kind: ENDPOINTS_GENERATION, id: app, body: null, expect: "any" }], T0);
    assert.deepEqual(await store.appMessages.accept([at(app, generation)]), [STALE]);
  });

  test(`${name}: the generation of another environment says nothing`, async () => {
    const store = await open();
    const [env, other, app] = [newEnvironmentId(), newEnvironmentId(), newAppId()];
    const generation = await changed(store, other, app);
    assert.deepEqual(await store.appMessages.accept([publishing(anAppMessage(env, app), [], { generation })]), [STALE]);
  });

  test(`${name}: a message with a key is accepted once, and who comes later gets the first one's answer`, async () => {
    const store = await open();
    const [env, other, app] = [newEnvironmentId(), newEnvironmentId(), newAppId()];
    const make = (key: string, body: string, over: Partial<AppMessage> = {}) =>
      keyed(publishing(anAppMessage(env, app, over)), key, body);
    assert.deepEqual(await store.appMessages.accept([make("k", "1"), make("k", "2"), make("l", "3")]), [
      ACCEPTED,
      replayed("1"),
      ACCEPTED,
    ]);
    assert.deepEqual(await store.appMessages.accept([make("k", "4")]), [replayed("1")]);
    assert.deepEqual(await store.appMessages.accept([keyed(publishing(anAppMessage(other, app)), "k", "5")]), [
      ACCEPTED,
    ]);
    assert.equal((await store.appMessages.list(env, app, {}, ALL, false)).items.length, 2);
    // Free again after its end.
    assert.deepEqual(await store.appMessages.accept([make("k", "6", { createdAt: T0 + DAY })]), [ACCEPTED]);
    assert.deepEqual(await store.idempotency.begin(env, "publish", "busy", T0, T0 + DAY, DAY), { kind: "begun" });
    assert.deepEqual(await store.appMessages.accept([make("busy", "7")]), [{ kind: "busy" }]);
  });

  test(`${name}: the repetition of a call gets its answer though the event id is used and the endpoints have changed`, async () => {
    const store = await open();
    const [env, app] = [newEnvironmentId(), newAppId()];
    const generation = await changed(store, env, app);
    const call = () => keyed(publishing(anAppMessage(env, app, { eventId: "e" }), [], { generation }), "k", "1");
    assert.deepEqual(await store.appMessages.accept([call()]), [ACCEPTED]);
    await changed(store, env, app);
    assert.deepEqual(await store.appMessages.accept([call()]), [replayed("1")]);
  });

  test(`${name}: a key is not taken by what was not accepted`, async () => {
    const store = await open();
    const [env, app] = [newEnvironmentId(), newAppId()];
    const old = await changed(store, env, app);
    const generation = await changed(store, env, app);
    const call = (key: string, eventId: string | null, generation: number) =>
      keyed(publishing(anAppMessage(env, app, { eventId }), [], { generation }), key, `${key} ${eventId}`);
    await store.appMessages.accept([call("used", "e", generation)]);
    // Whoever came with the same key at the same time would repeat an answer nobody got: they are to come again.
    assert.deepEqual(
      await store.appMessages.accept([
        call("stale", null, old),
        call("stale", null, generation),
        call("duplicate", "e", generation),
        call("duplicate", "f", generation),
      ]),
      [STALE, STALE, DUPLICATE, STALE],
    );
    assert.deepEqual(
      await store.appMessages.accept([call("stale", null, generation), call("duplicate", "f", generation)]),
      [ACCEPTED, ACCEPTED],
    );
  });

  test(`${name}: of 400 calls with one key, in batches and at once, one is accepted and 399 get its answer`, async () => {
    const store = await open();
    const [env, app] = [newEnvironmentId(), newAppId()];
    const items = Array.from({ length: 400 }, (_, i) => keyed(publishing(anAppMessage(env, app)), "k", `${i}`));
    const results = (
      await Promise.all(
        Array.from({ length: 20 }, (_, i) => store.appMessages.accept(items.slice(i * 20, i * 20 + 20))),
      )
    ).flat();
    const winner = results.findIndex((r) => r.kind === "accepted");
    for (const [i, result] of results.entries()) if (i !== winner) assert.deepEqual(result, replayed(`${winner}`));
    assert.equal((await store.appMessages.list(env, app, {}, ALL, false)).items.length, 1);
  });

  test(`${name}: documents and what is told of them are written together or not at all`, async () => {
    const store = await open();
    const [env, app, endpoint] = [newEnvironmentId(), newAppId(), newEndpointId()];
    const telling = (eventId: string | null = null) => {
      const message = anAppMessage(env, app, { eventId });
      return publishing(message, [toEndpoint(message, endpoint)]);
    };
    const write = (expect: number | "absent", told: readonly AppAcceptance[]) =>
      store.documents.write(env, [{ kind: "k", id: "d", body: {}, expect }], T0, { told });
    const [first, second, third] = [telling("e"), telling(), telling("e")];
    assert.deepEqual(await write("absent", [first]), [1]);
    assert.deepEqual(await stored(store, first.message), first.message);
    assert.equal(await write("absent", [second]), null);
    assert.equal(await stored(store, second.message), null);
    // What has been told is not told again, which is no reason not to write.
    assert.deepEqual(await write(1, [third]), [2]);
    assert.equal(await stored(store, third.message), null);
    assert.deepEqual(await store.documents.write(env, [], T0, { told: [second] }), []);
    assert.ok(await store.messages.readDelivery(env, second.deliveries[0]?.id as "dlv_"));
  });

  // ——— reading —————————————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: messages of many applications are read in the order asked for, repeated and missing ones too`, async () => {
    const store = await open();
    const [env, other, app, second] = [newEnvironmentId(), newEnvironmentId(), newAppId(), newAppId()];
    const a = anAppMessage(env, app, { raw: "\0" });
    const b = anAppMessage(other, second);
    await store.appMessages.accept([publishing(a), publishing(b)]);
    const key = ({ environmentId, appId, id }: AppMessage) => ({ environmentId, appId, id });
    const wrong = [
      { ...key(a), environmentId: other },
      { ...key(a), appId: second },
    ];
    assert.deepEqual(await store.appMessages.readMany([key(b), ...wrong, key(a), key(b)]), [b, null, null, a, b]);
    assert.deepEqual(await store.appMessages.readMany([]), []);
  });

  test(`${name}: a list is walked both ways in both orders, without gaps or repetitions`, async () => {
    const store = await open();
    const [env, app] = [newEnvironmentId(), newAppId()];
    const messages = Array.from({ length: 7 }, (_, i) => anAppMessage(env, app, { createdAt: T0 + i }));
    await store.appMessages.accept(messages.map((message) => publishing(message)));
    for (const order of ["ascending", "descending"] as const) {
      const expected = (order === "ascending" ? messages : messages.toReversed()).map(({ id }) => id);
      const read = async (from: Walk["from"]) => {
        const { items, more } = await store.appMessages.list(env, app, {}, { limit: 3, from, order }, false);
        return { ids: items.map(({ id }) => id), more };
      };
      const seen: { ids: string[]; more: boolean }[] = [];
      for (let from: Walk["from"] = null; ; ) {
        const page = await read(from);
        seen.push(page);
        if (!page.more) break;
        from = { key: page.ids.at(-1) as string, back: false };
      }
      assert.deepEqual(
        seen.flatMap(({ ids }) => ids),
        expected,
      );
      assert.deepEqual(
        seen.map(({ ids }) => ids.length),
        [3, 3, 1],
      );
      assert.deepEqual(await read({ key: expected[6] as string, back: true }), {
        ids: expected.slice(3, 6),
        more: true,
      });
      assert.deepEqual(await read({ key: expected[3] as string, back: true }), {
        ids: expected.slice(0, 3),
        more: false,
      });
      assert.deepEqual(await read({ key: expected[0] as string, back: true }), { ids: [], more: false });
      assert.deepEqual(await read({ key: expected[6] as string, back: false }), { ids: [], more: false });
    }
  });

  test(`${name}: filters by type, channel, tag and time narrow a list`, async () => {
    const store = await open();
    const [env, app] = [newEnvironmentId(), newAppId()];
    const make = (i: number, over: Partial<AppMessage>) => anAppMessage(env, app, { createdAt: T0 + i, ...over });
    const messages = [
      make(0, { eventType: "a", channels: ["one", "two"], tags: ["x"] }),
      make(1, { eventType: "A", channels: ["One"], tags: ["y", "x.y"] }),
      make(2, { eventType: "b", channels: null, tags: null }),
      make(3, { eventType: "a", channels: [], tags: ["%"] }),
    ];
    await store.appMessages.accept(messages.map((message) => publishing(message)));
    const found = async (filter: Parameters<Store["appMessages"]["list"]>[2]) =>
      (await store.appMessages.list(env, app, filter, ALL, false)).items.map(({ createdAt }) => createdAt - T0);
    assert.deepEqual(await found({ eventTypes: ["a"] }), [0, 3]);
    assert.deepEqual(await found({ eventTypes: ["A", "b"] }), [1, 2]);
    assert.deepEqual(await found({ eventTypes: [] }), []);
    assert.deepEqual(await found({ channels: ["one"] }), [0]);
    assert.deepEqual(await found({ channels: ["two", "One"] }), [0, 1]);
    for (const none of [[], ["on"], ["one,two"], [""], ["%"]]) assert.deepEqual(await found({ channels: none }), []);
    assert.deepEqual(await found({ tag: "x" }), [0]);
    assert.deepEqual(await found({ tag: "%" }), [3]);
    assert.deepEqual(await found({ from: T0 + 1 }), [1, 2, 3]);
    assert.deepEqual(await found({ to: T0 + 1 }), [0]);
    assert.deepEqual(await found({ from: T0 + 1, to: T0 + 3, channels: ["One"], tag: "y", eventTypes: ["A"] }), [1]);
  });

  test(`${name}: a list without content has none, and is otherwise the same`, async () => {
    const store = await open();
    const [env, app] = [newEnvironmentId(), newAppId()];
    const message = anAppMessage(env, app, { raw: "r", parameters: { a: 1 }, eventId: "e" });
    await store.appMessages.accept([publishing(message)]);
    assert.deepEqual((await store.appMessages.list(env, app, {}, ALL, true)).items, [message]);
    const bare = { ...message, payload: null, raw: null, parameters: null };
    assert.deepEqual((await store.appMessages.list(env, app, {}, ALL, false)).items, [bare]);
  });

  test(`${name}: an application's messages are its own, and its environment's`, async () => {
    const store = await open();
    const [env, other, app, second] = [newEnvironmentId(), newEnvironmentId(), newAppId(), newAppId()];
    const message = anAppMessage(env, app, { eventId: "e" });
    await store.appMessages.accept([publishing(message)]);
    for (const [e, a] of [
      [other, app],
      [env, second],
    ] as const) {
      assert.equal(await store.appMessages.read(e, a, message.id), null);
      assert.equal(await store.appMessages.read(e, a, { eventId: "e" }), null);
      assert.deepEqual(await store.appMessages.list(e, a, {}, ALL, true), { items: [], more: false });
      assert.equal(await store.appMessages.expunge(e, a, message.id), false);
      assert.deepEqual(await store.appMessages.expungeMany(e, a, [message.id]), new Set());
    }
    assert.deepEqual(await stored(store, message), message);
  });

  // ——— throwing content away ———————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: expunged messages have no content and are otherwise there`, async () => {
    const store = await open();
    const [env, app] = [newEnvironmentId(), newAppId()];
    const messages = Array.from({ length: 3 }, () => anAppMessage(env, app, { raw: "r", parameters: {} }));
    const [a, b, c] = messages as [AppMessage, AppMessage, AppMessage];
    await store.appMessages.accept(messages.map((message) => publishing(message)));
    assert.equal(await store.appMessages.expunge(env, app, a.id), true);
    assert.equal(await store.appMessages.expunge(env, app, a.id), true);
    assert.equal(await store.appMessages.expunge(env, app, "msg_none"), false);
    assert.deepEqual(await store.appMessages.expungeMany(env, app, [a.id, b.id, "msg_none"]), new Set([a.id, b.id]));
    assert.deepEqual(await store.appMessages.expungeMany(env, app, []), new Set());
    for (const gone of [a, b]) {
      const empty = { payload: null, raw: null, parameters: null, payloadUntil: T0 };
      assert.deepEqual(await stored(store, gone), { ...gone, ...empty });
    }
    assert.deepEqual(await stored(store, c), c);
  });

  test(`${name}: content goes when its time is over, the oldest first, in batches`, async () => {
    const store = await open();
    const [env, app] = [newEnvironmentId(), newAppId()];
    const messages = [3, 1, 2, 4].map((i) => anAppMessage(env, app, { payloadUntil: i }));
    await store.appMessages.accept(messages.map((message) => publishing(message)));
    const left = async () =>
      (await store.appMessages.list(env, app, {}, ALL, true)).items
        .filter(({ payload }) => payload !== null)
        .map(({ payloadUntil }) => payloadUntil);
    assert.equal(await store.appMessages.expireContent(0, 10), 0);
    assert.equal(await store.appMessages.expireContent(3, 2), 2);
    assert.deepEqual((await left()).sort(), [3, 4]);
    assert.equal(await store.appMessages.expireContent(3, 10), 1);
    assert.equal(await store.appMessages.expireContent(3, 10), 0);
    assert.deepEqual(await left(), [4]);
  });
});
