/** Code of its owner that changes what an endpoint is sent: scenario 50. What code can do and not is in test/sandbox. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { locs } from "../eventually.ts";
import type { Answer } from "../svix-target.ts";
import { assertVerifies, callsByPath, forEachSpeaker, MINUTE, type Scene } from "./scenario.ts";

const CODE = `function handler(webhook) {
  webhook.payload = { was: webhook.payload, type: webhook.eventType, channels: webhook.channels, ...webhook.variables };
  webhook.url = webhook.url.replace("/before", "/after?by=code");
  webhook.method = "PUT";
  webhook.headers = { "X-Both": "the code's", "X-Code": "yes", authorization: "Bearer of-the-code" };
  return webhook;
}`;
const CANCELS =
  "function handler(webhook) { webhook.cancel = true; webhook.payload = { a: 'changed' }; return webhook }";
const body = (text: string): string => `function handler(webhook) { ${text} }`;

/** Code that is at fault, and what an attempt says of it. The first ones never end by themselves. */
const FAULTY: readonly (readonly [name: string, code: string, told: RegExp])[] = [
  ["loops", body("for (;;);"), /took longer than (1000|5000) ms/],
  ["loops-in-promises", "async function handler() { for (;;) await null }", /took longer than (1000|5000) ms/],
  ["allocates", body("const all = []; for (;;) all.push(new ArrayBuffer(1e6))"), /memory|took longer/],
  ["grows", body('let text = "xx"; for (;;) text += text'), /memory|too long|took longer/],
  ["recurses", body("return handler(webhook) + 1"), /stack/],
  ["never-settles", body("return new Promise(() => {})"), /never settles/],
  ["throws", body('\nthrow new TypeError("not today 💥")'), /TypeError: not today 💥 \(line 2\)/],
  ["throws-nothing", body("throw undefined"), /threw undefined/],
  ["throws-a-trap", body('throw { get message() { throw new Error("again") } }'), /cannot be shown/],
  ["has-no-handler", "const other = () => null;", /must define a function named handler/],
  ["is-no-code", "function handler(webhook) {", /SyntaxError/],
  ["returns-nothing", body(""), /must return an object, not undefined/],
  ["returns-null", body("return null"), /must return an object, not null/],
  ["returns-text", body('return "text"'), /must return an object, not string/],
  ["returns-a-circle", body("webhook.payload.own = webhook.payload; return webhook"), /circular/],
  ["payload-is-null", body("webhook.payload = null; return webhook"), /payload must be/],
  ["payload-is-huge", body('webhook.payload = "x".repeat(1100000); return webhook'), /larger than 1048576/],
  ["url-is-a-file", body('webhook.url = "file:///etc/passwd"; return webhook'), /url must be/],
  ["url-is-none", body('webhook.url = "\\u0000"; return webhook'), /url must be/],
  ["method-reads", body('webhook.method = "GET"; return webhook'), /method must be/],
  ["signs-itself", body('webhook.headers = { "Svix-Signature": "v1,x" }; return webhook'), /svix-signature/],
  ["splits-headers", body('webhook.headers = { a: "b\\r\\nc: d" }; return webhook'), /headers.a has characters/],
  ["cancels-perhaps", body('webhook.cancel = "perhaps"; return webhook'), /cancel must be/],
];

/** By the name that the scene's major has for it. */
async function transform({ major, svix, svix2 }: Scene, app: string, endpoint: string, patch: Patch): Promise<void> {
  if (major === 1) await svix.endpoint.patchTransformation(app, endpoint, patch);
  else await svix2.endpoint.transformation.patch(app, endpoint, patch);
}

interface Patch {
  readonly code?: string | null;
  readonly enabled?: boolean;
  readonly variables?: { [name: string]: string } | null;
}

function simulate({ call }: Scene, app: string, endpoint: string, given: object): Promise<Answer> {
  const whole = { eventType: "x.y", payload: { a: 1 }, ...given };
  return call("POST", `/app/${app}/endpoint/${endpoint}/transformation/simulate`, whole);
}

forEachSpeaker({ env: { CARILLON_WEBHOOK_RETRY_SECONDS: "60" }, roll: () => 0.5 }, (who, open) => {
  test(`${who}: 50. Transformation: payload, url and headers are changed, and the signature is over the new body`, async (t) => {
    const scene = await open(t);
    const { svix, clock } = scene;
    const receiver = await scene.receiver();
    const app = await scene.app();
    const url = `${receiver.url}/before`;
    const endpoint = await scene.endpoint(app, { url, headers: { "X-Both": "the endpoint's", "X-Own": "yes" } });
    await scene.endpoint(app, { url: `${receiver.url}/plain` });
    await transform(scene, app, endpoint.id, { code: CODE, enabled: true, variables: { team: "bläu" } });
    const payload = { text: "naïve 💥\u2028", deep: { list: [1, null] } };
    const message = await scene.message(app, { payload, channels: ["c"] });
    await scene.idle();
    assert.deepEqual(callsByPath(receiver), { "after?by=code": 1, plain: 1 });
    const request = receiver.requests.find(({ url }) => url !== "/plain");
    const plain = receiver.requests.find(({ url }) => url === "/plain");
    assert.ok(request !== undefined && plain !== undefined);
    assert.deepEqual(request.json(), { was: payload, type: "x.y", channels: ["c"], team: "bläu" });
    assert.equal(request.method, "PUT");
    const { headers } = request;
    assert.deepEqual([headers["x-both"], headers["x-own"], headers["x-code"]], ["the code's", "yes", "yes"]);
    assert.equal(headers.authorization, "Bearer of-the-code");
    assert.equal(headers["content-type"], "application/json");
    assertVerifies(await scene.key(app, endpoint.id), request, clock.now());
    // It is one endpoint's business: neither the message nor the others know of it.
    assert.deepEqual([plain.method, plain.json()], ["POST", payload]);
    assert.deepEqual((await svix.message.get(app, message.id, { withContent: true })).payload, payload);
    const attempt = (await scene.attempts(app, message.id)).find(({ endpointId }) => endpointId === endpoint.id);
    assert.deepEqual([attempt?.status, attempt?.url], [0, `${receiver.url}/after?by=code`]);
    const told = await scene.call("GET", `/app/${app}/msg/${message.id}/attempt/${attempt?.id}/headers`);
    assert.deepEqual([told.body.sentHeaders["X-Code"], told.body.sensitive], ["yes", ["authorization"]]);
    assert.ok(!told.text.includes("of-the-code"), "what is sensitive is so whoever has set it");

    // The same result, and nothing is sent for it, whether the code is the endpoint's or is only tried out.
    const simulated = await simulate(scene, app, endpoint.id, { code: CODE, payload, channels: ["c"] });
    const same = { url: `${receiver.url}/after?by=code`, payload: request.text, method: "PUT", cancel: false };
    assert.deepEqual([simulated.status, simulated.body], [200, same]);
    const tried = await simulate(scene, app, endpoint.id, { code: body('return { payload: "just text" }') });
    assert.deepEqual(tried.body, { url, payload: "just text", method: "POST", cancel: false });
    await scene.idle();
    assert.equal(receiver.requests.length, 2);
    assert.equal((await svix.message.list(app)).data.length, 1);

    // Each try runs what is there by then; text that is no JSON is signed as it is.
    receiver.answer(({ url }, response) => {
      response.writeHead(url.startsWith("/after") ? 500 : 200).end();
    });
    const retried = await scene.message(app, { payload });
    await scene.idle();
    await transform(scene, app, endpoint.id, { code: body('webhook.payload = "naïve, 💥"; return webhook') });
    await scene.pass(2 * MINUTE);
    const tries = receiver.requests.filter(({ headers }) => headers["svix-id"] === retried.id);
    assert.deepEqual(tries.map(({ url }) => url).sort(), ["/after?by=code", "/before", "/plain"]);
    const last = receiver.requests.at(-1);
    assert.ok(last !== undefined);
    assert.deepEqual([last.method, last.url, last.text], ["POST", "/before", "naïve, 💥"]);
    assertVerifies(await scene.key(app, endpoint.id), last, clock.now());

    // Turned off, and taken away.
    await transform(scene, app, endpoint.id, { enabled: false });
    await svix.messageAttempt.resend(app, retried.id, endpoint.id);
    await scene.idle();
    assert.deepEqual(receiver.requests.at(-1)?.json(), payload);
    await transform(scene, app, endpoint.id, { code: null, variables: null });
    const none = await scene.call("GET", `/app/${app}/endpoint/${endpoint.id}/transformation`);
    assert.deepEqual([none.body.code, none.body.enabled, none.body.variables], [null, false, null]);
  });

  test(`${who}: 50. Transformation: what it leaves alone is sent as it was written`, async (t) => {
    const scene = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    const endpoint = await scene.endpoint(app, { url: receiver.url });
    await transform(scene, app, endpoint.id, { code: body("return webhook"), enabled: true });
    const texts = ['{ "n": 12345678901234567890, "f": 1.0, "__proto__": {"a": 1} }', '{"a":1,"a":2}', "{}"];
    for (const text of texts) {
      const sent = await scene.call("POST", `/app/${app}/msg`, `{"eventType": "x", "payload": ${text}}`);
      assert.equal(sent.status, 202, sent.text);
      await scene.idle();
      const request = receiver.requests.at(-1);
      assert.ok(request !== undefined);
      assert.equal(request.text, text);
      assertVerifies(await scene.key(app, endpoint.id), request, scene.clock.now());
    }
    const raw = await scene.message(app, {
      transformationsParams: { rawPayload: "<a/>", more: { b: [1] } },
      payload: {},
    });
    await scene.idle();
    assert.equal(receiver.requests.at(-1)?.text, "<a/>");
    await transform(scene, app, endpoint.id, { code: body("return { payload: webhook.transformationsParams.more }") });
    await scene.svix.messageAttempt.resend(app, raw.id, endpoint.id);
    await scene.idle();
    assert.equal(receiver.requests.at(-1)?.text, '{"b":[1]}');
  });

  test(`${who}: 50. Transformation: cancel sends nothing, is no failure and is not tried again`, async (t) => {
    const scene = await open(t);
    const { svix, call } = scene;
    const receiver = await scene.receiver();
    const app = await scene.app();
    const endpoint = await scene.endpoint(app, { url: `${receiver.url}/cancels` });
    await scene.endpoint(app, { url: `${receiver.url}/plain` });
    await transform(scene, app, endpoint.id, { code: CANCELS, enabled: true });
    const { id } = await scene.message(app);
    await scene.idle();
    await scene.pass(2 * MINUTE);
    assert.deepEqual(callsByPath(receiver), { plain: 1 });
    const path = `/app/${app}/attempt/endpoint/${endpoint.id}`;
    for (const [query, status, text] of [
      ["", 0, "success"],
      ["?expanded_statuses=true", 4, "canceled"],
    ] as const) {
      const { data } = (await call("GET", `${path}${query}`)).body;
      assert.deepEqual(
        data.map((one: { [name: string]: unknown }) => [one.msgId, one.status, one.statusText, one.responseStatusCode]),
        [[id, status, text, 0]],
      );
      assert.match(data[0].response, /canceled/);
      const rows = (await call("GET", `/app/${app}/endpoint/${endpoint.id}/msg${query}`)).body.data;
      assert.deepEqual([rows.length, rows[0].status, rows[0].nextAttempt ?? null], [1, status, null]);
    }
    const { body: stats } = await call("GET", `/app/${app}/endpoint/${endpoint.id}/stats`);
    assert.deepEqual(stats, { success: 0, pending: 0, sending: 0, fail: 0, canceled: 1 });
    // By hand, too.
    await svix.messageAttempt.resend(app, id, endpoint.id);
    await scene.idle();
    assert.equal((await call("GET", path)).body.data.length, 2);
    const simulated = await simulate(scene, app, endpoint.id, { code: CANCELS });
    assert.deepEqual([simulated.status, simulated.body.cancel], [200, true]);
    assert.deepEqual(callsByPath(receiver), { plain: 1 });
  });

  test(`${who}: 50. Transformation: code at fault is a failed try, and never a fault of the server`, async (t) => {
    const scene = await open(t);
    const { svix, call } = scene;
    const receiver = await scene.receiver();
    const app = await scene.app();
    for (const [uid, code] of FAULTY) {
      await scene.endpoint(app, { url: `${receiver.url}/${uid}`, uid });
      await transform(scene, app, uid, { code, enabled: true });
    }
    await scene.endpoint(app, { url: `${receiver.url}/plain` });
    const { id } = await scene.message(app);
    // What loops stands in nobody's way.
    await receiver.received(1);
    assert.equal((await call("GET", "/health")).status, 204);
    await scene.idle();
    const names = new Map((await svix.endpoint.list(app, { limit: 250 })).data.map((one) => [one.id, one.uid]));
    const byName = async () => Map.groupBy(await scene.attempts(app, id), ({ endpointId }) => names.get(endpointId));
    const attempts = await byName();
    for (const [uid, , told] of FAULTY) {
      const [attempt, ...more] = attempts.get(uid) ?? [];
      assert.deepEqual([attempt?.status, attempt?.responseStatusCode, more], [2, 0, []], uid);
      assert.match(attempt?.response ?? "", told, uid);
      assert.equal(attempt?.url, `${receiver.url}/${uid}`);
    }
    assert.deepEqual(callsByPath(receiver), { plain: 1 });

    // The schedule goes on as after any failure: mended code gets the message, broken code uses the schedule up.
    const [mended, broken] = ["throws", "returns-null"] as const;
    for (const [uid] of FAULTY) if (uid !== mended && uid !== broken) await svix.endpoint.delete(app, uid);
    await transform(scene, app, mended, { code: body('webhook.payload = { well: "again" }; return webhook') });
    await scene.pass(2 * MINUTE);
    assert.deepEqual(callsByPath(receiver), { plain: 1, [mended]: 1 });
    assert.equal(receiver.requests.at(-1)?.text, '{"well":"again"}');
    const after = await byName();
    assert.deepEqual(
      [mended, broken].map((uid) => after.get(uid)?.map(({ status }) => status)),
      [
        [2, 0],
        [2, 2],
      ],
    );
    const rows = (await svix.messageAttempt.listAttemptedDestinations(app, id, { limit: 250 })).data;
    const row = rows.find(({ uid }) => uid === broken);
    assert.deepEqual([row?.status, row?.nextAttempt ?? null], [2, null]);
  });

  test(`${who}: 50. Transformation: a test attempt waits for code that loops no longer than it may; http is refused where https is a must`, async (t) => {
    const scene = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    const { id } = await scene.endpoint(app, { url: "https://example.com/" });
    const tried = async (code: string): Promise<Answer> => {
      await transform(scene, app, id, { code, enabled: true });
      return await scene.call("POST", `/app/${app}/endpoint/${id}/msg/test-attempt`, { eventType: "x", payload: {} });
    };
    const elsewhere = body(`return { url: ${JSON.stringify(receiver.url)} }`);
    for (const [code, status, told] of [
      [body("for (;;);"), 2, /took longer than (1000|5000) ms/],
      [body("throw 5"), 2, /threw 5/],
      // Whoever tests wants to know.
      [CANCELS, 4, /canceled/],
    ] as const) {
      const answer = await tried(code);
      assert.deepEqual([answer.status, answer.body.status, answer.body.responseStatusCode], [201, status, 0], code);
      assert.match(answer.body.response, told);
    }
    assert.equal(receiver.requests.length, 0);
    assert.equal((await tried(elsewhere)).body.responseStatusCode, 200);
    await scene.call("PATCH", "/management/environment-settings", { enforceHttps: true });
    const refused = await tried(elsewhere);
    assert.deepEqual([refused.body.status, refused.body.responseStatusCode], [2, 0]);
    assert.match(refused.body.response, /expected an https URL/);
    assert.equal(receiver.requests.length, 1);
  });

  test(`${who}: 50. Transformation: simulating code at fault says what is wrong with it`, async (t) => {
    const scene = await open(t);
    const app = await scene.app();
    const endpoint = await scene.endpoint(app, { url: "https://example.com/" });
    for (const [uid, code, told] of FAULTY) {
      const answer = await simulate(scene, app, endpoint.id, { code });
      assert.deepEqual(locs(answer), ["body.code"], uid);
      assert.match(answer.body.detail[0].msg, told, uid);
    }
    for (const [given, at] of [
      [{ code: "short" }, ["body.code"]],
      [{ code: body("x".repeat(51_200)) }, ["body.code"]],
      [{ code: 5, payload: [] }, ["body.code", "body.payload"]],
      [{ code: null, eventType: "a b" }, ["body.code", "body.eventType"]],
      [{ code: CANCELS, channels: ["a b"] }, ["body.channels.[0]"]],
    ] as const) {
      assert.deepEqual(locs(await simulate(scene, app, endpoint.id, given)), at, JSON.stringify(given).slice(0, 80));
    }
    assert.equal((await simulate(scene, app, "nobody", { code: CANCELS })).status, 404);
    assert.equal((await simulate(scene, "nobody", endpoint.id, { code: CANCELS })).status, 404);
    // Odd characters in code, input and answer: taken or refused, on either database.
    for (const odd of ["\u0000", "\ud800", "\u2028", "💥", "</script>"]) {
      const code = body(`webhook.payload = "${odd}"; return webhook`);
      const path = `/app/${app}/endpoint/${endpoint.id}/transformation`;
      for (const answer of [
        await simulate(scene, app, endpoint.id, { code }),
        await simulate(scene, app, endpoint.id, { code: body("return webhook"), payload: { [odd]: odd } }),
        await scene.call("PATCH", path, { code, variables: { [`a${odd}`]: odd } }),
        await scene.call("GET", path),
      ]) {
        assert.ok([200, 204, 422].includes(answer.status), `${JSON.stringify(odd)}: ${answer.status} ${answer.text}`);
      }
    }
    const { id: plain } = await scene.endpoint(app, { url: "https://example.com/" });
    const turnedOn = await scene.call("PATCH", `/app/${app}/endpoint/${plain}/transformation`, { enabled: true });
    assert.deepEqual(locs(turnedOn), ["body.enabled"]);
  });
});
