import type { Json, JsonObject } from "../lib/json.ts";
import type { Message, MessageId, Recipient, Request } from "./model.ts";
import type { PartyRef } from "./workflow/model.ts";

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
  /** Of a trigger's recipient that was looked up: who it is, and where in its entry expanding goes on behind it. */
  readonly party?: PartyRef;
  readonly after?: string;
}

/** The recipient of a lone user entry, as planning wants it. */
export function targetOfUser(entry: number, recipient: Extract<Recipient, { kind: "user" }>, request: Request): Target {
  return {
    entry,
    userId: recipient.userId,
    profile: recipient.profile,
    data: recipient.data,
    tenantId: recipient.tenantId ?? request.spec.tenantId ?? null,
    viaTenant: false,
    listId: null,
    preferences: recipient.preferences ?? null,
    subscriptionPreferences: null,
  };
}

/** The recipient of a message that exists already: for planning it after a delay, and for the next provider. */
export function targetOfMessage(message: Message, request: Request): Target {
  const recipient = request.spec.recipients[message.entry];
  if (recipient?.kind === "user")
    return { ...targetOfUser(message.entry, recipient, request), tenantId: message.tenantId };
  return {
    entry: message.entry,
    userId: message.userId,
    profile: {},
    data: recipient?.data,
    tenantId: message.tenantId,
    viaTenant: message.viaTenant,
    listId: message.listId,
    preferences: null,
    subscriptionPreferences: message.preferences,
  };
}

/** User id, else the address, else the message's own id. */
export function recipientName(target: Target, id: MessageId): string {
  if (target.userId !== null) return target.userId;
  const { email, phone_number: phone } = target.profile;
  if (typeof email === "string" && email !== "") return email;
  if (typeof phone === "string" && phone !== "") return phone;
  for (const key of ADDRESS_KEYS) {
    const address = firstAddress(target.profile[key]);
    if (address !== null) return address;
  }
  return id;
}

/** Profile fields that are addresses, beside email and phone; any other field may look like one and be none. */
const ADDRESS_KEYS = [
  "slack",
  "ms_teams",
  "discord",
  "intercom",
  "facebookPSID",
  "webhook",
  "pagerduty",
  "firebaseToken",
  "apn",
  "expo",
  "oneSignalPlayerID",
  "airship",
  "aws_sns",
];
/** What names an address inside its field: a Slack channel, the URL of a webhook. The first that is there counts. */
const NAMING_FIELDS = [
  "channel",
  "user_id",
  "email",
  "url",
  "channel_id",
  "conversation_id",
  "token",
  "tokens",
  "to",
  "id",
  "target_arn",
  "audience",
  "named_user",
  "routing_key",
];

/** @returns null when there is none. Looks into lists and objects, a few levels deep. */
function firstAddress(value: Json | undefined, depth = 0): string | null {
  if (typeof value === "string") return value === "" ? null : value;
  if (typeof value !== "object" || value === null || depth > 3) return null;
  const inside = Array.isArray(value) ? value.slice(0, 1) : NAMING_FIELDS.map((key) => (value as JsonObject)[key]);
  for (const each of inside) {
    const address = firstAddress(each, depth + 1);
    if (address !== null) return address;
  }
  return null;
}
