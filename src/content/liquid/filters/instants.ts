/** Points in time as templates give them, and what the clocks of a zone show then. */
import { Lru } from "../../../lib/lru.ts";

/** What a clock shows. Months and days count from 1; Sunday is 0. */
export interface WallTime {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly millisecond: number;
  readonly weekday: number;
  /** Of the zone then, east of Greenwich. */
  readonly offsetMinutes: number;
}

export interface Instant {
  /** Epoch milliseconds. */
  readonly at: number;
  /** The offset it was written with; null for a day without a time, which is the same day everywhere. */
  readonly offsetMinutes: number | null;
}

const ISO =
  /^\s*([+-]?\d{4,6})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})?)?\s*$/i;
/** Past these, zones and calendars mean nothing. */
const MAX_AT = 8.64e15;

/** @param now what `now` and `today` mean. @returns null for what is no time. A time without an offset is UTC. */
export function instantOf(value: unknown, now: number): Instant | null {
  if (value === "now" || value === "today") return { at: now, offsetMinutes: 0 };
  if (typeof value === "number") return within(value * 1000, 0);
  if (typeof value !== "string" || value.length > 64) return null;
  if (/^-?\d{1,14}$/.test(value)) return within(Number(value) * 1000, 0);
  const match = ISO.exec(value);
  if (match === null) {
    // Mail and HTTP dates name their zone; without one, the result would hang on the machine's.
    return /(?:GMT|UTC|[+-]\d{4})\s*(?:\([^)]*\))?\s*$/.test(value) ? within(Date.parse(value), 0) : null;
  }
  const [, year, month, day, hour, minute, second = "0", fraction = "", zone] = match;
  const time = hour === undefined ? [0, 0, 0] : [Number(hour), Number(minute), Number(second)];
  const days = new Date(0);
  days.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  if (days.getUTCMonth() !== Number(month) - 1 || days.getUTCDate() !== Number(day)) return null;
  const [hours = 0, minutes = 0, seconds = 0] = time;
  if (hours > 24 || minutes > 59 || seconds > 60) return null;
  const offset = offsetOf(zone);
  const ms = fraction === "" ? 0 : Math.floor(Number(`0.${fraction}`) * 1000);
  const at = days.getTime() + ((hours * 60 + minutes - offset) * 60 + seconds) * 1000 + ms;
  return within(at, hour === undefined ? null : offset);
}

function within(at: number, offsetMinutes: number | null): Instant | null {
  return Number.isFinite(at) && Math.abs(at) <= MAX_AT ? { at, offsetMinutes } : null;
}

function offsetOf(zone: string | undefined): number {
  const match = /^([+-])(\d{2}):?(\d{2})?$/.exec(zone ?? "");
  if (match === null) return 0;
  const minutes = Number(match[2]) * 60 + Number(match[3] ?? 0);
  return match[1] === "-" ? -minutes : minutes;
}

const formats = new Lru<string, Intl.DateTimeFormat>(200);

/** Whether the zone is one, by its name in the tz database. */
export function isZone(zone: string): boolean {
  return formatOf(zone) !== null;
}

function formatOf(zone: string): Intl.DateTimeFormat | null {
  let format = formats.get(zone);
  if (format !== undefined) return format;
  if (zone === "" || zone.length > 64) return null;
  try {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      calendar: "gregory",
      hourCycle: "h23",
      era: "short",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
  formats.set(zone, format);
  return format;
}

/** How far the zone is from Greenwich then, in minutes; seconds of times long ago are left out. */
export function offsetAt(at: number, zone: string): number {
  const parts: Record<string, string> = {};
  for (const { type, value } of formatOf(zone)?.formatToParts(at) ?? []) parts[type] = value;
  const year = parts.era === "BC" ? 1 - Number(parts.year) : Number(parts.year);
  const local = new Date(0);
  local.setUTCFullYear(year, Number(parts.month) - 1, Number(parts.day));
  local.setUTCHours(Number(parts.hour), Number(parts.minute), Number(parts.second));
  return Math.round((local.getTime() - Math.floor(at / 1000) * 1000) / 60_000);
}

export function wallTime(at: number, offsetMinutes: number): WallTime {
  const date = new Date(at + offsetMinutes * 60_000);
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    millisecond: date.getUTCMilliseconds(),
    weekday: date.getUTCDay(),
    offsetMinutes,
  };
}

/** `+05:30`, or `+0530` without the sign between. */
export function offsetText(minutes: number, between = ":"): string {
  const size = Math.abs(minutes);
  const two = (n: number): string => String(n).padStart(2, "0");
  return `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}${between}${two(size % 60)}`;
}
