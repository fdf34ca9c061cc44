/** Who may call what: keys, user tokens, enhanced security and grants. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { buildUserTokenGrant, signUserToken } from "@knocklabs/node";
import { forEachKnock, knockFor, signedToken } from "./knock-target.ts";

function refused(
  answer: { status: number; body: { code: string; status: number; type: string } },
  status: number,
  code: string,
) {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  assert.equal(answer.body.code, code);
  assert.equal(answer.body.status, status);
  assert.equal(answer.body.type, status === 401 ? "authentication_error" : "invalid_request_error");
}

forEachKnock((name, open) => {
  test(`${name}: no key, a foreign key, and what is no key`, async () => {
    const { call } = await open();
    refused(await call("GET", "/users/u1", undefined, { authorization: undefined }), 401, "api_key_missing");
    refused(await call("GET", "/users/u1", undefined, { authorization: "Basic dTpw" }), 401, "api_key_missing");
    refused(
      await call("GET", "/users/u1", undefined, { authorization: "Bearer sk_nope" }),
      401,
      "authentication_required",
    );
    refused(
      await call("GET", "/users/u1", undefined, { authorization: "Bearer a.b.c" }),
      401,
      "authentication_required",
    );
    refused(
      await call("GET", "/users/u1", undefined, { authorization: "Bearer knock_st_x" }),
      401,
      "authentication_required",
    );
  });

  test(`${name}: what only a secret key may do`, async () => {
    const { asClient, secretKey, call } = await open();
    refused(await asClient()("GET", "/users"), 401, "incorrect_token_type");
    refused(await asClient("rubbish")("DELETE", "/users/u1"), 401, "incorrect_token_type");
    refused(await asClient()("PUT", "/tenants/t", {}), 401, "incorrect_token_type");
    refused(await asClient()("GET", "/objects/c/o/preferences/default"), 401, "incorrect_token_type");
    refused(await asClient()("DELETE", "/users/u1/preferences/default"), 401, "incorrect_token_type");
    const service = { authorization: `Bearer knock_st_${secretKey}` };
    refused(await call("GET", "/users", undefined, service), 401, "incorrect_token_type");
    refused(await asClient()("POST", "/users/u1/preference_center/signed_url"), 401, "incorrect_token_type");
  });

  test(`${name}: a mock key, whose work is to reach nobody, triggers nothing`, async () => {
    const { admin, call } = await open();
    const mock = { authorization: `Bearer ${(await admin("POST", "/admin/keys", { mode: "mock" })).body.key}` };
    // Twice: the second time the key is known, and not looked for.
    for (let i = 0; i < 2; i++) {
      refused(await call("POST", "/workflows/wf/trigger", { recipients: ["u1"] }, mock), 403, "authorization");
      refused(await call("GET", "/whoami", undefined, mock), 403, "authorization");
    }
  });

  test(`${name}: what is not there is told to anyone, what is not implemented to whom it concerns`, async () => {
    const { call } = await open();
    refused(await call("GET", "/nowhere", undefined, { authorization: undefined }), 404, "resource_missing");
    refused(await call("PATCH", "/users/u1", {}), 404, "resource_missing");
    const answer = await call("POST", "/users/u1/preference_center/signed_url");
    assert.equal(answer.status, 501);
    assert.equal(answer.body.code, "not_implemented");
    assert.equal(answer.headers.get("x-should-retry"), "false");
    assert.equal((await call("GET", "/openapi", undefined, { authorization: undefined })).body.openapi, "3.1.0");
  });

  test(`${name}: a public key alone acts for any user, until security is enhanced`, async () => {
    const { asClient, security, call } = await open();
    await call("PUT", "/users/open-1", { name: "O" });
    assert.equal((await asClient()("GET", "/users/open-1")).body.name, "O");
    assert.equal((await asClient()("PUT", "/users/open-1", { name: "P" })).body.name, "P");
    // Without a key to check it with, a token is left alone.
    assert.equal((await asClient("rubbish")("GET", "/users/open-1")).status, 200);
    await security(true);
    try {
      refused(await asClient()("GET", "/users/open-1"), 401, "missing_user_token");
      refused(await asClient("rubbish")("GET", "/users/open-1"), 401, "missing_jwt_signing_key");
      assert.equal((await call("GET", "/users/open-1")).status, 200);
      assert.equal((await call("GET", "/users/open-1", undefined, { "x-knock-user-token": "rubbish" })).status, 200);
    } finally {
      await security(false);
    }
    assert.equal((await asClient()("GET", "/users/open-1")).status, 200);
  });
});

test("a user token narrows a public key to its user", async (t) => {
  const { asClient, security, signingKey, call } = await knockFor(t);
  const key = await signingKey();
  await security(true);
  await call("PUT", "/users/u1", { name: "U1" });
  await call("PUT", "/users/u2", { name: "U2" });
  const u1 = asClient(key.token("u1"));
  assert.equal((await u1("GET", "/users/u1")).body.name, "U1");
  assert.equal((await u1("PUT", "/users/u1", { name: "New" })).status, 200);
  refused(await u1("GET", "/users/u2"), 403, "authorization");
  refused(await u1("PUT", "/users/u2", { name: "Stolen" }), 403, "authorization");
  refused(await u1("GET", "/users/u2/preferences/default"), 403, "authorization");
  assert.equal((await call("GET", "/users/u2")).body.name, "U2");
  // A colon is nothing special; an encoded id is the same id.
  assert.equal((await asClient(key.token("org:7"))("PUT", "/users/org%3A7", {})).status, 200);
  // Also without enhanced security: whoever shows a token means it.
  await security(false);
  refused(await u1("GET", "/users/u2"), 403, "authorization");
  refused(await asClient("rubbish")("GET", "/users/u1"), 401, "invalid_user_token");
  assert.equal((await asClient()("GET", "/users/u2")).status, 200);
});

test("forged, expired and premature tokens", async (t) => {
  const { asClient, security, signingKey, clock, admin, call } = await knockFor(t);
  const key = await signingKey();
  const stranger = await knockFor(t);
  await call("PUT", "/users/u1", {});
  await security(true);
  const now = Math.floor(clock.now() / 1000);
  const { body: listed } = await admin("GET", "/admin/knock/signing-keys");
  const publicPem = listed.items[0].public_key as string;
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const hs256 = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: "u1" })}`;
  const good = key.token("u1");
  const [head, , signature] = good.split(".");
  const forgeries = {
    "HS256 with the public key": `${hs256}.${createHmac("sha256", publicPem).update(hs256).digest("base64url")}`,
    none: `${part({ alg: "none", typ: "JWT" })}.${part({ sub: "u1" })}.`,
    "none with a signature": `${part({ alg: "none" })}.${part({ sub: "u1" })}.${signature}`,
    "RS512 by name": signedToken(key.privateKey, { sub: "u1" }, { alg: "RS512" }),
    "critical headers": signedToken(key.privateKey, { sub: "u1" }, { alg: "RS256", crit: ["x"], x: 1 }),
    "another's key": (await stranger.signingKey()).token("u1"),
    "another payload": `${head}.${part({ sub: "u1", exp: now + 3_600 })}.${signature}`,
    expired: key.token("u1", { exp: now - 31 }),
    "not valid yet": key.token("u1", { nbf: now + 31 }),
    "no user": signedToken(key.privateKey, {}),
    "an empty user": key.token(""),
    "a user of another type": signedToken(key.privateKey, { sub: 5 }),
    "an end that is no time": key.token("u1", { exp: "soon" }),
    "grants that are none": key.token("u1", { grants: ["all"] }),
    "two parts": good.split(".").slice(0, 2).join("."),
    long: `${good}${"A".repeat(8_000)}`,
  };
  for (const [what, token] of Object.entries(forgeries)) {
    const answer = await asClient(token)("GET", "/users/u1");
    assert.equal(answer.status, 401, what);
    assert.equal(answer.body.code, "invalid_user_token", what);
  }
  assert.equal((await asClient(good)("GET", "/users/u1")).status, 200);
  assert.equal((await asClient(signedToken(key.privateKey, { sub: "u1" }))("GET", "/users/u1")).status, 200, "no end");
  assert.equal(
    (await asClient(key.token("u1", { exp: now - 29, nbf: now + 29 }))("GET", "/users/u1")).status,
    200,
    "leeway",
  );
  // It was good, and was remembered as such; its time is over all the same.
  clock.advance(3_700_000);
  refused(await asClient(good)("GET", "/users/u1"), 401, "invalid_user_token");
  const fresh = key.token("u1");
  assert.equal((await asClient(fresh)("GET", "/users/u1")).status, 200);
  // A second key for the change-over; the first is then taken away.
  const second = await signingKey();
  assert.equal((await asClient(second.token("u1"))("GET", "/users/u1")).status, 200);
  await admin("DELETE", `/admin/knock/signing-keys/${key.id}`);
  refused(await asClient(fresh)("GET", "/users/u1"), 401, "invalid_user_token");
});

test("grants", async (t) => {
  const { asClient, security, signingKey, call } = await knockFor(t);
  const key = await signingKey();
  await security(true);
  await call("PUT", "/users/u1", { name: "U1" });
  await call("PUT", "/objects/projects/p1", {});
  const own = (...names: string[]) => ({
    "https://any.host/v1/users/u1": Object.fromEntries(names.map((one) => [one, [{}]])),
  });

  const reader = asClient(key.token("u1", { explicit_grants: true, grants: own("user/read") }));
  assert.equal((await reader("GET", "/users/u1")).status, 200);
  refused(await reader("PUT", "/users/u1", {}), 403, "authorization");
  refused(await reader("GET", "/users/u1/preferences/default"), 403, "authorization");

  const nothing = asClient(key.token("u1", { explicit_grants: true }));
  refused(await nothing("GET", "/users/u1"), 403, "authorization");

  const feeds = asClient(key.token("u1", { explicit_grants: true, grants: own("user/feed_read") }));
  refused(await feeds("GET", "/users/u1/preferences/default"), 403, "authorization");

  // Preferences of one tenant only.
  const acme = asClient(
    key.token("u1", { grants: { "/v1/tenants/acme": { "preferences/read": [], "preferences/write": [] } } }),
  );
  assert.equal((await acme("GET", "/users/u1/preferences/acme")).status, 200);
  assert.equal((await acme("GET", "/users/u1/preferences/default?tenant=acme")).status, 200);
  assert.equal((await acme("PUT", "/users/u1/preferences/acme", { workflows: { w: false } })).status, 200);
  refused(await acme("GET", "/users/u1/preferences/zeta"), 403, "authorization");
  refused(await acme("GET", "/users/u1/preferences/default"), 403, "authorization");
  refused(await acme("PUT", "/users/u1/preferences/zeta/workflows/w", { subscribed: true }), 403, "authorization");
  refused(await acme("GET", "/users/u1/preferences/acme?tenant=zeta"), 403, "authorization");
  await call("PUT", "/users/u1/preferences/zeta", { workflows: { w: false } });
  const sets = (await acme("GET", "/users/u1/preferences")).body;
  assert.deepEqual(
    sets.map(({ id }: { id: string }) => id),
    ["acme"],
  );

  // Objects are reached by a grant that names them, and by no other.
  const channel = "00000000-0000-4000-8000-000000000002";
  refused(await asClient(key.token("u1"))("GET", `/objects/projects/p1/channel_data/${channel}`), 403, "authorization");
  const granted = asClient(
    key.token("u1", { grants: { "https://api.knock.app/v1/objects/projects/p1": { "channel_data/read": [] } } }),
  );
  assert.equal((await granted("GET", `/objects/projects/p1/channel_data/${channel}`)).body.code, "resource_missing");
  refused(await granted("PUT", `/objects/projects/p1/channel_data/${channel}`, { data: {} }), 403, "authorization");
});

test("what is written beside a user's properties takes the grants of its own paths", async (t) => {
  const { asClient, security, signingKey, call, admin } = await knockFor(t);
  const key = await signingKey();
  await security(true);
  const channels: readonly { id: string; type: string }[] = (await admin("GET", "/admin/knock/channels")).body.items;
  const push = channels.find(({ type }) => type === "push")?.id as string;
  const own = (...names: string[]) => ({ "/v1/users/u1": Object.fromEntries(names.map((one) => [one, []])) });
  const optedOut = { workflows: { w: false } };

  // It wrote devices and preferences with no more than user/write, which their own paths refuse.
  const writer = asClient(key.token("u1", { explicit_grants: true, grants: own("user/write") }));
  assert.equal((await writer("PUT", "/users/u1", { name: "U1", preferences: null })).status, 200);
  refused(await writer("PUT", "/users/u1", { preferences: { default: optedOut } }), 403, "authorization");
  refused(await writer("PUT", "/users/u1", { channel_data: { [push]: { tokens: ["t"] } } }), 403, "authorization");
  assert.deepEqual((await call("GET", "/users/u1/preferences/default")).body.workflows, {});
  assert.equal((await call("GET", `/users/u1/channel_data/${push}`)).status, 404);

  const all = own("user/write", "preferences/write", "channel_data/write");
  const granted = asClient(key.token("u1", { explicit_grants: true, grants: all }));
  const both = { preferences: { default: optedOut }, channel_data: { [push]: { tokens: ["t"] } } };
  assert.equal((await granted("PUT", "/users/u1", both)).status, 200);
  assert.equal((await call("GET", `/users/u1/channel_data/${push}`)).status, 200);

  // A tenant's grant divides preferences here as it does there.
  const acme = asClient(key.token("u1", { grants: { "/v1/tenants/acme": { "preferences/write": [] } } }));
  assert.equal((await acme("PUT", "/users/u1", { preferences: { acme: optedOut } })).status, 200);
  refused(await acme("PUT", "/users/u1", { preferences: { acme: {}, zeta: optedOut } }), 403, "authorization");
  refused(await acme("PUT", "/users/u1", { preferences: { default: {} } }), 403, "authorization");
});

test("a public key reads and sets an object's channel data, and takes none away", async (t) => {
  const { asClient, admin, call } = await knockFor(t);
  const channels: readonly { id: string; type: string }[] = (await admin("GET", "/admin/knock/channels")).body.items;
  const path = `/objects/projects/p1/channel_data/${channels.find(({ type }) => type === "chat")?.id}`;
  const data = { connections: [{ incoming_webhook: { url: "https://hooks.example/1" } }] };
  assert.equal((await asClient()("PUT", path, { data })).status, 200);
  // The vendor's browser clients have no such call, and it disconnected anybody's Slack.
  refused(await asClient()("DELETE", path), 401, "incorrect_token_type");
  assert.equal((await asClient()("GET", path)).status, 200);
  assert.equal((await call("DELETE", path)).status, 204);
});

test("feeds: whose, and of which tenant", async (t) => {
  const { asClient, security, signingKey, feedId } = await knockFor(t);
  const key = await signingKey();
  await security(true);
  const feed = (userId: string, query = "") => `/users/${userId}/feeds/${feedId}${query}`;
  refused(await asClient()("GET", feed("u1")), 401, "missing_user_token");
  const plain = asClient(key.token("u1"));
  assert.equal((await plain("GET", feed("u1"))).status, 200);
  assert.equal((await plain("GET", feed("u1", "?tenant=zeta"))).status, 200);
  refused(await plain("GET", feed("u2")), 403, "authorization");
  const own = { "https://any.host/v1/users/u1": { "user/feed_read": [] } };
  const reader = asClient(key.token("u1", { explicit_grants: true, grants: own }));
  assert.equal((await reader("GET", feed("u1"))).status, 200);
  refused(await reader("GET", "/users/u1/preferences/default"), 403, "authorization");
  const tenant = { "https://any.host/v1/objects/$tenants/acme": { "user/feed_read": [] } };
  const acme = asClient(key.token("u1", { grants: tenant }));
  assert.equal((await acme("GET", feed("u1", "?tenant=acme"))).status, 200);
  refused(await acme("GET", feed("u1", "?tenant=zeta")), 403, "authorization");
  refused(await acme("GET", feed("u1")), 403, "authorization");
  const both = asClient(key.token("u1", { grants: { ...own, ...tenant } }));
  assert.equal((await both("GET", feed("u1"))).status, 200);
  refused(await asClient()("POST", "/workflows/wf/trigger", { recipients: ["u1"] }), 401, "incorrect_token_type");
});

test("a token made by the vendor's own helper", async (t) => {
  const { asClient, security, signingKey, call, clock } = await knockFor(t);
  const key = await signingKey();
  await security(true);
  await call("PUT", "/users/u1", {});
  // The helper looks at the real clock, ours stands still at another time.
  clock.advance(Date.now() - clock.now());
  const grants = [
    buildUserTokenGrant({ type: "tenant", id: "acme" }, ["slack/channels_read" as never]),
    buildUserTokenGrant({ type: "object", collection: "projects", id: "p1" }, [
      "channel_data/read" as never,
      "channel_data/write" as never,
    ]),
  ];
  for (const signingKeyText of [key.privateKey, Buffer.from(key.privateKey).toString("base64")]) {
    const token = await signUserToken("u1", { signingKey: signingKeyText, grants, shouldGenerateJti: true });
    assert.equal((await asClient(token)("GET", "/users/u1")).status, 200);
  }
});
