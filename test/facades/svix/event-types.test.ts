/** Event types through both majors of the SDK. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiException } from "svix";
import { ApiException as ApiException2 } from "svix2";
import { eventTypesFor } from "../../../src/facades/svix/event-types.ts";
import { type Clients, forEachSvix } from "./svix-target.ts";

const SCHEMA = {
  $schema: "http://json-schema.org/draft-07/schema#",
  type: "object",
  required: ["id"],
  properties: { id: { type: "string", pattern: "^inv_[a-z]+$" }, next: { $ref: "#" } },
  examples: [{ id: "inv_abc" }],
};

async function refusal(call: Promise<unknown>): Promise<{ readonly code: number; readonly body: unknown }> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof ApiException || error instanceof ApiException2, String(error));
    return { code: error.code, body: error.body };
  }
  return assert.fail("it ought to be refused");
}

async function portalToken(owner: Clients, appId: string, featureFlags: string[]): Promise<string> {
  return (await owner.svix.authentication.appPortalAccess(appId, { featureFlags })).token;
}

forEachSvix((name, open) => {
  test(`${name}: create, get, list, archive, create again, expunge`, async () => {
    const { svix, svix2, clock } = await open();
    const made = await svix.eventType.create({
      name: "cycle.made",
      description: "A thing was made",
      schemas: { "1": SCHEMA },
      featureFlag: "early",
      groupName: "things",
    });
    assert.equal(made.archived, false);
    assert.equal(made.deprecated, false);
    assert.deepEqual(made.schemas, { "1": SCHEMA });
    assert.deepEqual(made.featureFlags, ["early"]);
    assert.equal(made.featureFlag, "early");
    assert.equal(made.groupName, "things");
    assert.equal(made.createdAt.getTime(), clock.now());

    const again = await refusal(svix2.eventType.create({ name: "cycle.made", description: "x" }));
    assert.equal(again.code, 409);
    assert.match(JSON.stringify(again.body), /event_type_exists/);

    clock.advance(1000);
    await svix.eventType.delete("cycle.made");
    const archived = await svix2.eventType.get("cycle.made");
    assert.equal(archived.archived, true);
    assert.deepEqual(archived.schemas, { "1": SCHEMA });
    const names = async (includeArchived: boolean) =>
      (await svix.eventType.list({ includeArchived, limit: 250 })).data.map((one) => one.name);
    assert.ok(!(await names(false)).includes("cycle.made"));
    assert.ok((await names(true)).includes("cycle.made"));

    const back = await svix2.eventType.create({ name: "cycle.made", description: "Anew" });
    assert.equal(back.archived, false);
    assert.equal(back.schemas, null);
    assert.equal(back.featureFlags, null);
    assert.equal(back.createdAt.getTime(), made.createdAt.getTime());
    assert.ok(back.updatedAt > back.createdAt);
    assert.ok((await names(false)).includes("cycle.made"));

    await svix2.eventType.delete("cycle.made", { expunge: true });
    assert.equal((await refusal(svix.eventType.get("cycle.made"))).code, 404);
    assert.equal((await refusal(svix.eventType.delete("cycle.made"))).code, 404);
    assert.equal((await svix.eventType.create({ name: "cycle.made", description: "x" })).name, "cycle.made");
  });

  test(`${name}: put replaces, makes and brings back; patch changes what it names`, async () => {
    const { svix, svix2, call } = await open();
    const put = (body: object) => call("PUT", "/event-type/put.one", body);
    const made = await put({
      description: "one",
      schemas: { "1": SCHEMA },
      featureFlags: ["a", "b"],
      deprecated: true,
    });
    assert.equal(made.status, 201);
    assert.deepEqual(made.body.featureFlags, ["a", "b"]);
    await svix.eventType.delete("put.one");
    const replaced = await put({ description: "two" });
    assert.equal(replaced.status, 200);
    const { createdAt, updatedAt, ...rest } = replaced.body;
    assert.equal(createdAt, made.body.createdAt);
    assert.ok(updatedAt >= createdAt);
    assert.deepEqual(rest, {
      name: "put.one",
      description: "two",
      archived: false,
      deprecated: false,
      schemas: null,
      groupName: null,
      featureFlags: null,
      featureFlag: null,
    });
    assert.equal((await svix2.eventType.upsert("put.one", { description: "three", archived: true })).archived, true);

    const patched = await svix.eventType.patch("put.one", { featureFlag: "c", groupName: "g", archived: false });
    assert.equal(patched.description, "three");
    assert.deepEqual(patched.featureFlags, ["c"]);
    const cleared = await svix2.eventType.patch("put.one", { featureFlags: null, groupName: null, deprecated: true });
    assert.deepEqual([cleared.featureFlags, cleared.groupName, cleared.deprecated], [null, null, true]);
    assert.equal((await refusal(svix.eventType.patch("put.none", { description: "x" }))).code, 404);
  });

  test(`${name}: lists go by name both ways, whatever order is asked for, with content only when asked`, async () => {
    const target = await open();
    const { svix, svix2, call } = await target.another();
    const names = Array.from({ length: 12 }, (_, i) => `page.${String.fromCharCode(97 + i)}`);
    for (const one of [...names].reverse()) {
      await svix.eventType.create({ name: one, description: one, schemas: { "1": SCHEMA } });
      await svix.eventType.create({ name: `${one}.gone`, description: one });
      await svix.eventType.delete(`${one}.gone`);
    }
    const first = await svix.eventType.list({ limit: 5, order: "descending" as never });
    assert.deepEqual(
      first.data.map((one) => one.name),
      names.slice(0, 5),
    );
    assert.equal(first.done, false);
    assert.equal(first.data[0]?.schemas, null);
    assert.equal(first.iterator, "page.e");
    const second = await svix2.eventType.list({ limit: 7, iterator: first.iterator, withContent: true });
    assert.deepEqual(
      second.data.map((one) => one.name),
      names.slice(5),
    );
    assert.equal(second.done, true);
    assert.deepEqual(second.data[0]?.schemas, { "1": SCHEMA });
    const back = await svix.eventType.list({ limit: 3, iterator: second.prevIterator ?? null });
    assert.deepEqual(
      back.data.map((one) => one.name),
      names.slice(2, 5),
    );
    assert.equal((await svix.eventType.list({ includeArchived: true, limit: 250 })).data.length, 24);
    assert.equal((await call("GET", "/event-type?limit=251")).status, 422);
    assert.equal((await call("GET", "/event-type?iterator=a%20b")).status, 422);
    assert.equal((await call("GET", "/event-type?with_content=yes")).status, 422);
  });

  test(`${name}: feature flags hide from tokens of applications that lack them; they cannot write`, async () => {
    const target = await open();
    const { svix } = target;
    const app = await svix.application.create({ name: "flags" });
    await svix.eventType.create({ name: "flag.open", description: "all" });
    await svix.eventType.create({ name: "flag.hidden", description: "some", featureFlags: ["beta", "gamma"] });
    const without = target.with(await portalToken(target, app.id, []));
    const withFlag = target.with(await portalToken(target, app.id, ["gamma"]));
    const seen = async ({ svix2 }: Clients) =>
      (await svix2.eventType.list({ limit: 250 })).data.map((one) => one.name).filter((one) => one.startsWith("flag."));
    assert.deepEqual(await seen(without), ["flag.open"]);
    assert.deepEqual(await seen(withFlag), ["flag.hidden", "flag.open"]);
    assert.deepEqual(await seen(target), ["flag.hidden", "flag.open"]);
    assert.equal((await refusal(without.svix.eventType.get("flag.hidden"))).code, 404);
    assert.equal((await withFlag.svix.eventType.get("flag.hidden")).name, "flag.hidden");

    for (const [method, path, body] of [
      ["POST", "/event-type", { name: "a", description: "b" }],
      ["PUT", "/event-type/flag.open", { description: "b" }],
      ["PATCH", "/event-type/flag.open", {}],
      ["DELETE", "/event-type/flag.open", undefined],
      ["POST", "/event-type/import/openapi", { spec: {} }],
      ["POST", "/environment/export", undefined],
      ["POST", "/environment/import", {}],
      ["GET", "/management/environment-settings", undefined],
      ["PUT", "/management/environment-settings", {}],
      ["PATCH", "/management/environment-settings", {}],
    ] as const) {
      assert.equal((await withFlag.call(method, path, body)).status, 403, `${method} ${path}`);
    }
  });

  test(`${name}: which names may be chosen`, async () => {
    const target = await open();
    const { svix } = target;
    await svix.eventType.create({ name: "choose.me", description: "x" });
    await svix.eventType.create({ name: "choose.gone", description: "x" });
    await svix.eventType.delete("choose.gone");
    const lookups = eventTypesFor({ engine: target.app.engine }, target.environment.id);
    assert.deepEqual(await lookups.unknownEventTypes(["choose.me", "choose.gone", "choose.none", "a b", "__proto__"]), [
      "choose.gone",
      "choose.none",
      "a b",
      "__proto__",
    ]);
    assert.equal((await lookups.readEventType("choose.gone"))?.archived, true);
    assert.equal(await lookups.readEventType("\0"), null);
    const { environmentId } = await target.another();
    const elsewhere = eventTypesFor({ engine: target.app.engine }, environmentId);
    assert.deepEqual(await elsewhere.unknownEventTypes(["choose.me"]), ["choose.me"]);
  });

  test(`${name}: of many who create the same one, one succeeds`, async () => {
    const { call } = await open();
    const made = await Promise.all(
      Array.from({ length: 8 }, (_, i) => call("POST", "/event-type", { name: "race.one", description: `${i}` })),
    );
    assert.deepEqual(made.map(({ status }) => status).sort(), [201, ...new Array(7).fill(409)]);
  });
});

forEachSvix((name, open) => {
  if (name !== "sqlite") return;

  for (const [what, body, loc] of [
    [
      "no name and no description",
      {},
      [
        ["body", "name"],
        ["body", "description"],
      ],
    ],
    ["a name with a space", { name: "a b", description: "x" }, [["body", "name"]]],
    ["a name with a line break", { name: "a\n", description: "x" }, [["body", "name"]]],
    ["a name that is too long", { name: "a".repeat(257), description: "x" }, [["body", "name"]]],
    ["NUL in the description", { name: "a", description: "x\0" }, [["body", "description"]]],
    ["a description that is null", { name: "a", description: null }, [["body", "description"]]],
    ["no flags in the list", { name: "a", description: "x", featureFlags: [] }, [["body", "featureFlags"]]],
    ["one flag twice", { name: "a", description: "x", featureFlags: ["f", "f"] }, [["body", "featureFlags", "[1]"]]],
    ["schemas in a list", { name: "a", description: "x", schemas: [] }, [["body", "schemas"]]],
    ["a schema that is none", { name: "a", description: "x", schemas: { "1": 5 } }, [["body", "schemas", "1"]]],
    [
      "a type that there is not",
      { name: "a", description: "x", schemas: { "1": { properties: { "a/b": { type: "text" } } } } },
      [["body", "schemas", "1", "properties", "a/b", "type"]],
    ],
    [
      "a pattern that is none",
      { name: "a", description: "x", schemas: { v2: { pattern: "(" } } },
      [["body", "schemas", "v2", "pattern"]],
    ],
    [
      "several schemas that are none",
      { name: "a", description: "x", schemas: { "1": { required: "id" }, "2": { minimum: "1" }, "3": true } },
      [
        ["body", "schemas", "1", "required"],
        ["body", "schemas", "2", "minimum"],
      ],
    ],
  ] as const) {
    test(`refused: ${what}`, async () => {
      const { call } = await open();
      const answer = await call("POST", "/event-type", body);
      assert.equal(answer.status, 422, answer.text);
      const found = (answer.body.detail as { loc: string[] }[]).map((issue) => issue.loc);
      assert.deepEqual(found, loc);
    });
  }

  test("names and bodies that were made to hurt get an answer that is no 5xx", async () => {
    const { call, svix } = await open();
    await svix.eventType.create({ name: "constructor", description: "a name like any other" });
    assert.equal((await svix.eventType.get("constructor")).description, "a name like any other");
    for (const path of ["__proto__", "toString", "%00", "a%20b", "%F0%9F%94%94", "a".repeat(300), "..%2F..", "%ff"]) {
      for (const method of ["GET", "DELETE", "PATCH", "PUT"] as const) {
        const answer = await call(method, `/event-type/${path}`, method === "PUT" ? { description: "x" } : undefined);
        const isName = path === "__proto__" || path === "toString";
        const known = isName && method !== "GET" ? answer.status < 500 : [400, 404, 422].includes(answer.status);
        assert.ok(known, `${method} ${path}: ${answer.status} ${answer.text}`);
        assert.ok(answer.body !== undefined || answer.status === 204);
      }
    }
    const slow = { pattern: "^(a+)+$", default: "a".repeat(50_000) };
    assert.equal(
      (await call("POST", "/event-type", { name: "slow", description: "x", schemas: { "1": slow } })).status,
      201,
    );
    const remote = { $ref: "http://169.254.169.254/schema.json" };
    assert.equal((await call("PUT", "/event-type/remote", { description: "x", schemas: { "1": remote } })).status, 201);
    const big = { enum: Array.from({ length: 60_000 }, (_, i) => `value ${i}`) };
    assert.equal((await call("PUT", "/event-type/big", { description: "x", schemas: { "1": big } })).status, 422);
    const wide = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [i, {}]));
    assert.equal((await call("PUT", "/event-type/wide", { description: "x", schemas: wide })).status, 422);
    const deep = `${'{"not":'.repeat(150)}{}${"}".repeat(150)}`;
    const nested = `{"description":"x","schemas":{"1":${deep}}}`;
    assert.ok([201, 422].includes((await call("PUT", "/event-type/deep", nested)).status));
    const odd = await call("PUT", "/event-type/odd", { description: "x", schemas: { "1": { title: "\0\ud800" } } });
    assert.ok(odd.status < 500, odd.text);
    assert.ok((await call("GET", "/event-type?include_archived=true&with_content=true&limit=250")).status === 200);
  });

  test("both spellings of the flag: the list wins", async () => {
    const { call } = await open();
    const both = { description: "x", featureFlag: "one", featureFlags: ["two", "three"] };
    assert.deepEqual((await call("PUT", "/event-type/spelling", both)).body.featureFlags, ["two", "three"]);
  });
});
