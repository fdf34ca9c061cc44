import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type SendingTarget, startSendingTarget } from "./sending-target.ts";

let target: SendingTarget;
before(async () => {
  target = await startSendingTarget();
});
after(() => target.close());

const content = { title: "Hi", body: "Hello" };
const to = { email: "a@x.io" };

const refused: readonly [name: string, message: unknown, field: RegExp][] = [
  ["neither content nor template", { to }, /`content` or `template`/],
  ["both content and template", { to, content, template: "t" }, /exclude/],
  ["no recipient", { content }, /^message\.to: /],
  ["a null recipient", { to: null, content }, /^message\.to: /],
  ["an empty recipient", { to: {}, content }, /^message\.to: /],
  ["a recipient of nulls", { to: { user_id: null }, content }, /^message\.to: /],
  ["an empty list of recipients", { to: [], content }, /^message\.to: /],
  ["a recipient that is no object", { to: [to, "u1"], content }, /^message\.to\.1: Expected object, got "u1"/],
  ["a user id that is no text", { to: { user_id: 5 }, content }, /^message\.to\.user_id: Expected string, got 5/],
  ["content that is no content", { to, content: {} }, /^message\.content/],
  ["elements that are no list", { to, content: { elements: 5 } }, /^message\.content/],
  ["an unknown element", { to, content: { elements: [{ type: "marquee" }] } }, /^message\.content/],
  ["an unknown routing method", { to, content, routing: { method: "any", channels: [] } }, /^message\.routing\.method/],
  ["routing without channels", { to, content, routing: { method: "all" } }, /^message\.routing\.channels/],
  [
    "faulty nested routing",
    { to, content, routing: { method: "all", channels: [{ method: "x", channels: [] }] } },
    /^message\.routing\.channels\.0\.method/,
  ],
  ["a routing that is a text", { to, content, routing: "email" }, /^message\.routing: Expected object/],
  [
    "ten tags",
    { to, content, metadata: { tags: Array(10).fill("t") } },
    /^message\.metadata\.tags: Expected at most 9/,
  ],
  [
    "a tag of 31 characters",
    { to, content, metadata: { tags: ["t".repeat(31)] } },
    /^message\.metadata\.tags\.0: Expected at most 30 characters/,
  ],
  ["a pattern that is none", { to: { list_pattern: "**" }, content }, /^message\.to\.list_pattern/],
  ["a list id with a space", { to: { list_id: "a b" }, content }, /^message\.to\.list_id/],
  ["an unknown filter", { to: { list_id: "a", filters: [{ operator: "EQ" }] }, content }, /^message\.to\.filters\.0/],
  ["expiry without expires_in", { to, content, expiry: { expires_at: 1 } }, /^message\.expiry\.expires_in/],
  ["an unreadable expiry", { to, content, expiry: { expires_in: "soon" } }, /^message\.expiry\.expires_in/],
  ["an expiry that goes back", { to, content, expiry: { expires_in: "-P1D" } }, /^message\.expiry\.expires_in/],
  ["an unreadable end of a delay", { to, content, delay: { until: "soon" } }, /^message\.delay\.until/],
  ["a time zone that is none", { to, content, delay: { duration: 1, timezone: "Moon" } }, /^message\.delay\.timezone/],
  ["a negative timeout", { to, content, timeout: { message: -1 } }, /^message\.timeout\.message/],
  ["an unknown criterion", { to, content, timeout: { criteria: "seen" } }, /^message\.timeout\.criteria/],
  [
    "a choice that is none",
    { to: { ...to, preferences: { notifications: { t: { status: "OFF" } } } }, content },
    /^message\.to\.preferences\.notifications\.t\.status/,
  ],
  [
    "a negative timeout of one channel",
    { to, content, timeout: { channel: { email: -1 } } },
    /^message\.timeout\.channel\.email/,
  ],
  ["a NUL in a user id", { to: { user_id: "a\0" }, content }, /^message\.to\.user_id/],
  ["half a surrogate pair in an address", { to: { email: "\ud800@x.io" }, content }, /^message\.to\.email/],
  ["a NUL in a nested address", { to: { slack: { channel: "a\0" } }, content }, /^message\.to\.slack\.channel/],
  ["a user id that no index holds", { to: { user_id: "ü".repeat(600) }, content }, /^message\.to\.user_id/],
  ["a tag with a NUL", { to, content, metadata: { tags: ["\0"] } }, /^message\.metadata\.tags\.0/],
];

for (const [name, message, field] of refused) {
  test(`refused with 400: ${name}`, async () => {
    const { status, body } = await target.call("POST", "/send", { message });
    assert.equal(status, 400, JSON.stringify(body));
    assert.match(body.message, field);
    assert.equal(body.type, "invalid_request_error");
  });
}

test("bodies that are no send at all are refused with 400", async () => {
  const deep = `{"message":{"to":{"email":"a"},"data":${"[".repeat(50_000)}${"]".repeat(50_000)}}}`;
  const polluted = '{"message":{"to":{"__proto__":{"email":"a"}},"content":{"body":"x"}}}';
  for (const body of ["not json", "5", "null", "[]", '"x"', "{}", '{"message":5}', '{"event":"v1"}', deep, polluted]) {
    const answer = await target.call("POST", "/send", body);
    assert.equal(answer.status, 400, body.slice(0, 60));
    assert.notEqual(answer.body.message, "");
  }
});

test("what was refused has left no message behind", async () => {
  await target.call("POST", "/send", { message: { to } });
  assert.deepEqual((await target.call("GET", "/messages")).body.results, []);
});

test("audiences are answered 501, and not tried again", async () => {
  const { status, headers } = await target.call("POST", "/send", { message: { to: { audience_id: "a" }, content } });
  assert.deepEqual([status, headers["x-should-retry"]], [501, "false"]);
});

test("only the secret key may send", async () => {
  for (const [authorization, expected] of [
    ["Bearer nope", 401],
    ["Bearer token-of-u1", 403],
  ] as const) {
    const { status } = await target.call("POST", "/send", { message: { to, content } }, { authorization });
    assert.equal(status, expected);
  }
});

test("null counts as absent and unknown fields are ignored", async () => {
  const nothing = { template: null, data: null, brand_id: null, routing: null, channels: null, providers: null };
  const more = { timeout: null, delay: null, expiry: null, metadata: null, preferences: null, context: null };
  const message = { to: { ...to, user_id: null, data: null }, content, ...nothing, ...more, marquee: 1 };
  const { status, body } = await target.call("POST", "/send", { message, "Idempotency-Key": "leak" });
  assert.equal(status, 202);
  assert.match(body.requestId, /^1-[0-9a-f]{8}-[0-9a-f]{24}$/);
});

test("what cannot be found does not keep a send from being accepted", async () => {
  for (const message of [
    { to: { user_id: "ghost" }, content },
    { to: { list_id: "nobody.here" }, content },
    { to: { tenant_id: "nowhere" }, content },
    { to, template: "nope" },
    { to, content, brand_id: "b", preferences: { subscription_topic_id: "p" }, context: { tenant_id: "t" } },
    { to, content, routing: { method: "single", channels: ["nonsense", "email"] } },
  ]) {
    assert.equal((await target.call("POST", "/send", { message })).status, 202, JSON.stringify(message));
  }
});

test("a repeated idempotency key gets the first answer, and a refused call leaves its key free", async () => {
  const message = { to: { email: "once@x.io" }, content };
  const key = { "idempotency-key": "k1" };
  assert.equal((await target.call("POST", "/send", { message: { to } }, key)).status, 400);
  const first = await target.call("POST", "/send", { message }, key);
  const second = await target.call("POST", "/send", { message: { ...message, data: { other: 1 } } }, key);
  assert.deepEqual([first.status, second.status], [202, 202]);
  assert.equal(second.body.requestId, first.body.requestId);
  const found = await target.call("GET", "/messages?recipient=once@x.io");
  assert.equal(found.body.results.length, 1);

  const pair = await Promise.all(
    [1, 2].map(() => target.call("POST", "/send", { message }, { "idempotency-key": "k2" })),
  );
  assert.equal(new Set(pair.filter(({ status }) => status === 202).map(({ body }) => body.requestId)).size, 1);
  const bad = { ...key, "x-idempotency-expiration": "garbage" };
  assert.equal((await target.call("POST", "/send", { message }, bad)).status, 400);
});
