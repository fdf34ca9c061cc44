import assert from "node:assert/strict";
import { test } from "node:test";
import { RateLimits, type Tier, tierOf } from "./rate-limits.ts";

test("each endpoint is of the vendor's tier", () => {
  const tiers: { readonly [route: string]: Tier } = {
    "POST /workflows/:key/trigger": 5,
    "POST /workflows/:key/cancel": 5,
    "POST /notify": 3,
    "GET /users": 4,
    "GET /users/:user_id": 4,
    "PUT /users/:user_id": 3,
    "DELETE /users/:user_id": 2,
    "POST /users/:user_id/merge": 2,
    "GET /users/:user_id/channel_data/:channel_id": 4,
    "DELETE /users/:user_id/channel_data/:channel_id": 3,
    "PUT /users/:user_id/preferences/:set": 3,
    "POST /users/bulk/identify": 1,
    "GET /users/:user_id/feeds/:channel_id": 2,
    "GET /users/:user_id/feeds/:channel_id/settings": 4,
    "GET /users/:user_id/guides/:channel_id": 2,
    "PUT /users/:user_id/guides/messages/seen": 2,
    "DELETE /objects/:collection/:object_id": 3,
    "POST /objects/:collection/bulk/set": 1,
    "DELETE /tenants/:tenant_id": 2,
    "GET /messages/:message_id": 4,
    "GET /messages/:message_id/events": 3,
    "GET /messages/:message_id/delivery_logs": 3,
    "PUT /messages/:message_id/seen": 2,
    "DELETE /messages/:message_id/read": 2,
    "POST /messages/batch/seen": 3,
    "GET /messages/batch/content": 4,
    "POST /channels/:channel_id/messages/bulk/read": 2,
    "GET /workflow_recipient_runs/:id": 2,
    "GET /schedules": 4,
    "DELETE /schedules": 3,
    "POST /schedules/bulk/create": 1,
    "POST /audiences/:key/members": 3,
    "GET /bulk_operations/:id": 4,
    "PUT /providers/slack/:channel_id/revoke_access": 2,
  };
  for (const [route, tier] of Object.entries(tiers)) {
    const [method, path] = route.split(" ") as [string, string];
    assert.equal(tierOf(method, path), tier, route);
  }
});

test("a second's calls at once, then one for each part of a second, and no more saved up than a second's", () => {
  const limits = new RateLimits();
  const at = 1_000_000;
  for (let n = 0; n < 5; n++) assert.equal(limits.take("a", 5, at), null);
  assert.equal(limits.take("a", 5, at), 200);
  assert.equal(limits.take("b", 5, at), null, "another's are its own");
  assert.equal(limits.take("a", 5, at + 150), 50, "asking in vain costs nothing");
  assert.equal(limits.take("a", 5, at + 200), null);
  assert.equal(limits.take("a", 5, at + 200), 200);
  for (let n = 0; n < 5; n++) assert.equal(limits.take("a", 5, at + 60_000), null);
  assert.equal(limits.take("a", 5, at + 60_000), 200);
});
