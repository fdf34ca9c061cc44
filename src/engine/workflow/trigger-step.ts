/** A step that triggers another workflow; its request is committed with the leg, so that it is triggered once. */
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { RenderError } from "../ports.ts";
import { type PartyRef, type Step, type TriggerStep, USERS } from "./model.ts";
import { branchesOf } from "./places.ts";
import { recipientOf, requestOf, specOf } from "./requests.ts";
import {
  checkedParty,
  filledIn,
  isName,
  type PartyUpdate,
  partyNamed,
  type StepContext,
  type StepOutcome,
} from "./step.ts";

/**
 * Workflows that trigger one another must come to an end, and before they are millions. A trigger for one recipient is one
 * step away from where all began; for many it is as many steps as these doubled, so that at most 2^16 runs come of one.
 */
const MAX_DEPTH = 16;
const MAX_RECIPIENTS = 1_000;
/** Whoever is subscribed to an object is not counted, but taken for so many. */
const OF_AN_OBJECT = 100;

export async function triggerStep({ settings }: TriggerStep, context: StepContext): Promise<StepOutcome> {
  const { run, world, now } = context;
  const text = (field: string | undefined, usual: string): Promise<string> => filledIn(field ?? usual, context);
  const key = (await text(settings.workflow_key, "")).trim();
  const found = await world.catalog.find(run.environmentId, key);
  if (found === null) return { kind: "halt", error: `there is no workflow ${JSON.stringify(key)}` };
  if (!found.active) return { kind: "skipped", reason: "workflow_inactive" };

  const own = settings.recipients === undefined ? [{ party: run.cast.recipient.party, properties: null }] : null;
  const recipients = own ?? named(await text(settings.recipients, ""));
  if (recipients.length === 0) return { kind: "skipped", reason: "missing_data" };
  if (recipients.length > MAX_RECIPIENTS) return { kind: "halt", error: `more than ${MAX_RECIPIENTS} recipients` };
  const depth = depthBehind(run, recipients);
  if (depth > MAX_DEPTH)
    return { kind: "halt", error: "too many workflows trigger one another, for too many recipients" };
  const [actor = null] = named(await text(settings.actor, ""));
  const tenant = settings.tenant === undefined ? run.tenantId : (await text(settings.tenant, "")).trim();
  if (tenant !== null && tenant !== "" && !isName(tenant)) {
    return { kind: "halt", error: "the tenant is none that there could be" };
  }
  const cancellationKey = (await text(settings.cancellation_key, "")).trim();
  const spec = specOf(
    found,
    {
      key,
      recipients: recipients.map(({ party }) => recipientOf(party)),
      actor: actor?.party ?? null,
      data: settings.data === undefined ? context.state.data : dataOf(await text(settings.data, "")),
      tenantId: tenant === "" ? null : tenant,
      cancellationKey: cancellationKey === "" ? null : cancellationKey,
      source: { type: "workflow_step" },
      sandbox: run.trigger.sandbox,
      skipDelay: run.trigger.skipDelay,
      via: run.via,
    },
    depth,
  );
  const updates = [...recipients, ...(actor === null ? [] : [actor])].flatMap(({ party, properties }): PartyUpdate[] =>
    properties === null ? [] : [{ party, properties }],
  );
  return { kind: "done", requests: [requestOf(run.environmentId, spec, now)], updates };
}

/** All of the workflow's triggers are counted, wherever they stand: this one does not know how many are made. */
function depthBehind({ trigger, version }: StepContext["run"], recipients: readonly Named[]): number {
  const runs = recipients.reduce((sum, { party }) => sum + (party.collection === USERS ? 1 : OF_AN_OBJECT), 0);
  return trigger.depth + 1 + Math.ceil(Math.log2(runs * triggersIn(version.workflow.steps)));
}

function triggersIn(steps: readonly Step[]): number {
  return steps.reduce((sum, step) => {
    const inside = branchesOf(step).reduce((of, branch) => of + triggersIn(branch.steps), 0);
    return sum + inside + (step.type === "trigger_workflow" ? 1 : 0);
  }, 0);
}

interface Named {
  readonly party: PartyRef;
  /** Given with it; null for a mere name. */
  readonly properties: JsonObject | null;
}

/** An id, or JSON: an id, `{collection, id, …}`, `{id, …}`, or a list of these. */
function named(text: string): readonly Named[] {
  const trimmed = text.trim();
  const value: Json = /^["[{]/.test(trimmed) ? parsed(trimmed) : trimmed;
  return (Array.isArray(value) ? (value as readonly Json[]) : [value]).flatMap((each) => {
    if (!isObject(each)) {
      const party = typeof each === "string" || typeof each === "number" ? partyNamed(String(each)) : null;
      return party === null ? [] : [{ party, properties: null }];
    }
    const { id, collection, ...properties } = each;
    if (typeof id !== "string") return [];
    const party = checkedParty({ collection: typeof collection === "string" ? collection : USERS, id });
    return party === null ? [] : [{ party, properties: Object.keys(properties).length === 0 ? null : properties }];
  });
}

function dataOf(text: string): JsonObject {
  if (text.trim() === "") return {};
  const value = parsed(text);
  if (!isObject(value)) throw new RenderError("settings.data does not come to an object");
  return value;
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw new RenderError("what the trigger is given does not come to JSON", { cause });
  }
}
