/**
 * What users and objects want to be notified of. A set is kept as it was written; it is read as it counts: over that of
 * the tenant, over that of the environment (engine/workflow/preference-sets.ts).
 */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { EnvironmentId } from "../../engine/model.ts";
import { TENANT } from "../../engine/templates.ts";
import {
  DEFAULT_PREFERENCES,
  type PartyDocument,
  type PartyRef,
  partyKey,
  TENANTS,
} from "../../engine/workflow/model.ts";
import { resolvePreferences } from "../../engine/workflow/preference-sets.ts";
import type { PreferenceSet } from "../../engine/workflow/workflows.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { callerOf, client, environmentOf, mayActFor, requireUser, SECRET } from "./auth.ts";
import type { Capability } from "./grants.ts";
import type { Knock } from "./knock.ts";
import { settingsOf } from "./party-views.ts";
import { objectOf, paramOf, userOf } from "./path.ts";
import { preferenceWrite, showPreferenceSet } from "./preference-writes.ts";
import { type Query, queryOf } from "./query.ts";
import { checkId, Fields } from "./wire.ts";

/** The set that counts where no tenant plays a part. */
export const DEFAULT_SET = "default";

/** Where preferences are reached: those of users by clients, too. */
export const PREFERENCE_PATHS = [
  {
    base: "/users/:user_id/preferences",
    partyOf: userOf,
    reading: client("preferences/read"),
    writing: client("preferences/write"),
  },
  { base: "/objects/:collection/:object_id/preferences", partyOf: objectOf, reading: SECRET, writing: SECRET },
] as const;

export function preferenceRoutes(scope: FastifyInstance, knock: Knock): void {
  const { parties } = knock.engine.workflows;

  for (const { base, partyOf, reading, writing } of PREFERENCE_PATHS) {
    scope.get(base, reading, async (request) => {
      const party = partyOf(request);
      const environmentId = environmentOf(request).id;
      const documents = await parties.documents(environmentId, party, "preferences");
      // The default set is always there, if only as what the environment wants.
      const names = [...new Set([DEFAULT_SET, ...documents.map(({ name }) => name)])];
      const open = names.filter((name) => isOpen(request, party, name));
      const sets = await resolved(
        knock,
        environmentId,
        open.map((name) => ({ party, name, documents })),
      );
      return open.map((name, i) => showPreferenceSet(name, sets[i] as PreferenceSet));
    });

    scope.get(`${base}/:set`, reading, async (request) => {
      const party = partyOf(request);
      const set = setOf(request);
      const name = queryOf(request).text("tenant") ?? set;
      requireSet(request, party, name, "preferences/read");
      return readSet(knock, environmentOf(request).id, party, set, name);
    });

    scope.put(`${base}/:set`, writing, async (request) => {
      const party = partyOf(request);
      const set = setOf(request);
      requireSet(request, party, set, "preferences/write");
      const body = new Fields(request.body);
      const write = body.try("", () => preferenceWrite("", body.value, "replace"));
      body.done();
      return writeSet(knock, environmentOf(request).id, party, set, write as (old: JsonObject | null) => JsonObject);
    });

    scope.delete(`${base}/:set`, SECRET, async (request, reply) => {
      const party = partyOf(request);
      const now = knock.clock.now();
      await parties.modifyDocument(environmentOf(request).id, party, "preferences", setOf(request), now, () => null);
      return reply.code(204).send();
    });
  }
}

export function setOf(request: FastifyRequest): string {
  return checkId("set", paramOf(request, "set"));
}

/** A set other than the default is that of a tenant, which the caller's token has to reach. @throws KnockError 403. */
export function requireSet(request: FastifyRequest, { id }: PartyRef, set: string, capability: Capability): void {
  const caller = callerOf(request);
  if (caller.user !== null) requireUser(caller, id, capability, tenantOf(set));
}

function isOpen(request: FastifyRequest, { id }: PartyRef, set: string): boolean {
  const caller = callerOf(request);
  return caller.user === null || mayActFor(caller, id, "preferences/read", tenantOf(set));
}

function tenantOf(set: string): string | null {
  return set === DEFAULT_SET ? null : set;
}

/** Changes a set and shows what counts from now on. Whoever is not known yet is made by it. */
export async function writeSet(
  knock: Knock,
  environmentId: EnvironmentId,
  party: PartyRef,
  set: string,
  write: (old: JsonObject | null) => JsonObject,
): Promise<JsonObject> {
  const { parties } = knock.engine.workflows;
  const documents = [{ kind: "preferences", name: set, body: write }] as const;
  // A tenant is no object of the store's, though it has documents of its own.
  const properties = party.collection === TENANTS ? null : {};
  await parties.write(environmentId, [{ party, properties, documents }], knock.clock.now());
  return readSet(knock, environmentId, party, set, set);
}

/** @param name the set that is resolved: `shown` itself, or a tenant's where the query names one. */
async function readSet(
  knock: Knock,
  environmentId: EnvironmentId,
  party: PartyRef,
  shown: string,
  name: string,
): Promise<JsonObject> {
  const documents = await knock.engine.workflows.parties.documents(environmentId, party, "preferences");
  const [set] = await resolved(knock, environmentId, [{ party, name, documents }]);
  return showPreferenceSet(shown, set as PreferenceSet);
}

interface Asked {
  readonly party: PartyRef;
  readonly name: string;
  /** Of the party; those of another kind are not looked at. */
  readonly documents: readonly PartyDocument[];
}

/** Sets as they count, for any number of parties with two more reads. */
async function resolved(
  { engine: { documents } }: Knock,
  environmentId: EnvironmentId,
  asked: readonly Asked[],
): Promise<readonly PreferenceSet[]> {
  const tenants = [...new Set(asked.map(({ name }) => name).filter((name) => name !== DEFAULT_SET))];
  const [environment, ...found] = await documents.readMany(environmentId, [
    { kind: DEFAULT_PREFERENCES, id: DEFAULT_SET },
    ...tenants.map((id) => ({ kind: TENANT, id })),
  ]);
  const defaults = new Map(
    tenants.map((id, i) => {
      const document = found[i] ?? null;
      const set = document === null ? null : settingsOf(document).preference_set;
      return [id, isObject(set) ? (set as PreferenceSet) : null];
    }),
  );
  return asked.map(({ name, documents: own }) => {
    const setNamed = (wanted: string): PreferenceSet | null => {
      const document = own.find((one) => one.kind === "preferences" && one.name === wanted);
      return document === undefined ? null : (document.body as PreferenceSet);
    };
    return resolvePreferences({
      environment: (environment?.body ?? null) as PreferenceSet | null,
      own: setNamed(DEFAULT_SET),
      tenant: name === DEFAULT_SET ? null : { defaults: defaults.get(name) ?? null, own: setNamed(name) },
    });
  });
}

/** The sets of one tenant's default over the environment's, as a tenant is asked to show them. */
export async function resolvedTenantSet(
  { engine: { documents } }: Knock,
  environmentId: EnvironmentId,
  own: JsonObject | null,
): Promise<PreferenceSet> {
  const environment = await documents.read(environmentId, DEFAULT_PREFERENCES, DEFAULT_SET);
  return resolvePreferences({
    environment: (environment?.body ?? null) as PreferenceSet | null,
    own: own as PreferenceSet | null,
    tenant: null,
  });
}

// ——— beside lists ————————————————————————————————————————————————————————————————————————————————————————————————

/** Whether the query asks for preferences beside what it lists. @throws KnockError 422 for anything else. */
export function wantsPreferences(query: Query): boolean {
  return query.wordsOf("include", ["preferences"]).length > 0;
}

/** Adds to each what is shown of it `preferences`: its sets by their ids. */
export async function withPreferences(
  knock: Knock,
  environmentId: EnvironmentId,
  parties: readonly PartyRef[],
  shown: readonly JsonObject[],
): Promise<readonly JsonObject[]> {
  const facts = await knock.engine.workflows.parties.facts(environmentId, parties);
  const asked = facts.flatMap(({ party, documents }) => {
    const names = documents.filter(({ kind }) => kind === "preferences").map(({ name }) => name);
    return [...new Set([DEFAULT_SET, ...names])].map((name): Asked => ({ party, name, documents }));
  });
  const sets = await resolved(knock, environmentId, asked);
  const byParty = new Map<string, [string, JsonObject][]>();
  for (const [i, { party, name }] of asked.entries()) {
    const entries = byParty.get(partyKey(party)) ?? [];
    byParty.set(partyKey(party), [...entries, [name, showPreferenceSet(name, sets[i] as PreferenceSet)]]);
  }
  return shown.map((one, i) => ({
    ...one,
    preferences: Object.fromEntries(byParty.get(partyKey(parties[i] as PartyRef)) ?? []),
  }));
}
