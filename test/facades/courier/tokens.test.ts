import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import Courier from "@trycourier/courier";
import { type Api, startApi } from "../../support/server.ts";

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api.close());

test("users.tokens: put, read, patch, delete", async () => {
  const { tokens } = api.sdk.users;
  const put = await api.call("PUT", "/users/u1/tokens/t1", {
    provider_key: "firebase-fcm",
    device: { platform: "android" },
  });
  assert.equal(put.status, 204);
  await tokens.addSingle("t2", { user_id: "u1", provider_key: "firebase-fcm", expiry_date: false });
  const all = await tokens.list("u1");
  assert.deepEqual(all.tokens.map(({ token }) => token).sort(), ["t1", "t2"]);

  const one = await tokens.retrieve("t1", { user_id: "u1" });
  assert.equal(one.status, "active");
  assert.equal(one.provider_key, "firebase-fcm");
  // Two months by default.
  assert.equal(one.expiry_date, "2026-03-05T12:00:00.000Z");
  assert.equal((await tokens.retrieve("t2", { user_id: "u1" })).expiry_date, false);

  await tokens.update("t1", { user_id: "u1", patch: [{ op: "replace", path: "/device/platform", value: "ios" }] });
  assert.deepEqual((await tokens.retrieve("t1", { user_id: "u1" })).device, { platform: "ios" });
  for (const step of [
    { op: "replace", path: "/token", value: "other" },
    { op: "replace", path: "/provider_key", value: "carrier-pigeon" },
    { op: "remove", path: "/absent" },
  ]) {
    assert.equal((await api.call("PATCH", "/users/u1/tokens/t1", { patch: [step] })).status, 400, JSON.stringify(step));
  }
  const unknown = await api.call("PATCH", "/users/u1/tokens/nope", { patch: [] });
  assert.equal(unknown.status, 404);

  assert.equal((await api.call("DELETE", "/users/u1/tokens/t1")).status, 204);
  assert.equal((await api.call("DELETE", "/users/u1/tokens/t1")).status, 204);
  await assert.rejects(tokens.retrieve("t1", { user_id: "u1" }), Courier.NotFoundError);
});

test("PUT of several adds and overwrites, as an object or as a bare list", async () => {
  const token = (name: string) => ({ token: name, provider_key: "apn", properties: { a: 1 } });
  assert.equal((await api.call("PUT", "/users/u2/tokens", { tokens: [token("m1"), token("m2")] })).status, 204);
  assert.equal((await api.call("PUT", "/users/u2/tokens", [token("m3")])).status, 204);
  assert.equal((await api.sdk.users.tokens.list("u2")).tokens.length, 3);
  const bad = await api.call("PUT", "/users/u2/tokens", { tokens: [token("m4"), { token: "m5" }] });
  assert.deepEqual([bad.status, bad.body.message], [400, "tokens.1.provider_key: Required"]);
  assert.equal((await api.sdk.users.tokens.list("u2")).tokens.length, 3);
});

test("a token put on another user moves", async () => {
  await api.call("PUT", "/users/u3/tokens/moving", { provider_key: "expo" });
  await api.call("PUT", "/users/u4/tokens/moving", { provider_key: "expo" });
  assert.deepEqual((await api.call("GET", "/users/u3/tokens")).body.tokens, []);
  assert.equal((await api.call("GET", "/users/u4/tokens")).body.tokens.length, 1);
});

test("what is no token is refused", async () => {
  const body = { provider_key: "expo" };
  for (const [path, wrong] of [
    ["/users/u5/tokens/x", {}],
    ["/users/u5/tokens/x", { provider_key: "nope" }],
    ["/users/u5/tokens/x", { ...body, token: "y" }],
    ["/users/u5/tokens/x", { ...body, expiry_date: "soon" }],
    ["/users/u5/tokens/x", { ...body, expiry_date: true }],
    [`/users/u5/tokens/${"x".repeat(1_025)}`, body],
    ["/users/u5/tokens/%00", body],
  ] as const) {
    const { status, body: answer } = await api.call("PUT", path, wrong);
    assert.deepEqual([status, answer.type], [400, "invalid_request_error"], JSON.stringify(wrong));
  }
  assert.equal((await api.call("PUT", "/users/u5/tokens/x", { ...body, device: null, expiry_date: null })).status, 204);
});

test("of several tokens the one at fault is named, and none is written", async () => {
  const good = { token: "good", provider_key: "expo" };
  for (const [wrong, field] of [
    [{ ...good, token: "" }, "token"],
    [{ ...good, expiry_date: "soon" }, "expiry_date"],
  ] as const) {
    const { status, body } = await api.call("PUT", "/users/u8/tokens", { tokens: [good, wrong] });
    assert.deepEqual([status, body.message.split(":")[0]], [400, `tokens.1.${field}`]);
  }
  assert.deepEqual((await api.call("GET", "/users/u8/tokens")).body.tokens, []);
});

test("tokens with colons and equals signs arrive as they are, raw or encoded", async () => {
  for (const path of ["/users/u6/tokens/abc:APA91b==", "/users/u6/tokens/abc%3AAPA91b%3D%3D"]) {
    assert.equal((await api.call("PUT", path, { provider_key: "firebase-fcm" })).status, 204);
  }
  assert.deepEqual(
    (await api.call("GET", "/users/u6/tokens")).body.tokens.map((t: { token: string }) => t.token),
    ["abc:APA91b=="],
  );
});

test("a user's own token may do what its scopes say", async () => {
  const as = async (scope: string) => ({ authorization: `Bearer ${await api.token(scope)}` });
  const write = await as("user_id:u7 write:user-tokens");
  const put = { provider_key: "apn" };
  assert.equal((await api.call("PUT", "/users/u7/tokens/x", put, write)).status, 204);
  assert.equal((await api.call("PUT", "/users/u8/tokens/x", put, write)).status, 403);
  assert.equal((await api.call("GET", "/users/u7/tokens/x", undefined, write)).status, 403);
  assert.equal(
    (await api.call("GET", "/users/u7/tokens/x", undefined, await as("user_id:u7 read:user-tokens"))).status,
    200,
  );
});
