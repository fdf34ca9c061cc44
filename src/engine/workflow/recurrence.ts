/**
 * When a recurring schedule comes round next. A rule names periods (every hour, day, week or month, or every third of them)
 * and a time within them by the wall clock of a zone; of several rules each adds its times.
 *
 * - Periods are counted from the start (`from`, else `anchor`): every other week is the week of the start, not the next
 *   one, and so on. Weeks begin on Monday. Nothing comes round before the start.
 * - A time that the clock leaves out is the first moment after the gap; one that it shows twice is the first of the two.
 *   Hours are counted as they pass, so an hourly rule has one time in each of them, whatever the clock does.
 * - The 29th to 31st of a month that has no such day is its last day: a monthly report is not to be lost in February.
 * - Weekly without days is on the weekday of the start. Monthly without a day of the month is on the first, or on the
 *   first of the `days` in that month. Where both are named, or either for another frequency, only days that are both count.
 */
import type { Millis } from "../../lib/clock.ts";
import { type RepeatRule, WEEKDAYS } from "./model.ts";
import {
  DAY_MS,
  type DayNumber,
  dateOf,
  dayNumberOf,
  daysInMonth,
  HOUR_MS,
  MINUTE_MS,
  momentOf,
  wallTimeOf,
  weekdayOf,
} from "./zones.ts";

export interface Recurrence {
  /** Only later times are asked for. */
  readonly after: Millis;
  /** Nothing before it; null: nothing before the anchor. */
  readonly from: Millis | null;
  /** Nothing after it; it may be the last time itself. */
  readonly until: Millis | null;
  readonly zone: string;
  /** When the schedule was made. */
  readonly anchor: Millis;
}

/**
 * So far is looked before a rule is taken for one that never comes round, such as every seventh day from a Tuesday on,
 * Mondays only. A Friday the 13th needs some 10,000 hours.
 */
const MAX_PERIODS = 12_000;
const HORIZON_DAYS = 400 * 366;

/**
 * @param rules none: the schedule has one time, its `from`.
 * @returns the first time later than `after`; null when there is none.
 */
export function nextOccurrence(rules: readonly RepeatRule[], recurrence: Recurrence): Millis | null {
  const { after, from, until, zone, anchor } = recurrence;
  const start = from ?? anchor;
  const end = until ?? Number.POSITIVE_INFINITY;
  if (rules.length === 0) return from !== null && from > after && from <= end ? from : null;
  const least = Math.max(start, after + 1);
  let next: Millis | null = null;
  for (const rule of rules) {
    const at = rule.frequency === "hourly" ? nextHourly(rule, start, least, zone) : nextDated(rule, start, least, zone);
    if (at !== null && (next === null || at < next)) next = at;
  }
  return next !== null && next <= end ? next : null;
}

// ——— by the hour —————————————————————————————————————————————————————————————————————————————————————————————————

function nextHourly(rule: RepeatRule, start: Millis, least: Millis, zone: string): Millis | null {
  const first = start - (wallTimeOf(start, zone).timeMs % HOUR_MS);
  const interval = intervalOf(rule);
  const minuteMs = (rule.minutes ?? 0) * MINUTE_MS;
  const passed = Math.max(0, Math.floor((least - first) / HOUR_MS / interval));
  for (let step = 0; step < MAX_PERIODS; step++) {
    const begins = first + (passed + step) * interval * HOUR_MS;
    if (begins > least + HORIZON_DAYS * DAY_MS) return null;
    const at = minuteWithin(begins, minuteMs, zone);
    if (at !== null && at >= least && fits(rule, wallTimeOf(at, zone).day)) return at;
  }
  return null;
}

/** The first moment of the hour that begins then at which the wall clock shows that minute; null if it jumps over it. */
function minuteWithin(begins: Millis, minuteMs: Millis, zone: string): Millis | null {
  const pastMs = (wallTimeOf(begins, zone).timeMs % HOUR_MS) - minuteMs;
  const at = begins - pastMs + (pastMs > 0 ? HOUR_MS : 0);
  if (wallTimeOf(at, zone).timeMs % HOUR_MS === minuteMs) return at;
  // The clock is changed within this hour, by less than an hour.
  for (let moment = begins; moment < begins + HOUR_MS; moment += MINUTE_MS) {
    if (wallTimeOf(moment, zone).timeMs % HOUR_MS === minuteMs) return moment;
  }
  return null;
}

// ——— by the date —————————————————————————————————————————————————————————————————————————————————————————————————

function nextDated(rule: RepeatRule, start: Millis, least: Millis, zone: string): Millis | null {
  const timeMs = (rule.hours ?? 0) * HOUR_MS + (rule.minutes ?? 0) * MINUTE_MS;
  const startDay = wallTimeOf(start, zone).day;
  // A time left out by a change of the clock may belong to the day before.
  const leastDay = Math.max(startDay, wallTimeOf(least, zone).day - 1);
  const interval = intervalOf(rule);
  const firstPeriod = periodOf(rule, startDay);
  const passed = Math.floor((periodOf(rule, leastDay) - firstPeriod) / interval);
  for (let step = 0; step < MAX_PERIODS; step++) {
    const period = firstPeriod + (passed + step) * interval;
    if (!(firstDayOf(rule, period) <= leastDay + HORIZON_DAYS)) return null;
    for (const day of daysOf(rule, period, startDay)) {
      if (day < leastDay) continue;
      const at = momentOf(day, timeMs, zone);
      if (at >= least) return at;
    }
  }
  return null;
}

/** Days, weeks or months, numbered one after the other. */
function periodOf({ frequency }: RepeatRule, day: DayNumber): number {
  if (frequency === "daily") return day;
  if (frequency === "weekly") return (day - weekdayOf(day)) / 7;
  const { year, month } = dateOf(day);
  return year * 12 + month - 1;
}

/** NaN beyond the calendar. */
function firstDayOf({ frequency }: RepeatRule, period: number): DayNumber {
  if (frequency === "daily") return period;
  return frequency === "weekly" ? period * 7 : dayNumberOf(Math.floor(period / 12), (period % 12) + 1, 1);
}

/** The days of a period that the rule is for, in order. */
function daysOf(rule: RepeatRule, period: number, startDay: DayNumber): readonly DayNumber[] {
  const first = firstDayOf(rule, period);
  if (rule.frequency === "daily") return daysThatFit(rule, first, 1);
  if (rule.frequency === "weekly") {
    return rule.days === null ? daysThatFit(rule, first + weekdayOf(startDay), 1) : daysThatFit(rule, first, 7);
  }
  if (rule.dayOfMonth !== null) return daysThatFit(rule, first, 31).filter((day) => periodOf(rule, day) === period);
  return rule.days === null ? [first] : daysThatFit(rule, first, 7).slice(0, 1);
}

function daysThatFit(rule: RepeatRule, first: DayNumber, count: number): readonly DayNumber[] {
  const days: DayNumber[] = [];
  for (let day = first; day < first + count; day++) if (fits(rule, day)) days.push(day);
  return days;
}

function fits({ days, dayOfMonth: wanted }: RepeatRule, day: DayNumber): boolean {
  if (days !== null && !days.includes(WEEKDAYS[weekdayOf(day)] as (typeof WEEKDAYS)[number])) return false;
  if (wanted === null) return true;
  const { year, month, dayOfMonth } = dateOf(day);
  return dayOfMonth === wanted || (wanted > dayOfMonth && dayOfMonth === daysInMonth(year, month));
}

function intervalOf({ interval }: RepeatRule): number {
  return Math.max(1, Math.floor(interval));
}
