import assert from "node:assert/strict";
import { test } from "node:test";
import type { InboxItem, RenderedAction, StepOrigin } from "../../engine/model.ts";
import { shownActions, shownContent } from "./inbox-content.ts";

function item(via: string, title: string, body: string, origin?: object): Parameters<typeof shownContent>[0] {
  return { via, content: { title, body } as InboxItem["content"], ...(origin ? { origin: origin as StepOrigin } : {}) };
}

test("what came through this facade is shown as it was written", () => {
  assert.deepEqual(shownContent(item("courier", "", "a line\nanother")), { title: "", preview: "a line\nanother" });
  assert.deepEqual(shownContent(item("courier", "T", "B")), { title: "T", preview: "B" });
});

test("a message without a title begins with it", () => {
  for (const via of ["knock", "pushwoosh", "schedule"]) {
    assert.deepEqual(shownContent(item(via, "Heading", "the rest")), { title: "Heading", preview: "the rest" });
    assert.deepEqual(shownContent(item(via, "", "\n first line \n\nthe\nrest\n")), {
      title: "first line",
      preview: "the\nrest",
    });
    assert.deepEqual(shownContent(item(via, "", "one line")), { title: "one line", preview: "" });
    assert.deepEqual(shownContent(item(via, "", "")), { title: "", preview: "" });
  }
  // A workflow that was begun from within another facade is still a workflow's.
  assert.equal(shownContent(item("courier", "", "one line", {})).title, "one line");
});

test("of a long line the title is the beginning, and nothing of it is lost", () => {
  const words = "word ".repeat(100).trim();
  const { title, preview } = shownContent(item("knock", "", `${words}\nmore`));
  assert.ok(title.length <= 201 && title.endsWith("word…"), title);
  assert.equal(preview, `${words}\nmore`);
  // No half of a character is left at the end.
  const faces = shownContent(item("knock", "", `x${"😀".repeat(200)}`)).title;
  assert.ok(faces.isWellFormed() && faces.endsWith("😀…"), faces);
});

test("where a message leads as a whole is a button, unless one leads there already", () => {
  const action = (href: string): RenderedAction => ({
    content: "Go",
    href,
    actionId: null,
    style: "button",
    backgroundColor: null,
  });
  const labels = (clickUrl: string | null, ...hrefs: string[]): readonly string[] =>
    shownActions({ clickUrl, actions: hrefs.map(action) }).map(({ content, href }) => `${content} ${href}`);
  assert.deepEqual(labels(null), []);
  assert.deepEqual(labels("https://a.example", "https://b.example"), [
    "Go https://b.example",
    "Open https://a.example",
  ]);
  assert.deepEqual(labels("https://a.example", "https://a.example"), ["Go https://a.example"]);
  assert.deepEqual(labels("app://orders/7"), ["Open app://orders/7"]);
  assert.deepEqual(labels("/orders/7"), ["Open /orders/7"]);
  for (const script of ["javascript:alert(1)", " java\nscript:alert(1)", "DATA:text/html,x", "vb\u200bscript:x"]) {
    assert.deepEqual(labels(script), []);
  }
});
