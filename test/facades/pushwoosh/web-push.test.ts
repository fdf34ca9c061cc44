/** Scenarios 26 and 29, through the whole server: a push service of somebody else's, and a browser that reads what it gets. */
import assert from "node:assert/strict";
import { createECDH } from "node:crypto";
import { type TestContext, test } from "node:test";
import { FakeClock } from "../../../src/lib/clock.ts";
import { type HttpReceiver, httpReceiver, type ReceivedRequest } from "../../support/http-receiver.ts";
import { SECRET_KEY, startServer } from "../../support/server.ts";
import { browser, checkVapid } from "../../support/web-push-browser.ts";
import { APP_CODE } from "./pushwoosh-target.ts";

const SUBJECT = "mailto:ops@example.com";
const DAY_S = 86_400;

interface World {
  readonly clock: FakeClock;
  readonly service: HttpReceiver;
  readonly publicKey: string;
  /** @returns what stands under `response`. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server said; tests look at it field by field
  call(method: string, fields: object): Promise<any>;
  // biome-ignore lint/suspicious/noExplicitAny: the same
  rest(method: string, path: string, body?: object): Promise<any>;
  send(notification: object): Promise<string>;
  /** The next `n` pushes that the service got. */
  pushes(n: number): Promise<readonly ReceivedRequest[]>;
}

let started = 0;

async function open(t: TestContext, provided = true): Promise<World> {
  const service = await httpReceiver();
  service.answer({ status: 201 });
  const clock = new FakeClock(Date.UTC(2026, 0, 5, 12) + started++ * 100 * DAY_S * 1000);
  const server = await startServer({ CARILLON_APP_CODE: APP_CODE }, { clock, roll: () => 0.5 });
  t.after(async () => {
    await server.close();
    await service.close();
  });
  const pair = createECDH("prime256v1");
  const publicKey = pair.generateKeys("base64url");
  const rest: World["rest"] = async (method, path, body) => {
    const response = await fetch(server.url + path, {
      method,
      headers: { authorization: `Bearer ${SECRET_KEY}`, "content-type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text.slice(0, 300)}`);
    return text === "" ? null : JSON.parse(text);
  };
  const settings = {
    vapid_public_key: publicKey,
    vapid_private_key: Buffer.from(pair.getPrivateKey("hex").padStart(64, "0"), "hex").toString("base64url"),
    subject: SUBJECT,
  };
  if (provided) {
    const made = await rest("POST", "/providers", { provider: "web-push", settings });
    assert.equal(JSON.stringify(made).includes(settings.vapid_private_key), false, "the private key is never shown");
  }
  const call: World["call"] = async (method, fields) => {
    const response = await fetch(`${server.url}/json/1.3/${method}`, {
      method: "POST",
      body: JSON.stringify({ request: { application: APP_CODE, ...fields } }),
    });
    const body = (await response.json()) as { status_code: number; status_message: string; response: unknown };
    assert.equal(body.status_code, 200, body.status_message);
    return body.response;
  };
  let seen = 0;
  return {
    clock,
    service,
    publicKey,
    rest,
    call,
    send: async (notification) => {
      const notifications = [{ content: "a text", send_date: "now", ...notification }];
      return (await call("createMessage", { auth: SECRET_KEY, notifications })).Messages[0];
    },
    pushes: async (n) => {
      const all = await service.received(seen + n);
      const some = all.slice(seen, seen + n);
      seen += n;
      return some;
    },
  };
}

test("29. a push of an inbox message arrives whole, is heard of, and is opened", async (t) => {
  const { clock, service, publicKey, call, send, pushes } = await open(t);
  const [ann, fox] = [browser(service.url), browser(service.url)];
  assert.equal((await call("getConfig", {})).features.vapid_key, publicKey);
  await call("registerDevice", { hwid: "a", userId: "ann", device_type: 11, ...ann.subscription });
  await call("registerDevice", { hwid: "f", userId: "ann", device_type: 12, ...fox.subscription });
  await call("registerDevice", { hwid: "phone", userId: "ann", device_type: 3, push_token: "fcm-token" });
  await send({
    users: ["ann"],
    title: "<b>Invoice</b> ready",
    content: "Grüße 🛎 <img src=x onerror=alert(1)>",
    link: "https://shop.example/invoices/7",
    data: { invoice: 7 },
    inbox_days: 7,
    inbox_image: "https://shop.example/i.png",
  });
  const requests = await pushes(2);
  const [item] = (await call("getInboxMessages", { userId: "ann" })).messages;
  for (const one of [ann, fox]) {
    const request = requests.find(({ url }) => url === one.path) as ReceivedRequest;
    assert.equal(request.method, "POST");
    assert.equal(request.headers["content-encoding"], "aes128gcm");
    assert.equal(request.headers.ttl, String(7 * DAY_S));
    assert.deepEqual(checkVapid(request.headers.authorization ?? "", publicKey), {
      aud: service.url,
      exp: Math.floor(clock.now() / 1000) + 12 * 3_600,
      sub: SUBJECT,
    });
    assert.deepEqual(one.read(request.body), {
      header: "Invoice ready",
      body: "Grüße 🛎 ",
      image: "https://shop.example/i.png",
      l: "https://shop.example/invoices/7",
      p: item.hash,
      u: '{"invoice":7}',
      pw_inbox: item.inbox_id,
      inbox_params: JSON.stringify({ rt: item.rt, image: "https://shop.example/i.png" }),
    });
  }
  assert.equal(service.requests.length, 2, "nothing goes to the phone's token");
  await call("messageDeliveryEvent", { hwid: "a", userId: "ann", hash: item.hash });
  assert.equal((await call("getInboxMessages", { userId: "ann" })).messages[0].status, 1);
  await call("pushStat", { hwid: "a", userId: "ann", hash: item.hash });
  assert.equal((await call("getInboxMessages", { userId: "ann" })).messages[0].status, 3);
  await call("pushStat", { hwid: "a", userId: "ann" });
});

test("a push that is in no inbox, long texts, and what other facades send", async (t) => {
  const { service, call, send, pushes, rest } = await open(t);
  const ann = browser(service.url);
  await call("registerDevice", { hwid: "a", userId: "ann", device_type: 11, ...ann.subscription });
  await send({ users: ["ann"], content: "🛎".repeat(5_000), title: "t".repeat(500), data: { much: "x".repeat(900) } });
  const [long] = await pushes(1);
  assert.ok((long?.body.length ?? 0) > 4_092, "as much as there is room for, in whole characters");
  assert.equal(long?.headers.ttl, String(28 * DAY_S));
  const payload = ann.read(long?.body as Buffer);
  assert.deepEqual(Object.keys(payload), ["header", "body", "p", "u"]);
  assert.match(payload.body as string, /^(🛎)+…$/u);

  await send({ users: ["ann"], title: "t".repeat(9_000), data: { much: "x".repeat(9_000) }, inbox_days: 1 });
  const [longer] = await pushes(1);
  const cut = ann.read(longer?.body as Buffer);
  assert.deepEqual(Object.keys(cut), ["header", "p", "pw_inbox", "inbox_params"]);
  assert.match(cut.header as string, /^t+…$/);

  // Silent ones are in the inbox alone.
  await send({ users: ["ann"], content: "hush", chrome_silent: 1, inbox_days: 1 });
  const message = { to: { user_id: "ann" }, content: { title: "From", body: "elsewhere" } };
  await rest("POST", "/send", { message: { ...message, routing: { method: "single", channels: ["push"] } } });
  const [other] = await pushes(1);
  const { p, ...rest_ } = ann.read(other?.body as Buffer);
  assert.deepEqual([rest_.header, rest_.body, rest_.pw_inbox], ["From", "elsewhere", undefined]);
  await call("pushStat", { hwid: "a", userId: "ann", hash: p });
});

test("410 and 404 retire the token", async (t) => {
  const { service, call, send, pushes, rest } = await open(t);
  const [old, young] = [browser(service.url), browser(service.url)];
  await call("registerDevice", { hwid: "old", userId: "ann", device_type: 11, ...old.subscription });
  await call("registerDevice", { hwid: "young", userId: "ann", device_type: 11, ...young.subscription });
  service.answer((request, response) => {
    response.statusCode = request.url === old.path ? 410 : 201;
    response.end();
  });
  await send({ users: ["ann"], content: "one" });
  assert.equal((await pushes(2)).length, 2);
  await retired(rest, "ann", old.subscription.push_token);

  service.answer({ status: 201 });
  await send({ users: ["ann"], content: "two" });
  const [two] = await pushes(1);
  assert.equal(two?.url, young.path, "only where it is alive");
  assert.deepEqual(young.read(two?.body as Buffer).body, "two");

  service.answer({ status: 404 });
  await send({ users: ["ann"], content: "three" });
  await pushes(1);
  await retired(rest, "ann", young.subscription.push_token);
});

test("a browser whose subscription has ended is told so, and may register again", async (t) => {
  const { service, call, send, pushes, rest } = await open(t);
  const one = browser(service.url);
  const registered = () => call("registerDevice", { hwid: "a", userId: "ann", device_type: 11, ...one.subscription });
  await registered();
  service.answer({ status: 410 });
  await send({ users: ["ann"], content: "one" });
  await pushes(1);
  await retired(rest, "ann", one.subscription.push_token);
  assert.deepEqual(await call("checkDevice", { hwid: "a" }), { exist: true, push_token_exist: false });
  service.answer({ status: 201 });
  await registered();
  assert.deepEqual(await call("checkDevice", { hwid: "a" }), { exist: true, push_token_exist: true });
  await send({ users: ["ann"], content: "two" });
  assert.equal(one.read((await pushes(1))[0]?.body as Buffer).body, "two");
});

// The push was taken for sent as soon as one browser had it, and the one that was busy never got it.
test("a browser that is busy gets the push later, and the others do not get it twice", async (t) => {
  const { clock, service, call, pushes, rest } = await open(t);
  const [busy, other] = [browser(service.url), browser(service.url)];
  await call("registerDevice", { hwid: "a", userId: "ann", device_type: 11, ...busy.subscription });
  await call("registerDevice", { hwid: "b", userId: "ann", device_type: 11, ...other.subscription });
  const answerBusy = (status: number) =>
    service.answer((request, response) => {
      response.writeHead(request.url === busy.path ? status : 201, { "retry-after": "60" }).end();
    });
  const routing = { method: "all", channels: ["push"] };
  const message = { to: { user_id: "ann" }, content: { title: "T", body: "B" }, routing };
  /** Resolves with the message once it has been sent to one of them, and what came of that is written. */
  const sent = async () => {
    const { requestId } = await rest("POST", "/send", { message });
    await pushes(2);
    let found = await rest("GET", `/messages/${requestId}`);
    while (found.status !== "SENT") found = await rest("GET", `/messages/${requestId}`);
    return found;
  };
  /** Resolves once nothing is to be tried any more. */
  const over = async (id: string) => {
    for (;;) {
      const { providers } = await rest("GET", `/messages/${id}`);
      if (providers.length > 0) return providers[0];
    }
  };
  answerBusy(429);
  const first = await sent();
  assert.deepEqual(first.providers, [], "and yet it is still being sent");
  answerBusy(201);
  clock.advance(60_000);
  assert.deepEqual(
    (await pushes(1)).map(({ url }) => url),
    [busy.path],
  );
  const { status, reference } = await over(first.id);
  assert.deepEqual([status, reference.reached, reference.of], ["SENT", 2, 2]);

  // One that stays busy until the time is over does not make a failure of what reached the other.
  answerBusy(500);
  const second = await sent();
  // The time is over with the first try behind it.
  clock.advance(5 * 60_000);
  const end = await over(second.id);
  assert.deepEqual([end.status, end.reference.reached, end.reference.of], ["SENT", 1, 2]);
  const to = service.requests.filter(({ url }) => url === other.path);
  assert.equal(to.length, 2, "two pushes, each once");
});

test("26. an address that another device registered goes along; keys that come later are taken", async (t) => {
  const { service, call, send, pushes } = await open(t);
  const one = browser(service.url);
  const { push_token, ...keys } = one.subscription;
  await call("registerDevice", { hwid: "a", userId: "ann", device_type: 11, push_token });
  await call("registerDevice", { hwid: "a", userId: "ann", device_type: 11, push_token, ...keys });
  await send({ users: ["ann"], content: "to ann" });
  assert.equal(one.read((await pushes(1))[0]?.body as Buffer).body, "to ann");
  await call("registerDevice", { hwid: "b", userId: "bob", device_type: 11, ...one.subscription });
  assert.deepEqual(await call("checkDevice", { hwid: "a" }), { exist: true, push_token_exist: false });
  await send({ users: ["ann"], content: "not delivered" });
  await send({ users: ["bob"], content: "to bob" });
  assert.equal(one.read((await pushes(1))[0]?.body as Buffer).body, "to bob");
});

test("phones are reached beside browsers, through a provider of their own", async (t) => {
  const { service, call, send, pushes, rest } = await open(t);
  await rest("POST", "/providers", { provider: "capture-push" });
  const ann = browser(service.url);
  await call("registerDevice", { hwid: "a", userId: "ann", device_type: 11, ...ann.subscription });
  await call("registerDevice", { hwid: "phone", userId: "ann", device_type: 3, push_token: "fcm-token" });
  await send({ users: ["ann"], content: "to both" });
  assert.equal(ann.read((await pushes(1))[0]?.body as Buffer).body, "to both");
  const { items } = await captured(rest);
  assert.ok(items[0].payload.tokens.includes("fcm-token"));
});

test("without a provider of web pushes there is no key, and pushes are captured", async (t) => {
  const { service, call, send, rest } = await open(t, false);
  assert.equal("vapid_key" in (await call("getConfig", {})).features, false);
  const one = browser(service.url);
  await call("registerDevice", { hwid: "a", userId: "ann", device_type: 11, ...one.subscription });
  await send({ users: ["ann"], content: "captured" });
  const { items } = await captured(rest);
  assert.equal(items[0].payload.body, "captured");
});

/** Resolves once a push was captured. */
async function captured(rest: World["rest"]): ReturnType<World["rest"]> {
  for (;;) {
    const page = await rest("GET", "/admin/captured?channel=push");
    if (page.items.length > 0) return page;
  }
}

/** Resolves once the token is not used any more: what a push came to is settled after it was answered. */
async function retired(rest: World["rest"], userId: string, token: string): Promise<void> {
  for (;;) {
    const { status } = await rest("GET", `/users/${userId}/tokens/${encodeURIComponent(token)}`);
    if (status === "failed") return;
  }
}
