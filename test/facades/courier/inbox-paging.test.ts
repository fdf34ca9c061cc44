/** Scenarios 19 and 23 of the inbox contract on the whole server: a tenant's fan-out, and paging through 10,000 messages. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { FakeClock } from "../../../src/lib/clock.ts";
import { forEachDatabase, newPlace } from "../../conformance/databases.ts";
import { PUBLIC_KEY, SECRET_KEY, startServer } from "../../support/server.ts";
import {
  ALL_SCOPES,
  graphql,
  openTab,
  pretendToBeABrowser,
  sdkClient,
  type Tab,
  type WireMessage,
} from "./inbox-clients.ts";
import type { TestTarget } from "./inbox-scenarios.ts";

const MESSAGES = 10_000;
const PAGE = 100;
const P95_MS = 300;

/** Messages of one request, over and over: full requests, small ones, and all in between. */
const SIZES = [100, 1, 62, 100, 37, 100];

const CONTENT = { title: "Title", body: "Body" };
const INBOX_ONLY = { method: "single" as const, channels: ["inbox"] };

/** One for both suites: ids never go back within a process, and creation times are read off them. */
const clock = new FakeClock(Date.now());

forEachDatabase((name) => {
  type Server = Awaited<ReturnType<typeof startServer>>;
  const tabs: Tab[] = [];
  let server: Server;
  let target: TestTarget;
  let remove: () => Promise<void>;

  before(async () => {
    pretendToBeABrowser();
    const made = await newPlace(name);
    remove = made.remove;
    const { dataDir, url } = made.place;
    const env = { CARILLON_DATA_DIR: dataDir, ...(url === null ? {} : { CARILLON_DATABASE_URL: url }) };
    server = await startServer(env, { clock, roll: () => 0.5 });
    const notUsed = () => Promise.reject(new Error("not used here"));
    target = {
      url: server.url,
      secretKey: SECRET_KEY,
      publicKey: PUBLIC_KEY,
      token: async (scope) => (await server.sdk.auth.issueToken({ scope, expires_in: "1 hour" })).token,
      send: notUsed,
      history: notUsed,
      stop: notUsed,
    };
  });
  after(async () => {
    for (const tab of tabs) tab.close();
    // What a stop waits for, it waits for on the server's clock.
    const pump = setInterval(() => clock.advance(500), 5);
    await server.close();
    clearInterval(pump);
    await remove();
  });

  async function open(userId: string, tenantId: string): Promise<Tab> {
    const tab = await openTab(target, userId, { tenantId });
    tabs.push(tab);
    return tab;
  }

  /** A tenant with these members. */
  async function tenantOf(tenantId: string, members: readonly string[]): Promise<void> {
    await server.sdk.tenants.update(tenantId, { name: tenantId });
    for (const userId of members) await server.sdk.users.tenants.addSingle(tenantId, { user_id: userId });
  }

  async function sendTo(to: object): Promise<string> {
    clock.advance(1);
    return (await server.sdk.send.message({ message: { to, content: CONTENT, routing: INBOX_ONLY } })).requestId;
  }

  async function firstListed(tab: Tab): Promise<WireMessage & { read?: string; opened?: string; archived?: string }> {
    const { data } = await tab.client.inbox.getMessages();
    const [node] = data?.messages?.nodes ?? [];
    assert.ok(node);
    return node as unknown as WireMessage;
  }

  test(`${name}: 19. each member of a tenant has a message named by request and user; nobody else sees it`, async () => {
    await tenantOf("acme", ["u1", "u2"]);
    const [one, two, outsider] = [await open("u1", "acme"), await open("u2", "acme"), await open("u3", "acme")];
    const requestId = await sendTo({ tenant_id: "acme" });
    for (const [userId, tab] of [
      ["u1", one],
      ["u2", two],
    ] as const) {
      const messageId = `${requestId}:${userId}`;
      const frame = await tab.frames.first((heard) => heard.event === "message");
      assert.equal(frame.messageId, messageId);
      assert.equal((await firstListed(tab)).messageId, messageId);
      assert.equal((await server.sdk.messages.retrieve(messageId)).id, messageId);
    }

    const foreign = await graphql(
      target,
      `Bearer ${await target.token(`user_id:u3 ${ALL_SCOPES}`)}`,
      `mutation { read(messageId: "${requestId}:u1") own: read(messageId: "${requestId}:u3") }`,
    );
    assert.deepEqual(foreign.body.data, { read: false, own: false });
    const { data } = await outsider.client.inbox.getMessages();
    assert.deepEqual([data?.count, data?.messages?.nodes], [0, []]);
    await sendTo({ user_id: "u3", tenant_id: "acme" });
    await outsider.frames.first((heard) => heard.event === "message");
    assert.deepEqual(outsider.frames.events(), ["message"], "and the frame of u1 and u2 would have come before it");
    for (const tab of [one, two]) assert.equal((await firstListed(tab)).read, null);
  });

  /**
   * No spaces: those separate the items of a token's scope. Nothing beyond Latin-1: ids go into headers. None of `#`, `%`
   * and `&`: the SDK puts the user's id into the address of its socket as it is.
   */
  const UNUSUAL = [
    `o"neil`,
    "back\\slash",
    `")}mutation{markAllRead}`,
    "a/b?c,d",
    "jürgen",
    "~~x",
    "a:b",
    "\u0024{`'}",
  ];

  test(`${name}: 19. members with any characters in their ids read, open, click and archive by the id they got`, async () => {
    await tenantOf("odd", UNUSUAL);
    const others = await Promise.all(UNUSUAL.map((userId) => open(userId, "odd")));
    const requestId = await sendTo({ tenant_id: "odd" });
    const seen = new Set<string>();
    for (const [i, userId] of UNUSUAL.entries()) {
      const other = others[i] as Tab;
      const { inbox } = await sdkClient(target, userId, { tenantId: "odd" });
      const { messageId, data } = (await other.frames.first((heard) => heard.event === "message")) as unknown as {
        messageId: string;
        data: WireMessage;
      };
      assert.match(messageId, new RegExp(`^${requestId}:[A-Za-z0-9_.:~@=+-]+$`));
      seen.add(messageId);
      assert.equal((await firstListed(other)).messageId, messageId);

      await inbox.read({ messageId });
      await inbox.open({ messageId });
      await inbox.click({ messageId, trackingId: data.trackingIds.clickTrackingId as string });
      const changed = await firstListed(other);
      assert.ok(changed.read && changed.opened, userId);
      await inbox.archive({ messageId });
      const archived = await inbox.getArchivedMessages();
      assert.deepEqual(
        archived.data?.messages?.nodes?.map((node) => node.messageId),
        [messageId],
      );
      await other.frames.first((heard) => heard.event === "archive");
      assert.deepEqual(other.frames.events(messageId), ["message", "read", "opened", "clicked", "archive"]);

      // The same id in the path of a REST call, and the user's own id as people would write it.
      for (const spelled of [messageId, `${requestId}:${userId}`]) {
        const record = await server.sdk.messages.retrieve(spelled);
        assert.deepEqual([record.id, record.recipient, record.status], [messageId, userId, "CLICKED"]);
      }
    }
    assert.equal(seen.size, UNUSUAL.length);
  });

  test(`${name}: 23. 10,000 messages are paged through in order, each once, every page quickly`, async (t) => {
    const userId = "reader";
    for (let sent = 0, turn = 0; sent < MESSAGES; turn++) {
      const size = Math.min(SIZES[turn % SIZES.length] as number, MESSAGES - sent);
      // Every other request has the time of the one before.
      if (turn % 2 === 0) clock.advance(1 + (turn % 7));
      const to = Array.from({ length: size }, () => ({ user_id: userId }));
      await server.sdk.send.message({ message: { to, content: CONTENT, routing: INBOX_ONLY } });
      sent += size;
    }
    const { inbox } = await sdkClient(target, userId);
    // Requests that took long to plan are expanded after their answer.
    while ((await inbox.getMessages({ paginationLimit: 1 })).data?.count !== MESSAGES);

    const found: WireMessage[] = [];
    const tookMs: number[] = [];
    let pages = 0;
    for (let startCursor: string | undefined, more = true; more; pages++) {
      const began = performance.now();
      const { data } = await inbox.getMessages({
        paginationLimit: PAGE,
        ...(startCursor === undefined ? {} : { startCursor }),
      });
      tookMs.push(performance.now() - began);
      const page = data?.messages;
      assert.ok(page?.pageInfo && page.nodes);
      assert.equal(data?.count, MESSAGES);
      assert.equal(page.nodes.length, PAGE);
      found.push(...(page.nodes as unknown as WireMessage[]));
      more = page.pageInfo.hasNextPage === true;
      if (more) assert.equal(typeof page.pageInfo.startCursor, "string");
      else assert.equal(page.pageInfo.startCursor, null);
      startCursor = page.pageInfo.startCursor ?? undefined;
    }

    assert.equal(pages, MESSAGES / PAGE);
    assert.equal(new Set(found.map((message) => message.messageId)).size, MESSAGES);
    // Both are spelled so that the order of the texts is the order of what they say.
    const places = found.map(({ created, messageId }) => `${created} ${messageId}`);
    for (const [i, place] of places.entries()) {
      if (i > 0) assert.ok(place < (places[i - 1] as string), `${place} comes after ${places[i - 1]}`);
    }
    const times = new Set(found.map((message) => message.created));
    assert.ok(times.size > 50 && times.size < MESSAGES / 2, "distinct and equal times are mixed");
    const p95 = tookMs.sort((a, b) => a - b)[Math.ceil(pages * 0.95) - 1] as number;
    t.diagnostic(`p95 of a page: ${p95.toFixed(1)} ms`);
    assert.ok(p95 < P95_MS, `95 of 100 pages should take less than ${P95_MS} ms; p95 was ${p95.toFixed(0)} ms`);
  });
});
