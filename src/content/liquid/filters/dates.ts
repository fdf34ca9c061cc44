/** Filters of times. Without a zone a time is shown with the offset it was written with. */
import { Lru } from "../../../lib/lru.ts";
import { textOf } from "../values.ts";
import type { Call, Filters } from "./filter.ts";
import { type Instant, instantOf, isZone, offsetAt, offsetText, wallTime } from "./instants.ts";
import { localeOf } from "./numbers.ts";
import { strftime } from "./strftime.ts";

const DEFAULT_PATTERN = "%Y-%m-%d %H:%M:%S %z";
const MAX_PATTERN = 1_000;

/** A zone that was asked for but is none (a recipient has none, or a wrong one) is the one the rendering is for. */
function zoneOf(given: unknown, { context, budget }: Call): string {
  const zone = textOf(given, budget);
  if (isZone(zone)) return zone;
  const { timezone } = context.session.sources;
  return isZone(timezone) ? timezone : "Etc/UTC";
}

interface Shown {
  readonly offsetMinutes: number;
  /** For `Intl`: the name of a zone, or an offset. */
  readonly zone: string;
}

/** Days without a time are the same day in every zone. */
function shown(instant: Instant, zone: string | null): Shown {
  if (instant.offsetMinutes === null) return { offsetMinutes: 0, zone: "UTC" };
  if (zone !== null) return { offsetMinutes: offsetAt(instant.at, zone), zone };
  const { offsetMinutes } = instant;
  return { offsetMinutes, zone: offsetMinutes === 0 ? "UTC" : offsetText(offsetMinutes) };
}

const formats = new Lru<string, Intl.DateTimeFormat>(300);

/** Making one takes 50 µs and more. A locale nobody knows is English. */
function formatOf(locale: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${locale}\n${JSON.stringify(options)}`;
  let format = formats.get(key);
  if (format === undefined) {
    try {
      format = new Intl.DateTimeFormat(locale, options);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      format = new Intl.DateTimeFormat("en", options);
    }
    formats.set(key, format);
  }
  return format;
}

const ZONE_NAME = /^(?:UTC|Etc\/UTC|GMT|Etc\/GMT)$/;

/** `EST`, `CET`; an offset where the zone has no name that people use. */
function zoneName(at: number, { zone, offsetMinutes }: Shown): string {
  if (ZONE_NAME.test(zone)) return "UTC";
  if (/^[+-]/.test(zone)) return offsetText(offsetMinutes, "");
  for (const locale of ["en-US", "en-GB"]) {
    const parts = formatOf(locale, { timeZone: zone, timeZoneName: "short" }).formatToParts(at);
    const name = parts.find(({ type }) => type === "timeZoneName")?.value ?? "";
    if (name !== "" && !/^(?:GMT|UTC)[+-]/.test(name)) return name;
  }
  return offsetText(offsetMinutes, "");
}

type Style = "short" | "medium" | "long" | "full";

function styleOf(given: unknown, { budget }: Call): Style {
  const style = textOf(given, budget);
  return style === "medium" || style === "long" || style === "full" ? style : "short";
}

export const DATE_FILTERS: Filters = {
  /** By a pattern; with a second argument in that zone. What is no time stays what it is. */
  date: (value, [pattern, zone], call) => {
    const instant = instantOf(value, call.context.session.now);
    if (instant === null) return value;
    const where = shown(instant, zone === undefined ? null : zoneOf(zone, call));
    const text = textOf(pattern, call.budget).slice(0, MAX_PATTERN) || DEFAULT_PATTERN;
    const name = text.includes("Z") || text.includes("c") ? zoneName(instant.at, where) : "";
    const made = strftime(text, instant.at, wallTime(instant.at, where.offsetMinutes), name);
    call.budget.text(made.length);
    return made;
  },
  /** The same time as ISO 8601 with the offset of the zone. */
  timezone: (value, [zone], call) => {
    const instant = instantOf(value, call.context.session.now);
    if (instant === null) return value;
    const { offsetMinutes } = shown(instant, zoneOf(zone, call));
    const time = wallTime(instant.at, offsetMinutes);
    const fraction = time.millisecond === 0 ? "" : ".%L";
    return strftime(`%Y-%m-%dT%H:%M:%S${fraction}`, instant.at, time, "") + offsetText(offsetMinutes);
  },
  format_date_in_locale: (value, [locale, style], call) => {
    const instant = instantOf(value, call.context.session.now);
    if (instant === null) return value;
    const { zone } = shown(instant, null);
    return formatOf(localeOf(locale, call), { timeZone: zone, dateStyle: styleOf(style, call) }).format(instant.at);
  },
  format_datetime_in_locale: (value, [locale, dateStyle, timeStyle, zone], call) => {
    const instant = instantOf(value, call.context.session.now);
    if (instant === null) return value;
    const where = shown(instant, zone === undefined ? null : zoneOf(zone, call));
    const options = { dateStyle: styleOf(dateStyle, call), timeStyle: styleOf(timeStyle, call), timeZone: where.zone };
    return formatOf(localeOf(locale, call), options).format(instant.at);
  },
};
