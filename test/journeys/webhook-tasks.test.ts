/** Sending again, counted exactly: what is on its way, what is no longer kept, what is not to be sent yet. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SvixTarget } from "../facades/svix/svix-target.ts";
import { forEachSvix, svixFor } from "../facades/svix/svix-target.ts";
import { httpReceiver } from "../support/http-receiver.ts";

async function replayed(target: SvixTarget, path: string, body: object): Promise<number> {
  const started = await target.call("POST", path, body);
  assert.equal(started.status, 202, started.text);
  for (;;) {
    const { body: task } = await target.call("GET", `/background-task/${started.body.id}`);
    if (task.status === "running") continue;
    assert.equal(task.status, "finished", JSON.stringify(task));
    return task.data.messagesSent;
  }
}

forEachSvix((name) => {
  const dialect = name;

  test(`${name}: what is on its way is not missing a second time`, async (t) => {
    const target = await svixFor(t, { dialect });
    const hook = await httpReceiver();
    t.after(() => hook.close());
    const answers: (() => void)[] = [];
    hook.answer((_, response) => answers.push(() => response.end()));
    const { svix, clock } = target;
    await svix.application.create({ name: "a", uid: "a" });
    for (let n = 0; n < 5; n++) await svix.message.create("a", { eventType: "t", payload: { n } });
    const since = new Date(clock.now() - 1_000).toISOString();
    clock.advance(1_000);
    await svix.endpoint.create("a", { url: hook.url, uid: "e" });
    const path = "/app/a/endpoint/e/replay-missing";
    assert.equal(await replayed(target, path, { since }), 5);
    assert.equal(await replayed(target, path, { since }), 0);
    const idle = target.app.engine.dispatcher.idle();
    const answering = setInterval(() => {
      for (const answer of answers.splice(0)) answer();
    }, 10);
    await idle;
    clearInterval(answering);
    assert.equal(hook.requests.length, 5);
    assert.equal(await replayed(target, path, { since }), 0);
  });

  test(`${name}: a message that was sent and thrown away stays sent when all are sent again`, async (t) => {
    const target = await svixFor(t, { dialect });
    const hook = await httpReceiver();
    t.after(() => hook.close());
    const { svix, clock } = target;
    await svix.application.create({ name: "a", uid: "a" });
    await svix.endpoint.create("a", { url: hook.url, uid: "e" });
    const kept = await svix.message.create("a", { eventType: "t", payload: { n: 1 } });
    const thrown = await svix.message.create("a", { eventType: "t", payload: { n: 2 } });
    await target.app.engine.dispatcher.idle();
    await svix.message.expungeContent("a", thrown.id);
    const since = new Date(clock.now() - 1_000).toISOString();
    clock.advance(1_000);
    assert.equal(await replayed(target, "/app/a/endpoint/e/bulk-replay", { since }), 1);
    await target.app.engine.dispatcher.idle();
    assert.equal(hook.requests.length, 3);
    for (const { id } of [kept, thrown]) {
      const { data } = await svix.messageAttempt.listAttemptedDestinations("a", id);
      assert.deepEqual(
        data.map(({ status }) => status),
        [0],
      );
    }
  });

  test(`${name}: what is missing is not sent before the sender wants it to be`, async (t) => {
    const target = await svixFor(t, { dialect });
    const hook = await httpReceiver();
    t.after(() => hook.close());
    const { svix, clock, app } = target;
    const { id } = await svix.application.create({ name: "a", uid: "a" });
    const { engine, environment } = app;
    const found = await engine.webhooks.find(environment.id, { uid: "a" });
    assert.ok(found !== null, id);
    await engine.webhooks.publish(environment.id, found.application.id, {
      ...{ eventId: null, eventType: "t", channels: null, tags: null, payload: "{}", raw: null, parameters: null },
      deliverAt: clock.now() + 60_000,
      keepMs: 86_400_000,
    });
    const since = new Date(clock.now() - 1_000).toISOString();
    clock.advance(1_000);
    await svix.endpoint.create("a", { url: hook.url, uid: "e" });
    assert.equal(await replayed(target, "/app/a/endpoint/e/replay-missing", { since }), 1);
    await engine.dispatcher.idle();
    assert.equal(hook.requests.length, 0);
    clock.advance(60_000);
    await hook.received(1);
  });
});
