/** Refusals in this vendor's words: a number in the envelope, which is not always the status of HTTP. */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { Refusal, type RefusalCode } from "../../engine/refusal.ts";
import { asRefusal, shownText } from "../../http/refusals.ts";
import type { Json } from "../../lib/json.ts";

/** Something wrong with the call as a whole: its body, its path, its method. */
export class CallError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "CallError";
    this.status = status;
  }
}

/** Thrown by methods: a field at fault. */
export function invalid(field: string, message: string): Refusal {
  return new Refusal("invalid", `${field}: ${message}`, { field });
}

/** Clients of this vendor take 200 with 210 for every ordinary refusal, and repeat what is answered with 429 or 5xx. */
const ARGUMENT_ERROR = 210;
const STATUS: { readonly [code in RefusalCode]: number } = {
  invalid: ARGUMENT_ERROR,
  not_found: ARGUMENT_ERROR,
  conflict: ARGUMENT_ERROR,
  unauthenticated: 401,
  forbidden: 403,
  too_large: 413,
  too_many: 429,
  not_implemented: 501,
  busy: 503,
  unavailable: 503,
};

/** The whole envelope, for success. */
export function envelope(response: Json): string {
  return `{"status_code":200,"status_message":"OK","response":${JSON.stringify(response)}}`;
}

/**
 * Answers a call that failed; what is no one's fault but ours is logged here, once, and nowhere else.
 * @param response what stands in the envelope beside the code.
 */
export function answerError(
  log: Logger,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  response: Json,
): void {
  const { status, message, retryAfterMs } = failureOf(error);
  if (status === 500) log.error({ err: error, requestId: request.id, route: request.routeOptions.url }, "http.failed");
  if (retryAfterMs !== undefined) reply.header("retry-after", Math.ceil(retryAfterMs / 1000));
  reply
    .code(status === ARGUMENT_ERROR ? 200 : status)
    .type("application/json; charset=utf-8")
    .send(JSON.stringify({ status_code: status, status_message: shownText(message), response }));
}

function failureOf(error: unknown): { status: number; message: string; retryAfterMs?: number | undefined } {
  if (error instanceof CallError) return { status: error.status, message: error.message };
  const refusal = asRefusal(error);
  if (refusal === null) return { status: 500, message: "Internal error" };
  // What the parser complains of is the body's fault and not that of one of its fields.
  const ours = error instanceof Refusal;
  const status = ours || refusal.code !== "invalid" ? STATUS[refusal.code] : 400;
  return { status, message: refusal.message || refusal.code, retryAfterMs: refusal.retryAfterMs };
}
