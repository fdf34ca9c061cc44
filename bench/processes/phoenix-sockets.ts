/**
 * Opens many sockets, joins a Phoenix topic on each and counts the pushes that arrive. Messages: `open`, `count`.
 * Answers to `count` say how long it took from the first of the frames to the last.
 */
import { WebSocket } from "ws";

type Ask =
  | {
      readonly kind: "open";
      readonly url: string;
      readonly sockets: number;
      /** Null: the other side does not speak Phoenix, and every frame counts. */
      readonly topic: string | null;
    }
  | { readonly kind: "count"; readonly frames: number };

/** A server closes a socket that says nothing for a minute. */
const HEARTBEAT_MS = 25_000;
const HEARTBEAT = JSON.stringify([null, "9", "phoenix", "heartbeat", {}]);
const PUSH = Buffer.from('"new-message"');

const sockets: WebSocket[] = [];
let received = 0;
let firstAt = 0;
let awaited: { readonly frames: number; readonly done: () => void } | null = null;

function onFrame(data: Buffer, phoenix: boolean): void {
  // Replies to joins and heartbeats are no pushes.
  if (phoenix && !data.includes(PUSH)) return;
  if (received === 0) firstAt = performance.now();
  received++;
  if (awaited !== null && received >= awaited.frames) awaited.done();
}

async function open(url: string, topic: string | null): Promise<void> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await new Promise((ready, failed) => {
    socket.once("open", ready);
    socket.once("error", failed);
  });
  if (topic !== null) {
    const joined = new Promise((done) => socket.once("message", done));
    const client = `client_${String(sockets.length).padStart(4, "0")}`;
    socket.send(JSON.stringify(["7", "7", topic, "phx_join", { [client]: { archived: "exclude", mode: "compact" } }]));
    await joined;
    sockets.push(socket);
  }
  socket.on("message", (data: Buffer) => onFrame(data, topic !== null));
}

setInterval(() => {
  for (const socket of sockets) socket.send(HEARTBEAT);
}, HEARTBEAT_MS);

process.on("message", async (ask: Ask) => {
  if (ask.kind === "open") {
    for (let opened = 0; opened < ask.sockets; opened += 100) {
      const some = Math.min(100, ask.sockets - opened);
      await Promise.all(Array.from({ length: some }, () => open(ask.url, ask.topic)));
    }
    process.send?.({ opened: ask.sockets });
    return;
  }
  await new Promise<void>((done) => {
    awaited = { frames: ask.frames, done };
    if (received >= ask.frames) done();
  });
  const tookMs = performance.now() - firstAt;
  received = 0;
  awaited = null;
  process.send?.({ tookMs });
});
