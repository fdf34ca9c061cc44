import assert from "node:assert/strict";
import { test } from "node:test";
import { DIALECTS } from "../../conformance/databases.ts";
import { svixFor } from "./svix-target.ts";

const DAY_MS = 86_400_000;

for (const [i, dialect] of DIALECTS.entries()) {
  test(`${dialect}: lists look back 90 days unless they are told otherwise (trap 13)`, async (t) => {
    const { svix, svix2, clock } = await svixFor(t, { dialect });
    // Ids never go back within a process.
    clock.advance(i * 200 * DAY_MS);
    await svix.application.create({ name: "One", uid: "old" });
    const ids: string[] = [];
    for (let day = 0; day < 4; day++) {
      ids.unshift((await svix.message.create("old", { eventType: "x", payload: { day } })).id);
      clock.advance(60 * DAY_MS);
    }
    const listed = async (options: Parameters<typeof svix.message.list>[1]): Promise<string[]> =>
      (await svix2.message.list("old", options)).data.map(({ id }) => id);
    const at = (age: number): Date => new Date(clock.now() - age * DAY_MS);
    assert.deepEqual(await listed({}), ids.slice(0, 1), "the last 90 days");
    assert.deepEqual(await listed({ before: at(80) }), ids.slice(1, 2), "90 days before a time");
    assert.deepEqual(await listed({ before: at(100) }), ids.slice(1, 3));
    assert.deepEqual(await listed({ after: at(241) }), ids.slice(2), "90 days after a time");
    assert.deepEqual(await listed({ after: at(241), limit: 1 }), ids.slice(3), "the oldest page of them");
    assert.deepEqual(await listed({ after: at(241), before: at(1) }), ids, "as long as is asked for");
    assert.deepEqual(await listed({ iterator: ids[1] as string }), ids.slice(2, 3), "90 days before the iterator");
    assert.deepEqual((await svix.message.get("old", ids[3] as string)).payload, { expired: true });
  });
}
