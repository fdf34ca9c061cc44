/**
 * Tracking ids name what happened to which delivery, and cannot be guessed. They are worked out, never stored:
 *
 *   1 byte kind | 2 bytes index | 16 bytes environment | 16 bytes delivery | 13 bytes HMAC-SHA256 of all before
 *
 * as 64 characters of base64url. The environment is spelled out because the id alone has to find the key that made it.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { DeliveryId, Environment } from "../../engine/model.ts";
import { fromHex, toHex } from "../../lib/ids.ts";

/** The place in this list is on the wire: add at the end only. */
const KINDS = ["archive", "open", "click", "deliver", "read", "unread", "action", "link", "unsubscribe"] as const;
/** `action` and `link` have an index: the place in the content's `actions` or `links`. */
export type TrackingKind = (typeof KINDS)[number];

export interface Tracked {
  readonly environment: Environment;
  readonly kind: TrackingKind;
  readonly deliveryId: DeliveryId;
  readonly index: number;
}

export const MAX_TRACKING_INDEX = 65_535;
const BODY_BYTES = 35;
const MAC_BYTES = 13;
const TRACKING_ID = /^[\w-]{64}$/;

/**
 * The same arguments give the same id for ever.
 * @param index 0 to `MAX_TRACKING_INDEX`.
 */
export function trackingId(
  environment: Pick<Environment, "id" | "signingSecret">,
  kind: TrackingKind,
  deliveryId: DeliveryId,
  index = 0,
): string {
  const bytes = Buffer.allocUnsafe(BODY_BYTES + MAC_BYTES);
  bytes[0] = KINDS.indexOf(kind);
  bytes.writeUInt16BE(index, 1);
  bytes.write(toHex(environment.id), 3, "hex");
  bytes.write(toHex(deliveryId), 19, "hex");
  mac(environment.signingSecret, bytes.subarray(0, BODY_BYTES)).copy(bytes, BODY_BYTES, 0, MAC_BYTES);
  return bytes.toString("base64url");
}

/** @returns null for anything that `trackingId` did not make for one of the environments. */
export function parseTrackingId(text: string, find: (id: string) => Environment | undefined): Tracked | null {
  if (!TRACKING_ID.test(text)) return null;
  const bytes = Buffer.from(text, "base64url");
  const kind = KINDS[bytes[0] as number];
  const environment = find(fromHex("env", bytes.toString("hex", 3, 19)));
  if (kind === undefined || environment === undefined) return null;
  const expected = mac(environment.signingSecret, bytes.subarray(0, BODY_BYTES)).subarray(0, MAC_BYTES);
  if (!timingSafeEqual(expected, bytes.subarray(BODY_BYTES))) return null;
  return { environment, kind, deliveryId: fromHex("dlv", bytes.toString("hex", 19, 35)), index: bytes.readUInt16BE(1) };
}

/** The first word keeps these apart from other things that the same secret signs. */
function mac(secret: string, body: Buffer): Buffer {
  return createHmac("sha256", secret).update("tracking ").update(body).digest();
}

export type TrackingSignal = "delivered" | "opened" | "clicked" | "read" | "unread" | "archived";

/** What an id says happened when nothing else is said. Null: nothing that a message's history knows. */
export function signalOf(kind: TrackingKind): TrackingSignal | null {
  return SIGNALS[kind];
}

const SIGNALS: { readonly [kind in TrackingKind]: TrackingSignal | null } = {
  archive: "archived",
  open: "opened",
  click: "clicked",
  deliver: "delivered",
  read: "read",
  unread: "unread",
  action: "clicked",
  link: "clicked",
  unsubscribe: null,
};
