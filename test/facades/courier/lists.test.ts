import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import Courier from "@trycourier/courier";
import { type Api, startApi } from "../../support/server.ts";

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api.close());

const members = async (listId: string): Promise<string[]> =>
  (await api.sdk.lists.subscriptions.list(listId)).items.map(({ recipientId }) => recipientId);

test("the life of a list", async () => {
  const { lists } = api.sdk;
  assert.equal((await api.call("PUT", "/lists/acme.news", { name: "News" })).status, 204);
  const list = await lists.retrieve("acme.news");
  assert.equal(list.id, "acme.news");
  assert.equal(list.name, "News");
  assert.match(list.created ?? "", /^\d{4}-\d\d-\d\dT.*Z$/);

  const recipients = [{ recipientId: "u1" }, { recipientId: "u2", preferences: { notifications: {} } }];
  const added = await api.call("POST", "/lists/acme.news/subscriptions", { recipients });
  assert.equal(added.status, 204);
  assert.deepEqual(await members("acme.news"), ["u1", "u2"]);

  assert.equal((await api.call("DELETE", "/lists/acme.news/subscriptions/u2")).status, 204);
  assert.equal((await api.call("DELETE", "/lists/acme.news/subscriptions/u2")).status, 404);
  assert.equal((await api.call("DELETE", "/lists/acme.news")).status, 204);
  assert.equal((await api.call("DELETE", "/lists/acme.news")).status, 404);
  await assert.rejects(lists.retrieve("acme.news"), Courier.NotFoundError);
  await assert.rejects(lists.subscriptions.list("acme.news"), Courier.NotFoundError);

  assert.equal((await api.call("PUT", "/lists/acme.news/restore")).status, 204);
  await lists.restore("acme.news", {});
  assert.deepEqual(await members("acme.news"), ["u1"]);
  assert.equal((await api.call("PUT", "/lists/never/restore", {})).status, 404);
});

test("PUT replaces the name and leaves subscribers; without a name it is 400", async () => {
  await api.sdk.lists.subscriptions.subscribeUser("u1", { list_id: "named" });
  assert.equal((await api.sdk.lists.retrieve("named")).name, "named");
  await api.sdk.lists.update("named", { name: "Better" });
  assert.equal((await api.sdk.lists.retrieve("named")).name, "Better");
  assert.deepEqual(await members("named"), ["u1"]);
  const { status, body } = await api.call("PUT", "/lists/named", { preferences: null });
  assert.deepEqual([status, body.message], [400, "name: Required"]);
});

test("PUT of the subscribers makes them exactly these", async () => {
  const { subscriptions } = api.sdk.lists;
  await subscriptions.add("l1", { recipients: [{ recipientId: "u1" }, { recipientId: "u2" }] });
  await subscriptions.subscribe("l1", { recipients: [{ recipientId: "u1" }, { recipientId: "u3" }] });
  assert.deepEqual(await members("l1"), ["u1", "u3"]);
  await subscriptions.subscribe("l1", { recipients: [] });
  assert.deepEqual(await members("l1"), []);
});

test("a deleted list that is put again is new and empty", async () => {
  await api.sdk.lists.subscriptions.subscribeUser("u1", { list_id: "reborn" });
  await api.sdk.lists.delete("reborn");
  await api.sdk.lists.update("reborn", { name: "Reborn" });
  assert.deepEqual(await members("reborn"), []);
});

test("bad subscribers leave nothing behind", async () => {
  for (const recipients of [
    [{ recipientId: "u1" }, { recipientId: "" }],
    [{}],
    "u1",
    [{ recipientId: 1 }],
    [{ recipientId: "a\0" }],
    [{ recipientId: "u1", preferences: { notifications: { t: { status: "opted-out" } } } }],
    [{ recipientId: "u1", preferences: { categories: { t: "OPTED_OUT" } } }],
  ]) {
    const { status } = await api.call("POST", "/lists/nothing/subscriptions", { recipients });
    assert.equal(status, 400, JSON.stringify(recipients));
  }
  assert.equal((await api.call("GET", "/lists/nothing")).status, 404);
});

test("choices of a subscription are checked and come back as they were", async () => {
  const preferences = {
    notifications: { t: { status: "OPTED_IN", rules: [{ until: "2030-01-01T00:00:00Z", type: "snooze" }] }, u: null },
    categories: null,
    later: 1,
  };
  const path = "/lists/choosy/subscriptions/u1";
  assert.equal((await api.call("PUT", path, { preferences })).status, 204);
  assert.deepEqual((await api.call("GET", "/lists/choosy/subscriptions")).body.items[0].preferences, preferences);
  const { status, body } = await api.call("PUT", path, { preferences: { notifications: { t: { status: "OFF" } } } });
  assert.equal(status, 400);
  assert.match(body.message, /^preferences\.notifications\.t\.status: /);
});

test("ids and patterns follow the grammar", async () => {
  for (const id of ["p.fire.g1", "p.grass.g1", "p.fire.g1.e1", "p"]) await api.sdk.lists.update(id, { name: id });
  const found = async (pattern: string) => (await api.sdk.lists.list({ pattern })).items.map(({ id }) => id);
  assert.deepEqual(await found("p.*.g1"), ["p.fire.g1", "p.grass.g1"]);
  assert.deepEqual(await found("p.**"), ["p.fire.g1", "p.fire.g1.e1", "p.grass.g1"]);
  assert.deepEqual(await found("p.fire.*"), ["p.fire.g1"]);
  assert.deepEqual(await found("p"), ["p"]);
  for (const pattern of ["**", "*.**", "p.g*", "p..x", "p.***", ".a", "a.*.", "a b", "**.x"]) {
    assert.equal((await api.call("GET", `/lists?pattern=${encodeURIComponent(pattern)}`)).status, 400, pattern);
  }
  for (const path of ["/lists/a.b.c.d.e", "/lists/a%20b", "/lists/a..b", "/lists/a.*", "/lists/a%23b", "/lists/%00"]) {
    assert.equal((await api.call("PUT", path, { name: "x" })).status, 400, path);
  }
});

test("lists come in pages; an invented cursor is 400", async () => {
  for (let i = 0; i < 45; i++) await api.sdk.lists.update(`paged.l${String(i).padStart(2, "0")}`, { name: "x" });
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const page: Courier.Lists.ListListResponse = await api.sdk.lists.list({ pattern: "paged.*", cursor });
    seen.push(...page.items.map(({ id }) => id));
    cursor = page.paging.more ? (page.paging.cursor ?? null) : null;
  } while (cursor !== null);
  assert.equal(seen.length, 45);
  assert.equal(new Set(seen).size, 45);
  for (const bad of ["nope", "!!!", "YWJj", Buffer.from("c:\xff", "latin1").toString("base64url")]) {
    assert.equal((await api.call("GET", `/lists?cursor=${bad}`)).status, 400, bad);
  }
  assert.equal((await api.call("GET", "/lists?cursor=")).status, 200);
});

test("old browsers subscribe with a user's token or a signed client key", async () => {
  const { createHmac } = await import("node:crypto");
  const { PUBLIC_KEY, SECRET_KEY } = await import("../../support/server.ts");
  const bearer = { authorization: `Bearer ${await api.token("user_id:u1")}`, "x-courier-client-key": "empty" };
  assert.equal((await api.call("PUT", "/client/lists/web/subscribe/u1", undefined, bearer)).status, 204);
  assert.equal((await api.call("PUT", "/client/lists/web/subscribe/u2", undefined, bearer)).status, 403);
  assert.deepEqual(await members("web"), ["u1"]);
  assert.equal((await api.call("DELETE", "/client/lists/web/unsubscribe/u1", undefined, bearer)).status, 204);

  const signature = createHmac("sha256", SECRET_KEY).update("u3").digest("hex");
  const key = { authorization: undefined, "x-courier-client-key": PUBLIC_KEY, "x-courier-user-id": "u3" };
  const signed = { ...key, "x-courier-user-signature": signature };
  assert.equal((await api.call("PUT", "/client/lists/web/subscribe/u3", undefined, key)).status, 403);
  assert.equal((await api.call("PUT", "/client/lists/web/subscribe/u3", undefined, signed)).status, 204);
  assert.equal((await api.call("PUT", "/client/lists/web/subscribe/u4", undefined, signed)).status, 403);
  assert.deepEqual(await members("web"), ["u3"]);
});

test("identify merges into the user's own profile, with a token that may write", async () => {
  const path = "/client/q/client/identify/u1";
  const body = { profile: { email: "a@x.io" } };
  const with_ = async (scope: string) => ({ authorization: await api.token(scope) });
  assert.equal((await api.call("POST", path, body, await with_("user_id:u1 read:messages"))).status, 403);
  assert.equal((await api.call("POST", path, body, await with_("user_id:u2 inbox:write:events"))).status, 403);
  assert.equal((await api.call("POST", path, body, await with_("user_id:u1 inbox:write:events"))).status, 200);
  assert.deepEqual((await api.sdk.profiles.retrieve("u1")).profile, { email: "a@x.io" });
});
