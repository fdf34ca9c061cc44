import assert from "node:assert/strict";
import { test } from "node:test";
import { chatAddress, emailAddress, pushAddress } from "../../channels/addresses.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { Channel, Provider } from "../model.ts";
import type { ProviderKind } from "../ports.ts";
import { CHANNEL_OF, type ChannelType, USERS } from "./model.ts";
import type { PartyFacts } from "./ports.ts";
import { waysTo } from "./reach.ts";
import type { StepChannel } from "./workflows.ts";

const ADDRESSES: { readonly [channel in Channel]?: ProviderKind["address"] } = {
  inbox: (_, { userId }) => (userId === null ? null : {}),
  email: emailAddress,
  push: (profile, { tokens }) => pushAddress(profile, tokens, 0),
  chat: chatAddress,
};

function kind(provider: string, channel: Channel): ProviderKind {
  const address = ADDRESSES[channel] ?? (() => ({}));
  return { provider, channel, name: "", description: "", settings: {}, address, open: null };
}

function provider(name: string, channel: Channel, standIn = false): Provider {
  return {
    id: `prv_${name}`,
    environmentId: "env_1",
    provider: name,
    channel,
    title: "",
    alias: null,
    settings: {},
    standIn,
    createdAt: 0,
    updatedAt: 0,
  };
}

const PROVIDERS = [
  provider("courier", "inbox"),
  provider("smtp", "email"),
  provider("ses", "email"),
  provider("capture-email", "email", true),
  provider("capture-push", "push", true),
  provider("capture-chat", "chat", true),
];
const KINDS = new Map(PROVIDERS.map(({ provider, channel }) => [provider, kind(provider, channel)]));

function channel(type: ChannelType, over: Partial<StepChannel> = {}): StepChannel {
  return { id: "ch", key: type, name: "", type, provider: null, settings: {}, createdAt: 0, updatedAt: 0, ...over };
}

function facts(properties: JsonObject, data: JsonObject | null = null, collection: string = USERS): PartyFacts {
  const party = { collection, id: "ann" };
  const document = { party, kind: "channel" as const, name: "ch", body: data ?? {}, createdAt: 0, updatedAt: 0 };
  return { party, properties, createdAt: 0, updatedAt: 0, documents: data === null ? [] : [document] };
}

function addresses(to: PartyFacts, over: StepChannel, own: string | null = null): unknown {
  const found = waysTo(to, over, own, PROVIDERS, KINDS);
  return found.kind === "none" ? found.reason : found.ways.map(({ provider, address }) => [provider.provider, address]);
}

test("a mail goes through the first real provider, or the one that the channel names", () => {
  const ann = facts({ email: "a@x.io" });
  assert.deepEqual(addresses(ann, channel("email")), [["smtp", { email: "a@x.io" }]]);
  assert.deepEqual(addresses(ann, channel("email", { provider: "ses" })), [["ses", { email: "a@x.io" }]]);
  assert.deepEqual(addresses(ann, channel("email", { provider: "prv_capture-email" })), [
    ["capture-email", { email: "a@x.io" }],
  ]);
  assert.deepEqual(addresses(facts({}), channel("email"), "b@x.io"), [["smtp", { email: "b@x.io" }]]);
  assert.equal(addresses(ann, channel("email", { provider: "none" })), "channel_unconfigured");
  assert.equal(addresses(facts({}), channel("email")), "missing_data");
});

test("only users have an inbox", () => {
  assert.deepEqual(addresses(facts({}), channel("in_app_feed")), [["courier", {}]]);
  assert.equal(addresses(facts({}, null, "projects"), channel("in_app_feed")), "missing_data");
});

test("each device is a way of its own, and counts once", () => {
  const data = { devices: [{ token: "a", locale: "de" }], tokens: ["a", "b", "", 5], target_arns: ["arn:aws:1"] };
  const found = waysTo(facts({}, data), channel("push"), null, PROVIDERS, KINDS);
  assert.ok(found.kind === "ways");
  assert.deepEqual(
    found.ways.map(({ address, device }) => [address.tokens, device?.locale ?? null]),
    [
      [["a"], "de"],
      [["b"], null],
      [["arn:aws:1"], null],
    ],
  );
  assert.equal(addresses(facts({}), channel("push")), "missing_data");
  assert.equal(addresses(facts({}, { devices: "none" }), channel("push")), "missing_data");
});

test("each connection of a chat is a way of its own, on its platform", () => {
  const webhook = { incoming_webhook: { url: "https://x.io" } };
  const slack = { token: { access_token: "shared" }, connections: [{ channel_id: "C1" }, webhook, { odd: true }] };
  assert.deepEqual(addresses(facts({}, slack), channel("chat")), [
    ["capture-chat", { slack: { access_token: "shared", channel: "C1", user_id: undefined } }],
    ["capture-chat", { slack: { access_token: "shared", channel: undefined, user_id: undefined, ...webhook } }],
  ]);
  const teams = { ms_teams_tenant_id: "T", connections: [{ ms_teams_team_id: "t", ms_teams_channel_id: "c" }] };
  assert.deepEqual(addresses(facts({}, teams), channel("chat")), [
    ["capture-chat", { ms_teams: { tenant_id: "T", team_id: "t", channel_id: "c", user_id: undefined } }],
  ]);
  assert.deepEqual(addresses(facts({}, { connections: [webhook] }), channel("chat", { key: "discord" })), [
    ["capture-chat", { discord: { channel_id: undefined, ...webhook } }],
  ]);
});

test("every type of channel has a channel of ours", () => {
  assert.deepEqual(Object.values(CHANNEL_OF).toSorted(), ["chat", "email", "inbox", "push", "sms", "webhook"]);
});
