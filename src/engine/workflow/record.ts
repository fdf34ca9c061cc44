/** The log of a run, as it is kept with the run's message. */
import type { Millis } from "../../lib/clock.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { RunEvent, RunRecord, RunStatus, Step } from "./model.ts";

/** Of more entries the first and the last are kept. */
const MAX_EVENTS = 200;

/** Collects what happens in one leg behind what happened before. */
export class RunLog {
  readonly #before: RunRecord;
  readonly #events: RunEvent[] = [];

  constructor(before: RunRecord) {
    this.#before = before;
  }

  /** @param step that the entry is about; null for the run as a whole. */
  note(
    at: Millis,
    event: RunEvent["event"],
    step: Step | null,
    {
      ok = true,
      attempt = 1,
      data,
    }: { readonly ok?: boolean; readonly attempt?: number; readonly data?: JsonObject } = {},
  ): void {
    this.#events.push({
      at,
      event,
      ok,
      attempt,
      ...(step === null ? {} : { ref: step.ref, type: step.type }),
      ...(data === undefined ? {} : { data }),
    });
  }

  /** The record as it is to be, the collected entries in it. @param last an entry that only this record has. */
  record(status: RunStatus, last?: RunEvent): RunRecord {
    const log = [...this.#before.log, ...this.#events, ...(last === undefined ? [] : [last])];
    return { ...this.#before, status, log: bounded(log) };
  }
}

/** The record of a run that somebody cancels. */
export function cancelledRecord(old: RunRecord, at: Millis): RunRecord {
  const event: RunEvent = { at, event: "run_cancelled", ok: true, attempt: 1 };
  return { ...old, status: "cancelled", log: bounded([...old.log, event]) };
}

function bounded(log: readonly RunEvent[]): readonly RunEvent[] {
  if (log.length <= MAX_EVENTS) return log;
  return [...log.slice(0, MAX_EVENTS / 2), ...log.slice(-MAX_EVENTS / 2)];
}
