/** Workflows: what a trigger costs beside a send, what runs that wait cost, and how fast feeds hear of a new item. */
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import autocannon from "autocannon";
import { type Child, SECRET_KEY, startChild } from "../test/support/child.ts";
import { SEND_BODY, sendRate } from "./accept.ts";
import { fixed, Helper, inTurn, type Measurement, median, type Row, temporaryDir, whole } from "./measure.ts";

const SECONDS = 4;
const RUNS = 10_000;
const RUNS_AT_ONCE = 100;
const SOCKETS = 5_000;
const EVENTS = 40;
const PUBLIC_KEY = "pk_bench";
const FEED_ID = "9a4f2f1e-6f6e-4a9c-8f0e-2d3c4b5a6978";

const IN_APP = {
  ref: "in_app",
  type: "channel",
  channel_key: "in-app",
  template: { markdown_body: "Invoice {{ number }} over {{ amount }} was paid." },
};

export const workflows: Measurement = {
  name: "workflows",
  run: (rounds, tell) =>
    temporaryDir(async (dir) => [
      await triggers(`${dir}/triggers`, rounds, tell),
      ...(await waiting(`${dir}/waiting`, tell)),
      await fanOut(`${dir}/fan-out`, rounds, tell),
    ]),
};

async function call(server: Child, method: string, path: string, body: object): Promise<unknown> {
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${SECRET_KEY}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}: ${text}`);
  return text === "" ? null : JSON.parse(text);
}

async function push(server: Child, key: string, steps: readonly object[]): Promise<void> {
  const workflow = { name: key, steps };
  await call(server, "PUT", `/v1/workflows/${key}?environment=development&commit=true`, { workflow });
}

// ——— a trigger beside a send —————————————————————————————————————————————————————————————————————————————————————————

async function triggers(dataDir: string, rounds: number, tell: (line: string) => void): Promise<Row> {
  const server = await startChild({ CARILLON_DATA_DIR: dataDir });
  const data = SEND_BODY.message.data;
  const triggerRate = async (seconds = SECONDS): Promise<number> => {
    const result = await autocannon({
      url: `${server.url}/v1/workflows/bench/trigger`,
      method: "POST",
      headers: { authorization: `Bearer ${SECRET_KEY}`, "content-type": "application/json" },
      body: JSON.stringify({ recipients: ["u1"], data }),
      connections: 64,
      duration: seconds,
    });
    if (result.non2xx > 0 || result.errors > 0) throw new Error(`${result.non2xx} answers were no 2xx`);
    return result.requests.total / result.duration;
  };
  try {
    await push(server, "bench", [IN_APP]);
    await call(server, "PUT", "/v1/users/u1", { name: "Ada" });
    await triggerRate(2);
    await sendRate(server.url, 2);
    tell("trigger of a one-step in-app workflow ÷ Courier send to the inbox");
    const rates = await inTurn(rounds, triggerRate, () => sendRate(server.url), tell);
    return {
      what: "trigger of a one-step in-app workflow, requests/s ÷ Courier send to the inbox",
      ours: whole(rates.ours),
      bare: whole(rates.bare),
      figure: fixed(rates.ratio),
      goal: "≥ 0.8",
      met: rates.ratio >= 0.8,
    };
  } finally {
    await server.kill();
  }
}

// ——— runs that wait ——————————————————————————————————————————————————————————————————————————————————————————————————

const PACE_MS = 200;
const WAIT_SECONDS = 60;
const WATCH_MS = 10_000;
/** The kernel's ticks a second. */
const HERTZ = 100;

/** Processor time of a process so far, in milliseconds. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return ((Number(fields[11]) + Number(fields[12])) / HERTZ) * 1000;
}

async function watched(pid: number): Promise<number> {
  const before = cpuOf(pid);
  await pause(WATCH_MS);
  return (cpuOf(pid) - before) / WATCH_MS;
}

async function waiting(dataDir: string, tell: (line: string) => void): Promise<readonly Row[]> {
  const server = await startChild({ CARILLON_DATA_DIR: dataDir, CARILLON_FEED_ID: FEED_ID });
  const pid = server.process.pid as number;
  try {
    const delay = { ref: "wait", type: "delay", settings: { delay_for: { unit: "seconds", value: WAIT_SECONDS } } };
    await push(server, "later", [delay, IN_APP]);
    await call(server, "PUT", "/v1/users/u0", {});
    const users = Array.from({ length: RUNS_AT_ONCE }, (_, i) => ({ id: `w${i}` }));
    await call(server, "POST", "/v1/users/bulk/identify", { users });
    tell(`${whole(RUNS)} runs that wait`);
    const idle = await watched(pid);
    for (let i = 0; i < RUNS / RUNS_AT_ONCE; i++) {
      const at = Date.now();
      await call(server, "POST", "/v1/workflows/later/trigger", {
        recipients: users.map(({ id }) => id),
        data: { at, number: i, amount: "99.00 EUR" },
      });
      await pause(Math.max(0, at + PACE_MS - Date.now()));
    }
    const full = await watched(pid);
    await pause(WAIT_SECONDS * 1000);
    const lags = await lagsOf(server, users);
    if (lags.length !== RUNS) throw new Error(`${lags.length} of ${RUNS} runs came to their end`);
    const latest = Math.max(...lags);
    tell(`  idle ${fixed(idle * 100)} %, waiting ${fixed(full * 100)} % of a core; latest ${whole(latest)} ms`);
    return [
      {
        what: `processor time while ${whole(RUNS)} runs wait, share of a core (of an idle server)`,
        ours: `${fixed(full * 100)} %`,
        bare: `${fixed(idle * 100)} %`,
        figure: `${fixed((full - idle) * 100)} %`,
        goal: "≤ 1 %",
        met: full - idle <= 0.01,
      },
      {
        what: `${whole(RUNS)} runs that wake, ${RUNS_AT_ONCE} every ${PACE_MS} ms: latest after its time (median)`,
        ours: `${whole(latest)} ms (${whole(median(lags))} ms)`,
        bare: "–",
        figure: `${whole(latest)} ms`,
        goal: "≤ 1,000 ms",
        met: latest <= 1_000,
      },
    ];
  } finally {
    await server.kill();
  }
}

/** How long after their time the items of these users came. */
async function lagsOf(server: Child, users: readonly { readonly id: string }[]): Promise<readonly number[]> {
  const lags: number[] = [];
  for (const { id } of users) {
    let after: string | null = null;
    do {
      const query: string = after === null ? "" : `&after=${after}`;
      const response = await fetch(`${server.url}/v1/users/${id}/feeds/${FEED_ID}?page_size=50${query}`, {
        headers: { authorization: `Bearer ${SECRET_KEY}` },
      });
      const page = (await response.json()) as {
        entries: { inserted_at: string; data: { at: number } }[];
        page_info: { after: string | null };
      };
      for (const { inserted_at, data } of page.entries) {
        lags.push(Date.parse(inserted_at) - data.at - WAIT_SECONDS * 1000);
      }
      after = page.page_info.after;
    } while (after !== null);
  }
  return lags;
}

// ——— a new item and who hears of it ——————————————————————————————————————————————————————————————————————————————————

interface Spread {
  /** Milliseconds from the first frame to the last. */
  readonly tookMs: number;
}

async function fanOut(dataDir: string, rounds: number, tell: (line: string) => void): Promise<Row> {
  const server = await startChild({
    CARILLON_DATA_DIR: dataDir,
    CARILLON_FEED_ID: FEED_ID,
    CARILLON_PUBLIC_KEY: PUBLIC_KEY,
    CARILLON_MAX_SOCKETS_PER_USER: String(2 * SOCKETS),
  });
  const bareServer = new Helper("bare-ws.ts");
  const ourClients = new Helper("phoenix-sockets.ts");
  const bareClients = new Helper("phoenix-sockets.ts");
  try {
    await push(server, "bench", [IN_APP]);
    await call(server, "PUT", "/v1/users/u1", {});
    const ws = server.url.replace("http", "ws");
    await ourClients.ask({
      kind: "open",
      url: `${ws}/ws/v1/websocket?api_key=${PUBLIC_KEY}&vsn=2.0.0`,
      sockets: SOCKETS,
      topic: `feeds:${FEED_ID}:u1`,
    });
    const { url } = await bareServer.ask<{ url: string }>({ kind: "start" });
    await bareClients.ask({ kind: "open", url: `${url}/`, sockets: SOCKETS, topic: null });
    const frame = JSON.stringify([
      null,
      null,
      `feeds:${FEED_ID}:u1`,
      "new-message",
      {
        event: "new-message",
        metadata: { total_count: 1, unread_count: 1, unseen_count: 1 },
        data: { client_0000: { metadata: { total_count: 1, unread_count: 1, unseen_count: 1 } } },
        attn: ["client_0000"],
      },
    ]);
    // Each item is told by itself: the next one comes when all have heard of the last.
    const ours = async (): Promise<number> => {
      let tookMs = 0;
      for (let i = 0; i < EVENTS / 4; i++) {
        const heard = ourClients.ask<Spread>({ kind: "count", frames: SOCKETS });
        await call(server, "POST", "/v1/workflows/bench/trigger", {
          recipients: ["u1"],
          data: { number: i, amount: 1 },
        });
        tookMs += (await heard).tookMs;
      }
      return (SOCKETS * EVENTS) / 4 / (tookMs / 1000);
    };
    const bare = async (): Promise<number> => {
      let tookMs = 0;
      for (let i = 0; i < EVENTS / 4; i++) {
        const heard = bareClients.ask<Spread>({ kind: "count", frames: SOCKETS });
        await bareServer.ask({ kind: "send", times: 1, text: frame });
        tookMs += (await heard).tookMs;
      }
      return (SOCKETS * EVENTS) / 4 / (tookMs / 1000);
    };
    await ours();
    await bare();
    tell(`new-message to ${whole(SOCKETS)} Phoenix sockets ÷ bare ws`);
    const rates = await inTurn(rounds, ours, bare, tell);
    return {
      what: `\`new-message\` to ${whole(SOCKETS)} Phoenix sockets, frames/s from the first to the last ÷ bare ws with the same text`,
      ours: whole(rates.ours),
      bare: whole(rates.bare),
      figure: fixed(rates.ratio),
      goal: "≥ 0.5",
      met: rates.ratio >= 0.5,
    };
  } finally {
    await Promise.all([server.kill(), bareServer.end(), ourClients.end(), bareClients.end()]);
  }
}
