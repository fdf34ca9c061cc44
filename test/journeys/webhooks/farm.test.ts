/**
 * 200 applications with five endpoints each, filters and channels by chance, a fifth of them failing in every way there
 * is. Once it has settled, every message that an endpoint wants has had exactly the tries that the schedule demands and
 * has come to one end, and what the server says of it is what the receivers saw.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { Webhook } from "standardwebhooks";
import { generateSecret } from "../../../src/engine/webhooks/signing.ts";
import { DIALECTS } from "../../conformance/databases.ts";
import { type SvixTarget, svixFor } from "../../facades/svix/svix-target.ts";
import { dice } from "../../support/dice.ts";
import { type Behaviour, type Farm, type Hit, startFarm } from "../../support/receiver-farm.ts";

const APPLICATIONS = 200;
const ENDPOINTS = 5;
const MESSAGES = 4;
const SEED = Number(process.env.CARILLON_TEST_SEED ?? Date.now() % 1_000_000);

const WAITS_SECONDS = [5, 60];
const TRIES = WAITS_SECONDS.length + 1;
const TIMEOUT_MS = 15_000;
/** As often as leases are renewed: longer steps would let them lapse. */
const STEP_MS = 5_000;

const TYPES = ["order.placed", "order.shipped", "invoice.paid"];
const CHANNELS = ["red", "green", "blue"];

interface Course {
  /** What the server is to record of each try. */
  readonly codes: readonly number[];
  /** Requests that reach the receiver in one try: a connection that breaks at once is tried twice. */
  readonly hitsPerTry: number;
  readonly ends: "sent" | "failed";
}

const every = (code: number): readonly number[] => Array.from({ length: TRIES }, () => code);
const COURSES: { readonly [behaviour in Behaviour | "dead"]: Course } = {
  ok: { codes: [200], hitsPerTry: 1, ends: "sent" },
  slowly: { codes: [200], hitsPerTry: 1, ends: "sent" },
  drips: { codes: [200], hitsPerTry: 1, ends: "sent" },
  heals: { codes: [500, 500, 204], hitsPerTry: 1, ends: "sent" },
  later: { codes: [503, 200], hitsPerTry: 1, ends: "sent" },
  error: { codes: every(500), hitsPerTry: 1, ends: "failed" },
  gone: { codes: every(410), hitsPerTry: 1, ends: "failed" },
  redirect: { codes: every(307), hitsPerTry: 1, ends: "failed" },
  refuses: { codes: [500], hitsPerTry: 1, ends: "failed" },
  closes: { codes: every(0), hitsPerTry: 2, ends: "failed" },
  resets: { codes: every(0), hitsPerTry: 2, ends: "failed" },
  garbage: { codes: every(0), hitsPerTry: 1, ends: "failed" },
  hangs: { codes: every(0), hitsPerTry: 1, ends: "failed" },
  "drips-error": { codes: every(500), hitsPerTry: 1, ends: "failed" },
  "drips-head": { codes: every(0), hitsPerTry: 1, ends: "failed" },
  dead: { codes: every(0), hitsPerTry: 0, ends: "failed" },
};
const WAYS_TO_FAIL = Object.keys(COURSES).filter((behaviour) => behaviour !== "ok" && behaviour !== "slowly") as (
  | Behaviour
  | "dead"
)[];

interface Endpoint {
  readonly app: string;
  readonly key: string;
  readonly behaviour: Behaviour | "dead";
  readonly types: readonly string[] | null;
  readonly channels: readonly string[] | null;
  readonly disabled: boolean;
  readonly secret: string;
  readonly id: string;
}

interface Message {
  readonly app: string;
  readonly type: string;
  readonly channels: readonly string[] | null;
  readonly payload: string;
  readonly id: string;
}

interface Attempt {
  readonly id: string;
  readonly msgId: string;
  readonly endpointId: string;
  readonly status: number;
  readonly responseStatusCode: number;
  readonly response: string;
  readonly timestamp: string;
  readonly triggerType: number;
  readonly url: string;
}

function wants(endpoint: Endpoint, message: Message): boolean {
  if (endpoint.app !== message.app || endpoint.disabled) return false;
  if (endpoint.types !== null && !endpoint.types.includes(message.type)) return false;
  return endpoint.channels === null || (message.channels ?? []).some((channel) => endpoint.channels?.includes(channel));
}

function pair(endpoint: Endpoint, message: Pick<Message, "id">): string {
  return `${endpoint.key} ${message.id}`;
}

/** Runs `work` for every item, so many at a time. */
async function each<T, R>(items: readonly T[], atOnce: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const i = next++;
      results[i] = await work(items[i] as T);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}

/** All pages of a list. */
// biome-ignore lint/suspicious/noExplicitAny: whatever the server said; the test looks at it field by field
async function all(target: SvixTarget, path: string): Promise<any[]> {
  const items: unknown[] = [];
  let iterator = "";
  for (;;) {
    const sign = path.includes("?") ? "&" : "?";
    const { status, body, text } = await target.call("GET", `${path}${sign}limit=3${iterator}`);
    assert.equal(status, 200, text);
    items.push(...body.data);
    if (body.done) return items;
    iterator = `&iterator=${body.iterator}`;
  }
}

async function makeEndpoints(target: SvixTarget, farm: Farm, roll: () => number): Promise<Endpoint[]> {
  const some = (values: readonly string[]): string[] | null => {
    if (roll() < 0.4) return null;
    const chosen = values.filter(() => roll() < 0.5);
    return chosen.length === 0 ? [values[Math.floor(roll() * values.length)] as string] : chosen;
  };
  for (const name of TYPES) {
    assert.equal((await target.call("POST", "/event-type", { name, description: "" })).status, 201);
  }
  let failing = 0;
  const specs = Array.from({ length: APPLICATIONS }, (_, a) => {
    const endpoints = Array.from({ length: ENDPOINTS }, (_, e): Omit<Endpoint, "id"> => {
      // Each way to fail in turn, so that none is left out.
      const behaviour = roll() < 0.2 ? (WAYS_TO_FAIL[failing++ % WAYS_TO_FAIL.length] as Behaviour) : "ok";
      return {
        app: `app-${a}`,
        key: `${a}-${e}`,
        behaviour,
        types: some(TYPES),
        channels: some(CHANNELS),
        disabled: roll() < 0.03,
        secret: generateSecret("symmetric"),
      };
    });
    return { uid: `app-${a}`, endpoints };
  });
  const made = await each(specs, 8, async ({ uid, endpoints }) => {
    assert.equal((await target.call("POST", "/app", { name: uid, uid })).status, 201);
    return await each(endpoints, 1, async (endpoint): Promise<Endpoint> => {
      const { behaviour, types, channels, disabled, secret } = endpoint;
      // Nothing listens on port 1.
      const url = behaviour === "dead" ? `http://127.0.0.1:1/${endpoint.key}` : farm.url(behaviour, endpoint.key);
      const fields = { url, eventTypes: types, channels, disabled, secret };
      const answer = await target.call("POST", `/app/${uid}/endpoint`, fields);
      assert.equal(answer.status, 201, answer.text);
      return { ...endpoint, id: answer.body.id };
    });
  });
  return made.flat();
}

async function publish(target: SvixTarget, roll: () => number): Promise<Message[]> {
  const specs = Array.from({ length: APPLICATIONS * MESSAGES }, (_, i): Omit<Message, "id"> => {
    const channels = CHANNELS.filter(() => roll() < 0.4);
    return {
      app: `app-${i % APPLICATIONS}`,
      type: TYPES[Math.floor(roll() * TYPES.length)] as string,
      channels: channels.length === 0 ? null : channels,
      payload: `{ "n":${i}, "big" : ${Math.floor(roll() * 1e9)}${Math.floor(roll() * 1e9)}99999 ,"f":1.0}`,
    };
  });
  return await each(specs, 16, async (message) => {
    const channels = message.channels === null ? "" : `"channels":${JSON.stringify(message.channels)},`;
    const body = `{"eventType":"${message.type}",${channels}"payload":${message.payload}}`;
    const answer = await target.call("POST", `/app/${message.app}/msg`, body);
    assert.equal(answer.status, 202, answer.text);
    return { ...message, id: answer.body.id as string };
  });
}

/** Resolves when nothing moves until time does: what is under way waits for receivers that say nothing more. */
async function quiet(target: SvixTarget, farm: Farm): Promise<{ readonly isOver: boolean }> {
  const { engine, store } = target.app;
  let before = "";
  for (let same = 0; ; ) {
    const { hanging, hits } = await farm.hanging();
    const due = await store.pipeline.nextDueAt();
    const { running } = engine.dispatcher.lanes;
    const now = `${hanging} ${hits} ${due} ${running}`;
    const isQuiet = running === hanging && (due === null || due > target.clock.now());
    // Once more than once: what a receiver has written is then read, too.
    same = isQuiet && now === before ? same + 1 : 0;
    if (same >= 5) return { isOver: due === null && running === 0 };
    before = now;
  }
}

for (const dialect of DIALECTS) {
  test(`${dialect}: ${APPLICATIONS * ENDPOINTS} endpoints get what they want, exactly (seed ${SEED})`, {
    timeout: 300_000,
  }, async (t) => {
    const roll = dice(SEED);
    const farm = await startFarm();
    t.after(() => farm.close());
    const target = await svixFor(t, {
      dialect,
      env: {
        CARILLON_WEBHOOK_RETRY_SECONDS: WAITS_SECONDS.join(","),
        CARILLON_WEBHOOK_TIMEOUT_MS: String(TIMEOUT_MS),
      },
    });
    const endpoints = await makeEndpoints(target, farm, roll);
    const messages = await publish(target, roll);
    const pairs = messages.flatMap((message) =>
      endpoints.filter((endpoint) => wants(endpoint, message)).map((endpoint) => ({ message, endpoint })),
    );

    // Time stands still: those who answer get everything, although others keep us waiting.
    const hits: Hit[] = [];
    const awaited = new Set(
      pairs
        .filter(({ endpoint }) => endpoint.behaviour === "ok")
        .map(({ endpoint, message }) => pair(endpoint, message)),
    );
    for (const until = Date.now() + 60_000; awaited.size > 0; ) {
      const news = await farm.log();
      hits.push(...news);
      for (const hit of news) awaited.delete(`${hit.endpoint} ${hit.messageId}`);
      assert.ok(
        Date.now() < until,
        `still waiting: ${[...awaited].slice(0, 10).join(", ")} and ${awaited.size} in all`,
      );
    }

    for (let steps = 0; !(await quiet(target, farm)).isOver; steps++) {
      assert.ok(steps < 500, "it does not come to an end");
      target.clock.advance(STEP_MS);
    }
    hits.push(...(await farm.log()));

    const hitsOf = Map.groupBy(hits, (hit) => `${hit.endpoint} ${hit.messageId}`);
    const wanted = new Set(pairs.map(({ endpoint, message }) => pair(endpoint, message)));
    assert.deepEqual(
      [...hitsOf.keys()].filter((key) => !wanted.has(key)),
      [],
      "nobody got what was not for them, and no redirect was followed",
    );

    const attemptsOf = new Map<string, Attempt[]>();
    const ends = new Map<string, string>();
    await each(endpoints, 8, async (endpoint) => {
      const path = `/app/${endpoint.app}`;
      const attempts: Attempt[] = await all(target, `${path}/attempt/endpoint/${endpoint.id}`);
      for (const attempt of attempts) {
        const key = `${endpoint.key} ${attempt.msgId}`;
        assert.equal(attempt.endpointId, endpoint.id);
        assert.equal(attempt.triggerType, 0);
        attemptsOf.set(key, [attempt, ...(attemptsOf.get(key) ?? [])]);
      }
      const stats = (await target.call("GET", `${path}/endpoint/${endpoint.id}/stats`)).body;
      const isGood = ({ status }: Attempt): boolean => status === 0;
      assert.deepEqual(
        { success: stats.success, fail: stats.fail, pending: stats.pending, sending: stats.sending },
        {
          success: attempts.filter(isGood).length,
          fail: attempts.filter((attempt) => attempt.status === 2).length,
          pending: 0,
          sending: 0,
        },
        endpoint.key,
      );
      for (const message of await all(target, `${path}/endpoint/${endpoint.id}/msg`)) {
        const key = pair(endpoint, message);
        assert.ok(!ends.has(key), `${key} is listed once`);
        assert.equal(message.nextAttempt, null);
        ends.set(key, message.status === 0 ? "sent" : message.status === 2 ? "failed" : `status ${message.status}`);
      }
    });
    assert.deepEqual([...attemptsOf.keys()].sort(), [...wanted].sort(), "there are attempts of all that was wanted");
    assert.deepEqual([...ends.keys()].sort(), [...wanted].sort());

    for (const { endpoint, message } of pairs) {
      const key = pair(endpoint, message);
      const what = `${endpoint.behaviour} ${key}`;
      const course = COURSES[endpoint.behaviour];
      const attempts = attemptsOf.get(key) ?? [];
      const seen = hitsOf.get(key) ?? [];
      assert.deepEqual(
        attempts.map((attempt) => attempt.responseStatusCode),
        course.codes,
        `${what}: ${attempts.map((attempt) => attempt.response.slice(0, 100)).join(" | ")}`,
      );
      assert.equal(ends.get(key), course.ends, what);
      // The receivers' own log: as many requests, the same answers, made at the same times.
      const perTry = attempts.flatMap((attempt) => Array.from({ length: course.hitsPerTry }, () => attempt));
      assert.deepEqual(
        seen.map(({ status, seconds }) => [status, seconds]),
        perTry.map(({ responseStatusCode, timestamp }) => [
          responseStatusCode,
          Math.floor(Date.parse(timestamp) / 1000),
        ]),
        what,
      );
      const webhook = new Webhook(endpoint.secret);
      for (const hit of seen) {
        assert.equal(hit.body, message.payload, what);
        assert.equal(hit.hash, createHash("sha256").update(message.payload).digest("hex"));
        assert.equal(hit.signature, webhook.sign(message.id, new Date(hit.seconds * 1000), message.payload), what);
        assert.ok(hit.sameHeaders, what);
      }
      checkWaits(what, endpoint.behaviour, attempts);
    }

    await each(messages.slice(0, 200), 8, async (message) => {
      const path = `/app/${message.app}`;
      const reached = endpoints.filter((endpoint) => wants(endpoint, message));
      const attempts: Attempt[] = await all(target, `${path}/attempt/msg/${message.id}`);
      assert.deepEqual(
        attempts.map(({ id }) => id).sort(),
        reached
          .flatMap((endpoint) => attemptsOf.get(pair(endpoint, message)) ?? [])
          .map(({ id }) => id)
          .sort(),
      );
      const listed = await all(target, `${path}/msg/${message.id}/endpoint`);
      assert.deepEqual(
        listed.map(({ id, status }) => [id, status === 0 ? "sent" : "failed"]),
        reached
          .map(({ id, behaviour }) => [id, COURSES[behaviour].ends])
          .sort(([a = ""], [b = ""]) => (a < b ? -1 : 1)),
      );
    });
  });
}

/** Between the tries there are the waits of the schedule, a fifth more or less, and not much besides. */
function checkWaits(what: string, behaviour: string, attempts: readonly Attempt[]): void {
  for (const [i, attempt] of attempts.slice(1).entries()) {
    const before = Date.parse((attempts[i] as Attempt).timestamp);
    const wait = Date.parse(attempt.timestamp) - before;
    const isTimeout = behaviour === "hangs" || behaviour === "drips-head";
    const took = isTimeout || behaviour === "drips-error" ? TIMEOUT_MS : 0;
    const scheduled = (WAITS_SECONDS[i] as number) * 1000;
    const least = (isTimeout ? Math.max(scheduled, 60_000) : behaviour === "later" ? 8_000 : scheduled) * 0.8;
    assert.ok(wait >= took + least, `${what}: ${wait} ms after try ${i + 1}`);
  }
}
