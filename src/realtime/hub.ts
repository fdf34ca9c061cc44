/**
 * All open sockets of this process, of every facade, by environment and user. What happens in an inbox comes from the
 * bus; each dialect puts it into words once, and the same bytes go to every socket that wants them.
 *
 *   connecting ──accept──▶ open ──(client left · silent · slow · expired · replaced · stop)──▶ gone
 *
 * A connection that is open hears of a user from `subscribe` until `unsubscribe` or its end. Nothing is replayed:
 * who was away asks the lists.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { EnvironmentId } from "../engine/model.ts";
import type { Bus, InboxEvent } from "../engine/ports.ts";
import type { Clock, Millis } from "../lib/clock.ts";
import { Signal } from "../lib/signal.ts";
import { Connection, type Dialect, HubSocket, retryReason, type Subscription, textFrame } from "./connection.ts";

export interface HubLimits {
  readonly connections: number;
  readonly connectionsPerUser: number;
  readonly subscriptionsPerConnection: number;
  /** Bytes that may wait on one socket before it is closed as too slow. */
  readonly outboxBytes: number;
  readonly inboundFrameBytes: number;
  readonly pingEveryMs: Millis;
  readonly sweepEveryMs: Millis;
  /** How long a connection may stay open without having said whose it is. */
  readonly anonymousMs: Millis;
  /** How long clients that were asked to leave are given before they are closed. A whole stop must end within 10 s. */
  readonly goodbyeMs: Millis;
  /** How long the closing handshakes may take at a stop. */
  readonly closeMs: Millis;
}

export const HUB_LIMITS: HubLimits = {
  connections: 100_000,
  connectionsPerUser: 50,
  subscriptionsPerConnection: 100,
  outboxBytes: 1024 * 1024,
  inboundFrameBytes: 16 * 1024,
  pingEveryMs: 30_000,
  sweepEveryMs: 10_000,
  anonymousMs: 60_000,
  goodbyeMs: 2_500,
  closeMs: 1_000,
};

/** A client that may come in. `ownerId` null: it will say later who it is, see `claim`. */
export interface Opening<Session = unknown, Filter = unknown> {
  readonly dialect: Dialect<Session, Filter>;
  readonly environmentId: EnvironmentId;
  readonly session: Session;
  readonly cid: string | null;
  readonly ownerId: string | null;
  readonly expiresAt: Millis | null;
}

export interface HubStats {
  connections: number;
  subscriptions: number;
  eventsHeard: number;
  framesSent: number;
  framesDropped: number;
  closedSlow: number;
  closedSilent: number;
  closedExpired: number;
  replaced: number;
  refused: number;
}

interface Group {
  owned: Connection[];
  subscriptions: Subscription[];
}

/** Three pings' time without an answer: the third ping is not sent any more. */
const UNANSWERED_LIMIT = 2;
/** Clients sent away come back within this many seconds. */
const RETRY_SPREAD_SECONDS = 10;

export class Hub {
  readonly stats: HubStats = {
    connections: 0,
    subscriptions: 0,
    eventsHeard: 0,
    framesSent: 0,
    framesDropped: 0,
    closedSlow: 0,
    closedSilent: 0,
    closedExpired: 0,
    replaced: 0,
    refused: 0,
  };
  readonly opened = new Signal<Connection>();
  readonly closed = new Signal<{ connection: Connection; code: number }>();
  readonly subscribed = new Signal<Subscription>();
  /** An event has been handed to all sockets that want it. */
  readonly delivered = new Signal<InboxEvent>();
  readonly maxOutboxBytes: number;

  readonly #clock: Clock;
  readonly #limits: HubLimits;
  readonly #report: (error: unknown) => void;
  readonly #random: () => number;
  readonly #server: WebSocketServer;
  readonly #connections = new Set<Connection>();
  readonly #groups = new Map<string, Group>();
  /** Frames of the event being delivered, by dialect; emptied for each. */
  readonly #frames = new Map<Dialect, { text: string; bytes: Buffer } | null>();
  readonly #leaveBus: () => void;
  #eventNumber = 0;
  #cancelSweep: (() => void) | null = null;
  #stopping = false;

  /**
   * @param options.report gets what a dialect throws: our own mistake, which must not keep other sockets from hearing.
   * @param options.random between 0 and 1; spreads the return of clients that are sent away.
   */
  constructor(options: {
    readonly clock: Clock;
    readonly bus: Bus;
    readonly report: (error: unknown) => void;
    readonly random?: () => number;
    readonly limits?: Partial<HubLimits>;
  }) {
    this.#clock = options.clock;
    this.#report = options.report;
    this.#random = options.random ?? Math.random;
    this.#limits = { ...HUB_LIMITS, ...options.limits };
    this.maxOutboxBytes = this.#limits.outboxBytes;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: this.#limits.inboundFrameBytes,
      WebSocket: HubSocket,
    });
    this.#leaveBus = options.bus.onInboxEvents((events) => {
      for (const event of events) this.deliver(event);
    });
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  now(): Millis {
    return this.#clock.now();
  }

  /** Whether there is room for one more; a connection that it would replace does not count. */
  admits(opening: Pick<Opening, "environmentId" | "ownerId" | "cid">): boolean {
    if (this.#connections.size >= this.#limits.connections) return false;
    if (opening.ownerId === null) return true;
    const owned = this.#groups.get(groupKey(opening.environmentId, opening.ownerId))?.owned;
    if (owned === undefined || owned.length < this.#limits.connectionsPerUser) return true;
    return opening.cid !== null && owned.some((other) => other.cid === opening.cid);
  }

  /**
   * Completes the handshake; the caller has asked `admits` in the same turn. The older connection of the same user and
   * cid is ended.
   * @returns null when the request is no proper WebSocket handshake; it has then been answered with 400.
   */
  accept<S, F>(
    request: IncomingMessage,
    transport: Duplex,
    head: Buffer,
    opening: Opening<S, F>,
  ): Connection<S, F> | null {
    let accepted: Connection<S, F> | null = null;
    this.#server.handleUpgrade(request, transport, head, (socket) => {
      accepted = new Connection(this, socket as HubSocket, transport, opening);
    });
    const connection = accepted as Connection<S, F> | null;
    if (connection === null) return null;
    this.#connections.add(connection as Connection);
    this.stats.connections = this.#connections.size;
    if (opening.ownerId !== null) this.#own(connection as Connection, opening.ownerId);
    this.#armSweep();
    this.opened.emit(connection as Connection);
    return connection;
  }

  /**
   * An anonymous connection has proven whose it is.
   * @returns false when that user has too many connections.
   */
  claim<S, F>(connection: Connection<S, F>, ownerId: string): boolean {
    if (connection.ownerId !== null) return true;
    if (!this.admits({ environmentId: connection.environmentId, ownerId, cid: connection.cid })) return false;
    this.#own(connection as Connection, ownerId);
    return true;
  }

  /**
   * From now on the connection hears of the user. Subscribing again under the same key replaces filter and origin and
   * never doubles a frame.
   * @returns false when the connection has too many subscriptions, or is gone.
   */
  subscribe<S, F>(
    connection: Connection<S, F>,
    wish: { readonly key: string; readonly userId: string; readonly filter: F; readonly origin: string | null },
  ): boolean {
    if (!this.#connections.has(connection as Connection)) return false;
    const others = connection.subscriptions.filter((one) => one.key !== wish.key);
    if (others.length >= this.#limits.subscriptionsPerConnection) return false;
    this.unsubscribe(connection, (one) => one.key === wish.key);
    const subscription: Subscription<S, F> = { connection, ...wish };
    connection.subscriptions = [...connection.subscriptions, subscription];
    this.#group(connection.environmentId, wish.userId).subscriptions.push(subscription as Subscription);
    this.stats.subscriptions++;
    this.subscribed.emit(subscription as Subscription);
    return true;
  }

  unsubscribe<S, F>(connection: Connection<S, F>, matches: (one: Subscription<S, F>) => boolean): void {
    const leaving = connection.subscriptions.filter(matches);
    if (leaving.length === 0) return;
    connection.subscriptions = connection.subscriptions.filter((one) => !leaving.includes(one));
    for (const one of leaving) {
      this.#leave(connection.environmentId, one.userId, (group) => remove(group.subscriptions, one as Subscription));
      this.stats.subscriptions--;
    }
  }

  /** Tells every subscription that wants to hear of it. Called for what comes over the bus. */
  deliver(event: InboxEvent): void {
    this.stats.eventsHeard++;
    const group = this.#groups.get(groupKey(event.environmentId, event.userId));
    if (group !== undefined && group.subscriptions.length > 0) {
      this.#eventNumber++;
      this.#frames.clear();
      // Sending may close a slow socket, but its subscriptions leave the group only with its close event, a turn later.
      for (const subscription of group.subscriptions) {
        try {
          this.#tell(subscription, event);
        } catch (error) {
          this.#report(error);
        }
      }
    }
    this.delivered.emit(event);
  }

  /** Part of `ConnectionHost`: a text frame came. */
  heard(connection: Connection, data: Buffer): void {
    if (!connection.admitFrame()) {
      this.stats.framesDropped++;
      return;
    }
    try {
      connection.dialect.received(connection, data.toString("utf8"));
    } catch (error) {
      this.#report(error);
      connection.close(1011, "internal error");
    }
  }

  /** Part of `ConnectionHost`: the socket is closed. */
  gone(connection: Connection, code: number): void {
    if (!this.#connections.delete(connection)) return;
    this.stats.connections = this.#connections.size;
    this.unsubscribe(connection, () => true);
    const { ownerId } = connection;
    if (ownerId !== null) this.#leave(connection.environmentId, ownerId, (group) => remove(group.owned, connection));
    this.closed.emit({ connection, code });
  }

  retryAfterSeconds(): number {
    return 1 + Math.floor(this.#random() * RETRY_SPREAD_SECONDS);
  }

  /**
   * Sends every client away so that it comes back: first the goodbye of its dialect, which it may follow in its own
   * time, then a close with 1012 and the seconds to wait. Resolves when all are gone; takes at most `goodbyeMs` and
   * `closeMs` together.
   */
  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    let asked = false;
    for (const connection of this.#connections) {
      const goodbye = connection.dialect.goodbye?.(this.retryAfterSeconds());
      if (goodbye === undefined) continue;
      connection.send(goodbye);
      asked = true;
    }
    if (asked) await this.#emptyWithin(this.#limits.goodbyeMs);
    for (const connection of this.#connections) connection.close(1012, retryReason(this.retryAfterSeconds()));
    await this.#emptyWithin(this.#limits.closeMs);
    for (const connection of this.#connections) connection.terminate();
    this.#leaveBus();
    this.#cancelSweep?.();
    this.#cancelSweep = null;
  }

  #tell(subscription: Subscription, event: InboxEvent): void {
    const { connection } = subscription;
    const { dialect } = connection;
    if (dialect.address === undefined && dialect.tell === undefined && connection.lastEvent === this.#eventNumber)
      return;
    if (event.kind !== "added" && event.origin !== null && event.origin === subscription.origin) return;
    if (!dialect.wants(event, subscription.filter)) return;
    if (dialect.tell !== undefined) {
      dialect.tell(event, subscription);
      return;
    }
    let frame = this.#frames.get(dialect);
    if (frame === undefined) {
      const text = dialect.encode?.(event) ?? null;
      frame = text === null ? null : { text, bytes: textFrame(text) };
      this.#frames.set(dialect, frame);
    }
    if (frame === null) return;
    connection.lastEvent = this.#eventNumber;
    connection.sendFrame(
      dialect.address === undefined ? frame.bytes : textFrame(dialect.address(frame.text, subscription)),
    );
  }

  #own(connection: Connection, ownerId: string): void {
    const { owned } = this.#group(connection.environmentId, ownerId);
    connection.ownerId = ownerId;
    const older = connection.cid === null ? undefined : owned.find((other) => other.cid === connection.cid);
    owned.push(connection);
    if (older !== undefined) {
      this.stats.replaced++;
      older.terminate();
      // The close event comes a turn later; until then it must neither count nor hear.
      this.gone(older, 1006);
    }
  }

  #group(environmentId: EnvironmentId, userId: string): Group {
    const key = groupKey(environmentId, userId);
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { owned: [], subscriptions: [] };
      this.#groups.set(key, group);
    }
    return group;
  }

  #leave(environmentId: EnvironmentId, userId: string, take: (group: Group) => void): void {
    const key = groupKey(environmentId, userId);
    const group = this.#groups.get(key);
    if (group === undefined) return;
    take(group);
    if (group.owned.length === 0 && group.subscriptions.length === 0) this.#groups.delete(key);
  }

  #armSweep(): void {
    if (this.#cancelSweep !== null) return;
    this.#cancelSweep = this.#clock.wakeAt(this.#clock.now() + this.#limits.sweepEveryMs, () => {
      this.#cancelSweep = null;
      this.#sweep();
      if (this.#connections.size > 0) this.#armSweep();
    });
  }

  /**
   * Silence is counted in pings, not in time: after a pause of this process itself (a suspended machine) every peer
   * would look silent for too long.
   */
  #sweep(): void {
    const now = this.#clock.now();
    const { pingEveryMs, anonymousMs } = this.#limits;
    for (const connection of this.#connections) {
      // Its closing handshake is under way; `ws` ends that after 30 s.
      if (!connection.open) continue;
      if (connection.expiresAt !== null && connection.expiresAt <= now) {
        this.stats.closedExpired++;
        connection.close(4401, "token expired");
      } else if (isNobodys(connection) && connection.openedAt + anonymousMs <= now) {
        connection.close(1008, "not authenticated");
      } else if (isSilent(connection, now)) {
        this.stats.closedSilent++;
        connection.close(1001, "silent for too long");
      } else if (connection.pingedAt + pingEveryMs <= now) {
        if (connection.unanswered < UNANSWERED_LIMIT) connection.ping(now);
        else {
          this.stats.closedSilent++;
          connection.terminate();
        }
      }
    }
  }

  #emptyWithin(limitMs: Millis): Promise<void> {
    return new Promise((resolve) => {
      if (this.#connections.size === 0) return resolve();
      const done = (): void => {
        callOff();
        stopListening();
        resolve();
      };
      const callOff = this.#clock.wakeAt(this.#clock.now() + limitMs, done);
      const stopListening = this.closed.on(() => {
        if (this.#connections.size === 0) done();
      });
    });
  }
}

function isNobodys({ ownerId, dialect }: Connection): boolean {
  return ownerId === null && dialect.customs?.anonymous !== true;
}

function isSilent({ dialect, heardAt }: Connection, now: Millis): boolean {
  return dialect.customs !== undefined && heardAt + dialect.customs.silentMs <= now;
}

/** Ids of environments have one length, so the joined text names one pair only. */
function groupKey(environmentId: EnvironmentId, userId: string): string {
  return environmentId + userId;
}

/** Order does not matter within a group, so the last one takes the place of the one that leaves. */
function remove<T>(list: T[], item: T): void {
  const at = list.indexOf(item);
  if (at < 0) return;
  const last = list.pop() as T;
  if (at < list.length) list[at] = last;
}
