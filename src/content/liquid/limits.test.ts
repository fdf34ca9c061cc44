/** Templates that mean harm. Each ends with an error that names the limit, soon and with the process in good health. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RenderError } from "../../engine/ports.ts";
import { knockLanguage } from "../knock/language.ts";
import { renderingOf } from "../knock/rendering.fixture.ts";

const TIME_MS = 40;
const language = knockLanguage({ limits: { timeMs: TIME_MS } });

const data = {
  long: "a".repeat(200_000),
  part: `b${"a".repeat(100_000)}`,
  many: Array.from({ length: 20_000 }, (_, i) => ({ i, s: "x" })),
  huge: Number.MAX_SAFE_INTEGER + 1,
  deep: JSON.parse("[".repeat(500) + "]".repeat(500)),
};
const partials = {
  itself: "{% render 'itself' %}",
  fan: "{% for i in (1..1000) %}{% render 'leaf' %}{% endfor %}",
  leaf: "x",
};
const translations = { again: "{{ 'again' | t }}{{ 'again' | t }}" };

function doubled(times: number, op: (name: string) => string): string {
  const steps = Array.from({ length: times }, (_, i) => `{% assign a${i + 1} = a${i} | ${op(`a${i}`)} %}`);
  return `{% assign a0 = "x,y" | split: "," %}${steps.join("")}`;
}

const HOSTILE: { readonly [what: string]: string } = {
  "nested loops": "{% for i in (1..90000) %}{% for j in (1..90000) %}{% assign x = i %}{% endfor %}{% endfor %}",
  "a huge range": "{% for i in (1..1000000000) %}{% endfor %}",
  "a range where counting stands still": "{% for i in (data.huge..data.huge) %}{% endfor %}",
  "a literal range where counting stands still": "{% for i in (9007199254740992..9007199254740994) %}{% endfor %}",
  "doubling a text": `{% assign s = "abcdefgh" %}${"{% assign s = s | append: s %}".repeat(60)}`,
  "doubling a capture": `{% capture s %}abcdefgh{% endcapture %}${"{% capture s %}{{ s }}{{ s }}{% endcapture %}".repeat(60)}`,
  "endless output": "{% for i in (1..90000) %}{{ data.part }}{% endfor %}",
  "a list in itself": doubled(40, (name) => `push: ${name} | push: ${name}`),
  "a list behind itself": doubled(60, (name) => `concat: ${name}`),
  "groups of groups": doubled(40, (name) => `concat: ${name} | group_by: "name" | concat: ${name}`),
  "a partial in itself": "{% render 'itself' %}",
  "partials by the million": "{% for i in (1..1000) %}{% render 'fan' %}{% endfor %}",
  "a translation of itself": "{{ 'again' | t }}",
  "look-ups by the thousand": "{% for i in (1..1000) %}{{ i | user }}{% endfor %}",
  "long searches": "{% for i in (1..1000) %}{% if data.long contains data.part %}{% endif %}{% endfor %}",
  "replacing everything by everything": "{{ data.long | replace: 'a', data.long }}",
  "splitting over and over": "{% for i in (1..10000) %}{% assign x = data.long | split: '' %}{% endfor %}",
  "sorting over and over": "{% for i in (1..10000) %}{% assign x = data.many | sort: 's' %}{% endfor %}",
  "JSON over and over": "{% for i in (1..10000) %}{% assign x = data.many | json %}{% endfor %}",
  "deep data": "{{ data.deep | json }}",
  "markdown over and over": "{% for i in (1..1000) %}{{ data.long | from_markdown }}{% endfor %}",
  "hashing over and over": "{% for i in (1..10000) %}{{ data.long | sha256 }}{% endfor %}",
  "dates over and over": "{% for i in (1..90000) %}{{ 'now' | date: '%c %Z', 'Europe/Paris' }}{% endfor %}",
  "a locale for each": "{% for i in (1..90000) %}{% assign x = i | currency: i, i %}{% endfor %}",
  "a table without end":
    "{% tablerow i in (1..90000) cols: 1 %}{% for j in (1..90000) %}{{ j }}{% endfor %}{% endtablerow %}",
  "tags in tags": `${"{% if true %}".repeat(5_000)}${"{% endif %}".repeat(5_000)}`,
  "too long a text": "{{ x }}".repeat(50_000),
  "dividing by nothing": "{{ 1 | divided_by: 0 }}",
};

for (const [what, text] of Object.entries(HOSTILE)) {
  test(`${what} is stopped`, async () => {
    const rendering = renderingOf({ data, partials, translations });
    for (const render of [
      async () => await language.text(text, rendering),
      async () => await language.render("in_app_feed", { markdown_body: text }, rendering),
      async () => await language.render("email", { subject: "s", html_body: text }, rendering),
    ]) {
      const before = performance.now();
      await assert.rejects(render, RenderError);
      // Far above the limit, for machines that do ten things at once; without it these run for minutes.
      assert.ok(performance.now() - before < TIME_MS + 1_500);
    }
  });
}

test("one capture printed ten thousand times is counted by what it grows to", () => {
  const text = "{% capture c %}{{ data.part }}{% endcapture %}{% for i in (1..10000) %}{{ c }}{% endfor %}";
  assert.throws(
    () => knockLanguage().render("in_app_feed", { markdown_body: text }, renderingOf({ data })),
    /more than 1,000,000/,
  );
});

test("an error says what, where and in which field", () => {
  const template = { markdown_body: "one\ntwo\n{{ 1 | divided_by: 0 }}" };
  assert.throws(() => language.render("in_app_feed", template, renderingOf()), {
    name: "RenderError",
    message: "markdown_body: the template divides by 0 (line 3)",
  });
});

test("characters that no database keeps are gone, and marks of ours cannot be forged", () => {
  const rendering = renderingOf({ data: { evil: "\uFDD00\uFDD1\u0000\uD800x" } });
  const html = language.render(
    "in_app_feed",
    { markdown_body: "{{ recipient.name }} \uFDD00\uFDD1 {{ evil }}" },
    rendering,
  );
  assert.ok(!(html instanceof Promise));
  assert.equal(html.body, "Ann \uFFFD0\uFFFD \uFFFD0\uFFFD\uFFFDx");
});
