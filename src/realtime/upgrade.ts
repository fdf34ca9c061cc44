/** The door for sockets: who may come in is decided while it still is HTTP, so that a refusal has a status. */
import type { IncomingMessage, Server } from "node:http";
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { Connection } from "./connection.ts";
import type { Hub, Opening } from "./hub.ts";

export type UpgradeAnswer =
  | {
      readonly kind: "welcome";
      readonly opening: Opening;
      /** Called in the turn in which the socket opens, before anything can be received. */
      readonly opened?: (connection: Connection) => void;
    }
  /** `body` is sent as JSON, in the words of the facade's vendor; null sends none. */
  | { readonly kind: "refused"; readonly status: number; readonly body: { readonly [key: string]: string } | null };

/** Checks a client's credential. What it throws is answered with 500 and reported. */
export type UpgradeHandler = (query: URLSearchParams, request: IncomingMessage) => Promise<UpgradeAnswer>;

const RETRY_AFTER = /^[1-9]\d*$/;

/**
 * Routes upgrade requests by path; unknown paths get 404, a full user 429, a full or stopping server 503.
 * Requests to upgrade to anything but WebSocket are served as ordinary HTTP.
 * @param handlers by exact path.
 * @returns a function that takes the door away again.
 */
export function attachUpgrades(
  server: Server,
  hub: Hub,
  handlers: ReadonlyMap<string, UpgradeHandler>,
  report: (error: unknown) => void,
): () => void {
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    // Node has no listener on a socket that was handed over; without one, a reset connection would end the process.
    socket.on("error", ignore);
    decide(hub, handlers, request, socket, head).catch((error: unknown) => {
      report(error);
      refuse(socket, 500, { message: "Internal error", type: "internal_error" });
    });
  };
  server.on("upgrade", onUpgrade);
  // Some HTTP clients offer `Upgrade: h2c` with every first request and expect to be ignored.
  Object.assign(server, {
    shouldUpgradeCallback: (request: IncomingMessage) => request.headers.upgrade?.toLowerCase() === "websocket",
  });
  return () => {
    server.off("upgrade", onUpgrade);
  };
}

async function decide(
  hub: Hub,
  handlers: ReadonlyMap<string, UpgradeHandler>,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const url = request.url ?? "/";
  const end = url.indexOf("?");
  const handler = handlers.get(end < 0 ? url : url.slice(0, end));
  if (handler === undefined) return refuse(socket, 404, { message: "No socket here", type: "not_found" });
  if (hub.stopping) return turnAway(hub, socket, 503, "The server is stopping");
  const answer = await handler(new URLSearchParams(end < 0 ? "" : url.slice(end + 1)), request);
  if (answer.kind === "refused") return refuse(socket, answer.status, answer.body);
  if (socket.destroyed) return;
  if (hub.stopping) return turnAway(hub, socket, 503, "The server is stopping");
  if (!hub.admits(answer.opening)) return turnAway(hub, socket, 429, "Too many sockets are open");
  socket.off("error", ignore);
  const connection = hub.accept(request, socket, head, answer.opening);
  if (connection !== null) answer.opened?.(connection);
}

function turnAway(hub: Hub, socket: Duplex, status: number, message: string): void {
  hub.stats.refused++;
  refuse(
    socket,
    status,
    { message, type: status === 429 ? "rate_limited" : "internal_error" },
    hub.retryAfterSeconds(),
  );
}

/** A whole HTTP answer, after which the connection is closed. */
function refuse(
  socket: Duplex,
  status: number,
  body: { readonly [key: string]: string } | null,
  retryAfterSeconds?: number,
): void {
  if (!socket.writable) return;
  const text = body === null ? "" : JSON.stringify(body);
  const retryAfter = String(retryAfterSeconds ?? "");
  socket.once("finish", () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n` +
      `Connection: close\r\n${body === null ? "" : "Content-Type: application/json\r\n"}` +
      `Content-Length: ${Buffer.byteLength(text)}\r\n` +
      `${RETRY_AFTER.test(retryAfter) ? `Retry-After: ${retryAfter}\r\n` : ""}\r\n${text}`,
  );
}

function ignore(): void {}
