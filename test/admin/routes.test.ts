import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, before, test } from "node:test";
import { newId } from "../../src/lib/ids.ts";
import { type Api, PUBLIC_KEY, startApi } from "../support/server.ts";

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api.close());

test("only a secret key gets in", async () => {
  assert.equal((await api.call("GET", "/admin/keys", undefined, { authorization: undefined })).status, 401);
  assert.equal((await api.call("GET", "/admin/keys", undefined, { authorization: "Bearer nope" })).status, 401);
  const publicKey = await api.call("GET", "/admin/keys", undefined, { authorization: `Bearer ${PUBLIC_KEY}` });
  assert.deepEqual([publicKey.status, publicKey.body.type], [403, "authorization_error"]);
  const user = { authorization: `Bearer ${await api.token("user_id:u1 inbox:read:messages")}` };
  assert.equal((await api.call("GET", "/admin/captured", undefined, user)).status, 403);
});

test("keys: the text is shown once, a revoked one is gone, one cannot revoke itself", async () => {
  const made = await api.call("POST", "/admin/keys", { mode: "mock" });
  assert.equal(made.status, 201);
  assert.match(made.body.key, /^mk_prod_/);
  const { items } = (await api.call("GET", "/admin/keys")).body;
  assert.ok(items.every((item: object) => !("key" in item)));
  const own = { authorization: `Bearer ${made.body.key}` };
  assert.equal((await api.call("DELETE", `/admin/keys/${made.body.id}`, undefined, own)).status, 409);
  assert.equal((await api.call("DELETE", `/admin/keys/${made.body.id}`)).status, 204);
  assert.equal((await api.call("GET", "/admin/keys")).body.items.length, items.length - 1);
  assert.equal((await api.call("DELETE", "/admin/keys/nonsense")).status, 404);
  assert.equal((await api.call("POST", "/admin/keys", { mode: "god" })).status, 400);
});

test("environments share nothing", async () => {
  const made = await api.call("POST", "/admin/environments", { name: "Staging" });
  assert.equal(made.status, 201);
  const other = { authorization: `Bearer ${made.body.secret_key}` };
  await api.sdk.profiles.create("u1", { profile: { a: 1 } });
  assert.equal((await api.call("GET", "/profiles/u1", undefined, other)).status, 404);
  assert.equal((await api.call("GET", "/admin/environments", undefined, other)).status, 403);
  assert.equal((await api.call("GET", "/admin/environments")).body.items.length, 2);
  assert.equal((await api.call("POST", "/admin/environments", {})).status, 400);
});

test("captured messages by channel and message, in pages, and gone when cleared", async () => {
  const { engine, clock, credentials } = api;
  const [environment] = await engine.environments.environments();
  assert.ok(environment && credentials.environmentById(environment.id));
  const messageId = newId("msg", clock.now());
  const captured = (["email", "sms", "email"] as const).map((channel) => ({
    id: newId("cap", clock.now()),
    environmentId: environment.id,
    messageId: channel === "sms" ? messageId : newId("msg", clock.now()),
    deliveryId: newId("dlv", clock.now()),
    channel,
    provider: `capture-${channel}`,
    address: { email: "a@x.io" },
    payload: { subject: "Hi" },
    at: clock.now(),
  }));
  await engine.captured.add(captured);
  const first = await api.call("GET", "/admin/captured?limit=2");
  assert.equal(first.body.items.length, 2);
  assert.deepEqual(first.body.items[0].payload, { subject: "Hi" });
  assert.equal((await api.call("GET", `/admin/captured?after=${first.body.next}`)).body.items.length, 1);
  assert.equal((await api.call("GET", "/admin/captured?channel=email")).body.items.length, 2);
  assert.equal((await api.call("GET", `/admin/captured?message_id=${messageId}`)).body.items[0].channel, "sms");
  for (const query of ["channel=pigeon", "message_id=x", "limit=0", "after=x"]) {
    assert.equal((await api.call("GET", `/admin/captured?${query}`)).status, 400, query);
  }
  assert.equal((await api.call("DELETE", "/admin/captured")).status, 204);
  assert.deepEqual((await api.call("GET", "/admin/captured")).body, { items: [], next: null });
});

test("outbound webhooks: the secret is told when written and kept when left out", async () => {
  const made = await api.call("POST", "/admin/outbound-webhooks", { url: "https://x.io/hook" });
  assert.equal(made.status, 201);
  assert.ok(made.body.secret.length >= 32);
  const path = `/admin/outbound-webhooks/${made.body.id}`;
  const shown = (await api.call("GET", path)).body;
  assert.deepEqual([shown.has_secret, "secret" in shown], [true, false]);
  const kept = await api.call("PUT", path, { url: "https://x.io/other", events: ["message:updated"] });
  assert.equal(kept.body.secret, made.body.secret);
  assert.equal((await api.call("PUT", path, { url: "https://x.io/other", secret: null })).body.secret, null);
  for (const bad of [
    {},
    { url: "x" },
    { url: "ftp://x.io" },
    { url: "https://u:p@x.io" },
    { url: "https://x.io", events: ["?"] },
  ]) {
    assert.equal((await api.call("POST", "/admin/outbound-webhooks", bad)).status, 400, JSON.stringify(bad));
  }
  assert.equal((await api.call("GET", "/admin/outbound-webhooks")).body.items.length, 1);
  assert.equal((await api.call("DELETE", path)).status, 204);
  assert.equal((await api.call("DELETE", path)).status, 404);
});

test("client-config is what a browser SDK takes", async () => {
  const { body } = await api.call("GET", "/admin/client-config");
  assert.equal(body.public_key, PUBLIC_KEY);
  assert.deepEqual(body.apiUrls, {
    courier: { rest: "http://carillon.test", graphql: "http://carillon.test/client/q" },
    inbox: { graphql: "http://carillon.test/q", webSocket: "ws://carillon.test/ws" },
  });
});

test("/openapi.json describes every path of /admin", async () => {
  const { body } = await api.call("GET", "/openapi.json", undefined, { authorization: undefined });
  const described = Object.keys(body.paths).flatMap((path) =>
    Object.keys(body.paths[path]).map((method) => `${method.toUpperCase()} ${path}`),
  );
  for (const operation of described) {
    const [method = "", path = ""] = operation.split(" ");
    assert.ok(api.app.hasRoute({ method: method as "GET", url: path.replace(/{(\w+)}/g, ":$1") }), operation);
  }
  const existing = api.adminRoutes
    .filter((route) => !route.startsWith("HEAD"))
    .map((r) => r.replace(/:(\w+)/g, "{$1}"));
  assert.deepEqual([...described].sort(), [...existing].sort());
});

test("Knock signing keys: RSA public keys are kept, anything else is refused", async () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = rsa.publicKey.export({ type: "spki", format: "pem" });
  const made = await api.call("POST", "/admin/knock/signing-keys", { public_key: pem });
  assert.equal(made.status, 201);
  const { items } = (await api.call("GET", "/admin/knock/signing-keys")).body;
  assert.deepEqual([items[0].id, items[0].public_key], [made.body.id, pem]);
  const others = [
    "x",
    rsa.privateKey.export({ type: "pkcs8", format: "pem" }),
    generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "pem" }),
    7,
  ];
  for (const public_key of others) {
    assert.equal((await api.call("POST", "/admin/knock/signing-keys", { public_key })).status, 400);
  }
  assert.equal((await api.call("DELETE", `/admin/knock/signing-keys/${made.body.id}`)).status, 204);
  assert.equal((await api.call("DELETE", `/admin/knock/signing-keys/${made.body.id}`)).status, 404);
});

test("every facade shows all items until it is told to show its own", async () => {
  const path = "/admin/inbox-visibility";
  const all = { courier: "all", knock: "all", pushwoosh: "all" };
  assert.deepEqual((await api.call("GET", path)).body, all);
  for (const body of [{ courier: "some" }, { knock: true }, { pushwoosh: null }, []]) {
    assert.equal((await api.call("PUT", path, body)).status, 400);
  }
  const own = { ...all, courier: "own" };
  assert.deepEqual((await api.call("PUT", path, { courier: "own", svix: "own" })).body, own);
  assert.deepEqual((await api.call("GET", path)).body, own);
  // Who is not named shows all.
  assert.deepEqual((await api.call("PUT", path, { knock: "own" })).body, { ...all, knock: "own" });
});

test("settings of facades are off until they are set", async () => {
  for (const [path, name, more] of [
    ["/admin/knock/security", "enhanced_security", {}],
    ["/admin/pushwoosh", "require_device_token", { propagate_user_removals: false, default_inbox_days: null }],
  ] as const) {
    assert.deepEqual((await api.call("GET", path)).body, { [name]: false, ...more });
    assert.equal((await api.call("PUT", path, { [name]: "yes" })).status, 400);
    assert.deepEqual((await api.call("PUT", path, { [name]: true })).body, { [name]: true, ...more });
    assert.deepEqual((await api.call("GET", path)).body, { [name]: true, ...more });
  }
  const all = { require_device_token: true, propagate_user_removals: true, default_inbox_days: 30 };
  assert.deepEqual((await api.call("PUT", "/admin/pushwoosh", all)).body, all);
  for (const wrong of [
    { default_inbox_days: 7 },
    { ...all, default_inbox_days: 0 },
    { ...all, default_inbox_days: 31 },
    { ...all, default_inbox_days: 1.5 },
    { ...all, propagate_user_removals: "yes" },
  ]) {
    assert.equal((await api.call("PUT", "/admin/pushwoosh", wrong)).status, 400, JSON.stringify(wrong));
  }
  assert.deepEqual((await api.call("GET", "/admin/pushwoosh")).body, all);
});
