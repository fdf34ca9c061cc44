/** Which endpoints get a message. Asked when it comes in, and again before every try of the schedule. */
import type { AppEndpoint, AppMessage } from "./model.ts";

/**
 * Whether an endpoint of either kind lets the message through its filters, alive or not. A message without channels
 * does not pass a filter by channels.
 */
export function passes(
  endpoint: Pick<AppEndpoint, "eventTypes" | "channels">,
  message: Pick<AppMessage, "eventType" | "channels">,
): boolean {
  const { eventTypes, channels } = endpoint;
  if (eventTypes !== null && !eventTypes.includes(message.eventType)) return false;
  if (channels === null) return true;
  return message.channels?.some((channel) => channels.includes(channel)) ?? false;
}

/** Whether the message is to be sent to the endpoint. One that is disabled, deleted or a poller is never sent anything. */
export function wants(
  endpoint: Pick<AppEndpoint, "eventTypes" | "channels" | "disabled" | "deletedAt" | "kind">,
  message: Pick<AppMessage, "eventType" | "channels">,
): boolean {
  return maySend(endpoint) && passes(endpoint, message);
}

/** Whether anything may be sent to the endpoint: what is asked of tries that somebody asked for by hand. */
export function maySend(endpoint: Pick<AppEndpoint, "disabled" | "deletedAt" | "kind">): boolean {
  return !endpoint.disabled && endpoint.deletedAt === null && endpoint.kind === "http";
}
