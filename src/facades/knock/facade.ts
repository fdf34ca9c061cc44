/** All that Knock's clients call over HTTP: `/v1`, the public API and the management API on one origin. */
import type { FastifyInstance } from "fastify";
import { audienceRoutes } from "./audiences.ts";
import { type Access, addAuthentication } from "./auth.ts";
import { bulkOperationRoutes } from "./bulk-operations.ts";
import { channelBulkRoutes } from "./channel-bulk.ts";
import { channelDataRoutes } from "./channel-data.ts";
import { addKnockErrors, KnockError } from "./errors.ts";
import { feedRoutes } from "./feed.ts";
import { guideRoutes } from "./guides.ts";
import type { Knock, Routes } from "./knock.ts";
import { MANAGEMENT_ROUTES } from "./management/routes.ts";
import { messageListRoutes } from "./message-list.ts";
import { messageRoutes } from "./messages.ts";
import { notImplementedRoutes } from "./not-implemented.ts";
import { objectRoutes } from "./objects.ts";
import { type KnownRoute, openApiRoutes, routeKey } from "./openapi.ts";
import { preferenceCenterRoutes } from "./preference-center.ts";
import { preferenceEntryRoutes } from "./preference-entries.ts";
import { preferenceRoutes } from "./preferences.ts";
import { providerRoutes } from "./providers.ts";
import { addRateLimits } from "./rate-limits.ts";
import { scheduleRoutes } from "./schedules.ts";
import { socketPathRoutes } from "./socket.ts";
import { subscriptionRoutes } from "./subscriptions.ts";
import { tenantRoutes } from "./tenants.ts";
import { triggerRoutes } from "./triggers.ts";
import { userBulkRoutes } from "./user-bulk.ts";
import { userRoutes } from "./users.ts";
import { workflowRunRoutes } from "./workflow-runs.ts";

const ROUTES: readonly Routes[] = [
  userRoutes,
  userBulkRoutes,
  objectRoutes,
  tenantRoutes,
  preferenceRoutes,
  preferenceEntryRoutes,
  preferenceCenterRoutes,
  channelDataRoutes,
  subscriptionRoutes,
  audienceRoutes,
  bulkOperationRoutes,
  triggerRoutes,
  scheduleRoutes,
  workflowRunRoutes,
  feedRoutes,
  messageRoutes,
  messageListRoutes,
  channelBulkRoutes,
  providerRoutes,
  guideRoutes,
  ...MANAGEMENT_ROUTES,
];

/**
 * Registers the facade in a scope of its own: its hooks and error shapes reach none of the server's other paths.
 * @param more routes beyond those of this file, for tests.
 */
export function knockFacade(app: FastifyInstance, knock: Knock, more: readonly Routes[] = []): void {
  socketPathRoutes(app);
  app.register(
    async (scope) => {
      const routes: KnownRoute[] = [];
      addKnockErrors(scope, knock.log);
      addAuthentication(scope, knock);
      addRateLimits(scope, knock);
      scope.addHook("onRoute", ({ method, url, config }) => {
        const access = config?.knock as Access;
        for (const one of [method].flat())
          routes.push({ method: one, path: url, access, built: config?.built !== false });
      });
      scope.setNotFoundHandler((request) => {
        const path = request.url.split("?", 1)[0] as string;
        throw new KnockError("resource_missing", 404, `There is no ${request.method} ${path.slice(0, 200)}`);
      });
      for (const register of [...ROUTES, ...more]) register(scope, knock);
      const taken = new Set(routes.map(({ method, path }) => routeKey(method, path)));
      notImplementedRoutes(scope, (method, path) => taken.has(routeKey(method, path)));
      openApiRoutes(
        scope,
        () => knock.settings.publicUrl,
        () => routes,
      );
    },
    { prefix: "/v1" },
  );
}
