/** The port through which a try at an endpoint goes out. Implemented in channels/webhook/app-endpoint.ts. */
import type { Millis } from "../../lib/clock.ts";

export interface EndpointRequest {
  /** May carry a user name and password: they become an `Authorization`, unless the headers have one. */
  readonly url: string;
  readonly method: "POST" | "PUT" | "PATCH";
  /** Sent as they are spelled. `content-type` and `user-agent` may be given and win over the usual ones. */
  readonly headers: { readonly [name: string]: string };
  /** Sent byte for byte. */
  readonly body: string;
  /** For everything: waiting for a connection, connecting, sending, and reading the answer. */
  readonly timeoutMs: Millis;
  readonly signal?: AbortSignal;
}

export interface EndpointAnswer {
  /** 0 when there was no answer. */
  readonly statusCode: number;
  /**
   * The beginning of the body, at most 20,000 bytes of it: text if it is UTF-8, otherwise base64. Without an answer,
   * why there is none.
   */
  readonly response: string;
  /** In the order of their first arrival; null without an answer. */
  readonly responseHeaders: readonly (readonly [string, string])[] | null;
  /** All that was sent, what we added ourselves included; what only frames the message is not in it. */
  readonly sentHeaders: { readonly [name: string]: string };
  /** How long the receiver asks to be left alone from now on; null when it did not say. */
  readonly retryAfterMs: Millis | null;
  /** The time was over before the receiver's status came. */
  readonly timedOut: boolean;
  /** The caller's signal ended it before the receiver's status came: the receiver may or may not have the message. */
  readonly aborted: boolean;
  /** Wall time of the whole exchange, a quick repetition included. */
  readonly durationMs: Millis;
  /** The receiver does not want this message, whatever else it answered. */
  readonly abortMessage: boolean;
  /** The receiver wants no messages at this endpoint any more. */
  readonly disableEndpoint: boolean;
}

export interface EndpointHttp {
  /**
   * Makes one try. Never rejects. Redirects are answers and are not followed. A connection that fails within a second,
   * before a byte of an answer, is tried once more at once: that is still the same try.
   */
  exchange(request: EndpointRequest): Promise<EndpointAnswer>;
}
