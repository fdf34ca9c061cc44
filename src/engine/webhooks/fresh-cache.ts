import type { Clock, Millis } from "../../lib/clock.ts";

/** Another process may have written; what this process writes is forgotten at once. */
const STALE_AFTER_MS: Millis = 1_000;

export interface FreshCacheOptions<V> {
  readonly clock: Clock;
  /**
   * Reads the value. @param held what was remembered, perhaps out of date; may be returned when it turns out to hold still.
   * @returns null when there is none: that is never remembered.
   */
  readonly load: (key: string, held: V | undefined) => Promise<V | null>;
  readonly maxEntries: number;
  /** What the entries may weigh together. The newest one stays whatever it weighs. */
  readonly maxWeight?: number;
  readonly weigh?: (value: V) => number;
}

interface Entry<V> {
  readonly value: V;
  readonly readAt: Millis;
  readonly weight: number;
}

interface Loading<V> {
  readonly promise: Promise<V | null>;
  /** A load that begins after this one, for those who asked for a fresh value meanwhile. */
  next: Promise<V | null> | null;
}

/**
 * Remembers what was read for a second, or until it is told to forget. Whoever asks for the same thing at the same time
 * shares one read; nobody who asks after `forget` gets what a read from before it brings.
 */
export class FreshCache<V> {
  readonly #options: FreshCacheOptions<V>;
  /** In the order of their use, the longest unused first. */
  readonly #entries = new Map<string, Entry<V>>();
  readonly #loading = new Map<string, Loading<V>>();
  #weight = 0;

  constructor(options: FreshCacheOptions<V>) {
    this.#options = options;
  }

  /** The value if it is remembered and not stale; does not wait. 0.4 µs. */
  peek(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const age = this.#options.clock.now() - entry.readAt;
    // A clock that was set back must not make an entry live for ever.
    if (age < 0 || age >= STALE_AFTER_MS) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** @param fresh true answers with nothing that was read before this call. Rejects if the read does. */
  async get(key: string, fresh = false): Promise<V | null> {
    if (!fresh) {
      const value = this.peek(key);
      if (value !== undefined) return value;
    }
    const loading = this.#loading.get(key);
    if (loading === undefined) return this.#load(key);
    if (!fresh) return loading.promise;
    loading.next ??= loading.promise.then(
      () => this.#load(key),
      () => this.#load(key),
    );
    return loading.next;
  }

  forget(key: string): void {
    this.#drop(key);
    this.#loading.delete(key);
  }

  #load(key: string): Promise<V | null> {
    const readAt = this.#options.clock.now();
    const held = this.#entries.get(key)?.value;
    const promise = this.#options.load(key, held).then(
      (value) => {
        // A read that was overtaken by `forget` or a later one is good for those who wait for it, not for others.
        if (this.#loading.get(key) === loading) {
          this.#loading.delete(key);
          if (value === null) this.#drop(key);
          else this.#keep(key, value, readAt);
        }
        return value;
      },
      (error) => {
        if (this.#loading.get(key) === loading) this.#loading.delete(key);
        throw error;
      },
    );
    const loading: Loading<V> = { promise, next: null };
    this.#loading.set(key, loading);
    return promise;
  }

  #keep(key: string, value: V, readAt: Millis): void {
    this.#drop(key);
    const { maxEntries, maxWeight = Number.POSITIVE_INFINITY, weigh } = this.#options;
    const entry = { value, readAt, weight: weigh?.(value) ?? 0 };
    this.#entries.set(key, entry);
    this.#weight += entry.weight;
    for (const oldest of this.#entries.keys()) {
      if (oldest === key || (this.#entries.size <= maxEntries && this.#weight <= maxWeight)) break;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#weight -= entry.weight;
  }
}
