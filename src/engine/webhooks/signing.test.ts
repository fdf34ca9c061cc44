import assert from "node:assert/strict";
import { createPublicKey, verify } from "node:crypto";
import { test } from "node:test";
import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";
import { Webhook as Svix2Webhook } from "svix2";
import type { OldSecret } from "./model.ts";
import { checkSecret, generateSecret, publicPart, rotate, sign, signersAt } from "./signing.ts";

const SYMMETRIC = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const ASYMMETRIC = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA==";
const PUBLIC = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
const ID = "msg_2aaaaaaaaaaaaaaaaaaaaaaaaaa";
const BODY = '{"type":"invoice.paid","n":12345678901234567890}';
const V1 = "v1,qYlmLagG4G7gn6TU/RcjJRDnTlt0AfC7Q/2bgDxd5Pg=";
const V1A = "v1a,xzryfAw0DRW7A3DBUtszC9uxSBSZlxkhAAPmy5UomzIpjmuqI9hzrgDu35wHhY0ZPRQsxPfCanCpC4+UQ2P9CA==";

/** What a receiver with the vendors' packages does; each throws when the signature is wrong. */
function verifyAsReceivers(secret: string, signature: string, id: string, at: number, body: string | Buffer): void {
  const svix = { "svix-id": id, "svix-timestamp": String(at), "svix-signature": signature };
  const standard = { "webhook-id": id, "webhook-timestamp": String(at), "webhook-signature": signature };
  new SvixWebhook(secret).verify(body, svix);
  new Svix2Webhook(secret).verify(body, svix);
  new SvixWebhook(secret).verify(body, standard);
  new Svix2Webhook(secret).verify(body, standard);
  new StandardWebhook(secret).verify(body, standard);
}

const nowSeconds = (): number => Math.floor(Date.now() / 1000);

function verifyEd25519(publicText: string, signature: string, text: Buffer): boolean {
  const x = Buffer.from(publicText.slice("whpk_".length), "base64").toString("base64url");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  return verify(null, text, key, Buffer.from(signature.slice("v1a,".length), "base64"));
}

test("signatures are those of the known vectors, one for each key in order", () => {
  assert.equal(sign([SYMMETRIC], ID, 1_700_000_000, BODY), V1);
  assert.equal(sign([ASYMMETRIC], ID, 1_700_000_000, Buffer.from(BODY)), V1A);
  assert.equal(sign([ASYMMETRIC, SYMMETRIC], ID, 1_700_000_000, BODY), `${V1A} ${V1}`);
  assert.equal(sign([SYMMETRIC.slice("whsec_".length)], ID, 1_700_000_000, BODY), V1);
  assert.equal(sign([], ID, 1_700_000_000, BODY), "");
});

test("svix 1, svix 2 and standardwebhooks verify every kind of body, as text and as bytes", () => {
  const at = nowSeconds();
  for (const body of ["{}", BODY, '{"a" : 1.0,\n"ü":"\\u00e9 😀 \\ud83d"}', `{"x":"${"y".repeat(100_000)}"}`]) {
    const secret = generateSecret("symmetric");
    const signature = sign([secret], ID, at, body);
    assert.equal(sign([secret], ID, at, Buffer.from(body)), signature);
    verifyAsReceivers(secret, signature, ID, at, body);
  }
});

test("during a rotation both keys verify, and kinds may be mixed", () => {
  const at = nowSeconds();
  const [old, fresh] = [generateSecret("symmetric"), generateSecret("symmetric")];
  const signature = sign([generateSecret("asymmetric"), fresh, old], ID, at, BODY);
  assert.match(signature, /^v1a,\S+ v1,\S+ v1,\S+$/);
  for (const secret of [old, fresh]) verifyAsReceivers(secret, signature, ID, at, BODY);
  assert.throws(() => verifyAsReceivers(generateSecret("symmetric"), signature, ID, at, BODY));
});

test("an asymmetric signature verifies with the public part alone, and the public part does not hold the private one", () => {
  assert.equal(publicPart(ASYMMETRIC), PUBLIC);
  const secret = generateSecret("asymmetric");
  const shown = publicPart(secret);
  assert.match(shown, /^whpk_[A-Za-z0-9+/]{43}=$/);
  assert.ok(verifyEd25519(shown, sign([secret], ID, 5, BODY), Buffer.from(`${ID}.5.${BODY}`)));
  assert.ok(!secret.includes(shown.slice("whpk_".length, -4)));
});

test("a symmetric key is shown as it is, with its prefix", () => {
  assert.equal(publicPart(SYMMETRIC), SYMMETRIC);
  assert.equal(publicPart(SYMMETRIC.slice("whsec_".length)), SYMMETRIC);
});

test("generated keys are accepted ones of 24 and 64 bytes, no two alike", () => {
  const made = Array.from({ length: 20 }, () => [generateSecret("symmetric"), generateSecret("asymmetric")]).flat();
  for (const secret of made) assert.equal(checkSecret(secret), null);
  assert.equal(new Set(made).size, made.length);
  assert.equal(Buffer.from((made[0] as string).slice("whsec_".length), "base64").length, 24);
});

const bytes = (n: number): string => Buffer.alloc(n, 7).toString("base64");

test("keys of 24 to 75 bytes are accepted, with the prefix or without", () => {
  for (const good of [`whsec_${bytes(24)}`, `whsec_${bytes(75)}`, bytes(24), bytes(75), ASYMMETRIC]) {
    assert.equal(checkSecret(good), null, good);
  }
});

const BAD: readonly (readonly [string, RegExp])[] = [
  ["", /24 to 75 bytes/],
  [`whsec_${bytes(23)}`, /24 to 75 bytes, got 23/],
  [`whsec_${bytes(76)}`, /24 to 75 bytes, got 76/],
  ["whsec_", /got 0/],
  [bytes(10), /got 10/],
  [`whpk_${bytes(32)}`, /begin with/],
  [`whsk1_${bytes(64)}`, /begin with/],
  [`WHSEC_${bytes(24)}`, /begin with/],
  [`_${bytes(24)}`, /begin with/],
  [`__proto___${bytes(24)}`, /begin with/],
  [`whsec_${bytes(25).replace(/=+$/, "")}`, /base64/],
  [`whsec_${bytes(24)}=`, /base64/],
  [`whsec_${bytes(24)} `, /base64/],
  [`whsec_ ${bytes(24)}`, /base64/],
  [`whsec_${"-_".repeat(16)}`, /base64/],
  [`whsec_${"ü".repeat(32)}`, /base64/],
  [`whsec_${bytes(24)}\0`, /base64/],
  // Stray bits in the last character: some decoders take it, others do not.
  [`whsec_${bytes(25).replace(/.==$/, "x==")}`, /base64/],
  [`whsk_${bytes(32)}`, /64 bytes/],
  [`whsk_${bytes(64)}`, /does not belong/],
];
for (const [text, reason] of BAD) {
  test(`refuses ${JSON.stringify(text.slice(0, 60))}`, () => assert.match(String(checkSecret(text)), reason));
}

test("what is wrong with a secret does not repeat the secret", () => {
  for (const [text] of BAD) {
    if (text.length > 20) assert.ok(!String(checkSecret(text)).includes(text.slice(8, 20)), text);
  }
});

test("after a rotation the old key signs for the time of grace", () => {
  const rotated = rotate("old", [], "new", 1_000, 5_000);
  assert.ok(rotated !== "limit");
  assert.deepEqual(rotated, { secret: "new", oldSecrets: [{ secret: "old", until: 6_000 }] });
  assert.deepEqual(signersAt(rotated, 5_999), ["new", "old"]);
  assert.deepEqual(signersAt(rotated, 6_000), ["new"]);
});

test("without grace the old key is gone at once", () => {
  assert.deepEqual(rotate("old", [], "new", 0, 5_000), { secret: "new", oldSecrets: [] });
});

test("ten old keys sign beside the current one, newest first; the eleventh is refused until one has expired", () => {
  let endpoint: { secret: string; oldSecrets: readonly OldSecret[] } = { secret: "k0", oldSecrets: [] };
  for (let i = 1; i <= 10; i++) {
    const rotated = rotate(endpoint.secret, endpoint.oldSecrets, `k${i}`, 1_000 * i, 0);
    assert.ok(rotated !== "limit", `rotation ${i}`);
    endpoint = rotated;
  }
  const all = ["k10", "k9", "k8", "k7", "k6", "k5", "k4", "k3", "k2", "k1", "k0"];
  assert.deepEqual(signersAt(endpoint, 999), all);
  assert.equal(rotate(endpoint.secret, endpoint.oldSecrets, "k11", 1_000, 999), "limit");
  assert.notEqual(rotate(endpoint.secret, endpoint.oldSecrets, "k11", 0, 999), "limit");
  assert.notEqual(rotate(endpoint.secret, endpoint.oldSecrets, "k11", 1_000, 1_000), "limit");
});

test("a key that comes back signs once", () => {
  const there = rotate("a", [], "b", 9_000, 0);
  assert.ok(there !== "limit");
  const back = rotate(there.secret, there.oldSecrets, "a", 9_000, 1);
  assert.ok(back !== "limit");
  assert.deepEqual(signersAt(back, 2), ["a", "b"]);
  assert.deepEqual(rotate("a", [], "a", 9_000, 0), { secret: "a", oldSecrets: [] });
});
