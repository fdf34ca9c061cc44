import type { Logger } from "pino";
import type { Clock, Millis } from "../../lib/clock.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { Bus, Store } from "../ports.ts";
import type { Task } from "./model.ts";
import type { Operational } from "./operational.ts";
import { TaskLease } from "./task-lease.ts";
import { TASK_PAGES, type TaskPage, type TaskPageDeps } from "./task-pages.ts";

export interface TaskRunnerDeps extends TaskPageDeps {
  readonly store: Pick<Store, "appMessages" | "tasks">;
  readonly operational: Operational;
  /** What the environment's endpoints are told of a task that ended. */
  readonly describe: (task: Task) => JsonObject;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Logger;
  readonly leaseMs: Millis;
}

/** Cursor of a task that has nothing left but to end. */
const ALL_DONE = "all-done";

/**
 * Works on tasks page by page. Each page is committed together with the cursor that follows it, so a task goes on where
 * it stopped, in whichever process, and nothing of it is done twice.
 */
export class TaskRunner {
  readonly #deps: TaskRunnerDeps;

  constructor(deps: TaskRunnerDeps) {
    this.#deps = deps;
  }

  /**
   * Runs a claimed task to its end, or until `isStopping`. Rejects when the database does; the task is claimed again when its lease lapses.
   * @param leaseUntil the lease it was claimed under.
   * @param stop gives up the page that is being worked out.
   */
  async run(task: Task, leaseUntil: Millis, isStopping: () => boolean, stop: AbortSignal): Promise<void> {
    const { store, clock, leaseMs, log, bus } = this.#deps;
    const lease = new TaskLease({ tasks: store.tasks, clock, log, leaseMs }, leaseUntil);
    let now = task;
    while (now.state === "running") {
      if (isStopping()) return await store.tasks.release(task.id, lease.held);
      const startedAt = clock.now();
      const page = await lease.during(now, unlessStopped(this.#pageOf(now), stop));
      if (page === null) return await store.tasks.release(task.id, lease.held);
      const { held, next } = lease;
      const after = await this.#commit(now, page, { held, next });
      if (after === null) {
        log.info({ taskId: task.id, kind: task.kind }, "task.lost");
        return;
      }
      if (hasDeliveries(page) || after.state !== "running") bus.lookNow("deliveries");
      log.info(
        {
          taskId: task.id,
          environmentId: task.environmentId,
          kind: task.kind,
          state: after.state,
          messagesSent: after.data.messagesSent,
          tookMs: clock.now() - startedAt,
        },
        "task.advanced",
      );
      lease.held = next;
      now = after;
    }
  }

  async #pageOf(task: Task): Promise<TaskPage> {
    if (task.cursor === ALL_DONE) return { cursor: null, effects: {}, data: () => task.data };
    if (task.kind === "event-type-import") throw new Error("imports are not run in the background");
    return await TASK_PAGES[task.kind](task, this.#deps);
  }

  /** @returns the task as it was written; null when it is no longer ours. */
  async #commit(
    task: Task,
    page: TaskPage,
    lease: { readonly held: Millis; readonly next: Millis },
  ): Promise<Task | null> {
    const { store, operational, describe, clock } = this.#deps;
    const { messages = [], missing = [], again = [] } = page.effects;
    // What became of these is known with their commit only, so the end that is told of it takes a page of its own.
    const isOpen = messages.length + missing.length + again.length > 0;
    const cursor = page.cursor === null && isOpen ? ALL_DONE : page.cursor;
    const state = page.failed !== undefined ? "failed" : cursor === null ? "finished" : "running";
    const updatedAt = clock.now();
    const after = (written: readonly boolean[], begun: number): Task => ({
      ...task,
      state,
      cursor,
      data: page.data(written.slice(0, messages.length), begun),
      updatedAt,
    });
    const told =
      state === "running"
        ? []
        : await operational.tellings(task.environmentId, "background_task.finished", describe(after([], 0)), updatedAt);
    return await store.tasks.commitPage(task, lease, { ...page.effects, messages: [...messages, ...told] }, after);
  }
}

/** Null when it was stopped before the work was done. */
async function unlessStopped<T>(work: Promise<T>, stop: AbortSignal): Promise<T | null> {
  const stopped = Promise.withResolvers<null>();
  const onAbort = (): void => stopped.resolve(null);
  if (stop.aborted) onAbort();
  stop.addEventListener("abort", onAbort);
  try {
    return await Promise.race([work, stopped.promise]);
  } finally {
    stop.removeEventListener("abort", onAbort);
  }
}

function hasDeliveries({ effects }: TaskPage): boolean {
  const { manual = [], missing = [], again = [], messages = [] } = effects;
  return manual.length + missing.length + again.length + messages.length > 0;
}
