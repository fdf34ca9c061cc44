import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rendered } from "../../engine/model.ts";
import { RenderError } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import type { ChannelType } from "../../engine/workflow/model.ts";
import type { JsonObject } from "../../lib/json.ts";
import { knockLanguage } from "./language.ts";
import { type Given, renderingOf } from "./rendering.fixture.ts";

const language = knockLanguage();

function render(type: ChannelType, template: JsonObject, given: Given = {}): Rendered {
  const rendered = language.render(type, template, renderingOf(given));
  assert.ok(!(rendered instanceof Promise));
  return rendered;
}

test("sms", () => {
  const data = { n: '<3 & "you"', to: "+1555" };
  const { text, body, raw } = render(
    "sms",
    { text_body: "Hi {{ n }}", settings: { to_number: "{{ to }}", payload_overrides: '{"from": "{{ n }}"}' } },
    { data },
  );
  assert.deepEqual([text, body], ['Hi <3 & "you"', 'Hi <3 & "you"']);
  assert.deepEqual(raw, { to: "+1555", overrides: { from: '<3 & "you"' } });
  assert.equal(render("sms", { text_body: "x" }).raw, null);
});

test("push", () => {
  const template = {
    title: "For {{ recipient.name }}",
    text_body: "{{ x }}",
    settings: {
      delivery_type: "content",
      payload_overrides: '{"data": {"deep": "{{ x }}", "all": {{ list | json }} }, "sound": "bell"}',
    },
  };
  const { title, body, raw } = render("push", template, { data: { x: 'a"b\\c\n', list: [{ y: '"' }] } });
  assert.deepEqual([title, body], ["For Ann", 'a"b\\c\n']);
  const over = { deep: 'a"b\\c\n', all: [{ y: '"' }] };
  assert.deepEqual(raw, { data: over, overrides: { data: over, sound: "bell" } });
  const silent = render("push", { settings: { delivery_type: "silent" } });
  assert.deepEqual([silent.title, silent.body, silent.raw], ["", "", { silent: true }]);
});

test("chat", () => {
  const { text, blocks, raw } = render(
    "chat",
    { markdown_body: "**{{ x }}** [l](https://x.example)", summary: "New:\n{{ recipient.name }}" },
    { data: { x: "*a*" } },
  );
  assert.equal(text, "**\\*a\\*** [l](https://x.example)");
  assert.deepEqual(blocks, [{ type: "markdown", text }]);
  assert.deepEqual(raw, { summary: "New: Ann" });
  const json_body = '{"blocks": [{"type": "section", "text": "{{ x }}"}, {{ data | json }}]}';
  assert.deepEqual(render("chat", { json_body }, { data: { x: '"}]' } }).raw, {
    summary: null,
    json: { blocks: [{ type: "section", text: '"}]' }, { x: '"}]' }] },
  });
  assert.throws(() => render("chat", { json_body: "{{ x }}" }, { data: { x: "no" } }), RenderError);
});

test("http", () => {
  const template = {
    method: "post",
    url: "https://hook.example/{{ data.id }}?a=1#top",
    headers: [{ key: "x-name", value: "{{ x }}" }],
    query_params: [{ key: "q&", value: "{{ x }}" }],
    body: '{"said": "{{ x }}", "n": {{ n }}}',
  };
  const { raw, text } = render("http", template, { data: { id: 7, x: 'a"b\r\nc', n: 1 } });
  const body = '{"said": "a\\"b\\r\\nc", "n": 1}';
  assert.deepEqual(raw, {
    request: {
      method: "POST",
      url: "https://hook.example/7?a=1&q%26=a%22b%20c#top",
      headers: { "x-name": 'a"b c' },
      body,
    },
    payload: { said: 'a"b\r\nc', n: 1 },
  });
  assert.equal(text, body);
  const plain = render(
    "http",
    { method: "GET", url: "https://x.example", headers: '{"a": 1, "b": "{{ x }}"}' },
    { data: { x: "y" } },
  );
  assert.deepEqual(plain.raw, {
    request: { method: "GET", url: "https://x.example", headers: { a: "1", b: "y" }, body: null },
    payload: null,
  });
});

test("text: plain values, or JSON that values cannot break", () => {
  const rendering = renderingOf({ data: { x: 'say "hi"', list: [1] } });
  assert.equal(language.text("no Liquid", rendering), "no Liquid");
  assert.equal(language.text("{{ x }} <b>", rendering), 'say "hi" <b>');
  assert.equal(
    language.text('{ "x": "{{ x }}", "l": {{ list }}, "all": {{ data | json }} }', rendering),
    '{ "x": "say \\"hi\\"", "l": [1], "all": {"x":"say \\"hi\\"","list":[1]} }',
  );
  assert.equal(language.text("{{ data | json }}", rendering), '{"x":"say \\"hi\\"","list":[1]}');
  assert.throws(() => language.text("{{ x | nope }}", rendering), {
    name: "RenderError",
    message: /undefined filter: nope/,
  });
});

test("one template renders many messages at once, none of which sees another's values", async () => {
  const template = {
    markdown_body: "{{ who }} {{ who | user | map: 'name' }}{% assign who = 'me' %}{% increment n %}",
  };
  const all = await Promise.all(
    ["a", "b", "c"].map((who) => language.render("in_app_feed", template, renderingOf({ data: { who } }))),
  );
  assert.deepEqual(
    all.map(({ body }) => body),
    ["a", "b", "c"].map((who) => `${who} ${who} of $users0`),
  );
});

/** Templates that must not be committed, and the field that says why. */
const WRONG: readonly (readonly [string, JsonObject, string, RegExp?])[] = [
  ["in_app_feed", {}, "template.markdown_body"],
  ["in_app_feed", { markdown_body: " " }, "template.markdown_body"],
  ["in_app_feed", { markdown_body: 7 }, "template.markdown_body"],
  ["in_app_feed", { markdown_body: "ok\n{{ x | nope }}" }, "template.markdown_body", /nope \(line 2\)$/],
  ["in_app_feed", { markdown_body: "{% if x %}" }, "template.markdown_body", /not closed/],
  ["in_app_feed", { markdown_body: "{% include 'x' %}" }, "template.markdown_body", /include/],
  ["in_app_feed", { markdown_body: "{% render 'x' for y %}" }, "template.markdown_body", /named arguments/],
  ["in_app_feed", { markdown_body: "{{ 'x' | constructor }}" }, "template.markdown_body", /undefined filter/],
  ["in_app_feed", { markdown_body: "x", action_url: "{{" }, "template.action_url"],
  ["in_app_feed", { markdown_body: "x", action_buttons: [{ label: "a" }] }, "template.action_buttons[0].action"],
  ["in_app_feed", { markdown_body: "x", action_buttons: "a" }, "template.action_buttons"],
  ["in_app_feed", { markdown_body: "x", action_buttons: [{}, {}, {}] }, "template.action_buttons"],
  ["email", { html_body: "x" }, "template.subject"],
  ["email", { subject: "x" }, "template.html_body"],
  ["email", { subject: "x", html_body: "x", is_mjml: true }, "template.is_mjml", /MJML is not supported/],
  ["email", { subject: "x", html_body: "x", settings: { pre_content: "{% x %}" } }, "template.settings.pre_content"],
  ["email", { subject: "x", html_body: "x", visual_blocks: [] }, "template.html_body"],
  ["email", { subject: "x", visual_blocks: [{ type: "hologram" }] }, "template.visual_blocks[0].type"],
  ["email", { subject: "x", visual_blocks: [{ type: "image" }] }, "template.visual_blocks[0].url"],
  [
    "email",
    { subject: "x", visual_blocks: [{ type: "partial", key: "k", attrs: { a: "{{" } }] },
    "template.visual_blocks[0].attrs.a",
  ],
  ["sms", {}, "template.text_body"],
  ["sms", { text_body: "x", settings: [] }, "template.settings"],
  ["push", { text_body: "x" }, "template.title"],
  ["push", { title: "x", text_body: "x", settings: { delivery_type: "loud" } }, "template.settings.delivery_type"],
  ["chat", {}, "template.markdown_body"],
  ["http", { url: "x" }, "template.method"],
  ["http", { method: "trace", url: "x" }, "template.method"],
  ["http", { method: "get" }, "template.url"],
  ["http", { method: "get", url: "x", headers: [{ key: "a" }] }, "template.headers[0].value"],
  ["in_app_guide", {}, "channel_type"],
  ["__proto__", {}, "channel_type"],
];

for (const [type, template, field, message] of WRONG) {
  test(`refuses ${type} ${JSON.stringify(template)}`, () => {
    assert.throws(
      () => language.checkTemplate(type as ChannelType, template),
      (error: unknown) => {
        assert.ok(error instanceof Refusal, String(error));
        assert.equal(error.code, "invalid");
        assert.equal(error.field, field);
        if (message !== undefined) assert.match(error.message, message);
        return true;
      },
    );
    // A template that slipped in unchecked fails as a template, not as a server.
    assert.throws(() => language.render(type as ChannelType, template, renderingOf()), RenderError);
  });
}

test("checkText names the field it is told", () => {
  language.checkText("{{ data.x }}", "settings.batch_key");
  assert.throws(() => language.checkText("{{ data.x", "settings.batch_key"), {
    name: "Refusal",
    field: "settings.batch_key",
  });
});

test("a path says the same by itself and among tags, which the library prints", () => {
  const paths = [
    ..."n x list obj none nested.a nested.b.c list[0] list[-1] list.first list.last list.size".split(" "),
    ..."obj.size size x.size nested[x] data.n data.size recipient.name actor.none.more tenant".split(" "),
    ..."vars.branding.primary_color timestamp total_actors toString obj.constructor __proto__ nil true 'text' 7".split(
      " ",
    ),
    ...["obj['a key']", 'list["size"]', "(1..3)", "x | upcase", "own", "recipient"],
  ];
  const data = {
    n: 1.5,
    x: '<b> & "q" \\',
    list: ["a", "b", ["c"]],
    obj: { "a key": true, size: "own" },
    nested: { a: null, b: { c: 0 } },
    recipient: "of the data, hidden by the run's",
    own: "\uFDD00\uFDD1",
  };
  const withoutSource = (raw: JsonObject | null): string =>
    JSON.stringify(raw, (key, value) => (key === "content" ? "" : value));
  const inTags = (path: string): string => `{% if true %}{{ ${path} }}{% endif %}`;
  for (const path of paths) {
    const [plain, tagged] = [`{{ ${path} }}`, inTags(path)].map((printed) => {
      const sms = render("sms", { text_body: `a ${printed} b{{- n }}` }, { data });
      const feed = render("in_app_feed", { markdown_body: `*a* ${printed}, ${printed}` }, { data });
      const { raw } = render(
        "http",
        { method: "post", url: "https://x.example", body: `{"v": "${printed}"}` },
        { data },
      );
      return [sms.text, feed.body, withoutSource(feed.raw), raw];
    }) as [unknown[], unknown[]];
    assert.deepEqual(plain, tagged, path);
  }
});
