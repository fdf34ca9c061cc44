import assert from "node:assert/strict";
import { test } from "node:test";
import Courier from "@trycourier/courier";
import { httpReceiver } from "../../../support/http-receiver.ts";
import { onEveryDatabase, refusal } from "./world.ts";

const ODD = "a b/c@d#ü";
const content = { title: "T", body: "B" };

onEveryDatabase("real", (world) => {
  test("40. Wire details: a user id of odd characters works in every path and comes back unchanged", async () => {
    const { profiles, lists, users } = world.sdk;
    await profiles.create(ODD, { profile: { name: "Odd" } });
    assert.deepEqual((await profiles.retrieve(ODD)).profile, { name: "Odd" });
    await profiles.replace(ODD, { profile: { name: "Even" } });
    await profiles.update(ODD, { patch: [{ op: "add", path: "/age", value: "3" }] });
    assert.deepEqual((await profiles.retrieve(ODD)).profile, { name: "Even", age: "3" });

    await profiles.lists.subscribe(ODD, { lists: [{ listId: "odd.one" }] });
    await lists.subscriptions.subscribeUser(ODD, { list_id: "odd.two" });
    const mine = async (): Promise<string[]> => (await profiles.lists.retrieve(ODD)).results.map(({ id }) => id).sort();
    assert.deepEqual(await mine(), ["odd.one", "odd.two"]);
    const { items } = await lists.subscriptions.list("odd.one");
    assert.deepEqual(
      items.map(({ recipientId }) => recipientId),
      [ODD],
    );
    await lists.subscriptions.unsubscribeUser(ODD, { list_id: "odd.two" });
    assert.deepEqual(await mine(), ["odd.one"]);
    await profiles.lists.delete(ODD);
    assert.deepEqual(await mine(), []);

    assert.deepEqual((await users.preferences.retrieve(ODD)).items, []);
    await users.tokens.addSingle(ODD, { user_id: ODD, provider_key: "expo" });
    assert.equal((await users.tokens.retrieve(ODD, { user_id: ODD })).token, ODD);

    const message = await world.sent({
      to: { user_id: ODD },
      content,
      routing: { method: "single", channels: ["inbox"] },
    });
    assert.equal(message.recipient, ODD);
    const found = await world.sdk.messages.list({ recipient: ODD });
    assert.deepEqual(
      found.results.map(({ id }) => id),
      [message.id],
    );
    await profiles.delete(ODD);
    assert.ok((await refusal(profiles.retrieve(ODD))) instanceof Courier.NotFoundError);
  });

  test("40. Wire details: a patch with a failing test applies nothing", async () => {
    const id = world.fresh("patched");
    await world.sdk.profiles.create(id, { profile: { a: "1" } });
    const add = { op: "add", path: "/b", value: "2" };
    const failing = world.sdk.profiles.update(id, { patch: [add, { op: "test", path: "/a", value: "other" }] });
    assert.ok((await refusal(failing)) instanceof Courier.BadRequestError);
    assert.deepEqual((await world.sdk.profiles.retrieve(id)).profile, { a: "1" });
    const passing = world.sdk.profiles.update(id, { patch: [{ op: "test", path: "/a", value: "1" }, add] });
    assert.equal((await passing.asResponse()).status, 204);
    assert.deepEqual((await world.sdk.profiles.retrieve(id)).profile, { a: "1", b: "2" });
  });

  test("40. Wire details: a mock key simulates", async () => {
    const { key } = (await world.call("POST", "/admin/keys", { mode: "mock" })).body;
    const mock = world.client(key);
    const to = { email: "mock@x.io", phone_number: "+15550100" };
    const routing = { method: "all", channels: ["email", "sms"] };
    const id = await world.send({ to, content, routing }, { sdk: mock });
    assert.equal((await world.ended(id)).status, "SIMULATED");
    // Sent afterwards with the real key, and so proof that the first had its time.
    await world.sent({ to: { email: "not-mock@x.io" }, content });
    world.mail("not-mock@x.io");
    assert.deepEqual([world.mails("mock@x.io"), await world.captured("sms", id)], [[], []]);
  });

  test("40. Wire details: a webhook recipient gets the message with its credential", async (t) => {
    const hook = await httpReceiver();
    t.after(() => hook.close());
    const webhook = { url: `${hook.url}/in`, authentication: { mode: "bearer", token: "z" } };
    const message = await world.sent({ to: { webhook }, content, data: { order: { id: 7 } } });
    assert.equal(message.status, "SENT");
    const [request] = await hook.received(1);
    assert.deepEqual([request?.method, request?.url], ["POST", "/in"]);
    assert.equal(request?.headers.authorization, "Bearer z");
    const body = request?.json() as { message: { data: unknown } };
    assert.deepEqual(body.message.data, { order: { id: 7 } });
    assert.doesNotMatch(request?.text ?? "", /"z"/);
  });

  test("40. Wire details: delivered after opened leaves it opened, with both times", async () => {
    const { id } = await world.sent({ to: { email: "opened@x.io" }, content });
    const [pixel = ""] = /http:[^"]+\/e\/[^"]+/.exec(world.mail("opened@x.io").html) ?? [];
    for (const event of ["OPENED", "DELIVERED"]) {
      const response = await fetch(pixel, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ event }),
      });
      assert.ok([200, 204].includes(response.status), `${event}: ${response.status}`);
    }
    const message = await world.sdk.messages.retrieve(id);
    assert.equal(message.status, "OPENED");
    assert.equal(typeof message.opened, "number");
    assert.equal(typeof message.delivered, "number");
    const types = (await world.history(id)).map(({ type }) => type);
    assert.ok(types.includes("OPENED") && types.includes("DELIVERED"), types.join(" "));
  });

  test("40. Wire details: no 204 announces JSON that does not come", async () => {
    const id = world.fresh("empty");
    const patch = [{ op: "add", path: "/a", value: 1 }];
    const recipients = { recipients: [{ recipientId: id }] };
    const token = { provider_key: "expo" };
    const template = await world.template([{ type: "text", content: "x" }]);
    await world.call("PUT", "/tenants/empty", { name: "Empty" });
    const calls: readonly (readonly [string, string, unknown?])[] = [
      ["PATCH", `/profiles/${id}`, { patch }],
      ["PUT", `/lists/${id}`, { name: "x" }],
      ["POST", `/lists/${id}/subscriptions`, recipients],
      ["PUT", `/lists/${id}/subscriptions`, recipients],
      ["PUT", `/lists/${id}/subscriptions/${id}`],
      ["DELETE", `/lists/${id}/subscriptions/${id}`],
      ["DELETE", `/lists/${id}`],
      ["PUT", `/lists/${id}/restore`, {}],
      ["PUT", `/users/${id}/tokens`, { tokens: [{ token: `${id}-1`, ...token }] }],
      ["PUT", `/users/${id}/tokens/${id}`, token],
      ["PATCH", `/users/${id}/tokens/${id}`, { patch: [] }],
      ["DELETE", `/users/${id}/tokens/${id}`],
      ["PUT", `/users/${id}/tenants`, { tenants: [{ tenant_id: "empty" }] }],
      ["PUT", `/users/${id}/tenants/empty`],
      ["DELETE", `/users/${id}/tenants/empty`],
      ["DELETE", `/users/${id}/tenants`],
      ["DELETE", "/tenants/empty"],
      ["PUT", "/translations/default/de", '""'],
      ["POST", `/notifications/${template}/publish`],
      ["DELETE", "/events/none"],
      ["DELETE", `/notifications/${template}`],
      ["DELETE", `/profiles/${id}`],
    ];
    for (const [method, path, body] of calls) {
      const { status, headers, text } = await world.call(method, path, body);
      const what = `${method} ${path}`;
      assert.deepEqual([what, status, text], [what, 204, ""]);
      assert.equal(headers.get("content-type"), null, what);
      assert.equal(headers.get("transfer-encoding"), null, what);
    }
  });
});
