import assert from "node:assert/strict";
import { test } from "node:test";
import { forEachKnock } from "../knock-target.ts";

forEachKnock((name, open) => {
  test(`${name}: a step's template as a run would render it`, async () => {
    const { call, knock } = await open();
    await knock.users.update("p1", { name: "Ann" });
    const template = {
      markdown_body: "Hi **{{ recipient.name }}**, {{ data.x }}",
      action_url: "https://x.io/{{ data.x }}",
      action_buttons: [{ label: "Open", action: "https://x.io/open" }],
    };
    const inner = { type: "channel", ref: "deep", channel_key: "in-app", template };
    const steps = [{ type: "branch", ref: "b", branches: [{ conditions: null, steps: [inner] }] }];
    await call("PUT", "/workflows/previewed", { workflow: { name: "P", steps } });
    const preview = (ref: string, body: object) =>
      call("POST", `/workflows/previewed/steps/${ref}/preview_template`, body);
    const { status, body, text } = await preview("deep", { recipient: "p1", data: { x: "1" } });
    assert.equal(status, 200, text);
    assert.deepEqual([body.result, body.content_type], ["success", "in_app_feed"]);
    assert.match(body.template.markdown_body, /Hi <strong>Ann<\/strong>, 1/);
    assert.equal(body.template.action_url, "https://x.io/1");
    assert.deepEqual(body.template.action_buttons, [{ label: "Open", action: "https://x.io/open" }]);
    assert.equal((await preview("none", { recipient: "p1" })).status, 404);
    assert.equal((await preview("b", { recipient: "p1" })).status, 404);
    assert.equal((await preview("deep", {})).body.errors[0].field, "recipient");
  });

  test(`${name}: templates that are not kept, in a layout that is, or is not`, async () => {
    const { call } = await open();
    const email_layout = { name: "L", html_layout: "<main>{{ content }}</main>", text_layout: "-- {{ content }}" };
    await call("PUT", "/email_layouts/kept?commit=true", { email_layout });
    const template = { subject: "Hi {{ data.x }}", html_body: "<p>{{ data.x }}</p>", settings: {} };
    const preview = async (more: object) =>
      (
        await call("POST", "/templates/preview", {
          channel_type: "email",
          recipient: "p1",
          data: { x: 1 },
          template,
          ...more,
        })
      ).body;
    const plain = await preview({});
    assert.equal(plain.result, "success", JSON.stringify(plain));
    assert.deepEqual([plain.template.subject, plain.template.html_body.includes("<p>1</p>")], ["Hi 1", true]);
    const kept = await preview({ layout: { key: "kept" } });
    assert.match(kept.template.html_body, /<main>\s*<p>1<\/p>\s*<\/main>/);
    const inline = await preview({ layout: { html_content: "<b>{{ content }}</b>" } });
    assert.match(inline.template.html_body, /<b>\s*<p>1<\/p>\s*<\/b>/);
    const sms = await preview({ channel_type: "sms", template: { text_body: "x={{ data.x }}" } });
    assert.equal(sms.template.text_body, "x=1");
    const push = await preview({
      channel_type: "push",
      template: { title: "T{{ data.x }}", text_body: "B", settings: {} },
    });
    assert.deepEqual([push.template.title, push.template.text_body], ["T1", "B"]);
    const chat = await preview({ channel_type: "chat", template: { markdown_body: "*{{ data.x }}*" } });
    assert.match(chat.template.markdown_body, /1/);
    const failed = await preview({ channel_type: "sms", template: { text_body: "{% if %}" } });
    assert.deepEqual([failed.result, failed.errors.length, failed.template], ["error", 1, undefined]);
    // The vendor's dashboard and SDK point to the place.
    const places = [
      [{ channel_type: "sms", template: { text_body: "a\n{% if %}" } }, "text_body", 2],
      [{ channel_type: "sms", template: { text_body: "a\n\n{{ 1 | divided_by: 0 }}" } }, "text_body", 3],
      [{ channel_type: "email", template: { subject: "s", html_body: "\n{% render 'nobody' %}" } }, "html_body", 2],
      [{ channel_type: "chat", template: { markdown_body: "x", json_body: "{ nope" } }, "json_body", null],
    ] as const;
    for (const [asked, field, line] of places) {
      const { errors } = await preview(asked);
      assert.deepEqual([errors[0].field, errors[0].line], [field, line], JSON.stringify(errors));
      assert.ok(!errors[0].message.startsWith(field), errors[0].message);
    }
  });

  test(`${name}: layouts and partials that are not kept`, async () => {
    const { call } = await open();
    const email_layout = {
      name: "L",
      html_layout: "<i>{{ data.x }}{{ content }}</i>",
      text_layout: "{{ data.x }}{{ content }}",
    };
    const layout = (await call("POST", "/email_layouts/preview", { email_layout, recipient: "p1", data: { x: 1 } }))
      .body;
    assert.deepEqual([layout.result, layout.layout.text_body], ["success", "1"], JSON.stringify(layout));
    assert.match(layout.layout.html_body, /<i>1<\/i>/);
    const preview = (partial: object, data: object) => call("POST", "/partials/preview", { partial, data });
    const html = { name: "P", type: "html", content: "<p>Hello, {{ name }}!</p>" };
    const shown = (await preview(html, { name: "Ann" })).body;
    assert.deepEqual([shown.result, shown.type], ["success", "html"], JSON.stringify(shown));
    assert.match(shown.content, /<p>Hello, Ann!<\/p>/);
    const text = { name: "P", type: "text", content: "Hello, {{ name }}" };
    assert.equal((await preview(text, { name: "Ann" })).body.content, "Hello, Ann");
    const asking = { ...text, input_schema: [{ key: "name", type: "text" }] };
    assert.equal((await preview(asking, {})).body.errors[0].field, "data.name");
  });
});
