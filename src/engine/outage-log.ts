import type { Logger } from "pino";
import type { Clock, Millis } from "../lib/clock.ts";
import { isUnavailable } from "./refusal.ts";

/** However many loops fail, and however often they look, an outage is told of no more often than this. */
const TELL_EVERY_MS = 60_000;

/**
 * Tells of the database being away, and of its return. Every loop that looks for work fails once a second meanwhile:
 * a line for each, with its stack, came to 40 MB an hour that said nothing new.
 */
export class OutageLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  /** When the outage began; null while there is none. */
  #since: Millis | null = null;
  #toldAt: Millis = Number.NEGATIVE_INFINITY;
  /** Whether the outage under way was told of: only then is its end. */
  #told = false;

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** @returns false when it failed for another reason than the database being away, which is then the caller's to tell. */
  failed(error: unknown): boolean {
    if (!isUnavailable(error)) return false;
    const now = this.#clock.now();
    this.#since ??= now;
    if (now - this.#toldAt < TELL_EVERY_MS) return true;
    this.#toldAt = now;
    this.#told = true;
    this.#log.warn({ err: error, awayMs: now - this.#since }, "database.unavailable");
    return true;
  }

  /** The database has answered. */
  answered(): void {
    if (this.#since === null) return;
    if (this.#told) this.#log.info({ awayMs: this.#clock.now() - this.#since }, "database.available");
    this.#since = null;
    this.#told = false;
  }
}
