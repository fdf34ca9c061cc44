/** How an inbox item looks to Courier's clients, over GraphQL and in socket frames. */
import type { Environment, InboxItem } from "../../engine/model.ts";
import type { JsonObject } from "../../lib/json.ts";
import { publicItemId } from "./ids.ts";
import { shownActions, shownContent } from "./inbox-content.ts";
import { MAX_TRACKING_INDEX, trackingId } from "./tracking-ids.ts";
import { toIso } from "./wire.ts";

/** The six ids of a message, worked out when asked for: a page of a hundred messages asks for a hundred, not 600. */
export class TrackingIds {
  readonly #environment: Environment;
  readonly #item: InboxItem;

  constructor(environment: Environment, item: InboxItem) {
    this.#environment = environment;
    this.#item = item;
  }

  get archiveTrackingId(): string {
    return trackingId(this.#environment, "archive", this.#item.id);
  }
  get openTrackingId(): string {
    return trackingId(this.#environment, "open", this.#item.id);
  }
  get clickTrackingId(): string {
    return trackingId(this.#environment, "click", this.#item.id);
  }
  get deliverTrackingId(): string {
    return trackingId(this.#environment, "deliver", this.#item.id);
  }
  get readTrackingId(): string {
    return trackingId(this.#environment, "read", this.#item.id);
  }
  get unreadTrackingId(): string {
    return trackingId(this.#environment, "unread", this.#item.id);
  }

  /** All six, as JSON. */
  toJSON(): { readonly [name: string]: string } {
    return {
      archiveTrackingId: this.archiveTrackingId,
      openTrackingId: this.openTrackingId,
      clickTrackingId: this.clickTrackingId,
      deliverTrackingId: this.deliverTrackingId,
      readTrackingId: this.readTrackingId,
      unreadTrackingId: this.unreadTrackingId,
    };
  }
}

export interface InboxActionView {
  readonly content: string;
  readonly href: string;
  readonly data: { readonly trackingId: string };
  readonly background_color: string | null;
  readonly style: string;
}

/**
 * One message; its properties are the fields of GraphQL's `InboxMessage`. Times are ISO 8601 with milliseconds and `Z`,
 * or null: web clients compare them as text and iOS reads no other form. `body` equals `preview`, so that a row looks
 * the same when it came through the socket and when it is loaded again.
 */
export class InboxMessageView {
  readonly environment: Environment;
  readonly item: InboxItem;
  readonly messageId: string;
  readonly accountId: string | null;
  readonly created: string;
  readonly title: string;
  readonly preview: string;
  readonly body: string;
  readonly icon: string | null;
  readonly read: string | null;
  readonly opened: string | null;
  readonly archived: string | null;
  readonly data: JsonObject;
  readonly tags: readonly string[];
  readonly trackingIds: TrackingIds;
  /** Pins are not kept. */
  readonly pinned: null = null;

  constructor(environment: Environment, item: InboxItem) {
    const { title, preview } = shownContent(item);
    this.environment = environment;
    this.item = item;
    this.messageId = publicItemId(item);
    this.accountId = item.tenantId;
    this.created = toIso(item.createdAt);
    this.title = title;
    this.preview = preview;
    this.body = preview;
    this.icon = item.content.imageUrl;
    this.read = toIso(item.readAt);
    this.opened = toIso(item.seenAt);
    this.archived = toIso(item.archivedAt);
    this.data = item.data;
    this.tags = item.tags;
    this.trackingIds = new TrackingIds(environment, item);
  }

  actions(): readonly InboxActionView[] {
    return shownActions(this.item.content).map((action, index) => ({
      content: action.content,
      href: action.href,
      data: { trackingId: this.actionTrackingId(index) },
      background_color: action.backgroundColor,
      style: action.style,
    }));
  }

  /** The piece by piece form, for detail views. */
  content(): InboxContentView {
    const { content } = this.item;
    return {
      title: this.title,
      preview: this.preview,
      html: content.html,
      actions: this.actions(),
      elemental: [
        ...this.#textBlocks().map(({ type, text }) => ({ __typename: "TextElement", type, content: text })),
        ...this.actions().map((action) => ({ __typename: "ActionElement", type: "action", ...action })),
      ],
    };
  }

  /** Content of other languages has no pieces. */
  #textBlocks(): readonly { readonly type: string; readonly text: string }[] {
    const { blocks } = this.item.content;
    if (blocks.length === 0 && this.preview !== "") return [{ type: "text", text: this.preview }];
    return blocks.filter(({ type }) => type !== "action");
  }

  /**
   * As it goes into a frame. Older clients look for the tracking ids inside `data`, newer ones at the top: both get
   * them.
   */
  toFrame(): JsonObject {
    const trackingIds = this.trackingIds.toJSON();
    return {
      messageId: this.messageId,
      accountId: this.accountId,
      created: this.created,
      title: this.title,
      preview: this.preview,
      body: this.body,
      icon: this.icon,
      read: this.read,
      opened: this.opened,
      archived: this.archived,
      tags: this.tags,
      actions: this.actions() as unknown as JsonObject[],
      trackingIds,
      data: { ...this.data, trackingIds },
    };
  }

  /** An action beyond the last index shares the message's own click id: the click counts, its target is not told. */
  actionTrackingId(index: number): string {
    return index > MAX_TRACKING_INDEX
      ? this.trackingIds.clickTrackingId
      : trackingId(this.environment, "action", this.item.id, index);
  }
}

export interface InboxContentView {
  readonly title: string;
  readonly preview: string;
  readonly html: string;
  readonly actions: readonly InboxActionView[];
  readonly elemental: readonly { readonly __typename: string; readonly type: string; readonly content: string }[];
}

/** How an item looks to clients; see `InboxMessageView`. */
export function inboxMessage(environment: Environment, item: InboxItem): InboxMessageView {
  return new InboxMessageView(environment, item);
}
