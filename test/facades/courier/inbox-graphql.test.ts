import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { publicMessageId } from "../../../src/facades/courier/ids.ts";
import { ALL_SCOPES, type Answer, graphql } from "./inbox-clients.ts";
import { type FakeTarget, startFakeTarget } from "./inbox-target.ts";

let target: FakeTarget;
let credential: string;
let users = 0;
let userId = "";

before(async () => {
  target = await startFakeTarget();
});
after(() => target.stop());

async function newUser(): Promise<string> {
  userId = `g${++users}`;
  credential = `Bearer ${await target.token(`user_id:${userId} ${ALL_SCOPES}`)}`;
  return userId;
}

function ask(query: string, more: Parameters<typeof graphql>[3] = {}): Promise<Answer> {
  return graphql(target, credential, query, more);
}

async function post(body: string, type = "application/json"): Promise<Answer["body"] & { status: number }> {
  const headers = { "content-type": type, authorization: credential };
  const response = await fetch(`${target.url}/q`, { method: "POST", headers, body });
  return { ...((await response.json()) as Answer["body"]), status: response.status };
}

test("marks that stand together are one call of the engine, in the order of the document", async () => {
  const u = await newUser();
  const m = await target.send({ userId: u });
  const n = await target.send({ userId: u });
  const before = target.inbox.calls.change ?? 0;
  const { body } = await ask(
    `mutation { a: read(messageId: "${m}") b: unread(messageId: "${m}") c: read(messageId: "${n}") d: archive(messageId: "x") }`,
  );
  assert.deepEqual(body.data, { a: true, b: true, c: true, d: false });
  assert.equal((target.inbox.calls.change ?? 0) - before, 1);
  assert.deepEqual(await target.history(m), ["READ", "UNREAD"]);
});

test("a mark before and after marking all is two calls, with the other between them", async () => {
  const u = await newUser();
  const m = await target.send({ userId: u });
  const before = target.inbox.calls.change ?? 0;
  const { body } = await ask(
    `mutation { a: read(messageId: "${m}") b: unread(messageId: "${m}") markAllRead c: unread(messageId: "${m}") }`,
  );
  assert.deepEqual(body.data, { a: true, b: true, markAllRead: true, c: true });
  assert.equal((target.inbox.calls.change ?? 0) - before, 2);
  assert.deepEqual(await target.history(m), ["READ", "UNREAD", "READ", "UNREAD"]);
});

test("a count that is asked for twice is counted once", async () => {
  await newUser();
  const before = target.inbox.calls.count ?? 0;
  const { body } = await ask(
    "query ($p: FilterParamsInput = { }) { count(params: $p) messages(params: $p) { totalCount nodes { messageId } } }",
  );
  assert.deepEqual(body.data, { count: 0, messages: { totalCount: 0, nodes: [] } });
  assert.equal((target.inbox.calls.count ?? 0) - before, 1);
});

// Two hundred counts by tag on an inbox of 60,000 took five seconds, in which the server answered nobody else.
test("counts that look at every item let others be served in between", async (t) => {
  await newUser();
  const { inbox } = target.inbox.engine;
  let others = 0;
  let turns = true;
  const turn = (): void => {
    others++;
    if (turns) setImmediate(turn);
  };
  const before: number[] = [];
  t.mock.method(inbox, "count", async () => {
    before.push(others);
    const busyUntil = performance.now() + 5;
    while (performance.now() < busyUntil);
    return 0;
  });
  setImmediate(turn);
  const tabs = Array.from({ length: 40 }, (_, i) => `t${i}: count(params: { tags: ["${i}"] })`).join(" ");
  assert.equal(Object.keys((await ask(`{ ${tabs} }`)).body.data).length, 40);
  turns = false;
  assert.equal(before.length, 40);
  assert.ok(new Set(before).size >= 5, `all within ${new Set(before).size} turns`);
});

test("a page that is not looked at is not loaded", async () => {
  await newUser();
  const before = target.inbox.calls.list ?? 0;
  await ask("{ messages { totalCount } }");
  assert.equal(target.inbox.calls.list ?? 0, before);
});

test("a message to a member of a tenant is known by request and user, to that user alone", async () => {
  const u = await newUser();
  const item = target.inbox.add({ userId: u, tenantId: "acme", viaTenant: true });
  const id = publicMessageId(item as Parameters<typeof publicMessageId>[0]);
  assert.match(id, new RegExp(`^1-[0-9a-f]{8}-[0-9a-f]{24}:${u}$`));
  const query = `mutation { read(messageId: "${id}") }`;
  assert.deepEqual((await ask(query)).body.data, { read: true });
  await newUser();
  assert.deepEqual((await ask(query)).body.data, { read: false });
  const other = id.replace(/:.*/, `:${userId}`);
  assert.deepEqual((await ask(`mutation { read(messageId: "${other}") }`)).body.data, { read: false });
});

test("every field of a message can be read", async () => {
  const u = await newUser();
  const m = await target.send({
    userId: u,
    title: "T",
    body: "B",
    data: { n: 1 },
    tags: ["a"],
    actions: [{ content: "Go", href: "https://example.com" }],
  });
  const { body } = await ask(`{ message(messageId: "${m}") {
    __typename messageId accountId created title body preview icon read opened archived data tags pinned { slotId }
    actions(version: 2) { content href data background_color style }
    trackingIds { archiveTrackingId openTrackingId clickTrackingId deliverTrackingId readTrackingId unreadTrackingId }
    content { title preview html actions { href }
      elemental { __typename ... on TextElement { type content } ... on ActionElement { type href } } } } }`);
  const { created, trackingIds, actions, ...rest } = body.data.message;
  assert.match(created, /\.\d{3}Z$/);
  assert.equal(new Set(Object.values(trackingIds)).size, 6);
  for (const id of Object.values(trackingIds)) assert.match(String(id), /^[\w-]{64}$/);
  assert.equal(actions.length, 1);
  assert.equal(typeof actions[0].data.trackingId, "string");
  assert.deepEqual(rest, {
    __typename: "InboxMessage",
    messageId: m,
    accountId: null,
    title: "T",
    body: "B",
    preview: "B",
    icon: null,
    read: null,
    opened: null,
    archived: null,
    data: { n: 1 },
    tags: ["a"],
    pinned: null,
    content: {
      title: "T",
      preview: "B",
      html: "",
      actions: [{ href: "https://example.com" }],
      elemental: [
        { __typename: "TextElement", type: "text", content: "B" },
        { __typename: "ActionElement", type: "action", href: "https://example.com" },
      ],
    },
  });
});

test("old clients' signals name a message to a member of a tenant as lists do", async () => {
  const u = await newUser();
  target.inbox.add({ userId: u, tenantId: "acme", viaTenant: true });
  const { body } = await ask('{ messages(params: { accountId: "acme" }) { nodes { messageId } } }');
  const listed = body.data.messages.nodes.map(({ messageId }: { messageId: string }) => messageId);
  assert.match(listed[0], new RegExp(`:${u}$`));
  for (const type of ["opened", "read", "archive"]) {
    const all = await ask(`mutation { batchTrackEvent(eventType: "${type}") { ids } }`);
    assert.deepEqual(all.body.data.batchTrackEvent.ids, listed, type);
  }
});

test("old clients' signals: one message by its tracking id, all of them by a type", async () => {
  const u = await newUser();
  const m = await target.send({ userId: u });
  const n = await target.send({ userId: u, tenantId: "acme" });
  const { body } = await ask(`{ message(messageId: "${m}") { trackingIds { readTrackingId } } }`);
  const id = body.data.message.trackingIds.readTrackingId;
  const event = `mutation { trackEvent(trackingId: "${id}") { id } }`;
  assert.deepEqual((await ask(event)).body.data, { trackEvent: { id: m } });
  assert.deepEqual(await target.history(m), ["READ"]);
  const all = await ask('mutation { batchTrackEvent(eventType: "opened") { ids } }');
  assert.deepEqual(all.body.data.batchTrackEvent.ids, [n, m]);
  assert.equal((await ask('mutation { batchTrackEvent(eventType: "eaten") { ids } }')).status, 400);
  const mine = credential;
  await newUser();
  assert.deepEqual((await ask(event)).body, { data: { trackEvent: null } });
  credential = mine;
  assert.deepEqual((await ask('mutation { trackEvent(trackingId: "x") { id } }')).body, { data: { trackEvent: null } });
});

test("what is not kept says so: pins are none, tags cannot be changed, topics are unknown", async () => {
  const u = await newUser();
  const m = await target.send({ userId: u });
  assert.deepEqual((await ask(`mutation { unpin(messageId: "${m}") }`)).body.data, { unpin: true });
  assert.equal((await ask(`mutation { addTag(messageId: "${m}", tag: "a") }`)).status, 501);
  const topic = await ask(
    'mutation { updatePreferenceV2(templateId: "t", preferences: {status: OPTED_OUT}) { status } }',
  );
  assert.deepEqual([topic.status, topic.body.type], [404, "not_found"]);
  const { status, body } = await ask(`{ preferencePage { heading } recipientPreferences { nodes { status } }
    recipientPreference(templateId: "t") { status } digestSchedulesForTopic(templateId: "t") { scheduleId }
    banners { totalCount nodes { id } } inAppBrand { id } messages(params: { pinned: true }) { totalCount } }`);
  assert.equal(status, 200);
  assert.deepEqual(body.data, {
    preferencePage: null,
    recipientPreferences: { nodes: [] },
    recipientPreference: null,
    digestSchedulesForTopic: [],
    banners: { totalCount: 0, nodes: [] },
    inAppBrand: null,
    messages: { totalCount: 0 },
  });
});

test("when only some fields fail the rest is answered with 200; when all fail, with the first one's status", async () => {
  const u = await newUser();
  const m = await target.send({ userId: u });
  const some = await ask(`mutation { read(messageId: "${m}") addTag(messageId: "${m}", tag: "a") }`);
  assert.deepEqual([some.status, some.body.data, some.body.errors?.length], [200, { read: true, addTag: null }, 1]);
  const all = await ask('mutation { batchTrackEvent(eventType: "?") { ids } addTag(messageId: "m", tag: "a") }');
  assert.equal(all.status, 400);
  assert.equal(all.body.data, null);
  assert.equal(all.body.errors?.[0]?.message, all.body.message);
});

test("our own mistakes are a 500 that explains nothing", async () => {
  await newUser();
  const { inbox } = target.inbox.engine;
  const { count } = inbox;
  Object.assign(inbox, { count: () => Promise.reject(new Error("column count does not exist")) });
  const { status, body } = await ask("{ count }");
  Object.assign(inbox, { count });
  assert.deepEqual([status, body.type, body.message], [500, "internal_error", "Internal error"]);
  assert.ok(!JSON.stringify(body).includes("column"));
});

test("a document of a form that was fine before is checked for what its texts can spoil", async () => {
  const u = await newUser();
  const m = await target.send({ userId: u });
  const twice = (a: string, b: string) => `mutation { read(messageId: "${a}") read(messageId: "${b}") }`;
  assert.equal((await ask(twice(m, m))).status, 200);
  assert.equal((await ask(twice(m, "other"))).status, 400);
  const from = (text: string) => `query ($p: FilterParamsInput = { from: "${text}" }) { count(params: $p) }`;
  assert.equal((await ask(from("2026-01-01"))).status, 200);
  assert.equal((await ask(from("someday"))).status, 400);
  const quoted = (text: string) => `mutation { read(messageId: "${text}") }`;
  assert.deepEqual((await ask(quoted('\\" } x { \\"'))).body.data, { read: false });
  assert.equal((await ask(quoted('" y: "'))).status, 400);
});

test("documents beyond the limits are refused, quickly", async () => {
  await newUser();
  const field = 'count(params: { status: "unread" })';
  const aliases = (n: number): string => `{ ${Array.from({ length: n }, (_, i) => `a${i}: ${field}`).join(" ")} }`;
  assert.equal((await ask(aliases(250))).status, 200);
  const bombs = [
    aliases(1_000),
    `{ ${"__typename ".repeat(4_000)} }`,
    `{ ${"count ".repeat(6_000)} }`,
    `query ${"{ messages ".repeat(1_500)} ${"}".repeat(1_500)}`,
    `{ count(params: ${"[".repeat(2_400)}${"]".repeat(2_400)}) }`,
    `{ count(params: ${"{ a: ".repeat(1_200)} 1 ${"}".repeat(1_200)}) }`,
    `{ ...f0 } ${Array.from({ length: 20 }, (_, i) => `fragment f${i} on Query { ${`...f${i + 1} `.repeat(20)} }`).join(" ")} fragment f20 on Query { count }`,
    "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
    `{ ${Array.from({ length: 60 }, (_, i) => `m${i}: messages { totalCount }`).join(" ")} }`,
    "{ __schema { types { fields { type { ofType { ofType { ofType { ofType { ofType { ofType { ofType { ofType { name } } } } } } } } } } } } }",
  ];
  for (const bomb of bombs) {
    const started = performance.now();
    const { status, body } = await ask(bomb);
    assert.deepEqual([status, body.type], [400, "invalid_request_error"], bomb.slice(0, 60));
    assert.ok(performance.now() - started < 1_000, bomb.slice(0, 60));
  }
});

test("bad input is refused in the shape that clients read", async () => {
  const u = await newUser();
  await target.send({ userId: u });
  const bad = [
    "",
    "[]",
    "5",
    "null",
    "{",
    "{}",
    '{"query":5}',
    '{"query":""}',
    '{"query":"{"}',
    '{"query":"{ nothing }"}',
    '{"query":"subscription { count }"}',
    '{"query":"query A { count } query B { count }"}',
    '{"query":"query A { count }","operationName":"C"}',
    '{"query":"{ count }","operationName":{}}',
    '{"query":"{ count }","variables":"["}',
    '{"query":"{ count }","variables":"[1]"}',
    '{"query":"{ count }","variables":5}',
    '{"query":"{ count(params: { status: \\"old\\" }) }"}',
    '{"query":"{ count(params: { status: 5 }) }"}',
    '{"query":"{ count(params: { from: true }) }"}',
    '{"query":"query ($f: DateFilter) { count(params: { from: $f }) }","variables":{"f":{}}}',
    '{"query":"query ($f: DateFilter) { count(params: { from: $f }) }","variables":{"f":1e300}}',
    '{"query":"query ($p: FilterParamsInput) { count(params: $p) }","variables":{"p":{"accountId":"a\\u0000b"}}}',
    '{"query":"query ($p: FilterParamsInput) { count(params: $p) }","variables":{"p":{"tags":["\\ud800"]}}}',
    '{"query":"query ($p: FilterParamsInput) { count(params: $p) }","variables":"{\\"p\\":{\\"__proto__\\":{}}}"}',
    '{"query":"{ messages(after: \\"../..\\") { totalCount } }"}',
    '{"query":"mutation { read }"}',
  ];
  for (const body of bad) {
    const answer = await post(body);
    assert.equal(answer.status, 400, body);
    assert.equal(answer.type, "invalid_request_error", body);
    assert.equal(answer.data, null, body);
    assert.equal(answer.errors?.[0]?.message, answer.message, body);
  }
  assert.equal((await post(JSON.stringify({ query: `{ count } #${"x".repeat(300_000)}` }))).status, 413);
  assert.equal((await ask('mutation { read(messageId: "a\\u0000b") }')).body.data.read, false);
});

test("the secret key acts for the user it names", async () => {
  const u = await newUser();
  await target.send({ userId: u });
  const key = `Bearer ${target.secretKey}`;
  const { body } = await graphql(target, key, "{ count }", { headers: { "x-courier-user-id": u } });
  assert.deepEqual(body, { data: { count: 1 } });
  assert.equal((await graphql(target, key, "{ count }")).status, 400);
});
