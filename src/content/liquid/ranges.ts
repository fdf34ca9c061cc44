/**
 * Ranges such as `(1..5)`. The library fills a list by counting up, which never ends where numbers are so large that one
 * more is the same; so we read a range as a filter of ours, `1 | range_to: 5`, which counts the items first.
 */
import { Tokenizer } from "liquidjs";
import { RenderError } from "../../engine/ports.ts";
import type { Filter } from "./filters/filter.ts";
import { numberOf } from "./values.ts";

const MAX_ITEMS = 100_000;

export const rangeTo: Filter = (from, [to], { budget }) => {
  const low = Math.trunc(numberOf(from));
  const high = Math.trunc(numberOf(to));
  if (!Number.isSafeInteger(low) || !Number.isSafeInteger(high) || high - low >= MAX_ITEMS) {
    throw new RenderError(`a range has at most ${MAX_ITEMS.toLocaleString("en")} numbers`, { cause: "limit" });
  }
  const count = Math.max(0, high - low + 1);
  budget.use(count);
  return Array.from({ length: count }, (_, i) => low + i);
};

/**
 * The library makes its tokenizers itself, in a dozen places, so the one way to change how they read is the class they
 * all are of. Nothing else in this process uses the library.
 */
export function readRangesAsFilters(operators: ConstructorParameters<typeof Tokenizer>[1]): void {
  const read = Tokenizer.prototype.readGroupOrRange;
  Tokenizer.prototype.readGroupOrRange = function (this: Tokenizer) {
    const token = read.call(this);
    if (token === undefined || !("lhs" in token)) return token;
    const text = `${token.lhs.getText()} | range_to: ${token.rhs.getText()}`;
    return new Tokenizer(text, operators).readFilteredValue();
  };
}
