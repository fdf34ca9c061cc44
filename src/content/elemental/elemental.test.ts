import assert from "node:assert/strict";
import { test } from "node:test";
import type { Channel, Rendered } from "../../engine/model.ts";
import { type RenderContext, RenderError } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import type { Json } from "../../lib/json.ts";
import { validateElemental } from "./document.ts";
import { elemental } from "./elemental.ts";

function context(over: Partial<RenderContext> = {}): RenderContext {
  return {
    data: {},
    profile: {},
    tenant: {},
    brand: {},
    builtIns: {},
    locale: null,
    translate: () => undefined,
    fallbackTitle: "",
    utm: null,
    trackLink: null,
    openPixel: null,
    ...over,
  };
}

const PROVIDERS: { readonly [channel in Channel]: string } = {
  inbox: "inbox",
  email: "smtp",
  sms: "twilio",
  push: "fcm",
  chat: "slack",
  webhook: "webhook",
};

function render(
  source: Json,
  channel: Channel,
  over: Partial<RenderContext> = {},
  provider = PROVIDERS[channel],
): Rendered {
  const rendered = elemental.compile(source).render({ channel, provider }, context(over));
  assert.ok(rendered);
  return rendered;
}

const doc = (...elements: Json[]): Json => ({ version: "2022-01-01", elements });
const content = (html: string): string =>
  /<td style="padding:24px">([\s\S]*?)<\/td><\/tr>(?:<tr>|<\/table><\/body>)/.exec(html)?.[1] ?? html;

const LIST: Json = {
  type: "list",
  list_type: "ordered",
  elements: [
    { type: "list-item", content: "one **1**" },
    {
      type: "list-item",
      elements: [
        { type: "string", content: "two" },
        { type: "list", elements: [{ type: "list-item", content: "inner" }] },
      ],
    },
  ],
};

/** What each element says on each channel; `html` is a fragment that a mail must have. */
const TABLE: readonly {
  readonly name: string;
  readonly element: Json;
  readonly html: string;
  readonly body: { readonly [channel in Exclude<Channel, "email">]: string } & { readonly email?: string };
}[] = [
  {
    name: "meta",
    element: { type: "meta", title: "T" },
    html: "<title>T</title>",
    body: { inbox: "", sms: "", push: "", chat: "", webhook: "" },
  },
  {
    name: "text",
    element: { type: "text", content: "a **b** _i_ ~~s~~ `c` [l](https://x.io) 1 < 2" },
    html: '<p style="margin:0 0 12px">a <strong>b</strong> <em>i</em> <s>s</s> <code>c</code> <a href="https://x.io" style="color:#2563eb">l</a> 1 &lt; 2</p>',
    body: {
      inbox: "a b i s c l (https://x.io) 1 < 2",
      sms: "a b i s c l (https://x.io) 1 < 2",
      push: "a b i s c l 1 < 2",
      chat: "a *b* _i_ ~s~ `c` <https://x.io|l> 1 &lt; 2",
      webhook: "a b i s c l (https://x.io) 1 < 2",
    },
  },
  {
    name: "text in pieces",
    element: {
      type: "text",
      elements: [
        { type: "string", content: "a*" },
        { type: "string", content: "b", bold: true, color: "red" },
        { type: "link", content: "l", href: "https://x.io/{p}" },
        { type: "img", src: "https://x.io/i.png", alt_text: "pic" },
      ],
    },
    html: 'a*<span style="color:red"><strong>b</strong></span><a href="https://x.io/{p}" style="color:#2563eb">l</a><img src="https://x.io/i.png" alt="pic"',
    body: {
      inbox: "a*bl (https://x.io/{p})",
      sms: "a*bl (https://x.io/{p})",
      push: "a*bl",
      chat: "a**b*<https://x.io/{p}|l>",
      webhook: "a*bl (https://x.io/{p})",
    },
  },
  {
    name: "text as heading",
    element: { type: "text", content: "H", text_style: "h1", align: "center" },
    html: '<h1 style="margin:0 0 12px;font-size:28px;line-height:1.25;font-weight:700;text-align:center">H</h1>',
    body: { inbox: "H", sms: "H", push: "H", chat: "*H*", webhook: "H" },
  },
  {
    name: "action",
    element: { type: "action", content: "Go <", href: "https://x.io/?a=1&b=2", background_color: "#123456" },
    html: 'background-color:#123456;color:#ffffff;font-weight:600;text-decoration:none">Go &lt;</a>',
    body: {
      inbox: "",
      sms: "Go <: https://x.io/?a=1&b=2",
      push: "",
      chat: "<https://x.io/?a=1&b=2|Go &lt;>",
      webhook: "Go <: https://x.io/?a=1&b=2",
    },
  },
  {
    name: "image",
    element: { type: "image", src: "https://x.io/i.png", altText: "pic", href: "https://x.io", width: "50%" },
    html: '<a href="https://x.io"><img src="https://x.io/i.png" alt="pic" width="50%"',
    body: { inbox: "", sms: "", push: "", chat: "", webhook: "" },
  },
  {
    name: "divider",
    element: {
      type: "group",
      elements: [{ type: "text", content: "a" }, { type: "divider" }, { type: "text", content: "b" }],
    },
    html: "<hr",
    body: { inbox: "a\nb", sms: "a\n\nb", push: "a\nb", chat: "a\n\nb", webhook: "a\n\nb" },
  },
  {
    name: "quote",
    element: { type: "quote", content: "q\nr", borderColor: "#ff0000" },
    html: "<blockquote",
    body: { inbox: "q\nr", sms: "> q\n> r", push: "q\nr", chat: "> q\n> r", webhook: "q\nr", email: "> q\n> r" },
  },
  {
    name: "html",
    element: { type: "html", content: "<b class='x'>{v}</b>" },
    html: "<b class='x'>&lt;i&gt;</b>",
    body: { inbox: "", sms: "", push: "", chat: "", webhook: "" },
  },
  {
    name: "list",
    element: LIST,
    html: '<li>one <strong>1</strong></li><li>two<ul style="margin:0 0 12px;padding-left:24px"><li>inner</li></ul></li>',
    body: {
      inbox: "1. one 1\n2. two\n   - inner",
      sms: "1. one 1\n2. two\n   - inner",
      push: "1. one 1\n2. two\n   - inner",
      chat: "1. one *1*\n2. two\n   • inner",
      webhook: "1. one 1\n2. two\n   - inner",
    },
  },
  {
    name: "columns",
    element: {
      type: "columns",
      elements: [
        { type: "column", width: "30%", elements: [{ type: "text", content: "a" }] },
        { type: "column", elements: [{ type: "text", content: "b" }] },
      ],
    },
    html: '<td width="30%" valign="top" style="padding:0 8px"><p style="margin:0 0 12px">a</p></td><td width="50%"',
    body: { inbox: "a\nb", sms: "a\nb", push: "a\nb", chat: "a\nb", webhook: "a\nb" },
  },
  {
    name: "comment",
    element: { type: "comment", comment: "never" },
    html: '<td style="padding:24px"></td>',
    body: { inbox: "", sms: "", push: "", chat: "", webhook: "" },
  },
];

for (const { name, element, html, body } of TABLE) {
  test(`${name}: each channel gets its own form of it`, () => {
    const data = { v: "<i>" };
    const mail = render(doc(element), "email", { data });
    assert.ok(mail.html.includes(html), mail.html);
    assert.equal(mail.text, body.email ?? body.sms);
    for (const channel of ["inbox", "sms", "push", "chat", "webhook"] as const) {
      const rendered = render(doc(element), channel, { data });
      assert.equal(rendered.body, body[channel], channel);
      assert.equal(rendered.text, body[channel], channel);
      assert.equal(rendered.html, "", channel);
    }
  });
}

test("actions, pictures and blocks are also given apart from the text", () => {
  const source = doc(
    { type: "text", content: "hi" },
    {
      type: "action",
      content: "Go",
      href: "myapp://orders/{n}",
      action_id: "a1",
      style: "link",
      background_color: "#fff",
    },
    { type: "action", content: "Bad", href: "java\nscript:alert(1)" },
    { type: "image", src: "https://x.io/i.png", alt_text: "pic" },
    { type: "image", src: "javascript:alert(1)" },
    { type: "divider" },
  );
  const actions = [
    { content: "Go", href: "myapp://orders/7", actionId: "a1", style: "link", backgroundColor: "#fff" },
    { content: "Bad", href: "", actionId: null, style: "button", backgroundColor: null },
  ];
  for (const channel of ["inbox", "push", "email", "chat"] as const) {
    const rendered = render(source, channel, { data: { n: 7 } });
    assert.deepEqual(rendered.actions, actions);
    assert.equal(rendered.clickUrl, "myapp://orders/7");
    assert.equal(rendered.imageUrl, "https://x.io/i.png");
    assert.deepEqual(
      rendered.blocks.map((b) => b.type),
      ["text", "action", "action", "image", "divider"],
    );
  }
  assert.equal(render(source, "chat").blocks[3]?.text, "https://x.io/i.png");
});

test("sugar is a title and a markdown text (scenario 2)", () => {
  const mail = render({ title: "Hi {name}", body: "Hello {{name}}" }, "email", { data: { name: "Ann" } });
  assert.equal(mail.subject, "Hi Ann");
  assert.ok(mail.html.includes("Hello Ann"));
  assert.equal(mail.text, "Hello Ann");
  assert.equal(render({ body: "x" }, "email", { fallbackTitle: "Template" }).subject, "Template");
  assert.equal(render({ title: "a {x}", body: "" }, "email", { data: { x: "b\r\nBcc: c" } }).subject, "a b Bcc: c");
  const both = render({ title: "T", body: "one", elements: [{ type: "text", content: "two" }] }, "inbox");
  assert.deepEqual([both.title, both.body], ["T", "one\ntwo"]);
});

test("scenario 28: channel elements, channel filters and comments", () => {
  const source = doc(
    {
      type: "channel",
      channel: "email",
      elements: [
        { type: "meta", title: "Subject" },
        { type: "text", content: "mail **text**" },
        { type: "html", content: "<hr class=mine>" },
        { type: "action", content: "Open", href: "https://x.io" },
        { type: "comment", comment: "secret" },
      ],
    },
    { type: "channel", channel: "default", elements: [{ type: "text", content: "only **this**" }] },
  );
  const mail = render(source, "email");
  assert.equal(mail.subject, "Subject");
  for (const part of ["mail <strong>text</strong>", "<hr class=mine>", 'href="https://x.io"'])
    assert.ok(mail.html.includes(part));
  const sms = render(source, "sms");
  assert.deepEqual([sms.body, sms.title, sms.subject], ["only this", "", ""]);
  assert.ok(!JSON.stringify([mail, sms]).includes("secret"));
  const filtered = doc({ type: "text", content: "a", channels: ["email"] }, { type: "text", content: "b" });
  assert.equal(render(filtered, "sms").body, "b");
  assert.equal(render(filtered, "email").text, "a\nb");
  const mixed = doc({ type: "channel", channel: "email", elements: [] }, { type: "text", content: "x" });
  assert.throws(() => elemental.compile(mixed), Refusal);
});

test("a provider's channel element goes before its channel's, that before the default, and none means nothing", () => {
  const of = (channel: string): Json => ({ type: "channel", channel, elements: [{ type: "text", content: channel }] });
  const all = doc(of("default"), of("direct_message"), of("slack"), { type: "meta", title: "top" });
  assert.equal(render(all, "chat").body, "slack");
  assert.equal(render(all, "chat", {}, "discord").body, "direct_message");
  assert.deepEqual([render(all, "push").body, render(all, "push").title], ["default", "top"]);
  const compiled = elemental.compile(doc(of("email")));
  assert.equal(compiled.render({ channel: "sms", provider: "twilio" }, context()), null);
});

test("scenario 29: loop, index, refs and both equalities", () => {
  const loop = doc({ type: "text", loop: "data.items", content: "{{$.index}}:{{$.item.name}}" });
  assert.equal(render(loop, "sms", { data: { items: [{ name: "a" }, { name: "b" }] } }).body, "0:a\n1:b");
  assert.equal(render(loop, "sms", { data: { items: [] } }).body, "");
  assert.equal(render(loop, "sms", { data: { items: "no list" } }).body, "");
  const hidden = doc(
    { type: "text", ref: "x", if: "data.no", content: "X" },
    { type: "text", if: "refs.x.visible", content: "Y" },
    { type: "text", if: "!refs.x.visible && refs.x.content === 'X'", content: "Z" },
    { type: "text", if: "refs.later.visible", content: "early" },
    { type: "text", ref: "later", content: "late" },
  );
  assert.equal(render(hidden, "sms").body, "Z\nlate");
  assert.equal(render(hidden, "sms", { data: { no: true } }).body, "X\nY\nlate");
  for (const operator of ["==", "==="]) {
    const source = doc({ type: "text", if: `data.a ${operator} 3`, content: "yes" });
    assert.equal(render(source, "sms", { data: { a: 3 } }).body, "yes");
    assert.equal(render(source, "sms", { data: { a: "3" } }).body, "");
  }
});

test("loops nest, groups repeat as a whole, and `if` is asked for each item", () => {
  const source = doc({
    type: "group",
    loop: "{{data.orders}}",
    if: "$.item.lines.length > 0",
    elements: [
      { type: "text", content: "{{item.id}}" },
      { type: "text", loop: "item.lines", if: "item !== 'skip' && index < 2", content: "{index}/{item}" },
    ],
  });
  const orders = [
    { id: 1, lines: ["a", "skip", "c"] },
    { id: 2, lines: [] },
    { id: 3, lines: ["d"] },
  ];
  assert.equal(render(source, "inbox", { data: { orders } }).body, "1\n0/a\n3\n0/d");
});

test("an `if` outside the language is false, and the designer's form is understood", () => {
  const shown = (condition: Json, data: { [key: string]: Json } = { plan: "pro", n: 5, tags: ["a"] }): boolean =>
    render(doc({ type: "text", if: condition, content: "x" }), "sms", { data }).body === "x";
  assert.equal(shown("process.exit(1)"), false);
  const one = (property: string, operator: string, value?: Json): Json => [
    { conditions: [{ property, operator, ...(value === undefined ? {} : { value }) }], logical_operator: "and" },
  ];
  assert.equal(shown(one("data.plan", "equals", "pro")), true);
  assert.equal(shown(one("data.n", "equals", "5")), true);
  assert.equal(shown(one("data.plan", "not_equals", "pro")), false);
  assert.equal(shown(one("data.n", "greater_than", "4")), true);
  assert.equal(shown(one("data.n", "less_than_or_equals", 4)), false);
  assert.equal(shown(one("data.tags", "contains", "a")), true);
  assert.equal(shown(one("data.plan", "not_contains", "r")), false);
  assert.equal(shown(one("data.missing", "is_empty")), true);
  assert.equal(shown(one("plan", "is_not_empty")), true);
  const no = { property: "data.n", operator: "equals", value: 1 };
  const yes = { property: "data.n", operator: "equals", value: 5 };
  assert.equal(shown([{ conditions: [no, yes], logical_operator: "or" }]), true);
  assert.equal(shown([{ conditions: [no, yes], logical_operator: "and" }]), false);
  assert.equal(shown([{ conditions: [no] }, { conditions: [yes] }]), true);
});

test("scenario 30: values are escaped in mails, never read again, and reveal nothing inherited", () => {
  const data = { x: "<b>{{y}}</b>", y: "no" };
  const source = { title: "", body: "{x}" };
  assert.ok(content(render(source, "email", { data }).html).includes("&lt;b&gt;{{y}}&lt;/b&gt;"));
  assert.equal(render(source, "sms", { data }).body, "<b>{{y}}</b>");
  assert.equal(render({ body: "{zz}|{{zz}}" }, "sms").body, "{zz}|");
  const probes = "{{constructor}}|{__proto__}|{{data.__proto__.x}}|{{name.constructor}}|{{toString}}|{{lookup}}";
  assert.equal(render({ body: probes }, "sms", { data: { name: "n" } }).body, "|{__proto__}||||");
});

test("markdown in values is text, also in links, and raw HTML of the author is inert", () => {
  const data = { v: "**b** [l](https://evil.io) _i_\n# h", u: "javascript:alert(1)", q: '"><script>' };
  const html = content(
    render({ body: "x {v} [go]({u}) [q](https://x.io/{q}) <script>alert(1)</script>" }, "email", { data }).html,
  );
  assert.ok(html.includes("**b** [l](https://evil.io) _i_<br># h"), html);
  assert.ok(!html.includes("javascript:"), html);
  assert.ok(!/<script/i.test(html), html);
  assert.ok(html.includes('href="https://x.io/&quot;&gt;&lt;script&gt;"'), html);
  assert.equal(render({ body: "a <b>bold</b> <br>c" }, "sms").body, "a bold c");
  for (const href of ["javascript:x", " JaVa\tScript:x", "data:text/html,x", "vbscript:x"]) {
    const bad = render({ body: `[l](<${href}>)`, elements: [{ type: "action", content: "a", href }] }, "email");
    assert.ok(!/href=/.test(bad.html), bad.html);
  }
  assert.ok(render({ body: "[m](mailto:a@x.io)" }, "email").html.includes('href="mailto:a@x.io"'));
});

test("styles come out inline and can hold nothing but styles", () => {
  const element = {
    type: "text",
    content: "x",
    color: "{brand.colors.primary}",
    background_color: "red;background:url(x)",
    padding: "10px 5px",
    font_size: 18,
    border_color: '"><script>',
  };
  const { html } = render(doc(element), "email", { brand: { colors: { primary: "#abcdef" } } });
  assert.ok(content(html).includes("padding:10px 5px;font-size:18px;border-style:solid;color:#abcdef"), html);
  assert.ok(!html.includes("url("));
});

test("links in mails are tracked in order, others and elements that say so are not", () => {
  const source = doc(
    { type: "text", content: "[a](https://a.io) [m](mailto:x@y.io) https://b.io" },
    { type: "action", content: "c", href: "https://c.io" },
    { type: "action", content: "d", href: "https://d.io", disable_tracking: true },
    { type: "image", src: "https://e.io/i.png", href: "https://e.io" },
  );
  const trackLink = (index: number): string => `https://t.io/${index}`;
  const mail = render(source, "email", {
    trackLink,
    utm: { source: "s", campaign: "c d" },
    openPixel: "https://t.io/open?a&b",
  });
  const utm = "?utm_source=s&utm_campaign=c%20d";
  assert.deepEqual(mail.links, [
    `https://a.io${utm}`,
    `https://b.io${utm}`,
    `https://c.io${utm}`,
    `https://e.io${utm}`,
  ]);
  for (const part of [
    "https://t.io/0",
    "https://t.io/3",
    "mailto:x@y.io",
    "https://d.io?utm_source=s&amp;utm_campaign=c%20d",
  ]) {
    assert.ok(mail.html.includes(`href="${part}"`), part);
  }
  assert.ok(mail.html.endsWith('style="display:block;border:0"></body></html>'));
  assert.ok(mail.html.includes("https://t.io/open?a&amp;b"));
  assert.ok(mail.text.includes(`a (https://a.io${utm})`));
  assert.equal(mail.actions[0]?.href, `https://c.io${utm}`);
  assert.deepEqual(render(source, "sms", { trackLink }).links, []);
});

test("an address typed into a text is printed once, also without its scheme or with a campaign", () => {
  const body = { title: "T", body: "www.x.io https://y.io a@z.io [https://w.io](https://w.io) [l](https://l.io)" };
  assert.equal(render(body, "sms").text, "www.x.io https://y.io a@z.io https://w.io l (https://l.io)");
  assert.equal(
    render(body, "sms", { utm: { source: "s" } }).text,
    "http://www.x.io?utm_source=s https://y.io?utm_source=s a@z.io https://w.io?utm_source=s l (https://l.io?utm_source=s)",
  );
});

test("scenario 31: a locale replaces the fields it has, and t looks keys up", () => {
  const source = doc(
    { type: "meta", title: "Hello", locales: { fr: { title: "Salut" } } },
    {
      type: "text",
      content: "base",
      locales: { fr: { content: "français" }, "eu-fr": { content: "eu" }, pt_BR: { content: "br" } },
    },
    { type: "action", content: "Go", href: "https://x.io", locales: { fr: { content: "Allez" } } },
  );
  const body = (locale: string | null): string => render(source, "inbox", { locale }).body;
  assert.equal(body("fr"), "français");
  assert.equal(body("fr-CA"), "français");
  assert.equal(body("FR_ca"), "français");
  assert.equal(body("eu-fr"), "eu");
  assert.equal(body("pt-br"), "br");
  assert.equal(body("de"), "base");
  assert.equal(body(null), "base");
  const french = render(source, "inbox", { locale: "fr" });
  assert.deepEqual(
    [french.title, french.actions[0]?.content, french.actions[0]?.href],
    ["Salut", "Allez", "https://x.io"],
  );
  const translate = (key: string): string | undefined => (key === "Hello" ? "Bonjour" : undefined);
  assert.equal(
    render({ body: '{{t "Hello"}} {{t "Hi %s, %d" name 3.7}}' }, "sms", { translate, data: { name: "A" } }).body,
    "Bonjour Hi A, 3",
  );
});

test("a channel's elements or raw body may differ by locale", () => {
  const source = doc({
    type: "channel",
    channel: "sms",
    elements: [{ type: "text", content: "base" }],
    locales: { fr: { elements: [{ type: "text", content: "fr {x}" }] } },
  });
  assert.equal(render(source, "sms", { locale: "fr-CA", data: { x: 1 } }).body, "fr 1");
  assert.equal(render(source, "sms").body, "base");
});

test("raw bodies are interpolated and fill the fields of their channel", () => {
  const raw = (channel: string, body: Json): Json =>
    doc({ type: "meta", title: "M" }, { type: "channel", channel, raw: body });
  const data = { n: '<"x">', deep: { a: 1 } };
  const mail = render(raw("email", { subject: "S {n}", html: "<body><p>{n} {{{n}}}</p></body>" }), "email", {
    data,
    openPixel: "https://o",
  });
  assert.equal(mail.subject, 'S <"x">');
  assert.ok(mail.html.startsWith('<body><p>&lt;&quot;x&quot;&gt; <"x"></p><img src="https://o"'));
  assert.ok(mail.html.endsWith("</body>"));
  assert.equal(mail.text, '<"x"> <"x">'.replace(/<"x">$/, "").trim());
  assert.equal(render(raw("sms", { text: "t {n}" }), "sms", { data }).body, 't <"x">');
  const push = render(raw("push", { text: "t" }), "push", { data });
  assert.deepEqual([push.title, push.body, push.raw], ["M", "t", { text: "t" }]);
  const slack = render(raw("slack", { slackBlocks: '[{"type":"section","text":"{n}"}]' }), "chat", { data });
  assert.deepEqual(slack.raw, { slackBlocks: [{ type: "section", text: '<"x">' }] });
  const hook = render(raw("webhook", { payload: { a: ["{n}"], b: 1 } }), "webhook", { data });
  assert.deepEqual(hook.raw, { payload: { a: ['<"x">'], b: 1 } });
});

test("the brand frames a mail: logo, bar, footer, snippets, or the author's own frame", () => {
  const brand = {
    colors: { primary: "#112233" },
    email: {
      header: { logo: { image: "https://x.io/logo.png", href: "https://x.io" }, barColor: "#445566" },
      footer: { content: "Bye **{name}** {{> legal}}", social: { twitter: { url: "https://t.io" } } },
    },
    snippets: { items: [{ name: "legal", value: "© {{tenant.name}}" }] },
  };
  const over = { brand, data: { name: "<A>" }, tenant: { name: "Acme" } };
  const { html } = render({ title: "t", body: "{{> legal}} b" }, "email", over);
  for (const part of [
    "https://x.io/logo.png",
    "#445566",
    "Bye <strong>&lt;A&gt;</strong> © Acme",
    "https://t.io",
    "© Acme b",
  ]) {
    assert.ok(html.includes(part), part);
  }
  const templateOverride = { enabled: true, header: "<h1>{name}</h1>", footer: "<i>f</i>", head: "<style></style>" };
  const own = render({ body: "b" }, "email", { ...over, brand: { email: { ...brand.email, templateOverride } } }).html;
  assert.ok(own.includes("<h1>&lt;A&gt;</h1>") && own.includes("<i>f</i>") && !own.includes("logo.png"));
});

const INVALID: readonly [string, Json][] = [
  ["content", null],
  ["content", []],
  ["content", {}],
  ["content.body", { title: "t", body: 3 }],
  ["content.version", { version: "2023-01-01", elements: [] }],
  ["content.elements", { elements: {} }],
  ["content.elements[0]", doc(3)],
  ["content.elements[0].type", doc({ type: "bogus" })],
  ["content.elements[0].type", doc({ type: "__proto__" })],
  ["content.elements[0].type", doc({ type: "constructor" })],
  ["content.elements[0].type", doc({ type: "jsonnet", content: "1" })],
  ["content.elements[0].type", doc({ type: "list-item", content: "x" })],
  ["content.elements[0].type", doc({ type: "string", content: "x" })],
  ["content.elements[0].content", doc({ type: "text", content: 3 })],
  ["content.elements[0].elements[0].type", doc({ type: "group", elements: [{ type: "channel", channel: "email" }] })],
  ["content.elements[0].elements[0].type", doc({ type: "columns", elements: [{ type: "text", content: "x" }] })],
  ["content.elements[0].channels", doc({ type: "text", content: "x", channels: "email" })],
  ["content.elements[0].if", doc({ type: "text", content: "x", if: 3 })],
  [
    "content.elements[0].if[0].conditions[0].operator",
    doc({ type: "text", content: "x", if: [{ conditions: [{ property: "a", operator: "like" }] }] }),
  ],
  ["content.elements[0].locales", doc({ type: "text", content: "x", locales: "fr" })],
  ["content.elements[0].locales.fr.content", doc({ type: "text", content: "x", locales: { fr: { content: {} } } })],
  ["content.elements[0].channel", doc({ type: "channel", elements: [] })],
  ["content.elements[0].raw", doc({ type: "channel", channel: "sms", elements: [], raw: {} })],
  ["content.elements[1]", doc({ type: "channel", channel: "sms" }, { type: "text", content: "x" })],
  ["content.elements", { body: "x", elements: [{ type: "channel", channel: "sms" }] }],
];

test("a document that breaks a rule is refused with the path of the element at fault", () => {
  for (const [field, source] of INVALID) {
    assert.throws(
      () => elemental.compile(source),
      (error) => error instanceof Refusal && error.code === "invalid" && error.field === field,
      `${field} ${JSON.stringify(source)}`,
    );
  }
  assert.throws(
    () => validateElemental({ title: "a", body: "b" }, { allowSugar: false, field: "notification.content" }),
    {
      field: "notification.content.elements",
    },
  );
  const mjml = doc({ type: "channel", channel: "email", raw: { html: "<mjml>", transformers: ["mjml"] } });
  assert.throws(() => elemental.compile(mjml), { code: "not_implemented" });
});

test("documents that are too deep or too long are refused", () => {
  let deep: Json = { type: "text", content: "x" };
  for (let i = 0; i < 5000; i++) deep = { type: "group", elements: [deep] };
  assert.throws(() => elemental.compile(doc(deep)), Refusal);
  let list: Json = { type: "list-item", content: "x" };
  for (let i = 0; i < 6; i++) list = { type: "list-item", elements: [{ type: "list", elements: [list] }] };
  assert.throws(() => elemental.compile(doc({ type: "list", elements: [list] })), Refusal);
  assert.throws(() => elemental.compile(doc(...Array.from({ length: 5001 }, () => ({ type: "divider" })))), Refusal);
  assert.throws(() => elemental.compile({ body: "x".repeat(1_000_001) }), Refusal);
});

test("a malformed expression fails when it is rendered, not when it is stored, and only where it is used", () => {
  for (const body of ["{{name", "{{#if a}}x", "{{/if}}", "{{nope 1}}", "{{#each a}}{{/if}}", "{{}}", "{{#}}"]) {
    const compiled = elemental.compile({ title: "t", body });
    assert.throws(() => compiled.render({ channel: "sms", provider: "x" }, context()), RenderError, body);
  }
  const source = doc({ type: "text", content: "{{broken", channels: ["email"] }, { type: "text", content: "fine" });
  assert.equal(render(source, "sms").body, "fine");
  assert.throws(() => render(source, "email"), RenderError);
});

test("templates that would run for ever are stopped by their limits, soon", () => {
  const items = Array.from({ length: 1000 }, (_, i) => i);
  const big = "x".repeat(500_000);
  const hostile: Json[] = [
    { body: "{{#each items}}{{#each ../items}}{{this}}{{/each}}{{/each}}" },
    { body: "{{#each items}}{{#each @root.items}}{{#each @root.items}}{{/each}}{{/each}}{{/each}}" },
    doc({ type: "group", loop: "items", elements: [{ type: "text", loop: "items", content: "a" }] }),
    doc({ type: "text", loop: "items", content: "{big}" }),
    { body: "{{set 'x' 'ab'}}{{#each items}}{{set 'x' (concat x x)}}{{/each}}" },
    { body: `{{#each items}}${"{{> loop}}".repeat(10)}{{/each}}` },
    { body: `{{#each items}}{{format "${"%1$s".repeat(1000)}" @root.big}}{{/each}}` },
    { body: "{{#each items}}{{#if (condition @root.big '==' @root.big2)}}{{/if}}{{/each}}" },
    doc({ type: "text", loop: "items", if: "!data.big.includes(data.big2)", content: "a{big}" }),
    { body: "{{#each items}}{{#if (concat @root.self)}}{{/if}}{{/each}}" },
    { body: "{{#each items}}{{json-parse @root.json}}{{/each}}" },
  ];
  const brand = { snippets: { items: [{ name: "loop", value: "{{> loop}}{{> loop}}" }] } };
  const data = { items, big, big2: `${big.slice(1)}y`, self: { big }, json: `["${big}"]` };
  for (const source of hostile) {
    // Of this process alone: on a busy machine others take their share of the time that passes.
    const before = process.cpuUsage();
    assert.throws(() => render(source, "sms", { data, brand }), RenderError, JSON.stringify(source).slice(0, 80));
    const took = process.cpuUsage(before).user / 1_000;
    assert.ok(took < 500, `${JSON.stringify(source).slice(0, 80)} took ${took} ms`);
  }
});

test("large and hostile bodies compile and render in bounded time", () => {
  const bodies = [
    "a".repeat(1_000_000),
    "{".repeat(1_000_000),
    "{{".repeat(500_000),
    "\\{".repeat(300_000),
    "*a ".repeat(300_000),
    "***a ".repeat(20_000) + "b**".repeat(20_000),
    "[".repeat(100_000),
    ">".repeat(50_000),
    "1. ".repeat(30_000),
    "{{#if a}}".repeat(100_000),
    "{{(".repeat(50_000),
    `{{${"(concat ".repeat(5000)}`,
    "<".repeat(100_000),
    "a.".repeat(50_000),
    "\n".repeat(500_000),
    "{a ".repeat(300_000),
    "{{!".repeat(300_000),
    Array.from({ length: 400 }, (_, i) => `${" ".repeat(i * 2)}- a`).join("\n"),
    `${"> - ".repeat(14)}x`,
  ];
  for (const body of bodies) {
    const started = performance.now();
    for (const channel of ["sms", "email"] as const) {
      try {
        render({ title: "t", body }, channel);
      } catch (error) {
        assert.ok(error instanceof RenderError, `${body.slice(0, 20)}: ${error}`);
      }
    }
    const took = performance.now() - started;
    assert.ok(took < 1500, `${body.slice(0, 20)} took ${took} ms`);
  }
});

test("data nested too deep to be written is the content's failure, not ours", () => {
  let deep: Json = 1;
  for (let i = 0; i < 100_000; i++) deep = [deep];
  try {
    assert.equal(render({ body: "{deep}" }, "sms", { data: { deep } }).body.length, 200_001);
  } catch (error) {
    // Whether JSON.stringify recurses is up to the engine of the day.
    assert.ok(error instanceof RenderError);
  }
  assert.throws(() => elemental.interpolate(deep, context()), RenderError);
});

test("nothing that comes out has lone surrogates or NUL", () => {
  const bad = "a\ud800b\0c\udc00";
  const source = doc(
    { type: "meta", title: `${bad}{v}` },
    { type: "text", content: `${bad} {v} {{truncate '😀😀' 1}} **{v}**` },
    { type: "action", content: `{v}${bad}`, href: `https://x.io/${bad}{v}` },
    { type: "html", content: `${bad}{v}` },
  );
  for (const channel of ["email", "inbox", "sms", "push", "chat", "webhook"] as const) {
    const text = JSON.stringify(render(source, channel, { data: { v: bad } }));
    assert.ok(!/\\ud[89a-f]|\\u0000/i.test(text), text);
    if (channel === "sms") assert.ok(text.includes("😀…"));
  }
});

test("marks of values in the author's text cannot be mistaken for values", () => {
  const rendered = render({ body: "\uFDD00\uFDD1 {v} &#64976;0&#64977;" }, "sms", { data: { v: "secret" } });
  assert.equal(rendered.body.split("secret").length, 2);
});

test("content that says the same to everyone is rendered once for each channel, provider and locale", () => {
  const compiled = elemental.compile({ title: "T", body: "**same**" });
  const inbox = { channel: "inbox", provider: "inbox" } as const;
  const first = compiled.render(inbox, context());
  assert.equal(compiled.render(inbox, context({ data: { a: 1 }, locale: "fr" })), first);
  assert.notEqual(compiled.render({ channel: "push", provider: "fcm" }, context()), first);
  assert.ok(Object.isFrozen(first) && Object.isFrozen(first?.actions));
  const mail = { channel: "email", provider: "smtp" } as const;
  assert.notEqual(compiled.render(mail, context()), compiled.render(mail, context()));
  const varied = elemental.compile(doc({ type: "text", content: "a", if: "data.x" }));
  assert.equal(varied.render(inbox, context({ data: { x: 1 } }))?.body, "a");
  assert.equal(varied.render(inbox, context())?.body, "");
  const local = elemental.compile(doc({ type: "text", content: "a", locales: { fr: { content: "f" } } }));
  assert.equal(local.render(inbox, context())?.body, "a");
  assert.equal(local.render(inbox, context({ locale: "fr" }))?.body, "f");
  const piece = elemental.compile(doc({ type: "text", elements: [{ type: "string", content: "a", if: "data.x" }] }));
  assert.equal(piece.render(inbox, context())?.body, "");
  assert.equal(piece.render(inbox, context({ data: { x: 1 } }))?.body, "a");
});

test("strings in overrides are interpolated, at every depth, keys and other values left alone", () => {
  const value = JSON.parse('{"a":["{x}",1,null,{"{x}":"{{x}}"}],"__proto__":{"p":1},"m":"{zz}"}') as Json;
  const result = elemental.interpolate(value, context({ data: { x: "v" } }));
  assert.equal(JSON.stringify(result), '{"a":["v",1,null,{"{x}":"v"}],"m":"{zz}"}');
  assert.throws(() => elemental.interpolate({ a: "{{x" }, context()), RenderError);
});
