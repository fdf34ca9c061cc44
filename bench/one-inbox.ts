/** One inbox through several protocols: how soon a change made through one is heard in another, and a whole inbox read. */
import { setTimeout as pause } from "node:timers/promises";
import autocannon from "autocannon";
import { Pool } from "undici";
import { type Child, call, SECRET_KEY, startChild } from "../test/support/child.ts";
import { fixed, Helper, inTurn, type Measurement, percentile, type Row, temporaryDir, whole } from "./measure.ts";
import { machineNow } from "./webhook-load.ts";

const USERS = 1_000;
const PER_SECOND = 1_000;
const SECONDS = 8;
const ITEMS = 1_000;
const READ_SECONDS = 4;
const APP_CODE = "BENCH-INBOX";
const PUBLIC_KEY = "pk_bench";
const FEED_ID = "9a4f2f1e-6f6e-4a9c-8f0e-2d3c4b5a6978";

export const oneInbox: Measurement = {
  name: "one-inbox",
  run: (rounds, tell) =>
    temporaryDir(async (dir) => {
      const server = await startChild({
        CARILLON_DATA_DIR: dir,
        CARILLON_APP_CODE: APP_CODE,
        CARILLON_PUBLIC_KEY: PUBLIC_KEY,
        CARILLON_FEED_ID: FEED_ID,
      });
      try {
        return [await changes(server, rounds, tell), await wholeInbox(server, rounds, tell)];
      } finally {
        await server.kill();
      }
    }),
};

async function send(server: Child, userIds: readonly string[], title: string): Promise<void> {
  const message = {
    to: userIds.map((user_id) => ({ user_id })),
    content: { title, body: "Invoice 42 over 99.00 EUR was paid." },
    data: { invoice: 42 },
    routing: { method: "single", channels: ["inbox"] },
  };
  const { status } = await call(server.url, "POST", "/send", { message });
  if (status !== 202) throw new Error(`/send was answered ${status}`);
}

// ——— a change through Courier, heard at Knock's sockets ——————————————————————————————————————————————————————————————

interface Reader {
  readonly token: string;
  readonly messageId: string;
  isRead: boolean;
}

/** Users with an item each, and what their browsers need to change it. */
async function readers(server: Child, users: readonly string[]): Promise<readonly Reader[]> {
  for (let i = 0; i < users.length; i += 100) await send(server, users.slice(i, i + 100), "Invoice paid");
  const found: Reader[] = [];
  for (const user of users) {
    const scope = `user_id:${user} inbox:read:messages inbox:write:events`;
    const { body } = await call(server.url, "POST", "/auth/issue-token", { scope, expires_in: "2 hours" });
    const token = body.token as string;
    const { data } = await graphql(server, token, "{ messages { nodes { messageId } } }");
    const { nodes } = data.messages as { nodes: { messageId: string }[] };
    found.push({ token, messageId: nodes[0]?.messageId as string, isRead: false });
  }
  return found;
}

async function graphql(server: Child, token: string, query: string): Promise<{ data: Record<string, unknown> }> {
  const response = await fetch(`${server.url}/q`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ query }),
  });
  if (!response.ok) throw new Error(`/q was answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as { data: Record<string, unknown> };
}

async function changes(server: Child, rounds: number, tell: (line: string) => void): Promise<Row> {
  const users = Array.from({ length: USERS }, (_, i) => `user-${i}`);
  const listeners = new Helper("feed-listeners.ts");
  const pool = new Pool(server.url, { connections: 64, pipelining: 1 });
  try {
    const all = await readers(server, users);
    const url = `${server.url.replace("http", "ws")}/ws/v1/websocket?api_key=${PUBLIC_KEY}&vsn=2.0.0`;
    await listeners.ask({ kind: "open", url, feedId: FEED_ID, users });
    tell(`a change through Courier → a frame at a Knock socket, ${whole(PER_SECOND)} changes/s`);
    const p50s: number[] = [];
    const p99s: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const lags = await paced(all, pool, listeners);
      p50s.push(percentile(lags, 50));
      p99s.push(percentile(lags, 99));
      tell(
        `  round ${round + 1}: p50 ${fixed(p50s[round] as number, 1)} ms, p99 ${fixed(p99s[round] as number, 1)} ms`,
      );
    }
    const [p50, p99] = [percentile(p50s, 50), percentile(p99s, 50)];
    return {
      what: `read and unread through Courier, ${whole(PER_SECOND)} changes/s of ${whole(USERS)} users → frame at each one's Knock socket: p99 (p50)`,
      ours: `${fixed(p99, 1)} ms (${fixed(p50, 1)} ms)`,
      bare: "–",
      figure: `${fixed(p99, 1)} ms`,
      goal: "≤ 50 ms",
      met: p99 <= 50,
    };
  } finally {
    await Promise.all([pool.close(), listeners.end()]);
  }
}

/** Changes at a constant rate, each user in turn. @returns how long after its change was due each frame came. */
async function paced(all: readonly Reader[], pool: Pool, listeners: Helper): Promise<readonly number[]> {
  await listeners.ask({ kind: "arrivals" });
  const due = new Map<number, number[]>();
  const total = PER_SECOND * SECONDS;
  const startedAt = machineNow() + 50;
  const answers: Promise<unknown>[] = [];
  for (let i = 0; i < total; ) {
    const now = machineNow();
    for (; i < total && startedAt + (i / PER_SECOND) * 1_000 <= now; i++) {
      const user = i % all.length;
      const dueAt = startedAt + (i / PER_SECOND) * 1_000;
      due.set(user, [...(due.get(user) ?? []), dueAt]);
      answers.push(change(all[user] as Reader, pool));
    }
    await pause(1);
  }
  await Promise.all(answers);
  await pause(1_000);
  const { arrivals } = await listeners.ask<{ arrivals: [number, number][] }>({ kind: "arrivals" });
  if (arrivals.length < total) throw new Error(`${arrivals.length} of ${total} changes were heard`);
  return arrivals.map(([user, at]) => at - (due.get(user)?.shift() as number));
}

async function change(reader: Reader, pool: Pool): Promise<void> {
  const what = reader.isRead ? "unread" : "read";
  reader.isRead = !reader.isRead;
  const answer = await pool.request({
    method: "POST",
    path: "/q",
    headers: { authorization: `Bearer ${reader.token}`, "content-type": "application/json" },
    body: JSON.stringify({
      query: "mutation Change($id: String!) { done: KIND(messageId: $id) }".replace("KIND", what),
      variables: { id: reader.messageId },
    }),
  });
  if (answer.statusCode !== 200) throw new Error(`/q was answered ${answer.statusCode}`);
  await answer.body.dump();
}

// ——— a whole inbox through Pushwoosh —————————————————————————————————————————————————————————————————————————————————

async function wholeInbox(server: Child, rounds: number, tell: (line: string) => void): Promise<Row> {
  for (let i = 0; i < ITEMS; i++) await send(server, ["collector"], `Invoice ${i} paid`);
  const path = "/json/1.3/getInboxMessages";
  const body = JSON.stringify({ request: { application: APP_CODE, userId: "collector", hwid: "h", count: 0 } });
  const text = await (await fetch(`${server.url}${path}`, { method: "POST", body })).text();
  const { messages } = JSON.parse(text).response as { messages: object[] };
  if (messages.length !== ITEMS) throw new Error(`${messages.length} of ${ITEMS} items were listed`);
  const bare = new Helper("bare-bytes.ts");
  try {
    const { url: bareUrl } = await bare.ask<{ url: string }>({ text });
    const rate = async (url: string): Promise<number> => {
      const result = await autocannon({
        url,
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${SECRET_KEY}` },
        body,
        connections: 16,
        duration: READ_SECONDS,
      });
      if (result.non2xx > 0 || result.errors > 0) throw new Error(`${result.non2xx} answers were no 2xx`);
      return result.requests.total / result.duration;
    };
    const ours = (): Promise<number> => rate(`${server.url}${path}`);
    await ours();
    tell(`getInboxMessages with count 0 on ${whole(ITEMS)} items ÷ bare Fastify with the same bytes`);
    const rates = await inTurn(rounds, ours, () => rate(`${bareUrl}/`), tell);
    return {
      what: `\`getInboxMessages\` with count 0 on ${whole(ITEMS)} items (${whole(text.length / 1024)} KB), calls/s ÷ bare Fastify serving the same bytes`,
      ours: whole(rates.ours),
      bare: whole(rates.bare),
      figure: fixed(rates.ratio),
      goal: "≥ 0.3",
      met: rates.ratio >= 0.3,
    };
  } finally {
    await bare.end();
  }
}
