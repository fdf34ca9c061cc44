/** Several processes on one Postgres, and a receiver that they call. */
import assert from "node:assert/strict";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { Client } from "pg";
import { DIALECTS, newPlace } from "../conformance/databases.ts";
import { type Child, startChild } from "./child.ts";

type Env = { readonly [name: string]: string };

const required = (process.env.CARILLON_TEST_REQUIRE ?? "").includes("postgres");
/** Why a test is to be skipped; false when it is not. */
export const noPostgres = DIALECTS.includes("postgres") || required ? false : "no Postgres on this machine";

export interface Cluster {
  start(more?: Env): Promise<Child>;
  rows(sql: string): Promise<Record<string, unknown>[]>;
}

/** On a database of its own. Whoever still runs at the end of the test is killed. */
export async function cluster(t: TestContext, env: Env): Promise<Cluster> {
  const { place, remove } = await newPlace("postgres");
  const client = new Client({ connectionString: place.url as string });
  await client.connect();
  const children: Child[] = [];
  t.after(async () => {
    await Promise.all(children.map((child) => child.kill()));
    await client.end();
    await remove();
  });
  return {
    async start(more = {}) {
      const child = await startChild({
        CARILLON_DATABASE_URL: place.url as string,
        CARILLON_DATABASE_POOL: "5",
        CARILLON_DATA_DIR: place.dataDir,
        CARILLON_ALLOW_NETWORKS: "127.0.0.0/8",
        CARILLON_POLL_MS: "100",
        ...env,
        ...more,
      });
      children.push(child);
      return child;
    },
    rows: async (sql) => (await client.query(sql)).rows,
  };
}

/** Counts, by the path that was called (or the message, of webhooks that name it), how often and how many at once. */
export async function countingReceiver(
  t: TestContext,
  answerAfterMs: number,
  statusOf: (path: string) => number = () => 200,
) {
  const calls = new Map<string, number>();
  const open = new Map<string, number>();
  let atOnce = 0;
  const keyOf = (path: string, headers: IncomingHttpHeaders): string =>
    String(headers["webhook-id"] ?? headers["svix-id"] ?? path);
  const server = createServer((request, response) => {
    const path = request.url as string;
    const key = keyOf(path, request.headers);
    const now = (open.get(key) ?? 0) + 1;
    open.set(key, now);
    atOnce = Math.max(atOnce, now);
    calls.set(key, (calls.get(key) ?? 0) + 1);
    request.resume();
    response.once("close", () => open.set(key, (open.get(key) ?? 1) - 1));
    setTimeout(() => response.writeHead(statusOf(path)).end(), answerAfterMs);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    /** Most calls of one key that were open at the same time. */
    atOnce: () => atOnce,
  };
}

/** Asks again until it holds; the processes say nothing when their queues are empty. */
export async function until(holds: () => Promise<boolean>, what: string, withinMs = 30_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `waited in vain: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
