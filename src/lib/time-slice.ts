/**
 * For loops whose every step is short but whose sum may not be: content may take a tenth of a second to render, and a
 * request may have hundreds of recipients. Measured with the machine's own clock, since it is about the processor.
 */
export class TimeSlice {
  readonly #ms: number;
  #startedAt = performance.now();

  /** @param ms how long others can wait. */
  constructor(ms: number) {
    this.#ms = ms;
  }

  /** True once the slice is used up: time to `rest`, or to stop and put the remainder off. */
  get over(): boolean {
    return performance.now() - this.#startedAt >= this.#ms;
  }

  /** Lets everything run that waits for the event loop; a new slice begins. */
  async rest(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#startedAt = performance.now();
  }
}
