import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { CannotOpen, keyIdOf, MARK, openVault } from "./vault.ts";

const KEY = randomBytes(32);
const OTHER = randomBytes(32);
const vault = openVault({ encryptionKey: KEY, oldEncryptionKeys: [] });
const keyless = openVault({ encryptionKey: null, oldEncryptionKeys: [] });

test("what is sealed opens again, and shows nothing", () => {
  for (const text of ["", "whsec_abc", "ü😀\0\n", "x".repeat(100_000), `${MARK}1:00000000:AAAA`, `${MARK}0:x`]) {
    const sealed = vault.seal(text);
    assert.equal(vault.open(sealed), text);
    assert.ok(sealed.startsWith(`${MARK}1:${vault.keyId}:`));
    assert.ok(text === "" || !sealed.includes(text));
    assert.ok(vault.isCurrent(sealed));
  }
  const many = new Set(Array.from({ length: 2_000 }, () => vault.seal("the same")));
  assert.equal(many.size, 2_000);
  for (const sealed of many) assert.equal(vault.open(sealed), "the same");
});

test("what was written before there was a key opens as itself", () => {
  for (const text of ["", "whsec_abc", "carillon", "carillon-sealed"]) {
    assert.equal(vault.open(text), text);
    assert.equal(vault.isCurrent(text), false);
  }
});

test("without a key texts stay as they are, but one that looks sealed is not taken for sealed", () => {
  assert.equal(keyless.keyId, null);
  assert.equal(keyless.seal("whsec_abc"), "whsec_abc");
  for (const text of [`${MARK}1:00000000:AAAA`, `${MARK}0:x`, MARK, vault.seal("s")]) {
    const written = keyless.seal(text);
    assert.equal(keyless.open(written), text);
    assert.equal(vault.open(written), text);
    assert.ok(keyless.isCurrent(written));
    assert.equal(vault.isCurrent(written), false);
  }
});

test("an old key opens and does not seal", () => {
  const sealed = vault.seal("s");
  const rotated = openVault({ encryptionKey: OTHER, oldEncryptionKeys: [KEY] });
  assert.equal(rotated.open(sealed), "s");
  assert.equal(rotated.isCurrent(sealed), false);
  assert.equal(keyIdOf(rotated.seal("s")), rotated.keyId);
  const onlyOld = openVault({ encryptionKey: null, oldEncryptionKeys: [KEY] });
  assert.equal(onlyOld.open(sealed), "s");
  assert.equal(onlyOld.seal("s"), "s");
});

test("a missing key is named", () => {
  const sealed = vault.seal("s");
  for (const other of [keyless, openVault({ encryptionKey: OTHER, oldEncryptionKeys: [] })]) {
    assert.throws(
      () => other.open(sealed),
      (error: unknown) =>
        error instanceof CannotOpen && error.keyId === vault.keyId && error.message.includes(`${vault.keyId}`),
    );
  }
});

test("a damaged text does not open, whatever was changed, its head included", () => {
  const sealed = vault.seal("a secret");
  const head = `${MARK}1:${vault.keyId}:`;
  const bytes = Buffer.from(sealed.slice(head.length), "base64url");
  for (const at of [0, 12, bytes.length - 1]) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] as number) ^ 1;
    assert.throws(() => vault.open(head + changed.toString("base64url")), { name: "CannotOpen", keyId: null });
  }
  for (const wrong of [
    head,
    `${head}AAAA`,
    sealed.slice(0, -10),
    MARK,
    `${MARK}2:x`,
    `${MARK}1:XYZ:AAAA`,
    `${MARK}1:`,
  ]) {
    assert.throws(() => vault.open(wrong), { name: "CannotOpen" }, wrong);
  }
});

test("keys have 32 bytes", () => {
  assert.throws(() => openVault({ encryptionKey: randomBytes(16), oldEncryptionKeys: [] }), /32 bytes/);
});

test("what is sealed often is sealed once, and opens as anything else", () => {
  const sealed = vault.sealOften("a token");
  assert.equal(vault.sealOften("a token"), sealed);
  assert.notEqual(vault.sealOften("another"), sealed);
  assert.notEqual(vault.seal("a token"), sealed);
  for (const one of [sealed, vault.sealOften("x".repeat(100_000))]) assert.equal(vault.open(one), vault.open(one));
  assert.equal(vault.open(sealed), "a token");
  assert.equal(keyless.sealOften(`${MARK}0:x`), keyless.seal(`${MARK}0:x`));
  assert.equal(keyless.sealOften("a token"), "a token");
});
