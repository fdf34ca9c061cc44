/** Browsers on any origin may call us: credentials travel in headers, never in cookies, so there is nothing to guard. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

const METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
const EXPOSED =
  "retry-after, retry-after-ms, x-should-retry, x-request-id, idempotent-replayed, original-x-request-id, " +
  "x-ratelimited-message_ids";
const MAX_AGE_S = "86400";
/** Clients of these paths send along the credentials of their browser, and then `*` will not do. We read none of them. */
const ECHOED = "/json/1.3";
const ECHOED_METHODS = "POST, OPTIONS";
const ECHOED_HEADERS = "authorization, content-type";

/** Must be called on the root instance, before any facade is registered: a preflight never meets their credentials. */
export function addCors(app: FastifyInstance): void {
  app.addHook("onRequest", (request, reply, done) => {
    setCorsHeaders(request, reply);
    if (request.url.startsWith(ECHOED)) return request.method === "OPTIONS" ? void reply.code(204).send() : done();
    if (!isPreflight(request)) return done();
    // The headers asked for are echoed, because `*` would not cover Authorization.
    const asked = request.headers["access-control-request-headers"];
    if (asked !== undefined) reply.header("access-control-allow-headers", asked);
    reply
      .header("access-control-allow-methods", METHODS)
      .header("access-control-max-age", MAX_AGE_S)
      .header("vary", "access-control-request-headers")
      .code(204)
      .send();
  });
}

/** For answers that no hook sees, such as those to a malformed URL. */
export function setCorsHeaders(request: Pick<FastifyRequest, "url" | "headers">, reply: FastifyReply): void {
  if (request.url.startsWith(ECHOED)) echoOrigin(request.headers.origin, reply);
  else reply.header("access-control-allow-origin", "*").header("access-control-expose-headers", EXPOSED);
}

function echoOrigin(origin: string | undefined, reply: FastifyReply): void {
  reply.header("vary", "Origin");
  if (origin === undefined) return;
  reply
    .header("access-control-allow-origin", origin)
    .header("access-control-allow-credentials", "true")
    .header("access-control-allow-methods", ECHOED_METHODS)
    .header("access-control-allow-headers", ECHOED_HEADERS)
    .header("access-control-max-age", MAX_AGE_S);
}

function isPreflight(request: FastifyRequest): boolean {
  return request.method === "OPTIONS" && request.headers["access-control-request-method"] !== undefined;
}
