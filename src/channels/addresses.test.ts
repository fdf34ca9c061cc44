import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeviceToken } from "../engine/model.ts";
import type { JsonObject } from "../lib/json.ts";
import { chatAddress, emailAddress, pushAddress, smsAddress, webhookAddress } from "./addresses.ts";

const NOW = Date.UTC(2026, 0, 5, 12);

function device(token: string, more: Partial<DeviceToken> = {}): DeviceToken {
  return {
    token,
    userId: "u1",
    provider: "firebase-fcm",
    state: "active",
    stateReason: null,
    expiresAt: null,
    device: null,
    properties: null,
    tracking: null,
    createdAt: NOW,
    updatedAt: NOW,
    ...more,
  };
}

test("email is a filled text with an @", () => {
  assert.deepEqual(emailAddress({ email: " ann@example.com " }), { email: "ann@example.com" });
  for (const email of ["", "ann", "a@b.c\r\nBcc: x@y.z", 5, null, {}, ["a@x.io"]])
    assert.equal(emailAddress({ email } as JsonObject), null);
  assert.equal(emailAddress({}), null);
});

test("sms is a filled phone number", () => {
  assert.deepEqual(smsAddress({ phone_number: "+15550100" }), { phone: "+15550100" });
  for (const phone of ["", "  ", 15550100, null]) assert.equal(smsAddress({ phone_number: phone }), null);
});

test("push takes every active, unexpired device and the profile's tokens, each once", () => {
  const devices = [
    device("d1"),
    device("d2", { expiresAt: NOW + 1 }),
    device("late", { expiresAt: NOW }),
    device("failed", { state: "failed" }),
    device("revoked", { state: "revoked" }),
    device("unknown", { state: "unknown" }),
  ];
  const profile = {
    firebaseToken: ["f1", "d1", "", 5],
    apn: { token: "a1", tokens: ["a2", "a1"] },
    expo: { tokens: "e1" },
    oneSignalPlayerID: "o1",
    airship: { audience: { named_user: "n1" }, device_types: ["ios"] },
    aws_sns: { target_arn: "arn:1" },
  };
  assert.deepEqual(pushAddress(profile, devices, NOW), {
    tokens: ["d1", "d2", "f1", "a1", "a2", "e1", "o1", "n1", "arn:1"],
  });
  assert.deepEqual(pushAddress({ firebaseToken: "f1" }, [], NOW), { tokens: ["f1"] });
});

test("push has no address without a usable token", () => {
  for (const profile of [{}, { firebaseToken: [] }, { apn: "x" }, { expo: null }, { airship: { audience: [] } }]) {
    assert.equal(pushAddress(profile, [device("x", { state: "failed" })], NOW), null);
  }
});

test("chat takes all targets that say where to", () => {
  const slack = { access_token: "t", channel: "#c" };
  assert.deepEqual(chatAddress({ slack, discord: { channel_id: "1" }, facebookPSID: "9", ms_teams: {} }), {
    slack,
    discord: { channel_id: "1" },
    facebookPSID: "9",
  });
  assert.deepEqual(chatAddress({ slack: { incoming_webhook: { url: "https://x" } } }), {
    slack: { incoming_webhook: { url: "https://x" } },
  });
  assert.deepEqual(chatAddress({ ms_teams: { channel_name: "a", team_id: "b" } }), {
    ms_teams: { channel_name: "a", team_id: "b" },
  });
  assert.deepEqual(chatAddress({ intercom: { from: "x", to: { id: "1" } } }), {
    intercom: { from: "x", to: { id: "1" } },
  });
});

test("chat has no address when no target says where to", () => {
  for (const profile of [
    {},
    { slack: "x" },
    { slack: { access_token: "t" } },
    { ms_teams: { channel_name: "a" } },
    { discord: {} },
    { intercom: { to: "x" } },
    { facebookPSID: "" },
  ]) {
    assert.equal(chatAddress(profile), null);
  }
});

test("webhook prefers the recipient's own and keeps the static one's secrets in the settings", () => {
  const webhook = { url: "https://x.example", method: "PUT" };
  assert.deepEqual(webhookAddress({ webhook }, { url: "https://ours.example", token: "s" }), { webhook });
  assert.deepEqual(webhookAddress({}, { url: "https://ours.example", token: "s" }), { webhook: {} });
  for (const settings of [{}, { url: "" }, { url: 5 }]) assert.equal(webhookAddress({ webhook: {} }, settings), null);
});
