/**
 * Goes on with runs whose time has come, leg by leg. What a leg came to is committed under the lease that the run was
 * claimed under: of two processes that walk the same leg after a lapse one writes, and whoever dies in between has
 * written nothing.
 *
 *   claim ──▶ load ──▶ walk ──▶ commit ──▶ tell
 *               ▲                 │ the batch it closes has grown meanwhile
 *               └─────────────────┘
 */
import type { Logger } from "pino";
import type { Millis } from "../../lib/clock.ts";
import { TimeSlice } from "../../lib/time-slice.ts";
import { TurnBatcher } from "../../lib/turn-batcher.ts";
import { tellDeliveries, untilAlone } from "../accept.ts";
import type { MessageId } from "../model.ts";
import type { Bus, Store } from "../ports.ts";
import { isUnavailable } from "../refusal.ts";
import { TENANT } from "../templates.ts";
import { type LoadDeps, type Loaded, loadRuns } from "./load.ts";
import { type BatchStep, partyKey, type Run, type RunRecord, type RunState } from "./model.ts";
import { standing } from "./places.ts";
import type { Leg, LegResult } from "./ports.ts";
import { RunLog } from "./record.ts";
import { renderLimit } from "./wait-steps.ts";
import { Walk, type Walked } from "./walk.ts";

export interface RunnerDeps extends LoadDeps {
  readonly store: Store;
  readonly bus: Bus;
  readonly log: Logger;
  readonly leaseMs: Millis;
}

/** Legs that are committed together at most. */
const MAX_LEGS = 200;
/** How long starting on claimed runs keeps others waiting. */
const SLICE_MS = 25;
/** A batch that grows each time it is looked at is left for later. */
const MAX_ROUNDS = 5;

/** Legs of one run that fail in a row. */
const MAX_TRIES = 3;
const SET_BACK_MS: Millis = 10_000;
const NOTHING_DONE = { deliveries: [], closes: null, requests: [], updates: [], tenants: [], gate: null } as const;

type Attempt = { readonly leg: Leg; readonly leaseUntil: Millis };

/** A run under way here, and the lease it is under. */
interface Hold {
  readonly recipient: string;
  leaseUntil: Millis;
}

export class Runner {
  readonly #deps: RunnerDeps;
  readonly #commits: TurnBatcher<Attempt, LegResult | Error>;
  /** The runs under way whose leases are to be renewed. */
  readonly #held = new Map<MessageId, Hold>();
  #renewing: Promise<void> = Promise.resolve();
  #stopRenewing: (() => void) | null = null;

  constructor(deps: RunnerDeps) {
    this.#deps = deps;
    this.#commits = new TurnBatcher((attempts) => this.#commitAll(attempts), MAX_LEGS);
  }

  /**
   * Claims runs and starts on them.
   * @param stop gives up what is under way; it is then given back as it was.
   */
  async claim(limit: number, isStopping: () => boolean, stop: AbortSignal): Promise<readonly Promise<unknown>[]> {
    const { clock, store, leaseMs } = this.#deps;
    const now = clock.now();
    const leaseUntil = now + leaseMs;
    const claimed = await store.runs.claim(now, limit, leaseUntil);
    const runs = claimed.filter(({ messageId, recipient: party }) => {
      const recipient = partyKey(party);
      const hold = this.#held.get(messageId);
      // Of a user who was merged into another: what is under way is for nobody any more, and stays under its old lease.
      if (hold?.recipient !== recipient) {
        this.#held.set(messageId, { recipient, leaseUntil });
        return true;
      }
      // Our own lease lapsed while the leg was under way, perhaps in the middle of a call: it goes on under the new one.
      hold.leaseUntil = leaseUntil;
      return false;
    });
    if (runs.length === 0) return claimed.length === 0 ? [] : [Promise.resolve()];
    this.#renew();
    let loaded: readonly Loaded[];
    try {
      loaded = await loadRuns(runs, this.#deps);
    } catch (error) {
      for (const { messageId } of runs) this.#held.delete(messageId);
      throw error;
    }
    const started: Promise<unknown>[] = [];
    const slice = new TimeSlice(SLICE_MS);
    for (const each of loaded) {
      if (slice.over) await slice.rest();
      const piece = this.#advance(each, isStopping, stop);
      // Whoever started it hears of its end only when all have been started; until then nobody must think it unheard.
      piece.catch(() => {});
      started.push(piece);
    }
    return started;
  }

  /** Rejects when the database does; the run is claimed again when its lease lapses. */
  async #advance(loaded: Loaded, isStopping: () => boolean, stop: AbortSignal): Promise<void> {
    const { run } = loaded;
    const hold = this.#held.get(run.messageId) ?? { recipient: "", leaseUntil: 0 };
    try {
      let now = loaded;
      for (let round = 0; round < MAX_ROUNDS && !isStopping(); round++) {
        const result = await this.#legOf(now, hold, stop);
        if (result === "stopped") break;
        if (result !== "again") return;
        [now] = (await loadRuns([run], this.#deps)) as [Loaded];
      }
      await this.#giveBack(run, hold);
    } finally {
      this.#letGo(run.messageId, hold);
    }
  }

  async #legOf(loaded: Loaded, hold: Hold, stop: AbortSignal): Promise<LegResult | "stopped"> {
    const { run, record } = loaded;
    const { log, clock } = this.#deps;
    try {
      const walked = await this.#walk(loaded, stop);
      // A call that was cut short by our own stop says nothing about who was called.
      return stop.aborted ? "stopped" : await this.#commit(run, hold, walked);
    } catch (error) {
      if (isUnavailable(error)) throw error;
      // A mistake of ours, or what the database cannot store. Walked again for ever, it would come to the same.
      log.error({ err: error, messageId: run.messageId, environmentId: run.environmentId }, "run.failed");
      return await this.#commit(run, hold, setBack(run, record, clock.now()));
    }
  }

  async #walk(loaded: Loaded, signal: AbortSignal): Promise<Walked> {
    const { clock, runs } = this.#deps;
    const now = clock.now();
    const { run, record } = loaded;
    if (loaded.kind === "over") return ended(record, loaded.reason, now, null);
    const { world, isActive } = loaded;
    const log = new RunLog(record);
    const opened = await this.#openBatch(loaded, log, now);
    if (opened.kind === "empty") return ended(record, "batch_empty", now, opened.closes);
    // Whoever switches a workflow off wants nothing more of it; what has not waited yet is as good as begun.
    const isLater = run.status === "paused" || run.state.entry === "resume";
    if (!isActive && isLater) return ended(record, "workflow_inactive", now, opened.closes);
    const { state, closes } = opened;
    const ids = world.version.usesRefs ? Object.values(state.deliveries).flat() : [];
    const delivered = ids.length === 0 ? [] : await runs.deliveries(run.environmentId, ids);
    const setout = { run: world, state, log, delivered, now, planning: false, closes, signal };
    return await new Walk(setout, this.#deps).leg();
  }

  /** What the batch holds that the run has waited for, laid into its state. */
  async #openBatch(
    { run, world }: Extract<Loaded, { kind: "ready" }>,
    log: RunLog,
    now: Millis,
  ): Promise<
    | { readonly kind: "open"; readonly state: RunState; readonly closes: Leg["closes"] }
    | { readonly kind: "empty"; readonly closes: Leg["closes"] }
  > {
    const { state } = run;
    if (state.carries === null) return { kind: "open", state, closes: null };
    const at = standing(world.version.workflow.steps, state.place);
    const step = at.kind === "step" && at.step.type === "batch" ? at.step : null;
    const order = step?.settings.batch_order ?? "asc";
    const limit = renderLimit(step ?? ({ settings: {} } as BatchStep));
    const contents = await this.#deps.runs.batch(run.environmentId, state.carries, order, limit);
    if (contents === null) return { kind: "empty", closes: null };
    const closes = { batchId: state.carries, version: contents.version };
    if (contents.total === 0) return { kind: "empty", closes };
    const { activities, total: totalActivities, actors, totalActors, mergedData: data, newestData } = contents;
    log.note(now, "batch_closed", step, { data: { total_activities: totalActivities } });
    const endsBefore = order === "asc" && activities.length < totalActivities;
    const batch = { activities, totalActivities, actors, totalActors, ...(endsBefore ? { newestData } : {}) };
    return { kind: "open", state: { ...state, carries: null, data, batch }, closes };
  }

  async #commit(run: Run, hold: Hold, walked: Walked): Promise<LegResult> {
    const { log, bus, clock } = this.#deps;
    const startedAt = clock.now();
    const leg: Leg = { ...walked, run };
    const result = await this.#commits.add({ leg, leaseUntil: await this.#finalLease(run.messageId, hold) });
    // It is still ours, and tried once more.
    const isOurs = result instanceof Error || result === "again";
    if (isOurs && !this.#held.has(run.messageId)) this.#held.set(run.messageId, hold);
    if (result instanceof Error) throw result;
    if (result === "written") {
      tellDeliveries(bus, leg.deliveries);
      if (leg.requests.length > 0) bus.lookNow("requests");
      if (leg.next?.kind !== "end") bus.lookNow("runs");
    }
    if (log.isLevelEnabled("info")) {
      const next = leg.gate === null ? leg.next : null;
      log.info(
        {
          messageId: run.messageId,
          environmentId: run.environmentId,
          workflow: run.workflow,
          result,
          gate: leg.gate?.kind,
          dueAt: next?.kind === "wait" ? next.dueAt : undefined,
          deliveries: leg.deliveries.length,
          requests: leg.requests.length,
          tookMs: clock.now() - startedAt,
        },
        next?.kind === "end" ? "run.ended" : "run.advanced",
      );
    }
    return result;
  }

  /** Legs of one turn share their commit, if they are held under the same lease. */
  async #commitAll(attempts: readonly Attempt[]): Promise<readonly (LegResult | Error)[]> {
    const { runs, clock, bus } = this.#deps;
    const results = new Map<Attempt, LegResult | Error>();
    for (const [leaseUntil, group] of Map.groupBy(attempts, (attempt) => attempt.leaseUntil)) {
      const legs = group.map(({ leg }) => leg);
      const written = await untilAlone(legs, (some) => runs.commit(some, leaseUntil, () => clock.now()));
      // Before anything else: the run may have been claimed again, and is to see what it wrote.
      const changing = legs.filter(({ tenants }) => tenants.length > 0);
      for (const environmentId of new Set(changing.map(({ run }) => run.environmentId))) {
        bus.changed(environmentId, TENANT);
      }
      group.forEach((attempt, i) => {
        results.set(attempt, written[i] as LegResult | Error);
      });
    }
    return attempts.map((attempt) => results.get(attempt) as LegResult | Error);
  }

  async #giveBack({ messageId }: Run, hold: Hold): Promise<void> {
    await this.#deps.runs.release([messageId], await this.#finalLease(messageId, hold));
  }

  // ——— leases ————————————————————————————————————————————————————————————————————————————————————————————————————

  /**
   * The lease under which to commit. A renewal on its way is waited for, and no further one will touch the run. It is let
   * go before the commit: a run that is due again at once may be claimed before we hear that its leg is written, and
   * whoever claims it then has to walk it.
   */
  async #finalLease(id: MessageId, hold: Hold): Promise<Millis> {
    await this.#renewing;
    this.#letGo(id, hold);
    return hold.leaseUntil;
  }

  #letGo(id: MessageId, hold: Hold): void {
    if (this.#held.get(id) === hold) this.#held.delete(id);
  }

  /** Lengthens the leases of what is under way, as long as anything is. */
  #renew(): void {
    if (this.#stopRenewing !== null) return;
    const { clock, leaseMs, log } = this.#deps;
    this.#stopRenewing = clock.wakeAt(clock.now() + leaseMs / 3, () => {
      this.#stopRenewing = null;
      if (this.#held.size === 0) return;
      this.#renewing = this.#renewHeld().catch((error) => log.warn({ err: error }, "run-leases.not-renewed"));
      this.#renewing.then(() => this.#renew());
    });
  }

  async #renewHeld(): Promise<void> {
    const next = this.#deps.clock.now() + this.#deps.leaseMs;
    for (const [held, group] of Map.groupBy(this.#held, ([, { leaseUntil }]) => leaseUntil)) {
      if (held === next) continue;
      const ids = group.map(([id]) => id);
      await this.#deps.runs.renew(ids, held, next);
      for (const [, hold] of group) if (hold.leaseUntil === held) hold.leaseUntil = next;
    }
  }

  /** Called when nothing is under way any more. */
  stop(): void {
    this.#stopRenewing?.();
    this.#stopRenewing = null;
  }
}

/** The run stays where it was, for a while; or it is over, once that has been tried often enough. */
function setBack({ state }: Run, record: RunRecord, now: Millis): Walked {
  const tries = state.tries + 1;
  if (tries >= MAX_TRIES) return ended(record, "internal error", now, null);
  const log = new RunLog(record);
  log.note(now, "step_failed", null, { ok: false, attempt: tries, data: { error: "internal error" } });
  const next = { kind: "wait" as const, status: "paused" as const, dueAt: now + SET_BACK_MS };
  return { ...NOTHING_DONE, next: { ...next, state: { ...state, tries }, record: log.record("paused") } };
}

function ended(record: RunRecord, reason: string, now: Millis, closes: Leg["closes"]): Walked {
  const isFault = reason === "recipient_missing" || reason === "workflow_missing" || reason === "internal error";
  const event = { at: now, event: "run_completed" as const, ok: !isFault, attempt: 1, data: { reason } };
  const status = reason === "canceled" ? "cancelled" : "completed";
  const next = { kind: "end" as const, record: new RunLog(record).record(status, event) };
  return { ...NOTHING_DONE, closes, next };
}
