/** All that Courier's clients call over HTTP, at the root of the server. */
import type { FastifyInstance } from "fastify";
import { addAuthentication } from "./auth.ts";
import { clientRoutes } from "./client-routes.ts";
import type { Courier, Routes } from "./courier.ts";
import { addCourierErrors } from "./errors.ts";
import { eventRoutes } from "./events.ts";
import { graphqlRoutes } from "./graphql.ts";
import { addIdempotency } from "./idempotency.ts";
import { inboundRoutes } from "./inbound.ts";
import { issueTokenRoutes } from "./issue-token.ts";
import { listRoutes } from "./lists.ts";
import { messageRoutes } from "./messages.ts";
import { notImplementedRoutes } from "./not-implemented.ts";
import { notificationContentRoutes } from "./notification-content.ts";
import { notificationRoutes } from "./notifications.ts";
import { preferenceRoutes } from "./preferences.ts";
import { profileRoutes } from "./profiles.ts";
import { providerRoutes } from "./providers.ts";
import { sendRoutes } from "./send.ts";
import { tenantRoutes } from "./tenants.ts";
import { tokenRoutes } from "./tokens.ts";
import { trackingRoutes } from "./tracking.ts";
import { translationRoutes } from "./translations.ts";
import { userTenantRoutes } from "./user-tenants.ts";

const ROUTES: readonly Routes[] = [
  sendRoutes,
  messageRoutes,
  notificationRoutes,
  notificationContentRoutes,
  translationRoutes,
  eventRoutes,
  inboundRoutes,
  providerRoutes,
  graphqlRoutes,
  trackingRoutes,
  profileRoutes,
  listRoutes,
  tokenRoutes,
  tenantRoutes,
  userTenantRoutes,
  issueTokenRoutes,
  preferenceRoutes,
  clientRoutes,
  // Last: it takes only what nobody else has.
  notImplementedRoutes,
];

/**
 * Registers the facade in a scope of its own: its hooks and error shapes reach none of the server's other paths.
 * @param more routes beyond those of this file, for tests.
 */
export function courierFacade(app: FastifyInstance, courier: Courier, more: readonly Routes[] = []): void {
  app.register(async (scope) => {
    addCourierErrors(scope, courier.log);
    addAuthentication(scope, courier);
    addIdempotency(scope, courier);
    for (const register of [...more, ...ROUTES]) register(scope, courier);
  });
}
