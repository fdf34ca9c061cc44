import assert from "node:assert/strict";
import { test } from "node:test";
import { readRule } from "./durations.ts";
import type { RepeatRule } from "./model.ts";
import { nextOccurrence, type Recurrence } from "./recurrence.ts";

const at = (text: string): number => Temporal.Instant.from(text).epochMilliseconds;
const iso = (moment: number | null): string | null =>
  moment === null ? null : new Date(moment).toISOString().slice(0, 16);

function rule(value: object): RepeatRule {
  const read = readRule(value);
  assert.ok(read !== null, JSON.stringify(value));
  return read;
}

/** The first so many times, in UTC. */
function times(rules: readonly RepeatRule[], over: Partial<Recurrence>, count: number): (string | null)[] {
  const anchor = over.anchor ?? at("2026-01-05T10:00:00Z");
  const found: (string | null)[] = [];
  let after = over.after ?? anchor;
  while (found.length < count) {
    const next = nextOccurrence(rules, { from: null, until: null, zone: "UTC", ...over, anchor, after });
    found.push(iso(next));
    if (next === null) break;
    assert.ok(next > after);
    after = next;
  }
  return found;
}

// The anchor, 2026-01-05, is a Monday.
for (const [what, value, expected] of [
  ["daily", { frequency: "daily", hours: 9 }, ["2026-01-06T09:00", "2026-01-07T09:00"]],
  [
    "daily, later on the first day",
    { frequency: "daily", hours: 11, minutes: 30 },
    ["2026-01-05T11:30", "2026-01-06T11:30"],
  ],
  ["every third day", { frequency: "daily", interval: 3 }, ["2026-01-08T00:00", "2026-01-11T00:00"]],
  [
    "daily on weekends",
    { frequency: "daily", days: "weekends" },
    ["2026-01-10T00:00", "2026-01-11T00:00", "2026-01-17T00:00"],
  ],
  [
    "weekly on two days",
    { frequency: "weekly", days: ["mon", "fri"], hours: 18 },
    ["2026-01-05T18:00", "2026-01-09T18:00", "2026-01-12T18:00"],
  ],
  [
    "every other week",
    { frequency: "weekly", interval: 2, days: ["mon", "sun"], hours: 8 },
    ["2026-01-11T08:00", "2026-01-19T08:00", "2026-01-25T08:00"],
  ],
  ["weekly without days", { frequency: "weekly" }, ["2026-01-12T00:00", "2026-01-19T00:00"]],
  ["monthly", { frequency: "monthly", day_of_month: 15 }, ["2026-01-15T00:00", "2026-02-15T00:00"]],
  ["monthly without a day", { frequency: "monthly" }, ["2026-02-01T00:00", "2026-03-01T00:00"]],
  [
    "monthly on the 31st",
    { frequency: "monthly", day_of_month: 31 },
    ["2026-01-31T00:00", "2026-02-28T00:00", "2026-03-31T00:00", "2026-04-30T00:00"],
  ],
  [
    "every other month on the 30th",
    { frequency: "monthly", interval: 2, day_of_month: 30 },
    ["2026-01-30T00:00", "2026-03-30T00:00"],
  ],
  ["monthly on the first Friday", { frequency: "monthly", days: ["fri"] }, ["2026-02-06T00:00", "2026-03-06T00:00"]],
  [
    "Friday the 13th",
    { frequency: "monthly", days: ["fri"], day_of_month: 13 },
    ["2026-02-13T00:00", "2026-03-13T00:00", "2026-11-13T00:00"],
  ],
  ["hourly", { frequency: "hourly", minutes: 15 }, ["2026-01-05T10:15", "2026-01-05T11:15"]],
  [
    "every five hours",
    { frequency: "hourly", interval: 5 },
    ["2026-01-05T15:00", "2026-01-05T20:00", "2026-01-06T01:00"],
  ],
  ["hourly on Tuesdays", { frequency: "hourly", days: ["tue"] }, ["2026-01-06T00:00", "2026-01-06T01:00"]],
  ["hourly on Fridays the 13th", { frequency: "hourly", days: ["fri"], day_of_month: 13 }, ["2026-02-13T00:00"]],
  [
    "never: every seventh day from a Monday on, on Tuesdays",
    { frequency: "daily", interval: 7, days: ["tue"] },
    [null],
  ],
] as const) {
  test(what, () => assert.deepEqual(times([rule(value)], {}, expected.length), expected));
}

test("several rules add their times, one that two have counting once", () => {
  const rules = [rule({ frequency: "weekly", days: ["mon"] }), rule({ frequency: "daily", days: ["mon", "wed"] })];
  assert.deepEqual(times(rules, {}, 3), ["2026-01-07T00:00", "2026-01-12T00:00", "2026-01-14T00:00"]);
});

test("nothing comes before the start or after the end, both of which may be times themselves", () => {
  const daily = [rule({ frequency: "daily", hours: 9 })];
  const from = at("2026-02-01T09:00:00Z");
  assert.deepEqual(times(daily, { from, until: at("2026-02-02T09:00:00Z") }, 5), [
    "2026-02-01T09:00",
    "2026-02-02T09:00",
    null,
  ]);
  assert.deepEqual(times(daily, { from: from + 1, until: at("2026-02-02T08:59:00Z") }, 5), [null]);
});

test("periods are counted from the start where there is one", () => {
  const rules = [rule({ frequency: "weekly", interval: 2, days: ["mon"] })];
  assert.deepEqual(times(rules, { from: at("2026-01-14T00:00:00Z") }, 2), ["2026-01-26T00:00", "2026-02-09T00:00"]);
});

test("how long ago a schedule began changes nothing, and costs nothing", () => {
  const anchor = at("1996-01-01T00:00:00Z");
  const rules = [rule({ frequency: "hourly", interval: 5 }), rule({ frequency: "daily", interval: 3 })];
  // Of this process alone: on a busy machine others take their share of the time that passes.
  const before = process.cpuUsage();
  const next = nextOccurrence(rules, {
    after: at("2026-01-05T00:30:00Z"),
    from: null,
    until: null,
    zone: "UTC",
    anchor,
  });
  // 263,088 hours after the first, which is three more than a multiple of five.
  assert.equal(iso(next), "2026-01-05T02:00");
  assert.ok(process.cpuUsage(before).user < 50_000, "walking there takes seconds");
});

test("without rules the start is the only time", () => {
  const from = at("2026-02-01T09:00:00Z");
  assert.deepEqual(times([], { from }, 5), ["2026-02-01T09:00", null]);
  assert.deepEqual(times([], { from, until: from - 1 }, 5), [null]);
  assert.deepEqual(times([], {}, 5), [null]);
});

test("rules beyond the calendar end instead of throwing", () => {
  for (const frequency of ["hourly", "daily", "weekly", "monthly"] as const) {
    const huge = { frequency, interval: 1e12, days: null, dayOfMonth: null, hours: 0, minutes: 0 };
    assert.equal(
      iso(
        nextOccurrence([huge], { after: at("2026-06-01T00:00:00Z"), from: null, until: null, zone: "UTC", anchor: 0 }),
      ),
      null,
    );
  }
});

// ——— changes of the clock ————————————————————————————————————————————————————————————————————————————————————————

test("a time that is left out is the moment after the gap, one that comes twice the first", () => {
  const zone = "America/New_York";
  const rules = [rule({ frequency: "daily", hours: 2, minutes: 30 })];
  const spring = { zone, anchor: at("2026-03-06T12:00:00Z") };
  assert.deepEqual(times(rules, spring, 3), ["2026-03-07T07:30", "2026-03-08T07:00", "2026-03-09T06:30"]);
  const twice = [rule({ frequency: "daily", hours: 1, minutes: 30 })];
  const autumn = { zone, anchor: at("2026-10-30T12:00:00Z") };
  assert.deepEqual(times(twice, autumn, 3), ["2026-10-31T05:30", "2026-11-01T05:30", "2026-11-02T06:30"]);
});

test("an hourly rule has one time in each hour that passes", () => {
  const rules = [rule({ frequency: "hourly", minutes: 30 })];
  const autumn = { zone: "America/New_York", anchor: at("2026-11-01T04:00:00Z") };
  assert.deepEqual(times(rules, autumn, 3), ["2026-11-01T04:30", "2026-11-01T05:30", "2026-11-01T06:30"]);
  // The clock goes back half an hour: the same minute comes twice within it, in two hours that pass.
  const lordHowe = times(
    [rule({ frequency: "hourly", minutes: 45 })],
    { zone: "Australia/Lord_Howe", anchor: at("2026-04-04T13:00:00Z") },
    4,
  );
  assert.deepEqual(lordHowe, ["2026-04-04T13:45", "2026-04-04T14:45", "2026-04-04T15:15", "2026-04-04T16:15"]);
});

/** The wall clock of a zone by `Intl`, which shares no code with what is tested: the offset in each quarter of an hour. */
function wallClock(zone: string): (moment: number) => Date {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
  });
  const offsets = new Map<number, number>();
  return (moment) => {
    const quarter = Math.floor(moment / 900_000) * 900_000;
    let offset = offsets.get(quarter);
    if (offset === undefined) {
      const part = Object.fromEntries(format.formatToParts(quarter).map(({ type, value }) => [type, Number(value)]));
      const { year = 0, month = 1, day = 1, hour = 0, minute = 0 } = part;
      offset = Date.UTC(year, month - 1, day, hour, minute) - quarter;
      offsets.set(quarter, offset);
    }
    return new Date(moment + offset);
  };
}

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;
const YEAR_BEGINS = at("2026-01-01T00:00:00Z");
const YEAR_ENDS = at("2027-01-01T00:00:00Z");
const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const;

/**
 * The times of a year, in steps of five minutes, as no zone changes its clock at others: a date has its time when the
 * clock first shows it or a later one, be it of the next date. Only for rules without an interval.
 */
function naiveTimes(
  { frequency, days, dayOfMonth, hours, minutes }: RepeatRule,
  clock: (moment: number) => Date,
): number[] {
  const timeMs = ((hours ?? 0) * 60 + (minutes ?? 0)) * MINUTE;
  const found: number[] = [];
  let date = Math.floor(clock(YEAR_BEGINS).getTime() / DAY);
  for (let moment = YEAR_BEGINS; moment < YEAR_ENDS; moment += 5 * MINUTE) {
    const wallMs = clock(moment).getTime();
    for (; wallMs >= date * DAY + timeMs; date++) {
      // The year begins in the midst of a day in most zones, whose time may be over.
      if (moment === YEAR_BEGINS && wallMs > date * DAY + timeMs) continue;
      const wall = new Date(date * DAY);
      const last = new Date(Date.UTC(wall.getUTCFullYear(), wall.getUTCMonth() + 1, 0)).getUTCDate();
      const fits =
        (days === null || days.includes(WEEKDAYS[wall.getUTCDay()] as "mon")) &&
        (dayOfMonth === null || wall.getUTCDate() === Math.min(dayOfMonth, last)) &&
        (frequency !== "monthly" || dayOfMonth !== null || wall.getUTCDate() === 1);
      if (fits) found.push(moment);
    }
  }
  return found;
}

function walk(rule: RepeatRule, zone: string): number[] {
  const found: number[] = [];
  const anchor = YEAR_BEGINS;
  let after = YEAR_BEGINS - 1;
  for (;;) {
    const next = nextOccurrence([rule], { after, from: null, until: YEAR_ENDS - 1, zone, anchor });
    if (next === null) return found;
    assert.ok(next > after, `${zone}: ${next} after ${after}`);
    found.push(next);
    after = next;
  }
}

/** Whole and half hours, both hemispheres, changes at midnight, by half an hour and by two, and during Ramadan. */
const ODD_ZONES = [
  "America/New_York",
  "Europe/London",
  "Australia/Lord_Howe",
  "America/Santiago",
  "Africa/Cairo",
  "Asia/Beirut",
  "America/Havana",
  "Antarctica/Troll",
  "Africa/Casablanca",
  "Asia/Kathmandu",
  "Pacific/Chatham",
  "America/Nuuk",
];

for (const zone of ODD_ZONES) {
  test(`a year in ${zone} has the times that a patient look at its clock finds`, () => {
    const clock = wallClock(zone);
    for (const value of [
      { frequency: "daily" },
      { frequency: "daily", hours: 1, minutes: 30 },
      { frequency: "daily", hours: 2, minutes: 30 },
      { frequency: "weekly", days: ["sun", "thu"], hours: 2, minutes: 15 },
      { frequency: "weekly", days: ["sat", "sun"], hours: 23, minutes: 55 },
      { frequency: "monthly", day_of_month: 31, hours: 0, minutes: 30 },
      { frequency: "monthly" },
    ]) {
      const wanted = rule(value);
      assert.deepEqual(walk(wanted, zone).map(iso), naiveTimes(wanted, clock).map(iso), JSON.stringify(value));
    }
  });
}

test("in every seventh zone of the world each day has each time once", () => {
  const zones = [...ODD_ZONES, ...Intl.supportedValuesOf("timeZone").filter((_, index) => index % 7 === 0)];
  assert.ok(zones.length >= 40, `${zones.length} zones`);
  for (const zone of zones) {
    for (const [hours, minutes] of [
      [0, 0],
      [2, 30],
      [12, 0],
    ] as const) {
      const found = walk(rule({ frequency: "daily", hours, minutes }), zone);
      assert.ok(Math.abs(found.length - 365) <= 1, `${zone} at ${hours}:${minutes}: ${found.length}`);
      // Two days apart one would be missing; no clock is changed by more than two hours.
      for (const [index, moment] of found.slice(1).entries()) {
        const apart = moment - (found[index] ?? 0);
        assert.ok(apart >= 22 * 60 * MINUTE && apart <= 26 * 60 * MINUTE, `${zone} ${iso(moment)}`);
      }
    }
    const hourly = walk(rule({ frequency: "hourly", minutes: 20 }), zone);
    assert.ok(Math.abs(hourly.length - 8760) <= 1, `${zone} hourly: ${hourly.length}`);
  }
});
