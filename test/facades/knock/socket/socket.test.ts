import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { request } from "node:http";
import { type TestContext, test } from "node:test";
import { feedOf, newUser, pushInApp, trigger } from "../feed/feed-world.ts";
import { forEachKnock, type KnockTarget, startKnockTarget } from "../knock-target.ts";
import { connect, openPhoenix, type PhoenixClient, pushed, topicOf } from "./phoenix-client.ts";

const counts = (total: number, unread = total, unseen = total) => ({
  total_count: total,
  unread_count: unread,
  unseen_count: unseen,
});

async function opened(t: TestContext, target: KnockTarget, userToken = ""): Promise<PhoenixClient> {
  const client = await connect(target, userToken);
  t.after(() => client.close());
  return client;
}

forEachKnock((name, open) => {
  const ready = new WeakSet<KnockTarget>();
  const world = async (): Promise<KnockTarget> => {
    const target = await open();
    if (!ready.has(target)) {
      ready.add(target);
      await pushInApp(target, "wf", { categories: ["collab"] });
      await pushInApp(target, "other");
    }
    return target;
  };

  test(`${name}: who may not come in is told 403 before there is a socket, without a body`, async () => {
    const target = await world();
    const key = encodeURIComponent(target.publicKey);
    const queries = [
      "",
      "vsn=2.0.0",
      "api_key=nope&vsn=2.0.0",
      `api_key=${target.secretKey}&vsn=2.0.0`,
      `api_key=${key}`,
      `api_key=${key}&vsn=1.0.0`,
    ];
    for (const query of queries) {
      await assert.rejects(openPhoenix(target, query), { status: 403, body: "" }, query);
    }
    const status = await new Promise((resolve) => {
      const headers = { connection: "upgrade", upgrade: "websocket" };
      const asked = request(`${target.url}/ws/v1/websocket?api_key=${key}&vsn=2.0.0`, { method: "POST", headers });
      asked.on("response", (response) => resolve(response.statusCode)).end();
    });
    assert.equal(status, 400);
    assert.equal((await fetch(`${target.url}/ws/v1/websocket?api_key=${key}&vsn=2.0.0`)).status, 400);
  });

  test(`${name}: frames are answered under their refs, and what is none is not answered`, async (t) => {
    const target = await world();
    const user = await newUser(target);
    const client = await opened(t, target);
    const topic = topicOf(target, user);
    client.send(null, "9", "phoenix", "heartbeat", {});
    assert.deepEqual(await client.reply("9"), [null, "9", "phoenix", "phx_reply", { status: "ok", response: {} }]);
    assert.deepEqual(await client.join(topic, {}, "7"), ["7", "7", topic, "phx_reply", { status: "ok", response: {} }]);
    for (const garbage of ["", "nope", "[]", "[1,2,3,4,5]", '{"a":1}', `["x","y","${topic}"]`])
      client.socket.send(garbage);
    client.socket.send(Buffer.from([0, 1, 2]));
    client.send("7", "8", topic, "shout", {});
    client.send(null, "10", "feeds:x", "shout", {});
    client.send("11", "11", "guides:g", "phx_join", {});
    client.send("12", "12", `feeds:${randomUUID()}:${user}`, "phx_join", {});
    const reason = async (ref: string) => (await client.reply(ref))[4];
    assert.deepEqual(await reason("8"), { status: "error", response: { reason: "unmatched event" } });
    assert.deepEqual(await reason("10"), { status: "error", response: { reason: "unmatched topic" } });
    assert.deepEqual(await reason("11"), { status: "error", response: { reason: "unknown user" } });
    assert.deepEqual(await reason("12"), { status: "error", response: { reason: "unknown feed" } });
    client.send("7", "13", topic, "phx_leave", {});
    assert.deepEqual((await client.reply("13"))[4], { status: "ok", response: {} });
    await client.caughtUp();
    assert.deepEqual(client.frames.at(-2), ["7", "7", topic, "phx_close", {}]);
    client.send("7", "14", topic, "phx_leave", {});
    assert.deepEqual((await client.reply("14"))[4], { status: "ok", response: {} });
    await client.caughtUp();
    assert.equal(client.frames.filter(([, , , event]) => event === "phx_close").length, 1);
  });

  test(`${name}: a join anew ends the old one under its own ref, and what has an old ref is passed over`, async (t) => {
    const target = await world();
    const user = await newUser(target);
    const client = await opened(t, target);
    const topic = topicOf(target, user);
    await client.join(topic, { a: {} }, "1");
    // As the SDK does it when another feed comes to the page.
    client.send("1", "2", topic, "phx_leave", {});
    client.send("3", "3", topic, "phx_join", { a: {}, b: {} });
    await client.reply("3");
    assert.deepEqual(client.frames.slice(-3), [
      ["1", "2", topic, "phx_reply", { status: "ok", response: {} }],
      ["1", "1", topic, "phx_close", {}],
      ["3", "3", topic, "phx_reply", { status: "ok", response: {} }],
    ]);
    client.send("4", "4", topic, "phx_join", { a: {}, b: {}, c: {} });
    await client.reply("4");
    assert.deepEqual(client.frames.at(-2), ["3", "3", topic, "phx_close", {}]);
    client.send("1", "5", topic, "phx_leave", {});
    await trigger(target, "wf", [user]);
    const [push] = await pushed(target, client, 1);
    assert.deepEqual(push.attn, ["a", "b", "c"]);
    assert.equal(
      client.frames.some(([, ref]) => ref === "5"),
      false,
    );
  });

  test(`${name}: feeds hear of what they show, with their own counts, once for a burst`, async (t) => {
    const target = await world();
    const user = await newUser(target);
    const client = await opened(t, target);
    const topic = topicOf(target, user);
    await client.join(
      topic,
      {
        acme: { tenant: "acme", archived: "exclude", mode: "compact" },
        zeta: { tenant: "zeta", archived: "exclude", mode: "compact" },
        only: { archived: "only", mode: "compact" },
        page: { trigger_data: { page: "A" }, archived: "exclude" },
        other: { source: "other", archived: "exclude" },
        read: { status: "read", archived: "exclude" },
        unread: { status: "unread", archived: "include" },
      },
      "1",
    );
    await trigger(target, "wf", [user], { tenant: "acme" });
    // The first at once; what follows within a quarter of a second, together at its end.
    await client.first(() => client.pushes().length === 1);
    const [first] = client.pushes();
    assert.equal(first.event, "new-message");
    assert.deepEqual(first.attn, ["acme", "unread"]);
    assert.deepEqual(first.metadata, counts(1));
    assert.deepEqual(first.data, { acme: { metadata: counts(1) }, unread: { metadata: counts(1) } });
    await trigger(target, "wf", [user], { tenant: "zeta", data: { page: "A" } });
    await trigger(target, "wf", [user], { data: { page: "B" } });
    await trigger(target, "other", [user], { tenant: "zeta" });
    const [, second, ...more] = await pushed(target, client, 2);
    assert.equal(more.length, 0);
    assert.deepEqual(second.attn, ["acme", "zeta", "page", "other", "unread"]);
    assert.deepEqual(second.data.acme.metadata, counts(2));
    assert.deepEqual(second.data.zeta.metadata, counts(3));
    assert.deepEqual(second.data.page.metadata, counts(1));
    assert.deepEqual(second.data.other.metadata, counts(1));
    assert.deepEqual(second.data.unread.metadata, counts(4));
    // What was pushed of can be fetched.
    assert.equal((await feedOf(target, user, "tenant=zeta")).body.meta.total_count, 3);
  });

  test(`${name}: nobody hears of what does not concern them`, async (t) => {
    const target = await world();
    const [ann, bob] = [await newUser(target), await newUser(target)];
    const client = await opened(t, target);
    const stranger = await opened(t, target);
    await client.join(topicOf(target, ann), { z: { tenant: "zeta", archived: "exclude" } }, "1");
    await stranger.join(topicOf(target, bob), { b: {} }, "1");
    await trigger(target, "wf", [ann], { tenant: "acme" });
    await trigger(target, "wf", [ann], { tenant: "zeta" });
    const [push] = await pushed(target, client, 1);
    assert.deepEqual(push.data, { z: { metadata: counts(1) } });
    await stranger.caughtUp();
    assert.deepEqual(stranger.pushes(), []);
  });

  test(`${name}: Knock's own changes push nothing; another facade's do, with fresh counts`, async (t) => {
    const target = await world();
    const user = await newUser(target);
    const client = await opened(t, target);
    await client.join(topicOf(target, user), { a: { archived: "exclude", mode: "compact" } }, "1");
    await trigger(target, "wf", [user]);
    await pushed(target, client, 1);
    const [item] = (await feedOf(target, user)).body.entries;
    await target.asClient()("PUT", `/messages/${item.id}/seen`);
    await target.asClient()("POST", `/channels/${target.feedId}/messages/bulk/read`, { user_ids: [user] });
    await target.asClient()("DELETE", `/messages/${item.id}/read`);
    // A Courier page of the same user archives nothing, but reads it.
    const { environment } = target;
    const [delivery] = (
      await target.app.engine.inbox.list(environment.id, { userId: user }, target.clock.now(), { limit: 1 })
    ).items;
    const actor = { via: "courier", origin: null };
    await target.app.engine.inbox.mark(environment.id, user, delivery!.messageId, "read", true, actor);
    const [, second, ...more] = await pushed(target, client, 2);
    assert.deepEqual([second.attn, second.data.a.metadata, more], [["a"], counts(1, 0, 0), []]);
    await target.app.engine.inbox.markAll(environment.id, user, "archive-all", actor);
    const [, , third] = await pushed(target, client, 3);
    assert.deepEqual(third.data.a.metadata, counts(0));
  });

  test(`${name}: former clients join with the options themselves, and are pushed to without a name`, async (t) => {
    const target = await world();
    const user = await newUser(target, `org:${randomUUID()}:x`);
    const client = await opened(t, target);
    await client.join(topicOf(target, user), { tenant: "acme", archived: "exclude" }, "1");
    await trigger(target, "wf", [user], { tenant: "zeta" });
    await trigger(target, "wf", [user], { tenant: "acme" });
    assert.deepEqual(await pushed(target, client, 1), [
      { event: "new-message", metadata: counts(1), data: {}, attn: [] },
    ]);
  });

  test(`${name}: a hundred channels on a socket, not one more`, async (t) => {
    const target = await world();
    const client = await opened(t, target);
    const user = randomUUID();
    const topics = Array.from({ length: 101 }, (_, i) => `${topicOf(target, user)}-${i}`);
    const answers = topics.map((topic, i) => client.join(topic, {}, String(i)));
    const statuses = (await Promise.all(answers)).map(([, , , , { status }]) => status);
    assert.deepEqual(
      statuses.slice(0, 100),
      Array.from({ length: 100 }, () => "ok"),
    );
    assert.deepEqual((await client.reply("100"))[4], {
      status: "error",
      response: { reason: "too many channels joined" },
    });
  });

  test(`${name}: with enhanced security a token opens its own user's feed only`, async (t) => {
    const target = await startKnockTarget({ dialect: name });
    t.after(() => target.close());
    await pushInApp(target, "wf");
    const { token } = await target.signingKey();
    await target.security(true);
    await assert.rejects(connect(target), { status: 403 });
    await assert.rejects(connect(target, "x.y.z"), { status: 403 });
    const soon = Math.floor(target.clock.now() / 1000) + 60;
    const client = await opened(t, target, token("u1", { exp: soon }));
    const { status } = (await client.join(topicOf(target, "u1"), { a: {} }, "1"))[4];
    assert.equal(status, "ok");
    const denied = (await client.join(topicOf(target, "u2"), { a: {} }, "2"))[4];
    assert.deepEqual(denied, { status: "error", response: { reason: "unauthorized" } });
    await target.knock.users.update("u1", {});
    await trigger(target, "wf", ["u1", { id: "u2" }]);
    assert.equal((await pushed(target, client, 1)).length, 1);

    const limited = await opened(
      t,
      target,
      token("u1", { exp: soon, grants: { "https://x.example/v1/tenants/acme": { "user/feed_read": [] } } }),
    );
    const acme = { archived: "exclude", tenant: "acme" };
    const zeta = { archived: "exclude", tenant: "zeta" };
    assert.equal((await limited.join(topicOf(target, "u1"), { z: zeta }, "1"))[4].status, "error");
    assert.equal((await limited.join(topicOf(target, "u1"), { z: zeta, a: acme, n: {} }, "2"))[4].status, "ok");
    await trigger(target, "wf", ["u1"]);
    const [push] = await pushed(target, limited, 1);
    assert.deepEqual(push.attn, ["a"]);

    // A socket stays when its token is over, but joins nothing more. Heartbeats keep it open meanwhile.
    target.clock.advance(45_000);
    await client.caughtUp();
    target.clock.advance(50_000);
    await client.caughtUp();
    assert.equal((await client.join(topicOf(target, "u1"), { a: {} }, "9"))[4].status, "error");
  });

  test(`${name}: whoever is silent for a minute is sent away, and at a stop everybody, so that they come back`, async () => {
    const target = await startKnockTarget({ dialect: name });
    const silent = await connect(target);
    const alive = await connect(target);
    for (let i = 0; i < 8; i++) {
      target.clock.advance(10_000);
      await alive.caughtUp();
    }
    const { code } = await silent.closed;
    assert.equal(code, 1001);
    const stopped = target.close();
    assert.equal((await alive.closed).code, 1012);
    await stopped;
  });
});
