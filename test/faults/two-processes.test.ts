/**
 * Two processes share one Postgres. One is killed again and again under load, in the middle of list sends; the other
 * goes on with what it left. Afterwards nothing that was acknowledged is lost, nothing stands twice, and what went out
 * twice is no more than was on its way when a process died.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { toCourierId } from "../../src/facades/courier/ids.ts";
import { type Child, call } from "../support/child.ts";
import { type Cluster, cluster, countingReceiver, noPostgres, until } from "../support/cluster.ts";

const CRASHES = 3;
const CALLERS = 6;
const SUBSCRIBERS = 4000;
const LEASE_MS = 1000;
/** What one process may have on its way. A crash repeats these tries, and no others. */
const IN_FLIGHT = 16;
const skip = noPostgres;

const ENV = { CARILLON_LEASE_MS: `${LEASE_MS}`, CARILLON_MAX_IN_FLIGHT: `${IN_FLIGHT}` };

const settled = (rows: Cluster["rows"]) => async (): Promise<boolean> => {
  const [found] = await rows(`select
    (select count(*) from requests where state = 'expanding') + (select count(*) from messages where ready_at is not null)
    + (select count(*) from deliveries where state = 'pending') as n`);
  return Number(found?.n) === 0;
};

test(`two processes lose and double nothing while one is killed ${CRASHES} times`, {
  skip,
  timeout: 180_000,
}, async (t) => {
  const { start, rows } = await cluster(t, ENV);
  const receiver = await countingReceiver(t, 2);
  // At once, on an empty database: one makes the tables and the environment, the other finds them.
  const [steady, first] = (await Promise.all([start(), start()])) as [Child, Child];
  let shaky = first;
  const recipients = Array.from({ length: SUBSCRIBERS }, (_, i) => ({ recipientId: `s${i}` }));
  assert.equal((await call(steady.url, "PUT", "/lists/all/subscriptions", { recipients })).status, 204);

  const acknowledged = { inbox: new Set<string>(), hooks: new Map<string, string>(), lists: new Set<string>() };
  let stopping = false;
  let n = 0;
  const caller = async (): Promise<void> => {
    while (!stopping) {
      const number = n++;
      const path = `/${number}`;
      const kind = number % 60 === 0 ? "list" : number % 3 === 0 ? "hook" : "inbox";
      const to =
        kind === "list"
          ? { list_id: "all" }
          : kind === "hook"
            ? { webhook: { url: `${receiver.url}${path}` } }
            : { user_id: `u${number % 7}` };
      const message = {
        to,
        content: { title: "t", body: `${number}` },
        routing: { method: "single", channels: [kind === "hook" ? "webhook" : "inbox"] },
        ...(number % 4 === 1 ? { delay: { until: new Date(Date.now() + 300).toISOString() } } : {}),
      };
      const server = number % 2 === 0 ? steady : shaky;
      const answer = await call(server.url, "POST", "/send", { message }).catch(() => null);
      if (answer === null) continue;
      assert.equal(answer.status, 202, JSON.stringify(answer.body));
      const id = answer.body.requestId as string;
      if (kind === "list") acknowledged.lists.add(id);
      else if (kind === "hook") acknowledged.hooks.set(path, id);
      else acknowledged.inbox.add(id);
    }
  };
  const load = Promise.all(Array.from({ length: CALLERS }, caller));
  for (let crash = 0; crash < CRASHES; crash++) {
    const lists = acknowledged.lists.size;
    await until(async () => acknowledged.lists.size > lists, "a list send in the load");
    await until(
      async () => (await rows("select 1 from requests where state = 'expanding' limit 1")).length > 0,
      "a list that is being worked off",
    );
    await shaky.kill();
    shaky = await start();
  }
  stopping = true;
  await load;
  assert.ok(acknowledged.inbox.size > 0 && acknowledged.hooks.size > 0 && acknowledged.lists.size >= CRASHES);
  await until(settled(rows), "all work done");

  const items = await rows("select message_id, request_id, user_id from deliveries where channel = 'inbox'");
  assert.equal(new Set(items.map((item) => item.message_id)).size, items.length, "no message has two inbox items");
  const perRequest = Map.groupBy(items, (item) => toCourierId(item.request_id as string));
  for (const id of acknowledged.inbox) assert.equal(perRequest.get(id)?.length, 1, `request ${id}`);
  for (const id of acknowledged.lists) {
    const users = (perRequest.get(id) ?? []).map((item) => item.user_id);
    assert.equal(users.length, SUBSCRIBERS, `list send ${id}`);
    assert.equal(new Set(users).size, SUBSCRIBERS, `list send ${id} reached everyone`);
  }
  let twice = 0;
  for (const path of acknowledged.hooks.keys()) {
    const calls = receiver.calls.get(path) ?? 0;
    assert.ok(calls >= 1 && calls <= 1 + CRASHES, `${path} was called ${calls} times`);
    twice += calls - 1;
  }
  assert.ok(twice <= CRASHES * IN_FLIGHT, `${twice} calls too many`);

  const counted = await rows("select user_id, sum(n)::int as n from inbox_counts group by user_id order by user_id");
  const actual = await rows(
    "select user_id, count(*)::int as n from deliveries where channel = 'inbox' group by user_id order by user_id",
  );
  assert.deepEqual(counted, actual, "the counts agree with the items");
  assert.deepEqual(await Promise.all([steady.stop(), shaky.stop()]), [0, 0], steady.output() + shaky.output());
});

test("of one idempotency key used in two processes at once, one send is made", { skip, timeout: 30_000 }, async (t) => {
  const { start, rows } = await cluster(t, ENV);
  const servers = await Promise.all([start(), start()]);
  const message = { to: { user_id: "ann" }, content: { title: "t", body: "b" } };
  for (let round = 0; round < 5; round++) {
    const answers = await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        const response = await fetch(`${servers[i % 2]?.url}/send`, {
          method: "POST",
          headers: {
            authorization: "Bearer sk_test_of_the_fault_suite",
            "content-type": "application/json",
            "idempotency-key": `key-${round}`,
          },
          body: JSON.stringify({ message }),
        });
        return { status: response.status, id: ((await response.json()) as { requestId?: string }).requestId };
      }),
    );
    const accepted = answers.filter(({ status }) => status === 202);
    assert.ok(accepted.length > 0);
    assert.equal(new Set(accepted.map(({ id }) => id)).size, 1, JSON.stringify(answers));
    assert.equal((await rows("select 1 from requests")).length, round + 1);
  }
});

test("a try that takes longer than a lease is made by one process only, also while that one stops", {
  skip,
  timeout: 90_000,
}, async (t) => {
  const { start, rows } = await cluster(t, ENV);
  const receiver = await countingReceiver(t, 3.5 * LEASE_MS);
  const [leaving] = (await Promise.all([start(), start()])) as [Child, Child];
  for (let i = 0; i < 4; i++) {
    const to = { webhook: { url: `${receiver.url}/${i}` } };
    const message = { to, content: { title: "t", body: "b" }, routing: { method: "single", channels: ["webhook"] } };
    assert.equal((await call(leaving.url, "POST", "/send", { message })).status, 202);
  }
  await until(async () => receiver.calls.size === 4, "all tries under way");
  assert.equal(await leaving.stop(), 0, leaving.output());
  await until(settled(rows), "all work done");
  assert.deepEqual([...receiver.calls.values()], [1, 1, 1, 1]);
  assert.equal(receiver.atOnce(), 1);
});

// Whoever's clock was ahead by more than a lease took every lease of the others for lapsed, and made their tries again.
test("processes on machines whose clocks differ by far more than a lease leave each other's tries alone", {
  skip,
  timeout: 90_000,
}, async (t) => {
  const { start, rows } = await cluster(t, ENV);
  const receiver = await countingReceiver(t, 2.5 * LEASE_MS);
  const machineAheadBy = (ms: number) => {
    const script = `const now = Date.now; Date.now = () => now() + ${ms};`;
    return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(script)}` };
  };
  const servers = await Promise.all([60, -60].map((leases) => start(machineAheadBy(leases * LEASE_MS))));
  const before = Date.now();
  const sends = servers.flatMap(({ url }, s) =>
    Array.from({ length: 4 }, async (_, i) => {
      const to = { webhook: { url: `${receiver.url}/${s}-${i}` } };
      const message = { to, content: { title: "t", body: "b" }, routing: { method: "single", channels: ["webhook"] } };
      assert.equal((await call(url, "POST", "/send", { message })).status, 202);
    }),
  );
  await Promise.all(sends);
  await until(settled(rows), "all work done");
  assert.deepEqual(
    [...receiver.calls.values()],
    Array.from({ length: 8 }, () => 1),
  );
  for (const { created_at: at } of await rows("select created_at from messages")) {
    assert.ok(Math.abs(Number(at) - before) < 20 * LEASE_MS, "and what they stamp is of one time");
  }
});
