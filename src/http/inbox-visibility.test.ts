import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryBus } from "../bus/memory.ts";
import type { Document } from "../engine/model.ts";
import type { DocumentStore } from "../engine/ports.ts";
import { FakeClock } from "../lib/clock.ts";
import { FACADE_SETTINGS } from "./facade-documents.ts";
import { ALL_SHOWN, InboxVisibility, isShown, shownBy } from "./inbox-visibility.ts";

const ENV = "env_1";

function setUp() {
  const clock = new FakeClock();
  const bus = memoryBus();
  let body: Document["body"] | null = null;
  let reads = 0;
  let away = false;
  const documents: Pick<DocumentStore, "read"> = {
    read: async () => {
      reads++;
      if (away) throw new Error("away");
      return body === null ? null : ({ body } as Document);
    },
  };
  return {
    clock,
    visibility: new InboxVisibility({ documents, bus, clock }),
    reads: () => reads,
    away: (is: boolean) => {
      away = is;
    },
    /** @param told whether this process hears of it. */
    write: (written: Document["body"], told = true) => {
      body = written;
      if (told) bus.changed(ENV, FACADE_SETTINGS);
    },
  };
}

test("all is shown until something else is written, which counts at once", async () => {
  const { visibility, write } = setUp();
  assert.deepEqual(await visibility.of(ENV), ALL_SHOWN);
  write({ courier: "own", knock: "nonsense" });
  const shown = await visibility.of(ENV);
  assert.deepEqual(shown, { courier: "own", knock: "all", pushwoosh: "all" });
  assert.deepEqual(shownBy("courier", shown), { via: "courier" });
  assert.deepEqual(shownBy("pushwoosh", shown), {});
  assert.deepEqual(
    ["courier", "pushwoosh", undefined].map((via) => isShown("courier", shown, via === undefined ? {} : { via })),
    [true, false, false],
  );
});

test("what another process writes is known a second later; until then nothing is read", async () => {
  const { visibility, write, clock, reads } = setUp();
  await visibility.of(ENV);
  write({ knock: "own" }, false);
  clock.advance(999);
  assert.equal((await visibility.of(ENV)).knock, "all");
  assert.equal(reads(), 1);
  clock.advance(1);
  assert.equal((await visibility.of(ENV)).knock, "own");
  // Whoever cannot wait gets what was known, and has it read for the next one.
  write({ knock: "all" }, false);
  clock.advance(1_000);
  assert.equal(visibility.lastKnown(ENV).knock, "own");
  assert.equal(visibility.lastKnown(ENV).knock, "own");
  assert.equal((await visibility.of(ENV)).knock, "all");
  assert.equal(visibility.lastKnown(ENV).knock, "all");
  assert.equal(reads(), 3);
});

test("a change that comes while the settings are read is not missed", async () => {
  const { visibility, write } = setUp();
  await visibility.of(ENV);
  write({ courier: "own" });
  write({ courier: "all", pushwoosh: "own" });
  assert.deepEqual(await visibility.of(ENV), { courier: "all", knock: "all", pushwoosh: "own" });
});

test("while the database is away, pages go by what was known last", async () => {
  const { visibility, write, clock, away } = setUp();
  write({ courier: "own" });
  await visibility.of(ENV);
  away(true);
  clock.advance(5_000);
  await assert.rejects(async () => visibility.of(ENV));
  assert.equal(visibility.lastKnown(ENV).courier, "own");
  away(false);
  await new Promise(setImmediate);
  assert.equal((await visibility.of(ENV)).courier, "own");
});
