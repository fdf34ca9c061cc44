/** What facades may ask about applications, their endpoints and messages. Put together by `openWebhooks` (open.ts). */
import type { Millis } from "../../lib/clock.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { AttemptId, EnvironmentId, MessageId } from "../model.ts";
import type { StoredAnswer } from "../ports.ts";
import type {
  AppEndpoint,
  AppEndpointId,
  AppId,
  Application,
  AppMessage,
  EndpointAttempt,
  Task,
  TaskId,
  TaskKind,
} from "./model.ts";
import type { AppMessageStore, TaskStore, Walk, Walked } from "./ports.ts";
import type { WebhookSettings } from "./settings.ts";

/** What its owner calls it, or what we do. */
export type Key<I> = { readonly id: I } | { readonly uid: string };

export type ApplicationFields = Pick<Application, "uid" | "name" | "throttleRate" | "metadata">;

export interface Applications {
  read(environmentId: EnvironmentId, key: Key<AppId>): Promise<Application | null>;
  /** By id. The application for operational events is in no list. */
  list(environmentId: EnvironmentId, walk: Walk): Promise<Walked<Application>>;
  /** @throws Refusal("conflict") with field `uid` when another application has the uid. */
  create(environmentId: EnvironmentId, fields: ApplicationFields): Promise<Application>;
  /**
   * @param change is pure; it may run again after a conflict.
   * @returns null when there is no such application. @throws as `create`.
   */
  update(
    environmentId: EnvironmentId,
    key: Key<AppId>,
    change: (current: Application) => Partial<ApplicationFields>,
  ): Promise<Application | null>;
  /** Its uid is free at once, its messages stay until their retention is over, nothing more is sent. @returns whether there was one. */
  delete(environmentId: EnvironmentId, key: Key<AppId>): Promise<boolean>;
}

export type AppEndpointFields = Pick<
  AppEndpoint,
  | "uid"
  | "url"
  | "description"
  | "throttleRate"
  | "version"
  | "disabled"
  | "eventTypes"
  | "channels"
  | "metadata"
  | "headers"
  | "secret"
  | "oldSecrets"
  | "transformation"
  | "kind"
>;

/** Every change is told to the environment's own endpoints (`endpoint.created`, `.updated`, `.deleted`, …) in its commit. */
export interface AppEndpoints {
  /** @param deleted true finds deleted ones, too. */
  read(
    environmentId: EnvironmentId,
    appId: AppId,
    key: Key<AppEndpointId>,
    deleted?: boolean,
  ): Promise<AppEndpoint | null>;
  /** By id, without deleted ones and without pollers. */
  list(environmentId: EnvironmentId, appId: AppId, walk: Walk): Promise<Walked<AppEndpoint>>;
  /**
   * @throws Refusal("conflict") with field `uid` when another endpoint of the application has the uid;
   *   Refusal("not_found") when the application is gone; Refusal("invalid") when it has as many endpoints as it may.
   */
  create(environmentId: EnvironmentId, appId: AppId, fields: AppEndpointFields): Promise<AppEndpoint>;
  /**
   * @param change is pure; it may run again after a conflict.
   * @param quiet true tells nobody (changes of headers and transformations).
   * @returns null when there is no such endpoint. @throws as `create`.
   */
  update(
    environmentId: EnvironmentId,
    appId: AppId,
    key: Key<AppEndpointId>,
    change: (current: AppEndpoint) => Partial<AppEndpointFields>,
    quiet?: boolean,
  ): Promise<AppEndpoint | null>;
  /**
   * Disables a failing endpoint and says so; nothing happens when it is disabled already.
   * @param failingSince as it was noted: it stays enabled when that is not noted any more. Null: it asked for it itself.
   */
  disableFailing(
    environmentId: EnvironmentId,
    appId: AppId,
    id: AppEndpointId,
    failingSince: Millis | null,
  ): Promise<void>;
  /** It stays readable as deleted. @returns whether there was one. */
  delete(environmentId: EnvironmentId, appId: AppId, key: Key<AppEndpointId>): Promise<boolean>;
}

/** An application as sending needs it: from memory, secrets opened, at most a second old when another process wrote. */
export interface AppSnapshot {
  readonly application: Application;
  readonly endpoints: readonly AppEndpoint[];
  readonly generation: number;
}

export interface NewAppMessage {
  readonly eventId: string | null;
  readonly eventType: string;
  readonly channels: readonly string[] | null;
  readonly tags: readonly string[] | null;
  readonly payload: string;
  readonly raw: string | null;
  readonly parameters: JsonObject | null;
  readonly deliverAt: Millis | null;
  /** How long its content is kept. */
  readonly keepMs: Millis;
}

export type Published =
  | { readonly kind: "accepted"; readonly message: AppMessage }
  /** A call with this idempotency key was made before; what was to be kept of it. */
  | { readonly kind: "replayed"; readonly answer: StoredAnswer }
  /** The application has a message with this event id. */
  | { readonly kind: "duplicate" }
  | { readonly kind: "no-application" };

export interface Webhooks {
  readonly applications: Applications;
  readonly endpoints: AppEndpoints;
  readonly settings: {
    read(environmentId: EnvironmentId): Promise<WebhookSettings>;
    /** @param change is pure; it may run again after a conflict. */
    update(
      environmentId: EnvironmentId,
      change: (current: WebhookSettings) => WebhookSettings,
    ): Promise<WebhookSettings>;
  };
  /** Reading what became of messages. */
  readonly messages: Pick<
    AppMessageStore,
    | "read"
    | "readMany"
    | "list"
    | "expunge"
    | "expungeMany"
    | "listAttempts"
    | "readAttempt"
    | "expungeAttempt"
    | "countAttempts"
    | "attemptCounts"
    | "attemptCountsByType"
    | "endpointsOf"
    | "messagesOf"
  >;
  readonly tasks: Pick<TaskStore, "read" | "list"> & {
    /** Resolves once the task is committed; it is worked on in the background. */
    start(environmentId: EnvironmentId, kind: TaskKind, spec: JsonObject): Promise<Task>;
  };

  /** An application with its endpoints, or null. From memory; good for deciding, and for what facades show as "would match". */
  snapshot(environmentId: EnvironmentId, appId: AppId): Promise<AppSnapshot | null>;
  /** The same by id or uid. */
  find(environmentId: EnvironmentId, key: Key<AppId>): Promise<AppSnapshot | null>;
  /** As `find`, without waiting; undefined when it has to be read. */
  peek(environmentId: EnvironmentId, key: Key<AppId>): AppSnapshot | undefined;

  /**
   * Takes in a message and makes its deliveries. Resolves after the commit: from then on it survives a power cut.
   * @param only makes a delivery to this endpoint only, if it wants the message; `none` makes no delivery at all.
   * @param idempotency.answer what a repetition of the call is told, given the new message's id.
   */
  publish(
    environmentId: EnvironmentId,
    appId: AppId,
    message: NewAppMessage,
    options?: {
      readonly only?: AppEndpointId | "none";
      readonly idempotency?: {
        readonly scope: string;
        readonly key: string;
        readonly expiresAt: Millis;
        readonly answer: (id: MessageId) => StoredAnswer;
      };
    },
  ): Promise<Published>;

  /**
   * One manual try, whatever the endpoint's filters say; none at a disabled endpoint.
   * Resolves after the commit that asks for it, not after the try.
   */
  resend(message: AppMessage, endpoint: AppEndpoint): Promise<void>;

  /** Makes one manual try now and resolves when it is recorded. Null when the endpoint is disabled. */
  tryNow(message: AppMessage, endpoint: AppEndpoint): Promise<EndpointAttempt | null>;

  /** Since when tries at the endpoint have been held back by its rate; null when they are not. Of this process. */
  throttledSince(endpointId: AppEndpointId): Millis | null;

  /** Whether at least one endpoint would get such a message now. */
  wouldReach(
    environmentId: EnvironmentId,
    appId: AppId,
    message: Pick<NewAppMessage, "eventType" | "channels">,
  ): Promise<boolean>;

  /** Runs a transformation without sending anything. Never rejects for what the code does. */
  simulate(
    code: string,
    input: TransformationInput,
  ): Promise<
    | { readonly kind: "done"; readonly output: TransformationOutput }
    | { readonly kind: "failed"; readonly reason: string }
  >;
}

export interface TransformationInput {
  readonly method: "POST" | "PUT" | "PATCH";
  readonly url: string;
  /** JSON text: of an object, as a rule. */
  readonly payload: string;
  readonly eventType: string;
  readonly channels: readonly string[] | null;
  readonly variables: { readonly [name: string]: string };
  /** What the sender gave for transformations. */
  readonly parameters: JsonObject | null;
}

export interface TransformationOutput {
  readonly method: "POST" | "PUT" | "PATCH";
  readonly url: string;
  /** What is to be sent. */
  readonly payload: string;
  /** Laid over the endpoint's own. */
  readonly headers: { readonly [name: string]: string };
  readonly cancel: boolean;
}

/** Runs other people's code: no way to the host, bounded in time and memory. Implemented in src/sandbox/. */
export interface Sandbox {
  /**
   * Calls the global function `handler` that `code` defines. The input's payload is parsed for it; its answer may carry
   * an object or text.
   * @returns why it failed instead: a mistake of the code, or a limit.
   */
  transform(
    code: string,
    input: TransformationInput,
  ): Promise<
    | { readonly kind: "done"; readonly output: TransformationOutput }
    | { readonly kind: "failed"; readonly reason: string }
  >;
  close(): Promise<void>;
}

/** Keeps secrets in the database unreadable without a key. Implemented in lib/vault.ts. */
export interface Vault {
  /** Without a key the text itself. */
  seal(text: string): string;
  /** As `seal`, at less cost for a text that was sealed before; shows that it is the same. */
  sealOften(text: string): string;
  /** Also opens what was written before there was a key, and under keys it was told of. @throws Error when it cannot. */
  open(sealed: string): string;
}

/** The ids of a webhooks attempt and task as facades need them. */
export type { AttemptId, TaskId };
