/** Scenarios 7 to 18: what is in an inbox, in which order, and how it is moved on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { forEachPushwoosh, type PushwooshTarget, SECRET_KEY } from "../pushwoosh-target.ts";

const DAY_S = 86_400;

forEachPushwoosh((dialect, open) => {
  let users = 0;
  const newUser = (): string => `inbox-${users++}`;
  const status = (target: PushwooshTarget, userId: string, order: unknown, to: unknown, more: object = {}) =>
    target.ok("inboxStatus", { userId, inbox_code: order, status: to, ...more });

  test(`${dialect}: 7. a message has its eleven keys`, async () => {
    const target = await open();
    const user = newUser();
    await target.send({
      title: "Invoice ready",
      content: "Your July invoice is available",
      link: "https://shop.example/invoices/7",
      minimize_link: 2,
      inbox_image: "https://shop.example/i.png",
      data: { invoice: 7 },
      users: [user],
    });
    const inbox = await target.fetch(user);
    assert.equal(inbox.messages.length, 1);
    const [message] = inbox.messages;
    assert.equal(message?.title, "Invoice ready");
    assert.equal(message?.text, "Your July invoice is available");
    assert.equal(message?.image, "https://shop.example/i.png");
    assert.equal(message?.action_type, 1);
    const params = JSON.parse(message?.action_params ?? "");
    assert.equal(params.l, "https://shop.example/invoices/7");
    assert.deepEqual(JSON.parse(params.u), { invoice: 7 });
    assert.equal(message?.status, 1);
    assert.deepEqual([inbox.next, inbox.deleted, inbox.new_inbox], ["", [], 1]);
  });

  test(`${dialect}: 8. without a lifetime it is a push only`, async () => {
    const target = await open();
    const user = newUser();
    assert.match(await target.send({ users: [user], inbox_days: null }), /^[0-9A-F-]{22}$/);
    assert.deepEqual(await target.fetch(user), { messages: [], next: "", deleted: [], new_inbox: 0 });
  });

  test(`${dialect}: 9. lifetimes`, async () => {
    const target = await open();
    const user = newUser();
    await target.send({ users: [user], inbox_days: "7" });
    const [week] = (await target.fetch(user)).messages;
    assert.equal(Number(week?.rt) - Number(week?.send_date), 7 * DAY_S);
    const now = target.clock.now();
    const minutes = new Date(now + 2 * DAY_S * 1000).toISOString().slice(0, 16).replace("T", " ");
    target.clock.advance(1);
    await target.send({ users: [user], inbox_date: minutes });
    const [dated] = (await target.fetch(user)).messages;
    assert.equal(Number(dated?.rt) * 1000, Date.parse(`${minutes.replace(" ", "T")}:00Z`), "the date wins");
    target.clock.advance(1);
    const tomorrow = new Date(now + DAY_S * 1000).toISOString().slice(0, 10);
    await target.send({ users: [user], inbox_days: null, inbox_date: tomorrow });
    assert.equal(Number((await target.fetch(user)).messages[0]?.rt) * 1000, Date.parse(`${tomorrow}T00:00:00Z`));
    for (const bad of [
      { inbox_days: 31 },
      { inbox_days: 0 },
      { inbox_days: 1.5 },
      { inbox_days: "x" },
      { inbox_date: "2020-01-01 00:00" },
      { inbox_date: "soon" },
      { inbox_date: "2026-02-31 00:00" },
    ]) {
      const notifications = [{ content: "x", users: [user], ...bad }];
      const answer = await target.call("createMessage", { auth: SECRET_KEY, notifications });
      assert.deepEqual([answer.http, answer.code, answer.response], [200, 210, { Messages: [] }], JSON.stringify(bad));
    }
  });

  test(`${dialect}: 10. read, opened, deleted`, async () => {
    const target = await open();
    const user = newUser();
    await target.send({ users: [user] });
    const order = (await target.fetch(user)).messages[0]?.order;
    assert.equal(await status(target, user, order, 2), null);
    let inbox = await target.fetch(user);
    assert.deepEqual([inbox.messages[0]?.status, inbox.new_inbox], [2, 0]);
    await status(target, user, order, 3);
    assert.equal((await target.fetch(user)).messages[0]?.status, 3);
    await status(target, user, order, 4);
    inbox = await target.fetch(user);
    assert.deepEqual(inbox, { messages: [], next: "", deleted: [], new_inbox: 0 });
  });

  test(`${dialect}: 11. a status only rises, and counts once`, async () => {
    const target = await open();
    const user = newUser();
    await target.send({ users: [user] });
    const order = (await target.fetch(user)).messages[0]?.order;
    await Promise.all([3, 3, 3].map((to) => status(target, user, order, to)));
    const page = await target.engine.inbox.list(target.environment.id, { userId: user }, target.clock.now(), {
      limit: 1,
    });
    const before = page.items[0];
    target.clock.advance(5_000);
    for (const lower of [1, 2, 3]) await status(target, user, order, lower);
    assert.equal((await target.fetch(user)).messages[0]?.status, 3);
    const record = await target.engine.messages.read(target.environment.id, before?.messageId ?? ("msg_" as never));
    assert.equal(record?.events.filter((event) => event.kind === "clicked").length, 1);
    assert.equal(record?.events.filter((event) => event.kind === "read").length, 1);
    const after = record?.deliveries.find((one) => one.id === before?.id);
    assert.deepEqual([after?.readAt, after?.interactedAt], [before?.readAt, before?.interactedAt]);
    await status(target, user, order, 4);
    await status(target, user, order, 2);
    assert.equal((await target.fetch(user)).messages.length, 0);
  });

  test(`${dialect}: 12. codes that mean nothing to the user do nothing`, async () => {
    const target = await open();
    const [user, other] = [newUser(), newUser()];
    await target.send({ users: [user] });
    const [message] = (await target.fetch(user)).messages;
    const codes = ["179517503110101", message?.order, message?.inbox_id, "999999999999999999999", "nonsense", 7];
    for (const code of codes) assert.equal(await status(target, other, code, 4), null);
    for (const code of ["179517503110101", "100000000000000", "nonsense"]) await status(target, user, code, 4);
    assert.equal((await target.fetch(user)).messages[0]?.status, 1);
  });

  test(`${dialect}: 13. whoever it is named by`, async () => {
    const target = await open();
    const user = newUser();
    await target.ok("registerDevice", { hwid: `${user}-device`, userId: user, device_type: 11 });
    const ways: ((order: string, inboxId: string) => object)[] = [
      (order) => ({ userId: user, inbox_code: Number(order), status: 2 }),
      (order) => ({ userID: user, inbox_code: order, status: "2" }),
      (order) => ({ user_id: user, inbox_code: order, status: 2, time: Date.now() }),
      (order) => ({ userId: user, inbox_code: order, status: 2, time: "1700000000" }),
      (order) => ({ hwid: `${user}-device`, inbox_code: order, status: 2 }),
      (order) => ({ userId: user, hwid: "another", inbox_code: order, status: 2, hash: "x", device_type: 1 }),
      (_, inboxId) => ({ userId: user, inbox_code: inboxId, status: 2 }),
    ];
    for (const way of ways) {
      target.clock.advance(1);
      await target.send({ users: [user] });
      const [message] = (await target.fetch(user)).messages;
      await target.ok("inboxStatus", way(message?.order ?? "", message?.inbox_id ?? ""));
      assert.equal((await target.fetch(user)).messages[0]?.status, 2);
    }
  });

  test(`${dialect}: 14. pages`, async () => {
    const target = await open();
    const [user, other] = [newUser(), newUser()];
    for (let i = 1; i <= 5; i++) {
      target.clock.advance(i === 3 ? 0 : 1_000);
      await target.send({ users: [user], content: String(i) });
    }
    const first = await target.fetch(user, { count: 2 });
    assert.deepEqual(
      first.messages.map((message) => message.text),
      ["5", "4"],
    );
    assert.equal(first.new_inbox, 5);
    assert.notEqual(first.next, "");
    await target.send({ users: [user], content: "6" });
    const second = await target.fetch(user, { count: "2", last_code: first.next });
    assert.deepEqual(
      second.messages.map((message) => message.text),
      ["3", "2"],
    );
    const third = await target.fetch(user, { count: 2, last_code: second.messages[1]?.inbox_id });
    assert.deepEqual([third.messages.map((message) => message.text), third.next], [["1"], ""]);
    const rest = await target.fetch(user, { count: 0, last_code: first.next });
    assert.deepEqual([rest.messages.length, rest.next, rest.new_inbox], [3, "", 6]);
    await target.send({ users: [other], content: "theirs" });
    const foreign = (await target.fetch(other)).messages[0]?.inbox_id;
    for (const code of ["garbage", foreign, "", null, "m_00000000000000000000000000", {}, 17]) {
      const page = await target.fetch(user, { count: 2, last_code: code });
      assert.deepEqual(
        page.messages.map((message) => message.text),
        ["6", "5"],
      );
    }
    await status(target, user, second.messages[0]?.order, 4);
    const behindDeleted = await target.fetch(user, { count: 2, last_code: second.messages[0]?.inbox_id });
    assert.deepEqual(
      behindDeleted.messages.map((message) => message.text),
      ["2", "1"],
    );
  });

  test(`${dialect}: 15. everything, however much it is`, async () => {
    const target = await open();
    const user = newUser();
    const notifications = Array.from({ length: 250 }, (_, i) => ({ content: `${i}`, users: [user], inbox_days: 1 }));
    await target.ok("createMessage", { auth: SECRET_KEY, notifications });
    for (const more of [{ count: 0 }, {}, { count: "0", last_request_time: 1.5 }]) {
      const inbox = await target.fetch(user, more);
      assert.deepEqual([inbox.messages.length, inbox.next, inbox.new_inbox], [250, "", 250]);
      assert.deepEqual(
        inbox.messages.map((message) => message.text),
        notifications.map((one) => one.content).reverse(),
      );
    }
    const seen = new Set<string>();
    for (let next: string | undefined; next !== ""; ) {
      const page = await target.fetch(user, { count: 60, last_code: next });
      for (const { inbox_id } of page.messages) seen.add(inbox_id);
      next = page.next;
    }
    assert.equal(seen.size, 250);
  });

  // Two of one millisecond could have the same order: a page that ended between them left one out, and a status that was
  // reported of one was the other's.
  test(`${dialect}: of very many in one millisecond none is left out of the pages, and each has a code of its own`, async () => {
    const target = await open();
    const user = newUser();
    const recipients = [{ kind: "user" as const, userId: user, profile: {} }];
    for (let i = 0; i < 130; i++) {
      const source = { title: `${i}`, body: "x" };
      if (i % 5 === 0) await target.send({ users: [user], title: `${i}` });
      else await target.sendOtherwise({ recipients, content: { kind: "inline", language: "plain", source } });
    }
    const all = (await target.fetch(user)).messages;
    assert.deepEqual(
      all.map(({ title }) => title),
      Array.from({ length: 130 }, (_, i) => `${129 - i}`),
    );
    assert.equal(new Set(all.map(({ order }) => order)).size, 130);
    const paged: string[] = [];
    for (let next: string | undefined; next !== ""; ) {
      const page = await target.fetch(user, { count: 7, last_code: next });
      paged.push(...page.messages.map(({ title }) => title));
      next = page.next;
    }
    assert.deepEqual(
      paged,
      all.map(({ title }) => title),
    );
    for (const one of all.slice(0, 3)) {
      await status(target, user, one.order, 2);
      const read = (await target.fetch(user)).messages.filter((message) => message.status === 2);
      assert.equal(read.at(-1)?.inbox_id, one.inbox_id);
    }
  });

  test(`${dialect}: 16. orders rise with time`, async () => {
    const target = await open();
    const user = newUser();
    for (const [i, wait] of [0, 0, 10, 0, 60_000].entries()) {
      target.clock.advance(wait);
      await target.send({ users: [user], content: String(i) });
    }
    const { messages } = await target.fetch(user);
    assert.deepEqual(
      messages.map((message) => message.text),
      ["4", "3", "2", "1", "0"],
    );
    const orders = messages.map((message) => Number(message.order));
    assert.ok(orders.every((order, i) => i === 0 || order < (orders[i - 1] as number)));
    assert.equal(new Set(messages.map((message) => message.inbox_id)).size, 5);
    assert.equal(new Set(messages.map((message) => message.hash)).size, 5);
  });

  test(`${dialect}: 17. what the sender takes back`, async () => {
    const target = await open();
    const [u1, u2, u3, u4] = [newUser(), newUser(), newUser(), newUser()];
    const code = await target.send({ users: [u1, u2, u4], content: "oops" });
    await target.send({ users: [u1], content: "stays" });
    const [mine, theirs] = [await target.fetch(u1), await target.fetch(u2)];
    const id = theirs.messages[0]?.inbox_id;
    assert.equal(mine.messages[1]?.inbox_id, id, "one message for all who got it");
    assert.equal(mine.messages[1]?.order, theirs.messages[0]?.order);
    assert.equal(mine.messages[1]?.hash, theirs.messages[0]?.hash);
    await status(target, u4, theirs.messages[0]?.order, 4);
    assert.equal(await target.ok("deleteMessage", { auth: SECRET_KEY, message: code }), null);
    assert.deepEqual(await target.fetch(u1, { count: 1 }), {
      messages: [mine.messages[0]],
      next: "",
      deleted: [id],
      new_inbox: 1,
    });
    assert.deepEqual(await target.fetch(u2), { messages: [], next: "", deleted: [id], new_inbox: 0 });
    assert.deepEqual((await target.fetch(u4)).deleted, [id], "also for whom had deleted it");
    assert.deepEqual((await target.fetch(u3)).deleted, []);
    await target.ok("deleteMessage", { auth: SECRET_KEY, message: code.toLowerCase(), application: undefined });
    const other = await target.another();
    for (const [auth, message] of [
      [SECRET_KEY, "0000-00000000-00000000"],
      [SECRET_KEY, "nonsense"],
      [SECRET_KEY, undefined],
      [other.secretKey, code],
      ["wrong", code],
    ]) {
      assert.equal((await target.call("deleteMessage", { auth, message, application: undefined })).code, 210);
    }
    await status(target, u1, mine.messages[1]?.order, 2);
    assert.deepEqual((await target.fetch(u1)).deleted, [id]);
    target.clock.advance(8 * DAY_S * 1000);
    assert.deepEqual((await target.fetch(u1)).deleted, [], "until it would have expired");
  });

  test(`${dialect}: 18. what has expired is gone`, async () => {
    const target = await open();
    const user = newUser();
    const end = new Date(target.clock.now() + 3 * 60_000).toISOString().slice(0, 16).replace("T", " ");
    const code = await target.send({ users: [user], inbox_days: null, inbox_date: end });
    const [message] = (await target.fetch(user)).messages;
    assert.equal((await target.fetch(user)).new_inbox, 1);
    target.clock.advance(3 * 60_000);
    assert.deepEqual(await target.fetch(user), { messages: [], next: "", deleted: [], new_inbox: 0 });
    assert.deepEqual((await target.fetch(user, { count: 5 })).new_inbox, 0);
    assert.equal(await status(target, user, message?.order, 2), null);
    await target.ok("deleteMessage", { auth: SECRET_KEY, message: code });
    assert.deepEqual((await target.fetch(user)).deleted, []);
  });

  test(`${dialect}: an answer that is kept is never an old one`, async () => {
    const target = await open();
    const { environment, store, clock } = target;
    const user = newUser();
    const code = await target.send({ users: [user], inbox_days: 1, content: "short" });
    await target.send({ users: [user], inbox_days: 9, content: "long" });
    const fresh = async () => {
      const inbox = await target.fetch(user);
      assert.deepEqual(await target.fetch(user), inbox);
      return inbox.messages.map((message) => [message.text, message.status]);
    };
    assert.deepEqual(await fresh(), [
      ["long", 1],
      ["short", 1],
    ]);
    // Past the engine, as another process would: nobody here is told of it.
    const page = await store.inbox.list(environment.id, { userId: user }, clock.now(), { limit: 2 });
    const change = (field: "interacted" | "read" | "archived", value: boolean, i: number) =>
      store.inbox.change(
        environment.id,
        user,
        [{ deliveryId: page.items[i]?.id ?? "dlv_", field, value, again: "keep" }],
        clock.now(),
        () => [],
      );
    await change("interacted", true, 0);
    assert.deepEqual((await fresh())[0], ["long", 3]);
    await Promise.all([change("read", true, 1), change("read", true, 0)]);
    assert.deepEqual((await fresh())[1], ["short", 2]);
    await store.inbox.change(
      environment.id,
      user,
      page.items.map(({ id }, i) => ({
        deliveryId: id,
        field: "read" as const,
        value: i === 0,
        again: "keep" as const,
      })),
      clock.now(),
      () => [],
    );
    assert.deepEqual((await fresh())[1], ["short", 1]);
    await change("archived", true, 1);
    assert.equal((await fresh()).length, 1);
    await change("archived", false, 1);
    assert.equal((await fresh()).length, 2);
    clock.advance(DAY_S * 1000);
    assert.deepEqual(await fresh(), [["long", 3]]);
    await target.ok("deleteMessage", { auth: SECRET_KEY, message: code });
    const other = await target.send({ users: [user], content: "other" });
    await target.ok("inboxStatus", {
      userId: user,
      inbox_code: (await target.fetch(user)).messages[0]?.order,
      status: 4,
    });
    assert.equal((await fresh()).length, 1);
    await target.ok("deleteMessage", { auth: SECRET_KEY, message: other });
    assert.equal((await target.fetch(user)).deleted.length, 1, "nothing moved, and still it is told of");
  });
});
