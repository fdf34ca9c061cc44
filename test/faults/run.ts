/** `npm run test:faults -- --rounds N [--seed S]`: the fault suite alone, as long as you like. */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "20" }, seed: { type: "string" } } });
const files = globSync(resolve(import.meta.dirname, "*.test.ts"));
const { status } = spawnSync(process.execPath, ["--test", "--test-concurrency=1", ...files], {
  stdio: "inherit",
  env: {
    ...process.env,
    CARILLON_TEST_ROUNDS: values.rounds,
    ...(values.seed === undefined ? {} : { CARILLON_TEST_SEED: values.seed }),
  },
});
process.exitCode = status ?? 1;
