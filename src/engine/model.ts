/**
 * The words of the engine. A **request** is one API call; it becomes **messages**, one for each recipient; a message
 * becomes **deliveries**, each to one contact through one channel; a delivery is tried in **attempts**.
 * Vendors' words for the same things live in their facades.
 */
import type { Millis } from "../lib/clock.ts";
import type { Id } from "../lib/ids.ts";
import type { Json, JsonObject } from "../lib/json.ts";
import type { AppEndpointId, AppId } from "./webhooks/model.ts";
import type { Activity, PartyRef, RunRecord, TriggerSpec, WorkflowVersionId } from "./workflow/model.ts";

export type EnvironmentId = Id<"env">;
export type KeyId = Id<"key">;
export type RequestId = Id<"req">;
export type MessageId = Id<"msg">;
export type DeliveryId = Id<"dlv">;
export type AttemptId = Id<"att">;
export type EventId = Id<"evt">;
export type EndpointId = Id<"ohk">;
/** Where deliveries go through: a provider as it is configured, or an endpoint. */
export type ProviderId = Id<"prv"> | EndpointId | AppEndpointId;
/** Key of a kind of provider in the registry, for example `smtp`. */
export type ProviderKindName = string;

/** Owns keys and all data. Two environments share nothing. */
export interface Environment {
  readonly id: EnvironmentId;
  readonly name: string;
  /** Signs user tokens and tracking ids. 32 random bytes, base64url. */
  readonly signingSecret: string;
  /** Identifies the environment to browsers; may be known to everyone. */
  readonly publicKey: string;
  /** `XXXXX-XXXXX`. */
  readonly appCode: string;
  /** UUID of the default in-app channel. */
  readonly feedId: string;
  readonly createdAt: Millis;
}

/** `draft` renders drafts of templates; `mock` goes the whole way but calls no provider. */
export type KeyMode = "published" | "draft" | "mock";

export interface ApiKey {
  readonly id: KeyId;
  readonly environmentId: EnvironmentId;
  readonly mode: KeyMode;
  /** SHA-256 of the key, hex. The key itself is not kept. */
  readonly hash: string;
  /** The last four characters, so that people can tell keys apart. */
  readonly hint: string;
  readonly createdAt: Millis;
  readonly revokedAt: Millis | null;
}

export const CHANNELS = ["inbox", "email", "sms", "push", "chat", "webhook"] as const;
export type Channel = (typeof CHANNELS)[number];

// ——— what is asked for ———————————————————————————————————————————————————————————————————————————————————————————

/** `single`: in order, until one is accepted. `all`: every one, independently. */
export interface Routing {
  readonly method: "single" | "all";
  /** Channel names, provider keys or nested routings. Unknown names are skipped. */
  readonly channels: readonly (string | Routing)[];
}

export interface Utm {
  readonly [key: string]: string;
}

export interface ChannelOptions {
  /** Expression of lib/expression.ts; false skips the channel. */
  readonly if?: string;
  /** Provider keys in the order to try. */
  readonly providers?: readonly string[];
  readonly routingMethod?: "single" | "all";
  readonly brandId?: string;
  readonly utm?: Utm;
  readonly timeoutMs?: Millis;
  readonly providerTimeoutMs?: Millis;
  /** Laid over what was rendered, just before it is sent. */
  readonly override?: JsonObject;
}

export interface ProviderOptions {
  readonly if?: string;
  readonly utm?: Utm;
  readonly timeoutMs?: Millis;
  readonly override?: JsonObject;
}

export interface Timeouts {
  readonly messageMs?: Millis;
  /** One number for every channel, or one per channel. */
  readonly channelMs?: Millis | { readonly [channel: string]: Millis };
  readonly providerMs?: Millis | { readonly [provider: string]: Millis };
}

/** One user or one address. `profile` is what the caller gave beside the id; it wins over the stored profile. */
export interface UserRecipient {
  readonly kind: "user";
  readonly userId: string | null;
  readonly profile: JsonObject;
  readonly data?: JsonObject;
  readonly tenantId?: string;
  readonly preferences?: JsonObject;
}

export type Recipient =
  | UserRecipient
  | {
      readonly kind: "list";
      readonly listId: string;
      readonly data?: JsonObject;
      readonly memberOf?: readonly string[];
    }
  | { readonly kind: "pattern"; readonly pattern: string; readonly data?: JsonObject }
  | {
      readonly kind: "tenant";
      readonly tenantId: string;
      readonly includeChildren: boolean;
      readonly data?: JsonObject;
    }
  /** The object itself and whoever is subscribed to it, two levels deep. Of workflows only. */
  | { readonly kind: "object"; readonly collection: string; readonly id: string; readonly data?: JsonObject }
  /** Every user who has a registered device. */
  | { readonly kind: "devices"; readonly data?: JsonObject };

/** Everything a request asks for; kept as it is with the request, so that expanding can go on after a crash. */
export interface SendSpec {
  readonly recipients: readonly Recipient[];
  readonly content:
    | { readonly kind: "template"; readonly template: string }
    | { readonly kind: "inline"; readonly language: string; readonly source: Json }
    | { readonly kind: "workflow"; readonly trigger: TriggerSpec };
  readonly data: JsonObject;
  readonly mode: KeyMode;
  /** The facade it came through, for example `courier`. */
  readonly via: string;
  readonly routing?: Routing;
  readonly channels?: { readonly [channel: string]: ChannelOptions };
  readonly providers?: { readonly [provider: string]: ProviderOptions };
  readonly timeouts?: Timeouts;
  readonly delay?: { readonly durationMs?: Millis; readonly until?: string; readonly timezone?: string };
  /** Of the inbox item. Absolute, fixed when the request was accepted. */
  readonly expiresAt?: Millis;
  readonly event?: string;
  readonly tags?: readonly string[];
  readonly traceId?: string;
  readonly utm?: Utm;
  readonly topicId?: string;
  readonly tenantId?: string;
  readonly brandId?: string;
}

/** Which entry of the request comes next, and after which user (or whatever it is) within it. */
export interface ExpandingCursor {
  readonly entry: number;
  readonly after: string | null;
}

/**
 * State of a request:
 *
 *   expanding ──(all recipients have their message)──▶ expanded
 *
 * A request whose recipients are few is born `expanded`, in the commit that accepts it.
 */
export interface Request {
  readonly id: RequestId;
  readonly environmentId: EnvironmentId;
  readonly state: "expanding" | "expanded";
  readonly spec: SendSpec;
  /** Where expanding goes on: an `ExpandingCursor` as JSON; null at the beginning. */
  readonly cursor: string | null;
  readonly archivedAt: Millis | null;
  readonly createdAt: Millis;
}

// ——— what becomes of it ——————————————————————————————————————————————————————————————————————————————————————————

/**
 * State of a message. Progress only rises (`MESSAGE_RANK`); the four in the last row end it.
 *
 *   enqueued ─▶ delayed ─▶ routed ─▶ sent ─▶ delivered ─▶ opened ─▶ clicked
 *       └───────────┴────────┴─▶ canceled      simulated (instead of sent, for mock keys)
 *   undeliverable   unroutable   unmapped   filtered
 *
 * `undeliverable` may follow `sent` (a bounce), never `delivered` or later.
 */
export const MESSAGE_STATES = [
  "enqueued",
  "delayed",
  "routed",
  "sent",
  "simulated",
  "delivered",
  "opened",
  "clicked",
  "canceled",
  "undeliverable",
  "unroutable",
  "unmapped",
  "filtered",
] as const;
export type MessageState = (typeof MESSAGE_STATES)[number];

/** A message never moves to a state of lower rank. */
export const MESSAGE_RANK: { readonly [state in MessageState]: number } = {
  enqueued: 0,
  delayed: 1,
  routed: 2,
  sent: 3,
  simulated: 3,
  undeliverable: 4,
  delivered: 5,
  opened: 6,
  clicked: 7,
  canceled: 9,
  unroutable: 9,
  unmapped: 9,
  filtered: 9,
};

export type FailureReason =
  | "bounced"
  | "failed"
  | "filtered"
  | "no_channels"
  | "no_providers"
  | "opt_in_required"
  | "provider_error"
  | "unpublished"
  | "unsubscribed";

export interface Message {
  readonly id: MessageId;
  readonly environmentId: EnvironmentId;
  readonly requestId: RequestId;
  readonly state: MessageState;
  readonly reason: FailureReason | null;
  /** For people. */
  readonly error: string | null;
  readonly userId: string | null;
  /** User id if there is one, else the address. */
  readonly recipient: string;
  readonly tenantId: string | null;
  /** Index into the request's `spec.recipients`. */
  readonly entry: number;
  /** True when the message is one of the members of a tenant that was sent to: its public id then names the user. */
  readonly viaTenant: boolean;
  readonly listId: string | null;
  /** `""` when the request named neither an event nor a template. */
  readonly event: string;
  /** Resolved id; the name that was asked for until it is resolved; `""` for inline content. */
  readonly templateId: string;
  readonly tags: readonly string[];
  readonly traceId: string | null;
  /** Preferences kept with the list subscription that led here. */
  readonly preferences: JsonObject | null;
  /** The profile as it was stored when the message was planned; null when there was none. */
  readonly storedProfile: JsonObject | null;
  /** Deliveries still possible after the present ones fail; null when there are none. */
  readonly plan: Plan | null;
  /** When a delayed message is to be planned. */
  readonly dueAt: Millis | null;
  readonly leaseUntil: Millis | null;
  readonly createdAt: Millis;
  /** When template, profile, preferences and route were settled. */
  readonly plannedAt: Millis | null;
  readonly sentAt: Millis | null;
  readonly deliveredAt: Millis | null;
  readonly openedAt: Millis | null;
  readonly clickedAt: Millis | null;
  readonly canceledAt: Millis | null;
  /** After this, nothing is tried any more. */
  readonly deadlineAt: Millis;
  /**
   * Set on a message that goes to endpoints instead of a recipient: its deliveries are message × endpoint. `recipient`
   * is then the id of what it tells of. Lists of messages leave it out, and it is no change to tell endpoints of.
   */
  readonly toEndpoints?: true;
  /** Set on a message that is a run of a workflow. `event` is then the workflow's key and `tags` its categories. */
  readonly run?: RunRecord;
}

/**
 * What a message became at one change: kept from the commit of the change until the endpoints that want to know have
 * their deliveries. Of one message and state there is at most one.
 */
export interface MessageChange
  extends Pick<
    Message,
    "environmentId" | "state" | "reason" | "error" | "sentAt" | "deliveredAt" | "openedAt" | "clickedAt" | "canceledAt"
  > {
  readonly messageId: MessageId;
  /** Rises when the same is noted again before it was told. */
  readonly revision: number;
}

/** A route with everything unusable taken out. A leaf is one provider of one channel. */
export type Plan = PlanLeaf | PlanNode;
export interface PlanNode {
  readonly kind: "single" | "all";
  readonly steps: readonly Plan[];
}
export interface PlanLeaf {
  readonly kind: "leaf";
  readonly channel: Channel;
  readonly providerId: ProviderId;
  readonly provider: string;
}

/** What a message says on one channel. Every field is present on every channel; unused ones are empty. */
export interface Rendered {
  readonly subject: string;
  readonly title: string;
  readonly html: string;
  readonly text: string;
  /** Plain text without the title: what an inbox previews, a phone shows, an SMS says. */
  readonly body: string;
  readonly imageUrl: string | null;
  readonly clickUrl: string | null;
  readonly actions: readonly RenderedAction[];
  /** The pieces in order, for channels and readers that lay them out themselves. */
  readonly blocks: readonly { readonly type: string; readonly text: string }[];
  /** Targets of tracked links; a tracking URL names one by its place here. */
  readonly links: readonly string[];
  /** A channel-specific body given by the author instead of elements. */
  readonly raw: JsonObject | null;
}

/** What says nothing, for those who fill in some of it, and where what is sent lies elsewhere. */
export const NO_CONTENT: Rendered = Object.freeze({
  subject: "",
  title: "",
  html: "",
  text: "",
  body: "",
  imageUrl: null,
  clickUrl: null,
  actions: [],
  blocks: [],
  links: [],
  raw: null,
});

export interface RenderedAction {
  readonly content: string;
  readonly href: string;
  readonly actionId: string | null;
  readonly style: "button" | "link";
  readonly backgroundColor: string | null;
}

/**
 * State of a delivery. `deliveries` is the queue: a pending row whose `dueAt` has come may be claimed until
 * `leaseUntil`; a lapsed lease may be claimed again.
 *
 *   pending ──▶ sent ──▶ delivered
 *      ├──────▶ delivered          (the inbox: complete when its row commits)
 *      ├──────▶ failed             (rejected, or its time is over)
 *      ├──────▶ canceled
 *      └──────▶ simulated          (mock keys)
 */
export const DELIVERY_STATES = ["pending", "sent", "delivered", "failed", "canceled", "simulated"] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

export interface Delivery {
  readonly id: DeliveryId;
  readonly environmentId: EnvironmentId;
  readonly messageId: MessageId;
  readonly userId: string | null;
  readonly tenantId: string | null;
  readonly channel: Channel;
  /** Key of the provider, for example `smtp`. */
  readonly provider: string;
  readonly providerId: ProviderId;
  /** Place in the message's plan: indices joined by dots, `""` for a plan that is a single leaf. */
  readonly leaf: string;
  readonly state: DeliveryState;
  readonly dueAt: Millis;
  readonly leaseUntil: Millis | null;
  /** Attempts made. */
  readonly attempts: number;
  /** When the provider was first called; the provider's time limit counts from here. */
  readonly startedAt: Millis | null;
  /** Longest time to go on trying this provider. */
  readonly timeoutMs: Millis;
  /** Where to: `{email}`, `{phone}`, `{tokens: []}`, `{webhook: {}}`, …; `{}` for the inbox. */
  readonly address: JsonObject;
  readonly content: Rendered;
  /** Laid over `content` by the channel when it sends; interpolated. */
  readonly override: JsonObject | null;
  readonly error: string | null;
  /** The provider's own ids; while it is pending, what its sender has to know of earlier tries. */
  readonly reference: JsonObject | null;
  readonly createdAt: Millis;
  /** Set on a pending one when some of those that its address stands for were reached. */
  readonly sentAt: Millis | null;
  readonly deliveredAt: Millis | null;
  // ——— what the user did with it; for the inbox this is the item's state ———
  readonly seenAt: Millis | null;
  readonly readAt: Millis | null;
  readonly interactedAt: Millis | null;
  readonly archivedAt: Millis | null;
  readonly deletedAt: Millis | null;
  readonly expiresAt: Millis | null;
  /** Copy of the message's, so that an inbox is read from one table. */
  readonly tags: readonly string[];
  /** The sender's own data, for the app that shows an inbox item or gets a push; `{}` on other channels. */
  readonly data: JsonObject;
  /** As `Message.viaTenant` and `Message.requestId`: what a facade needs to spell the message's public id. */
  readonly viaTenant: boolean;
  readonly requestId: RequestId;
  /**
   * Set on deliveries of an application's message to one of its endpoints, which `providerId` names. There is one for
   * each pair, and one more for each `manual` try that was asked for, which is made once.
   */
  readonly app?: { readonly id: AppId; readonly manual: boolean };
  /** Set on deliveries that a channel step of a workflow made. */
  readonly origin?: StepOrigin;
  /** The facade that asked for it, as `SendSpec.via`. Set on items of inboxes, where somebody may ask for it. */
  readonly via?: string;
  /** Of a new delivery: until then only its endpoint's lane takes it (webhooks/lanes.ts). Not kept as such. */
  readonly parkedUntil?: Millis;
}

/** Where in a workflow a delivery comes from, and what it speaks of. */
export interface StepOrigin {
  /** Of the step. */
  readonly ref: string;
  /** Of the workflow's channel (a UUID), and its type there. */
  readonly channelId: string;
  readonly versionId: WorkflowVersionId;
  readonly categories: readonly string[];
  readonly actors: readonly PartyRef[];
  readonly totalActors: number;
  /** Null when nothing was batched: the one activity is then the run's own, with `data` of the delivery. */
  readonly activities: readonly Activity[] | null;
  readonly totalActivities: number;
  /** Of the newest activity, where that is not among `activities`. */
  readonly newestData?: JsonObject;
  /** Held back by a send window. */
  readonly scheduled?: true;
}

/** A delivery on the `inbox` channel, which always has a user. */
export interface InboxItem extends Delivery {
  readonly channel: "inbox";
  readonly userId: string;
}

export interface Attempt {
  readonly id: AttemptId;
  readonly environmentId: EnvironmentId;
  readonly messageId: MessageId;
  readonly deliveryId: DeliveryId;
  readonly number: number;
  readonly startedAt: Millis;
  readonly endedAt: Millis;
  readonly outcome: Outcome["kind"];
  readonly reason: string | null;
  readonly statusCode: number | null;
}

/** What one try came to. A channel returns this and does not throw: a refused mail is an ordinary Tuesday. */
export type Outcome =
  | {
      readonly kind: "sent";
      readonly reference?: JsonObject;
      readonly statusCode?: number;
      /** Device tokens that the provider called dead; it reached others. */
      readonly deadTokens?: readonly string[];
    }
  /** Worth another try. `notBefore` is the receiver's Retry-After, if it sent one. */
  | {
      readonly kind: "failed";
      readonly reason: string;
      readonly statusCode?: number;
      readonly notBefore?: Millis;
      /** What the next try has to know: it finds it in the delivery. */
      readonly reference?: JsonObject;
      /** An address may stand for many. Somebody was reached, so that the delivery ends as sent, whatever follows. */
      readonly partly?: true;
      /** Device tokens that the provider called dead; others are worth another try. */
      readonly deadTokens?: readonly string[];
    }
  /** Another try cannot help: unknown address, revoked token, 410 Gone. */
  | {
      readonly kind: "rejected";
      readonly reason: string;
      readonly statusCode?: number;
      /** Device tokens that the provider called dead. */
      readonly deadTokens?: readonly string[];
    };

/** Something that happened to a message after it was planned, kept for its history. */
export const MESSAGE_EVENTS = [
  "delivered",
  "opened",
  "clicked",
  "read",
  "unread",
  "archived",
  "unarchived",
  "canceled",
  "bounced",
  "seen",
  "unseen",
  "interacted",
] as const;
export type MessageEventKind = (typeof MESSAGE_EVENTS)[number];

export interface MessageEvent {
  readonly id: EventId;
  readonly environmentId: EnvironmentId;
  readonly messageId: MessageId;
  readonly deliveryId: DeliveryId | null;
  readonly kind: MessageEventKind;
  readonly at: Millis;
  readonly data: JsonObject | null;
}

// ——— whom to send to, and how ————————————————————————————————————————————————————————————————————————————————————

export interface User {
  readonly environmentId: EnvironmentId;
  readonly id: string;
  readonly profile: JsonObject;
  readonly createdAt: Millis;
  readonly updatedAt: Millis;
}

export interface DeviceToken {
  readonly token: string;
  readonly userId: string;
  readonly provider: string;
  readonly state: "active" | "unknown" | "failed" | "revoked";
  readonly stateReason: string | null;
  /** null: never. */
  readonly expiresAt: Millis | null;
  readonly device: JsonObject | null;
  readonly properties: JsonObject | null;
  readonly tracking: JsonObject | null;
  readonly createdAt: Millis;
  readonly updatedAt: Millis;
}

/**
 * An app or a browser as it knows itself, by an id that it made up. It belongs to one user at a time; without a user of
 * its own to the anonymous one, whose id is the device's.
 */
export interface Device {
  readonly id: string;
  readonly userId: string;
  /** False while only its user or its tags are known. */
  readonly registered: boolean;
  /** Where pushes go to; no two devices have the same. */
  readonly token: string | null;
  /** As the device named it, for example `en-US`. */
  readonly language: string | null;
  readonly info: JsonObject;
  readonly tags: JsonObject;
  readonly createdAt: Millis;
  readonly updatedAt: Millis;
}

export interface List {
  readonly id: string;
  readonly name: string;
  readonly preferences: JsonObject | null;
  readonly createdAt: Millis;
  readonly updatedAt: Millis;
  readonly deletedAt: Millis | null;
}

export interface Subscription {
  readonly listId: string;
  readonly userId: string;
  readonly preferences: JsonObject | null;
  readonly createdAt: Millis;
}

export interface Membership {
  readonly tenantId: string;
  readonly userId: string;
  readonly profile: JsonObject | null;
  readonly createdAt: Millis;
}

/** A configured way to send through one channel. */
export interface Provider {
  readonly id: ProviderId;
  readonly environmentId: EnvironmentId;
  /** Key in the registry of channels, for example `smtp`. */
  readonly provider: string;
  readonly channel: Channel;
  readonly title: string;
  readonly alias: string | null;
  readonly settings: JsonObject;
  /** Steps aside as soon as its channel has another provider: the capture providers of a new environment. */
  readonly standIn: boolean;
  readonly createdAt: Millis;
  readonly updatedAt: Millis;
}

/** What a capture provider kept instead of sending it. */
export interface Captured {
  readonly id: Id<"cap">;
  readonly environmentId: EnvironmentId;
  readonly messageId: MessageId;
  readonly deliveryId: DeliveryId;
  readonly channel: Channel;
  readonly provider: string;
  readonly address: JsonObject;
  /** Exactly what would have been handed to a real provider. */
  readonly payload: JsonObject;
  readonly at: Millis;
}

/**
 * A thing that people configure: small, read whole, rarely written. Its body is the owner's business; `version` rises
 * with every write.
 */
export interface Document {
  readonly kind: string;
  readonly id: string;
  readonly body: JsonObject;
  readonly version: number;
  readonly createdAt: Millis;
  readonly updatedAt: Millis;
}
