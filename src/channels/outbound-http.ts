import { isIP } from "node:net";
import { buildConnector, type Dispatcher } from "undici";
import type { Clock, Millis } from "../lib/clock.ts";
import { Lru } from "../lib/lru.ts";
import { type ConnectionLimits, Connections } from "./connections.ts";
import { Deadlines } from "./deadlines.ts";
import { Exchange, type OutboundResult } from "./http-exchange.ts";
import { AddressRefused, type NetworkGuard } from "./network-guard.ts";

export interface OutboundRequest {
  readonly method: string;
  readonly url: string;
  /** Headers that frame the message or name the host are ours; given ones of that kind are left out. */
  readonly headers?: { readonly [name: string]: string };
  /** Sent byte for byte. */
  readonly body?: string | Uint8Array | null;
  readonly signal?: AbortSignal | undefined;
  /** For everything: waiting for a connection, connecting, sending, and reading the answer. */
  readonly timeoutMs?: Millis;
  /** More of the answer's body than this is not read. */
  readonly maxBodyBytes?: number;
  /** False: it never waits for a connection that other requests are using, however many they are. */
  readonly mayWait?: boolean;
  /** True: it goes out on a new connection, whatever others are idle. */
  readonly fresh?: boolean;
}

/** What is more than they allow is answered as unreachable at once. */
export interface OutboundLimits extends ConnectionLimits {
  readonly timeoutMs: Millis;
  readonly connectTimeoutMs: Millis;
  readonly maxBodyBytes: number;
}

const DEFAULT_LIMITS: OutboundLimits = {
  timeoutMs: 15_000,
  connectTimeoutMs: 5_000,
  maxBodyBytes: 64 * 1024,
  maxHeaderBytes: 16 * 1024,
  connectionsPerOrigin: 32,
  inFlightPerOrigin: 1_024,
  maxConnections: 16_384,
  // One costs 13 kB, with TLS several times as much.
  maxIdleConnections: 4_096,
};

const MAX_URL_LENGTH = 8_192;
const MAX_REQUEST_HEADER_BYTES = 32 * 1024;
/** Parsing one costs 2 µs, and the same ones come again and again. */
const REMEMBERED_URLS = 10_000;
const LONGEST_REMEMBERED_URL = 1_024;

/** What is needed of a URL that was found good. */
interface Target {
  readonly origin: string;
  readonly path: string;
}

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
  readonly #connections: Connections;
  readonly #deadlines: Deadlines;
  readonly #urls = new Lru<string, Target>(REMEMBERED_URLS);
  /** Requests under way by the signal that would end them: one listener for all of them. */
  readonly #signals = new WeakMap<AbortSignal, Set<Exchange>>();
  readonly #owner = {
    settled: (exchange: Exchange): void => {
      const { signal, timeoutMs } = exchange.terms;
      this.#deadlines.remove(exchange, timeoutMs);
      if (signal !== undefined) this.#signals.get(signal)?.delete(exchange);
      this.#connections.leave(exchange);
    },
  };

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
    this.#deadlines = new Deadlines(clock);
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    const open = buildConnector({
      ...tls,
      lookup: guard.lookup,
      autoSelectFamily: true,
      timeout: this.#limits.connectTimeoutMs,
    });
    const connect: buildConnector.connector = (options, callback) => {
      const objection = this.#objectionToLiteral(options.hostname);
      if (objection !== null) callback(new AddressRefused(objection), null);
      else open(options, callback);
    };
    this.#connections = new Connections(connect, clock, this.#limits);
  }

  /** Makes one request. Never rejects; whatever happens is in the result. */
  request(request: OutboundRequest): Promise<OutboundResult> {
    const startedAt = this.#clock.now();
    const url = this.#check(request.url);
    if (typeof url === "string") return Promise.resolve({ kind: "refused", reason: url, durationMs: 0 });
    const headers = frame(request);
    if (typeof headers === "string") return Promise.resolve({ kind: "refused", reason: headers, durationMs: 0 });
    const { signal, timeoutMs = this.#limits.timeoutMs } = request;
    if (signal?.aborted) {
      const reason = "given up before it began";
      return Promise.resolve({ kind: "unreachable", reason, why: "given-up", durationMs: 0 });
    }
    return new Promise((resolve) => {
      const exchange = new Exchange(
        {
          origin: url.origin,
          path: url.path,
          // `frame` has checked it; undici's type lists only the well-known ones.
          method: request.method as Dispatcher.HttpMethod,
          headers,
          body: request.body ?? null,
        },
        { origin: url.origin, mayWait: request.mayWait !== false, fresh: request.fresh === true },
        {
          clock: this.#clock,
          startedAt,
          timeoutMs,
          maxBodyBytes: request.maxBodyBytes ?? this.#limits.maxBodyBytes,
          signal,
          resolve,
          owner: this.#owner,
        },
      );
      this.#deadlines.add(exchange, timeoutMs);
      if (signal !== undefined) this.#underSignal(signal).add(exchange);
      const objection = this.#connections.take(exchange);
      if (objection !== null) exchange.giveUp("no-room", objection);
    });
  }

  /** @returns why a URL can never be requested, null when that is not known before its name is resolved. */
  objection(url: string): string | null {
    const checked = this.#check(url);
    return typeof checked === "string" ? checked : null;
  }

  /** Ends at once: what is still under way is answered as unreachable. */
  async close(): Promise<void> {
    this.#connections.close();
  }

  /** @returns where the URL leads, or the reason to refuse it. */
  #check(text: string): Target | string {
    const known = this.#urls.get(text);
    if (known !== undefined) return known;
    if (text.length > MAX_URL_LENGTH) return `the URL is longer than ${MAX_URL_LENGTH} characters`;
    const url = URL.parse(text);
    if (url === null) return "the URL cannot be parsed";
    if (url.protocol !== "https:" && url.protocol !== "http:") return `expected http or https, got ${url.protocol}`;
    if (url.username !== "" || url.password !== "") return "the URL must not contain a user name or password";
    // The parser has turned every spelling of an IPv4 address (hex, octal, one number) into four decimal parts.
    const objection = this.#objectionToLiteral(url.hostname);
    if (objection !== null) return objection;
    const target = { origin: url.origin, path: url.pathname + url.search };
    if (text.length <= LONGEST_REMEMBERED_URL) this.#urls.set(text, target);
    return target;
  }

  #objectionToLiteral(hostname: string): string | null {
    const host = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
    return isIP(host) === 0 ? null : this.#guard.objection(host);
  }

  #underSignal(signal: AbortSignal): Set<Exchange> {
    let under = this.#signals.get(signal);
    if (under === undefined) {
      const all = new Set<Exchange>();
      signal.addEventListener("abort", () => {
        for (const exchange of all) exchange.giveUp("given-up", "given up");
      });
      this.#signals.set(signal, all);
      under = all;
    }
    return under;
  }
}

/** @returns names and values in turn as undici takes them, or why the request cannot be written as HTTP. */
function frame(request: OutboundRequest): string[] | string {
  if (!METHOD.test(request.method)) return `${JSON.stringify(request.method)} is not an HTTP method`;
  const { headers = {} } = request;
  const out: string[] = [];
  let bytes = 0;
  let hasAgent = false;
  for (const name of Object.keys(headers)) {
    const kind = kindOfHeader(name);
    if (kind === "ours") continue;
    if (kind === "invalid") return `${JSON.stringify(name)} is not the name of a header`;
    const value = headers[name] as string;
    if (!HEADER_VALUE.test(value)) return `the header ${name} has characters that HTTP does not allow`;
    bytes += name.length + value.length;
    if (bytes > MAX_REQUEST_HEADER_BYTES) return `the headers are longer than ${MAX_REQUEST_HEADER_BYTES} bytes`;
    if (kind === "agent") hasAgent = true;
    out.push(name, value);
  }
  if (!hasAgent) out.push("user-agent", "carillon");
  return out;
}

type HeaderKind = "plain" | "agent" | "ours" | "invalid";
/** By the name as it is spelled: the same few come with every request. */
const headerKinds = new Map<string, HeaderKind>();
const REMEMBERED_HEADERS = 1_000;
const LONGEST_REMEMBERED_HEADER = 128;

function kindOfHeader(name: string): HeaderKind {
  const known = headerKinds.get(name);
  if (known !== undefined) return known;
  const lower = name.toLowerCase();
  const plain = lower === "user-agent" ? "agent" : "plain";
  const kind = OWN_HEADERS.has(lower) ? "ours" : HEADER_NAME.test(name) ? plain : "invalid";
  if (headerKinds.size >= REMEMBERED_HEADERS) headerKinds.clear();
  if (name.length <= LONGEST_REMEMBERED_HEADER) headerKinds.set(name, kind);
  return kind;
}
