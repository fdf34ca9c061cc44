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

function memberId(userId: string): string {
  return publicMessageId({ viaTenant: true, requestId, userId, messageId });
}

test("a member with an ordinary user id is named by it as it is", () => {
  for (const userId of ["u1", "ann@example.com", "a:b~c=d+e-f.g_h", "~", "a~~b", "=22", "-", "1-0-0"]) {
    assert.equal(memberId(userId), `${toCourierId(requestId)}:${userId}`);
  }
});

const UNUSUAL = [
  `"`,
  "\\",
  `ann"){x}#`,
  `a b`,
  "a/b?c#d%20&e",
  "\n\t\r\u2028\u0001",
  "jürgen",
  "😀",
  "名前",
  "\u0024{x}`'",
  "~~",
  "~~a",
  "~~~~a",
  "~~a=22b",
  "~~=ff",
  "=22 ",
  "~~=",
  "e\u0301 é",
  "\ufffd",
  "x".repeat(500) + '"'.repeat(12),
];

test("a user id with other characters is spelled in harmless ones, and read back", () => {
  for (const userId of UNUSUAL) {
    const spelled = memberId(userId);
    assert.match(spelled, /^[A-Za-z0-9_.:~@=+-]+$/);
    assert.deepEqual(parsePublicMessageId(spelled), { kind: "member", requestId, userId }, spelled);
  }
  assert.equal(memberId(`ann "o"`), `${toCourierId(requestId)}:~~ann=20=22o=22`);
  assert.equal(new Set(UNUSUAL.map(memberId)).size, UNUSUAL.length);
});

test("a user id that was not escaped is taken as it is", () => {
  for (const userId of [`"`, "\\", "a b", "jürgen", "~~a", "~~=2", "~~=FF x", "~~=41", "~~=22=zz"]) {
    const reference = parsePublicMessageId(`${toCourierId(requestId)}:${userId}`);
    assert.deepEqual(reference, { kind: "member", requestId, userId });
  }
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
