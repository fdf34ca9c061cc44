import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { toMessageId } from "../../../../src/facades/knock/ids.ts";
import { newId } from "../../../../src/lib/ids.ts";
import { httpReceiver } from "../../../support/http-receiver.ts";
import { smtpReceiver } from "../../../support/smtp-receiver.ts";
import {
  allIds,
  feedOf,
  inAppStep,
  newUser,
  pushInApp,
  pushWorkflow,
  trigger,
  triggerEach,
} from "../feed/feed-world.ts";
import { forEachKnock, type KnockTarget, startKnockTarget } from "../knock-target.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

forEachKnock((name, open) => {
  const ready = new WeakSet<KnockTarget>();
  const world = async (): Promise<KnockTarget> => {
    const target = await open();
    if (!ready.has(target)) {
      ready.add(target);
      await pushInApp(target, "wf", { categories: ["collab"] });
      await pushWorkflow(target, "both", {
        steps: [
          inAppStep(),
          {
            type: "channel",
            ref: "email_1",
            channel_key: "email",
            template: {
              subject: "Hello {{ recipient.name }}",
              html_body: '<p>Hi. <a href="https://app.example/go?a=1">Go</a></p>',
            },
            channel_overrides: { link_tracking: true },
          },
        ],
      });
    }
    return target;
  };
  const one = async (target: KnockTarget, more: object = {}) => {
    const user = await newUser(target);
    const [id] = await triggerEach(target, "wf", user, [{ ...more }]);
    return { user, id: id as string };
  };
  const eventsOf = async (target: KnockTarget, id: string): Promise<readonly string[]> => {
    const types: string[] = [];
    for await (const event of target.knock.messages.listEvents(id, { page_size: 2 })) types.unshift(event.type);
    return types;
  };
  /** Lets the dispatcher make the tries that are due. */
  const settled = async (target: KnockTarget, id: string, status: string): Promise<void> => {
    while ((await target.knock.messages.get(id)).status !== status) await new Promise(setImmediate);
  };

  test(`${name}: a message in every field`, async () => {
    const target = await world();
    const actor = await newUser(target);
    const user = await newUser(target);
    const run = await trigger(target, "wf", [user], { data: { x: 1 }, tenant: "acme", actor });
    const [id] = await allIds(target, user);
    const message = await target.knock.messages.get(id as string);
    const { channel, source, inserted_at, updated_at, ...rest } = message;
    assert.deepEqual(rest, {
      __typename: "Message",
      id,
      channel_id: target.feedId,
      recipient: user,
      actors: [actor],
      status: "delivered",
      engagement_statuses: [],
      data: { x: 1 },
      metadata: null,
      tenant: "acme",
      workflow: "wf",
      recipient_snapshot: null,
      scheduled_at: null,
      seen_at: null,
      read_at: null,
      interacted_at: null,
      clicked_at: null,
      link_clicked_at: null,
      archived_at: null,
    });
    assert.deepEqual([channel?.id, channel?.type, channel?.key], [target.feedId, "in_app_feed", "in-app"]);
    assert.deepEqual([source.__typename, source.key, source.categories], ["NotificationSource", "wf", ["collab"]]);
    assert.deepEqual([source.step_ref, source.type, source.workflow_run_id], ["in_app_1", "workflow", run]);
    assert.match(source.workflow_recipient_run_id as string, UUID);
    assert.match(source.version_id, UUID);
    assert.equal(inserted_at, updated_at);
    const runs = await target.call("GET", `/workflow_recipient_runs/${source.workflow_recipient_run_id}`);
    assert.equal(runs.body.recipient, user);
  });

  test(`${name}: marks set what they say, move when repeated, are taken back, and are remembered`, async () => {
    const target = await world();
    const { id } = await one(target);
    const { messages } = target.knock;
    const { seen_at, read_at } = await messages.markAsSeen(id);
    assert.deepEqual([seen_at, read_at], [new Date(target.clock.now()).toISOString(), null]);
    target.clock.advance(1_000);
    const again = await messages.markAsSeen(id);
    assert.equal(again.seen_at, new Date(target.clock.now()).toISOString());
    assert.equal(again.updated_at, again.seen_at);
    const metadata = { type: "button_click", name: "primary", n: 1 };
    target.clock.advance(1_000);
    const acted = await messages.markAsInteracted(id, { metadata });
    assert.deepEqual(acted.engagement_statuses, ["seen", "read", "interacted"]);
    assert.equal(acted.read_at, acted.interacted_at);
    target.clock.advance(1_000);
    assert.notEqual((await messages.archive(id)).archived_at, null);
    assert.equal((await messages.unarchive(id)).archived_at, null);
    assert.equal((await messages.markAsUnread(id)).read_at, null);
    target.clock.advance(1_000);
    const last = await messages.markAsUnseen(id);
    assert.deepEqual(last.engagement_statuses, ["interacted"]);
    // Nothing left to take back: no event.
    await messages.markAsUnseen(id);
    assert.deepEqual(await eventsOf(target, id), [
      "message.created",
      "message.delivered",
      "message.seen",
      "message.seen",
      "message.interacted",
      "message.read",
      "message.archived",
      "message.unarchived",
      "message.unread",
      "message.unseen",
    ]);
    const events = (await target.knock.messages.listEvents(id)).items;
    assert.deepEqual(events.find(({ type }) => type === "message.interacted")?.data, metadata);
    assert.equal(new Set(events.map((event) => event.id)).size, events.length);
  });

  test(`${name}: unmarking is the same by either word and by batch`, async () => {
    const target = await world();
    const { id } = await one(target);
    const ways: readonly (readonly [string, string, object?])[] = [
      ["DELETE", `/messages/${id}/read`],
      ["DELETE", `/messages/${id}/unread`],
      ["PUT", `/messages/${id}/unread`],
      ["POST", "/messages/batch/unread", { message_ids: [id] }],
    ];
    for (const [method, path, body] of ways) {
      const read = await target.knock.messages.markAsRead(id);
      assert.notEqual(read.read_at, null);
      const answer = await target.asClient()(method, path, body);
      const message = Array.isArray(answer.body) ? answer.body[0] : answer.body;
      assert.deepEqual([answer.status, message.id, message.read_at], [200, id, null], `${method} ${path}`);
    }
  });

  test(`${name}: a batch answers with those there are, in the order asked for`, async () => {
    const target = await world();
    const user = await newUser(target);
    const [a, b, c] = (await triggerEach(target, "wf", user, [{}, {}, {}])) as [string, string, string];
    const unknown = toMessageId(newId("dlv", target.clock.now()));
    const marked = await target.knock.messages.batch.markAsRead({ message_ids: [b, unknown, "nope", a, b] });
    assert.deepEqual(
      marked.map((message) => [message.id, message.read_at !== null]),
      [
        [b, true],
        [a, true],
      ],
    );
    assert.equal((await target.knock.messages.get(c)).read_at, null);
    assert.deepEqual(await target.knock.messages.batch.archive({ message_ids: [] }), []);
    const acted = await target.knock.messages.batch.markAsInteracted({ message_ids: [c], metadata: { a: "b" } });
    assert.deepEqual(acted[0]?.engagement_statuses, ["read", "interacted"]);
    const contents = await target.knock.messages.batch.getContent({ message_ids: [c, a] });
    assert.deepEqual(
      contents.map(({ message_id }) => message_id),
      [c, a],
    );
    for (const mark of ["seen", "unseen", "read", "unread", "archived", "unarchived"]) {
      const { status, body } = await target.asClient()("POST", `/messages/batch/${mark}`, { message_ids: [a] });
      assert.deepEqual([status, body.length], [200, 1], mark);
    }
  });

  test(`${name}: bad input is refused by field and marks nothing`, async () => {
    const target = await world();
    const { id } = await one(target);
    const refused = async (method: string, path: string, body: unknown, field: string): Promise<void> => {
      const answer = await target.call(method, path, body);
      assert.deepEqual([answer.status, answer.body.code], [422, "invalid_params"], `${method} ${path} ${answer.text}`);
      assert.equal(answer.body.errors[0].field, field);
    };
    const six = Object.fromEntries(["a", "b", "c", "d", "e", "f"].map((key) => [key, 1]));
    await refused("PUT", `/messages/${id}/interacted`, { metadata: six }, "metadata");
    await refused("PUT", `/messages/${id}/interacted`, { metadata: { a: { b: 1 } } }, "metadata.a");
    await refused("PUT", `/messages/${id}/interacted`, { metadata: { a: "\u0000" } }, "metadata.a");
    await refused("PUT", `/messages/${id}/interacted`, { metadata: { a: "x".repeat(5_000) } }, "metadata.a");
    await refused("PUT", `/messages/${id}/interacted`, { metadata: [1] }, "metadata");
    await refused("POST", "/messages/batch/read", {}, "message_ids");
    await refused("POST", "/messages/batch/read", { message_ids: "x" }, "message_ids");
    await refused("POST", "/messages/batch/read", { message_ids: [id, 7] }, "message_ids[1]");
    await refused("POST", "/messages/batch/read", { message_ids: Array(501).fill(id) }, "message_ids");
    await refused("GET", "/messages/batch/content", undefined, "message_ids");
    await refused("GET", "/messages?status=lost", undefined, "status[0]");
    await refused("GET", "/messages?workflow_run_id=nope", undefined, "workflow_run_id");
    await refused("GET", "/messages?after=nope", undefined, "after");
    await refused("GET", '/messages?trigger_data={"a":[1]}', undefined, "trigger_data");
    assert.deepEqual((await target.knock.messages.get(id)).engagement_statuses, []);
    for (const path of ["nope", toMessageId(newId("dlv", 0)), "%00", "x".repeat(300)]) {
      const answer = await target.call("GET", `/messages/${path}`);
      assert.deepEqual([answer.status, answer.body.code], [404, "resource_missing"], path);
      assert.equal((await target.call("PUT", `/messages/${path}/read`)).status, 404);
    }
    assert.equal((await target.call("PUT", `/messages/${id}/loved`)).status, 404);
    assert.equal((await target.call("PUT", `/messages/${id}/interacted`)).status, 200);
  });

  test(`${name}: lists hold what workflows sent, on every channel, and every filter narrows`, async () => {
    const target = await world();
    const mail = `${randomUUID()}@example.com`;
    const user = await newUser(target);
    await target.knock.users.update(user, { email: mail });
    const run = await trigger(target, "both", [user], { data: { page: "A" }, tenant: "acme" });
    target.clock.advance(5_000);
    const [, id] = await triggerEach(target, "wf", user, [{ data: { page: "B" } }, { data: { page: "A" } }]);
    const list = async (query: string): Promise<string[]> => {
      const { status, body, text } = await target.call("GET", `/users/${user}/messages?${query}`);
      assert.equal(status, 200, text);
      return body.items.map((message: { id: string; channel: { type: string }; source: { key: string } }) =>
        message.id === id ? "last" : `${message.source.key} ${message.channel.type}`,
      );
    };
    const all = ["last", "wf in_app_feed", "both email", "both in_app_feed"];
    assert.deepEqual(await list(""), all);
    assert.deepEqual(await list("tenant=acme"), all.slice(2));
    assert.deepEqual(await list(`channel_id=${target.feedId}`), ["last", "wf in_app_feed", "both in_app_feed"]);
    assert.deepEqual(await list("source=both"), all.slice(2));
    assert.deepEqual(await list("workflow_categories[]=collab"), all.slice(0, 2));
    assert.deepEqual(await list('trigger_data={"page":"A"}'), ["last", ...all.slice(2)]);
    assert.deepEqual(await list(`workflow_run_id=${run}`), all.slice(2));
    assert.deepEqual(await list(`message_ids[]=${id}&message_ids[]=nope`), ["last"]);
    assert.deepEqual(await list("engagement_status[]=read"), []);
    await target.knock.messages.markAsRead(id as string);
    assert.deepEqual(await list("engagement_status[]=read&engagement_status[]=unseen"), ["last"]);
    assert.deepEqual(await list("status[]=delivered&status[]=bounced"), ["last", "wf in_app_feed", "both in_app_feed"]);
    const { inserted_at } = await target.knock.messages.get(id as string);
    assert.deepEqual(await list(`inserted_at.gte=${inserted_at}`), ["last"]);
    assert.deepEqual(await list(`inserted_at.lt=${inserted_at}`), all.slice(1));
    // The SDK walks all pages of the environment's list.
    const walked: string[] = [];
    for await (const message of target.knock.messages.list({ page_size: 2, tenant: "acme" })) {
      if (message.recipient === user) walked.push(message.source.key);
    }
    assert.deepEqual(walked, ["both", "both"]);
    const other = await target.another();
    assert.deepEqual((await other.call("GET", "/messages")).body.items, []);
    assert.equal((await other.call("GET", `/messages/${id}`)).status, 404);
    assert.equal((await other.call("PUT", `/messages/${id}/read`)).status, 404);
  });

  test(`${name}: messages to an object are under the object`, async () => {
    const target = await world();
    const object = { collection: "projects", id: `p-${randomUUID()}` };
    await trigger(target, "both", [{ ...object, name: "P", email: "p@example.com" }]);
    const path = `/objects/${object.collection}/${object.id}/messages`;
    let items: { readonly recipient: unknown; readonly id: string }[] = [];
    while (items.length === 0) items = (await target.call("GET", path)).body.items;
    assert.deepEqual(
      items.map(({ recipient }) => recipient),
      [object],
    );
    const { body } = await target.call("GET", `/messages/${items[0]?.id}/activities`);
    assert.deepEqual([body.items[0].recipient.__typename, body.items[0].recipient.id], ["Object", object.id]);
    assert.notEqual((await target.knock.messages.markAsRead(items[0]?.id as string)).read_at, null);
  });

  test(`${name}: a mail's content, its tries, its events, and the links in it that were followed`, async () => {
    const target = await world();
    const user = `u-${randomUUID()}`;
    await target.knock.users.update(user, { name: "Ann", email: "ann@example.com" });
    await trigger(target, "both", [user]);
    const { items } = (await target.call("GET", `/users/${user}/messages`)).body;
    const id = items.find((message: { channel: { type: string } }) => message.channel.type === "email").id as string;
    await settled(target, id, "sent");
    const content = await target.knock.messages.getContent(id);
    const data = content.data as unknown as Record<string, string>;
    assert.deepEqual([content.message_id, data.__typename, data.to], [id, "MessageEmailContent", "ann@example.com"]);
    assert.equal(data.subject_line, "Hello Ann");
    // She is called otherwise since.
    await target.knock.users.update(user, { name: "Anna" });
    assert.deepEqual((await target.knock.messages.get(id)).recipient_snapshot, {
      email: "ann@example.com",
      name: "Ann",
    });
    const logs = (await target.knock.messages.listDeliveryLogs(id)).items;
    assert.deepEqual([logs.length, logs[0]?.__typename, logs[0]?.response.status], [1, "MessageDeliveryLog", 200]);
    // The vendor's types have texts or objects here, never null.
    assert.deepEqual([logs[0]?.request.body, logs[0]?.response.body], ["", ""]);
    assert.deepEqual(await eventsOf(target, id), ["message.created", "message.queued", "message.sent"]);
    const link = /href="([^"]+\/e\/[^"]+)"/.exec(data.html_body as string)?.[1] as string;
    target.clock.advance(1_000);
    const followed = await fetch(link, { redirect: "manual" });
    assert.deepEqual([followed.status, followed.headers.get("location")], [302, "https://app.example/go?a=1"]);
    const clicked = await target.knock.messages.get(id);
    assert.deepEqual([clicked.engagement_statuses, clicked.interacted_at], [["link_clicked"], null]);
    assert.equal(clicked.link_clicked_at, new Date(target.clock.now()).toISOString());
    assert.equal(clicked.clicked_at, clicked.link_clicked_at);
    const [newest] = (await target.knock.messages.listEvents(id)).items;
    assert.deepEqual([newest?.type, newest?.data], ["message.link_clicked", { url: "https://app.example/go?a=1" }]);
    const listed = await target.call("GET", `/users/${user}/messages?engagement_status[]=link_clicked`);
    assert.deepEqual(
      listed.body.items.map((message: { id: string }) => message.id),
      [id],
    );
  });

  test(`${name}: whoever opens a mail has read that mail, and nothing else`, async () => {
    const target = await world();
    const mail = { type: "channel", ref: "mail", channel_key: "email", channel_overrides: { open_tracking: true } };
    await pushWorkflow(target, "opened", {
      steps: [inAppStep(), { ...mail, template: { subject: "S", html_body: "<p>H</p>" } }],
    });
    const user = `u-${randomUUID()}`;
    await trigger(target, "opened", [{ id: user, email: "ann@example.com" }]);
    const messages = async () =>
      (await target.call("GET", `/users/${user}/messages`)).body.items as readonly {
        readonly id: string;
        readonly channel: { readonly type: string };
        readonly engagement_statuses: readonly string[];
      }[];
    const id = (await messages()).find(({ channel }) => channel.type === "email")?.id as string;
    await settled(target, id, "sent");
    const { data } = await target.knock.messages.getContent(id);
    const pixel = /<img src="([^"]+)"/.exec((data as { html_body: string }).html_body)?.[1] as string;
    for (let n = 0; n < 2; n++) assert.equal((await fetch(pixel)).status, 200);
    // The mail was seen, and the item in the feed was read though nobody had looked at it.
    assert.deepEqual(
      (await messages()).map(({ channel, engagement_statuses }) => [channel.type, engagement_statuses]),
      [
        ["email", ["read"]],
        ["in_app_feed", []],
      ],
    );
    const told = ["message.created", "message.queued", "message.sent", "message.read"];
    assert.deepEqual(await eventsOf(target, id), told);
  });

  test(`${name}: a mail says who sent it, and what the provider calls it`, async (t) => {
    const target = await startKnockTarget({ dialect: name, env: { CARILLON_ALLOW_NETWORKS: "127.0.0.0/8" } });
    t.after(() => target.close());
    const box = await smtpReceiver();
    t.after(() => box.close());
    const settings = { host: box.host, port: box.port, from: "Acme <acme@example.com>", reply_to: "help@example.com" };
    assert.equal((await target.call("POST", `${target.url}/providers`, { provider: "smtp", settings })).status, 201);
    const step = { type: "channel", channel_key: "email", template: { subject: "S", html_body: "<p>H</p>" } };
    await pushWorkflow(target, "mails", {
      steps: [
        { ...step, ref: "plain" },
        { ...step, ref: "own", channel_overrides: { from_name: "Bob", from_address: "bob@example.com" } },
      ],
    });
    await trigger(target, "mails", [{ id: "ann", email: "ann@example.com" }]);
    const { items } = await target.knock.users.listMessages("ann");
    for (const { id } of items) await settled(target, id, "sent");
    const contents = await target.knock.messages.batch.getContent({ message_ids: items.map(({ id }) => id) });
    const shown = contents.map(({ data }) => data as { from: string; reply_to: string | null; cc: string | null });
    assert.deepEqual(
      shown.map(({ from, reply_to, cc }) => [from, reply_to, cc]),
      [
        ['"Bob" <bob@example.com>', "help@example.com", null],
        ["Acme <acme@example.com>", "help@example.com", null],
      ],
    );
    for (const { id } of items) {
      const { metadata } = await target.knock.messages.get(id);
      assert.match(metadata?.external_id as string, /^<dlv_.+@example\.com>$/);
    }
  });

  test(`${name}: a chat's content names the connection as it was stored`, async () => {
    const target = await world();
    const template = { markdown_body: "Hi" };
    await pushWorkflow(target, "chats", { steps: [{ type: "channel", ref: "c", channel_key: "chat", template }] });
    const connection = { incoming_webhook: { url: "https://hooks.example/1" } };
    const { items: channels } = (await target.admin("GET", "/admin/knock/channels")).body;
    const chat = channels.find(({ type }: { type: string }) => type === "chat").id;
    const user = `u-${randomUUID()}`;
    await trigger(target, "chats", [{ id: user, channel_data: { [chat]: { connections: [connection] } } }]);
    const [message] = (await target.knock.users.listMessages(user)).items;
    const { data } = await target.knock.messages.getContent(message?.id as string);
    assert.deepEqual((data as { connection: unknown }).connection, connection);
  });

  test(`${name}: the log of an http step has the request it made`, async (t) => {
    const target = await startKnockTarget({ dialect: name, env: { CARILLON_ALLOW_NETWORKS: "127.0.0.0/8" } });
    t.after(() => target.close());
    const hook = await httpReceiver();
    t.after(() => hook.close());
    await target.admin("POST", "/admin/knock/channels", { key: "hooks", type: "http" });
    const template = {
      method: "post",
      url: `${hook.url}/in`,
      headers: [{ key: "x-from", value: "{{ data.from }}" }],
      query_params: [{ key: "n", value: "1" }],
      body: '{"a": 1}',
    };
    await pushWorkflow(target, "hooks", { steps: [{ type: "channel", ref: "h", channel_key: "hooks", template }] });
    await trigger(target, "hooks", [{ id: "ann" }], { data: { from: "me" } });
    const [message] = (await target.knock.users.listMessages("ann")).items;
    const id = message?.id as string;
    await settled(target, id, "delivered");
    const [log] = (await target.knock.messages.listDeliveryLogs(id)).items;
    const { host } = new URL(hook.url);
    assert.deepEqual(log?.request, {
      host,
      method: "POST",
      path: new URL(template.url).pathname,
      query: "n=1",
      headers: { "x-from": "me" },
      body: '{"a": 1}',
    });
    assert.equal(log?.response.status, 200);
  });

  test(`${name}: what a feed's message says and speaks of`, async () => {
    const target = await world();
    const { id, user } = await one(target, { data: { a: 1 } });
    const content = await target.knock.messages.getContent(id);
    assert.deepEqual(content.data, {
      __typename: "MessageInAppFeedContent",
      blocks: (await feedOf(target, user)).body.entries[0].blocks,
    });
    assert.deepEqual((await target.knock.messages.listDeliveryLogs(id)).items, []);
    const { items } = await target.knock.messages.listActivities(id);
    assert.deepEqual(
      items.map(({ actor, data, recipient }) => [actor, data, recipient?.id]),
      [[null, { a: 1 }, user]],
    );
    const none = await target.call("GET", `/messages/${id}/activities?trigger_data={"a":2}`);
    assert.deepEqual(none.body.items, []);
  });

  test(`${name}: a public key marks and reads, and does no more`, async () => {
    const target = await world();
    const { id } = await one(target);
    const client = target.asClient();
    assert.equal((await client("GET", `/messages/${id}`)).status, 200);
    for (const path of ["content", "activities", "events", "delivery_logs"]) {
      const { status, body } = await client("GET", `/messages/${id}/${path}`);
      assert.deepEqual([status, body.code], [401, "incorrect_token_type"], path);
    }
    assert.equal((await client("GET", "/messages")).status, 401);
  });

  test(`${name}: a user token reaches its own user's messages; of others it learns nothing`, async (t) => {
    const target = await startKnockTarget({ dialect: name });
    t.after(() => target.close());
    await pushInApp(target, "wf");
    const [ann, bob] = [await newUser(target, "ann"), await newUser(target, "bob")];
    const [hers] = (await triggerEach(target, "wf", ann, [{}])) as [string];
    const [acme, zeta] = (await triggerEach(target, "wf", bob, [{ tenant: "acme" }, { tenant: "zeta" }])) as [
      string,
      string,
    ];
    const { token } = await target.signingKey();
    await target.security(true);
    const asAnn = target.asClient(token(ann));
    assert.equal((await asAnn("GET", `/messages/${hers}`)).status, 200);
    for (const [method, path] of [
      ["GET", `/messages/${acme}`],
      ["PUT", `/messages/${acme}/read`],
      ["DELETE", `/messages/${acme}/seen`],
    ] as const) {
      assert.equal((await asAnn(method, path)).status, 404, path);
    }
    const batch = await asAnn("POST", "/messages/batch/read", { message_ids: [acme, hers] });
    assert.deepEqual(
      batch.body.map((message: { id: string }) => message.id),
      [hers],
    );
    const bulk = `/channels/${target.feedId}/messages/bulk/seen`;
    assert.equal((await asAnn("POST", bulk, { user_ids: ["bob"] })).body.processed_rows, 0);
    const inAcme = { grants: { "https://x.example/v1/tenants/acme": { "feed/write": [{}] } } };
    const asBob = target.asClient(token(bob, inAcme));
    assert.equal((await asBob("PUT", `/messages/${acme}/read`)).status, 200);
    assert.equal((await asBob("PUT", `/messages/${zeta}/read`)).status, 404);
    assert.equal((await asBob("POST", bulk, { tenants: ["zeta"] })).status, 403);
    assert.equal((await asBob("POST", bulk, {})).body.processed_rows, 1);
    assert.equal((await target.knock.messages.get(zeta)).seen_at, null);
    await target.security(false);
    assert.equal((await target.asClient()("POST", bulk, {})).status, 422);
  });
});
