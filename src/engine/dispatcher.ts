import type { Logger } from "pino";
import type { Clock, Millis } from "../lib/clock.ts";
import { Signal } from "../lib/signal.ts";
import { TimeSlice } from "../lib/time-slice.ts";
import { tellPlanned } from "./accept.ts";
import type { Deliverer } from "./deliver.ts";
import type { Expander } from "./expand.ts";
import type { ChangeTeller } from "./message-changes.ts";
import type { Delivery, DeliveryId, Message, MessageChange, Request } from "./model.ts";
import { type PlanningDeps, planUnattended, requestContext } from "./plan.ts";
import type { Bus, Planned, Store, Work } from "./ports.ts";
import { targetOfMessage } from "./target.ts";
import { WorkLoop } from "./work-loop.ts";

export interface DispatcherLimits {
  /** How long a claim holds without being renewed. After a crash, work is picked up again this much later. */
  readonly leaseMs: Millis;
  /** How often to look although nobody called: other processes may have made work. */
  readonly pollMs: Millis;
  readonly maxInFlight: number;
}

/** Changes are told in batches, so that a commit is shared; so many batches may be under way. */
const CHANGE_BATCH = 100;
const CHANGE_BATCHES = 2;
/** After so much time the delayed messages planned so far are committed. */
const PLANNING_SLICE_MS = 200;

/**
 * Finds work whose time has come and sees to it that it is done: requests to expand, messages to plan, deliveries to
 * try, changes to tell endpoints of. Which work is due, and who owns it, is only ever in the database; what is kept here may be lost at any moment.
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
    bus: Bus,
    log: Logger,
    limits: DispatcherLimits,
  ) {
    this.#store = store;
    this.#deps = deps;
    this.#deliverer = deliverer;
    this.#expander = expander;
    this.#teller = teller;
    this.#bus = bus;
    this.#clock = deps.clock;
    this.#log = log;
    this.#limits = limits;
    this.#loops = [
      new WorkLoop("requests", 4, (limit) => this.#claimRequests(limit)),
      new WorkLoop("messages", limits.maxInFlight, (limit) => this.#claimMessages(limit)),
      new WorkLoop("deliveries", limits.maxInFlight, (limit) => this.#claimDeliveries(limit)),
      new WorkLoop("changes", CHANGE_BATCHES, () => this.#claimChanges()),
    ];
    for (const loop of this.#loops) {
      loop.onFailure = (error) => this.#log.warn({ err: error, work: loop.work }, "dispatcher.failed");
      loop.onFinished = () => this.finished.emit(loop.work);
      loop.onDrained = () => this.#schedule();
    }
  }

  start(): void {
    this.#stopListening = this.#bus.onLookNow((work) => {
      for (const loop of this.#loops) if (loop.work === work) loop.wake();
    });
    this.#renew();
    this.#lookAtAll();
  }

  /** Takes no more work, gives back what has not been tried, waits for the rest until `deadlineMs` from now. */
  async stop(deadlineMs: Millis): Promise<void> {
    this.#stopped = true;
    this.#stopListening();
    this.#cancelWake();
    for (const loop of this.#loops) loop.stop();
    const idle = Promise.all(this.#loops.map((loop) => loop.idle()));
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
  }

  /** Resolves once nothing that is due now is left, and nothing is under way. */
  async idle(): Promise<void> {
    for (;;) {
      for (const loop of this.#loops) loop.wake();
      await Promise.all(this.#loops.map((loop) => loop.idle()));
      const due = await this.#store.pipeline.nextDueAt();
      // While we asked, a loop may have claimed what was due then.
      if ((due === null || due > this.#clock.now()) && this.#loops.every((loop) => loop.quiet)) return;
    }
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
    const written = await this.#store.pipeline.commitPlanned(planned, leaseUntil);
    tellPlanned(
      this.#bus,
      planned.filter((_, i) => written[i]),
    );
    this.#log.info({ messages: planned.length, planned: written.filter(Boolean).length }, "messages.resumed");
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

  async #claimDeliveries(limit: number): Promise<readonly Promise<unknown>[]> {
    const now = this.#clock.now();
    const leaseUntil = now + this.#limits.leaseMs;
    const deliveries = await this.#store.pipeline.claimDeliveries(now, limit, leaseUntil);
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

  async #deliver(delivery: Delivery, leaseUntil: Millis): Promise<void> {
    this.#held.set(delivery.id, leaseUntil);
    try {
      const outcome = await this.#deliverer.deliver(delivery, () => this.#finalLease(delivery.id), this.#stop.signal);
      if (outcome === "stopped")
        await this.#store.pipeline.releaseLeases([delivery.id], await this.#finalLease(delivery.id));
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
    const next = this.#clock.now() + this.#limits.leaseMs;
    const byLease = Map.groupBy(this.#held.keys(), (id) => this.#held.get(id) as Millis);
    for (const [held, ids] of byLease) {
      if (held === next) continue;
      await this.#store.pipeline.renewLeases(ids, held, next);
      for (const id of ids) if (this.#held.get(id) === held) this.#held.set(id, next);
    }
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
