import type { Clock } from "../../lib/clock.ts";
import { newId } from "../../lib/ids.ts";
import type { Document, EnvironmentId } from "../model.ts";
import type { Bus, DocumentStore, DocumentWrite } from "../ports.ts";
import { Refusal } from "../refusal.ts";
import {
  APP,
  APP_UID,
  applicationBody,
  applicationIn,
  endpointCount,
  idIn,
  laidOver,
  nextGeneration,
  untilWritten,
  walkDocuments,
} from "./app-documents.ts";
import { deletedEndpointKind, endpointKind, endpointUidKind } from "./endpoint-documents.ts";
import type { AppId, Application } from "./model.ts";
import { isOperationsApp, operationsApp } from "./operational-app.ts";
import { ENDPOINTS_GENERATION } from "./ports.ts";
import { Turns } from "./turns.ts";
import type { Applications, Key } from "./webhooks.ts";

/** Endpoints that are thrown away in one commit. */
const SWEEP = 100;

export interface ApplicationsDeps {
  /** They shout to `bus` when they are written. */
  readonly documents: DocumentStore;
  readonly bus: Pick<Bus, "changed">;
  readonly clock: Clock;
}

/** Applications on documents. Each call is one commit; only deleting one with many endpoints takes several. */
export function applicationsOn({ documents, bus, clock }: ApplicationsDeps): Applications {
  const turns = new Turns();

  async function idOf(environmentId: EnvironmentId, key: Key<AppId>): Promise<AppId | null> {
    return "id" in key ? key.id : idIn<AppId>(await documents.read(environmentId, APP_UID, key.uid));
  }

  /** The application with what is written beside it; null when the key does not name one (any more). */
  async function standing(
    environmentId: EnvironmentId,
    id: AppId,
    key: Key<AppId>,
  ): Promise<{ app: Document; generation: Document; application: Application } | null> {
    const [app = null, generation = null] = await documents.readMany(environmentId, [
      { kind: APP, id },
      { kind: ENDPOINTS_GENERATION, id },
    ]);
    if (app === null || generation === null) return null;
    const application = applicationIn(environmentId, app);
    if ("uid" in key && application.uid !== key.uid) return null;
    return { app, generation, application };
  }

  /** A write with this uid did not go through. @throws Refusal if that is because the uid is another's. */
  async function requireFree(environmentId: EnvironmentId, uid: string | null, own: AppId | null): Promise<void> {
    if (uid === null) return;
    const owner = idIn<AppId>(await documents.read(environmentId, APP_UID, uid));
    if (owner === null || owner === own) return;
    throw new Refusal("conflict", `Another application has the uid ${uid}`, { field: "uid" });
  }

  /** A shout of the documents alone does not say which application it was. */
  function shout(environmentId: EnvironmentId, id: AppId): void {
    bus.changed(environmentId, endpointKind(id));
  }

  return {
    async read(environmentId, key) {
      if ("id" in key) {
        if (isOperationsApp(environmentId, key.id)) return operationsApp(environmentId);
        const document = await documents.read(environmentId, APP, key.id);
        return document === null ? null : applicationIn(environmentId, document);
      }
      return untilWritten("application", async () => {
        const id = await idOf(environmentId, key);
        if (id === null) return null;
        const document = await documents.read(environmentId, APP, id);
        const application = document === null ? null : applicationIn(environmentId, document);
        // Between the two reads the uid has moved on, or the application went.
        return application?.uid === key.uid ? application : "again";
      });
    },

    list: (environmentId, walk) =>
      walkDocuments(documents, environmentId, APP, walk, (document) => applicationIn(environmentId, document)),

    create: (environmentId, fields) =>
      untilWritten("application", async () => {
        const now = clock.now();
        const id = newId("app", now);
        const { uid, name, throttleRate, metadata } = fields;
        const writes: DocumentWrite[] = [
          { kind: APP, id, body: applicationBody(fields), expect: "absent" },
          nextGeneration(id, null, 0),
        ];
        if (uid !== null) writes.push({ kind: APP_UID, id: uid, body: { id }, expect: "absent" });
        if ((await documents.write(environmentId, writes, now)) !== null) {
          return { environmentId, id, uid, name, throttleRate, metadata, createdAt: now, updatedAt: now };
        }
        await requireFree(environmentId, uid, null);
        return "again";
      }),

    async update(environmentId, key, change) {
      const id = await idOf(environmentId, key);
      if (id === null) return null;
      return turns.run(`${environmentId} ${id}`, () =>
        untilWritten("application", async () => {
          const found = await standing(environmentId, id, key);
          if (found === null) return null;
          const { app, generation, application: old } = found;
          const fields = laidOver<Application>(old, change(old));
          const now = clock.now();
          const writes: DocumentWrite[] = [
            { kind: APP, id, body: applicationBody(fields), expect: app.version },
            nextGeneration(id, generation, endpointCount(generation)),
          ];
          if (fields.uid !== old.uid) {
            if (old.uid !== null) writes.push({ kind: APP_UID, id: old.uid, body: null, expect: "any" });
            if (fields.uid !== null) writes.push({ kind: APP_UID, id: fields.uid, body: { id }, expect: "absent" });
          }
          if ((await documents.write(environmentId, writes, now)) === null) {
            await requireFree(environmentId, fields.uid, id);
            return "again";
          }
          shout(environmentId, id);
          return { ...fields, updatedAt: now };
        }),
      );
    },

    async delete(environmentId, key) {
      const id = await idOf(environmentId, key);
      if (id === null) return false;
      const found = await turns.run(`${environmentId} ${id}`, async () => {
        // Endpoints beyond one commit's worth go first, so that none can be left behind by a crash.
        for (;;) {
          const done = await untilWritten("application", () => deleteStep(environmentId, id, key));
          if (done !== "more") return done === "deleted";
        }
      });
      if (found) await forgetDeleted(environmentId, id);
      return found;
    },
  };

  async function deleteStep(
    environmentId: EnvironmentId,
    id: AppId,
    key: Key<AppId>,
  ): Promise<"deleted" | "more" | "absent" | "again"> {
    const found = await standing(environmentId, id, key);
    if (found === null) return "absent";
    const { app, generation, application } = found;
    const page = await documents.list(environmentId, endpointKind(id), { limit: SWEEP });
    const writes: DocumentWrite[] = [];
    for (const { id: endpointId, body } of page.items) {
      writes.push({ kind: endpointKind(id), id: endpointId, body: null, expect: "any" });
      const uid = body.uid as string | null;
      if (uid !== null) writes.push({ kind: endpointUidKind(id), id: uid, body: null, expect: "any" });
    }
    if (page.next !== null) {
      writes.push(nextGeneration(id, generation, endpointCount(generation) - page.items.length));
    } else {
      writes.push({ kind: APP, id, body: null, expect: app.version });
      writes.push({ kind: ENDPOINTS_GENERATION, id, body: null, expect: generation.version });
      if (application.uid !== null) writes.push({ kind: APP_UID, id: application.uid, body: null, expect: "any" });
    }
    if ((await documents.write(environmentId, writes, clock.now())) === null) return "again";
    shout(environmentId, id);
    return page.next === null ? "deleted" : "more";
  }

  /** What was kept of endpoints that were deleted before. Nobody can ask for it any more, and it holds no secrets. */
  async function forgetDeleted(environmentId: EnvironmentId, id: AppId): Promise<void> {
    const kind = deletedEndpointKind(id);
    for (;;) {
      const { items, next } = await documents.list(environmentId, kind, { limit: SWEEP });
      const writes = items.map((document): DocumentWrite => ({ kind, id: document.id, body: null, expect: "any" }));
      if (writes.length > 0) await documents.write(environmentId, writes, clock.now());
      if (next === null) return;
    }
  }
}
