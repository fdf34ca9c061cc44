import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectorKind, ConnectorProduct } from "svix";
import { ConnectorProduct as ConnectorProduct2 } from "svix2";
import { type Answer, forEachSvix } from "./svix-target.ts";

const CODE = "function handler(webhook) { return webhook; }";
const OTHER_CODE = "function handler(webhook) { webhook.method = 'PUT'; return webhook; }";

function locs({ body }: Answer): string[] {
  return body.detail.map(({ loc }: { loc: string[] }) => loc.join("."));
}

forEachSvix((name, open) => {
  test(`${name}: a connector is created, read, listed, replaced, changed and deleted, in both SDKs`, async () => {
    const target = await open();
    const { svix, svix2 } = target;
    const one = await svix.connector.create({
      name: "Slack",
      uid: "slack",
      kind: ConnectorKind.Slack,
      transformation: CODE,
    });
    assert.match(one.id, /^trtmpl_[0-9A-Za-z]{27}$/);
    assert.equal(one.orgId, target.orgId);
    assert.deepEqual(
      [one.logo, one.description, one.instructions, one.allowedEventTypes, one.featureFlags, one.productType],
      [null, "", "", null, null, "Dispatch"],
    );
    assert.deepEqual(await svix2.connector.get("slack"), one);
    assert.deepEqual(await svix.connector.get(one.id), one);
    assert.equal(
      (await target.call("POST", "/connector", { name: "x", uid: "slack", transformation: CODE })).status,
      409,
    );

    await target.clock.advance(1_000);
    const renamed = await svix2.connector.patch("slack", { name: "Chat", logo: "https://example.com/l.png" });
    assert.deepEqual([renamed.name, renamed.logo, renamed.kind], ["Chat", "https://example.com/l.png", "Slack"]);
    assert.ok(renamed.updatedAt > renamed.transformationUpdatedAt);
    const recoded = await svix.connector.patch("slack", { transformation: OTHER_CODE });
    assert.equal(recoded.transformationUpdatedAt.getTime(), target.clock.now());

    const replaced = await svix.connector.update("slack", {
      name: "Only",
      transformation: CODE,
      kind: ConnectorKind.Custom,
    });
    assert.deepEqual([replaced.id, replaced.uid, replaced.logo, replaced.name], [one.id, "slack", null, "Only"]);
    const made = await target.call("PUT", "/connector/unknown", { transformation: CODE });
    assert.deepEqual([made.status, made.body.uid, made.body.name], [201, null, ""]);
    const stream = await svix2.connector.create({
      name: "S",
      transformation: CODE,
      productType: ConnectorProduct2.Stream,
    });
    const listed = async (query: string): Promise<string[]> =>
      (await target.call("GET", `/connector?${query}`)).body.data.map(({ id }: { id: string }) => id);
    assert.deepEqual(await listed(""), [stream.id, made.body.id, one.id]);
    assert.deepEqual(await listed("order=ascending&limit=2"), [one.id, made.body.id]);
    assert.deepEqual(await listed("product_type=Stream"), [stream.id]);
    assert.deepEqual((await svix.connector.list({ productType: ConnectorProduct.Dispatch })).data.length, 2);
    assert.equal((await target.call("GET", "/connector?product_type=Toaster")).status, 422);

    for (const id of ["slack", made.body.id, stream.id]) await svix.connector.delete(id);
    assert.equal((await target.call("GET", "/connector/slack")).status, 404);
    assert.equal((await target.call("DELETE", `/connector/${one.id}`)).status, 404);
    assert.equal((await target.call("PATCH", "/connector/slack", {})).status, 404);
    assert.equal(
      (await target.call("POST", "/connector", { name: "x", uid: "slack", transformation: CODE })).status,
      201,
    );
  });

  test(`${name}: the old name of the path is the same resource`, async () => {
    const target = await open();
    const made = await target.call("POST", "/transformation-template", {
      name: "Old",
      uid: "old",
      transformation: CODE,
    });
    assert.equal(made.status, 201);
    assert.deepEqual((await target.call("GET", "/connector/old")).body, made.body);
    assert.equal((await target.call("PATCH", "/transformation-template/old", { name: "New" })).body.name, "New");
    assert.equal((await target.call("PUT", "/transformation-template/old", { transformation: CODE })).status, 200);
    assert.equal((await target.call("GET", "/transformation-template")).status, 200);
    assert.equal((await target.call("DELETE", "/transformation-template/old")).status, 204);
  });

  test(`${name}: what a connector cannot be is refused`, async () => {
    const target = await open();
    for (const [fields, loc] of [
      [{ transformation: "short" }, "body.transformation"],
      [{ transformation: "x".repeat(51_201) }, "body.transformation"],
      [{ transformation: null }, "body.transformation"],
      [{ name: null }, "body.name"],
      [{ uid: "trtmpl_x" }, "body.uid.__all__"],
      [{ kind: "Toaster" }, "body.kind"],
      [{ productType: "Toaster" }, "body.productType"],
      [{ logo: "javascript:alert(1)" }, "body.logo"],
      [{ logo: "not a uri" }, "body.logo"],
      [{ allowedEventTypes: [] }, "body.allowedEventTypes"],
      [{ allowedEventTypes: ["bad name"] }, "body.allowedEventTypes.[0]"],
      [{ featureFlags: [1] }, "body.featureFlags.[0]"],
    ] as const) {
      const answer = await target.call("POST", "/connector", { name: "x", transformation: CODE, ...fields });
      assert.equal(answer.status, 422, JSON.stringify(fields).slice(0, 60));
      assert.deepEqual(locs(answer), [loc]);
    }
    assert.deepEqual(locs(await target.call("POST", "/connector", {})), ["body.name", "body.transformation"]);
  });

  test(`${name}: a portal token sees what its flags show, and changes nothing`, async () => {
    const target = await open();
    const own = await target.another();
    await own.call("POST", "/connector", { name: "all", uid: "all", transformation: CODE });
    await own.call("POST", "/connector", { name: "beta", uid: "beta", transformation: CODE, featureFlags: ["beta"] });
    const app = (await own.call("POST", "/app", { name: "x" })).body.id;
    const uids = async (featureFlags: readonly string[]) => {
      const { body } = await own.call("POST", `/auth/app-portal-access/${app}`, { featureFlags });
      const portal = target.with(body.token);
      assert.equal((await portal.call("POST", "/connector", { name: "x", transformation: CODE })).status, 403);
      assert.equal((await portal.call("DELETE", "/connector/all")).status, 403);
      const beta = (await portal.call("GET", "/connector/beta")).status;
      const page = await portal.call("GET", "/connector?limit=1");
      const rest = page.body.done
        ? null
        : await portal.call("GET", `/connector?limit=1&iterator=${page.body.iterator}`);
      return [beta, ...[page, rest].flatMap((p) => p?.body.data.map(({ uid }: { uid: string }) => uid) ?? [])];
    };
    assert.deepEqual(await uids([]), [404, "all"]);
    assert.deepEqual(await uids(["beta"]), [200, "beta", "all"]);
    assert.deepEqual((await target.call("GET", "/connector/all")).status, 404);
  });

  test(`${name}: an environment has a bounded number of connectors`, async () => {
    const target = await open();
    const own = await target.another();
    for (let i = 0; i < 200; i++) {
      assert.equal((await own.call("POST", "/connector", { name: `${i}`, transformation: CODE })).status, 201);
    }
    const beyond = await own.call("POST", "/connector", { name: "x", transformation: CODE });
    assert.deepEqual([beyond.status, beyond.body.code], [400, "limit_reached"]);
  });
});
