/** Secrets at rest: sealed on their way into the database, and sealed anew by the command, on both databases. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type TestContext, test } from "node:test";
import { rotateEncryptionKey } from "../../src/cli/rotate-encryption-key.ts";
import { type Config, readConfig } from "../../src/config.ts";
import { OUTBOUND_WEBHOOK } from "../../src/engine/endpoints.ts";
import { ENCRYPTION_KEY, sealedStore } from "../../src/engine/sealed-store.ts";
import { PROVIDER } from "../../src/engine/templates.ts";
import { USERS } from "../../src/engine/workflow/model.ts";
import { createEnvironment, FIRST_ENVIRONMENT_ID, openFirstEnvironment } from "../../src/http/environments.ts";
import { FakeClock } from "../../src/lib/clock.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import { keyIdOf, MARK, openVault } from "../../src/lib/vault.ts";
import { openDatabase, storeOn } from "../../src/storage/store.ts";
import { DIALECTS, newPlace, type Place } from "../conformance/databases.ts";

const OLD = randomBytes(32);
const NEW = randomBytes(32);
const LOST = randomBytes(32);
const clock = new FakeClock();

const PROVIDER_BODY = {
  provider: "smtp",
  title: "Mail",
  alias: null,
  settings: {
    host: "mail.example.com",
    port: 25,
    username: "u",
    password: "pass-word-1",
    nested: { list: ["pass-word-2"] },
  },
  standIn: false,
  position: 9,
};
const WEBHOOK_BODY = { url: "https://x.example/hook", secret: "hook-secret", events: [] };

interface Keys {
  readonly key?: Buffer;
  readonly old?: readonly Buffer[];
}

function configOf(place: Place, { key, old = [] }: Keys): Config {
  return readConfig({
    CARILLON_DATA_DIR: place.dataDir,
    ...(place.url === null ? {} : { CARILLON_DATABASE_URL: place.url }),
    ...(key === undefined ? {} : { CARILLON_ENCRYPTION_KEY: key.toString("hex") }),
    CARILLON_OLD_ENCRYPTION_KEYS: old.map((one) => one.toString("base64")).join(","),
  });
}

async function opened(t: TestContext, place: Place, keys: Keys) {
  const database = await openDatabase(place);
  t.after(() => database.close());
  const raw = storeOn(database);
  const vault = openVault({ encryptionKey: keys.key ?? null, oldEncryptionKeys: keys.old ?? [] });
  const store = await sealedStore(raw, vault, FIRST_ENVIRONMENT_ID, clock);
  await openFirstEnvironment({
    ...store,
    clock,
    dataDir: null,
    fixed: { secretKey: "a secret key", publicKey: null, appCode: null, feedId: null },
  });
  const write = (kind: string, id: string, body: JsonObject, on = store, environmentId = FIRST_ENVIRONMENT_ID) =>
    on.documents.write(environmentId, [{ kind, id, body, expect: "any" }], clock.now());
  const read = async (kind: string, id: string, on = store) =>
    (await on.documents.read(FIRST_ENVIRONMENT_ID, kind, id))?.body;
  return { store, raw, vault, write, read };
}

function user(id: string) {
  return { collection: USERS, id };
}

async function rotate(place: Place, keys: Keys) {
  const lines: string[] = [];
  const progress: string[] = [];
  const code = await rotateEncryptionKey(configOf(place, keys), {
    out: (line) => lines.push(line),
    progress: (line) => progress.push(line),
  });
  return { code, said: lines.join("\n"), progress: progress.join("\n") };
}

for (const dialect of DIALECTS) {
  const placed = async (t: TestContext): Promise<Place> => {
    const { place, remove } = await newPlace(dialect);
    t.after(remove);
    return place;
  };

  test(`${dialect}: with a key nothing secret is readable in the database, and everything through the store`, async (t) => {
    const { store, raw, write, read } = await opened(t, await placed(t), { key: OLD });
    await write(PROVIDER, "p1", PROVIDER_BODY);
    await write(OUTBOUND_WEBHOOK, "o1", WEBHOOK_BODY);
    await write("template", "t1", { text: "not a secret" });
    const stored = JSON.stringify([
      await read(PROVIDER, "p1", raw),
      await read(OUTBOUND_WEBHOOK, "o1", raw),
      await raw.environments.environments(),
    ]);
    const [environment] = await store.environments.environments();
    for (const secret of ["pass-word", "hook-secret", "mail.example.com", environment?.signingSecret as string]) {
      assert.ok(!stored.includes(secret), secret);
    }
    assert.deepEqual(await read(PROVIDER, "p1"), PROVIDER_BODY);
    const keys = [
      { kind: OUTBOUND_WEBHOOK, id: "o1" },
      { kind: "template", id: "t1" },
    ];
    const many = await store.documents.readMany(FIRST_ENVIRONMENT_ID, keys);
    assert.deepEqual(
      many.map((document) => document?.body),
      [WEBHOOK_BODY, { text: "not a secret" }],
    );
    const listed = await store.documents.list(FIRST_ENVIRONMENT_ID, OUTBOUND_WEBHOOK, { limit: 10 });
    assert.deepEqual(listed.items[0]?.body, WEBHOOK_BODY);
    assert.deepEqual(await read("template", "t1", raw), { text: "not a secret" });
    await write(OUTBOUND_WEBHOOK, "o2", { ...WEBHOOK_BODY, secret: null });
    assert.deepEqual(await read(OUTBOUND_WEBHOOK, "o2"), { ...WEBHOOK_BODY, secret: null });
  });

  test(`${dialect}: what was written before there was a key stays usable, and the command seals it`, async (t) => {
    const place = await placed(t);
    const before = await opened(t, place, {});
    await before.write(PROVIDER, "p1", PROVIDER_BODY);
    await before.write(OUTBOUND_WEBHOOK, "o1", { ...WEBHOOK_BODY, secret: `${MARK}1:looks sealed` });
    await before.write("endpoint:app_1", "ep_1", {
      secret: "whsec_a",
      headers: { "X-Key": "k" },
      url: "https://x.example",
    });
    const [first] = await before.store.environments.environments();

    const after = await opened(t, place, { key: NEW });
    assert.deepEqual(await after.read(PROVIDER, "p1"), PROVIDER_BODY);
    assert.equal((await after.store.environments.environments())[0]?.signingSecret, first?.signingSecret);

    const { code, said } = await rotate(place, { key: NEW });
    assert.equal(code, 0);
    // Five texts of the provider, one of the webhook, two of the endpoint, the signing secret.
    assert.match(said, new RegExp(`^8 values sealed with the key ${after.vault.keyId}, `));
    assert.ok(!JSON.stringify(await after.read(PROVIDER, "p1", after.raw)).includes("pass-word"));
    assert.deepEqual(await after.read(PROVIDER, "p1"), PROVIDER_BODY);
    assert.equal((await after.read(OUTBOUND_WEBHOOK, "o1"))?.secret, `${MARK}1:looks sealed`);
    const endpoint = (await after.read("endpoint:app_1", "ep_1")) as {
      secret: string;
      headers: { "X-Key": string };
      url: string;
    };
    assert.equal(after.vault.open(endpoint.secret), "whsec_a");
    assert.equal(after.vault.open(endpoint.headers["X-Key"]), "k");
    assert.equal(endpoint.url, "https://x.example");
    assert.equal((await after.store.environments.environments())[0]?.signingSecret, first?.signingSecret);
  });

  test(`${dialect}: the command seals everything under the new key, everywhere, and once`, async (t) => {
    const place = await placed(t);
    const before = await opened(t, place, { key: OLD });
    await before.write(PROVIDER, "p1", PROVIDER_BODY);
    const sealed = before.vault.seal("deep");
    const deep = { a: [{ b: { c: sealed } }], free: `${MARK}1:12345678:AAAA`, plain: `${MARK}0:plain` };
    await before.write("of-a-later-version", "d1", deep);
    const other = await createEnvironment(
      before.store.environments,
      before.store.documents,
      clock,
      "Other",
      "published",
    );
    await before.write(OUTBOUND_WEBHOOK, "o1", WEBHOOK_BODY, before.store, other.environment.id);
    for (let i = 0; i < 250; i++)
      await before.write("endpoint:app_1", `ep_${i}`, { secret: before.vault.seal(`whsec_${i}`) });
    const version = (await before.raw.documents.read(FIRST_ENVIRONMENT_ID, "endpoint:app_1", "ep_7")) as {
      updatedAt: number;
    };
    clock.advance(5_000);

    const { code, said } = await rotate(place, { key: NEW, old: [OLD] });
    assert.equal(code, 0, said);
    assert.match(said, /2 texts only looked sealed/);
    const after = await opened(t, place, { key: NEW });
    assert.deepEqual(await after.read(PROVIDER, "p1"), PROVIDER_BODY);
    const found = (await after.read("of-a-later-version", "d1")) as typeof deep;
    assert.equal(after.vault.open(found.a[0]?.b.c as string), "deep");
    assert.equal(found.free, deep.free);
    assert.equal(found.plain, deep.plain);
    assert.ok((await after.store.environments.environments()).some((e) => e.id === other.environment.id));
    for (let i = 0; i < 250; i += 49) {
      const stored = (await after.raw.documents.read(FIRST_ENVIRONMENT_ID, "endpoint:app_1", `ep_${i}`))?.body.secret;
      assert.equal(keyIdOf(stored as string), after.vault.keyId);
      assert.equal(after.vault.open(stored as string), `whsec_${i}`);
    }
    const again = await after.raw.documents.read(FIRST_ENVIRONMENT_ID, "endpoint:app_1", "ep_7");
    assert.equal(again?.updatedAt, version.updatedAt);

    const second = await rotate(place, { key: NEW });
    assert.match(second.said, /^0 values sealed/);
    const keys = await after.raw.documents.list(FIRST_ENVIRONMENT_ID, ENCRYPTION_KEY, { limit: 10 });
    assert.deepEqual(
      keys.items.map(({ id }) => id),
      [after.vault.keyId],
    );
  });

  test(`${dialect}: a server that changes documents meanwhile loses nothing`, async (t) => {
    const place = await placed(t);
    const server = await opened(t, place, { key: NEW, old: [OLD] });
    const old = openVault({ encryptionKey: OLD, oldEncryptionKeys: [] });
    const ids = Array.from({ length: 40 }, (_, i) => `o${i}`);
    for (const id of ids) {
      await server.write(OUTBOUND_WEBHOOK, id, { ...WEBHOOK_BODY, secret: old.seal("first") }, server.raw);
    }
    const changing = (async () => {
      for (const id of ids) await server.write(OUTBOUND_WEBHOOK, id, { ...WEBHOOK_BODY, secret: `second ${id}` });
    })();
    const [{ code }] = await Promise.all([rotate(place, { key: NEW, old: [OLD] }), changing]);
    assert.equal(code, 0);
    for (const id of ids) {
      assert.equal((await server.read(OUTBOUND_WEBHOOK, id))?.secret, `second ${id}`);
      const stored = (await server.read(OUTBOUND_WEBHOOK, id, server.raw))?.secret as string;
      assert.equal(keyIdOf(stored), server.vault.keyId);
    }
  });

  test(`${dialect}: channel data that changes meanwhile is kept, and what no key opens is named`, async (t) => {
    const place = await placed(t);
    const server = await opened(t, place, { key: NEW, old: [OLD] });
    const under = async (key: Buffer) => {
      const vault = openVault({ encryptionKey: key, oldEncryptionKeys: [OLD, NEW] });
      return { vault, store: await sealedStore(server.raw, vault, FIRST_ENVIRONMENT_ID, clock) };
    };
    const [{ store: before }, lost] = [await under(OLD), await under(LOST)];
    const put = (on: typeof before, id: string, token: string) =>
      on.parties.modifyDocument(FIRST_ENVIRONMENT_ID, user(id), "channel", "chat", clock.now(), (old) => ({
        ...old,
        [token]: "there",
        connections: [{ access_token: token }],
      }));
    const ids = Array.from({ length: 120 }, (_, i) => `u${i}`);
    for (const id of ids) await put(before, id, "first");
    await put(lost.store, "lost", "gone");
    // As if nobody had noted that key.
    const forget = { kind: ENCRYPTION_KEY, id: lost.vault.keyId as string, body: null, expect: "any" as const };
    await server.raw.documents.write(FIRST_ENVIRONMENT_ID, [forget], clock.now());
    const changing = (async () => {
      for (const id of ids) await put(server.store, id, "second");
    })();
    const [{ code, progress }] = await Promise.all([rotate(place, { key: NEW, old: [OLD] }), changing]);
    assert.equal(code, 1);
    assert.match(progress, /party_documents env_\S+ \$users\/lost channel chat: a text is sealed with the key/);
    for (const id of ids) {
      const read = (on: typeof before) => on.parties.document(FIRST_ENVIRONMENT_ID, user(id), "channel", "chat");
      assert.deepEqual((await read(server.store))?.body, {
        first: "there",
        second: "there",
        connections: [{ access_token: "second" }],
      });
      const [text] = Object.values((await read(server.raw))?.body ?? {});
      assert.equal(keyIdOf(text as string), server.vault.keyId);
    }
  });

  test(`${dialect}: without a key that is in use nothing starts, in one line that names it`, async (t) => {
    const place = await placed(t);
    const { vault } = await opened(t, place, { key: OLD });
    const names = new RegExp(`encryption key ${vault.keyId}, which is not configured[^\\n]*$`);
    await assert.rejects(opened(t, place, {}), names);
    await assert.rejects(opened(t, place, { key: NEW }), names);
    await assert.rejects(rotate(place, { key: NEW }), names);
    await assert.rejects(rotate(place, { old: [OLD] }), /CARILLON_ENCRYPTION_KEY is not set/);
    await opened(t, place, { key: NEW, old: [OLD] });
    // Both are in use from now on, until the command says otherwise.
    await assert.rejects(opened(t, place, { key: OLD }), /which is not configured/);
    await assert.rejects(opened(t, place, { key: NEW }), names);
  });

  test(`${dialect}: what no key opens is left, told, and keeps its key on the list`, async (t) => {
    const place = await placed(t);
    const server = await opened(t, place, { key: OLD });
    const lost = openVault({ encryptionKey: LOST, oldEncryptionKeys: [] });
    const secret = lost.seal("gone");
    await server.write(OUTBOUND_WEBHOOK, "o1", { ...WEBHOOK_BODY, secret }, server.raw);
    await server.write(OUTBOUND_WEBHOOK, "o2", WEBHOOK_BODY);
    const { code, said, progress } = await rotate(place, { key: NEW, old: [OLD] });
    assert.equal(code, 1);
    assert.match(said, /^not done, as told above: 1 document or row$/m);
    assert.ok(progress.includes(`${OUTBOUND_WEBHOOK} o1`) && progress.includes(lost.keyId as string), progress);
    assert.equal((await server.read(OUTBOUND_WEBHOOK, "o1", server.raw))?.secret, secret);
    const { items } = await server.raw.documents.list(FIRST_ENVIRONMENT_ID, ENCRYPTION_KEY, { limit: 10 });
    assert.equal(items.length, 2);
  });
}
