import assert from "node:assert/strict";
import { test } from "node:test";
import type { EnvironmentId } from "../../src/engine/model.ts";
import type { IdempotencyStore, StoredAnswer } from "../../src/engine/ports.ts";
import { Refusal } from "../../src/engine/refusal.ts";
import { newId } from "../../src/lib/ids.ts";
import { forEachDatabase } from "./databases.ts";

const AT = Date.UTC(2026, 0, 5, 12);
const HOUR = 3_600_000;
const ABANDONED_AFTER_MS = 60_000;
const ANSWER: StoredAnswer = { status: 202, body: '{"requestId":"1-é😀"}' };

function newEnvironment(): EnvironmentId {
  return newId("env", AT);
}

forEachDatabase((name, open) => {
  const store = async (): Promise<IdempotencyStore> => (await open()).idempotency;
  const begin = async (env: EnvironmentId, key: string, now = AT, scope = "POST /send") =>
    await (await store()).begin(env, scope, key, now, now + 24 * HOUR, ABANDONED_AFTER_MS);

  test(`${name}: the first begins, the next is busy, and after the end all get its answer`, async () => {
    const keys = await store();
    const env = newEnvironment();
    assert.deepEqual(await begin(env, "k"), { kind: "begun" });
    assert.deepEqual(await begin(env, "k"), { kind: "busy" });
    assert.equal(await keys.find(env, "POST /send", "k", AT), null);
    await keys.finish(env, "POST /send", "k", ANSWER);
    assert.deepEqual(await keys.find(env, "POST /send", "k", AT), ANSWER);
    assert.equal(await keys.find(env, "POST /send", "k", AT + 24 * HOUR), null);
    assert.equal(await keys.find(newEnvironment(), "POST /send", "k", AT), null);
    assert.deepEqual(await begin(env, "k"), { kind: "replayed", answer: ANSWER });
    assert.deepEqual(await begin(env, "k", AT + ABANDONED_AFTER_MS * 2), { kind: "replayed", answer: ANSWER });
  });

  test(`${name}: of a thousand callers at once exactly one begins`, async () => {
    const env = newEnvironment();
    const results = await Promise.all(Array.from({ length: 1000 }, () => begin(env, "k")));
    assert.equal(results.filter((result) => result.kind === "begun").length, 1);
    assert.equal(results.filter((result) => result.kind === "busy").length, 999);
  });

  test(`${name}: of many who come after an abandoned call exactly one begins`, async () => {
    const env = newEnvironment();
    await begin(env, "k");
    const later = AT + ABANDONED_AFTER_MS + 1;
    const results = await Promise.all(Array.from({ length: 50 }, () => begin(env, "k", later)));
    assert.equal(results.filter((result) => result.kind === "begun").length, 1);
  });

  test(`${name}: a key given up is free at once`, async () => {
    const keys = await store();
    const env = newEnvironment();
    await begin(env, "k");
    await keys.abandon(env, "POST /send", "k");
    assert.deepEqual(await begin(env, "k"), { kind: "begun" });
  });

  test(`${name}: a key begun longer ago than allowed counts as free, and not before`, async () => {
    const env = newEnvironment();
    await begin(env, "k");
    assert.deepEqual(await begin(env, "k", AT + ABANDONED_AFTER_MS), { kind: "busy" });
    assert.deepEqual(await begin(env, "k", AT + ABANDONED_AFTER_MS + 1), { kind: "begun" });
    assert.deepEqual(await begin(env, "k", AT + ABANDONED_AFTER_MS + 2), { kind: "busy" });
  });

  test(`${name}: an answer is kept until it expires, whatever later calls ask for`, async () => {
    const keys = await store();
    const env = newEnvironment();
    await begin(env, "k");
    await keys.finish(env, "POST /send", "k", ANSWER);
    assert.equal((await begin(env, "k", AT + 24 * HOUR - 1)).kind, "replayed");
    assert.deepEqual(await begin(env, "k", AT + 24 * HOUR), { kind: "begun" });
    assert.deepEqual(await begin(env, "k", AT + 24 * HOUR + 1), { kind: "busy" });
  });

  test(`${name}: a finished key keeps its first answer`, async () => {
    const keys = await store();
    const env = newEnvironment();
    await begin(env, "k");
    await keys.finish(env, "POST /send", "k", ANSWER);
    await keys.finish(env, "POST /send", "k", { status: 500, body: "other" });
    await keys.abandon(env, "POST /send", "k");
    assert.deepEqual(await begin(env, "k"), { kind: "replayed", answer: ANSWER });
    await keys.finish(env, "POST /send", "never begun", ANSWER);
    assert.deepEqual(await begin(env, "never begun"), { kind: "begun" });
  });

  test(`${name}: a request that was accepted under a key is replayed here, and a key begun here holds a request up`, async () => {
    const { pipeline, idempotency } = await open();
    const env = newEnvironment();
    const accept = async (key: string) => {
      const request = {
        id: newId("req", AT),
        environmentId: env,
        state: "expanded" as const,
        spec: {
          recipients: [],
          content: { kind: "inline" as const, language: "elemental", source: {} },
          data: {},
          mode: "published" as const,
          via: "courier",
        },
        cursor: null,
        archivedAt: null,
        createdAt: AT,
      };
      const idempotency = { scope: "POST /send", key, expiresAt: AT + HOUR, answer: ANSWER };
      return (await pipeline.accept([{ request, planned: [], idempotency }]))[0];
    };
    assert.deepEqual(await accept("sent"), { kind: "accepted" });
    assert.deepEqual(await begin(env, "sent"), { kind: "replayed", answer: ANSWER });
    assert.deepEqual(await begin(env, "called"), { kind: "begun" });
    assert.deepEqual(await accept("called"), { kind: "busy" });
    await idempotency.finish(env, "POST /send", "called", { status: 200, body: "{}" });
    assert.deepEqual(await accept("called"), { kind: "replayed", answer: { status: 200, body: "{}" } });
  });

  test(`${name}: keys are apart by scope and environment, whatever they are made of`, async () => {
    const keys = await store();
    const [here, there] = [newEnvironment(), newEnvironment()];
    const hostile = ["k", "K", "'; --", '"{}"', "é😀", "__proto__", "k".repeat(255)];
    for (const key of hostile) {
      assert.deepEqual(await begin(here, key), { kind: "begun" });
      assert.deepEqual(await begin(here, key, AT, "POST /bulk"), { kind: "begun" });
      assert.deepEqual(await begin(there, key), { kind: "begun" });
      await keys.finish(here, "POST /send", key, ANSWER);
      await keys.abandon(there, "POST /send", key);
      assert.equal((await begin(here, key)).kind, "replayed");
      assert.equal((await begin(here, key, AT, "POST /bulk")).kind, "busy");
    }
  });

  test(`${name}: keys that cannot be stored are refused`, async () => {
    const env = newEnvironment();
    for (const key of ["", "a\0b", "\udc00", "k".repeat(2000)]) {
      await assert.rejects(begin(env, key), (error) => error instanceof Refusal && error.code === "invalid");
    }
  });
});
