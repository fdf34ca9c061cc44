/** Scenarios 27 to 29, with a client of our own in the place of the vendor's. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BrowserClient, newBrowser } from "../browser-client.ts";
import { forEachPushwoosh, PUBLIC_KEY, SECRET_KEY } from "../pushwoosh-target.ts";

forEachPushwoosh((dialect, open) => {
  let names = 0;
  const name = (what: string): string => `${what}-${names++}`;

  test(`${dialect}: 27. a cold start, and a warm one`, async () => {
    const target = await open();
    const user = name("user");
    await target.send({ users: [user], title: "first" });
    target.clock.advance(1);
    await target.send({ users: [user], title: "second", link: "https://x.test/" });
    target.clock.advance(1);
    await target.send({ users: [user], title: "third", link: "app://x", rich_media: null });
    const kept = newBrowser();
    const cold = new BrowserClient(target, kept);
    await cold.start(user);
    assert.deepEqual(cold.calls, ["getConfig", "applicationOpen", "registerUser", "getInboxMessages"]);
    assert.equal(cold.updates, 1);
    assert.deepEqual(
      cold.loadMessages().map(({ title, type, link }) => [title, type, link]),
      [
        ["third", "deep link", "app://x"],
        ["second", "url", "https://x.test/"],
        ["first", "plain", "/"],
      ],
    );
    assert.deepEqual([cold.unreadCount(), kept.newMessages], [3, 3]);
    const warm = new BrowserClient(target, kept, PUBLIC_KEY);
    await warm.start(user);
    assert.deepEqual(warm.calls, ["getConfig", "getInboxMessages"]);
    const other = name("other");
    await warm.start(other);
    assert.equal((await target.fetch(other)).messages.length, 0);
  });

  test(`${dialect}: 28. what is done in a browser`, async () => {
    const target = await open();
    const user = name("user");
    const codes: string[] = [];
    for (const title of ["a", "b", "c", "d"]) {
      target.clock.advance(1);
      codes.push(await target.send({ users: [user], title }));
    }
    const kept = newBrowser();
    const client = new BrowserClient(target, kept);
    await client.start(user);
    const [d, c, b, a] = client.loadMessages().map(({ code }) => code);
    await client.report([a ?? "", b ?? ""], 2);
    await client.report([b ?? ""], 3);
    await client.report([c ?? ""], 4);
    const raw = await target.fetch(user);
    assert.deepEqual(
      raw.messages.map((message) => [message.title, message.status]),
      [
        ["d", 1],
        ["b", 3],
        ["a", 2],
      ],
    );
    await target.send({ users: [user], title: "later" });
    await target.ok("deleteMessage", { auth: SECRET_KEY, message: codes[3] });
    await new BrowserClient(target, kept).start(user);
    assert.deepEqual(
      client.loadMessages().map(({ title, isRead }) => [title, isRead]),
      [
        ["later", false],
        ["b", true],
        ["a", true],
      ],
      "what came after shows, what was taken back is gone",
    );
    assert.equal(
      client.loadMessages().some(({ code }) => code === d),
      false,
    );
  });

  test(`${dialect}: many at once`, async () => {
    const target = await open();
    const user = name("user");
    const notifications = Array.from({ length: 40 }, (_, i) => ({ content: `${i}`, users: [user], inbox_days: 1 }));
    await target.ok("createMessage", { auth: SECRET_KEY, notifications });
    const client = new BrowserClient(target, newBrowser());
    await client.start(user);
    await client.report(
      client.loadMessages().map(({ code }) => code),
      2,
    );
    const inbox = await target.fetch(user);
    assert.deepEqual([inbox.new_inbox, inbox.messages.filter(({ status }) => status === 2).length], [0, 40]);
  });

  test(`${dialect}: 29. what is reported of a push`, async () => {
    const target = await open();
    const user = name("user");
    const kept = newBrowser();
    const client = new BrowserClient(target, kept);
    await client.start(user);
    await target.ok("registerDevice", { hwid: kept.hwid, userId: user, push_token: name("push"), device_type: 11 });
    await target.send({ users: [user] });
    await target.until(async () => target.pushes.some(({ delivery }) => delivery.userId === user));
    const hash = (await target.fetch(user)).messages[0]?.hash;
    assert.equal(await client.pushed("messageDeliveryEvent", hash), null);
    assert.equal((await target.fetch(user)).messages[0]?.status, 1);
    await Promise.all([client.pushed("pushStat", hash), client.pushed("pushStat", hash)]);
    assert.equal((await target.fetch(user)).messages[0]?.status, 3);
    for (const odd of [undefined, "", "nonsense", "m00000000000000000000000000"]) {
      assert.equal(await client.pushed("pushStat", odd), null);
      assert.equal(await client.pushed("messageDeliveryEvent", odd), null);
    }
    const stranger = new BrowserClient(target, newBrowser());
    await stranger.start(name("stranger"));
    await target.send({ users: [user] });
    await stranger.pushed("pushStat", (await target.fetch(user)).messages[0]?.hash);
    assert.equal((await target.fetch(user)).messages[0]?.status, 1, "another's report changes nothing");
  });

  test(`${dialect}: events, purchases and visits are let pass`, async () => {
    const target = await open();
    const hwid = name("hwid");
    assert.equal(await target.ok("postEvent", { hwid, event: "Opened", attributes: {}, timestampUTC: 1 }), null);
    assert.equal(await target.ok("postEvent", { hwid, event: "GDPRDelete", attributes: { msgHash: "x" } }), null);
    assert.equal(await target.ok("setPurchase", { hwid, price: 1 }), null);
    assert.equal(await target.ok("pageVisit", { hwid, url: "https://x" }), null);
    assert.deepEqual(await target.ok("getPopupForms", { hwid }), { popup_forms: [] });
  });
});
