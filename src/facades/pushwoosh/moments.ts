/** Moments as this vendor writes them: `2026-01-31 08:30`, in a named zone or UTC. */
import type { Millis } from "../../lib/clock.ts";

const MOMENT = /^(\d{4}-\d\d-\d\d)(?:[ T](\d{1,2}):(\d\d)(?::(\d\d))?)?$/;

/**
 * @param zone an IANA name. A time that the zone skips or has twice is read as the clock there would go on.
 * @returns null for what is no such date and time. A date alone is its midnight.
 */
export function readMoment(text: string, zone: string): Millis | null {
  const parts = MOMENT.exec(text.trim());
  if (parts === null) return null;
  const [, date = "", hour = "0", minute = "00", second = "00"] = parts;
  try {
    const local = `${date}T${hour.padStart(2, "0")}:${minute}:${second}`;
    // A 60th second would be taken for the 59th.
    if (second === "60") return null;
    return Temporal.PlainDateTime.from(local, { overflow: "reject" }).toZonedDateTime(zone).epochMilliseconds;
  } catch {
    return null;
  }
}

/** Whether it names a time zone. */
export function isZone(name: string): boolean {
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name);
    return true;
  } catch {
    return false;
  }
}
