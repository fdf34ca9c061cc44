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
 * tries at a time until it answers quickly again; nothing of it waits in memory, where it would fill the room of all.
 * A lane that never answered begins with one try, so that many that hang are known as slow after a moment.
 *
 * Nothing here needs to survive a crash: a process that starts looks at what is parked (`resume`), parked rows come back
 * by themselves when their time is over, and a lane looks now and then for what others have parked.
 */
import type { Logger } from "pino";
import type { Clock, Millis } from "../../lib/clock.ts";
import { Signal } from "../../lib/signal.ts";
import type { Delivery } from "../model.ts";
import type { AppEndpointId } from "./model.ts";
import type { AppMessageStore } from "./ports.ts";

export interface LaneLimits {
  /** Quick tries at once, at all endpoints together. */
  readonly room: number;
  /** Slow tries at once, at all endpoints together. */
  readonly slowRoom: number;
  readonly perEndpoint: number;
}

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
  /** Makes the try of a claimed delivery and settles it. */
  readonly run: (delivery: Delivery, leaseUntil: Millis) => Promise<void>;
  /** Keeps the lease of a delivery that waits to be run. */
  readonly hold: (delivery: Delivery, leaseUntil: Millis) => void;
  /** Whether the lease of a held delivery is still ours. One that is not is held no longer: another may be trying it. */
  readonly keeps: (delivery: Delivery) => boolean;
  /** Gives back deliveries that were held and will not be run: due at once, or parked until then. */
  readonly giveBack: (deliveries: readonly Delivery[], parkedUntil: Millis | null) => Promise<void>;
  /** There is room again for claims. */
  readonly onRoom: () => void;
}

const SLOW_AFTER_MS: Millis = 1_000;
/** So many times the room for tries, there is room to wait for one. */
const WAITING_ROOMS = 2;
const WAIT_MS: Millis = 200;
/** A lane begins with so many tries at once and gets one more with every quick answer. */
const FIRST_WINDOW = 1;
const SLOW_WINDOW = 2;
/** Parked for as long as the lane has been behind already, within these: a backlog is not moved again every few seconds. */
const PARK_MS: Millis = 10_000;
const LONGEST_PARK_MS: Millis = 600_000;
const PARK_STEP_MS: Millis = 5_000;
/** Who has parked rows of an endpoint may be gone by now, so a lane looks for them with its first try and then so often. */
const LOOK_AGAIN_MS: Millis = 60_000;
/** After the database has failed. */
const CLAIM_AGAIN_MS: Millis = 1_000;
/** Tokens of a fast rate are waited for together. */
const LEAST_TOKEN_WAIT_MS: Millis = 50;
/** Idle lanes are forgotten beyond this number. */
const MAX_IDLE_LANES = 20_000;

interface Waiting {
  readonly delivery: Delivery;
  readonly leaseUntil: Millis;
}

/** Where new deliveries are to begin: see `Lanes.offer`. */
export interface Places {
  readonly deliveries: readonly Delivery[];
  /** Those among them that are ours; to be given to `adopt` after they were stored, or to `decline`. */
  readonly own: readonly Delivery[];
  readonly leaseUntil: Millis;
}

interface Lane {
  readonly endpointId: AppEndpointId;
  /** Claimed and next in turn. */
  waiting: Waiting[];
  /** Places promised to deliveries that are being stored. */
  promised: number;
  inFlight: number;
  /** Of quick answers, smoothed. */
  answerMs: Millis;
  window: number;
  slow: boolean;
  /** Since when there have been rows of it to be had by `claimOf`; null when there are none. */
  behindSince: Millis | null;
  /** When it was last looked whether there are. */
  lookedAt: Millis | null;
  claiming: boolean;
  rate: number | null;
  tokens: number;
  refilledAt: Millis;
  throttledSince: Millis | null;
  /** Of the next token. */
  cancelWake: (() => void) | null;
  /** Of the next claim after one that failed. */
  cancelRetry: (() => void) | null;
}

interface Try {
  readonly lane: Lane;
  readonly startedAt: Millis;
  slow: boolean;
  /** Lets the claimer go: the try has ended, or it counts as slow from now on. */
  readonly release: () => void;
}

export class Lanes {
  readonly #deps: LaneDeps;
  readonly #lanes = new Map<AppEndpointId, Lane>();
  /** Running and not slow, oldest first. */
  readonly #quick = new Set<Try>();
  #slowCount = 0;
  #waiting = 0;
  /** Places promised to deliveries that are being stored. */
  #promised = 0;
  /** Statements under way. */
  #asking = 0;
  #stopped = false;
  #starved = false;
  /** Lanes that could begin a try if there were room for it, in turn. */
  readonly #hungry = { quick: new Set<Lane>(), slow: new Set<Lane>() };
  #cancelCheck: (() => void) | null = null;
  #forgetBeyond = MAX_IDLE_LANES;
  readonly #quiet = new Signal();

  constructor(deps: LaneDeps) {
    this.#deps = deps;
  }

  /** How many more may be claimed for lanes in general. */
  get room(): number {
    const most = (1 + WAITING_ROOMS) * this.#deps.limits.room;
    return Math.max(0, most - this.#quick.size - this.#waiting - this.#promised);
  }

  get running(): number {
    return this.#quick.size + this.#slowCount;
  }

  /** Endpoints remembered. */
  get known(): number {
    return this.#lanes.size;
  }

  get quiet(): boolean {
    return this.running === 0 && this.#asking === 0 && this.#waiting === 0 && this.#promised === 0;
  }

  async idle(): Promise<void> {
    while (!this.quiet) await this.#quiet.next();
  }

  /** Begins no more tries and gives back what waits. */
  stop(): void {
    this.#stopped = true;
    this.#cancelCheck?.();
    const left: Delivery[] = [];
    for (const lane of this.#lanes.values()) {
      lane.cancelWake?.();
      lane.cancelRetry?.();
      left.push(...this.#emptied(lane));
    }
    if (left.length === 0) return;
    this.#ask(this.#deps.giveBack(left, null)).catch((error) => {
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
      else if (lane.waiting.length < this.#mayWait(lane)) this.#wait(lane, delivery, leaseUntil);
      else if (over.has(lane)) over.get(lane)?.push(delivery);
      else over.set(lane, [delivery]);
      if (lane.rate !== null && lane.tokens < 1 && over.has(lane)) lane.throttledSince ??= now;
    }
    if (over.size > 0) pieces.push(...this.#park(over, leaseUntil));
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
      if (lane.behindSince !== null) return { ...delivery, parkedUntil: this.#parkedUntil(lane) };
      // One endpoint is not to take the room of all by what is promised to it.
      if (room <= 0 || lane.waiting.length + lane.promised >= this.#mayWait(lane)) return delivery;
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
  async resume(): Promise<void> {
    for (let after: AppEndpointId | null = null; !this.#stopped; ) {
      const parked: Delivery | null = await this.#ask(this.#deps.store.nextParked(after));
      if (parked === null) return;
      after = parked.providerId as AppEndpointId;
      // Its rate must be known, or all of the backlog would go out at once.
      await this.#deps.prepare([parked]);
      const lane = this.#laneOf(parked);
      lane.behindSince ??= this.#deps.clock.now();
      this.#serve(lane);
    }
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
    return this.#ask(this.#deps.giveBack(deliveries, null));
  }

  #laneOf(delivery: Delivery): Lane {
    const endpointId = delivery.providerId as AppEndpointId;
    const now = this.#deps.clock.now();
    const rate = this.#deps.rateOf(delivery);
    let lane = this.#lanes.get(endpointId);
    if (lane === undefined) {
      if (this.#lanes.size >= this.#forgetBeyond) this.#forgetIdle();
      lane = {
        endpointId,
        waiting: [],
        promised: 0,
        inFlight: 0,
        answerMs: WAIT_MS,
        window: FIRST_WINDOW,
        slow: false,
        behindSince: null,
        lookedAt: null,
        claiming: false,
        rate: rate ?? null,
        tokens: rate ?? 0,
        refilledAt: now,
        throttledSince: null,
        cancelWake: null,
        cancelRetry: null,
      };
      this.#lanes.set(endpointId, lane);
    } else if (rate !== undefined && lane.rate !== rate) {
      lane.rate = rate;
      lane.tokens = rate ?? 0;
      lane.refilledAt = now;
      if (rate === null) lane.throttledSince = null;
    }
    return lane;
  }

  /** A forgotten lane begins anew with its next try; one with a rate is kept until it has all of its tokens again. */
  #forgetIdle(): void {
    for (const [id, lane] of this.#lanes) {
      const isBusy = lane.inFlight + lane.waiting.length + lane.promised > 0 || lane.claiming;
      if (isBusy || lane.behindSince !== null) continue;
      if (lane.rate === null || this.#refill(lane) >= lane.rate) this.#lanes.delete(id);
    }
    // Where few could be forgotten it is not tried again with every new lane.
    this.#forgetBeyond = Math.max(MAX_IDLE_LANES, 2 * this.#lanes.size);
  }

  /** Places in the room of all that is for such tries. */
  #shared(kind: "quick" | "slow"): number {
    const { limits } = this.#deps;
    return kind === "slow" ? limits.slowRoom - this.#slowCount : limits.room - this.#quick.size;
  }

  #width(lane: Lane): number {
    return lane.slow ? SLOW_WINDOW : lane.window;
  }

  #mayStart(lane: Lane): boolean {
    if (this.#stopped || lane.inFlight >= this.#width(lane)) return false;
    return this.#shared(kindOf(lane)) > 0 && this.#refill(lane) >= 1;
  }

  /** As many as are answered within a moment: what waits here for long had better be in the database. */
  #mayWait(lane: Lane): number {
    if (lane.rate !== null || lane.slow || this.#stopped) return 0;
    return Math.max(lane.window, (lane.window * WAIT_MS) / Math.max(1, lane.answerMs));
  }

  /** @returns the tokens the lane has; a token bucket whose burst is one second's worth. */
  #refill(lane: Lane): number {
    if (lane.rate === null) return Number.POSITIVE_INFINITY;
    const now = this.#deps.clock.now();
    lane.tokens = Math.min(lane.rate, lane.tokens + (Math.max(0, now - lane.refilledAt) * lane.rate) / 1000);
    lane.refilledAt = now;
    return lane.tokens;
  }

  #wait(lane: Lane, delivery: Delivery, leaseUntil: Millis): void {
    lane.waiting.push({ delivery, leaseUntil });
    this.#waiting++;
    this.#deps.hold(delivery, leaseUntil);
    this.#serve(lane);
  }

  #start(lane: Lane, delivery: Delivery, leaseUntil: Millis): Promise<void> {
    if (lane.rate !== null) lane.tokens--;
    lane.inFlight++;
    const { promise, resolve } = Promise.withResolvers<void>();
    const attempt: Try = { lane, startedAt: this.#deps.clock.now(), slow: lane.slow, release: resolve };
    if (attempt.slow) {
      this.#slowCount++;
      resolve();
    } else {
      this.#quick.add(attempt);
      this.#watchSlowness();
    }
    this.#deps
      .run(delivery, leaseUntil)
      .catch((error) => {
        // Its lease lapses, and it is claimed again.
        this.#deps.log.warn({ err: error, deliveryId: delivery.id, endpointId: lane.endpointId }, "delivery.failed");
      })
      .finally(() => this.#finish(attempt));
    return promise;
  }

  #finish(attempt: Try): void {
    const { lane } = attempt;
    lane.inFlight--;
    if (attempt.slow) this.#slowCount--;
    else this.#quick.delete(attempt);
    const now = this.#deps.clock.now();
    const tookMs = Math.max(0, now - attempt.startedAt);
    if (tookMs < SLOW_AFTER_MS) {
      lane.slow = false;
      lane.answerMs += (tookMs - lane.answerMs) / 8;
      if (lane.window < this.#deps.limits.perEndpoint) lane.window++;
    }
    attempt.release();
    if (lane.lookedAt === null || Math.abs(now - lane.lookedAt) >= LOOK_AGAIN_MS) lane.behindSince ??= now;
    // It queues up behind those who have waited for room.
    if (lane.waiting.length > 0 || lane.behindSince !== null) this.#hungry[kindOf(lane)].add(lane);
    this.#feed();
    this.#callBack();
    this.#checkQuiet();
  }

  /** Serves those who wait for room, as long as there is some. */
  #feed(): void {
    for (const kind of ["quick", "slow"] as const) {
      for (const lane of this.#hungry[kind]) {
        // One that has become of the other kind meanwhile is served, or queues up, as what it is now.
        if (kindOf(lane) === kind && this.#shared(kind) <= 0) break;
        this.#hungry[kind].delete(lane);
        this.#serve(lane);
      }
    }
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
    const kind = kindOf(lane);
    if (lane.inFlight < this.#width(lane) && this.#shared(kind) <= 0) this.#hungry[kind].add(lane);
    // It has got a rate since they began to wait.
    else if (lane.waiting.length > 0 && this.#refill(lane) < 1) this.#serveWithNextToken(lane);
    else this.#claimParked(lane);
  }

  #emptied(lane: Lane): readonly Delivery[] {
    this.#waiting -= lane.waiting.length;
    return lane.waiting.splice(0).map(({ delivery }) => delivery);
  }

  /** One timer for all: it looks at the oldest try. */
  #watchSlowness(): void {
    if (this.#cancelCheck !== null) return;
    const [oldest] = this.#quick;
    if (oldest === undefined || this.#stopped) return;
    // A clock that was set back must not put it off.
    const at = Math.min(oldest.startedAt, this.#deps.clock.now()) + SLOW_AFTER_MS;
    this.#cancelCheck = this.#deps.clock.wakeAt(at, () => {
      this.#cancelCheck = null;
      const now = this.#deps.clock.now();
      for (const attempt of this.#quick) {
        const tookMs = now - attempt.startedAt;
        if (tookMs >= 0 && tookMs < SLOW_AFTER_MS) break;
        this.#quick.delete(attempt);
        attempt.slow = true;
        this.#slowCount++;
        this.#slowDown(attempt.lane);
        attempt.release();
      }
      this.#feed();
      this.#callBack();
      this.#watchSlowness();
    });
  }

  #slowDown(lane: Lane): void {
    lane.slow = true;
    lane.window = FIRST_WINDOW;
    const waiting = this.#emptied(lane);
    if (waiting.length === 0) return;
    this.#parked([lane], this.#deps.giveBack(waiting, this.#parkedUntil(lane))).catch((error) => {
      // Their leases lapse instead.
      this.#deps.log.warn({ err: error, endpointId: lane.endpointId }, "leases.not-released");
    });
  }

  #parkedUntil({ behindSince }: Lane): Millis {
    const now = this.#deps.clock.now();
    const until = now + Math.min(Math.max(PARK_MS, now - (behindSince ?? now)), LONGEST_PARK_MS);
    // Whole steps, so that many lanes agree.
    return Math.ceil(until / PARK_STEP_MS) * PARK_STEP_MS;
  }

  /**
   * Puts aside what was claimed, those that are put off equally long in one statement: a claim has a row or two of each
   * lane that is behind, and a statement for each of them cost 31 µs a row.
   */
  #park(over: ReadonlyMap<Lane, readonly Delivery[]>, held: Millis): readonly Promise<void>[] {
    return [...Map.groupBy(over, ([lane]) => this.#parkedUntil(lane))].map(([until, parts]) => {
      const claimed = parts.flatMap(([, surplus]) => surplus);
      const lanes = parts.map(([lane]) => lane);
      return this.#parked(lanes, this.#deps.store.parkClaimed(claimed, held, until));
    });
  }

  async #parked(lanes: readonly Lane[], parking: Promise<void>): Promise<void> {
    await this.#ask(parking);
    for (const lane of lanes) {
      lane.behindSince ??= this.#deps.clock.now();
      this.#serve(lane);
    }
    this.#checkQuiet();
  }

  /**
   * Takes from what the lane has parked when little of it is left at hand: as many as may run and wait, for a statement
   * for each would cost more than the try.
   */
  #claimParked(lane: Lane): void {
    if (lane.behindSince === null || lane.claiming) return;
    const width = this.#width(lane);
    const atHand = lane.inFlight + lane.waiting.length;
    const wanted = lane.rate === null ? width + Math.floor(this.#mayWait(lane)) - atHand : width - atHand;
    if (wanted < 1 || (lane.inFlight > 0 && wanted < width / 2)) return;
    const tokens = Math.floor(this.#refill(lane));
    if (tokens < 1) {
      this.#serveWithNextToken(lane);
      return;
    }
    // What is at hand of one lane is not to fill the room of all.
    const limit = Math.min(wanted, tokens, Math.max(1, this.room));
    lane.claiming = true;
    this.#ask(this.#takeParked(lane, limit)).then(
      () => this.#claimed(lane),
      (error) => {
        this.#deps.log.warn({ err: error, endpointId: lane.endpointId }, "lane.not-claimed");
        if (this.#stopped) return;
        const { clock } = this.#deps;
        lane.cancelRetry = clock.wakeAt(clock.now() + CLAIM_AGAIN_MS, () => this.#claimed(lane));
      },
    );
  }

  #claimed(lane: Lane): void {
    lane.claiming = false;
    lane.cancelRetry = null;
    this.#serve(lane);
    this.#checkQuiet();
  }

  async #takeParked(lane: Lane, limit: number): Promise<void> {
    const { store, clock, leaseMs, log } = this.#deps;
    const now = clock.now();
    const leaseUntil = now + leaseMs;
    lane.lookedAt = now;
    const deliveries = await store.claimOf(lane.endpointId, now, limit, leaseUntil);
    if (deliveries.length < limit) {
      lane.behindSince = null;
      lane.throttledSince = null;
    }
    // The rate may have changed since they were parked.
    await this.#deps.prepare(deliveries).catch((error) => log.warn({ err: error }, "lane.not-prepared"));
    this.#takeAlone(deliveries, leaseUntil);
  }

  #serveWithNextToken(lane: Lane): void {
    if (lane.cancelWake !== null || lane.rate === null) return;
    lane.throttledSince ??= this.#deps.clock.now();
    const wait = Math.max(LEAST_TOKEN_WAIT_MS, Math.ceil(((1 - lane.tokens) * 1000) / lane.rate));
    lane.cancelWake = this.#deps.clock.wakeAt(this.#deps.clock.now() + wait, () => {
      lane.cancelWake = null;
      this.#serve(lane);
    });
  }

  async #ask<T>(answer: Promise<T>): Promise<T> {
    this.#asking++;
    try {
      return await answer;
    } finally {
      this.#asking--;
      this.#checkQuiet();
    }
  }

  #checkQuiet(): void {
    if (this.quiet) this.#quiet.emit();
  }
}

function kindOf(lane: Lane): "quick" | "slow" {
  return lane.slow ? "slow" : "quick";
}
