import type { Clock, Millis } from "../lib/clock.ts";

/** What is to be over by a certain time. */
export interface Mortal {
  readonly deadlineAt: Millis;
  /** Its time is over. Called once at most, and not after `remove`. */
  expire(): void;
}

interface Line {
  /** In the order of their deadlines, because all of a line have the same span and came one after the other. */
  readonly waiting: Set<Mortal>;
  callOff: () => void;
}

/** Watches the deadlines of many with one timer for each span: a timer for each of them costs three times as much. */
export class Deadlines {
  readonly #clock: Clock;
  readonly #lines = new Map<Millis, Line>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param spanMs from now to the deadline. */
  add(mortal: Mortal, spanMs: Millis): void {
    const line = this.#lines.get(spanMs);
    if (line !== undefined) {
      line.waiting.add(mortal);
      return;
    }
    const begun: Line = { waiting: new Set([mortal]), callOff: () => {} };
    this.#lines.set(spanMs, begun);
    this.#arm(spanMs, begun, mortal);
  }

  remove(mortal: Mortal, spanMs: Millis): void {
    const line = this.#lines.get(spanMs);
    if (line?.waiting.delete(mortal) !== true || line.waiting.size > 0) return;
    line.callOff();
    this.#lines.delete(spanMs);
  }

  #arm(spanMs: Millis, line: Line, first: Mortal): void {
    line.callOff = this.#clock.wakeAt(first.deadlineAt, () => {
      // A clock that was set back must not put off the one we have waited for.
      const now = Math.max(this.#clock.now(), first.deadlineAt);
      for (const mortal of line.waiting) {
        if (mortal.deadlineAt > now) {
          this.#arm(spanMs, line, mortal);
          return;
        }
        line.waiting.delete(mortal);
        mortal.expire();
      }
      if (this.#lines.get(spanMs) === line) this.#lines.delete(spanMs);
    });
  }
}
