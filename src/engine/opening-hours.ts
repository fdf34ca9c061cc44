/**
 * When a delayed message may go out: a moment in ISO 8601, or opening hours such as `Mo-Fr 08:00-17:00; Dec 24-26 off`.
 *
 * Opening hours are rules separated by `;`. A rule is dates (`Oct 31`, `Jun-Aug`, `Dec 24-Jan 2`; none: every date), days
 * of the week (`Mo-Fr`, `Mo,We`; none: every day) and times (`09:00-12:00, 14:00-18:00`; none: the whole day) or `off`.
 * Of the rules that apply to a day, those that name dates silence those that do not; what remains adds up, and one `off`
 * among it closes the day. A window begins at its start and is over at its end; one that ends before it begins goes on
 * into the next day.
 */
import type { Millis } from "../lib/clock.ts";
import { Refusal } from "./refusal.ts";

/** Minutes since midnight, the end exclusive. An end beyond 1440 lies in the next day. */
interface Window {
  readonly from: number;
  readonly to: number;
}

interface Rule {
  /** Months and days as `month * 100 + day`, both ends included; the first may lie after the last. */
  readonly dates: readonly { readonly from: number; readonly to: number }[] | null;
  /** Monday is 1, Sunday 7. */
  readonly weekdays: ReadonlySet<number> | null;
  /** None: closed. */
  readonly windows: readonly Window[];
}

export type Until =
  | { readonly kind: "instant"; readonly at: Millis }
  /** A date and time without an offset: what it means depends on the recipient's time zone. */
  | { readonly kind: "local"; readonly dateTime: string }
  | { readonly kind: "hours"; readonly rules: readonly Rule[] };

const MAX_EXPRESSION_CHARS = 1000;
const MAX_RULES = 50;
/** A rule for one date of the year comes round within this; leap days take longer and count as never. */
const SEARCH_DAYS = 367;
const DAY_MINUTES = 24 * 60;

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS = ["mo", "tu", "we", "th", "fr", "sa", "su"];
const ISO = /^\d{4}-\d\d-\d\d(?:[T ]\d\d(?::?\d\d(?::?\d\d(?:[.,]\d{1,9})?)?)?)?(z|[+-]\d\d(?::?\d\d)?)?$/i;
const OFFSET = /^(?:utc|gmt)?([+-])(\d{1,2})(?::?([0-5]\d))?$/i;

const MONTH = `(?:${MONTHS.join("|")})`;
const DATE_RANGE = new RegExp(`^(${MONTH})(?: +(\\d{1,2}))?(?: *- *(?:(${MONTH})(?: +(\\d{1,2}))?|(\\d{1,2})))?$`);
const DATES = new RegExp(
  `^(${MONTH}(?: +\\d{1,2})?(?: *- *(?:${MONTH}(?: +\\d{1,2})?|\\d{1,2}(?!\\d*:)))?` +
    `(?: *, *${MONTH}(?: +\\d{1,2})?(?: *- *(?:${MONTH}(?: +\\d{1,2})?|\\d{1,2}(?!\\d*:)))?)*)(?: *: *| +|$)`,
);
const DAY = `(?:${WEEKDAYS.join("|")})`;
const DAYS = new RegExp(`^(${DAY}(?: *- *${DAY})?(?: *, *${DAY}(?: *- *${DAY})?)*)(?: *: *| +|$)`);
const TIMES = /^(\d{1,2}):(\d\d) *- *(\d{1,2}):(\d\d)$/;

/**
 * Reads what a caller wrote as the end of a delay.
 * @throws Refusal("invalid") without a field when it is neither a moment nor opening hours.
 */
export function parseUntil(text: string): Until {
  const trimmed = text.trim();
  const iso = ISO.exec(trimmed);
  if (iso !== null) {
    try {
      if (iso[1] !== undefined) return { kind: "instant", at: Temporal.Instant.from(trimmed).epochMilliseconds };
      return { kind: "local", dateTime: Temporal.PlainDateTime.from(trimmed).toString() };
    } catch (cause) {
      throw new Refusal("invalid", `expected an existing date and time, got ${JSON.stringify(trimmed)}`, { cause });
    }
  }
  if (trimmed === "" || trimmed.length > MAX_EXPRESSION_CHARS) throw unreadable(trimmed);
  const rules = trimmed
    .toLowerCase()
    .split(";")
    .map((rule) => rule.trim())
    .filter((rule) => rule !== "");
  if (rules.length === 0 || rules.length > MAX_RULES) throw unreadable(trimmed);
  return { kind: "hours", rules: rules.map(parseRule) };
}

/**
 * The first moment, not before `at`, at which a message held back by `expression` may go out: `at` itself inside a
 * window or after the moment named.
 * @param timezone IANA name or offset (`UTC+4`, `+05:30`); none, or one that does not exist, means UTC.
 * @returns Infinity when the hours do not open within a year.
 * @throws Refusal("invalid") as parseUntil does.
 */
export function nextOpening(expression: string, at: Millis, timezone?: string | null): Millis {
  const until = parseUntil(expression);
  if (until.kind === "instant") return Math.max(at, until.at);
  const zone = (timezone == null ? null : timezoneOf(timezone)) ?? "UTC";
  if (until.kind === "local") {
    return Math.max(at, Temporal.PlainDateTime.from(until.dateTime).toZonedDateTime(zone).epochMilliseconds);
  }
  const today = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone).toPlainDate();
  // The day before today may have a window that reaches past midnight.
  for (let days = -1; days <= SEARCH_DAYS; days++) {
    const date = today.add({ days });
    let earliest: Millis | null = null;
    for (const window of windowsOn(date, until.rules)) {
      const opens = momentOf(date, window.from, zone);
      if (momentOf(date, window.to, zone) <= at) continue;
      if (opens <= at) return at;
      if (earliest === null || opens < earliest) earliest = opens;
    }
    if (earliest !== null) return earliest;
  }
  return Number.POSITIVE_INFINITY;
}

/** @returns the name under which the platform knows a time zone written by a person; null when there is none. */
export function timezoneOf(text: string): string | null {
  const trimmed = text.trim();
  const offset = OFFSET.exec(trimmed);
  const name = offset === null ? trimmed : `${offset[1]}${(offset[2] as string).padStart(2, "0")}:${offset[3] ?? "00"}`;
  if (!known.has(name)) {
    if (known.size > 1000) known.clear();
    known.set(name, exists(name));
  }
  return known.get(name) === true ? name : null;
}

/** Asking the platform costs more than the rest of an evaluation. */
const known = new Map<string, boolean>();

function exists(zone: string): boolean {
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(zone);
    // The platform would also read a zone out of a whole timestamp.
    return !/^\d|T\d/.test(zone);
  } catch {
    return false;
  }
}

function windowsOn(date: Temporal.PlainDate, rules: readonly Rule[]): readonly Window[] {
  const day = date.month * 100 + date.day;
  const applying = rules.filter(
    (rule) =>
      (rule.weekdays === null || rule.weekdays.has(date.dayOfWeek)) &&
      (rule.dates === null ||
        rule.dates.some(({ from, to }) => (from <= to ? day >= from && day <= to : day >= from || day <= to))),
  );
  const dated = applying.filter((rule) => rule.dates !== null);
  const deciding = dated.length > 0 ? dated : applying;
  return deciding.some((rule) => rule.windows.length === 0) ? [] : deciding.flatMap((rule) => rule.windows);
}

function momentOf(date: Temporal.PlainDate, minutes: number, zone: string): Millis {
  const day = date.add({ days: Math.floor(minutes / DAY_MINUTES) });
  const rest = minutes % DAY_MINUTES;
  return day.toZonedDateTime({
    timeZone: zone,
    plainTime: { hour: Math.floor(rest / 60), minute: rest % 60 },
  }).epochMilliseconds;
}

function parseRule(rule: string): Rule {
  if (rule === "24/7") return { dates: null, weekdays: null, windows: [{ from: 0, to: DAY_MINUTES }] };
  let rest = rule;
  let dates: Rule["dates"] = null;
  let weekdays: Rule["weekdays"] = null;
  const dated = DATES.exec(rest);
  if (dated !== null) {
    dates = (dated[1] as string).split(",").map((range) => parseDates(range.trim(), rule));
    rest = rest.slice(dated[0].length).trim();
  }
  const days = DAYS.exec(rest);
  if (days !== null) {
    weekdays = new Set((days[1] as string).split(",").flatMap((range) => parseDays(range)));
    rest = rest.slice(days[0].length).trim();
  }
  if (rest === "off" || rest === "closed") return { dates, weekdays, windows: [] };
  if (rest === "" && (dates !== null || weekdays !== null)) {
    return { dates, weekdays, windows: [{ from: 0, to: DAY_MINUTES }] };
  }
  return { dates, weekdays, windows: rest.split(",").map((window) => parseWindow(window.trim(), rule)) };
}

function parseDates(range: string, rule: string): { from: number; to: number } {
  const match = DATE_RANGE.exec(range);
  if (match === null) throw unreadable(rule);
  const [, firstMonth, firstDay, lastMonth, lastDay, sameMonthDay] = match;
  const month = (name: string): number => MONTHS.indexOf(name) + 1;
  const from = month(firstMonth as string);
  const to = lastMonth === undefined ? from : month(lastMonth);
  // `Oct 31` is one day, `Oct` and `Jun-Aug` are whole months, `Dec 24-26` stays in its month.
  const first = firstDay === undefined ? 1 : Number(firstDay);
  const single = lastMonth === undefined && sameMonthDay === undefined && firstDay !== undefined;
  const last = Number(lastDay ?? sameMonthDay ?? (single ? firstDay : 31));
  if (first < 1 || first > 31 || last < 1 || last > 31) throw unreadable(rule);
  return { from: from * 100 + first, to: to * 100 + last };
}

function parseDays(range: string): number[] {
  const [from, to = from] = range.split("-").map((day) => WEEKDAYS.indexOf(day.trim())) as [number, number?];
  const days: number[] = [];
  for (let day = from; ; day = (day + 1) % 7) {
    days.push(day + 1);
    if (day === to) return days;
  }
}

function parseWindow(text: string, rule: string): Window {
  const match = TIMES.exec(text);
  if (match === null) throw unreadable(rule);
  const [fromHour, fromMinute, toHour, toMinute] = match.slice(1).map(Number) as [number, number, number, number];
  const from = fromHour * 60 + fromMinute;
  const to = toHour * 60 + toMinute;
  if (fromMinute > 59 || toMinute > 59 || from >= DAY_MINUTES || to > DAY_MINUTES || from === to)
    throw unreadable(rule);
  return { from, to: to > from ? to : to + DAY_MINUTES };
}

function unreadable(text: string): Refusal {
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  return new Refusal(
    "invalid",
    `expected an ISO 8601 time or opening hours such as "Mo-Fr 08:00-17:00", got ${JSON.stringify(shown)}`,
  );
}
