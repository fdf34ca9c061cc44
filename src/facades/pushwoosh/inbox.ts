/** The inbox: what clients read, and what they report of it. */
import type { InboxBrief } from "../../engine/ports.ts";
import type { Millis } from "../../lib/clock.ts";
import type { Json } from "../../lib/json.ts";
import type { Call } from "./call.ts";
import { envelope, invalid } from "./errors.ts";
import { inboxIdOf } from "./ids.ts";
import { InboxCache } from "./inbox-cache.ts";
import { allItems, findByCode, itemsBelow, itemsOf, type Owner, ownerOf, placeOf, raise } from "./inbox-items.ts";
import { messageNameOf, messageView, statusOf } from "./message-views.ts";
import { type Method, Ready, type World } from "./pushwoosh.ts";
import { type Removed, removedOf } from "./removed-items.ts";

/** Larger pages are asked for as everything. */
const MAX_PAGE = 10_000;
/** An inbox of 1,000 messages takes some 300 kB. */
const CACHE_BYTES = 32 * 1024 * 1024;

export function inboxMethods(): readonly Method[] {
  const cache = new InboxCache(CACHE_BYTES);
  return [
    { name: "getInboxMessages", access: "device", run: (call, world) => getInboxMessages(call, world, cache) },
    { name: "inboxStatus", access: "device", run: inboxStatus },
  ];
}

async function getInboxMessages(call: Call, world: World, cache: InboxCache): Promise<Json | Ready> {
  const count = call.integer("count") ?? 0;
  if (count < 0) throw invalid("count", `Expected 0 or more, got ${count}`);
  const lastCode = lastCodeOf(call);
  const owner = await ownerOf(call, world);
  const own = (await world.settings.switches(owner.environmentId)).propagateUserRemovals;
  const below = lastCode === undefined ? null : await placeOf(world, owner, lastCode);
  if (count > 0 && count <= MAX_PAGE) {
    const { items, more } = await itemsBelow(world, owner, below, count);
    const last = more ? items.at(-1) : undefined;
    const next = last === undefined ? "" : inboxIdOf(messageNameOf(last));
    return answer(items, next, await removedOf(world, owner, own), await unread(world, owner));
  }
  if (below === null) return await everything(world, owner, own, cache);
  const { items } = await itemsBelow(world, owner, below, Number.POSITIVE_INFINITY);
  return answer(items, "", await removedOf(world, owner, own), await unread(world, owner));
}

async function everything(world: World, owner: Owner, own: boolean, cache: InboxCache): Promise<Ready> {
  const { inbox } = world.engine;
  const key = `${owner.environmentId} ${owner.shown?.via ?? ""} ${own} ${owner.userId}`;
  const stamp = await inbox.stamp(owner.environmentId, owner.userId);
  const kept = cache.find(key, stamp, world.clock.now());
  if (kept !== null) return new Ready(kept);
  const items = await allItems(world, owner);
  const removed = await removedOf(world, owner, own);
  const unreadItems = items.filter((item) => statusOf(item) === 1).length;
  const body = Buffer.from(envelope(answer(items, "", removed, unreadItems)));
  if ((await inbox.stamp(owner.environmentId, owner.userId)) === stamp) {
    cache.keep(key, { stamp, until: Math.min(removed.until, firstExpiry(items)), body });
  }
  return new Ready(body);
}

function answer(items: readonly InboxBrief[], next: string, removed: Removed, unreadItems: number): Json {
  const messages = items.map((item) => ({ ...messageView(item) }));
  return { messages, next, deleted: removed.inboxIds, new_inbox: unreadItems };
}

function firstExpiry(items: readonly InboxBrief[]): Millis {
  let first = Number.POSITIVE_INFINITY;
  for (const { expiresAt } of items) if (expiresAt !== null && expiresAt < first) first = expiresAt;
  return first;
}

/** A code that is no text is as good as none: web clients send back what they kept, whatever that is. */
function lastCodeOf(call: Call): string | undefined {
  const value = call.any("last_code");
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Over the whole inbox, whatever page is asked for. */
function unread({ engine, clock }: World, owner: Owner): Promise<number> {
  const filter = { ...itemsOf(owner), archived: false, read: false, interacted: false };
  return engine.inbox.count(owner.environmentId, filter, clock.now());
}

async function inboxStatus(call: Call, world: World): Promise<null> {
  const code = call.required("inbox_code");
  const status = call.integer("status");
  if (status === undefined) throw invalid("status", "Required");
  if (status !== 1 && status !== 2 && status !== 3 && status !== 4) {
    throw invalid("status", `Expected 1, 2, 3 or 4, got ${status}`);
  }
  const owner = await ownerOf(call, world);
  // Until they have synced, clients call what came by push by codes of their own: nothing is wrong with that.
  const item = await findByCode(world, owner, code);
  if (item !== null) await raise(world, owner, item, status);
  return null;
}
