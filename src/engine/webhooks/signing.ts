/**
 * Keys of endpoints and the signatures made with them. What is signed is `<message id>.<unix seconds>.<body>`, by the
 * Standard Webhooks rules:
 *
 *   whsec_<base64 of 24 to 75 bytes>               signs `v1,<HMAC-SHA256>`; the receiver has the same key
 *   whsk_<base64 of 32 bytes seed, 32 bytes public> signs `v1a,<Ed25519>`; the receiver has `whpk_<base64 of the latter>`
 */
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign as signWithKey,
} from "node:crypto";
import type { Millis } from "../../lib/clock.ts";
import { Lru } from "../../lib/lru.ts";
import type { AppEndpoint, OldSecret, SigningSecret } from "./model.ts";

const SYMMETRIC = "whsec_";
const PRIVATE = "whsk_";
const PUBLIC = "whpk_";

const GENERATED_BYTES = 24;
const LEAST_BYTES = 24;
const MOST_BYTES = 75;
const SEED_BYTES = 32;
const PAIR_BYTES = 64;

/** Old keys that may sign beside the current one. */
const MOST_OLD_SECRETS = 10;

/** What stands before the 32 bytes of a seed in the PKCS #8 form of an Ed25519 key (RFC 8410 §7). */
const PKCS8_BEFORE_SEED = Buffer.from("302e020100300506032b657004220420", "hex");

/** Importing a key costs several times what signing with it does; a key takes about 1 kB. */
const keys = new Lru<SigningSecret, KeyObject>(20_000);

/**
 * @param secrets keys that `checkSecret` has nothing against, the current one first.
 * @returns the text of the signature header: one signature for each key, in their order, separated by spaces.
 */
export function sign(
  secrets: readonly SigningSecret[],
  id: string,
  unixSeconds: number,
  body: string | Buffer,
): string {
  const head = `${id}.${unixSeconds}.`;
  let signatures = "";
  for (const secret of secrets) {
    const key = keyOf(secret);
    if (signatures !== "") signatures += " ";
    signatures += key.type === "secret" ? symmetric(key, head, body) : asymmetric(key, head, body);
  }
  return signatures;
}

export function generateSecret(kind: "symmetric" | "asymmetric"): SigningSecret {
  if (kind === "symmetric") return SYMMETRIC + randomBytes(GENERATED_BYTES).toString("base64");
  const { privateKey } = generateKeyPairSync("ed25519");
  const { d, x } = privateKey.export({ format: "jwk" }) as { d: string; x: string };
  const pair = Buffer.concat([Buffer.from(d, "base64url"), Buffer.from(x, "base64url")]);
  return PRIVATE + pair.toString("base64");
}

/** What the owner of the endpoint needs to verify: the key itself, or its public part when it has one. */
export function publicPart(secret: SigningSecret): string {
  if (!secret.startsWith(PRIVATE)) return secret.startsWith(SYMMETRIC) ? secret : SYMMETRIC + secret;
  const pair = Buffer.from(secret.slice(PRIVATE.length), "base64");
  return PUBLIC + pair.subarray(SEED_BYTES).toString("base64");
}

/**
 * Whether a key that somebody chose can be used. Base64 without a prefix counts as symmetric.
 * @returns what is wrong with it, without repeating it; null when nothing is.
 */
export function checkSecret(text: string): string | null {
  const underscore = text.indexOf("_");
  const prefix = text.slice(0, underscore + 1);
  if (prefix !== "" && prefix !== SYMMETRIC && prefix !== PRIVATE) {
    return `expected the secret to begin with ${SYMMETRIC} or ${PRIVATE}`;
  }
  const encoded = text.slice(prefix.length);
  const bytes = Buffer.from(encoded, "base64");
  // Verifiers differ in what they make of missing padding and stray bits; of the one canonical spelling all make the same.
  if (bytes.toString("base64") !== encoded) return "the secret is not valid base64";
  if (prefix !== PRIVATE) {
    return bytes.length >= LEAST_BYTES && bytes.length <= MOST_BYTES
      ? null
      : `expected a secret of ${LEAST_BYTES} to ${MOST_BYTES} bytes, got ${bytes.length}`;
  }
  if (bytes.length !== PAIR_BYTES) return `expected ${PAIR_BYTES} bytes after ${PRIVATE}, got ${bytes.length}`;
  // The public half is what receivers are shown. Were it another key's, they could never verify.
  const { x } = createPublicKey(importPrivate(bytes)).export({ format: "jwk" }) as { x: string };
  return Buffer.from(x, "base64url").equals(bytes.subarray(SEED_BYTES))
    ? null
    : "the public half of the secret does not belong to its private half";
}

/**
 * Puts a fresh key in the place of the current one, which signs beside it for `graceMs` more.
 * @returns what the endpoint is to have; `limit` when more than 10 old keys would be signing.
 */
export function rotate(
  current: SigningSecret,
  old: readonly OldSecret[],
  fresh: SigningSecret,
  graceMs: Millis,
  now: Millis,
): Pick<AppEndpoint, "secret" | "oldSecrets"> | "limit" {
  const leaving = { secret: current, until: now + graceMs };
  // A key that comes back signs once, not twice.
  const oldSecrets = [leaving, ...old].filter(({ secret, until }) => until > now && secret !== fresh);
  return oldSecrets.length > MOST_OLD_SECRETS ? "limit" : { secret: fresh, oldSecrets };
}

/** The keys that sign now, the current one first. */
export function signersAt(
  { secret, oldSecrets }: Pick<AppEndpoint, "secret" | "oldSecrets">,
  now: Millis,
): readonly SigningSecret[] {
  if (oldSecrets.length === 0) return [secret];
  return [secret, ...oldSecrets.filter(({ until }) => until > now).map((old) => old.secret)];
}

function symmetric(key: KeyObject, head: string, body: string | Buffer): string {
  const hmac = createHmac("sha256", key);
  // One call is a tenth faster than two, and a webhook is small.
  if (typeof body === "string") hmac.update(head + body);
  else hmac.update(head).update(body);
  return `v1,${hmac.digest("base64")}`;
}

function asymmetric(key: KeyObject, head: string, body: string | Buffer): string {
  const text = typeof body === "string" ? Buffer.from(head + body) : Buffer.concat([Buffer.from(head), body]);
  return `v1a,${signWithKey(null, text, key).toString("base64")}`;
}

function keyOf(secret: SigningSecret): KeyObject {
  let key = keys.get(secret);
  if (key === undefined) {
    key = importSecret(secret);
    keys.set(secret, key);
  }
  return key;
}

function importSecret(secret: SigningSecret): KeyObject {
  if (secret.startsWith(PRIVATE)) return importPrivate(Buffer.from(secret.slice(PRIVATE.length), "base64"));
  const encoded = secret.startsWith(SYMMETRIC) ? secret.slice(SYMMETRIC.length) : secret;
  return createSecretKey(Buffer.from(encoded, "base64"));
}

function importPrivate(pair: Buffer): KeyObject {
  const key = Buffer.concat([PKCS8_BEFORE_SEED, pair.subarray(0, SEED_BYTES)]);
  return createPrivateKey({ key, format: "der", type: "pkcs8" });
}
