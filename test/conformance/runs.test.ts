import assert from "node:assert/strict";
import { test } from "node:test";
import type { Message } from "../../src/engine/model.ts";
import type { Page, Store } from "../../src/engine/ports.ts";
import type { PartyRef, Run } from "../../src/engine/workflow/model.ts";
import type { RunFilter } from "../../src/engine/workflow/ports.ts";
import { forEachDatabase } from "./databases.ts";
import { aDelivery, anItem, aRequest, newEnvironmentId, T0 } from "./fixtures.ts";
import {
  ANN,
  aLeg,
  aRecord,
  aState,
  aTrigger,
  claimedRuns,
  claimRuns,
  commitLeg,
  deliveriesOf,
  ended,
  messageOf,
  waiting,
} from "./run-fixtures.ts";

const HELD = T0 + 10_000;

forEachDatabase((name, open) => {
  /** One run, claimed until `HELD`. */
  async function aClaimed(store: Store, over: Parameters<typeof aTrigger>[1] = {}): Promise<Run> {
    const [run] = await claimedRuns(store, [aTrigger(newEnvironmentId(), over)], HELD);
    assert.ok(run);
    return run;
  }

  // ——— what is stored ——————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: a run that waits is stored with its message and read back as it was, whatever its texts hold`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const odd = "ü\0 \ud800 𐍈 \u0001";
    const trigger = aTrigger(env, {
      run: {
        cancellationKey: odd,
        tenantId: "acme",
        state: aState({
          place: [2, 0, 1],
          entry: "resume",
          data: { [odd]: odd, list: [1, null, { a: {} }] },
          tries: 2,
          batch: {
            activities: [{ id: "msg_0", actor: ANN, data: { odd }, at: T0 }],
            totalActivities: 12,
            actors: [ANN],
            totalActors: 1,
          },
          deliveries: { mail: ["dlv_0"], sms: [] },
        }),
      },
      record: { actor: { collection: odd, id: odd }, log: [{ at: T0, event: "throttled", ok: false, attempt: 1 }] },
    });
    assert.deepEqual(await store.pipeline.accept([trigger]), [{ kind: "accepted" }]);
    assert.deepEqual(await store.runs.read(env, trigger.message.id), trigger.run);
    assert.deepEqual(await messageOf(store, trigger.run), trigger.message);
    assert.equal(await store.runs.read(newEnvironmentId(), trigger.message.id), null);
  });

  test(`${name}: a run that is over at once is a message with a record, and never claimed`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const trigger = aTrigger(env, { waits: false, record: { status: "completed" } });
    await store.pipeline.accept([trigger]);
    assert.equal(await store.runs.read(env, trigger.message.id), null);
    assert.equal((await messageOf(store, trigger.run)).run?.status, "completed");
    assert.deepEqual(await claimRuns(store, [trigger], HELD), []);
  });

  test(`${name}: runs of an expanding request and of a delayed message wait, too`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const { message, run } = aTrigger(env);
    const request = aRequest(env, { id: run.requestId, state: "expanding" });
    await store.pipeline.accept([{ request, planned: [], idempotency: null }]);
    await store.pipeline.claimRequests(HELD, 1000, HELD);
    const lease = { held: HELD, next: HELD };
    assert.equal(await store.pipeline.commitPage(request, lease, null, [{ message, deliveries: [], run }]), true);
    assert.deepEqual(await store.runs.read(env, message.id), run);

    const late = aTrigger(env);
    const unplanned = { ...late.message, state: "delayed" as const, dueAt: T0, plannedAt: null };
    await store.pipeline.accept([{ ...late, planned: [{ message: unplanned, deliveries: [] }] }]);
    await store.pipeline.claimMessages(HELD, 1000, HELD);
    const planned = { message: { ...late.message, dueAt: null }, deliveries: [], run: late.run };
    assert.deepEqual(await store.pipeline.commitPlanned([planned], HELD), [true]);
    assert.deepEqual(await store.runs.read(env, late.message.id), late.run);
  });

  test(`${name}: where a delivery comes from is kept with it`, async () => {
    const store = await open();
    const trigger = aTrigger(newEnvironmentId());
    const origin = {
      ref: "mail",
      channelId: "c",
      versionId: "wfv_1" as const,
      categories: ["a\0"],
      actors: [ANN],
      totalActors: 1,
      activities: null,
      totalActivities: 1,
      scheduled: true as const,
    };
    const item = anItem(trigger.message, { origin });
    await store.pipeline.accept([{ ...trigger, planned: [{ message: trigger.message, deliveries: [item] }] }]);
    assert.deepEqual(await deliveriesOf(store, trigger.run), [item]);
  });

  // ——— leases ——————————————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: a run is claimed when it is due, by one claimer, and again when the lease has lapsed`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const triggers = [2000, 1000, 3000].map((later) => aTrigger(env, { run: { dueAt: T0 + later } }));
    await store.pipeline.accept(triggers);
    const ofUs = (runs: readonly Run[]) => runs.filter((run) => run.environmentId === env);
    assert.deepEqual(ofUs(await store.runs.claim(T0 + 999, 1000, HELD)), []);
    const claims = await Promise.all(Array.from({ length: 8 }, () => store.runs.claim(T0 + 2000, 1000, HELD)));
    const claimed = claims.flatMap(ofUs);
    assert.deepEqual(
      claimed.map((run) => [run.dueAt, run.leaseUntil]),
      [
        [T0 + 1000, HELD],
        [T0 + 2000, HELD],
      ],
    );
    assert.deepEqual(
      ofUs(await store.runs.claim(HELD - 1, 1000, HELD + 1)).map((run) => run.dueAt),
      [T0 + 3000],
    );
    assert.equal(ofUs(await store.runs.claim(HELD, 1000, HELD + 2)).length, 2);
  });

  test(`${name}: leases are renewed and released by who holds them only`, async () => {
    const store = await open();
    const run = await aClaimed(store);
    const id = run.messageId;
    await store.runs.renew([id], HELD - 1, HELD + 5000);
    await store.runs.release([id], HELD - 1);
    assert.equal((await store.runs.read(run.environmentId, id))?.leaseUntil, HELD);
    await store.runs.renew([id], HELD, HELD + 5000);
    assert.equal((await store.runs.read(run.environmentId, id))?.leaseUntil, HELD + 5000);
    await store.runs.release([id], HELD + 5000);
    assert.deepEqual(await store.runs.read(run.environmentId, id), { ...run, leaseUntil: null });
    assert.equal((await store.runs.claim(T0, 1000, HELD)).filter((r) => r.messageId === id).length, 1);
  });

  test(`${name}: the next moment to look for runs is the earliest due one's, or the end of a lease`, async () => {
    const store = await open();
    await store.runs.claim(HELD * 2, 10_000, HELD * 3);
    await store.pipeline.claimRequests(HELD * 2, 10_000, HELD * 3);
    await store.pipeline.accept([aTrigger(newEnvironmentId(), { run: { dueAt: 5 } })]);
    assert.equal(await store.pipeline.nextDueAt(), 5);
    await store.runs.claim(5, 10, 7);
    assert.equal(await store.pipeline.nextDueAt(), 7);
    await store.runs.claim(7, 10, HELD * 3);
  });

  // ——— legs ————————————————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: a leg that waits is written, and the run due at its new time`, async () => {
    const store = await open();
    const run = await aClaimed(store);
    const state = { place: [1], data: { a: 1 } };
    const next = { ...waiting(T0 + 90_000, state, { status: "queued" }), status: "queued" as const };
    assert.equal(await commitLeg(store, aLeg(run, { next })), "written");
    assert.deepEqual(await store.runs.read(run.environmentId, run.messageId), {
      ...run,
      status: "queued",
      state: aState(state),
      dueAt: T0 + 90_000,
      leaseUntil: null,
    });
    const message = await messageOf(store, run);
    assert.deepEqual([message.state, message.run], ["enqueued", next.record]);
  });

  test(`${name}: a leg that ends takes the run away, and its deliveries raise the message`, async () => {
    const store = await open();
    const run = await aClaimed(store);
    const message = await messageOf(store, run);
    const at = T0 + 5000;
    const [mail, item] = [aDelivery(message, { createdAt: at }), anItem(message, { createdAt: at })];
    const record = aRecord({ status: "completed", log: [{ at, event: "run_completed", ok: true, attempt: 1 }] });
    assert.equal(
      await commitLeg(store, aLeg(run, { deliveries: [mail, item], next: { kind: "end", record } })),
      "written",
    );
    assert.equal(await store.runs.read(run.environmentId, run.messageId), null);
    const after = await messageOf(store, run);
    assert.deepEqual([after.state, after.sentAt, after.deliveredAt, after.run], ["delivered", at, at, record]);
    assert.deepEqual(await deliveriesOf(store, run), [item, mail]);
    assert.equal(await store.inbox.count(run.environmentId, { userId: "ann" }, at), 1);
    // The inbox's own retention finds the item, so the message is known to have one.
    await store.housekeeping.sweep(T0 + 1e9, { messagesMs: null, inboxMs: 1, capturedMs: null }, 1000);
    assert.equal((await deliveriesOf(store, run)).length, 1);
  });

  test(`${name}: the state of a message is raised by what was made, never lowered`, async () => {
    const store = await open();
    const run = await aClaimed(store);
    const message = await messageOf(store, run);
    await commitLeg(store, aLeg(run, { deliveries: [aDelivery(message)], next: waiting(T0 + 1) }));
    assert.equal((await messageOf(store, run)).state, "routed");
    const [again] = await claimRuns(store, [{ planned: [{ message }] } as never], HELD);
    await commitLeg(store, aLeg(again as Run, { deliveries: [anItem(message)], next: waiting(T0 + 2) }));
    const [third] = await claimRuns(store, [{ planned: [{ message }] } as never], HELD + 1);
    await commitLeg(store, aLeg(third as Run, { deliveries: [aDelivery(message, { state: "simulated" })] }));
    const after = await messageOf(store, run);
    assert.deepEqual([after.state, after.sentAt, after.deliveredAt], ["delivered", T0, T0]);
  });

  test(`${name}: a message whose run ends without anything to send ends, too; one that has a delivery goes on`, async () => {
    const store = await open();
    const [nothing, something] = [await aClaimed(store), await aClaimed(store)];
    await commitLeg(store, aLeg(nothing));
    const message = await messageOf(store, nothing);
    assert.deepEqual([message.state, message.reason], ["filtered", "filtered"]);
    const failed = { at: T0 + 9, event: "step_failed" as const, ok: false, attempt: 3, data: { error: "no\0 luck" } };
    for (const [record, expected] of [
      [{ log: [failed] }, ["undeliverable", "failed", "no\ufffd luck", null]],
      [{ status: "cancelled", log: [failed] }, ["canceled", null, null, T0 + 9]],
    ] as const) {
      const run = await aClaimed(store);
      await commitLeg(store, aLeg(run, { next: ended(record) }));
      const { state, reason, error, canceledAt } = await messageOf(store, run);
      assert.deepEqual([state, reason, error, canceledAt], expected);
    }
    const other = await messageOf(store, something);
    await commitLeg(store, aLeg(something, { deliveries: [aDelivery(other)], next: waiting(T0) }));
    const [again] = await claimRuns(store, [{ planned: [{ message: other }] } as never], HELD);
    await commitLeg(store, aLeg(again as Run));
    assert.equal((await messageOf(store, something)).state, "routed");
  });

  test(`${name}: nothing of a leg is written when the lease is lost, and of two of one run only the first`, async () => {
    const store = await open();
    const [run, twice] = [await aClaimed(store), await aClaimed(store)];
    const message = await messageOf(store, run);
    const request = aRequest(run.environmentId, { state: "expanding" });
    const leg = aLeg(run, {
      deliveries: [aDelivery(message)],
      requests: [request],
      updates: [{ party: ANN, properties: { a: 1 } }],
    });
    assert.deepEqual(await store.runs.commit([leg], HELD + 1), ["lost"]);
    assert.deepEqual(await messageOf(store, run), message);
    assert.deepEqual(await deliveriesOf(store, run), []);
    assert.equal(await store.messages.readRequest(run.environmentId, request.id), null);
    assert.equal(await store.directory.readUser(run.environmentId, "ann"), null);
    assert.deepEqual(await store.runs.commit([aLeg(twice), leg, aLeg(twice), leg], HELD), [
      "written",
      "written",
      "lost",
      "lost",
    ]);
    assert.deepEqual(await store.runs.commit([leg], HELD), ["lost"]);
    assert.equal((await deliveriesOf(store, run)).length, 1);
  });

  test(`${name}: of several commits of one leg at once exactly one is written`, async () => {
    const store = await open();
    const run = await aClaimed(store);
    const message = await messageOf(store, run);
    const results = await Promise.all(
      Array.from({ length: 8 }, () => commitLeg(store, aLeg(run, { deliveries: [aDelivery(message)] }))),
    );
    assert.deepEqual(results.sort(), [...Array<string>(7).fill("lost"), "written"]);
    assert.equal((await deliveriesOf(store, run)).length, 1);
  });

  test(`${name}: what a leg triggers is expanded, and what it learns of parties is merged into them`, async () => {
    const store = await open();
    const run = await aClaimed(store);
    const env = run.environmentId;
    await store.directory.modifyUser(env, "ann", T0, () => ({ name: "Ann", deep: { kept: 1, changed: 1 } }));
    const request = aRequest(env, { state: "expanding" });
    const project: PartyRef = { collection: "projects", id: "p/1" };
    await commitLeg(
      store,
      aLeg(run, {
        requests: [request],
        updates: [
          { party: ANN, properties: { deep: { changed: 2 } } },
          { party: project, properties: { stage: "new" } },
          { party: ANN, properties: { deep: { changed: 3 } } },
        ],
      }),
    );
    assert.deepEqual((await store.directory.readUser(env, "ann"))?.profile, {
      name: "Ann",
      deep: { kept: 1, changed: 3 },
    });
    const [facts] = await store.parties.facts(env, [project]);
    assert.deepEqual(facts?.properties, { stage: "new" });
    const claimed = await store.pipeline.claimRequests(HELD, 1000, HELD);
    assert.ok(claimed.some(({ id }) => id === request.id));
  });

  test(`${name}: an endpoint that wants to know is told what a leg made of the message`, async () => {
    const store = await open();
    const run = await aClaimed(store);
    const body = { url: "https://x.example/", secret: null, events: [] };
    const write = { kind: "outbound-webhook", id: "ohk_1", body, expect: "absent" as const };
    await store.documents.write(run.environmentId, [write], T0);
    await commitLeg(store, aLeg(run, { deliveries: [anItem(await messageOf(store, run))] }));
    const changes = await store.messageChanges.claim(HELD, 1000, HELD);
    assert.deepEqual(
      changes.filter((c) => c.messageId === run.messageId).map((c) => c.state),
      ["delivered"],
    );
  });

  test(`${name}: a message whose run waits is not swept, however old`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const [waits, over] = [aTrigger(env), aTrigger(env, { waits: false })];
    await store.pipeline.accept([waits, over]);
    await store.housekeeping.sweep(T0 + 1e10, { messagesMs: 1, inboxMs: 1, capturedMs: 1 }, 10_000);
    assert.ok(await store.messages.read(env, waits.message.id));
    assert.equal(await store.messages.read(env, over.message.id), null);
  });

  test(`${name}: deliveries are read in the order asked for, of their environment only`, async () => {
    const store = await open();
    const trigger = aTrigger(newEnvironmentId());
    const all = [1, 2, 3].map(() => aDelivery(trigger.message));
    await store.pipeline.accept([{ ...trigger, planned: [{ message: trigger.message, deliveries: all }] }]);
    const [a, b, c] = all.map(({ id }) => id) as [never, never, never];
    const env = trigger.run.environmentId;
    const read = await store.runs.deliveries(env, [c, "dlv_none", a, b]);
    assert.deepEqual(
      read.map(({ id }) => id),
      [c, a, b],
    );
    assert.deepEqual(await store.runs.deliveries(newEnvironmentId(), [a]), []);
  });

  // ——— lists ———————————————————————————————————————————————————————————————————————————————————————————————————————

  const ids = (page: Page<Message>) => page.items.map(({ id }) => id);

  test(`${name}: runs are found by all that they can be asked for`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const project: PartyRef = { collection: "projects", id: "ann" };
    const failed = { log: [{ at: T0, event: "step_failed" as const, ok: false, attempt: 3 }] };
    const of = (over: Parameters<typeof aTrigger>[1]) => aTrigger(env, { waits: false, ...over });
    const all = {
      completed: of({ record: { status: "completed" } }),
      failed: of({ record: { status: "completed", ...failed } }),
      cancelled: of({ record: { status: "cancelled" } }),
      queued: aTrigger(env, { run: { status: "queued", dueAt: T0 * 2 }, record: { status: "queued" } }),
      paused: aTrigger(env, { run: { dueAt: T0 * 2 }, record: { status: "paused" } }),
      processing: aTrigger(env, { run: { dueAt: 1 }, record: { status: "paused" } }),
      other: of({ run: { workflow: "other" }, record: { status: "completed" } }),
      tenant: of({ run: { tenantId: "acme" }, record: { status: "completed" } }),
      object: of({ recipient: project, record: { status: "completed" } }),
      lookalike: of({ recipient: { collection: "$users", id: "projects/ann" }, record: { status: "completed" } }),
      later: of({ at: T0 + 5000, record: { status: "completed" } }),
    };
    await store.pipeline.accept(Object.values(all));
    await store.pipeline.accept([{ ...aTrigger(env), planned: [] }]);
    await store.runs.claim(1, 1000, HELD);
    const found = async (filter: RunFilter, now = T0) => {
      const page = await store.runs.list(env, filter, now, { limit: 100 });
      return Object.keys(all).filter((key) => ids(page).includes(all[key as keyof typeof all].message.id));
    };
    const everything = Object.keys(all);
    const but = (...less: string[]) => everything.filter((key) => !less.includes(key));
    assert.deepEqual(await found({}), everything);
    assert.deepEqual(await found({ workflow: "welcome" }), but("other"));
    assert.deepEqual(await found({ statuses: ["queued"] }), ["queued"]);
    assert.deepEqual(await found({ statuses: ["paused"] }), ["paused"]);
    assert.deepEqual(await found({ statuses: ["processing"] }), ["processing"]);
    assert.deepEqual(await found({ statuses: ["processing"] }, HELD), []);
    assert.deepEqual(await found({ statuses: ["paused"] }, HELD), ["paused", "processing"]);
    assert.deepEqual(await found({ statuses: ["queued", "processing"] }), ["queued", "processing"]);
    assert.deepEqual(await found({ statuses: ["cancelled"] }), ["cancelled"]);
    assert.deepEqual(await found({ statuses: ["cancelled", "paused", "processing"] }), [
      "cancelled",
      "paused",
      "processing",
    ]);
    assert.deepEqual(await found({ statuses: [] }), []);
    assert.deepEqual(await found({ hasErrors: true }), ["failed"]);
    assert.deepEqual(await found({ hasErrors: false }), but("failed"));
    assert.deepEqual(await found({ tenantId: "acme" }), ["tenant"]);
    assert.deepEqual(await found({ recipient: project }), ["object"]);
    assert.deepEqual(await found({ recipient: { collection: "$users", id: "projects/ann" } }), ["lookalike"]);
    assert.deepEqual(await found({ recipient: ANN, statuses: ["completed"], workflow: "other" }), ["other"]);
    assert.deepEqual(await found({ from: T0 + 5000 }), ["later"]);
    assert.deepEqual(await found({ until: T0 + 5000 }), but("later"));
    assert.deepEqual(ids(await store.runs.list(newEnvironmentId(), {}, T0, { limit: 100 })), []);
    // Whoever shows a list can tell which of them are under way.
    const leased = await store.runs.list(env, { statuses: ["processing", "queued"] }, T0, { limit: 100 });
    assert.deepEqual(leased.items.map((m) => m.leaseUntil).sort(), [null, HELD].sort());
  });

  test(`${name}: lists of runs are walked to both sides, each run once`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const triggers = Array.from({ length: 7 }, (_, i) => aTrigger(env, { run: { dueAt: T0 * 2 }, waits: i % 2 === 0 }));
    await store.pipeline.accept(triggers);
    for (const filter of [{}, { workflow: "welcome" }, { statuses: ["paused"] as const }]) {
      const all = ids(await store.runs.list(env, filter, T0, { limit: 100 }));
      assert.deepEqual(all, [...all].sort().reverse());
      const walked: string[] = [];
      let after: string | null = null;
      do {
        const page: Page<Message> = await store.runs.list(env, filter, T0, { limit: 2, after });
        walked.push(...ids(page));
        after = page.next;
      } while (after !== null);
      assert.deepEqual(walked, all);
      const back: string[] = [];
      let before: string | null = all.at(-1) as string;
      do {
        const page: Page<Message> = await store.runs.list(env, filter, T0, { limit: 2, before });
        back.unshift(...ids(page));
        before = page.next;
      } while (before !== null);
      assert.deepEqual(back, all.slice(0, -1));
    }
  });

  test(`${name}: whether somebody had a run before is told by recipient, workflow and tenant`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const first = aTrigger(env, { waits: false, run: { tenantId: "acme" } });
    const second = aTrigger(env, { waits: false });
    await store.pipeline.accept([first, second]);
    const had = (
      recipient: PartyRef,
      workflow: string,
      tenantId: string | null | undefined,
      before = second.message.id,
    ) => store.runs.hasRun(env, workflow, recipient, tenantId, before);
    assert.equal(await had(ANN, "welcome", undefined), true);
    assert.equal(await had(ANN, "welcome", "acme"), true);
    assert.equal(await had(ANN, "welcome", null), false);
    assert.equal(await had(ANN, "welcome", undefined, first.message.id), false);
    assert.equal(await had(ANN, "other", undefined), false);
    assert.equal(await had({ collection: "$users", id: "bob" }, "welcome", undefined), false);
    assert.equal(await had({ collection: "x", id: "ann" }, "welcome", undefined), false);
  });

  test(`${name}: nothing at all is no work`, async () => {
    const store = await open();
    assert.deepEqual(await store.runs.commit([], HELD), []);
    await store.runs.renew([], HELD, HELD);
    await store.runs.release([], HELD);
    assert.deepEqual(await store.runs.deliveries(newEnvironmentId(), []), []);
  });

  test(`${name}: a canceled message takes its waiting run along`, async () => {
    const store = await open();
    const run = await aClaimed(store);
    const canceled = await store.pipeline.cancel(run.environmentId, run.messageId, T0);
    assert.deepEqual([canceled?.canceled, canceled?.message.state], [true, "canceled"]);
    assert.equal(canceled?.message.run?.status, "cancelled");
    assert.equal(await commitLeg(store, aLeg(run, { next: ended() })), "lost");
  });
});
