/** Scenarios 23 and 30, and what else there is to sending: audiences, languages, later, taking back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { forEachPushwoosh, pushwooshFor, SECRET_KEY } from "../pushwoosh-target.ts";

forEachPushwoosh((dialect, open) => {
  let names = 0;
  const name = (what: string): string => `${what}-${names++}`;

  test(`${dialect}: 23. batches, and transactions that are sent once`, async () => {
    const target = await open();
    const [u1, u2] = [name("u1"), name("u2")];
    const one = { content: "for one", users: [u1], inbox_days: 1, transactionId: name("t") };
    const two = { content: "for two", users: [u2], inbox_days: 1, transactionId: name("t") };
    const create = (notifications: unknown) => target.call("createMessage", { auth: SECRET_KEY, notifications });
    const first = await create([one, two]);
    assert.equal(first.response.Messages.length, 2);
    const again = await create([one, two, one]);
    assert.deepEqual(again.response.Messages, [...first.response.Messages, first.response.Messages[0]]);
    const both = await Promise.all([u1, u2].map((user) => target.fetch(user)));
    assert.deepEqual(
      both.map((inbox) => inbox.messages.map((message) => message.text)),
      [["for one"], ["for two"]],
    );
    const bad = [
      { ...one, transactionId: name("t"), inbox_days: 99 },
      { users: [u1] },
      { content: {}, users: [u1] },
      { content: { en: 7 }, users: [u1] },
      { content: ["a"], users: [u1] },
      { content: "x", users: [] },
      { content: "x", users: ["nul\u0000"] },
      { content: "x", users: ["\ud800"] },
      { content: "x", users: [""] },
      { content: "x", users: "u1" },
      { content: "x", users: [{}] },
      { content: "x", users: Array.from({ length: 1_001 }, (_, i) => `u${i}`) },
      { content: "x", users: [u1], conditions: [["a", "EQ", "b"]] },
      { content: "x", users: [u1], filter: "f" },
      { content: "x", users: [u1], preset: "p" },
      { content: "x", users: [u1], send_date: "yesterday" },
      { content: "x", users: [u1], send_date: "2030-01-01 00:00" },
      { content: "x", users: [u1], timezone: "Mars/Olympus" },
      { content: "x", users: [u1], link: " java\nscript:alert(1)" },
      { content: "x", users: [u1], data: 7 },
      { content: "x", users: [u1], transactionId: "x".repeat(300) },
      null,
      "x",
      [],
    ];
    for (const notification of bad) {
      const answer = await create([{ content: "good", users: [u1], inbox_days: 1 }, notification]);
      assert.deepEqual([answer.http, answer.code, answer.response], [200, 210, { Messages: [] }]);
      assert.match(answer.message, /^notifications\[1\]/);
    }
    for (const notifications of [undefined, [], "x", {}, Array.from({ length: 1_001 }, () => one)]) {
      assert.equal((await create(notifications)).code, 210);
    }
    const group = { auth: SECRET_KEY, applications_group: "G", notifications: [one] };
    assert.equal((await target.call("createMessage", group)).code, 210);
    assert.equal((await target.fetch(u1)).messages.length, 1);
    target.clock.advance(24 * 3_600_000 + 1);
    await create([one]);
    assert.equal((await target.fetch(u1)).messages.length, 1, "a day later it is another one; the first has expired");
  });

  test(`${dialect}: 30. silent, and hostile content`, async () => {
    const target = await open();
    const [user, hwid] = [name("user"), name("hwid")];
    await target.ok("registerDevice", { hwid, userId: user, push_token: name("push") });
    const before = target.pushes.length;
    for (const silence of [
      { chrome_root_params: { silent: 1 }, firefox_root_params: { silent: true } },
      { ios_silent: 1, android_silent: "1" },
      { ios_silent: 1, content: null },
    ]) {
      await target.send({ users: [user], ...silence });
    }
    await target.send({
      title: "A<img src=x onerror=alert(1)>B <3 <<b>img src=y onerror=z> </b",
      content: { default: "1 < 2 <script>x</script>&amp;" },
      inbox_image: '" onerror="alert(1)',
      users: [user],
    });
    await target.until(async () => target.pushes.length > before);
    assert.equal(target.pushes.length, before + 1, "only what is not silent is pushed");
    const { messages } = await target.fetch(user);
    assert.equal(messages.length, 4);
    const [message] = messages;
    assert.equal(message?.title, "AB <3  ");
    assert.equal(message?.text, "1 < 2 x&amp;");
    assert.equal(message?.image, "");
    assert.deepEqual([message?.action_params, message?.action_type], ["{}", 1]);
    const items = await target.engine.inbox.list(target.environment.id, { userId: user }, target.clock.now(), {
      limit: 1,
    });
    assert.match(items.items[0]?.content.title ?? "", /^A<img/, "what was sent is kept");
    const images: [string, string][] = [
      ["https://x.test/a.png", "https://x.test/a.png"],
      ["/a.png", "/a.png"],
      ["a/b.png?x=1&y=2", "a/b.png?x=1&y=2"],
      ["//x.test/a.png", "//x.test/a.png"],
      ["javascript:alert(1)", ""],
      ["data:image/png;base64,AA", ""],
      ["https://x.test/<b>", ""],
      ["https://x.test/a b", ""],
    ];
    for (const [given, shown] of images) {
      target.clock.advance(1);
      await target.send({ users: [user], inbox_image: given });
      assert.equal((await target.fetch(user)).messages[0]?.image, shown, given);
    }
  });

  test(`${dialect}: what is large is taken as far as 10 MB`, async () => {
    const target = await open();
    const user = name("user");
    const content = "ü".repeat(1_500_000);
    await target.send({ users: [user], content });
    assert.equal((await target.fetch(user)).messages[0]?.text, content);
    const notifications = [{ content: "x".repeat(11_000_000), users: [user] }];
    const answer = await target.call("createMessage", { auth: SECRET_KEY, notifications });
    assert.deepEqual([answer.http, answer.code], [413, 413]);
  });

  test(`${dialect}: rich media, remote pages, data that is no object`, async () => {
    const target = await open();
    const user = name("user");
    const shown = async (notification: object): Promise<{ type: number; params: object }> => {
      target.clock.advance(1);
      await target.send({ users: [user], ...notification });
      const [message] = (await target.fetch(user)).messages;
      return { type: message?.action_type ?? 0, params: JSON.parse(message?.action_params ?? "") };
    };
    assert.deepEqual(await shown({ rich_media: { url: "https://x/y.zip", ts: "1" } }), {
      type: 2,
      params: { rm: '{"url":"https://x/y.zip","ts":"1"}' },
    });
    assert.deepEqual(await shown({ remote_page: "https://x/", data: '{"a":{"b":[1]}}' }), {
      type: 2,
      params: { r: "https://x/", u: '{"a":{"b":[1]}}' },
    });
    assert.deepEqual(await shown({ data: "plain" }), { type: 1, params: { u: "plain" } });
    assert.deepEqual(await shown({ data: "[1,2]", link: "myapp://order/7" }), {
      type: 1,
      params: { l: "myapp://order/7", u: "[1,2]" },
    });
    const literal = { title: "{{name}} *bold*", content: "{{#each x}} {% raw %} **text** <3 ’ü😀" };
    await shown(literal);
    const [message] = (await target.fetch(user)).messages;
    assert.deepEqual([message?.title, message?.text], [literal.title, literal.content]);
    await shown({ chrome_title: "from chrome", android_header: "from android" });
    assert.equal((await target.fetch(user)).messages[0]?.title, "from chrome");
  });

  // PHP writes an object without fields as a list, and some senders give both lists of recipients, one of them empty.
  test(`${dialect}: empty lists beside what is meant, and lists for data`, async () => {
    const target = await open();
    const [user, hwid] = [name("user"), name("hwid")];
    await target.ok("registerDevice", { hwid });
    await target.send({ users: [user], devices: [], data: [] });
    await target.send({ users: [], devices: [hwid], data: [1, { a: 2 }] });
    const [[ours], [theirs]] = [(await target.fetch(user)).messages, (await target.fetch(hwid)).messages];
    assert.deepEqual([ours?.action_params, theirs?.action_params], ["{}", JSON.stringify({ u: '[1,{"a":2}]' })]);
    for (const lists of [{ users: [] }, { devices: [] }, { users: [], devices: [] }]) {
      const notifications = [{ content: "x", inbox_days: 1, ...lists }];
      assert.equal((await target.call("createMessage", { auth: SECRET_KEY, notifications })).code, 210);
    }
  });

  test(`${dialect}: what is shown nowhere is sent to nobody, and is no mistake`, async () => {
    const target = await open();
    const user = name("user");
    await target.send({ users: [user], content: "hush", chrome_silent: 1, inbox_days: null });
    assert.deepEqual((await target.fetch(user)).messages, []);
  });

  // It was taken, and nobody ever saw it.
  test(`${dialect}: a message that would have left the inbox before it is sent is refused`, async () => {
    const target = await open();
    const at = (days: number) =>
      new Date(target.clock.now() + days * 86_400_000).toISOString().slice(0, 16).replace("T", " ");
    const notifications = [{ content: "x", users: ["u"], send_date: at(3), inbox_date: at(2) }];
    const answer = await target.call("createMessage", { auth: SECRET_KEY, notifications });
    assert.deepEqual([answer.code, answer.message.includes("inbox_date")], [210, true]);
  });

  test(`${dialect}: a text in the language of the device used last`, async () => {
    const target = await open();
    const [german, french, none] = [name("de"), name("fr"), name("none")];
    await target.ok("registerDevice", { hwid: name("h"), userId: german, language: "en-US" });
    target.clock.advance(1_000);
    const hwid = name("h");
    await target.ok("registerDevice", { hwid, userId: german, language: "de-AT" });
    await target.ok("registerDevice", { hwid: name("h"), userId: french, language: "fr" });
    const texts = { en: "hello", de: "hallo", default: "saluton" };
    const title = { fr: "bonjour", en: "hi" };
    await target.send({ users: [german, french, none], content: texts, title });
    const seen = await Promise.all(
      [german, french, none].map(async (user) => {
        const [message] = (await target.fetch(user)).messages;
        return [message?.text, message?.title];
      }),
    );
    assert.deepEqual(seen, [
      ["hallo", "hi"],
      ["saluton", "bonjour"],
      ["saluton", "hi"],
    ]);
    target.clock.advance(1_000);
    await target.ok("applicationOpen", { hwid, language: "en-GB" });
    await target.send({ users: [german], content: texts });
    assert.equal((await target.fetch(german)).messages[0]?.text, "hello");
  });

  test(`${dialect}: later, and then as if sent at that moment`, async () => {
    const target = await open();
    const [user, hwid] = [name("user"), name("hwid")];
    await target.ok("registerDevice", { hwid, userId: user });
    const due = Math.ceil(target.clock.now() / 60_000) * 60_000 + 3_600_000;
    const local = new Date(due + 2 * 3_600_000).toISOString().slice(0, 16).replace("T", " ");
    const later = { send_date: local, timezone: "Etc/GMT-2", inbox_days: 1 };
    await target.send({ ...later, users: [user], content: "later" });
    const canceled = await target.send({ ...later, users: [user], content: "never" });
    target.clock.advance(1_800_000);
    await target.send({ users: [user], content: "sooner" });
    assert.equal((await target.fetch(user)).messages.length, 1);
    await target.ok("deleteMessage", { auth: SECRET_KEY, message: canceled });
    target.clock.advance(due - target.clock.now());
    await target.until(async () => (await target.fetch(user)).messages.length === 2);
    const { messages, deleted } = await target.fetch(user);
    assert.deepEqual(
      messages.map((message) => message.text),
      ["later", "sooner"],
    );
    const [message] = messages;
    assert.equal(Number(message?.send_date) * 1000, due);
    assert.equal(Number(message?.rt) * 1000, due + 86_400_000);
    assert.deepEqual(deleted, [], "what nobody got is told to nobody");
    await target.ok("inboxStatus", { userId: user, inbox_code: message?.order, status: 3 });
    assert.equal((await target.fetch(user)).messages[0]?.status, 3);
    target.clock.advance(2_000);
    await target.send({ users: [user], send_date: "2020-01-01 00:00:30", content: "past is now" });
    assert.equal((await target.fetch(user)).messages[0]?.text, "past is now");
  });

  test(`${dialect}: what other facades sent is there, and what is done here is seen there`, async () => {
    const target = await open();
    const { environment, engine, clock } = target;
    const user = name("user");
    const elements = [
      { type: "meta", title: "From {{who}}" },
      { type: "text", content: "**Bold** move" },
      { type: "image", src: "https://x.test/p.png" },
      { type: "action", content: "Go", href: "https://x.test/go" },
    ];
    await target.sendOtherwise({
      recipients: [{ kind: "user", userId: user, profile: {} }],
      content: { kind: "inline", language: "elemental", source: { version: "2022-01-01", elements } },
      data: { who: "Courier" },
    });
    clock.advance(1);
    await target.sendOtherwise({
      recipients: [{ kind: "user", userId: user, profile: {}, tenantId: "acme" }],
      content: { kind: "inline", language: "elemental", source: { title: "t", body: "b" } },
    });
    clock.advance(1);
    await target.send({ users: [user], content: "own" });
    const inbox = await target.fetch(user);
    assert.equal(inbox.messages.length, 3);
    const message = inbox.messages[2];
    assert.deepEqual(
      [message?.title, message?.text, message?.image],
      ["From Courier", "Bold move", "https://x.test/p.png"],
    );
    assert.deepEqual(JSON.parse(message?.action_params ?? ""), { l: "https://x.test/go", u: '{"who":"Courier"}' });
    assert.equal(message?.rt, "4102444800");
    await target.ok("inboxStatus", { userId: user, inbox_code: message?.order, status: 3 });
    await target.ok("pushStat", { userId: user, hash: inbox.messages[1]?.hash });
    const items = await engine.inbox.list(environment.id, { userId: user }, clock.now(), { limit: 10 });
    assert.deepEqual(
      items.items.map((item) => [item.readAt !== null, item.interactedAt !== null]),
      [
        [false, false],
        [true, true],
        [true, true],
      ],
    );
    const actor = { via: "courier", origin: null };
    const mark = (field: "read" | "archived" | "interacted", value: boolean, i: number) =>
      engine.inbox.change(
        environment.id,
        user,
        [{ deliveryId: items.items[i]?.id ?? "dlv_", field, value, again: "keep" }],
        actor,
      );
    await mark("read", false, 1);
    assert.equal((await target.fetch(user)).messages[1]?.status, 3, "still opened");
    await mark("archived", true, 1);
    await mark("interacted", true, 0);
    const after = await target.fetch(user);
    assert.deepEqual([after.messages.map((one) => one.status), after.new_inbox], [[3, 3], 0]);
    assert.equal((await target.fetch(user, { count: 1 })).new_inbox, 0);
    await mark("archived", false, 1);
    assert.equal((await target.fetch(user)).messages.length, 3, "back when it is un-archived");
    const order = (await target.fetch(user)).messages[1]?.order;
    await target.setting({ pushwoosh: "own" }, "inbox-visibility");
    assert.deepEqual(
      (await target.fetch(user)).messages.map((one) => one.text),
      ["own"],
    );
    await target.ok("inboxStatus", { userId: user, inbox_code: order, status: 4 });
    await target.setting({ pushwoosh: "all" }, "inbox-visibility");
    assert.equal((await target.fetch(user)).messages.length, 3, "what is not shown is not touched");
  });
});

for (const dialect of ["sqlite", "postgres"] as const) {
  test(`${dialect}: to everybody with a device, at once or in pages; and taken back in pages`, async (t) => {
    const target = await pushwooshFor(t, dialect);
    const register = (i: number) =>
      target.ok("registerDevice", { hwid: `h${i}`, userId: `u${i}`, language: i === 0 ? "de" : "en" });
    await Promise.all(Array.from({ length: 20 }, (_, i) => register(i)));
    await target.ok("registerUser", { hwid: "not-registered", userId: "nobody" });
    await target.ok("registerDevice", { hwid: "gone", userId: "gone" });
    await target.ok("deleteDevice", { hwid: "gone" });
    await target.send({ content: "to all of you" });
    assert.equal((await target.fetch("u7")).messages.length, 1);
    for (const user of ["nobody", "gone", "u500"]) assert.equal((await target.fetch(user)).messages.length, 0);
    await Promise.all(Array.from({ length: 1_480 }, (_, i) => register(20 + i)));
    assert.equal((await target.fetch("u500")).messages.length, 0, "not for those who come later");
    const code = await target.send({ content: { de: "an sehr viele", en: "to very many" } });
    await target.until(async () => (await target.fetch("u999")).messages.length === 1);
    await target.until(async () => (await target.fetch("u0")).messages.length === 2);
    assert.equal((await target.fetch("u0")).messages[0]?.text, "an sehr viele");
    await target.ok("deleteMessage", { auth: SECRET_KEY, message: code });
    const told = async (user: string) => (await target.fetch(user)).deleted.length;
    await target.until(async () => (await told("u0")) + (await told("u999")) + (await told("u1499")) === 3);
    const left = await Promise.all(["u0", "u500", "u999"].map((user) => target.fetch(user)));
    assert.deepEqual(
      left.map((inbox) => [inbox.messages.length, inbox.deleted.length]),
      [
        [1, 1],
        [0, 1],
        [0, 1],
      ],
    );
  });

  test(`${dialect}: a recall that was left half-way is gone on with`, async (t) => {
    const target = await pushwooshFor(t, dialect);
    const users = Array.from({ length: 500 }, (_, i) => `u${i}`);
    const code = await target.send({ users });
    await target.until(async () => (await target.fetch("u499")).messages.length === 1);
    const [request] = await target.store.recalls.requests(
      target.environment.id,
      "req_" as never,
      "req_zzzzzzzzzzzzzzzzzzzzzzzzzz" as never,
      1,
    );
    const now = target.clock.now();
    await target.store.recalls.begin(target.environment.id, request?.id ?? "req_", now, now + 30_000);
    assert.equal((await target.fetch("u499")).messages.length, 1, "begun, and then the process died");
    target.clock.advance(31_000);
    await target.until(async () => (await target.fetch("u499")).deleted.length === 1);
    assert.equal((await target.fetch("u0")).messages.length, 0);
    await target.ok("deleteMessage", { auth: SECRET_KEY, message: code });
  });

  test(`${dialect}: a broadcast taken back before it is expanded reaches nobody`, async (t) => {
    const target = await pushwooshFor(t, dialect);
    await target.engine.dispatcher.stop(1_000);
    const users = Array.from({ length: 200 }, (_, i) => `u${i}`);
    const code = await target.send({ users });
    await target.ok("deleteMessage", { auth: SECRET_KEY, message: code });
    const left = await target.store.pipeline.claimRequests(target.clock.now() + 1e9, 10, target.clock.now() + 2e9);
    assert.deepEqual(left, []);
  });
}
