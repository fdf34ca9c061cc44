import assert from "node:assert/strict";
import { test } from "node:test";
import { type Clock, FakeClock } from "../lib/clock.ts";
import { Deadlines, type Mortal } from "./deadlines.ts";

/** Deadlines that write down who expired, on a clock that counts its timers. */
function world() {
  const clock = new FakeClock();
  const begin = clock.now();
  let timers = 0;
  const counting: Clock = {
    now: () => clock.now(),
    wakeAt: (at, wake) => {
      timers++;
      return clock.wakeAt(at, wake);
    },
  };
  const deadlines = new Deadlines(counting);
  const expired: string[] = [];
  const add = (name: string, spanMs: number): Mortal => {
    const mortal = {
      deadlineAt: clock.now() + spanMs,
      expire: () => expired.push(`${name} ${clock.now() - begin}`),
    };
    deadlines.add(mortal, spanMs);
    return mortal;
  };
  return { clock, deadlines, expired, add, timers: () => timers };
}

test("everyone expires at the deadline, and those who are over do not", () => {
  const { clock, deadlines, expired, add } = world();
  add("a", 100);
  const b = add("b", 100);
  add("short", 30);
  clock.advance(50);
  add("c", 100);
  deadlines.remove(b, 100);
  clock.advance(50);
  clock.advance(50);
  clock.advance(500);
  assert.deepEqual(expired, ["short 50", "a 100", "c 150"]);
});

test("one timer does for all of a span, and none is left when nobody waits", () => {
  const { clock, deadlines, expired, add, timers } = world();
  const all = Array.from({ length: 1_000 }, (_, i) => add(String(i), 100));
  assert.equal(timers(), 1);
  for (const mortal of all) deadlines.remove(mortal, 100);
  clock.advance(1_000);
  assert.deepEqual(expired, []);
  assert.equal(timers(), 1);
  add("later", 100);
  clock.advance(100);
  assert.deepEqual(expired, ["later 1100"]);
});

test("who is added or removed while others expire is treated by their own deadline", () => {
  const { clock, deadlines, expired, add } = world();
  const removed = { deadlineAt: clock.now() + 100, expire: () => expired.push("removed") };
  deadlines.add(
    {
      deadlineAt: clock.now() + 100,
      expire: () => {
        deadlines.remove(removed, 100);
        add("new", 100);
      },
    },
    100,
  );
  deadlines.add(removed, 100);
  clock.advance(100);
  assert.deepEqual(expired, []);
  clock.advance(100);
  assert.deepEqual(expired, ["new 200"]);
});

test("removing twice, or after the deadline, is harmless", () => {
  const { clock, deadlines, expired, add } = world();
  const a = add("a", 100);
  clock.advance(100);
  deadlines.remove(a, 100);
  const b = add("b", 100);
  deadlines.remove(b, 100);
  deadlines.remove(b, 100);
  clock.advance(100);
  assert.deepEqual(expired, ["a 100"]);
});
