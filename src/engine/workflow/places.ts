/** Finding one's way through the steps of a workflow and their branches. Pure. */
import type { Place, Step } from "./model.ts";

/** Branches inside each other; what is deeper is not done. */
export const MAX_DEPTH = 5;

export const FIRST_PLACE: Place = [0];

/** Where a run stands: before a step, or at its end. */
export type Standing = { readonly kind: "step"; readonly step: Step; readonly place: Place } | { readonly kind: "end" };

/** The step at the place. Behind the last one of a branch the run goes on after it, unless the branch ends everything. */
export function standing(steps: readonly Step[], place: Place): Standing {
  let at = place;
  for (;;) {
    const step = stepAt(steps, at);
    if (step !== null) return { kind: "step", step, place: at };
    if (at.length < 3) return { kind: "end" };
    const outer = at.slice(0, -2);
    const parent = stepAt(steps, outer);
    const branch = parent === null ? undefined : branchesOf(parent)[at.at(-2) as number];
    if (branch === undefined || branch.terminates === true) return { kind: "end" };
    at = after(outer);
  }
}

/** The place behind the step at this one. */
export function after(place: Place): Place {
  return place.with(-1, (place.at(-1) as number) + 1);
}

/** The first place in a branch of the step at this place. */
export function into(place: Place, branch: number): Place {
  return [...place, branch, 0];
}

export function depthOf(place: Place): number {
  return (place.length - 1) / 2;
}

export function branchesOf(step: Step): readonly { readonly steps: readonly Step[]; readonly terminates?: boolean }[] {
  if (step.type === "branch") return step.branches;
  return step.type === "random_cohort" ? step.cohort_branches : [];
}

function stepAt(steps: readonly Step[], place: Place): Step | null {
  let list = steps;
  for (let i = 0; i < place.length; i += 2) {
    const step = list[place[i] as number];
    if (step === undefined || i === place.length - 1) return step ?? null;
    list = branchesOf(step)[place[i + 1] as number]?.steps ?? [];
  }
  return null;
}
