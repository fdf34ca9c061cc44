/** Preferences: written as they come, read as they count. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_PREFERENCES } from "../../../../src/engine/workflow/model.ts";
import { forEachKnock, knockFor } from "../knock-target.ts";

forEachKnock((name, open) => {
  test(`${name}: users.getPreferences of nobody, and of a set that was never written, is what counts for everybody`, async () => {
    const { knock } = await open();
    const set = await knock.users.getPreferences("unheard-of", "default");
    assert.deepEqual(set, {
      id: "default",
      workflows: {},
      categories: {},
      channel_types: {},
      channels: {},
      commercial_subscribed: null,
    });
    assert.equal((await knock.users.getPreferences("unheard-of", "acme")).id, "acme");
    assert.deepEqual(
      (await knock.users.listPreferences("unheard-of")).map(({ id }) => id),
      ["default"],
    );
  });

  test(`${name}: users.setPreferences replaces`, async () => {
    const { knock } = await open();
    await knock.users.setPreferences("replace", "default", {
      workflows: { a: false, b: { channel_types: { email: false } } },
      channel_types: { sms: false },
      commercial_subscribed: false,
    });
    const read = await knock.users.getPreferences("replace", "default");
    assert.deepEqual(read.workflows, { a: false, b: { channel_types: { email: false } } });
    assert.equal(read.commercial_subscribed, false);
    const replaced = await knock.users.setPreferences("replace", "default", { categories: { c: false } });
    assert.deepEqual(replaced.workflows, {});
    assert.deepEqual(replaced.channel_types, {});
    assert.deepEqual(replaced.categories, { c: false });
    assert.equal(replaced.commercial_subscribed, null);
  });

  test(`${name}: __persistence_strategy__ "merge" keeps what stands beside`, async () => {
    const { knock } = await open();
    await knock.users.setPreferences("merge", "default", {
      workflows: { a: false, b: { channel_types: { email: false } } },
    });
    const merged = await knock.users.setPreferences("merge", "default", {
      __persistence_strategy__: "merge",
      workflows: { b: { channel_types: { sms: true } }, c: true },
    });
    assert.deepEqual(merged.workflows, { a: false, b: { channel_types: { email: false, sms: true } }, c: true });
  });

  test(`${name}: inline preferences merge, also in a call that writes nothing else`, async () => {
    const { knock } = await open();
    await knock.users.setPreferences("inline", "default", { workflows: { a: false } });
    await knock.users.update("inline", {
      preferences: { default: { workflows: { b: false } }, acme: { workflows: { a: true } } },
    });
    assert.deepEqual((await knock.users.getPreferences("inline", "default")).workflows, { a: false, b: false });
    assert.deepEqual((await knock.users.getPreferences("inline", "acme")).workflows, { a: true });
    assert.deepEqual(
      (await knock.users.listPreferences("inline")).map(({ id }) => id),
      ["default", "acme"],
    );
    const user = await knock.users.get("inline");
    assert.equal((user as { preferences?: unknown }).preferences, undefined);
  });

  test(`${name}: the chain: the tenant's own set, the tenant's default, the environment's`, async () => {
    const { knock, call } = await open();
    await knock.users.setPreferences("chain", "default", { workflows: { wf: true, own: false } });
    // A tenant that says nothing: the default set counts.
    await knock.tenants.set("chain-silent", {});
    assert.deepEqual((await knock.users.getPreferences("chain", "chain-silent")).workflows, { wf: true, own: false });
    await knock.tenants.set("chain-t", { settings: { preference_set: { workflows: { wf: false, other: false } } } });
    assert.deepEqual((await knock.users.getPreferences("chain", "chain-t")).workflows, { wf: false, other: false });
    assert.deepEqual((await knock.users.getPreferences("chain", "default", { tenant: "chain-t" })).workflows, {
      wf: false,
      other: false,
    });
    assert.equal((await knock.users.getPreferences("chain", "default", { tenant: "chain-t" })).id, "default");
    await knock.users.setPreferences("chain", "chain-t", { workflows: { wf: true } });
    assert.deepEqual((await knock.users.getPreferences("chain", "chain-t")).workflows, { wf: true, other: false });
    const replace = { workflows: { wf: { channel_types: { email: false }, __strategy__: "replace" } } };
    assert.equal((await call("PUT", "/tenants/chain-t", { settings: { preference_set: replace } })).status, 200);
    const { body } = await call("GET", "/users/chain/preferences/chain-t");
    assert.deepEqual(body.workflows.wf, { channel_types: { email: false }, __strategy__: "replace" });
  });

  test(`${name}: users.unsetPreferences`, async () => {
    const { knock } = await open();
    await knock.users.setPreferences("unset", "default", { workflows: { a: false } });
    await knock.users.unsetPreferences("unset", "default");
    assert.deepEqual((await knock.users.getPreferences("unset", "default")).workflows, {});
    await knock.users.unsetPreferences("unset", "default");
  });

  test(`${name}: what is no set is refused by field, and leaves the set as it was`, async () => {
    const { call } = await open();
    await call("PUT", "/users/strict/preferences/default", { workflows: { a: false } });
    for (const [body, field] of [
      [{ workflows: { a: "no" } }, "workflows.a"],
      [{ workflows: [] }, "workflows"],
      [{ channel_types: { pigeon: true } }, "channel_types.pigeon"],
      [
        { channel_types: { email: { conditions: [{ variable: "x", operator: "resembles", argument: "y" }] } } },
        "channel_types.email.conditions[0].operator",
      ],
      [{ __persistence_strategy__: "guess" }, "__persistence_strategy__"],
      [{ commercial_subscribed: "never" }, "commercial_subscribed"],
    ] as const) {
      const answer = await call("PUT", "/users/strict/preferences/default", body);
      assert.equal(answer.status, 422, field);
      assert.equal(answer.body.errors[0].field, field);
    }
    assert.deepEqual((await call("GET", "/users/strict/preferences/default")).body.workflows, { a: false });
    const inline = await call("PUT", "/users/strict", { preferences: { default: { workflows: { a: 1 } } } });
    assert.equal(inline.body.errors[0].field, "preferences.default.workflows.a");
    assert.equal((await call("PUT", "/users/strict/preferences/a%2Fb", {})).status, 422);
  });

  test(`${name}: objects have preferences, too`, async () => {
    const { knock, call } = await open();
    await knock.objects.setPreferences("projects", "p1", "default", { categories: { c: false } });
    assert.deepEqual((await knock.objects.getPreferences("projects", "p1", "default")).categories, { c: false });
    assert.equal((await knock.objects.listPreferences("projects", "p1")).length, 1);
    await call("PUT", "/objects/projects/p1/preferences/default/workflows/w", { subscribed: false });
    assert.deepEqual((await knock.objects.getPreferences("projects", "p1", "default")).workflows, { w: false });
    await knock.objects.unsetPreferences("projects", "p1", "default");
    assert.deepEqual((await knock.objects.getPreferences("projects", "p1", "default")).categories, {});
  });

  test(`${name}: the six parts that browsers write by themselves`, async (t) => {
    const { browser } = await open();
    const client = browser("parts");
    t.after(() => client.teardown());
    const { preferences } = client;
    await preferences.set({ workflows: { x: false }, categories: {}, channel_types: {} });
    assert.deepEqual((await preferences.setWorkflow("dotted.key", true)).workflows, { x: false, "dotted.key": true });
    assert.deepEqual((await preferences.setWorkflow("y", { channel_types: { email: false } })).workflows?.y, {
      channel_types: { email: false },
    });
    assert.deepEqual((await preferences.setWorkflows({ z: false })).workflows, { z: false });
    assert.deepEqual((await preferences.setCategory("news", false)).categories, { news: false });
    assert.deepEqual((await preferences.setCategories({ sport: true })).categories, { sport: true });
    assert.deepEqual((await preferences.setChannelType("email", false)).channel_types, { email: false });
    assert.deepEqual((await preferences.setChannelTypes({ sms: false })).channel_types, { sms: false });
    const read = await preferences.get();
    assert.deepEqual(read.workflows, { z: false });
    assert.deepEqual(read.channel_types, { sms: false });
    assert.equal(((await preferences.getAll()) as unknown as unknown[]).length, 1);
    await client.user.setPreferences({ workflows: {}, categories: { only: true }, channel_types: {} });
    assert.deepEqual((await client.user.getPreferences()).categories, { only: true });
  });

  test(`${name}: whoever says what they want is somebody from then on`, async () => {
    const { knock, call } = await open();
    await knock.users.setPreferences("said-so", "default", { workflows: { a: false } });
    assert.equal((await knock.users.get("said-so")).id, "said-so");
    await call("PUT", "/objects/$tenants/said-so/preferences/default", { workflows: { a: false } });
    assert.equal((await call("GET", "/objects/$tenants/said-so")).status, 404);
    assert.equal(
      (await call("PUT", "/users/said-so/preferences/default/workflows/__proto__", { subscribed: true })).status,
      422,
    );
  });

  test(`${name}: the page for preferences`, async () => {
    const { call, asClient, admin } = await open();
    await call("PUT", "/users/pager", { email: "pager@example.com" });
    const unbranded = { logo_url: null, icon_url: null, primary_color: null, primary_color_contrast: null };
    const { status, body } = await asClient()("GET", "/users/pager/preference_center/config");
    assert.equal(status, 200);
    assert.equal(body.enabled, false);
    assert.equal(body.user_email, "pager@example.com");
    assert.equal(body.knock_branding_required, false);
    assert.ok(Array.isArray(body.config.rows));
    assert.deepEqual(body.branding, { ...unbranded, dark: unbranded });
    const value = { logo_url: "https://acme.example/l.png", dark_primary_color: "#000000", primary_color: 5 };
    await admin("PUT", "/admin/knock/variables/branding", { value });
    const branded = (await asClient()("GET", "/users/unnamed/preference_center/config")).body;
    assert.equal(branded.user_email, "unnamed");
    assert.deepEqual(branded.branding, {
      ...unbranded,
      logo_url: value.logo_url,
      dark: { ...unbranded, primary_color: "#000000" },
    });
    await admin("PUT", "/admin/knock/variables/branding", { value, secret: true });
    const secret = (await asClient()("GET", "/users/pager/preference_center/config")).body;
    assert.deepEqual(secret.branding, { ...unbranded, dark: unbranded });
  });

  test(`${name}: writers of one set at once lose nothing`, async () => {
    const { call } = await open();
    const keys = Array.from({ length: 20 }, (_, i) => `w${i}`);
    await Promise.all(
      keys.map((key) => call("PUT", `/users/storm/preferences/default/workflows/${key}`, { subscribed: false })),
    );
    const { body } = await call("GET", "/users/storm/preferences/default");
    assert.deepEqual(Object.keys(body.workflows).sort(), keys.toSorted());
  });
});

test("the environment's default set lies under all others", async (t) => {
  const { knock, call, environment, app, clock } = await knockFor(t);
  const body = { workflows: { wf: false }, channel_types: { sms: false } };
  await app.engine.documents.write(
    environment.id,
    [{ kind: DEFAULT_PREFERENCES, id: "default", body, expect: "any" }],
    clock.now(),
  );
  assert.deepEqual((await knock.users.getPreferences("u", "default")).workflows, { wf: false });
  await knock.users.setPreferences("u", "default", { workflows: { wf: true } });
  const read = await knock.users.getPreferences("u", "default");
  assert.deepEqual(read.workflows, { wf: true });
  assert.deepEqual(read.channel_types, { sms: false });
  await knock.tenants.set("t", { settings: { preference_set: { categories: { c: false } } } });
  const plain = await call("GET", "/tenants/t");
  assert.equal(plain.body.settings.preference_set.workflows, undefined);
  const full = await call("GET", "/tenants/t?resolve_full_preference_settings=true");
  assert.deepEqual(full.body.settings.preference_set.workflows, { wf: false });
  assert.deepEqual(full.body.settings.preference_set.categories, { c: false });
});
