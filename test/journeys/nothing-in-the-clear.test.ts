/**
 * With a key, whatever is used: no secret stands in the files of the database or in a dump of its tables, everything that
 * needs one has it, and the command finds them all.
 */
import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Client } from "pg";
import { rotateEncryptionKey } from "../../src/cli/rotate-encryption-key.ts";
import { readConfig } from "../../src/config.ts";
import { openDatabase } from "../../src/storage/store.ts";
import { DIALECTS, newPlace, type Place } from "../conformance/databases.ts";
import { httpReceiver } from "../support/http-receiver.ts";
import { SECRET_KEY, startServer } from "../support/server.ts";

const ADMIN_CREDENTIALS = "credentials.json";
const KEY = randomBytes(32).toString("hex");
const NEXT_KEY = randomBytes(32).toString("hex");
const QUIET = { out: () => {}, progress: () => {} };

/** Each is found in a dump by its middle, whatever stands around it. */
const SECRETS = {
  smtpPassword: "known-smtp-password",
  providerToken: "known-webhook-token",
  hookSecret: "known-outbound-secret",
  eventSecret: "known-event-webhook-secret",
  variable: "known-secret-variable",
  slackToken: "xoxb-known-of-a-user",
  slackShared: "xoxb-known-of-an-object",
  slackHook: "known-path-of-a-slack-hook",
  inlineToken: "xoxb-known-of-a-trigger",
  signingKey: "known-signing-key",
  fetchHeader: "known-fetch-header",
  fetchQuery: "known-fetch-query",
  stepHeader: "known-step-header",
  draftHeader: "known-draft-header",
  endpointHeader: "known-endpoint-header",
  transformation: "known-transformation-variable",
} as const;

function envOf(place: Place, keys: { readonly key?: string; readonly old?: string }): { [name: string]: string } {
  return {
    CARILLON_DATA_DIR: place.dataDir,
    ...(place.url === null ? {} : { CARILLON_DATABASE_URL: place.url, CARILLON_DATABASE_POOL: "4" }),
    CARILLON_SECRET_KEY: SECRET_KEY,
    CARILLON_ENCRYPTION_KEY: keys.key ?? "",
    CARILLON_OLD_ENCRYPTION_KEYS: keys.old ?? "",
  };
}

/** The files of the database as they are, its log included. */
async function filesOf(place: Place): Promise<string> {
  const names = (await readdir(place.dataDir)).filter((name) => name !== ADMIN_CREDENTIALS);
  assert.ok(names.some((name) => name.endsWith("-wal")) && names.length >= 2, names.join());
  const files = await Promise.all(names.map((name) => readFile(join(place.dataDir, name), "latin1")));
  return files.join("\n");
}

/** Every row of every table. */
async function rowsOf(place: Place): Promise<string> {
  if (place.url === null) {
    const database = await openDatabase(place);
    try {
      return await database.read(function* () {
        const names = "select name from sqlite_master where type = 'table'";
        const tables = yield { kind: "text", sql: names, params: [] };
        let dump = "";
        for (const { name } of tables.rows) {
          const { rows } = yield { kind: "text", sql: `select * from "${name}"`, params: [] };
          dump += JSON.stringify(rows);
        }
        return dump;
      });
    } finally {
      await database.close();
    }
  }
  const client = new Client({ connectionString: place.url });
  await client.connect();
  try {
    const tables = await client.query("select tablename from pg_tables where schemaname = current_schema()");
    let dump = "";
    for (const { tablename } of tables.rows) {
      dump += JSON.stringify((await client.query(`select * from ${tablename}`)).rows);
    }
    return dump;
  } finally {
    await client.end();
  }
}

function notIn(dump: string, more: { readonly [name: string]: string }, when: string): void {
  const found = Object.entries({ ...SECRETS, ...more }).filter(([, secret]) => dump.includes(secret));
  assert.deepEqual(
    found.map(([name, secret]) => `${name}: ${dump.slice(dump.indexOf(secret) - 90, dump.indexOf(secret) + 40)}`),
    [],
    when,
  );
}

type Server = Awaited<ReturnType<typeof startServer>>;

async function server(t: TestContext, env: { [name: string]: string }): Promise<Server> {
  const app = await startServer(env);
  let closing: Promise<void> | null = null;
  const close = (): Promise<void> => (closing ??= app.close());
  t.after(close);
  return { ...app, close };
}

// biome-ignore lint/suspicious/noExplicitAny: whatever the server said; looked at field by field
async function call(app: Server, method: string, path: string, body?: unknown, headers = {}): Promise<any> {
  const response = await fetch(app.url + path, {
    method,
    headers: { authorization: `Bearer ${SECRET_KEY}`, "content-type": "application/json", ...headers },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}

const STEPS = "/v1/workflows/guarded?environment=development&annotate=true";

function workflowTo(url: string, header: string) {
  return {
    name: "Guarded",
    steps: [
      {
        ref: "ask",
        type: "http_fetch",
        settings: {
          method: "post",
          url: `${url}/ask`,
          body: '{"a":1}',
          signing_key: SECRETS.signingKey,
          headers: [{ key: "x-token", value: header }],
          query_params: [{ key: "api_key", value: SECRETS.fetchQuery }],
        },
      },
      { ref: "chat", type: "channel", channel_key: "chat", template: { markdown_body: "Hello" } },
      {
        ref: "post",
        type: "channel",
        channel_key: "hooks",
        template: {
          method: "post",
          url: `${url}/post`,
          body: '{"b":2}',
          headers: [
            { key: "x-own", value: SECRETS.stepHeader },
            { key: "authorization", value: "Bearer {{ vars.api_key }}" },
          ],
        },
      },
    ],
  };
}

async function configure(app: Server, url: string) {
  const settings = { host: "127.0.0.1", port: 25, from: "a@x.example", username: "u", password: SECRETS.smtpPassword };
  await app.sdk.providers.create({ provider: "smtp", settings });
  const webhook = { url, authentication: "bearer", token: SECRETS.providerToken };
  await app.sdk.providers.create({ provider: "webhook", settings: webhook });
  await call(app, "POST", "/admin/outbound-webhooks", { url: `${url}/told`, secret: SECRETS.hookSecret });
  await call(app, "POST", "/admin/knock/webhooks", {
    url: `${url}/events`,
    secret: SECRETS.eventSecret,
    events: ["workflow.updated", "workflow.committed"],
  });
  await call(app, "PUT", "/admin/knock/variables/api_key", { value: SECRETS.variable, secret: true });
  const hooks = await call(app, "POST", "/admin/knock/channels", { key: "hooks", type: "http" });
  const { items } = await call(app, "GET", "/admin/knock/channels");
  const chat = items.find(({ type }: { type: string }) => type === "chat").id as string;
  await call(app, "PUT", `/v1/users/ann/channel_data/${chat}`, {
    data: { connections: [{ access_token: SECRETS.slackToken, channel_id: "C1" }], token: null },
  });
  await call(app, "PUT", `/v1/objects/projects/p1/channel_data/${chat}`, {
    data: {
      token: { access_token: SECRETS.slackShared },
      connections: [{ channel_id: "C2" }, { incoming_webhook: { url: `https://hooks.example/${SECRETS.slackHook}` } }],
    },
  });
  return { chat, hooks: hooks.id as string };
}

/** Uses every secret once. @returns what else must not be found. */
async function use(app: Server, url: string, chat: string): Promise<{ readonly [name: string]: string }> {
  await call(app, "PUT", `${STEPS}&commit=true`, { workflow: workflowTo(url, SECRETS.fetchHeader) });
  await call(app, "PUT", STEPS, { workflow: workflowTo(url, SECRETS.draftHeader) });
  await call(app, "POST", "/v1/workflows/guarded/trigger", {
    recipients: [
      "ann",
      { id: "p1", collection: "projects" },
      {
        id: "ben",
        channel_data: { [chat]: { connections: [{ access_token: SECRETS.inlineToken, channel_id: "C3" }] } },
      },
    ],
  });
  const base = "/api/v1/app";
  const { id } = await call(app, "POST", base, { name: "Acme" });
  const endpoint = await call(app, "POST", `${base}/${id}/endpoint`, { url: `${url}/svix` });
  await call(app, "PUT", `${base}/${id}/endpoint/${endpoint.id}/headers`, {
    headers: { "x-endpoint": SECRETS.endpointHeader },
  });
  await call(app, "PATCH", `${base}/${id}/endpoint/${endpoint.id}/transformation`, {
    code: "function handler(webhook) { webhook.headers = { 'x-made': webhook.variables?.key ?? 'none' }; return webhook; }",
    enabled: true,
    variables: { key: SECRETS.transformation },
  });
  const { key } = await call(app, "GET", `${base}/${id}/endpoint/${endpoint.id}/secret`);
  const portal = await replayed(app);
  await call(app, "POST", `${base}/${id}/msg`, { eventType: "a.b", payload: { a: 1 } });
  await app.engine.dispatcher.idle();
  return { endpointSecret: key, portalToken: portal.token, signing: app.environment.signingSecret };
}

/** The portal of the one application, opened with a key: the first answer again. */
async function replayed(app: Server) {
  const [{ id }] = (await call(app, "GET", "/api/v1/app")).data;
  return call(app, "POST", `/api/v1/auth/app-portal-access/${id}`, {}, { "idempotency-key": "once" });
}

async function check(app: Server, hook: Awaited<ReturnType<typeof httpReceiver>>): Promise<void> {
  const to = (path: string) => hook.requests.filter((request) => request.url.split("?")[0] === path);
  const ask = to("/ask").at(-1);
  assert.equal(ask?.headers["x-token"], SECRETS.fetchHeader);
  assert.equal(ask?.url, `/ask?api_key=${SECRETS.fetchQuery}`);
  const [time, signature] = String(ask?.headers["x-knock-signature"]).replace(/^t=/, "").split(",s=");
  const signed = createHmac("sha256", SECRETS.signingKey).update(`${time}.{"a":1}`).digest("base64");
  assert.equal(signature, signed);
  const post = to("/post").at(-1);
  assert.equal(post?.headers["x-own"], SECRETS.stepHeader);
  assert.equal(post?.headers.authorization, `Bearer ${SECRETS.variable}`);
  const svix = to("/svix").at(-1);
  assert.equal(svix?.headers["x-endpoint"], SECRETS.endpointHeader);
  assert.equal(svix?.headers["x-made"], SECRETS.transformation);

  const shown = JSON.stringify((await call(app, "GET", "/admin/captured")).items);
  for (const token of ["slackToken", "slackShared", "slackHook", "inlineToken"] as const) {
    assert.ok(shown.includes(SECRETS[token]), token);
  }
  const { items } = await call(app, "GET", "/v1/messages?page_size=50");
  const contents = await Promise.all(
    items.map(({ id }: { id: string }) => call(app, "GET", `/v1/messages/${id}/content`)),
  );
  const read = JSON.stringify(contents);
  for (const part of [SECRETS.slackToken, SECRETS.stepHeader]) assert.ok(read.includes(part), part);
  assert.ok(!read.includes("carillon-sealed"));

  const { steps } = await call(app, "GET", "/v1/workflows/guarded?environment=development");
  assert.equal(steps[0].settings.signing_key, SECRETS.signingKey);
  assert.deepEqual(steps[0].settings.headers, [{ key: "x-token", value: SECRETS.draftHeader }]);
  const [{ id }] = (await call(app, "GET", "/api/v1/app")).data;
  const [endpoint] = (await call(app, "GET", `/api/v1/app/${id}/endpoint`)).data;
  const [attempt] = (await call(app, "GET", `/api/v1/app/${id}/attempt/endpoint/${endpoint.id}`)).data;
  const path = `/api/v1/app/${id}/msg/${attempt.msgId}/attempt/${attempt.id}/headers`;
  const { sentHeaders } = await call(app, "GET", path);
  assert.equal(sentHeaders["x-endpoint"], SECRETS.endpointHeader);
  const { variables } = await call(app, "GET", `/api/v1/app/${id}/endpoint/${endpoint.id}/transformation`);
  assert.deepEqual(variables, { key: SECRETS.transformation });
}

for (const dialect of DIALECTS) {
  test(`${dialect}: nothing secret is in the clear, from the first write to the next key`, async (t) => {
    const { place, remove } = await newPlace(dialect);
    t.after(remove);
    const hook = await httpReceiver();
    t.after(() => hook.close());
    const app = await server(t, envOf(place, { key: KEY }));
    const { chat } = await configure(app, hook.url);
    const made = await use(app, hook.url, chat);
    await check(app, hook);
    notIn(dialect === "sqlite" ? await filesOf(place) : await rowsOf(place), made, "as it is written");
    const told = hook.requests.filter(({ url }) => url === "/events").map(({ text }) => text);
    assert.equal(told.length, 3);
    for (const text of told) assert.ok(!text.includes(SECRETS.signingKey) && !text.includes("carillon-sealed"), text);
    await app.close();

    const config = readConfig(envOf(place, { key: NEXT_KEY, old: KEY }));
    assert.equal(await rotateEncryptionKey(config, QUIET), 0);
    const again = await server(t, envOf(place, { key: NEXT_KEY }));
    await check(again, hook);
    assert.equal((await replayed(again)).token, made.portalToken);
    await call(again, "POST", "/v1/workflows/guarded/trigger", { recipients: ["ann"] });
    await again.engine.dispatcher.idle();
    await check(again, hook);
    notIn(dialect === "sqlite" ? await filesOf(place) : await rowsOf(place), made, "under another key");
  });

  test(`${dialect}: what was used before there was a key stays usable, and the command seals all of it`, async (t) => {
    const { place, remove } = await newPlace(dialect);
    t.after(remove);
    const hook = await httpReceiver();
    t.after(() => hook.close());
    const plain = await server(t, envOf(place, {}));
    const { chat } = await configure(plain, hook.url);
    const made = await use(plain, hook.url, chat);
    await check(plain, hook);
    await plain.close();
    const before = await rowsOf(place);
    for (const [name, secret] of Object.entries({ ...SECRETS, ...made })) assert.ok(before.includes(secret), name);

    const keyed = await server(t, envOf(place, { key: KEY }));
    await check(keyed, hook);
    await keyed.close();
    assert.equal(await rotateEncryptionKey(readConfig(envOf(place, { key: KEY })), QUIET), 0);
    notIn(await rowsOf(place), made, "sealed by the command");
    const after = await server(t, envOf(place, { key: KEY }));
    await check(after, hook);
    assert.equal((await replayed(after)).token, made.portalToken);
  });
}
