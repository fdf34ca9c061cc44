/**
 * What Courier's inbox clients rely on, by the numbers of the contract's scenarios. The same suite runs on the facade
 * with a fake engine and on the whole server with each database.
 */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, describe, test } from "node:test";
import {
  ALL_SCOPES,
  graphql,
  openTab,
  openWire,
  pretendToBeABrowser,
  sdkClient,
  type Tab,
  type WireMessage,
} from "./inbox-clients.ts";

export interface TestMessage {
  readonly userId: string;
  readonly tenantId?: string;
  readonly title?: string;
  readonly body?: string;
  readonly data?: { readonly [key: string]: string | number };
  readonly tags?: readonly string[];
  readonly actions?: readonly { readonly content: string; readonly href: string }[];
}

export interface TestTarget {
  /** Without a trailing slash. */
  readonly url: string;
  /** `signed` is set for client keys, with this key. */
  readonly secretKey: string;
  readonly publicKey: string;
  /** A user token. @param lifeMs an hour by default. */
  token(scope: string, lifeMs?: number): Promise<string>;
  /** Sends to the inbox only. @returns the message's id, once it is stored. */
  send(message: TestMessage): Promise<string>;
  /** Types of the message's history, in order; those of sending may be left out. */
  history(messageId: string): Promise<readonly string[]>;
  /** Moves the server's clock; absent where it is the real one. */
  readonly advance?: (ms: number) => void;
  /** An orderly stop, as on SIGTERM. */
  stop(): Promise<void>;
}

/** A target whose users are new in each test: suites share one server and do not see each other's messages. */
let users = 0;
function newUser(): string {
  return `u${++users}-${process.pid}`;
}

/** @param start a fresh server. Called once for the suite and once for each test that stops its server. */
export function inboxScenarios(name: string, start: () => Promise<TestTarget>): void {
  describe(`Courier inbox on ${name}`, { timeout: 60_000 }, () => {
    let target: TestTarget;
    const tabs: Tab[] = [];
    const open = async (userId: string, more: { tenantId?: string; scope?: string } = {}): Promise<Tab> => {
      const tab = await openTab(target, userId, more);
      tabs.push(tab);
      return tab;
    };
    const bearer = async (userId: string, scope = ALL_SCOPES): Promise<string> =>
      `Bearer ${await target.token(`user_id:${userId} ${scope}`)}`;
    /** Proves that nothing more was on its way: frames of one user come in order. */
    const settle = async (tab: Tab, userId: string): Promise<void> => {
      const last = await target.send({ userId, title: "last" });
      await tab.frames.first((frame) => frame.event === "message" && frame.messageId === last);
    };

    before(async () => {
      pretendToBeABrowser();
      target = await start();
    });
    after(async () => {
      for (const tab of tabs) tab.close();
      await target.stop();
    });

    test("1: config and ack answer the tids they were asked with", async () => {
      const u = newUser();
      const wire = await openWire(target, `/?auth=${await target.token(`user_id:${u} ${ALL_SCOPES}`)}&cid=c&iwpv=v1`);
      wire.send({ tid: "a", action: "get-config" });
      wire.send({ tid: "b", action: "subscribe", data: { channel: u, event: "*" } });
      const config = await wire.frames.first((frame) => frame.response === "config");
      const data = config.data as { pingInterval: number; maxOutstandingPings: number };
      assert.equal(config.tid, "a");
      assert.ok(data.pingInterval <= 60 && data.maxOutstandingPings >= 1);
      assert.deepEqual(await wire.frames.first((frame) => frame.response === "ack"), { tid: "b", response: "ack" });
      wire.socket.terminate();
    });

    test("2: a message is heard once, and is the first of the list", async () => {
      const u = newUser();
      const a = await open(u);
      const id = await target.send({
        userId: u,
        title: "Paid",
        body: "Invoice 42",
        data: { invoice: 42 },
        tags: ["t"],
      });
      await a.frames.first((one) => one.event === "message");
      await settle(a, u);
      const heard = a.frames.all.filter((one) => one.messageId === id);
      assert.equal(heard.length, 1);
      const data = heard[0]?.data as unknown as WireMessage;
      assert.equal(data.messageId, id);
      assert.match(data.created, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      assert.deepEqual(data.tags, ["t"]);
      assert.equal(data.data.invoice, 42);
      assert.deepEqual(data.trackingIds, data.data.trackingIds);
      const { data: listed } = await a.client.inbox.getMessages();
      const node = listed?.messages?.nodes?.[1] as unknown as WireMessage;
      assert.equal(node.messageId, id);
      assert.equal(node.trackingIds.clickTrackingId, data.trackingIds.clickTrackingId);
      assert.equal(node.preview, "Invoice 42");
      assert.deepEqual(node.data, { invoice: 42 });
    });

    test("3: reading in one tab is heard in the other and not in its own", async () => {
      const u = newUser();
      const m = await target.send({ userId: u });
      const [a, b] = [await open(u), await open(u)];
      assert.equal(await a.client.inbox.getUnreadMessageCount(), 1);
      await a.client.inbox.read({ messageId: m });
      await b.frames.first((one) => one.event === "read" && one.messageId === m);
      for (const tab of [a, b]) assert.equal((await tab.client.inbox.getMessages()).data?.unreadCount, 0);
      await settle(a, u);
      assert.deepEqual(a.frames.events(m), []);
    });

    test("4: archiving moves a message to the other list and back to its place", async () => {
      const u = newUser();
      const [first, m, last] = [
        await target.send({ userId: u }),
        await target.send({ userId: u }),
        await target.send({ userId: u }),
      ];
      const [a, b] = [await open(u), await open(u)];
      const ids = async (filter: { archived?: boolean }) =>
        (await a.client.inbox.getMessages({ filter })).data?.messages?.nodes?.map((node) => node.messageId);
      await a.client.inbox.archive({ messageId: m });
      await b.frames.first((one) => one.event === "archive" && one.messageId === m);
      assert.deepEqual(await ids({}), [last, first]);
      const archived = (await b.client.inbox.getMessages({ filter: { archived: true } })).data?.messages?.nodes ?? [];
      assert.deepEqual(
        archived.map((node) => [node.messageId, typeof node.archived, node.read]),
        [[m, "string", null]],
      );
      await b.client.inbox.unarchive({ messageId: m });
      await a.frames.first((one) => one.event === "unarchive" && one.messageId === m);
      assert.deepEqual(await ids({}), [last, m, first]);
    });

    test("5: a change without a source id is heard everywhere", async () => {
      const u = newUser();
      const m = await target.send({ userId: u });
      const [a, b] = [await open(u), await open(u)];
      await graphql(target, await bearer(u), `mutation { read(messageId: "${m}") }`);
      for (const tab of [a, b]) await tab.frames.first((one) => one.event === "read" && one.messageId === m);
    });

    test("6: quick toggles are heard in their order", async () => {
      const u = newUser();
      const m = await target.send({ userId: u });
      const [a, b] = [await open(u), await open(u)];
      await a.client.inbox.read({ messageId: m });
      await a.client.inbox.unread({ messageId: m });
      await a.client.inbox.read({ messageId: m });
      await settle(b, u);
      await settle(a, u);
      assert.deepEqual(b.frames.events(m), ["read", "unread", "read"]);
      assert.deepEqual(a.frames.events(m), []);
      const { body } = await graphql(target, await bearer(u), `{ message(messageId: "${m}") { read } }`);
      assert.notEqual(body.data.message.read, null);
    });

    test("7: reading twice is heard once and keeps the first time", async () => {
      const u = newUser();
      const m = await target.send({ userId: u });
      const b = await open(u);
      const token = await bearer(u);
      const state = async () => (await graphql(target, token, `{ message(messageId: "${m}") { read } }`)).body.data;
      const read = () => graphql(target, token, `mutation { read(messageId: "${m}") }`);
      assert.deepEqual((await read()).body, { data: { read: true } });
      const before = await state();
      target.advance?.(5);
      assert.deepEqual((await read()).body, { data: { read: true } });
      assert.deepEqual(await state(), before);
      await settle(b, u);
      assert.deepEqual(b.frames.events(m), ["read"]);
    });

    test("8 and 9: an unknown and a foreign message are the same nothing", async () => {
      const [u1, u2] = [newUser(), newUser()];
      const m = await target.send({ userId: u1 });
      const a = await open(u1);
      const token = await bearer(u2);
      for (const id of ["nope", "1-65f240a0-47a6a120c8374de9bcf9f22a", m]) {
        for (const field of ["read", "archive", "clicked"]) {
          const { status, body } = await graphql(target, token, `mutation { x: ${field}(messageId: "${id}") }`);
          assert.deepEqual([status, body], [200, { data: { x: false } }]);
        }
        const { status, body } = await graphql(target, token, `{ message(messageId: "${id}") { read } }`);
        assert.deepEqual([status, body], [200, { data: { message: null } }]);
      }
      await settle(a, u1);
      assert.deepEqual(a.frames.events(m), []);
    });

    test("10: the user header cannot go beyond the token", async () => {
      const [u1, u2] = [newUser(), newUser()];
      await target.send({ userId: u2 });
      const answer = await graphql(target, await bearer(u1), "{ messages { nodes { messageId } } }", {
        headers: { "x-courier-user-id": u2 },
      });
      assert.equal(answer.status, 403);
      assert.equal(answer.body.type, "authorization_error");
      assert.equal(typeof answer.body.message, "string");
      assert.equal(answer.body.data ?? null, null);
    });

    test("11: a socket cannot listen to another user", async () => {
      const [u1, u2] = [newUser(), newUser()];
      const wire = await openWire(target, `/ws/?auth=${await target.token(`user_id:${u1} ${ALL_SCOPES}`)}&iwpv=v1`);
      wire.send({ tid: "x", action: "subscribe", data: { channel: u2, event: "*" } });
      const error = await wire.frames.first((frame) => frame.response === "error");
      assert.equal(error.tid, "x");
      wire.send({ tid: "y", action: "subscribe", data: { channel: u1, event: "*" } });
      await wire.frames.first((frame) => frame.tid === "y");
      await target.send({ userId: u2 });
      const own = await target.send({ userId: u1 });
      await wire.frames.first((frame) => frame.event === "message");
      assert.deepEqual(
        wire.frames.all.filter((frame) => frame.event !== undefined).map((frame) => frame.messageId),
        [own],
      );
      wire.socket.terminate();
    });

    test("12: a token of two users acts for either, for the first if none is named", async () => {
      const [u1, u2] = [newUser(), newUser()];
      const m1 = await target.send({ userId: u1 });
      const m2 = await target.send({ userId: u2 });
      const token = `Bearer ${await target.token(`user_id:${u1} user_id:${u2} ${ALL_SCOPES}`)}`;
      const first = async (headers: Record<string, string>) =>
        (await graphql(target, token, "{ messages { nodes { messageId } } }", { headers })).body.data.messages.nodes[0]
          .messageId;
      assert.equal(await first({ "x-courier-user-id": u1 }), m1);
      assert.equal(await first({ "x-courier-user-id": u2 }), m2);
      assert.equal(await first({}), m1);
    });

    test("13: an expired token gets 401 that a browser can read", async () => {
      const u = newUser();
      const token = await target.token(`user_id:${u} ${ALL_SCOPES}`, 1_000);
      await passTime(target, 2_000);
      const answer = await graphql(target, `Bearer ${token}`, "{ count }");
      assert.equal(answer.status, 401);
      assert.equal(answer.body.type, "authentication_error");
      assert.equal(answer.headers.get("access-control-allow-origin"), "*");
    });

    test("14: an expired token is refused at the upgrade", async () => {
      const u = newUser();
      const token = await target.token(`user_id:${u} ${ALL_SCOPES}`, 1_000);
      await passTime(target, 2_000);
      await assert.rejects(openWire(target, `/?auth=${token}&iwpv=v1`), { status: 401 });
      for (const query of ["", "?auth=undefined", "?token=garbage", "?auth=a.b.c", "?clientKey=empty"]) {
        await assert.rejects(openWire(target, `/${query}`), { status: 401 });
      }
      await assert.rejects(openWire(target, `/nowhere?auth=${token}`), { status: 404 });
    });

    test("15: a scope that is missing is 403, and nothing is changed or heard", async () => {
      const u = newUser();
      const m = await target.send({ userId: u });
      const readOnly = await bearer(u, "inbox:read:messages");
      const writeOnly = await bearer(u, "inbox:write:events");
      assert.equal((await graphql(target, readOnly, `mutation { read(messageId: "${m}") }`)).status, 403);
      const { status, body } = await graphql(target, readOnly, '{ count(params: { status: "unread" }) }');
      assert.deepEqual([status, body.data.count], [200, 1]);
      const refused = await graphql(target, writeOnly, "{ messages { nodes { messageId } } }");
      assert.deepEqual([refused.status, refused.body.type], [403, "authorization_error"]);
      const deaf = await open(u, { scope: "inbox:write:events" });
      assert.equal(deaf.frames.all.at(-1)?.response, "error");
    });

    test("16: a placeholder client key beside a token is ignored", async () => {
      const u = newUser();
      const client = await sdkClient(target, u);
      assert.equal(await client.preferences.getUserPreferences().then((found) => found.items.length), 0);
      assert.equal(await client.brands.getBrand({ brandId: "b" }), null);
    });

    test("17 and 18: tenants see and hear their own messages only", async () => {
      const u = newUser();
      const tenants = ["acme", "beta", undefined] as const;
      const opened = await Promise.all(tenants.map((tenantId) => open(u, tenantId === undefined ? {} : { tenantId })));
      const ids: string[] = [];
      for (const tenantId of tenants) ids.push(await target.send({ userId: u, ...(tenantId ? { tenantId } : {}) }));
      for (const [i, tab] of opened.entries()) {
        await tab.frames.first((one) => one.event === "message");
        const { data } = await tab.client.inbox.getMessages();
        assert.deepEqual(
          data?.messages?.nodes?.map((node) => node.messageId),
          [ids[i]],
        );
        assert.equal(data?.count, 1);
        assert.equal(await tab.client.inbox.getUnreadMessageCount(), 1);
      }
      await graphql(target, await bearer(u), `mutation { read(messageId: "${ids[0]}") archiveAll }`);
      for (const [i, tab] of opened.entries()) {
        await tab.frames.first((one) => one.event === "archive-all");
        assert.deepEqual(
          tab.frames.events(),
          i === 0 ? ["message", "read", "archive-all"] : ["message", "archive-all"],
        );
      }
    });

    test("20: a filter by tags takes any of them", async () => {
      const u = newUser();
      const a = await target.send({ userId: u, tags: ["a"] });
      const b = await target.send({ userId: u, tags: ["b", "c"] });
      await target.send({ userId: u, tags: ["A"] });
      const client = await sdkClient(target, u);
      await client.inbox.read({ messageId: a });
      const of = async (filter: { tags: string[]; status?: "unread" }) => {
        const { data } = await client.inbox.getMessages({ filter });
        // The SDK asks for it and leaves it out of its types.
        assert.equal(data?.count, (data?.messages as { totalCount?: number } | undefined)?.totalCount);
        return data?.messages?.nodes?.map((node) => node.messageId);
      };
      assert.deepEqual(await of({ tags: ["a", "b"] }), [b, a]);
      assert.deepEqual(await of({ tags: ["a", "b"], status: "unread" }), [b]);
      assert.deepEqual(await of({ tags: [] }), []);
    });

    test("21: from includes its own millisecond, as text and as a number", async () => {
      const u = newUser();
      const m = await target.send({ userId: u });
      const token = await bearer(u);
      const { body } = await graphql(target, token, `{ message(messageId: "${m}") { created } }`);
      const at = Date.parse(body.data.message.created);
      const count = async (from: string) => (await graphql(target, token, `{ count(params: { from: ${from} }) }`)).body;
      for (const [from, expected] of [
        [JSON.stringify(new Date(at).toISOString()), 1],
        [JSON.stringify(new Date(at + 1).toISOString()), 0],
        [String(at), 1],
        [JSON.stringify(String(at)), 1],
        [String(at + 1), 0],
      ] as const) {
        assert.deepEqual(await count(from), { data: { count: expected } });
      }
      assert.equal((await graphql(target, token, '{ count(params: { from: "soon" }) }')).status, 400);
    });

    test("22: unread counts of twelve tabs come in one answer", async () => {
      const u = newUser();
      await target.send({ userId: u, tags: ["x"] });
      const client = await sdkClient(target, u);
      const filters = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`tab-${i}_x`, { tags: ["x"] }]));
      const counts = await client.inbox.getUnreadCounts(filters);
      assert.deepEqual(Object.values(counts), Array(12).fill(1));
    });

    test("23 to 25: pages follow each other without gap or repetition, whatever arrives meanwhile", async () => {
      const u = newUser();
      const sent: string[] = [];
      for (let i = 0; i < 130; i++) sent.push(await target.send({ userId: u }));
      const client = await sdkClient(target, u);
      const big = (await client.inbox.getMessages({ paginationLimit: 500 })).data?.messages;
      assert.deepEqual([big?.nodes?.length, big?.pageInfo?.hasNextPage], [100, true]);
      const one = await graphql(target, await bearer(u), "{ messages(limit: 0) { nodes { messageId } } }");
      assert.equal(one.body.data.messages.nodes.length, 1);
      const seen: (string | undefined)[] = [];
      let startCursor: string | undefined;
      for (let pages = 0; pages < 6; pages++) {
        const { data } = await client.inbox.getMessages({
          paginationLimit: 24,
          ...(startCursor === undefined ? {} : { startCursor }),
        });
        seen.push(...(data?.messages?.nodes?.map((node) => node.messageId) ?? []));
        startCursor = data?.messages?.pageInfo?.startCursor;
        if (pages === 0) for (let i = 0; i < 5; i++) await target.send({ userId: u });
        if (!data?.messages?.pageInfo?.hasNextPage) break;
      }
      assert.equal(startCursor ?? null, null);
      assert.deepEqual(seen, sent.toReversed());
      assert.equal((await graphql(target, await bearer(u), '{ messages(after: "x") { totalCount } }')).status, 400);
    });

    test("26: a cursor of one list serves another", async () => {
      const u = newUser();
      const old = await target.send({ userId: u });
      const archived = [await target.send({ userId: u }), await target.send({ userId: u })];
      await target.send({ userId: u });
      const client = await sdkClient(target, u);
      for (const messageId of archived) await client.inbox.archive({ messageId });
      const first = await client.inbox.getMessages({ paginationLimit: 1, filter: { archived: true } });
      const startCursor = first.data?.messages?.pageInfo?.startCursor as string;
      const { data } = await client.inbox.getMessages({ startCursor });
      assert.deepEqual(
        data?.messages?.nodes?.map((node) => node.messageId),
        [old],
      );
    });

    test("27: fifty opened in one document are fifty answers and an event for each change", async () => {
      const u = newUser();
      const ids: string[] = [];
      for (let i = 0; i < 49; i++) ids.push(await target.send({ userId: u }));
      const token = await bearer(u);
      await graphql(target, token, `mutation { opened(messageId: "${ids[0]}") }`);
      const b = await open(u);
      const fields = [...ids, "nope"].map((id, i) => `open_${i}: opened(messageId: "${id}")`);
      const { status, body } = await graphql(target, token, `mutation BatchTrackEvents { ${fields.join("\n")} }`);
      assert.equal(status, 200);
      assert.deepEqual(Object.keys(body.data), ids.map((_, i) => `open_${i}`).concat("open_49"));
      assert.deepEqual(Object.values(body.data), [...Array(49).fill(true), false]);
      await settle(b, u);
      assert.deepEqual(
        b.frames.all.filter((one) => one.event === "opened").map((one) => one.messageId),
        ids.slice(1),
      );
      assert.ok((await target.history(ids[7] as string)).includes("OPENED"));
    });

    test("28: marking all read reaches every filter and is heard as one event", async () => {
      const u = newUser();
      const ids: string[] = [];
      for (let i = 0; i < 12; i++) ids.push(await target.send({ userId: u, tags: i < 4 ? ["x"] : [] }));
      const [a, b] = [await open(u), await open(u)];
      for (const messageId of ids.slice(8)) await a.client.inbox.archive({ messageId });
      await a.client.inbox.readAll();
      await b.frames.first((one) => one.event === "mark-all-read");
      const filters = { all: {}, x: { tags: ["x"] }, old: { archived: true } };
      assert.deepEqual(await a.client.inbox.getUnreadCounts(filters), { all: 0, x: 0, old: 0 });
      await settle(b, u);
      await settle(a, u);
      assert.equal(b.frames.events().filter((event) => event === "mark-all-read").length, 1);
      assert.ok(!a.frames.events().includes("mark-all-read"));
      assert.equal((await a.client.inbox.getUnreadCounts({ all: {} })).all, 2);
    });

    test("29: archiving what is read leaves the unread, archiving all does not mark them", async () => {
      const u = newUser();
      const ids: string[] = [];
      for (let i = 0; i < 7; i++) ids.push(await target.send({ userId: u }));
      const [a, b] = [await open(u), await open(u)];
      for (const messageId of ids.slice(0, 3)) await a.client.inbox.read({ messageId });
      const archived = async () => (await a.client.inbox.getMessages({ filter: { archived: true } })).data;
      await a.client.inbox.archiveRead();
      assert.equal((await archived())?.count, 3);
      await a.client.inbox.archiveAll();
      assert.deepEqual([(await archived())?.count, (await archived())?.unreadCount], [7, 4]);
      await b.frames.first((one) => one.event === "archive-all");
      assert.deepEqual(b.frames.events().slice(3), ["archive-read", "archive-all"]);
    });

    test("30: a click counts with the message's own id only", async () => {
      const u = newUser();
      const m = await target.send({ userId: u, actions: [{ content: "View", href: "https://example.com/42" }] });
      const other = await target.send({ userId: u });
      const token = await bearer(u);
      const fields = "trackingIds { clickTrackingId openTrackingId } actions { data }";
      const load = async (id: string) =>
        (await graphql(target, token, `{ message(messageId: "${id}") { read ${fields} } }`)).body.data.message;
      const { trackingIds, actions } = await load(m);
      const click = async (trackingId: string) =>
        (await graphql(target, token, `mutation { clicked(messageId: "${m}", trackingId: "${trackingId}") }`)).body
          .data;
      for (const wrong of ["x", trackingIds.openTrackingId, (await load(other)).trackingIds.clickTrackingId]) {
        assert.deepEqual(await click(wrong), { clicked: false });
      }
      assert.ok(!(await target.history(m)).includes("CLICKED"));
      assert.deepEqual(await click(trackingIds.clickTrackingId), { clicked: true });
      assert.deepEqual(await click(actions[0].data.trackingId), { clicked: true });
      assert.equal((await target.history(m)).filter((type) => type === "CLICKED").length, 2);
      assert.equal((await load(m)).read, null);
    });

    test("31: a ping is answered with its tid", async () => {
      const u = newUser();
      const wire = await openWire(target, `/ws?auth=${await target.token(`user_id:${u} ${ALL_SCOPES}`)}&iwpv=v1`);
      wire.send({ tid: "p", action: "ping" });
      assert.deepEqual(await wire.frames.first((frame) => frame.response === "pong"), { tid: "p", response: "pong" });
      wire.socket.terminate();
    });

    test("32: a stop sends clients away so that they return", async () => {
      const own = await start();
      const token = await own.token(`user_id:u ${ALL_SCOPES}`);
      const v1 = await openWire(own, `/?auth=${token}&iwpv=v1&cid=1`);
      const legacy = await openWire(own, `/?auth=${token}`);
      const stopped = own.stop();
      const reconnect = await v1.frames.first((frame) => frame.event === "reconnect");
      assert.ok((reconnect.retryAfter as number) >= 1);
      for (const wire of [v1, legacy]) {
        const { code, reason } = await wire.closed;
        assert.equal(code, 1012);
        assert.ok(Number(JSON.parse(reason)["Retry-After"]) >= 1);
      }
      assert.deepEqual(legacy.frames.all, []);
      await stopped;
    });

    test("33: nothing missed is replayed to a client that comes back", async () => {
      const u = newUser();
      const token = await target.token(`user_id:${u} ${ALL_SCOPES}`);
      const connect = async () => {
        const wire = await openWire(target, `/?auth=${token}&iwpv=v1&cid=same`);
        wire.send({ tid: "s", action: "subscribe", data: { channel: u, event: "*" } });
        await wire.frames.first((frame) => frame.response === "ack");
        return wire;
      };
      const first = await connect();
      first.socket.terminate();
      for (let i = 0; i < 3; i++) await target.send({ userId: u });
      const second = await connect();
      const fourth = await target.send({ userId: u });
      await second.frames.first((frame) => frame.event === "message");
      assert.deepEqual(
        second.frames.all.filter((frame) => frame.event === "message").map((frame) => frame.messageId),
        [fourth],
      );
      const client = await sdkClient(target, u);
      assert.equal((await client.inbox.getMessages()).data?.count, 4);
      second.socket.terminate();
    });

    test("33: a connection with the same cid takes the place of the old one", async () => {
      const u = newUser();
      const token = await target.token(`user_id:${u} ${ALL_SCOPES}`);
      const first = await openWire(target, `/?auth=${token}&iwpv=v1&cid=same`);
      const second = await openWire(target, `/?auth=${token}&iwpv=v1&cid=same`);
      assert.notEqual((await first.closed).code, 1000);
      second.send({ tid: "p", action: "ping" });
      await second.frames.first((frame) => frame.response === "pong");
      second.socket.terminate();
    });

    test("34: subscribing twice does not double a message", async () => {
      const u = newUser();
      const a = await open(u);
      a.client.inbox.socket.sendSubscribe();
      await a.frames.first((one) => one.response === "ack" && one !== a.frames.all.find((f) => f.response === "ack"));
      const m = await target.send({ userId: u });
      await settle(a, u);
      assert.deepEqual(a.frames.events(m), ["message"]);
    });

    test("35: a seed client hears by connecting", async () => {
      const u = newUser();
      const wire = await openWire(target, `/?token=${await target.token(`user_id:${u} ${ALL_SCOPES}`)}`);
      const m = await target.send({ userId: u });
      const frame = await wire.frames.first((one) => one.event === "message");
      const message = frame.message as unknown as WireMessage;
      assert.equal(message.messageId, m);
      assert.deepEqual(frame.data, message);
      await graphql(target, await bearer(u), `mutation { read(messageId: "${m}") }`);
      const read = await wire.frames.first((one) => one.event === "read");
      assert.deepEqual([read.messageId, read.trackingId], [m, message.trackingIds.readTrackingId]);
      wire.socket.terminate();
    });

    test("36: a legacy client gets flat messages and no replies", async () => {
      const u = newUser();
      const wire = await openWire(target, `/?auth=${await target.token(`user_id:${u} ${ALL_SCOPES}`)}`);
      const data = { channel: u, event: "*", version: 5, clientSourceId: "browser" };
      wire.send({ action: "subscribe", data });
      wire.send({ action: "keepAlive" });
      wire.send("not json");
      // Subscribing is the first thing done with the frames, and keeps their order; a foreign channel is answered.
      wire.send({ action: "subscribe", data: { ...data, channel: "other" } });
      await wire.frames.first((frame) => frame.response === "error");
      const m = await target.send({ userId: u, data: { n: 1 } });
      const message = await wire.frames.first((frame) => frame.type === "message");
      assert.equal(message.messageId, m);
      assert.equal((message.data as Record<string, unknown>).n, 1);
      assert.deepEqual((message.data as Record<string, unknown>).trackingIds, message.trackingIds);
      const token = await bearer(u);
      await graphql(target, token, `mutation { clicked(messageId: "${m}") archiveRead }`);
      await graphql(target, token, `mutation { opened(messageId: "${m}") }`, {
        headers: { "x-courier-client-source-id": "browser" },
      });
      await graphql(target, token, `mutation { read(messageId: "${m}") }`);
      await wire.frames.first((frame) => frame.event === "read");
      assert.deepEqual(
        wire.frames.all.map((frame) => [frame.type, frame.event]),
        [
          [undefined, undefined],
          ["message", undefined],
          ["event", "read"],
        ],
      );
      wire.socket.terminate();
    });

    test("37: a client key needs the signature of the user", async () => {
      const u = newUser();
      const m = await target.send({ userId: u });
      const signature = createHmac("sha256", target.secretKey).update(u).digest("hex");
      const ask = (more: Record<string, string>) =>
        graphql(target, null, "{ messages { nodes { messageId } } }", {
          headers: { "x-courier-client-key": target.publicKey, "x-courier-user-id": u, ...more },
        });
      const signed = await ask({ "x-courier-user-signature": signature });
      assert.deepEqual([signed.status, signed.body.data.messages.nodes], [200, [{ messageId: m }]]);
      assert.equal((await ask({ "x-courier-user-signature": "0".repeat(64) })).status, 403);
      assert.equal((await ask({})).status, 403);
      assert.equal((await graphql(target, `Bearer ${target.publicKey}`, "{ count }")).status, 403);

      const wire = await openWire(target, `/?clientKey=${encodeURIComponent(target.publicKey)}`);
      const subscribe = (userSignature: string) =>
        wire.send({ action: "subscribe", data: { channel: u, event: "*", version: 5, userSignature } });
      subscribe("wrong");
      await wire.frames.first((frame) => frame.response === "error");
      subscribe(signature);
      // A granted subscription is silent here; frames are dealt with in order, so a second refusal shows it is done.
      wire.send({ action: "subscribe", data: { channel: "" } });
      await wire.frames.first((frame) => frame.response === "error" && frame !== wire.frames.all[0]);
      await target.send({ userId: u });
      await wire.frames.first((frame) => frame.type === "message");
      wire.socket.terminate();
    });

    test("39: a tracking address takes signals from anyone and tells nothing", async () => {
      const u = newUser();
      const m = await target.send({ userId: u });
      const a = await open(u);
      const token = await bearer(u);
      const { body } = await graphql(
        target,
        token,
        `{ message(messageId: "${m}") { trackingIds { openTrackingId } } }`,
      );
      const post = (id: string, event: unknown) =>
        fetch(`${target.url}/e/${id}`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ event }),
        });
      const id: string = body.data.message.trackingIds.openTrackingId;
      assert.equal((await post(id, "OPENED")).status, 200);
      await a.frames.first((one) => one.event === "opened" && one.messageId === m);
      assert.ok((await target.history(m)).includes("OPENED"));
      assert.equal((await post(id, "unsubscribe")).status, 200);
      assert.equal((await post("unknown", "click")).status, 200);
      assert.equal((await post(id, "constructor")).status, 400);
      assert.equal((await post(id, 5)).status, 400);
      await a.client.tracking.postTrackingUrl({ url: `${target.url}/e/${id}`, event: "CLICKED" });
      assert.ok((await target.history(m)).includes("CLICKED"));
    });

    test("40: browsers on other origins may call, and may read refusals", async () => {
      const headers = "content-type, authorization, x-courier-ua, x-courier-user-id, x-courier-client-source-id";
      const preflight = await fetch(`${target.url}/q`, {
        method: "OPTIONS",
        headers: {
          origin: "https://app.example",
          "access-control-request-method": "POST",
          "access-control-request-headers": headers,
        },
      });
      assert.equal(preflight.status, 204);
      assert.equal(preflight.headers.get("access-control-allow-headers"), headers);
      const refused = await graphql(target, "Bearer undefined", "{ count }");
      assert.equal(refused.status, 401);
      assert.equal(refused.headers.get("access-control-allow-origin"), "*");
    });

    test("41: what phones send is understood", async () => {
      const u = newUser();
      const token = await bearer(u);
      const ios = await graphql(target, token, "query A { count } query B { count }", {
        body: { variables: "{}", operationName: "A" },
      });
      assert.deepEqual(ios.body, { data: { count: 0 } });
      const android = await graphql(
        target,
        token,
        "query { a: count(params: { , archived: true }) b: count(params: {  }) }",
        { path: "/client/q", body: { variables: null } },
      );
      assert.deepEqual(android.body, { data: { a: 0, b: 0 } });
      const extra = await graphql(target, token, "query ($n: Int) { messages(limit: $n) { totalCount __typename } }", {
        body: { variables: { n: 3, pinnedParams: {} } },
      });
      assert.equal(extra.status, 200);
    });
  });
}

/** On the real clock there is nothing to wait on but time itself. */
async function passTime(target: TestTarget, ms: number): Promise<void> {
  if (target.advance === undefined) await new Promise((resolve) => setTimeout(resolve, ms));
  else target.advance(ms);
}
