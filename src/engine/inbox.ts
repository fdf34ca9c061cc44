import type { Clock, Millis } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import type { JsonObject } from "../lib/json.ts";
import type { Actor, InboxActions } from "./engine.ts";
import type { Delivery, DeliveryId, EnvironmentId, InboxItem, MessageEventKind, MessageId } from "./model.ts";
import type { Bus, InboxEvent, InboxFilter, ItemChange, ItemField, Progress, Store } from "./ports.ts";

/** What users do with what they got: each change is committed first, then told to the user's sockets. */
export function inboxActions(store: Store, bus: Bus, clock: Clock): InboxActions {
  const { inbox } = store;

  /** What has expired is gone for its user, whether or not it has been ended yet. */
  async function findItem(
    environmentId: EnvironmentId,
    userId: string,
    messageId: MessageId,
  ): Promise<InboxItem | null> {
    const item = await inbox.readByMessage(environmentId, userId, messageId);
    return item === null || hasExpired(item, clock.now()) ? null : item;
  }

  async function apply(
    environmentId: EnvironmentId,
    userId: string,
    marks: readonly { messageId: MessageId; field: ItemField; value: boolean }[],
    actor: Actor,
  ): Promise<readonly (InboxItem | null)[]> {
    const items = await Promise.all(marks.map((mark) => findItem(environmentId, userId, mark.messageId)));
    const changes: ItemChange[] = [];
    const places: number[] = [];
    marks.forEach((mark, i) => {
      const item = items[i];
      if (item == null) return;
      changes.push({ deliveryId: item.id, field: mark.field, value: mark.value, again: "keep" });
      places.push(i);
    });
    const results: (InboxItem | null)[] = marks.map(() => null);
    if (changes.length === 0) return results;
    const at = clock.now();
    const changed = await inbox.change(environmentId, userId, changes, at, (change, delivery) =>
      historyOf(change, delivery, at),
    );
    const events: InboxEvent[] = [];
    changed.forEach((result, n) => {
      const change = changes[n] as ItemChange;
      const item = result.item as InboxItem | null;
      results[places[n] as number] = item;
      if (item === null || !result.changed) return;
      events.push({ kind: "changed", environmentId, userId, item, field: change.field, value: change.value, ...actor });
    });
    if (events.length > 0) bus.publish(events);
    return results;
  }

  async function markAll(
    environmentId: EnvironmentId,
    userId: string,
    what: "read-all" | "archive-all" | "archive-read",
    actor: Actor,
  ): Promise<readonly MessageId[]> {
    const at = clock.now();
    const { filter, field } = BULK[what];
    const change = { field, value: true, again: "keep" } as const;
    const ids = await inbox.changeAll(environmentId, { ...filter, userId }, change, at, (delivery) =>
      historyOf({ ...change, deliveryId: delivery.id }, delivery, at),
    );
    if (ids.length > 0) bus.publish([{ kind: "changed-all", environmentId, userId, what, ...actor }]);
    return ids;
  }

  async function track(
    environmentId: EnvironmentId,
    deliveryId: DeliveryId,
    signal: Parameters<InboxActions["track"]>[2],
    detail: JsonObject | null,
    actor: Actor,
  ): Promise<MessageId | null> {
    const delivery = await store.messages.readDelivery(environmentId, deliveryId);
    if (delivery === null) return null;
    const at = clock.now();
    const mark = MARK_OF[signal];
    if (mark !== undefined) {
      await markDelivery(delivery, mark.field, mark.value, actor, at, detail);
      if (delivery.channel !== "inbox") await followInInbox(delivery, signal, actor);
    } else if (signal !== "delivered" || !(await isKnownDelivered(delivery))) {
      const state = signal === "bounced" ? "undeliverable" : "delivered";
      await inbox.progress(environmentId, [progress(delivery, signal as MessageEventKind, at, state, detail)]);
    }
    return delivery.messageId;
  }

  async function markDelivery(
    delivery: Delivery,
    field: ItemField,
    value: boolean,
    actor: Actor,
    at: Millis,
    detail: JsonObject | null,
  ): Promise<void> {
    const { environmentId } = delivery;
    const change: ItemChange = { deliveryId: delivery.id, field, value, again: "keep" };
    const [result] = await inbox.change(environmentId, null, [change], at, (made, row) =>
      historyOf(made, row, at, detail),
    );
    const item = result?.item ?? null;
    if (item === null) return;
    // Every click is told and kept, also the second one on the same link.
    const again = field === "interacted" && result?.changed === false;
    if (again) await inbox.progress(environmentId, [progress(delivery, "clicked", at, "clicked", detail)]);
    if (item.channel !== "inbox" || item.userId === null || (result?.changed === false && !again)) return;
    if (hasExpired(item, at)) return;
    const told = field === "interacted" ? "clicked" : field;
    bus.publish([
      { kind: "changed", environmentId, userId: item.userId, item: item as InboxItem, field: told, value, ...actor },
    ]);
  }

  /**
   * What is read elsewhere is read in the inbox as well, and the other way round for unread. Who has opened the mail of
   * a message has read it.
   */
  async function followInInbox(delivery: Delivery, signal: string, actor: Actor): Promise<void> {
    const { environmentId, messageId, userId, channel } = delivery;
    const read = signal === "read" || (signal === "opened" && channel === "email");
    if (userId === null || (!read && signal !== "unread")) return;
    await apply(environmentId, userId, [{ messageId, field: "read", value: read }], actor);
  }

  /**
   * A delivery arrives once, but every tab of a browser tells of it: without this each would add to the history, and so
   * could anybody who has the address. An inbox item has arrived when it is stored.
   */
  async function isKnownDelivered({ environmentId, messageId, id, channel }: Delivery): Promise<boolean> {
    if (channel === "inbox") return true;
    const record = await store.messages.read(environmentId, messageId);
    return record?.events.some((event) => event.kind === "delivered" && event.deliveryId === id) ?? false;
  }

  return {
    list: (environmentId, filter, now, page) => inbox.list(environmentId, filter, now, page),
    count: (environmentId, filter, now) => inbox.count(environmentId, filter, now),
    readByMessage: findItem,
    mark: async (environmentId, userId, messageId, field, value, actor) =>
      (await apply(environmentId, userId, [{ messageId, field, value }], actor))[0] ?? null,
    markMany: apply,
    markAll,
    track,
  };
}

const BULK: {
  readonly [what in "read-all" | "archive-all" | "archive-read"]: {
    filter: Omit<InboxFilter, "userId">;
    field: ItemField;
  };
} = {
  // Archived items are marked too: clients show no unread ones anywhere afterwards.
  "read-all": { filter: { read: false }, field: "read" },
  "archive-all": { filter: { archived: false }, field: "archived" },
  "archive-read": { filter: { archived: false, read: true }, field: "archived" },
};

function hasExpired({ expiresAt }: Delivery, now: Millis): boolean {
  return expiresAt !== null && expiresAt <= now;
}

/** Signals that change an item's own state; the others only move the message on. */
const MARK_OF: { readonly [signal: string]: { readonly field: ItemField; readonly value: boolean } } = {
  opened: { field: "seen", value: true },
  clicked: { field: "interacted", value: true },
  read: { field: "read", value: true },
  unread: { field: "read", value: false },
  archived: { field: "archived", value: true },
};

/** What a change of an item adds to the history of its message. */
export function historyOf(
  change: ItemChange,
  delivery: Delivery,
  at: Millis,
  detail: JsonObject | null = null,
): readonly Progress[] {
  switch (change.field) {
    case "seen":
      return change.value ? [progress(delivery, "opened", at, "opened", detail)] : [];
    case "interacted": {
      const clicked = progress(delivery, "clicked", at, "clicked", detail);
      // Who followed a link in a mail has opened the mail, whether or not its images were loaded.
      const opened = delivery.channel !== "inbox" && delivery.seenAt === null;
      return opened ? [progress(delivery, "opened", at, "opened", null), clicked] : [clicked];
    }
    case "read":
      return [progress(delivery, change.value ? "read" : "unread", at, null, detail)];
    case "archived":
      return [progress(delivery, change.value ? "archived" : "unarchived", at, null, detail)];
    case "deleted":
      return [];
  }
}

function progress(
  delivery: Delivery,
  kind: MessageEventKind,
  at: Millis,
  state: Progress["state"],
  data: JsonObject | null,
): Progress {
  const { environmentId, messageId, id: deliveryId } = delivery;
  return { event: { id: newId("evt", at), environmentId, messageId, deliveryId, kind, at, data }, state };
}
