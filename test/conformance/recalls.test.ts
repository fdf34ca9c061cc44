/** The port of taking back what a request sent. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Recall } from "../../src/engine/ports.ts";
import { forEachDatabase } from "./databases.ts";
import { aRequest, inboxSend, newEnvironmentId, T0 } from "./fixtures.ts";

const LEASE = T0 + 1_000;

forEachDatabase((dialect, open) => {
  test(`${dialect}: a recall is begun once, claimed when it is left, and finished`, async () => {
    const store = await open();
    const { recalls } = store;
    const env = newEnvironmentId();
    const send = inboxSend(env, "ann");
    assert.equal(await recalls.begin(env, send.request.id, T0, LEASE), null, "there is no such request");
    await store.pipeline.accept([send]);
    assert.equal(await recalls.begin(newEnvironmentId(), send.request.id, T0, LEASE), null, "nor is it another's");
    const begun = (await recalls.begin(env, send.request.id, T0, LEASE)) as Recall;
    assert.deepEqual(begun, { environmentId: env, requestId: send.request.id, cursor: null });
    assert.deepEqual(await recalls.messages(begun, 10), [{ id: send.message.id, state: send.message.state }]);
    const mine = async (now: number) =>
      (await recalls.claim(now, 100, now + 1_000)).filter((one) => one.environmentId === env);
    assert.deepEqual(await mine(LEASE - 1), []);
    await recalls.advance(begun, [{ userId: "ann", until: T0 + 5_000 }], send.message.id, T0 + 3_000);
    assert.deepEqual(await mine(T0 + 2_999), []);
    assert.deepEqual(await mine(T0 + 3_000), [{ ...begun, cursor: send.message.id }]);
    assert.deepEqual(await recalls.messages({ ...begun, cursor: send.message.id }, 10), []);
    assert.deepEqual(await recalls.begin(env, send.request.id, T0, LEASE), { ...begun, cursor: send.message.id });
    await recalls.advance(begun, [], null, T0);
    assert.equal(await recalls.begin(env, send.request.id, T0, LEASE), "finished");
    assert.deepEqual(await mine(T0 + 1e9), []);
  });

  test(`${dialect}: users are told until it would have expired, under whatever name they go by then`, async () => {
    const store = await open();
    const { recalls } = store;
    const env = newEnvironmentId();
    const send = inboxSend(env, "ann");
    await store.pipeline.accept([send]);
    const recall = (await recalls.begin(env, send.request.id, T0, LEASE)) as Recall;
    const item = { userId: "ann", until: T0 + 5_000 };
    const told = { requestId: send.request.id, until: item.until };
    const stamp = await store.inbox.stamp(env, "ann");
    await recalls.advance(recall, [item, item], null, LEASE);
    await recalls.advance(recall, [item], null, LEASE);
    assert.notEqual(await store.inbox.stamp(env, "ann"), stamp);
    assert.deepEqual(await recalls.ofUser(env, "ann", T0 + 4_999), [told]);
    assert.deepEqual(await recalls.ofUser(env, "ann", T0 + 5_000), []);
    assert.deepEqual(await recalls.ofUser(newEnvironmentId(), "ann", T0), []);
    await recalls.move(env, "ann", "bob");
    assert.deepEqual([await recalls.ofUser(env, "ann", T0), await recalls.ofUser(env, "bob", T0)], [[], [told]]);
    assert.deepEqual(
      (await recalls.requests(env, send.request.id, send.request.id, 5)).map((request) => request.id),
      [send.request.id],
    );
    assert.ok((await recalls.sweep(T0 + 4_999, 100)) >= 0);
    assert.deepEqual(await recalls.ofUser(env, "bob", T0), [told]);
    await recalls.sweep(T0 + 5_000, 1_000);
    assert.deepEqual(await recalls.ofUser(env, "bob", T0), []);
  });

  test(`${dialect}: what is still being expanded is not expanded any further`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const request = aRequest(env, { state: "expanding" });
    await store.pipeline.accept([{ request, planned: [], idempotency: null }]);
    const claimed = (await store.pipeline.claimRequests(T0 + 1e6, 1_000, T0 + 2e6)).find(
      (one) => one.id === request.id,
    );
    assert.ok(claimed !== undefined);
    await store.recalls.begin(env, request.id, T0, LEASE);
    const planned = inboxSend(env, "ann", { message: { requestId: request.id } }).planned;
    assert.equal(await store.pipeline.commitPage(claimed, { held: T0 + 2e6, next: T0 + 3e6 }, null, planned), false);
    assert.equal((await store.messages.readRequest(env, request.id))?.state, "expanded");
  });
});
