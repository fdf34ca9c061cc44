/** A database that an earlier release has written is brought up to date with what is in it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { Client } from "pg";
import type { Dialect } from "../../src/storage/database.ts";
import { stepsFrom } from "../../src/storage/migrations.ts";
import { openStore } from "../../src/storage/store.ts";
import { DIALECTS, newPlace, type Place } from "../conformance/databases.ts";
import { aDelivery, aMessage, aRequest, inboxSend, newEnvironmentId, progressOf, T0 } from "../conformance/fixtures.ts";
import {
  anAppMessage,
  claimedOf,
  newAppId,
  newEndpointId,
  publishing,
  toEndpoint,
} from "../conformance/webhook-fixtures.ts";

/** Columns of a delivery in the first release that have no default and are not null. */
const COLUMNS = `id, env_id, message_id, tenant_id, channel, provider, provider_id, leaf, state, due_at, ready_at, attempts,
  timeout_ms, address, content, created_at, tags, data, via_tenant, request_id`;

/** Makes the tables of an earlier version, with these statements run on them. */
async function earlier(version: number, dialect: Dialect, place: Place, more: readonly string[]): Promise<void> {
  const steps = stepsFrom(0, dialect).slice(0, -stepsFrom(version, dialect).length);
  if (dialect === "sqlite") {
    const db = new DatabaseSync(join(place.dataDir, "carillon.db"));
    for (const statement of [...steps, ...more, `pragma user_version = ${version}`]) db.exec(statement);
    return db.close();
  }
  const client = new Client({ connectionString: place.url as string });
  await client.connect();
  const table = "create table schema_version (version bigint not null)";
  const number = `insert into schema_version values (${version})`;
  for (const statement of [...steps, ...more, table, number]) await client.query(statement);
  await client.end();
}

for (const dialect of DIALECTS) {
  test(`${dialect}: what the first release left waiting is delivered, beside webhooks`, async () => {
    const { place, remove } = await newPlace(dialect);
    const env = newEnvironmentId();
    const d = aDelivery(aMessage(aRequest(env)));
    const values = `'${d.id}', '${env}', '${d.messageId}', '', 'email', 'smtp', 'prv_0', '', 'pending', ${T0}, ${T0}, 0,
      60000, '{}', '{}', ${T0}, '[]', '{}', 0, '${d.requestId}'`;
    await earlier(1, dialect, place, [`insert into deliveries (${COLUMNS}) values (${values})`]);
    const store = await openStore(place);
    try {
      const [claimed, ...others] = await store.pipeline.claimDeliveries(T0, 10, T0 + 1000);
      assert.deepEqual([claimed?.id, claimed?.app, others.length], [d.id, undefined, 0]);
      const message = anAppMessage(env, newAppId());
      const delivery = toEndpoint(message, newEndpointId());
      assert.deepEqual(await store.appMessages.accept([publishing(message, [delivery])]), [{ kind: "accepted" }]);
      assert.equal((await claimedOf(store, delivery, T0, T0 + 1000)).id, delivery.id);
    } finally {
      await store.close();
      await remove();
    }
  });

  test(`${dialect}: items of the second release were sent through Courier, and nobody has to say so`, async () => {
    const { place, remove } = await newPlace(dialect);
    const { item } = inboxSend(newEnvironmentId(), "ann");
    const env = item.environmentId;
    await earlier(2, dialect, place, [
      `insert into deliveries (id, env_id, message_id, user_id, tenant_id, channel, provider, provider_id, leaf, state, due_at,
          attempts, timeout_ms, address, content, created_at, bucket, tags, data, via_tenant, request_id)
        values ('${item.id}', '${env}', '${item.messageId}', 'ann', '', 'inbox', 'courier', 'prv_0', '', 'delivered', ${T0},
          0, 60000, '{}', '{}', ${T0}, 0, '[]', '{}', 0, '${item.requestId}')`,
      `insert into inbox_counts (env_id, user_id, tenant_id, bucket, n) values ('${env}', 'ann', '', 0, 1)`,
    ]);
    const store = await openStore(place);
    try {
      const found = await store.messages.readDelivery(env, item.id);
      assert.deepEqual([found?.via, found?.origin], ["courier", undefined]);
      assert.equal(await store.inbox.count(env, { userId: "ann", via: "courier", read: false }, T0), 1);
    } finally {
      await store.close();
      await remove();
    }
  });

  test(`${dialect}: what the second release kept of messages is kept, and more can happen to them`, async () => {
    const { place, remove } = await newPlace(dialect);
    const send = inboxSend(newEnvironmentId(), "ann");
    const { message, item, request } = send;
    const [env, id] = [message.environmentId, message.id];
    await earlier(2, dialect, place, [
      `insert into requests (env_id, id, state, spec, created_at, has_messages)
        values ('${env}', '${request.id}', 'expanded', '${JSON.stringify(request.spec)}', ${T0}, 1)`,
      `insert into messages (env_id, id, request_id, state, recipient, tenant_id, entry, via_tenant, event, template_id,
          tags, created_at, deadline_at, in_inbox, to_endpoints)
        values ('${env}', '${id}', '${request.id}', 'delivered', 'ann', '', 0, 0, 'parcel', '', '[]', ${T0}, ${T0}, 0, 0)`,
      `insert into message_events (message_id, id, env_id, kind, happened_at)
        values ('${id}', 'evt_1', '${env}', 'bounced', ${T0})`,
    ]);
    const store = await openStore(place);
    try {
      await store.inbox.progress(env, [
        progressOf(item, "seen", null, T0 + 1),
        progressOf(item, "unseen", null, T0 + 2),
      ]);
      await store.inbox.progress(env, [progressOf(item, "interacted", null, T0 + 3)]);
      await assert.rejects(store.inbox.progress(env, [progressOf(item, "other" as "seen", null, T0)]));
      const found = await store.messages.read(env, id);
      assert.deepEqual(
        found?.events.map(({ kind }) => kind),
        ["bounced", "seen", "unseen", "interacted"],
      );
      assert.equal(found?.message.run, undefined);
      const runs = await store.runs.list(env, {}, T0, { limit: 10 });
      assert.deepEqual(runs.items, []);
    } finally {
      await store.close();
      await remove();
    }
  });

  test(`${dialect}: what workflows of the third release sent is listed, wherever it now lies`, async () => {
    const { place, remove } = await newPlace(dialect);
    const { request, message, item } = inboxSend(newEnvironmentId(), "ann");
    const env = item.environmentId;
    const mail = aDelivery(message);
    const run = '{"w":"welcome","v":"wfv_1","r":"$users/ann","l":[]}';
    const delivery = (id: string, channel: string, bucket: number | null): string =>
      `insert into deliveries (id, env_id, message_id, user_id, tenant_id, channel, provider, provider_id, leaf, state, due_at,
          attempts, timeout_ms, address, content, created_at, bucket, tags, data, via_tenant, request_id, origin, via)
        values ('${id}', '${env}', '${message.id}', 'ann', '', '${channel}', 'x', 'prv_0', '', 'delivered', ${T0}, 0, 60000,
          '{}', '{}', ${T0}, ${bucket}, '[]', '{}', 0, '${request.id}', '{"ref":"s","channelId":"c","versionId":"wfv_1"}', 'knock')`;
    await earlier(3, dialect, place, [
      `insert into messages (env_id, id, request_id, state, user_id, recipient, tenant_id, entry, via_tenant, event,
          template_id, tags, created_at, deadline_at, in_inbox, to_endpoints, run, run_status)
        values ('${env}', '${message.id}', '${request.id}', 'delivered', 'ann', 'ann', '', 0, 0, 'welcome', '', '[]', ${T0},
          ${T0}, 1, 0, '${run}', 'completed')`,
      delivery(item.id, "inbox", 0),
      delivery(mail.id, "email", null),
      `insert into inbox_counts (env_id, user_id, tenant_id, bucket, n) values ('${env}', 'ann', '', 0, 1)`,
    ]);
    const store = await openStore(place);
    try {
      const toAnn = { recipient: { collection: "$users", id: "ann" } };
      const { items } = await store.messages.deliveriesPage(env, toAnn, { limit: 10 });
      assert.deepEqual(items.map(({ id }) => id).sort(), [item.id, mail.id].sort());
      const runs = await store.runs.list(env, {}, T0, { limit: 10 });
      assert.deepEqual(
        runs.items.map(({ id }) => id),
        [message.id],
      );
    } finally {
      await store.close();
      await remove();
    }
  });
}
