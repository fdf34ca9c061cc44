import assert from "node:assert/strict";
import { createECDH } from "node:crypto";
import { test } from "node:test";
import { type HttpReply, httpReceiver } from "../../../test/support/http-receiver.ts";
import { browser, type PushBrowser } from "../../../test/support/web-push-browser.ts";
import type { DeviceToken, Outcome } from "../../engine/model.ts";
import { FakeClock } from "../../lib/clock.ts";
import type { JsonObject } from "../../lib/json.ts";
import { NetworkGuard } from "../network-guard.ts";
import { OutboundHttp } from "../outbound-http.ts";
import { outgoing } from "../outgoing.fixture.ts";
import { openWebPush, webPushAddress } from "./web-push.ts";

const clock = new FakeClock();
const http = new OutboundHttp({ guard: new NetworkGuard({ allowNetworks: ["127.0.0.0/8"] }), clock });
const closed = new OutboundHttp({ guard: new NetworkGuard({}), clock });
const pair = createECDH("prime256v1");
const SETTINGS = {
  vapid_public_key: pair.generateKeys("base64url"),
  vapid_private_key: Buffer.from(pair.getPrivateKey("hex").padStart(64, "0"), "hex").toString("base64url"),
  subject: "https://example.com/contact",
};

function tokenOf({ subscription }: PushBrowser, more: Partial<DeviceToken> = {}): DeviceToken {
  const { push_token: token, ...properties } = subscription;
  const at = clock.now();
  const rest = { state: "active", stateReason: null, expiresAt: null, device: null, tracking: null } as const;
  return { token, userId: "u1", provider: "web-push", properties, createdAt: at, updatedAt: at, ...rest, ...more };
}

/** One try at these browsers, of which the first is answered first. */
async function tried(replies: readonly HttpReply[], more: { until?: number; through?: OutboundHttp } = {}) {
  const service = await httpReceiver();
  const browsers = replies.map(() => browser(service.url));
  service.answer((request, response) => {
    const reply = replies[browsers.findIndex(({ path }) => path === request.url)];
    if (typeof reply !== "object") return response.destroy();
    response.writeHead(reply.status ?? 200, reply.headers);
    response.end();
  });
  const address = webPushAddress(
    browsers.map((one) => tokenOf(one)),
    clock.now(),
  ) as JsonObject;
  const sent = outgoing({ channel: "push", provider: "web-push", settings: SETTINGS, address });
  const describePush = () => ({ text: "{}", until: more.until ?? null });
  const outcome: Outcome = await openWebPush(sent.provider, { http: more.through ?? http, clock, describePush }).send(
    sent,
  );
  await service.close();
  return { outcome, requests: service.requests, tokens: browsers.map(({ subscription }) => subscription.push_token) };
}

test("what a push service answers decides what becomes of it", async () => {
  for (const status of [500, 503, 429, 408]) {
    const { outcome } = await tried([{ status }]);
    assert.deepEqual([outcome.kind, outcome.statusCode], ["failed", status]);
  }
  const busy = await tried([{ status: 429, headers: { "retry-after": "60" } }]);
  assert.equal(busy.outcome.kind === "failed" && busy.outcome.notBefore, clock.now() + 60_000);
  assert.equal((await tried(["drop"])).outcome.kind, "failed");
  for (const status of [400, 401, 403, 413, 302]) {
    const { outcome } = await tried([{ status }]);
    assert.deepEqual([outcome.kind, "deadTokens" in outcome], ["rejected", false]);
  }
  for (const status of [404, 410]) {
    const { outcome, tokens } = await tried([{ status }]);
    assert.deepEqual([outcome.kind, "deadTokens" in outcome && outcome.deadTokens], ["rejected", tokens]);
  }
});

// One that was busy while another was reached never got the push: to repeat it would have shown it twice to the other.
test("each browser is tried until it is reached or gone, and none of them again after that", async () => {
  const service = await httpReceiver();
  const browsers = Array.from({ length: 4 }, () => browser(service.url));
  const [sentOne, goneOne, slowOne, busyOne] = browsers.map(({ path }) => path) as [string, string, string, string];
  const replies = new Map<string, { readonly status: number; readonly headers?: { readonly "retry-after": string } }[]>(
    [
      [sentOne, [{ status: 201 }]],
      [goneOne, [{ status: 410 }]],
      [slowOne, [{ status: 500 }, { status: 500 }, { status: 201 }]],
      [busyOne, [{ status: 429, headers: { "retry-after": "60" } }, { status: 404 }]],
    ],
  );
  service.answer((request, response) => {
    const { status, headers } = replies.get(request.url)?.shift() ?? { status: 599 };
    response.writeHead(status, headers).end();
  });
  const clock = new FakeClock();
  const address = webPushAddress(
    browsers.map((one) => tokenOf(one)),
    clock.now(),
  ) as JsonObject;
  const { provider, delivery, signal } = outgoing({
    channel: "push",
    provider: "web-push",
    settings: SETTINGS,
    address,
  });
  const describePush = () => ({ text: "{}", until: null });
  const sender = openWebPush(provider, { http, clock, describePush });
  let reference: JsonObject | null = null;
  const tryOnce = async () => {
    const before = service.requests.length;
    const outcome = await sender.send({ provider, signal, delivery: { ...delivery, reference } });
    if (outcome.kind !== "rejected") reference = outcome.reference ?? null;
    const asked = service.requests.slice(before).map(({ url }) => browsers.findIndex(({ path }) => path === url));
    return { outcome, asked: asked.toSorted() };
  };
  const busyUntil = clock.now() + 60_000;

  const first = await tryOnce();
  assert.deepEqual(first.asked, [0, 1, 2, 3]);
  assert.deepEqual(first.outcome, {
    kind: "failed",
    reason: "answered 500",
    statusCode: 500,
    deadTokens: [browsers[1]?.subscription.push_token],
    partly: true,
    reference: {
      reached: 1,
      of: 4,
      browsers: [
        { kind: "sent", statusCode: 201 },
        { kind: "rejected", statusCode: 410 },
        { kind: "failed", statusCode: 500 },
        { kind: "failed", statusCode: 429, notBefore: busyUntil },
      ],
    },
  });
  const second = await tryOnce();
  assert.deepEqual([second.asked, "deadTokens" in second.outcome], [[2], false]);
  const third = await tryOnce();
  assert.deepEqual([third.asked, third.outcome.kind], [[2], "failed"]);
  assert.equal(third.outcome.kind === "failed" && third.outcome.notBefore, busyUntil, "only the busy one is left");
  clock.advance(60_000);
  const fourth = await tryOnce();
  assert.deepEqual(fourth.asked, [3]);
  assert.deepEqual(fourth.outcome.kind === "sent" && [fourth.outcome.deadTokens, fourth.outcome.reference?.reached], [
    [browsers[3]?.subscription.push_token],
    2,
  ]);
  await service.close();
});

test("whoever wants more time than it is given is tried all the same when its turn has come", async () => {
  const service = await httpReceiver();
  service.answer({ status: 503, headers: { "retry-after": "3600" } }, { status: 201 });
  const address = webPushAddress([tokenOf(browser(service.url))], clock.now()) as JsonObject;
  const { provider, delivery, signal } = outgoing({
    channel: "push",
    provider: "web-push",
    settings: SETTINGS,
    address,
  });
  const describePush = () => ({ text: "{}", until: null });
  const sender = openWebPush(provider, { http, clock, describePush });
  const busy = await sender.send({ provider, signal, delivery });
  assert.ok(busy.kind === "failed" && busy.partly === undefined);
  const again = await sender.send({ provider, signal, delivery: { ...delivery, reference: busy.reference ?? null } });
  assert.equal(again.kind, "sent");
  await service.close();
});

test("addresses that must not be reached are not, and what has expired is not sent", async () => {
  const inside = await tried([{ status: 201 }], { through: closed });
  assert.deepEqual([inside.outcome.kind, inside.requests.length], ["rejected", 0]);
  const late = await tried([{ status: 201 }], { until: clock.now() });
  assert.deepEqual([late.outcome.kind, late.requests.length], ["rejected", 0]);
  const soon = await tried([{ status: 201 }], { until: clock.now() + 1_500 });
  assert.equal(soon.requests[0]?.headers.ttl, "2");
});

test("only subscriptions that can be used are addresses", () => {
  const one = browser("https://push.example");
  const keys = one.subscription;
  const now = clock.now();
  const address = (...tokens: DeviceToken[]) => webPushAddress(tokens, now);
  assert.deepEqual(address(tokenOf(one)), {
    subscriptions: [{ endpoint: keys.push_token, p256dh: keys.public_key, auth: keys.auth_token }],
  });
  for (const wrong of [
    { provider: "firebase-fcm" },
    { state: "failed" },
    { expiresAt: now },
    { properties: null },
    { properties: { public_key: keys.public_key, auth_token: null } },
    { properties: { public_key: "AAAA", auth_token: keys.auth_token } },
    { properties: { public_key: keys.public_key, auth_token: "AAAA" } },
    { properties: { public_key: 7, auth_token: {} } },
  ] as const) {
    assert.equal(address(tokenOf(one, wrong)), null, JSON.stringify(wrong));
  }
});

test("a key that is no point of the curve ends the subscription, not the server", async () => {
  const broken = Buffer.alloc(65, 1);
  broken[0] = 4;
  const properties = { public_key: broken.toString("base64"), auth_token: Buffer.alloc(16).toString("base64") };
  const address = webPushAddress([tokenOf(browser("https://push.example"), { properties })], clock.now());
  const sent = outgoing({ channel: "push", settings: SETTINGS, address: address as JsonObject });
  const describePush = () => ({ text: "{}", until: null });
  const outcome = await openWebPush(sent.provider, { http, clock, describePush }).send(sent);
  assert.deepEqual([outcome.kind, "deadTokens" in outcome && outcome.deadTokens?.length], ["rejected", 1]);
});

test("keys that are no pair are refused", () => {
  const other = createECDH("prime256v1").generateKeys("base64url");
  for (const settings of [
    { ...SETTINGS, vapid_public_key: other },
    { ...SETTINGS, vapid_private_key: Buffer.alloc(32).toString("base64url") },
    { ...SETTINGS, vapid_private_key: "" },
    {},
  ]) {
    const { provider } = outgoing({ channel: "push", settings });
    const describePush = () => ({ text: "{}", until: null });
    assert.throws(() => openWebPush(provider, { http, clock, describePush }), /vapid_private_key/);
  }
});
