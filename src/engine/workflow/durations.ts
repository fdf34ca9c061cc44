/**
 * Until when something lasts: a span of time, a moment that a run's data names, or the next time a rule such as
 * "weekdays at 9" comes round.
 */
import type { Millis } from "../../lib/clock.ts";
import { isObject, type Json } from "../../lib/json.ts";
import { DURATION_UNITS, type Duration, FREQUENCIES, type RepeatRule, WEEKDAYS } from "./model.ts";
import { nextOccurrence } from "./recurrence.ts";
import { parseTimestamp } from "./timestamps.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "./zones.ts";

export const MAX_DELAY_MS = 365 * DAY_MS;
export const MAX_THROTTLE_MS = 31 * DAY_MS;

export type WaitEnd =
  | { readonly kind: "at"; readonly at: Millis }
  /** The step is to be skipped; the reason is for the run's log. */
  | { readonly kind: "invalid"; readonly reason: string };

const UNIT_MS: { readonly [unit in Exclude<Duration["unit"], "months">]: Millis } = {
  seconds: 1000,
  minutes: MINUTE_MS,
  hours: HOUR_MS,
  days: DAY_MS,
  weeks: 7 * DAY_MS,
};

/** @returns null when it is no duration; its value may be negative or a fraction, of months only whole. */
export function readDuration(value: unknown): Duration | null {
  if (!isObject(value)) return null;
  const { unit, value: amount } = value;
  if (typeof amount !== "number" || !Number.isFinite(amount)) return null;
  const known = DURATION_UNITS.find((name) => name === unit);
  if (known === undefined || (known === "months" && !Number.isInteger(amount))) return null;
  return { unit: known, value: amount };
}

/**
 * Months are the calendar's in that zone (a month after January 31 is the end of February); days and weeks are so many
 * times 24 hours.
 * @returns null beyond what a calendar reaches.
 */
export function after(at: Millis, { unit, value }: Duration, zone: string): Millis | null {
  if (unit !== "months") {
    const end = Math.round(at + value * UNIT_MS[unit]);
    return Math.abs(end) <= 8.64e15 ? end : null;
  }
  try {
    return Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone).add({ months: value }).epochMilliseconds;
  } catch {
    return null;
  }
}

/** The end of a wait of fixed length. @param maxMs longer ones are invalid. */
export function fixedEnd(duration: Duration, now: Millis, zone: string, maxMs: Millis): WaitEnd {
  const end = after(now, duration, zone);
  return end === null || end < now ? invalid("the duration is negative or too long") : bounded(end, now, maxMs);
}

/**
 * The end of a wait that data decides: a moment to come in ISO 8601, a duration, or a rule
 * `{frequency, days?, hours?, minutes?, day_of_month?, interval?}` in the zone.
 */
export function dynamicEnd(value: Json | undefined, now: Millis, zone: string, maxMs: Millis): WaitEnd {
  if (value === undefined || value === null || value === "") return invalid("there is no value at the path");
  if (typeof value === "string") {
    const at = parseTimestamp(value);
    if (at === null) return invalid("the value is no time in ISO 8601");
    return at <= now ? invalid("the time has passed") : bounded(at, now, maxMs);
  }
  const duration = readDuration(value);
  if (duration !== null) return fixedEnd(duration, now, zone, maxMs);
  const rule = readRule(value);
  if (rule === null) return invalid("the value is neither a time nor a duration nor a rule");
  const next = nextOccurrence([rule], { after: now, from: null, until: null, zone, anchor: now });
  return next === null ? invalid("the rule never comes round") : bounded(next, now, maxMs);
}

/** The end of a wait until so long before (a negative duration) or after a moment that data names. */
export function offsetEnd(
  value: Json | undefined,
  offset: Duration,
  now: Millis,
  zone: string,
  maxMs: Millis,
): WaitEnd {
  const at = parseTimestamp(value);
  if (at === null) return invalid("the value at the path is no time in ISO 8601");
  const end = after(at, offset, zone);
  if (end === null) return invalid("the time is beyond the calendar");
  return end <= now ? invalid("the time has passed") : bounded(end, now, maxMs);
}

function bounded(at: Millis, now: Millis, maxMs: Millis): WaitEnd {
  if (at - now <= maxMs) return { kind: "at", at };
  return invalid(`the wait is longer than ${Math.round(maxMs / DAY_MS)} days`);
}

function invalid(reason: string): WaitEnd {
  return { kind: "invalid", reason };
}

// ——— rules ———————————————————————————————————————————————————————————————————————————————————————————————————————

const DAY_GROUPS: { readonly [name: string]: readonly (typeof WEEKDAYS)[number][] } = {
  weekdays: WEEKDAYS.slice(0, 5),
  weekends: WEEKDAYS.slice(5),
};

/** A rule as callers write it, for a wait or for a schedule. @returns null when it is none. */
export function readRule(value: unknown): RepeatRule | null {
  if (!isObject(value)) return null;
  const frequency = FREQUENCIES.find((name) => name === value.frequency);
  const days = readDays(value.days);
  const interval = readInteger(value.interval, 1, 1000);
  const dayOfMonth = readInteger(value.day_of_month, 1, 31);
  const hours = readInteger(value.hours, 0, 23);
  const minutes = readInteger(value.minutes, 0, 59);
  if (frequency === undefined || [days, interval, dayOfMonth, hours, minutes].includes(undefined)) return null;
  if ((minutes ?? 0) % 5 !== 0) return null;
  return {
    frequency,
    interval: interval ?? 1,
    days: days ?? null,
    dayOfMonth: dayOfMonth ?? null,
    hours: hours ?? null,
    minutes: minutes ?? null,
  };
}

/** In all of these, null is nothing and undefined is wrong. */
function readInteger(value: unknown, least: number, most: number): number | null | undefined {
  if (value === undefined || value === null) return null;
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most
    ? (value as number)
    : undefined;
}

function readDays(value: unknown): RepeatRule["days"] | undefined {
  if (value === undefined || value === null) return null;
  if (typeof value === "string") return Object.hasOwn(DAY_GROUPS, value) ? DAY_GROUPS[value] : undefined;
  if (!Array.isArray(value) || value.length > 14) return undefined;
  const named = value.flatMap((day: unknown): readonly unknown[] =>
    typeof day === "string" && Object.hasOwn(DAY_GROUPS, day) ? (DAY_GROUPS[day] ?? []) : [day],
  );
  if (!named.every((day) => WEEKDAYS.some((known) => known === day))) return undefined;
  return named.length === 0 ? null : WEEKDAYS.filter((day) => named.includes(day));
}
