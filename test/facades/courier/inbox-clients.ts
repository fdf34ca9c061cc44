/** Clients of the inbox: the web SDK as it is, a bare socket for older ones, and GraphQL by hand. */
import { createRequire } from "node:module";
import type * as CourierJs from "@trycourier/courier-js";
import { WebSocket } from "ws";
import type { TestTarget } from "./inbox-scenarios.ts";

/** Its CommonJS build hides its names from `import`. */
const { CourierClient } = createRequire(import.meta.url)("@trycourier/courier-js") as typeof CourierJs;
type CourierClient = CourierJs.CourierClient;

export type Frame = Record<string, unknown> & {
  readonly event?: string;
  readonly messageId?: string;
  readonly response?: string;
};

/** What a page does before it loads the SDK: it has timers on `window`. */
export function pretendToBeABrowser(): void {
  Object.assign(globalThis, { window: globalThis });
}

/** A message as frames and lists carry it. */
export interface WireMessage {
  readonly messageId: string;
  readonly created: string;
  readonly preview: string;
  readonly tags: readonly string[];
  readonly trackingIds: { readonly [name: string]: string };
  readonly data: { readonly [key: string]: unknown };
}

/** Frames as they came, and a way to wait for one. */
export class Frames {
  readonly all: Frame[] = [];
  readonly #waiting = new Set<{ test: (frame: Frame) => boolean; resolve: (frame: Frame) => void }>();

  push(frame: Frame): void {
    this.all.push(frame);
    for (const one of this.#waiting) {
      if (!one.test(frame)) continue;
      this.#waiting.delete(one);
      one.resolve(frame);
    }
  }

  /** The first frame that passes, come or to come. */
  first(test: (frame: Frame) => boolean): Promise<Frame> {
    const found = this.all.find(test);
    return found === undefined
      ? new Promise((resolve) => this.#waiting.add({ test, resolve }))
      : Promise.resolve(found);
  }

  /** Names of the events heard, those about other messages left out. */
  events(messageId?: string): (string | undefined)[] {
    return this.all
      .filter((frame) => frame.event !== undefined && (messageId === undefined || frame.messageId === messageId))
      .map((frame) => frame.event);
  }
}

export const ALL_SCOPES = "inbox:read:messages inbox:write:events read:preferences write:preferences read:brands";

/** One browser tab: the web SDK with a socket of its own. */
export interface Tab {
  readonly client: CourierClient;
  readonly frames: Frames;
  close(): void;
}

export async function sdkClient(
  target: TestTarget,
  userId: string,
  more: { readonly tenantId?: string; readonly scope?: string } = {},
): Promise<CourierClient> {
  const jwt = await target.token(`user_id:${userId} ${more.scope ?? ALL_SCOPES}`);
  const socket = target.url.replace(/^http/, "ws");
  return new CourierClient({
    userId,
    jwt,
    ...(more.tenantId === undefined ? {} : { tenantId: more.tenantId }),
    apiUrls: {
      courier: { rest: target.url, graphql: `${target.url}/client/q` },
      inbox: { graphql: `${target.url}/q`, webSocket: `${socket}/ws` },
    },
  });
}

/** Resolves when the tab's subscription is acknowledged. */
export async function openTab(
  target: TestTarget,
  userId: string,
  more: { readonly tenantId?: string; readonly scope?: string } = {},
): Promise<Tab> {
  const client = await sdkClient(target, userId, more);
  const frames = new Frames();
  const { socket } = client.inbox;
  // Every frame, also those that the SDK keeps to itself.
  const heard = socket.onMessageReceived.bind(socket);
  socket.onMessageReceived = (frame) => {
    const done = heard(frame);
    frames.push(frame as unknown as Frame);
    return done;
  };
  await socket.connect();
  await frames.first((frame) => frame.response === "ack" || frame.response === "error");
  return { client, frames, close: () => socket.close() };
}

/** A bare socket. */
export interface Wire {
  readonly socket: WebSocket;
  readonly frames: Frames;
  readonly closed: Promise<{ code: number; reason: string }>;
  send(frame: unknown): void;
}

/** Rejects with the status when the upgrade is refused. */
export function openWire(target: TestTarget, pathAndQuery: string): Promise<Wire> {
  const socket = new WebSocket(target.url.replace(/^http/, "ws") + pathAndQuery);
  const frames = new Frames();
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on("close", (code, reason) => resolve({ code, reason: String(reason) }));
  });
  socket.on("message", (data) => frames.push(JSON.parse(String(data)) as Frame));
  return new Promise((resolve, reject) => {
    socket.on("open", () => {
      resolve({
        socket,
        frames,
        closed,
        send: (frame) => socket.send(typeof frame === "string" ? frame : JSON.stringify(frame)),
      });
    });
    socket.on("unexpected-response", (request, response) => {
      request.destroy();
      reject(Object.assign(new Error(`refused with ${response.statusCode}`), { status: response.statusCode }));
    });
    socket.on("error", reject);
  });
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: {
    // Shapes differ by query; a wrong one fails the assertion that looks at it.
    // biome-ignore lint/suspicious/noExplicitAny: see above
    readonly data: any;
    readonly errors?: readonly { readonly message: string }[];
    readonly message?: string;
    readonly type?: string;
  };
}

/** @param credential goes into `Authorization` as it is, `Bearer` included; null for none. */
export async function graphql(
  target: TestTarget,
  credential: string | null,
  query: string,
  more: { readonly headers?: Record<string, string>; readonly body?: Record<string, unknown>; path?: string } = {},
): Promise<Answer> {
  const response = await fetch(target.url + (more.path ?? "/q"), {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(credential === null ? {} : { authorization: credential }),
      ...more.headers,
    },
    body: JSON.stringify({ query, ...more.body }),
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Answer["body"] };
}
