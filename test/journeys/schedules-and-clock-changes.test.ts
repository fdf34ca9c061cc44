/**
 * Recurring schedules over both changes of the clock of a year, in zones of every kind, through the store and two
 * processes: each occurrence is fired once. What is expected is read off the zones' wall clocks, five minutes by five.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RepeatRule } from "../../src/engine/workflow/model.ts";
import { USERS } from "../../src/engine/workflow/model.ts";
import type { ScheduleStore } from "../../src/engine/workflow/ports.ts";
import type { ScheduleDraft } from "../../src/engine/workflow/workflows.ts";
import { DIALECTS } from "../conformance/databases.ts";
import { allIdle } from "../support/all-idle.ts";
import { dice } from "../support/dice.ts";
import { inApp, startWorkflowEngine, type WorkflowEngine } from "../support/workflow-engine.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** All minutes of schedules are multiples of it. */
const STEP = 5 * MINUTE;

/** Changes by an hour, by half of one and by two, at midnight, at one, two and three, on both halves of the earth; or none. */
const ZONES = [
  ..."Europe/London Europe/Lisbon Europe/Berlin Europe/Athens Europe/Chisinau Europe/Dublin Europe/Istanbul".split(" "),
  ..."America/New_York America/Chicago America/Denver America/Los_Angeles America/Anchorage America/Adak".split(" "),
  ..."America/Halifax America/St_Johns America/Havana America/Santiago America/Asuncion America/Nuuk".split(" "),
  ..."America/Miquelon America/Sao_Paulo America/Phoenix America/Caracas America/Scoresbysund".split(" "),
  ..."Africa/Cairo Africa/Casablanca Africa/El_Aaiun Africa/Lagos Asia/Beirut Asia/Jerusalem Asia/Gaza".split(" "),
  ..."Asia/Kolkata Asia/Kathmandu Asia/Tokyo Asia/Tehran Asia/Pyongyang Asia/Nicosia".split(" "),
  ..."Australia/Sydney Australia/Lord_Howe Australia/Adelaide Australia/Brisbane Australia/Eucla".split(" "),
  ..."Pacific/Auckland Pacific/Chatham Pacific/Norfolk Pacific/Kiritimati Pacific/Easter Pacific/Marquesas".split(" "),
  ..."Antarctica/Troll Atlantic/Azores Etc/UTC".split(" "),
];

interface WallTime {
  readonly date: string;
  readonly minutes: number;
}

function wallClock(zone: string): (at: number) => WallTime {
  const options = { timeZone: zone, hourCycle: "h23", dateStyle: "short", timeStyle: "short" } as const;
  const format = new Intl.DateTimeFormat("en-GB", options);
  return (at) => {
    const [date = "", time = ""] = format.format(at).split(", ");
    const [hours, minutes] = time.split(":").map(Number);
    return { date, minutes: (hours as number) * 60 + (minutes as number) };
  };
}

/** When the clock is changed in the year after `from`. */
function changesOf(wall: (at: number) => WallTime, from: number): number[] {
  const offset = (at: number): number => (wall(at).minutes - at / MINUTE) % (24 * 60);
  const same = (a: number, b: number): boolean => (offset(a) - offset(b)) % (24 * 60) === 0;
  const found: number[] = [];
  for (let day = from; day < from + 365 * DAY; day += DAY) {
    if (same(day, day + DAY)) continue;
    let [before, after] = [day, day + DAY];
    while (after - before > STEP) {
      const middle = before + Math.floor((after - before) / STEP / 2) * STEP;
      if (same(before, middle)) before = middle;
      else after = middle;
    }
    found.push(after);
  }
  return found;
}

interface Planned {
  readonly user: string;
  readonly zone: string;
  readonly rule: RepeatRule;
  readonly from: number;
  readonly until: number;
  readonly expected: readonly number[];
}

const NO_RULE = { interval: 1, days: null, dayOfMonth: null, hours: null, minutes: null } as const;

/** Schedules around one change: daily at the wall time that it leaves out or repeats, and hourly. */
function plan(zone: string, wall: (at: number) => WallTime, changeAt: number, from: number): Planned[] {
  const [start, end] = [Math.max(from, changeAt - 3 * DAY), changeAt + 3 * DAY];
  const moments: [number, WallTime][] = [];
  for (let at = start; at <= end; at += STEP) moments.push([at, wall(at)]);
  const [old, fresh] = [wall(changeAt - STEP).minutes + 5, wall(changeAt).minutes];
  // Within what is left out, at its edges, and within what comes twice.
  const times = [...new Set([old, old + 30, fresh, fresh + 30, fresh - 15].map((m) => (m + 48 * 60) % (24 * 60)))];
  const daily = times.map((time): Planned => {
    const hours = Math.floor(time / 60);
    const rule: RepeatRule = { ...NO_RULE, frequency: "daily", hours, minutes: time % 60 };
    const firsts = [...Map.groupBy(moments, ([, { date }]) => date).values()].flatMap((day, i, days) => {
      // Where the day's end is left out, the first moment after it is the next day's.
      const found = day.find(([, { minutes }]) => minutes >= time) ?? days[i + 1]?.[0];
      return found === undefined ? [] : [found[0]];
    });
    // Of the first day the beginning is not in sight: its time may have passed before the start.
    const hasPassed = firsts[0] === start && wall(start).minutes > time;
    const user = `${zone} daily ${time} ${changeAt}`;
    return { user, zone, rule, from: start, until: end, expected: hasPassed ? firsts.slice(1) : firsts };
  });
  const [hourlyFrom, hourlyUntil] = [changeAt - 4 * HOUR, changeAt + 4 * HOUR];
  const every = moments.filter(([at, w]) => at >= hourlyFrom && at <= hourlyUntil && w.minutes % 60 === 15);
  const hourly: Planned = {
    user: `${zone} hourly ${changeAt}`,
    zone,
    rule: { ...NO_RULE, frequency: "hourly", minutes: 15 },
    from: hourlyFrom,
    until: hourlyUntil,
    expected: every.map(([at]) => at),
  };
  // Where half an hour is left out or comes twice, there is no telling which hours have a quarter past.
  return zone === "Australia/Lord_Howe" ? daily : [...daily, hourly];
}

/** Dies in the middle of firing now and then, before the commit or after. */
function unreliable(schedules: ScheduleStore, roll: () => number): ScheduleStore {
  return {
    ...schedules,
    async claim(...args) {
      const claimed = await schedules.claim(...args);
      if (claimed.length > 0 && roll() < 0.02) throw new Error("killed after claiming");
      return claimed;
    },
    async fire(...args) {
      if (roll() < 0.02) throw new Error("killed before the commit");
      const isFired = await schedules.fire(...args);
      if (roll() < 0.02) throw new Error("killed after the commit");
      return isFired;
    },
  };
}

async function runToTheEnd(worlds: readonly WorkflowEngine[], end: number): Promise<void> {
  const [{ clock, store }] = worlds as [WorkflowEngine];
  for (let turn = 0; ; turn++) {
    await allIdle(turn % 2 === 0 ? worlds : worlds.toReversed());
    const due = await store.pipeline.nextDueAt();
    if (due === null || due > end) return;
    clock.advance(Math.max(0, due - clock.now()));
  }
}

for (const dialect of DIALECTS) {
  for (const crashing of [false, true]) {
    const title = crashing ? "by processes that crash" : "at its very moment";
    test(`${dialect}: each occurrence around a change of the clock is fired once, ${title}`, async (t) => {
      const roll = dice(41);
      const wrap: Parameters<typeof startWorkflowEngine>[1] = (store) =>
        crashing ? { ...store, schedules: unreliable(store.schedules, roll) } : store;
      const first = await startWorkflowEngine(dialect, wrap);
      const worlds = [first, await startWorkflowEngine(first, wrap)];
      t.after(async () => {
        for (const world of worlds.toReversed()) await world.close();
      });
      const { clock, env, store } = first;
      await first.put("tick", [inApp("feed")]);
      clock.advance(DAY);

      // All of them once is enough; the rest is asked less, to be done in time.
      const share = dialect === "postgres" ? 6 : crashing ? 3 : 1;
      const planned = ZONES.flatMap((zone, i) => {
        const wall = wallClock(zone);
        const changes = changesOf(wall, clock.now());
        const around = changes.length > 0 ? changes : [clock.now() + (30 + i) * DAY];
        const all = around.flatMap((at) => plan(zone, wall, Math.ceil(at / STEP) * STEP, clock.now()));
        return all.filter((_, n) => (n + i) % share === 0);
      });
      assert.ok(new Set(planned.map(({ zone }) => zone)).size >= 40);
      await store.parties.write(
        env,
        planned.map(({ user, zone }) => ({
          party: { collection: USERS, id: user },
          properties: { timezone: zone },
          documents: [],
        })),
        clock.now(),
      );
      const drafts = planned.map(
        ({ user, rule, from, until }): ScheduleDraft => ({
          workflow: "tick",
          recipient: { collection: USERS, id: user },
          actor: null,
          tenantId: null,
          data: { n: 1 },
          repeats: [rule],
          scheduledAt: from,
          endingAt: until,
        }),
      );
      await first.engine.workflows.schedule(env, drafts);
      await runToTheEnd(worlds, Math.max(...planned.map(({ until }) => until)) + DAY);

      // What a server of databases itself refused is done when its lease lapses.
      const isLate = crashing || (dialect === "postgres" && worlds.some(({ warnings }) => warnings.length > 0));
      const latestMs = crashing ? 10 * MINUTE : MINUTE;
      for (const { warnings } of worlds) if (!crashing) for (const line of warnings) t.diagnostic(line);
      for (const { user, expected } of planned) {
        const items = (await first.inbox(user)).map(({ createdAt }) => createdAt).toSorted((a, b) => a - b);
        const shown = (times: readonly number[]): string[] => times.map((at) => new Date(at).toISOString());
        if (!isLate) assert.deepEqual(shown(items), shown(expected), user);
        else {
          assert.equal(items.length, expected.length, `${user}: ${shown(items)} instead of ${shown(expected)}`);
          items.forEach((at, i) => {
            const lateMs = at - (expected[i] as number);
            assert.ok(lateMs >= 0 && lateMs <= latestMs, `${user}: ${lateMs} ms late`);
          });
        }
      }
      t.diagnostic(`${planned.length} schedules, ${planned.flatMap((p) => p.expected).length} occurrences`);
    });
  }
}
