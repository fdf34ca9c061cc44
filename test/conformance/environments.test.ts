import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import type { ApiKey, Environment, EnvironmentId } from "../../src/engine/model.ts";
import { Refusal, type RefusalCode } from "../../src/engine/refusal.ts";
import { newId } from "../../src/lib/ids.ts";
import { forEachDatabase } from "./databases.ts";

const AT = Date.UTC(2026, 0, 5, 12);

function environment(name: string): Environment {
  return {
    id: newId("env", AT),
    name,
    signingSecret: "c2VjcmV0",
    publicKey: "cHVibGlj",
    appCode: "ABCDE-12345",
    feedId: "6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
    createdAt: AT,
  };
}

function key(environmentId: EnvironmentId, more: Partial<ApiKey> = {}): ApiKey {
  const id = newId("key", AT);
  return {
    id,
    environmentId,
    mode: "published",
    hash: createHash("sha256").update(id).digest("hex"),
    hint: "a1b2",
    createdAt: AT,
    revokedAt: null,
    ...more,
  };
}

const refusedAs =
  (code: RefusalCode) =>
  (error: unknown): boolean =>
    error instanceof Refusal && error.code === code;

forEachDatabase((name, open) => {
  const store = async () => (await open()).environments;

  test(`${name}: an environment is created with its keys and read back`, async () => {
    const environments = await store();
    const made = environment("Zoë's 😀");
    const keys = [key(made.id), key(made.id, { mode: "mock" }), key(made.id, { mode: "draft" })];
    await environments.create(made, keys);
    assert.deepEqual(
      (await environments.environments()).find(({ id }) => id === made.id),
      made,
    );
    assert.deepEqual(await environments.keys(made.id), keys);
    for (const one of keys) assert.deepEqual(await environments.findKey(one.hash), one);
    assert.equal(await environments.findKey("unknown"), null);
  });

  test(`${name}: environments are listed oldest first`, async () => {
    const environments = await store();
    const [older, newer] = [environment("older"), environment("newer")];
    await environments.create({ ...newer, createdAt: AT - 1 }, []);
    await environments.create({ ...older, createdAt: AT - 2 }, []);
    const ids = (await environments.environments()).map(({ id }) => id);
    assert.ok(ids.indexOf(older.id) < ids.indexOf(newer.id));
  });

  test(`${name}: of processes that create the same environment at once one succeeds, the others hear of it`, async () => {
    const environments = await store();
    const made = environment("first");
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) => environments.create({ ...made, name: `${i}` }, [key(made.id)])),
    );
    const winner = results.findIndex(({ status }) => status === "fulfilled");
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
    for (const result of results) if (result.status === "rejected") assert.ok(refusedAs("conflict")(result.reason));
    assert.equal((await environments.environments()).find(({ id }) => id === made.id)?.name, `${winner}`);
    assert.equal((await environments.keys(made.id)).length, 1);
  });

  test(`${name}: an environment whose key is taken is not created`, async () => {
    const environments = await store();
    const [first, second] = [environment("first"), environment("second")];
    const taken = key(first.id);
    await environments.create(first, [taken]);
    const stolen = key(second.id, { hash: taken.hash });
    await assert.rejects(environments.create(second, [key(second.id), stolen]), refusedAs("conflict"));
    assert.ok(!(await environments.environments()).some(({ id }) => id === second.id));
    assert.deepEqual(await environments.keys(second.id), []);
    await assert.rejects(environments.addKey(stolen), refusedAs("conflict"));
    assert.equal((await environments.findKey(taken.hash))?.environmentId, first.id);
  });

  test(`${name}: an environment is changed, and only that one`, async () => {
    const environments = await store();
    const [one, other] = [environment("one"), environment("other")];
    await environments.create(one, []);
    await environments.create(other, []);
    const changed = { ...one, name: "changed", signingSecret: "bmV3", publicKey: "p", appCode: "c", feedId: "f" };
    await environments.update(changed);
    const found = await environments.environments();
    assert.deepEqual(
      found.find(({ id }) => id === one.id),
      changed,
    );
    assert.deepEqual(
      found.find(({ id }) => id === other.id),
      other,
    );
    await assert.rejects(environments.update(environment("unknown")), refusedAs("not_found"));
  });

  test(`${name}: a key is revoked once, by its own environment only, and can still be found`, async () => {
    const environments = await store();
    const [here, there] = [environment("here"), environment("there")];
    await environments.create(here, []);
    await environments.create(there, []);
    const mine = key(here.id);
    await environments.addKey(mine);
    assert.equal(await environments.revokeKey(there.id, mine.id, AT + 1), false);
    assert.equal((await environments.findKey(mine.hash))?.revokedAt, null);
    assert.equal(await environments.revokeKey(here.id, mine.id, AT + 1), true);
    assert.equal(await environments.revokeKey(here.id, mine.id, AT + 2), true);
    assert.equal((await environments.findKey(mine.hash))?.revokedAt, AT + 1);
    assert.equal(await environments.revokeKey(here.id, newId("key", AT), AT), false);
    await assert.rejects(environments.addKey(key(there.id, { hash: mine.hash })), refusedAs("conflict"));
    await environments.addKey(key(here.id, { hash: mine.hash }));
    assert.deepEqual(await environments.findKey(mine.hash), mine, "added again, it is valid again");
    assert.deepEqual(await environments.keys(there.id), []);
  });
});
