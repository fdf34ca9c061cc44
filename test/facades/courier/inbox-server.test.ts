import assert from "node:assert/strict";
import { after, test } from "node:test";
import { FakeClock } from "../../../src/lib/clock.ts";
import { ownPostgres } from "../../support/postgres.ts";
import { PUBLIC_KEY, SECRET_KEY, startServer } from "../../support/server.ts";
import { inboxScenarios, type TestMessage, type TestTarget } from "./inbox-scenarios.ts";

inboxScenarios("the whole server with SQLite", () => startServerTarget({}));

const postgres = await ownPostgres();
if (postgres !== null) {
  inboxScenarios("the whole server with Postgres", () => startServerTarget({ CARILLON_DATABASE_URL: postgres.url }));
  after(() => postgres.remove());
} else {
  const required = process.env.CARILLON_TEST_REQUIRE?.split(",").includes("postgres") ?? false;
  test("Courier inbox on the whole server with Postgres", { skip: !required && "Postgres is not installed" }, () => {
    assert.fail("CARILLON_TEST_REQUIRE asks for postgres, but it is not installed");
  });
}

/** @param env settings of the server by their operator's names, for example its database. */
async function startServerTarget(env: { readonly [name: string]: string }): Promise<TestTarget> {
  const clock = new FakeClock(Date.now());
  const app = await startServer(env, { clock, roll: () => 0.5 });
  const call = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(app.url + path, {
      method,
      headers: { authorization: `Bearer ${SECRET_KEY}`, "content-type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
    return answer as { requestId: string; token: string; results: { type: string }[] };
  };
  let stopped: Promise<void> | null = null;
  return {
    url: app.url,
    secretKey: SECRET_KEY,
    publicKey: PUBLIC_KEY,
    token: async (scope, lifeMs = 3_600_000) =>
      (await call("POST", "/auth/issue-token", { scope, expires_in: `${lifeMs / 1000} s` })).token,
    send: async (message) => {
      clock.advance(1);
      return (await call("POST", "/send", { message: asSent(message) })).requestId;
    },
    history: async (messageId) =>
      (await call("GET", `/messages/${messageId}/history`)).results.map((entry) => entry.type),
    advance: (ms) => clock.advance(ms),
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };

  async function stop(): Promise<void> {
    // What a stop waits for, it waits for on the server's clock.
    const pump = setInterval(() => clock.advance(500), 5);
    await app.close();
    clearInterval(pump);
  }
}

function asSent(message: TestMessage): object {
  const { userId, tenantId, title = "Title", body = "Body", data = {}, tags = [], actions = [] } = message;
  return {
    to: { user_id: userId, ...(tenantId === undefined ? {} : { tenant_id: tenantId }) },
    content: {
      version: "2022-01-01",
      elements: [
        { type: "meta", title },
        { type: "text", content: body },
        ...actions.map((action) => ({ type: "action", ...action })),
      ],
    },
    data,
    metadata: { tags },
    routing: { method: "single", channels: ["inbox"] },
  };
}
