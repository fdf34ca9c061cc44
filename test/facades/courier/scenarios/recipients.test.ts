import assert from "node:assert/strict";
import { test } from "node:test";
import Courier from "@trycourier/courier";
import { onEveryDatabase, refusal, type World } from "./world.ts";

const content = { title: "T", body: "B" };

/** Sends to many; resolves with the user ids that got a message, each as often as it got one. */
async function reached(world: World, to: object): Promise<string[]> {
  const requestId = await world.send({ to, content, routing: { method: "single", channels: ["inbox"] } });
  return (await world.messagesOf(requestId)).map(({ recipient }) => recipient).sort();
}

async function subscribers(world: World, listId: string): Promise<string[]> {
  return (await world.sdk.lists.subscriptions.list(listId)).items.map(({ recipientId }) => recipientId).sort();
}

const recipients = (...ids: string[]) => ({ recipients: ids.map((recipientId) => ({ recipientId })) });

onEveryDatabase("real", (world) => {
  test("14. Fan-out by array", async () => {
    const to = [
      { email: "a@x.io", data: { n: 1 } },
      { email: "b@x.io", data: { n: 2 } },
    ];
    const message = {
      to,
      data: { n: 0, m: 9 },
      content: { title: "T", body: "{n}-{m}" },
      routing: { method: "single", channels: ["email"] },
    };
    const requestId = await world.send(message);
    assert.ok((await refusal(world.sdk.messages.retrieve(requestId))) instanceof Courier.NotFoundError);
    const messages = await world.messagesOf(requestId);
    assert.equal(messages.length, 2);
    assert.equal(new Set(messages.map(({ id }) => id)).size, 2);
    assert.equal(world.mail("a@x.io").text.trim(), "1-9");
    assert.equal(world.mail("b@x.io").text.trim(), "2-9");

    const nobody = world.fresh("nobody");
    const third = await world.messagesOf(await world.send({ ...message, to: [...to, { user_id: nobody }] }));
    assert.deepEqual(third.map(({ recipient, status }) => `${recipient} ${status}`).sort(), [
      "a@x.io SENT",
      "b@x.io SENT",
      `${nobody} UNROUTABLE`,
    ]);
    assert.deepEqual([world.mails("a@x.io").length, world.mails("b@x.io").length], [2, 2]);
  });

  test("15. List life cycle", async () => {
    const { lists } = world.sdk;
    const news = "acme.news";
    assert.equal((await lists.update(news, { name: "News" }).asResponse()).status, 204);
    assert.equal((await lists.subscriptions.add(news, recipients("u1", "u2")).asResponse()).status, 204);
    assert.deepEqual(await subscribers(world, news), ["u1", "u2"]);

    assert.deepEqual(await reached(world, { list_id: news }), ["u1", "u2"]);
    const ofList = (await world.sdk.messages.list({ list: news })).results;
    assert.deepEqual(ofList.map(({ recipient }) => recipient).sort(), ["u1", "u2"]);

    const leave = () => lists.subscriptions.unsubscribeUser("u2", { list_id: news });
    assert.equal((await leave().asResponse()).status, 204);
    assert.ok((await refusal(leave())) instanceof Courier.NotFoundError);

    assert.equal((await lists.delete(news).asResponse()).status, 204);
    assert.ok((await refusal(lists.retrieve(news))) instanceof Courier.NotFoundError);
    assert.deepEqual(await reached(world, { list_id: news }), []);

    assert.equal((await lists.restore(news, {}).asResponse()).status, 204);
    assert.equal((await lists.retrieve(news)).name, "News");
    assert.deepEqual(await subscribers(world, news), ["u1"]);
    assert.deepEqual(await reached(world, { list_id: news }), ["u1"]);
    assert.ok((await refusal(lists.restore("never", {}))) instanceof Courier.NotFoundError);
  });

  test("16. List set replacement", async () => {
    const { lists } = world.sdk;
    await lists.subscriptions.add("l1", recipients("u1", "u2"));
    assert.equal((await lists.retrieve("l1")).id, "l1");
    assert.equal((await lists.subscriptions.subscribe("l1", recipients("u1", "u3")).asResponse()).status, 204);
    assert.deepEqual(await subscribers(world, "l1"), ["u1", "u3"]);
  });

  test("17. Patterns", async () => {
    const { lists } = world.sdk;
    const members = { "p.fire.g1": "u1", "p.grass.g1": "u1", "p.fire.g1.e1": "u2", p: "u3" };
    for (const [list, user] of Object.entries(members)) await lists.subscriptions.add(list, recipients(user));

    for (const [pattern, users] of [
      ["p.*.g1", ["u1"]],
      ["p.**", ["u1", "u2"]],
      ["p.fire.*", ["u1"]],
    ] as const) {
      assert.deepEqual(await reached(world, { list_pattern: pattern }), users, pattern);
      const found = (await lists.list({ pattern })).items.map(({ id }) => members[id as keyof typeof members]);
      assert.deepEqual([...new Set(found)].sort(), users, pattern);
    }

    for (const pattern of ["**", "*.**", "p.g*", "p..x", "p.***"]) {
      const send = world.send({ to: { list_pattern: pattern }, content });
      assert.ok((await refusal(send)) instanceof Courier.BadRequestError, pattern);
      assert.ok((await refusal(lists.list({ pattern }))) instanceof Courier.BadRequestError, pattern);
    }
    assert.ok((await refusal(lists.update("a.b.c.d.e", { name: "x" }))) instanceof Courier.BadRequestError);
    assert.equal((await world.call("PUT", "/lists/a%20b", { name: "x" })).status, 400);
    assert.equal((await world.call("GET", "/lists/a%20b")).status, 400);
  });
});
