import assert from "node:assert/strict";
import { test } from "node:test";
import type { CaptureStore, ProviderKind } from "../engine/ports.ts";
import { checkSettings, maskSecrets, unmask } from "../engine/provider-settings.ts";
import { FakeClock } from "../lib/clock.ts";
import type { JsonObject } from "../lib/json.ts";
import { NetworkGuard } from "./network-guard.ts";
import { OutboundHttp } from "./outbound-http.ts";
import { providerKinds } from "./registry.ts";

const clock = new FakeClock();
const guard = new NetworkGuard({});
const nowhere: CaptureStore = {
  add: async () => {},
  list: async () => ({ items: [], next: null }),
  clear: async () => {},
};
const kinds = providerKinds({
  guard,
  clock,
  http: new OutboundHttp({ guard, clock }),
  captured: nowhere,
  describePush: () => ({ text: "{}", until: null }),
});

function kind(key: string): ProviderKind {
  const found = kinds.get(key);
  assert.ok(found, key);
  return found;
}

test("every channel has a provider, and only the inbox has no sender", () => {
  assert.deepEqual(
    [...kinds.values()].map((k) => [k.provider, k.channel, k.open === null]),
    [
      ["courier", "inbox", true],
      ["smtp", "email", false],
      ["webhook", "webhook", false],
      ["web-push", "push", false],
      ["capture-email", "email", false],
      ["capture-sms", "sms", false],
      ["capture-push", "push", false],
      ["capture-chat", "chat", false],
    ],
  );
});

test("the inbox needs a user", () => {
  assert.deepEqual(kind("courier").address({}, { userId: "u1", tokens: [], settings: {} }), {});
  assert.equal(kind("courier").address({ email: "a@x.io" }, { userId: null, tokens: [], settings: {} }), null);
});

test("a static webhook reaches recipients who have none of their own", () => {
  const facts = { userId: "u1", tokens: [], settings: { url: "https://ours.example" } };
  assert.deepEqual(kind("webhook").address({}, facts), { webhook: {} });
  assert.equal(kind("webhook").address({}, { ...facts, settings: {} }), null);
});

const VAPID = {
  vapid_public_key: Buffer.alloc(65, 4).toString("base64url"),
  vapid_private_key: Buffer.alloc(32, 1).toString("base64url"),
  subject: "mailto:ops@example.com",
};
const GOOD = { host: "mail.example.com", port: 587, from: "A <a@example.com>" };

test("settings that are right pass", () => {
  checkSettings(kind("smtp"), { ...GOOD, secure: false, starttls: "off", username: "u", password: "p" });
  checkSettings(kind("web-push"), VAPID);
  checkSettings(kind("web-push"), { ...VAPID, subject: "https://example.com/contact" });
  checkSettings(kind("webhook"), {});
  checkSettings(kind("webhook"), { url: "https://x.example/y", authentication: "bearer", token: "t" });
});

for (const [key, settings, field] of [
  ["smtp", { port: 25, from: "a@x.io" }, "settings.host"],
  ["smtp", { ...GOOD, host: "" }, "settings.host"],
  ["smtp", { ...GOOD, host: null }, "settings.host"],
  ["smtp", { ...GOOD, host: "a b" }, "settings.host"],
  ["smtp", { ...GOOD, host: "a\r\nb" }, "settings.host"],
  ["smtp", { ...GOOD, port: "25" }, "settings.port"],
  ["smtp", { ...GOOD, port: 70_000 }, "settings.port"],
  ["smtp", { ...GOOD, port: 1.5 }, "settings.port"],
  ["smtp", { ...GOOD, secure: "yes" }, "settings.secure"],
  ["smtp", { ...GOOD, starttls: "maybe" }, "settings.starttls"],
  ["smtp", { ...GOOD, from: "nobody" }, "settings.from"],
  ["smtp", { ...GOOD, password: "a\0" }, "settings.password"],
  ["smtp", { ...GOOD, username: "x".repeat(20_000) }, "settings.username"],
  ["smtp", { ...GOOD, apiKey: "x" }, "settings.apiKey"],
  ["smtp", JSON.parse('{"__proto__":{"host":"x"}}'), "settings.__proto__"],
  ["smtp", { ...GOOD, constructor: "x" }, "settings.constructor"],
  ["webhook", { url: "ftp://x" }, "settings.url"],
  ["webhook", { url: "http://u:p@x.example" }, "settings.url"],
  ["webhook", { authentication: "oauth" }, "settings.authentication"],
  ["courier", { anything: 1 }, "settings.anything"],
  ["web-push", { ...VAPID, vapid_public_key: `${VAPID.vapid_public_key}=` }, "settings.vapid_public_key"],
  ["web-push", { ...VAPID, vapid_private_key: "short" }, "settings.vapid_private_key"],
  ["web-push", { ...VAPID, vapid_private_key: "" }, "settings.vapid_private_key"],
  ["web-push", { ...VAPID, subject: "ann@example.com" }, "settings.subject"],
  ["web-push", { ...VAPID, subject: null }, "settings.subject"],
] as readonly (readonly [string, JsonObject, string])[]) {
  test(`${key} settings ${JSON.stringify(settings).slice(0, 60)} are refused for ${field}`, () => {
    assert.throws(() => checkSettings(kind(key), settings), { name: "Refusal", code: "invalid", field });
  });
}

test("secrets are masked in what people read, and a mask sent back keeps them", () => {
  const stored = { ...GOOD, username: "u", password: "hunter2" };
  const shown = maskSecrets(kind("smtp"), stored);
  assert.doesNotMatch(JSON.stringify(shown), /hunter2/);
  assert.equal(shown.username, "u");
  assert.deepEqual(unmask(kind("smtp"), { ...shown, port: 25 }, stored), { ...stored, port: 25 });
  assert.equal(unmask(kind("smtp"), { ...shown, password: "new" }, stored).password, "new");
  assert.equal(unmask(kind("smtp"), GOOD, stored).password, undefined);
});

test("a secret that was never set shows no mask, and a mask without a secret is refused", () => {
  const shown = maskSecrets(kind("smtp"), GOOD);
  assert.equal("password" in shown, false);
  const mask = maskSecrets(kind("smtp"), { ...GOOD, password: "p" });
  assert.throws(() => unmask(kind("smtp"), mask, GOOD), { name: "Refusal", field: "settings.password" });
});
