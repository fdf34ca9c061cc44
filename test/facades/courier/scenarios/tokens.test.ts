import assert from "node:assert/strict";
import { test } from "node:test";
import Courier from "@trycourier/courier";
import { onEveryDatabase, refusal } from "./world.ts";

onEveryDatabase("fake", (world) => {
  test("36. Scoped token", async () => {
    const issue = async (scope: string, expires_in = "2 hours"): Promise<Courier> =>
      world.client((await world.sdk.auth.issueToken({ scope, expires_in })).token);
    const phone = await issue("user_id:u1 read:preferences write:preferences write:user-tokens");
    assert.deepEqual((await phone.users.preferences.retrieve("u1")).items, []);
    const forbidden = {
      "another user": () => phone.users.preferences.retrieve("u2"),
      send: () => world.send({ to: { user_id: "u1" }, content: { title: "T", body: "B" } }, { sdk: phone }),
      brands: () => phone.brands.list(),
    };
    for (const [what, call] of Object.entries(forbidden)) {
      assert.ok((await refusal(call())) instanceof Courier.PermissionDeniedError, what);
    }
    const put = phone.users.tokens.addSingle("x", { user_id: "u1", provider_key: "firebase-fcm" });
    assert.equal((await put.asResponse()).status, 204);

    const brief = await issue("user_id:u1 read:preferences", "1s");
    await brief.users.preferences.retrieve("u1");
    world.clock.advance(1_001);
    assert.ok((await refusal(brief.users.preferences.retrieve("u1"))) instanceof Courier.AuthenticationError);
    await phone.users.preferences.retrieve("u1");

    const soon = world.sdk.auth.issueToken({ scope: "user_id:u1 read:preferences", expires_in: "soon" });
    assert.ok((await refusal(soon)) instanceof Courier.BadRequestError);

    const bare = await issue("user_id:u1");
    for (const call of [
      () => bare.users.preferences.retrieve("u1"),
      () => bare.users.tokens.list("u1"),
      () => bare.users.tokens.addSingle("y", { user_id: "u1", provider_key: "firebase-fcm" }),
      () => bare.profiles.retrieve("u1"),
    ]) {
      assert.ok((await refusal(call())) instanceof Courier.PermissionDeniedError);
    }
  });

  test("37. Device tokens and push", async () => {
    const { tokens } = world.sdk.users;
    const user_id = world.fresh("u1");
    const [android, phone, old] = [world.fresh("t"), world.fresh("t"), world.fresh("t")];
    for (const token of [android, phone]) {
      const device = { platform: "android" };
      const put = tokens.addSingle(token, { user_id, provider_key: "firebase-fcm", device });
      assert.equal((await put.asResponse()).status, 204);
    }
    assert.equal((await tokens.retrieve(phone, { user_id })).status, "active");
    const patch = [{ op: "replace", path: "/device/platform", value: "ios" }];
    assert.equal((await tokens.update(phone, { user_id, patch }).asResponse()).status, 204);
    assert.equal((await tokens.retrieve(phone, { user_id })).device?.platform, "ios");

    const reached = async (): Promise<string[]> => {
      const message = await world.sent({
        to: { user_id },
        content: { title: "Ding", body: "Dong" },
        routing: { method: "single", channels: ["push"] },
      });
      assert.equal(message.status, "SENT");
      const [push, ...more] = await world.captured("push", message.id);
      assert.deepEqual([push?.payload.title, push?.payload.body, more.length], ["Ding", "Dong", 0]);
      return [...(push?.address.tokens ?? [])].sort();
    };
    assert.deepEqual(await reached(), [android, phone].sort());

    const expiry_date = new Date(world.clock.now() - 1_000).toISOString();
    await tokens.addSingle(old, { user_id, provider_key: "firebase-fcm", expiry_date });
    assert.deepEqual(await reached(), [android, phone].sort());

    assert.equal((await tokens.delete(phone, { user_id }).asResponse()).status, 204);
    assert.ok((await refusal(tokens.retrieve(phone, { user_id }))) instanceof Courier.NotFoundError);
    assert.deepEqual(await reached(), [android]);
  });
});
