/**
 * Lets pieces of work on the same thing run one after the other, and those on different things at once. Spares writers
 * of one process the conflicts that they would otherwise have with each other.
 */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** Rejects as the work does; that holds up nobody behind it. */
  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const done = before === undefined ? work() : before.then(work);
    const over: Promise<void> = done.then(
      () => this.#leave(key, over),
      () => this.#leave(key, over),
    );
    this.#last.set(key, over);
    return done;
  }

  #leave(key: string, over: Promise<void>): void {
    if (this.#last.get(key) === over) this.#last.delete(key);
  }
}
