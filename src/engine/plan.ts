import type { Clock, Millis } from "../lib/clock.ts";
import { newId, timeOf } from "../lib/ids.ts";
import { deepMerge, type Json, type JsonObject } from "../lib/json.ts";
import { TimeSlice } from "../lib/time-slice.ts";
import type { Catalog, FoundTemplate, TenantContext } from "./catalog.ts";
import type {
  Channel,
  Delivery,
  DeliveryId,
  EnvironmentId,
  FailureReason,
  Message,
  MessageId,
  MessageState,
  Plan,
  PlanLeaf,
  Provider,
  Rendered,
  Request,
  SendSpec,
  Utm,
} from "./model.ts";
import { nextOpening } from "./opening-hours.ts";
import type {
  CompiledContent,
  ContentLanguage,
  Planned,
  ProviderKind,
  RecipientFacts,
  RenderContext,
} from "./ports.ts";
import { RenderError } from "./ports.ts";
import { consentFor } from "./preferences.ts";
import {
  addressOf,
  channelTimeout,
  DEFAULT_ROUTING,
  type LeafState,
  MESSAGE_TIMEOUT_MS,
  nextLeaves,
  providerTimeout,
  type RouteInput,
  route,
} from "./route.ts";

/** One recipient of a request, as expanding found it. */
export interface Target {
  /** Index into `spec.recipients`. */
  readonly entry: number;
  readonly userId: string | null;
  /** Profile fields that came with the request; they win over the stored ones. */
  readonly profile: JsonObject;
  readonly data: JsonObject | undefined;
  readonly tenantId: string | null;
  readonly viaTenant: boolean;
  readonly listId: string | null;
  /** Preferences that came with the request, and those kept with the list subscription. */
  readonly preferences: JsonObject | null;
  readonly subscriptionPreferences: JsonObject | null;
}

/** Addresses that lead back to this server, put into what is rendered. */
export interface TrackingLinks {
  click(environmentId: EnvironmentId, deliveryId: DeliveryId, index: number, target: string): string;
  open(environmentId: EnvironmentId, deliveryId: DeliveryId): string;
  unsubscribe(environmentId: EnvironmentId, deliveryId: DeliveryId): string;
}

export interface PlanningDeps {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly kinds: ReadonlyMap<string, ProviderKind>;
  readonly languages: ReadonlyMap<string, ContentLanguage>;
  /** Null when links and opens are not tracked. */
  readonly tracking: TrackingLinks | null;
  /** A message's id in the spelling of the facade it came through. */
  readonly publicMessageId: (via: string, message: Message) => string;
  readonly readMembershipProfile: (
    environmentId: EnvironmentId,
    userId: string,
    tenantId: string,
  ) => Promise<JsonObject | null>;
}

/** What all recipients of a request share; looked up once for all of them. */
export interface RequestContext {
  readonly request: Request;
  readonly providers: readonly Provider[];
  readonly content: FoundTemplate | { readonly kind: "inline"; readonly compiled: CompiledContent };
  readonly language: ContentLanguage;
}

/**
 * Looks up what the recipients of a request share.
 * @throws Refusal("invalid") when inline content does not compile.
 */
export async function requestContext(request: Request, deps: PlanningDeps): Promise<RequestContext> {
  const { spec, environmentId } = request;
  const content =
    spec.content.kind === "inline"
      ? { kind: "inline" as const, compiled: deps.catalog.compile(spec.content.language, spec.content.source) }
      : await deps.catalog.template(environmentId, spec.content.template, spec.mode);
  const languageName =
    spec.content.kind === "inline"
      ? spec.content.language
      : content.kind === "found"
        ? content.content.language
        : "elemental";
  return {
    request,
    providers: await deps.catalog.providers(environmentId),
    content,
    language: deps.languages.get(languageName) as ContentLanguage,
  };
}

/** What only this recipient brings: looked up after the facts, and only where the request needs it. */
interface Surroundings {
  readonly tenant: TenantContext | null;
  readonly profile: JsonObject;
  readonly translate: (key: string) => string | undefined;
  readonly locale: string | null;
}

const NO_TRANSLATION = (): undefined => undefined;

/**
 * Decides what becomes of one recipient of a request: context, delay, consent, route, content. Nothing is written.
 * @param ids the message's id, which the caller knows first (a lone message shares its request's bits).
 * @param resumed the message when it was planned before and waited since.
 */
export async function planMessage(
  context: RequestContext,
  target: Target,
  facts: RecipientFacts | null,
  id: MessageId,
  resumed: Message | null,
  deps: PlanningDeps,
): Promise<Planned> {
  const { spec } = context.request;
  const now = deps.clock.now();
  const tenantId = target.tenantId ?? (facts?.tenantIds.length === 1 ? (facts.tenantIds[0] as string) : null);
  const draft = draftMessage(context, target, facts, id, tenantId, now, resumed);

  const surroundings = await look(context, target, facts, tenantId, deps);
  if (resumed === null && spec.delay !== undefined) {
    const due = dueAt(spec.delay, surroundings.profile, now);
    if (due === "too-far") return ended(draft, "undeliverable", "failed", "the delay is longer than 90 days");
    if (due > now)
      return {
        message: { ...draft, state: "delayed", dueAt: due, plannedAt: null, storedProfile: null },
        deliveries: [],
      };
  }
  if (context.content.kind === "unmapped") {
    return ended(draft, "unmapped", null, `no template, alias or event is named ${JSON.stringify(draft.templateId)}`);
  }
  if (context.content.kind === "unpublished") {
    return ended(draft, "unroutable", "unpublished", `template ${context.content.id} has never been published`);
  }

  const consent = consentFor(draft.templateId, [target.preferences, target.subscriptionPreferences], now);
  if (consent.blocked && target.userId !== null) {
    return ended(draft, "undeliverable", "unsubscribed", "Notification opted out by user");
  }

  const scope = {
    data: mergedData(spec, target),
    profile: surroundings.profile,
    tenant: surroundings.tenant?.variables ?? {},
  };
  const input: RouteInput = {
    spec,
    routing: routingOf(context, target),
    providers: context.providers,
    kinds: deps.kinds,
    userId: target.userId,
    profile: surroundings.profile,
    tokens: facts?.tokens ?? [],
    scope,
    allowed: target.userId === null ? null : consent.channels,
  };
  const way = route(input);
  if (way.kind === "none") return ended(draft, way.state, way.reason, ERROR_TEXT[way.reason]);
  return await start(draft, way.plan, new Map<string, LeafState>(), {
    context,
    target,
    surroundings,
    input,
    deps,
    now,
  });
}

const ERROR_TEXT = {
  no_providers: "No providers added for the channels of the route",
  no_channels: "No channel of the route can reach the recipient",
  filtered: "Every channel's condition was false",
};

/** What `start` and `failover` need beside the message. */
interface Starting {
  readonly context: RequestContext;
  readonly target: Target;
  readonly surroundings: Surroundings;
  readonly input: RouteInput;
  readonly deps: PlanningDeps;
  readonly now: Millis;
}

/** How long rendering for one channel after the other keeps everyone else waiting. A message may have dozens. */
const RENDERING_SLICE_MS = 100;

/** Starts the leaves of a plan that are due now; leaves with nothing to say on their channel are passed over. */
async function start(draft: Message, plan: Plan, tried: Map<string, LeafState>, starting: Starting): Promise<Planned> {
  const slice = new TimeSlice(RENDERING_SLICE_MS);
  const deliveries: Delivery[] = [];
  let renderError: string | null = null;
  let more = false;
  for (;;) {
    const next = nextLeaves(plan, tried);
    more = next.more;
    if (next.start.length === 0) break;
    for (const { path, leaf } of next.start) {
      if (slice.over) await slice.rest();
      try {
        const delivery = startLeaf(draft, path, leaf, starting);
        tried.set(path, delivery?.state ?? "skipped");
        if (delivery !== null) deliveries.push(delivery);
      } catch (error) {
        if (!(error instanceof RenderError)) throw error;
        renderError = `${leaf.channel}: ${error.message}`;
        tried.set(path, "skipped");
      }
    }
    // A template that cannot be rendered is not cured by another channel of the same template.
    if (renderError !== null && plan.kind !== "all") break;
  }
  const ways = new Set(deliveries.map((delivery) => delivery.state));
  if (ways.size === 0) {
    if (renderError !== null) return ended(draft, "undeliverable", "failed", renderError);
    return ended(draft, "unroutable", "no_channels", "The content has nothing for any channel of the route");
  }
  const at = stamp(starting.now, draft.id);
  const state: MessageState = ways.has("delivered") ? "delivered" : ways.has("simulated") ? "simulated" : "routed";
  const reached = state !== "routed";
  return {
    message: {
      ...draft,
      state,
      error: renderError,
      plan: more && ways.has("pending") ? plan : null,
      sentAt: reached ? at : null,
      deliveredAt: state === "delivered" ? at : null,
    },
    deliveries,
  };
}

/** @returns null when the content has nothing for the channel. @throws RenderError */
function startLeaf(message: Message, path: string, leaf: PlanLeaf, starting: Starting): Delivery | null {
  const { context, target, input, now } = starting;
  const { request } = context;
  const { spec } = request;
  const provider = context.providers.find((candidate) => candidate.id === leaf.providerId);
  const address = provider === undefined ? null : addressOf(provider, input);
  if (provider === undefined || address === null) return null;
  const id = newId("dlv", now);
  const rendering = renderContext(message, id, leaf, starting);
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
    content: leaf.channel === "webhook" ? withWebhookPayload(content, message, starting) : content,
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
    data: dataFor(leaf.channel, data, request.environmentId, id, starting.deps.tracking),
    viaTenant: message.viaTenant,
    requestId: request.id,
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

/**
 * The deliveries that take the place of a failed one: the next leaves of the message's plan, rendered with the state of
 * the world now.
 * @param siblings every delivery of the message so far, the failed one in its new state.
 */
export async function planFailover(
  context: RequestContext,
  message: Message,
  siblings: readonly Delivery[],
  target: Target,
  facts: RecipientFacts | null,
  deps: PlanningDeps,
): Promise<readonly Delivery[]> {
  if (message.plan === null) return [];
  const surroundings = await look(context, target, facts, message.tenantId, deps);
  const scope = {
    data: mergedData(context.request.spec, target),
    profile: surroundings.profile,
    tenant: surroundings.tenant?.variables ?? {},
  };
  const input: RouteInput = {
    spec: context.request.spec,
    routing: routingOf(context, target),
    providers: context.providers,
    kinds: deps.kinds,
    userId: target.userId,
    profile: surroundings.profile,
    tokens: facts?.tokens ?? [],
    scope,
    allowed: null,
  };
  const tried = new Map<string, LeafState>(siblings.map((delivery) => [delivery.leaf, delivery.state]));
  const now = deps.clock.now();
  const planned = await start(message, message.plan, tried, { context, target, surroundings, input, deps, now });
  return planned.deliveries.map((delivery) => withinChannelLimit(delivery, siblings, context.request.spec, now));
}

/** The channel's limit counts from the first call of its first provider. */
function withinChannelLimit(delivery: Delivery, siblings: readonly Delivery[], spec: SendSpec, now: Millis): Delivery {
  const started = siblings.filter((other) => other.channel === delivery.channel && other.startedAt !== null);
  if (started.length === 0) return delivery;
  const first = Math.min(...started.map((other) => other.startedAt as Millis));
  const left = Math.max(0, channelTimeout(spec, delivery.channel) - (now - first));
  return { ...delivery, timeoutMs: Math.min(delivery.timeoutMs, left) };
}

async function look(
  context: RequestContext,
  target: Target,
  facts: RecipientFacts | null,
  tenantId: string | null,
  deps: PlanningDeps,
): Promise<Surroundings> {
  const { environmentId } = context.request;
  let profile = facts?.profile ?? {};
  let tenant: TenantContext | null = null;
  if (tenantId !== null) {
    tenant = await deps.catalog.tenant(environmentId, tenantId);
    if (tenant !== null) profile = deepMerge(tenant.userProfile, profile);
    if (target.userId !== null) {
      const own = await deps.readMembershipProfile(environmentId, target.userId, tenantId);
      if (own !== null) profile = deepMerge(profile, own);
    }
  }
  profile = deepMerge(profile, target.profile);
  const locale = typeof profile.locale === "string" ? profile.locale : null;
  return {
    tenant,
    profile,
    locale,
    translate: locale === null ? NO_TRANSLATION : await deps.catalog.translations(environmentId, locale),
  };
}

function draftMessage(
  context: RequestContext,
  target: Target,
  facts: RecipientFacts | null,
  id: MessageId,
  tenantId: string | null,
  now: Millis,
  resumed: Message | null,
): Message {
  const { request, content } = context;
  const { spec } = request;
  const named = spec.content.kind === "template" ? spec.content.template : "";
  const base: Message = resumed ?? {
    id,
    environmentId: request.environmentId,
    requestId: request.id,
    state: "enqueued",
    reason: null,
    error: null,
    userId: target.userId,
    recipient: recipientName(target, id),
    tenantId,
    entry: target.entry,
    viaTenant: target.viaTenant,
    listId: target.listId,
    event: spec.event ?? named,
    templateId: named,
    tags: spec.tags ?? [],
    traceId: spec.traceId ?? null,
    preferences: target.subscriptionPreferences,
    storedProfile: null,
    plan: null,
    dueAt: null,
    leaseUntil: null,
    createdAt: timeOf(id),
    plannedAt: null,
    sentAt: null,
    deliveredAt: null,
    openedAt: null,
    clickedAt: null,
    canceledAt: null,
    deadlineAt: now + (spec.timeouts?.messageMs ?? MESSAGE_TIMEOUT_MS),
  };
  return {
    ...base,
    templateId: content.kind === "found" || content.kind === "unpublished" ? content.id : base.templateId,
    storedProfile: facts?.profile ?? null,
    dueAt: null,
    leaseUntil: null,
    plannedAt: stamp(now, id),
  };
}

/**
 * The time to write beside something with that id. Ids never go back, so after the clock was set back they lie ahead of
 * it for a while, and nothing may be on record before it was made. What is due still goes by the clock.
 */
function stamp(now: Millis, id: string): Millis {
  return Math.max(now, timeOf(id));
}

/** User id, else the address, else the message's own id. */
function recipientName(target: Target, id: MessageId): string {
  if (target.userId !== null) return target.userId;
  const { email, phone_number: phone } = target.profile;
  if (typeof email === "string" && email !== "") return email;
  if (typeof phone === "string" && phone !== "") return phone;
  for (const value of Object.values(target.profile)) {
    const address = firstAddress(value);
    if (address !== null) return address;
  }
  return id;
}

/** What names the other kinds of address: a Slack channel, the URL of a webhook. */
function firstAddress(value: Json | undefined): string | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const fields = value as JsonObject;
  for (const key of ["channel", "user_id", "email", "url", "channel_id", "conversation_id", "token"]) {
    const text = fields[key];
    if (typeof text === "string" && text !== "") return text;
  }
  return null;
}

function ended(draft: Message, state: MessageState, reason: FailureReason | null, error: string): Planned {
  return { message: { ...draft, state, reason, error }, deliveries: [] };
}

function mergedData(spec: SendSpec, target: Target): JsonObject {
  return target.data === undefined ? spec.data : deepMerge(spec.data, target.data);
}

/** What the request says, else the template; a recipient that is itself one address goes straight there. */
function routingOf(context: RequestContext, target: Target) {
  const { spec } = context.request;
  if (spec.routing !== undefined) return spec.routing;
  if (context.content.kind === "found" && context.content.content.routing !== null)
    return context.content.content.routing;
  if (target.userId === null) {
    const direct: Channel[] = [];
    if ("slack" in target.profile || "ms_teams" in target.profile) direct.push("chat");
    if ("webhook" in target.profile) direct.push("webhook");
    if (direct.length > 0) return { method: "single" as const, channels: direct };
  }
  return DEFAULT_ROUTING;
}

const MAX_DELAY_MS: Millis = 90 * 24 * 3_600_000;

function dueAt(delay: NonNullable<SendSpec["delay"]>, profile: JsonObject, now: Millis): Millis | "too-far" {
  const zones = [delay.timezone, profile.zoneinfo, profile.timezone];
  const zone = zones.find((name): name is string => typeof name === "string" && name !== "");
  let due = now;
  if (delay.until !== undefined) due = nextOpening(delay.until, now, zone);
  else if (delay.durationMs !== undefined) due = now + Math.ceil(delay.durationMs / 60_000) * 60_000;
  return due - now > MAX_DELAY_MS ? "too-far" : due;
}

function renderContext(message: Message, deliveryId: DeliveryId, leaf: PlanLeaf, starting: Starting): RenderContext {
  const { context, target, surroundings, deps } = starting;
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
    openPixel: tracking !== null && html ? tracking.open(environmentId, deliveryId) : null,
  };
}

/** The nearer the setting, the more it counts, key by key. */
function utmOf(spec: SendSpec, leaf: PlanLeaf): Utm | null {
  const channel = spec.channels?.[leaf.channel]?.utm;
  const provider = spec.providers?.[leaf.provider]?.utm;
  if (spec.utm === undefined && channel === undefined && provider === undefined) return null;
  return { ...spec.utm, ...channel, ...provider };
}

function overrideOf(
  spec: SendSpec,
  leaf: PlanLeaf,
  language: ContentLanguage,
  rendering: RenderContext,
): JsonObject | null {
  const channel = spec.channels?.[leaf.channel]?.override;
  const provider = spec.providers?.[leaf.provider]?.override;
  if (channel === undefined && provider === undefined) return null;
  return language.interpolate(deepMerge(channel ?? {}, provider ?? {}), rendering) as JsonObject;
}

/** A webhook gets what was passed to send: the profile fields given there, or on demand the whole merged profile. */
function withWebhookPayload(content: Rendered, message: Message, starting: Starting): Rendered {
  if (content.raw?.payload !== undefined) return content;
  const { context, target, surroundings } = starting;
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
