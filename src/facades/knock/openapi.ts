/** The description of what this facade answers, put together from the routes that are there. */
import type { FastifyInstance } from "fastify";
import type { JsonObject } from "../../lib/json.ts";
import { type Access, ANYONE } from "./auth.ts";

export interface KnownRoute {
  readonly method: string;
  /** With its prefix; parameters as `:name`. */
  readonly path: string;
  readonly access: Access;
  /** False for what answers 501. */
  readonly built: boolean;
}

/** Public. What `routes` gives is asked for with the first call. */
export function openApiRoutes(
  scope: FastifyInstance,
  publicUrl: () => string,
  routes: () => readonly KnownRoute[],
): void {
  let paths: JsonObject | null = null;
  scope.get("/openapi", ANYONE, () => {
    paths ??= pathsOf(routes());
    return { ...HEAD, servers: [{ url: publicUrl() }], paths, components: COMPONENTS };
  });
}

const HEAD = {
  openapi: "3.1.0",
  info: {
    title: "Carillon: notifications for Knock clients",
    version: "1",
    description:
      "The operations of this server that clients of Knock call. Bodies are those of the vendor's own description; " +
      "operations marked `x-not-implemented` answer 501.",
  },
} as const;

const COMPONENTS = {
  securitySchemes: {
    BearerAuth: { type: "http", scheme: "bearer" },
    UserToken: { type: "apiKey", in: "header", name: "X-Knock-User-Token" },
  },
  schemas: {
    Error: {
      type: "object",
      required: ["code", "message", "status", "type"],
      properties: {
        code: { type: "string" },
        message: { type: "string" },
        status: { type: "integer" },
        type: { type: "string" },
        errors: {
          type: "array",
          items: {
            type: "object",
            required: ["field", "type", "message"],
            properties: { field: { type: "string" }, type: { type: "string" }, message: { type: "string" } },
          },
        },
      },
    },
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

function operationOf({ method, path, access, built }: KnownRoute): JsonObject {
  const failures = access === "anyone" ? ["404"] : ["401", "403", "404", "422"];
  const error = { "application/json": { schema: { $ref: "#/components/schemas/Error" } } };
  return {
    operationId: `${method.toLowerCase()}${path.replace(/^\/v1/, "").replace(/[^a-zA-Z0-9]+(\w?)/g, (_, c: string) => c.toUpperCase())}`,
    parameters: [...path.matchAll(/:(\w+)/g)].map(([, name]) => {
      return { name: name as string, in: "path", required: true, schema: { type: "string" } };
    }),
    security: securityOf(access),
    responses: {
      "2XX": { description: "Done" },
      ...Object.fromEntries(failures.map((status) => [status, { description: "Refused", content: error }])),
    },
    ...(built ? {} : { "x-not-implemented": true }),
  };
}

function securityOf(access: Access): JsonObject[] {
  if (access === "anyone") return [];
  return typeof access === "string" ? [{ BearerAuth: [] }] : [{ BearerAuth: [] }, { BearerAuth: [], UserToken: [] }];
}

/** One route, whatever its parameters are called. */
export function routeKey(method: string, path: string): string {
  return `${method} ${path.replace(/:\w+/g, ":").replace(/\/$/, "")}`;
}
