import type { Clock } from "../../lib/clock.ts";
import { Lru } from "../../lib/lru.ts";
import type { Document, EnvironmentId } from "../model.ts";
import type { Bus, DocumentStore, Page } from "../ports.ts";
import { APP, APP_UID, applicationIn, idIn, untilWritten } from "./app-documents.ts";
import { appOfEndpointKind, endpointIn, endpointKind } from "./endpoint-documents.ts";
import { FreshCache } from "./fresh-cache.ts";
import type { AppEndpoint, AppEndpointId, AppId } from "./model.ts";
import { isOperationsApp, operationsApp } from "./operational-app.ts";
import { ENDPOINTS_GENERATION } from "./ports.ts";
import type { AppSnapshot, Key, Vault } from "./webhooks.ts";

const MAX_APPLICATIONS = 20_000;
/** Of all applications together; one takes a kilobyte or two. */
const MAX_ENDPOINTS = 50_000;
const PAGE = 500;

export interface SnapshotsOptions {
  /** They shout to `bus` when they are written. */
  readonly documents: DocumentStore;
  readonly vault: Vault;
  readonly bus: Pick<Bus, "onChanged">;
  readonly clock: Clock;
  readonly maxApplications?: number;
  readonly maxEndpoints?: number;
}

/**
 * Applications with their endpoints, opened and ready to be sent to, in memory. A snapshot is what was there at one
 * moment, never a mixture, and never changed once it is given out: an application that is changed gets another one.
 */
export class Snapshots {
  readonly #documents: DocumentStore;
  readonly #vault: Vault;
  readonly #held: FreshCache<AppSnapshot>;
  /** Which application had a uid when it was last looked up: a hint, believed only if its snapshot has the uid. */
  readonly #ids: Lru<string, AppId>;

  constructor(options: SnapshotsOptions) {
    const { documents, vault, bus, clock, maxApplications = MAX_APPLICATIONS } = options;
    this.#documents = documents;
    this.#vault = vault;
    this.#ids = new Lru(maxApplications);
    this.#held = new FreshCache<AppSnapshot>({
      clock,
      load: (key, held) => this.#load(key, held),
      maxEntries: maxApplications,
      maxWeight: options.maxEndpoints ?? MAX_ENDPOINTS,
      weigh: (snapshot) => snapshot.endpoints.length,
    });
    // A shout does not say which application changed, so a change of one shouts for the kind of its endpoints, too.
    bus.onChanged((environmentId, kind) => {
      const appId = appOfEndpointKind(kind);
      if (appId !== null) this.#held.forget(`${environmentId} ${appId}`);
    });
  }

  /** The snapshot if it is in memory and not older than a second. */
  peek(environmentId: EnvironmentId, appId: AppId): AppSnapshot | undefined {
    return this.#held.peek(`${environmentId} ${appId}`);
  }

  /**
   * @param fresh true reads anew: nothing in the answer is older than the call.
   * @returns null when there is no such application, which is never answered from memory.
   *   The hidden application is always there; its generation is 0 until it has its first endpoint.
   */
  get(environmentId: EnvironmentId, appId: AppId, fresh = false): Promise<AppSnapshot | null> {
    return this.#held.get(`${environmentId} ${appId}`, fresh);
  }

  /** As `peek`, by id or uid. */
  peekBy(environmentId: EnvironmentId, key: Key<AppId>): AppSnapshot | undefined {
    if ("id" in key) return this.peek(environmentId, key.id);
    const id = this.#ids.get(`${environmentId} ${key.uid}`);
    const snapshot = id === undefined ? undefined : this.peek(environmentId, id);
    return snapshot?.application.uid === key.uid ? snapshot : undefined;
  }

  /** As `get`, by id or uid. */
  async find(environmentId: EnvironmentId, key: Key<AppId>): Promise<AppSnapshot | null> {
    const known = this.peekBy(environmentId, key);
    if (known !== undefined) return known;
    if ("id" in key) return this.get(environmentId, key.id);
    return untilWritten("application", async () => {
      const id = idIn<AppId>(await this.#documents.read(environmentId, APP_UID, key.uid));
      if (id === null) return null;
      let snapshot = await this.get(environmentId, id);
      if (snapshot?.application.uid !== key.uid) snapshot = await this.get(environmentId, id, true);
      // Not even fresh: the uid has just moved on.
      if (snapshot?.application.uid !== key.uid) return "again";
      this.#ids.set(`${environmentId} ${key.uid}`, id);
      return snapshot;
    });
  }

  async #load(key: string, held: AppSnapshot | undefined): Promise<AppSnapshot | null> {
    const [environmentId, appId] = key.split(" ") as [EnvironmentId, AppId];
    return untilWritten("endpoints", async () => {
      const [app = null, before = null] = await this.#documents.readMany(environmentId, [
        { kind: APP, id: appId },
        { kind: ENDPOINTS_GENERATION, id: appId },
      ]);
      const application = isOperationsApp(environmentId, appId)
        ? operationsApp(environmentId)
        : app !== null && before !== null
          ? applicationIn(environmentId, app)
          : null;
      if (application === null) return null;
      const generation = before?.version ?? 0;
      // Nothing was written since: the second is over, the snapshot is as good as new.
      if (held?.generation === generation) return held;
      const endpoints = await this.#endpointsOf(environmentId, appId);
      const after = await this.#documents.read(environmentId, ENDPOINTS_GENERATION, appId);
      return (after?.version ?? 0) === generation ? { application, endpoints, generation } : "again";
    });
  }

  async #endpointsOf(environmentId: EnvironmentId, appId: AppId): Promise<readonly AppEndpoint[]> {
    const endpoints: AppEndpoint[] = [];
    for (let after: string | null = null; ; ) {
      const page: Page<Document> = await this.#documents.list(environmentId, endpointKind(appId), {
        after,
        limit: PAGE,
      });
      for (const document of page.items) endpoints.push(endpointIn(this.#vault, environmentId, appId, document));
      if (page.next === null) return endpoints;
      after = page.next;
    }
  }
}

/** Snapshots are never changed, so what is made of one holds as long as it does. */
const byId = new WeakMap<AppSnapshot, ReadonlyMap<AppEndpointId, AppEndpoint>>();

/** An endpoint of the application by its id. */
export function endpointById(snapshot: AppSnapshot, id: AppEndpointId): AppEndpoint | undefined {
  let known = byId.get(snapshot);
  if (known === undefined) {
    known = new Map(snapshot.endpoints.map((endpoint) => [endpoint.id, endpoint]));
    byId.set(snapshot, known);
  }
  return known.get(id);
}
