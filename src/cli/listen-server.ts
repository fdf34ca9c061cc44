/** The server's side of `carillon listen`, as admin/listen.ts answers it. */
import { request } from "undici";
import type { JsonObject } from "../lib/json.ts";
import { isObject } from "../lib/json.ts";
import type { ListenOptions } from "./listen-options.ts";

export interface HeardMessage {
  readonly id: string;
  readonly event_id: string | null;
  readonly event_type: string;
  readonly channels: readonly string[] | null;
  readonly payload: string | null;
  readonly raw: string | null;
  readonly parameters: JsonObject | null;
  readonly deliver_at: string | null;
  readonly created_at: string;
}

/** How far was listened; the server's own business. */
export type Place = JsonObject;

export interface Opened {
  readonly app: { readonly id: string; readonly uid: string | null; readonly name: string };
  readonly place: Place;
}

export interface Heard {
  readonly items: readonly HeardMessage[];
  readonly place: Place;
  readonly header_names: "both" | "svix" | "standard";
}

/** The server does not want us, and will not when asked again. */
export class Refused extends Error {
  override name = "Refused";
}

/** The server cannot be reached, or not just now. */
export class Unreachable extends Error {
  override name = "Unreachable";
}

/** How long the server may hold an answer back; less than proxies usually allow. */
const WAIT_MS = 25_000;
/** Without an answer by then, the connection is a dead one. */
const GIVE_UP_MS = WAIT_MS + 15_000;

type Target = Pick<ListenOptions, "server" | "key" | "events" | "channels">;

/** @throws Refused or Unreachable; whatever `signal` was aborted with. */
export async function openListening(target: Target, app: string | null, signal: AbortSignal): Promise<Opened> {
  return (await call(target, "/admin/listen", { ...(app === null ? {} : { app }) }, signal)) as unknown as Opened;
}

/** Waits some seconds for messages. @throws as `openListening`. */
export async function nextMessages(target: Target, app: string, place: Place, signal: AbortSignal): Promise<Heard> {
  const body = { app, place, wait_ms: WAIT_MS };
  return (await call(target, "/admin/listen/messages", body, signal)) as unknown as Heard;
}

async function call(target: Target, path: string, body: JsonObject, signal: AbortSignal): Promise<JsonObject> {
  const { server, key, events, channels } = target;
  const filter = {
    ...(events === null ? {} : { event_types: events }),
    ...(channels === null ? {} : { channels }),
  };
  let status: number;
  let text: string;
  try {
    // Not `fetch`, which refuses some ports as unfit for browsers.
    const response = await request(server + path, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ ...body, ...filter }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(GIVE_UP_MS)]),
    });
    status = response.statusCode;
    text = await response.body.text();
  } catch (error) {
    signal.throwIfAborted();
    throw new Unreachable(reasonOf(error), { cause: error });
  }
  const answer = objectIn(text);
  if (status === 200 && answer !== null) return answer;
  throw failure(status, answer, server);
}

function failure(status: number, answer: JsonObject | null, server: string): Error {
  const message = typeof answer?.message === "string" ? answer.message : "";
  if (status === 429 || status >= 500) return new Unreachable(`it answered ${status}${message && `: ${message}`}`);
  if (status === 401) return new Refused(`${server} does not know this secret key`);
  // Ours always says why.
  if (message === "") return new Refused(`${server} answers like something else than Carillon (status ${status})`);
  if (status === 404 && message.startsWith("There is no POST")) {
    return new Refused(`${server} does not know \`carillon listen\`: it is older than this program`);
  }
  return new Refused(message.replace(/^app: /, ""));
}

function objectIn(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** The first cause: what wraps it says less. */
export function reasonOf(error: unknown): string {
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  if (!(cause instanceof Error)) return String(cause);
  if (cause.name === "TimeoutError") return "no answer in time";
  const { code } = cause as NodeJS.ErrnoException;
  // Of several addresses of a name, each failed in its own way; the message is empty then.
  if (code !== undefined && !cause.message.includes(code))
    return cause.message === "" ? code : `${cause.message} (${code})`;
  return cause.message;
}
