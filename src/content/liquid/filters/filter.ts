/** What a filter of ours is: a function of plain values that pays for what it does. */
import type { Budget } from "../budget.ts";
import type { TemplateContext } from "../context.ts";

export interface Call {
  readonly context: TemplateContext;
  readonly budget: Budget;
  /** Arguments with names: `t: name: value`. */
  readonly named: { readonly [name: string]: unknown };
}

/**
 * @param value as the expression came to; null for what is not there. Never a wrapper of the library's.
 * @returns a value, a promise or a generator of one.
 */
export type Filter = (value: unknown, args: readonly unknown[], call: Call) => unknown;

export interface Filters {
  readonly [name: string]: Filter;
}
