/** The KSUID spelling of ids: a bijection that keeps the order. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { fromKsuid, isKsuid, keyOf, ksuid } from "../../../src/facades/svix/ids.ts";
import { firstIdAt, fromHex, newId, timeOf, toHex } from "../../../src/lib/ids.ts";

const KSUID_EPOCH_MS = 1_400_000_000_000;
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** The 20 bytes of a KSUID, by the slow and certain way. */
function bytesOf(text: string): Buffer {
  let value = 0n;
  for (const char of text.slice(-27)) value = value * 62n + BigInt(ALPHABET.indexOf(char));
  return Buffer.from(value.toString(16).padStart(40, "0"), "hex");
}

test("ids come back from their spelling, whatever their bits", () => {
  for (let i = 0; i < 20_000; i++) {
    const id = fromHex("msg", randomBytes(16).toString("hex"));
    const text = ksuid("msg", id);
    assert.match(text, /^msg_[0-9A-Za-z]{27}$/);
    assert.equal(fromKsuid("msg", "msg", text), id);
  }
  for (const hex of ["0".repeat(32), "f".repeat(32), `${"0".repeat(31)}1`, `${"f".repeat(8)}${"0".repeat(24)}`]) {
    const id = fromHex("app", hex);
    assert.equal(fromKsuid("app", "app", ksuid("app", id)), id);
  }
});

test("the prefixes of ours and the vendor's are exchanged", () => {
  const id = newId("att", Date.UTC(2026, 0, 1));
  const text = ksuid("atmpt", id);
  assert.equal(fromKsuid("atmpt", "att", text), id);
  assert.equal(fromKsuid("msg", "msg", text), null);
});

test("the bytes are those of a KSUID: seconds since 2014, then a quarter of the milliseconds", () => {
  for (const at of [KSUID_EPOCH_MS, Date.UTC(2026, 5, 7, 8, 9, 10, 999), Date.UTC(2038, 0, 19, 3, 14, 8, 3)]) {
    const bytes = bytesOf(ksuid("msg", firstIdAt("msg", at)));
    assert.equal(bytes.readUInt32BE(0), Math.floor((at - KSUID_EPOCH_MS) / 1000));
    assert.equal(bytes[4], Math.floor((at % 1000) / 4));
  }
});

test("the order of ids is the order of their spellings, byte by byte", () => {
  const ids = [
    ...Array.from({ length: 500 }, (_, i) => newId("msg", Date.UTC(2026, 0, 1) + (i >> 3))),
    ...Array.from({ length: 500 }, () => {
      const at = KSUID_EPOCH_MS + Math.floor(Math.random() * (0xffffffff * 1000 - KSUID_EPOCH_MS));
      return `${firstIdAt("msg", at).slice(0, 12)}${newId("msg", at).slice(12)}`;
    }),
    firstIdAt("msg", KSUID_EPOCH_MS),
    firstIdAt("msg", 0xffffffff * 1000),
  ].sort();
  const spelled = ids.map((id) => ksuid("msg", id));
  assert.deepEqual([...spelled].sort(), spelled);
});

test("times are kept exactly", () => {
  for (const at of [KSUID_EPOCH_MS, KSUID_EPOCH_MS + 1, Date.UTC(2026, 0, 1) + 997, 0xffffffff * 1000]) {
    const id = fromKsuid("msg", "msg", ksuid("msg", firstIdAt("msg", at)));
    assert.ok(id !== null);
    assert.equal(timeOf(id), at);
  }
});

test("a KSUID that another server made is nobody's id", () => {
  const foreign = "app_23rb8YdGqMT0qIzpgGwdXfHirMu";
  assert.ok(isKsuid("app", foreign));
  assert.equal(fromKsuid("app", "app", foreign), null);
  let ours = 0;
  const text = ksuid("app", newId("app", Date.UTC(2026, 0, 1)));
  for (let at = 4; at < text.length; at++) {
    for (const char of "0Az9") {
      const changed = `${text.slice(0, at)}${char}${text.slice(at + 1)}`;
      if (changed !== text && fromKsuid("app", "app", changed) !== null) ours++;
    }
  }
  assert.equal(ours, 0);
});

test("text that is no KSUID is refused, not misread", () => {
  const good = ksuid("app", newId("app", Date.UTC(2026, 0, 1)));
  for (const text of [
    "",
    "app_",
    good.slice(0, -1),
    `${good}0`,
    good.replace("app_", "ap_"),
    good.replace("app_", "APP_"),
    `app_${"z".repeat(27)}`, // more than 20 bytes
    `app_${"é".repeat(27)}`,
    `app_${"-".repeat(27)}`,
    `${good.slice(0, 10)}\0${good.slice(11)}`,
  ]) {
    assert.equal(fromKsuid("app", "app", text), null, JSON.stringify(text));
  }
});

test("keys are ids where they are, uids where they can be, and otherwise nothing that exists", () => {
  const id = newId("app", Date.UTC(2026, 0, 1));
  assert.deepEqual(keyOf("app", "app", ksuid("app", id)), { id });
  assert.deepEqual(keyOf("app", "app", "a-uid_1.2"), { uid: "a-uid_1.2" });
  for (const text of ["", "a b", "a/b", "ü", "a\0", "x".repeat(257), "a\u2028"]) {
    assert.throws(() => keyOf("app", "app", text), { status: 404 });
  }
});

test("the hex of an id is not mixed up on the way", () => {
  const id = fromHex("ep", "0123456789abcdeffedcba9876543210");
  const bytes = bytesOf(ksuid("ep", id));
  const seconds = (bytes.readUInt32BE(0) + KSUID_EPOCH_MS / 1000) % 2 ** 32;
  assert.equal(seconds.toString(16).padStart(8, "0") + bytes.toString("hex", 4, 16), toHex(id));
});
