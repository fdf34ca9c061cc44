/** Settings of an environment, and carrying what is configured from one to another. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { forEachSvix } from "./svix-target.ts";

const MANAGED = "/management/environment-settings";

forEachSvix((name, open) => {
  test(`${name}: settings are read, replaced and changed in part`, async () => {
    const target = await open();
    const own = await target.another();
    const { settings } = target.app.engine.webhooks;
    const fresh = (await own.call("GET", MANAGED)).body;
    assert.equal(fresh.enableTransformations, true);
    assert.equal(fresh.disableEndpointOnFailure, true);
    assert.equal(fresh.enforceHttps, false);
    assert.equal(fresh.retryPolicy, null);
    assert.deepEqual([fresh.whitelabelHeaders, fresh.sendSvixWebhookHeaders], [true, true]);
    assert.equal(fresh.showUseSvixPlay, true);
    assert.deepEqual(fresh.applicationAlertEvents, []);
    assert.equal(fresh.customThemeOverride, null);

    const patched = await own.call("PATCH", MANAGED, {
      retryPolicy: [5, 60],
      enforceHttps: true,
      requireEndpointChannel: true,
      requireEndpointFilterTypes: true,
      wipeSuccessfulPayload: true,
      enableMsgAtmptLog: true,
      enableTransformations: false,
      disableEndpointOnFailure: false,
      displayName: "Acme",
      customColor: "#aabbcc",
      customLogoUrl: "https://acme.example/logo.png",
      enableChannels: true,
      customThemeOverride: { borderRadius: { button: "full" }, fontSize: { base: 15 } },
      colorPaletteDark: { primary: "rgb(1, 2, 3)" },
    });
    assert.equal(patched.status, 200, patched.text);
    assert.deepEqual(await settings.read(own.environmentId), {
      retryWaitsMs: [5_000, 60_000],
      disableFailing: false,
      headerNames: "both",
      requireHttps: true,
      requireChannels: true,
      requireEventTypes: true,
      transformations: false,
      wipeWhenSent: true,
      logAttempts: true,
      shown: (await settings.read(own.environmentId)).shown,
    });
    assert.deepEqual(patched.body.retryPolicy, [5, 60]);
    assert.equal(patched.body.customThemeOverride.borderRadius.button, "full");
    assert.equal(patched.body.customThemeOverride.borderRadius.card, null);

    const renamed = (await own.call("PATCH", MANAGED, { displayName: null, unknown: 5 })).body;
    assert.deepEqual([renamed.displayName, renamed.customColor, renamed.enforceHttps], [null, "#aabbcc", true]);

    const replaced = (await own.call("PUT", MANAGED, { displayName: "New", unknown: 5 })).body;
    assert.deepEqual({ ...fresh, displayName: "New" }, replaced);
    assert.deepEqual((await own.call("GET", MANAGED)).body, replaced);
    assert.deepEqual((await own.call("PUT", MANAGED)).body, fresh);
  });

  test(`${name}: which headers are sent is two switches`, async () => {
    const target = await open();
    const own = await target.another();
    const now = async () => (await target.app.engine.webhooks.settings.read(own.environmentId)).headerNames;
    const steps = [
      ["PATCH", { sendSvixWebhookHeaders: false }, "standard"],
      ["PATCH", { whitelabelHeaders: false }, "svix"],
      ["PATCH", { whitelabelHeaders: true }, "standard"],
      ["PATCH", { sendSvixWebhookHeaders: true }, "both"],
      ["PATCH", {}, "both"],
      ["PUT", { whitelabelHeaders: true }, "standard"],
      ["PUT", { whitelabelHeaders: false }, "svix"],
      ["PUT", {}, "both"],
    ] as const;
    for (const [method, body, expected] of steps) {
      assert.equal((await own.call(method, MANAGED, body)).status, 200);
      assert.equal(await now(), expected, JSON.stringify(body));
    }
  });

  test(`${name}: a portal sees what it needs, and of another environment nothing`, async () => {
    const target = await open();
    const own = await target.another();
    await own.call("PATCH", MANAGED, {
      displayName: "Portal",
      customLogoUrl: "https://a.example/l.png",
      readOnly: true,
    });
    const app = await own.svix.application.create({ name: "portal" });
    const { token } = await own.svix.authentication.appPortalAccess(app.id, {});
    const portal = await target.with(token).call("GET", "/environment/settings");
    assert.equal(portal.status, 200);
    assert.equal(portal.body.displayName, "Portal");
    assert.equal(portal.body.logoUrl, "https://a.example/l.png");
    assert.equal(portal.body.enableTransformations, true);
    assert.equal(portal.body.readOnly, undefined);
    assert.equal(portal.body.retryPolicy, undefined);
    assert.equal((await target.call("GET", "/environment/settings")).body.displayName, null);
    assert.equal(
      (await target.call("GET", "/environment/settings", undefined, { authorization: undefined })).status,
      401,
    );
  });

  test(`${name}: an export is imported elsewhere; an import adds and never deletes`, async () => {
    const target = await open();
    const [from, to] = [await target.another(), await target.another()];
    await from.svix.eventType.create({
      name: "carried.one",
      description: "x",
      schemas: { "1": { type: "object" } },
      featureFlags: ["f"],
      groupName: "g",
    });
    await from.svix.eventType.create({ name: "carried.gone", description: "y" });
    await from.svix.eventType.delete("carried.gone");
    await from.call("PATCH", MANAGED, { retryPolicy: [1, 2], displayName: "From", whitelabelHeaders: false });
    await from.call("POST", "/connector", {
      name: "Chat",
      uid: "chat",
      kind: "Slack",
      transformation: "function handler(w) { return w }",
    });
    await to.svix.eventType.create({ name: "own.one", description: "stays" });
    await to.svix.eventType.create({ name: "carried.one", description: "is replaced" });

    const exported = await from.svix.environment.export();
    assert.equal(exported.version, 1);
    assert.deepEqual(
      exported.eventTypes.map((one) => [one.name, one.archived]),
      [
        ["carried.gone", true],
        ["carried.one", false],
      ],
    );
    assert.equal(exported.connectors[0]?.uid, "chat");
    const again = await from.svix2.environment.export();
    assert.deepEqual(again.settings, exported.settings);

    await to.svix2.environment.import({
      eventTypes: again.eventTypes as never,
      settings: again.settings as never,
      connectors: again.connectors as never,
    });
    const there = await to.svix.environment.export();
    assert.deepEqual(
      there.eventTypes.map((one) => one.name),
      ["carried.gone", "carried.one", "own.one"],
    );
    const one = await to.svix.eventType.get("carried.one");
    assert.deepEqual(
      [one.description, one.featureFlags, one.groupName, one.schemas],
      ["x", ["f"], "g", { "1": { type: "object" } }],
    );
    assert.deepEqual(there.settings, exported.settings);
    assert.deepEqual(
      there.connectors.map(({ uid, transformation }) => [uid, transformation]),
      [["chat", "function handler(w) { return w }"]],
    );
    const settings = await target.app.engine.webhooks.settings.read(to.environmentId);
    assert.deepEqual([settings.retryWaitsMs, settings.headerNames], [[1_000, 2_000], "svix"]);

    // Again: nothing is doubled. Nothing at all: nothing changes.
    await to.call("POST", "/environment/import", JSON.parse(JSON.stringify({ ...again })));
    assert.equal((await to.call("POST", "/environment/import", {})).status, 204);
    assert.equal((await to.call("POST", "/environment/import")).status, 204);
    const last = await to.svix.environment.export();
    assert.deepEqual([last.eventTypes.length, last.connectors.length], [3, 1]);
    assert.deepEqual(last.settings, exported.settings);
  });

  test(`${name}: an import with a mistake anywhere changes nothing`, async () => {
    const own = await (await open()).another();
    const answer = await own.call("POST", "/environment/import", {
      eventTypes: [{ name: "good.one", description: "x" }, { name: "bad one" }, { name: "good.one", description: "y" }],
      settings: { displayName: "X", enforceHttps: "yes" },
      connectors: [{ name: "no code" }],
    });
    assert.equal(answer.status, 422);
    assert.deepEqual((answer.body.detail as { loc: string[] }[]).map(({ loc }) => loc.join(".")).sort(), [
      "body.connectors.[0].transformation",
      "body.eventTypes.[1].description",
      "body.eventTypes.[1].name",
      "body.eventTypes.[2].name",
      "body.settings.enforceHttps",
    ]);
    const exported = await own.svix.environment.export();
    assert.deepEqual([exported.eventTypes, exported.connectors], [[], []]);
    assert.equal((exported.settings as { displayName: unknown }).displayName, null);
  });
});

forEachSvix((name, open) => {
  if (name !== "sqlite") return;

  for (const [what, body, field] of [
    ["waits that are no list", { retryPolicy: "soon" }, "retryPolicy"],
    ["a wait that is no number", { retryPolicy: [5, "x"] }, "retryPolicy"],
    ["a negative wait", { retryPolicy: [-1] }, "retryPolicy"],
    ["waits for ever", { retryPolicy: [1e12] }, "retryPolicy"],
    ["waits without end", { retryPolicy: new Array(51).fill(1) }, "retryPolicy"],
    ["a switch that is null", { enforceHttps: null }, "enforceHttps"],
    ["a switch that is text", { enableChannels: "true" }, "enableChannels"],
    ["a script for a logo", { customLogoUrl: "javascript:alert(1)" }, "customLogoUrl"],
    ["a colour that closes a style", { customColor: "red;} body{display:none" }, "customColor"],
    ["a colour in a palette", { colorPaletteLight: { primary: "<b>" } }, "colorPaletteLight"],
    ["a font with quotes", { customFontFamily: 'a"b' }, "customFontFamily"],
    [
      "a radius that there is not",
      { customThemeOverride: { borderRadius: { button: "huge" } } },
      "customThemeOverride",
    ],
    ["a theme that is a list", { customThemeOverride: [] }, "customThemeOverride"],
    ["words without end", { customStringsOverride: { channelsOne: "x".repeat(1_001) } }, "customStringsOverride"],
    ["an alert that there is not", { applicationAlertEvents: ["nothing"] }, "applicationAlertEvents"],
    ["NUL in the name", { displayName: "a\0" }, "displayName"],
  ] as const) {
    test(`refused: ${what}`, async () => {
      const { call } = await open();
      for (const method of ["PUT", "PATCH"]) {
        const answer = await call(method, MANAGED, body);
        assert.equal(answer.status, 422, answer.text);
        assert.equal(answer.body.detail[0].loc[1], field);
      }
      assert.equal((await call("PATCH", MANAGED, "[1]")).status, 422);
    });
  }
});
