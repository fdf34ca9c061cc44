/**
 * What one rendering may cost. Templates are written by people who may mean harm, and they run in the thread that serves
 * everybody: every loop, filter and comparison pays here, and whoever pays too much is stopped.
 */
import { RenderError } from "../../engine/ports.ts";

export interface Limits {
  /** Time on the processor, waits for look-ups not counted. */
  readonly timeMs: number;
  /** Characters of one finished text, or of one text made on the way. */
  readonly textLength: number;
  /** Characters of all texts made on the way, and pieces of lists and objects looked at. */
  readonly work: number;
}

export const DEFAULT_LIMITS: Limits = { timeMs: 500, textLength: 1_000_000, work: 20_000_000 };

/** Steps between two looks at the clock: a step is well below a microsecond's work, a look costs about 30 ns. */
const STEPS_PER_LOOK = 32;
/** Work after which the clock is looked at, too; some milliseconds at most. */
const WORK_PER_LOOK = 100_000;

export class Budget {
  readonly limits: Limits;
  #steps = 0;
  #work = 0;
  #lookedAtWork = 0;
  #spentMs = 0;
  /** When the present turn began; null while something is waited for. */
  #since: number | null = null;

  constructor(limits: Limits) {
    this.limits = limits;
  }

  resume(): void {
    this.#since = performance.now();
  }

  pause(): void {
    if (this.#since !== null) this.#spentMs += performance.now() - this.#since;
    this.#since = null;
  }

  /** One small thing is done. @throws RenderError */
  step(): void {
    if (++this.#steps % STEPS_PER_LOOK === 0) this.#look();
  }

  /** @param units characters or pieces that are looked at or made. @throws RenderError */
  use(units: number): void {
    this.#work += units;
    if (this.#work > this.limits.work) {
      throw new RenderError("the template handles too much data", { cause: "limit" });
    }
    if (this.#work - this.#lookedAtWork < WORK_PER_LOOK) return;
    this.#lookedAtWork = this.#work;
    this.#look();
  }

  /** A text of this length is about to be made. @throws RenderError */
  text(length: number): void {
    if (length > this.limits.textLength) {
      const most = this.limits.textLength.toLocaleString("en");
      throw new RenderError(`the template makes a text of more than ${most} characters`, { cause: "limit" });
    }
    this.use(length);
  }

  #look(): void {
    const turn = this.#since === null ? 0 : performance.now() - this.#since;
    if (this.#spentMs + turn > this.limits.timeMs) {
      throw new RenderError(`the template takes longer than ${this.limits.timeMs} ms`, { cause: "limit" });
    }
  }
}
