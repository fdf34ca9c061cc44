/** The command line as an operator meets it: what it answers to a call that cannot be meant, and where it says how. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { keysHint } from "../../src/cli/serve.ts";

const MAIN = join(import.meta.dirname, "../../src/main.ts");

function carillon(args: readonly string[], env: { readonly [name: string]: string } = {}) {
  const { PATH } = process.env;
  const settings = { ...(PATH === undefined ? {} : { PATH }), CARILLON_DATA_DIR: ":memory:", ...env };
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { env: settings, encoding: "utf8" });
  return { status, stdout, stderr };
}

test("every command explains itself when asked for help", () => {
  for (const args of [["--help"], ["serve", "--help"], ["keys", "-h"], ["check-config", "--markdown", "--help"]]) {
    const { status, stdout, stderr } = carillon(args);
    assert.deepEqual([status, stderr], [0, ""], args.join(" "));
    assert.match(stdout, /^Usage: carillon <command>$.*^ {2}CARILLON_DATA_DIR /ms);
  }
  const listen = carillon(["listen", "--help"]);
  assert.equal(listen.status, 0);
  assert.match(listen.stdout, /^Usage: carillon listen <url>/m);
});

test("a call that cannot be meant is one line and exit code 2", () => {
  const cases = [
    [["serve", "--port", "5"], {}, 'carillon: serve takes no "--port"; try `carillon help`\n'],
    [["sreve", "--help"], {}, 'carillon: no command "sreve"; try `carillon help`\n'],
    [["serve"], { PORT: "70000" }, 'carillon: PORT: expected a port number, got "70000"\n'],
    [
      ["serve"],
      { CARILLON_PUBLIC_URL: "https:bells.example" },
      'carillon: CARILLON_PUBLIC_URL: expected an http or https URL, got "https:bells.example"\n',
    ],
  ] as const;
  for (const [args, env, expected] of cases) {
    assert.deepEqual(carillon(args, env), { status: 2, stdout: "", stderr: expected });
  }
});

test("a port in use is told with the settings that choose it", async (t) => {
  const taken = createServer();
  await new Promise<void>((listening) => taken.listen(0, "127.0.0.1", listening));
  t.after(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const { status, stderr } = carillon(["serve"], { PORT: String(port) });
  assert.equal(status, 1);
  assert.match(stderr, new RegExp(`^carillon: cannot listen where HOST and PORT say: .*127\\.0\\.0\\.1:${port}\\n$`));
});

test("the start says how to get at the keys, and does not send anybody where they are not", () => {
  assert.equal(keysHint(true, true, "./data"), "keys as configured");
  assert.equal(keysHint(false, true, "./data"), "`npm run carillon keys` prints the keys");
  // What is kept in memory only is another one for each process, `carillon keys` included.
  assert.match(keysHint(false, true, ":memory:"), /nobody knows: set CARILLON_SECRET_KEY/);
  assert.match(keysHint(false, false, "./data"), /set before/);
});
