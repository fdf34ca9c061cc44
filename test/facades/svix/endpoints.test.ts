import assert from "node:assert/strict";
import { before, test } from "node:test";
import { Webhook } from "svix";
import { Ordering } from "svix2";
import { type Answer, type Clients, forEachSvix, type SvixTarget } from "./svix-target.ts";

const URL_ = "https://example.com/hook";
const ID = /^ep_[0-9A-Za-z]{27}$/;
const CODE = "function handler(webhook) { return webhook; }";

function locs({ body }: Answer): string[] {
  return body.detail.map(({ loc }: { loc: string[] }) => loc.join("."));
}

async function statusOf(call: Promise<unknown>): Promise<number> {
  try {
    await call;
    return 200;
  } catch (error) {
    return (error as { code: number }).code;
  }
}

forEachSvix((name, open) => {
  let target: SvixTarget;
  let count = 0;
  const newApp = async (clients: Clients = target): Promise<string> => {
    const uid = `app-${name}-${++count}`;
    assert.equal((await clients.call("POST", "/app", { name: uid, uid })).status, 201);
    return uid;
  };
  const newEndpoint = async (app: string, body: object = {}) => {
    const made = await target.call("POST", `/app/${app}/endpoint`, { url: URL_, ...body });
    assert.equal(made.status, 201, made.text);
    return made.body;
  };
  before(async () => {
    target = await open();
    for (const type of ["user.created", "user.deleted"]) {
      await target.call("POST", "/event-type", { name: type, description: type });
    }
    await target.call("POST", "/event-type", { name: "user.archived", description: "x", archived: true });
  });

  test(`${name}: an endpoint is created, read, replaced, changed and deleted (scenario 8)`, async () => {
    const app = await newApp();
    const { svix, svix2 } = target;
    const one = await svix.endpoint.create(app, {
      url: "HTTPS://User:Pass@EXAMPLE.com:443?x=1",
      uid: "one",
      filterTypes: ["user.created"],
      rateLimit: 3,
      channels: ["a:b", "c+d"],
      metadata: { k: "v" },
    });
    assert.match(one.id, ID);
    assert.equal(one.url, "https://User:Pass@example.com/?x=1");
    assert.deepEqual([one.description, one.version, one.disabled], ["", 1, false]);
    const shown = (await target.call("GET", `/app/${app}/endpoint/one`)).body;
    assert.deepEqual([shown.eventTypes, shown.filterTypes], [["user.created"], ["user.created"]]);
    assert.deepEqual([shown.throttleRate, shown.rateLimit], [3, 3]);
    assert.deepEqual(await svix.endpoint.get(app, "one"), one);
    const two = await svix2.endpoint.get(app, one.id);
    assert.deepEqual([two.eventTypes, two.throttleRate, two.channels], [["user.created"], 3, ["a:b", "c+d"]]);
    assert.equal("secret" in shown, false);

    await target.clock.advance(1_000);
    const replaced = await svix2.endpoint.upsert(app, "one", { url: "http://example.com", eventTypes: null });
    assert.deepEqual([replaced.id, replaced.uid, replaced.url], [one.id, null, "http://example.com/"]);
    assert.deepEqual([replaced.eventTypes, replaced.channels, replaced.metadata], [null, null, {}]);
    assert.ok(replaced.updatedAt > replaced.createdAt);
    const patched = await svix.endpoint.patch(app, one.id, { description: "mine", uid: "uno", disabled: true });
    assert.deepEqual([patched.description, patched.uid, patched.disabled], ["mine", "uno", true]);
    const patched2 = await svix2.endpoint.patch(app, "uno", { eventTypes: ["user.deleted"], throttleRate: 9 });
    assert.deepEqual([patched2.eventTypes, patched2.throttleRate, patched2.description], [["user.deleted"], 9, "mine"]);

    await svix2.endpoint.delete(app, "uno");
    for (const key of ["uno", one.id]) {
      assert.equal((await target.call("GET", `/app/${app}/endpoint/${key}`)).status, 404);
    }
    assert.equal(await statusOf(svix.endpoint.delete(app, one.id)), 404);
    assert.equal((await newEndpoint(app, { uid: "uno" })).uid, "uno");
  });

  test(`${name}: an endpoint belongs to its application, and its uid is unique there`, async () => {
    const [app, other] = [await newApp(), await newApp()];
    const one = await newEndpoint(app, { uid: "same" });
    for (const key of [one.id, "same"]) {
      assert.equal((await target.call("GET", `/app/${other}/endpoint/${key}`)).status, 404);
      assert.equal((await target.call("DELETE", `/app/${other}/endpoint/${key}`)).status, 404);
      assert.equal((await target.call("GET", `/app/${other}/endpoint/${key}/secret`)).status, 404);
    }
    assert.equal((await target.call("POST", `/app/${app}/endpoint`, { url: URL_, uid: "same" })).status, 409);
    assert.equal((await newEndpoint(other, { uid: "same" })).uid, "same");
    const second = await newEndpoint(app);
    assert.equal((await target.call("PATCH", `/app/${app}/endpoint/${second.id}`, { uid: "same" })).status, 409);
    assert.equal((await target.call("POST", "/app/nobody/endpoint", { url: URL_ })).status, 404);
    assert.equal((await target.call("GET", "/app/nobody/endpoint")).status, 404);
  });

  test(`${name}: PUT to what is not there makes a new endpoint and ignores the path (scenario 3)`, async () => {
    const app = await newApp();
    const made = await target.call("PUT", `/app/${app}/endpoint/unknown`, { url: URL_ });
    assert.deepEqual([made.status, made.body.uid], [201, null]);
    assert.equal((await target.call("GET", `/app/${app}/endpoint/unknown`)).status, 404);
    const { body } = await target.call("GET", `/app/${app}/endpoint/${made.body.id}/secret`);
    assert.match(body.key, /^whsec_/);
  });

  test(`${name}: PUT keeps the secret, the headers and the transformation`, async () => {
    const app = await newApp();
    const { id } = await newEndpoint(app, { headers: { "X-Mine": "1" } });
    const path = `/app/${app}/endpoint/${id}`;
    await target.call("PATCH", `${path}/transformation`, { code: CODE, enabled: true });
    const secret = (await target.call("GET", `${path}/secret`)).body;
    assert.equal((await target.call("PUT", path, { url: "https://example.org/" })).status, 200);
    assert.deepEqual((await target.call("GET", `${path}/secret`)).body, secret);
    assert.deepEqual((await target.call("GET", `${path}/headers`)).body.headers, { "X-Mine": "1" });
    assert.equal((await target.call("GET", `${path}/transformation`)).body.enabled, true);
  });

  test(`${name}: PATCH keeps what is absent, and null clears (scenario 4)`, async () => {
    const app = await newApp();
    const made = await newEndpoint(app, {
      uid: "full",
      description: "d",
      throttleRate: 4,
      eventTypes: ["user.created"],
      channels: ["c"],
      metadata: { k: "v" },
      version: 3,
    });
    const path = `/app/${app}/endpoint/${made.id}`;
    const same = (await target.call("PATCH", path, {})).body;
    assert.deepEqual({ ...same, updatedAt: made.updatedAt }, made);
    const cleared = (
      await target.call("PATCH", path, {
        uid: null,
        throttleRate: null,
        filterTypes: null,
        channels: null,
        metadata: null,
      })
    ).body;
    assert.deepEqual(
      [cleared.uid, cleared.throttleRate, cleared.eventTypes, cleared.channels, cleared.metadata],
      [null, null, null, null, {}],
    );
    assert.deepEqual([cleared.description, cleared.version], ["d", 3]);
    for (const field of ["url", "description", "disabled", "version"]) {
      assert.deepEqual(locs(await target.call("PATCH", path, { [field]: null })), [`body.${field}`]);
    }
  });

  test(`${name}: what an endpoint cannot be is refused, all of it at once (scenario 9)`, async () => {
    const app = await newApp();
    const post = (body: unknown) => target.call("POST", `/app/${app}/endpoint`, body);
    for (const [fields, loc] of [
      [{ url: "ftp://example.com/" }, "body.url"],
      [{ url: "javascript:alert(1)" }, "body.url"],
      [{ url: "/relative" }, "body.url"],
      [{ url: "" }, "body.url"],
      [{ url: `https://example.com/${"x".repeat(65_536)}` }, "body.url"],
      [{ url: `https://example.com/${"ü".repeat(20_000)}` }, "body.url"],
      [{ url: null }, "body.url"],
      [{ eventTypes: [] }, "body.eventTypes"],
      [{ filterTypes: [] }, "body.filterTypes"],
      [{ eventTypes: ["no.such"] }, "body.eventTypes"],
      [{ filterTypes: ["user.archived"] }, "body.filterTypes"],
      [{ eventTypes: ["__proto__"] }, "body.eventTypes"],
      [{ eventTypes: ["bad name"] }, "body.eventTypes.[0]"],
      [{ eventTypes: ["user.created"], filterTypes: ["user.created"] }, "body.filterTypes"],
      [{ channels: [] }, "body.channels"],
      [{ channels: Array.from({ length: 11 }, (_, i) => `c${i}`) }, "body.channels"],
      [{ channels: ["a b"] }, "body.channels.[0]"],
      [{ throttleRate: 0 }, "body.throttleRate"],
      [{ rateLimit: 70_000 }, "body.rateLimit"],
      [{ version: 0 }, "body.version"],
      [{ disabled: "yes" }, "body.disabled"],
      [{ uid: "ep_mine" }, "body.uid.__all__"],
      [{ secret: "whsec_c2hvcnQ=" }, "body.secret"],
      [{ secret: `whsec_${Buffer.alloc(76).toString("base64")}` }, "body.secret"],
      [{ secret: `whxyz_${Buffer.alloc(24).toString("base64")}` }, "body.secret"],
      [{ secret: "whsec_not base64 at all, not at all" }, "body.secret"],
      [{ secret: 5 }, "body.secret"],
      [{ headers: { "content-type": "x" } }, "body.headers.content-type"],
      [{ metadata: { k: "x".repeat(5_000) } }, "body.metadata"],
    ] as const) {
      const answer = await post({ url: URL_, ...fields });
      assert.equal(answer.status, 422, JSON.stringify(fields).slice(0, 100));
      assert.deepEqual(locs(answer), [loc], JSON.stringify(fields).slice(0, 100));
    }
    const many = await post({ url: "x", eventTypes: ["no.such"], channels: [], disabled: 1, secret: "s" });
    assert.deepEqual(locs(many).sort(), [
      "body.channels",
      "body.disabled",
      "body.eventTypes",
      "body.secret",
      "body.url",
    ]);
    assert.match(many.text, /no\.such/);
    assert.doesNotMatch((await post({ url: URL_, secret: "whsec_verysecretindeed" })).text, /verysecretindeed/);
    for (const body of ["", "[]", "{", '"x"', `${"[".repeat(20_000)}`]) {
      const { status } = await target.call("POST", `/app/${app}/endpoint`, body);
      assert.ok(status === 422 || status === 400, `${status}`);
    }
    assert.deepEqual((await target.call("GET", `/app/${app}/endpoint`)).body.data, []);
  });

  test(`${name}: addresses that must not be called can be written down (scenario 43)`, async () => {
    const app = await newApp();
    for (const [given, kept] of [
      ["http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x"],
      ["http://[::FFFF:127.0.0.1]/", "http://[::ffff:7f00:1]/"],
      ["http://0x7f.1", "http://127.0.0.1/"],
      ["https://bücher.example/ä?ö", "https://xn--bcher-kva.example/%C3%A4?%C3%B6"],
    ]) {
      assert.equal((await newEndpoint(app, { url: given })).url, kept);
    }
  });

  test(`${name}: an archived event type stays with those that have it, and no one else gets it`, async () => {
    const app = await newApp();
    await target.call("POST", "/event-type", { name: `late.${name}`, description: "x" });
    const { id } = await newEndpoint(app, { eventTypes: [`late.${name}`] });
    await target.call("DELETE", `/event-type/late.${name}`);
    const path = `/app/${app}/endpoint/${id}`;
    const kept = await target.call("PATCH", path, { eventTypes: [`late.${name}`, "user.created"] });
    assert.deepEqual([kept.status, kept.body.eventTypes], [200, [`late.${name}`, "user.created"]]);
    assert.equal((await target.call("PUT", path, { url: URL_, filterTypes: [`late.${name}`] })).status, 200);
    assert.equal(
      (await target.call("POST", `/app/${app}/endpoint`, { url: URL_, eventTypes: [`late.${name}`] })).status,
      422,
    );
    await target.call("PATCH", path, { eventTypes: null });
    assert.equal((await target.call("PATCH", path, { eventTypes: [`late.${name}`] })).status, 422);
  });

  test(`${name}: the environment can demand https, channels and event types`, async () => {
    const own = await target.another();
    const app = await newApp(own);
    const path = `/app/${app}/endpoint`;
    const http = await own.call("POST", path, { url: "http://example.com/" });
    assert.equal(http.status, 201);
    const demands = { requireHttps: true, requireChannels: true, requireEventTypes: true };
    await target.app.engine.webhooks.settings.update(own.environmentId, (settings) => ({ ...settings, ...demands }));
    await own.call("POST", "/event-type", { name: "a.b", description: "x" });
    const refused = await own.call("POST", path, { url: "http://example.com/" });
    assert.deepEqual(locs(refused), ["body.url", "body.eventTypes", "body.channels"]);
    const good = await own.call("POST", path, { url: URL_, eventTypes: ["a.b"], channels: ["c"] });
    assert.equal(good.status, 201);
    assert.deepEqual(locs(await own.call("PATCH", `${path}/${good.body.id}`, { channels: null })), ["body.channels"]);
    assert.deepEqual(locs(await own.call("PUT", `${path}/${good.body.id}`, { url: URL_, channels: ["c"] })), [
      "body.eventTypes",
    ]);
    // One from before can still be changed in other respects.
    assert.equal((await own.call("PATCH", `${path}/${http.body.id}`, { disabled: true })).status, 200);
  });

  test(`${name}: endpoints are listed newest first, or as asked, both ways (scenarios 6 and 7)`, async () => {
    const app = await newApp();
    const path = `/app/${app}/endpoint`;
    assert.deepEqual((await target.call("GET", path)).body, {
      data: [],
      iterator: null,
      prevIterator: null,
      done: true,
    });
    const uids = ["a", "b", "c", "d", "e"];
    for (const uid of uids) await newEndpoint(app, { uid });
    const listed = async (query: string) => {
      const { body } = await target.call("GET", `${path}?${query}`);
      return { uids: body.data.map(({ uid }: { uid: string }) => uid).join(""), ...body };
    };
    assert.equal((await listed("")).uids, "edcba");
    assert.equal((await listed("order=ascending")).uids, "abcde");
    const first = await listed("limit=2");
    const second = await listed(`limit=2&iterator=${first.iterator}`);
    const third = await listed(`limit=2&iterator=${second.iterator}`);
    assert.deepEqual([first.uids, second.uids, third.uids], ["ed", "cb", "a"]);
    assert.deepEqual([first.done, second.done, third.done], [false, false, true]);
    const back = await listed(`limit=2&iterator=${third.prevIterator}`);
    assert.deepEqual([back.uids, back.done], ["cb", false]);
    assert.equal((await target.svix2.endpoint.list(app, { limit: 3, order: Ordering.Descending })).data.length, 3);
    assert.equal((await target.svix.endpoint.list(app)).data.length, 5);
    assert.equal((await target.call("GET", `${path}?limit=251`)).status, 422);
  });

  test(`${name}: secrets are made or given, and shown (scenario 10)`, async () => {
    const app = await newApp();
    const { svix, svix2 } = target;
    const made = await svix.endpoint.create(app, { url: URL_ });
    const { key } = await svix2.endpoint.getSecret(app, made.id);
    assert.equal(Buffer.from(key.slice("whsec_".length), "base64").length, 24);
    const given = `whsec_${Buffer.alloc(32, 9).toString("base64")}`;
    const own = await svix2.endpoint.create(app, { url: URL_, secret: given });
    assert.deepEqual(await svix.endpoint.getSecret(app, own.id), { key: given });
    const bare = await newEndpoint(app, { secret: given.slice("whsec_".length) });
    assert.deepEqual(await svix.endpoint.getSecret(app, bare.id), { key: given });
    assert.equal((await target.call("PATCH", `/app/${app}/endpoint/${made.id}`, { secret: given })).status, 200);
    assert.deepEqual(await svix.endpoint.getSecret(app, made.id), { key: given });
    assert.ok(new Webhook(given).sign("msg_x", new Date(), "{}").startsWith("v1,"));
  });

  test(`${name}: of an asymmetric key only the public half is shown (scenario 12)`, async () => {
    const app = await newApp();
    const secret = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA==";
    const { id } = await newEndpoint(app, { secret });
    const path = `/app/${app}/endpoint/${id}/secret`;
    const shown = await target.call("GET", path);
    assert.deepEqual(shown.body, { key: "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=" });
    // Without a key of its own it gets a new one of the kind it has.
    assert.equal((await target.call("POST", `${path}/rotate`, {})).status, 204);
    const rotated = (await target.call("GET", path)).body.key;
    assert.match(rotated, /^whpk_/);
    assert.notEqual(rotated, shown.body.key);
    const plain = `whsec_${Buffer.alloc(24, 1).toString("base64")}`;
    assert.equal((await target.call("POST", `${path}/rotate`, { key: plain })).status, 204);
    assert.equal((await target.call("GET", path)).body.key, plain);
  });

  test(`${name}: a key is rotated, with at most ten old ones (scenario 11)`, async () => {
    const app = await newApp();
    const { id } = await newEndpoint(app);
    const path = `/app/${app}/endpoint/${id}/secret`;
    const { svix, svix2 } = target;
    const first = (await svix.endpoint.getSecret(app, id)).key;
    assert.equal((await target.call("POST", `${path}/rotate`)).status, 204);
    assert.notEqual((await svix.endpoint.getSecret(app, id)).key, first);
    const given = `whsec_${Buffer.alloc(40, 3).toString("base64")}`;
    await svix.endpoint.rotateSecret(app, id, { key: given });
    await svix2.endpoint.rotateSecret(app, id, { gracePeriodSeconds: 604_800 });
    for (let i = 3; i < 10; i++) await svix2.endpoint.rotateSecret(app, id);
    const limit = await target.call("POST", `${path}/rotate`, {});
    assert.deepEqual([limit.status, limit.body.code], [400, "limit_reached"]);
    // The current key is dropped at once, so there is no eleventh old one.
    assert.equal((await target.call("POST", `${path}/rotate`, { gracePeriodSeconds: 0 })).status, 204);
    // Old keys end after their grace, and then there is room again.
    await target.clock.advance(86_400_001);
    assert.equal((await target.call("POST", `${path}/rotate`, {})).status, 204);
    for (const [bad, loc] of [
      [{ key: "whsec_AAAA" }, "body.key"],
      [{ key: "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=" }, "body.key"],
      [{ gracePeriodSeconds: -1 }, "body.gracePeriodSeconds"],
      [{ gracePeriodSeconds: 604_801 }, "body.gracePeriodSeconds"],
    ] as const) {
      assert.deepEqual(locs(await target.call("POST", `${path}/rotate`, bad)), [loc]);
    }
    assert.equal((await target.call("POST", `/app/${app}/endpoint/nobody/secret/rotate`, {})).status, 404);
  });

  test(`${name}: headers are set, merged and taken away (scenario 17)`, async () => {
    const app = await newApp();
    const { svix, svix2 } = target;
    const { id } = await newEndpoint(app, { headers: { "X-First": "1" } });
    const path = `/app/${app}/endpoint/${id}/headers`;
    assert.deepEqual(await svix.endpoint.getHeaders(app, id), { headers: { "X-First": "1" }, sensitive: [] });
    await svix.endpoint.updateHeaders(app, id, { headers: { "X-One": "1", Authorization: "Bearer x", "x-two": "2" } });
    assert.deepEqual(await svix2.endpoint.getHeaders(app, id), {
      headers: { "X-One": "1", "x-two": "2" },
      sensitive: ["Authorization"],
    });
    await svix.endpoint.patchHeaders(app, id, { headers: { "x-one": "uno", "X-Three": "3" } });
    await svix2.endpoint.patchHeaders(app, id, { headers: { "X-TWO": null as never }, deleteHeaders: ["x-three"] });
    assert.deepEqual((await target.call("GET", path)).body, {
      headers: { "x-one": "uno" },
      sensitive: ["Authorization"],
    });
    await svix2.endpoint.setHeaders(app, id, { headers: {} });
    assert.deepEqual((await target.call("GET", path)).body, { headers: {}, sensitive: [] });
    const odd = await target.call("PUT", path, '{"headers":{"__proto__":"x"}}');
    assert.ok(odd.status < 500, odd.text);
  });

  test(`${name}: headers that are not one's own to set are refused`, async () => {
    const app = await newApp();
    const { id } = await newEndpoint(app);
    const path = `/app/${app}/endpoint/${id}/headers`;
    const forbidden =
      "user-agent keep-alive proxy-authenticate proxy-authorization te trailers transfer-encoding upgrade age cache-control " +
      "clear-site-data expires pragma warning content-length content-type content-encoding content-language content-location " +
      "x-amz-a x-amzn-b x-google x-goog-a x-gfe x-azure-a x-fd-a x-svix-a svix-id webhook-id connection expect " +
      "host proxy-connection trailer";
    for (const name of forbidden.split(" ")) {
      const spelled = name.replace(/^./, (c) => c.toUpperCase());
      for (const method of ["PUT", "PATCH"]) {
        const answer = await target.call(method, path, { headers: { [spelled]: "x" } });
        assert.deepEqual([answer.status, locs(answer)], [422, [`body.headers.${spelled}`]]);
      }
    }
    for (const [headers, loc] of [
      [{ "x-a": "x".repeat(4_097) }, "body.headers.x-a"],
      [{ "x a": "x" }, "body.headers.x a"],
      [{ "": "x" }, "body.headers."],
      [{ "x-a": "one\r\nx-b: two" }, "body.headers.x-a"],
      [{ "x-a": "ü" }, "body.headers.x-a"],
      [{ "x-a": 1 }, "body.headers.x-a"],
      [{ "x-a": "1", "X-A": "2" }, "body.headers.X-A"],
    ] as const) {
      const answer = await target.call("PUT", path, { headers });
      assert.deepEqual([answer.status, locs(answer)], [422, [loc]], JSON.stringify(headers).slice(0, 60));
    }
    assert.equal((await target.call("PUT", path, { headers: { "x-a": "x".repeat(4_096) } })).status, 204);
    assert.deepEqual(locs(await target.call("PUT", path, {})), ["body.headers"]);
    const many = (from: number) => Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`x-${from + i}`, "1"]));
    assert.equal((await target.call("PUT", path, { headers: many(0) })).status, 204);
    assert.deepEqual(locs(await target.call("PATCH", path, { headers: many(60) })), ["body.headers"]);
  });

  test(`${name}: a transformation is set, turned on and off, and taken away`, async () => {
    const app = await newApp();
    const { svix, svix2 } = target;
    const { id } = await newEndpoint(app);
    const path = `/app/${app}/endpoint/${id}/transformation`;
    assert.deepEqual((await target.call("GET", path)).body, {
      code: null,
      enabled: false,
      variables: null,
      updatedAt: null,
    });
    assert.deepEqual(locs(await target.call("PATCH", path, { enabled: true })), ["body.enabled"]);
    assert.equal((await target.call("PATCH", path, { enabled: false })).status, 204);
    await svix.endpoint.patchTransformation(app, id, { code: CODE, enabled: true });
    assert.equal((await svix.endpoint.transformationGet(app, id)).code, CODE);
    await svix2.endpoint.transformation.patch(app, id, { variables: { region: "eu" } });
    const got = await svix2.endpoint.transformation.get(app, id);
    assert.deepEqual([got.code, got.enabled, got.variables], [CODE, true, { region: "eu" }]);
    assert.equal(got.updatedAt?.getTime(), target.clock.now());
    await svix.endpoint.transformationPartialUpdate(app, id, { enabled: false });
    assert.equal((await target.call("GET", path)).body.enabled, false);
    await target.call("PATCH", path, { enabled: true });
    assert.equal((await target.call("PATCH", path, { code: null })).status, 204);
    const { code, enabled } = (await target.call("GET", path)).body;
    assert.deepEqual([code, enabled], [null, false]);
    for (const [bad, loc] of [
      [{ code: "short" }, "body.code"],
      [{ code: "x".repeat(51_201) }, "body.code"],
      [{ enabled: null }, "body.enabled"],
      [{ variables: { a: 1 } }, "body.variables.a"],
    ] as const) {
      assert.deepEqual(locs(await target.call("PATCH", path, bad)), [loc]);
    }
  });

  test(`${name}: a transformation is simulated without sending (scenario 50)`, async () => {
    const app = await newApp();
    const { id } = await newEndpoint(app);
    const path = `/app/${app}/endpoint/${id}/transformation`;
    await target.call("PATCH", path, { variables: { region: "eu" } });
    const code = `function handler(webhook) {
      webhook.method = "PUT";
      webhook.url = webhook.url + "/" + webhook.variables.region;
      webhook.payload = { was: webhook.payload, type: webhook.eventType, channels: webhook.channels };
      return webhook;
    }`;
    const input = { code, eventType: "user.created", channels: ["c"], payload: { a: 1 } };
    const done = await target.call("POST", `${path}/simulate`, input);
    assert.equal(done.status, 200, done.text);
    assert.deepEqual([done.body.method, done.body.url, done.body.cancel], ["PUT", `${URL_}/eu`, false]);
    assert.deepEqual(JSON.parse(done.body.payload), { was: { a: 1 }, type: "user.created", channels: ["c"] });
    const failing = await target.call("POST", `${path}/simulate`, {
      ...input,
      code: "function handler() { throw 1; }",
    });
    assert.deepEqual([failing.status, locs(failing)], [422, ["body.code"]]);
    assert.deepEqual(locs(await target.call("POST", `${path}/simulate`, {})), [
      "body.code",
      "body.eventType",
      "body.payload",
    ]);
    assert.deepEqual((await target.call("GET", `/app/${app}/msg`)).body.data, []);
  });

  test(`${name}: an endpoint that is not held back says so`, async () => {
    const app = await newApp();
    const { id } = await newEndpoint(app, { throttleRate: 5 });
    assert.deepEqual((await target.call("GET", `/app/${app}/endpoint/${id}/rate-limit-status`)).body, { status: "Ok" });
    assert.equal((await target.call("GET", `/app/${app}/endpoint/nobody/rate-limit-status`)).status, 404);
  });

  test(`${name}: creating with a key of idempotency makes one endpoint (scenario 5)`, async () => {
    const app = await newApp();
    const key = { "idempotency-key": `k-${name}` };
    const answers = [];
    for (let i = 0; i < 2; i++) answers.push(await target.call("POST", `/app/${app}/endpoint`, { url: URL_ }, key));
    assert.equal(answers[0]?.text, answers[1]?.text);
    assert.equal((await target.call("GET", `/app/${app}/endpoint`)).body.data.length, 1);
  });
});
