/** Receivers of webhooks in a process of their own, as many as there are paths, which fail in every way there is. */
import { fork } from "node:child_process";
import { resolve } from "node:path";

export type Behaviour =
  | "ok"
  /** 200 after a moment, in which somebody may be killed. */
  | "slowly"
  /** 500, 410 and 307 every time. */
  | "error"
  | "gone"
  | "redirect"
  /** 500 for the first two requests of each message. */
  | "heals"
  /** 503 with `Retry-After: 8` for the first request of each message. */
  | "later"
  /** 500, and the wish not to get the message again. */
  | "refuses"
  | "closes"
  | "resets"
  | "garbage"
  | "hangs"
  /** The head of an answer, and then a body without an end. */
  | "drips"
  | "drips-error"
  | "drips-head";

/** A request that came whole. */
export interface Hit {
  readonly endpoint: string;
  readonly messageId: string;
  /** What the sender got to see; 0: no head of an answer. */
  readonly status: number;
  readonly at: number;
  readonly seconds: number;
  readonly signature: string;
  /** The headers are there under both sets of names, with the same values. */
  readonly sameHeaders: boolean;
  readonly body: string;
  readonly hash: string;
}

export interface FarmQuestion {
  readonly ask: "hanging" | "log";
  readonly turn: number;
}

export type FarmAnswer =
  | { readonly turn: 0; readonly port: number }
  | { readonly turn: number; readonly hanging: number; readonly hits: number }
  | { readonly turn: number; readonly log: readonly Hit[] };

export interface Farm {
  url(behaviour: Behaviour, endpoint: string): string;
  /** Requests that wait for the sender to give up, and requests so far that `log` has not handed out. */
  hanging(): Promise<{ readonly hanging: number; readonly hits: number }>;
  /** What came since the last call. */
  log(): Promise<readonly Hit[]>;
  close(): void;
}

export async function startFarm(): Promise<Farm> {
  const child = fork(resolve(import.meta.dirname, "receiver-farm-process.ts"), { execPath: process.execPath });
  const waiting = new Map<number, (answer: FarmAnswer) => void>();
  let turns = 0;
  const started = new Promise<FarmAnswer>((ready) => waiting.set(0, ready));
  child.on("message", (answer: FarmAnswer) => {
    waiting.get(answer.turn)?.(answer);
    waiting.delete(answer.turn);
  });
  const question = (ask: FarmQuestion["ask"]): Promise<FarmAnswer> =>
    new Promise((answered) => {
      const turn = ++turns;
      waiting.set(turn, answered);
      child.send({ ask, turn });
    });
  const first = await started;
  const port = "port" in first ? first.port : 0;
  return {
    url: (behaviour, endpoint) => `http://127.0.0.1:${port}/${behaviour}/${endpoint}`,
    async hanging() {
      const answer = await question("hanging");
      if (!("hanging" in answer)) throw new Error("the farm answered another question");
      return answer;
    },
    async log() {
      const answer = await question("log");
      if (!("log" in answer)) throw new Error("the farm answered another question");
      return answer.log;
    },
    close: () => child.disconnect(),
  };
}
