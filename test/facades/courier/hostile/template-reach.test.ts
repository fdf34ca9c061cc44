/** Content that tries to reach what is not its data: prototypes, the runtime, the process. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Complaints } from "./hostile-server.ts";
import { EVERYWHERE, type Sending, startSending } from "./sending.ts";

/** What must print as nothing, or as what was typed. */
// biome-ignore format: a table
const PROBES: readonly string[] = [
  "constructor", "constructor.constructor", "constructor.name", "__proto__", "__proto__.constructor", "toString",
  "valueOf", "hasOwnProperty", "prototype", "data.constructor", "data.__proto__", "data.text.constructor",
  "data.list.constructor", "data.list.constructor.name", "data.number.constructor", "data.list.push",
  "data.list.map", "data.text.at", "data.text.repeat", "profile.constructor", "this.constructor", "this.__proto__",
  "@root.constructor", "@root.__proto__", "../constructor", "../../../../constructor", "data.[constructor]",
  "data.[__proto__].[polluted]", "[__proto__]", "refs.constructor", "refs.__proto__", "urls.constructor",
  "courier.constructor", "courier.constructor.constructor", "event.constructor", "brand.constructor", "process",
  "process.env", "globalThis", "require", "global.process", "this", "import", "arguments", "Object.keys",
  'lookup this "constructor"', 'lookup data "__proto__"', 'var "constructor"', 'var "constructor.name"',
  'path "data.__proto__.a"', 'concat constructor ""', "concat toString", 'format "%s" constructor',
  'set "__proto__" data', 'set __proto__="x"', 'json-parse "{"', 'var (concat "con" "structor")',
  'translate "constructor"', 't "__proto__"', 't "toString"', "constructor data", "__proto__ data", "toString data",
  'default constructor (concat "" __proto__)', "truncate constructor 100", "capitalize __defineGetter__",
];

const DATA = { text: "text", number: 5, list: [1, 2, 3], name: "Ann" };
/** What the inside of a runtime looks like when it is printed. */
const INSIDE = /native code|function\s*\w*\s*\(|\[object |class \w+ \{|\bFunction\b|\bObject\b|SECRET|PATH=|undefined/;

describe("the reach of templates", () => {
  let sending: Sending;
  before(async () => {
    sending = await startSending();
  });
  after(() => sending.server.close());

  test("no name leads out of the data, in whatever text field it stands", async () => {
    const found = new Complaints();
    for (const probe of PROBES) {
      for (const text of [
        `<{{${probe}}}>`,
        `<{{{${probe}}}}>`,
        `<{{#with ${probe}}}{{this}}{{name}}{{/with}}>`,
        `<{{#each ${probe}}}{{@key}}{{this}}{{/each}}>`,
        `<{{#if ${probe}}}{{data.name}}{{/if}}>`,
        `<{${probe}}>`,
      ]) {
        await found.collect(async () => {
          const answer = await sending.send(
            {
              data: DATA,
              routing: EVERYWHERE,
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
              channels: {
                email: { override: { subject: text, body: { nested: [text] } }, metadata: { utm: { source: text } } },
              },
              providers: { "capture-sms": { override: { body: text } } },
            },
            text,
          );
          assert.equal(answer.status, 202, `${text} → ${answer.text}`);
          const output = (await sending.outputOf(answer)).replaceAll(JSON.stringify(text).slice(1, -1), "");
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
        ["if", probe],
        ["if", `!!(${probe})`],
        ["if", `data["${probe}"]`],
        ["if", `(${probe}) !== null && (${probe}) !== "" && (${probe})`],
        ["if", `{{${probe}}}`],
        ["if", `${probe}("return 1")()`],
        ["if", `${probe}.includes("a")`],
        ["loop", probe],
        ["loop", `data["${probe}"]`],
        ["loop", `{{${probe}}}`],
      ] as const) {
        await found.collect(async () => {
          const { status, text } = await sending.send(
            {
              data: DATA,
              routing: EVERYWHERE,
              content: {
                version: "2022-01-01",
                elements: [
                  { type: "text", content: "always" },
                  { type: "text", content: "WITHIN {{$.item}}", [field]: expression },
                ],
              },
              channels: { sms: { if: expression } },
              providers: { "capture-email": { if: expression } },
            },
            `${field} ${expression}`,
          );
          if (status === 400) return;
          const output = await sending.outputOf({ status, text });
          assert.doesNotMatch(output, INSIDE, `${field} ${expression}`);
          // The probes that name things there are: this, and the courier's own facts.
          if (field === "loop") assert.doesNotMatch(output, /WITHIN/, `loop ${expression}`);
        });
      }
    }
    found.assertNone();
  });

  test("names that every object inherits are nothing special as data, as styles, and as keys", async () => {
    const found = new Complaints();
    // To turn this into text or a number with `String` or `Number` is an exception.
    const odd = {
      toString: 1,
      valueOf: 1,
      constructor: 1,
      toJSON: 1,
      length: -1,
      hasOwnProperty: 1,
      // biome-ignore lint/suspicious/noThenProperty: what it would do to whoever awaits it is the point
      then: 1,
      [Symbol.iterator.toString()]: 1,
    };
    // biome-ignore format: a table
    const calls = [
      "and", "or", "not", "condition", "conditional", "default", "json-parse", "var", "path", "set", "capitalize",
      "concat", "format", "trim", "trim-left", "trim-right", "trim-one-char-right", "truncate", "abs", "ceil",
      "floor", "inc", "round", "add", "subtract", "multiply", "divide", "mod", "t",
    ].flatMap((name) => [
      `${name} data.odd`,
      `${name} data.odd data.odd data.odd`,
      `${name} "%d%s%f%i" data.odd data.odd data.odd data.odd`,
      `${name} data.odd "<" 1`,
      `${name} 1 "==" data.odd`,
      `${name} data.list data.odd`,
      `${name} data.nested`,
      `${name} -1 -1 -1`,
      `${name} 1e308 -1e308`,
      `${name} "" ""`,
      `${name}`,
    ]);
    // biome-ignore format: a table
    const operators = [
      "equals", "not_equals", "greater_than", "less_than", "greater_than_or_equals", "less_than_or_equals",
      "contains", "not_contains", "is_empty", "is_not_empty",
    ];
    const data = { ...DATA, odd, nested: [[odd], { a: odd }] };
    const content = (...elements: object[]): object => ({
      data,
      routing: EVERYWHERE,
      content: { version: "2022-01-01", elements },
    });
    for (const call of calls) {
      await found.collect(() =>
        sending.quickly(
          content({
            type: "text",
            content: `{{${call}}}{{#if (${call})}}x{{/if}}{{#each (${call})}}{{this}}{{/each}}`,
          }),
          call,
        ),
      );
    }
    for (const operator of operators) {
      for (const property of ["{{data.odd}}", "{{data.text}}", "{{data.list}}", "{{data.number}}", "{{data.none}}"]) {
        for (const value of [odd, [odd], null, "{{data.odd}}", 1, true]) {
          const groups = [{ conditions: [{ property, operator, value }] }];
          await found.collect(() =>
            sending.quickly(
              content({ type: "text", content: "x", if: groups }),
              `${property} ${operator} ${JSON.stringify(value)}`,
            ),
          );
        }
      }
    }
    for (const expression of [
      "data.odd == 1",
      "data.odd < 1",
      "data.odd > data.odd",
      "data.odd.includes(1)",
      "data.list.includes(data.odd)",
      "data.text.includes(data.odd)",
      "data[data.odd]",
      "data.odd[data.odd]",
      "!data.odd",
    ]) {
      await found.collect(() =>
        sending.quickly(
          content({ type: "text", content: "x", if: expression }, { type: "text", content: "x", loop: expression }),
          expression,
        ),
      );
    }
    const names = ["constructor", "__proto__", "toString", "valueOf", "hasOwnProperty", "\0", "\ud800"];
    for (const name of names) {
      const style = Object.fromEntries(
        [
          "align",
          "color",
          "background_color",
          "padding",
          "font_size",
          "line_height",
          "border_color",
          "border_size",
          "border_radius",
          "border_style",
        ].map((field) => [field, name]),
      );
      const locales = JSON.parse(`{${JSON.stringify(name)}:{"content":"x"}}`);
      await found.collect(async () => {
        const answer = await sending.quickly(
          content(
            {
              type: "meta",
              title: "t",
              locales: name === "__proto__" ? {} : JSON.parse(`{${JSON.stringify(name)}:{"title":"x"}}`),
            },
            { type: "text", content: "x", text_style: name, format: name, ref: name, id: name, ...style, locales },
            { type: "quote", content: "x", text_style: name, borderColor: name, ...style },
            { type: "action", content: "x", href: name, style: name, action_id: name, ...style },
            { type: "image", src: name, href: name, width: name, ...style },
            { type: "divider", ...style },
            {
              type: "columns",
              gap: name,
              elements: [{ type: "column", width: name, elements: [{ type: "text", content: "x" }] }],
            },
            {
              type: "list",
              list_type: name,
              elements: [{ type: "list-item", elements: [{ type: "link", content: "x", href: name, color: name }] }],
            },
          ),
          `styles called ${JSON.stringify(name)}`,
        );
        assert.equal(answer.status, name === "__proto__" ? 400 : 202, `${name} → ${answer.text}`);
        assert.doesNotMatch(await sending.outputOf(answer), INSIDE, name);
      });
      for (const message of [
        {
          content: {
            version: "2022-01-01",
            elements: [{ type: "channel", channel: name, elements: [{ type: "text", content: "x" }] }],
          },
        },
        { routing: { method: "all", channels: [name] } },
        { routing: { method: "single", channels: ["email", name, { method: "all", channels: [name] }] } },
        { channels: { [name]: { providers: [name], override: odd } }, providers: { [name]: { override: odd } } },
        {
          channels: { email: { providers: [name], override: { [name]: odd, subject: odd, headers: odd, from: odd } } },
        },
        { providers: { "capture-email": { override: { [name]: [odd], body: odd } } } },
        { timeout: { channel: { [name]: 1 }, provider: { [name]: 1 } } },
        { metadata: { utm: { [name]: name }, event: "e", tags: ["t"] } },
        {
          to: {
            user_id: "odd",
            [name]: odd,
            email: odd,
            phone_number: [odd],
            webhook: odd,
            slack: odd,
            locale: name,
            timezone: odd,
          },
        },
        {
          to: {
            user_id: "odd",
            webhook: { url: "http://127.0.0.1:9/", headers: odd, method: odd, authentication: odd },
          },
          routing: { method: "all", channels: ["webhook"] },
        },
        { to: { user_id: "odd", preferences: { [name]: odd, notifications: { [name]: odd }, categories: odd } } },
        { to: { user_id: "odd", data: odd }, data: odd },
        { brand_id: name, preferences: { subscription_topic_id: name } },
        { delay: { duration: 0, timezone: name } },
      ]) {
        await found.collect(() =>
          sending.quickly(
            { content: { title: "t", body: "{{#each data}}{{@key}}{{this}}{{/each}}" }, ...message },
            `${JSON.stringify(message).slice(0, 100)}`,
          ),
        );
      }
    }
    found.assertNone();
  });
});
