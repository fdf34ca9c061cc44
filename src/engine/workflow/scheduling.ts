/** Making and changing schedules; schedule-runner.ts fires them. */
import type { Clock, Millis } from "../../lib/clock.ts";
import { newId } from "../../lib/ids.ts";
import type { EnvironmentId } from "../model.ts";
import type { Bus } from "../ports.ts";
import { Refusal } from "../refusal.ts";
import { type PartyRef, partyKey, type Schedule, type ScheduleId } from "./model.ts";
import type { PartyStore, ScheduleStore } from "./ports.ts";
import { nextTimeOf } from "./schedule-runner.ts";
import type { ScheduleDraft, Workflows } from "./workflows.ts";
import { zoneOf } from "./zones.ts";

export interface SchedulingDeps {
  readonly schedules: ScheduleStore;
  readonly parties: PartyStore;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly accountTimezone: string;
}

export function scheduling(deps: SchedulingDeps): Pick<Workflows, "schedule" | "reschedule" | "schedules"> {
  const { schedules, bus, clock } = deps;
  return {
    schedules,
    async schedule(environmentId, drafts) {
      const now = clock.now();
      const zones = await zonesOf(environmentId, drafts, deps);
      const made = drafts.map((draft): Schedule => {
        const schedule = {
          ...draft,
          environmentId,
          id: newId("sch", now),
          nextAt: null,
          lastAt: null,
          createdAt: now,
          updatedAt: now,
        };
        return { ...schedule, nextAt: firstTime(schedule, now, zones.get(partyKey(draft.recipient)) as string) };
      });
      await schedules.create(made);
      bus.lookNow("schedules");
      return made;
    },
    async reschedule(environmentId, ids, change) {
      const now = clock.now();
      const changed = new Map<ScheduleId, Schedule>();
      // One that fires meanwhile is read again: by what it was before, it would fire for the same time once more.
      for (let left = ids; left.length > 0; ) {
        const found = await schedules.read(environmentId, left);
        const zones = await zonesOf(environmentId, found, deps);
        const next = found.map((old): Schedule => {
          const schedule = { ...old, ...withoutUndefined(change), updatedAt: now };
          return { ...schedule, nextAt: firstTime(schedule, now, zones.get(partyKey(old.recipient)) as string) };
        });
        const written = await schedules.update(next);
        next.forEach((schedule, i) => {
          if (written[i]) changed.set(schedule.id, schedule);
        });
        left = next.flatMap(({ id }, i) => (written[i] ? [] : [id]));
      }
      bus.lookNow("schedules");
      return [...new Set(ids)].flatMap((id) => changed.get(id) ?? []);
    },
  };
}

/**
 * Null when it never runs, because it ends before. One that is to run once, at a time that has passed, runs now unless it
 * has run already.
 * @param schedule with the time that it was to fire next, if any.
 * @throws Refusal("invalid") when no time is named, or none satisfies the rules.
 */
function firstTime(schedule: Schedule, now: Millis, zone: string): Millis | null {
  const { repeats, scheduledAt, endingAt, nextAt, lastAt } = schedule;
  if (repeats.length === 0 && scheduledAt === null) {
    throw new Refusal("invalid", "a schedule needs a time: repeats or scheduled_at", { field: "repeats" });
  }
  const ends = endingAt ?? Number.POSITIVE_INFINITY;
  if (repeats.length === 0 && scheduledAt !== null) {
    const hasRun = lastAt !== null && lastAt >= scheduledAt;
    return scheduledAt > ends || hasRun ? null : Math.max(now, scheduledAt);
  }
  // A time that has come and has not been fired for still counts; one that has been does not, were the clock set back.
  const due = Math.min(now, nextAt ?? now);
  const first = nextTimeOf(schedule, Math.max(due - 1, lastAt ?? 0), zone);
  if (first === null && ends > now && nextTimeOf({ ...schedule, endingAt: null }, now - 1, zone) === null) {
    throw new Refusal("invalid", "the schedule would never run: no time satisfies it", { field: "repeats" });
  }
  return first;
}

async function zonesOf(
  environmentId: EnvironmentId,
  of: readonly { readonly recipient: PartyRef }[],
  { parties, accountTimezone }: SchedulingDeps,
): Promise<ReadonlyMap<string, string>> {
  const wanted = new Map(of.map(({ recipient }) => [partyKey(recipient), recipient]));
  const facts = await parties.facts(environmentId, [...wanted.values()]);
  return new Map(
    facts.map(({ party, properties }) => [partyKey(party), zoneOf(properties?.timezone, accountTimezone)]),
  );
}

function withoutUndefined(change: Partial<ScheduleDraft>): Partial<ScheduleDraft> {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
}
