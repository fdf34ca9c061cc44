import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import Courier from "@trycourier/courier";
import { type Api, startApi } from "../../support/server.ts";

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api.close());

test("tenants.update creates and replaces; what is left out is cleared", async () => {
  const { tenants } = api.sdk;
  const made = await tenants.update("t1", {
    name: "One",
    brand_id: "b",
    properties: { city: "R" },
    user_profile: { a: 1 },
  });
  assert.deepEqual(made, { id: "t1", name: "One", brand_id: "b", properties: { city: "R" }, user_profile: { a: 1 } });
  assert.deepEqual(await tenants.retrieve("t1"), made);
  await tenants.update("t1", { name: "Uno" });
  assert.deepEqual(await tenants.retrieve("t1"), { id: "t1", name: "Uno", properties: {}, user_profile: {} });
  await assert.rejects(tenants.retrieve("nope"), Courier.NotFoundError);
  assert.equal((await api.call("PUT", "/tenants/t2", {})).status, 400);
});

test("default preferences are not pretended to", async () => {
  const body = { name: "x", default_preferences: { items: [{ id: "p", status: "OPTED_IN" }] } };
  assert.equal((await api.call("PUT", "/tenants/pref", body)).status, 501);
  assert.equal((await api.call("PUT", "/tenants/pref", { ...body, default_preferences: { items: [] } })).status, 200);
});

test("a parent exists, and no tenant is below itself", async () => {
  const put = (id: string, parent: string | null) =>
    api.call("PUT", `/tenants/${id}`, { name: id, parent_tenant_id: parent });
  assert.equal((await put("h1", "missing")).status, 400);
  await put("h1", null);
  await put("h2", "h1");
  assert.equal((await put("h3", "h2")).status, 200);
  assert.equal((await put("h1", "h3")).status, 400);
  assert.equal((await put("h1", "h1")).status, 400);
  assert.equal((await api.sdk.tenants.retrieve("h3")).parent_tenant_id, "h2");
});

test("two writes at once cannot close a circle", async () => {
  const put = (id: string, parent: string | null) =>
    api.call("PUT", `/tenants/${id}`, { name: id, parent_tenant_id: parent });
  for (let i = 0; i < 5; i++) {
    await put(`c${i}a`, null);
    await put(`c${i}b`, null);
    const both = await Promise.all([put(`c${i}a`, `c${i}b`), put(`c${i}b`, `c${i}a`)]);
    assert.deepEqual(both.map(({ status }) => status).sort(), [200, 400]);
  }
});

test("deleting a tenant orphans its children and ends its memberships", async () => {
  await api.sdk.tenants.update("d1", { name: "d1" });
  await api.sdk.tenants.update("d2", { name: "d2", parent_tenant_id: "d1" });
  await api.sdk.users.tenants.addSingle("d1", { user_id: "u1" });
  for (let i = 0; i < 2; i++) assert.equal((await api.call("DELETE", "/tenants/d1")).status, 204);
  assert.equal((await api.sdk.tenants.retrieve("d2")).parent_tenant_id, undefined);
  assert.deepEqual((await api.sdk.users.tenants.list("u1")).items, []);
  assert.deepEqual((await api.sdk.tenants.listUsers("d1")).items, []);
});

test("tenants.list in pages, by limit and by parent", async () => {
  await api.sdk.tenants.update("zz", { name: "zz" });
  for (let i = 0; i < 7; i++) await api.sdk.tenants.update(`zz-${i}`, { name: "x", parent_tenant_id: "zz" });
  const first = await api.sdk.tenants.list({ parent_tenant_id: "zz", limit: 5 });
  assert.deepEqual(
    [first.type, first.items.length, first.has_more, first.url],
    ["list", 5, true, "/tenants?parent_tenant_id=zz&limit=5"],
  );
  const next = await api.call("GET", first.next_url as string);
  assert.deepEqual(
    next.body.items.map((t: { id: string }) => t.id),
    ["zz-5", "zz-6"],
  );
  assert.deepEqual([next.body.has_more, next.body.cursor, next.body.next_url], [false, null, null]);
  const all = await api.sdk.tenants.list({ limit: 100 });
  assert.ok(all.items.length > 10);
  for (const limit of ["0", "-1", "x", "1.5"]) {
    assert.equal((await api.call("GET", `/tenants?limit=${limit}`)).status, 400, limit);
  }
  assert.equal((await api.call("GET", "/tenants?limit=1000")).status, 200);
});

test("users.tenants: add one, add several, read, leave", async () => {
  const { tenants } = api.sdk.users;
  for (const id of ["m1", "m2", "m3"]) await api.sdk.tenants.update(id, { name: id });
  const one = await api.call("PUT", "/users/u2/tenants/m1", { profile: { role: "admin" } });
  assert.equal(one.status, 204);
  await tenants.addMultiple("u2", { tenants: [{ tenant_id: "m2" }, { tenant_id: "m3", profile: { role: "x" } }] });
  const list = await tenants.list("u2");
  assert.deepEqual(list.items, [
    { tenant_id: "m1", user_id: "u2", type: "user", profile: { role: "admin" } },
    { tenant_id: "m2", user_id: "u2", type: "user", profile: null },
    { tenant_id: "m3", user_id: "u2", type: "user", profile: { role: "x" } },
  ]);
  assert.equal((await api.call("GET", "/users/u2/tenants/m1")).body.profile.role, "admin");
  assert.equal((await api.call("PUT", "/users/u2/tenants/m1")).status, 204);
  assert.equal((await api.call("GET", "/users/u2/tenants/m1")).body.profile, null);
  assert.equal((await api.call("GET", "/users/u2/tenants/m9")).status, 404);
  assert.deepEqual(
    (await api.sdk.tenants.listUsers("m2")).items?.map(({ user_id }) => user_id),
    ["u2"],
  );

  await tenants.removeSingle("m1", { user_id: "u2" });
  assert.equal((await tenants.list("u2")).items?.length, 2);
  await tenants.removeAll("u2");
  assert.equal((await tenants.list("u2")).items?.length, 0);
});

test("memberships need a tenant; several are written together or not at all", async () => {
  await api.sdk.tenants.update("n1", { name: "n1" });
  assert.equal((await api.call("PUT", "/users/u3/tenants/nope")).status, 404);
  const both = { tenants: [{ tenant_id: "n1" }, { tenant_id: "nope" }] };
  assert.equal((await api.call("PUT", "/users/u3/tenants", both)).status, 404);
  assert.deepEqual((await api.sdk.users.tenants.list("u3")).items, []);
});
