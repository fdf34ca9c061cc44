/**
 * Our ids in the spelling of KSUIDs: 27 base62 characters of 20 bytes. Nothing is stored; either spelling can be had from
 * the other:
 *
 *   ours   32 bits Unix seconds | 10 bits milliseconds | 22 bits count | 64 random bits
 *   KSUID  32 bits seconds since 1,400,000,000 | 8 bits milliseconds ÷ 4 | 2 bits rest | 22 bits count | 64 random bits
 *          | 32 bits computed from all that
 *
 * The order of ids is kept (from 2014 on, where the count of seconds begins anew). The computed bits are checked when
 * reading: a KSUID that is not ours is nobody's id.
 */
import { fromHex, type Id, toHex } from "./ids.ts";

const EPOCH_S = 1_400_000_000;
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const LENGTH = 27;
const WORD = 0x1_0000_0000;
/** Three characters at a time: 62³ times 32 bits is still exact in a double. */
const GROUP = 62 ** 3;
const GROUPS = LENGTH / 3;
const PAIRS = Array.from({ length: 62 * 62 }, (_, i) => `${ALPHABET[Math.floor(i / 62)]}${ALPHABET[i % 62]}`);
const VALUE = new Int8Array(128).fill(-1);
for (let i = 0; i < ALPHABET.length; i++) VALUE[ALPHABET.charCodeAt(i)] = i;
const BODY = /^[0-9A-Za-z]{27}$/;

/** An id of ours, whatever its prefix, as 27 characters. */
export function toKsuid(id: string): string {
  const hex = toHex(id);
  const a = wordOf(hex, 0);
  const b = wordOf(hex, 1);
  const c = wordOf(hex, 2);
  const d = wordOf(hex, 3);
  return base62([(a - EPOCH_S) >>> 0, b, c, d, fillerOf(a, b, c, d)]);
}

/** @returns null when the text is not the spelling of an id of ours. */
export function fromKsuid<P extends string>(prefix: P, text: string): Id<P> | null {
  const words = fromBase62(text);
  if (words === null) return null;
  const [seconds, b, c, d, filler] = words;
  const a = (seconds + EPOCH_S) % WORD;
  if (filler !== fillerOf(a, b, c, d)) return null;
  return fromHex(prefix, hexOf(a) + hexOf(b) + hexOf(c) + hexOf(d));
}

/** Whether the text has the form of a KSUID, ours or another server's. */
export function isKsuid(text: string): boolean {
  return BODY.test(text);
}

function wordOf(hex: string, at: number): number {
  return Number.parseInt(hex.slice(at * 8, at * 8 + 8), 16);
}

function hexOf(word: number): string {
  return word.toString(16).padStart(8, "0");
}

/** Any change of any bit changes about half of these. No secret: it tells mistakes and strangers, not forgers. */
function fillerOf(a: number, b: number, c: number, d: number): number {
  let h = 0x5b1c_e0d3;
  h = mixed(h ^ a);
  h = mixed(h ^ b);
  h = mixed(h ^ c);
  return mixed(h ^ d) >>> 0;
}

/** The last steps of MurmurHash3. */
function mixed(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
  return h ^ (h >>> 16);
}

type Words = [number, number, number, number, number];

/** Divides `words` to nothing. */
function base62(words: Words): string {
  let text = "";
  // Words that are down to nothing are not divided any more.
  let first = 0;
  for (let group = 0; group < GROUPS; group++) {
    let rest = 0;
    while (first < 4 && words[first] === 0) first++;
    for (let i = first; i < 5; i++) {
      const value = rest * WORD + (words[i] as number);
      const quotient = Math.floor(value / GROUP);
      words[i] = quotient;
      rest = value - quotient * GROUP;
    }
    const last = rest % 62;
    text = `${PAIRS[(rest - last) / 62]}${ALPHABET[last]}${text}`;
  }
  return text;
}

/** @returns null when it is not base62 or does not fit into 20 bytes. */
function fromBase62(text: string): Words | null {
  if (!BODY.test(text)) return null;
  const words: Words = [0, 0, 0, 0, 0];
  for (let at = 0; at < LENGTH; at += 3) {
    let carry = (valueAt(text, at) * 62 + valueAt(text, at + 1)) * 62 + valueAt(text, at + 2);
    for (let i = 4; i >= 0; i--) {
      const value = (words[i] as number) * GROUP + carry;
      carry = Math.floor(value / WORD);
      words[i] = value - carry * WORD;
    }
    if (carry !== 0) return null;
  }
  return words;
}

function valueAt(text: string, at: number): number {
  return VALUE[text.charCodeAt(at)] as number;
}
