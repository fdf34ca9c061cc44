import type { Millis } from "../lib/clock.ts";
import type { Outcome } from "./model.ts";
import type { RetrySchedule } from "./ports.ts";

/** For kinds of provider without a schedule of their own: half a second, doubling up to a minute, until time is over. */
export const USUAL_SCHEDULE: RetrySchedule = {
  waitsMs: [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000],
  jitter: 0.25,
  maxAttempts: Number.POSITIVE_INFINITY,
};

/** For what a workflow sends: eight tries within half an hour, the last one after 21 minutes (27 at the most). */
export const STEP_SCHEDULE: RetrySchedule = {
  waitsMs: [10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000],
  jitter: 0.25,
  maxAttempts: 8,
};

export type NextStep =
  | { readonly kind: "done" }
  | { readonly kind: "retry"; readonly at: Millis }
  /** This provider is over; whether another one follows is the plan's business. */
  | { readonly kind: "give-up"; readonly why: "rejected" | "time-over" | "attempts-over" };

export interface Limits {
  /** When the provider was first called. */
  readonly startedAt: Millis;
  readonly timeoutMs: Millis;
  /** End of the whole message. */
  readonly deadlineAt: Millis;
}

/**
 * What follows a try.
 * @param attempts made so far, this one included.
 * @param roll a number in [0, 1), for jitter.
 */
export function nextStep(
  outcome: Outcome,
  attempts: number,
  { waitsMs, jitter, maxAttempts }: RetrySchedule,
  limits: Limits,
  now: Millis,
  roll: number,
): NextStep {
  if (outcome.kind === "sent") return { kind: "done" };
  if (outcome.kind === "rejected") return { kind: "give-up", why: "rejected" };
  if (attempts >= maxAttempts) return { kind: "give-up", why: "attempts-over" };
  const step = waitsMs[Math.min(attempts, waitsMs.length) - 1] ?? waitsMs[0];
  const wait = step * (1 - jitter + 2 * jitter * roll);
  // Retry-After may lengthen the wait, but never past twice our longest: a receiver must not be able to park our queue.
  const asked = outcome.notBefore === undefined ? 0 : Math.min(outcome.notBefore - now, 2 * Math.max(...waitsMs));
  const at = Math.round(now + Math.max(wait, asked));
  if (at >= Math.min(limits.startedAt + limits.timeoutMs, limits.deadlineAt))
    return { kind: "give-up", why: "time-over" };
  return { kind: "retry", at };
}
