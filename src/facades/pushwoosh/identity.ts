/**
 * One person under two names: what was got under one goes to the other.
 *
 * A user here need not be stored anywhere; who has a profile was made through another facade, and whoever may report
 * for a device may not do away with them. Only the holder of a secret key may.
 */
import type { EnvironmentId, MessageId, RequestId } from "../../engine/model.ts";
import { Refusal } from "../../engine/refusal.ts";
import type { Millis } from "../../lib/clock.ts";
import { firstIdAt, timeOf } from "../../lib/ids.ts";
import { everGot, marksTo } from "./inbox-items.ts";
import { FACADE, statusOf } from "./message-views.ts";
import type { World } from "./pushwoosh.ts";

/** How far the clocks of two processes may be apart. */
const CLOCK_SLACK_MS: Millis = 3_600_000;
/** Messages whose items are looked at and changed in one commit. */
const KEPT_AT_ONCE = 100;

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
  for (let i = 0; i < twice.length; i += KEPT_AT_ONCE) {
    await keepHigher(world, environmentId, into, twice.slice(i, i + KEPT_AT_ONCE));
  }
}

/** Of what was sent through this facade, the messages that one call made for both of them. */
async function messagesOfBoth(
  world: World,
  environmentId: EnvironmentId,
  from: string,
  into: string,
): Promise<readonly (readonly [MessageId, MessageId])[]> {
  const theirs = new Map<RequestId, MessageId>();
  let oldest: RequestId | null = null;
  for await (const { via, requestId, messageId } of everGot(world, { environmentId, userId: from })) {
    if (via !== FACADE) continue;
    theirs.set(requestId, messageId);
    if (oldest === null || requestId < oldest) oldest = requestId;
  }
  if (oldest === null) return [];
  // A message is never older than its request.
  const since = firstIdAt("msg", timeOf(oldest) - CLOCK_SLACK_MS);
  const pairs: [MessageId, MessageId][] = [];
  for await (const { requestId, messageId } of everGot(world, { environmentId, userId: into }, since)) {
    const other = theirs.get(requestId);
    if (other !== undefined) pairs.push([other, messageId]);
  }
  return pairs;
}

/** Both items of each pair belong to the user by now; one of them stays. */
async function keepHigher(
  { engine }: World,
  environmentId: EnvironmentId,
  userId: string,
  pairs: readonly (readonly [MessageId, MessageId])[],
): Promise<void> {
  const items = await engine.inbox.itemsOf(environmentId, pairs.flat());
  const byMessage = new Map(items.map((item) => [item.messageId, item]));
  const marks = pairs.flatMap(([theirs, ours]) => {
    const [moved, kept] = [byMessage.get(theirs), byMessage.get(ours)];
    if (moved === undefined || kept === undefined) return [];
    const isDeleted = moved.deletedAt !== null || kept.deletedAt !== null;
    return [
      ...(moved.deletedAt === null ? marksTo(moved, 4) : []),
      ...(kept.deletedAt === null ? marksTo(kept, isDeleted ? 4 : statusOf(moved)) : []),
    ];
  });
  if (marks.length > 0) await engine.inbox.change(environmentId, userId, marks, { via: FACADE, origin: null });
}
