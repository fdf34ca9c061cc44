/** What clients report of pushes and of themselves. */
import type { Call } from "./call.ts";
import { nameOf } from "./ids.ts";
import { findByName, ownerOf, raise } from "./inbox-items.ts";
import { FACADE } from "./message-views.ts";
import type { Method, World } from "./pushwoosh.ts";

const NOTHING = (): null => null;

export const eventMethods: readonly Method[] = [
  { name: "pushStat", access: "device", run: (call, world) => heard(call, world, "opened") },
  { name: "messageDeliveryEvent", access: "device", run: (call, world) => heard(call, world, "delivered") },
  {
    name: "postEvent",
    access: "device",
    run: (call) => {
      call.required("event");
      return null;
    },
  },
  { name: "pageVisit", access: "device", run: NOTHING },
  { name: "setPurchase", access: "device", run: NOTHING },
];

/**
 * A push that arrived, or was opened: the first thing a phone says, and for a push that is also in the inbox the only
 * one. What is unknown or another user's is let pass: a client must not repeat it.
 */
async function heard(call: Call, world: World, signal: "delivered" | "opened"): Promise<null> {
  const hash = call.text("hash");
  const name = hash === undefined ? null : nameOf(hash);
  if (name === null) return null;
  const { engine } = world;
  const owner = await ownerOf(call, world);
  const item = await findByName(world, owner, name);
  if (item !== null && signal === "opened") await raise(world, owner, item, 3);
  if (name.kind === "item") return null;
  const messageId = await engine.messages.findByUser(owner.environmentId, name.id, owner.userId);
  if (messageId === null) return null;
  const deliveries = await engine.messages.listDeliveries(owner.environmentId, messageId);
  for (const { channel, id, seenAt } of deliveries) {
    if (channel !== "push" || (signal === "opened" && seenAt !== null)) continue;
    await engine.inbox.track(owner.environmentId, id, signal, null, { via: FACADE, origin: null });
  }
  return null;
}
