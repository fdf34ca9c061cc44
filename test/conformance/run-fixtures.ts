/** Runs, legs and schedules with every field filled in, for suites that care about one or two of them. */
import type { Delivery, EnvironmentId, Message } from "../../src/engine/model.ts";
import type { Acceptance, Store } from "../../src/engine/ports.ts";
import type {
  Activity,
  BatchId,
  PartyRef,
  Run,
  RunRecord,
  RunState,
  Schedule,
} from "../../src/engine/workflow/model.ts";
import { partyKey } from "../../src/engine/workflow/model.ts";
import type { Gate, Leg, LegResult, RunNext } from "../../src/engine/workflow/ports.ts";
import { newId } from "../../src/lib/ids.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import { accepting, aMessage, aRequest, T0 } from "./fixtures.ts";

export const ANN: PartyRef = { collection: "$users", id: "ann" };

export function aRecord(over: Partial<RunRecord> = {}): RunRecord {
  return {
    workflow: "welcome",
    versionId: "wfv_1",
    recipient: ANN,
    actor: null,
    source: { type: "api" },
    cancellationKey: null,
    status: "paused",
    log: [{ at: T0, event: "run_started", ok: true, attempt: 1 }],
    ...over,
  };
}

export function aState(over: Partial<RunState> = {}): RunState {
  return { place: [0], entry: "enter", data: {}, tries: 0, batch: null, carries: null, deliveries: {}, ...over };
}

export interface RunOptions {
  readonly at?: number;
  readonly recipient?: PartyRef;
  readonly run?: Partial<Run>;
  readonly record?: Partial<RunRecord>;
  readonly message?: Partial<Message>;
  /** False: the run is over in the commit that begins it. */
  readonly waits?: boolean;
}

/** A trigger for one recipient, with the run it becomes. */
export function aTrigger(
  environmentId: EnvironmentId,
  { at = T0, recipient = ANN, ...over }: RunOptions = {},
): Acceptance & { readonly message: Message; readonly run: Run } {
  const request = aRequest(environmentId, { createdAt: at });
  const isUser = recipient.collection === "$users";
  const cancellationKey = over.run?.cancellationKey ?? null;
  const workflow = over.run?.workflow ?? "welcome";
  const message = aMessage(request, {
    state: "enqueued",
    event: workflow,
    userId: isUser ? recipient.id : null,
    recipient: isUser ? recipient.id : partyKey(recipient),
    tenantId: over.run?.tenantId ?? null,
    run: aRecord({ workflow, recipient, cancellationKey, ...over.record }),
    ...over.message,
  });
  const run: Run = {
    environmentId,
    messageId: message.id,
    requestId: request.id,
    workflow,
    recipient,
    tenantId: message.tenantId,
    cancellationKey,
    status: "paused",
    state: aState(),
    dueAt: at,
    leaseUntil: null,
    createdAt: at,
    ...over.run,
  };
  const planned = over.waits === false ? { message, deliveries: [] } : { message, deliveries: [], run };
  return { ...accepting(request, [planned]), message, run };
}

export const ended = (over: Partial<RunRecord> = {}): RunNext => ({
  kind: "end",
  record: aRecord({ status: "completed", ...over }),
});

export const waiting = (
  dueAt: number,
  state: Partial<RunState> = {},
  record: Partial<RunRecord> = {},
): RunNext & { kind: "wait" } => ({
  kind: "wait",
  status: "paused",
  dueAt,
  state: aState(state),
  record: aRecord(record),
});

export function aLeg(run: Run, over: Partial<Leg> = {}): Leg {
  const next = over.gate === undefined || over.gate === null ? ended() : null;
  return { run, deliveries: [], closes: null, requests: [], updates: [], tenants: [], gate: null, next, ...over };
}

export function anActivity(run: Run, data: JsonObject = {}, actor: PartyRef | null = null): Activity {
  return { id: run.messageId, actor, data, at: run.createdAt };
}

export function aThrottle(key: string, over: Partial<Gate & { kind: "throttle" }> = {}): Gate {
  return {
    kind: "throttle",
    key,
    limit: 1,
    now: T0,
    until: T0 + 60_000,
    pass: ended({ actor: { collection: "$users", id: "passed" } }),
    stop: ended({ actor: { collection: "$users", id: "stopped" } }),
    ...over,
  };
}

type BatchGate = Gate & { readonly kind: "batch" };

export function aBatching(run: Run, key: string, over: Partial<BatchGate> = {}): BatchGate {
  const batchId: BatchId = newId("bat", T0);
  return {
    kind: "batch",
    key,
    batchId,
    now: T0,
    closesAt: T0 + 60_000,
    slideMs: null,
    extensionMs: null,
    maxItems: 1000,
    leading: false,
    activity: anActivity(run),
    open: waiting(0, { place: [1], entry: "resume", carries: over.batchId ?? batchId }),
    join: ended({ actor: { collection: "$users", id: "joined" } }),
    lead: waiting(T0, { place: [2] }),
    ...over,
  };
}

/** Accepts triggers and claims their runs. */
export async function claimedRuns(store: Store, triggers: readonly Acceptance[], leaseUntil: number): Promise<Run[]> {
  await store.pipeline.accept(triggers);
  return await claimRuns(store, triggers, leaseUntil);
}

/** Claims these runs, in their order; what other tests have left is claimed along. */
export async function claimRuns(store: Store, triggers: readonly Acceptance[], leaseUntil: number): Promise<Run[]> {
  const claimed = new Map((await store.runs.claim(leaseUntil - 1, 10_000, leaseUntil)).map((r) => [r.messageId, r]));
  return triggers.flatMap(({ planned }) => planned.flatMap(({ message }) => claimed.get(message.id) ?? []));
}

/** Commits one leg. */
export async function commitLeg(store: Store, leg: Leg): Promise<LegResult | undefined> {
  return (await store.runs.commit([leg], leg.run.leaseUntil ?? 0))[0];
}

export async function messageOf(store: Store, { environmentId, messageId }: Run): Promise<Message> {
  const found = await store.messages.read(environmentId, messageId);
  if (found === null) throw new Error(`no message ${messageId}`);
  return found.message;
}

export async function deliveriesOf(store: Store, run: Run): Promise<readonly Delivery[]> {
  return await store.messages.listDeliveries(run.environmentId, run.messageId);
}

export function aSchedule(environmentId: EnvironmentId, over: Partial<Schedule> = {}): Schedule {
  const at = over.createdAt ?? T0;
  return {
    environmentId,
    id: newId("sch", at),
    workflow: "welcome",
    recipient: ANN,
    actor: null,
    tenantId: null,
    data: null,
    repeats: [],
    scheduledAt: null,
    endingAt: null,
    nextAt: at + 1000,
    lastAt: null,
    createdAt: at,
    updatedAt: at,
    ...over,
  };
}
