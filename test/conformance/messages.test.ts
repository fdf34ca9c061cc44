import assert from "node:assert/strict";
import { test } from "node:test";
import type { EnvironmentId, Message } from "../../src/engine/model.ts";
import type { MessageFilter, Store } from "../../src/engine/ports.ts";
import { forEachDatabase } from "./databases.ts";
import {
  accepting,
  aDelivery,
  aMessage,
  aRequest,
  inboxSend,
  mailSend,
  newEnvironmentId,
  progressOf,
  T0,
} from "./fixtures.ts";

forEachDatabase((name, open) => {
  /** One request with one message for each of these; by index newest last. */
  async function given(
    ...messages: readonly Partial<Message>[]
  ): Promise<{ store: Store; env: EnvironmentId; made: Message[] }> {
    const store = await open();
    const env = newEnvironmentId();
    const batch = messages.map((over) => {
      const request = aRequest(env, { createdAt: over.createdAt ?? T0 });
      return accepting(request, [{ message: aMessage(request, over), deliveries: [] }]);
    });
    await store.pipeline.accept(batch);
    return { store, env, made: batch.flatMap((a) => a.planned.map((p) => p.message)) };
  }

  async function found(store: Store, env: EnvironmentId, filter: MessageFilter): Promise<string[]> {
    const { items, next } = await store.messages.list(env, filter, { limit: 100 });
    assert.equal(next, null);
    return items.map((m) => m.id);
  }

  test(`${name}: each filter finds what it names and nothing else, newest first`, async () => {
    const odd = `o'dd "x" ü😀`;
    const { store, env, made } = await given(
      { recipient: "ann", event: "a", tags: ["x", "y"] },
      { recipient: "bob@example.com", userId: null, event: odd, tags: ["y"], state: "sent" },
      { listId: odd, templateId: "tpl", tenantId: "acme", traceId: "trace", state: "unroutable" },
      { createdAt: T0 + 100, traceId: odd, tags: [odd] },
    );
    const message = (i: number): Message => made[i] as Message;
    const cases: [MessageFilter, number[]][] = [
      [{}, [3, 2, 1, 0]],
      [{ id: message(1).id }, [1]],
      [{ requestId: message(2).requestId }, [2]],
      [{ createdAfter: T0 }, [3]],
      [{ createdAfter: T0 - 1 }, [3, 2, 1, 0]],
      [{ createdAfter: T0 + 100 }, []],
      [{ event: odd }, [1]],
      [{ listId: odd }, [2]],
      [{ templateId: "tpl" }, [2]],
      [{ recipient: "bob@example.com" }, [1]],
      [{ recipient: "ann" }, [3, 2, 0]],
      [{ states: ["sent", "unroutable"] }, [2, 1]],
      [{ states: [] }, []],
      [{ tags: ["x"] }, [0]],
      [{ tags: ["y"] }, [1, 0]],
      [{ tags: ["x", "y", odd] }, [3, 1, 0]],
      [{ tags: [] }, []],
      [{ tags: ["X"] }, []],
      [{ tags: ["x"], moreTags: ["y"] }, [0]],
      [{ tags: ["x", odd], moreTags: ["y", odd] }, [3, 0]],
      [{ moreTags: ["y"] }, [1, 0]],
      [{ tenantId: "acme" }, [2]],
      [{ trace: { traceId: "trace", requestId: null } }, [2]],
      [{ trace: { traceId: odd, requestId: message(0).requestId } }, [3, 0]],
      [{ tags: ["y"], states: ["sent"], event: odd, recipient: "bob@example.com" }, [1]],
      [{ providers: ["smtp"] }, []],
    ];
    for (const [filter, expected] of cases) {
      assert.deepEqual(
        await found(store, env, filter),
        expected.map((i) => message(i).id),
        JSON.stringify(filter),
      );
      assert.deepEqual(await found(store, newEnvironmentId(), filter), []);
    }
  });

  test(`${name}: a provider filter looks at any delivery of a message`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const request = aRequest(env);
    const [both, one] = [aMessage(request), aMessage(request)] as [Message, Message];
    await store.pipeline.accept([
      accepting(request, [
        { message: both, deliveries: [aDelivery(both), aDelivery(both, { provider: "twilio", channel: "sms" })] },
        { message: one, deliveries: [aDelivery(one)] },
      ]),
    ]);
    assert.deepEqual(await found(store, env, { providers: ["twilio", "x"] }), [both.id]);
    assert.deepEqual(await found(store, env, { providers: ["smtp"] }), [one.id, both.id]);
    assert.deepEqual(await found(store, env, { providers: [] }), []);
  });

  test(`${name}: 10,000 messages of one millisecond are paged without gap or repetition`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const request = aRequest(env);
    const planned = Array.from({ length: 10_000 }, () => ({
      message: aMessage(request, { tags: ["x"] }),
      deliveries: [],
    }));
    await store.pipeline.accept([accepting(request, planned)]);
    for (const filter of [{}, { tags: ["x"] }, { recipient: "ann" }]) {
      const ids: string[] = [];
      for (let after: string | null = null; ; ) {
        const page: Awaited<ReturnType<Store["messages"]["list"]>> = await store.messages.list(env, filter, {
          after,
          limit: 1500,
        });
        ids.push(...page.items.map((m) => m.id));
        if (page.next === null) break;
        after = page.next;
      }
      assert.deepEqual(ids, planned.map((p) => p.message.id).reverse());
    }
  });

  test(`${name}: archiving a request hides its messages from lists, and nothing else of them`, async () => {
    const { store, env, made } = await given({}, { tags: ["x"] });
    const [kept, hidden] = made as [Message, Message];
    assert.equal(await store.messages.archiveRequest(newEnvironmentId(), hidden.requestId, T0), false);
    assert.equal(await store.messages.archiveRequest(env, "req_nowhere", T0), false);
    assert.equal(await store.messages.archiveRequest(env, hidden.requestId, T0 + 1), true);
    assert.equal(await store.messages.archiveRequest(env, hidden.requestId, T0 + 2), true);
    assert.deepEqual(await found(store, env, {}), [kept.id]);
    assert.deepEqual(await found(store, env, { archived: false, tags: ["x"] }), []);
    assert.deepEqual(await found(store, env, { archived: true }), [hidden.id, kept.id]);
    assert.equal((await store.messages.readRequest(env, hidden.requestId))?.archivedAt, T0 + 1);
    assert.deepEqual((await store.messages.read(env, hidden.id))?.message, hidden);
  });

  test(`${name}: nothing is read through another environment`, async () => {
    const store = await open();
    const [env, other] = [newEnvironmentId(), newEnvironmentId()];
    const { delivery, message, ...send } = mailSend(env);
    await store.pipeline.accept([send]);
    assert.equal(await store.messages.read(other, message.id), null);
    assert.equal(await store.messages.readRequest(other, send.request.id), null);
    assert.equal(await store.messages.readDelivery(other, delivery.id), null);
    assert.deepEqual(await store.messages.listDeliveries(other, message.id), []);
    assert.equal(await store.messages.findByUser(other, send.request.id, "ann"), null);
    assert.equal(await store.messages.findByUser(env, send.request.id, "ann"), message.id);
  });

  test(`${name}: finds a user's message of a request among many of both`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const request = aRequest(env);
    const planned = ["ann", "bob", "eve"].map((userId) => ({ message: aMessage(request, { userId }), deliveries: [] }));
    const byAddress = { message: aMessage(request, { userId: null, recipient: "zoe" }), deliveries: [] };
    await store.pipeline.accept([
      inboxSend(env, "bob"),
      accepting(request, [...planned, byAddress]),
      inboxSend(env, "bob"),
    ]);
    assert.equal(await store.messages.findByUser(env, request.id, "bob"), planned[1]?.message.id);
    assert.equal(await store.messages.findByUser(env, request.id, "zoe"), null);
    assert.equal(await store.messages.findByUser(env, aRequest(env).id, "bob"), null);
  });

  test(`${name}: of a long history the oldest 1,000 entries are read, deliveries newest first on their own`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const request = aRequest(env);
    const message = aMessage(request);
    const deliveries = [aDelivery(message), aDelivery(message, { channel: "sms" })];
    await store.pipeline.accept([accepting(request, [{ message, deliveries }])]);
    const steps = Array.from({ length: 1005 }, (_, i) => progressOf(deliveries[0]!, "opened", null, T0 + i));
    await store.inbox.progress(env, steps);
    const record = await store.messages.read(env, message.id);
    assert.deepEqual(
      record?.events,
      steps.slice(0, 1000).map((s) => s.event),
    );
    assert.deepEqual(record?.deliveries, deliveries);
    assert.deepEqual(await store.messages.listDeliveries(env, message.id), [...deliveries].reverse());
  });
});
