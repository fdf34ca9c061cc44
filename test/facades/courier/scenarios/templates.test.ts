import assert from "node:assert/strict";
import { test } from "node:test";
import Courier from "@trycourier/courier";
import { notification, onEveryDatabase, refusal } from "./world.ts";

onEveryDatabase("real", (world) => {
  test("5. Template lookup", async () => {
    const id = await world.template([{ type: "text", content: "Welcome {name}" }], { alias: "welcome" });
    const mapped = await world.call("PUT", "/events/user-created", { id, type: "notification" });
    assert.deepEqual([mapped.status, mapped.body], [200, { status: "SUCCESS" }]);

    for (const template of [id, "welcome", "user-created"]) {
      const email = `${world.fresh("named")}@x.io`;
      const message = await world.sent({ to: { email }, template, data: { name: "Ann" } });
      assert.deepEqual([message.status, message.notification, message.event], ["SENT", id, template]);
      assert.match(world.mail(email).text, /Welcome Ann/);
    }

    const sent = world.sdk.send.message({ message: { to: { email: "lost@x.io" }, template: "nope" } });
    assert.equal((await sent.asResponse()).status, 202);
    const lost = await world.ended((await sent).requestId);
    assert.equal(lost.status, "UNMAPPED");
    assert.deepEqual(await world.output(lost.id), []);
    assert.deepEqual(world.mails("lost@x.io"), []);
  });

  test("6. Draft is not live", async () => {
    const { notifications } = world.sdk;
    const saying = (content: string) => ({ notification: notification([{ type: "text", content }]) });
    const { data: created, response } = await notifications.create(saying("first")).withResponse();
    assert.deepEqual([response.status, created.state], [201, "DRAFT"]);
    const { id } = created;
    assert.ok((await refusal(notifications.retrieve(id))) instanceof Courier.NotFoundError);
    assert.equal((await notifications.retrieve(id, { version: "draft" })).id, id);

    const early = await world.sent({ to: { email: "early@x.io" }, template: id });
    assert.deepEqual([early.status, early.reason], ["UNROUTABLE", "UNPUBLISHED"]);

    const mailed = async (): Promise<string> => {
      const email = `${world.fresh("reader")}@x.io`;
      assert.equal((await world.sent({ to: { email }, template: id })).status, "SENT");
      return world.mail(email).text.trim();
    };
    assert.equal((await notifications.publish(id).asResponse()).status, 204);
    assert.equal((await notifications.retrieve(id)).state, "PUBLISHED");
    assert.equal(await mailed(), "first");

    await notifications.replace(id, saying("second"));
    assert.equal(await mailed(), "first");
    const { versions } = await notifications.listVersions(id);
    assert.deepEqual(versions.map(({ version }) => version).sort(), ["draft", "published:v001"]);
    await notifications.publish(id);
    assert.equal(await mailed(), "second");
    assert.deepEqual(world.mails("early@x.io"), []);
  });
});
