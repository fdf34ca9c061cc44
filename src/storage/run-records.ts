/**
 * How the record of a run, and where a delivery comes from, lie in their rows: what is as usual is left out, and names
 * are short. Both are written with every message of a workflow; spelled out they are three times as long, and a trigger
 * took 9 µs more.
 */

import type { StepOrigin } from "../engine/model.ts";
import {
  type Activity,
  type PartyRef,
  partyKey,
  partyOf,
  type RunEvent,
  type RunRecord,
} from "../engine/workflow/model.ts";
import type { Json, JsonObject } from "../lib/json.ts";
import { encodeJson } from "./text.ts";

/** As they are written; a number stays what it is for ever. */
const CODES: { readonly [event in RunEvent["event"]]: number } = {
  run_started: 0,
  message_enqueued: 1,
  step_skipped: 2,
  step_failed: 3,
  step_paused: 4,
  step_resumed: 5,
  batch_item_added: 6,
  throttled: 7,
  conditions_evaluated: 8,
  run_cancelled: 9,
  run_completed: 10,
  batch_closed: 11,
};
const EVENTS = new Map(Object.entries(CODES).map(([event, code]) => [code, event as RunEvent["event"]]));

/** Milliseconds since the entry before, the event, and what there is of attempt (1), failed, ref, type and data. */
type Entry = readonly [number, number, ...Json[]];

interface Kept {
  readonly w: string;
  readonly v: string;
  readonly r: string;
  readonly a?: string;
  readonly s?: JsonObject;
  readonly c?: string;
  readonly st?: RunRecord["status"];
  readonly l: readonly Entry[];
}

export function runText(record: RunRecord): string {
  const { workflow, versionId, recipient, actor, source, cancellationKey, status, log } = record;
  const kept: Kept = {
    w: workflow,
    v: versionId,
    r: partyKey(recipient),
    ...(actor === null ? {} : { a: partyKey(actor) }),
    ...(source.type === "api" ? {} : { s: source as unknown as JsonObject }),
    ...(cancellationKey === null ? {} : { c: cancellationKey }),
    ...(status === "completed" ? {} : { st: status }),
    l: entriesOf(log),
  };
  return encodeJson(kept as unknown as JsonObject);
}

function entriesOf(log: readonly RunEvent[]): readonly Entry[] {
  let before = 0;
  return log.map((event): Entry => {
    const since = event.at - before;
    before = event.at;
    const rest: Json[] = [
      event.attempt === 1 ? 0 : event.attempt,
      event.ok ? 0 : 1,
      event.ref ?? 0,
      event.type ?? 0,
      event.data ?? 0,
    ];
    while (rest.at(-1) === 0) rest.pop();
    return [since, CODES[event.event], ...rest];
  });
}

export function runFrom(text: string): RunRecord {
  const { w, v, r, a, s, c, st, l } = JSON.parse(text) as Kept;
  let at = 0;
  return {
    workflow: w,
    versionId: v as RunRecord["versionId"],
    recipient: partyOf(r),
    actor: a === undefined ? null : partyOf(a),
    source: s === undefined ? { type: "api" } : (s as unknown as RunRecord["source"]),
    cancellationKey: c ?? null,
    status: st ?? "completed",
    log: l.map(([since, event, attempt = 0, failed = 0, ref = 0, type = 0, data = 0]): RunEvent => {
      at += since;
      return {
        at,
        event: EVENTS.get(event) as RunEvent["event"],
        ok: failed === 0,
        attempt: attempt === 0 ? 1 : (attempt as number),
        ...(ref === 0 ? {} : { ref: ref as string }),
        ...(type === 0 ? {} : { type: type as NonNullable<RunEvent["type"]> }),
        ...(data === 0 ? {} : { data: data as JsonObject }),
      };
    }),
  };
}

/** Names as they are: the database looks for `channelId`. Empty lists, and totals that say no more than these, are left out. */
export function originText(origin: StepOrigin): string {
  const { ref, channelId, versionId, categories, actors, totalActors } = origin;
  const { activities, totalActivities, newestData, scheduled } = origin;
  return encodeJson({
    ref,
    channelId,
    versionId,
    categories: categories.length === 0 ? undefined : categories,
    actors: actors.length === 0 ? undefined : (actors as unknown as Json),
    totalActors: totalActors === actors.length ? undefined : totalActors,
    activities: activities === null ? undefined : (activities as unknown as Json),
    totalActivities: totalActivities === 1 ? undefined : totalActivities,
    newestData,
    scheduled,
  });
}

export function originFrom(text: string): StepOrigin {
  const kept = JSON.parse(text) as Partial<StepOrigin> & Pick<StepOrigin, "ref" | "channelId" | "versionId">;
  const { ref, channelId, versionId, newestData, scheduled } = kept;
  const actors: readonly PartyRef[] = kept.actors ?? [];
  const activities: readonly Activity[] | null = kept.activities ?? null;
  return {
    ref,
    channelId,
    versionId,
    categories: kept.categories ?? [],
    actors,
    totalActors: kept.totalActors ?? actors.length,
    activities,
    totalActivities: kept.totalActivities ?? 1,
    ...(newestData === undefined ? {} : { newestData }),
    ...(scheduled === undefined ? {} : { scheduled }),
  };
}
