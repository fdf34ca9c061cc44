/** What authors can push at the vendor and this server has nothing to do with, yet: each is answered 501. */
import { MANAGEMENT } from "../auth.ts";
import { notImplemented } from "../errors.ts";
import type { Routes } from "../knock.ts";

const GET = ["", "/:key"];
const PUT = ["/:key", "/:key/validate"];

const MISSING: readonly (readonly [method: "GET" | "PUT" | "POST" | "DELETE", path: string])[] = [
  ...GET.map((rest) => ["GET", `/broadcasts${rest}`] as const),
  ...["/audiences", "/broadcasts"].flatMap((path) => PUT.map((rest) => ["PUT", path + rest] as const)),
  ["DELETE", "/audiences/:key"],
  ["PUT", "/broadcasts/:key/send"],
  ["PUT", "/broadcasts/:key/cancel"],
  ["POST", "/branches/:key"],
  ["PUT", "/branches/:key/rebase"],
  ["DELETE", "/branches/:key"],
  ["DELETE", "/members/:key"],
  ["PUT", "/goals/:key"],
  ["PUT", "/goals/:key/validate"],
  ["POST", "/goals/:key/clone"],
  ["DELETE", "/goals/:key"],
  ["PUT", "/schemas/:key"],
  ["PUT", "/schemas/:key/validate"],
  ["PUT", "/sources/:key"],
  ["GET", "/sources/:key/events"],
  ["GET", "/sources/:key/logs"],
  ["GET", "/sources/:key/status"],
  ["POST", "/sources/:key/rehearse"],
  ["PUT", "/tags/:key"],
  ["DELETE", "/tags/:key"],
];

export const managementNotImplemented: Routes = (app) => {
  for (const [method, path] of MISSING) {
    app.route({
      method,
      url: path,
      exposeHeadRoute: false,
      config: { ...MANAGEMENT.config, built: false },
      onRequest: async () => {
        throw notImplemented(`${method} /v1${path}`);
      },
      // A route has to have one; none of these is reached.
      handler: async () => {},
    });
  }
};
