/**
 * One leg of a run: from where it stands to its end or to something it has to wait for. Nothing is written here; what
 * the leg came to is committed as a whole.
 *
 *   begin ─▶ gate ───▶ the leg ends; its commit decides whether the recipient gets this run
 *   enter a step ──▶ done ───────────▶ the next one
 *                 ├▶ skipped ────────▶ the next one
 *                 ├▶ enter a branch ─▶ its first step
 *                 ├▶ pause ──────────▶ the leg ends; the step is resumed when its time has come
 *                 ├▶ gate ───────────▶ the leg ends; its commit decides which way the run goes on
 *                 ├▶ retry ──────────▶ the leg ends; the step is entered again
 *                 └▶ halt ───────────▶ the run ends
 *
 * The leg that planning makes writes the run's first row, or none. It stops before whatever acts on more than the run
 * itself, for it is committed together with other requests and must not fail or wait.
 */
import type { Millis } from "../../lib/clock.ts";
import type { Delivery, DeliveryId, Request } from "../model.ts";
import { isUnavailable, Refusal } from "../refusal.ts";
import { tenantMerge } from "../tenants.ts";
import { branchStep, cohortStep } from "./branch-steps.ts";
import { channelStep } from "./channel-step.ts";
import { updateData, updateParty } from "./effects.ts";
import { type FetchDeps, fetchStep } from "./fetch-step.ts";
import { onceGate, oncePer } from "./frequency.ts";
import { type Activity, type Place, type RunState, type Step, TENANTS } from "./model.ts";
import { after, into, standing } from "./places.ts";
import type { Gate, Leg, RunNext } from "./ports.ts";
import type { RunLog } from "./record.ts";
import { failing, type GateAsked, type PartyUpdate, type StepContext, type StepOutcome } from "./step.ts";
import { triggerStep } from "./trigger-step.ts";
import { batchStep, delayStep, throttleStep } from "./wait-steps.ts";
import { Outlook, type RunInWorld, type WorldDeps } from "./world.ts";

export interface WalkDeps extends WorldDeps, FetchDeps {
  /** Gets mistakes of ours. */
  readonly report: (error: unknown, run: RunInWorld, step: Step) => void;
}

/** How a leg begins. */
export interface Setout {
  readonly run: RunInWorld;
  readonly state: RunState;
  readonly log: RunLog;
  /** What earlier legs sent, as far as it is known and asked for. */
  readonly delivered: readonly Delivery[];
  readonly now: Millis;
  /** The leg is part of the commit that makes the run. */
  readonly planning: boolean;
  /** Batch that the leg goes on behind, to be closed in its commit. */
  readonly closes: Leg["closes"];
  readonly signal: AbortSignal;
}

/** What a leg came to; `Leg` without the run it is of. */
export type Walked = Omit<Leg, "run">;

/** Tries of a step at whose failure nobody but us is to blame, the first included. */
const MAX_TRIES = 3;
const MAX_ERROR_CHARS = 1_000;
const ACTS_ELSEWHERE: ReadonlySet<Step["type"]> = new Set([
  "batch",
  "throttle",
  "http_fetch",
  "trigger_workflow",
  "update_user",
  "update_tenant",
  "update_object",
]);

export class Walk {
  readonly #deps: WalkDeps;
  readonly #setout: Setout;
  readonly #outlook: Outlook;
  readonly #delivered: Map<DeliveryId, Delivery>;
  readonly #made: Delivery[] = [];
  readonly #requests: Request[] = [];
  readonly #updates: PartyUpdate[] = [];
  #state: RunState;

  constructor(setout: Setout, deps: WalkDeps) {
    this.#deps = deps;
    this.#setout = setout;
    this.#state = setout.state;
    this.#outlook = new Outlook(setout.run, deps, setout.now);
    this.#delivered = new Map(setout.delivered.map((delivery) => [delivery.id, delivery]));
  }

  /** Rejects only while the database is away. */
  async leg(): Promise<Walked> {
    const { run, planning, now, log } = this.#setout;
    const { steps, conditions } = run.version.workflow;
    if (this.#state.batch !== null) await this.#outlook.learnOf(this.#state.batch);
    if (planning && conditions !== null && conditions !== undefined) {
      const failed = await failing(conditions, this.#context());
      log.note(now, "conditions_evaluated", null, { data: { holds: failed.length === 0, failed } });
      if (failed.length > 0) return this.#end();
    }
    if (planning && oncePer(run.version.workflow) !== null) {
      return this.#walked(null, this.#wait("queued", now, { ...this.#state, entry: "begin" }));
    }
    if (this.#state.entry === "begin") return this.#walked(this.#begin(), null);
    for (;;) {
      const at = standing(steps, this.#state.place);
      if (at.kind === "end") return this.#end();
      this.#state = { ...this.#state, place: at.place };
      if (this.#mustWait(at.step)) return this.#walked(null, this.#wait("queued", this.#setout.now, this.#state));
      const walked = this.#follow(at.step, at.place, await this.#try(at.step));
      if (walked !== null) return walked;
    }
  }

  /**
   * What acts on more than the run begins a leg: a call must not be made again because what stood before it in the leg
   * could not be written, nor hold that up; and a batch is closed before another gate is asked. A step whose wait is over
   * acts on nothing any more.
   */
  #mustWait(step: Step): boolean {
    const { planning, closes } = this.#setout;
    if (!ACTS_ELSEWHERE.has(step.type) || this.#state.entry === "resume") return false;
    if (planning) return true;
    if (step.type === "http_fetch") return this.#made.length > 0 || this.#requests.length > 0 || closes !== null;
    return closes !== null && (step.type === "batch" || step.type === "throttle");
  }

  /** A step that throws was not to blame on the world: the author's text or our mistake. */
  async #try(step: Step): Promise<StepOutcome> {
    const { run, now } = this.#setout;
    try {
      return await this.#do(step);
    } catch (error) {
      if (isUnavailable(error)) throw error;
      const isTheirs = error instanceof Error && (error.name === "RenderError" || error instanceof Refusal);
      if (!isTheirs) this.#deps.report(error, run, step);
      const text = isTheirs ? (error as Error).message.slice(0, MAX_ERROR_CHARS) : "internal error";
      return this.#state.tries + 1 < MAX_TRIES
        ? { kind: "retry", at: now, error: text }
        : { kind: "halt", error: text };
    }
  }

  async #do(step: Step): Promise<StepOutcome> {
    const { now, log, signal } = this.#setout;
    const context = this.#context();
    const resumed = this.#state.entry === "resume";
    if (resumed) log.note(now, "step_resumed", step);
    if (step.type !== "branch" && step.type !== "batch" && !resumed) {
      const judged = failing(step.conditions, context);
      const failed = judged instanceof Promise ? await judged : judged;
      if (failed.length > 0) return { kind: "skipped", reason: "conditions", detail: { failed } };
    }
    switch (step.type) {
      case "channel":
        return await channelStep(step, context);
      case "delay":
        return resumed ? { kind: "done" } : delayStep(step, context);
      case "batch":
        return resumed ? { kind: "done" } : await batchStep(step, context);
      case "throttle":
        return await throttleStep(step, context);
      case "branch":
        return await branchStep(step, context);
      case "random_cohort":
        return await cohortStep(step, context);
      case "http_fetch":
        return await fetchStep(step, context, this.#deps, signal);
      case "trigger_workflow":
        return await triggerStep(step, context);
      case "update_data":
        return await updateData(step, context);
      case "update_user":
      case "update_tenant":
      case "update_object":
        return await updateParty(step, context);
    }
  }

  #context(): StepContext {
    const { run, now } = this.#setout;
    const scope = this.#outlook.scope(this.#state, this.#delivered);
    return { run, world: this.#deps, outlook: this.#outlook, state: this.#state, now, scope };
  }

  /** @returns null when the leg goes on. */
  #follow(step: Step, place: Place, outcome: StepOutcome): Walked | null {
    const { log, now } = this.#setout;
    switch (outcome.kind) {
      case "done": {
        this.#take(step, outcome);
        this.#proceed(after(place));
        return outcome.fresh === true ? this.#walked(null, this.#wait("queued", now, this.#state)) : null;
      }
      case "skipped": {
        log.note(now, "step_skipped", step, {
          ok: outcome.isFault !== true,
          data: { reason: outcome.reason, ...outcome.detail },
        });
        if (step.type === "channel") this.#sent(step.ref, []);
        this.#proceed(after(place));
        return null;
      }
      case "enter":
        this.#proceed(into(place, outcome.branch));
        return null;
      case "pause":
        log.note(now, "step_paused", step, { data: { until: new Date(outcome.until).toISOString() } });
        return this.#walked(null, this.#wait("paused", outcome.until, { ...this.#state, entry: "resume" }));
      case "gate":
        return this.#walked(this.#gate(step, after(place), outcome.gate), null);
      case "retry": {
        const tries = this.#state.tries + 1;
        log.note(now, "step_failed", step, { ok: false, attempt: tries, data: { error: outcome.error } });
        const status = outcome.at > now ? "paused" : "queued";
        return this.#walked(null, this.#wait(status, outcome.at, { ...this.#state, tries }));
      }
      case "halt":
        log.note(now, "step_failed", step, {
          ok: false,
          attempt: this.#state.tries + 1,
          data: { error: outcome.error },
        });
        return this.#end();
    }
  }

  #take(step: Step, done: Extract<StepOutcome, { kind: "done" }>): void {
    const { log, now } = this.#setout;
    if (done.data !== undefined) this.#state = { ...this.#state, data: done.data };
    for (const note of done.notes ?? []) log.note(now, "step_skipped", step, { data: note });
    if (done.requests !== undefined) this.#requests.push(...done.requests);
    if (done.updates !== undefined) this.#updates.push(...done.updates);
    if (done.deliveries === undefined) return;
    this.#sent(
      step.ref,
      done.deliveries.map(({ id }) => id),
    );
    for (const delivery of done.deliveries) {
      this.#made.push(delivery);
      this.#delivered.set(delivery.id, delivery);
      // Whoever shows the log spells the id.
      const data = { message_id: delivery.id, channel_id: delivery.origin?.channelId };
      log.note(now, "message_enqueued", step, { data });
    }
  }

  #sent(ref: string, ids: readonly DeliveryId[]): void {
    this.#state = { ...this.#state, deliveries: { ...this.#state.deliveries, [ref]: ids } };
  }

  #proceed(place: Place): void {
    this.#state = { ...this.#state, place, entry: "enter", tries: 0 };
  }

  // ——— ends of the leg ———————————————————————————————————————————————————————————————————————————————————————————

  #wait(status: "queued" | "paused", dueAt: Millis, state: RunState): RunNext & { readonly kind: "wait" } {
    return { kind: "wait", status, dueAt, state, record: this.#setout.log.record(status) };
  }

  #end(): Walked {
    const { log, now } = this.#setout;
    const record = log.record("completed", { at: now, event: "run_completed", ok: true, attempt: 1 });
    return this.#walked(null, { kind: "end", record });
  }

  /** Whoever comes second is over, as if it had been known when it was planned. */
  #begin(): Gate {
    const { log, now, run } = this.#setout;
    const over = {
      at: now,
      event: "run_completed" as const,
      ok: true,
      attempt: 1,
      data: { reason: "trigger_frequency" },
    };
    const pass = this.#wait("queued", now, { ...this.#state, entry: "enter" });
    return { ...onceGate(run, now), pass, stop: { kind: "end", record: log.record("completed", over) } };
  }

  #gate(step: Step, behind: Place, asked: GateAsked): Gate {
    const { log, now, run } = this.#setout;
    const next: RunState = { ...this.#state, place: behind, entry: "enter", tries: 0 };
    const onward = (state: RunState): RunNext => this.#wait("queued", now, state);
    const about = { ok: true, attempt: 1, ref: step.ref, type: step.type };
    if (asked.kind === "throttle") {
      const stop = log.record("completed", { at: now, event: "throttled", ...about });
      return { ...asked, pass: onward(next), stop: { kind: "end", record: stop } };
    }
    const { activity } = asked;
    const batch = { activities: [activity], totalActivities: 1, ...actorsOf(activity) };
    const waiting: RunState = { ...this.#state, entry: "resume", carries: asked.batchId, tries: 0 };
    const paused = log.record("paused", { at: now, event: "step_paused", ...about });
    const joined = log.record("completed", { at: now, event: "batch_item_added", ...about });
    return {
      ...asked,
      activity: { ...activity, id: run.messageId },
      open: { kind: "wait", status: "paused", dueAt: asked.closesAt, state: waiting, record: paused },
      join: { kind: "end", record: joined },
      lead: onward({ ...next, batch }),
    };
  }

  #walked(gate: Gate | null, next: RunNext | null): Walked {
    return {
      deliveries: this.#made,
      closes: this.#setout.closes,
      requests: this.#requests,
      updates: this.#updates.filter(({ party }) => party.collection !== TENANTS),
      tenants: this.#updates.flatMap(({ party, properties }) =>
        party.collection === TENANTS ? [tenantMerge(party.id, properties)] : [],
      ),
      gate,
      next,
    };
  }
}

function actorsOf({ actor }: Activity): {
  readonly actors: NonNullable<Activity["actor"]>[];
  readonly totalActors: number;
} {
  return actor === null ? { actors: [], totalActors: 0 } : { actors: [actor], totalActors: 1 };
}

/** The state of a run that has not begun. */
export function atTheStart(data: RunState["data"]): RunState {
  return { place: [0], entry: "enter", data, tries: 0, batch: null, carries: null, deliveries: {} };
}
