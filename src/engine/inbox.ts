import type { Clock, Millis } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import type { JsonObject } from "../lib/json.ts";
import type { Actor, DeliveryMark, InboxActions, ItemName } from "./engine.ts";
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

  async function mark(
    environmentId: EnvironmentId,
    userId: string,
    messageId: MessageId,
    field: ItemField,
    value: boolean,
    actor: Actor,
  ): Promise<InboxItem | null> {
    const item = await findItem(environmentId, userId, messageId);
    if (item === null) return null;
    const [changed] = await change(
      environmentId,
      userId,
      [{ deliveryId: item.id, field, value, again: "keep" }],
      actor,
    );
    return (changed ?? null) as InboxItem | null;
  }

  async function change(
    environmentId: EnvironmentId,
    userId: string | null,
    marks: readonly DeliveryMark[],
    actor: Actor,
  ): Promise<readonly (Delivery | null)[]> {
    if (marks.length === 0) return [];
    const at = clock.now();
    const changed = await inbox.change(environmentId, userId, marks, at, (made, delivery) =>
      // The store hands back the changes it was given.
      historyOfMark(made as DeliveryMark, delivery, at),
    );
    const last = new Map<DeliveryId, Delivery>();
    const events: InboxEvent[] = [];
    changed.forEach((result, n) => {
      const { field, value } = marks[n] as DeliveryMark;
      const { item } = result;
      if (item === null) return;
      last.set(item.id, item);
      if (result.changed) events.push(...changeEvents([item], field, value, actor, at));
    });
    if (events.length > 0) bus.publish(events);
    return marks.map((mark) => last.get(mark.deliveryId) ?? null);
  }

  async function changeWhere(
    environmentId: EnvironmentId,
    filter: InboxFilter,
    made: Omit<DeliveryMark, "deliveryId">,
    actor: Actor,
  ): ReturnType<InboxActions["changeWhere"]> {
    const at = clock.now();
    const { field, value } = made;
    const until = Math.min(filter.until ?? Number.POSITIVE_INFINITY, at + 1);
    let count = 0;
    const names: ItemName[] = [];
    await inbox.changeAll(
      environmentId,
      { ...filter, until },
      made,
      at,
      (delivery) => historyOfMark({ ...made, deliveryId: delivery.id }, delivery, at),
      (items) => {
        count += items.length;
        names.push(...items.slice(0, REPORTED_AT_MOST - names.length).map(nameOf));
        bus.publish(changeEvents(items, field, value, actor, at));
      },
    );
    return { count, names };
  }

  async function markAll(
    environmentId: EnvironmentId,
    userId: string,
    what: "read-all" | "archive-all" | "archive-read",
    actor: Actor,
    of: Pick<InboxFilter, "via"> = {},
  ): Promise<readonly ItemName[]> {
    const at = clock.now();
    const { filter, field } = BULK[what];
    const change = { field, value: true, again: "keep" } as const;
    const changed: ItemName[] = [];
    await inbox.changeAll(
      environmentId,
      { ...filter, ...of, userId },
      change,
      at,
      (delivery) => historyOf({ ...change, deliveryId: delivery.id }, delivery, at),
      (items) => changed.push(...items.slice(0, REPORTED_AT_MOST - changed.length).map(nameOf)),
    );
    if (changed.length > 0) bus.publish([{ kind: "changed-all", environmentId, userId, what, ...actor }]);
    return changed;
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
    const ofWorkflow = delivery.origin !== undefined;
    // The opening of a mail is its being read, for what workflows sent; elsewhere the two are apart.
    const isReading = ofWorkflow && delivery.channel === "email" && signal === "opened";
    const mark = MARK_OF[isReading ? "read" : signal];
    // A page that shows an item of an inbox says `clicked` of the item; elsewhere there is nothing to click but links.
    const followed = signal === "followed" || (signal === "clicked" && delivery.channel !== "inbox");
    if (followed && ofWorkflow) {
      await followedLink(delivery, actor, at, detail);
    } else if (mark !== undefined) {
      await markDelivery(delivery, mark.field, mark.value, actor, at, detail);
      // What the steps of a workflow send are messages of their own: none speaks for another.
      if (delivery.channel !== "inbox" && !ofWorkflow) await followInInbox(delivery, signal, actor);
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
   * In what a workflow sent, following a link and interacting with the whole are two things: the first is kept in the
   * history only. Whoever follows a link in a short text has read it.
   */
  async function followedLink(delivery: Delivery, actor: Actor, at: Millis, detail: JsonObject | null): Promise<void> {
    await inbox.progress(delivery.environmentId, [progress(delivery, "clicked", at, "clicked", detail)]);
    const isShort = delivery.channel === "sms" || delivery.channel === "chat";
    if (isShort) await markDelivery(delivery, "read", true, actor, at, null);
  }

  /**
   * What is read elsewhere is read in the inbox as well, and the other way round for unread. Who has opened the mail of
   * a message has read it.
   */
  async function followInInbox(delivery: Delivery, signal: string, actor: Actor): Promise<void> {
    const { environmentId, messageId, userId, channel } = delivery;
    const read = signal === "read" || (signal === "opened" && channel === "email");
    if (userId === null || (!read && signal !== "unread")) return;
    await mark(environmentId, userId, messageId, "read", read, actor);
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
    piles: (environmentId, filter, now) => inbox.piles(environmentId, filter, now),
    brief: (environmentId, filter, now, page) => inbox.brief(environmentId, filter, now, page),
    stamp: (environmentId, userId) => inbox.stamp(environmentId, userId),
    itemsOf: (environmentId, messageIds) => inbox.itemsOf(environmentId, messageIds),
    everGot: (environmentId, userId, now, page) => inbox.everGot(environmentId, userId, now, page),
    readByMessage: findItem,
    mark,
    change,
    changeWhere,
    markAll,
    track,
  };
}

const REPORTED_AT_MOST = 10_000;

/** Without its content: there may be many. */
function nameOf({ id, messageId, requestId, userId, viaTenant, origin }: InboxItem): ItemName {
  return { id, messageId, requestId, userId, viaTenant, ...(origin === undefined ? {} : { origin }) };
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

/** What sockets are told of changed deliveries: of those that lie in an inbox. */
function changeEvents(
  deliveries: readonly Delivery[],
  field: ItemField,
  value: boolean,
  actor: Actor,
  at: Millis,
): readonly InboxEvent[] {
  return deliveries.flatMap((delivery): InboxEvent[] => {
    const { environmentId, userId, channel } = delivery;
    if (channel !== "inbox" || userId === null || hasExpired(delivery, at)) return [];
    // What is no longer listed may still be marked by its sender; that is nothing to a list.
    if (delivery.deletedAt !== null && field !== "deleted") return [];
    return [{ kind: "changed", environmentId, userId, item: delivery as InboxItem, field, value, ...actor }];
  });
}

function hasExpired({ expiresAt }: Delivery, now: Millis): boolean {
  return expiresAt !== null && expiresAt <= now;
}

/** Signals that change an item's own state; the others only move the message on. */
const MARK_OF: { readonly [signal: string]: { readonly field: ItemField; readonly value: boolean } } = {
  opened: { field: "seen", value: true },
  clicked: { field: "interacted", value: true },
  followed: { field: "interacted", value: true },
  read: { field: "read", value: true },
  unread: { field: "read", value: false },
  archived: { field: "archived", value: true },
};

function historyOfMark(mark: DeliveryMark, delivery: Delivery, at: Millis): readonly Progress[] {
  const { field, value, detail = null } = mark;
  if (mark.named === true && field === "seen") {
    return [progress(delivery, value ? "seen" : "unseen", at, value ? "opened" : null, detail)];
  }
  if (mark.named === true && field === "interacted") {
    return [progress(delivery, "interacted", at, "clicked", detail)];
  }
  return historyOf(mark, delivery, at, detail);
}

/** What a change of an item adds to the history of its message. */
export function historyOf(
  change: ItemChange,
  delivery: Delivery,
  at: Millis,
  detail: JsonObject | null = null,
): readonly Progress[] {
  switch (change.field) {
    case "seen":
      if (change.value) return [progress(delivery, "opened", at, "opened", detail)];
      return delivery.origin === undefined ? [] : [progress(delivery, "unseen", at, null, detail)];
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
  const event = { id: newId("evt", at), environmentId, messageId, deliveryId, kind, at, data };
  return delivery.origin === undefined ? { event, state } : { event, state, happens: true };
}
