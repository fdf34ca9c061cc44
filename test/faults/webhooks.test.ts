/**
 * The process is killed at random moments while it takes in messages of applications and sends them to endpoints, and
 * is started again, over and over. Afterwards: every message that was acknowledged has come to its end at every endpoint;
 * a message that was sent again has the same id, and was sent again only because the answer had not been recorded.
 * `npm run test:faults -- --rounds N --seed S` for more.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DIALECTS, newPlace } from "../conformance/databases.ts";
import { type Child, call, startChild } from "../support/child.ts";
import { dice } from "../support/dice.ts";
import { type Behaviour, type Hit, startFarm } from "../support/receiver-farm.ts";

const ROUNDS = Number(process.env.CARILLON_TEST_ROUNDS ?? (process.env.CI === "true" ? 20 : 5));
const SEED = Number(process.env.CARILLON_TEST_SEED ?? Date.now() % 1_000_000);
const CALLERS = 16;
const APPLICATIONS = ["one", "two", "three"];
/** More tries than `heals` needs, and few enough to wait for. */
const WAITS_SECONDS = [1, 1];
const ENDPOINTS: readonly { readonly behaviour: Behaviour; readonly types: readonly string[] | null }[] = [
  { behaviour: "ok", types: null },
  { behaviour: "slowly", types: null },
  { behaviour: "heals", types: ["even"] },
  { behaviour: "error", types: ["odd"] },
];

interface Endpoint {
  readonly app: string;
  readonly key: string;
  readonly behaviour: Behaviour;
  readonly types: readonly string[] | null;
  readonly id: string;
}

interface Message {
  readonly id: string;
  readonly app: string;
  readonly type: string;
}

interface Attempt {
  readonly at: number;
  readonly endedAt: number;
  readonly code: number;
}

async function prepare(server: Child, url: (behaviour: Behaviour, key: string) => string): Promise<Endpoint[]> {
  for (const name of ["even", "odd"]) {
    const made = await call(server.url, "POST", "/api/v1/event-type", { name, description: "" });
    assert.equal(made.status, 201, JSON.stringify(made.body));
  }
  const endpoints: Endpoint[] = [];
  for (const app of APPLICATIONS) {
    await call(server.url, "POST", "/api/v1/app", { name: app, uid: app });
    for (const { behaviour, types } of ENDPOINTS) {
      const key = `${app}-${behaviour}`;
      const made = await call(server.url, "POST", `/api/v1/app/${app}/endpoint`, {
        url: url(behaviour, key),
        eventTypes: types,
      });
      assert.equal(made.status, 201, JSON.stringify(made.body));
      endpoints.push({ app, key, behaviour, types, id: String(made.body.id) });
    }
  }
  return endpoints;
}

/** Sends without pause until the server is gone. Only what was answered with 202 counts. */
async function load(server: Child, round: number, acknowledged: Message[], begun: () => void): Promise<void> {
  let n = 0;
  const caller = async (): Promise<void> => {
    for (;;) {
      const mine = n++;
      const app = APPLICATIONS[mine % APPLICATIONS.length] as string;
      const type = mine % 2 === 0 ? "even" : "odd";
      const message = { eventType: type, payload: { n: `${round}-${mine}` } };
      const answer = await call(server.url, "POST", `/api/v1/app/${app}/msg`, message).catch(() => null);
      if (answer === null) return;
      assert.equal(answer.status, 202, JSON.stringify(answer.body));
      acknowledged.push({ id: String(answer.body.id), app, type });
      begun();
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
}

/** All pages of a list. */
// biome-ignore lint/suspicious/noExplicitAny: whatever the server said; the test looks at it field by field
async function all(server: Child, path: string): Promise<any[]> {
  const items: unknown[] = [];
  let iterator = "";
  for (;;) {
    const { status, body } = await call(server.url, "GET", `/api/v1${path}?limit=250${iterator}`);
    assert.equal(status, 200, JSON.stringify(body));
    items.push(...(body.data as unknown[]));
    if (body.done === true) return items;
    iterator = `&iterator=${body.iterator}`;
  }
}

const pairOf = (endpoint: Pick<Endpoint, "key">, messageId: string): string => `${endpoint.key} ${messageId}`;

/** How each message fared at each endpoint, by what the server says. */
async function fates(server: Child, endpoints: readonly Endpoint[]): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const endpoint of endpoints) {
    for (const { id, status } of await all(server, `/app/${endpoint.app}/endpoint/${endpoint.id}/msg`)) {
      assert.ok(!found.has(pairOf(endpoint, id)), "each message is listed once");
      found.set(pairOf(endpoint, id), status);
    }
  }
  return found;
}

for (const dialect of DIALECTS) {
  test(`${dialect}: no webhook is lost or sent without need in ${ROUNDS} crashes (seed ${SEED})`, {
    timeout: 600_000,
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
      CARILLON_WEBHOOK_RETRY_SECONDS: WAITS_SECONDS.join(","),
      // Long enough for a busy machine to settle a try within: a lease that lapses is a reason to send again, too.
      CARILLON_LEASE_MS: "4000",
    };
    let server = await startChild(env);
    t.after(() => server.kill());
    const endpoints = await prepare(server, farm.url);

    const acknowledged: Message[] = [];
    const kills: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const begun = Promise.withResolvers<void>();
      const sending = load(server, round, acknowledged, begun.resolve);
      await begun.promise;
      await new Promise((resolve) => setTimeout(resolve, 50 + roll() * 600));
      await server.kill();
      kills.push(Date.now());
      await sending;
      server = await startChild(env);
    }
    assert.ok(acknowledged.length > ROUNDS, `${acknowledged.length} messages were acknowledged`);

    // Messages whose commit was not told to the caller any more are there as well, and are sent.
    const messages: Message[] = [];
    for (const app of APPLICATIONS) {
      for (const { id, eventType } of await all(server, `/app/${app}/msg`)) messages.push({ id, app, type: eventType });
    }
    const stored = new Set(messages.map(({ id }) => id));
    assert.deepEqual(
      acknowledged.filter(({ id }) => !stored.has(id)),
      [],
      "all that was acknowledged is there",
    );
    const wanted = messages.flatMap((message) =>
      endpoints
        .filter(({ app, types }) => app === message.app && (types === null || types.includes(message.type)))
        .map((endpoint) => ({ endpoint, message, pair: pairOf(endpoint, message.id) })),
    );
    let ended = new Map<string, number>();
    for (const until = Date.now() + 120_000; ; ) {
      ended = await fates(server, endpoints);
      const open = wanted.filter(({ pair }) => ended.get(pair) !== 0 && ended.get(pair) !== 2);
      if (open.length === 0) break;
      assert.ok(Date.now() < until, `${open.length} of ${wanted.length} have not ended, ${open[0]?.pair} among them`);
    }
    assert.equal(ended.size, wanted.length, "nobody was sent what they do not want");

    const hits = await farm.log();
    const hitsOf = Map.groupBy(hits, (hit) => `${hit.endpoint} ${hit.messageId}`);
    const idsByBody = Map.groupBy(hits, (hit) => `${hit.endpoint.split("-")[0]} ${hit.body}`);
    for (const [body, group] of idsByBody) {
      assert.equal(new Set(group.map(({ messageId }) => messageId)).size, 1, `${body} always has the same id`);
    }
    const attemptsOf = new Map<string, Attempt[]>();
    for (const endpoint of endpoints) {
      for (const made of await all(server, `/app/${endpoint.app}/attempt/endpoint/${endpoint.id}`)) {
        const at = Date.parse(made.timestamp);
        const attempt = { at, endedAt: at + made.responseDurationMs, code: made.responseStatusCode };
        const pair = pairOf(endpoint, made.msgId);
        attemptsOf.set(pair, [attempt, ...(attemptsOf.get(pair) ?? [])]);
      }
    }

    let again = 0;
    for (const { endpoint, pair } of wanted) {
      const attempts = attemptsOf.get(pair) ?? [];
      const requests = hitsOf.get(pair) ?? [];
      const what = `${pair}: ${JSON.stringify({ attempts, requests: requests.map(({ at, status }) => [at, status]) })}`;
      const codes = attempts.map(({ code }) => code);
      if (endpoint.behaviour === "error") assert.deepEqual(codes, [500, 500, 500], what);
      else if (endpoint.behaviour === "heals") assert.deepEqual(codes, [500, 500, 204].slice(3 - codes.length), what);
      else assert.deepEqual(codes, [200], what);
      assert.equal(ended.get(pair), endpoint.behaviour === "error" ? 2 : 0, what);
      again += checkRequests(what, requests, attempts, kills);
    }
    assert.ok(hits.length > 0);
    t.diagnostic(`${messages.length} messages, ${hits.length} requests, ${again} of them not recorded`);
    assert.equal(await server.stop(), 0, server.output());
  });
}

/** A receiver that has much to do reads a request some time after the process that sent it was killed. */
const READ_LATE_MS = 300;

/**
 * Every recorded attempt is one request that came; a request that was not recorded was under way when the process was
 * killed. So whatever was sent again was sent because the answer to it was not known.
 * @returns how many requests were not recorded.
 */
function checkRequests(
  what: string,
  requests: readonly Hit[],
  attempts: readonly Attempt[],
  kills: readonly number[],
): number {
  const unrecorded = new Set(requests);
  for (const { at, endedAt, code } of attempts) {
    const recorded = [...unrecorded].find((hit) => hit.at >= at - 1 && hit.at <= endedAt + 1 && hit.status === code);
    assert.ok(recorded !== undefined, `an attempt was recorded that nobody saw: ${what}`);
    unrecorded.delete(recorded);
  }
  for (const [i, hit] of requests.entries()) {
    if (!unrecorded.has(hit)) continue;
    const next = requests[i + 1];
    assert.ok(next !== undefined, `it was sent again after its end: ${what}`);
    const isKilledBetween = kills.some((at) => at >= hit.at - READ_LATE_MS && at <= next.at);
    assert.ok(isKilledBetween, `it was sent again, and nobody had been killed: ${what}, kills at ${kills}`);
  }
  return unrecorded.size;
}
