/**
 * What the engine asks of the world. Each port offers whole operations: what must happen together is one call, and
 * a call that resolves has been committed (and, with full durability, survives a power cut). No port hands out a
 * transaction. Reading never sees half an operation.
 *
 * Every store method rejects with `Refusal("unavailable")` while the database cannot be reached, and with an ordinary
 * Error only when we are at fault. Every query is scoped by the environment it is given.
 */
import type { Millis } from "../lib/clock.ts";
import type { Json, JsonObject, Pairs } from "../lib/json.ts";
import type {
  ApiKey,
  Attempt,
  Captured,
  Channel,
  Delivery,
  DeliveryId,
  Device,
  DeviceToken,
  Document,
  Environment,
  EnvironmentId,
  InboxItem,
  List,
  Membership,
  Message,
  MessageChange,
  MessageEvent,
  MessageId,
  MessageState,
  Outcome,
  Provider,
  Rendered,
  Request,
  RequestId,
  Subscription,
  User,
} from "./model.ts";
import type { TenantBody } from "./templates.ts";
import type { AppAcceptance, AppMessageStore, EndpointSettlement, TaskStore } from "./webhooks/ports.ts";
import type { HappeningNote, PartyRef, Run } from "./workflow/model.ts";
import type { HappeningStore, PartyStore, RunStore, ScheduleStore } from "./workflow/ports.ts";

/** A page of a list. `next` is the key to pass as `after` for the following page, null on the last one. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

export interface PageQuery {
  readonly after?: string | null;
  readonly limit: number;
}

// ——— the pipeline ————————————————————————————————————————————————————————————————————————————————————————————————

/** A message together with the deliveries it starts with; written in one commit. */
export interface Planned {
  readonly message: Message;
  readonly deliveries: readonly Delivery[];
  /** Of a message that is a run which goes on later. */
  readonly run?: Run;
}

export interface Acceptance {
  readonly request: Request;
  readonly planned: readonly Planned[];
  /** With a key, the request is accepted once; whoever comes later gets the first one's answer. */
  readonly idempotency: {
    readonly scope: string;
    readonly key: string;
    readonly expiresAt: Millis;
    readonly answer: StoredAnswer;
  } | null;
  /** What becomes of tenants that the request names, in the same commit. */
  readonly tenants?: readonly TenantChange[];
}

/**
 * What is to become of a tenant, as part of a commit of something else: decided there, under a lock on its document.
 * Whoever had it committed tells the bus.
 */
export interface TenantChange {
  readonly id: string;
  /** Gets null for one that is not there; what it returns has the same parent, and null leaves it alone. Pure. */
  readonly change: (old: TenantBody | null) => TenantBody | null;
}

/** The answer that is given again to every call with the same idempotency key. */
export interface StoredAnswer {
  readonly status: number;
  readonly body: string;
}

export type Accepted =
  | { readonly kind: "accepted" }
  /** The key was used before; nothing was written. */
  | { readonly kind: "replayed"; readonly answer: StoredAnswer }
  /** A call with the key is under way (only generic calls, see IdempotencyStore). Nothing was written. */
  | { readonly kind: "busy" };

/** What is to be recorded of one try, together with what follows from it. All of it in one commit, or nothing. */
export interface Settlement {
  readonly delivery: Delivery;
  /** The lease under which the try was made. If the row no longer carries it, nothing of this settlement is written. */
  readonly leaseUntil: Millis;
  readonly attempt: Attempt | null;
  readonly next:
    | {
        readonly state: "pending";
        readonly dueAt: Millis;
        readonly error: string | null;
        readonly startedAt: Millis | null;
        /** Kept for the next try; absent leaves what is there. */
        readonly reference?: JsonObject;
        /** When somebody was reached: the message has then been sent. */
        readonly sentAt?: Millis;
      }
    | { readonly state: "sent" | "simulated" | "delivered"; readonly at: Millis; readonly reference: JsonObject | null }
    | {
        readonly state: "failed";
        readonly at: Millis;
        readonly error: string;
        /** Deliveries to start in its place. */
        readonly failover: readonly Delivery[];
        /**
         * Other deliveries of the message, still pending when `failover` was decided on. Once one of them has come to an
         * end something else may be due, and the settlement is to be made again. Absent: nothing depends on others.
         */
        readonly besides?: readonly DeliveryId[];
        /**
         * What the message becomes if, after this, no delivery of it is pending, sent or delivered (checked under a
         * lock on the message, so that the last of several parallel failures ends it).
         */
        readonly ifLast: { readonly state: MessageState; readonly reason: Message["reason"] };
      }
    | { readonly state: "canceled"; readonly at: Millis };
  /** On deliveries to endpoints of applications; `attempt` is then null. */
  readonly endpoint?: EndpointSettlement;
}

/**
 * Unless `written` nothing was: `lost`, the row no longer carries the lease; `again`, a delivery that was taken for
 * pending (`besides`) is so no longer.
 */
export type Settled = "written" | "lost" | "again";

export interface PipelineStore {
  /** Commits requests with all they were expanded into. One result per item, in order. */
  accept(batch: readonly Acceptance[]): Promise<readonly Accepted[]>;

  /** Claims requests in state `expanding` until `leaseUntil`, oldest first. */
  claimRequests(now: Millis, limit: number, leaseUntil: Millis): Promise<readonly Request[]>;
  /**
   * Commits one page of an expanding request together with the cursor that follows it, and renews the lease.
   * @param cursor null when the request is thereby expanded.
   * @returns false, having written nothing, when the request is no longer at `request.cursor` under `leaseUntil`.
   */
  commitPage(
    request: Request,
    lease: { readonly held: Millis; readonly next: Millis },
    cursor: string | null,
    planned: readonly Planned[],
  ): Promise<boolean>;

  /** Claims messages whose `dueAt` has come: delayed ones that now are to be planned. */
  claimMessages(now: Millis, limit: number, leaseUntil: Millis): Promise<readonly Message[]>;
  /** Replaces claimed messages by what planning made of them; skips those canceled or claimed by another meanwhile. */
  commitPlanned(planned: readonly Planned[], leaseUntil: Millis): Promise<readonly boolean[]>;

  /**
   * Claims due deliveries until `leaseUntil`; another process cannot claim them before that.
   * @param limit at most this many; fewer means nothing else is due.
   * @returns oldest first, with `leaseUntil` set.
   */
  claimDeliveries(now: Millis, limit: number, leaseUntil: Millis): Promise<readonly Delivery[]>;
  /** Lengthens the leases of deliveries still under way. Those lost meanwhile are left alone. */
  renewLeases(ids: readonly DeliveryId[], held: Millis, leaseUntil: Millis): Promise<void>;
  /** Gives claimed deliveries back, due at once; for an orderly stop. */
  releaseLeases(ids: readonly DeliveryId[], held: Millis): Promise<void>;
  /** @returns for each settlement what came of it. */
  settle(batch: readonly Settlement[]): Promise<readonly Settled[]>;
  /** The earliest moment at which something may be claimed; null when nothing waits. */
  nextDueAt(): Promise<Millis | null>;

  /**
   * Cancels a message that is enqueued, delayed or routed, and its pending deliveries that no one has claimed.
   * @returns the message as it is afterwards, and whether this call canceled it; null when it does not exist.
   */
  cancel(
    environmentId: EnvironmentId,
    id: MessageId,
    at: Millis,
  ): Promise<{ message: Message; canceled: boolean } | null>;
}

// ——— telling endpoints ———————————————————————————————————————————————————————————————————————————————————————————

/**
 * Changes of messages that endpoints may want to know of. Whatever changes a message's state, or how far a provider of
 * it is, notes it here in its own commit, if the environment has an endpoint. Nobody has to ask for that.
 */
export interface MessageChangeStore {
  /** Claims changes until `leaseUntil`; those of one message in the order of their states. */
  claim(now: Millis, limit: number, leaseUntil: Millis): Promise<readonly MessageChange[]>;
  /**
   * Replaces claimed changes by the messages that tell endpoints of them; null when nobody wants to know. In one commit.
   * @returns for each whether it was written; false when it is no longer under `leaseUntil`: another has claimed it, or
   *   the message has changed again so that what was made of it may be out of date.
   */
  replace(
    told: readonly { readonly change: MessageChange; readonly by: (Planned & { readonly request: Request }) | null }[],
    leaseUntil: Millis,
  ): Promise<readonly boolean[]>;
}

// ——— reading messages ————————————————————————————————————————————————————————————————————————————————————————————

export interface MessageFilter {
  readonly archived?: boolean;
  readonly id?: MessageId;
  readonly requestId?: RequestId;
  /** Exclusive. */
  readonly createdAfter?: Millis;
  readonly event?: string;
  readonly listId?: string;
  readonly templateId?: string;
  /** Matches any delivery's provider key. */
  readonly providers?: readonly string[];
  /** Matches the user id or the address. */
  readonly recipient?: string;
  readonly states?: readonly MessageState[];
  /** Any of them. */
  readonly tags?: readonly string[];
  /** And any of these. */
  readonly moreTags?: readonly string[];
  readonly tenantId?: string;
  /** The trace id, or the id of the request. */
  readonly trace?: { readonly traceId: string; readonly requestId: RequestId | null };
}

/**
 * How far a delivery is, with what was heard of it since: `waiting` was not tried yet, `tried` will be again, `withheld`
 * was canceled or only simulated. Of those that follow one another the last counts: a bounce comes after everything.
 */
export type DeliveryStage = "waiting" | "tried" | "sent" | "delivered" | "failed" | "bounced" | "withheld";

/** Which of the deliveries that workflows made. Deleted ones never match. Absent fields do not restrict. */
export interface DeliveryFilter
  extends Pick<InboxFilter, "tenantId" | "tenantIds" | "hasTenant" | "data" | "from" | "until"> {
  /** Whom the run was for. */
  readonly recipient?: PartyRef;
  readonly ids?: readonly DeliveryId[];
  readonly messageId?: MessageId;
  readonly requestId?: RequestId;
  /** `StepOrigin.channelId`. */
  readonly channelId?: string;
  /** Keys of workflows: any of them. */
  readonly events?: readonly string[];
  /** Categories of the workflow: any of them. */
  readonly tags?: readonly string[];
  /** Any of them. */
  readonly stages?: readonly DeliveryStage[];
  /** Each of them: whether the time is set. */
  readonly marks?: readonly { readonly field: ItemField; readonly value: boolean }[];
  /** That a link in it was followed. */
  readonly linkClicked?: true;
}

/** When something was last heard of a delivery: a receipt, a bounce, a link that was followed. */
export interface DeliverySignal {
  readonly deliveryId: DeliveryId;
  readonly kind: "delivered" | "bounced" | "link-clicked";
  readonly at: Millis;
}

/** A message and all that is known of it. */
export interface MessageRecord {
  readonly message: Message;
  readonly request: Request;
  readonly deliveries: readonly Delivery[];
  readonly attempts: readonly Attempt[];
  readonly events: readonly MessageEvent[];
}

export interface MessageStore {
  /** Newest first; `after` is a message id. */
  list(environmentId: EnvironmentId, filter: MessageFilter, page: PageQuery): Promise<Page<Message>>;
  /** @returns null when there is none. At most 1,000 attempts and 1,000 events, the oldest first. */
  read(environmentId: EnvironmentId, id: MessageId): Promise<MessageRecord | null>;
  /** Of these recipients (`Message.recipient`), those that have a message of the request. */
  reached(
    environmentId: EnvironmentId,
    requestId: RequestId,
    recipients: readonly string[],
  ): Promise<ReadonlySet<string>>;
  /** The message of a request that went to this user; for public ids that name the user. */
  findByUser(environmentId: EnvironmentId, requestId: RequestId, userId: string): Promise<MessageId | null>;
  /** @returns null when there is none. */
  readRequest(environmentId: EnvironmentId, id: RequestId): Promise<Request | null>;
  /** Hides the messages of a request from lists. @returns false when there is no such request. */
  archiveRequest(environmentId: EnvironmentId, id: RequestId, at: Millis): Promise<boolean>;
  readDelivery(environmentId: EnvironmentId, id: DeliveryId): Promise<Delivery | null>;
  /** Those that there are, newest first. The caller bounds their number. */
  readDeliveries(environmentId: EnvironmentId, ids: readonly DeliveryId[]): Promise<readonly Delivery[]>;
  /** Those that there are, newest first, those to endpoints included. The caller bounds their number. */
  readMessages(environmentId: EnvironmentId, ids: readonly MessageId[]): Promise<readonly Message[]>;
  /** Delivers newest first; `after` is a delivery id. All channels. */
  listDeliveries(environmentId: EnvironmentId, messageId: MessageId): Promise<readonly Delivery[]>;
  /** Of workflows, on all channels. Newest first; `after` and `before` are delivery ids, see `InboxPageQuery`. */
  deliveriesPage(environmentId: EnvironmentId, filter: DeliveryFilter, page: InboxPageQuery): Promise<Page<Delivery>>;
  /** Of the deliveries of these messages, at most one of a kind for each. The caller bounds the messages' number. */
  signals(environmentId: EnvironmentId, messageIds: readonly MessageId[]): Promise<readonly DeliverySignal[]>;
}

// ——— what users do with what they got ————————————————————————————————————————————————————————————————————————————

/** Which of a user's inbox items. Expired and deleted ones never match. Absent fields do not restrict. */
export interface InboxFilter {
  readonly userId: string;
  /** Exactly this tenant, or null: exactly the items without one. Absent: every item of the user. */
  readonly tenantId?: string | null;
  /** Any of these tenants, null for the items without one; an empty list matches nothing. Instead of `tenantId`. */
  readonly tenantIds?: readonly (string | null)[];
  /** Only items of a tenant, whichever it is. */
  readonly hasTenant?: true;
  readonly archived?: boolean;
  readonly read?: boolean;
  readonly seen?: boolean;
  readonly interacted?: boolean;
  /** Any of them; an empty list matches nothing. */
  readonly tags?: readonly string[];
  /** The message's `event` is any of them. */
  readonly events?: readonly string[];
  /** Each of these is among the item's `data`, at its top level; see `hasPairs` for what is equal. */
  readonly data?: Pairs;
  /** Of any of these channels of workflows (`StepOrigin.channelId`), null for what no workflow sent. */
  readonly channelIds?: readonly (string | null)[];
  /** Sent through this facade (`Delivery.via`). */
  readonly via?: string;
  /** Inclusive. */
  readonly from?: Millis;
  /** Exclusive. */
  readonly until?: Millis;
}

/** Items that are alike in what was done with them, and how many they are. */
export interface InboxPile {
  readonly seen: boolean;
  readonly read: boolean;
  readonly archived: boolean;
  readonly count: number;
}

export interface InboxPageQuery extends PageQuery {
  /**
   * Only items newer than this one. Without `after` the page is the one next to it, still newest first, and its `next`
   * is to be passed as `before`.
   */
  readonly before?: string | null;
}

/** The columns a change may set. `interacted` and `deleted` cannot be taken back. */
export type ItemField = "seen" | "read" | "interacted" | "archived" | "deleted";

/** One change of one delivery's state: the field is set to the time of the change, or cleared. */
export interface ItemChange {
  readonly deliveryId: DeliveryId;
  readonly field: ItemField;
  readonly value: boolean;
  /** `keep` leaves a field alone that is set already; `move` sets it to the new time. */
  readonly again: "keep" | "move";
}

export interface ItemChanged {
  /** The item as it is afterwards; null when there is none, or it is another user's. */
  readonly item: Delivery | null;
  /** False when the item already was so. */
  readonly changed: boolean;
}

export interface InboxStore {
  /** Newest first; `after` is a delivery id. */
  list(environmentId: EnvironmentId, filter: InboxFilter, now: Millis, page: InboxPageQuery): Promise<Page<InboxItem>>;
  /** Exact, whatever the number. Cheap for filters of tenant, archived, read and seen; others look at every item. */
  count(environmentId: EnvironmentId, filter: InboxFilter, now: Millis): Promise<number>;
  /** The same by what was done with the items, in one look: whoever asks for several counts gets them of one moment. */
  piles(environmentId: EnvironmentId, filter: InboxFilter, now: Millis): Promise<readonly InboxPile[]>;
  /** The inbox item of a message. */
  readByMessage(environmentId: EnvironmentId, userId: string, messageId: MessageId): Promise<InboxItem | null>;
  /**
   * Applies changes in order, in one commit: the deliveries, the counts, the message's own progress (`opened`,
   * `clicked` and `delivered` from `progress`) and the events for its history.
   * @param userId when given, deliveries of other users count as absent.
   */
  change(
    environmentId: EnvironmentId,
    userId: string | null,
    changes: readonly ItemChange[],
    at: Millis,
    history: (change: ItemChange, delivery: Delivery) => readonly Progress[],
  ): Promise<readonly ItemChanged[]>;
  /**
   * Applies one change to every item that matches; in bounded batches, each one commit.
   * @param committed is called after each commit with the items that it changed, as they are then.
   * @returns ids of the messages it changed, at most 10,000 of them.
   */
  changeAll(
    environmentId: EnvironmentId,
    filter: InboxFilter,
    change: Omit<ItemChange, "deliveryId">,
    at: Millis,
    history: (delivery: Delivery) => readonly Progress[],
    committed?: (items: readonly InboxItem[]) => void,
  ): Promise<readonly MessageId[]>;
  /** Adds progress without an item: a click, a provider's receipt. First times are kept; the state only rises. */
  progress(environmentId: EnvironmentId, steps: readonly Progress[]): Promise<void>;
  /** Ends items whose `expiresAt` has come and takes them out of the counts. @returns how many, at most `limit`. */
  expire(now: Millis, limit: number): Promise<number>;
}

/** What lists of many items show of each. */
export type InboxBrief = Pick<
  InboxItem,
  "id" | "messageId" | "requestId" | "createdAt" | "readAt" | "interactedAt" | "expiresAt" | "content" | "data" | "via"
>;

export interface InboxBriefStore {
  /** As `InboxStore.list`, of archived items only or of the others, and only what a list shows. */
  brief(
    environmentId: EnvironmentId,
    filter: Pick<InboxFilter, "userId" | "archived" | "via">,
    now: Millis,
    page: InboxPageQuery,
  ): Promise<Page<InboxBrief>>;
  /**
   * Something short that is another as soon as anything in the user's inbox is: what was read between two equal ones is
   * still as it was read, but for what has expired since.
   */
  stamp(environmentId: EnvironmentId, userId: string): Promise<string>;
  /** Items of a message on the inbox channel, whatever became of them, deleted ones included. */
  itemsOf(environmentId: EnvironmentId, messageIds: readonly MessageId[]): Promise<readonly InboxItem[]>;
  /**
   * Every item that the user has got and that has not expired, whatever became of it, newest message first.
   * @param page of messages, of which many have no item; `after` is the id of one.
   */
  everGot(environmentId: EnvironmentId, userId: string, now: Millis, page: PageQuery): Promise<Page<GotItem>>;
}

export interface GotItem extends Pick<InboxItem, "id" | "messageId" | "requestId" | "expiresAt" | "via"> {
  /** Whether the user has put it away: deleted or archived it. */
  readonly putAway: boolean;
}

/** One entry of a message's history, and how far it thereby is. */
export interface Progress {
  readonly event: MessageEvent;
  /** State to rise to, and the column of its first time. Null: the entry changes nothing but the history. */
  readonly state: "delivered" | "opened" | "clicked" | "undeliverable" | null;
  /** Of a delivery that a workflow made: it is noted for who wants to be told of these. */
  readonly happens?: true;
}

// ——— whom to send to —————————————————————————————————————————————————————————————————————————————————————————————

/** What planning a message needs to know of a user, read in one go. */
export interface RecipientFacts {
  readonly userId: string;
  readonly profile: JsonObject | null;
  readonly tokens: readonly DeviceToken[];
  /** At most two: whether there is exactly one is all that matters. */
  readonly tenantIds: readonly string[];
}

export interface DirectoryStore {
  /** One entry per id, in order; a user never heard of has null, [] and []. */
  facts(environmentId: EnvironmentId, userIds: readonly string[]): Promise<readonly RecipientFacts[]>;

  readUser(environmentId: EnvironmentId, userId: string): Promise<User | null>;
  /**
   * Reads, changes and writes a profile as one operation.
   * @param modify is pure, for it may run again after a conflict. It gets null when there is no profile. What it throws leaves everything as it was and rejects the call.
   */
  modifyUser(
    environmentId: EnvironmentId,
    userId: string,
    at: Millis,
    modify: (profile: JsonObject | null) => JsonObject,
  ): Promise<User>;
  /** @returns whether there was a profile. Subscriptions, tokens and memberships stay. */
  deleteUser(environmentId: EnvironmentId, userId: string): Promise<boolean>;

  readList(environmentId: EnvironmentId, listId: string): Promise<List | null>;
  /** By id ascending, deleted ones left out. @param matches narrows further; called for each candidate. */
  lists(
    environmentId: EnvironmentId,
    prefix: string,
    matches: (listId: string) => boolean,
    page: PageQuery,
  ): Promise<Page<List>>;
  /** Creates or replaces name and preferences. A deleted list is created anew, without subscribers. */
  putList(
    environmentId: EnvironmentId,
    list: { id: string; name: string; preferences: JsonObject | null },
    at: Millis,
  ): Promise<void>;
  /** Soft. @returns false when there is none or it is deleted already. */
  deleteList(environmentId: EnvironmentId, listId: string, at: Millis): Promise<boolean>;
  /** @returns false when it never existed; true, changing nothing, when it is not deleted. */
  restoreList(environmentId: EnvironmentId, listId: string, at: Millis): Promise<boolean>;
  /**
   * Adds or updates subscriptions; missing or deleted lists are created, named by their id. Of duplicates the last wins.
   * @param of a list that is created also without a subscription, and that has, with `replace`, exactly these subscribers
   *   afterwards.
   */
  subscribe(
    environmentId: EnvironmentId,
    subscriptions: readonly { listId: string; userId: string; preferences: JsonObject | null }[],
    at: Millis,
    of?: { readonly listId: string; readonly replace: boolean },
  ): Promise<void>;
  /** @returns false when the list or the subscription does not exist. */
  unsubscribe(environmentId: EnvironmentId, listId: string, userId: string): Promise<boolean>;
  unsubscribeFromAll(environmentId: EnvironmentId, userId: string): Promise<void>;
  /** By user id ascending; `after` is a user id. Empty for an unknown or deleted list. */
  subscribers(environmentId: EnvironmentId, listId: string, page: PageQuery): Promise<Page<Subscription>>;
  /** Distinct users over several lists, by user id ascending; the subscription shown is the one of the least list id. */
  subscribersOfAny(
    environmentId: EnvironmentId,
    listIds: readonly string[],
    page: PageQuery,
  ): Promise<Page<Subscription>>;
  /** Lists of a user by id ascending, deleted ones left out. */
  subscriptionsOf(
    environmentId: EnvironmentId,
    userId: string,
    page: PageQuery,
  ): Promise<Page<List & { subscription: Subscription }>>;

  tokens(environmentId: EnvironmentId, userId: string): Promise<readonly DeviceToken[]>;
  /** Adds or overwrites; a token that another user had moves to this one. */
  putTokens(environmentId: EnvironmentId, tokens: readonly DeviceToken[]): Promise<void>;
  readToken(environmentId: EnvironmentId, userId: string, token: string): Promise<DeviceToken | null>;
  /**
   * Reads, changes and writes a token as one operation.
   * @param modify is pure, for it may run again after a conflict. What it throws leaves the token as it was.
   * @returns null when the user has no such token.
   */
  modifyToken(
    environmentId: EnvironmentId,
    userId: string,
    token: string,
    modify: (old: DeviceToken) => DeviceToken,
  ): Promise<DeviceToken | null>;
  deleteToken(environmentId: EnvironmentId, userId: string, token: string): Promise<boolean>;
  /** Marks tokens that a provider called dead, so that they are not used again; devices that had one have none then. */
  failTokens(environmentId: EnvironmentId, tokens: readonly string[], reason: string, at: Millis): Promise<void>;

  /** Adds or replaces. */
  putMemberships(environmentId: EnvironmentId, memberships: readonly Membership[]): Promise<void>;
  readMembership(environmentId: EnvironmentId, userId: string, tenantId: string): Promise<Membership | null>;
  deleteMembership(environmentId: EnvironmentId, userId: string, tenantId: string): Promise<boolean>;
  deleteMembershipsOfUser(environmentId: EnvironmentId, userId: string): Promise<void>;
  deleteMembershipsOfTenant(environmentId: EnvironmentId, tenantId: string): Promise<void>;
  /** By tenant id ascending; `after` is a tenant id. */
  tenantsOf(environmentId: EnvironmentId, userId: string, page: PageQuery): Promise<Page<Membership>>;
  /** Distinct members of any of the tenants, by user id ascending; `after` is a user id. */
  membersOfAny(environmentId: EnvironmentId, tenantIds: readonly string[], page: PageQuery): Promise<Page<Membership>>;
  /** Of these users, those who are members of every one of these tenants. */
  filterMembers(
    environmentId: EnvironmentId,
    userIds: readonly string[],
    tenantIds: readonly string[],
  ): Promise<ReadonlySet<string>>;
}

export interface DeviceStore {
  /** In the order of `ids`; null for one never heard of. */
  read(environmentId: EnvironmentId, ids: readonly string[]): Promise<readonly (Device | null)[]>;
  /** Registered devices that have one of these tokens. */
  withTokens(environmentId: EnvironmentId, tokens: readonly string[]): Promise<readonly Device[]>;
  /**
   * Reads, changes and writes a device as one operation. A token that it thereby gets, others lose; one that it loses
   * leaves the directory with it.
   * @param modify is pure, for it may run again after a conflict; null deletes, or leaves what is not there alone.
   * @param tokens `gets` is the only one that the device may get by it. `listed` tells, of a device that has a token, how
   *   the directory is to have it from the same moment on; null leaves it as it is there.
   */
  modify(
    environmentId: EnvironmentId,
    id: string,
    at: Millis,
    modify: (old: Device | null) => Omit<Device, "id" | "createdAt" | "updatedAt"> | null,
    tokens?: {
      readonly gets?: string | undefined;
      readonly listed?: (after: Device & { readonly token: string }, before: Device | null) => DeviceToken | null;
    },
  ): Promise<{
    readonly before: Device | null;
    readonly after: Device | null;
    /** As they were before. */
    readonly lostToken: readonly Device[];
  }>;
  /** Newest change first. */
  ofUser(environmentId: EnvironmentId, userId: string, limit: number): Promise<readonly Device[]>;
  /** Gives all devices of one user to another, and their tokens with them. @returns how many. */
  moveAll(environmentId: EnvironmentId, from: string, into: string, at: Millis): Promise<number>;
  /** Users with a registered device, by id ascending; `after` is a user id. */
  users(environmentId: EnvironmentId, page: PageQuery): Promise<Page<string>>;
  /** Of these users, the language of the device that was changed last; users without one are absent. */
  languages(environmentId: EnvironmentId, userIds: readonly string[]): Promise<ReadonlyMap<string, string>>;
}

/** Taking back what a request sent. It is noted first and then done page by page, so that it survives a crash. */
export interface Recall {
  readonly environmentId: EnvironmentId;
  readonly requestId: RequestId;
  /** The last message that was seen to. */
  readonly cursor: MessageId | null;
}

export interface RecallStore {
  /**
   * Notes that the request is taken back, and ends its expanding. Repeating it changes nothing.
   * @returns the recall as it stands; `finished` when nothing is left to do; null when there is no such request.
   */
  begin(
    environmentId: EnvironmentId,
    id: RequestId,
    at: Millis,
    leaseUntil: Millis,
  ): Promise<Recall | "finished" | null>;
  /** Claims recalls that nobody is at any more. */
  claim(now: Millis, limit: number, leaseUntil: Millis): Promise<readonly Recall[]>;
  /** Messages of the request behind the cursor, oldest first. */
  messages(recall: Recall, limit: number): Promise<readonly Pick<Message, "id" | "state">[]>;
  /** Notes who is to be told of it, and moves on. @param cursor null when that was the end. */
  advance(
    recall: Recall,
    items: readonly { readonly userId: string; readonly until: Millis }[],
    cursor: MessageId | null,
    leaseUntil: Millis,
  ): Promise<void>;
  /** Requests whose items were taken back from the user and would not have expired until then. */
  ofUser(
    environmentId: EnvironmentId,
    userId: string,
    now: Millis,
  ): Promise<readonly { readonly requestId: RequestId; readonly until: Millis }[]>;
  /** Gives what one user is to be told to another. */
  move(environmentId: EnvironmentId, from: string, into: string): Promise<void>;
  /** Requests with ids from `from` to `to`, both included. */
  requests(environmentId: EnvironmentId, from: RequestId, to: RequestId, limit: number): Promise<readonly Request[]>;
  /** Forgets what nobody needs to be told of any more. @returns how many rows. */
  sweep(now: Millis, limit: number): Promise<number>;
}

// ——— what people configure ———————————————————————————————————————————————————————————————————————————————————————

export interface DocumentWrite {
  readonly kind: string;
  readonly id: string;
  /** Null deletes. */
  readonly body: JsonObject | null;
  /** The version it must have now: `absent` for none, `any` for no matter. */
  readonly expect: number | "absent" | "any";
}

/** What is written with documents in the same commit. */
export interface DocumentEffects {
  /** Messages that tell of the change; see `AppAcceptance`. */
  readonly told?: readonly AppAcceptance[];
  /** What happened to what authors write; see `HappeningStore`. */
  readonly happened?: readonly HappeningNote[];
}

export interface DocumentStore {
  read(environmentId: EnvironmentId, kind: string, id: string): Promise<Document | null>;
  /** In the order of `ids`, absent ones as null. */
  readMany(
    environmentId: EnvironmentId,
    keys: readonly { kind: string; id: string }[],
  ): Promise<readonly (Document | null)[]>;
  /** By id, ascending or descending; `after` is an id. */
  list(
    environmentId: EnvironmentId,
    kind: string,
    page: PageQuery & { readonly newestFirst?: boolean },
  ): Promise<Page<Document>>;
  /**
   * Writes all, or none when one does not have the version expected of it.
   * @returns the new versions in order (0 for a deleted one), or null when nothing was written: read again and retry.
   */
  write(
    environmentId: EnvironmentId,
    writes: readonly DocumentWrite[],
    at: Millis,
    effects?: DocumentEffects,
  ): Promise<readonly number[] | null>;
}

export interface IdempotencyStore {
  /**
   * Takes the key for a call about to be made.
   * @returns `begun` if the caller may go on and must `finish` or `abandon`; a key begun longer than `abandonedAfterMs`
   *   ago without either counts as free.
   */
  begin(
    environmentId: EnvironmentId,
    scope: string,
    key: string,
    now: Millis,
    expiresAt: Millis,
    abandonedAfterMs: Millis,
  ): Promise<{ kind: "begun" } | { kind: "replayed"; answer: StoredAnswer } | { kind: "busy" }>;
  finish(environmentId: EnvironmentId, scope: string, key: string, answer: StoredAnswer): Promise<void>;
  /** The answer that is kept for the key; null while there is none. Takes nothing. */
  find(environmentId: EnvironmentId, scope: string, key: string, now: Millis): Promise<StoredAnswer | null>;
  abandon(environmentId: EnvironmentId, scope: string, key: string): Promise<void>;
}

export interface CaptureStore {
  add(captured: readonly Captured[]): Promise<void>;
  /** Newest first; `after` is an id. */
  list(
    environmentId: EnvironmentId,
    filter: { readonly channel?: Channel; readonly messageId?: MessageId },
    page: PageQuery,
  ): Promise<Page<Captured>>;
  clear(environmentId: EnvironmentId): Promise<void>;
}

export interface EnvironmentStore {
  environments(): Promise<readonly Environment[]>;
  create(environment: Environment, keys: readonly ApiKey[]): Promise<void>;
  update(environment: Environment): Promise<void>;
  keys(environmentId: EnvironmentId): Promise<readonly ApiKey[]>;
  findKey(hash: string): Promise<ApiKey | null>;
  addKey(key: ApiKey): Promise<void>;
  /** @returns false when there is none. */
  revokeKey(environmentId: EnvironmentId, id: ApiKey["id"], at: Millis): Promise<boolean>;
}

/** Classes of things that may be thrown away after a time. Null keeps for ever. */
export interface Retention {
  readonly messagesMs: Millis | null;
  readonly inboxMs: Millis | null;
  readonly capturedMs: Millis | null;
}

export interface HousekeepingStore {
  /**
   * Throws away what is past its retention, and idempotency keys past their end: one bounded batch.
   * A message goes with its deliveries, attempts and events, unless its inbox item is to be kept longer; a request
   * goes with its last message.
   * @returns how many rows went; 0 means there is nothing left to do.
   */
  sweep(now: Millis, retention: Retention, limit: number): Promise<number>;
}

export interface Store {
  readonly pipeline: PipelineStore;
  readonly messages: MessageStore;
  readonly messageChanges: MessageChangeStore;
  readonly inbox: InboxStore & InboxBriefStore;
  readonly directory: DirectoryStore;
  readonly devices: DeviceStore;
  readonly recalls: RecallStore;
  readonly documents: DocumentStore;
  readonly idempotency: IdempotencyStore;
  readonly captured: CaptureStore;
  readonly environments: EnvironmentStore;
  readonly housekeeping: HousekeepingStore;
  readonly appMessages: AppMessageStore;
  readonly tasks: TaskStore;
  readonly runs: RunStore;
  readonly happenings: HappeningStore;
  readonly schedules: ScheduleStore;
  readonly parties: PartyStore;
  /** What the clock shows that all processes on the database share; null when that is the machine's. */
  time(): Promise<Millis | null>;
  /** Resolves if the database answers. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

// ——— content —————————————————————————————————————————————————————————————————————————————————————————————————————

/** What a template may refer to. */
export interface RenderContext {
  readonly data: JsonObject;
  readonly profile: JsonObject;
  readonly tenant: JsonObject;
  readonly brand: JsonObject;
  /** Everything else by name: `event`, `messageId`, `recipient`, `template`, `urls`, `courier`, … */
  readonly builtIns: JsonObject;
  readonly locale: string | null;
  /** Looks a key up in the translations of the locale; undefined when it is not there. */
  readonly translate: (key: string) => string | undefined;
  /** Subject of a mail whose content has no title. */
  readonly fallbackTitle: string;
  readonly utm: { readonly [key: string]: string } | null;
  /**
   * Turns the target of a link into the address to print, given its place in `Rendered.links`; null leaves links as
   * they are and `links` empty.
   */
  readonly trackLink: ((index: number, href: string) => string) | null;
  /** Address of the open pixel, put into HTML; null for none. */
  readonly openPixel: string | null;
}

/** A compiled document can be rendered any number of times, at once, without looking at its source again. */
export interface CompiledContent {
  /**
   * @returns null when the document has nothing for this channel.
   * @throws RenderError when the author's expression cannot be evaluated or a limit on time or output is reached.
   */
  render(target: { readonly channel: Channel; readonly provider: string }, context: RenderContext): Rendered | null;
}

export interface ContentLanguage {
  /** Compiling costs no more than looking up what was compiled before, so that nothing is kept. */
  readonly unkept?: true;
  /** @throws Refusal("invalid") naming the element at fault. */
  compile(source: Json): CompiledContent;
  /** Evaluates strings inside overrides and the like with the same syntax. @throws RenderError */
  interpolate(value: Json, context: RenderContext): Json;
}

export class RenderError extends Error {
  override name = "RenderError";
  /** Of the template, and the line in it; null where there is none to name. */
  readonly field: string | null;
  readonly line: number | null;

  constructor(message: string, more: { readonly cause?: unknown; field?: string; line?: number | null } = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.field = more.field ?? null;
    this.line = more.line ?? null;
  }
}

// ——— channels ————————————————————————————————————————————————————————————————————————————————————————————————————

/** One delivery, ready to go. */
export interface Outgoing {
  readonly delivery: Delivery;
  readonly provider: Provider;
  /** Ends when the time for the try is over or the server stops; a channel passes it to whatever it waits for. */
  readonly signal: AbortSignal;
}

export interface Sender {
  /** Makes one try. Never rejects. */
  send(outgoing: Outgoing): Promise<Outcome>;
  close?(): Promise<void>;
}

/** A field of a provider's settings, as data: enough for a form and for a check. */
export interface SettingField {
  readonly type: "string" | "number" | "boolean" | "enum";
  readonly required: boolean;
  readonly secret?: boolean;
  readonly values?: readonly string[];
  readonly description: string;
}

/** When to try again what failed. */
export interface RetrySchedule {
  /** After the first try, the second, …; the last one stays. */
  readonly waitsMs: readonly [Millis, ...Millis[]];
  /** Share by which a wait is spread to both sides, so that what failed together does not come back together. */
  readonly jitter: number;
  /** Tries at most, the first included. How long to go on in time is the delivery's own limit. */
  readonly maxAttempts: number;
}

/** A kind of provider: an entry of the registry in channels/registry.ts. */
export interface ProviderKind {
  readonly provider: string;
  readonly channel: Channel;
  readonly name: string;
  readonly description: string;
  readonly settings: { readonly [field: string]: SettingField };
  /** The address in a merged profile, or null when the recipient cannot be reached this way. */
  address(
    profile: JsonObject,
    facts: {
      readonly userId: string | null;
      readonly tokens: readonly DeviceToken[];
      /** Of the provider that asks: one with a fixed destination reaches everybody. */
      readonly settings: JsonObject;
    },
  ): JsonObject | null;
  /** Null for the inbox, whose deliveries are complete when they are stored. */
  readonly open: ((provider: Provider) => Sender) | null;
  /** Absent: the usual one of engine/retry.ts. */
  readonly retry?: RetrySchedule;
}

// ——— realtime ————————————————————————————————————————————————————————————————————————————————————————————————————

/**
 * What happened in a user's inbox, told after it was committed. Losing one costs promptness, never a message.
 * `origin` names the client that caused it, so that it need not hear its own echo.
 */
export type InboxEvent =
  | { readonly kind: "added"; readonly environmentId: EnvironmentId; readonly userId: string; readonly item: InboxItem }
  | {
      readonly kind: "changed";
      readonly environmentId: EnvironmentId;
      readonly userId: string;
      readonly item: InboxItem;
      readonly field: ItemField | "clicked";
      readonly value: boolean;
      readonly origin: string | null;
      readonly via: string;
    }
  | {
      readonly kind: "changed-all";
      readonly environmentId: EnvironmentId;
      readonly userId: string;
      readonly what: "read-all" | "archive-all" | "archive-read";
      readonly origin: string | null;
      readonly via: string;
    };

export type Work = "requests" | "messages" | "deliveries" | "changes" | "tasks" | "runs" | "schedules" | "happenings";

/** Carries shouts between the parts of one process and, later, between processes. Delivery is best effort. */
export interface Bus {
  /** Tells that there is work to look for. */
  lookNow(work: Work): void;
  onLookNow(listener: (work: Work) => void): () => void;
  publish(events: readonly InboxEvent[]): void;
  onInboxEvents(listener: (events: readonly InboxEvent[]) => void): () => void;
  /** A document was written; caches of it are stale. */
  changed(environmentId: EnvironmentId, kind: string): void;
  onChanged(listener: (environmentId: EnvironmentId, kind: string) => void): () => void;
  close(): Promise<void>;
}
