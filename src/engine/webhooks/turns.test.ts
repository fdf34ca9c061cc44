import assert from "node:assert/strict";
import { test } from "node:test";
import { Turns } from "./turns.ts";

test("work on one thing runs one after the other, work on others meanwhile", async () => {
  const turns = new Turns();
  const log: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = turns.run("a", async () => {
    log.push("first begins");
    await gate.promise;
    log.push("first ends");
  });
  const second = turns.run("a", async () => {
    log.push("second");
    return 2;
  });
  await turns.run("b", async () => log.push("other"));
  assert.deepEqual(log, ["first begins", "other"]);
  gate.resolve();
  await first;
  assert.equal(await second, 2);
  assert.deepEqual(log, ["first begins", "other", "first ends", "second"]);
});

test("work that fails holds up nobody", async () => {
  const turns = new Turns();
  const failing = turns.run("a", () => Promise.reject(new Error("no")));
  const next = turns.run("a", async () => "done");
  await assert.rejects(failing, /no/);
  assert.equal(await next, "done");
  assert.equal(await turns.run("a", async () => "again"), "again");
});
