/**
 * docs/compatibility.md says of each operation of Knock's two APIs whether it is here. This holds the page against the
 * vendor's SDKs and against a running server, so that neither can change without the other.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { after, before, test } from "node:test";
import Management from "@knocklabs/mgmt";
import Knock from "@knocklabs/node";
import { type KnockTarget, startKnockTarget } from "./knock-target.ts";

const PAGE = readFileSync(resolve(import.meta.dirname, "../../../docs/compatibility.md"), "utf8");
const STATES = ["done", "partial", "not yet", "not planned"] as const;
type State = (typeof STATES)[number];

interface Row {
  readonly method: string;
  /** As the page has it, parameters as `{name}`. */
  readonly path: string;
  /** Method of the vendor's SDK; null where it has none. */
  readonly sdk: string | null;
  readonly state: State;
  /** What is missing, or why it is not there. */
  readonly why: string;
}

const LISTS = {
  public: rowsOf("Knock, public API: "),
  management: rowsOf("Knock, management API: "),
  others: rowsOf("Knock, other routes"),
};
const ALL = Object.values(LISTS).flat();

/** The rows of all sections whose heading begins so. */
function rowsOf(heading: string): readonly Row[] {
  const sections = PAGE.split(/^### /m).filter((section) => section.startsWith(heading));
  return sections.flatMap((section) =>
    section.split("\n").flatMap((line) => {
      const cells = /^\| `([A-Z]+) (\/[^`]+)` \| (?:`([\w.]+)`|–) \| (\w[^:|]*)(?:: ([^|]+))? \|$/.exec(line);
      if (cells === null) {
        assert.ok(!/^\| `[A-Z]+ /.test(line), `a row that cannot be read: ${line}`);
        return [];
      }
      const [, method = "", path = "", sdk = null, word = "", why = ""] = cells;
      const state = STATES.find((one) => one === word.trim());
      assert.ok(state !== undefined, `a state that is none: ${line}`);
      return [{ method, path, sdk, state, why }];
    }),
  );
}

function named({ method, path }: Row): string {
  return `${method} ${path}`;
}

// ——— the page itself —————————————————————————————————————————————————————————————————————————————————————————————

test("the page has all 118 operations of the public API, all 97 of the management API and the four beside them", () => {
  assert.equal(LISTS.public.length, 118);
  assert.equal(LISTS.management.length, 97);
  assert.equal(LISTS.others.length, 4);
  assert.equal(new Set(ALL.map(named)).size, ALL.length, "an operation is there twice");
});

test("the table at the top of the page counts what stands below", () => {
  for (const [name, rows] of [
    ["Knock, public API", [...LISTS.public, ...LISTS.others]],
    ["Knock, management API", LISTS.management],
  ] as const) {
    const counts = STATES.map((state) => rows.filter((row) => row.state === state).length);
    const cells = [rows.length, ...counts].map((count) => (count === 0 ? "–" : String(count)));
    assert.ok(PAGE.includes(`| ${name} | ${cells.join(" | ")} |`), `${name}: expected ${cells.join(" | ")}`);
  }
});

test("whatever is not done says what is missing, or why", () => {
  const silent = ALL.filter(({ state, why }) => (state === "partial" || state === "not planned") && why === "");
  assert.deepEqual(silent.map(named), []);
});

test("the methods of both SDKs are all there, each once", () => {
  const node = methodsOf(new Knock({ apiKey: "sk_x" }));
  const management = methodsOf(new Management({ serviceToken: "x" }));
  assert.deepEqual(sdkOf(LISTS.public), node);
  assert.deepEqual(sdkOf(LISTS.management), management);
});

function sdkOf(rows: readonly Row[]): readonly string[] {
  return rows.flatMap(({ sdk }) => sdk ?? []).sort();
}

/** `users.list`, `users.feeds.listItems`, …: what resources of an SDK can be asked. */
function methodsOf(client: object, path = ""): readonly string[] {
  return Object.entries(client)
    .flatMap(([name, resource]: [string, unknown]) => {
      if (name.startsWith("_") || typeof resource !== "object" || resource === null) return [];
      if (!Object.hasOwn(resource, "_client")) return [];
      const at = `${path}${name}.`;
      const own = Object.getOwnPropertyNames(Object.getPrototypeOf(resource)).filter((one) => one !== "constructor");
      return [...own.map((one) => at + one), ...methodsOf(resource, at)];
    })
    .sort();
}

// ——— the server ——————————————————————————————————————————————————————————————————————————————————————————————————

let target: KnockTarget;
let commitId: string;
before(async () => {
  target = await startKnockTarget();
  const pushed = await target.call("PUT", "/workflows/wf?environment=development&commit=true", {
    workflow: { name: "W", steps: [] },
  });
  assert.equal(pushed.status, 200, pushed.text);
  commitId = (await target.call("GET", "/commits")).body.entries[0].id;
});
after(() => target.close());

type Answer = "answered" | "not implemented" | "no such route";

/** What becomes of a call of that operation, by a caller who may make it and says nothing of use. */
async function ask({ method, path }: Row): Promise<Answer> {
  const filled = path
    .replace("/commits/{id}/", `/commits/${commitId}/`)
    .replace("{action}", "seen")
    .replace(/\{\w+\}/g, "x");
  const query = path.endsWith("/commits/promote") ? "?to_environment=development" : "";
  const url = `${target.url}${filled}${query}`;
  const { status, body } = await target.call(method, url, method === "GET" ? undefined : {});
  assert.ok(status < 500 || status === 501, `${method} ${filled} answered ${status}`);
  if (status === 501) return "not implemented";
  return status === 404 && body?.message === `There is no ${method} ${filled}` ? "no such route" : "answered";
}

test("what is done or partial is answered; what is not answers 501, or 404 where the page says so", async () => {
  const wrong: string[] = [];
  for (const row of ALL) {
    const isThere = row.state === "done" || row.state === "partial";
    const expected = isThere ? "answered" : /\b404\b/.test(row.why) ? "no such route" : "not implemented";
    const answer = await ask(row);
    if (answer !== expected) wrong.push(`${named(row)}: ${row.state}, but ${answer}`);
  }
  assert.deepEqual(wrong, []);
});

test("what the server describes of itself is on the page", async () => {
  const { paths } = (await target.call("GET", "/openapi")).body as { paths: { [path: string]: object } };
  const beside = PAGE.split(/^Beside these lists/m)[1]?.split(/^### /m, 1)[0] ?? "";
  const known = new Set(ALL.map((row) => shapeOf(row.method, row.path)));
  for (const [, method, path] of beside.matchAll(/`([A-Z]+) (\/v1\/[^`]+)`/g))
    known.add(shapeOf(method as string, path as string));
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => shapeOf(method.toUpperCase(), path)),
  );
  assert.ok(routes.length > 200, `only ${routes.length} routes`);
  assert.deepEqual(
    routes.filter((route) => !known.has(route)),
    [],
  );
});

/** An operation whatever its parameters are called, and whether a route is one or one for each of a few words. */
function shapeOf(method: string, path: string): string {
  const shape = path
    .replace(/(\/messages\/bulk)\/[^/]+$/, "$1/{}")
    .replace(/\{\w+\}/g, "{}")
    .replace(/(\/guides\/messages(?:\/\{\})?)\/(?:\{\}|seen|interacted|archived)$/, "$1/{}");
  return `${method} ${shape}`;
}
