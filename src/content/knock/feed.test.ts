import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rendered } from "../../engine/model.ts";
import type { JsonObject } from "../../lib/json.ts";
import { sanitizeHtml } from "../liquid/html/sanitize.ts";
import { knockLanguage } from "./language.ts";
import { type Given, renderingOf } from "./rendering.fixture.ts";

const language = knockLanguage();

function feed(template: JsonObject, given: Given = {}): Rendered {
  const rendered = language.render("in_app_feed", template, renderingOf(given));
  assert.ok(!(rendered instanceof Promise), "nothing had to be looked up");
  return rendered;
}

function blocksOf({ raw }: Rendered): readonly JsonObject[] {
  assert.ok(Array.isArray(raw?.feed));
  return raw.feed;
}

function htmlOf(rendered: Rendered): string {
  return String(blocksOf(rendered)[0]?.rendered);
}

function html(markdown: string, given: Given = {}): string {
  return htmlOf(feed({ markdown_body: markdown }, given));
}

test("blocks are what a feed expects", () => {
  const template = {
    markdown_body: "Hi **{{ recipient.name }}**",
    action_url: "{{ data.url }}",
    action_buttons: [
      { label: "Open {{ data.page }}", action: "{{ data.url }}" },
      { label: "Later", action: "myapp://later" },
    ],
  };
  const { raw, title, body, clickUrl, actions } = feed(template, {
    data: { url: "https://app.example/x?a=1&b=2", page: "Q&A" },
  });
  const url = "https://app.example/x?a=1&b=2";
  assert.deepEqual(raw, {
    feed: [
      { name: "body", type: "markdown", content: template.markdown_body, rendered: "<p>Hi <strong>Ann</strong></p>" },
      { name: "action_url", type: "text", content: "{{ data.url }}", rendered: url },
      {
        name: "actions",
        type: "button_set",
        buttons: [
          { name: "primary", label: "Open Q&A", action: url },
          { name: "secondary", label: "Later", action: "myapp://later" },
        ],
      },
    ],
  });
  assert.deepEqual([title, body, clickUrl], ["", "Hi Ann", url]);
  assert.deepEqual(
    actions.map(({ content, href }) => [content, href]),
    [
      ["Open Q&A", url],
      ["Later", "myapp://later"],
    ],
  );
});

test("without an address or buttons there are no blocks of them", () => {
  const template = { markdown_body: "x", action_url: "{{ data.url }}", action_buttons: [] };
  assert.deepEqual(
    blocksOf(feed(template)).map((block) => block.name),
    ["body"],
  );
  assert.equal(feed(template).clickUrl, null);
});

test("the first picture of the web is the one for those who show one", () => {
  const picture = (markdown_body: string, data: JsonObject = {}) => feed({ markdown_body }, { data }).imageUrl;
  assert.equal(picture("no picture"), null);
  assert.equal(
    picture("![](/relative.png) ![](https://i.example/1.png) ![](https://i.example/2.png)"),
    "https://i.example/1.png",
  );
  assert.equal(picture("<img alt='x' src='https://i.example/a.png?x=1&amp;y=2'>"), "https://i.example/a.png?x=1&y=2");
  assert.equal(
    picture("![{{ data.x }}]({{ data.url }})", { x: 'src="https://no"', url: "https://i.example/v" }),
    "https://i.example/v",
  );
  assert.equal(picture("![]({{ data.url }})", { url: "javascript:x" }), null);
});

// `<p>a &amp; b</p>` was shown as "a &amp; b", and of `1 < 2 and 3 > 2` beside a tag of the author's, "1  2" was left.
test("between an author's own tags, text is what it is elsewhere", () => {
  const { body, raw } = feed({ markdown_body: "<p>a &amp; b</p> 1 < 2 and 3 > 2" });
  assert.equal(body, "a & b 1 < 2 and 3 > 2");
  assert.equal(blocksOf({ raw } as Rendered)[0]?.rendered, "<p>a &amp; b</p> 1 &lt; 2 and 3 &gt; 2");
});

test("a first heading is the title for those who show one", () => {
  const rendered = feed(
    { markdown_body: "# News of {{ data.who }}\n\nIt is *here*.\n\n- a\n- b" },
    { data: { who: "*Bob*" } },
  );
  assert.deepEqual([rendered.title, rendered.body], ["News of *Bob*", "It is here.\n\n- a\n- b"]);
  assert.equal(htmlOf(rendered), "<h1>News of *Bob*</h1>\n<p>It is <em>here</em>.</p>\n<ul><li>a</li><li>b</li></ul>");
});

test("Liquid decides what the markdown is", () => {
  const text = "{% for a in data.items %}\n- {{ a }}\n{% endfor %}{% if data.more %}\nand **more**{% endif %}";
  assert.equal(html(text, { data: { items: ["x", "y"] } }), "<ul><li>x</li><li>y</li></ul>");
  assert.match(html(text, { data: { items: [], more: true } }), /^<p>and <strong>more<\/strong><\/p>$/);
});

test("values are never markup", () => {
  const evil = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "# no heading",
    "**not bold**",
    "`x` ~~y~~ | a | b |",
    "&lt;b&gt;",
    "\n\n<b>x</b>\n\n",
    "\u2028<b>\u202e",
    "{{ recipient.id }}",
    "https://auto.example",
  ];
  for (const x of evil) {
    for (const markdown of [
      "{{ x }}",
      "a {{ x }} b",
      "- {{ x }}",
      "| a |\n|---|\n| {{ x }} |",
      "> {{ x }}",
      "`{{ x }}`",
    ]) {
      const rendered = html(markdown, { data: { x } });
      const tags = rendered.match(/<(?!\/?(?:p|br|ul|li|table|thead|tbody|tr|td|th|blockquote|code)>)[^>]*>/g);
      assert.equal(tags, null, `${markdown} with ${JSON.stringify(x)}: ${rendered}`);
      assert.ok(!rendered.includes("ann"), "Liquid in values is not run");
    }
  }
});

test("values in addresses stay addresses", () => {
  const link = (url: string): string => html("[go]({{ url }})", { data: { url } });
  assert.equal(
    link('https://x.io/?a="b"&c=<d>'),
    '<p><a href="https://x.io/?a=&quot;b&quot;&amp;c=&lt;d&gt;">go</a></p>',
  );
  assert.equal(link("/inbox"), '<p><a href="/inbox">go</a></p>');
  for (const url of [
    "javascript:alert(1)",
    "JaVa\nScript:x",
    "\u0000javascript:x",
    "java\u00adscript:x",
    "data:text/html,x",
    "vbscript:x",
  ]) {
    assert.match(link(url), /^<p>(?:go|<a>go<\/a>)<\/p>$/, JSON.stringify(url));
  }
});

test("a click leads nowhere that runs a script", () => {
  for (const url of [
    "javascript:alert(1)",
    " jAvascript:x",
    "java\tscript:x",
    "data:text/html,x",
    "vbscript:x",
    "blob:x",
  ]) {
    const rendered = feed(
      { markdown_body: "x", action_url: "{{ url }}", action_buttons: [{ label: "a", action: "{{ url }}" }] },
      { data: { url } },
    );
    assert.deepEqual([blocksOf(rendered).length, rendered.clickUrl, rendered.actions.length], [1, null, 0]);
  }
});

test("tags of the author's own are kept as far as they are harmless", () => {
  assert.equal(
    html('Hi <b class="big" onclick="x()">{{ recipient.name }}</b><br><script>x</script><a href="{{ u }}">l</a>', {
      data: { u: '" onmouseover="x' },
    }),
    '<p>Hi <b class="big">Ann</b><br><a href="&quot; onmouseover=&quot;x">l</a></p>',
  );
  assert.equal(html("<div>\n<p>{{ recipient.name }}</p>\n</div>"), "<div><br><p>Ann</p><br></div>");
});

test("markup of filters, captures and raw output stays markup, what is in it stays values", () => {
  const data = { md: "**hi** <script>x</script>", x: "<i>&</i>" };
  assert.equal(html("{{ md | from_markdown }}", { data }), "<p><p><strong>hi</strong> </p></p>");
  assert.equal(
    html("{% capture c %}**{{ x }}**{% endcapture %}{{ c }} {{ c }}", { data }),
    "<p><strong>&lt;i&gt;&amp;&lt;/i&gt;</strong> <strong>&lt;i&gt;&amp;&lt;/i&gt;</strong></p>",
  );
  assert.equal(html("{{ x | raw }}", { data }), "<p><i>&amp;</i></p>");
  assert.equal(
    html("{{ x | escape }} {{ 'a\nb' | newline_to_br }}", { data }),
    "<p>&lt;i&gt;&amp;&lt;/i&gt; a<br>\nb</p>",
  );
});

test("links of the body are tracked, the address of the message never", () => {
  const template = {
    markdown_body:
      'a [one](https://one.example/?q={{ q }}) [two](http://two.example) <a href="https://three.example" data-knock-no-track>3</a> [four](https://four.example)',
    action_url: "https://five.example",
  };
  const tracked = feed(template, { tracks: true, data: { q: "a&b" } });
  const rendered = htmlOf(tracked);
  assert.deepEqual(tracked.links, ["https://one.example/?q=a&b", "https://four.example"]);
  assert.equal(tracked.clickUrl, "https://five.example");
  assert.deepEqual(rendered.match(/href="[^"]*"/g), [
    'href="https://track.example/0"',
    'href="http://two.example"',
    'href="https://three.example"',
    'href="https://track.example/1"',
  ]);
  assert.ok(!rendered.includes("data-knock-no-track"));
  assert.ok(!htmlOf(feed(template)).includes("data-knock-no-track"));
});

test("unicode passes unharmed", () => {
  assert.equal(html("{{ x }} 日本語 👩‍👩‍👧", { data: { x: "مرحبا 🎉" } }), "<p>مرحبا 🎉 日本語 👩‍👩‍👧</p>");
});

test("looks up only when it has to, each thing once", async () => {
  const rendering = renderingOf({
    partials: { hello: "Hello {{ who }}{{ recipient.name }}!" },
    translations: {
      "mail:new.one": "One from {{ from }}",
      "mail:new.other": "{{ count }} from {{ from }}",
      "mail:new.zero": "None",
      Bye: "Tschüs, {{ recipient.name }}",
    },
  });
  const rendered = language.render(
    "in_app_feed",
    {
      markdown_body:
        "{% for i in (1..3) %}{% render 'hello', who: i %}{% endfor %} {{ 'mail:new' | t: count: 2, from: data.who }} {{ 'mail:new' | t: count: 1 }} {{ 'mail:new' | t: count: 0 }} {% t %}Bye{% endt %} {% t %}Hi {{ recipient.name }}{% endt %} {{ 'no.such' | t }}",
    },
    rendering,
  );
  assert.ok(rendered instanceof Promise);
  assert.equal((await rendered).body, "Hello 1!Hello 2!Hello 3! 2 from  One from  None Tschüs, Ann Hi Ann no.such");
  assert.deepEqual(rendering.asked.slice(0, 2), ["partial hello", "translate mail:new"]);
  assert.equal(rendering.asked.filter((asked) => asked === "partial hello").length, 1);
});

test("what a translation is given is a value there, too", async () => {
  const rendering = renderingOf({ data: { who: "<b>" }, translations: { greet: "Dear **{{ name }}**" } });
  const rendered = await language.render(
    "in_app_feed",
    { markdown_body: "{{ 'greet' | t: name: data.who }}" },
    rendering,
  );
  assert.equal(htmlOf(rendered), "<p>Dear <strong>&lt;b&gt;</strong></p>");
});

test("a look-up that fails is not the template's fault", async () => {
  const away = new Error("the database is away");
  const rendering = renderingOf({ sources: { party: () => Promise.reject(away) } });
  await assert.rejects(
    async () => language.render("in_app_feed", { markdown_body: "{{ 'x' | user }}" }, rendering),
    away,
  );
});

test("text and emphasis are as clean when they are printed as sanitizing would leave them", () => {
  const markdown = [
    "{{ x }}",
    "# {{ x }}\n**{{ x }}** _a_ ~~b~~ `{{ x }}`\nc & d \\< &lt;b&gt; {{ y }}",
    "a\n\n***{{ x }}***",
  ];
  const values = [
    "<script>x</script>",
    "&amp; & &lt;",
    "\"q\" 'q'",
    "a\r\nb",
    "\u0001\u200b\u2028",
    "<b",
    "*a* [b](c)",
    "&#x3C;",
  ];
  for (const body of markdown) {
    for (const x of values) {
      const printed = html(body, { data: { x, y: x } });
      assert.equal(sanitizeHtml(printed), printed);
    }
  }
});
