/** Channels and groups of channels as authors see them. */
import type { Document, Environment } from "../../../engine/model.ts";
import type { ChannelType } from "../../../engine/workflow/model.ts";
import type { StepChannel } from "../../../engine/workflow/workflows.ts";
import { isObject, type Json, type JsonObject } from "../../../lib/json.ts";
import { GUIDE_CHANNEL, guideChannelId } from "../guide-shelf.ts";
import { toIso } from "../wire.ts";
import { DEVELOPMENT } from "./scope.ts";

const OWN: { readonly [type in ChannelType]: string } = {
  email: "email_carillon",
  in_app_feed: "in_app_feed_knock",
  sms: "sms_carillon",
  push: "push_carillon",
  chat: "chat_carillon",
  http: "http_knock_webhook",
};

/**
 * What a channel's provider is called: the vendor joins it to the type. A channel that leaves it to the environment which
 * provider it sends through has this server's name there.
 */
export function providerOf({ type, provider }: Pick<StepChannel, "type" | "provider">): string {
  if (provider === null) return OWN[type];
  const named = provider.replaceAll("-", "_");
  return named.startsWith(`${type}_`) ? named : `${type}_${named}`;
}

/** @param withSettings its settings are shown, too, without what is secret among them. */
export function showChannel(channel: StepChannel, withSettings = false): JsonObject {
  return {
    id: channel.id,
    key: channel.key,
    name: channel.name,
    provider: providerOf(channel),
    type: channel.type,
    custom_icon_url: null,
    description: null,
    archived_at: null,
    created_at: toIso(channel.createdAt),
    updated_at: toIso(channel.updatedAt),
    ...(withSettings ? { environment_settings: { [DEVELOPMENT]: settingsOf(channel) } } : {}),
  };
}

/** The channel of all guides, which nobody makes. */
export function showGuideChannel(environment: Environment): JsonObject {
  return {
    id: guideChannelId(environment),
    ...GUIDE_CHANNEL,
    provider: "in_app_guide_knock",
    custom_icon_url: null,
    description: null,
    archived_at: null,
    created_at: toIso(environment.createdAt),
    updated_at: toIso(environment.createdAt),
  };
}

/** Secrets of providers are kept with the providers; the settings of a channel are its author's. */
function settingsOf({ id, settings }: StepChannel): JsonObject {
  return {
    id,
    is_sandbox: settings.sandbox_mode === true,
    is_valid: true,
    channel_settings: settings,
    provider_settings: {},
  };
}

/** @param channels by key. A rule whose channel is gone is left out. */
export function showGroup(
  { id, body, createdAt, updatedAt }: Document,
  channels: ReadonlyMap<string, StepChannel>,
): JsonObject {
  const rules = Array.isArray(body.channel_rules) ? (body.channel_rules as readonly Json[]) : [];
  const at = { created_at: toIso(createdAt), updated_at: toIso(updatedAt) };
  return {
    key: id,
    name: body.name,
    channel_type: body.channel_type,
    operator: body.operator,
    source: "user",
    channel_rules: rules.filter(isObject).flatMap(({ channel_key, rule_type, ...condition }, index): JsonObject[] => {
      const channel = channels.get(channel_key as string);
      return channel === undefined ? [] : [{ channel: showChannel(channel), rule_type, index, ...condition, ...at }];
    }),
    archived_at: null,
    ...at,
  };
}
