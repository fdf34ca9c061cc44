import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "../lib/json.ts";
import { recipientName, type Target } from "./target.ts";

const ID = "msg_00000000000000000000000000";

function named(profile: JsonObject, userId: string | null = null): string {
  const target: Target = {
    entry: 0,
    userId,
    profile,
    data: undefined,
    tenantId: null,
    viaTenant: false,
    listId: null,
    preferences: null,
    subscriptionPreferences: null,
  };
  return recipientName(target, ID);
}

test("a recipient goes by user id, else email, else phone, else the first other address", () => {
  assert.equal(named({ email: "a@x.io" }, "u1"), "u1");
  assert.equal(named({ phone_number: "+1", email: "a@x.io" }), "a@x.io");
  assert.equal(named({ slack: { channel: "C1" }, phone_number: "+1" }), "+1");
  const addresses: [JsonObject, string][] = [
    [{ slack: { access_token: "secret", channel: "C1" } }, "C1"],
    [{ webhook: { url: "https://x.io" } }, "https://x.io"],
    [{ firebaseToken: "f" }, "f"],
    [{ firebaseToken: ["f1", "f2"] }, "f1"],
    [{ apn: { tokens: ["t"] } }, "t"],
    [{ facebookPSID: "p" }, "p"],
    [{ intercom: { from: "a", to: { id: "i" } } }, "i"],
    [{ aws_sns: { target_arn: "arn" } }, "arn"],
    [{ airship: { audience: { named_user: "n" } } }, "n"],
  ];
  for (const [profile, name] of addresses) assert.equal(named(profile), name, JSON.stringify(profile));
});

test("what is no address names nobody", () => {
  assert.equal(named({ custom: { channel: "C1" }, name: "Ann" }), ID);
  assert.equal(named({ slack: { access_token: "secret" } }), ID);
  assert.equal(named({ email: "", firebaseToken: [] }), ID);
});
