/** Taking requests in: durable accept against Fastify that does nothing, full against normal durability. */
import autocannon from "autocannon";
import { SECRET_KEY, startChild } from "../test/support/child.ts";
import { fixed, Helper, inTurn, type Measurement, type Row, temporaryDir, whole } from "./measure.ts";

const SECONDS = 4;
export const SEND_BODY = {
  message: {
    to: { user_id: "u1" },
    content: { title: "Invoice paid", body: "Invoice {{number}} over {{amount}} was paid." },
    data: { number: 42, amount: "99.00 EUR" },
    routing: { method: "single", channels: ["inbox"] },
  },
};

/** Requests per second of `POST /send`, with 64 callers. @throws when anything but 202 comes back. */
export async function sendRate(url: string, seconds = SECONDS, body: object = SEND_BODY): Promise<number> {
  const result = await autocannon({
    url: `${url}/send`,
    method: "POST",
    headers: { authorization: `Bearer ${SECRET_KEY}`, "content-type": "application/json" },
    body: JSON.stringify(body),
    connections: 64,
    duration: seconds,
  });
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${result.non2xx} answers were no 2xx, ${result.errors} errors`);
  return result.requests.total / result.duration;
}

export const accept: Measurement = {
  name: "accept",
  run: (rounds, tell) =>
    temporaryDir(async (dir) => {
      const bare = new Helper("bare-fastify.ts");
      const { url: bareUrl } = await bare.ask<{ url: string }>({});
      const full = await startChild({ CARILLON_DATA_DIR: `${dir}/full` });
      const normal = await startChild({ CARILLON_DATA_DIR: `${dir}/normal`, CARILLON_DURABILITY: "normal" });
      try {
        for (const url of [bareUrl, full.url, normal.url]) await sendRate(url, 2);
        tell("durable accept ÷ bare Fastify");
        const accepted = await inTurn(
          rounds,
          () => sendRate(full.url),
          () => sendRate(bareUrl),
          tell,
        );
        tell("FULL ÷ NORMAL");
        const durable = await inTurn(
          rounds,
          () => sendRate(full.url),
          () => sendRate(normal.url),
          tell,
        );
        const rows: Row[] = [
          {
            what: "durable accept of `POST /send`, requests/s ÷ bare Fastify with the same schema",
            ours: whole(accepted.ours),
            bare: whole(accepted.bare),
            figure: fixed(accepted.ratio),
            goal: "≥ 0.40",
            met: accepted.ratio >= 0.4,
          },
          {
            what: "the same with FULL ÷ with NORMAL durability",
            ours: whole(durable.ours),
            bare: whole(durable.bare),
            figure: fixed(durable.ratio),
            goal: "≥ 0.95",
            met: durable.ratio >= 0.95,
          },
        ];
        return rows;
      } finally {
        await Promise.all([full.kill(), normal.kill(), bare.end()]);
      }
    }),
};
