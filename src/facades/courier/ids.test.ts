import assert from "node:assert/strict";
import { test } from "node:test";
import { newId, withPrefix } from "../../lib/ids.ts";
import { fromCourierId, parsePublicMessageId, publicMessageId, toCourierId } from "./ids.ts";

const requestId = newId("req", Date.UTC(2026, 0, 5));
const messageId = withPrefix("msg", requestId);

test("an id in Courier's spelling begins with the seconds of its making and leads back to ours", () => {
  const spelled = toCourierId(requestId);
  assert.match(spelled, /^1-[0-9a-f]{8}-[0-9a-f]{24}$/);
  assert.equal(Number.parseInt(spelled.slice(2, 10), 16), Date.UTC(2026, 0, 5) / 1000);
  assert.equal(fromCourierId("req", spelled), requestId);
  assert.equal(fromCourierId("msg", "1-ffffffff-ffffffffffffffffffffffff"), "msg_7zzzzzzzzzzzzzzzzzzzzzzzzz");
});

test("a member's message is named by request and user, any other by itself", () => {
  const userId = "a:b";
  const own = publicMessageId({ viaTenant: false, requestId, userId, messageId });
  assert.equal(own, toCourierId(messageId));
  assert.deepEqual(parsePublicMessageId(own), { kind: "message", messageId });
  const member = publicMessageId({ viaTenant: true, requestId, userId, messageId });
  assert.deepEqual(parsePublicMessageId(member), { kind: "member", requestId, userId });
});

test("anything else is no id", () => {
  for (const text of [
    "",
    "1-",
    "x",
    `${toCourierId(requestId)}:`,
    `2${toCourierId(requestId).slice(1)}`,
    `${toCourierId(requestId)}0`,
  ]) {
    assert.equal(parsePublicMessageId(text), null, text);
  }
  assert.equal(fromCourierId("req", toCourierId(requestId).toUpperCase().replace(/\d/g, "A")), null);
});
