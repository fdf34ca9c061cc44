import assert from "node:assert/strict";
import { test } from "node:test";
import type { Delivery } from "../../src/engine/model.ts";
import type { Retention, Store } from "../../src/engine/ports.ts";
import type { AppMessage } from "../../src/engine/webhooks/model.ts";
import type { Database } from "../../src/storage/database.ts";
import { text } from "../../src/storage/text.ts";
import { forEachDatabase } from "./databases.ts";
import { newEnvironmentId, T0 } from "./fixtures.ts";
import {
  anAppMessage,
  aTask,
  claimedOf,
  DAY,
  manually,
  newAppId,
  newEndpointId,
  publishing,
  toEndpoint,
  tried,
} from "./webhook-fixtures.ts";

const KEEP: Retention = { messagesMs: null, inboxMs: null, capturedMs: null };

forEachDatabase((name, open, openRaw) => {
  async function sweepAll(store: Store, now: number, retention: Retention, limit = 100): Promise<number> {
    let total = 0;
    for (let rounds = 0; ; rounds++) {
      assert.ok(rounds < 1000, "sweeping comes to an end");
      const rows = await store.housekeeping.sweep(now, retention, limit);
      assert.ok(rows <= limit);
      if (rows === 0) return total;
      total += rows;
    }
  }

  /** The suite's store, without what other tests left to be thrown away. */
  async function emptied(): Promise<Store> {
    const store = await open();
    await sweepAll(store, T0 + 10_000 * DAY, { ...KEEP, messagesMs: 0 });
    return store;
  }

  async function rowsLeft(db: Database, env: string): Promise<{ [table: string]: number }> {
    return await db.read(function* () {
      const left: { [table: string]: number } = {};
      for (const table of ["app_messages", "deliveries", "endpoint_attempts"]) {
        const { rows } = yield text(db.dialect, `select count(*) as n from ${table} where env_id = ?`, [env]);
        left[table] = rows[0]?.n as number;
      }
      return left;
    });
  }

  /** A message that was sent to one endpoint, by hand to it again, and not to another. */
  async function handled(store: Store, over: Partial<AppMessage> = {}): Promise<AppMessage> {
    const message = anAppMessage(newEnvironmentId(), newAppId(), over);
    const [a, b] = [newEndpointId(), newEndpointId()];
    const deliveries = [toEndpoint(message, a), toEndpoint(message, b)] as [Delivery, Delivery];
    await store.appMessages.accept([publishing(message, deliveries)]);
    const again = manually(message, a);
    const held = message.createdAt * 2;
    await store.pipeline.settle([tried(await claimedOf(store, deliveries[0], held / 2, held), "sent")]);
    await store.appMessages.addManual([again]);
    await store.pipeline.settle([tried(await claimedOf(store, again, held / 2, held), "sent")]);
    await store.pipeline.settle([tried(await claimedOf(store, deliveries[1], held / 2, held), "failed")]);
    return message;
  }

  test(`${name}: an application's message past its retention goes with its deliveries and attempts`, async () => {
    const [store, db] = [await emptied(), await openRaw()];
    const old = await handled(store);
    const young = await handled(store, { createdAt: T0 + DAY });
    const all = { app_messages: 1, deliveries: 3, endpoint_attempts: 3 };
    const retention = { ...KEEP, messagesMs: 30 * DAY };
    assert.equal(await sweepAll(store, T0 + 30 * DAY, retention), 0);
    assert.equal(await sweepAll(store, T0 + 30 * DAY + 1, retention), 1);
    assert.deepEqual(await rowsLeft(db, old.environmentId), { app_messages: 0, deliveries: 0, endpoint_attempts: 0 });
    assert.deepEqual(await rowsLeft(db, young.environmentId), all);
    // Without an end, nothing but content goes.
    assert.equal(await sweepAll(store, T0 + 1000 * DAY, KEEP), 1);
    assert.deepEqual(await rowsLeft(db, young.environmentId), all);
  });

  test(`${name}: a message that an endpoint still waits for stays`, async () => {
    const store = await emptied();
    const message = anAppMessage(newEnvironmentId(), newAppId(), { payloadUntil: T0 + 2000 * DAY });
    const delivery = toEndpoint(message, newEndpointId());
    await store.appMessages.accept([publishing(message, [delivery])]);
    const retention = { ...KEEP, messagesMs: DAY };
    assert.equal(await sweepAll(store, T0 + 100 * DAY, retention), 0);
    await store.pipeline.settle([tried(await claimedOf(store, delivery, T0, T0 * 2), "failed")]);
    assert.equal(await sweepAll(store, T0 + 100 * DAY, retention), 1);
  });

  test(`${name}: tasks go 90 days after they ended; running ones stay`, async () => {
    const store = await emptied();
    const env = newEnvironmentId();
    const at = (updatedAt: number) => ({ createdAt: T0, updatedAt });
    const ended = aTask(env, { ...at(T0), state: "finished" });
    const later = aTask(env, { ...at(T0 + DAY), state: "failed" });
    const running = aTask(env, at(T0));
    for (const task of [ended, later, running]) await store.tasks.create(task);
    assert.equal(await sweepAll(store, T0 + 90 * DAY, KEEP), 0);
    assert.equal(await sweepAll(store, T0 + 90 * DAY + 1, KEEP), 1);
    assert.equal(await store.tasks.read(env, ended.id), null);
    assert.equal(await sweepAll(store, T0 + 1000 * DAY, KEEP), 1);
    assert.deepEqual(await store.tasks.read(env, running.id), running);
  });

  test(`${name}: content is swept when its time is over, in bounded batches`, async () => {
    const store = await emptied();
    const [env, app] = [newEnvironmentId(), newAppId()];
    const messages = Array.from({ length: 25 }, () => anAppMessage(env, app, { payloadUntil: T0 + DAY }));
    await store.appMessages.accept(messages.map((message) => publishing(message)));
    assert.equal(await sweepAll(store, T0 + DAY - 1, KEEP, 10), 0);
    assert.equal(await sweepAll(store, T0 + DAY, KEEP, 10), 25);
    for (const { id } of messages) assert.equal((await store.appMessages.read(env, app, id))?.payload, null);
  });
});
