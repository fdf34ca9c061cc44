/**
 * The process is killed again and again while it works on a task that sends messages of an application again. Whatever
 * page it was at, in the end each message was sent for the task once: no page is left out, none is worked on twice.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DIALECTS, newPlace } from "../conformance/databases.ts";
import { type Child, call, startChild } from "../support/child.ts";
import { dice } from "../support/dice.ts";
import { type Farm, startFarm } from "../support/receiver-farm.ts";

const SEED = Number(process.env.CARILLON_TEST_SEED ?? Date.now() % 1_000_000);
/** Several pages of 100. */
const MESSAGES = 430;
const KILLS = 2;
const LEASE_MS = 1_500;

interface Attempt {
  readonly msgId: string;
  readonly status: number;
  readonly triggerType: number;
}

async function attemptsAt(server: Child, endpoint: string): Promise<readonly Attempt[]> {
  const found: Attempt[] = [];
  let iterator = "";
  for (;;) {
    const path = `/api/v1/app/a/attempt/endpoint/${endpoint}?limit=250${iterator}`;
    const { status, body } = await call(server.url, "GET", path);
    assert.equal(status, 200, JSON.stringify(body));
    found.push(...(body.data as Attempt[]));
    if (body.done === true) return found;
    iterator = `&iterator=${body.iterator}`;
  }
}

/** @returns how many attempts of each message there are, once there are so many in all. */
async function whenTried(server: Child, endpoint: string, count: number): Promise<ReadonlyMap<string, number>> {
  for (const until = Date.now() + 60_000; ; ) {
    const attempts = await attemptsAt(server, endpoint);
    if (attempts.length >= count) {
      return new Map([...Map.groupBy(attempts, ({ msgId }) => msgId)].map(([id, made]) => [id, made.length]));
    }
    assert.ok(Date.now() < until, `${attempts.length} of ${count} attempts`);
  }
}

async function newEndpoint(server: Child, farm: Farm, behaviour: "ok" | "error", uid: string): Promise<void> {
  const made = await call(server.url, "POST", "/api/v1/app/a/endpoint", { uid, url: farm.url(behaviour, uid) });
  assert.equal(made.status, 201, JSON.stringify(made.body));
}

for (const dialect of DIALECTS) {
  test(`${dialect}: tasks that are killed at every page send each message again once (seed ${SEED})`, {
    timeout: 300_000,
  }, async (t) => {
    const roll = dice(SEED);
    const { place, remove } = await newPlace(dialect);
    t.after(remove);
    const farm = await startFarm();
    t.after(() => farm.close());
    const env = {
      CARILLON_DATA_DIR: place.dataDir,
      ...(place.url === null ? {} : { CARILLON_DATABASE_URL: place.url }),
      CARILLON_ALLOW_NETWORKS: "127.0.0.0/8",
      CARILLON_WEBHOOK_RETRY_SECONDS: "none",
      CARILLON_LEASE_MS: String(LEASE_MS),
    };
    let server = await startChild(env);
    t.after(() => server.kill());
    await call(server.url, "POST", "/api/v1/app", { name: "A", uid: "a" });
    await newEndpoint(server, farm, "error", "fails");
    const since = new Date(Date.now() - 60_000).toISOString();
    const ids: string[] = [];
    for (let begun = 0; begun < MESSAGES; begun += 43) {
      const one = { eventType: "x", payload: { begun } };
      const made = await Promise.all(
        Array.from({ length: 43 }, () => call(server.url, "POST", "/api/v1/app/a/msg", one)),
      );
      ids.push(...made.map(({ body }) => String(body.id)));
    }
    assert.equal(new Set(ids).size, MESSAGES);
    await whenTried(server, "fails", MESSAGES);
    await newEndpoint(server, farm, "ok", "works");

    const timesOfEach = new Map([
      ["works", 0],
      ["fails", 1],
    ]);
    for (const [endpoint, kind] of [
      ["works", "replay-missing"],
      ["works", "bulk-replay"],
      ["fails", "recover"],
    ] as const) {
      const started = await call(server.url, "POST", `/api/v1/app/a/endpoint/${endpoint}/${kind}`, { since });
      assert.equal(started.status, 202, JSON.stringify(started.body));
      for (let kills = 0; kills < KILLS; kills++) {
        await new Promise((resolve) => setTimeout(resolve, roll() * 120));
        await server.kill();
        server = await startChild(env);
      }
      const times = (timesOfEach.get(endpoint) ?? 0) + 1;
      timesOfEach.set(endpoint, times);
      const made = await whenTried(server, endpoint, times * MESSAGES);
      const path = `/api/v1/background-task/${started.body.id}`;
      let task = await call(server.url, "GET", path);
      for (const until = Date.now() + 30_000; task.body.status === "running" && Date.now() < until; ) {
        task = await call(server.url, "GET", path);
      }
      assert.equal(task.body.status, "finished", kind);
      assert.equal((task.body.data as { messagesSent: number }).messagesSent, MESSAGES, kind);
      assert.deepEqual(
        ids.map((id) => [id, made.get(id)]).filter(([, count]) => count !== times),
        [],
        `after ${kind} each was tried ${times} times`,
      );
    }
    assert.equal(await server.stop(), 0, server.output());
  });
}
