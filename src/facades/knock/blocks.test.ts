import assert from "node:assert/strict";
import { test } from "node:test";
import { type Delivery, NO_CONTENT, type Rendered } from "../../engine/model.ts";
import { feedBlocks } from "./blocks.ts";

const action = (content: string, href: string) => {
  return { content, href, actionId: null, style: "button" as const, backgroundColor: null };
};
const blocks = (content: Partial<Rendered>, origin?: Delivery["origin"]) =>
  feedBlocks({ content: { ...NO_CONTENT, ...content }, ...(origin === undefined ? {} : { origin }) });

test("what came through another facade has its title, text and links as blocks", () => {
  const made = blocks({
    title: "A <b> title",
    body: "one & two\nlines\n\n*three*",
    clickUrl: "https://a.example/?x=1&y=2",
    actions: [action("Go", "/there"), action("Stay", "mailto:a@b.example"), action("More", "https://c.example")],
  });
  assert.deepEqual(made, [
    {
      name: "body",
      type: "markdown",
      content: "**A \\<b\\> title**\n\none & two\nlines\n\n\\*three\\*",
      rendered: "<p><strong>A &lt;b&gt; title</strong></p><p>one &amp; two<br>lines</p><p>*three*</p>",
    },
    {
      name: "action_url",
      type: "text",
      content: "https://a.example/?x=1&y=2",
      rendered: "https://a.example/?x=1&y=2",
    },
    {
      name: "actions",
      type: "button_set",
      buttons: [
        { name: "primary", label: "Go", action: "/there" },
        { name: "secondary", label: "Stay", action: "mailto:a@b.example" },
        { name: "button_3", label: "More", action: "https://c.example" },
      ],
    },
  ]);
  assert.deepEqual(blocks({}), [{ name: "body", type: "markdown", content: "", rendered: "" }]);
});

test("a client is never sent where a script would run", () => {
  for (const href of [
    "javascript:alert(1)",
    " JavaScript:x",
    "java\nscript:x",
    "java\u200bscript:x",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc",
    "blob:x",
    "",
  ]) {
    assert.equal(blocks({ clickUrl: href, actions: [action("x", href)] }).length, 1, JSON.stringify(href));
  }
});

// A message of another facade that led into an app led nowhere here, although a workflow's may.
test("a message leads into an app", () => {
  const [, target, buttons] = blocks({ clickUrl: "myapp://orders/7", actions: [action("Order", "myapp://orders/7")] });
  assert.equal(target?.rendered, "myapp://orders/7");
  assert.deepEqual(buttons?.buttons, [{ name: "primary", label: "Order", action: "myapp://orders/7" }]);
});

test("a workflow's blocks are its own; raw content of others is not taken for blocks", () => {
  const feed = [{ name: "body", type: "markdown", content: "x", rendered: "<p>x</p>" }];
  assert.deepEqual(blocks({ raw: { feed } }, {} as NonNullable<Delivery["origin"]>), feed);
  assert.notDeepEqual(blocks({ raw: { feed } }), feed);
});
