/**
 * One person under two names: what was got under one goes to the other.
 *
 * A user here need not be stored anywhere; who has a profile was made through another facade, and whoever may report
 * for a device may not do away with them. Only the holder of a secret key may.
 */
import type { EnvironmentId, InboxItem, Message, MessageId } from "../../engine/model.ts";
import type { Page } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import { raise } from "./inbox-items.ts";
import { messageNameOf, statusOf } from "./message-views.ts";
import type { World } from "./pushwoosh.ts";

const PAGE = 200;
/** Of messages that went to both, so many are looked at. */
const MAX_COMPARED = 1_000;

/** Whether a user has a profile, and so is more than a name that a device gave. */
export async function hasProfile({ engine }: World, environmentId: EnvironmentId, userId: string): Promise<boolean> {
  const user = await engine.directory.readUser(environmentId, userId);
  return user !== null && Object.keys(user.profile).length > 0;
}

/**
 * What a device has got before its user was known; to be moved before the device is given to that user, so that what
 * fails half-way is done again with the next call. Of an id that others use as well, nothing is moved.
 */
export async function moveAnonymous(
  world: World,
  environmentId: EnvironmentId,
  hwid: string,
  userId: string,
): Promise<void> {
  const devices = await world.engine.devices.ofUser(environmentId, hwid, 2);
  if (devices.some(({ id }) => id !== hwid) || (await hasProfile(world, environmentId, hwid))) return;
  await moveUser(world, environmentId, hwid, userId);
}

/**
 * Moves all that one user has got to another; the first is then gone. Of a message that both got, the higher status
 * counts: what one of them has deleted stays deleted.
 */
export async function moveUser(world: World, environmentId: EnvironmentId, from: string, into: string): Promise<void> {
  const { engine, clock } = world;
  const newest = await engine.messages.list(environmentId, { recipient: from, archived: true }, { limit: 1 });
  if (newest.items.length === 0) return;
  const twice = await messagesOfBoth(world, environmentId, from, into);
  for (const id of [from, into]) {
    await engine.directory.modifyUser(environmentId, id, clock.now(), (profile) => profile ?? {});
  }
  try {
    await engine.workflows.parties.mergeUsers(environmentId, into, from, clock.now());
  } catch (error) {
    // Another call of the same client was quicker.
    if (error instanceof Refusal && error.code === "not_found") return;
    throw error;
  }
  await engine.recalls.move(environmentId, from, into);
  for (const [theirs, ours] of twice) await keepHigher(world, environmentId, into, theirs, ours);
}

async function messagesOfBoth(
  { engine }: World,
  environmentId: EnvironmentId,
  from: string,
  into: string,
): Promise<readonly (readonly [MessageId, MessageId])[]> {
  const pairs: [MessageId, MessageId][] = [];
  let after: string | null = null;
  for (let seen = 0; seen < MAX_COMPARED; seen += PAGE) {
    const page: Page<Message> = await engine.messages.list(
      environmentId,
      { recipient: from, archived: true },
      { after, limit: PAGE },
    );
    for (const message of page.items) {
      const other = await engine.messages.findByUser(environmentId, message.requestId, into);
      if (other !== null) pairs.push([message.id, other]);
    }
    after = page.next;
    if (after === null) break;
  }
  return pairs;
}

/** Both items belong to the user by now; one of them stays. */
async function keepHigher(
  world: World,
  environmentId: EnvironmentId,
  userId: string,
  theirs: MessageId,
  ours: MessageId,
): Promise<void> {
  const items = await world.engine.inbox.itemsOf(environmentId, [theirs, ours]);
  const [moved, kept] = [items.find((one) => one.messageId === theirs), items.find((one) => one.messageId === ours)];
  if (moved === undefined || kept === undefined || messageNameOf(kept).kind !== "request") return;
  const owner = { environmentId, userId };
  const deleted = [moved, kept].some((item) => item.deletedAt !== null);
  if (moved.deletedAt === null) await raise(world, owner, moved, 4);
  if (deleted && kept.deletedAt === null) await raise(world, owner, kept, 4);
  else if (!deleted) await raise(world, owner, kept, statusOf(moved satisfies InboxItem));
}
