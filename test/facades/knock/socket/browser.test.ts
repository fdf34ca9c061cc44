/** The vendor's browser SDK with a real socket. Its own timers are real; when the server pushes is up to the fake clock. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Feed, FeedClientOptions, FeedItem } from "@knocklabs/client";
import type { JoinedFeed } from "../../../../src/facades/knock/attention.ts";
import type { Subscription } from "../../../../src/realtime/connection.ts";
import { newPlace } from "../../../conformance/databases.ts";
import { allIds, countsOf, newUser, pushInApp, trigger, triggerEach } from "../feed/feed-world.ts";
import { forEachKnock, type KnockTarget, startKnockTarget } from "../knock-target.ts";

// A page has a window; without one the SDK opens no socket.
Object.assign(globalThis, { window: globalThis });

/** Wire frames that the page sends, and the requests it makes. */
interface Page {
  readonly feed: (options?: FeedClientOptions) => Feed;
  readonly sent: string[];
  readonly requests: URL[];
  readonly client: ReturnType<KnockTarget["browser"]>;
}

function page(t: TestContext, target: KnockTarget, userId: string): Page {
  const client = target.browser(userId);
  t.after(() => client.teardown());
  const api = client.client() as unknown as {
    fetchClient: typeof fetch;
    socket: { conn: WebSocket; onOpen(callback: () => void): void; push(frame: unknown): void };
  };
  const requests: URL[] = [];
  const ask = api.fetchClient;
  api.fetchClient = (url, init) => {
    requests.push(new URL(String(url)));
    return ask(url, init);
  };
  const sent: string[] = [];
  const push = api.socket.push.bind(api.socket);
  api.socket.push = (frame) => {
    const { event, join_ref } = frame as { event: string; join_ref: string };
    if (event !== "heartbeat") sent.push(`${event} ${join_ref}`);
    push(frame);
  };
  return { client, sent, requests, feed: (options) => client.feeds.initialize(target.feedId, options) };
}

/** Starts listening, and resolves when the server has taken the join in. */
async function listen(target: KnockTarget, ...feeds: readonly Feed[]): Promise<void> {
  for (const feed of feeds) {
    const joined = nextSubscription(target);
    feed.listenForUpdates();
    await joined;
  }
}

function nextSubscription(target: KnockTarget): Promise<Subscription> {
  return new Promise((resolve) => {
    const stop = target.app.hub.subscribed.on((subscription) => {
      stop();
      resolve(subscription);
    });
  });
}

/** Lets the push go, and resolves when the feed has fetched what it was told of. */
function received(
  target: KnockTarget,
  feed: Feed,
): Promise<{ readonly ids: readonly string[]; readonly metadata: unknown }> {
  return new Promise((resolve) => {
    const heard = ({ items, metadata }: { items: { id: string }[]; metadata: unknown }): void => {
      feed.off("items.received.realtime", heard as never);
      resolve({ ids: items.map(({ id }) => id), metadata });
    };
    feed.on("items.received.realtime", heard as never);
    target.clock.advance(250);
  });
}

const idsOf = (feed: Feed): string[] => feed.getState().items.map(({ id }) => id);
const metaOf = (feed: Feed): number[] => {
  const { total_count, unread_count, unseen_count } = feed.getState().metadata;
  return [total_count, unread_count, unseen_count];
};

forEachKnock((name, open) => {
  const ready = new WeakSet<KnockTarget>();
  const world = async (): Promise<KnockTarget> => {
    const target = await open();
    if (!ready.has(target)) {
      ready.add(target);
      await pushInApp(target, "wf");
    }
    return target;
  };

  test(`${name}: a new message is pushed, and fetched with one request from where the list ends`, async (t) => {
    const target = await world();
    const user = await newUser(target);
    await triggerEach(target, "wf", user, [{}, {}]);
    const { feed: make, requests } = page(t, target, user);
    const feed = make();
    await listen(target, feed);
    await feed.fetch();
    const newest = feed.getState().items[0];
    target.clock.advance(1_000);
    await trigger(target, "wf", [user], { data: { n: 3 } });
    const { ids } = await received(target, feed);
    assert.equal(ids.length, 1);
    assert.deepEqual(idsOf(feed), await allIds(target, user));
    assert.deepEqual(metaOf(feed), [3, 3, 3]);
    assert.deepEqual(
      requests.map((url) => url.searchParams.get("before")),
      [null, newest?.__cursor],
    );
  });

  test(`${name}: a client with an empty list gets the page when it is pushed to`, async (t) => {
    const target = await world();
    const user = await newUser(target);
    const { feed: make, requests } = page(t, target, user);
    const feed = make();
    await listen(target, feed);
    await trigger(target, "wf", [user]);
    await received(target, feed);
    assert.deepEqual([idsOf(feed).length, requests.length, requests[0]?.searchParams.has("before")], [1, 1, false]);
  });

  test(`${name}: two feeds on one socket are told apart, and the old channel's end does not end the new one`, async (t) => {
    const target = await world();
    const user = await newUser(target);
    const { feed: make, sent, requests, client } = page(t, target, user);
    const acme = make({ tenant: "acme" });
    const archived = make({ archived: "only" });
    await listen(target, acme, archived);
    const [first, , second] = sent.map((line) => line.split(" ")[1]);
    assert.deepEqual(sent, [`phx_join ${first}`, `phx_leave ${first}`, `phx_join ${second}`]);
    target.clock.advance(1_000);
    await trigger(target, "wf", [user], { tenant: "acme" });
    await received(target, acme);
    assert.deepEqual(
      requests.map((url) => url.searchParams.get("archived")),
      ["exclude"],
    );
    assert.deepEqual([metaOf(acme), idsOf(archived)], [[1, 1, 1], []]);
    // Again: the close of the first join has long come by now.
    target.clock.advance(1_000);
    await trigger(target, "wf", [user], { tenant: "acme" });
    await received(target, acme);
    assert.deepEqual(metaOf(acme), [2, 2, 2]);

    // Taking one of them off the page says nothing to the server, which goes on naming it.
    const before = sent.length;
    archived.dispose();
    target.clock.advance(1_000);
    await trigger(target, "wf", [user], { tenant: "acme" });
    await received(target, acme);
    assert.equal(sent.length, before);
    const rejoined = nextSubscription(target);
    (client.client() as unknown as { socket: { conn: WebSocket } }).socket.conn.close(4000);
    const { filter } = (await rejoined) as Subscription<unknown, JoinedFeed>;
    assert.deepEqual(
      filter.listeners.map(({ id }) => id),
      [acme.referenceId],
    );
    await trigger(target, "wf", [user], { tenant: "acme" });
    await received(target, acme);
    assert.deepEqual(metaOf(acme), [4, 4, 4]);
  });

  test(`${name}: each feed's counts are those of its own tenant`, async (t) => {
    const target = await world();
    const user = await newUser(target);
    const { feed: make, requests } = page(t, target, user);
    const [acme, zeta] = [make({ tenant: "acme" }), make({ tenant: "zeta" })];
    await listen(target, acme, zeta);
    await trigger(target, "wf", [user], { tenant: "zeta" });
    await received(target, zeta);
    assert.deepEqual([metaOf(acme), metaOf(zeta), requests.length], [[0, 0, 0], [1, 1, 1], 1]);
  });

  test(`${name}: what the page marks is so on the server`, async (t) => {
    const target = await world();
    const user = await newUser(target);
    await triggerEach(target, "wf", user, [{}, {}, {}]);
    const feed = page(t, target, user).feed();
    await feed.fetch();
    const [a, b, c] = idsOf(feed);
    // As it is now: the page counts by what it knows of an item.
    const item = (id: string | undefined) => feed.getState().items.find((one) => one.id === id) as FeedItem;
    const agree = async (): Promise<void> => assert.deepEqual(await countsOf(target, user), metaOf(feed));
    await feed.markAsSeen(item(a));
    await agree();
    await feed.markAsRead(item(a));
    await agree();
    await feed.markAsInteracted(item(b), { type: "cell_click", action: "https://x.example" });
    await agree();
    await feed.markAsUnread(item(a));
    await agree();
    await feed.markAsUnseen(item(a));
    await agree();
    await feed.markAsArchived(item(c));
    await agree();
    const fresh = await target.knock.messages.get(b as string);
    assert.deepEqual(fresh.engagement_statuses, ["read", "interacted"]);
    assert.equal(fresh.seen_at, null);
    await feed.markAllAsSeen();
    await agree();
    await feed.markAllAsRead();
    await agree();
    assert.deepEqual(await countsOf(target, user), [2, 0, 0]);
    await feed.markAllAsArchived();
    assert.deepEqual(await countsOf(target, user), [0, 0, 0]);
    assert.deepEqual(await countsOf(target, user, "archived=only"), [3, 1, 1]);
  });
});

test("a page comes back after a restart and hears the next message", async (t) => {
  const { place, remove } = await newPlace("sqlite");
  t.after(remove);
  const first = await startKnockTarget({ env: { CARILLON_DATA_DIR: place.dataDir } });
  await pushInApp(first, "wf");
  const user = await newUser(first);
  const feed = page(t, first, user).feed();
  await listen(first, feed);
  await first.close();
  const env = { CARILLON_DATA_DIR: place.dataDir, PORT: new URL(first.url).port };
  const second = await startKnockTarget({ env, clock: first.clock });
  t.after(() => second.close());
  await nextSubscription(second);
  await trigger(second, "wf", [user]);
  await received(second, feed);
  assert.deepEqual(metaOf(feed), [1, 1, 1]);
});
