/** Applications, their endpoints, what is remembered of them and what is told of their changes, on both databases. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryBus } from "../../src/bus/memory.ts";
import type { EnvironmentId } from "../../src/engine/model.ts";
import type { Bus, DocumentStore, Store } from "../../src/engine/ports.ts";
import { Refusal } from "../../src/engine/refusal.ts";
import { appEndpointsOn } from "../../src/engine/webhooks/app-endpoints.ts";
import { applicationsOn } from "../../src/engine/webhooks/applications.ts";
import { deliveryTo } from "../../src/engine/webhooks/delivery-to.ts";
import type { AppEndpointId, AppId } from "../../src/engine/webhooks/model.ts";
import { Operational } from "../../src/engine/webhooks/operational.ts";
import { operationsAppId } from "../../src/engine/webhooks/operational-app.ts";
import type { AppAcceptance, Walk } from "../../src/engine/webhooks/ports.ts";
import { DEFAULT_WEBHOOK_SETTINGS } from "../../src/engine/webhooks/settings.ts";
import { SettingsStore } from "../../src/engine/webhooks/settings-store.ts";
import { Snapshots } from "../../src/engine/webhooks/snapshots.ts";
import type { AppEndpointFields, ApplicationFields } from "../../src/engine/webhooks/webhooks.ts";
import { FakeClock, type Millis } from "../../src/lib/clock.ts";
import { newId } from "../../src/lib/ids.ts";
import { openVault } from "../../src/lib/vault.ts";
import { forEachDatabase } from "./databases.ts";
import { newEnvironmentId } from "./fixtures.ts";
import { claimFor } from "./webhook-fixtures.ts";

const FIRST: Walk = { limit: 50, from: null, order: "ascending" };
const SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const vault = openVault({ encryptionKey: Buffer.alloc(32, 7), oldEncryptionKeys: [] });

function named(name: string, over: Partial<ApplicationFields> = {}): ApplicationFields {
  return { uid: null, name, throttleRate: null, metadata: {}, ...over };
}

function at(url: string, over: Partial<AppEndpointFields> = {}): AppEndpointFields {
  return {
    uid: null,
    url,
    description: "",
    throttleRate: null,
    version: 1,
    disabled: false,
    eventTypes: null,
    channels: null,
    metadata: {},
    headers: {},
    secret: SECRET,
    oldSecrets: [],
    transformation: null,
    kind: "http",
    ...over,
  };
}

/** One process on the store: what it writes it hears of at once, what others write it does not hear of. */
function processOn(store: Store, clock: FakeClock, maxEndpoints?: number) {
  const bus = memoryBus();
  const documents = shouting(store.documents, bus);
  const snapshots = new Snapshots({ documents, vault, bus, clock });
  const operational = new Operational({ snapshots, spell: (id) => id.toUpperCase() });
  const cleared: AppEndpointId[] = [];
  const noted: { failingSince: Millis | null } = { failingSince: null };
  const appMessages: Pick<Store["appMessages"], "clearFailing" | "failingSince"> = {
    failingSince: async () => noted.failingSince,
    clearFailing(environmentId, endpointId) {
      cleared.push(endpointId);
      return store.appMessages.clearFailing(environmentId, endpointId);
    },
  };
  return {
    bus,
    snapshots,
    operational,
    cleared,
    noted,
    applications: applicationsOn({ documents, bus, clock }),
    endpoints: appEndpointsOn({ documents, appMessages, vault, operational, bus, clock, maxEndpoints }),
    settings: new SettingsStore(documents, bus, clock),
  };
}

/** As the engine's own (engine/start.ts). */
function shouting(documents: DocumentStore, bus: Bus): DocumentStore {
  return {
    ...documents,
    async write(environmentId, writes, writtenAt, effects) {
      const versions = await documents.write(environmentId, writes, writtenAt, effects);
      if (versions !== null) {
        for (const kind of new Set(writes.map((write) => write.kind))) bus.changed(environmentId, kind);
      }
      return versions;
    },
  };
}

const isRefused =
  (code: Refusal["code"], field?: string) =>
  (error: unknown): boolean =>
    error instanceof Refusal && error.code === code && error.field === field;

forEachDatabase((name, open) => {
  async function setUp(options: { maxEndpoints?: number } = {}) {
    const store = await open();
    const clock = new FakeClock(Date.now());
    const env = newEnvironmentId();
    const main = processOn(store, clock, options.maxEndpoints);
    const generation = async (id: AppId): Promise<number | null> =>
      (await store.documents.read(env, "app-endpoints", id))?.version ?? null;
    return { store, clock, env, generation, ...main };
  }

  /** Everything that was told to the environment's own endpoints, oldest first. */
  async function tellings(store: Store, env: EnvironmentId): Promise<{ type: string; data: Record<string, string> }[]> {
    const walked = await store.appMessages.list(env, operationsAppId(env), {}, FIRST, true);
    return walked.items.map((message) => JSON.parse(message.payload ?? "null"));
  }

  // ——— applications ———

  test(`${name}: an application is read by id and by uid as it was made`, async () => {
    const { applications, clock, env } = await setUp();
    const fields = named("Acme", { uid: "acme", throttleRate: 7, metadata: JSON.parse('{"__proto__":"x","a":"1"}') });
    const made = await applications.create(env, fields);
    assert.deepEqual(made, {
      environmentId: env,
      id: made.id,
      ...fields,
      createdAt: clock.now(),
      updatedAt: clock.now(),
    });
    assert.deepEqual(await applications.read(env, { id: made.id }), made);
    assert.deepEqual(await applications.read(env, { uid: "acme" }), made);
    assert.equal(await applications.read(env, { uid: "Acme" }), null);
    assert.equal(await applications.read(env, { id: newId("app", clock.now()) }), null);
    assert.equal(await applications.read(newEnvironmentId(), { id: made.id }), null);
    assert.equal(await applications.read(newEnvironmentId(), { uid: "acme" }), null);
  });

  test(`${name}: a change keeps what it does not name, and when the application was made`, async () => {
    const { applications, clock, env } = await setUp();
    const made = await applications.create(env, named("Acme", { uid: "acme", metadata: { a: "1" } }));
    clock.advance(10);
    const changed = await applications.update(env, { uid: "acme" }, ({ metadata }) => ({
      name: "Acme 2",
      metadata: { ...metadata, b: "2" },
    }));
    assert.deepEqual(changed, {
      ...made,
      name: "Acme 2",
      metadata: { a: "1", b: "2" },
      updatedAt: made.updatedAt + 10,
    });
    assert.deepEqual(await applications.read(env, { id: made.id }), changed);
    assert.equal(await applications.update(env, { uid: "other" }, () => ({ name: "x" })), null);
    assert.equal(await applications.update(newEnvironmentId(), { id: made.id }, () => ({ name: "x" })), null);
  });

  test(`${name}: a uid belongs to one application, and is free when it is given up`, async () => {
    const { applications, env } = await setUp();
    const first = await applications.create(env, named("1", { uid: "a" }));
    const second = await applications.create(env, named("2"));
    const taken = isRefused("conflict", "uid");
    await assert.rejects(applications.create(env, named("3", { uid: "a" })), taken);
    await assert.rejects(
      applications.update(env, { id: second.id }, () => ({ uid: "a" })),
      taken,
    );
    await applications.create(newEnvironmentId(), named("elsewhere", { uid: "a" }));
    assert.equal((await applications.update(env, { uid: "a" }, () => ({ uid: "a" })))?.id, first.id);
    await applications.update(env, { uid: "a" }, () => ({ uid: "b" }));
    assert.equal(await applications.read(env, { uid: "a" }), null);
    assert.equal((await applications.update(env, { id: second.id }, () => ({ uid: "a" })))?.uid, "a");
    assert.equal(await applications.delete(env, { uid: "b" }), true);
    assert.equal((await applications.create(env, named("4", { uid: "b" }))).uid, "b");
    await applications.update(env, { uid: "a" }, () => ({ uid: null }));
    assert.equal((await applications.create(env, named("5", { uid: "a" }))).uid, "a");
  });

  test(`${name}: of many who make an application with the same uid at once one succeeds`, async () => {
    const { store, clock, env, applications } = await setUp();
    const other = processOn(store, clock).applications;
    const results = await Promise.allSettled(
      Array.from({ length: 12 }, (_, i) => (i % 2 ? other : applications).create(env, named(`${i}`, { uid: "one" }))),
    );
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
    for (const result of results) {
      if (result.status === "rejected") assert.ok(isRefused("conflict", "uid")(result.reason));
    }
    assert.equal((await applications.list(env, FIRST)).items.length, 1);
  });

  test(`${name}: no change of an application is lost when several processes change it`, async () => {
    const { store, clock, env, applications } = await setUp();
    const processes = [applications, processOn(store, clock).applications, processOn(store, clock).applications];
    const { id } = await applications.create(env, named("0"));
    await Promise.all(
      Array.from({ length: 15 }, (_, i) =>
        processes[i % 3]?.update(env, { id }, ({ name: before }) => ({ name: `${Number(before) + 1}` })),
      ),
    );
    assert.equal((await applications.read(env, { id }))?.name, "15");
  });

  test(`${name}: applications are listed by id, in pages, both ways`, async () => {
    const { applications, env } = await setUp();
    const ids: AppId[] = [];
    for (let i = 0; i < 5; i++) ids.push((await applications.create(env, named(`${i}`))).id);
    const walk = async (over: Partial<Walk>): Promise<[number[], boolean]> => {
      const { items, more } = await applications.list(env, { ...FIRST, limit: 2, ...over });
      return [items.map(({ id }) => ids.indexOf(id)), more];
    };
    const from = (i: number, back = false) => ({ from: { key: ids[i] as string, back } });
    assert.deepEqual(await walk({}), [[0, 1], true]);
    assert.deepEqual(await walk(from(1)), [[2, 3], true]);
    assert.deepEqual(await walk(from(3)), [[4], false]);
    assert.deepEqual(await walk(from(4, true)), [[2, 3], true]);
    assert.deepEqual(await walk(from(2, true)), [[0, 1], false]);
    assert.deepEqual(await walk({ order: "descending" }), [[4, 3], true]);
    assert.deepEqual(await walk({ order: "descending", ...from(1) }), [[0], false]);
    assert.deepEqual(await walk({ order: "descending", ...from(0, true) }), [[2, 1], true]);
    assert.deepEqual(await walk({ limit: 5 }), [[0, 1, 2, 3, 4], false]);
    assert.deepEqual(await walk({ limit: 0 }), [[], true]);
  });

  test(`${name}: the hidden application is there without being listed, and nobody changes it`, async () => {
    const { applications, env, snapshots, clock } = await setUp();
    const id = operationsAppId(env);
    const hidden = await applications.read(env, { id });
    assert.deepEqual([hidden?.id, hidden?.uid], [id, null]);
    assert.deepEqual((await applications.list(env, FIRST)).items, []);
    assert.equal(await applications.update(env, { id }, () => ({ name: "mine" })), null);
    assert.equal(await applications.delete(env, { id }), false);
    assert.deepEqual(await snapshots.get(env, id), { application: hidden, endpoints: [], generation: 0 });
    assert.equal(await applications.read(env, { id: operationsAppId(newId("env", clock.now())) }), null);
    assert.equal(await snapshots.get(env, operationsAppId(newId("env", clock.now()))), null);
  });

  // ——— endpoints ———

  test(`${name}: an endpoint is read by id and by uid as it was made`, async () => {
    const { applications, endpoints, env, clock } = await setUp();
    const { id: appId } = await applications.create(env, named("a"));
    const other = await applications.create(env, named("b"));
    const fields = at("https://example.com/hook", {
      uid: "__proto__",
      description: "prod",
      throttleRate: 3,
      eventTypes: ["a.b"],
      channels: ["eu"],
      metadata: { m: "1" },
      headers: JSON.parse('{"X-Key":"k","__proto__":"p"}'),
      oldSecrets: [{ secret: "whsec_old", until: clock.now() + 5 }],
      transformation: { code: "handler=x=>x", enabled: true, variables: { v: "1" }, updatedAt: 5 },
    });
    const made = await endpoints.create(env, appId, fields);
    const times = { createdAt: clock.now(), updatedAt: clock.now(), deletedAt: null };
    assert.deepEqual(made, { environmentId: env, appId, id: made.id, ...fields, ...times });
    assert.deepEqual(await endpoints.read(env, appId, { id: made.id }), made);
    assert.deepEqual(await endpoints.read(env, appId, { uid: "__proto__" }), made);
    assert.deepEqual((await endpoints.list(env, appId, FIRST)).items, [made]);
    for (const elsewhere of [[env, other.id] as const, [newEnvironmentId(), appId] as const]) {
      assert.equal(await endpoints.read(...elsewhere, { id: made.id }), null);
      assert.equal(await endpoints.read(...elsewhere, { uid: "__proto__" }), null);
      assert.deepEqual((await endpoints.list(...elsewhere, FIRST)).items, []);
      assert.equal(await endpoints.update(...elsewhere, { id: made.id }, () => ({ version: 2 })), null);
      assert.equal(await endpoints.delete(...elsewhere, { id: made.id }), false);
    }
  });

  test(`${name}: secrets, old secrets and values of headers lie in the database unreadable`, async () => {
    const { applications, endpoints, env, store, clock } = await setUp();
    const { id: appId } = await applications.create(env, named("a"));
    const fields = at("https://a.example", {
      headers: { Authorization: "Bearer hunter2" },
      oldSecrets: [{ secret: "whsec_oldold", until: clock.now() + 1000 }],
    });
    const made = await endpoints.create(env, appId, fields);
    const stored = async () => JSON.stringify(await store.documents.read(env, `endpoint:${appId}`, made.id));
    for (const readable of [SECRET, "whsec_oldold", "hunter2"]) assert.ok(!(await stored()).includes(readable));
    assert.ok((await stored()).includes("Authorization"));
    const changed = await endpoints.update(env, appId, { id: made.id }, ({ headers }) => ({
      secret: "whsec_new",
      headers: { ...headers, "X-Two": "swordfish" },
    }));
    for (const readable of ["whsec_new", "swordfish", "hunter2"]) assert.ok(!(await stored()).includes(readable));
    assert.deepEqual(changed?.headers, { Authorization: "Bearer hunter2", "X-Two": "swordfish" });
    assert.deepEqual(await endpoints.read(env, appId, { id: made.id }), changed);
  });

  test(`${name}: old secrets that sign no more are dropped with the next change`, async () => {
    const { applications, endpoints, env, clock } = await setUp();
    const { id: appId } = await applications.create(env, named("a"));
    const oldSecrets = [
      { secret: "whsec_2", until: clock.now() + 20 },
      { secret: "whsec_1", until: clock.now() + 10 },
    ];
    const { id } = await endpoints.create(env, appId, at("https://a.example", { oldSecrets }));
    clock.advance(10);
    const changed = await endpoints.update(env, appId, { id }, () => ({ description: "x" }));
    assert.deepEqual(changed?.oldSecrets, [oldSecrets[0]]);
  });

  test(`${name}: the uid of an endpoint is unique in its application only`, async () => {
    const { applications, endpoints, env } = await setUp();
    const one = (await applications.create(env, named("1"))).id;
    const two = (await applications.create(env, named("2"))).id;
    const first = await endpoints.create(env, one, at("https://1.example", { uid: "u" }));
    const second = await endpoints.create(env, one, at("https://2.example"));
    await endpoints.create(env, two, at("https://3.example", { uid: "u" }));
    const taken = isRefused("conflict", "uid");
    await assert.rejects(endpoints.create(env, one, at("https://4.example", { uid: "u" })), taken);
    await assert.rejects(
      endpoints.update(env, one, { id: second.id }, () => ({ uid: "u" })),
      taken,
    );
    assert.equal((await endpoints.list(env, one, FIRST)).items.length, 2);
    await endpoints.update(env, one, { uid: "u" }, () => ({ uid: "v" }));
    assert.equal(await endpoints.read(env, one, { uid: "u" }), null);
    assert.equal((await endpoints.update(env, one, { id: second.id }, () => ({ uid: "u" })))?.uid, "u");
    assert.equal((await endpoints.read(env, one, { uid: "v" }))?.id, first.id);
    assert.equal(await endpoints.delete(env, one, { uid: "v" }), true);
    assert.equal((await endpoints.create(env, one, at("https://5.example", { uid: "v" }))).uid, "v");
  });

  test(`${name}: an application has as many endpoints as it may, also when they come at once`, async () => {
    const { applications, endpoints, env, store, clock } = await setUp({ maxEndpoints: 4 });
    const other = processOn(store, clock, 4).endpoints;
    const { id: appId } = await applications.create(env, named("a"));
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) => (i % 2 ? other : endpoints).create(env, appId, at(`https://${i}.example`))),
    );
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 4);
    for (const result of results) {
      if (result.status === "rejected") assert.ok(isRefused("invalid", "limit_reached")(result.reason));
    }
    const [first] = (await endpoints.list(env, appId, FIRST)).items;
    await endpoints.delete(env, appId, { id: first?.id as AppEndpointId });
    await applications.update(env, { id: appId }, () => ({ name: "b" }));
    await endpoints.create(env, appId, at("https://again.example"));
    await assert.rejects(
      endpoints.create(env, appId, at("https://over.example")),
      isRefused("invalid", "limit_reached"),
    );
  });

  test(`${name}: pollers are read but not listed, and pages are full in spite of them`, async () => {
    const { applications, endpoints, env } = await setUp();
    const { id: appId } = await applications.create(env, named("a"));
    const made: AppEndpointId[] = [];
    for (let i = 0; i < 7; i++) {
      const kind = i === 1 || i === 2 || i === 6 ? "poller" : "http";
      made.push((await endpoints.create(env, appId, at(`https://${i}.example`, { kind }))).id);
    }
    assert.equal((await endpoints.read(env, appId, { id: made[1] as AppEndpointId }))?.kind, "poller");
    const walk = async (over: Partial<Walk>): Promise<[number[], boolean]> => {
      const { items, more } = await endpoints.list(env, appId, { ...FIRST, limit: 2, ...over });
      return [items.map(({ id }) => made.indexOf(id)), more];
    };
    assert.deepEqual(await walk({}), [[0, 3], true]);
    assert.deepEqual(await walk({ from: { key: made[3] as string, back: false } }), [[4, 5], false]);
    assert.deepEqual(await walk({ from: { key: made[4] as string, back: true } }), [[0, 3], false]);
    assert.deepEqual(await walk({ order: "descending" }), [[5, 4], true]);
  });

  test(`${name}: a deleted endpoint stays readable as deleted, without what it was kept secret for`, async () => {
    const { applications, endpoints, env, clock, store } = await setUp();
    const { id: appId } = await applications.create(env, named("a"));
    const fields = at("https://a.example", {
      uid: "u",
      description: "kept",
      headers: { authorization: "hunter2" },
      transformation: { code: "x", enabled: true, variables: { password: "hunter2" }, updatedAt: 1 },
    });
    const made = await endpoints.create(env, appId, fields);
    clock.advance(5);
    assert.equal(await endpoints.delete(env, appId, { uid: "u" }), true);
    assert.equal(await endpoints.delete(env, appId, { id: made.id }), false);
    assert.equal(await endpoints.read(env, appId, { id: made.id }), null);
    assert.equal(await endpoints.read(env, appId, { uid: "u" }, true), null);
    assert.equal(await endpoints.update(env, appId, { id: made.id }, () => ({ disabled: true })), null);
    assert.deepEqual(await endpoints.read(env, appId, { id: made.id }, true), {
      ...made,
      uid: null,
      headers: {},
      secret: "",
      transformation: null,
      updatedAt: clock.now(),
      deletedAt: clock.now(),
    });
    assert.equal((await endpoints.list(env, appId, FIRST)).items.length, 0);
    assert.equal((await store.documents.list(env, `endpoint-uid:${appId}`, { limit: 5 })).items.length, 0);
  });

  test(`${name}: there is no endpoint of an application that is not there`, async () => {
    const { applications, endpoints, env, clock, store } = await setUp();
    const isGone = isRefused("not_found");
    await assert.rejects(endpoints.create(env, newId("app", clock.now()), at("https://a.example")), isGone);
    const { id } = await applications.create(env, named("a"));
    await assert.rejects(endpoints.create(newEnvironmentId(), id, at("https://a.example")), isGone);
    await applications.delete(env, { id });
    await assert.rejects(endpoints.create(env, id, at("https://a.example")), isGone);
    assert.equal((await store.documents.list(env, `endpoint:${id}`, { limit: 5 })).items.length, 0);
  });

  test(`${name}: with an application everything goes that was its own`, async () => {
    const { applications, endpoints, env, store } = await setUp();
    const stays = await applications.create(env, named("stays"));
    await endpoints.create(env, stays.id, at("https://stays.example", { uid: "u" }));
    const { id } = await applications.create(env, named("goes", { uid: "goes" }));
    for (let i = 0; i < 205; i++) {
      await endpoints.create(env, id, at(`https://${i}.example`, { uid: i % 2 ? `u${i}` : null }));
    }
    await endpoints.delete(env, id, { uid: "u1" });
    assert.equal(await applications.delete(env, { id }), true);
    assert.equal(await applications.delete(env, { id }), false);
    assert.equal(await applications.read(env, { id }), null);
    for (const kind of [`endpoint:${id}`, `endpoint-uid:${id}`, `deleted-endpoint:${id}`, "app-uid"]) {
      assert.deepEqual((await store.documents.list(env, kind, { limit: 5 })).items, [], kind);
    }
    for (const kind of ["app", "app-endpoints"]) {
      const { items } = await store.documents.list(env, kind, { limit: 5 });
      assert.deepEqual(
        items.map((document) => document.id),
        [stays.id],
      );
    }
    assert.equal((await endpoints.list(env, stays.id, FIRST)).items.length, 1);
  });

  test(`${name}: an endpoint that is made while its application is deleted leaves nothing behind`, async () => {
    const { applications, env, store, clock } = await setUp();
    const { endpoints } = processOn(store, clock);
    for (let round = 0; round < 4; round++) {
      const { id } = await applications.create(env, named("a"));
      const making = Array.from({ length: 4 }, (_, i) => endpoints.create(env, id, at(`https://${i}.example`)));
      const deleting = applications.delete(env, { id });
      for (const made of await Promise.allSettled(making)) {
        if (made.status === "rejected") assert.ok(isRefused("not_found")(made.reason));
      }
      assert.equal(await deleting, true);
      assert.equal((await store.documents.list(env, `endpoint:${id}`, { limit: 5 })).items.length, 0);
      assert.equal(await store.documents.read(env, "app-endpoints", id), null);
    }
  });

  test(`${name}: no change of an endpoint is lost when several processes change it`, async () => {
    const { applications, endpoints, env, store, clock } = await setUp();
    const processes = [endpoints, processOn(store, clock).endpoints, processOn(store, clock).endpoints];
    const { id: appId } = await applications.create(env, named("a"));
    const { id } = await endpoints.create(env, appId, at("https://a.example"));
    await Promise.all(
      Array.from({ length: 15 }, (_, i) =>
        processes[i % 3]?.update(env, appId, { id }, ({ metadata }) => ({ metadata: { ...metadata, [`k${i}`]: "" } })),
      ),
    );
    assert.equal(Object.keys((await endpoints.read(env, appId, { id }))?.metadata ?? {}).length, 15);
  });

  test(`${name}: what a change throws leaves everything as it was`, async () => {
    const { applications, endpoints, env, generation } = await setUp();
    const app = await applications.create(env, named("a"));
    const endpoint = await endpoints.create(env, app.id, at("https://a.example"));
    const before = await generation(app.id);
    const fail = (): never => {
      throw new Refusal("invalid", "no");
    };
    await assert.rejects(applications.update(env, { id: app.id }, fail), isRefused("invalid"));
    await assert.rejects(endpoints.update(env, app.id, { id: endpoint.id }, fail), isRefused("invalid"));
    assert.deepEqual(await applications.read(env, { id: app.id }), app);
    assert.deepEqual(await endpoints.read(env, app.id, { id: endpoint.id }), endpoint);
    assert.equal(await generation(app.id), before);
  });

  // ——— the generation ———

  test(`${name}: the generation rises with every change, and goes with the application`, async () => {
    const { applications, endpoints, env, generation, clock } = await setUp();
    const app = await applications.create(env, named("a"));
    const seen = [await generation(app.id)];
    clock.advance(1);
    const { id } = await endpoints.create(env, app.id, at("https://a.example"));
    seen.push(await generation(app.id));
    await endpoints.update(env, app.id, { id }, () => ({ description: "x" }), true);
    seen.push(await generation(app.id));
    await endpoints.disableFailing(env, app.id, id, null);
    seen.push(await generation(app.id));
    await endpoints.disableFailing(env, app.id, id, null);
    assert.equal(await generation(app.id), seen.at(-1));
    await endpoints.delete(env, app.id, { id });
    seen.push(await generation(app.id));
    assert.equal((await applications.read(env, { id: app.id }))?.updatedAt, app.updatedAt);
    await applications.update(env, { id: app.id }, () => ({ throttleRate: 1 }));
    seen.push(await generation(app.id));
    assert.deepEqual(seen, [1, 2, 3, 4, 5, 6]);
    await applications.delete(env, { id: app.id });
    assert.equal(await generation(app.id), null);
  });

  test(`${name}: a message made for endpoints that have changed since is not taken in`, async () => {
    const { applications, endpoints, env, snapshots, store, clock } = await setUp();
    const { id: appId } = await applications.create(env, named("a"));
    await endpoints.create(env, appId, at("https://a.example"));
    const acceptance = async (): Promise<AppAcceptance> => {
      const snapshot = await snapshots.get(env, appId);
      assert.ok(snapshot !== null);
      const message = {
        environmentId: env,
        appId,
        id: newId("msg", clock.now()),
        eventId: null,
        eventType: "a",
        channels: null,
        tags: null,
        payload: "{}",
        raw: null,
        parameters: null,
        deliverAt: null,
        payloadUntil: clock.now() + 1000,
        createdAt: clock.now(),
      };
      const how = { manual: false, dueAt: clock.now() };
      const deliveries = snapshot.endpoints.map((endpoint) => deliveryTo(endpoint, message, how));
      return { message, deliveries, generation: snapshot.generation, idempotency: null };
    };
    const { appMessages } = store;
    assert.deepEqual(await appMessages.accept([await acceptance()]), [{ kind: "accepted" }]);
    const outdated = await acceptance();
    await endpoints.create(env, appId, at("https://b.example"));
    assert.deepEqual(await appMessages.accept([outdated]), [{ kind: "stale" }]);
    const current = await acceptance();
    assert.equal(current.deliveries.length, 2);
    assert.deepEqual(await appMessages.accept([current]), [{ kind: "accepted" }]);
    const orphan = await acceptance();
    await applications.delete(env, { id: appId });
    assert.deepEqual(await appMessages.accept([orphan]), [{ kind: "stale" }]);
  });

  // ——— snapshots ———

  test(`${name}: a snapshot shows at once what its own process wrote`, async () => {
    const { applications, endpoints, env, snapshots } = await setUp();
    const app = await applications.create(env, named("a", { uid: "a" }));
    assert.deepEqual(await snapshots.get(env, app.id), { application: app, endpoints: [], generation: 1 });
    const endpoint = await endpoints.create(env, app.id, at("https://a.example", { headers: { a: "b" } }));
    assert.equal(snapshots.peek(env, app.id), undefined);
    assert.deepEqual((await snapshots.get(env, app.id))?.endpoints, [endpoint]);
    assert.deepEqual(snapshots.peek(env, app.id)?.endpoints, [endpoint]);
    assert.equal(snapshots.peek(newEnvironmentId(), app.id), undefined);
    assert.equal(await snapshots.get(newEnvironmentId(), app.id), null);
    const changed = await applications.update(env, { id: app.id }, () => ({ throttleRate: 5 }));
    assert.deepEqual((await snapshots.get(env, app.id))?.application, changed);
    await applications.delete(env, { id: app.id });
    assert.equal(await snapshots.get(env, app.id), null);
  });

  test(`${name}: a snapshot is at most a second behind another process`, async () => {
    const { env, snapshots, store, clock, applications } = await setUp();
    const other = processOn(store, clock);
    const app = await other.applications.create(env, named("a"));
    assert.equal((await snapshots.get(env, app.id))?.generation, 1);
    await other.endpoints.create(env, app.id, at("https://a.example"));
    assert.equal((await snapshots.get(env, app.id))?.generation, 1);
    assert.equal((await snapshots.get(env, app.id, true))?.generation, 2);
    await other.endpoints.create(env, app.id, at("https://b.example"));
    clock.advance(1000);
    assert.equal((await snapshots.get(env, app.id))?.endpoints.length, 2);
    const unchanged = snapshots.peek(env, app.id);
    clock.advance(1000);
    assert.equal(await snapshots.get(env, app.id), unchanged);
    await other.applications.delete(env, { id: app.id });
    assert.notEqual(await snapshots.get(env, app.id), null);
    clock.advance(1000);
    assert.equal(await snapshots.get(env, app.id), null);
    assert.equal(await applications.read(env, { id: app.id }), null);
  });

  test(`${name}: that there is no such application is never remembered`, async () => {
    const { env, snapshots, store, clock } = await setUp();
    const other = processOn(store, clock);
    assert.equal(await snapshots.find(env, { uid: "late" }), null);
    const app = await other.applications.create(env, named("a", { uid: "late" }));
    assert.deepEqual((await snapshots.find(env, { uid: "late" }))?.application, app);
    assert.deepEqual(snapshots.peekBy(env, { uid: "late" })?.application, app);
  });

  test(`${name}: a uid is not found at an application that has given it up`, async () => {
    const { env, snapshots, store, clock, applications } = await setUp();
    const other = processOn(store, clock).applications;
    const first = await applications.create(env, named("1", { uid: "u" }));
    const second = await applications.create(env, named("2"));
    assert.equal((await snapshots.find(env, { uid: "u" }))?.application.id, first.id);
    await applications.update(env, { id: first.id }, () => ({ uid: null }));
    assert.equal(snapshots.peekBy(env, { uid: "u" }), undefined);
    assert.equal(await snapshots.find(env, { uid: "u" }), null);
    assert.equal((await snapshots.find(env, { id: second.id }))?.application.uid, null);
    await other.update(env, { id: second.id }, () => ({ uid: "u" }));
    assert.equal((await snapshots.find(env, { uid: "u" }))?.application.id, second.id);
  });

  test(`${name}: a snapshot is of one moment, also while the endpoints are being changed`, async () => {
    const { env, snapshots, store, clock, applications } = await setUp();
    const other = processOn(store, clock).endpoints;
    const { id } = await applications.create(env, named("a"));
    let writing = true;
    const writes = (async () => {
      for (let i = 0; i < 25; i++) await other.create(env, id, at(`https://${i}.example`));
      writing = false;
    })();
    let looks = 0;
    while (writing) {
      const snapshot = await snapshots.get(env, id, true);
      assert.equal(snapshot?.endpoints.length, (snapshot?.generation ?? 0) - 1);
      looks++;
      await new Promise(setImmediate);
    }
    await writes;
    assert.ok(looks > 0);
    assert.equal((await snapshots.get(env, id, true))?.endpoints.length, 25);
  });

  // ——— what is told ———

  test(`${name}: changes of endpoints are told to those who listen, in their commit`, async () => {
    const { env, applications, endpoints, store, clock, noted } = await setUp();
    const { id: listenerId } = await endpoints.create(env, operationsAppId(env), at("https://ops.example"));
    const app = await applications.create(env, named("a", { uid: "acme" }));
    const endpoint = await endpoints.create(env, app.id, at("https://a.example", { uid: "main" }));
    const { id } = endpoint;
    await endpoints.update(env, app.id, { id }, () => ({ description: "x" }));
    await endpoints.update(env, app.id, { id }, () => ({ headers: { a: "b" } }), true);
    await endpoints.update(env, app.id, { id }, () => ({ disabled: true, uid: null }));
    await endpoints.update(env, app.id, { id }, () => ({ disabled: false }));
    noted.failingSince = Date.UTC(2026, 0, 2);
    await endpoints.disableFailing(env, app.id, id, Date.UTC(2026, 0, 2));
    await endpoints.disableFailing(env, app.id, id, Date.UTC(2026, 0, 3));
    await endpoints.delete(env, app.id, { id });
    await endpoints.delete(env, app.id, { id });
    const ids = { appId: app.id.toUpperCase(), appUid: "acme", endpointId: id.toUpperCase() };
    const withUid = { ...ids, endpointUid: "main" };
    assert.deepEqual(await tellings(store, env), [
      { type: "endpoint.created", data: withUid },
      { type: "endpoint.updated", data: withUid },
      { type: "endpoint.updated", data: ids },
      { type: "endpoint.disabled", data: { ...ids, trigger: "manual" } },
      { type: "endpoint.updated", data: ids },
      { type: "endpoint.enabled", data: ids },
      { type: "endpoint.disabled", data: { ...ids, failSince: "2026-01-02T00:00:00.000Z", trigger: "automatic" } },
      { type: "endpoint.deleted", data: ids },
    ]);
    const due = await claimFor(store, listenerId, clock.now(), clock.now() + 1000);
    assert.equal(due.length, 8);
    assert.deepEqual(due[0]?.app, { id: operationsAppId(env), manual: false });
  });

  test(`${name}: who listens hears what it asked for, and nothing of itself`, async () => {
    const { env, applications, endpoints, store, clock, bus } = await setUp();
    const shouts: string[] = [];
    bus.onLookNow((work) => shouts.push(work));
    const ops = operationsAppId(env);
    const app = await applications.create(env, named("a"));
    // Nobody listens yet.
    await endpoints.create(env, app.id, at("https://a.example"));
    const some = await endpoints.create(env, ops, at("https://o1.example", { eventTypes: ["endpoint.deleted"] }));
    const off = await endpoints.create(env, ops, at("https://o2.example", { disabled: true }));
    const moved = await endpoints.update(env, ops, { id: some.id }, () => ({ url: "https://o3.example" }));
    assert.equal(moved?.url, "https://o3.example");
    await endpoints.disableFailing(env, ops, off.id, null);
    const { id } = await endpoints.create(env, app.id, at("https://b.example"));
    assert.deepEqual(await tellings(store, env), []);
    assert.deepEqual(shouts, []);
    await endpoints.delete(env, app.id, { id });
    assert.equal((await tellings(store, env)).length, 1);
    assert.deepEqual(shouts, ["deliveries"]);
    const due = await store.pipeline.claimDeliveries(clock.now(), 1000, clock.now() + 1);
    assert.equal(due.filter(({ providerId }) => providerId === some.id).length, 1);
    assert.equal(due.filter(({ providerId }) => providerId === off.id).length, 0);
    await endpoints.delete(env, ops, { id: some.id });
    await endpoints.delete(env, app.id, {
      id: (await endpoints.list(env, app.id, FIRST)).items[0]?.id as AppEndpointId,
    });
    assert.equal((await tellings(store, env)).length, 1);
  });

  test(`${name}: one who began to listen through another process is told of the very next change`, async () => {
    const { env, applications, endpoints, store, clock, snapshots } = await setUp();
    const app = await applications.create(env, named("a"));
    await snapshots.get(env, operationsAppId(env));
    await processOn(store, clock).endpoints.create(env, operationsAppId(env), at("https://ops.example"));
    await endpoints.create(env, app.id, at("https://a.example"));
    assert.deepEqual(
      (await tellings(store, env)).map(({ type }) => type),
      ["endpoint.created"],
    );
  });

  test(`${name}: an endpoint that is enabled again begins without a note against it`, async () => {
    const { env, applications, endpoints, cleared, noted } = await setUp();
    noted.failingSince = 1;
    const { id: appId } = await applications.create(env, named("a"));
    const { id } = await endpoints.create(env, appId, at("https://a.example"));
    await endpoints.update(env, appId, { id }, () => ({ disabled: false }));
    await endpoints.disableFailing(env, appId, id, 1);
    assert.equal((await endpoints.read(env, appId, { id }))?.disabled, true);
    assert.deepEqual(cleared, []);
    await endpoints.update(env, appId, { id }, () => ({ disabled: false }));
    assert.deepEqual(cleared, [id]);
  });

  test(`${name}: an endpoint that was reached at the last moment is not disabled`, async () => {
    const { env, applications, endpoints, noted } = await setUp();
    const { id: appId } = await applications.create(env, named("a"));
    const { id } = await endpoints.create(env, appId, at("https://a.example"));
    // Another try succeeded after the failing one had read the note; a later one has failed again.
    for (const since of [null, 2]) {
      noted.failingSince = since;
      await endpoints.disableFailing(env, appId, id, 1);
      assert.equal((await endpoints.read(env, appId, { id }))?.disabled, false);
    }
    noted.failingSince = 1;
    await endpoints.disableFailing(env, appId, id, 1);
    assert.equal((await endpoints.read(env, appId, { id }))?.disabled, true);
  });

  // ——— settings ———

  test(`${name}: settings have defaults, and none of many changes is lost`, async () => {
    const { env, settings, store, clock } = await setUp();
    const other = processOn(store, clock).settings;
    assert.equal(settings.peek(env), undefined);
    assert.deepEqual(await settings.read(env), DEFAULT_WEBHOOK_SETTINGS);
    assert.deepEqual(settings.peek(env), DEFAULT_WEBHOOK_SETTINGS);
    await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        (i % 2 ? settings : other).update(env, (old) => ({ ...old, shown: { ...old.shown, [`k${i}`]: i } })),
      ),
    );
    clock.advance(1000);
    assert.equal(Object.keys((await settings.read(env)).shown).length, 8);
    assert.equal((await other.read(env)).requireHttps, false);
    const changed = await settings.update(env, (old) => ({ ...old, requireHttps: true, retryWaitsMs: [] }));
    assert.deepEqual(await settings.read(env), changed);
    assert.equal((await other.read(env)).requireHttps, false);
    clock.advance(1000);
    assert.deepEqual(await other.read(env), changed);
    assert.deepEqual(await settings.read(newEnvironmentId()), DEFAULT_WEBHOOK_SETTINGS);
  });
});
