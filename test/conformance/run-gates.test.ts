import assert from "node:assert/strict";
import { test } from "node:test";
import type { EnvironmentId } from "../../src/engine/model.ts";
import type { Store } from "../../src/engine/ports.ts";
import type { BatchId, PartyRef, Run } from "../../src/engine/workflow/model.ts";
import type { BatchContents, Gate, Leg } from "../../src/engine/workflow/ports.ts";
import { forEachDatabase } from "./databases.ts";
import { newEnvironmentId, T0 } from "./fixtures.ts";
import {
  aBatching,
  aLeg,
  anActivity,
  aThrottle,
  aTrigger,
  claimedRuns,
  claimRuns,
  commitLeg,
  ended,
  messageOf,
  waiting,
} from "./run-fixtures.ts";

const HELD = T0 + 1_000_000;
const WINDOW = 60_000;
type BatchGate = Gate & { readonly kind: "batch" };

forEachDatabase((name, open, openRaw) => {
  async function someRuns(
    store: Store,
    count: number,
    env: EnvironmentId = newEnvironmentId(),
    over: Parameters<typeof aTrigger>[1] = {},
  ): Promise<Run[]> {
    return await claimedRuns(
      store,
      Array.from({ length: count }, () => aTrigger(env, over)),
      HELD,
    );
  }

  /** Which way a run went: the name that the fixtures of gates give the actor of what is next. */
  async function wayOf(store: Store, run: Run): Promise<string | undefined> {
    return (await messageOf(store, run)).run?.actor?.id;
  }

  async function waysOf(store: Store, runs: readonly Run[]): Promise<(string | undefined)[]> {
    return await Promise.all(runs.map((run) => wayOf(store, run)));
  }

  /** Passes a batch gate. @returns the batch that the run carries, null when it joined or led. */
  async function enter(store: Store, run: Run, key: string, over: Partial<BatchGate> = {}): Promise<BatchId | null> {
    const gate = aBatching(run, key, over);
    assert.equal(await commitLeg(store, aLeg(run, { gate })), "written");
    return (await store.runs.read(run.environmentId, run.messageId))?.state.carries ?? null;
  }

  async function dueOf(store: Store, run: Run): Promise<number | undefined> {
    return (await store.runs.read(run.environmentId, run.messageId))?.dueAt;
  }

  async function contents(store: Store, run: Run, id: BatchId): Promise<BatchContents> {
    const found = await store.runs.batch(run.environmentId, id, "asc", 100);
    assert.ok(found);
    return found;
  }

  // ——— throttles ———————————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: a throttle lets its limit pass, stops the rest, and opens again when its window is over`, async () => {
    const store = await open();
    const runs = await someRuns(store, 5);
    const at = (now: number) => aThrottle("k", { limit: 2, now, until: now + WINDOW });
    const times = [T0, T0 + 1, T0 + 2, T0 + WINDOW - 1, T0 + WINDOW];
    for (const [i, run] of runs.entries()) await commitLeg(store, aLeg(run, { gate: at(times[i] as number) }));
    assert.deepEqual(await waysOf(store, runs), ["passed", "passed", "stopped", "stopped", "passed"]);
  });

  test(`${name}: whoever asked a throttle long before it passes has its window begin when it does`, async () => {
    const store = await open();
    const [late, next, last] = (await someRuns(store, 3)) as [Run, Run, Run];
    const asking = (now: number) => aThrottle("k", { now, until: now + WINDOW });
    const passes = (run: Run, asked: number, at: number) =>
      store.runs.commit([aLeg(run, { gate: asking(asked) })], HELD, () => at);
    const then = T0 + 5 * WINDOW;
    await passes(late, T0, then);
    await passes(next, then + 1, then + 1);
    await passes(last, then + 2, then + WINDOW);
    assert.deepEqual(await waysOf(store, [late, next, last]), ["passed", "stopped", "passed"]);
  });

  test(`${name}: a throttle never passes more than its limit, however many commit at once`, async () => {
    const store = await open();
    const runs = await someRuns(store, 60);
    const legs = runs.map((run) => aLeg(run, { gate: aThrottle("busy", { limit: 7 }) }));
    // Some alone, some with others at the same gate.
    const groups = Array.from({ length: 12 }, (_, i) => legs.slice(i * 5, i * 5 + 5));
    const results = await Promise.all(groups.map((group) => store.runs.commit(group, HELD)));
    assert.ok(results.flat().every((result) => result === "written"));
    const ways = await waysOf(store, runs);
    assert.equal(ways.filter((way) => way === "passed").length, 7);
  });

  test(`${name}: gates of other keys, environments and kinds are others; keys may be any text of any length`, async () => {
    const store = await open();
    const long = "k".repeat(100_000);
    const keys = ["a", "A", "a ", "", "\0", "\ud800", "\ud801", "\ufffd", "ü", long, `${long}!`];
    const runs = await someRuns(store, keys.length);
    const legs = runs.map((run, i) => aLeg(run, { gate: aThrottle(keys[i] as string) }));
    await store.runs.commit(legs, HELD);
    assert.deepEqual(
      await waysOf(store, runs),
      keys.map(() => "passed"),
    );
    const again = await someRuns(store, keys.length, runs[0]?.environmentId);
    await store.runs.commit(
      again.map((run, i) => aLeg(run, { gate: aThrottle(keys[i] as string) })),
      HELD,
    );
    assert.deepEqual(
      await waysOf(store, again),
      keys.map(() => "stopped"),
    );
    const elsewhere = await someRuns(store, 1);
    await store.runs.commit(
      elsewhere.map((run) => aLeg(run, { gate: aThrottle("a") })),
      HELD,
    );
    assert.deepEqual(await waysOf(store, elsewhere), ["passed"]);
    const [batched] = await someRuns(store, 1, runs[0]?.environmentId);
    assert.ok(await enter(store, batched as Run, "a"));
  });

  test(`${name}: a leg that is lost does not pass its gate`, async () => {
    const store = await open();
    const [lost, other] = (await someRuns(store, 2)) as [Run, Run];
    const gate = aThrottle("k");
    assert.deepEqual(await store.runs.commit([aLeg(lost, { gate })], HELD + 1), ["lost"]);
    assert.deepEqual(await store.runs.commit([aLeg({ ...lost, messageId: "msg_0" }, { gate })], HELD), ["lost"]);
    await commitLeg(store, aLeg(other, { gate }));
    assert.equal(await wayOf(store, other), "passed");
  });

  test(`${name}: commits that meet at the same gates in different orders all come through`, async () => {
    const store = await open();
    const runs = await someRuns(store, 40);
    const groups = Array.from({ length: 10 }, (_, i): Leg[] => {
      const keys = ["p", "q", "r", "s"];
      if (i % 2 === 1) keys.reverse();
      return keys.map((key, j) => aLeg(runs[i * 4 + j] as Run, { gate: aThrottle(key, { limit: 3 }) }));
    });
    const results = await Promise.all(groups.map((group) => store.runs.commit(group, HELD)));
    assert.ok(results.flat().every((result) => result === "written"));
    assert.equal((await waysOf(store, runs)).filter((way) => way === "passed").length, 12);
  });

  test(`${name}: gates that are over are swept, others stay`, async () => {
    const store = await open();
    const database = await openRaw();
    const runs = await someRuns(store, 2);
    const [short, long] = runs.map((run, i) => aLeg(run, { gate: aThrottle(`g${i}`, { until: T0 + 10 + i }) }));
    await store.runs.commit([short as Leg, long as Leg], HELD);
    const env = (runs[0] as Run).environmentId;
    const count = async (): Promise<unknown> => {
      const sql = `select count(*) as n from gates where env_id = '${env}'`;
      return await database.read(function* () {
        return (yield { kind: "text", sql, params: [] }).rows[0]?.n;
      });
    };
    const retention = { messagesMs: null, inboxMs: null, capturedMs: null };
    await store.housekeeping.sweep(T0 + 9, retention, 1000);
    assert.equal(await count(), 2);
    await store.housekeeping.sweep(T0 + 10, retention, 1000);
    assert.equal(await count(), 1);
  });

  // ——— batches —————————————————————————————————————————————————————————————————————————————————————————————————————

  test(`${name}: the first run opens a batch and carries it to its close, later ones join it and end`, async () => {
    const store = await open();
    const [first, second, third, late] = (await someRuns(store, 4)) as [Run, Run, Run, Run];
    const id = await enter(store, first, "k");
    assert.ok(id);
    assert.equal(await dueOf(store, first), T0 + WINDOW);
    const bob: PartyRef = { collection: "$users", id: "bob\0" };
    const odd = { "\0": "\ud800", n: 1 };
    assert.equal(await enter(store, second, "k", { now: T0 + 1, activity: anActivity(second, odd, bob) }), null);
    assert.equal(await enter(store, third, "k", { now: T0 + 2, closesAt: T0 + 1e9 }), null);
    assert.deepEqual(await waysOf(store, [second, third]), ["joined", "joined"]);
    assert.equal(await dueOf(store, first), T0 + WINDOW);
    assert.deepEqual(await contents(store, first, id), {
      version: 3,
      total: 3,
      activities: [anActivity(first), anActivity(second, odd, bob), anActivity(third)],
      actors: [bob],
      totalActors: 1,
      mergedData: odd,
      newestData: {},
    });
    assert.equal(await store.runs.batch(newEnvironmentId(), id, "asc", 10), null);

    const [carrier] = await claimRuns(
      store,
      [{ planned: [{ message: await messageOf(store, first) }] } as never],
      HELD,
    );
    assert.ok(carrier);
    const closing = aLeg(carrier, { closes: { batchId: id, version: 3 } });
    assert.equal(await commitLeg(store, closing), "written");
    assert.equal(await store.runs.batch(first.environmentId, id, "asc", 10), null);
    assert.ok(await enter(store, late, "k", { now: T0 + 3 }));
  });

  test(`${name}: what a batch shows is the first or the last of it, and its data merged`, async () => {
    const store = await open();
    const runs = await someRuns(store, 5);
    const who = (id: string): PartyRef => ({ collection: "$users", id });
    const actors = ["x", "y", "x", "z", "y"];
    const text = "𐍈".repeat(300);
    const data = [
      { a: 1, deep: { gone: true }, list: [1], kept: "old" },
      { a: 2, text },
      { text: null, flag: false },
      JSON.parse('{"__proto__": "own", "kept": "new"}') as object,
      { long: `${"x".repeat(257)}\ud800`, a: 3 },
    ];
    let id: BatchId | null = null;
    for (const [i, run] of runs.entries()) {
      const activity = anActivity(run, data[i] as never, who(actors[i] as string));
      id = (await enter(store, run, "k", { activity })) ?? id;
    }
    const env = (runs[0] as Run).environmentId;
    const read = async (order: "asc" | "desc", limit: number) => {
      const found = await store.runs.batch(env, id as BatchId, order, limit);
      assert.ok(found);
      return { ...found, activities: found.activities.map((a) => runs.findIndex((run) => run.messageId === a.id)) };
    };
    const [first, last] = [await read("asc", 2), await read("desc", 2)];
    assert.deepEqual(
      [first.activities, last.activities],
      [
        [0, 1],
        [3, 4],
      ],
    );
    for (const found of [first, last]) {
      assert.deepEqual([found.total, found.totalActors, found.actors], [5, 3, [who("x"), who("y")]]);
      assert.deepEqual(Object.entries(found.mergedData).sort(), [
        ["__proto__", "own"],
        ["a", 3],
        ["flag", false],
        ["kept", "new"],
        ["long", "x".repeat(256)],
        ["text", null],
      ]);
      assert.deepEqual(found.newestData, data[4]);
    }
    assert.deepEqual((await read("asc", 10)).actors, [who("x"), who("y"), who("z")]);
  });

  test(`${name}: texts of merged data are cut between characters`, async () => {
    const store = await open();
    const [run] = (await someRuns(store, 1)) as [Run];
    const id = await enter(store, run, "k", { activity: anActivity(run, { text: "𐍈".repeat(300) }) });
    const { mergedData, newestData } = await contents(store, run, id as BatchId);
    assert.deepEqual(mergedData, { text: "𐍈".repeat(256) });
    assert.deepEqual(newestData, { text: "𐍈".repeat(300) });
  });

  test(`${name}: whoever asked long before it joins does not make a sliding batch close earlier`, async () => {
    const store = await open();
    const [first, second, late] = (await someRuns(store, 3)) as [Run, Run, Run];
    const sliding = (now: number) => ({ now, closesAt: now + WINDOW, slideMs: WINDOW });
    await enter(store, first, "k", sliding(T0));
    await enter(store, second, "k", sliding(T0 + 50_000));
    const gate = aBatching(late, "k", sliding(T0 + 1));
    await store.runs.commit([aLeg(late, { gate })], HELD, () => T0 + 50_001);
    assert.equal(await wayOf(store, late), "joined");
    assert.equal(await dueOf(store, first), T0 + 50_001 + WINDOW);
  });

  test(`${name}: every one of many that come at once is in exactly one batch`, async () => {
    const store = await open();
    const runs = await someRuns(store, 60);
    const legs = runs.map((run) => aLeg(run, { gate: aBatching(run, "rush", { maxItems: 7 }) }));
    const groups = Array.from({ length: 20 }, (_, i) => legs.slice(i * 3, i * 3 + 3));
    const results = await Promise.all(groups.map((group) => store.runs.commit(group, HELD)));
    assert.ok(results.flat().every((result) => result === "written"));
    const seen: string[] = [];
    let carriers = 0;
    for (const run of runs) {
      const carries = (await store.runs.read(run.environmentId, run.messageId))?.state.carries;
      if (carries === undefined || carries === null) continue;
      carriers++;
      const { activities, total } = await contents(store, run, carries);
      assert.equal(total, activities.length);
      assert.ok(total <= 7);
      seen.push(...activities.map((a) => a.id));
    }
    assert.equal(carriers, Math.ceil(60 / 7));
    assert.deepEqual(seen.sort(), runs.map((run) => run.messageId as string).sort());
  });

  test(`${name}: whoever joins while the carrier is closing makes it read again`, async () => {
    const store = await open();
    const [first, second] = (await someRuns(store, 2)) as [Run, Run];
    const id = (await enter(store, first, "k")) as BatchId;
    const message = await messageOf(store, first);
    const [carrier] = await claimRuns(store, [{ planned: [{ message }] } as never], HELD);
    const read = await contents(store, first, id);
    assert.equal(await enter(store, second, "k", { now: T0 + WINDOW - 1, slideMs: WINDOW }), null);
    const close = (version: number) => aLeg(carrier as Run, { closes: { batchId: id, version } });
    assert.equal(await commitLeg(store, close(read.version)), "again");
    assert.deepEqual(await messageOf(store, first), message);
    const again = await contents(store, first, id);
    assert.equal(again.total, 2);
    // Others have moved its time, but not the lease.
    assert.equal((await store.runs.read(first.environmentId, first.messageId))?.leaseUntil, HELD);
    assert.equal(await commitLeg(store, close(again.version)), "written");
    assert.equal(await store.runs.batch(first.environmentId, id, "asc", 10), null);
  });

  test(`${name}: of closing and joining at once, nobody is left out`, async () => {
    const store = await open();
    for (let round = 0; round < 10; round++) {
      const runs = (await someRuns(store, 6)) as [Run, ...Run[]];
      const [first, ...others] = runs;
      const id = (await enter(store, first, "k")) as BatchId;
      const message = await messageOf(store, first);
      const [carrier] = await claimRuns(store, [{ planned: [{ message }] } as never], HELD);
      let closedWith: BatchContents | null = null;
      const close = async (): Promise<void> => {
        for (;;) {
          const read = await contents(store, first, id);
          const result = await commitLeg(
            store,
            aLeg(carrier as Run, { closes: { batchId: id, version: read.version } }),
          );
          if (result === "again") continue;
          assert.equal(result, "written");
          closedWith = read;
          return;
        }
      };
      const join = (run: Run) => commitLeg(store, aLeg(run, { gate: aBatching(run, "k") }));
      await Promise.all([join(others[0] as Run), close(), ...others.slice(1).map(join)]);
      const inFirst = (closedWith as unknown as BatchContents).activities.map((a) => a.id as string);
      const inNext: string[] = [];
      for (const run of others) {
        const carries = (await store.runs.read(run.environmentId, run.messageId))?.state.carries ?? null;
        if (carries !== null) inNext.push(...(await contents(store, run, carries)).activities.map((a) => a.id));
      }
      assert.deepEqual([...inFirst, ...inNext].sort(), runs.map((run) => run.messageId as string).sort());
    }
  });

  test(`${name}: a sliding batch closes a window after its last activity, never after its extension`, async () => {
    const store = await open();
    const [first, ...others] = (await someRuns(store, 5)) as [Run, ...Run[]];
    const sliding = { slideMs: WINDOW, extensionMs: 2 * WINDOW };
    await enter(store, first, "k", sliding);
    const expected = [
      [10_000, 70_000],
      [65_000, 120_000],
      [110_000, 120_000],
    ];
    for (const [i, [now, due]] of expected.entries()) {
      await enter(store, others[i] as Run, "k", { ...sliding, now: T0 + (now as number) });
      assert.equal(await dueOf(store, first), T0 + (due as number));
    }
    // Its time has come, whether or not the carrier has noticed: the next one opens another.
    assert.ok(await enter(store, others[3] as Run, "k", { ...sliding, now: T0 + 120_000, closesAt: T0 + 180_000 }));
  });

  test(`${name}: an activity that comes when the extension is over closes the batch now`, async () => {
    const store = await open();
    const [first, second] = (await someRuns(store, 2)) as [Run, Run];
    const id = await enter(store, first, "k", { closesAt: T0 + WINDOW });
    const sliding = { slideMs: WINDOW, extensionMs: 10_000 };
    assert.equal(await enter(store, second, "k", { ...sliding, now: T0 + 20_000 }), null);
    assert.equal(await dueOf(store, first), T0 + 20_000);
    assert.equal((await contents(store, first, id as BatchId)).total, 2);
  });

  test(`${name}: a batch that is full closes now, and the next run opens another`, async () => {
    const store = await open();
    const runs = (await someRuns(store, 5)) as [Run, Run, Run, Run, Run];
    const full = { maxItems: 2 };
    const first = (await enter(store, runs[0], "k", full)) as BatchId;
    assert.equal(await enter(store, runs[1], "k", { ...full, now: T0 + 5 }), null);
    assert.equal(await dueOf(store, runs[0]), T0 + 5);
    const second = (await enter(store, runs[2], "k", { ...full, now: T0 + 6, closesAt: T0 + 6 + WINDOW })) as BatchId;
    assert.notEqual(second, first);
    assert.equal((await contents(store, runs[0], first)).total, 2);
    assert.equal(await dueOf(store, runs[2]), T0 + 6 + WINDOW);
  });

  test(`${name}: a leading run goes straight on; the second carries what comes within the window`, async () => {
    const store = await open();
    const runs = (await someRuns(store, 5)) as [Run, Run, Run, Run, Run];
    const leading = { leading: true };
    assert.equal(await enter(store, runs[0], "k", leading), null);
    assert.deepEqual((await store.runs.read(runs[0].environmentId, runs[0].messageId))?.state.place, [2]);
    const later = { ...leading, now: T0 + 10, closesAt: T0 + 10 + WINDOW };
    const id = (await enter(store, runs[1], "k", later)) as BatchId;
    assert.equal(await dueOf(store, runs[1]), T0 + WINDOW);
    assert.equal(await enter(store, runs[2], "k", later), null);
    assert.equal(await wayOf(store, runs[2]), "joined");
    assert.equal((await contents(store, runs[1], id)).total, 2);
    // The window is over: the next one leads again, also while the batch still waits for its carrier.
    const after = { ...leading, now: T0 + WINDOW, closesAt: T0 + 2 * WINDOW };
    assert.equal(await enter(store, runs[3], "k", after), null);
    assert.deepEqual((await store.runs.read(runs[3].environmentId, runs[3].messageId))?.state.place, [2]);
    assert.ok(await enter(store, runs[4], "k", { ...after, now: T0 + WINDOW + 1 }));
  });

  test(`${name}: a batch of thousands is shown as a whole, and swept once it is closed`, async () => {
    const store = await open();
    const count = 2300;
    const runs = (await someRuns(store, count)) as [Run, ...Run[]];
    const gates = runs.map((run, i) =>
      aBatching(run, "k", { maxItems: 1e9, activity: anActivity(run, { [`k${i}`]: i }) }),
    );
    await store.runs.commit(
      runs.map((run, i) => aLeg(run, { gate: gates[i] as Gate })),
      HELD,
    );
    const id = (await store.runs.read(runs[0].environmentId, runs[0].messageId))?.state.carries as BatchId;
    const read = await contents(store, runs[0], id);
    assert.deepEqual([read.total, Object.keys(read.mergedData).length, read.activities.length], [count, count, 100]);
    const message = await messageOf(store, runs[0]);
    const [carrier] = await claimRuns(store, [{ planned: [{ message }] } as never], HELD);
    const leg = aLeg(carrier as Run, { closes: { batchId: id, version: read.version } });
    assert.equal(await commitLeg(store, leg), "written");
    assert.equal(await store.runs.batch(runs[0].environmentId, id, "asc", 1), null);
    const database = await openRaw();
    const left = () =>
      database.read(function* () {
        const of = `where env_id = '${runs[0].environmentId}'`;
        const sql = `select (select count(*) from batches ${of}) + (select count(*) from batch_items ${of}) as n`;
        return (yield { kind: "text", sql, params: [] }).rows[0]?.n;
      });
    assert.equal(await left(), count + 1);
    const retention = { messagesMs: null, inboxMs: null, capturedMs: null };
    while ((await store.housekeeping.sweep(T0, retention, 1000)) > 0);
    assert.equal(await left(), 0);
  });

  test(`${name}: within one commit, legs pass a gate in their order`, async () => {
    const store = await open();
    const runs = (await someRuns(store, 4)) as [Run, Run, Run, Run];
    const legs = runs.map((run, i) => aLeg(run, { gate: aBatching(run, "k", { slideMs: WINDOW, now: T0 + i }) }));
    await store.runs.commit(legs, HELD);
    const carries = (await store.runs.read(runs[0].environmentId, runs[0].messageId))?.state.carries;
    assert.deepEqual(
      (await contents(store, runs[0], carries as BatchId)).activities.map((a) => a.id),
      runs.map((run) => run.messageId),
    );
    assert.equal(await dueOf(store, runs[0]), T0 + 3 + WINDOW);
    assert.deepEqual(await waysOf(store, runs.slice(1)), ["joined", "joined", "joined"]);
  });

  test(`${name}: closing and opening anew in one commit are two batches`, async () => {
    const store = await open();
    const [first, second] = (await someRuns(store, 2)) as [Run, Run];
    const id = (await enter(store, first, "k")) as BatchId;
    const message = await messageOf(store, first);
    const [carrier] = await claimRuns(store, [{ planned: [{ message }] } as never], HELD);
    const close = aLeg(carrier as Run, { closes: { batchId: id, version: 1 }, next: waiting(T0 + 5) });
    const results = await store.runs.commit([close, aLeg(second, { gate: aBatching(second, "k") })], HELD);
    assert.deepEqual(results, ["written", "written"]);
    const next = (await store.runs.read(second.environmentId, second.messageId))?.state.carries as BatchId;
    assert.notEqual(next, id);
    assert.equal((await contents(store, second, next)).total, 1);
    assert.equal(await dueOf(store, first), T0 + 5);
  });

  test(`${name}: a carrier that gives up takes its batch along, so that nobody joins what no one carries`, async () => {
    const store = await open();
    const [first, second] = (await someRuns(store, 2)) as [Run, Run];
    const id = (await enter(store, first, "k")) as BatchId;
    const message = await messageOf(store, first);
    const [carrier] = await claimRuns(store, [{ planned: [{ message }] } as never], HELD);
    await commitLeg(store, aLeg(carrier as Run, { next: ended() }));
    assert.equal(await store.runs.batch(first.environmentId, id, "asc", 1), null);
    assert.ok(await enter(store, second, "k"));
  });

  test(`${name}: closing a batch that is closed, or another environment's, is asked again`, async () => {
    const store = await open();
    const [run, foreign] = [(await someRuns(store, 1))[0] as Run, (await someRuns(store, 1))[0] as Run];
    const id = (await enter(store, run, "k")) as BatchId;
    for (const batchId of [id, "bat_none"] as const) {
      const leg = aLeg(foreign, { closes: { batchId, version: 1 } });
      assert.equal(await commitLeg(store, leg), "again");
    }
    assert.equal((await contents(store, run, id)).total, 1);
  });
});
