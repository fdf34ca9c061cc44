/** The process behind receiver-farm.ts: one HTTP server that behaves as the first part of the path says. */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Behaviour, FarmAnswer, FarmQuestion, Hit } from "./receiver-farm.ts";

let log: Hit[] = [];
let hanging = 0;
/** Requests so far by endpoint and message. */
const seen = new Map<string, number>();

const server = createServer((request, response) => {
  const [, behaviour = "ok", endpoint = ""] = (request.url ?? "").split("/");
  const hash = createHash("sha256");
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => {
    hash.update(chunk);
    chunks.push(chunk);
  });
  request.on("end", () => {
    const messageId = header(request, "webhook-id");
    const pair = `${endpoint} ${messageId}`;
    const nth = (seen.get(pair) ?? 0) + 1;
    seen.set(pair, nth);
    // Before the answer: whoever gets it may be quicker than we are.
    const at = Date.now();
    const status = behave(behaviour as Behaviour, nth, request, response);
    log.push({
      endpoint,
      messageId,
      status,
      at,
      seconds: Number(header(request, "webhook-timestamp")),
      signature: header(request, "webhook-signature"),
      sameHeaders: ["id", "timestamp", "signature"].every(
        (name) => header(request, `webhook-${name}`) === header(request, `svix-${name}`),
      ),
      body: Buffer.concat(chunks).toString(),
      hash: hash.digest("hex"),
    });
  });
});

/** @returns the status that the sender gets to see; 0 for none. */
function behave(behaviour: Behaviour, nth: number, request: IncomingMessage, response: ServerResponse): number {
  const { socket } = request;
  const answer = (status: number, headers: { [name: string]: string } = {}): number => {
    response.writeHead(status, headers).end("noted");
    return status;
  };
  switch (behaviour) {
    case "ok":
      return answer(200);
    case "slowly":
      setTimeout(() => answer(200), 40);
      return 200;
    case "error":
      return answer(500);
    case "gone":
      return answer(410);
    case "redirect":
      return answer(307, { location: "/redirected/target" });
    case "heals":
      return answer(nth <= 2 ? 500 : 204);
    case "later":
      return answer(nth === 1 ? 503 : 200, nth === 1 ? { "retry-after": "8" } : {});
    case "refuses":
      return answer(500, { "webhook-delivery": "abort-message" });
    case "closes":
      socket.destroy();
      return 0;
    case "resets":
      socket.resetAndDestroy();
      return 0;
    case "garbage":
      socket.end("SSH-2.0-OpenSSH_9.6\r\n");
      return 0;
    case "hangs":
      hold(request, () => {});
      return 0;
    case "drips":
    case "drips-error": {
      const status = behaviour === "drips" ? 200 : 500;
      response.writeHead(status);
      hold(request, () => response.write("."));
      return status;
    }
    case "drips-head":
      socket.write("HTTP/1.1 200 OK\r\nx-slow: ");
      hold(request, () => socket.write("z"));
      return 0;
    default:
      return answer(404);
  }
}

/** Keeps the connection until the sender gives up. */
function hold({ socket }: IncomingMessage, drip: () => void): void {
  hanging++;
  drip();
  const dripping = setInterval(drip, 200);
  socket.once("close", () => {
    hanging--;
    clearInterval(dripping);
  });
}

function header(request: IncomingMessage, name: string): string {
  return String(request.headers[name] ?? "");
}

function send(answer: FarmAnswer): void {
  process.send?.(answer);
}

process.on("message", ({ ask, turn }: FarmQuestion) => {
  if (ask === "hanging") send({ turn, hanging, hits: log.length });
  else {
    const hits = log;
    log = [];
    send({ turn, log: hits });
  }
});
process.on("disconnect", () => process.exit());
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => send({ turn: 0, port: (server.address() as AddressInfo).port }));
