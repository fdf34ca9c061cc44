import { Refusal } from "../../engine/refusal.ts";
import type { Millis } from "../../lib/clock.ts";
import { parseMoment } from "./wire.ts";

const LATEST = 8_640_000_000_000_000;

/**
 * When an inbox item expires. `expires_at` wins over `expires_in`, but does not replace it.
 * @param expiry numbers: `expires_in` milliseconds, `expires_at` epoch seconds or milliseconds; texts: an ISO 8601
 *   duration, an ISO 8601 time.
 * @param field where the object stands in the body, for messages.
 * @throws Refusal("invalid") naming the field at fault.
 */
export function parseExpiry(
  expiry: { readonly expires_in?: string | number | null; readonly expires_at?: string | number | null },
  now: Millis,
  field: string,
): Millis {
  const { expires_in: span, expires_at: moment } = expiry;
  if (span == null) throw invalid(`${field}.expires_in`, "Expected milliseconds or an ISO 8601 duration, got none");
  const end =
    moment == null ? now + durationMs(span, now, `${field}.expires_in`) : timeOf(moment, `${field}.expires_at`);
  if (end > LATEST) throw invalid(field, "Expected a time before the year 275760");
  return Math.trunc(end);
}

function durationMs(span: string | number, now: Millis, field: string): Millis {
  if (typeof span === "number") return span;
  try {
    const duration = Temporal.Duration.from(span.trim());
    // Months and years have no length of their own: they count from now.
    const start = Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO("UTC");
    if (duration.sign >= 0) return start.add(duration).epochMilliseconds - now;
  } catch {
    // Said below, in the same words as for a negative one.
  }
  throw invalid(field, `Expected milliseconds or an ISO 8601 duration such as "P1D", got ${JSON.stringify(span)}`);
}

function timeOf(moment: string | number, field: string): Millis {
  const at = parseMoment(typeof moment === "number" ? String(Math.trunc(moment)) : moment.trim());
  if (at === null) throw invalid(field, `Expected epoch time or an ISO 8601 time, got ${JSON.stringify(moment)}`);
  return at;
}

function invalid(field: string, message: string): Refusal {
  return new Refusal("invalid", `${field}: ${message}`, { field });
}
