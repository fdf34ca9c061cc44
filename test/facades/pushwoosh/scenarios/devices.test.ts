/** Scenarios 19 to 22 and 24 to 26: users and their devices. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { forEachPushwoosh, SECRET_KEY } from "../pushwoosh-target.ts";

forEachPushwoosh((dialect, open) => {
  let names = 0;
  const name = (what: string): string => `${what}-${names++}`;

  test(`${dialect}: 19. one inbox on many devices`, async () => {
    const target = await open();
    const [user, a, b] = [name("user"), name("a"), name("b")];
    for (const hwid of [a, b]) await target.ok("registerDevice", { hwid, userId: user, device_type: 11 });
    await target.send({ users: [user] });
    const [onA, onB] = await Promise.all([a, b].map((hwid) => target.ok("getInboxMessages", { hwid })));
    assert.deepEqual(onA.messages, onB.messages);
    assert.equal(onA.messages.length, 1);
    await target.ok("inboxStatus", { hwid: a, inbox_code: onA.messages[0].order, status: 2 });
    assert.equal((await target.ok("getInboxMessages", { hwid: b })).messages[0].status, 2);
  });

  test(`${dialect}: 20. a device without a user, and the user it then gets`, async () => {
    const target = await open();
    const [hwid, user] = [name("hwid"), name("u9")];
    await target.ok("registerDevice", { hwid, device_type: 11 });
    await target.send({ devices: [hwid], content: "for whoever you are" });
    for (const fields of [{ hwid }, { userId: hwid }, { hwid, userId: hwid }]) {
      assert.equal((await target.ok("getInboxMessages", fields)).messages.length, 1);
    }
    const order = (await target.fetch(hwid)).messages[0]?.order;
    await target.ok("inboxStatus", { hwid, inbox_code: order, status: 2 });
    await target.ok("registerUser", { hwid, userId: user });
    const inbox = await target.fetch(user);
    assert.deepEqual([inbox.messages.length, inbox.messages[0]?.status, inbox.messages[0]?.order], [1, 2, order]);
    await target.ok("inboxStatus", { userId: user, inbox_code: order, status: 3 });
    assert.equal((await target.fetch(user)).messages[0]?.status, 3);
    assert.equal((await target.fetch(user, { count: 1, last_code: inbox.messages[0]?.inbox_id })).messages.length, 0);
    assert.equal((await target.fetch(hwid)).messages.length, 0);
    await target.send({ users: [`${hwid}-b`] });
    await Promise.all([1, 2, 3, 4].map(() => target.ok("registerUser", { hwid: `${hwid}-b`, userId: user })));
    assert.equal((await target.fetch(user)).messages.length, 2, "also when a client says it several times at once");
  });

  test(`${dialect}: a message that both had keeps the higher status, deleted included`, async () => {
    const target = await open();
    for (const [theirs, ours, expected] of [
      [3, 1, 3],
      [1, 2, 2],
      [4, 1, null],
      [2, 4, null],
    ] as const) {
      const [hwid, user] = [name("hwid"), name("user")];
      await target.ok("registerDevice", { hwid });
      const code = await target.send({ users: [hwid, user] });
      const order = (await target.fetch(user)).messages[0]?.order;
      await target.ok("inboxStatus", { userId: hwid, inbox_code: order, status: theirs });
      await target.ok("inboxStatus", { userId: user, inbox_code: order, status: ours });
      await target.ok("registerUser", { hwid, userId: user });
      const inbox = await target.fetch(user);
      assert.deepEqual(
        inbox.messages.map((message) => message.status),
        expected === null ? [] : [expected],
      );
      assert.equal((await target.fetch(user, { count: 3 })).new_inbox, 0);
      await target.ok("deleteMessage", { auth: SECRET_KEY, message: code });
      const after = await target.fetch(user);
      assert.deepEqual([after.messages.length, after.deleted.length], [0, 1]);
    }
  });

  // Of the newest 1,000 messages only was it looked at; the others came back as new, and were there twice.
  test(`${dialect}: the same of very many messages that both had`, async () => {
    const target = await open();
    const [hwid, user] = [name("hwid"), name("user")];
    await target.ok("registerDevice", { hwid });
    await target.send({ users: [hwid, user], content: "first" });
    const [first] = (await target.fetch(hwid)).messages;
    await target.ok("inboxStatus", { userId: hwid, inbox_code: first?.order, status: 4 });
    const notifications = Array.from({ length: 1_000 }, (_, i) => ({
      content: `${i}`,
      users: [hwid, user],
      inbox_days: 1,
    }));
    await target.ok("createMessage", { auth: SECRET_KEY, notifications });
    await target.ok("registerUser", { hwid, userId: user });
    assert.equal((await target.fetch(user)).messages.length, 1_000);
    const page = await target.fetch(user, { count: 5 });
    assert.deepEqual([page.messages.length, page.new_inbox], [5, 1_000]);
  });

  test(`${dialect}: what a device is called is no way to another user's inbox`, async () => {
    const target = await open();
    const [user, thief] = [name("victim"), name("thief")];
    await target.engine.directory.modifyUser(target.environment.id, user, target.clock.now(), () => ({ email: "v@x" }));
    await target.send({ users: [user] });
    await target.ok("registerDevice", { hwid: user });
    await target.ok("registerUser", { hwid: user, userId: thief });
    assert.equal((await target.fetch(thief)).messages.length, 0);
    assert.equal((await target.fetch(user)).messages.length, 1);
    const merge = { oldUserId: user, newUserId: thief, merge: true };
    assert.equal((await target.call("mergeUser", merge)).code, 210);
    const [own, hwid] = [name("owner"), name("hwid")];
    await target.ok("registerDevice", { hwid, userId: own });
    await target.ok("registerDevice", { hwid: own });
    await target.send({ users: [own] });
    await target.ok("registerUser", { hwid: own, userId: thief });
    assert.equal((await target.fetch(own)).messages.length, 1, "another device's user is not anonymous");
  });

  test(`${dialect}: 21. a device changes hands`, async () => {
    const target = await open();
    const [hwid, u1, u2] = [name("hwid"), name("u1"), name("u2")];
    await target.ok("registerDevice", { hwid, userId: u1 });
    await target.send({ users: [u1], content: "one" });
    await target.ok("registerUser", { hwid, userId: u2 });
    assert.equal((await target.ok("getInboxMessages", { hwid })).messages.length, 0);
    assert.equal((await target.fetch(u1)).messages.length, 1);
    assert.equal((await target.ok("getInboxMessages", { hwid, userId: u1 })).messages.length, 1, "a named user wins");
    assert.equal((await target.ok("getInboxMessages", { hwid })).messages.length, 0, "and changes nothing");
    await target.send({ users: [u2], content: "two" });
    await target.ok("registerUser", { hwid, userId: hwid });
    assert.equal((await target.ok("getInboxMessages", { hwid })).messages.length, 0, "logged out");
    assert.equal((await target.fetch(u2)).messages.length, 1);
  });

  test(`${dialect}: mergeUser moves, or drops`, async () => {
    const target = await open();
    const [old, into, gone, hwid] = [name("old"), name("into"), name("gone"), name("hwid")];
    await target.ok("registerDevice", { hwid, userId: old, push_token: `token-of-${hwid}` });
    await target.send({ users: [old, gone] });
    await target.ok("mergeUser", { hwid, oldUserId: old, newUserId: into, merge: true, ts: 1 });
    assert.equal((await target.fetch(into)).messages.length, 1);
    assert.equal((await target.fetch(old)).messages.length, 0);
    assert.equal((await target.ok("getInboxMessages", { hwid })).messages.length, 1);
    const tokens = await target.engine.directory.tokens(target.environment.id, into);
    assert.deepEqual(
      tokens.map((token) => token.token),
      [`token-of-${hwid}`],
    );
    await target.ok("mergeUser", { oldUserId: gone, newUserId: into, merge: false });
    assert.deepEqual([(await target.fetch(gone)).messages.length, (await target.fetch(into)).messages.length], [0, 1]);
  });

  test(`${dialect}: 22. devices that are not known are named`, async () => {
    const target = await open();
    const [hwid, user, other] = [name("hwid"), name("user"), name("other")];
    await target.ok("registerDevice", { hwid, userId: user, push_token: `push-${hwid}` });
    const create = (notification: object) =>
      target.ok("createMessage", {
        auth: SECRET_KEY,
        notifications: [{ content: "x", inbox_days: 1, ...notification }],
      });
    const { Messages, UnknownDevices } = await create({ devices: [hwid, "nope"] });
    assert.deepEqual(UnknownDevices, { [Messages[0]]: ["nope"] });
    assert.equal((await target.fetch(user)).messages.length, 1);
    assert.deepEqual(Object.keys(await create({ devices: [hwid] })), ["Messages"]);
    await create({ devices: [`push-${hwid}`, hwid] });
    assert.equal((await target.fetch(user)).messages.length, 3, "by its token, and once for both");
    await create({ users: [other], devices: [hwid] });
    assert.equal((await target.fetch(user)).messages.length, 3);
    assert.equal((await target.fetch(other)).messages.length, 1);
    const none = await create({ devices: ["nope"] });
    assert.deepEqual(none.UnknownDevices, { [none.Messages[0]]: ["nope"] });
  });

  test(`${dialect}: 24. a device never seen before`, async () => {
    const target = await open();
    const hwid = name("fresh");
    assert.equal(await target.ok("unregisterDevice", { hwid }), null);
    assert.deepEqual(await target.ok("checkDevice", { hwid }), { exist: false, push_token_exist: false });
    assert.equal(await target.ok("registerUser", { hwid, userId: name("user"), ts_offset: 3600 }), null);
    assert.equal(await target.ok("applicationOpen", { hwid }), null);
    assert.deepEqual(await target.ok("getTags", { hwid: name("never") }), { result: {} });
    const tags = { Language: "de", age: 42, vip: true, likes: ["a", "b"], odd: null };
    assert.equal(await target.ok("setTags", { hwid, tags }), null);
    const result = { Language: "de", age: 42, vip: true, likes: ["a", "b"] };
    assert.deepEqual(await target.ok("getTags", { hwid }), { result });
    assert.equal(await target.ok("deleteDevice", { hwid: name("never") }), null);
    assert.equal(await target.ok("setBadge", { hwid, badge: 3 }), null);
  });

  test(`${dialect}: tags are set, changed and removed`, async () => {
    const target = await open();
    const hwid = name("tagged");
    const change = (tags: object) => target.ok("setTags", { hwid, tags });
    await change({ a: 1, list: ["x"], gone: "soon", constructor: "c" });
    await change({ gone: null, a: { operation: "increment", value: 2 }, list: { operation: "append", value: ["y"] } });
    await change({ list: { operation: "remove", value: "x" }, fresh: { operation: "increment", value: 5 } });
    const result = { a: 3, list: ["y"], constructor: "c", fresh: 5 };
    assert.deepEqual((await target.ok("getTags", { hwid })).result, result);
    const user = name("user");
    await target.ok("registerUser", { hwid, userId: user });
    assert.deepEqual((await target.ok("getTags", { userId: user })).result, result);
    assert.equal((await target.call("setTags", { hwid, tags: { big: "x".repeat(70_000) } })).code, 210);
    assert.equal((await target.call("setTags", { hwid, tags: { a: { operation: "explode", value: 1 } } })).code, 210);
    await Promise.all(Array.from({ length: 10 }, () => change({ a: { operation: "increment", value: 1 } })));
    assert.equal((await target.ok("getTags", { hwid })).result.a, 13, "none of them is lost");
  });

  test(`${dialect}: 25. from registered to gone`, async () => {
    const target = await open();
    const [hwid, user] = [name("hwid"), name("user")];
    const check = () => target.ok("checkDevice", { hwid });
    await target.ok("registerDevice", { hwid, userId: user, push_token: name("push") });
    assert.deepEqual(await check(), { exist: true, push_token_exist: true });
    await target.ok("registerDevice", { hwid, userId: user });
    assert.deepEqual(await check(), { exist: true, push_token_exist: true }, "no token erases none");
    await target.send({ users: [user] });
    await target.ok("unregisterDevice", { hwid });
    assert.deepEqual(await check(), { exist: true, push_token_exist: false });
    assert.equal((await target.ok("getInboxMessages", { hwid })).messages.length, 1);
    await target.ok("deleteDevice", { hwid });
    assert.deepEqual(await check(), { exist: false, push_token_exist: false });
    assert.equal((await target.fetch(user)).messages.length, 1);
  });

  test(`${dialect}: 26. a token has one device`, async () => {
    const target = await open();
    const [a, b, u1, u2, token] = [name("a"), name("b"), name("u1"), name("u2"), `https://push.test/${name("t")}`];
    await target.ok("registerDevice", { hwid: a, userId: u1, push_token: token, device_type: 11 });
    await target.send({ users: [u1], content: "before" });
    await target.until(async () => target.pushes.some(({ delivery }) => delivery.userId === u1));
    await target.ok("registerDevice", { hwid: b, userId: u2, push_token: token, device_type: 11 });
    assert.deepEqual(await target.ok("checkDevice", { hwid: a }), { exist: true, push_token_exist: false });
    await target.send({ users: [u1, u2], content: "after" });
    await target.until(async () => target.pushes.some(({ delivery }) => delivery.userId === u2));
    const tokens = (user: string) =>
      target.pushes.filter(({ delivery }) => delivery.userId === user).map(({ delivery }) => delivery.address.tokens);
    assert.deepEqual([tokens(u1), tokens(u2)], [[[token]], [[token]]]);
    assert.equal((await target.fetch(u1)).messages.length, 2, "the inbox needs no token");
    const gone = Promise.all(
      [a, b, a, b].map((hwid) => target.ok("registerDevice", { hwid, push_token: token, device_type: 11 })),
    );
    await gone;
    const held = await Promise.all([a, b].map((hwid) => target.ok("checkDevice", { hwid })));
    assert.equal(held.filter((one) => one.push_token_exist).length, 1);
  });

  test(`${dialect}: all devices of a merged user are pushed to, and a device that registers again is, too`, async () => {
    const target = await open();
    const [old, now, hwid, token] = [name("old"), name("now"), name("h"), `https://push.test/${name("t")}`];
    const register = () => target.ok("registerDevice", { hwid, userId: old, push_token: token, device_type: 11 });
    await register();
    const { directory } = target.engine;
    const { id } = target.environment;
    await directory.deleteToken(id, old, token);
    await register();
    assert.equal((await directory.tokens(id, old)).length, 1);
    await target.ok("mergeUser", { oldUserId: old, newUserId: now, merge: false });
    assert.deepEqual([await directory.tokens(id, old), (await directory.tokens(id, now)).length], [[], 1]);
  });

  test(`${dialect}: many devices at once, and e-mail addresses that are not taken`, async () => {
    const target = await open();
    const user = name("user");
    const push_devices = [
      { hwid: name("x"), platform: 11, push_token: name("pt"), platformData: { public_key: "k", auth_token: "a" } },
      { hwid: name("y"), platform: 1, push_token: name("pt") },
    ];
    const tags = { plan: { operation: 0, value: "pro" }, seen: { operation: 1, values: ["home"] } };
    await target.ok("multiRegisterDevice", { user_id: user, push_devices, tags });
    for (const { hwid } of push_devices) {
      assert.deepEqual(await target.ok("checkDevice", { hwid }), { exist: true, push_token_exist: true });
    }
    assert.deepEqual((await target.ok("getTags", { userId: user })).result, { plan: "pro", seen: ["home"] });
    for (const method of ["registerEmail", "registerEmailUser", "setEmailTags"]) {
      assert.equal(await target.ok(method, { email: "a@b.c", userId: user, tags: {} }), null);
    }
    assert.equal(await target.engine.directory.readUser(target.environment.id, user), null);
  });
});
