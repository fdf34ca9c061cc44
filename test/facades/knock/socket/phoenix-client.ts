/** A bare socket that speaks Phoenix frames, and what a page does before it loads the vendor's SDK. */
import { WebSocket } from "ws";
import type { KnockTarget } from "../knock-target.ts";

/** `[join_ref, ref, topic, event, payload]`. */
// biome-ignore lint/suspicious/noExplicitAny: tests look at payloads field by field
export type Frame = readonly [string | null, string | null, string, string, any];

export interface PhoenixClient {
  /** In the order in which they came. */
  readonly frames: Frame[];
  readonly socket: WebSocket;
  readonly closed: Promise<{ readonly code: number }>;
  send(...frame: unknown[]): void;
  /** The first frame that passes, come or to come. */
  first(passes: (frame: Frame) => boolean): Promise<Frame>;
  /** The answer to what was sent under this ref. */
  reply(ref: string): Promise<Frame>;
  /** Joins under a ref of its own. @returns the answer. */
  join(topic: string, payload: object, ref: string): Promise<Frame>;
  /** Payloads of the pushes that have come. */
  pushes(topic?: string): readonly Frame[4][];
  /** Resolves when all that the server sent before has come. */
  caughtUp(): Promise<void>;
  close(): void;
}

let heartbeats = 0;

/** Rejects with `status` and `body` when the upgrade is refused. */
export function openPhoenix(target: Pick<KnockTarget, "url">, query: string): Promise<PhoenixClient> {
  const socket = new WebSocket(`${target.url.replace("http", "ws")}/ws/v1/websocket?${query}`);
  const frames: Frame[] = [];
  const waiting = new Set<{ readonly passes: (frame: Frame) => boolean; readonly resolve: (frame: Frame) => void }>();
  socket.on("message", (data) => {
    const frame = JSON.parse(String(data)) as Frame;
    frames.push(frame);
    for (const one of waiting) if (one.passes(frame) && waiting.delete(one)) one.resolve(frame);
  });
  const closed = new Promise<{ code: number }>((resolve) => socket.on("close", (code) => resolve({ code })));
  const first: PhoenixClient["first"] = (passes) => {
    const found = frames.find(passes);
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((resolve) => waiting.add({ passes, resolve }));
  };
  const send: PhoenixClient["send"] = (...frame) => socket.send(JSON.stringify(frame));
  const reply: PhoenixClient["reply"] = (ref) => first((frame) => frame[1] === ref && frame[3] === "phx_reply");
  const client: PhoenixClient = {
    frames,
    socket,
    closed,
    send,
    first,
    reply,
    join: (topic, payload, ref) => {
      send(ref, ref, topic, "phx_join", payload);
      return reply(ref);
    },
    pushes: (topic) =>
      frames
        .filter(([, , of, event]) => event === "new-message" && (topic === undefined || of === topic))
        .map(([, , , , payload]) => payload),
    caughtUp: async () => {
      const ref = `beat-${heartbeats++}`;
      send(null, ref, "phoenix", "heartbeat", {});
      await reply(ref);
    },
    close: () => socket.terminate(),
  };
  return new Promise((resolve, reject) => {
    socket.on("open", () => resolve(client));
    socket.on("error", reject);
    socket.on("unexpected-response", (_request, response) => {
      let body = "";
      response.on("data", (part) => {
        body += String(part);
      });
      response.on("end", () => reject(Object.assign(new Error("refused"), { status: response.statusCode, body })));
    });
  });
}

/** As the vendor's client asks: what it has nothing to say about leaves an empty pair behind. */
export function connect(target: KnockTarget, userToken = ""): Promise<PhoenixClient> {
  const token = userToken === "" ? "" : `user_token=${userToken}`;
  return openPhoenix(target, `${token}&api_key=${encodeURIComponent(target.publicKey)}&&vsn=2.0.0`);
}

export function topicOf(target: KnockTarget, userId: string): string {
  return `feeds:${target.feedId}:${userId}`;
}

/** Lets the quarter of a second pass that lies between pushes. @returns all pushes, once there are so many. */
export async function pushed(target: KnockTarget, client: PhoenixClient, count: number): Promise<readonly Frame[4][]> {
  target.clock.advance(250);
  await client.first(() => client.pushes().length >= count);
  return client.pushes();
}
