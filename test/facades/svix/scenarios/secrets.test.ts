/**
 * The keys that sign: scenarios 10–12. Each delivery is verified by the svix packages of both majors and by
 * standardwebhooks, as by a receiver with its clock at that moment.
 */
import assert from "node:assert/strict";
import { createPublicKey, verify } from "node:crypto";
import { test } from "node:test";
import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook } from "svix";
import { Webhook as Webhook2 } from "svix2";
import type { HttpReceiver, ReceivedRequest } from "../../../support/http-receiver.ts";
import { locs, refusal } from "../eventually.ts";
import { putEndpoint, refusedAt } from "./renamed.ts";
import { assertVerifies, DAY, forEachSpeaker, HOUR, MINUTE, type Scene, SECOND } from "./scenario.ts";

const URL_ = "https://example.com/";
const LIMIT = { status: 400, code: "limit_reached" };
const SEEDED = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA==";
const SEEDED_PUBLIC = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";

const keyOf = (bytes: number, fill = 7): string => `whsec_${Buffer.alloc(bytes, fill).toString("base64")}`;
const bytesOf = (key: string): number => Buffer.from(key.slice("whsec_".length), "base64").length;

/** Sends a message and gives what reached the receiver. */
async function delivered(scene: Scene, app: string, receiver: HttpReceiver): Promise<ReceivedRequest> {
  const from = receiver.requests.length;
  await scene.message(app, { payload: { text: "ünï ✓", n: 1.5, from } });
  await scene.idle();
  assert.equal(receiver.requests.length, from + 1);
  return receiver.requests[from] as ReceivedRequest;
}

/** Those of both sets of headers, which must be the same. */
function signatures({ headers }: ReceivedRequest): string[] {
  for (const part of ["id", "timestamp", "signature"]) {
    assert.equal(headers[`webhook-${part}`], headers[`svix-${part}`]);
  }
  return String(headers["svix-signature"]).split(" ");
}

/** The request as if it had come with this signature alone. */
function with1(request: ReceivedRequest, signature: string | undefined): ReceivedRequest {
  const headers = { ...request.headers, "svix-signature": signature, "webhook-signature": signature };
  return { ...request, headers } as ReceivedRequest;
}

/** That the keys have signed, in this order, and no other has; by the packages, each signature on its own. */
function assertSigned(scene: Scene, request: ReceivedRequest, keys: readonly string[]): void {
  const all = signatures(request);
  assert.equal(all.length, keys.length, all.join(" "));
  for (const [i, key] of keys.entries()) {
    if (key.startsWith("whpk_")) assertAsymmetric(request, all[i] ?? "", key);
    else {
      assertVerifies(key, request, scene.clock.now());
      assertVerifies(key, with1(request, all[i]), scene.clock.now());
    }
  }
}

function assertAsymmetric({ headers, text }: ReceivedRequest, signature: string, shown: string): void {
  assert.match(signature, /^v1a,/);
  const x = Buffer.from(shown.slice("whpk_".length), "base64").toString("base64url");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  const signed = Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${text}`);
  const bytes = Buffer.from(signature.slice("v1a,".length), "base64");
  assert.ok(verify(null, signed, key, bytes));
  assert.ok(!verify(null, Buffer.concat([signed, Buffer.from(" ")]), key, bytes));
}

forEachSpeaker({}, (who, open) => {
  test(`${who}: 10. Secrets, generated and supplied: 24 bytes, verified by all packages; what no key can be`, async (t) => {
    const scene = await open(t);
    const { svix, call } = scene;
    const receiver = await scene.receiver();
    const app = await scene.app();
    const made = await svix.endpoint.create(app, { url: receiver.url });
    const key = await scene.key(app, made.id);
    assert.match(key, /^whsec_[A-Za-z0-9+/]{32}$/);
    assert.equal(bytesOf(key), 24);
    assert.deepEqual((await call("GET", `/app/${app}/endpoint/${made.id}/secret`)).body, { key });
    assertSigned(scene, await delivered(scene, app, receiver), [key]);
    await svix.endpoint.delete(app, made.id);
    // Each endpoint has its own; one made by a PUT, too.
    const put = await putEndpoint(scene, app, "unknown", { url: receiver.url });
    const other = await scene.key(app, put.id);
    assert.notEqual(other, key);
    assertSigned(scene, await delivered(scene, app, receiver), [other]);
    await svix.endpoint.delete(app, put.id);

    for (const given of [keyOf(24), keyOf(32), keyOf(75), keyOf(25, 255), keyOf(24, 0)]) {
      const { id } = await svix.endpoint.create(app, { url: receiver.url, secret: given });
      assert.equal(await scene.key(app, id), given);
      assertSigned(scene, await delivered(scene, app, receiver), [given]);
      await svix.endpoint.delete(app, id);
    }
    const none = await svix.endpoint.create(app, { url: URL_, secret: null, disabled: true });
    assert.equal(bytesOf(await scene.key(app, none.id)), 24);
    const bare = await svix.endpoint.create(app, { url: URL_, secret: keyOf(32).slice(6), disabled: true });
    assert.equal(await scene.key(app, bare.id), keyOf(32));

    const path = `/app/${app}/endpoint/${none.id}`;
    const before = await scene.key(app, none.id);
    const mixed = `whsk_${Buffer.concat([Buffer.alloc(32, 1), Buffer.alloc(32, 2)]).toString("base64")}`;
    for (const secret of [
      keyOf(23),
      keyOf(76),
      "whsec_",
      "",
      "whsec",
      "_",
      keyOf(24).replace("whsec_", "whxyz_"),
      keyOf(24).replace("whsec_", "WHSEC_"),
      keyOf(24).replace("whsec_", "whpk_"),
      keyOf(24).replace("whsec_", "whsec_whsec_"),
      `${keyOf(24)} `,
      ` ${keyOf(24)}`,
      `${keyOf(24)}\n`,
      `whsec_${"!".repeat(32)}`,
      `whsec_${"A".repeat(33)}`,
      `${keyOf(25).replace(/=+$/, "")}`,
      `whsec_${Buffer.alloc(30, 255).toString("base64url")}`,
      `whsec_${"ü".repeat(32)}`,
      `whsec_${"A".repeat(100_000)}`,
      keyOf(64).replace("whsec_", "whsk_"),
      keyOf(32).replace("whsec_", "whsk_"),
      mixed,
      `whsk1_${SEEDED.slice(5)}`,
    ]) {
      const refused = await call("POST", `/app/${app}/endpoint`, { url: URL_, secret });
      assert.deepEqual(locs(refused), ["body.secret"], secret.slice(0, 50));
      if (secret.length > 10) assert.ok(!refused.text.includes(secret.slice(6)), refused.text);
      assert.deepEqual(locs(await call("PATCH", path, { secret })), ["body.secret"], secret.slice(0, 50));
      assert.deepEqual(locs(await call("POST", `${path}/secret/rotate`, { key: secret })), ["body.key"]);
      assert.deepEqual(locs(await call("POST", "/operational-webhook/endpoint", { url: URL_, secret })), [
        "body.secret",
      ]);
    }
    for (const secret of [5, true, [], {}, [keyOf(24)]]) {
      assert.deepEqual(locs(await call("POST", `/app/${app}/endpoint`, { url: URL_, secret })), ["body.secret"]);
    }
    assert.deepEqual(await refusedAt(svix.endpoint.create(app, { url: URL_, secret: keyOf(23) })), ["body.secret"]);
    assert.equal(await scene.key(app, none.id), before);
    assert.equal((await svix.endpoint.list(app)).data.length, 2);
    // No answer but that of the key's own call shows it.
    for (const shown of [await call("GET", path), await call("GET", `/app/${app}/endpoint`)]) {
      assert.doesNotMatch(shown.text, /whsec|secret/i);
    }
  });

  test(`${who}: 11. Rotation: the old key signs beside the new one for its grace, and at most ten do`, async (t) => {
    const scene = await open(t);
    const { svix, call, clock } = scene;
    const receiver = await scene.receiver();
    const app = await scene.app();
    const { id } = await svix.endpoint.create(app, { url: receiver.url });
    const path = `/app/${app}/endpoint/${id}/secret/rotate`;
    const sent = () => delivered(scene, app, receiver);
    const first = await scene.key(app, id);

    // With a key, without one, with an empty body, without any body.
    assert.deepEqual((({ status, text }) => [status, text])(await call("POST", path, { key: keyOf(40) })), [204, ""]);
    assert.equal(await scene.key(app, id), keyOf(40));
    assertSigned(scene, await sent(), [keyOf(40), first]);
    clock.advance(DAY - SECOND);
    assertSigned(scene, await sent(), [keyOf(40), first]);
    clock.advance(SECOND);
    assertSigned(scene, await sent(), [keyOf(40)]);

    assert.equal(await svix.endpoint.rotateSecret(app, id, {}), undefined);
    const second = await scene.key(app, id);
    assert.equal(bytesOf(second), 24);
    assertSigned(scene, await sent(), [second, keyOf(40)]);
    await svix.endpoint.rotateSecret(app, id, { key: keyOf(30), gracePeriodSeconds: 0 });
    // The key that was current is gone at once; one from before keeps its own time.
    assertSigned(scene, await sent(), [keyOf(30), keyOf(40)]);
    clock.advance(DAY);
    assertSigned(scene, await sent(), [keyOf(30)]);
    for (const [body, at] of [
      ["", 2],
      [{}, 3],
      [{ key: null, gracePeriodSeconds: null }, 4],
    ] as const) {
      assert.equal((await call("POST", path, body)).status, 204);
      assert.equal(signatures(await sent()).length, at);
    }
    assert.equal((await call("POST", path, { gracePeriodSeconds: 0 })).status, 204);
    const alone = await scene.key(app, id);
    assert.equal(signatures(await sent()).length, 4);
    clock.advance(DAY);
    assertSigned(scene, await sent(), [alone]);
    assert.equal((await call("POST", path, { key: keyOf(24, 1), gracePeriodSeconds: 0 })).status, 204);
    assertSigned(scene, await sent(), [keyOf(24, 1)]);
    // The same key anew, and one that comes back, sign once.
    assert.equal((await call("POST", path, { key: keyOf(24, 1) })).status, 204);
    assertSigned(scene, await sent(), [keyOf(24, 1)]);
    await call("POST", path, { key: keyOf(24, 2), gracePeriodSeconds: 60 });
    await call("POST", path, { key: keyOf(24, 1), gracePeriodSeconds: 604_800 });
    assertSigned(scene, await sent(), [keyOf(24, 1), keyOf(24, 2)]);
    clock.advance(7 * DAY - SECOND);
    assertSigned(scene, await sent(), [keyOf(24, 1), keyOf(24, 2)]);
    clock.advance(SECOND);
    assertSigned(scene, await sent(), [keyOf(24, 1)]);

    for (const gracePeriodSeconds of [-1, 604_801, 1.5, "60", true, [], 1e21]) {
      assert.deepEqual(locs(await call("POST", path, { gracePeriodSeconds })), ["body.gracePeriodSeconds"]);
    }
    assertSigned(scene, await sent(), [keyOf(24, 1)]);

    const keys = [keyOf(24, 1)];
    for (let i = 0; i < 10; i++) {
      await svix.endpoint.rotateSecret(app, id, { key: keyOf(24, 100 + i) });
      keys.unshift(keyOf(24, 100 + i));
    }
    assert.deepEqual(await refusal(svix.endpoint.rotateSecret(app, id, {})), LIMIT);
    assert.deepEqual(await refusal(svix.endpoint.rotateSecret(app, id, { key: keyOf(24) })), LIMIT);
    const eleven = await sent();
    assertSigned(scene, eleven, keys);
    assert.equal(signatures(eleven).length, 11);
    // Back to a key that still signs leaves no more than there were; and when they have ended there is room again.
    assert.equal((await call("POST", path, { key: keys[5], gracePeriodSeconds: 60 })).status, 204);
    assert.equal(signatures(await sent()).length, 11);
    clock.advance(DAY);
    assertSigned(scene, await sent(), [keys[5] as string]);
    assert.equal((await call("POST", path, {})).status, 204);
  });

  test(`${who}: 11. Rotation: a retry is signed by the keys of its own moment, and many at once lose none`, async (t) => {
    const scene = await open(t);
    const { svix, call } = scene;
    const receiver = await scene.receiver();
    receiver.answer({ status: 500 }, { status: 200 });
    const app = await scene.app();
    const { id } = await svix.endpoint.create(app, { url: receiver.url });
    const first = await scene.key(app, id);
    await scene.message(app);
    await scene.idle();
    await svix.endpoint.rotateSecret(app, id, { key: keyOf(24) });
    await scene.pass(7 * SECOND);
    const [one, two, ...more] = receiver.requests as [ReceivedRequest, ReceivedRequest];
    assert.deepEqual(more, []);
    assert.equal(two.headers["svix-id"], one.headers["svix-id"]);
    assert.notEqual(two.headers["svix-timestamp"], one.headers["svix-timestamp"]);
    scene.clock.advance(-7 * SECOND);
    assertSigned(scene, one, [first]);
    scene.clock.advance(7 * SECOND);
    assertSigned(scene, two, [keyOf(24), first]);

    // Of twelve at once beside the one old key there is, nine find room.
    const path = `/app/${app}/endpoint/${id}/secret/rotate`;
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) => call("POST", path, { key: keyOf(24, 10 + i) })),
    );
    assert.deepEqual(answers.map(({ status }) => status).sort(), [...Array(9).fill(204), 400, 400, 400]);
    assert.equal(signatures(await delivered(scene, app, receiver)).length, 11);
  });

  test(`${who}: 12. Asymmetric: only the public half is shown, and it verifies; kinds are mixed`, async (t) => {
    const scene = await open(t);
    const { svix, call } = scene;
    const receiver = await scene.receiver();
    const app = await scene.app();
    const { id } = await svix.endpoint.create(app, { url: receiver.url, secret: SEEDED });
    const path = `/app/${app}/endpoint/${id}/secret`;
    const shown = await call("GET", path);
    assert.deepEqual([shown.status, shown.body], [200, { key: SEEDED_PUBLIC }]);
    assert.equal(await scene.key(app, id), SEEDED_PUBLIC);
    const one = await delivered(scene, app, receiver);
    assert.match(signatures(one).join(" "), /^v1a,[A-Za-z0-9+/]{86}==$/);
    assertSigned(scene, one, [SEEDED_PUBLIC]);

    await svix.endpoint.rotateSecret(app, id, { key: keyOf(24) });
    assert.equal(await scene.key(app, id), keyOf(24));
    const two = await delivered(scene, app, receiver);
    assert.match(signatures(two).join(" "), /^v1,\S+ v1a,\S+$/);
    assertSigned(scene, two, [keyOf(24), SEEDED_PUBLIC]);
    // And back: the packages look for the one they know.
    await svix.endpoint.rotateSecret(app, id, { key: SEEDED });
    const three = await delivered(scene, app, receiver);
    assert.match(signatures(three).join(" "), /^v1a,\S+ v1,\S+$/);
    assertSigned(scene, three, [SEEDED_PUBLIC, keyOf(24)]);
    // Without a key of its own it goes on with the kind it has.
    await svix.endpoint.rotateSecret(app, id, {});
    const fresh = await scene.key(app, id);
    assert.match(fresh, /^whpk_[A-Za-z0-9+/]{43}=$/);
    assert.notEqual(fresh, SEEDED_PUBLIC);
    assertSigned(scene, await delivered(scene, app, receiver), [fresh, SEEDED_PUBLIC, keyOf(24)]);

    // The private half is nowhere to be had, nor is the public one of use as a key.
    for (const path of [`/app/${app}/endpoint`, `/app/${app}/endpoint/${id}`, `/app/${app}/endpoint/${id}/headers`]) {
      assert.doesNotMatch((await call("GET", path)).text, /whsk_|whpk_/);
    }
    assert.deepEqual(locs(await call("POST", `${path}/rotate`, { key: SEEDED_PUBLIC })), ["body.key"]);
    // The environment's own endpoints have the same keys.
    const own = await svix.operationalWebhook.endpoint.create({ url: URL_, secret: SEEDED, disabled: true });
    assert.deepEqual(await svix.operationalWebhook.endpoint.getSecret(own.id), { key: SEEDED_PUBLIC });
    await svix.operationalWebhook.endpoint.rotateSecret(own.id, { key: keyOf(24) });
    assert.deepEqual(await svix.operationalWebhook.endpoint.getSecret(own.id), { key: keyOf(24) });
  });

  test(`${who}: §C.7: five minutes this way and that; with one set of headers, those packages verify that read it`, async (t) => {
    const scene = await open(t);
    const { svix, call, clock } = scene;
    const receiver = await scene.receiver();
    const app = await scene.app();
    const { id } = await svix.endpoint.create(app, { url: receiver.url });
    const key = await scene.key(app, id);
    const one = await delivered(scene, app, receiver);
    assert.equal(Number(one.headers["svix-timestamp"]), Math.floor(clock.now() / 1000));
    // Five minutes this way and that, and not a second more.
    for (const off of [5 * MINUTE, -5 * MINUTE]) assertVerifies(key, one, clock.now() + off);
    for (const off of [5 * MINUTE + SECOND, -5 * MINUTE - SECOND, HOUR]) {
      assert.throws(() => assertVerifies(key, one, clock.now() + off), /timestamp too/);
    }
    for (const [settings, svixSet, standardSet] of [
      [{ whitelabelHeaders: false, sendSvixWebhookHeaders: false }, true, false],
      [{ whitelabelHeaders: true, sendSvixWebhookHeaders: false }, false, true],
      [{ whitelabelHeaders: true, sendSvixWebhookHeaders: true }, true, true],
    ] as const) {
      assert.equal((await call("PATCH", "/management/environment-settings", settings)).status, 200);
      const { headers, text } = await delivered(scene, app, receiver);
      for (const part of ["id", "timestamp", "signature"]) {
        assert.equal(headers[`svix-${part}`] !== undefined, svixSet, part);
        assert.equal(headers[`webhook-${part}`] !== undefined, standardSet, part);
      }
      t.mock.timers.enable({ apis: ["Date"], now: clock.now() });
      try {
        const sent = headers as Record<string, string>;
        for (const reader of [new Webhook(key), new Webhook2(key)]) reader.verify(text, sent);
        const standard = () => new StandardWebhook(key).verify(text, sent);
        if (standardSet) standard();
        else assert.throws(standard, /Missing required headers/);
      } finally {
        t.mock.timers.reset();
      }
    }
  });
});

forEachSpeaker({ env: { CARILLON_WEBHOOK_SIGNATURE: "ed25519" } }, (who, open) => {
  test(`${who}: 12. Asymmetric by default: whoever makes an endpoint gets a whpk_`, async (t) => {
    const scene = await open(t);
    const { svix } = scene;
    const receiver = await scene.receiver();
    const app = await scene.app();
    const made = await svix.endpoint.create(app, { url: receiver.url });
    const key = await scene.key(app, made.id);
    assert.match(key, /^whpk_/);
    assertSigned(scene, await delivered(scene, app, receiver), [key]);
    await svix.endpoint.rotateSecret(app, made.id, {});
    const fresh = await scene.key(app, made.id);
    assert.notEqual(fresh, key);
    assertSigned(scene, await delivered(scene, app, receiver), [fresh, key]);
    const put = await putEndpoint(scene, app, "unknown", { url: URL_, disabled: true });
    assert.match(await scene.key(app, put.id), /^whpk_/);
    const own = await svix.operationalWebhook.endpoint.create({ url: URL_, disabled: true });
    assert.match((await svix.operationalWebhook.endpoint.getSecret(own.id)).key, /^whpk_/);
    // Keys that there are keep their kind, and a supplied one is what it says.
    const given = await svix.endpoint.create(app, { url: URL_, secret: keyOf(24), disabled: true });
    assert.equal(await scene.key(app, given.id), keyOf(24));
    await svix.endpoint.rotateSecret(app, given.id, {});
    assert.match(await scene.key(app, given.id), /^whsec_/);
  });
});
