/** docs/pushwoosh.md says of every method what there is. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import { pushwooshMethods } from "../../../src/facades/pushwoosh/facade.ts";
import { pushwooshFor, SECRET_KEY } from "./pushwoosh-target.ts";

const text = readFileSync(resolve(import.meta.dirname, "../../../docs/pushwoosh.md"), "utf8");
const rows = [...text.matchAll(/^\| `(\w+)` \| (done|partial|answered|not yet|not planned)\b/gm)];
const table = new Map(rows.map(([, name = "", state = ""]) => [name, state]));

test("the table has every method, and no other", () => {
  assert.equal(table.size, rows.length, "each once");
  assert.deepEqual(
    [...table.keys()].sort(),
    pushwooshMethods()
      .map(({ name }) => name)
      .sort(),
  );
});

test("methods are as the table says", async (t) => {
  const target = await pushwooshFor(t);
  for (const [name, state] of table) {
    const fields = {
      auth: SECRET_KEY,
      hwid: "h",
      userId: "u",
      event: "e",
      tags: {},
      badge: 1,
      inbox_code: "1",
      status: 1,
    };
    const answer = await target.call(name, { ...fields, oldUserId: "a", newUserId: "b" });
    const expected = state.startsWith("not") ? [501] : state === "answered" ? [200] : [200, 210];
    assert.ok(expected.includes(answer.code), `${name} is ${state} and answers ${answer.code} ${answer.message}`);
  }
});
