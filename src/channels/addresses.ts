/** Where a recipient can be reached on each channel, read from the merged profile. Pure. */
import type { DeviceToken } from "../engine/model.ts";
import type { Millis } from "../lib/clock.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";

export function emailAddress(profile: JsonObject): JsonObject | null {
  const email = filled(profile.email);
  // A line end would begin another header in whatever writes the mail down.
  return email?.includes("@") && !/\p{Cc}/u.test(email) ? { email } : null;
}

export function smsAddress(profile: JsonObject): JsonObject | null {
  const phone = filled(profile.phone_number);
  return phone === null ? null : { phone };
}

/** Every usable token of the user, each once: those of the devices first, then those in the profile. */
export function pushAddress(profile: JsonObject, devices: readonly DeviceToken[], now: Millis): JsonObject | null {
  const tokens = new Set<string>();
  for (const device of devices) {
    if (device.state === "active" && (device.expiresAt === null || device.expiresAt > now)) tokens.add(device.token);
  }
  add(tokens, profile.firebaseToken);
  for (const holder of [profile.apn, profile.expo]) {
    if (!isObject(holder)) continue;
    add(tokens, holder.token);
    add(tokens, holder.tokens);
  }
  add(tokens, profile.oneSignalPlayerID);
  if (isObject(profile.airship) && isObject(profile.airship.audience)) add(tokens, profile.airship.audience.named_user);
  if (isObject(profile.aws_sns)) add(tokens, profile.aws_sns.target_arn);
  return tokens.size === 0 ? null : { tokens: [...tokens] };
}

/** All chat targets of the profile, under the names they have there. */
export function chatAddress(profile: JsonObject): JsonObject | null {
  const targets: Record<string, Json> = {};
  const { slack, ms_teams: teams, discord, intercom, facebookPSID } = profile;
  if (isObject(slack) && (namesOne(slack, "channel", "email", "user_id") || hasWebhook(slack))) targets.slack = slack;
  if (
    isObject(teams) &&
    (namesOne(teams, "user_id", "email", "channel_id", "conversation_id") ||
      (namesOne(teams, "channel_name") && namesOne(teams, "team_id")) ||
      hasWebhook(teams))
  ) {
    targets.ms_teams = teams;
  }
  if (isObject(discord) && (namesOne(discord, "channel_id", "user_id") || hasWebhook(discord)))
    targets.discord = discord;
  if (isObject(intercom) && isObject(intercom.to) && namesOne(intercom.to, "id")) targets.intercom = intercom;
  const psid = filled(facebookPSID);
  if (psid !== null) targets.facebookPSID = psid;
  return Object.keys(targets).length === 0 ? null : targets;
}

/**
 * The recipient's own webhook, or else the static destination of the provider.
 * @returns `{ webhook: {} }` for the static destination: its address and secrets stay in the settings.
 */
export function webhookAddress(profile: JsonObject, settings: JsonObject): JsonObject | null {
  const { webhook } = profile;
  if (isObject(webhook) && filled(webhook.url) !== null) return { webhook };
  return filled(settings.url) === null ? null : { webhook: {} };
}

function filled(value: Json | undefined): string | null {
  return typeof value === "string" && value.trim() !== "" ? value.trim() : null;
}

function namesOne(target: JsonObject, ...fields: readonly string[]): boolean {
  return fields.some((field) => filled(target[field]) !== null);
}

function hasWebhook(target: JsonObject): boolean {
  return isObject(target.incoming_webhook) && filled(target.incoming_webhook.url) !== null;
}

function add(tokens: Set<string>, value: Json | undefined): void {
  for (const token of Array.isArray(value) ? (value as readonly Json[]) : [value]) {
    const text = filled(token);
    if (text !== null) tokens.add(text);
  }
}
