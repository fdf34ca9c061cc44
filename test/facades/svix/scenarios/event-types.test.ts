/** Event types: scenarios 38, 41 and 42. What an import makes of odd documents is event-types-import.test.ts's. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EventTypeOut } from "svix";
import { ksuid } from "../../../../src/facades/svix/ids.ts";
import { locs, refusal } from "../eventually.ts";
import type { Clients } from "../svix-target.ts";
import { putEventType, refusedAt } from "./renamed.ts";
import { forEachSpeaker, type Scene, SECOND } from "./scenario.ts";

const URL_ = "https://example.com/";
const NOT_FOUND = { status: 404, code: "not_found" };
const EXISTS = { status: 409, code: "event_type_exists" };
const SCHEMAS = {
  "1": { type: "object", properties: { n: { type: "integer" } }, examples: [{ n: 1 }] },
  v2: { $schema: "http://json-schema.org/draft-07/schema#", type: "object", description: "ünï 🚀" },
};

async function names({ svix }: Pick<Clients, "svix">, includeArchived = false): Promise<string[]> {
  return (await svix.eventType.list({ includeArchived, limit: 250 })).data.map(({ name }) => name);
}

/** A token for the application, speaking as the scene does. */
function speakerOf(scene: Scene, token: string): Pick<Clients, "svix" | "call"> {
  const { svix, svix2, call } = scene.target.with(token);
  return { call, svix: scene.major === 1 ? svix : (svix2 as unknown as typeof svix) };
}

forEachSpeaker({}, (who, open) => {
  test(`${who}: 38. Feature flags: hidden from a token without the flag, visible with it and to the organisation`, async (t) => {
    const scene = await open(t);
    const { svix, target, environmentId } = scene;
    const app = await svix.application.create({ name: "x", uid: "app" });
    await svix.eventType.create({ name: "open", description: "" });
    await svix.eventType.create({ name: "beta", description: "", featureFlags: ["f-1", "f.2"], schemas: SCHEMAS });
    await svix.eventType.create({ name: "gone", description: "", featureFlags: ["f-1"] });
    await svix.eventType.delete("gone");
    const template = "function handler(w) { return w }";
    await svix.connector.create({ name: "open", transformation: template });
    const beta = await svix.connector.create({ name: "beta", transformation: template, featureFlags: ["f-1"] });

    const org = ksuid("org", environmentId);
    const portal = async (featureFlags: string[]) =>
      (await svix.authentication.appPortalAccess("app", { featureFlags })).token;
    const signed = (feature_flags: unknown) => target.jwt({ sub: app.id, org, feature_flags });
    const integration = async (name: string, featureFlags: string[]) => {
      const { id } = await svix.integration.create("app", { name, featureFlags });
      return (await svix.integration.rotateKey("app", id)).key;
    };
    const without = [
      await portal([]),
      await portal(["other", "F-1", "f"]),
      signed([]),
      signed(undefined),
      signed(null),
      signed("f-1"),
      signed({ "f-1": true }),
      signed(["F-1", 1, null, "__proto__"]),
      await integration("without", []),
    ];
    const with1 = [
      await portal(["f-1"]),
      await portal(["x", "f.2"]),
      signed(["f-1"]),
      await integration("with", ["f-1"]),
    ];
    for (const token of without) {
      const { svix, call } = speakerOf(scene, token);
      for (const archived of [false, true]) assert.deepEqual(await names({ svix }, archived), ["open"]);
      for (const name of ["beta", "gone", "none"]) {
        assert.deepEqual(await refusal(svix.eventType.get(name)), NOT_FOUND, name);
      }
      // Hidden is as good as not there: in filters, in examples, and in what a refusal tells.
      const filters = { url: URL_, filterTypes: ["open", "beta", "none"] };
      const refused = await call("POST", "/app/app/endpoint", filters);
      assert.deepEqual(locs(refused), ["body.filterTypes"]);
      assert.match(refused.body.detail[0].msg, /beta, none$/);
      assert.deepEqual(
        (await svix.connector.list()).data.map(({ name }) => name),
        ["open"],
      );
      assert.deepEqual(await refusal(svix.connector.get(beta.id)), NOT_FOUND);
    }
    for (const token of with1) {
      const { svix, call } = speakerOf(scene, token);
      assert.deepEqual(await names({ svix }), ["beta", "open"]);
      assert.equal((await svix.eventType.get("beta")).name, "beta");
      const made = await call("POST", "/app/app/endpoint", { url: URL_, filterTypes: ["beta"], disabled: true });
      assert.equal(made.status, 201, made.text);
      // What an endpoint has by now it keeps, whoever changes it.
      const [other = ""] = without;
      const kept = await speakerOf(scene, other).call("PATCH", `/app/app/endpoint/${made.body.id}`, {
        filterTypes: ["beta", "open"],
      });
      assert.equal(kept.status, 200, kept.text);
    }
    assert.deepEqual(await names(scene), ["beta", "open"]);
    assert.deepEqual(await names(scene, true), ["beta", "gone", "open"]);
    for (const name of ["beta", "gone"]) assert.equal((await svix.eventType.get(name)).name, name);
    // Pages of a list with hidden ones in it are full.
    for (let i = 0; i < 12; i++) {
      await svix.eventType.create({
        name: `p${i + 10}`,
        description: "",
        ...(i % 3 === 0 ? {} : { featureFlags: ["f"] }),
      });
    }
    const { svix: hidden } = speakerOf(scene, without[0] as string);
    const first = await hidden.eventType.list({ limit: 3 });
    assert.deepEqual([first.data.map(({ name }) => name), first.done], [["open", "p10", "p13"], false]);
    const second = await hidden.eventType.list({ limit: 3, iterator: first.iterator as string });
    assert.deepEqual([second.data.map(({ name }) => name), second.done], [["p16", "p19"], true]);
    // Flags that are taken away, or given, count from now on.
    await svix.eventType.patch("beta", { featureFlags: null });
    assert.ok((await names({ svix: hidden })).includes("beta"));
    await svix.eventType.patch("open", { featureFlags: ["f-1"] });
    assert.deepEqual(await refusal(hidden.eventType.get("open")), NOT_FOUND);
  });

  test(`${who}: 41. Event types: create, again, archive, create again, expunge; schemas`, async (t) => {
    const scene = await open(t);
    const { svix, call, clock } = scene;
    const raw = await call("POST", "/event-type", { name: "raw", description: "Raw" });
    assert.equal(raw.status, 201);
    assert.deepEqual((await call("POST", "/event-type", { name: "raw", description: "Again" })).body.code, EXISTS.code);
    const made = await svix.eventType.create({
      name: "invoice.paid",
      description: "An invoice was paid\n\t✓ «ünï»",
      schemas: SCHEMAS,
      groupName: "invoice",
      featureFlags: ["f"],
      deprecated: true,
    });
    assert.deepEqual([made.archived, made.deprecated, made.groupName], [false, true, "invoice"]);
    assert.deepEqual(made.schemas, SCHEMAS);
    assert.deepEqual(await svix.eventType.get("invoice.paid"), made);
    const shown = (await call("GET", "/event-type/invoice.paid")).body;
    assert.deepEqual([shown.featureFlag, shown.featureFlags], ["f", ["f"]]);
    const again = { name: "invoice.paid", description: "Again" };
    assert.deepEqual(await refusal(svix.eventType.create(again)), EXISTS);
    assert.deepEqual(await svix.eventType.get("invoice.paid"), made);

    // Archived: hidden, still to be had, no longer to be chosen, kept by those who have it.
    const app = await scene.app();
    const endpoint = await scene.endpoint(app, { url: URL_, eventTypes: ["invoice.paid"], disabled: true });
    clock.advance(SECOND);
    const deleted = await call("DELETE", "/event-type/invoice.paid");
    assert.deepEqual([deleted.status, deleted.text], [204, ""]);
    assert.deepEqual(await names(scene), ["raw"]);
    assert.deepEqual(await names(scene, true), ["invoice.paid", "raw"]);
    assert.equal((await svix.eventType.get("invoice.paid")).archived, true);
    assert.equal((await refusal(scene.endpoint(app, { url: URL_, eventTypes: ["invoice.paid"] }))).status, 422);
    assert.equal((await svix.endpoint.patch(app, endpoint.id, { description: "kept" })).description, "kept");
    assert.equal(await svix.eventType.delete("invoice.paid"), undefined);

    clock.advance(SECOND);
    const back = await call("POST", "/event-type", again);
    assert.equal(back.status, 201);
    const { archived, description, schemas, groupName, featureFlags, deprecated } = back.body;
    assert.deepEqual([archived, description, schemas], [false, "Again", null]);
    assert.deepEqual([groupName, featureFlags, deprecated], [null, null, false]);
    assert.deepEqual(await names(scene), ["invoice.paid", "raw"]);
    await svix.eventType.delete("invoice.paid");
    const unarchived = await putEventType(scene, "invoice.paid", { description: "Put" });
    assert.deepEqual([unarchived.archived, unarchived.description], [false, "Put"]);
    assert.equal((await call("PUT", "/event-type/put.new", { description: "New" })).status, 201);
    assert.equal((await call("PUT", "/event-type/put.new", { description: "Known" })).status, 200);
    await svix.eventType.patch("invoice.paid", { archived: true });
    assert.deepEqual(await names(scene), ["put.new", "raw"]);

    assert.equal(await svix.eventType.delete("invoice.paid", { expunge: true }), undefined);
    assert.deepEqual(await names(scene, true), ["put.new", "raw"]);
    for (const call of [
      () => svix.eventType.get("invoice.paid"),
      () => svix.eventType.patch("invoice.paid", { description: "x" }),
      () => svix.eventType.delete("invoice.paid"),
      () => svix.eventType.delete("invoice.paid", { expunge: true }),
    ]) {
      assert.deepEqual(await refusal(call()), NOT_FOUND, String(call));
    }
    const anew = await svix.eventType.create(again);
    assert.equal(anew.createdAt.getTime(), clock.now());

    for (const bad of [
      { "1": { type: "nonsense" } },
      { "1": { type: "object", properties: { a: { type: 5 } } } },
      { "1": { required: "a" } },
      { "1": { pattern: "(" } },
      { "1": { minimum: "1" } },
      { "1": "object" },
      { "1": null },
      { "1": [] },
      { good: { type: "object" }, bad: { items: 7 } },
      [],
      "x",
      5,
    ]) {
      const given = { name: "bad", description: "", schemas: bad };
      for (const refused of [
        await call("POST", "/event-type", given),
        await call("PUT", "/event-type/bad", given),
        await call("PATCH", "/event-type/raw", { schemas: bad }),
      ]) {
        const [loc = ""] = locs(refused);
        assert.match(loc, /^body\.schemas/, JSON.stringify(bad));
      }
    }
    assert.deepEqual(await refusal(svix.eventType.get("bad")), NOT_FOUND);

    // with_content=false hides schemas; so does a list that says nothing of it.
    await svix.eventType.patch("raw", { schemas: SCHEMAS });
    const schemasOf = async (query: string) => {
      const { body } = await call("GET", `/event-type${query}`);
      return body.data.find(({ name }: EventTypeOut) => name === "raw").schemas;
    };
    for (const query of ["", "?with_content=false"]) assert.equal(await schemasOf(query), null);
    assert.deepEqual(await schemasOf("?with_content=true"), SCHEMAS);
    for (const withContent of [true, false]) {
      const { data } = await svix.eventType.list({ withContent });
      assert.deepEqual(data.find(({ name }) => name === "raw")?.schemas, withContent ? SCHEMAS : null);
    }
    // Of ten who make, or unarchive, the same at once one succeeds.
    const ten = () =>
      Promise.all(
        Array.from({ length: 10 }, (_, i) => call("POST", "/event-type", { name: "race", description: `${i}` })),
      );
    for (let round = 0; round < 2; round++) {
      assert.deepEqual((await ten()).map(({ status }) => status).sort(), [201, ...Array(9).fill(409)]);
      await svix.eventType.delete("race");
    }
  });

  test(`${who}: 41. Event types: names that are none, and those that only look strange`, async (t) => {
    const scene = await open(t);
    const { svix, call } = scene;
    for (const name of ["", "a b", "a/b", "ä", "a\n", "💥", "a\u0000", "x".repeat(257), "a:b", "a+b", "%61", "*"]) {
      assert.deepEqual(await refusedAt(svix.eventType.create({ name, description: "" })), ["body.name"], name);
      if (name === "") continue;
      const path = `/event-type/${encodeURIComponent(name)}`;
      assert.equal((await call("GET", path)).status, 404, name);
      assert.equal((await call("DELETE", path)).status, 404, name);
      assert.deepEqual(locs(await call("PUT", path, { description: "" })), ["body.name"], name);
      assert.equal((await call("PATCH", path, { description: "" })).status, 404, name);
    }
    for (const name of [
      "x".repeat(256),
      "__proto__",
      "constructor",
      "-",
      "_",
      "0",
      "null",
      "import",
      "svix.ping",
      "A",
      "a",
    ]) {
      assert.equal((await svix.eventType.create({ name, description: name })).name, name);
      assert.equal((await svix.eventType.get(name)).description, name);
      assert.equal((await svix.eventType.patch(name, { description: "patched" })).description, "patched");
      assert.equal((await putEventType(scene, name, { description: "put" })).description, "put");
    }
    for (const name of await names(scene)) await svix.eventType.delete(name, { expunge: true });
    assert.deepEqual(await names(scene, true), []);
    for (const [given, loc] of [
      [{ groupName: "a b" }, "body.groupName"],
      [{ featureFlag: "a b" }, "body.featureFlag"],
      [{ featureFlags: [] }, "body.featureFlags"],
      [{ featureFlags: ["a b"] }, "body.featureFlags.[0]"],
      [{ featureFlags: ["a", "a"] }, "body.featureFlags.[1]"],
      [{ archived: "true" }, "body.archived"],
      [{ description: 5 }, "body.description"],
      [{ description: "\u0000" }, "body.description"],
      [{ description: "x".repeat(70_000) }, "body.description"],
    ] as const) {
      const answer = await call("POST", "/event-type", { name: "n", description: "", ...given });
      assert.deepEqual(locs(answer), [loc], JSON.stringify(given).slice(0, 60));
    }
  });

  test(`${who}: 41. Event types: a page with large schemas is cut short, and the next goes on from it`, async (t) => {
    const scene = await open(t);
    const { svix, call } = scene;
    const description = "d".repeat(500_000);
    const all = Array.from({ length: 24 }, (_, i) => `large.${String.fromCharCode(97 + i)}`);
    for (const name of all) await svix.eventType.create({ name, description: "", schemas: { "1": { description } } });
    const tooLarge = { "1": { description }, "2": { description } };
    const refused = await call("PATCH", "/event-type/large.a", { schemas: tooLarge });
    assert.deepEqual(locs(refused), ["body.schemas"]);
    const first = await svix.eventType.list({ limit: 250, withContent: true });
    assert.ok(first.data.length < all.length && !first.done, `${first.data.length}`);
    const rest = await svix.eventType.list({ limit: 250, withContent: true, iterator: first.iterator as string });
    assert.equal(rest.done, true);
    assert.deepEqual(
      [...first.data, ...rest.data].map(({ name }) => name),
      all,
    );
    const back = await svix.eventType.list({ limit: 250, withContent: true, iterator: rest.prevIterator as string });
    assert.deepEqual([back.data, back.done], [first.data, true]);
    // Without content there is no reason to.
    assert.deepEqual(
      (await svix.eventType.list({ limit: 250 })).data.map(({ name }) => name),
      all,
    );
  });

  test(`${who}: 42. OpenAPI import: dryRun, import, replaceAll; both documents or none`, async (t) => {
    const scene = await open(t);
    const { svix, call } = scene;
    const hook = (summary: string, more: object = {}) => ({
      post: {
        summary,
        requestBody: { content: { "application/json": { schema: { type: "object", title: summary } } } },
        responses: {},
        ...more,
      },
    });
    const spec = {
      openapi: "3.1.0",
      info: { title: "t", version: "1" },
      webhooks: { "pet.new": hook("New pet"), "pet.old": hook("Old pet", { deprecated: true }) },
    };
    await svix.eventType.create({ name: "kept", description: "Kept" });
    await svix.eventType.create({ name: "pet.old", description: "As it was" });
    await svix.eventType.delete("pet.old");
    const before = await svix.eventType.list({ includeArchived: true, withContent: true });

    const dry = await svix.eventType.importOpenapi({ spec, dryRun: true });
    assert.deepEqual(dry.data.modified, []);
    assert.deepEqual(dry.data.toModify?.map(({ name }) => name).sort(), ["pet.new", "pet.old"]);
    const [fresh] = dry.data.toModify?.filter(({ name }) => name === "pet.new") ?? [];
    assert.equal(fresh?.description, "New pet");
    assert.deepEqual(fresh?.schemas, { "1": { type: "object", title: "New pet" } });
    const raw = await call("POST", "/event-type/import/openapi", { specRaw: JSON.stringify(spec), dryRun: true });
    assert.deepEqual([raw.status, raw.body.data.to_modify.length], [200, 2]);
    assert.deepEqual(await svix.eventType.list({ includeArchived: true, withContent: true }), before);

    const imported = await svix.eventType.importOpenapi({ specRaw: JSON.stringify(spec) });
    assert.deepEqual([...imported.data.modified].sort(), ["pet.new", "pet.old"]);
    assert.deepEqual(await names(scene), ["kept", "pet.new", "pet.old"]);
    const old = await svix.eventType.get("pet.old");
    assert.deepEqual([old.description, old.deprecated, old.archived], ["Old pet", true, false]);
    assert.deepEqual(old.schemas, { "1": { type: "object", title: "Old pet" } });

    const less = { ...spec, webhooks: { "pet.new": hook("New pet") } };
    const dryReplace = await svix.eventType.importOpenapi({ spec: less, replaceAll: true, dryRun: true });
    assert.deepEqual(dryReplace.data.toModify?.map(({ name }) => name).sort(), ["kept", "pet.old"]);
    assert.deepEqual(await names(scene), ["kept", "pet.new", "pet.old"]);
    const replaced = await svix.eventType.importOpenapi({ spec: less, replaceAll: true });
    assert.deepEqual([...replaced.data.modified].sort(), ["kept", "pet.old"]);
    assert.deepEqual(await names(scene), ["pet.new"]);
    assert.deepEqual(await names(scene, true), ["kept", "pet.new", "pet.old"]);

    for (const body of [{ spec, specRaw: JSON.stringify(spec) }, {}, { spec: null, specRaw: null }, undefined]) {
      const refused = await call("POST", "/event-type/import/openapi", body);
      assert.deepEqual([refused.status, typeof refused.body.code], [400, "string"], JSON.stringify(body));
    }
    assert.equal((await refusal(svix.eventType.importOpenapi({ spec, specRaw: "{}" }))).status, 400);
    for (const body of [
      { specRaw: "{" },
      { specRaw: "" },
      { specRaw: "just text" },
      { specRaw: "[]" },
      { spec: {} },
      { spec: { ...spec, webhooks: { "not a name": hook("x") } } },
      { spec: { ...spec, webhooks: { bad: hook("x", { requestBody: { $ref: "#/nowhere" } }) } } },
      { spec: [] },
      { spec: "x" },
      { spec, dryRun: "yes" },
    ]) {
      const refused = await call("POST", "/event-type/import/openapi", body);
      assert.equal(refused.status, 422, `${JSON.stringify(body).slice(0, 80)}: ${refused.text}`);
    }
    assert.deepEqual(await names(scene), ["pet.new"]);
  });
});
