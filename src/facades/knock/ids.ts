/**
 * How Knock spells ids. Messages, events and activities are KSUIDs, everything else of ours is a UUID; either spelling
 * holds all 128 bits, so nothing is stored. A Knock message is a delivery, a workflow run is a request, and a recipient's
 * run is a message.
 *
 * Of a UUID six bits say what kind it is. They take the place of the top six of the 22 bits in which ids count within a
 * millisecond (lib/ids.ts), which are zero unless 65,536 ids are made in one; what they are is laid over the version and
 * the variant, so that an ordinary id reads as a UUID of version 4, which every client takes, and each other as one of
 * another version. Order is kept among ordinary ones.
 */
import type { DeliveryId } from "../../engine/model.ts";
import { fromHex, type Id, toHex } from "../../lib/ids.ts";
import { fromKsuid, toKsuid } from "../../lib/ksuid.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** Version 4 and variant `10`, in that order. */
const PLAIN_BITS = 0b0100_10;

/** Whether the text has the form of a UUID, ours or another's. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** An id of ours, whatever its prefix, as a UUID. */
export function toUuid(id: string): string {
  const hex = toHex(id);
  // Ten bits of milliseconds and 22 of the count.
  const second = Number.parseInt(hex.slice(8, 16), 16);
  const top = (second >>> 16) & 0x3f;
  const random = Number.parseInt(hex.slice(16, 24), 16);
  const kind = top ^ PLAIN_BITS;
  // 26 bits of time and count, of which the last ten go behind the version.
  const low = (((second >>> 22) << 16) | (second & 0xffff)) >>> 0;
  const third = ((kind >>> 2) << 12) | ((low & 0x3ff) << 2) | (random >>> 30);
  const fourth = ((kind & 3) << 14) | ((random >>> 16) & 0x3fff);
  const rest = digits(random & 0xffff, 4) + hex.slice(24);
  return `${hex.slice(0, 8)}-${digits(low >>> 10, 4)}-${digits(third, 4)}-${digits(fourth, 4)}-${rest}`;
}

/** @returns null when the text is no UUID. Any UUID is the spelling of some id, whether or not there is such a thing. */
export function fromUuid<P extends string>(prefix: P, text: string): Id<P> | null {
  if (!UUID.test(text)) return null;
  const hex = text.replaceAll("-", "").toLowerCase();
  const part = (from: number, to: number): number => Number.parseInt(hex.slice(from, to), 16);
  const third = part(12, 16);
  const fourth = part(16, 20);
  const low = ((part(8, 12) << 10) | ((third >>> 2) & 0x3ff)) >>> 0;
  const top = (((third >>> 12) << 2) | (fourth >>> 14)) ^ PLAIN_BITS;
  const second = (((low >>> 16) << 22) | (top << 16) | (low & 0xffff)) >>> 0;
  const random = (((third & 3) << 30) | ((fourth & 0x3fff) << 16) | part(20, 24)) >>> 0;
  return fromHex(prefix, hex.slice(0, 8) + digits(second, 8) + digits(random, 8) + hex.slice(24));
}

/** What a delivery is called outside. */
export function toMessageId(id: DeliveryId): string {
  return toKsuid(id);
}

/** @returns null when the text is not the spelling of an id of ours: there is no such message. */
export function fromMessageId(text: string): DeliveryId | null {
  return fromKsuid("dlv", text);
}

function digits(value: number, length: number): string {
  return value.toString(16).padStart(length, "0");
}
