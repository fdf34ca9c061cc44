/** What the mutations of the GraphQL schema do: a user's changes of the user's own inbox. */
import type { Engine } from "../../engine/engine.ts";
import type { Delivery, InboxItem } from "../../engine/model.ts";
import type { ItemField } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import type { Resolvers } from "./graphql-schema.ts";
import { publicItemId, publicMessageId } from "./ids.ts";
import { shownActions } from "./inbox-content.ts";
import { type InboxContext, requireScope, requireWriting } from "./inbox-resolvers.ts";
import { parseTrackingId, signalOf, type Tracked } from "./tracking-ids.ts";

interface OfMessage {
  readonly messageId: string;
}

export const MUTATIONS: Resolvers<InboxContext> = {
  read: (_source, args: OfMessage, context) => mark(context, args, "read", true),
  unread: (_source, args: OfMessage, context) => mark(context, args, "read", false),
  opened: (_source, args: OfMessage, context) => mark(context, args, "seen", true),
  archive: (_source, args: OfMessage, context) => mark(context, args, "archived", true),
  unarchive: (_source, args: OfMessage, context) => mark(context, args, "archived", false),

  clicked(_source, { messageId, trackingId }: OfMessage & { trackingId?: string | null }, context) {
    requireWriting(context);
    return context.steps.run(() => click(context, messageId, trackingId || null));
  },

  markAllRead: (_source, _args, context) => markAll(context, "read-all"),
  archiveAll: (_source, _args, context) => markAll(context, "archive-all"),
  archiveRead: (_source, _args, context) => markAll(context, "archive-read"),

  updatePreferenceV2(_source, { templateId }: { templateId: string }, context) {
    requireScope(context, "write:preferences");
    throw new Refusal("not_found", `Topic ${templateId.slice(0, 100)} not found`);
  },

  // No message is ever pinned, so none is pinned afterwards.
  unpin(_source, { messageId }: OfMessage, context) {
    requireWriting(context);
    return context.steps.run(async () => (await context.steps.findItem(messageId)) !== null);
  },
  addTag: (_source, _args, context) => noTagging(context),
  removeTag: (_source, _args, context) => noTagging(context),

  trackEvent(_source, { trackingId }: { trackingId: string }, context) {
    requireWriting(context);
    return context.steps.run(() => track(context, trackingId));
  },

  batchTrackEvent(_source, { eventType }: { eventType: string }, context) {
    requireWriting(context);
    return context.steps.run(() => trackAll(context, eventType));
  },
};

function mark(context: InboxContext, args: OfMessage, field: ItemField, value: boolean): Promise<boolean> {
  requireWriting(context);
  return context.steps.mark(args.messageId, field, value);
}

function markAll(context: InboxContext, what: Parameters<Engine["inbox"]["markAll"]>[2]): Promise<true> {
  requireWriting(context);
  const { courier, environment, userId, actor, shown, steps } = context;
  return steps.run(async () => {
    await courier.engine.inbox.markAll(environment.id, userId, what, actor, shown);
    return true as const;
  });
}

/** @param trackingId the message's click id or that of one of its actions; any other records nothing. */
async function click(context: InboxContext, publicId: string, trackingId: string | null): Promise<boolean> {
  const item = await context.steps.findItem(publicId);
  if (item === null) return false;
  const detail: { trackingId?: string; href?: string } = {};
  if (trackingId !== null) {
    const tracked = ownTracked(context, trackingId);
    if (tracked === null || tracked.deliveryId !== item.id) return false;
    if (tracked.kind !== "click" && tracked.kind !== "action") return false;
    detail.trackingId = trackingId;
    const action = tracked.kind === "action" ? shownActions(item.content)[tracked.index] : undefined;
    if (action !== undefined) detail.href = action.href;
  }
  const { courier, environment, actor } = context;
  return (await courier.engine.inbox.track(environment.id, item.id, "clicked", detail, actor)) !== null;
}

/** What the id itself says happened. @returns null for an id that is unknown or of another user. */
async function track(context: InboxContext, trackingId: string): Promise<{ id: string } | null> {
  const { courier, environment, userId, actor } = context;
  const tracked = ownTracked(context, trackingId);
  const signal = tracked === null ? null : signalOf(tracked.kind);
  if (tracked === null || signal === null) return null;
  const delivery = await courier.engine.messages.readDelivery(environment.id, tracked.deliveryId);
  if (delivery === null || delivery.userId !== userId) return null;
  await courier.engine.inbox.track(environment.id, delivery.id, signal, { trackingId }, actor);
  return { id: isItem(delivery) ? publicItemId(delivery) : publicMessageId(delivery) };
}

function ownTracked(context: InboxContext, trackingId: string): Tracked | null {
  const { environment } = context;
  return parseTrackingId(trackingId, (id) => (id === environment.id ? environment : undefined));
}

/** All of the user's messages at once, in all tenants. */
async function trackAll(context: InboxContext, eventType: string): Promise<{ ids: readonly string[] }> {
  const { courier, environment, userId, actor, shown } = context;
  const { inbox } = courier.engine;
  const kind = eventType.toLowerCase();
  if (kind === "read" || kind === "archive") {
    const what = kind === "read" ? "read-all" : "archive-all";
    return { ids: (await inbox.markAll(environment.id, userId, what, actor, shown)).map(publicItemId) };
  }
  if (kind !== "opened") throw new Refusal("invalid", "Expected read, opened or archive", { field: "eventType" });
  const opened = { field: "seen", value: true, again: "keep" } as const;
  const filter = { ...shown, userId, seen: false };
  return { ids: (await inbox.changeWhere(environment.id, filter, opened, actor)).names.map(publicItemId) };
}

function isItem(delivery: Delivery): delivery is InboxItem {
  return delivery.channel === "inbox";
}

function noTagging(context: InboxContext): never {
  requireWriting(context);
  throw new Refusal("not_implemented", "Tags of a message cannot be changed");
}
