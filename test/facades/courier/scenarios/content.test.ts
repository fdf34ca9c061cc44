import assert from "node:assert/strict";
import { test } from "node:test";
import Courier from "@trycourier/courier";
import { onEveryDatabase, refusal, type World } from "./world.ts";

const VERSION = "2022-01-01";
const ALL = { method: "all", channels: ["email", "sms"] };

interface Rendered {
  readonly html: string;
  readonly text: string;
  readonly subject: string;
  readonly sms: string;
}

/** What mail and SMS of one message to one new recipient say. */
async function rendered(world: World, content: object, more: { data?: object; to?: object } = {}): Promise<Rendered> {
  const email = `${world.fresh("reader")}@x.io`;
  const { data = {}, to = {} } = more;
  const address = { email, phone_number: "+15550100" };
  const message = await world.sent({ to: { ...address, ...to }, content, data, routing: ALL });
  await world.idle();
  assert.notEqual(message.status, "UNDELIVERABLE", message.error ?? "");
  const { html, text, subject } = world.mail(email);
  return { html, text, subject, sms: await world.sms(message.id) };
}

const elemental = (...elements: object[]) => ({ version: VERSION, elements });
/** Lines with something on them. */
const lines = (text: string): string[] => text.split(/\r?\n/).filter((line) => line.trim() !== "");

onEveryDatabase("real", (world) => {
  test("28. Elemental per channel", async () => {
    const { html, text, subject, sms } = await rendered(
      world,
      elemental(
        {
          type: "channel",
          channel: "email",
          elements: [
            { type: "meta", title: "The subject" },
            { type: "text", content: "For **mail** only" },
            { type: "html", content: "<em>verbatim</em>" },
            { type: "comment", comment: "between us" },
            { type: "action", content: "Look", href: "https://example.com/look" },
          ],
        },
        {
          type: "channel",
          channel: "default",
          elements: [
            { type: "text", content: "For **all**" },
            { type: "comment", comment: "between us" },
          ],
        },
      ),
    );
    assert.equal(subject, "The subject");
    assert.match(html, /<strong>mail<\/strong>/);
    assert.match(html, /<em>verbatim<\/em>/);
    // Links are tracked; this one leads where its author meant it to.
    const [, href = ""] = /<a[^>]*href="([^"]+)"[^>]*>\s*Look/.exec(html) ?? [];
    const followed = await fetch(href.replaceAll("&amp;", "&"), { redirect: "manual" });
    assert.equal(followed.headers.get("location"), "https://example.com/look");
    assert.match(text, /For mail only/);
    assert.equal(sms.trim(), "For all");
    for (const part of [html, text, subject, sms]) assert.doesNotMatch(part, /between us/);

    const mixed = elemental(
      { type: "channel", channel: "default", elements: [{ type: "text", content: "a" }] },
      { type: "text", content: "b" },
    );
    const refused = refusal(world.send({ to: { email: "mixed@x.io" }, content: mixed }));
    assert.ok((await refused) instanceof Courier.BadRequestError);

    const hidden = await rendered(
      world,
      elemental({ type: "text", content: "both" }, { type: "text", content: "mail", channels: ["email"] }),
    );
    assert.deepEqual(lines(hidden.text), ["both", "mail"]);
    assert.deepEqual(lines(hidden.sms), ["both"]);
  });

  test("29. Control flow", async () => {
    const loop = elemental(
      { type: "text", content: "start" },
      { type: "text", loop: "data.items", content: "{{$.index}}:{{$.item.name}}" },
    );
    const two = await rendered(world, loop, { data: { items: [{ name: "a" }, { name: "b" }] } });
    assert.deepEqual(lines(two.sms), ["start", "0:a", "1:b"]);
    assert.deepEqual(lines(two.text), ["start", "0:a", "1:b"]);
    const none = await rendered(world, loop, { data: { items: [] } });
    assert.deepEqual(lines(none.sms), ["start"]);

    const refs = elemental(
      { type: "text", content: "always" },
      { type: "text", ref: "x", if: "data.show", content: "x" },
      { type: "text", if: "refs.x.visible", content: "after x" },
    );
    assert.deepEqual(lines((await rendered(world, refs, { data: { show: false } })).sms), ["always"]);
    assert.deepEqual(lines((await rendered(world, refs, { data: { show: true } })).sms), ["always", "x", "after x"]);

    const equal = elemental(
      { type: "text", content: "start" },
      { type: "text", if: "data.a === 3", content: "three signs" },
      { type: "text", if: "data.a == 3", content: "two signs" },
    );
    assert.deepEqual(lines((await rendered(world, equal, { data: { a: 3 } })).sms), [
      "start",
      "three signs",
      "two signs",
    ]);
    assert.deepEqual(lines((await rendered(world, equal, { data: { a: 4 } })).sms), ["start"]);
  });

  test("30. Interpolation safety", async () => {
    const say = (body: string, data: object = {}) => rendered(world, { title: "T", body }, { data });
    const twice = await say("{x}", { x: "<b>{{y}}</b>", y: "no" });
    assert.match(twice.html, /&lt;b&gt;\{\{y\}\}&lt;\/b&gt;/);
    assert.doesNotMatch(twice.html, /<b>/);
    assert.equal(twice.sms, "<b>{{y}}</b>");

    assert.equal((await say("a{zz}b")).sms, "a{zz}b");
    assert.equal((await say("a{{zz}}b")).sms, "ab");
    assert.equal((await say("a{{constructor}}b")).sms, "ab");
    assert.equal((await say("a{__proto__}b")).sms, "a{__proto__}b");
    for (const path of ["constructor", "__proto__", "data.constructor", "profile.__proto__.toString", "toString"]) {
      for (const body of [`a{{${path}}}b`, `a{${path}}b`]) {
        assert.doesNotMatch((await say(body)).sms, /function|native|object Object/i, body);
      }
    }
  });

  test("31. Locales and translations", async () => {
    const source = 'msgid ""\nmsgstr ""\n"Language: fr_FR\\n"\n\nmsgid "Hello"\nmsgstr "Bonjour"\n';
    const { translations } = world.sdk;
    const put = translations.update("fr_FR", { domain: "default", body: source });
    assert.equal((await put.asResponse()).status, 204);
    assert.equal(await translations.retrieve("fr_FR", { domain: "default" }), source);
    for (const call of [
      () => translations.update("fr_FR", { domain: "other", body: source }),
      () => translations.retrieve("fr_FR", { domain: "other" }),
    ]) {
      assert.ok((await refusal(call())) instanceof Courier.NotFoundError);
    }

    const text = elemental({ type: "text", content: "English", locales: { fr: { content: "Français" } } });
    assert.equal((await rendered(world, text, { to: { locale: "fr" } })).sms, "Français");
    const canadian = world.fresh("u1");
    await world.sdk.profiles.create(canadian, { profile: { locale: "fr-CA" } });
    assert.equal((await rendered(world, text, { to: { user_id: canadian } })).sms, "Français");
    assert.equal((await rendered(world, text, { to: { locale: "de" } })).sms, "English");

    const hello = { title: "T", body: '{{t "Hello"}}' };
    assert.equal((await rendered(world, hello, { to: { locale: "fr_FR" } })).sms, "Bonjour");
    assert.equal((await rendered(world, hello)).sms, "Hello");
  });
});
