import type { Millis } from "../../lib/clock.ts";

/** Tokens of a fast rate are waited for together. */
const LEAST_WAIT_MS: Millis = 50;

/** So many tries a second; a quiet second's worth may be made at once. */
export class TokenBucket {
  /** Tokens a second, and the most there may be. */
  readonly rate: number;
  #tokens: number;
  #refilledAt: Millis;

  /** Full to begin with. */
  constructor(rate: number, now: Millis) {
    this.rate = rate;
    this.#tokens = rate;
    this.#refilledAt = now;
  }

  /** Tokens there are, parts of one included. A clock that was set back takes none away. */
  at(now: Millis): number {
    this.#tokens = Math.min(this.rate, this.#tokens + (Math.max(0, now - this.#refilledAt) * this.rate) / 1000);
    this.#refilledAt = now;
    return this.#tokens;
  }

  /** Only if there is one. */
  take(): void {
    this.#tokens--;
  }

  /** How long from when it was last looked at until there is one. */
  get waitMs(): Millis {
    return Math.max(LEAST_WAIT_MS, Math.ceil(((1 - this.#tokens) * 1000) / this.rate));
  }
}
