/** Guides as one user sees them: which of them, with what in them, and why not the others. */
import type { EnvironmentId } from "../../engine/model.ts";
import { RenderError } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import { evaluate } from "../../engine/workflow/conditions.ts";
import type { StepScope, StepSources } from "../../engine/workflow/ports.ts";
import type { Millis } from "../../lib/clock.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import {
  type Engagement,
  type Engagements,
  engagementWith,
  intervalFrom,
  isPutAway,
  readEngagements,
  stepOf,
} from "./guide-messages.ts";
import { DEFAULT_GROUP, type Guide, type GuideGroup, isShown, type Shelf } from "./guide-shelf.ts";
import { toMessageId } from "./ids.ts";
import type { Knock } from "./knock.ts";
import { toIso, userRef } from "./wire.ts";

/** Who looks at guides, and in what light. */
export interface Viewer {
  readonly environmentId: EnvironmentId;
  readonly channelId: string;
  readonly userId: string;
  readonly tenantId: string | null;
  /** What the page knows of itself, for conditions and texts. */
  readonly data: JsonObject;
}

const WHY_NOT = {
  guide_not_active: "The guide is not active",
  marked_as_archived: "The user has archived the guide",
  target_conditions_not_met: "The user does not meet the conditions of the guide",
  not_in_target_audience: "The user is not in the audience of the guide",
} as const;
type WhyNot = keyof typeof WHY_NOT;

/** One guide for one viewer. */
export interface SeenGuide {
  readonly guide: Guide;
  readonly view: JsonObject;
  /** Null: it is for this viewer. */
  readonly whyNot: WhyNot | null;
}

export interface SeenShelf {
  readonly guides: readonly SeenGuide[];
  readonly group: JsonObject;
  /** When the group's interval began; null when it did not. */
  readonly intervalFrom: Millis | null;
}

/** All guides of the shelf as the viewer sees them, in their order. */
export async function seenBy(knock: Knock, viewer: Viewer, { guides, group }: Shelf): Promise<SeenShelf> {
  const { workflows } = knock.engine;
  const user = userRef(viewer.userId);
  const about = { recipient: user, actor: null, tenantId: viewer.tenantId, data: viewer.data, workflow: null };
  const [outlook, engagements] = await Promise.all([
    workflows.outlook(viewer.environmentId, about),
    readEngagements(workflows.parties, viewer.environmentId, user, viewer.tenantId),
  ]);
  const look: Look = { knock, viewer, engagements, ...outlook };
  const seen = await Promise.all(guides.map((guide) => seenGuide(look, guide)));
  return { guides: seen, group: groupView(group), intervalFrom: intervalFrom(engagements) };
}

interface Look {
  readonly knock: Knock;
  readonly viewer: Viewer;
  readonly engagements: Engagements;
  readonly scope: StepScope;
  readonly sources: StepSources;
}

async function seenGuide(look: Look, guide: Guide): Promise<SeenGuide> {
  const engagement = engagementWith(look.engagements, guide);
  const [view, whyNot] = await Promise.all([guideView(look, guide, engagement), whyNotFor(look, guide, engagement)]);
  return { guide, view, whyNot };
}

async function whyNotFor(look: Look, guide: Guide, engagement: Engagement | null): Promise<WhyNot | null> {
  const { knock, scope, sources } = look;
  const { engine, clock } = knock;
  const { target_audience_id: audience, target_property_conditions: conditions } = guide.source;
  if (!isShown(guide, clock.now())) return "guide_not_active";
  if (isPutAway(guide, engagement)) return "marked_as_archived";
  if (audience != null && !(await isMember(look, audience))) return "not_in_target_audience";
  const { holds } = await evaluate(conditions, {
    scope,
    now: clock.now(),
    isMember: (named, who) => (who === "recipient" ? isMember(look, named) : Promise.resolve(false)),
    render: (text) => engine.workflows.language.text(text, { scope, sources }),
  });
  return holds ? null : "target_conditions_not_met";
}

/** A member without a tenant is one in every tenant's light. */
async function isMember({ knock, viewer }: Look, audience: string): Promise<boolean> {
  const { parties } = knock.engine.workflows;
  const { environmentId, userId, tenantId } = viewer;
  if (await parties.isMember(environmentId, audience, userId, null)) return true;
  return tenantId !== null && (await parties.isMember(environmentId, audience, userId, tenantId));
}

async function guideView(look: Look, guide: Guide, engagement: Engagement | null): Promise<JsonObject> {
  const { id, key, source, unthrottled, createdAt, updatedAt } = guide;
  return {
    __typename: "Guide",
    id,
    channel_id: look.viewer.channelId,
    key,
    type: typeOf(source),
    semver: source.semver ?? "0.0.1",
    active: isShown(guide, look.knock.clock.now()),
    steps: await Promise.all(
      source.steps.map(async ({ ref, schema_key, schema_semver, schema_variant_key, values }) => ({
        ref,
        schema_key,
        schema_semver,
        schema_variant_key,
        content: await rendered(look, values ?? {}),
        message: messageView(engagement, ref),
      })),
    ),
    activation_url_rules: source.activation_url_rules ?? [],
    activation_url_patterns: source.activation_url_patterns ?? [],
    bypass_global_group_limit: unthrottled,
    dashboard_url: null,
    inserted_at: toIso(createdAt),
    updated_at: toIso(updatedAt),
  };
}

/** A guide is of the type of its first step. */
export function typeOf({ steps }: Guide["source"]): string {
  return steps[0]?.schema_key ?? "";
}

function messageView(engagement: Engagement | null, ref: string): JsonObject {
  const message = stepOf(engagement, ref);
  return {
    id: message === null ? null : toMessageId(message.id),
    seen_at: toIso(message?.seenAt ?? null),
    read_at: toIso(message?.readAt ?? null),
    interacted_at: toIso(message?.interactedAt ?? null),
    archived_at: toIso(message?.archivedAt ?? null),
    link_clicked_at: null,
  };
}

/** Texts at any depth may refer to the viewer. One that cannot be rendered is empty: the others are shown all the same. */
async function rendered(look: Look, value: Json): Promise<Json> {
  if (typeof value === "string") {
    if (!/\{[{%]/.test(value)) return value;
    try {
      return await look.knock.engine.workflows.language.text(value, look);
    } catch (error) {
      if (error instanceof RenderError || error instanceof Refusal) return "";
      throw error;
    }
  }
  if (Array.isArray(value)) return Promise.all(value.map((one: Json) => rendered(look, one)));
  if (!isObject(value)) return value;
  const entries = Object.entries(value).map(async ([name, one]) => [name, await rendered(look, one ?? null)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

export function groupView({ sequence, unthrottled, intervalMs, createdAt, updatedAt }: GuideGroup): JsonObject {
  return {
    __typename: "GuideGroup",
    key: DEFAULT_GROUP,
    display_sequence: sequence,
    display_sequence_unthrottled: unthrottled,
    display_sequence_throttled: sequence.filter((key) => !unthrottled.includes(key)),
    display_interval: intervalMs === null ? null : intervalMs / 1000,
    inserted_at: toIso(createdAt),
    updated_at: toIso(updatedAt),
  };
}

/** @param force shows all guides, those that are not for the viewer included. */
export function shelfView(
  { guides, group, intervalFrom: from }: SeenShelf,
  { type, force }: { readonly type: string | undefined; readonly force: boolean },
): JsonObject {
  const asked = guides.filter(({ guide }) => type === undefined || typeOf(guide.source) === type);
  return {
    entries: asked.filter(({ whyNot }) => force || whyNot === null).map(({ view }) => view),
    guide_groups: [group],
    guide_group_display_logs: from === null ? {} : { [DEFAULT_GROUP]: toIso(from) },
    ineligible_guides: asked.flatMap(({ guide, whyNot }) =>
      whyNot === null
        ? []
        : [{ __typename: "GuideIneligibilityMarker", key: guide.key, reason: whyNot, message: WHY_NOT[whyNot] }],
    ),
  };
}
