/** Which way dependencies point: inward, to the engine. A type-only import counts too. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";

const SRC = resolve(import.meta.dirname, "../src");

/** What a place may import from `src`, besides itself. `app` is the one file that knows everyone. */
const MAY_IMPORT: { readonly [place: string]: readonly string[] } = {
  lib: [],
  engine: ["lib"],
  storage: ["engine", "lib"],
  content: ["engine", "lib"],
  channels: ["engine", "lib"],
  sandbox: ["engine", "lib"],
  bus: ["engine", "lib"],
  realtime: ["engine", "lib"],
  http: ["engine", "lib"],
  admin: ["engine", "http", "lib"],
  facades: ["engine", "http", "realtime", "lib"],
  "facades/courier": ["engine", "http", "realtime", "lib"],
  "facades/svix": ["engine", "http", "realtime", "lib"],
  "facades/knock": ["engine", "http", "realtime", "lib"],
  "facades/pushwoosh": ["engine", "http", "realtime", "lib"],
  cli: ["app.ts", "config.ts", "http", "storage", "engine", "lib"],
  "config.ts": [],
  "main.ts": ["cli"],
};

interface Import {
  readonly from: string;
  readonly to: string;
}

function sourceFiles(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return sourceFiles(path);
    return path.endsWith(".ts") && !path.endsWith(".test.ts") ? [path] : [];
  });
}

function imports(): Import[] {
  return sourceFiles(SRC).flatMap((file) => {
    const found = readFileSync(file, "utf8").matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g);
    return [...found].map(([, target = ""]) => ({
      from: relative(SRC, file),
      to: relative(SRC, resolve(dirname(file), target)),
    }));
  });
}

/** `facades/courier/send.ts` lives in `facades/courier`; other files in their first folder. */
function placeOf(path: string): string {
  const parts = path.split("/");
  if (parts[0] === "facades" && parts.length > 2) return `facades/${parts[1]}`;
  return parts[0] as string;
}

const all = imports();

test("dependencies point inward, to the engine", () => {
  const wrong = all.filter(({ from, to }) => {
    const [here, there] = [placeOf(from), placeOf(to)];
    if (here === there || here === "app.ts") return false;
    const allowed = MAY_IMPORT[here];
    assert.ok(allowed !== undefined, `src/${from} is in a place the architecture test does not know: ${here}`);
    return !allowed.includes(there);
  });
  assert.deepEqual(
    wrong.map(({ from, to }) => `src/${from} imports src/${to}`),
    [],
  );
});

test("what implements a port knows of the engine only its ports and its words", () => {
  const words = [
    "engine/ports.ts",
    "engine/model.ts",
    "engine/refusal.ts",
    "engine/templates.ts",
    "engine/webhooks/ports.ts",
    "engine/workflow/ports.ts",
    "engine/workflow/model.ts",
    "engine/webhooks/model.ts",
    "engine/webhooks/exchange.ts",
    // The port of the sandbox stands beside what facades ask.
    "engine/webhooks/webhooks.ts",
  ];
  const wrong = all.filter(
    ({ from, to }) =>
      ["storage", "bus", "channels", "realtime", "content", "sandbox"].includes(placeOf(from)) &&
      placeOf(to) === "engine" &&
      !words.includes(to),
  );
  assert.deepEqual(
    wrong.map(({ from, to }) => `src/${from} imports src/${to}`),
    [],
  );
});

test("facades do not know each other", () => {
  const wrong = all.filter(({ from, to }) => {
    const [here, there] = [placeOf(from), placeOf(to)];
    return here.startsWith("facades/") && there.startsWith("facades/") && here !== there;
  });
  assert.deepEqual(wrong, []);
});

for (const what of ["send", "webhook", "trigger"]) {
  test(`the journey of a ${what} is the files ARCHITECTURE.md names`, () => {
    const text = readFileSync(resolve(SRC, "../ARCHITECTURE.md"), "utf8");
    const journey = text.match(new RegExp(`## The journey of a ${what}\n\n([\\s\\S]*?)\n\n`))?.[1] ?? "";
    const files = [...new Set([...journey.matchAll(/`(src\/[\w./-]+\.ts)`/g)].map(([, file]) => file as string))];
    assert.ok(files.length >= 7 && files.length <= 8, `the journey names ${files.length} files: ${files.join(", ")}`);
    for (const file of files) readFileSync(resolve(SRC, "..", file));
  });
}
