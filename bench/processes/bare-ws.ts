/** `ws` alone: a server that sends the same bytes to every socket, as often as it is told. */
import { type WebSocket, WebSocketServer } from "ws";

const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
const sockets = new Set<WebSocket>();
server.on("connection", (socket) => {
  sockets.add(socket);
  socket.on("error", () => {});
  socket.on("message", () => socket.send('{"tid":"b","response":"ack"}'));
});

process.on("message", async (ask: { kind: "start" } | { kind: "send"; times: number; text: string }) => {
  if (ask.kind === "start") {
    const { port } = server.address() as { port: number };
    process.send?.({ url: `ws://127.0.0.1:${port}` });
    return;
  }
  const at = Date.now();
  for (let i = 0; i < ask.times; i++) {
    // What a server that serves several users has to do as well: put the frame together anew for each event.
    const bytes = Buffer.from(`${ask.text.slice(0, -1)},"n":${i}}`);
    for (const socket of sockets) socket.send(bytes, { binary: false });
    await new Promise((turn) => setImmediate(turn));
  }
  process.send?.({ at });
});
