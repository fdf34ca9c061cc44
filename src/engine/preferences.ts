import type { Millis } from "../lib/clock.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import { CHANNELS, type Channel } from "./model.ts";

/** What a recipient's own rules say about one template. */
export interface Consent {
  readonly blocked: boolean;
  /** Channels that may be used; null leaves all. */
  readonly channels: ReadonlySet<Channel> | null;
}

const NO_RULES: Consent = { blocked: false, channels: null };

/**
 * Reads the rule for a template out of recipient preferences of the form
 * `{ notifications: { <templateId>: { status, channel_preferences, rules } } }`. The first layer that has a rule
 * decides: what came with the send, then with the list subscription.
 */
export function consentFor(
  templateId: string,
  layers: readonly (JsonObject | null | undefined)[],
  now: Millis,
): Consent {
  if (templateId === "") return NO_RULES;
  for (const layer of layers) {
    const notifications = layer?.notifications;
    const rule = isObject(notifications) && Object.hasOwn(notifications, templateId) ? notifications[templateId] : null;
    if (isObject(rule)) return consentOf(rule, now);
  }
  return NO_RULES;
}

function consentOf(rule: JsonObject, now: Millis): Consent {
  if (rule.status === "REQUIRED") return NO_RULES;
  const preferences = rule.channel_preferences;
  const channels = Array.isArray(preferences)
    ? preferences.flatMap((entry) => (isObject(entry) ? channelNamed(entry.channel) : []))
    : [];
  return {
    blocked: rule.status === "OPTED_OUT" || isSnoozed(rule.rules, now),
    channels: channels.length > 0 ? new Set(channels) : null,
  };
}

function isSnoozed(rules: unknown, now: Millis): boolean {
  if (!Array.isArray(rules)) return false;
  return rules.some((rule) => {
    if (!isObject(rule)) return false;
    const start = typeof rule.start === "string" ? Date.parse(rule.start) : Number.NEGATIVE_INFINITY;
    const until = typeof rule.until === "string" ? Date.parse(rule.until) : Number.NaN;
    return start <= now && now < until;
  });
}

function channelNamed(name: unknown): Channel[] {
  if (name === "direct_message") return ["chat"];
  return CHANNELS.filter((channel) => channel === name);
}
