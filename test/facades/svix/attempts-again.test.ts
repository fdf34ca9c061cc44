import assert from "node:assert/strict";
import { test } from "node:test";
import { DIALECTS } from "../../conformance/databases.ts";
import { type HttpReceiver, httpReceiver } from "../../support/http-receiver.ts";
import { attemptsOf, ended, eventually, locs, refusal } from "./eventually.ts";
import { forEachSvix, type SvixTarget, svixFor } from "./svix-target.ts";

const DAY_MS = 86_400_000;

forEachSvix((name, open) => {
  test(`${name}: an example goes to one endpoint (scenario 18)`, async (t) => {
    const target = await open();
    const { svix, svix2 } = target;
    await svix.application.create({ name: "One", uid: "example" });
    const [one, two] = [await httpReceiver(), await httpReceiver()];
    t.after(() => Promise.all([one.close(), two.close()]));
    await svix.endpoint.create("example", { url: one.url, uid: "e" });
    await svix.endpoint.create("example", { url: two.url });
    const schema = { type: "object", examples: [{ first: 1 }, { second: [2] }, "text"] };
    await svix.eventType.create({ name: `ex.${name}`, description: "", schemas: { "1": schema } });
    await svix.eventType.create({ name: `bare.${name}`, description: "", featureFlag: "hidden" });
    const answer = await target.call("POST", "/app/example/endpoint/e/send-example", { eventType: "svix.ping" });
    assert.equal(answer.status, 202);
    assert.ok(answer.text.includes('"payload":{"success":true}'));
    assert.equal((await one.received(1))[0]?.text, '{"success":true}');
    const made = await svix.endpoint.sendExample("example", "e", { eventType: `ex.${name}` });
    assert.deepEqual(made.payload, { first: 1 });
    assert.deepEqual(await svix.message.get("example", made.id), made);
    await svix2.endpoint.sendExample("example", "e", { eventType: `ex.${name}`, exampleIndex: 1 });
    assert.equal((await one.received(3))[2]?.text, '{"second":[2]}');
    const send = (eventType: string, exampleIndex = 0) =>
      refusal(svix.endpoint.sendExample("example", "e", { eventType, exampleIndex }));
    for (const index of [2, 3]) {
      assert.deepEqual(await send(`ex.${name}`, index), { status: 400, code: "invalid_scheme" });
    }
    assert.deepEqual(await send(`bare.${name}`), { status: 400, code: "invalid_scheme" });
    assert.equal((await send("unknown")).status, 404);
    assert.equal((await send("__proto__")).status, 404);
    const path = "/app/example/endpoint/e/send-example";
    assert.deepEqual(locs(await target.call("POST", path, { exampleIndex: -1 })).sort(), [
      "body.eventType",
      "body.exampleIndex",
    ]);
    // A type behind a flag does not exist for a token without it.
    const { token } = await svix.authentication.appPortalAccess("example", {});
    const portal = target.with(token).svix;
    assert.equal(
      (await refusal(portal.endpoint.sendExample("example", "e", { eventType: `bare.${name}` }))).status,
      404,
    );
    await portal.endpoint.sendExample("example", "e", { eventType: "svix.ping" });
    await svix.message.create("example", { eventType: "x", payload: { all: true } });
    assert.equal((await two.received(1))[0]?.text, '{"all":true}', "nothing but this has come to the other endpoint");
  });

  test(`${name}: only messages that were never tried are replayed (scenario 34)`, async (t) => {
    const target = await open();
    const { svix, svix2, clock } = target;
    await svix.application.create({ name: "One", uid: "missing" });
    await svix.eventType.create({ name: `m.${name}`, description: "" });
    const receiver = await httpReceiver();
    t.after(() => receiver.close());
    const since = new Date(clock.now() - 1);
    for (let i = 0; i < 7; i++) {
      await svix.message.create("missing", { eventType: i < 5 ? `m.${name}` : "other", payload: { i } });
    }
    await svix.endpoint.create("missing", { url: receiver.url, uid: "e", filterTypes: [`m.${name}`] });
    const replay = async (): Promise<unknown> => {
      const started = await svix2.endpoint.replayMissing("missing", "e", { since });
      assert.deepEqual([started.status, started.task], ["running", "endpoint.replay"]);
      return (await ended(target, started.id)).data;
    };
    assert.deepEqual(await replay(), { messagesSent: 5 });
    await receiver.received(5);
    const found = await eventually(
      () => svix.messageAttempt.listByEndpoint("missing", "e"),
      ({ data }) => data.length === 5,
      "five attempts",
    );
    assert.ok(found.data.every(({ triggerType }) => triggerType === 0));
    assert.deepEqual(await replay(), { messagesSent: 0 });
    const path = "/app/missing/endpoint/e/replay-missing";
    assert.deepEqual(locs(await target.call("POST", path, {})), ["body.since"]);
    const backwards = { since: new Date(clock.now()), until: since };
    assert.deepEqual(locs(await target.call("POST", path, backwards)), ["body.since"]);
    assert.equal((await target.call("POST", "/app/missing/endpoint/none/replay-missing", { since })).status, 404);
    const { token } = await svix.authentication.appPortalAccess("missing", { capabilities: ["ViewBase"] as never });
    for (const call of ["replay-missing", "bulk-replay", "recover"]) {
      const refused = await target.with(token).call("POST", `/app/missing/endpoint/e/${call}`, { since });
      assert.equal(refused.status, 403, call);
    }
    assert.equal((await target.call("POST", "/admin/redrive-dlq")).status, 204);
    assert.equal((await target.with(token).call("POST", "/admin/redrive-dlq")).status, 403);
  });
});

interface Tried {
  readonly target: SvixTarget;
  readonly receiver: HttpReceiver;
  /** Three that failed for good, two that did not. */
  readonly failed: readonly string[];
  readonly good: readonly string[];
  readonly since: Date;
}

/** One try each; the receiver answers all with 200 afterwards. */
async function tried(target: SvixTarget): Promise<Tried> {
  const { svix, clock } = target;
  await svix.application.create({ name: "One", uid: "a" });
  const receiver = await httpReceiver();
  receiver.answer((request, response) => response.writeHead(JSON.parse(request.text).status).end());
  await svix.endpoint.create("a", { url: receiver.url, uid: "e" });
  const since = new Date(clock.now() - 1);
  const ids: string[] = [];
  for (const status of [500, 200, 404, 200, 500]) {
    clock.advance(1_000);
    const body = { eventType: status === 404 ? "not.found" : "x", payload: { status }, tags: [`s${status}`] };
    const { id } = await svix.message.create("a", body);
    await attemptsOf(target, "a", id, 1);
    ids.push(id);
  }
  receiver.answer({ status: 200 });
  return { target, receiver, failed: ids.filter((_, i) => i % 2 === 0), good: [ids[1] ?? "", ids[3] ?? ""], since };
}

for (const dialect of DIALECTS) {
  const env = { CARILLON_WEBHOOK_RETRY_SECONDS: "none" };

  test(`${dialect}: what failed is recovered, and nothing else (scenario 33)`, async (t) => {
    const { target, receiver, failed, good, since } = await tried(await svixFor(t, { dialect, env }));
    t.after(() => receiver.close());
    const { svix, svix2, clock } = target;
    const recover = async (window: { since: Date; until?: Date }): Promise<unknown> => {
      const started = await svix.endpoint.recover("a", "e", window);
      assert.deepEqual([started.status, started.task], ["running", "endpoint.recover"]);
      assert.match(started.id, /^qtask_/);
      return (await ended(target, started.id)).data;
    };
    assert.deepEqual(await recover({ since, until: new Date(since.getTime() + 500) }), { messagesSent: 0 });
    assert.deepEqual(await recover({ since }), { messagesSent: 3 });
    for (const id of failed) {
      const [last] = await attemptsOf(target, "a", id, 2);
      assert.deepEqual([last?.triggerType, last?.status], [1, 0]);
    }
    for (const id of good) await attemptsOf(target, "a", id, 1);
    assert.deepEqual(await recover({ since }), { messagesSent: 0 });
    const path = "/app/a/endpoint/e/recover";
    const ago = (ms: number): string => new Date(clock.now() - ms).toISOString();
    assert.deepEqual(locs(await target.call("POST", path, { since: ago(15 * DAY_MS) })), ["body.since"]);
    assert.deepEqual(locs(await target.call("POST", path, { since: ago(0), until: ago(1) })), ["body.since"]);
    assert.deepEqual(locs(await target.call("POST", path, { until: "x" })).sort(), ["body.since", "body.until"]);
    assert.equal((await target.call("POST", path, { since: ago(14 * DAY_MS) })).status, 202);
    const long = { since: ago(20 * DAY_MS), until: ago(10 * DAY_MS) };
    assert.equal((await target.call("POST", path, long)).status, 202, "the span counts, not how long ago it was");
    assert.equal((await refusal(svix2.endpoint.recover("a", "none", { since }))).status, 404);
  });

  // The task said that it had sent them; what it had made were tries that were thrown away one by one.
  test(`${dialect}: nothing is recovered at an endpoint that is disabled, and it is not said to be`, async (t) => {
    const { target, receiver, failed, since } = await tried(await svixFor(t, { dialect, env }));
    t.after(() => receiver.close());
    const { svix2 } = target;
    const recover = async (): Promise<unknown> =>
      (await ended(target, (await svix2.endpoint.recover("a", "e", { since })).id)).data;
    await svix2.endpoint.patch("a", "e", { disabled: true });
    assert.deepEqual(await recover(), { messagesSent: 0 });
    await svix2.endpoint.patch("a", "e", { disabled: false });
    assert.deepEqual(await recover(), { messagesSent: 3 });
    for (const id of failed) await attemptsOf(target, "a", id, 2);
  });

  // A portal that asked for the same again and again once filled the queue of all with millions of tries.
  test(`${dialect}: what is about to be sent again is not recovered a second time`, async (t) => {
    const { target, receiver, failed, since } = await tried(await svixFor(t, { dialect, env }));
    t.after(() => receiver.close());
    const { svix } = target;
    const released = Promise.withResolvers<void>();
    receiver.answer(async (_, response) => {
      await released.promise;
      response.writeHead(500).end();
    });
    const recover = async (): Promise<unknown> =>
      (await ended(target, (await svix.endpoint.recover("a", "e", { since })).id)).data;
    assert.deepEqual(await recover(), { messagesSent: 3 });
    assert.deepEqual(await recover(), { messagesSent: 0 });
    released.resolve();
    for (const id of failed) await attemptsOf(target, "a", id, 2);
    assert.deepEqual(await recover(), { messagesSent: 3 }, "in vain again, so they may be asked for again");
  });

  test(`${dialect}: what matches is replayed, whatever came of it`, async (t) => {
    const { target, receiver, failed, since } = await tried(await svixFor(t, { dialect, env }));
    t.after(() => receiver.close());
    const { svix2 } = target;
    const replay = async (more: object): Promise<unknown> => {
      const started = await svix2.endpoint.bulkReplay("a", "e", { since, ...more });
      assert.deepEqual([started.status, started.task], ["running", "endpoint.bulk-replay"]);
      return ((await ended(target, started.id)).data as { messagesSent: number }).messagesSent;
    };
    assert.equal(await replay({ status: 1 }), 0);
    assert.equal(await replay({ channel: "none" }), 0);
    assert.equal(await replay({ tag: "s404" }), 1);
    const [again] = await attemptsOf(target, "a", failed[1] as string, 2);
    assert.deepEqual([again?.status, again?.triggerType], [0, 0]);
    assert.equal(await replay({ eventTypes: ["not.found"] }), 1);
    await attemptsOf(target, "a", failed[1] as string, 3);
    assert.equal(await replay({ status: 2, statusCodeClass: 400 }), 0);
    assert.equal(await replay({ status: 2, statusCodeClass: 500 }), 2);
    for (const id of [failed[0], failed[2]]) await attemptsOf(target, "a", id as string, 2);
    await eventually(
      () => target.svix.messageAttempt.listAttemptedMessages("a", "e", { status: 0 }),
      ({ data }) => data.length === 5,
      "all of them sent",
    );
    assert.equal(await replay({}), 5);
    const wrong = { since, status: 9, statusCodeClass: 1, channel: "", tag: " ", eventTypes: "x" };
    assert.deepEqual(locs(await target.call("POST", "/app/a/endpoint/e/bulk-replay", wrong)).sort(), [
      "body.channel",
      "body.eventTypes",
      "body.status",
      "body.statusCodeClass",
      "body.tag",
    ]);
  });
}
