import { Signal } from "../lib/signal.ts";
import type { Work } from "./ports.ts";

/** Claims one kind of work as long as there is some and room for it. */
export class WorkLoop {
  readonly work: Work;
  readonly #room: number;
  readonly #claim: (limit: number) => Promise<readonly Promise<unknown>[]>;
  #underWay = 0;
  #claiming: Promise<void> | null = null;
  #again = false;
  stopped = false;
  #idle = new Signal();
  onFailure: (error: unknown) => void = () => {};
  /** A look was answered, whether or not there was work. */
  onLooked: () => void = () => {};
  /** A piece of work has come to its end. */
  onFinished: () => void = () => {};
  /** Nothing more could be claimed: for lack of work, of room, or of a database. */
  onDrained: () => void = () => {};

  /**
   * @param room how much may be under way at once.
   * @param claim claims at most `limit` pieces and starts on them; an empty answer means nothing is due.
   */
  constructor(work: Work, room: number, claim: (limit: number) => Promise<readonly Promise<unknown>[]>) {
    this.work = work;
    this.#room = room;
    this.#claim = claim;
  }

  /** Looks for work; a call during the look makes it look once more. */
  wake(): void {
    if (this.stopped) return;
    if (this.#claiming !== null) {
      this.#again = true;
      return;
    }
    this.#claiming = this.#run().finally(() => {
      this.#claiming = null;
      // Called between the end of the last look and here: nobody else would look again before the poll.
      if (this.#again) this.wake();
      else this.onDrained();
      this.#checkIdle();
    });
  }

  /** Claims no more; what is under way goes on. */
  stop(): void {
    this.stopped = true;
  }

  /** Nothing is under way and nothing is being claimed. */
  get quiet(): boolean {
    return this.#claiming === null && this.#underWay === 0;
  }

  /** Resolves when it is quiet. */
  async idle(): Promise<void> {
    while (!this.quiet) await this.#idle.next();
  }

  async #run(): Promise<void> {
    do {
      this.#again = false;
      const room = this.#room - this.#underWay;
      if (room <= 0) return;
      try {
        const started = await this.#claim(room);
        this.onLooked();
        for (const piece of started) this.#watch(piece);
        if (started.length > 0) this.#again = true;
      } catch (error) {
        this.onFailure(error);
        this.#again = false;
        return;
      }
    } while (this.#again && !this.stopped);
  }

  #watch(piece: Promise<unknown>): void {
    this.#underWay++;
    piece
      .catch((error) => this.onFailure(error))
      .finally(() => {
        const wasFull = this.#underWay >= this.#room;
        this.#underWay--;
        this.onFinished();
        if (wasFull) this.wake();
        this.#checkIdle();
      });
  }

  #checkIdle(): void {
    if (this.quiet) this.#idle.emit();
  }
}
