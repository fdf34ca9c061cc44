/** What probes ask. The SDKs ask it, too, and look at nothing but the status. */
import { ANYONE } from "./access.ts";
import type { Routes } from "./svix.ts";

export const healthRoutes: Routes = (app) => {
  for (const path of ["/health", "/health/ping"]) {
    app.get(path, ANYONE, (_request, reply) => {
      reply.code(204).send();
    });
  }
};
