import assert from "node:assert/strict";
import { test } from "node:test";
import type { EnvironmentId, Request } from "../../src/engine/model.ts";
import type { Store } from "../../src/engine/ports.ts";
import type { BatchId, PartyRef, Run, RunRecord } from "../../src/engine/workflow/model.ts";
import { forEachDatabase } from "./databases.ts";
import { aDelivery, aRequest, newEnvironmentId, T0 } from "./fixtures.ts";
import {
  ANN,
  aBatching,
  aLeg,
  anActivity,
  aTrigger,
  claimedRuns,
  claimRuns,
  commitLeg,
  messageOf,
  waiting,
} from "./run-fixtures.ts";

const HELD = T0 + 1_000_000;
const BOB: PartyRef = { collection: "$users", id: "bob" };

function cancelled(old: RunRecord): RunRecord {
  const entry = { at: T0 + 5, event: "run_cancelled" as const, ok: true, attempt: 1 };
  return { ...old, status: "cancelled", log: [...old.log, entry] };
}

forEachDatabase((name, open) => {
  const keyed = (cancellationKey: string | null) => ({ run: { cancellationKey, dueAt: T0 * 2 } });

  function cancel(
    store: Store,
    env: EnvironmentId,
    key: string,
    over: { readonly recipients?: readonly PartyRef[]; readonly workflow?: string } = {},
  ): Promise<number> {
    return store.runs.cancel(env, over.workflow ?? "welcome", key, over.recipients ?? null, T0 + 5, cancelled);
  }

  async function waits(store: Store, run: Run): Promise<boolean> {
    return (await store.runs.read(run.environmentId, run.messageId)) !== null;
  }

  /** Runs that are claimed, one for each key. */
  async function someRuns(store: Store, env: EnvironmentId, keys: readonly (string | null)[]): Promise<Run[]> {
    const triggers = keys.map((cancellationKey) => aTrigger(env, { run: { cancellationKey } }));
    return await claimedRuns(store, triggers, HELD);
  }

  async function enter(store: Store, run: Run, actor: PartyRef | null = null): Promise<BatchId | null> {
    const activity = anActivity(run, { from: run.cancellationKey }, actor);
    assert.equal(await commitLeg(store, aLeg(run, { gate: aBatching(run, "k", { activity }) })), "written");
    return (await store.runs.read(run.environmentId, run.messageId))?.state.carries ?? null;
  }

  test(`${name}: runs of the key that wait end, with their record; others go on`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const [mine, also, other, keyless] = ["k", "k", "K", null].map((key) => aTrigger(env, keyed(key)));
    const workflow = aTrigger(env, { run: { ...keyed("k").run, workflow: "other" } });
    const elsewhere = aTrigger(newEnvironmentId(), keyed("k"));
    const all = [mine, also, other, keyless, workflow, elsewhere].flatMap((trigger) => trigger ?? []);
    await store.pipeline.accept(all);
    assert.equal(await cancel(store, env, "k"), 2);
    assert.deepEqual(await Promise.all(all.map(({ run }) => waits(store, run))), [
      false,
      false,
      true,
      true,
      true,
      true,
    ]);
    const message = await messageOf(store, (mine as (typeof all)[0]).run);
    assert.deepEqual(
      [message.state, message.canceledAt, message.run],
      ["canceled", T0 + 5, cancelled((mine as (typeof all)[0]).message.run as RunRecord)],
    );
    const page = await store.runs.list(env, { statuses: ["cancelled"] }, T0, { limit: 10 });
    assert.equal(page.items.length, 2);
    assert.equal(await cancel(store, env, "k"), 0);
    assert.equal(await cancel(store, env, "never heard of"), 0);
  });

  test(`${name}: only those of the recipients named`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const project = { collection: "projects", id: "ann" };
    const [ann, bob, object] = [ANN, BOB, project].map((recipient) => aTrigger(env, { recipient, ...keyed("k") }));
    await store.pipeline.accept([ann, bob, object].flatMap((t) => t ?? []));
    assert.equal(await cancel(store, env, "k", { recipients: [] }), 0);
    assert.equal(await cancel(store, env, "k", { recipients: [BOB, project, { collection: "x", id: "y" }] }), 2);
    assert.equal(await waits(store, ann?.run as Run), true);
  });

  test(`${name}: keys may be any text of any length`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const keys = ["", "\0", "\ud800", "\ud801", "\ufffd", '"', "ü", "x".repeat(50_000)];
    await store.pipeline.accept(keys.map((key) => aTrigger(env, keyed(key))));
    for (const key of keys) assert.equal(await cancel(store, env, key), 1, JSON.stringify(key.slice(0, 10)));
  });

  test(`${name}: a run under a lease is canceled, too, and its leg not written`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const [run] = (await someRuns(store, env, ["k"])) as [Run];
    assert.equal(await cancel(store, env, "k"), 1);
    const message = await messageOf(store, run);
    assert.equal(await commitLeg(store, aLeg(run, { deliveries: [aDelivery(message)] })), "lost");
    assert.deepEqual(await store.messages.listDeliveries(env, run.messageId), []);
    assert.deepEqual(await messageOf(store, run), message);
  });

  test(`${name}: what was sent stays sent: a message that has a delivery is not canceled, only its run`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const [run] = (await someRuns(store, env, ["k"])) as [Run];
    const message = await messageOf(store, run);
    const delivery = aDelivery(message);
    await commitLeg(store, aLeg(run, { deliveries: [delivery], next: waiting(T0 * 2) }));
    assert.equal(await cancel(store, env, "k"), 1);
    const after = await messageOf(store, run);
    assert.deepEqual([after.state, after.run?.status, await waits(store, run)], ["routed", "cancelled", false]);
    assert.deepEqual(await store.messages.listDeliveries(env, run.messageId), [delivery]);
  });

  test(`${name}: an activity is taken out of the batch it has joined, and its window stays`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const [first, second, third] = (await someRuns(store, env, ["a", "b", "c"])) as [Run, Run, Run];
    const id = (await enter(store, first)) as BatchId;
    await enter(store, second, BOB);
    await enter(store, third);
    const before = await store.runs.read(env, first.messageId);
    assert.equal(await cancel(store, env, "b", { recipients: [BOB] }), 0);
    assert.equal(await cancel(store, env, "b", { recipients: [ANN] }), 1);
    const batch = await store.runs.batch(env, id, "asc", 10);
    assert.deepEqual(
      [batch?.version, batch?.total, batch?.activities.map((a) => a.id), batch?.actors, batch?.mergedData],
      [4, 2, [first.messageId, third.messageId], [], { from: "c" }],
    );
    assert.deepEqual(await store.runs.read(env, first.messageId), before);
  });

  test(`${name}: whoever opened a batch goes on for the others in it, and no key cancels it any more`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const [first, second] = (await someRuns(store, env, ["a", "b"])) as [Run, Run];
    const id = (await enter(store, first)) as BatchId;
    await enter(store, second);
    assert.equal(await cancel(store, env, "a"), 1);
    const batch = await store.runs.batch(env, id, "asc", 10);
    assert.deepEqual(
      batch?.activities.map((a) => a.id),
      [second.messageId],
    );
    const message = await messageOf(store, first);
    assert.deepEqual([message.state, message.run?.status], ["enqueued", "paused"]);
    assert.equal(await cancel(store, env, "a"), 0);
    const [carrier] = await claimRuns(store, [{ planned: [{ message }] } as never], HELD);
    const version = batch?.version as number;
    const leg = aLeg(carrier as Run, { closes: { batchId: id, version }, next: waiting(T0 * 2) });
    assert.equal(await commitLeg(store, leg), "written");
    assert.equal(await cancel(store, env, "a"), 0);
    assert.equal(await waits(store, first), true);
  });

  test(`${name}: a batch that is thereby empty keeps its carrier and its window; others may still join`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const [first, second] = (await someRuns(store, env, ["a", "b"])) as [Run, Run];
    const id = (await enter(store, first)) as BatchId;
    assert.equal(await cancel(store, env, "a"), 1);
    const empty = await store.runs.batch(env, id, "asc", 10);
    assert.deepEqual(
      { ...empty, version: 0 },
      { version: 0, total: 0, activities: [], actors: [], totalActors: 0, mergedData: {}, newestData: {} },
    );
    assert.equal(await enter(store, second), null);
    assert.equal((await store.runs.batch(env, id, "asc", 10))?.total, 1);
  });

  test(`${name}: canceling while the carrier closes its batch makes it read again`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const [first, second] = (await someRuns(store, env, ["a", "b"])) as [Run, Run];
    const id = (await enter(store, first)) as BatchId;
    await enter(store, second);
    const message = await messageOf(store, first);
    const [carrier] = await claimRuns(store, [{ planned: [{ message }] } as never], HELD);
    assert.equal(await cancel(store, env, "b"), 1);
    const leg = aLeg(carrier as Run, { closes: { batchId: id, version: 2 } });
    assert.equal(await commitLeg(store, leg), "again");
    assert.equal((await store.runs.batch(env, id, "asc", 10))?.version, 3);
  });

  test(`${name}: of canceling and committing at once, each run is either canceled or written`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const runs = await someRuns(store, env, Array<string>(40).fill("k"));
    const groups = Array.from({ length: 8 }, (_, i) => runs.slice(i * 5, i * 5 + 5).map((run) => aLeg(run)));
    const [count, ...results] = await Promise.all([
      cancel(store, env, "k"),
      ...groups.map((group) => store.runs.commit(group, HELD)),
    ]);
    const lost = results.flat().filter((result) => result === "lost").length;
    assert.equal(lost, count);
    for (const [i, run] of runs.entries()) {
      const status = results.flat()[i] === "lost" ? "cancelled" : "completed";
      assert.equal((await messageOf(store, run)).run?.status, status);
    }
  });

  test(`${name}: of canceling and joining at once, no activity of the key is left`, async () => {
    const store = await open();
    for (let round = 0; round < 5; round++) {
      const env = newEnvironmentId();
      const runs = (await someRuns(store, env, [null, ...Array<string>(12).fill("k")])) as [Run, ...Run[]];
      const id = (await enter(store, runs[0])) as BatchId;
      const join = (run: Run) => commitLeg(store, aLeg(run, { gate: aBatching(run, "k") }));
      const some = runs.slice(1);
      const results = await Promise.all([
        ...some.slice(0, 6).map(join),
        cancel(store, env, "k"),
        ...some.slice(6).map(join),
      ]);
      assert.equal(results[6], 12);
      const batch = await store.runs.batch(env, id, "asc", 100);
      assert.deepEqual([batch?.total, batch?.activities.map((a) => a.id)], [1, [runs[0].messageId]]);
    }
  });

  test(`${name}: more runs and activities than fit one commit are canceled all the same`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const runs = await someRuns(store, env, [null, ...Array<string>(700).fill("k")]);
    const legs = runs.map((run) => aLeg(run, { gate: aBatching(run, "k") }));
    await store.runs.commit(legs, HELD);
    await store.pipeline.accept(Array.from({ length: 1100 }, () => aTrigger(env, keyed("k"))));
    assert.equal(await cancel(store, env, "k"), 1800);
    const carries = (await store.runs.read(env, (runs[0] as Run).messageId))?.state.carries as BatchId;
    assert.equal((await store.runs.batch(env, carries, "asc", 10))?.total, 1);
  });

  // ——— requests ————————————————————————————————————————————————————————————————————————————————————————————————————

  function expanding(env: EnvironmentId, key: string, cancellationKey: string | null): Request {
    const trigger = {
      key,
      versionId: "wfv_1" as const,
      actor: null,
      cancellationKey,
      source: { type: "api" as const },
      sandbox: false,
      skipDelay: false,
      depth: 0,
    };
    const request = aRequest(env, { state: "expanding" });
    return { ...request, spec: { ...request.spec, content: { kind: "workflow", trigger } } };
  }

  test(`${name}: a request of the key that is still being expanded ends, unless recipients are named`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const odd = 'k"\0\ud800';
    const requests = [
      expanding(env, "welcome", odd),
      expanding(env, "welcome", "other"),
      expanding(env, "other", odd),
      { ...expanding(env, "welcome", null), spec: { ...aRequest(env).spec, data: { cancellationKey: odd } } },
      expanding(newEnvironmentId(), "welcome", odd),
    ];
    await store.pipeline.accept(requests.map((request) => ({ request, planned: [], idempotency: null })));
    await store.pipeline.claimRequests(T0, 10_000, HELD);
    const states = () =>
      Promise.all(requests.map(async (r) => (await store.messages.readRequest(r.environmentId, r.id))?.state));
    await cancel(store, env, odd, { recipients: [ANN] });
    assert.deepEqual(await states(), Array(5).fill("expanding"));
    assert.equal(await cancel(store, env, odd), 0);
    assert.deepEqual(await states(), ["expanded", ...Array<string>(4).fill("expanding")]);
    const lease = { held: HELD, next: HELD };
    const { message, run } = aTrigger(env);
    const planned = [{ message, deliveries: [], run }];
    assert.equal(await store.pipeline.commitPage(requests[0] as Request, lease, "1", planned), false);
    assert.equal(await store.messages.read(env, message.id), null);
  });

  test(`${name}: a request that is still being expanded reaches those no more whose runs are canceled`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const request = expanding(env, "welcome", "k");
    const recipients = ["ann", "bob", "cy", "bob2"].map((userId) => ({ kind: "user" as const, userId, profile: {} }));
    await store.pipeline.accept([
      { request: { ...request, spec: { ...request.spec, recipients } }, planned: [], idempotency: null },
    ]);
    const [claimed] = (await store.pipeline.claimRequests(T0, 10_000, HELD)).filter(({ id }) => id === request.id);
    const page = { held: HELD, next: HELD };
    const cursor = JSON.stringify({ entry: 1, after: null });
    assert.equal(await store.pipeline.commitPage(claimed as Request, page, cursor, []), true);
    // Ann has been reached already.
    assert.equal(await cancel(store, env, "k", { recipients: [ANN, BOB, { collection: "bobs", id: "cy" }] }), 1);
    const behind = { ...(claimed as Request), cursor };
    assert.equal(await store.pipeline.commitPage(behind, page, null, []), false, "what was planned is out of date");
    const again = (await store.pipeline.claimRequests(T0 + 5, 10_000, HELD)).find(({ id }) => id === request.id);
    assert.equal(again?.cursor, cursor);
    assert.deepEqual(
      again?.spec.recipients.map((one) => one.kind === "user" && one.userId),
      ["ann", "cy", "bob2"],
    );
  });

  test(`${name}: a canceled message that carries a batch leaves it to the others`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const [first, second] = (await someRuns(store, env, ["a", "b"])) as [Run, Run];
    const id = (await enter(store, first)) as BatchId;
    await enter(store, second);
    assert.equal((await store.pipeline.cancel(env, first.messageId, T0))?.canceled, true);
    const batch = await store.runs.batch(env, id, "asc", 10);
    assert.deepEqual(
      batch?.activities.map((a) => a.id),
      [second.messageId],
    );
    assert.equal(await waits(store, first), true);
  });
});
