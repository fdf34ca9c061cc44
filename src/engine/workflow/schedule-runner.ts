/** Fires schedules whose time has come: the request and the next time in one commit. */
import type { Logger } from "pino";
import type { Clock, Millis } from "../../lib/clock.ts";
import type { Request } from "../model.ts";
import type { Bus } from "../ports.ts";
import type { WorkflowCatalog } from "./catalog.ts";
import type { Schedule } from "./model.ts";
import type { PartyStore, ScheduleStore } from "./ports.ts";
import { nextOccurrence } from "./recurrence.ts";
import { recipientOf, requestOf, specOf } from "./requests.ts";
import { zoneOf } from "./zones.ts";

export interface ScheduleRunnerDeps {
  readonly schedules: ScheduleStore;
  readonly parties: PartyStore;
  readonly catalog: WorkflowCatalog;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Logger;
  readonly leaseMs: Millis;
  readonly accountTimezone: string;
}

/** What a schedule's trigger is said to have come through. */
const VIA = "schedule";

export class ScheduleRunner {
  readonly #deps: ScheduleRunnerDeps;

  constructor(deps: ScheduleRunnerDeps) {
    this.#deps = deps;
  }

  async claim(limit: number): Promise<readonly Promise<unknown>[]> {
    const { clock, schedules, leaseMs } = this.#deps;
    const now = clock.now();
    const leaseUntil = now + leaseMs;
    const claimed = await schedules.claim(now, limit, leaseUntil);
    return claimed.map((schedule) => this.#fire(schedule, leaseUntil));
  }

  async #fire(schedule: Schedule, leaseUntil: Millis): Promise<void> {
    const { schedules, clock, bus, log } = this.#deps;
    const now = clock.now();
    const request = await this.#requestOf(schedule, now);
    // Times that passed while nobody looked are not made up for one by one.
    const nextAt = await this.#nextTime(schedule, Math.max(now, schedule.nextAt ?? now));
    const isFired = await schedules.fire(schedule, leaseUntil, request, nextAt);
    if (isFired && request !== null) bus.lookNow("requests");
    bus.lookNow("schedules");
    log.info(
      {
        scheduleId: schedule.id,
        environmentId: schedule.environmentId,
        workflow: schedule.workflow,
        requestId: request?.id,
        written: isFired,
        nextAt,
      },
      "schedule.fired",
    );
  }

  /** Null when there is nothing to trigger: the workflow is gone or switched off, or the schedule's end has passed. */
  async #requestOf(schedule: Schedule, now: Millis): Promise<Request | null> {
    const { environmentId, endingAt, nextAt } = schedule;
    if (endingAt !== null && (nextAt ?? now) > endingAt) return null;
    const found = await this.#deps.catalog.find(environmentId, schedule.workflow);
    if (found === null || !found.active) return null;
    const spec = specOf(
      found,
      {
        key: schedule.workflow,
        recipients: [recipientOf(schedule.recipient)],
        actor: schedule.actor,
        data: schedule.data ?? {},
        tenantId: schedule.tenantId,
        cancellationKey: null,
        source: { type: "schedule", scheduleId: schedule.id },
        sandbox: false,
        skipDelay: false,
        via: VIA,
      },
      0,
    );
    return requestOf(environmentId, spec, now);
  }

  async #nextTime(schedule: Schedule, after: Millis): Promise<Millis | null> {
    if (schedule.repeats.length === 0) return null;
    const { parties, accountTimezone } = this.#deps;
    const [facts] = await parties.facts(schedule.environmentId, [schedule.recipient]);
    const zone = zoneOf(facts?.properties?.timezone, accountTimezone);
    return nextTimeOf(schedule, after, zone);
  }
}

/** The first time of the schedule later than `after`; null when there is none. */
export function nextTimeOf(
  { repeats, scheduledAt, endingAt, createdAt }: Pick<Schedule, "repeats" | "scheduledAt" | "endingAt" | "createdAt">,
  after: Millis,
  zone: string,
): Millis | null {
  return nextOccurrence(repeats, { after, from: scheduledAt, until: endingAt, zone, anchor: createdAt });
}
