/** Parts of a preference set that browsers write by themselves: one map of it, or one entry of one map. */
import type { FastifyInstance } from "fastify";
import { checkPreferenceEntry, checkPreferenceMap } from "../../engine/workflow/preference-checks.ts";
import { type PreferenceMap, setEntry, setMap } from "../../engine/workflow/preference-sets.ts";
import type { PreferenceSet } from "../../engine/workflow/workflows.ts";
import type { JsonObject } from "../../lib/json.ts";
import { environmentOf } from "./auth.ts";
import { invalid } from "./errors.ts";
import type { Knock } from "./knock.ts";
import { paramOf } from "./path.ts";
import { PREFERENCE_PATHS, requireSet, setOf, writeSet } from "./preferences.ts";
import { checkText } from "./wire.ts";

const MAPS: readonly PreferenceMap[] = ["workflows", "categories", "channel_types"];

export function preferenceEntryRoutes(scope: FastifyInstance, knock: Knock): void {
  for (const { base, partyOf, writing } of PREFERENCE_PATHS) {
    for (const map of MAPS) {
      scope.put(`${base}/:set/${map}`, writing, async (request) => {
        const party = partyOf(request);
        const set = setOf(request);
        requireSet(request, party, set, "preferences/write");
        const entries = checkPreferenceMap(map, request.body ?? {}, "");
        return writeSet(knock, environmentOf(request).id, party, set, (old) => {
          return setMap(old as PreferenceSet | null, map, entries) as JsonObject;
        });
      });

      scope.put(`${base}/:set/${map}/:key`, writing, async (request) => {
        const party = partyOf(request);
        const set = setOf(request);
        requireSet(request, party, set, "preferences/write");
        const key = checkText("key", paramOf(request, "key"));
        if (key === "__proto__") throw invalid("key", "Expected another name");
        const setting = checkPreferenceEntry(map, key, request.body ?? {}, "");
        return writeSet(knock, environmentOf(request).id, party, set, (old) => {
          return setEntry(old as PreferenceSet | null, map, key, setting) as JsonObject;
        });
      });
    }
  }
}
