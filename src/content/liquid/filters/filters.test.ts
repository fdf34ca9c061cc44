import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { RenderError } from "../../../engine/ports.ts";
import type { JsonObject } from "../../../lib/json.ts";
import { knockLanguage } from "../../knock/language.ts";
import { renderingOf } from "../../knock/rendering.fixture.ts";

const language = knockLanguage({ now: () => Date.UTC(2024, 4, 6, 7, 8, 9) });
const data: JsonObject = {
  at: "2023-12-31T19:30:05.250Z",
  users: [
    { name: "Cy", age: 30, on: true },
    { name: "ann", age: 5, on: false },
    { name: "Bob", age: 30 },
  ],
  one: ["a", "b", "c", { x: 1 }],
  two: ["c", { x: 1 }, "a", "d"],
  text: "hello WORLD",
  html: "<b>&amp;</b>",
  json: '{"a": [1, {"b": "c"}], "__proto__": {"polluted": true}}',
  none: null,
  family: "👨‍👩‍👧 ünï",
};

/** Expressions, and what they print. */
const EXAMPLES: readonly (readonly [string, string])[] = [
  // ——— times ———
  ['at | timezone: "America/New_York"', "2023-12-31T14:30:05.250-05:00"],
  ['"2024-07-01T12:00:00Z" | timezone: "America/New_York"', "2024-07-01T08:00:00-04:00"],
  ["at | timezone: recipient.timezone", "2023-12-31T20:30:05.250+01:00"],
  ['at | timezone: "Nowhere/At_All"', "2023-12-31T20:30:05.250+01:00"],
  ['"soon" | timezone: "America/New_York"', "soon"],
  ['at | date: "%-I:%M %p %Z", "America/New_York"', "2:30 PM EST"],
  ['"2024-07-01T12:00:00Z" | date: "%H:%M %Z", "America/New_York"', "08:00 EDT"],
  ['"2024-07-01T12:00:00Z" | date: "%H:%M %Z", "Europe/Berlin"', "14:00 CEST"],
  ['at | date: "%Y-%m-%d %H:%M:%S.%L %z %Z"', "2023-12-31 19:30:05.250 +0000 UTC"],
  ['"2024-03-04T05:06:07+05:30" | date: "%H:%M %:z"', "05:06 +05:30"],
  ['at | timezone: "Asia/Kolkata" | date: "%b %e, %l:%M %P"', "Jan  1,  1:00 am"],
  ['"2024-02-29" | date: "%A %d %B %j %U %V", "Pacific/Honolulu"', "Thursday 29 February 060 08 09"],
  ['"now" | date: "%F %T %s"', "2024-05-06 07:08:09 1714979289"],
  ['1714979289 | date: "%F"', "2024-05-06"],
  ['"1714979289" | date: "%F"', "2024-05-06"],
  ['"Tue, 15 Nov 1994 12:45:26 GMT" | date: "%F"', "1994-11-15"],
  ['"2023-02-30" | date: "%F"', "2023-02-30"],
  ['"never" | date: "%F"', "never"],
  ['none | date: "%F"', ""],
  ['at | date: "%5Y|%-m|%^a|%_d|%%|%E"', "02023|12|SUN|31|%|%E"],
  ['at | format_date_in_locale: "en-GB", "long"', "31 December 2023"],
  ['at | format_date_in_locale: "en-US"', "12/31/23"],
  ['at | format_date_in_locale: "en-US", "full"', "Sunday, December 31, 2023"],
  ['at | format_date_in_locale: "de", "medium"', "31.12.2023"],
  ['at | format_datetime_in_locale: "en-GB", "medium", "short"', "31 Dec 2023, 19:30"],
  ['at | timezone: "Asia/Tokyo" | format_datetime_in_locale: "en-GB", "short", "medium"', "01/01/2024, 04:30:05"],
  ['at | format_date_in_locale: "xx-nonsense-zz"', "12/31/23"],
  // ——— numbers ———
  ['10000 | format_number: "en"', "10,000"],
  ['10000.5 | format_number: "de"', "10.000,5"],
  ["10 | currency", "$10.00"],
  ['10 | currency: "GBP", "en"', "£10.00"],
  ['"10.5" | currency: "eur", "de"', "10,50\u00a0€"],
  ['10 | currency: "not one"', "NOT ONE 10.00"],
  ['10.99 | rounded_currency: "GBP", "en"', "£11"],
  ["0.1 | plus: 0.2", "0.3"],
  ["20 | divided_by: 7", "2"],
  ["20 | divided_by: 8.5 | round: 2", "2.35"],
  ["-7 | modulo: 3", "2"],
  ["1.005 | round: 2", "1.01"],
  ['"4.7" | floor | times: "3"', "12"],
  ["-3 | abs | at_least: 5 | at_most: 4", "4"],
  ["4.2 | ceil | minus: 1", "4"],
  // ——— texts ———
  ['1 | pluralize: "user", "users"', "user"],
  ['"1" | pluralize: "user", "users"', "user"],
  ['0 | pluralize: "user", "users"', "users"],
  ["text | titlecase", "Hello World"],
  ['"o’neil’s élan-vital" | titlecase', "O’neil’s Élan-Vital"],
  ["text | upcase", "HELLO WORLD"],
  ["text | capitalize", "Hello world"],
  ['text | replace: "l", "1" | remove: "o"', "he11 WORLD"],
  ['text | replace_first: "l", "1" | replace_last: "O", "0"', "he1lo W0RLD"],
  ["family | truncate: 3, ''", "👨‍👩"],
  ["text | truncate: 8", "hello..."],
  ['text | truncatewords: 1, "…"', "hello…"],
  ["text | slice: -5, 3", "WOR"],
  ['"a,b,,c,," | split: "," | join: "-"', "a-b--c"],
  ['" x " | strip | append: "!" | prepend: "¡"', "¡x!"],
  ['none | default: "nobody"', "nobody"],
  ['false | default: "yes", allow_false: true', "false"],
  ['"" | default: "empty"', "empty"],
  ['"1.0.0" | compare_versions: "2.0.0"', "-1"],
  ['"1.10.0" | compare_versions: "1.9.9"', "1"],
  ['"1.0.0-rc.1" | compare_versions: "1.0.0"', "-1"],
  ['"v1.2" | compare_versions: "1.2.0"', "0"],
  ['"one" | compare_versions: "1.2.0"', ""],
  // ——— lists ———
  ["one | intersect: two | json", '["a","c",{"x":1}]'],
  ['users | sort: "age" | map: "name" | join', "ann Cy Bob"],
  ['users | sort_natural: "name" | map: "name" | join', "ann Bob Cy"],
  ['users | where: "age", 30 | map: "name" | join: "+"', "Cy+Bob"],
  ['users | where: "on" | size', "1"],
  ['users | reject: "age", 30 | map: "name"', "ann"],
  ['users | find: "name", "Bob" | json', '{"name":"Bob","age":30}'],
  ['users | group_by: "age" | map: "items" | last | size', "1"],
  ['users | sum: "age"', "65"],
  ["users.first.name", "Cy"],
  ["users[-1].name", "Bob"],
  ["users.size", "3"],
  ["one | concat: two | uniq | size", "5"],
  ["one | reverse | shift | pop | first", "c"],
  ["(1..4) | join: ''", "1234"],
  ["(3..1) | size", "0"],
  // ——— codes ———
  ["users[1] | json", '{"name":"ann","age":5,"on":false}'],
  ["none | json", "null"],
  ['"a" | md5', "0cc175b9c0f1b6a831c399e269772661"],
  ['"a" | sha256', "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"],
  ['"a b&ü" | url_encode', "a+b%26%C3%BC"],
  ['"a+b%26" | url_decode', "a b&"],
  ['"ä" | base64_encode | base64_decode', "ä"],
  // ——— html, in a text ———
  ["html | strip_html", "&"],
  ["html | escape", "&lt;b&gt;&amp;amp;&lt;/b&gt;"],
  ['"**hi** <i>you</i>" | from_markdown', "<p><strong>hi</strong> <i>you</i></p>"],
  ['"[x](javascript:alert(1)) <script>alert(1)</script>" | from_markdown', "<p>x </p>"],
  // ——— look-ups ———
  ['"cy" | user | map: "name"', "cy of $users"],
  ['"p1" | object: "projects" | map: "name"', "p1 of projects"],
  ['"acme" | tenant | map: "name"', "acme of $tenants"],
  ['"nobody" | user | default: "gone"', "gone"],
  ['recipient.id | subscriptions | map: "limit"', "25"],
];

for (const [expression, expected] of EXAMPLES) {
  test(`{{ ${expression} }}`, async () => {
    assert.equal(await language.text(`{{ ${expression} }}`, renderingOf({ data })), expected);
  });
}

test("hmac_sha256 is the one of everybody else", async () => {
  const expected = createHmac("sha256", "some-key").update("ann").digest("hex");
  assert.equal(await language.text('{{ recipient.id | hmac_sha256: "some-key" }}', renderingOf()), expected);
});

test("from_json gives values whose own properties can be named, and pollutes nothing", async () => {
  const text = "{% assign v = json | from_json %}{{ v.a[1].b }}{{ v.polluted }}{{ data.polluted }}";
  assert.equal(await language.text(text, renderingOf({ data })), "c");
  assert.throws(() => language.text("{{ text | from_json }}", renderingOf({ data })), RenderError);
});

test("comparisons are by value, and what is unlike is neither more nor less", () => {
  const check = (condition: string): string =>
    language.text(`{% if ${condition} %}yes{% else %}no{% endif %}`, renderingOf({ data })) as string;
  for (const condition of [
    "users contains users[0]",
    'text contains "WORLD"',
    "one[3] == two[1]",
    '"10" > 9',
    "none == nil",
    "missing == blank",
    '"" == empty',
    "users != empty",
    "true and 0",
    "not none",
  ]) {
    assert.equal(check(condition), "yes", condition);
  }
  for (const condition of [
    '"b" < 1',
    "none >= 0",
    "users == one",
    '"1" == 1',
    "data contains 'toString'",
    "none and true",
  ]) {
    assert.equal(check(condition), "no", condition);
  }
});

test("own properties only: no prototypes, no functions", () => {
  const names = [
    "constructor",
    "__proto__",
    "toString",
    "data.constructor",
    "text.constructor",
    "one.map",
    "text.trim",
  ];
  for (const name of names) assert.equal(language.text(`{{ ${name} }}`, renderingOf({ data })), "", name);
  assert.equal(
    language.text("{% for i in (1..2) %}{{ forloop.constructor }}{{ forloop.index }}{% endfor %}", renderingOf()),
    "12",
  );
});

test("trigger data is found at the top level, behind the names of the scope", () => {
  const rendering = renderingOf({ data: { page: "Home", recipient: "mine", workflow: 1 } });
  assert.equal(
    language.text("{{ page }} {{ data.page }} {{ recipient.name }} {{ workflow.key }}", rendering),
    "Home Home Ann wf",
  );
});

test("the tags: loops, cases, cycles, counters, captures", async () => {
  const text =
    "{% for u in users reversed limit: 2 offset: 1 %}{% cycle 'a', 'b' %}{{ forloop.rindex }}{{ u.name }}{% unless forloop.last %},{% endunless %}{% endfor %}" +
    " {% case text %}{% when 'x' or 'hello WORLD' %}hit{% else %}miss{% endcase %}" +
    " {% increment n %}{% increment n %}{% decrement n %}" +
    " {% capture c %}<{{ text }}>{% endcapture %}{{ c | upcase }}" +
    " {% raw %}{{ x }}{% endraw %}{% comment %}no{% endcomment %}{%- # nothing -%}   {% liquid\n assign y = 3\n echo y\n %}" +
    " {% for x in none %}{% else %}none{% endfor %}{% tablerow i in (1..2) cols: 1 %}{{ i }}{% endtablerow %}";
  assert.equal(
    await language.text(text, renderingOf({ data })),
    "a2Bob,b1ann hit 011 <HELLO WORLD> {{ x }}3 none" +
      '<tr class="row1"><td class="col1">1</td></tr><tr class="row2"><td class="col1">2</td></tr>',
  );
});
