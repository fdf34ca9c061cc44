import assert from "node:assert/strict";
import { test } from "node:test";
import { DIALECTS } from "../../conformance/databases.ts";
import { httpReceiver } from "../../support/http-receiver.ts";
import { attemptsOf, eventually } from "./eventually.ts";
import { type SvixTarget, svixFor } from "./svix-target.ts";

const HOUR_MS = 3_600_000;

for (const dialect of DIALECTS) {
  test(`${dialect}: an endpoint that goes on failing is disabled (scenario 35)`, async (t) => {
    const env = { CARILLON_WEBHOOK_RETRY_SECONDS: "none", CARILLON_WEBHOOK_DISABLE_AFTER_HOURS: "0" };
    const target = await svixFor(t, { dialect, env });
    const { svix, svix2, clock } = target;
    await svix.application.create({ name: "One", uid: "a" });
    const receiver = await httpReceiver();
    t.after(() => receiver.close());
    await svix.endpoint.create("a", { url: receiver.url, uid: "e" });
    const send = async (status: number): Promise<string> => {
      clock.advance(1_000);
      receiver.answer({ status });
      const { id } = await svix.message.create("a", { eventType: "x", payload: {} });
      await attemptsOf(target, "a", id, 1);
      return id;
    };
    await send(500);
    await send(200);
    await send(500);
    assert.equal((await svix.endpoint.get("a", "e")).disabled, false, "a success takes the failing back");
    const last = await send(500);
    await isDisabled(target, true);
    const count = receiver.requests.length;
    const unsent = await svix.message.create("a", { eventType: "x", payload: {} });
    await svix2.messageAttempt.resend("a", last, "e");
    receiver.answer({ status: 200 });
    await svix2.endpoint.patch("a", "e", { disabled: false });
    const { id } = await svix.message.create("a", { eventType: "x", payload: { back: true } });
    await attemptsOf(target, "a", id, 1);
    assert.equal(receiver.requests.length, count + 1);
    assert.deepEqual((await svix.messageAttempt.listByMsg("a", unsent.id)).data, []);
    await send(500);
    assert.equal((await svix.endpoint.get("a", "e")).disabled, false, "it begins anew");
  });

  test(`${dialect}: failing is forgotten after twice the time`, async (t) => {
    const env = { CARILLON_WEBHOOK_RETRY_SECONDS: "none", CARILLON_WEBHOOK_DISABLE_AFTER_HOURS: "1" };
    const target = await svixFor(t, { dialect, env });
    const { svix, clock } = target;
    await svix.application.create({ name: "One", uid: "a" });
    const receiver = await httpReceiver();
    t.after(() => receiver.close());
    receiver.answer({ status: 500 });
    await svix.endpoint.create("a", { url: receiver.url, uid: "e" });
    const failAfter = async (hours: number): Promise<void> => {
      clock.advance(hours * HOUR_MS);
      const { id } = await svix.message.create("a", { eventType: "x", payload: {} });
      await attemptsOf(target, "a", id, 1);
    };
    await failAfter(0);
    await failAfter(0.5);
    await failAfter(2);
    assert.equal((await svix.endpoint.get("a", "e")).disabled, false, "2.5 hours after the first: forgotten");
    await failAfter(1.1);
    await isDisabled(target, true);
  });

  test(`${dialect}: messages over the rate of an endpoint wait (scenario 49)`, async (t) => {
    const target = await svixFor(t, { dialect });
    const { svix, clock } = target;
    await svix.application.create({ name: "One", uid: "a" });
    const receiver = await httpReceiver();
    t.after(() => receiver.close());
    await svix.endpoint.create("a", { url: receiver.url, uid: "e", throttleRate: 5 });
    const status = async (): Promise<{ status: string; throttledSince?: string }> =>
      (await target.call("GET", "/app/a/endpoint/e/rate-limit-status")).body;
    assert.deepEqual(await status(), { status: "Ok" });
    const startedAt = clock.now();
    for (let i = 0; i < 20; i++) await svix.message.create("a", { eventType: "x", payload: { i } });
    await eventually(status, (now) => now.status === "RateLimited", "a rate limited endpoint");
    const attempts = async (count: number) =>
      await eventually(
        async () => (await svix.messageAttempt.listByEndpoint("a", "e")).data,
        ({ length }) => length >= count,
        `${count} attempts`,
      );
    for (const count of [5, 10, 15, 20]) {
      const found = await attempts(count);
      assert.ok(found.length <= count + 1, `${found.length} attempts ${clock.now() - startedAt} ms after the first`);
      clock.advance(1_000);
    }
    const all = await attempts(20);
    assert.equal(all.length, 20);
    assert.ok(all.every((attempt) => attempt.status === 0));
    const times = all.map(({ timestamp }) => timestamp.getTime());
    assert.ok(Math.max(...times) - Math.min(...times) >= 2_000);
    await eventually(status, (now) => now.status === "Ok", "an endpoint that is up with its messages");
  });
}

async function isDisabled(target: SvixTarget, disabled: boolean): Promise<void> {
  await eventually(
    () => target.svix.endpoint.get("a", "e"),
    (endpoint) => endpoint.disabled === disabled,
    `an endpoint that is ${disabled ? "" : "not "}disabled`,
  );
}
