/** What an operator can switch per application, beside the device token. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { pushwooshFor, SECRET_KEY } from "./pushwoosh-target.ts";

const OFF = { require_device_token: false };

test("default_inbox_days lets messages into the inbox that do not say", async (t) => {
  const target = await pushwooshFor(t);
  const create = (notification: object) => target.send({ users: ["u1"], inbox_days: null, ...notification });
  await create({ content: "before" });
  await target.setting({ ...OFF, default_inbox_days: 3 });
  await create({ content: "three days" });
  await create({ content: "one day", inbox_days: 1 });
  await create({ content: "its date", inbox_date: "2099-01-01" });
  const { messages } = await target.fetch("u1");
  assert.deepEqual(
    messages.map(({ text, rt, send_date }) => [text, (Number(rt) - Number(send_date)) / 86_400]).slice(1),
    [
      ["one day", 1],
      ["three days", 3],
    ],
  );
  assert.deepEqual([messages[0]?.text, messages[0]?.rt], ["its date", String(Date.UTC(2099, 0, 1) / 1000)]);
  await target.setting(OFF);
  await create({ content: "after" });
  assert.equal((await target.fetch("u1")).messages.length, 3);
});

test("propagate_user_removals tells of what was deleted and archived, until it would have expired", async (t) => {
  const target = await pushwooshFor(t);
  for (const content of ["deleted", "archived", "kept"]) await target.send({ users: ["u1"], content, inbox_days: 7 });
  await target.send({ users: ["u1"], content: "gone soon", inbox_days: 1 });
  const { messages } = await target.fetch("u1");
  const idOf = (text: string): string => messages.find((message) => message.text === text)?.inbox_id ?? "";
  for (const text of ["deleted", "gone soon"]) {
    await target.ok("inboxStatus", { userId: "u1", inbox_code: idOf(text), status: 4 });
  }
  const { id: environmentId } = target.environment;
  const list = await target.engine.inbox.list(environmentId, { userId: "u1" }, target.clock.now(), { limit: 10 });
  const archived = list.items.find(({ content }) => content.body === "archived");
  assert.ok(archived);
  const actor = { via: "courier", origin: null };
  await target.engine.inbox.mark(environmentId, "u1", archived.messageId, "archived", true, actor);

  assert.deepEqual((await target.fetch("u1")).deleted, [], "off until it is set");
  await target.setting({ ...OFF, propagate_user_removals: true });
  for (const page of [{}, { count: 1 }]) {
    const inbox = await target.fetch("u1", page);
    assert.deepEqual(inbox.deleted.toSorted(), [idOf("archived"), idOf("deleted"), idOf("gone soon")].toSorted());
    assert.deepEqual([inbox.messages.length, inbox.new_inbox], [1, 1]);
  }
  assert.deepEqual((await target.fetch("u2")).deleted, []);

  await target.engine.inbox.mark(environmentId, "u1", archived.messageId, "archived", false, actor);
  assert.deepEqual((await target.fetch("u1")).deleted.toSorted(), [idOf("deleted"), idOf("gone soon")].toSorted());
  target.clock.advance(86_400_000);
  assert.deepEqual((await target.fetch("u1")).deleted, [idOf("deleted")]);
  await target.setting(OFF);
  assert.deepEqual((await target.fetch("u1")).deleted, []);
});

// Only the newest 1,000 messages were looked at, mails and texts among them.
test("what was deleted is told of, however much has come since", async (t) => {
  const target = await pushwooshFor(t);
  await target.setting({ ...OFF, propagate_user_removals: true });
  await target.send({ users: ["u1"], content: "the first", inbox_days: 30 });
  const [first] = (await target.fetch("u1")).messages;
  await target.ok("inboxStatus", { userId: "u1", inbox_code: first?.inbox_id, status: 4 });
  const notifications = Array.from({ length: 700 }, (_, i) => ({ content: `${i}`, users: ["u1"], inbox_days: 1 }));
  for (let i = 0; i < 2; i++) await target.ok("createMessage", { auth: SECRET_KEY, notifications });
  for (const page of [{}, { count: 1 }]) assert.deepEqual((await target.fetch("u1", page)).deleted, [first?.inbox_id]);
});

test("a message that a user had twice is not told of as long as one of the two is there", async (t) => {
  const target = await pushwooshFor(t);
  await target.setting({ ...OFF, propagate_user_removals: true });
  await target.ok("registerDevice", { hwid: "h" });
  await target.send({ users: ["h", "u1"] });
  await target.ok("registerUser", { hwid: "h", userId: "u1" });
  const inbox = await target.fetch("u1");
  assert.deepEqual([inbox.messages.length, inbox.deleted], [1, []]);
});
