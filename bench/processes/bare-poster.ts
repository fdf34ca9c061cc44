/**
 * What sending webhooks costs at the least: a loop that signs and posts with undici, remembers nothing, decides nothing
 * and looks at nothing but the status.
 */
import { createHmac, createSecretKey } from "node:crypto";
import { Pool } from "undici";

export interface PosterQuestion {
  readonly url: string;
  readonly body: string;
  readonly count: number;
  /** Tries at once, each on a connection of its own. */
  readonly connections: number;
}

export interface Posted {
  /** As `Tally.at` of the receiver. */
  readonly startedAt: number;
}

const key = createSecretKey(Buffer.alloc(24, 7));

process.on("message", async ({ url, body, count, connections }: PosterQuestion) => {
  const { origin, pathname } = new URL(url);
  const pool = new Pool(origin, { connections, pipelining: 1 });
  const startedAt = Number(process.hrtime.bigint()) / 1e6;
  let begun = 0;
  const postAll = async (): Promise<void> => {
    while (begun < count) {
      // As long as the real ones: the receiver reads them.
      const id = `msg_${String(begun++).padStart(27, "0")}`;
      const seconds = Math.floor(Date.now() / 1000);
      const signature = `v1,${createHmac("sha256", key).update(`${id}.${seconds}.${body}`).digest("base64")}`;
      const answer = await pool.request({
        method: "POST",
        path: pathname,
        headers: {
          "content-type": "application/json",
          "user-agent": "bare",
          "svix-id": id,
          "svix-timestamp": `${seconds}`,
          "svix-signature": signature,
          "webhook-id": id,
          "webhook-timestamp": `${seconds}`,
          "webhook-signature": signature,
        },
        body,
      });
      if (answer.statusCode !== 204) throw new Error(`the receiver answered ${answer.statusCode}`);
      await answer.body.dump();
    }
  };
  await Promise.all(Array.from({ length: connections }, postAll));
  process.send?.({ startedAt } satisfies Posted);
  await pool.close();
});
