import assert from "node:assert/strict";
import { test } from "node:test";
import type { SendSpec } from "../../engine/model.ts";
import { bodyOf } from "../../http/body.ts";
import { SendBody } from "./send-schema.ts";
import { translateSend } from "./send-translate.ts";

const NOW = Date.UTC(2026, 0, 5, 12);
const read = bodyOf(SendBody);

/** As it is stored: without the fields that are undefined. */
function translated(message: object): SendSpec {
  const body = { message: { content: { title: "t", body: "b" }, to: { user_id: "u1" }, ...message } };
  return JSON.parse(JSON.stringify(translateSend(read(body).message, "published", NOW)));
}
const recipients = (to: unknown) => translated({ to }).recipients;

test("one object is one recipient, a list is as many, duplicates kept", () => {
  assert.deepEqual(recipients({ user_id: "u1" }), [{ kind: "user", userId: "u1", profile: {} }]);
  assert.equal(recipients([{ user_id: "u1" }, { user_id: "u1" }]).length, 2);
});

test("everything beside the control fields is profile, and null fields are none", () => {
  const to = { user_id: "u1", email: "a@x.io", locale: "fr", custom: { a: 1 }, phone_number: null, _type: "user" };
  assert.deepEqual(recipients(to), [
    { kind: "user", userId: "u1", profile: { email: "a@x.io", locale: "fr", custom: { a: 1 } } },
  ]);
});

test("an ad hoc recipient has no user", () => {
  const slack = { access_token: "x", channel: "c" };
  assert.deepEqual(recipients({ slack, data: { a: 1 }, preferences: { notifications: {} } }), [
    { kind: "user", userId: null, profile: { slack }, data: { a: 1 }, preferences: { notifications: {} } },
  ]);
});

test("lists win over users, patterns over lists", () => {
  assert.deepEqual(recipients({ list_id: "a.b", user_id: "u1", data: { x: 1 } }), [
    { kind: "list", listId: "a.b", data: { x: 1 } },
  ]);
  assert.deepEqual(recipients({ list_id: "a", list_pattern: "a.**" }), [{ kind: "pattern", pattern: "a.**" }]);
  const filters = [{ operator: "MEMBER_OF", path: "account_id", value: "t1" }];
  assert.deepEqual(recipients({ list_id: "a", filters }), [{ kind: "list", listId: "a", memberOf: ["t1"] }]);
});

test("a tenant alone means its members, beside a user or an address it is their context", () => {
  assert.deepEqual(recipients({ tenant_id: "t1", include_children: true }), [
    { kind: "tenant", tenantId: "t1", includeChildren: true },
  ]);
  assert.deepEqual(recipients({ account_id: "t1" }), [{ kind: "tenant", tenantId: "t1", includeChildren: false }]);
  assert.deepEqual(recipients({ tenant_id: "t1", expo: { token: "x" } }), [
    { kind: "user", userId: null, profile: { expo: { token: "x" } }, tenantId: "t1" },
  ]);
  const to = { user_id: "u1", tenant_id: "t1", context: { tenant_id: "t2" } };
  assert.deepEqual(recipients(to), [{ kind: "user", userId: "u1", profile: {}, tenantId: "t2" }]);
  assert.equal(translated({ context: { tenant_id: "t3" } }).tenantId, "t3");
});

test("direct_message is chat everywhere", () => {
  const spec = translated({
    routing: { method: "all", channels: ["direct_message", { method: "single", channels: ["sms", "direct_message"] }] },
    channels: { direct_message: { if: "data.x", providers: ["slack"], routing_method: "all" }, email: null },
    timeout: { channel: { direct_message: 5 }, provider: 6, message: 7 },
  });
  assert.deepEqual(spec.routing, {
    method: "all",
    channels: ["chat", { method: "single", channels: ["sms", "chat"] }],
  });
  assert.deepEqual(spec.channels, { chat: { if: "data.x", providers: ["slack"], routingMethod: "all" } });
  assert.deepEqual(spec.timeouts, { messageMs: 7, channelMs: { chat: 5 }, providerMs: 6 });
});

test("timeouts are read in all their spellings, the newer ones first", () => {
  const spec = translated({
    timeouts: { message: 1, channel: 2, provider: { smtp: 3, gone: null } },
    timeout: { message: 9 },
    channels: { email: { timeout: 4 }, sms: { timeout: 4, timeouts: { channel: 5, provider: 6 } } },
    providers: { smtp: { timeouts: 7, metadata: { utm: { source: "s", medium: null } }, override: { body: {} } } },
  });
  assert.deepEqual(spec.timeouts, { messageMs: 9, channelMs: 2, providerMs: { smtp: 3 } });
  assert.deepEqual(spec.channels, { email: { timeoutMs: 4 }, sms: { timeoutMs: 5, providerTimeoutMs: 6 } });
  assert.deepEqual(spec.providers, { smtp: { utm: { source: "s" }, timeoutMs: 7, override: { body: {} } } });
});

test("a delay without duration and until is none; until wins over duration", () => {
  assert.equal(translated({ delay: { timezone: "Europe/Berlin" } }).delay, undefined);
  assert.deepEqual(translated({ delay: { duration: 60_000 } }).delay, { durationMs: 60_000 });
  const both = { duration: 60_000, until: "Mo-Fr 08:00-17:00", timezone: "UTC+4" };
  assert.deepEqual(translated({ delay: both }).delay, { until: "Mo-Fr 08:00-17:00", timezone: "UTC+4" });
});

test("expiry becomes a moment: milliseconds, ISO durations, and expires_at before both", () => {
  const at = (expiry: object) => translated({ expiry }).expiresAt;
  assert.equal(at({ expires_in: 5000 }), NOW + 5000);
  assert.equal(at({ expires_in: "P1D" }), NOW + 86_400_000);
  assert.equal(at({ expires_in: "PT1H30M" }), NOW + 5_400_000);
  assert.equal(at({ expires_in: "P1M" }), Date.UTC(2026, 1, 5, 12));
  assert.equal(at({ expires_in: 1, expires_at: "2026-02-01T00:00:00Z" }), Date.UTC(2026, 1, 1));
  assert.equal(at({ expires_in: 1, expires_at: 1_800_000_000 }), 1_800_000_000_000);
  assert.equal(at({ expires_in: 1, expires_at: 1_800_000_000_000 }), 1_800_000_000_000);
});

test("metadata, topic and brand find their places", () => {
  const spec = translated({
    metadata: { event: "e", tags: ["a"], trace_id: "t", utm: { source: "s" } },
    preferences: { subscription_topic_id: "p" },
    brand_id: "b",
    data: { x: 1 },
  });
  assert.deepEqual(
    [spec.event, spec.tags, spec.traceId, spec.utm, spec.topicId, spec.brandId, spec.data, spec.via],
    ["e", ["a"], "t", { source: "s" }, "p", "b", { x: 1 }, "courier"],
  );
});

test("a routing nested without end is refused", () => {
  let routing: object = { method: "single", channels: [] };
  for (let i = 0; i < 50; i++) routing = { method: "single", channels: [routing] };
  assert.throws(() => translated({ routing }), /levels of routing/);
});
