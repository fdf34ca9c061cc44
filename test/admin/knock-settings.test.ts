import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openFirstEnvironment } from "../../src/http/environments.ts";
import { type Api, SECRET_KEY, startApi, startServer } from "../support/server.ts";

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api.close());

const another = async () => {
  const { body } = await api.call("POST", "/admin/environments", { name: "Another" });
  return { authorization: `Bearer ${body.secret_key}` };
};

interface Shown {
  readonly id: string;
  readonly key: string;
  readonly type: string;
}
const channels = async (headers = {}): Promise<readonly Shown[]> =>
  (await api.call("GET", "/admin/knock/channels", undefined, headers)).body.items;

test("every environment begins with a channel for each way; that of the feed has the feed's id", async () => {
  const first = await channels();
  assert.deepEqual(first.map(({ key, type }) => `${key} ${type}`).sort(), [
    "chat chat",
    "email email",
    "in-app in_app_feed",
    "push push",
    "sms sms",
  ]);
  const { feed_id } = (await api.call("GET", "/admin/client-config")).body;
  assert.equal(first.find(({ key }) => key === "in-app")?.id, feed_id);
  const headers = await another();
  const others = await channels(headers);
  assert.equal(others.length, 5);
  const own = (await api.call("GET", "/admin/client-config", undefined, headers)).body.feed_id;
  assert.equal(others.find(({ key }) => key === "in-app")?.id, own);
  assert.ok(others.every(({ id }) => first.every((one) => one.id !== id)));
});

test("another feed id takes the channel along; an environment without channels is given some", async (t) => {
  const own = await startApi();
  t.after(() => own.close());
  const channels = async (): Promise<readonly Shown[]> => (await own.call("GET", "/admin/knock/channels")).body.items;
  const { environments, documents, clock } = own.engine;
  const open = (feedId: string) =>
    openFirstEnvironment({
      environments,
      documents,
      clock,
      dataDir: null,
      fixed: { secretKey: SECRET_KEY, publicKey: null, appCode: null, feedId },
    });
  const before = await channels();
  const [old] = await environments.environments();
  const feedId = "3f0c4a3e-5b7a-4f6e-9f0f-0d6c1f3a2b11";
  await open(feedId);
  const now = await channels();
  assert.equal(now.find(({ key }) => key === "in-app")?.id, feedId);
  assert.deepEqual(now.map(({ id }) => id).sort(), before.map(({ id }) => (id === old?.feedId ? feedId : id)).sort());

  // As an earlier version left it.
  const environmentId = old?.id as `env_${string}`;
  const all = now.map(({ id }) => ({ kind: "step-channel", id, body: null, expect: "any" as const }));
  const markers = ["channels", "everywhere"].map((id) => ({
    kind: "step-channels",
    id,
    body: null,
    expect: "any" as const,
  }));
  await documents.write(environmentId, [...all, ...markers], clock.now());
  assert.equal((await channels()).length, 0);
  await open(feedId);
  assert.equal((await channels()).length, 5);
});

test("channels are made, changed and removed", async () => {
  const made = await api.call("POST", "/admin/knock/channels", {
    key: "slack-alerts",
    type: "chat",
    settings: { platform: "slack", sandbox_mode: true, link_tracking: null },
  });
  assert.equal(made.status, 201);
  assert.deepEqual(made.body.settings, { platform: "slack", sandbox_mode: true });
  assert.equal(made.body.name, "slack-alerts");
  const path = `/admin/knock/channels/${made.body.id}`;
  const changed = await api.call("PUT", path, { name: "Alerts", provider: "slack", settings: {} });
  assert.deepEqual(
    [changed.status, changed.body.name, changed.body.provider, changed.body.settings],
    [200, "Alerts", "slack", {}],
  );
  assert.equal((await api.call("PUT", path, { provider: null })).body.provider, null);
  assert.equal((await api.call("GET", path)).body.name, "Alerts");
  assert.equal((await api.call("DELETE", path)).status, 204);
  assert.equal((await api.call("DELETE", path)).status, 404);
  assert.equal((await api.call("GET", path)).status, 404);
});

test("keys are unique, types stay, the feed's channel stays, another environment's is not seen", async () => {
  const [email] = (await channels()).filter(({ key }) => key === "email");
  const feed = (await channels()).find(({ key }) => key === "in-app");
  assert.equal((await api.call("POST", "/admin/knock/channels", { key: "email", type: "email" })).status, 409);
  assert.equal((await api.call("PUT", `/admin/knock/channels/${email?.id}`, { key: "sms" })).status, 409);
  assert.equal((await api.call("PUT", `/admin/knock/channels/${email?.id}`, { type: "sms" })).status, 400);
  assert.equal((await api.call("DELETE", `/admin/knock/channels/${feed?.id}`)).status, 409);
  const headers = await another();
  assert.equal((await api.call("GET", `/admin/knock/channels/${email?.id}`, undefined, headers)).status, 404);
  assert.equal((await api.call("DELETE", `/admin/knock/channels/${email?.id}`, undefined, headers)).status, 404);
  const twice = await Promise.all(
    [1, 2, 3].map(() => api.call("POST", "/admin/knock/channels", { key: "one", type: "sms" })),
  );
  assert.deepEqual(twice.map(({ status }) => status).sort(), [201, 409, 409]);
});

test("settings without a meaning are refused with their name", async () => {
  const bad: readonly object[] = [
    { key: "x", type: "guide" },
    { key: "a b", type: "sms" },
    { key: "x", type: "sms", settings: { open_tracking: true } },
    { key: "x", type: "email", settings: { from_address: 1 } },
    { key: "x", type: "email", settings: { sandbox_mode: "yes" } },
    { key: "x", type: "chat", settings: { platform: "irc" } },
    { key: "x", type: "sms", settings: { conditions: { all: [{ variable: "data.x", operator: "is" }] } } },
    { key: "x", type: "sms", provider: "prv_00000000000000000000000000" },
    { type: "sms" },
  ];
  for (const body of bad) {
    assert.equal((await api.call("POST", "/admin/knock/channels", body)).status, 400, JSON.stringify(body));
  }
});

test("variables: a secret one is never shown", async () => {
  const put = (key: string, body: unknown) => api.call("PUT", `/admin/knock/variables/${key}`, body);
  assert.deepEqual((await put("app_url", { value: "https://x.io" })).body.value, "https://x.io");
  assert.equal((await put("branding", { value: { primary_color: "#fff" }, description: "D" })).status, 200);
  assert.equal((await put("token", { value: "s3cret", secret: true })).body.value, null);
  const { items } = (await api.call("GET", "/admin/knock/variables")).body;
  assert.deepEqual(
    items.map(({ key, value, secret }: { key: string; value: unknown; secret: boolean }) => [key, value, secret]),
    [
      ["app_url", "https://x.io", false],
      ["branding", { primary_color: "#fff" }, false],
      ["token", null, true],
    ],
  );
  assert.equal((await api.call("DELETE", "/admin/knock/variables/token")).status, 204);
  assert.equal((await api.call("DELETE", "/admin/knock/variables/token")).status, 404);
  assert.equal((await put("1x", { value: 1 })).status, 400);
  assert.equal((await put("x", {})).status, 400);
  assert.equal((await put("x", { value: "a\0b" })).status, 400);
});

test("a secret variable is sealed in the database, and templates see it open", async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), "carillon-variables-"));
  t.after(() => rm(dataDir, { recursive: true, force: true }));
  const env = { CARILLON_DATA_DIR: dataDir, CARILLON_ENCRYPTION_KEY: randomBytes(32).toString("hex") };
  const headers = { authorization: `Bearer ${SECRET_KEY}`, "content-type": "application/json" };
  const first = await startServer(env);
  for (const [key, secret] of [
    ["hidden", true],
    ["open", false],
  ] as const) {
    const body = JSON.stringify({ value: `the-value-of-${key}`, secret });
    await fetch(`${first.url}/admin/knock/variables/${key}`, { method: "PUT", headers, body });
  }
  await first.close();
  const files = (await readdir(dataDir, { recursive: true, withFileTypes: true })).filter((file) => file.isFile());
  const bytes = Buffer.concat(await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name)))));
  assert.ok(bytes.includes("the-value-of-open") && !bytes.includes("the-value-of-hidden"));
  const second = await startServer(env);
  t.after(() => second.close());
  const answer = await fetch(`${second.url}/v1/templates/preview`, {
    method: "POST",
    headers,
    body: JSON.stringify({ channel_type: "sms", recipient: "u1", template: { text_body: "{{ vars.hidden }}" } }),
  });
  assert.equal(
    ((await answer.json()) as { template: { text_body: string } }).template.text_body,
    "the-value-of-hidden",
  );
});

test("default preferences are checked", async () => {
  assert.deepEqual((await api.call("GET", "/admin/knock/preferences")).body, {});
  const set = { workflows: { wf: false }, channel_types: { email: true } };
  assert.deepEqual((await api.call("PUT", "/admin/knock/preferences", set)).body, set);
  assert.deepEqual((await api.call("GET", "/admin/knock/preferences")).body, set);
  const bad = await api.call("PUT", "/admin/knock/preferences", { channel_types: { pigeon: true } });
  assert.equal(bad.status, 400);
  assert.match(bad.text, /channel_types\.pigeon/);
});
