/**
 * The words of workflows. A **workflow** is a list of steps that people write; a **version** of it is what was committed
 * and never changes. A trigger is a request whose content is a workflow; each of its recipients gets a **run**, which is
 * a message: the deliveries that the run's channel steps make are that message's deliveries. A run that has nothing to
 * wait for is over in the commit that begins it and has no row of its own.
 */
import type { Millis } from "../../lib/clock.ts";
import type { Id } from "../../lib/ids.ts";
import type { Json, JsonObject } from "../../lib/json.ts";
import type { Channel, Delivery, DeliveryId, EnvironmentId, MessageEventKind, MessageId, RequestId } from "../model.ts";

export type WorkflowVersionId = Id<"wfv">;
export type BatchId = Id<"bat">;
export type ScheduleId = Id<"sch">;

// ——— who takes part ——————————————————————————————————————————————————————————————————————————————————————————————

/** The collection that users are in, so that users and objects are named alike. */
export const USERS = "$users";
/** The collection that tenants are in. Their properties are kept with the tenant's document, not as an object. */
export const TENANTS = "$tenants";

/** Somebody or something that can be notified or act: a user (`$users`), a tenant (`$tenants`) or an object. */
export interface PartyRef {
  readonly collection: string;
  readonly id: string;
}

/** A party as text, for keys: collections have no slash. */
export function partyKey({ collection, id }: PartyRef): string {
  return `${collection}/${id}`;
}

/** The other way around. */
export function partyOf(key: string): PartyRef {
  const slash = key.indexOf("/");
  return { collection: key.slice(0, slash), id: key.slice(slash + 1) };
}

/**
 * Where something stands in a list by creation: the key that a `Walk` takes and a page gives. Names tell things of one
 * moment apart: the id of a user or object, the party keys of a subscription's object and recipient, the ids of a
 * member's user and tenant (`''` for none).
 */
export function keyInTime(at: Millis, ...names: readonly string[]): string {
  return JSON.stringify([at, ...names]);
}

export function isUser(party: PartyRef): boolean {
  return party.collection === USERS;
}

/** A thing of a collection, with properties of its own. */
export interface PartyObject {
  readonly collection: string;
  readonly id: string;
  readonly properties: JsonObject;
  readonly createdAt: Millis;
  readonly updatedAt: Millis;
}

/** That a recipient wants what is sent to an object. */
export interface ObjectSubscription {
  readonly object: PartyRef;
  readonly recipient: PartyRef;
  readonly properties: JsonObject | null;
  readonly createdAt: Millis;
  readonly updatedAt: Millis;
}

/**
 * What is kept with a party beside its properties. `preferences`: by set, `default` or the id of a tenant.
 * `channel`: by the id of a channel, where the party is reached there. `guide`: what was done with a guide, as the facade
 * keeps it; runs have no use for it, so it is not among their facts.
 */
export type PartyDocumentKind = "preferences" | "channel" | "guide";
export interface PartyDocument {
  readonly party: PartyRef;
  readonly kind: PartyDocumentKind;
  readonly name: string;
  readonly body: JsonObject;
  readonly createdAt: Millis;
  readonly updatedAt: Millis;
}

export interface AudienceMember {
  readonly userId: string;
  readonly tenantId: string | null;
  readonly addedAt: Millis;
}

/** What was asked for in bulk and how far it is, as the facade keeps it; forgotten after a week. */
export interface BulkOperation {
  readonly id: string;
  readonly body: JsonObject;
  readonly createdAt: Millis;
}

// ——— what people write ———————————————————————————————————————————————————————————————————————————————————————————

export const CHANNEL_TYPES = ["email", "in_app_feed", "sms", "push", "chat", "http"] as const;
export type ChannelType = (typeof CHANNEL_TYPES)[number];

/** Our channel behind a channel type. */
export const CHANNEL_OF: { readonly [type in ChannelType]: Channel } = {
  email: "email",
  in_app_feed: "inbox",
  sms: "sms",
  push: "push",
  chat: "chat",
  http: "webhook",
};

export interface Condition {
  readonly variable: string;
  readonly operator: string;
  readonly argument?: Json;
}
/** All of them; or any of them, where each may again be a conjunction. An empty list or absent conditions hold. */
export type Conditions =
  | { readonly all: readonly Condition[] }
  | { readonly any: readonly (Condition | { readonly all: readonly Condition[] })[] };

export const DURATION_UNITS = ["seconds", "minutes", "hours", "days", "weeks", "months"] as const;
export interface Duration {
  readonly unit: (typeof DURATION_UNITS)[number];
  readonly value: number;
}

export interface SendWindow {
  readonly day: "monday" | "tuesday" | "wednesday" | "thursday" | "friday" | "saturday" | "sunday";
  readonly type: "send" | "do_not_send";
  /** `HH:MM` or `HH:MM:SS`. */
  readonly from?: string;
  readonly until?: string;
}

interface StepBase {
  readonly ref: string;
  readonly name?: string;
  readonly description?: string;
  readonly conditions?: Conditions | null;
}

export interface ChannelStep extends StepBase {
  readonly type: "channel";
  readonly channel_key?: string;
  readonly channel_group_key?: string;
  readonly channel_type: ChannelType;
  readonly template: JsonObject;
  readonly channel_overrides?: JsonObject;
  readonly send_windows?: readonly SendWindow[];
}
export interface DelayStep extends StepBase {
  readonly type: "delay";
  readonly settings: { readonly delay_for?: Duration; readonly delay_until_field_path?: string };
}
export interface BatchStep extends StepBase {
  readonly type: "batch";
  readonly settings: {
    readonly batch_key?: string;
    readonly batch_window?: Duration;
    readonly batch_until_field_path?: string;
    readonly batch_window_type?: "fixed" | "sliding";
    readonly batch_window_extension_limit?: Duration;
    readonly batch_order?: "asc" | "desc";
    readonly batch_execution_mode?: "accumulate" | "flush_leading";
    readonly batch_items_max_limit?: number;
    readonly batch_items_render_limit?: number;
    readonly workflow_version_mode?: "latest" | "pinned";
  };
}
export interface ThrottleStep extends StepBase {
  readonly type: "throttle";
  readonly settings: {
    readonly throttle_key?: string;
    readonly throttle_window?: Duration;
    readonly throttle_window_field_path?: string;
    readonly throttle_limit?: number;
  };
}
export interface FetchStep extends StepBase {
  readonly type: "http_fetch";
  readonly settings: {
    readonly method: string;
    readonly url: string;
    readonly headers?: string | readonly { readonly key: string; readonly value: string }[];
    readonly query_params?: string | readonly { readonly key: string; readonly value: string }[];
    readonly body?: string;
    readonly response_path?: string;
    readonly signing_key?: string;
  };
}
export interface BranchStep extends StepBase {
  readonly type: "branch";
  readonly branches: readonly {
    readonly name?: string;
    /** Null: the default, when no other holds. */
    readonly conditions: Conditions | null;
    readonly steps: readonly Step[];
    /** Nothing after the branch step is done. */
    readonly terminates?: boolean;
  }[];
}
export interface CohortStep extends StepBase {
  readonly type: "random_cohort";
  readonly cohort_key?: string;
  readonly cohort_branches: readonly {
    readonly name?: string;
    readonly percentage: number;
    readonly steps: readonly Step[];
    readonly terminates?: boolean;
  }[];
}
export interface TriggerStep extends StepBase {
  readonly type: "trigger_workflow";
  readonly settings: {
    readonly workflow_key: string;
    readonly recipients?: string;
    readonly actor?: string;
    readonly tenant?: string;
    readonly data?: string;
    readonly cancellation_key?: string;
  };
}
export interface UpdateDataStep extends StepBase {
  readonly type: "update_data";
  readonly settings: { readonly data: string | JsonObject };
}
export interface UpdatePartyStep extends StepBase {
  readonly type: "update_user" | "update_tenant" | "update_object";
  readonly settings: {
    readonly recipient_mode?: "current" | "reference";
    readonly recipient_gid?: string;
    readonly update_properties: string | JsonObject;
  };
}
export type Step =
  | ChannelStep
  | DelayStep
  | BatchStep
  | ThrottleStep
  | FetchStep
  | BranchStep
  | CohortStep
  | TriggerStep
  | UpdateDataStep
  | UpdatePartyStep;
export type StepType = Step["type"];

/** A workflow as it was committed. The facade that takes it in has checked it. */
export interface Workflow {
  readonly key: string;
  readonly name: string;
  readonly steps: readonly Step[];
  readonly description?: string;
  readonly categories?: readonly string[];
  readonly tags?: readonly string[];
  readonly conditions?: Conditions | null;
  readonly settings?: { readonly is_commercial?: boolean; readonly override_preferences?: boolean };
  readonly trigger_data_json_schema?: JsonObject;
  readonly trigger_frequency?: "every_trigger" | "once_per_recipient" | "once_per_recipient_per_tenant";
}

// ——— documents ———————————————————————————————————————————————————————————————————————————————————————————————————

/** Kind of documents; id is the workflow's key. Body: `WorkflowBody`. */
export const WORKFLOW = "workflow";
export interface WorkflowBody {
  readonly active: boolean;
  /** What was written last, checked, as a `Workflow`; null when there is nothing that is not committed. */
  readonly draft: JsonObject | null;
  /** The newest committed version; null before the first commit. */
  readonly versionId: WorkflowVersionId | null;
  readonly committedAt: Millis | null;
}
/** Kind of documents that never change; id is a `WorkflowVersionId`. Body: `{ workflow: Workflow }`. */
export const WORKFLOW_VERSION = "workflow-version";

/** Kinds of what templates include; body `{ draft, committed }`, each null or the author's object; id is the key. */
export const EMAIL_LAYOUT = "email-layout";
export const PARTIAL = "partial";
/** As above; id is `<namespace or ''>/<tenant or ''>/<locale>`. */
export const STEP_TRANSLATION = "step-translation";

/** Kind of documents; id is a UUID. Body: `ChannelBody`. A way to notify that workflows name by its key. */
export const STEP_CHANNEL = "step-channel";
export interface ChannelBody {
  readonly key: string;
  readonly name: string;
  readonly type: ChannelType;
  /** Key of a kind of provider (`smtp`) or the id of one provider; null: whatever is configured for the channel. */
  readonly provider: string | null;
  /** Vendor's options: sandbox mode, tracking, … */
  readonly settings: JsonObject;
}
/** Kind; id is the key. Body `{ name, operator: any|all, channel_type, channel_rules: [{channel_key, rule_type, conditions…}] }`. */
export const CHANNEL_GROUP = "channel-group";
/** Kind; id is the name. Body `{ value: Json, secret: boolean, description }`. */
export const VARIABLE = "variable";
/** Kind, one per environment under the id `default`; body is a preference set. */
export const DEFAULT_PREFERENCES = "default-preferences";

// ——— a trigger ———————————————————————————————————————————————————————————————————————————————————————————————————

/** Why a workflow was triggered. */
export interface TriggerSource {
  readonly type: "api" | "audience" | "schedule" | "broadcast" | "workflow_step" | "integration" | "rehearsal";
  readonly scheduleId?: ScheduleId;
  readonly audienceKey?: string;
}

/** What a request whose content is a workflow carries beside the recipients, the data and the tenant. */
export interface TriggerSpec {
  readonly key: string;
  readonly versionId: WorkflowVersionId;
  readonly actor: PartyRef | null;
  readonly cancellationKey: string | null;
  readonly source: TriggerSource;
  /** Messages are kept but not sent, in-app ones excepted. */
  readonly sandbox: boolean;
  readonly skipDelay: boolean;
  /** How far it is from the call where all began, in workflows that trigger one another; see trigger-step.ts. */
  readonly depth: number;
}

// ——— a run ———————————————————————————————————————————————————————————————————————————————————————————————————————

/** One trigger as it was collected by a batch, or the only one of a run without. */
export interface Activity {
  readonly id: MessageId;
  readonly actor: PartyRef | null;
  readonly data: JsonObject;
  readonly at: Millis;
}

/** Something that happened in a run, for its log. `at` epoch milliseconds. */
export interface RunEvent {
  readonly at: Millis;
  readonly event:
    | "run_started"
    | "message_enqueued"
    | "step_skipped"
    | "step_failed"
    | "step_paused"
    | "step_resumed"
    | "batch_item_added"
    | "batch_closed"
    | "throttled"
    | "conditions_evaluated"
    | "run_cancelled"
    | "run_completed";
  readonly ok: boolean;
  readonly attempt: number;
  readonly ref?: string;
  readonly type?: StepType;
  readonly data?: JsonObject;
}

/**
 * What is kept of a run with its message (`Message.run`), whether or not it has a row of its own. The log is bounded:
 * of more than 200 entries the first and the last are kept.
 */
export interface RunRecord {
  readonly workflow: string;
  readonly versionId: WorkflowVersionId;
  readonly recipient: PartyRef;
  readonly actor: PartyRef | null;
  readonly source: TriggerSource;
  readonly cancellationKey: string | null;
  readonly status: RunStatus;
  readonly log: readonly RunEvent[];
}

/**
 * State of a run:
 *
 *   queued ──▶ processing ──▶ completed
 *     ▲          │  ▲ │
 *     │          ▼  │ └────▶ cancelled
 *     └──── paused ─┘
 *
 * `queued`: due now. `paused`: waits for its time (delay, batch, retry of a fetch). `processing` is a queued or paused
 * run under a lease; it is not stored. A run that fails is `completed` and has an error in its log.
 */
export type RunStatus = "queued" | "paused" | "completed" | "cancelled";

/**
 * Where a run goes on: indices of steps and branches in turn, `[2]` is the third step, `[2, 0, 1]` the second step of the
 * first branch of the third step.
 */
export type Place = readonly number[];

/** What a run carries from leg to leg. */
export interface RunState {
  readonly place: Place;
  /**
   * Why the run stopped there: the step at `place` is entered anew, or is over its wait. `begin`: the recipient may have
   * but one run of the workflow, and whether it is this one is still to be decided.
   */
  readonly entry: "begin" | "enter" | "resume";
  readonly data: JsonObject;
  /** Tries of the step at `place` so far. */
  readonly tries: number;
  /** After a batch: what it collected. */
  readonly batch: {
    readonly activities: readonly Activity[];
    readonly totalActivities: number;
    readonly actors: readonly PartyRef[];
    readonly totalActors: number;
    /** Of the newest activity, where that is not among those that are kept. */
    readonly newestData?: JsonObject;
  } | null;
  /** The batch whose carrier this run is, until it is closed. */
  readonly carries: BatchId | null;
  /** The deliveries that channel steps made, by the step's ref; a step that was skipped has `[]`. */
  readonly deliveries: { readonly [ref: string]: readonly DeliveryId[] };
}

/** A run that waits. */
export interface Run {
  readonly environmentId: EnvironmentId;
  /** The run's message shares its id. */
  readonly messageId: MessageId;
  readonly requestId: RequestId;
  readonly workflow: string;
  readonly recipient: PartyRef;
  readonly tenantId: string | null;
  readonly cancellationKey: string | null;
  readonly status: "queued" | "paused";
  readonly state: RunState;
  readonly dueAt: Millis;
  readonly leaseUntil: Millis | null;
  readonly createdAt: Millis;
}

// ——— what is told of it —————————————————————————————————————————————————————————————————————————————————————————————

/**
 * Kind of documents and of providers: an address that is told what happens to what workflows send, to runs, and to what
 * authors write. Id is an `EndpointId`; body: an `OutboundWebhook` (engine/endpoints.ts), events in the facade's words.
 */
export const KNOCK_WEBHOOK = "knock-webhook";

/** What can happen to a delivery that a workflow made. */
export type DeliveryHappening = "sent" | "attempted" | "failed" | MessageEventKind;
/** `failed`: a run that is over has an error in its log. */
export type RunHappening = "started" | "failed" | "completed";
export type ResourceHappening = "updated" | "committed";

/** How far a delivery was in the commit in which something happened to it. */
export type DeliveryThen = Pick<
  Delivery,
  "state" | "attempts" | "sentAt" | "deliveredAt" | "seenAt" | "readAt" | "interactedAt" | "archivedAt"
>;

/** Something that happened. `subject` is the id of a delivery, of a run's message, or of what an author wrote. */
export type HappeningNote = {
  readonly environmentId: EnvironmentId;
  readonly subject: string;
  readonly at: Millis;
  /** What there is to say beside the thing itself. */
  readonly detail: JsonObject | null;
} & (
  | { readonly of: "delivery"; readonly what: DeliveryHappening }
  | { readonly of: "run"; readonly what: RunHappening }
  /** `body`: the thing itself in its author's words, with its type. */
  | { readonly of: "resource"; readonly what: ResourceHappening; readonly type: string; readonly body: JsonObject }
);

/** The same as it is kept, from its commit until the endpoints that want to know of it have their deliveries. */
export type Happening = HappeningNote & {
  readonly id: Id<"hap">;
  /** Of a delivery that is still there. */
  readonly delivery: DeliveryThen | null;
};

// ——— schedules ———————————————————————————————————————————————————————————————————————————————————————————————————

export const FREQUENCIES = ["hourly", "daily", "weekly", "monthly"] as const;
export const WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
export interface RepeatRule {
  readonly frequency: (typeof FREQUENCIES)[number];
  /** At least 1. */
  readonly interval: number;
  readonly days: readonly (typeof WEEKDAYS)[number][] | null;
  readonly dayOfMonth: number | null;
  readonly hours: number | null;
  readonly minutes: number | null;
}

export interface Schedule {
  readonly environmentId: EnvironmentId;
  readonly id: ScheduleId;
  readonly workflow: string;
  readonly recipient: PartyRef;
  readonly actor: PartyRef | null;
  readonly tenantId: string | null;
  readonly data: JsonObject | null;
  readonly repeats: readonly RepeatRule[];
  readonly scheduledAt: Millis | null;
  readonly endingAt: Millis | null;
  /** Null when it is exhausted. */
  readonly nextAt: Millis | null;
  readonly lastAt: Millis | null;
  readonly createdAt: Millis;
  readonly updatedAt: Millis;
}
