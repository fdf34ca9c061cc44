import type { Millis } from "../lib/clock.ts";

/** Keeps the sum a safe integer; how long a wait is honoured is the retry policy's business. */
const LONGEST_MS = 366 * 24 * 60 * 60 * 1000;

const SECONDS = /^\d+(\.\d+)?$/;
/** The three date forms of RFC 9110 §5.6.7 all begin with a weekday; other things that Date.parse takes do not count. */
const HTTP_DATE = /^(Mon|Tues?|Wed(nes)?|Thu(rs)?|Fri|Sat(ur)?|Sun)(day)?,? /;

/**
 * Reads a Retry-After header: seconds, of which parts are rounded up, or an HTTP date.
 * @returns the moment it names, never before `now` nor more than a year after it; null when it says nothing usable.
 */
export function retryAfter(value: string | readonly string[] | undefined, now: Millis): Millis | null {
  const text = (typeof value === "string" ? value : value?.[0])?.trim();
  if (text === undefined || text.length > 64) return null;
  if (SECONDS.test(text)) return now + Math.min(Math.ceil(Number(text)) * 1000, LONGEST_MS);
  if (!HTTP_DATE.test(text)) return null;
  // The asctime form names no zone and means UTC, as the others do.
  const at = Date.parse(/(GMT|UTC|[+-]\d{4})$/.test(text) ? text : `${text} GMT`);
  return Number.isNaN(at) ? null : Math.min(Math.max(at, now), now + LONGEST_MS);
}
