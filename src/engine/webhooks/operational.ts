/**
 * Tells the environment's own endpoints of what happens in it: messages of the hidden application (operational-app.ts),
 * signed, sent and tried again like any other. They are written in the commit of what they tell of.
 */
import type { Millis } from "../../lib/clock.ts";
import { newId } from "../../lib/ids.ts";
import type { Json, JsonObject } from "../../lib/json.ts";
import type { EnvironmentId } from "../model.ts";
import { deliveryTo } from "./delivery-to.ts";
import { wants } from "./match.ts";
import type { AppEndpoint, AppId, Application, AppMessage } from "./model.ts";
import { isOperationsApp, operationsAppId } from "./operational-app.ts";
import type { AppAcceptance } from "./ports.ts";
import type { Snapshots } from "./snapshots.ts";

const KEEP_MS: Millis = 90 * 86_400_000;

export interface OperationalOptions {
  readonly snapshots: Pick<Snapshots, "get">;
  /** An id as receivers know it. */
  readonly spell: (id: string) => string;
  /** How long what was told is kept. */
  readonly keepMs?: Millis;
}

export class Operational {
  readonly #snapshots: Pick<Snapshots, "get">;
  readonly #spell: (id: string) => string;
  readonly #keepMs: Millis;

  constructor({ snapshots, spell, keepMs = KEEP_MS }: OperationalOptions) {
    this.#snapshots = snapshots;
    this.#spell = spell;
    this.#keepMs = keepMs;
  }

  /** Whether it is the application that is told. What happens with that one itself is told to nobody. */
  isOwn(environmentId: EnvironmentId, appId: AppId): boolean {
    return isOperationsApp(environmentId, appId);
  }

  /**
   * What to write so that those who listen are told of it; nothing when nobody does.
   * @param data ids in it are spelled as receivers know them.
   * @param fresh true asks the database who listens. Else one who began to less than a second ago, through another
   *   process, may be left out.
   */
  async tellings(
    environmentId: EnvironmentId,
    type: string,
    data: Json,
    now: Millis,
    fresh = false,
  ): Promise<readonly AppAcceptance[]> {
    const appId = operationsAppId(environmentId);
    const snapshot = await this.#snapshots.get(environmentId, appId, fresh);
    const about = { eventType: type, channels: null };
    const listeners = snapshot?.endpoints.filter((endpoint) => wants(endpoint, about)) ?? [];
    if (listeners.length === 0) return [];
    const message: AppMessage = {
      environmentId,
      appId,
      id: newId("msg", now),
      eventId: null,
      eventType: type,
      channels: null,
      tags: null,
      payload: JSON.stringify({ type, data }),
      raw: null,
      parameters: null,
      deliverAt: null,
      payloadUntil: now + this.#keepMs,
      createdAt: now,
    };
    return [
      {
        message,
        deliveries: listeners.map((endpoint) => deliveryTo(endpoint, message, { manual: false, dueAt: now })),
        generation: null,
        idempotency: null,
      },
    ];
  }

  /** Tells that something happened to an endpoint of an application. @param more what else there is to say of it. */
  async endpointTellings(
    type: "endpoint.created" | "endpoint.updated" | "endpoint.deleted" | "endpoint.disabled" | "endpoint.enabled",
    application: Pick<Application, "environmentId" | "id" | "uid">,
    endpoint: Pick<AppEndpoint, "id" | "uid">,
    now: Millis,
    more: JsonObject = {},
  ): Promise<readonly AppAcceptance[]> {
    if (this.isOwn(application.environmentId, application.id)) return [];
    const data: JsonObject = {
      appId: this.#spell(application.id),
      ...(application.uid === null ? {} : { appUid: application.uid }),
      endpointId: this.#spell(endpoint.id),
      ...(endpoint.uid === null ? {} : { endpointUid: endpoint.uid }),
      ...more,
    };
    return this.tellings(application.environmentId, type, data, now, true);
  }
}
