/** An operator's own address hears what happens to messages, runs and resources, signed as Knock documents it. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { type TestContext, test } from "node:test";
import { toUuid } from "../../../src/facades/knock/ids.ts";
import { type HttpReceiver, httpReceiver, type ReceivedRequest } from "../../support/http-receiver.ts";
import { forEachKnock, type KnockTarget, knockFor } from "./knock-target.ts";
import { commit, feedOf, IN_APP, idle } from "./running/workflow.ts";

const SECRET = "a secret of the receiver";

// biome-ignore lint/suspicious/noExplicitAny: whatever the server said; tests look at it field by field
type Body = any;

const EMAIL = {
  ref: "mail",
  type: "channel",
  channel_key: "email",
  template: { settings: {}, subject: "Hi", html_body: '<a href="https://a.test/x">x</a>', text_body: "x" },
};

async function receiver(t: TestContext): Promise<HttpReceiver> {
  const hook = await httpReceiver();
  t.after(() => hook.close());
  return hook;
}

/** An endpoint that is gone when the test is over. */
async function listen(t: TestContext, target: KnockTarget, hook: HttpReceiver, events: readonly string[] = []) {
  const url = `${hook.url}/events`;
  const made = await target.admin("POST", "/admin/knock/webhooks", { url, secret: SECRET, events });
  assert.equal(made.status, 201, made.text);
  t.after(() =>
    target.admin("DELETE", `/admin/knock/webhooks/${made.body.id}`).catch(() => {
      // The server of a test with one of its own is gone by now.
    }),
  );
  return made.body;
}

async function feedId(target: KnockTarget, user: string): Promise<string> {
  const { entries } = await feedOf(target, user);
  return entries[0].id;
}

function typesOf(requests: readonly ReceivedRequest[]): string[] {
  return requests.map((request) => (request.json() as Body).type);
}

function eventsOf(requests: readonly ReceivedRequest[], type: string): Body[] {
  return requests.map((request) => request.json() as Body).filter((event) => event.type === type);
}

forEachKnock((name, open) => {
  test(`${name}: 43. message.read verifies with the documented HMAC over the raw body`, async (t) => {
    const target = await open();
    const hook = await receiver(t);
    await listen(t, target, hook, ["message.read"]);
    await commit(target, "w43");
    await target.knock.workflows.trigger("w43", { recipients: [{ id: "w1" }], data: { n: 1 } });
    const id = await feedId(target, "w1");
    target.clock.advance(5_000);
    await target.knock.messages.markAsRead(id);
    await idle(target);
    const [got] = await hook.received(1);
    assert.ok(got);
    assert.deepEqual([got.method, got.url, got.headers["content-type"]], ["POST", "/events", "application/json"]);
    assert.equal(got.headers["x-knock-event"], "message.read");
    assert.equal(got.headers["x-knock-environment-id"], toUuid(target.environment.id));
    const [, at, signed] = /^t=(\d{13}),s=([A-Za-z0-9+/]{43}=)$/.exec(String(got.headers["x-knock-signature"])) ?? [];
    assert.equal(signed, createHmac("sha256", SECRET).update(`${at}.`).update(got.body).digest("base64"));
    const message = await target.knock.messages.get(id);
    assert.deepEqual(got.json(), {
      __typename: "Event",
      type: "message.read",
      created_at: new Date(target.clock.now()).toISOString(),
      data: { ...message },
      event_data: null,
    });
    assert.deepEqual([message.read_at, message.seen_at], [new Date(target.clock.now()).toISOString(), null]);
  });

  test(`${name}: a run and its message are told from beginning to end, to those who asked for it`, async (t) => {
    const target = await open();
    const [all, few] = [await receiver(t), await receiver(t)];
    await listen(t, target, all);
    await listen(t, target, few, ["workflow_recipient_run.completed"]);
    await commit(target, "wall");
    const { workflow_run_id } = await target.knock.workflows.trigger("wall", { recipients: [{ id: "w2" }] });
    const id = await feedId(target, "w2");
    await idle(target);
    const types = typesOf(all.requests)
      .filter((type) => !type.startsWith("workflow."))
      .sort();
    assert.deepEqual(types, [
      "message.delivered",
      "workflow_recipient_run.completed",
      "workflow_recipient_run.started",
    ]);
    const [started] = eventsOf(all.requests, "workflow_recipient_run.started");
    const [completed] = eventsOf(all.requests, "workflow_recipient_run.completed");
    assert.deepEqual([started.data.status, completed.data.status], ["queued", "completed"]);
    assert.deepEqual([started.data.workflow_run_id, started.data.id], [workflow_run_id, completed.data.id]);
    assert.equal(eventsOf(all.requests, "message.delivered")[0].data.id, id);
    assert.deepEqual(typesOf(few.requests), ["workflow_recipient_run.completed"]);
  });

  test(`${name}: every mark is told with what the message then was, whichever facade it came through`, async (t) => {
    const target = await open();
    const hook = await receiver(t);
    await commit(target, "wmarks");
    await target.knock.workflows.trigger("wmarks", { recipients: [{ id: "w3" }] });
    const id = await feedId(target, "w3");
    await listen(t, target, hook);
    await target.knock.messages.markAsSeen(id);
    await target.knock.messages.markAsUnseen(id);
    await target.knock.messages.markAsUnseen(id);
    await target.knock.messages.markAsInteracted(id, { metadata: { button: "ok" } });
    await target.knock.messages.markAsUnread(id);
    await target.knock.messages.archive(id);
    await target.knock.messages.unarchive(id);
    const inbox = await target.app.engine.inbox.list(target.environment.id, { userId: "w3" }, target.clock.now(), {
      limit: 1,
    });
    await target.app.engine.inbox.mark(target.environment.id, "w3", inbox.items[0]?.messageId as never, "read", true, {
      via: "courier",
      origin: null,
    });
    await idle(target);
    assert.deepEqual(typesOf(hook.requests).sort(), [
      "message.archived",
      "message.interacted",
      "message.read",
      "message.read",
      "message.seen",
      "message.unarchived",
      "message.unread",
      "message.unseen",
    ]);
    const [interacted] = eventsOf(hook.requests, "message.interacted");
    assert.deepEqual(interacted.event_data, { __typename: "EventData", button: "ok" });
    const [unread] = eventsOf(hook.requests, "message.unread");
    assert.deepEqual([unread.data.read_at, unread.data.archived_at], [null, null]);
    assert.deepEqual(unread.data.engagement_statuses, ["interacted"]);
    const [seen] = eventsOf(hook.requests, "message.seen");
    assert.deepEqual(seen.data.engagement_statuses, ["seen"]);
  });

  test(`${name}: mail is told as sent, and a link in it that is followed with its address`, async (t) => {
    const target = await open();
    const hook = await receiver(t);
    await commit(target, "wmail", [{ ...EMAIL, channel_overrides: { link_tracking: true } }]);
    await listen(t, target, hook, ["message.sent", "message.delivered", "message.link_clicked"]);
    await target.knock.workflows.trigger("wmail", { recipients: [{ id: "w4", email: "w4@a.test" }] });
    await idle(target);
    await hook.received(1);
    const [sent] = hook.requests;
    const event = sent?.json() as Body;
    assert.deepEqual([event.type, event.data.status, event.data.recipient], ["message.sent", "sent", "w4"]);
    const captured = await target.admin("GET", "/admin/captured?channel=email");
    const link =
      /href="([^"]+)"/.exec(JSON.stringify(captured.body.items[0].payload).replaceAll('\\"', '"'))?.[1] ?? "";
    assert.ok(link.startsWith(target.url), `a tracked link: ${link}`);
    const followed = await target.call("GET", link.replaceAll("&amp;", "&"));
    assert.ok(followed.status < 400, followed.text);
    await idle(target);
    const [, clicked] = (await hook.received(2)).map((request) => request.json() as Body);
    assert.equal(clicked.type, "message.link_clicked");
    assert.deepEqual(clicked.event_data, { __typename: "EventData", url: "https://a.test/x" });
    assert.ok(clicked.data.link_clicked_at);
  });

  test(`${name}: a webhook step that fails is told with each try, and when it is given up`, async (t) => {
    const target = await open();
    const [hook, broken] = [await receiver(t), await receiver(t)];
    broken.answer({ status: 500 });
    await target.admin("POST", "/admin/knock/channels", { key: "hooks", type: "http" });
    const step = {
      ref: "hook",
      type: "channel",
      channel_key: "hooks",
      template: { method: "post", url: `${broken.url}/x`, headers: [], query_params: [], body: "{}" },
    };
    await commit(target, "wfail", [step]);
    await listen(t, target, hook, ["message.delivery_attempted", "message.undelivered"]);
    await target.knock.workflows.trigger("wfail", { recipients: [{ id: "w5" }] });
    for (let n = 0; n < 9; n++) {
      await idle(target);
      target.clock.advance(30 * 60_000);
    }
    await idle(target);
    const attempted = eventsOf(hook.requests, "message.delivery_attempted");
    assert.deepEqual(
      attempted.map(({ event_data }) => event_data.attempt).sort((a, b) => a - b),
      attempted.map((_, i) => i + 1),
    );
    assert.ok(attempted.length >= 1 && attempted.length <= 8);
    assert.deepEqual([attempted[0].event_data.max_attempts, attempted[0].data.status], [8, "delivery_attempted"]);
    const [undelivered, ...more] = eventsOf(hook.requests, "message.undelivered");
    assert.deepEqual(more, []);
    assert.equal(undelivered.data.status, "undelivered");
    assert.equal(undelivered.event_data.failure_reason, "retries_exhausted");
  });

  test(`${name}: 43. an endpoint that answers 500 sees eight tries of one event, and no more`, async (t) => {
    const target = await open();
    const hook = await receiver(t);
    hook.answer({ status: 500 });
    await listen(t, target, hook, ["message.delivered"]);
    await commit(target, "w500");
    await target.knock.workflows.trigger("w500", { recipients: [{ id: "w6" }] });
    for (let n = 0; n < 12; n++) {
      await idle(target);
      target.clock.advance(30 * 60_000);
    }
    await idle(target);
    assert.equal(hook.requests.length, 8);
    assert.equal(new Set(hook.requests.map(({ headers }) => headers["idempotency-key"])).size, 1);
    assert.equal(new Set(hook.requests.map(({ text }) => text)).size, 1, "the same text every time");
    assert.equal(new Set(hook.requests.map(({ headers }) => headers["x-knock-signature"])).size, 8, "signed anew");
    const messages = await target.call("GET", "/messages");
    assert.ok(
      messages.body.items.every(({ source }: Body) => source.key !== "courier"),
      "tellings are no messages",
    );
  });

  test(`${name}: what authors write is told when it changes and when it is committed`, async (t) => {
    const target = await open();
    const hook = await receiver(t);
    await listen(t, target, hook, ["workflow.updated", "workflow.committed", "partial.committed"]);
    const put = (path: string, body: object) => target.call("PUT", path, body);
    await put("/workflows/wevents?environment=development", { workflow: { name: "A", steps: [IN_APP] } });
    await put("/workflows/wevents?environment=development", { workflow: { name: "A", steps: [IN_APP] } });
    await put("/partials/pevents?environment=development", { partial: { name: "P", type: "html", content: "x" } });
    await put("/commits?environment=development", {});
    await idle(target);
    assert.deepEqual(typesOf(hook.requests).sort(), ["partial.committed", "workflow.committed", "workflow.updated"]);
    const commits = await target.call("GET", "/commits?environment=development");
    const [committed] = eventsOf(hook.requests, "workflow.committed");
    assert.equal(committed.data.key, "wevents");
    assert.ok(commits.body.entries.some(({ id }: Body) => id === committed.event_data.commit_id));
  });

  test(`${name}: endpoints are kept without showing their secrets, and checked`, async (t) => {
    const target = await open();
    const { admin } = target;
    const hook = await receiver(t);
    const made = await listen(t, target, hook);
    assert.equal(made.secret, SECRET);
    const shown = await admin("GET", `/admin/knock/webhooks/${made.id}`);
    assert.deepEqual([shown.body.has_secret, shown.text.includes(SECRET)], [true, false]);
    const url = `${hook.url}/other`;
    const changed = await admin("PUT", `/admin/knock/webhooks/${made.id}`, { url, events: ["message.sent"] });
    assert.deepEqual([changed.body.url, changed.body.secret], [url, SECRET]);
    for (const body of [{}, { url: "ftp://a" }, { url, events: ["message.created"] }, { url, secret: "" }]) {
      assert.equal((await admin("POST", "/admin/knock/webhooks", body)).status, 400);
    }
    assert.equal((await admin("GET", "/admin/knock/webhooks/ohk_nope")).status, 404);
    const other = await target.another();
    assert.equal((await other.call("GET", `/admin/knock/webhooks/${made.id}`)).status, 404);
  });
});

test("an environment hears nothing of another, and of what no workflow sent", async (t) => {
  const target = await knockFor(t);
  const hook = await receiver(t);
  await listen(t, target, hook);
  const other = await target.another();
  const workflow = { name: "o", steps: [IN_APP] };
  await other.call("PUT", "/workflows/o?environment=development&commit=true", { workflow });
  await other.knock.workflows.trigger("o", { recipients: [{ id: "u" }] });
  const message = {
    to: { user_id: "u" },
    content: { title: "t", body: "b" },
    routing: { method: "single", channels: ["inbox"] },
  };
  assert.equal((await target.call("POST", `${target.url}/send`, { message })).status, 202);
  await idle(target);
  await target.app.engine.inbox.markAll(target.environment.id, "u", "read-all", { via: "courier", origin: null });
  await commit(target, "last");
  await idle(target);
  assert.deepEqual(typesOf(hook.requests).sort(), ["workflow.committed", "workflow.updated"]);
});
