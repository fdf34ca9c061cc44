/** Taking messages in, reading them and throwing their content away: scenarios 19–24. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { messageInRaw } from "svix";
import { messageInRaw as messageInRaw2 } from "svix2";
import { DIALECTS, newPlace } from "../../../conformance/databases.ts";
import type { ReceivedRequest } from "../../../support/http-receiver.ts";
import { locs, refusal } from "../eventually.ts";
import { assertVerifies, DAY, forEachSpeaker, HOUR, laterClock, lonelyScene, MINUTE, type Scene } from "./scenario.ts";

const withContent = { withContent: true } as const;

forEachSpeaker({ env: { CARILLON_WEBHOOK_RETRY_SECONDS: "3600" }, roll: () => 0.5 }, (who, open) => {
  test(`${who}: 19. Message create, read, eventId`, async (t) => {
    const { svix, call, clock, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    const other = await scene.app();
    receiver.answer("hang");
    await scene.endpoint(app, { url: receiver.url });
    const body = { eventType: "a.b", eventId: "ev-1", payload: { n: 1 }, channels: ["c"], tags: ["t"] };
    const answer = await call("POST", `/app/${app}/msg`, body);
    // The receiver never answers: nobody waits for it.
    assert.equal(answer.status, 202);
    const made = await scene.message(app, { ...body, eventId: "ev-2" });
    assert.match(made.id, /^msg_[0-9A-Za-z]{27}$/);
    assert.deepEqual([made.eventId, made.payload, made.channels, made.tags], ["ev-2", { n: 1 }, ["c"], ["t"]]);
    assert.equal(made.timestamp.getTime(), clock.now());
    for (const key of [made.id, "ev-2"]) assert.deepEqual(await svix.message.get(app, key, withContent), made);
    assert.deepEqual((await svix.message.list(app, withContent)).data[0], made);
    const plain = await call("GET", `/app/${app}/msg`);
    assert.deepEqual(
      plain.body.data.map((one: { payload: object }) => one.payload),
      [{ n: 1 }, { n: 1 }],
      "by default",
    );
    const without = { withContent: false };
    assert.deepEqual((await svix.message.get(app, "ev-2", without)).payload, {});
    assert.deepEqual(
      (await svix.message.list(app, without)).data.map(({ payload }) => payload),
      [{}, {}],
    );
    for (const query of ["with_content=false", "with_content=false&limit=1"]) {
      assert.deepEqual((await call("GET", `/app/${app}/msg?${query}`)).body.data[0].payload, {});
    }
    const bare = await call("POST", `/app/${app}/msg?with_content=false`, { ...body, eventId: "ev-3" });
    assert.deepEqual([bare.status, bare.body.payload], [202, {}]);
    for (const key of [made.id, "ev-2"]) {
      assert.deepEqual(await refusal(svix.message.get(other, key)), { status: 404, code: "not_found" });
    }
    const again = { ...body, eventId: "ev-2" };
    assert.deepEqual(await refusal(scene.message(app, again)), { status: 409, code: "conflict" });
    assert.equal((await call("POST", `/app/${other}/msg`, again)).status, 202);
    assert.equal((await refusal(svix.message.get(app, "ev-4"))).status, 404);
    receiver.answer({ status: 200 });
  });

  test(`${who}: 20. Payload fidelity: what was written arrives unchanged and verifies`, async (t) => {
    const { call, clock, idle, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    const { id: endpoint } = await scene.endpoint(app, { url: receiver.url });
    const key = await scene.key(app, endpoint);
    const texts = [
      '{"z":12345678901234567890,  "a":1.0,"b":  -0.0,\t"10":1e2,"9":1E+2}',
      '{ "dup" : 1 , "dup" : 2, "u":"\\u00e9é\\ud83d\\ude00😀", "s":"<>&\\/" }',
      "{}",
    ];
    for (const text of texts) {
      const made = await call("POST", `/app/${app}/msg`, `{"eventType":"a.b","payload":${text}}`);
      assert.equal(made.status, 202, made.text);
      assert.ok(made.text.includes(`"payload":${text}`));
      await idle();
      const request = receiver.requests.at(-1) as ReceivedRequest;
      assert.equal(request.text, text);
      assert.equal(request.headers["webhook-id"], made.body.id);
      assert.equal(request.headers["content-type"], "application/json");
      assertVerifies(key, request, clock.now());
      const raw = await call("GET", `/app/${app}/msg/${made.body.id}/raw`);
      assert.deepEqual(raw.body, { payload: text });
    }
  });

  test(`${who}: 21. Payload not an object is refused, and so is a body of 8 MB`, async (t) => {
    const { svix, call, ...scene } = await open(t);
    const app = await scene.app();
    for (const payload of [[], [{}], "text", null, 1, true, undefined]) {
      const body = { eventType: "a.b", payload: payload as never };
      assert.deepEqual(await refusal(svix.message.create(app, body)), { status: 422, code: undefined });
      const answer = await call("POST", `/app/${app}/msg`, body);
      assert.deepEqual(locs(answer), ["body.payload"]);
    }
    const large = { eventType: "a.b", payload: { large: "x".repeat(8_000_000) } };
    const answer = await call("POST", `/app/${app}/msg`, large);
    assert.deepEqual([answer.status, answer.body.code], [413, "payload_too_large"]);
    assert.equal(typeof answer.body.detail, "string");
    assert.deepEqual(await refusal(svix.message.create(app, large)), { status: 413, code: "payload_too_large" });
    assert.deepEqual((await svix.message.list(app)).data, []);
    // Just below the limit, and just above it.
    const of = (size: number): string => {
      const [head, tail] = ['{"eventType":"a.b","payload":{"x":"', '"}}'];
      return `${head}${"y".repeat(size - head.length - tail.length)}${tail}`;
    };
    assert.equal((await call("POST", `/app/${app}/msg`, of(2 ** 21))).status, 202);
    assert.equal((await call("POST", `/app/${app}/msg`, of(2 ** 21 + 1))).status, 413);
  });

  test(`${who}: 22. Raw payload reaches the receiver as is, signed as is`, async (t) => {
    const { svix, call, clock, idle, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    const { id: endpoint } = await scene.endpoint(app, { url: receiver.url });
    const key = await scene.key(app, endpoint);
    const inRaw = scene.major === 1 ? messageInRaw : messageInRaw2;
    for (const [text, type] of [
      ["a=1&b= <é😀>\r\n", "text/plain; charset=utf-8"],
      ['{"n":1.0}', undefined],
      ["[1, 2]", "application/cloudevents+json"],
    ] as const) {
      const made = await svix.message.create(app, inRaw("a.b", text, type));
      await idle();
      const request = receiver.requests.at(-1) as ReceivedRequest;
      assert.equal(request.text, text);
      assert.equal(request.headers["content-type"], type ?? "application/json");
      assertVerifies(key, request, clock.now());
      assert.deepEqual((await call("GET", `/app/${app}/msg/${made.id}/raw`)).body, { payload: text });
      await svix.messageAttempt.resend(app, made.id, endpoint);
      await idle();
      const again = receiver.requests.at(-1) as ReceivedRequest;
      assert.notEqual(again, request);
      assert.deepEqual([again.text, again.headers["content-type"]], [text, request.headers["content-type"]]);
    }
    // The payload beside it is shown; what is sent is the raw text. An empty text is a text.
    const both = await call("POST", `/app/${app}/msg`, {
      eventType: "a.b",
      payload: { shown: true },
      transformationsParams: { rawPayload: "", headers: { "Content-Type": "x/y", "x-other": "no" } },
    });
    await idle();
    const empty = receiver.requests.at(-1) as ReceivedRequest;
    assert.deepEqual([empty.text, empty.headers["content-type"], empty.headers["x-other"]], ["", "x/y", undefined]);
    assert.deepEqual((await svix.message.get(app, both.body.id, withContent)).payload, { shown: true });
  });

  test(`${who}: 23. Inline application: made with the message, ignored when it is there`, async (t) => {
    const { svix, call, idle } = await open(t);
    const message = { eventType: "a.b", payload: { n: 1 } };
    const make = (path: string, application?: object) => call("POST", `/app/${path}/msg`, { ...message, application });
    const application = { name: "First", uid: "inline", metadata: { a: "b" }, throttleRate: 7 };
    const made = await svix.message.create("inline", { ...message, application }, withContent);
    const app = await svix.application.get("inline");
    assert.deepEqual([app.name, app.metadata, app.throttleRate], ["First", { a: "b" }, 7]);
    assert.deepEqual((await svix.message.list("inline", withContent)).data, [made]);
    assert.equal((await make("other", { name: "n", uid: "other" })).status, 202);

    const without = await make("nobody");
    assert.deepEqual(
      [without.status, without.body.code, without.body.detail],
      [404, "not_found", "Application not found"],
    );
    assert.deepEqual(await refusal(svix.message.create("nobody", message)), { status: 404, code: "not_found" });
    for (const [given, type] of [
      [{ name: "n" }, "application_uid_missing"],
      [{ name: "n", uid: null }, "application_uid_missing"],
      [{ name: "n", uid: "somebody" }, "application_uid_mismatch"],
    ] as const) {
      const answer = await make("nobody", given);
      assert.deepEqual(locs(answer), ["body.application.uid"]);
      assert.equal(answer.body.detail[0].type, type);
      const refused = await refusal(svix.message.create("nobody", { ...message, application: given as never }));
      assert.equal(refused.status, 422);
    }
    assert.equal((await refusal(svix.application.get("nobody"))).status, 404);
    assert.equal((await refusal(svix.application.get("somebody"))).status, 404);
    // An id cannot be made.
    const id = "app_2aaaaaaaaaaaaaaaaaaaaaaaaaa";
    assert.deepEqual(locs(await make(id, { name: "n", uid: id })), ["body.application.uid.__all__"]);

    for (const ignored of [
      { name: "Second", uid: "inline", metadata: {}, throttleRate: null },
      // It is not even looked at, beyond its shape.
      { name: "Second" },
      { name: "Second", uid: "somebody" },
    ]) {
      for (const path of ["inline", app.id]) assert.equal((await make(path, ignored)).status, 202);
    }
    assert.deepEqual(await svix.application.get("inline"), app);
    assert.equal((await refusal(svix.application.get("somebody"))).status, 404);
    assert.equal((await svix.message.list("inline")).data.length, 7);

    // Ten at once make one application and ten messages.
    const ten = await Promise.all(Array.from({ length: 10 }, () => make("ten", { name: "Ten", uid: "ten" })));
    assert.deepEqual(
      ten.map(({ status }) => status),
      Array(10).fill(202),
    );
    assert.equal((await svix.message.list("ten")).data.length, 10);
    await idle();
  });

  test(`${who}: 24. Retention and expunge`, async (t) => {
    const { svix, call, clock, idle, pass, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    const { id: endpoint } = await scene.endpoint(app, { url: receiver.url });
    const send = (more: object) => scene.message(app, { payload: { kept: true }, ...more });
    const five = await send({ payloadRetentionPeriod: 5 });
    const default90 = await send({});
    const hours = await call("POST", `/app/${app}/msg`, {
      eventType: "a.b",
      payload: { kept: true },
      payloadRetentionHours: 1,
    });
    const raw = await send({ payloadRetentionPeriod: 5, transformationsParams: { rawPayload: "raw text" } });
    await idle();
    const payloadOf = async (id: string) => (await svix.message.get(app, id, withContent)).payload;
    const stored = async (id: string): Promise<unknown> => {
      const { messages, find } = scene.target.app.engine.webhooks;
      const found = await find(scene.environmentId, { uid: app });
      const all = await messages.list(
        scene.environmentId,
        found?.application.id as never,
        {},
        { limit: 50, from: null, order: "ascending" },
        true,
      );
      const at = [five.id, default90.id, hours.body.id, raw.id].indexOf(id);
      return [all.items[at]?.payload, all.items[at]?.raw];
    };
    assert.deepEqual(await stored(raw.id), ['{"kept":true}', "raw text"]);
    await pass(HOUR - MINUTE);
    assert.deepEqual(await payloadOf(hours.body.id), { kept: true });
    await pass(MINUTE);
    assert.deepEqual(await payloadOf(hours.body.id), { expired: true });
    await pass(5 * DAY - HOUR - MINUTE);
    assert.deepEqual(await payloadOf(five.id), { kept: true });
    assert.equal((await call("GET", `/app/${app}/msg/${raw.id}/raw`)).body.payload, "raw text");
    await pass(MINUTE);
    for (const { id } of [five, raw]) {
      assert.deepEqual(await payloadOf(id), { expired: true });
      const refused = await refusal(svix.messageAttempt.resend(app, id, endpoint));
      assert.deepEqual(refused, { status: 400, code: "missing_payload" });
      assert.equal((await call("GET", `/app/${app}/msg/${id}/raw`)).status, 404);
    }
    assert.deepEqual(await payloadOf(default90.id), { kept: true });
    const listed = (await svix.message.list(app, withContent)).data.map(({ payload }) => payload);
    assert.deepEqual(listed, [{ expired: true }, { expired: true }, { kept: true }, { expired: true }]);
    const { data: tried } = await svix.messageAttempt.listAttemptedMessages(app, endpoint, withContent);
    assert.deepEqual(tried.at(-1)?.payload, { expired: true });
    // It is not merely hidden: the rows hold it no longer.
    await scene.target.app.store.appMessages.expireContent(clock.now(), 1_000);
    assert.deepEqual(await stored(raw.id), [null, null]);
    assert.deepEqual(await stored(five.id), [null, null]);
    assert.deepEqual(await stored(default90.id), ['{"kept":true}', null]);
    assert.deepEqual(await payloadOf(five.id), { expired: true });
    await pass(85 * DAY - MINUTE);
    assert.deepEqual(await payloadOf(default90.id), { kept: true });
    await pass(MINUTE);
    assert.deepEqual(await payloadOf(default90.id), { expired: true });

    for (const payloadRetentionPeriod of [0, 91, -1, 1.5]) {
      assert.equal((await refusal(send({ payloadRetentionPeriod }))).status, 422);
      const answer = await call("POST", `/app/${app}/msg`, { eventType: "a", payload: {}, payloadRetentionPeriod });
      assert.deepEqual(locs(answer), ["body.payloadRetentionPeriod"]);
    }
    for (const payloadRetentionPeriod of [1, 90]) await send({ payloadRetentionPeriod });
  });

  test(`${who}: 24. Expunge: of a message's content, of an attempt's`, async (t) => {
    const { svix, call, idle, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    const { id: endpoint } = await scene.endpoint(app, { url: receiver.url });
    receiver.answer({ status: 418, body: "who wants to know" });
    const message = await scene.message(app, { eventId: "ev" });
    await idle();
    const [attempt] = await scene.attempts(app, message.id);
    assert.ok(attempt);
    const portal = scene.target.with((await svix.authentication.appPortalAccess(app, {})).token);
    const attemptPath = `/app/${app}/msg/${message.id}/attempt/${attempt.id}/content`;
    for (const path of [`/app/${app}/msg/ev/content`, attemptPath]) {
      assert.equal((await portal.call("DELETE", path)).status, 403);
    }
    const sdk = scene.major === 1 ? portal.svix : portal.svix2;
    assert.equal((await refusal(sdk.message.expungeContent(app, message.id))).status, 403);
    assert.equal((await refusal(sdk.messageAttempt.expungeContent(app, message.id, attempt.id))).status, 403);

    assert.equal((await call("DELETE", `/app/${app}/msg/ev/content`)).status, 204);
    await svix.message.expungeContent(app, message.id);
    assert.deepEqual((await svix.message.get(app, "ev", withContent)).payload, { expired: true });
    assert.deepEqual((await svix.message.get(app, "ev", { withContent: false })).payload, {});
    assert.deepEqual(await scene.attempts(app, message.id), [attempt], "its attempts are left as they were");
    assert.deepEqual(await refusal(svix.messageAttempt.resend(app, "ev", endpoint)), {
      status: 400,
      code: "missing_payload",
    });

    assert.equal((await call("DELETE", attemptPath)).status, 204);
    await svix.messageAttempt.expungeContent(app, message.id, attempt.id);
    const after = await svix.messageAttempt.get(app, message.id, attempt.id);
    assert.deepEqual([attempt.response, attempt.responseStatusCode], ["who wants to know", 418]);
    assert.deepEqual(after, { ...attempt, response: "EXPUNGED" });
    const list = await svix.messageAttempt.listByEndpoint(app, endpoint, withContent);
    assert.deepEqual(
      list.data.map(({ response, responseStatusCode }) => [response, responseStatusCode]),
      [["EXPUNGED", 418]],
    );
    const strange = await call("DELETE", `/app/${app}/msg/ev/attempt/atmpt_2aaaaaaaaaaaaaaaaaaaaaaaaaa/content`);
    assert.equal(strange.status, 404);
  });

  test(`${who}: pending retries of expunged content stop (§C.3)`, async (t) => {
    const { svix, idle, pass, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    receiver.answer({ status: 500 });
    await scene.endpoint(app, { url: receiver.url });
    const expunged = await scene.message(app);
    const expires = await scene.message(app, { payloadRetentionHours: 1 });
    const kept = await scene.message(app);
    await idle();
    assert.equal(receiver.requests.length, 3);
    await svix.message.expungeContent(app, expunged.id);
    await pass(2 * HOUR);
    const counts = [];
    for (const { id } of [expunged, expires, kept]) {
      const attempts = await scene.attempts(app, id);
      counts.push(attempts.length);
      const [row] = (await svix.messageAttempt.listAttemptedDestinations(app, id)).data;
      assert.deepEqual([row?.status, row?.nextAttempt ?? null], [2, null]);
    }
    assert.deepEqual(counts, [1, 1, 2]);
  });

  test(`${who}: content that is to be sent later outlives its own retention until then (§C.1, deliverAt)`, async (t) => {
    const { idle, pass, clock, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    await scene.endpoint(app, { url: receiver.url });
    const deliverAt = new Date(clock.now() + 3 * HOUR);
    const { id } = await scene.message(app, { deliverAt, payloadRetentionHours: 1 });
    await pass(3 * HOUR - MINUTE);
    assert.equal(receiver.requests.length, 0);
    await pass(2 * MINUTE);
    assert.deepEqual(
      receiver.requests.map(({ headers }) => headers["svix-id"]),
      [id],
    );
    assert.equal(receiver.requests[0]?.text, '{"a":1}');
  });

  test(`${who}: hostile names of applications and messages are 404, never a fault (§A.5)`, async (t) => {
    const { call, ...scene } = await open(t);
    const app = await scene.app();
    const made = await scene.message(app);
    const body = { eventType: "x", payload: {} };
    const hostile = [
      "%00",
      "..%2f..%2fhealth",
      "%F0%9F%98%80",
      "%ED%A0%80",
      "a".repeat(257),
      "a".repeat(5_000),
      "__proto__",
      "constructor",
      "app_",
      "msg_",
      `${made.id}x`,
      made.id.slice(0, -1),
      made.id.toUpperCase(),
      made.id.replace(/.$/, (c) => (c === "0" ? "1" : "0")),
      `msg_${"z".repeat(27)}`,
      `msg_${"0".repeat(27)}`,
      "' or 1=1 --",
      "%25",
      "-1",
    ];
    for (const name of hostile) {
      const asked = [
        call("GET", `/app/${name}/msg`),
        call("POST", `/app/${name}/msg`, body),
        call("GET", `/app/${app}/msg/${name}`),
        call("DELETE", `/app/${app}/msg/${name}/content`),
        call("GET", `/app/${app}/attempt/msg/${name}`),
        call("GET", `/app/${app}/attempt/endpoint/${name}`),
        call("GET", `/app/${app}/msg/${made.id}/attempt/${name}`),
        call("POST", `/app/${app}/msg/${made.id}/endpoint/${name}/resend`),
      ];
      for (const [i, { status, body }] of (await Promise.all(asked)).entries()) {
        const what = `${i} ${name.slice(0, 40)}: ${status} ${JSON.stringify(body)}`;
        // What cannot be decoded never gets as far as the facade's scope, but is answered in its words.
        if (name === "%ED%A0%80") assert.deepEqual([status, body?.code], [400, "generic_error"], what);
        else assert.deepEqual([status, body?.code], [404, "not_found"], what);
      }
    }
    for (const eventId of ["", "a b", "é", "a".repeat(257), "msg_x", "a\u0000b", 1, {}, [], true]) {
      assert.equal((await call("POST", `/app/${app}/msg`, { ...body, eventId })).status, 422, JSON.stringify(eventId));
    }
    // The vendor's other prefixes are no business of a message.
    for (const eventId of ["app_x", "__proto__", "-", "a".repeat(256), "MSG_x"]) {
      assert.equal((await call("POST", `/app/${app}/msg`, { ...body, eventId })).status, 202, eventId);
      assert.equal((await call("GET", `/app/${app}/msg/${eventId}`)).body.eventId, eventId);
    }
  });

  test(`${who}: ten calls with one key make one message; ten with one eventId, too (§A.7)`, async (t) => {
    const { svix, call, idle, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    await scene.endpoint(app, { url: receiver.url });
    const ten = <T>(make: (i: number) => Promise<T>) => Promise.all(Array.from({ length: 10 }, (_, i) => make(i)));
    const idempotencyKey = "one key";
    // The body is no part of what is asked: the first counts.
    const made = await ten((i) => svix.message.create(app, { eventType: "x", payload: { i } }, { idempotencyKey }));
    assert.equal(new Set(made.map(({ id }) => id)).size, 1);
    const plain = await ten((i) =>
      call("POST", `/app/${app}/msg`, { eventType: "x", payload: { i } }, { "idempotency-key": "plain" }),
    );
    assert.equal(new Set(plain.map(({ text }) => text)).size, 1);
    const events = await ten((i) =>
      call("POST", `/app/${app}/msg`, { eventType: "x", payload: { i }, eventId: "once" }),
    );
    assert.deepEqual(events.map(({ status }) => status).sort(), [202, ...Array(9).fill(409)]);
    await idle();
    assert.equal((await svix.message.list(app)).data.length, 3);
    assert.equal(receiver.requests.length, 3);
    // The key of a refused call is free: with the same key as before, in another application, and after a 409.
    const refused = await call(
      "POST",
      `/app/${app}/msg`,
      { eventType: "x", payload: {}, eventId: "once" },
      { "idempotency-key": "second" },
    );
    assert.equal(refused.status, 409);
    const freed = await call(
      "POST",
      `/app/${app}/msg`,
      { eventType: "x", payload: {} },
      { "idempotency-key": "second" },
    );
    assert.equal(freed.status, 202);
  });

  test(`${who}: a key is kept for twelve hours and more, also after the message's content has gone (§A.7)`, async (t) => {
    const { svix, call, pass, ...scene } = await open(t);
    const app = await scene.app();
    const post = () =>
      call("POST", `/app/${app}/msg`, { eventType: "x", payload: { a: 1 } }, { "idempotency-key": "kept" });
    const first = await post();
    await pass(12 * HOUR);
    assert.equal((await post()).text, first.text);
    await svix.message.expungeContent(app, first.body.id);
    const after = await post();
    assert.deepEqual([after.status, after.body.id], [202, first.body.id]);
    await pass(DAY);
    assert.notEqual((await post()).body.id, first.body.id);
  });
});

test("one key used at two processes on one Postgres at once makes one message", async (t) => {
  if (!DIALECTS.includes("postgres")) return t.skip("needs Postgres");
  const { place, remove } = await newPlace("postgres");
  const env = {
    CARILLON_DATABASE_URL: place.url ?? "",
    CARILLON_DATABASE_POOL: String(place.poolSize),
    CARILLON_DATA_DIR: place.dataDir,
  };
  const clock = laterClock();
  const one: Scene = await lonelyScene(t, { env, clock });
  const two: Scene = await lonelyScene(t, { env, clock });
  t.after(remove);
  const app = await one.app();
  const receiver = await one.receiver();
  await one.endpoint(app, { url: receiver.url });
  const elsewhere = two.target.with(one.token);
  // The other process learns of the new environment's key before it refuses it.
  assert.equal((await elsewhere.call("GET", `/app/${app}`)).status, 200);
  for (let round = 0; round < 5; round++) {
    const calls = Array.from({ length: 10 }, (_, i) =>
      (i % 2 === 0 ? one : elsewhere).call(
        "POST",
        `/app/${app}/msg`,
        { eventType: "x", payload: { i } },
        { "idempotency-key": `round-${round}` },
      ),
    );
    const answers = await Promise.all(calls);
    assert.deepEqual(
      answers.map(({ status }) => status),
      Array(10).fill(202),
    );
    assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
    const same = Array.from({ length: 10 }, (_, i) =>
      (i % 2 === 0 ? one : elsewhere).call("POST", `/app/${app}/msg`, {
        eventType: "x",
        payload: {},
        eventId: `e-${round}`,
      }),
    );
    const statuses = (await Promise.all(same)).map(({ status }) => status);
    assert.deepEqual(statuses.sort(), [202, ...Array(9).fill(409)]);
  }
  await one.idle();
  await two.idle();
  assert.equal((await one.svix.message.list(app)).data.length, 10);
  assert.equal(receiver.requests.length, 10, "each was sent once, whichever process sent it");
  const task = await elsewhere.svix.message.expungeAllContents(app);
  assert.deepEqual((await one.task(task.id)).data, { messagesPurged: 10 });
});
