/**
 * Runs a rendering. The Liquid library writes renderings as generators that yield other generators, and promises of what
 * has to be looked up. We drive them ourselves: on a stack of our own, so that nesting cannot exhaust the real one; under a
 * budget, so that nothing runs for long; and in one turn when nothing is looked up.
 */
import { RenderError } from "../../engine/ports.ts";
import type { Budget } from "./budget.ts";

/** A piece of a rendering: yields what it waits for (other pieces, promises), returns what it made. */
export type Steps<T> = Generator<unknown, T, unknown>;

/** A promise was rejected: whoever was asked could not answer, and no template can help it. */
export class LookUpFailure extends Error {
  override name = "LookUpFailure";
}

/** Deeper than any template a person writes; each level is a few hundred bytes. */
const MAX_DEPTH = 10_000;

/** @returns a value when no promise was met, else a promise of it. Throws, or rejects, with what the pieces throw. */
export function drive<T>(root: Steps<T>, budget: Budget): T | Promise<T> {
  const stack: Iterator<unknown, unknown, unknown>[] = [root];
  const first = turn(stack, budget, { value: undefined });
  return first.done ? (first.value as T) : (wait(stack, budget, first.promise) as Promise<T>);
}

type Turn =
  | { readonly done: true; readonly value: unknown }
  | { readonly done: false; readonly promise: Promise<unknown> };

/** What the piece on top of the stack gets: a value, or an error to handle. */
type Input = { readonly value: unknown } | { readonly error: unknown };

async function wait(stack: Iterator<unknown>[], budget: Budget, promise: Promise<unknown>): Promise<unknown> {
  let waitFor = promise;
  for (;;) {
    let input: Input;
    try {
      input = { value: await waitFor };
    } catch (error) {
      input = { error: new LookUpFailure("a look-up failed", { cause: error }) };
    }
    const next = turn(stack, budget, input);
    if (next.done) return next.value;
    waitFor = next.promise;
  }
}

function turn(stack: Iterator<unknown, unknown, unknown>[], budget: Budget, first: Input): Turn {
  budget.resume();
  try {
    let input = first;
    for (;;) {
      const top = stack.at(-1) as Iterator<unknown, unknown, unknown>;
      let state: IteratorResult<unknown, unknown>;
      try {
        if ("error" in input) state = top.throw?.(input.error) ?? { done: true, value: undefined };
        else {
          budget.step();
          state = top.next(input.value);
        }
      } catch (error) {
        stack.pop();
        // Pieces below may know where in the text it happened, and add that.
        if (stack.length === 0) throw error;
        input = { error };
        continue;
      }
      const value = state.value;
      if (state.done) stack.pop();
      if (isIterator(value)) {
        if (stack.length >= MAX_DEPTH) input = { error: new RenderError("the template is nested too deeply") };
        else {
          stack.push(value);
          input = { value: undefined };
        }
        continue;
      }
      if (value instanceof Promise) {
        // A piece that returns a promise is off the stack already; there has to be one that gets the result.
        if (stack.length === 0) stack.push(handingOn());
        return { done: false, promise: value };
      }
      if (stack.length === 0) return { done: true, value };
      input = { value };
    }
  } finally {
    budget.pause();
  }
}

/** A piece that returns what it is given. */
function handingOn(): Steps<unknown> {
  const piece = (function* (): Steps<unknown> {
    return yield;
  })();
  piece.next();
  return piece;
}

function isIterator(value: unknown): value is Iterator<unknown, unknown, unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as { next?: unknown }).next === "function" &&
    typeof (value as { throw?: unknown }).throw === "function"
  );
}
