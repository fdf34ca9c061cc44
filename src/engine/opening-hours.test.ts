import assert from "node:assert/strict";
import { test } from "node:test";
import { nextOpening, parseUntil, timezoneOf } from "./opening-hours.ts";
import { Refusal } from "./refusal.ts";

const at = (iso: string): number => Date.parse(iso);
const opens = (expression: string, now: string, timezone: string | null = null): string | null => {
  const moment = nextOpening(expression, at(now), timezone);
  return moment === Number.POSITIVE_INFINITY ? null : new Date(moment).toISOString();
};

// 2026-01-05 is a Monday.
test("inside a window the message goes out at once, at its start included and at its end not", () => {
  assert.equal(opens("Mo-Fr 08:00-17:00", "2026-01-05T12:00:00Z"), "2026-01-05T12:00:00.000Z");
  assert.equal(opens("Mo-Fr 08:00-17:00", "2026-01-05T08:00:00Z"), "2026-01-05T08:00:00.000Z");
  assert.equal(opens("Mo-Fr 08:00-17:00", "2026-01-05T17:00:00Z"), "2026-01-06T08:00:00.000Z");
  assert.equal(opens("Mo-Su 00:00-23:59", "2026-01-05T12:00:00Z"), "2026-01-05T12:00:00.000Z");
});

test("outside every window the next start counts", () => {
  assert.equal(opens("Mo-Fr 08:00-17:00", "2026-01-10T12:00:00Z"), "2026-01-12T08:00:00.000Z");
  assert.equal(opens("Mo 09:00-12:00, 14:00-18:00", "2026-01-05T13:00:00Z"), "2026-01-05T14:00:00.000Z");
  assert.equal(opens("Sa,Su 10:00-11:00", "2026-01-05T13:00:00Z"), "2026-01-10T10:00:00.000Z");
  assert.equal(opens("Fr-Mo 10:00-11:00", "2026-01-05T13:00:00Z"), "2026-01-09T10:00:00.000Z");
});

test("dates and months restrict a rule", () => {
  assert.equal(opens("Oct 31: 10:00-12:00", "2026-01-05T00:00:00Z"), "2026-10-31T10:00:00.000Z");
  assert.equal(opens("Jun-Aug: Mo-Fr 09:00-15:00", "2026-01-05T00:00:00Z"), "2026-06-01T09:00:00.000Z");
  assert.equal(opens("Dec 24-Jan 2: 09:00-10:00", "2026-01-02T09:30:00Z"), "2026-01-02T09:30:00.000Z");
  assert.equal(opens("Dec 24-26 10:00-12:00", "2026-12-26T12:00:00Z"), "2027-12-24T10:00:00.000Z");
});

test("a rule that names a date overrules the weekly ones on that date", () => {
  const hours = "Mo-Fr 08:00-17:00; Jan 6: 10:00-12:00; Jan 7 off";
  assert.equal(opens(hours, "2026-01-06T08:00:00Z"), "2026-01-06T10:00:00.000Z");
  assert.equal(opens(hours, "2026-01-06T12:00:00Z"), "2026-01-08T08:00:00.000Z");
});

test("weekly rules of the same day add up", () => {
  assert.equal(opens("Mo 14:00-18:00; Mo 09:00-12:00", "2026-01-05T07:00:00Z"), "2026-01-05T09:00:00.000Z");
});

test("a window may go on past midnight", () => {
  assert.equal(opens("Mo 22:00-06:00", "2026-01-06T05:59:00Z"), "2026-01-06T05:59:00.000Z");
  assert.equal(opens("Mo 22:00-06:00", "2026-01-06T06:00:00Z"), "2026-01-12T22:00:00.000Z");
});

test("hours are those of the time zone, on both sides of a change of clocks", () => {
  assert.equal(opens("Mo-Su 08:00-09:00", "2026-03-28T12:00:00Z", "Europe/Berlin"), "2026-03-29T06:00:00.000Z");
  assert.equal(opens("Mo-Su 08:00-09:00", "2026-03-27T12:00:00Z", "Europe/Berlin"), "2026-03-28T07:00:00.000Z");
  assert.equal(opens("Mo-Su 08:00-09:00", "2026-01-05T12:00:00Z", "UTC+4"), "2026-01-06T04:00:00.000Z");
  assert.equal(opens("Mo-Su 08:00-09:00", "2026-01-05T12:00:00Z", "GMT-3:30"), "2026-01-05T12:00:00.000Z");
  assert.equal(opens("Mo-Su 08:00-09:00", "2026-01-05T12:00:00Z", "Mars/Base"), "2026-01-06T08:00:00.000Z");
});

test("a moment counts as it is, a past one as now, one without offset in the time zone", () => {
  assert.equal(opens("2026-02-01T10:00:00+01:00", "2026-01-05T12:00:00Z"), "2026-02-01T09:00:00.000Z");
  assert.equal(opens("2025-02-01T10:00:00Z", "2026-01-05T12:00:00Z"), "2026-01-05T12:00:00.000Z");
  assert.equal(opens("2026-07-01T10:00", "2026-01-05T12:00:00Z", "Europe/Berlin"), "2026-07-01T08:00:00.000Z");
  assert.equal(opens("2026-07-01", "2026-01-05T12:00:00Z"), "2026-07-01T00:00:00.000Z");
});

test("hours that never open are told apart from those that open late", () => {
  assert.equal(opens("off", "2026-01-05T12:00:00Z"), null);
  assert.equal(opens("24/7", "2026-01-05T12:00:00Z"), "2026-01-05T12:00:00.000Z");
});

test("what cannot be read is refused", () => {
  const texts = [
    "",
    "soon",
    "Mo 25:00-26:00",
    "Mo 09:00",
    "Foo 09:00-10:00",
    "2026-13-01",
    "2026-02-30T00:00:00Z",
    ";",
    "Mo-",
    "Oct 99: 10:00-11:00",
  ];
  for (const text of [...texts, "\u0000", "Mo,".repeat(5000), "Mo 10:00-10:00"]) {
    assert.throws(
      () => parseUntil(text),
      (error) => error instanceof Refusal && error.code === "invalid",
      text,
    );
  }
});

test("time zones are names or offsets", () => {
  assert.equal(timezoneOf("Europe/Berlin"), "Europe/Berlin");
  assert.equal(timezoneOf("UTC+4"), "+04:00");
  assert.equal(timezoneOf("+05:30"), "+05:30");
  assert.equal(timezoneOf("2026-01-01T00:00:00Z"), null);
  assert.equal(timezoneOf("nowhere"), null);
  assert.equal(timezoneOf(""), null);
});
