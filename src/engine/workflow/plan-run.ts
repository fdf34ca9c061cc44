/**
 * Beginning runs: what becomes of one recipient of a trigger in the commit that makes its message. A run that has
 * nothing to wait for is over in it; any other gets a row, from which the runner goes on.
 */
import type { Clock, Millis } from "../../lib/clock.ts";
import { timeOf } from "../../lib/ids.ts";
import { deepMerge, isObject, type JsonObject } from "../../lib/json.ts";
import { stamp } from "../compose.ts";
import type { EnvironmentId, Message, MessageId, MessageState, Provider, Request } from "../model.ts";
import type { Planned } from "../ports.ts";
import { isUnavailable } from "../refusal.ts";
import type { Target } from "../target.ts";
import type { Furniture, PreparedWorkflow } from "./catalog.ts";
import { oncePer } from "./frequency.ts";
import {
  type ObjectSubscription,
  type PartyRef,
  partyKey,
  partyOf,
  type Run,
  type RunRecord,
  type TriggerSpec,
  USERS,
} from "./model.ts";
import type { PartyFacts } from "./ports.ts";
import { RunLog } from "./record.ts";
import { atTheStart, Walk, type WalkDeps, type Walked } from "./walk.ts";
import { tenantFacts } from "./who.ts";
import type { Cast, RunInWorld } from "./world.ts";

/** A run may wait for years; what it then sends has a limit of its own. */
const DEADLINE_MS: Millis = 100 * 365 * 24 * 3_600_000;
const NEVER = new AbortController().signal;

export interface PlanRunDeps extends WalkDeps {
  readonly clock: Clock;
  readonly providers: (environmentId: EnvironmentId) => Promise<readonly Provider[]>;
}

/** What the recipients of a trigger share. */
export interface TriggerContext {
  readonly request: Request;
  readonly trigger: TriggerSpec;
  /** Null when it is gone; its runs then end at once. */
  readonly version: PreparedWorkflow | null;
  readonly isActive: boolean;
  readonly tenant: PartyFacts | null;
  readonly furniture: Furniture;
  readonly providers: readonly Provider[];
}

/** By `partyKey`. */
export type KnownParties = ReadonlyMap<string, PartyFacts>;

/** What all triggers of one version in one tenant share. */
export type TriggerSurroundings = Omit<TriggerContext, "request" | "trigger">;

export async function triggerContext(request: Request, deps: PlanRunDeps): Promise<TriggerContext> {
  return { request, trigger: triggerOf(request), ...(await triggerSurroundings(request, deps)) };
}

/** Of two requests with the same of these, the surroundings are the same. */
export function surroundingsKey(request: Request): string {
  return `${request.environmentId} ${triggerOf(request).versionId} ${request.spec.tenantId ?? ""}`;
}

export async function triggerSurroundings(request: Request, deps: PlanRunDeps): Promise<TriggerSurroundings> {
  const { environmentId, spec } = request;
  const trigger = triggerOf(request);
  const { catalog } = deps;
  const [version, isActive, furniture, providers, tenant] = await Promise.all([
    catalog.version(environmentId, trigger.versionId),
    catalog.isActive(environmentId, trigger.key),
    catalog.furniture(environmentId),
    deps.providers(environmentId),
    spec.tenantId === undefined ? null : tenantFacts(catalog, environmentId, spec.tenantId),
  ]);
  return { version, isActive, furniture, providers, tenant };
}

export function triggerOf({ id, spec }: Request): TriggerSpec {
  if (spec.content.kind !== "workflow") throw new Error(`request ${id} is no trigger`);
  return spec.content.trigger;
}

export function partyOfTarget({ party, userId }: Target): PartyRef {
  return party ?? { collection: USERS, id: userId ?? "" };
}

/** Everybody that planning these targets asks of. */
export function partiesOf(request: Request, targets: readonly Target[]): readonly PartyRef[] {
  const { actor } = triggerOf(request);
  const parties = targets.map(partyOfTarget);
  for (const { subscriptionPreferences } of targets) {
    const object = subscribedObject(subscriptionPreferences);
    if (object !== null) parties.push(object);
  }
  return actor === null ? parties : [...parties, actor];
}

/** Decides what becomes of one recipient. Nothing is written. Rejects only while the database is away. */
export async function planRun(
  context: TriggerContext,
  target: Target,
  parties: KnownParties,
  id: MessageId,
  deps: PlanRunDeps,
): Promise<Planned> {
  const now = deps.clock.now();
  const recipient = parties.get(partyKey(partyOfTarget(target)));
  const record = firstRecord(context, target, now);
  const ended = (reason: string): Planned => {
    const at = { at: now, event: "run_completed" as const, attempt: 1, data: { reason } };
    const isFault = reason === "recipient_missing";
    const over: RunRecord = { ...record, status: "completed", log: [...record.log, { ...at, ok: !isFault }] };
    const end: Partial<Message> = isFault
      ? { state: "undeliverable", reason: "failed", error: "the recipient was never identified" }
      : { state: "filtered", reason: "filtered" };
    return { message: { ...draftMessage(context, target, id, now, over), ...end }, deliveries: [] };
  };
  if (recipient === undefined || recipient.properties === null) return ended("recipient_missing");
  if (context.version === null || !context.isActive) return ended("workflow_inactive");
  if (await hadItsRun(context, recipient.party, id, deps)) return ended("trigger_frequency");

  const { request, trigger, version, furniture, providers, tenant } = context;
  const run: RunInWorld = {
    environmentId: request.environmentId,
    messageId: id,
    requestId: request.id,
    createdAt: timeOf(id),
    tenantId: request.spec.tenantId ?? null,
    version,
    trigger,
    via: request.spec.via,
    cast: castOf(recipient, trigger, tenant, target.subscriptionPreferences, parties),
    furniture,
    providers,
  };
  const setout = {
    run,
    state: atTheStart(dataFor(request, target)),
    log: new RunLog(record),
    delivered: [],
    now,
    planning: true,
    closes: null,
    signal: NEVER,
  };
  return plannedOf(context, target, run, await new Walk(setout, deps).leg(), now);
}

/** As `planRun`, where nobody is left to hear of a mistake of ours: the run is then over with an error. */
export async function planRunUnattended(
  ...[context, target, parties, id, deps, report]: [
    ...Parameters<typeof planRun>,
    report: (error: unknown, id: MessageId) => void,
  ]
): Promise<Planned> {
  try {
    return await planRun(context, target, parties, id, deps);
  } catch (error) {
    if (isUnavailable(error)) throw error;
    report(error, id);
    const now = deps.clock.now();
    const record = firstRecord(context, target, now);
    const end = { at: now, event: "run_completed" as const, ok: false, attempt: 1, data: { error: "internal error" } };
    const over: RunRecord = { ...record, status: "completed", log: [...record.log, end] };
    const message = draftMessage(context, target, id, now, over);
    const failed = {
      state: "undeliverable",
      reason: "failed",
      error: "internal error while the run was begun",
    } as const;
    return { message: { ...message, ...failed }, deliveries: [] };
  }
}

/** @param kept what a message keeps of the subscription that it came by; see `keptSubscription`. */
export function castOf(
  recipient: PartyFacts,
  { actor }: TriggerSpec,
  tenant: PartyFacts | null,
  kept: JsonObject | null,
  parties: KnownParties,
): Cast {
  const known = (party: PartyRef): PartyFacts =>
    parties.get(partyKey(party)) ?? { party, properties: null, createdAt: null, updatedAt: null, documents: [] };
  const object = subscribedObject(kept);
  return {
    recipient,
    actor: actor === null ? null : known(actor),
    tenant,
    subscription:
      object === null || kept === null
        ? null
        : { properties: isObject(kept.properties) ? kept.properties : {}, object: known(object) },
  };
}

/** As a message keeps it beside the recipient, in the place of what list subscriptions prefer. */
export function keptSubscription({ object, properties }: ObjectSubscription): JsonObject {
  return { object: partyKey(object), properties };
}

export function subscribedObject(kept: JsonObject | null): PartyRef | null {
  return typeof kept?.object === "string" ? partyOf(kept.object) : null;
}

/** What only the recipient was given lies over what all were. */
export function dataFor(request: Request, target: Pick<Target, "data">): JsonObject {
  return target.data === undefined ? request.spec.data : deepMerge(request.spec.data, target.data);
}

async function hadItsRun(
  { request, version }: TriggerContext,
  recipient: PartyRef,
  id: MessageId,
  { runs }: PlanRunDeps,
): Promise<boolean> {
  const per = version === null ? null : oncePer(version.workflow);
  if (version === null || per === null) return false;
  const tenantId = per === "recipient" ? undefined : (request.spec.tenantId ?? null);
  return await runs.hasRun(request.environmentId, version.workflow.key, recipient, tenantId, id);
}

function plannedOf(context: TriggerContext, target: Target, run: RunInWorld, walked: Walked, now: Millis): Planned {
  const { next, deliveries } = walked;
  if (next === null) throw new Error(`run ${run.messageId} came to a gate while it was planned`);
  const draft = draftMessage(context, target, run.messageId, now, next.record);
  const ways = new Set(deliveries.map(({ state }) => state));
  const state: MessageState = ways.has("delivered")
    ? "delivered"
    : ways.has("simulated")
      ? "simulated"
      : ways.has("pending")
        ? "routed"
        : "enqueued";
  const at = stamp(now, run.messageId);
  const reached = state === "delivered" || state === "simulated";
  const over = next.kind === "end" && state === "enqueued";
  const faults = over ? next.record.log.findLast(({ ok }) => !ok)?.data?.error : undefined;
  const message: Message = {
    ...draft,
    state: !over ? state : faults === undefined ? "filtered" : "undeliverable",
    reason: !over ? null : faults === undefined ? "filtered" : "failed",
    error: typeof faults === "string" ? faults : null,
    sentAt: reached ? at : null,
    deliveredAt: state === "delivered" ? at : null,
  };
  return next.kind === "end" ? { message, deliveries } : { message, deliveries, run: rowOf(run, next, now) };
}

function rowOf(run: RunInWorld, next: Extract<Walked["next"], { kind: "wait" }>, now: Millis): Run {
  return {
    environmentId: run.environmentId,
    messageId: run.messageId,
    requestId: run.requestId,
    workflow: run.trigger.key,
    recipient: run.cast.recipient.party,
    tenantId: run.tenantId,
    cancellationKey: run.trigger.cancellationKey,
    status: next.status,
    state: next.state,
    dueAt: next.dueAt,
    leaseUntil: null,
    createdAt: stamp(now, run.messageId),
  };
}

function firstRecord({ trigger }: TriggerContext, target: Target, now: Millis): RunRecord {
  return {
    workflow: trigger.key,
    versionId: trigger.versionId,
    recipient: partyOfTarget(target),
    actor: trigger.actor,
    source: trigger.source,
    cancellationKey: trigger.cancellationKey,
    status: "queued",
    log: [{ at: now, event: "run_started", ok: true, attempt: 1 }],
  };
}

function draftMessage(context: TriggerContext, target: Target, id: MessageId, now: Millis, run: RunRecord): Message {
  const { request, trigger, version } = context;
  return {
    id,
    environmentId: request.environmentId,
    requestId: request.id,
    state: "enqueued",
    reason: null,
    error: null,
    userId: target.userId,
    recipient: target.userId ?? partyKey(partyOfTarget(target)),
    tenantId: request.spec.tenantId ?? null,
    entry: target.entry,
    viaTenant: false,
    listId: null,
    event: trigger.key,
    templateId: trigger.versionId,
    tags: version?.categories ?? request.spec.tags ?? [],
    traceId: null,
    preferences: target.subscriptionPreferences,
    storedProfile: null,
    plan: null,
    dueAt: null,
    leaseUntil: null,
    createdAt: timeOf(id),
    plannedAt: stamp(now, id),
    sentAt: null,
    deliveredAt: null,
    openedAt: null,
    clickedAt: null,
    canceledAt: null,
    deadlineAt: now + DEADLINE_MS,
    run,
  };
}
