import { type Dispatcher, errors } from "undici";
import type { Clock, Millis } from "../lib/clock.ts";
import type { Connection, Passenger, Ride } from "./connections.ts";
import type { Mortal } from "./deadlines.ts";
import { AddressRefused } from "./network-guard.ts";

/** Names are lower-case; a header that came several times is an array. */
export interface AnswerHeaders {
  readonly [name: string]: string | readonly string[] | undefined;
}

export type OutboundResult =
  /** The receiver's status arrived. Redirects are answers like any other. */
  | {
      readonly kind: "answered";
      readonly status: number;
      readonly headers: AnswerHeaders;
      readonly body: Buffer;
      /** The body did not arrive whole: too long, too slow or cut off. */
      readonly truncated: boolean;
      /** Why it did not, unless it was only longer than we read. */
      readonly brokenOff: string | null;
      readonly durationMs: Millis;
    }
  /** Our policy forbids the request, or it cannot be written as HTTP. Another try cannot help. */
  | { readonly kind: "refused"; readonly reason: string; readonly durationMs: Millis }
  | {
      readonly kind: "unreachable";
      readonly reason: string;
      /**
       * `connection`: there was none, or it ended before a byte of an answer; `answer`: what came was not, or not
       * entirely, the head of an answer; `no-room`: too much is under way already, and nothing was tried.
       */
      readonly why: "connection" | "answer" | "deadline" | "given-up" | "no-room";
      readonly durationMs: Millis;
    };

/** What an exchange ends by, and who wants to hear of it. */
export interface Terms {
  readonly clock: Clock;
  readonly startedAt: Millis;
  readonly timeoutMs: Millis;
  readonly maxBodyBytes: number;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (result: OutboundResult) => void;
  /** Called once, when the result is known. */
  readonly owner: { settled(exchange: Exchange): void };
}

/** One request under way: collects the answer within its bounds of time and bytes. */
export class Exchange implements Passenger, Mortal {
  readonly options: Dispatcher.DispatchOptions;
  readonly ride: Ride;
  readonly terms: Terms;
  readonly deadlineAt: Millis;
  #connection: Connection | null = null;
  #hasAnswerBegun = false;
  #status = 0;
  #headers: AnswerHeaders = {};
  #chunks: Buffer[] = [];
  #bodyBytes = 0;
  #settled = false;

  constructor(options: Dispatcher.DispatchOptions, ride: Ride, terms: Terms) {
    this.options = options;
    this.ride = ride;
    this.terms = terms;
    this.deadlineAt = terms.startedAt + terms.timeoutMs;
  }

  board(connection: Connection): void {
    this.#connection = connection;
  }

  onRequestStart(): void {}

  /** undici calls it with the first byte of an answer. */
  onResponseStarted(): void {
    this.#hasAnswerBegun = true;
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: AnswerHeaders): void {
    if (status < 200) return;
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return;
    const room = this.terms.maxBodyBytes - this.#bodyBytes;
    this.#chunks.push(chunk.length > room ? chunk.subarray(0, room) : chunk);
    this.#bodyBytes += Math.min(chunk.length, room);
    if (chunk.length <= room) return;
    this.#answer(true, null);
    this.#connection?.end();
  }

  onResponseEnd(): void {
    // First, so that the connection is free when the caller comes back with the next request.
    this.#connection?.release();
    this.#answer(false, null);
  }

  onResponseError(_: Dispatcher.DispatchController | null, error: Error): void {
    const why = this.#hasAnswerBegun || error instanceof errors.HTTPParserError ? "answer" : "connection";
    if (this.#status !== 0) this.#answer(true, describe(error));
    else if (error instanceof AddressRefused) {
      this.#settle({ kind: "refused", reason: error.message, durationMs: this.#durationMs() });
    } else if (error instanceof errors.InvalidArgumentError) {
      this.#settle({ kind: "refused", reason: `undici: ${error.message}`, durationMs: this.#durationMs() });
    } else this.#settle({ kind: "unreachable", reason: describe(error), why, durationMs: this.#durationMs() });
    this.#connection?.end();
  }

  expire(): void {
    this.giveUp("deadline", `no answer within ${this.terms.timeoutMs} ms`);
  }

  /** Ends it now, wherever it is. */
  giveUp(why: "deadline" | "given-up" | "no-room", reason: string): void {
    if (this.#status !== 0) this.#answer(true, reason);
    else this.#settle({ kind: "unreachable", reason, why, durationMs: this.#durationMs() });
    this.#connection?.end();
  }

  #answer(truncated: boolean, brokenOff: string | null): void {
    this.#settle({
      kind: "answered",
      status: this.#status,
      headers: this.#headers,
      body: this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks),
      truncated,
      brokenOff,
      durationMs: this.#durationMs(),
    });
  }

  #settle(result: OutboundResult): void {
    if (this.#settled) return;
    this.#settled = true;
    this.terms.owner.settled(this);
    this.#chunks = [];
    this.terms.resolve(result);
  }

  #durationMs(): Millis {
    return this.terms.clock.now() - this.terms.startedAt;
  }
}

function describe(error: Error & { code?: unknown }): string {
  // When all addresses of a name fail, Node's error has a code and no message.
  const text = error.message === "" ? error.code : error.message;
  return typeof text === "string" ? text : "the connection failed";
}
