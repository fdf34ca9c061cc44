/** The `Idempotency-Key`, which the SDKs send with every POST. Scenario 5. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { forEachSvix, type SvixTarget } from "./svix-target.ts";

async function count(target: SvixTarget, prefix: string): Promise<number> {
  const { data } = await target.svix.application.list({ limit: 250 });
  return data.filter(({ name }) => name.startsWith(prefix)).length;
}

const post = (target: Pick<SvixTarget, "call">, key: string, body: unknown, path = "/app") =>
  target.call("POST", path, body, { "idempotency-key": key });

forEachSvix((name, open) => {
  test(`${name}: the same key and token give the same answer, whatever the body`, async () => {
    const target = await open();
    const first = await target.svix.application.create({ name: "same 1" }, { idempotencyKey: `same-${name}` });
    const second = await target.svix.application.create({ name: "same 2" }, { idempotencyKey: `same-${name}` });
    const third = await target.svix2.application.create({ name: "same 3" }, { idempotencyKey: `same-${name}` });
    assert.deepEqual(second, first);
    // The other major knows other fields.
    assert.deepEqual([third.id, third.name, third.createdAt], [first.id, first.name, first.createdAt]);
    assert.equal(await count(target, "same"), 1);
    const plain = await post(target, `same-${name}`, { name: "same 4" });
    assert.deepEqual([plain.status, plain.body.id], [201, first.id]);
    assert.match(plain.headers.get("content-type") ?? "", /^application\/json/);
  });

  test(`${name}: another key, another token, another address make another`, async () => {
    const target = await open();
    const key = `other-${name}`;
    const a = await post(target, key, { name: "other" });
    const b = await post(target, `${key}-2`, { name: "other" });
    const signed = target.with(target.jwt({ sub: target.orgId }));
    const c = await post(signed, key, { name: "other" });
    const d = await post(target, key, { name: "other" }, "/app?get_if_exists=true");
    assert.equal(new Set([a, b, c, d].map(({ body }) => body.id)).size, 4);
    const another = await target.another();
    assert.equal((await post(another, key, { name: "other" })).status, 201);
  });

  test(`${name}: a call that fails leaves its key free`, async () => {
    const target = await open();
    const key = `free-${name}`;
    assert.equal((await post(target, key, { name: "" })).status, 422);
    assert.equal((await post(target, key, "{nonsense")).status, 422);
    assert.equal((await post(target, key, { name: "x", uid: `free-${name}` })).status, 201);
    const clash = `clash-${name}`;
    assert.equal((await post(target, clash, { name: "x", uid: `free-${name}` })).status, 409);
    assert.equal((await post(target, clash, { name: "x", uid: `free2-${name}` })).status, 201);
  });

  test(`${name}: many at once with one key make one, and all hear of it`, async () => {
    const target = await open();
    const answers = await Promise.all(Array.from({ length: 10 }, () => post(target, `race-${name}`, { name: "race" })));
    assert.deepEqual(
      answers.map(({ status, body }) => [status, body.id]),
      answers.map(() => [201, answers[0]?.body.id]),
    );
    assert.equal(await count(target, "race"), 1);
  });

  test(`${name}: many messages at once with one key are one message`, async () => {
    const target = await open();
    const app = await target.svix.application.create({ name: "x" });
    const path = `/app/${app.id}/msg`;
    const body = { eventType: "a.b", payload: { n: 1 } };
    const answers = await Promise.all(Array.from({ length: 10 }, () => post(target, `msg-${name}`, body, path)));
    assert.deepEqual(
      answers.map(({ status, text }) => [status, text]),
      answers.map(() => [202, answers[0]?.text]),
    );
    assert.equal((await target.svix.message.list(app.id)).data.length, 1);
  });

  test(`${name}: after a first call that fails, those that waited for it try for themselves`, async () => {
    const target = await open();
    const uid = `wait-${name}`;
    await target.svix.application.create({ name: "x", uid });
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => post(target, `wait-${name}`, { name: "x", uid })),
    );
    assert.deepEqual(
      answers.map(({ status }) => status),
      answers.map(() => 409),
    );
  });

  test(`${name}: answers without a body are kept as well`, async () => {
    const target = await open();
    const app = await target.svix.application.create({ name: "x" });
    const path = `/auth/app/${app.id}/expire-all`;
    for (let i = 0; i < 2; i++) {
      const answer = await post(target, `empty-${name}`, {}, path);
      assert.deepEqual([answer.status, answer.text], [204, ""]);
    }
  });

  test(`${name}: a call whose process died does not hold its key for long`, async () => {
    const target = await open();
    const key = `dead-${name}`;
    const { idempotency } = target.app.store;
    const first = await post(target, key, { name: "dead" });
    assert.equal(first.status, 201);
    // What a process leaves that begins and dies, under the very scope this server uses.
    const begun = `begun-${name}`;
    const scope = await scopeUsed(target, begun);
    const now = target.clock.now();
    assert.equal(
      (await idempotency.begin(target.environment.id, scope, `${begun}-2`, now, now + 1e8, 5_000)).kind,
      "begun",
    );
    const waiting = post(target, `${begun}-2`, { name: "dead" });
    let answered = false;
    waiting.finally(() => {
      answered = true;
    });
    for (let i = 0; i < 110 && !answered; i++) {
      // Its wake-ups come one after the other: each needs the clock to move and the database to answer.
      await target.call("GET", "/health");
      target.clock.advance(50);
    }
    assert.equal((await waiting).status, 201);
    assert.ok(target.clock.now() - now > 5_000);
  });

  test(`${name}: an answer of another process is found while waiting for it`, async () => {
    const target = await open();
    const key = `elsewhere-${name}`;
    const scope = await scopeUsed(target, `${key}-scope`);
    const { idempotency } = target.app.store;
    const now = target.clock.now();
    await idempotency.begin(target.environment.id, scope, key, now, now + 1e8, 5_000);
    const waiting = post(target, key, { name: "x" });
    await idempotency.finish(target.environment.id, scope, key, { status: 201, body: '{"id":"from elsewhere"}' });
    let answered = false;
    waiting.finally(() => {
      answered = true;
    });
    for (let i = 0; i < 50 && !answered; i++) {
      await target.call("GET", "/health");
      target.clock.advance(50);
    }
    assert.deepEqual((await waiting).body, { id: "from elsewhere" });
  });

  test(`${name}: keys are kept for twelve hours and more, and are as long as anyone likes`, async () => {
    const target = await open();
    const key = `${"k".repeat(3_000)}-${name}`;
    const first = await post(target, key, { name: "long" });
    target.clock.advance(12 * 3_600_000);
    assert.equal((await post(target, key, { name: "long" })).body.id, first.body.id);
    target.clock.advance(24 * 3_600_000);
    assert.notEqual((await post(target, key, { name: "long" })).body.id, first.body.id);
    // Only POSTs have keys.
    const put = (n: number) =>
      target.call("PUT", `/app/${first.body.id}`, { name: `put ${n}` }, { "idempotency-key": "put" });
    await put(1);
    assert.equal((await put(2)).body.name, "put 2");
  });
});

/** The scope under which a POST to `/app` keeps its key: seen in what the server asks of its store. */
async function scopeUsed(target: SvixTarget, key: string): Promise<string> {
  const { idempotency } = target.app.store as { idempotency: { begin: (...args: never[]) => unknown } };
  const { begin } = idempotency;
  let scope = "";
  Object.assign(idempotency, {
    begin: (...args: never[]) => {
      if (args[2] === (key as never)) scope = args[1] as unknown as string;
      return begin.apply(idempotency, args);
    },
  });
  try {
    await post(target, key, { name: "scope" });
  } finally {
    Object.assign(idempotency, { begin });
  }
  assert.notEqual(scope, "");
  return scope;
}
