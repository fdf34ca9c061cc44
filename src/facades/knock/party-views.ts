/** Users, objects and tenants as Knock shows them. */
import type { Document, EnvironmentId } from "../../engine/model.ts";
import { TENANT, type TenantBody } from "../../engine/templates.ts";
import { isUser, type PartyRef, partyKey, TENANTS } from "../../engine/workflow/model.ts";
import type { PartyFacts } from "../../engine/workflow/ports.ts";
import type { Millis } from "../../lib/clock.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import type { Knock } from "./knock.ts";
import { toIso } from "./wire.ts";

/** What is known of a party, whichever store it came from. */
type Known = Pick<PartyFacts, "party" | "properties" | "createdAt" | "updatedAt">;

/** Every user has these, if only as null. */
const USER_FIELDS = { name: null, email: null, phone_number: null, avatar: null, timezone: null, locale: null };

/** Custom properties stand beside the others. Somebody who is not, or no longer, known is a user without any. */
export function showUser(user: {
  readonly id: string;
  readonly profile: JsonObject | null;
  readonly createdAt: Millis | null;
  readonly updatedAt: Millis | null;
}): JsonObject {
  const { id, profile, createdAt, updatedAt } = user;
  return {
    ...USER_FIELDS,
    ...profile,
    __typename: "User",
    id,
    // Callers may say when they made the user themselves.
    created_at: typeof profile?.created_at === "string" ? profile.created_at : toIso(createdAt),
    updated_at: toIso(updatedAt),
  };
}

/** Custom properties are in `properties`. */
export function showObject({ party, properties, createdAt, updatedAt }: Known): JsonObject {
  return {
    __typename: "Object",
    id: party.id,
    collection: party.collection,
    properties: properties ?? {},
    created_at: typeof properties?.created_at === "string" ? properties.created_at : toIso(createdAt),
    updated_at: toIso(updatedAt),
  };
}

/** A Recipient: a user, or an object. */
export function showParty(known: Known): JsonObject {
  const { party, properties, createdAt, updatedAt } = known;
  return isUser(party) ? showUser({ id: party.id, profile: properties, createdAt, updatedAt }) : showObject(known);
}

/** A party as templates and conditions see it: whatever it is, its own properties are found beside its id. */
export function describeParty(known: Known): JsonObject {
  return isUser(known.party) ? showParty(known) : { ...known.properties, ...showObject(known) };
}

/** @param preferenceSet shown in place of the one that is stored, which is not named. */
export function showTenant(document: Pick<Document, "id" | "body">, preferenceSet: JsonObject | null): JsonObject {
  const { name, properties } = document.body as unknown as TenantBody;
  const settings = settingsOf(document);
  return {
    ...properties,
    __typename: "Tenant",
    id: document.id,
    name: name === "" ? null : name,
    settings: {
      branding: settings.branding ?? null,
      preference_set: preferenceSet,
    },
  };
}

/** A tenant as an object of the collection `$tenants`. */
export function tenantAsParty(document: Document): Known {
  const { name, properties } = document.body as unknown as TenantBody;
  return {
    party: { collection: TENANTS, id: document.id },
    properties: { ...properties, name: name === "" ? null : name, settings: settingsOf(document) },
    createdAt: document.createdAt,
    updatedAt: document.updatedAt,
  };
}

export function settingsOf({ body }: Pick<Document, "body">): JsonObject {
  const { extra } = body as unknown as TenantBody;
  return isObject(extra?.settings) ? extra.settings : {};
}

/**
 * Reads parties in one go, users and objects in one statement and tenants in another.
 * @returns how each of them reads as a Recipient; those nobody identified read as nobody in particular.
 */
export async function partyViews(
  knock: Pick<Knock, "engine">,
  environmentId: EnvironmentId,
  parties: readonly PartyRef[],
): Promise<(party: PartyRef) => JsonObject> {
  const views = new Map<string, JsonObject>();
  const distinct = [...new Map(parties.map((party) => [partyKey(party), party])).values()];
  const tenants = distinct.filter(({ collection }) => collection === TENANTS);
  const others = distinct.filter(({ collection }) => collection !== TENANTS);
  const { engine } = knock;
  const [documents, facts] = await Promise.all([
    tenants.length === 0
      ? []
      : engine.documents.readMany(
          environmentId,
          tenants.map(({ id }) => ({ kind: TENANT, id })),
        ),
    others.length === 0 ? [] : engine.workflows.parties.facts(environmentId, others),
  ]);
  for (const one of facts) views.set(partyKey(one.party), showParty(one));
  for (const document of documents) {
    if (document === null) continue;
    const known = tenantAsParty(document);
    views.set(partyKey(known.party), showObject(known));
  }
  return (party) =>
    views.get(partyKey(party)) ?? showParty({ party, properties: null, createdAt: null, updatedAt: null });
}
