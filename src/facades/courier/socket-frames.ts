/**
 * What Courier's sockets say of an event. Three kinds of clients, told apart by how they connect:
 *
 *   v1      today's web SDK: replies, config, `reconnect`; a new message under `data`
 *   seed    subscribed by connecting; a new message under `message`
 *   legacy  the former web SDK and phones: a new message flat at the top; takes any frame without `type` for a message
 *
 * One frame satisfies v1 and seed: it carries the message under both names.
 */
import type { Environment, InboxItem } from "../../engine/model.ts";
import type { InboxEvent } from "../../engine/ports.ts";
import { publicItemId } from "./ids.ts";
import { inboxMessage } from "./inbox-views.ts";
import { type TrackingKind, trackingId } from "./tracking-ids.ts";

export type Profile = "v1" | "seed" | "legacy";

/** Names that older clients know; another one makes them report an error. */
const LEGACY_NAMES: ReadonlySet<string> = new Set([
  "message",
  "read",
  "unread",
  "opened",
  "archive",
  "unarchive",
  "mark-all-read",
]);

const BULK_NAMES = { "read-all": "mark-all-read", "archive-all": "archive-all", "archive-read": "archive-read" };

/** The tracking id that goes with a name; `unarchive` has none. */
const TRACKING_KINDS: { readonly [name: string]: TrackingKind } = {
  read: "read",
  unread: "unread",
  opened: "open",
  archive: "archive",
  clicked: "click",
};

/** Courier's name of what happened; null for what its clients have no word for (unseen, deleted). */
export function eventName(event: InboxEvent): string | null {
  if (event.kind === "added") return "message";
  if (event.kind === "changed-all") return BULK_NAMES[event.what];
  switch (event.field) {
    case "read":
      return event.value ? "read" : "unread";
    case "seen":
      return event.value ? "opened" : null;
    case "archived":
      return event.value ? "archive" : "unarchive";
    case "clicked":
      return event.value ? "clicked" : null;
    case "interacted":
      // Our own clicks are told as `clicked`; another facade's interaction is the same to a Courier client.
      return event.value && event.via !== "courier" ? "clicked" : null;
    case "deleted":
      return null;
  }
}

/** The frame for an event; null when clients of this profile are not told of it. */
export function frameOf(profile: Profile, event: InboxEvent, environment: Environment): string | null {
  const name = eventName(event);
  if (name === null || (profile === "legacy" && !LEGACY_NAMES.has(name))) return null;
  if (event.kind === "changed-all") return JSON.stringify({ type: "event", event: name });
  return event.kind === "added"
    ? messageFrame(profile, event.item, environment)
    : stateFrame(name, event.item, environment);
}

function messageFrame(profile: Profile, item: InboxItem, environment: Environment): string {
  const message = inboxMessage(environment, item).toFrame();
  if (profile === "legacy") return JSON.stringify({ type: "message", ...message });
  // Both copies are the same text, so it is made once.
  const text = JSON.stringify(message);
  const id = JSON.stringify(message.messageId);
  return `{"type":"message","event":"message","messageId":${id},"data":${text},"message":${text}}`;
}

function stateFrame(name: string, item: InboxItem, environment: Environment): string {
  const kind = TRACKING_KINDS[name];
  return JSON.stringify({
    type: "event",
    event: name,
    messageId: publicItemId(item),
    ...(kind === undefined ? {} : { trackingId: trackingId(environment, kind, item.id) }),
  });
}

/** Seconds between the client's own pings, and how many may stay unanswered before it reconnects. */
const CLIENT_CONFIG = { pingInterval: 30, maxOutstandingPings: 3 };

/** Replies carry the `tid` they answer, whatever it was. */
export function configFrame(tid: unknown): string {
  return JSON.stringify({ tid, response: "config", data: CLIENT_CONFIG });
}

export function ackFrame(tid: unknown): string {
  return JSON.stringify({ tid, response: "ack" });
}

export function pongFrame(tid: unknown): string {
  return JSON.stringify({ tid, response: "pong" });
}

/** @param tid left out when undefined. */
export function errorFrame(tid: unknown, error: string): string {
  return JSON.stringify({ tid, response: "error", error });
}

/** Asks a v1 client to leave and to come back after so many seconds. */
export function reconnectFrame(retryAfter: number): string {
  return JSON.stringify({ event: "reconnect", message: "The server is restarting", retryAfter, code: 1012 });
}
