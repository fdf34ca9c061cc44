/** What endpoints have in the database beyond what is at hand: putting it aside, and taking it from there. */
import type { Logger } from "pino";
import type { Clock, Millis } from "../../lib/clock.ts";
import type { Delivery } from "../model.ts";
import type { Lane } from "./lane.ts";
import type { AppEndpointId } from "./model.ts";
import type { AppMessageStore } from "./ports.ts";

export interface LaneBacklogDeps {
  readonly store: Pick<AppMessageStore, "parkClaimed" | "claimOf" | "nextParked">;
  readonly clock: Clock;
  readonly log: Logger;
  readonly leaseMs: Millis;
  /** Reads what a lane's rate needs into memory. */
  readonly prepare: (deliveries: readonly Delivery[]) => Promise<void>;
  readonly laneOf: (delivery: Delivery) => Lane;
  readonly isStopped: () => boolean;
  /** Begins with what was claimed. */
  readonly take: (deliveries: readonly Delivery[], leaseUntil: Millis) => void;
  /** Something of the lane is to be had, or can be claimed. */
  readonly serve: (lane: Lane) => void;
  /** Nothing is asked of the database any more. */
  readonly onQuiet: () => void;
}

/** After the database has failed. */
const CLAIM_AGAIN_MS: Millis = 1_000;

export class LaneBacklog {
  readonly #deps: LaneBacklogDeps;
  #asking = 0;

  constructor(deps: LaneBacklogDeps) {
    this.#deps = deps;
  }

  /** No statement is under way. */
  get quiet(): boolean {
    return this.#asking === 0;
  }

  /** Waits for a statement: while it does, the backlog is not quiet. */
  async ask<T>(answer: Promise<T>): Promise<T> {
    this.#asking++;
    try {
      return await answer;
    } finally {
      this.#asking--;
      if (this.#asking === 0) this.#deps.onQuiet();
    }
  }

  /**
   * Puts aside what was claimed, those that are put off equally long in one statement: a claim has a row or two of each
   * lane that is behind, and a statement for each of them cost 31 µs a row.
   */
  park(over: ReadonlyMap<Lane, readonly Delivery[]>, held: Millis): readonly Promise<void>[] {
    const { store, clock } = this.#deps;
    const now = clock.now();
    return [...Map.groupBy(over, ([lane]) => lane.parkedUntil(now))].map(([until, parts]) => {
      const claimed = parts.flatMap(([, surplus]) => surplus);
      const lanes = parts.map(([lane]) => lane);
      return this.parked(lanes, store.parkClaimed(claimed, held, until));
    });
  }

  /** What the lanes have in `parking` can be claimed from then on. */
  async parked(lanes: readonly Lane[], parking: Promise<void>): Promise<void> {
    await this.ask(parking);
    for (const lane of lanes) {
      lane.behindSince ??= this.#deps.clock.now();
      this.#deps.serve(lane);
    }
  }

  /** Takes up to so many of what the lane has parked. */
  claim(lane: Lane, limit: number): void {
    lane.claiming = true;
    this.ask(this.#take(lane, limit)).then(
      () => this.#claimed(lane),
      (error) => {
        const { clock, log, isStopped } = this.#deps;
        log.warn({ err: error, endpointId: lane.endpointId }, "lane.not-claimed");
        if (isStopped()) return;
        lane.cancelRetry = clock.wakeAt(clock.now() + CLAIM_AGAIN_MS, () => this.#claimed(lane));
      },
    );
  }

  /** Begins with what earlier processes have parked, or what others have. Resolves when every endpoint has its turn. */
  async resume(): Promise<void> {
    const { store, clock, prepare, laneOf, serve, isStopped } = this.#deps;
    for (let after: AppEndpointId | null = null; !isStopped(); ) {
      const parked: Delivery | null = await this.ask(store.nextParked(after));
      if (parked === null) return;
      after = parked.providerId as AppEndpointId;
      // Its rate must be known, or all of the backlog would go out at once.
      await prepare([parked]);
      const lane = laneOf(parked);
      lane.behindSince ??= clock.now();
      serve(lane);
    }
  }

  #claimed(lane: Lane): void {
    lane.claiming = false;
    lane.cancelRetry = null;
    this.#deps.serve(lane);
  }

  async #take(lane: Lane, limit: number): Promise<void> {
    const { store, clock, leaseMs, log, prepare, take } = this.#deps;
    const now = clock.now();
    const leaseUntil = now + leaseMs;
    lane.looks(now);
    const deliveries = await store.claimOf(lane.endpointId, now, limit, leaseUntil);
    if (deliveries.length < limit) lane.caughtUp();
    // The rate may have changed since they were parked.
    await prepare(deliveries).catch((error) => log.warn({ err: error }, "lane.not-prepared"));
    take(deliveries, leaseUntil);
  }
}
