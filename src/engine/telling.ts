/**
 * A message that goes to endpoints instead of a recipient: what an environment's operators are told, on the same ledger
 * as all else.
 */
import type { Millis } from "../lib/clock.ts";
import { newId, withPrefix } from "../lib/ids.ts";
import type { JsonObject } from "../lib/json.ts";
import { type Delivery, type EnvironmentId, type Message, NO_CONTENT, type Provider, type Request } from "./model.ts";
import type { Planned } from "./ports.ts";

/** The longest schedule of those who send to endpoints (channels/webhook/outbound.ts) ends 105 s before this. */
const TELL_FOR_MS: Millis = 3 * 24 * 3_600_000;

export type Telling = Planned & { readonly request: Request };

/** What is told. */
export interface Told {
  readonly environmentId: EnvironmentId;
  /** The id of what it is about. */
  readonly subject: string;
  readonly event: string;
  /** `body` is the very text that every try sends; what else there is, the endpoint's kind knows. */
  readonly content: JsonObject & { readonly body: string };
}

/** @param endpoints whom to tell; each has one delivery. */
export function telling(
  { environmentId, subject, event, content }: Told,
  endpoints: readonly Provider[],
  now: Millis,
): Telling {
  const request: Request = {
    id: newId("req", now),
    environmentId,
    state: "expanded",
    spec: {
      recipients: [],
      // The text is with the deliveries, which live as long.
      content: { kind: "inline", language: "", source: null },
      data: {},
      mode: "published",
      via: "outbound",
      event,
    },
    cursor: null,
    archivedAt: null,
    createdAt: now,
  };
  const message: Message = {
    id: withPrefix("msg", request.id),
    environmentId,
    requestId: request.id,
    state: "routed",
    reason: null,
    error: null,
    userId: null,
    recipient: subject,
    tenantId: null,
    entry: 0,
    viaTenant: false,
    listId: null,
    event,
    templateId: "",
    tags: [],
    traceId: null,
    preferences: null,
    storedProfile: null,
    plan: null,
    dueAt: null,
    leaseUntil: null,
    createdAt: now,
    plannedAt: now,
    sentAt: null,
    deliveredAt: null,
    openedAt: null,
    clickedAt: null,
    canceledAt: null,
    deadlineAt: now + TELL_FOR_MS,
    toEndpoints: true,
  };
  return { request, message, deliveries: endpoints.map((endpoint) => deliveryTo(endpoint, message, content)) };
}

function deliveryTo(endpoint: Provider, message: Message, raw: JsonObject): Delivery {
  const now = message.createdAt;
  return {
    id: newId("dlv", now),
    environmentId: message.environmentId,
    messageId: message.id,
    userId: null,
    tenantId: null,
    channel: "webhook",
    provider: endpoint.provider,
    providerId: endpoint.id,
    leaf: "",
    state: "pending",
    dueAt: now,
    leaseUntil: null,
    attempts: 0,
    startedAt: null,
    timeoutMs: TELL_FOR_MS,
    address: {},
    content: { ...NO_CONTENT, raw },
    override: null,
    error: null,
    reference: null,
    createdAt: now,
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
    requestId: message.requestId,
  };
}
