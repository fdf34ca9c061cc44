import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { type SendingTarget, startSendingTarget } from "./sending-target.ts";

let target: SendingTarget;
beforeEach(async () => {
  target = await startSendingTarget();
});
afterEach(() => target.close());

const content = { title: "Hi {name}", body: "Hello {{name}}" };
const email = { method: "single", channels: ["email"] };
const get = (path: string) => target.call("GET", path);
const types = async (id: string): Promise<string[]> =>
  (await get(`/messages/${id}/history`)).body.results.map(({ type }: { type: string }) => type);

test("a simple send can be read at once, and ends sent, with output and history", async () => {
  const id = await target.send({ to: { email: "a@x.io" }, content, data: { name: "Ann" } });
  const at = await get(`/messages/${id}`);
  assert.equal(at.status, 200);
  assert.deepEqual([at.body.id, at.body.recipient, at.body.event, at.body.notification], [id, "a@x.io", id, ""]);
  assert.equal(typeof at.body.enqueued, "number");

  const message = await target.settled(id);
  assert.equal(message.status, "SENT");
  assert.ok(message.sent >= message.enqueued);
  const channel = { key: "email", name: "email", template: "" };
  assert.deepEqual(message.providers, [{ channel, provider: "smtp", status: "SENT", sent: message.sent }]);
  assert.deepEqual(
    target.sent.map(({ delivery }) => delivery.address),
    [{ email: "a@x.io" }],
  );

  const { results } = (await get(`/messages/${id}/output`)).body;
  assert.equal(results.length, 1);
  assert.deepEqual(
    [results[0].channel, results[0].channel_id, results[0].content.subject],
    ["email", "email", "Hi Ann"],
  );
  assert.deepEqual(Object.keys(results[0].content).sort(), ["blocks", "body", "html", "subject", "text", "title"]);
  assert.match(results[0].content.text, /Hello Ann/);

  const history = (await get(`/messages/${id}/history`)).body.results;
  assert.deepEqual(await types(id), ["ENQUEUED", "PROFILE_LOADED", "ROUTED", "RENDERED", "DELIVERING", "SENT"]);
  assert.ok(history.every(({ ts }: { ts: number }, i: number) => i === 0 || ts >= history[i - 1].ts));
  const only = await get(`/messages/${id}/history?type=SENT`);
  assert.deepEqual(
    only.body.results.map(({ type }: { type: string }) => type),
    ["SENT"],
  );
  assert.equal((await get(`/messages/${id}/history?type=PROCESSED`)).status, 400);
});

test("each rendered part can be read at the path that the history names", async () => {
  const id = await target.send({ to: { email: "a@x.io" }, content, data: { name: "Ann" } });
  await target.settled(id);
  const { results } = (await get(`/messages/${id}/history?type=RENDERED`)).body;
  const html = await get(results[0].output.html);
  assert.match(String(html.headers["content-type"]), /^text\/html/);
  assert.match(html.text, /Hello Ann/);
  assert.equal((await get(results[0].output.subject)).body, "Hi Ann");
  assert.equal("title" in results[0].output, false);
  assert.equal((await get(`/messages/${id}/output/email/secrets`)).status, 404);
  assert.equal((await get(`/messages/${id}/output/sms/text`)).status, 404);
});

test("an inbox message is delivered at once", async () => {
  const id = await target.send({ to: { user_id: "u1" }, content, data: { name: "Ann" } });
  const { body } = await get(`/messages/${id}`);
  assert.deepEqual([body.status, body.recipient, body.recipientId], ["DELIVERED", "u1", "u1"]);
  assert.equal(body.providers[0].status, "DELIVERED");
  assert.deepEqual((await types(id)).slice(-3), ["DELIVERING", "SENT", "DELIVERED"]);
  const { results } = (await get(`/messages/${id}/output`)).body;
  assert.deepEqual([results[0].channel, results[0].content.title], ["inbox", "Hi Ann"]);
});

test("nobody to route to: the reason is told", async () => {
  const routing = { method: "single", channels: ["email", "sms"] };
  const ghost = await target.send({ to: { user_id: "ghost" }, content, routing });
  const { body } = await get(`/messages/${ghost}`);
  assert.deepEqual([body.status, body.reason, body.providers], ["UNROUTABLE", "NO_CHANNELS", []]);
  assert.deepEqual(await types(ghost), ["ENQUEUED", "PROFILE_LOADED", "UNROUTABLE"]);
  const push = await target.send({
    to: { user_id: "ghost" },
    content,
    routing: { method: "single", channels: ["push"] },
  });
  assert.equal((await get(`/messages/${push}`)).body.reason, "NO_PROVIDERS");
  assert.deepEqual((await get(`/messages/${push}/output`)).body, { results: [] });
});

test("an unknown template ends unmapped", async () => {
  const id = await target.send({ to: { email: "a@x.io" }, template: "nope" });
  const { body } = await get(`/messages/${id}`);
  assert.deepEqual([body.status, body.notification, body.event], ["UNMAPPED", "nope", "nope"]);
  assert.notEqual(body.error, null);
  assert.deepEqual(await types(id), ["ENQUEUED", "UNMAPPED"]);
});

test("a provider that refuses is on record beside the one that took its place", async () => {
  target.outcomes.set("smtp", { kind: "rejected", reason: "no such mailbox" });
  const id = await target.send({ to: { email: "a@x.io" }, content, routing: email });
  const { status, providers } = await target.settled(id);
  assert.equal(status, "SENT");
  assert.deepEqual(
    providers.map((one: { provider: string; status: string; error?: string }) => [one.provider, one.status]),
    [
      ["smtp", "UNDELIVERABLE"],
      ["second-mail", "SENT"],
    ],
  );
  assert.match(providers[0].error, /no such mailbox/);
  assert.equal((await types(id)).filter((type) => type === "RENDERED").length, 2);
  assert.ok((await types(id)).includes("UNDELIVERABLE"));
  assert.equal((await get(`/messages/${id}/output`)).body.results.length, 1);
});

test("a list of recipients becomes a message each, found by the request id", async () => {
  const to = [{ email: "a@x.io", data: { n: 1 } }, { email: "b@x.io", data: { n: 2 } }, { user_id: "ghost" }];
  const template = { content: { title: "t", body: "{n}-{m}" }, data: { n: 0, m: 9 }, routing: email };
  const requestId = await target.send({ to, ...template });
  assert.equal((await get(`/messages/${requestId}`)).status, 404);
  const { results } = (await get(`/messages?traceId=${requestId}`)).body;
  assert.equal(new Set(results.map(({ id }: { id: string }) => id)).size, 3);
  for (const { id } of results) await target.settled(id);
  assert.deepEqual(target.sent.map(({ delivery }) => delivery.content.text.trim()).sort(), ["1-9", "2-9"]);
});

test("members of a tenant are named by request and user", async () => {
  const { directory } = target.engine;
  const userIds = ["u1", "a b/c:d#ü"];
  await directory.putMemberships(
    target.environment.id,
    userIds.map((userId) => ({ tenantId: "t1", userId, profile: null, createdAt: 1 })),
  );
  const requestId = await target.send({ to: { tenant_id: "t1" }, content });
  for (const userId of userIds) {
    const id = `${requestId}:${userId}`;
    const body = await target.settled(encodeURIComponent(id));
    // Either spelling finds it; shown is the one that clients can splice into a query.
    const shown = userId === "u1" ? id : `${requestId}:~~a=20b=2fc:d=23=c3=bc`;
    assert.deepEqual([body.id, body.recipient, body.status], [shown, userId, "DELIVERED"]);
    const { results } = (await get(`/messages/${encodeURIComponent(id)}/history?type=RENDERED`)).body;
    assert.equal((await get(results[0].output.body)).status, 200);
  }
  const found = await get(`/messages?messageId=${encodeURIComponent(`${requestId}:u1`)}`);
  assert.equal(found.body.results.length, 1);
  assert.equal((await get(`/messages/${requestId}:nobody`)).status, 404);
});

test("a delayed message can be canceled, again and again; a sent one gets 409 with its record", async () => {
  const id = await target.send({ to: { email: "a@x.io" }, content, delay: { duration: 3_600_000 } });
  const delayed = (await get(`/messages/${id}`)).body;
  assert.equal(delayed.status, "DELAYED");
  const [, delay] = (await get(`/messages/${id}/history`)).body.results;
  assert.deepEqual([delay.type, delay.delay, delay.details.duration], ["DELAYED", { duration: 3_600_000 }, 3_600_000]);
  for (let i = 0; i < 2; i++) {
    const { status, body } = await target.call("POST", `/messages/${id}/cancel`);
    assert.deepEqual([status, body.id, body.status, typeof body.canceledAt], [200, id, "CANCELED", "number"]);
  }
  assert.deepEqual(await types(id), ["ENQUEUED", "DELAYED", "CANCELED"]);

  target.clock.advance(3_700_000);
  const sent = await target.send({ to: { email: "b@x.io" }, content });
  await target.settled(sent);
  assert.deepEqual(
    target.sent.map(({ delivery }) => delivery.address),
    [{ email: "b@x.io" }],
  );
  const late = await target.call("POST", `/messages/${sent}/cancel`);
  assert.deepEqual(
    [late.status, late.body.id, late.body.status, late.headers["x-should-retry"]],
    [409, sent, "SENT", "false"],
  );
});

test("a delay that is over goes on, with the history of both", async () => {
  const until = "Mo-Fr 14:00-15:00";
  const id = await target.send({ to: { email: "a@x.io" }, content, delay: { until, timezone: "UTC" } });
  target.clock.advance(2 * 3_600_000);
  assert.equal((await target.settled(id, ["DELAYED"])).status, "SENT");
  const history = (await get(`/messages/${id}/history`)).body.results;
  assert.deepEqual(await types(id), [
    "ENQUEUED",
    "DELAYED",
    "PROFILE_LOADED",
    "ROUTED",
    "RENDERED",
    "DELIVERING",
    "SENT",
  ]);
  assert.deepEqual(history[1].details, { duration: 2 * 3_600_000, date: new Date(target.clock.now()).toISOString() });
});

test("past ends of delays and open hours hold nothing back", async () => {
  for (const until of ["2020-01-01T00:00:00Z", "Mo-Su 00:00-23:59"]) {
    const id = await target.send({ to: { user_id: "u1" }, content, delay: { until } });
    assert.equal((await get(`/messages/${id}`)).body.status, "DELIVERED");
  }
});

test("unknown ids are 404 on every path", async () => {
  const absent = "1-65f240a0-47a6a120c8374de9bcf9f22a";
  for (const id of [absent, "nope", `${absent}:u1`, "%00", "1-65F240A0-47a6a120c8374de9bcf9f22a"]) {
    for (const [method, path] of [
      ["GET", `/messages/${id}`],
      ["GET", `/messages/${id}/history`],
      ["GET", `/messages/${id}/output`],
      ["GET", `/messages/${id}/output/email/html`],
      ["POST", `/messages/${id}/cancel`],
      ["POST", `/messages/${id}/resend`],
      ["PUT", `/requests/${id}/archive`],
    ] as const) {
      assert.equal((await target.call(method, path)).status, 404, `${method} ${path}`);
    }
  }
});

test("resend makes another message of its own for the same recipient", async () => {
  const id = await target.send({ to: { email: "a@x.io" }, content, data: { name: "Ann" } });
  await target.settled(id);
  const { status, body } = await target.call("POST", `/messages/${id}/resend`);
  assert.equal(status, 202);
  assert.notEqual(body.messageId, id);
  const again = await target.settled(body.messageId);
  assert.deepEqual([again.status, again.recipient], ["SENT", "a@x.io"]);
  assert.deepEqual(
    target.sent.map(({ delivery }) => delivery.content.subject),
    ["Hi Ann", "Hi Ann"],
  );
});

test("45 messages come in pages, each once, the newest first; filters add up", async () => {
  const ids: string[] = [];
  for (let i = 0; i < 45; i++) {
    const metadata = { tags: [i % 2 === 0 ? "a" : "b"], trace_id: `t${i % 3}`, event: `e${i % 5}` };
    ids.unshift(await target.send({ to: { user_id: `u${i % 4}` }, content, metadata }));
    target.clock.advance(1_000);
  }
  const found: string[] = [];
  let cursor = "";
  for (let more = true; more; ) {
    const { body } = await get(`/messages?cursor=${cursor}`);
    found.push(...body.results.map(({ id }: { id: string }) => id));
    ({ more, cursor } = body.paging);
  }
  assert.deepEqual(found, ids);

  const expected = (test: (i: number) => boolean) => ids.filter((_, at) => test(44 - at)).slice(0, 20);
  const listed = async (query: string) =>
    (await get(`/messages?${query}`)).body.results.map(({ id }: { id: string }) => id);
  assert.deepEqual(
    await listed("tags=a&traceId=t0"),
    expected((i) => i % 6 === 0),
  );
  assert.deepEqual(
    await listed("recipient=u1&event=e1"),
    expected((i) => i % 20 === 1),
  );
  assert.deepEqual(
    await listed("status=DELIVERED%2CSENT&tag=a,b&tag[]=b&recipient=u2"),
    expected((i) => i % 4 === 2),
  );
  assert.deepEqual(await listed("status=DIGESTED"), []);
  assert.deepEqual(
    await listed("provider=courier&recipient=u3&tags=b"),
    expected((i) => i % 4 === 3),
  );
  assert.deepEqual(await listed("provider=smtp"), []);
  const after = (await get(`/messages/${ids[3]}`)).body.enqueued;
  assert.deepEqual(await listed(`enqueued_after=${after}`), ids.slice(0, 3));
  assert.deepEqual(await listed(`enqueued_after=${new Date(after).toISOString()}`), ids.slice(0, 3));
  assert.deepEqual(await listed(`messageId=${ids[7]}`), [ids[7]]);
  assert.deepEqual(await listed("messageId=nope"), []);
  for (const bad of ["cursor=x", "status=PROCESSED", "enqueued_after=soon", "archived=maybe", "cursor=YzpubyBpZA"]) {
    assert.equal((await get(`/messages?${bad}`)).status, 400, bad);
  }
});

test("archiving a request hides its messages from the list and from nothing else", async () => {
  const id = await target.send({ to: { user_id: "u1" }, content });
  const other = await target.send({ to: { user_id: "u1" }, content });
  for (let i = 0; i < 2; i++) {
    const { status, text, headers } = await target.call("PUT", `/requests/${id}/archive`);
    assert.deepEqual([status, text, headers["content-type"]], [202, "", undefined]);
  }
  const listed = async (query: string) =>
    (await get(`/messages${query}`)).body.results.map((one: { id: string }) => one.id);
  assert.deepEqual(await listed(""), [other]);
  assert.deepEqual(await listed("?archived=true"), [other, id]);
  assert.equal((await get(`/messages/${id}`)).status, 200);
  assert.equal((await get(`/messages/${id}/output`)).body.results.length, 1);
});

test("a message of a mock key is simulated", async () => {
  const message = { to: { email: "a@x.io" }, content };
  const { body } = await target.call("POST", "/send", { message }, { authorization: "Bearer M" });
  assert.equal((await get(`/messages/${body.requestId}`)).body.status, "SIMULATED");
  assert.ok((await types(body.requestId)).includes("SIMULATED"));
  assert.deepEqual(target.sent, []);
});

test("the profile that was stored, that came and that was used are told apart", async () => {
  await target.engine.directory.modifyUser(target.environment.id, "u1", 1, () => ({ email: "old@x.io", name: "A" }));
  const id = await target.send({ to: { user_id: "u1", email: "new@x.io" }, content, routing: email });
  const [loaded] = (await get(`/messages/${id}/history?type=PROFILE_LOADED`)).body.results;
  assert.deepEqual(loaded.received_profile, { email: "new@x.io" });
  assert.deepEqual(loaded.stored_profile, { email: "old@x.io", name: "A" });
  assert.deepEqual(loaded.merged_profile, { email: "new@x.io", name: "A" });
});
