import type { Dispatcher, Pool } from "undici";
import type { Clock, Millis } from "../lib/clock.ts";
import { AddressRefused } from "./network-guard.ts";

/** Names are lower-case; a header that came several times is an array. */
export interface AnswerHeaders {
  readonly [name: string]: string | readonly string[] | undefined;
}

export type OutboundResult =
  /**
   * The receiver's status arrived. `truncated` says that the body did not arrive whole: too long, too slow or cut off.
   * Redirects are answers like any other.
   */
  | {
      readonly kind: "answered";
      readonly status: number;
      readonly headers: AnswerHeaders;
      readonly body: Buffer;
      readonly truncated: boolean;
      readonly durationMs: Millis;
    }
  /** Our policy forbids the request, or it cannot be written as HTTP. Another try cannot help. */
  | { readonly kind: "refused"; readonly reason: string; readonly durationMs: Millis }
  | { readonly kind: "unreachable"; readonly reason: string; readonly durationMs: Millis };

export interface Origin {
  readonly pool: Pool;
  inFlight: number;
}

/** One request under way: collects the answer within its bounds of time and bytes. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #origin: Origin;
  readonly #clock: Clock;
  readonly #startedAt: Millis;
  readonly #maxBodyBytes: number;
  readonly #signal: AbortSignal | undefined;
  readonly #resolve: (result: OutboundResult) => void;
  readonly #callOffDeadline: () => void;
  readonly #onAbort = (): void => this.#giveUp("given up");
  #controller: Dispatcher.DispatchController | null = null;
  #status = 0;
  #headers: AnswerHeaders = {};
  #chunks: Buffer[] = [];
  #bodyBytes = 0;
  #settled = false;
  #released = false;

  constructor(
    origin: Origin,
    clock: Clock,
    startedAt: Millis,
    timeoutMs: Millis,
    maxBodyBytes: number,
    signal: AbortSignal | undefined,
    resolve: (result: OutboundResult) => void,
  ) {
    this.#origin = origin;
    this.#clock = clock;
    this.#startedAt = startedAt;
    this.#maxBodyBytes = maxBodyBytes;
    this.#signal = signal;
    this.#resolve = resolve;
    origin.inFlight++;
    this.#callOffDeadline = clock.wakeAt(startedAt + timeoutMs, () => this.#giveUp(`no answer within ${timeoutMs} ms`));
    signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#settled) controller.abort(new Error("given up while waiting for a connection"));
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: AnswerHeaders): void {
    if (status < 200) return;
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return;
    const room = this.#maxBodyBytes - this.#bodyBytes;
    this.#chunks.push(chunk.length > room ? chunk.subarray(0, room) : chunk);
    this.#bodyBytes += Math.min(chunk.length, room);
    if (chunk.length <= room) return;
    this.#answer(true);
    controller.abort(new Error("the answer is longer than we read"));
  }

  onResponseEnd(): void {
    this.#answer(false);
    this.#release();
  }

  onResponseError(_: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#status !== 0) this.#answer(true);
    else if (error instanceof AddressRefused) {
      this.#settle({ kind: "refused", reason: error.message, durationMs: this.#durationMs() });
    } else this.#settle({ kind: "unreachable", reason: describe(error), durationMs: this.#durationMs() });
    this.#release();
  }

  #giveUp(reason: string): void {
    if (this.#status !== 0) this.#answer(true);
    else this.#settle({ kind: "unreachable", reason, durationMs: this.#durationMs() });
    this.#controller?.abort(new Error(reason));
  }

  #answer(truncated: boolean): void {
    this.#settle({
      kind: "answered",
      status: this.#status,
      headers: this.#headers,
      body: this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks),
      truncated,
      durationMs: this.#durationMs(),
    });
  }

  #settle(result: OutboundResult): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#callOffDeadline();
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#chunks = [];
    this.#resolve(result);
  }

  /** The connection, or the place in the line for one, is free again: not before undici is done with the request. */
  #release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#origin.inFlight--;
  }

  #durationMs(): Millis {
    return this.#clock.now() - this.#startedAt;
  }
}

function describe(error: Error & { code?: unknown }): string {
  // When all addresses of a name fail, Node's error has a code and no message.
  const text = error.message === "" ? error.code : error.message;
  return typeof text === "string" ? text : "the connection failed";
}
