/** A thread of the sandbox: gets one run at a time and answers it. */
import { parentPort, workerData } from "node:worker_threads";
import type { TransformationInput } from "../engine/webhooks/webhooks.ts";
import type { Ran } from "./answer.ts";
import { Interpreter } from "./interpreter.ts";
import type { RunLimits } from "./limits.ts";

export interface Run {
  readonly code: string;
  readonly input: TransformationInput;
}

export type Report = { readonly kind: "ready" } | { readonly kind: "ran"; readonly ran: Ran };

const port = parentPort;
if (port === null) throw new Error("src/sandbox/worker.ts runs in a worker thread only");
const interpreter = new Interpreter(workerData as RunLimits);

const report = (what: Report): void => port.postMessage(what);

// What is thrown here ends the thread; the pool sees it and starts another.
port.on("message", async ({ code, input }: Run) => {
  report({ kind: "ran", ran: await interpreter.run(code, input) });
  await interpreter.prepare();
});
await interpreter.prepare();
report({ kind: "ready" });
