/** Browsers on any origin may call us: credentials travel in headers, never in cookies, so there is nothing to guard. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

const METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
const EXPOSED = "retry-after, retry-after-ms, x-should-retry, x-request-id";
const MAX_AGE_S = "86400";

/** Must be called on the root instance, before any facade is registered: a preflight never meets their credentials. */
export function addCors(app: FastifyInstance): void {
  app.addHook("onRequest", (request, reply, done) => {
    setCorsHeaders(reply);
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
export function setCorsHeaders(reply: FastifyReply): void {
  reply.header("access-control-allow-origin", "*").header("access-control-expose-headers", EXPOSED);
}

function isPreflight(request: FastifyRequest): boolean {
  return request.method === "OPTIONS" && request.headers["access-control-request-method"] !== undefined;
}
