/** Keys at rest: scenario 13. Rotating the encryption key itself is test/journeys/secrets-at-rest.test.ts's. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Client } from "pg";
import type { Dialect } from "../../../../src/storage/database.ts";
import { DIALECTS, newPlace, type Place } from "../../../conformance/databases.ts";
import { httpReceiver, type ReceivedRequest } from "../../../support/http-receiver.ts";
import { type SvixTarget, startSvixTarget } from "../svix-target.ts";
import { assertVerifies, laterClock } from "./scenario.ts";

const MAIN_SECRET = randomBytes(32).toString("hex");
const GIVEN = `whsec_${randomBytes(32).toString("base64")}`;
const PAIR = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA==";
const PUBLIC = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
const HEADER = "a-header-that-nobody-may-read";

/** Servers that come one after the other on one database. All is closed and dropped after the test. */
async function places(t: TestContext, dialect: Dialect) {
  const { place, remove } = await newPlace(dialect);
  const clock = laterClock();
  const open: SvixTarget[] = [];
  const close = async (): Promise<void> => {
    for (const target of open.splice(0)) await target.close();
  };
  t.after(async () => {
    await close();
    await remove();
  });
  return {
    place,
    clock,
    /** Ends the one that is there. */
    close,
    /** @param key the main secret; empty: none. */
    async open(key: string): Promise<SvixTarget> {
      await close();
      const env = {
        CARILLON_DATA_DIR: place.dataDir,
        CARILLON_ENCRYPTION_KEY: key,
        ...(place.url === null ? {} : { CARILLON_DATABASE_URL: place.url, CARILLON_DATABASE_POOL: "4" }),
      };
      const target = await startSvixTarget({ clock, env });
      open.push(target);
      return target;
    },
  };
}

const keyOf = async ({ svix }: SvixTarget, uid: string): Promise<string> =>
  (await svix.endpoint.getSecret("acme", uid)).key;

/** Sends a message and waits until every endpoint was tried. */
async function send({ svix, app }: SvixTarget): Promise<void> {
  await svix.message.create("acme", { eventType: "a.b", payload: { a: 1 } });
  await app.engine.dispatcher.idle();
}

/** Everything that the database holds, as bytes: its files, or the text of every row of every table. */
async function everything({ url, dataDir }: Place): Promise<Buffer> {
  if (url === null) {
    const files = await readdir(dataDir, { recursive: true, withFileTypes: true });
    const parts = files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name)));
    return Buffer.concat(await Promise.all(parts));
  }
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const tables = await client.query("select tablename from pg_tables where schemaname = current_schema()");
    assert.ok(tables.rows.length > 10);
    const parts: string[] = [];
    for (const { tablename } of tables.rows) {
      const { rows } = await client.query(`select to_jsonb(x)::text as row from ${tablename} x`);
      parts.push(...rows.map(({ row }) => row.replaceAll('\\"', '"')));
    }
    return Buffer.from(parts.join("\n"));
  } finally {
    await client.end();
  }
}

/** In which spellings of the key, if any, it can be read there. */
function readable(key: string, all: Buffer): string[] {
  const encoded = key.slice(key.indexOf("_") + 1);
  const bytes = Buffer.from(encoded, "base64");
  const spellings: { [spelling: string]: string | Buffer } = {
    text: key,
    base64: encoded,
    "base64, escaped": encoded.replaceAll("/", "\\/"),
    base64url: bytes.toString("base64url"),
    hex: bytes.toString("hex"),
    bytes,
    "private half": bytes.subarray(0, 24),
  };
  return Object.keys(spellings).filter((spelling) => all.includes(spellings[spelling] as Buffer));
}

for (const dialect of DIALECTS) {
  test(`${dialect}: 13. Encryption at rest: no key can be read in the database, and signatures verify`, async (t) => {
    const { place, clock, open, close } = await places(t, dialect);
    const receiver = await httpReceiver();
    t.after(() => receiver.close());
    const url = (name: string): string => `${receiver.url}/${name}`;
    const first = await open(MAIN_SECRET);
    const { svix } = first;
    await svix.application.create({ name: "Acme", uid: "acme" });
    await svix.endpoint.create("acme", { uid: "made", url: url("made") }, { idempotencyKey: "kept" });
    await svix.endpoint.create("acme", { uid: "given", url: url("given"), secret: GIVEN });
    await svix.endpoint.create("acme", { uid: "pair", url: url("pair"), secret: PAIR });
    await svix.endpoint.updateHeaders("acme", "made", { headers: { Authorization: HEADER, "X-Own": HEADER } });
    const keys = [GIVEN, PAIR, await keyOf(first, "made")];
    for (const uid of ["made", "given"]) {
      await svix.endpoint.rotateSecret("acme", uid, {});
      keys.push(await keyOf(first, uid));
    }
    const own = await svix.operationalWebhook.endpoint.create({ url: url("own"), secret: GIVEN });
    await svix.operationalWebhook.endpoint.rotateSecret(own.id, {});
    keys.push((await svix.operationalWebhook.endpoint.getSecret(own.id)).key);
    assert.equal(new Set(keys).size, 6);

    const check = async (target: SvixTarget): Promise<void> => {
      const from = receiver.requests.length;
      // The environment's own endpoint is told of the change.
      await target.svix.endpoint.patch("acme", "pair", { description: `${from}` });
      await send(target);
      const got = new Map(receiver.requests.slice(from).map((request) => [request.url.slice(1), request]));
      const request = (name: string): ReceivedRequest => got.get(name) as ReceivedRequest;
      for (const uid of ["made", "given"]) {
        assertVerifies(await keyOf(target, uid), request(uid), clock.now());
        assert.equal(String(request(uid).headers["svix-signature"]).split(" ").length, 2);
      }
      assertVerifies(GIVEN, request("given"), clock.now());
      assert.equal(request("made").headers.authorization, HEADER);
      assert.match(String(request("pair").headers["svix-signature"]), /^v1a,\S+$/);
      assert.equal(await keyOf(target, "pair"), PUBLIC);
      for (const key of [GIVEN, keys[5] as string]) assertVerifies(key, request("own"), clock.now());
    };
    await check(first);
    const exported = await first.call("POST", "/environment/export");
    for (const key of keys) assert.ok(!exported.text.includes(key));
    await close();

    const all = await everything(place);
    assert.ok(all.includes("acme") && all.includes("carillon-sealed:1:"));
    for (const key of keys) assert.deepEqual(readable(key, all), [], key);

    // Without its main secret the database is of no use; with it everything goes on.
    await assert.rejects(open(""), /encryption key/);
    await assert.rejects(open("00".repeat(32)), /encryption key/);
    await check(await open(MAIN_SECRET));
  });

  test(`${dialect}: 13. Encryption at rest: rows written before stay usable, and are sealed when they change`, async (t) => {
    const { place, clock, open, close } = await places(t, dialect);
    const receiver = await httpReceiver();
    t.after(() => receiver.close());
    const plain = await open("");
    await plain.svix.application.create({ name: "Acme", uid: "acme" });
    const { id } = await plain.svix.endpoint.create("acme", { uid: "old", url: receiver.url, secret: GIVEN });
    await plain.svix.endpoint.create("acme", { uid: "pair", url: receiver.url, secret: PAIR, disabled: true });
    // Under way while the main secret comes: it failed once before.
    receiver.answer({ status: 500 }, { status: 200 });
    await send(plain);
    await close();
    const before = await everything(place);
    for (const key of [GIVEN, PAIR]) assert.notDeepEqual(readable(key, before), []);

    const sealed = await open(MAIN_SECRET);
    clock.advance(7_000);
    await sealed.app.engine.dispatcher.idle();
    const [, retried] = await receiver.received(2);
    assertVerifies(GIVEN, retried as ReceivedRequest, clock.now());
    for (const key of ["old", id]) assert.equal(await keyOf(sealed, key), GIVEN);
    assert.equal(await keyOf(sealed, "pair"), PUBLIC);
    await sealed.svix.endpoint.rotateSecret("acme", "old", {});
    const fresh = await keyOf(sealed, "old");
    await send(sealed);
    const [, , both] = await receiver.received(3);
    for (const secret of [fresh, GIVEN]) assertVerifies(secret, both as ReceivedRequest, clock.now());
    await sealed.svix.endpoint.patch("acme", "pair", { description: "changed" });
    await close();
    // A file keeps what was overwritten in it until it is vacuumed; rows do not.
    const after = dialect === "postgres" ? await everything(place) : Buffer.alloc(0);
    for (const secret of [GIVEN, PAIR, fresh]) assert.deepEqual(readable(secret, after), [], secret);
  });
}
