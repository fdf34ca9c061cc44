/** All that Svix's clients call: `/api/v1`, and `/ingest/api/v1` as far as to say that it is not there yet. */
import type { FastifyInstance } from "fastify";
import { type Callers, requireCallers } from "./access.ts";
import { applicationRoutes } from "./applications.ts";
import { attemptRoutes } from "./attempts.ts";
import { addAuthentication } from "./authentication.ts";
import { addSvixBodies } from "./body.ts";
import { broadcastRoutes } from "./broadcast.ts";
import { connectorRoutes } from "./connectors.ts";
import { endpointHeaderRoutes } from "./endpoint-headers.ts";
import { endpointSecretRoutes } from "./endpoint-secret.ts";
import { endpointTransformationRoutes } from "./endpoint-transformation.ts";
import { endpointRoutes } from "./endpoints.ts";
import { environmentRoutes } from "./environment.ts";
import { environmentSettingsRoutes } from "./environment-settings.ts";
import { addSvixErrors, type ErrorAnswer, notFound, SvixError, unroutableAnswer } from "./errors.ts";
import { eventTypeRoutes } from "./event-types.ts";
import { healthRoutes } from "./health.ts";
import { addIdempotency } from "./idempotency.ts";
import { integrationRoutes } from "./integrations.ts";
import { messageRoutes } from "./messages.ts";
import { notImplementedRoutes } from "./not-implemented.ts";
import { type KnownRoute, openApiRoutes, routeKey } from "./openapi.ts";
import { operationalEndpointRoutes } from "./operational-endpoints.ts";
import { pollerRoutes } from "./pollers.ts";
import { portalAccessRoutes } from "./portal-access.ts";
import { sendingAgainRoutes } from "./sending-again.ts";
import { statisticsRoutes } from "./statistics.ts";
import type { Routes, Svix } from "./svix.ts";
import { taskRoutes } from "./tasks.ts";

const ROUTES: readonly Routes[] = [
  applicationRoutes,
  endpointRoutes,
  endpointHeaderRoutes,
  endpointSecretRoutes,
  endpointTransformationRoutes,
  messageRoutes,
  attemptRoutes,
  sendingAgainRoutes,
  pollerRoutes,
  statisticsRoutes,
  taskRoutes,
  broadcastRoutes,
  eventTypeRoutes,
  integrationRoutes,
  connectorRoutes,
  operationalEndpointRoutes,
  environmentRoutes,
  environmentSettingsRoutes,
  portalAccessRoutes,
  healthRoutes,
];

const API = "/api/v1";
const INGEST = "/ingest/api/v1";

/** What the server answers to a URL of this facade that its router cannot read; null when it is not of this facade. */
export function svixUnroutable(error: unknown, url: string): ErrorAnswer | null {
  return unroutableAnswer(error, url, [API, INGEST]);
}

/**
 * Registers the facade in scopes of its own: its hooks and error shapes reach none of the server's other paths.
 * @param more routes beyond those of this file, for tests.
 */
export function svixFacade(app: FastifyInstance, svix: Svix, more: readonly Routes[] = []): void {
  app.register(
    async (scope) => {
      const routes = open(scope, svix);
      for (const register of [...ROUTES, ...more]) register(scope, svix);
      notImplementedRoutes(scope, API, taken(routes));
      openApiRoutes(
        scope,
        () => svix.settings.publicUrl,
        () => routes,
      );
    },
    { prefix: API },
  );
  app.register(
    async (scope) => {
      const routes = open(scope, svix);
      notImplementedRoutes(scope, INGEST, taken(routes));
    },
    { prefix: INGEST },
  );
}

/** Prepares a scope for routes. @returns those that are registered on it, as they come. */
function open(scope: FastifyInstance, svix: Svix): readonly KnownRoute[] {
  const routes: KnownRoute[] = [];
  addSvixErrors(scope, svix.log);
  addSvixBodies(scope, svix.settings.maxPayloadBytes);
  requireCallers(scope);
  scope.addHook("onRoute", ({ method, url, config }) => {
    const callers = config?.callers as Callers;
    for (const one of [method].flat()) routes.push({ method: one, path: url, callers, built: config?.built !== false });
  });
  addAuthentication(scope, svix);
  addIdempotency(scope, svix);
  addNotFound(scope, routes);
  return routes;
}

function taken(routes: readonly KnownRoute[]): (method: string, path: string) => boolean {
  return (method, path) => routes.some((route) => routeKey(route.method, route.path) === routeKey(method, path));
}

/** 404, or 405 where the path has other methods. */
function addNotFound(scope: FastifyInstance, routes: readonly KnownRoute[]): void {
  let patterns: readonly { readonly method: string; readonly matches: RegExp }[] | null = null;
  scope.setNotFoundHandler((request, reply) => {
    patterns ??= routes.map(({ method, path }) => {
      const source = path.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/:\w+/g, "[^/]+");
      return { method, matches: new RegExp(`^${source}/?$`) };
    });
    const path = request.url.split("?", 1)[0] as string;
    const allowed = new Set(patterns.filter(({ matches }) => matches.test(path)).map(({ method }) => method));
    if (allowed.size === 0) throw notFound(`There is no ${request.method} ${path.slice(0, 200)}`);
    reply.header("allow", [...allowed].join(", "));
    throw new SvixError(405, "method_not_allowed", `There is no ${request.method} ${path.slice(0, 200)}`);
  });
}
