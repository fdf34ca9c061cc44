import assert from "node:assert/strict";
import { test } from "node:test";
import type { Delivery } from "../../src/engine/model.ts";
import type { Store } from "../../src/engine/ports.ts";
import type { AppEndpointId } from "../../src/engine/webhooks/model.ts";
import { type Database, type Row, run, type TextStatement } from "../../src/storage/database.ts";
import { endpointQueueStore } from "../../src/storage/endpoint-queue.ts";
import { text } from "../../src/storage/text.ts";
import { forEachDatabase } from "./databases.ts";
import { newEnvironmentId, T0 } from "./fixtures.ts";
import {
  ALL,
  anAppMessage,
  claimFor,
  manually,
  newAppId,
  newEndpointId,
  publishing,
  shownPair,
  toEndpoint,
  tried,
} from "./webhook-fixtures.ts";

/** Far later than anything another test of the suite leaves waiting. */
const LATER = T0 + 10_000_000;
const HELD = LATER + 1000;

forEachDatabase((name, open, openRaw) => {
  /** Deliveries of one endpoint, one for each due time, born parked. */
  async function waiting(
    store: Store,
    endpoint: AppEndpointId,
    dueTimes: readonly number[],
    parkedUntil = T0 + 100_000,
  ): Promise<Delivery[]> {
    const [env, app] = [newEnvironmentId(), newAppId()];
    const items = dueTimes.map((dueAt) => {
      const message = anAppMessage(env, app);
      return publishing(message, [{ ...toEndpoint(message, endpoint, { dueAt }), parkedUntil }]);
    });
    await store.appMessages.accept(items);
    return items.flatMap(({ deliveries }) => deliveries.map(({ parkedUntil: _, ...kept }) => kept));
  }

  function dueTimes(deliveries: readonly Delivery[]): number[] {
    return deliveries.map(({ dueAt }) => dueAt - T0);
  }

  /** What anyone may claim of these at a time; leaves them claimed. */
  async function claimable(store: Store, of: readonly Delivery[], now: number): Promise<number[]> {
    const ids = new Set(of.map(({ id }) => id));
    const claimed = await store.pipeline.claimDeliveries(now, 1000, LATER * 1000);
    return dueTimes(claimed.filter(({ id }) => ids.has(id)));
  }

  test(`${name}: claims of one endpoint what is due, the longest due first, and nothing of others`, async () => {
    const store = await open();
    const [endpoint, other] = [newEndpointId(), newEndpointId()];
    const [three] = await waiting(
      store,
      endpoint,
      [3, 1, 2, 5].map((i) => T0 + i),
    );
    await waiting(store, other, [T0]);
    const claimed = await store.appMessages.claimOf(endpoint, T0 + 4, 2, HELD);
    assert.deepEqual(dueTimes(claimed), [1, 2]);
    assert.ok(claimed.every(({ leaseUntil }) => leaseUntil === HELD));
    assert.deepEqual(await store.appMessages.claimOf(endpoint, T0 + 4, 10, HELD), [
      { ...three, leaseUntil: HELD } as Delivery,
    ]);
    assert.deepEqual(await store.appMessages.claimOf(endpoint, T0 + 4, 10, HELD), []);
    assert.deepEqual(dueTimes(await store.appMessages.claimOf(endpoint, HELD, 10, HELD + 1)), [5]);
  });

  test(`${name}: what is parked is offered to others only when the time is over`, async () => {
    const store = await open();
    const endpoint = newEndpointId();
    const all = await waiting(store, endpoint, [T0 + 1, T0 + 2, T0 + 3], T0 + 1000);
    assert.deepEqual(await claimable(store, all, T0 + 999), []);
    assert.deepEqual(dueTimes(await store.appMessages.claimOf(endpoint, T0 + 10, 1, HELD)), [1]);
    assert.deepEqual(await claimable(store, all, T0 + 1000), [2, 3]);
  });

  test(`${name}: endpoints with something parked are found one after the other, by one of their deliveries`, async () => {
    const store = await open();
    const endpoints = [newEndpointId(), newEndpointId(), newEndpointId()].sort();
    const [first, unparked, last] = endpoints as [AppEndpointId, AppEndpointId, AppEndpointId];
    for (const endpoint of [first, last]) await waiting(store, endpoint, [T0 + 1, T0 + 2], T0 + 9000);
    await waiting(store, unparked, [T0 + 1], 0);
    const found: string[] = [];
    for (let after: AppEndpointId | null = null; ; ) {
      const next = await store.appMessages.nextParked(after);
      if (next === null) break;
      after = next.providerId as AppEndpointId;
      assert.ok(next.app !== undefined && next.state === "pending");
      found.push(after);
    }
    // Others of the suite may lie there, too.
    assert.deepEqual(
      found.filter((id) => endpoints.includes(id as AppEndpointId)),
      [first, last],
    );
    await store.appMessages.claimOf(last, T0 + 10, 10, HELD);
    assert.equal((await store.appMessages.nextParked(first))?.providerId === last, false);
  });

  test(`${name}: what is not parked is for all, and not for its endpoint alone`, async () => {
    const store = await open();
    const endpoint = newEndpointId();
    const all = await waiting(store, endpoint, [T0 + 1], 0);
    assert.deepEqual(await store.appMessages.claimOf(endpoint, T0 + 10, 1, HELD), []);
    assert.deepEqual(await claimable(store, all, T0 + 10), [1]);
  });

  test(`${name}: a parked delivery is read as pending and still due when it was, without until when it is parked`, async () => {
    const store = await open();
    const endpoint = newEndpointId();
    const [delivery] = (await waiting(store, endpoint, [T0 + 1])) as [Delivery];
    const { environmentId: env, messageId, id } = delivery;
    assert.ok(!("parkedUntil" in delivery) && delivery.state === "pending");
    assert.deepEqual(await store.messages.readDelivery(env, id), delivery);
    assert.deepEqual(await store.messages.listDeliveries(env, messageId), [delivery]);
    const held = { ...delivery, leaseUntil: HELD };
    assert.deepEqual(await store.appMessages.claimOf(endpoint, T0 + 1, 1, HELD), [held]);
    assert.deepEqual(await store.messages.readDelivery(env, id), held);
    await store.appMessages.parkClaimed([delivery], HELD, T0 + 1000);
    assert.deepEqual(await store.messages.readDelivery(env, id), delivery);
  });

  test(`${name}: a claim of one endpoint is a range of the index of what is parked, in its order`, async () => {
    const told = JSON.stringify(await planOfClaim(await openRaw()));
    const range =
      name === "sqlite"
        ? /SEARCH deliveries USING INDEX deliveries_parked \(provider_id=\? AND due_at<\?\)/
        : /Index Scan using deliveries_parked on deliveries.*Index Cond: \(\(provider_id = .*\) AND \(due_at <= /;
    assert.match(told, range);
    assert.doesNotMatch(told, /\bSort\b|temp b-tree|SCAN deliveries|Seq Scan/i);
  });

  test(`${name}: claimed deliveries are parked by who holds them only`, async () => {
    const store = await open();
    const endpoint = newEndpointId();
    const all = await waiting(
      store,
      endpoint,
      [1, 2, 7000].map((i) => T0 + i),
      T0 + 8000,
    );
    const claimed = await store.appMessages.claimOf(endpoint, T0 + 10, 10, HELD);
    await store.appMessages.parkClaimed(claimed, HELD - 1, T0 + 1000);
    assert.deepEqual(await store.appMessages.claimOf(endpoint, T0 + 10, 10, HELD), []);
    await store.appMessages.parkClaimed([...claimed, all[2] as Delivery], HELD, T0 + 1000);
    await store.appMessages.parkClaimed([], HELD, T0 + 1000);
    assert.deepEqual(await claimable(store, all, T0 + 999), []);
    assert.deepEqual(dueTimes(await store.appMessages.claimOf(endpoint, T0 + 10, 1, HELD)), [1]);
    assert.deepEqual(await claimable(store, all, T0 + 1000), [2]);
  });

  test(`${name}: two that claim an endpoint and one that claims everything never get the same`, async () => {
    const store = await open();
    const endpoint = newEndpointId();
    const all = await waiting(
      store,
      endpoint,
      Array.from({ length: 200 }, (_, i) => T0 + i),
      T0 + 300,
    );
    const ids = new Set(all.map(({ id }) => id));
    const rounds = await Promise.all(
      Array.from({ length: 30 }, (_, i) => {
        if (i % 2 === 1) return store.pipeline.claimDeliveries(T0 + 400, 10, HELD + i);
        return store.appMessages.claimOf(endpoint, T0 + 400, 10, HELD + i);
      }),
    );
    const claimed = rounds.flat().filter(({ id }) => ids.has(id));
    assert.ok(claimed.length >= 100, `${claimed.length} were claimed`);
    assert.equal(new Set(claimed.map(({ id }) => id)).size, claimed.length);
  });

  test(`${name}: leases of deliveries to endpoints are renewed and released as others are`, async () => {
    const store = await open();
    const endpoint = newEndpointId();
    const all = await waiting(store, endpoint, [T0 + 1]);
    const ids = all.map(({ id }) => id);
    await store.appMessages.claimOf(endpoint, T0 + 1, 1, HELD);
    await store.pipeline.renewLeases(ids, HELD, HELD + 1);
    assert.deepEqual(await store.appMessages.claimOf(endpoint, HELD, 1, LATER * 2), []);
    await store.pipeline.releaseLeases(ids, HELD + 1);
    // Due at once, and no longer parked.
    assert.deepEqual(await claimable(store, all, T0 + 1), [1]);
  });

  test(`${name}: a pair may be manually tried any number of times, and shows once it was`, async () => {
    const store = await open();
    const [env, app, endpoint] = [newEnvironmentId(), newAppId(), newEndpointId()];
    const message = anAppMessage(env, app);
    await store.appMessages.accept([publishing(message)]);
    const tries = [manually(message, endpoint), manually(message, endpoint)];
    await store.appMessages.addManual(tries);
    await store.appMessages.addManual([]);
    assert.equal(await shownPair(store, message, endpoint), null);
    const rows = await store.messages.listDeliveries(env, message.id);
    assert.deepEqual(rows.map(({ state, app }) => [app?.manual, state]).sort(), [
      [false, "canceled"],
      [true, "pending"],
      [true, "pending"],
    ]);
    const claimed = await claimFor(store, endpoint, T0, HELD);
    assert.deepEqual(claimed.map(({ id }) => id).sort(), tries.map(({ id }) => id).sort());
    await store.pipeline.settle([tried(claimed[0] as Delivery, "failed")]);
    assert.deepEqual(await shownPair(store, message, endpoint), {
      messageId: message.id,
      endpointId: endpoint,
      status: "failed",
      nextAt: null,
    });
  });

  test(`${name}: manual tries leave the pair's own row alone`, async () => {
    const store = await open();
    const [env, app, endpoint] = [newEnvironmentId(), newAppId(), newEndpointId()];
    const message = anAppMessage(env, app);
    const own = toEndpoint(message, endpoint, { dueAt: T0 + 50 });
    await store.appMessages.accept([publishing(message, [own])]);
    await store.appMessages.addManual([manually(message, endpoint)]);
    assert.deepEqual(await store.messages.readDelivery(env, own.id), own);
    assert.equal((await store.messages.listDeliveries(env, message.id)).length, 2);
  });

  test(`${name}: manual tries of the same pairs asked for at once do not get into each other's way`, async () => {
    const store = await open();
    const [env, app] = [newEnvironmentId(), newAppId()];
    const messages = Array.from({ length: 10 }, () => anAppMessage(env, app));
    const endpoints = Array.from({ length: 3 }, newEndpointId);
    await store.appMessages.accept(messages.map((message) => publishing(message)));
    await Promise.all(
      Array.from({ length: 10 }, (_, i) => {
        const pairs = messages.flatMap((message) => endpoints.map((endpoint) => manually(message, endpoint)));
        return store.appMessages.addManual(i % 2 === 0 ? pairs : pairs.toReversed());
      }),
    );
    for (const message of messages) {
      const rows = await store.messages.listDeliveries(env, message.id);
      assert.equal(rows.filter(({ app }) => app?.manual === false).length, 3);
      assert.equal(rows.filter(({ app }) => app?.manual === true).length, 30);
    }
    assert.equal((await store.appMessages.list(env, app, {}, ALL, false)).items.length, 10);
  });
});

/** How the database would carry `claimOf` out, which is not done. */
async function planOfClaim(db: Database): Promise<readonly Row[]> {
  const { dialect } = db;
  let plan: readonly Row[] = [];
  const lease: Database["lease"] = (operation) =>
    db.write(function* () {
      if (dialect === "postgres") {
        // Small tables are always scanned; what matters is that the index serves conditions and order.
        yield* run(text(dialect, "select set_config('enable_seqscan', 'off', true)", []));
        yield* run(text(dialect, "select set_config('enable_bitmapscan', 'off', true)", []));
      }
      const running = operation();
      const { sql, params } = running.next().value as TextStatement;
      const explain = dialect === "sqlite" ? "explain query plan" : "explain";
      plan = (yield* run({ kind: "text", sql: `${explain} ${sql}`, params })).rows;
      const ended = running.next({ rows: [], changes: 0 });
      assert.ok(ended.done, "one statement is the whole claim");
      return ended.value;
    });
  const explaining: Partial<Database> = { dialect, lease };
  await endpointQueueStore(explaining as Database).claimOf(newEndpointId(), T0, 100, HELD);
  return plan;
}
