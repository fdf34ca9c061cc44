import type { Millis } from "../lib/clock.ts";
import type { Outcome } from "./model.ts";

/**
 * Waits between attempts at one provider, before jitter: half a second, doubling up to a minute. How long to go on is
 * not said here but by the provider's time limit.
 */
const FIRST_WAIT_MS: Millis = 500;
const LONGEST_WAIT_MS: Millis = 60_000;

export type NextStep =
  | { readonly kind: "done" }
  | { readonly kind: "retry"; readonly at: Millis }
  /** This provider is over; whether another one follows is the plan's business. */
  | { readonly kind: "give-up"; readonly why: "rejected" | "time-over" };

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
export function nextStep(outcome: Outcome, attempts: number, limits: Limits, now: Millis, roll: number): NextStep {
  if (outcome.kind === "sent") return { kind: "done" };
  if (outcome.kind === "rejected") return { kind: "give-up", why: "rejected" };
  const step = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempts - 1, 20));
  const wait = step * (0.75 + roll / 2);
  // Retry-After may lengthen the wait, but never past twice our longest: a receiver must not be able to park our queue.
  const asked = outcome.notBefore === undefined ? 0 : Math.min(outcome.notBefore - now, 2 * LONGEST_WAIT_MS);
  const at = Math.round(now + Math.max(wait, asked));
  if (at >= Math.min(limits.startedAt + limits.timeoutMs, limits.deadlineAt))
    return { kind: "give-up", why: "time-over" };
  return { kind: "retry", at };
}
