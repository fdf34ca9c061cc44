import assert from "node:assert/strict";
import { test } from "node:test";
import { browser } from "../../../test/support/web-push-browser.ts";
import { encryptPush, MAX_PLAIN_BYTES, type SubscriptionKeys, subscriptionKeys } from "./web-push-encryption.ts";

test("a browser reads what was written for it, and no other does", () => {
  const [one, other] = [browser("https://push.example"), browser("https://push.example")];
  const { public_key, auth_token } = one.subscription;
  const keys = subscriptionKeys(public_key, auth_token) as SubscriptionKeys;
  for (const payload of [{}, { body: "Grüße 🛎" }, { x: "x".repeat(MAX_PLAIN_BYTES - 8) }]) {
    const body = encryptPush(Buffer.from(JSON.stringify(payload)), keys) as Buffer;
    assert.deepEqual(one.read(body), payload);
    assert.throws(() => other.read(body));
  }
  assert.equal(MAX_PLAIN_BYTES, 3_993);
  assert.throws(() => encryptPush(Buffer.alloc(MAX_PLAIN_BYTES + 1), keys));
  assert.notDeepEqual(encryptPush(Buffer.from("{}"), keys), encryptPush(Buffer.from("{}"), keys));
});

test("keys are read in base64 and base64url", () => {
  const { public_key, auth_token } = browser("https://push.example").subscription;
  const [url, auth] = [public_key, auth_token].map((key) => Buffer.from(key, "base64").toString("base64url"));
  assert.deepEqual(subscriptionKeys(url, auth), subscriptionKeys(public_key, auth_token));
});

test("the browser of these tests reads the example of RFC 8291", () => {
  const [privateKey, auth, body] = [
    "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94",
    "BTBZMqHH6r4Tts7J_aSIgg",
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl" +
      "7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN",
  ].map((text) => Buffer.from(text, "base64url")) as [Buffer, Buffer, Buffer];
  const one = browser("https://push.example", { privateKey, auth });
  assert.equal(one.readText(body), "When I grow up, I want to be a watermelon");
});
