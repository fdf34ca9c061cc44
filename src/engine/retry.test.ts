import assert from "node:assert/strict";
import { test } from "node:test";
import type { RetrySchedule } from "./ports.ts";
import { nextStep, USUAL_SCHEDULE } from "./retry.ts";

const limits = { startedAt: 0, timeoutMs: 300_000, deadlineAt: 1_000_000 };
const failed = { kind: "failed", reason: "503" } as const;

test("doubles the wait from half a second up to a minute", () => {
  const waits = [1, 2, 3, 4, 20].map((attempts) => {
    const step = nextStep(failed, attempts, USUAL_SCHEDULE, limits, 0, 0.5);
    return step.kind === "retry" ? step.at : step.kind;
  });
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 60_000]);
});

test("spreads the wait by a quarter to both sides", () => {
  assert.deepEqual(nextStep(failed, 2, USUAL_SCHEDULE, limits, 0, 0), { kind: "retry", at: 750 });
  assert.deepEqual(nextStep(failed, 2, USUAL_SCHEDULE, limits, 0, 0.9999), { kind: "retry", at: 1250 });
});

test("honours Retry-After, but not for longer than two minutes", () => {
  assert.deepEqual(nextStep({ ...failed, notBefore: 30_000 }, 1, USUAL_SCHEDULE, limits, 0, 0.5), {
    kind: "retry",
    at: 30_000,
  });
  assert.deepEqual(nextStep({ ...failed, notBefore: 9_000_000 }, 1, USUAL_SCHEDULE, limits, 0, 0.5), {
    kind: "retry",
    at: 120_000,
  });
});

test("gives up when the next try would come after the provider's limit", () => {
  assert.deepEqual(nextStep(failed, 1, USUAL_SCHEDULE, { ...limits, timeoutMs: 400 }, 0, 0.5), {
    kind: "give-up",
    why: "time-over",
  });
});

test("gives up when the next try would come after the end of the message", () => {
  assert.deepEqual(nextStep(failed, 1, USUAL_SCHEDULE, { ...limits, deadlineAt: 500 }, 0, 0.5), {
    kind: "give-up",
    why: "time-over",
  });
});

test("does not try again what was rejected", () => {
  const rejected = { kind: "rejected", reason: "550 no such user" } as const;
  assert.deepEqual(nextStep(rejected, 1, USUAL_SCHEDULE, limits, 0, 0.5), { kind: "give-up", why: "rejected" });
});

test("a kind's own schedule is followed, its last wait repeated, until its attempts are used up", () => {
  const schedule: RetrySchedule = { waitsMs: [5_000, 30_000], jitter: 0, maxAttempts: 4 };
  const steps = [1, 2, 3, 4].map((attempts) => nextStep(failed, attempts, schedule, limits, 0, 0.9));
  assert.deepEqual(steps, [
    { kind: "retry", at: 5_000 },
    { kind: "retry", at: 30_000 },
    { kind: "retry", at: 30_000 },
    { kind: "give-up", why: "attempts-over" },
  ]);
});

test("Retry-After is bounded by twice the longest wait of the schedule", () => {
  const schedule: RetrySchedule = { waitsMs: [1_000, 3_000], jitter: 0, maxAttempts: 9 };
  const step = nextStep({ ...failed, notBefore: 60_000 }, 1, schedule, limits, 0, 0);
  assert.deepEqual(step, { kind: "retry", at: 6_000 });
});
