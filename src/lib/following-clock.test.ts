import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "./clock.ts";
import { FollowingClock } from "./following-clock.ts";

const MINUTE_MS = 60_000;

/** A clock of our own, and another that is `ahead` of it, or that cannot be asked. */
async function follow(ahead: number, answerAfterMs = 0) {
  const own = new FakeClock();
  const other = { ahead: ahead as number | null };
  const corrections: number[] = [];
  let asked = Promise.withResolvers<void>();
  const clock = new FollowingClock(
    async () => {
      if (other.ahead === null) {
        asked.resolve();
        throw new Error("away");
      }
      asked.resolve();
      own.advance(answerAfterMs / 2);
      const shown = own.now() + other.ahead;
      own.advance(answerAfterMs / 2);
      return shown;
    },
    own,
    (aheadMs) => corrections.push(aheadMs),
  );
  await clock.start();
  return {
    clock,
    own,
    other,
    corrections,
    ahead: () => clock.now() - own.now(),
    /** Lets the minute pass after which the other is asked again. */
    async aMinuteLater(): Promise<void> {
      asked = Promise.withResolvers();
      own.advance(MINUTE_MS);
      await asked.promise;
      // All answers are there, and the next minute is waited for.
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test("is set to the other clock at once, however far off, forward and back", async () => {
  for (const ahead of [3_600_000, -3_600_000]) {
    const { clock, own } = await follow(ahead);
    assert.equal(clock.now(), own.now() + ahead);
    own.advance(1);
    assert.equal(clock.now(), own.now() + ahead);
  }
});

test("takes half of the way there and back for what the answer took", async () => {
  const { ahead } = await follow(500, 40);
  assert.equal(ahead(), 500);
});

test("leaves alone what the way there and back may account for", async () => {
  const { other, ahead, corrections, aMinuteLater } = await follow(500, 40);
  other.ahead = 515;
  await aMinuteLater();
  assert.equal(ahead(), 500);
  other.ahead = 530;
  await aMinuteLater();
  assert.equal(ahead(), 530);
  assert.deepEqual(corrections, [500, 30]);
});

test("jumps forward when the other has", async () => {
  const { other, ahead, corrections, aMinuteLater } = await follow(0);
  other.ahead = 7_000;
  await aMinuteLater();
  assert.equal(ahead(), 7_000);
  assert.deepEqual(corrections, [0, 7_000]);
});

test("never goes back: it runs at half speed until the other has come up", async () => {
  const { other, own, clock, ahead, aMinuteLater } = await follow(0);
  other.ahead = -10_000;
  await aMinuteLater();
  assert.equal(ahead(), 0);
  let last = clock.now();
  for (let passed = 1_000; passed <= 30_000; passed += 1_000) {
    own.advance(1_000);
    assert.equal(ahead(), Math.max(-10_000, -passed / 2));
    assert.ok(clock.now() > last);
    last = clock.now();
  }
});

test("goes on by itself while the other cannot be asked, and asks again", async () => {
  const { other, ahead, aMinuteLater } = await follow(1_000);
  other.ahead = null;
  await aMinuteLater();
  assert.equal(ahead(), 1_000);
  other.ahead = 2_000;
  await aMinuteLater();
  assert.equal(ahead(), 2_000);
});

test("wakes in time: earlier when it jumps, and not later because it was slowed down", async () => {
  const { clock, own, other, aMinuteLater } = await follow(0);
  const woken: string[] = [];
  clock.wakeAt(clock.now() + 5 * MINUTE_MS, () => woken.push("far"));
  clock.wakeAt(clock.now() + 2 * MINUTE_MS, () => woken.push("near"));
  clock.wakeAt(clock.now() + 2 * MINUTE_MS, () => woken.push("called off"))();
  other.ahead = MINUTE_MS;
  await aMinuteLater();
  assert.deepEqual(woken, ["near"]);
  other.ahead = 0;
  await aMinuteLater();
  own.advance(2 * MINUTE_MS);
  assert.deepEqual(woken, ["near", "far"]);
});

test("asks nobody any more once it is stopped", async () => {
  const { clock, own, other, corrections } = await follow(0);
  clock.stop();
  other.ahead = 1_000;
  own.advance(10 * MINUTE_MS);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(corrections.length, 1);
});
