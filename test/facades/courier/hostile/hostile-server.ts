/** A whole server to be mistreated, the list of everything it answers to, and the promise that each answer must keep. */
import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { connect } from "node:net";
import type { FastifyInstance } from "fastify";
import type { App } from "../../../../src/app.ts";
import type { Dialect } from "../../../../src/storage/database.ts";
import { newPlace } from "../../../conformance/databases.ts";
import { SECRET_KEY, startServer } from "../../../support/server.ts";

export interface Route {
  readonly method: string;
  /** As registered, with `:names` for its parameters. */
  readonly url: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface CallOptions {
  /** Sent as it is; anything but text and bytes is written as JSON. */
  readonly body?: unknown;
  /** Null leaves a header out that would be sent otherwise. */
  readonly headers?: { readonly [name: string]: string | null };
}

export interface HostileServer {
  readonly app: App;
  readonly url: string;
  /** What Courier's facade registered, HEAD and OPTIONS left out. */
  readonly routes: readonly Route[];
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /**
   * As `call`, and sees to it that the answer is one that a caller may be given: see `assertDecent`.
   * @param what names the input when the assertion fails.
   */
  decent(method: string, path: string, options?: CallOptions, what?: string): Promise<Answer>;
  /** Writes these very bytes to a new connection. @returns all that came until the server closed it, at most 10 s. */
  raw(bytes: string | Buffer): Promise<string>;
  close(): Promise<void>;
}

/** Paths of the same server that are another vendor's or no vendor's: operators, pages, probes. */
const NOT_COURIER =
  /^\/(?:admin|api\/v1|ws\/v1|v1|json|providers\/(?:slack|ms-teams)\/authenticate|ingest|portal|demo|dashboard|openapi\.json|health|livez|readyz|metrics|assets|favicon)(?:[/.]|$)|^\/?\*?$/;
/** An error quotes what came, but does not send megabytes back. GraphQL says it twice, and JSON escapes it. */
const MAX_ERROR_LENGTH = 30_000;
const RAW_TIMEOUT_MS = 10_000;

/** @param env settings by the names an operator uses. */
export async function startHostile(
  dialect: Dialect = "sqlite",
  env: { readonly [name: string]: string } = {},
): Promise<HostileServer> {
  const routes: Route[] = [];
  const listen = (message: unknown): void => {
    const { fastify } = message as { fastify: FastifyInstance };
    fastify.addHook("onRoute", ({ method, url }) => {
      if (NOT_COURIER.test(url)) return;
      for (const one of [method].flat()) if (!["HEAD", "OPTIONS"].includes(one)) routes.push({ method: one, url });
    });
  };
  const { place, remove } = await newPlace(dialect);
  subscribe("fastify.initialization", listen);
  const app = await startServer({
    CARILLON_DATA_DIR: dialect === "sqlite" ? ":memory:" : place.dataDir,
    ...(place.url === null ? {} : { CARILLON_DATABASE_URL: place.url, CARILLON_DATABASE_POOL: "5" }),
    ...env,
  }).finally(() => unsubscribe("fastify.initialization", listen));
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const { port } = new URL(app.url);

  const call: HostileServer["call"] = (method, path, { body, headers = {} } = {}) =>
    new Promise((resolve, reject) => {
      const payload =
        body === undefined || typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body);
      const sent: { [name: string]: string | string[] } = {};
      const all = {
        authorization: `Bearer ${SECRET_KEY}`,
        ...(payload === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      };
      for (const [name, value] of Object.entries(all)) if (value !== null) sent[name] = value;
      if (payload !== undefined) sent["content-length"] ??= String(Buffer.byteLength(payload));
      const outgoing = request({ agent, host: "127.0.0.1", port, method, path, headers: sent }, (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("error", reject);
        incoming.on("end", () =>
          resolve({
            status: incoming.statusCode as number,
            headers: incoming.headers,
            text: Buffer.concat(chunks).toString(),
          }),
        );
      });
      outgoing.on("error", reject);
      outgoing.end(payload);
    });

  return {
    app,
    url: app.url,
    routes,
    call,
    async decent(method, path, options, what) {
      const label = `${method} ${path.slice(0, 120)} ${what ?? ""}`;
      let answer: Answer;
      try {
        answer = await call(method, path, options);
      } catch (error) {
        throw new Error(`${label}: no answer`, { cause: error });
      }
      assertDecent(method, answer, label);
      return answer;
    },
    raw: (bytes) =>
      new Promise((resolve) => {
        const chunks: Buffer[] = [];
        const socket = connect(Number(port), "127.0.0.1", () => socket.write(bytes));
        const end = (): void => {
          clearTimeout(timer);
          socket.destroy();
          resolve(Buffer.concat(chunks).toString());
        };
        const timer = setTimeout(end, RAW_TIMEOUT_MS);
        socket.on("data", (chunk: Buffer) => chunks.push(chunk));
        socket.on("error", end);
        socket.on("close", end);
      }),
    async close() {
      agent.destroy();
      await app.close();
      await remove();
    },
  };
}

/**
 * What holds for every answer: it is no fault of ours (501 and 503 say something else); an error is
 * `{message, type}` in JSON, and a page on another origin may read it.
 */
export function assertDecent(method: string, { status, headers, text }: Answer, what: string): void {
  const shown = `${what} → ${status} ${text.slice(0, 200)}`;
  assert.ok(status < 500 || status === 501 || status === 503, shown);
  assert.equal(headers["access-control-allow-origin"], "*", `${shown}: readable by pages`);
  if (status < 400 || method === "HEAD") return;
  assert.match(headers["content-type"] ?? "", /^application\/json/, shown);
  assert.ok(text.length <= MAX_ERROR_LENGTH, `${shown}: an error of ${text.length} characters`);
  const body = JSON.parse(text) as { message?: unknown; type?: unknown };
  // Documented: who cancels too late gets the message as it is.
  if (status === 409 && method === "POST" && /\/cancel/.test(what)) return;
  assert.ok(typeof body.message === "string" && body.message !== "", `${shown}: a message`);
  assert.ok(typeof body.type === "string" && body.type !== "", `${shown}: a type`);
}

/** Runs through a list with so many workers at once; the first failure stops all. */
export async function inParallel<T>(
  items: Iterable<T>,
  work: (item: T) => Promise<unknown>,
  width = 16,
): Promise<void> {
  const rest = items[Symbol.iterator]();
  const workers = Array.from({ length: width }, async () => {
    for (let next = rest.next(); !next.done; next = rest.next()) await work(next.value);
  });
  await Promise.all(workers);
}

/** Of several problems, all are told: one run is to show every hole. */
export class Complaints {
  readonly #found: string[] = [];

  async collect(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const { message, cause } = error as Error;
      this.#found.push(cause instanceof Error ? `${message} (${cause.message})` : message);
    }
  }

  assertNone(): void {
    const shown = this.#found.slice(0, 40).map((text) => `  ${text.split("\n")[0]?.slice(0, 400)}`);
    assert.equal(this.#found.length, 0, `${this.#found.length} indecent answers:\n${shown.join("\n")}`);
  }
}
