/**
 * Other people's code runs in QuickJS, which runs in threads of ours: QuickJS keeps code from everything outside of it,
 * and the threads keep a handler that computes for a second from standing in the way of everything else.
 *
 *   transform ─▶ waiting (in turn, code by code) ─▶ a thread ─▶ answered
 *                    └─(no room)─▶ failed             └─(stuck or dead)─▶ failed; another thread takes its place
 */
import { Worker } from "node:worker_threads";
import type { Sandbox, TransformationInput } from "../engine/webhooks/webhooks.ts";
import type { Ran } from "./answer.ts";
import { FairQueue } from "./fair-queue.ts";
import { DEFAULT_LIMITS, type RunLimits, type SandboxLimits } from "./limits.ts";
import type { Report, Run } from "./worker.ts";

/** Starting reads and compiles half a megabyte of WebAssembly; on a machine that is busy it may take its time. */
const START_MS = 30_000;
/** For the thread's own JavaScript: payloads on their way in and out. QuickJS has its memory beside it. */
const THREAD_HEAP_MB = 128;

interface Job extends Run {
  readonly resolve: (ran: Ran) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  state: "starting" | "idle" | "busy" | "gone";
  job: Job | null;
  timer: NodeJS.Timeout | undefined;
}

/**
 * A sandbox whose threads start with its first use, which takes 0.1 s. A handler that changes one field of a payload of
 * 500 bytes: 0.4 ms when nothing else is going on; 1,300 runs a second of one code, 2,300 of many (2 cores, 64 at once).
 */
export function openSandbox(limits: Partial<SandboxLimits> = {}): Sandbox {
  return new Threads({ ...DEFAULT_LIMITS, ...limits });
}

class Threads implements Sandbox {
  readonly #limits: SandboxLimits;
  readonly #waiting: FairQueue<Job>;
  #waitingChars = 0;
  readonly #threads = new Set<Thread>();
  /** How many threads each code has just now. */
  readonly #busyWith = new Map<string, number>();
  #closed = false;

  constructor(limits: SandboxLimits) {
    this.#limits = limits;
    this.#waiting = new FairQueue(limits.waiting);
  }

  transform(code: string, input: TransformationInput): Promise<Ran> {
    if (this.#closed) return Promise.resolve({ kind: "failed", reason: "the sandbox is closed" });
    return new Promise((resolve, reject) => {
      const chars = this.#waitingChars + input.payload.length;
      if (chars > this.#limits.waitingChars || !this.#waiting.add(code, { code, input, resolve, reject })) {
        return resolve({ kind: "failed", reason: "too many transformations are waiting to run" });
      }
      this.#waitingChars = chars;
      this.#serve();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#failWaiting((job) => job.resolve({ kind: "failed", reason: "the sandbox is closed" }));
    await Promise.all([...this.#threads].map((thread) => this.#end(thread, "the sandbox is closed")));
  }

  /** Gives work to idle threads; starts one when all are busy and there may be more. */
  #serve(): void {
    for (const thread of this.#threads) {
      if (thread.state !== "idle") continue;
      const job = this.#take();
      if (job === null) return;
      this.#run(thread, job);
    }
    const starting = [...this.#threads].filter(({ state }) => state === "starting").length;
    if (this.#waiting.size > starting && this.#threads.size < this.#limits.threads) this.#start();
  }

  #take(): Job | null {
    // One thread is always left for the others' code, however long this one's takes.
    const most = Math.max(1, this.#limits.threads - 1);
    const job = this.#waiting.take((code) => (this.#busyWith.get(code) ?? 0) < most);
    if (job !== null) this.#waitingChars -= job.input.payload.length;
    return job;
  }

  #run(thread: Thread, job: Job): void {
    thread.state = "busy";
    thread.job = job;
    this.#busyWith.set(job.code, (this.#busyWith.get(job.code) ?? 0) + 1);
    const { wallMs } = this.#limits;
    // Time of the machine, not of the injected clock: what is measured is a thread of the machine that does not answer.
    thread.timer = setTimeout(() => void this.#end(thread, `the code took longer than ${wallMs} ms`), wallMs);
    thread.worker.ref();
    thread.worker.postMessage({ code: job.code, input: job.input } satisfies Run);
  }

  #start(): void {
    const limits: RunLimits = this.#limits;
    const worker = new Worker(new URL("./worker.ts", import.meta.url), {
      name: "transformation",
      workerData: {
        cpuMs: limits.cpuMs,
        memoryBytes: limits.memoryBytes,
        stackBytes: limits.stackBytes,
        outputBytes: limits.outputBytes,
      } satisfies RunLimits,
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: THREAD_HEAP_MB },
    });
    const thread: Thread = { worker, state: "starting", job: null, timer: undefined };
    thread.timer = setTimeout(() => void this.#end(thread, "it did not start in time"), START_MS);
    this.#threads.add(thread);
    worker.on("message", (report: Report) => this.#heard(thread, report));
    worker.on("error", (error) => void this.#end(thread, "the code used more memory or stack than it may", error));
    worker.on("exit", () => void this.#end(thread, "the thread of the code has ended"));
  }

  #heard(thread: Thread, report: Report): void {
    // It answered just when it was given up.
    if (thread.state === "gone") return;
    clearTimeout(thread.timer);
    if (report.kind === "ran") this.#finish(thread)?.resolve(report.ran);
    thread.state = "idle";
    thread.worker.unref();
    this.#serve();
  }

  #finish(thread: Thread): Job | null {
    const { job } = thread;
    thread.job = null;
    if (job === null) return null;
    const left = (this.#busyWith.get(job.code) ?? 1) - 1;
    if (left === 0) this.#busyWith.delete(job.code);
    else this.#busyWith.set(job.code, left);
    return job;
  }

  /** Ends a thread for good; what it was running has failed for `reason`. */
  async #end(thread: Thread, reason: string, cause?: unknown): Promise<void> {
    if (thread.state === "gone") return;
    const neverReady = thread.state === "starting";
    thread.state = "gone";
    clearTimeout(thread.timer);
    this.#threads.delete(thread);
    this.#finish(thread)?.resolve({ kind: "failed", reason });
    if (neverReady && !this.#closed) {
      // Not the code's fault: trying again and again would not help, so whoever waits is told.
      const error = new Error(`The sandbox cannot start a thread: ${reason}`, { cause });
      if (this.#threads.size === 0) this.#failWaiting((job) => job.reject(error));
    } else if (!this.#closed) this.#serve();
    await thread.worker.terminate();
  }

  #failWaiting(fail: (job: Job) => void): void {
    for (let job = this.#waiting.take(() => true); job !== null; job = this.#waiting.take(() => true)) fail(job);
    this.#waitingChars = 0;
  }
}
