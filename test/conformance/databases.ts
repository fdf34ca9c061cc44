/**
 * Runs a suite on every database there is. Postgres is looked for at `CARILLON_TEST_POSTGRES_URL`, else on this
 * machine; where it does not answer the suite says so, unless `CARILLON_TEST_REQUIRE` names it.
 *
 *   forEachDatabase((name, open) => {
 *     test(`${name}: hands a due delivery to one claimer only`, async () => { const store = await open(); … });
 *   });
 *
 * `open` gives a store on one database that is new and shared by all tests of the suite: tests keep apart by using an
 * environment each. Everything is closed and dropped after the suite.
 */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { Client } from "pg";
import type { Store } from "../../src/engine/ports.ts";
import type { Database, Dialect } from "../../src/storage/database.ts";
import { openDatabase, storeOn } from "../../src/storage/store.ts";

/** Where a store is; the first argument of `openStore` and what a whole server is configured with. */
export interface Place {
  readonly url: string | null;
  readonly dataDir: string;
  readonly durability: "full" | "normal";
  /** Connections each process may open. Several test files run at once against one Postgres. */
  readonly poolSize: number;
}

const POSTGRES_URL = process.env.CARILLON_TEST_POSTGRES_URL ?? "postgres://postgres@127.0.0.1:5432/postgres";
const REQUIRED = (process.env.CARILLON_TEST_REQUIRE ?? "").split(",").map((name) => name.trim());

/** A busy machine is no reason to call absent what has to be there. */
const CONNECT_TIMEOUT_MS = REQUIRED.includes("postgres") ? 30_000 : 2_000;

/** Why Postgres is left out; null when it answers. */
const postgresAbsence: string | null = await whyNoPostgres();

/** The databases that can be used here. */
export const DIALECTS: readonly Dialect[] = postgresAbsence === null ? ["sqlite", "postgres"] : ["sqlite"];

/**
 * A new, empty place for one store or one whole server.
 * @returns it, and what removes it again (after everything that uses it is closed).
 */
export async function newPlace(dialect: Dialect): Promise<{ place: Place; remove: () => Promise<void> }> {
  const dataDir = await mkdtemp(join(tmpdir(), "carillon-test-"));
  const removeDir = (): Promise<void> => rm(dataDir, { recursive: true, force: true });
  if (dialect === "sqlite") {
    // A test does not pull the plug: what a crash of the process leaves behind is the same with `normal`.
    return { place: { url: null, dataDir, durability: "normal", poolSize: 1 }, remove: removeDir };
  }
  const schema = `carillon_test_${randomBytes(6).toString("hex")}`;
  await administer(`create schema ${schema}`);
  const url = new URL(POSTGRES_URL);
  url.searchParams.set("options", `-c search_path=${schema} -c synchronous_commit=off`);
  return {
    place: { url: url.href, dataDir, durability: "normal", poolSize: 5 },
    remove: async () => {
      await administer(`drop schema ${schema} cascade`);
      await removeDir();
    },
  };
}

/** Declares the suite once for each database. `openRaw` gives the runner beneath the same store. */
export function forEachDatabase(
  suite: (name: Dialect, open: () => Promise<Store>, openRaw: () => Promise<Database>) => void,
): void {
  for (const name of ["sqlite", "postgres"] as const) {
    describe(name, () => {
      if (name === "postgres" && postgresAbsence !== null) return declareAbsence(postgresAbsence);
      let opened: Promise<{ store: Store; database: Database; remove: () => Promise<void> }> | undefined;
      const once = () => (opened ??= openNew(name));
      after(async () => {
        if (opened === undefined) return;
        const { store, remove } = await opened;
        await store.close();
        await remove();
      });
      suite(
        name,
        async () => (await once()).store,
        async () => (await once()).database,
      );
    });
  }
}

async function openNew(name: Dialect): Promise<{ store: Store; database: Database; remove: () => Promise<void> }> {
  const { place, remove } = await newPlace(name);
  const database = await openDatabase(place);
  return { store: storeOn(database), database, remove };
}

function declareAbsence(reason: string): void {
  if (!REQUIRED.includes("postgres")) return void test("Postgres", { skip: reason });
  test("Postgres", () => {
    throw new Error(`CARILLON_TEST_REQUIRE asks for postgres, but ${reason}`);
  });
}

async function whyNoPostgres(): Promise<string | null> {
  try {
    await administer("select 1");
    return null;
  } catch (error) {
    return `Postgres does not answer (${(error as Error).message || (error as { code?: string }).code})`;
  }
}

async function administer(sql: string): Promise<void> {
  const client = new Client({ connectionString: POSTGRES_URL, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query(sql);
  } finally {
    await client.end().catch(() => {});
  }
}
