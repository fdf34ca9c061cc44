import { randomFillSync } from "node:crypto";
import type { Millis } from "./clock.ts";

/**
 * Ids are 128 bits, most significant first:
 *
 *   32 bits Unix seconds | 10 bits milliseconds | 22 bits count within the millisecond | 64 random bits
 *
 * spelled `<prefix>_` and 26 lower-case Crockford base32 characters. Sorting the text sorts by time. The seconds
 * stand alone in the first 32 bits so that vendors' spellings which begin with Unix seconds need no arithmetic.
 */
export type Id<Prefix extends string> = `${Prefix}_${string}`;

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
/** Two characters for every ten bits: half as many texts to put together for each id. */
const PAIRS = Array.from({ length: 1024 }, (_, bits) => `${ALPHABET[bits >>> 5]}${ALPHABET[bits & 31]}`);
const HEX_BYTES = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const VALUE = new Int8Array(128).fill(-1);
for (let i = 0; i < ALPHABET.length; i++) VALUE[ALPHABET.charCodeAt(i)] = i;
const BODY = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;
const COUNT_LIMIT = 1 << 22;

/** Random words are drawn 1,024 at a time: one call per id costs more than the rest of the id. */
const pool = new Uint32Array(1024);
let drawn = pool.length;
function randomWord(): number {
  if (drawn === pool.length) {
    randomFillSync(pool);
    drawn = 0;
  }
  return pool[drawn++] as number;
}

let lastMs = 0;
let count = 0;

/**
 * A new id. Ids made by one process rise strictly, also when the clock is set back: it then goes on from the last
 * time seen until the clock has caught up.
 */
export function newId<P extends string>(prefix: P, now: Millis): Id<P> {
  if (now > lastMs) {
    lastMs = now;
    count = 0;
  } else if (++count === COUNT_LIMIT) {
    lastMs++;
    count = 0;
  }
  const ms = lastMs % 1000;
  return `${prefix}_${spell((lastMs - ms) / 1000, ((ms << 22) | count) >>> 0, randomWord(), randomWord())}`;
}

/** The least id of that millisecond or after; for range queries by time. */
export function firstIdAt<P extends string>(prefix: P, at: Millis): Id<P> {
  const clamped = Math.min(Math.max(0, at), 0xffffffff * 1000);
  const ms = clamped % 1000;
  return `${prefix}_${spell((clamped - ms) / 1000, (ms << 22) >>> 0, 0, 0)}`;
}

/** Milliseconds at which the id was made. */
export function timeOf(id: string): Millis {
  const at = id.length - 26;
  // Only the nine characters that hold the time: this is asked several times a message.
  const seconds =
    ((valueAt(id, at) << 29) |
      (valueAt(id, at + 1) << 24) |
      (valueAt(id, at + 2) << 19) |
      (valueAt(id, at + 3) << 14) |
      (valueAt(id, at + 4) << 9) |
      (valueAt(id, at + 5) << 4) |
      (valueAt(id, at + 6) >>> 1)) >>>
    0;
  const ms = ((valueAt(id, at + 6) & 1) << 9) | (valueAt(id, at + 7) << 4) | (valueAt(id, at + 8) >>> 1);
  return seconds * 1000 + ms;
}

/** The same 128 bits under another prefix: a request and its only message share them. */
export function withPrefix<P extends string>(prefix: P, id: string): Id<P> {
  return `${prefix}_${id.slice(-26)}`;
}

/** The 128 bits as 32 lower-case hex digits. */
export function toHex(id: string): string {
  const [a, b, c, d] = words(id);
  return hex(a) + hex(b) + hex(c) + hex(d);
}

/** @returns the id of those 32 hex digits. The caller has checked that they are 32 hex digits. */
export function fromHex<P extends string>(prefix: P, hex: string): Id<P> {
  const word = (i: number): number => Number.parseInt(hex.slice(i * 8, i * 8 + 8), 16);
  return `${prefix}_${spell(word(0), word(1), word(2), word(3))}`;
}

export function isId<P extends string>(prefix: P, text: string): text is Id<P> {
  return text.startsWith(`${prefix}_`) && BODY.test(text.slice(prefix.length + 1));
}

/** By bytes, because `toString(16)` of what exceeds 31 bits goes the slow way of fractions. */
function hex(word: number): string {
  return byte(word >>> 24) + byte((word >>> 16) & 255) + byte((word >>> 8) & 255) + byte(word & 255);
}

function byte(value: number): string {
  return HEX_BYTES[value] as string;
}

/** Four 32-bit words to 26 characters: 130 bits, the top two of them zero. */
function spell(a: number, b: number, c: number, d: number): string {
  return (
    pair(a >>> 24) +
    pair((a >>> 14) & 1023) +
    pair((a >>> 4) & 1023) +
    pair(((a & 15) << 6) | (b >>> 26)) +
    pair((b >>> 16) & 1023) +
    pair((b >>> 6) & 1023) +
    pair(((b & 63) << 4) | (c >>> 28)) +
    pair((c >>> 18) & 1023) +
    pair((c >>> 8) & 1023) +
    pair(((c & 255) << 2) | (d >>> 30)) +
    pair((d >>> 20) & 1023) +
    pair((d >>> 10) & 1023) +
    pair(d & 1023)
  );
}

function pair(bits: number): string {
  return PAIRS[bits] as string;
}

function valueAt(id: string, at: number): number {
  return VALUE[id.charCodeAt(at)] as number;
}

/** Five bits of each character; the first two of the 130 are zero. */
function words(id: string): [number, number, number, number] {
  const at = id.length - 26;
  const v = (i: number): number => valueAt(id, at + i);
  return [
    ((v(0) << 29) | (v(1) << 24) | (v(2) << 19) | (v(3) << 14) | (v(4) << 9) | (v(5) << 4) | (v(6) >>> 1)) >>> 0,
    ((v(6) << 31) |
      (v(7) << 26) |
      (v(8) << 21) |
      (v(9) << 16) |
      (v(10) << 11) |
      (v(11) << 6) |
      (v(12) << 1) |
      (v(13) >>> 4)) >>>
      0,
    ((v(13) << 28) | (v(14) << 23) | (v(15) << 18) | (v(16) << 13) | (v(17) << 8) | (v(18) << 3) | (v(19) >>> 2)) >>> 0,
    ((v(19) << 30) | (v(20) << 25) | (v(21) << 20) | (v(22) << 15) | (v(23) << 10) | (v(24) << 5) | v(25)) >>> 0,
  ];
}
