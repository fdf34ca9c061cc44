/** How a push service knows who pushes: a token signed with the key that the browser subscribed with. RFC 8292. */
import { createECDH, createPrivateKey, type KeyObject, sign } from "node:crypto";
import { Refusal } from "../../engine/refusal.ts";
import type { Clock, Millis } from "../../lib/clock.ts";
import { Lru } from "../../lib/lru.ts";

/** At most a day is allowed. */
const VALID_MS: Millis = 12 * 3_600_000;
/** One token serves all pushes to an origin for so long: signing costs more than the rest of a push. */
const REUSED_MS: Millis = 6 * 3_600_000;
/** Browsers know a handful of push services. */
const REMEMBERED_ORIGINS = 100;
const HEADER = encode({ typ: "JWT", alg: "ES256" });

export interface VapidSettings {
  /** Base64url, as browsers are given it. */
  readonly publicKey: string;
  readonly privateKey: string;
  /** `mailto:` or `https:`, whom a push service may ask. */
  readonly subject: string;
}

export class Vapid {
  readonly #publicKey: string;
  readonly #key: KeyObject;
  readonly #subject: string;
  readonly #clock: Clock;
  readonly #headers = new Lru<string, { readonly text: string; readonly until: Millis }>(REMEMBERED_ORIGINS);

  /** @throws Refusal("invalid") when the keys are no pair. */
  constructor({ publicKey, privateKey, subject }: VapidSettings, clock: Clock) {
    this.#key = keyOf(publicKey, privateKey);
    this.#publicKey = publicKey;
    this.#subject = subject;
    this.#clock = clock;
  }

  /** The Authorization header for a push service. @param origin of the subscription's address. */
  authorization(origin: string): string {
    const now = this.#clock.now();
    const known = this.#headers.get(origin);
    if (known !== undefined && known.until > now) return known.text;
    const claims = encode({ aud: origin, exp: Math.floor((now + VALID_MS) / 1000), sub: this.#subject });
    const signed = `${HEADER}.${claims}`;
    const key = { key: this.#key, dsaEncoding: "ieee-p1363" } as const;
    const signature = sign("sha256", Buffer.from(signed), key).toString("base64url");
    const text = `vapid t=${signed}.${signature}, k=${this.#publicKey}`;
    this.#headers.set(origin, { text, until: now + REUSED_MS });
    return text;
  }
}

function keyOf(publicKey: string, privateKey: string): KeyObject {
  const field = "settings.vapid_private_key";
  const point = pointOf(privateKey);
  if (point === null || point.toString("base64url") !== publicKey) {
    throw new Refusal("invalid", `${field} must be the key that belongs to vapid_public_key`, { field });
  }
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((half) => half.toString("base64url")) as [
    string,
    string,
  ];
  return createPrivateKey({ key: { kty: "EC", crv: "P-256", d: privateKey, x, y }, format: "jwk" });
}

/** Null for what is no private key of the curve. */
function pointOf(privateKey: string): Buffer | null {
  const pair = createECDH("prime256v1");
  try {
    pair.setPrivateKey(Buffer.from(privateKey, "base64url"));
    return pair.getPublicKey();
  } catch {
    return null;
  }
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString("base64url");
}
