/** Refusals in Courier's words: status, `{message, type}`, and the headers by which its SDK decides to try again. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { Refusal, type RefusalCode } from "../../engine/refusal.ts";
import { asRefusal, STATUS_BY_CODE, shownText } from "../../http/refusals.ts";

export interface CourierError {
  readonly status: number;
  readonly body: { readonly message: string; readonly type: string };
  readonly headers: { readonly [name: string]: string };
}

/** Pure, so that the sockets and GraphQL can say the same thing in their own way. */
export function toCourierError(error: unknown): CourierError {
  const refusal = asRefusal(error);
  if (refusal === null) return { status: 500, body: { message: "Internal error", type: "api_error" }, headers: {} };
  const headers: Record<string, string> = {};
  // The SDK tries every 409 and 5xx again unless told not to.
  if (refusal.code === "conflict" || refusal.code === "not_implemented") headers["x-should-retry"] = "false";
  const retryAfterMs = refusal.retryAfterMs ?? RETRY_AFTER_MS[refusal.code];
  if (retryAfterMs !== undefined) {
    headers["retry-after"] = String(Math.ceil(retryAfterMs / 1000));
    headers["retry-after-ms"] = String(Math.ceil(retryAfterMs));
  }
  return {
    status: STATUS_BY_CODE[refusal.code],
    body: { message: messageOf(refusal), type: TYPE_BY_CODE[refusal.code] },
    headers,
  };
}

/** For a `setErrorHandler`; errors that are no one's fault but ours are logged here, once, and nowhere else. */
export function answerCourierError(log: Logger, error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const { status, body, headers } = toCourierError(error);
  if (status === 500) log.error({ err: error, requestId: request.id, route: request.routeOptions.url }, "http.failed");
  reply.headers(headers).code(status).send(body);
}

/** Registers both handlers on a scope of the facade's own. */
export function addCourierErrors(app: FastifyInstance, log: Logger): void {
  app.setErrorHandler((error, request, reply) => answerCourierError(log, error, request, reply));
}

/** Thrown by resources: `notFound("List", "acme.news")` says "List acme.news not found". */
export function notFound(thing: string, id: string): Refusal {
  return new Refusal("not_found", `${thing} ${id} not found`);
}

/**
 * What the content language says of `content…`, told of where the caller put that content: under `message`, under
 * `notification`.
 */
export function under(parent: string, refusal: Refusal): Refusal {
  const { field, message } = refusal;
  if (field === undefined) return new Refusal(refusal.code, message, { field: `${parent}.content`, cause: refusal });
  const named = message.startsWith(field) ? `${parent}.${message}` : message;
  return new Refusal(refusal.code, named, { field: `${parent}.${field}`, cause: refusal });
}

/** Courier names the field first; a message that names it already is left alone. */
function messageOf(refusal: Refusal): string {
  const message = refusal.message === "" ? refusal.code : refusal.message;
  const named = refusal.field === undefined || message.startsWith(refusal.field);
  return shownText(named ? message : `${refusal.field}: ${message}`);
}

const TYPE_BY_CODE: { readonly [code in RefusalCode]: string } = {
  invalid: "invalid_request_error",
  unauthenticated: "authentication_error",
  forbidden: "authorization_error",
  not_found: "invalid_request_error",
  conflict: "invalid_request_error",
  busy: "invalid_request_error",
  too_large: "invalid_request_error",
  too_many: "rate_limit_error",
  not_implemented: "api_error",
  unavailable: "api_error",
};

const RETRY_AFTER_MS: { readonly [code in RefusalCode]?: number } = { busy: 250, too_many: 1_000, unavailable: 1_000 };
