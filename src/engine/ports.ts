/**
 * What the engine asks of the world. Each port offers whole operations: what must happen together is one call, and
 * a call that resolves has been committed (and, with full durability, survives a power cut). No port hands out a
 * transaction. Reading never sees half an operation.
 *
 * Every store method rejects with `Refusal("unavailable")` while the database cannot be reached, and with an ordinary
 * Error only when we are at fault. Every query is scoped by the environment it is given.
 */
import type { Millis } from "../lib/clock.ts";
import type { Json, JsonObject } from "../lib/json.ts";
import type {
  ApiKey,
  Attempt,
  Captured,
  Channel,
  Delivery,
  DeliveryId,
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
      }
    | { readonly state: "sent" | "simulated" | "delivered"; readonly at: Millis; readonly reference: JsonObject | null }
    | {
        readonly state: "failed";
        readonly at: Millis;
        readonly error: string;
        /** Deliveries to start in its place. */
        readonly failover: readonly Delivery[];
        /**
         * What the message becomes if, after this, no delivery of it is pending, sent or delivered (checked under a
         * lock on the message, so that the last of several parallel failures ends it).
         */
        readonly ifLast: { readonly state: MessageState; readonly reason: Message["reason"] };
      }
    | { readonly state: "canceled"; readonly at: Millis };
}

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
  /** @returns for each settlement whether it was written. */
  settle(batch: readonly Settlement[]): Promise<readonly boolean[]>;
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
  /** The message of a request that went to this user; for public ids that name the user. */
  findByUser(environmentId: EnvironmentId, requestId: RequestId, userId: string): Promise<MessageId | null>;
  /** @returns null when there is none. */
  readRequest(environmentId: EnvironmentId, id: RequestId): Promise<Request | null>;
  /** Hides the messages of a request from lists. @returns false when there is no such request. */
  archiveRequest(environmentId: EnvironmentId, id: RequestId, at: Millis): Promise<boolean>;
  readDelivery(environmentId: EnvironmentId, id: DeliveryId): Promise<Delivery | null>;
  /** Delivers newest first; `after` is a delivery id. All channels. */
  listDeliveries(environmentId: EnvironmentId, messageId: MessageId): Promise<readonly Delivery[]>;
}

// ——— what users do with what they got ————————————————————————————————————————————————————————————————————————————

/** Which of a user's inbox items. Expired and deleted ones never match. Absent fields do not restrict. */
export interface InboxFilter {
  readonly userId: string;
  /** Exactly this tenant, or null: exactly the items without one. Absent: every item of the user. */
  readonly tenantId?: string | null;
  readonly archived?: boolean;
  readonly read?: boolean;
  readonly seen?: boolean;
  /** Any of them; an empty list matches nothing. */
  readonly tags?: readonly string[];
  /** Inclusive. */
  readonly from?: Millis;
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
  list(environmentId: EnvironmentId, filter: InboxFilter, now: Millis, page: PageQuery): Promise<Page<InboxItem>>;
  /** Exact, whatever the number. Cheap for filters of tenant, archived, read and seen; others look at every item. */
  count(environmentId: EnvironmentId, filter: InboxFilter, now: Millis): Promise<number>;
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
   * @returns ids of the messages it changed, at most 10,000 of them.
   */
  changeAll(
    environmentId: EnvironmentId,
    filter: InboxFilter,
    change: Omit<ItemChange, "deliveryId">,
    at: Millis,
    history: (delivery: Delivery) => readonly Progress[],
  ): Promise<readonly MessageId[]>;
  /** Adds progress without an item: a click, a provider's receipt. First times are kept; the state only rises. */
  progress(environmentId: EnvironmentId, steps: readonly Progress[]): Promise<void>;
  /** Ends items whose `expiresAt` has come and takes them out of the counts. @returns how many, at most `limit`. */
  expire(now: Millis, limit: number): Promise<number>;
}

/** One entry of a message's history, and how far it thereby is. */
export interface Progress {
  readonly event: MessageEvent;
  /** State to rise to, and the column of its first time. Null: the entry changes nothing but the history. */
  readonly state: "delivered" | "opened" | "clicked" | "undeliverable" | null;
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
  /** Marks tokens that a provider called dead, so that they are not used again. */
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

// ——— what people configure ———————————————————————————————————————————————————————————————————————————————————————

export interface DocumentWrite {
  readonly kind: string;
  readonly id: string;
  /** Null deletes. */
  readonly body: JsonObject | null;
  /** The version it must have now: `absent` for none, `any` for no matter. */
  readonly expect: number | "absent" | "any";
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
  write(environmentId: EnvironmentId, writes: readonly DocumentWrite[], at: Millis): Promise<readonly number[] | null>;
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
  readonly inbox: InboxStore;
  readonly directory: DirectoryStore;
  readonly documents: DocumentStore;
  readonly idempotency: IdempotencyStore;
  readonly captured: CaptureStore;
  readonly environments: EnvironmentStore;
  readonly housekeeping: HousekeepingStore;
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
  /** @throws Refusal("invalid") naming the element at fault. */
  compile(source: Json): CompiledContent;
  /** Evaluates strings inside overrides and the like with the same syntax. @throws RenderError */
  interpolate(value: Json, context: RenderContext): Json;
}

export class RenderError extends Error {
  override name = "RenderError";
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

export type Work = "requests" | "messages" | "deliveries" | "changes";

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
