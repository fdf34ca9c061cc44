/** Knock's feed in a browser, as a team has it in its product: unmodified components, pointed at this server. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import Knock from "@knocklabs/node";
import type { Browser, Locator, Page, Request, WebSocket } from "playwright-core";
import { chromiumMissing, launchBrowser, watchHosts } from "../support/browser.ts";
import { type Child, call, SECRET_KEY, startChild } from "../support/child.ts";
import { type EmbeddingSite, embeddingSite } from "../support/embedding-site.ts";

const ARTEFACTS = join(import.meta.dirname, "../artefacts");
const FEED_ID = "5b1c3f0e-6a52-4d0f-9d8c-0f4f6b7a8c9d";
const PUBLIC_KEY = "pk_of_the_feed_journey";

describe("Knock's feed in a browser", { skip: chromiumMissing() }, () => {
  let dataDir: string;
  let server: Child;
  let port: string;
  let knock: Knock;
  let browser: Browser;
  let site: EmbeddingSite;
  let users = 0;

  const start = (more: { readonly [name: string]: string } = {}): Promise<Child> =>
    startChild({ CARILLON_DATA_DIR: dataDir, CARILLON_FEED_ID: FEED_ID, CARILLON_PUBLIC_KEY: PUBLIC_KEY, ...more });

  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "carillon-feed-"));
    await mkdir(ARTEFACTS, { recursive: true });
    [browser, site, server] = await Promise.all([launchBrowser(), embeddingSite("feed-host"), start()]);
    port = new URL(server.url).port;
    knock = new Knock({ apiKey: SECRET_KEY, baseURL: server.url });
    const steps = [
      {
        ref: "in_app",
        type: "channel",
        channel_key: "in-app",
        template: {
          markdown_body: "**{{ actor.name }}** commented: {{ text }}",
          action_url: "https://app.example.org/{{ text }}",
          action_buttons: [{ label: "Reply", action: "https://app.example.org/reply" }],
        },
      },
    ];
    const workflow = { name: "New comment", steps, categories: ["collab"] };
    const pushed = await call(server.url, "PUT", "/v1/workflows/new-comment?environment=development&commit=true", {
      workflow,
    });
    assert.equal(pushed.status, 200, JSON.stringify(pushed.body));
  });
  after(async () => {
    await browser?.close();
    await site?.close();
    await server?.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  const comment = (userId: string, text: string, tenant?: string) =>
    knock.workflows.trigger("new-comment", {
      recipients: [{ id: userId, name: userId }],
      actor: { id: "ann", name: "Ann" },
      data: { text },
      ...(tenant === undefined ? {} : { tenant }),
    });

  interface Opened {
    readonly page: Page;
    readonly userId: string;
    readonly sockets: readonly WebSocket[];
    readonly requests: readonly Request[];
  }

  /** A page with these feeds of a user of its own, once all of them have been fetched. */
  async function open(t: TestContext, feeds: { readonly [name: string]: object } = { Feed: {} }): Promise<Opened> {
    const userId = `u${++users}`;
    await knock.users.update(userId, { name: userId });
    const context = await browser.newContext({ viewport: { width: 900, height: 640 } });
    t.after(() => context.close());
    const hosts = watchHosts(context);
    const page = await context.newPage();
    const sockets: WebSocket[] = [];
    const requests: Request[] = [];
    page.on("websocket", (socket) => sockets.push(socket));
    page.on("request", (request) => requests.push(request));
    const faults: string[] = [];
    page.on("pageerror", (error) => faults.push(error.message));
    // Listened for before anything can come: a join that is answered first would never be heard of.
    const joined = nextJoin(page);
    await page.goto(site.page({ host: server.url, apiKey: PUBLIC_KEY, userId, feedId: FEED_ID, feeds }));
    for (const name of Object.keys(feeds)) await region(page, name).getByText("No notifications yet").waitFor();
    await joined;
    t.after(() => {
      assert.deepEqual([...hosts].sort(), [new URL(server.url).host, site.host].sort());
      assert.deepEqual(faults, []);
    });
    return { page, userId, sockets, requests };
  }

  const region = (page: Page, name = "Feed"): Locator => page.getByRole("region", { name, exact: true });
  const cell = (page: Page, text: string, name = "Feed"): Locator =>
    region(page, name).locator(".rnf-notification-cell").filter({ hasText: text });
  const counts = (page: Page, text: string, name = "Feed"): Promise<void> =>
    region(page, name).getByLabel("Counts").filter({ hasText: text }).waitFor();
  const item = async (userId: string) => (await knock.users.feeds.listItems(userId, FEED_ID)).entries[0];

  test("an item arrives by itself, and what is done with it is kept: read, archived, all read", async (t) => {
    const { page, userId } = await open(t);
    await comment(userId, "first");
    await cell(page, "Ann commented: first").waitFor();
    await counts(page, "unread 1 unseen 1 total 1");
    await cell(page, "first").getByText("Reply").waitFor();
    await page.screenshot({ path: join(ARTEFACTS, "knock-feed.png") });
    assert.equal((await item(userId))?.read_at, null);

    await Promise.all([
      page.waitForResponse((response) => response.url().includes("/interacted")),
      cell(page, "first").locator(".rnf-notification-cell__content").click(),
    ]);
    await counts(page, "unread 0");
    const clicked = await item(userId);
    assert.ok(clicked?.read_at && clicked.interacted_at);

    await comment(userId, "second");
    await cell(page, "second").waitFor();
    await comment(userId, "third");
    await cell(page, "third").waitFor();
    await counts(page, "unread 2");
    await Promise.all([
      page.waitForResponse((response) => response.url().includes("/bulk/read")),
      page.getByText("Mark all as read").click(),
    ]);
    await counts(page, "unread 0 unseen");
    await cell(page, "third").hover();
    await Promise.all([
      page.waitForResponse((response) => response.url().includes("/archived")),
      cell(page, "third").locator(".rnf-archive-notification-btn").click(),
    ]);
    await cell(page, "third").waitFor({ state: "detached" });
    const left = await knock.users.feeds.listItems(userId, FEED_ID);
    assert.deepEqual(
      left.entries.map(({ data, read_at }) => [data?.text, read_at !== null]),
      [
        ["second", true],
        ["first", true],
      ],
    );
  });

  test("two feeds with different filters share one socket, and each hears of its own items only", async (t) => {
    const { page, userId, sockets, requests } = await open(t, { Acme: { tenant: "acme" }, Zeta: { tenant: "zeta" } });
    assert.equal(sockets.filter((socket) => socket.url().includes("/ws/v1/websocket")).length, 1);
    const fetches = (tenant: string): number =>
      requests.filter((request) => request.url().includes("/feeds/") && request.url().includes(`tenant=${tenant}`))
        .length;
    const before = fetches("acme");
    await comment(userId, "for zeta", "zeta");
    await cell(page, "for zeta", "Zeta").waitFor();
    assert.deepEqual(await page.evaluate("window.realtime"), { Zeta: 1 });
    assert.equal(fetches("acme"), before, "the other feed asks nothing");
    await comment(userId, "for acme", "acme");
    await cell(page, "for acme", "Acme").waitFor();
    assert.equal(await cell(page, "for zeta", "Acme").count(), 0);
    assert.equal(await cell(page, "for acme", "Zeta").count(), 0);
    // What has no tenant is everybody's.
    await comment(userId, "for all");
    await Promise.all([cell(page, "for all", "Acme").waitFor(), cell(page, "for all", "Zeta").waitFor()]);
    await counts(page, "unread 2", "Acme");
    await counts(page, "unread 2", "Zeta");
  });

  test("what a user says in the vendor's preferences hook is kept, shown again, and obeyed", async (t) => {
    const { page, userId } = await open(t);
    const preferences = page.getByRole("region", { name: "Preferences" });
    const shown = (text: string): Promise<void> => preferences.getByLabel("Set").filter({ hasText: text }).waitFor();
    await preferences.getByRole("button", { name: "Mute", exact: true }).click();
    await shown('"in_app_feed":false');
    await comment(userId, "not wanted");
    await page.reload();
    await shown('"in_app_feed":false');
    await preferences.getByRole("button", { name: "Unmute" }).click();
    await shown('"in_app_feed":true');
    await comment(userId, "wanted");
    await cell(page, "wanted").first().waitFor();
    assert.equal(await cell(page, "not wanted").count(), 0);
  });

  test("after a restart of the server the feed comes back, and neither loses nor doubles an item", async (t) => {
    const { page, userId, sockets } = await open(t);
    await comment(userId, "before");
    await cell(page, "before").waitFor();
    const closed = sockets.at(-1)?.waitForEvent("close");
    assert.equal(await server.stop(), 0);
    await closed;
    // The page tries again and again; what counts is the first socket that has joined.
    const rejoined = nextJoin(page);
    server = await start({ PORT: port });
    await comment(userId, "while away");
    await rejoined;
    await comment(userId, "after");
    await cell(page, "after").waitFor();
    // Catching up brings what came while the socket was away.
    await cell(page, "while away").waitFor();
    for (const text of ["before", "while away", "after"]) assert.equal(await cell(page, text).count(), 1, text);
    await counts(page, "unread 3 unseen 3 total 3");
  });
});

/** Resolves when a socket that the page has yet to open has joined a feed. */
function nextJoin(page: Page): Promise<void> {
  return new Promise((done) => {
    page.on("websocket", (socket) => {
      socket.on("framereceived", ({ payload }) => {
        if (String(payload).includes("phx_reply") && String(payload).includes("feeds:")) done();
      });
    });
  });
}
