/**
 * Thousands of random stories of batches and throttles under crashes and stalls. A failure names its seed, with which it
 * comes again: CARILLON_TEST_SEED=<seed>. CARILLON_TEST_SCHEDULES lowers the number of stories.
 */
import { test } from "node:test";
import type { InboxItem, Message } from "../../src/engine/model.ts";
import type { Dialect } from "../../src/storage/database.ts";
import { DIALECTS } from "../conformance/databases.ts";
import { checkLaws, type Found } from "../support/workflow-laws.ts";
import { type Aftermath, Storms } from "../support/workflow-storm.ts";

const SEED = process.env.CARILLON_TEST_SEED;
const WANTED = Number(process.env.CARILLON_TEST_SCHEDULES ?? 5_000);
/** How many stories there are in all, and in each storm. */
const STORIES: { readonly [name in Dialect]: readonly [number, number] } = {
  sqlite: [WANTED, 400],
  postgres: [Math.min(WANTED, 100), 50],
};

for (const dialect of DIALECTS) {
  test(`${dialect}: every activity of a storm is rendered once, no throttle leaks, and every run ends`, async (t) => {
    const first = Number(SEED ?? 1);
    const storms = await Storms.open(dialect);
    t.after(() => storms.close());
    const [stories, each] = STORIES[dialect];
    const count =
      SEED === undefined || process.env.CARILLON_TEST_SCHEDULES !== undefined ? Math.ceil(stories / each) : 1;
    for (let i = 0; i < count; i++) {
      const seed = first + i;
      try {
        const aftermath = await storms.rage(seed, each);
        checkLaws(aftermath, await read(storms, aftermath));
      } catch (error) {
        throw new Error(`the storm of seed ${seed}`, { cause: error });
      }
    }
    t.diagnostic(`${count * each} stories, ${storms.faults} faults`);
  });
}

async function read({ store, env, clock }: Storms, { users, startedAt }: Aftermath): Promise<Found> {
  const messages: Message[] = [];
  for (let after: string | null = null; ; ) {
    const page = await store.runs.list(env, { from: startedAt }, clock.now(), { limit: 200, after });
    messages.push(...page.items);
    if (page.next === null) break;
    after = page.next;
  }
  const items = new Map<string, readonly InboxItem[]>();
  for (const userId of users) {
    const page = await store.inbox.list(env, { userId }, clock.now(), { limit: 100 } as never);
    items.set(userId, page.items);
  }
  return { messages, items };
}
