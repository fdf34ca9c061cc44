import type { Logger } from "pino";
import type { Clock, Millis } from "../lib/clock.ts";
import type { Retention, Store } from "./ports.ts";
import type { Recalls } from "./recalls.ts";

const EXPIRE_EVERY_MS: Millis = 10_000;
const RESUME_EVERY_MS: Millis = 30_000;
const SWEEP_EVERY_MS: Millis = 60_000;
const BATCH = 1000;
/** Batches in a row; then others get their turn until the next round. */
const MAX_BATCHES = 50;

/** Ends expired inbox items, goes on with recalls that were left, and throws away what is past its retention, in bounded batches between pauses. */
export class Housekeeper {
  readonly #store: Store;
  readonly #recalls: Recalls;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #retention: Retention;
  #cancels = new Set<() => void>();
  #stopped = false;

  constructor(store: Store, recalls: Recalls, clock: Clock, log: Logger, retention: Retention) {
    this.#store = store;
    this.#recalls = recalls;
    this.#clock = clock;
    this.#log = log;
    this.#retention = retention;
  }

  start(): void {
    this.#every(EXPIRE_EVERY_MS, "items.expired", () => this.#store.inbox.expire(this.#clock.now(), BATCH));
    this.#every(RESUME_EVERY_MS, "recalls.resumed", () => this.#recalls.resume());
    this.#every(SWEEP_EVERY_MS, "recalls.swept", () => this.#store.recalls.sweep(this.#clock.now(), BATCH));
    this.#every(SWEEP_EVERY_MS, "records.swept", () =>
      this.#store.housekeeping.sweep(this.#clock.now(), this.#retention, BATCH),
    );
  }

  stop(): void {
    this.#stopped = true;
    for (const cancel of this.#cancels) cancel();
  }

  #every(periodMs: Millis, name: string, batch: () => Promise<number>): void {
    if (this.#stopped) return;
    const cancel = this.#clock.wakeAt(this.#clock.now() + periodMs, () => {
      this.#cancels.delete(cancel);
      this.#round(name, batch)
        .catch((error) => this.#log.warn({ err: error, work: name }, "housekeeping.failed"))
        .finally(() => this.#every(periodMs, name, batch));
    });
    this.#cancels.add(cancel);
  }

  async #round(name: string, batch: () => Promise<number>): Promise<void> {
    let total = 0;
    for (let i = 0; i < MAX_BATCHES && !this.#stopped; i++) {
      const rows = await batch();
      total += rows;
      if (rows === 0) break;
    }
    if (total > 0) this.#log.info({ rows: total }, name);
  }
}
