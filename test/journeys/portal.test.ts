/** The application portal: how it is served, and whether a customer can do in it, in a browser, all that it is for. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { pathToFileURL } from "node:url";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { type AppPortalAccessIn, Svix, Webhook } from "svix";
import type { App } from "../../src/app.ts";
import { portalRoutes } from "../../src/http/portal.ts";
import { buildServer } from "../../src/http/server.ts";
import { StaticPages } from "../../src/http/static-pages.ts";
import { FakeClock } from "../../src/lib/clock.ts";
import { eventually } from "../facades/svix/eventually.ts";
import { chromiumMissing, launchBrowser, watchHosts } from "../support/browser.ts";
import { type EmbeddingSite, embeddingSite } from "../support/embedding-site.ts";
import { type HttpReceiver, httpReceiver } from "../support/http-receiver.ts";
import { SECRET_KEY, startServer } from "../support/server.ts";

const ARTEFACTS = join(import.meta.dirname, "../artefacts");

describe("the portal's routes", () => {
  let dir: string;
  let app: FastifyInstance;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), "carillon-portal-"));
    await mkdir(join(dir, "assets"));
    await writeFile(join(dir, "portal.html"), "<!doctype html>portal");
    await writeFile(join(dir, "assets/portal-Abc123.js"), "export {};");
    app = buildServer({ clock: new FakeClock(), log: pino({ level: "silent" }), ping: async () => {} });
    portalRoutes(app, { pages: new StaticPages(pathToFileURL(`${dir}/`)) });
  });
  after(async () => {
    await app.close();
    await rm(dir, { recursive: true });
  });

  test("serve the page to be framed by anyone, and let it speak to this server only", async () => {
    for (const url of ["/portal/", "/portal/login", "/portal/login?darkMode=true"]) {
      const page = await app.inject({ url });
      assert.deepEqual([page.statusCode, page.body], [200, "<!doctype html>portal"], url);
      const policy = String(page.headers["content-security-policy"]);
      assert.match(policy, /default-src 'none'/);
      assert.match(policy, /connect-src 'self'(;|$)/);
      assert.doesNotMatch(policy, /frame-ancestors|unsafe|:\/\//);
      assert.equal(page.headers["x-frame-options"], undefined);
      assert.equal(page.headers["referrer-policy"], "no-referrer");
    }
  });

  test("bring addresses to the depth from which the page finds its assets", async () => {
    const cases = [
      ["/portal", "portal/"],
      ["/portal?darkMode=true", "portal/?darkMode=true"],
      ["/portal/login/", "../login"],
    ] as const;
    for (const [url, to] of cases) {
      const answer = await app.inject({ url });
      assert.deepEqual([answer.statusCode, answer.headers.location], [302, to], url);
    }
  });

  test("serve assets for ever, and no file outside the build", async () => {
    const asset = await app.inject({ url: "/portal/assets/portal-Abc123.js" });
    assert.equal(asset.statusCode, 200);
    assert.match(String(asset.headers["cache-control"]), /immutable/);
    for (const name of ["portal.html", "..%2fportal.html", "constructor"]) {
      assert.equal((await app.inject({ url: `/portal/assets/${name}` })).statusCode, 404, name);
    }
  });
});

describe("the portal in a browser", { skip: chromiumMissing() }, () => {
  let server: App;
  let svix: Svix;
  let browser: Browser;
  let made = 0;

  before(async () => {
    await mkdir(ARTEFACTS, { recursive: true });
    browser = await launchBrowser();
    // One try each, so that what failed stays failed until somebody does something about it.
    server = await startServer({ CARILLON_WEBHOOK_RETRY_SECONDS: "none" });
    svix = new Svix(SECRET_KEY, { serverUrl: server.url });
    for (const name of ["invoice.created", "invoice.paid", "user.created"]) {
      const schema = { type: "object", title: name, examples: [{ id: "ex_1", amount: 1250 }, { id: "ex_2" }] };
      const schemas = name === "user.created" ? null : { "1": schema };
      await svix.eventType.create({ name, description: `Something about ${name}`, schemas });
    }
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  async function receiver(t: TestContext): Promise<HttpReceiver> {
    const hook = await httpReceiver();
    t.after(() => hook.close());
    return hook;
  }

  async function customer(): Promise<string> {
    return (await svix.application.create({ name: `Customer ${++made}` })).id;
  }

  async function newContext(t: TestContext, options?: Parameters<Browser["newContext"]>[0]): Promise<BrowserContext> {
    const context = await browser.newContext({ viewport: { width: 1180, height: 800 }, ...options });
    t.after(() => context.close());
    return context;
  }

  /** A signed-in page, by a link as a customer gets it. What the page complains of fails the test at its end. */
  async function open(
    t: TestContext,
    appId: string,
    options: { readonly access?: AppPortalAccessIn; readonly query?: string; readonly dark?: boolean } = {},
  ): Promise<Page> {
    const context = await newContext(t, options.dark ? { colorScheme: "dark" } : {});
    const page = await context.newPage();
    const complaints = complaintsOf(page);
    t.after(() => assert.deepEqual(complaints, []));
    const { url } = await svix.authentication.appPortalAccess(appId, options.access ?? {});
    await page.goto(url.replace("#", `${options.query ?? ""}#`));
    await page.getByRole("heading", { name: "Endpoints" }).waitFor();
    return page;
  }

  /** Opens the only endpoint of an application that was made for the test. */
  async function openEndpoint(
    t: TestContext,
    hook: HttpReceiver,
    options: Parameters<typeof open>[2] & { readonly filterTypes?: string[] } = {},
  ): Promise<{ readonly page: Page; readonly appId: string; readonly endpointId: string }> {
    const appId = await customer();
    const { filterTypes } = options;
    const { id } = await svix.endpoint.create(appId, { url: `${hook.url}/in`, ...(filterTypes && { filterTypes }) });
    const page = await open(t, appId, options);
    await page.getByRole("link", { name: `${hook.url}/in` }).click();
    await page.getByRole("heading", { name: `${hook.url}/in` }).waitFor();
    return { page, appId, endpointId: id };
  }

  const publish = (appId: string, eventType: string, payload: object = { amount: 1 }) =>
    svix.message.create(appId, { eventType, payload });
  const attempts = (page: Page): Locator => page.getByRole("region", { name: "Attempts" }).locator(".attempt-row");
  const shot = (page: Page, name: string) =>
    page.screenshot({ path: join(ARTEFACTS, `portal-${name}.png`), fullPage: true });

  test("a customer comes in by a link, adds an endpoint, and sees what was sent to it and answered", async (t) => {
    const hook = await receiver(t);
    hook.answer({
      status: 201,
      headers: { "content-type": "application/json", "x-kind": "hello" },
      body: '{"got":"it"}',
    });
    const appId = await customer();
    const context = await newContext(t);
    const hosts = watchHosts(context);
    const page = await context.newPage();
    const complaints = complaintsOf(page);
    const { url } = await svix.authentication.appPortalAccess(appId, {});
    await page.goto(url);
    await page.getByText("No endpoints yet").waitFor();
    assert.doesNotMatch(page.url(), /key=/);

    await page.getByRole("link", { name: "Add endpoint" }).click();
    await page.getByLabel("Address", { exact: true }).fill(`${hook.url}/in`);
    await page.getByLabel("Description").fill("Billing – Ünïcode 漢字");
    await page.getByLabel("Only these").check();
    await page.getByPlaceholder("Search event types").fill("invoice");
    assert.equal(await page.getByLabel("user.created").count(), 0);
    await page.getByRole("checkbox", { name: "invoice", exact: true }).check();
    await page.getByLabel("Rate limit").fill("50");
    await page.getByRole("button", { name: "Create endpoint" }).click();
    await page.getByRole("heading", { name: `${hook.url}/in` }).waitFor();
    await page.getByText("Nothing was sent yet").waitFor();
    const [endpoint] = (await svix.endpoint.list(appId)).data;
    assert.deepEqual(endpoint?.filterTypes, ["invoice.created", "invoice.paid"]);
    assert.deepEqual([endpoint?.description, endpoint?.throttleRate], ["Billing – Ünïcode 漢字", 50]);

    await publish(appId, "user.created");
    const message = await publish(appId, "invoice.paid", { amount: 12.5, to: "Zoë 🎉" });
    const [request] = await hook.received(1);
    await page.getByRole("button", { name: "Refresh" }).click();
    await attempts(page).filter({ hasText: "invoice.paid" }).click();
    assert.equal(await attempts(page).count(), 1);
    await page.getByText("9 headers").waitFor();
    await page.getByText("headers").first().click();
    const detail = page.locator(".detail");
    await detail.getByText(String(request?.headers["webhook-signature"])).first().waitFor();
    await detail.getByText('"to": "Zoë 🎉"').waitFor();
    await detail.getByText('"got": "it"').waitFor();
    await detail.getByRole("heading", { name: "Response 201" }).waitFor();
    await page.getByText("100 %").waitFor();
    await shot(page, "attempt");

    await detail.getByRole("link", { name: message.id }).click();
    await page.getByRole("heading", { name: "invoice.paid" }).waitFor();
    await page.getByRole("region", { name: "Payload" }).last().getByText('"amount": 12.5').waitFor();
    await page.getByRole("link", { name: "Messages", exact: true }).first().click();
    await page.locator(".message-row").nth(1).waitFor();
    await page.getByLabel("Event type").selectOption("user.created");
    await page.locator(".message-row").nth(1).waitFor({ state: "detached" });
    assert.match((await page.locator(".message-row").textContent()) ?? "", /user\.created/);

    assert.deepEqual([...hosts], [new URL(server.url).host]);
    assert.deepEqual(complaints, []);
  });

  test("a link works once; the tab it was opened in keeps the session, and nothing else does", async (t) => {
    const appId = await customer();
    const { url } = await svix.authentication.appPortalAccess(appId, {});
    const context = await newContext(t);
    const page = await context.newPage();
    await page.goto(url);
    await page.getByText("No endpoints yet").waitFor();
    await page.reload();
    await page.getByText("No endpoints yet").waitFor();
    // As a frame does that is loaded with the same address once more.
    await page.goto("about:blank");
    await page.goto(url);
    await page.getByText("No endpoints yet").waitFor();
    assert.equal(await page.evaluate("localStorage.length + document.cookie.length"), 0);

    const other = await (await newContext(t)).newPage();
    await other.goto(url);
    await other.getByRole("heading", { name: "This link is no longer valid" }).waitFor();
    await other.goto("about:blank");
    await other.goto(page.url());
    await other.getByRole("heading", { name: "No one is signed in here" }).waitFor();

    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("heading", { name: "You are signed out" }).waitFor();
    await page.reload();
    await page.getByRole("heading", { name: "No one is signed in here" }).waitFor();
  });

  test("a session that the server ends is told of", async (t) => {
    const appId = await customer();
    const context = await newContext(t);
    const page = await context.newPage();
    await page.goto((await svix.authentication.appPortalAccess(appId, {})).url);
    await page.getByText("No endpoints yet").waitFor();
    await svix.authentication.expireAll(appId, {});
    await page.getByRole("link", { name: "Messages" }).click();
    await page.getByRole("heading", { name: "Your session has ended" }).waitFor();
  });

  test("what failed is sent again by hand, and recovered with its progress in sight", async (t) => {
    const hook = await receiver(t);
    hook.answer({ status: 500, body: "broken" });
    const { page, appId } = await openEndpoint(t, hook);
    for (const n of [1, 2, 3]) await publish(appId, "invoice.paid", { n });
    await hook.received(3);
    await server.engine.dispatcher.idle();
    hook.answer({ status: 200 });
    await page.getByRole("button", { name: "Refresh" }).click();
    await page.getByLabel("Result").selectOption("Succeeded");
    await page.getByText("No such attempts").waitFor();
    await page.getByLabel("Result").selectOption("Failed");
    await attempts(page).nth(2).waitFor();

    await attempts(page).first().click();
    await page.getByText("broken").waitFor();
    await page.getByRole("button", { name: "Send again" }).click();
    await page.getByText(/^Succeeded: 200 in/).waitFor();
    assert.equal((await hook.received(4)).length, 4);

    // The answer about the task is held back, so that the page is seen while the work goes on.
    let letThrough = (): void => {};
    const held = new Promise<void>((resolve) => {
      letThrough = resolve;
    });
    await page.route("**/background-task/*", async (route) => {
      await held;
      await route.continue();
    });
    await page.getByRole("button", { name: "Recover or replay…" }).click();
    await page.getByRole("button", { name: "Recover failed messages" }).click();
    const task = page.getByRole("list", { name: "Recoveries and replays" }).getByRole("listitem");
    await task.getByText("Running · 0 messages sent again").waitFor();
    await task.getByRole("progressbar").waitFor();
    await page.reload();
    await task.getByText("Running").waitFor();
    letThrough();
    await task.getByText("Finished · 2 messages sent again").waitFor();
    await hook.received(6);
    await page.getByLabel("Result").selectOption("Succeeded");
    // The tries come after the task has ended, and appear by themselves.
    await attempts(page).nth(2).waitFor();
    await shot(page, "recovered");
    assert.equal(await page.getByText("manual", { exact: true }).count(), 3);
    await task.getByRole("button", { name: "Dismiss" }).click();
    await task.waitFor({ state: "detached" });
  });

  test("messages from before an endpoint existed are replayed, and all of one type once more", async (t) => {
    const hook = await receiver(t);
    const appId = await customer();
    await publish(appId, "invoice.paid");
    await publish(appId, "invoice.created");
    await svix.endpoint.create(appId, { url: `${hook.url}/in` });
    const page = await open(t, appId);
    await page.getByRole("link", { name: hook.url }).click();
    await page.getByRole("button", { name: "Recover or replay…" }).click();
    await page.getByLabel("Replay missing messages").check();
    await page.getByRole("button", { name: "Replay missing messages" }).click();
    await page.getByText("Finished · 2 messages sent again").waitFor();
    await hook.received(2);

    await page.getByRole("button", { name: "Recover or replay…" }).click();
    await page.getByLabel("Replay everything").check();
    await page.locator("form").getByLabel("Event type").selectOption("invoice.paid");
    await page.getByRole("button", { name: "Replay everything" }).click();
    await page.getByText("Finished · 1 message sent again").waitFor();
    const requests = await hook.received(3);
    assert.equal(new Set(requests.map(({ headers }) => headers["webhook-id"])).size, 2);
  });

  test("an example is sent to the endpoint, and what came of it is told", async (t) => {
    const hook = await receiver(t);
    hook.answer({ status: 204 }, { status: 418 });
    const { page } = await openEndpoint(t, hook);
    await page.getByRole("link", { name: "Send example" }).click();
    await page.getByText('"success": true').waitFor();
    await page.getByLabel("Event type").selectOption("user.created");
    await page.getByText("This event type has no example yet").waitFor();
    await page.getByLabel("Event type").selectOption("invoice.paid");
    await page.getByLabel("Example", { exact: true }).selectOption("2 of 2");
    await page.getByText('"id": "ex_2"').waitFor();
    await page.getByRole("button", { name: "Send example" }).click();
    await page.getByText(/^Succeeded: 204 in/).waitFor();
    assert.deepEqual((await hook.received(1))[0]?.json(), { id: "ex_2" });
    await page.getByRole("button", { name: "Send example" }).click();
    await page.getByText(/^Failed: 418 in/).waitFor();
    await page.getByRole("link", { name: "Show message" }).click();
    await page.getByRole("region", { name: "Endpoints" }).getByText("Failed").waitFor();
  });

  test("an endpoint is changed, turned off and on, and deleted after asking back", async (t) => {
    const hook = await receiver(t);
    const { page, appId, endpointId } = await openEndpoint(t, hook, { filterTypes: ["invoice.paid"] });
    await svix.endpoint.patch(appId, endpointId, { metadata: { keep: "me" }, uid: "mine" });
    await page.getByRole("link", { name: "Settings" }).click();
    const save = page.getByRole("button", { name: "Save changes" });
    assert.ok(await save.isDisabled());
    await page.getByLabel("Description").fill("changed");
    await page.getByLabel("invoice.created").check();
    await page.getByLabel("Address", { exact: true }).fill("http://");
    await save.click();
    assert.equal(
      await page
        .getByLabel("Address", { exact: true })
        .evaluate((field: { validity: { valid: boolean } }) => field.validity.valid),
      false,
    );
    await page.getByLabel("Address", { exact: true }).fill(`${hook.url}/elsewhere`);
    await save.click();
    await page.getByRole("heading", { name: `${hook.url}/elsewhere` }).waitFor();
    const changed = await svix.endpoint.get(appId, endpointId);
    assert.deepEqual(changed.filterTypes, ["invoice.created", "invoice.paid"]);
    assert.deepEqual([changed.description, changed.metadata], ["changed", { keep: "me" }]);
    assert.equal((await page.reload())?.status(), 200);

    await page.getByRole("button", { name: "Disable" }).click();
    await page.getByText("Nothing is sent to this endpoint while it is disabled").waitFor();
    assert.equal((await svix.endpoint.get(appId, endpointId)).disabled, true);
    await page.getByRole("button", { name: "Enable" }).click();
    await page.getByText("Enabled").waitFor();

    const remove = page.getByRole("button", { name: "Delete endpoint…" });
    await remove.click();
    await page.getByRole("alertdialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("alertdialog").waitFor({ state: "detached" });
    assert.ok(
      await remove.evaluate(
        (button) => button === (button as { ownerDocument?: { activeElement: unknown } }).ownerDocument?.activeElement,
      ),
    );
    await remove.click();
    await page.getByRole("button", { name: "Delete endpoint", exact: true }).click();
    await page.getByText("No endpoints yet").waitFor();
    assert.deepEqual((await svix.endpoint.list(appId)).data, []);
  });

  test("the secret is fetched only when asked for, and rotated with time for the old one", async (t) => {
    const hook = await receiver(t);
    const { page, appId, endpointId } = await openEndpoint(t, hook);
    const asked: string[] = [];
    page.on("request", (request) => request.url().endsWith("/secret") && asked.push(request.method()));
    await page.getByRole("link", { name: "Settings" }).click();
    const old = (await svix.endpoint.getSecret(appId, endpointId)).key;
    const card = page.getByRole("region", { name: "Signing secret" });
    await card.getByText("••••").waitFor();
    assert.deepEqual(asked, []);
    await card.getByRole("button", { name: "Show secret" }).click();
    await card.getByText(old).waitFor();
    assert.deepEqual(asked, ["GET"]);
    await shot(page, "settings");

    await card.getByRole("button", { name: "Rotate…" }).click();
    await card.getByLabel("The old secret still signs for").selectOption("1 hour");
    await card.getByRole("button", { name: "Rotate secret" }).click();
    await card.getByText("There is a new secret.").waitFor();
    const now = (await svix.endpoint.getSecret(appId, endpointId)).key;
    await card.getByText(now).waitFor();
    assert.notEqual(now, old);
    await publish(appId, "invoice.paid", { a: 1 });
    const [request] = await hook.received(1);
    for (const key of [old, now]) {
      assert.deepEqual(new Webhook(key).verify(request?.text ?? "", request?.headers as Record<string, string>), {
        a: 1,
      });
    }

    await card.getByRole("button", { name: "Rotate…" }).click();
    await card.getByLabel("Secret of your own").fill("whsec_short");
    await card.getByRole("button", { name: "Rotate secret" }).click();
    await card.getByRole("alert").getByText("Signing secret").waitFor();
  });

  test("headers are added, changed and taken away; what nobody may see stays as it is", async (t) => {
    const hook = await receiver(t);
    const { page, appId, endpointId } = await openEndpoint(t, hook);
    await svix.endpoint.updateHeaders(appId, endpointId, {
      headers: { Authorization: "Bearer s3cret", "X-Old": "1", "X-Gone": "1" },
    });
    await page.getByRole("link", { name: "Settings" }).click();
    const card = page.getByRole("region", { name: "Headers" });
    await card.getByText("X-Gone").waitFor();
    assert.doesNotMatch((await card.textContent()) ?? "", /s3cret/);
    await card.getByRole("button", { name: "Edit headers" }).click();
    await card.getByLabel("Value of header 1").fill("2");
    await card.getByRole("button", { name: "Remove header 2" }).click();
    await card.getByLabel("Name of header 3").fill("content-type");
    await card.getByLabel("Value of header 3").fill("x");
    await card.getByRole("button", { name: "Save headers" }).click();
    await card.getByRole("alert").getByText("content-type").waitFor();
    await card.getByLabel("Name of header 3").fill("X-New");
    await card.getByRole("button", { name: "Save headers" }).click();
    await card.getByText("X-New").waitFor();
    await publish(appId, "invoice.paid");
    const [request] = await hook.received(1);
    const { authorization, "x-old": changed, "x-new": added, "x-gone": gone } = request?.headers ?? {};
    assert.deepEqual([authorization, changed, added, gone], ["Bearer s3cret", "2", "x", undefined]);
  });

  test("a transformation is tried out, saved, turned on, and changes what is sent", async (t) => {
    const hook = await receiver(t);
    const { page, appId } = await openEndpoint(t, hook);
    await page.getByRole("link", { name: "Transformation" }).click();
    const editor = page.getByLabel("JavaScript");
    await editor.fill("function handler(webhook) { throw new Error('no luck'); }");
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByRole("alert").getByText("no luck").waitFor();
    await editor.fill("function handler(webhook) { webhook.payload.seen = webhook.eventType; return webhook; }");
    await page.getByLabel("Event type").selectOption("invoice.paid");
    await page.getByLabel("Payload").fill("[1]");
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByText("The payload has to be a JSON object.").waitFor();
    await page.getByLabel("Payload").fill('{"a": 1}');
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByText('"seen": "invoice.paid"').waitFor();
    assert.equal(hook.requests.length, 0);
    await shot(page, "transformation");
    assert.ok(await page.getByRole("button", { name: "Turn on" }).isDisabled());
    await page.getByRole("button", { name: "Save code" }).click();
    await page.getByText("Saved.").waitFor();
    await page.getByRole("button", { name: "Turn on" }).click();
    await page.getByRole("button", { name: "Turn off" }).waitFor();
    await publish(appId, "user.created", { b: 2 });
    assert.deepEqual((await hook.received(1))[0]?.json(), { b: 2, seen: "user.created" });
  });

  test("a token that may only look is offered nothing to do", async (t) => {
    const hook = await receiver(t);
    const { page, appId } = await openEndpoint(t, hook, { access: { capabilities: ["ViewBase"] as never } });
    await publish(appId, "invoice.paid");
    await hook.received(1);
    await server.engine.dispatcher.idle();
    const buttons = async (): Promise<readonly string[]> =>
      (await page.getByRole("button").allTextContents()).filter((text) => text !== "Copy");
    await page.getByRole("button", { name: "Refresh" }).click();
    await attempts(page).first().click();
    await page.getByText("9 headers").waitFor();
    assert.deepEqual(
      (await buttons()).filter((text) => !/invoice\.paid/.test(text)),
      ["Log out", "Refresh"],
    );
    assert.equal(await page.getByRole("link", { name: "Send example" }).count(), 0);
    await page.getByRole("link", { name: "Transformation" }).click();
    await page.getByLabel("JavaScript").waitFor();
    assert.deepEqual(await buttons(), ["Log out"]);
    await page.getByRole("link", { name: "Settings" }).click();
    await page.getByRole("region", { name: "Headers" }).getByText("None.").waitFor();
    assert.deepEqual(await buttons(), ["Log out"]);
    assert.equal(await page.getByRole("region", { name: "Signing secret" }).count(), 0);
    assert.equal(await page.getByRole("textbox").count(), 0);
    await page.getByRole("link", { name: "Endpoints" }).first().click();
    await page.getByRole("heading", { name: "Endpoints" }).waitFor();
    await page.locator(".endpoint-row").waitFor();
    assert.deepEqual(await buttons(), ["Log out"]);
    assert.equal(await page.getByRole("link", { name: "Add endpoint" }).count(), 0);
  });

  test("large and odd payloads are shown to the letter, and no more of them than can be looked at", async (t) => {
    const hook = await receiver(t);
    const { page, appId } = await openEndpoint(t, hook);
    // The SDK would write it anew; this is to arrive as it stands.
    const odd =
      '{"big":12345678901234567890,"f":1.0,"__proto__":"<img src=x onerror=alert(1)>","rtl":"\u202eabc 👩‍👩‍👧 \\u0000"}';
    const long = JSON.stringify({ text: "漢字 and more ".repeat(65_000), last: "the end" });
    for (const payload of [odd, long]) {
      const answer = await fetch(`${server.url}/api/v1/app/${appId}/msg`, {
        method: "POST",
        headers: { authorization: `Bearer ${SECRET_KEY}`, "content-type": "application/json" },
        body: `{"eventType":"invoice.paid","payload":${payload}}`,
      });
      assert.equal(answer.status, 202);
    }
    await hook.received(2);
    await page.getByRole("link", { name: "Messages" }).click();
    await page.locator(".message-row").nth(1).click();
    await page.getByText("12345678901234567890").waitFor();
    const shown = await page.locator("pre").innerText();
    assert.match(shown, /"f": 1\.0,/);
    assert.match(shown, /<img src=x/);
    assert.equal(await page.locator("pre img").count(), 0);
    await page.getByRole("link", { name: "Messages" }).last().click();
    await page.locator(".message-row").first().click();
    await page.getByText("Only the beginning is shown.").waitFor();
    await page.getByText("1.04 MB").waitFor();
    assert.equal((await page.locator("pre").innerText()).length, 40_000);
  });

  test("why nobody answered is told as a reason, not as a response", async (t) => {
    const gone = await httpReceiver();
    await gone.close();
    const { page, appId } = await openEndpoint(t, gone);
    await publish(appId, "invoice.paid", { amount: 1 });
    await server.engine.dispatcher.idle();
    await page.getByRole("button", { name: "Refresh" }).click();
    await attempts(page).first().click();
    const response = page.getByRole("region", { name: "Response" });
    await response.getByText(/ECONNREFUSED/).waitFor();
    await response.getByText("Reason").waitFor();
    assert.equal(await response.getByText("Response body").count(), 0);
  });

  test("what the server refuses is told at the form, which keeps what was written", async (t) => {
    const appId = await customer();
    const page = await open(t, appId);
    await page.getByRole("link", { name: "Add endpoint" }).click();
    await page.getByLabel("Address", { exact: true }).fill("ftp://example.com/");
    await page.getByLabel("Signing secret").fill("whsec_tooshort");
    await page.getByRole("button", { name: "Create endpoint" }).click();
    const problem = page.getByRole("alert");
    await problem.getByText(/^Address: /).waitFor();
    await problem.getByText(/^Signing secret: /).waitFor();
    assert.equal(await page.getByLabel("Address", { exact: true }).inputValue(), "ftp://example.com/");
  });

  test("a server that cannot be reached is told of, and asked anew", async (t) => {
    const appId = await customer();
    const context = await newContext(t);
    const page = await context.newPage();
    await page.goto((await svix.authentication.appPortalAccess(appId, {})).url);
    await page.getByText("No endpoints yet").waitFor();
    await page.route("**/msg?*", (route) => route.abort());
    await page.getByRole("link", { name: "Messages" }).click();
    await page.getByText("The server cannot be reached").waitFor();
    await page.unroute("**/msg?*");
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByText("No messages in the last 90 days").waitFor();
  });

  test("many endpoints are paged, and event types are listed with their schemas", async (t) => {
    const appId = await customer();
    for (let n = 0; n < 27; n++) await svix.endpoint.create(appId, { url: `https://example.com/${n}` });
    const page = await open(t, appId);
    await page.getByRole("link", { name: "https://example.com/26" }).waitFor();
    await page.getByRole("button", { name: "Next" }).click();
    await page.getByRole("link", { name: "https://example.com/1 ", exact: false }).first().waitFor();
    assert.equal(await page.locator(".endpoint-row").count(), 2);
    await page.getByRole("button", { name: "Previous" }).click();
    await page.getByRole("link", { name: "https://example.com/26" }).waitFor();
    await page.getByRole("link", { name: "Event types" }).click();
    await page.getByText("Something about invoice.paid").click();
    await page.getByRole("region", { name: "Schema" }).getByText('"title": "invoice.paid"').waitFor();
  });

  test("it is dark where the system is, has the environment's colours, and fits a phone", async (t) => {
    const hook = await receiver(t);
    const manage = (body: object): Promise<Response> =>
      fetch(`${server.url}/api/v1/management/environment-settings`, {
        method: "PATCH",
        headers: { authorization: `Bearer ${SECRET_KEY}`, "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    const settings = {
      displayName: "Acme webhooks",
      customColor: "#ffd400",
      colorPaletteDark: { backgroundPrimary: "#101820" },
      customThemeOverride: { borderRadius: { button: "none" }, fontSize: { base: 15 } },
      customStringsOverride: { channelsMany: "Projects" },
      enableChannels: true,
      customLogoUrl: "https://elsewhere.example/logo.png",
    };
    assert.equal((await manage(settings)).status, 200);
    t.after(() =>
      manage(Object.fromEntries(Object.keys(settings).map((name) => [name, name === "enableChannels" ? false : null]))),
    );
    const { page, appId } = await openEndpoint(t, hook, { dark: true });
    const style = (name: string): Promise<string> =>
      page.evaluate(`getComputedStyle(document.documentElement).getPropertyValue(${JSON.stringify(name)})`);
    assert.equal(await page.evaluate("document.documentElement.dataset.scheme"), "dark");
    assert.deepEqual(
      [await style("--surface"), await style("--button"), await style("--on-button"), await style("--radius-button")],
      ["#101820", "#ffd400", "#16130f", "0"],
    );
    await page.getByText("Acme webhooks").waitFor();
    await publish(appId, "invoice.paid", { amount: 1 });
    await hook.received(1);
    await server.engine.dispatcher.idle();
    await page.getByRole("button", { name: "Refresh" }).click();
    await attempts(page).first().click();
    await page.getByText("9 headers").waitFor();
    await shot(page, "dark");
    // Yellow on white is no text: links are as dark as they have to be.
    await page.emulateMedia({ colorScheme: "light" });
    await page.locator("html[data-scheme=light]").waitFor();
    assert.notEqual(await style("--link"), "#ffd400");
    assert.match(await style("--surface"), /^#fff/);

    await page.getByRole("link", { name: "Settings" }).click();
    await page.getByLabel("Projects").fill("alpha, beta  gamma");
    await page.getByRole("button", { name: "Save changes" }).click();
    await page.getByText("Saved.").waitFor();
    assert.deepEqual((await svix.endpoint.list(appId)).data[0]?.channels, ["alpha", "beta", "gamma"]);

    for (const [width, height] of [
      [390, 800],
      [320, 640],
    ] as const) {
      await page.setViewportSize({ width, height });
      for (const part of ["Activity", "Send example", "Transformation", "Settings"]) {
        await page.getByRole("link", { name: part }).click();
        await page.getByRole("link", { name: part }).and(page.locator("[aria-current]")).waitFor();
        const beyond = await page.evaluate(
          "document.documentElement.scrollWidth - document.documentElement.clientWidth",
        );
        assert.equal(beyond, 0, `${part} at ${width}`);
      }
      // Opened by its address, nobody has scrolled to it: half of "Settings" used to lie beyond the edge.
      await page.reload();
      const settingsTab = page.getByRole("link", { name: "Settings" }).and(page.locator("[aria-current]"));
      await settingsTab.waitFor();
      const box = await settingsTab.boundingBox();
      assert.ok(box !== null && box.x >= 0 && box.x + box.width <= width, `at ${width}: ${JSON.stringify(box)}`);
    }
  });

  describe("on somebody else's site", () => {
    let site: EmbeddingSite;
    before(async () => {
      site = await embeddingSite();
    });
    after(() => site?.close());

    test("svix-react's AppPortal shows it as high as it is, in the site's colours, light or dark", async (t) => {
      const hook = await receiver(t);
      const appId = await customer();
      const { url } = await svix.authentication.appPortalAccess(appId, {});
      const context = await newContext(t);
      const hosts = watchHosts(context);
      const page = await context.newPage();
      const complaints = complaintsOf(page);
      const icon = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='24' height='24'/%3E";
      const portal = { url, fullSize: true, darkMode: true, primaryColor: "#0a7f5a", fontFamily: "Georgia", icon };
      await page.goto(site.page({ portal }));
      const frame = page.frameLocator("iframe");
      await frame.getByText("No endpoints yet").waitFor();
      assert.equal(await frame.locator("html").getAttribute("data-scheme"), "dark");
      assert.match((await frame.locator("html").getAttribute("style")) ?? "", /--accent: #0a7f5a.*--font: "Georgia"/);
      assert.match((await frame.locator(".brand img").getAttribute("src")) ?? "", /^data:image/);
      assert.equal(await frame.getByRole("button", { name: "Log out" }).count(), 0);

      await frame.getByRole("link", { name: "Add endpoint" }).click();
      await frame.getByLabel("Address", { exact: true }).fill(`${hook.url}/in`);
      await frame.getByRole("button", { name: "Create endpoint" }).click();
      await frame.getByRole("heading", { name: `${hook.url}/in` }).waitFor();
      await frame.getByRole("link", { name: "Settings" }).click();
      await frame.getByRole("button", { name: "Edit headers" }).waitFor();
      const height = (): Promise<number> =>
        page.locator("iframe").evaluate((node) => (node as unknown as { clientHeight: number }).clientHeight);
      await eventually(height, (px) => px > 700, "that the frame grows with its content");
      const inside = await frame
        .locator("#root")
        .evaluate((node) => (node as unknown as { scrollHeight: number }).scrollHeight);
      assert.ok(Math.abs((await height()) - inside) <= 1, `the frame is ${await height()} high, its content ${inside}`);
      await shot(page, "embedded");
      await frame.getByRole("link", { name: "Endpoints" }).first().click();
      await eventually(height, (px) => px < 700, "that the frame shrinks with its content");

      assert.deepEqual([...hosts].sort(), [new URL(server.url).host, site.host].sort());
      assert.deepEqual(complaints, []);
    });

    test("without a word on darkness a frame is light, and with auto it is as the system is", async (t) => {
      for (const [darkMode, scheme] of [
        [undefined, "light"],
        ["auto", "dark"],
      ] as const) {
        const { url } = await svix.authentication.appPortalAccess(await customer(), {});
        const page = await (await newContext(t, { colorScheme: "dark" })).newPage();
        await page.goto(site.page({ portal: { url, darkMode } }));
        await page.frameLocator("iframe").getByText("No endpoints yet").waitFor();
        assert.equal(await page.frameLocator("iframe").locator("html").getAttribute("data-scheme"), scheme);
      }
    });

    test("svix-react's hooks list, create, edit, test and delete an endpoint with the portal's token", async (t) => {
      const hook = await receiver(t);
      const appId = await customer();
      const { token } = await svix.authentication.appPortalAccess(appId, {});
      const page = await (await newContext(t)).newPage();
      const complaints = complaintsOf(page);
      const address = `${hook.url}/of-the-hooks`;
      await page.goto(site.page({ hooks: { appId, token, serverUrl: server.url, address } }));
      await page.getByRole("button", { name: "Fill in" }).click();
      await page.getByRole("button", { name: "Create" }).click();
      await page.getByRole("listitem").filter({ hasText: address }).waitFor();
      await page.getByRole("button", { name: "Edit" }).click();
      await page.getByRole("listitem").filter({ hasText: "edited" }).waitFor();
      // The hook sends an empty list of event types, which for it means all.
      const [endpoint] = (await svix.endpoint.list(appId)).data;
      assert.ok(endpoint !== undefined);
      assert.equal(endpoint.filterTypes ?? null, null);

      // Whatever the page is told of the endpoint, it can read.
      const told = (name: string): Locator => page.locator(`[data-told="${name}"]`);
      const { key } = await svix.endpoint.getSecret(appId, endpoint.id);
      await told("secret").filter({ hasText: key }).waitFor();
      await page.getByRole("button", { name: "Rotate secret" }).click();
      await told("secret").filter({ hasText: "whsec_", hasNotText: key }).waitFor();
      await page.getByRole("button", { name: "Add header" }).click();
      await told("headers").filter({ hasText: '"X-Hook":"yes"' }).waitFor();
      await page.getByRole("button", { name: "Test" }).click();
      const [request] = await hook.received(1);
      assert.deepEqual([request?.text, request?.headers["x-hook"]], ['{"success":true}', "yes"]);
      const tried = (count: number) =>
        eventually(
          () => svix.messageAttempt.listByEndpoint(appId, endpoint.id),
          ({ data }) => data.length === count,
          `${count} attempts`,
        );
      await tried(1);
      await page.getByRole("button", { name: "Look again" }).click();
      await told("stats").filter({ hasText: '"success":1' }).waitFor();
      await page.getByRole("button", { name: "Send again" }).click();
      await hook.received(2);
      const { data } = await tried(2);
      await page.getByRole("button", { name: "Look again" }).click();
      for (const { id, msgId } of data) {
        await told("attempts").filter({ hasText: id }).waitFor();
        for (const name of ["attempted", "messages", "message"]) await told(name).filter({ hasText: msgId }).waitFor();
      }
      await told("messageEndpoints").filter({ hasText: endpoint.id }).waitFor();
      await told("messageAttempts")
        .filter({ hasText: data.at(-1)?.id as string })
        .waitFor();
      await told("endpoint").filter({ hasText: "edited" }).waitFor();
      await told("eventTypes").filter({ hasText: "invoice.paid" }).waitFor();
      assert.equal(await page.locator("[data-told]", { hasText: "error:" }).count(), 0);

      await page.getByRole("button", { name: "Delete" }).click();
      await page.getByRole("listitem").waitFor({ state: "detached" });
      assert.deepEqual(complaints, []);
    });
  });
});

/** What a page writes to its console as an error, or throws. Refusals that a test provokes are not among them. */
function complaintsOf(page: Page): string[] {
  const complaints: string[] = [];
  page.on("console", (line) => {
    if (line.type() === "error" && !/status of 422/.test(line.text())) complaints.push(line.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  return complaints;
}
