import assert from "node:assert/strict";
import { test } from "node:test";
import type { BranchStep, ChannelStep, Place, Step } from "./model.ts";
import { after, into, standing } from "./places.ts";

function channel(ref: string): ChannelStep {
  return { type: "channel", ref, channel_type: "in_app_feed", channel_key: "in-app", template: {} };
}

function branch(ref: string, branches: readonly { steps: readonly Step[]; terminates?: boolean }[]): BranchStep {
  return { type: "branch", ref, branches: branches.map((each) => ({ conditions: null, ...each })) };
}

function refAt(steps: readonly Step[], place: Place): string {
  const found = standing(steps, place);
  return found.kind === "end" ? "end" : found.step.ref;
}

const steps: readonly Step[] = [
  channel("a"),
  branch("b", [
    { steps: [channel("b0"), branch("inner", [{ steps: [channel("deep")] }])] },
    { steps: [channel("b1")], terminates: true },
    { steps: [] },
  ]),
  channel("c"),
];

test("a run goes through a branch and on behind it", () => {
  assert.equal(refAt(steps, [0]), "a");
  assert.equal(refAt(steps, after([0])), "b");
  assert.equal(refAt(steps, into([1], 0)), "b0");
  assert.equal(refAt(steps, [1, 0, 1]), "inner");
  assert.equal(refAt(steps, into([1, 0, 1], 0)), "deep");
  assert.equal(refAt(steps, after([1, 0, 1, 0, 0])), "c");
  assert.equal(refAt(steps, [3]), "end");
});

test("a branch that ends everything is the end of the run", () => {
  assert.equal(refAt(steps, into([1], 1)), "b1");
  assert.equal(refAt(steps, after([1, 1, 0])), "end");
});

test("an empty branch is passed over, and a place that does not exist is the end", () => {
  assert.equal(refAt(steps, into([1], 2)), "c");
  assert.equal(refAt(steps, into([0], 4)), "end");
});
