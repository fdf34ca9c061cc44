import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";
import { parseExpiresIn } from "../../../src/facades/courier/issue-token.ts";
import { type Api, startApi } from "../../support/server.ts";

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api.close());

const SCOPE = "user_id:u1 read:preferences write:preferences write:user-tokens";

test("auth.issueToken mints a token that may do what its scopes say, and no more", async () => {
  const { token } = await api.sdk.auth.issueToken({ scope: SCOPE, expires_in: "2 hours" });
  const headers = { authorization: `Bearer ${token}` };
  const status = async (method: string, path: string, body?: unknown) =>
    (await api.call(method, path, body, headers)).status;
  const preferences = await api.call("GET", "/users/u1/preferences", undefined, headers);
  assert.deepEqual(preferences.body, { items: [], paging: { cursor: null, more: false } });
  assert.equal(await status("GET", "/users/u2/preferences"), 403);
  assert.equal(await status("PUT", "/users/u1/tokens/x", { provider_key: "expo" }), 204);
  assert.equal(await status("GET", "/brands"), 403);
  assert.equal(await status("GET", "/lists"), 403);
  assert.equal(await status("POST", "/auth/issue-token", { scope: SCOPE, expires_in: "1h" }), 403);
  // Scoped, and therefore let through as far as the honest answer.
  assert.equal(await status("PUT", "/users/u1/preferences/topic", {}), 501);
  assert.equal((await api.call("GET", "/users/u1/preferences", undefined, { authorization: token })).status, 200);
});

test("a user scope alone gives nothing", async () => {
  const headers = { authorization: `Bearer ${await api.token("user_id:u1")}` };
  assert.equal((await api.call("GET", "/users/u1/preferences", undefined, headers)).status, 403);
});

test("the claims are those that clients read", async () => {
  const [header, payload] = (await api.token("user_id:a:b  user_id:c inbox:read:messages", "1 hour")).split(".");
  const decode = (part = "") => JSON.parse(Buffer.from(part, "base64url").toString());
  assert.deepEqual(decode(header), { alg: "HS256", typ: "JWT" });
  const claims = decode(payload);
  assert.equal(claims.scope, "user_id:a:b user_id:c inbox:read:messages");
  assert.equal(claims.exp - claims.iat, 3600);
  assert.ok(claims.jti && claims.tenant_id && claims.tenant_scope);
});

test("a token ends when its time is over", async () => {
  const headers = { authorization: `Bearer ${await api.token("user_id:u1 read:preferences", "1s")}` };
  assert.equal((await api.call("GET", "/users/u1/preferences", undefined, headers)).status, 200);
  api.clock.advance(1_000);
  const { status, body } = await api.call("GET", "/users/u1/preferences", undefined, headers);
  assert.deepEqual([status, body], [401, { message: "Unauthorized", type: "authentication_error" }]);
});

test("tokens that were tampered with, unsigned or signed by others are 401", async () => {
  const token = await api.token(SCOPE);
  const [header, payload, signature] = token.split(".") as [string, string, string];
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString());
  const forged = encode({ ...claims, scope: "user_id:u2 read:preferences" });
  const none = encode({ alg: "none", typ: "JWT" });
  const otherSign = createHmac("sha256", "guess").update(`${header}.${forged}`).digest("base64url");
  for (const bad of [
    `${header}.${forged}.${signature}`,
    `${none}.${payload}.`,
    `${none}.${payload}.${signature}`,
    `${header}.${forged}.${otherSign}`,
    "a.b.c",
    `${header}.${encode({})}.${signature}`,
    token.slice(0, -2),
  ]) {
    const { status } = await api.call("GET", "/users/u1/preferences", undefined, { authorization: `Bearer ${bad}` });
    assert.equal(status, 401, bad.slice(0, 20));
  }
});

test("bad scopes and spans are 400", async () => {
  for (const [scope, expires_in] of [
    ["", "1h"],
    ["   ", "1h"],
    ["read:preferences", "1h"],
    ["user_id: read:preferences", "1h"],
    ["user_id:u1", "soon"],
    ["user_id:u1", "0"],
    ["user_id:u1", "-1h"],
    ["user_id:u1", ""],
    ["user_id:u1", null],
    ["user_id:u1", "1e9y"],
    ["user_id:u1", "99999 years"],
    [null, "1h"],
    [["user_id:u1"], "1h"],
  ]) {
    const { status } = await api.call("POST", "/auth/issue-token", { scope, expires_in });
    assert.equal(status, 400, JSON.stringify([scope, expires_in]));
  }
  assert.equal((await api.call("POST", "/auth/issue-token", { scope: "read:brands", expires_in: 60 })).status, 200);
});

test("spans of time are read as documented", () => {
  const hour = 3_600_000;
  for (const [text, ms] of [
    ["2 hours", 2 * hour],
    ["1d", 24 * hour],
    ["3 days", 72 * hour],
    ["10h", 10 * hour],
    ["2.5 hrs", 2.5 * hour],
    ["1m", 60_000],
    ["5s", 5_000],
    ["1 week", 168 * hour],
    ["1y", 365.25 * 24 * hour],
    ["90", 90_000],
    [90, 90_000],
  ] as const) {
    assert.equal(parseExpiresIn(text), ms, String(text));
  }
});
