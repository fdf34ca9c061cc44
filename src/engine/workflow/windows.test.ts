import assert from "node:assert/strict";
import { test } from "node:test";
import type { SendWindow } from "./model.ts";
import { nextSendTime, readTimeOfDay } from "./windows.ts";

const at = (local: string, zone = "UTC"): number =>
  Temporal.PlainDateTime.from(local).toZonedDateTime(zone).epochMilliseconds;

const OFFICE: readonly SendWindow[] = [
  ...(["monday", "tuesday", "wednesday", "thursday", "friday"] as const).map((day) => ({
    day,
    type: "send" as const,
    from: "09:00:00",
    until: "18:00",
  })),
  { day: "saturday", type: "do_not_send" },
  { day: "sunday", type: "do_not_send" },
];

// 2026-01-05 was a Monday.
for (const [now, expected] of [
  ["2026-01-05T08:59:59", "2026-01-05T09:00"],
  ["2026-01-05T09:00", "2026-01-05T09:00"],
  ["2026-01-05T17:59:59", "2026-01-05T17:59:59"],
  ["2026-01-05T18:00", "2026-01-06T09:00"],
  ["2026-01-09T18:00", "2026-01-12T09:00"],
  ["2026-01-11T23:59", "2026-01-12T09:00"],
] as const) {
  for (const zone of ["UTC", "Asia/Kathmandu", "America/Los_Angeles", "Pacific/Kiritimati"]) {
    test(`at ${now} in ${zone} a message may go at ${expected}`, () =>
      assert.equal(nextSendTime(OFFICE, at(now, zone), zone), at(expected, zone)));
  }
}

test("without windows a message may go at once, and never in a closed week", () => {
  assert.equal(nextSendTime(null, 5, "UTC"), 5);
  assert.equal(nextSendTime([], 5, "UTC"), 5);
  assert.equal(nextSendTime([{ day: "monday", type: "do_not_send" }], 5, "UTC"), null);
});

test("a window without times is the whole day; days without a window are closed", () => {
  const only: readonly SendWindow[] = [{ day: "wednesday", type: "send" }];
  assert.equal(nextSendTime(only, at("2026-01-07T00:00"), "UTC"), at("2026-01-07T00:00"));
  assert.equal(nextSendTime(only, at("2026-01-07T23:59:59"), "UTC"), at("2026-01-07T23:59:59"));
  assert.equal(nextSendTime(only, at("2026-01-08T00:00"), "UTC"), at("2026-01-14T00:00"));
});

test("a window that ends before it begins goes on into the next day", () => {
  const night: readonly SendWindow[] = [{ day: "sunday", type: "send", from: "22:00", until: "06:00" }];
  assert.equal(nextSendTime(night, at("2026-01-05T05:59"), "UTC"), at("2026-01-05T05:59"));
  assert.equal(nextSendTime(night, at("2026-01-05T06:00"), "UTC"), at("2026-01-11T22:00"));
});

test("a window that the clock skips the beginning of opens after the gap", () => {
  const early: readonly SendWindow[] = [{ day: "sunday", type: "send", from: "02:30", until: "04:00" }];
  const zone = "America/New_York"; // 2026-03-08: 02:00 becomes 03:00
  assert.equal(nextSendTime(early, at("2026-03-08T01:00", zone), zone), at("2026-03-08T03:00", zone));
  const swallowed: readonly SendWindow[] = [{ day: "sunday", type: "send", from: "02:10", until: "02:50" }];
  assert.equal(nextSendTime(swallowed, at("2026-03-08T01:00", zone), zone), at("2026-03-15T02:10", zone));
});

test("times of day are read, and only those", () => {
  assert.equal(readTimeOfDay("09:30"), 34_200_000);
  assert.equal(readTimeOfDay("09:30:15"), 34_215_000);
  assert.equal(readTimeOfDay("24:00"), 86_400_000);
  for (const value of ["24:01", "9:00", "09:60", "0900", "", null, undefined, 9])
    assert.equal(readTimeOfDay(value), null);
});
