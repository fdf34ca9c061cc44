import assert from "node:assert/strict";
import { test } from "node:test";
import { LEASE, lanesWorld, settled } from "../../../test/support/lanes-world.ts";
import type { Delivery } from "../model.ts";

test("one endpoint gets no more than its share at once, and the rest when there is room", async () => {
  const { lanes, clock, endpoint, deliveries, begun, running, finish } = lanesWorld();
  const busy = endpoint();
  lanes.take(deliveries(busy, 50), clock.now() + LEASE);
  await settled();
  const first = begun.length;
  assert.ok(first >= 1 && first <= 16, `${first} began at once`);
  while (running.size > 0) await finish([...running.keys()].slice(0, 4));
  assert.equal(begun.length, 50);
  assert.equal(lanes.running, 0);
  assert.ok(lanes.quiet);
});

test("endpoints that hang do not take the room of others", async () => {
  const { lanes, clock, endpoint, deliveries, begun, running } = lanesWorld({ room: 20, slowRoom: 10 });
  for (let i = 0; i < 40; i++) {
    lanes.take(deliveries(endpoint(), 2), clock.now() + LEASE);
    await settled();
    // After a second they no longer count against the room of all.
    clock.advance(1_000);
    await settled();
    assert.equal(lanes.room, 60);
  }
  assert.ok(running.size >= 40, `${running.size} are under way`);
  const healthy = deliveries(endpoint(), 1);
  lanes.take(healthy, clock.now() + LEASE);
  assert.ok(begun.includes(healthy[0] as Delivery));
});

test("a lane that hung gets two tries at a time until it answers", async () => {
  const { lanes, clock, endpoint, deliveries, running, finish } = lanesWorld();
  const slow = endpoint();
  const [first] = deliveries(slow, 1);
  lanes.take([first as Delivery], clock.now() + LEASE);
  clock.advance(2_000);
  await settled();
  await finish([first as Delivery], false);
  lanes.take(deliveries(slow, 10), clock.now() + LEASE);
  await settled();
  assert.equal(running.size, 2);
  await finish([...running.keys()]);
  assert.ok(running.size > 2, `${running.size} run now`);
});

// In life: a receiver that takes a second and a half for each webhook got two at a time, 80 a minute, and fell behind for good.
test("an endpoint that answers late, but answers, gets more and more tries at once", async () => {
  const { lanes, clock, endpoint, deliveries, begun, running, finish, pass } = lanesWorld({ slowRoom: 100 });
  const late = endpoint();
  lanes.take(deliveries(late, 400), clock.now() + LEASE);
  await settled();
  let widest = 0;
  for (let i = 0; i < 30; i++) {
    await pass(1_500);
    await finish([...running.keys()]);
    widest = Math.max(widest, running.size);
  }
  assert.equal(widest, 16);
  assert.ok(begun.length > 300, `${begun.length} began in 45 s`);
});

test("an endpoint that hangs keeps to two tries, also after it has answered late for a while", async () => {
  const { lanes, clock, endpoint, deliveries, running, finish, pass } = lanesWorld({ slowRoom: 100 });
  const hanging = endpoint();
  lanes.take(deliveries(hanging, 400), clock.now() + LEASE);
  await settled();
  for (let i = 0; i < 10; i++) {
    await pass(1_500);
    await finish([...running.keys()]);
  }
  assert.equal(running.size, 16);
  // The last of those that began together.
  await pass(15_000);
  await finish([...running.keys()], false);
  assert.equal(running.size, 2);
});

test("who has just become slow is served in turn with those that answer late", async () => {
  const { lanes, clock, endpoint, deliveries, begun, running, finish, pass } = lanesWorld({ slowRoom: 16 });
  const late = endpoint();
  lanes.take(deliveries(late, 200), clock.now() + LEASE);
  await settled();
  for (let i = 0; i < 10; i++) {
    await pass(1_500);
    await finish([...running.keys()]);
  }
  assert.equal(running.size, 16);
  const other = endpoint();
  const first = deliveries(other, 1);
  lanes.take(first, clock.now() + LEASE);
  await settled();
  await pass(1_000);
  const more = deliveries(other, 1);
  lanes.take(more, clock.now() + LEASE);
  await settled();
  await finish(begun.slice(-8).filter(({ providerId }) => providerId === late.id));
  assert.ok(begun.includes(more[0] as Delivery));
});

test("a slow try lets its claimer go, but is waited for by idle", async () => {
  const { lanes, clock, endpoint, deliveries, finish } = lanesWorld();
  const [one] = deliveries(endpoint(), 1) as [Delivery];
  const pieces = lanes.take([one], clock.now() + LEASE);
  clock.advance(1_000);
  await Promise.all(pieces);
  assert.equal(lanes.quiet, false);
  const idle = lanes.idle();
  await finish([one]);
  await idle;
});

test("a rate is kept: a second's worth at once, then one after the other", async () => {
  const { lanes, clock, endpoint, deliveries, begun, finish, prove, world } = lanesWorld();
  const throttled = endpoint();
  await prove(throttled);
  world.rate = 5;
  const all = deliveries(throttled, 20);
  const startedAt = clock.now();
  lanes.take(all, startedAt + LEASE);
  await settled();
  assert.equal(begun.length, 5);
  assert.equal(lanes.throttledSince(throttled.id), startedAt);
  await finish(begun);
  for (let s = 1; s <= 3; s++) {
    for (let i = 0; i < 10; i++) {
      clock.advance(100);
      await settled();
      await finish(begun);
    }
    assert.equal(begun.length, 5 + 5 * s);
  }
  for (let i = 0; i < 5; i++) {
    clock.advance(100);
    await settled();
  }
  assert.equal(lanes.throttledSince(throttled.id), null);
});

test("who found no room is called back", async () => {
  const { lanes, clock, endpoint, deliveries, finish, running, world } = lanesWorld({ room: 2 });
  lanes.take(Array.from({ length: 6 }, () => deliveries(endpoint(), 1)).flat(), clock.now() + LEASE);
  assert.equal(lanes.room, 0);
  lanes.starve();
  await finish([...running.keys()].slice(0, 1));
  assert.equal(world.rooms, 1);
});

test("lanes that found no room are served in turn as others end, whoever's they are", async () => {
  const { lanes, clock, endpoint, deliveries, finish, running, begun } = lanesWorld({ room: 2 });
  const all = Array.from({ length: 6 }, () => deliveries(endpoint(), 1)).flat();
  lanes.take(all, clock.now() + LEASE);
  assert.equal(begun.length, 2);
  while (running.size > 0) await finish([...running.keys()].slice(0, 1));
  assert.deepEqual(begun, all);
});

test("what a lane has room for is born under a lease, what it has not is born parked", async () => {
  const { lanes, clock, endpoint, deliveries, finish, running, begun, parked, prove } = lanesWorld({ perEndpoint: 8 });
  const to = endpoint();
  await prove(to);
  const first = lanes.offer(deliveries(to, 4));
  assert.equal(first.own.length, 4);
  lanes.adopt(first);
  assert.equal(begun.length, 4);
  lanes.take(deliveries(to, 500), clock.now() + LEASE);
  await settled();
  const late = lanes.offer(deliveries(to, 1));
  assert.equal(late.own.length, 0);
  assert.ok((late.deliveries[0]?.parkedUntil ?? 0) > clock.now());
  parked.get(to.id)?.push(...late.deliveries);
  lanes.adopt(late);
  while (running.size > 0) await finish([...running.keys()]);
  assert.equal(begun.length, 505);
  await lanes.idle();
});

test("a stopped lane takes nothing more from what is parked", async () => {
  const { lanes, clock, endpoint, deliveries, begun, running, finish } = lanesWorld();
  lanes.take(deliveries(endpoint(), 40), clock.now() + LEASE);
  await settled();
  lanes.stop();
  const before = begun.length;
  await finish([...running.keys()]);
  assert.equal(begun.length, before);
  await lanes.idle();
});
