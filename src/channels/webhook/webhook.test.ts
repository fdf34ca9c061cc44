import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type HttpReceiver, httpReceiver } from "../../../test/support/http-receiver.ts";
import type { Outcome } from "../../engine/model.ts";
import { Refusal } from "../../engine/refusal.ts";
import { FakeClock } from "../../lib/clock.ts";
import type { Json, JsonObject } from "../../lib/json.ts";
import { NetworkGuard } from "../network-guard.ts";
import { OutboundHttp } from "../outbound-http.ts";
import { outgoing, type Wanted } from "../outgoing.fixture.ts";
import { openWebhook, webhookRequest } from "./webhook.ts";

interface World {
  readonly hook: HttpReceiver;
  readonly clock: FakeClock;
  /** Posts to the receiver, unless the webhook given says otherwise. */
  send(webhook?: JsonObject, wanted?: Wanted): Promise<Outcome>;
}

async function world(t: TestContext, settings: (url: string) => JsonObject = () => ({})): Promise<World> {
  const hook = await httpReceiver();
  const clock = new FakeClock();
  const http = new OutboundHttp({ guard: new NetworkGuard({ allowNetworks: ["127.0.0.0/8"] }), clock });
  const base = { channel: "webhook", provider: "webhook", settings: settings(hook.url) } as const;
  const sender = openWebhook(outgoing(base).provider, { http, clock });
  t.after(async () => {
    await http.close();
    await hook.close();
  });
  return {
    hook,
    clock,
    send: (webhook = { url: hook.url }, wanted = {}) =>
      sender.send(outgoing({ ...base, address: { webhook }, ...wanted })),
  };
}

const PAYLOAD = { message: { to: { user_id: "u1" }, data: { n: 1 } } };

test("the planner's payload is posted as JSON", async (t) => {
  const { hook, send } = await world(t);
  assert.deepEqual(await send(undefined, { content: { raw: { payload: PAYLOAD } } }), {
    kind: "sent",
    statusCode: 200,
  });
  const [got] = await hook.received(1);
  assert.deepEqual([got?.method, got?.headers["content-type"], got?.json()], ["POST", "application/json", PAYLOAD]);
});

test("without a prepared payload the body tells the content and the data", async (t) => {
  const { hook, send } = await world(t);
  await send(undefined, { data: { n: 1 } });
  const [got] = await hook.received(1);
  assert.deepEqual(got?.json(), {
    message: { to: { user_id: "u1" }, data: { n: 1 }, content: { title: "Hello", body: "Hi there" } },
  });
});

test("method, headers and authentication are the recipient's", async (t) => {
  const { hook, send } = await world(t);
  await send({
    url: `${hook.url}/in?x=1`,
    method: "PUT",
    headers: { "X-Tenant": "acme", "Content-Type": "application/vnd.acme+json" },
    authentication: { mode: "bearer", token: "z" },
  });
  await send({ url: hook.url, authentication: { mode: "basic", username: "ü", password: "p:q" } });
  await send({ url: hook.url, authentication: { mode: "none", token: "unused" } });
  const [put, basic, none] = await hook.received(3);
  assert.deepEqual(
    [put?.method, put?.url, put?.headers["x-tenant"], put?.headers["content-type"], put?.headers.authorization],
    ["PUT", "/in?x=1", "acme", "application/vnd.acme+json", "Bearer z"],
  );
  assert.equal(basic?.headers.authorization, `Basic ${Buffer.from("ü:p:q").toString("base64")}`);
  assert.equal(none?.headers.authorization, undefined);
});

test("every try of a delivery carries the same idempotency key", async (t) => {
  const { hook, send } = await world(t);
  await send();
  await send();
  const keys = (await hook.received(2)).map((request) => request.headers["idempotency-key"]);
  assert.deepEqual(keys, ["dlv_01", "dlv_01"]);
});

test("overrides replace url, method and headers; the body is merged at every depth", async (t) => {
  const { hook, send } = await world(t);
  await send(
    { url: "http://127.0.0.1:1/never", headers: { "x-a": "1", "x-b": "1" } },
    {
      content: { raw: { payload: PAYLOAD } },
      override: {
        url: `${hook.url}/over`,
        method: "put",
        headers: { "X-A": "2" },
        body: { message: { data: { m: 2 } } },
      },
    },
  );
  const [got] = await hook.received(1);
  assert.deepEqual([got?.method, got?.url, got?.headers["x-a"], got?.headers["x-b"]], ["PUT", "/over", "2", "1"]);
  assert.deepEqual(got?.json(), { message: { to: { user_id: "u1" }, data: { n: 1, m: 2 } } });
});

test("a recipient without a webhook goes to the static one, with its credentials", async (t) => {
  const { hook, send } = await world(t, (url) => ({ url, method: "PUT", authentication: "bearer", token: "ours" }));
  await send({});
  const [got] = await hook.received(1);
  assert.deepEqual([got?.method, got?.headers.authorization], ["PUT", "Bearer ours"]);
});

test("the operator's credentials go to no other receiver", async (t) => {
  const other = await httpReceiver();
  t.after(() => other.close());
  const { hook, send } = await world(t, (url) => ({ url, authentication: "bearer", token: "ours" }));
  await send({ url: other.url });
  await send({}, { override: { url: other.url } });
  await send({}, { override: { url: `${hook.url}/elsewhere` } });
  for (const got of await other.received(2)) assert.equal(got.headers.authorization, undefined);
  const [own] = await hook.received(1);
  assert.equal(own?.headers.authorization, "Bearer ours");
});

for (const [status, kind] of [
  [200, "sent"],
  [201, "sent"],
  [202, "sent"],
  [204, "sent"],
  [299, "sent"],
  [301, "rejected"],
  [307, "rejected"],
  [400, "rejected"],
  [401, "rejected"],
  [404, "rejected"],
  [408, "failed"],
  [410, "rejected"],
  [429, "failed"],
  [500, "failed"],
  [503, "failed"],
  [599, "failed"],
] as const) {
  test(`an answer of ${status} is ${kind}`, async (t) => {
    const { hook, send } = await world(t);
    hook.answer({ status, headers: { location: "http://127.0.0.1:1/" } });
    const outcome = await send();
    assert.deepEqual([outcome.kind, "statusCode" in outcome && outcome.statusCode], [kind, status]);
    assert.equal(hook.requests.length, 1);
  });
}

test("Retry-After says when to come back, in seconds or as a date", async (t) => {
  const { hook, clock, send } = await world(t);
  const at = clock.now() + 90_000;
  hook.answer(
    { status: 429, headers: { "retry-after": "30" } },
    { status: 503, headers: { "retry-after": new Date(at).toUTCString() } },
    { status: 503, headers: { "retry-after": "later" } },
  );
  const outcomes = [await send(), await send(), await send()];
  assert.deepEqual(
    outcomes.map((outcome) => outcome.kind === "failed" && outcome.notBefore),
    [clock.now() + 30_000, at, undefined],
  );
});

test("no answer, a cut connection and a closed port are worth another try", async (t) => {
  const { hook, clock, send } = await world(t);
  hook.answer("drop", "hang");
  assert.equal((await send()).kind, "failed");
  const hanging = send();
  await hook.received(2);
  clock.advance(15_000);
  assert.equal((await hanging).kind, "failed");
  await hook.close();
  assert.equal((await send()).kind, "failed");
});

test("a forbidden address is rejected at once", async (t) => {
  const { send } = await world(t);
  for (const url of ["http://169.254.169.254/", "http://[::1]/", "http://10.0.0.1/", "gopher://x/", "::"]) {
    assert.equal((await send({ url })).kind, "rejected", url);
  }
});

test("the reason quotes the beginning of the answer on one line", async (t) => {
  const { hook, send } = await world(t);
  hook.answer({ status: 400, body: `no\r\n\0such\tthing ${"x".repeat(5_000)}` });
  const outcome = await send();
  assert.ok(outcome.kind === "rejected");
  assert.match(outcome.reason, /^answered 400: no such thing x+$/);
  assert.ok(outcome.reason.length < 250);
});

for (const [webhook, override] of [
  [{ url: 5 }, null],
  [{}, null],
  [{ url: "http://x.example", method: "GET" }, null],
  [{ url: "http://x.example", method: {} }, null],
  [{ url: "http://x.example", headers: "a: b" }, null],
  [{ url: "http://x.example", headers: { a: { b: 1 } } }, null],
  [{ url: "http://x.example", authentication: "bearer" }, null],
  [{ url: "http://x.example", authentication: { mode: "oauth" } }, null],
  [{ url: "http://x.example", authentication: { mode: "bearer", token: 5 } }, null],
  [{ url: "http://x.example" }, { url: [] }],
  [{ url: "http://x.example" }, { headers: [] }],
] as readonly (readonly [JsonObject, JsonObject | null])[]) {
  test(`${JSON.stringify(webhook)} with ${JSON.stringify(override)} is refused`, () => {
    assert.throws(() => webhookRequest(outgoing({ address: { webhook }, override }), {}), Refusal);
  });
}

test("a header that would begin another one is rejected", async (t) => {
  const { hook, send } = await world(t);
  assert.equal((await send({ url: hook.url, headers: { "x-a": "1\r\nx-b: 2" } })).kind, "rejected");
  assert.equal(
    (await send({ url: hook.url, authentication: { mode: "bearer", token: "z\r\nx-b: 2" } })).kind,
    "rejected",
  );
  assert.equal(hook.connections, 0);
});

test("a body of another kind than an object replaces the payload", () => {
  const body = [1, { __proto__: null }] as Json;
  const request = webhookRequest(
    outgoing({ address: { webhook: { url: "http://x.example" } }, override: { body } }),
    {},
  );
  assert.equal(request.body, "[1,{}]");
});

test("a workflow's step is sent as its author wrote it", async (t) => {
  const { hook, send } = await world(t);
  const origin = { ref: "call", channelId: "c", versionId: "wfv_1", categories: [], actors: [] } as const;
  const written = (request: JsonObject, payload: Json): Wanted => ({
    origin: { ...origin, totalActors: 0, activities: null, totalActivities: 1 },
    content: { raw: { request: { url: hook.url, headers: { "X-Own": "1" }, ...request }, payload } },
  });
  const body = '{ "n": 1 }';
  for (const wanted of [
    written({ method: "PATCH", body }, { n: 1 }),
    written({ method: "GET", body: null }, null),
    written({ method: "POST", body: "plain" }, "plain"),
  ]) {
    assert.equal((await send({}, wanted)).kind, "sent");
  }
  const got = await hook.received(3);
  assert.deepEqual(
    got.map(({ method, headers, text }) => [method, headers["content-type"], headers["x-own"], text]),
    [
      ["PATCH", "application/json", "1", body],
      ["GET", undefined, "1", ""],
      ["POST", "text/plain; charset=utf-8", "1", "plain"],
    ],
  );
  const empty = written({ method: "POST", url: "", body: null }, null);
  assert.equal((await send({}, empty)).kind, "rejected");
});
