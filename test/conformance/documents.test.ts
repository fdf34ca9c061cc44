import assert from "node:assert/strict";
import { test } from "node:test";
import type { EnvironmentId } from "../../src/engine/model.ts";
import type { DocumentStore, DocumentWrite } from "../../src/engine/ports.ts";
import { Refusal } from "../../src/engine/refusal.ts";
import { newId } from "../../src/lib/ids.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import { forEachDatabase } from "./databases.ts";

const AT = Date.UTC(2026, 0, 5, 12);

function newEnvironment(): EnvironmentId {
  return newId("env", AT);
}

function write(id: string, body: JsonObject | null, expect: DocumentWrite["expect"], kind = "brand"): DocumentWrite {
  return { kind, id, body, expect };
}

const isInvalid = (error: unknown): boolean => error instanceof Refusal && error.code === "invalid";

forEachDatabase((name, open) => {
  const store = async (): Promise<DocumentStore> => (await open()).documents;

  test(`${name}: a document is read back as it was written, with its version and times`, async () => {
    const documents = await store();
    const env = newEnvironment();
    const body = JSON.parse('{"__proto__":{"a":1},"nul":"\\u0000","lone":"\\udfff","n":[1.5,null]}') as JsonObject;
    assert.equal(await documents.read(env, "brand", "b"), null);
    assert.deepEqual(await documents.write(env, [write("b", body, "absent")], AT), [1]);
    assert.deepEqual(await documents.write(env, [write("b", body, 1)], AT + 5), [2]);
    assert.deepEqual(await documents.read(env, "brand", "b"), {
      kind: "brand",
      id: "b",
      body,
      version: 2,
      createdAt: AT,
      updatedAt: AT + 5,
    });
    assert.equal(await documents.read(env, "template", "b"), null);
  });

  test(`${name}: nothing is written when one document is not as expected`, async () => {
    const documents = await store();
    const env = newEnvironment();
    await documents.write(env, [write("a", { n: 0 }, "any"), write("b", { n: 0 }, "any")], AT);
    const wrong: DocumentWrite[] = [
      write("b", { n: 2 }, 2),
      write("b", { n: 2 }, "absent"),
      write("missing", { n: 2 }, 1),
      write("b", null, 7),
      write("missing", null, 1),
      write("b", null, "absent"),
    ];
    for (const one of wrong) {
      const all = [write("a", { n: 1 }, 1), write("new", {}, "absent"), one, write("z", {}, "any")];
      assert.equal(await documents.write(env, all, AT), null);
    }
    assert.deepEqual(
      (await documents.list(env, "brand", { limit: 9 })).items.map((d) => [d.id, d.version, d.body]),
      [
        ["a", 1, { n: 0 }],
        ["b", 1, { n: 0 }],
      ],
    );
  });

  test(`${name}: versions come back in the order of the writes, 0 for what is deleted`, async () => {
    const documents = await store();
    const env = newEnvironment();
    await documents.write(env, [write("m", {}, "any")], AT);
    assert.deepEqual(
      await documents.write(
        env,
        [
          write("z", {}, "absent"),
          write("m", { n: 1 }, 1),
          write("a", null, "any"),
          write("b", null, "absent"),
          write("c", {}, "any"),
        ],
        AT,
      ),
      [1, 2, 0, 0, 1],
    );
    assert.deepEqual(await documents.write(env, [write("z", null, 1), write("m", null, "any")], AT), [0, 0]);
    assert.deepEqual(
      (await documents.list(env, "brand", { limit: 9 })).items.map((d) => d.id),
      ["c"],
    );
    assert.deepEqual(await documents.write(env, [], AT), []);
  });

  test(`${name}: several writes of one document are compared with what was there before and applied in order`, async () => {
    const documents = await store();
    const env = newEnvironment();
    assert.deepEqual(
      await documents.write(env, [write("a", { n: 1 }, "absent"), write("a", { n: 2 }, "absent")], AT),
      [1, 2],
    );
    assert.deepEqual(await documents.write(env, [write("a", null, 2), write("a", { n: 3 }, 2)], AT), [0, 1]);
    assert.deepEqual((await documents.read(env, "brand", "a"))?.body, { n: 3 });
  });

  test(`${name}: of writers that expect the same version one succeeds`, async () => {
    const documents = await store();
    const env = newEnvironment();
    for (const expect of ["absent", 1] as const) {
      const results = await Promise.all(
        Array.from({ length: 40 }, (_, i) => documents.write(env, [write("one", { i }, expect)], AT)),
      );
      assert.equal(results.filter((versions) => versions !== null).length, 1);
      const winner = results.findIndex((versions) => versions !== null);
      assert.deepEqual((await documents.read(env, "brand", "one"))?.body, { i: winner });
    }
  });

  test(`${name}: no write is lost when all read again and retry`, async () => {
    const documents = await store();
    const env = newEnvironment();
    const add = async (): Promise<void> => {
      for (;;) {
        const [one, two] = await documents.readMany(env, [
          { kind: "n", id: "1" },
          { kind: "n", id: "2" },
        ]);
        const next = { n: ((one?.body.n as number | undefined) ?? 0) + 1 };
        const writes = [
          write("1", next, one?.version ?? "absent", "n"),
          write("2", next, two?.version ?? "absent", "n"),
        ];
        if (next.n % 2 === 0) writes.reverse();
        if ((await documents.write(env, writes, AT)) !== null) return;
      }
    };
    await Promise.all(Array.from({ length: 12 }, add));
    for (const id of ["1", "2"]) {
      const document = await documents.read(env, "n", id);
      assert.deepEqual([document?.body.n, document?.version], [12, 12]);
    }
  });

  test(`${name}: writers of the same documents in different orders do not stand still`, async () => {
    const documents = await store();
    const env = newEnvironment();
    const ids = ["a", "b", "c", "d"];
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) => {
        const order = i % 2 === 0 ? ids : ids.toReversed();
        return documents.write(
          env,
          order.map((id) => write(id, i % 5 === 4 ? null : { i }, "any")),
          AT,
        );
      }),
    );
    assert.ok(results.every((versions) => versions !== null));
    await documents.write(
      env,
      ids.map((id) => write(id, { end: true }, "any")),
      AT,
    );
    assert.equal((await documents.list(env, "brand", { limit: 9 })).items.length, 4);
  });

  test(`${name}: many are read at once, in the order asked for, absent ones as null`, async () => {
    const documents = await store();
    const env = newEnvironment();
    await documents.write(env, [write("x", { n: 1 }, "any", "one"), write('"{,}\\', { n: 2 }, "any", "two")], AT);
    const keys = [
      { kind: "two", id: '"{,}\\' },
      { kind: "one", id: '"{,}\\' },
      { kind: "one", id: "x" },
      { kind: "one", id: "x" },
    ];
    assert.deepEqual(
      (await documents.readMany(env, keys)).map((document) => document?.body ?? null),
      [{ n: 2 }, null, { n: 1 }, { n: 1 }],
    );
    assert.deepEqual(await documents.readMany(env, []), []);
  });

  test(`${name}: documents of a kind are listed by id, both ways, in pages`, async () => {
    const documents = await store();
    const env = newEnvironment();
    const ids = ["'", "10", "9", "A", "a", "a b/c@d#ü", "é", "\ue000", "😀"];
    await documents.write(env, [...ids.map((id) => write(id, {}, "any")), write("other", {}, "any", "other")], AT);
    for (const newestFirst of [false, true]) {
      for (const limit of [1, 4, 9, 20]) {
        const found: string[] = [];
        let after: string | null = null;
        do {
          const page: { items: readonly { id: string }[]; next: string | null } = await documents.list(env, "brand", {
            after,
            limit,
            newestFirst,
          });
          found.push(...page.items.map((d) => d.id));
          after = page.next;
        } while (after !== null);
        assert.deepEqual(found, newestFirst ? ids.toReversed() : ids);
      }
    }
  });

  test(`${name}: ids that cannot be stored are refused, and nothing is written`, async () => {
    const documents = await store();
    const env = newEnvironment();
    for (const id of ["", "a\0", "\ud800", "é".repeat(1300)]) {
      await assert.rejects(documents.write(env, [write("ok", {}, "any"), write(id, {}, "any")], AT), isInvalid);
    }
    await assert.rejects(documents.read(env, "brand", "a\0"), isInvalid);
    assert.deepEqual((await documents.list(env, "brand", { limit: 5 })).items, []);
  });

  test(`${name}: environments with the same ids never see each other`, async () => {
    const documents = await store();
    const [here, there] = [newEnvironment(), newEnvironment()];
    await documents.write(here, [write("a", { where: "here" }, "absent")], AT);
    assert.deepEqual(await documents.write(there, [write("a", { where: "there" }, "absent")], AT), [1]);
    await documents.write(there, [write("a", { where: "still there" }, 1)], AT);
    assert.deepEqual((await documents.read(here, "brand", "a"))?.body, { where: "here" });
    assert.deepEqual(
      (await documents.readMany(here, [{ kind: "brand", id: "a" }])).map((d) => d?.version),
      [1],
    );
    await documents.write(there, [write("a", null, "any")], AT);
    assert.equal((await documents.list(here, "brand", { limit: 5 })).items.length, 1);
    assert.equal((await documents.list(there, "brand", { limit: 5 })).items.length, 0);
  });
});
