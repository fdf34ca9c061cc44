/** The same call twice: scenario 5, and what §A.7 says beyond it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ksuid } from "../../../../src/facades/svix/ids.ts";
import { refusal } from "../eventually.ts";
import type { Clients } from "../svix-target.ts";
import { forEachSpeaker, HOUR, type Scene } from "./scenario.ts";

const URL_ = "https://example.com/";

async function appCount({ svix }: Clients): Promise<number> {
  return (await svix.application.list({ limit: 250 })).data.length;
}

/** A POST with a key. */
const post = (clients: Pick<Clients, "call">, path: string, key: string, body?: unknown) =>
  clients.call("POST", path, body, { "idempotency-key": key });

const ten = <T>(call: (i: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: 10 }, (_, i) => call(i)));

/** Another token for the scene's own environment: signed by the operator. */
function signed({ target, environmentId }: Scene): Clients {
  return target.with(target.jwt({ sub: ksuid("org", environmentId) }));
}

forEachSpeaker({}, (who, open) => {
  test(`${who}: 5. Idempotent create: the same key and token give the same answer, anything else another`, async (t) => {
    const scene = await open(t);
    const { svix, call } = scene;
    const first = await svix.application.create({ name: "A" }, { idempotencyKey: "k" });
    assert.deepEqual(await svix.application.create({ name: "A" }, { idempotencyKey: "k" }), first);
    assert.equal(await appCount(scene), 1);
    const raw = [await post(scene, "/app", "raw", { name: "B" }), await post(scene, "/app", "raw", { name: "B" })];
    assert.deepEqual(raw[1]?.text, raw[0]?.text);
    for (const answer of raw) {
      assert.equal(answer.status, 201);
      assert.match(answer.headers.get("content-type") ?? "", /^application\/json/);
    }
    // The body is not compared.
    assert.equal((await post(scene, "/app", "raw", { name: "Other", uid: "other" })).text, raw[0]?.text);
    assert.equal(await appCount(scene), 2);
    // A different key.
    assert.notEqual((await svix.application.create({ name: "A" }, { idempotencyKey: "k2" })).id, first.id);
    // The same key and a different token, of the same organisation and of another one.
    const other = await scene.target.another();
    for (const clients of [signed(scene), other]) {
      const theirs = await clients.svix2.application.create({ name: "A" }, { idempotencyKey: "k" });
      assert.notEqual(theirs.id, first.id);
      assert.equal((await clients.svix.application.create({ name: "A" }, { idempotencyKey: "k" })).id, theirs.id);
    }
    assert.equal(await appCount(scene), 4);
    assert.equal(await appCount(other), 1);
    // A different address.
    for (const path of ["/app?get_if_exists=true", "/app?get_if_exists=false", "/event-type"]) {
      const { body } = await post(scene, path, "k", { name: "addressed", description: "" });
      assert.notEqual(body.id, first.id, path);
    }
    // Without a key, and with an empty one, every call is a new one; other methods have none.
    for (const key of [undefined, ""]) {
      const twice = [1, 2].map(() => call("POST", "/app", { name: "x" }, { "idempotency-key": key }));
      const ids = (await Promise.all(twice)).map(({ body }) => body.id);
      assert.notEqual(ids[0], ids[1]);
    }
    for (const method of ["PUT", "PATCH"]) {
      const names = ["one", "two"];
      for (const name of names) {
        const { body } = await call(method, `/app/${first.id}`, { name }, { "idempotency-key": "k" });
        assert.equal(body.name, name);
      }
    }
  });

  test(`${who}: 5. Idempotent create: after a 409, a 422 or a 404 the key is free`, async (t) => {
    const scene = await open(t);
    const { svix } = scene;
    await svix.application.create({ name: "x", uid: "taken" });
    const create = (uid: string, name: string) => svix.application.create({ name, uid }, { idempotencyKey: "k" });
    assert.deepEqual(await refusal(create("taken", "x")), { status: 409, code: "conflict" });
    assert.equal((await refusal(create("free", ""))).status, 422);
    for (const body of ["{", "[]", '"x"']) assert.equal((await post(scene, "/app", "k", body)).status, 422);
    const made = await create("free", "x");
    assert.equal(made.uid, "free");
    // Now it is not.
    assert.equal((await create("taken", "x")).id, made.id);

    const message = () => svix.message.create("later", { eventType: "a.b", payload: {} }, { idempotencyKey: "m" });
    assert.equal((await refusal(message())).status, 404);
    await svix.application.create({ name: "x", uid: "later" });
    const sent = await message();
    assert.equal((await message()).id, sent.id);
    const event = (id: string) =>
      svix.message.create("later", { eventType: "a.b", payload: {}, eventId: id }, { idempotencyKey: "e" });
    await svix.message.create("later", { eventType: "a.b", payload: {}, eventId: "twice" });
    assert.equal((await refusal(event("twice"))).status, 409);
    assert.equal((await event("once")).eventId, "once");
    const type = (name: string) => svix.eventType.create({ name, description: "" }, { idempotencyKey: "t" });
    await svix.eventType.create({ name: "t.1", description: "" });
    assert.deepEqual(await refusal(type("t.1")), { status: 409, code: "event_type_exists" });
    assert.equal((await type("t.2")).name, "t.2");
    const endpoint = (url: string) => svix.endpoint.create("later", { url }, { idempotencyKey: "ep" });
    assert.equal((await refusal(endpoint("ftp://x"))).status, 422);
    const { id } = await endpoint(URL_);
    assert.equal((await endpoint("https://example.org/")).id, id);
    assert.equal((await svix.endpoint.list("later")).data.length, 1);
  });

  test(`${who}: 5. Idempotent create: ten concurrent POSTs with one key do it once`, async (t) => {
    const scene = await open(t);
    const { svix, idle } = scene;
    const app = await scene.app();
    const receiver = await scene.receiver();
    await scene.endpoint(app, { url: receiver.url });
    const given = { eventType: "a.b", payload: { n: 1 } };
    const messages = await ten(() => svix.message.create(app, given, { idempotencyKey: "ten" }));
    for (const message of messages) assert.deepEqual(message, messages[0]);
    const raw = await ten((i) => post(scene, `/app/${app}/msg`, "ten raw", { ...given, payload: { i } }));
    for (const answer of raw) assert.deepEqual([answer.status, answer.text], [202, raw[0]?.text]);
    assert.equal((await svix.message.list(app)).data.length, 2);
    await idle();
    assert.equal(receiver.requests.length, 2);

    const { id: endpoint } = await svix.endpoint.create(app, { url: URL_, disabled: true });
    const before = await scene.key(app, endpoint);
    for (const [path, body] of [
      ["/app", { name: "ten" }],
      [`/app/${app}/endpoint`, { url: URL_, uid: "ten", disabled: true }],
      ["/event-type", { name: "ten", description: "" }],
      [`/app/${app}/integration`, { name: "ten" }],
      ["/operational-webhook/endpoint", { url: URL_ }],
      ["/connector", { name: "ten", transformation: "function handler(w) { return w }" }],
      [`/auth/app-portal-access/${app}`, {}],
      [`/app/${app}/endpoint/${endpoint}/secret/rotate`, {}],
    ] as const) {
      const answers = await ten(() => post(scene, path, "ten of all", body));
      for (const answer of answers) {
        assert.deepEqual([answer.status, answer.text], [answers[0]?.status, answers[0]?.text], path);
        assert.ok(answer.status < 300, answer.text);
      }
    }
    assert.notEqual(await scene.key(app, endpoint), before);
    assert.equal((await svix.endpoint.list(app)).data.length, 3);
    assert.equal((await svix.integration.list(app)).data.length, 1);
    assert.equal((await svix.operationalWebhook.endpoint.list()).data.length, 1);
    // Ten different keys are ten calls.
    await ten((i) => svix.message.create(app, given, { idempotencyKey: `different ${i}` }));
    assert.equal((await svix.message.list(app)).data.length, 12);
    // One mistake, ten times: all hear of it, and nobody waits for the others' answer.
    const refused = await ten(() => post(scene, "/app", "ten wrong", { name: "x", uid: app }));
    for (const { status } of refused) assert.equal(status, 409);
    assert.equal((await post(scene, "/app", "ten wrong", { name: "x", uid: "right" })).status, 201);
  });

  test(`${who}: §A.7: whatever a key is made of, it is kept for twelve hours and told from others`, async (t) => {
    const scene = await open(t);
    const { svix, clock } = scene;
    const keys = [
      "auto_6a1c4f0e",
      "'; drop table idempotency_keys; --",
      "k".repeat(200),
      "k".repeat(201),
      `${"k".repeat(4_000)}a`,
      `${"k".repeat(4_000)}b`,
      "a b",
      "a  b",
      "ключ-é-ü".replace(/[^\x20-\xff]/g, "?"),
      "__proto__",
      "%00",
      "null",
    ];
    const create = async (key: string) => (await post(scene, "/app", key, { name: key.slice(0, 20) })).body.id;
    const made = new Map<string, string>();
    for (const key of keys) made.set(key, await create(key));
    assert.equal(new Set(made.values()).size, keys.length);
    clock.advance(12 * HOUR);
    for (const key of keys) assert.equal(await create(key), made.get(key), key.slice(0, 40));
    assert.equal(await appCount(scene), keys.length);
    // It is the first answer that is kept, not what the application has become.
    const [first = ""] = keys;
    await svix.application.patch(made.get(first) as string, { name: "Renamed" });
    assert.equal((await post(scene, "/app", first, {})).body.name, first.slice(0, 20));
    await svix.application.delete(made.get(first) as string);
    assert.equal((await post(scene, "/app", first, {})).status, 201);
  });

  test(`${who}: §A.7: what a token was answered is not told to it any more when it has been ended`, async (t) => {
    const scene = await open(t);
    const app = await scene.app();
    const { token } = await scene.svix.authentication.appPortalAccess(app, { featureFlags: [] });
    const portal = scene.target.with(token);
    const path = `/app/${app}/endpoint`;
    assert.equal((await post(portal, path, "k", { url: URL_ })).status, 201);
    assert.equal((await post(portal, path, "k", { url: URL_ })).status, 201);
    await portal.svix.authentication.logout();
    assert.equal((await post(portal, path, "k", { url: URL_ })).status, 401);
    assert.equal((await scene.svix.endpoint.list(app)).data.length, 1);
  });
});
