import { type buildConnector, Client, type Dispatcher } from "undici";
import type { Clock, Millis } from "../lib/clock.ts";

export interface ConnectionLimits {
  /** Of requests that may wait for each other. */
  readonly connectionsPerOrigin: number;
  /** Of the same, those waiting for a connection included. */
  readonly inFlightPerOrigin: number;
  /** Open connections in all. */
  readonly maxConnections: number;
  readonly maxIdleConnections: number;
  /** Of an answer. */
  readonly maxHeaderBytes: number;
}

/** A request that wants a connection. */
export interface Passenger extends Dispatcher.DispatchHandler {
  readonly options: Dispatcher.DispatchOptions;
  readonly ride: Ride;
  /** The connection is its own until it is done with it. Called before anything else, perhaps at once. */
  board(connection: Connection): void;
}

/** Which connection a request may take. */
export interface Ride {
  /** As `https://example.com:8443`. */
  readonly origin: string;
  /** It may have to wait for one: there is a limit for all of the origin that may. Those that may not have their own. */
  readonly mayWait: boolean;
  /** It wants one that was never used before. */
  readonly fresh: boolean;
}

/** A connection that never idles would otherwise keep to an address that the name left long ago. */
const CONNECTION_LIFE_MS = 5 * 60_000;
const LONGEST_KEEP_ALIVE_MS = 30_000;

interface Origin {
  readonly key: string;
  readonly origin: string;
  /** The one used last is used next, so that those a quieter time does not need grow old and close. */
  readonly idle: Connection[];
  readonly waiting: Set<Passenger>;
  open: number;
}

/**
 * Connections, kept per origin and reused, each for one request at a time. Whoever finds none idle gets a new one, or
 * waits if it may and the origin has as many as it is allowed. An origin without connections costs nothing.
 */
export class Connections {
  readonly #connect: buildConnector.connector;
  readonly #clock: Clock;
  readonly #limits: ConnectionLimits;
  readonly #origins = new Map<string, Origin>();
  /** Longest idle first. */
  readonly #idle = new Set<Connection>();
  readonly #all = new Set<Connection>();
  #closed = false;

  constructor(connect: buildConnector.connector, clock: Clock, limits: ConnectionLimits) {
    this.#connect = connect;
    this.#clock = clock;
    this.#limits = limits;
  }

  /**
   * Takes the passenger aboard, now or when a connection is free.
   * @returns why there is no room for it, null when there is.
   */
  take(passenger: Passenger): string | null {
    if (this.#closed) return "the server is stopping";
    const { ride } = passenger;
    const key = keyOf(ride);
    let origin = this.#origins.get(key);
    const idle = origin === undefined || ride.fresh ? null : this.#nextIdle(origin);
    if (idle !== null) {
      idle.carry(passenger);
      return null;
    }
    if (origin !== undefined && ride.mayWait && origin.open >= this.#limits.connectionsPerOrigin) {
      const inFlight = origin.open - origin.idle.length + origin.waiting.size;
      if (inFlight >= this.#limits.inFlightPerOrigin) return `${inFlight} requests to this host are already under way`;
      origin.waiting.add(passenger);
      return null;
    }
    if (this.#all.size >= this.#limits.maxConnections && !this.#dropLongestIdle()) {
      return `${this.#all.size} other requests are already under way`;
    }
    // Dropping the last connection of an origin forgets the origin: this may be another one than before.
    origin = this.#origins.get(key);
    if (origin === undefined) {
      origin = { key, origin: ride.origin, idle: [], waiting: new Set(), open: 0 };
      this.#origins.set(key, origin);
    }
    this.#open(origin).carry(passenger);
    return null;
  }

  /** For a passenger that does not want to wait any longer. */
  leave(passenger: Passenger): void {
    if (passenger.ride.mayWait) this.#origins.get(keyOf(passenger.ride))?.waiting.delete(passenger);
  }

  /** What is under way ends with an error. */
  close(): void {
    this.#closed = true;
    for (const origin of this.#origins.values()) {
      for (const passenger of origin.waiting) passenger.onResponseError?.(null as never, new Error("closed"));
      origin.waiting.clear();
    }
    for (const connection of [...this.#all]) connection.end();
  }

  #nextIdle(origin: Origin): Connection | null {
    for (;;) {
      const connection = origin.idle.pop();
      if (connection === undefined) return null;
      this.#idle.delete(connection);
      if (this.#clock.now() - connection.openedAt < CONNECTION_LIFE_MS) return connection;
      connection.end();
    }
  }

  #dropLongestIdle(): boolean {
    const [connection] = this.#idle;
    connection?.end();
    return connection !== undefined;
  }

  #open(origin: Origin): Connection {
    const connection = new Connection(
      origin.origin,
      this.#connect,
      this.#clock.now(),
      this.#limits.maxHeaderBytes,
      () => this.#freed(origin, connection),
      () => this.#ended(origin, connection),
    );
    origin.open++;
    this.#all.add(connection);
    return connection;
  }

  #freed(origin: Origin, connection: Connection): void {
    const [next] = origin.waiting;
    if (next !== undefined) {
      origin.waiting.delete(next);
      connection.carry(next);
      return;
    }
    origin.idle.push(connection);
    this.#idle.add(connection);
    if (this.#idle.size > this.#limits.maxIdleConnections) this.#dropLongestIdle();
  }

  #ended(origin: Origin, connection: Connection): void {
    if (this.#idle.delete(connection)) origin.idle.splice(origin.idle.lastIndexOf(connection), 1);
    this.#all.delete(connection);
    origin.open--;
    const [next] = origin.waiting;
    if (next !== undefined) {
      origin.waiting.delete(next);
      this.#open(origin).carry(next);
    } else if (origin.open === 0) this.#origins.delete(origin.key);
  }
}

function keyOf({ origin, mayWait }: Ride): string {
  return mayWait ? origin : `${origin} at once`;
}

/**
 * One connection and the request on it:
 *
 *   carrying ──the answer is whole──▶ free ──carry──▶ carrying
 *      │                               └──closed by either side──▶ ended
 *      └──failed, given up, or closed after the answer──▶ ended
 */
export class Connection {
  readonly openedAt: Millis;
  readonly #client: Client;
  readonly #free: () => void;
  readonly #ended: () => void;
  #isOpen = false;
  #isCarrying = false;
  #hasEnded = false;

  constructor(
    origin: string,
    connect: buildConnector.connector,
    openedAt: Millis,
    maxHeaderSize: number,
    free: () => void,
    ended: () => void,
  ) {
    this.openedAt = openedAt;
    this.#free = free;
    this.#ended = ended;
    this.#client = new Client(origin, {
      connect: (options, callback) =>
        connect(options, (...result) => {
          this.#isOpen = result[1] !== null;
          callback(...result);
        }),
      pipelining: 1,
      keepAliveMaxTimeout: LONGEST_KEEP_ALIVE_MS,
      maxHeaderSize,
      // The exchange's own deadline covers both, and does not start anew with every byte.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    this.#client.on("disconnect", () => {
      this.#isOpen = false;
      // A request that has not been written yet stays aboard: undici connects anew for it.
      if (!this.#isCarrying) this.end();
    });
    this.#client.on("connectionError", (_origin, _targets, error) => this.end(error));
  }

  carry(passenger: Passenger): void {
    this.#isCarrying = true;
    passenger.board(this);
    this.#client.dispatch(passenger.options, passenger);
  }

  /**
   * The answer has come whole: somebody else may go aboard. undici writes the next request a turn later and connects
   * anew for it if the receiver has closed meanwhile: some do although they said that they would not.
   */
  release(): void {
    // undici calls with the last byte of the answer while it is still at work on the connection.
    queueMicrotask(() => {
      this.#isCarrying = false;
      if (!this.#isOpen) this.end();
      else if (!this.#hasEnded) this.#free();
    });
  }

  /** Closes it. What it carries ends with an error, whatever state it is in. */
  end(error: Error | null = null): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    // Whoever is aboard hears of it by the error, and nobody could mend a socket that does not close.
    this.#client.destroy(error).catch(() => {});
    this.#ended();
  }
}
