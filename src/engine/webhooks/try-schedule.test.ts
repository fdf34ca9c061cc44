import assert from "node:assert/strict";
import { test } from "node:test";
import { type FailedTry, nextTry } from "./try-schedule.ts";

const NOW = 1_700_000_000_000;
const SECOND = 1_000;

/** The wait that follows, with a roll that changes nothing unless told. */
function wait(failed: Partial<FailedTry>): number | null {
  const at = nextTry({
    attempts: 1,
    waitsMs: [5 * SECOND, 300 * SECOND],
    retryAfterMs: null,
    timedOut: false,
    statusCode: 500,
    roll: 0.5,
    now: NOW,
    ...failed,
  });
  return at === null ? null : at - NOW;
}

test("each failed try waits for its step of the schedule, and the one after the last step is the last", () => {
  assert.deepEqual(
    [1, 2, 3, 4].map((attempts) => wait({ attempts })),
    [5 * SECOND, 300 * SECOND, null, null],
  );
});

test("an empty schedule is one try", () => {
  assert.equal(wait({ waitsMs: [] }), null);
  assert.equal(wait({ waitsMs: [], retryAfterMs: 1, timedOut: true, statusCode: 429 }), null);
});

test("a wait of zero is a wait", () => {
  assert.equal(wait({ waitsMs: [0] }), 0);
  assert.equal(wait({ waitsMs: [0], retryAfterMs: 9_000 }), 0);
});

test("chance moves the wait by a fifth either way, and not further", () => {
  assert.equal(wait({ roll: 0 }), 4 * SECOND);
  assert.equal(wait({ roll: 0.999_999_999 }), 6 * SECOND);
});

test("Retry-After lengthens the wait up to twice itself, and never shortens it", () => {
  assert.equal(wait({ statusCode: 503, retryAfterMs: 8 * SECOND }), 8 * SECOND);
  assert.equal(wait({ statusCode: 503, retryAfterMs: 100 * SECOND }), 10 * SECOND);
  assert.equal(wait({ statusCode: 503, retryAfterMs: 1 }), 5 * SECOND);
  assert.equal(wait({ statusCode: 503, retryAfterMs: 0 }), 5 * SECOND);
  // Chance comes after it: the contract's 6.4 to 9.6 seconds, and at most 12.
  assert.deepEqual(
    [0, 1].map((roll) => wait({ retryAfterMs: 8 * SECOND, roll })),
    [6_400, 9_600],
  );
  assert.equal(wait({ retryAfterMs: 100 * SECOND, roll: 1 }), 12 * SECOND);
});

test("after a timeout or a 429 at least a minute passes, less a fifth", () => {
  assert.equal(wait({ statusCode: 0, timedOut: true }), 60 * SECOND);
  assert.equal(wait({ statusCode: 429 }), 60 * SECOND);
  assert.equal(wait({ statusCode: 429, roll: 0 }), 48 * SECOND);
  assert.equal(wait({ statusCode: 429, attempts: 2 }), 300 * SECOND);
  assert.equal(wait({ statusCode: 429, retryAfterMs: 90 * SECOND }), 90 * SECOND);
  assert.equal(wait({ statusCode: 429, retryAfterMs: 900 * SECOND }), 120 * SECOND);
});
