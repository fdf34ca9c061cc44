import assert from "node:assert/strict";
import { test } from "node:test";
import { type Clients, forEachSvix } from "./svix-target.ts";

const URL_ = "https://example.com/hook";

forEachSvix((name, open) => {
  const setUp = async (access: object = {}): Promise<{ portal: Clients; path: string; app: string }> => {
    const target = await open();
    const { id } = await target.svix.application.create({ name: "Portal" });
    const { body } = await target.call("POST", `/auth/app-portal-access/${id}`, access);
    return { portal: target.with(body.token), path: `/app/${id}/endpoint`, app: id };
  };

  test(`${name}: a portal token manages the endpoints of its application (scenario 37)`, async () => {
    const target = await open();
    const { portal, path } = await setUp();
    const made = await portal.call("POST", path, { url: URL_, filterTypes: [] });
    // svix-react sends an empty list for a new endpoint that wants everything.
    assert.deepEqual([made.status, made.body.filterTypes, made.body.eventTypes], [201, null, null]);
    const one = `${path}/${made.body.id}`;
    assert.equal((await portal.call("PATCH", one, { filterTypes: [], description: "x" })).status, 200);
    assert.equal((await portal.call("PUT", one, { url: URL_, eventTypes: [] })).status, 200);
    assert.equal((await portal.call("GET", `${one}/secret`)).status, 200);
    assert.equal((await portal.call("POST", `${one}/secret/rotate`, {})).status, 204);
    assert.equal((await portal.call("PUT", `${one}/headers`, { headers: { "x-a": "1" } })).status, 204);
    assert.equal((await portal.call("PATCH", `${one}/transformation`, { enabled: false })).status, 204);
    assert.equal((await portal.call("GET", path)).body.data.length, 1);
    const other = await target.svix.application.create({ name: "Other" });
    assert.equal((await portal.call("GET", `/app/${other.id}/endpoint`)).status, 404);
    assert.equal((await portal.call("POST", `/app/${other.id}/endpoint`, { url: URL_ })).status, 404);
    assert.equal((await portal.call("GET", "/operational-webhook/endpoint")).status, 403);
    assert.equal((await portal.call("DELETE", one)).status, 204);
  });

  test(`${name}: a portal token can do what its capabilities say and no more`, async () => {
    const target = await open();
    const { portal, path, app } = await setUp({ capabilities: ["ViewBase"] });
    const made = await target.call("POST", path, { url: URL_ });
    const one = `${path}/${made.body.id}`;
    const calls: readonly (readonly [string, string, object | undefined, string])[] = [
      ["POST", path, { url: URL_ }, "ManageEndpoint"],
      ["PUT", one, { url: URL_ }, "ManageEndpoint"],
      ["PATCH", one, { description: "x" }, "ManageEndpoint"],
      ["PUT", `${one}/headers`, { headers: {} }, "ManageEndpoint"],
      ["PATCH", `${one}/headers`, { headers: {} }, "ManageEndpoint"],
      ["GET", `${one}/secret`, undefined, "ViewEndpointSecret"],
      ["POST", `${one}/secret/rotate`, {}, "ManageEndpointSecret"],
      ["PATCH", `${one}/transformation`, {}, "ManageTransformations"],
      [
        "POST",
        `${one}/transformation/simulate`,
        { code: "function handler(w) { return w }", eventType: "a", payload: {} },
        "ManageTransformations",
      ],
    ];
    for (const read of [path, one, `${one}/headers`, `${one}/transformation`, `${one}/rate-limit-status`]) {
      assert.equal((await portal.call("GET", read)).status, 200, read);
    }
    for (const [method, url, body, capability] of calls) {
      assert.equal((await portal.call(method, url, body)).status, 403, `${method} ${url}`);
      const given = await target.call("POST", `/auth/app-portal-access/${app}`, {
        capabilities: ["ViewBase", capability],
      });
      const able = await target.with(given.body.token).call(method, url, body);
      assert.ok(able.status < 300, `${method} ${url}: ${able.text}`);
    }
    // Setting a key with PATCH is managing keys.
    const given = await target.call("POST", `/auth/app-portal-access/${app}`, { capabilities: ["ManageEndpoint"] });
    const secret = `whsec_${Buffer.alloc(24).toString("base64")}`;
    assert.equal((await target.with(given.body.token).call("PATCH", one, { secret })).status, 403);
  });

  test(`${name}: an endpoint cannot be given event types that its token does not see (scenario 38)`, async () => {
    const target = await open();
    const type = `hidden.${name}`;
    await target.call("POST", "/event-type", { name: type, description: "x", featureFlags: ["beta"] });
    const { portal, path, app } = await setUp({ featureFlags: [] });
    assert.equal((await portal.call("POST", path, { url: URL_, eventTypes: [type] })).status, 422);
    const { body } = await target.call("POST", `/auth/app-portal-access/${app}`, { featureFlags: ["beta"] });
    assert.equal((await target.with(body.token).call("POST", path, { url: URL_, eventTypes: [type] })).status, 201);
    assert.equal((await target.call("POST", path, { url: URL_, eventTypes: [type] })).status, 201);
  });
});
