/** What clients are told to drop: messages that were taken back and, where the operator wants it, what the user put away. */
import type { InboxItem, Message } from "../../engine/model.ts";
import type { Page } from "../../engine/ports.ts";
import type { Millis } from "../../lib/clock.ts";
import { inboxIdOf } from "./ids.ts";
import { type Owner, shows } from "./inbox-items.ts";
import { messageNameOf } from "./message-views.ts";
import type { World } from "./pushwoosh.ts";

const PAGE = 200;
/** So many of the user's messages are looked at, the newest ones: nobody keeps an older one in a browser for long. */
const MAX_MESSAGES = 1_000;

export interface Removed {
  readonly inboxIds: readonly string[];
  /** Until then the list stays as it is, if nothing happens in the inbox; null when that is not known. */
  readonly until: Millis | null;
}

/** @param own whether what the user put away is named as well. */
export async function removedOf(world: World, owner: Owner, own: boolean): Promise<Removed> {
  const { engine, clock } = world;
  const recalled = await engine.recalls.ofUser(owner.environmentId, owner.userId, clock.now());
  const put = own ? await putAway(world, owner) : { inboxIds: [], until: Number.POSITIVE_INFINITY };
  const inboxIds = new Set([...recalled.map((id) => inboxIdOf({ kind: "request", id })), ...put.inboxIds]);
  // What was recalled is told of until it would have expired, which is not known here.
  return { inboxIds: [...inboxIds], until: recalled.length === 0 ? put.until : null };
}

/** What the user deleted or archived and would not have expired yet. A message that the user still has is none. */
async function putAway(
  { engine, clock }: World,
  owner: Owner,
): Promise<{ readonly inboxIds: readonly string[]; readonly until: Millis }> {
  const { environmentId, userId } = owner;
  const now = clock.now();
  const gone = new Set<string>();
  const there = new Set<string>();
  let until = Number.POSITIVE_INFINITY;
  let after: string | null = null;
  for (let seen = 0; seen < MAX_MESSAGES; seen += PAGE) {
    const page: Page<Message> = await engine.messages.list(
      environmentId,
      { recipient: userId, archived: true },
      { after, limit: PAGE },
    );
    const messageIds = page.items.map(({ id }) => id);
    const items: readonly InboxItem[] = await engine.inbox.itemsOf(environmentId, messageIds);
    for (const item of items) {
      const isOver = item.expiresAt !== null && item.expiresAt <= now;
      if (item.userId !== userId || isOver || !shows(owner, item)) continue;
      const isGone = item.deletedAt !== null || item.archivedAt !== null;
      (isGone ? gone : there).add(inboxIdOf(messageNameOf(item)));
      if (isGone) until = Math.min(until, item.expiresAt ?? until);
    }
    after = page.next;
    if (after === null) break;
  }
  return { inboxIds: [...gone].filter((id) => !there.has(id)), until };
}
