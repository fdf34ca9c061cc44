/** What sending webhooks asks of the database. As in engine/ports.ts, a call that resolves has been committed. */
import type { Millis } from "../../lib/clock.ts";
import type { AttemptId, Delivery, EnvironmentId, MessageId } from "../model.ts";
import type { Acceptance, Accepted } from "../ports.ts";
import type {
  AppEndpointId,
  AppId,
  AppMessage,
  AppMessageHead,
  EndpointAttempt,
  EndpointMessage,
  Task,
  TaskId,
  TaskKind,
} from "./model.ts";

/** A page of a list that can be walked both ways. */
export interface Walk {
  readonly limit: number;
  /** The key to go on from, itself not included: in the order of the list, or `back` against it. Null: the beginning. */
  readonly from: { readonly key: string; readonly back: boolean } | null;
  readonly order: "ascending" | "descending";
}

export interface Walked<T> {
  /** In the order of the list, whichever way was walked. */
  readonly items: readonly T[];
  /** Whether there is more in the direction that was walked. */
  readonly more: boolean;
}

/** A message and its deliveries, to be written in one commit. */
export interface AppAcceptance {
  readonly message: AppMessage;
  readonly deliveries: readonly Delivery[];
  /**
   * Version of the document `ENDPOINTS_GENERATION` of the application under which the deliveries were made: when it is
   * no longer that, nothing is written. Null: whatever it is by now.
   */
  readonly generation: number | null;
  readonly idempotency: Acceptance["idempotency"];
}

export type AppAccepted =
  | Accepted
  /** The endpoints have changed, or the application is gone: read them again. Nothing was written. */
  | { readonly kind: "stale" }
  /** The application has a message with this event id. Nothing was written. */
  | { readonly kind: "duplicate" };

/** Kind of the documents whose version rises with every change of an application's endpoints; id: the application. */
export const ENDPOINTS_GENERATION = "app-endpoints";

/** Absent fields do not restrict. Times are those of the message's id. */
export interface AppMessageFilter {
  readonly eventTypes?: readonly string[];
  /** Messages that carry at least one of them. */
  readonly channels?: readonly string[];
  readonly tag?: string;
  /** Inclusive. */
  readonly from?: Millis;
  /** Exclusive. */
  readonly to?: Millis;
}

export interface EndpointAttemptFilter extends AppMessageFilter {
  /** Exactly one of these two, or both. */
  readonly endpointId?: AppEndpointId;
  readonly messageId?: MessageId;
  readonly outcomes?: readonly EndpointAttempt["outcome"][];
  /** 0 (no answer), 100, 200, …: codes from it up to 99 more. */
  readonly statusCodeClass?: number;
}

export interface AttemptCounts {
  readonly sent: number;
  readonly failed: number;
  readonly canceled: number;
}

export interface AppMessageStore {
  /** Commits messages with their deliveries. One result per item, in order. */
  accept(batch: readonly AppAcceptance[]): Promise<readonly AppAccepted[]>;

  /** By id or event id; null when the application has no such message. */
  read(environmentId: EnvironmentId, appId: AppId, key: MessageId | { eventId: string }): Promise<AppMessage | null>;
  /** Of any applications, as sending needs them: in the order of the ids, those that are gone as null. */
  readMany(
    keys: readonly { readonly environmentId: EnvironmentId; readonly appId: AppId; readonly id: MessageId }[],
  ): Promise<readonly (AppMessage | null)[]>;
  /** @param withContent false leaves payload, raw and parameters unread: they come as null. */
  list(
    environmentId: EnvironmentId,
    appId: AppId,
    filter: AppMessageFilter,
    walk: Walk,
    withContent: boolean,
  ): Promise<Walked<AppMessage>>;
  /** Throws payload, raw and parameters away. @returns false when there is no such message. */
  expunge(environmentId: EnvironmentId, appId: AppId, id: MessageId): Promise<boolean>;
  /** Those of up to 1,000 ids that exist and now have no content. */
  expungeMany(environmentId: EnvironmentId, appId: AppId, ids: readonly MessageId[]): Promise<ReadonlySet<MessageId>>;

  /**
   * Manual tries, each with a row of its own: made once, never repeated. The pair of message and endpoint gets its
   * own row as well if it has none, so that it shows in lists once it has been tried.
   */
  addManual(deliveries: readonly Delivery[]): Promise<void>;
  /**
   * Claims what is parked of one endpoint and due, the longest due first: deliveries that were born parked
   * (`Delivery.parkedUntil`) or given to `parkClaimed`.
   */
  claimOf(endpointId: AppEndpointId, now: Millis, limit: number, leaseUntil: Millis): Promise<readonly Delivery[]>;
  /**
   * One delivery that is parked, of the endpoint that follows `after`, of all environments: for a process that starts,
   * because those who parked it may be gone.
   */
  nextParked(after: AppEndpointId | null): Promise<Delivery | null>;
  /** Gives claimed deliveries back, to be claimed by anyone from `until` on. */
  parkClaimed(deliveries: readonly Pick<Delivery, "id">[], held: Millis, until: Millis): Promise<void>;

  // ——— attempts ———
  /** By attempt id. */
  listAttempts(
    environmentId: EnvironmentId,
    appId: AppId,
    filter: EndpointAttemptFilter,
    walk: Walk,
  ): Promise<Walked<EndpointAttempt>>;
  readAttempt(environmentId: EnvironmentId, appId: AppId, id: AttemptId): Promise<EndpointAttempt | null>;
  /** Throws the response away: `response` is null from then on. @returns false when there is no such attempt. */
  expungeAttempt(environmentId: EnvironmentId, appId: AppId, id: AttemptId): Promise<boolean>;
  /** Counts up to `most` attempts; a larger answer is `most` with `exact` false. */
  countAttempts(
    environmentId: EnvironmentId,
    appId: AppId,
    filter: EndpointAttemptFilter,
    most: number,
  ): Promise<{ readonly count: number; readonly exact: boolean }>;
  /** Attempts at an endpoint by their outcome, from `from` until before `to`. */
  attemptCounts(
    environmentId: EnvironmentId,
    appId: AppId,
    endpointId: AppEndpointId,
    from: Millis,
    to: Millis,
  ): Promise<AttemptCounts>;
  /** Pairs of a message of the time and an endpoint that it was to go to. */
  countPairs(environmentId: EnvironmentId, appId: AppId, from: Millis, to: Millis): Promise<number>;
  /** As `attemptCounts`, of all endpoints of the application, by event type. */
  attemptCountsByType(
    environmentId: EnvironmentId,
    appId: AppId,
    from: Millis,
    to: Millis,
    eventTypes: readonly string[] | null,
  ): Promise<ReadonlyMap<string, AttemptCounts>>;
  /** Pairs of this message and an endpoint that were tried, by endpoint id ascending; the key is an endpoint id. */
  endpointsOf(
    environmentId: EnvironmentId,
    appId: AppId,
    messageId: MessageId,
    walk: Walk,
  ): Promise<Walked<EndpointMessage>>;
  /** Pairs of this endpoint and a message that was tried; the key is a message id. With heads, or with whole messages. */
  messagesOf(
    environmentId: EnvironmentId,
    appId: AppId,
    endpointId: AppEndpointId,
    filter: AppMessageFilter & { readonly statuses?: readonly EndpointMessage["status"][] },
    walk: Walk,
    withContent: boolean,
  ): Promise<Walked<{ readonly pair: EndpointMessage; readonly message: AppMessage }>>;

  // ——— for tasks: pages of messages by id ascending, after `after` ———
  /**
   * Messages tried at the endpoint in vain from `from` until before `to`, and never with success. One whose manual try
   * is still to come is left out: whoever asks again and again would else fill the queue of all with tries of the same.
   */
  failedAt(
    environmentId: EnvironmentId,
    appId: AppId,
    endpointId: AppEndpointId,
    window: { readonly from: Millis; readonly to: Millis },
    after: MessageId | null,
    limit: number,
  ): Promise<readonly AppMessageHead[]>;
  /** Messages of the window that were never tried at the endpoint, whether they match it or not. */
  untriedAt(
    environmentId: EnvironmentId,
    appId: AppId,
    endpointId: AppEndpointId,
    window: { readonly from: Millis; readonly to: Millis },
    after: MessageId | null,
    limit: number,
  ): Promise<readonly AppMessageHead[]>;

  // ——— how an endpoint is doing ———
  /** Since when the endpoint has been failing, as `EndpointSettlement.health` noted it; null when it has not. */
  failingSince(environmentId: EnvironmentId, endpointId: AppEndpointId): Promise<Millis | null>;
  clearFailing(environmentId: EnvironmentId, endpointId: AppEndpointId): Promise<void>;

  /** Throws away content whose time is over: one bounded batch. @returns how many messages. */
  expireContent(now: Millis, limit: number): Promise<number>;
}

/** What a settlement of a try at an endpoint records beside the delivery itself; all in the same commit. */
export interface EndpointSettlement {
  /** Null when nothing was tried: the endpoint is gone or disabled, or does not want the message any more. */
  readonly attempt: EndpointAttempt | null;
  /** `well` takes back what was noted; a time is noted unless something is noted already. */
  readonly health: "well" | { readonly failingSince: Millis } | null;
  /** Messages that tell the environment's own endpoints of what happened. */
  readonly told: readonly AppAcceptance[];
  /** The payload is not needed any more and not to be kept. */
  readonly wipeContent: boolean;
}

/** What one page of a task does beside moving on. */
export interface TaskEffects {
  /** As `AppMessageStore.addManual`. */
  readonly manual?: readonly Delivery[];
  /** Written unless message and endpoint have a delivery that was tried or is pending. */
  readonly missing?: readonly Delivery[];
  /** Written; where message and endpoint have a delivery that is over, it begins anew instead. */
  readonly again?: readonly Delivery[];
  /** Messages that are already there by event id are left out. `generation` is not looked at. */
  readonly messages?: readonly AppAcceptance[];
  readonly expunge?: { readonly appId: AppId; readonly ids: readonly MessageId[] };
}

export interface TaskStore {
  create(task: Task): Promise<void>;
  read(environmentId: EnvironmentId, id: TaskId): Promise<Task | null>;
  /** By id. */
  list(
    environmentId: EnvironmentId,
    filter: { readonly state?: Task["state"]; readonly kind?: TaskKind },
    walk: Walk,
  ): Promise<Walked<Task>>;
  /** Claims running tasks until `leaseUntil`, oldest first. */
  claim(now: Millis, limit: number, leaseUntil: Millis): Promise<readonly Task[]>;
  /**
   * Commits one page of a claimed task: its effects, its cursor and its progress; renews the lease, or ends the task.
   * @param after the task as it is to be afterwards, given for each message of the effects whether it was written, and
   *   how many of `missing` and `again` were. Pure: it is called inside the operation, and may be called again.
   * @returns the task as it was written; null, having written nothing, when it is no longer under the lease.
   */
  commitPage(
    task: Pick<Task, "environmentId" | "id">,
    lease: { readonly held: Millis; readonly next: Millis },
    effects: TaskEffects,
    after: (written: readonly boolean[], begun: number) => Task,
  ): Promise<Task | null>;
  /** Gives a claimed task back; for an orderly stop. */
  release(id: TaskId, held: Millis): Promise<void>;
}
