/** What the environment does by itself and is told of: scenarios 35 and 36. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EndpointPatch, EndpointUpdate } from "svix";
import type { HttpReceiver, ReceivedRequest } from "../../../support/http-receiver.ts";
import { refusal } from "../eventually.ts";
import { assertVerifies, DAY, forEachSpeaker, HOUR, MINUTE, type Scene, SECOND } from "./scenario.ts";

const TYPES = [
  "endpoint.created",
  "endpoint.updated",
  "endpoint.deleted",
  "endpoint.disabled",
  "endpoint.enabled",
  "message.attempt.failing",
  "message.attempt.exhausted",
  "message.attempt.recovered",
  "message.attempt.log",
  "background_task.finished",
  "ingest.endpoint.disabled",
  "ingest.message.attempt.failing",
  "ingest.message.attempt.exhausted",
  "ingest.message.attempt.recovered",
];

interface Told {
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: each type has data of its own
  readonly data: any;
}

/** Listens to the environment's own events, of these types or of all. */
async function listen(scene: Scene, types: string[] | null, url?: string): Promise<{ hook: HttpReceiver; id: string }> {
  const hook = await scene.receiver();
  const given = { url: url ?? hook.url, eventTypes: types, filterTypes: types };
  const { id } = await scene.svix.operationalWebhook.endpoint.create(given as never);
  return { hook, id };
}

function told({ requests }: HttpReceiver): Told[] {
  return requests.map((request) => request.json() as Told);
}

async function put(scene: Scene, app: string, endpoint: string, update: EndpointUpdate): Promise<void> {
  if (scene.major === 1) await scene.svix.endpoint.update(app, endpoint, update);
  else await scene.svix2.endpoint.upsert(app, endpoint, update as never);
}

forEachSpeaker({ env: { CARILLON_WEBHOOK_RETRY_SECONDS: "60,60,60,60,60" }, roll: () => 0.5 }, (who, open) => {
  test(`${who}: 36. Operational webhooks: an endpoint's life is told with the right ids`, async (t) => {
    const scene = await open(t);
    const { svix, idle } = scene;
    const app = await scene.app("told");
    const appId = (await svix.application.get(app)).id;
    // Before anybody listens nothing is told, nor kept for later.
    const before = await scene.endpoint(app, { url: "https://example.com/before" });
    await idle();
    const { hook, id: listener } = await listen(scene, TYPES.slice(0, 5));
    const { id } = await scene.endpoint(app, { url: "https://example.com/", uid: "one" });
    await idle();
    await put(scene, app, id, { url: "https://example.com/put", uid: "one" });
    await idle();
    await svix.endpoint.patch(app, "one", { description: "patched" });
    await idle();
    await svix.endpoint.rotateSecret(app, id, {});
    await idle();
    // Changes of headers are told to nobody.
    await svix.endpoint.patchHeaders(app, id, { headers: { "x-a": "1" } });
    await svix.endpoint.delete(app, id);
    await idle();
    const data = { appId, appUid: "told", endpointId: id, endpointUid: "one" };
    assert.deepEqual(told(hook), [
      { type: "endpoint.created", data },
      { type: "endpoint.updated", data },
      { type: "endpoint.updated", data },
      { type: "endpoint.updated", data },
      { type: "endpoint.deleted", data },
    ]);
    const { key } = await svix.operationalWebhook.endpoint.getSecret(listener);
    for (const request of hook.requests) assertVerifies(key, request, scene.clock.now());
    assert.equal(new Set(hook.requests.map(({ headers }) => headers["svix-id"])).size, 5);

    // One without a uid is told of without one; what is refused is not told.
    assert.equal((await refusal(svix.endpoint.patch(app, before.id, { url: "ftp://x" }))).status, 422);
    await svix.endpoint.delete(app, before.id);
    await idle();
    assert.deepEqual(told(hook).slice(5), [
      { type: "endpoint.deleted", data: { appId, appUid: "told", endpointId: before.id } },
    ]);
    const made = await scene.call("PUT", `/app/${app}/endpoint/unknown`, { url: "https://example.com/upserted" });
    await idle();
    assert.equal(made.status, 201);
    assert.deepEqual(told(hook)[6], {
      type: "endpoint.created",
      data: { appId, appUid: "told", endpointId: made.body.id },
    });
    // By hand, with the change itself.
    await svix.endpoint.patch(app, made.body.id, { disabled: true });
    await svix.endpoint.patch(app, made.body.id, { disabled: true });
    await svix.endpoint.patch(app, made.body.id, { disabled: false });
    await idle();
    const rest = told(hook).slice(7);
    const count = (type: string) => rest.filter((one) => one.type === type).length;
    assert.deepEqual([count("endpoint.updated"), count("endpoint.disabled"), count("endpoint.enabled")], [3, 1, 1]);
    const disabled = rest.find(({ type }) => type === "endpoint.disabled");
    assert.equal(disabled?.data.trigger, "manual");
  });

  test(`${who}: 36. Operational webhooks: failing after the fourth try, exhausted after the last, each once`, async (t) => {
    const scene = await open(t);
    const { svix, idle, pass, clock } = scene;
    const { hook } = await listen(scene, TYPES.slice(5, 8));
    const receiver = await scene.receiver();
    receiver.answer({ status: 503 });
    const app = await scene.app("dead");
    const appId = (await svix.application.get(app)).id;
    const { id: endpoint } = await scene.endpoint(app, { url: receiver.url, uid: "dead-end" });
    const { id: message } = await scene.message(app, { eventId: "ev" });
    await idle();
    const heard: number[] = [];
    for (let tries = 1; tries <= 6; tries++) {
      assert.equal(receiver.requests.length, tries);
      heard.push(hook.requests.length);
      await pass(MINUTE);
    }
    await pass(DAY);
    assert.deepEqual([...heard, hook.requests.length], [0, 0, 0, 1, 1, 2, 2]);
    const attempts = await scene.attempts(app, message);
    const expected = (type: string, attempt: (typeof attempts)[0] | undefined) => ({
      type,
      data: {
        appId,
        appUid: "dead",
        endpointId: endpoint,
        msgId: message,
        msgEventId: "ev",
        lastAttempt: {
          id: attempt?.id,
          responseStatusCode: 503,
          timestamp: attempt?.timestamp.toISOString(),
        },
      },
    });
    assert.deepEqual(told(hook), [
      expected("message.attempt.failing", attempts[3]),
      expected("message.attempt.exhausted", attempts[5]),
    ]);
    // What is tried by hand is told to nobody, whatever comes of it.
    await svix.messageAttempt.resend(app, message, endpoint);
    await idle();
    const recover = await svix.endpoint.recover(app, endpoint, { since: new Date(clock.now() - 2 * DAY) });
    assert.equal((await scene.task(recover.id)).status, "finished");
    await idle();
    assert.equal(receiver.requests.length, 8);
    receiver.answer({ status: 200 });
    await svix.messageAttempt.resend(app, message, endpoint);
    await idle();
    assert.equal(hook.requests.length, 2);
  });

  test(`${who}: 36. Operational webhooks: recovered, when the receiver heals after the fourth failure`, async (t) => {
    const scene = await open(t);
    const { idle, pass } = scene;
    const { hook } = await listen(scene, TYPES.slice(5, 8));
    const receiver = await scene.receiver();
    const app = await scene.app();
    const { id: endpoint } = await scene.endpoint(app, { url: receiver.url });
    const course = async (failures: number): Promise<{ message: string; types: string[]; events: Told[] }> => {
      const from = hook.requests.length;
      const bad = Array.from({ length: failures }, () => ({ status: 500 }));
      receiver.answer(...(bad as [{ status: number }]), { status: 200 });
      const { id } = await scene.message(app);
      await idle();
      for (let i = 0; i < 6; i++) await pass(MINUTE);
      const events = told(hook).slice(from);
      return { message: id, types: events.map(({ type }) => type), events };
    };
    const four = await course(4);
    assert.deepEqual(four.types, ["message.attempt.failing", "message.attempt.recovered"]);
    const attempts = await scene.attempts(app, four.message);
    assert.deepEqual(
      four.events.map(({ data }) => data.lastAttempt.id),
      [attempts[3]?.id, attempts[4]?.id],
    );
    assert.equal(four.events[1]?.data.lastAttempt.responseStatusCode, 200);
    assert.equal(four.events[1]?.data.endpointId, endpoint);
    assert.ok(!("msgEventId" in (four.events[0]?.data ?? {})));
    assert.deepEqual((await course(5)).types, ["message.attempt.failing", "message.attempt.recovered"]);
    assert.deepEqual((await course(3)).types, [], "it never counted as failing");
    assert.deepEqual((await course(1)).types, []);
  });

  test(`${who}: 36. Operational webhooks: all types are accepted in filters, others are not`, async (t) => {
    const scene = await open(t);
    for (const type of TYPES) {
      const eventTypes = [type];
      const made = await scene.svix.operationalWebhook.endpoint.create({
        url: "https://example.com/",
        eventTypes,
        filterTypes: eventTypes,
      } as never);
      const shown = made as unknown as { eventTypes?: string[]; filterTypes?: string[] };
      assert.deepEqual(scene.major === 1 ? shown.filterTypes : shown.eventTypes, eventTypes);
      await scene.svix.operationalWebhook.endpoint.delete(made.id);
    }
    for (const type of ["x.y", "endpoint", "message.attempt", "__proto__"]) {
      const body = { url: "https://example.com/", eventTypes: [type] };
      assert.equal((await scene.call("POST", "/operational-webhook/endpoint", body)).status, 422, type);
    }
  });

  test(`${who}: an operational endpoint that is dead itself is retried, and is told of to nobody (§C.11)`, async (t) => {
    const scene = await open(t);
    const { idle, pass } = scene;
    const { hook } = await listen(scene, null);
    const quiet = await listen(scene, null);
    quiet.hook.answer({ status: 500 });
    const app = await scene.app();
    await scene.endpoint(app, { url: "https://example.com/" });
    await idle();
    for (let i = 0; i < 6; i++) await pass(MINUTE);
    assert.deepEqual(
      told(hook).map(({ type }) => type),
      ["endpoint.created"],
    );
    assert.deepEqual(
      told(quiet.hook).map(({ type }) => type),
      Array(6).fill("endpoint.created"),
    );
  });

  test(`${who}: every try is told when the environment wants it; ended tasks are (§C.11)`, async (t) => {
    const scene = await open(t);
    const { svix, idle, clock } = scene;
    await scene.call("PATCH", "/management/environment-settings", { enableMsgAtmptLog: true });
    const { hook } = await listen(scene, ["message.attempt.log", "background_task.finished"]);
    const receiver = await scene.receiver();
    receiver.answer({ status: 500 }, { status: 204 });
    const app = await scene.app();
    const { id: endpoint } = await scene.endpoint(app, { url: receiver.url });
    const { id } = await scene.message(app);
    await idle();
    await scene.pass(MINUTE);
    const [first, second] = await scene.attempts(app, id);
    const [one, two] = told(hook);
    assert.deepEqual([one?.type, two?.type], ["message.attempt.log", "message.attempt.log"]);
    assert.ok(Array.isArray(one?.data) && one.data.length === 1);
    assert.deepEqual(
      [one.data[0].attemptId, one.data[0].responseStatusCode, one.data[0].attemptCount, one.data[0].endpointId],
      [first?.id, 500, 1, endpoint],
    );
    assert.deepEqual([two?.data[0].attemptId, two?.data[0].attemptCount, two?.data[0].msgId], [second?.id, 2, id]);
    const { id: task } = await svix.endpoint.recover(app, endpoint, { since: new Date(clock.now() - HOUR) });
    await scene.task(task);
    await idle();
    const finished = told(hook).at(-1);
    assert.equal(finished?.type, "background_task.finished");
    assert.deepEqual(
      [finished?.data.taskId, finished?.data.task, finished?.data.status],
      [task, "endpoint.recover", "finished"],
    );
  });
});

/** Messages that fail for good with their first try. */
function disabling(hours: string) {
  const env = { CARILLON_WEBHOOK_RETRY_SECONDS: "none", CARILLON_WEBHOOK_DISABLE_AFTER_HOURS: hours };
  return { env, roll: () => 0.5 };
}

/** Sends one message that is answered with the status. @returns how often the receiver was called for it. */
async function send(scene: Scene, receiver: HttpReceiver, app: string, status: number): Promise<number> {
  const seen = receiver.requests.length;
  receiver.answer({ status });
  scene.clock.advance(SECOND);
  await scene.message(app);
  await scene.idle();
  return receiver.requests.length - seen;
}

forEachSpeaker(disabling("0"), (who, open) => {
  test(`${who}: 35. Auto-disable: two exhausted messages, with a window of 0`, async (t) => {
    const scene = await open(t);
    const { svix, idle, clock } = scene;
    const { hook } = await listen(scene, ["endpoint.disabled", "endpoint.enabled", "endpoint.updated"]);
    const receiver = await scene.receiver();
    const app = await scene.app();
    const appId = (await svix.application.get(app)).id;
    const { id: endpoint } = await scene.endpoint(app, { url: receiver.url, uid: "e" });
    const isDisabled = async () => (await svix.endpoint.get(app, "e")).disabled;
    assert.equal(await send(scene, receiver, app, 500), 1);
    const failSince = new Date(clock.now()).toISOString();
    assert.equal(await isDisabled(), false, "one is not enough");
    assert.equal(await send(scene, receiver, app, 500), 1);
    assert.equal(await isDisabled(), true);
    assert.deepEqual(told(hook), [
      {
        type: "endpoint.disabled",
        data: { appId, appUid: app, endpointId: endpoint, endpointUid: "e", failSince, trigger: "automatic" },
      },
    ]);
    // Neither later messages nor resends reach it.
    assert.equal(await send(scene, receiver, app, 200), 0);
    const { data } = await svix.message.list(app);
    await svix.messageAttempt.resend(app, data[0]?.id as string, "e");
    await svix.messageAttempt.resend(app, data.at(-1)?.id as string, "e");
    await idle();
    assert.equal(receiver.requests.length, 2);
    // Enabled again it begins anew, without what it missed.
    await svix.endpoint.patch(app, "e", { disabled: false } as EndpointPatch);
    await idle();
    assert.equal(receiver.requests.length, 2);
    assert.deepEqual(
      told(hook)
        .slice(1)
        .map(({ type }) => type)
        .sort(),
      ["endpoint.enabled", "endpoint.updated"],
    );
    assert.equal(await send(scene, receiver, app, 200), 1, "deliveries resume");
    assert.equal(await send(scene, receiver, app, 500), 1);
    assert.equal(await isDisabled(), false, "what was noted before it was enabled does not count");
    assert.equal(await send(scene, receiver, app, 500), 1);
    assert.equal(await isDisabled(), true);
  });

  test(`${who}: 35. Auto-disable: a success in between resets, by the schedule or by hand; failures by hand do not count`, async (t) => {
    const scene = await open(t);
    const { svix, idle } = scene;
    const receiver = await scene.receiver();
    const app = await scene.app();
    await scene.endpoint(app, { url: receiver.url, uid: "e" });
    const isDisabled = async () => (await svix.endpoint.get(app, "e")).disabled;
    for (const status of [500, 200, 500]) await send(scene, receiver, app, status);
    assert.equal(await isDisabled(), false);
    const [last] = (await svix.message.list(app)).data;
    const resend = async (status: number): Promise<void> => {
      receiver.answer({ status });
      scene.clock.advance(SECOND);
      await svix.messageAttempt.resend(app, last?.id as string, "e");
      await idle();
    };
    for (let i = 0; i < 5; i++) await resend(500);
    assert.equal(await isDisabled(), false);
    await resend(200);
    await send(scene, receiver, app, 500);
    assert.equal(await isDisabled(), false);
    await send(scene, receiver, app, 302);
    assert.equal(await isDisabled(), true);
  });

  test(`${who}: 35. Auto-disable: switched off for the environment; one endpoint's failures are not another's`, async (t) => {
    const scene = await open(t);
    const { svix } = scene;
    const receiver = await scene.receiver();
    const app = await scene.app();
    await scene.endpoint(app, { url: receiver.url, uid: "e" });
    await scene.call("PATCH", "/management/environment-settings", { disableEndpointOnFailure: false });
    for (let i = 0; i < 3; i++) await send(scene, receiver, app, 500);
    assert.equal((await svix.endpoint.get(app, "e")).disabled, false);
    await scene.call("PATCH", "/management/environment-settings", { disableEndpointOnFailure: true });
    const other = await scene.app();
    const second = await scene.receiver();
    await scene.endpoint(other, { url: second.url, uid: "e" });
    await send(scene, second, other, 500);
    assert.equal((await svix.endpoint.get(other, "e")).disabled, false);
    await send(scene, receiver, app, 500);
    assert.deepEqual(
      [(await svix.endpoint.get(app, "e")).disabled, (await svix.endpoint.get(other, "e")).disabled],
      [true, false],
    );
  });

  test(`${who}: 35. Auto-disable: many messages that fail at once disable once (§C.10)`, async (t) => {
    const scene = await open(t);
    const { svix, idle, clock } = scene;
    const { hook } = await listen(scene, ["endpoint.disabled"]);
    const receiver = await scene.receiver();
    receiver.answer({ status: 500 });
    const app = await scene.app();
    await scene.endpoint(app, { url: receiver.url, uid: "e" });
    await Promise.all(Array.from({ length: 20 }, () => scene.message(app)));
    await idle();
    assert.equal((await svix.endpoint.get(app, "e")).disabled, false, "all in the moment of the first");
    clock.advance(SECOND);
    await Promise.all(Array.from({ length: 20 }, () => scene.message(app)));
    await idle();
    assert.equal((await svix.endpoint.get(app, "e")).disabled, true);
    assert.deepEqual(
      told(hook).map(({ type }) => type),
      ["endpoint.disabled"],
    );
    const requests: readonly ReceivedRequest[] = receiver.requests;
    assert.ok(requests.length > 20 && requests.length <= 40);
  });
});

forEachSpeaker(disabling("1"), (who, open) => {
  test(`${who}: 35. Auto-disable: later than the window after the first; a note that has expired counts no more`, async (t) => {
    const scene = await open(t);
    const { svix, clock } = scene;
    const receiver = await scene.receiver();
    const app = await scene.app();
    await scene.endpoint(app, { url: receiver.url, uid: "e" });
    const fail = async (afterMs: number): Promise<boolean> => {
      // Sending takes a second of its own.
      clock.advance(afterMs - SECOND);
      await send(scene, receiver, app, 500);
      return (await svix.endpoint.get(app, "e")).disabled === true;
    };
    assert.equal(await fail(SECOND), false);
    assert.equal(await fail(2 * HOUR + SECOND), false, "the note has expired: this is a first one again");
    assert.equal(await fail(30 * MINUTE), false);
    assert.equal(await fail(30 * MINUTE), false, "not later than the window");
    assert.equal(await fail(2 * SECOND), true);
  });
});
