/** From `POST /send` to a frame at a subscribed socket: throughput against accepting alone, and latency at half of it. */
import { Pool } from "undici";
import { WebSocket } from "ws";
import { call, SECRET_KEY, startChild } from "../test/support/child.ts";
import { SEND_BODY, sendRate } from "./accept.ts";
import { fixed, inTurn, type Measurement, percentile, temporaryDir, whole } from "./measure.ts";

const SECONDS = 4;

export const realtime: Measurement = {
  name: "realtime",
  run: (rounds, tell) =>
    temporaryDir(async (dir) => {
      const server = await startChild({ CARILLON_DATA_DIR: dir });
      try {
        const heard = await listener(server.url, "u1");
        const toNobody = { message: { ...SEND_BODY.message, to: { user_id: "nobody-listens" } } };
        await sendRate(server.url, 2);
        const throughput = async (): Promise<number> => {
          const before = heard.count();
          const started = performance.now();
          const rate = await sendRate(server.url, SECONDS);
          // Frames still on their way belong to this round; the client counts a call or two more than it reports.
          await heard.quiet();
          const frames = heard.count() - before;
          return Math.min(rate, frames / ((performance.now() - started - heard.quietMs) / 1000));
        };
        const rates = await inTurn(rounds, throughput, () => sendRate(server.url, SECONDS, toNobody), tell);
        const latencies = await paced(server.url, rates.ours / 2, heard);
        const [p50, p99] = [percentile(latencies, 50), percentile(latencies, 99)];
        heard.close();
        return [
          {
            what: "send → frame at a subscribed socket, messages/s ÷ accepting alone",
            ours: whole(rates.ours),
            bare: whole(rates.bare),
            figure: fixed(rates.ratio),
            goal: "≥ 0.5",
            met: rates.ratio >= 0.5,
          },
          {
            what: `latency from send to frame at half load (${whole(rates.ours / 2)}/s): p50, p99`,
            ours: `${fixed(p50, 1)} ms, ${fixed(p99, 1)} ms`,
            bare: "–",
            figure: `${fixed(p99, 1)} ms`,
            goal: "–",
            met: true,
          },
        ];
      } finally {
        await server.kill();
      }
    }),
};

interface Heard {
  count(): number;
  /** Resolves when no frame has come for `quietMs`. */
  quiet(): Promise<void>;
  readonly quietMs: number;
  onFrame: (text: string) => void;
  close(): void;
}

async function listener(url: string, user: string): Promise<Heard> {
  const { body } = await call(url, "POST", "/auth/issue-token", {
    scope: `user_id:${user} inbox:read:messages`,
    expires_in: "2 hours",
  });
  const socket = new WebSocket(`${url.replace("http", "ws")}/?token=${body.token}`, { perMessageDeflate: false });
  await new Promise((ready, failed) => {
    socket.once("open", ready);
    socket.once("error", failed);
  });
  let frames = 0;
  let last = performance.now();
  const heard: Heard = {
    count: () => frames,
    quietMs: 200,
    async quiet() {
      last = performance.now();
      while (performance.now() - last < heard.quietMs) await new Promise((resolve) => setTimeout(resolve, 20));
    },
    onFrame: () => {},
    close: () => socket.terminate(),
  };
  socket.on("message", (data: Buffer) => {
    frames++;
    last = performance.now();
    heard.onFrame(data.toString());
  });
  return heard;
}

/** Sends at a steady rate and measures each message from its send to its frame, in milliseconds. */
async function paced(url: string, perSecond: number, heard: Heard): Promise<number[]> {
  const pool = new Pool(url, { connections: 32 });
  const sentAt = new Map<number, number>();
  const latencies: number[] = [];
  heard.onFrame = (text) => {
    const n = Number(/"n":(\d+)/.exec(text)?.[1]);
    const at = sentAt.get(n);
    if (at === undefined) return;
    sentAt.delete(n);
    latencies.push(performance.now() - at);
  };
  const headers = { authorization: `Bearer ${SECRET_KEY}`, "content-type": "application/json" };
  const started = performance.now();
  const answers: Promise<unknown>[] = [];
  for (let n = 0; performance.now() - started < SECONDS * 1000; ) {
    const due = ((performance.now() - started) / 1000) * perSecond;
    for (; n < due; n++) {
      sentAt.set(n, performance.now());
      const body = JSON.stringify({ message: { ...SEND_BODY.message, data: { ...SEND_BODY.message.data, n } } });
      answers.push(
        pool.request({ path: "/send", method: "POST", headers, body }).then((response) => response.body.dump()),
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(answers);
  await heard.quiet();
  heard.onFrame = () => {};
  await pool.close();
  return latencies;
}
