import assert from "node:assert/strict";
import { test } from "node:test";
import { httpReceiver } from "../../support/http-receiver.ts";
import { attemptsOf, ended, locs, refusal } from "./eventually.ts";
import { forEachSvix } from "./svix-target.ts";

const DAY_MS = 86_400_000;

forEachSvix((name, open) => {
  test(`${name}: attempts of an endpoint and of an application are counted (scenario 14)`, async (t) => {
    const target = await open();
    const { svix, svix2, clock } = target;
    await svix.application.create({ name: "One", uid: "stats" });
    const receiver = await httpReceiver();
    t.after(() => receiver.close());
    receiver.answer((request, response) => response.writeHead(request.text.includes("bad") ? 500 : 200).end());
    await svix.endpoint.create("stats", { url: receiver.url, uid: "e" });
    await svix.endpoint.create("stats", { url: `${receiver.url}/f`, uid: "f", channels: ["f"] });
    const since = new Date(clock.now() - 1);
    for (const [eventType, payload] of [
      ["a.b", { good: 1 }],
      ["__proto__", { good: 2 }],
      ["a.b", { bad: 1 }],
    ] as const) {
      const { id } = await svix.message.create("stats", { eventType, payload });
      await attemptsOf(target, "stats", id, 1);
    }
    const two = await svix.message.create("stats", { eventType: "a.b", payload: {}, channels: ["f"] });
    await attemptsOf(target, "stats", two.id, 2);
    const counts = { success: 3, pending: 0, sending: 0, fail: 1, canceled: 0 };
    assert.deepEqual(await svix.endpoint.getStats("stats", "e"), counts);
    assert.deepEqual(await svix2.endpoint.getStats("stats", "e", { since, until: new Date(clock.now()) }), counts);
    assert.deepEqual(await svix.endpoint.getStats("stats", "f"), { ...counts, success: 1, fail: 0 });
    assert.deepEqual(await svix.endpoint.getStats("stats", "f", { until: since }), { ...counts, success: 0, fail: 0 });
    const ranges: [number, number][] = [
      [-29 * DAY_MS, 0],
      [-DAY_MS, DAY_MS],
      [0, -1],
    ];
    for (const [from, to] of ranges) {
      const window = { since: new Date(clock.now() + from), until: new Date(clock.now() + to) };
      const refused = await refusal(svix.endpoint.getStats("stats", "e", window));
      assert.deepEqual(refused, { status: 400, code: "invalid_range" });
    }
    assert.deepEqual(locs(await target.call("GET", "/app/stats/endpoint/e/stats?since=x")), ["query.since"]);

    const until = new Date(clock.now()).toISOString();
    const path = `/app/stats/stats/attempts?since=${since.toISOString()}&until=${until}`;
    const { body } = await target.call("GET", path);
    assert.deepEqual(Object.entries(body.by_event_type).sort(), [
      ["__proto__", { success: 1, failure: 0, canceled: 0 }],
      ["a.b", { success: 3, failure: 1, canceled: 0 }],
    ]);
    assert.deepEqual([body.total_success, body.total_failure, body.total_canceled], [4, 1, 0]);
    assert.equal(new Date(body.since).getTime(), since.getTime());
    const some = await target.call("GET", `${path}&event_types=__proto__,none`);
    assert.deepEqual([Object.keys(some.body.by_event_type), some.body.total_success], [["__proto__"], 1]);
    assert.deepEqual(locs(await target.call("GET", "/app/stats/stats/attempts")), ["query.since", "query.until"]);
    const wide = "since=2020-01-01T00:00:00Z&until=2026-01-01T00:00:00Z";
    assert.equal((await target.call("GET", `/app/stats/stats/attempts?${wide}`)).body.code, "invalid_range");
  });

  test(`${name}: usage is counted in the background`, async (t) => {
    const target = await open();
    const { svix, svix2, clock } = target;
    const other = await target.another();
    const receiver = await httpReceiver();
    t.after(() => receiver.close());
    await other.svix.eventType.create({ name: "u.b", description: "" });
    await other.svix.eventType.create({ name: "u.a", description: "" });
    const one = await other.svix.application.create({ name: "One", uid: "one" });
    const two = await other.svix.application.create({ name: "Two" });
    await svix.application.create({ name: "Not ours", uid: "not-ours" });
    await other.svix.endpoint.create("one", { url: receiver.url, filterTypes: ["u.b", "u.a"] });
    await other.svix.endpoint.create("one", { url: receiver.url, filterTypes: ["u.a"] });
    await other.svix.endpoint.create(two.id, { url: receiver.url });
    const since = new Date(clock.now() - 1);
    for (const app of ["one", two.id]) {
      const { id } = await other.svix.message.create(app, { eventType: "u.a", payload: {} });
      await attemptsOf(other, app, id, app === "one" ? 2 : 1);
    }
    const until = new Date(clock.now());
    const all = await other.svix.statistics.aggregateAppStats({ since, until });
    assert.deepEqual([all.status, all.task, all.unresolvedAppIds], ["running", "application.stats", []]);
    const { data } = await ended(other, all.id);
    assert.deepEqual((data as { appStats: unknown }).appStats, [
      { messageDestinations: 2, appId: one.id, appUid: "one" },
      { messageDestinations: 1, appId: two.id, appUid: null },
    ]);
    const asked = { since, until, appIds: ["one", "not-ours", one.id, "app_none"] };
    const some = await other.svix2.statistics.aggregateAppStats(asked);
    assert.deepEqual(some.unresolvedAppIds, ["not-ours", "app_none"]);
    assert.deepEqual(((await ended(other, some.id)).data as { appStats: unknown[] }).appStats.length, 1);
    const none = await other.call("POST", "/stats/usage/app", { since, until, appIds: ["not-ours"] });
    assert.deepEqual(locs(none), ["body.appIds"]);
    assert.deepEqual(locs(await other.call("POST", "/stats/usage/app", { since: until, until: since })), [
      "body.since",
    ]);
    assert.deepEqual(locs(await other.call("POST", "/stats/usage/app")), ["body.since", "body.until"]);

    const types = await other.svix2.statistics.aggregateEventTypes();
    assert.deepEqual([types.status, types.task], ["running", "event-type.aggregate"]);
    assert.deepEqual((await ended(other, types.id)).data, {
      event_types: [
        { appId: one.id, explicitlySubscribedEventTypes: ["u.a", "u.b"], hasCatchAllEndpoint: false },
        { appId: two.id, explicitlySubscribedEventTypes: [], hasCatchAllEndpoint: true },
      ],
    });
    assert.equal((await refusal(svix2.backgroundTask.get(types.id))).status, 404, "another environment");
    const { token } = await other.svix.authentication.appPortalAccess("one", {});
    const portal = target.with(token);
    assert.equal((await refusal(portal.svix.statistics.aggregateEventTypes())).status, 403);
    assert.equal((await refusal(portal.svix2.statistics.aggregateAppStats({ since, until }))).status, 403);
  });
});
