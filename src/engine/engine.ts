/** What facades, admin and the demo may ask of the engine. Built by `startEngine` (start.ts), handed out by app.ts. */
import type { Clock, Millis } from "../lib/clock.ts";
import type { Json } from "../lib/json.ts";
import type {
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
  DirectoryStore,
  DocumentStore,
  EnvironmentStore,
  IdempotencyStore,
  InboxFilter,
  InboxStore,
  ItemField,
  MessageStore,
  Page,
  PageQuery,
  ProviderKind,
  StoredAnswer,
} from "./ports.ts";

export interface Engine {
  readonly clock: Clock;
  readonly environments: EnvironmentStore;
  readonly directory: DirectoryStore;
  /** Writes are told to the caches of every process. */
  readonly documents: DocumentStore;
  readonly messages: MessageStore;
  readonly idempotency: IdempotencyStore;
  readonly captured: CaptureStore;
  readonly inbox: InboxActions;
  readonly languages: ReadonlyMap<string, ContentLanguage>;
  readonly providerKinds: ReadonlyMap<ProviderKindName, ProviderKind>;

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

  /** Sends a message's request again to the same recipient. Null when there is no such message. */
  resend(environmentId: EnvironmentId, id: MessageId): Promise<RequestId | null>;
}

/** Who changes an inbox. `origin` is the client connection that asked for it; its own socket is not told again. */
export interface Actor {
  readonly via: string;
  readonly origin: string | null;
}

/** The user's side. Every change is committed first and then told to the sockets of the user. */
export interface InboxActions extends Pick<InboxStore, "list" | "count" | "readByMessage"> {
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

  /** Many items of one user at once, in order, in one commit. Null for each item the user does not have. */
  markMany(
    environmentId: EnvironmentId,
    userId: string,
    marks: readonly { readonly messageId: MessageId; readonly field: ItemField; readonly value: boolean }[],
    actor: Actor,
  ): Promise<readonly (InboxItem | null)[]>;

  /** All of a user's items, in all tenants: one shout for all of them. */
  markAll(
    environmentId: EnvironmentId,
    userId: string,
    what: "read-all" | "archive-all" | "archive-read",
    actor: Actor,
  ): Promise<readonly MessageId[]>;

  /**
   * Records a signal that came from outside with a delivery's id (a tracking link, the open pixel, a push receipt),
   * on any channel. On an inbox item `read`, `unread`, `opened` and `archive` change the item as `mark` does.
   * @param detail kept with the history entry, for example `{ href }`.
   * @returns the message's id, or null when there is no such delivery.
   */
  track(
    environmentId: EnvironmentId,
    deliveryId: DeliveryId,
    signal: "delivered" | "opened" | "clicked" | "read" | "unread" | "archived" | "bounced",
    detail: { readonly [key: string]: Json } | null,
    actor: Actor,
  ): Promise<MessageId | null>;
}

export type { InboxFilter, Page, PageQuery };
