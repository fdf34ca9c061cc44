/** The demo page: who may reach it, and whether Courier's own components live on this server alone. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import CourierApi from "@trycourier/courier";
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from "fastify";
import { pino } from "pino";
import type { Browser, BrowserContext, Page, WebSocketRoute } from "playwright-core";
import type { Engine } from "../../src/engine/engine.ts";
import type { Environment, SendSpec } from "../../src/engine/model.ts";
import { demoRoutes } from "../../src/http/demo.ts";
import { buildServer } from "../../src/http/server.ts";
import { StaticPages } from "../../src/http/static-pages.ts";
import { FakeClock } from "../../src/lib/clock.ts";
import { chromiumMissing, launchBrowser, watchHosts } from "../support/browser.ts";
import { type Child, SECRET_KEY, startChild } from "../support/child.ts";

const ARTEFACTS = join(import.meta.dirname, "../artefacts");

describe("the demo's routes", () => {
  const PUBLIC_URL = "https://bells.example.org/";
  let dir: string;
  let app: FastifyInstance;
  const sent: SendSpec[] = [];
  const issued: (readonly string[])[] = [];

  /** The routes use one method of the engine; what it was asked is what matters here. */
  const engine = {
    send: async (_environmentId, spec, _idempotency, answer) => {
      sent.push(spec);
      return answer("req_0000000000000000000000000a");
    },
  } satisfies Pick<Engine, "send"> as unknown as Engine;

  function serve(enabled: boolean, build: string): FastifyInstance {
    const server = buildServer({ clock: new FakeClock(), log: pino({ level: "silent" }), ping: async () => {} });
    demoRoutes(server, {
      enabled,
      engine,
      environment: () =>
        ({
          id: "env_0000000000000000000000000a",
          publicKey: "pk_demo",
          feedId: "feed-id",
          appCode: "AAAAA-BBBBB",
        }) as unknown as Environment,
      publicUrl: PUBLIC_URL,
      issueToken: async (userIds) => {
        issued.push(userIds);
        return "a.b.c";
      },
      pages: new StaticPages(pathToFileURL(`${build}/`)),
    });
    return server;
  }

  const ask = (request: InjectOptions): Promise<LightMyRequestResponse> =>
    app.inject({ ...request, headers: { host: "localhost:4000", ...request.headers } });
  const send = (payload: unknown, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> =>
    ask({
      method: "POST",
      url: "/demo/send",
      headers: { "content-type": "application/json", ...headers },
      payload: typeof payload === "string" ? payload : JSON.stringify(payload),
    });

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), "carillon-demo-"));
    await mkdir(join(dir, "dist/assets"), { recursive: true });
    await writeFile(join(dir, "dist/demo.html"), "<!doctype html>demo");
    await writeFile(join(dir, "dist/assets/demo-Abc123.js"), "export {};");
    await writeFile(join(dir, "secret.js"), "not for anyone");
    app = serve(true, join(dir, "dist"));
  });
  after(async () => {
    await app.close();
    await rm(dir, { recursive: true });
  });

  test("do not exist while the demo is off", async () => {
    const off = serve(false, join(dir, "dist"));
    for (const url of [
      "/demo",
      "/demo/inbox",
      "/demo/feed",
      "/demo/setup",
      "/demo/session?user=a",
      "/demo/assets/demo-Abc123.js",
    ]) {
      assert.equal((await off.inject({ url, headers: { host: "localhost" } })).statusCode, 404, url);
    }
    assert.equal((await off.inject({ method: "POST", url: "/demo/send", payload: {} })).statusCode, 404);
    await off.close();
  });

  test("give a session all addresses on the public URL", async () => {
    const answer = (await ask({ url: "/demo/session?user=b" })).json();
    assert.deepEqual(answer, {
      userId: "demo-ben",
      name: "Ben",
      jwt: "a.b.c",
      apiUrls: {
        courier: { rest: "https://bells.example.org", graphql: "https://bells.example.org/client/q" },
        inbox: { graphql: "https://bells.example.org/q", webSocket: "wss://bells.example.org/ws" },
      },
      feed: { host: "https://bells.example.org", publicKey: "pk_demo", channelId: "feed-id" },
      pushwoosh: { url: "https://bells.example.org/json/1.3/", application: "AAAAA-BBBBB" },
    });
  });

  test("hand out tokens for the two demo users only", async () => {
    issued.length = 0;
    for (const query of ["", "?user=", "?user=demo-ada", "?user=root", "?user=a&user=b", "?user=__proto__"]) {
      const answer = await ask({ url: `/demo/session${query}` });
      assert.equal(answer.statusCode, 400, query);
      assert.equal(answer.json().field, "user");
    }
    assert.equal((await ask({ url: "/demo/session?user=a" })).statusCode, 200);
    assert.deepEqual(issued, [["demo-ada"]]);
  });

  test("refuse other websites, and names that may have been pointed at this machine", async () => {
    issued.length = 0;
    sent.length = 0;
    const message = { to: ["a"], title: "t", body: "b" };
    const strangers: Record<string, string>[] = [
      { origin: "https://evil.example" },
      { origin: "null" },
      { origin: "http://localhost:3000" },
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
      { host: "evil.example:4000" },
      { host: "evil.example:4000", origin: "http://evil.example:4000", "sec-fetch-site": "same-origin" },
    ];
    for (const headers of strangers) {
      const session = await ask({ url: "/demo/session?user=a", headers });
      assert.equal(session.statusCode, 403, JSON.stringify(headers));
      assert.equal((await send(message, headers)).statusCode, 403, JSON.stringify(headers));
    }
    for (const host of ["localhost:4000", "127.0.0.1:4000", "[::1]:4000", "bells.example.org"]) {
      const headers = { host, origin: `http://${host}`, "sec-fetch-site": "same-origin" };
      const session = await ask({ url: "/demo/session?user=a", headers });
      assert.equal(session.statusCode, 200, host);
      assert.equal(session.headers["access-control-allow-origin"], undefined);
    }
    assert.deepEqual([issued.length, sent.length], [4, 0]);
  });

  test("send what the form says through the inbox channel", async () => {
    sent.length = 0;
    const answer = await send({
      to: ["a", "b"],
      title: "Hello",
      body: "there",
      tags: ["billing"],
      action: { label: "Open", href: "https://example.com/i/42" },
    });
    assert.equal(answer.statusCode, 202);
    assert.equal(answer.json().requestId, "req_0000000000000000000000000a");
    const [spec] = sent;
    assert.deepEqual(
      spec?.recipients.map((r) => r.kind === "user" && r.userId),
      ["demo-ada", "demo-ben"],
    );
    assert.deepEqual(spec?.routing, { method: "single", channels: ["inbox"] });
    assert.deepEqual(spec?.tags, ["billing"]);
  });

  test("name the field of a message they refuse, and send nothing of it", async () => {
    sent.length = 0;
    const good = { to: ["a"], title: "t", body: "b" };
    const cases: [unknown, string | undefined, number][] = [
      ["[", undefined, 400],
      [[], undefined, 400],
      ["", undefined, 400],
      [`${"[".repeat(10_000)}${"]".repeat(10_000)}`, undefined, 400],
      ['{"__proto__":{"title":"x"}}', undefined, 400],
      [{ ...good, to: [] }, "to", 400],
      [{ ...good, to: ["a", "b", "a"] }, "to", 400],
      [{ ...good, to: ["c"] }, "to.0", 400],
      [{ ...good, to: "a" }, "to", 400],
      [{ ...good, title: 5 }, "title", 400],
      [{ ...good, title: "" }, "title", 400],
      [{ ...good, body: "a\0b" }, "body", 400],
      [{ ...good, body: "\ud800" }, "body", 400],
      [{ ...good, tags: ["ok", ""] }, "tags.1", 400],
      [{ ...good, tags: Array(11).fill("t") }, "tags", 400],
      [{ ...good, action: { label: "x" } }, "action.href", 400],
      [{ ...good, action: { label: "x", href: "javascript:alert(1)" } }, "action.href", 400],
      [{ ...good, body: "x".repeat(70_000) }, undefined, 413],
    ];
    for (const [payload, field, status] of cases) {
      const answer = await send(payload);
      const shown = JSON.stringify(payload).slice(0, 80);
      assert.equal(answer.statusCode, status, shown);
      assert.equal(answer.json().field, field, shown);
    }
    assert.deepEqual(sent, []);
  });

  test("say how to build the pages while they are not built, and serve them as soon as they are", async () => {
    const late = serve(true, join(dir, "later"));
    const before = await late.inject({ url: "/demo", headers: { host: "localhost" } });
    assert.equal(before.statusCode, 503);
    assert.match(before.body, /npm run build -w dashboard/);
    await mkdir(join(dir, "later/assets"), { recursive: true });
    await writeFile(join(dir, "later/demo.html"), "<!doctype html>built");
    const afterwards = await late.inject({ url: "/demo", headers: { host: "localhost" } });
    assert.deepEqual([afterwards.statusCode, afterwards.body], [200, "<!doctype html>built"]);
    await late.close();
  });

  test("serve pages under a policy that names no other host, and assets that never change", async () => {
    const page = await ask({ url: "/demo" });
    const policy = String(page.headers["content-security-policy"]);
    assert.match(policy, /default-src 'none'/);
    assert.deepEqual(
      [...policy.matchAll(/\w+:\/\/[^\s;]+/g)].map(([origin]) => origin),
      ["https://bells.example.org", "wss://bells.example.org"],
    );
    const again = await ask({ url: "/demo", headers: { "if-none-match": String(page.headers.etag) } });
    assert.deepEqual([again.statusCode, again.body], [304, ""]);

    const asset = await ask({ url: "/demo/assets/demo-Abc123.js" });
    assert.equal(asset.headers["content-type"], "text/javascript; charset=utf-8");
    assert.match(String(asset.headers["cache-control"]), /immutable/);
  });

  test("serve no file outside the build", async () => {
    for (const name of [
      "../secret.js",
      "..%2fsecret.js",
      "..%2f..%2fsecret.js",
      "%2e%2e%2fsecret.js",
      "demo.html",
      "constructor",
    ]) {
      const answer = await ask({ url: `/demo/assets/${name}` });
      assert.equal(answer.statusCode, 404, name);
      assert.doesNotMatch(answer.body, /not for anyone/);
    }
  });
});

describe("the vendors' own components on the demo page", { skip: chromiumMissing() }, () => {
  let dataDir: string;
  let server: Child;
  let courier: CourierApi;
  let browser: Browser;

  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "carillon-demo-"));
    await mkdir(ARTEFACTS, { recursive: true });
    browser = await launchBrowser();
    server = await startChild({ CARILLON_DATA_DIR: dataDir, CARILLON_DEMO: "on" });
    courier = new CourierApi({ apiKey: SECRET_KEY, baseURL: server.url });
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  const sendTo = (userId: string, title: string) =>
    courier.send.message({
      message: {
        to: { user_id: userId },
        content: { title, body: `${title}, in full` },
        routing: { method: "single", channels: ["inbox"] },
      },
    });
  const inbox = (page: Page, name: string) => page.frameLocator(`iframe[title="Inbox of ${name}"]`);
  const row = (of: Page | ReturnType<typeof inbox>, title: string) =>
    of.locator("courier-inbox-list-item").filter({ hasText: title });
  const live = (of: Page | ReturnType<typeof inbox>) => of.locator('.status[data-connection="live"]').waitFor();

  async function openInbox(context: BrowserContext, user: "a" | "b"): Promise<Page> {
    const page = await context.newPage();
    await page.goto(`${server.url}/demo/inbox?user=${user}`);
    await live(page);
    return page;
  }

  test("a message sent through the SDK appears in the inbox and as a toast, without a reload and without another host", async () => {
    const context = await browser.newContext({ viewport: { width: 1400, height: 1060 } });
    const hosts = watchHosts(context);
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on("console", (line) => line.type() === "error" && complaints.push(line.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(`${server.url}/demo`);
    const [ada, ben] = [inbox(page, "Ada"), inbox(page, "Ben")];
    await Promise.all([live(ada), live(ben)]);

    await sendTo("demo-ada", "Invoice paid");
    await ada.locator("courier-toast-item").filter({ hasText: "Invoice paid" }).waitFor();
    await row(ada, "Invoice paid").waitFor();

    await page.getByLabel("Title").fill("From the form");
    await page.getByLabel(/^Button/).fill("Open");
    await page.getByLabel("Link").fill("https://example.com/i/42");
    await page.getByRole("button", { name: "Send" }).click();
    for (const frame of [ada, ben]) {
      await frame.locator("courier-toast-item").filter({ hasText: "From the form" }).waitFor();
      await row(frame, "From the form").getByText("Open", { exact: true }).waitFor();
    }
    assert.equal(await row(ben, "Invoice paid").count(), 0, "Ben does not see Ada's message");

    await page.screenshot({ path: join(ARTEFACTS, "demo-light.png"), fullPage: true });
    await page.emulateMedia({ colorScheme: "dark" });
    await page.reload();
    await Promise.all([live(ada), live(ben), row(ada, "From the form").waitFor(), row(ben, "From the form").waitFor()]);
    await page.screenshot({ path: join(ARTEFACTS, "demo-dark.png"), fullPage: true });
    assert.deepEqual([...hosts], [new URL(server.url).host]);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test("one message stands in three lists; what is done with it in one is done in all, without a reload", async () => {
    const context = await browser.newContext({ viewport: { width: 1400, height: 1060 } });
    const hosts = watchHosts(context);
    const page = await context.newPage();
    let loads = 0;
    page.on("load", () => loads++);
    await page.goto(`${server.url}/demo`);
    const ada = inbox(page, "Ada");
    const feed = page.frameLocator('iframe[title="Feed of Ada"]');
    const list = page.frameLocator('iframe[title="List of Ada"]');
    const cell = (title: string) => feed.locator(".rnf-notification-cell").filter({ hasText: title });
    const entry = (title: string) => list.locator("li").filter({ has: list.locator("strong", { hasText: title }) });
    const status = (title: string, value: number) =>
      entry(title)
        .and(list.locator(`[data-status="${value}"]`))
        .waitFor();
    const readInInbox = (title: string) =>
      ada.locator("courier-inbox-list-item:not(.unread)").filter({ hasText: title }).waitFor();
    const shot = (name: string) => page.screenshot({ path: join(ARTEFACTS, name), fullPage: true });
    const send = async (title: string): Promise<void> => {
      await page.getByRole("radio", { name: "Ada" }).check();
      await page.getByLabel("Title").fill(title);
      await page.getByRole("button", { name: "Send" }).click();
      await Promise.all([row(ada, title).waitFor(), cell(title).waitFor(), status(title, 1)]);
    };
    await Promise.all([live(ada), live(feed), live(list)]);

    await send("Read in the feed");
    await shot("one-inbox-1-sent.png");
    await cell("Read in the feed").locator(".rnf-notification-cell__content").click();
    // A click is an interaction as well, there and in the inbox: status 3.
    await Promise.all([readInInbox("Read in the feed"), status("Read in the feed", 3)]);
    await shot("one-inbox-2-read-in-the-feed.png");

    await send("Read in the inbox");
    await row(ada, "Read in the inbox").locator(".title").click();
    await Promise.all([readInInbox("Read in the inbox"), status("Read in the inbox", 3)]);
    await shot("one-inbox-3-read-in-the-inbox.png");

    await send("Read in the list");
    await entry("Read in the list").getByRole("button", { name: "Read" }).click();
    await Promise.all([readInInbox("Read in the list"), status("Read in the list", 2)]);
    await shot("one-inbox-4-read-in-the-list.png");

    await send("Removed from the list");
    await entry("Removed from the list").getByRole("button", { name: "Remove" }).click();
    await entry("Removed from the list").waitFor({ state: "detached" });
    await send("Archived in the feed");
    await cell("Archived in the feed").hover();
    await cell("Archived in the feed").locator(".rnf-archive-notification-btn").click();
    await Promise.all([
      cell("Archived in the feed").waitFor({ state: "detached" }),
      entry("Archived in the feed").waitFor({ state: "detached" }),
      row(ada, "Archived in the feed").waitFor({ state: "detached" }),
    ]);
    await shot("one-inbox-5-archived.png");
    await send("Archived in the inbox");
    await row(ada, "Archived in the inbox").hover();
    await row(ada, "Archived in the inbox").locator("courier-icon-button").last().click();
    await Promise.all([
      row(ada, "Archived in the inbox").waitFor({ state: "detached" }),
      entry("Archived in the inbox").waitFor({ state: "detached" }),
    ]);
    assert.equal(loads, 1);
    assert.deepEqual([...hosts], [new URL(server.url).host]);
    await context.close();
  });

  test("the list shows what has no title by its text, and nothing beyond its edge", async () => {
    const session = await fetch(`${server.url}/demo/session?user=b`);
    const { pushwoosh } = (await session.json()) as { pushwoosh: { url: string; application: string } };
    const text = `No title, and a long word: ${"x".repeat(200)}`;
    const notification = { send_date: "now", content: text, users: ["demo-ben"], inbox_days: 1 };
    const request = { application: pushwoosh.application, auth: SECRET_KEY, notifications: [notification] };
    await fetch(`${pushwoosh.url}createMessage`, { method: "POST", body: JSON.stringify({ request }) });

    const context = await browser.newContext({ viewport: { width: 390, height: 600 } });
    const page = await context.newPage();
    await page.goto(`${server.url}/demo/list?user=b`);
    await page.locator("li strong").filter({ hasText: text }).waitFor();
    const beyond =
      "(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)(document.querySelector('.list-body'))";
    assert.equal(await page.evaluate(beyond), 0);
    await context.close();
  });

  test("what is read in one tab is read in the other", async () => {
    const context = await browser.newContext();
    const [here, there] = [await openInbox(context, "a"), await openInbox(context, "a")];
    await sendTo("demo-ada", "Read me once");
    await Promise.all([row(here, "Read me once").waitFor(), row(there, "Read me once").waitFor()]);
    assert.match((await row(there, "Read me once").getAttribute("class")) ?? "", /\bunread\b/);

    await row(here, "Read me once").locator(".title").click();
    await there.locator("courier-inbox-list-item:not(.unread)").filter({ hasText: "Read me once" }).waitFor();
    await context.close();
  });

  test("an inbox whose socket was cut shows what it missed and goes on hearing", async () => {
    const context = await browser.newContext();
    const sockets: WebSocketRoute[] = [];
    await context.routeWebSocket(/\/ws\?/, (socket) => {
      socket.connectToServer();
      sockets.push(socket);
    });
    const page = await openInbox(context, "b");
    // 1012 as a server says it when it restarts; the SDK alone would come back deaf.
    await sockets[0]?.close({ code: 1012, reason: "restart" });
    await page.locator('.status[data-connection="lost"]').waitFor();
    await sendTo("demo-ben", "While you were away");
    await live(page);
    await row(page, "While you were away").waitFor();
    await sendTo("demo-ben", "Back again");
    await row(page, "Back again").waitFor();
    await page.locator("courier-toast-item").filter({ hasText: "Back again" }).waitFor();
    assert.equal(await row(page, "Back again").count(), 1);
    await context.close();
  });
});
