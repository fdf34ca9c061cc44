import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { type SendingTarget, startSendingTarget } from "./sending-target.ts";

let target: SendingTarget;
beforeEach(async () => {
  target = await startSendingTarget();
});
afterEach(() => target.close());

const get = (path: string) => target.call("GET", path);
const smtp = { provider: "smtp", settings: { host: "mail.x.io", password: "hush" } };

test("the catalogue lists the kinds, narrowed by key, name and channel", async () => {
  const keys = async (query: string): Promise<string[]> =>
    (await get(`/providers/catalog${query}`)).body.results.map(({ provider }: { provider: string }) => provider);
  assert.deepEqual(await keys(""), ["smtp", "second-mail", "twilio", "courier"]);
  assert.deepEqual(await keys("?keys=smtp,COURIER"), ["smtp", "courier"]);
  assert.deepEqual(await keys("?name=MAIL"), ["second-mail"]);
  assert.deepEqual(await keys("?channel=Email"), ["smtp", "second-mail"]);
  const [one] = (await get("/providers/catalog?keys=smtp")).body.results;
  assert.equal(one.channel, "email");
  assert.deepEqual([one.settings.host.type, one.settings.host.required], ["string", true]);
});

test("a provider is configured, read, replaced and deleted; secrets stay hidden and stay", async () => {
  const made = await target.call("POST", "/providers", smtp);
  assert.equal(made.status, 201);
  const { id, settings, title } = made.body;
  assert.match(id, /^prv_/);
  assert.deepEqual([title, settings.host], ["Default Configuration", "mail.x.io"]);
  assert.notEqual(settings.password, "hush");
  assert.deepEqual((await get(`/providers/${id}`)).body, made.body);
  assert.ok((await get("/providers")).body.results.some((one: { id: string }) => one.id === id));

  const put = await target.call("PUT", `/providers/${id}`, {
    provider: "smtp",
    title: "Second",
    alias: "second",
    settings: { host: "b.x.io", password: settings.password },
  });
  assert.deepEqual(
    [put.status, put.body.title, put.body.alias, put.body.settings.host],
    [200, "Second", "second", "b.x.io"],
  );
  const stored = await target.engine.documents.read(target.environment.id, "provider", id);
  assert.deepEqual(stored?.body.settings, { host: "b.x.io", password: "hush" });

  const bare = await target.call("PUT", `/providers/${id}`, { provider: "smtp", settings: { host: "c.x.io" } });
  assert.deepEqual(
    [bare.body.title, bare.body.alias, bare.body.settings],
    ["Default Configuration", undefined, { host: "c.x.io" }],
  );
  assert.equal((await target.call("DELETE", `/providers/${id}`)).status, 204);
  assert.equal((await target.call("DELETE", `/providers/${id}`)).status, 404);
  assert.equal((await get(`/providers/${id}`)).status, 404);
});

test("what is no provider is refused, with the field", async () => {
  const cases: readonly [object, RegExp][] = [
    [{}, /^provider: Required/],
    [{ provider: "pigeon" }, /^provider: Expected one of smtp, second-mail, twilio, courier, got "pigeon"$/],
    [{ provider: "__proto__" }, /^provider: /],
    [{ provider: "smtp" }, /settings\.host/],
    [{ provider: "smtp", settings: { host: 5 } }, /settings\.host/],
    [{ provider: "smtp", settings: { host: "x", colour: "red" } }, /colour/],
    [{ provider: "smtp", settings: "host" }, /^settings: /],
    [{ provider: "smtp", settings: { host: "x", password: "********" } }, /password/],
    [{ ...smtp, title: "\0" }, /^title/],
  ];
  for (const [body, message] of cases) {
    const answer = await target.call("POST", "/providers", body);
    assert.equal(answer.status, 400, JSON.stringify(answer.body));
    assert.match(answer.body.message, message);
  }
  const { id } = (await target.call("POST", "/providers", smtp)).body;
  assert.equal((await target.call("PUT", `/providers/${id}`, { provider: "courier" })).status, 400);
  assert.equal((await target.call("PUT", "/providers/prv_x", smtp)).status, 404);
});

test("a new provider is tried after those that were there", async () => {
  await target.call("POST", "/providers", { provider: "second-mail", title: "Third" });
  const body = { provider: "second-mail" };
  const { results } = (await get("/providers")).body;
  assert.equal(results.filter(({ provider }: { provider: string }) => provider === body.provider).length, 2);
  target.outcomes.set("smtp", { kind: "rejected", reason: "no" });
  const message = {
    to: { email: "a@x.io" },
    content: { body: "x" },
    routing: { method: "single", channels: ["email"] },
  };
  await target.settled(await target.send(message));
  const last = target.sent.at(-1)?.provider;
  assert.deepEqual([last?.provider, last?.title], ["second-mail", "second-mail"]);
});
