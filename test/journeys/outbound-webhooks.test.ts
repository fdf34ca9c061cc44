/** An operator's own address hears of every change of every message, signed, until it says that it has understood. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { App } from "../../src/app.ts";
import { FakeClock } from "../../src/lib/clock.ts";
import { type HttpReceiver, httpReceiver, type ReceivedRequest } from "../support/http-receiver.ts";
import { SECRET_KEY, startServer } from "../support/server.ts";
import { smtpReceiver } from "../support/smtp-receiver.ts";

const SECRET = "a secret of the receiver";
const SECOND = 1000;

// biome-ignore lint/suspicious/noExplicitAny: whatever the server said; tests look at it field by field
type Body = any;
type Server = Awaited<ReturnType<typeof startServer>>;

async function started(t: TestContext, ...options: Parameters<typeof startServer>): Promise<Server> {
  const server = await startServer(...options);
  t.after(() => server.close());
  return server;
}

async function receiver(t: TestContext): Promise<HttpReceiver> {
  const hook = await httpReceiver();
  t.after(() => hook.close());
  return hook;
}

async function call(app: App, method: string, path: string, body?: object, key = SECRET_KEY): Promise<Body> {
  const response = await fetch(app.url + path, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
  return text === "" ? null : JSON.parse(text);
}

function hookTo(app: App, hook: HttpReceiver, more: object = {}, key?: string): Promise<Body> {
  return call(app, "POST", "/admin/outbound-webhooks", { url: `${hook.url}/updates`, secret: SECRET, ...more }, key);
}

async function send(app: App, to: object, channels: readonly string[], key?: string): Promise<string> {
  const message = { to, content: { title: "Hi", body: "There" }, routing: { method: "single", channels } };
  return (await call(app, "POST", "/send", { message }, key)).requestId;
}

function sendToInbox(app: App, key?: string): Promise<string> {
  return send(app, { user_id: "u1" }, ["inbox"], key);
}

function updates(requests: readonly ReceivedRequest[]): Body[] {
  return requests.map((request) => request.json());
}

function statuses(requests: readonly ReceivedRequest[]): [string, string][] {
  return updates(requests).map(({ data }) => [data.id, data.status]);
}

function assertSigned({ headers, body }: ReceivedRequest, secret = SECRET): void {
  const [, at, hex] = /^t=(\d{13}),signature=([0-9a-f]{64})$/.exec(String(headers["courier-signature"])) ?? [];
  const expected = createHmac("sha256", secret).update(`${at}.`).update(body).digest("hex");
  assert.equal(hex, expected);
}

test("a send to an inbox is told once, as GET /messages/{id} tells it, with a signature that verifies", async (t) => {
  const hook = await receiver(t);
  const server = await started(t);
  await hookTo(server, hook);
  const id = await sendToInbox(server);
  const [got] = await hook.received(1);
  assert.ok(got);
  assert.deepEqual([got.method, got.url, got.headers["content-type"]], ["POST", "/updates", "application/json"]);
  assertSigned(got);
  assert.deepEqual(got.json(), { type: "message:updated", data: await call(server, "GET", `/messages/${id}`) });
  assert.deepEqual(statuses([got]), [[id, "DELIVERED"]]);
  await server.engine.dispatcher.idle();
  assert.equal(hook.requests.length, 1);
});

test("opening an inbox item is told as OPENED, opening it again is not told", async (t) => {
  const hook = await receiver(t);
  const server = await started(t);
  await hookTo(server, hook);
  const id = await sendToInbox(server);
  await hook.received(1);
  const [item] = (await server.engine.inbox.list(server.environment.id, { userId: "u1" }, Date.now(), { limit: 1 }))
    .items;
  assert.ok(item);
  const actor = { via: "courier", origin: null };
  const open = () => server.engine.inbox.mark(item.environmentId, "u1", item.messageId, "seen", true, actor);
  await open();
  await hook.received(2);
  await open();
  await server.engine.dispatcher.idle();
  assert.deepEqual(statuses(hook.requests), [
    [id, "DELIVERED"],
    [id, "OPENED"],
  ]);
  assert.equal(updates(hook.requests)[1].data.providers[0].status, "OPENED");
});

test("a mail is told as ROUTED, without a provider, and as SENT, with one", async (t) => {
  const hook = await receiver(t);
  const mails = await smtpReceiver();
  t.after(() => mails.close());
  const server = await started(t);
  await hookTo(server, hook);
  const settings = { host: mails.host, port: mails.port, from: "us@example.com" };
  await call(server, "POST", "/providers", { provider: "smtp", settings });
  const id = await send(server, { email: "ann@example.com" }, ["email"]);
  await mails.received(1);
  await hook.received(2);
  await server.engine.dispatcher.idle();
  // Two posts may overtake each other.
  const told = updates(hook.requests).sort((a, b) => (a.data.status < b.data.status ? -1 : 1));
  assert.deepEqual(
    told.map(({ data }) => [data.id, data.status, data.sent !== undefined, data.providers.length]),
    [
      [id, "ROUTED", false, 0],
      [id, "SENT", true, 1],
    ],
  );
});

test("a provider that fails is told although the message stays ROUTED until the next one has it", async (t) => {
  const hook = await receiver(t);
  const mails = [await smtpReceiver(), await smtpReceiver()] as const;
  t.after(() => Promise.all(mails.map((mail) => mail.close())));
  const clock = new FakeClock();
  const server = await started(t, {}, { clock, roll: () => 0.5 });
  await hookTo(server, hook);
  for (const { host, port } of mails) {
    const settings = { host, port, from: "us@example.com" };
    await call(server, "POST", "/providers", { provider: "smtp", settings });
  }
  mails[0].answer("rcpt", 550);
  mails[1].answer("rcpt", 451, "ok");
  await send(server, { email: "ann@example.com" }, ["email"]);
  await server.engine.dispatcher.idle();
  const lastProviders = (status: string): string[] =>
    updates(hook.requests)
      .filter(({ data }) => data.status === status)
      .map(({ data }) => data.providers.map((provider: Body) => provider.status).join());
  assert.ok(lastProviders("ROUTED").includes("UNDELIVERABLE"));
  assert.deepEqual(lastProviders("SENT"), []);
  clock.advance(500);
  await server.engine.dispatcher.idle();
  assert.deepEqual(lastProviders("SENT"), ["UNDELIVERABLE,SENT"]);
});

test("a receiver that fails gets the same bytes again after 5, 10, 20, … seconds, and no more once it took them", async (t) => {
  const hook = await receiver(t);
  const clock = new FakeClock();
  const server = await started(t, {}, { clock });
  hook.answer({ status: 500 }, { status: 404 }, { status: 302, headers: { location: "/" } }, "drop", { status: 204 });
  await hookTo(server, hook);
  const id = await sendToInbox(server);
  await hook.received(1);
  await server.engine.dispatcher.idle();
  for (const [tries, waitMs] of [5, 10, 20, 40].map((s, i) => [i + 1, s * SECOND] as const)) {
    clock.advance(waitMs - 1);
    await server.engine.dispatcher.idle();
    assert.equal(hook.requests.length, tries, `not before ${waitMs} ms`);
    clock.advance(1);
    await server.engine.dispatcher.idle();
    assert.equal(hook.requests.length, tries + 1, `after ${waitMs} ms`);
  }
  clock.advance(3600 * SECOND);
  await server.engine.dispatcher.idle();
  assert.equal(hook.requests.length, 5);
  assert.equal(new Set(hook.requests.map(({ text }) => text)).size, 1);
  assert.equal(new Set(hook.requests.map(({ headers }) => headers["courier-signature"])).size, 5);
  hook.requests.forEach((request) => {
    assertSigned(request);
  });

  // None of it shows: neither in the message nor beside it.
  const listed = await call(server, "GET", "/messages");
  assert.deepEqual(
    listed.results.map((message: Body) => message.id),
    [id],
  );
  const shown = await call(server, "GET", `/messages/${id}`);
  assert.deepEqual([shown.status, shown.providers.length], ["DELIVERED", 1]);
  const { results: history } = await call(server, "GET", `/messages/${id}/history`);
  assert.deepEqual(history.map((item: Body) => item.type).sort(), [
    "DELIVERED",
    "DELIVERING",
    "ENQUEUED",
    "PROFILE_LOADED",
    "RENDERED",
    "ROUTED",
    "SENT",
  ]);
});

test("a webhook that is removed is not tried again", async (t) => {
  const hook = await receiver(t);
  const clock = new FakeClock();
  const server = await started(t, {}, { clock });
  hook.answer({ status: 503 });
  const { id } = await hookTo(server, hook);
  await sendToInbox(server);
  await hook.received(1);
  await server.engine.dispatcher.idle();
  await call(server, "DELETE", `/admin/outbound-webhooks/${id}`);
  clock.advance(5 * SECOND);
  await server.engine.dispatcher.idle();
  assert.equal(hook.requests.length, 1);
  assert.equal(await server.store.pipeline.nextDueAt(), null, "nothing waits any more");
});

test("a changed address and secret hold from the next try on", async (t) => {
  const [old, next] = [await receiver(t), await receiver(t)];
  const clock = new FakeClock();
  const server = await started(t, {}, { clock });
  old.answer({ status: 500 });
  const { id } = await hookTo(server, old);
  await sendToInbox(server);
  await old.received(1);
  await server.engine.dispatcher.idle();
  await call(server, "PUT", `/admin/outbound-webhooks/${id}`, { url: next.url, secret: "another" });
  clock.advance(5 * SECOND);
  const [got] = await next.received(1);
  assert.ok(got);
  assertSigned(got, "another");
  assert.equal(got.text, old.requests[0]?.text);
});

test("each webhook gets what it asked for: of its own environment, of its types, signed only with a secret", async (t) => {
  const [plain, otherTypes, elsewhere] = [await receiver(t), await receiver(t), await receiver(t)];
  const server = await started(t);
  const other = (await call(server, "POST", "/admin/environments", { name: "other" })).secret_key;
  await hookTo(server, plain, { secret: null });
  await hookTo(server, otherTypes, { events: ["notification:published"] });
  await hookTo(server, elsewhere, {}, other);
  const here = await sendToInbox(server);
  const [got] = await plain.received(1);
  assert.equal(got?.headers["courier-signature"], undefined);
  const there = await sendToInbox(server, other);
  await elsewhere.received(1);
  await server.engine.dispatcher.idle();
  assert.deepEqual(statuses(plain.requests), [[here, "DELIVERED"]]);
  assert.deepEqual(statuses(elsewhere.requests), [[there, "DELIVERED"]]);
  assert.equal(otherTypes.requests.length, 0);
});

test("a change whose process ended before it was told is told by the next process", async (t) => {
  const hook = await receiver(t);
  const dataDir = await mkdtemp(join(tmpdir(), "carillon-outbound-"));
  t.after(() => rm(dataDir, { recursive: true, force: true }));
  const before = await startServer({ CARILLON_DATA_DIR: dataDir, CARILLON_ROLES: "api" });
  await hookTo(before, hook);
  const id = await sendToInbox(before);
  await before.close();
  assert.equal(hook.requests.length, 0);
  const after = await started(t, { CARILLON_DATA_DIR: dataDir });
  assert.deepEqual(statuses(await hook.received(1)), [[id, "DELIVERED"]]);
  await after.engine.dispatcher.idle();
});

test("an address inside the network is never reached", async (t) => {
  const hook = await receiver(t);
  const server = await started(t, { CARILLON_ALLOW_NETWORKS: "" });
  await hookTo(server, hook);
  await sendToInbox(server);
  await server.engine.dispatcher.idle();
  assert.equal(hook.connections, 0);
  assert.equal(await server.store.pipeline.nextDueAt(), null, "it has failed for good");
});
