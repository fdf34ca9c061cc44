import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ALL_SCOPES, graphql, openWire, type Wire } from "./inbox-clients.ts";
import { type FakeTarget, startFakeTarget } from "./inbox-target.ts";

let target: FakeTarget;
let users = 0;
const wires: Wire[] = [];

before(async () => {
  target = await startFakeTarget();
});
after(async () => {
  for (const wire of wires) wire.socket.terminate();
  assert.deepEqual(target.faults, []);
  await target.stop();
});

function newUser(): string {
  return `s${++users}`;
}

async function open(query: string): Promise<Wire> {
  const wire = await openWire(target, `/?${query}`);
  wires.push(wire);
  return wire;
}

async function tokenOf(userId: string, lifeMs?: number): Promise<string> {
  return target.token(`user_id:${userId} ${ALL_SCOPES}`, lifeMs);
}

function subscribe(wire: Wire, channel: string, more: Record<string, unknown> = {}): Promise<unknown> {
  const tid = `t${Math.random()}`;
  wire.send({ tid, action: "subscribe", data: { channel, event: "*", ...more } });
  return wire.frames.first((frame) => frame.tid === tid);
}

test("an open socket is closed with 4401 when its token ends", async () => {
  const u = newUser();
  const wire = await open(`auth=${await tokenOf(u, 30_000)}&iwpv=v1`);
  target.advance?.(45_000);
  assert.deepEqual(await wire.closed, { code: 4401, reason: "token expired" });
});

test("a session can be renewed before its token ends, by a token of the same user only", async () => {
  const u = newUser();
  const wire = await open(`auth=${await tokenOf(u, 30_000)}`);
  wire.send({ action: "renewSession", data: { auth: await tokenOf(u, 600_000), version: 5 } });
  wire.send({ action: "subscribe", data: { channel: u, event: "*" } });
  wire.send({ action: "subscribe", data: { channel: "other" } });
  await wire.frames.first((frame) => frame.response === "error");
  target.advance?.(60_000);
  const m = await target.send({ userId: u });
  assert.equal((await wire.frames.first((frame) => frame.type === "message")).messageId, m);
  for (const auth of [await tokenOf("else"), "garbage", undefined, target.secretKey]) {
    const again = await open(`auth=${await tokenOf(u)}`);
    again.send({ action: "renewSession", data: { auth } });
    assert.equal((await again.closed).code, 4401);
  }
});

// Such a socket counted against nobody and was closed after a minute as one that never said whose it is.
test("a token shown on a socket that was opened with a client key makes it the user's", async () => {
  const u = newUser();
  const wire = await open(`clientKey=${encodeURIComponent(target.publicKey)}`);
  wire.send({ action: "renewSession", data: { auth: await tokenOf(u, 600_000), version: 5 } });
  wire.send({ action: "subscribe", data: { channel: u, event: "*" } });
  wire.send({ action: "subscribe", data: { channel: "" } });
  await wire.frames.first((frame) => frame.response === "error");
  target.advance?.(120_000);
  const m = await target.send({ userId: u });
  const heard = wire.frames.first((frame) => frame.type === "message").then((frame) => frame.messageId);
  assert.equal(await Promise.race([heard, wire.closed.then(({ reason }) => reason)]), m);
});

test("frames take effect in order, also when one waits for a token", async () => {
  const [u, v] = [newUser(), newUser()];
  const wire = await open(`auth=${await tokenOf(u)}&iwpv=v1`);
  const auth = await target.token(`user_id:${u} user_id:${v} ${ALL_SCOPES}`);
  wire.send({ action: "renewSession", data: { auth } });
  assert.deepEqual(Object.keys((await subscribe(wire, v)) as object), ["tid", "response"]);
  const m = await target.send({ userId: v });
  assert.equal((await wire.frames.first((frame) => frame.event === "message")).messageId, m);
});

test("after leaving a channel nothing of it is heard", async () => {
  const u = newUser();
  const wire = await open(`auth=${await tokenOf(u)}&iwpv=v1`);
  await subscribe(wire, u);
  await subscribe(wire, u, { accountId: "acme" });
  wire.send({ tid: "u", action: "unsubscribe", data: { channel: u } });
  assert.deepEqual(await wire.frames.first((frame) => frame.tid === "u"), { tid: "u", response: "ack" });
  await target.send({ userId: u });
  await target.send({ userId: u, tenantId: "acme" });
  await subscribe(wire, u);
  const m = await target.send({ userId: u });
  await wire.frames.first((frame) => frame.event === "message");
  assert.deepEqual(wire.frames.events(), ["message"]);
  assert.equal(wire.frames.all.at(-1)?.messageId, m);
});

// Taken for none, it was acknowledged, and the messages without a tenant came to a page that showed a tenant's.
test("a subscription with a tenant that is no name is refused, an empty one is none", async () => {
  const u = newUser();
  const wire = await open(`auth=${await tokenOf(u)}&iwpv=v1`);
  for (const accountId of [5, true, {}, ["acme"], "x".repeat(600)]) {
    assert.equal(((await subscribe(wire, u, { accountId })) as { response: string }).response, "error");
  }
  await target.send({ userId: u });
  for (const accountId of [null, ""]) {
    assert.equal(((await subscribe(wire, u, { accountId })) as { response: string }).response, "ack");
  }
  const m = await target.send({ userId: u });
  await wire.frames.first((frame) => frame.event === "message");
  assert.deepEqual([wire.frames.events(), wire.frames.events(m)], [["message"], ["message"]]);
});

// The cid was kept longer than the header it is compared with, so a client with a long one heard its own changes.
test("a change is not told to the socket it came from, however long its name is", async () => {
  const u = newUser();
  const cid = "c".repeat(400);
  const wire = await open(`auth=${await tokenOf(u)}&iwpv=v1&cid=${cid}`);
  await subscribe(wire, u);
  const m = await target.send({ userId: u });
  const mutate = (name: string, headers = {}) =>
    graphql(target, `Bearer ${bearer}`, `mutation { ${name}(messageId: "${m}") }`, { headers });
  const bearer = await tokenOf(u);
  await mutate("read", { "x-courier-client-source-id": cid });
  await mutate("archive");
  await wire.frames.first((frame) => frame.event === "archive");
  assert.deepEqual(wire.frames.events(), ["message", "archive"]);
});

test("a subscription to one event hears no other", async () => {
  const u = newUser();
  const wire = await open(`auth=${await tokenOf(u)}&iwpv=v1`);
  await subscribe(wire, u, { event: "read" });
  const m = await target.send({ userId: u });
  await graphql(target, `Bearer ${await tokenOf(u)}`, `mutation { opened(messageId: "${m}") read(messageId: "${m}") }`);
  await wire.frames.first((frame) => frame.event === "read");
  assert.deepEqual(wire.frames.events(), ["read"]);
});

test("a seed client names its tenant in the address, and hears of bulk changes", async () => {
  const u = newUser();
  const wire = await open(`token=${await tokenOf(u)}&tenantId=acme`);
  await target.send({ userId: u });
  const m = await target.send({ userId: u, tenantId: "acme" });
  await graphql(target, `Bearer ${await tokenOf(u)}`, "mutation { markAllRead archiveRead }");
  await wire.frames.first((frame) => frame.event === "archive-read");
  assert.deepEqual(
    wire.frames.all.map((frame) => [frame.type, frame.event, frame.messageId]),
    [
      ["message", "message", m],
      ["event", "mark-all-read", undefined],
      ["event", "archive-read", undefined],
    ],
  );
});

test("a seed client without the scope is told so and hears nothing", async () => {
  const u = newUser();
  const wire = await open(`token=${await target.token(`user_id:${u}`)}`);
  const error = await wire.frames.first((frame) => frame.response === "error");
  assert.equal(typeof error.error, "string");
  assert.ok(!("tid" in error));
});

test("hostile frames are answered or ignored, and the socket lives", async () => {
  const u = newUser();
  const wire = await open(`auth=${await tokenOf(u)}&iwpv=v1`);
  const hostile = [
    "",
    "null",
    "[]",
    '"x"',
    "{",
    '{"__proto__":{"action":"ping"}}',
    `${'{"a":'.repeat(1_000)}1${"}".repeat(1_000)}`,
    '{"tid":null,"action":"subscribe"}',
    '{"tid":1,"action":"subscribe","data":null}',
    '{"tid":2,"action":"subscribe","data":{"channel":{}}}',
    `{"tid":3,"action":"subscribe","data":{"channel":"${"x".repeat(5_000)}"}}`,
    '{"tid":4,"action":"constructor"}',
    '{"tid":5,"action":"unsubscribe","data":{"channel":["x"]}}',
    '{"tid":{"a":["\\u0000\\ud800"]},"action":"ping"}',
  ];
  for (const frame of hostile) wire.send(frame);
  wire.socket.send(Buffer.from([0, 1, 2]), { binary: true });
  wire.send({ tid: "end", action: "ping" });
  await wire.frames.first((frame) => frame.tid === "end");
  assert.deepEqual(
    wire.frames.all.map((frame) => frame.response),
    ["error", "error", "error", "error", "error", "ack", "pong", "pong"],
  );
});

test("a user has fifty sockets; the next is refused with 429", async () => {
  const u = newUser();
  const token = await tokenOf(u);
  for (let i = 0; i < 50; i++) await open(`auth=${token}&iwpv=v1&cid=${i}`);
  await assert.rejects(openWire(target, `/?auth=${token}&iwpv=v1&cid=50`), { status: 429 });
  await open(`auth=${token}&iwpv=v1&cid=7`);
});

test("a mangled userId in the address does not matter, and the secret key opens no socket", async () => {
  const u = `${newUser()}+a b`;
  const wire = await open(
    `auth=${await target.token(`user_id:${u.replace(" ", "")} ${ALL_SCOPES}`)}&iwpv=v2&userId=${u}`,
  );
  assert.equal(((await subscribe(wire, u.replace(" ", ""))) as { response: string }).response, "ack");
  await assert.rejects(openWire(target, `/?auth=${target.secretKey}`), { status: 401 });
});

test("with open client keys a channel is enough, with keys switched off it is refused", async () => {
  for (const [clientKeyAuth, response] of [
    ["open", "ack"],
    ["off", "error"],
  ] as const) {
    const own = await startFakeTarget({ clientKeyAuth });
    const wire = await openWire(own, `/?auth=${encodeURIComponent(own.publicKey)}&iwpv=v1&userId=u`);
    assert.equal(((await subscribe(wire, "u")) as { response: string }).response, response);
    wire.socket.terminate();
    await own.stop();
  }
});

test("what another facade did is told in Courier's words, or not at all", async () => {
  const u = newUser();
  const wire = await open(`auth=${await tokenOf(u)}&iwpv=v1`);
  await subscribe(wire, u);
  const m = await target.send({ userId: u });
  const item = target.inbox.items.at(-1);
  const { inbox } = target.inbox.engine;
  const actor = { via: "knock", origin: null };
  for (const [field, value] of [
    ["seen", true],
    ["seen", false],
    ["interacted", true],
    ["archived", true],
    ["archived", false],
    ["deleted", true],
    ["read", true],
  ] as const) {
    await inbox.mark(target.environment.id, u, item?.messageId as `msg_${string}`, field, value, actor);
  }
  await wire.frames.first((frame) => frame.event === "read");
  assert.deepEqual(wire.frames.events(m), ["message", "opened", "clicked", "archive", "unarchive", "read"]);
});
