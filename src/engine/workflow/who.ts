/** What is known of those who take part in runs: users and objects from the database, tenants from their documents. */
import type { Millis } from "../../lib/clock.ts";
import { isoOf } from "../../lib/iso.ts";
import { isObject } from "../../lib/json.ts";
import type { EnvironmentId } from "../model.ts";
import type { TenantChange } from "../ports.ts";
import { TENANT, type TenantBody } from "../templates.ts";
import type { WorkflowCatalog } from "./catalog.ts";
import { type PartyRef, TENANTS } from "./model.ts";
import type { DescribeParty, PartyFacts, PartyStore } from "./ports.ts";

/** As the engine itself tells of a party, without a facade's words. */
export const describePlainly: DescribeParty = ({ party, properties, createdAt, updatedAt }) => ({
  ...properties,
  id: party.id,
  ...(party.collection.startsWith("$") ? {} : { collection: party.collection }),
  created_at: createdAt === null ? null : isoOf(createdAt),
  updated_at: updatedAt === null ? null : isoOf(updatedAt),
});

/**
 * The tenant as a party; its properties are null when nobody ever made it.
 * @param changing what is about to become of it.
 */
export async function tenantFacts(
  catalog: WorkflowCatalog,
  environmentId: EnvironmentId,
  tenantId: string,
  changing: { readonly tenants: readonly TenantChange[]; readonly at: Millis } | null = null,
): Promise<PartyFacts> {
  const party = { collection: TENANTS, id: tenantId };
  const document = await catalog.document(environmentId, TENANT, tenantId);
  const old = (document?.body ?? null) as TenantBody | null;
  const mine = changing?.tenants.filter(({ id }) => id === tenantId) ?? [];
  const body = mine.reduce((before, { change }) => change(before) ?? before, old);
  if (body === null) return { party, properties: null, createdAt: null, updatedAt: null, documents: [] };
  const { name, properties, extra } = body;
  const settings = isObject(extra?.settings) ? { settings: extra.settings } : {};
  const changedAt = body === old ? null : (changing?.at ?? null);
  return {
    party,
    properties: { ...properties, name, ...settings },
    createdAt: document?.createdAt ?? changedAt,
    updatedAt: changedAt ?? document?.updatedAt ?? null,
    documents: [],
  };
}

/** In the order of `parties`; all that are not tenants in one read. */
export async function factsOf(
  { parties, catalog }: { readonly parties: PartyStore; readonly catalog: WorkflowCatalog },
  environmentId: EnvironmentId,
  wanted: readonly PartyRef[],
): Promise<readonly PartyFacts[]> {
  if (wanted.length === 0) return [];
  const found = await parties.facts(environmentId, wanted);
  if (!wanted.some(({ collection }) => collection === TENANTS)) return found;
  return await Promise.all(
    found.map(async (facts) => {
      if (facts.party.collection !== TENANTS) return facts;
      return { ...(await tenantFacts(catalog, environmentId, facts.party.id)), documents: facts.documents };
    }),
  );
}
