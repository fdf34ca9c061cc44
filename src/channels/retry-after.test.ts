import assert from "node:assert/strict";
import { test } from "node:test";
import { retryAfter } from "./retry-after.ts";

const NOW = Date.UTC(2026, 0, 5, 12);

test("seconds count from now", () => {
  assert.equal(retryAfter("120", NOW), NOW + 120_000);
  assert.equal(retryAfter(" 0 ", NOW), NOW);
  assert.equal(retryAfter("1.5", NOW), NOW + 2_000);
});

test("all three forms of an HTTP date name their moment", () => {
  const at = Date.UTC(2026, 0, 5, 12, 1);
  assert.equal(retryAfter("Mon, 05 Jan 2026 12:01:00 GMT", NOW), at);
  assert.equal(retryAfter("Monday, 05-Jan-26 12:01:00 GMT", NOW), at);
  assert.equal(retryAfter("Mon Jan  5 12:01:00 2026", NOW), at);
});

test("a date in the past means now", () => {
  assert.equal(retryAfter("Mon, 05 Jan 2015 12:00:00 GMT", NOW), NOW);
});

test("an absurd wait is cut to a year and stays an integer", () => {
  for (const value of ["9".repeat(60), "Mon, 05 Jan 9999 12:00:00 GMT"]) {
    const at = retryAfter(value, NOW) as number;
    assert.ok(Number.isSafeInteger(at) && at <= NOW + 366 * 24 * 3_600_000);
  }
});

test("a header given twice counts once", () => {
  assert.equal(retryAfter(["3", "9"], NOW), NOW + 3_000);
});

for (const value of [undefined, "", "soon", "-5", "1e3", "0x10", "2026-01-05", "Monday", "5".repeat(100), []]) {
  test(`${JSON.stringify(value)?.slice(0, 20)} says nothing`, () => {
    assert.equal(retryAfter(value, NOW), null);
  });
}
