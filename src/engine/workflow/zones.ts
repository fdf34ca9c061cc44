/** What a local time means in a time zone, across changes of the clock. */
import type { Millis } from "../../lib/clock.ts";
import { timezoneOf } from "../opening-hours.ts";

/** Where nobody said in which zone somebody lives. */
export const DEFAULT_ZONE = "Etc/UTC";

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** Days since 1970-01-01, in no zone. */
export type DayNumber = number;

/** The zone a recipient has in its properties if the platform knows it, else `fallback`. Never throws. */
export function zoneOf(timezone: unknown, fallback: string = DEFAULT_ZONE): string {
  return (typeof timezone === "string" && timezone.length <= 100 ? timezoneOf(timezone) : null) ?? fallback;
}

/** The date and the time of day on the wall of that zone. */
export interface WallTime {
  readonly day: DayNumber;
  /** Since midnight by the wall clock, which on days of change is not how long the day has lasted. */
  readonly timeMs: Millis;
}

export function wallTimeOf(at: Millis, zone: string): WallTime {
  const local = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone);
  const wallMs = at + local.offsetNanoseconds / 1_000_000;
  const day = Math.floor(wallMs / DAY_MS);
  return { day, timeMs: Math.floor(wallMs - day * DAY_MS) };
}

/**
 * When the wall clock first shows that time or a later one: of a time that comes twice it is the first, of one that is
 * left out the moment after the gap.
 * @param timeMs since midnight; from 24 hours on it lies in the days that follow.
 */
export function momentOf(day: DayNumber, timeMs: Millis, zone: string): Millis {
  const wallMs = day * DAY_MS + timeMs;
  const wall = Temporal.Instant.fromEpochMilliseconds(wallMs).toZonedDateTimeISO("UTC").toPlainDateTime();
  const local = wall.toZonedDateTime(zone, { disambiguation: "earlier" });
  const shownMs = local.epochMilliseconds + local.offsetNanoseconds / 1_000_000;
  if (shownMs === wallMs) return local.epochMilliseconds;
  // In a gap "earlier" is as far before the change as the time is past it.
  return local.getTimeZoneTransition("next")?.epochMilliseconds ?? local.epochMilliseconds;
}

/** Monday is 0. */
export function weekdayOf(day: DayNumber): number {
  // 1970-01-01 was a Thursday.
  return (((day + 3) % 7) + 7) % 7;
}

export interface CalendarDate {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly dayOfMonth: number;
}

export function dateOf(day: DayNumber): CalendarDate {
  const date = new Date(day * DAY_MS);
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, dayOfMonth: date.getUTCDate() };
}

/** @param month counted from 1; from 13 on it lies in the years that follow. */
export function dayNumberOf(year: number, month: number, dayOfMonth: number): DayNumber {
  return Date.UTC(year, month - 1, dayOfMonth) / DAY_MS;
}

export function daysInMonth(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}
