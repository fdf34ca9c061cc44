/** Users through the vendor's server SDK, and over plain HTTP where shapes matter. */
import assert from "node:assert/strict";
import { test } from "node:test";
import Knock from "@knocklabs/node";
import { forEachKnock } from "../knock-target.ts";

forEachKnock((name, open) => {
  test(`${name}: users.update makes a user, and merges from then on`, async () => {
    const { knock, call } = await open();
    const made = await knock.users.update("merge-1", {
      name: "Ann",
      plan: { tier: "free", seats: 1 },
      tags: ["a", "b"],
    });
    assert.equal(made.__typename, "User");
    assert.equal(made.id, "merge-1");
    assert.equal(made.name, "Ann");
    assert.equal(made.email, null);
    assert.equal(new Date(made.updated_at).toISOString(), made.updated_at);
    await knock.users.update("merge-1", { email: "ann@example.com", plan: { seats: 5 }, tags: ["c"] });
    const { body } = await call("GET", "/users/merge-1");
    assert.deepEqual(body.plan, { tier: "free", seats: 5 });
    assert.deepEqual(body.tags, ["c"]);
    assert.equal(body.name, "Ann");
    assert.equal(body.email, "ann@example.com");
    const cleared = await knock.users.update("merge-1", { name: null as never });
    assert.equal(cleared.name, null);
    assert.equal(cleared.email, "ann@example.com");
  });

  test(`${name}: users.update with nothing at all makes a user`, async () => {
    const { call } = await open();
    assert.equal((await call("PUT", "/users/blank")).body.id, "blank");
    assert.equal((await call("PUT", "/users/blank", {})).status, 200);
  });

  test(`${name}: what a user is sent back with is not what it is`, async () => {
    const { call, clock } = await open();
    await call("PUT", "/users/echo", { name: "E" });
    const { body } = await call("GET", "/users/echo");
    clock.advance(5_000);
    const again = await call("PUT", "/users/echo", { ...body, id: "other", __typename: "Object" });
    assert.equal(again.body.id, "echo");
    assert.equal(again.body.__typename, "User");
    assert.notEqual(again.body.updated_at, body.updated_at);
    assert.equal(again.body.created_at, body.created_at);
  });

  test(`${name}: users.get of nobody is 404 in the vendor's shape`, async () => {
    const { knock, call } = await open();
    await assert.rejects(knock.users.get("nobody"), Knock.NotFoundError);
    const { status, body, headers } = await call("GET", "/users/nobody");
    assert.equal(status, 404);
    assert.equal(body.code, "resource_missing");
    assert.equal(body.status, 404);
    assert.equal(body.type, "invalid_request_error");
    assert.equal(typeof body.message, "string");
    assert.equal(body.errors, undefined);
    assert.ok(headers.get("x-request-id"));
  });

  test(`${name}: ids of any script and sign but / and #`, async () => {
    const { knock, call } = await open();
    for (const id of ["org:7", "a b", "ann@example.com", "日本語🙂", "a%b", "'\"<>\\", "x".repeat(256)]) {
      await knock.users.update(id, { name: id });
      assert.equal((await knock.users.get(id)).name, id, id);
    }
    for (const id of ["a%2Fb", "a%23b", "x".repeat(257), "a%00b", "%E0%A4"]) {
      const { status, body } = await call("GET", `/users/${id}`);
      assert.ok(status === 422 || status === 404 || status === 400, `${id}: ${status}`);
      assert.equal(body.status, status);
    }
  });

  test(`${name}: properties may hold anything that JSON holds, up to 256 kB`, async () => {
    const { call } = await open();
    const odd = {
      "a.b": 1,
      "": 2,
      nul: "a\u0000b",
      half: "\ud800",
      deep: { list: [[1], { x: null }] },
      constructor: "c",
      toString: "t",
    };
    const { body } = await call("PUT", "/users/odd", odd);
    for (const [key, value] of Object.entries(odd)) assert.deepEqual(body[key], value, key);
    const huge = await call("PUT", "/users/odd", { bio: "x".repeat(256 * 1024) });
    assert.equal(huge.status, 422);
    assert.equal(huge.body.code, "invalid_params");
    assert.equal((await call("GET", "/users/odd")).body.bio, undefined);
  });

  test(`${name}: what is no user is refused field by field`, async () => {
    const { call } = await open();
    const { status, body } = await call("PUT", "/users/bad", { name: 5, email: {}, timezone: ["x"] });
    assert.equal(status, 422);
    assert.deepEqual(
      body.errors.map(({ field }: { field: string }) => field),
      ["name", "email", "timezone"],
    );
    assert.equal((await call("PUT", "/users/bad", [])).status, 422);
    assert.equal((await call("PUT", "/users/bad", '"text"')).status, 422);
    assert.ok([400, 422].includes((await call("PUT", "/users/bad", "{not json")).status));
    assert.ok([400, 422].includes((await call("PUT", "/users/bad", '{"__proto__": {"x": 1}}')).status));
    assert.ok([400, 422].includes((await call("PUT", "/users/bad", "[".repeat(1_000))).status));
    assert.equal((await call("GET", "/users/bad")).status, 404);
  });

  test(`${name}: users.delete`, async () => {
    const { knock, call } = await open();
    await knock.users.update("gone", { name: "G" });
    await knock.users.delete("gone");
    assert.equal((await call("GET", "/users/gone")).status, 404);
    assert.equal((await call("DELETE", "/users/gone")).status, 404);
  });

  test(`${name}: users.list newest first, both ways, each once`, async () => {
    const { clock, another } = await open();
    const { knock, call } = await another();
    for (let i = 0; i < 7; i++) {
      // Several of one moment: the id tells them apart.
      if (i % 3 === 0) clock.advance(1_000);
      await knock.users.update(`u${i}`, { name: `U${i}` });
    }
    const seen: string[] = [];
    for await (const user of knock.users.list({ page_size: 3 })) seen.push(user.id);
    assert.equal(seen[0], "u6");
    assert.deepEqual(seen.toSorted(), ["u0", "u1", "u2", "u3", "u4", "u5", "u6"]);
    const first = await knock.users.list({ page_size: 3 });
    const { body } = await call("GET", "/users?page_size=3");
    assert.equal(body.page_info.page_size, 3);
    assert.equal(body.page_info.__typename, "PageInfo");
    const second = await call("GET", `/users?page_size=3&after=${first.page_info.after}`);
    clock.advance(1_000);
    await knock.users.update("new", {});
    const back = await call("GET", `/users?page_size=3&before=${second.body.page_info.before}`);
    assert.deepEqual(
      back.body.entries.map(({ id }: { id: string }) => id),
      first.entries.map(({ id }) => id),
    );
    const newer = await call("GET", `/users?page_size=3&before=${back.body.page_info.before}`);
    assert.deepEqual(
      newer.body.entries.map(({ id }: { id: string }) => id),
      ["new"],
    );
    assert.equal(newer.body.page_info.before, null);
    assert.deepEqual(
      (await call("GET", `/users?page_size=3&after=${newer.body.page_info.after}`)).body.entries.map(
        ({ id }: { id: string }) => id,
      ),
      first.entries.map(({ id }) => id),
    );
    const last = await call("GET", `/users?page_size=50`);
    assert.equal(last.body.page_info.after, null);
  });

  test(`${name}: a page's size is brought into bounds, a cursor that is not ours is refused`, async () => {
    const { call } = await open();
    assert.equal((await call("GET", "/users?page_size=1000")).body.page_info.page_size, 50);
    assert.equal((await call("GET", "/users?page_size=0")).body.page_info.page_size, 1);
    assert.equal((await call("GET", "/users?page_size=")).body.page_info.page_size, 50);
    for (const cursor of ["nope", "%00", "dXM6eA", "x".repeat(5_000), "b2I6W10"]) {
      const { status, body } = await call("GET", `/users?after=${cursor}`);
      assert.equal(status, 422, cursor);
      assert.equal(body.errors[0].field, "after");
    }
    assert.equal((await call("GET", "/users?page_size=ten")).status, 422);
    assert.equal((await call("GET", "/users?include[]=secrets")).status, 422);
  });

  test(`${name}: users.list with preferences`, async () => {
    const { another } = await open();
    const { knock, call } = await another();
    await knock.users.update("p1", {
      preferences: { default: { workflows: { a: false } }, acme: { categories: { c: true } } },
    });
    await knock.users.update("p2", {});
    const { body } = await call("GET", "/users?include[]=preferences");
    const p1 = body.entries.find(({ id }: { id: string }) => id === "p1");
    assert.equal(p1.preferences.default.workflows.a, false);
    assert.equal(p1.preferences.acme.categories.c, true);
    assert.deepEqual(Object.keys(body.entries.find(({ id }: { id: string }) => id === "p2").preferences), ["default"]);
  });

  test(`${name}: users.merge`, async () => {
    const { knock, call } = await open();
    await knock.users.update("into", { name: "Into", plan: { tier: "pro" } });
    await knock.users.update("from", { name: "From", plan: { tier: "free", seats: 3 } });
    await knock.users.setPreferences("from", "default", { workflows: { w: false } });
    const merged = await knock.users.merge("into", { from_user_id: "from" });
    assert.equal(merged.name, "Into");
    assert.deepEqual((merged as unknown as { plan: unknown }).plan, { tier: "pro", seats: 3 });
    assert.equal((await call("GET", "/users/from")).status, 404);
    assert.deepEqual((await knock.users.getPreferences("into", "default")).workflows, { w: false });
    assert.equal((await call("POST", "/users/into/merge", { from_user_id: "from" })).status, 404);
    assert.equal((await call("POST", "/users/nobody/merge", { from_user_id: "into" })).status, 404);
    assert.equal((await call("POST", "/users/into/merge", { from_user_id: "into" })).status, 422);
    assert.equal((await call("POST", "/users/into/merge", {})).status, 422);
  });

  test(`${name}: a profile is the same to Courier`, async () => {
    const { knock, call, url } = await open();
    await knock.users.update("shared", { name: "S", email: "s@example.com" });
    const { body } = await call("GET", `${url}/profiles/shared`);
    assert.deepEqual(body.profile, { name: "S", email: "s@example.com" });
    await call("POST", `${url}/profiles/shared`, { profile: { phone_number: "+1" } });
    assert.equal((await knock.users.get("shared")).phone_number, "+1");
  });

  test(`${name}: environments share no one`, async () => {
    const { knock, another } = await open();
    const other = await another();
    await knock.users.update("mine", { name: "M" });
    assert.equal((await other.call("GET", "/users/mine")).status, 404);
    assert.equal((await other.call("DELETE", "/users/mine")).status, 404);
    assert.equal((await knock.users.get("mine")).name, "M");
  });

  test(`${name}: users.bulk.identify, setPreferences and delete are done when they are answered`, async () => {
    const { knock, call } = await open();
    const users = Array.from({ length: 1_000 }, (_, i) => ({ id: `bulk-${i}`, name: `B${i}` }));
    const operation = await knock.users.bulk.identify({ users });
    assert.equal(operation.__typename, "BulkOperation");
    assert.equal(operation.status, "completed");
    assert.equal(operation.estimated_total_rows, 1_000);
    assert.equal(operation.success_count, 1_000);
    assert.match(operation.id, /^[0-9a-f-]{36}$/);
    assert.deepEqual(await knock.bulkOperations.get(operation.id), operation);
    assert.equal((await knock.users.get("bulk-999")).name, "B999");
    await knock.users.bulk.setPreferences({
      user_ids: ["bulk-1", "bulk-2"],
      preferences: { categories: { c: false } },
    });
    assert.deepEqual((await knock.users.getPreferences("bulk-2", "default")).categories, { c: false });
    await knock.users.bulk.setPreferences({
      user_ids: ["bulk-1"],
      preferences: { id: "acme", categories: { d: false } },
    });
    assert.deepEqual((await knock.users.getPreferences("bulk-1", "acme")).categories, { d: false });
    await knock.users.bulk.delete({ user_ids: users.map(({ id }) => id) });
    assert.equal((await call("GET", "/users/bulk-5")).status, 404);
    assert.equal((await call("GET", "/bulk_operations/not-a-uuid")).status, 404);
    assert.equal((await call("GET", "/bulk_operations/00000000-0000-4000-8000-000000000000")).status, 404);
  });

  test(`${name}: a bulk call with one entry at fault writes nothing, and says which`, async () => {
    const { call } = await open();
    const { status, body } = await call("POST", "/users/bulk/identify", {
      users: [{ id: "fine" }, { name: "no id" }, "text", { id: "x/y" }, { id: "typed", name: 5 }],
    });
    assert.equal(status, 422);
    assert.deepEqual(
      body.errors.map(({ field }: { field: string }) => field),
      ["users[1].id", "users[2]", "users[3].id", "users[4].name"],
    );
    assert.equal((await call("GET", "/users/fine")).status, 404);
    const many = Array.from({ length: 1_001 }, (_, i) => ({ id: `m${i}` }));
    assert.equal((await call("POST", "/users/bulk/identify", { users: many })).status, 422);
    assert.equal((await call("POST", "/users/bulk/identify", {})).body.errors[0].type, "required");
    assert.equal((await call("POST", "/users/bulk/delete", { user_ids: "u1" })).status, 422);
    assert.equal(
      (await call("POST", "/users/bulk/preferences", { user_ids: ["u"], preferences: { workflows: 1 } })).status,
      422,
    );
  });
});
