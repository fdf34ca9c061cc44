/** Whether a recipient wants to hear of a workflow on a channel, and what its preferences come to. */
import { isObject, type JsonObject } from "../../lib/json.ts";
import { evaluate } from "./conditions.ts";
import type { Conditions } from "./model.ts";
import type { PartyFacts } from "./ports.ts";
import { resolvePreferences, verdict, type Wanted } from "./preference-sets.ts";
import { conditionContext, type StepContext } from "./step.ts";
import type { PreferenceSet, StepChannel } from "./workflows.ts";

/** Name of the set that counts without a tenant. */
const DEFAULT_SET = "default";

/** The recipient's sets over the tenant's over the environment's. @param tenant null without one. */
export function preferencesOf(
  recipient: PartyFacts,
  tenant: PartyFacts | null,
  environment: PreferenceSet | null,
): PreferenceSet {
  const named = (name: string): PreferenceSet | null =>
    (recipient.documents.find((each) => each.kind === "preferences" && each.name === name)?.body as
      | PreferenceSet
      | undefined) ?? null;
  const settings = tenant?.properties?.settings;
  const defaults = isObject(settings) && isObject(settings.preference_set) ? settings.preference_set : null;
  return resolvePreferences({
    environment,
    own: named(DEFAULT_SET),
    tenant: tenant === null ? null : { defaults: defaults as PreferenceSet | null, own: named(tenant.party.id) },
  });
}

/** Behind a batch, preferences are about what it began with. */
function atFirstActivity(context: StepContext): StepContext {
  const [first] = context.state.batch?.activities ?? [];
  return first === undefined ? context : { ...context, scope: { ...context.scope, data: first.data } };
}

/**
 * @returns null when it is wanted, else why it is not, for the run's log. A value at once unless an audience or a template
 *   has to be asked.
 */
export function isWanted(channel: StepChannel, context: StepContext): JsonObject | null | Promise<JsonObject | null> {
  const { workflow, categories } = context.run.version;
  const answer = verdict(
    context.outlook.preferences,
    {
      workflow: workflow.key,
      categories,
      channelId: channel.id,
      channelType: channel.type,
      commercial: workflow.settings?.is_commercial === true,
      override: workflow.settings?.override_preferences === true,
    },
    (conditions: Conditions) => evaluate(conditions, conditionContext(atFirstActivity(context))),
  );
  return answer instanceof Promise ? answer.then(refusal) : refusal(answer);
}

function refusal(answer: Wanted): JsonObject | null {
  return answer.wanted ? null : { by: answer.by, failed: answer.failed };
}
