/** Requests, messages and deliveries with every field filled in, for suites that care about one or two of them. */
import type {
  Attempt,
  Delivery,
  EnvironmentId,
  InboxItem,
  Message,
  MessageEvent,
  Rendered,
  Request,
} from "../../src/engine/model.ts";
import type { Acceptance, Planned, Progress } from "../../src/engine/ports.ts";
import { newId, withPrefix } from "../../src/lib/ids.ts";

export const T0 = Date.UTC(2026, 0, 5, 12);

export function newEnvironmentId(): EnvironmentId {
  return newId("env", Date.now());
}

const CONTENT: Rendered = {
  subject: "",
  title: "Your parcel is here",
  html: "",
  text: "",
  body: "It waits at the counter until Friday.",
  imageUrl: null,
  clickUrl: null,
  actions: [],
  blocks: [{ type: "text", text: "It waits at the counter until Friday." }],
  links: [],
  raw: null,
};

export function aRequest(environmentId: EnvironmentId, over: Partial<Request> = {}): Request {
  return {
    id: newId("req", over.createdAt ?? T0),
    environmentId,
    state: "expanded",
    spec: {
      recipients: [{ kind: "user", userId: "ann", profile: {} }],
      content: { kind: "inline", language: "elemental", source: { title: "Your parcel is here" } },
      data: {},
      mode: "published",
      via: "courier",
    },
    cursor: null,
    archivedAt: null,
    createdAt: T0,
    ...over,
  };
}

export function aMessage(request: Request, over: Partial<Message> = {}): Message {
  const userId = over.userId === undefined ? "ann" : over.userId;
  return {
    id: newId("msg", over.createdAt ?? request.createdAt),
    environmentId: request.environmentId,
    requestId: request.id,
    state: "routed",
    reason: null,
    error: null,
    userId,
    recipient: over.recipient ?? userId ?? "ann@example.com",
    tenantId: null,
    entry: 0,
    viaTenant: false,
    listId: null,
    event: "parcel",
    templateId: "",
    tags: [],
    traceId: null,
    preferences: null,
    storedProfile: null,
    plan: null,
    dueAt: null,
    leaseUntil: null,
    createdAt: request.createdAt,
    plannedAt: request.createdAt,
    sentAt: null,
    deliveredAt: null,
    openedAt: null,
    clickedAt: null,
    canceledAt: null,
    deadlineAt: request.createdAt + 259_200_000,
    ...over,
  };
}

export function aDelivery(message: Message, over: Partial<Delivery> = {}): Delivery {
  const at = over.createdAt ?? message.createdAt;
  return {
    id: newId("dlv", at),
    environmentId: message.environmentId,
    messageId: message.id,
    userId: message.userId,
    tenantId: message.tenantId,
    channel: "email",
    provider: "smtp",
    providerId: "prv_0",
    leaf: "",
    state: "pending",
    dueAt: at,
    leaseUntil: null,
    attempts: 0,
    startedAt: null,
    timeoutMs: 60_000,
    address: { email: "ann@example.com" },
    content: CONTENT,
    override: null,
    error: null,
    reference: null,
    createdAt: at,
    sentAt: null,
    deliveredAt: null,
    seenAt: null,
    readAt: null,
    interactedAt: null,
    archivedAt: null,
    deletedAt: null,
    expiresAt: null,
    tags: message.tags,
    data: {},
    viaTenant: message.viaTenant,
    requestId: message.requestId,
    ...over,
  };
}

/** An item as the planner makes it: delivered at once. */
export function anItem(message: Message, over: Partial<Delivery> = {}): InboxItem {
  const at = over.createdAt ?? message.createdAt;
  return aDelivery(message, {
    channel: "inbox",
    provider: "courier",
    state: "delivered",
    address: {},
    sentAt: at,
    deliveredAt: at,
    ...over,
  }) as InboxItem;
}

export function accepting(
  request: Request,
  planned: readonly Planned[],
  idempotency: Acceptance["idempotency"] = null,
): Acceptance {
  return { request, planned, idempotency };
}

/** A send to one inbox, expanded at once: what the hot path is made of. Request and message share their bits. */
export function inboxSend(
  environmentId: EnvironmentId,
  userId: string,
  over: { readonly message?: Partial<Message>; readonly item?: Partial<Delivery>; readonly at?: number } = {},
): Acceptance & { readonly message: Message; readonly item: InboxItem } {
  const createdAt = over.at ?? T0;
  const request = aRequest(environmentId, { createdAt });
  const message = aMessage(request, {
    id: withPrefix("msg", request.id),
    state: "delivered",
    sentAt: createdAt,
    deliveredAt: createdAt,
    userId,
    ...over.message,
  });
  const item = anItem(message, over.item);
  return { ...accepting(request, [{ message, deliveries: [item] }]), message, item };
}

/** A send to one mail address, its delivery waiting to be claimed. */
export function mailSend(
  environmentId: EnvironmentId,
  over: { readonly message?: Partial<Message>; readonly delivery?: Partial<Delivery>; readonly at?: number } = {},
): Acceptance & { readonly message: Message; readonly delivery: Delivery } {
  const request = aRequest(environmentId, { createdAt: over.at ?? T0 });
  const message = aMessage(request, over.message);
  const delivery = aDelivery(message, over.delivery);
  return { ...accepting(request, [{ message, deliveries: [delivery] }]), message, delivery };
}

export function anAttempt(delivery: Delivery, over: Partial<Attempt> = {}): Attempt {
  return {
    id: newId("att", T0),
    environmentId: delivery.environmentId,
    messageId: delivery.messageId,
    deliveryId: delivery.id,
    number: 1,
    startedAt: T0,
    endedAt: T0 + 5,
    outcome: "sent",
    reason: null,
    statusCode: null,
    ...over,
  };
}

export function progressOf(
  delivery: Pick<Delivery, "environmentId" | "messageId" | "id">,
  kind: MessageEvent["kind"],
  state: Progress["state"],
  at: number,
): Progress {
  return {
    event: {
      id: newId("evt", at),
      environmentId: delivery.environmentId,
      messageId: delivery.messageId,
      deliveryId: delivery.id,
      kind,
      at,
      data: null,
    },
    state,
  };
}
