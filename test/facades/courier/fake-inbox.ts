/** An engine that knows inboxes only, kept in memory: enough for the inbox facade to be tested without a database. */
import type { Engine, InboxActions } from "../../../src/engine/engine.ts";
import type { Delivery, InboxItem, MessageId, RenderedAction } from "../../../src/engine/model.ts";
import type { Bus, InboxEvent, InboxFilter, ItemField } from "../../../src/engine/ports.ts";
import type { FakeClock } from "../../../src/lib/clock.ts";
import { newId, withPrefix } from "../../../src/lib/ids.ts";
import type { JsonObject } from "../../../src/lib/json.ts";

const COLUMN = {
  seen: "seenAt",
  read: "readAt",
  interacted: "interactedAt",
  archived: "archivedAt",
  deleted: "deletedAt",
} as const satisfies { [field in ItemField]: keyof Delivery };

export interface FakeMessage {
  readonly userId: string;
  readonly tenantId?: string;
  readonly title?: string;
  readonly body?: string;
  readonly data?: JsonObject;
  readonly tags?: readonly string[];
  readonly actions?: readonly { content: string; href: string }[];
  readonly links?: readonly string[];
  readonly viaTenant?: boolean;
  readonly channel?: Delivery["channel"];
}

export class FakeInbox {
  readonly items: Delivery[] = [];
  /** How often each action was called. */
  readonly calls: Record<string, number> = {};
  readonly history: { readonly messageId: MessageId; readonly kind: string; readonly detail: unknown }[] = [];
  readonly engine: Engine;
  readonly #bus: Bus;
  readonly #clock: FakeClock;
  readonly #environmentId: Delivery["environmentId"];

  constructor(bus: Bus, clock: FakeClock, environmentId: Delivery["environmentId"]) {
    this.#bus = bus;
    this.#clock = clock;
    this.#environmentId = environmentId;
    // The facade's inbox uses these parts of the engine only.
    this.engine = {
      clock,
      inbox: this.#actions(),
      messages: {
        readDelivery: async (environment: string, id: string) =>
          this.items.find((item) => item.environmentId === environment && item.id === id) ?? null,
        findByUser: async (_environment: string, requestId: string, userId: string) =>
          this.items.find((item) => item.requestId === requestId && item.userId === userId)?.messageId ?? null,
      },
    } as unknown as Engine;
  }

  add(message: FakeMessage): Delivery {
    const now = this.#clock.now();
    const id = newId("dlv", now);
    const item = {
      id,
      environmentId: this.#environmentId,
      messageId: withPrefix("msg", id),
      requestId: message.viaTenant ? newId("req", now) : withPrefix("req", id),
      viaTenant: message.viaTenant ?? false,
      userId: message.userId,
      tenantId: message.tenantId ?? null,
      channel: message.channel ?? "inbox",
      state: "delivered",
      content: {
        title: message.title ?? "Title",
        body: message.body ?? "Body",
        html: "",
        text: message.body ?? "Body",
        subject: "",
        imageUrl: null,
        clickUrl: null,
        actions: (message.actions ?? []).map(
          (action): RenderedAction => ({ ...action, actionId: null, style: "button", backgroundColor: null }),
        ),
        blocks: [{ type: "text", text: message.body ?? "Body" }],
        links: message.links ?? [],
        raw: null,
      },
      data: message.data ?? {},
      tags: message.tags ?? [],
      createdAt: now,
      deliveredAt: now,
      seenAt: null,
      readAt: null,
      interactedAt: null,
      archivedAt: null,
      deletedAt: null,
      expiresAt: null,
    } as unknown as Delivery;
    this.items.push(item);
    if (item.channel === "inbox") {
      this.#bus.publish([
        { kind: "added", environmentId: item.environmentId, userId: message.userId, item: item as InboxItem },
      ]);
    }
    return item;
  }

  #count(name: string): void {
    this.calls[name] = (this.calls[name] ?? 0) + 1;
  }

  #matching(filter: InboxFilter): InboxItem[] {
    return (this.items as InboxItem[])
      .filter(
        (item) =>
          item.channel === "inbox" &&
          item.userId === filter.userId &&
          item.deletedAt === null &&
          (filter.tenantId === undefined || item.tenantId === filter.tenantId) &&
          (filter.archived === undefined || (item.archivedAt !== null) === filter.archived) &&
          (filter.read === undefined || (item.readAt !== null) === filter.read) &&
          (filter.seen === undefined || (item.seenAt !== null) === filter.seen) &&
          (filter.tags === undefined || item.tags.some((tag) => filter.tags?.includes(tag))) &&
          (filter.from === undefined || item.createdAt >= filter.from),
      )
      .sort((a, b) => (a.id < b.id ? 1 : -1));
  }

  #set(item: Delivery, field: ItemField, value: boolean): Delivery | null {
    const column = COLUMN[field];
    if ((item[column] !== null) === value) return null;
    const after = { ...item, [column]: value ? this.#clock.now() : null };
    this.items[this.items.indexOf(item)] = after;
    const kind = { seen: "opened", read: value ? "read" : "unread", archived: value ? "archived" : "unarchived" };
    this.history.push({
      messageId: item.messageId,
      kind: (kind as Record<string, string>)[field] ?? field,
      detail: null,
    });
    return after;
  }

  #actions(): InboxActions {
    const change: InboxActions["change"] = async (environmentId, userId, marks, actor) => {
      if (marks.length === 0) return [];
      this.#count("change");
      const events: InboxEvent[] = [];
      const results = marks.map(({ deliveryId, field, value }): Delivery | null => {
        const item = this.items.find((one) => one.userId === userId && one.id === deliveryId);
        if (item === undefined) return null;
        const after = this.#set(item, field, value) as InboxItem | null;
        if (after === null) return item;
        events.push({ kind: "changed", environmentId, userId: after.userId, item: after, field, value, ...actor });
        return after;
      });
      this.#bus.publish(events);
      return results;
    };
    return {
      list: async (_environmentId, filter, _now, page) => {
        this.#count("list");
        const all = this.#matching(filter);
        const from = page.after == null ? 0 : all.findIndex((item) => item.id < (page.after as string));
        const rest = from < 0 ? [] : all.slice(from);
        const items = rest.slice(0, page.limit);
        return { items, next: rest.length > page.limit ? (items.at(-1)?.id ?? null) : null };
      },
      count: async (_environmentId, filter) => {
        this.#count("count");
        return this.#matching(filter).length;
      },
      piles: unused,
      brief: unused,
      stamp: unused,
      itemsOf: unused,
      everGot: unused,
      change,
      changeWhere: async (environmentId, filter, { field, value }, actor) => {
        const items = this.#matching(filter);
        for (const item of items) {
          const after = this.#set(item, field, value) as InboxItem;
          this.#bus.publish([
            { kind: "changed", environmentId, userId: item.userId, item: after, field, value, ...actor },
          ]);
        }
        return { count: items.length, names: items };
      },
      readByMessage: async (_environmentId, userId, messageId) =>
        (this.items as InboxItem[]).find(
          (item) => item.channel === "inbox" && item.userId === userId && item.messageId === messageId,
        ) ?? null,
      mark: async (environmentId, userId, messageId, field, value, actor) => {
        const item = this.items.find((one) => one.channel === "inbox" && one.messageId === messageId);
        const marks = item === undefined ? [] : [{ deliveryId: item.id, field, value, again: "keep" as const }];
        return ((await change(environmentId, userId, marks, actor))[0] ?? null) as InboxItem | null;
      },
      markAll: async (environmentId, userId, what, actor) => {
        const filter: InboxFilter =
          what === "read-all"
            ? { userId, read: false }
            : what === "archive-all"
              ? { userId, archived: false }
              : { userId, archived: false, read: true };
        const items = this.#matching(filter);
        for (const item of items) this.#set(item, what === "read-all" ? "read" : "archived", true);
        if (items.length > 0) this.#bus.publish([{ kind: "changed-all", environmentId, userId, what, ...actor }]);
        return items;
      },
      track: async (environmentId, deliveryId, heard, detail, actor) => {
        const signal = heard === "followed" ? "clicked" : heard;
        const item = this.items.find((one) => one.id === deliveryId);
        if (item === undefined) return null;
        const fields = { opened: "seen", read: "read", unread: "read", archived: "archived" } as const;
        const field = (fields as Record<string, ItemField>)[signal];
        if (field === undefined) {
          this.history.push({ messageId: item.messageId, kind: signal, detail });
          if (signal === "clicked" && item.channel === "inbox") {
            const told = { item: item as InboxItem, field: "clicked" as const, value: true, ...actor };
            this.#bus.publish([{ kind: "changed", environmentId, userId: item.userId as string, ...told }]);
          }
          return item.messageId;
        }
        const value = signal !== "unread";
        const after = this.#set(item, field, value);
        if (after !== null && item.channel === "inbox") {
          const told = { item: after as InboxItem, field, value, ...actor };
          this.#bus.publish([{ kind: "changed", environmentId, userId: item.userId as string, ...told }]);
        }
        return item.messageId;
      },
    };
  }
}

/** Of the parts of the engine that Courier's facade does not ask. */
function unused(): never {
  throw new Error("the Courier facade asks for no such thing");
}
