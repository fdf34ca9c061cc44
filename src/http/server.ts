/** The HTTP server: what holds for every path, whichever vendor's it is, and the paths operators and probes ask. */
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, LogController } from "fastify";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { Refusal, type RefusalCode } from "../engine/refusal.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import { addCors, setCorsHeaders } from "./cors.ts";
import { addJsonBodies } from "./json-body.ts";
import { asRefusal, STATUS_BY_CODE, shownText } from "./refusals.ts";

export interface ServerOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Resolves if the store can be used; asked by `/readyz`. */
  readonly ping: () => Promise<void>;
  /** What `/metrics` prints; asked for with the first call of it. Without one there is no such path. */
  readonly metrics?: () => Promise<Registry>;
  /** Larger bodies are refused with 413. Courier's limit by default. */
  readonly maxBodyBytes?: number;
  /**
   * The answer to a URL that the router cannot read, in the words of the facade whose prefix it has; null when it has
   * none. No scope of a facade ever sees such a call.
   */
  readonly unroutable?: (error: unknown, url: string) => { readonly status: number; readonly body: object } | null;
}

const SIX_MEGABYTES = 6 * 1024 * 1024;
/**
 * Line and headers of a request. Knock's SDK deletes a thousand tenants with their ids in the query, which are 60,000
 * bytes where ids are UUIDs; Node's own limit, 16 KiB, ends it at 300.
 */
const MAX_HEADER_BYTES = 64 * 1024;
/** A readiness probe that hangs is as bad as one that fails. */
const PING_TIMEOUT_MS = 2_000;
/** Ids are at most 512 characters, each at most 9 bytes long when encoded; what is longer is refused by their check. */
const MAX_PARAM_LENGTH = 8_192;

/**
 * A server that is not listening yet and knows only the operators' paths; register the facades, then `listen`.
 * `close` stops taking connections, waits for answers under way and closes idle connections.
 */
export function buildServer(options: ServerOptions): FastifyInstance {
  const { log, clock } = options;
  // Calls leave nothing behind, so a count tells them apart: an id of its own for each cost a send 0.9 µs.
  const firstCall = newId("call", clock.now());
  let calls = 0;
  const app = fastify({
    loggerInstance: log as never,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: options.maxBodyBytes ?? SIX_MEGABYTES,
    http: { maxHeaderSize: MAX_HEADER_BYTES },
    genReqId: () => `${firstCall}-${++calls}`,
    // Nothing of ours is logged through a request's own logger; making one for each cost a send 2.6 µs.
    childLoggerFactory: (logger) => logger,
    requestIdHeader: false,
    // Some clients do not cut the slash off the end of the address they are given.
    rewriteUrl: (request) => {
      const url = request.url ?? "/";
      return url.startsWith("//") ? url.replace(/^\/+/, "/") : url;
    },
    forceCloseConnections: "idle",
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: MAX_PARAM_LENGTH },
    // Bodies mean what they say: "5" is no number, and no field is dropped or invented.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } },
    clientErrorHandler: answerUnreadable,
    frameworkErrors: (error, request, reply) => {
      // No hook runs for what cannot be routed.
      setCorsHeaders(request, reply as FastifyReply);
      reply.header("x-request-id", request.id);
      const answer = options.unroutable?.(error, request.url) ?? null;
      if (answer === null) answerError(log, error, request as FastifyRequest, reply as FastifyReply);
      else (reply as FastifyReply).code(answer.status).send(answer.body);
    },
  }) as unknown as FastifyInstance;

  addCors(app);
  addJsonBodies(app);
  app.addHook("onRequest", (request, reply, done) => {
    reply.header("x-request-id", request.id);
    done();
  });
  if (log.isLevelEnabled("debug")) logAnswers(app, log);
  app.setErrorHandler((error, request, reply) => answerError(log, error, request, reply));
  app.setNotFoundHandler((request) => {
    throw noSuchPath(request);
  });
  addProbes(app, options);
  return app;
}

function logAnswers(app: FastifyInstance, log: Logger): void {
  app.addHook("onResponse", (request, reply, done) => {
    log.debug(
      {
        requestId: request.id,
        method: request.method,
        route: request.routeOptions.url,
        status: reply.statusCode,
        tookMs: Math.round(reply.elapsedTime),
      },
      "http.answered",
    );
    done();
  });
}

/** For the handlers of unknown paths. The path is cut: it is an echo of whatever came. */
export function noSuchPath(request: FastifyRequest): Refusal {
  const path = request.url.split("?", 1)[0] as string;
  return new Refusal("not_found", `There is no ${request.method} ${path.slice(0, 200)}`);
}

/** The shape of errors outside the facades, `/admin` and paths that are no one's included: `{message, type}`. */
function answerError(log: Logger, error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const refusal = asRefusal(error);
  if (refusal === null) log.error({ err: error, requestId: request.id }, "http.failed");
  if (refusal?.retryAfterMs !== undefined) reply.header("retry-after", Math.ceil(refusal.retryAfterMs / 1000));
  reply.code(refusal === null ? 500 : STATUS_BY_CODE[refusal.code]).send({
    message: shownText(refusal?.message ?? "Internal error"),
    type: refusal === null ? "api_error" : TYPE_BY_CODE[refusal.code],
    ...(refusal?.field === undefined ? {} : { field: shownText(refusal.field) }),
  });
}

/** What cannot be read as HTTP has no request and no reply; the connection is of no more use either. */
function answerUnreadable(error: Error & { code?: string }, socket: Socket): void {
  // A connection the client has cut, or one that has begun to be answered: more bytes would only garble it.
  if (error.code === "ECONNRESET" || !socket.writable || answering(socket)) return void socket.destroy(error);
  const { status, message } = UNREADABLE[error.code ?? ""] ?? { status: 400, message: "The request is not valid HTTP" };
  // Whose path it was to be is not known, so the body has the fields of every vendor.
  const body = JSON.stringify({ message, type: TYPE_BY_CODE.invalid, code: "generic_error", detail: message });
  socket.once("finish", () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\nConnection: close\r\nAccess-Control-Allow-Origin: *\r\n` +
      `Content-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

const UNREADABLE: { readonly [code: string]: { readonly status: number; readonly message: string } } = {
  HPE_HEADER_OVERFLOW: { status: 431, message: "The headers are too large" },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { status: 413, message: "The chunk extensions are too large" },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, message: "The request took too long to arrive" },
};

/** Node keeps the answer under way on the socket, for this very question. */
function answering(socket: Socket & { _httpMessage?: { readonly headersSent: boolean } | null }): boolean {
  return socket._httpMessage?.headersSent === true;
}

const TYPE_BY_CODE: { readonly [code in RefusalCode]: string } = {
  invalid: "invalid_request_error",
  unauthenticated: "authentication_error",
  forbidden: "authorization_error",
  not_found: "invalid_request_error",
  conflict: "invalid_request_error",
  busy: "invalid_request_error",
  too_large: "invalid_request_error",
  too_many: "rate_limit_error",
  not_implemented: "api_error",
  unavailable: "api_error",
};

function addProbes(app: FastifyInstance, options: ServerOptions): void {
  const { metrics } = options;
  app.get("/health", () => ({ status: "ok" }));
  app.get("/livez", () => ({ status: "ok" }));
  app.get("/readyz", async (_request, reply) => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Refusal("unavailable", "The database does not answer")), PING_TIMEOUT_MS);
    });
    try {
      await Promise.race([options.ping(), late]);
      return { status: "ready" };
    } catch {
      return reply.code(503).send({ status: "unavailable", message: "The database cannot be used just now" });
    } finally {
      clearTimeout(timer);
    }
  });
  if (metrics === undefined) return;
  let registry: Promise<Registry> | null = null;
  app.get("/metrics", async (_request, reply) => {
    registry ??= metrics();
    const known = await registry;
    return reply.type(known.contentType).send(await known.metrics());
  });
}
