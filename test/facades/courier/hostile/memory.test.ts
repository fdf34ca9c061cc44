/** Thousands of hostile calls at once, of all kinds mixed: the server keeps nothing of them and goes on serving. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type CallOptions, Complaints, type HostileServer, inParallel, startHostile } from "./hostile-server.ts";
import { ACTING_FOR_ANN, makeThings, validCalls } from "./valid-calls.ts";
import { mutations, random, spoiled, VALUES } from "./values.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const ROUND = 3_000;
/**
 * What may be left of a round after the first, which fills the caches: sqlite's own and the compiled expressions,
 * templates and documents, all bounded. A leak of one body in a hundred would be ten times as much.
 */
const ALLOWANCE_BYTES = 24 * 1024 * 1024;

interface Attack {
  readonly method: string;
  readonly path: string;
  readonly options: CallOptions;
}

test("the heap stays where it is through thousands of hostile calls, sixteen at a time", async () => {
  const server = await startHostile();
  try {
    const next = await attacks(server);
    const found = new Complaints();
    const round = async (): Promise<number> => {
      const list = Array.from({ length: ROUND }, next);
      await inParallel(list, ({ method, path, options }) => found.collect(() => server.decent(method, path, options)));
      // What is under way after the answers (deliveries to nowhere) ends before the heap is looked at.
      await server.decent("GET", "/readyz");
      collectGarbage();
      return process.memoryUsage().heapUsed;
    };
    await round();
    const before = await round();
    await round();
    const after = await round();
    found.assertNone();
    const grown = after - before;
    assert.ok(grown < ALLOWANCE_BYTES, `the heap grew by ${(grown / 1024 / 1024).toFixed(1)} MB in ${2 * ROUND} calls`);
    const sent = await server.decent("POST", "/send", {
      body: { message: { to: { user_id: "zoe" }, content: { title: "t", body: "b" } } },
    });
    assert.equal(sent.status, 202);
  } finally {
    await server.close();
  }
});

/** What every call of the result gives is another call, from the same seed: one that fails for a reason of its own. */
async function attacks(server: HostileServer): Promise<() => Attack> {
  const roll = random(99);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(roll() * list.length)] as T;
  const things = await makeThings(server);
  // What is taken and kept would grow the database in memory, and that is no leak.
  const keeps = /^(?:POST \/send|POST \/notifications|POST \/providers|POST \/inbound|.*\/resend)/;
  const calls = validCalls(server.routes, things);
  const spoil = calls.map((call) => ({ ...call, texts: [...mutations(call.body, VALUES)].map(({ text }) => text) }));
  const harmless = spoil.filter(({ method, url }) => !keeps.test(`${method} ${url}`));
  const unique = (): string => `${Math.floor(roll() * 1e15).toString(36)}`;
  const kinds: readonly (() => Attack)[] = [
    () => {
      const { method, path, texts } = pick(harmless);
      return { method, path, options: { body: pick(texts), headers: ACTING_FOR_ANN } };
    },
    () => {
      const { method, path, body } = pick(spoil);
      return { method, path, options: { body: `${spoiled(JSON.stringify(body), roll)}!`, headers: ACTING_FOR_ANN } };
    },
    () => ({ method: "GET", path: `/${unique()}/${unique()}`, options: {} }),
    () => ({ method: "GET", path: `/messages?cursor=${unique()}&tags=${unique()}`, options: {} }),
    () => ({ method: "GET", path: `/lists?pattern=${unique()}.*`, options: {} }),
    () => ({
      method: "GET",
      path: "/messages",
      options: { headers: { authorization: `Bearer ${unique()}.${unique()}.${unique()}` } },
    }),
    () => ({
      method: "POST",
      path: "/q",
      options: { body: { query: `{ a${unique()}: count b${unique()} }` }, headers: ACTING_FOR_ANN },
    }),
    () => ({
      method: "POST",
      path: "/q",
      options: {
        body: { query: `{ a${unique()}: count(params: {accountId: "${unique()}"}) }` },
        headers: ACTING_FOR_ANN,
      },
    }),
    () => ({
      method: "POST",
      path: "/send",
      options: {
        body: {
          message: {
            to: { user_id: "ann" },
            content: {
              version: unique(),
              elements: [
                { type: "text", content: `{{${unique()}}} ${"x".repeat(20_000)}`, if: unique() },
                { type: unique() },
              ],
            },
          },
        },
      },
    }),
    () => ({
      method: "PUT",
      path: "/translations/default/fr",
      options: { body: JSON.stringify(`msgid "${unique()}`) },
    }),
    () => ({ method: "POST", path: "/send", options: { body: `{"message":"${"x".repeat(50_000)}${unique()}"}` } }),
    () => ({
      method: "POST",
      path: `/profiles/${unique()}`,
      options: { body: {}, headers: { "idempotency-key": "k".repeat(300) } },
    }),
    () => ({
      method: "OPTIONS",
      path: `/${unique()}`,
      options: { headers: { "access-control-request-method": "PUT", "access-control-request-headers": unique() } },
    }),
    () => ({ method: "GET", path: `/e/${unique()}`, options: { headers: { authorization: null } } }),
  ];
  return () => pick(kinds)();
}
