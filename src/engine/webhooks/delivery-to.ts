import type { Millis } from "../../lib/clock.ts";
import { newId, withPrefix } from "../../lib/ids.ts";
import type { JsonObject } from "../../lib/json.ts";
import { type Delivery, NO_CONTENT } from "../model.ts";
import { APP_ENDPOINT, type AppEndpoint, type AppMessage } from "./model.ts";

/** Longer than any schedule of tries; what ends a delivery is its schedule. */
const TRY_FOR_MS: Millis = 30 * 86_400_000;

/** What is sent is with the message, where to is read anew for every try: the row of a delivery says nothing of either. */
const NOTHING: JsonObject = Object.freeze({});
const NO_TAGS: readonly string[] = Object.freeze([]);

/**
 * The delivery of an application's message to one of its endpoints, pending.
 * @param how.manual a try that somebody asked for: made once, whatever the endpoint's filters say.
 * @param how.dueAt when to try first.
 * @param how.now when the delivery comes to be; absent: with its message, or when it is due if it is manual.
 */
export function deliveryTo(
  endpoint: Pick<AppEndpoint, "id">,
  message: Pick<AppMessage, "environmentId" | "appId" | "id" | "createdAt">,
  how: { readonly manual: boolean; readonly dueAt: Millis; readonly now?: Millis },
): Delivery {
  const createdAt = how.now ?? (how.manual ? how.dueAt : message.createdAt);
  return {
    // Never by `dueAt`, which may lie ahead: ids of one process do not go back after one of the future was made.
    id: newId("dlv", createdAt),
    environmentId: message.environmentId,
    messageId: message.id,
    userId: null,
    tenantId: null,
    channel: "webhook",
    provider: APP_ENDPOINT,
    providerId: endpoint.id,
    leaf: "",
    state: "pending",
    dueAt: how.dueAt,
    leaseUntil: null,
    attempts: 0,
    startedAt: null,
    timeoutMs: TRY_FOR_MS,
    address: NOTHING,
    content: NO_CONTENT,
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
    tags: NO_TAGS,
    data: NOTHING,
    viaTenant: false,
    requestId: withPrefix("req", message.id),
    app: { id: message.appId, manual: how.manual },
  };
}
