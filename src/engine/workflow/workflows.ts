/** What facades and admin may ask of workflows; `engine.workflows`. Built by open.ts. */
import type { Millis } from "../../lib/clock.ts";
import type { Json, JsonObject } from "../../lib/json.ts";
import type { Delivery, EnvironmentId, Recipient, Rendered, RequestId } from "../model.ts";
import type { StoredAnswer, TenantChange } from "../ports.ts";
import type {
  ChannelBody,
  ChannelType,
  Condition,
  PartyRef,
  RepeatRule,
  Schedule,
  ScheduleId,
  TriggerSource,
  Workflow,
  WorkflowVersionId,
} from "./model.ts";
import type { PartyFacts, PartyStore, RunStore, ScheduleStore, StepLanguage, StepScope, StepSources } from "./ports.ts";

/** A trigger as a facade asks for it; users and objects that were given inline have been identified before. */
export interface Trigger {
  readonly key: string;
  /** Users as `{kind: "user", userId, profile: {}, data?}`, objects as `{kind: "object", collection, id, data?}`. */
  readonly recipients: readonly Recipient[];
  readonly actor: PartyRef | null;
  readonly data: JsonObject;
  readonly tenantId: string | null;
  /** Tenants that were given inline: they become what they are to be in the commit of the trigger. */
  readonly tenants?: readonly TenantChange[];
  readonly cancellationKey: string | null;
  readonly source: TriggerSource;
  readonly sandbox: boolean;
  readonly skipDelay: boolean;
  /** The facade it came through. */
  readonly via: string;
}

/** A committed workflow as triggers find it. */
export interface FoundWorkflow {
  readonly active: boolean;
  readonly versionId: WorkflowVersionId;
  readonly workflow: Workflow;
}

/** A channel with the id that clients know it by. */
export interface StepChannel extends ChannelBody {
  readonly id: string;
  readonly createdAt: Millis;
  readonly updatedAt: Millis;
}

/** A boolean, or conditions that all have to hold. */
export type PreferenceVerdict = boolean | { readonly conditions: readonly Condition[] };
export type PreferenceSetting =
  | boolean
  | {
      readonly channel_types?: { readonly [type: string]: PreferenceVerdict };
      readonly channels?: { readonly [channelId: string]: PreferenceVerdict };
      readonly conditions?: readonly Condition[];
    };
/** Contract E.6. Maps may hold `__strategy__`. */
export interface PreferenceSet {
  readonly workflows?: { readonly [key: string]: PreferenceSetting };
  readonly categories?: { readonly [name: string]: PreferenceSetting };
  readonly channel_types?: { readonly [type: string]: PreferenceVerdict };
  readonly channels?: { readonly [channelId: string]: PreferenceVerdict };
  readonly commercial_subscribed?: PreferenceVerdict;
}

export interface ScheduleDraft {
  readonly workflow: string;
  readonly recipient: PartyRef;
  readonly actor: PartyRef | null;
  readonly tenantId: string | null;
  readonly data: JsonObject | null;
  readonly repeats: readonly RepeatRule[];
  readonly scheduledAt: Millis | null;
  readonly endingAt: Millis | null;
}

/** A run that is not made, for what would be seen in it. */
export interface ImaginedRun {
  readonly recipient: PartyRef;
  readonly actor: PartyRef | null;
  readonly tenantId: string | null;
  readonly data: JsonObject;
  readonly workflow: { readonly key: string; readonly categories: readonly string[] } | null;
}

export interface Workflows {
  readonly runs: Pick<RunStore, "read" | "list">;
  readonly parties: PartyStore;
  readonly language: StepLanguage;

  /** The newest committed version; null for an unknown key or one never committed. From memory, at most a second old. */
  find(environmentId: EnvironmentId, key: string): Promise<FoundWorkflow | null>;
  /** A version by its id, which never changes. */
  version(environmentId: EnvironmentId, id: WorkflowVersionId): Promise<Workflow | null>;
  /** All channels of the environment, oldest first; the default in-app channel has the environment's `feedId`. */
  channels(environmentId: EnvironmentId): Promise<readonly StepChannel[]>;
  /** A delivery with what a step's author or a recipient's channel data made secret in it, for who may see that. */
  opened(delivery: Delivery): Delivery;

  /**
   * Accepts a trigger. Resolves after the commit.
   * @throws Refusal("not_found", …, field "workflow") for an unknown workflow, Refusal("conflict", field "workflow") for an
   *   inactive one; facades check these first for their own words.
   */
  trigger(
    environmentId: EnvironmentId,
    trigger: Trigger,
    idempotency: { readonly scope: string; readonly key: string; readonly expiresAt: Millis } | null,
    answer: (requestId: RequestId) => StoredAnswer,
  ): Promise<StoredAnswer>;
  /** See `RunStore.cancel`; also ends requests that are still being expanded. */
  cancel(
    environmentId: EnvironmentId,
    key: string,
    cancellationKey: string,
    recipients: readonly PartyRef[] | null,
  ): Promise<number>;

  /** @throws Refusal("invalid") for rules that no time satisfies. */
  schedule(environmentId: EnvironmentId, drafts: readonly ScheduleDraft[]): Promise<readonly Schedule[]>;
  reschedule(
    environmentId: EnvironmentId,
    ids: readonly ScheduleId[],
    change: Partial<Omit<ScheduleDraft, "workflow" | "recipient">>,
  ): Promise<readonly Schedule[]>;
  readonly schedules: Pick<ScheduleStore, "read" | "list" | "delete">;

  /**
   * The preferences of a party as they count: its own over the tenant's over the environment's (contract E.6).
   * @param tenantId null resolves the set `default`.
   */
  preferences(environmentId: EnvironmentId, party: PartyRef, tenantId: string | null): Promise<PreferenceSet>;

  /** Renders a template as a run would, with the scope given; for previews. @throws RenderError, Refusal("invalid"). */
  preview(environmentId: EnvironmentId, type: ChannelType, template: JsonObject, scope: ImaginedRun): Promise<Rendered>;
  /** What texts (`language.text`) and conditions may refer to where there is no run. Read anew. */
  outlook(
    environmentId: EnvironmentId,
    about: ImaginedRun,
  ): Promise<{ readonly scope: StepScope; readonly sources: StepSources }>;
}

export type { Json, PartyFacts };
