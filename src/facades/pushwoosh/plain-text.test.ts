import assert from "node:assert/strict";
import { test } from "node:test";
import { runsScript, safeImage, withoutTags } from "./plain-text.ts";

test("tags go, and nothing that is left is one", () => {
  for (const [given, left] of [
    ["plain", "plain"],
    ["", ""],
    ["a < b, c > d, <3", "a < b, c > d, <3"],
    ["<b>bold</b>", "bold"],
    ["<img src=x onerror=alert(1)>", ""],
    ["before <img src=x onerror=alert(1)", "before "],
    ["<<b>script>alert(1)<</b>/script>", "alert(1)"],
    ["<<<b>b>img src=x>", ""],
    ["<!-- note --><?php ?>", ""],
    ["x<", "x<"],
    ["&lt;b&gt;", "&lt;b&gt;"],
    ['<a title=">" onclick=x>', '" onclick=x>'],
  ] as const) {
    assert.equal(withoutTags(given), left, given);
  }
});

test("what is made of random text holds no tag, and is quick to make", () => {
  const pieces = ["<", ">", "b", "/", "!", " ", "<b>", "img src=x", "\u0000"];
  let seed = 3;
  for (let i = 0; i < 2_000; i++) {
    let text = "";
    for (let n = 0; n < 12; n++) {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      text += pieces[seed % pieces.length];
    }
    assert.doesNotMatch(withoutTags(text), /<[a-zA-Z/!?]/, text);
  }
  for (const one of ["<", "<b>", "<<b>", "< b", "a<"]) {
    const started = performance.now();
    withoutTags(`${"x".repeat(500_000)}${one.repeat(200_000)}`);
    assert.ok(performance.now() - started < 2_000, one);
  }
});

test("pictures come from the web or from beside the page", () => {
  assert.equal(safeImage("https://x.test/a.png?b=1&c=2"), "https://x.test/a.png?b=1&c=2");
  assert.equal(safeImage("img/a.png"), "img/a.png");
  for (const bad of [
    "javascript:x",
    "data:image/png;base64,AA",
    "ftp://x",
    'a"b',
    "a'b",
    "a<b",
    "a b",
    "a\nb",
    "a`b",
  ]) {
    assert.equal(safeImage(bad), "", bad);
  }
});

test("links that run scripts are found out, however they are spelled", () => {
  for (const bad of ["javascript:x", " JavaScript:x", "java\tscript:x", "\u0001data:text/html,x", "vbscript:x"]) {
    assert.ok(runsScript(bad), bad);
  }
  for (const good of ["https://x", "/a", "myapp://x", "mailto:a@b", "javascript", ""])
    assert.ok(!runsScript(good), good);
});
