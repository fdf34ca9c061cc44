/** Sends of one turn share their reads and their commit; what the database refuses of one must not be the others' loss. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, test } from "node:test";
import type { startApp } from "../../src/app.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { SendSpec } from "../../src/engine/model.ts";
import { Refusal } from "../../src/engine/refusal.ts";
import { startServer } from "../support/server.ts";
import { forEachDatabase, newPlace } from "./databases.ts";

const SENDS = 50;
const POISONED = 17;

function newKey(): string {
  return randomBytes(6).toString("hex");
}

type App = Awaited<ReturnType<typeof startApp>>;

/** More than fits an index row of Postgres, and not to be compressed into one. */
const OVERLONG = randomBytes(4500).toString("base64url");

forEachDatabase((name) => {
  let started: Promise<{ app: App; close: () => Promise<void> }> | undefined;

  async function theServer(): Promise<App> {
    started ??= start();
    return (await started).app;
  }

  async function start(): Promise<{ app: App; close: () => Promise<void> }> {
    const { place, remove } = await newPlace(name);
    const app = await startServer({
      CARILLON_DATA_DIR: place.dataDir,
      ...(place.url === null ? {} : { CARILLON_DATABASE_URL: place.url }),
    });
    return { app, close: () => app.close().then(remove) };
  }

  after(async () => (await started)?.close());

  function specTo(userId: string, over: Partial<SendSpec> = {}): SendSpec {
    return {
      recipients: [{ kind: "user", userId, profile: {} }],
      content: { kind: "inline", language: "elemental", source: { version: "2022-01-01", elements: [] } },
      routing: { method: "single", channels: ["inbox"] },
      data: {},
      mode: "published",
      via: "courier",
      ...over,
    };
  }

  type Sent = PromiseSettledResult<Awaited<ReturnType<Engine["send"]>>>;

  /** All of them in one turn, each with an idempotency key of its own. */
  function sendAtOnce({ engine, environment }: App, specs: readonly SendSpec[], key = newKey()): Promise<Sent[]> {
    const expiresAt = engine.clock.now() + 60_000;
    return Promise.allSettled(
      specs.map((spec, i) =>
        engine.send(environment.id, spec, { scope: "send", key: `${key}-${i}`, expiresAt }, (id) => ({
          status: 202,
          body: id,
        })),
      ),
    );
  }

  function refusalOf(sent: Sent | undefined): Refusal {
    assert.ok(sent?.status === "rejected" && sent.reason instanceof Refusal, `refused, not ${JSON.stringify(sent)}`);
    return sent.reason;
  }

  /** One of many is poisoned: everyone else's message is there, once, and the poisoned one is refused as it should be. */
  async function poisonedAlone(group: string, poison: SendSpec, code: Refusal["code"] | null): Promise<void> {
    const app = await theServer();
    const users = Array.from({ length: SENDS }, (_, i) => `${group}-${i}`);
    const sent = await sendAtOnce(
      app,
      users.map((user, i) => (i === POISONED ? poison : specTo(user))),
    );
    if (code === null) assert.equal(sent[POISONED]?.status, "fulfilled");
    else assert.equal(refusalOf(sent[POISONED]).code, code);
    for (const [i, userId] of users.entries()) {
      if (i === POISONED) continue;
      assert.equal(sent[i]?.status, "fulfilled");
      assert.equal(await app.engine.inbox.count(app.environment.id, { userId }, app.engine.clock.now()), 1, userId);
    }
  }

  test(`${name}: a send to a user id that cannot be looked up fails alone`, () =>
    poisonedAlone("lookup", specTo("nul\0"), "invalid"));

  test(`${name}: a send with a text that cannot be stored fails alone`, () =>
    // SQLite stores NUL characters like any other.
    poisonedAlone("nul", specTo("nul", { traceId: "a\0b" }), name === "postgres" ? "invalid" : null));

  test(`${name}: a send to a user id too long for an index fails alone`, () =>
    // SQLite's indexes take keys of any length.
    poisonedAlone("long", specTo(OVERLONG), name === "postgres" ? "too_large" : null));

  test(`${name}: of a batch with several bad ones each good one is accepted, and its key kept`, async () => {
    const app = await theServer();
    const isBad = (i: number): boolean => i % 7 === 3 || i === SENDS - 1;
    const specs = Array.from({ length: SENDS }, (_, i) => specTo(isBad(i) ? `bad\0${i}` : `several-${i}`));
    const key = newKey();
    const first = await sendAtOnce(app, specs, key);
    const again = await sendAtOnce(app, specs, key);
    for (const [i, sent] of first.entries()) {
      if (isBad(i)) {
        assert.equal(refusalOf(sent).code, "invalid");
        continue;
      }
      assert.equal(sent.status, "fulfilled");
      assert.deepEqual(again[i], sent, "the second call gets the first one's answer");
    }
  });

  test(`${name}: a key of a send that was refused can be used by the next of the same turn`, async () => {
    const app = await theServer();
    const idempotency = { scope: "send", key: newKey(), expiresAt: app.engine.clock.now() + 60_000 };
    const send = (spec: SendSpec) =>
      app.engine.send(app.environment.id, spec, idempotency, (id) => ({ status: 202, body: id }));
    const [bad, good, repeated] = await Promise.allSettled([
      send(specTo("bad\0")),
      send(specTo("good")),
      send(specTo("good")),
    ]);
    assert.equal(refusalOf(bad).code, "invalid");
    assert.equal(good?.status, "fulfilled");
    assert.deepEqual(repeated, good);
    assert.equal(await app.engine.inbox.count(app.environment.id, { userId: "good" }, app.engine.clock.now()), 1);
  });

  test(`${name}: while the database is away everyone of the turn is told so`, async () => {
    const { app, close } = await start();
    await app.store.close();
    const sent = await sendAtOnce(
      app,
      Array.from({ length: SENDS }, (_, i) => specTo(`away-${i}`)),
    );
    assert.deepEqual(new Set(sent.map((one) => refusalOf(one).code)), new Set(["unavailable"]));
    await close();
  });
});
