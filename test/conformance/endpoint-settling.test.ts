import assert from "node:assert/strict";
import { test } from "node:test";
import type { Delivery, EnvironmentId } from "../../src/engine/model.ts";
import type { Settlement, Store } from "../../src/engine/ports.ts";
import type { AppEndpointId, AppMessage } from "../../src/engine/webhooks/model.ts";
import { forEachDatabase } from "./databases.ts";
import { anAttempt, mailSend, newEnvironmentId, T0 } from "./fixtures.ts";
import {
  ALL,
  anAppMessage,
  claimedOf,
  claimFor,
  type Ends,
  manually,
  newAppId,
  newEndpointId,
  publishing,
  shownPair,
  toEndpoint,
  tried,
} from "./webhook-fixtures.ts";

const AT = T0 + 1000;
const HELD = T0 + 60_000;

interface Pair {
  readonly env: EnvironmentId;
  readonly message: AppMessage;
  readonly endpoint: AppEndpointId;
  /** Claimed. */
  readonly delivery: Delivery;
}

forEachDatabase((name, open) => {
  async function aClaimedPair(store: Store, endpoint = newEndpointId(), over: Partial<AppMessage> = {}): Promise<Pair> {
    const env = newEnvironmentId();
    const message = anAppMessage(env, newAppId(), over);
    const delivery = toEndpoint(message, endpoint);
    await store.appMessages.accept([publishing(message, [delivery])]);
    return { env, message, endpoint, delivery: await claimedOf(store, delivery, T0, HELD) };
  }

  /** Asks for a manual try and claims it. */
  async function claimedManual(store: Store, message: AppMessage, endpoint: AppEndpointId): Promise<Delivery> {
    const manual = manually(message, endpoint);
    await store.appMessages.addManual([manual]);
    return await claimedOf(store, manual, T0, HELD);
  }

  async function now(store: Store, { environmentId, id }: Delivery): Promise<Delivery> {
    return (await store.messages.readDelivery(environmentId, id)) as Delivery;
  }

  async function attemptsOf(store: Store, { environmentId, appId, id }: AppMessage) {
    return (await store.appMessages.listAttempts(environmentId, appId, { messageId: id }, ALL)).items;
  }

  function attemptIn({ endpoint }: Settlement) {
    return endpoint?.attempt;
  }

  // ——— the delivery and its attempt ————————————————————————————————————————————————————————————————————————————————

  test(`${name}: a try is recorded with the state that its delivery comes to`, async () => {
    const store = await open();
    for (const [ends, expected] of [
      ["sent", { state: "sent", sentAt: AT, error: null }],
      ["failed", { state: "failed", sentAt: null, error: "answered 500" }],
      ["canceled", { state: "canceled", sentAt: null, error: null }],
      [{ dueAt: AT + 5000 }, { state: "pending", sentAt: null, error: "answered 500", dueAt: AT + 5000 }],
    ] as const) {
      const { message, delivery } = await aClaimedPair(store);
      const settlement = tried(delivery, ends);
      assert.deepEqual(await store.pipeline.settle([settlement]), ["written"]);
      const { state, sentAt, error, attempts, startedAt, leaseUntil, dueAt } = await now(store, delivery);
      const { dueAt: expectedDue = delivery.dueAt, ...rest } = expected as typeof expected & { dueAt?: number };
      assert.deepEqual({ state, sentAt, error }, rest);
      assert.deepEqual(
        { attempts, startedAt, leaseUntil, dueAt },
        {
          attempts: 1,
          startedAt: AT,
          leaseUntil: null,
          dueAt: expectedDue,
        },
      );
      assert.deepEqual(await attemptsOf(store, message), [attemptIn(settlement)]);
    }
  });

  test(`${name}: where nothing was tried there is no attempt, and the pair does not show`, async () => {
    const store = await open();
    const { message, endpoint, delivery } = await aClaimedPair(store);
    const { endpoint: none, ...settlement } = tried(delivery, "canceled");
    assert.ok(none);
    await store.pipeline.settle([{ ...settlement, endpoint: { ...none, attempt: null } }]);
    const { state, attempts, startedAt } = await now(store, delivery);
    assert.deepEqual({ state, attempts, startedAt }, { state: "canceled", attempts: 0, startedAt: null });
    assert.deepEqual(await attemptsOf(store, message), []);
    assert.equal(await shownPair(store, message, endpoint), null);
  });

  test(`${name}: whatever came back is recorded, also what no database can store`, async () => {
    const store = await open();
    const { message, delivery } = await aClaimedPair(store);
    const odd = "a\0b \ud800 ü";
    const settlement = tried(delivery, "failed", {
      attempt: { response: odd, url: odd, sentHeaders: { a: odd }, responseHeaders: [["x", odd]] },
    });
    const next = { ...settlement.next, error: odd } as Settlement["next"];
    assert.deepEqual(await store.pipeline.settle([{ ...settlement, next }]), ["written"]);
    const [attempt] = await attemptsOf(store, message);
    const mended = "a\ufffdb \ufffd ü";
    assert.deepEqual(
      { response: attempt?.response, url: attempt?.url, error: (await now(store, delivery)).error },
      { response: mended, url: mended, error: mended },
    );
    assert.deepEqual(attempt?.sentHeaders, { a: odd });
    assert.deepEqual(attempt?.responseHeaders, [["x", odd]]);
  });

  test(`${name}: nothing of a try is recorded when its lease is lost, not even what is told of it`, async () => {
    const store = await open();
    const { env, message, endpoint, delivery } = await aClaimedPair(store);
    const telling = anAppMessage(env, newAppId());
    const told = [publishing(telling, [toEndpoint(telling, newEndpointId())])];
    const [again] = await claimFor(store, endpoint, HELD, HELD * 2);
    const lost = tried(delivery, "sent", { told, health: { failingSince: 1 }, wipeContent: true });
    assert.deepEqual(await store.pipeline.settle([lost]), ["lost"]);
    assert.deepEqual(await attemptsOf(store, message), []);
    assert.equal(await store.appMessages.read(env, telling.appId, telling.id), null);
    assert.equal(await store.appMessages.failingSince(env, endpoint), null);
    assert.deepEqual(await store.appMessages.read(env, message.appId, message.id), message);
    assert.deepEqual(await store.pipeline.settle([tried(again as Delivery, "sent")]), ["written"]);
    assert.equal((await attemptsOf(store, message)).length, 1);
  });

  test(`${name}: of two settlements of one delivery the first is written, in a batch and at once`, async () => {
    const store = await open();
    const one = await aClaimedPair(store);
    const both = [tried(one.delivery, "sent"), tried(one.delivery, "failed")];
    assert.deepEqual(await store.pipeline.settle(both), ["written", "lost"]);
    const two = await aClaimedPair(store);
    const results = await Promise.all([
      store.pipeline.settle([tried(two.delivery, "sent")]),
      store.pipeline.settle([tried(two.delivery, "failed")]),
    ]);
    assert.deepEqual(results.flat().sort(), ["lost", "written"]);
    assert.equal((await attemptsOf(store, two.message)).length, 1);
  });

  test(`${name}: a batch may hold deliveries to endpoints and others`, async () => {
    const store = await open();
    const { message, delivery } = await aClaimedPair(store);
    const send = mailSend(newEnvironmentId());
    await store.pipeline.accept([send]);
    const claimed = await store.pipeline.claimDeliveries(T0, 1000, HELD);
    const mail = claimed.find(({ id }) => id === send.delivery.id) as Delivery;
    const sent: Settlement = {
      delivery: mail,
      leaseUntil: HELD,
      attempt: anAttempt(mail),
      next: { state: "sent", at: AT, reference: null },
    };
    assert.deepEqual(await store.pipeline.settle([tried(delivery, "failed"), sent]), ["written", "written"]);
    const record = await store.messages.read(mail.environmentId, mail.messageId);
    assert.equal(record?.message.state, "sent");
    assert.equal(record?.attempts.length, 1);
    assert.equal((await attemptsOf(store, message)).length, 1);
    assert.equal((await now(store, delivery)).state, "failed");
  });

  test(`${name}: what a try is told of is there with its deliveries, but for what was told before`, async () => {
    const store = await open();
    const { env, delivery } = await aClaimedPair(store);
    const app = newAppId();
    const telling = (eventId: string | null) => {
      const message = anAppMessage(env, app, { eventId });
      return publishing(message, [toEndpoint(message, newEndpointId())]);
    };
    const told = [telling(null), telling("e"), telling("e")];
    await store.pipeline.settle([tried(delivery, "failed", { told })]);
    const { items } = await store.appMessages.list(env, app, {}, ALL, true);
    assert.deepEqual(items, [told[0]?.message, told[1]?.message]);
    for (const [i, { deliveries }] of told.entries()) {
      const found = await store.messages.readDelivery(env, (deliveries[0] as Delivery).id);
      assert.equal(found !== null, i < 2);
    }
  });

  test(`${name}: settlements of the same deliveries by two processes, in any order, end`, async () => {
    const store = await open();
    const endpoint = newEndpointId();
    const pairs: Pair[] = [];
    for (let i = 0; i < 30; i++) pairs.push(await aClaimedPair(store, endpoint));
    const manual: Delivery[] = [];
    for (const { message } of pairs) manual.push(await claimedManual(store, message, endpoint));
    const batches = Array.from({ length: 6 }, (_, i) => {
      const own = pairs.map(({ delivery }) => tried(delivery, "sent", { health: "well", wipeContent: true }));
      const others = manual.map((delivery) => tried(delivery, "failed", { health: { failingSince: i } }));
      const all = i % 2 === 0 ? [...own, ...others] : [...others.toReversed(), ...own.toReversed()];
      return store.pipeline.settle(all);
    });
    const written = (await Promise.all(batches)).flat().filter((settled) => settled === "written").length;
    assert.equal(written, pairs.length + manual.length);
    for (const { message } of pairs) assert.equal((await attemptsOf(store, message)).length, 2);
  });

  // ——— how the endpoint is doing ———————————————————————————————————————————————————————————————————————————————————

  test(`${name}: an endpoint has been failing since the first note, until it is well`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const endpoint = newEndpointId();
    const settle = async (...healths: (number | "well" | null)[]) => {
      const messages = healths.map(() => anAppMessage(env, newAppId()));
      await store.appMessages.accept(messages.map((m) => publishing(m, [toEndpoint(m, endpoint)])));
      const claimed = await claimFor(store, endpoint, T0, HELD);
      assert.equal(claimed.length, healths.length);
      await store.pipeline.settle(
        healths.map((health, i) =>
          tried(claimed[i] as Delivery, health === "well" ? "sent" : "failed", {
            health: typeof health === "number" ? { failingSince: health } : health,
          }),
        ),
      );
      return await store.appMessages.failingSince(env, endpoint);
    };
    assert.equal(await settle(null), null);
    assert.equal(await settle(5), 5);
    assert.equal(await settle(null), 5);
    assert.equal(await settle(7), 5);
    assert.equal(await settle("well"), null);
    assert.equal(await settle(8, 9), 8);
    assert.equal(await settle(10, "well", 11, 12), 11);
    assert.equal(await settle(13, "well"), null);
    assert.equal(await settle(14), 14);
    assert.equal(await store.appMessages.failingSince(newEnvironmentId(), endpoint), null);
    await store.appMessages.clearFailing(newEnvironmentId(), endpoint);
    assert.equal(await store.appMessages.failingSince(env, endpoint), 14);
    await store.appMessages.clearFailing(env, endpoint);
    assert.equal(await store.appMessages.failingSince(env, endpoint), null);
  });

  // ——— content that is not to be kept ——————————————————————————————————————————————————————————————————————————————

  test(`${name}: content is thrown away with the last delivery that needed it, one after the other or at once`, async () => {
    const store = await open();
    for (const atOnce of [false, true]) {
      const env = newEnvironmentId();
      const message = anAppMessage(env, newAppId(), { raw: "r", parameters: {} });
      const deliveries = Array.from({ length: 5 }, () => toEndpoint(message, newEndpointId()));
      await store.appMessages.accept([publishing(message, deliveries)]);
      const has = async () => (await store.appMessages.read(env, message.appId, message.id))?.payload !== null;
      const settlements: Settlement[] = [];
      for (const delivery of deliveries) {
        settlements.push(tried(await claimedOf(store, delivery, T0, HELD), "sent", { wipeContent: true }));
      }
      if (atOnce) await Promise.all(settlements.map((settlement) => store.pipeline.settle([settlement])));
      else {
        for (const settlement of settlements.slice(1)) await store.pipeline.settle([settlement]);
        assert.equal(await has(), true);
        await store.pipeline.settle(settlements.slice(0, 1));
      }
      const left = await store.appMessages.read(env, message.appId, message.id);
      const empty = { payload: null, raw: null, parameters: null, payloadUntil: T0 };
      assert.deepEqual(left, { ...message, ...empty });
    }
  });

  test(`${name}: content that a failed or manual delivery may still need is kept, and so is that of others`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const message = anAppMessage(env, newAppId());
    const bystander = anAppMessage(env, message.appId);
    const deliveries = [toEndpoint(message, newEndpointId()), toEndpoint(message, newEndpointId())];
    await store.appMessages.accept([publishing(message, deliveries), publishing(bystander)]);
    const [a, b] = deliveries as [Delivery, Delivery];
    await store.pipeline.settle([tried(await claimedOf(store, a, T0, HELD), "failed")]);
    await store.pipeline.settle([tried(await claimedOf(store, b, T0, HELD), "sent", { wipeContent: true })]);
    assert.deepEqual(await store.appMessages.read(env, message.appId, message.id), message);
    // Sent again to where it failed, it has nowhere left to go.
    const endpoint = a.providerId as AppEndpointId;
    const first = await claimedManual(store, message, endpoint);
    const second = await claimedManual(store, message, endpoint);
    await store.pipeline.settle([tried(first, "sent", { wipeContent: true })]);
    assert.deepEqual(await store.appMessages.read(env, message.appId, message.id), message);
    await store.pipeline.settle([tried(second, "sent", { wipeContent: true })]);
    assert.equal((await store.appMessages.read(env, message.appId, message.id))?.payload, null);
    assert.deepEqual(await store.appMessages.read(env, message.appId, bystander.id), bystander);
  });

  // ——— manual tries ————————————————————————————————————————————————————————————————————————————————————————————————

  /** The pair's row before, what the manual try came to, and the row after. */
  const SHOWN: readonly (readonly [string, Ends | null, Ends, Partial<Delivery>])[] = [
    ["never tried, no delivery", null, "sent", { state: "sent", error: null, sentAt: AT }],
    ["never tried, no delivery", null, "failed", { state: "failed", error: "answered 500", sentAt: null }],
    ["never tried, no delivery", null, "canceled", { state: "canceled", error: null, sentAt: null }],
    ["failed", "failed", "sent", { state: "sent", error: null, sentAt: AT }],
    ["failed", "failed", "failed", { state: "failed", error: "answered 500", sentAt: null }],
    ["failed", "failed", "canceled", { state: "failed", error: "answered 500", sentAt: null }],
    ["sent", "sent", "failed", { state: "sent", error: null, sentAt: T0 + 10 }],
    ["sent", "sent", "sent", { state: "sent", error: null, sentAt: T0 + 10 }],
    ["canceled after a try", "canceled", "failed", { state: "canceled", error: "answered 500", sentAt: null }],
    ["due again", { dueAt: AT + 9000 }, "sent", { state: "sent", error: null, sentAt: AT }],
    ["due again", { dueAt: AT + 9000 }, "failed", { state: "pending", dueAt: AT + 9000, error: "answered 500" }],
  ];

  for (const [before, own, manual, expected] of SHOWN) {
    test(`${name}: a pair that is ${before} is ${expected.state} after a manual try that comes to ${manual}`, async () => {
      const store = await open();
      const env = newEnvironmentId();
      const endpoint = newEndpointId();
      const message = anAppMessage(env, newAppId());
      const delivery = toEndpoint(message, endpoint);
      await store.appMessages.accept([publishing(message, own === null ? [] : [delivery])]);
      if (own !== null) {
        const claimed = await claimedOf(store, delivery, T0, HELD);
        await store.pipeline.settle([tried(claimed, own, { at: T0 + 10 })]);
      }
      const again = await claimedManual(store, message, endpoint);
      await store.pipeline.settle([tried(again, manual)]);
      assert.equal((await now(store, again)).state, manual);
      const rows = await store.messages.listDeliveries(env, message.id);
      const pair = rows.find(({ app }) => app?.manual === false) as Delivery;
      const seen = Object.fromEntries(Object.keys(expected).map((key) => [key, pair[key as keyof Delivery]]));
      assert.deepEqual(seen, expected);
      assert.equal(pair.startedAt, own === null ? AT : T0 + 10);
      const late = await claimFor(store, endpoint, AT + 9000, HELD);
      assert.deepEqual(
        late.map(({ id }) => id),
        expected.state === "pending" ? [pair.id] : [],
      );
    });
  }

  test(`${name}: a pair that is being tried at this moment is settled by who tries it`, async () => {
    const store = await open();
    const { message, endpoint, delivery } = await aClaimedPair(store);
    const manual = await claimedManual(store, message, endpoint);
    await store.pipeline.settle([tried(manual, "sent")]);
    const during = await now(store, delivery);
    assert.deepEqual([during.state, during.leaseUntil, during.startedAt], ["pending", HELD, AT]);
    assert.deepEqual(await store.pipeline.settle([tried(delivery, "failed", { at: AT + 1 })]), ["written"]);
    assert.equal((await shownPair(store, message, endpoint))?.status, "failed");
  });

  test(`${name}: a pair whose claimer has gone counts as not being tried`, async () => {
    const store = await open();
    const { message, endpoint, delivery } = await aClaimedPair(store);
    const manual = manually(message, endpoint);
    await store.appMessages.addManual([manual]);
    const claimed = await claimedOf(store, manual, T0, HELD * 2);
    await store.pipeline.settle([tried(claimed, "sent", { at: HELD })]);
    assert.equal((await now(store, delivery)).state, "sent");
    assert.deepEqual(await store.pipeline.settle([tried(delivery, "failed")]), ["lost"]);
  });

  test(`${name}: several manual tries of a pair in one batch come one after the other`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const endpoint = newEndpointId();
    const message = anAppMessage(env, newAppId());
    await store.appMessages.accept([publishing(message)]);
    const tries = Array.from({ length: 3 }, () => manually(message, endpoint));
    await store.appMessages.addManual(tries);
    const claimed = await claimFor(store, endpoint, T0, HELD);
    const ends = ["failed", "sent", "failed"] as const;
    const settlements = claimed.map((delivery, i) => tried(delivery, ends[i] as Ends));
    assert.deepEqual(await store.pipeline.settle(settlements), ["written", "written", "written"]);
    assert.equal((await shownPair(store, message, endpoint))?.status, "sent");
    assert.equal((await attemptsOf(store, message)).length, 3);
  });

  test(`${name}: a manual try that was dropped leaves the pair as it was`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const endpoint = newEndpointId();
    const message = anAppMessage(env, newAppId());
    await store.appMessages.accept([publishing(message)]);
    const manual = await claimedManual(store, message, endpoint);
    const { endpoint: none, ...settlement } = tried(manual, "canceled");
    assert.ok(none);
    await store.pipeline.settle([{ ...settlement, endpoint: { ...none, attempt: null } }]);
    assert.equal(await shownPair(store, message, endpoint), null);
  });
});
