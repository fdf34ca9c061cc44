/** What a run of somebody's code may use. */
export interface SandboxLimits {
  /** Time of computing, for everything a run does: reading the code, calling the handler, writing the answer. */
  readonly cpuMs: number;
  /** Time that passes, looked at from outside: for what cannot be interrupted from inside, such as one huge sum. */
  readonly wallMs: number;
  /** Of the instance, 16 MiB at the least. */
  readonly memoryBytes: number;
  readonly stackBytes: number;
  /** Of the payload that comes back. */
  readonly outputBytes: number;
  /** Threads. One code never has all of them unless there is only one. */
  readonly threads: number;
  /** Runs that wait for a thread; one code may have half of these places. */
  readonly waiting: number;
  /** Characters of the payloads that wait. */
  readonly waitingChars: number;
}

export const DEFAULT_LIMITS: SandboxLimits = {
  cpuMs: 1_000,
  wallMs: 5_000,
  memoryBytes: 64 * 1024 * 1024,
  // The engine's own stack is 1 MiB and no limit of it may be met: what runs into that ends the whole instance.
  stackBytes: 256 * 1024,
  outputBytes: 1024 * 1024,
  threads: 2,
  waiting: 2_000,
  waitingChars: 64 * 1024 * 1024,
};

/** The part that a thread needs to know. */
export type RunLimits = Pick<SandboxLimits, "cpuMs" | "memoryBytes" | "stackBytes" | "outputBytes">;
