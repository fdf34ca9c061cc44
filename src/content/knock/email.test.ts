import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rendered } from "../../engine/model.ts";
import { RenderError } from "../../engine/ports.ts";
import type { JsonObject } from "../../lib/json.ts";
import { knockLanguage } from "./language.ts";
import { type Given, renderingOf } from "./rendering.fixture.ts";

const language = knockLanguage();

async function email(template: JsonObject, given: Given = {}): Promise<Rendered> {
  return await language.render("email", { subject: "s", ...template }, renderingOf(given));
}

test("HTML and subject, with values that are no markup", async () => {
  const template = {
    subject: "Hi {{ name }}",
    html_body: '<p title="{{ name }}">Dear {{ name }}, {{ name | raw }} {{ "*x*" | from_markdown }}</p>',
  };
  const data = { name: '<b>"Ann"</b>\r\nBcc: x@y.z' };
  const { subject, html, text, raw } = await email(template, { data });
  assert.equal(subject, 'Hi <b>"Ann"</b> Bcc: x@y.z');
  const escaped = "&lt;b&gt;&quot;Ann&quot;&lt;/b&gt;\r\nBcc: x@y.z";
  assert.equal(html, `<p title="${escaped}">Dear ${escaped}, ${data.name} <p><em>x</em></p></p>`);
  assert.match(text, /^Dear <b>"Ann"<\/b>/);
  assert.equal(raw, null);
});

test("a layout holds the content, what comes before it may set what the layout shows", async () => {
  const template = {
    html_body: "<h1>{{ recipient.name }}</h1>{% assign tone = 'dark' %}",
    settings: { layout_key: "default", pre_content: "{% assign preheader = 'In short' %}<!-- before -->" },
  };
  const layouts = {
    default: {
      html:
        '<html><body class="{{ tone }}" bgcolor="{{ vars.branding.primary_color }}"><i>{{ preheader }}</i>{{ content }}' +
        '{% for link in footer_links %}<a href="{{ link.url }}">{{ link.text }}</a>{% endfor %}|{{ footer_links }}</body></html>',
      text: "{{ content }}\n--\n{{ vars.app_url }}",
    },
  };
  const { html, text } = await email(template, { layouts, openPixel: "https://pixel.example/1.gif" });
  assert.equal(
    html,
    '<html><body class="dark" bgcolor="#123456"><i>In short</i><!-- before --><h1>Ann</h1>' +
      '<a href="https://help.example/">Help</a>|<a href="https://help.example/">Help</a>' +
      '<img src="https://pixel.example/1.gif" width="1" height="1" alt="" style="display:block;border:0"></body></html>',
  );
  assert.equal(text, "Ann\n--\nhttps://app.example");
});

test("a layout that is not there is the author's mistake", async () => {
  await assert.rejects(email({ html_body: "x", settings: { layout_key: "gone" } }), {
    name: "RenderError",
    message: 'there is no layout "gone"',
  });
});

test("the text is the author's, or what the HTML says with the addresses of its links", async () => {
  const html_body = '<p>See <a href="{{ url }}">the page</a></p>';
  const data = { url: "https://x.example/?a=1&b=2" };
  assert.equal((await email({ html_body }, { data })).text, "See the page (https://x.example/?a=1&b=2)");
  assert.equal(
    (await email({ html_body, text_body: "Go to {{ url }}" }, { data })).text,
    "Go to https://x.example/?a=1&b=2",
  );
});

test("links are tracked in the order they stand in, scripts are not linked to", async () => {
  const html_body =
    '<a class="x" href="https://one.example/{{ p }}">1</a><a href="http://two.example">2</a><a data-knock-no-track href="https://three.example">3</a>' +
    '<a href="{{ js }}">4</a><a href="mailto:a@b.example">5</a><a HREF=\'https://six.example\'>6</a><abbr>7</abbr>';
  const data = { p: "?q=a&r=b", js: "javascript:alert(1)" };
  const { html, links } = await email({ html_body }, { data, tracks: true });
  assert.deepEqual(links, ["https://one.example/?q=a&r=b", "https://six.example"]);
  assert.equal(
    html,
    '<a class="x" href="https://track.example/0">1</a><a href="http://two.example">2</a><a href="https://three.example">3</a>' +
      '<a>4</a><a href="mailto:a@b.example">5</a><a href="https://track.example/1">6</a><abbr>7</abbr>',
  );
});

test("attachments come from the data of the trigger", async () => {
  const file = { name: "a.txt", content_type: "text/plain", content: "aGk=" };
  const expected = { attachments: [{ filename: "a.txt", contentType: "text/plain", data: "aGk=" }] };
  assert.deepEqual((await email({ html_body: "x" }, { data: { attachments: [file] } })).raw, expected);
  const settings = { attachment_key: "order.files" };
  assert.deepEqual(
    (await email({ html_body: "x", settings }, { data: { order: { files: [file, 1] } } })).raw,
    expected,
  );
  assert.equal((await email({ html_body: "x" }, { data: { attachments: "none" } })).raw, null);
});

test("visual blocks become tables", async () => {
  const visual_blocks = [
    { type: "markdown", content: "# Hi {{ recipient.name }}\n\n{{ evil }}", layout_attrs: { padding_top: 4 } },
    { type: "html", content: "<b>{{ evil }}</b>" },
    { type: "divider" },
    {
      type: "image",
      url: "https://img.example/{{ n }}.png",
      alt: '"{{ evil }}"',
      action: "https://go.example",
      style_attrs: { width: "50%" },
    },
    {
      type: "button_set",
      layout_attrs: { horizontal_align: "center", column_gap: 4 },
      buttons: [
        { label: "Go {{ n }}", action: "https://go.example/{{ n }}", variant: "solid" },
        { label: "No", action: "javascript:x", variant: "outline" },
        {
          label: "Later",
          action: "https://later.example",
          variant: "outline",
          style_attrs: { text_color: "red;x:url(y)" },
        },
      ],
    },
    {
      type: "row",
      columns: [{ blocks: [{ type: "html", content: "left" }] }, { blocks: [{ type: "markdown", content: "right" }] }],
    },
    {
      type: "partial",
      key: "card",
      name: "Card",
      attrs: { title: "For {{ recipient.name }}", items: "{{ data.list }}", flag: true },
    },
  ];
  const { html, text } = await email(
    { visual_blocks },
    {
      data: { evil: "<script>x</script>", n: 7, list: [{ t: "<1>" }, { t: "2" }] },
      partials: {
        card: "<h2>{{ title }}</h2>{% for i in items %}<i>{{ i.t }}</i>{% endfor %}{% if flag == true %}!{% endif %}{{ recipient.name }}",
      },
    },
  );
  for (const part of [
    "<!doctype html>",
    '<td style="padding:4px 0px 8px 0px"><h1>Hi Ann</h1>\n<p>&lt;script&gt;x&lt;/script&gt;</p></td>',
    "<b>&lt;script&gt;x&lt;/script&gt;</b>",
    "<hr ",
    '<a href="https://go.example"><img src="https://img.example/7.png" alt="&quot;&lt;script&gt;x&lt;/script&gt;&quot;" width="50%"',
    'background-color:#123456;color:#ffffff;border:1px solid #123456;border-radius:4px">Go 7</a>',
    'color:#123456;border:1px solid #123456;border-radius:4px">Later</a>',
    '<td width="50%" valign="top"><table',
    "<p>right</p>",
    "<h2>For Ann</h2><i>&lt;1&gt;</i><i>2</i>!</td>",
  ]) {
    assert.ok(html.includes(part), `${part}\n\n${html}`);
  }
  assert.ok(!html.includes("javascript"));
  assert.ok(!html.includes("url(y)"));
  assert.match(text, /Go 7 \(https:\/\/go\.example\/7\)/);
});

test("markdown partials become HTML in HTML", async () => {
  const partials = { note: { type: "markdown", content: "**{{ x }}**" }, gone: "x" };
  const { html } = await email({ html_body: "{% render 'note', x: evil %}" }, { partials, data: { evil: "<b>" } });
  assert.equal(html, "<p><strong>&lt;b&gt;</strong></p>");
  await assert.rejects(email({ html_body: "{% render 'missing' %}" }), RenderError);
});
