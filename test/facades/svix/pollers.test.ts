import assert from "node:assert/strict";
import { test } from "node:test";
import type { AppMessage } from "../../../src/engine/webhooks/model.ts";
import { fromKsuid } from "../../../src/facades/svix/ids.ts";
import { firstIdAt, newId } from "../../../src/lib/ids.ts";
import { httpReceiver } from "../../support/http-receiver.ts";
import { locs, refusal } from "./eventually.ts";
import { type Clients, forEachSvix, type SvixTarget } from "./svix-target.ts";

async function poller(target: Clients, app: string, body: object = {}): Promise<string> {
  await target.svix.application.create({ name: app, uid: app });
  const made = await target.call("POST", `/app/${app}/polling-endpoint`, { uid: "p", ...body });
  assert.equal(made.status, 201, made.text);
  return made.body.id;
}

async function send(target: Clients, app: string, count: number, more: object = {}): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    const made = await target.svix.message.create(app, { eventType: "x", payload: { i }, ...more });
    ids.push(made.id);
  }
  return ids;
}

const idsOf = ({ data }: { readonly data: readonly { readonly id: string }[] }): string[] => data.map(({ id }) => id);

forEachSvix((name, open) => {
  test(`${name}: pollers are made, listed, read and deleted`, async (t) => {
    const target = await open();
    const { svix } = target;
    const receiver = await httpReceiver();
    t.after(() => receiver.close());
    await svix.eventType.create({ name: `p.${name}`, description: "" });
    const id = await poller(target, "made", { description: "d", filterTypes: [`p.${name}`], channels: ["c"] });
    assert.match(id, /^ep_[0-9A-Za-z]{27}$/);
    const one = (await target.call("GET", "/app/made/polling-endpoint/p")).body;
    assert.deepEqual(
      [one.id, one.uid, one.description, one.eventTypes, one.channels, one.disabled],
      [id, "p", "d", [`p.${name}`], ["c"], false],
    );
    const second = (await target.call("POST", "/app/made/polling-endpoint")).body.id;
    const { id: endpoint } = await svix.endpoint.create("made", { url: receiver.url, uid: "http" });
    const list = async (query = ""): Promise<string[]> =>
      idsOf((await target.call("GET", `/app/made/polling-endpoint?${query}`)).body);
    assert.deepEqual(await list(), [second, id]);
    assert.deepEqual(await list("order=ascending&limit=1"), [id]);
    assert.deepEqual(await list(`order=ascending&iterator=${id}`), [second]);
    assert.deepEqual(await list(`iterator=-${id}`), [second]);
    assert.deepEqual(idsOf(await svix.endpoint.list("made")), [endpoint], "they are not among endpoints");
    assert.equal((await target.call("POST", "/app/made/polling-endpoint", { uid: "p" })).status, 409);
    const wrong = { uid: "ep_x", eventTypes: ["unknown"], channels: [] };
    assert.deepEqual(locs(await target.call("POST", "/app/made/polling-endpoint", wrong)).sort(), [
      "body.channels",
      "body.eventTypes",
      "body.uid.__all__",
    ]);
    assert.equal((await target.call("POST", "/app/made/polling-endpoint", "[]")).status, 422);
    for (const path of ["poller/http", "poller/none", "poller/http/consumer/c", "polling-endpoint/http/consumer/c"]) {
      assert.equal((await target.call("GET", `/app/made/${path}`)).status, 404, path);
    }
    // Nothing is sent to it: what comes after has come alone.
    await send(target, "made", 1, { channels: ["c"], eventType: `p.${name}` });
    await receiver.received(1);
    assert.deepEqual((await target.call("GET", "/app/made/polling-endpoint/p/consumer/c")).body.data, []);
    assert.equal((await target.call("DELETE", "/app/made/polling-endpoint/p")).status, 204);
    assert.equal((await target.call("GET", "/app/made/polling-endpoint/p/consumer/c")).status, 404);
    assert.equal((await target.call("DELETE", "/app/made/polling-endpoint/p")).status, 404);
    assert.deepEqual(await list(), [second]);
  });

  test(`${name}: a caller that holds its iterator gets every message once, in order (scenario 48)`, async () => {
    const target = await open();
    const { svix, svix2, clock } = target;
    await poller(target, "held");
    await send(target, "held", 2);
    const start = await svix.message.poller.poll("held", "p");
    assert.deepEqual([start.data, start.done], [[], false]);
    const ids = await send(target, "held", 3);
    const page = await svix2.message.poller.poll("held", "p", { iterator: start.iterator });
    assert.deepEqual([idsOf(page), page.done], [ids, true]);
    assert.deepEqual(page.data[1], { ...(await svix.message.get("held", ids[1] as string)), headers: undefined });
    const empty = await svix.message.poller.poll("held", "p", { iterator: page.iterator });
    assert.deepEqual([empty.data, empty.done], [[], true]);
    const again = await svix.message.poller.poll("held", "p", { iterator: start.iterator, limit: 2 });
    assert.deepEqual([idsOf(again), again.done], [ids.slice(0, 2), false]);
    const rest = await svix.message.poller.poll("held", "p", { iterator: again.iterator, limit: 2 });
    assert.deepEqual([idsOf(rest), rest.done], [ids.slice(2), true]);

    clock.advance(60_000);
    const late = await send(target, "held", 200);
    const found: string[] = [];
    let longest = 0;
    for (let { iterator, done } = { iterator: empty.iterator, done: false }; !done; ) {
      const next = await svix.message.poller.poll("held", "p", { iterator, limit: 7 });
      found.push(...idsOf(next));
      longest = Math.max(longest, next.iterator.length);
      ({ iterator, done } = next);
    }
    assert.deepEqual(found, late);
    assert.ok(longest < 4_000, `an iterator of ${longest} characters`);
    const since = await svix.message.poller.poll("held", "p", { after: new Date(clock.now()) });
    const all = await svix2.message.poller.poll("held", "p", { iterator: since.iterator, limit: 250 });
    assert.deepEqual([idsOf(all), all.done], [late, true]);
    const ever = await svix.message.poller.poll("held", "p", { after: new Date(0) });
    assert.equal(
      (await svix.message.poller.poll("held", "p", { iterator: ever.iterator, limit: 250 })).data.length,
      205,
    );
    for (const iterator of ["x", "msg_2aaaaaaaaaaaaaaaaaaaaaaaaaa", `${start.iterator.slice(0, 31)}.AAAA`]) {
      const bad = await target.call("GET", `/app/held/poller/p?iterator=${encodeURIComponent(iterator)}`);
      assert.deepEqual(locs(bad), ["query.iterator"]);
    }
    const bad = await target.call("GET", "/app/held/poller/p?limit=251&channel=%20&event_type=%20&after=x");
    assert.deepEqual(locs(bad).sort(), ["query.after", "query.channel", "query.event_type", "query.limit"]);
  });

  test(`${name}: a message whose commit comes late is not left out`, async () => {
    const target = await open();
    await poller(target, "late");
    const { clock } = target;
    clock.advance(10_000);
    const [first] = await send(target, "late", 1);
    const start = await target.svix.message.poller.poll("late", "p", { after: new Date(clock.now() - 8_000) });
    const page = await target.svix.message.poller.poll("late", "p", { iterator: start.iterator });
    assert.deepEqual(idsOf(page), [first]);
    const begun = await target.svix.message.poller.poll("late", "p");
    // Of another process, whose clock is five seconds behind.
    const behind = await commit(target, "late", clock.now() - 5_000);
    for (const { iterator } of [page, begun]) {
      const next = await target.svix.message.poller.poll("late", "p", { iterator });
      assert.deepEqual(
        idsOf(next).map((id) => fromKsuid("msg", "msg", id)),
        [behind],
      );
      const last = await target.svix.message.poller.poll("late", "p", { iterator: next.iterator });
      assert.deepEqual([last.data, last.done], [[], true]);
    }
  });

  test(`${name}: a poller gets what its filters and the caller's let through`, async () => {
    const target = await open();
    const { svix } = target;
    for (const type of ["a", "b"]) await svix.eventType.create({ name: `f.${name}.${type}`, description: "" });
    await poller(target, "filters", { eventTypes: [`f.${name}.a`, `f.${name}.b`], channels: ["x", "y"] });
    const { iterator } = await svix.message.poller.poll("filters", "p");
    const sent = new Map<string, string>();
    for (const [label, type, channels] of [
      ["a", "a", ["x"]],
      ["a-none", "a", null],
      ["b", "b", ["y", "z"]],
      ["b-z", "b", ["z"]],
      ["c", "c", ["x"]],
      ["both", "a", ["x", "y"]],
    ] as const) {
      const options = { eventType: `f.${name}.${type}`, channels: channels === null ? null : [...channels] };
      const [id] = await send(target, "filters", 1, options);
      sent.set(id as string, label);
    }
    const got = async (more: object): Promise<unknown[]> => {
      const page = await svix.message.poller.poll("filters", "p", { iterator, ...more });
      assert.equal(page.done, true);
      return idsOf(page).map((id) => sent.get(id));
    };
    assert.deepEqual(await got({}), ["a", "b", "both"]);
    assert.deepEqual(await got({ eventType: `f.${name}.a` }), ["a", "both"]);
    assert.deepEqual(await got({ eventType: `f.${name}.c` }), []);
    assert.deepEqual(await got({ channel: "y" }), ["b", "both"]);
    assert.deepEqual(await got({ channel: "z" }), ["b"], "which the poller has for its other channel");
    const all = await svix.message.list("filters");
    const begun = await svix.message.poller.consumerSeek("filters", "p", "c", {
      after: all.data[5]?.timestamp as Date,
    });
    assert.deepEqual(idsOf(await svix.message.poller.consumerPoll("filters", "p", "c", begun)).length, 3);
  });

  test(`${name}: a consumer goes on from what it has acknowledged`, async () => {
    const target = await open();
    const { svix, svix2, clock } = target;
    await poller(target, "acks");
    const startedAt = new Date(clock.now());
    await send(target, "acks", 1);
    const poll = (iterator?: string) =>
      svix.message.poller.consumerPoll("acks", "p", "c1", iterator === undefined ? {} : { iterator, limit: 2 });
    const start = await poll();
    assert.deepEqual([start.data, start.done], [[], false]);
    const ids = await send(target, "acks", 3);
    const whole = await poll();
    assert.deepEqual([idsOf(whole), whole.done], [ids, true]);
    assert.deepEqual(idsOf(await poll()), ids, "not acknowledged");
    const two = await poll(start.iterator);
    assert.deepEqual([idsOf(two), two.done], [ids.slice(0, 2), false]);
    assert.deepEqual(idsOf(await poll(two.iterator)), ids.slice(2));
    assert.deepEqual(idsOf(await poll()), ids.slice(2), "the first two are acknowledged");
    const other = await svix2.message.poller.consumerPoll("acks", "p", "c2");
    assert.deepEqual(other.data, [], "another consumer begins by itself");
    const sought = await svix2.message.poller.consumerSeek("acks", "p", "c1", { after: startedAt });
    assert.equal((await poll()).data.length, 4);
    assert.equal((await poll(sought.iterator)).data.length, 2);
    for (const consumer of ["a%20b", "x".repeat(257)]) {
      const bad = await target.call("GET", `/app/acks/poller/p/consumer/${consumer}`);
      assert.deepEqual(locs(bad), ["path.consumer_id"]);
    }
    assert.deepEqual(locs(await target.call("POST", "/app/acks/poller/p/consumer/c/seek", { after: 1 })), [
      "body.after",
    ]);
    assert.equal((await target.call("GET", "/app/acks/poller/p/consumer/__proto__")).status, 200);
  });

  test(`${name}: leased messages come again until they are committed (scenario 48)`, async () => {
    const target = await open();
    const { clock } = target;
    await poller(target, "leases");
    const poll = async (query = "", consumer = "c") => {
      const answer = await target.call("GET", `/app/leases/polling-endpoint/p/consumer/${consumer}?${query}`);
      assert.equal(answer.status, 200, answer.text);
      const { data, done } = answer.body as { data: { offset: number; id: string; payload: object }[]; done: boolean };
      return { offsets: data.map(({ offset }) => offset), ids: idsOf({ data }), done, data };
    };
    const commit = (offset: unknown, consumer = "c") =>
      target.call("POST", `/app/leases/polling-endpoint/p/consumer/${consumer}/commit`, { offset });
    const before = await send(target, "leases", 2);
    assert.deepEqual(await poll(), { offsets: [], ids: [], done: true, data: [] }, "a new consumer begins now");
    const ids = await send(target, "leases", 5);
    const first = await poll("limit=2&lease_duration_ms=1000");
    assert.deepEqual([first.offsets, first.ids, first.done], [[0, 1], ids.slice(0, 2), false]);
    assert.deepEqual(first.data[1]?.payload, { i: 1 });
    const second = await poll("limit=2&lease_duration_ms=5000");
    assert.deepEqual([second.offsets, second.ids], [[2, 3], ids.slice(2, 4)]);
    assert.equal((await commit(0)).status, 204);
    assert.equal((await commit(0)).status, 204, "again does no harm");
    clock.advance(1_000);
    const third = await poll("limit=50");
    assert.deepEqual([third.offsets, third.done], [[1, 4], true]);
    assert.deepEqual(third.ids, [ids[1], ids[4]]);
    assert.deepEqual((await poll()).data, []);
    clock.advance(4_000);
    assert.deepEqual((await poll("lease_duration_ms=60000")).offsets, [2, 3]);
    assert.equal((await commit(3)).status, 204);
    clock.advance(60_000);
    assert.deepEqual((await poll()).offsets, [4], "what is committed never comes again");
    assert.equal((await commit(4)).status, 204);
    clock.advance(60_000);
    assert.deepEqual((await poll()).offsets, []);
    const earliest = await poll("starting_position=earliest", "c2");
    assert.deepEqual(
      [earliest.offsets, earliest.ids],
      [
        [0, 1, 2, 3, 4, 5, 6],
        [...before, ...ids],
      ],
    );

    assert.deepEqual(locs(await commit(5)), ["body.offset"]);
    for (const bad of [-1, 1.5, "1", null, undefined]) assert.deepEqual(locs(await commit(bad)), ["body.offset"]);
    assert.equal((await commit(0, "never-polled")).status, 404);
    const bad = "limit=51&lease_duration_ms=0&starting_position=x";
    assert.deepEqual(locs(await target.call("GET", `/app/leases/polling-endpoint/p/consumer/c?${bad}`)).sort(), [
      "query.lease_duration_ms",
      "query.limit",
      "query.starting_position",
    ]);
  });

  test(`${name}: many who poll for one consumer share its messages`, async () => {
    const target = await open();
    await poller(target, "shared");
    const path = "/app/shared/polling-endpoint/p/consumer/c";
    await target.call("GET", path);
    const ids = await send(target, "shared", 20);
    const polls = await Promise.all(Array.from({ length: 5 }, () => target.call("GET", `${path}?limit=4`)));
    const got = polls.flatMap(({ body }) => body.data as { id: string; offset: number }[]);
    assert.deepEqual(got.map(({ id }) => id).sort(), [...ids].sort());
    assert.deepEqual(
      got.map(({ offset }) => offset).sort((a, b) => a - b),
      ids.map((_, i) => i),
    );
  });

  test(`${name}: the token of a poller polls it and does nothing else; consumers are bounded`, async () => {
    const target = await open();
    const { svix } = target;
    const id = await poller(target, "token");
    await poller(target, "elsewhere");
    const { body } = await target.call("POST", "/app/token/polling-endpoint", { uid: "q" });
    const made = await target.call("POST", `/auth/app/token/poller/${id}/token/rotate`, {});
    assert.equal(made.status, 201, made.text);
    const holder = target.with(made.body.token);
    assert.deepEqual((await holder.svix.message.poller.poll("token", "p")).data, []);
    assert.deepEqual((await holder.svix2.message.poller.consumerPoll("token", id, "c")).data, []);
    await holder.svix2.message.poller.consumerSeek("token", "p", "c", { after: new Date(target.clock.now()) });
    assert.equal((await holder.call("GET", "/app/token/polling-endpoint/p/consumer/c")).status, 200);
    assert.equal((await refusal(holder.svix.message.poller.poll("token", body.id))).status, 404);
    assert.equal((await refusal(holder.svix.message.poller.poll("elsewhere", "p"))).status, 404);
    assert.equal((await refusal(holder.svix.message.list("token"))).status, 403);
    for (const [method, path] of [
      ["DELETE", "/app/token/polling-endpoint/p"],
      ["POST", "/app/token/polling-endpoint"],
      ["GET", "/app/token/polling-endpoint"],
    ] as const) {
      assert.equal((await holder.call(method, path)).status, 403, path);
    }
    const view = await svix.authentication.appPortalAccess("token", { capabilities: ["ViewBase"] as never });
    assert.equal((await target.with(view.token).call("POST", "/app/token/polling-endpoint")).status, 403);
    assert.equal((await target.with(view.token).call("GET", "/app/token/polling-endpoint/p")).status, 200);
    let status = 200;
    let consumers = 0;
    while (status === 200 && consumers < 300) {
      const answer = await holder.call("GET", `/app/token/poller/p/consumer/n${consumers++}`);
      status = answer.status;
      if (status !== 200) assert.deepEqual([status, answer.body.code], [400, "limit_reached"]);
    }
    assert.ok(consumers > 200 && consumers < 300);
    assert.equal(
      (await holder.call("GET", "/app/token/poller/p/consumer/c")).status,
      200,
      "those that are there go on",
    );
  });
});

/** Commits a message with an id of an earlier time, past the facade. */
async function commit(target: SvixTarget, app: string, at: number): Promise<string> {
  const environmentId = target.environment.id;
  const { webhooks } = target.app.engine;
  const application = await webhooks.applications.read(environmentId, { uid: app });
  assert.ok(application !== null);
  const id = newId("msg", at);
  const message: AppMessage = {
    environmentId,
    appId: application.id,
    // `newId` does not go back, so only its end is taken.
    id: `msg_${firstIdAt("msg", at).slice(4, 14)}${id.slice(14)}`,
    eventId: null,
    eventType: "x",
    channels: null,
    tags: null,
    payload: "{}",
    raw: null,
    parameters: null,
    deliverAt: null,
    payloadUntil: at + 86_400_000,
    createdAt: at,
  };
  // The engine hands out only reading; behind it is the whole store.
  const store = webhooks.messages as unknown as { accept(batch: readonly object[]): Promise<readonly object[]> };
  const accepted = await store.accept([{ message, deliveries: [], generation: null, idempotency: null }]);
  assert.deepEqual(accepted, [{ kind: "accepted" }]);
  return message.id;
}
