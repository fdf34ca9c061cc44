import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { FakeClock } from "../lib/clock.ts";
import { OutageLog } from "./outage-log.ts";
import { Refusal } from "./refusal.ts";

const AWAY = new Refusal("unavailable", "the database cannot be reached just now");

function world() {
  const lines: string[] = [];
  const write = (line: string): void => {
    const { msg, awayMs } = JSON.parse(line) as { msg: string; awayMs: number };
    lines.push(`${msg} ${awayMs}`);
  };
  const clock = new FakeClock();
  return { lines, clock, outage: new OutageLog(pino({}, { write }), clock) };
}

test("tells of an outage when it begins, every minute, and when it is over", () => {
  const { lines, clock, outage } = world();
  outage.answered();
  for (let second = 0; second < 90; second++) {
    for (let loop = 0; loop < 8; loop++) assert.equal(outage.failed(AWAY), true);
    clock.advance(1_000);
  }
  outage.answered();
  outage.answered();
  assert.deepEqual(lines, ["database.unavailable 0", "database.unavailable 60000", "database.available 90000"]);
});

test("does not tell of a connection that comes and goes more than once a minute", () => {
  const { lines, clock, outage } = world();
  for (let i = 0; i < 10; i++) {
    outage.failed(AWAY);
    clock.advance(500);
    outage.answered();
  }
  assert.deepEqual(lines, ["database.unavailable 0", "database.available 500"]);
});

test("leaves every other failure to the caller", () => {
  const { lines, outage } = world();
  assert.equal(outage.failed(new Error("a mistake of ours")), false);
  assert.equal(outage.failed(new Refusal("conflict", "taken")), false);
  assert.deepEqual(lines, []);
});
