import { isIP } from "node:net";
import { buildConnector, type Dispatcher, Pool } from "undici";
import type { Clock, Millis } from "../lib/clock.ts";
import { Exchange, type Origin, type OutboundResult } from "./http-exchange.ts";
import { AddressRefused, type NetworkGuard } from "./network-guard.ts";

export interface OutboundRequest {
  readonly method: string;
  readonly url: string;
  /** Headers that frame the message or name the host are ours; given ones of that kind are left out. */
  readonly headers?: { readonly [name: string]: string };
  /** Sent byte for byte. */
  readonly body?: string | Uint8Array | null;
  readonly signal?: AbortSignal;
  /** For everything: waiting for a connection, connecting, sending, and reading the answer. */
  readonly timeoutMs?: Millis;
  /** More of the answer's body than this is not read. */
  readonly maxBodyBytes?: number;
}

export interface OutboundLimits {
  readonly timeoutMs: Millis;
  readonly connectTimeoutMs: Millis;
  readonly maxBodyBytes: number;
  /** Of the answer. */
  readonly maxHeaderBytes: number;
  readonly connectionsPerOrigin: number;
  /** Requests to one origin, those waiting for a connection included. More are answered as unreachable. */
  readonly inFlightPerOrigin: number;
  /** Origins with open connections or requests under way. */
  readonly maxOrigins: number;
}

const DEFAULT_LIMITS: OutboundLimits = {
  timeoutMs: 15_000,
  connectTimeoutMs: 5_000,
  maxBodyBytes: 64 * 1024,
  maxHeaderBytes: 16 * 1024,
  connectionsPerOrigin: 32,
  inFlightPerOrigin: 1_024,
  maxOrigins: 2_048,
};

const MAX_URL_LENGTH = 8_192;
const MAX_REQUEST_HEADER_BYTES = 32 * 1024;
/** A connection that never idles would otherwise keep to an address that the name left long ago. */
const CONNECTION_LIFE_MS = 5 * 60_000;
const LONGEST_KEEP_ALIVE_MS = 30_000;

const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const METHOD = /^[A-Z]{1,20}$/;
const OWN_HEADERS = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/**
 * The one way out for HTTP requests whose address somebody else chose. Speaks only http and https, connects only to
 * addresses that the guard has checked, and never follows a redirect. Connections are kept per origin and reused: they
 * lead to an address that was checked when they were opened, whatever the name points to by now.
 */
export class OutboundHttp {
  readonly #guard: NetworkGuard;
  readonly #clock: Clock;
  readonly #limits: OutboundLimits;
  readonly #connector: buildConnector.connector;
  readonly #origins = new Map<string, Origin>();
  #closed = false;

  constructor({
    guard,
    clock,
    limits = {},
    tls = {},
  }: {
    readonly guard: NetworkGuard;
    readonly clock: Clock;
    readonly limits?: Partial<OutboundLimits>;
    /** Certificates to trust beside the well-known ones. */
    readonly tls?: { readonly ca?: string };
  }) {
    this.#guard = guard;
    this.#clock = clock;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    const open = buildConnector({
      ...tls,
      lookup: guard.lookup,
      autoSelectFamily: true,
      timeout: this.#limits.connectTimeoutMs,
    });
    this.#connector = (options, callback) => {
      const objection = this.#objectionToLiteral(options.hostname);
      if (objection !== null) callback(new AddressRefused(objection), null);
      else open(options, callback);
    };
  }

  /** Makes one request. Never rejects; whatever happens is in the result. */
  request(request: OutboundRequest): Promise<OutboundResult> {
    const startedAt = this.#clock.now();
    const url = this.#check(request.url);
    if (typeof url === "string") return Promise.resolve({ kind: "refused", reason: url, durationMs: 0 });
    const headers = frame(request);
    if (typeof headers === "string") return Promise.resolve({ kind: "refused", reason: headers, durationMs: 0 });
    const origin = this.#originFor(url.origin);
    if (typeof origin === "string") return Promise.resolve({ kind: "unreachable", reason: origin, durationMs: 0 });
    if (request.signal?.aborted) {
      return Promise.resolve({ kind: "unreachable", reason: "given up before it began", durationMs: 0 });
    }
    return new Promise((resolve) => {
      const exchange = new Exchange(
        origin,
        this.#clock,
        startedAt,
        request.timeoutMs ?? this.#limits.timeoutMs,
        request.maxBodyBytes ?? this.#limits.maxBodyBytes,
        request.signal,
        resolve,
      );
      try {
        origin.pool.dispatch(
          {
            origin: url.origin,
            path: url.pathname + url.search,
            // `frame` has checked it; undici's type lists only the well-known ones.
            method: request.method as Dispatcher.HttpMethod,
            headers,
            body: request.body ?? null,
          },
          exchange,
        );
      } catch (error) {
        exchange.onResponseError(null, error as Error);
      }
    });
  }

  /** @returns why a URL can never be requested, null when that is not known before its name is resolved. */
  objection(url: string): string | null {
    const checked = this.#check(url);
    return typeof checked === "string" ? checked : null;
  }

  /** Ends at once: what is still under way is answered as unreachable. */
  async close(): Promise<void> {
    this.#closed = true;
    const pools = [...this.#origins.values()].map((origin) => origin.pool);
    this.#origins.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  /** @returns the parsed URL, or the reason to refuse it. */
  #check(text: string): URL | string {
    if (text.length > MAX_URL_LENGTH) return `the URL is longer than ${MAX_URL_LENGTH} characters`;
    const url = URL.parse(text);
    if (url === null) return "the URL cannot be parsed";
    if (url.protocol !== "https:" && url.protocol !== "http:") return `expected http or https, got ${url.protocol}`;
    if (url.username !== "" || url.password !== "") return "the URL must not contain a user name or password";
    // The parser has turned every spelling of an IPv4 address (hex, octal, one number) into four decimal parts.
    return this.#objectionToLiteral(url.hostname) ?? url;
  }

  #objectionToLiteral(hostname: string): string | null {
    const host = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
    return isIP(host) === 0 ? null : this.#guard.objection(host);
  }

  /** @returns the reason when there is no room for another origin or another request to it. */
  #originFor(key: string): Origin | string {
    if (this.#closed) return "the server is stopping";
    const known = this.#origins.get(key);
    if (known !== undefined) {
      return known.inFlight < this.#limits.inFlightPerOrigin
        ? known
        : `${known.inFlight} requests to this host are already under way`;
    }
    if (this.#origins.size >= this.#limits.maxOrigins && !this.#dropIdleOrigin()) {
      return `requests to ${this.#origins.size} other hosts are already under way`;
    }
    const origin: Origin = {
      pool: new Pool(key, {
        connect: this.#connector,
        connections: this.#limits.connectionsPerOrigin,
        pipelining: 1,
        keepAliveMaxTimeout: LONGEST_KEEP_ALIVE_MS,
        clientTtl: CONNECTION_LIFE_MS,
        maxHeaderSize: this.#limits.maxHeaderBytes,
        // The exchange's own deadline covers both, and does not start anew with every byte.
        headersTimeout: 0,
        bodyTimeout: 0,
      }),
      inFlight: 0,
    };
    this.#origins.set(key, origin);
    return origin;
  }

  #dropIdleOrigin(): boolean {
    for (const [key, origin] of this.#origins) {
      if (origin.inFlight > 0) continue;
      this.#origins.delete(key);
      // Nothing is under way in it, so nothing can be lost; destroying it cannot fail in a way anyone could mend.
      origin.pool.destroy().catch(() => {});
      return true;
    }
    return false;
  }
}

/** @returns names and values in turn as undici takes them, or why the request cannot be written as HTTP. */
function frame(request: OutboundRequest): string[] | string {
  if (!METHOD.test(request.method)) return `${JSON.stringify(request.method)} is not an HTTP method`;
  const out: string[] = [];
  let bytes = 0;
  let hasAgent = false;
  for (const [name, value] of Object.entries(request.headers ?? {})) {
    const lower = name.toLowerCase();
    if (OWN_HEADERS.has(lower)) continue;
    if (!HEADER_NAME.test(name)) return `${JSON.stringify(name)} is not the name of a header`;
    if (!HEADER_VALUE.test(value)) return `the header ${name} has characters that HTTP does not allow`;
    bytes += name.length + value.length;
    if (bytes > MAX_REQUEST_HEADER_BYTES) return `the headers are longer than ${MAX_REQUEST_HEADER_BYTES} bytes`;
    if (lower === "user-agent") hasAgent = true;
    out.push(name, value);
  }
  if (!hasAgent) out.push("user-agent", "carillon");
  return out;
}
