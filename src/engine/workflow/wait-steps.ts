/** Steps that make a run wait, alone or with others: delays, batches, throttles. */
import { newId } from "../../lib/ids.ts";
import type { Json } from "../../lib/json.ts";
import { keyText } from "./branch-steps.ts";
import { dynamicEnd, fixedEnd, MAX_DELAY_MS, MAX_THROTTLE_MS, offsetEnd, type WaitEnd } from "./durations.ts";
import type { BatchStep, DelayStep, Duration, ThrottleStep } from "./model.ts";
import { resolvePath } from "./paths.ts";
import type { StepContext, StepOutcome } from "./step.ts";
import { recipientZone } from "./world.ts";

/** Activities that a batch may collect when the author sets no limit. */
const MANY_ITEMS = 1_000_000_000;
/** Between the parts of a gate's key: no part can be mistaken for two. */
const BETWEEN = "\n";

export function delayStep({ settings }: DelayStep, context: StepContext): StepOutcome {
  if (context.run.trigger.skipDelay) return { kind: "skipped", reason: "skip_delay" };
  const { now } = context;
  const zone = zoneIn(context);
  const { delay_for: fixed, delay_until_field_path: path } = settings;
  let end: WaitEnd;
  if (path === undefined || path === "") end = endOf(fixed, undefined, MAX_DELAY_MS, context);
  else if (fixed === undefined) end = dynamicEnd(valueAt(path, context), now, zone, MAX_DELAY_MS);
  else end = offsetEnd(valueAt(path, context), fixed, now, zone, MAX_DELAY_MS);
  if (end.kind === "invalid") return invalid(end.reason);
  return end.at <= now ? { kind: "done" } : { kind: "pause", until: end.at };
}

/** Lets so many runs of a recipient pass within a window. */
export async function throttleStep(step: ThrottleStep, context: StepContext): Promise<StepOutcome> {
  const { throttle_key, throttle_window, throttle_window_field_path, throttle_limit = 1 } = step.settings;
  const end = endOf(throttle_window, throttle_window_field_path, MAX_THROTTLE_MS, context);
  if (end.kind === "invalid") return invalid(end.reason);
  const key = gateKey("throttle", step.ref, [(await keyText(throttle_key, context)) ?? ""], context);
  const { now } = context;
  return { kind: "gate", gate: { kind: "throttle", key, limit: throttle_limit, now, until: end.at } };
}

/**
 * Collects what happens to a recipient. Batches of different tenants are kept apart: what they come to is sent in the
 * name of one.
 */
export async function batchStep(step: BatchStep, context: StepContext): Promise<StepOutcome> {
  const { settings } = step;
  const { run, state, now } = context;
  const end = endOf(settings.batch_window, settings.batch_until_field_path, MAX_DELAY_MS, context);
  if (end.kind === "invalid") return invalid(end.reason);
  const sliding = settings.batch_window_type === "sliding";
  const limit = sliding ? settings.batch_window_extension_limit : undefined;
  const extension = limit === undefined ? null : fixedEnd(limit, now, zoneIn(context), MAX_DELAY_MS);
  const version = settings.workflow_version_mode === "latest" ? "" : run.version.id;
  const key = (await keyText(settings.batch_key, context)) ?? "";
  return {
    kind: "gate",
    gate: {
      kind: "batch",
      key: gateKey("batch", step.ref, [run.tenantId ?? "", version, key], context),
      batchId: newId("bat", now),
      now,
      closesAt: end.at,
      slideMs: sliding ? end.at - now : null,
      extensionMs: extension?.kind === "at" ? extension.at - now : null,
      maxItems: settings.batch_items_max_limit ?? MANY_ITEMS,
      leading: settings.batch_execution_mode === "flush_leading",
      activity: { id: run.messageId, actor: run.trigger.actor, data: state.data, at: now },
    },
  };
}

/** How many activities a step behind the batch is shown at most. */
export function renderLimit({ settings }: BatchStep): number {
  return Math.min(Math.max(1, settings.batch_items_render_limit ?? 10), 100);
}

function gateKey(kind: string, ref: string, parts: readonly string[], { run }: StepContext): string {
  return [kind, run.version.workflow.key, ref, ...parts].join(BETWEEN);
}

/** Of a window: of fixed length, or as long as a value in the run's data says. */
function endOf(fixed: Duration | undefined, path: string | undefined, maxMs: number, context: StepContext): WaitEnd {
  const { now } = context;
  if (path !== undefined && path !== "") return dynamicEnd(valueAt(path, context), now, zoneIn(context), maxMs);
  if (fixed === undefined) return { kind: "invalid", reason: "there is neither a length nor a path to one" };
  return fixedEnd(fixed, now, zoneIn(context), maxMs);
}

function valueAt(path: string, { scope }: StepContext): Json | undefined {
  const { data, recipient, actor, tenant, vars } = scope;
  return resolvePath({ data, recipient, actor, tenant, vars }, path.trim());
}

function zoneIn({ run, world }: StepContext): string {
  return recipientZone(run, world.accountTimezone);
}

function invalid(why: string): StepOutcome {
  return { kind: "skipped", reason: "invalid_duration", detail: { why }, isFault: true };
}
