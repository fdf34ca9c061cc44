import type { Message, Recipient, Request } from "./model.ts";
import type { Target } from "./plan.ts";

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
