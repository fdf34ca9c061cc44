/**
 * One Phoenix socket for each of many users, and when each of them heard of something. Messages: `open`, `arrivals`.
 * Times are on the clock that all processes of the machine share, in milliseconds.
 */
import { WebSocket } from "ws";

type Ask =
  | { readonly kind: "open"; readonly url: string; readonly feedId: string; readonly users: readonly string[] }
  /** Answered with what came since the last time. */
  | { readonly kind: "arrivals" };

const PUSH = Buffer.from('"new-message"');
const AT_ONCE = 50;
/** A server closes a socket that says nothing for a minute. */
const HEARTBEAT_MS = 25_000;
const sockets: WebSocket[] = [];
let arrivals: [number, number][] = [];

async function open(url: string, topic: string, user: number): Promise<void> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await new Promise((ready, failed) => {
    socket.once("open", ready);
    socket.once("error", failed);
  });
  const joined = new Promise((done) => socket.once("message", done));
  socket.send(JSON.stringify(["7", "7", topic, "phx_join", { client_0: { archived: "exclude", mode: "compact" } }]));
  await joined;
  sockets.push(socket);
  socket.on("message", (data: Buffer) => {
    if (data.includes(PUSH)) arrivals.push([user, Number(process.hrtime.bigint()) / 1e6]);
  });
}

setInterval(() => {
  for (const socket of sockets) socket.send(JSON.stringify([null, "9", "phoenix", "heartbeat", {}]));
}, HEARTBEAT_MS);

process.on("message", async (ask: Ask) => {
  if (ask.kind === "open") {
    const { url, feedId, users } = ask;
    for (let at = 0; at < users.length; at += AT_ONCE) {
      const some = users.slice(at, at + AT_ONCE);
      await Promise.all(some.map((user, i) => open(url, `feeds:${feedId}:${user}`, at + i)));
    }
    process.send?.({ opened: users.length });
    return;
  }
  const came = arrivals;
  arrivals = [];
  process.send?.({ arrivals: came });
});
