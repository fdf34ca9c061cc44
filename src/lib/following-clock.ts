import { type Clock, type Millis, steadyClock } from "./clock.ts";

/** Clocks of machines drift by some milliseconds an hour; what else changes is seen to within so long. */
const EVERY_MS: Millis = 60_000;
/** The quickest answer of so many tells most exactly when it was given. */
const ASKED = 3;
/** What is too far ahead runs at half speed until the other has come up with it. */
const SLOWED_BY = 0.5;

/**
 * Keeps the time of another clock that several processes share: their leases and due times mean the same to all of them,
 * however wrong the clocks of their machines are. It never goes back: ahead of the other it slows down, behind it jumps.
 *
 *   made ──start──▶ set to the other, wherever that is ──every minute──▶ corrected
 *                                                             └── the other cannot be asked: it goes on by itself
 */
export class FollowingClock implements Clock {
  readonly #ask: () => Promise<Millis>;
  readonly #own: Clock;
  readonly #corrected: (aheadMs: Millis) => void;
  readonly #sleepers = new Set<{ readonly at: Millis; readonly wake: () => void; callOff: () => void }>();
  /** How far ahead of our own clock we were at `#since`, and how far the other one is. */
  #offset = 0;
  #since: Millis;
  #target = 0;
  #callOff: () => void = () => {};
  #stopped = false;

  /**
   * @param ask what the other clock shows now. @param own counts on between two answers.
   * @param corrected is told how far the other was found to be ahead of us.
   */
  constructor(ask: () => Promise<Millis>, own: Clock = steadyClock(), corrected: (aheadMs: Millis) => void = () => {}) {
    this.#ask = ask;
    this.#own = own;
    this.#corrected = corrected;
    this.#since = own.now();
  }

  /** Sets the clock, and corrects it from then on. To be called before anything is stamped. Rejects as asking does. */
  async start(): Promise<void> {
    const { ahead } = await this.#listen();
    this.#offset = this.#target = ahead;
    this.#since = this.#own.now();
    this.#corrected(ahead);
    this.#again();
  }

  stop(): void {
    this.#stopped = true;
    this.#callOff();
  }

  now(): Millis {
    const own = this.#own.now();
    return Math.floor(own + this.#offsetAt(own));
  }

  wakeAt(at: Millis, wake: () => void): () => void {
    const sleeper = { at, wake, callOff: () => {} };
    this.#sleepers.add(sleeper);
    this.#arm(sleeper);
    return () => {
      this.#sleepers.delete(sleeper);
      sleeper.callOff();
    };
  }

  #offsetAt(own: Millis): Millis {
    return Math.max(this.#target, this.#offset - (own - this.#since) * SLOWED_BY);
  }

  /** Slowed down, we wake whoever sleeps when as much time has passed as there was to go: a little early by our clock. */
  #arm(sleeper: { readonly at: Millis; readonly wake: () => void; callOff: () => void }): void {
    sleeper.callOff();
    sleeper.callOff = this.#own.wakeAt(this.#own.now() + (sleeper.at - this.now()), () => {
      if (this.#sleepers.delete(sleeper)) sleeper.wake();
    });
  }

  #again(): void {
    if (this.#stopped) return;
    this.#callOff = this.#own.wakeAt(this.#own.now() + EVERY_MS, () => {
      // Who cannot be asked now is asked again.
      this.#correct().then(
        () => this.#again(),
        () => this.#again(),
      );
    });
  }

  async #correct(): Promise<void> {
    const { ahead: target, unsureMs } = await this.#listen();
    const own = this.#own.now();
    const offset = this.#offsetAt(own);
    if (Math.abs(target - offset) <= unsureMs) return;
    this.#corrected(target - offset);
    this.#target = target;
    this.#offset = Math.max(offset, target);
    this.#since = own;
    // Their time may have come nearer.
    if (target > offset) for (const sleeper of this.#sleepers) this.#arm(sleeper);
  }

  /** @returns how far the other clock is ahead of our own; half of the way there and back is what we cannot tell. */
  async #listen(): Promise<{ readonly ahead: Millis; readonly unsureMs: Millis }> {
    let best = { unsureMs: Number.POSITIVE_INFINITY, ahead: 0 };
    for (let i = 0; i < ASKED; i++) {
      const askedAt = this.#own.now();
      const theirs = await this.#ask();
      const answeredAt = this.#own.now();
      const unsureMs = (answeredAt - askedAt) / 2;
      if (unsureMs < best.unsureMs) best = { unsureMs, ahead: theirs - (askedAt + answeredAt) / 2 };
    }
    return best;
  }
}
