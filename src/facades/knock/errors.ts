/** What went wrong, in Knock's words: `{code, message, status, type}`, with `errors` beside them on a 422. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import type { RefusalCode } from "../../engine/refusal.ts";
import { asRefusal, STATUS_BY_CODE, shownText } from "../../http/refusals.ts";

/** One field at fault. `field` is a path such as `steps[0].template.markdown_body`; `""` means the body as a whole. */
export interface FieldError {
  readonly field: string;
  readonly type: string;
  readonly message: string;
}

/** A refusal that has a code of the vendor's own; others are thrown as `Refusal`. */
export class KnockError extends Error {
  readonly code: string;
  readonly status: number;
  readonly errors: readonly FieldError[] | undefined;

  constructor(code: string, status: number, message: string, errors?: readonly FieldError[]) {
    super(message);
    this.name = "KnockError";
    this.code = code;
    this.status = status;
    this.errors = errors;
  }
}

export const INVALID = "invalid_params";

/** Answered as 422 with all of them. */
export function invalidParams(errors: readonly FieldError[], code = INVALID): KnockError {
  const text = errors.map(({ field, message }) => (field === "" ? message : `${field}: ${message}`)).join("; ");
  return new KnockError(code, 422, text, errors);
}

export function invalid(field: string, message: string, type = "invalid"): KnockError {
  return invalidParams([{ field, type, message }]);
}

/** `missing("User", "u1")`: there is none. */
export function missing(thing: string, id?: string): KnockError {
  const named = id === undefined ? thing : `${thing} ${JSON.stringify(id)}`;
  return new KnockError("resource_missing", 404, `${named} was not found`);
}

/** The credential is good, but not for this: another's user, a grant that is not there. */
export function notAuthorized(message: string): KnockError {
  return new KnockError("authorization", 403, message);
}

export function notImplemented(what: string): KnockError {
  return new KnockError("not_implemented", 501, `${what} is not implemented by this server`);
}

export interface ErrorAnswer {
  readonly status: number;
  readonly body: {
    readonly code: string;
    readonly message: string;
    readonly status: number;
    readonly type: string;
    readonly errors?: readonly FieldError[];
  };
  readonly headers: { readonly [name: string]: string };
}

/** Of more than so many fields at fault the first are told. */
const MAX_ERRORS = 100;
const MAX_MESSAGE = 2_000;
/** For refusals that pass by themselves and do not say when. */
const RETRY_AFTER_MS: { readonly [code in RefusalCode]?: number } = { busy: 250, too_many: 1_000, unavailable: 1_000 };

/** Pure. Anything that is nobody's fault but ours is a bare 500. */
export function errorAnswer(error: unknown): ErrorAnswer {
  if (error instanceof KnockError) return answer(error.status, error.code, error.message, error.errors);
  const refusal = asRefusal(error);
  if (refusal === null) return answer(500, "internal_server_error", "Internal error");
  const { code, field, message } = refusal;
  const errors = field === undefined ? undefined : [{ field, type: "invalid", message: withoutField(message, field) }];
  const told = answer(STATUS[code] ?? STATUS_BY_CODE[code], CODE[code], message === "" ? code : message, errors);
  const retryAfterMs = refusal.retryAfterMs ?? RETRY_AFTER_MS[code];
  if (retryAfterMs === undefined) return told;
  // Seconds for all; one SDK also reads milliseconds, and comes back no later than it has to.
  const waits = { "retry-after": String(Math.ceil(retryAfterMs / 1000)), "retry-after-ms": String(retryAfterMs) };
  return { ...told, headers: { ...told.headers, ...waits } };
}

function answer(status: number, code: string, message: string, errors?: readonly FieldError[]): ErrorAnswer {
  const shown = (errors ?? []).slice(0, MAX_ERRORS).map(({ field, type, message: text }) => ({
    field: shownText(field),
    type,
    message: shownText(text),
  }));
  const type = status === 401 ? "authentication_error" : status < 500 ? "invalid_request_error" : "api_error";
  return {
    status,
    body: {
      code,
      message: message.length > MAX_MESSAGE ? shownText(message) : message,
      status,
      type,
      ...(status === 422 ? { errors: shown } : {}),
    },
    // The Node SDK tries every 409 and 5xx again unless told not to.
    headers: status === 501 || status === 409 ? { "x-should-retry": "false" } : {},
  };
}

/** Messages of refusals name their field first; here it stands beside them. */
function withoutField(message: string, field: string): string {
  return message.startsWith(`${field}: `) ? message.slice(field.length + 2) : message;
}

const CODE: { readonly [code in RefusalCode]: string } = {
  invalid: INVALID,
  unauthenticated: "authentication_required",
  forbidden: "authorization",
  not_found: "resource_missing",
  conflict: INVALID,
  busy: "unavailable",
  too_large: "request_too_large",
  too_many: "rate_limited",
  not_implemented: "not_implemented",
  unavailable: "unavailable",
};

/** SDKs repeat 408, 409 and 429 by themselves, so nothing that stays as it is may be answered with these. */
const STATUS: { readonly [code in RefusalCode]?: number } = { invalid: 422, conflict: 422, busy: 503 };

/** The answer to a URL that the router cannot read, such as one with `%zz`; null when it is not of this facade. */
export function knockUnroutable(error: unknown, url: string): ErrorAnswer | null {
  return url.startsWith("/v1/") ? errorAnswer(error) : null;
}

/** Errors that are no one's fault but ours are logged here, once, and nowhere else. */
export function addKnockErrors(scope: FastifyInstance, log: Logger): void {
  scope.setErrorHandler((error, request: FastifyRequest, reply: FastifyReply) => {
    const { status, body, headers } = errorAnswer(error);
    if (status === 500) {
      log.error({ err: error, requestId: request.id, route: request.routeOptions.url }, "http.failed");
    }
    // The type is set, because a handler that failed may have announced another.
    reply.headers(headers).code(status).type("application/json; charset=utf-8").send(body);
  });
}
