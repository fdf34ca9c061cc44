/** Every operation that this release promises is there, and every other one of the vendor's says that it is not. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { startSvixTarget } from "./svix-target.ts";

const target = await startSvixTarget();
after(() => target.close());

/** Methods and path below `/api/v1`. */
const BUILT = `
GET POST /app
GET PUT PATCH DELETE /app/{app_id}
GET /app/{app_id}/stats/attempts
GET POST /app/{app_id}/endpoint
GET PUT PATCH DELETE /app/{app_id}/endpoint/{endpoint_id}
GET /app/{app_id}/endpoint/{endpoint_id}/secret
POST /app/{app_id}/endpoint/{endpoint_id}/secret/rotate
GET PUT PATCH /app/{app_id}/endpoint/{endpoint_id}/headers
GET PATCH /app/{app_id}/endpoint/{endpoint_id}/transformation
POST /app/{app_id}/endpoint/{endpoint_id}/transformation/simulate
POST /app/{app_id}/endpoint/{endpoint_id}/replay-missing
POST /app/{app_id}/endpoint/{endpoint_id}/bulk-replay
GET /app/{app_id}/endpoint/{endpoint_id}/stats
GET /app/{app_id}/endpoint/{endpoint_id}/rate-limit-status
POST /app/{app_id}/endpoint/{endpoint_id}/recover
POST /app/{app_id}/endpoint/{endpoint_id}/send-example
POST /app/{app_id}/endpoint/{endpoint_id}/msg/test-attempt
GET POST /event-type
POST /event-type/import/openapi
GET PUT PATCH DELETE /event-type/{event_type_name}
GET POST /app/{app_id}/msg
POST /app/{app_id}/msg/precheck/active
POST /app/{app_id}/msg/search
POST /app/{app_id}/msg/expunge-all-contents
POST /app/{app_id}/msg/bulk-expunge
GET /app/{app_id}/msg/{msg_id}
DELETE /app/{app_id}/msg/{msg_id}/content
GET /app/{app_id}/msg/{msg_id}/raw
GET /app/{app_id}/poller/{sink_id}
GET /app/{app_id}/poller/{sink_id}/consumer/{consumer_id}
POST /app/{app_id}/poller/{sink_id}/consumer/{consumer_id}/seek
GET /app/{app_id}/polling-endpoint/{sink_id}/consumer/{consumer_id}
POST /app/{app_id}/polling-endpoint/{sink_id}/consumer/{consumer_id}/commit
GET /app/{app_id}/attempt/endpoint/{endpoint_id}
GET /app/{app_id}/attempt/endpoint/{endpoint_id}/count
GET /app/{app_id}/attempt/msg/{msg_id}
GET /app/{app_id}/endpoint/{endpoint_id}/msg
GET /app/{app_id}/msg/{msg_id}/endpoint
GET /app/{app_id}/msg/{msg_id}/attempt
GET /app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/attempt
GET /app/{app_id}/msg/{msg_id}/attempt/{attempt_id}
GET /app/{app_id}/msg/{msg_id}/attempt/{attempt_id}/headers
DELETE /app/{app_id}/msg/{msg_id}/attempt/{attempt_id}/content
POST /app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend
POST /auth/app-portal-access/{app_id}
POST /auth/dashboard-access/{app_id}
GET /auth/whoami
POST /auth/logout
POST /auth/app/{app_id}/expire-all
GET /auth/app/{app_id}/poller/{endpoint_id}/token
POST /auth/app/{app_id}/poller/{endpoint_id}/token/rotate
POST /auth/one-time-token
POST /environment/export
POST /environment/import
GET /environment/settings
GET PUT PATCH /management/environment-settings
PUT /stats/usage/event-types
POST /stats/usage/app
GET /background-task
GET /background-task/{task_id}
POST /msg/broadcast
GET /health
GET /health/ping
GET /openapi.json
POST /admin/redrive-dlq
GET POST /app/{app_id}/integration
GET PUT DELETE /app/{app_id}/integration/{integ_id}
GET /app/{app_id}/integration/{integ_id}/key
POST /app/{app_id}/integration/{integ_id}/key/rotate
GET POST /operational-webhook/endpoint
GET PUT DELETE /operational-webhook/endpoint/{endpoint_id}
GET /operational-webhook/endpoint/{endpoint_id}/secret
POST /operational-webhook/endpoint/{endpoint_id}/secret/rotate
GET PUT /operational-webhook/endpoint/{endpoint_id}/headers
GET POST /connector
GET PUT PATCH DELETE /connector/{connector_id}
GET POST /transformation-template
GET PUT PATCH DELETE /transformation-template/{connector_id}
`;

const anonymous = (path: string): string => path.replace(/\{\w+\}/g, "{}");

test("every operation promised is built", async () => {
  const { paths } = (await target.call("GET", "/openapi.json")).body;
  const built = new Set<string>();
  for (const [path, operations] of Object.entries<Record<string, Record<string, unknown>>>(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      if (operation["x-not-implemented"] !== true) built.add(`${method.toUpperCase()} ${anonymous(path)}`);
    }
  }
  const missing = BUILT.trim()
    .split("\n")
    .flatMap((line) => {
      const words = line.split(" ");
      const path = `/api/v1${anonymous(words.pop() ?? "")}`;
      return words.map((method) => `${method} ${path}`).filter((one) => !built.has(one));
    });
  assert.deepEqual(missing, []);
});
