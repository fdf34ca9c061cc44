import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { type SendingTarget, startSendingTarget } from "./sending-target.ts";

let target: SendingTarget;
let template: string;
beforeEach(async () => {
  target = await startSendingTarget();
  const elements = [{ type: "text", content: "n is {n}" }];
  const base = { tags: [], brand: null, subscription: null, routing: null };
  const notification = { ...base, name: "Shipped", content: { elements }, alias: "shipped" };
  template = (await target.call("POST", "/notifications", { notification, state: "PUBLISHED" })).body.id;
});
afterEach(() => target.close());

const get = (path: string) => target.call("GET", path);
const map = (event: string, id: unknown = template, type: unknown = "notification") =>
  target.call("PUT", `/events/${encodeURIComponent(event)}`, { id, type });
const track = (body: object, headers?: { readonly [name: string]: string }) =>
  target.call("POST", "/inbound/courier", { type: "track", properties: { n: 5 }, ...body }, headers);
const messages = async (query: string) => (await get(`/messages?${query}`)).body.results;

test("an event is mapped, read, used as a template, and unmapped", async () => {
  const answer = await map("order shipped/now");
  assert.deepEqual([answer.status, answer.body], [200, { status: "SUCCESS" }]);
  const mapping = { event: "order shipped/now", id: template, type: "notification" };
  assert.deepEqual((await get("/events/order%20shipped%2Fnow")).body, mapping);
  assert.deepEqual((await get("/events")).body.results, [mapping]);
  const id = await target.send({ to: { user_id: "u1" }, template: "order shipped/now", data: { n: 1 } });
  const { body } = await get(`/messages/${id}`);
  assert.deepEqual([body.notification, body.event, body.status], [template, "order shipped/now", "DELIVERED"]);
  const mapped = (await get(`/messages/${id}/history?type=MAPPED`)).body.results;
  assert.deepEqual([mapped[0].event_id, mapped[0].notification_id], ["order shipped/now", template]);

  for (let i = 0; i < 2; i++) {
    assert.equal((await target.call("DELETE", "/events/order%20shipped%2Fnow")).status, 204);
  }
  assert.equal((await get("/events/order%20shipped%2Fnow")).status, 404);
});

test("a mapping may name its template by alias; what is no mapping is refused", async () => {
  await map("e", "shipped");
  assert.equal((await get("/events/e")).body.id, template);
  for (const [event, id, type] of [
    ["e2", "nope", "notification"],
    ["e2", 5, "notification"],
    ["e2", template, "journey"],
    ["inbound/e2", template, "notification"],
    ["e\0", template, "notification"],
  ] as const) {
    assert.equal((await map(event, id, type)).status, 400, `${event} ${id} ${type}`);
  }
});

test("a tracked event that is mapped is sent to its user, once", async () => {
  await map("order-shipped");
  const event = { event: "order-shipped", messageId: "m1", userId: "u1" };
  const first = await track(event);
  assert.deepEqual([first.status, first.body], [202, { messageId: "m1" }]);
  const second = await track(event);
  assert.deepEqual([second.status, second.headers["x-should-retry"]], [409, "false"]);
  const found = await messages("event=order-shipped");
  assert.equal(found.length, 1);
  assert.deepEqual([found[0].recipient, found[0].notification], ["u1", template]);
  const { results } = (await get(`/messages/${found[0].id}/output`)).body;
  assert.match(results[0].content.text, /n is 5/);

  target.clock.advance(24 * 3_600_000);
  assert.equal((await track(event)).status, 409);
});

test("of the same event sent twice at once, one is accepted", async () => {
  const answers = await Promise.all([1, 2, 3].map(() => track({ event: "e", messageId: "m", userId: "u1" })));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [202, 409, 409]);
  assert.equal((await messages("event=e")).length, 1);
});

test("the prefixed mapping comes before the bare one", async () => {
  await map("Courier-TrackEvent:e");
  await track({ event: "e", messageId: "m1", userId: "u1" });
  assert.equal((await messages("event=e"))[0].notification, template);
});

test("an event that is not mapped, or names nobody, is on record as unmapped", async () => {
  await map("mapped");
  await track({ event: "unheard", messageId: "m1", userId: "u1" });
  await track({ event: "mapped", messageId: "m2" });
  // The name of a template is no event: whoever holds the publishable key must not send every template.
  await track({ event: template, messageId: "m3", userId: "u1" });
  await track({ event: "shipped", messageId: "m4", userId: "u1" });
  for (const event of ["unheard", "mapped", template, "shipped"]) {
    const [one] = await messages(`event=${event}`);
    assert.deepEqual([one.status, one.event], ["UNMAPPED", event]);
  }
});

test("what an event without mapping leaves behind names no template, and nobody but its own user", async () => {
  await track({ event: "unheard", messageId: "m1" });
  await track({ event: "unseen", messageId: "m2", userId: "u1" });
  for (const [event, recipient] of [
    ["unheard", ""],
    ["unseen", "u1"],
  ]) {
    const [one] = await messages(`event=${event}`);
    assert.deepEqual([one.notification, one.recipient], ["", recipient]);
    assert.doesNotMatch(one.error, /inbound/);
    const { results } = (await get(`/messages/${one.id}/history?type=UNMAPPED`)).body;
    assert.deepEqual(
      results.map((item: { event_id: string }) => item.event_id),
      [event],
    );
    assert.equal((await get(`/messages/${one.id}`)).body.recipient, recipient);
  }
});

test("secret key, client key and token may track, a token for its own user only", async () => {
  const event = { event: "e", userId: "u1" };
  const token = { authorization: "Bearer token-of-u1" };
  assert.equal((await track({ ...event, messageId: "k" })).status, 202);
  assert.equal((await track({ ...event, messageId: "c" }, { "x-courier-client-key": "client" })).status, 202);
  assert.equal((await track({ ...event, messageId: "t" }, token)).status, 202);
  assert.equal((await track({ event: "e", userId: "u2", messageId: "o" }, token)).status, 403);
  assert.equal((await track({ ...event, messageId: "n" }, { authorization: "Bearer nope" })).status, 401);
});

test("what is no tracked event is refused and leaves its id free", async () => {
  const event = { event: "e", messageId: "m", userId: "u1" };
  for (const wrong of [
    { type: "page" },
    { event: "" },
    { event: 5 },
    { messageId: "" },
    { messageId: "a\0" },
    { userId: "\ud800" },
    { properties: "x" },
    { event: "e".repeat(2_000) },
  ]) {
    assert.equal((await track({ ...event, ...wrong })).status, 400, JSON.stringify(wrong).slice(0, 60));
  }
  assert.equal((await track(event)).status, 202);
});
