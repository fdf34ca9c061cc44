/** With a key nothing in the database shows a secret, everything goes on working, and the key can be changed meanwhile. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { Client } from "pg";
import { Webhook } from "svix";
import type { AppEndpoint, AppId } from "../../src/engine/webhooks/model.ts";
import { ENDPOINTS_GENERATION } from "../../src/engine/webhooks/ports.ts";
import { openDatabase } from "../../src/storage/store.ts";
import { DIALECTS, newPlace, type Place } from "../conformance/databases.ts";
import { httpReceiver } from "../support/http-receiver.ts";
import { SECRET_KEY, startServer } from "../support/server.ts";

const MAIN = resolve(import.meta.dirname, "../../src/main.ts");
const SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OLD_SECRET = `whsec_${randomBytes(32).toString("base64")}`;
const PASSWORD = "a-password-of-smtp";
const HOOK_SECRET = "a-secret-of-the-outbound-webhook";
const HEADER = "a-header-value-nobody-else-knows";
const SECRETS = [SECRET, OLD_SECRET, PASSWORD, HOOK_SECRET, HEADER];

interface Keys {
  readonly key?: string;
  readonly old?: string;
}

function envOf(place: Place, { key = "", old = "" }: Keys): { [name: string]: string } {
  return {
    CARILLON_DATA_DIR: place.dataDir,
    ...(place.url === null ? {} : { CARILLON_DATABASE_URL: place.url, CARILLON_DATABASE_POOL: "4" }),
    CARILLON_ENCRYPTION_KEY: key,
    CARILLON_OLD_ENCRYPTION_KEYS: old,
    CARILLON_SECRET_KEY: SECRET_KEY,
  };
}

/** Every text of the tables that people's settings are in. */
async function storedText(place: Place): Promise<string> {
  if (place.url !== null) {
    const client = new Client({ connectionString: place.url });
    await client.connect();
    try {
      const documents = await client.query("select * from documents");
      const environments = await client.query("select * from environments");
      return JSON.stringify([documents.rows, environments.rows]);
    } finally {
      await client.end();
    }
  }
  const database = await openDatabase(place);
  try {
    return await database.read(function* () {
      const documents = yield { kind: "text", sql: "select * from documents", params: [] };
      const environments = yield { kind: "text", sql: "select * from environments", params: [] };
      return JSON.stringify([documents.rows, environments.rows]);
    });
  } finally {
    await database.close();
  }
}

async function carillon(command: string, env: { [name: string]: string }) {
  const call = promisify(execFile)(process.execPath, [MAIN, command], { env: { PATH: process.env.PATH, ...env } });
  const { stdout, stderr, code } = await call.then(
    (printed) => ({ ...printed, code: 0 }),
    (error: { stdout: string; stderr: string; code: number }) => error,
  );
  return { stdout, stderr, code };
}

async function server(t: TestContext, env: { [name: string]: string }) {
  const app = await startServer(env);
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (isOpen) await app.close();
    isOpen = false;
  };
  t.after(close);
  return { ...app, close };
}

type Server = Awaited<ReturnType<typeof server>>;

async function admin(app: Server, method: string, path: string, body?: object) {
  const response = await fetch(app.url + path, {
    method,
    headers: { authorization: `Bearer ${SECRET_KEY}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as { [name: string]: unknown } };
}

async function configure(app: Server, url: string): Promise<AppEndpoint> {
  const { applications, endpoints } = app.engine.webhooks;
  const environmentId = app.environment.id;
  const { id } = await applications.create(environmentId, {
    uid: "acme",
    name: "Acme",
    throttleRate: null,
    metadata: {},
  });
  await app.sdk.providers.create({
    provider: "smtp",
    settings: { host: "127.0.0.1", port: 25, from: "a@x.example", username: "u", password: PASSWORD },
  });
  const hook = await admin(app, "POST", "/admin/outbound-webhooks", { url: "https://x.example", secret: HOOK_SECRET });
  assert.equal(hook.status, 201);
  return await endpoints.create(environmentId, id, {
    uid: "main",
    url,
    description: "",
    throttleRate: null,
    version: 1,
    disabled: false,
    eventTypes: null,
    channels: null,
    metadata: {},
    headers: { "X-Token": HEADER },
    secret: SECRET,
    oldSecrets: [{ secret: OLD_SECRET, until: Date.now() + 86_400_000 }],
    transformation: null,
    kind: "http",
  });
}

async function publish(app: Server, appId: AppId): Promise<void> {
  const published = await app.engine.webhooks.publish(app.environment.id, appId, {
    eventId: null,
    eventType: "a.b",
    channels: null,
    tags: null,
    payload: '{"a":1}',
    raw: null,
    parameters: null,
    deliverAt: null,
    keepMs: 86_400_000,
  });
  assert.equal(published.kind, "accepted");
}

for (const dialect of DIALECTS) {
  test(`${dialect}: secrets are sealed when a key is given, and again when it changes, and deliveries verify throughout`, async (t) => {
    const { place, remove } = await newPlace(dialect);
    t.after(remove);
    const hook = await httpReceiver();
    t.after(() => hook.close());
    const [first, second] = [randomBytes(32).toString("hex"), randomBytes(32).toString("base64")];
    let arrived = 0;
    const checkAll = async (app: Server, appId: AppId): Promise<void> => {
      await publish(app, appId);
      const request = (await hook.received(++arrived))[arrived - 1];
      const headers = request?.headers as { [name: string]: string };
      for (const secret of [SECRET, OLD_SECRET]) new Webhook(secret).verify('{"a":1}', headers);
      assert.equal(headers["x-token"], HEADER);
      const { results } = await app.sdk.providers.list();
      const smtp = results.find(({ provider }) => provider === "smtp");
      assert.deepEqual([smtp?.settings?.host, smtp?.settings?.password], ["127.0.0.1", "********"]);
      const token = await app.sdk.auth.issueToken({ scope: "user_id:u inbox:read:messages", expires_in: "1 hour" });
      assert.ok(token.token);
    };

    const plain = await server(t, envOf(place, {}));
    const { appId } = await configure(plain, hook.url);
    await checkAll(plain, appId);
    await plain.close();
    const before = await storedText(place);
    const signing = plain.environment.signingSecret;
    for (const secret of [...SECRETS, signing]) assert.ok(before.includes(secret), secret);

    const keyed = await server(t, envOf(place, { key: first }));
    assert.equal(keyed.environment.signingSecret, signing);
    await checkAll(keyed, appId);
    const sealed = await carillon("rotate-encryption-key", envOf(place, { key: first }));
    assert.equal(sealed.code, 0, sealed.stderr);
    await checkAll(keyed, appId);
    const generation = await keyed.store.documents.read(keyed.environment.id, ENDPOINTS_GENERATION, appId);
    assert.ok(generation);
    await keyed.close();
    const stored = await storedText(place);
    for (const secret of [...SECRETS, signing]) assert.ok(!stored.includes(secret), secret);

    const both = await server(t, envOf(place, { key: second, old: first }));
    await checkAll(both, appId);
    const rotated = await carillon("rotate-encryption-key", envOf(place, { key: second, old: first }));
    assert.equal(rotated.code, 0, rotated.stderr);
    // The headers of the try that was just made.
    assert.match(rotated.stdout, /^[1-9]\d* values sealed with the key [0-9a-f]{8}, 1 were already; /);
    await checkAll(both, appId);
    await both.close();

    for (const command of ["serve", "keys", "rotate-encryption-key"]) {
      const { code, stderr } = await carillon(command, envOf(place, { key: first }));
      assert.equal(code, 1, command);
      assert.match(
        stderr,
        /^carillon: the database holds secrets sealed with the encryption key [0-9a-f]{8}, which .*\n$/,
      );
    }
    const last = await server(t, envOf(place, { key: second }));
    await checkAll(last, appId);
    assert.match(
      (await carillon("keys", envOf(place, { key: second }))).stdout,
      new RegExp(`secret key +${SECRET_KEY}`),
    );
  });
}
