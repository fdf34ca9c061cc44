/** Messages and what was rendered for them, as Courier shows them. Pure. */
import type { Channel, Delivery, Message, MessageEvent, Rendered } from "../../engine/model.ts";
import type { MessageRecord } from "../../engine/ports.ts";
import type { Millis } from "../../lib/clock.ts";
import type { JsonObject } from "../../lib/json.ts";
import { publicMessageId, toCourierId } from "./ids.ts";
import { RESERVED_PREFIX } from "./wire.ts";

export interface MessageDetails {
  readonly id: string;
  readonly status: string;
  readonly enqueued: Millis;
  readonly event: string;
  readonly notification: string;
  readonly recipient: string;
  readonly recipientId?: string;
  readonly sent?: Millis;
  readonly delivered?: Millis;
  readonly opened?: Millis;
  readonly clicked?: Millis;
  readonly canceledAt?: Millis;
  readonly error: string | null;
  readonly reason: string | null;
  readonly listId?: string;
  readonly listMessageId?: string;
}

const NOTHING_MAPPED = "the event is mapped to no template, or names no user";

/** How the id of a message is spelled outside. */
export function idOf(message: Message): string {
  return publicMessageId({ ...message, messageId: message.id });
}

export function messageDetails(message: Message): MessageDetails {
  const id = idOf(message);
  const onlyTracked = isOnlyTracked(message);
  const unnamed = onlyTracked ? "" : id;
  return {
    id,
    status: message.state.toUpperCase(),
    enqueued: message.createdAt,
    // A message without event or address is called by its own id, which outside has another spelling.
    event: message.event === "" ? id : message.event,
    notification: onlyTracked ? "" : message.templateId,
    recipient: message.recipient === message.id ? unnamed : message.recipient,
    ...(message.userId === null ? {} : { recipientId: message.userId }),
    ...present("sent", message.sentAt),
    ...present("delivered", message.deliveredAt),
    ...present("opened", message.openedAt),
    ...present("clicked", message.clickedAt),
    ...present("canceledAt", message.canceledAt),
    error: onlyTracked && message.error !== null ? NOTHING_MAPPED : message.error,
    reason: message.reason === null ? null : message.reason.toUpperCase(),
    ...(message.listId === null ? {} : { listId: message.listId, listMessageId: toCourierId(message.requestId) }),
  };
}

/** A tracked event that sent nothing: the name it looked for a template under is ours, and tells nobody anything. */
export function isOnlyTracked(message: Message): boolean {
  return message.templateId.startsWith(RESERVED_PREFIX);
}

/** The body of `GET /messages/{id}`, which outbound webhooks carry as well. */
export function messageRecord(record: MessageRecord) {
  return { ...messageDetails(record.message), providers: messageProviders(record) };
}

/** One entry for each delivery that a provider accepted or refused for good. */
export function messageProviders(record: MessageRecord): readonly JsonObject[] {
  return record.deliveries
    .filter(({ state }) => state === "sent" || state === "delivered" || state === "failed")
    .map((delivery) => {
      const events = record.events.filter((event) => event.deliveryId === delivery.id);
      const delivered = delivery.deliveredAt ?? first(events, ["delivered"]);
      const opened = first(events, ["opened"]);
      const clicked = first(events, ["clicked"]);
      const name = courierChannel(delivery.channel);
      return {
        channel: { key: name, name, template: record.message.templateId },
        provider: delivery.provider,
        status: providerStatus(delivery, events, delivered, opened, clicked),
        ...present("sent", delivery.sentAt),
        ...present("delivered", delivered),
        ...present("opened", opened),
        ...present("clicked", clicked),
        ...(delivery.error === null || delivery.state !== "failed" ? {} : { error: delivery.error }),
        ...(delivery.reference === null ? {} : { reference: delivery.reference }),
      };
    });
}

function providerStatus(
  delivery: Delivery,
  events: readonly MessageEvent[],
  delivered: Millis | null,
  opened: Millis | null,
  clicked: Millis | null,
): string {
  if (delivery.state === "failed") return "UNDELIVERABLE";
  if (clicked !== null) return "CLICKED";
  if (opened !== null) return "OPENED";
  if (delivered !== null) return "DELIVERED";
  return events.some((event) => event.kind === "bounced") ? "UNDELIVERABLE" : "SENT";
}

function first(events: readonly MessageEvent[], kinds: readonly MessageEvent["kind"][]): Millis | null {
  const times = events.filter((event) => kinds.includes(event.kind)).map((event) => event.at);
  return times.length === 0 ? null : Math.min(...times);
}

function present<N extends string>(name: N, at: Millis | null): { readonly [key in N]?: Millis } {
  return (at === null ? {} : { [name]: at }) as { readonly [key in N]?: Millis };
}

/** Courier's name of a channel. */
export function courierChannel(channel: Channel): string {
  return channel === "chat" ? "direct_message" : channel;
}

export interface OutputContent {
  readonly subject: string;
  readonly title: string;
  readonly body: string;
  readonly html: string;
  readonly text: string;
  readonly blocks: readonly { readonly type: string; readonly text: string }[];
}

/** The parts that have an address of their own, in the order in which they are told. */
export const OUTPUT_PARTS = ["html", "title", "body", "subject", "blocks", "text"] as const;
export type OutputPart = (typeof OUTPUT_PARTS)[number];

/** What each channel shows of its content; the rest stays empty. */
const SHOWN: { readonly [channel in Channel]: readonly OutputPart[] } = {
  email: ["subject", "html", "text", "blocks"],
  sms: ["body", "text", "blocks"],
  push: ["title", "body", "text", "blocks"],
  inbox: ["title", "body", "text", "blocks"],
  chat: ["body", "text", "blocks"],
  webhook: ["title", "body", "text", "blocks"],
};

/** All six keys, on every channel. */
export function outputContent(channel: Channel, content: Rendered): OutputContent {
  const shown = SHOWN[channel];
  const text = (part: Exclude<OutputPart, "blocks">): string => (shown.includes(part) ? content[part] : "");
  return {
    subject: text("subject"),
    title: text("title"),
    body: text("body"),
    html: text("html"),
    text: text("text"),
    blocks: content.blocks,
  };
}

/** One item for each channel that something was rendered for; of several tries the last. */
export function messageOutput(deliveries: readonly Delivery[]): readonly {
  readonly channel: string;
  readonly channel_id: string;
  readonly content: OutputContent;
}[] {
  const latest = new Map<Channel, Delivery>();
  for (const delivery of byAge(deliveries)) latest.set(delivery.channel, delivery);
  return [...latest.values()].map(({ channel, content }) => ({
    channel: courierChannel(channel),
    channel_id: courierChannel(channel),
    content: outputContent(channel, content),
  }));
}

/** Oldest first. Stores list deliveries newest first. */
export function byAge(deliveries: readonly Delivery[]): readonly Delivery[] {
  return deliveries.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

/** Where one part of the content can be read on its own, relative to the root of the facade. */
export function outputPath(messageId: string, channel: Channel, part: OutputPart): string {
  return `/messages/${encodeURIComponent(messageId)}/output/${courierChannel(channel)}/${part}`;
}
