/** When a message is tried again at an endpoint. */
import type { Millis } from "../../lib/clock.ts";

/** A receiver that is too slow or says that it gets too much is given at least this long. */
const LEAST_WAIT_WHEN_OVERLOADED_MS = 60_000;
/** Part of the wait that chance may add or take, so that what failed together does not come back together. */
const JITTER = 0.2;

export interface FailedTry {
  /** Tries made of the schedule, the failed one included; manual ones do not count. */
  readonly attempts: number;
  /** Waits between tries: one more try than waits. */
  readonly waitsMs: readonly Millis[];
  /** What the receiver asked for, if it did. */
  readonly retryAfterMs: Millis | null;
  readonly timedOut: boolean;
  /** 0 when there was no answer. */
  readonly statusCode: number;
  /** In [0, 1). */
  readonly roll: number;
  readonly now: Millis;
}

/** @returns when the next try is due; null when the failed one was the last of the schedule. */
export function nextTry({
  attempts,
  waitsMs,
  retryAfterMs,
  timedOut,
  statusCode,
  roll,
  now,
}: FailedTry): Millis | null {
  const scheduled = waitsMs[attempts - 1];
  if (scheduled === undefined) return null;
  const least = timedOut || statusCode === 429 ? Math.max(scheduled, LEAST_WAIT_WHEN_OVERLOADED_MS) : scheduled;
  // The receiver may lengthen the wait, but never past twice our own: it must not be able to park our queue for a week.
  const wait = retryAfterMs === null ? least : Math.min(Math.max(retryAfterMs, least), 2 * least);
  return Math.round(now + wait * (1 - JITTER + 2 * JITTER * roll));
}
