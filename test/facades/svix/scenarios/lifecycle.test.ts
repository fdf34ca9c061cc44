/** Applications and endpoints from their making to their end: scenarios 1–4, 8 and 9. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ksuid } from "../../../../src/facades/svix/ids.ts";
import { locs, refusal } from "../eventually.ts";
import { putApplication, putEndpoint, putEventType, refusedAt } from "./renamed.ts";
import { forEachSpeaker, SECOND } from "./scenario.ts";

const URL_ = "https://example.com/";
const NOT_FOUND = { status: 404, code: "not_found" };
const CONFLICT = { status: 409, code: "conflict" };
/** As JSON two bytes over what metadata may have: `{"k":"…"}`. */
const TOO_MUCH = { k: "x".repeat(4_096 - 6) };
const JUST_FITS = { k: "x".repeat(4_096 - 8) };

forEachSpeaker({}, (who, open) => {
  test(`${who}: 1. App lifecycle: create, get by id and uid, PUT, DELETE, get`, async (t) => {
    const { svix, call, clock, ...scene } = await open(t);
    const raw = await call("POST", "/app", { name: "Raw" });
    assert.deepEqual([raw.status, raw.body.name, raw.body.uid, raw.body.metadata], [201, "Raw", null, {}]);
    const made = await svix.application.create({ name: "Acme ✓ 🚀", uid: "acme", throttleRate: 9 });
    assert.match(made.id, /^app_[0-9A-Za-z]{27}$/);
    assert.deepEqual([made.name, made.uid, made.throttleRate, made.metadata], ["Acme ✓ 🚀", "acme", 9, {}]);
    for (const at of [made.createdAt, made.updatedAt]) assert.equal(at.getTime(), clock.now());
    for (const key of [made.id, "acme"]) assert.deepEqual(await svix.application.get(key), made);

    clock.advance(SECOND);
    const put = await call("PUT", "/app/acme", { name: "Acme 2", uid: "acme" });
    assert.deepEqual([put.status, put.body.id, put.body.name], [200, made.id, "Acme 2"]);
    const metadata = { plan: "gold" };
    const replaced = await putApplication({ ...scene, svix }, made.id, { name: "Acme 3", uid: "acme", metadata });
    assert.deepEqual([replaced.id, replaced.name, replaced.metadata], [made.id, "Acme 3", metadata]);
    // What a PUT does not name is gone.
    assert.equal(replaced.throttleRate, null);
    assert.equal(replaced.createdAt.getTime(), made.createdAt.getTime());
    assert.equal(replaced.updatedAt.getTime(), clock.now());

    const endpoint = await svix.endpoint.create(made.id, { url: URL_ });
    const deleted = await call("DELETE", "/app/acme");
    assert.deepEqual([deleted.status, deleted.text], [204, ""]);
    for (const path of [
      `/app/${made.id}`,
      "/app/acme",
      `/app/acme/endpoint`,
      `/app/${made.id}/endpoint/${endpoint.id}`,
    ]) {
      const gone = await call("GET", path);
      assert.equal(gone.status, 404, path);
      assert.match(gone.headers.get("content-type") ?? "", /^application\/json/);
      assert.deepEqual(gone.body, { code: "not_found", detail: "Entity not found" });
    }
    for (const key of [made.id, "acme"]) {
      assert.deepEqual(await refusal(svix.application.get(key)), NOT_FOUND);
      assert.deepEqual(await refusal(svix.application.patch(key, { name: "x" })), NOT_FOUND);
      assert.deepEqual(await refusal(svix.application.delete(key)), NOT_FOUND);
    }
    assert.deepEqual(
      (await svix.application.list()).data.map(({ name }) => name),
      ["Raw"],
    );
  });

  test(`${who}: 2. App uid rules: one in its environment, free once deleted, none that looks like an id`, async (t) => {
    const { svix, call, target, ...scene } = await open(t);
    const first = await svix.application.create({ name: "First", uid: "once", metadata: { a: "1" } });
    assert.deepEqual(await refusal(svix.application.create({ name: "Second", uid: "once" })), CONFLICT);
    const found = await call("POST", "/app?get_if_exists=true", { name: "Second", uid: "once", throttleRate: 5 });
    assert.deepEqual([found.status, found.body.id, found.body.name], [200, first.id, "First"]);
    assert.deepEqual(await svix.application.getOrCreate({ name: "Third", uid: "once" }), first);
    assert.deepEqual(await svix.application.get("once"), first);
    const fresh = await call("POST", "/app?get_if_exists=true", { name: "New", uid: "fresh" });
    assert.equal(fresh.status, 201);
    // Without a uid there is nothing to find.
    for (let i = 0; i < 2; i++)
      assert.equal((await call("POST", "/app?get_if_exists=true", { name: "x" })).status, 201);

    await svix.application.delete(first.id);
    const second = await call("POST", "/app", { name: "Second", uid: "once" });
    assert.equal(second.status, 201);
    assert.notEqual(second.body.id, first.id);
    // Another organisation: one of this server, and one that a token of the operator's names.
    const other = await target.another();
    const signed = target.with(target.jwt({ sub: ksuid("org", other.environmentId) }));
    assert.equal((await signed.call("POST", "/app", { name: "Other", uid: "once" })).status, 201);
    assert.deepEqual(await refusal(other.svix.application.create({ name: "Other", uid: "once" })), CONFLICT);
    assert.deepEqual(await refusal(other.svix.application.get(second.body.id)), NOT_FOUND);

    const refused = await call("POST", "/app", { name: "x", uid: "app_mine" });
    assert.equal(refused.status, 422);
    assert.deepEqual(refused.body.detail[0].loc.slice(0, 2), ["body", "uid"]);
    for (const uid of ["", "a b", "a/b", "ä", "a\u0000", "a\n", "💥", "a%20b", "x".repeat(257), "app_"]) {
      assert.deepEqual(await refusedAt(svix.application.create({ name: "x", uid })), ["body.uid.__all__"], uid);
      assert.deepEqual(await refusedAt(svix.application.patch("once", { uid })), ["body.uid.__all__"], uid);
    }
    for (const uid of [
      "x".repeat(256),
      "Once",
      "ONCE",
      "App_1",
      "ep_1",
      "msg_1",
      "__proto__",
      "constructor",
      "-",
      "0",
      "null",
    ]) {
      assert.equal((await svix.application.create({ name: uid, uid })).uid, uid);
      assert.equal((await svix.application.get(uid)).name, uid);
    }
    // Of ten at once one has it.
    const race = await Promise.all(Array.from({ length: 10 }, () => call("POST", "/app", { name: "x", uid: "race" })));
    assert.deepEqual(race.map(({ status }) => status).sort(), [201, ...Array(9).fill(409)]);
    // Giving it up and taking it over, and never twice.
    assert.deepEqual(await refusal(svix.application.patch("fresh", { uid: "once" })), CONFLICT);
    const speaker = { ...scene, svix };
    assert.deepEqual(await refusal(putApplication(speaker, "fresh", { name: "x", uid: "once" })), CONFLICT);
    await svix.application.patch("once", { uid: null });
    assert.equal((await svix.application.patch("fresh", { uid: "once" })).name, "New");
    assert.deepEqual(await refusal(svix.application.get("fresh")), NOT_FOUND);
  });

  test(`${who}: 3. PUT upsert: an unknown uid makes a new one without it; the same for endpoints`, async (t) => {
    const { svix, call, ...scene } = await open(t);
    const speaker = { ...scene, svix };
    const raw = await call("PUT", "/app/unknown", { name: "Raw" });
    assert.deepEqual([raw.status, raw.body.uid], [201, null]);
    const made = await putApplication(speaker, "unknown", { name: "Made" });
    assert.deepEqual([made.uid, made.name], [null, "Made"]);
    assert.notEqual(made.id, raw.body.id);
    assert.deepEqual(await refusal(svix.application.get("unknown")), NOT_FOUND);
    assert.equal((await putApplication(speaker, made.id, { name: "Again", uid: "mine" })).id, made.id);
    // An id whose application is gone is unknown, too.
    await svix.application.delete("mine");
    const anew = await putApplication(speaker, made.id, { name: "Anew", uid: "mine" });
    assert.notEqual(anew.id, made.id);
    assert.equal((await svix.application.get("mine")).id, anew.id);

    const rawEndpoint = await call("PUT", "/app/mine/endpoint/unknown", { url: URL_ });
    assert.deepEqual([rawEndpoint.status, rawEndpoint.body.uid], [201, null]);
    const endpoint = await putEndpoint(speaker, "mine", "unknown", { url: URL_ });
    assert.equal(endpoint.uid, null);
    assert.notEqual(endpoint.id, rawEndpoint.body.id);
    assert.deepEqual(await refusal(svix.endpoint.get("mine", "unknown")), NOT_FOUND);
    assert.match((await svix.endpoint.getSecret("mine", endpoint.id)).key, /^whsec_/);
    const known = await call("PUT", `/app/mine/endpoint/${endpoint.id}`, { url: URL_, uid: "e" });
    assert.deepEqual([known.status, known.body.id], [200, endpoint.id]);
    await svix.endpoint.delete("mine", "e");
    assert.notEqual((await putEndpoint(speaker, "mine", endpoint.id, { url: URL_, uid: "e" })).id, endpoint.id);
    // Of ten at once that name the same in the path and the body, one makes it and the others replace it.
    for (const [path, body] of [
      ["/app/race", { name: "x", uid: "race" }],
      ["/app/race/endpoint/race", { url: URL_, uid: "race" }],
      ["/connector/race", { name: "x", uid: "race", transformation: "function handler(w) { return w }" }],
      ["/event-type/race", { description: "" }],
    ] as const) {
      const answers = await Promise.all(Array.from({ length: 10 }, () => call("PUT", path, body)));
      assert.deepEqual(answers.map(({ status }) => status).sort(), [...Array(9).fill(200), 201], path);
      assert.equal(new Set(answers.map(({ body }) => body.id)).size, 1);
    }
    // The application itself is not made by the way.
    assert.deepEqual(await refusal(putEndpoint(speaker, "nobody", "e", { url: URL_ })), NOT_FOUND);
    assert.deepEqual(await refusal(svix.application.get("nobody")), NOT_FOUND);
  });

  test(`${who}: 4. PATCH: each nullable field is set, kept and cleared; what may not be is refused`, async (t) => {
    const { svix, call, ...scene } = await open(t);
    await svix.eventType.create({ name: "p.q", description: "" });
    const app = await svix.application.create({ name: "App" });
    const endpoint = await svix.endpoint.create(app.id, { url: URL_ });
    await svix.eventType.create({ name: "patched", description: "d" });
    const schemas = { "1": { type: "object" } };
    // Of two spellings each shows the other's value.
    const cases: readonly (readonly [string, readonly string[], unknown, unknown])[] = [
      [`/app/${app.id}`, ["uid"], "a-uid", null],
      [`/app/${app.id}`, ["throttleRate", "rateLimit"], 7, null],
      [`/app/${app.id}`, ["rateLimit", "throttleRate"], 8, null],
      [`/app/${app.id}`, ["metadata"], { k: "v", ключ: "знач" }, {}],
      [`/app/${app.id}/endpoint/${endpoint.id}`, ["uid"], "e-uid", null],
      [`/app/${app.id}/endpoint/${endpoint.id}`, ["throttleRate", "rateLimit"], 65_535, null],
      [`/app/${app.id}/endpoint/${endpoint.id}`, ["rateLimit", "throttleRate"], 1, null],
      [`/app/${app.id}/endpoint/${endpoint.id}`, ["eventTypes", "filterTypes"], ["p.q"], null],
      [`/app/${app.id}/endpoint/${endpoint.id}`, ["filterTypes", "eventTypes"], ["p.q"], null],
      [`/app/${app.id}/endpoint/${endpoint.id}`, ["channels"], ["a:b", "c+d"], null],
      [`/app/${app.id}/endpoint/${endpoint.id}`, ["metadata"], { constructor: "v" }, {}],
      ["/event-type/patched", ["schemas"], schemas, null],
      ["/event-type/patched", ["groupName"], "group", null],
      ["/event-type/patched", ["featureFlags"], ["f", "g"], null],
      ["/event-type/patched", ["featureFlag"], "h", null],
    ];
    for (const [path, [name = "", ...others], value, cleared] of cases) {
      const { updatedAt: _at, ...before } = (await call("GET", path)).body;
      const patched = async (body: object) => {
        const answer = await call("PATCH", path, body);
        assert.equal(answer.status, 200, answer.text);
        const { updatedAt: _later, ...shown } = answer.body;
        assert.deepEqual((({ updatedAt: _, ...kept }) => kept)((await call("GET", path)).body), shown);
        return shown;
      };
      assert.deepEqual(before[name], cleared, name);
      const set = await patched({ [name]: value });
      for (const one of [name, ...others]) assert.deepEqual(set[one], value, `${path} ${one}`);
      assert.deepEqual(await patched({}), set);
      assert.deepEqual(await patched({ [name]: null }), before, `${path} ${name}`);
    }
    // The same through the SDK, which leaves out what is undefined and sends null.
    await svix.application.patch(app.id, { uid: "kept", throttleRate: 3, metadata: { a: "b" } });
    const renamed = await svix.application.patch("kept", { name: "Renamed" });
    assert.deepEqual([renamed.uid, renamed.throttleRate, renamed.metadata], ["kept", 3, { a: "b" }]);
    assert.equal((await svix.application.patch("kept", { throttleRate: null })).throttleRate, null);
    const uid = (await svix.endpoint.patch("kept", endpoint.id, { uid: "e", description: "d", disabled: true })).uid;
    const cleared = await svix.endpoint.patch("kept", uid as string, { uid: null });
    assert.deepEqual([cleared.uid, cleared.description, cleared.disabled], [null, "d", true]);

    for (const [path, body, loc] of [
      ["/app/kept", { name: null }, "body.name"],
      ["/app/kept", { name: "" }, "body.name"],
      ["/app/kept", { name: "x".repeat(10_001) }, "body.name"],
      ["/app/kept", { throttleRate: 0 }, "body.throttleRate"],
      ["/app/kept", { rateLimit: 0 }, "body.rateLimit"],
      ["/app/kept", { throttleRate: 65_536 }, "body.throttleRate"],
      ["/app/kept", { metadata: TOO_MUCH }, "body.metadata"],
      ["/app/kept", { metadata: { k: null } }, "body.metadata.k"],
      [`/app/kept/endpoint/${endpoint.id}`, { throttleRate: 0 }, "body.throttleRate"],
      [`/app/kept/endpoint/${endpoint.id}`, { metadata: TOO_MUCH }, "body.metadata"],
      [`/app/kept/endpoint/${endpoint.id}`, { url: null }, "body.url"],
      [`/app/kept/endpoint/${endpoint.id}`, { url: "" }, "body.url"],
      [`/app/kept/endpoint/${endpoint.id}`, { description: null }, "body.description"],
      [`/app/kept/endpoint/${endpoint.id}`, { disabled: null }, "body.disabled"],
      ["/event-type/patched", { description: null }, "body.description"],
      ["/event-type/patched", { archived: null }, "body.archived"],
      ["/event-type/patched", { deprecated: null }, "body.deprecated"],
    ] as const) {
      assert.deepEqual(locs(await call("PATCH", path, body)), [loc], JSON.stringify(body).slice(0, 60));
    }
    assert.deepEqual((await svix.application.patch("kept", { metadata: JUST_FITS })).metadata, JUST_FITS);
    assert.deepEqual(await refusedAt(svix.application.patch("kept", { name: "" })), ["body.name"]);
    assert.deepEqual(await refusedAt(putEventType({ ...scene, svix }, "patched", {} as never)), ["body.description"]);
    assert.deepEqual(locs(await call("POST", "/app", { name: "", throttleRate: 0, metadata: TOO_MUCH })).sort(), [
      "body.metadata",
      "body.name",
      "body.throttleRate",
    ]);
  });

  test(`${who}: 8. Endpoint lifecycle: create, get, put, patch, delete; another's is not found; uids`, async (t) => {
    const { svix, call, clock, ...scene } = await open(t);
    const speaker = { ...scene, svix };
    await svix.eventType.create({ name: "l.a", description: "" });
    const [app, other] = [await scene.app(), await scene.app()];
    const made = await scene.endpoint(app, {
      url: "HTTP://User:Pa%20ss@EXAMPLE.com:80?q=Ü#frag",
      description: "первый",
      uid: "one",
      throttleRate: 5,
      eventTypes: ["l.a"],
      channels: ["c"],
      metadata: { k: "v" },
    });
    assert.match(made.id, /^ep_[0-9A-Za-z]{27}$/);
    assert.equal(made.url, "http://User:Pa%20ss@example.com/?q=%C3%9C#frag");
    for (const key of [made.id, "one"]) assert.deepEqual(await svix.endpoint.get(app, key), made);
    const { status, body } = await call("GET", `/app/${app}/endpoint/one`);
    assert.equal(status, 200);
    assert.deepEqual([body.filterTypes, body.eventTypes], [["l.a"], ["l.a"]]);
    assert.deepEqual([body.rateLimit, body.throttleRate], [5, 5]);
    assert.deepEqual(Object.keys(body).sort(), [
      "channels",
      "createdAt",
      "description",
      "disabled",
      "eventTypes",
      "filterTypes",
      "id",
      "metadata",
      "rateLimit",
      "throttleRate",
      "uid",
      "updatedAt",
      "url",
      "version",
    ]);
    const raw = await call("POST", `/app/${app}/endpoint`, { url: URL_ });
    assert.equal(raw.status, 201);
    // All of both spellings, when they are null, too.
    const { filterTypes, eventTypes, rateLimit, throttleRate } = raw.body;
    assert.deepEqual([filterTypes, eventTypes, rateLimit, throttleRate], [null, null, null, null]);

    clock.advance(SECOND);
    const put = await putEndpoint(speaker, app, "one", { url: "https://example.org", uid: "one", eventTypes: null });
    assert.deepEqual([put.id, put.url, put.description, put.channels], [made.id, "https://example.org/", "", null]);
    assert.deepEqual([put.throttleRate, put.metadata], [null, {}]);
    assert.deepEqual([put.createdAt.getTime(), put.updatedAt.getTime()], [clock.now() - SECOND, clock.now()]);
    const patched = await svix.endpoint.patch(app, made.id, { url: "HTTPS://EXAMPLE.org:443", disabled: true });
    assert.deepEqual([patched.url, patched.disabled, patched.uid], ["https://example.org/", true, "one"]);

    // Nobody else's: not through another application, by whichever name and call.
    const path = `/app/${other}/endpoint`;
    for (const key of [made.id, "one"]) {
      for (const [method, rest, sent] of [
        ["GET", ""],
        ["PATCH", "", { description: "x" }],
        ["DELETE", ""],
        ["GET", "/secret"],
        ["POST", "/secret/rotate", {}],
        ["GET", "/headers"],
        ["PUT", "/headers", { headers: {} }],
        ["PATCH", "/headers", { headers: {} }],
        ["GET", "/stats"],
        ["GET", "/transformation"],
        ["PATCH", "/transformation", { enabled: false }],
        ["GET", "/rate-limit-status"],
        ["POST", "/send-example", { eventType: "svix.ping" }],
        ["POST", "/recover", { since: new Date(clock.now()).toISOString() }],
        ["GET", "/msg"],
      ] as const) {
        const answer = await call(method, `${path}/${key}${rest}`, sent);
        assert.deepEqual([answer.status, answer.body?.code], [404, "not_found"], `${method} ${rest}`);
      }
    }
    assert.equal((await svix.endpoint.get(app, "one")).description, "");

    assert.deepEqual(await refusal(svix.endpoint.create(app, { url: URL_, uid: "one" })), CONFLICT);
    assert.deepEqual(await refusal(svix.endpoint.patch(app, raw.body.id, { uid: "one" })), CONFLICT);
    assert.deepEqual(await refusal(putEndpoint(speaker, app, raw.body.id, { url: URL_, uid: "one" })), CONFLICT);
    assert.deepEqual(await refusal(putEndpoint(speaker, app, "nobody", { url: URL_, uid: "one" })), CONFLICT);
    assert.equal((await svix.endpoint.create(other, { url: URL_, uid: "one" })).uid, "one");
    const race = await Promise.all(
      Array.from({ length: 10 }, () => call("POST", `/app/${app}/endpoint`, { url: URL_, uid: "race" })),
    );
    assert.deepEqual(race.map((answer) => answer.status).sort(), [201, ...Array(9).fill(409)]);

    const deleted = await call("DELETE", `/app/${app}/endpoint/one`);
    assert.deepEqual([deleted.status, deleted.text], [204, ""]);
    for (const key of [made.id, "one"]) {
      assert.deepEqual(await refusal(svix.endpoint.get(app, key)), NOT_FOUND);
      assert.deepEqual(await refusal(svix.endpoint.getSecret(app, key)), NOT_FOUND);
      assert.deepEqual(await refusal(svix.endpoint.rotateSecret(app, key, {})), NOT_FOUND);
      assert.deepEqual(await refusal(svix.endpoint.patch(app, key, { description: "x" })), NOT_FOUND);
      assert.deepEqual(await refusal(svix.endpoint.delete(app, key)), NOT_FOUND);
    }
    const again = await svix.endpoint.create(app, { url: URL_, uid: "one" });
    assert.notEqual(again.id, made.id);
    assert.ok(!(await svix.endpoint.list(app)).data.some(({ id }) => id === made.id));
  });

  test(`${who}: 9. Endpoint validation: addresses, https only, event types, channels`, async (t) => {
    const { svix, call, ...scene } = await open(t);
    const speaker = { ...scene, svix };
    const app = await scene.app();
    await svix.eventType.create({ name: "v.ok", description: "" });
    await svix.eventType.create({ name: "v.gone", description: "" });
    await svix.eventType.delete("v.gone");
    const kept = await scene.endpoint(app, { url: "http://example.com" });
    const types = scene.major === 1 ? "filterTypes" : "eventTypes";
    const channels = (count: number) => Array.from({ length: count }, (_, i) => `c${i}`);
    const wrong: readonly (readonly [Parameters<typeof putEndpoint>[3], string])[] = [
      [{ url: "ftp://x" }, "body.url"],
      [{ url: "file:///etc/passwd" }, "body.url"],
      [{ url: "javascript:alert(1)" }, "body.url"],
      [{ url: "ws://example.com" }, "body.url"],
      [{ url: "example.com" }, "body.url"],
      [{ url: "https://" }, "body.url"],
      [{ url: "https://exa mple.com" }, "body.url"],
      [{ url: "http://[::1" }, "body.url"],
      [{ url: "http://256.256.256.256/" }, "body.url"],
      [{ url: "http://a:99999/" }, "body.url"],
      [{ url: "http://x/\u0000" }, "body.url"],
      [{ url: URL_, eventTypes: [] }, `body.${types}`],
      [{ url: URL_, eventTypes: ["v.unknown"] }, `body.${types}`],
      [{ url: URL_, eventTypes: ["v.ok", "v.gone"] }, `body.${types}`],
      [{ url: URL_, eventTypes: ["V.OK"] }, `body.${types}`],
      [{ url: URL_, eventTypes: ["v ok"] }, `body.${types}.[0]`],
      [{ url: URL_, channels: [] }, "body.channels"],
      [{ url: URL_, channels: channels(11) }, "body.channels"],
      [{ url: URL_, channels: ["ok", "nicht ok"] }, "body.channels.[1]"],
      [{ url: URL_, channels: ["x".repeat(129)] }, "body.channels.[0]"],
    ];
    for (const [given, loc] of wrong) {
      const what = JSON.stringify(given).slice(0, 80);
      assert.deepEqual(await refusedAt(scene.endpoint(app, given)), [loc], what);
      assert.deepEqual(await refusedAt(putEndpoint(speaker, app, kept.id, given)), [loc], what);
      const { eventTypes, ...rest } = given;
      const patch = eventTypes === undefined ? rest : { ...rest, [types]: eventTypes };
      assert.deepEqual(locs(await call("PATCH", `/app/${app}/endpoint/${kept.id}`, patch)), [loc], what);
    }
    const named = await call("POST", `/app/${app}/endpoint`, { url: URL_, [types]: ["v.unknown", "v.ok", "v.gone"] });
    assert.equal(named.status, 422);
    assert.match(named.body.detail[0].msg, /v\.unknown, v\.gone/);
    assert.doesNotMatch(named.body.detail[0].msg, /v\.ok/);
    assert.deepEqual((await svix.endpoint.list(app)).data, [kept]);
    const full = await scene.endpoint(app, { url: URL_, eventTypes: ["v.ok"], channels: channels(10) });
    assert.equal(full.channels?.length, 10);

    const https = await call("PATCH", "/management/environment-settings", { enforceHttps: true });
    assert.equal(https.status, 200);
    for (const url of ["http://example.com/", "HTTP://127.0.0.1/"]) {
      assert.deepEqual(await refusedAt(scene.endpoint(app, { url })), ["body.url"]);
      assert.deepEqual(await refusedAt(putEndpoint(speaker, app, full.id, { url })), ["body.url"]);
      assert.deepEqual(await refusedAt(svix.endpoint.patch(app, full.id, { url })), ["body.url"]);
      assert.deepEqual(await refusedAt(svix.operationalWebhook.endpoint.create({ url })), ["body.url"]);
    }
    assert.equal((await scene.endpoint(app, { url: URL_ })).url, URL_);
    // One that was there before can be read, and changed in other respects.
    assert.equal((await svix.endpoint.patch(app, kept.id, { description: "old" })).url, "http://example.com/");
  });
});
