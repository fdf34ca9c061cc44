/** Content that would hold the event loop: each piece of it, sent as content is sent, costs less than a second. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Complaints, startHostile } from "./hostile-server.ts";
import { EVERYWHERE, MAX_BLOCKED_MS, MEGABYTE, type Sending, startSending, watched } from "./sending.ts";
import { random } from "./values.ts";

describe("the cost of templates", () => {
  let sending: Sending;
  before(async () => {
    sending = await startSending();
  });
  after(() => sending.server.close());

  test("content that would run or grow without end ends, within a second of work", async () => {
    const found = new Complaints();
    const roll = random(5);
    const list = Array.from({ length: 2_000 }, (_, i) => i);
    const each = (depth: number, inner: string): string =>
      `${"{{#each @root.data.list}}".repeat(depth)}${inner}${"{{/each}}".repeat(depth)}`;
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
      "a huge number":
        "{{round 1e308 1e308}}{{multiply 1e308 1e308}}{{mod 1 0}}{{divide 1 0}}{{truncate data.text 1e308}}",
      "a thousand calls in each other": `{{${'(concat "a" '.repeat(1_000)}"b"${")".repeat(1_000)}}}`,
      "ten thousand blocks in each other": `${"{{#if data}}".repeat(10_000)}x${"{{/if}}".repeat(10_000)}`,
      "50,000 values": "{{data.text}}".repeat(50_000),
      "50,000 huge values": "{{data.huge}}".repeat(50_000),
      "values of a whole that is huge": "{{data}}".repeat(1_000),
      braces: "{".repeat(MEGABYTE - 1),
      "open values": "{{a ".repeat(200_000),
      "open blocks": "{{#if a}}".repeat(100_000),
      "closing blocks": "{{/if}}".repeat(100_000),
      elses: `{{#if a}}${"{{else}}".repeat(100_000)}{{/if}}`,
      comments: "{{!-- ".repeat(150_000),
      "a path of half a million parts": `{{${"a.".repeat(499_990)}b}}`,
      "a path of brackets": `{{${"[".repeat(900_000)}}}`,
      quotes: `{{concat ${"'".repeat(900_000)}}}`,
      backslashes: `{{concat "${"\\".repeat(900_000)}"}}`,
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
        await found.collect(() => sending.quickly({ data, routing: EVERYWHERE, ...message }, `${name} as ${place}`));
      }
    }
    const loops = (depth: number, loop: string): object =>
      depth === 0
        ? { type: "text", content: "{{$.item}}" }
        : { type: "group", loop, elements: [loops(depth - 1, loop)] };
    for (const [name, elements] of Object.entries({
      "elements in loops": [loops(5, "data.list")],
      "elements in loops over a text": [loops(5, "data.huge")],
      "5,000 elements in a loop": [
        {
          type: "group",
          loop: "data.list",
          elements: Array.from({ length: 4_000 }, () => ({ type: "text", content: "x" })),
        },
      ],
      "5,001 elements": Array.from({ length: 5_001 }, () => ({ type: "text", content: "x" })),
      "a condition that searches a huge text, in a loop": [
        { type: "group", loop: "data.list", elements: [{ type: "text", content: "x", if: 'data.huge.includes("y")' }] },
      ],
      "a condition as long as may be": [
        { type: "text", content: "x", if: `${"data.huge.includes(data.huge2) && ".repeat(110)}true` },
      ],
      "a condition too long": [{ type: "text", content: "x", if: "(".repeat(MEGABYTE) }],
      "a condition of exclamation marks": [{ type: "text", content: "x", if: "!".repeat(4_000) }],
      "a condition of spaces": [{ type: "text", content: "x", if: `${" ".repeat(4_000)}!` }],
      "a condition of quotes": [{ type: "text", content: "x", if: `"${"\\".repeat(4_001)}` }],
      "a comparison 2,000 times": [{ type: "text", content: "x", if: `1${" < 1".repeat(1_000)}` }],
      "a thousand groups of conditions": [
        {
          type: "text",
          content: "x",
          if: Array.from({ length: 1_000 }, () => ({
            conditions: [{ property: "{{data.huge}}", operator: "contains", value: "y" }],
          })),
        },
      ],
    })) {
      await found.collect(() =>
        sending.quickly({ data, routing: EVERYWHERE, content: { version: "2022-01-01", elements } }, name),
      );
    }
    found.assertNone();
  });

  test("a megabyte of any markup, anywhere, is worked off within a second", async () => {
    const found = new Complaints();
    const roll = random(11);
    const alphabet = "*_~`[]()<>#|\\&@=!-+.1 \n\t>:/xh";
    const noise = (length: number): string =>
      Array.from({ length }, () => alphabet[Math.floor(roll() * alphabet.length)]).join("");
    // biome-ignore format: a table
    const units = [
      "[", "]", "*", "_", "~", "`", ">", "<", "#", "|", "\\", "&", "!", "-", "(", ")", "@", "=", "\n", " ", "\t",
      "\u00a0", "%", "$", "\u200b", "\ud800", "[a](", "[](b)", "![", "[[]]", "[a]: b\n", "[a][", "**a", "*a **b ",
      "_a_b", "~~", "``", "` ``", "> ", ">\n", "> > ", "- ", "- a\n", "  - a\n", "1. ", "1) a\n", "a|b\n", "|-|-|\n",
      "| a | b |\n|---|---|\n", "# ", "===\n", "---\n", "```\n", "~~~a\n", "    a\n", "<a", "<a>", "</a>",
      "<a href='", "<!--", "<!-- -->", "<![CDATA[", "<?", "<style>", "<script>", "&#", "&amp;", "&#x110000;",
      "&#64976;", "http://", "http://a.b/", "www.", "www.a.", "a@b.", "a@b.c ", "mailto:", "a\\\n", "a  \n", "a\n\n",
      "\n\n\n- ", "x ", "xy", "👩‍👧", "é", "{{", "}}", "{{a}}", "{{{a}}}", "{{#if a}}", "{{data.unit}}", "${",
      "\u{fdd0}0\u{fdd1}", "\u{fdd0}", "|a\n", "^", "{", "}", "\r", "\r\n", "\f", "\v", `${"*".repeat(499)}\n\n`,
      `${"[".repeat(4_000)} `, `${"(".repeat(4_000)}\n`, `${"`".repeat(90)}a\n`, `${"a*".repeat(240)}\n\n`,
      `${"<".repeat(4_999)} `, `[${"a".repeat(4_900)} `,
    ];
    // Longer texts than 100,000 characters are not read as markdown, so that a few of these are enough.
    const texts: (readonly [string, string])[] = units.flatMap((unit, i) =>
      (i % 14 === 0 ? [99_000, MEGABYTE] : [99_000]).map(
        (length) =>
          [
            `${length} of ${JSON.stringify(unit).slice(0, 24)}`,
            unit.repeat(Math.ceil(length / unit.length)).slice(0, length),
          ] as const,
      ),
    );
    for (let i = 0; i < 12; i++) texts.push([`noise ${i}`, noise(90_000)]);
    for (let i = 0; i < 12; i++) {
      const [a, b] = [units[Math.floor(roll() * units.length)], units[Math.floor(roll() * units.length)]];
      texts.push([
        `${JSON.stringify(a)} and ${JSON.stringify(b)}`.slice(0, 60),
        `${a}${b}`.repeat(20_000).slice(0, 99_000),
      ]);
    }
    for (const [name, text] of texts) {
      await found.collect(() =>
        sending.quickly(
          { routing: EVERYWHERE, content: { title: "t", body: text }, data: { unit: "x" } },
          `markdown: ${name}`,
        ),
      );
    }
    for (const [name, text] of texts) {
      for (const [place, elements] of Object.entries({
        html: [{ type: "html", content: text }],
        quote: [{ type: "quote", content: text }],
        "the rest": [
          { type: "meta", title: text },
          { type: "action", content: text.slice(0, 50_000), href: text.slice(0, 300_000) },
          { type: "image", src: text.slice(0, 100_000), alt_text: "a" },
        ],
        raw: [{ type: "channel", channel: "email", raw: { html: text, subject: text.slice(0, 1_000) } }],
        value: [{ type: "text", content: "{{data.text}} [a]({{data.text}}) **{{data.text}}**" }],
      })) {
        if (roll() < 0.75) continue;
        await found.collect(() =>
          sending.quickly(
            {
              routing: EVERYWHERE,
              data: { text: text.slice(0, 300_000) },
              content: { version: "2022-01-01", elements },
            },
            `${place}: ${name}`,
          ),
        );
      }
    }
    found.assertNone();
  });

  test("a megabyte in any other text field is refused or taken within a second", async () => {
    const found = new Complaints();
    const content = { title: "t", body: "[a](https://a.example)" };
    for (const unit of ["a", " ", "P1D", "[", "*.", "\n", "\ud800", "Mo-Fr "]) {
      // A megabyte on the wire, where half a surrogate pair takes six characters.
      const text = unit.repeat(MEGABYTE / (JSON.stringify(unit).length - 2));
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
        "the subject of an override": {
          content,
          channels: { email: { override: { subject: text, from: text, headers: { a: text } } } },
        },
        template: { template: text },
        event: { content, metadata: { event: text } },
      })) {
        await found.collect(() =>
          sending.quickly({ routing: EVERYWHERE, ...message }, `${name}: ${JSON.stringify(unit)}`),
        );
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
          await sending.server.decent(method, path, { body: JSON.stringify(body) }, unit);
          const { user, system } = process.threadCpuUsage(before);
          assert.ok(
            user + system < MAX_BLOCKED_MS * 1_000,
            `${method} ${path} ${JSON.stringify(unit)}: ${(user + system) / 1_000} ms`,
          );
        });
      }
    }
    found.assertNone();
  });

  test("content heavy for one recipient and one channel does not hold the loop for the sum of many", async () => {
    const heavy = { title: "t", body: `{{#if data}}${"- a\n".repeat(20_000)}{{/if}}` };
    const people = Array.from({ length: 8 }, (_, i) => ({
      user_id: `many${i}`,
      email: "a@example.com",
      phone_number: "+15550100",
    }));
    const same = (count: number, entry: unknown): unknown[] => Array.from({ length: count }, () => entry);
    const emails = (count: number): object => ({ method: "all", channels: same(count, "email") });
    for (const [what, message, status] of [
      ["8 recipients in one request", { to: people, routing: EVERYWHERE }, 202],
      ["10 channels", { routing: emails(10) }, 202],
      ["51 channels", { routing: emails(51) }, 400],
      ["51 channels, nested", { routing: { method: "all", channels: same(3, emails(17)) } }, 400],
      ["30,000 channels, nested", { routing: { method: "all", channels: same(150, emails(200)) } }, 400],
      [
        "a provider named 5,000 times",
        { routing: emails(1), channels: { email: { providers: same(5_000, "capture-email"), routing_method: "all" } } },
        202,
      ],
    ] as const) {
      const { longestMs, result } = await watched(() => sending.send({ content: heavy, ...message }, what));
      assert.equal(result.status, status, what);
      assert.ok(longestMs < MAX_BLOCKED_MS, `${what}: one turn took ${longestMs} ms`);
    }
    const { longestMs } = await watched(() =>
      Promise.all(
        Array.from({ length: 6 }, (_, i) => sending.send({ content: heavy, routing: emails(1) }, `at once ${i}`)),
      ),
    );
    assert.ok(longestMs < MAX_BLOCKED_MS, `6 at once: one turn took ${longestMs} ms`);
  });

  test("a list is worked off although planning its members takes longer than a lease", async () => {
    const own = await startHostile("sqlite", { CARILLON_LEASE_MS: "500", CARILLON_POLL_MS: "50" });
    try {
      const recipients = Array.from({ length: 20 }, (_, i) => ({ recipientId: `member${String(i).padStart(2, "0")}` }));
      await own.call("PUT", "/lists/all/subscriptions", { body: { recipients } });
      const content = { title: "t", body: `{{#if data}}${"- a\n".repeat(20_000)}{{/if}}` };
      const message = { to: { list_id: "all" }, content, routing: { method: "all", channels: ["inbox"] } };
      const { longestMs, result } = await watched(async () => {
        const answer = await own.decent("POST", "/send", { body: { message } });
        await own.app.engine.dispatcher.idle();
        return answer;
      });
      assert.ok(longestMs < MAX_BLOCKED_MS, `one turn took ${longestMs} ms`);
      const found = JSON.parse((await own.call("GET", `/messages?traceId=${JSON.parse(result.text).requestId}`)).text);
      const reached = found.results.map((one: { recipient: string }) => one.recipient).sort();
      assert.deepEqual(
        reached,
        recipients.map(({ recipientId }) => recipientId),
      );
    } finally {
      await own.close();
    }
  });

  test("after all this an honest message still arrives", async () => {
    const answer = await sending.send(
      { content: { title: "Hi {{name}}", body: "**{{name}}**" }, data: { name: "Ann" }, routing: EVERYWHERE },
      "honest",
    );
    assert.match(await sending.outputOf(answer), /Hi Ann/);
  });
});
