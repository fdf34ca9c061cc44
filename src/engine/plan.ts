import type { Clock, Millis } from "../lib/clock.ts";
import { timeOf } from "../lib/ids.ts";
import { deepMerge, type JsonObject } from "../lib/json.ts";
import { TimeSlice } from "../lib/time-slice.ts";
import type { Catalog, FoundTemplate, TenantContext } from "./catalog.ts";
import { composeDelivery, mergedData, type Setting, type Surroundings, stamp } from "./compose.ts";
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
  Provider,
  Request,
  SendSpec,
} from "./model.ts";
import { nextOpening } from "./opening-hours.ts";
import type { CompiledContent, ContentLanguage, Planned, ProviderKind, RecipientFacts } from "./ports.ts";
import { RenderError } from "./ports.ts";
import { consentFor } from "./preferences.ts";
import { isUnavailable } from "./refusal.ts";
import {
  channelTimeout,
  DEFAULT_ROUTING,
  type LeafState,
  MESSAGE_TIMEOUT_MS,
  nextLeaves,
  type RouteInput,
  route,
} from "./route.ts";
import { recipientName, type Target } from "./target.ts";

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
  /** Gets mistakes of ours that no caller is there to hear of. */
  readonly report: (error: unknown, messageId: MessageId) => void;
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
  if (spec.content.kind === "workflow") throw new Error(`request ${request.id} is a trigger, which begins runs`);
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

/** How long rendering for one channel after the other keeps everyone else waiting. A message may have dozens. */
const RENDERING_SLICE_MS = 100;

/**
 * Starts the leaves of a plan that are due now; leaves with nothing to say on their channel are passed over.
 * @param spent channels whose time is over: their remaining leaves are passed over too.
 */
async function start(
  draft: Message,
  plan: Plan,
  tried: Map<string, LeafState>,
  setting: Setting,
  spent: ReadonlySet<Channel> = new Set(),
): Promise<Planned> {
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
        const delivery = spent.has(leaf.channel) ? null : composeDelivery(draft, path, leaf, setting);
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
  const at = stamp(setting.now, draft.id);
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
  const left = channelTimesLeft(siblings, context.request.spec, now);
  const spent = new Set([...left].flatMap(([channel, ms]) => (ms <= 0 ? [channel] : [])));
  const setting = { context, target, surroundings, input, deps, now };
  const { deliveries } = await start(message, message.plan, tried, setting, spent);
  return deliveries.map((delivery) => {
    const ms = left.get(delivery.channel);
    return ms === undefined ? delivery : { ...delivery, timeoutMs: Math.min(delivery.timeoutMs, ms) };
  });
}

/** How much of their limits the channels tried so far have left: it counts from the first call of the first provider. */
function channelTimesLeft(siblings: readonly Delivery[], spec: SendSpec, now: Millis): ReadonlyMap<Channel, Millis> {
  const left = new Map<Channel, Millis>();
  for (const { channel, startedAt } of siblings) {
    if (startedAt === null) continue;
    const ms = startedAt + channelTimeout(spec, channel) - now;
    left.set(channel, Math.min(ms, left.get(channel) ?? ms));
  }
  return left;
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
  const deadlineAt = now + (spec.timeouts?.messageMs ?? MESSAGE_TIMEOUT_MS);
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
    deadlineAt,
  };
  return {
    ...base,
    // What a delayed message waited for is not held against its providers: time runs from when it is sent.
    deadlineAt,
    // A user of no tenant may have joined one meanwhile.
    tenantId,
    templateId: content.kind === "found" || content.kind === "unpublished" ? content.id : base.templateId,
    storedProfile: facts?.profile ?? null,
    dueAt: null,
    leaseUntil: null,
    plannedAt: stamp(now, id),
  };
}

/**
 * As `planMessage`, for when the caller has long had the answer: a mistake of ours ends the message as undeliverable
 * instead of being repeated for ever. Still rejects while the database is away.
 */
export async function planUnattended(
  context: RequestContext,
  target: Target,
  facts: RecipientFacts | null,
  id: MessageId,
  resumed: Message | null,
  deps: PlanningDeps,
): Promise<Planned> {
  try {
    return await planMessage(context, target, facts, id, resumed, deps);
  } catch (error) {
    if (isUnavailable(error)) throw error;
    deps.report(error, id);
    const draft = draftMessage(context, target, facts, id, target.tenantId, deps.clock.now(), resumed);
    return ended(draft, "undeliverable", "failed", "internal error while the message was planned");
  }
}

function ended(draft: Message, state: MessageState, reason: FailureReason | null, error: string): Planned {
  return { message: { ...draft, state, reason, error }, deliveries: [] };
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
