import assert from "node:assert/strict";
import { test } from "node:test";
import { sanitizeHtml } from "./sanitize.ts";
import { htmlTextWithLinks } from "./text.ts";

/** What comes in, and what is left of it. */
const EXAMPLES: readonly (readonly [string, string])[] = [
  ["<p class='a' dir=rtl>x &amp; y</p>", '<p class="a" dir="rtl">x &amp; y</p>'],
  ["<script>alert(1)</script>x", "x"],
  ["<scr<script>ipt>alert(1)</script>x", "ipt&gt;alert(1)x"],
  ["<SCRIPT SRC=//x></SCRIPT >x", "x"],
  ["<script>alert(1)", ""],
  ["<img src=x onerror=alert(1)>", '<img src="x">'],
  ["<img/src=x/onerror=alert(1)>", '<img src="x/onerror=alert(1)">'],
  ['<b onclick="a">x</b>', "<b>x</b>"],
  ['<a href="javascript:alert(1)">x</a>', "<a>x</a>"],
  ['<a href=" java\tscript:alert(1)">x</a>', "<a>x</a>"],
  ['<a href="&#106;avascript&colon;alert(1)">x</a>', "<a>x</a>"],
  ['<a href="&#x6A&#x61;vascript:alert(1)">x</a>', "<a>x</a>"],
  ['<a href="\u0001javascript:alert(1)">x</a>', "<a>x</a>"],
  ['<a href="java\u200Bscript:alert(1)">x</a>', "<a>x</a>"],
  ['<a href="vbscript:x">x</a><a href="data:text/html,x">y</a><a href="tel:1">z</a>', "<a>x</a><a>y</a><a>z</a>"],
  ['<a href="/in">x</a><a href="mailto:a@b.c">y</a>', '<a href="/in">x</a><a href="mailto:a@b.c">y</a>'],
  [
    '<a href="https://x.io/?a=1&b=2" target="_blank">x</a>',
    '<a href="https://x.io/?a=1&amp;b=2" target="_blank" rel="noopener noreferrer">x</a>',
  ],
  ['<img src="data:image/svg+xml,<svg onload=alert(1)>">', "<img>"],
  ["<svg><script>alert(1)</script></svg>x", "x"],
  ["<svg><a xlink:href=javascript:alert(1)>q</a></svg>x", "x"],
  ["<math><mi//xlink:href='data:x'>", ""],
  ["<iframe srcdoc='<script>x</script>'></iframe>x", "x"],
  ["<style>*{display:none}</style><p style='position:fixed'>x</p>", "<p>x</p>"],
  ["<form action=x><input name=a><button>go</button></form>", "go"],
  ["<p id=a name=b>x</p>", "<p>x</p>"],
  ["<!-- <b> --><!doctype html><?php x ?>y", "y"],
  ["<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>z", "z"],
  ["a < b > c <3", "a &lt; b &gt; c &lt;3"],
  ["<b>x", "<b>x</b>"],
  ["</div></p>x", "x"],
  ["<ul><li>x</ul>y", "<ul><li>x</li></ul>y"],
  ["<b title='", ""],
  ["<unknown>x</unknown>", "x"],
];

for (const [html, clean] of EXAMPLES) {
  test(`${JSON.stringify(html)} becomes ${JSON.stringify(clean)}`, () => {
    const once = sanitizeHtml(html);
    assert.equal(once, clean);
    assert.equal(sanitizeHtml(once), once, "what is clean stays as it is");
  });
}

test("takes time in proportion to the length, whatever the text is", () => {
  for (const piece of ["<a ", '<a b="', "<", "<!--", "<b>", "<svg>", "</b>", "&#", "<textarea><title>"]) {
    const before = performance.now();
    sanitizeHtml(piece.repeat(Math.floor(500_000 / piece.length)));
    assert.ok(performance.now() - before < 2_000, piece);
  }
});

test("in plain text, links say where they lead", () => {
  assert.equal(
    htmlTextWithLinks(
      '<p>See <a href="https://x.io/?a=1&amp;b=2">this</a> or <a href="https://y.io">https://y.io</a>.</p>',
    ),
    "See this (https://x.io/?a=1&b=2) or https://y.io.",
  );
});
