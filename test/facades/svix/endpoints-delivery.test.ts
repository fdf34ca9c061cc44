/** What is configured at an endpoint, as its receiver gets to see it, and as the database keeps it. */
import assert from "node:assert/strict";
import { createPublicKey, verify } from "node:crypto";
import { after, before, test } from "node:test";
import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook } from "svix";
import { Webhook as Webhook2 } from "svix2";
import { type HttpReceiver, httpReceiver, type ReceivedRequest } from "../../support/http-receiver.ts";
import { type SvixTarget, svixFor } from "./svix-target.ts";

const env = { CARILLON_ALLOW_NETWORKS: "127.0.0.0/8", CARILLON_ENCRYPTION_KEY: "ab".repeat(32) };

let receiver: HttpReceiver;
before(async () => {
  receiver = await httpReceiver();
});
after(() => receiver.close());

/** Sends a message to the application and gives what reached the receiver. */
async function delivered(target: SvixTarget, app: string): Promise<ReceivedRequest> {
  const seen = receiver.requests.length;
  const sent = await target.call("POST", `/app/${app}/msg`, { eventType: "a.b", payload: { n: seen } });
  assert.equal(sent.status, 202, sent.text);
  return (await receiver.received(seen + 1)).at(-1) as ReceivedRequest;
}

function signatures({ headers }: ReceivedRequest): string[] {
  assert.equal(headers["webhook-signature"], headers["svix-signature"]);
  return String(headers["svix-signature"]).split(" ");
}

/** What the verifier packages would sign; they themselves look at the real clock. */
function signed(secret: string, { headers, text }: ReceivedRequest): string {
  const at = new Date(Number(headers["svix-timestamp"]) * 1000);
  const id = String(headers["svix-id"]);
  const made = new Webhook(secret).sign(id, at, text);
  assert.equal(new Webhook2(secret).sign(id, at, text), made);
  assert.equal(new StandardWebhook(secret).sign(id, at, text), made);
  return made;
}

test("a delivery is signed by the key that GET shows, and by old ones for their grace (scenarios 10 and 11)", async (t) => {
  const target = await svixFor(t, { env });
  const { id: app } = await target.svix.application.create({ name: "x" });
  const { id } = await target.svix.endpoint.create(app, { url: receiver.url });
  const first = (await target.svix.endpoint.getSecret(app, id)).key;
  const one = await delivered(target, app);
  assert.deepEqual(signatures(one), [signed(first, one)]);

  await target.svix2.endpoint.rotateSecret(app, id, { gracePeriodSeconds: 60 });
  const second = (await target.svix.endpoint.getSecret(app, id)).key;
  const two = await delivered(target, app);
  assert.deepEqual(signatures(two), [signed(second, two), signed(first, two)]);

  await target.clock.advance(60_000);
  const three = await delivered(target, app);
  assert.deepEqual(signatures(three), [signed(second, three)]);

  await target.svix2.endpoint.rotateSecret(app, id, { gracePeriodSeconds: 0 });
  const third = (await target.svix.endpoint.getSecret(app, id)).key;
  const four = await delivered(target, app);
  assert.deepEqual(signatures(four), [signed(third, four)]);
});

test("an asymmetric key signs what its public half verifies, beside others (scenario 12)", async (t) => {
  const target = await svixFor(t, { env });
  const { id: app } = await target.svix.application.create({ name: "x" });
  const secret = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA==";
  const { id } = await target.svix.endpoint.create(app, { url: receiver.url, secret });
  const shown = (await target.svix.endpoint.getSecret(app, id)).key;
  const x = Buffer.from(shown.slice("whpk_".length), "base64").toString("base64url");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  const verifies = ({ headers, text }: ReceivedRequest, signature: string): boolean => {
    const bytes = Buffer.from(`${headers["svix-id"]}.${headers["svix-timestamp"]}.${text}`);
    return verify(null, bytes, key, Buffer.from(signature.slice("v1a,".length), "base64"));
  };
  const one = await delivered(target, app);
  const [only = "", ...none] = signatures(one);
  assert.deepEqual([only.slice(0, 4), none], ["v1a,", []]);
  assert.ok(verifies(one, only));

  const plain = `whsec_${Buffer.alloc(24, 1).toString("base64")}`;
  await target.svix.endpoint.rotateSecret(app, id, { key: plain });
  const two = await delivered(target, app);
  const [current, old = ""] = signatures(two);
  assert.equal(current, signed(plain, two));
  assert.ok(verifies(two, old));
});

test("headers arrive as they were written, sensitive ones too (scenario 17)", async (t) => {
  const target = await svixFor(t, { env });
  const { id: app } = await target.svix.application.create({ name: "x" });
  const url = receiver.url.replace("://", "://user:pass@");
  const { id } = await target.svix.endpoint.create(app, { url });
  const plain = await delivered(target, app);
  assert.equal(plain.headers.authorization, `Basic ${Buffer.from("user:pass").toString("base64")}`);
  await target.svix.endpoint.updateHeaders(app, id, { headers: { "X-MiXed": "1", Authorization: "Bearer secret" } });
  await target.svix.endpoint.patchHeaders(app, id, { headers: { "x-more": "2" } });
  const dressed = await delivered(target, app);
  assert.deepEqual([dressed.headers["x-mixed"], dressed.headers["x-more"]], ["1", "2"]);
  assert.equal(dressed.headers.authorization, "Bearer secret");
  assert.ok(dressed.rawHeaders.includes("X-MiXed"));
});

test("the database holds no secret that can be read once there is a key for it (scenario 13)", async (t) => {
  const target = await svixFor(t, { env });
  const { id: app } = await target.svix.application.create({ name: "x" });
  const key = `whsec_${Buffer.alloc(24, 77).toString("base64")}`;
  const older = `whsec_${Buffer.alloc(24, 78).toString("base64")}`;
  const { id } = await target.svix.endpoint.create(app, { url: receiver.url, secret: older });
  await target.call("PUT", `/app/${app}/endpoint/${id}/headers`, { headers: { Authorization: "Bearer verysecret" } });
  await target.svix.endpoint.rotateSecret(app, id, { key });
  const [application] = (
    await target.app.engine.webhooks.applications.list(target.environment.id, {
      limit: 1,
      from: null,
      order: "ascending",
    })
  ).items;
  const { items } = await target.app.store.documents.list(target.environment.id, `endpoint:${application?.id}`, {
    limit: 9,
  });
  const kept = JSON.stringify(items);
  assert.equal(items.length, 1);
  for (const secret of [key, older, "verysecret"]) {
    assert.ok(!kept.includes(secret) && !kept.includes(secret.replace("whsec_", "")), secret);
  }
  const one = await delivered(target, app);
  assert.deepEqual(signatures(one), [signed(key, one), signed(older, one)]);
});

test("an endpoint over its rate says so, and since when (scenario 49)", async (t) => {
  const target = await svixFor(t, { env });
  const { id: app } = await target.svix.application.create({ name: "x" });
  const { id } = await target.svix.endpoint.create(app, { url: receiver.url, rateLimit: 1 });
  const path = `/app/${app}/endpoint/${id}/rate-limit-status`;
  const seen = receiver.requests.length;
  for (let i = 0; i < 5; i++) await target.call("POST", `/app/${app}/msg`, { eventType: "a.b", payload: {} });
  await receiver.received(seen + 1);
  // The others are held back soon, though not before they are accepted.
  let { body } = await target.call("GET", path);
  for (let i = 0; i < 200 && body.status === "Ok"; i++) ({ body } = await target.call("GET", path));
  assert.equal(body.status, "RateLimited");
  assert.equal(Date.parse(body.throttledSince), target.clock.now());
  const attempts = await target.call("GET", `/app/${app}/attempt/endpoint/${id}?status=2`);
  assert.deepEqual(attempts.body.data, []);
});

test("an application has as many endpoints as the server allows", async (t) => {
  const target = await svixFor(t, { env: { CARILLON_MAX_ENDPOINTS_PER_APPLICATION: "2" } });
  const { id: app } = await target.svix.application.create({ name: "x" });
  const post = () => target.call("POST", `/app/${app}/endpoint`, { url: "https://example.com/" });
  const made = [await post(), await post()];
  const refused = await post();
  assert.deepEqual([refused.status, refused.body.code], [400, "limit_reached"]);
  await target.call("DELETE", `/app/${app}/endpoint/${made[0]?.body.id}`);
  assert.equal((await post()).status, 201);
});
