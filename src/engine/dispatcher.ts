import type { Logger } from "pino";
import type { Clock, Millis } from "../lib/clock.ts";
import { Signal } from "../lib/signal.ts";
import { TimeSlice } from "../lib/time-slice.ts";
import { tellPlanned, untilAlone } from "./accept.ts";
import type { Deliverer } from "./deliver.ts";
import type { Expander } from "./expand.ts";
import type { ChangeTeller } from "./message-changes.ts";
import type { Delivery, DeliveryId, Message, MessageChange, Request } from "./model.ts";
import { OutageLog } from "./outage-log.ts";
import { type PlanningDeps, planUnattended, requestContext } from "./plan.ts";
import type { Bus, Planned, Store, Work } from "./ports.ts";
import { isUnavailable } from "./refusal.ts";
import { refusedMessages } from "./refused.ts";
import { targetOfMessage } from "./target.ts";
import type { EndpointDeliverer } from "./webhooks/deliver.ts";
import { Lanes } from "./webhooks/lanes.ts";
import type { EndpointAttempt, Task } from "./webhooks/model.ts";
import type { Publisher } from "./webhooks/publish.ts";
import type { TaskRunner } from "./webhooks/task-runner.ts";
import { WorkLoop } from "./work-loop.ts";
import type { HappeningTeller } from "./workflow/happenings.ts";
import type { Happening } from "./workflow/model.ts";
import type { WorkflowWork } from "./workflow/open.ts";

export interface DispatcherLimits {
  /** How long a claim holds without being renewed. After a crash, work is picked up again this much later. */
  readonly leaseMs: Millis;
  /** How often to look although nobody called: other processes may have made work. */
  readonly pollMs: Millis;
  readonly maxInFlight: number;
}

/** Who does the work of applications' webhooks. */
export interface WebhookWork {
  readonly publisher: Publisher;
  readonly deliverer: EndpointDeliverer;
  readonly tasks: TaskRunner;
  /** Reads what `rateOf` needs into memory. */
  readonly prepare: (deliveries: readonly Delivery[]) => Promise<void>;
  /** Tries a second at the delivery's endpoint, from memory; null: no limit; undefined: it is not in memory. */
  readonly rateOf: (delivery: Pick<Delivery, "environmentId" | "app" | "providerId">) => number | null | undefined;
  readonly slowRoom: number;
  readonly perEndpoint: number;
}

/** Tasks worked on at once: each has many pages, and there is no hurry. */
const TASKS = 2;
/** Changes are told in batches, so that a commit is shared; so many batches may be under way. */
const CHANGE_BATCH = 100;
const CHANGE_BATCHES = 2;
/** Runs under way at once: most have a leg behind them within a millisecond, some call a server that hangs. */
const RUNS = 256;
const SCHEDULES = 64;
/** After so much time the delayed messages planned so far are committed. */
const PLANNING_SLICE_MS = 200;

/**
 * Finds work whose time has come and sees to it that it is done: requests to expand, messages to plan, deliveries to
 * try, changes and happenings to tell endpoints of, tasks, runs to go on with, schedules to fire. Which work is due, and who owns it, is only ever in the database; what is
 * kept here may be lost at any moment.
 *
 *   asleep ──(look now, a due time, the poll)──▶ claiming ──(nothing due)──▶ asleep
 *                                                 └──▶ working on what was claimed, renewing its leases
 */
export class Dispatcher {
  readonly #store: Store;
  readonly #deps: PlanningDeps;
  readonly #deliverer: Deliverer;
  readonly #expander: Expander;
  readonly #teller: ChangeTeller;
  readonly #happeningTeller: HappeningTeller;
  readonly #webhooks: WebhookWork;
  readonly #workflows: WorkflowWork;
  readonly #lanes: Lanes;
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #limits: DispatcherLimits;
  readonly #stop = new AbortController();
  readonly #loops: readonly WorkLoop[];
  /** Leases held, by delivery, of what is being tried. */
  #held = new Map<DeliveryId, Millis>();
  #renewing: Promise<void> = Promise.resolve();
  #stopRenewing: () => void = () => {};
  #stopListening: () => void = () => {};
  #cancelWake: () => void = () => {};
  #scheduling = false;
  #stopped = false;
  #ended = false;
  /** Emitted whenever a piece of work has been finished; for tests. */
  readonly finished = new Signal<Work>();

  constructor(
    store: Store,
    deps: PlanningDeps,
    deliverer: Deliverer,
    expander: Expander,
    teller: ChangeTeller,
    happeningTeller: HappeningTeller,
    webhooks: WebhookWork,
    workflows: WorkflowWork,
    bus: Bus,
    log: Logger,
    limits: DispatcherLimits,
  ) {
    this.#store = store;
    this.#deps = deps;
    this.#deliverer = deliverer;
    this.#expander = expander;
    this.#teller = teller;
    this.#happeningTeller = happeningTeller;
    this.#webhooks = webhooks;
    this.#workflows = workflows;
    this.#lanes = new Lanes({
      store: store.appMessages,
      clock: deps.clock,
      log,
      leaseMs: limits.leaseMs,
      limits: { room: limits.maxInFlight, slowRoom: webhooks.slowRoom, perEndpoint: webhooks.perEndpoint },
      prepare: webhooks.prepare,
      rateOf: webhooks.rateOf,
      run: (delivery, leaseUntil) => this.#deliver(delivery, leaseUntil),
      hold: ({ id }, leaseUntil) => this.#held.set(id, leaseUntil),
      keeps: ({ id }) => this.#keeps(id),
      giveBack: (deliveries, parkedUntil) => this.#giveBack(deliveries, parkedUntil),
      onRoom: () => this.#bus.lookNow("deliveries"),
    });
    this.#bus = bus;
    this.#clock = deps.clock;
    this.#log = log;
    this.#limits = limits;
    this.#loops = [
      new WorkLoop("requests", 4, (limit) => this.#claimRequests(limit)),
      new WorkLoop("messages", limits.maxInFlight, (limit) => this.#claimMessages(limit)),
      new WorkLoop("deliveries", limits.maxInFlight, (limit) => this.#claimDeliveries(limit)),
      new WorkLoop("changes", CHANGE_BATCHES, () => this.#claimChanges()),
      new WorkLoop("tasks", TASKS, (limit) => this.#claimTasks(limit)),
      new WorkLoop("runs", RUNS, (limit) => workflows.runs.claim(limit, () => this.#stopped, this.#stop.signal)),
      new WorkLoop("schedules", SCHEDULES, (limit) => workflows.schedules.claim(limit)),
      new WorkLoop("happenings", CHANGE_BATCHES, () => this.#claimHappenings()),
    ];
    const outage = new OutageLog(log, deps.clock);
    for (const loop of this.#loops) {
      loop.onFailure = (error) => {
        if (!outage.failed(error)) this.#log.warn({ err: error, work: loop.work }, "dispatcher.failed");
      };
      loop.onLooked = () => outage.answered();
      loop.onFinished = () => this.finished.emit(loop.work);
      loop.onDrained = () => this.#schedule();
    }
  }

  start(): void {
    this.#stopListening = this.#bus.onLookNow((work) => {
      for (const loop of this.#loops) if (loop.work === work) loop.wake();
    });
    this.#webhooks.publisher.intake = this.#lanes;
    this.#renew();
    this.#lookAtAll();
    // What it cannot look at now comes back by itself when its time is over.
    this.#lanes.resume().catch((error) => this.#log.warn({ err: error }, "lanes.not-resumed"));
  }

  /** Takes no more work, gives back what has not been tried, waits for the rest until `deadlineMs` from now. */
  async stop(deadlineMs: Millis): Promise<void> {
    this.#stopped = true;
    this.#stopListening();
    this.#cancelWake();
    for (const loop of this.#loops) loop.stop();
    this.#webhooks.publisher.intake = null;
    this.#lanes.stop();
    const idle = Promise.all([...this.#loops, this.#lanes].map((part) => part.idle()));
    const late = new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.#stop.abort();
        resolve();
      }, deadlineMs);
      idle
        .then(
          () => clearTimeout(timer),
          () => clearTimeout(timer),
        )
        .finally(resolve);
    });
    await late;
    await idle;
    this.#ended = true;
    this.#stopRenewing();
    this.#workflows.runs.stop();
  }

  /** Resolves once nothing that is due now is left, and nothing is under way. */
  async idle(): Promise<void> {
    for (;;) {
      for (const loop of this.#loops) loop.wake();
      await Promise.all([...this.#loops, this.#lanes].map((part) => part.idle()));
      const due = await this.#store.pipeline.nextDueAt();
      // While we asked, a loop may have claimed what was due then.
      if ((due === null || due > this.#clock.now()) && this.quiet) return;
    }
  }

  /** Nothing is under way here and nothing is being claimed. */
  get quiet(): boolean {
    return [...this.#loops, this.#lanes].every((part) => part.quiet);
  }

  /** Work in flight, for metrics. */
  get inFlight(): number {
    return this.#held.size;
  }

  async #claimRequests(limit: number): Promise<readonly Promise<unknown>[]> {
    const now = this.#clock.now();
    const leaseUntil = now + this.#limits.leaseMs;
    const requests = await this.#store.pipeline.claimRequests(now, limit, leaseUntil);
    return requests.map((request) => this.#expand(request, leaseUntil));
  }

  async #expand(request: Request, leaseUntil: Millis): Promise<void> {
    const started = this.#clock.now();
    let messages = 0;
    const outcome = await this.#expander.expand(
      request,
      leaseUntil,
      () => this.#clock.now() + this.#limits.leaseMs,
      (planned) => {
        messages += planned.length;
        tellPlanned(this.#bus, planned);
      },
      () => this.#stopped,
    );
    this.#log.info(
      {
        requestId: request.id,
        environmentId: request.environmentId,
        outcome,
        messages,
        tookMs: this.#clock.now() - started,
      },
      "request.expanded",
    );
  }

  async #claimMessages(limit: number): Promise<readonly Promise<unknown>[]> {
    const now = this.#clock.now();
    const leaseUntil = now + this.#limits.leaseMs;
    const messages = await this.#store.pipeline.claimMessages(now, limit, leaseUntil);
    return messages.length === 0 ? [] : [this.#planDelayed(messages, leaseUntil)];
  }

  /** Commits whenever a slice of time is used up: what is planned only when the lease is over is planned for nothing. */
  async #planDelayed(messages: readonly Message[], leaseUntil: Millis): Promise<void> {
    let planned: Planned[] = [];
    const slice = new TimeSlice(PLANNING_SLICE_MS);
    for (const [i, message] of messages.entries()) {
      if (slice.over) {
        await this.#resume(planned, leaseUntil);
        planned = [];
        await slice.rest();
      }
      if (this.#stopped) {
        // Written as they were, without a lease: whoever goes on need not wait.
        planned.push(...messages.slice(i).map((left) => ({ message: left, deliveries: [] })));
        break;
      }
      try {
        const resumed = await this.#planOne(message);
        if (resumed !== null) planned.push(resumed);
      } catch (error) {
        // It comes back when its lease lapses; those it was claimed with go on without it.
        this.#log.warn({ err: error, messageId: message.id, work: "messages" }, "dispatcher.failed");
      }
    }
    await this.#resume(planned, leaseUntil);
  }

  async #planOne(message: Message): Promise<Planned | null> {
    const request = await this.#store.messages.readRequest(message.environmentId, message.requestId);
    if (request === null) return null;
    const target = targetOfMessage(message, request);
    const [facts = null] =
      target.userId === null ? [] : await this.#store.directory.facts(message.environmentId, [target.userId]);
    const context = await requestContext(request, this.#deps);
    return await planUnattended(context, target, facts, message.id, message, this.#deps);
  }

  async #resume(planned: readonly Planned[], leaseUntil: Millis): Promise<void> {
    if (planned.length === 0) return;
    const { pipeline } = this.#store;
    const results = await untilAlone(planned, (some) => pipeline.commitPlanned(some, leaseUntil));
    const away = results.find(isUnavailable);
    const written = planned.filter((_, i) => results[i] === true);
    tellPlanned(this.#bus, written);
    this.#log.info({ messages: planned.length, planned: written.length }, "messages.resumed");
    if (away !== undefined) throw away;
    for (const [i, { message }] of planned.entries()) {
      const cause = results[i];
      if (!(cause instanceof Error)) continue;
      this.#deps.report(cause, message.id);
      const [ended] = refusedMessages(message, cause, this.#clock.now());
      await pipeline.commitPlanned([{ message: ended as Message, deliveries: [] }], leaseUntil);
    }
  }

  async #claimChanges(): Promise<readonly Promise<unknown>[]> {
    const now = this.#clock.now();
    const leaseUntil = now + this.#limits.leaseMs;
    const changes = await this.#store.messageChanges.claim(now, CHANGE_BATCH, leaseUntil);
    return changes.length === 0 ? [] : [this.#tellOf(changes, leaseUntil)];
  }

  async #tellOf(changes: readonly MessageChange[], leaseUntil: Millis): Promise<void> {
    const planned = await this.#teller.tell(changes, leaseUntil);
    tellPlanned(this.#bus, planned);
    this.#log.info({ changes: changes.length, messages: planned.length }, "changes.told");
  }

  async #claimHappenings(): Promise<readonly Promise<unknown>[]> {
    const now = this.#clock.now();
    const leaseUntil = now + this.#limits.leaseMs;
    const happenings = await this.#store.happenings.claim(now, CHANGE_BATCH, leaseUntil);
    return happenings.length === 0 ? [] : [this.#tellHappenings(happenings, leaseUntil)];
  }

  async #tellHappenings(happenings: readonly Happening[], leaseUntil: Millis): Promise<void> {
    const planned = await this.#happeningTeller.tell(happenings, leaseUntil);
    tellPlanned(this.#bus, planned);
    this.#log.info({ happenings: happenings.length, messages: planned.length }, "happenings.told");
  }

  async #claimTasks(limit: number): Promise<readonly Promise<unknown>[]> {
    const now = this.#clock.now();
    const leaseUntil = now + this.#limits.leaseMs;
    const tasks = await this.#store.tasks.claim(now, limit, leaseUntil);
    return tasks.map((task) => this.#runTask(task, leaseUntil));
  }

  #runTask(task: Task, leaseUntil: Millis): Promise<void> {
    return this.#webhooks.tasks.run(task, leaseUntil, () => this.#stopped, this.#stop.signal);
  }

  /** Since when tries at an endpoint have been held back by its rate. */
  get lanes(): Pick<Lanes, "throttledSince" | "running"> {
    return this.#lanes;
  }

  /** Makes the try of a delivery to an endpoint that was stored under a lease of ours. */
  async tryNow(delivery: Delivery, leaseUntil: Millis): Promise<EndpointAttempt | null> {
    this.#held.set(delivery.id, leaseUntil);
    try {
      const finalLease = (): Promise<Millis> => this.#finalLease(delivery.id);
      const { kind, attempt } = await this.#webhooks.deliverer.deliver(delivery, finalLease, this.#stop.signal);
      if (kind === "stopped") await this.#store.pipeline.releaseLeases([delivery.id], await finalLease());
      return attempt;
    } finally {
      this.#held.delete(delivery.id);
    }
  }

  async #claimDeliveries(most: number): Promise<readonly Promise<unknown>[]> {
    const limit = Math.min(most, this.#lanes.room);
    if (limit === 0) {
      this.#lanes.starve();
      return [];
    }
    const now = this.#clock.now();
    const leaseUntil = now + this.#limits.leaseMs;
    const claimed = await this.#store.pipeline.claimDeliveries(now, limit, leaseUntil);
    const toEndpoints = claimed.filter(({ id, app }) => app !== undefined && !this.#held.has(id));
    if (toEndpoints.length > 0) await this.#webhooks.prepare(toEndpoints);
    const fresh = new Set(toEndpoints);
    const others = claimed.filter((delivery) => !fresh.has(delivery));
    return [...this.#startAll(others, leaseUntil), ...this.#lanes.take(toEndpoints, leaseUntil)];
  }

  #startAll(deliveries: readonly Delivery[], leaseUntil: Millis): readonly Promise<unknown>[] {
    return deliveries.flatMap((delivery) => {
      // Our own lease has lapsed, by a jump of the clock or because we were held up: the try under way goes on under
      // the new one. A second try would be the same mail twice.
      if (this.#held.has(delivery.id)) {
        this.#held.set(delivery.id, leaseUntil);
        return [];
      }
      return [this.#deliver(delivery, leaseUntil)];
    });
  }

  /** One that was held up for longer than its lease must not be tried under it: another process may have claimed it. */
  #keeps(id: DeliveryId): boolean {
    const isKept = (this.#held.get(id) ?? 0) > this.#clock.now();
    if (!isKept) this.#held.delete(id);
    return isKept;
  }

  async #giveBack(deliveries: readonly Delivery[], parkedUntil: Millis | null): Promise<void> {
    await this.#renewing;
    const groups = Map.groupBy(deliveries, ({ id }) => this.#held.get(id) ?? 0);
    // First of all, so that those who fail to be given back are not held for ever.
    for (const { id } of deliveries) this.#held.delete(id);
    for (const [held, group] of groups) {
      const ids = group.map(({ id }) => id);
      if (parkedUntil === null) await this.#store.pipeline.releaseLeases(ids, held);
      else await this.#store.appMessages.parkClaimed(group, held, parkedUntil);
    }
  }

  /** @returns whether an application's endpoint has answered. */
  async #deliver(delivery: Delivery, leaseUntil: Millis): Promise<boolean> {
    // One that waited for its turn may have been renewed meanwhile.
    if (!this.#held.has(delivery.id)) this.#held.set(delivery.id, leaseUntil);
    try {
      const finalLease = (): Promise<Millis> => this.#finalLease(delivery.id);
      const { kind, attempt } =
        delivery.app === undefined
          ? { kind: await this.#deliverer.deliver(delivery, finalLease, this.#stop.signal), attempt: null }
          : await this.#webhooks.deliverer.deliver(delivery, finalLease, this.#stop.signal);
      if (kind === "stopped") await this.#store.pipeline.releaseLeases([delivery.id], await finalLease());
      return attempt !== null && attempt.statusCode !== 0;
    } finally {
      this.#held.delete(delivery.id);
    }
  }

  /** The lease under which to settle. A renewal on its way is waited for, and no further one will touch this delivery. */
  async #finalLease(id: DeliveryId): Promise<Millis> {
    await this.#renewing;
    const lease = this.#held.get(id) ?? 0;
    this.#held.delete(id);
    return lease;
  }

  /** Lengthens the leases of what is still under way, well before they end. */
  #renew(): void {
    this.#stopRenewing = this.#clock.wakeAt(this.#clock.now() + this.#limits.leaseMs / 3, () => {
      this.#renewing = this.#renewHeld().catch((error) => this.#log.warn({ err: error }, "leases.not-renewed"));
      this.#renewing.then(() => {
        // Also while stopping: a slow try that is waited for must not be made again by another process.
        if (!this.#ended) this.#renew();
      });
    });
  }

  async #renewHeld(): Promise<void> {
    this.#lanes.dropLapsed();
    const next = this.#clock.now() + this.#limits.leaseMs;
    const byLease = Map.groupBy(this.#held.keys(), (id) => this.#held.get(id) as Millis);
    byLease.delete(next);
    // Together, because who settles waits for it; and to the end of all: none is to change the lease of what is settled.
    const renewed = await Promise.allSettled(
      [...byLease].map(async ([held, ids]) => {
        await this.#store.pipeline.renewLeases(ids, held, next);
        for (const id of ids) if (this.#held.get(id) === held) this.#held.set(id, next);
      }),
    );
    const failed = renewed.find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") throw failed.reason;
  }

  #lookAtAll(): void {
    for (const loop of this.#loops) loop.wake();
  }

  /** Sets the one timer to the next due time, and in any case no further off than the poll. */
  #schedule(): void {
    if (this.#scheduling || this.#stopped) return;
    this.#scheduling = true;
    this.#nextWake().then((at) => {
      this.#scheduling = false;
      if (this.#stopped) return;
      this.#cancelWake();
      this.#cancelWake = this.#clock.wakeAt(at, () => this.#lookAtAll());
    });
  }

  /** Never rejects: while the database is away, the poll brings us back. */
  async #nextWake(): Promise<Millis> {
    const poll = this.#clock.now() + this.#limits.pollMs;
    try {
      const due = await this.#store.pipeline.nextDueAt();
      // Due already means that there was no room for it: finished work makes room and looks again by itself.
      return due === null || due <= this.#clock.now() ? poll : Math.min(poll, due);
    } catch {
      return poll;
    }
  }
}
