/** Milliseconds since the Unix epoch when it names a moment, a count of milliseconds when it names a span. */
export type Millis = number;

/** Where time comes from. Everything that waits or stamps takes one, so that a test can move it. */
export interface Clock {
  now(): Millis;
  /**
   * Calls `wake` once, as soon as `now()` has reached `at`, and at the latest when as much time has passed as there was
   * to go: a clock that is set back must not put the wake-up off.
   * @returns a function that calls it off; calling it after the wake-up is harmless.
   */
  wakeAt(at: Millis, wake: () => void): () => void;
}

/** Node turns a longer timeout into 1 ms, so a far wake-up is reached in several steps. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  wakeAt(at, wake) {
    const latest = performance.now() + (at - Date.now());
    return wakeAfter(() => Math.min(at - Date.now(), latest - performance.now()), wake);
  },
};

/**
 * Begins at the time of the machine and counts on by itself: setting the machine's clock does not move it. Shows
 * fractions of milliseconds.
 */
export function steadyClock(): Clock {
  const begun = Date.now() - performance.now();
  const now = (): Millis => begun + performance.now();
  return { now, wakeAt: (at, wake) => wakeAfter(() => at - now(), wake) };
}

function wakeAfter(left: () => Millis, wake: () => void): () => void {
  let timer: NodeJS.Timeout;
  const wait = (): void => {
    timer = setTimeout(step, Math.min(Math.max(0, Math.ceil(left())), LONGEST_TIMEOUT_MS));
  };
  const step = (): void => (left() <= 0 ? wake() : wait());
  wait();
  return () => clearTimeout(timer);
}

/** A clock that stands still until a test moves it. */
export class FakeClock implements Clock {
  #now: Millis;
  #sleepers = new Set<{ at: Millis; wake: () => void }>();

  constructor(now: Millis = Date.UTC(2026, 0, 5, 12)) {
    this.#now = now;
  }

  now(): Millis {
    return this.#now;
  }

  wakeAt(at: Millis, wake: () => void): () => void {
    const sleeper = { at, wake };
    this.#sleepers.add(sleeper);
    if (at <= this.#now) queueMicrotask(() => this.#ring());
    return () => this.#sleepers.delete(sleeper);
  }

  /** Moves time forward and wakes, in the order of their times, all whose time has come. */
  advance(ms: Millis): void {
    this.#now += ms;
    this.#ring();
  }

  #ring(): void {
    const due = [...this.#sleepers].filter((s) => s.at <= this.#now).sort((a, b) => a.at - b.at);
    for (const sleeper of due) if (this.#sleepers.delete(sleeper)) sleeper.wake();
  }
}
