import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal } from "../refusal.ts";
import { checkConditionList, checkConditions } from "./condition-checks.ts";

const OK = { variable: "data.plan", operator: "equal_to", argument: "pro" };

function refused(value: unknown, field: string): void {
  assert.throws(
    () => checkConditions(value, "conditions"),
    (error) => error instanceof Refusal && error.code === "invalid" && error.field === field,
    `${JSON.stringify(value)?.slice(0, 200)} is refused at ${field}`,
  );
}

test("conditions are kept as they are, without what means nothing", () => {
  assert.equal(checkConditions(null, "c"), null);
  assert.equal(checkConditions({}, "c"), null);
  assert.equal(checkConditions([], "c"), null);
  assert.deepEqual(checkConditions({ all: [{ ...OK, id: 7 }], extra: 1 }, "c"), { all: [OK] });
  assert.deepEqual(checkConditions([OK], "c"), { all: [OK] });
  assert.deepEqual(checkConditions({ any: [OK, { all: [OK, OK] }] }, "c"), { any: [OK, { all: [OK, OK] }] });
  const bare = { variable: "data.plan", operator: "exists", argument: null };
  assert.deepEqual(checkConditionList([bare], "c"), [bare]);
});

test("a refusal names the field", () => {
  refused("x", "conditions");
  refused({ all: OK }, "conditions.all");
  refused({ all: [OK], any: [OK] }, "conditions");
  refused({ all: [OK, 7] }, "conditions.all[1]");
  refused({ all: [{ ...OK, operator: "resembles" }] }, "conditions.all[0].operator");
  refused({ all: [{ ...OK, operator: "constructor" }] }, "conditions.all[0].operator");
  refused({ all: [{ operator: "exists" }] }, "conditions.all[0].variable");
  refused({ any: [OK, { all: [OK, { ...OK, variable: "" }] }] }, "conditions.any[1].all[1].variable");
  refused({ all: [{ ...OK, argument: { a: 1 } }] }, "conditions.all[0].argument");
  refused({ all: [{ ...OK, argument: "$message.shredded" }] }, "conditions.all[0].argument");
  refused({ all: [{ ...OK, argument: "x".repeat(10_001) }] }, "conditions.all[0].argument");
  refused({ all: Array(101).fill(OK) }, "conditions.all");
  refused({ any: Array(3).fill({ all: Array(50).fill(OK) }) }, "conditions.any");
  refused([{ variable: "recipient", operator: "is_audience_member", argument: "" }], "conditions[0].argument");
});

test("times are checked as far as they can be", () => {
  const time = (operator: string, argument: unknown) => [{ variable: "data.at", operator, argument }];
  for (const argument of [
    "7 days ago",
    "in 15 minutes",
    "2026-01-01",
    '"2026-01-01"',
    "data.until",
    "{{ data.until }}",
  ]) {
    checkConditions(time("is_timestamp_before", argument), "conditions");
  }
  for (const argument of ["14 minutes ago", "soon", "", null, 7, ["2026-01-01"]]) {
    refused(time("is_timestamp_before", argument), "conditions[0].argument");
  }
  for (const argument of ['["2026-01-01","data.b"]', ["2026-01-01", "data.b"], "2026-01-01, data.b", "data.range"]) {
    checkConditions(time("is_timestamp_between", argument), "conditions");
  }
  for (const argument of ["2026-01-01", ["2026-01-01"], '["a","b"]', "[1", null]) {
    refused(time("is_timestamp_between", argument), "conditions[0].argument");
  }
  checkConditions(time("is_between", "[1,2]"), "conditions");
  refused(time("is_between", "1"), "conditions[0].argument");
  checkConditions(time("is_timestamp_before_now", undefined), "conditions");
});
