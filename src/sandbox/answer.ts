/** From the text that came out of the sandbox to what is to be sent, or to the reason why not. Nothing in it is trusted. */
import type { TransformationInput, TransformationOutput } from "../engine/webhooks/webhooks.ts";
import { isObject } from "../lib/json.ts";

export type Ran =
  | { readonly kind: "done"; readonly output: TransformationOutput }
  | { readonly kind: "failed"; readonly reason: string };

const METHODS = ["POST", "PUT", "PATCH"] as const;
const MAX_URL_LENGTH = 65_536;
const MAX_HEADERS = 100;
const MAX_HEADER_BYTES = 4_096;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}$/;
/** Printable, tabs and what HTTP calls obs-text: never a line break or NUL. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** They say where a message ends and who may read it, or are the sender's word for it. */
const RESERVED =
  /^(host|connection|content-length|content-encoding|transfer-encoding|te|trailers?|upgrade|keep-alive|expect|proxy-.*|svix-.*|webhook-.*|__proto__)$/i;

/** What the code leaves out stays as it was. */
export function readAnswer(text: string, input: TransformationInput, maxBytes: number): Ran {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return failed("the answer of handler cannot be read");
  }
  if (!isObject(answer)) return failed("the answer of handler cannot be read");
  if (answer.returned !== undefined) {
    return failed(`handler must return an object, not ${String(answer.returned).slice(0, 20)}`);
  }

  const method = METHODS.find((known) => known === (answer.method ?? input.method));
  if (method === undefined) return failed(`method must be POST, PUT or PATCH, not ${shown(answer.method)}`);
  const url = answer.url ?? input.url;
  if (typeof url !== "string" || url.length > MAX_URL_LENGTH || !isWebAddress(url)) {
    return failed(`url must be an http or https address, not ${shown(url)}`);
  }
  const given = answer.payload === undefined ? input.payload : answer.payload;
  if (typeof given !== "string") return failed(`payload must be an object or text, not ${shown(given)}`);
  // Half a surrogate pair cannot be written as UTF-8; what is signed must be what is sent.
  const payload = given.toWellFormed();
  if (answer.payload !== undefined && Buffer.byteLength(payload) > maxBytes) {
    return failed(`payload is larger than ${maxBytes} bytes`);
  }
  const headers = readHeaders(answer.headers ?? {});
  if (typeof headers === "string") return failed(headers);
  const cancel = answer.cancel ?? false;
  if (typeof cancel !== "boolean") return failed(`cancel must be true or false, not ${shown(cancel)}`);
  return { kind: "done", output: { method, url, payload, headers, cancel } };
}

function readHeaders(given: unknown): { readonly [name: string]: string } | string {
  if (!isObject(given)) return `headers must be an object of texts, not ${shown(given)}`;
  const entries = Object.entries(given);
  if (entries.length > MAX_HEADERS) return `headers must be at most ${MAX_HEADERS}, not ${entries.length}`;
  for (const [name, value] of entries) {
    if (!TOKEN.test(name)) return `headers has a name that HTTP does not allow: ${shown(name)}`;
    if (RESERVED.test(name)) return `headers must not name ${name.toLowerCase()}`;
    if (typeof value !== "string") return `headers.${name} must be text, not ${shown(value)}`;
    if (value.length > MAX_HEADER_BYTES) return `headers.${name} is longer than ${MAX_HEADER_BYTES} bytes`;
    if (!HEADER_VALUE.test(value)) return `headers.${name} has characters that HTTP does not allow`;
  }
  return Object.fromEntries(entries as [string, string][]);
}

function isWebAddress(url: string): boolean {
  const parsed = URL.parse(url);
  return parsed !== null && (parsed.protocol === "https:" || parsed.protocol === "http:");
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "nothing").slice(0, 100);
}

function failed(reason: string): Ran {
  return { kind: "failed", reason };
}
