/**
 * What workflows ask of the world. As in engine/ports.ts: whole operations, committed when they resolve, scoped by
 * environment; `Refusal("unavailable")` while the database is away.
 */
import type { Millis } from "../../lib/clock.ts";
import type { Json, JsonObject } from "../../lib/json.ts";
import type {
  Delivery,
  DeliveryId,
  EnvironmentId,
  Message,
  MessageId,
  Provider,
  Rendered,
  Request,
  User,
} from "../model.ts";
import type { Page, PageQuery, Planned, RecipientFacts, TenantChange } from "../ports.ts";
import type {
  Activity,
  AudienceMember,
  BatchId,
  BulkOperation,
  ChannelType,
  Happening,
  ObjectSubscription,
  PartyDocument,
  PartyDocumentKind,
  PartyObject,
  PartyRef,
  Run,
  RunRecord,
  RunState,
  Schedule,
  ScheduleId,
} from "./model.ts";

// ——— runs ————————————————————————————————————————————————————————————————————————————————————————————————————————

/** What becomes of a run with a leg. */
export type RunNext =
  /** It waits until `dueAt`. */
  | {
      readonly kind: "wait";
      readonly status: "queued" | "paused";
      readonly dueAt: Millis;
      readonly state: RunState;
      readonly record: RunRecord;
    }
  /** It is over; its row goes. */
  | { readonly kind: "end"; readonly record: RunRecord };

/**
 * Decided inside the commit, under a lock on the gate's row, so that every run passes it exactly once. Every recipient has
 * gates of its own; `key` tells those apart. `now` is when the run asked; see `RunStore.commit` for one that comes later.
 */
export type Gate =
  /**
   * Lets `limit` runs pass within a window that begins with the first pass and is as long as from `now` to `until`.
   * Passing goes on with `pass`, being held back with `stop`.
   */
  | {
      readonly kind: "throttle";
      readonly key: string;
      readonly limit: number;
      readonly now: Millis;
      readonly until: Millis;
      readonly pass: RunNext;
      readonly stop: RunNext;
    }
  /**
   * Without an open batch of the key: with `leading` and no window under way, a window is noted until `closesAt` and the
   * run goes on with `lead`, being in no batch; else it opens the batch, which closes at `closesAt` (under a leading
   * window: when that ends), and becomes its carrier (`open`, its `dueAt` set to the batch's close).
   * With one: the activity is added, and the run goes on with `join` (its end). A sliding batch then closes at
   * `now + slideMs`, never after its opening + `extensionMs`; one that has `maxItems` closes now. Closing time moves the
   * carrier's `dueAt` along. A batch whose carrier already holds a lease and read `version` is protected by `close`. One
   * whose time has come or that is full is joined no more, whether or not its carrier has noticed: the next run opens
   * another.
   */
  | {
      readonly kind: "batch";
      readonly key: string;
      /** The id the batch gets when this run opens it. */
      readonly batchId: BatchId;
      readonly now: Millis;
      readonly closesAt: Millis;
      readonly slideMs: Millis | null;
      readonly extensionMs: Millis | null;
      readonly maxItems: number;
      readonly leading: boolean;
      readonly activity: Activity;
      readonly open: RunNext & { readonly kind: "wait" };
      readonly join: RunNext;
      readonly lead: RunNext;
    };

/** What one turn of a run came to; written as a whole or not at all. */
export interface Leg {
  /** The run as it was claimed. */
  readonly run: Run;
  /** The run's message as it is to be, but for what deliveries made progress of meanwhile; see `RunStore.commit`. */
  readonly deliveries: readonly Delivery[];
  /** Of a carrier that goes on behind its batch: the batch is closed if it still has this version. */
  readonly closes: { readonly batchId: BatchId; readonly version: number } | null;
  /** Requests that the run made (trigger_workflow), to be expanded. */
  readonly requests: readonly Request[];
  /** Properties to merge deeply into users and objects; they are created where they are not there. */
  readonly updates: readonly { readonly party: PartyRef; readonly properties: JsonObject }[];
  readonly tenants: readonly TenantChange[];
  /** `gate` decides what is next; otherwise `next` is it. */
  readonly gate: Gate | null;
  readonly next: RunNext | null;
}

/** `again`: nothing was written because the batch to close has another version now; read it again. */
export type LegResult = "written" | "lost" | "again";

/** What a batch holds when its carrier goes on. */
export interface BatchContents {
  readonly version: number;
  readonly total: number;
  /** The first or the last so many, as asked for; oldest first. */
  readonly activities: readonly Activity[];
  /** Distinct actors, in the order of their first activity; at most so many, and how many there are in all. */
  readonly actors: readonly PartyRef[];
  readonly totalActors: number;
  /** Top-level scalars of all activities' data, later ones winning; texts cut to 256 characters. */
  readonly mergedData: JsonObject;
  /** The newest activity's data, whole. */
  readonly newestData: JsonObject;
}

export interface RunFilter {
  readonly workflow?: string;
  /** Any of them. `processing` stands for a run under a lease at `now`. */
  readonly statuses?: readonly ("queued" | "processing" | "paused" | "completed" | "cancelled")[];
  readonly tenantId?: string;
  readonly hasErrors?: boolean;
  readonly recipient?: PartyRef;
  /** Inclusive / exclusive. */
  readonly from?: Millis;
  readonly until?: Millis;
}

export interface RunStore {
  /** Claims runs that are due, oldest first. */
  claim(now: Millis, limit: number, leaseUntil: Millis): Promise<readonly Run[]>;
  /**
   * Commits legs, each written only while its run is still under `leaseUntil`. With a leg: its deliveries are inserted
   * (inbox counts included), its message's `run` record is replaced and its state raised to what the deliveries make of
   * it (never lowered; `sentAt`/`deliveredAt` set at the first), its requests are inserted, its updates merged, its tenants changed, its gate
   * decided, its batch closed. A run that ends loses its row; if its message then has no delivery, that ends, too, as
   * `canceled`, `undeliverable` (the log has an error) or `filtered`. A carrier that goes on without closing its batch
   * takes it along. Parties of `updates` have been checked: one that cannot be stored rejects the whole call.
   * @param now is asked once the gates are locked. Who stood still since it asked to pass, or waited for the database, is
   *   judged by when it does: else it would use up a window that is long over. Absent: by when it asked.
   */
  commit(legs: readonly Leg[], leaseUntil: Millis, now?: () => Millis): Promise<readonly LegResult[]>;
  renew(ids: readonly MessageId[], held: Millis, leaseUntil: Millis): Promise<void>;
  release(ids: readonly MessageId[], held: Millis): Promise<void>;
  /** What the batch holds; null when it is closed. @param limit activities and actors at most. */
  batch(environmentId: EnvironmentId, id: BatchId, order: "asc" | "desc", limit: number): Promise<BatchContents | null>;
  /**
   * Cancels runs of the workflow that wait, by the key they were triggered with, and takes activities of that key out of
   * open batches (their windows stay as they are; a batch that is thereby empty ends its carrier when it closes). An
   * opener whose batch still holds others' activities goes on for them. Runs under a lease are canceled, too: their leg
   * is then not written. Requests still expanding of that workflow and key end; with `recipients` they go on, but not
   * to users among them whom they name. Who is only subscribed to an object that they name is still reached.
   * @param record makes of a run's record the one it ends with. Pure.
   * @returns how many runs and activities that were.
   */
  cancel(
    environmentId: EnvironmentId,
    workflow: string,
    cancellationKey: string,
    recipients: readonly PartyRef[] | null,
    at: Millis,
    record: (old: RunRecord) => RunRecord,
  ): Promise<number>;
  read(environmentId: EnvironmentId, id: MessageId): Promise<Run | null>;
  /**
   * Messages that are runs, with or without a row. Newest first; `after` and `before` are message ids, see
   * `InboxPageQuery`. Their `leaseUntil` is that of the run.
   */
  list(
    environmentId: EnvironmentId,
    filter: RunFilter,
    now: Millis,
    page: PageQuery & { readonly before?: string | null },
  ): Promise<Page<Message>>;
  /** How far deliveries are, for conditions on `refs`. In the order of `ids`; absent ones left out. */
  deliveries(environmentId: EnvironmentId, ids: readonly DeliveryId[]): Promise<readonly Delivery[]>;
  /** Whether the workflow has a run of this recipient (and tenant, if given) before that message. For trigger_frequency. */
  hasRun(
    environmentId: EnvironmentId,
    workflow: string,
    recipient: PartyRef,
    tenantId: string | null | undefined,
    before: MessageId,
  ): Promise<boolean>;
}

/**
 * What happened and endpoints may want to know of. Whatever makes something happen notes it here in its own commit, if
 * the environment has an endpoint for it (`KNOCK_WEBHOOK`). Nobody has to ask for that, but for what authors write
 * (`DocumentEffects`).
 */
export interface HappeningStore {
  /** Claims happenings until `leaseUntil`, oldest first. */
  claim(now: Millis, limit: number, leaseUntil: Millis): Promise<readonly Happening[]>;
  /**
   * Replaces claimed happenings by the messages that tell endpoints of them; null when nobody wants to know. One commit.
   * @returns for each whether it was written; false when it is no longer under `leaseUntil`.
   */
  replace(
    told: readonly {
      readonly happening: Happening;
      readonly by: (Planned & { readonly request: Request }) | null;
    }[],
    leaseUntil: Millis,
  ): Promise<readonly boolean[]>;
}

export interface ScheduleStore {
  create(schedules: readonly Schedule[]): Promise<void>;
  read(environmentId: EnvironmentId, ids: readonly ScheduleId[]): Promise<readonly Schedule[]>;
  /**
   * Replaces those that are there, are for the same recipient, and fired last when they say; else somebody has fired or
   * moved one since it was read. @returns which were replaced.
   */
  update(schedules: readonly Schedule[]): Promise<readonly boolean[]>;
  /** @returns those that were there. */
  delete(environmentId: EnvironmentId, ids: readonly ScheduleId[]): Promise<readonly Schedule[]>;
  /** Newest first; `after` and `before` are schedule ids. */
  list(
    environmentId: EnvironmentId,
    filter: { readonly workflow?: string; readonly recipients?: readonly PartyRef[]; readonly tenantId?: string },
    page: PageQuery & { readonly before?: string | null },
  ): Promise<Page<Schedule>>;
  /** Claims schedules whose time has come. */
  claim(now: Millis, limit: number, leaseUntil: Millis): Promise<readonly Schedule[]>;
  /**
   * Commits one firing: the request and the schedule's next time together, exactly once.
   * @param request null when it is not to fire after all (its workflow is gone).
   * @returns false, having written nothing, when the schedule is not under `leaseUntil` any more or was changed.
   */
  fire(schedule: Schedule, leaseUntil: Millis, request: Request | null, nextAt: Millis | null): Promise<boolean>;
}

// ——— parties —————————————————————————————————————————————————————————————————————————————————————————————————————

/**
 * A page whose walk may go both ways; `after` and `before` are keys of the list's order: whatever a page gave as `next`,
 * or `keyInTime` of a thing at hand. With `before` alone the page is the one next to it, still newest first, and its
 * `next` is to be passed as `before`.
 */
export type Walk = PageQuery & { readonly before?: string | null };

/** One party to be made or changed: properties merged deeply, documents replaced or changed. */
export interface PartyWrite {
  readonly party: PartyRef;
  /** Merged deeply into what is there; null leaves it alone (and makes nobody). */
  readonly properties: JsonObject | null;
  readonly documents: readonly {
    readonly kind: PartyDocumentKind;
    readonly name: string;
    /** What is to be there; null deletes. A function makes it of what is there; it is pure and may run again. */
    readonly body: JsonObject | null | ((old: JsonObject | null) => JsonObject | null);
  }[];
}

/** What planning a run needs to know of a party, read in one go. */
export interface PartyFacts {
  readonly party: PartyRef;
  /** Null when it was never identified. Of a user its profile. */
  readonly properties: JsonObject | null;
  readonly createdAt: Millis | null;
  readonly updatedAt: Millis | null;
  /** Preferences and channels. */
  readonly documents: readonly PartyDocument[];
}

export interface PartyStore {
  /** In the order of `parties`. Users and objects; tenants are read from their documents, not here. */
  facts(environmentId: EnvironmentId, parties: readonly PartyRef[]): Promise<readonly PartyFacts[]>;
  /** All in one commit, in order, with changes of tenants. @returns each of `writes` as it is afterwards. */
  write(
    environmentId: EnvironmentId,
    writes: readonly PartyWrite[],
    at: Millis,
    tenants?: readonly TenantChange[],
  ): Promise<readonly PartyFacts[]>;
  /** By creation, newest first. */
  users(environmentId: EnvironmentId, walk: Walk): Promise<Page<User>>;
  objects(environmentId: EnvironmentId, collection: string, walk: Walk): Promise<Page<PartyObject>>;
  /** With subscriptions, documents and memberships of audiences. What they got stays. @returns for each whether it was there. */
  delete(environmentId: EnvironmentId, parties: readonly PartyRef[]): Promise<readonly boolean[]>;
  /**
   * Moves what one user has got (messages, deliveries, inbox counts), waiting runs with their gates, what requests still
   * have to expand, schedules, subscriptions, documents, device tokens and memberships of audiences, lists and tenants to
   * another and deletes the first. The target's own win where both have one, in profiles at every depth; of throttles both
   * count. One commit, however much that is.
   * @throws Refusal("not_found") with the field `into` or `from` when there is no such user.
   */
  mergeUsers(environmentId: EnvironmentId, into: string, from: string, at: Millis): Promise<void>;

  document(
    environmentId: EnvironmentId,
    party: PartyRef,
    kind: PartyDocumentKind,
    name: string,
  ): Promise<PartyDocument | null>;
  documents(environmentId: EnvironmentId, party: PartyRef, kind: PartyDocumentKind): Promise<readonly PartyDocument[]>;
  /**
   * Reads, changes and writes as one operation. @param modify is pure and may run again; null deletes.
   * @returns what is there afterwards.
   */
  modifyDocument(
    environmentId: EnvironmentId,
    party: PartyRef,
    kind: PartyDocumentKind,
    name: string,
    at: Millis,
    modify: (old: JsonObject | null) => JsonObject | null,
  ): Promise<PartyDocument | null>;

  /** Adds or updates; properties that are null leave alone what is there. @returns them as they are, in order. */
  subscribe(
    environmentId: EnvironmentId,
    subscriptions: readonly {
      readonly object: PartyRef;
      readonly recipient: PartyRef;
      readonly properties: JsonObject | null;
    }[],
    at: Millis,
  ): Promise<readonly ObjectSubscription[]>;
  /** @returns those that were there, as they were. */
  unsubscribe(
    environmentId: EnvironmentId,
    pairs: readonly { readonly object: PartyRef; readonly recipient: PartyRef }[],
  ): Promise<readonly ObjectSubscription[]>;
  /** Newest first. Filter by either side, or both. */
  subscriptions(
    environmentId: EnvironmentId,
    filter: {
      readonly object?: PartyRef;
      readonly objects?: readonly PartyRef[];
      readonly recipient?: PartyRef;
      readonly recipients?: readonly PartyRef[];
    },
    walk: Walk,
  ): Promise<Page<ObjectSubscription>>;
  /** Who is subscribed to the object, for expanding: by party key ascending; `after` is a party key. */
  subscribersOf(environmentId: EnvironmentId, object: PartyRef, page: PageQuery): Promise<Page<ObjectSubscription>>;

  /** Adds those that are not members yet; the others stay as they are. */
  putMembers(
    environmentId: EnvironmentId,
    audience: string,
    members: readonly { readonly userId: string; readonly tenantId: string | null }[],
    at: Millis,
  ): Promise<void>;
  deleteMembers(
    environmentId: EnvironmentId,
    audience: string,
    members: readonly { readonly userId: string; readonly tenantId: string | null }[],
  ): Promise<void>;
  /** Newest first. */
  members(environmentId: EnvironmentId, audience: string, walk: Walk): Promise<Page<AudienceMember>>;
  /** Whether there is this very membership: of the tenant, or with null of none. */
  isMember(environmentId: EnvironmentId, audience: string, userId: string, tenantId: string | null): Promise<boolean>;

  /** Adds or replaces. */
  putBulkOperation(environmentId: EnvironmentId, operation: BulkOperation): Promise<void>;
  bulkOperation(environmentId: EnvironmentId, id: string): Promise<BulkOperation | null>;
}

// ——— content —————————————————————————————————————————————————————————————————————————————————————————————————————

/** All that an expression of a workflow may refer to; values are plain JSON. */
export interface StepScope {
  readonly data: JsonObject;
  readonly recipient: JsonObject;
  readonly actor: JsonObject | null;
  readonly actors: readonly JsonObject[];
  readonly activities: readonly JsonObject[];
  readonly total_activities: number;
  readonly total_actors: number;
  readonly tenant: JsonObject | null;
  readonly vars: JsonObject;
  readonly workflow: JsonObject;
  readonly run: JsonObject;
  readonly refs: JsonObject;
  readonly timestamp: string;
  /** Of the message that a template is rendered for. */
  readonly current_message?: JsonObject;
}

/** What templates include and look up; the engine hands it in, so that content knows no storage. */
export interface StepSources {
  readonly locale: string | null;
  /** Zone of the recipient, for filters of dates. */
  readonly timezone: string;
  /** Committed text of a partial; null when there is none. */
  partial(key: string): Promise<{ readonly type: string; readonly content: string } | null>;
  layout(
    key: string,
  ): Promise<{ readonly html: string; readonly text: string; readonly footerLinks: readonly JsonObject[] } | null>;
  /** Lookup as contract E.7 orders it. @param count picks a plural form. */
  translate(key: string, count: number | null): Promise<string | null>;
  /** For the filters `user`, `object`, `tenant`, `subscriptions`. */
  party(ref: PartyRef): Promise<JsonObject | null>;
  subscriptions(ref: PartyRef, limit: number): Promise<readonly JsonObject[]>;
}

export interface StepRendering {
  readonly scope: StepScope;
  readonly sources: StepSources;
  /** Turns a link's target into a tracked address; null leaves links alone. */
  readonly trackLink: ((index: number, href: string) => string) | null;
  readonly openPixel: string | null;
}

/** Liquid and templates, with limits on time and output. Everything throws RenderError when the author's text is at fault. */
export interface StepLanguage {
  /** @throws Refusal("invalid") with a field such as `template.markdown_body` when it does not parse. */
  checkTemplate(type: ChannelType, template: JsonObject): void;
  /** @throws Refusal("invalid") when the text does not parse. */
  checkText(text: string, field: string): void;
  /**
   * The content of one message. For the inbox, `raw.feed` holds the blocks as `{name, type, content, rendered}` and button
   * sets as `{name, type: "button_set", buttons}`; title, body, clickUrl and actions are filled for other readers.
   * @returns a value when nothing had to be looked up, so that a plain template costs no turn.
   * @throws RenderError, at once or as a rejection.
   */
  render(type: ChannelType, template: JsonObject, rendering: StepRendering): Rendered | Promise<Rendered>;
  /** A text with Liquid, for keys, addresses, bodies. */
  text(template: string, rendering: Pick<StepRendering, "scope" | "sources">): string | Promise<string>;
}

// ——— the world ———————————————————————————————————————————————————————————————————————————————————————————————————

/** What a fetch step sends. */
export interface FetchRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: { readonly [name: string]: string };
  readonly body: string | null;
  readonly timeoutMs: Millis;
}
export type FetchAnswer =
  | { readonly kind: "answered"; readonly status: number; readonly text: string }
  | { readonly kind: "failed"; readonly reason: string };
/** Calls out for fetch steps; checked addresses, no redirects, bounded. Never rejects. */
export type Fetch = (request: FetchRequest, signal: AbortSignal) => Promise<FetchAnswer>;

/** How a party reads in templates, conditions and answers, in the words of the facade. */
export type DescribeParty = (facts: PartyFacts) => JsonObject;

export type { Json, Provider, RecipientFacts };
