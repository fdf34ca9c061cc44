/** What a user's pages hear: Courier's sockets of three kinds, and a Knock socket with three feeds on one channel. */
import assert from "node:assert/strict";
import { WebSocket } from "ws";
import { PUBLIC_KEY } from "../../support/server.ts";
import { keyIn, TENANT, type World } from "./world.ts";

// biome-ignore lint/suspicious/noExplicitAny: frames are looked at field by field
type Any = any;

/** How Knock's feeds are joined; their names with `MARK` in front stand in `attn`. */
export const FEEDS = {
  main: { archived: "exclude", mode: "compact" },
  archive: { archived: "only", mode: "compact" },
  tenant: { archived: "exclude", tenant: TENANT },
} as const;

/** So that the names are none of the options that a client of one feed would give. */
const MARK = "client_";

/** Of one socket, what has come and nobody has taken yet. */
class Heard {
  readonly socket: WebSocket;
  readonly #frames: Any[] = [];
  readonly #waiting = new Set<() => void>();

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data) => {
      this.#frames.push(JSON.parse(String(data)));
      for (const wake of this.#waiting) wake();
    });
  }

  static open(url: string): Promise<Heard> {
    const socket = new WebSocket(url);
    const heard = new Heard(socket);
    return new Promise((resolve, reject) => {
      socket.on("open", () => resolve(heard));
      socket.on("error", reject);
    });
  }

  send(frame: unknown): void {
    this.socket.send(JSON.stringify(frame));
  }

  /** Resolves when all that the server sent until now has come. */
  caughtUp(): Promise<void> {
    return new Promise((resolve) => {
      this.socket.once("pong", () => resolve());
      this.socket.ping();
    });
  }

  /** Resolves when so many frames that pass wait to be taken; rejects after a while. */
  async waitFor(count: number, passes: (frame: Any) => boolean = () => true): Promise<void> {
    const come = (): boolean => this.#frames.filter(passes).length >= count;
    if (come()) return;
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => {
        this.#waiting.delete(look);
        reject(new Error(`expected ${count} frames, got ${JSON.stringify(this.#frames)}`));
      }, 10_000);
      const look = (): void => {
        if (!come()) return;
        clearTimeout(late);
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
    });
  }

  take(): Any[] {
    return this.#frames.splice(0);
  }

  close(): void {
    this.socket.terminate();
  }
}

/**
 * A frame of Courier's in short: `message k1` for a new message, `read <messageId>` for a change of one, `archive-all` for
 * one of all.
 */
export type CourierLine = string;

/** A push of Knock's: of each feed that is named, total, unread and unseen. */
export type KnockPush = { readonly [feed in keyof typeof FEEDS]?: readonly [number, number, number] };

export class Listener {
  readonly user: string;
  /** The name that Courier's main socket goes by. */
  readonly source: string;
  readonly #main: Heard;
  readonly #tenant: Heard;
  readonly #legacy: Heard;
  readonly #knock: Heard;

  private constructor(user: string, source: string, sockets: readonly Heard[]) {
    this.user = user;
    this.source = source;
    [this.#main, this.#tenant, this.#legacy, this.#knock] = sockets as [Heard, Heard, Heard, Heard];
  }

  static async open(world: World, user: string): Promise<Listener> {
    const ws = world.url.replace("http", "ws");
    const token = await world.token(user);
    const source = `page-of-${user}`;
    const courier = (more: string): Promise<Heard> => Heard.open(`${ws}/ws?auth=${token}${more}`);
    const sockets = await Promise.all([
      courier(`&cid=${source}&iwpv=v1`),
      courier(`&cid=tenant-${source}&iwpv=v1`),
      courier(""),
      Heard.open(`${ws}/ws/v1/websocket?api_key=${encodeURIComponent(PUBLIC_KEY)}&vsn=2.0.0`),
    ]);
    const [main, tenant, legacy, knock] = sockets;
    const subscribe = { action: "subscribe", data: { channel: user, event: "*" } };
    main.send({ tid: "1", ...subscribe });
    tenant.send({ tid: "1", ...subscribe, data: { ...subscribe.data, accountId: TENANT } });
    legacy.send({ ...subscribe, data: { ...subscribe.data, version: 5 } });
    const joined = Object.fromEntries(Object.entries(FEEDS).map(([name, feed]) => [MARK + name, feed]));
    const topic = `feeds:${world.feedId}:${user}`;
    knock.send(["1", "1", topic, "phx_join", joined]);
    await Promise.all([main.waitFor(1), tenant.waitFor(1), legacy.caughtUp(), knock.waitFor(1)]);
    assert.equal(knock.take()[0][4].status, "ok");
    assert.deepEqual([main.take()[0].response, tenant.take()[0].response], ["ack", "ack"]);
    return new Listener(user, source, sockets);
  }

  /** Of Courier's sockets, what has come since the last time. */
  async courier(): Promise<{
    readonly main: readonly CourierLine[];
    readonly tenant: readonly CourierLine[];
    readonly legacy: readonly CourierLine[];
  }> {
    await Promise.all([this.#main.caughtUp(), this.#tenant.caughtUp(), this.#legacy.caughtUp()]);
    return {
      main: this.#main.take().map(lineOf),
      tenant: this.#tenant.take().map(lineOf),
      legacy: this.#legacy.take().map(lineOf),
    };
  }

  /**
   * Of Knock's socket, what has come since the last time. Pushes are a quarter of a second apart, by a clock that stands
   * still until the caller moves it.
   * @param count so many are waited for; there may be more.
   */
  async knock(count: number): Promise<readonly KnockPush[]> {
    await this.#knock.waitFor(count, isPush);
    await this.#knock.caughtUp();
    return this.#knock.take().flatMap((frame) => {
      if (!isPush(frame)) return [];
      const payload = frame[4];
      assert.equal(payload.event, "new-message");
      assert.deepEqual(Object.keys(payload.data), payload.attn);
      return [
        Object.fromEntries(
          payload.attn.map((feed: string) => {
            const { total_count, unread_count, unseen_count } = payload.data[feed].metadata;
            return [feed.slice(MARK.length), [total_count, unread_count, unseen_count]];
          }),
        ),
      ];
    });
  }

  /** Says that the page is there: one that stays silent for a minute is sent away. */
  async beat(): Promise<void> {
    this.#knock.send([null, "beat", "phoenix", "heartbeat", {}]);
    await this.#knock.caughtUp();
  }

  close(): void {
    for (const socket of [this.#main, this.#tenant, this.#legacy, this.#knock]) socket.close();
  }
}

function isPush(frame: Any): boolean {
  return frame[3] === "new-message";
}

function lineOf(frame: Any): CourierLine {
  if (frame.type === "message") {
    const message = frame.event === "message" ? frame.data : frame;
    assert.ok(frame.event === undefined || frame.messageId === message.messageId);
    return `message ${keyIn(`${message.title} ${message.preview}`)} ${message.messageId}`;
  }
  assert.equal(frame.type, "event", JSON.stringify(frame));
  return frame.messageId === undefined ? frame.event : `${frame.event} ${frame.messageId}`;
}
