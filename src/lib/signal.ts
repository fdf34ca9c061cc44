/**
 * Something that happens again and again and that others may wait for. Tests wait on signals instead of sleeping;
 * workers wait on them instead of polling.
 */
export class Signal<T = void> {
  #listeners = new Set<(value: T) => void>();

  emit(value: T): void {
    for (const listener of this.#listeners) listener(value);
  }

  /** @returns a function that ends the listening. */
  on(listener: (value: T) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves with the next value that passes `test`. */
  next(test: (value: T) => boolean = () => true): Promise<T> {
    return new Promise((resolve) => {
      const stop = this.on((value) => {
        if (!test(value)) return;
        stop();
        resolve(value);
      });
    });
  }
}
