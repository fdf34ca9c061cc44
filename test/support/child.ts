/** The server as its operator runs it: a process of its own, which a test may kill. */
import { type ChildProcess, spawn } from "node:child_process";
import { resolve } from "node:path";
import { createInterface } from "node:readline";

const MAIN = resolve(import.meta.dirname, "../../src/main.ts");
export const SECRET_KEY = "sk_test_of_the_fault_suite";

export interface Child {
  readonly url: string;
  readonly process: ChildProcess;
  /** Everything the process has printed. */
  output(): string;
  /** SIGKILL: no chance to finish anything. Resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM. @returns the exit code. */
  stop(): Promise<number | null>;
}

/** Starts `carillon serve` on a free port and resolves once it says that it listens. Rejects if it ends before. */
export async function startChild(env: { readonly [name: string]: string }): Promise<Child> {
  const child = spawn(process.execPath, [MAIN, "serve"], {
    env: { PATH: process.env.PATH, PORT: "0", CARILLON_SECRET_KEY: SECRET_KEY, CARILLON_LOG_LEVEL: "warn", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  const gone = new Promise<number | null>((done) => child.once("exit", (code) => done(code)));
  const url = await new Promise<string>((ready, failed) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        lines.push(line);
        const found = /http:\/\/[\w.:[\]]+:\d+/.exec(line);
        if (found !== null && line.includes("listening")) ready(found[0]);
      });
    }
    gone.then((code) => failed(new Error(`the server ended with ${code} before it listened:\n${lines.join("\n")}`)));
  });
  return {
    url,
    process: child,
    output: () => lines.join("\n"),
    async kill() {
      child.kill("SIGKILL");
      await gone;
    },
    async stop() {
      child.kill("SIGTERM");
      return await gone;
    },
  };
}

/** One JSON call with the secret key. A refused or broken connection rejects. */
export async function call(
  url: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${SECRET_KEY}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? {} : (JSON.parse(text) as Record<string, unknown>) };
}
