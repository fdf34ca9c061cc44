/** Tokens: whose they are, what is wrong with those that are refused, and what each may do. Scenarios 2, 37, 39. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { environmentIdOf } from "../../../src/facades/svix/authentication.ts";
import { fromKsuid, ksuid } from "../../../src/facades/svix/ids.ts";
import { newId } from "../../../src/lib/ids.ts";
import { forEachSvix, JWT_SECRET, type SvixTarget } from "./svix-target.ts";

const FOREIGN_ORG = "org_23rb8YdGqMT0qIzpgGwdXfHirMu";
const FOREIGN_APP = "app_23rb8YdGqMT0qIzpgGwdXfHirMu";

const seconds = (target: SvixTarget, more = 0): number => Math.floor(target.clock.now() / 1000) + more;

async function newApp(target: SvixTarget, uid: string | null = null) {
  return await target.svix.application.create({ name: "an application", uid });
}

forEachSvix((name, open) => {
  test(`${name}: a secret key stands for its organisation`, async () => {
    const target = await open();
    const me = await target.call("GET", "/auth/whoami");
    assert.equal(me.status, 200);
    assert.deepEqual(me.body, {
      envId: target.orgId,
      appId: null,
      streamAppId: null,
      permissionSource: "RegionalAuthToken",
      sessionId: null,
    });
    assert.equal(fromKsuid("org", "env", target.orgId), target.environment.id);
  });

  test(`${name}: tokens that are none, or not good, are refused as such`, async () => {
    const target = await open();
    const now = seconds(target);
    const sub = target.orgId;
    const header = (value: string | undefined) =>
      target.call("GET", "/auth/whoami", undefined, { authorization: value });
    const bearers: readonly string[] = [
      "garbage",
      "a.b.c",
      "..",
      "appsk_x",
      `appsk_${"A".repeat(88)}`,
      "sk_poll_x",
      "integsk_x",
      "code_x",
      target.jwt({ sub }, "another-secret-of-16"),
      target.jwt({ sub }, JWT_SECRET, "none"),
      target.jwt({ sub }, JWT_SECRET, "HS512"),
      target.jwt({ sub, exp: now - 16 * 60 }),
      target.jwt({ sub, nbf: now + 16 * 60 }),
      target.jwt({ sub, exp: "tomorrow" }),
      target.jwt({ sub: 7 }),
      target.jwt([]),
      `${target.jwt({ sub })}x`,
      ksuid("org", newId("env", target.clock.now())),
    ];
    const refused = { code: "authentication_failed", detail: "Invalid token" };
    for (const value of [undefined, "", "Bearer", "Bearer ", `Basic ${target.token}`, target.token, "Bearer a b"]) {
      const answer = await header(value);
      assert.deepEqual([answer.status, answer.body], [401, refused], String(value));
    }
    for (const token of bearers) {
      const answer = await header(`Bearer ${token}`);
      assert.deepEqual([answer.status, answer.body], [401, refused], token);
    }
    assert.equal((await header(`bearer  ${target.token} `)).status, 200);
  });

  test(`${name}: the secret itself in place of a token is answered with a hint`, async () => {
    const target = await open();
    for (const secret of [JWT_SECRET, "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"]) {
      const answer = await target.with(secret).call("GET", "/auth/whoami");
      assert.deepEqual([answer.status, answer.body.code], [401, "authentication_failed"]);
      assert.match(answer.body.detail, /secret/);
    }
    const nobody = await target.with(target.jwt({ iss: "svix-server" })).call("GET", "/auth/whoami");
    assert.equal(nobody.status, 401);
    assert.match(nobody.body.detail, /sub/);
  });

  test(`${name}: ids that are none, in a token that is signed well, are a bad request`, async () => {
    const target = await open();
    for (const claims of [
      { sub: "nobody" },
      { sub: "org_short" },
      { sub: "user_23rb8YdGqMT0qIzpgGwdXfHirMu" },
      { sub: FOREIGN_APP },
      { sub: FOREIGN_APP, org: "acme" },
    ]) {
      const answer = await target.with(target.jwt(claims)).call("GET", "/auth/whoami");
      assert.deepEqual([answer.status, answer.body.code], [400, "bad_token"], JSON.stringify(claims));
    }
    // Well-formed, but no application of this server.
    const answer = await target.with(target.jwt({ sub: FOREIGN_APP, org: target.orgId })).call("GET", "/auth/whoami");
    assert.equal(answer.status, 401);
  });

  test(`${name}: a signed token of an organisation is good within its time, give or take 15 minutes`, async () => {
    const target = await open();
    const now = seconds(target);
    for (const claims of [
      { sub: target.orgId },
      { sub: target.orgId, iss: "someone", iat: now, nbf: now, exp: now + 60 },
      { sub: target.orgId, exp: now - 14 * 60 },
      { sub: target.orgId, nbf: now + 14 * 60 },
    ]) {
      const { svix, svix2, call } = target.with(target.jwt(claims));
      const me = await call("GET", "/auth/whoami");
      assert.deepEqual([me.body.envId, me.body.permissionSource], [target.orgId, "SvixJwt"]);
      assert.ok(Array.isArray((await svix.application.list()).data));
      assert.ok(Array.isArray((await svix2.application.list()).data));
    }
    const short = target.with(target.jwt({ sub: target.orgId, exp: now + 60 }));
    assert.equal((await short.call("GET", "/auth/whoami")).status, 200);
    target.clock.advance(17 * 60_000);
    assert.equal((await short.call("GET", "/auth/whoami")).status, 401);
  });

  test(`${name}: an organisation of another Svix server is an environment of its own from its first call on`, async () => {
    const target = await open();
    const { svix, call } = target.with(target.jwt({ sub: FOREIGN_ORG }));
    const uid = `shared-${name}`;
    const mine = await newApp(target, uid);
    // Ten at once: whichever makes it, all of them find it.
    const first = await Promise.all(Array.from({ length: 10 }, () => call("GET", "/auth/whoami")));
    assert.deepEqual(
      first.map(({ status, body }) => [status, body.envId]),
      first.map(() => [200, FOREIGN_ORG]),
    );
    const theirs = await svix.application.create({ name: "theirs", uid });
    assert.notEqual(theirs.id, mine.id);
    await assert.rejects(svix.application.get(mine.id), { code: 404 });
    const environments = await target.app.store.environments.environments();
    assert.equal(environments.filter(({ id }) => id === environmentIdOf(FOREIGN_ORG)).length, 1);
  });

  test(`${name}: a signed token of an application acts for it and for nothing else`, async () => {
    const target = await open();
    const app = await newApp(target, `signed-${name}`);
    const other = await newApp(target);
    const claims = { sub: app.id, org: target.orgId, iat: seconds(target), feature_flags: ["beta", 7] };
    const { call } = target.with(target.jwt(claims));
    const me = await call("GET", "/auth/whoami");
    assert.deepEqual([me.body.envId, me.body.appId], [target.orgId, app.id]);
    assert.equal((await call("GET", `/app/${app.id}`)).status, 200);
    assert.equal((await call("GET", `/app/signed-${name}`)).status, 200);
    assert.deepEqual((await call("GET", `/app/${other.id}`)).body, { code: "not_found", detail: "Entity not found" });
    assert.deepEqual((await call("GET", "/app")).body.code, "insufficient access");
    const elsewhere = target.with(target.jwt({ ...claims, org: FOREIGN_ORG }));
    assert.equal((await elsewhere.call("GET", `/app/${app.id}`)).status, 404);
  });

  test(`${name}: a restricted token is refused what is the organisation's`, async () => {
    const target = await open();
    const app = await newApp(target);
    const { token } = await target.svix.authentication.appPortalAccess(app.id, { featureFlags: [] });
    const { svix, svix2, call } = target.with(token);
    assert.equal((await svix.application.get(app.id)).id, app.id);
    assert.equal((await svix2.application.get(app.id)).id, app.id);
    for (const [method, path, body] of [
      ["GET", "/app"],
      ["POST", "/app", { name: "x" }],
      ["PUT", `/app/${app.id}`, { name: "x" }],
      ["PATCH", `/app/${app.id}`, { name: "x" }],
      ["DELETE", `/app/${app.id}`],
      ["POST", `/app/${app.id}/msg`, { eventType: "x", payload: {} }],
      ["POST", `/app/${app.id}/msg/expunge-all-contents`],
      ["DELETE", `/app/${app.id}/msg/x/content`],
      ["DELETE", `/app/${app.id}/msg/x/attempt/x/content`],
      ["POST", "/event-type", { name: "x", description: "x" }],
      ["PUT", "/event-type/x", { description: "x" }],
      ["DELETE", "/event-type/x"],
      ["POST", "/event-type/import/openapi", { specRaw: "" }],
      ["POST", `/auth/app-portal-access/${app.id}`, {}],
      ["POST", `/auth/app/${app.id}/expire-all`, {}],
      ["GET", `/app/${app.id}/integration`],
      ["GET", "/operational-webhook/endpoint"],
      ["POST", "/environment/export"],
      ["PUT", "/management/environment-settings", {}],
      ["POST", "/connector", { name: "x", transformation: "function handler(w) { return w }" }],
      ["PUT", "/stats/usage/event-types"],
      ["POST", "/msg/broadcast", { eventType: "x", payload: {} }],
      ["GET", "/background-task"],
    ] as const) {
      const answer = await call(method, path, body);
      assert.deepEqual([answer.status, answer.body?.code], [403, "insufficient access"], `${method} ${path}`);
    }
    for (const own of [svix, svix2]) {
      const endpoint = await own.endpoint.create(app.id, { url: "https://example.com/hook" });
      assert.equal((await own.endpoint.get(app.id, endpoint.id)).id, endpoint.id);
      await own.endpoint.patch(app.id, endpoint.id, { description: "mine" });
      assert.match((await own.endpoint.getSecret(app.id, endpoint.id)).key, /^whsec_/);
      assert.equal((await own.endpoint.list(app.id)).data.length, 1);
      await own.endpoint.delete(app.id, endpoint.id);
    }
    const other = await newApp(target);
    for (const path of ["", "/endpoint", "/msg"]) {
      const answer = await call("GET", `/app/${other.id}${path}`);
      assert.deepEqual([answer.status, answer.body.code], [404, "not_found"], path);
    }
    await assert.rejects(svix.application.list(), { code: 403 });
    await assert.rejects(svix2.application.list(), { code: 403 });
  });

  test(`${name}: two environments may use the same uid`, async () => {
    const target = await open();
    const another = await target.another();
    const uid = `twice-${name}`;
    await newApp(target, uid);
    const made = await another.call("POST", "/app", { name: "x", uid });
    assert.equal(made.status, 201);
    assert.equal((await target.call("POST", "/app", { name: "x", uid })).status, 409);
    assert.equal((await another.call("DELETE", `/app/${uid}`)).status, 204);
    assert.equal((await target.call("GET", `/app/${uid}`)).status, 200);
  });

  test(`${name}: a key that is revoked is refused`, async () => {
    const target = await open();
    const another = await target.another();
    assert.equal((await another.call("GET", "/auth/whoami")).status, 200);
    const { keys } = target.app.store.environments as { keys(id: string): Promise<readonly { id: `key_${string}` }[]> };
    const [key] = await keys(another.environmentId);
    assert.ok(key !== undefined);
    await target.app.store.environments.revokeKey(another.environmentId, key.id, target.clock.now());
    target.clock.advance(6_000);
    assert.equal((await another.call("GET", "/auth/whoami")).status, 401);
  });

  test(`${name}: the token of an application in another environment finds nothing here`, async () => {
    const target = await open();
    const another = await target.another();
    const theirs = await another.svix.application.create({ name: "theirs" });
    const { token } = await another.svix.authentication.appPortalAccess(theirs.id, { featureFlags: [] });
    const mine = await newApp(target);
    assert.equal((await target.with(token).call("GET", `/app/${mine.id}`)).status, 404);
    // Changing one character of a token makes it nobody's.
    for (let at = 6; at < token.length; at += 7) {
      const changed = token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
      assert.equal((await target.with(changed).call("GET", "/auth/whoami")).status, 401);
    }
  });

  test(`${name}: what was found out of a token is not kept in the clear`, async () => {
    const target = await open();
    const app = await newApp(target);
    const { token, url } = await target.svix.authentication.appPortalAccess(app.id, { featureFlags: [] });
    const { oneTimeToken } = JSON.parse(Buffer.from(url.split("#key=")[1] ?? "", "base64url").toString());
    const id = fromKsuid("app", "app", app.id);
    const { items } = await target.app.store.documents.list(target.environment.id, `portal-token:${id}`, { limit: 10 });
    assert.equal(items.length, 2);
    const kept = JSON.stringify(items);
    for (const text of [token, oneTimeToken]) {
      assert.ok(!kept.includes(text.slice(-24)));
      assert.ok(!kept.includes(createHash("sha256").update(text).digest("hex")));
    }
  });

  test(`${name}: environments cannot be made by tokens that are over`, async () => {
    const target = await open();
    const org = "org_27rb8YdGqMT0qIzpgGwdXfHirMu";
    const token = target.jwt({ sub: org, exp: seconds(target, -3_600) });
    assert.equal((await target.with(token).call("GET", "/auth/whoami")).status, 401);
    const environments = await target.app.store.environments.environments();
    assert.ok(!environments.some(({ id }) => id === environmentIdOf(org)));
  });
});
