import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, test } from "node:test";
import { Refusal, type RefusalCode } from "../../src/engine/refusal.ts";
import type { Database, Operation, Result, Row, Statement } from "../../src/storage/database.ts";
import { SCHEMA_VERSION } from "../../src/storage/migrations.ts";
import { openDatabase, openStore } from "../../src/storage/store.ts";
import { text } from "../../src/storage/text.ts";
import { DIALECTS, forEachDatabase, newPlace } from "./databases.ts";
import { inboxSend, newEnvironmentId, T0 } from "./fixtures.ts";

const USER_COLUMNS = ["env_id", "user_id", "profile", "created_at", "updated_at"];

function user(env: string, id: string, profile = "{}", suffix?: string): Statement {
  const rows = [[env, id, profile, 1, 1]];
  return { kind: "insert", table: "users", columns: USER_COLUMNS, rows, ...(suffix !== undefined && { suffix }) };
}

function refusedAs(code: RefusalCode): (error: unknown) => boolean {
  return (error) => error instanceof Refusal && error.code === code;
}

forEachDatabase((name, _open, openRaw) => {
  const countOf = (db: Database, env: string): Promise<number> =>
    db.read(function* () {
      const { rows } = yield text(db.dialect, "select count(*) as n from users where env_id = ?", [env]);
      return rows[0]?.n as number;
    });

  test(`${name}: of writes that come together, the one that throws is undone alone`, async () => {
    const db = await openRaw();
    const env = newEnvironmentId();
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) =>
        db.write(function* () {
          yield user(env, `u${i}`);
          yield user(env, `v${i}`);
          if (i === 3) throw new Refusal("conflict", "third time unlucky");
          // The same key twice.
          if (i === 5) yield user(env, "v5");
          return i;
        }),
      ),
    );
    const kept = results.map((r) => (r.status === "fulfilled" ? r.value : null));
    assert.deepEqual(kept, [0, 1, 2, null, 4, null, 6, 7, 8, 9]);
    assert.ok(refusedAs("conflict")((results[3] as PromiseRejectedResult).reason));
    assert.equal(await countOf(db, env), 16);
  });

  if (name === "sqlite") {
    // Twelve people who marked everything as read at once kept everybody else waiting for half a second, again and again.
    test(`${name}: writes that take long do not share a turn of the event loop with many`, async () => {
      const db = await openRaw();
      const env = newEnvironmentId();
      let turns = 0;
      let done = false;
      const count = (): void => {
        turns++;
        if (!done) setImmediate(count);
      };
      setImmediate(count);
      const ends = await Promise.all(
        Array.from({ length: 4 }, (_, i) =>
          db
            .write(function* () {
              for (const end = performance.now() + 25; performance.now() < end; );
              yield user(env, `slow${i}`);
            })
            .then(() => turns),
        ),
      );
      done = true;
      assert.equal(new Set(ends).size, ends.length, `${ends}`);
      assert.equal(await countOf(db, env), ends.length);
    });
  }

  test(`${name}: shows the time of a clock that processes share, if there is one`, async () => {
    const db = await openRaw();
    const [first, second] = [await db.time(), await db.time()];
    if (name === "sqlite") return assert.deepEqual([first, second], [null, null]);
    assert.ok(Number.isInteger(first) && (second as number) >= (first as number));
  });

  test(`${name}: a lone write that throws leaves nothing behind`, async () => {
    const db = await openRaw();
    const env = newEnvironmentId();
    const write = db.write(function* () {
      yield user(env, "ann");
      throw new Error("no");
    });
    await assert.rejects(write, /^Error: no$/);
    assert.equal(await countOf(db, env), 0);
  });

  test(`${name}: a read begun after a write resolved sees it, and never half of one`, async () => {
    const db = await openRaw();
    const env = newEnvironmentId();
    const writes = Array.from({ length: 20 }, (_, i) =>
      db.write(function* () {
        yield user(env, `a${i}`);
        yield user(env, `b${i}`);
      }),
    );
    const reads = Array.from({ length: 20 }, () =>
      db.read(function* () {
        const sql = "select count(*) as n from users where env_id = ?";
        const first = yield text(db.dialect, sql, [env]);
        const second = yield text(db.dialect, `${sql} and user_id >= ?`, [env, ""]);
        return [first.rows[0]?.n as number, second.rows[0]?.n as number];
      }),
    );
    for (const [first, second] of await Promise.all(reads)) {
      assert.equal(first, second);
      assert.equal((first as number) % 2, 0);
    }
    await writes[7];
    assert.ok((await countOf(db, env)) >= 2);
    await Promise.all(writes);
    assert.equal(await countOf(db, env), 40);
  });

  test(`${name}: a result tells rows changed, and rows returned by an insert of many`, async () => {
    const db = await openRaw();
    const env = newEnvironmentId();
    const rows = ["a", "b", "b"].map((id) => [env, id, "{}", 1, 1]);
    const suffix = "on conflict (env_id, user_id) do nothing returning user_id";
    await db.write(function* () {
      const inserted = yield { kind: "insert", table: "users", columns: USER_COLUMNS, rows, suffix };
      assert.deepEqual(
        inserted.rows.map((row) => row.user_id),
        ["a", "b"],
      );
      const updated = yield text(db.dialect, "update users set profile = ? where env_id = ?", ["{ }", env]);
      assert.equal(updated.changes, 2);
      const none = yield { kind: "insert", table: "users", columns: USER_COLUMNS, rows: [] };
      assert.equal(none.changes, 0);
      const each = yield {
        kind: "each",
        sql: "update users set profile = v.profile from :rows where users.env_id = v.env_id and users.user_id = v.id",
        columns: { env_id: "text", id: "text", profile: "text" },
        rows: [
          [env, "a", "A"],
          [env, "b", null],
          [env, "c", "C"],
        ].map(([e, id, profile]) => [e ?? null, id ?? null, profile ?? "none"]),
      };
      assert.equal(each.changes, 2);
      const { rows: found } = yield text(
        db.dialect,
        "select user_id, profile from users where env_id = ? order by user_id",
        [env],
      );
      assert.deepEqual(
        found.map((row) => ({ ...row })),
        [
          { user_id: "a", profile: "A" },
          { user_id: "b", profile: "none" },
        ],
      );
    });
  });

  test(`${name}: text comes back as it went in, and sorts by its bytes`, async () => {
    const db = await openRaw();
    const env = newEnvironmentId();
    const texts = [
      "",
      "NULL",
      "null",
      "{}",
      '"',
      "\\",
      '\\"',
      ",",
      "a b",
      "é",
      "Z",
      "a",
      "_",
      "-",
      "😀",
      "\uffee",
      "'",
      "\n\t",
    ];
    await db.write(function* () {
      for (const [i, t] of texts.entries()) yield user(env, `${t}#${i}`, t);
    });
    const rows = await db.read(function* (): Operation<readonly Row[]> {
      return (yield text(db.dialect, "select user_id, profile from users where env_id = ? order by user_id", [env]))
        .rows;
    });
    const expected = texts.map((t, i) => ({ user_id: `${t}#${i}`, profile: t }));
    expected.sort((a, b) => Buffer.compare(Buffer.from(a.user_id), Buffer.from(b.user_id)));
    assert.deepEqual(
      rows.map((row) => ({ ...row })),
      expected,
    );
  });

  test(`${name}: operations that wait for each other all get through`, async () => {
    const db = await openRaw();
    const env = newEnvironmentId();
    await db.write(function* () {
      for (const id of ["a", "b"]) yield user(env, id);
    });
    const add = "update users set updated_at = updated_at + 1 where env_id = ? and user_id = ?";
    // Half of them lock in one order and half in the other: on Postgres that deadlocks.
    const writes = Array.from({ length: 4 }, (_, i) =>
      db.write(function* () {
        const order = i % 2 === 0 ? ["a", "b"] : ["b", "a"];
        for (const id of order) yield text(db.dialect, add, [env, id]);
      }),
    );
    await Promise.all(writes);
    const { rows } = await db.read(function* (): Operation<Result> {
      return yield text(db.dialect, "select updated_at from users where env_id = ?", [env]);
    });
    assert.deepEqual(
      rows.map((row) => row.updated_at),
      [5, 5],
    );
  });
});

for (const dialect of DIALECTS) {
  describe(`${dialect}, opened and closed`, () => {
    test("several processes may open a new database at the same time, and what was written is there again", async () => {
      const { place, remove } = await newPlace(dialect);
      try {
        const stores = await Promise.all([openStore(place), openStore(place), openStore(place)]);
        const env = newEnvironmentId();
        await stores[0]?.pipeline.accept([inboxSend(env, "ann")]);
        assert.equal(await stores[1]?.inbox.count(env, { userId: "ann" }, T0), 1);
        await Promise.all(stores.map((store) => store.close()));
        const again = await openStore(place);
        assert.equal(await again.inbox.count(env, { userId: "ann" }, T0), 1);
        await again.ping();
        await again.close();
      } finally {
        await remove();
      }
    });

    test("a closed database refuses, after what was asked for before is committed", async () => {
      const { place, remove } = await newPlace(dialect);
      try {
        const store = await openStore(place);
        const env = newEnvironmentId();
        const accepted = store.pipeline.accept([inboxSend(env, "ann")]);
        await store.close();
        assert.deepEqual(await accepted, [{ kind: "accepted" }]);
        await store.close();
        for (const call of [() => store.ping(), () => store.pipeline.accept([inboxSend(env, "ann")])]) {
          await assert.rejects(call, refusedAs("unavailable"));
        }
      } finally {
        await remove();
      }
    });

    test("a database of a newer program is left alone, and says so in one line", async () => {
      const { place, remove } = await newPlace(dialect);
      try {
        const db = await openDatabase(place);
        await db.write(function* () {
          const newer = SCHEMA_VERSION + 1;
          yield dialect === "sqlite"
            ? text(dialect, `pragma user_version = ${newer}`, [])
            : text(dialect, "insert into schema_version values (?)", [newer]);
        });
        await db.close();
        await assert.rejects(openStore(place), (error: Error) => {
          const said = new RegExp(`^the database is at schema version ${SCHEMA_VERSION + 1}, .+$`);
          return !(error instanceof Refusal) && said.test(error.message);
        });
      } finally {
        await remove();
      }
    });
  });
}

describe("sqlite", () => {
  test("a full disk is told as unavailable, and loses nothing that was committed", async () => {
    const { place, remove } = await newPlace("sqlite");
    try {
      const db = await openDatabase(place);
      await db.write(function* () {
        yield user("env_a", "ann");
      });
      const pages = await db.read(function* () {
        const { rows } = yield text("sqlite", "pragma page_count", []);
        return rows[0]?.page_count as number;
      });
      await db.read(function* () {
        yield text("sqlite", `pragma max_page_count = ${pages}`, []);
      });
      const results = await Promise.allSettled(
        [1, 2, 3].map((i) =>
          db.write(function* () {
            yield user("env_a", `big ${i}`, "x".repeat(100_000));
          }),
        ),
      );
      for (const r of results) assert.ok(r.status === "rejected" && refusedAs("unavailable")(r.reason));
      await db.read(function* () {
        yield text("sqlite", "pragma max_page_count = 1000000", []);
      });
      await db.write(function* () {
        yield user("env_a", "bob");
      });
      const { rows } = await db.read(function* (): Operation<Result> {
        return yield text("sqlite", "select user_id from users", []);
      });
      assert.deepEqual(
        rows.map((row) => row.user_id),
        ["ann", "bob"],
      );
      await db.close();
    } finally {
      await remove();
    }
  });

  test("a file that another process holds is told as unavailable", async () => {
    const { place, remove } = await newPlace("sqlite");
    try {
      const store = await openStore(place);
      const other = new DatabaseSync(join(place.dataDir, "carillon.db"));
      other.exec("begin immediate");
      await assert.rejects(store.pipeline.accept([inboxSend(newEnvironmentId(), "ann")]), refusedAs("unavailable"));
      other.exec("rollback");
      other.close();
      await store.pipeline.accept([inboxSend(newEnvironmentId(), "ann")]);
      await store.close();
    } finally {
      await remove();
    }
  });

  test("lives in memory when asked to, and creates the directory it is given otherwise", async () => {
    const memory = await openStore({ url: null, dataDir: ":memory:", durability: "full" });
    await memory.pipeline.accept([inboxSend("env_a", "ann")]);
    assert.equal(await memory.inbox.count("env_a", { userId: "ann" }, T0), 1);
    await memory.close();
    const parent = await mkdtemp(join(tmpdir(), "carillon-test-"));
    try {
      const store = await openStore({ url: null, dataDir: join(parent, "a", "b"), durability: "full" });
      await store.ping();
      await store.close();
    } finally {
      await rm(parent, { recursive: true });
    }
  });

  test("first pages and counts of an inbox are ranges of an index, whatever the filter", async () => {
    const db = await openDatabase({ url: null, dataDir: ":memory:", durability: "normal" });
    const asked: string[] = [];
    const { inboxStore } = await import("../../src/storage/inbox.ts");
    const inbox = inboxStore(recording(db, asked));
    for (const tenantId of [undefined, null]) {
      for (const state of [{}, { archived: false }, { archived: true }, { archived: false, read: false }]) {
        const filter = { userId: "ann", ...(tenantId === null && { tenantId }), ...state };
        await inbox.list("env_a", filter, T0, { limit: 20 });
        await inbox.count("env_a", filter, T0);
      }
    }
    for (const sql of new Set(asked)) {
      const plan = await db.read(function* () {
        const { rows } = yield text("sqlite", `explain query plan ${sql}`, []);
        return rows
          .map((row) => row.detail as string)
          .filter((detail) => /\b(deliveries|d|inbox_counts)\b/.test(detail));
      });
      for (const step of plan) {
        assert.match(
          step,
          /SEARCH .*(deliveries_inbox \(env_id=\? AND user_id=\? AND tenant_id=\? AND bucket=\? AND id<\?|deliveries_expiry_of_user \(env_id=\? AND user_id=\? AND expires_at|PRIMARY KEY|sqlite_autoindex)/,
        );
      }
    }
    await db.close();
  });
});

describe("postgres", { skip: !DIALECTS.includes("postgres") && "Postgres does not answer" }, () => {
  test("a server that cannot be reached is told as unavailable, soon", async () => {
    const silent = createServer((socket) => void socket.on("error", () => {}).resume());
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as { port: number };
    const at = (url: string) => openStore({ url, dataDir: "", durability: "full" });
    try {
      await assert.rejects(at(`postgres://u@127.0.0.1:${port}/x`), refusedAs("unavailable"));
    } finally {
      await new Promise((resolve) => silent.close(resolve));
    }
    await assert.rejects(at(`postgres://u@127.0.0.1:${port}/x`), refusedAs("unavailable"));
  });

  test("connections cut from outside refuse what they were doing and are replaced", async () => {
    const { place, remove } = await newPlace("postgres");
    const store = await openStore(place);
    const killer = await openDatabase(place);
    try {
      const env = newEnvironmentId();
      const cut = (): Promise<number> =>
        killer.read(function* () {
          const sql = `select count(pg_terminate_backend(pid)) as n from pg_stat_activity
            where application_name = 'carillon' and pid <> pg_backend_pid()
              and pid in (select pid from pg_locks join pg_class on relation = pg_class.oid where relnamespace = current_schema()::regnamespace)`;
          return (yield text("postgres", sql, [])).rows[0]?.n as number;
        });
      const busy = openDatabase(place).then(async (db) => {
        const begun = Promise.withResolvers<void>();
        const work = db.write(function* () {
          yield user(env, "ann");
          begun.resolve();
          yield text("postgres", "select pg_sleep(20)", []);
        });
        await begun.promise;
        return { db, work };
      });
      const { db, work } = await busy;
      const refused = assert.rejects(work, refusedAs("unavailable"));
      while ((await cut()) === 0);
      await refused;
      // The same pool goes on.
      await db.ping();
      await db.write(function* () {
        yield user(env, "bob");
      });
      await store.pipeline.accept([inboxSend(env, "ann")]);
      await db.close();
    } finally {
      await Promise.all([store.close(), killer.close()]);
      await remove();
    }
  });

  test("a NUL character that got past the borders is the caller's mistake", async () => {
    const { place, remove } = await newPlace("postgres");
    const store = await openStore(place);
    try {
      const send = inboxSend(newEnvironmentId(), "ann", { message: { event: "a\0b" } });
      await assert.rejects(store.pipeline.accept([send]), refusedAs("invalid"));
    } finally {
      await store.close();
      await remove();
    }
  });
});

function recording(db: Database, asked: string[]): Database {
  const watched = <T>(operation: () => Operation<T>) =>
    function* (): Operation<T> {
      const running = operation();
      let step = running.next();
      while (!step.done) {
        if (step.value.kind === "text") asked.push(step.value.sql);
        step = running.next(yield step.value);
      }
      return step.value;
    };
  return {
    dialect: db.dialect,
    write: (operation) => db.write(watched(operation)),
    lease: (operation) => db.lease(watched(operation)),
    read: (operation) => db.read(watched(operation)),
    time: () => db.time(),
    ping: () => db.ping(),
    close: () => db.close(),
  };
}
