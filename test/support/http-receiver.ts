/** A web server of somebody else's: keeps what it got, and answers or misbehaves as told. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface ReceivedRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** Names and values in turn, as they stood on the wire. */
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  readonly text: string;
  json(): unknown;
}

export type HttpReply =
  | {
      readonly status?: number;
      readonly headers?: { readonly [name: string]: string };
      readonly body?: string | Buffer;
      /** Waits before the status line. */
      readonly delayMs?: number;
      /** `in-body`: everything but the end of the body is sent, and then nothing ever again. */
      readonly stall?: "in-body";
    }
  /** Never answers. */
  | "hang"
  /** Cuts the connection instead of an answer. */
  | "drop"
  | ((request: ReceivedRequest, response: ServerResponse) => void);

export interface HttpReceiver {
  /** `http://127.0.0.1:<port>`, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  readonly requests: readonly ReceivedRequest[];
  /** Connections accepted so far. */
  readonly connections: number;
  /** Each reply is used once, in order; the last one stays. Begins with a 200. */
  answer(...replies: [HttpReply, ...HttpReply[]]): void;
  /** Resolves with the first `n` requests once they have come whole; rejects after `withinMs`. */
  received(n: number, withinMs?: number): Promise<readonly ReceivedRequest[]>;
  close(): Promise<void>;
}

export async function httpReceiver(): Promise<HttpReceiver> {
  const requests: ReceivedRequest[] = [];
  const waiters = new Set<() => void>();
  let replies: HttpReply[] = [{ status: 200 }];
  let connections = 0;

  const server = createServer((incoming, response) => {
    collect(incoming).then(
      (request) => {
        requests.push(request);
        const reply = (replies.length > 1 ? replies.shift() : replies[0]) as HttpReply;
        respond(reply, request, response);
        for (const look of [...waiters]) look();
      },
      // The sender gave up in the middle; there is nothing to keep.
      () => response.destroy(),
    );
  });
  server.on("connection", () => {
    connections++;
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    get connections() {
      return connections;
    },
    answer(...next) {
      replies = next;
    },
    received(n, withinMs = 10_000) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiters.delete(look);
          reject(new Error(`expected ${n} requests within ${withinMs} ms, got ${requests.length}`));
        }, withinMs);
        const look = (): void => {
          if (requests.length < n) return;
          clearTimeout(timer);
          waiters.delete(look);
          resolve(requests.slice(0, n));
        };
        waiters.add(look);
        look();
      });
    },
    close() {
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

async function collect(incoming: IncomingMessage): Promise<ReceivedRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  return {
    method: incoming.method ?? "",
    url: incoming.url ?? "",
    headers: incoming.headers,
    rawHeaders: incoming.rawHeaders,
    body,
    text: body.toString(),
    json: () => JSON.parse(body.toString()) as unknown,
  };
}

function respond(reply: HttpReply, request: ReceivedRequest, response: ServerResponse): void {
  if (reply === "hang") return;
  if (reply === "drop") {
    response.destroy();
    return;
  }
  if (typeof reply === "function") {
    reply(request, response);
    return;
  }
  const send = (): void => {
    response.writeHead(reply.status ?? 200, reply.headers);
    if (reply.stall === undefined) response.end(reply.body);
    else {
      response.flushHeaders();
      response.write(reply.body ?? ".");
    }
  };
  if (reply.delayMs === undefined) send();
  else setTimeout(send, reply.delayMs);
}
