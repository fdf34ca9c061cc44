/** A server that has nothing to do: how soon it answers, how much memory it holds. */
import { setTimeout as pause } from "node:timers/promises";
import { startChild } from "../test/support/child.ts";
import { fixed, type Measurement, median, memoryOf, temporaryDir, whole } from "./measure.ts";

export const idle: Measurement = {
  name: "idle",
  run: async (rounds, tell) => {
    const ready: number[] = [];
    const memory: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await temporaryDir(async (dir) => {
        const started = performance.now();
        const server = await startChild({ CARILLON_DATA_DIR: dir });
        const answer = await fetch(`${server.url}/health`);
        ready.push(performance.now() - started);
        if (answer.status !== 200) throw new Error(`/health answered ${answer.status}`);
        await pause(3000);
        memory.push(memoryOf(server.process.pid as number));
        await server.kill();
      });
      tell(
        `  round ${round + 1}: ready after ${whole(ready[round] as number)} ms, ${fixed((memory[round] as number) / 1e6, 0)} MB`,
      );
    }
    return [
      {
        what: "time from start to the first 200 of `/health`, on an empty directory",
        ours: `${whole(median(ready))} ms`,
        bare: "–",
        figure: `${fixed(median(ready) / 1000)} s`,
        goal: "≤ 1 s",
        met: median(ready) <= 1000,
      },
      {
        what: "resident memory, idle",
        ours: `${fixed(median(memory) / 1e6, 0)} MB`,
        bare: "–",
        figure: `${fixed(median(memory) / 1e6, 0)} MB`,
        goal: "≤ 120 MB",
        met: median(memory) <= 120e6,
      },
    ];
  },
};
