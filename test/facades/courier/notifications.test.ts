import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { type SendingTarget, startSendingTarget } from "./sending-target.ts";

let target: SendingTarget;
beforeEach(async () => {
  target = await startSendingTarget();
});
afterEach(() => target.close());

const elements = (text: string) => [
  { type: "meta", title: "Subject" },
  { type: "text", id: "body", content: text },
];
const notification = (text: string, more: object = {}) => ({
  name: "Welcome",
  tags: ["onboarding"],
  brand: null,
  subscription: { topic_id: "pt_x" },
  routing: null,
  content: { version: "2022-01-01", elements: elements(text) },
  ...more,
});
const post = (body: object) => target.call("POST", "/notifications", body);
const get = (path: string) => target.call("GET", path);
async function created(text: string, more: object = {}, state = "PUBLISHED"): Promise<string> {
  const { status, body } = await post({ notification: notification(text, more), state });
  assert.equal(status, 201, JSON.stringify(body));
  return body.id;
}
async function textSent(template: string, key = "Bearer K"): Promise<string> {
  const message = { to: { user_id: "u1" }, template };
  const { body } = await target.call("POST", "/send", { message }, { authorization: key });
  const { results } = (await get(`/messages/${body.requestId}/output`)).body;
  return results[0]?.content.text ?? (await get(`/messages/${body.requestId}`)).body.reason;
}

test("a draft is not live until it is published", async () => {
  const { status, body } = await post({ notification: notification("one") });
  assert.deepEqual([status, body.state, body.name, body.tags], [201, "DRAFT", "Welcome", ["onboarding"]]);
  assert.match(body.id, /^nt_[0-9a-hjkmnp-tv-z]{26}$/);
  assert.deepEqual([body.brand, body.subscription, body.routing], [null, { topic_id: "pt_x" }, null]);
  assert.deepEqual([typeof body.created, body.creator], ["number", "key_K"]);
  const path = `/notifications/${body.id}`;
  assert.equal((await get(path)).status, 404);
  assert.equal((await get(`${path}?version=draft`)).status, 200);
  assert.equal(await textSent(body.id), "UNPUBLISHED");
  assert.match(await textSent(body.id, "Bearer D"), /one/);

  assert.equal((await target.call("POST", `${path}/publish`, {})).status, 204);
  assert.equal((await get(path)).body.state, "PUBLISHED");
  assert.match(await textSent(body.id), /one/);

  const changed = await target.call("PUT", path, { notification: notification("two") });
  assert.deepEqual([changed.status, changed.body.state], [200, "DRAFT"]);
  assert.match(await textSent(body.id), /one/);
  assert.equal((await get(path)).body.content.elements[1].content, "one");
  const versions = (await get(`${path}/versions`)).body.versions.map(({ version }: { version: string }) => version);
  assert.deepEqual(versions, ["draft", "published:v001"]);
  assert.equal((await target.call("POST", `${path}/publish`)).status, 204);
  assert.match(await textSent(body.id), /two/);
});

test("publishing nothing new makes no version; an old version published again is the newest", async () => {
  const id = await created("one");
  const path = `/notifications/${id}`;
  const versions = async () =>
    (await get(`${path}/versions`)).body.versions.map((one: { version: string }) => one.version);
  assert.equal((await target.call("POST", `${path}/publish`, {})).status, 204);
  assert.deepEqual(await versions(), ["published:v001"]);
  await target.call("PUT", path, { notification: notification("two"), state: "published" });
  assert.deepEqual(await versions(), ["published:v002", "v001"]);
  assert.equal((await target.call("POST", `${path}/publish`, { version: "v001" })).status, 204);
  assert.deepEqual(await versions(), ["published:v003", "v002", "v001"]);
  assert.equal((await get(path)).body.content.elements[1].content, "one");
  assert.equal((await get(`${path}?version=v002`)).body.content.elements[1].content, "two");
  assert.equal((await target.call("POST", `${path}/publish`, { version: "1" })).status, 400);
  assert.equal((await target.call("POST", `${path}/publish`, { version: "v009" })).status, 404);
  assert.equal((await get(`${path}?version=v009`)).status, 404);
  assert.equal((await get(`${path}?version=newest`)).status, 400);
});

test("versions come in pages of ten at most, each once", async () => {
  const id = await created("0");
  for (let i = 1; i < 13; i++) {
    const { status } = await target.call("PUT", `/notifications/${id}`, {
      notification: notification(`${i}`),
      state: "PUBLISHED",
    });
    assert.equal(status, 200);
  }
  await target.call("PUT", `/notifications/${id}`, { notification: notification("draft") });
  const first = (await get(`/notifications/${id}/versions?limit=50`)).body;
  assert.deepEqual([first.versions.length, first.versions[0].version, first.paging.more], [10, "draft", true]);
  const second = (await get(`/notifications/${id}/versions?cursor=${first.paging.cursor}`)).body;
  assert.deepEqual([second.versions.length, second.versions.at(-1).version, second.paging.more], [4, "v001", false]);
  assert.deepEqual(first.versions[1].version, "published:v013");
  const one = (await get(`/notifications/${id}/versions?limit=1`)).body;
  const next = (await get(`/notifications/${id}/versions?limit=1&cursor=${one.paging.cursor}`)).body;
  assert.deepEqual([one.versions[0].version, next.versions[0].version], ["draft", "published:v013"]);
});

test("an alias belongs to one template, and finds it", async () => {
  const id = await created("one", { alias: "welcome" });
  assert.match(await textSent("welcome"), /one/);
  const taken = await post({ notification: notification("x", { alias: "welcome" }) });
  assert.deepEqual([taken.status, taken.headers["x-should-retry"]], [409, "false"]);
  const other = await created("two", { alias: "other" });
  const stolen = await target.call("PUT", `/notifications/${other}`, {
    notification: notification("x", { alias: "welcome" }),
  });
  assert.equal(stolen.status, 409);
  assert.equal((await get(`/notifications/${other}`)).body.alias, "other");

  await target.call("PUT", `/notifications/${id}`, { notification: notification("one") });
  assert.equal((await get(`/notifications/${id}`)).body.alias, "welcome");
  await target.call("PUT", `/notifications/${id}`, { notification: notification("one", { alias: "hello" }) });
  assert.match(await textSent("hello"), /one/);
  await target.call("PUT", `/notifications/${other}`, { notification: notification("two", { alias: "welcome" }) });
  assert.match(await textSent("welcome"), /two/);
  await target.call("PUT", `/notifications/${id}`, { notification: notification("one", { alias: null }) });
  assert.equal("alias" in (await get(`/notifications/${id}`)).body, false);
  assert.equal((await post({ notification: notification("x", { alias: "tenant/x" }) })).status, 400);
});

test("of two templates that want an alias at once, one gets it", async () => {
  const answers = await Promise.all([1, 2, 3].map(() => post({ notification: notification("x", { alias: "race" }) })));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409, 409]);
  assert.equal((await get("/notifications")).body.results.length, 1);
});

test("writes that come together are all kept", async () => {
  const id = await created("one");
  const locales = ["de", "fr", "es", "it"];
  const answers = await Promise.all(
    locales.map((locale) =>
      target.call("PUT", `/notifications/${id}/locales/${locale}`, { elements: [{ id: "body", content: locale }] }),
    ),
  );
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200, 200],
  );
  const { body } = await get(`/notifications/${id}/content?version=draft`);
  assert.deepEqual(Object.keys(body.elements[1].locales).sort(), ["de", "es", "fr", "it"]);
});

test("an archived template is gone, and its alias free", async () => {
  const id = await created("one", { alias: "welcome" });
  assert.equal((await target.call("DELETE", `/notifications/${id}`)).status, 204);
  assert.equal((await target.call("DELETE", `/notifications/${id}`)).status, 404);
  for (const path of ["", "?version=draft", "?version=v001", "/versions", "/content"]) {
    assert.equal((await get(`/notifications/${id}${path}`)).status, 404, path);
  }
  assert.deepEqual((await get("/notifications")).body.results, []);
  const message = { to: { user_id: "u1" }, template: id };
  const { body } = await target.call("POST", "/send", { message });
  assert.equal((await get(`/messages/${body.requestId}`)).body.status, "UNMAPPED");
  await created("two", { alias: "welcome" });
});

test("templates are listed with their state, and by the event that is mapped to them", async () => {
  const live = await created("one");
  const draft = await created("two", {}, "DRAFT");
  const { results, paging } = (await get("/notifications")).body;
  assert.deepEqual(
    results.map(({ id, state }: { id: string; state: string }) => [id, state]),
    [
      [live, "PUBLISHED"],
      [draft, "DRAFT"],
    ],
  );
  assert.deepEqual([results[0].topic_id, results[0].subscription_topic_id, paging.more], ["pt_x", "pt_x", false]);
  await target.call("PUT", "/events/e1", { id: live, type: "notification" });
  const mapped = (await get("/notifications?event_id=e1")).body.results;
  assert.deepEqual(
    mapped.map(({ id }: { id: string }) => id),
    [live],
  );
  assert.deepEqual((await get("/notifications?event_id=e2")).body.results, []);
});

test("a list with gaps of archived templates still fills its pages", async () => {
  const ids: string[] = [];
  for (let i = 0; i < 30; i++) ids.push(await created(`${i}`));
  for (const id of ids.filter((_, i) => i % 3 === 0)) await target.call("DELETE", `/notifications/${id}`);
  const first = (await get("/notifications")).body;
  const rest = first.paging.more ? (await get(`/notifications?cursor=${first.paging.cursor}`)).body.results : [];
  const found = [...first.results, ...rest].map(({ id }: { id: string }) => id);
  assert.deepEqual(
    found,
    ids.filter((_, i) => i % 3 !== 0),
  );
});

test("what is no template is refused, with the field", async () => {
  const { name: _, ...nameless } = notification("x");
  const cases: readonly [object, RegExp][] = [
    [{}, /notification: Required/],
    [{ notification: {} }, /notification\.name: Required.*notification\.content: Required/],
    [{ notification: nameless }, /^notification\.name: Required$/],
    [{ notification: notification("x", { routing: { strategy_id: "rs_x" } }) }, /Routing strategy rs_x not found/],
    [{ notification: notification("x", { content: { title: "a", body: "b" } }) }, /notification\.content\.elements/],
    [{ notification: notification("x", { content: { elements: [{ type: "nope" }] } }) }, /^notification\.content/],
    [{ notification: notification("x"), state: "LIVE" }, /^state/],
    [{ notification: notification("x", { alias: "" }) }, /^notification\.alias/],
    [{ notification: notification("x", { alias: "a\0" }) }, /^notification\.alias/],
    [
      { notification: notification("x", { content: { elements: [...elements("a"), ...elements("b")] } }) },
      /^notification\.content\.elements\.3\.id.*another element/,
    ],
  ];
  for (const [body, message] of cases) {
    const answer = await post(body);
    assert.equal(answer.status, 400, JSON.stringify(answer.body));
    assert.match(answer.body.message, message);
  }
  assert.deepEqual((await get("/notifications")).body.results, []);
  assert.equal((await get("/notifications/nt_x/1/checks")).status, 501);
});

test("content is read with ids and checksums that follow what is translatable", async () => {
  const id = await created("one");
  const { body } = await get(`/notifications/${id}/content`);
  assert.equal(body.version, "2022-01-01");
  assert.match(body.elements[0].id, /^elem_/);
  assert.match(body.elements[1].checksum, /^[0-9a-f]{32}$/);

  const path = `/notifications/${id}/elements/body`;
  const same = await target.call("PUT", path, { type: "text", content: "one", align: "center" });
  assert.deepEqual([same.status, same.body.id, same.body.state, same.body.version], [200, id, "DRAFT", "2022-01-01"]);
  assert.deepEqual(same.body.elements[1], { id: "body", checksum: body.elements[1].checksum });
  const other = await target.call("PUT", path, { type: "text", content: "two", state: "PUBLISHED" });
  assert.notEqual(other.body.elements[1].checksum, body.elements[1].checksum);
  assert.match(await textSent(id), /two/);
  assert.equal((await target.call("PUT", `/notifications/${id}/elements/nope`, { type: "text" })).status, 404);
  assert.equal((await target.call("PUT", path, { content: "x" })).status, 400);
  assert.equal((await target.call("PUT", path, { type: "marquee" })).status, 400);
  const draft = await get(`/notifications/${id}/draft/content`);
  assert.equal(draft.body.elements[1].content, "two");
});

test("elements are addressed anywhere in the tree", async () => {
  const inner = { type: "text", id: "deep", content: "old" };
  const tree = [{ type: "group", id: "g", elements: [{ type: "group", elements: [inner] }] }];
  const id = await created("x", { content: { elements: tree } });
  const { body } = await target.call("PUT", `/notifications/${id}/elements/deep`, {
    type: "text",
    content: "new",
    state: "PUBLISHED",
  });
  assert.equal(body.elements.length, 3);
  assert.match(await textSent(id), /new/);
  const clash = { type: "group", elements: [{ type: "text", id: "g", content: "x" }] };
  assert.equal((await target.call("PUT", `/notifications/${id}/elements/g`, clash)).status, 400);
});

test("all elements can be replaced at once", async () => {
  const id = await created("one");
  const content = { elements: [{ type: "text", content: "all new" }] };
  const { status, body } = await target.call("PUT", `/notifications/${id}/content`, { content, state: "PUBLISHED" });
  assert.deepEqual([status, body.elements.length, body.state], [200, 1, "PUBLISHED"]);
  assert.match(await textSent(id), /all new/);
  assert.equal((await get(`/notifications/${id}`)).body.name, "Welcome");
  assert.equal((await target.call("PUT", `/notifications/${id}/content`, { content: {} })).status, 400);
  assert.equal((await target.call("PUT", "/notifications/nt_x/content", { content })).status, 404);
});

test("a locale is merged into the elements it names, and into no others", async () => {
  const id = await created("one");
  const path = `/notifications/${id}/locales/fr`;
  const unknown = await target.call("PUT", path, { elements: [{ id: "body", content: "un" }, { id: "nope" }] });
  assert.equal(unknown.status, 400);
  assert.equal("locales" in (await get(`/notifications/${id}/content?version=draft`)).body.elements[1], false);

  const { status } = await target.call("PUT", path, { elements: [{ id: "body", content: "un" }], state: "PUBLISHED" });
  assert.equal(status, 200);
  const { body } = await get(`/notifications/${id}/content`);
  assert.equal(body.elements[1].locales.fr.content, "un");
  assert.match(body.elements[1].locales.fr.checksum, /^[0-9a-f]{32}$/);
  assert.equal(body.elements[1].content, "one");
  for (const bad of ["__proto__", "1x", "a%20b"]) {
    assert.equal((await target.call("PUT", `/notifications/${id}/locales/${bad}`, { elements: [] })).status, 400);
  }
});

test("translations: what was put is what is got, under any spelling of the locale", async () => {
  const po = 'msgid ""\nmsgstr ""\n\nmsgid "Hello"\nmsgstr "Bonjour"\n';
  assert.equal((await target.call("PUT", "/translations/default/fr_FR", JSON.stringify(po))).status, 204);
  const { status, body } = await get("/translations/default/fr-fr");
  assert.deepEqual([status, body], [200, po]);
  const plain = await target.call("PUT", "/translations/default/de", po, { "content-type": "text/plain" });
  assert.equal(plain.status, 204);
  assert.equal((await get("/translations/default/es")).status, 404);
  assert.equal((await get("/translations/other/fr_FR")).status, 404);
  assert.equal((await target.call("PUT", "/translations/other/fr_FR", JSON.stringify(po))).status, 404);
  assert.equal((await target.call("PUT", "/translations/default/fr_FR", { a: 1 })).status, 400);
  assert.equal((await target.call("PUT", "/translations/default/fr_FR", JSON.stringify("msgid broken"))).status, 400);
  assert.equal((await target.call("PUT", "/translations/default/%00", JSON.stringify(po))).status, 400);

  const message = { to: { user_id: "u1", locale: "fr_FR" }, content: { title: "t", body: '{{t "Hello"}}' } };
  const { requestId } = (await target.call("POST", "/send", { message })).body;
  assert.match((await get(`/messages/${requestId}/output`)).body.results[0].content.text, /Bonjour/);
});
