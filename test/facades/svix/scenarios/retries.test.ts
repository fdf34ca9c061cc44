/** When a failed try is made again, and when no longer: scenarios 25 and 27. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DIALECTS } from "../../../conformance/databases.ts";
import type { ReceivedRequest } from "../../../support/http-receiver.ts";
import { locs } from "../eventually.ts";
import { assertVerifies, DAY, forEachSpeaker, HOUR, lonelyScene, MINUTE, type Scene, SECOND } from "./scenario.ts";

/** What the dice show until told otherwise: no jitter at all. */
let roll = 0.5;
const TIMEOUT = 15 * SECOND;

/** Sets the environment's own schedule, in seconds. */
async function schedule({ call }: Scene, retryPolicy: readonly number[] | null): Promise<void> {
  const answer = await call("PATCH", "/management/environment-settings", { retryPolicy });
  assert.equal(answer.status, 200, answer.text);
}

/** The times of the attempts in order, in seconds after the first, and when the next is due after the last. */
async function course(scene: Scene, app: string, message: string): Promise<[number[], number | null]> {
  const attempts = await scene.attempts(app, message);
  const times = attempts.map(({ timestamp }) => timestamp.getTime());
  const [row] = (await scene.svix.messageAttempt.listAttemptedDestinations(app, message)).data;
  const next = row?.nextAttempt?.getTime() ?? null;
  return [
    times.map((at) => (at - (times[0] ?? 0)) / SECOND),
    next === null ? null : (next - (times.at(-1) ?? 0)) / SECOND,
  ];
}

// Leases outlast the timeout: moved by so much at once, the clock looks like that of a process that stood still.
const env = { CARILLON_WEBHOOK_RETRY_SECONDS: "5,300", CARILLON_LEASE_MS: "60000" };

forEachSpeaker({ env, roll: () => roll }, (who, open) => {
  test(`${who}: 25. Retry count: a schedule of two waits makes three attempts`, async (t) => {
    const scene = await open(t);
    const { svix, pass, clock, idle } = scene;
    roll = 0.5;
    const receiver = await scene.receiver();
    receiver.answer({ status: 500 });
    const app = await scene.app();
    const { id: endpoint } = await scene.endpoint(app, { url: receiver.url });
    const key = await scene.key(app, endpoint);
    const verify = () => assertVerifies(key, receiver.requests.at(-1) as ReceivedRequest, clock.now());
    const { id } = await scene.message(app);
    await idle();
    verify();
    assert.deepEqual(await course(scene, app, id), [[0], 5]);
    await pass(5 * SECOND - 1);
    assert.equal(receiver.requests.length, 1);
    await pass(1);
    verify();
    assert.deepEqual(await course(scene, app, id), [[0, 5], 300]);
    await pass(300 * SECOND);
    verify();
    assert.deepEqual(await course(scene, app, id), [[0, 5, 305], null]);
    await pass(DAY);
    assert.equal(receiver.requests.length, 3);
    const attempts = await scene.attempts(app, id);
    assert.deepEqual(
      attempts.map(({ status, triggerType }) => [status, triggerType]),
      [
        [2, 0],
        [2, 0],
        [2, 0],
      ],
    );
    const [message] = (await svix.messageAttempt.listAttemptedMessages(app, endpoint)).data;
    assert.deepEqual([message?.status, message?.nextAttempt ?? null], [2, null]);
    const sent = (name: string) => new Set(receiver.requests.map(({ headers }) => headers[name]));
    for (const set of ["svix", "webhook"]) {
      assert.deepEqual([...sent(`${set}-id`)], [id]);
      assert.equal(sent(`${set}-timestamp`).size, 3);
      assert.equal(sent(`${set}-signature`).size, 3);
    }
    assert.equal(new Set(receiver.requests.map(({ text }) => text)).size, 1);
  });

  test(`${who}: 25. Retry count: an empty schedule makes one attempt`, async (t) => {
    const scene = await open(t);
    await schedule(scene, []);
    const receiver = await scene.receiver();
    receiver.answer({ status: 500 });
    const app = await scene.app();
    await scene.endpoint(app, { url: receiver.url });
    const { id } = await scene.message(app);
    await scene.idle();
    await scene.pass(DAY);
    assert.deepEqual(await course(scene, app, id), [[0], null]);
    assert.equal(receiver.requests.length, 1);
  });

  test(`${who}: 25. Retry count: a success on the second try stops`, async (t) => {
    const scene = await open(t);
    roll = 0.5;
    const receiver = await scene.receiver();
    receiver.answer({ status: 500 }, { status: 299 });
    const app = await scene.app();
    const { id: endpoint } = await scene.endpoint(app, { url: receiver.url });
    const { id } = await scene.message(app);
    await scene.idle();
    await scene.pass(5 * SECOND);
    assert.deepEqual(await course(scene, app, id), [[0, 5], null]);
    await scene.pass(DAY);
    const attempts = await scene.attempts(app, id);
    assert.deepEqual(
      attempts.map(({ status, responseStatusCode }) => [status, responseStatusCode]),
      [
        [2, 500],
        [0, 299],
      ],
    );
    const [message] = (await scene.svix.messageAttempt.listAttemptedMessages(app, endpoint)).data;
    assert.deepEqual([message?.status, message?.nextAttempt ?? null], [0, null]);
    assert.equal(receiver.requests.length, 2);
  });

  test(`${who}: 27. Retry-After: 8 of a wait of 5 s, 100, the past, and a timeout`, async (t) => {
    const scene = await open(t);
    const { clock, idle, pass } = scene;
    const receiver = await scene.receiver();
    await schedule(scene, [5]);
    const app = await scene.app();
    await scene.endpoint(app, { url: receiver.url });
    /** Seconds until the next try with the dice at both of their ends. */
    const waits = async (retryAfter: string | undefined, status = 503): Promise<[number, number]> => {
      const found: number[] = [];
      for (roll of [0, 0.999_999]) {
        receiver.answer({ status, headers: retryAfter === undefined ? {} : { "retry-after": retryAfter } });
        const { id } = await scene.message(app);
        await idle();
        const [, next] = await course(scene, app, id);
        assert.ok(next !== null);
        found.push(next);
        // Not a moment earlier than told.
        const calls = receiver.requests.length;
        await pass(next * SECOND - 1);
        assert.equal(receiver.requests.length, calls);
        await pass(1);
        assert.equal(receiver.requests.length, calls + 1);
      }
      return found as [number, number];
    };
    const date = (ms: number) => new Date(clock.now() + ms).toUTCString();
    assert.deepEqual(await waits("8"), [6.4, 9.6]);
    assert.deepEqual(await waits("7.2"), [6.4, 9.6], "parts of seconds are rounded up");
    assert.deepEqual(await waits("100"), [8, 12]);
    assert.deepEqual(await waits("9".repeat(50)), [8, 12]);
    for (const past of [date(-HOUR), "0", "1", "-5", "soon", "1e9", "", "2030-01-01", "8, 9", undefined]) {
      assert.deepEqual(await waits(past), [4, 6], `${past}`);
    }
    for (const status of [302, 400, 410, 500]) assert.deepEqual(await waits("8", status), [6.4, 9.6], `${status}`);
    clock.advance(1_000 - (clock.now() % 1_000));
    receiver.answer({ status: 503, headers: { "retry-after": date(8 * SECOND) } });
    roll = 0.5;
    const dated = await scene.message(app);
    await idle();
    assert.deepEqual(await course(scene, app, dated.id), [[0], 8]);
    await pass(8 * SECOND);

    // Too slow, or told that it is too much: a minute at least, with the jitter 48 s.
    assert.deepEqual(await waits(undefined, 429), [48, 72]);
    assert.deepEqual(await waits("90", 429), [72, 108]);
    assert.deepEqual(await waits("1000", 429), [96, 144]);
    roll = 0;
    receiver.answer("hang");
    const calls = receiver.requests.length;
    const slow = await scene.message(app);
    await receiver.received(calls + 1);
    await pass(TIMEOUT);
    const [attempt] = await scene.attempts(app, slow.id);
    assert.deepEqual([attempt?.status, attempt?.responseStatusCode], [2, 0]);
    assert.equal(attempt?.responseDurationMs, TIMEOUT);
    const [, next] = await course(scene, app, slow.id);
    assert.equal(next, TIMEOUT / SECOND + 48);
    receiver.answer({ status: 200 });
    await pass(48 * SECOND - 1);
    assert.equal(receiver.requests.length, calls + 1);
    await pass(1);
    assert.equal(receiver.requests.length, calls + 2);
  });

  test(`${who}: 27. Retry-After: a wait of the schedule that is longer than a minute counts as it is`, async (t) => {
    const scene = await open(t);
    await schedule(scene, [300]);
    roll = 0;
    const receiver = await scene.receiver();
    const app = await scene.app();
    await scene.endpoint(app, { url: receiver.url });
    for (const [status, headers, wait] of [
      [429, {}, 240],
      [503, { "retry-after": "8" }, 240],
      [503, { "retry-after": "400" }, 320],
      [503, { "retry-after": "86400" }, 480],
    ] as const) {
      receiver.answer({ status, headers });
      const { id } = await scene.message(app);
      await scene.idle();
      assert.deepEqual(await course(scene, app, id), [[0], wait]);
      await scene.pass(10 * MINUTE);
    }
  });

  test(`${who}: an environment's own schedule is in force from the next try on (§C.8)`, async (t) => {
    const scene = await open(t);
    roll = 0.5;
    const receiver = await scene.receiver();
    receiver.answer({ status: 500 });
    const app = await scene.app();
    await scene.endpoint(app, { url: receiver.url });
    await schedule(scene, [60, 60, 60]);
    const { id } = await scene.message(app);
    await scene.idle();
    assert.deepEqual(await course(scene, app, id), [[0], 60]);
    await scene.pass(MINUTE);
    assert.deepEqual(await course(scene, app, id), [[0, 60], 60]);
    // A schedule that is shorter by now is over with the try that is due.
    await schedule(scene, [10]);
    await scene.pass(MINUTE);
    assert.deepEqual(await course(scene, app, id), [[0, 60, 120], null]);
    await schedule(scene, null);
    const other = await scene.message(app);
    await scene.idle();
    assert.deepEqual(await course(scene, app, other.id), [[0], 5]);
    for (const retryPolicy of ["5", [-1], [1.5], ["5"], Array(100).fill(1), [10_000_000], {}]) {
      const answer = await scene.call("PATCH", "/management/environment-settings", { retryPolicy });
      assert.match(locs(answer)[0] ?? "", /^body\.retryPolicy/);
    }
  });

  test(`${who}: a receiver may stop the retries of a message, or all of them (§C.4)`, async (t) => {
    const scene = await open(t);
    const { svix, pass, idle } = scene;
    const receiver = await scene.receiver();
    const app = await scene.app();
    const { id: endpoint } = await scene.endpoint(app, { url: receiver.url });
    receiver.answer({ status: 500, headers: { "Webhook-Delivery": "Abort-Message" } });
    const { id } = await scene.message(app);
    await idle();
    await pass(DAY);
    assert.deepEqual(await course(scene, app, id), [[0], null]);
    assert.equal((await svix.endpoint.get(app, endpoint)).disabled, false);
    receiver.answer({ status: 410 });
    const gone = await scene.message(app);
    await idle();
    assert.equal((await svix.endpoint.get(app, endpoint)).disabled, false, "410 is a failure like any other");
    assert.notEqual((await course(scene, app, gone.id))[1], null);
    receiver.answer({ status: 200, headers: { "webhook-delivery": "disable" } });
    await scene.message(app);
    await idle();
    assert.equal((await svix.endpoint.get(app, endpoint)).disabled, true);
    const calls = receiver.requests.length;
    await scene.message(app);
    await pass(DAY);
    assert.equal(receiver.requests.length, calls, "neither new messages nor retries");
  });
});

for (const dialect of DIALECTS) {
  test(`${dialect}: 25. Retry count: without waits in the configuration there is one attempt; by default there are eight`, async (t) => {
    for (const [env, expected] of [
      [{ CARILLON_WEBHOOK_RETRY_SECONDS: "none" }, [0]],
      [{}, [0, 5, 305, 2_105, 9_305, 27_305, 63_305, 99_305]],
    ] as const) {
      const scene = await lonelyScene(t, { dialect, env, roll: () => 0.5 });
      const receiver = await scene.receiver();
      receiver.answer({ status: 500 });
      const app = await scene.app();
      await scene.endpoint(app, { url: receiver.url });
      const { id } = await scene.message(app);
      await scene.idle();
      for (let due = await course(scene, app, id); due[1] !== null; due = await course(scene, app, id)) {
        await scene.pass(due[1] * SECOND);
      }
      await scene.pass(DAY);
      assert.deepEqual(await course(scene, app, id), [expected, null]);
    }
  });
}
