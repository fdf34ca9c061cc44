/** Lanes when something goes wrong: endpoints that hang, clocks that jump, a database that is away, a stop. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LEASE, lanesWorld, settled } from "../../../test/support/lanes-world.ts";
import { FakeClock } from "../../lib/clock.ts";
import type { Delivery } from "../model.ts";

/** As the system's: what was to wake after a time does so after that time, wherever the clock is set. */
class AdjustedClock extends FakeClock {
  #aheadMs = 0;
  override now(): number {
    return super.now() + this.#aheadMs;
  }
  override wakeAt(at: number, wake: () => void): () => void {
    return super.wakeAt(at - this.#aheadMs, wake);
  }
  adjust(ms: number): void {
    this.#aheadMs += ms;
  }
}

test("300 endpoints that hang with a backlog delay a healthy one by seconds at most, and then not at all", async () => {
  const { lanes, clock, endpoint, deliveries, begun, finish, pass } = lanesWorld({
    room: 256,
    slowRoom: 1_000,
    perEndpoint: 64,
  });
  const backlog = Array.from({ length: 300 }, () => deliveries(endpoint(), 100)).flat();
  const healthy = endpoint();
  const own = deliveries(healthy, 50);
  const queue = [...backlog, ...own];
  const claim = async (): Promise<void> => {
    while (queue.length > 0 && lanes.room > 0) {
      lanes.take(queue.splice(0, Math.min(256, lanes.room)), clock.now() + LEASE);
      await settled();
    }
  };
  const begunOwn = (): Delivery[] => begun.filter(({ providerId }) => providerId === healthy.id);
  let ms = 0;
  for (; ms < 5_000 && begunOwn().length < own.length; ms += 50) {
    await claim();
    await finish(begunOwn());
    await pass(50);
  }
  assert.equal(begunOwn().length, own.length, `all began within 5 s; ${ms} ms have passed`);
  await finish(begunOwn());
  // Now that they are known, what comes in for the healthy one begins at once.
  for (let i = 0; i < 100; i++) {
    const places = lanes.offer(deliveries(healthy, 1));
    assert.equal(places.own.length, 1, "there is room for it");
    lanes.adopt(places);
    assert.ok(begun.includes(places.own[0] as Delivery), "it began");
    await finish([...places.own]);
    await pass(50);
  }
});

test("a lane that became slow while it queued up does not hold up those behind it", async () => {
  const { lanes, clock, endpoint, deliveries, begun, finish, prove, pass } = lanesWorld({ room: 6, slowRoom: 2 });
  const [hanging, wide, other, next] = [endpoint(), endpoint(), endpoint(), endpoint()];
  // The room for slow tries is full.
  for (const to of [endpoint(), endpoint()]) lanes.take(deliveries(to, 1), clock.now() + LEASE);
  await pass(1_000);
  await prove(hanging);
  await prove(wide);
  lanes.take(deliveries(hanging, 3), clock.now() + LEASE);
  await pass(500);
  const quick = deliveries(other, 1);
  lanes.take([...deliveries(wide, 2), ...quick], clock.now() + LEASE);
  // No room: both queue up, the hanging one first. Then its tries become slow, and leave their room to the others.
  lanes.take(deliveries(hanging, 2), clock.now() + LEASE);
  const waiting = deliveries(next, 1);
  lanes.take(waiting, clock.now() + LEASE);
  assert.equal(begun.includes(waiting[0] as Delivery), false);
  await pass(500);
  await finish(quick);
  assert.ok(begun.includes(waiting[0] as Delivery));
});

test("what waits when its endpoint gets a rate is sent at that rate", async () => {
  const { lanes, clock, endpoint, deliveries, begun, finishAll, prove, pass, world } = lanesWorld();
  const to = endpoint();
  await prove(to);
  const all = deliveries(to, 40);
  lanes.take(all, clock.now() + LEASE);
  world.rate = 2;
  lanes.decline(lanes.offer(deliveries(to, 1)));
  for (let s = 0; s < 40; s++) {
    await finishAll();
    await pass(500);
  }
  await finishAll();
  assert.equal(begun.length, 40);
  await lanes.idle();
});

test("a rate that is raised holds for what is parked already", async () => {
  const { lanes, clock, endpoint, deliveries, begun, finishAll, prove, pass, world } = lanesWorld();
  const to = endpoint();
  await prove(to);
  world.rate = 1;
  lanes.take(deliveries(to, 100), clock.now() + LEASE);
  await finishAll();
  world.rate = 100;
  for (let i = 0; i < 30; i++) {
    await pass(100);
    await finishAll();
  }
  assert.equal(begun.length, 100);
});

test("an endpoint that is not in memory for a moment keeps its rate", async () => {
  const { lanes, clock, endpoint, deliveries, begun, finishAll, prove, world } = lanesWorld();
  const to = endpoint();
  await prove(to);
  world.rate = 3;
  lanes.take(deliveries(to, 3), clock.now() + LEASE);
  world.rate = undefined;
  lanes.take(deliveries(to, 10), clock.now() + LEASE);
  await settled();
  await finishAll();
  assert.equal(begun.length, 3);
});

test("after a claim that failed a lane goes on with what is parked", async () => {
  const { lanes, clock, endpoint, deliveries, begun, finishAll, pass } = lanesWorld({ failingClaims: 2 });
  lanes.take(deliveries(endpoint(), 300), clock.now() + LEASE);
  await settled();
  await finishAll();
  for (let i = 0; i < 4; i++) {
    await pass(1_000);
    await finishAll();
  }
  assert.equal(begun.length, 300);
});

test("what a process that is gone has parked is found with the first try, and what another parks within a minute", async () => {
  const { lanes, clock, endpoint, deliveries, begun, finishAll, pass, put, world } = lanesWorld();
  const to = endpoint();
  for (const delivery of deliveries(to, 20)) put(delivery);
  lanes.take(deliveries(to, 1), clock.now() + LEASE);
  await finishAll();
  assert.equal(begun.length, 21);
  for (const delivery of deliveries(to, 20)) put(delivery);
  const { claims } = world;
  for (let s = 0; s < 60; s++) {
    await pass(1_000);
    lanes.take(deliveries(to, 1), clock.now() + LEASE);
    await finishAll();
  }
  assert.equal(begun.length, 21 + 60 + 20);
  assert.ok(world.claims - claims <= 25, `${world.claims - claims} looks`);
});

test("what is promised while the lanes stop is given back once it is stored", async () => {
  const { lanes, endpoint, deliveries, begun, released } = lanesWorld();
  const places = lanes.offer(deliveries(endpoint(), 1));
  assert.equal(places.own.length, 1);
  lanes.stop();
  const idle = lanes.idle();
  lanes.adopt(places);
  await idle;
  assert.deepEqual([begun, released], [[], places.own]);
});

test("what was claimed while the lanes stopped is given back, not parked", async () => {
  const { lanes, clock, endpoint, deliveries, released, parked } = lanesWorld();
  lanes.stop();
  const late = deliveries(endpoint(), 3);
  await Promise.all(lanes.take(late, clock.now() + LEASE));
  assert.deepEqual(released, late);
  assert.equal(parked.size, 0);
});

test("what waits longer than its lease is left to whoever claims it then", async () => {
  const clock = new AdjustedClock();
  const { lanes, endpoint, deliveries, begun, finishAll, prove } = lanesWorld({ perEndpoint: 2, clock });
  const to = endpoint();
  await prove(to);
  lanes.take(deliveries(to, 4), clock.now() + LEASE);
  assert.equal(begun.length, 2);
  // The process was suspended, and what was answered meanwhile is read before anything is renewed.
  clock.adjust(LEASE);
  await finishAll();
  assert.equal(begun.length, 2);
  await lanes.idle();
});

test("what was stored only after its lease was over is not tried under it", async () => {
  const { lanes, clock, endpoint, deliveries, begun, world } = lanesWorld();
  const places = lanes.offer(deliveries(endpoint(), 1));
  clock.advance(LEASE);
  lanes.adopt(places);
  await lanes.idle();
  assert.equal(begun.length, 0);
  assert.equal(world.rooms, 1, "it is claimed like any other");
});

test("who found no room for promises alone is called back when they are not kept", () => {
  const { lanes, endpoint, deliveries, world } = lanesWorld({ room: 1 });
  const places = [1, 2, 3].map(() => lanes.offer(deliveries(endpoint(), 1)));
  assert.equal(lanes.room, 0);
  lanes.starve();
  for (const promised of places) lanes.decline(promised);
  assert.equal(world.rooms, 1);
});

test("a clock that is set back does not keep hanging tries from being found slow", async () => {
  const clock = new AdjustedClock();
  const { lanes, endpoint, deliveries, pass } = lanesWorld({ room: 2, clock });
  lanes.take(deliveries(endpoint(), 1), clock.now() + LEASE);
  clock.adjust(-3_600_000);
  lanes.take(deliveries(endpoint(), 1), clock.now() + LEASE);
  for (let s = 0; s < 3; s++) await pass(1_000);
  assert.equal(lanes.room, 6);
});

test("lanes of endpoints with a rate are forgotten when they have all of their tokens again", async () => {
  const { lanes, clock, endpoint, deliveries, finishAll } = lanesWorld({ rate: 1, room: 50_000 });
  for (let i = 0; i < 3; i++) {
    const all = Array.from({ length: 20_000 }, () => deliveries(endpoint(), 1)).flat();
    lanes.take(all, clock.now() + LEASE);
    await finishAll();
    clock.advance(60_000);
    await settled();
  }
  assert.ok(lanes.known <= 40_000, `${lanes.known} lanes`);
});

test("what an earlier process has parked is begun by the next one, endpoint after endpoint", async () => {
  const { lanes, endpoint, deliveries, put, begun, finishAll } = lanesWorld();
  const backlog = [endpoint(), endpoint(), endpoint()].flatMap((to) => deliveries(to, 5));
  for (const delivery of backlog) put(delivery);
  await lanes.resume();
  await settled();
  await finishAll();
  assert.equal(begun.length, 15);
});
