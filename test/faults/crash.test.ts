/**
 * The process is killed at random moments under load and started again, over and over. Afterwards: every request that
 * was acknowledged has been delivered, nothing stands twice, the counts are right and the file is sound.
 * `npm run test:faults -- --rounds N --seed S` for more.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { type Child, call, startChild } from "../support/child.ts";

const ROUNDS = Number(process.env.CARILLON_TEST_ROUNDS ?? (process.env.CI === "true" ? 20 : 5));
const SEED = Number(process.env.CARILLON_TEST_SEED ?? Date.now() % 1_000_000);
const USERS = 8;
const CALLERS = 24;
const SUBSCRIBERS = 1500;

/** A small generator of random numbers (mulberry32), so that a failing run can be repeated by its seed. */
function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Acknowledged {
  readonly inbox: Map<string, string>;
  readonly mails: Set<string>;
  readonly lists: Set<string>;
}

/** Sends without pause until the server is gone. Only what was answered with 202 counts. */
async function load(server: Child, round: number, acknowledged: Acknowledged): Promise<void> {
  let n = 0;
  const caller = async (id: number): Promise<void> => {
    for (;;) {
      const user = `u${(id + n++) % USERS}`;
      const kind = n % 40 === 0 ? "list" : n % 5 === 0 ? "mail" : "inbox";
      const to =
        kind === "list"
          ? { list_id: "everyone" }
          : kind === "mail"
            ? { email: `${user}@example.com` }
            : { user_id: user };
      const routing = { method: "single", channels: [kind === "mail" ? "email" : "inbox"] };
      const message = { to, routing, content: { title: `r${round}`, body: `n${n}` } };
      const answer = await call(server.url, "POST", "/send", { message }).catch(() => null);
      if (answer === null) return;
      assert.equal(answer.status, 202, JSON.stringify(answer.body));
      const id2 = answer.body.requestId as string;
      if (kind === "inbox") acknowledged.inbox.set(id2, user);
      else if (kind === "mail") acknowledged.mails.add(id2);
      else acknowledged.lists.add(id2);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, (_, id) => caller(id)));
}

/** Asks again until the answer is right; the server says nothing when its queues are empty. */
async function eventually<T>(ask: () => Promise<T>, right: (value: T) => boolean, what: string): Promise<T> {
  const until = Date.now() + 60_000;
  for (;;) {
    const value = await ask();
    if (right(value)) return value;
    assert.ok(Date.now() < until, `${what}: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test(`nothing acknowledged is lost or doubled in ${ROUNDS} crashes (seed ${SEED})`, { timeout: 600_000 }, async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), "carillon-crash-"));
  t.after(() => rm(dataDir, { recursive: true, force: true }));
  const roll = dice(SEED);
  const env = { CARILLON_DATA_DIR: dataDir, CARILLON_LEASE_MS: "1000" };
  const acknowledged: Acknowledged = { inbox: new Map(), mails: new Set(), lists: new Set() };

  let server = await startChild(env);
  const subscribers = Array.from({ length: SUBSCRIBERS }, (_, i) => ({ recipientId: `s${i}` }));
  const subscribed = await call(server.url, "PUT", "/lists/everyone/subscriptions", { recipients: subscribers });
  assert.ok(subscribed.status === 204, JSON.stringify(subscribed));

  for (let round = 0; round < ROUNDS; round++) {
    const sending = load(server, round, acknowledged);
    const moment = 50 + roll() * 700;
    await new Promise((resolve) => setTimeout(resolve, moment));
    await server.kill();
    await sending;
    server = await startChild(env);
  }
  assert.ok(
    acknowledged.inbox.size > 0 && acknowledged.mails.size > 0 && acknowledged.lists.size > 0,
    "the load sent something of each kind",
  );

  // What the last crash left is done before a new list send that comes after it.
  await eventually(
    () => call(server.url, "GET", "/messages?status=ENQUEUED,ROUTED,DELAYED"),
    ({ body }) => (body.results as unknown[]).length === 0,
    "messages still on their way",
  );
  const wanted = acknowledged.lists.size * SUBSCRIBERS;
  const file = join(dataDir, "carillon.db");
  const lists = [...acknowledged.lists];
  const reader = new DatabaseSync(file, { readOnly: true });
  t.after(() => reader.close());
  await eventually(
    async () =>
      (reader.prepare("select count(*) as n from requests where state = 'expanding'").get() as { n: number }).n,
    (n) => n === 0,
    "requests still expanding",
  );
  assert.equal(await server.stop(), 0, server.output());

  // Rows come without a prototype, which deepEqual minds.
  const rows = (sql: string): Record<string, unknown>[] =>
    reader
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }));
  assert.deepEqual(rows("pragma integrity_check"), [{ integrity_check: "ok" }]);

  const items = rows("select message_id, request_id, user_id, state from deliveries where channel = 'inbox'");
  const perMessage = Map.groupBy(items, (item) => item.message_id);
  assert.ok(
    [...perMessage.values()].every((group) => group.length === 1),
    "no message has two inbox items",
  );
  const { toCourierId } = await import("../../src/facades/courier/ids.ts");
  const perRequest = Map.groupBy(items, (item) => toCourierId(item.request_id as string));
  for (const [id, user] of acknowledged.inbox) {
    const found = perRequest.get(id) ?? [];
    assert.deepEqual(
      found.map((item) => [item.user_id, item.state]),
      [[user, "delivered"]],
      `request ${id}`,
    );
  }
  let reached = 0;
  for (const id of lists) {
    const users = (perRequest.get(id) ?? []).map((item) => item.user_id);
    assert.equal(new Set(users).size, SUBSCRIBERS, `list send ${id} reached everyone`);
    assert.equal(users.length, SUBSCRIBERS, `list send ${id} reached no one twice`);
    reached += users.length;
  }
  assert.equal(reached, wanted);

  const mails = new Map(
    rows("select request_id, state from messages").map((row) => [toCourierId(row.request_id as string), row.state]),
  );
  for (const id of acknowledged.mails) assert.equal(mails.get(id), "sent", `mail ${id}`);
  assert.deepEqual(rows("select state, count(*) as n from deliveries where state = 'pending' group by state"), []);

  const counted = rows("select user_id, sum(n) as n from inbox_counts group by user_id order by user_id");
  const actual = rows(
    "select user_id, count(*) as n from deliveries where channel = 'inbox' and deleted_at is null group by user_id order by user_id",
  );
  assert.deepEqual(counted, actual, "the counts agree with the items");
});
