/** Opens many sockets and counts what arrives. Messages: `open`, `count`. */
import { WebSocket } from "ws";

interface Ask {
  readonly kind: "open" | "count";
  readonly url?: string;
  readonly sockets?: number;
  /** Sent by each socket once it is open. */
  readonly hello?: string;
  /** Frames to wait for, over all sockets. */
  readonly frames?: number;
}

let received = 0;
let awaited: { readonly frames: number; readonly done: () => void } | null = null;

function onFrame(): void {
  received++;
  if (awaited !== null && received >= awaited.frames) awaited.done();
}

async function open(url: string, hello: string | undefined): Promise<void> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await new Promise((ready, failed) => {
    socket.once("open", ready);
    socket.once("error", failed);
  });
  if (hello !== undefined) {
    const answered = new Promise((done) => socket.once("message", done));
    socket.send(hello);
    await answered;
  }
  socket.on("message", onFrame);
}

process.on("message", async (ask: Ask) => {
  if (ask.kind === "open") {
    const total = ask.sockets as number;
    for (let opened = 0; opened < total; opened += 100) {
      await Promise.all(
        Array.from({ length: Math.min(100, total - opened) }, () => open(ask.url as string, ask.hello)),
      );
    }
    process.send?.({ opened: total });
    return;
  }
  await new Promise<void>((done) => {
    awaited = { frames: ask.frames as number, done };
    if (received >= awaited.frames) done();
  });
  received = 0;
  awaited = null;
  process.send?.({ at: Date.now() });
});
