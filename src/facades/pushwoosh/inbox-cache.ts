/**
 * Whole answers to "everything in my inbox", which web clients ask for with every page load. An answer is good for as
 * long as the inbox has the stamp that it had before and after it was read, and nothing in it has expired. The stamp is
 * read from the database with every call, so that it does not matter which process changed the inbox.
 */
import type { Millis } from "../../lib/clock.ts";

interface Kept {
  readonly stamp: string;
  /** The earliest moment at which something in it expires. */
  readonly until: Millis;
  readonly body: Buffer;
}

export class InboxCache {
  readonly #maxBytes: number;
  #bytes = 0;
  /** Least recently used first. */
  readonly #kept = new Map<string, Kept>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  find(key: string, stamp: string, now: Millis): Buffer | null {
    const kept = this.#kept.get(key);
    if (kept === undefined) return null;
    if (kept.stamp !== stamp || kept.until <= now) {
      this.#drop(key, kept);
      return null;
    }
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    return kept.body;
  }

  /** Keeps an answer, unless it would take more than an eighth of the room there is. */
  keep(key: string, kept: Kept): void {
    const old = this.#kept.get(key);
    if (old !== undefined) this.#drop(key, old);
    if (kept.body.length > this.#maxBytes / 8) return;
    this.#kept.set(key, kept);
    this.#bytes += sizeOf(key, kept);
    for (const [oldest, one] of this.#kept) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#drop(oldest, one);
    }
  }

  #drop(key: string, kept: Kept): void {
    this.#kept.delete(key);
    this.#bytes -= sizeOf(key, kept);
  }
}

/** With what a small entry costs beside its bytes. */
function sizeOf(key: string, { stamp, body }: Kept): number {
  return body.length + 2 * (key.length + stamp.length) + 200;
}
