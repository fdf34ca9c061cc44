/** Transformations from the front door to the receiver. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook } from "svix";
import { Webhook as Webhook2 } from "svix2";
import { forEachSvix, type SvixTarget } from "../facades/svix/svix-target.ts";
import { httpReceiver } from "../support/http-receiver.ts";

const CODE = `function handler(webhook) {
  if (webhook.payload.skip) return { ...webhook, cancel: true };
  if (webhook.payload.wrong) throw new TypeError("cannot be turned");
  webhook.payload.team = webhook.variables.team;
  webhook.payload.kind = webhook.eventType;
  webhook.method = "PUT";
  webhook.url = webhook.url.replace("/hook", "/turned");
  webhook.headers = { "X-Turned": "yes" };
  return webhook;
}`;

forEachSvix((name, open) => {
  const made = async (t: TestContext, target: SvixTarget) => {
    const receiver = await httpReceiver();
    t.after(() => receiver.close());
    const { svix2, call } = target;
    const app = await svix2.application.create({ name: "turned" });
    const endpoint = await svix2.endpoint.create(app.id, { url: `${receiver.url}/hook` });
    await svix2.endpoint.transformation.patch(app.id, endpoint.id, {
      code: CODE,
      enabled: true,
      variables: { team: "blue" },
    });
    const send = (payload: object) => svix2.message.create(app.id, { eventType: "user.made", payload });
    const simulate = (payload: object, code = CODE) =>
      call("POST", `/app/${app.id}/endpoint/${endpoint.id}/transformation/simulate`, {
        code,
        eventType: "user.made",
        payload,
      });
    return { receiver, app, endpoint, send, simulate };
  };

  test(`${name}: a handler changes payload, method and address, and the signature is over what is sent`, async (t) => {
    const target = await open();
    const { receiver, app, endpoint, send, simulate } = await made(t, target);
    await send({ a: 1 });
    const [request] = await receiver.received(1, 20_000);
    assert.ok(request);
    assert.deepEqual([request.method, request.url], ["PUT", "/turned"]);
    assert.equal(request.text, '{"a":1,"team":"blue","kind":"user.made"}');
    assert.equal(request.headers["x-turned"], "yes");
    const { key } = await target.svix2.endpoint.getSecret(app.id, endpoint.id);
    const headers = request.headers as Record<string, string>;
    const hooks = [new Webhook(key), new Webhook2(key), new StandardWebhook(key)];
    // The server's clock stands elsewhere than the verifiers': they look at the signature alone.
    const id = headers["webhook-id"] as string;
    const at = new Date(Number(headers["webhook-timestamp"]) * 1_000);
    for (const hook of hooks) assert.equal(hook.sign(id, at, request.text), headers["webhook-signature"]);

    const simulated = await simulate({ a: 1 });
    assert.deepEqual(simulated.body, {
      url: `${receiver.url}/turned`,
      payload: request.text,
      method: "PUT",
      cancel: false,
    });
    assert.equal((await receiver.received(1)).length, 1);
  });

  test(`${name}: a handler that cancels, or fails, sends nothing, and both are told`, async (t) => {
    const target = await open();
    const { receiver, app, send, simulate } = await made(t, target);
    const skipped = await send({ skip: true });
    const wrong = await send({ wrong: true });
    await send({ a: 2 });
    // The third comes after two that must not come.
    const [request] = await receiver.received(1, 20_000);
    assert.match(request?.text ?? "", /"a":2/);
    const attempts = async (id: string) =>
      (await target.call("GET", `/app/${app.id}/attempt/msg/${id}?expanded_statuses=true`)).body?.data ?? [];
    for (const [message, status, response] of [
      [skipped, 4, /cancel/],
      [wrong, 2, /TypeError: cannot be turned \(line 3\)/],
    ] as const) {
      let found = await attempts(message.id);
      for (let asked = 0; found.length === 0 && asked < 1_000; asked++) found = await attempts(message.id);
      assert.equal(found.length, 1);
      assert.equal(found[0].status, status, JSON.stringify(found[0]));
      assert.match(found[0].response, response);
      assert.equal(found[0].responseStatusCode, 0);
    }
    assert.equal(receiver.requests.length, 1);
    assert.equal((await simulate({ skip: true })).body.cancel, true);
    assert.match((await simulate({ wrong: true })).text, /cannot be turned/);
    assert.match((await simulate({}, "function handler() { for (;;); }")).text, /longer than 1000 ms/);
  });

  test(`${name}: switched off for the environment, nothing is changed`, async (t) => {
    const own = await (await open()).another();
    const receiver = await httpReceiver();
    t.after(() => receiver.close());
    const app = await own.svix2.application.create({ name: "plain" });
    const { id } = await own.svix2.endpoint.create(app.id, { url: `${receiver.url}/hook` });
    await own.svix2.endpoint.transformation.patch(app.id, id, { code: CODE, enabled: true });
    await own.call("PATCH", "/management/environment-settings", { enableTransformations: false });
    await own.svix2.message.create(app.id, { eventType: "user.made", payload: { a: 1 } });
    const [request] = await receiver.received(1, 20_000);
    assert.deepEqual([request?.method, request?.url, request?.text], ["POST", "/hook", '{"a":1}']);
  });
});
