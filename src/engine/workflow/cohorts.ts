/** Which of several branches somebody is in, at random but always the same one. */
import { createHash } from "node:crypto";

/**
 * @param key what is divided into cohorts, for example a recipient's id; the same key is in the same cohort of a step each time.
 * @param ref the step's, so that the cohorts of different steps have nothing to do with each other.
 * @param percentages of the branches; taken as weights, should they not add up to 100.
 * @returns the index of the branch; the last one with a weight when all the rest are passed.
 */
export function cohortOf(key: string, ref: string, percentages: readonly number[]): number {
  const total = percentages.reduce((sum, weight) => sum + Math.max(0, weight), 0);
  // The length keeps (`a`, `bc`) and (`ab`, `c`) apart whatever they consist of.
  const hash = createHash("sha256").update(`${ref.length}:${ref}${key}`).digest();
  const point = (hash.readUIntBE(0, 6) / 2 ** 48) * total;
  let passed = 0;
  let last = 0;
  for (const [index, weight] of percentages.entries()) {
    if (!(weight > 0)) continue;
    passed += weight;
    last = index;
    if (point < passed) return index;
  }
  return last;
}
