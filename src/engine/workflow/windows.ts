/** When a message may go that is only to go at certain hours of the week. */
import type { Millis } from "../../lib/clock.ts";
import type { SendWindow } from "./model.ts";
import { DAY_MS, type DayNumber, HOUR_MS, MINUTE_MS, momentOf, wallTimeOf, weekdayOf } from "./zones.ts";

/** As `weekdayOf` counts. */
const DAYS: readonly SendWindow["day"][] = [
  "monday",
  "tuesday",
  "wednesday",
  "thursday",
  "friday",
  "saturday",
  "sunday",
];
/** A window may be swallowed by a change of the clock, hence twice round. */
const SEARCH_DAYS = 14;
const TIME = /^(\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,6})?)?Z?$/;

/**
 * The first moment from `now` on at which a window is open. A window is open from its start (midnight by default) until
 * just before its end (the end of the day by default); one that ends before it begins goes on into the next day. A day
 * without a window is closed.
 * @returns null when the week has no opening; `now` where there are no windows at all.
 */
export function nextSendTime(
  windows: readonly SendWindow[] | null | undefined,
  now: Millis,
  zone: string,
): Millis | null {
  if (windows == null || windows.length === 0) return now;
  const { day: today } = wallTimeOf(now, zone);
  for (let day = today - 1; day <= today + SEARCH_DAYS; day++) {
    let earliest: Millis | null = null;
    for (const window of windows) {
      const opening = openingOn(day, window, zone);
      if (opening === null || opening.closes <= now) continue;
      if (opening.opens <= now) return now;
      if (earliest === null || opening.opens < earliest) earliest = opening.opens;
    }
    if (earliest !== null) return earliest;
  }
  return null;
}

/** @returns milliseconds since midnight of a time such as `09:00` or `09:00:00`; `24:00` is the day's end. Null: no time. */
export function readTimeOfDay(value: unknown): Millis | null {
  const match = typeof value === "string" ? TIME.exec(value) : null;
  if (match === null) return null;
  const [hours, minutes, seconds] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
  const timeMs = hours * HOUR_MS + minutes * MINUTE_MS + seconds * 1000;
  return minutes > 59 || seconds > 59 || timeMs > DAY_MS ? null : timeMs;
}

function openingOn(
  day: DayNumber,
  window: SendWindow,
  zone: string,
): { readonly opens: Millis; readonly closes: Millis } | null {
  if (window.type !== "send" || DAYS[weekdayOf(day)] !== window.day) return null;
  const from = readTimeOfDay(window.from) ?? 0;
  const until = readTimeOfDay(window.until) ?? DAY_MS;
  const opens = momentOf(day, from, zone);
  const closes = momentOf(day, until > from ? until : until + DAY_MS, zone);
  return opens < closes ? { opens, closes } : null;
}
