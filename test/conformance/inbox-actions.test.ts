import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryBus } from "../../src/bus/memory.ts";
import { inboxActions } from "../../src/engine/inbox.ts";
import type { Delivery, EnvironmentId, MessageId } from "../../src/engine/model.ts";
import type { Store } from "../../src/engine/ports.ts";
import { FakeClock } from "../../src/lib/clock.ts";
import { forEachDatabase } from "./databases.ts";
import { accepting, aDelivery, aMessage, anItem, aRequest, inboxSend, newEnvironmentId, T0 } from "./fixtures.ts";

const BY = { via: "courier", origin: null };

/** The actions over a real store, and the names of the events they tell. */
function actionsOn(store: Store) {
  const clock = new FakeClock(T0);
  const bus = memoryBus();
  const told: string[] = [];
  bus.onInboxEvents((events) => {
    for (const event of events) if (event.kind === "changed") told.push(`${event.field} ${event.value}`);
  });
  return { inbox: inboxActions(store, bus, clock), clock, told };
}

async function historyOf(store: Store, env: EnvironmentId, messageId: MessageId): Promise<string[]> {
  const record = await store.messages.read(env, messageId);
  return record?.events.map(({ kind }) => kind) ?? [];
}

forEachDatabase((name, open) => {
  // A page that was open when its messages expired could mark them: other tabs were told of rows that no list holds.
  test(`${name}: an expired item is unknown to its user, and what happens to it is told to nobody`, async () => {
    const env = newEnvironmentId();
    const store = await open();
    const { message, item, ...acceptance } = inboxSend(env, "ann", { item: { expiresAt: T0 + 10 } });
    await store.pipeline.accept([acceptance]);
    const { inbox, clock, told } = actionsOn(store);
    assert.equal((await inbox.readByMessage(env, "ann", message.id))?.id, item.id);
    clock.advance(10);
    for (const ended of [0, 1]) {
      if (ended === 1) await store.inbox.expire(clock.now(), 10);
      assert.equal(await inbox.readByMessage(env, "ann", message.id), null);
      assert.equal(await inbox.mark(env, "ann", message.id, "read", true, BY), null);
      // The address in the message still says that it was clicked.
      assert.equal(await inbox.track(env, item.id, "clicked", null, BY), message.id);
      assert.equal(await inbox.track(env, item.id, "opened", null, BY), message.id);
    }
    assert.deepEqual(told, []);
    assert.deepEqual(await historyOf(store, env, message.id), ["clicked", "opened", "clicked"]);
  });

  async function withPush(): Promise<{ store: Store; env: EnvironmentId; messageId: MessageId; push: Delivery }> {
    const env = newEnvironmentId();
    const store = await open();
    const request = aRequest(env);
    const message = aMessage(request);
    const push = aDelivery(message, { channel: "push", provider: "firebase-fcm", state: "sent", sentAt: T0 });
    await store.pipeline.accept([accepting(request, [{ message, deliveries: [push, anItem(message)] }])]);
    return { store, env, messageId: message.id, push };
  }

  // Phones tell READ with the tracking address of the push; the badge in the browser stayed.
  test(`${name}: what is read or unread as a push is so in the inbox`, async () => {
    const { store, env, messageId, push } = await withPush();
    const { inbox, told } = actionsOn(store);
    const unread = () => store.inbox.count(env, { userId: "ann", read: false }, T0);
    await inbox.track(env, push.id, "read", null, BY);
    assert.deepEqual([await unread(), told.splice(0)], [0, ["read true"]]);
    await inbox.mark(env, "ann", messageId, "read", false, BY);
    await inbox.track(env, push.id, "read", null, BY);
    assert.deepEqual([await unread(), told.splice(0)], [0, ["read false", "read true"]]);
    await inbox.track(env, push.id, "unread", null, BY);
    await inbox.track(env, push.id, "unread", null, BY);
    assert.deepEqual([await unread(), told.splice(0)], [1, ["read false"]]);
    // A push that was opened is no reading of the inbox.
    await inbox.track(env, push.id, "opened", null, BY);
    assert.deepEqual([await unread(), told], [1, []]);
  });

  // Every tab tells of every message it hears, and the address needs no credential: histories grew without end.
  test(`${name}: a delivery arrives once, however often that is told`, async () => {
    const { store, env, messageId, push } = await withPush();
    const { inbox } = actionsOn(store);
    const item = await inbox.readByMessage(env, "ann", messageId);
    assert.equal(await inbox.track(env, item?.id ?? "dlv_", "delivered", null, BY), messageId);
    assert.deepEqual(await historyOf(store, env, messageId), []);
    for (let i = 0; i < 3; i++) assert.equal(await inbox.track(env, push.id, "delivered", null, BY), messageId);
    assert.deepEqual(await historyOf(store, env, messageId), ["delivered"]);
  });
});
