/** Headers that an endpoint is sent with every message: which there may be, and which are nobody's business. */
import { isSensitive } from "../../engine/webhooks/sensitive-headers.ts";
import type { Fields } from "./wire.ts";

export interface Headers {
  readonly [name: string]: string;
}

const MAX_VALUE_BYTES = 4_096;
/** Receivers commonly refuse more than 8 to 16 kB of headers; the count alone must not get near that. */
const MAX_HEADERS = 100;
const TOKEN = /^[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,256}$/;
const VALUE = /^[\t\x20-\x7e]*$/;

const FORBIDDEN: ReadonlySet<string> = new Set([
  "user-agent",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailers",
  "transfer-encoding",
  "upgrade",
  "age",
  "cache-control",
  "clear-site-data",
  "expires",
  "pragma",
  "warning",
  "content-length",
  "content-type",
  "content-encoding",
  "content-language",
  "content-location",
  // Of the connection and the message's frame, which are ours to make: the HTTP client would leave them out.
  "connection",
  "expect",
  "host",
  "proxy-connection",
  "trailer",
]);

const FORBIDDEN_PREFIXES = [
  "x-amz-",
  "x-amzn-",
  "x-google",
  "x-goog-",
  "x-gfe",
  "x-azure-",
  "x-fd-",
  "x-svix-",
  "svix-",
  "webhook-",
];

/** The headers with the values that may be shown, and the names of the others. */
export function showHeaders(headers: Headers): { readonly headers: Headers; readonly sensitive: readonly string[] } {
  const names = Object.keys(headers);
  return {
    headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !isSensitive(name))),
    sensitive: names.filter(isSensitive),
  };
}

/** A whole set of headers. */
export function readHeaders(f: Fields, field: string): Headers {
  const headers = f.textMap(field);
  checkHeaders(f, field, headers);
  return headers;
}

/** What is to change in a set of headers; null takes one away. */
export function readHeadersPatch(f: Fields, field: string): { readonly [name: string]: string | null } {
  const patch = f.patchMap(field);
  checkHeaders(f, field, patch);
  return patch;
}

function checkHeaders(f: Fields, field: string, headers: { readonly [name: string]: string | null }): void {
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    const wrong = seen.has(lower) ? "The same header is there twice" : value === null ? null : fault(lower, value);
    if (wrong !== null) f.issue([field, name], wrong);
    seen.add(lower);
  }
  if (seen.size > MAX_HEADERS) f.issue([field], `Expected at most ${MAX_HEADERS} headers, got ${seen.size}`);
}

function fault(lower: string, value: string): string | null {
  if (!TOKEN.test(lower)) return "Expected the name of an HTTP header";
  if (FORBIDDEN.has(lower) || FORBIDDEN_PREFIXES.some((prefix) => lower.startsWith(prefix))) {
    return "This header cannot be set";
  }
  if (value.length > MAX_VALUE_BYTES) return `Expected a value of at most ${MAX_VALUE_BYTES} bytes`;
  return VALUE.test(value) ? null : "Expected a value of printable ASCII characters";
}

/**
 * Lays changes over headers. Names know no case: a header that is set anew has the name as it is written now.
 * @returns `null` when that would be too many.
 */
export function patchedHeaders(
  headers: Headers,
  patch: { readonly [name: string]: string | null },
  deleted: readonly string[],
): Headers | null {
  const touched = new Set([...Object.keys(patch), ...deleted].map((name) => name.toLowerCase()));
  const after = Object.fromEntries([
    ...Object.entries(headers).filter(([name]) => !touched.has(name.toLowerCase())),
    ...Object.entries(patch).filter((entry): entry is [string, string] => entry[1] !== null),
  ]);
  return Object.keys(after).length > MAX_HEADERS ? null : after;
}
