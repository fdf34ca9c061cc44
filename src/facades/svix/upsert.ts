/** PUT: replaces what the path names, or makes a new one. */
import { Refusal } from "../../engine/refusal.ts";
import { SvixError } from "./errors.ts";

/**
 * Of any number of calls at once that would make the same, one does, and the others replace what it made.
 * @param replace gives null when there is nothing to replace. It may be asked twice.
 * @throws what `create` throws, also when the uid of the body is taken by something else than the path names.
 */
export async function replaceOrCreate<T>(
  replace: () => Promise<T | null>,
  create: () => Promise<T>,
): Promise<{ readonly value: T; readonly isNew: boolean }> {
  const replaced = await replace();
  if (replaced !== null) return { value: replaced, isNew: false };
  try {
    return { value: await create(), isNew: true };
  } catch (error) {
    // Another call may have made it in this very moment.
    const theirs = isConflict(error) ? await replace() : null;
    if (theirs === null) throw error;
    return { value: theirs, isNew: false };
  }
}

function isConflict(error: unknown): boolean {
  return (
    (error instanceof Refusal && error.code === "conflict") || (error instanceof SvixError && error.status === 409)
  );
}
