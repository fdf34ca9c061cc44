import assert from "node:assert/strict";
import { test } from "node:test";
import type { RenderContext } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import type { Json } from "../../lib/json.ts";
import { inLanguage, plain } from "./plain.ts";

const context = (locale: string | null): RenderContext => ({
  data: {},
  profile: {},
  tenant: {},
  brand: {},
  builtIns: {},
  locale,
  translate: () => undefined,
  fallbackTitle: "fallback",
  utm: null,
  trackLink: null,
  openPixel: null,
});

test("texts are shown as they are", () => {
  const source = { title: "{{a}} **b**", body: "<c>\nd", imageUrl: "i", clickUrl: "", raw: { x: 1 } };
  const item = plain.compile(source).render({ channel: "inbox", provider: "courier" }, context(null));
  assert.deepEqual([item?.title, item?.body, item?.html], ["{{a}} **b**", "<c>\nd", ""]);
  assert.deepEqual([item?.imageUrl, item?.clickUrl, item?.raw], ["i", null, { x: 1 }]);
  const mail = plain.compile({ ...source, title: "" }).render({ channel: "email", provider: "smtp" }, context(null));
  assert.deepEqual([mail?.html, mail?.subject, mail?.raw], ["<p>&lt;c&gt;<br>d</p>", "fallback", null]);
});

test("the reader's language, or one that stands in for it", () => {
  const texts = { fr: "f", en: "e", "de-AT": "a", DE: "d" };
  const found = [null, "de-at", "de-CH", "fr_CA", "it", ""].map((locale) => inLanguage(texts, locale));
  assert.deepEqual(found, ["e", "a", "d", "f", "e", "e"]);
  assert.deepEqual([inLanguage({ it: "i" }, "de"), inLanguage({}, "de"), inLanguage("x", "de")], ["i", "", "x"]);
});

test("a source that is none is refused", () => {
  const bad: Json[] = [null, "x", [], {}, { title: "t" }, { title: 1, body: "b" }, { title: "t", body: { a: 1 } }];
  for (const source of [...bad, { title: "", body: "", raw: [] }, { title: "", body: "", imageUrl: 1 }]) {
    assert.throws(() => plain.compile(source), Refusal);
  }
});
