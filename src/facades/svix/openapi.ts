/** The description of what this facade answers, put together from the routes that are there. */
import type { FastifyInstance } from "fastify";
import type { JsonObject } from "../../lib/json.ts";
import { ANYONE, type Callers } from "./access.ts";

export interface KnownRoute {
  readonly method: string;
  /** With its prefix; parameters as `:name`. */
  readonly path: string;
  readonly callers: Callers;
  /** False for what answers 501. */
  readonly built: boolean;
}

/** Public. Must be registered last; what `routes` gives is asked for with the first call. */
export function openApiRoutes(
  scope: FastifyInstance,
  publicUrl: () => string,
  routes: () => readonly KnownRoute[],
): void {
  let paths: JsonObject | null = null;
  scope.get("/openapi.json", ANYONE, () => {
    paths ??= pathsOf(routes());
    return { ...HEAD, servers: [{ url: publicUrl() }], paths, components: COMPONENTS };
  });
}

const HEAD = {
  openapi: "3.1.0",
  info: {
    title: "Carillon: webhooks for Svix clients",
    version: "1",
    description:
      "The operations of this server that clients of Svix call. Bodies are those of the vendor's own description; " +
      "operations marked `x-not-implemented` answer 501.",
  },
} as const;

const ERROR = {
  type: "object",
  required: ["code", "detail"],
  properties: { code: { type: "string" }, detail: { type: "string" } },
};
const ISSUE = {
  type: "object",
  required: ["loc", "msg", "type"],
  properties: { loc: { type: "array", items: { type: "string" } }, msg: { type: "string" }, type: { type: "string" } },
};

const COMPONENTS = {
  securitySchemes: { HTTPBearer: { type: "http", scheme: "bearer" } },
  schemas: {
    HttpErrorOut: ERROR,
    HTTPValidationError: {
      type: "object",
      required: ["detail"],
      properties: { detail: { type: "array", items: { $ref: "#/components/schemas/ValidationError" } } },
    },
    ValidationError: ISSUE,
  },
};

function pathsOf(routes: readonly KnownRoute[]): JsonObject {
  const paths: Record<string, Record<string, JsonObject>> = {};
  for (const route of routes) {
    const { method, path } = route;
    if (method === "HEAD") continue;
    const shown = path.replace(/:(\w+)/g, "{$1}");
    paths[shown] ??= {};
    (paths[shown] as Record<string, JsonObject>)[method.toLowerCase()] = operationOf(route);
  }
  return Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function operationOf({ method, path, callers, built }: KnownRoute): JsonObject {
  const failures = callers === "anyone" ? ["400", "422"] : ["400", "401", "403", "404", "409", "422"];
  return {
    operationId: `${method.toLowerCase()}${path.replace(/^\/api\/v1/, "").replace(/[^a-zA-Z0-9]+(\w?)/g, (_, c: string) => c.toUpperCase())}`,
    parameters: [...path.matchAll(/:(\w+)/g)].map(([, name]) => {
      return { name: name as string, in: "path", required: true, schema: { type: "string" } };
    }),
    security: callers === "anyone" ? [] : [{ HTTPBearer: [] }],
    responses: {
      "2XX": { description: "Done" },
      ...Object.fromEntries(failures.map((status) => [status, failure(status)])),
    },
    ...(built ? {} : { "x-not-implemented": true }),
  };
}

function failure(status: string): JsonObject {
  const name = status === "422" ? "HTTPValidationError" : "HttpErrorOut";
  return {
    description: status === "422" ? "Fields that do not validate" : "Refused",
    content: { "application/json": { schema: { $ref: `#/components/schemas/${name}` } } },
  };
}

/** One route, whatever its parameters are called. */
export function routeKey(method: string, path: string): string {
  return `${method} ${path.replace(/:\w+/g, ":").replace(/\/$/, "")}`;
}
