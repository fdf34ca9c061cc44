import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError, readConfig, shownConfig } from "./config.ts";

test("needs nothing set", () => {
  const config = readConfig({});
  assert.equal(config.port, 4000);
  assert.equal(config.databaseUrl, null);
  assert.deepEqual(config.roles, ["api", "deliver", "realtime"]);
  assert.deepEqual(config.allowNetworks, []);
});

test("stops at an unknown variable and names it", () => {
  assert.throws(
    () => readConfig({ CARILLON_SECRETKEY: "x" }),
    (error: unknown) => error instanceof ConfigError && /CARILLON_SECRETKEY/.test(error.message),
  );
});

test("leaves other programs' variables alone", () => {
  readConfig({ PATH: "/bin", CARILLON_TEST_REQUIRE: "postgres", CARILLON_URL: "http://127.0.0.1:4000" });
});

test("a wrong secret is not repeated, neither a key nor the password in an address", () => {
  const wrong: { [name: string]: string }[] = [
    { CARILLON_SECRET_KEY: "s3c" },
    { CARILLON_DATABASE_URL: "mysql://u:s3cret@h/db" },
    { CARILLON_ENCRYPTION_KEY: "s3cret" },
    { CARILLON_OLD_ENCRYPTION_KEYS: `${"ab".repeat(32)},s3cret` },
    { CARILLON_SVIX_JWT_SECRET: "s3cret" },
  ];
  for (const env of wrong) {
    assert.throws(
      () => readConfig(env),
      (error: unknown) => error instanceof ConfigError && !error.message.includes("s3c"),
    );
  }
});

test("says what was expected and what came", () => {
  const bad: [name: string, value: string, expected: RegExp][] = [
    ["PORT", "http", /a port number, got "http"/],
    ["PORT", "65536", /a port number/],
    ["CARILLON_DATABASE_URL", "mysql://x", /postgres/],
    ["CARILLON_ROLES", "api,mail", /any of api/],
    ["CARILLON_ALLOW_NETWORKS", "127.0.0.1", /CIDR/],
    ["CARILLON_ALLOW_NETWORKS", "10.0.0.0/33", /CIDR/],
    ["CARILLON_DURABILITY", "maybe", /full or normal/],
    ["CARILLON_APP_CODE", "abc", /XXXXX-XXXXX/],
    ["CARILLON_FEED_ID", "feed", /UUID/],
    ["CARILLON_KEEP_INBOX_DAYS", "-1", /days/],
    ["CARILLON_ENCRYPTION_KEY", "ab".repeat(31), /64 hex digits/],
    ["CARILLON_WEBHOOK_RETRY_SECONDS", "5,x", /numbers of seconds/],
    ["CARILLON_WEBHOOK_RETRY_SECONDS", "5,,6", /numbers of seconds/],
    ["CARILLON_WEBHOOK_DISABLE_AFTER_HOURS", "never", /0 to 8760/],
  ];
  for (const [name, value, expected] of bad) {
    assert.throws(
      () => readConfig({ [name]: value }),
      (error: unknown) =>
        error instanceof ConfigError && error.message.startsWith(name) && expected.test(error.message),
      `${name}=${value}`,
    );
  }
});

test("an empty variable counts as unset", () => {
  assert.equal(readConfig({ CARILLON_DATABASE_URL: "", PORT: "" }).port, 4000);
});

test("encryption keys in hex, base64 and base64url are the same 32 bytes", () => {
  const bytes = Buffer.from("fb".repeat(32), "hex");
  for (const encoding of ["hex", "base64", "base64url"] as const) {
    const { encryptionKey, oldEncryptionKeys } = readConfig({
      CARILLON_ENCRYPTION_KEY: bytes.toString(encoding),
      CARILLON_OLD_ENCRYPTION_KEYS: `${bytes.toString(encoding)}, ${"00".repeat(32)}`,
    });
    assert.deepEqual(encryptionKey, bytes);
    assert.deepEqual(oldEncryptionKeys, [bytes, Buffer.alloc(32)]);
  }
  assert.equal(readConfig({}).encryptionKey, null);
});

test("waits of webhooks are a list of seconds", () => {
  assert.equal(readConfig({}).webhookRetryWaitsMs.length, 7);
  assert.deepEqual(readConfig({ CARILLON_WEBHOOK_RETRY_SECONDS: "1, 60" }).webhookRetryWaitsMs, [1000, 60_000]);
  assert.deepEqual(readConfig({ CARILLON_WEBHOOK_RETRY_SECONDS: "none" }).webhookRetryWaitsMs, []);
});

test("no secret is shown, only whether it is set", () => {
  const shown = JSON.stringify(
    shownConfig(
      readConfig({
        CARILLON_SECRET_KEY: "s3cret_key",
        CARILLON_DATABASE_URL: "postgres://u:s3cret@db/x?password=s3cret",
        CARILLON_ENCRYPTION_KEY: "fb".repeat(32),
        CARILLON_OLD_ENCRYPTION_KEYS: "fb".repeat(32),
        CARILLON_SVIX_JWT_SECRET: "s3cret_jwt_of_16_or_more",
      }),
    ),
  );
  assert.ok(!shown.includes("s3cret") && !shown.includes("fbfb") && !shown.includes("251"), shown);
  assert.ok(
    shown.includes('"databaseUrl":"postgres://db/x"') && shown.includes('"oldEncryptionKeys":["(set)"]'),
    shown,
  );
});
