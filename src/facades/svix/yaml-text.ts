/**
 * YAML from outside, read in a thread of its own: the parser takes 4 s for a megabyte, and far longer for a text that
 * was made for it. Nobody else waits for that, and it is ended when it takes too long.
 */
import { Worker } from "node:worker_threads";
import { Refusal } from "../../engine/refusal.ts";

const LIMIT_MS = 15_000;
const MAX_HEAP_MB = 256;
/** Each holds a core; people import a document now and then. */
const AT_ONCE = 2;
/** Aliases make much of little. */
const MAX_JSON_CHARS = 4 * 1024 * 1024;

export type YamlRead = { readonly json: string } | { readonly fault: string };

let busy = 0;

/**
 * @returns the document as JSON text, or what is wrong with it.
 * @throws Refusal("busy") when others are being read.
 */
export async function yamlToJson(text: string): Promise<YamlRead> {
  if (busy >= AT_ONCE) throw new Refusal("busy", "Other documents are being read; try again", { retryAfterMs: 2_000 });
  busy++;
  try {
    return await readInThread(text);
  } finally {
    busy--;
  }
}

async function readInThread(text: string): Promise<YamlRead> {
  const worker = new Worker(new URL("./yaml-worker.ts", import.meta.url), {
    name: "yaml",
    workerData: { text, maxChars: MAX_JSON_CHARS },
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  const { promise, resolve } = Promise.withResolvers<YamlRead>();
  // Time of the machine, not of the injected clock: it is the thread that is measured.
  const timer = setTimeout(() => resolve({ fault: `it takes longer than ${LIMIT_MS / 1000} s to read` }), LIMIT_MS);
  worker.on("message", resolve);
  worker.on("error", (error) => resolve({ fault: error instanceof Error ? error.message : "it cannot be read" }));
  worker.on("exit", () => resolve({ fault: "it cannot be read" }));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}
