/** Preference sets as Knock writes and shows them. */
import { checkPersistence, checkPreferenceSet } from "../../engine/workflow/preference-checks.ts";
import { applyWrite } from "../../engine/workflow/preference-sets.ts";
import type { PreferenceSet } from "../../engine/workflow/workflows.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { invalid } from "./errors.ts";

const PERSISTENCE = "__persistence_strategy__";

/**
 * Checks a PreferenceSetRequest.
 * @param usual what becomes of the set that is there, unless the request says so itself.
 * @returns what makes the new set of the one that is there; pure.
 * @throws Refusal("invalid"), KnockError 422.
 */
export function preferenceWrite(
  field: string,
  value: unknown,
  usual: "replace" | "merge",
): (old: JsonObject | null) => JsonObject {
  if (!isObject(value)) throw invalid(field, "Expected a preference set");
  const asked =
    value[PERSISTENCE] === undefined || value[PERSISTENCE] === null ? usual : checkPersistence(value, field);
  // How null is read depends on it: within a merge it takes away.
  const checked = checkPreferenceSet({ ...value, [PERSISTENCE]: asked }, field);
  return (old) => applyWrite(old as PreferenceSet | null, checked, asked) as JsonObject;
}

/** The maps are always there, so that nobody has to look before reaching into one. */
export function showPreferenceSet(id: string, set: PreferenceSet): JsonObject {
  const { workflows, categories, channel_types, channels, commercial_subscribed } = set as JsonObject;
  return {
    id,
    workflows: workflows ?? {},
    categories: categories ?? {},
    channel_types: channel_types ?? {},
    channels: channels ?? {},
    commercial_subscribed: commercial_subscribed ?? null,
  };
}
