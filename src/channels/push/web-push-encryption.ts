/** What browsers' push services carry without being able to read it: RFC 8291 over the encoding of RFC 8188. Pure but for keys. */
import { createCipheriv, createECDH, hkdfSync, randomBytes } from "node:crypto";

/** Every push service takes records of this size; one record is all there is. */
const RECORD_BYTES = 4_096;
const SALT_BYTES = 16;
const KEY_BYTES = 65;
const AUTH_BYTES = 16;
/** Salt, record size, length of the key, key; behind the text the delimiter and the tag. */
const OVERHEAD_BYTES = SALT_BYTES + 4 + 1 + KEY_BYTES + 1 + 16;
/** Longest text that can be sent. */
export const MAX_PLAIN_BYTES = RECORD_BYTES - OVERHEAD_BYTES;

const CURVE = "prime256v1";
const LAST_RECORD = Buffer.from([2]);

/** A browser's keys, as it gave them to the page. */
export interface SubscriptionKeys {
  /** A point of P-256, not compressed. */
  readonly p256dh: Buffer;
  readonly auth: Buffer;
}

/** Reads both keys, in base64 or base64url. @returns null for what cannot be the keys of a subscription. */
export function subscriptionKeys(p256dh: unknown, auth: unknown): SubscriptionKeys | null {
  if (typeof p256dh !== "string" || typeof auth !== "string") return null;
  const keys = { p256dh: Buffer.from(p256dh, "base64"), auth: Buffer.from(auth, "base64") };
  const looksRight = keys.p256dh.length === KEY_BYTES && keys.p256dh[0] === 4 && keys.auth.length === AUTH_BYTES;
  return looksRight ? keys : null;
}

/**
 * The whole body of a push, for one subscription.
 * @param text at most `MAX_PLAIN_BYTES`.
 * @returns null when the browser's key is no point of the curve.
 */
export function encryptPush(text: Buffer, { p256dh, auth }: SubscriptionKeys): Buffer | null {
  if (text.length > MAX_PLAIN_BYTES) throw new Error(`a push of ${text.length} bytes was to be encrypted`);
  const ours = createECDH(CURVE);
  const ourKey = ours.generateKeys();
  let shared: Buffer;
  try {
    shared = ours.computeSecret(p256dh);
  } catch {
    return null;
  }
  const salt = randomBytes(SALT_BYTES);
  const secret = derive(shared, auth, Buffer.concat([Buffer.from("WebPush: info\0"), p256dh, ourKey]), 32);
  const key = derive(secret, salt, Buffer.from("Content-Encoding: aes128gcm\0"), 16);
  const nonce = derive(secret, salt, Buffer.from("Content-Encoding: nonce\0"), 12);
  const cipher = createCipheriv("aes-128-gcm", key, nonce);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(RECORD_BYTES);
  head.writeUInt8(KEY_BYTES, 4);
  return Buffer.concat([
    salt,
    head,
    ourKey,
    cipher.update(text),
    cipher.update(LAST_RECORD),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
}

function derive(secret: Buffer, salt: Buffer, info: Buffer, bytes: number): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, salt, info, bytes));
}
