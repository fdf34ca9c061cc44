/** A step that asks somebody else's server and takes what it answers into the run's data. */
import { createHmac } from "node:crypto";
import type { Millis } from "../../lib/clock.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import type { FetchStep } from "./model.ts";
import type { Fetch, FetchAnswer, FetchRequest } from "./ports.ts";
import { filledIn, type StepContext, type StepOutcome } from "./step.ts";

export interface FetchDeps {
  readonly fetch: Fetch;
}

const TIMEOUT_MS: Millis = 15_000;
/** After the first failure that may pass, and after the second; the third is the last. */
const RETRY_WAITS_MS: readonly Millis[] = [30_000, 60_000];
const GOOD: ReadonlySet<number> = new Set([200, 201, 204]);
const MAX_PATH_DEPTH = 10;
const BODILESS: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE"]);

export async function fetchStep(
  step: FetchStep,
  context: StepContext,
  { fetch }: FetchDeps,
  signal: AbortSignal,
): Promise<StepOutcome> {
  const answer = await fetch(await requestOf(step, context), signal);
  const { now, state } = context;
  if (answer.kind === "answered" && GOOD.has(answer.status)) return accepted(answer, step, context);
  const error = answer.kind === "failed" ? answer.reason : `answered ${answer.status}`;
  const mayPass = answer.kind === "failed" || answer.status >= 500;
  const waitMs = mayPass ? RETRY_WAITS_MS[state.tries] : undefined;
  return waitMs === undefined ? { kind: "halt", error } : { kind: "retry", at: now + waitMs, error };
}

/** An object is laid over the data, key by key; whatever else comes is as good as nothing. */
function accepted(
  answer: Extract<FetchAnswer, { kind: "answered" }>,
  step: FetchStep,
  context: StepContext,
): StepOutcome {
  const { data } = context.state;
  const text = answer.text.trim();
  if (text === "") return { kind: "done", fresh: true };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: "halt", error: "the answer is not JSON" };
  }
  if (!isObject(value)) return { kind: "done", fresh: true };
  const path = step.settings.response_path?.trim().replace(/^data\./, "") ?? "";
  const keys = path === "" ? [] : path.split(".").filter((key) => key !== "");
  if (keys.length > MAX_PATH_DEPTH) return { kind: "halt", error: "the path for the answer is too deep" };
  return { kind: "done", data: laidAt(data, keys, value), fresh: true };
}

function laidAt(data: JsonObject, [key, ...rest]: readonly string[], value: JsonObject): JsonObject {
  if (key === undefined) return assigned(data, Object.entries(value));
  const inner = Object.hasOwn(data, key) ? data[key] : undefined;
  return assigned(data, [[key, laidAt(isObject(inner) ? inner : {}, rest, value)]]);
}

/** Assigning `__proto__` would set the prototype instead of a key. */
function assigned(base: JsonObject, entries: readonly (readonly [string, Json | undefined])[]): JsonObject {
  return Object.fromEntries([...Object.entries(base), ...entries.filter(([key]) => key !== "__proto__")]);
}

async function requestOf({ settings }: FetchStep, context: StepContext): Promise<FetchRequest> {
  const method = (await filledIn(settings.method, context)).trim().toUpperCase() || "GET";
  const url = withQuery((await filledIn(settings.url, context)).trim(), await pairsOf(settings.query_params, context));
  const given = settings.body === undefined ? null : await filledIn(settings.body, context);
  const body = given === null || given === "" || BODILESS.has(method) ? null : given;
  const headers: Record<string, string> = body === null ? {} : { "content-type": "application/json" };
  for (const [name, value] of await pairsOf(settings.headers, context)) headers[name.toLowerCase()] = value;
  const key = settings.signing_key === undefined ? "" : await filledIn(settings.signing_key, context);
  if (key !== "") headers["x-knock-signature"] = signatureOf(key, body ?? "", context.now);
  return { method, url, headers, body, timeoutMs: TIMEOUT_MS };
}

/** As event webhooks are signed: over the time and the body as it is sent. */
function signatureOf(key: string, body: string, now: Millis): string {
  const sum = createHmac("sha256", key).update(`${now}.${body}`).digest("base64");
  return `t=${now},s=${sum}`;
}

function withQuery(url: string, pairs: readonly (readonly [string, string])[]): string {
  if (pairs.length === 0) return url;
  const parsed = URL.parse(url);
  // What is no address is refused by who sends it, in better words.
  if (parsed === null) return url;
  for (const [name, value] of pairs) parsed.searchParams.append(name, value);
  return parsed.href;
}

type Pairs = FetchStep["settings"]["headers"];

/** A list of keys and values, each with its Liquid filled in; or a text that comes to an object or such a list as JSON. */
async function pairsOf(given: Pairs, context: StepContext): Promise<readonly (readonly [string, string])[]> {
  if (given === undefined) return [];
  if (typeof given === "string") return pairsIn(await filledIn(given, context));
  const pairs: [string, string][] = [];
  for (const { key, value } of given) pairs.push([await filledIn(key, context), await filledIn(value, context)]);
  return pairs.filter(([key]) => key !== "" && key !== "__proto__");
}

function pairsIn(text: string): readonly (readonly [string, string])[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [];
  }
  const entries: readonly (readonly [unknown, unknown])[] = Array.isArray(value)
    ? value.filter(isObject).map(({ key, value }) => [key, value])
    : isObject(value)
      ? Object.entries(value)
      : [];
  return entries.flatMap(([key, of]) =>
    typeof key === "string" && key !== "" && key !== "__proto__" && of !== null && of !== undefined
      ? [[key, typeof of === "string" ? of : JSON.stringify(of)] as const]
      : [],
  );
}
