import type { Clock, Millis } from "../../lib/clock.ts";
import { newId } from "../../lib/ids.ts";
import type { Document, EnvironmentId } from "../model.ts";
import type { Bus, DocumentStore, DocumentWrite } from "../ports.ts";
import { Refusal } from "../refusal.ts";
import {
  APP,
  applicationIn,
  endpointCount,
  idIn,
  laidOver,
  nextGeneration,
  untilWritten,
  walkDocuments,
} from "./app-documents.ts";
import {
  deletedBody,
  deletedEndpointIn,
  deletedEndpointKind,
  endpointBody,
  endpointIn,
  endpointKind,
  endpointUidKind,
} from "./endpoint-documents.ts";
import type { AppEndpoint, AppEndpointId, AppId, Application } from "./model.ts";
import type { Operational } from "./operational.ts";
import { isOperationsApp, operationsApp } from "./operational-app.ts";
import { type AppAcceptance, type AppMessageStore, ENDPOINTS_GENERATION } from "./ports.ts";
import { Turns } from "./turns.ts";
import type { AppEndpointFields, AppEndpoints, Key, Vault } from "./webhooks.ts";

const MAX_ENDPOINTS = 1_000;

export interface AppEndpointsDeps {
  /** They shout to `bus` when they are written. */
  readonly documents: DocumentStore;
  readonly appMessages: Pick<AppMessageStore, "clearFailing" | "failingSince">;
  readonly vault: Vault;
  readonly operational: Pick<Operational, "endpointTellings">;
  readonly bus: Pick<Bus, "lookNow">;
  readonly clock: Clock;
  /** Of one application. Pollers count, deleted ones do not. */
  readonly maxEndpoints?: number;
}

/** What stands beside an endpoint that is to be written. */
interface Ground {
  readonly application: Application;
  /** Null for the hidden application before it has its first endpoint. */
  readonly generation: Document | null;
}

/** A change of an endpoint and what is told of it. */
interface Change {
  readonly after: AppEndpoint;
  readonly told: readonly AppAcceptance[];
}

/** Endpoints of applications on documents. Each call is one commit, what is told of it included. */
export function appEndpointsOn(deps: AppEndpointsDeps): AppEndpoints {
  const { documents, appMessages, vault, operational, bus, clock, maxEndpoints = MAX_ENDPOINTS } = deps;
  const turns = new Turns();

  async function idOf(
    environmentId: EnvironmentId,
    appId: AppId,
    key: Key<AppEndpointId>,
  ): Promise<AppEndpointId | null> {
    if ("id" in key) return key.id;
    return idIn<AppEndpointId>(await documents.read(environmentId, endpointUidKind(appId), key.uid));
  }

  /** @returns the application as it stands and the document asked for; null when the application is gone. */
  async function standing(
    environmentId: EnvironmentId,
    appId: AppId,
    about: { readonly kind: string; readonly id: string } | null,
  ): Promise<{ ground: Ground; document: Document | null } | null> {
    const [app = null, generation = null, document = null] = await documents.readMany(environmentId, [
      { kind: APP, id: appId },
      { kind: ENDPOINTS_GENERATION, id: appId },
      ...(about === null ? [] : [about]),
    ]);
    if (isOperationsApp(environmentId, appId)) {
      return { ground: { application: operationsApp(environmentId), generation }, document };
    }
    if (app === null || generation === null) return null;
    return { ground: { application: applicationIn(environmentId, app), generation }, document };
  }

  async function write(
    environmentId: EnvironmentId,
    writes: readonly DocumentWrite[],
    now: Millis,
    told: readonly AppAcceptance[],
  ): Promise<boolean> {
    const versions = await documents.write(environmentId, writes, now, told.length === 0 ? undefined : { told });
    if (versions !== null && told.length > 0) bus.lookNow("deliveries");
    return versions !== null;
  }

  function uidTaken(uid: string): Refusal {
    return new Refusal("conflict", `Another endpoint of the application has the uid ${uid}`, { field: "uid" });
  }

  /** @param decide null leaves the endpoint as it is. */
  function change(
    environmentId: EnvironmentId,
    appId: AppId,
    id: AppEndpointId,
    decide: (before: AppEndpoint, application: Application, now: Millis) => Promise<Change | null>,
  ): Promise<AppEndpoint | null> {
    return turns.run(`${environmentId} ${appId}`, () =>
      untilWritten("endpoints", async () => {
        const found = await standing(environmentId, appId, { kind: endpointKind(appId), id });
        if (found === null || found.document === null) return null;
        const { ground, document } = found;
        const before = endpointIn(vault, environmentId, appId, document);
        const now = clock.now();
        const decided = await decide(before, ground.application, now);
        if (decided === null) return null;
        const { after, told } = decided;
        const writes: DocumentWrite[] = [
          { kind: endpointKind(appId), id, body: endpointBody(vault, after), expect: document.version },
          nextGeneration(appId, ground.generation, endpointCount(ground.generation)),
        ];
        const uidKind = endpointUidKind(appId);
        if (after.uid !== before.uid) {
          if (before.uid !== null) writes.push({ kind: uidKind, id: before.uid, body: null, expect: "any" });
          if (after.uid !== null) writes.push({ kind: uidKind, id: after.uid, body: { id }, expect: "absent" });
        }
        // What was noted against it must be gone before it can fail again: else its next failure would be its last.
        if (before.disabled && !after.disabled) await appMessages.clearFailing(environmentId, id);
        if (await write(environmentId, writes, now, told)) return { ...after, updatedAt: now };
        if (after.uid !== null && after.uid !== before.uid) {
          const owner = idIn<AppEndpointId>(await documents.read(environmentId, uidKind, after.uid));
          if (owner !== null && owner !== id) throw uidTaken(after.uid);
        }
        return "again";
      }),
    );
  }

  return {
    async read(environmentId, appId, key, deleted = false) {
      if ("id" in key) {
        const [document = null, remains = null] = await documents.readMany(environmentId, [
          { kind: endpointKind(appId), id: key.id },
          ...(deleted ? [{ kind: deletedEndpointKind(appId), id: key.id }] : []),
        ]);
        if (document !== null) return endpointIn(vault, environmentId, appId, document);
        return remains === null ? null : deletedEndpointIn(environmentId, appId, remains);
      }
      return untilWritten("endpoint", async () => {
        const id = await idOf(environmentId, appId, key);
        if (id === null) return null;
        const document = await documents.read(environmentId, endpointKind(appId), id);
        // Between the two reads the uid has moved on, or the endpoint went.
        if (document === null || document.body.uid !== key.uid) return "again";
        return endpointIn(vault, environmentId, appId, document);
      });
    },

    list: (environmentId, appId, walk) =>
      walkDocuments(documents, environmentId, endpointKind(appId), walk, (document) =>
        document.body.kind === "http" ? endpointIn(vault, environmentId, appId, document) : null,
      ),

    create: (environmentId, appId, fields) =>
      turns.run(`${environmentId} ${appId}`, () =>
        untilWritten("endpoints", async () => {
          const { uid } = fields;
          const uidKind = endpointUidKind(appId);
          const found = await standing(environmentId, appId, uid === null ? null : { kind: uidKind, id: uid });
          if (found === null) throw new Refusal("not_found", "There is no such application");
          const { application, generation } = found.ground;
          if (uid !== null && found.document !== null) throw uidTaken(uid);
          const count = endpointCount(generation);
          if (count >= maxEndpoints) {
            const limit = `An application has at most ${maxEndpoints} endpoints`;
            throw new Refusal("invalid", limit, { field: "limit_reached" });
          }
          const now = clock.now();
          const id = newId("ep", now);
          const writes: DocumentWrite[] = [
            { kind: endpointKind(appId), id, body: endpointBody(vault, fields), expect: "absent" },
            nextGeneration(appId, generation, count + 1),
          ];
          if (uid !== null) writes.push({ kind: uidKind, id: uid, body: { id }, expect: "absent" });
          const told = await operational.endpointTellings("endpoint.created", application, { id, uid }, now);
          if (!(await write(environmentId, writes, now, told))) return "again";
          const times = { createdAt: now, updatedAt: now, deletedAt: null };
          return { ...fields, environmentId, appId, id, ...times };
        }),
      ),

    async update(environmentId, appId, key, changeOf, quiet = false) {
      const id = await idOf(environmentId, appId, key);
      if (id === null) return null;
      return change(environmentId, appId, id, async (before, application, now) => {
        if ("uid" in key && before.uid !== key.uid) return null;
        const fields = laidOver<AppEndpointFields>(before, changeOf(before));
        const oldSecrets = fields.oldSecrets.filter(({ until }) => until > now);
        const after: AppEndpoint = { ...before, ...fields, oldSecrets };
        if (quiet) return { after, told: [] };
        const told = [...(await operational.endpointTellings("endpoint.updated", application, after, now))];
        if (!before.disabled && after.disabled) {
          const by = { trigger: "manual" };
          told.push(...(await operational.endpointTellings("endpoint.disabled", application, after, now, by)));
        } else if (before.disabled && !after.disabled) {
          told.push(...(await operational.endpointTellings("endpoint.enabled", application, after, now)));
        }
        return { after, told };
      });
    },

    async disableFailing(environmentId, appId, id, failingSince) {
      await change(environmentId, appId, id, async (before, application, now) => {
        if (before.disabled) return null;
        // A success that came since it was read has taken it back.
        if (failingSince !== null && (await appMessages.failingSince(environmentId, id)) !== failingSince) return null;
        const after = { ...before, disabled: true };
        const why = {
          ...(failingSince === null ? {} : { failSince: new Date(failingSince).toISOString() }),
          trigger: "automatic",
        };
        const told = await operational.endpointTellings("endpoint.disabled", application, after, now, why);
        return { after, told };
      });
    },

    async delete(environmentId, appId, key) {
      const id = await idOf(environmentId, appId, key);
      if (id === null) return false;
      const deleted = await turns.run(`${environmentId} ${appId}`, () =>
        untilWritten("endpoints", async () => {
          const found = await standing(environmentId, appId, { kind: endpointKind(appId), id });
          if (found === null || found.document === null) return false;
          const { ground, document } = found;
          const uid = document.body.uid as string | null;
          if ("uid" in key && uid !== key.uid) return false;
          const now = clock.now();
          const writes: DocumentWrite[] = [
            { kind: endpointKind(appId), id, body: null, expect: document.version },
            { kind: deletedEndpointKind(appId), id, body: deletedBody(document, now), expect: "any" },
            nextGeneration(appId, ground.generation, endpointCount(ground.generation) - 1),
          ];
          if (uid !== null) writes.push({ kind: endpointUidKind(appId), id: uid, body: null, expect: "any" });
          const told = await operational.endpointTellings("endpoint.deleted", ground.application, { id, uid }, now);
          return (await write(environmentId, writes, now, told)) ? true : "again";
        }),
      );
      // The note is of no use any more; one that stays behind after a crash harms nobody.
      if (deleted) await appMessages.clearFailing(environmentId, id);
      return deleted;
    },
  };
}
