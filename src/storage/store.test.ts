import assert from "node:assert/strict";
import { chmod, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openStore } from "./store.ts";

test("nobody else on the machine reads the database, whoever made its directory", async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), "carillon-open-"));
  t.after(() => rm(dataDir, { recursive: true, force: true }));
  await chmod(dataDir, 0o755);
  const store = await openStore({ url: null, dataDir, durability: "normal" });
  t.after(() => store.close());
  const files = await readdir(dataDir);
  assert.ok(files.length > 1, "the log stands beside it");
  for (const file of files) {
    const { mode } = await stat(join(dataDir, file));
    assert.equal((mode & 0o777).toString(8), "600", file);
  }
});
