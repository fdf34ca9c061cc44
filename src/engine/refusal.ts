/** Why a caller's request is refused. A facade turns it into its vendor's status and body. */
export type RefusalCode =
  | "invalid"
  | "unauthenticated"
  | "forbidden"
  | "not_found"
  | "conflict"
  /** The same as `conflict`, but the caller should simply try again. */
  | "busy"
  | "too_large"
  | "too_many"
  | "not_implemented"
  /** Not the caller's fault: the database cannot be reached just now. */
  | "unavailable";

/**
 * The caller's mistake, or a condition the caller has to know of. The message says what was expected and what came;
 * it is shown to the caller.
 */
export class Refusal extends Error {
  readonly code: RefusalCode;
  /** Path of the field at fault, for example `message.routing.method`. */
  readonly field: string | undefined;
  /** In the text of that field, from 1. */
  readonly line: number | undefined;
  /** After how many milliseconds to try again, for `busy`, `too_many` and `unavailable`. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: RefusalCode,
    message: string,
    more: { field?: string; line?: number; retryAfterMs?: number; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = "Refusal";
    this.code = code;
    this.field = more.field;
    this.line = more.line;
    this.retryAfterMs = more.retryAfterMs;
  }
}

/** The database is away: nobody is to blame, and the same is worth trying later. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof Refusal && error.code === "unavailable";
}
