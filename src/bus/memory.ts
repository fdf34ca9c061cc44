/** The bus of a single process: a shout is a function call. */
import type { EnvironmentId } from "../engine/model.ts";
import type { Bus, InboxEvent, Work } from "../engine/ports.ts";

/** Out of the shouter's way: whoever just committed must not fail because a listener did. */
function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

/**
 * Listeners are called before the shout returns, in the order in which they came, so events are heard in the order in
 * which they were committed.
 * @param report gets what a listener throws; the other listeners hear the shout nevertheless.
 */
export function memoryBus(report: (error: unknown) => void = throwLater): Bus {
  const work = new Listeners<[Work]>(report);
  const inbox = new Listeners<[readonly InboxEvent[]]>(report);
  const documents = new Listeners<[EnvironmentId, string]>(report);
  return {
    lookNow: (what) => work.call(what),
    onLookNow: (listener) => work.add(listener),
    publish: (events) => {
      if (events.length > 0) inbox.call(events);
    },
    onInboxEvents: (listener) => inbox.add(listener),
    changed: (environmentId, kind) => documents.call(environmentId, kind),
    onChanged: (listener) => documents.add(listener),
    close: async () => {
      work.clear();
      inbox.clear();
      documents.clear();
    },
  };
}

class Listeners<Args extends readonly unknown[]> {
  /** Replaced, never changed in place: a listener may leave while it is being called. */
  #listeners: readonly ((...args: Args) => void)[] = [];
  readonly #report: (error: unknown) => void;

  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  add(listener: (...args: Args) => void): () => void {
    this.#listeners = [...this.#listeners, listener];
    let listening = true;
    return () => {
      if (!listening) return;
      listening = false;
      const at = this.#listeners.indexOf(listener);
      if (at >= 0) this.#listeners = this.#listeners.toSpliced(at, 1);
    };
  }

  call(...args: Args): void {
    for (const listener of this.#listeners) {
      try {
        listener(...args);
      } catch (error) {
        this.#report(error);
      }
    }
  }

  clear(): void {
    this.#listeners = [];
  }
}
