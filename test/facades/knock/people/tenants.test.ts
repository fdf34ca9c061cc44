/** Tenants, which every facade shares, and channel data. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { forEachKnock, type KnockTarget } from "../knock-target.ts";

/** Ids of the environment's channels by their type. */
async function channelsOf({ app, environment }: KnockTarget): Promise<Record<string, string>> {
  const channels = await app.engine.workflows.channels(environment.id);
  return Object.fromEntries(channels.map(({ id, type }) => [type, id]));
}

forEachKnock((name, open) => {
  test(`${name}: tenants.set merges; a preference set can be replaced and cleared`, async () => {
    const { knock, call } = await open();
    const made = await knock.tenants.set("acme", {
      name: "Acme",
      plan: "pro",
      settings: { branding: { primary_color: "#f00" }, preference_set: { workflows: { a: false } } },
    });
    assert.equal(made.__typename, "Tenant");
    assert.equal(made.name, "Acme");
    assert.equal(made.plan, "pro");
    assert.equal(made.settings?.branding?.primary_color, "#f00");
    await knock.tenants.set("acme", {
      seats: 5,
      settings: { branding: { logo_url: "https://acme.example/l.png" }, preference_set: { workflows: { b: false } } },
    });
    const read = await knock.tenants.get("acme");
    assert.deepEqual(read.settings?.branding, { primary_color: "#f00", logo_url: "https://acme.example/l.png" });
    assert.deepEqual(read.settings?.preference_set?.workflows, { a: false, b: false });
    assert.equal(read.plan, "pro");
    assert.equal(read.seats, 5);
    const replace = { __persistence_strategy__: "replace", categories: { c: true } };
    const replaced = await call("PUT", "/tenants/acme", { settings: { preference_set: replace } });
    assert.deepEqual(replaced.body.settings.preference_set, { id: "default", categories: { c: true } });
    // Whoever writes back what it read changes nothing.
    const again = await call("PUT", "/tenants/acme", replaced.body);
    assert.deepEqual(again.body, replaced.body);
    const cleared = await call("PUT", "/tenants/acme", { settings: { preference_set: null } });
    assert.equal(cleared.body.settings.preference_set, null);
    assert.equal(cleared.body.settings.branding.primary_color, "#f00");
    assert.equal((await call("PUT", "/tenants/acme", { settings: "none" })).status, 422);
    const bad = await call("PUT", "/tenants/acme", { settings: { preference_set: { workflows: { a: 1 } } } });
    assert.equal(bad.body.errors[0].field, "settings.preference_set.workflows.a");
    await knock.tenants.delete("acme");
    assert.equal((await call("GET", "/tenants/acme")).status, 404);
    assert.equal((await call("DELETE", "/tenants/acme")).status, 404);
  });

  test(`${name}: what Courier writes leaves Knock's settings alone, and the other way around`, async () => {
    const { knock, call, url } = await open();
    await knock.tenants.set("both", { name: "Both", settings: { branding: { primary_color: "#0f0" } } });
    await call("PUT", `${url}/tenants/both-parent`, { name: "Parent" });
    const put = await call("PUT", `${url}/tenants/both`, {
      name: "Renamed",
      parent_tenant_id: "both-parent",
      properties: { x: 1 },
      user_profile: { locale: "de" },
    });
    assert.equal(put.status, 200);
    const read = await knock.tenants.get("both");
    assert.equal(read.name, "Renamed");
    assert.equal(read.x, 1);
    assert.equal(read.settings?.branding?.primary_color, "#0f0");
    await knock.tenants.set("both", { y: 2 });
    const theirs = (await call("GET", `${url}/tenants/both`)).body;
    assert.equal(theirs.parent_tenant_id, "both-parent");
    assert.deepEqual(theirs.properties, { x: 1, y: 2 });
    assert.deepEqual(theirs.user_profile, { locale: "de" });
    await knock.tenants.delete("both-parent");
    assert.equal((await call("GET", `${url}/tenants/both`)).body.parent_tenant_id, undefined);
  });

  test(`${name}: tenants.list in pages both ways, by id and by name`, async () => {
    const { another } = await open();
    const { knock, call } = await another();
    for (const id of ["a", "b", "c", "d", "e"]) await knock.tenants.set(id, { name: id === "d" ? "Named" : `T ${id}` });
    const seen: string[] = [];
    for await (const tenant of knock.tenants.list({ page_size: 2 })) seen.push(tenant.id);
    assert.deepEqual(seen, ["a", "b", "c", "d", "e"]);
    const ids = (answer: { body: { entries: { id: string }[] } }) => answer.body.entries.map(({ id }) => id);
    const first = await call("GET", "/tenants?page_size=2");
    const second = await call("GET", `/tenants?page_size=2&after=${first.body.page_info.after}`);
    assert.deepEqual(ids(second), ["c", "d"]);
    const back = await call("GET", `/tenants?page_size=2&before=${second.body.page_info.before}`);
    assert.deepEqual(ids(back), ["a", "b"]);
    assert.equal(back.body.page_info.before, null);
    assert.deepEqual(ids(await call("GET", `/tenants?page_size=2&after=${back.body.page_info.after}`)), ["c", "d"]);
    assert.deepEqual(ids(await call("GET", "/tenants?name=Named")), ["d"]);
    assert.deepEqual(ids(await call("GET", "/tenants?tenant_id=b")), ["b"]);
    assert.deepEqual(ids(await call("GET", "/tenants?tenant_id=zz")), []);
    assert.deepEqual(ids(await call("GET", "/tenants?tenant_id=b&name=Named")), []);
  });

  test(`${name}: tenants.bulk.set and delete`, async () => {
    const { knock, call } = await open();
    const operation = await knock.tenants.bulk.set({
      tenants: ["plain", { id: "full", name: "Full" }, { id: "full", x: 1 }],
    });
    assert.equal(operation.status, "completed");
    assert.equal((await knock.tenants.get("plain")).name, null);
    const full = await knock.tenants.get("full");
    assert.equal(full.name, "Full");
    assert.equal(full.x, 1);
    await knock.tenants.bulk.delete({ tenant_ids: ["plain", "full", "never"] });
    assert.equal((await call("GET", "/tenants/full")).status, 404);
    assert.equal((await call("POST", "/tenants/bulk/delete")).status, 422);
    const bad = await call("POST", "/tenants/bulk/set", { tenants: ["ok-tenant", { name: "no id" }] });
    assert.equal(bad.body.errors[0].field, "tenants[1].id");
    assert.equal((await call("GET", "/tenants/ok-tenant")).status, 404);
  });

  test(`${name}: a thousand tenants at once`, async () => {
    const { another } = await open();
    const { knock, call } = await another();
    const tenants = Array.from({ length: 1_000 }, (_, i) => ({ id: randomUUID(), name: `T${i}` }));
    const ids = tenants.map(({ id }) => id);
    assert.equal((await knock.tenants.bulk.set({ tenants })).success_count, 1_000);
    assert.equal((await knock.tenants.get(ids[999] as string)).name, "T999");
    // They stand in the query, which was too long for the server from the three hundredth on: 431.
    assert.equal((await knock.tenants.bulk.delete({ tenant_ids: ids })).success_count, 1_000);
    assert.deepEqual((await call("GET", "/tenants")).body.entries, []);
  });

  test(`${name}: $tenants is a collection of objects`, async () => {
    const { knock, call } = await open();
    await knock.objects.set("$tenants", "as-object", {
      name: "O",
      plan: "x",
      settings: { branding: { primary_color: "#00f" } },
    } as never);
    const tenant = await knock.tenants.get("as-object");
    assert.equal(tenant.name, "O");
    assert.equal(tenant.plan, "x");
    assert.equal(tenant.settings?.branding?.primary_color, "#00f");
    const object = await knock.objects.get("$tenants", "as-object");
    assert.equal(object.collection, "$tenants");
    assert.equal((object.properties as { name: string }).name, "O");
    const { body } = await call("GET", "/objects/$tenants");
    assert.ok(body.entries.some(({ id }: { id: string }) => id === "as-object"));
    await knock.objects.delete("$tenants", "as-object");
    assert.equal((await call("GET", "/tenants/as-object")).status, 404);
    assert.equal((await call("GET", "/objects/$tenants/as-object")).status, 404);
  });

  test(`${name}: writers of one tenant at once lose nothing`, async () => {
    const { call } = await open();
    const fields = Array.from({ length: 8 }, (_, i) => `f${i}`);
    const answers = await Promise.all(fields.map((field) => call("PUT", "/tenants/storm", { [field]: 1 })));
    assert.deepEqual(
      answers.map(({ status }) => status),
      fields.map(() => 200),
    );
    const { body } = await call("GET", "/tenants/storm");
    for (const field of fields) assert.equal(body[field], 1);
  });

  test(`${name}: push channel data is read with tokens and devices, whichever was written`, async () => {
    const target = await open();
    const { knock, call } = target;
    const { push } = await channelsOf(target);
    assert.ok(push !== undefined);
    const written = await knock.users.setChannelData("phone", push, { data: { tokens: ["t1", "t2", "t1"] } });
    assert.equal(written.__typename, "ChannelData");
    assert.equal(written.channel_id, push);
    assert.deepEqual((written.data as { tokens: string[] }).tokens, ["t1", "t2"]);
    // The user is made by it.
    assert.equal((await knock.users.get("phone")).id, "phone");
    await knock.users.setChannelData("phone", push, {
      data: { devices: [{ token: "t3", locale: "de", timezone: "Europe/Berlin" }, { token: "t4" }] },
    });
    const { body } = await call("GET", `/users/phone/channel_data/${push}`);
    assert.deepEqual(body.data.tokens, ["t3", "t4"]);
    assert.deepEqual(body.data.devices, [
      { token: "t3", locale: "de", timezone: "Europe/Berlin" },
      { token: "t4", locale: null, timezone: null },
    ]);
    await knock.users.unsetChannelData("phone", push);
    assert.equal((await call("GET", `/users/phone/channel_data/${push}`)).status, 404);
    await knock.users.unsetChannelData("phone", push);
  });

  test(`${name}: other push services, and inline`, async () => {
    const target = await open();
    const { knock, call } = target;
    const { push } = await channelsOf(target);
    const read = async () => (await call("GET", `/users/other/channel_data/${push}`)).body;
    await knock.users.setChannelData("other", push as string, { data: { target_arns: ["arn:aws:sns:x"] } });
    assert.deepEqual((await read()).data, {
      devices: [{ target_arn: "arn:aws:sns:x", locale: null, timezone: null }],
      target_arns: ["arn:aws:sns:x"],
    });
    assert.equal((await read()).provider, "push_aws_sns");
    await knock.users.setChannelData("other", push as string, { data: { player_ids: ["p1"] } });
    assert.deepEqual((await read()).data, { player_ids: ["p1"] });
    assert.equal((await read()).provider, "push_one_signal");
    await knock.users.update("other", { name: "O", channel_data: { [push as string]: { tokens: ["inline"] } } });
    assert.deepEqual((await read()).data.tokens, ["inline"]);
    assert.equal((await knock.users.get("other")).name, "O");
    assert.equal(((await knock.users.get("other")) as { channel_data?: unknown }).channel_data, undefined);
  });

  test(`${name}: chat channel data of objects and tenants`, async () => {
    const target = await open();
    const { knock, call } = target;
    const { chat } = await channelsOf(target);
    const connections = [
      { access_token: "xoxb-1", channel_id: "C1" },
      { incoming_webhook: { url: "https://hooks.example/1" } },
    ];
    await knock.objects.setChannelData("projects", "chatty", chat as string, { data: { connections } });
    const { body } = await call("GET", `/objects/projects/chatty/channel_data/${chat}`);
    assert.deepEqual(body.data.connections, connections);
    await call("PUT", `/objects/$tenants/slack-tenant/channel_data/${chat}`, {
      data: { token: { access_token: "xoxb" } },
    });
    const tenant = await call("GET", `/objects/$tenants/slack-tenant/channel_data/${chat}`);
    assert.deepEqual(tenant.body.data, { token: { access_token: "xoxb" }, connections: [] });
    assert.equal((await call("GET", "/tenants/slack-tenant")).status, 200);
    await knock.objects.unsetChannelData("projects", "chatty", chat as string);
    assert.equal((await call("GET", `/objects/projects/chatty/channel_data/${chat}`)).status, 404);
  });

  test(`${name}: channel data that is none`, async () => {
    const target = await open();
    const { call, feedId } = target;
    const { push, chat } = await channelsOf(target);
    for (const [channel, data, code, field] of [
      [push, {}, "invalid_params", "data.tokens"],
      [push, { tokens: [5] }, "invalid_params", "data.tokens[0]"],
      [push, { tokens: ["a\u0000b"] }, "invalid_params", "data.tokens[0]"],
      [push, { devices: [{ locale: "de" }] }, "invalid_params", "data.devices[0].token"],
      [push, "text", "invalid_params", "data"],
      [chat, {}, "invalid_params", "data.connections"],
      [chat, { connections: ["x"] }, "invalid_params", "data.connections[0]"],
      [feedId, { tokens: ["x"] }, "channel_invalid", undefined],
      ["00000000-0000-4000-8000-0000000000ff", { tokens: ["x"] }, "channel_invalid", undefined],
    ] as const) {
      const { status, body } = await call("PUT", `/users/none/channel_data/${channel}`, { data });
      assert.equal(status, 422, JSON.stringify(data));
      assert.equal(body.code, code, JSON.stringify(body));
      if (field !== undefined)
        assert.ok(
          body.errors.some((error: { field: string }) => error.field === field),
          JSON.stringify(body),
        );
    }
    assert.equal((await call("PUT", `/users/none/channel_data/${push}`, {})).body.errors[0].field, "data");
    assert.equal((await call("GET", "/users/none/channel_data/nope")).status, 404);
    assert.equal((await call("GET", "/users/none")).status, 404);
  });

  test(`${name}: the browser SDK's user and channel data`, async (t) => {
    const target = await open();
    const { push } = await channelsOf(target);
    const client = target.browser("web");
    t.after(() => client.teardown());
    await client.user.identify({ name: "Web" });
    assert.equal((await client.user.get()).name, "Web");
    await client.user.setChannelData({ channelId: push as string, channelData: { tokens: ["w"] } });
    const read = await client.user.getChannelData<{ tokens: string[] }>({ channelId: push as string });
    assert.deepEqual(read.data.tokens, ["w"]);
  });
});
