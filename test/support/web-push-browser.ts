/** A browser that subscribed to pushes, and a push service's look at who pushes. Written from RFC 8291 and RFC 8292. */
import assert from "node:assert/strict";
import { createDecipheriv, createECDH, createHmac, createPublicKey, randomBytes, verify } from "node:crypto";

export interface PushBrowser {
  /** As clients register it. */
  readonly subscription: { readonly push_token: string; readonly public_key: string; readonly auth_token: string };
  /** Of the subscription's address. */
  readonly path: string;
  /** Decrypts a push. @throws when it was not meant for this browser. */
  readText(body: Buffer): string;
  /** The same, of JSON. */
  read(body: Buffer): { readonly [field: string]: unknown };
}

/** @param keys its private key and its secret; new ones when left out. */
export function browser(
  serviceUrl: string,
  keys?: { readonly privateKey: Buffer; readonly auth: Buffer },
): PushBrowser {
  const pair = createECDH("prime256v1");
  if (keys === undefined) pair.generateKeys();
  else pair.setPrivateKey(keys.privateKey);
  const ownKey = pair.getPublicKey();
  const auth = keys?.auth ?? randomBytes(16);
  const path = `/push/${randomBytes(12).toString("base64url")}`;
  const readText = (body: Buffer): string => {
    const salt = body.subarray(0, 16);
    assert.equal(body.readUInt32BE(16), 4_096);
    assert.ok(body.length <= 4_096);
    const keyEnd = 21 + (body[20] as number);
    const theirKey = body.subarray(21, keyEnd);
    const input = hmac(
      hmac(auth, pair.computeSecret(theirKey)),
      Buffer.concat([Buffer.from("WebPush: info\0"), ownKey, theirKey, Buffer.from([1])]),
    );
    const secret = hmac(salt, input);
    const key = hmac(secret, Buffer.from("Content-Encoding: aes128gcm\0\x01")).subarray(0, 16);
    const nonce = hmac(secret, Buffer.from("Content-Encoding: nonce\0\x01")).subarray(0, 12);
    const cipher = createDecipheriv("aes-128-gcm", key, nonce);
    cipher.setAuthTag(body.subarray(-16));
    const padded = Buffer.concat([cipher.update(body.subarray(keyEnd, -16)), cipher.final()]);
    assert.equal(padded.at(-1), 2, "the delimiter of the last record");
    return padded.subarray(0, -1).toString();
  };
  return {
    subscription: {
      push_token: serviceUrl + path,
      public_key: ownKey.toString("base64"),
      auth_token: auth.toString("base64"),
    },
    path,
    read: (body) => JSON.parse(readText(body)),
    readText,
  };
}

/** Checks the signature. @returns the claims. */
export function checkVapid(authorization: string, publicKey: string): object {
  const [, token = "", key] = /^vapid t=([^,]+), k=(.+)$/.exec(authorization) ?? [];
  assert.equal(key, publicKey);
  const [head = "", claims = "", signature = ""] = token.split(".");
  assert.deepEqual(JSON.parse(Buffer.from(head, "base64url").toString()), { typ: "JWT", alg: "ES256" });
  const point = Buffer.from(publicKey, "base64url");
  const [x, y] = [point.subarray(1, 33).toString("base64url"), point.subarray(33).toString("base64url")];
  const verifier = createPublicKey({ key: { kty: "EC", crv: "P-256", x, y }, format: "jwk" });
  const signed = Buffer.from(`${head}.${claims}`);
  const options = { key: verifier, dsaEncoding: "ieee-p1363" } as const;
  assert.ok(verify("sha256", signed, options, Buffer.from(signature, "base64url")));
  return JSON.parse(Buffer.from(claims, "base64url").toString());
}

function hmac(key: Buffer, data: Buffer): Buffer {
  return createHmac("sha256", key).update(data).digest();
}
