/**
 * Keeps endpoints from getting into each other's way. Each endpoint has a lane: so many tries at once and no more, so
 * many a second if it has a rate. Some of what is claimed beyond that waits in memory; the rest is put aside ("parked")
 * in the database, and taken from there by endpoint when the lane has room again.
 *
 *            claimed ──(room in its lane)──▶ running ──(after a second)──▶ slow ──▶ done
 *               ├──(a little later)──▶ waiting ──(a try of the lane ended)──▶ running
 *               │                         └──(the lane has become slow)──▶ parked
 *               └──(no room)──▶ parked ──(a try of the lane ended, a token came)──▶ running
 *
 * Tries that take longer than a second no longer count against the room that all share, so that endpoints which hang
 * take nothing from those that answer. They share a room of their own, and a lane that has shown itself slow gets two
 * tries at a time, and one more with every answer that comes within five seconds; nothing of it waits in memory, where it would fill
 * the room of all.
 * A lane that never answered begins with one try, so that many that hang are known as slow after a moment.
 *
 * What one endpoint may do is in `lane.ts` (its rate in `token-bucket.ts`), the room of all in `lane-room.ts`, what is
 * parked in `lane-backlog.ts`. Here they meet: where a delivery goes, and who is next.
 *
 * Nothing here needs to survive a crash: a process that starts looks at what is parked (`resume`), parked rows come back
 * by themselves when their time is over, and a lane looks now and then for what others have parked.
 */
import type { Logger } from "pino";
import type { Clock, Millis } from "../../lib/clock.ts";
import { Signal } from "../../lib/signal.ts";
import type { Delivery } from "../model.ts";
import { Lane, type Waiting } from "./lane.ts";
import { LaneBacklog } from "./lane-backlog.ts";
import { type LaneLimits, LaneRoom, type Try } from "./lane-room.ts";
import type { AppEndpointId } from "./model.ts";
import type { AppMessageStore } from "./ports.ts";

export interface LaneDeps {
  readonly store: Pick<AppMessageStore, "parkClaimed" | "claimOf" | "nextParked">;
  readonly clock: Clock;
  readonly log: Logger;
  readonly leaseMs: Millis;
  readonly limits: LaneLimits;
  /** Reads what `rateOf` needs into memory. */
  readonly prepare: (deliveries: readonly Delivery[]) => Promise<void>;
  /** Tries a second at this endpoint; null: as many as it takes; undefined: it is not in memory. */
  readonly rateOf: (delivery: Pick<Delivery, "environmentId" | "app" | "providerId">) => number | null | undefined;
  /** Makes the try of a claimed delivery and settles it. @returns whether the receiver answered, whatever it said. */
  readonly run: (delivery: Delivery, leaseUntil: Millis) => Promise<boolean>;
  /** Keeps the lease of a delivery that waits to be run. */
  readonly hold: (delivery: Delivery, leaseUntil: Millis) => void;
  /** Whether the lease of a held delivery is still ours. One that is not is held no longer: another may be trying it. */
  readonly keeps: (delivery: Delivery) => boolean;
  /** Gives back deliveries that were held and will not be run: due at once, or parked until then. */
  readonly giveBack: (deliveries: readonly Delivery[], parkedUntil: Millis | null) => Promise<void>;
  /** There is room again for claims. */
  readonly onRoom: () => void;
}

/** So many times the room for tries, there is room to wait for one. */
const WAITING_ROOMS = 2;
/** Idle lanes are forgotten beyond this number. */
const MAX_IDLE_LANES = 20_000;

/** Where new deliveries are to begin: see `Lanes.offer`. */
export interface Places {
  readonly deliveries: readonly Delivery[];
  /** Those among them that are ours; to be given to `adopt` after they were stored, or to `decline`. */
  readonly own: readonly Delivery[];
  readonly leaseUntil: Millis;
}

export class Lanes {
  readonly #deps: LaneDeps;
  readonly #lanes = new Map<AppEndpointId, Lane>();
  readonly #room: LaneRoom;
  readonly #backlog: LaneBacklog;
  #waiting = 0;
  /** Places promised to deliveries that are being stored. */
  #promised = 0;
  #stopped = false;
  #starved = false;
  #forgetBeyond = MAX_IDLE_LANES;
  readonly #quiet = new Signal();

  constructor(deps: LaneDeps) {
    this.#deps = deps;
    const { clock, log, limits, store, leaseMs, prepare } = deps;
    this.#room = new LaneRoom({
      clock,
      limits,
      onSlow: (lane) => this.#slowDown(lane),
      onRoom: () => this.#useRoom(),
    });
    this.#backlog = new LaneBacklog({
      store,
      clock,
      log,
      leaseMs,
      prepare,
      laneOf: (delivery) => this.#laneOf(delivery),
      isStopped: () => this.#stopped,
      take: (deliveries, leaseUntil) => this.#takeAlone(deliveries, leaseUntil),
      serve: (lane) => this.#serve(lane),
      onQuiet: () => this.#checkQuiet(),
    });
  }

  /** How many more may be claimed for lanes in general. */
  get room(): number {
    const most = (1 + WAITING_ROOMS) * this.#deps.limits.room;
    return Math.max(0, most - this.#room.quick - this.#waiting - this.#promised);
  }

  get running(): number {
    return this.#room.running;
  }

  /** Endpoints remembered. */
  get known(): number {
    return this.#lanes.size;
  }

  get quiet(): boolean {
    return this.running === 0 && this.#backlog.quiet && this.#waiting === 0 && this.#promised === 0;
  }

  async idle(): Promise<void> {
    while (!this.quiet) await this.#quiet.next();
  }

  /** Begins no more tries and gives back what waits. */
  stop(): void {
    this.#stopped = true;
    this.#room.close();
    const left: Delivery[] = [];
    for (const lane of this.#lanes.values()) {
      lane.cancelWake?.();
      lane.cancelRetry?.();
      left.push(...this.#emptied(lane.emptied()));
    }
    if (left.length === 0) return;
    this.#backlog.ask(this.#deps.giveBack(left, null)).catch((error) => {
      // Their leases lapse instead.
      this.#deps.log.warn({ err: error }, "leases.not-released");
    });
  }

  /** Forgets what waits under a lease that is over: whoever has claimed it since makes the try. */
  dropLapsed(): void {
    for (const lane of this.#lanes.values()) {
      if (lane.waiting.length === 0) continue;
      const kept = lane.waiting.filter(({ delivery }) => this.#deps.keeps(delivery));
      this.#waiting -= lane.waiting.length - kept.length;
      lane.waiting = kept;
    }
    this.#callBack();
    this.#checkQuiet();
  }

  throttledSince(endpointId: AppEndpointId): Millis | null {
    return this.#lanes.get(endpointId)?.throttledSince ?? null;
  }

  /** The caller could not claim for lack of room: it is to be called back. */
  starve(): void {
    this.#starved = true;
  }

  /**
   * Starts what its lanes have room for, lets some wait and parks the rest.
   * @returns pieces of work for the claimer to wait for; a slow try lets it go.
   */
  take(deliveries: readonly Delivery[], leaseUntil: Millis): readonly Promise<unknown>[] {
    if (deliveries.length === 0) return [];
    const now = this.#deps.clock.now();
    if (leaseUntil <= now) {
      // Whatever held us up took longer than the lease: they are anyone's, and may be under way already.
      this.#deps.onRoom();
      return [];
    }
    if (this.#stopped) return [this.#refuse(deliveries, leaseUntil)];
    const pieces: Promise<unknown>[] = [];
    const over = new Map<Lane, Delivery[]>();
    for (const delivery of deliveries) {
      const lane = this.#laneOf(delivery);
      if (lane.waiting.length === 0 && this.#mayStart(lane)) pieces.push(this.#start(lane, delivery, leaseUntil));
      else if (lane.waiting.length < lane.mayWait) this.#wait(lane, delivery, leaseUntil);
      else if (over.has(lane)) over.get(lane)?.push(delivery);
      else over.set(lane, [delivery]);
      if (lane.hasRate && lane.tokens(now) < 1 && over.has(lane)) lane.throttledSince ??= now;
    }
    if (over.size > 0) pieces.push(...this.#backlog.park(over, leaseUntil));
    return pieces;
  }

  /**
   * Decides before new deliveries are stored where they begin: those that their lanes have room for are born under a
   * lease of ours and need not be claimed, those of a lane that is behind are born parked.
   */
  offer(deliveries: readonly Delivery[]): Places {
    const now = this.#deps.clock.now();
    const leaseUntil = now + this.#deps.leaseMs;
    const own: Delivery[] = [];
    let { room } = this;
    const placed = deliveries.map((delivery) => {
      if (this.#stopped || delivery.dueAt > now) return delivery;
      const lane = this.#laneOf(delivery);
      if (lane.behindSince !== null) return { ...delivery, parkedUntil: lane.parkedUntil(now) };
      // One endpoint is not to take the room of all by what is promised to it.
      if (room <= 0 || lane.waiting.length + lane.promised >= lane.mayWait) return delivery;
      room--;
      lane.promised++;
      const ours = { ...delivery, leaseUntil };
      own.push(ours);
      return ours;
    });
    this.#promised += own.length;
    return { deliveries: placed, own, leaseUntil };
  }

  /** Takes what was promised, now that it is stored. */
  adopt({ deliveries, own, leaseUntil }: Places): void {
    this.#unpromise(own);
    for (const delivery of deliveries) {
      if (delivery.parkedUntil === undefined) continue;
      // It may have caught up since, and would not look for them.
      const lane = this.#laneOf(delivery);
      lane.behindSince ??= this.#deps.clock.now();
      this.#serve(lane);
    }
    this.#takeAlone(own, leaseUntil);
    this.#callBack();
    this.#checkQuiet();
  }

  /** Begins with what earlier processes have parked, or what others have. Resolves when every endpoint has its turn. */
  resume(): Promise<void> {
    return this.#backlog.resume();
  }

  /** They were not stored. */
  decline({ own }: Places): void {
    this.#unpromise(own);
    this.#callBack();
    this.#checkQuiet();
  }

  #unpromise(own: readonly Delivery[]): void {
    this.#promised -= own.length;
    for (const { providerId } of own) {
      const lane = this.#lanes.get(providerId as AppEndpointId);
      if (lane !== undefined) lane.promised--;
    }
  }

  /** Takes without a claimer who would wait for anything. */
  #takeAlone(deliveries: readonly Delivery[], leaseUntil: Millis): void {
    for (const piece of this.take(deliveries, leaseUntil)) {
      piece.catch((error) => this.#deps.log.warn({ err: error }, "lane.failed"));
    }
  }

  /** Claimed too late to be tried here. */
  #refuse(deliveries: readonly Delivery[], leaseUntil: Millis): Promise<void> {
    for (const delivery of deliveries) this.#deps.hold(delivery, leaseUntil);
    return this.#backlog.ask(this.#deps.giveBack(deliveries, null));
  }

  #laneOf(delivery: Delivery): Lane {
    const endpointId = delivery.providerId as AppEndpointId;
    const rate = this.#deps.rateOf(delivery);
    let lane = this.#lanes.get(endpointId);
    if (lane === undefined) {
      if (this.#lanes.size >= this.#forgetBeyond) this.#forgetIdle();
      lane = new Lane(endpointId);
      this.#lanes.set(endpointId, lane);
    }
    if (rate !== undefined) lane.setRate(rate, this.#deps.clock.now());
    return lane;
  }

  #forgetIdle(): void {
    const now = this.#deps.clock.now();
    for (const [id, lane] of this.#lanes) if (lane.isForgettable(now)) this.#lanes.delete(id);
    // Where few could be forgotten it is not tried again with every new lane.
    this.#forgetBeyond = Math.max(MAX_IDLE_LANES, 2 * this.#lanes.size);
  }

  #mayStart(lane: Lane): boolean {
    if (this.#stopped || lane.inFlight >= lane.width) return false;
    return this.#room.free(lane.kind) > 0 && lane.tokens(this.#deps.clock.now()) >= 1;
  }

  #wait(lane: Lane, delivery: Delivery, leaseUntil: Millis): void {
    lane.waiting.push({ delivery, leaseUntil });
    this.#waiting++;
    this.#deps.hold(delivery, leaseUntil);
    this.#serve(lane);
  }

  /** @returns what has waited until now. */
  #emptied(deliveries: readonly Delivery[]): readonly Delivery[] {
    this.#waiting -= deliveries.length;
    return deliveries;
  }

  #start(lane: Lane, delivery: Delivery, leaseUntil: Millis): Promise<void> {
    lane.begin();
    const { promise, resolve } = Promise.withResolvers<void>();
    const attempt = this.#room.enter(lane, resolve);
    this.#deps
      .run(delivery, leaseUntil)
      .catch((error) => {
        // Its lease lapses, and it is claimed again.
        this.#deps.log.warn({ err: error, deliveryId: delivery.id, endpointId: lane.endpointId }, "delivery.failed");
        return false;
      })
      .then((isAnswered) => this.#finish(attempt, isAnswered));
    return promise;
  }

  #finish(attempt: Try, isAnswered: boolean): void {
    const { lane } = attempt;
    lane.inFlight--;
    this.#room.leave(attempt, isAnswered);
    const now = this.#deps.clock.now();
    if (lane.isToLook(now)) lane.behindSince ??= now;
    // It queues up behind those who have waited for room.
    if (lane.waiting.length > 0 || lane.behindSince !== null) this.#room.queue(lane);
    this.#useRoom();
    this.#checkQuiet();
  }

  #useRoom(): void {
    this.#room.feed((lane) => this.#serve(lane));
    this.#callBack();
  }

  #callBack(): void {
    if (!this.#starved || this.#stopped || this.room === 0) return;
    this.#starved = false;
    this.#deps.onRoom();
  }

  /** Begins what the lane may begin, and sees to it that more of what it has parked is at hand. */
  #serve(lane: Lane): void {
    while (lane.waiting.length > 0 && this.#mayStart(lane)) {
      const { delivery, leaseUntil } = lane.waiting.shift() as Waiting;
      this.#waiting--;
      // Nobody waits for it but the lane itself.
      if (this.#deps.keeps(delivery)) this.#start(lane, delivery, leaseUntil);
    }
    this.#checkQuiet();
    if (this.#stopped || (lane.waiting.length === 0 && lane.behindSince === null)) return;
    if (lane.inFlight < lane.width && this.#room.free(lane.kind) <= 0) this.#room.queue(lane);
    // It has got a rate since they began to wait.
    else if (lane.waiting.length > 0 && lane.tokens(this.#deps.clock.now()) < 1) this.#serveWithNextToken(lane);
    else this.#claimParked(lane);
  }

  #claimParked(lane: Lane): void {
    const { wanted } = lane;
    if (wanted === 0) return;
    const tokens = Math.floor(lane.tokens(this.#deps.clock.now()));
    // What is at hand of one lane is not to fill the room of all.
    if (tokens >= 1) this.#backlog.claim(lane, Math.min(wanted, tokens, Math.max(1, this.room)));
    else this.#serveWithNextToken(lane);
  }

  #serveWithNextToken(lane: Lane): void {
    if (lane.cancelWake !== null) return;
    const now = this.#deps.clock.now();
    lane.throttledSince ??= now;
    lane.cancelWake = this.#deps.clock.wakeAt(now + lane.tokenWaitMs, () => {
      lane.cancelWake = null;
      this.#serve(lane);
    });
  }

  #slowDown(lane: Lane): void {
    const waiting = this.#emptied(lane.becomeSlow());
    if (waiting.length === 0) return;
    const until = lane.parkedUntil(this.#deps.clock.now());
    this.#backlog.parked([lane], this.#deps.giveBack(waiting, until)).catch((error) => {
      // Their leases lapse instead.
      this.#deps.log.warn({ err: error, endpointId: lane.endpointId }, "leases.not-released");
    });
  }

  #checkQuiet(): void {
    if (this.quiet) this.#quiet.emit();
  }
}
