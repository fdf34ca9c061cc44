import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import Courier from "@trycourier/courier";
import { type Api, startApi } from "../../support/server.ts";

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api.close());

const STRANGE_ID = "a b/c@d#ü";

test("profiles.create merges deeply, keeps null, replaces arrays", async () => {
  const { profiles } = api.sdk;
  const first = { email: "a@x.io", custom: { a: 1, list: [1, 2] } };
  assert.deepEqual(await profiles.create("u1", { profile: first }), { status: "SUCCESS" });
  await profiles.create("u1", { profile: { custom: { b: null, list: [3] } } });
  assert.deepEqual((await profiles.retrieve("u1")).profile, {
    email: "a@x.io",
    custom: { a: 1, list: [3], b: null },
  });
});

test("profiles.replace replaces, an empty one included", async () => {
  await api.sdk.profiles.replace("u2", { profile: { a: 1 } });
  await api.sdk.profiles.replace("u2", { profile: { b: 2 } });
  assert.deepEqual((await api.sdk.profiles.retrieve("u2")).profile, { b: 2 });
  await api.sdk.profiles.replace("u2", { profile: {} });
  assert.deepEqual((await api.sdk.profiles.retrieve("u2")).profile, {});
});

test("profiles.retrieve of nobody is 404", async () => {
  await assert.rejects(api.sdk.profiles.retrieve("ghost"), Courier.NotFoundError);
});

test("profiles.delete is 204, also when there is none, and leaves subscriptions", async () => {
  await api.sdk.profiles.create("u3", { profile: { a: 1 } });
  await api.sdk.profiles.lists.subscribe("u3", { lists: [{ listId: "l3" }] });
  for (let i = 0; i < 2; i++) assert.equal((await api.call("DELETE", "/profiles/u3")).status, 204);
  await assert.rejects(api.sdk.profiles.retrieve("u3"), Courier.NotFoundError);
  assert.equal((await api.sdk.profiles.lists.retrieve("u3")).results.length, 1);
});

test("an id of any characters comes back unchanged", async () => {
  const { profiles, lists } = api.sdk;
  for (const id of [STRANGE_ID, "a+b", "100%", "%41", "ü:=?&;,$", "..."]) {
    await profiles.create(id, { profile: { id } });
    assert.deepEqual((await profiles.retrieve(id)).profile, { id });
    await lists.subscriptions.subscribeUser(id, { list_id: "strange" });
  }
  const { items } = await lists.subscriptions.list("strange");
  assert.ok(items.some(({ recipientId }) => recipientId === STRANGE_ID));
  assert.equal((await api.call("GET", "/profiles/a+b")).body.profile.id, "a+b");
});

test("profiles.update applies a patch as a whole or not at all", async () => {
  const { profiles } = api.sdk;
  const patch = (steps: object[], id = "u4") => api.call("PATCH", `/profiles/${id}`, { patch: steps });
  assert.equal((await patch([{ op: "add", path: "/email", value: "p@x.io" }])).status, 204);
  await profiles.update("u4", { patch: [{ op: "add", path: "/a~1b", value: "1" }] });
  assert.deepEqual((await profiles.retrieve("u4")).profile, { email: "p@x.io", "a/b": "1" });
  assert.equal((await patch([])).status, 204);

  const steps: object[][] = [
    [
      { op: "replace", path: "/email", value: "no@x.io" },
      { op: "test", path: "/email", value: "p@x.io" },
    ],
    [{ op: "replace", path: "/absent", value: 1 }],
    [{ op: "remove", path: "/absent" }],
    [{ op: "remove", path: "" }],
    [{ op: "add", path: "email", value: 1 }],
    [{ op: "add", path: "/a/b/c", value: 1 }],
    [{ op: "add", path: "/email" }],
    [{ op: "move", path: "/x" }],
    [{ op: "bogus", path: "/x", value: 1 }],
    [{ op: "add", path: "", value: [1] }],
    [{ op: "add", path: "/__proto__/x", value: 1 }],
    [{ op: "add", path: "/constructor/prototype/x", value: 1 }],
    [{ op: "copy", from: "/toString", path: "/x" }],
    [{ op: "test", path: "/hasOwnProperty", value: null }],
    [{ op: "add", path: "/~2", value: 1 }],
  ];
  for (const bad of steps) {
    const { status, body } = await patch(bad);
    assert.deepEqual([status, body?.type], [400, "invalid_request_error"], JSON.stringify(bad));
  }
  assert.deepEqual((await profiles.retrieve("u4")).profile, { email: "p@x.io", "a/b": "1" });
  assert.equal(({} as { x?: number }).x, undefined);
});

test("a failed patch does not create a profile; a good one starts from an empty one", async () => {
  await api.call("PATCH", "/profiles/u5", { patch: [{ op: "test", path: "/x", value: 1 }] });
  assert.equal((await api.call("GET", "/profiles/u5")).status, 404);
  await api.call("PATCH", "/profiles/u5", { patch: [{ op: "add", path: "/x", value: 1 }] });
  assert.deepEqual((await api.call("GET", "/profiles/u5")).body, { profile: { x: 1 } });
});

test("an empty patch does nothing, so that nobody gets a profile by it", async () => {
  assert.equal((await api.call("PATCH", "/profiles/unpatched", { patch: [] })).status, 204);
  assert.equal((await api.call("GET", "/profiles/unpatched")).status, 404);
  assert.equal((await api.call("PATCH", "/profiles/a%00b", { patch: [] })).status, 400);
});

test("a list id that is none is named where it stood", async () => {
  const { status, body } = await api.call("POST", "/profiles/u1/lists", {
    lists: [{ listId: "a" }, { listId: "a..b" }],
  });
  assert.equal(status, 400);
  assert.match(body.message, /^lists\.1\.listId: /);
  assert.match((await api.call("GET", "/lists?pattern=a..b")).body.message, /^pattern: /);
});

test("patches on arrays, moves and copies follow the standard", async () => {
  await api.sdk.profiles.replace("u6", { profile: { l: [1, 2], o: { a: [1] } } });
  const patch = [
    { op: "add", path: "/l/1", value: 9 },
    { op: "add", path: "/l/-", value: 3 },
    { op: "remove", path: "/l/0" },
    { op: "copy", from: "/o", path: "/p" },
    { op: "move", from: "/o/a", path: "/q" },
    { op: "test", path: "/p", value: { a: [1] } },
  ];
  assert.equal((await api.call("PATCH", "/profiles/u6", { patch })).status, 204);
  assert.deepEqual((await api.sdk.profiles.retrieve("u6")).profile, { l: [9, 2, 3], o: {}, p: { a: [1] }, q: [1] });
  for (const path of ["/l/4", "/l/01", "/l/-1", "/l/x", "/l/length"]) {
    const bad = await api.call("PATCH", "/profiles/u6", { patch: [{ op: "add", path, value: 1 }] });
    assert.equal(bad.status, 400, path);
  }
  const itself = await api.call("PATCH", "/profiles/u6", { patch: [{ op: "move", from: "/p", path: "/p/x" }] });
  assert.equal(itself.status, 400);
});

test("a patch cannot blow a profile up, and merging cannot either", async () => {
  await api.sdk.profiles.replace("u7", { profile: { x: "x".repeat(1_000) } });
  const doubling = Array.from({ length: 40 }, (_, i) => ({ op: "copy", from: "", path: `/c${i}` }));
  assert.equal((await api.call("PATCH", "/profiles/u7", { patch: doubling })).status, 400);
  let nested: unknown = 1;
  for (let i = 0; i < 150; i++) nested = { n: nested };
  const path = "/n".repeat(150);
  const deep = [
    { op: "add", path: "/n", value: (nested as { n: unknown }).n },
    { op: "add", path, value: nested },
  ];
  assert.equal((await api.call("PATCH", "/profiles/u7", { patch: deep })).status, 400);
  const big = { profile: { y: "y".repeat(500_000) } };
  assert.equal((await api.call("POST", "/profiles/u7", big)).status, 400);
});

test("simultaneous merges lose nothing", async () => {
  const fields = Array.from({ length: 30 }, (_, i) => `f${i}`);
  await Promise.all(fields.map((f) => api.sdk.profiles.create("u8", { profile: { [f]: 1 } })));
  assert.equal(Object.keys((await api.sdk.profiles.retrieve("u8")).profile).length, 30);
});

test("NUL and lone surrogates inside a profile are kept or refused, never a fault", async () => {
  for (const body of ['{"profile":{"a":"\\u0000"}}', '{"profile":{"a":"\\ud800"}}', '{"profile":{"\\u0000":1}}']) {
    assert.ok([200, 400].includes((await api.call("POST", "/profiles/u9", body)).status), body);
  }
});

test("profiles.lists.subscribe, retrieve in pages, delete", async () => {
  const { lists } = api.sdk.profiles;
  const wanted = Array.from({ length: 25 }, (_, i) => `many.l${String(i).padStart(2, "0")}`);
  const subscriptions = wanted.map((listId) => ({ listId, preferences: { notifications: {} } }));
  assert.deepEqual(await lists.subscribe("u10", { lists: subscriptions }), { status: "SUCCESS" });
  const first = await lists.retrieve("u10");
  assert.equal(first.results.length, 20);
  assert.equal(first.paging.more, true);
  const second = await lists.retrieve("u10", { cursor: first.paging.cursor as string });
  assert.equal(second.paging.more, false);
  assert.deepEqual(
    [...first.results, ...second.results].map(({ id }) => id),
    wanted,
  );
  assert.match(first.results[0]?.created ?? "", /^\d{4}-.*Z$/);
  assert.equal((await api.call("POST", "/profiles/u10/lists", { lists: [{ listId: "a b" }] })).status, 400);
  assert.deepEqual(await lists.delete("u10"), { status: "SUCCESS" });
  assert.deepEqual((await lists.retrieve("u10")).results, []);
});
