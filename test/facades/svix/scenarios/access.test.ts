/** Who may do what: scenarios 37, 39 and 40, and the matrix of §A.3 for every operation there is. 38: event-types.test.ts */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AppPortalCapability } from "svix";
import { ksuid } from "../../../../src/facades/svix/ids.ts";
import { newId } from "../../../../src/lib/ids.ts";
import { locs, refusal } from "../eventually.ts";
import { type Clients, JWT_SECRET } from "../svix-target.ts";
import { putEndpoint, type Speaker } from "./renamed.ts";
import { DAY, forEachSpeaker, HOUR, MINUTE, type Scene, SECOND } from "./scenario.ts";

const URL_ = "https://example.com/";
const FORBIDDEN = { status: 403, code: "insufficient access" };
const NOT_FOUND = { status: 404, code: "not_found" };
const OTHERS_ORG = "org_23rb8YdGqMT0qIzpgGwdXfHirMu";
/** Well-formed, and made by another server. */
const OTHERS_APP = "app_23rb8YdGqMT0qIzpgGwdXfHirMu";

/** A token's clients, speaking as the scene does. */
function speakerOf({ target, major }: Scene, token: string): Clients & Speaker {
  const clients = target.with(token);
  const svix = major === 1 ? clients.svix : (clients.svix2 as unknown as typeof clients.svix);
  return { ...clients, svix, major };
}

async function portal(scene: Scene, app: string, access: object = {}): Promise<Clients & Speaker> {
  const { token } = await scene.svix.authentication.appPortalAccess(app, { featureFlags: [], ...access });
  return speakerOf(scene, token);
}

function orgOf({ environmentId }: Scene): string {
  return ksuid("org", environmentId);
}

/** Tokens of an application as the open-source server mints them. */
function signedPortal(scene: Scene, app: string, more: object = {}): Clients & Speaker {
  const now = Math.floor(scene.clock.now() / 1000);
  const claims = {
    iss: "svix-server",
    sub: app,
    org: orgOf(scene),
    iat: now,
    nbf: now,
    exp: now + (28 * DAY) / SECOND,
  };
  return speakerOf(scene, scene.target.jwt({ ...claims, feature_flags: [], ...more }));
}

async function works({ call }: Clients): Promise<boolean> {
  const { status } = await call("GET", "/auth/whoami");
  assert.ok(status === 200 || status === 401);
  return status === 200;
}

function codeIn(url: string) {
  return JSON.parse(Buffer.from(new URL(url).hash.slice("#key=".length), "base64url").toString());
}

/** The weakest caller that each operation is open to; those not named are the organisation's alone. */
const OPEN_TO: { readonly [operation: string]: "token" | "anyone" | AppPortalCapability } = Object.fromEntries(
  Object.entries({
    anyone: ["POST /auth/one-time-token", "GET /health", "GET /health/ping", "GET /openapi.json"],
    token: ["GET /auth/whoami", "POST /auth/logout"],
    ViewBase: [
      "GET /app/{app_id}",
      "GET /app/{app_id}/attempt/endpoint/{endpoint_id}",
      "GET /app/{app_id}/attempt/endpoint/{endpoint_id}/count",
      "GET /app/{app_id}/attempt/msg/{msg_id}",
      "GET /app/{app_id}/endpoint",
      "GET /app/{app_id}/endpoint/{endpoint_id}",
      "GET /app/{app_id}/endpoint/{endpoint_id}/headers",
      "GET /app/{app_id}/endpoint/{endpoint_id}/msg",
      "GET /app/{app_id}/endpoint/{endpoint_id}/rate-limit-status",
      "GET /app/{app_id}/endpoint/{endpoint_id}/stats",
      "GET /app/{app_id}/endpoint/{endpoint_id}/transformation",
      "GET /app/{app_id}/msg",
      "POST /app/{app_id}/msg/search",
      "GET /app/{app_id}/msg/{msg_id}",
      "GET /app/{app_id}/msg/{msg_id}/attempt",
      "GET /app/{app_id}/msg/{msg_id}/attempt/{attempt_id}",
      "GET /app/{app_id}/msg/{msg_id}/attempt/{attempt_id}/headers",
      "GET /app/{app_id}/msg/{msg_id}/endpoint",
      "GET /app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/attempt",
      "GET /app/{app_id}/msg/{msg_id}/raw",
      "GET /app/{app_id}/poller/{sink_id}",
      "GET /app/{app_id}/poller/{sink_id}/consumer/{consumer_id}",
      "POST /app/{app_id}/poller/{sink_id}/consumer/{consumer_id}/seek",
      "GET /app/{app_id}/polling-endpoint",
      "GET /app/{app_id}/polling-endpoint/{sink_id}",
      "GET /app/{app_id}/polling-endpoint/{sink_id}/consumer/{consumer_id}",
      "POST /app/{app_id}/polling-endpoint/{sink_id}/consumer/{consumer_id}/commit",
      "GET /app/{app_id}/stats/attempts",
      // Of its own application only: the portal shows how a recovery goes.
      "GET /background-task/{task_id}",
      "GET /connector",
      "GET /connector/{connector_id}",
      "GET /transformation-template",
      "GET /transformation-template/{connector_id}",
      "GET /environment/settings",
      "GET /event-type",
      "GET /event-type/{event_type_name}",
    ],
    ViewEndpointSecret: ["GET /app/{app_id}/endpoint/{endpoint_id}/secret"],
    ManageEndpointSecret: ["POST /app/{app_id}/endpoint/{endpoint_id}/secret/rotate"],
    ManageTransformations: [
      "PATCH /app/{app_id}/endpoint/{endpoint_id}/transformation",
      "POST /app/{app_id}/endpoint/{endpoint_id}/transformation/simulate",
    ],
    CreateAttempts: [
      "POST /app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend",
      "POST /app/{app_id}/endpoint/{endpoint_id}/recover",
      "POST /app/{app_id}/endpoint/{endpoint_id}/replay-missing",
      "POST /app/{app_id}/endpoint/{endpoint_id}/bulk-replay",
      "POST /app/{app_id}/endpoint/{endpoint_id}/send-example",
    ],
    ManageEndpoint: [
      "POST /app/{app_id}/endpoint",
      "PUT /app/{app_id}/endpoint/{endpoint_id}",
      "PATCH /app/{app_id}/endpoint/{endpoint_id}",
      "DELETE /app/{app_id}/endpoint/{endpoint_id}",
      "PUT /app/{app_id}/endpoint/{endpoint_id}/headers",
      "PATCH /app/{app_id}/endpoint/{endpoint_id}/headers",
      "POST /app/{app_id}/polling-endpoint",
      "DELETE /app/{app_id}/polling-endpoint/{sink_id}",
    ],
  }).flatMap(([who, operations]) => operations.map((operation) => [operation, who as AppPortalCapability])),
);

forEachSpeaker({}, (who, open) => {
  test(`${who}: 37. Restricted token: its own app and endpoints, nothing of the organisation or of others`, async (t) => {
    const scene = await open(t);
    const [app, other] = await Promise.all(
      ["own", "other"].map(async (uid) => scene.svix.application.create({ name: uid, uid })),
    );
    assert.ok(app !== undefined && other !== undefined);
    const theirs = await scene.svix.endpoint.create(other.id, { url: URL_, uid: "theirs" });
    for (const own of [await portal(scene, app.id), signedPortal(scene, app.id)]) {
      const { svix } = own;
      for (const key of [app.id, "own"]) assert.deepEqual(await svix.application.get(key), app);
      const before = await scene.svix.application.list();
      const refused: readonly (() => Promise<unknown>)[] = [
        () => svix.application.list(),
        () => svix.application.create({ name: "x" }),
        () => svix.application.getOrCreate({ name: "x", uid: "own" }),
        () => svix.application.patch(app.id, { name: "x" }),
        () => svix.application.delete(app.id),
        () => svix.message.create(app.id, { eventType: "a.b", payload: {} }),
        () => svix.message.expungeContent(app.id, "x"),
        () => svix.message.expungeAllContents(app.id),
        () => svix.messageAttempt.expungeContent(app.id, "x", "x"),
        () => svix.eventType.create({ name: "a.b", description: "" }),
        () => svix.eventType.patch("a.b", { description: "" }),
        () => svix.eventType.delete("a.b"),
        () => svix.eventType.importOpenapi({ specRaw: "" }),
        () => svix.authentication.appPortalAccess(app.id, { featureFlags: [] }),
        () => svix.authentication.expireAll(app.id, {}),
        () => svix.operationalWebhook.endpoint.list(),
        () => svix.operationalWebhook.endpoint.create({ url: URL_ }),
        () => svix.environment.export(),
        () => svix.environment.import({}),
        () => svix.connector.create({ name: "x", transformation: "function handler(w) { return w }" }),
        () => svix.integration.list(app.id),
        () => svix.statistics.aggregateEventTypes(),
        () => svix.backgroundTask.list(),
      ];
      for (const one of refused) assert.deepEqual(await refusal(one()), FORBIDDEN, String(one));
      assert.deepEqual(await scene.svix.application.list(), before);
      // Another's is not there, whether it exists or not.
      const none = ksuid("app", newId("app", scene.clock.now()));
      const keys: readonly string[] = [other.id, "other", "nobody", none, OTHERS_APP];
      for (const key of keys) {
        assert.deepEqual(await refusal(svix.application.get(key)), NOT_FOUND, key);
        assert.deepEqual(await refusal(svix.endpoint.list(key)), NOT_FOUND, key);
        assert.deepEqual(await refusal(svix.endpoint.create(key, { url: URL_ })), NOT_FOUND, key);
        assert.deepEqual(await refusal(svix.endpoint.getSecret(key, "theirs")), NOT_FOUND, key);
        assert.deepEqual(await refusal(svix.message.list(key)), NOT_FOUND, key);
      }
      assert.deepEqual(await refusal(svix.endpoint.get(app.id, theirs.id)), NOT_FOUND);

      const made = await svix.endpoint.create("own", { url: URL_, uid: "mine" });
      assert.deepEqual(await svix.endpoint.get("own", "mine"), made);
      assert.deepEqual((await svix.endpoint.list(app.id)).data, [made]);
      const put = await putEndpoint(own, app.id, "mine", { url: "https://example.org/", uid: "mine" });
      assert.deepEqual([put.id, put.url], [made.id, "https://example.org/"]);
      assert.equal((await svix.endpoint.patch(app.id, made.id, { description: "d" })).description, "d");
      const secret = (await svix.endpoint.getSecret(app.id, "mine")).key;
      await svix.endpoint.rotateSecret(app.id, "mine", {});
      assert.notEqual((await svix.endpoint.getSecret(app.id, "mine")).key, secret);
      await svix.endpoint.patchHeaders(app.id, "mine", { headers: { "X-A": "1" } });
      assert.deepEqual((await svix.endpoint.getHeaders(app.id, "mine")).headers, { "X-A": "1" });
      assert.equal(await svix.endpoint.delete(app.id, "mine"), undefined);
      assert.deepEqual(await refusal(svix.endpoint.get(app.id, made.id)), NOT_FOUND);
      // svix-react asks for no event types in particular with an empty list.
      const empty = await own.call("POST", `/app/own/endpoint`, { url: URL_, filterTypes: [], channels: [] });
      assert.deepEqual([empty.status, empty.body.filterTypes, empty.body.channels], [201, null, null]);
      await svix.endpoint.delete(app.id, empty.body.id);
    }
    assert.deepEqual(await scene.svix.endpoint.get("other", "theirs"), theirs);
  });

  test(`${who}: 37 and §A.3: of every operation that there is, who may call it and who may not`, async (t) => {
    const scene = await open(t);
    const [app, other] = [await scene.app("own"), await scene.app("other")];
    const { body: description } = await scene.call("GET", "/openapi.json");
    const operations: { method: string; path: string; open: (typeof OPEN_TO)[string] | undefined }[] = [];
    for (const [path, methods] of Object.entries<Record<string, Record<string, unknown>>>(description.paths)) {
      for (const [name, operation] of Object.entries(methods)) {
        if (operation["x-not-implemented"] === true) continue;
        const [method, short] = [name.toUpperCase(), path.replace("/api/v1", "")];
        operations.push({ method, path: short, open: OPEN_TO[`${method} ${short}`] });
      }
    }
    assert.ok(operations.length > 110, `${operations.length}`);
    const named = new Set(operations.map(({ method, path }) => `${method} ${path}`));
    for (const operation of Object.keys(OPEN_TO)) assert.ok(named.has(operation), operation);

    const ids: { [name: string]: string } = { event_type_name: "none", consumer_id: "none" };
    const pathFor = (path: string, of: string): string =>
      path.replace("{app_id}", of).replace(/\{(\w+)\}/g, (_, name: string) => ids[name] ?? "nothing");
    const body = (method: string): object | undefined => (method === "GET" || method === "DELETE" ? undefined : {});
    const capabilities = Object.values(AppPortalCapability) as AppPortalCapability[];
    const all = await portal(scene, app);
    const callers: { clients: Clients; may: (open: string | undefined) => boolean }[] = [
      { clients: all, may: (open) => open !== undefined },
      { clients: await portal(scene, app, { capabilities: [] }), may: (open) => open === "token" || open === "anyone" },
      {
        clients: await portal(scene, app, { readOnly: true }),
        may: (open) => ["token", "anyone", "ViewBase"].includes(open ?? ""),
      },
      ...(await Promise.all(
        capabilities.map(async (capability) => ({
          clients: await portal(scene, app, { capabilities: [capability] }),
          may: (open: string | undefined) => open === "token" || open === "anyone" || open === capability,
        })),
      )),
    ];
    for (const { method, path, open } of operations) {
      // They end the caller.
      if (path === "/auth/logout") continue;
      const what = `${method} ${path}`;
      for (const { clients, may } of callers) {
        const own = await clients.call(method, pathFor(path, app), body(method));
        if (may(open)) assert.ok(own.status !== 403 && own.status < 500, `${what}: ${own.status} ${own.text}`);
        else assert.deepEqual([own.status, own.body?.code], [403, FORBIDDEN.code], what);
        if (open === "anyone") continue;
        if (own.status === 401) assert.fail(`${what}: ${own.text}`);
      }
      if (path.includes("{app_id}")) {
        const foreign = await all.call(method, pathFor(path, other), body(method));
        const expected = open === undefined ? 403 : 404;
        // What is wrong with the body may be told before.
        if (foreign.status !== 422) assert.equal(foreign.status, expected, `${what}: ${foreign.text}`);
      }
      const anonymous = await all.call(method, pathFor(path, app), body(method), { authorization: undefined });
      if (open === "anyone") assert.ok(anonymous.status < 500);
      else assert.equal(anonymous.status, 401, what);
    }
    assert.deepEqual(
      (await scene.svix.application.list()).data.map(({ uid }) => uid),
      ["own", "other"],
    );
  });

  test(`${who}: 39. Bad tokens: none, garbage, expired, wrong key; the bare secret; a malformed sub`, async (t) => {
    const scene = await open(t);
    const { target, clock } = scene;
    const org = orgOf(scene);
    const app = await scene.svix.application.create({ name: "x" });
    const now = Math.floor(clock.now() / 1000);
    const day = DAY / SECOND;
    const good = speakerOf(scene, target.jwt({ sub: org, iss: "svix-server", iat: now, nbf: now, exp: now + day }));
    assert.equal((await good.svix.application.get(app.id)).id, app.id);
    const unauthenticated = { status: 401, code: "authentication_failed" };
    const [head = "", claims = "", signature = ""] = good.token.split(".");
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const portalToken = (await portal(scene, app.id)).token;
    for (const token of [
      "garbage",
      "null",
      "..",
      "a.b.c",
      "💥".replace(/[^\x20-\x7e]/g, "x"),
      "x".repeat(10_000),
      `${scene.token}x`,
      scene.token.slice(0, -1),
      scene.token.toUpperCase(),
      target.jwt({ sub: org, exp: now - 16 * 60 }),
      target.jwt({ sub: org, nbf: now + 16 * 60 }),
      target.jwt({ sub: org }, `${JWT_SECRET}x`),
      target.jwt({ sub: org }, ""),
      target.jwt({ sub: org }, JWT_SECRET, "none"),
      target.jwt({ sub: org }, JWT_SECRET, "HS384"),
      target.jwt({ sub: org }, JWT_SECRET, "RS256"),
      `${part({ alg: "none" })}.${claims}.`,
      `${part({ alg: "none" })}.${claims}.${signature}`,
      `${head}.${part({ sub: OTHERS_ORG })}.${signature}`,
      `${head}.${claims}.${signature.slice(0, -1)}`,
      `${head}.${claims}.${signature}=`,
      `${head}.${claims}`,
      `${head}.${claims}.${signature}.${signature}`,
      target.jwt({ sub: org, exp: "never" }),
      target.jwt({ sub: org, exp: -1 }),
      target.jwt({ sub: [org] }),
      target.jwt({ sub: app.id, org, exp: now - day }),
      target.jwt([]),
      `${portalToken}x`,
      `${portalToken.slice(0, -1)}${portalToken.endsWith("A") ? "B" : "A"}`,
      portalToken.replace("appsk_", "integsk_"),
      portalToken.replace("appsk_", "sk_poll_"),
      "appsk_",
      "testsk_x.eu",
    ]) {
      const bad = speakerOf(scene, token);
      assert.deepEqual(await refusal(bad.svix.application.list()), unauthenticated, token.slice(0, 60));
      const raw = await bad.call("GET", `/app/${app.id}`);
      assert.deepEqual([raw.status, raw.body], [401, { code: "authentication_failed", detail: "Invalid token" }]);
    }
    for (const authorization of [
      undefined,
      "",
      "Bearer",
      "Bearer ",
      scene.token,
      `Basic ${scene.token}`,
      "Bearer a b",
    ]) {
      const raw = await scene.call("GET", "/app", undefined, { authorization });
      assert.deepEqual([raw.status, raw.body.code], [401, "authentication_failed"], `${authorization}`);
    }
    const nobody = await target.with(target.jwt({ iss: "svix-server", exp: now + day })).call("GET", "/app");
    assert.equal(nobody.status, 401);
    assert.match(nobody.body.detail, /sub/);
    // The key that tokens are signed with, and those that messages are.
    for (const secret of [JWT_SECRET, "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"]) {
      assert.deepEqual(await refusal(speakerOf(scene, secret).svix.application.list()), unauthenticated);
      const { body } = await target.with(secret).call("GET", "/app");
      assert.match(body.detail, /secret/);
      assert.ok(!body.detail.includes(secret));
    }
    for (const claims of [
      { sub: "nobody" },
      { sub: "org_" },
      { sub: `${org}x` },
      { sub: org.slice(0, -1) },
      { sub: org.replace("org_", "ORG_") },
      { sub: `org_${"-".repeat(27)}` },
      { sub: app.id },
      { sub: app.id, org: "acme" },
      { sub: app.id, org: app.id },
      { sub: "\u0000" },
      { sub: "__proto__" },
    ]) {
      const { status, code } = await refusal(speakerOf(scene, target.jwt(claims)).svix.application.list());
      assert.deepEqual([status, code], [400, "bad_token"], JSON.stringify(claims));
    }
    // A quarter of an hour of patience with clocks that differ.
    for (const claims of [
      { sub: org, exp: now - 14 * 60 },
      { sub: org, nbf: now + 14 * 60 },
    ]) {
      assert.ok(await works(target.with(target.jwt(claims))));
    }
    clock.advance(DAY + 14 * MINUTE);
    assert.ok(await works(good));
    clock.advance(2 * MINUTE);
    assert.deepEqual(await refusal(good.svix.application.list()), unauthenticated);
  });

  test(`${who}: 40. Portal access: with and without body, with an application; the code works once; logout; expire-all`, async (t) => {
    const scene = await open(t);
    const { svix, call, target, clock, major } = scene;
    const known = await svix.application.create({ name: "Known", uid: "known" });
    const answers = [
      (await call("POST", "/auth/app-portal-access/known")).body,
      (await call("POST", `/auth/app-portal-access/${known.id}`, {})).body,
      (await call("POST", "/auth/dashboard-access/known")).body,
      (await call("POST", "/auth/dashboard-access/known", {})).body,
      await svix.authentication.appPortalAccess("known", { featureFlags: [] }),
      ...(major === 1 ? [await svix.authentication.dashboardAccess(known.id)] : []),
    ];
    for (const { url, token } of answers) {
      assert.equal((await target.with(token).call("GET", "/app/known")).body.id, known.id);
      const { appId, oneTimeToken, region, serverUrl } = codeIn(url);
      assert.deepEqual(
        [appId, region, serverUrl, typeof oneTimeToken],
        [known.id, "self_hosted", target.url, "string"],
      );
      // SDKs take what follows the second dot of a token for a region.
      assert.ok(!token.includes("."));
    }
    assert.equal(new Set(answers.map(({ token }) => token)).size, answers.length);
    for (const path of ["/auth/app-portal-access/nobody", "/auth/dashboard-access/nobody"]) {
      const missing = await call("POST", path, {});
      assert.deepEqual([missing.status, missing.body.code], [404, "not_found"]);
    }

    const given = { name: "First", uid: "new", metadata: { a: "b" } };
    const first = await svix.authentication.appPortalAccess("new", { application: given, featureFlags: [] });
    const made = await svix.application.get("new");
    assert.deepEqual([made.name, made.metadata], ["First", { a: "b" }]);
    assert.equal((await target.with(first.token).call("GET", "/auth/whoami")).body.appId, made.id);
    const second = { ...given, name: "Second", metadata: {} };
    await svix.authentication.appPortalAccess("new", { application: second, featureFlags: [] });
    assert.deepEqual(await svix.application.get("new"), made);
    for (const [application, type] of [
      [{ name: "x", uid: "else" }, "application_uid_mismatch"],
      [{ name: "x" }, "application_uid_missing"],
      [{ name: "x", uid: null }, "application_uid_missing"],
    ] as const) {
      const wrong = await call("POST", "/auth/app-portal-access/unknown", { application });
      assert.deepEqual(locs(wrong), ["body.application.uid"]);
      assert.equal(wrong.body.detail[0].type, type);
    }
    // Where there is one, it is not looked at; and it has to be one.
    const ignored = { application: { name: "x", uid: "else" }, featureFlags: [] };
    await svix.authentication.appPortalAccess("known", ignored);
    for (const uid of ["else", "unknown"]) assert.deepEqual(await refusal(svix.application.get(uid)), NOT_FOUND);

    // The code: once, and good for nothing else.
    const { oneTimeToken } = codeIn(first.url);
    assert.equal(await works(target.with(oneTimeToken)), false);
    const redeem = (code: unknown) =>
      call("POST", "/auth/one-time-token", { oneTimeToken: code }, { authorization: undefined });
    const raced = await Promise.all([1, 2, 3].map(() => redeem(oneTimeToken)));
    assert.deepEqual(raced.map(({ status }) => status).sort(), [200, 401, 401]);
    const swapped = raced.find(({ status }) => status === 200)?.body;
    assert.deepEqual([...swapped.capabilities].sort(), Object.values(AppPortalCapability).sort());
    assert.equal((await target.with(swapped.token).call("GET", "/auth/whoami")).body.appId, made.id);
    assert.notEqual(swapped.token, first.token);
    for (const code of [oneTimeToken, first.token, `${oneTimeToken}x`, "code_", "x", "💥", "a\nb"]) {
      assert.equal((await redeem(code)).status, 401, code);
    }
    for (const code of ["", null, 5, [], "x".repeat(2_000), "\u0000"]) {
      assert.deepEqual(locs(await redeem(code)), ["body.oneTimeToken"], String(code).slice(0, 20));
    }
    const limited = await svix.authentication.appPortalAccess("new", {
      featureFlags: [],
      capabilities: [AppPortalCapability.ViewBase],
    });
    assert.deepEqual((await redeem(codeIn(limited.url).oneTimeToken)).body.capabilities, ["ViewBase"]);

    // A logout ends the token that it is made with.
    const [stays, goes, signed] = [
      await portal(scene, "known"),
      await portal(scene, "known"),
      signedPortal(scene, known.id),
    ];
    for (const clients of [goes, signed]) {
      assert.ok(await works(clients));
      assert.equal(await clients.svix.authentication.logout(), undefined);
      assert.equal(await works(clients), false);
      assert.deepEqual(await refusal(clients.svix.authentication.logout()), {
        status: 401,
        code: "authentication_failed",
      });
    }
    assert.ok(await works(stays));
    assert.deepEqual(await refusal(svix.authentication.logout()), FORBIDDEN);
    assert.ok(await works(scene));

    // All of some sessions; then all there are, but none that come later.
    const [a, b, none] = await Promise.all([
      portal(scene, "known", { sessionId: "a@b-c_1" }),
      portal(scene, "known", { sessionId: "b" }),
      portal(scene, "known"),
    ]);
    const bystander = await portal(scene, "new", { sessionId: "b" });
    await svix.authentication.expireAll("known", { sessionIds: ["a@b-c_1", "unknown"] });
    assert.deepEqual(await Promise.all([a, b, none].map(works)), [false, true, true]);
    await svix.authentication.expireAll("known", { expiry: 3_600 });
    clock.advance(HOUR - SECOND);
    assert.deepEqual(await Promise.all([b, none].map(works)), [true, true]);
    const later = await portal(scene, "known");
    clock.advance(SECOND);
    assert.deepEqual(await Promise.all([b, none, stays, later].map(works)), [false, false, false, true]);
    await svix.authentication.expireAll("known", {});
    assert.deepEqual(await Promise.all([later, bystander].map(works)), [false, true]);
    assert.ok(await works(await portal(scene, "known")));
    for (const [body, loc] of [
      [{ expiry: -1 }, "body.expiry"],
      [{ expiry: 259_201 }, "body.expiry"],
      [{ sessionIds: ["a b"] }, "body.sessionIds.[0]"],
      [{ sessionIds: Array.from({ length: 1_001 }, (_, i) => `s${i}`) }, "body.sessionIds"],
    ] as const) {
      assert.deepEqual(locs(await call("POST", "/auth/app/known/expire-all", body)), [loc]);
    }

    // What a token lives.
    const [short, week] = [await portal(scene, "known", { expiry: 3_600 }), await portal(scene, "known")];
    clock.advance(HOUR - SECOND);
    assert.ok(await works(short));
    clock.advance(SECOND);
    assert.equal(await works(short), false);
    clock.advance(7 * DAY - HOUR - SECOND);
    assert.ok(await works(week));
    clock.advance(SECOND);
    assert.equal(await works(week), false);
    for (const expiry of [3_599, 604_801, 0, -1, 3_600.5]) {
      assert.deepEqual(locs(await call("POST", "/auth/app-portal-access/known", { expiry })), ["body.expiry"]);
    }
    // With its application a token ends, too.
    const last = await portal(scene, "known");
    const lastSigned = signedPortal(scene, known.id);
    assert.ok((await works(last)) && (await works(lastSigned)));
    await svix.application.delete("known");
    await svix.application.create({ name: "Known again", uid: "known" });
    for (const clients of [last, lastSigned]) {
      assert.ok([401, 404].includes((await refusal(clients.svix.application.get("known"))).status));
      assert.equal(await works(clients), false);
    }
  });
});
