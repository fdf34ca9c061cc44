/**
 * One open socket. There may be tens of thousands, so a connection owns no timer, no closure and no map: handlers are
 * shared functions that find it through its WebSocket, and the hub sweeps all connections on one timer.
 */
import type { Duplex } from "node:stream";
import { WebSocket } from "ws";
import type { EnvironmentId } from "../engine/model.ts";
import type { InboxEvent } from "../engine/ports.ts";
import type { Millis } from "../lib/clock.ts";

/**
 * How one kind of client is spoken to. A facade writes one object per kind, shared by all its connections.
 * `Session` is what the facade remembers of a connection, `Filter` what a subscription narrows itself to.
 */
export interface Dialect<Session = unknown, Filter = unknown> {
  readonly name: string;
  /**
   * The frame that tells of an event; null when clients of this kind are not told. Called once per event. Absent in a
   * dialect that has `tell`.
   */
  encode?(event: InboxEvent): string | null;
  /**
   * In place of `encode`, for clients that are told what an event alone does not say, such as how many are unread now:
   * the hub only hands over which subscription wants to hear of which event, and the dialect sends by itself, when it
   * has looked that up. By then the subscription may be gone.
   */
  tell?(event: InboxEvent, subscription: Subscription<Session, Filter>): void;
  /** Whether a subscription with this filter is to hear of the event. */
  wants(event: InboxEvent, filter: Filter): boolean;
  /**
   * When present, every matching subscription gets a frame of its own, made from the shared one; otherwise a
   * connection gets one frame per event, however many of its subscriptions match.
   */
  address?(frame: string, subscription: Subscription<Session, Filter>): string;
  /** A text frame came from the client. */
  received(connection: Connection<Session, Filter>, text: string): void;
  /** Frame that tells a client to leave and come back; absent when it only understands closing. */
  goodbye?(retryAfterSeconds: number): string;
  /** What is particular about connections of this kind; absent: nothing. */
  readonly customs?: Customs;
}

export interface Customs {
  /** A client that has sent no frame for so long is closed; pings do not count. */
  readonly silentMs: Millis;
  /** How many frames may come at once, in place of the usual number. */
  readonly framesAtOnce: number;
  /** Whether a connection may stay without saying whose it is. */
  readonly anonymous: boolean;
}

/** A wish to hear of one user's inbox. A connection has each `key` once. */
export interface Subscription<Session = unknown, Filter = unknown> {
  readonly connection: Connection<Session, Filter>;
  readonly key: string;
  readonly userId: string;
  readonly filter: Filter;
  /** Changes made by the client of this name are not told here. */
  readonly origin: string | null;
}

/** Counts every frame handed to a socket and every socket closed for reading too slowly; shared by all connections. */
export interface OutboxCounters {
  framesSent: number;
  closedSlow: number;
}

/** What all connections of a hub have in common. */
export interface ConnectionHost {
  readonly maxOutboxBytes: number;
  readonly stats: OutboxCounters;
  now(): Millis;
  /** Seconds to stay away, different for each, so that not all come back at once. At least 1. */
  retryAfterSeconds(): number;
  heard(connection: Connection, data: Buffer): void;
  gone(connection: Connection, code: number): void;
}

/** Inbound frames per second that are let through for ever, and how many may come at once. */
const FRAMES_PER_SECOND = 20;
const FRAMES_AT_ONCE = 40;

/** An unmasked protocol ping without a body. */
const PING = Buffer.from([0x89, 0x00]);

export class Connection<Session = unknown, Filter = unknown> {
  readonly dialect: Dialect<Session, Filter>;
  readonly environmentId: EnvironmentId;
  readonly session: Session;
  /** The client's own name for this connection; a new one of the same user and name replaces it. */
  readonly cid: string | null;
  readonly openedAt: Millis;
  /** Whose limit it counts against; null until the client has said who it is. */
  ownerId: string | null;
  /** When the credential ends; null for never. */
  expiresAt: Millis | null;
  /** Few: a list is smaller and faster than a map. */
  subscriptions: readonly Subscription<Session, Filter>[] = [];
  /** Number of the last event that got a frame; see `Hub.deliver`. */
  lastEvent = 0;
  /** Pings since the client was last heard. */
  unanswered = 0;
  pingedAt: Millis;
  readonly #host: ConnectionHost;
  readonly #socket: HubSocket;
  readonly #transport: Duplex;
  #allowance: number;
  #allowanceAt: Millis;

  constructor(
    host: ConnectionHost,
    socket: HubSocket,
    transport: Duplex,
    opening: {
      readonly dialect: Dialect<Session, Filter>;
      readonly environmentId: EnvironmentId;
      readonly session: Session;
      readonly cid: string | null;
      readonly ownerId: string | null;
      readonly expiresAt: Millis | null;
    },
  ) {
    this.#host = host;
    this.#socket = socket;
    this.#transport = transport;
    this.dialect = opening.dialect;
    this.environmentId = opening.environmentId;
    this.session = opening.session;
    this.cid = opening.cid;
    this.ownerId = opening.ownerId;
    this.expiresAt = opening.expiresAt;
    this.openedAt = host.now();
    this.pingedAt = this.openedAt;
    this.#allowance = opening.dialect.customs?.framesAtOnce ?? FRAMES_AT_ONCE;
    this.#allowanceAt = this.openedAt;
    socket.connection = this;
    socket.on("message", onMessage);
    socket.on("ping", onSignOfLife);
    socket.on("pong", onSignOfLife);
    socket.on("close", onClose);
    socket.on("error", onError);
  }

  get open(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** When its last frame came; when it opened, until there was one. */
  get heardAt(): Millis {
    return this.#allowanceAt;
  }

  /** Sends one text frame; drops it when the socket is closing. A client that reads too slowly is closed with 1013. */
  send(text: string): void {
    this.sendFrame(textFrame(text));
  }

  /**
   * Sends a frame made by `textFrame`. The bytes are shared between sockets and written past `ws`, whose own `send`
   * makes a header and two writes per socket. That is sound because nothing waits inside `ws`: compression is off.
   */
  sendFrame(frame: Buffer): void {
    if (!this.open) return;
    if (this.#transport.writableLength > this.#host.maxOutboxBytes) {
      this.#host.stats.closedSlow++;
      this.close(1013, retryReason(this.#host.retryAfterSeconds()));
      return;
    }
    this.#transport.write(frame);
    this.#host.stats.framesSent++;
  }

  ping(now: Millis): void {
    if (!this.open) return;
    this.pingedAt = now;
    this.unanswered++;
    this.#transport.write(PING);
  }

  /** Closes with a code and a reason of at most 123 bytes. Never 1000: clients take that for a farewell for good. */
  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  /** Ends it without a closing handshake. */
  terminate(): void {
    this.#socket.terminate();
  }

  /** @returns false when the client sends more than it may; the frame is then to be dropped. */
  admitFrame(): boolean {
    const now = this.#host.now();
    const earned = ((now - this.#allowanceAt) / 1000) * FRAMES_PER_SECOND;
    const most = this.dialect.customs?.framesAtOnce ?? FRAMES_AT_ONCE;
    this.#allowance = Math.min(most, this.#allowance + Math.max(0, earned));
    this.#allowanceAt = now;
    if (this.#allowance < 1) return false;
    this.#allowance--;
    return true;
  }

  heard(data: Buffer): void {
    this.unanswered = 0;
    this.#host.heard(this as Connection, data);
  }

  gone(code: number): void {
    this.#host.gone(this as Connection, code);
  }
}

/** The WebSocket class that the hub's server makes: it knows its connection, so that handlers can be shared. */
export class HubSocket extends WebSocket {
  connection: { heard(data: Buffer): void; gone(code: number): void; unanswered: number } | null = null;
}

function onMessage(this: WebSocket, data: unknown, isBinary: boolean): void {
  // With the default `binaryType` a message is one Buffer. Binary frames are no part of any dialect.
  if (!isBinary) (this as HubSocket).connection?.heard(data as Buffer);
}

function onSignOfLife(this: WebSocket): void {
  const { connection } = this as HubSocket;
  if (connection !== null) connection.unanswered = 0;
}

function onClose(this: WebSocket, code: number): void {
  (this as HubSocket).connection?.gone(code);
}

/** `ws` closes the socket after every error; the close is what is counted. */
function onError(): void {}

/** Reason of a close after which the client comes back; understood by Courier's clients. */
export function retryReason(seconds: number): string {
  return `{"Retry-After":"${seconds}"}`;
}

/** A whole server-to-client text frame (RFC 6455 §5.2). Lone surrogates become U+FFFD, so it is always valid UTF-8. */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const start = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(start + length);
  frame[0] = 0x81;
  if (start === 2) frame[1] = length;
  else if (start === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeUInt32BE(0, 2);
    frame.writeUInt32BE(length, 6);
  }
  frame.write(text, start, "utf8");
  return frame;
}
