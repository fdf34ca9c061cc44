/** Sockets: one event to many of them, and what an idle one costs, against `ws` alone. */
import { call, startChild } from "../test/support/child.ts";
import { fixed, Helper, inTurn, type Measurement, median, memoryOf, temporaryDir, whole } from "./measure.ts";

const LISTENERS = 1000;
const EVENTS = 300;
const IDLE = 10_000;
/** About as long as a frame of an ordinary inbox message. */
const FRAME = JSON.stringify({
  type: "message",
  event: "message",
  data: { title: "Invoice paid", preview: "x".repeat(1400) },
});

export const sockets: Measurement = {
  name: "sockets",
  run: async (rounds, tell) => {
    tell("broadcast");
    const ours = await broadcaster("hub.ts", "?token=bench");
    const bare = await broadcaster("bare-ws.ts", "");
    const rates = await inTurn(rounds, ours.round, bare.round, tell);
    await Promise.all([ours.end(), bare.end()]);

    tell("memory of idle sockets");
    const perSocket = { ours: [] as number[], bare: [] as number[] };
    for (let round = 0; round < Math.min(rounds, 3); round++) {
      perSocket.ours.push(await idleOurs());
      perSocket.bare.push(await idleBare());
      tell(
        `  round ${round + 1}: ours ${whole(perSocket.ours[round] as number)} B, bare ${whole(perSocket.bare[round] as number)} B each`,
      );
    }
    const memory = median(perSocket.ours.map((value, i) => value / (perSocket.bare[i] as number)));
    return [
      {
        what: `one event to ${whole(LISTENERS)} sockets, frames/s ÷ bare ws`,
        ours: whole(rates.ours),
        bare: whole(rates.bare),
        figure: fixed(rates.ratio),
        goal: "≥ 0.7",
        met: rates.ratio >= 0.7,
      },
      {
        what: `memory of an idle inbox socket ÷ bare ws, with ${whole(IDLE)} of them`,
        ours: `${whole(median(perSocket.ours))} B`,
        bare: `${whole(median(perSocket.bare))} B`,
        figure: fixed(memory),
        goal: "≤ 2.0",
        met: memory <= 2,
      },
    ];
  },
};

/** A server process and a client process with its sockets; a round sends the events and waits for the last frame. */
async function broadcaster(
  file: string,
  query: string,
): Promise<{ round: () => Promise<number>; end: () => Promise<unknown> }> {
  const server = new Helper(file);
  const clients = new Helper("sockets.ts");
  const { url } = await server.ask<{ url: string }>({ kind: "start" });
  await clients.ask({ kind: "open", url: `${url}/${query}`, sockets: LISTENERS });
  const frames = LISTENERS * EVENTS;
  return {
    round: async () => {
      const counted = clients.ask<{ at: number }>({ kind: "count", frames });
      const { at } = await server.ask<{ at: number }>({ kind: "send", times: EVENTS, text: FRAME });
      return frames / (((await counted).at - at) / 1000);
    },
    end: () => Promise.all([server.end(), clients.end()]),
  };
}

async function idleOurs(): Promise<number> {
  return await temporaryDir(async (dir) => {
    const server = await startChild({ CARILLON_DATA_DIR: dir, CARILLON_MAX_SOCKETS_PER_USER: String(2 * IDLE) });
    const { body } = await call(server.url, "POST", "/auth/issue-token", {
      scope: "user_id:u1 inbox:read:messages",
      expires_in: "2 hours",
    });
    try {
      const url = `${server.url.replace("http", "ws")}/?token=${body.token}`;
      return await growth(server.process.pid as number, url);
    } finally {
      await server.kill();
    }
  });
}

async function idleBare(): Promise<number> {
  const server = new Helper("bare-ws.ts");
  try {
    const { url } = await server.ask<{ url: string }>({ kind: "start" });
    return await growth(server.pid, url);
  } finally {
    await server.end();
  }
}

/** Bytes per socket. A first tenth of the sockets warms up what is allocated once. */
async function growth(pid: number, url: string): Promise<number> {
  const warm = new Helper("sockets.ts");
  await warm.ask({ kind: "open", url, sockets: IDLE / 10 });
  const before = memoryOf(pid);
  const clients = new Helper("sockets.ts");
  await clients.ask({ kind: "open", url, sockets: IDLE });
  const after = memoryOf(pid);
  await Promise.all([warm.end(), clients.end()]);
  return (after - before) / IDLE;
}
