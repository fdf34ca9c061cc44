/** A queue of many owners that are served in turn, so that one with much to do does not keep the others waiting. */
export class FairQueue<T> {
  readonly #limit: number;
  /** In the order of their turns. No owner is here without something that waits. */
  #waiting = new Map<string, T[]>();
  #size = 0;

  /** @param limit at most this many may wait, half of them of one owner. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#size;
  }

  /** @returns false, having added nothing, when there is no room. */
  add(owner: string, item: T): boolean {
    const own = this.#waiting.get(owner);
    if (this.#size >= this.#limit || (own !== undefined && own.length >= this.#limit / 2)) return false;
    if (own === undefined) this.#waiting.set(owner, [item]);
    else own.push(item);
    this.#size++;
    return true;
  }

  /** The oldest item of the next owner in turn that may have one. */
  take(may: (owner: string) => boolean): T | null {
    for (const [owner, own] of this.#waiting) {
      if (!may(owner)) continue;
      const item = own.shift() as T;
      this.#waiting.delete(owner);
      if (own.length > 0) this.#waiting.set(owner, own);
      this.#size--;
      return item;
    }
    return null;
  }
}
