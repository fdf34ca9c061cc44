/** Which ways a message may take: pure decisions over what was asked, what is configured and whom it is for. */

import type { Millis } from "../lib/clock.ts";
import { compileExpression, own } from "../lib/expression.ts";
import type { JsonObject } from "../lib/json.ts";
import {
  CHANNELS,
  type Channel,
  type DeliveryState,
  type DeviceToken,
  type Plan,
  type PlanLeaf,
  type Provider,
  type Routing,
  type SendSpec,
} from "./model.ts";
import type { ProviderKind } from "./ports.ts";

export interface RouteInput {
  readonly spec: Pick<SendSpec, "channels" | "providers">;
  readonly routing: Routing;
  readonly providers: readonly Provider[];
  readonly kinds: ReadonlyMap<string, ProviderKind>;
  readonly userId: string | null;
  readonly profile: JsonObject;
  readonly tokens: readonly DeviceToken[];
  /** What `if` expressions see; a name that is not in it is looked up in its `data`, as in content. */
  readonly scope: JsonObject;
  /** Channels the recipient's preferences leave; null leaves all. For these, a channel's `if` is not asked. */
  readonly allowed: ReadonlySet<Channel> | null;
}

export type Route =
  | { readonly kind: "route"; readonly plan: Plan }
  | {
      readonly kind: "none";
      readonly state: "unroutable" | "filtered";
      readonly reason: "no_providers" | "no_channels" | "filtered";
    };

/** Why an entry was left out; they decide, together, what is said when nothing remains. */
type Skip = "no-provider" | "condition" | "preference" | "no-address";

/** When nothing says otherwise: one channel, the first that reaches the recipient. */
export const DEFAULT_ROUTING: Routing = {
  method: "single",
  channels: ["email", "sms", "push", "inbox", "chat", "webhook"],
};

/**
 * Takes everything unusable out of a routing: channels without provider, with a false condition, without the
 * recipient's consent or address, in this order.
 */
export function route(input: RouteInput): Route {
  const skips: Skip[] = [];
  const plan = resolve(input.routing, input, skips);
  if (plan !== null) return { kind: "route", plan };
  const usable = skips.filter((skip) => skip !== "no-provider");
  if (usable.length === 0) {
    const reason = skips.length === 0 ? "no_channels" : "no_providers";
    return { kind: "none", state: "unroutable", reason };
  }
  if (usable.every((skip) => skip === "condition")) return { kind: "none", state: "filtered", reason: "filtered" };
  return { kind: "none", state: "unroutable", reason: "no_channels" };
}

function resolve(routing: Routing, input: RouteInput, skips: Skip[]): Plan | null {
  const steps: Plan[] = [];
  for (const entry of routing.channels) {
    const step = typeof entry === "string" ? resolveEntry(entry, input, skips) : resolve(entry, input, skips);
    if (step !== null) steps.push(step);
  }
  return node(routing.method, steps);
}

function node(kind: "single" | "all", steps: readonly Plan[]): Plan | null {
  if (steps.length === 0) return null;
  return steps.length === 1 ? (steps[0] as Plan) : { kind, steps };
}

function resolveEntry(entry: string, input: RouteInput, skips: Skip[]): Plan | null {
  const channel = isChannel(entry) ? entry : input.kinds.get(entry)?.channel;
  if (channel === undefined) {
    // A provider key we know nothing of has no provider either; any other word is skipped in the same way.
    skips.push("no-provider");
    return null;
  }
  const options = input.spec.channels?.[channel];
  const candidates = isChannel(entry)
    ? providersOf(channel, options?.providers, input.providers)
    : input.providers.filter((provider) => provider.provider === entry);
  if (candidates.length === 0) return skipped("no-provider", skips);
  if (input.allowed !== null && !input.allowed.has(channel)) return skipped("preference", skips);
  if (input.allowed === null && options?.if !== undefined && !holds(options.if, input.scope)) {
    return skipped("condition", skips);
  }

  const leaves: PlanLeaf[] = [];
  let reason: Skip = "condition";
  for (const provider of candidates) {
    const condition = input.spec.providers?.[provider.provider]?.if;
    if (condition !== undefined && !holds(condition, input.scope)) continue;
    if (addressOf(provider, input) === null) {
      reason = "no-address";
      continue;
    }
    leaves.push({ kind: "leaf", channel, providerId: provider.id, provider: provider.provider });
  }
  if (leaves.length === 0) return skipped(reason, skips);
  return node(options?.routingMethod ?? "single", leaves);
}

function holds(condition: string, scope: JsonObject): boolean {
  return compileExpression(condition)((name) => (Object.hasOwn(scope, name) ? scope[name] : own(scope.data, name)));
}

function skipped(why: Skip, skips: Skip[]): null {
  skips.push(why);
  return null;
}

function isChannel(name: string): name is Channel {
  return (CHANNELS as readonly string[]).includes(name);
}

/** Those named, in that order, each once; or all of the channel, where a stand-in steps aside for anything real. */
export function providersOf(
  channel: Channel,
  named: readonly string[] | undefined,
  all: readonly Provider[],
): readonly Provider[] {
  if (named !== undefined) {
    return [...new Set(named)].flatMap((key) =>
      all.filter((provider) => provider.channel === channel && provider.provider === key),
    );
  }
  const ofChannel = all.filter((provider) => provider.channel === channel);
  const real = ofChannel.filter((provider) => !provider.standIn);
  return real.length > 0 ? real : ofChannel;
}

/** Where a provider would send to, or null when it cannot reach the recipient. */
export function addressOf(
  provider: Provider,
  who: Pick<RouteInput, "kinds" | "userId" | "profile" | "tokens">,
): JsonObject | null {
  const { userId, tokens, profile } = who;
  return who.kinds.get(provider.provider)?.address(profile, { userId, tokens, settings: provider.settings }) ?? null;
}

/** How a leaf of a plan stands. */
export type LeafState = DeliveryState | "skipped";
/** By path; a leaf that is absent has not been tried. */
export type LeafStates = ReadonlyMap<string, LeafState>;

export interface NextLeaves {
  /** Leaves to start now. */
  readonly start: readonly { readonly path: string; readonly leaf: PlanLeaf }[];
  /** True when, besides those, leaves remain that a later failure could bring to start. */
  readonly more: boolean;
}

/** What to start, given how far the plan has come. Starting nothing, with nothing pending, means the plan is at its end. */
export function nextLeaves(plan: Plan, states: LeafStates): NextLeaves {
  const start: { path: string; leaf: PlanLeaf }[] = [];
  let untried = 0;
  const visit = (at: Plan, path: string, active: boolean): "accepted" | "open" | "failed" => {
    if (at.kind === "leaf") {
      const state = states.get(path);
      if (state === undefined) {
        if (active) start.push({ path, leaf: at });
        else untried++;
        return "open";
      }
      if (state === "failed" || state === "skipped" || state === "canceled") return "failed";
      return state === "pending" ? "open" : "accepted";
    }
    let accepted = false;
    let open = false;
    for (let i = 0; i < at.steps.length; i++) {
      if (at.kind === "single" && accepted) break;
      const blocked = at.kind === "single" && open;
      const result = visit(at.steps[i] as Plan, path === "" ? String(i) : `${path}.${i}`, active && !blocked);
      if (blocked) continue;
      if (result === "accepted") accepted = true;
      else if (result === "open") open = true;
    }
    if (at.kind === "single" && accepted) return "accepted";
    if (open) return "open";
    return accepted ? "accepted" : "failed";
  };
  visit(plan, "", true);
  return { start, more: untried > 0 };
}

const CHANNEL_TIMEOUT_MS: Millis = 30 * 60_000;
const PROVIDER_TIMEOUT_MS: Millis = 5 * 60_000;
export const MESSAGE_TIMEOUT_MS: Millis = 72 * 3_600_000;

/** How long one provider may be tried, from its first call. */
export function providerTimeout(spec: SendSpec, leaf: PlanLeaf): Millis {
  const channel = spec.channels?.[leaf.channel];
  return (
    spec.providers?.[leaf.provider]?.timeoutMs ??
    channel?.providerTimeoutMs ??
    pick(spec.timeouts?.providerMs, leaf.provider) ??
    PROVIDER_TIMEOUT_MS
  );
}

/** How long one channel may be tried, all its providers together. */
export function channelTimeout(spec: SendSpec, channel: Channel): Millis {
  return spec.channels?.[channel]?.timeoutMs ?? pick(spec.timeouts?.channelMs, channel) ?? CHANNEL_TIMEOUT_MS;
}

function pick(limit: Millis | { readonly [name: string]: Millis } | undefined, name: string): Millis | undefined {
  return typeof limit === "object" ? limit[name] : limit;
}
