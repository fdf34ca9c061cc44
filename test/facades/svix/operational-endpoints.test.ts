import assert from "node:assert/strict";
import { test } from "node:test";
import { Ordering } from "svix2";
import { operationsAppId } from "../../../src/engine/webhooks/operational-app.ts";
import { type Answer, forEachSvix } from "./svix-target.ts";

const URL_ = "https://example.com/ops";
const TYPES = [
  "endpoint.created",
  "endpoint.updated",
  "endpoint.deleted",
  "endpoint.disabled",
  "endpoint.enabled",
  "message.attempt.failing",
  "message.attempt.exhausted",
  "message.attempt.recovered",
  "message.attempt.log",
  "background_task.finished",
];

function locs({ body }: Answer): string[] {
  return body.detail.map(({ loc }: { loc: string[] }) => loc.join("."));
}

forEachSvix((name, open) => {
  test(`${name}: an operational endpoint has the life of any other, in both SDKs`, async () => {
    const target = await open();
    const one = target.svix.operationalWebhook.endpoint;
    const two = target.svix2.operationalWebhook.endpoint;
    const made = await one.create({ url: "https://EXAMPLE.com", uid: "ops", filterTypes: TYPES, rateLimit: 2 });
    assert.match(made.id, /^ep_[0-9A-Za-z]{27}$/);
    assert.deepEqual([made.url, made.filterTypes, made.rateLimit], ["https://example.com/", TYPES, 2]);
    const got = await two.get("ops");
    assert.deepEqual([got.id, got.eventTypes, got.throttleRate, got.metadata], [made.id, TYPES, 2, {}]);
    const replaced = await two.upsert("ops", { url: URL_, uid: "ops", eventTypes: ["endpoint.created"] });
    assert.deepEqual([replaced.id, replaced.url, replaced.eventTypes], [made.id, URL_, ["endpoint.created"]]);
    const again = await one.update(made.id, { url: URL_, uid: "ops", disabled: true });
    assert.deepEqual([again.disabled, again.filterTypes], [true, null]);

    const { key } = await one.getSecret("ops");
    assert.match(key, /^whsec_/);
    await one.rotateSecret("ops", {});
    const given = `whsec_${Buffer.alloc(24, 5).toString("base64")}`;
    await two.rotateSecret("ops", { key: given, gracePeriodSeconds: 60 });
    assert.deepEqual(await two.getSecret("ops"), { key: given });
    await one.updateHeaders("ops", { headers: { "X-Api-Key": "k", "X-A": "1" } });
    assert.deepEqual(await two.getHeaders("ops"), { headers: { "X-A": "1" }, sensitive: ["X-Api-Key"] });

    const second = await two.create({ url: URL_, headers: { "X-B": "2" } });
    assert.deepEqual((await two.getHeaders(second.id)).headers, { "X-B": "2" });
    assert.deepEqual(
      (await one.list()).data.map(({ id }) => id),
      [second.id, made.id],
    );
    assert.deepEqual(
      (await two.list({ order: Ordering.Ascending, limit: 1 })).data.map(({ id }) => id),
      [made.id],
    );
    assert.equal((await target.call("POST", "/operational-webhook/endpoint", { url: URL_, uid: "ops" })).status, 409);
    await one.delete("ops");
    await two.delete(second.id);
    assert.equal((await target.call("GET", "/operational-webhook/endpoint/ops")).status, 404);
  });

  test(`${name}: what is not there is 404, PUT included; what cannot be is refused`, async () => {
    const target = await open();
    const path = "/operational-webhook/endpoint";
    for (const [method, rest, body] of [
      ["GET", "", undefined],
      ["PUT", "", { url: URL_ }],
      ["DELETE", "", undefined],
      ["GET", "/secret", undefined],
      ["POST", "/secret/rotate", {}],
      ["GET", "/headers", undefined],
      ["PUT", "/headers", { headers: {} }],
    ] as const) {
      assert.equal((await target.call(method, `${path}/nobody${rest}`, body)).status, 404, `${method} ${rest}`);
    }
    for (const [body, loc] of [
      [{ url: URL_, eventTypes: ["user.created"] }, "body.eventTypes"],
      [{ url: URL_, filterTypes: [] }, "body.filterTypes"],
      [{ url: "ftp://x" }, "body.url"],
      [{ url: URL_, secret: "whsec_x" }, "body.secret"],
      [{ url: URL_, headers: { "svix-id": "x" } }, "body.headers.svix-id"],
    ] as const) {
      assert.deepEqual(locs(await target.call("POST", path, body)), [loc]);
    }
  });

  test(`${name}: each environment has its own, and no application shows them`, async () => {
    const target = await open();
    const own = await target.another();
    const made = await own.call("POST", "/operational-webhook/endpoint", { url: URL_ });
    assert.equal((await target.call("GET", `/operational-webhook/endpoint/${made.body.id}`)).status, 404);
    assert.deepEqual((await own.call("GET", "/app")).body.data, []);
    const app = (await own.call("POST", "/app", { name: "x" })).body.id;
    assert.equal((await own.call("GET", `/app/${app}/endpoint/${made.body.id}`)).status, 404);
  });

  test(`${name}: what happens to endpoints is told to those who listen (scenario 36)`, async () => {
    const target = await open();
    const own = await target.another();
    const app = (await own.call("POST", "/app", { name: "Told", uid: "told" })).body;
    await own.call("POST", `/app/told/endpoint`, { url: URL_, uid: "before" });
    const listener = { url: URL_, eventTypes: TYPES.filter((type) => type.startsWith("endpoint.")), disabled: false };
    assert.equal((await own.call("POST", "/operational-webhook/endpoint", listener)).status, 201);

    const { id } = (await own.call("POST", `/app/told/endpoint`, { url: URL_, uid: "one" })).body;
    const path = `/app/told/endpoint/${id}`;
    await own.call("PUT", path, { url: URL_, uid: "one" });
    await own.call("PATCH", path, { description: "x" });
    await own.call("POST", `${path}/secret/rotate`, {});
    await own.call("PUT", `${path}/headers`, { headers: { "x-a": "1" } });
    await own.call("PATCH", `${path}/headers`, { headers: { "x-b": "1" } });
    await own.call("PATCH", `${path}/transformation`, { enabled: false });
    await own.call("DELETE", path);

    const walk = { limit: 50, from: null, order: "ascending" } as const;
    const { items } = await target.app.engine.webhooks.messages.list(
      own.environmentId,
      operationsAppId(own.environmentId),
      {},
      walk,
      true,
    );
    const data = { appId: app.id, appUid: "told", endpointId: id, endpointUid: "one" };
    assert.deepEqual(
      items.map(({ payload }) => JSON.parse(payload as string)),
      ["created", "updated", "updated", "updated", "deleted"].map((what) => ({ type: `endpoint.${what}`, data })),
    );
  });

  test(`${name}: disabling and enabling by hand are told`, async () => {
    const target = await open();
    const own = await target.another();
    const app = (await own.call("POST", "/app", { name: "Told" })).body;
    const listener = { url: URL_, eventTypes: ["endpoint.disabled", "endpoint.enabled"] };
    await own.call("POST", "/operational-webhook/endpoint", listener);
    const { id } = (await own.call("POST", `/app/${app.id}/endpoint`, { url: URL_ })).body;
    for (const disabled of [true, true, false]) await own.call("PATCH", `/app/${app.id}/endpoint/${id}`, { disabled });
    const walk = { limit: 50, from: null, order: "ascending" } as const;
    const appId = operationsAppId(own.environmentId);
    const { items } = await target.app.engine.webhooks.messages.list(own.environmentId, appId, {}, walk, true);
    const data = { appId: app.id, endpointId: id };
    assert.deepEqual(
      items.map(({ payload }) => JSON.parse(payload as string)),
      [
        { type: "endpoint.disabled", data: { ...data, trigger: "manual" } },
        { type: "endpoint.enabled", data },
      ],
    );
  });
});
