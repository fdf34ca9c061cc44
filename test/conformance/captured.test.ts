import assert from "node:assert/strict";
import { test } from "node:test";
import type { Captured, Channel, EnvironmentId } from "../../src/engine/model.ts";
import { newId } from "../../src/lib/ids.ts";
import { forEachDatabase } from "./databases.ts";

const AT = Date.UTC(2026, 0, 5, 12);

function newEnvironment(): EnvironmentId {
  return newId("env", AT);
}

function captured(environmentId: EnvironmentId, channel: Channel, more: Partial<Captured> = {}): Captured {
  return {
    id: newId("cap", AT),
    environmentId,
    messageId: newId("msg", AT),
    deliveryId: newId("dlv", AT),
    channel,
    provider: `capture-${channel}`,
    address: { email: "zoë@example.com" },
    payload: JSON.parse('{"subject":"\\u0000 \\ud800 😀","__proto__":{"a":1}}'),
    at: AT,
    ...more,
  };
}

forEachDatabase((name, open) => {
  test(`${name}: what was captured is listed newest first, as it was`, async () => {
    const store = (await open()).captured;
    const env = newEnvironment();
    const all = [captured(env, "email"), captured(env, "sms"), captured(env, "email")];
    await store.add(all);
    await store.add([]);
    const page = await store.list(env, {}, { limit: 10 });
    assert.deepEqual(page, { items: all.toReversed(), next: null });
  });

  test(`${name}: the list is narrowed by channel and message, in pages`, async () => {
    const store = (await open()).captured;
    const env = newEnvironment();
    const messageId = newId("msg", AT);
    const all = Array.from({ length: 9 }, (_, i) =>
      captured(env, i % 3 === 0 ? "sms" : "push", i % 2 === 0 ? { messageId } : {}),
    );
    await store.add(all);
    const places = async (filter: Parameters<typeof store.list>[1], limit: number): Promise<number[]> => {
      const found: number[] = [];
      let after: string | null = null;
      do {
        const page: Awaited<ReturnType<typeof store.list>> = await store.list(env, filter, { after, limit });
        assert.ok(page.items.length <= limit);
        found.push(...page.items.map((item) => all.findIndex((one) => one.id === item.id)));
        after = page.next;
      } while (after !== null);
      return found;
    };
    for (const limit of [1, 2, 3, 100]) {
      assert.deepEqual(await places({}, limit), [8, 7, 6, 5, 4, 3, 2, 1, 0]);
      assert.deepEqual(await places({ channel: "sms" }, limit), [6, 3, 0]);
      assert.deepEqual(await places({ messageId }, limit), [8, 6, 4, 2, 0]);
      assert.deepEqual(await places({ channel: "push", messageId }, limit), [8, 4, 2]);
      assert.deepEqual(await places({ channel: "chat" }, limit), []);
    }
  });

  test(`${name}: the same thing captured twice is kept once`, async () => {
    const store = (await open()).captured;
    const env = newEnvironment();
    const one = captured(env, "email");
    await store.add([one]);
    await store.add([one, captured(env, "email")]);
    assert.equal((await store.list(env, {}, { limit: 5 })).items.length, 2);
  });

  test(`${name}: clearing empties one environment, however much is in it`, async () => {
    const store = (await open()).captured;
    const [here, there] = [newEnvironment(), newEnvironment()];
    const shared = captured(there, "sms");
    await store.add([shared, { ...shared, environmentId: here }]);
    await store.add(Array.from({ length: 4001 }, () => captured(here, "sms")));
    await store.clear(here);
    assert.deepEqual((await store.list(here, {}, { limit: 5 })).items, []);
    assert.deepEqual((await store.list(there, {}, { limit: 5 })).items, [shared]);
    await store.clear(here);
  });
});
