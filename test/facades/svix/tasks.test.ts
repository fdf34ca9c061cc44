import assert from "node:assert/strict";
import { test } from "node:test";
import { ended, locs, refusal } from "./eventually.ts";
import { forEachSvix } from "./svix-target.ts";

forEachSvix((name, open) => {
  test(`${name}: tasks are listed, filtered and read`, async () => {
    const target = await (await open()).another();
    const { svix, svix2 } = target;
    await svix.application.create({ name: "One", uid: "a" });
    await svix.endpoint.create("a", { url: "https://example.com", uid: "e" });
    const since = new Date((await open()).clock.now() - 1);
    const ids = [
      (await svix.statistics.aggregateEventTypes()).id,
      (await svix.endpoint.recover("a", "e", { since })).id,
      (await svix2.endpoint.replayMissing("a", "e", { since })).id,
      (await svix2.endpoint.bulkReplay("a", "e", { since })).id,
      (await svix.message.expungeAllContents("a")).id,
    ];
    assert.ok(ids.every((id) => /^qtask_[0-9A-Za-z]{27}$/.test(id)));
    for (const id of ids) assert.equal((await ended(target, id)).status, "finished");
    const all = await svix.backgroundTask.list();
    assert.deepEqual(
      all.data.map(({ id }) => id),
      [...ids].reverse(),
    );
    assert.deepEqual(
      all.data.map(({ task }) => task),
      [
        "application.purge_content",
        "endpoint.bulk-replay",
        "endpoint.replay",
        "endpoint.recover",
        "event-type.aggregate",
      ],
    );
    assert.deepEqual(
      all.data.map(({ data }) => data),
      [
        { messagesPurged: 0 },
        { messagesSent: 0 },
        { messagesSent: 0 },
        { messagesSent: 0 },
        { event_types: all.data[4]?.data && (all.data[4].data as { event_types: unknown }).event_types },
      ],
    );
    assert.equal(all.done, true);
    const page = await svix2.backgroundTask.list({ limit: 2, order: "ascending" as never });
    assert.deepEqual(
      page.data.map(({ id }) => id),
      ids.slice(0, 2),
    );
    const next = await svix2.backgroundTask.list({ limit: 4, order: "ascending" as never, iterator: page.iterator });
    assert.deepEqual([next.data.map(({ id }) => id), next.done], [ids.slice(2), true]);
    const of = async (query: string): Promise<string[]> =>
      (await target.call("GET", `/background-task?${query}`)).body.data.map(({ id }: { id: string }) => id);
    assert.deepEqual(await of("task=endpoint.recover"), [ids[1]]);
    assert.deepEqual(await of("task=endpoint.replay&status=finished"), [ids[2]]);
    assert.deepEqual(await of("status=running"), []);
    assert.deepEqual(await of("task=sdk.generate"), []);
    assert.deepEqual(locs(await target.call("GET", "/background-task?status=x&task=y&order=z")).sort(), [
      "query.order",
      "query.status",
      "query.task",
    ]);
    assert.equal((await refusal(svix.backgroundTask.get("qtask_none"))).status, 404);
  });

  test(`${name}: an application's token sees its own tasks and no others`, async () => {
    const target = await open();
    const { svix } = target;
    for (const uid of ["seen", "unseen"]) {
      await svix.application.create({ name: uid, uid });
      await svix.endpoint.create(uid, { url: "https://example.com", uid: "e" });
    }
    const since = new Date(target.clock.now() - 1);
    const { token } = await svix.authentication.appPortalAccess("seen", {});
    const portal = target.with(token);
    const own = await portal.svix.endpoint.recover("seen", "e", { since });
    const theirs = await svix.endpoint.recover("unseen", "e", { since });
    const general = await svix.statistics.aggregateEventTypes();
    assert.equal((await ended(portal, own.id)).status, "finished");
    for (const { id } of [theirs, general]) {
      assert.equal((await refusal(portal.svix.backgroundTask.get(id))).status, 404);
    }
    assert.equal((await refusal(portal.svix.backgroundTask.list())).status, 403);
  });
});
