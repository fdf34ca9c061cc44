/**
 * The room that all lanes share. A try is quick until it has taken a second; from then on it counts against a room of
 * its own, so that endpoints which hang take nothing from those that answer. Lanes that find no room queue up for it.
 */
import type { Clock, Millis } from "../../lib/clock.ts";
import { type Lane, SLOW_AFTER_MS } from "./lane.ts";

export interface LaneLimits {
  /** Quick tries at once, at all endpoints together. */
  readonly room: number;
  /** Slow tries at once, at all endpoints together. */
  readonly slowRoom: number;
  readonly perEndpoint: number;
}

/** A try under way. */
export interface Try {
  readonly lane: Lane;
  readonly startedAt: Millis;
  slow: boolean;
  /** Lets the claimer go: the try has ended, or it counts as slow from now on. */
  readonly release: () => void;
}

export interface LaneRoomOptions {
  readonly clock: Clock;
  readonly limits: LaneLimits;
  /** A try of the lane has turned out to be slow. */
  readonly onSlow: (lane: Lane) => void;
  /** Slow tries have left the room of the quick ones. */
  readonly onRoom: () => void;
}

export class LaneRoom {
  readonly #options: LaneRoomOptions;
  /** Running and not slow, oldest first. */
  readonly #quick = new Set<Try>();
  #slowCount = 0;
  /** Lanes that could begin a try if there were room for it, in turn. */
  readonly #hungry = { quick: new Set<Lane>(), slow: new Set<Lane>() };
  #cancelCheck: (() => void) | null = null;
  #closed = false;

  constructor(options: LaneRoomOptions) {
    this.#options = options;
  }

  get running(): number {
    return this.#quick.size + this.#slowCount;
  }

  get quick(): number {
    return this.#quick.size;
  }

  /** Places for tries of such lanes. */
  free(kind: Lane["kind"]): number {
    const { limits } = this.#options;
    return kind === "slow" ? limits.slowRoom - this.#slowCount : limits.room - this.#quick.size;
  }

  /** @param release see `Try`; of a lane that is slow it is called at once. */
  enter(lane: Lane, release: () => void): Try {
    const attempt: Try = {
      lane,
      startedAt: this.#options.clock.now(),
      slow: lane.kind === "slow",
      release,
    };
    if (attempt.slow) {
      this.#slowCount++;
      release();
    } else {
      this.#quick.add(attempt);
      this.#watch();
    }
    return attempt;
  }

  /** @param isAnswered whether the receiver has answered, whatever it said. */
  leave(attempt: Try, isAnswered: boolean): void {
    if (attempt.slow) this.#slowCount--;
    else this.#quick.delete(attempt);
    const tookMs = Math.max(0, this.#options.clock.now() - attempt.startedAt);
    attempt.lane.ended(tookMs, isAnswered, this.#options.limits.perEndpoint);
    attempt.release();
  }

  /** The lane is served when there is room, after those that queue up already. */
  queue(lane: Lane): void {
    this.#hungry[lane.kind].add(lane);
  }

  /** Serves those who queue up, as long as there is room. */
  feed(serve: (lane: Lane) => void): void {
    for (const kind of ["quick", "slow"] as const) {
      for (const lane of this.#hungry[kind]) {
        // One that has become of the other kind meanwhile is served, or queues up, as what it is now.
        if (lane.kind === kind && this.free(kind) <= 0) break;
        this.#hungry[kind].delete(lane);
        serve(lane);
      }
    }
  }

  /** Looks no longer for slow tries. */
  close(): void {
    this.#closed = true;
    this.#cancelCheck?.();
  }

  /** One timer for all: it looks at the oldest try. */
  #watch(): void {
    if (this.#cancelCheck !== null) return;
    const [oldest] = this.#quick;
    if (oldest === undefined || this.#closed) return;
    const { clock, onSlow, onRoom } = this.#options;
    // A clock that was set back must not put it off.
    const at = Math.min(oldest.startedAt, clock.now()) + SLOW_AFTER_MS;
    this.#cancelCheck = clock.wakeAt(at, () => {
      this.#cancelCheck = null;
      const now = clock.now();
      for (const attempt of this.#quick) {
        const tookMs = now - attempt.startedAt;
        if (tookMs >= 0 && tookMs < SLOW_AFTER_MS) break;
        this.#quick.delete(attempt);
        attempt.slow = true;
        this.#slowCount++;
        onSlow(attempt.lane);
        attempt.release();
      }
      onRoom();
      this.#watch();
    });
  }
}
