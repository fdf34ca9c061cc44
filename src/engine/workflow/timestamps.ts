/** Moments as people and programs write them: ISO 8601, or reckoned from now (`7 days ago`, `in 3 hours`). */
import type { Millis } from "../../lib/clock.ts";
import { MINUTE_MS } from "./zones.ts";

const ISO = /^\d{4}-\d\d-\d\d(?:[Tt ]\d\d:?\d\d(?::?\d\d(?:[.,]\d{1,9})?)?)?(?:([Zz])|( ?UTC)|([+-]\d\d(?::?\d\d)?))?$/;
const MAX_CHARS = 64;

/**
 * Reads a date or a date and time in ISO 8601; without an offset it is in UTC, without a time it is midnight.
 * @returns null for anything else, dates that do not exist included.
 */
export function parseTimestamp(value: unknown): Millis | null {
  if (typeof value !== "string" || value.length > MAX_CHARS) return null;
  const text = value.trim();
  const match = ISO.exec(text);
  if (match === null) return null;
  try {
    // With a mere date an offset says nothing that the date does not.
    if (match[3] !== undefined && text.length > 16) return Temporal.Instant.from(text).epochMilliseconds;
    const local = text.slice(0, text.length - (match[1] ?? match[2] ?? match[3] ?? "").length);
    return Temporal.PlainDateTime.from(local).toZonedDateTime("UTC").epochMilliseconds;
  } catch {
    return null;
  }
}

const RELATIVE = /^(?:(in) +)?(\d{1,6}) +(second|minute|hour|day|week|month|year)s?(?: +(ago|from now))?$/i;

/** Shorter spans are refused: who wants the present asks for it. */
export const SHORTEST_SPAN_MS = 15 * MINUTE_MS;

export type Relative = { readonly kind: "moment"; readonly at: Millis } | { readonly kind: "too_short" };

/**
 * Reads a moment reckoned from `now`: `now`, `7 days ago`, `in 3 hours`, `3 hours from now`. Months and years are the
 * calendar's, in UTC.
 * @returns null for a text that is nothing of the kind.
 */
export function parseRelative(text: string, now: Millis): Relative | null {
  if (text.length > MAX_CHARS) return null;
  const trimmed = text.trim();
  if (/^now$/i.test(trimmed)) return { kind: "moment", at: now };
  const match = RELATIVE.exec(trimmed);
  if (match === null || (match[1] !== undefined) === (match[4] !== undefined)) return null;
  const past = match[4]?.toLowerCase() === "ago";
  const amount = Number(match[2]) * (past ? -1 : 1);
  const unit = `${(match[3] as string).toLowerCase()}s`;
  try {
    const at = Temporal.Instant.fromEpochMilliseconds(now)
      .toZonedDateTimeISO("UTC")
      .add({ [unit]: amount }).epochMilliseconds;
    return Math.abs(at - now) < SHORTEST_SPAN_MS ? { kind: "too_short" } : { kind: "moment", at };
  } catch {
    // Hundreds of thousands of years are beyond the calendar.
    return null;
  }
}
