import type { Logger } from "pino";
import type { Clock, Millis } from "../../lib/clock.ts";
import type { Task } from "./model.ts";
import type { TaskStore } from "./ports.ts";

export interface TaskLeaseDeps {
  readonly tasks: Pick<TaskStore, "commitPage">;
  readonly clock: Clock;
  readonly log: Logger;
  readonly leaseMs: Millis;
}

/** The lease of one task that is worked on here. */
export class TaskLease {
  readonly #deps: TaskLeaseDeps;
  /** The lease as it was written last. */
  held: Millis;

  constructor(deps: TaskLeaseDeps, held: Millis) {
    this.#deps = deps;
    this.held = held;
  }

  get next(): Millis {
    return this.#deps.clock.now() + this.#deps.leaseMs;
  }

  /**
   * Keeps the lease while a page is worked out, which may take as long as looking through millions of messages: one that
   * lapsed would be begun again by others for ever, and none of them could commit it.
   * @param task as it was written last.
   */
  async during<T>(task: Task, work: Promise<T>): Promise<T> {
    const { clock, leaseMs } = this.#deps;
    let isOver = false;
    let renewing: Promise<void> = Promise.resolve();
    let cancel = (): void => {};
    const renewLater = (): void => {
      cancel = clock.wakeAt(clock.now() + leaseMs / 3, () => {
        renewing = this.#renew(task).then(() => {
          if (!isOver) renewLater();
        });
      });
    };
    renewLater();
    try {
      return await work;
    } finally {
      isOver = true;
      cancel();
      await renewing;
    }
  }

  /** Never rejects. A lease that was lost is found out when the page is committed. */
  async #renew(task: Task): Promise<void> {
    const { tasks, log } = this.#deps;
    const { held, next } = this;
    try {
      if ((await tasks.commitPage(task, { held, next }, {}, () => task)) !== null) this.held = next;
    } catch (error) {
      log.warn({ err: error, taskId: task.id }, "task.not-renewed");
    }
  }
}
