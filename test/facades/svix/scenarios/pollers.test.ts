/** Messages that are fetched instead of sent: scenario 48. What is odd about polling is in ../pollers.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AutoConfigConsumer } from "svix";
import { AutoConfigConsumer as AutoConfigConsumer2 } from "svix2";
import { DIALECTS, newPlace } from "../../../conformance/databases.ts";
import { locs, refusal } from "../eventually.ts";
import { forEachSpeaker, laterClock, lonelyScene, MINUTE, type Scene, SECOND } from "./scenario.ts";

/** A poller of the application: the vendor makes them in its dashboard, here there is a call for it. */
async function poller(scene: Scene, app: string, filters: object = {}): Promise<string> {
  const { status, body, text } = await scene.call("POST", `/app/${app}/polling-endpoint`, filters);
  assert.equal(status, 201, text);
  return body.id;
}

/** The SDK's own consumer of leased messages. It is given what it needs in a token that an auto-config would give out. */
async function consumer(scene: Scene, app: string, id: string): Promise<AutoConfigConsumer> {
  const { body } = await scene.call("GET", `/auth/app/${app}/poller/${id}/token`);
  assert.match(body.token, /^sk_poll_/);
  const content = { aid: app, eid: id, surl: scene.target.url, esec: await scene.key(app, id), tok: body.token };
  const token = `auto_v1_${Buffer.from(JSON.stringify(content)).toString("base64")}`;
  if (scene.major === 1) return new AutoConfigConsumer(token, {});
  return new AutoConfigConsumer2(token, {}) as unknown as AutoConfigConsumer;
}

forEachSpeaker({}, (who, open) => {
  test(`${who}: 48. Poller: the first poll gives only an iterator, the next what came since, in order`, async (t) => {
    const scene = await open(t);
    const { svix, clock } = scene;
    const app = await scene.app();
    const before = await scene.message(app, { payload: { n: 0 } });
    const id = await poller(scene, app);
    const first = await svix.message.poller.poll(app, id);
    assert.deepEqual([first.data, first.done], [[], false]);
    assert.equal(typeof first.iterator, "string");
    const made = [];
    for (let n = 1; n <= 3; n++) {
      made.push(await scene.message(app, { payload: { n }, eventId: `e${n}`, channels: ["c"], tags: ["t"] }));
      clock.advance(SECOND);
    }
    const next = await svix.message.poller.poll(app, id, { iterator: first.iterator });
    assert.equal(next.done, true);
    assert.deepEqual(
      next.data.map((one) => one.id),
      made.map((one) => one.id),
    );
    assert.deepEqual(
      next.data.map(({ payload, eventId, channels, tags, timestamp }) => [payload, eventId, channels, tags, timestamp]),
      made.map((one) => [one.payload, one.eventId, one.channels, one.tags, one.timestamp]),
    );
    // Caught up: the same place again, and nothing from there. The old place gives the same once more.
    const caughtUp = await svix.message.poller.poll(app, id, { iterator: next.iterator });
    assert.deepEqual([caughtUp.data, caughtUp.done], [[], true]);
    const replayed = await svix.message.poller.poll(app, id, { iterator: first.iterator, limit: 2 });
    assert.deepEqual([replayed.data.length, replayed.done], [2, false]);
    const rest = await svix.message.poller.poll(app, id, { iterator: replayed.iterator });
    assert.deepEqual([rest.data.map((one) => one.id), rest.done], [[made[2]?.id], true]);
    const after = new Date(before.timestamp.getTime() - MINUTE);
    const back = await svix.message.poller.poll(app, id, { after });
    assert.deepEqual([back.data, back.done], [[], false]);
    const all = await svix.message.poller.poll(app, id, { iterator: back.iterator });
    assert.deepEqual(
      all.data.map((one) => one.id),
      [before.id, ...made.map((one) => one.id)],
    );
    // Nothing was sent anywhere, and nothing counts as an attempt.
    await scene.idle();
    assert.deepEqual(await scene.attempts(app, before.id), []);
    assert.deepEqual((await svix.endpoint.list(app)).data, [], "it is no endpoint of the lists");
    for (const iterator of ["x", "msg_x", "-".repeat(5_001), first.iterator.slice(1)]) {
      const query = new URLSearchParams({ iterator });
      assert.deepEqual(locs(await scene.call("GET", `/app/${app}/poller/${id}?${query}`)), ["query.iterator"]);
    }
    assert.equal((await refusal(svix.message.poller.poll(app, "nobody"))).status, 404);
  });

  test(`${who}: 48. Poller: its own filters apply, and those of the call`, async (t) => {
    const scene = await open(t);
    const { svix } = scene;
    const app = await scene.app();
    for (const name of ["p.a", "p.b"]) await svix.eventType.create({ name, description: "" });
    const all = await poller(scene, app);
    const own = await poller(scene, app, { eventTypes: ["p.a"], channels: ["x", "y"] });
    const start = async (id: string) => (await svix.message.poller.poll(app, id)).iterator;
    const from = { all: await start(all), own: await start(own) };
    const names = new Map<string, string>();
    for (const [name, eventType, channels] of [
      ["a", "p.a", null],
      ["ax", "p.a", ["x"]],
      ["bx", "p.b", ["x"]],
      ["ayz", "p.a", ["y", "z"]],
      ["bz", "p.b", ["z"]],
    ] as const) {
      names.set((await scene.message(app, { eventType, channels: channels && [...channels] })).id, name);
    }
    const polled = async (id: string, options: object): Promise<string[]> => {
      const { data, done } = await svix.message.poller.poll(app, id, options);
      assert.equal(done, true);
      return data.map((one) => names.get(one.id) ?? one.id);
    };
    assert.deepEqual(await polled(all, { iterator: from.all }), ["a", "ax", "bx", "ayz", "bz"]);
    assert.deepEqual(await polled(own, { iterator: from.own }), ["ax", "ayz"]);
    assert.deepEqual(await polled(all, { iterator: from.all, eventType: "p.b" }), ["bx", "bz"]);
    assert.deepEqual(await polled(all, { iterator: from.all, channel: "z" }), ["ayz", "bz"]);
    assert.deepEqual(await polled(all, { iterator: from.all, channel: "z", eventType: "p.a" }), ["ayz"]);
    assert.deepEqual(await polled(own, { iterator: from.own, channel: "z" }), ["ayz"]);
    assert.deepEqual(await polled(own, { iterator: from.own, eventType: "p.b" }), []);
  });

  test(`${who}: 48. Poller: the consumer variant remembers what was acknowledged`, async (t) => {
    const scene = await open(t);
    const { svix, clock } = scene;
    const app = await scene.app();
    const id = await poller(scene, app);
    const poll = (consumer: string, options: object = {}) =>
      svix.message.poller.consumerPoll(app, id, consumer, options);
    const first = await poll("one");
    assert.deepEqual([first.data, first.done], [[], false]);
    const start = new Date(clock.now() - SECOND);
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) {
      ids.push((await scene.message(app, { payload: { n } })).id);
      clock.advance(SECOND);
    }
    const got = async (consumer: string, options: object = {}): Promise<string[]> =>
      (await poll(consumer, options)).data.map((one) => one.id);
    assert.deepEqual(await got("one"), ids);
    assert.deepEqual(await got("one"), ids, "nothing was acknowledged");
    const two = await poll("one", { limit: 2 });
    assert.deepEqual(await got("one", { iterator: two.iterator }), ids.slice(2));
    assert.deepEqual(await got("one"), ids.slice(2), "what was sent last is remembered");
    const late = await poll("two");
    assert.deepEqual([late.data, late.done], [[], false], "another consumer begins by itself, from now on");
    assert.deepEqual(await got("two"), []);
    const { iterator } = await svix.message.poller.consumerSeek(app, id, "two", { after: start });
    assert.equal(typeof iterator, "string");
    assert.deepEqual(await got("two"), ids);
    assert.deepEqual(await got("one"), ids.slice(2));
    assert.equal((await refusal(svix.message.poller.consumerPoll(app, id, "a b"))).status, 422);
    assert.equal((await refusal(svix.message.poller.consumerSeek(app, id, "one", {} as never))).status, 422);
  });

  test(`${who}: 48. Poller: leased messages come again after the lease, committed ones never`, async (t) => {
    const scene = await open(t);
    const { clock } = scene;
    const app = await scene.app();
    const id = await poller(scene, app);
    const sdk = await consumer(scene, app, id);
    type Options = NonNullable<Parameters<typeof sdk.receive>[1]>;
    const receive = async (options: Options = {}): Promise<[number, string][]> =>
      (await sdk.receive("c", { leaseDurationMs: 10_000, ...options })).data.map((one) => [one.offset, one.id]);
    assert.deepEqual(await receive(), [], "a new consumer begins with what comes from now on");
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) {
      ids.push((await scene.message(app, { payload: { n } })).id);
      clock.advance(SECOND);
    }
    const items = (from: number, to: number) => ids.slice(from, to).map((one, i) => [from + i, one]);
    assert.deepEqual(await receive({ limit: 2 }), items(0, 2));
    assert.deepEqual(await receive({ limit: 2 }), items(2, 4), "those leased are left out");
    await sdk.commit("c", 0);
    clock.advance(10 * SECOND);
    assert.deepEqual(await receive({ limit: 50 }), items(1, 5), "uncommitted ones come again, under their offsets");
    await sdk.commit("c", 3);
    await sdk.commit("c", 3);
    clock.advance(10 * SECOND);
    assert.deepEqual(await receive(), items(4, 5));
    await sdk.commit("c", 4);
    clock.advance(60 * MINUTE);
    assert.deepEqual(await receive(), []);
    const fresh = await sdk.receive("other", { startingPosition: "earliest" } as Options);
    assert.deepEqual(
      fresh.data.map((one) => one.payload),
      [0, 1, 2, 3, 4].map((n) => ({ n })),
    );
    assert.equal(fresh.done, true);
    assert.equal((await refusal(sdk.commit("other", 5))).status, 422);
    assert.equal((await refusal(sdk.commit("nobody", 0))).status, 404);
    const path = `/app/${app}/polling-endpoint/${id}/consumer/c`;
    for (const query of ["limit=51", "limit=0", "lease_duration_ms=0", "starting_position=middle"]) {
      assert.deepEqual(locs(await scene.call("GET", `${path}?${query}`)), [`query.${query.split("=")[0]}`]);
    }
    for (const offset of [-1, 1.5, "0", null, undefined, 2 ** 53]) {
      assert.deepEqual(locs(await scene.call("POST", `${path}/commit`, { offset })), ["body.offset"]);
    }
    assert.equal((await scene.call("POST", `${path}/commit`, { offset: 4 })).status, 204);
  });
});

test("two processes on one Postgres give no message of one consumer out twice", async (t) => {
  if (!DIALECTS.includes("postgres")) return t.skip("needs Postgres");
  const { place, remove } = await newPlace("postgres");
  const clock = laterClock();
  const env = {
    CARILLON_DATABASE_URL: place.url ?? "",
    CARILLON_DATABASE_POOL: String(place.poolSize),
    CARILLON_DATA_DIR: place.dataDir,
  };
  const one = await lonelyScene(t, { env, clock });
  const two = await lonelyScene(t, { env, clock });
  t.after(remove);
  const app = await one.app();
  const id = await poller(one, app);
  const elsewhere = two.target.with(one.token);
  const path = `/app/${app}/polling-endpoint/${id}/consumer/c?limit=5`;
  assert.equal((await one.call("GET", path)).status, 200);
  const made = await Promise.all(
    Array.from({ length: 60 }, (_, n) =>
      (n % 2 === 0 ? one : elsewhere).svix.message.create(app, { eventType: "x", payload: { n } }),
    ),
  );
  const seen = new Map<string, number>();
  const offsets = new Set<number>();
  for (let empty = 0; empty < 2; ) {
    const answers = await Promise.all([one, elsewhere, one, elsewhere].map((caller) => caller.call("GET", path)));
    let given = 0;
    for (const { status, body } of answers) {
      assert.equal(status, 200, JSON.stringify(body));
      for (const item of body.data) {
        given++;
        seen.set(item.id, (seen.get(item.id) ?? 0) + 1);
        offsets.add(item.offset);
      }
    }
    empty = given === 0 ? empty + 1 : 0;
  }
  assert.deepEqual([seen.size, offsets.size, ...new Set(seen.values())], [60, 60, 1]);
  assert.deepEqual(new Set(seen.keys()), new Set(made.map((message) => message.id)));
});
