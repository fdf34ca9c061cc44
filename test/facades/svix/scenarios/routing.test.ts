/** Which endpoints get a message: scenarios 14–16, 18 and 44. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { locs, refusal } from "../eventually.ts";
import { answerByPath, assertVerifies, callsByPath, DAY, forEachSpeaker, HOUR, MINUTE, SECOND } from "./scenario.ts";

forEachSpeaker({ env: { CARILLON_WEBHOOK_RETRY_SECONDS: "60" }, roll: () => 0.5 }, (who, open) => {
  test(`${who}: 14. Stats: 2 good and 1 bad delivery; a window too wide, or in the future`, async (t) => {
    const { svix, call, clock, idle, pass, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    const { id } = await scene.endpoint(app, { url: `${receiver.url}/e`, uid: "e" });
    const before = clock.now();
    receiver.answer({ status: 200 }, { status: 204 }, { status: 404 });
    for (let i = 0; i < 3; i++) {
      clock.advance(SECOND);
      await scene.message(app);
      await idle();
    }
    const counts = { success: 2, pending: 0, sending: 0, fail: 1, canceled: 0 };
    for (const key of [id, "e"]) assert.deepEqual(await svix.endpoint.getStats(app, key), counts);
    const stats = (since: number, until?: number) =>
      svix.endpoint.getStats(app, id, {
        since: new Date(since),
        ...(until === undefined ? {} : { until: new Date(until) }),
      });
    assert.deepEqual(await stats(before, before), { ...counts, success: 0, fail: 0 });
    assert.deepEqual(await stats(before + 2 * SECOND), { ...counts, success: 1 });
    assert.deepEqual(await stats(before, before + 2 * SECOND), { ...counts, fail: 0 });
    // 28 days, and 5 minutes for the clocks; neither more, nor anything of the future.
    const now = clock.now();
    assert.deepEqual(await stats(now - 28 * DAY - 4 * MINUTE), counts);
    for (const call of [stats(now - 29 * DAY), stats(now - HOUR, now + HOUR), stats(now, now - SECOND)]) {
      assert.deepEqual(await refusal(call), { status: 400, code: "invalid_range" });
    }
    assert.deepEqual(locs(await call("GET", `/app/${app}/endpoint/e/stats?since=2020`)), ["query.since"]);
    // A retry is an attempt of its own, and so is a resend; the default window forgets what is older than 28 days.
    await pass(90 * SECOND);
    assert.deepEqual(await svix.endpoint.getStats(app, id), { ...counts, fail: 2 });
    await pass(28 * DAY + MINUTE);
    assert.deepEqual(await svix.endpoint.getStats(app, id), { ...counts, success: 0, fail: 0 });
  });

  test(`${who}: 15. Event-type routing: {null, [a], [a,b]} get a, b, c thrice, twice, once`, async (t) => {
    const { svix, idle, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    for (const name of ["r.a", "r.b"]) await svix.eventType.create({ name, description: "" });
    await scene.endpoint(app, { url: `${receiver.url}/all`, eventTypes: null });
    await scene.endpoint(app, { url: `${receiver.url}/a`, eventTypes: ["r.a"] });
    await scene.endpoint(app, { url: `${receiver.url}/ab`, eventTypes: ["r.a", "r.b"] });
    const reached = async (eventType: string): Promise<string[]> => {
      const from = receiver.requests.length;
      const { id } = await scene.message(app, { eventType });
      await idle();
      assert.equal((await scene.attempts(app, id)).length, receiver.requests.length - from);
      return receiver.requests
        .slice(from)
        .map(({ url }) => url)
        .sort();
    };
    assert.deepEqual(await reached("r.a"), ["/a", "/ab", "/all"]);
    assert.deepEqual(await reached("r.b"), ["/ab", "/all"]);
    assert.deepEqual(await reached("r.c"), ["/all"]);
    // Names are compared whole and as they are written.
    for (const other of ["r.A", "r", "r.a.b", "r.ab", "__proto__", "constructor"]) {
      assert.deepEqual(await reached(other), ["/all"], other);
    }
    // An archived type stays in the filters that have it, and is sent.
    await svix.eventType.delete("r.a");
    assert.deepEqual(await reached("r.a"), ["/a", "/ab", "/all"]);
  });

  test(`${who}: 16. Channel routing: {null, [x], [y]} by the channels a message carries`, async (t) => {
    const { idle, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    await scene.endpoint(app, { url: `${receiver.url}/all`, channels: null });
    await scene.endpoint(app, { url: `${receiver.url}/x`, channels: ["x"] });
    await scene.endpoint(app, { url: `${receiver.url}/y`, channels: ["y", "y:y+y"] });
    const reached = async (channels: string[] | null): Promise<string[]> => {
      const from = receiver.requests.length;
      const { id } = await scene.message(app, { channels });
      await idle();
      assert.equal((await scene.attempts(app, id)).length, receiver.requests.length - from);
      return receiver.requests
        .slice(from)
        .map(({ url }) => url)
        .sort();
    };
    assert.deepEqual(await reached(["x"]), ["/all", "/x"]);
    assert.deepEqual(await reached(["x", "y"]), ["/all", "/x", "/y"]);
    assert.deepEqual(await reached(null), ["/all"]);
    assert.deepEqual(await reached(["z"]), ["/all"]);
    assert.deepEqual(await reached(["X", "y:y", "__proto__"]), ["/all"]);
    // Two channels in common are no reason to send twice.
    assert.deepEqual(await reached(["y", "y:y+y", "z"]), ["/all", "/y"]);
  });

  test(`${who}: 18. Send example: a ping, an example, a type without one, an unknown type`, async (t) => {
    const { svix, call, clock, idle, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    const { id } = await scene.endpoint(app, { url: `${receiver.url}/e`, uid: "e" });
    await scene.endpoint(app, { url: `${receiver.url}/other` });
    const schemas = { "1": { type: "object", examples: [{ n: 1 }, { "ü😀": [null, 2] }] } };
    await svix.eventType.create({ name: "with.example", description: "", schemas });
    await svix.eventType.create({ name: "without.example", description: "" });
    await svix.eventType.create({ name: "second.only", description: "", schemas: { "2": { examples: [{}] } } });

    const pinged = await svix.endpoint.sendExample(app, "e", { eventType: "svix.ping" });
    await idle();
    assert.deepEqual(
      receiver.requests.map(({ url, text }) => [url, text]),
      [["/e", '{"success":true}']],
    );
    assertVerifies(await scene.key(app, id), receiver.requests[0] as never, clock.now());
    assert.equal(receiver.requests[0]?.headers["svix-id"], pinged.id);
    assert.deepEqual([pinged.eventType, pinged.payload], ["svix.ping", { success: true }]);
    assert.equal((await call("POST", `/app/${app}/endpoint/e/send-example`, { eventType: "svix.ping" })).status, 202);
    const { data } = await svix.message.list(app, { withContent: true });
    assert.equal(data.length, 2, "a message like any other");
    assert.deepEqual(data.at(-1), pinged);

    for (const [exampleIndex, text] of ['{"n":1}', '{"ü😀":[null,2]}'].entries()) {
      const made = await svix.endpoint.sendExample(app, "e", { eventType: "with.example", exampleIndex });
      await idle();
      assert.equal(receiver.requests.at(-1)?.text, text);
      assert.deepEqual(made.payload, JSON.parse(text));
    }
    const refused = (eventType: string, exampleIndex = 0) =>
      refusal(svix.endpoint.sendExample(app, "e", { eventType, exampleIndex }));
    for (const [type, index] of [
      ["without.example", 0],
      ["second.only", 0],
      ["with.example", 2],
    ] as const) {
      assert.deepEqual(await refused(type, index), { status: 400, code: "invalid_scheme" }, type);
    }
    for (const type of ["unknown", "__proto__", "svix.pong"]) assert.equal((await refused(type)).status, 404, type);
    assert.equal((await refused("with example")).status, 422);
    assert.equal((await refused("with.example", -1)).status, 422);
    await idle();
    assert.deepEqual(callsByPath(receiver), { e: 4 });

    // The endpoint's own filters hold for an example, too; so does that it is disabled.
    await svix.endpoint.patch(app, "e", { channels: ["only"] });
    const filtered = await svix.endpoint.sendExample(app, "e", { eventType: "svix.ping" });
    await svix.endpoint.patch(app, "e", { channels: null, disabled: true });
    const disabled = await svix.endpoint.sendExample(app, "e", { eventType: "svix.ping" });
    await idle();
    for (const { id } of [filtered, disabled]) assert.deepEqual(await scene.attempts(app, id), []);
    assert.deepEqual(callsByPath(receiver), { e: 4 });
  });

  test(`${who}: 44. Deleted parents: an application, an endpoint, an endpoint between its retries`, async (t) => {
    const { svix, idle, pass, clock, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app("gone");
    const appId = (await svix.application.get(app)).id;
    answerByPath(receiver, { failing: 500, late: 500, app: 500 });
    const deleted = await scene.endpoint(app, { url: `${receiver.url}/deleted` });
    await svix.endpoint.delete(app, deleted.id);
    const { id: lonely } = await scene.message(app);
    await idle();
    assert.deepEqual([await scene.attempts(app, lonely), receiver.requests.length], [[], 0], "taken in, and not sent");

    const failing = await scene.endpoint(app, { url: `${receiver.url}/failing`, uid: "failing" });
    const { id } = await scene.message(app);
    await idle();
    const [first] = await scene.attempts(app, id);
    assert.equal(first?.status, 2);
    await svix.endpoint.delete(app, "failing");
    // In its place, under its name, there is another one, which was never meant.
    await scene.endpoint(app, { url: `${receiver.url}/late`, uid: "failing" });
    await pass(10 * MINUTE);
    assert.deepEqual(callsByPath(receiver), { failing: 1 });
    const after = await scene.attempts(app, id);
    assert.deepEqual(
      after.map(({ endpointId }) => endpointId),
      [failing.id],
      "what was tried stays readable",
    );
    const [row] = (await svix.messageAttempt.listAttemptedDestinations(app, id)).data;
    assert.deepEqual([row?.id, row?.nextAttempt ?? null], [failing.id, null], "and nothing follows");
    assert.deepEqual((await svix.messageAttempt.listByEndpoint(app, failing.id)).data.length, 1);
    assert.equal((await refusal(svix.messageAttempt.resend(app, id, failing.id))).status, 404);

    const last = await scene.message(app);
    await idle();
    assert.deepEqual(callsByPath(receiver), { failing: 1, late: 1 });
    await svix.application.delete(app);
    await pass(10 * MINUTE);
    assert.deepEqual(callsByPath(receiver), { failing: 1, late: 1 }, "its retries went with the application");
    for (const key of [app, appId]) {
      const answer = await scene.call("POST", `/app/${key}/msg`, { eventType: "x", payload: {} });
      assert.deepEqual(
        [answer.status, answer.body.code, answer.body.detail],
        [404, "not_found", "Application not found"],
      );
      assert.equal((await refusal(scene.message(key))).status, 404);
      assert.equal((await refusal(svix.message.get(key, last.id))).status, 404);
    }
    // The name is free; what comes under it now has nothing of the old one.
    await scene.app("gone");
    assert.deepEqual((await svix.message.list("gone")).data, []);
    await scene.message("gone");
    await idle();
    assert.deepEqual(callsByPath(receiver), { failing: 1, late: 1 });
    assert.ok(clock.now() > 0);
  });

  test(`${who}: what changes between tries decides the next try (§C.2)`, async (t) => {
    const { svix, idle, pass, clock, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    for (const name of ["c.a", "c.b"]) await svix.eventType.create({ name, description: "" });
    const kinds = ["type", "channel", "disabled", "moved"];
    answerByPath(receiver, Object.fromEntries(kinds.map((kind) => [kind, 500])));
    for (const uid of kinds) await scene.endpoint(app, { url: `${receiver.url}/${uid}`, uid });
    const { id } = await scene.message(app, { eventType: "c.a", channels: ["x"] });
    await idle();
    assert.deepEqual(callsByPath(receiver), { type: 1, channel: 1, disabled: 1, moved: 1 });
    const eventTypes = ["c.b"];
    await svix.endpoint.patch(app, "type", { filterTypes: eventTypes, eventTypes } as never);
    await svix.endpoint.patch(app, "channel", { channels: ["y"] });
    await svix.endpoint.patch(app, "disabled", { disabled: true });
    await svix.endpoint.patch(app, "moved", { url: `${receiver.url}/there` });
    await svix.endpoint.patchHeaders(app, "moved", { headers: { "X-New": "1" } });
    const key = `whsec_${Buffer.alloc(24, 3).toString("base64")}`;
    await svix.endpoint.rotateSecret(app, "moved", { key });
    // Enabling it again after its retry has been dropped does not bring the retry back.
    await pass(10 * MINUTE);
    await svix.endpoint.patch(app, "disabled", { disabled: false });
    await pass(10 * MINUTE);
    assert.deepEqual(callsByPath(receiver), { type: 1, channel: 1, disabled: 1, moved: 1, there: 1 });
    const last = receiver.requests.at(-1);
    assert.equal(last?.headers["x-new"], "1");
    assertVerifies(key, last as never, Number(last?.headers["svix-timestamp"]) * SECOND);
    assert.equal((await scene.attempts(app, id)).length, 5);
    assert.ok(clock.now() > 0);
  });

  test(`${who}: what is deleted, disabled or expunged during a try is not tried again`, async (t) => {
    const { svix, idle, pass, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app("during");
    const changes = {
      deleted: (uid: string) => svix.endpoint.delete(app, uid),
      disabled: (uid: string) => svix.endpoint.patch(app, uid, { disabled: true }),
      expunged: (_: string, id: string) => svix.message.expungeContent(app, id),
    };
    for (const [name, change] of Object.entries(changes)) {
      const before = receiver.requests.length;
      const came = Promise.withResolvers<() => void>();
      receiver.answer((_, response) => {
        came.resolve(() => {
          response.statusCode = 500;
          response.end();
        });
      });
      const endpoint = await scene.endpoint(app, { url: `${receiver.url}/${name}`, uid: name });
      const { id } = await scene.message(app);
      const answer = await came.promise;
      await change(name, id);
      answer();
      await idle();
      await pass(10 * MINUTE);
      assert.equal(receiver.requests.length, before + 1, name);
      const attempts = await scene.attempts(app, id);
      assert.deepEqual(
        attempts.map(({ endpointId, status, responseStatusCode }) => [endpointId, status, responseStatusCode]),
        [[endpoint.id, 2, 500]],
        `${name}: the try itself is on record`,
      );
      const [row] = (await svix.messageAttempt.listAttemptedDestinations(app, id)).data;
      assert.deepEqual([row?.status, row?.nextAttempt ?? null], [2, null], `${name}: and nothing follows`);
      if (name === "expunged") await svix.endpoint.delete(app, name);
    }
  });

  test(`${who}: a new endpoint gets only what comes after it (§C.2)`, async (t) => {
    const { idle, pass, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    await scene.message(app);
    await idle();
    await scene.endpoint(app, { url: `${receiver.url}/new` });
    await pass(HOUR);
    assert.equal(receiver.requests.length, 0);
    const { id } = await scene.message(app);
    await idle();
    assert.deepEqual(
      receiver.requests.map(({ headers }) => headers["svix-id"]),
      [id],
    );
  });
});
