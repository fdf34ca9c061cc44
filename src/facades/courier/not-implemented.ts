/**
 * What Courier offers and this server does not, yet. Each is answered 501, after the credential was checked: a caller
 * who could not use it anyway learns that first. docs/compatibility.md says the same in more words.
 */
import { Refusal } from "../../engine/refusal.ts";
import type { Routes } from "./courier.ts";

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
/** Methods, path, and the scope with which a user token gets as far as the 501. */
type Entry = readonly [methods: string, path: string, scopes?: { readonly [method in Method]?: string }];

const READ_WRITE_PREFERENCES = {
  GET: "read:preferences",
  POST: "write:preferences",
  PUT: "write:preferences",
  PATCH: "write:preferences",
  DELETE: "write:preferences",
} as const;

const MISSING: readonly Entry[] = [
  ["GET", "/audiences"],
  ["GET PUT DELETE", "/audiences/:audience_id"],
  ["GET", "/audiences/:audience_id/members"],

  ["PUT POST", "/users/:user_id/preferences", READ_WRITE_PREFERENCES],
  ["GET PUT DELETE", "/users/:user_id/preferences/:topic_id", READ_WRITE_PREFERENCES],
  ["PUT DELETE", "/tenants/:tenant_id/default_preferences/items/:topic_id"],
  ["GET POST", "/preferences/sections"],
  ["GET PUT DELETE", "/preferences/sections/:section_id"],
  ["GET POST", "/preferences/sections/:section_id/topics"],
  ["GET PUT DELETE", "/preferences/sections/:section_id/topics/:topic_id"],
  ["POST", "/preferences/publish"],

  ["GET", "/tenants/:tenant_id/templates"],
  ["GET PUT DELETE", "/tenants/:tenant_id/templates/:template_id"],
  ["POST", "/tenants/:tenant_id/templates/:template_id/publish"],
  ["GET", "/tenants/:tenant_id/templates/:template_id/versions/:version"],

  ["GET", "/automations"],
  ["POST", "/automations/invoke"],
  ["POST", "/automations/:template_id/invoke"],
  ["GET", "/automations/runs"],
  ["GET", "/automations/runs/:run_id"],
  ["GET", "/automations/runs/:run_id/steps"],

  ["GET POST", "/brands", { GET: "read:brands" }],
  ["GET PUT DELETE", "/brands/:brand_id", { GET: "read:brands", PUT: "write:brands", DELETE: "write:brands" }],

  ["POST", "/bulk"],
  ["GET POST", "/bulk/:job_id"],
  ["POST", "/bulk/:job_id/run"],
  ["GET", "/bulk/:job_id/users"],

  ["GET", "/audit-events"],
  ["GET", "/audit-events/:audit_event_id"],

  ["GET POST", "/routing-strategies"],
  ["GET PUT DELETE", "/routing-strategies/:id"],
  ["GET", "/routing-strategies/:id/notifications"],

  ["GET", "/digests/schedules/:schedule_id/instances"],
  ["POST", "/digests/schedules/:schedule_id/trigger"],

  ["GET POST", "/broadcasts"],
  ["GET PUT DELETE", "/broadcasts/:broadcast_id"],
  ["POST", "/broadcasts/:broadcast_id/cancel"],
  ["POST", "/broadcasts/:broadcast_id/duplicate"],
  ["GET PUT", "/broadcasts/:broadcast_id/content"],
  ["POST", "/broadcasts/:broadcast_id/schedule"],
  ["POST", "/broadcasts/:broadcast_id/send"],

  ["GET POST", "/journeys"],
  ["POST", "/journeys/cancel"],
  ["GET", "/journeys/runs"],
  ["GET", "/journeys/runs/:run_id"],
  ["GET", "/journeys/runs/:run_id/steps"],
  ["GET PUT DELETE", "/journeys/:template_id"],
  ["POST", "/journeys/:template_id/invoke"],
  ["GET", "/journeys/:template_id/versions"],
  ["POST", "/journeys/:template_id/publish"],
  ["GET POST", "/journeys/:template_id/templates"],
  ["GET PUT DELETE", "/journeys/:template_id/templates/:notification_id"],
  ["GET", "/journeys/:template_id/templates/:notification_id/versions"],
  ["POST", "/journeys/:template_id/templates/:notification_id/publish"],
  ["GET PUT", "/journeys/:template_id/templates/:notification_id/content"],
  ["PUT", "/journeys/:template_id/templates/:notification_id/locales/:locale_id"],
];

/**
 * Sends of the vendor's first version are refused as what they are, not as a path that does not exist. Otherwise skips
 * what another file of the facade has registered before, so that an entry here never hides a real one. */
export const notImplementedRoutes: Routes = (app) => {
  app.post("/send/list", async () => {
    throw new Refusal("invalid", "Sends of version 1 are not offered; send a message with `to: { list_id }` to /send");
  });
  for (const [methods, url, scopes] of MISSING) {
    for (const method of methods.split(" ") as Method[]) {
      if (app.hasRoute({ method, url })) continue;
      const scope = scopes?.[method];
      app.route({
        method,
        url,
        exposeHeadRoute: false,
        config: scope === undefined ? {} : { access: "user", scope },
        handler: async () => {
          throw new Refusal("not_implemented", `${method} ${url} is not implemented by this server`);
        },
      });
    }
  }
};
