import assert from "node:assert/strict";
import { test } from "node:test";
import type { Delivery, EnvironmentId } from "../../src/engine/model.ts";
import type { Store } from "../../src/engine/ports.ts";
import type { AppMessage, Task } from "../../src/engine/webhooks/model.ts";
import type { TaskEffects } from "../../src/engine/webhooks/ports.ts";
import { forEachDatabase } from "./databases.ts";
import { newEnvironmentId, T0 } from "./fixtures.ts";
import {
  ALL,
  anAppMessage,
  aTask,
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

const LATER = T0 + 10_000_000;
const HELD = LATER + 1000;
const LEASE = { held: HELD, next: HELD + 1000 };

forEachDatabase((name, open) => {
  async function claimed(store: Store, now: number, leaseUntil: number, of: readonly Task[]): Promise<Task[]> {
    const ids = new Set(of.map(({ id }) => id));
    return (await store.tasks.claim(now, 1000, leaseUntil)).filter(({ id }) => ids.has(id));
  }

  async function aClaimedTask(store: Store, env: EnvironmentId = newEnvironmentId()): Promise<Task> {
    const task = aTask(env);
    await store.tasks.create(task);
    assert.deepEqual(await claimed(store, LATER, HELD, [task]), [task]);
    return task;
  }

  /** Commits a page of a new task. */
  async function commit(store: Store, env: EnvironmentId, effects: TaskEffects): Promise<readonly boolean[]> {
    const task = await aClaimedTask(store, env);
    let written: readonly boolean[] = [];
    const after = await store.tasks.commitPage(task, LEASE, effects, (flags) => {
      written = flags;
      return { ...task, state: "finished" };
    });
    assert.ok(after);
    return written;
  }

  // ——— tasks ———————————————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: a task is read back as it was, in its own environment only`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const task = aTask(env, { spec: { odd: "\0 \ud800 ü", list: [1, null] }, cursor: "msg_1", data: { a: { b: [] } } });
    await store.tasks.create(task);
    assert.deepEqual(await store.tasks.read(env, task.id), task);
    assert.equal(await store.tasks.read(newEnvironmentId(), task.id), null);
    assert.equal(await store.tasks.read(env, aTask(env).id), null);
    // One that is over before it began is kept as well.
    const over = aTask(env, { state: "failed" });
    await store.tasks.create(over);
    assert.deepEqual(await store.tasks.read(env, over.id), over);
    assert.deepEqual(await claimed(store, LATER, HELD, [over]), []);
  });

  test(`${name}: tasks are listed by id, both ways, by state and by kind`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const tasks = [
      aTask(env, { createdAt: T0 }),
      aTask(env, { createdAt: T0 + 1, kind: "expunge" }),
      aTask(env, { createdAt: T0 + 2, state: "finished" }),
      aTask(env, { createdAt: T0 + 3, state: "finished", kind: "expunge" }),
    ];
    for (const task of tasks) await store.tasks.create(task);
    await store.tasks.create(aTask(newEnvironmentId()));
    const list = async (...[filter, walk]: [Parameters<Store["tasks"]["list"]>[1], Partial<typeof ALL>?]) => {
      const { items, more } = await store.tasks.list(env, filter, { ...ALL, ...walk });
      return [...items.map(({ createdAt }) => createdAt - T0), more];
    };
    assert.deepEqual(await list({}), [0, 1, 2, 3, false]);
    assert.deepEqual(await list({}, { order: "descending", limit: 3 }), [3, 2, 1, true]);
    const from = { key: (tasks[2] as Task).id, back: false };
    assert.deepEqual(await list({}, { order: "descending", limit: 1, from }), [1, true]);
    assert.deepEqual(await list({}, { order: "descending", limit: 1, from: { ...from, back: true } }), [3, false]);
    assert.deepEqual(await list({ state: "finished" }), [2, 3, false]);
    assert.deepEqual(await list({ kind: "expunge" }), [1, 3, false]);
    assert.deepEqual(await list({ state: "running", kind: "expunge" }), [1, false]);
    assert.deepEqual((await store.tasks.list(env, {}, { ...ALL, limit: 1 })).items, [tasks[0]]);
  });

  test(`${name}: a running task is claimed by one only, the oldest first, and again when its lease has lapsed`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const tasks = [2, 1, 3].map((i) => aTask(env, { createdAt: T0 + i }));
    for (const task of tasks) await store.tasks.create(task);
    const rounds = await Promise.all([1, 2, 3].map((i) => claimed(store, LATER, HELD + i, tasks)));
    assert.deepEqual(
      rounds
        .flat()
        .map(({ id }) => id)
        .sort(),
      tasks.map(({ id }) => id).sort(),
    );
    const again = await claimed(store, HELD + 3, LATER * 2, tasks);
    assert.deepEqual(
      again.map(({ createdAt }) => createdAt - T0),
      [1, 2, 3],
    );
  });

  test(`${name}: the next wake-up takes tasks into account`, async () => {
    const store = await open();
    const task = aTask(newEnvironmentId(), { createdAt: 5 });
    await store.tasks.create(task);
    assert.equal(await store.pipeline.nextDueAt(), 5);
    await claimed(store, LATER, HELD, [task]);
    assert.notEqual(await store.pipeline.nextDueAt(), 5);
  });

  test(`${name}: a released task is claimed again at once, but by who held it only`, async () => {
    const store = await open();
    const task = await aClaimedTask(store);
    await store.tasks.release(task.id, HELD - 1);
    assert.deepEqual(await claimed(store, LATER, HELD, [task]), []);
    await store.tasks.release(task.id, HELD);
    assert.deepEqual(await claimed(store, T0, HELD, [task]), [task]);
  });

  test(`${name}: a task goes page by page, each under its lease, to its end`, async () => {
    const store = await open();
    const task = await aClaimedTask(store);
    const first = { ...task, cursor: "1", data: { messagesSent: 1 }, updatedAt: T0 + 1 };
    assert.deepEqual(await store.tasks.commitPage(task, LEASE, {}, () => first), first);
    assert.deepEqual(await store.tasks.read(task.environmentId, task.id), first);
    // Under the old lease, in another environment, and of a task that does not exist.
    const must = () => assert.fail("nothing is written, so nothing has to be asked for");
    assert.equal(await store.tasks.commitPage(task, LEASE, {}, must), null);
    const next = { held: HELD + 1000, next: HELD + 2000 };
    const elsewhere = { id: task.id, environmentId: newEnvironmentId() };
    assert.equal(await store.tasks.commitPage(elsewhere, next, {}, must), null);
    assert.equal(await store.tasks.commitPage(aTask(task.environmentId), next, {}, must), null);

    const last = { ...first, state: "finished" as const, cursor: null, data: { messagesSent: 2 }, updatedAt: T0 + 2 };
    assert.deepEqual(await store.tasks.commitPage(task, next, {}, () => last), last);
    assert.deepEqual(await store.tasks.read(task.environmentId, task.id), last);
    assert.deepEqual(await claimed(store, LATER * 3, LATER * 4, [task]), []);
    assert.equal(await store.tasks.commitPage(task, { held: HELD + 2000, next: LATER * 2 }, {}, must), null);
    await store.tasks.release(task.id, HELD + 2000);
    assert.deepEqual(await claimed(store, LATER * 3, LATER * 4, [task]), []);
  });

  test(`${name}: of two that commit a page at once one does, and the effects of the other are not there`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const task = await aClaimedTask(store, env);
    const app = newAppId();
    const results = await Promise.all(
      [1, 2, 3].map((i) =>
        store.tasks.commitPage(task, LEASE, { messages: [publishing(anAppMessage(env, app))] }, () => ({
          ...task,
          cursor: `${i}`,
        })),
      ),
    );
    assert.equal(results.filter((result) => result !== null).length, 1);
    assert.equal((await store.appMessages.list(env, app, {}, ALL, false)).items.length, 1);
  });

  // ——— what a page does ————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: a page's messages are written unless they are there by event id`, async () => {
    const store = await open();
    const [env, app] = [newEnvironmentId(), newAppId()];
    const make = (eventId: string | null, generation: number | null = null) => {
      const message = anAppMessage(env, app, { eventId });
      return publishing(message, [toEndpoint(message, newEndpointId())], { generation });
    };
    await store.appMessages.accept([make("there")]);
    const messages = [make("there"), make("new"), make("new"), make(null, 7)];
    assert.deepEqual(await commit(store, env, { messages }), [false, true, false, true]);
    for (const [i, { deliveries }] of messages.entries()) {
      const found = await store.messages.readDelivery(env, (deliveries[0] as Delivery).id);
      assert.equal(found !== null, i === 1 || i === 3);
    }
  });

  test(`${name}: a page expunges messages of its environment`, async () => {
    const store = await open();
    const [env, app] = [newEnvironmentId(), newAppId()];
    const messages = [anAppMessage(env, app), anAppMessage(env, app)] as [AppMessage, AppMessage];
    await store.appMessages.accept(messages.map((message) => publishing(message)));
    const expunge = { appId: app, ids: messages.slice(0, 1).map(({ id }) => id) };
    await commit(store, newEnvironmentId(), { expunge });
    assert.deepEqual(await store.appMessages.read(env, app, messages[0].id), messages[0]);
    await commit(store, env, { expunge });
    assert.equal((await store.appMessages.read(env, app, messages[0].id))?.payload, null);
    assert.deepEqual(await store.appMessages.read(env, app, messages[1].id), messages[1]);
  });

  /** What stands for the pair before: nothing, a delivery that came to something, or a manual try as well. */
  const BEFORE: { readonly [before: string]: readonly ("own" | Ends | "manual" | { readonly manual: Ends })[] } = {
    nothing: [],
    pending: ["own"],
    "tried and due again": ["own", { dueAt: T0 + 9000 }],
    failed: ["own", "failed"],
    sent: ["own", "sent"],
    "canceled after a try": ["own", "canceled"],
    "asked for by hand": ["manual"],
    "tried by hand": ["manual", { manual: "failed" }],
  };
  /** How many deliveries of the pair are pending afterwards, with the attempts of its own row; null: as before. */
  const AFTER: { readonly [before: string]: { missing: number; again: number } } = {
    nothing: { missing: 1, again: 1 },
    pending: { missing: 1, again: 1 },
    "tried and due again": { missing: 1, again: 1 },
    failed: { missing: 0, again: 1 },
    sent: { missing: 0, again: 1 },
    "canceled after a try": { missing: 0, again: 1 },
    "asked for by hand": { missing: 1, again: 2 },
    "tried by hand": { missing: 0, again: 1 },
  };

  for (const [before, steps] of Object.entries(BEFORE)) {
    for (const effect of ["missing", "again"] as const) {
      test(`${name}: a page's ${effect} where message and endpoint are: ${before}`, async () => {
        const store = await open();
        const [env, endpoint] = [newEnvironmentId(), newEndpointId()];
        const message = anAppMessage(env, newAppId());
        const own = toEndpoint(message, endpoint);
        await store.appMessages.accept([publishing(message, steps[0] === "own" ? [own] : [])]);
        const manual = manually(message, endpoint);
        for (const step of steps) {
          if (step === "own") continue;
          if (step === "manual") await store.appMessages.addManual([manual]);
          else if (typeof step === "object" && "manual" in step) {
            await store.pipeline.settle([tried(await claimedOf(store, manual, T0, HELD), step.manual)]);
          } else await store.pipeline.settle([tried(await claimedOf(store, own, T0, HELD), step)]);
        }
        const old = (await store.messages.listDeliveries(env, message.id)).find(({ app }) => app?.manual === false);

        const dueAt = T0 + 5000;
        const fresh = toEndpoint(message, endpoint, { dueAt });
        await commit(store, env, { [effect]: [fresh, { ...fresh, id: toEndpoint(message, endpoint).id }] });
        const rows = await store.messages.listDeliveries(env, message.id);
        const pending = rows.filter(({ state }) => state === "pending");
        assert.equal(pending.length, AFTER[before]?.[effect]);
        const pairs = rows.filter(({ app }) => app?.manual === false);
        assert.equal(pairs.length, 1);
        const [pair] = pairs as [Delivery];
        const begunAnew = pair.state === "pending" && old?.state !== "pending";
        if (!begunAnew) return assert.deepEqual(pair, old);
        assert.deepEqual(
          { ...pair, id: fresh.id, startedAt: null, createdAt: fresh.createdAt },
          { ...fresh, startedAt: null },
        );
        assert.equal(pair.startedAt, old?.startedAt ?? null);
        assert.deepEqual(
          (await claimFor(store, endpoint, dueAt, HELD)).some(({ id }) => id === pair.id),
          true,
        );
      });
    }
  }

  test(`${name}: a delivery that begins anew is tried by its whole schedule and shows meanwhile`, async () => {
    const store = await open();
    const [env, endpoint] = [newEnvironmentId(), newEndpointId()];
    const message = anAppMessage(env, newAppId());
    const own = toEndpoint(message, endpoint);
    await store.appMessages.accept([publishing(message, [own])]);
    await store.pipeline.settle([tried(await claimedOf(store, own, T0, HELD), "sent")]);
    await commit(store, env, { again: [toEndpoint(message, endpoint, { dueAt: T0 + 5000 })] });
    assert.deepEqual(await shownPair(store, message, endpoint), {
      messageId: message.id,
      endpointId: endpoint,
      status: "trying",
      nextAt: T0 + 5000,
    });
    const claim = await claimedOf(store, own, T0 + 5000, HELD);
    assert.equal(claim.attempts, 0);
    await store.pipeline.settle([tried(claim, { dueAt: T0 + 9000 }, { at: T0 + 5001 })]);
    const retried = await claimedOf(store, own, T0 + 9000, HELD);
    assert.equal(retried.attempts, 1);
    await store.pipeline.settle([tried(retried, "sent", { at: T0 + 9001 })]);
    assert.equal((await store.messages.readDelivery(env, own.id))?.sentAt, T0 + 9001);
  });

  test(`${name}: manual tries of a page are made once each, whatever came of the pair`, async () => {
    const store = await open();
    const [env, endpoint] = [newEnvironmentId(), newEndpointId()];
    const message = anAppMessage(env, newAppId());
    await store.appMessages.accept([publishing(message)]);
    const manual = [manually(message, endpoint), manually(message, endpoint)];
    await commit(store, env, { manual });
    const claim = await claimFor(store, endpoint, T0, HELD);
    assert.deepEqual(claim.map(({ id }) => id).sort(), manual.map(({ id }) => id).sort());
  });

  test(`${name}: pages of two tasks about the same pairs, in any order, end`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const endpoints = Array.from({ length: 5 }, newEndpointId);
    const messages = Array.from({ length: 10 }, () => anAppMessage(env, newAppId()));
    await store.appMessages.accept(messages.map((message) => publishing(message)));
    const pairs = () => messages.flatMap((message) => endpoints.map((endpoint) => toEndpoint(message, endpoint)));
    await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        const deliveries = i % 2 === 0 ? pairs() : pairs().toReversed();
        const manual = messages.flatMap((message) => endpoints.map((endpoint) => manually(message, endpoint)));
        const effects = [{ missing: deliveries }, { again: deliveries }, { manual }, { manual: manual.toReversed() }];
        const task = aTask(env);
        await store.tasks.create(task);
        const [lease] = [{ held: HELD + i, next: HELD * 2 }];
        // Several may be claimed by the one who comes first.
        await store.tasks.claim(LATER, 1000, lease.held);
        for (let held = HELD; held < HELD + 8; held++) {
          const page = effects[i % 4] as TaskEffects;
          if ((await store.tasks.commitPage(task, { ...lease, held }, page, () => task)) !== null) return;
        }
        assert.fail("nobody held the task");
      }),
    );
    for (const message of messages) {
      const rows = await store.messages.listDeliveries(env, message.id);
      assert.equal(rows.filter(({ app }) => app?.manual === false).length, endpoints.length);
      assert.equal(rows.filter(({ app }) => app?.manual === true).length, endpoints.length * 4);
    }
  });
});
