/** The first page of an inbox with its counts, for a user with 10,000 items and for one with a million. */
import autocannon from "autocannon";
import { call, SECRET_KEY, startChild } from "../test/support/child.ts";
import { fixed, type Measurement, median, percentile, temporaryDir, whole } from "./measure.ts";

const SMALL = 10_000;
const LARGE = 1_000_000;
const QUERIES = 400;
const AT_ONCE = 100;
const QUERY = `query GetInboxMessages($params: FilterParamsInput = {}, $limit: Int = 24) {
  count(params: $params)
  unreadCount: count(params: { status: "unread" })
  messages(params: $params, limit: $limit) {
    totalCount pageInfo { startCursor hasNextPage }
    nodes { messageId read archived created opened title preview data tags trackingIds { clickTrackingId } actions { content data href } }
  }
}`;

export const inboxPage: Measurement = {
  name: "inbox-page",
  run: (rounds, tell) =>
    temporaryDir(async (dir) => {
      const server = await startChild({ CARILLON_DATA_DIR: dir });
      try {
        await fill(server.url, "small", SMALL);
        await fill(server.url, "large", LARGE);
        tell(`  ${whole(SMALL)} and ${whole(LARGE)} items stand`);
        const ask = {
          small: await asker(server.url, "small", SMALL),
          large: await asker(server.url, "large", LARGE),
        };
        const small: number[] = [];
        const large: number[] = [];
        for (let round = 0; round < rounds; round++) {
          const times = { small: [] as number[], large: [] as number[] };
          // Query by query in turn: what disturbs the machine disturbs both.
          for (let i = 0; i < QUERIES; i++) {
            times.small.push(await ask.small());
            times.large.push(await ask.large());
          }
          small.push(percentile(times.small, 99));
          large.push(percentile(times.large, 99));
          tell(
            `  round ${round + 1}: p99 ${fixed(large[round] as number)} ms at ${whole(LARGE)}, ${fixed(small[round] as number)} ms at ${whole(SMALL)}`,
          );
        }
        const ratio = median(large.map((value, i) => value / (small[i] as number)));
        return [
          {
            what: "first inbox page with counts, p99 at 1,000,000 items ÷ at 10,000",
            ours: `${fixed(median(large))} ms`,
            bare: `${fixed(median(small))} ms`,
            figure: `${fixed(ratio)}×`,
            goal: "≤ 1.2×",
            met: ratio <= 1.2,
          },
        ];
      } finally {
        await server.kill();
      }
    }),
};

/** Sends to one user until the inbox holds so many items. */
async function fill(url: string, user: string, items: number): Promise<void> {
  const message = {
    to: Array.from({ length: AT_ONCE }, () => ({ user_id: user })),
    content: { title: "Invoice paid", body: "Invoice {{number}} was paid." },
    data: { number: 42 },
    routing: { method: "single", channels: ["inbox"] },
  };
  const { errors, non2xx } = await autocannon({
    url: `${url}/send`,
    method: "POST",
    headers: { authorization: `Bearer ${SECRET_KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ message }),
    connections: 4,
    amount: items / AT_ONCE,
    timeout: 60,
  });
  if (errors > 0 || non2xx > 0) throw new Error("filling the inbox failed");
}

/** @returns a function that asks for the page once and tells how many milliseconds it took. */
async function asker(url: string, user: string, items: number): Promise<() => Promise<number>> {
  const { body } = await call(url, "POST", "/auth/issue-token", {
    scope: `user_id:${user} inbox:read:messages`,
    expires_in: "2 hours",
  });
  const headers = {
    authorization: `Bearer ${body.token}`,
    "content-type": "application/json",
    "x-courier-user-id": user,
  };
  const init = { method: "POST", headers, body: JSON.stringify({ query: QUERY }) };
  return async () => {
    const started = performance.now();
    const response = await fetch(`${url}/q`, init);
    const answer = (await response.json()) as { data: { count: number; messages: { nodes: unknown[] } } };
    const took = performance.now() - started;
    if (answer.data.count !== items || answer.data.messages.nodes.length !== 24)
      throw new Error(`wrong page: ${answer.data.count}`);
    return took;
  };
}
