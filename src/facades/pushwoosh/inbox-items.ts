/** Finding a user's items by what clients call them, and moving them on. */
import type { DeliveryMark } from "../../engine/engine.ts";
import type { EnvironmentId, MessageId } from "../../engine/model.ts";
import type { GotItem, InboxBrief, InboxFilter, Page } from "../../engine/ports.ts";
import { shownBy } from "../../http/inbox-visibility.ts";
import { firstIdAt } from "../../lib/ids.ts";
import type { Call } from "./call.ts";
import { inboxIdOf, isOrder, type MessageName, nameOf, timeOfOrder } from "./ids.ts";
import { FACADE, type ItemStatus, messageNameOf, orderOf, statusOf } from "./message-views.ts";
import type { World } from "./pushwoosh.ts";

const PAGE = 1_000;
const LOOKED_AT_ONCE = 100;
/** Orders are given out before their items are made, and of very many at once some are ahead of the clock. */
const AHEAD_MS = 1_000;

export interface Owner {
  readonly environmentId: EnvironmentId;
  readonly userId: string;
  /** Leaves out items that this facade does not show; absent where a message of its own is meant. */
  readonly shown?: Pick<InboxFilter, "via">;
}

/** Whose inbox a call is about. @throws Refusal("invalid") when it names nobody. */
export async function ownerOf(call: Call, world: World): Promise<Owner> {
  const environmentId = call.environment.id;
  const shown = shownBy(FACADE, await world.visibility.of(environmentId));
  return { environmentId, userId: await call.user(world), shown };
}

/** What a filter of this owner's items begins with. */
export function itemsOf({ userId, shown }: Owner): Pick<InboxFilter, "userId" | "via"> {
  return { ...shown, userId };
}

type Found = Pick<InboxBrief, "id" | "requestId" | "content" | "via" | "readAt" | "interactedAt">;

/** All items that are listed, newest first by order, each message once. */
export async function allItems({ engine, clock }: World, owner: Owner): Promise<readonly InboxBrief[]> {
  const items: InboxBrief[] = [];
  const now = clock.now();
  for (let after: string | null = null; ; ) {
    const page: Page<InboxBrief> = await engine.inbox.brief(owner.environmentId, listed(owner), now, {
      after,
      limit: PAGE,
    });
    items.push(...page.items);
    after = page.next;
    if (after === null) return inOrder(items);
  }
}

/** A place in a list: by order, and by name where two processes gave the same one. */
export interface Place {
  readonly order: number;
  /** As `inboxIdOf`. */
  readonly inboxId: string;
}

/**
 * The page behind a place; as few items are looked at as will do. `more` says whether older ones remain.
 * @param below null for the newest.
 */
export async function itemsBelow(
  { engine, clock }: World,
  owner: Owner,
  below: Place | null,
  count: number,
): Promise<{ readonly items: readonly InboxBrief[]; readonly more: boolean }> {
  let found: InboxBrief[] = [];
  const now = clock.now();
  const limit = Math.min(Math.max(count + 1, LOOKED_AT_ONCE), PAGE);
  for (let after: string | null = null; ; ) {
    const page: Page<InboxBrief> = await engine.inbox.brief(owner.environmentId, listed(owner), now, { after, limit });
    found.push(...(below === null ? page.items : page.items.filter((item) => isBelow(item, below))));
    after = page.next;
    if (after === null) break;
    if (found.length <= count) continue;
    found = inOrder(found);
    // An item's order is given out before the item is made: what is still to come lies below this.
    const oldest = page.items.at(-1) as InboxBrief;
    const ahead = firstAfter(oldest);
    if (found.length > count && orderOf(found[count] as InboxBrief) > ahead) break;
  }
  const ordered = inOrder(found);
  return { items: ordered.slice(0, count), more: ordered.length > count };
}

/**
 * Every item that a user has got and that has not expired, whatever became of it, newest message first.
 * @param since leaves out messages with lesser ids.
 */
export async function* everGot(
  { engine, clock }: World,
  { environmentId, userId }: Owner,
  since: MessageId | null = null,
): AsyncGenerator<GotItem, void, undefined> {
  const now = clock.now();
  for (let after: string | null = null; ; ) {
    const page: Page<GotItem> = await engine.inbox.everGot(environmentId, userId, now, { after, limit: PAGE });
    yield* page.items;
    after = page.next;
    if (after === null || (since !== null && after < since)) return;
  }
}

/**
 * The item that a client means by an order or an `inbox_id`.
 * @returns null when the user has no such item, or not any more.
 */
export async function findByCode(world: World, owner: Owner, code: string): Promise<Found | null> {
  const name = nameOf(code);
  if (name !== null) return findByName(world, owner, name);
  return isOrder(code) ? findByOrder(world, owner, Number(code)) : null;
}

export async function findByName({ engine, clock }: World, owner: Owner, name: MessageName): Promise<Found | null> {
  const { environmentId, userId } = owner;
  if (name.kind === "request") {
    const messageId = await engine.messages.findByUser(environmentId, name.id, userId);
    return messageId === null ? null : engine.inbox.readByMessage(environmentId, userId, messageId);
  }
  const item = await engine.messages.readDelivery(environmentId, name.id);
  const isTheirs = item !== null && item.channel === "inbox" && item.userId === userId && item.deletedAt === null;
  if (!isTheirs || (item.expiresAt !== null && item.expiresAt <= clock.now())) return null;
  return messageNameOf(item).kind === "item" && shows(owner, item) ? item : null;
}

/** Where a list goes on behind a message, also behind one that is gone. @returns null for what is not the user's. */
export async function placeOf({ engine }: World, owner: Owner, code: string): Promise<Place | null> {
  const { environmentId, userId } = owner;
  const name = nameOf(code);
  if (name === null) return null;
  const inboxId = inboxIdOf(name);
  if (name.kind === "item") {
    const item = await engine.messages.readDelivery(environmentId, name.id);
    const isTheirs = item !== null && item.channel === "inbox" && item.userId === userId;
    return isTheirs ? { order: orderOf(item), inboxId } : null;
  }
  const messageId = await engine.messages.findByUser(environmentId, name.id, userId);
  if (messageId === null) return null;
  const [item] = await engine.inbox.itemsOf(environmentId, [messageId]);
  return item === undefined ? null : { order: orderOf(item), inboxId };
}

/** From the order's time on upwards: the item is among the first unless it was long in the making. */
async function findByOrder({ engine, clock }: World, owner: Owner, order: number): Promise<Found | null> {
  const now = clock.now();
  let before: string | null = firstIdAt("dlv", timeOfOrder(order) - AHEAD_MS);
  while (before !== null) {
    const page: Page<InboxBrief> = await engine.inbox.brief(owner.environmentId, itemsOf(owner), now, {
      before,
      limit: LOOKED_AT_ONCE,
    });
    const found = page.items.find((item) => orderOf(item) === order);
    if (found !== undefined) return found;
    before = page.next;
  }
  return null;
}

/**
 * Raises an item to a wire status; one that is there already, or beyond, stays as it is. First times are kept, so that
 * of calls which meet only one leaves anything behind.
 */
export async function raise({ engine }: World, owner: Owner, item: Found, status: ItemStatus | 4): Promise<void> {
  const marks = marksTo(item, status);
  if (marks.length === 0) return;
  await engine.inbox.change(owner.environmentId, owner.userId, marks, { via: FACADE, origin: null });
}

/** What raises an item to a wire status. Pure. */
export function marksTo(
  item: Pick<InboxBrief, "id" | "readAt" | "interactedAt">,
  status: ItemStatus | 4,
): readonly DeliveryMark[] {
  if (statusOf(item) >= status) return [];
  const fields =
    status === 4 ? (["deleted"] as const) : status === 3 ? (["interacted", "read"] as const) : ["read" as const];
  return fields.map((field) => ({ deliveryId: item.id, field, value: true, again: "keep" }));
}

function listed(owner: Owner): Pick<InboxFilter, "userId" | "archived" | "via"> {
  return { ...itemsOf(owner), archived: false };
}

/** Whether an item is one that this facade shows. */
export function shows({ shown }: Owner, { via }: Pick<InboxBrief, "via">): boolean {
  return shown?.via === undefined || shown.via === via;
}

function firstAfter(oldest: InboxBrief): number {
  return (oldest.createdAt + AHEAD_MS) * 100;
}

function isBelow(item: InboxBrief, { order, inboxId }: Place): boolean {
  const own = orderOf(item);
  return own < order || (own === order && inboxIdOf(messageNameOf(item)) < inboxId);
}

/**
 * By order; of a message that a user has twice, having been two users when it was sent, the item with the higher status.
 */
function inOrder(items: readonly InboxBrief[]): InboxBrief[] {
  const keyed = items.map((item) => ({ item, order: orderOf(item), inboxId: inboxIdOf(messageNameOf(item)) }));
  keyed.sort((a, b) => b.order - a.order || (a.inboxId < b.inboxId ? 1 : a.inboxId > b.inboxId ? -1 : 0));
  const kept: { readonly item: InboxBrief; readonly inboxId: string }[] = [];
  for (const one of keyed) {
    const last = kept.at(-1);
    if (last?.inboxId !== one.inboxId) kept.push(one);
    else if (statusOf(one.item) > statusOf(last.item)) kept[kept.length - 1] = one;
  }
  return kept.map(({ item }) => item);
}
