import assert from "node:assert/strict";
import { test } from "node:test";
import Courier from "@trycourier/courier";
import { SECRET_KEY } from "../../../support/server.ts";
import { onEveryDatabase, refusal } from "./world.ts";

const content = { title: "T", body: "B" };

onEveryDatabase("real", (world) => {
  test("1. Authentication", async () => {
    for (const authorization of [undefined, "Bearer nope"]) {
      const { status, body } = await world.call("GET", "/lists", undefined, { authorization });
      assert.equal(status, 401);
      assert.equal(body.type, "authentication_error");
      assert.ok(typeof body.message === "string" && body.message !== "");
    }
    const refused = await refusal(world.client("nope").lists.list());
    assert.ok(refused instanceof Courier.AuthenticationError);

    const basic = `Basic ${Buffer.from(`x:${SECRET_KEY}`).toString("base64")}`;
    assert.equal((await world.call("GET", "/lists", undefined, { authorization: basic })).status, 200);
  });

  test("2. Simple send", async () => {
    const message = {
      to: { email: "a@x.io" },
      content: { title: "Hi {name}", body: "Hello {{name}}" },
      data: { name: "Ann" },
    };
    const { data, response } = await world.sdk.send.message({ message }).withResponse();
    assert.equal(response.status, 202);
    const id = data.requestId;
    assert.match(id, /^1-[0-9a-f]{8}-[0-9a-f]{24}$/);

    const accepted = await world.sdk.messages.retrieve(id);
    assert.deepEqual([accepted.id, accepted.recipient], [id, "a@x.io"]);
    assert.equal(typeof accepted.enqueued, "number");
    // Inline content without an event is called by its own id.
    assert.deepEqual([accepted.event, accepted.notification], [id, ""]);

    const ended = await world.ended(id);
    assert.ok(["SENT", "DELIVERED"].includes(ended.status), ended.status);
    assert.ok((ended.sent as number) >= ended.enqueued);
    const mail = world.mail("a@x.io");
    assert.equal(mail.subject, "Hi Ann");
    assert.match(mail.html, /Hello\s*Ann/);
    assert.match(mail.text, /Hello Ann/);

    const output = await world.output(id);
    assert.equal(output.length, 1);
    assert.deepEqual([output[0]?.channel, output[0]?.content.subject], ["email", "Hi Ann"]);
    const parts = Object.keys(output[0]?.content ?? {}).sort();
    assert.deepEqual(parts, ["blocks", "body", "html", "subject", "text", "title"]);

    const history = await world.history(id);
    const types = history.map(({ type }) => type);
    assert.equal(types[0], "ENQUEUED");
    const inOrder = ["PROFILE_LOADED", "RENDERED", "SENT"].map((type) => types.indexOf(type));
    assert.ok(
      inOrder.every((at, i) => at > (inOrder[i - 1] ?? 0)),
      types.join(" "),
    );
    assert.ok(history.every(({ ts }, i) => i === 0 || ts >= (history[i - 1]?.ts ?? 0)));
  });

  test("3. Send validation", async () => {
    const to = { email: "nobody@x.io" };
    const listed = async (): Promise<string[]> => (await world.sdk.messages.list()).results.map(({ id }) => id);
    const before = await listed();
    const wrong: { readonly [what: string]: object } = {
      "neither content nor template": { to },
      "content and template": { to, content, template: "t" },
      "no recipient": { content },
      "10 tags": { to, content, metadata: { tags: Array.from({ length: 10 }, (_, i) => `t${i}`) } },
      "a tag of 31 characters": { to, content, metadata: { tags: ["x".repeat(31)] } },
      'routing "any"': { to, content, routing: { method: "any", channels: ["email"] } },
    };
    for (const [what, message] of Object.entries(wrong)) {
      const error = await refusal(world.send(message));
      assert.ok(error instanceof Courier.BadRequestError, what);
      const { message: text } = error.error as { message: unknown };
      assert.ok(typeof text === "string" && text !== "", what);
    }
    const notJson = await world.call("POST", "/send", "not json");
    assert.equal(notJson.status, 400);
    assert.ok(notJson.body.message);

    // What is right at the border is taken, so that its absence above proves something.
    const tags = Array.from({ length: 9 }, (_, i) => `${i}`.repeat(30));
    const good = await world.send({ to, content, metadata: { tags } });
    await world.ended(good);
    assert.deepEqual(await listed(), [good, ...before]);
    assert.equal(world.mails("nobody@x.io").length, 1);
  });

  test("4. Nobody to route to", async () => {
    const mailsBefore = world.e1.seen.mail + world.e2.seen.mail;
    const ghost = await world.sent({
      to: { user_id: "ghost" },
      content,
      routing: { method: "single", channels: ["email", "sms"] },
    });
    assert.deepEqual([ghost.status, ghost.reason], ["UNROUTABLE", "NO_CHANNELS"]);

    for (const { id, provider } of (await world.sdk.providers.list()).results) {
      if (provider === "capture-push") await world.sdk.providers.delete(id);
    }
    const unheard = await world.sent({
      to: { user_id: "ghost" },
      content,
      routing: { method: "single", channels: ["push"] },
    });
    assert.deepEqual([unheard.status, unheard.reason], ["UNROUTABLE", "NO_PROVIDERS"]);
    assert.equal(world.e1.seen.mail + world.e2.seen.mail, mailsBefore);
    for (const { id } of [ghost, unheard]) {
      assert.deepEqual(await world.captured("sms", id), []);
      assert.deepEqual(await world.output(id), []);
    }
  });

  test("7. Profile merge without write-back", async () => {
    const u1 = world.fresh("u1");
    await world.sdk.profiles.create(u1, { profile: { email: "old@x.io", name: "A" } });
    const { id } = await world.sent({
      to: { user_id: u1, email: "new@x.io" },
      content: { title: "T", body: "{profile.name}" },
    });
    assert.equal(world.mail("new@x.io").text.trim(), "A");
    assert.deepEqual(world.mails("old@x.io"), []);
    assert.deepEqual((await world.sdk.profiles.retrieve(u1)).profile, { email: "old@x.io", name: "A" });

    const loaded = (await world.history(id)).find(({ type }) => type === "PROFILE_LOADED");
    assert.deepEqual(loaded?.stored_profile, { email: "old@x.io", name: "A" });
    assert.deepEqual(loaded?.received_profile, { email: "new@x.io" });
    assert.deepEqual(loaded?.merged_profile, { email: "new@x.io", name: "A" });
  });

  test("a message of inline content without event is called by its own id, wherever its event is shown", async () => {
    const saying = { title: "T", body: "{{event}}" };
    await world.sdk.tenants.update("tenant", { name: "Tenant" });
    await world.sdk.users.tenants.addSingle("tenant", { user_id: "member" });
    const routing = { method: "single", channels: ["inbox"] };
    const several = await world.send({ to: [{ user_id: "one" }, { user_id: "two" }], content: saying, routing });
    const members = await world.send({ to: { tenant_id: "tenant" }, content: saying, routing });
    const messages = [...(await world.messagesOf(several)), ...(await world.messagesOf(members))];
    assert.equal(messages.length, 3);
    for (const { id, event } of messages) {
      assert.equal(event, id);
      assert.equal((await world.history(id))[0]?.event, id);
      assert.equal((await world.output(id))[0]?.content.body, id);
    }
    for (const { id } of await world.messagesOf(several)) {
      const { results } = await world.sdk.messages.list({ event: id });
      assert.deepEqual(
        results.map((found) => found.id),
        [id],
      );
    }
    const [named] = await world.messagesOf(
      await world.send({ to: { user_id: "one" }, content: saying, routing, metadata: { event: "mine" } }),
    );
    assert.equal(named?.event, "mine");
  });
});
