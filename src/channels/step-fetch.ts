/** Calls out for the fetch steps of workflows. */
import { isUtf8 } from "node:buffer";
import type { Fetch } from "../engine/workflow/ports.ts";
import type { Outbound } from "./late.ts";

/** Of an answer's body: it is merged into the data of a run, which is kept and rendered. */
const MAX_ANSWER_BYTES = 1024 * 1024;

/** Checked addresses, no redirects, bounded time and bytes; see outbound-http.ts. */
export function stepFetch(http: Outbound): Fetch {
  return async ({ method, url, headers, body, timeoutMs }, signal) => {
    const result = await http.request({
      method,
      url,
      headers,
      body: body ?? "",
      timeoutMs,
      signal,
      maxBodyBytes: MAX_ANSWER_BYTES,
    });
    if (result.kind !== "answered") return { kind: "failed", reason: result.reason };
    if (result.brokenOff !== null) return { kind: "failed", reason: result.brokenOff };
    if (result.truncated) return { kind: "failed", reason: `the answer is longer than ${MAX_ANSWER_BYTES} bytes` };
    if (!isUtf8(result.body)) return { kind: "failed", reason: "the answer is no UTF-8 text" };
    return { kind: "answered", status: result.status, text: result.body.toString("utf8") };
  };
}
