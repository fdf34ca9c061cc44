/** Sending messages again, one or many: scenarios 32–34. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DIALECTS, newPlace } from "../../../conformance/databases.ts";
import { locs, refusal } from "../eventually.ts";
import {
  assertVerifies,
  callsByPath,
  DAY,
  forEachSpeaker,
  HOUR,
  laterClock,
  lonelyScene,
  MINUTE,
  SECOND,
} from "./scenario.ts";

forEachSpeaker({ env: { CARILLON_WEBHOOK_RETRY_SECONDS: "60" }, roll: () => 0.5 }, (who, open) => {
  test(`${who}: 32. Resend: exactly one more attempt, by hand, filters or not`, async (t) => {
    const { svix, call, clock, idle, pass, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    await svix.eventType.create({ name: "only.this", description: "" });
    const filters = { channels: ["c"], eventTypes: ["only.this"] };
    const { id: endpoint } = await scene.endpoint(app, { url: `${receiver.url}/e`, uid: "e", ...filters });
    await scene.endpoint(app, { url: `${receiver.url}/other` });
    const { id } = await scene.message(app, { eventId: "ev", eventType: "x.y" });
    await idle();
    assert.deepEqual(callsByPath(receiver), { other: 1 }, "the filters keep it away");
    const path = `/app/${app}/msg/ev/endpoint/e/resend`;
    const resent = await call("POST", path, {});
    assert.deepEqual([resent.status, resent.text], [202, "{}"]);
    await idle();
    assert.deepEqual(callsByPath(receiver), { other: 1, e: 1 });
    assertVerifies(await scene.key(app, endpoint), receiver.requests[1] as never, clock.now());
    assert.equal(receiver.requests[1]?.headers["svix-id"], id);
    // A failure is not tried again by itself.
    receiver.answer({ status: 500 });
    await svix.messageAttempt.resend(app, id, "e");
    await idle();
    await pass(HOUR);
    assert.deepEqual(callsByPath(receiver), { other: 1, e: 2 });
    const own = async () => (await scene.attempts(app, id)).filter(({ endpointId }) => endpointId === endpoint);
    assert.deepEqual(
      (await own()).map(({ triggerType, status }) => [triggerType, status]),
      [
        [1, 0],
        [1, 2],
      ],
    );
    const [row] = (await svix.messageAttempt.listAttemptedDestinations(app, id)).data;
    assert.deepEqual([row?.id, row?.nextAttempt ?? null], [endpoint, null]);
    // Ten at once are ten.
    receiver.answer({ status: 200 });
    await Promise.all(Array.from({ length: 10 }, () => svix.messageAttempt.resend(app, "ev", endpoint)));
    await idle();
    assert.equal((await own()).length, 12);
    assert.deepEqual(callsByPath(receiver), { other: 1, e: 12 });
    // With one key they are one.
    const keyed = { "idempotency-key": "again" };
    await Promise.all(Array.from({ length: 10 }, () => call("POST", path, undefined, keyed)));
    await idle();
    assert.equal((await own()).length, 13);
    // A disabled endpoint gets nothing, neither now nor when it is enabled.
    await svix.endpoint.patch(app, "e", { disabled: true });
    assert.deepEqual((await call("POST", path)).status, 202);
    await svix.messageAttempt.resend(app, id, "e");
    await idle();
    await svix.endpoint.patch(app, "e", { disabled: false });
    await pass(HOUR);
    assert.equal((await own()).length, 13);
    for (const [message, key] of [
      [id, "nobody"],
      ["nothing", "e"],
      ["msg_2aaaaaaaaaaaaaaaaaaaaaaaaaa", endpoint],
    ] as const) {
      assert.equal((await refusal(svix.messageAttempt.resend(app, message, key))).status, 404);
    }
    await svix.endpoint.delete(app, "e");
    assert.equal((await refusal(svix.messageAttempt.resend(app, id, endpoint))).status, 404);
  });

  test(`${who}: 32. Resend: beside a schedule under way, which it neither ends nor lengthens unless it succeeds`, async (t) => {
    const { svix, idle, pass, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    const { id: endpoint } = await scene.endpoint(app, { url: receiver.url });
    receiver.answer({ status: 500 });
    const { id } = await scene.message(app);
    await idle();
    await svix.messageAttempt.resend(app, id, endpoint);
    await idle();
    const [row] = (await svix.messageAttempt.listAttemptedMessages(app, endpoint)).data;
    assert.deepEqual([row?.status, row?.nextAttempt !== null], [3, true]);
    await pass(HOUR);
    assert.deepEqual(
      (await scene.attempts(app, id)).map(({ triggerType }) => triggerType),
      [0, 1, 0],
    );
  });

  test(`${who}: 33. Recover: 3 failed, 2 good; exactly 3 new attempts by hand`, async (t) => {
    const { svix, call, clock, idle, pass, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    const { id: endpoint } = await scene.endpoint(app, { url: `${receiver.url}/e`, uid: "e" });
    const ids: string[] = [];
    for (const status of [500, 200, 404, 200, 302]) {
      receiver.answer({ status });
      ids.push((await scene.message(app)).id);
      await idle();
      await pass(MINUTE + SECOND);
    }
    receiver.answer({ status: 200 });
    const counts = async (): Promise<number[]> =>
      Promise.all(ids.map(async (id) => (await scene.attempts(app, id)).length));
    assert.deepEqual(await counts(), [2, 1, 2, 1, 2]);
    await pass(30 * MINUTE);
    const since = new Date(clock.now() - HOUR);
    const answer = await call("POST", `/app/${app}/endpoint/e/recover`, { since });
    assert.equal(answer.status, 202);
    assert.match(answer.body.id, /^qtask_[0-9A-Za-z]{27}$/);
    assert.deepEqual([answer.body.status, answer.body.task], ["running", "endpoint.recover"]);
    const task = await scene.task(answer.body.id);
    assert.deepEqual([task.status, task.task, task.data], ["finished", "endpoint.recover", { messagesSent: 3 }]);
    await idle();
    assert.deepEqual(await counts(), [3, 1, 3, 1, 3]);
    for (const id of [ids[0], ids[2], ids[4]] as string[]) {
      const last = (await scene.attempts(app, id)).at(-1);
      assert.deepEqual([last?.triggerType, last?.status], [1, 0]);
    }
    // There is nothing left to recover.
    const again = await svix.endpoint.recover(app, endpoint, { since });
    assert.deepEqual((await scene.task(again.id)).data, { messagesSent: 0 });
    assert.deepEqual((await svix.backgroundTask.get(again.id)).status, "finished");
    const listed = (await svix.backgroundTask.list()).data.map(({ id }) => id);
    assert.deepEqual(listed, [again.id, answer.body.id]);

    const path = `/app/${app}/endpoint/e/recover`;
    const ago = (ms: number) => new Date(clock.now() - ms);
    assert.deepEqual(locs(await call("POST", path, { since: ago(15 * DAY) })), ["body.since"]);
    assert.equal((await refusal(svix.endpoint.recover(app, "e", { since: ago(15 * DAY) }))).status, 422);
    assert.equal((await call("POST", path, { since: ago(14 * DAY + 4 * MINUTE) })).status, 202);
    assert.equal((await refusal(svix.endpoint.recover(app, "e", { since: ago(14 * DAY + 6 * MINUTE) }))).status, 422);
    await idle();
    assert.deepEqual(await counts(), [3, 1, 3, 1, 3]);
  });

  test(`${who}: 33. Recover: only what failed within the window, whatever the endpoint filters by now`, async (t) => {
    const { svix, clock, idle, pass, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    await scene.endpoint(app, { url: `${receiver.url}/e`, uid: "e" });
    receiver.answer({ status: 500 });
    const before = (await scene.message(app)).id;
    await idle();
    await pass(2 * MINUTE);
    await pass(8 * MINUTE);
    const since = new Date(clock.now());
    const within = (await scene.message(app)).id;
    await idle();
    await pass(2 * MINUTE);
    const until = new Date(clock.now());
    await pass(MINUTE);
    const after = (await scene.message(app)).id;
    await idle();
    await pass(2 * MINUTE);
    await svix.endpoint.patch(app, "e", { channels: ["none"] });
    const { id } = await svix.endpoint.recover(app, "e", { since, until });
    assert.deepEqual((await scene.task(id)).data, { messagesSent: 1 });
    await idle();
    const counts = [before, within, after].map(async (one) => (await scene.attempts(app, one)).length);
    assert.deepEqual(await Promise.all(counts), [2, 3, 2]);
    // One that was sent again in vain has failed anew, and may be recovered anew.
    const again = await svix.endpoint.recover(app, "e", { since });
    assert.deepEqual((await scene.task(again.id)).data, { messagesSent: 2 });
    await idle();
    // An endpoint that is disabled gets nothing.
    await svix.endpoint.patch(app, "e", { disabled: true });
    const calls = receiver.requests.length;
    const none = await svix.endpoint.recover(app, "e", { since });
    assert.equal((await scene.task(none.id)).status, "finished");
    await idle();
    assert.equal(receiver.requests.length, calls);
    await svix.endpoint.patch(app, "e", { disabled: false });
    await pass(HOUR);
    assert.equal(receiver.requests.length, calls, "not even later");
  });

  test(`${who}: 34. Replay missing: 5 that match and were never sent, and no others`, async (t) => {
    const { svix, call, clock, idle, pass, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    for (const name of ["m.a", "m.b"]) await svix.eventType.create({ name, description: "" });
    const since = new Date(clock.now() - SECOND);
    const ids: string[] = [];
    for (let i = 0; i < 7; i++) {
      clock.advance(SECOND);
      ids.push((await scene.message(app, { eventType: i % 3 === 2 ? "m.b" : "m.a", payload: { i } })).id);
    }
    await idle();
    clock.advance(SECOND);
    await scene.endpoint(app, { url: `${receiver.url}/e`, uid: "e", eventTypes: ["m.a"] });
    const replay = async (window: { since: Date; until?: Date }): Promise<unknown> => {
      const { id, status, task } = await svix.endpoint.replayMissing(app, "e", window);
      assert.match(id, /^qtask_/);
      assert.deepEqual([status, task], ["running", "endpoint.replay"]);
      const over = await scene.task(id);
      assert.equal(over.status, "finished");
      await idle();
      return over.data;
    };
    assert.equal(
      (await call("POST", `/app/${app}/endpoint/e/replay-missing`, { since: clockIso(clock.now()) })).status,
      202,
    );
    await idle();
    receiver.answer({ status: 500 }, { status: 200 });
    assert.deepEqual(await replay({ since }), { messagesSent: 5 });
    assert.deepEqual(receiver.requests.map(({ text }) => JSON.parse(text).i).sort(), [0, 1, 3, 4, 6]);
    // The one that failed is tried again by the schedule: these are tries like any other.
    await pass(MINUTE);
    assert.equal(receiver.requests.length, 6);
    const { data } = await svix.messageAttempt.listByEndpoint(app, "e");
    assert.deepEqual(
      data.map(({ triggerType }) => triggerType),
      Array(6).fill(0),
    );
    assert.deepEqual(await replay({ since }), { messagesSent: 0 });
    assert.equal(receiver.requests.length, 6);
    // What was sent by hand was sent; what is out of the window is not meant.
    await scene.endpoint(app, { url: `${receiver.url}/f`, uid: "f" });
    await svix.messageAttempt.resend(app, ids[0] as string, "f");
    await idle();
    const until = new Date(since.getTime() + 4 * SECOND);
    const { id } = await svix.endpoint.replayMissing(app, "f", { since, until });
    assert.deepEqual((await scene.task(id)).data, { messagesSent: 2 });
    await idle();
    assert.deepEqual(callsByPath(receiver), { e: 6, f: 3 });
    for (const [key, window] of [
      ["f", { since: until, until: since }],
      ["f", { since: "x" as never }],
    ] as const) {
      assert.equal((await refusal(svix.endpoint.replayMissing(app, key, window))).status, 422);
    }
    assert.equal((await refusal(svix.endpoint.replayMissing(app, "nobody", { since }))).status, 404);
  });

  test(`${who}: more messages than fit on one page are all sent again, each once (§C.9)`, async (t) => {
    const { svix, clock, idle, pass, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    const since = new Date(clock.now() - SECOND);
    const count = 230;
    const made = Array.from({ length: count }, (_, i) => scene.message(app, { payload: { i } }));
    const ids = (await Promise.all(made)).map(({ id }) => id);
    await scene.endpoint(app, { url: `${receiver.url}/e`, uid: "e" });
    receiver.answer({ status: 500 });
    const replay = await svix.endpoint.replayMissing(app, "e", { since });
    assert.deepEqual((await scene.task(replay.id)).data, { messagesSent: count });
    await idle();
    assert.equal(receiver.requests.length, count);
    const recover = await svix.endpoint.recover(app, "e", { since });
    assert.deepEqual((await scene.task(recover.id)).data, { messagesSent: count });
    await idle();
    const calls = new Map<unknown, number>();
    for (const { headers } of receiver.requests)
      calls.set(headers["svix-id"], (calls.get(headers["svix-id"]) ?? 0) + 1);
    assert.deepEqual([calls.size, ...new Set(calls.values())], [count, 2]);
    assert.deepEqual(new Set(ids), new Set(calls.keys()));
    await pass(HOUR);
    assert.equal(receiver.requests.length, 3 * count, "the schedule of those that were replayed is over");
    receiver.answer({ status: 200 });
    const bulk = await svix.endpoint.bulkReplay(app, "e", { since });
    assert.deepEqual((await scene.task(bulk.id)).data, { messagesSent: count });
    await idle();
    assert.equal(receiver.requests.length, 4 * count);
    const nothing = await svix.endpoint.recover(app, "e", { since });
    assert.deepEqual((await scene.task(nothing.id)).data, { messagesSent: 0 });
  });
});

function clockIso(at: number): string {
  return new Date(at).toISOString();
}

test("a task that two processes on one Postgres may work on is done once", async (t) => {
  if (!DIALECTS.includes("postgres")) return t.skip("needs Postgres");
  const { place, remove } = await newPlace("postgres");
  const clock = laterClock();
  const env = {
    CARILLON_DATABASE_URL: place.url ?? "",
    CARILLON_DATABASE_POOL: String(place.poolSize),
    CARILLON_DATA_DIR: place.dataDir,
    CARILLON_WEBHOOK_RETRY_SECONDS: "none",
  };
  const one = await lonelyScene(t, { env, clock });
  const two = await lonelyScene(t, { env, clock });
  t.after(remove);
  const app = await one.app();
  const receiver = await one.receiver();
  receiver.answer({ status: 500 });
  await one.endpoint(app, { url: receiver.url, uid: "e" });
  const since = new Date(clock.now() - SECOND);
  await Promise.all(Array.from({ length: 120 }, () => one.message(app)));
  await Promise.all([one.idle(), two.idle()]);
  assert.equal(receiver.requests.length, 120);
  const elsewhere = two.target.with(one.token);
  for (let round = 1; round <= 3; round++) {
    const asked = round % 2 === 0 ? one : elsewhere;
    const { id } = await asked.svix.endpoint.recover(app, "e", { since });
    // Both look at once.
    await Promise.all([one.idle(), two.idle()]);
    assert.deepEqual((await one.task(id)).data, { messagesSent: 120 });
    await Promise.all([one.idle(), two.idle()]);
    assert.equal(receiver.requests.length, (1 + round) * 120);
  }
  // An endpoint that the other process disabled gets nothing from this one.
  const message = await one.message(app);
  await Promise.all([one.idle(), two.idle()]);
  await elsewhere.svix.endpoint.patch(app, "e", { disabled: true });
  clock.advance(2 * SECOND);
  const calls = receiver.requests.length;
  await one.svix.messageAttempt.resend(app, message.id, "e");
  await one.message(app);
  await Promise.all([one.idle(), two.idle()]);
  assert.equal(receiver.requests.length, calls);
});
