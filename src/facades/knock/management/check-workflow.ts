/** Whether what an author pushed is a workflow, and what it is then: as the engine runs it, and as it is shown again. */
import type {
  BranchStep,
  ChannelType,
  CohortStep,
  Conditions,
  Step,
  StepType,
  Workflow,
} from "../../../engine/workflow/model.ts";
import type { StepLanguage } from "../../../engine/workflow/ports.ts";
import type { Json, JsonObject } from "../../../lib/json.ts";
import { type FieldError, invalidParams } from "../errors.ts";
import { channelStep, type KnownChannels } from "./check-channel-step.ts";
import {
  batchSettings,
  type CheckLiquid,
  delaySettings,
  fetchSettings,
  throttleSettings,
  triggerSettings,
  updateDataSettings,
  updatePartySettings,
} from "./check-settings.ts";
import { cleaned, given, MAX_NAME, Reader } from "./reader.ts";
import { asDraft7, schemaFault } from "./trigger-schema.ts";

/** What a workflow is checked against. */
export interface WorkflowWorld extends KnownChannels {
  readonly language: Pick<StepLanguage, "checkTemplate" | "checkText">;
  /** @throws Refusal("invalid") with the field at fault. Null where nothing is asked. */
  checkConditions(value: Json | undefined, field: string): Conditions | null;
}

const MAX_DESCRIPTION = 280;
const MAX_STEPS = 500;
const MAX_BRANCHES = 10;
const MAX_DEPTH = 5;
/** Percentages may be thirds. */
const TOLERANCE = 0.05;
const REF = /^[A-Za-z0-9_-]{1,255}$/;
const STEP_TYPES = [
  "channel",
  "delay",
  "batch",
  "throttle",
  "http_fetch",
  "branch",
  "random_cohort",
  "trigger_workflow",
  "update_data",
  "update_user",
  "update_tenant",
  "update_object",
] as const satisfies readonly StepType[];
/** Steps of the vendor that this server does not do. */
const REFUSED: { readonly [type: string]: string } = {
  wait_for_event: "Steps that wait for an event are not supported by this server",
  ai_agent: "Steps of AI agents are not supported by this server",
  in_app_guide: "Guides are not sent by workflows",
};
const FREQUENCIES = ["every_trigger", "once_per_recipient", "once_per_recipient_per_tenant"] as const;

/**
 * @param source the object in the body's `workflow`; unknown fields are dropped, and steps without a ref get one.
 * @throws KnockError 422 with all faults, under paths such as `steps[0].template.markdown_body`.
 */
export function checkWorkflow(key: string, source: unknown, world: WorkflowWorld): Workflow {
  const errors: FieldError[] = [];
  const w = new Reader(cleaned(source, "workflow", errors, ["trigger_data_json_schema"]), "", errors);
  // What is no object, or has text that no database keeps, is not looked at further.
  if (errors.length > 0) throw invalidParams(errors);
  const check = new Check(world, errors, w.raw("steps"));
  const schemaGiven = w.object("trigger_data_json_schema");
  const schema = schemaGiven === undefined ? undefined : asDraft7(schemaGiven);
  const fault = schema === undefined ? null : schemaFault(schema, "trigger_data_json_schema");
  if (fault !== null) errors.push(fault);
  const settings = w.inside("settings");
  const workflow: Workflow = given({
    key,
    name: w.text("name", { max: MAX_NAME, required: true }) ?? "",
    description: w.filled("description", MAX_DESCRIPTION),
    categories: w.texts("categories", 100),
    tags: w.texts("tags", 100),
    conditions: check.conditions(w) ?? undefined,
    settings:
      settings === undefined
        ? undefined
        : given({
            is_commercial: settings.flag("is_commercial"),
            override_preferences: settings.flag("override_preferences"),
          }),
    trigger_data_json_schema: schema,
    trigger_frequency: w.oneOf("trigger_frequency", FREQUENCIES),
    steps: check.steps(w, "steps", 0) ?? [],
  });
  if (w.raw("steps") === undefined) w.required("steps");
  if (errors.length > 0) throw invalidParams(errors);
  return workflow;
}

class Check {
  readonly #world: WorkflowWorld;
  readonly #errors: FieldError[];
  /** Refs that steps have of their own, and those that were given out. */
  readonly #taken = new Set<string>();
  readonly #seen = new Set<string>();
  #count = 0;

  constructor(world: WorkflowWorld, errors: FieldError[], steps: Json | undefined) {
    this.#world = world;
    this.#errors = errors;
    this.#collectRefs(steps, 0);
  }

  steps(r: Reader, name: string, depth: number): readonly Step[] | undefined {
    return r.objects(name, { max: MAX_STEPS }, (s) => this.#step(s, depth));
  }

  conditions(r: Reader): Conditions | null {
    const value = r.raw("conditions");
    return value === undefined
      ? null
      : (r.try("conditions", () => this.#world.checkConditions(value, r.path("conditions"))) ?? null);
  }

  #step(s: Reader, depth: number): Step {
    // Told once, at the first step that is too many.
    if (++this.#count === MAX_STEPS + 1) s.error("", `Expected at most ${MAX_STEPS} steps in all`);
    if (this.#count > MAX_STEPS) return nothing(s);
    const word = s.required("type");
    const refused = typeof word === "string" && Object.hasOwn(REFUSED, word) ? REFUSED[word] : undefined;
    if (refused !== undefined) s.error("type", refused, "not_supported");
    const type = word === undefined || refused !== undefined ? undefined : s.oneOf("type", STEP_TYPES);
    if (type === undefined) return nothing(s);
    const step = this.#known(s, type, depth);
    return given({ ...step, name: s.filled("name", MAX_NAME), description: s.filled("description", 10_000) });
  }

  #known(s: Reader, type: StepType, depth: number): Step {
    const liquid = this.#liquid;
    if (type === "branch") return this.#branch(s, depth);
    if (type === "random_cohort") return this.#cohort(s, depth);
    const conditions = this.conditions(s) ?? undefined;
    if (type === "channel") {
      const rest = channelStep(s, this.#world, this.#template, liquid);
      return given({ type, ref: this.#ref(s, rest.channel_type), ...rest, conditions });
    }
    const ref = this.#ref(s, type);
    const settings = s.inside("settings") ?? new Reader({}, s.path("settings"), this.#errors);
    switch (type) {
      case "delay":
        return given({ type, ref, settings: delaySettings(settings), conditions });
      case "batch":
        if (conditions !== undefined) s.error("conditions", "A batch step has no conditions");
        return { type, ref, settings: batchSettings(settings, liquid) };
      case "throttle":
        return given({ type, ref, settings: throttleSettings(settings, liquid), conditions });
      case "http_fetch":
        return given({ type, ref, settings: fetchSettings(settings, liquid), conditions });
      case "trigger_workflow":
        return given({ type, ref, settings: triggerSettings(settings, liquid), conditions });
      case "update_data":
        return given({ type, ref, settings: updateDataSettings(settings, liquid), conditions });
      default:
        return given({ type, ref, settings: updatePartySettings(settings, type, liquid), conditions });
    }
  }

  #branch(s: Reader, depth: number): BranchStep {
    if (this.conditions(s) !== null) s.error("conditions", "A branch step has no conditions; its branches have");
    const ref = this.#ref(s, "branch");
    const count = (s.raw("branches") as readonly unknown[] | undefined)?.length ?? 0;
    let at = 0;
    const branches = this.#inside(s, depth, "branches", { min: 1 }, (b) => {
      const conditions = this.conditions(b);
      at++;
      if (conditions === null && at < count) b.error("conditions", "Only the last branch may have no conditions");
      return { name: b.filled("name", MAX_NAME), conditions, terminates: b.flag("terminates") };
    });
    return { type: "branch", ref, branches };
  }

  #cohort(s: Reader, depth: number): CohortStep {
    const conditions = this.conditions(s) ?? undefined;
    const ref = this.#ref(s, "random_cohort");
    const branches = this.#inside(s, depth, "cohort_branches", { min: 2 }, (b) => {
      const percentage = b.required("percentage") === undefined ? 0 : b.number("percentage", { min: 0, max: 100 });
      return { name: b.filled("name", MAX_NAME), percentage: percentage ?? 0, terminates: b.flag("terminates") };
    });
    const sum = branches.reduce((all, { percentage }) => all + percentage, 0);
    if (branches.length > 0 && Math.abs(sum - 100) > TOLERANCE) {
      s.error("cohort_branches", `Expected percentages that come to 100, got ${Number(sum.toFixed(2))}`);
    }
    const key = this.#liquid(s, "cohort_key", s.filled("cohort_key", 500));
    return given({ type: "random_cohort" as const, ref, cohort_key: key, cohort_branches: branches, conditions });
  }

  /** Branches of either kind, each with its steps. */
  #inside<T extends object>(
    s: Reader,
    depth: number,
    name: string,
    { min }: { readonly min: number },
    of: (branch: Reader) => T,
  ): readonly (T & { readonly steps: readonly Step[] })[] {
    if (depth >= MAX_DEPTH) {
      s.error("", `Expected branches at most ${MAX_DEPTH} levels deep`);
      return [];
    }
    return (
      s.objects(name, { min, max: MAX_BRANCHES, required: true }, (b) =>
        given({ ...of(b), steps: this.steps(b, "steps", depth + 1) ?? [] }),
      ) ?? []
    );
  }

  readonly #liquid: CheckLiquid = (reader, name, text) => {
    if (text !== undefined) reader.try(name, () => this.#world.language.checkText(text, reader.path(name)));
    return text;
  };

  readonly #template = (type: ChannelType, template: JsonObject, step: Reader): void => {
    try {
      this.#world.language.checkTemplate(type, template);
    } catch (error) {
      const { code, field, message } = error as { code?: unknown; field?: string; message: string };
      if (code !== "invalid") throw error;
      const at = field ?? "template";
      // What has the wrong type was told already.
      if (this.#errors.some((known) => known.field === step.path(at))) return;
      // The message of a refusal begins with its field; here the field has the step's path before it.
      step.error(at, message.startsWith(at) ? message.slice(at.length).replace(/^:? /, "") : message);
    }
  };

  // ——— refs ———

  #collectRefs(steps: Json | undefined, depth: number): void {
    if (!Array.isArray(steps) || steps.length > MAX_STEPS || depth > MAX_DEPTH) return;
    for (const step of steps as readonly { readonly [key: string]: Json }[]) {
      if (typeof step?.ref === "string") this.#taken.add(step.ref);
      for (const list of [step?.branches, step?.cohort_branches]) {
        if (!Array.isArray(list) || list.length > MAX_BRANCHES) continue;
        for (const branch of list) this.#collectRefs((branch as { steps?: Json } | null)?.steps, depth + 1);
      }
    }
  }

  #ref(s: Reader, stem: string): string {
    const ref = s.filled("ref", MAX_NAME);
    if (ref !== undefined) {
      if (!REF.test(ref)) s.error("ref", "Expected letters, digits, _ and -");
      else if (this.#seen.has(ref)) s.error("ref", `Expected each ref once, got ${JSON.stringify(ref)} again`, "taken");
      this.#seen.add(ref);
      return ref;
    }
    for (let n = 1; ; n++) {
      const made = `${stem}_${n}`;
      if (this.#taken.has(made)) continue;
      this.#taken.add(made);
      return made;
    }
  }
}

/** Stands for a step that has a fault; it is never kept. */
function nothing(s: Reader): Step {
  return { type: "update_data", ref: s.at, settings: { data: {} } };
}
