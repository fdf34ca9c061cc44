import assert from "node:assert/strict";
import { test } from "node:test";
import Courier from "@trycourier/courier";
import { onEveryDatabase, refusal } from "./world.ts";

const content = { title: "T", body: "B" };
const HOUR_MS = 3_600_000;

onEveryDatabase("fake", (world) => {
  test("26. Delay and cancel", async () => {
    const later = (email: string) => ({ to: { email }, content, delay: { duration: HOUR_MS } });
    const called = await world.send(later("canceled@x.io"));
    const waiting = await world.send(later("waited@x.io"));
    for (const id of [called, waiting]) assert.equal((await world.ended(id)).status, "DELAYED");
    assert.deepEqual([world.mails("canceled@x.io"), world.mails("waited@x.io")], [[], []]);

    const { data: canceled, response } = await world.sdk.messages.cancel(called).withResponse();
    assert.deepEqual([response.status, canceled.status], [200, "CANCELED"]);
    assert.equal(typeof (canceled as { canceledAt?: unknown }).canceledAt, "number");

    world.clock.advance(HOUR_MS - 1);
    assert.equal((await world.ended(waiting)).status, "DELAYED");
    world.clock.advance(1);
    const sent = await world.ended(waiting);
    assert.equal(sent.status, "SENT");
    world.mail("waited@x.io");
    assert.deepEqual(world.mails("canceled@x.io"), []);
    assert.equal((await world.ended(called)).status, "CANCELED");

    const late = await refusal(world.sdk.messages.cancel(waiting));
    assert.ok(late instanceof Courier.ConflictError);
    const { id, status } = late.error as { id: string; status: string };
    assert.deepEqual([id, status], [waiting, "SENT"]);
    const unknown = `1-${"0".repeat(8)}-${"0".repeat(24)}`;
    assert.ok((await refusal(world.sdk.messages.cancel(unknown))) instanceof Courier.NotFoundError);

    for (const until of [new Date(world.clock.now() - HOUR_MS).toISOString(), "Mo-Su 00:00-23:59"]) {
      const email = `${world.fresh("now")}@x.io`;
      assert.equal((await world.sent({ to: { email }, content, delay: { until } })).status, "SENT", until);
      world.mail(email);
    }
  });

  test("27. Idempotency", async () => {
    const message = (email: string) => ({ to: { email }, content });
    const post = (key: string, body: object) =>
      world.sdk.send
        // 7.10 puts the key among its parameters into the body; as a header it arrives.
        .message(body as Courier.SendMessageParams, { headers: { "Idempotency-Key": key } })
        .withResponse();

    const twice = { message: message("once@x.io") };
    const first = await post("k1", twice);
    const second = await post("k1", twice);
    assert.deepEqual([first.response.status, second.response.status], [202, 202]);
    assert.equal(second.data.requestId, first.data.requestId);
    await world.ended(first.data.requestId);
    world.mail("once@x.io");

    const other = await post("k2", { message: message("other@x.io") });
    assert.notEqual(other.data.requestId, first.data.requestId);

    // What 7.10 puts into the body instead is no key.
    const stray = { message: message("stray@x.io"), "Idempotency-Key": "k1" };
    const strays = [await world.sdk.send.message(stray), await world.sdk.send.message(stray)];
    assert.equal(new Set([first.data.requestId, ...strays.map(({ requestId }) => requestId)]).size, 3);

    // A key counts for its own endpoint.
    const headers = { "idempotency-key": "k1" };
    const steps = [{ action: "delay", duration: "1 hour" }];
    const run = await world.call("POST", "/automations/invoke", { automation: { steps } }, headers);
    assert.notEqual(run.status, 202);
    assert.equal(run.body.requestId, undefined);
    const stored = await world.call("POST", "/profiles/idem", { profile: { a: 1 } }, headers);
    assert.deepEqual([stored.status, stored.body], [200, { status: "SUCCESS" }]);

    assert.ok((await refusal(post("k3", { message: { content } }))) instanceof Courier.BadRequestError);
    const corrected = await post("k3", { message: message("corrected@x.io") });
    assert.equal(corrected.response.status, 202);
    await world.ended(corrected.data.requestId);
    world.mail("corrected@x.io");

    const race = () =>
      post("k4", { message: message("race@x.io") }).catch((error: unknown) => {
        assert.ok(error instanceof Courier.ConflictError, String(error));
        assert.notEqual(error.headers.get("x-should-retry"), "false");
        return post("k4", { message: message("race@x.io") });
      });
    const [one, two] = await Promise.all([race(), race()]);
    assert.deepEqual(one.data, two.data);
    await world.ended(one.data.requestId);
    await world.idle();
    world.mail("race@x.io");

    const garbage = world.send(message("never@x.io"), {
      headers: { "Idempotency-Key": "k5", "x-idempotency-expiration": "garbage" },
    });
    assert.ok((await refusal(garbage)) instanceof Courier.BadRequestError);
    await world.idle();
    assert.deepEqual(world.mails("never@x.io"), []);
  });
});
