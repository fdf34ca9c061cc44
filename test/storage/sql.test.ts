/**
 * The SQL that the stores have the databases run, kept as text under sql/: one file for each storage file that makes a
 * store, and for each database. A change of a statement thereby shows in the diff, as the database will see it.
 *
 * `UPDATE_SQL=1` writes the files anew; those of Postgres only where one is reachable.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Dialect } from "../../src/storage/database.ts";
import { stepsFrom } from "../../src/storage/migrations.ts";
import { forEachDatabase } from "../conformance/databases.ts";
import { callEveryMethod, NOUNS, type Noun, type Stores } from "./every-method.ts";
import { laidOut } from "./sql-layout.ts";
import { type Recorded, StatementRecorder } from "./statement-recorder.ts";

const STORAGE = resolve(import.meta.dirname, "../../src/storage");
const KEPT = join(import.meta.dirname, "sql");
const UPDATE = process.env.UPDATE_SQL === "1";
const HOW = "UPDATE_SQL=1 node_modules/.bin/node --test test/storage/sql.test.ts";
const DIALECTS: readonly Dialect[] = ["sqlite", "postgres"];
const NAMES = { sqlite: "SQLite", postgres: "Postgres" };

const nouns = Object.keys(NOUNS) as Noun[];

forEachDatabase((dialect, _open, openRaw) => {
  const recorder = new StatementRecorder();
  let stores: Stores;
  let stop = (): void => {};

  before(async () => {
    const database = await openRaw();
    const given = Object.fromEntries(nouns.map((noun) => [noun, NOUNS[noun](database)])) as Stores;
    stores = Object.fromEntries(nouns.map((noun) => [noun, recorder.listenTo<object>(noun, given[noun])])) as Stores;
    stop = recorder.start();
    await callEveryMethod(stores, given);
    stop();
  });
  after(() => stop());

  for (const noun of nouns) {
    test(`${dialect}: ${noun} says what is kept in sql/`, () => {
      compare(noun, dialect, statementsOf(recorder.recorded(noun)));
    });

    test(`${dialect}: every method of ${noun} is among what was recorded`, () => {
      assert.deepEqual(
        Object.keys(stores[noun]).filter((method) => !recorder.called(noun).has(method)),
        [],
        "test/storage/every-method.ts should call them",
      );
    });
  }
});

describe("the files of test/storage/sql", () => {
  for (const dialect of DIALECTS) {
    test(`${dialect}: the tables are made as is kept in sql/`, () => {
      compare(
        "migrations",
        dialect,
        stepsFrom(0, dialect).map((step) => `${step.replace(/\s*\n\s*/g, "\n  ")};`),
      );
    });
  }

  test("every storage file that makes a store is recorded", () => {
    const makers = readdirSync(STORAGE).filter((file) =>
      /^export function \w+Store\(/m.test(readFileSync(join(STORAGE, file), "utf8")),
    );
    assert.deepEqual(
      makers.map((file) => file.replace(/\.ts$/, "")).sort(),
      [...nouns].sort(),
      "test/storage/every-method.ts should name them in NOUNS",
    );
  });

  test("none is left of a storage file that is gone", () => {
    const known = new Set(
      ["migrations", ...nouns].flatMap((noun) => DIALECTS.map((dialect) => fileName(noun, dialect))),
    );
    const stray = readdirSync(KEPT).filter((file) => !known.has(file));
    if (UPDATE) for (const file of stray) rmSync(join(KEPT, file));
    else assert.deepEqual(stray, [], `delete them, or run ${HOW}`);
  });
});

function fileName(noun: string, dialect: Dialect): string {
  return `${noun}.${dialect}.sql`;
}

/** Each statement once, under the names of the methods that run it. */
function statementsOf(recorded: Recorded): string[] {
  return [...recorded].map(([sql, methods]) => `-- ${[...methods].join(", ")}\n${laidOut(sql)};`);
}

function compare(noun: string, dialect: Dialect, statements: readonly string[]): void {
  const path = join(KEPT, fileName(noun, dialect));
  const head = `-- What src/storage/${noun}.ts has ${NAMES[dialect]} run, written by test/storage/sql.test.ts.`;
  const text = `${[head, ...statements].join("\n\n")}\n`;
  if (UPDATE) writeFileSync(path, text);
  const kept = readKept(path);
  if (kept === text) return;
  const before = new Set(
    kept
      .split("\n\n")
      .slice(1)
      .map((one) => one.trim()),
  );
  const now = new Set(statements);
  const gone = [...before].filter((one) => !now.has(one)).map((one) => one.replace(/^/gm, "- "));
  const added = statements.filter((one) => !before.has(one)).map((one) => one.replace(/^/gm, "+ "));
  const changes = [...gone, ...added].join("\n\n") || "Only their order has changed.";
  assert.fail(
    `The statements are not those kept in ${relative(process.cwd(), path)}. If they are meant to change, run\n\n` +
      `  ${HOW}\n\nand commit the files with the change.\n\n${changes}`,
  );
}

function readKept(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}
