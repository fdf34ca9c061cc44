/** Messages as Knock shows them: a message of Knock's is a delivery. */
import type { Delivery, EnvironmentId, Message } from "../../engine/model.ts";
import type { DeliverySignal } from "../../engine/ports.ts";
import { CHANNEL_OF, isUser, type PartyRef, partyOf, USERS } from "../../engine/workflow/model.ts";
import type { StepChannel } from "../../engine/workflow/workflows.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { toMessageId, toUuid } from "./ids.ts";
import type { Knock } from "./knock.ts";
import { UNNAMED } from "./message-source.ts";
import { changedAt, engagementOf, linkClickedAt, statusOf } from "./message-status.ts";
import { showRef, toIso } from "./wire.ts";

/** Actors that a message names. */
const MAX_ACTORS = 10;

/** What is shown of a delivery comes from all of these. */
export interface Told {
  readonly delivery: Delivery;
  /** Null when it was thrown away with its time, and only the delivery is left. */
  readonly message: Message | null;
  /** Of this delivery. */
  readonly signals: readonly DeliverySignal[];
}

/** Looks up what showing them takes, each kind once for all. In the order given. */
export async function messageViews(
  { engine }: Knock,
  environmentId: EnvironmentId,
  deliveries: readonly Delivery[],
): Promise<readonly JsonObject[]> {
  if (deliveries.length === 0) return [];
  const ids = [...new Set(deliveries.map(({ messageId }) => messageId))];
  const [channels, messages, signals] = await Promise.all([
    engine.workflows.channels(environmentId),
    engine.messages.readMessages(environmentId, ids),
    engine.messages.signals(environmentId, ids),
  ]);
  const messageOf = new Map(messages.map((message) => [message.id, message]));
  const signalsOf = Map.groupBy(signals, ({ deliveryId }) => deliveryId);
  return deliveries.map((delivery) => {
    const message = messageOf.get(delivery.messageId) ?? null;
    return messageView({ delivery, message, signals: signalsOf.get(delivery.id) ?? [] }, channels);
  });
}

export function messageView({ delivery, message, signals }: Told, channels: readonly StepChannel[]): JsonObject {
  const { origin, data, tenantId, requestId, messageId } = delivery;
  const channel = channelView(delivery, channels);
  const followedAt = linkClickedAt(signals);
  const key = message?.event || UNNAMED;
  return {
    __typename: "Message",
    id: toMessageId(delivery.id),
    channel_id: channel.id,
    channel,
    recipient: showRef(recipientOf(delivery, message)),
    actors: (origin?.actors ?? []).slice(0, MAX_ACTORS).map(showRef),
    status: statusOf(delivery, signals),
    engagement_statuses: engagementOf(delivery, signals),
    // Of a batch, what its newest trigger said.
    data: origin?.newestData ?? origin?.activities?.at(-1)?.data ?? data,
    metadata: nameAtProvider(delivery),
    tenant: tenantId,
    workflow: key,
    source: {
      __typename: "NotificationSource",
      key,
      categories: origin?.categories ?? message?.tags ?? delivery.tags,
      version_id: toUuid(origin?.versionId ?? requestId),
      step_ref: origin?.ref ?? null,
      type: message?.run?.source.type === "broadcast" ? "broadcast" : "workflow",
      workflow_run_id: origin === undefined ? null : toUuid(requestId),
      workflow_recipient_run_id: origin === undefined ? null : toUuid(messageId),
    },
    recipient_snapshot: snapshotOf(delivery),
    scheduled_at: origin?.scheduled === true ? toIso(delivery.dueAt) : null,
    seen_at: toIso(delivery.seenAt),
    read_at: toIso(delivery.readAt),
    interacted_at: toIso(delivery.interactedAt),
    clicked_at: toIso(followedAt),
    link_clicked_at: toIso(followedAt),
    archived_at: toIso(delivery.archivedAt),
    inserted_at: toIso(delivery.createdAt),
    updated_at: toIso(changedAt(delivery, signals)),
  };
}

/** Whom the delivery's run was for. What another facade sent to a mere address has that for a user. */
export function recipientOf({ userId }: Pick<Delivery, "userId">, message: Message | null): PartyRef {
  if (userId !== null) return { collection: USERS, id: userId };
  if (message?.run !== undefined) return message.run.recipient;
  const recipient = message?.recipient ?? "";
  const named = recipient.includes("/") ? partyOf(recipient) : null;
  return named === null || isUser(named) ? { collection: USERS, id: recipient } : named;
}

/** A delivery of another facade is shown under the first channel of its kind. */
function channelView(delivery: Delivery, channels: readonly StepChannel[]): JsonObject & { readonly id: string } {
  const { origin, provider, providerId, createdAt } = delivery;
  const found =
    origin === undefined
      ? channels.find(({ type }) => CHANNEL_OF[type] === delivery.channel)
      : channels.find(({ id }) => id === origin.channelId);
  const shown = found ?? {
    // It was taken away since.
    id: origin?.channelId ?? toUuid(providerId),
    key: null,
    name: null,
    type: TYPE_OF[delivery.channel],
    createdAt,
    updatedAt: createdAt,
  };
  return {
    id: shown.id,
    key: shown.key,
    name: shown.name,
    provider: shown.type === "in_app_feed" ? "in_app_feed" : provider,
    type: shown.type,
    created_at: toIso(shown.createdAt),
    updated_at: toIso(shown.updatedAt),
  };
}

const TYPE_OF: { readonly [channel in Delivery["channel"]]: StepChannel["type"] } = {
  inbox: "in_app_feed",
  email: "email",
  sms: "sms",
  push: "push",
  chat: "chat",
  webhook: "http",
};

/** The provider's own name for the message, by which its log and its webhooks speak of it. */
function nameAtProvider({ reference }: Delivery): JsonObject | null {
  const id = text(reference?.message_id);
  return id === null ? null : { external_id: id };
}

function text(value: Json | undefined): string | null {
  return typeof value === "string" ? value : null;
}

function snapshotOf({ channel, address }: Delivery): JsonObject | null {
  if (channel === "email") return { email: text(address.email), name: text(address.name) };
  if (channel !== "chat") return null;
  const [to] = Object.values(address).filter(isObject);
  return {
    channel_id: text(to?.channel_id) ?? text(to?.channel),
    user_id: text(to?.user_id),
    via_incoming_webhook: isObject(to?.incoming_webhook),
  };
}
