/** Applications' messages, deliveries, attempts and tasks with every field filled in. */
import type { Delivery, EnvironmentId } from "../../src/engine/model.ts";
import type { PipelineStore, Settlement, Store } from "../../src/engine/ports.ts";
import type {
  AppEndpointId,
  AppId,
  AppMessage,
  EndpointAttempt,
  EndpointMessage,
  Task,
} from "../../src/engine/webhooks/model.ts";
import type { AppAcceptance, AppMessageStore, EndpointSettlement, Walk } from "../../src/engine/webhooks/ports.ts";
import { firstIdAt, type Id, newId, withPrefix } from "../../src/lib/ids.ts";
import { byCodePoints } from "../../src/storage/text.ts";
import { T0 } from "./fixtures.ts";

export const DAY = 86_400_000;
export const ALL: Walk = { limit: 1000, from: null, order: "ascending" };

let made = 0;

/** An id of that very time, beyond those made before for it; `newId` never goes back to a time that has passed. */
export function idAt<P extends string>(prefix: P, at: number): Id<P> {
  return `${firstIdAt(prefix, at).slice(0, -8)}${(made++).toString().padStart(8, "0")}` as Id<P>;
}

export function newAppId(): AppId {
  return newId("app", T0);
}

export function newEndpointId(): AppEndpointId {
  return newId("ep", T0);
}

export function anAppMessage(environmentId: EnvironmentId, appId: AppId, over: Partial<AppMessage> = {}): AppMessage {
  const createdAt = over.createdAt ?? T0;
  return {
    environmentId,
    appId,
    id: idAt("msg", createdAt),
    eventId: null,
    eventType: "invoice.paid",
    channels: null,
    tags: null,
    payload: '{"amount": 1.0}',
    raw: null,
    parameters: null,
    deliverAt: null,
    payloadUntil: createdAt + 90 * DAY,
    createdAt,
    ...over,
  };
}

/** The pair's own delivery, as it is read back. */
export function toEndpoint(message: AppMessage, endpointId: AppEndpointId, over: Partial<Delivery> = {}): Delivery {
  const createdAt = over.createdAt ?? message.createdAt;
  return {
    id: idAt("dlv", createdAt),
    environmentId: message.environmentId,
    messageId: message.id,
    userId: null,
    tenantId: null,
    channel: "webhook",
    provider: "app-endpoint",
    providerId: endpointId,
    leaf: "",
    state: "pending",
    dueAt: createdAt,
    leaseUntil: null,
    attempts: 0,
    startedAt: null,
    timeoutMs: 30 * DAY,
    address: {},
    content: {
      subject: "",
      title: "",
      html: "",
      text: "",
      body: "",
      imageUrl: null,
      clickUrl: null,
      actions: [],
      blocks: [],
      links: [],
      raw: null,
    },
    override: null,
    error: null,
    reference: null,
    createdAt,
    sentAt: null,
    deliveredAt: null,
    seenAt: null,
    readAt: null,
    interactedAt: null,
    archivedAt: null,
    deletedAt: null,
    expiresAt: null,
    tags: [],
    data: {},
    viaTenant: false,
    requestId: withPrefix("req", message.id),
    app: { id: message.appId, manual: false },
    ...over,
  };
}

export function manually(message: AppMessage, endpointId: AppEndpointId, over: Partial<Delivery> = {}): Delivery {
  return toEndpoint(message, endpointId, { ...over, app: { id: message.appId, manual: true } });
}

/**
 * With its deliveries parked for a year, unless they say otherwise: `claimOf` then takes those of an endpoint, and
 * whoever claims of all in this suite does not come across them.
 */
export function publishing(
  message: AppMessage,
  deliveries: readonly Delivery[] = [],
  over: Partial<AppAcceptance> = {},
): AppAcceptance {
  return { message, deliveries: deliveries.map(parked), generation: null, idempotency: null, ...over };
}

function parked(delivery: Delivery): Delivery {
  if (delivery.leaseUntil !== null || delivery.parkedUntil !== undefined) return delivery;
  return { ...delivery, parkedUntil: delivery.createdAt + 365 * DAY };
}

export function anEndpointAttempt(delivery: Delivery, over: Partial<EndpointAttempt> = {}): EndpointAttempt {
  const startedAt = over.startedAt ?? T0;
  return {
    environmentId: delivery.environmentId,
    appId: (delivery.app as NonNullable<Delivery["app"]>).id,
    endpointId: delivery.providerId as AppEndpointId,
    messageId: delivery.messageId,
    deliveryId: delivery.id,
    id: idAt("att", startedAt),
    eventType: "invoice.paid",
    outcome: "sent",
    trigger: delivery.app?.manual === true ? "manual" : "scheduled",
    url: "https://hooks.example/in",
    statusCode: 200,
    response: "ok",
    startedAt,
    endedAt: startedAt + 5,
    nextAt: null,
    sentHeaders: { "content-type": "application/json" },
    responseHeaders: [["x-a", "1"]],
    ...over,
  };
}

export type Ends = "sent" | "failed" | "canceled" | { readonly dueAt: number };

/** What a try came to, in the words of a settlement. */
export function tried(
  delivery: Delivery,
  ends: Ends,
  over: { readonly at?: number; readonly attempt?: Partial<EndpointAttempt> } & Partial<
    Omit<EndpointSettlement, "attempt">
  > = {},
): Settlement {
  const { at = T0 + 1000, attempt, ...endpoint } = over;
  const next: Settlement["next"] =
    ends === "sent"
      ? { state: "sent", at, reference: null }
      : ends === "canceled"
        ? { state: "canceled", at }
        : ends === "failed"
          ? {
              state: "failed",
              at,
              error: "answered 500",
              failover: [],
              ifLast: { state: "undeliverable", reason: "failed" },
            }
          : { state: "pending", dueAt: ends.dueAt, error: "answered 500", startedAt: delivery.startedAt ?? at };
  const outcome = ends === "sent" || ends === "canceled" ? ends : "failed";
  return {
    delivery,
    leaseUntil: delivery.leaseUntil as number,
    attempt: null,
    next,
    endpoint: {
      attempt: anEndpointAttempt(delivery, {
        startedAt: at,
        endedAt: at,
        outcome,
        statusCode: outcome === "sent" ? 200 : 500,
        ...attempt,
      }),
      health: null,
      told: [],
      wipeContent: false,
      ...endpoint,
    },
  };
}

/** What claiming takes; a whole `Store` has it. */
export interface Claims {
  readonly appMessages: Pick<AppMessageStore, "claimOf">;
  readonly pipeline: Pick<PipelineStore, "claimDeliveries" | "releaseLeases">;
}

/** Most that is claimed at once here. */
const MANY = 1000;

/** Claims what is due of one endpoint, parked or not, the longest due first. What is claimed of others is given back. */
export async function claimFor(
  store: Claims,
  endpointId: AppEndpointId,
  now: number,
  leaseUntil: number,
): Promise<readonly Delivery[]> {
  const parked = await store.appMessages.claimOf(endpointId, now, MANY, leaseUntil);
  const claimed = await store.pipeline.claimDeliveries(now, MANY, leaseUntil);
  if (Math.max(parked.length, claimed.length) >= MANY) throw new Error("more is due than is claimed at once here");
  const { own = [], others = [] } = Object.groupBy(claimed, ({ providerId }) =>
    providerId === endpointId ? "own" : "others",
  );
  await giveBack(store, others, leaseUntil);
  return [...parked, ...own].sort((a, b) => a.dueAt - b.dueAt || byCodePoints(a.id, b.id));
}

/** Claims the first delivery due of an endpoint that is the one, and that one only. */
export async function claimOne(
  store: Claims,
  endpointId: AppEndpointId,
  isTheOne: (delivery: Delivery) => boolean,
  now: number,
  leaseUntil: number,
): Promise<Delivery> {
  const claimed = await claimFor(store, endpointId, now, leaseUntil);
  const found = claimed.find(isTheOne);
  const others = claimed.filter((delivery) => delivery !== found);
  await giveBack(store, others, leaseUntil);
  if (found === undefined) throw new Error(`of ${endpointId}, only ${others.length} others were there to be claimed`);
  return found;
}

/** Claims this delivery, which is due, and no other. */
export function claimedOf(store: Claims, delivery: Delivery, now: number, leaseUntil: number): Promise<Delivery> {
  return claimOne(store, delivery.providerId as AppEndpointId, ({ id }) => id === delivery.id, now, leaseUntil);
}

async function giveBack(store: Claims, deliveries: readonly Delivery[], held: number): Promise<void> {
  await store.pipeline.releaseLeases(
    deliveries.map(({ id }) => id),
    held,
  );
}

/** How the pair shows in lists; null when it does not. */
export async function shownPair(
  store: Store,
  message: AppMessage,
  endpointId: AppEndpointId,
): Promise<EndpointMessage | null> {
  const { items } = await store.appMessages.endpointsOf(message.environmentId, message.appId, message.id, ALL);
  return items.find((pair) => pair.endpointId === endpointId) ?? null;
}

export function aTask(environmentId: EnvironmentId, over: Partial<Task> = {}): Task {
  const createdAt = over.createdAt ?? T0;
  return {
    environmentId,
    id: idAt("task", createdAt),
    kind: "recover",
    state: "running",
    spec: { appId: "app_1" },
    cursor: null,
    data: { messagesSent: 0 },
    createdAt,
    updatedAt: createdAt,
    ...over,
  };
}
