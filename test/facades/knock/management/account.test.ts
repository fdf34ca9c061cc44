import assert from "node:assert/strict";
import { test } from "node:test";
import { forEachKnock } from "../knock-target.ts";

forEachKnock((name, open) => {
  test(`${name}: whoami, environments, keys`, async () => {
    const { call, secretKey } = await open();
    const who = (await call("GET", "/whoami")).body;
    assert.deepEqual([who.type, who.account_features.translations_allowed], ["service_token", true]);
    const { entries } = (await call("GET", "/environments")).body;
    assert.deepEqual(
      entries.map(({ slug }: { slug: string }) => slug),
      ["development"],
    );
    assert.equal((await call("GET", "/environments/production")).body.slug, "development");
    assert.equal((await call("GET", "/environments/staging")).status, 404);
    const made = (await call("POST", "/api_keys/exchange?environment=development")).body.api_key;
    assert.notEqual(made, secretKey);
    const own = { authorization: `Bearer ${made}` };
    assert.equal((await call("GET", "/users", undefined, own)).status, 200);
    assert.equal((await call("POST", "/api_keys/exchange?environment=staging")).status, 404);
  });

  test(`${name}: channels as /admin made them`, async () => {
    const { call, admin, feedId } = await open();
    const made = await admin("POST", "/admin/knock/channels", {
      key: "pager",
      type: "sms",
      settings: { sandbox_mode: true },
    });
    const { entries } = (await call("GET", "/channels?environment=development")).body;
    const keys = entries.map(({ key }: { key: string }) => key);
    assert.deepEqual(keys.slice().sort(), ["chat", "email", "guide", "in-app", "pager", "push", "sms"]);
    const feed = entries.find(({ key }: { key: string }) => key === "in-app");
    assert.deepEqual([feed.id, feed.type, feed.provider], [feedId, "in_app_feed", "in_app_feed_knock"]);
    const [only] = (await call("GET", `/channels?id=${made.body.id}&include[]=environment_settings`)).body.entries;
    assert.equal(only.environment_settings.development.is_sandbox, true);
    assert.equal((await call("GET", "/channels/pager")).body.id, made.body.id);
    assert.equal((await call("GET", "/channels/none")).status, 404);
    const first = (await call("GET", "/channels?limit=4")).body;
    const rest = (await call("GET", `/channels?limit=4&after=${first.page_info.after}`)).body;
    assert.deepEqual([first.entries.length, rest.entries.length, rest.page_info.after], [4, 3, null]);
    assert.equal((await call("GET", `/channels?limit=4&before=${rest.page_info.before}`)).body.entries.length, 4);
  });

  test(`${name}: channel groups`, async () => {
    const { call } = await open();
    const put = (channel_group: object) => call("PUT", "/channel_groups/phones", { channel_group });
    const rules = [
      { channel_key: "push", rule_type: "if", variable: "recipient.plan", operator: "equal_to", argument: "pro" },
      { channel_key: "push", rule_type: "always" },
    ];
    const written = await put({ name: "Phones", channel_type: "push", operator: "any", channel_rules: rules });
    assert.equal(written.status, 200, written.text);
    const [first] = written.body.channel_group.channel_rules;
    assert.deepEqual(
      [first.channel.key, first.variable, first.operator, first.index],
      ["push", "recipient.plan", "equal_to", 0],
    );
    assert.equal((await call("GET", "/channel_groups")).body.entries.length, 1);
    const step = {
      type: "channel",
      channel_group_key: "phones",
      template: { title: "T", text_body: "B", settings: {} },
    };
    const grouped = await call("PUT", "/workflows/grouped/validate", { workflow: { name: "G", steps: [step] } });
    assert.equal(grouped.body.workflow?.steps[0].channel_type, "push", grouped.text);
    const bad = await put({
      name: "P",
      channel_type: "push",
      channel_rules: [{ channel_key: "sms", rule_type: "if" }],
    });
    assert.deepEqual(bad.body.errors.map(({ field }: { field: string }) => field).sort(), [
      "channel_rules[0].channel_key",
      "channel_rules[0].variable",
    ]);
    assert.equal((await call("DELETE", "/channel_groups/phones")).status, 204);
    assert.equal((await call("DELETE", "/channel_groups/phones")).status, 404);
    assert.equal((await call("GET", "/channel_groups/phones")).status, 404);
  });

  test(`${name}: variables are read, secrets obscured`, async () => {
    const { call, admin } = await open();
    await admin("PUT", "/admin/knock/variables/app_url", { value: "https://x.io" });
    await admin("PUT", "/admin/knock/variables/token", { value: "s3cret", secret: true });
    const { entries } = (await call("GET", "/variables?environment=development")).body;
    assert.deepEqual(
      entries.map(({ key, type }: { key: string; type: string }) => `${key} ${type}`),
      ["app_url public", "token secret"],
    );
    assert.equal((await call("GET", "/variables/app_url")).body.value, "https://x.io");
    assert.doesNotMatch((await call("GET", "/variables/token")).text, /s3cret/);
    assert.equal((await call("GET", "/variables?type=secret")).body.entries.length, 1);
    assert.equal((await call("GET", "/variables/none")).status, 404);
  });

  test(`${name}: preference categories and the preference center`, async () => {
    const { call } = await open();
    const made = (await call("PUT", "/preference_categories/Collab%20🎉")).body.preference_category;
    assert.equal(made.name, "Collab 🎉");
    assert.deepEqual((await call("PUT", "/preference_categories/Collab%20🎉")).body.preference_category, made);
    assert.equal((await call("GET", "/preference_categories")).body.entries.length, 1);
    assert.equal((await call("DELETE", "/preference_categories/Collab%20🎉")).status, 204);
    assert.equal((await call("DELETE", "/preference_categories/Collab%20🎉")).status, 404);

    assert.equal((await call("GET", "/preference_center")).body.enabled, false);
    const config = {
      title: "Yours",
      body: "Choose",
      show_account_name: false,
      rows: [{ type: "workflow", identifier: "wf", name: "News", description: "", channel_types: ["email"] }],
    };
    const written = await call("PUT", "/preference_center?environment=development", { config, enabled: true });
    assert.deepEqual(written.body, { enabled: true, config });
    assert.deepEqual((await call("GET", "/preference_center")).body, { enabled: true, config });
    const reset = (await call("PUT", "/preference_center/reset")).body;
    assert.deepEqual([reset.enabled, reset.config.rows], [true, []]);
    const bad = await call("PUT", "/preference_center", { config: { rows: [{ type: "workflow", name: "N" }] } });
    assert.equal(bad.body.errors[0].field, "config.rows[0].identifier");
  });

  test(`${name}: what there is none of is an empty list; what is not there yet says so`, async () => {
    const { call } = await open();
    for (const path of [
      "audiences",
      "branches",
      "members",
      "sources",
      "source_providers",
      "goals",
      "schemas",
      "tags",
      "assets",
    ]) {
      assert.deepEqual((await call("GET", `/${path}?environment=development`)).body.entries, [], path);
      assert.equal((await call("GET", `/${path}/x`)).status, 404, path);
    }
    for (const [method, path] of [
      ["GET", "/broadcasts"],
      ["DELETE", "/audiences/x"],
      ["PUT", "/broadcasts/x/send"],
      ["POST", "/branches/x"],
    ] as const) {
      const answer = await call(method, path);
      assert.deepEqual(
        [answer.status, answer.body.code, answer.headers.get("x-should-retry")],
        [501, "not_implemented", "false"],
      );
    }
  });
});
