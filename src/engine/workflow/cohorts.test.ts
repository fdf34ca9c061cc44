import assert from "node:assert/strict";
import { test } from "node:test";
import { cohortOf } from "./cohorts.ts";

test("the same key is in the same cohort of a step each time", () => {
  for (const key of ["u1", "", "naïve\u0000", "\ud800"]) {
    assert.equal(cohortOf(key, "split", [50, 50]), cohortOf(key, "split", [50, 50]));
  }
});

test("cohorts are as large as their percentages, and those of two steps independent", () => {
  const counts = [0, 0, 0, 0];
  let both = 0;
  for (let index = 0; index < 20_000; index++) {
    const cohort = cohortOf(`user-${index}`, "a", [10, 0, 30, 60]);
    counts[cohort] = (counts[cohort] ?? 0) + 1;
    if (cohort === 3 && cohortOf(`user-${index}`, "b", [10, 0, 30, 60]) === 3) both++;
  }
  for (const [index, share] of [0.1, 0, 0.3, 0.6].entries()) {
    assert.ok(Math.abs((counts[index] ?? 0) / 20_000 - share) < 0.02, `cohort ${index}: ${counts[index]}`);
  }
  assert.ok(Math.abs(both / 20_000 - 0.36) < 0.02);
});

test("weights that do not add up to 100 still divide everybody", () => {
  assert.equal(cohortOf("u1", "a", [0, 0.001, 0]), 1);
  assert.equal(cohortOf("u1", "a", [0, 0]), 0);
});
