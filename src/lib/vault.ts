/**
 * Texts sealed with AES-256-GCM, so that a copy of the database alone gives no secret away. A sealed text names its key:
 *
 *   carillon-sealed:1:<key id>:<base64url of nonce, ciphertext and tag>
 *   carillon-sealed:0:<text>      not encrypted: a text that looks sealed itself, written while there was no key
 *
 * What stands before the last colon is authenticated. A text without the mark is in the clear and opens as itself: it
 * was written before there was a key. Nothing binds a sealed text to its place: documents may be copied.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  type KeyObject,
  randomFillSync,
} from "node:crypto";
import { Lru } from "./lru.ts";

export const MARK = "carillon-sealed:";
const IN_THE_CLEAR = `${MARK}0:`;
const ENCRYPTED = `${MARK}1:`;
const KEY_ID_LENGTH = 8;
const HEAD_LENGTH = ENCRYPTED.length + KEY_ID_LENGTH + 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
export const KEY_BYTES = 32;
/** Texts that were sealed or opened lately are kept both ways, longer ones excepted: some megabytes at most. */
const REMEMBERED = 5_000;
const MAX_REMEMBERED_LENGTH = 1_000;

/** A sealed text that cannot be opened. The message is fit for an operator and shows nothing of the text. */
export class CannotOpen extends Error {
  override name = "CannotOpen";
  /** Of the key that is missing; null when the text is damaged, or a newer version's. */
  readonly keyId: string | null;

  constructor(message: string, keyId: string | null) {
    super(message);
    this.keyId = keyId;
  }
}

export interface EncryptionKeys {
  /** Seals, and opens. Null: nothing is sealed from now on. 32 bytes, as the others. */
  readonly encryptionKey: Buffer | null;
  /** Only open. */
  readonly oldEncryptionKeys: readonly Buffer[];
}

export interface KeyVault {
  /** Of the key that seals; null when there is none. */
  readonly keyId: string | null;
  /**
   * Without a key the text itself. Sealing twice gives two texts. 5 µs for a short text, and 64 characters more than a
   * third of it. Unpaired surrogates come back as U+FFFD.
   */
  seal(text: string): string;
  /**
   * As `seal`, but may give what it gave before for the same text: for what every message carries. Shows that two texts
   * are the same.
   */
  sealOften(text: string): string;
  /** 6 µs for a short text, a look into a map for one that was opened lately. @throws CannotOpen */
  open(sealed: string): string;
  /** Whether the text is as `seal` would make it now, rather than under an older key or in the clear. */
  isCurrent(text: string): boolean;
}

interface Key {
  readonly id: string;
  readonly secret: KeyObject;
}

/** @throws Error when a key does not have 32 bytes. */
export function openVault({ encryptionKey, oldEncryptionKeys }: EncryptionKeys): KeyVault {
  const current = encryptionKey === null ? null : keyOf(encryptionKey);
  const known = new Map(
    [...oldEncryptionKeys.map(keyOf), ...(current === null ? [] : [current])].map((k) => [k.id, k]),
  );
  const head = current === null ? "" : headOf(current.id);
  const headBytes = Buffer.from(head);
  // A sealed text never comes to mean another one, so nothing that is kept here can be out of date.
  const sealedOf = new Lru<string, string>(REMEMBERED);
  const textOf = new Lru<string, string>(REMEMBERED);

  function seal(text: string): string {
    if (current === null) return text.startsWith(MARK) ? IN_THE_CLEAR + text : text;
    const nonce = nextNonce();
    const cipher = createCipheriv("aes-256-gcm", current.secret, nonce).setAAD(headBytes);
    const sealed = Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
    return head + sealed.toString("base64url");
  }

  return {
    keyId: current?.id ?? null,
    seal,

    sealOften(text) {
      if (current === null || text.length > MAX_REMEMBERED_LENGTH) return seal(text);
      const known = sealedOf.get(text);
      if (known !== undefined) return known;
      const sealed = seal(text);
      sealedOf.set(text, sealed);
      return sealed;
    },

    open(sealed) {
      if (!sealed.startsWith(MARK)) return sealed;
      const remembered = textOf.get(sealed);
      if (remembered !== undefined) return remembered;
      if (sealed.startsWith(IN_THE_CLEAR)) return sealed.slice(IN_THE_CLEAR.length);
      const id = keyIdOf(sealed);
      if (id === null)
        throw new CannotOpen("a sealed text is damaged, or a newer version of this program wrote it", null);
      const key = known.get(id);
      if (key === undefined) throw new CannotOpen(`a text is sealed with the key ${id}, which is not configured`, id);
      try {
        const text = opened(sealed, key);
        if (text.length <= MAX_REMEMBERED_LENGTH) textOf.set(sealed, text);
        return text;
      } catch {
        throw new CannotOpen(`a text sealed with the key ${id} is damaged`, null);
      }
    },

    isCurrent: (text) => (current === null ? !text.startsWith(ENCRYPTED) : text.startsWith(head)),
  };
}

/** The id of the key that a text is sealed with; null when the text is not encrypted, or not in a form known here. */
export function keyIdOf(text: string): string | null {
  if (!text.startsWith(ENCRYPTED)) return null;
  const id = text.slice(ENCRYPTED.length, HEAD_LENGTH - 1);
  return /^[0-9a-f]{8}$/.test(id) && text[HEAD_LENGTH - 1] === ":" ? id : null;
}

function opened(sealed: string, { secret, id }: Key): string {
  const bytes = Buffer.from(sealed.slice(HEAD_LENGTH), "base64url");
  const end = bytes.length - TAG_BYTES;
  const decipher = createDecipheriv("aes-256-gcm", secret, bytes.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(Buffer.from(headOf(id))).setAuthTag(bytes.subarray(end));
  return decipher.update(bytes.subarray(NONCE_BYTES, end), undefined, "utf8") + decipher.final("utf8");
}

function headOf(keyId: string): string {
  return `${ENCRYPTED}${keyId}:`;
}

/** The id says nothing of the key that somebody could use: the key is 256 random bits. */
function keyOf(bytes: Buffer): Key {
  if (bytes.length !== KEY_BYTES) throw new Error(`an encryption key has ${KEY_BYTES} bytes, this one ${bytes.length}`);
  const id = createHash("sha256").update("carillon key id").update(bytes).digest("hex").slice(0, KEY_ID_LENGTH);
  return { id, secret: createSecretKey(bytes) };
}

/** Drawn many at a time: one call for each costs as much as sealing a short text. */
const pool = Buffer.alloc(NONCE_BYTES * 256);
let drawn = pool.length;
function nextNonce(): Buffer {
  if (drawn === pool.length) {
    randomFillSync(pool);
    drawn = 0;
  }
  drawn += NONCE_BYTES;
  return pool.subarray(drawn - NONCE_BYTES, drawn);
}
