/** Endpoints that are not to be sent more than so much a second: scenario 49. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HttpReceiver } from "../../../support/http-receiver.ts";
import { eventually } from "../eventually.ts";
import { callsByPath, forEachSpeaker, type Scene, SECOND } from "./scenario.ts";

const STEP = 50;

interface Arrival {
  /** After the beginning. */
  readonly atMs: number;
  readonly count: number;
}

/** Moves the clock in small steps until so many requests have come, and notes when they came. */
async function watch(scene: Scene, receiver: HttpReceiver, from: number, count: number): Promise<Arrival[]> {
  const start = scene.clock.now();
  const arrivals: Arrival[] = [];
  for (let known = from; known < from + count; ) {
    await scene.idle();
    const now = receiver.requests.length;
    if (now > known) arrivals.push({ atMs: scene.clock.now() - start, count: now - known });
    known = now;
    assert.ok(scene.clock.now() - start < 60 * SECOND, `only ${now - from} of ${count} have come`);
    if (known < from + count) scene.clock.advance(STEP);
  }
  // The last has come, but its answer need not be written down yet.
  await scene.idle();
  return arrivals;
}

/** The most that came within any one second. */
function busiest(arrivals: readonly Arrival[]): number {
  const within = (from: number) => arrivals.filter(({ atMs }) => atMs >= from && atMs < from + SECOND);
  return Math.max(...arrivals.map(({ atMs }) => within(atMs).reduce((sum, { count }) => sum + count, 0)));
}

forEachSpeaker({ env: { CARILLON_WEBHOOK_RETRY_SECONDS: "5" }, roll: () => 0.5 }, (who, open) => {
  test(`${who}: 49. Throttle: 20 messages at 5 a second are spread over 3 s and more, all of them delivered`, async (t) => {
    const scene = await open(t);
    const { svix, call } = scene;
    const receiver = await scene.receiver();
    const app = await scene.app();
    const { id } = await scene.endpoint(app, { url: receiver.url, uid: "e", throttleRate: 5 });
    const status = async () => (await call("GET", `/app/${app}/endpoint/e/rate-limit-status`)).body;
    assert.equal((await status()).status, "Ok");
    const start = scene.clock.now();
    const ids = (await Promise.all(Array.from({ length: 20 }, () => scene.message(app)))).map((one) => one.id);
    await scene.idle();
    assert.equal(receiver.requests.length, 5, "a second's worth at once");
    const limited = await eventually(status, (one) => one.status === "RateLimited", "that it is rate limited");
    assert.equal(Date.parse(limited.throttledSince), start);
    assert.ok(!Number.isNaN(new Date(limited.throttledSince).getTime()));
    const arrivals = [{ atMs: 0, count: 5 }, ...(await watch(scene, receiver, 5, 15))];
    const last = arrivals.at(-1)?.atMs ?? 0;
    assert.ok(last >= 3 * SECOND && last <= 3.5 * SECOND, `the last came after ${last} ms`);
    assert.ok(busiest(arrivals) <= 10, `${busiest(arrivals)} in one second: a full bucket and what comes into it`);
    assert.ok(busiest(arrivals.slice(1)) <= 6, `${busiest(arrivals.slice(1))} in one second`);
    await scene.idle();
    assert.deepEqual(new Set(receiver.requests.map(({ headers }) => headers["svix-id"])), new Set(ids));
    assert.equal(receiver.requests.length, 20);
    assert.deepEqual(await svix.endpoint.getStats(app, id), {
      success: 20,
      pending: 0,
      sending: 0,
      fail: 0,
      canceled: 0,
    });
    const failed = await svix.messageAttempt.listByEndpoint(app, id, { status: 2 });
    assert.deepEqual(failed.data, []);
    scene.clock.advance(SECOND);
    await scene.idle();
    assert.equal(
      (await eventually(status, (one) => one.status === "Ok", "that it is well again")).throttledSince ?? null,
      null,
    );
  });

  test(`${who}: 49. Throttle: the application's rate holds for each endpoint that has none of its own`, async (t) => {
    const scene = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    await scene.svix.application.patch(app, { throttleRate: 2 });
    await scene.endpoint(app, { url: `${receiver.url}/as-app`, uid: "as-app" });
    await scene.endpoint(app, { url: `${receiver.url}/as-app-too` });
    await scene.endpoint(app, { url: `${receiver.url}/own`, throttleRate: 4 });
    await Promise.all(Array.from({ length: 8 }, () => scene.message(app)));
    await scene.idle();
    assert.deepEqual(callsByPath(receiver), { "as-app": 2, "as-app-too": 2, own: 4 });
    await watch(scene, receiver, 8, 16);
    await scene.idle();
    assert.deepEqual(callsByPath(receiver), { "as-app": 8, "as-app-too": 8, own: 8 });
  });

  test(`${who}: 49. Throttle: retries and resends pass the same bucket; a new rate is in force at once (§C.12)`, async (t) => {
    const scene = await open(t);
    const { svix } = scene;
    const receiver = await scene.receiver();
    const app = await scene.app();
    const { id } = await scene.endpoint(app, { url: receiver.url, throttleRate: 1 });
    // The first message fails twice, whichever of what waits behind it comes when.
    receiver.answer(({ headers }, response) => {
      const tries = receiver.requests.filter((one) => one.headers["svix-id"] === headers["svix-id"]).length;
      response
        .writeHead(receiver.requests[0]?.headers["svix-id"] === headers["svix-id"] && tries < 3 ? 500 : 200)
        .end();
    });
    const failed = await scene.message(app);
    await scene.idle();
    assert.equal(receiver.requests.length, 1);
    // Its retry is due in five seconds; a resend and another message are there before it.
    await svix.messageAttempt.resend(app, failed.id, id);
    await scene.message(app);
    await scene.idle();
    assert.equal(receiver.requests.length, 1);
    const arrivals = await watch(scene, receiver, 1, 3);
    assert.deepEqual(
      arrivals.map(({ count }) => count),
      [1, 1, 1],
    );
    assert.ok((arrivals[1]?.atMs ?? 0) - (arrivals[0]?.atMs ?? 0) >= SECOND);
    const [first, byHand, retry] = await scene.attempts(app, failed.id);
    assert.deepEqual([first?.triggerType, byHand?.triggerType, retry?.triggerType], [0, 1, 0]);
    scene.clock.advance(SECOND);
    await scene.idle();
    await Promise.all(Array.from({ length: 12 }, () => scene.message(app)));
    await scene.idle();
    assert.equal(receiver.requests.length, 5);
    await svix.endpoint.patch(app, id, { throttleRate: null, rateLimit: null } as never);
    const rest = await watch(scene, receiver, 5, 11);
    assert.ok((rest.at(-1)?.atMs ?? 0) <= 2 * SECOND, "without a rate nothing is held back any longer");
  });

  test(`${who}: 49. Throttle: what is held back of an endpoint holds up no other; deleted, it is sent no more`, async (t) => {
    const scene = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    const { id } = await scene.endpoint(app, { url: `${receiver.url}/slow`, throttleRate: 1 });
    await Promise.all(Array.from({ length: 300 }, () => scene.message(app)));
    await scene.idle();
    const other = await scene.app();
    await scene.endpoint(other, { url: `${receiver.url}/quick` });
    await Promise.all(Array.from({ length: 50 }, () => scene.message(other)));
    await scene.idle();
    assert.deepEqual(callsByPath(receiver), { slow: 1, quick: 50 });
    await scene.svix.endpoint.patch(app, id, { disabled: true });
    for (let i = 0; i < 30; i++) await scene.pass(20 * SECOND);
    assert.deepEqual(callsByPath(receiver), { slow: 1, quick: 50 });
  });
});
