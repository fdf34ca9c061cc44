import assert from "node:assert/strict";
import { test } from "node:test";
import { forEachKnock } from "../knock-target.ts";
import { pushed, workflow } from "./pushing.ts";

const LAYOUT = {
  name: "Default",
  html_layout: "<html><body>{{ content }}</body></html>",
  text_layout: "{{ content }}",
  footer_links: [{ text: "Help", url: "https://x.io/help" }],
};
const PARTIAL = { name: "Footer", type: "html", content: "<p>{{ name }}</p>" };

forEachKnock((name, open) => {
  test(`${name}: email layouts`, async () => {
    const { call } = await open();
    const put = (layout: object, query = "") => call("PUT", `/email_layouts/default${query}`, { email_layout: layout });
    const draft = await put(LAYOUT, "?annotate=true");
    assert.equal(draft.status, 200, draft.text);
    assert.deepEqual(draft.body.email_layout.__annotation.extractable_fields.html_layout, {
      default: true,
      file_ext: "html",
    });
    assert.equal((await call("GET", "/email_layouts/default?hide_uncommitted_changes=true")).status, 404);
    await put(LAYOUT, "?commit=true");
    const shown = (await call("GET", "/email_layouts/default")).body;
    assert.deepEqual([shown.key, shown.footer_links, shown.is_mjml], ["default", LAYOUT.footer_links, undefined]);
    assert.equal((await call("GET", "/email_layouts")).body.entries.length, 1);
    const bad = await put({ ...LAYOUT, html_layout: "<html>", text_layout: 1, is_mjml: true });
    assert.deepEqual(bad.body.errors.map(({ field }: { field: string }) => field).sort(), [
      "html_layout",
      "is_mjml",
      "text_layout",
    ]);
    assert.equal((await call("PUT", "/email_layouts/x/validate", { email_layout: LAYOUT })).status, 200);
    assert.equal((await call("GET", "/email_layouts/x")).status, 404);
  });

  test(`${name}: partials`, async () => {
    const { call } = await open();
    const put = (partial: object) => call("PUT", "/partials/footer?commit=true&annotate=true", { partial });
    const written = await put(PARTIAL);
    assert.equal(written.status, 200, written.text);
    assert.deepEqual(written.body.partial.__annotation.extractable_fields.content, { default: true, file_ext: "html" });
    assert.deepEqual((await call("GET", "/partials/footer")).body.content, PARTIAL.content);
    assert.equal((await put({ ...PARTIAL, type: "pdf" })).status, 422);
    assert.equal((await put({ ...PARTIAL, content: "{% if %}" })).body.errors[0].field, "content");
    assert.equal((await put({ ...PARTIAL, type: "text", visual_block_enabled: true })).status, 422);
  });

  test(`${name}: translations by namespace and tenant, as JSON and as PO`, async () => {
    const { call } = await open();
    const put = (path: string, translation: object) => call("PUT", `/translations/${path}`, { translation });
    const english = {
      content: '{"hello": "Hello {{ name }}", "apples": {"one": "an apple", "other": "apples"}}',
      format: "json",
    };
    const written = await put("en?namespace=mail&commit=true", english);
    assert.equal(written.status, 200, written.text);
    assert.deepEqual(
      [written.body.translation.locale_code, written.body.translation.namespace, written.body.translation.content],
      ["en", "mail", english.content],
    );
    assert.equal((await call("GET", "/translations/en")).status, 404);
    const po = (await call("GET", "/translations/en?namespace=mail&format=po")).body.translation;
    assert.match(po.content, /msgid "hello"\nmsgstr "Hello {{ name }}"/);
    assert.equal((await put("de-AT?tenant=acme", { content: po.content, format: "po" })).status, 200);
    const json = (await call("GET", "/translations/de-AT?tenant=acme&format=json")).body.translation;
    assert.deepEqual(JSON.parse(json.content), JSON.parse(english.content));
    assert.equal(json.tenant, "acme");
    const listed = async (query: string) => (await call("GET", `/translations?${query}`)).body.entries.length;
    assert.deepEqual([await listed(""), await listed("namespace=mail"), await listed("locale_code=de-AT")], [2, 1, 1]);
    for (const content of ["[]", "nonsense", '{"a":[1]}', '{"a":null}', 1]) {
      assert.equal((await put("fr", { content, format: "json" })).status, 422, String(content));
    }
    const broken = await put("fr", { content: '{"a": {"b": "x\\n{{ y"}, "c": "{% nope %}"}', format: "json" });
    assert.deepEqual(
      broken.body.errors.map(({ field, message }: { field: string; message: string }) => [field, message]),
      [
        ["content.a.b", 'output "{{ y" not closed (line 2)'],
        ["content.c", 'tag "nope" not found (line 1)'],
      ],
    );
    const half = await put("fr", { content: '{"a": "b",\n "c": }', format: "json" });
    assert.match(half.body.message, /^content: Expected the text of a JSON object: Unexpected token /);
    assert.equal((await put("fr", { content: 'msgid "a"\nmsgstr "{{ y"\n', format: "po" })).status, 422);
    assert.equal((await put("english!", english)).status, 422);
    assert.equal((await put("en?namespace=a/b", english)).status, 422);
  });

  test(`${name}: commits: all that is drafted, or only some; each is noted`, async () => {
    const target = await open();
    const other = await target.another();
    const { call } = other;
    await call("PUT", "/workflows/one", workflow("x"));
    await call("PUT", "/workflows/two", workflow("x"));
    await call("PUT", "/partials/footer", { partial: PARTIAL });
    await call("PUT", "/email_layouts/default", { email_layout: LAYOUT });
    const ids = async (query = "") =>
      (await call("GET", `/commits?environment=development&${query}`)).body.entries.map(
        ({ resource }: { resource: { type: string; identifier: string } }) => `${resource.type} ${resource.identifier}`,
      );
    assert.deepEqual((await call("PUT", "/commits?resource_type=workflow&resource_id=two")).body, {
      result: "success",
    });
    assert.deepEqual(await ids(), ["workflow two"]);
    assert.equal((await call("PUT", "/commits?commit_message=all%20of%20it")).status, 200);
    assert.deepEqual((await ids()).slice().sort(), [
      "email_layout default",
      "partial footer",
      "workflow one",
      "workflow two",
    ]);
    assert.deepEqual(await ids("resource_type[]=partial&resource_type[]=email_layout").then((all) => all.length), 2);
    assert.deepEqual(await ids("promoted=true"), []);
    const { entries, page_info } = (await call("GET", "/commits?limit=3")).body;
    assert.deepEqual(
      entries.map((one: { commit_message: string }) => one.commit_message),
      Array(3).fill("all of it"),
    );
    assert.equal((await call("GET", `/commits?limit=3&after=${page_info.after}`)).body.entries.length, 1);
    const one = await call("GET", `/commits/${entries[0].id}`);
    assert.deepEqual([one.status, one.body], [200, entries[0]]);
    assert.equal((await target.call("GET", `/commits/${entries[0].id}`)).status, 404, "of another environment");
    assert.equal((await call("GET", "/commits/nope")).status, 404);
    assert.equal((await call("GET", "/workflows/one?hide_uncommitted_changes=true")).status, 200);
    assert.deepEqual((await call("PUT", "/commits")).body, { result: "success" });
    await call("PUT", "/commits?allow_empty=true");
    assert.equal((await ids()).length, 4);
    await call("PUT", "/commits?allow_empty=true&resource_type=workflow&resource_id=one");
    assert.equal((await ids("resource_id=one")).length, 2);
  });

  test(`${name}: promoting goes nowhere but to where everything already is`, async () => {
    const target = await open();
    const { call } = target;
    await pushed(target, "promoted", "x");
    const [commit] = (await call("GET", "/commits")).body.entries;
    assert.deepEqual((await call("PUT", "/commits/promote?to_environment=production")).body, { result: "success" });
    assert.equal((await call("PUT", "/commits/promote?to_environment=staging")).status, 404);
    assert.equal((await call("PUT", "/commits/promote")).status, 501);
    assert.equal((await call("PUT", `/commits/${commit.id}/promote`)).status, 501);
  });
});
