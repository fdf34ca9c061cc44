import assert from "node:assert/strict";
import { test } from "node:test";
import { forEachKnock } from "../knock-target.ts";
import { connect, pushed, topicOf } from "../socket/phoenix-client.ts";
import { feedOf, inAppStep, newUser, pushWorkflow, trigger } from "./feed-world.ts";

forEachKnock((name, open) => {
  test(`${name}: three triggers by two actors are one item that speaks of all of them, pushed once`, async (t) => {
    const target = await open();
    await pushWorkflow(target, "digest", {
      steps: [
        {
          type: "batch",
          ref: "batch_1",
          settings: { batch_window: { unit: "seconds", value: 5 }, batch_window_type: "fixed", batch_order: "asc" },
        },
        inAppStep({ markdown_body: "{{ total_activities }} by {{ total_actors }}" }),
      ],
    });
    const user = await newUser(target);
    const [ann, bob] = [await newUser(target), await newUser(target)];
    const client = await connect(target);
    t.after(() => client.close());
    await client.join(topicOf(target, user), { a: { mode: "compact", archived: "exclude" } }, "1");
    for (const [n, actor] of [ann, bob, ann].entries()) {
      await trigger(target, "digest", [user], { actor, data: { n, list: [n] } });
      target.clock.advance(1_000);
    }
    // The later two are over when they are in the batch.
    const runs = async (status: string): Promise<number> =>
      (await target.call("GET", `/workflow_recipient_runs?recipient=${user}&status[]=${status}`)).body.items.length;
    while ((await runs("paused")) !== 1 || (await runs("completed")) !== 2) await new Promise(setImmediate);
    const { hub } = target.app;
    const came = new Promise<void>((resolve) => {
      const stop = hub.delivered.on((event) => {
        if (event.userId !== user) return;
        stop();
        resolve();
      });
    });
    target.clock.advance(10_000);
    await came;
    const [push, ...more] = await pushed(target, client, 1);
    assert.deepEqual([push.attn, push.data.a.metadata.total_count, more.length], [["a"], 1, 0]);
    const [item, ...others] = (await feedOf(target, user)).body.entries;
    assert.equal(others.length, 0);
    assert.equal(item.blocks[0].rendered.trim(), "<p>3 by 2</p>");
    assert.deepEqual([item.total_activities, item.total_actors], [3, 2]);
    assert.deepEqual(
      item.actors.map((actor: { id: string }) => actor.id),
      [ann, bob],
    );
    const seen = item.activities.map((one: { actor: { id: string }; data: { n: number } }) => [
      one.actor.id,
      one.data.n,
    ]);
    assert.deepEqual(seen, [
      [ann, 0],
      [bob, 1],
      [ann, 2],
    ]);
    assert.deepEqual(item.data, { n: 2 });
    const [compact] = (await feedOf(target, user, "mode=compact")).body.entries;
    assert.deepEqual([compact.actors.length, compact.total_actors], [1, 2]);
    const { items } = await target.knock.messages.listActivities(item.id);
    assert.equal(items.length, 3);
    const message = await target.knock.messages.get(item.id);
    assert.deepEqual([message.actors, message.data], [[ann, bob], { n: 2, list: [2] }]);
    const pages: string[] = [];
    for await (const one of target.knock.messages.listActivities(item.id, { page_size: 2 }))
      pages.push(one.id as string);
    assert.deepEqual(
      pages,
      items.map(({ id }) => id),
    );
    const narrowed = await target.call("GET", `/messages/${item.id}/activities?trigger_data={"n":1}`);
    assert.equal(narrowed.body.items.length, 1);
  });

  test(`${name}: a message of a large batch has the data of its newest trigger, whichever it shows`, async () => {
    const target = await open();
    const user = await newUser(target);
    for (const order of ["asc", "desc"]) {
      const settings = { batch_window: { unit: "days", value: 1 }, batch_order: order, batch_items_max_limit: 12 };
      await pushWorkflow(target, `large-${order}`, {
        steps: [{ type: "batch", ref: "batch_1", settings }, inAppStep()],
      });
      for (let n = 0; n < 12; n++) await trigger(target, `large-${order}`, [user], { data: { n, list: [n] } });
      // The twelfth closes it.
      const found = async () => (await feedOf(target, user, `source=large-${order}`)).body.entries;
      while ((await found()).length === 0) await new Promise(setImmediate);
      const [item] = await found();
      assert.equal(item.total_activities, 12);
      assert.deepEqual(
        item.activities.map((one: { data: { n: number } }) => one.data.n),
        Array.from({ length: 10 }, (_, i) => (order === "asc" ? i : i + 2)),
      );
      // Of the first ten it was the tenth's.
      assert.deepEqual((await target.knock.messages.get(item.id)).data, { n: 11, list: [11] }, order);
    }
  });
});
