import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal } from "../../src/engine/refusal.ts";
import type { PartyRef, Schedule } from "../../src/engine/workflow/model.ts";
import { forEachDatabase } from "./databases.ts";
import { aRequest, newEnvironmentId, T0 } from "./fixtures.ts";
import { ANN, aSchedule } from "./run-fixtures.ts";

const LATER = T0 + 1_000_000;
const HELD = LATER + 1000;
const BOB: PartyRef = { collection: "$users", id: "bob" };

forEachDatabase((name, open) => {
  const ofIt = (schedules: readonly Schedule[], { id }: Schedule) => schedules.filter((s) => s.id === id);

  test(`${name}: a schedule is read back as it was, in its own environment only, whatever its texts hold`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const odd = "\0 \ud800 ü 𐍈";
    const schedule = aSchedule(env, {
      recipient: { collection: "projects", id: "a/b ü" },
      actor: { collection: odd, id: odd },
      tenantId: "acme",
      data: { [odd]: [odd, null] },
      repeats: [{ frequency: "weekly", interval: 2, days: ["mon", "sun"], dayOfMonth: null, hours: 9, minutes: 30 }],
      scheduledAt: T0,
      endingAt: T0 + 5,
    });
    const plain = aSchedule(env, { nextAt: null });
    await store.schedules.create([schedule, plain]);
    assert.deepEqual(await store.schedules.read(env, [plain.id, "sch_none", schedule.id]), [plain, schedule]);
    assert.deepEqual(await store.schedules.read(newEnvironmentId(), [schedule.id]), []);
    await store.schedules.create([]);
  });

  test(`${name}: a schedule whose texts cannot be stored is refused, and none with it is kept`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const [good, bad] = [aSchedule(env), aSchedule(env, { recipient: { collection: "$users", id: "\0" } })];
    await assert.rejects(store.schedules.create([good, bad]), Refusal);
    assert.deepEqual(await store.schedules.read(env, [good.id]), []);
    await store.schedules.create([good]);
    await assert.rejects(store.schedules.update([{ ...good, tenantId: "\ud800" }]), Refusal);
    assert.deepEqual(await store.schedules.read(env, [good.id]), [good]);
  });

  test(`${name}: schedules are replaced and deleted where they are there`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const [one, two] = [aSchedule(env), aSchedule(env)];
    await store.schedules.create([one, two]);
    const changed = { ...one, data: { a: 1 }, nextAt: LATER, updatedAt: T0 + 1 };
    const foreign = { ...two, environmentId: newEnvironmentId(), data: { b: 1 } };
    assert.deepEqual(await store.schedules.update([changed, foreign, aSchedule(env)]), [true, false, false]);
    assert.deepEqual(await store.schedules.update([]), []);
    assert.deepEqual(await store.schedules.read(env, [one.id, two.id]), [changed, two]);
    assert.deepEqual(await store.schedules.delete(newEnvironmentId(), [one.id]), []);
    assert.deepEqual(await store.schedules.delete(env, [two.id, "sch_none", one.id, two.id]), [two, changed]);
    assert.deepEqual(await store.schedules.read(env, [one.id, two.id]), []);
  });

  test(`${name}: lists are filtered, and walked to both sides`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const all = [
      aSchedule(env),
      aSchedule(env, { workflow: "other" }),
      aSchedule(env, { recipient: BOB, tenantId: "acme" }),
      aSchedule(env, { recipient: { collection: "projects", id: "ann" } }),
      aSchedule(env),
    ].reverse();
    await store.schedules.create(all);
    const list = async (filter: Parameters<typeof store.schedules.list>[1], page = {}) => {
      const found = await store.schedules.list(env, filter, { limit: 10, ...page });
      return { at: found.items.map((s) => all.findIndex(({ id }) => id === s.id)), next: found.next };
    };
    // Ids rise as they are made, and the first was made first: newest first is the order of `all`.
    assert.deepEqual(await list({}), { at: [0, 1, 2, 3, 4], next: null });
    assert.deepEqual((await list({ workflow: "welcome" })).at, [0, 1, 2, 4]);
    assert.deepEqual((await list({ workflow: "welcome", recipients: [ANN] })).at, [0, 4]);
    assert.deepEqual((await list({ recipients: [BOB, { collection: "projects", id: "ann" }] })).at, [1, 2]);
    assert.deepEqual((await list({ recipients: [] })).at, []);
    assert.deepEqual((await list({ tenantId: "acme" })).at, [2]);
    const id = (i: number) => all[i]?.id as string;
    assert.deepEqual(await list({}, { limit: 2 }), { at: [0, 1], next: id(1) });
    assert.deepEqual(await list({}, { limit: 2, after: id(1) }), { at: [2, 3], next: id(3) });
    assert.deepEqual(await list({}, { limit: 2, before: id(4) }), { at: [2, 3], next: id(2) });
    assert.deepEqual(await list({}, { limit: 2, before: id(2) }), { at: [0, 1], next: null });
    assert.deepEqual(await list({}, { limit: 5, after: id(0), before: id(4) }), { at: [1, 2, 3], next: null });
  });

  test(`${name}: a schedule is claimed at its time by one claimer, and again when the lease has lapsed`, async () => {
    const store = await open();
    const schedule = aSchedule(newEnvironmentId(), { nextAt: T0 + 50 });
    await store.schedules.create([schedule, aSchedule(schedule.environmentId, { nextAt: null })]);
    assert.deepEqual(ofIt(await store.schedules.claim(T0 + 49, 1000, HELD), schedule), []);
    const claims = await Promise.all(Array.from({ length: 6 }, () => store.schedules.claim(T0 + 50, 1000, HELD)));
    assert.deepEqual(ofIt(claims.flat(), schedule), [schedule]);
    assert.deepEqual(ofIt(await store.schedules.claim(HELD - 1, 1000, HELD + 5), schedule), []);
    assert.deepEqual(ofIt(await store.schedules.claim(HELD, 1000, HELD + 5), schedule), [schedule]);
  });

  test(`${name}: fires once, together with its next time, however many try`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const schedule = aSchedule(env, { nextAt: T0 + 50 });
    await store.schedules.create([schedule]);
    await store.schedules.claim(LATER, 1000, HELD);
    const requests = Array.from({ length: 6 }, () => aRequest(env, { state: "expanding" }));
    const fired = await Promise.all(requests.map((r) => store.schedules.fire(schedule, HELD, r, T0 + 2e9)));
    assert.equal(fired.filter((one) => one).length, 1);
    const kept = await Promise.all(requests.map((r) => store.messages.readRequest(env, r.id)));
    assert.deepEqual(
      kept.map((request) => request !== null),
      fired,
    );
    const [after] = await store.schedules.read(env, [schedule.id]);
    assert.deepEqual(after, { ...schedule, nextAt: T0 + 2e9, lastAt: T0 + 50 });
    assert.deepEqual(ofIt(await store.schedules.claim(T0 + 2e9, 1000, T0 + 2e9 + 1), schedule).length, 1);
  });

  test(`${name}: one that is not to fire after all moves on, or is exhausted`, async () => {
    const store = await open();
    const schedule = aSchedule(newEnvironmentId(), { nextAt: T0 + 50 });
    await store.schedules.create([schedule]);
    await store.schedules.claim(LATER, 1000, HELD);
    assert.equal(await store.schedules.fire(schedule, HELD, null, null), true);
    const [after] = await store.schedules.read(schedule.environmentId, [schedule.id]);
    assert.deepEqual(after, { ...schedule, nextAt: null, lastAt: null });
    assert.deepEqual(ofIt(await store.schedules.claim(T0 * 2, 1000, T0 * 2 + 1), schedule), []);
  });

  test(`${name}: nothing fires without its lease, or of what was changed or deleted meanwhile`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const [lapsed, changed, gone] = [1, 2, 3].map(() => aSchedule(env)) as [Schedule, Schedule, Schedule];
    await store.schedules.create([lapsed, changed, gone]);
    await store.schedules.claim(LATER, 1000, HELD);
    await store.schedules.update([{ ...changed, updatedAt: T0 + 7 }]);
    await store.schedules.delete(env, [gone.id]);
    const request = aRequest(env, { state: "expanding" });
    assert.equal(await store.schedules.fire(lapsed, HELD + 1, request, null), false);
    assert.equal(await store.schedules.fire(changed, HELD, request, null), false);
    assert.equal(await store.schedules.fire(gone, HELD, request, null), false);
    // Claimed anew under the very same lease, what was made of the old one is out of date still.
    await store.schedules.claim(LATER, 1000, HELD);
    assert.equal(await store.schedules.fire(changed, HELD, request, null), false);
    assert.equal(await store.messages.readRequest(env, request.id), null);
  });

  test(`${name}: the next moment to look for schedules is the earliest one's`, async () => {
    const store = await open();
    await store.schedules.claim(T0 * 3, 10_000, T0 * 4);
    await store.pipeline.claimRequests(T0 * 3, 10_000, T0 * 4);
    await store.schedules.create([aSchedule(newEnvironmentId(), { nextAt: 3 })]);
    assert.equal(await store.pipeline.nextDueAt(), 3);
  });
});
