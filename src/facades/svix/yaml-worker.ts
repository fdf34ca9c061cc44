/** A thread that reads one YAML document and ends; see yaml-text.ts. */
import { parentPort, workerData } from "node:worker_threads";
import { parse } from "yaml";
import type { YamlRead } from "./yaml-text.ts";

const { text, maxChars } = workerData as { readonly text: string; readonly maxChars: number };

function read(): YamlRead {
  try {
    // Looking for keys that come twice costs the square of their number: 15 s for 30,000.
    const value: unknown = parse(text, { uniqueKeys: false, prettyErrors: false, logLevel: "error" });
    const json = JSON.stringify(value) ?? "null";
    return json.length > maxChars
      ? { fault: `it has more than ${maxChars} characters when written as JSON` }
      : { json };
  } catch (error) {
    return { fault: (error as Error).message.split("\n", 1)[0] as string };
  }
}

parentPort?.postMessage(read());
