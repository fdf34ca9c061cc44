/** Objects, subscriptions to them, and audiences. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { forEachKnock } from "../knock-target.ts";

interface Shown {
  readonly id: string;
  readonly recipient: { readonly id: string };
  readonly object: { readonly id: string };
}

forEachKnock((name, open) => {
  test(`${name}: objects.set merges, and shows properties by themselves`, async () => {
    const { knock, call } = await open();
    const made = await knock.objects.set("projects", "p1", { name: "One", owner: { id: "ann", since: 2020 } });
    assert.equal(made.__typename, "Object");
    assert.equal(made.collection, "projects");
    assert.deepEqual(made.properties, { name: "One", owner: { id: "ann", since: 2020 } });
    assert.equal((made as unknown as { name?: string }).name, undefined);
    await knock.objects.set("projects", "p1", { owner: { since: 2021 }, collection: "elsewhere", id: "p2" } as never);
    const read = await knock.objects.get("projects", "p1");
    assert.equal(read.id, "p1");
    assert.deepEqual(read.properties, { name: "One", owner: { id: "ann", since: 2021 } });
    await knock.objects.delete("projects", "p1");
    assert.equal((await call("GET", "/objects/projects/p1")).status, 404);
    assert.equal((await call("DELETE", "/objects/projects/p1")).status, 404);
  });

  test(`${name}: names of collections`, async () => {
    const { call } = await open();
    assert.equal((await call("PUT", "/objects/sales-team_2/o", {})).status, 200);
    assert.equal((await call("GET", "/objects/sales-team_2/o")).body.collection, "sales-team_2");
    for (const collection of ["$users", "$anything", "a%2Fb", "a%20b"]) {
      assert.equal((await call("PUT", `/objects/${collection}/o`, {})).status, 422, collection);
      assert.equal((await call("GET", `/objects/${collection}`)).status, 422, collection);
    }
  });

  test(`${name}: objects.list of one collection, in pages`, async () => {
    const { knock, call } = await open();
    for (let i = 0; i < 5; i++) await knock.objects.set("listed", `o${i}`, { n: i });
    await knock.objects.set("unlisted", "x", {});
    const seen: string[] = [];
    for await (const object of knock.objects.list("listed", { page_size: 2 })) seen.push(object.id);
    assert.deepEqual(seen, ["o4", "o3", "o2", "o1", "o0"]);
    await knock.objects.set("listed", "o1", { preferences: { default: { workflows: { w: false } } } });
    const { body } = await call("GET", "/objects/listed?include[]=preferences");
    assert.equal(body.entries.find(({ id }: Shown) => id === "o1").preferences.default.workflows.w, false);
    assert.deepEqual((await call("GET", "/objects/never-used")).body.entries, []);
  });

  test(`${name}: objects.bulk.set and delete`, async () => {
    const { knock, call } = await open();
    const operation = await knock.objects.bulk.set("bulky", {
      objects: [{ id: "a", name: "A" }, { id: "b" }, { id: "a", color: "red" }],
    });
    assert.equal(operation.status, "completed");
    assert.equal(operation.success_count, 3);
    assert.deepEqual((await knock.objects.get("bulky", "a")).properties, { name: "A", color: "red" });
    await knock.objects.bulk.delete("bulky", { object_ids: ["a", "b", "never"] });
    assert.equal((await call("GET", "/objects/bulky/a")).status, 404);
    const bad = await call("POST", "/objects/bulky/bulk/set", { objects: [{ name: "no id" }] });
    assert.equal(bad.status, 422);
    assert.equal(bad.body.errors[0].field, "objects[0].id");
  });

  test(`${name}: objects.addSubscriptions identifies inline, updates, and lists both ways`, async () => {
    const { knock, call, clock } = await open();
    await knock.objects.set("teams", "t1", { name: "Team" });
    const added = await knock.objects.addSubscriptions("teams", "t1", {
      recipients: ["plain", { id: "inline", name: "In" }, { collection: "teams", id: "child" }, "plain"],
      properties: { role: "reader" },
    });
    assert.deepEqual(
      added.map(({ recipient }) => recipient.id),
      ["plain", "inline", "child"],
    );
    assert.equal(added[0]?.__typename, "Subscription");
    assert.equal(added[0]?.object.id, "t1");
    assert.deepEqual(added[0]?.properties, { role: "reader" });
    assert.equal((await knock.users.get("inline")).name, "In");
    // A plain id makes nobody.
    assert.equal((await call("GET", "/users/plain")).status, 404);
    clock.advance(1_000);
    const again = await knock.objects.addSubscriptions("teams", "t1", {
      recipients: ["plain"],
      properties: { role: "owner" },
    });
    assert.equal(again[0]?.inserted_at, added[0]?.inserted_at);
    assert.deepEqual(again[0]?.properties, { role: "owner" });
    await knock.objects.addSubscriptions("teams", "t2", { recipients: ["plain"] });
    const mine = await knock.users.listSubscriptions("plain");
    assert.deepEqual(
      mine.entries.map(({ object }) => object.id),
      ["t2", "t1"],
    );
    const children = await knock.objects.listSubscriptions("teams", "child", { mode: "recipient" });
    assert.deepEqual(
      children.entries.map(({ object }) => object.id),
      ["t1"],
    );
    const some = await knock.objects.listSubscriptions("teams", "t1", {
      recipients: ["plain", { id: "child", collection: "teams" }],
    });
    assert.deepEqual(some.entries.map(({ recipient }) => recipient.id).sort(), ["child", "plain"]);
    const first = await knock.objects.listSubscriptions("teams", "t1", {
      recipients: [{ id: "child", collection: "teams" }],
    });
    assert.deepEqual(
      first.entries.map(({ recipient }) => recipient.id),
      ["child"],
    );
    const filtered = await knock.users.listSubscriptions("plain", { objects: [{ id: "t2", collection: "teams" }] });
    assert.deepEqual(
      filtered.entries.map(({ object }) => object.id),
      ["t2"],
    );
    const seen: string[] = [];
    for await (const { recipient } of knock.objects.listSubscriptions("teams", "t1", { page_size: 1 }))
      seen.push(recipient.id);
    assert.deepEqual(seen.sort(), ["child", "inline", "plain"]);
    const gone = await knock.objects.deleteSubscriptions("teams", "t1", { recipients: ["plain", "stranger"] });
    assert.deepEqual(
      gone.map(({ recipient }) => recipient.id),
      ["plain"],
    );
    assert.deepEqual(
      (await call("GET", "/objects/teams/t1/subscriptions")).body.entries.map((s: Shown) => s.recipient.id).sort(),
      ["child", "inline"],
    );
  });

  test(`${name}: what is no subscription is refused, and nobody is identified by it`, async () => {
    const { call } = await open();
    const { status, body } = await call("POST", "/objects/teams/t1/subscriptions", {
      recipients: [{ id: "half", name: "H" }, 5],
    });
    assert.equal(status, 422);
    assert.equal(body.errors[0].field, "recipients[1]");
    assert.equal((await call("GET", "/users/half")).status, 404);
    assert.equal((await call("POST", "/objects/teams/t1/subscriptions", {})).status, 422);
    const many = Array.from({ length: 101 }, (_, i) => `u${i}`);
    assert.equal((await call("POST", "/objects/teams/t1/subscriptions", { recipients: many })).status, 422);
    assert.equal((await call("GET", "/objects/teams/t1/subscriptions?mode=sideways")).status, 422);
  });

  test(`${name}: objects.bulk subscriptions`, async () => {
    const { knock, call } = await open();
    const added = await knock.objects.bulk.addSubscriptions("rooms", {
      subscriptions: [
        { id: "r1", recipients: ["a", { id: "b", name: "B" }], properties: { x: 1 } },
        { id: "r2", recipients: ["a"] },
      ],
    });
    assert.equal(added.success_count, 3);
    const r1 = await call("GET", "/objects/rooms/r1/subscriptions");
    assert.deepEqual(r1.body.entries.map((s: Shown) => s.recipient.id).sort(), ["a", "b"]);
    await knock.objects.bulk.deleteSubscriptions("rooms", { subscriptions: [{ id: "r1", recipients: ["a", "b"] }] });
    assert.deepEqual((await call("GET", "/objects/rooms/r1/subscriptions")).body.entries, []);
    assert.equal((await call("GET", "/users/a/subscriptions")).body.entries.length, 1);
  });

  test(`${name}: an object that is deleted takes its subscriptions along`, async () => {
    const { knock, call } = await open();
    await knock.objects.set("short", "lived", {});
    await knock.objects.addSubscriptions("short", "lived", { recipients: ["someone"] });
    await knock.objects.delete("short", "lived");
    assert.deepEqual((await call("GET", "/users/someone/subscriptions")).body.entries, []);
  });

  test(`${name}: audiences`, async () => {
    const { knock, call, clock } = await open();
    await knock.audiences.addMembers("beta", {
      members: [{ user: { id: "m1", name: "M1" } }, { user: { id: "m2" }, tenant: "acme" }],
      create_audience: true,
    });
    clock.advance(1_000);
    await knock.audiences.addMembers("beta", { members: [{ user: { id: "m1" } }, { user: { id: "m3" } }] });
    const { entries } = await knock.audiences.listMembers("beta");
    assert.deepEqual(entries.map(({ user_id }) => user_id).sort(), ["m1", "m2", "m3"]);
    assert.equal(entries[0]?.user_id, "m3");
    const m2 = entries.find(({ user_id }) => user_id === "m2");
    assert.equal(m2?.__typename, "AudienceMember");
    assert.equal(m2?.tenant, "acme");
    assert.equal(m2?.user.__typename, "User");
    assert.equal(entries.find(({ user_id }) => user_id === "m1")?.user.name, "M1");
    const page = await call("GET", "/audiences/beta/members?page_size=2");
    const rest = await call("GET", `/audiences/beta/members?page_size=2&after=${page.body.page_info.after}`);
    assert.equal(page.body.entries.length + rest.body.entries.length, 3);
    assert.equal(rest.body.page_info.after, null);
    await knock.audiences.removeMembers("beta", { members: [{ user: { id: "m1" } }, { user: { id: "m2" } }] });
    // Of another tenant, so another membership.
    assert.deepEqual((await knock.audiences.listMembers("beta")).entries.map(({ user_id }) => user_id).sort(), [
      "m2",
      "m3",
    ]);
    const bad = await call("POST", "/audiences/beta/members", { members: [{ user: { name: "x" } }, 1] });
    assert.equal(bad.status, 422);
    assert.deepEqual(
      bad.body.errors.map(({ field }: { field: string }) => field),
      ["members[0].user.id", "members[1]"],
    );
    assert.deepEqual((await call("GET", "/audiences/unknown/members")).body.entries, []);
  });
});
