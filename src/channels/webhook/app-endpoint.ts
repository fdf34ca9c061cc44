/** Makes tries at endpoints of applications: what goes out, and what is kept of what comes back. */
import { isUtf8 } from "node:buffer";
import type { EndpointAnswer, EndpointHttp, EndpointRequest } from "../../engine/webhooks/exchange.ts";
import type { Clock, Millis } from "../../lib/clock.ts";
import type { AnswerHeaders, OutboundResult } from "../http-exchange.ts";
import type { Outbound } from "../late.ts";
import { retryAfter } from "../retry-after.ts";

/** Of an answer's body. */
const KEPT_BYTES = 20_000;
/** The longest character of UTF-8 but one byte: what may be left of one that was cut. */
const LONGEST_CUT_CHARACTER = 3;
/** A connection that fails sooner is tried once more at once: it was closed in the very moment of its use, as a rule. */
const QUICK_FAILURE_MS: Millis = 1_000;

export function endpointHttp({
  http,
  version,
  clock,
}: {
  readonly http: Outbound;
  /** Of this server: receivers see it. */
  readonly version: string;
  readonly clock: Clock;
}): EndpointHttp {
  const agent = `Carillon/${version}`;
  return {
    async exchange(request) {
      const { url, headers } = addressed(request, agent);
      const { method, body, timeoutMs, signal } = request;
      // Many endpoints may live on one host, some of which hang: none may hold up another. How many tries there are at
      // once, and how many at one endpoint, is for the sender to bound.
      const asked = { method, url, headers, body, timeoutMs, signal, maxBodyBytes: KEPT_BYTES, mayWait: false };
      let result = await http.request(asked);
      let durationMs = result.durationMs;
      if (result.kind === "unreachable" && result.why === "connection" && durationMs < QUICK_FAILURE_MS) {
        const leftMs = Math.max(1, timeoutMs - durationMs);
        result = await http.request({ ...asked, timeoutMs: leftMs, fresh: true });
        durationMs += result.durationMs;
      }
      return answerOf(result, headers, durationMs, clock.now());
    },
  };
}

/** The URL without its user name and password, and all headers. */
function addressed(
  { url, headers }: Pick<EndpointRequest, "url" | "headers">,
  agent: string,
): { readonly url: string; readonly headers: { [name: string]: string } } {
  const all: { [name: string]: string } = {};
  let [hasType, hasAgent, hasAccept, hasAuthorization] = [false, false, false, false];
  for (const name of Object.keys(headers)) {
    if (name === "__proto__") continue;
    all[name] = headers[name] as string;
    const lower = name.toLowerCase();
    if (lower === "content-type") hasType = true;
    else if (lower === "user-agent") hasAgent = true;
    else if (lower === "accept") hasAccept = true;
    else if (lower === "authorization") hasAuthorization = true;
  }
  if (!hasType) all["content-type"] = "application/json";
  if (!hasAgent) all["user-agent"] = agent;
  if (!hasAccept) all.accept = "*/*";
  if (!url.includes("@")) return { url, headers: all };
  const parsed = URL.parse(url);
  if (parsed === null || (parsed.username === "" && parsed.password === "")) return { url, headers: all };
  const credentials = `${decoded(parsed.username)}:${decoded(parsed.password)}`;
  if (!hasAuthorization) all.authorization = `Basic ${Buffer.from(credentials).toString("base64")}`;
  parsed.username = "";
  parsed.password = "";
  return { url: parsed.href, headers: all };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    // A percent sign that encodes nothing means itself.
    return part;
  }
}

function answerOf(
  result: OutboundResult,
  sentHeaders: EndpointAnswer["sentHeaders"],
  durationMs: Millis,
  now: Millis,
): EndpointAnswer {
  if (result.kind === "answered") {
    const { headers } = result;
    const wishes = headers["webhook-delivery"];
    const retryAt = headers["retry-after"] === undefined ? null : retryAfter(headers["retry-after"], now);
    return {
      statusCode: result.status,
      response: textOf(result),
      responseHeaders: pairsOf(headers),
      sentHeaders,
      retryAfterMs: retryAt === null ? null : retryAt - now,
      timedOut: false,
      aborted: false,
      durationMs,
      abortMessage: wishes !== undefined && includes(wishes, "abort-message"),
      disableEndpoint: wishes !== undefined && includes(wishes, "disable"),
    };
  }
  const why = result.kind === "unreachable" ? result.why : "refused";
  return {
    statusCode: 0,
    response: why === "refused" ? `The request was blocked: ${result.reason}` : result.reason,
    responseHeaders: null,
    sentHeaders,
    retryAfterMs: null,
    timedOut: why === "deadline",
    aborted: why === "given-up",
    durationMs,
    abortMessage: false,
    disableEndpoint: false,
  };
}

/** Text if it is, else base64. A NUL is no text: Postgres does not take it, and no reader expects it. */
function textOf({ body, truncated, brokenOff }: Extract<OutboundResult, { kind: "answered" }>): string {
  const kept = truncated ? wholeCharacters(body) : body;
  if (!isUtf8(kept) || kept.includes(0)) return body.toString("base64");
  const text = kept.toString("utf8");
  if (brokenOff === null) return text;
  const note = `(the body did not arrive whole: ${brokenOff})`;
  return text === "" ? note : `${text}\n${note}`;
}

/** The bytes without the beginning of a character that was cut at their end. */
function wholeCharacters(bytes: Buffer): Buffer {
  for (let cut = 0; cut <= LONGEST_CUT_CHARACTER && cut < bytes.length; cut++) {
    const last = bytes[bytes.length - 1 - cut] as number;
    // 10xxxxxx continues a character; what begins one says how long it is.
    if (last >= 0x80 && last < 0xc0) continue;
    const length = last < 0x80 ? 1 : last < 0xe0 ? 2 : last < 0xf0 ? 3 : 4;
    return length > cut + 1 ? bytes.subarray(0, bytes.length - 1 - cut) : bytes;
  }
  return bytes;
}

function pairsOf(headers: AnswerHeaders): [string, string][] {
  const pairs: [string, string][] = [];
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    if (typeof value === "string") pairs.push([name, value]);
    else for (const one of value ?? []) pairs.push([name, one]);
  }
  return pairs;
}

/** Whether a header that lists words, in one line or several, has the word. */
function includes(value: string | readonly string[], word: string): boolean {
  return [value].flat().some((line) => line.split(",").some((one) => one.trim().toLowerCase() === word));
}
