/** What facades, admin and the demo may ask of the engine. Built by `startEngine` (start.ts), handed out by app.ts. */
import type { Clock, Millis } from "../lib/clock.ts";
import type { Json, JsonObject } from "../lib/json.ts";
import type {
  Delivery,
  DeliveryId,
  EnvironmentId,
  InboxItem,
  Message,
  MessageId,
  ProviderKindName,
  RequestId,
  SendSpec,
} from "./model.ts";
import type {
  CaptureStore,
  ContentLanguage,
  DeviceStore,
  DirectoryStore,
  DocumentStore,
  EnvironmentStore,
  IdempotencyStore,
  InboxBriefStore,
  InboxFilter,
  InboxStore,
  ItemChange,
  ItemField,
  MessageStore,
  Page,
  PageQuery,
  ProviderKind,
  RecallStore,
  StoredAnswer,
} from "./ports.ts";
import type { Webhooks } from "./webhooks/webhooks.ts";
import type { Workflows } from "./workflow/workflows.ts";

export interface Engine {
  readonly clock: Clock;
  readonly environments: EnvironmentStore;
  readonly directory: DirectoryStore;
  readonly devices: DeviceStore;
  /** Writes are told to the caches of every process. */
  readonly documents: DocumentStore;
  readonly messages: MessageStore;
  readonly idempotency: IdempotencyStore;
  readonly captured: CaptureStore;
  readonly inbox: InboxActions;
  readonly languages: ReadonlyMap<string, ContentLanguage>;
  readonly providerKinds: ReadonlyMap<ProviderKindName, ProviderKind>;
  /** Applications, their endpoints, and the messages they are sent. */
  readonly webhooks: Webhooks;
  /** Workflows, whom they are for, and their runs. */
  readonly workflows: Workflows;

  /**
   * Accepts a request. Resolves after the commit: from then on it survives a power cut.
   * @param answer what an idempotent repetition of the call is to be answered with.
   */
  send(
    environmentId: EnvironmentId,
    spec: SendSpec,
    idempotency: { readonly scope: string; readonly key: string; readonly expiresAt: Millis } | null,
    answer: (requestId: RequestId) => StoredAnswer,
  ): Promise<StoredAnswer>;

  /** Null when there is no such message. `canceled` is false when it was too late, or canceled before. */
  cancel(environmentId: EnvironmentId, id: MessageId): Promise<{ message: Message; canceled: boolean } | null>;

  /**
   * Takes back what a request sent: what waits is canceled, items of inboxes are deleted. Resolves once that is certain to
   * happen, also after a crash; for up to 1,200 recipients once it has happened.
   * @returns false when there is no such request.
   */
  recall(environmentId: EnvironmentId, id: RequestId, via: string): Promise<boolean>;
  readonly recalls: Pick<RecallStore, "ofUser" | "requests" | "move">;

  /** Sends a message's request again to the same recipient. Null when there is no such message. */
  resend(environmentId: EnvironmentId, id: MessageId): Promise<RequestId | null>;
}

/** Who changes an inbox. `origin` is the client connection that asked for it; its own socket is not told again. */
export interface Actor {
  readonly via: string;
  readonly origin: string | null;
}

/** A change of one delivery, and what is kept of it in the history of its message. */
export interface DeliveryMark extends ItemChange {
  readonly detail?: JsonObject | null;
  /** The history names the mark itself (seen, unseen, interacted) and not what mail has for it (opened, clicked). */
  readonly named?: true;
}

/** What facades need of an item to say which it is. */
export type ItemName = Pick<InboxItem, "id" | "messageId" | "requestId" | "userId" | "viaTenant" | "origin">;

/** The user's side. Every change is committed first and then told to the sockets of the user. */
export interface InboxActions extends Pick<InboxStore, "list" | "count" | "piles" | "readByMessage">, InboxBriefStore {
  /**
   * Sets or clears one state of one item. Marking twice keeps the first time.
   * @returns the item, or null when the user has no such item. Nothing is told when nothing changed.
   */
  mark(
    environmentId: EnvironmentId,
    userId: string,
    messageId: MessageId,
    field: ItemField,
    value: boolean,
    actor: Actor,
  ): Promise<InboxItem | null>;

  /**
   * Changes deliveries of any channel by their own ids, in order, in one commit. Items of inboxes are told of one by one.
   * @param userId when given, deliveries of other users count as absent.
   * @returns each as it is after all changes; null for one that is absent.
   */
  change(
    environmentId: EnvironmentId,
    userId: string | null,
    marks: readonly DeliveryMark[],
    actor: Actor,
  ): Promise<readonly (Delivery | null)[]>;

  /**
   * One change of all items that match, in bounded batches: each is committed, and its items told of one by one. Items
   * that come in meanwhile are left alone.
   * @returns how many were changed, and the names of at most 10,000 of them.
   */
  changeWhere(
    environmentId: EnvironmentId,
    filter: InboxFilter,
    change: Omit<DeliveryMark, "deliveryId">,
    actor: Actor,
  ): Promise<{ readonly count: number; readonly names: readonly ItemName[] }>;

  /**
   * All of a user's items, in all tenants: one shout for all of them.
   * @param of leaves out what was not sent through a certain facade.
   * @returns those that were changed, at most 10,000 of them.
   */
  markAll(
    environmentId: EnvironmentId,
    userId: string,
    what: "read-all" | "archive-all" | "archive-read",
    actor: Actor,
    of?: Pick<InboxFilter, "via">,
  ): Promise<readonly ItemName[]>;

  /**
   * Records a signal that came from outside with a delivery's id (a tracking link, the open pixel, a push receipt),
   * on any channel. On an inbox item `read`, `unread`, `opened` and `archive` change the item as `mark` does. `followed`
   * is the click on a link in the text: the same as `clicked`, but for what workflows sent, which tell the two apart.
   * @param detail kept with the history entry, for example `{ href }`.
   * @returns the message's id, or null when there is no such delivery.
   */
  track(
    environmentId: EnvironmentId,
    deliveryId: DeliveryId,
    signal: "delivered" | "opened" | "clicked" | "followed" | "read" | "unread" | "archived" | "bounced",
    detail: { readonly [key: string]: Json } | null,
    actor: Actor,
  ): Promise<MessageId | null>;
}

export type { InboxFilter, Page, PageQuery };
