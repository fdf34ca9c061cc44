/**
 * The words of sending webhooks to other people's endpoints. An **application** stands for one customer; its
 * **endpoints** are the addresses that the customer wants its messages at. A message of an application becomes
 * **deliveries**, one for each endpoint that wants it, on the same ledger as every other channel; each try of one is an
 * **endpoint attempt**, kept with what was sent and what came back.
 */
import type { Millis } from "../../lib/clock.ts";
import type { Id } from "../../lib/ids.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { AttemptId, DeliveryId, EnvironmentId, MessageId } from "../model.ts";

export type AppId = Id<"app">;
export type AppEndpointId = Id<"ep">;
export type TaskId = Id<"task">;

/** The `provider` of deliveries to endpoints of applications, and with it their kind. */
export const APP_ENDPOINT = "app-endpoint";

export interface Metadata {
  readonly [key: string]: string;
}

export interface Application {
  readonly environmentId: EnvironmentId;
  readonly id: AppId;
  /** The caller's own name for it, unique in the environment. */
  readonly uid: string | null;
  readonly name: string;
  /** Tries per second at each of its endpoints that has no rate of its own; null: no limit. */
  readonly throttleRate: number | null;
  readonly metadata: Metadata;
  readonly createdAt: Millis;
  readonly updatedAt: Millis;
}

/** A key that signs: `whsec_…` (symmetric) or `whsk_…` (Ed25519), in the clear. At rest it is sealed. */
export type SigningSecret = string;

export interface OldSecret {
  readonly secret: SigningSecret;
  /** It signs beside the current one until then. */
  readonly until: Millis;
}

export interface Transformation {
  readonly code: string | null;
  readonly enabled: boolean;
  readonly variables: Metadata | null;
  readonly updatedAt: Millis;
}

export interface AppEndpoint {
  readonly environmentId: EnvironmentId;
  readonly appId: AppId;
  readonly id: AppEndpointId;
  /** Unique in the application. */
  readonly uid: string | null;
  readonly url: string;
  readonly description: string;
  readonly throttleRate: number | null;
  /** Kept and shown, without effect. */
  readonly version: number;
  readonly disabled: boolean;
  /** Null: all. */
  readonly eventTypes: readonly string[] | null;
  /** Null: whatever channels a message has. */
  readonly channels: readonly string[] | null;
  readonly metadata: Metadata;
  /** Sent with every try; names as they were given. */
  readonly headers: { readonly [name: string]: string };
  readonly secret: SigningSecret;
  /** Newest first. */
  readonly oldSecrets: readonly OldSecret[];
  readonly transformation: Transformation | null;
  /** `http`: messages are sent to `url`. `poller`: its owner fetches them; nothing is sent. */
  readonly kind: "http" | "poller";
  readonly createdAt: Millis;
  readonly updatedAt: Millis;
  /** Set on those that attempts still refer to although they were deleted. */
  readonly deletedAt: Millis | null;
}

/** What was asked to be told to an application's endpoints. Its id is the same on every try at every endpoint. */
export interface AppMessage {
  readonly environmentId: EnvironmentId;
  readonly appId: AppId;
  readonly id: MessageId;
  /** The caller's own id, unique in the application for ever. */
  readonly eventId: string | null;
  readonly eventType: string;
  /** Null when none were given. */
  readonly channels: readonly string[] | null;
  readonly tags: readonly string[] | null;
  /** The very text of the JSON object that came, never parsed and printed again. Null when it is no longer kept. */
  readonly payload: string | null;
  /** Sent instead of `payload`; need not be JSON. */
  readonly raw: string | null;
  /** What the caller gave for transformations, `headers` with a content type among it. */
  readonly parameters: JsonObject | null;
  readonly deliverAt: Millis | null;
  /** When payload and raw are thrown away. */
  readonly payloadUntil: Millis;
  readonly createdAt: Millis;
}

/** An application's message without its texts: enough to list and to match. */
export type AppMessageHead = Omit<AppMessage, "payload" | "raw" | "parameters">;

export interface EndpointAttempt {
  readonly environmentId: EnvironmentId;
  readonly appId: AppId;
  readonly endpointId: AppEndpointId;
  readonly messageId: MessageId;
  readonly deliveryId: DeliveryId;
  readonly id: AttemptId;
  /** Copy of the message's, to filter by. */
  readonly eventType: string;
  /** `canceled`: a transformation decided that nothing is to be sent. */
  readonly outcome: "sent" | "failed" | "canceled";
  /** `manual`: somebody asked for this very try. */
  readonly trigger: "scheduled" | "manual";
  readonly url: string;
  /** 0 when there was no answer. */
  readonly statusCode: number;
  /** What came back, bounded; or why nothing did. Null after it was expunged. */
  readonly response: string | null;
  readonly startedAt: Millis;
  readonly endedAt: Millis;
  /** When the next try of the schedule is due; null when none follows. */
  readonly nextAt: Millis | null;
  /** As sent, but for the values of sensitive ones, which are empty. */
  readonly sentHeaders: { readonly [name: string]: string };
  readonly responseHeaders: readonly (readonly [string, string])[] | null;
}

/** How one message fares at one endpoint. */
export interface EndpointMessage {
  readonly messageId: MessageId;
  readonly endpointId: AppEndpointId;
  /** `trying`: tried in vain, and a further try is due. */
  readonly status: "sent" | "failed" | "trying" | "canceled";
  readonly nextAt: Millis | null;
}

export const TASK_KINDS = [
  "recover",
  "replay-missing",
  "bulk-replay",
  "app-usage",
  "broadcast",
  "event-type-usage",
  "expunge",
  "event-type-import",
] as const;
export type TaskKind = (typeof TASK_KINDS)[number];

/**
 * Work of many pages that somebody asked for and may watch:
 *
 *   running ──page, committed together with the cursor──▶ running ──▶ finished
 *      └──▶ failed (it cannot go on; `data.error` says why)
 */
export interface Task {
  readonly environmentId: EnvironmentId;
  readonly id: TaskId;
  readonly kind: TaskKind;
  readonly state: "running" | "finished" | "failed";
  /** What was asked for. */
  readonly spec: JsonObject;
  /** Where it goes on; the business of its kind. */
  readonly cursor: string | null;
  /** Progress while it runs, then the result. */
  readonly data: JsonObject;
  readonly createdAt: Millis;
  readonly updatedAt: Millis;
}
