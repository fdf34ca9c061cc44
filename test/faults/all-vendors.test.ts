/**
 * Two processes share one Postgres, and one is killed at random moments, while Courier's sends fail over, Knock's runs
 * wait, fetch and gather in batches, and applications' messages go to their endpoint. Afterwards everything that was
 * acknowledged has come to its end once, and what was called twice is no more than was on its way when a process died.
 * `npm run test:faults -- --rounds N --seed S` for more.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { toCourierId } from "../../src/facades/courier/ids.ts";
import { contentOf } from "../../src/storage/rows.ts";
import { type Child, call } from "../support/child.ts";
import { cluster, countingReceiver, noPostgres, until } from "../support/cluster.ts";
import { dice } from "../support/dice.ts";

const CRASHES = Number(process.env.CARILLON_TEST_ROUNDS ?? 3);
const SEED = Number(process.env.CARILLON_TEST_SEED ?? Date.now() % 1_000_000);
const CALLERS = 8;
const MANY = 130;
const IN_FLIGHT = 16;
const SECOND = { unit: "seconds", value: 1 };

const inApp = (ref: string, text = ref) => ({
  ref,
  type: "channel",
  channel_key: "in-app",
  template: { markdown_body: text },
});
const STEPS = {
  /** Two items, with a wait and a call between them. */
  waits: (url: string) => [
    inApp("first"),
    { ref: "wait", type: "delay", settings: { delay_for: SECOND } },
    { ref: "fetch", type: "http_fetch", settings: { method: "get", url: `${url}/fetch/{{ data.n }}` } },
    inApp("second"),
  ],
  /** One item for all that came within a second, saying how many. */
  gathers: () => [
    { ref: "batch", type: "batch", settings: { batch_window: SECOND } },
    inApp("all", "{{ total_activities }}"),
  ],
  /** One item for each of more recipients than are planned at once. */
  many: () => [inApp("one")],
};

type Kind = "inbox" | "fails-over" | "hook" | "app" | keyof typeof STEPS;
const KINDS: readonly Kind[] = ["inbox", "fails-over", "hook", "app", "waits", "gathers", "app", "waits", "gathers"];

test(`two processes bring all vendors' notifications to one end each in ${CRASHES} crashes (seed ${SEED})`, {
  skip: noPostgres,
  timeout: 600_000,
}, async (t) => {
  const roll = dice(SEED);
  const { start, rows } = await cluster(t, { CARILLON_LEASE_MS: "2000", CARILLON_MAX_IN_FLIGHT: `${IN_FLIGHT}` });
  const receiver = await countingReceiver(t, 3, (path) => (path.startsWith("/refuses") ? 400 : 200));
  const [steady, first] = (await Promise.all([start(), start()])) as [Child, Child];
  let shaky = first;
  const made = async (method: string, path: string, body: object): Promise<void> => {
    const answer = await call(steady.url, method, path, body);
    assert.ok(answer.status < 300, `${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  };
  for (const [key, steps] of Object.entries(STEPS)) {
    const path = `/v1/workflows/${key}?environment=development&commit=true`;
    await made("PUT", path, { workflow: { name: key, steps: steps(receiver.url) } });
  }
  for (let i = 0; i < MANY; i++) await made("PUT", `/v1/users/u${i}`, { name: "U" });
  await made("POST", "/api/v1/event-type", { name: "a", description: "" });
  await made("POST", "/api/v1/app", { name: "app", uid: "app" });
  await made("POST", "/api/v1/app/app/endpoint", { url: `${receiver.url}/app` });

  const acknowledged = new Map<Kind, string[]>([...KINDS, "many" as const].map((kind) => [kind, []]));
  const content = { title: "t", body: "b" };
  const trigger = (key: string, n: number, recipients: readonly string[]) =>
    ["POST", `/v1/workflows/${key}/trigger`, { recipients, data: { n } }] as const;
  const requestOf = (kind: Kind, n: number): readonly [method: string, path: string, body: object] => {
    const user = `u${n % 7}`;
    switch (kind) {
      case "app":
        return ["POST", "/api/v1/app/app/msg", { eventType: "a", payload: { n } }];
      case "waits":
      case "gathers":
        return trigger(kind, n, [user]);
      case "many":
        return trigger(
          kind,
          n,
          Array.from({ length: MANY }, (_, i) => `u${i}`),
        );
      default: {
        const webhook = { url: `${receiver.url}/${kind === "hook" ? "takes" : "refuses"}/${n}` };
        const channels = { inbox: ["inbox"], hook: ["webhook"], "fails-over": ["webhook", "inbox"] }[kind];
        const to = kind === "inbox" ? { user_id: user } : { user_id: user, webhook };
        return ["POST", "/send", { message: { to, content, routing: { method: "single", channels } } }];
      }
    }
  };
  const idOf = (kind: Kind, n: number, body: { readonly [field: string]: unknown }): string => {
    if (kind === "hook") return `/takes/${n}`;
    return String(body.id ?? body.workflow_run_id ?? body.requestId);
  };
  let stopping = false;
  let sent = 0;
  const caller = async (): Promise<void> => {
    while (!stopping) {
      const n = sent++;
      const kind = n % 50 === 0 ? "many" : (KINDS[n % KINDS.length] as Kind);
      const answer = await call((n % 2 === 0 ? steady : shaky).url, ...requestOf(kind, n)).catch(() => null);
      if (answer === null) continue;
      assert.ok(answer.status < 300, `${kind}: ${answer.status} ${JSON.stringify(answer.body)}`);
      acknowledged.get(kind)?.push(idOf(kind, n, answer.body));
    }
  };
  const load = Promise.all(Array.from({ length: CALLERS }, caller));
  for (let crash = 0; crash < CRASHES; crash++) {
    // A moment that nobody chose.
    await new Promise((resolve) => setTimeout(resolve, 300 + roll() * 2_000));
    await shaky.kill();
    shaky = await start();
  }
  stopping = true;
  await load;
  await until(
    async () => {
      const [left] = await rows(`select
        (select count(*) from requests where state = 'expanding') as requests,
        (select count(*) from messages where ready_at is not null) as messages,
        (select count(*) from deliveries where state = 'pending') as deliveries,
        (select count(*) from runs) as runs, (select count(*) from batches where closed = 0) as batches`);
      return Object.values(left ?? {}).every((n) => Number(n) === 0);
    },
    "all work done",
    60_000,
  );

  const of = (kind: Kind): readonly string[] => {
    const ids = acknowledged.get(kind) ?? [];
    assert.ok(ids.length > 0, `some of ${kind}`);
    assert.equal(new Set(ids).size, ids.length, "each was acknowledged once");
    return ids;
  };
  const items = await rows("select request_id from deliveries where channel = 'inbox'");
  const itemsOf = Map.groupBy(items, (item) => toCourierId(String(item.request_id)));
  for (const kind of ["inbox", "fails-over"] as const) {
    for (const id of of(kind)) assert.equal(itemsOf.get(id)?.length, 1, `${kind} ${id}`);
  }
  const odd = await rows(`select state, count(*) from messages
    where state not in ('delivered', 'sent', 'filtered') group by state`);
  assert.deepEqual(odd, []);

  let twice = 0;
  const wasCalled = (key: string): void => {
    const calls = receiver.calls.get(key) ?? 0;
    assert.ok(calls >= 1 && calls <= 1 + CRASHES, `${key} was called ${calls} times`);
    twice += calls - 1;
  };
  for (const path of of("hook")) wasCalled(path);
  for (const id of of("app")) wasCalled(id);
  assert.ok(twice <= CRASHES * 2 * IN_FLIGHT, `${twice} calls too many`);

  const runs = await rows("select id, request_id, event, run_status from messages where run is not null");
  assert.deepEqual([...new Set(runs.map((run) => run.run_status))], ["completed"]);
  const runsOf = Map.groupBy(runs, (run) => String(run.event));
  const itemsOfRuns = Map.groupBy(
    await rows(
      "select d.message_id, d.content, m.event from deliveries d join messages m on m.id = d.message_id where m.run is not null",
    ),
    (item) => String(item.event),
  );
  const perRun = Map.groupBy(itemsOfRuns.get("waits") ?? [], (item) => item.message_id);
  for (const { id } of runsOf.get("waits") ?? []) assert.equal(perRun.get(id)?.length, 2, `run ${id}`);
  assert.equal(itemsOfRuns.get("many")?.length, runsOf.get("many")?.length);
  assert.equal((runsOf.get("many")?.length ?? 0) % MANY, 0);
  const gathered = (itemsOfRuns.get("gathers") ?? []).map((item) => Number(contentOf(String(item.content)).body));
  assert.equal(
    gathered.reduce((sum, n) => sum + n, 0),
    runsOf.get("gathers")?.length,
    "each trigger is in one batch",
  );
  for (const kind of ["waits", "gathers", "many"] as const) {
    assert.ok((runsOf.get(kind)?.length ?? 0) >= of(kind).length, `a run for each trigger of ${kind}`);
  }

  const counted = await rows("select user_id, sum(n)::int as n from inbox_counts group by user_id order by user_id");
  const actual = await rows(
    "select user_id, count(*)::int as n from deliveries where channel = 'inbox' group by user_id order by user_id",
  );
  assert.deepEqual(counted, actual, "the counts agree with the items");
  assert.deepEqual(await Promise.all([steady.stop(), shaky.stop()]), [0, 0], steady.output() + shaky.output());
});
