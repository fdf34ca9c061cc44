import assert from "node:assert/strict";
import { test } from "node:test";
import { isZone, readMoment } from "./moments.ts";

test("dates and times, in UTC and elsewhere", () => {
  assert.equal(readMoment("2026-01-31 08:30", "UTC"), Date.UTC(2026, 0, 31, 8, 30));
  assert.equal(readMoment(" 2026-01-31 08:30:15 ", "UTC"), Date.UTC(2026, 0, 31, 8, 30, 15));
  assert.equal(readMoment("2026-01-31T8:30", "UTC"), Date.UTC(2026, 0, 31, 8, 30));
  assert.equal(readMoment("2026-01-31", "UTC"), Date.UTC(2026, 0, 31));
  assert.equal(readMoment("2026-07-01 12:00", "Europe/Berlin"), Date.UTC(2026, 6, 1, 10));
  assert.equal(readMoment("2026-03-29 02:30", "Europe/Berlin"), Date.UTC(2026, 2, 29, 1, 30), "the zone skips it");
});

test("what is no date is none", () => {
  for (const text of [
    "",
    "now",
    "2026-02-30 00:00",
    "2026-01-01 24:00",
    "2026-01-01 00:60",
    "2026-01-01 00:00:60",
    "1.1.2026",
  ]) {
    assert.equal(readMoment(text, "UTC"), null, text);
  }
  assert.deepEqual([isZone("UTC"), isZone("Europe/Berlin"), isZone("Mars"), isZone("")], [true, true, false, false]);
});
