/** Webhooks: from the call that makes a message to the receivers that have it, and what waiting ones cost. */
import { setTimeout as pause } from "node:timers/promises";
import { type Child, startChild } from "../test/support/child.ts";
import {
  fixed,
  Helper,
  inTurn,
  type Measurement,
  median,
  memoryOf,
  percentile,
  type Row,
  temporaryDir,
  whole,
} from "./measure.ts";
import type { Posted } from "./processes/bare-poster.ts";
import type { Tally } from "./processes/receiver.ts";
import { CALLERS, type Group, machineNow, PAYLOAD, WebhookLoad } from "./webhook-load.ts";

/** Less than 1 is for trying the measurement itself out. */
const SCALE = Number(process.env.BENCH_SCALE ?? 1);
const MESSAGES = 20_000 * SCALE;
/** Deliveries of a round with many endpoints, however many there are. */
const DELIVERIES = 40_000 * SCALE;
const STEADY_SECONDS = Math.max(1, 8 * SCALE);
const ENDPOINTS = [1, 10, 100] as const;
const MANY = 100;
const HANGING = 10;
const WAITING = 1_000_000 * SCALE;
/** As far ahead as a message may be told to wait, but for an hour. */
const AHEAD_MS = 23 * 3_600_000;

type Tell = (line: string) => void;

interface Stage {
  readonly dir: string;
  readonly receiver: Helper;
  readonly receiverUrl: string;
}

function serverOf(dir: string): Promise<Child> {
  return startChild({ CARILLON_DATA_DIR: dir, CARILLON_ALLOW_NETWORKS: "127.0.0.0/8" });
}

export const webhooks: Measurement = {
  name: "webhooks",
  run: (rounds, tell) =>
    temporaryDir(async (dir) => {
      const receiver = new Helper("receiver.ts");
      try {
        const { url: receiverUrl } = await receiver.ask<{ url: string }>({ kind: "start" });
        const stage = { dir, receiver, receiverUrl };
        return [
          ...(await throughput(stage, rounds, tell)),
          ...(await withHanging(stage, rounds, tell)),
          ...(await whileWaiting(stage, tell)),
        ];
      } finally {
        await receiver.end();
      }
    }),
};

/** Deliveries a second, from the first call until the receiver has them all. */
async function rate(load: WebhookLoad, group: Group, messages: number, expected: number, tell: Tell): Promise<number> {
  const startedAt = await load.postAll(group, messages);
  const { at, repeated } = await load.arrived(group, expected);
  if (repeated > 0) tell(`  ${repeated} webhooks came twice`);
  return expected / ((at - startedAt) / 1000);
}

async function throughput(stage: Stage, rounds: number, tell: Tell): Promise<readonly Row[]> {
  const server = await serverOf(`${stage.dir}/throughput`);
  const load = new WebhookLoad(server.url, stage.receiver, stage.receiverUrl);
  const poster = new Helper("bare-poster.ts");
  const ours = async (messages = MESSAGES): Promise<number> =>
    await rate(load, await load.application(1), messages, messages, tell);
  let posts = 0;
  const bare = async (count = MESSAGES): Promise<number> => {
    const group = `bare${posts++}`;
    const url = `${stage.receiverUrl}/ok/${group}/0`;
    const { startedAt } = await poster.ask<Posted>({ url, body: JSON.stringify(PAYLOAD), count, connections: CALLERS });
    const { at } = await stage.receiver.ask<Tally>({ kind: "await", group, count });
    return count / ((at - startedAt) / 1000);
  };
  try {
    await ours(MESSAGES / 2);
    await bare(MESSAGES / 2);
    tell("accept → delivered ÷ a bare loop that signs and posts");
    const delivered = await inTurn(rounds, ours, bare, tell);
    return [
      {
        what: "webhooks accepted through `POST /api/v1/app/{id}/msg` and delivered at one endpoint, messages/s ÷ bare undici loop that signs and posts",
        ours: whole(delivered.ours),
        bare: whole(delivered.bare),
        figure: fixed(delivered.ratio),
        goal: "≥ 0.35",
        met: delivered.ratio >= 0.35,
      },
      await latency(load, delivered.ours / 2, rounds, tell),
      await width(load, rounds, tell),
    ];
  } finally {
    await Promise.all([server.kill(), load.close(), poster.end()]);
  }
}

/** From when a call was due to be sent, so that what it waits for anywhere counts. */
async function latency(load: WebhookLoad, perSecond: number, rounds: number, tell: Tell): Promise<Row> {
  tell(`from the sending of the call to the first try, ${whole(perSecond)} messages/s`);
  const p50: number[] = [];
  const p99: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const group = await load.application(1);
    const dueAt = await load.postSteadily(group, perSecond, STEADY_SECONDS);
    await load.arrived(group, dueAt.size);
    const arrivals = await load.arrivals(group);
    const tookMs = [...dueAt].map(([id, due]) => (arrivals.get(id) ?? Number.POSITIVE_INFINITY) - due);
    p50.push(percentile(tookMs, 50));
    p99.push(percentile(tookMs, 99));
    tell(`  round ${round + 1}: p50 ${fixed(p50[round] as number, 1)} ms, p99 ${fixed(p99[round] as number, 1)} ms`);
  }
  return {
    what: "from the sending of the call to the arrival of the first try, at half of that load, constant rate: p99 (p50)",
    ours: `${fixed(median(p99), 1)} ms (${fixed(median(p50), 1)} ms)`,
    bare: "–",
    figure: `${fixed(median(p99), 1)} ms`,
    goal: "≤ 100 ms",
    met: median(p99) <= 100,
  };
}

async function width(load: WebhookLoad, rounds: number, tell: Tell): Promise<Row> {
  tell("deliveries/s with 1, 10 and 100 endpoints for each message");
  const rates = ENDPOINTS.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, endpoints] of ENDPOINTS.entries()) {
      const group = await load.application(endpoints);
      rates[i]?.push(await rate(load, group, DELIVERIES / endpoints, DELIVERIES, tell));
    }
    tell(`  round ${round + 1}: ${rates.map((of) => whole(of[round] as number)).join(", ")}`);
  }
  const [one = [], ten = [], hundred = []] = rates;
  const ratio = median(hundred.map((value, round) => value / (one[round] as number)));
  return {
    what: "deliveries/s with 100 endpoints for each message ÷ with one (with ten)",
    ours: `${whole(median(hundred))} (${whole(median(ten))})`,
    bare: whole(median(one)),
    figure: fixed(ratio),
    goal: "≥ 1",
    met: ratio >= 1,
  };
}

/** Two servers, so that what still hangs of one round is not in the way of those with which it is compared. */
async function withHanging(stage: Stage, rounds: number, tell: Tell): Promise<readonly Row[]> {
  const servers = await Promise.all([serverOf(`${stage.dir}/hanging`), serverOf(`${stage.dir}/answering`)]);
  const loads = servers.map(({ url }) => new WebhookLoad(url, stage.receiver, stage.receiverUrl));
  const [hanging, answering] = loads as [WebhookLoad, WebhookLoad];
  const messages = DELIVERIES / MANY;
  // New endpoints for every round: nobody knows yet which of them hang.
  const some = async (): Promise<number> =>
    rate(hanging, await hanging.application(MANY - HANGING, HANGING), messages, messages * (MANY - HANGING), tell);
  const none = async (): Promise<number> =>
    rate(answering, await answering.application(MANY), messages, messages * MANY, tell);
  try {
    for (const load of loads) await rate(load, await load.application(MANY), messages / 2, (messages / 2) * MANY, tell);
    tell("deliveries/s at healthy endpoints, 10 of 100 hanging ÷ none hanging");
    const healthy = await inTurn(rounds, some, none, tell);
    return [
      {
        what: "deliveries/s at the healthy ones of 100 endpoints of which 10 hang ÷ at 100 of which none hangs",
        ours: whole(healthy.ours),
        bare: whole(healthy.bare),
        figure: fixed(healthy.ratio),
        goal: "≥ 0.9",
        met: healthy.ratio >= 0.9,
      },
    ];
  } finally {
    await Promise.all([...servers.map((server) => server.kill()), ...loads.map((load) => load.close())]);
  }
}

/** Deliveries that wait for their time: messages told to wait, made through the same call as all others. */
async function whileWaiting(stage: Stage, tell: Tell): Promise<readonly Row[]> {
  const dir = `${stage.dir}/waiting`;
  tell(`memory with ${whole(WAITING)} waiting deliveries`);
  const idle = await idleMemory(dir);
  let server = await serverOf(dir);
  let load = new WebhookLoad(server.url, stage.receiver, stage.receiverUrl);
  try {
    const group = await load.application(MANY);
    let isFilling = true;
    let peak = 0;
    const watch = (async () => {
      for (; isFilling; await pause(50)) peak = Math.max(peak, memoryOf(server.process.pid as number));
    })();
    const deliverAt = new Date(Date.now() + AHEAD_MS).toISOString();
    const startedAt = await load.postAll(group, WAITING / MANY, { deliverAt });
    tell(`  made in ${fixed((machineNow() - startedAt) / 1000, 1)} s`);
    isFilling = false;
    await watch;
    await server.stop();
    await load.close();

    const restartedAt = machineNow();
    server = await serverOf(dir);
    const readyMs = machineNow() - restartedAt;
    load = new WebhookLoad(server.url, stage.receiver, stage.receiverUrl);
    const other = await load.application(1);
    const perSecond = await rate(load, other, MESSAGES / 4, MESSAGES / 4, tell);
    const restarted = memoryOf(server.process.pid as number);
    tell(`  started again in ${whole(readyMs)} ms, then ${whole(perSecond)} messages/s delivered`);
    const growth = (peak - idle) / 1e6;
    return [
      {
        what: `growth of resident memory over an idle server, at its highest while ${whole(WAITING)} waiting deliveries are made (after a new start with them, having delivered ${whole(MESSAGES / 4)} others)`,
        ours: `${fixed(growth, 0)} MB (${fixed((restarted - idle) / 1e6, 0)} MB)`,
        bare: `${fixed(idle / 1e6, 0)} MB idle`,
        figure: `${fixed(growth, 0)} MB`,
        goal: "≤ 200 MB",
        met: growth <= 200,
      },
      {
        what: `start with ${whole(WAITING)} waiting deliveries, until it listens`,
        ours: `${whole(readyMs)} ms`,
        bare: "–",
        figure: `${fixed(readyMs / 1000)} s`,
        goal: "≤ 1 s",
        met: readyMs <= 1000,
      },
    ];
  } finally {
    await Promise.all([server.kill(), load.close()]);
  }
}

async function idleMemory(dir: string): Promise<number> {
  const server = await serverOf(dir);
  await pause(3000);
  const memory = memoryOf(server.process.pid as number);
  await server.stop();
  return memory;
}
