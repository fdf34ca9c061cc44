/** Letting people into the portal of an application, and out again. Scenario 40; standing tokens of pollers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AppPortalCapability } from "svix";
import { fromKsuid } from "../../../src/facades/svix/ids.ts";
import { AccessTokens } from "../../../src/facades/svix/tokens.ts";
import { newId } from "../../../src/lib/ids.ts";
import { forEachSvix, type SvixTarget } from "./svix-target.ts";

const HOUR_MS = 3_600_000;

function keyIn(url: string) {
  const { searchParams, hash, origin, pathname } = new URL(url);
  assert.equal([...searchParams].length, 0);
  const key = JSON.parse(Buffer.from(hash.slice("#key=".length), "base64url").toString());
  return { origin, pathname, key };
}

async function works(target: SvixTarget, token: string): Promise<boolean> {
  return (await target.with(token).call("GET", "/auth/whoami")).status === 200;
}

forEachSvix((name, open) => {
  test(`${name}: both calls, through both SDKs, give a token and a page of this server`, async () => {
    const target = await open();
    const app = await target.svix.application.create({ name: "x", uid: `both-${name}` });
    const answers = [
      await target.svix.authentication.appPortalAccess(app.id, { featureFlags: [] }),
      await target.svix2.authentication.appPortalAccess(`both-${name}`, { featureFlags: ["beta"] }),
      await target.svix.authentication.dashboardAccess(app.id),
      (await target.call("POST", `/auth/dashboard-access/${app.id}`)).body,
      (await target.call("POST", `/auth/app-portal-access/${app.id}`, "", { "content-type": undefined })).body,
    ];
    for (const { url, token } of answers) {
      const { origin, pathname, key } = keyIn(url);
      assert.deepEqual([origin, pathname], [target.url, "/portal/login"]);
      assert.deepEqual(
        { ...key, oneTimeToken: typeof key.oneTimeToken },
        {
          appId: app.id,
          oneTimeToken: "string",
          region: "self_hosted",
          serverUrl: target.url,
        },
      );
      assert.match(token, /^appsk_[\w-]+$/);
      assert.equal((await target.with(token).call("GET", `/app/${app.id}`)).status, 200);
    }
  });

  test(`${name}: an unknown application is a 404, or made when it comes along, and then left alone`, async () => {
    const target = await open();
    const uid = `made-${name}`;
    const missing = await target.call("POST", `/auth/app-portal-access/${uid}`, {});
    assert.deepEqual([missing.status, missing.body.code], [404, "not_found"]);
    const application = { name: "first", uid, rateLimit: 5, metadata: { k: "v" } };
    await target.svix.authentication.appPortalAccess(uid, { application, featureFlags: [] });
    await target.svix2.authentication.appPortalAccess(uid, { application: { name: "second", uid }, featureFlags: [] });
    const made = await target.svix.application.get(uid);
    assert.deepEqual([made.name, made.throttleRate, made.metadata], ["first", 5, { k: "v" }]);
    // Many at once make one.
    const racing = { application: { name: "race", uid: `race-${name}` } };
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => target.call("POST", `/auth/app-portal-access/race-${name}`, racing)),
    );
    assert.deepEqual(
      answers.map(({ status }) => status),
      answers.map(() => 200),
    );
  });

  test(`${name}: what is wrong with the body is told field by field`, async () => {
    const target = await open();
    const app = await target.svix.application.create({ name: "x" });
    const locs = async (body: unknown, key: string = app.id): Promise<unknown> => {
      const answer = await target.call("POST", `/auth/app-portal-access/${key}`, body);
      assert.equal(answer.status, 422);
      return answer.body.detail.map(({ loc, type }: { loc: string[]; type: string }) => [loc.join("."), type]);
    };
    assert.deepEqual(
      await locs({
        application: { name: "", uid: "app_1" },
        expiry: 3_599,
        sessionId: "a b",
        capabilities: ["ViewBase", "Everything"],
        featureFlags: ["a b"],
        readOnly: "yes",
      }),
      [
        ["body.application.name", "value_error"],
        ["body.application.uid.__all__", "value_error"],
        ["body.readOnly", "value_error.jsondecode"],
        ["body.capabilities.[1]", "value_error"],
        ["body.featureFlags.[0]", "value_error"],
        ["body.sessionId", "value_error"],
        ["body.expiry", "value_error"],
      ],
    );
    assert.deepEqual(await locs({ expiry: 604_801 }), [["body.expiry", "value_error"]]);
    assert.deepEqual(await locs({ application: { name: "x" } }, "nobody"), [
      ["body.application.uid", "application_uid_missing"],
    ]);
    assert.deepEqual(await locs({ application: { name: "x", uid: "other" } }, "nobody"), [
      ["body.application.uid", "application_uid_mismatch"],
    ]);
  });

  test(`${name}: the code of the page works once, whoever is first`, async () => {
    const target = await open();
    const app = await target.svix.application.create({ name: "x" });
    const { url } = await target.svix.authentication.appPortalAccess(app.id, {
      featureFlags: [],
      capabilities: [AppPortalCapability.ViewBase, AppPortalCapability.CreateAttempts],
      sessionId: "s1",
    });
    const { oneTimeToken } = keyIn(url).key;
    const redeem = (): ReturnType<SvixTarget["call"]> =>
      target.call("POST", "/auth/one-time-token", { oneTimeToken }, { authorization: undefined });
    // The code itself is no token.
    assert.equal(await works(target, oneTimeToken), false);
    const answers = await Promise.all([redeem(), redeem(), redeem(), redeem(), redeem()]);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 401, 401, 401, 401]);
    const body = answers.find(({ status }) => status === 200)?.body;
    assert.deepEqual(body.capabilities, ["ViewBase", "CreateAttempts"]);
    const me = await target.with(body.token).call("GET", "/auth/whoami");
    assert.deepEqual([me.body.appId, me.body.sessionId], [app.id, "s1"]);
    assert.equal((await redeem()).status, 401);
    for (const bad of ["", "x", 7, null, "code_x", `code_${"A".repeat(88)}`, "\0"]) {
      const answer = await target.call("POST", "/auth/one-time-token", { oneTimeToken: bad });
      assert.ok(answer.status === 401 || answer.status === 422, String(bad));
    }
  });

  test(`${name}: tokens and codes end with their time`, async () => {
    const target = await open();
    const app = await target.svix.application.create({ name: "x" });
    const short = await target.svix.authentication.appPortalAccess(app.id, { featureFlags: [], expiry: 3_600 });
    const week = await target.svix.authentication.appPortalAccess(app.id, { featureFlags: [] });
    assert.ok(await works(target, short.token));
    target.clock.advance(HOUR_MS);
    assert.equal(await works(target, short.token), false);
    assert.ok(await works(target, week.token));
    target.clock.advance(7 * 24 * HOUR_MS);
    assert.equal(await works(target, week.token), false);
    const code = keyIn(week.url).key.oneTimeToken;
    assert.equal((await target.call("POST", "/auth/one-time-token", { oneTimeToken: code })).status, 401);
    // What is over is thrown away as new ones are made.
    for (let i = 0; i < 3; i++) await target.svix.authentication.appPortalAccess(app.id, { featureFlags: [] });
    const kind = `portal-token:${fromKsuid("app", "app", app.id)}`;
    const { items } = await target.app.store.documents.list(target.environment.id, kind, { limit: 100 });
    assert.equal(items.length, 6);
  });

  test(`${name}: a logout ends one token, and is for applications' tokens only`, async () => {
    const target = await open();
    const app = await target.svix.application.create({ name: "x" });
    const one = await target.svix.authentication.appPortalAccess(app.id, { featureFlags: [] });
    const other = await target.svix.authentication.appPortalAccess(app.id, { featureFlags: [] });
    await target.with(one.token).svix.authentication.logout();
    assert.equal(await works(target, one.token), false);
    assert.ok(await works(target, other.token));
    await target.with(other.token).svix2.authentication.logout();
    assert.equal(await works(target, other.token), false);
    await assert.rejects(target.svix.authentication.logout(), { code: 403 });

    const now = Math.floor(target.clock.now() / 1000);
    const signed = target.jwt({ sub: app.id, org: target.orgId, iat: now, exp: now + 60 });
    assert.ok(await works(target, signed));
    assert.equal((await target.with(signed).call("POST", "/auth/logout")).status, 204);
    assert.equal(await works(target, signed), false);
    // Also for a process that has not seen it, and within the leeway after its end.
    target.clock.advance(10 * 60_000);
    assert.equal(await works(target, signed), false);
  });

  test(`${name}: all of an application's tokens end, or those of some sessions, at once or later`, async () => {
    const target = await open();
    const app = await target.svix.application.create({ name: "x" });
    const { authentication } = target.svix;
    const grant = async (sessionId?: string) => {
      const { token, url } = await authentication.appPortalAccess(app.id, { featureFlags: [], sessionId });
      return { token, code: keyIn(url).key.oneTimeToken as string };
    };
    const [a, b, none] = [await grant("a"), await grant("b"), await grant()];
    const others = await target.svix.application.create({ name: "y" });
    const foreign = await authentication.appPortalAccess(others.id, { featureFlags: [], sessionId: "a" });
    const signed = target.jwt({ sub: app.id, org: target.orgId, iat: Math.floor(target.clock.now() / 1000) });
    for (const { token } of [a, b, none, foreign, { token: signed }]) assert.ok(await works(target, token));

    await authentication.expireAll(app.id, { sessionIds: ["a", "unknown"] });
    assert.equal(await works(target, a.token), false);
    assert.equal((await target.call("POST", "/auth/one-time-token", { oneTimeToken: a.code })).status, 401);
    for (const { token } of [b, none, foreign, { token: signed }]) assert.ok(await works(target, token));

    await target.svix2.authentication.expireAll(app.id, { expiry: 60 });
    const later = await grant();
    target.clock.advance(59_000);
    for (const { token } of [b, none, later, { token: signed }]) assert.ok(await works(target, token));
    target.clock.advance(2_000);
    for (const { token } of [b, none, { token: signed }]) assert.equal(await works(target, token), false);
    assert.ok(await works(target, later.token));
    // A later call does not give back what an earlier one has ended.
    await authentication.expireAll(app.id, { expiry: 259_200 });
    assert.equal(await works(target, signed), false);

    assert.equal((await target.call("POST", `/auth/app/${app.id}/expire-all`)).status, 204);
    assert.equal(await works(target, later.token), false);
    assert.ok(await works(target, foreign.token));
    const fresh = await grant();
    assert.ok(await works(target, fresh.token));
    assert.equal((await target.call("POST", `/auth/app/${app.id}/expire-all`, { expiry: 259_201 })).status, 422);
    assert.equal((await target.call("POST", "/auth/app/nobody/expire-all", {})).status, 404);
  });

  test(`${name}: capabilities limit a token, and read-only means to look and nothing else`, async () => {
    const target = await open();
    const app = await target.svix.application.create({ name: "x" });
    const endpoint = await target.svix.endpoint.create(app.id, { url: "https://example.com/hook" });
    const grant = async (more: object) => {
      const { token } = (await target.call("POST", `/auth/app-portal-access/${app.id}`, more)).body;
      return target.with(token);
    };
    const path = `/app/${app.id}/endpoint`;
    const reader = await grant({ readOnly: true });
    assert.equal((await reader.call("GET", path)).status, 200);
    assert.equal((await reader.call("GET", `${path}/${endpoint.id}/secret`)).status, 403);
    assert.equal((await reader.call("POST", path, { url: "https://example.com" })).status, 403);
    const keeper = await grant({ capabilities: ["ViewEndpointSecret"] });
    assert.equal((await keeper.call("GET", `${path}/${endpoint.id}/secret`)).status, 200);
    assert.equal((await keeper.call("GET", path)).status, 403);
    const all = await grant({});
    assert.equal((await all.call("POST", path, { url: "https://example.com" })).status, 201);
  });

  test(`${name}: a poller's token fetches from its own poller and does nothing else`, async () => {
    const target = await open();
    const app = await target.svix.application.create({ name: "x" });
    const make = async (uid: string) =>
      (await target.call("POST", `/app/${app.id}/polling-endpoint`, { uid })).body.id as string;
    const [mine, other] = [await make("mine"), await make("other")];
    const path = `/auth/app/${app.id}/poller/${mine}/token`;
    const first = await target.call("GET", path);
    assert.equal(first.status, 200);
    assert.match(first.body.token, /^sk_poll_/);
    assert.match(first.body.id, /^key_\w{27}$/);
    assert.deepEqual((await target.call("GET", `/auth/app/${app.id}/poller/mine/token`)).body, first.body);
    const poller = target.with(first.body.token);
    assert.equal((await poller.call("GET", `/app/${app.id}/poller/${mine}`)).status, 200);
    assert.equal((await poller.call("GET", `/app/${app.id}/poller/mine`)).status, 200);
    assert.equal((await poller.call("GET", `/app/${app.id}/poller/${other}`)).status, 404);
    assert.equal((await poller.call("GET", `/app/${app.id}`)).status, 403);
    assert.equal((await poller.call("POST", `/app/${app.id}/msg`, {})).status, 403);
    assert.equal((await poller.call("POST", "/auth/logout")).status, 403);
    assert.equal((await poller.call("GET", "/auth/whoami")).body.appId, app.id);

    const rotated = await target.call("POST", `${path}/rotate`, { expiry: 3_600, oldTokenExpiry: 60 });
    assert.equal(rotated.status, 201);
    assert.notEqual(rotated.body.expiresAt, null);
    assert.ok(await works(target, first.body.token));
    target.clock.advance(61_000);
    assert.equal(await works(target, first.body.token), false);
    assert.ok(await works(target, rotated.body.token));
    const http = await target.svix.endpoint.create(app.id, { url: "https://example.com" });
    assert.equal((await target.call("GET", `/auth/app/${app.id}/poller/${http.id}/token`)).status, 400);
    assert.equal((await target.call("GET", `/auth/app/${app.id}/poller/nobody/token`)).status, 404);
  });

  test(`${name}: an integration's key acts for its application as long as it is the newest`, async () => {
    const target = await open();
    const app = await target.svix.application.create({ name: "x" });
    const integration = await target.svix.integration.create(app.id, { name: "i" });
    const { key } = await target.svix.integration.rotateKey(app.id, integration.id);
    assert.equal((await target.with(key).call("GET", `/app/${app.id}/endpoint`)).status, 200);
    assert.equal((await target.with(key).call("GET", "/app")).status, 403);
    const next = await target.svix2.integration.rotateKey(app.id, integration.id);
    assert.equal(await works(target, key), false);
    assert.ok(await works(target, next.key));
    await target.svix.integration.delete(app.id, integration.id);
    assert.equal(await works(target, next.key), false);
  });

  test(`${name}: a code that is swapped while all tokens are ended does not outlive them`, async () => {
    const target = await open();
    const { environment, clock } = target;
    const { documents } = target.app.store;
    const tokens = new AccessTokens({ documents, clock });
    const appId = newId("app", clock.now());
    const grant = { appId, capabilities: null, featureFlags: [], sessionId: null, expiresAt: clock.now() + HOUR_MS };
    const { code } = await tokens.openPortal(environment, grant);
    let swapped: Awaited<ReturnType<AccessTokens["redeem"]>> = null;
    const racing: typeof documents = {
      ...documents,
      list: async (...asked) => {
        const page = await documents.list(...asked);
        swapped ??= await tokens.redeem(environment, code);
        return page;
      },
    };
    await new AccessTokens({ documents: racing, clock }).endAll(environment.id, appId, null, clock.now());
    const { token } = swapped as unknown as { token: string };
    assert.equal(await tokens.find(environment, token), null);
  });

  test(`${name}: another process that ended a token is heard within a second`, async () => {
    const target = await open();
    const app = await target.svix.application.create({ name: "x" });
    const { token } = await target.svix.authentication.appPortalAccess(app.id, { featureFlags: [] });
    assert.ok(await works(target, token));
    const appId = fromKsuid("app", "app", app.id);
    assert.ok(appId !== null);
    const elsewhere = new AccessTokens({ documents: target.app.store.documents, clock: target.clock });
    await elsewhere.endAll(target.environment.id, appId, null, target.clock.now());
    target.clock.advance(1_000);
    assert.equal(await works(target, token), false);
  });

  test(`${name}: an integration's key is its newest, and a poller's old token has its time of grace`, async () => {
    const target = await open();
    const { environment, clock } = target;
    const tokens = new AccessTokens({ documents: target.app.store.documents, clock });
    const appId = newId("app", clock.now());
    const holder = { kind: "integration", appId, id: newId("itg", clock.now()), featureFlags: ["beta"] } as const;
    assert.equal(await tokens.current(environment, holder), null);
    const first = await tokens.rotate(environment, holder);
    assert.match(first.text, /^integsk_/);
    assert.deepEqual((await tokens.find(environment, first.text))?.featureFlags, ["beta"]);
    const second = await tokens.rotate(environment, holder);
    assert.equal(await tokens.find(environment, first.text), null);
    assert.equal((await tokens.current(environment, holder))?.text, second.text);
    await tokens.refresh(environment.id, { ...holder, featureFlags: [] });
    assert.deepEqual((await tokens.find(environment, second.text))?.featureFlags, []);
    await tokens.drop(environment.id, holder);
    assert.equal(await tokens.find(environment, second.text), null);
    await tokens.refresh(environment.id, holder);
    assert.equal(await tokens.current(environment, holder), null);

    const poller = { kind: "poller", appId, id: newId("ep", clock.now()) } as const;
    const old = await tokens.rotate(environment, poller, { lifeMs: HOUR_MS });
    const fresh = await tokens.rotate(environment, poller, { graceMs: 300_000 });
    assert.match(old.text, /^sk_poll_/);
    assert.equal((await tokens.find(environment, old.text))?.kind, "poller");
    clock.advance(300_001);
    assert.equal(await tokens.find(environment, old.text), null);
    assert.ok((await tokens.find(environment, fresh.text)) !== null);
    // Ten at once: each is good, one is the current one.
    const many = await Promise.all(
      Array.from({ length: 8 }, () => tokens.rotate(environment, poller, { graceMs: 60_000 })),
    );
    for (const { text } of many) assert.ok((await tokens.find(environment, text)) !== null);
  });
});
