/**
 * What Knock offers and this server does not, yet. Each is answered 501, after the key was checked: a caller who could
 * not use it anyway learns that first. docs/compatibility.md says the same in more words.
 */
import type { FastifyInstance } from "fastify";
import { type Access, client, SECRET } from "./auth.ts";
import { notImplemented } from "./errors.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** False for what answers 501. */
    built?: boolean;
  }
}

type Method = "GET" | "POST" | "PUT" | "DELETE";

interface Missing {
  readonly methods: readonly Method[];
  /** Without `/v1`. */
  readonly path: string;
  readonly access: Access;
}

function missing(methods: string, path: string, access: Access = SECRET.config.knock): Missing {
  return { methods: methods.split(" ") as Method[], path, access };
}

export const MISSING: readonly Missing[] = [
  // A page of the vendor's own, under an address of the vendor's own.
  missing("POST", "/users/:user_id/preference_center/signed_url"),
  // The vendor's partners call these.
  missing("POST", "/integrations/census/custom-destination"),
  missing("POST", "/integrations/hightouch/embedded-destination"),

  missing("GET", "/providers/slack/:channel_id/auth_check", client("slack/channels_read").config.knock),
  missing("GET", "/providers/slack/:channel_id/channels", client("slack/channels_read").config.knock),
  missing("PUT", "/providers/slack/:channel_id/revoke_access", client("slack/channels_read").config.knock),
  missing("GET", "/providers/ms-teams/:channel_id/auth_check", client("ms_teams/channels_read").config.knock),
  missing("GET", "/providers/ms-teams/:channel_id/teams", client("ms_teams/channels_read").config.knock),
  missing("GET", "/providers/ms-teams/:channel_id/channels", client("ms_teams/channels_read").config.knock),
  missing("PUT", "/providers/ms-teams/:channel_id/revoke_access", client("ms_teams/channels_read").config.knock),
];

/** @param taken says whether another file of the facade has the route, so that an entry never hides a real one. */
export function notImplementedRoutes(scope: FastifyInstance, taken: (method: string, path: string) => boolean): void {
  for (const { methods, path, access } of MISSING) {
    for (const method of methods) {
      if (taken(method, `/v1${path}`)) continue;
      scope.route({
        method,
        url: path,
        exposeHeadRoute: false,
        config: { knock: access, built: false },
        // After the key, before the body: what is wrong with a body that nobody wants is of no interest.
        onRequest: async () => {
          throw notImplemented(`${method} /v1${path}`);
        },
        // A route has to have one; none of these is reached.
        handler: async () => {},
      });
    }
  }
}
