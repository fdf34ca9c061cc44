/** How far the messages of a step have come, as conditions and templates of later steps see it under `refs.<step>`. */
import type { JsonObject } from "../../lib/json.ts";

/** Of one message: where its delivery stands, and what its recipient has done with it. */
export interface MessageStatus {
  readonly delivery: string;
  readonly engagement: readonly string[];
}

/** From low to high, for comparing; what stands in one line counts the same. */
const RANKS: readonly (readonly string[])[] = [
  ["skipped"],
  ["undelivered"],
  ["bounced"],
  ["delivery_attempted"],
  ["queued"],
  ["not_sent"],
  ["sent"],
  ["delivered"],
  ["seen"],
  ["read"],
  ["interacted", "link_clicked"],
  ["archived"],
];
const RANK: ReadonlyMap<string, number> = new Map(
  RANKS.flatMap((names, rank) => names.map((name): [string, number] => [name, rank])),
);

/** Cases that are made of two. */
const HAS_BUT_NOT: { readonly [name: string]: readonly [has: string, not: string] } = {
  seen_not_read: ["seen", "read"],
  read_not_link_clicked: ["read", "link_clicked"],
};

const PREFIX = "$message.";

/** What conditions may compare a message's status with, such as `$message.seen`. */
export const STATUS_ARGUMENTS: readonly string[] = [...RANK.keys(), ...Object.keys(HAS_BUT_NOT)]
  .filter((name) => name !== "delivery_attempted" && name !== "queued" && name !== "not_sent")
  .map((name) => PREFIX + name);

/** @returns the name of a status that conditions may ask for; null when the text asks for something else. */
export function statusArgument(text: unknown): string | null {
  if (typeof text !== "string" || !text.startsWith(PREFIX)) return null;
  const name = text.slice(PREFIX.length);
  return RANK.has(name) || Object.hasOwn(HAS_BUT_NOT, name) ? name : null;
}

/** `refs.<step>` of a step: its message that has come farthest counts; none means that it was skipped. */
export function stepStatus(messages: readonly MessageStatus[]): JsonObject {
  let best: MessageStatus | null = null;
  let bestRank = -1;
  for (const message of messages) {
    const rank = Math.max(rankOf(message.delivery), ...message.engagement.map(rankOf));
    if (rank > bestRank) [best, bestRank] = [message, rank];
  }
  return { delivery_status: best?.delivery ?? "skipped", engagement_status: best?.engagement ?? [] };
}

/** @returns below, at or above 0 as the status is lower, equal or higher; a step that was never reached was skipped. */
export function compareStatus(status: unknown, argument: string): number {
  return rankOf(status) - rankOf(argument);
}

/** Whether what a recipient has done with a message is what the condition asks for. */
export function engagementHas(engagement: unknown, argument: string): boolean {
  const done: readonly unknown[] = Array.isArray(engagement) ? engagement : [];
  const butNot = Object.hasOwn(HAS_BUT_NOT, argument) ? HAS_BUT_NOT[argument] : undefined;
  return butNot === undefined ? done.includes(argument) : done.includes(butNot[0]) && !done.includes(butNot[1]);
}

function rankOf(status: unknown): number {
  return (typeof status === "string" ? RANK.get(status) : undefined) ?? 0;
}
