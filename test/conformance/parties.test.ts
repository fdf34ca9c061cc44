import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page, TenantChange } from "../../src/engine/ports.ts";
import { Refusal } from "../../src/engine/refusal.ts";
import { TENANT, type TenantBody } from "../../src/engine/templates.ts";
import { keyInTime, type PartyRef, partyKey, TENANTS, USERS } from "../../src/engine/workflow/model.ts";
import type { PartyWrite, Walk } from "../../src/engine/workflow/ports.ts";
import { deepMerge, type JsonObject } from "../../src/lib/json.ts";
import { forEachDatabase } from "./databases.ts";
import { newEnvironmentId, T0 } from "./fixtures.ts";
import { aLeg, aTrigger, claimedRuns } from "./run-fixtures.ts";

/** Ids that a careless query, pattern or array literal would trip over. */
const HOSTILE_IDS = [
  "\u0001",
  " leading",
  '"double"',
  "%_like",
  "'; drop table users; --",
  "NULL",
  "[]",
  "\\back\\slash",
  "__proto__",
  "a/b/c",
  "x".repeat(500),
  "{a,b}",
  "日本",
  "\ue000 private",
  "😀👩‍👩‍👧",
];
const UNSTORABLE_IDS = ["", "a\0b", "\ud800", "x".repeat(1025)];
const ODD_TEXTS = {
  nul: "a\0b",
  lone: "\ud800",
  emoji: "👩‍👩‍👧",
  quotes: `"'\\`,
  "ke\0y": ["", "\u2028"],
  __proto: null,
};

const user = (id: string): PartyRef => ({ collection: USERS, id });
const object = (id: string, collection = "projects"): PartyRef => ({ collection, id });

const BLANK: TenantBody = { name: "", parentId: null, brandId: null, properties: {}, userProfile: {}, extra: {} };

function aWrite(party: PartyRef, properties: JsonObject | null, documents: PartyWrite["documents"] = []): PartyWrite {
  return { party, properties, documents };
}

/** Walks to the end: away from the newest, or back to it from a key. */
async function walked<T>(read: (walk: Walk) => Promise<Page<T>>, limit: number, before?: string): Promise<T[]> {
  const items: T[] = [];
  let key: string | null = before ?? null;
  for (;;) {
    const page: Page<T> = await read(before === undefined ? { after: key, limit } : { before: key, limit });
    assert.ok(page.items.length <= limit, "a page is never longer than its limit");
    if (before === undefined) items.push(...page.items);
    else items.unshift(...page.items);
    if (page.next === null) return items;
    key = page.next;
  }
}

const isInvalid = (error: unknown): boolean => error instanceof Refusal && error.code === "invalid";

forEachDatabase((name, open) => {
  test(`${name}: tenants change with parties or not at all, one change after the other`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    const read = async () => await store.documents.read(env, TENANT, "acme");
    const saying = (text: string): TenantChange => ({
      id: "acme",
      change: (old) => ({ ...(old ?? BLANK), name: `${old?.name ?? ""}${text}` }),
    });
    const ann = { party: user("ann"), properties: { a: 1 }, documents: [] };
    const bad = { ...ann, party: user("a\0") };
    await assert.rejects(store.parties.write(env, [ann, bad], T0, [saying("a")]), Refusal);
    assert.equal(await read(), null);
    await store.parties.write(env, [ann], T0, [saying("a"), saying("b"), { id: "none", change: () => null }]);
    assert.deepEqual(await read(), {
      kind: TENANT,
      id: "acme",
      body: { ...BLANK, name: "ab" },
      version: 1,
      createdAt: T0,
      updatedAt: T0,
    });
    const many = Array.from({ length: 20 }, () => store.parties.write(env, [], T0 + 1, [saying("c")]));
    const fresh = Array.from({ length: 20 }, () => {
      const change = { ...saying("d"), id: "fresh" };
      return store.parties.write(env, [], T0, [change]);
    });
    await Promise.all([...many, ...fresh]);
    const after = await read();
    assert.deepEqual([after?.body.name, after?.version, after?.updatedAt], [`ab${"c".repeat(20)}`, 21, T0 + 1]);
    assert.equal((await store.documents.read(env, TENANT, "fresh"))?.body.name, "d".repeat(20));
    assert.equal(await store.documents.read(env, TENANT, "none"), null);
  });

  test(`${name}: facts of parties of all kinds come in the order asked for, the unknown ones empty`, async () => {
    const { parties, directory } = await open();
    const env = newEnvironmentId();
    await directory.modifyUser(env, "ann", T0, () => ({ name: "Ann" }));
    await parties.write(env, [aWrite(object("p1"), { name: "One" })], T0 + 1);
    await parties.modifyDocument(env, user("ann"), "channel", "c2", T0 + 2, () => ({ tokens: ["t"] }));
    await parties.modifyDocument(env, user("ann"), "channel", "c1", T0 + 3, () => ({ tokens: [] }));
    await parties.modifyDocument(env, user("bob"), "preferences", "default", T0 + 4, () => ({ a: 1 }));
    await parties.modifyDocument(env, { collection: TENANTS, id: "acme" }, "channel", "c1", T0, () => ({ b: 1 }));

    const asked = [
      user("bob"),
      object("p1"),
      user("ann"),
      { collection: TENANTS, id: "acme" },
      object("ann"),
      user("ann"),
    ];
    const facts = await parties.facts(env, asked);
    assert.deepEqual(
      facts.map(({ party }) => party),
      asked,
    );
    const [bob, p1, ann, acme, none, again] = facts;
    assert.deepEqual([bob?.properties, bob?.documents.length, bob?.createdAt], [null, 1, null]);
    assert.deepEqual(p1, {
      party: object("p1"),
      properties: { name: "One" },
      createdAt: T0 + 1,
      updatedAt: T0 + 1,
      documents: [],
    });
    assert.deepEqual(ann?.properties, { name: "Ann" });
    assert.deepEqual(ann?.documents, [
      { party: user("ann"), kind: "channel", name: "c1", body: { tokens: [] }, createdAt: T0 + 3, updatedAt: T0 + 3 },
      {
        party: user("ann"),
        kind: "channel",
        name: "c2",
        body: { tokens: ["t"] },
        createdAt: T0 + 2,
        updatedAt: T0 + 2,
      },
    ]);
    assert.deepEqual([acme?.properties, acme?.documents.length], [null, 1]);
    assert.deepEqual(none, { party: object("ann"), properties: null, createdAt: null, updatedAt: null, documents: [] });
    assert.deepEqual(again, ann);
    assert.deepEqual(await parties.facts(env, []), []);
    assert.equal(
      (await parties.facts(newEnvironmentId(), [user("ann")]))[0]?.properties,
      null,
      "another environment's",
    );
  });

  test(`${name}: nobody is known under an id that cannot be stored, and nobody else suffers from it`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    await parties.write(env, [aWrite(user("ann"), { name: "Ann" })], T0);
    const facts = await parties.facts(env, [...UNSTORABLE_IDS.map(user), user("ann"), object("\0")]);
    assert.deepEqual(
      facts.map(({ properties }) => properties),
      [null, null, null, null, { name: "Ann" }, null],
    );
  });

  test(`${name}: refuses to write what cannot be stored under its name, and writes nothing`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    const bad = [
      ...UNSTORABLE_IDS.flatMap((id) => [user(id), object(id)]),
      ...["", "a/b", "a\0", "\ud800", "c".repeat(1000)].map((collection) => object("id".repeat(20), collection)),
    ];
    for (const party of bad) {
      const writes = [aWrite(user("ann"), { name: "Ann" }), aWrite(party, {})];
      await assert.rejects(parties.write(env, writes, T0), isInvalid, JSON.stringify(party));
      await assert.rejects(parties.delete(env, [party]), isInvalid);
      await assert.rejects(
        parties.modifyDocument(env, party, "channel", "c", T0, () => ({})),
        isInvalid,
      );
    }
    const nameless = aWrite(user("ann"), {}, [{ kind: "channel", name: "\0", body: {} }]);
    await assert.rejects(parties.write(env, [nameless], T0), isInvalid);
    await assert.rejects(parties.write(env, [aWrite({ collection: TENANTS, id: "acme" }, {})], T0), isInvalid);
    assert.equal((await parties.facts(env, [user("ann")]))[0]?.properties, null);
  });

  test(`${name}: merges deeply and in order, the same party twice included`, async () => {
    const { parties, directory } = await open();
    const env = newEnvironmentId();
    const first = await parties.write(
      env,
      [
        aWrite(user("ann"), { a: { x: 1, y: [1, 2] }, b: 1 }),
        aWrite(object("p"), { n: 1 }),
        aWrite(user("ann"), { a: { x: null, z: 3 }, b: { c: 1 } }),
        aWrite(user("ann"), null),
      ],
      T0,
    );
    const merged = { a: { x: null, y: [1, 2], z: 3 }, b: { c: 1 } };
    assert.deepEqual(
      first.map(({ properties }) => properties),
      [merged, { n: 1 }, merged, merged],
      "each as it is afterwards",
    );
    const [second] = await parties.write(env, [aWrite(user("ann"), { a: { y: [] } })], T0 + 5);
    assert.deepEqual(second?.properties, { ...merged, a: { ...merged.a, y: [] } });
    assert.deepEqual([second?.createdAt, second?.updatedAt], [T0, T0 + 5]);
    assert.deepEqual(
      (await directory.readUser(env, "ann"))?.profile,
      second?.properties,
      "it is the user of the directory",
    );
  });

  test(`${name}: properties that are null make nobody, empty ones do`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    const body = { tokens: ["t"] };
    const facts = await parties.write(
      env,
      [aWrite(user("ann"), null, [{ kind: "channel", name: "c", body }]), aWrite(user("bob"), {})],
      T0,
    );
    assert.deepEqual(
      facts.map(({ properties, documents }) => [properties, documents.map((d) => d.body)]),
      [
        [null, [body]],
        [{}, []],
      ],
    );
    assert.deepEqual(
      (await parties.users(env, { limit: 5 })).items.map(({ id }) => id),
      ["bob"],
    );
  });

  test(`${name}: documents are replaced, made of what is there, and deleted, in order`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    const written = async (at: number, ...documents: PartyWrite["documents"]) => {
      const [facts] = await parties.write(env, [aWrite(user("ann"), null, documents)], at);
      return facts?.documents.map((d) => [d.kind, d.name, d.body, d.createdAt, d.updatedAt]);
    };
    const add = (over: JsonObject) => (old: JsonObject | null) => deepMerge(old ?? {}, over);
    assert.deepEqual(
      await written(
        T0,
        { kind: "preferences", name: "default", body: { a: 1 } },
        { kind: "channel", name: "c", body: add({ n: 1 }) },
        { kind: "preferences", name: "default", body: add({ b: 2 }) },
        { kind: "preferences", name: "gone", body: { a: 1 } },
        { kind: "preferences", name: "gone", body: null },
        { kind: "preferences", name: "never", body: (old) => old },
      ),
      [
        ["channel", "c", { n: 1 }, T0, T0],
        ["preferences", "default", { a: 1, b: 2 }, T0, T0],
      ],
    );
    assert.deepEqual(
      await written(
        T0 + 1,
        { kind: "preferences", name: "default", body: { c: 3 } },
        { kind: "channel", name: "c", body: () => null },
      ),
      [["preferences", "default", { c: 3 }, T0, T0 + 1]],
    );
    assert.deepEqual(await written(T0 + 2, { kind: "preferences", name: "default", body: null }), []);
  });

  test(`${name}: reads and changes one document`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    const [ann, p] = [user("ann"), object("p")];
    assert.equal(await parties.document(env, ann, "channel", "c"), null);
    const seen: (JsonObject | null)[] = [];
    const modify = (next: JsonObject | null) => (old: JsonObject | null) => {
      seen.push(old);
      return next;
    };
    const made = await parties.modifyDocument(env, ann, "channel", "c", T0, modify(ODD_TEXTS));
    assert.deepEqual(made, { party: ann, kind: "channel", name: "c", body: ODD_TEXTS, createdAt: T0, updatedAt: T0 });
    assert.deepEqual(await parties.document(env, ann, "channel", "c"), made);
    await parties.modifyDocument(env, p, "channel", "c", T0, modify({}));
    await parties.modifyDocument(env, ann, "preferences", "c", T0, modify({}));
    await parties.modifyDocument(env, ann, "channel", "b", T0, modify({ b: 1 }));
    assert.deepEqual(
      (await parties.documents(env, ann, "channel")).map((d) => d.name),
      ["b", "c"],
    );
    assert.equal(await parties.modifyDocument(env, ann, "channel", "c", T0 + 1, modify(null)), null);
    assert.equal(await parties.modifyDocument(env, ann, "channel", "c", T0 + 1, modify(null)), null);
    assert.deepEqual(seen, [null, null, null, null, ODD_TEXTS, null]);
    assert.deepEqual(await parties.documents(newEnvironmentId(), ann, "channel"), []);
    const boom = new Error("boom");
    await assert.rejects(
      parties.modifyDocument(env, ann, "channel", "b", T0, () => {
        throw boom;
      }),
      boom,
    );
    assert.deepEqual((await parties.document(env, ann, "channel", "b"))?.body, { b: 1 });
  });

  test(`${name}: nothing that writers at the same time write is lost`, async () => {
    const { parties, directory } = await open();
    const env = newEnvironmentId();
    const fields = Array.from({ length: 12 }, (_, i) => `f${i}`);
    const three = (field: string, i: number) => {
      const writes = [user("ann"), object("p"), user("bob")].map((party) =>
        aWrite(party, { [field]: { v: i } }, [
          { kind: "preferences", name: "default", body: (old) => ({ ...old, [field]: i }) },
          { kind: "channel", name: "c", body: i % 3 === 0 ? null : { i } },
        ]),
      );
      // Some the other way around: no order of locking but one may come of it.
      return i % 2 === 0 ? writes : writes.reverse();
    };
    await Promise.all([
      ...fields.map((field, i) => parties.write(env, three(field, i), T0)),
      ...fields.map((field, i) =>
        parties.modifyDocument(env, user("ann"), "preferences", "default", T0, (old) => ({ ...old, [`${field}m`]: i })),
      ),
      ...fields.map((field, i) => directory.modifyUser(env, "ann", T0, (old) => ({ ...old, [`${field}u`]: i }))),
    ]);
    const [ann, p, bob] = await parties.facts(env, [user("ann"), object("p"), user("bob")]);
    const sorted = (o: JsonObject | null | undefined): string[] => Object.keys(o ?? {}).sort();
    assert.deepEqual(sorted(ann?.properties), [...fields, ...fields.map((f) => `${f}u`)].sort());
    assert.deepEqual(sorted(p?.properties), [...fields].sort());
    assert.deepEqual(sorted(bob?.properties), [...fields].sort());
    const preferences = ann?.documents.find((d) => d.kind === "preferences")?.body;
    assert.deepEqual(sorted(preferences), [...fields, ...fields.map((f) => `${f}m`)].sort());
  });

  test(`${name}: writing and deleting the same parties at once neither fails nor hangs`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    const all = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? user(`u${i}`) : object(`o${i}`)));
    const body = (old: JsonObject | null): JsonObject => ({ n: ((old?.n as number | undefined) ?? 0) + 1 });
    const writes = all.map((party) => aWrite(party, { a: 1 }, [{ kind: "channel", name: "c", body }]));
    for (let round = 0; round < 4; round++) {
      const [facts] = await Promise.all([
        parties.write(env, writes, T0),
        parties.delete(env, [...all].reverse()),
        parties.write(env, [...writes].reverse(), T0),
        parties.delete(env, all),
      ]);
      assert.ok(facts.every(({ properties, documents }) => properties?.a === 1 && documents.length === 1));
    }
  });

  test(`${name}: takes odd ids and odd texts as they are`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    const all = HOSTILE_IDS.flatMap((id) => [user(id), object(id), object("id", `c ${id.replaceAll("/", "|")}`)]);
    const written = await parties.write(
      env,
      all.map((party) =>
        aWrite(party, { key: partyKey(party), ...ODD_TEXTS }, [{ kind: "channel", name: party.id, body: ODD_TEXTS }]),
      ),
      T0,
    );
    for (const [i, party] of all.entries()) {
      assert.deepEqual(written[i]?.party, party);
      assert.deepEqual(written[i]?.properties, { key: partyKey(party), ...ODD_TEXTS });
      assert.deepEqual(written[i]?.documents[0]?.body, ODD_TEXTS);
      assert.equal((await parties.document(env, party, "channel", party.id))?.name, party.id);
    }
    assert.deepEqual(
      await parties.delete(env, all),
      all.map(() => true),
    );
    assert.ok((await parties.facts(env, all)).every((f) => f.properties === null && f.documents.length === 0));
  });

  test(`${name}: properties that are nested too deeply are refused, not a crash`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    let deep: JsonObject = {};
    for (let i = 0; i < 50_000; i++) deep = { a: deep };
    const write = () => parties.write(env, [aWrite(user("ann"), deep)], T0);
    await assert.rejects(async () => {
      await write();
      // Only now do two deep ones have to be merged.
      await write();
    }, isInvalid);
    const [ann] = await parties.facts(env, [user("ann")]);
    assert.equal(typeof ann?.properties?.a, "object");
  });

  test(`${name}: an update of a leg that cannot be written is left out, and holds up neither its leg nor others`, async () => {
    const store = await open();
    const env = newEnvironmentId();
    let deep: JsonObject = {};
    for (let i = 0; i < 50_000; i++) deep = { a: deep };
    const update = (party: PartyRef, properties: JsonObject) => ({ party, properties });
    const updates = [
      ...[...UNSTORABLE_IDS.map(user), { collection: TENANTS, id: "acme" }].map((party) => update(party, { x: 1 })),
      update(user("ann"), { a: deep }),
      update(user("ann"), { a: deep }),
      update(user("ann"), { b: 1 }),
    ];
    const [first, second] = await claimedRuns(store, [aTrigger(env), aTrigger(env)], T0 + 1000);
    assert.ok(first && second);
    const legs = [aLeg(first, { updates }), aLeg(second, { updates: [update(object("p"), { c: 1 })] })];
    assert.deepEqual(await store.runs.commit(legs, T0 + 1000), ["written", "written"]);
    const [ann, p] = await store.parties.facts(env, [user("ann"), object("p")]);
    assert.deepEqual([ann?.properties?.b, p?.properties], [1, { c: 1 }]);
    assert.deepEqual(
      (await store.parties.users(env, { limit: 5 })).items.map(({ id }) => id),
      ["ann"],
    );
  });

  test(`${name}: a thousand parties in one call`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    const all = Array.from({ length: 1000 }, (_, i) => (i % 2 === 0 ? user(`u${i}`) : object(`o${i}`)));
    const body = { tokens: ["x".repeat(100)] };
    const written = await parties.write(
      env,
      all.map((party, i) => aWrite(party, { i }, [{ kind: "channel", name: "c", body }])),
      T0,
    );
    assert.deepEqual(
      written.map(({ properties }) => properties?.i),
      all.map((_, i) => i),
    );
    assert.deepEqual(await parties.facts(env, all), written);
    assert.ok((await parties.delete(env, all)).every((was) => was));
    assert.ok((await parties.delete(env, all)).every((was) => !was));
  });

  test(`${name}: users are listed newest first, those of one moment each once, both ways`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    // Written in groups of one moment; the order within is that of ids, downwards.
    const groups = [["b", "a", "😀", "\uffff"], ["z"], ["c", "e", "d"]];
    for (const [i, ids] of groups.entries()) {
      await parties.write(
        env,
        ids.map((id) => aWrite(user(id), {})),
        T0 + i,
      );
    }
    const newest = ["e", "d", "c", "z", "😀", "\uffff", "b", "a"];
    for (const limit of [1, 2, 3, 7, 8, 9]) {
      const found = await walked((walk) => parties.users(env, walk), limit);
      assert.deepEqual(
        found.map(({ id }) => id),
        newest,
        `limit ${limit}`,
      );
      const last = found.at(-1) as (typeof found)[0];
      const back = await walked((walk) => parties.users(env, walk), limit, keyInTime(last.createdAt, last.id));
      assert.deepEqual(
        back.map(({ id }) => id),
        newest.slice(0, -1),
        `back, limit ${limit}`,
      );
    }
    const near = await parties.users(env, { before: keyInTime(T0, "b"), limit: 2 });
    assert.deepEqual(
      near.items.map(({ id }) => id),
      ["😀", "\uffff"],
      "the page before a key is the one next to it",
    );
    const between = await parties.users(env, { after: keyInTime(T0 + 2, "c"), before: keyInTime(T0, "a"), limit: 10 });
    assert.deepEqual(
      [between.items.map(({ id }) => id), between.next],
      [["z", "😀", "\uffff", "b"], null],
      "with both keys, what lies between them",
    );
  });

  test(`${name}: a walk neither repeats nor misses anyone when people come, change and go`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    for (let i = 0; i < 6; i++) await parties.write(env, [aWrite(user(`u${i}`), {})], T0 + i);
    const first = await parties.users(env, { limit: 3 });
    await parties.write(env, [aWrite(user("new"), {}), aWrite(user("u1"), { changed: true })], T0 + 100);
    await parties.delete(env, [user("u3")]);
    const rest = await parties.users(env, { after: first.next, limit: 10 });
    assert.deepEqual(
      [...first.items, ...rest.items].map(({ id }) => id),
      ["u5", "u4", "u3", "u2", "u1", "u0"],
    );
  });

  test(`${name}: what is no key of a page is refused`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    for (const key of [
      "",
      "ann",
      "[]",
      "[1]",
      '["1","a"]',
      "[1.5,1]",
      '[1,"a","b"]',
      "{}",
      "null",
      '[1,"\\u0000"]',
      '[1e99,"a"]',
    ]) {
      await assert.rejects(parties.users(env, { after: key, limit: 1 }), isInvalid, key);
      await assert.rejects(parties.objects(env, "projects", { before: key, limit: 1 }), isInvalid, key);
    }
  });

  test(`${name}: objects are listed by collection, users never among them`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    await parties.write(
      env,
      [
        ...Array.from({ length: 25 }, (_, i) => aWrite(object(`p${String(i).padStart(2, "0")}`), { i })),
        aWrite(object("other", "teams"), {}),
        aWrite(user("ann"), {}),
      ],
      T0,
    );
    const found = await walked((walk) => parties.objects(env, "projects", walk), 10);
    assert.deepEqual(
      found.map(({ properties }) => properties.i),
      Array.from({ length: 25 }, (_, i) => 24 - i),
    );
    const third = found[2] as (typeof found)[0];
    const back = await parties.objects(env, "projects", { before: keyInTime(third.createdAt, third.id), limit: 5 });
    assert.deepEqual(
      [back.items.map(({ id }) => id), back.next],
      [["p24", "p23"], null],
      "nothing is ahead of the newest",
    );
    assert.deepEqual((await parties.objects(env, USERS, { limit: 5 })).items, []);
    assert.deepEqual((await parties.objects(newEnvironmentId(), "projects", { limit: 5 })).items, []);
  });

  test(`${name}: deleting takes along what hangs on a party, and leaves the rest`, async () => {
    const { parties, directory } = await open();
    const env = newEnvironmentId();
    const [ann, bob, p, q] = [user("ann"), user("bob"), object("p"), object("q")];
    const documents = [{ kind: "channel", name: "c", body: {} }] as const;
    await parties.write(
      env,
      [ann, bob, p, q].map((party) => aWrite(party, {}, documents)),
      T0,
    );
    const pair = (object: PartyRef, recipient: PartyRef) => ({ object, recipient, properties: null });
    await parties.subscribe(env, [pair(p, ann), pair(p, bob), pair(q, ann), pair(q, bob), pair(q, p)], T0);
    await parties.putMembers(
      env,
      "vip",
      [
        { userId: "ann", tenantId: null },
        { userId: "bob", tenantId: "t" },
      ],
      T0,
    );
    const token = { token: "t1", userId: "ann", provider: "fcm", state: "active" } as const;
    const rest = { stateReason: null, expiresAt: null, device: null, properties: null, tracking: null };
    await directory.putTokens(env, [{ ...token, ...rest, createdAt: T0, updatedAt: T0 }]);

    assert.deepEqual(await parties.delete(env, [p, user("nobody"), ann, p]), [true, false, true, true]);
    assert.deepEqual(
      (await parties.facts(env, [ann, bob, p, q])).map((f) => [f.properties !== null, f.documents.length]),
      [
        [false, 0],
        [true, 1],
        [false, 0],
        [true, 1],
      ],
    );
    assert.deepEqual((await parties.subscriptions(env, { object: p }, { limit: 9 })).items, []);
    assert.deepEqual(
      (await parties.subscriptions(env, { object: q }, { limit: 9 })).items.map((s) => s.recipient),
      [bob],
    );
    assert.deepEqual(
      (await parties.members(env, "vip", { limit: 9 })).items.map((m) => m.userId),
      ["bob"],
    );
    assert.equal((await directory.tokens(env, "ann")).length, 1, "device tokens stay");
    assert.deepEqual(await parties.delete(newEnvironmentId(), [bob, q]), [false, false], "another environment's");
    assert.deepEqual(await parties.delete(env, []), []);
  });

  test(`${name}: keeps bulk operations, and sweeps them after a week`, async () => {
    const { parties, housekeeping } = await open();
    const env = newEnvironmentId();
    const day = 86_400_000;
    const operation = { id: "op-1", body: { status: "queued", odd: "\0" }, createdAt: T0 };
    await parties.putBulkOperation(env, operation);
    await parties.putBulkOperation(env, { ...operation, id: "op-2", createdAt: T0 + day });
    await parties.putBulkOperation(env, { ...operation, body: { status: "completed" } });
    assert.deepEqual(await parties.bulkOperation(env, "op-1"), { ...operation, body: { status: "completed" } });
    assert.equal(await parties.bulkOperation(newEnvironmentId(), "op-1"), null);
    const retention = { capturedMs: null, inboxMs: null, messagesMs: null };
    while ((await housekeeping.sweep(T0 + 7.5 * day, retention, 100)) > 0);
    assert.equal(await parties.bulkOperation(env, "op-1"), null);
    assert.equal((await parties.bulkOperation(env, "op-2"))?.id, "op-2");
  });
});
