/** Steps that change what is known: the run's own data, and the properties of users, tenants and objects. */
import { deepMerge, isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { RenderError } from "../ports.ts";
import { type PartyRef, TENANTS, type UpdateDataStep, type UpdatePartyStep, USERS } from "./model.ts";
import { filledIn, partyNamed, type StepContext, type StepOutcome } from "./step.ts";

export async function updateData({ settings }: UpdateDataStep, context: StepContext): Promise<StepOutcome> {
  const more = await objectOf(settings.data, "settings.data", context);
  return { kind: "done", data: deepMerge(context.state.data, more) };
}

export async function updateParty(step: UpdatePartyStep, context: StepContext): Promise<StepOutcome> {
  const party = await partyOf(step, context);
  if (party === null) return { kind: "skipped", reason: "missing_data" };
  const properties = await objectOf(step.settings.update_properties, "settings.update_properties", context);
  return { kind: "done", updates: [{ party, properties }], fresh: true };
}

/** The party that the author names, else the one of the step's kind that takes part in the run. */
async function partyOf({ type, settings }: UpdatePartyStep, context: StepContext): Promise<PartyRef | null> {
  const { run } = context;
  const fits = ({ collection }: PartyRef): boolean => {
    if (type === "update_user") return collection === USERS;
    return type === "update_tenant" ? collection === TENANTS : !collection.startsWith("$");
  };
  if (settings.recipient_mode === "reference" || (settings.recipient_mode === undefined && settings.recipient_gid)) {
    const text = (await filledIn(settings.recipient_gid ?? "", context)).trim();
    const named = partyNamed(text);
    if (named === null) return null;
    const party = text.startsWith("gid://") || type !== "update_tenant" ? named : { collection: TENANTS, id: named.id };
    return fits(party) ? party : null;
  }
  if (type === "update_tenant") return run.tenantId === null ? null : { collection: TENANTS, id: run.tenantId };
  const { party } = run.cast.recipient;
  return fits(party) ? party : null;
}

/** Of an object each text is filled in on its own, so that no value can break out of its place. */
async function filledValue(value: Json, context: StepContext): Promise<Json> {
  if (typeof value === "string") return await filledIn(value, context);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const items: Json[] = [];
    for (const item of value as readonly Json[]) items.push(await filledValue(item, context));
    return items;
  }
  const entries: [string, Json][] = [];
  for (const [name, inner] of Object.entries(value)) {
    if (inner !== undefined) entries.push([name, await filledValue(inner as Json, context)]);
  }
  return Object.fromEntries(entries);
}

/** @throws RenderError when the text does not come to an object. */
async function objectOf(given: string | JsonObject, field: string, context: StepContext): Promise<JsonObject> {
  if (typeof given !== "string") return (await filledValue(given, context)) as JsonObject;
  const text = await filledIn(given, context);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RenderError(`${field} does not come to JSON`, { cause });
  }
  if (!isObject(value)) throw new RenderError(`${field} does not come to an object`);
  return value;
}
