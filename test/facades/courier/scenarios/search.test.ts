import assert from "node:assert/strict";
import { test } from "node:test";
import Courier from "@trycourier/courier";
import { onEveryDatabase, refusal, type World } from "./world.ts";

type Query = Courier.MessageListParams;

/** Ids of all messages that match, page by page. */
async function search(world: World, query: Query): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < 20; page++) {
    const { paging, results } = await world.sdk.messages.list({ ...query, cursor });
    ids.push(...results.map(({ id }) => id));
    if (!paging.more) return ids;
    assert.ok(paging.cursor, "a page that is not the last names the next");
    assert.ok(results.length > 0, "a page that is not the last holds something");
    cursor = paging.cursor;
  }
  assert.fail("the pages have an end");
}

onEveryDatabase("fake", (world) => {
  test("32. Search, paging, archive", async () => {
    const sent: { id: string; tag: string; email: string }[] = [];
    let middle = "";
    for (let i = 0; i < 45; i++) {
      const tag = i % 2 === 0 ? "a" : "b";
      const email = `r${i % 5}@x.io`;
      const metadata = { tags: [tag], trace_id: `trace-${i % 3}` };
      const id = await world.send({ to: { email }, content: { title: "T", body: "B" }, metadata });
      sent.push({ id, tag, email });
      // The first 23 were enqueued until here, the last 22 after it.
      if (i === 22) middle = new Date(world.clock.now()).toISOString();
      if (i % 10 === 2) world.clock.advance(1_000);
    }
    const ghost = await world.send({
      to: { user_id: "ghost" },
      content: { title: "T", body: "B" },
      routing: { method: "single", channels: ["email"] },
      metadata: { tags: ["a"] },
    });
    await world.idle();
    const ids = (test: (one: (typeof sent)[number], i: number) => boolean): string[] =>
      sent
        .filter(test)
        .map(({ id }) => id)
        .reverse();

    const all = await search(world, {});
    assert.deepEqual(all, [ghost, ...ids(() => true)]);
    assert.deepEqual(
      await search(world, { status: ["SENT"] }),
      ids(() => true),
    );
    assert.deepEqual(await search(world, { status: ["UNROUTABLE"] }), [ghost]);
    assert.deepEqual(await search(world, { status: ["UNROUTABLE", "SENT"] }), all);
    const ofA = ids(({ tag }) => tag === "a");
    assert.deepEqual(await search(world, { tags: "a" }), [ghost, ...ofA]);
    assert.deepEqual(await search(world, { tags: "a,b" }), all);
    assert.deepEqual(
      await search(world, { recipient: "r1@x.io" }),
      ids(({ email }) => email === "r1@x.io"),
    );
    assert.deepEqual(
      await search(world, { traceId: "trace-1" }),
      ids((_, i) => i % 3 === 1),
    );
    assert.deepEqual(await search(world, { enqueued_after: middle }), [ghost, ...ids((_, i) => i > 22)]);
    assert.deepEqual(
      await search(world, {
        status: ["SENT"],
        tags: "a",
        recipient: "r1@x.io",
        traceId: "trace-0",
        enqueued_after: middle,
      }),
      ids(({ tag, email }, i) => tag === "a" && email === "r1@x.io" && i % 3 === 0 && i > 22),
    );
    assert.deepEqual(await search(world, { tags: "a", recipient: "r1@x.io", traceId: "trace-7" }), []);

    const archived = sent[7]?.id ?? "";
    const answer = await world.sdk.requests.archive(archived).asResponse();
    assert.deepEqual([answer.status, await answer.text()], [202, ""]);
    const left = all.filter((id) => id !== archived);
    assert.deepEqual(await search(world, {}), left);
    assert.deepEqual(await search(world, { archived: true }), all);
    assert.equal((await world.sdk.messages.retrieve(archived)).id, archived);
    assert.equal((await world.output(archived)).length, 1);

    for (const cursor of ["nonsense", "=", "1"]) {
      const error = await refusal(world.sdk.messages.list({ cursor }));
      assert.ok(error instanceof Courier.BadRequestError, cursor);
    }
  });
});
