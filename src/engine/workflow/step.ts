/** What a step of a run gets to work with, and what it comes to. */
import type { Millis } from "../../lib/clock.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { Delivery, Request } from "../model.ts";
import { type ConditionContext, evaluate, type FailedCondition } from "./conditions.ts";
import { type Conditions, type PartyRef, partyOf, type RunState, USERS } from "./model.ts";
import type { Gate, StepScope } from "./ports.ts";
import type { Outlook, RunInWorld, WorldDeps } from "./world.ts";

export interface StepContext {
  readonly run: RunInWorld;
  readonly world: WorldDeps;
  readonly outlook: Outlook;
  readonly state: RunState;
  readonly now: Millis;
  readonly scope: StepScope;
}

/** Why a step did nothing, in the log. */
export type SkipReason =
  | "conditions"
  | "preferences"
  | "missing_data"
  | "channel_unconfigured"
  | "invalid_window"
  | "invalid_duration"
  | "skip_delay"
  | "workflow_inactive"
  | "too_deep";

/** The parts of a gate that the step knows; the walk adds what becomes of the run. */
export type GateAsked =
  | Omit<Extract<Gate, { kind: "throttle" }>, "pass" | "stop">
  | Omit<Extract<Gate, { kind: "batch" }>, "open" | "join" | "lead">;

export type StepOutcome =
  /** The run goes on behind the step. `fresh`: what was read before is out of date, so another leg does. */
  | {
      readonly kind: "done";
      readonly data?: JsonObject;
      readonly deliveries?: readonly Delivery[];
      readonly requests?: readonly Request[];
      readonly updates?: readonly PartyUpdate[];
      readonly fresh?: boolean;
      /** Skips of some of the ways that the step had. */
      readonly notes?: readonly JsonObject[];
    }
  /** `isFault`: the author's mistake, which counts among the run's errors. */
  | { readonly kind: "skipped"; readonly reason: SkipReason; readonly detail?: JsonObject; readonly isFault?: boolean }
  | { readonly kind: "enter"; readonly branch: number }
  /** The run waits at the step. */
  | { readonly kind: "pause"; readonly until: Millis }
  | { readonly kind: "gate"; readonly gate: GateAsked }
  /** The world was at fault: the step is tried again at that time. */
  | { readonly kind: "retry"; readonly at: Millis; readonly error: string }
  /** The run is over, with an error. */
  | { readonly kind: "halt"; readonly error: string };

export interface PartyUpdate {
  readonly party: PartyRef;
  readonly properties: JsonObject;
}

const NOTHING_FAILED: readonly FailedCondition[] = [];

/** @returns what did not hold; empty when all does. A value at once unless an audience or a template has to be asked. */
export function failing(
  conditions: Conditions | null | undefined,
  context: StepContext,
): readonly FailedCondition[] | Promise<readonly FailedCondition[]> {
  if (conditions === null || conditions === undefined) return NOTHING_FAILED;
  const evaluated = evaluate(conditions, conditionContext(context));
  return evaluated instanceof Promise
    ? evaluated.then(({ failed, holds }) => told(holds, failed))
    : told(evaluated.holds, evaluated.failed);
}

/** What conditions may ask for. */
export function conditionContext({ run, world, outlook, state, scope: own, now }: StepContext): ConditionContext {
  // Preferences, channels and their groups have conditions, too.
  const scope = outlook.whole(own, state);
  return {
    scope,
    now,
    isMember: async (audience, who) => {
      const party = who === "actor" ? (run.cast.actor?.party ?? null) : run.cast.recipient.party;
      if (party === null || party.collection !== USERS) return false;
      return await world.parties.isMember(run.environmentId, audience, party.id, run.tenantId);
    },
    render: (text) => world.language.text(text, { scope, sources: outlook.sources }),
  };
}

/** Of `any` of nothing there is no condition to name, and yet it does not hold. */
function told(holds: boolean, failed: readonly FailedCondition[]): readonly FailedCondition[] {
  if (holds) return NOTHING_FAILED;
  return failed.length > 0 ? failed : [{ variable: "", operator: "any", value: "" }];
}

const MAX_NAME_CHARS = 256;
const TEMPLATE = /\{[{%]/;

/** A text of the author's, of the step's or of its channel's, with its Liquid filled in. @throws RenderError */
export async function filledIn(text: string, { world, outlook, state, scope }: StepContext): Promise<string> {
  if (!TEMPLATE.test(text)) return text;
  return await world.language.text(text, { scope: outlook.whole(scope, state), sources: outlook.sources });
}

/** A party as texts name it: a user's id, or `gid://Object/<collection>/<id>`. Null for what can be nobody's name. */
export function partyNamed(text: string): PartyRef | null {
  const trimmed = text.trim();
  const gid = /^gid:\/\/[^/]+\/([^/]+\/.+)$/.exec(trimmed)?.[1];
  return checkedParty(gid === undefined ? { collection: USERS, id: trimmed } : partyOf(gid));
}

/** What callers may be called is checked by facades; what texts come to is checked here. */
export function checkedParty(party: PartyRef): PartyRef | null {
  return isName(party.collection) && isName(party.id) ? party : null;
}

/** Of a party, a tenant or the like: not everything that a text comes to can be stored or found again. */
export function isName(text: string): boolean {
  return text !== "" && text.length <= MAX_NAME_CHARS && !/[\0/#]/.test(text) && text.isWellFormed();
}
