import assert from "node:assert/strict";
import { test } from "node:test";
import type { EnvironmentId, MessageId } from "../../src/engine/model.ts";
import type { Store } from "../../src/engine/ports.ts";
import type {
  AppEndpointId,
  AppId,
  AppMessage,
  EndpointAttempt,
  EndpointMessage,
} from "../../src/engine/webhooks/model.ts";
import type { EndpointAttemptFilter, Walk } from "../../src/engine/webhooks/ports.ts";
import { type Database, run } from "../../src/storage/database.ts";
import { text } from "../../src/storage/text.ts";
import { forEachDatabase } from "./databases.ts";
import { newEnvironmentId, T0 } from "./fixtures.ts";
import {
  ALL,
  anAppMessage,
  claimOne,
  type Ends,
  idAt,
  manually,
  newAppId,
  newEndpointId,
  publishing,
  toEndpoint,
  tried,
} from "./webhook-fixtures.ts";

const HELD = T0 + 10_000_000;
const NONE = { items: [], more: false };

interface Place {
  readonly store: Store;
  readonly env: EnvironmentId;
  readonly app: AppId;
  readonly endpoint: AppEndpointId;
}

interface Try {
  readonly ends: Ends;
  /** After T0, of the try. */
  readonly at?: number;
  readonly attempt?: Partial<EndpointAttempt>;
}

forEachDatabase((name, open, openRaw) => {
  async function place(): Promise<Place> {
    return { store: await open(), env: newEnvironmentId(), app: newAppId(), endpoint: newEndpointId() };
  }

  /** Publishes a message with a delivery to each of the endpoints. */
  async function published(
    { store, env, app }: Place,
    endpoints: readonly AppEndpointId[],
    over: Partial<AppMessage> = {},
  ): Promise<AppMessage> {
    const message = anAppMessage(env, app, over);
    const deliveries = endpoints.map((endpoint) => toEndpoint(message, endpoint));
    await store.appMessages.accept([publishing(message, deliveries)]);
    return message;
  }

  /** Tries the pair's delivery as often as told. @returns the attempts. */
  async function tries(
    { store }: Place,
    message: AppMessage,
    endpoint: AppEndpointId,
    ...list: readonly Try[]
  ): Promise<EndpointAttempt[]> {
    const made: EndpointAttempt[] = [];
    for (const { ends, at = 0, attempt = {} } of list) {
      const delivery = await claimOne(store, endpoint, ({ messageId }) => messageId === message.id, HELD, HELD * 2);
      const settlement = tried(delivery, ends, {
        at: T0 + at,
        attempt: { eventType: message.eventType, ...attempt },
      });
      assert.deepEqual(await store.pipeline.settle([settlement]), ["written"]);
      made.push(settlement.endpoint?.attempt as EndpointAttempt);
    }
    return made;
  }

  async function manual(where: Place, message: AppMessage, endpoint: AppEndpointId, ...list: readonly Try[]) {
    const made: EndpointAttempt[] = [];
    for (const one of list) {
      await where.store.appMessages.addManual([manually(message, endpoint)]);
      made.push(...(await tries(where, message, endpoint, one)));
    }
    return made;
  }

  const retry = (dueAt = 0): Ends => ({ dueAt: T0 + dueAt });

  // ——— attempts ————————————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: attempts are listed of an endpoint, of a message or of both, and walked both ways`, async () => {
    const here = await place();
    const { store, env, app, endpoint } = here;
    const other = newEndpointId();
    const [one, two] = [await published(here, [endpoint, other]), await published(here, [endpoint])];
    const a = await tries(
      here,
      one,
      endpoint,
      { ends: retry(), at: 1 },
      { ends: retry(), at: 3 },
      { ends: "sent", at: 5 },
    );
    const b = await tries(here, two, endpoint, { ends: "failed", at: 2 });
    const c = await tries(here, one, other, { ends: "sent", at: 4 });
    const ids = async (filter: EndpointAttemptFilter, walk: Partial<Walk> = {}) => {
      const page = await store.appMessages.listAttempts(env, app, filter, { ...ALL, ...walk });
      return { ids: page.items.map(({ startedAt }) => startedAt - T0), more: page.more };
    };
    const list = (...ids: number[]) => ({ ids, more: false });
    assert.deepEqual(await ids({ endpointId: endpoint }), list(1, 2, 3, 5));
    assert.deepEqual(await ids({ endpointId: endpoint }, { order: "descending" }), list(5, 3, 2, 1));
    assert.deepEqual(await ids({ messageId: one.id }), list(1, 3, 4, 5));
    assert.deepEqual(await ids({ messageId: one.id, endpointId: other }), list(4));
    assert.deepEqual(await ids({ messageId: two.id, endpointId: other }), list());
    const descending = { order: "descending", limit: 2 } as const;
    assert.deepEqual(await ids({ endpointId: endpoint }, descending), { ids: [5, 3], more: true });
    const from = (attempt: EndpointAttempt | undefined, back: boolean) => ({ key: attempt?.id as string, back });
    assert.deepEqual(await ids({ endpointId: endpoint }, { ...descending, from: from(a[1], false) }), list(2, 1));
    assert.deepEqual(await ids({ endpointId: endpoint }, { ...descending, from: from(a[0], true) }), {
      ids: [3, 2],
      more: true,
    });
    const [first] = (await store.appMessages.listAttempts(env, app, { messageId: two.id }, ALL)).items;
    assert.deepEqual(first, b[0]);
    assert.deepEqual(await store.appMessages.readAttempt(env, app, c[0]?.id as "att_"), c[0]);
  });

  test(`${name}: attempts are narrowed by outcome, class of status, time, type, channel and tag`, async () => {
    const here = await place();
    const { store, env, app, endpoint } = here;
    const one = await published(here, [endpoint], { eventType: "a", channels: ["c", "d"], tags: ["t"] });
    const two = await published(here, [endpoint], { eventType: "b" });
    await tries(here, one, endpoint, { ends: retry(), at: 1, attempt: { statusCode: 0 } });
    await tries(here, one, endpoint, { ends: retry(), at: 2, attempt: { statusCode: 99 } });
    await tries(here, one, endpoint, { ends: "sent", at: 3, attempt: { statusCode: 204 } });
    await tries(here, two, endpoint, { ends: retry(), at: 4, attempt: { statusCode: 500 } });
    await tries(here, two, endpoint, { ends: "canceled", at: 5, attempt: { statusCode: 0 } });
    const found = async (filter: Omit<EndpointAttemptFilter, "endpointId" | "messageId">) => {
      const { items } = await store.appMessages.listAttempts(env, app, { ...filter, endpointId: endpoint }, ALL);
      const counted = await store.appMessages.countAttempts(env, app, { ...filter, endpointId: endpoint }, 100);
      assert.deepEqual(counted, { count: items.length, exact: true });
      return items.map(({ startedAt }) => startedAt - T0);
    };
    assert.deepEqual(await found({ outcomes: ["sent"] }), [3]);
    assert.deepEqual(await found({ outcomes: ["failed"] }), [1, 2, 4]);
    assert.deepEqual(await found({ outcomes: ["sent", "canceled"] }), [3, 5]);
    assert.deepEqual(await found({ outcomes: [] }), []);
    assert.deepEqual(await found({ statusCodeClass: 0 }), [1, 2, 5]);
    assert.deepEqual(await found({ statusCodeClass: 200 }), [3]);
    assert.deepEqual(await found({ statusCodeClass: 500 }), [4]);
    assert.deepEqual(await found({ from: T0 + 2, to: T0 + 5 }), [2, 3, 4]);
    assert.deepEqual(await found({ eventTypes: ["b"] }), [4, 5]);
    assert.deepEqual(await found({ eventTypes: ["a", "b"] }), [1, 2, 3, 4, 5]);
    assert.deepEqual(await found({ channels: ["d", "x"] }), [1, 2, 3]);
    assert.deepEqual(await found({ channels: [] }), []);
    assert.deepEqual(await found({ tag: "t", outcomes: ["failed"], from: T0 + 2 }), [2]);
    assert.deepEqual(await found({ tag: "c" }), []);
  });

  test(`${name}: more attempts than were asked for are not counted further`, async () => {
    const here = await place();
    const { store, env, app, endpoint } = here;
    const message = await published(here, [endpoint]);
    await tries(here, message, endpoint, { ends: retry() }, { ends: retry() }, { ends: "sent" });
    const count = (most: number, of: EndpointAttemptFilter) => store.appMessages.countAttempts(env, app, of, most);
    for (const of of [
      { endpointId: endpoint },
      { messageId: message.id },
      { endpointId: endpoint, messageId: message.id },
    ]) {
      assert.deepEqual(await count(2, of), { count: 2, exact: false });
      assert.deepEqual(await count(3, of), { count: 3, exact: true });
      assert.deepEqual(await store.appMessages.countAttempts(newEnvironmentId(), app, of, 3), {
        count: 0,
        exact: true,
      });
      assert.deepEqual(await store.appMessages.countAttempts(env, newAppId(), of, 3), { count: 0, exact: true });
    }
    assert.deepEqual(await count(3, { endpointId: newEndpointId() }), { count: 0, exact: true });
  });

  test(`${name}: an expunged attempt has no response and is otherwise as it was`, async () => {
    const here = await place();
    const { store, env, app, endpoint } = here;
    const message = await published(here, [endpoint]);
    const [attempt] = (await tries(here, message, endpoint, { ends: "sent" })) as [EndpointAttempt];
    assert.equal(await store.appMessages.expungeAttempt(newEnvironmentId(), app, attempt.id), false);
    assert.equal(await store.appMessages.expungeAttempt(env, newAppId(), attempt.id), false);
    assert.deepEqual(await store.appMessages.readAttempt(env, app, attempt.id), attempt);
    assert.equal(await store.appMessages.expungeAttempt(env, app, attempt.id), true);
    assert.equal(await store.appMessages.expungeAttempt(env, app, attempt.id), true);
    assert.deepEqual(await store.appMessages.readAttempt(env, app, attempt.id), { ...attempt, response: null });
    assert.equal(await store.appMessages.expungeAttempt(env, app, idAt("att", T0)), false);
  });

  test(`${name}: attempts at an endpoint are counted by outcome and type, from a time until before another`, async () => {
    const here = await place();
    const { store, env, app, endpoint } = here;
    const other = newEndpointId();
    const one = await published(here, [endpoint, other], { eventType: "a" });
    const two = await published(here, [endpoint], { eventType: "b" });
    await tries(here, one, endpoint, { ends: retry(), at: 1 }, { ends: retry(), at: 2 }, { ends: "sent", at: 3 });
    await tries(here, two, endpoint, { ends: "canceled", at: 4 });
    await tries(here, one, other, { ends: "failed", at: 5 });
    const counts = (from: number, to: number) =>
      store.appMessages.attemptCounts(env, app, endpoint, T0 + from, T0 + to);
    assert.deepEqual(await counts(0, 100), { sent: 1, failed: 2, canceled: 1 });
    assert.deepEqual(await counts(2, 4), { sent: 1, failed: 1, canceled: 0 });
    assert.deepEqual(await counts(6, 100), { sent: 0, failed: 0, canceled: 0 });
    const byType = async (types: readonly string[] | null, from = 0, to = 100) =>
      Object.fromEntries(await store.appMessages.attemptCountsByType(env, app, T0 + from, T0 + to, types));
    const a = { sent: 1, failed: 3, canceled: 0 };
    const b = { sent: 0, failed: 0, canceled: 1 };
    assert.deepEqual(await byType(null), { a, b });
    assert.deepEqual(await byType(["b", "c"]), { b });
    assert.deepEqual(await byType(null, 3, 5), { a: { sent: 1, failed: 0, canceled: 0 }, b });
    assert.deepEqual(await byType([]), {});
    for (const [e, p] of [
      [newEnvironmentId(), app],
      [env, newAppId()],
    ] as const) {
      const none = { sent: 0, failed: 0, canceled: 0 };
      assert.deepEqual(await store.appMessages.attemptCounts(e, p, endpoint, T0, T0 + 100), none);
      assert.deepEqual(await store.appMessages.attemptCountsByType(e, p, T0, T0 + 100, null), new Map());
    }
  });

  // ——— pairs ———————————————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: the endpoints of a message are those it was tried at, with how it fares there`, async () => {
    const here = await place();
    const { store, env, app } = here;
    const endpoints = Array.from({ length: 6 }, newEndpointId).sort();
    const [sent, failed, trying, canceled, untried, sentManually] = endpoints as [AppEndpointId, ...AppEndpointId[]];
    const message = await published(here, endpoints.slice(0, 5));
    await tries(here, message, sent, { ends: "sent" });
    await tries(here, message, failed as "ep_", { ends: "failed" });
    await tries(here, message, trying as "ep_", { ends: retry(500) });
    await tries(here, message, canceled as "ep_", { ends: "canceled" });
    await manual(here, message, sentManually as "ep_", { ends: "sent" }, { ends: "failed" });
    assert.ok(untried);
    const pair = (
      endpointId: AppEndpointId | undefined,
      status: EndpointMessage["status"],
      nextAt: number | null = null,
    ) => ({
      messageId: message.id,
      endpointId,
      status,
      nextAt,
    });
    const all = [
      pair(sent, "sent"),
      pair(failed, "failed"),
      pair(trying, "trying", T0 + 500),
      pair(canceled, "canceled"),
      pair(sentManually, "sent"),
    ];
    const read = (walk: Partial<Walk> = {}) => store.appMessages.endpointsOf(env, app, message.id, { ...ALL, ...walk });
    assert.deepEqual(await read(), { items: all, more: false });
    assert.deepEqual(await read({ limit: 2 }), { items: all.slice(0, 2), more: true });
    const from = (i: number, back: boolean) => ({ from: { key: all[i]?.endpointId as string, back }, limit: 2 });
    assert.deepEqual(await read(from(1, false)), { items: all.slice(2, 4), more: true });
    assert.deepEqual(await read(from(4, true)), { items: all.slice(2, 4), more: true });
    assert.deepEqual(await store.appMessages.endpointsOf(newEnvironmentId(), app, message.id, ALL), NONE);
    assert.deepEqual(await store.appMessages.endpointsOf(env, newAppId(), message.id, ALL), NONE);
  });

  test(`${name}: the messages of an endpoint are those tried there, narrowed by state and by the message`, async () => {
    const here = await place();
    const { store, env, app, endpoint } = here;
    const ends: (Ends | null)[] = ["sent", "failed", retry(500), "canceled", null];
    const messages: AppMessage[] = [];
    for (const [i, end] of ends.entries()) {
      const over = { createdAt: T0 + i, eventType: i % 2 === 0 ? "a" : "b", channels: [`c${i}`], tags: [`t${i}`] };
      const message = await published(here, [endpoint, newEndpointId()], over);
      messages.push(message);
      if (end !== null) await tries(here, message, endpoint, { ends: end });
    }
    const read = (
      filter: Parameters<Store["appMessages"]["messagesOf"]>[3],
      walk: Partial<Walk> = {},
      content = false,
    ) => store.appMessages.messagesOf(env, app, endpoint, filter, { ...ALL, ...walk }, content);
    const found = async (...args: Parameters<typeof read>) =>
      (await read(...args)).items.map(
        ({ pair, message }) => `${message.createdAt - T0} ${pair.status} ${pair.nextAt ?? ""}`,
      );
    const all = ["0 sent ", "1 failed ", `2 trying ${T0 + 500}`, "3 canceled "];
    assert.deepEqual(await found({}), all);
    assert.deepEqual(await found({}, { order: "descending" }), all.toReversed());
    assert.deepEqual(await found({ statuses: ["sent"] }), all.slice(0, 1));
    assert.deepEqual(await found({ statuses: ["failed"] }), all.slice(1, 2));
    assert.deepEqual(await found({ statuses: ["trying", "canceled"] }), all.slice(2));
    assert.deepEqual(await found({ statuses: ["sent", "canceled"] }), [all[0], all[3]]);
    assert.deepEqual(await found({ statuses: [] }), []);
    assert.deepEqual(await found({ eventTypes: ["b"] }), [all[1], all[3]]);
    assert.deepEqual(await found({ channels: ["c0", "c3"] }), [all[0], all[3]]);
    assert.deepEqual(await found({ tag: "t1" }), [all[1]]);
    assert.deepEqual(await found({ from: T0 + 1, to: T0 + 3 }), all.slice(1, 3));
    assert.deepEqual(await found({ from: T0 + 1, statuses: ["failed", "trying"], eventTypes: ["a"] }), [all[2]]);

    const page = await read({}, { limit: 2, order: "descending" });
    assert.equal(page.more, true);
    assert.deepEqual(
      page.items.map(({ message }) => message.id),
      [messages[3]?.id, messages[2]?.id],
    );
    const next = { limit: 2, order: "descending", from: { key: messages[2]?.id as string, back: false } } as const;
    assert.deepEqual(await found({}, next), [all[1], all[0]]);
    const back = { limit: 2, order: "descending", from: { key: messages[0]?.id as string, back: true } } as const;
    assert.deepEqual(await found({}, back), [all[2], all[1]]);

    assert.deepEqual((await read({ tag: "t0" }, {}, true)).items[0]?.message, messages[0]);
    const bare = { ...messages[0], payload: null, raw: null, parameters: null };
    assert.deepEqual((await read({ tag: "t0" })).items[0]?.message, bare);
    for (const [e, a, p] of [
      [newEnvironmentId(), app, endpoint],
      [env, newAppId(), endpoint],
      [env, app, newEndpointId()],
    ] as const) {
      assert.deepEqual(await store.appMessages.messagesOf(e, a, p, {}, ALL, false), NONE);
    }
  });

  test(`${name}: pairs of the messages of a time are counted`, async () => {
    const here = await place();
    const { store, env, app, endpoint } = here;
    await published(here, [endpoint, newEndpointId()], { createdAt: T0 });
    const message = await published(here, [endpoint], { createdAt: T0 + 1 });
    await published(here, [], { createdAt: T0 + 2 });
    await published(here, [endpoint], { createdAt: T0 + 3 });
    await store.appMessages.addManual([manually(message, endpoint)]);
    assert.equal(await store.appMessages.countPairs(env, app, T0, T0 + 100), 4);
    assert.equal(await store.appMessages.countPairs(env, app, T0 + 1, T0 + 3), 1);
    assert.equal(await store.appMessages.countPairs(env, app, T0 + 10, T0 + 30), 0);
    assert.equal(await store.appMessages.countPairs(newEnvironmentId(), app, T0, T0 + 100), 0);
    assert.equal(await store.appMessages.countPairs(env, newAppId(), T0, T0 + 100), 0);
  });

  // ——— for tasks ———————————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: messages to recover are those tried in vain in the time and never with success`, async () => {
    const here = await place();
    const { store, env, app, endpoint } = here;
    const make = (i: number, endpoints = [endpoint]) => published(here, endpoints, { createdAt: T0 + i });
    const [sent, failed, early, late, trying, recovered, untried] = [
      await make(0),
      await make(1),
      await make(2),
      await make(3),
      await make(4),
      await make(5),
      await make(6),
    ];
    await tries(here, sent, endpoint, { ends: retry(), at: 100 }, { ends: "sent", at: 101 });
    await tries(here, failed, endpoint, { ends: retry(), at: 50 }, { ends: "failed", at: 100 });
    await tries(here, early, endpoint, { ends: "failed", at: 99 });
    await tries(here, late, endpoint, { ends: "failed", at: 200 });
    await tries(here, trying, endpoint, { ends: retry(HELD), at: 199 });
    await tries(here, recovered, endpoint, { ends: "failed", at: 100 });
    await manual(here, recovered, endpoint, { ends: "sent", at: 300 }, { ends: "failed", at: 301 });
    assert.ok(untried);
    // Never wanted by the endpoint, and tried in vain by hand.
    const byHand = await make(7, []);
    await manual(here, byHand, endpoint, { ends: "failed", at: 150 });
    const window = { from: T0 + 100, to: T0 + 200 };
    const found = async (after: MessageId | null, limit: number) =>
      (await store.appMessages.failedAt(env, app, endpoint, window, after, limit)).map(
        ({ createdAt }) => createdAt - T0,
      );
    assert.deepEqual(await found(null, 10), [1, 4, 7]);
    assert.deepEqual(await found(null, 2), [1, 4]);
    assert.deepEqual(await found(trying.id, 2), [7]);
    assert.deepEqual(await found(byHand.id, 2), []);
    // Its manual try is still to come; one at another endpoint says nothing of this one.
    await store.appMessages.addManual([manually(trying, endpoint), manually(failed, newEndpointId())]);
    assert.deepEqual(await found(null, 10), [1, 7]);
    const [head] = await store.appMessages.failedAt(env, app, endpoint, window, null, 1);
    const { payload: _p, raw: _r, parameters: _q, ...expected } = failed;
    assert.deepEqual(head, expected);
    for (const [e, a, p] of [
      [newEnvironmentId(), app, endpoint],
      [env, newAppId(), endpoint],
      [env, app, newEndpointId()],
    ] as const) {
      assert.deepEqual(await store.appMessages.failedAt(e, a, p, window, null, 10), []);
    }
  });

  test(`${name}: messages to replay are those of the time that were never tried at the endpoint`, async () => {
    const here = await place();
    const { store, env, app, endpoint } = here;
    const make = (i: number, endpoints: readonly AppEndpointId[]) => published(here, endpoints, { createdAt: T0 + i });
    await make(0, []);
    const second = await make(1, []);
    const [triedHere, elsewhere, byHand, asked] = [
      await make(2, [endpoint]),
      await make(3, [newEndpointId()]),
      await make(4, []),
      await make(5, []),
    ];
    await make(6, [endpoint]);
    await make(7, []);
    await tries(here, triedHere, endpoint, { ends: "failed" });
    await manual(here, byHand, endpoint, { ends: "failed" });
    await store.appMessages.addManual([manually(asked, endpoint)]);
    assert.ok(elsewhere);
    const window = { from: T0 + 1, to: T0 + 7 };
    const found = async (after: MessageId | null, limit: number) =>
      (await store.appMessages.untriedAt(env, app, endpoint, window, after, limit)).map(
        ({ createdAt }) => createdAt - T0,
      );
    assert.deepEqual(await found(null, 10), [1, 3, 5, 6]);
    assert.deepEqual(await found(null, 2), [1, 3]);
    assert.deepEqual(await found(second.id, 2), [3, 5]);
    assert.deepEqual(await found(asked.id, 10), [6]);
    assert.deepEqual(await store.appMessages.untriedAt(newEnvironmentId(), app, endpoint, window, null, 10), []);
    assert.deepEqual(await store.appMessages.untriedAt(env, newAppId(), endpoint, window, null, 10), []);
  });

  test(`${name}: looking for few among many goes on beyond what is looked at in one go`, async () => {
    const here = await place();
    const { store, env, app, endpoint } = here;
    const messages = Array.from({ length: 2500 }, (_, i) => anAppMessage(env, app, { createdAt: T0 + i }));
    await store.appMessages.accept(messages.map((m) => publishing(m, [toEndpoint(m, endpoint)])));
    await grown(await openRaw());
    for (let left = messages.length; left > 0; ) {
      const claimed = await store.appMessages.claimOf(endpoint, T0 + 5000, 1000, HELD);
      left -= claimed.length;
      const rare = new Set([1234, 2345].map((i) => messages[i]?.id));
      await store.pipeline.settle(
        claimed
          .filter(({ messageId }) => !rare.has(messageId))
          .map((delivery) => tried(delivery, "failed", { at: T0 + 6000 })),
      );
    }
    const window = { from: T0, to: T0 + 5000 };
    const untried = await store.appMessages.untriedAt(env, app, endpoint, window, null, 10);
    assert.deepEqual(
      untried.map(({ createdAt }) => createdAt - T0),
      [1234, 2345],
    );
    assert.deepEqual(await store.appMessages.failedAt(env, app, endpoint, window, null, 10), []);
    const later = { from: T0 + 6000, to: T0 + 6001 };
    assert.equal((await store.appMessages.failedAt(env, app, endpoint, later, null, 2400)).length, 2400);
    const rest = await store.appMessages.failedAt(env, app, endpoint, later, messages[2400]?.id as "msg_", 1000);
    assert.equal(rest.length, 99);
    assert.equal(await store.appMessages.countPairs(env, app, T0, T0 + 2500), 2500);
  });
});

/** Has Postgres see at once, as it would within a minute, that its plans for small tables are no longer good. */
async function grown(db: Database): Promise<void> {
  if (db.dialect === "sqlite") return;
  await db.write(function* () {
    for (const table of ["deliveries", "app_messages"]) yield* run(text(db.dialect, `analyze ${table}`, []));
  });
}
