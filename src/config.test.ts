import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError, readConfig } from "./config.ts";

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
  readConfig({ PATH: "/bin", CARILLON_TEST_REQUIRE: "postgres" });
});

test("a wrong secret is not repeated, neither a key nor the password in an address", () => {
  for (const env of [{ CARILLON_SECRET_KEY: "s3c" }, { CARILLON_DATABASE_URL: "mysql://u:s3cret@h/db" }]) {
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
