import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "../../src/engine/ports.ts";
import { Refusal } from "../../src/engine/refusal.ts";
import { keyInTime, type ObjectSubscription, type PartyRef, partyKey, USERS } from "../../src/engine/workflow/model.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import { byCodePoints } from "../../src/storage/text.ts";
import { forEachDatabase } from "./databases.ts";
import { newEnvironmentId, T0 } from "./fixtures.ts";

const HOSTILE_IDS = [
  "\u0001",
  "'; --",
  "a/b/c",
  "\\",
  '"q"',
  "{a,b}",
  "__proto__",
  "\uffff",
  "😀",
  "x".repeat(1024 - 9),
];

const user = (id: string): PartyRef => ({ collection: USERS, id });
const project = (id: string): PartyRef => ({ collection: "projects", id });
const pair = (object: PartyRef, recipient: PartyRef, properties: JsonObject | null = null) => {
  return { object, recipient, properties };
};
const named = (found: readonly ObjectSubscription[]): string[] => {
  return found.map(({ object, recipient }) => `${partyKey(object)} ${partyKey(recipient)}`);
};
const isInvalid = (error: unknown): boolean => error instanceof Refusal && error.code === "invalid";

/** Follows `next` to the end. */
async function all<T>(read: (key: string | null) => Promise<Page<T>>): Promise<T[]> {
  const items: T[] = [];
  for (let key: string | null = null; ; ) {
    const page: Page<T> = await read(key);
    items.push(...page.items);
    if (page.next === null) return items;
    key = page.next;
  }
}

forEachDatabase((name, open) => {
  test(`${name}: subscribing adds, and again renews but for what is not given`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    const [p, ann, team] = [project("p"), user("ann"), { collection: "teams", id: "t" }];
    const first = await parties.subscribe(env, [pair(p, ann, { role: "owner" }), pair(p, team)], T0);
    assert.deepEqual(first, [
      { object: p, recipient: ann, properties: { role: "owner" }, createdAt: T0, updatedAt: T0 },
      { object: p, recipient: team, properties: null, createdAt: T0, updatedAt: T0 },
    ]);
    const second = await parties.subscribe(env, [pair(p, team, { odd: "\0\ud800" }), pair(p, ann)], T0 + 1);
    assert.deepEqual(second, [
      { object: p, recipient: team, properties: { odd: "\0\ud800" }, createdAt: T0, updatedAt: T0 + 1 },
      { object: p, recipient: ann, properties: { role: "owner" }, createdAt: T0, updatedAt: T0 + 1 },
    ]);
    const twice = [pair(p, ann, { n: 1 }), pair(p, ann, { n: 2 }), pair(p, ann)];
    assert.deepEqual(
      (await parties.subscribe(env, twice, T0 + 2)).map(({ properties }) => properties),
      [{ n: 2 }, { n: 2 }, { n: 2 }],
    );
    assert.deepEqual(await parties.subscribe(env, [], T0), []);
  });

  test(`${name}: unsubscribing returns what was there`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    const [p, ann, bob] = [project("p"), user("ann"), user("bob")];
    await parties.subscribe(env, [pair(p, ann, { a: 1 }), pair(p, bob)], T0);
    assert.deepEqual(await parties.unsubscribe(newEnvironmentId(), [pair(p, ann)]), []);
    const gone = await parties.unsubscribe(env, [pair(p, bob), pair(project("q"), ann), pair(p, ann), pair(p, bob)]);
    assert.deepEqual(named(gone), ["projects/p $users/bob", "projects/p $users/ann"]);
    assert.deepEqual(gone[1]?.properties, { a: 1 });
    assert.deepEqual(await parties.unsubscribe(env, [pair(p, ann)]), []);
    assert.deepEqual(await parties.unsubscribe(env, []), []);
  });

  test(`${name}: lists by either side, newest first, those of one moment each once, both ways`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    const projects = ["a", "b", "c", "d"].map(project);
    const users = ["u1", "u2", "u3"].map(user);
    // Each project at a moment of its own, its users at one.
    for (const [i, p] of projects.entries()) {
      await parties.subscribe(
        env,
        users.map((u) => pair(p, u)),
        T0 + i,
      );
    }
    const filters = [
      [{ object: project("b") }, ["b u3", "b u2", "b u1"]],
      [{ recipient: user("u2") }, ["d u2", "c u2", "b u2", "a u2"]],
      [{ object: project("a"), recipient: user("u1") }, ["a u1"]],
      [{ object: project("a"), recipients: [user("u1"), user("u3"), user("nobody")] }, ["a u3", "a u1"]],
      [{ recipient: user("u1"), objects: [project("a"), project("c")] }, ["c u1", "a u1"]],
      [{ objects: [project("a"), project("c")] }, ["c u3", "c u2", "c u1", "a u3", "a u2", "a u1"]],
      [{ recipients: [user("u2"), user("u1")], objects: [project("d")] }, ["d u2", "d u1"]],
      [{ objects: [], recipient: user("u1") }, []],
      [{ recipients: [] }, []],
      [{ object: project("nothing") }, []],
    ] as const;
    for (const [filter, expected] of filters) {
      const full = expected.map((one) => `projects/${one.replace(" ", " $users/")}`);
      for (const limit of [1, 2, 3, 10]) {
        const what = `${JSON.stringify(filter)}, limit ${limit}`;
        const found = await all((after) => parties.subscriptions(env, filter, { after, limit }));
        assert.deepEqual(named(found), full, what);
        const last = found.at(-1);
        if (last === undefined) continue;
        const end = keyInTime(last.createdAt, partyKey(last.object), partyKey(last.recipient));
        let back: string[] = [];
        for (let before: string | null = end; before !== null; ) {
          const page: Page<ObjectSubscription> = await parties.subscriptions(env, filter, { before, limit });
          back = [...named(page.items), ...back];
          before = page.next;
        }
        assert.deepEqual(back, full.slice(0, -1), `back, ${what}`);
      }
    }
    await assert.rejects(parties.subscriptions(env, { object: project("b") }, { after: "x", limit: 1 }), isInvalid);
    await assert.rejects(parties.subscriptions(env, {}, { limit: 1 }), /by object or by recipient/);
  });

  test(`${name}: a walk stays whole when subscriptions are added and renewed meanwhile`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    const p = project("p");
    for (let i = 0; i < 4; i++) await parties.subscribe(env, [pair(p, user(`u${i}`))], T0 + i);
    const first = await parties.subscriptions(env, { object: p }, { limit: 2 });
    await parties.subscribe(env, [pair(p, user("new")), pair(p, user("u0"), { a: 1 }), pair(p, user("u3"))], T0 + 9);
    const rest = await parties.subscriptions(env, { object: p }, { after: first.next, limit: 9 });
    assert.deepEqual(
      [...first.items, ...rest.items].map(({ recipient }) => recipient.id),
      ["u3", "u2", "u1", "u0"],
    );
  });

  test(`${name}: takes odd ids, refuses those it cannot store`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    const pairs = HOSTILE_IDS.flatMap((id) => [pair(project(id), user("ann")), pair(project("p"), user(id))]);
    assert.deepEqual(
      (await parties.subscribe(env, pairs, T0)).map(({ object, recipient }) => ({
        object,
        recipient,
        properties: null,
      })),
      pairs,
    );
    const longest = user("é".repeat(512));
    await parties.subscribe(env, [pair(project("é".repeat(507)), longest)], T0);
    assert.equal((await parties.subscriptions(env, { recipient: longest }, { limit: 5 })).items.length, 1);
    for (const id of ["", "a\0", "\ud800", "x".repeat(1025)]) {
      await assert.rejects(parties.subscribe(env, [...pairs, pair(project("p"), user(id))], T0), isInvalid);
      await assert.rejects(parties.unsubscribe(env, [pair(project(id), user("ann"))]), isInvalid);
    }
    await assert.rejects(parties.subscribe(env, [pair({ collection: "a/b", id: "c" }, user("ann"))], T0), isInvalid);
    assert.equal((await parties.unsubscribe(env, pairs)).length, pairs.length);
  });

  test(`${name}: subscribing and unsubscribing the same ones at once neither fails nor hangs`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    const pairs = Array.from({ length: 60 }, (_, i) => pair(project(`p${i % 6}`), user(`u${i}`), { i }));
    const back = [...pairs].reverse();
    for (let round = 0; round < 3; round++) {
      await Promise.all([
        parties.subscribe(env, pairs, T0),
        parties.unsubscribe(env, back),
        parties.subscribe(env, back, T0),
        parties.delete(env, ["p0", "p1"].map(project)),
        parties.unsubscribe(env, pairs),
      ]);
    }
    assert.equal((await parties.subscribe(env, back, T0)).length, 60);
  });

  test(`${name}: ten thousand subscribers come in pages by party key, each once`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    const p = project("big");
    const recipients = Array.from({ length: 10_000 }, (_, i) => {
      return i % 10 === 0 ? { collection: "teams", id: `t${i}` } : user(`${"😀\uffffa"[i % 3]?.toWellFormed()}${i}`);
    });
    for (let i = 0; i < recipients.length; i += 1000) {
      await parties.subscribe(
        env,
        recipients.slice(i, i + 1000).map((recipient, j) => pair(p, recipient, { n: i + j })),
        T0 + i,
      );
    }
    await parties.subscribe(env, [pair(project("big2"), user("other")), pair(project("bi"), user("other"))], T0);
    const pages: number[] = [];
    const found = await all(async (after) => {
      const page = await parties.subscribersOf(env, p, { after, limit: 999 });
      pages.push(page.items.length);
      return page;
    });
    assert.deepEqual(
      found.map(({ recipient }) => partyKey(recipient)),
      recipients.map(partyKey).sort(byCodePoints),
    );
    assert.deepEqual(pages, [...Array.from({ length: 10 }, () => 999), 10]);
    assert.ok(
      found.every(
        ({ recipient, properties }) =>
          partyKey(recipients[properties?.n as number] as PartyRef) === partyKey(recipient),
      ),
    );

    // Someone who comes or goes behind or ahead of the walk disturbs nobody else.
    const half = await parties.subscribersOf(env, p, { limit: 5000 });
    await parties.unsubscribe(env, [half.items[10], half.items.at(-1)] as ObjectSubscription[]);
    const rest = await parties.subscribersOf(env, p, { after: half.next, limit: 6000 });
    assert.deepEqual(
      rest.items.map(({ recipient }) => partyKey(recipient)),
      found.slice(5000).map(({ recipient }) => partyKey(recipient)),
    );
    assert.equal(rest.next, null);

    const listed = await all((after) => parties.subscriptions(env, { object: p }, { after, limit: 700 }));
    assert.equal(new Set(listed.map(({ recipient }) => partyKey(recipient))).size, 9998);
    assert.ok(listed.every((one, i) => i === 0 || one.createdAt <= (listed[i - 1]?.createdAt as number)));

    assert.deepEqual(await parties.delete(env, [p]), [false], "there is no such object, only what hangs on it");
    assert.deepEqual((await parties.subscribersOf(env, p, { limit: 5 })).items, []);
    assert.equal((await parties.subscribersOf(env, project("big2"), { limit: 5 })).items.length, 1);
  });
});
