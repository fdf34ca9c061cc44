/**
 * What Svix offers and this server does not, yet. Each is answered 501, after the token was checked: a caller who could
 * not use it anyway learns that first. docs/compatibility.md says the same in more words.
 */
import type { FastifyInstance } from "fastify";
import { ANY_TOKEN } from "./access.ts";
import { SvixError } from "./errors.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** False for what answers 501. */
    built?: boolean;
  }
}

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface Missing {
  /** `later`: natural for a server of one's own, in a coming release. `never`: bound to the vendor's own services. */
  readonly when: "later" | "never";
  readonly methods: readonly Method[];
  /** With `/api/v1`, or `/ingest/api/v1`. */
  readonly path: string;
}

function later(methods: string, path: string): Missing {
  return { when: "later", methods: methods.split(" ") as Method[], path: rooted(path) };
}

function never(methods: string, path: string): Missing {
  return { when: "never", methods: methods.split(" ") as Method[], path: rooted(path) };
}

function rooted(path: string): string {
  return path.startsWith("/ingest/") ? path : `/api/v1${path}`;
}

const SOURCE = "/ingest/api/v1/source";
const ENDPOINT = "/app/:app_id/endpoint/:endpoint_id";
const DESTINATION = "/app/:app_id/destination";
const APP_SINK = "/app/:app_id/stream/sink";

export const MISSING: readonly Missing[] = [
  // Applications and endpoints
  later("PATCH", "/app/:app_id/alert-email"),
  later("GET", "/app/stats/count-active"),
  later("GET", `${ENDPOINT}/connector`),
  later("POST", `${ENDPOINT}/cancel-msgs`),
  later("GET PUT DELETE", `${ENDPOINT}/oauth`),
  later("GET", `${ENDPOINT}/oauth-config`),
  later("GET PUT", `${ENDPOINT}/ca`),
  later("GET PUT DELETE", `${ENDPOINT}/mtls`),
  later("GET", `${ENDPOINT}/mtls-config`),
  never("GET POST", "/app/:app_id/sink"),
  never("GET", "/app/:app_id/sink/:sink_id"),

  // Auto-config
  later("POST", "/app/:app_id/auto-config"),
  later("GET PUT", `${ENDPOINT}/auto-config`),
  later("POST", `${ENDPOINT}/auto-config/rotate`),
  later("POST", "/app/:app_id/autoconfig"),
  later("GET", "/app/:app_id/autoconfig/:autoconfig_id"),
  later("POST", "/app/:app_id/autoconfig/:autoconfig_id/rotate"),
  later("PUT", "/app/:app_id/autoconfig/:autoconfig_id/endpoint"),
  later("PUT", "/app/:app_id/autoconfig/:autoconfig_id/destination"),

  // Event types and messages
  later("GET PUT", "/event-type/:event_type_name/retry-schedule"),
  later("POST", "/event-type/export/openapi"),
  later("GET", "/app/:app_id/events"),
  later("GET", "/events"),
  later("POST", "/app/:app_id/inbound/rotate-url"),
  later("POST", "/app/:app_id/inbound/msg/:inbound_token"),

  // Tokens
  later("POST", "/auth/app/:app_id/create-message-token"),
  never("GET POST", "/auth/org-group-admin-token"),
  never("PUT", "/auth/org-group-admin-token/:key_id"),
  never("POST", "/auth/org-group-admin-token/:key_id/expire"),
  never("GET POST", "/auth/app/:app_id/mcp-token"),
  never("DELETE", "/auth/app/:app_id/mcp-token/:token_id"),
  never("GET POST", "/auth/dashboard/mcp-token"),
  never("DELETE", "/auth/dashboard/mcp-token/:token_id"),

  // Managing the installation
  later("GET POST", "/management/authentication/:env_id/api-token"),
  later("GET PUT PATCH", "/management/authentication/:env_id/api-token/:key_id"),
  later("POST", "/management/authentication/:env_id/api-token/:key_id/expire"),
  later("GET POST", "/management/environment"),
  later("GET PUT DELETE", "/management/environment/:env_id"),
  never("GET PUT DELETE", "/management/environment-settings/customer-otel"),
  never("POST", "/management/environment-settings/customer-otel/test"),
  never("GET", "/management/organization/member"),
  later("GET", "/stats/endpoint/count"),
  later("GET", "/stats/app/:app_id/attempt"),

  // Connectors
  later("GET PUT", "/connector/:connector_id/options"),
  later("POST", "/connector/simulate"),
  later("POST", "/transformation-template/simulate"),
  never("POST", "/connector/oauth/slack"),
  never("POST", "/connector/oauth/discord"),
  never("POST", "/connector/oauth/hubspot"),
  never("PUT", `${ENDPOINT}/connector/oauth/hubspot`),
  never("POST", "/transformation-template/oauth/slack"),
  never("POST", "/transformation-template/oauth/discord"),
  never("POST", "/transformation-template/generate"),

  // Destinations
  later("GET POST", DESTINATION),
  later("GET PUT PATCH DELETE", `${DESTINATION}/:destination_id`),
  later("GET PATCH", `${DESTINATION}/:destination_id/transformation`),
  later("GET", `${DESTINATION}/:destination_id/secret`),
  later("POST", `${DESTINATION}/:destination_id/secret/rotate`),
  later("GET PATCH", `${DESTINATION}/:destination_id/headers`),
  later("POST", `${DESTINATION}/:destination_id/force-retry`),
  later("POST", `${DESTINATION}/:destination_id/skip`),
  later("GET", `${DESTINATION}/:destination_id/last-acked-event`),
  later("GET", `${DESTINATION}/:destination_id/next-event`),
  later("GET", `${DESTINATION}/:destination_id/attempt`),
  later("GET", `${DESTINATION}/:destination_id/attempt/:attempt_id`),
  never("GET POST", APP_SINK),
  never("GET PUT PATCH DELETE", `${APP_SINK}/:sink_id`),
  never("GET PATCH", `${APP_SINK}/:sink_id/transformation`),
  never("GET", `${APP_SINK}/:sink_id/secret`),
  never("POST", `${APP_SINK}/:sink_id/secret/rotate`),
  never("GET PATCH", `${APP_SINK}/:sink_id/headers`),
  never("POST", `${APP_SINK}/:sink_id/force-retry`),
  never("POST", `${APP_SINK}/:sink_id/skip`),
  never("GET", `${APP_SINK}/:sink_id/last-acked-event`),
  never("GET", `${APP_SINK}/:sink_id/next-event`),

  // Ingest
  later("GET POST", SOURCE),
  later("GET PUT PATCH DELETE", `${SOURCE}/:source_id`),
  later("POST", `${SOURCE}/:source_id/token/rotate`),
  later("POST", `${SOURCE}/:source_id/dashboard`),
  later("GET", `${SOURCE}/:source_id/log`),
  later("GET POST", `${SOURCE}/:source_id/endpoint`),
  later("GET PUT DELETE", `${SOURCE}/:source_id/endpoint/:endpoint_id`),
  later("GET", `${SOURCE}/:source_id/endpoint/:endpoint_id/secret`),
  later("POST", `${SOURCE}/:source_id/endpoint/:endpoint_id/secret/rotate`),
  later("GET PUT", `${SOURCE}/:source_id/endpoint/:endpoint_id/headers`),
  later("GET PATCH", `${SOURCE}/:source_id/endpoint/:endpoint_id/transformation`),

  // Streams
  later("GET POST", "/stream"),
  later("GET PUT PATCH DELETE", "/stream/:stream_id"),
  later("PATCH", "/stream/:stream_id/alert-email"),
  later("POST", "/stream/transformations/simulate"),
  later("GET POST", "/stream/event-type"),
  later("GET PUT PATCH DELETE", "/stream/event-type/:name"),
  later("POST", "/stream/:stream_id/events"),
  later("GET", "/stream/:stream_id/events/latest"),
  later("GET POST", "/stream/:stream_id/sink"),
  later("GET PUT PATCH DELETE", "/stream/:stream_id/sink/:sink_id"),
  later("GET", "/stream/:stream_id/sink/:sink_id/events"),
  later("GET", "/stream/:stream_id/sink/:sink_id/last-acked-event"),
  later("GET", "/stream/:stream_id/sink/:sink_id/next-event"),
  later("GET PATCH", "/stream/:stream_id/sink/:sink_id/transformation"),
  later("GET", "/stream/:stream_id/sink/:sink_id/secret"),
  later("POST", "/stream/:stream_id/sink/:sink_id/secret/rotate"),
  later("GET PATCH", "/stream/:stream_id/sink/:sink_id/headers"),
  later("POST", "/stream/:stream_id/sink/:sink_id/force-retry"),
  later("POST", "/stream/:stream_id/sink/:sink_id/skip"),
  later("GET", "/stream/:stream_id/sink/:sink_id/attempt"),
  later("GET", "/stream/:stream_id/sink/:sink_id/attempt/:attempt_id"),
  later("POST", "/auth/stream-portal-access/:stream_id"),
  later("POST", "/auth/stream-logout"),
  later("POST", "/auth/stream/:stream_id/expire-all"),
  later("GET", "/auth/stream/:stream_id/sink/:sink_id/poller/token"),
  later("POST", "/auth/stream/:stream_id/sink/:sink_id/poller/token/rotate"),
];

/**
 * Registers those of `MISSING` that begin with `prefix`, which is the scope's own.
 * @param taken says whether another file of the facade has the route, so that an entry never hides a real one.
 */
export function notImplementedRoutes(
  scope: FastifyInstance,
  prefix: string,
  taken: (method: string, path: string) => boolean,
): void {
  for (const { methods, path } of MISSING) {
    if (!path.startsWith(`${prefix}/`)) continue;
    for (const method of methods) {
      if (taken(method, path)) continue;
      scope.route({
        method,
        url: path.slice(prefix.length),
        exposeHeadRoute: false,
        config: { ...ANY_TOKEN.config, built: false },
        // After the token, before the body: what is wrong with a body that nobody wants is of no interest.
        onRequest: async () => {
          throw new SvixError(501, "not_implemented", `${method} ${path} is not implemented by this server`);
        },
        // A route has to have one; none of these is reached.
        handler: async () => {},
      });
    }
  }
}
