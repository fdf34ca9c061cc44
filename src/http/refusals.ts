/** What Fastify and the JSON parser complain of, said in the engine's words, so that each facade maps one thing only. */
import type { FastifyError } from "fastify";
import { Refusal, type RefusalCode } from "../engine/refusal.ts";

/**
 * @returns the refusal if the error is the caller's mistake or a known condition; null when it is a fault of ours,
 *   which is to be logged and answered with a bare 500.
 */
export function asRefusal(error: unknown): Refusal | null {
  if (error instanceof Refusal) return error;
  if (!(error instanceof Error)) return null;
  const { statusCode, code, validation } = error as Partial<FastifyError>;
  if (validation !== undefined) return new Refusal("invalid", error.message, { cause: error });
  // A parameter that no id can be; the router has no other way to say so.
  if (code === "FST_ERR_MAX_PARAM_LENGTH")
    return new Refusal("invalid", "A path segment is too long", { cause: error });
  if (typeof statusCode !== "number" || statusCode < 400 || statusCode >= 500) {
    return statusCode === 503 ? new Refusal("unavailable", error.message, { cause: error }) : null;
  }
  return new Refusal(CODE_BY_STATUS[statusCode] ?? "invalid", error.message, { cause: error });
}

/** Longest message of a refusal that goes out, in UTF-16 units: messages quote what came, and that may be megabytes. */
const MAX_SHOWN_LENGTH = 2_000;

/** A refusal's text as callers get it. Applied where the answer is written, so that no check has to think of it. */
export function shownText(text: string): string {
  return text.length <= MAX_SHOWN_LENGTH ? text : `${text.slice(0, MAX_SHOWN_LENGTH).toWellFormed()}…`;
}

const CODE_BY_STATUS: { readonly [status: number]: RefusalCode } = {
  401: "unauthenticated",
  403: "forbidden",
  404: "not_found",
  409: "conflict",
  413: "too_large",
  429: "too_many",
};

/** The status every vendor gives a refusal of this kind; facades override where theirs differs. */
export const STATUS_BY_CODE: { readonly [code in RefusalCode]: number } = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  busy: 409,
  too_large: 413,
  too_many: 429,
  not_implemented: 501,
  unavailable: 503,
};
