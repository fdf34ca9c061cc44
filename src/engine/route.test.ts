import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "../lib/json.ts";
import type { Channel, EnvironmentId, Provider, ProviderId, Routing } from "./model.ts";
import type { ProviderKind } from "./ports.ts";
import { type RouteInput, route } from "./route.ts";

const kind = (provider: string, channel: Channel, field: string): ProviderKind => ({
  provider,
  channel,
  name: provider,
  description: "",
  settings: {},
  address: (profile) => (field in profile ? { [field]: profile[field] } : null),
  open: null,
});
const kinds = new Map(
  [kind("mail-a", "email", "email"), kind("mail-b", "email", "second"), kind("text", "sms", "phone_number")].map(
    (one) => [one.provider, one] as const,
  ),
);
const providers = [...kinds.values()].map(
  ({ provider, channel }): Provider => ({
    id: `prv_${provider}` as ProviderId,
    environmentId: "env" as EnvironmentId,
    provider,
    channel,
    title: provider,
    alias: null,
    settings: {},
    standIn: false,
    createdAt: 0,
    updatedAt: 0,
  }),
);

const single = (...channels: Routing["channels"]): Routing => ({ method: "single", channels });

function routed(profile: JsonObject, more: Partial<RouteInput> = {}) {
  const scope = { data: { plan: "pro", data: "x" }, profile, tenant: {} };
  const routing = single("email");
  return route({
    spec: {},
    routing,
    providers,
    kinds,
    userId: null,
    profile,
    tokens: [],
    scope,
    allowed: null,
    ...more,
  });
}

test("a condition reads data, profile and tenant, and names without a prefix in data, as content does", () => {
  for (const [condition, holds] of [
    ["data.plan === 'pro'", true],
    ["plan == 'pro'", true],
    ["{{plan == 'pro'}}", true],
    ["profile.email == 'a'", true],
    ["email == 'a'", false],
    ["constructor", false],
  ] as const) {
    const way = routed({ email: "a" }, { spec: { channels: { email: { if: condition } } } });
    assert.equal(way.kind, holds ? "route" : "none", condition);
  }
});

test("filtered means that only conditions stood in the way, whichever provider came last", () => {
  const spec = { providers: { "mail-a": { if: "false" }, "mail-b": { if: "false" } } };
  assert.deepEqual(routed({ email: "a", second: "b" }, { spec }), {
    kind: "none",
    state: "filtered",
    reason: "filtered",
  });
  for (const hindered of ["mail-a", "mail-b"]) {
    const way = routed({}, { spec: { providers: { [hindered]: { if: "false" } } } });
    assert.deepEqual(way, { kind: "none", state: "unroutable", reason: "no_channels" }, hindered);
  }
});

test("channels without any provider do not count beside one whose condition is false", () => {
  const way = routed(
    { email: "a" },
    { routing: single("nobody-knows", "push", "email"), spec: { channels: { email: { if: "false" } } } },
  );
  assert.deepEqual(way, { kind: "none", state: "filtered", reason: "filtered" });
  assert.deepEqual(routed({ email: "a" }, { routing: single("nobody-knows", "push") }), {
    kind: "none",
    state: "unroutable",
    reason: "no_providers",
  });
});
