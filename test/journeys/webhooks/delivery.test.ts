/** What receivers get, how often, and what the server tells of it: through both majors of the vendor's client. */
import assert from "node:assert/strict";
import { createPublicKey, verify } from "node:crypto";
import { mock, test } from "node:test";
import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";
import { Webhook as Svix2Webhook } from "svix2";
import { generateSecret, sign } from "../../../src/engine/webhooks/signing.ts";
import { forEachSvix, type SvixTarget, svixFor } from "../../facades/svix/svix-target.ts";
import { type HttpReceiver, httpReceiver, type ReceivedRequest } from "../../support/http-receiver.ts";

const SECOND = 1_000;

interface Attempt {
  readonly id: string;
  readonly status: number;
  readonly responseStatusCode: number;
  readonly response: string;
  readonly timestamp: Date;
}

interface World {
  readonly target: SvixTarget;
  readonly app: string;
  readonly endpoint: string;
  /** @returns the message's id. */
  send(payload?: unknown): Promise<string>;
  /** Once there are so many attempts, all of them, oldest first. */
  attempts(count: number): Promise<readonly Attempt[]>;
}

let applications = 0;

/** Tests of one database share a server, and move its clock by less than a week in all: see svix-target.ts. */
async function world(
  target: SvixTarget,
  url: string,
  more: { secret?: string; headers?: { [name: string]: string } } = {},
): Promise<World> {
  const app = `delivery-${++applications}`;
  await target.svix.application.create({ name: app, uid: app });
  const { id: endpoint } = await target.svix2.endpoint.create(app, { url, ...more });
  return {
    target,
    app,
    endpoint,
    send: async (payload = { n: 1 }) =>
      (await target.svix.message.create(app, { eventType: "some.event", payload })).id,
    attempts: async (count) => {
      for (const until = Date.now() + 20_000; ; ) {
        const { data } = await target.svix2.messageAttempt.listByEndpoint(app, endpoint, {
          limit: 50,
          withContent: true,
        });
        if (data.length >= count) return [...data].reverse();
        assert.ok(Date.now() < until, `${data.length} attempts of ${count}`);
      }
    },
  };
}

function verifyByPackages(target: SvixTarget, secret: string, { text, headers }: ReceivedRequest): void {
  const given = headers as { [name: string]: string };
  // The packages compare with the time of day: for them it is what the server's clock shows.
  mock.timers.enable({ apis: ["Date"], now: target.clock.now() });
  try {
    new SvixWebhook(secret).verify(text, given);
    new Svix2Webhook(secret).verify(text, given);
    new StandardWebhook(secret).verify(text, given);
  } finally {
    mock.timers.reset();
  }
}

async function hookFor(t: { after(work: () => unknown): void }): Promise<HttpReceiver> {
  const hook = await httpReceiver();
  t.after(() => hook.close());
  return hook;
}

forEachSvix((name, open) => {
  test(`${name}: a delivery verifies with every package, by a generated secret and by a given one`, async (t) => {
    const hook = await hookFor(t);
    const target = await open();
    const given = generateSecret("symmetric");
    for (const secret of [undefined, given]) {
      const { app, endpoint, send } = await world(target, hook.url, secret === undefined ? {} : { secret });
      await send({ b: 1, a: "ü" });
      const request = (await hook.received(secret === undefined ? 1 : 2)).at(-1) as ReceivedRequest;
      const { key } = await target.svix.endpoint.getSecret(app, endpoint);
      assert.equal((await target.svix2.endpoint.getSecret(app, endpoint)).key, key);
      assert.match(key, /^whsec_[A-Za-z0-9+/]{32}$/);
      if (secret !== undefined) assert.equal(key, secret);
      verifyByPackages(target, key, request);
      assert.equal(request.text, '{"b":1,"a":"ü"}');
    }
  });

  test(`${name}: after a rotation both keys sign, the new one first, until the grace is over`, async (t) => {
    const hook = await hookFor(t);
    const target = await open();
    const { app, endpoint, send } = await world(target, hook.url);
    const old = (await target.svix.endpoint.getSecret(app, endpoint)).key;
    await target.svix.endpoint.rotateSecret(app, endpoint, {});
    const fresh = (await target.svix.endpoint.getSecret(app, endpoint)).key;
    assert.notEqual(fresh, old);
    const id = await send();
    const [request] = (await hook.received(1)) as [ReceivedRequest];
    for (const secret of [old, fresh]) verifyByPackages(target, secret, request);
    const seconds = Number(request.headers["webhook-timestamp"]);
    assert.equal(request.headers["webhook-signature"], sign([fresh, old], id, seconds, request.text));

    const asymmetric = generateSecret("asymmetric");
    await target.svix2.endpoint.rotateSecret(app, endpoint, { key: asymmetric });
    await send();
    const mixed = (await hook.received(2))[1] as ReceivedRequest;
    assert.match(String(mixed.headers["svix-signature"]), /^v1a,\S+ v1,\S+ v1,\S+$/);
    for (const secret of [old, fresh]) verifyByPackages(target, secret, mixed);
    const shown = (await target.svix2.endpoint.getSecret(app, endpoint)).key;
    const x = Buffer.from(shown.replace(/^whpk_/, ""), "base64").toString("base64url");
    const [signature = ""] = String(mixed.headers["svix-signature"]).split(" ");
    const signed = `${mixed.headers["svix-id"]}.${mixed.headers["svix-timestamp"]}.${mixed.text}`;
    assert.ok(
      verify(
        null,
        Buffer.from(signed),
        createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" }),
        Buffer.from(signature.replace("v1a,", ""), "base64"),
      ),
    );

    target.clock.advance(24 * 3_600 * SECOND);
    await send();
    assert.match(String((await hook.received(3))[2]?.headers["svix-signature"]), /^v1a,\S+$/);
  });

  test(`${name}: a success on the second try ends it`, async (t) => {
    const hook = await hookFor(t);
    const target = await open();
    const { send, attempts } = await world(target, hook.url);
    hook.answer({ status: 503 }, { status: 204 });
    await send();
    await attempts(1);
    target.clock.advance(6 * SECOND);
    assert.deepEqual(
      (await attempts(2)).map(({ status }) => status),
      [2, 0],
    );
    target.clock.advance(24 * 3_600 * SECOND);
    await send();
    await attempts(3);
    assert.equal(hook.requests.length, 3);
  });

  test(`${name}: nobody there, and a redirect: an attempt with the reason, and nothing is called instead`, async (t) => {
    const target = await open();
    const hook = await hookFor(t);
    const elsewhere = await hookFor(t);
    const gone = await httpReceiver();
    await gone.close();
    const dead = await world(target, gone.url);
    await dead.send();
    const [failed] = await dead.attempts(1);
    assert.deepEqual([failed?.status, failed?.responseStatusCode], [2, 0]);
    assert.match(String(failed?.response), /ECONNREFUSED/);

    hook.answer({ status: 308, headers: { location: elsewhere.url } });
    const redirecting = await world(target, hook.url);
    await redirecting.send();
    const [redirected] = await redirecting.attempts(1);
    assert.deepEqual([redirected?.status, redirected?.responseStatusCode], [2, 308]);
    assert.equal(elsewhere.connections, 0);
  });

  test(`${name}: Retry-After is heeded between the wait and twice the wait`, async (t) => {
    const hook = await hookFor(t);
    const target = await open();
    for (const [asked, least, most] of [
      ["8", 6_400, 9_600],
      ["100", 8_000, 12_000],
      [new Date(0).toUTCString(), 4_000, 6_000],
    ] as const) {
      hook.answer({ status: 503, headers: { "retry-after": asked } });
      const { app, send, attempts } = await world(target, hook.url);
      const sentAt = target.clock.now();
      const id = await send();
      await attempts(1);
      const { data } = await target.svix.messageAttempt.listAttemptedDestinations(app, id);
      const wait = (data[0]?.nextAttempt?.getTime() ?? Number.NaN) - sentAt;
      assert.ok(wait >= least && wait <= most, `${asked}: ${wait} ms`);
    }
  });

  test(`${name}: a receiver that is too slow is left alone for a minute, less a fifth`, async (t) => {
    const hook = await hookFor(t);
    const target = await open();
    hook.answer("hang");
    const { app, send, attempts } = await world(target, hook.url);
    const id = await send();
    await hook.received(1);
    target.clock.advance(15 * SECOND);
    const [attempt] = await attempts(1);
    assert.deepEqual([attempt?.status, attempt?.responseStatusCode], [2, 0]);
    const { data } = await target.svix2.messageAttempt.listAttemptedDestinations(app, id);
    const wait = (data[0]?.nextAttempt?.getTime() ?? Number.NaN) - target.clock.now();
    assert.ok(wait >= 48 * SECOND && wait <= 72 * SECOND, `${wait} ms`);
  });

  test(`${name}: of an answer 20,000 bytes are kept, as text or as base64`, async (t) => {
    const hook = await hookFor(t);
    const target = await open();
    const { send, attempts } = await world(target, hook.url);
    const bytes = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 0xff]);
    hook.answer({ body: "é".repeat(25_000) }, { body: bytes }, { body: "thanks" });
    for (let n = 1; n <= 3; n++) {
      await send();
      await attempts(n);
    }
    const [long, binary, short] = await attempts(3);
    assert.equal(Buffer.byteLength(String(long?.response)), 20_000);
    assert.equal(binary?.response, bytes.toString("base64"));
    assert.equal(short?.response, "thanks");
  });

  // Servers of their own come last: their clocks are ahead of the shared one.

  test(`${name}: a receiver that fails gets as many tries as the schedule has, each signed anew`, async (t) => {
    const hook = await hookFor(t);
    const target = await svixFor(t, { dialect: name, env: { CARILLON_WEBHOOK_RETRY_SECONDS: "5,60" } });
    const { app, endpoint, send, attempts } = await world(target, hook.url);
    hook.answer({ status: 500, body: "no" });
    const id = await send();
    await attempts(1);
    target.clock.advance(6 * SECOND);
    await attempts(2);
    target.clock.advance(72 * SECOND);
    await attempts(3);
    target.clock.advance(24 * 3_600 * SECOND);
    // Another message's attempt tells that there is none left of this one.
    hook.answer({ status: 200 });
    await send();
    const made = await attempts(4);
    assert.deepEqual(
      made.map(({ status, responseStatusCode }) => [status, responseStatusCode]),
      [
        [2, 500],
        [2, 500],
        [2, 500],
        [0, 200],
      ],
    );
    const requests = (await hook.received(4)).slice(0, 3);
    assert.deepEqual(new Set(requests.map(({ headers }) => headers["svix-id"])), new Set([id]));
    assert.equal(new Set(requests.map(({ headers }) => headers["svix-signature"])).size, 3);
    const { key } = await target.svix.endpoint.getSecret(app, endpoint);
    for (const { headers, text } of requests) {
      const at = new Date(Number(headers["webhook-timestamp"]) * 1000);
      assert.equal(headers["webhook-signature"], new StandardWebhook(key).sign(id, at, text));
    }
  });

  test(`${name}: a private address is refused at delivery, not at creation`, async (t) => {
    const hook = await hookFor(t);
    const target = await svixFor(t, { dialect: name, env: { CARILLON_ALLOW_NETWORKS: "" } });
    const urls = [
      hook.url,
      `http://localhost:${hook.port}/`,
      `http://[::ffff:127.0.0.1]:${hook.port}/`,
      `http://2130706433:${hook.port}/`,
      "http://10.0.0.1/",
      "http://169.254.169.254/latest/meta-data/",
      "https://[fd00::1]/",
    ];
    for (const url of urls) {
      const { send, attempts } = await world(target, url);
      await send();
      const [attempt] = await attempts(1);
      assert.deepEqual([attempt?.status, attempt?.responseStatusCode], [2, 0], url);
      assert.match(String(attempt?.response), /blocked/, url);
    }
    assert.equal(hook.connections, 0);
  });
});
