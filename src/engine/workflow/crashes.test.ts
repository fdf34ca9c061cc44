/** What becomes of runs when a process dies or loses its leases: nothing is lost, nothing is done twice. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { forEachDatabase } from "../../../test/conformance/databases.ts";
import { allIdle } from "../../../test/support/all-idle.ts";
import { inApp, startWorkflowEngine, type WorkflowEngine } from "../../../test/support/workflow-engine.ts";
import { FakeClock } from "../../lib/clock.ts";
import { newId } from "../../lib/ids.ts";
import type { Store } from "../ports.ts";
import { Refusal } from "../refusal.ts";
import { TENANT, type TenantBody } from "../templates.ts";
import { BLANK_TENANT, tenantMerge } from "../tenants.ts";
import { type ScheduleId, type Step, USERS } from "./model.ts";
import type { RunStore, ScheduleStore } from "./ports.ts";
import type { ScheduleDraft } from "./workflows.ts";

const LEASE_MS = 60_000;
const delay: Step = { type: "delay", ref: "wait", settings: { delay_for: { unit: "minutes", value: 10 } } };

/** What is due behind it is due at once, in a leg of its own. */
const fetching: Step = { type: "http_fetch", ref: "fetch", settings: { method: "get", url: "https://a.test/" } };

function withRuns(over: (runs: RunStore) => Partial<RunStore>): (store: Store) => Store {
  return (store) => ({ ...store, runs: { ...store.runs, ...over(store.runs) } });
}

function withSchedules(over: (schedules: ScheduleStore) => Partial<ScheduleStore>): (store: Store) => Store {
  return (store) => ({ ...store, schedules: { ...store.schedules, ...over(store.schedules) } });
}

/** A schedule but for its times. */
function drafted(workflow: string): Omit<ScheduleDraft, "repeats" | "scheduledAt"> {
  const recipient = { collection: USERS, id: "ann" };
  return { workflow, recipient, actor: null, tenantId: null, data: null, endingAt: null };
}

async function itemsOf(world: WorkflowEngine, userId = "ann"): Promise<number> {
  return (await world.inbox(userId)).length;
}

async function bodiesOf(world: WorkflowEngine): Promise<(string | undefined)[]> {
  return (await world.inbox("ann")).map(({ content }) => content.body);
}

forEachDatabase((dialect, open) => {
  const clock = new FakeClock();
  const newWorld = async (wrap?: (store: Store) => Store): Promise<WorkflowEngine> =>
    startWorkflowEngine({ store: await open(), clock, env: newId("env", clock.now()), fresh: true }, wrap);

  test(`${dialect}: a leg under way for a user who is merged into another is walked anew for that one`, async () => {
    const reading = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    let reads = 0;
    const world = await newWorld(
      withRuns((runs) => ({
        batch: async (...args) => {
          const contents = await runs.batch(...args);
          if (++reads === 1) {
            reading.resolve();
            await goOn.promise;
          }
          return contents;
        },
        claim: async (...args) => {
          const claimed = await runs.claim(...args);
          if (reads > 0 && claimed.length > 0) setImmediate(goOn.resolve);
          return claimed;
        },
      })),
    );
    try {
      for (const id of ["ann", "new"]) await world.identify(id);
      const batch: Step = { type: "batch", ref: "batch", settings: { batch_window: { unit: "seconds", value: 5 } } };
      await world.put("likes", [batch, inApp("feed", "{{ recipient.id }}")]);
      await world.trigger("likes");
      await world.pass();
      world.clock.advance(5_000);
      await reading.promise;
      world.clock.advance(1);
      await world.engine.workflows.parties.mergeUsers(world.env, "new", "ann", world.clock.now());
      await world.pass();
      assert.equal(await itemsOf(world, "ann"), 0);
      const items = await world.inbox("new");
      assert.deepEqual(
        items.map(({ content }) => content.body),
        ["new"],
      );
    } finally {
      goOn.resolve();
      await world.close();
    }
  });

  test(`${dialect}: a leg that was not committed is walked again when its lease has lapsed`, async () => {
    let crashes = 1;
    const world = await newWorld(
      withRuns((runs) => ({
        commit: (...args) =>
          crashes-- > 0 ? Promise.reject(new Refusal("unavailable", "gone")) : runs.commit(...args),
      })),
    );
    try {
      await world.identify("ann");
      await world.put("later", [delay, inApp("feed")]);
      await world.trigger("later");
      await world.pass(600_000);
      assert.equal(await itemsOf(world), 0);
      await world.pass(LEASE_MS);
      assert.equal(await itemsOf(world), 1);
      await world.pass(LEASE_MS);
      assert.equal(await itemsOf(world), 1);
    } finally {
      await world.close();
    }
  });

  test(`${dialect}: a leg that was committed is not walked again, though its process died before it heard of it`, async () => {
    let crashes = 1;
    const world = await newWorld(
      withRuns((runs) => ({
        commit: async (...args) => {
          const written = await runs.commit(...args);
          if (crashes-- > 0) throw new Refusal("unavailable", "gone");
          return written;
        },
      })),
    );
    try {
      await world.identify("ann");
      await world.put("later", [delay, inApp("one"), delay, inApp("two")]);
      await world.trigger("later");
      await world.pass(600_000);
      await world.pass(600_000);
      await world.pass(LEASE_MS);
      assert.equal(await itemsOf(world), 2);
    } finally {
      await world.close();
    }
  });

  test(`${dialect}: a step that changes a tenant does so once, though its process dies before the commit`, async () => {
    let crashes = 1;
    const world = await newWorld(
      withRuns((runs) => ({
        commit: (...args) =>
          args[0].some(({ run }) => run.state.place.join() === "1") && crashes-- > 0
            ? Promise.reject(new Refusal("unavailable", "gone"))
            : runs.commit(...args),
      })),
    );
    try {
      await world.identify("ann");
      const change = (count: string): Step => {
        return { type: "update_tenant", ref: "count", settings: { update_properties: { count } } };
      };
      await world.put("count", [delay, change("{{ tenant.count }}x"), inApp("feed", "{{ tenant.count }}")]);
      await world.trigger("count", { tenantId: "acme", tenants: [tenantMerge("acme", { count: "0" })] });
      await world.pass(600_000);
      await world.pass(LEASE_MS);
      assert.deepEqual(await bodiesOf(world), ["0x"]);
    } finally {
      await world.close();
    }
  });

  test(`${dialect}: a trigger that is not accepted leaves the tenant that it was given alone`, async () => {
    let refuses = true;
    const world = await newWorld((store) => ({
      ...store,
      pipeline: {
        ...store.pipeline,
        accept: (batch) =>
          refuses ? Promise.reject(new Refusal("unavailable", "gone")) : store.pipeline.accept(batch),
      },
    }));
    try {
      await world.identify("ann");
      await world.put("hello", [inApp("feed", "{{ tenant.name }}, {{ tenant.city }}")]);
      const trigger = (name: string) =>
        world.trigger("hello", { tenantId: "acme", tenants: [tenantMerge("acme", { name, city: "Ulm" })] });
      await assert.rejects(trigger("Acme"), { code: "unavailable" });
      assert.equal(await world.engine.documents.read(world.env, TENANT, "acme"), null);
      refuses = false;
      await trigger("Acme");
      // Others come at once, in either order, and each sees what it said.
      await Promise.all([trigger("Acme Inc"), trigger("ACME")]);
      await world.trigger("hello", { tenantId: "acme" });
      const seen = (await bodiesOf(world)).toReversed();
      assert.deepEqual([seen[0], ...seen.slice(1, 3).sort()], ["Acme, Ulm", "ACME, Ulm", "Acme Inc, Ulm"]);
      assert.ok(seen.slice(1, 3).includes(seen[3] as string), "one of them lasts, as a whole");
      const named = { id: "acme", change: (old: TenantBody | null) => (old === null ? BLANK_TENANT : null) };
      const version = async () => (await world.engine.documents.read(world.env, TENANT, "acme"))?.version;
      const before = await version();
      await world.trigger("hello", { tenantId: "acme", tenants: [named] });
      assert.equal(await version(), before, "a tenant that is only named is not written");
    } finally {
      await world.close();
    }
  });

  test(`${dialect}: a run that is claimed again before its process hears that the leg is written goes on`, async () => {
    const claimedAgain = Promise.withResolvers<void>();
    let isWritten = false;
    const world = await newWorld(
      withRuns((runs) => ({
        commit: async (legs, ...rest) => {
          const results = await runs.commit(legs, ...rest);
          if (isWritten) return results;
          isWritten = true;
          void world.engine.dispatcher.idle();
          await claimedAgain.promise;
          return results;
        },
        claim: async (...args) => {
          const claimed = await runs.claim(...args);
          // What comes of it is heard only after this: the claim is answered first.
          if (isWritten && claimed.length > 0) setImmediate(claimedAgain.resolve);
          return claimed;
        },
      })),
    );
    try {
      await world.identify("ann");
      await world.put("later", [delay, fetching, inApp("feed")]);
      await world.trigger("later");
      await world.pass(600_000);
      assert.equal(await itemsOf(world), 1, "no lease had to lapse");
    } finally {
      await world.close();
    }
  });

  test(`${dialect}: a leg whose lease lapsed while it was under way is not written by whoever lost it`, async () => {
    const under = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    let calls = 0;
    let isHungUp = false;
    const world = await newWorld(
      withRuns((runs) => ({
        renew: () => Promise.resolve(),
        claim: (...args) => (isHungUp ? Promise.resolve([]) : runs.claim(...args)),
        commit: async (...args) => {
          if (++calls === 1) {
            under.resolve();
            await goOn.promise;
          }
          return await runs.commit(...args);
        },
      })),
    );
    try {
      await world.identify("ann");
      await world.put("later", [delay, inApp("feed")]);
      await world.trigger("later");
      await world.engine.dispatcher.idle();
      world.clock.advance(600_000);
      await under.promise;
      isHungUp = true;
      world.clock.advance(LEASE_MS + 1);
      const third = await startWorkflowEngine(world);
      await third.engine.dispatcher.idle();
      await third.close();
      assert.equal(await itemsOf(world), 1);
      goOn.resolve();
      await world.pass();
      assert.equal(await itemsOf(world), 1);
    } finally {
      goOn.resolve();
      await world.close();
    }
  });

  test(`${dialect}: two processes that share a database walk each run once`, async () => {
    const world = await newWorld();
    const other = await startWorkflowEngine(world);
    try {
      const ids = Array.from({ length: 300 }, (_, i) => `user-${i}`);
      for (const id of ids) await world.identify(id);
      await world.put("many", [delay, inApp("one"), delay, inApp("two")]);
      await world.trigger("many", { to: ids });
      for (let i = 0; i < 2; i++) {
        await allIdle([world, other]);
        world.clock.advance(600_000);
        await allIdle([world, other]);
      }
      for (const id of ids) assert.equal(await itemsOf(world, id), 2, id);
    } finally {
      await other.close();
      await world.close();
    }
  });

  test(`${dialect}: a throttle is not fooled by a process that stood still after asking`, async () => {
    const goOn = Promise.withResolvers<void>();
    const stands = Promise.withResolvers<void>();
    let stood = false;
    const world = await newWorld(
      withRuns((runs) => ({
        renew: () => Promise.resolve(),
        commit: async (legs, ...rest) => {
          if (legs.some(({ gate }) => gate !== null) && !stood) {
            stood = true;
            stands.resolve();
            await goOn.promise;
          }
          return await runs.commit(legs, ...rest);
        },
      })),
    );
    try {
      await world.identify("ann");
      const seconds = { unit: "seconds", value: 10 } as const;
      await world.put("rare", [
        { type: "throttle", ref: "throttle", settings: { throttle_window: seconds } },
        inApp("feed"),
      ]);
      await world.trigger("rare");
      await stands.promise;
      world.clock.advance(LEASE_MS / 2);
      goOn.resolve();
      await world.pass();
      await world.trigger("rare");
      await world.pass(1);
      assert.equal(await itemsOf(world), 1);
    } finally {
      goOn.resolve();
      await world.close();
    }
  });

  test(`${dialect}: a batch whose leg cannot be stored for a moment is tried again later, with all that it holds`, async () => {
    let isBroken = true;
    const world = await newWorld(
      withRuns((runs) => ({
        commit: (...args) =>
          isBroken && args[0].some(({ deliveries }) => deliveries.length > 0)
            ? Promise.reject(new Error("cannot be stored"))
            : runs.commit(...args),
      })),
    );
    try {
      await world.identify("ann");
      const batch: Step = { type: "batch", ref: "batch", settings: { batch_window: { unit: "seconds", value: 5 } } };
      await world.put("likes", [batch, inApp("feed", "{{ total_activities }}")]);
      for (let i = 0; i < 2; i++) {
        await world.trigger("likes");
        await world.pass();
      }
      await world.pass(5_000);
      assert.equal(await itemsOf(world), 0);
      isBroken = false;
      await world.pass(10_000);
      assert.deepEqual(await bodiesOf(world), ["2"]);
    } finally {
      await world.close();
    }
  });

  test(`${dialect}: of two processes that begin the only run of a recipient at once, one does`, async () => {
    let asked = 0;
    const bothAsked = Promise.withResolvers<void>();
    const asking = withRuns((runs) => ({
      hasRun: async (...args) => {
        const had = await runs.hasRun(...args);
        if (++asked === 2) bothAsked.resolve();
        await bothAsked.promise;
        return had;
      },
    }));
    const world = await newWorld(asking);
    const other = await startWorkflowEngine(world, asking);
    try {
      await world.identify("ann");
      await world.put("welcome", [inApp("feed")], { trigger_frequency: "once_per_recipient" });
      world.clock.advance(2_000);
      await Promise.all([world.trigger("welcome"), other.trigger("welcome")]);
      await allIdle([world, other]);
      assert.equal(await itemsOf(world), 1);
      await other.trigger("welcome");
      await allIdle([world, other]);
      assert.equal(await itemsOf(world), 1);
    } finally {
      await other.close();
      await world.close();
    }
  });

  test(`${dialect}: a batch that loses an activity while its carrier goes on is read again`, async () => {
    let canceled = false;
    const world: WorkflowEngine = await newWorld(
      withRuns((runs) => ({
        batch: async (...args) => {
          const contents = await runs.batch(...args);
          if (contents !== null && !canceled) {
            canceled = true;
            await world.engine.workflows.cancel(world.env, "likes", "second", null);
          }
          return contents;
        },
      })),
    );
    try {
      await world.identify("ann");
      const batch: Step = { type: "batch", ref: "batch", settings: { batch_window: { unit: "seconds", value: 5 } } };
      await world.put("likes", [batch, inApp("feed", "{{ total_activities }}: {{ data.n }}")]);
      for (const [i, cancellationKey] of ["first", "second", "third"].entries()) {
        await world.trigger("likes", { cancellationKey, data: { n: i } });
        await world.pass();
      }
      await world.pass(5_000);
      assert.deepEqual(
        (await world.inbox("ann")).map(({ content }) => content.body),
        ["2: 2"],
      );
    } finally {
      await world.close();
    }
  });

  test(`${dialect}: a batch whose activities were all taken out sends nothing`, async () => {
    const world = await newWorld();
    try {
      await world.identify("ann");
      const batch: Step = { type: "batch", ref: "batch", settings: { batch_window: { unit: "seconds", value: 5 } } };
      await world.put("likes", [batch, inApp("feed")]);
      for (const cancellationKey of ["first", "second"]) {
        await world.trigger("likes", { cancellationKey });
        await world.pass();
      }
      for (const key of ["first", "second"]) await world.engine.workflows.cancel(world.env, "likes", key, null);
      await world.pass(5_000);
      assert.equal(await itemsOf(world), 0);
      assert.equal((await world.store.runs.claim(world.clock.now() + 1e9, 10, 1)).length, 0);
    } finally {
      await world.close();
    }
  });

  test(`${dialect}: a schedule that fires while it is being changed does not fire again`, async () => {
    let fires = false;
    const world: WorkflowEngine = await newWorld(
      withSchedules((schedules) => ({
        read: async (...args) => {
          const found = await schedules.read(...args);
          if (!fires) {
            fires = true;
            await world.pass(1_000);
          }
          return found;
        },
      })),
    );
    try {
      await world.identify("ann");
      await world.put("once", [inApp("feed")]);
      const at = world.clock.now() + 1_000;
      const { workflows } = world.engine;
      const [schedule] = await workflows.schedule(world.env, [{ ...drafted("once"), repeats: [], scheduledAt: at }]);
      const id = schedule?.id as ScheduleId;
      const [changed] = await workflows.reschedule(world.env, [id, "sch_none"], { data: { n: 2 } });
      assert.deepEqual([changed?.nextAt, changed?.lastAt, changed?.data], [null, at, { n: 2 }]);
      await world.pass(1_000);
      assert.equal(await itemsOf(world), 1);
    } finally {
      await world.close();
    }
  });

  test(`${dialect}: a schedule that is changed when it is due, or has just fired, fires once for that time`, async () => {
    let isHungUp = true;
    const world = await newWorld(
      withSchedules((schedules) => ({
        claim: (...args) => (isHungUp ? Promise.resolve([]) : schedules.claim(...args)),
      })),
    );
    try {
      await world.identify("ann");
      await world.put("daily", [inApp("feed")]);
      const { workflows } = world.engine;
      const rule = { frequency: "daily" as const, interval: 1, days: null, dayOfMonth: null, hours: 9, minutes: 0 };
      const [schedule] = await workflows.schedule(world.env, [
        { ...drafted("daily"), repeats: [rule], scheduledAt: null },
      ]);
      const due = schedule?.nextAt as number;
      const ids = [schedule?.id as ScheduleId];
      world.clock.advance(due + 5 - world.clock.now());
      const [late] = await workflows.reschedule(world.env, ids, { data: { n: 2 }, repeats: [rule] });
      assert.equal(late?.nextAt, due);
      isHungUp = false;
      await world.pass();
      assert.equal(await itemsOf(world), 1);
      // Its clock is set back to when it fired.
      world.clock.advance(-5);
      const [again] = await workflows.reschedule(world.env, ids, { data: { n: 3 } });
      assert.equal(again?.nextAt, due + 24 * 3_600_000);
    } finally {
      await world.close();
    }
  });

  test(`${dialect}: a leg that cannot be stored harms no other, and ends its run after three tries`, async () => {
    const world = await newWorld(
      withRuns((runs) => ({
        commit: (legs, ...rest) =>
          legs.some(({ deliveries }) => deliveries.some(({ userId }) => userId === "bad"))
            ? Promise.reject(new Error("cannot be stored"))
            : runs.commit(legs, ...rest),
      })),
    );
    try {
      const ids = ["good-1", "bad", "good-2"];
      for (const id of ids) await world.identify(id);
      await world.put("later", [delay, inApp("feed")]);
      await world.trigger("later", { to: ids });
      await world.pass(600_000);
      assert.deepEqual(await Promise.all(ids.map((id) => itemsOf(world, id))), [1, 0, 1]);
      await world.pass(10_000);
      await world.pass(10_000);
      const { items } = await world.store.runs.list(world.env, { hasErrors: true }, world.clock.now(), { limit: 10 });
      assert.deepEqual(
        items.map(({ userId, run }) => [userId, run?.status]),
        [["bad", "completed"]],
      );
    } finally {
      await world.close();
    }
  });
});
