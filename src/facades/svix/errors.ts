/** What went wrong, in Svix's two shapes: `{code, detail}`, and for what fails to validate `{detail: [{loc, msg, type}]}`. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import type { Refusal, RefusalCode } from "../../engine/refusal.ts";
import { asRefusal, STATUS_BY_CODE, shownText } from "../../http/refusals.ts";

/** Answered as `{code, detail}`. */
export class SvixError extends Error {
  readonly status: number;
  readonly code: string;
  readonly detail: string;

  constructor(status: number, code: string, detail: string) {
    super(detail);
    this.name = "SvixError";
    this.status = status;
    this.code = code;
    this.detail = detail;
  }
}

export interface Issue {
  /** `body` or `query`, then property names as they are on the wire; places in lists as `[0]`. */
  readonly loc: readonly string[];
  readonly msg: string;
  readonly type: string;
}

/** Answered as 422 with all issues. */
export class Invalid extends Error {
  readonly issues: readonly Issue[];

  constructor(issues: readonly Issue[]) {
    super(issues.map(({ loc, msg }) => `${loc.join(".")}: ${msg}`).join("; "));
    this.name = "Invalid";
    this.issues = issues;
  }
}

export const VALUE_ERROR = "value_error";
/** Of what is no JSON, or JSON of another type than expected. */
export const JSON_ERROR = "value_error.jsondecode";

export function invalid(loc: readonly string[], msg: string, type: string = VALUE_ERROR): Invalid {
  return new Invalid([{ loc, msg, type }]);
}

export function notFound(detail = "Entity not found"): SvixError {
  return new SvixError(404, "not_found", detail);
}

export function conflict(detail: string, code = "conflict"): SvixError {
  return new SvixError(409, code, detail);
}

/** @param code one of A.6: `invalid_range`, `limit_reached`, `missing_payload`, `invalid_scheme`, … */
export function badRequest(detail: string, code = "generic_error"): SvixError {
  return new SvixError(400, code, detail);
}

export function unauthenticated(detail = "Invalid token"): SvixError {
  return new SvixError(401, "authentication_failed", detail);
}

export function insufficientAccess(detail = "This token may not make this call"): SvixError {
  return new SvixError(403, "insufficient access", detail);
}

export interface ErrorAnswer {
  readonly status: number;
  readonly body: { readonly code: string; readonly detail: string } | { readonly detail: readonly Issue[] };
  readonly retryAfterMs?: number | undefined;
}

/** Pure. Anything that is nobody's fault but ours is a bare 500. */
export function errorAnswer(error: unknown): ErrorAnswer {
  if (error instanceof SvixError) {
    return { status: error.status, body: { code: error.code, detail: shownText(error.detail) } };
  }
  if (error instanceof Invalid) return listed(error.issues);
  const refusal = asRefusal(error);
  if (refusal === null) return { status: 500, body: { code: "server_error", detail: "Internal error" } };
  return answerOf(refusal);
}

function answerOf(refusal: Refusal): ErrorAnswer {
  const { code, field, message, retryAfterMs } = refusal;
  if (code === "invalid") {
    if (field === "limit_reached") return { status: 400, body: { code: field, detail: shownText(message) } };
    if (field !== undefined) {
      return listed([{ loc: ["body", ...field.split(".")], msg: message, type: VALUE_ERROR }]);
    }
  }
  return {
    // The SDKs repeat a call by themselves only after a 5xx.
    status: code === "busy" ? 503 : STATUS_BY_CODE[code],
    body: { code: CODE[code], detail: shownText(code === "not_found" ? "Entity not found" : message || code) },
    retryAfterMs,
  };
}

/** The answer to a URL that the router cannot read, such as one with `%zz`; null when it is not below `prefixes`. */
export function unroutableAnswer(error: unknown, url: string, prefixes: readonly string[]): ErrorAnswer | null {
  return prefixes.some((prefix) => url.startsWith(`${prefix}/`)) ? errorAnswer(error) : null;
}

const MAX_ISSUES = 100;

function listed(issues: readonly Issue[]): ErrorAnswer {
  const detail = issues
    .slice(0, MAX_ISSUES)
    .map(({ loc, msg, type }) => ({ loc: loc.map(shownText), msg: shownText(msg), type }));
  return { status: 422, body: { detail } };
}

const CODE: { readonly [code in RefusalCode]: string } = {
  invalid: "generic_error",
  unauthenticated: "authentication_failed",
  forbidden: "insufficient access",
  not_found: "not_found",
  conflict: "conflict",
  busy: "unavailable",
  too_large: "payload_too_large",
  too_many: "too_many_requests",
  not_implemented: "not_implemented",
  unavailable: "unavailable",
};

/** Errors that are no one's fault but ours are logged here, once, and nowhere else. */
export function addSvixErrors(scope: FastifyInstance, log: Logger): void {
  scope.setErrorHandler((error, request: FastifyRequest, reply: FastifyReply) => {
    const { status, body, retryAfterMs } = errorAnswer(error);
    if (status === 500) {
      log.error({ err: error, requestId: request.id, route: request.routeOptions.url }, "http.failed");
    }
    if (retryAfterMs !== undefined) reply.header("retry-after", Math.ceil(retryAfterMs / 1000));
    // Set, because a handler that failed may have announced another type.
    reply.code(status).type("application/json; charset=utf-8").send(body);
  });
}
