import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { ApiKey, Document, Environment, EnvironmentId } from "../engine/model.ts";
import type { DocumentStore, EnvironmentStore } from "../engine/ports.ts";
import { PROVIDER } from "../engine/templates.ts";
import { FakeClock } from "../lib/clock.ts";
import { Credentials } from "./credentials.ts";
import {
  createEnvironment,
  FIRST_ENVIRONMENT_ID,
  type FixedCredentials,
  openFirstEnvironment,
} from "./environments.ts";
import { signUserToken } from "./user-token.ts";

const NOTHING_FIXED: FixedCredentials = { secretKey: null, publicKey: null, appCode: null, feedId: null };
const clock = new FakeClock();
let dataDir: string;
before(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "carillon-credentials-"));
});
after(() => rm(dataDir, { recursive: true }));

/** Both ports as far as this needs them, in memory: `http` may not know the storage. */
function stores(): { environments: EnvironmentStore; documents: DocumentStore } {
  const all = new Map<string, Environment>();
  const keys: ApiKey[] = [];
  const documents = new Map<string, Document>();
  const at = (environmentId: EnvironmentId, kind: string, id: string): string => `${environmentId} ${kind} ${id}`;
  return {
    environments: {
      environments: async () => [...all.values()],
      create: async (environment, first) => {
        if (all.has(environment.id)) throw new Error("taken");
        all.set(environment.id, environment);
        keys.push(...first);
      },
      update: async (environment) => void all.set(environment.id, environment),
      keys: async (id) => keys.filter((key) => key.environmentId === id),
      findKey: async (hash) => keys.find((key) => key.hash === hash) ?? null,
      addKey: async (key) => {
        const place = keys.findIndex(({ hash }) => hash === key.hash);
        if (place < 0) keys.push(key);
        else if (keys[place]?.revokedAt === null) throw new Error("taken");
        else keys[place] = { ...(keys[place] as ApiKey), revokedAt: null };
      },
      revokeKey: async (_environmentId, id, revokedAt) => {
        const place = keys.findIndex((key) => key.id === id);
        if (place >= 0) keys[place] = { ...(keys[place] as ApiKey), revokedAt };
        return place >= 0;
      },
    },
    documents: {
      read: async (environmentId, kind, id) => documents.get(at(environmentId, kind, id)) ?? null,
      readMany: async () => [],
      list: async (environmentId, kind) => ({
        items: [...documents].filter(([key]) => key.startsWith(at(environmentId, kind, ""))).map(([, d]) => d),
        next: null,
      }),
      write: async (environmentId, writes, now) => {
        for (const { kind, id, body, expect } of writes) {
          const key = at(environmentId, kind, id);
          if (expect === "absent" && documents.has(key)) return null;
          const version = (documents.get(key)?.version ?? 0) + 1;
          documents.set(key, { kind, id, body: body ?? {}, version, createdAt: now, updatedAt: now });
        }
        return writes.map(() => 1);
      },
    },
  };
}

test("the first start makes keys, keeps them for their owner's eyes, and later starts find them again", async () => {
  const ports = { ...stores(), clock, dataDir };
  const first = await openFirstEnvironment({ ...ports, fixed: NOTHING_FIXED });
  assert.match(first.credentials.secretKey ?? "", /^pk_prod_[0-9A-Z]{32}$/);
  assert.match(first.credentials.appCode, /^[0-9A-Z]{5}-[0-9A-Z]{5}$/);
  assert.match(first.credentials.feedId, /^[0-9a-f-]{36}$/);
  // The browser SDK decodes it.
  assert.ok(atob(first.credentials.publicKey).length > 0);
  const path = join(dataDir, "credentials.json");
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.equal(JSON.parse(await readFile(path, "utf8")).secretKey, first.credentials.secretKey);
  const second = await openFirstEnvironment({ ...ports, fixed: NOTHING_FIXED });
  assert.deepEqual(second, first);
});

test("a start that died before the database had the keys is taken up by the next", async () => {
  const kept = { secretKey: "pk_prod_KEPT", publicKey: "cHVi", appCode: "AAAAA-BBBBB", feedId: "feed" };
  await writeFile(join(dataDir, "credentials.json"), JSON.stringify(kept));
  const { credentials } = await openFirstEnvironment({ ...stores(), clock, dataDir, fixed: NOTHING_FIXED });
  assert.deepEqual(credentials, kept);
});

test("fixed values replace what was there; the earlier fixed key ends, keys made otherwise stay", async () => {
  const ports = { ...stores(), clock, dataDir: null };
  const start = (secretKey: string) =>
    openFirstEnvironment({ ...ports, fixed: { ...NOTHING_FIXED, secretKey, publicKey: "cHVi" } });
  await start("key-a");
  const credentials = new Credentials(ports.environments, clock);
  await credentials.refresh();
  const { text } = await credentials.createKey(FIRST_ENVIRONMENT_ID, "draft");
  await start("key-b");
  const later = new Credentials(ports.environments, clock);
  await later.refresh();
  assert.equal(await later.findPrincipal("key-a"), null);
  assert.equal((await later.findPrincipal("key-b"))?.kind, "secret");
  const made = await later.findPrincipal(text);
  assert.equal(made?.kind === "secret" && made.mode, "draft");
  assert.equal((await later.findPrincipal("cHVi"))?.kind, "public");
});

test("going back to a key that was fixed before makes it valid again, and the one in between invalid", async () => {
  const ports = { ...stores(), clock, dataDir: null };
  const start = (secretKey: string) => openFirstEnvironment({ ...ports, fixed: { ...NOTHING_FIXED, secretKey } });
  const valid = async (): Promise<string[]> => {
    const fresh = new Credentials(ports.environments, clock);
    await fresh.refresh();
    const found = await Promise.all(["key-a", "key-b"].map(async (key) => [key, await fresh.findPrincipal(key)]));
    return found.flatMap(([key, principal]) => (principal === null ? [] : [key as string]));
  };
  for (const key of ["key-a", "key-b", "key-a", "key-b", "key-b", "key-a"]) {
    await start(key);
    assert.deepEqual(await valid(), [key]);
  }
});

test("of starts at once on one data directory, all know the one key there is", async () => {
  const ports = { ...stores(), clock, dataDir: await mkdtemp(join(dataDir, "shared-")) };
  const starts = await Promise.all(
    Array.from({ length: 4 }, () => openFirstEnvironment({ ...ports, fixed: NOTHING_FIXED })),
  );
  const key = starts[0]?.credentials.secretKey;
  assert.match(key ?? "", /^pk_prod_/);
  for (const { credentials } of starts) assert.equal(credentials.secretKey, key);
  assert.equal(JSON.parse(await readFile(join(ports.dataDir, "credentials.json"), "utf8")).secretKey, key);
  assert.deepEqual(await readdir(ports.dataDir), ["credentials.json"]);
});

test("a file of credentials that is not JSON is named", async () => {
  const broken = await mkdtemp(join(dataDir, "broken-"));
  await writeFile(join(broken, "credentials.json"), "{");
  await assert.rejects(
    openFirstEnvironment({ ...stores(), clock, dataDir: broken, fixed: NOTHING_FIXED }),
    /broken-.*credentials\.json does not hold a JSON object/,
  );
});

test("an environment begins with its providers, once in its life", async () => {
  const ports = { ...stores(), clock, dataDir: null };
  for (let i = 0; i < 2; i++) await openFirstEnvironment({ ...ports, fixed: { ...NOTHING_FIXED, secretKey: "k" } });
  const { items } = await ports.documents.list(FIRST_ENVIRONMENT_ID, PROVIDER, { limit: 100 });
  const names = items.map(({ body }) => `${body.provider}${body.standIn === true ? " (stand-in)" : ""}`);
  assert.deepEqual(names, [
    "courier",
    "webhook",
    "capture-email (stand-in)",
    "capture-sms (stand-in)",
    "capture-push (stand-in)",
    "capture-chat (stand-in)",
  ]);
});

test("two processes that start on an empty database at once make one environment", async () => {
  const ports = { ...stores(), clock, dataDir: null };
  const both = await Promise.all([1, 2].map(() => openFirstEnvironment({ ...ports, fixed: NOTHING_FIXED })));
  assert.equal((await ports.environments.environments()).length, 1);
  assert.deepEqual(both[0]?.environment, both[1]?.environment);
  // The one that lost the race does not claim to know the key.
  assert.equal(both.filter(({ credentials }) => credentials.secretKey !== null).length, 1);
});

test("an environment that another process made is found, and a key it revoked is not trusted for long", async () => {
  const { environments, documents } = stores();
  const mine = new Credentials(environments, clock);
  await mine.refresh();
  const { environment, secretKey } = await createEnvironment(environments, documents, clock, "Other", "published");
  clock.advance(1_000);
  assert.equal((await mine.findPrincipal(secretKey))?.environment.name, "Other");
  assert.equal((await mine.findPrincipal(environment.publicKey))?.kind, "public");
  const token = signUserToken(environment, "user_id:u1", clock.now(), clock.now() + 60_000);
  assert.equal((await mine.findPrincipal(token))?.kind, "user");

  const [key] = await environments.keys(environment.id);
  await environments.revokeKey(environment.id, (key as ApiKey).id, clock.now());
  clock.advance(5_000);
  assert.equal(await mine.findPrincipal(secretKey), null);
  clock.advance(55_000);
  assert.equal(await mine.findPrincipal(token), null);
});
