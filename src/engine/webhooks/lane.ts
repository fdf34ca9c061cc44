import type { Millis } from "../../lib/clock.ts";
import type { Delivery } from "../model.ts";
import type { AppEndpointId } from "./model.ts";
import { TokenBucket } from "./token-bucket.ts";

/** As many wait in memory as are answered within this time: what waits for long had better be in the database. */
const WAIT_MS: Millis = 200;
/** A lane begins with so many tries at once and gets one more with every quick answer. */
const FIRST_WINDOW = 1;
/** A try counts as slow from then on. */
export const SLOW_AFTER_MS: Millis = 1_000;
/** A slow lane begins with so many, and gets one more with every answer that comes late, but comes. */
const SLOW_WINDOW = 2;
/** Whoever takes longer is taken to hang. */
const HANGS_AFTER_MS: Millis = 5_000;
/** Parked for as long as the lane has been behind already, within these: a backlog is not moved again every few seconds. */
const PARK_MS: Millis = 10_000;
const LONGEST_PARK_MS: Millis = 600_000;
const PARK_STEP_MS: Millis = 5_000;
/** Who has parked rows of an endpoint may be gone by now, so a lane looks for them with its first try and then so often. */
const LOOK_AGAIN_MS: Millis = 60_000;

export interface Waiting {
  readonly delivery: Delivery;
  readonly leaseUntil: Millis;
}

/** One endpoint: what it may have under way at once, and what is known of its backlog. Knows nothing of other lanes. */
export class Lane {
  readonly endpointId: AppEndpointId;
  /** Claimed and next in turn. */
  waiting: Waiting[] = [];
  /** Places promised to deliveries that are being stored. */
  promised = 0;
  inFlight = 0;
  /** Since when there have been rows of it to be had by `claimOf`; null when there are none. */
  behindSince: Millis | null = null;
  /** A claim from what is parked is under way. */
  claiming = false;
  throttledSince: Millis | null = null;
  /** Of the next token. */
  cancelWake: (() => void) | null = null;
  /** Of the next claim after one that failed. */
  cancelRetry: (() => void) | null = null;
  /** Of quick answers, smoothed. */
  #answerMs: Millis = WAIT_MS;
  #window = FIRST_WINDOW;
  #slowWindow = SLOW_WINDOW;
  #slow = false;
  /** When it was last looked whether rows are parked. */
  #lookedAt: Millis | null = null;
  #bucket: TokenBucket | null = null;

  constructor(endpointId: AppEndpointId) {
    this.endpointId = endpointId;
  }

  /** In whose room it has its tries. */
  get kind(): "quick" | "slow" {
    return this.#slow ? "slow" : "quick";
  }

  /** Tries at once. */
  get width(): number {
    return this.#slow ? this.#slowWindow : this.#window;
  }

  /** How many may wait here for their try. */
  get mayWait(): number {
    if (this.#bucket !== null || this.#slow) return 0;
    return Math.max(this.#window, (this.#window * WAIT_MS) / Math.max(1, this.#answerMs));
  }

  get hasRate(): boolean {
    return this.#bucket !== null;
  }

  /** @param rate tries a second; null: as many as it takes. */
  setRate(rate: number | null, now: Millis): void {
    if (rate === (this.#bucket?.rate ?? null)) return;
    this.#bucket = rate === null ? null : new TokenBucket(rate, now);
    if (rate === null) this.throttledSince = null;
  }

  /** Tries that its rate allows at once. */
  tokens(now: Millis): number {
    return this.#bucket === null ? Number.POSITIVE_INFINITY : this.#bucket.at(now);
  }

  /** How long it has to wait for its next token. */
  get tokenWaitMs(): Millis {
    return this.#bucket?.waitMs ?? 0;
  }

  begin(): void {
    this.#bucket?.take();
    this.inFlight++;
  }

  /** A try has ended, with an answer or without one. */
  ended(tookMs: Millis, isAnswered: boolean, widest: number): void {
    if (tookMs >= SLOW_AFTER_MS) {
      const isAlive = isAnswered && tookMs < HANGS_AFTER_MS;
      this.#slowWindow = isAlive ? Math.min(widest, this.#slowWindow + 1) : SLOW_WINDOW;
    } else {
      // One that answers now late, now quickly, goes on with what it was given.
      if (this.#slow) this.#window = this.#slowWindow;
      this.#slow = false;
      this.#answerMs += (tookMs - this.#answerMs) / 8;
      this.#window = Math.min(widest, this.#window + 1);
    }
  }

  /** A try takes too long. @returns what has waited: nothing of a slow lane does. */
  becomeSlow(): readonly Delivery[] {
    this.#slow = true;
    this.#window = FIRST_WINDOW;
    return this.emptied();
  }

  /** @returns what has waited, and waits no longer. */
  emptied(): readonly Delivery[] {
    return this.waiting.splice(0).map(({ delivery }) => delivery);
  }

  /** There may be parked rows that it does not know of. */
  isToLook(now: Millis): boolean {
    return this.#lookedAt === null || Math.abs(now - this.#lookedAt) >= LOOK_AGAIN_MS;
  }

  looks(now: Millis): void {
    this.#lookedAt = now;
  }

  /**
   * How many to take from what is parked: as many as may run and wait, when little is left at hand. A statement for each
   * would cost more than the try.
   */
  get wanted(): number {
    if (this.behindSince === null || this.claiming) return 0;
    const { width } = this;
    const wanted = width + Math.floor(this.mayWait) - this.inFlight - this.waiting.length;
    return this.inFlight > 0 && wanted < width / 2 ? 0 : Math.max(0, wanted);
  }

  /** It has nothing parked any more. */
  caughtUp(): void {
    this.behindSince = null;
    this.throttledSince = null;
  }

  /** Until when what it has no room for is put aside. */
  parkedUntil(now: Millis): Millis {
    const until = now + Math.min(Math.max(PARK_MS, now - (this.behindSince ?? now)), LONGEST_PARK_MS);
    // Whole steps, so that many lanes agree.
    return Math.ceil(until / PARK_STEP_MS) * PARK_STEP_MS;
  }

  /** Nothing is lost when it is forgotten: it begins anew with its next try. One with a rate needs all of its tokens. */
  isForgettable(now: Millis): boolean {
    if (this.inFlight + this.waiting.length + this.promised > 0 || this.claiming || this.behindSince !== null) {
      return false;
    }
    return this.#bucket === null || this.#bucket.at(now) >= this.#bucket.rate;
  }
}
