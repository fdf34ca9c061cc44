/**
 * Content as an attack, sent as content is sent: it may not reach what is not its data, and not hold the event loop.
 * Time is that of this thread's processor alone, client included, so that a busy machine makes nothing fail.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Answer, Complaints, type HostileServer, startHostile } from "./hostile-server.ts";
import { makeThings } from "./valid-calls.ts";
import { random } from "./values.ts";

const MEGABYTE = 1_000_000;
const MAX_BLOCKED_MS = 1_000;

/** What must print as nothing, or as what was typed. */
const PROBES: readonly string[] = [
  "constructor", "constructor.constructor", "constructor.name", "__proto__", "__proto__.constructor", "toString", "valueOf",
  "hasOwnProperty", "prototype", "data.constructor", "data.__proto__", "data.text.constructor", "data.list.constructor",
  "data.list.constructor.name", "data.number.constructor", "data.list.push", "data.list.map", "data.text.at", "data.text.repeat",
  "profile.constructor", "this.constructor", "this.__proto__", "@root.constructor", "@root.__proto__", "../constructor",
  "../../../../constructor", "data.[constructor]", "data.[__proto__].[polluted]", "[__proto__]", "refs.constructor", "refs.__proto__",
  "urls.constructor", "courier.constructor", "courier.constructor.constructor", "event.constructor", "brand.constructor",
  "process", "process.env", "globalThis", "require", "global.process", "this", "import", "arguments", "Object.keys",
  'lookup this "constructor"', 'lookup data "__proto__"', 'var "constructor"', 'var "constructor.name"', 'path "data.__proto__.a"',
  'concat constructor ""', "concat toString", 'format "%s" constructor', 'set "__proto__" data', 'set __proto__="x"', 'json-parse "{"',
  'var (concat "con" "structor")', 'translate "constructor"', 't "__proto__"', 't "toString"', "constructor data", "__proto__ data", "toString data",
  'default constructor (concat "" __proto__)', "truncate constructor 100", "capitalize __defineGetter__",
]; // prettier-ignore

const DATA = { text: "text", number: 5, list: [1, 2, 3], name: "Ann" };
/** What the inside of a runtime looks like when it is printed. */
const INSIDE = /native code|function\s*\w*\s*\(|\[object |class \w+ \{|\bFunction\b|\bObject\b|SECRET|PATH=|undefined/;

describe("templates", () => {
  let server: HostileServer;
  let sent = 0;
  before(async () => {
    server = await startHostile("sqlite", { CARILLON_ALLOW_NETWORKS: "" });
    await makeThings(server);
  });
  after(() => server.close());

  const send = (message: object, what: string): Promise<Answer> =>
    server.decent(
      "POST",
      "/send",
      { body: { message: { to: { user_id: `u${sent++}`, email: "a@example.com", phone_number: "+15550100" }, ...message } } },
      what,
    );
  const outputOf = async ({ status, text }: Answer): Promise<string> => {
    if (status !== 202) return "";
    const { requestId } = JSON.parse(text);
    const output = await server.decent("GET", `/messages/${requestId}/output`);
    const captured = await server.decent("GET", `/admin/captured?message_id=${requestId}`);
    return output.text + captured.text;
  };
  const everywhere = { method: "all", channels: ["email", "sms", "inbox"] };
  /** As `send`; the processor's time that it took counts. */
  const quickly = async (message: object, what: string): Promise<Answer> => {
    const before = process.threadCpuUsage();
    const answer = await send(message, what);
    const { user, system } = process.threadCpuUsage(before);
    const tookMs = (user + system) / 1_000;
    if (process.env.SHOW) console.log(Math.round(tookMs), what);
    assert.ok(tookMs < MAX_BLOCKED_MS, `${what}: took ${Math.round(tookMs)} ms`);
    return answer;
  };

  test("no name leads out of the data, in whatever text field it stands", async () => {
    const found = new Complaints();
    for (const probe of PROBES) {
      for (const text of [`<{{${probe}}}>`, `<{{{${probe}}}}>`, `<{{#with ${probe}}}{{this}}{{name}}{{/with}}>`, `<{{#each ${probe}}}{{@key}}{{this}}{{/each}}>`, `<{{#if ${probe}}}{{data.name}}{{/if}}>`, `<{${probe}}>`]) {
        await found.collect(async () => {
          const answer = await send(
            {
              data: DATA,
              routing: everywhere,
              content: {
                version: "2022-01-01",
                elements: [
                  { type: "meta", title: text },
                  { type: "text", content: text },
                  { type: "action", content: text, href: `https://example.com/${text}` },
                  { type: "image", src: `https://example.com/${text}`, alt_text: text },
                  { type: "quote", content: text },
                  { type: "html", content: text },
                ],
              },
              channels: { email: { override: { subject: text, body: { nested: [text] } }, metadata: { utm: { source: text } } } },
              providers: { "capture-sms": { override: { body: text } } },
            },
            text,
          );
          assert.equal(answer.status, 202, `${text} → ${answer.text}`);
          const output = (await outputOf(answer)).replaceAll(JSON.stringify(text).slice(1, -1), "");
          assert.doesNotMatch(output.replaceAll(probe, ""), INSIDE, text);
          if (text.startsWith("<{{#if") && probe !== "this") assert.doesNotMatch(output, /Ann/, `${text} is true`);
        });
      }
    }
    found.assertNone();
    assert.equal(({} as { x?: unknown }).x, undefined);
  });

  test("no expression of an if or a loop leads out of the data", async () => {
    const found = new Complaints();
    for (const probe of PROBES) {
      for (const [field, expression] of [
        ["if", probe], ["if", `!!(${probe})`], ["if", `data["${probe}"]`], ["if", `(${probe}) !== null && (${probe}) !== "" && (${probe})`],
        ["if", `{{${probe}}}`], ["if", `${probe}("return 1")()`], ["if", `${probe}.includes("a")`], ["loop", probe], ["loop", `data["${probe}"]`], ["loop", `{{${probe}}}`],
      ] as const) {
        await found.collect(async () => {
          const { status, text } = await send(
            {
              data: DATA,
              routing: everywhere,
              content: { version: "2022-01-01", elements: [{ type: "text", content: "always" }, { type: "text", content: "WITHIN {{$.item}}", [field]: expression }] },
              channels: { sms: { if: expression } },
              providers: { "capture-email": { if: expression } },
            },
            `${field} ${expression}`,
          );
          if (status === 400) return;
          const output = await outputOf({ status, text, headers: {} });
          assert.doesNotMatch(output, INSIDE, `${field} ${expression}`);
          // The probes that name things there are: this, and the courier's own facts.
          if (field === "loop") assert.doesNotMatch(output, /WITHIN/, `loop ${expression}`);
        });
      } // prettier-ignore
    }
    found.assertNone();
  });

  test("names that every object inherits are nothing special as data, as styles, and as keys", async () => {
    const found = new Complaints();
    // To turn this into text or a number with `String` or `Number` is an exception.
    const odd = { toString: 1, valueOf: 1, constructor: 1, toJSON: 1, length: -1, hasOwnProperty: 1, then: 1, [Symbol.iterator.toString()]: 1 };
    const calls = [
      "and", "or", "not", "condition", "conditional", "default", "json-parse", "var", "path", "set", "capitalize", "concat", "format", "trim",
      "trim-left", "trim-right", "trim-one-char-right", "truncate", "abs", "ceil", "floor", "inc", "round", "add", "subtract", "multiply", "divide", "mod", "t",
    ].flatMap((name) => [
      `${name} data.odd`, `${name} data.odd data.odd data.odd`, `${name} "%d%s%f%i" data.odd data.odd data.odd data.odd`, `${name} data.odd "<" 1`, `${name} 1 "==" data.odd`,
      `${name} data.list data.odd`, `${name} data.nested`, `${name} -1 -1 -1`, `${name} 1e308 -1e308`, `${name} "" ""`, `${name}`,
    ]); // prettier-ignore
    const operators = ["equals", "not_equals", "greater_than", "less_than", "greater_than_or_equals", "less_than_or_equals", "contains", "not_contains", "is_empty", "is_not_empty"];
    const data = { ...DATA, odd, nested: [[odd], { a: odd }] };
    const content = (...elements: object[]): object => ({ data, routing: everywhere, content: { version: "2022-01-01", elements } });
    for (const call of calls) {
      await found.collect(() => quickly(content({ type: "text", content: `{{${call}}}{{#if (${call})}}x{{/if}}{{#each (${call})}}{{this}}{{/each}}` }), call));
    }
    for (const operator of operators) {
      for (const property of ["{{data.odd}}", "{{data.text}}", "{{data.list}}", "{{data.number}}", "{{data.none}}"]) {
        for (const value of [odd, [odd], null, "{{data.odd}}", 1, true]) {
          const groups = [{ conditions: [{ property, operator, value }] }];
          await found.collect(() => quickly(content({ type: "text", content: "x", if: groups }), `${property} ${operator} ${JSON.stringify(value)}`));
        }
      }
    }
    for (const expression of ["data.odd == 1", "data.odd < 1", "data.odd > data.odd", "data.odd.includes(1)", "data.list.includes(data.odd)", "data.text.includes(data.odd)", "data[data.odd]", "data.odd[data.odd]", "!data.odd"]) {
      await found.collect(() => quickly(content({ type: "text", content: "x", if: expression }, { type: "text", content: "x", loop: expression }), expression));
    }
    const names = ["constructor", "__proto__", "toString", "valueOf", "hasOwnProperty", "\0", "\ud800"];
    for (const name of names) {
      const style = Object.fromEntries(
        ["align", "color", "background_color", "padding", "font_size", "line_height", "border_color", "border_size", "border_radius", "border_style"].map((field) => [field, name]),
      );
      const locales = JSON.parse(`{${JSON.stringify(name)}:{"content":"x"}}`);
      await found.collect(async () => {
        const answer = await quickly(
          content(
            { type: "meta", title: "t", locales: name === "__proto__" ? {} : JSON.parse(`{${JSON.stringify(name)}:{"title":"x"}}`) },
            { type: "text", content: "x", text_style: name, format: name, ref: name, id: name, ...style, locales },
            { type: "quote", content: "x", text_style: name, borderColor: name, ...style },
            { type: "action", content: "x", href: name, style: name, action_id: name, ...style },
            { type: "image", src: name, href: name, width: name, ...style },
            { type: "divider", ...style },
            { type: "columns", gap: name, elements: [{ type: "column", width: name, elements: [{ type: "text", content: "x" }] }] },
            { type: "list", list_type: name, elements: [{ type: "list-item", elements: [{ type: "link", content: "x", href: name, color: name }] }] },
          ),
          `styles called ${JSON.stringify(name)}`,
        );
        assert.equal(answer.status, name === "__proto__" ? 400 : 202, `${name} → ${answer.text}`);
        assert.doesNotMatch(await outputOf(answer), INSIDE, name);
      });
      for (const message of [
        { content: { version: "2022-01-01", elements: [{ type: "channel", channel: name, elements: [{ type: "text", content: "x" }] }] } },
        { routing: { method: "all", channels: [name] } },
        { routing: { method: "single", channels: ["email", name, { method: "all", channels: [name] }] } },
        { channels: { [name]: { providers: [name], override: odd } }, providers: { [name]: { override: odd } } },
        { channels: { email: { providers: [name], override: { [name]: odd, subject: odd, headers: odd, from: odd } } } },
        { providers: { "capture-email": { override: { [name]: [odd], body: odd } } } },
        { timeout: { channel: { [name]: 1 }, provider: { [name]: 1 } } },
        { metadata: { utm: { [name]: name }, event: "e", tags: ["t"] } },
        { to: { user_id: "odd", [name]: odd, email: odd, phone_number: [odd], webhook: odd, slack: odd, locale: name, timezone: odd } },
        { to: { user_id: "odd", webhook: { url: "http://127.0.0.1:9/", headers: odd, method: odd, authentication: odd } }, routing: { method: "all", channels: ["webhook"] } },
        { to: { user_id: "odd", preferences: { [name]: odd, notifications: { [name]: odd }, categories: odd } } },
        { to: { user_id: "odd", data: odd }, data: odd },
        { brand_id: name, preferences: { subscription_topic_id: name } },
        { delay: { duration: 0, timezone: name } },
      ]) {
        await found.collect(() => quickly({ content: { title: "t", body: "{{#each data}}{{@key}}{{this}}{{/each}}" }, ...message }, `${JSON.stringify(message).slice(0, 100)}`));
      }
    }
    found.assertNone();
  });

  test("content that would run or grow without end ends, within a second of work", async () => {
    const found = new Complaints();
    const roll = random(5);
    const list = Array.from({ length: 2_000 }, (_, i) => i);
    const each = (depth: number, inner: string): string => `${"{{#each @root.data.list}}".repeat(depth)}${inner}${"{{/each}}".repeat(depth)}`;
    const bombs: { readonly [name: string]: string } = {
      "loops in loops": each(6, "x"),
      "loops in loops that print nothing": each(6, ""),
      "loops over a text": each(3, "{{#each data.huge}}x{{/each}}"),
      "a loop that prints all of the data": each(2, "{{data}}"),
      "a loop that looks up long paths": each(2, `{{${"a.".repeat(500)}b}}`),
      "a text that doubles": `{{set "a" data.text}}${'{{set "a" (concat a a)}}'.repeat(60)}{{a}}`,
      "a text that doubles by format": `{{set "a" data.text}}${'{{set "a" (format "%s%s%s%s" a a a a)}}'.repeat(40)}{{a}}`,
      "a huge text, again and again": each(1, "{{trim data.huge}}{{capitalize data.huge}}"),
      "a huge text cut": each(1, "{{truncate data.huge 999999}}"),
      "a huge text trimmed": each(1, '{{trim data.blank}}{{trim data.huge "x"}}'),
      "a huge text as a format": each(1, "{{format data.percent 1 2 3}}"),
      "JSON read again and again": each(1, "{{json-parse data.json}}"),
      "a huge comparison": each(1, '{{#if (condition data.huge "==" data.huge2)}}x{{/if}}'),
      "a huge key translated": each(1, "{{t data.huge}}"),
      "a huge number": "{{round 1e308 1e308}}{{multiply 1e308 1e308}}{{mod 1 0}}{{divide 1 0}}{{truncate data.text 1e308}}",
      "a thousand calls in each other": `{{${'(concat "a" '.repeat(1_000)}"b"${")".repeat(1_000)}}}`,
      "ten thousand blocks in each other": `${"{{#if data}}".repeat(10_000)}x${"{{/if}}".repeat(10_000)}`,
      "50,000 values": "{{data.text}}".repeat(50_000),
      "50,000 huge values": "{{data.huge}}".repeat(50_000),
      "values of a whole that is huge": "{{data}}".repeat(1_000),
      "braces": "{".repeat(MEGABYTE - 1),
      "open values": "{{a ".repeat(200_000),
      "open blocks": "{{#if a}}".repeat(100_000),
      "closing blocks": "{{/if}}".repeat(100_000),
      "elses": `{{#if a}}${"{{else}}".repeat(100_000)}{{/if}}`,
      "comments": "{{!-- ".repeat(150_000),
      "a path of half a million parts": `{{${"a.".repeat(499_990)}b}}`,
      "a path of brackets": `{{${"[".repeat(900_000)}}}`,
      "quotes": `{{concat ${"'".repeat(900_000)}}}`,
      "backslashes": `{{concat "${"\\".repeat(900_000)}"}}`,
      "spaces in a value": `{{${" ".repeat(900_000)}a}}`,
      "half a million arguments": `{{concat ${"a ".repeat(400_000)}}}`,
      "snippets of themselves": "{{> constructor}}{{> self}}".repeat(1_000),
    };
    const data = {
      list,
      text: "text",
      huge: "x".repeat(300_000),
      huge2: "x".repeat(300_000),
      blank: " ".repeat(300_000),
      percent: "%s".repeat(150_000),
      json: `[${"[],".repeat(70_000)}[]]`,
    };
    for (const [name, text] of Object.entries(bombs)) {
      for (const [place, message] of Object.entries({
        content: { content: { title: "t", body: text } },
        title: { content: { title: text, body: "b" } },
        override: { content: { title: "t", body: "b" }, channels: { email: { override: { subject: text } } } },
      })) {
        // What differs between the places is small; each text meets the first, and one of the others.
        if (place !== "content" && roll() < 0.5) continue;
        await found.collect(() => quickly({ data, routing: everywhere, ...message }, `${name} as ${place}`));
      }
    }
    const loops = (depth: number, loop: string): object =>
      depth === 0
        ? { type: "text", content: "{{$.item}}" }
        : { type: "group", loop, elements: [loops(depth - 1, loop)] };
    for (const [name, elements] of Object.entries({
      "elements in loops": [loops(5, "data.list")],
      "elements in loops over a text": [loops(5, "data.huge")],
      "5,000 elements in a loop": [{ type: "group", loop: "data.list", elements: Array.from({ length: 4_000 }, () => ({ type: "text", content: "x" })) }],
      "5,001 elements": Array.from({ length: 5_001 }, () => ({ type: "text", content: "x" })),
      "a condition that searches a huge text, in a loop": [{ type: "group", loop: "data.list", elements: [{ type: "text", content: "x", if: 'data.huge.includes("y")' }] }],
      "a condition as long as may be": [{ type: "text", content: "x", if: `${"data.huge.includes(data.huge2) && ".repeat(110)}true` }],
      "a condition too long": [{ type: "text", content: "x", if: "(".repeat(MEGABYTE) }],
      "a condition of exclamation marks": [{ type: "text", content: "x", if: "!".repeat(4_000) }],
      "a condition of spaces": [{ type: "text", content: "x", if: `${" ".repeat(4_000)}!` }],
      "a condition of quotes": [{ type: "text", content: "x", if: `"${"\\".repeat(4_001)}` }],
      "a comparison 2,000 times": [{ type: "text", content: "x", if: `1${" < 1".repeat(1_000)}` }],
      "a thousand groups of conditions": [{ type: "text", content: "x", if: Array.from({ length: 1_000 }, () => ({ conditions: [{ property: "{{data.huge}}", operator: "contains", value: "y" }] })) }],
    })) {
      await found.collect(() => quickly({ data, routing: everywhere, content: { version: "2022-01-01", elements } }, name));
    }
    found.assertNone();
  });

  test("a megabyte of any markup, anywhere, is worked off within a second", async () => {
    const found = new Complaints();
    const roll = random(11);
    const alphabet = "*_~`[]()<>#|\\&@=!-+.1 \n\t>:/xh";
    const noise = (length: number): string => Array.from({ length }, () => alphabet[Math.floor(roll() * alphabet.length)]).join("");
    const units = [
      "[", "]", "*", "_", "~", "`", ">", "<", "#", "|", "\\", "&", "!", "-", "(", ")", "@", "=", "\n", " ", "\t", "\u00a0", "%", "$", "\u200b", "\ud800",
      "[a](", "[](b)", "![", "[[]]", "[a]: b\n", "[a][", "**a", "*a **b ", "_a_b", "~~", "``", "` ``", "> ", ">\n", "> > ", "- ", "- a\n", "  - a\n", "1. ", "1) a\n",
      "a|b\n", "|-|-|\n", "| a | b |\n|---|---|\n", "# ", "===\n", "---\n", "```\n", "~~~a\n", "    a\n", "<a", "<a>", "</a>", "<a href='", "<!--", "<!-- -->", "<![CDATA[", "<?", "<style>", "<script>",
      "&#", "&amp;", "&#x110000;", "&#64976;", "http://", "http://a.b/", "www.", "www.a.", "a@b.", "a@b.c ", "mailto:", "a\\\n", "a  \n", "a\n\n", "\n\n\n- ", "x ", "xy", "👩‍👧", "é",
      "{{", "}}", "{{a}}", "{{{a}}}", "{{#if a}}", "{{data.unit}}", "${", "\u{fdd0}0\u{fdd1}", "\u{fdd0}", "|a\n", "^", "{", "}", "\r", "\r\n", "\f", "\v",
      "*".repeat(499) + "\n\n", `${"[".repeat(4_000)} `, `${"(".repeat(4_000)}\n`, `${"`".repeat(90)}a\n`, `${"a*".repeat(240)}\n\n`, `${"<".repeat(4_999)} `, `[${"a".repeat(4_900)} `,
    ]; // prettier-ignore
    // Longer texts than 100,000 characters are not read as markdown, so that a few of these are enough.
    const texts: (readonly [string, string])[] = units.flatMap((unit, i) =>
      (i % 9 === 0 ? [99_000, MEGABYTE] : [99_000]).map((length) => [`${length} of ${JSON.stringify(unit).slice(0, 24)}`, unit.repeat(Math.ceil(length / unit.length)).slice(0, length)] as const),
    );
    for (let i = 0; i < 12; i++) texts.push([`noise ${i}`, noise(90_000)]);
    for (let i = 0; i < 12; i++) {
      const [a, b] = [units[Math.floor(roll() * units.length)], units[Math.floor(roll() * units.length)]];
      texts.push([`${JSON.stringify(a)} and ${JSON.stringify(b)}`.slice(0, 60), `${a}${b}`.repeat(20_000).slice(0, 99_000)]);
    }
    for (const [name, text] of texts) {
      await found.collect(() =>
        quickly({ routing: everywhere, content: { title: "t", body: text }, data: { unit: "x" } }, `markdown: ${name}`),
      );
    }
    for (const [name, text] of texts) {
      for (const [place, elements] of Object.entries({
        html: [{ type: "html", content: text }],
        quote: [{ type: "quote", content: text }],
        "the rest": [{ type: "meta", title: text }, { type: "action", content: text.slice(0, 50_000), href: text.slice(0, 300_000) }, { type: "image", src: text.slice(0, 100_000), alt_text: "a" }],
        raw: [{ type: "channel", channel: "email", raw: { html: text, subject: text.slice(0, 1_000) } }],
        value: [{ type: "text", content: "{{data.text}} [a]({{data.text}}) **{{data.text}}**" }],
      })) {
        if (roll() < 0.6) continue;
        await found.collect(() =>
          quickly({ routing: everywhere, data: { text: text.slice(0, 300_000) }, content: { version: "2022-01-01", elements } }, `${place}: ${name}`),
        );
      }
    }
    found.assertNone();
  });

  test("a megabyte in any other text field is refused or taken within a second", async () => {
    const found = new Complaints();
    const content = { title: "t", body: "[a](https://a.example)" };
    for (const unit of ["a", " ", "P1D", "[", "*.", "\n", "\ud800", "Mo-Fr "]) {
      const text = unit.repeat(MEGABYTE / unit.length);
      for (const [name, message] of Object.entries({
        "delay until": { content, delay: { until: text } },
        timezone: { content, delay: { until: "Mo-Fr 09:00-17:00", timezone: text } },
        expiry: { content, expiry: { expires_in: text } },
        "expiry at": { content, expiry: { expires_in: "P1D", expires_at: text } },
        locale: { content, to: { user_id: "u", locale: text } },
        pattern: { content, to: { list_pattern: text } },
        email: { content, to: { email: text } },
        emails: { content, to: { email: text.slice(0, 2_000) } },
        "an address in a profile": { content, to: { user_id: "u", webhook: { url: text } } },
        if: { content, channels: { email: { if: text } } },
        utm: { content, metadata: { utm: { source: text, [text.slice(0, 10_000)]: "x" } } },
        "the subject of an override": { content, channels: { email: { override: { subject: text, from: text, headers: { a: text } } } } },
        template: { template: text },
        event: { content, metadata: { event: text } },
      })) {
        await found.collect(() => quickly({ routing: everywhere, ...message }, `${name}: ${JSON.stringify(unit)}`));
      }
      for (const [method, path, body] of [
        ["POST", "/auth/issue-token", { scope: text, expires_in: "1 hour" }],
        ["POST", "/auth/issue-token", { scope: "user_id:a", expires_in: text }],
        ["PUT", "/translations/default/fr", text],
        ["PUT", "/translations/default/fr", `msgid "${text.replaceAll(/["\n]/g, "")}"\nmsgstr "`],
        ["PATCH", "/profiles/ann", { patch: [{ op: "add", path: `/${text}`, value: 1 }] }],
        ["PUT", "/users/ann/tokens/t1", { provider_key: "expo", expiry_date: text }],
        ["POST", "/providers", { provider: "smtp", settings: { host: text, from: text } }],
        ["POST", "/providers", { provider: "webhook", settings: { url: text } }],
      ] as const) {
        await found.collect(async () => {
          const before = process.threadCpuUsage();
          await server.decent(method, path, { body: JSON.stringify(body) }, unit);
          const { user, system } = process.threadCpuUsage(before);
          assert.ok(user + system < MAX_BLOCKED_MS * 1_000, `${method} ${path} ${JSON.stringify(unit)}: ${(user + system) / 1_000} ms`);
        });
      }
    }
    found.assertNone();
  });

  test("after all this an honest message still arrives", async () => {
    const answer = await send({ content: { title: "Hi {{name}}", body: "**{{name}}**" }, data: DATA, routing: everywhere }, "honest");
    assert.match(await outputOf(answer), /Hi Ann/);
  });
});
