/** Postgres is stopped and started under load: the server stays up, answers 503, resumes by itself and loses nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { call, startChild } from "../support/child.ts";
import { ownPostgres } from "../support/postgres.ts";

const CALLERS = 12;

test("survives an outage of Postgres under load", { timeout: 120_000 }, async (t) => {
  const postgres = await ownPostgres();
  if (postgres === null) {
    assert.ok(
      !process.env.CARILLON_TEST_REQUIRE?.includes("postgres"),
      "Postgres is required, but its programs were not found",
    );
    return t.skip("no Postgres programs on this machine");
  }
  t.after(() => postgres.remove());
  const server = await startChild({ CARILLON_DATABASE_URL: postgres.url, CARILLON_LEASE_MS: "1000" });
  t.after(() => server.kill());

  const acknowledged: string[] = [];
  const refused: number[] = [];
  let done = false;
  let succeeded: () => void = () => {};
  const caller = async (id: number): Promise<void> => {
    while (!done) {
      const to = acknowledged.length % 3 === 0 ? { email: `u${id}@example.com` } : { user_id: `u${id}` };
      const channels = "email" in to ? ["email"] : ["inbox"];
      const message = { to, routing: { method: "single", channels }, content: { title: "t", body: "b" } };
      const { status, body } = await call(server.url, "POST", "/send", { message });
      if (status === 202) {
        acknowledged.push(body.requestId as string);
        succeeded();
      } else {
        refused.push(status);
        assert.equal(body.type, "api_error");
        assert.equal(typeof body.message, "string");
      }
    }
  };
  const next = (): Promise<void> => new Promise((resolve) => (succeeded = resolve));
  const load = Promise.all(Array.from({ length: CALLERS }, (_, id) => caller(id)));
  await next();

  await postgres.stop();
  while (refused.length < 20) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([...new Set(refused)], [503]);
  assert.equal((await fetch(`${server.url}/livez`)).status, 200, "the process stays alive");
  assert.equal((await fetch(`${server.url}/readyz`)).status, 503, "but says that it cannot work");

  await postgres.start();
  const back = Date.now();
  await next();
  assert.ok(Date.now() - back < 10_000, `resumed after ${Date.now() - back} ms`);
  for (let i = 0; i < 20; i++) await next();
  done = true;
  await load;
  assert.deepEqual([...new Set(refused)], [503], "no other refusal, before or after");

  const until = Date.now() + 30_000;
  for (const id of acknowledged) {
    for (;;) {
      const { status, body } = await call(server.url, "GET", `/messages/${id}`);
      if (status === 200 && (body.status === "SENT" || body.status === "DELIVERED")) break;
      assert.ok(Date.now() < until, `message ${id}: ${status} ${JSON.stringify(body)}`);
    }
  }
  assert.equal(await server.stop(), 0, server.output());
});
