import assert from "node:assert/strict";
import { test } from "node:test";
import { dateOf, dayNumberOf, daysInMonth, momentOf, wallTimeOf, weekdayOf, zoneOf } from "./zones.ts";

const at = (iso: string): number => Date.parse(iso);
const HOUR = 3_600_000;

test("a zone is taken as people write it, or the fallback", () => {
  assert.equal(zoneOf("Europe/Berlin"), "Europe/Berlin");
  assert.equal(zoneOf(" UTC+4 "), "+04:00");
  for (const value of ["Mars/Olympus", "", "x".repeat(1000), null, 7, {}]) assert.equal(zoneOf(value), "Etc/UTC");
  assert.equal(zoneOf(undefined, "Asia/Tokyo"), "Asia/Tokyo");
});

test("the wall clock and back", () => {
  const day = dayNumberOf(2026, 7, 1);
  assert.deepEqual(wallTimeOf(at("2026-06-30T22:30:00Z"), "Europe/Berlin"), { day, timeMs: HOUR / 2 });
  assert.equal(momentOf(day, HOUR / 2, "Europe/Berlin"), at("2026-06-30T22:30:00Z"));
  assert.equal(momentOf(day, 24 * HOUR, "Europe/Berlin"), at("2026-07-01T22:00:00Z"));
  // Before 1970 the day is still the one that has begun.
  assert.deepEqual(wallTimeOf(-1, "UTC"), { day: -1, timeMs: 24 * HOUR - 1 });
});

test("a time in a gap is the moment after it, one that comes twice the first", () => {
  assert.equal(momentOf(dayNumberOf(2026, 3, 29), 2.5 * HOUR, "Europe/Berlin"), at("2026-03-29T01:00:00Z"));
  assert.equal(momentOf(dayNumberOf(2026, 10, 25), 2.5 * HOUR, "Europe/Berlin"), at("2026-10-25T00:30:00Z"));
  // Samoa left out a whole day.
  assert.equal(momentOf(dayNumberOf(2011, 12, 30), 9 * HOUR, "Pacific/Apia"), at("2011-12-30T10:00:00Z"));
});

test("the calendar", () => {
  assert.equal(weekdayOf(dayNumberOf(2026, 1, 5)), 0);
  assert.equal(weekdayOf(dayNumberOf(1969, 12, 28)), 6);
  assert.deepEqual(dateOf(dayNumberOf(2024, 14, 29)), { year: 2025, month: 3, dayOfMonth: 1 });
  assert.deepEqual([daysInMonth(2024, 2), daysInMonth(2025, 2), daysInMonth(2026, 12)], [29, 28, 31]);
});
