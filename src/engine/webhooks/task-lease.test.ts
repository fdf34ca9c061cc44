import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { FakeClock, type Millis } from "../../lib/clock.ts";
import { newId } from "../../lib/ids.ts";
import type { Task } from "./model.ts";
import { TaskLease } from "./task-lease.ts";

const LEASE: Millis = 15_000;

/** A task in an imaginary store, where its lease stands. */
function world() {
  const clock = new FakeClock();
  const now = clock.now();
  const task: Task = {
    ...{ environmentId: newId("env", now), id: newId("task", now), kind: "recover", state: "running" },
    ...{ spec: {}, cursor: null, data: {}, createdAt: now, updatedAt: now },
  };
  const row = { lease: now + LEASE, isAway: false };
  const lease = new TaskLease(
    {
      tasks: {
        commitPage: async (_, { held, next }, __, after) => {
          if (row.isAway) throw new Error("the database is away");
          if (row.lease !== held) return null;
          row.lease = next;
          return after([], 0);
        },
      },
      clock,
      log: pino({ level: "silent" }),
      leaseMs: LEASE,
    },
    row.lease,
  );
  const pass = async (ms: Millis): Promise<void> => {
    for (let passed = 0; passed < ms; passed += LEASE / 3) {
      clock.advance(LEASE / 3);
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  };
  return { clock, task, row, lease, pass };
}

// In life: an application with so many messages that the few to be sent again were not found within a lease. The task
// was begun again every fifteen seconds, for ever.
test("a page that takes longer than the lease can be committed", async () => {
  const { clock, task, row, lease, pass } = world();
  const page = Promise.withResolvers<string>();
  const working = lease.during(task, page.promise);
  await pass(4 * LEASE);
  assert.ok(row.lease > clock.now(), "nobody else can claim it");
  page.resolve("done");
  assert.equal(await working, "done");
  assert.equal(lease.held, row.lease);
  const { lease: last } = row;
  await pass(2 * LEASE);
  assert.equal(row.lease, last, "it is renewed no more");
});

test("a renewal that fails is tried again, and one that is not ours any more is left alone", async () => {
  const { clock, task, row, lease, pass } = world();
  const page = Promise.withResolvers<string>();
  const working = lease.during(task, page.promise);
  row.isAway = true;
  await pass(LEASE / 3);
  row.isAway = false;
  await pass(LEASE / 3);
  assert.equal(row.lease, clock.now() + LEASE);
  row.lease = 1;
  await pass(LEASE);
  assert.equal(row.lease, 1);
  page.reject(new Error("the page failed"));
  await assert.rejects(working, /the page failed/);
});
