/** What happens is noted in the commit in which it happens, where an endpoint wants to know, and is told once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Delivery, EnvironmentId, Message, Request, StepOrigin } from "../../src/engine/model.ts";
import type { Planned, Progress, Store } from "../../src/engine/ports.ts";
import { type Happening, type HappeningNote, KNOCK_WEBHOOK } from "../../src/engine/workflow/model.ts";
import { newId, withPrefix } from "../../src/lib/ids.ts";
import { forEachDatabase } from "./databases.ts";
import {
  accepting,
  aDelivery,
  aMessage,
  anAttempt,
  anItem,
  aRequest,
  inboxSend,
  mailSend,
  newEnvironmentId,
  progressOf,
  T0,
} from "./fixtures.ts";
import { aLeg, aRecord, aTrigger, claimedRuns, commitLeg, ended, waiting } from "./run-fixtures.ts";

const LATER = T0 + 10_000_000;
const HELD = LATER + 1000;
const ORIGIN: StepOrigin = {
  ref: "step",
  channelId: "c",
  versionId: "wfv_1",
  categories: [],
  actors: [],
  totalActors: 0,
  activities: null,
  totalActivities: 1,
};

forEachDatabase((name, open) => {
  /** An environment with an endpoint, and nothing left over from other tests. */
  async function listening(): Promise<{ store: Store; env: EnvironmentId }> {
    const store = await open();
    for (let left = 1; left > 0; ) left = (await store.happenings.claim(LATER * 2, 1000, LATER * 1000)).length;
    for (let left = 1; left > 0; ) left = (await store.pipeline.claimDeliveries(LATER * 2, 1000, LATER * 1000)).length;
    const env = newEnvironmentId();
    const body = { url: "https://x.io/", secret: null, events: [] };
    const write = { kind: KNOCK_WEBHOOK, id: newId("ohk", T0), body, expect: "absent" } as const;
    await store.documents.write(env, [write], T0);
    return { store, env };
  }

  function claim(store: Store, now = LATER, leaseUntil = HELD): Promise<readonly Happening[]> {
    return store.happenings.claim(now, 1000, leaseUntil);
  }

  /** Claims what was noted and lets it go untold. */
  async function noted(store: Store): Promise<readonly Happening[]> {
    const happenings = await claim(store);
    const gone = await store.happenings.replace(
      happenings.map((happening) => ({ happening, by: null })),
      HELD,
    );
    assert.ok(gone.every(Boolean));
    return happenings;
  }

  const said = (happenings: readonly Happening[]): string[] => happenings.map(({ of, what }) => `${of} ${what}`);

  /** A run that is over at once, with what its steps sent. */
  function aRun(env: EnvironmentId, of: (message: Message) => readonly Delivery[] = () => []) {
    const trigger = aTrigger(env, { waits: false, record: { status: "completed" } });
    return accepting(trigger.request, [{ message: trigger.message, deliveries: of(trigger.message) }]);
  }

  const fromStep = (over: Partial<Delivery> = {}): Partial<Delivery> => ({ origin: ORIGIN, ...over });

  async function claimedMail(store: Store, env: EnvironmentId): Promise<Delivery> {
    const run = aRun(env, (message) => [aDelivery(message, fromStep())]);
    await store.pipeline.accept([run]);
    await noted(store);
    const [delivery] = await store.pipeline.claimDeliveries(LATER, 1000, HELD);
    return delivery as Delivery;
  }

  function telling(happening: Happening): Planned & { readonly request: Request } {
    const request = aRequest(happening.environmentId);
    const message = aMessage(request, {
      id: withPrefix("msg", request.id),
      userId: null,
      recipient: happening.subject,
      toEndpoints: true,
    });
    return { request, message, deliveries: [aDelivery(message, { channel: "webhook", provider: KNOCK_WEBHOOK })] };
  }

  test(`${name}: a run that is over at once is noted with the item that it delivered`, async () => {
    const { store, env } = await listening();
    const run = aRun(env, (message) => [anItem(message, fromStep())]);
    await store.pipeline.accept([run, aRun(newEnvironmentId())]);
    const happenings = await claim(store);
    assert.deepEqual(said(happenings), ["run started", "delivery delivered", "run completed"]);
    const [planned] = run.planned;
    assert.deepEqual(
      happenings.map(({ subject }) => subject),
      [planned?.message.id, planned?.deliveries[0]?.id, planned?.message.id],
    );
    const { delivery, at, environmentId } = happenings[1] as Happening;
    const none = { seenAt: null, readAt: null, interactedAt: null, archivedAt: null };
    assert.deepEqual(delivery, { state: "delivered", attempts: 0, sentAt: T0, deliveredAt: T0, ...none });
    assert.deepEqual([at, environmentId, happenings[0]?.delivery], [T0, env, null]);
  });

  test(`${name}: what no workflow sent is not noted, nor is anything without an endpoint`, async () => {
    const { store, env } = await listening();
    const inbox = inboxSend(env, "ann");
    const mail = mailSend(env);
    const elsewhere = aRun(newEnvironmentId(), (message) => [anItem(message, fromStep())]);
    await store.pipeline.accept([inbox, mail, elsewhere]);
    const [delivery] = await store.pipeline.claimDeliveries(LATER, 1000, HELD);
    assert.ok(delivery);
    const next = { state: "sent", at: LATER, reference: null } as const;
    await store.pipeline.settle([{ delivery, leaseUntil: HELD, attempt: anAttempt(delivery), next }]);
    await store.inbox.progress(env, [progressOf(inbox.item, "read", null, LATER)]);
    assert.deepEqual(await claim(store), []);
  });

  test(`${name}: tries are noted with what they came to, the last one with the failure`, async () => {
    const { store, env } = await listening();
    const delivery = await claimedMail(store, env);
    const failed = anAttempt(delivery, { outcome: "failed", reason: "no", endedAt: LATER });
    const again = { state: "pending", dueAt: LATER, error: "no", startedAt: LATER } as const;
    await store.pipeline.settle([{ delivery, leaseUntil: HELD, attempt: failed, next: again }]);
    const [attempted, ...more] = await noted(store);
    assert.deepEqual([said([attempted as Happening]), more], [["delivery attempted"], []]);
    assert.deepEqual(attempted?.detail, { attempt: 1, retryable: true });
    assert.deepEqual([attempted?.delivery?.state, attempted?.delivery?.attempts], ["pending", 1]);

    const [second] = await store.pipeline.claimDeliveries(LATER, 1000, HELD + 1);
    assert.ok(second);
    const rejected = anAttempt(second, { number: 2, outcome: "rejected", reason: "gone", endedAt: LATER });
    const ifLast = { state: "undeliverable", reason: "provider_error" } as const;
    const over = { state: "failed", at: LATER, error: "gone", failover: [], ifLast } as const;
    const settled = { delivery: second, leaseUntil: HELD + 1, attempt: rejected, next: over };
    assert.deepEqual(await store.pipeline.settle([settled]), ["written"]);
    // Under a lease that is gone nothing is written, so nothing has happened.
    assert.deepEqual(await store.pipeline.settle([settled]), ["lost"]);
    const ends = await noted(store);
    assert.deepEqual(said(ends), ["delivery attempted", "delivery failed"]);
    assert.deepEqual(ends[1]?.detail, { fatal: true, error: "gone" });
  });

  test(`${name}: a webhook's answer is its receipt`, async () => {
    const { store, env } = await listening();
    const run = aRun(env, (message) => [aDelivery(message, fromStep({ channel: "webhook", provider: "webhook" }))]);
    await store.pipeline.accept([run]);
    await noted(store);
    const [delivery] = await store.pipeline.claimDeliveries(LATER, 1000, HELD);
    assert.ok(delivery);
    const next = { state: "sent", at: LATER, reference: null } as const;
    await store.pipeline.settle([{ delivery, leaseUntil: HELD, attempt: anAttempt(delivery), next }]);
    assert.deepEqual(said(await noted(store)), ["delivery sent", "delivery delivered"]);
  });

  test(`${name}: a mark is noted with what the delivery then was, whatever is done to it later`, async () => {
    const { store, env } = await listening();
    const run = aRun(env, (message) => [anItem(message, fromStep())]);
    await store.pipeline.accept([run]);
    await noted(store);
    const item = run.planned[0]?.deliveries[0] as Delivery;
    const mark = (field: "read" | "archived", value: boolean, at: number) =>
      store.inbox.change(env, "ann", [{ deliveryId: item.id, field, value, again: "move" }], at, () => [
        { ...progressOf(item, field, null, at), happens: true } satisfies Progress,
      ]);
    await mark("read", true, LATER);
    await mark("archived", true, LATER + 1);
    const [read, archived] = await noted(store);
    assert.deepEqual([read?.what, read?.delivery?.readAt, read?.delivery?.archivedAt], ["read", LATER, null]);
    assert.deepEqual([archived?.what, archived?.delivery?.archivedAt], ["archived", LATER + 1]);
  });

  test(`${name}: a leg notes what it delivered and how the run ends; one that is lost notes nothing`, async () => {
    const { store, env } = await listening();
    const trigger = aTrigger(env);
    const [run] = await claimedRuns(store, [trigger], HELD);
    assert.ok(run);
    assert.deepEqual(said(await noted(store)), ["run started"]);
    await commitLeg(store, aLeg(run, { next: waiting(T0) }));
    assert.deepEqual(await noted(store), []);
    const [later] = await store.runs.claim(LATER, 1000, HELD);
    assert.ok(later);
    const log = [{ at: LATER, event: "step_failed", ok: false, attempt: 1, ref: "s", data: { error: "no" } }] as const;
    const leg = aLeg(later, { deliveries: [anItem(trigger.message, fromStep())], next: ended({ log }) });
    assert.equal(await commitLeg(store, leg), "written");
    assert.equal(await commitLeg(store, leg), "lost");
    const happenings = await noted(store);
    assert.deepEqual(said(happenings), ["delivery delivered", "run failed", "run completed"]);
    assert.deepEqual(happenings[1]?.detail, { error: "no", step_ref: "s" });
  });

  test(`${name}: a run that is cancelled is not told of as completed`, async () => {
    const { store, env } = await listening();
    const [run] = await claimedRuns(store, [aTrigger(env)], HELD);
    assert.ok(run);
    await noted(store);
    await commitLeg(store, aLeg(run, { next: { kind: "end", record: aRecord({ status: "cancelled" }) } }));
    assert.deepEqual(await noted(store), []);
  });

  test(`${name}: what authors write is noted with the write, or not at all`, async () => {
    const { store, env } = await listening();
    const body = { key: "k", odd: "\0\ud800" };
    const note: HappeningNote = {
      environmentId: env,
      subject: "workflow/k",
      at: T0,
      detail: null,
      of: "resource",
      what: "updated",
      type: "workflow",
      body,
    };
    const write = { kind: "workflow", id: "k", body: {}, expect: "absent" } as const;
    assert.ok(await store.documents.write(env, [write], T0, { happened: [note] }));
    assert.equal(await store.documents.write(env, [write], T0, { happened: [note] }), null);
    const happenings = await noted(store);
    assert.equal(happenings.length, 1);
    assert.deepEqual({ ...happenings[0], id: null }, { ...note, id: null, delivery: null });
  });

  test(`${name}: a happening is one claimer's until its lease lapses, and is told once`, async () => {
    const { store, env } = await listening();
    await store.pipeline.accept([aRun(env)]);
    const [mine] = await claim(store);
    assert.ok(mine);
    assert.deepEqual(await claim(store), [], "nobody else gets it");
    const again = await claim(store, HELD, HELD + 1000);
    assert.deepEqual(again.map(({ id }) => id).includes(mine.id), true, "whoever comes after a crash does");
    const tell = (leaseUntil: number) => store.happenings.replace([{ happening: mine, by: telling(mine) }], leaseUntil);
    assert.deepEqual(await tell(HELD), [false], "the lease is another's");
    assert.deepEqual(await tell(HELD + 1000), [true]);
    assert.deepEqual(await tell(HELD + 1000), [false]);
    const claimed = await store.pipeline.claimDeliveries(LATER, 1000, HELD);
    assert.equal(claimed.filter(({ provider }) => provider === KNOCK_WEBHOOK).length, 1);
    assert.ok(!(await claim(store, HELD * 2, HELD * 3)).some(({ id }) => id === mine.id), "it is gone");
  });

  test(`${name}: the next moment of work includes what is to be told`, async () => {
    const { store, env } = await listening();
    await store.pipeline.accept([aRun(env)]);
    assert.equal(await store.pipeline.nextDueAt(), 0);
    await noted(store);
  });
});
