import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRelative, parseTimestamp } from "./timestamps.ts";

const NOW = Date.UTC(2026, 2, 31, 12);

for (const [text, iso] of [
  ["2026-01-05T14:00:00Z", "2026-01-05T14:00:00.000Z"],
  ["2026-01-05 14:00:00Z", "2026-01-05T14:00:00.000Z"],
  ["2026-01-05T14:00:00.123456789+02:00", "2026-01-05T12:00:00.123Z"],
  ["2026-01-05T14:00+0530", "2026-01-05T08:30:00.000Z"],
  ["2026-01-05T14:00:00", "2026-01-05T14:00:00.000Z"],
  ["2026-01-05 14:00:00 UTC", "2026-01-05T14:00:00.000Z"],
  ["2026-01-05", "2026-01-05T00:00:00.000Z"],
  ["2024-02-29", "2024-02-29T00:00:00.000Z"],
] as const) {
  test(`${text} is a moment`, () => assert.equal(parseTimestamp(text), Date.parse(iso)));
}

test("what is no moment is none", () => {
  const texts = [
    "",
    "2026-02-30",
    "2026-13-01",
    "2026-01-05T25:00Z",
    "5 Jan 2026",
    "1767600000",
    "tomorrow",
    "2026-01-05T14:00:00Z[Europe/Paris]",
  ];
  for (const value of [...texts, 1767600000, null, undefined, {}, ["2026-01-05"], "9".repeat(100_000)]) {
    assert.equal(parseTimestamp(value), null, String(value).slice(0, 40));
  }
});

for (const [text, iso] of [
  ["now", "2026-03-31T12:00:00.000Z"],
  ["7 days ago", "2026-03-24T12:00:00.000Z"],
  ["in 3 hours", "2026-03-31T15:00:00.000Z"],
  ["3 hours from now", "2026-03-31T15:00:00.000Z"],
  ["15 minutes ago", "2026-03-31T11:45:00.000Z"],
  ["1 month ago", "2026-02-28T12:00:00.000Z"],
  ["In 2 Weeks", "2026-04-14T12:00:00.000Z"],
] as const) {
  test(`"${text}" is reckoned from now`, () => {
    assert.deepEqual(parseRelative(text, NOW), { kind: "moment", at: Date.parse(iso) });
  });
}

test("a span under 15 minutes is told from no span at all", () => {
  assert.deepEqual(parseRelative("14 minutes ago", NOW), { kind: "too_short" });
  assert.deepEqual(parseRelative("in 0 days", NOW), { kind: "too_short" });
  for (const text of ["7 days", "in 7 days ago", "soon", "-7 days ago", "999999 years ago", "x".repeat(1000)]) {
    assert.equal(parseRelative(text, NOW), null, text);
  }
});
