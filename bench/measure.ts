/** What every measurement needs: rounds that take turns, medians, child processes, and rows for the table. */
import { type ChildProcess, fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

export interface Row {
  readonly what: string;
  readonly ours: string;
  readonly bare: string;
  /** What is compared with the goal. */
  readonly figure: string;
  readonly goal: string;
  readonly met: boolean;
}

export interface Measurement {
  readonly name: string;
  /** @param rounds how often each side runs. */
  readonly run: (rounds: number, tell: (line: string) => void) => Promise<readonly Row[]>;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((p / 100) * sorted.length))] as number;
}

/** Runs both sides in turn, A B A B …, so that a machine that slows down slows both; the ratio is taken pair by pair. */
export async function inTurn(
  rounds: number,
  ours: () => Promise<number>,
  bare: () => Promise<number>,
  tell: (line: string) => void,
): Promise<{ ours: number; bare: number; ratio: number }> {
  const a: number[] = [];
  const b: number[] = [];
  for (let round = 0; round < rounds; round++) {
    a.push(await ours());
    b.push(await bare());
    tell(`  round ${round + 1}: ours ${whole(a[round] as number)}, bare ${whole(b[round] as number)}`);
  }
  return { ours: median(a), bare: median(b), ratio: median(a.map((value, i) => value / (b[i] as number))) };
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

export function fixed(value: number, digits = 2): string {
  return value.toFixed(digits);
}

/** Resident memory of a process in bytes, as the operating system counts it. */
export function memoryOf(pid: number): number {
  const kilobytes = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes) * 1024;
}

export async function temporaryDir<T>(use: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), "carillon-bench-"));
  try {
    return await use(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** A helper process of this folder that answers one message with one message. */
export class Helper {
  readonly #child: ChildProcess;

  constructor(file: string, ...args: string[]) {
    this.#child = fork(resolve(import.meta.dirname, "processes", file), args, { execArgv: ["--expose-gc"] });
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  async ask<T>(message: object): Promise<T> {
    const answer = new Promise<T>((done, failed) => {
      this.#child.once("message", (value) => done(value as T));
      this.#child.once("exit", (code) => failed(new Error(`the helper process ended with ${code}`)));
    });
    this.#child.send(message);
    return await answer;
  }

  async end(): Promise<void> {
    this.#child.removeAllListeners("exit");
    const gone = new Promise((done) => this.#child.once("exit", done));
    this.#child.kill();
    await gone;
  }
}
