import assert from "node:assert/strict";
import { test } from "node:test";
import { Ordering } from "svix2";
import { forEachSvix } from "./svix-target.ts";

const ID = /^integ_[0-9A-Za-z]{27}$/;

forEachSvix((name, open) => {
  test(`${name}: an integration is created, read, listed, replaced and deleted, in both SDKs`, async () => {
    const target = await open();
    const { svix, svix2 } = target;
    const { id: app } = await svix.application.create({ name: "x" });
    const one = await svix.integration.create(app, { name: "Zap", featureFlags: ["beta"] });
    assert.match(one.id, ID);
    const two = await svix2.integration.create(app, { name: "Other" });
    assert.deepEqual([one.name, one.featureFlags, two.featureFlags], ["Zap", ["beta"], []]);
    assert.deepEqual(await svix2.integration.get(app, one.id), one);
    assert.deepEqual((await svix.integration.list(app)).data, [two, one]);
    const ascending = await svix2.integration.list(app, { order: Ordering.Ascending, limit: 1 });
    assert.deepEqual([ascending.data, ascending.done], [[one], false]);
    await target.clock.advance(1_000);
    const replaced = await svix.integration.update(app, one.id, { name: "Zip" });
    assert.deepEqual([replaced.id, replaced.name, replaced.featureFlags], [one.id, "Zip", []]);
    assert.equal(replaced.createdAt.getTime(), one.createdAt.getTime());
    assert.equal(replaced.updatedAt.getTime(), target.clock.now());
    assert.deepEqual(await svix2.integration.get(app, one.id), replaced);
    await svix2.integration.delete(app, one.id);
    const path = `/app/${app}/integration/${one.id}`;
    for (const [method, url, body] of [
      ["GET", path, undefined],
      ["PUT", path, { name: "x" }],
      ["DELETE", path, undefined],
      ["GET", `${path}/key`, undefined],
      ["POST", `${path}/key/rotate`, undefined],
      ["GET", `/app/${app}/integration/nonsense`, undefined],
      ["GET", "/app/nobody/integration", undefined],
    ] as const) {
      assert.equal((await target.call(method, url, body)).status, 404, `${method} ${url}`);
    }
  });

  test(`${name}: what an integration cannot be is refused`, async () => {
    const target = await open();
    const { id: app } = await target.svix.application.create({ name: "x" });
    for (const body of [
      {},
      { name: 5 },
      { name: null },
      { name: "x", featureFlags: "beta" },
      { name: "x", featureFlags: ["bad flag"] },
      { name: "x", featureFlags: Array.from({ length: 26 }, (_, i) => `f${i}`) },
    ]) {
      assert.equal((await target.call("POST", `/app/${app}/integration`, body)).status, 422, JSON.stringify(body));
    }
  });

  test(`${name}: its key acts for its application until it is rotated or the integration goes`, async () => {
    const target = await open();
    const { svix, svix2 } = target;
    const { id: app } = await svix.application.create({ name: "x" });
    const { id: other } = await svix.application.create({ name: "y" });
    const { id } = await svix.integration.create(app, { name: "Zap" });
    assert.equal((await target.call("GET", `/app/${app}/integration/${id}/key`)).status, 404);
    const first = await svix.integration.rotateKey(app, id);
    assert.match(first.key, /^integsk_/);
    assert.deepEqual(await svix.integration.getKey(app, id), first);
    const holder = target.with(first.key);
    assert.equal((await holder.call("GET", `/app/${app}/endpoint`)).status, 200);
    assert.equal((await holder.call("GET", `/app/${other}/endpoint`)).status, 404);
    for (const path of ["/app", `/app/${app}/integration`, `/app/${app}/integration/${id}/key`]) {
      assert.equal((await holder.call("GET", path)).status, 403, path);
    }
    const second = await svix2.integration.rotateKey(app, id);
    assert.notEqual(second.key, first.key);
    assert.equal((await holder.call("GET", `/app/${app}/endpoint`)).status, 401);
    assert.equal((await target.with(second.key).call("GET", `/app/${app}/endpoint`)).status, 200);
    await svix2.integration.delete(app, id);
    assert.equal((await target.with(second.key).call("GET", `/app/${app}/endpoint`)).status, 401);
  });

  test(`${name}: its key sees what its feature flags show, also after they change`, async () => {
    const target = await open();
    const { svix } = target;
    const type = `flagged.${name}`;
    await target.call("POST", "/event-type", { name: type, description: "x", featureFlags: ["beta"] });
    const { id: app } = await svix.application.create({ name: "x" });
    const { id } = await svix.integration.create(app, { name: "Zap" });
    const { key } = await svix.integration.rotateKey(app, id);
    const sees = async () => (await target.with(key).call("GET", `/event-type/${type}`)).status;
    assert.equal(await sees(), 404);
    await svix.integration.update(app, id, { name: "Zap", featureFlags: ["beta"] });
    assert.equal(await sees(), 200);
  });

  test(`${name}: it goes with its application, and its key with it`, async () => {
    const target = await open();
    const { svix } = target;
    const { id: app } = await svix.application.create({ name: "x", uid: `gone-${name}` });
    const { id } = await svix.integration.create(app, { name: "Zap" });
    const { key } = await svix.integration.rotateKey(app, id);
    await svix.application.delete(app);
    assert.equal((await target.with(key).call("GET", "/event-type")).status, 401);
    await svix.application.create({ name: "x", uid: `gone-${name}` });
    assert.deepEqual((await target.call("GET", `/app/gone-${name}/integration`)).body.data, []);
  });

  test(`${name}: a portal token has nothing to do with integrations`, async () => {
    const target = await open();
    const { id: app } = await target.svix.application.create({ name: "x" });
    const { token } = await target.svix.authentication.appPortalAccess(app, {});
    assert.equal((await target.with(token).call("GET", `/app/${app}/integration`)).status, 403);
    assert.equal((await target.with(token).call("POST", `/app/${app}/integration`, { name: "x" })).status, 403);
  });
});
