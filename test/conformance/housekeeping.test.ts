import assert from "node:assert/strict";
import { test } from "node:test";
import type { Message } from "../../src/engine/model.ts";
import type { Retention, Store } from "../../src/engine/ports.ts";
import type { Database } from "../../src/storage/database.ts";
import { text } from "../../src/storage/text.ts";
import { forEachDatabase } from "./databases.ts";
import {
  accepting,
  aDelivery,
  aMessage,
  anItem,
  aRequest,
  inboxSend,
  mailSend,
  newEnvironmentId,
  progressOf,
  T0,
} from "./fixtures.ts";

const DAY = 86_400_000;
const KEEP: Retention = { messagesMs: null, inboxMs: null, capturedMs: null };
const ANN = { userId: "ann" };

forEachDatabase((name, open, openRaw) => {
  async function sweepAll(store: Store, now: number, retention: Retention, limit = 100): Promise<number> {
    let total = 0;
    for (let rounds = 0; ; rounds++) {
      assert.ok(rounds < 1000, "sweeping comes to an end");
      const rows = await store.housekeeping.sweep(now, retention, limit);
      if (rows === 0) return total;
      total += rows;
    }
  }

  /** The suite's store, without what other tests left to be thrown away. */
  async function emptied(): Promise<Store> {
    const store = await open();
    await sweepAll(store, T0 + 10_000 * DAY, { messagesMs: 0, inboxMs: 0, capturedMs: 0 });
    return store;
  }

  /** Rows that name the environment, in every table of the pipeline. */
  async function rowsLeft(db: Database, env: string): Promise<{ [table: string]: number }> {
    const tables = ["requests", "messages", "message_tags", "message_events", "deliveries", "attempts"];
    return await db.read(function* () {
      const left: { [table: string]: number } = {};
      for (const table of tables) {
        const { rows } = yield text(db.dialect, `select count(*) as n from ${table} where env_id = ?`, [env]);
        left[table] = rows[0]?.n as number;
      }
      return left;
    });
  }

  const NONE = { requests: 0, messages: 0, message_tags: 0, message_events: 0, deliveries: 0, attempts: 0 };

  test(`${name}: a message past its retention goes with everything of it, a younger one stays`, async () => {
    const [store, db] = [await emptied(), await openRaw()];
    const [env, other] = [newEnvironmentId(), newEnvironmentId()];
    const make = (e: typeof env, at: number) =>
      mailSend(e, { at, message: { tags: ["x", "x", "ü"] }, delivery: { state: "failed" } });
    const [old, young] = [make(env, T0), make(other, T0 + DAY)];
    await store.pipeline.accept([old, young]);
    for (const { delivery } of [old, young]) {
      await store.inbox.progress(delivery.environmentId, [progressOf(delivery, "opened", "opened", T0)]);
    }
    const retention = { ...KEEP, messagesMs: 30 * DAY };
    assert.equal(await sweepAll(store, T0 + 30 * DAY, retention), 0);
    assert.equal(await sweepAll(store, T0 + 30 * DAY + 1, retention), 2);
    assert.deepEqual(await rowsLeft(db, env), NONE);
    assert.deepEqual(await rowsLeft(db, other), {
      ...NONE,
      requests: 1,
      messages: 1,
      message_tags: 2,
      message_events: 1,
      deliveries: 1,
    });
  });

  test(`${name}: a message stays as long as its inbox item does, and a request as long as its last message`, async () => {
    const [store, db] = [await emptied(), await openRaw()];
    const env = newEnvironmentId();
    const request = aRequest(env);
    const [mail, both] = [aMessage(request), aMessage(request)] as [Message, Message];
    const item = anItem(both);
    await store.pipeline.accept([
      accepting(request, [
        { message: mail, deliveries: [aDelivery(mail, { state: "sent" })] },
        { message: both, deliveries: [aDelivery(both, { state: "sent" }), item] },
      ]),
    ]);
    const messagesOnly = { ...KEEP, messagesMs: DAY };
    assert.equal(await sweepAll(store, T0 + 2 * DAY, messagesOnly), 1);
    assert.deepEqual(await rowsLeft(db, env), { ...NONE, requests: 1, messages: 1, deliveries: 2 });
    assert.equal(await store.inbox.count(env, ANN, T0), 1);
    assert.equal(await sweepAll(store, T0 + 2 * DAY, { ...messagesOnly, inboxMs: 5 * DAY }), 0);
    // The item, the message and the request.
    assert.equal(await sweepAll(store, T0 + 6 * DAY, { ...messagesOnly, inboxMs: 5 * DAY }), 3);
    assert.deepEqual(await rowsLeft(db, env), NONE);
    assert.equal(await store.inbox.count(env, ANN, T0), 0);
  });

  test(`${name}: an item that its user deleted, or that expired, keeps no message`, async () => {
    const [store, db] = [await emptied(), await openRaw()];
    const env = newEnvironmentId();
    const [deleted, expired, kept] = [
      inboxSend(env, "ann"),
      inboxSend(env, "ann", { item: { expiresAt: T0 + 1 } }),
      inboxSend(env, "ann"),
    ];
    await store.pipeline.accept([deleted, expired, kept]);
    await store.inbox.change(
      env,
      "ann",
      [{ deliveryId: deleted.item.id, field: "deleted", value: true, again: "keep" }],
      T0,
      () => [],
    );
    await store.inbox.expire(T0 + 1, 100);
    await sweepAll(store, T0 + 2 * DAY, { ...KEEP, messagesMs: DAY });
    assert.deepEqual(await rowsLeft(db, env), { ...NONE, requests: 1, messages: 1, deliveries: 1 });
    assert.equal((await store.messages.read(env, kept.message.id))?.deliveries.length, 1);
  });

  test(`${name}: an item past its retention leaves the inbox, though its message is kept`, async () => {
    const store = await emptied();
    const env = newEnvironmentId();
    const [old, young] = [inboxSend(env, "ann"), inboxSend(env, "ann", { at: T0 + 3 * DAY })];
    await store.pipeline.accept([old, young]);
    await sweepAll(store, T0 + 3 * DAY, { ...KEEP, inboxMs: DAY });
    assert.equal(await store.inbox.count(env, ANN, T0), 1);
    assert.deepEqual((await store.inbox.list(env, ANN, T0, { limit: 10 })).items, [young.item]);
    assert.deepEqual((await store.messages.read(env, old.message.id))?.message, old.message);
  });

  test(`${name}: what is still to be done is kept however old it is`, async () => {
    const [store, db] = [await emptied(), await openRaw()];
    const env = newEnvironmentId();
    const delayed = mailSend(env, { message: { state: "delayed", plannedAt: null, dueAt: T0 + 100 * DAY } });
    const expanding = accepting(aRequest(env, { state: "expanding" }), []);
    await store.pipeline.accept([
      { ...delayed, planned: [{ message: delayed.message, deliveries: [] }] },
      mailSend(env),
      expanding,
    ]);
    assert.equal(await sweepAll(store, T0 + 60 * DAY, { ...KEEP, messagesMs: DAY }), 0);
    assert.deepEqual(await rowsLeft(db, env), { ...NONE, requests: 3, messages: 2, deliveries: 1 });
  });

  test(`${name}: a request that never had a message goes by its own age`, async () => {
    const [store, db] = [await emptied(), await openRaw()];
    const env = newEnvironmentId();
    await store.pipeline.accept([
      accepting(aRequest(env), []),
      accepting(aRequest(env, { createdAt: T0 + 3 * DAY }), []),
    ]);
    await sweepAll(store, T0 + 3 * DAY, { ...KEEP, messagesMs: DAY });
    assert.deepEqual(await rowsLeft(db, env), { ...NONE, requests: 1 });
  });

  test(`${name}: a request whose messages went while it was expanding goes once it is expanded`, async () => {
    const [store, db] = [await emptied(), await openRaw()];
    const env = newEnvironmentId();
    const request = aRequest(env, { state: "expanding" });
    const message = aMessage(request);
    await store.pipeline.accept([accepting(request, [])]);
    const [held] = (await store.pipeline.claimRequests(T0, 1000, T0 + 1)).filter((r) => r.id === request.id);
    assert.ok(held);
    const lease = { held: T0 + 1, next: T0 + 2 };
    await store.pipeline.commitPage(held, lease, "2", [
      { message, deliveries: [aDelivery(message, { state: "sent" })] },
    ]);
    const retention = { ...KEEP, messagesMs: DAY };
    await sweepAll(store, T0 + 3 * DAY, retention);
    assert.deepEqual(await rowsLeft(db, env), { ...NONE, requests: 1 });
    await store.pipeline.commitPage({ ...held, cursor: "2" }, { held: T0 + 2, next: T0 + 3 }, null, []);
    await sweepAll(store, T0 + 3 * DAY, retention);
    assert.deepEqual(await rowsLeft(db, env), NONE);
  });

  test(`${name}: goes in bounded batches to the end; keeping for ever keeps`, async () => {
    const [store, db] = [await emptied(), await openRaw()];
    const env = newEnvironmentId();
    await store.pipeline.accept(Array.from({ length: 250 }, () => mailSend(env, { delivery: { state: "sent" } })));
    assert.equal(await store.housekeeping.sweep(T0 + 1000 * DAY, KEEP, 100), 0);
    const first = await store.housekeeping.sweep(T0 + 2 * DAY, { ...KEEP, messagesMs: DAY }, 100);
    assert.ok(first > 0 && first <= 200);
    assert.equal((await rowsLeft(db, env)).messages, 150);
    await sweepAll(store, T0 + 2 * DAY, { ...KEEP, messagesMs: DAY });
    assert.deepEqual(await rowsLeft(db, env), NONE);
  });

  test(`${name}: idempotency keys go at their end, captured payloads at their age`, async () => {
    const store = await emptied();
    const env = newEnvironmentId();
    await store.idempotency.begin(env, "s", "short", T0, T0 + 10, 1000);
    await store.idempotency.begin(env, "s", "long", T0, T0 + DAY, DAY);
    const capture = (at: number) => ({
      id: `cap_${at}` as const,
      environmentId: env,
      messageId: "msg_1" as const,
      deliveryId: "dlv_1" as const,
      channel: "email" as const,
      provider: "capture-email",
      address: {},
      payload: {},
      at,
    });
    await store.captured.add([capture(T0), capture(T0 + DAY)]);
    assert.equal(await sweepAll(store, T0 + 10, { ...KEEP, capturedMs: DAY }), 1);
    assert.equal((await store.idempotency.begin(env, "s", "long", T0 + 11, T0 + DAY, DAY)).kind, "busy");
    assert.equal(await sweepAll(store, T0 + DAY + 1, { ...KEEP, capturedMs: DAY }), 2);
    const left = await store.captured.list(env, {}, { limit: 10 });
    assert.deepEqual(
      left.items.map((c) => c.at),
      [T0 + DAY],
    );
  });
});
