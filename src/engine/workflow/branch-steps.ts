/** Steps that choose which way a run goes. */
import { cohortOf } from "./cohorts.ts";
import { isPath } from "./condition-values.ts";
import { type BranchStep, type CohortStep, partyKey } from "./model.ts";
import { resolvePath } from "./paths.ts";
import { depthOf, MAX_DEPTH } from "./places.ts";
import { failing, filledIn, type StepContext, type StepOutcome } from "./step.ts";

/** The first branch whose conditions hold; one without conditions always does. */
export async function branchStep(step: BranchStep, context: StepContext): Promise<StepOutcome> {
  if (depthOf(context.state.place) >= MAX_DEPTH) return { kind: "skipped", reason: "too_deep", isFault: true };
  for (const [i, branch] of step.branches.entries()) {
    if (branch.conditions === null || (await failing(branch.conditions, context)).length === 0) {
      return { kind: "enter", branch: i };
    }
  }
  return { kind: "skipped", reason: "conditions" };
}

export async function cohortStep(step: CohortStep, context: StepContext): Promise<StepOutcome> {
  if (depthOf(context.state.place) >= MAX_DEPTH) return { kind: "skipped", reason: "too_deep", isFault: true };
  const key = await keyText(step.cohort_key, context);
  const percentages = step.cohort_branches.map(({ percentage }) => percentage);
  return { kind: "enter", branch: cohortOf(key ?? recipientKey(context), step.ref, percentages) };
}

function recipientKey({ run }: StepContext): string {
  return partyKey(run.cast.recipient.party);
}

/**
 * What tells the runs apart that a step keeps apart: Liquid, a path such as `data.page`, or `page`, which means the same.
 * @returns null when the author gave no key.
 */
export async function keyText(key: string | undefined, context: StepContext): Promise<string | null> {
  if (key === undefined || key.trim() === "") return null;
  if (/\{[{%]/.test(key)) return (await filledIn(key, context)).trim();
  const path = isPath(key.trim()) ? key.trim() : `data.${key.trim()}`;
  const { data, recipient, actor, tenant, vars, workflow } = context.scope;
  const value = resolvePath({ data, recipient, actor, tenant, vars, workflow }, path);
  return typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
}
