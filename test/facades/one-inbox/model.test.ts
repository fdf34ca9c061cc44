/**
 * Random sends and changes through random facades, compared after each step with a plain model: what every facade lists,
 * in which order, in what state, what its badges say, and what every page heard of it.
 *
 * `CARILLON_TEST_STEPS` sets the number of steps, `CARILLON_TEST_SEED` repeats a run. A failure names its seed and step.
 */
import { describe, test } from "node:test";
import { DIALECTS } from "../../conformance/databases.ts";
import { Walk } from "./random-walk.ts";
import { World } from "./world.ts";

const STEPS = Number(process.env.CARILLON_TEST_STEPS ?? 10_000);
const SEED = Number(process.env.CARILLON_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** A Postgres run takes twice as long, and differs in nothing but its statements. */
const STEPS_ON = { sqlite: STEPS, postgres: Math.min(STEPS, 400) };
/** After so many steps other people take their place: their inboxes stay small enough to be read whole. */
const GENERATION = 80;

for (const dialect of DIALECTS) {
  describe(dialect, () => {
    const steps = STEPS_ON[dialect];
    test(`${dialect}: ${steps} random steps through all facades leave one inbox`, async (t) => {
      const world = await World.open(dialect);
      const walk = new Walk(world, SEED);
      t.after(() => {
        // The server would wait for open sockets, on a clock that stands still.
        walk.close();
        return world.close();
      });
      for (let i = 0; i < steps; i++) {
        try {
          if (i % GENERATION === 0) {
            if (i > 0) await walk.comparePages();
            await walk.nextGeneration();
          }
          await walk.step();
        } catch (error) {
          throw new Error(`CARILLON_TEST_SEED=${SEED} fails at step ${i}: ${walk.did}`, { cause: error });
        }
      }
    });
  });
}
