/** What clients are told to drop: messages that were taken back and, where the operator wants it, what the user put away. */
import type { Millis } from "../../lib/clock.ts";
import { inboxIdOf } from "./ids.ts";
import { everGot, type Owner, shows } from "./inbox-items.ts";
import { FACADE } from "./message-views.ts";
import type { World } from "./pushwoosh.ts";

export interface Removed {
  readonly inboxIds: readonly string[];
  /** Until then the list stays as it is, if nothing happens in the inbox. */
  readonly until: Millis;
}

/** @param own whether what the user put away is named as well. */
export async function removedOf(world: World, owner: Owner, own: boolean): Promise<Removed> {
  const { engine, clock } = world;
  const recalled = await engine.recalls.ofUser(owner.environmentId, owner.userId, clock.now());
  const put = own ? await putAway(world, owner) : { inboxIds: [], until: Number.POSITIVE_INFINITY };
  const taken = recalled.map(({ requestId }) => inboxIdOf({ kind: "request", id: requestId }));
  return {
    inboxIds: [...new Set([...taken, ...put.inboxIds])],
    until: recalled.reduce((first, { until }) => Math.min(first, until), put.until),
  };
}

/** What the user deleted or archived and would not have expired yet. A message that the user still has is none. */
async function putAway(world: World, owner: Owner): Promise<Removed> {
  const gone = new Set<string>();
  const there = new Set<string>();
  let until = Number.POSITIVE_INFINITY;
  for await (const item of everGot(world, owner)) {
    if (!shows(owner, item)) continue;
    const { id, requestId, via, expiresAt } = item;
    const inboxId = inboxIdOf(via === FACADE ? { kind: "request", id: requestId } : { kind: "item", id });
    (item.putAway ? gone : there).add(inboxId);
    if (item.putAway) until = Math.min(until, expiresAt ?? until);
  }
  return { inboxIds: [...gone].filter((one) => !there.has(one)), until };
}
