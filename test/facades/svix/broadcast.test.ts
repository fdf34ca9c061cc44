import assert from "node:assert/strict";
import { test } from "node:test";
import { httpReceiver } from "../../support/http-receiver.ts";
import { ended, locs, refusal } from "./eventually.ts";
import { forEachSvix } from "./svix-target.ts";

const PAYLOAD = '{"n":12345678901234567890, "f": 1.0}';

forEachSvix((name, open) => {
  test(`${name}: one message goes to every application`, async (t) => {
    const first = await open();
    const target = await first.another();
    const { svix } = target;
    const receiver = await httpReceiver();
    t.after(() => receiver.close());
    const apps: string[] = [];
    for (let i = 0; i < 3; i++) {
      const { id } = await svix.application.create({ name: `${i}`, uid: `b${i}` });
      await svix.endpoint.create(id, { url: `${receiver.url}/${i}`, channels: i === 2 ? ["c"] : null });
      apps.push(id);
    }
    await first.svix.application.create({ name: "Elsewhere", uid: `elsewhere-${name}` });
    await svix.message.create("b1", { eventType: "x", payload: {}, eventId: "ev", channels: ["none"] });
    await receiver.received(1);
    const body = `{"eventType":"news.all","eventId":"ev","payload":${PAYLOAD},"channels":["d"],"payloadRetentionHours":1}`;
    const { status, body: started } = await target.call("POST", "/msg/broadcast", body);
    assert.deepEqual([status, started.status, started.task], [202, "running", "message.broadcast"]);
    const task = await ended(target, started.id);
    const { messagesCreated, messagesFailed } = task.data as {
      messagesCreated: { appId: string; msgId: string }[];
      messagesFailed: { appId: string; reason: string }[];
    };
    assert.deepEqual(
      messagesCreated.map(({ appId }) => appId),
      [apps[0], apps[2]],
    );
    assert.deepEqual(
      messagesFailed.map(({ appId }) => appId),
      [apps[1]],
    );
    assert.ok((messagesFailed[0]?.reason.length ?? 0) > 0);
    const text = (await target.call("GET", `/app/b0/msg/ev`)).text;
    assert.ok(text.includes(`"payload":${PAYLOAD}`), text);
    assert.equal((await svix.message.get("b2", "ev")).id, messagesCreated[1]?.msgId);
    const sent = (await receiver.received(2))[1];
    assert.deepEqual([sent?.url, sent?.text], ["/0", PAYLOAD]);
    assert.deepEqual((await first.svix.message.list(`elsewhere-${name}`)).data, []);

    const wrong = { eventType: "a b", payload: [], payloadRetentionPeriod: 91, channels: [] };
    assert.deepEqual(locs(await target.call("POST", "/msg/broadcast", wrong)).sort(), [
      "body.channels",
      "body.eventType",
      "body.payload",
      "body.payloadRetentionPeriod",
    ]);
    const { token } = await svix.authentication.appPortalAccess("b0", {});
    const refused = await first.with(token).call("POST", "/msg/broadcast", { eventType: "x", payload: {} });
    assert.equal(refused.status, 403);
    assert.equal((await refusal(first.with(token).svix.message.get("b2", "ev"))).status, 404);
  });
});
