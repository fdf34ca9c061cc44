import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json } from "../../lib/json.ts";
import {
  after,
  dynamicEnd,
  fixedEnd,
  MAX_DELAY_MS,
  MAX_THROTTLE_MS,
  offsetEnd,
  readDuration,
  readRule,
} from "./durations.ts";

const at = (iso: string): number => Temporal.Instant.from(iso).epochMilliseconds;
const NOW = at("2026-01-31T12:00:00Z"); // a Saturday

test("months are the calendar's in the zone, everything else so much time", () => {
  assert.equal(after(NOW, { unit: "seconds", value: 30 }, "UTC"), NOW + 30_000);
  assert.equal(after(NOW, { unit: "weeks", value: 2 }, "UTC"), at("2026-02-14T12:00:00Z"));
  assert.equal(after(NOW, { unit: "days", value: 0.5 }, "UTC"), NOW + 12 * 3_600_000);
  assert.equal(after(NOW, { unit: "months", value: 1 }, "UTC"), at("2026-02-28T12:00:00Z"));
  assert.equal(after(NOW, { unit: "months", value: -2 }, "UTC"), at("2025-11-30T12:00:00Z"));
  // Across the beginning of summer time the wall clock decides; still January 31 in New York when it is February in UTC.
  const late = at("2026-02-01T03:00:00Z");
  assert.equal(after(late, { unit: "months", value: 2 }, "America/New_York"), at("2026-04-01T02:00:00Z"));
  assert.equal(after(NOW, { unit: "months", value: 1e9 }, "UTC"), null);
  assert.equal(after(NOW, { unit: "weeks", value: 1e300 }, "UTC"), null);
});

test("what is no duration is none", () => {
  assert.deepEqual(readDuration({ unit: "days", value: 3, more: 1 }), { unit: "days", value: 3 });
  for (const value of [
    null,
    "3 days",
    [],
    {},
    { unit: "days" },
    { unit: "day", value: 1 },
    { unit: "days", value: "1" },
  ]) {
    assert.equal(readDuration(value), null, JSON.stringify(value));
  }
  assert.equal(readDuration({ unit: "months", value: 1.5 }), null);
  assert.equal(readDuration({ unit: "days", value: Number.NaN }), null);
  assert.equal(readDuration({ unit: "constructor", value: 1 }), null);
});

test("a fixed wait has its limit and does not end before it begins", () => {
  assert.deepEqual(fixedEnd({ unit: "days", value: 365 }, NOW, "UTC", MAX_DELAY_MS), {
    kind: "at",
    at: NOW + MAX_DELAY_MS,
  });
  assert.equal(fixedEnd({ unit: "days", value: 366 }, NOW, "UTC", MAX_DELAY_MS).kind, "invalid");
  assert.equal(fixedEnd({ unit: "days", value: 32 }, NOW, "UTC", MAX_THROTTLE_MS).kind, "invalid");
  assert.equal(fixedEnd({ unit: "minutes", value: -1 }, NOW, "UTC", MAX_DELAY_MS).kind, "invalid");
});

const DYNAMIC: readonly (readonly [Json | undefined, string | null, string?])[] = [
  ["2026-02-01T00:00:00Z", "2026-02-01T00:00:00Z"],
  ["2026-01-31T12:00:00Z", null],
  ["2025-01-01T00:00:00Z", null],
  ["2027-03-01T00:00:00Z", null],
  ["soon", null],
  [undefined, null],
  [null, null],
  [7, null],
  [{ unit: "hours", value: 2 }, "2026-01-31T14:00:00Z"],
  [{ unit: "hours", value: -2 }, null],
  [{ frequency: "weekly", days: ["mon"], hours: 9 }, "2026-02-02T09:00:00Z"],
  [{ frequency: "weekly", days: ["mon"], hours: 9 }, "2026-02-02T14:00:00Z", "America/New_York"],
  [{ frequency: "daily", hours: 12 }, "2026-02-01T12:00:00Z"],
  [{ frequency: "daily", hours: 12, minutes: 5 }, "2026-01-31T12:05:00Z"],
  [{ frequency: "daily", days: "weekdays" }, "2026-02-02T00:00:00Z"],
  [{ frequency: "hourly", minutes: 30 }, "2026-01-31T12:30:00Z"],
  [{ frequency: "monthly", day_of_month: 15, hours: 8 }, "2026-02-15T08:00:00Z"],
  [{ frequency: "monthly", day_of_month: 31 }, "2026-02-28T00:00:00Z"],
  [{ frequency: "daily", minutes: 7 }, null],
  [{ frequency: "daily", hours: 24 }, null],
  [{ frequency: "yearly" }, null],
  [{ frequency: "weekly", days: ["someday"] }, null],
];
for (const [value, expected, zone = "Etc/UTC"] of DYNAMIC) {
  test(`${JSON.stringify(value)} in ${zone} means ${expected ?? "that the step is skipped"}`, () => {
    const end = dynamicEnd(value, NOW, zone, MAX_DELAY_MS);
    if (expected === null) assert.equal(end.kind, "invalid");
    else assert.deepEqual(end, { kind: "at", at: at(expected) });
  });
}

test("an offset counts from the moment named, before it when it is negative", () => {
  const due = "2026-02-10T09:00:00Z";
  assert.deepEqual(offsetEnd(due, { unit: "days", value: -1 }, NOW, "UTC", MAX_DELAY_MS), {
    kind: "at",
    at: at("2026-02-09T09:00:00Z"),
  });
  assert.deepEqual(offsetEnd(due, { unit: "hours", value: 2 }, NOW, "UTC", MAX_DELAY_MS), {
    kind: "at",
    at: at("2026-02-10T11:00:00Z"),
  });
  // What was to follow something that has passed may still lie ahead.
  assert.equal(offsetEnd("2026-01-31T11:00:00Z", { unit: "hours", value: 2 }, NOW, "UTC", MAX_DELAY_MS).kind, "at");
  assert.equal(offsetEnd(due, { unit: "days", value: -30 }, NOW, "UTC", MAX_DELAY_MS).kind, "invalid");
  assert.equal(
    offsetEnd({ unit: "days", value: 1 }, { unit: "days", value: 1 }, NOW, "UTC", MAX_DELAY_MS).kind,
    "invalid",
  );
});

test("days of a rule are read in the order of the week, each once", () => {
  assert.deepEqual(readRule({ frequency: "weekly", days: ["sun", "weekdays", "mon"] })?.days, [
    "mon",
    "tue",
    "wed",
    "thu",
    "fri",
    "sun",
  ]);
  assert.deepEqual(readRule({ frequency: "daily", days: "weekends", interval: 2 }), {
    frequency: "daily",
    interval: 2,
    days: ["sat", "sun"],
    dayOfMonth: null,
    hours: null,
    minutes: null,
  });
});
