/**
 * How one delivery is made: what its content may speak of, how the content reads on its channel, what overrides it and
 * what goes along. Pure but for the id it draws.
 */
import type { Millis } from "../lib/clock.ts";
import { newId, timeOf } from "../lib/ids.ts";
import { deepMerge, isObject, type JsonObject } from "../lib/json.ts";
import type { TenantContext } from "./catalog.ts";
import type {
  Channel,
  Delivery,
  DeliveryId,
  EnvironmentId,
  Message,
  PlanLeaf,
  Rendered,
  SendSpec,
  Utm,
} from "./model.ts";
import type { PlanningDeps, RequestContext, TrackingLinks } from "./plan.ts";
import type { ContentLanguage, RenderContext } from "./ports.ts";
import { addressOf, channelTimeout, providerTimeout, type RouteInput } from "./route.ts";
import type { Target } from "./target.ts";

/** What only this recipient brings: looked up after the facts, and only where the request needs it. */
export interface Surroundings {
  readonly tenant: TenantContext | null;
  readonly profile: JsonObject;
  readonly translate: (key: string) => string | undefined;
  readonly locale: string | null;
}

/** What goes into a delivery beside its message and the leaf of the plan that it is for. */
export interface Setting {
  readonly context: RequestContext;
  readonly target: Target;
  readonly surroundings: Surroundings;
  readonly input: RouteInput;
  readonly deps: PlanningDeps;
  readonly now: Millis;
}

/**
 * Makes the delivery of a message for one leaf of its plan: content rendered, overrides filled in, address frozen.
 * Nothing is written. A simulated or an inbox delivery is complete as it comes from here; others are due at once.
 * @param path of the leaf in the plan.
 * @returns null when there is nothing to say on the channel, or no longer anyone to say it to.
 * @throws RenderError when the content cannot be printed with this recipient's data.
 */
export function composeDelivery(message: Message, path: string, leaf: PlanLeaf, setting: Setting): Delivery | null {
  const { context, target, input, now } = setting;
  const { request } = context;
  const { spec } = request;
  const provider = context.providers.find((candidate) => candidate.id === leaf.providerId);
  const address = provider === undefined ? null : addressOf(provider, input);
  if (provider === undefined || address === null) return null;
  const id = newId("dlv", now);
  const rendering = renderContext(message, id, leaf, setting);
  const compiled =
    context.content.kind === "inline" || context.content.kind === "found" ? context.content.compiled : null;
  const content = compiled?.render({ channel: leaf.channel, provider: leaf.provider }, rendering) ?? null;
  if (content === null) return null;

  const at = stamp(now, id);
  const inbox = leaf.channel === "inbox";
  const simulated = spec.mode === "mock";
  const data = mergedData(spec, target);
  return {
    id,
    environmentId: request.environmentId,
    messageId: message.id,
    userId: target.userId,
    tenantId: message.tenantId,
    channel: leaf.channel,
    provider: leaf.provider,
    providerId: leaf.providerId,
    leaf: path,
    state: simulated ? "simulated" : inbox ? "delivered" : "pending",
    dueAt: now,
    leaseUntil: null,
    attempts: 0,
    startedAt: null,
    timeoutMs: Math.min(providerTimeout(spec, leaf), channelTimeout(spec, leaf.channel)),
    address,
    content: leaf.channel === "webhook" ? withWebhookPayload(content, message, setting) : content,
    override: overrideOf(spec, leaf, context.language, rendering),
    error: null,
    reference: null,
    createdAt: timeOf(id),
    sentAt: simulated || inbox ? at : null,
    deliveredAt: inbox && !simulated ? at : null,
    seenAt: null,
    readAt: null,
    interactedAt: null,
    archivedAt: null,
    // A simulated inbox delivery is on record, but no user ever gets to see it.
    deletedAt: simulated ? at : null,
    expiresAt: inbox ? (spec.expiresAt ?? null) : null,
    tags: inbox ? message.tags : [],
    data: dataFor(leaf.channel, data, request.environmentId, id, setting.deps.tracking),
    viaTenant: message.viaTenant,
    requestId: request.id,
    ...(inbox ? { via: spec.via } : {}),
  };
}

/** Apps read the data of inbox items and pushes; a push also learns where to report that it was opened. */
function dataFor(
  channel: Channel,
  data: JsonObject,
  environmentId: EnvironmentId,
  id: DeliveryId,
  tracking: TrackingLinks | null,
): JsonObject {
  if (channel === "inbox") return data;
  if (channel !== "push") return {};
  return tracking === null ? data : { ...data, trackingUrl: tracking.open(environmentId, id) };
}

/** Data of the request under that of the recipient's entry, key by key. */
export function mergedData(spec: SendSpec, target: Target): JsonObject {
  return target.data === undefined ? spec.data : deepMerge(spec.data, target.data);
}

/**
 * The time to write beside something with that id. Ids never go back, so after the clock was set back they lie ahead of
 * it for a while, and nothing may be on record before it was made. What is due still goes by the clock.
 */
export function stamp(now: Millis, id: string): Millis {
  return Math.max(now, timeOf(id));
}

function renderContext(message: Message, deliveryId: DeliveryId, leaf: PlanLeaf, setting: Setting): RenderContext {
  const { context, target, surroundings, deps } = setting;
  const { spec, environmentId } = context.request;
  const tracking = deps.tracking;
  const html = leaf.channel === "email";
  const content = context.content.kind === "found" ? context.content.content : null;
  const messageId = deps.publicMessageId(spec.via, message);
  return {
    data: mergedData(spec, target),
    profile: surroundings.profile,
    tenant: surroundings.tenant?.variables ?? {},
    brand: {},
    builtIns: {
      // A message without event or address is called by its own id, in the spelling that its sender knows.
      event: message.event === "" ? messageId : message.event,
      messageId,
      recipient: message.recipient === message.id ? messageId : message.recipient,
      template: message.templateId,
      subscriptionTopicId: spec.topicId ?? content?.topicId ?? null,
      courier: {
        environment: spec.mode === "mock" ? "test" : "production",
        scope: spec.mode === "draft" ? "draft" : "published",
      },
      ...(tracking !== null && html
        ? {
            urls: {
              opened: tracking.open(environmentId, deliveryId),
              unsubscribe: tracking.unsubscribe(environmentId, deliveryId),
            },
          }
        : {}),
    },
    locale: surroundings.locale,
    translate: surroundings.translate,
    fallbackTitle: content?.name ?? "",
    utm: utmOf(spec, leaf),
    trackLink:
      tracking !== null && html ? (index, href) => tracking.click(environmentId, deliveryId, index, href) : null,
    openPixel: tracking !== null && html && tracksOpens(spec, leaf) ? tracking.open(environmentId, deliveryId) : null,
  };
}

/** Opens are tracked unless the override of the provider, or else that of the channel, says no. */
function tracksOpens(spec: SendSpec, leaf: PlanLeaf): boolean {
  const override = deepMerge(
    spec.channels?.[leaf.channel]?.override ?? {},
    spec.providers?.[leaf.provider]?.override ?? {},
  );
  return !isObject(override.tracking) || override.tracking.open !== false;
}

/** The nearer the setting, the more it counts, key by key. */
function utmOf(spec: SendSpec, leaf: PlanLeaf): Utm | null {
  const channel = spec.channels?.[leaf.channel]?.utm;
  const provider = spec.providers?.[leaf.provider]?.utm;
  if (spec.utm === undefined && channel === undefined && provider === undefined) return null;
  return { ...spec.utm, ...channel, ...provider };
}

/** The provider's override over its channel's. */
function overrideOf(
  spec: SendSpec,
  leaf: PlanLeaf,
  language: ContentLanguage,
  rendering: RenderContext,
): JsonObject | null {
  const channel = spec.channels?.[leaf.channel]?.override;
  const provider = spec.providers?.[leaf.provider]?.override;
  if (channel === undefined && provider === undefined) return null;
  return language.interpolate(mergedOverride(channel ?? {}, provider ?? {}), rendering) as JsonObject;
}

/** `body` is a text on a channel and a piece of the request at a provider: one must not push out the other. */
function mergedOverride(channel: JsonObject, provider: JsonObject): JsonObject {
  const merged = deepMerge(channel, provider);
  if (typeof channel.body !== "string" || !isObject(provider.body)) return merged;
  return { ...merged, body: { body: channel.body, ...provider.body } };
}

/** A webhook gets what was passed to send: the profile fields given there, or on demand the whole merged profile. */
function withWebhookPayload(content: Rendered, message: Message, setting: Setting): Rendered {
  if (content.raw?.payload !== undefined) return content;
  const { context, target, surroundings } = setting;
  const { spec } = context.request;
  const webhook = surroundings.profile.webhook;
  const expanded =
    typeof webhook === "object" &&
    webhook !== null &&
    !Array.isArray(webhook) &&
    (webhook as JsonObject).profile === "expanded";
  const { webhook: _, ...profile } = expanded ? surroundings.profile : target.profile;
  const to: JsonObject = target.userId === null ? profile : { user_id: target.userId, ...profile };
  const payload: JsonObject = {
    message: {
      ...(message.templateId === "" ? {} : { template: message.templateId }),
      to,
      data: mergedData(spec, target),
      ...(spec.content.kind === "inline" ? { content: { title: content.title, body: content.body } } : {}),
    },
  };
  return { ...content, raw: { ...content.raw, payload } };
}
