import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DeviceToken, EnvironmentId, Membership } from "../../src/engine/model.ts";
import type { DirectoryStore, Page, PageQuery } from "../../src/engine/ports.ts";
import { Refusal } from "../../src/engine/refusal.ts";
import { newId } from "../../src/lib/ids.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import { run } from "../../src/storage/database.ts";
import { text } from "../../src/storage/text.ts";
import { MAX_TOKENS_OF_USER } from "../../src/storage/tokens.ts";
import { forEachDatabase } from "./databases.ts";

const AT = Date.UTC(2026, 0, 5, 12);

/** Ids that a careless query, pattern or array literal would trip over; in the order of their code points. */
const HOSTILE_IDS = [
  "\u0001",
  " leading",
  '"double"',
  "%_like",
  "'; drop table users; --",
  "100",
  "A",
  "NULL",
  "[]",
  "\\back\\slash",
  "__proto__",
  "a b/c@d#ü",
  "x".repeat(500),
  "{a,b}",
  "ü",
  "日本",
  "\ue000 private",
  "😀👩‍👩‍👧",
];

const UNSTORABLE_IDS = ["a\0b", "\0", "\ud800", "a\udc00b"];

function newEnvironment(): EnvironmentId {
  return newId("env", AT);
}

function token(text: string, userId: string, more: Partial<DeviceToken> = {}): DeviceToken {
  return {
    token: text,
    userId,
    provider: "fcm",
    state: "active",
    stateReason: null,
    expiresAt: null,
    device: null,
    properties: null,
    tracking: null,
    createdAt: AT,
    updatedAt: AT,
    ...more,
  };
}

function membership(tenantId: string, userId: string, profile: JsonObject | null = null): Membership {
  return { tenantId, userId, profile, createdAt: AT };
}

function wanted(listId: string, userIds: readonly string[], preferences: JsonObject | null = null) {
  return userIds.map((userId) => ({ listId, userId, preferences }));
}

/** Follows `next` to the end. */
async function all<T>(page: (query: PageQuery) => Promise<Page<T>>, limit: number): Promise<T[]> {
  const items: T[] = [];
  let after: string | null = null;
  do {
    const got: Page<T> = await page({ after, limit });
    assert.ok(got.items.length <= limit, "a page is never longer than its limit");
    items.push(...got.items);
    after = got.next;
  } while (after !== null);
  return items;
}

async function subscribersOf(directory: DirectoryStore, env: EnvironmentId, listId: string): Promise<string[]> {
  return (await all((query) => directory.subscribers(env, listId, query), 100)).map((s) => s.userId);
}

const isInvalid = (error: unknown): boolean => error instanceof Refusal && error.code === "invalid";

forEachDatabase((name, open, openRaw) => {
  const directory = async (): Promise<DirectoryStore> => (await open()).directory;

  describe("users", () => {
    test(`${name}: a profile is read back as it was written`, async () => {
      const users = await directory();
      const env = newEnvironment();
      const profile = JSON.parse(
        '{"name":"Zoë 😀","nul":"a\\u0000b","lone":"\\ud800","__proto__":{"x":1},"n":1.5,"none":null,"deep":[[{"a":[]}]]}',
      ) as JsonObject;
      const written = await users.modifyUser(env, "u1", AT, (before) => {
        assert.equal(before, null);
        return profile;
      });
      assert.deepEqual(written, { environmentId: env, id: "u1", profile, createdAt: AT, updatedAt: AT });
      assert.deepEqual(await users.readUser(env, "u1"), written);
      assert.deepEqual((await users.facts(env, ["u1"]))[0]?.profile, profile);
    });

    test(`${name}: a change keeps the time of creation`, async () => {
      const users = await directory();
      const env = newEnvironment();
      await users.modifyUser(env, "u1", AT, () => ({ a: 1 }));
      await users.modifyUser(env, "u1", AT + 5, (before) => ({ ...before, b: 2 }));
      const user = await users.readUser(env, "u1");
      assert.deepEqual(user?.profile, { a: 1, b: 2 });
      assert.deepEqual([user?.createdAt, user?.updatedAt], [AT, AT + 5]);
    });

    test(`${name}: of changes that meet on a user who does not exist yet none is lost`, async () => {
      const users = await directory();
      const env = newEnvironment();
      const keys = Array.from({ length: 30 }, (_, i) => `k${i}`);
      await Promise.all(keys.map((key) => users.modifyUser(env, "new", AT, (before) => ({ ...before, [key]: true }))));
      assert.deepEqual(Object.keys((await users.readUser(env, "new"))?.profile ?? {}).sort(), keys.sort());
    });

    test(`${name}: changes and deletions that meet leave a user who is there or not`, async () => {
      const users = await directory();
      const env = newEnvironment();
      await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          i % 2 === 0 ? users.modifyUser(env, "u", AT, () => ({ i })) : users.deleteUser(env, "u"),
        ),
      );
      const left = await users.readUser(env, "u");
      assert.equal(await users.deleteUser(env, "u"), left !== null);
    });

    test(`${name}: what the change throws rejects the call and leaves no trace`, async () => {
      const users = await directory();
      const env = newEnvironment();
      const failure = new Refusal("invalid", "no");
      const refuse = (): JsonObject => {
        throw failure;
      };
      await assert.rejects(users.modifyUser(env, "nobody", AT, refuse), failure);
      assert.equal(await users.readUser(env, "nobody"), null);
      await users.modifyUser(env, "somebody", AT, () => ({ a: 1 }));
      await assert.rejects(users.modifyUser(env, "somebody", AT + 1, refuse), failure);
      assert.deepEqual((await users.readUser(env, "somebody"))?.updatedAt, AT);
    });

    test(`${name}: a change that fails takes none of those made in the same turn with it`, async () => {
      const users = await directory();
      const env = newEnvironment();
      const results = await Promise.allSettled(
        ["a", "b", "c"].map((id) =>
          users.modifyUser(env, id, AT, () => {
            if (id === "b") throw new Error("no");
            return {};
          }),
        ),
      );
      assert.deepEqual(
        results.map((r) => r.status),
        ["fulfilled", "rejected", "fulfilled"],
      );
      const there = await Promise.all(["a", "b", "c"].map((id) => users.readUser(env, id)));
      assert.deepEqual(
        there.map((user) => user !== null),
        [true, false, true],
      );
    });

    test(`${name}: a profile nested without reason is kept, or is the caller's mistake`, async () => {
      const users = await directory();
      const env = newEnvironment();
      let deep: JsonObject = { end: true };
      for (let i = 0; i < 50_000; i++) deep = { a: deep };
      const kept = await users
        .modifyUser(env, "u", AT, () => deep)
        .catch((error: unknown) => {
          assert.ok(isInvalid(error));
          return null;
        });
      let [facts] = (await users.facts(env, ["u"])).map((f) => f.profile);
      assert.equal(facts === null, kept === null);
      if (facts === null) return;
      for (let i = 0; i < 50_000; i++) facts = facts?.a as JsonObject;
      assert.equal(facts?.end, true);
    });

    test(`${name}: deleting a profile keeps subscriptions, tokens and memberships`, async () => {
      const users = await directory();
      const env = newEnvironment();
      await users.modifyUser(env, "u", AT, () => ({ a: 1 }));
      await users.subscribe(env, wanted("l", ["u"]), AT);
      await users.putTokens(env, [token("t", "u")]);
      await users.putMemberships(env, [membership("acme", "u")]);
      assert.equal(await users.deleteUser(env, "u"), true);
      assert.equal(await users.deleteUser(env, "u"), false);
      assert.equal(await users.readUser(env, "u"), null);
      assert.deepEqual(await subscribersOf(users, env, "l"), ["u"]);
      const [facts] = await users.facts(env, ["u"]);
      assert.equal(facts?.profile, null);
      assert.deepEqual(facts?.tokens, [token("t", "u")]);
      assert.deepEqual(facts?.tenantIds, ["acme"]);
    });

    test(`${name}: facts come in the order asked for, unknown and repeated users included`, async () => {
      const users = await directory();
      const env = newEnvironment();
      const full = token("t1", "b", {
        state: "failed",
        stateReason: 'said "no"',
        expiresAt: AT + 1,
        device: JSON.parse('{"platform":"ios","nul":"\\u0000","\\ud800":1}') as JsonObject,
        properties: { a: [1, 2] },
        tracking: { ip: "::1" },
      });
      await users.modifyUser(env, "a", AT, () => ({ n: 1 }));
      await users.putTokens(env, [token("t2", "b"), full]);
      await users.putMemberships(
        env,
        ["z", "x", "y"].map((tenant) => membership(tenant, "c")),
      );
      await users.putMemberships(env, [membership("only", "a")]);
      assert.deepEqual(await users.facts(env, ["c", "nobody", "a", "b", "a"]), [
        { userId: "c", profile: null, tokens: [], tenantIds: ["x", "y"] },
        { userId: "nobody", profile: null, tokens: [], tenantIds: [] },
        { userId: "a", profile: { n: 1 }, tokens: [], tenantIds: ["only"] },
        { userId: "b", profile: null, tokens: [full, token("t2", "b")], tenantIds: [] },
        { userId: "a", profile: { n: 1 }, tokens: [], tenantIds: ["only"] },
      ]);
      assert.deepEqual(await users.facts(env, []), []);
    });

    test(`${name}: hostile ids are ids like any other`, async () => {
      const users = await directory();
      const env = newEnvironment();
      for (const id of HOSTILE_IDS) await users.modifyUser(env, id, AT, () => ({ id }));
      for (const id of HOSTILE_IDS) assert.deepEqual((await users.readUser(env, id))?.profile, { id });
      assert.deepEqual(
        (await users.facts(env, HOSTILE_IDS)).map((facts) => [facts.userId, facts.profile]),
        HOSTILE_IDS.map((id) => [id, { id }]),
      );
    });

    test(`${name}: ids that cannot be stored as they are, or are too long for an index, are refused`, async () => {
      const users = await directory();
      const env = newEnvironment();
      const long = Array.from({ length: 600 }, (_, i) => String.fromCodePoint(0x1f300 + ((i * 7919) % 700))).join("");
      for (const id of [...UNSTORABLE_IDS, "", long]) {
        await assert.rejects(
          users.modifyUser(env, id, AT, () => ({})),
          isInvalid,
        );
        await assert.rejects(users.subscribe(env, wanted("l", ["u", id]), AT), isInvalid);
        await assert.rejects(users.subscribe(env, wanted(id, ["u"]), AT), isInvalid);
        await assert.rejects(users.putList(env, { id, name: "n", preferences: null }, AT), isInvalid);
        await assert.rejects(users.putTokens(env, [token("t", id)]), isInvalid);
        await assert.rejects(users.putMemberships(env, [membership(id, "u")]), isInvalid);
      }
      await users.putList(env, { id: "l", name: "n", preferences: null }, AT);
      for (const id of UNSTORABLE_IDS) {
        await assert.rejects(users.readUser(env, id), isInvalid);
        await assert.rejects(users.facts(env, ["u", id]), isInvalid);
        await assert.rejects(users.subscribersOfAny(env, ["l", id], { limit: 5 }), isInvalid);
        await assert.rejects(users.subscribers(env, "l", { after: id, limit: 5 }), isInvalid);
      }
      assert.deepEqual(await subscribersOf(users, env, "l"), []);
    });

    test(`${name}: two ids as long as they may be share an index`, async () => {
      const users = await directory();
      const env = newEnvironment();
      // Of changing letters, so that Postgres cannot press it into the size of an index row.
      const long = (seed: number): string =>
        Array.from({ length: 1024 }, (_, i) => String.fromCharCode(33 + ((i * i * seed + i * 31) % 90))).join("");
      await users.subscribe(env, wanted(long(7), [long(11)]), AT);
      await users.putMemberships(env, [membership(long(7), long(11))]);
      await users.putTokens(env, [token(`${long(13)}${long(17).slice(0, 512)}`, long(11))]);
      assert.deepEqual(await subscribersOf(users, env, long(7)), [long(11)]);
    });
  });

  describe("lists", () => {
    test(`${name}: a list is created, then replaced, with its subscribers untouched`, async () => {
      const lists = await directory();
      const env = newEnvironment();
      assert.equal(await lists.readList(env, "l"), null);
      await lists.putList(env, { id: "l", name: "One", preferences: { a: 1 } }, AT);
      await lists.subscribe(env, wanted("l", ["u"]), AT);
      await lists.putList(env, { id: "l", name: "Two", preferences: null }, AT + 1);
      assert.deepEqual(await lists.readList(env, "l"), {
        id: "l",
        name: "Two",
        preferences: null,
        createdAt: AT,
        updatedAt: AT + 1,
        deletedAt: null,
      });
      assert.deepEqual(await subscribersOf(lists, env, "l"), ["u"]);
    });

    test(`${name}: a deleted list reaches nobody and comes back with its subscribers`, async () => {
      const lists = await directory();
      const env = newEnvironment();
      await lists.subscribe(env, wanted("l", ["a", "b"], { p: 1 }), AT);
      assert.equal(await lists.deleteList(env, "l", AT + 1), true);
      assert.equal(await lists.deleteList(env, "l", AT + 2), false);
      assert.equal((await lists.readList(env, "l"))?.deletedAt, AT + 1);
      assert.deepEqual((await lists.lists(env, "", () => true, { limit: 5 })).items, []);
      assert.deepEqual(await subscribersOf(lists, env, "l"), []);
      assert.deepEqual((await lists.subscribersOfAny(env, ["l"], { limit: 5 })).items, []);
      assert.deepEqual((await lists.subscriptionsOf(env, "a", { limit: 5 })).items, []);
      assert.equal(await lists.unsubscribe(env, "l", "a"), false);

      assert.equal(await lists.restoreList(env, "l", AT + 3), true);
      assert.equal((await lists.readList(env, "l"))?.deletedAt, null);
      assert.equal((await lists.readList(env, "l"))?.createdAt, AT);
      assert.deepEqual(await subscribersOf(lists, env, "l"), ["a", "b"]);
    });

    test(`${name}: what never existed cannot be deleted or restored, and what is there is not changed by restoring`, async () => {
      const lists = await directory();
      const env = newEnvironment();
      assert.equal(await lists.deleteList(env, "l", AT), false);
      assert.equal(await lists.restoreList(env, "l", AT), false);
      await lists.putList(env, { id: "l", name: "One", preferences: null }, AT);
      const before = await lists.readList(env, "l");
      assert.equal(await lists.restoreList(env, "l", AT + 9), true);
      assert.deepEqual(await lists.readList(env, "l"), before);
    });

    test(`${name}: a deleted list that is put again is a new, empty one`, async () => {
      const lists = await directory();
      const env = newEnvironment();
      await lists.subscribe(env, wanted("l", ["a"]), AT);
      await lists.deleteList(env, "l", AT + 1);
      await lists.putList(env, { id: "l", name: "Anew", preferences: { x: 1 } }, AT + 2);
      assert.deepEqual(await lists.readList(env, "l"), {
        id: "l",
        name: "Anew",
        preferences: { x: 1 },
        createdAt: AT + 2,
        updatedAt: AT + 2,
        deletedAt: null,
      });
      assert.deepEqual(await subscribersOf(lists, env, "l"), []);
    });

    test(`${name}: subscribing creates missing lists and makes deleted ones anew, named by their id`, async () => {
      const lists = await directory();
      const env = newEnvironment();
      await lists.putList(env, { id: "kept", name: "Kept", preferences: { k: 1 } }, AT);
      await lists.putList(env, { id: "gone", name: "Gone", preferences: { g: 1 } }, AT);
      await lists.subscribe(env, wanted("gone", ["old"]), AT);
      await lists.deleteList(env, "gone", AT);
      await lists.subscribe(env, [...wanted("new", ["u"]), ...wanted("kept", ["u"]), ...wanted("gone", ["u"])], AT + 1);
      const found = (await lists.lists(env, "", () => true, { limit: 10 })).items;
      assert.deepEqual(
        found.map((list) => [list.id, list.name, list.preferences, list.createdAt]),
        [
          ["gone", "gone", null, AT + 1],
          ["kept", "Kept", { k: 1 }, AT],
          ["new", "new", null, AT + 1],
        ],
      );
      assert.deepEqual(await subscribersOf(lists, env, "gone"), ["u"]);
    });

    test(`${name}: of the same subscription twice in one call the last wins`, async () => {
      const lists = await directory();
      const env = newEnvironment();
      await lists.subscribe(
        env,
        [...wanted("l", ["u"], { n: 1 }), ...wanted("l", ["v"], { n: 2 }), ...wanted("l", ["u"], { n: 3 })],
        AT,
      );
      await lists.subscribe(env, wanted("l", ["v"]), AT + 1);
      assert.deepEqual((await lists.subscribers(env, "l", { limit: 5 })).items, [
        { listId: "l", userId: "u", preferences: { n: 3 }, createdAt: AT },
        { listId: "l", userId: "v", preferences: null, createdAt: AT },
      ]);
    });

    test(`${name}: replacing leaves exactly the subscribers given, also none`, async () => {
      const lists = await directory();
      const env = newEnvironment();
      await lists.subscribe(env, [...wanted("l", ["a", "b", "c"]), ...wanted("other", ["a"])], AT);
      await lists.subscribe(env, wanted("l", ["b", "d"]), AT + 1, { listId: "l", replace: true });
      assert.deepEqual(await subscribersOf(lists, env, "l"), ["b", "d"]);
      await lists.subscribe(env, [], AT + 2, { listId: "l", replace: true });
      assert.deepEqual(await subscribersOf(lists, env, "l"), []);
      assert.deepEqual(await subscribersOf(lists, env, "other"), ["a"]);
      await lists.subscribe(env, [], AT + 2, { listId: "fresh", replace: true });
      await lists.subscribe(env, [], AT + 2, { listId: "named", replace: false });
      assert.equal((await lists.readList(env, "named"))?.name, "named");
      assert.equal((await lists.readList(env, "fresh"))?.name, "fresh");
    });

    test(`${name}: replacements that meet leave the set of one of them`, async () => {
      const lists = await directory();
      const env = newEnvironment();
      for (const listId of ["there", "not-there"]) {
        if (listId === "there") await lists.subscribe(env, wanted(listId, ["x"]), AT);
        const sets = Array.from({ length: 8 }, (_, i) => [`a${i}`, `b${i}`]);
        await Promise.all(sets.map((set) => lists.subscribe(env, wanted(listId, set), AT, { listId, replace: true })));
        const left = await subscribersOf(lists, env, listId);
        assert.ok(
          sets.some((set) => set.join() === left.join()),
          `left are ${left}`,
        );
      }
    });

    test(`${name}: subscribing, leaving and deleting at once neither fails nor stands still`, async () => {
      const lists = await directory();
      const env = newEnvironment();
      const ids = ["l1", "l2", "l3"];
      await Promise.all(
        Array.from({ length: 40 }, (_, i) => {
          const order = i % 2 === 0 ? ids : ids.toReversed();
          if (i % 10 === 3) return lists.deleteList(env, "l2", AT);
          if (i % 10 === 5) return lists.unsubscribeFromAll(env, "u1");
          if (i % 10 === 7)
            return lists.subscribe(env, wanted("l1", ["u0", "u3"]), AT, { listId: "l1", replace: true });
          if (i % 10 === 9) return lists.putList(env, { id: "l2", name: "n", preferences: null }, AT);
          const users = [`u${i % 4}`, `u${(i + 1) % 4}`];
          return lists.subscribe(
            env,
            order.flatMap((id) => wanted(id, users)),
            AT,
          );
        }),
      );
      await lists.subscribe(env, wanted("l2", ["last"]), AT);
      assert.ok((await subscribersOf(lists, env, "l2")).includes("last"));
    });

    test(`${name}: leaving one list, and leaving all, deleted ones included`, async () => {
      const lists = await directory();
      const env = newEnvironment();
      await lists.subscribe(env, [...wanted("a", ["u", "v"]), ...wanted("b", ["u"]), ...wanted("c", ["u"])], AT);
      assert.equal(await lists.unsubscribe(env, "a", "u"), true);
      assert.equal(await lists.unsubscribe(env, "a", "u"), false);
      assert.equal(await lists.unsubscribe(env, "none", "u"), false);
      await lists.deleteList(env, "c", AT);
      await lists.unsubscribeFromAll(env, "u");
      await lists.restoreList(env, "c", AT);
      assert.deepEqual((await lists.subscriptionsOf(env, "u", { limit: 5 })).items, []);
      assert.deepEqual(await subscribersOf(lists, env, "a"), ["v"]);
      await lists.unsubscribeFromAll(env, "nobody");
    });

    test(`${name}: the lists of a user come with the subscription, by id, in pages`, async () => {
      const lists = await directory();
      const env = newEnvironment();
      await lists.subscribe(
        env,
        ["c", "a", "b"].flatMap((id) => wanted(id, ["u", "other"], { of: id })),
        AT,
      );
      const first = await lists.subscriptionsOf(env, "u", { limit: 2 });
      assert.deepEqual(
        first.items.map((list) => list.id),
        ["a", "b"],
      );
      assert.equal(first.next, "b");
      assert.deepEqual(first.items[0]?.subscription, {
        listId: "a",
        userId: "u",
        preferences: { of: "a" },
        createdAt: AT,
      });
      const second = await lists.subscriptionsOf(env, "u", { after: first.next, limit: 2 });
      assert.deepEqual(
        second.items.map((list) => list.name),
        ["c"],
      );
      assert.equal(second.next, null);
    });

    test(`${name}: lists are narrowed by prefix and by the caller until the page is full`, async () => {
      const lists = await directory();
      const env = newEnvironment();
      const ids = Array.from({ length: 1300 }, (_, i) => `p.${String(i).padStart(4, "0")}`);
      await lists.subscribe(
        env,
        [...ids, "o", "p", "p-", "q", "p.é"].flatMap((id) => wanted(id, ["u"])),
        AT,
      );
      const seen: string[] = [];
      const even = (id: string): boolean => {
        seen.push(id);
        return Number(id.slice(-1)) % 2 === 0;
      };
      const first = await lists.lists(env, "p.", even, { limit: 3 });
      assert.deepEqual(
        first.items.map((list) => list.id),
        ["p.0000", "p.0002", "p.0004"],
      );
      assert.equal(first.next, "p.0004");
      const hundreds = await all((query) => lists.lists(env, "p.", (id) => id.endsWith("00"), query), 4);
      assert.equal(hundreds.length, 13);
      assert.ok(seen.every((id) => id.startsWith("p.")));
      const last = await lists.lists(env, "p.", (id) => id === "p.é", { limit: 1 });
      assert.equal(last.items.length, 1);
      assert.equal(last.next, null);
      assert.deepEqual((await lists.lists(env, "p.", () => false, { limit: 1 })).items, []);
      assert.equal((await all((query) => lists.lists(env, "", () => true, query), 500)).length, 1305);
    });

    test(`${name}: what the caller throws while narrowing rejects the call`, async () => {
      const lists = await directory();
      const env = newEnvironment();
      await lists.putList(env, { id: "l", name: "n", preferences: null }, AT);
      const failure = new Error("no");
      await assert.rejects(
        lists.lists(
          env,
          "",
          () => {
            throw failure;
          },
          { limit: 1 },
        ),
        failure,
      );
    });

    test(`${name}: subscribers come in the order of their code points, in pages of any size`, async () => {
      const lists = await directory();
      const env = newEnvironment();
      await lists.subscribe(env, wanted("l", HOSTILE_IDS.toReversed()), AT);
      for (const limit of [1, 7, HOSTILE_IDS.length, 100]) {
        const found = await all((query) => lists.subscribers(env, "l", query), limit);
        assert.deepEqual(
          found.map((s) => s.userId),
          HOSTILE_IDS,
        );
      }
      assert.deepEqual((await lists.subscribers(env, "unknown", { limit: 3 })).items, []);
    });

    test(`${name}: users of several lists come once, with the subscription of the least list`, async () => {
      const lists = await directory();
      const env = newEnvironment();
      const users = Array.from({ length: 300 }, (_, i) => `u${String(i).padStart(3, "0")}`);
      const of: { [list: string]: string[] } = {
        a: users.filter((_, i) => i % 50 === 0),
        b: users,
        c: users.filter((_, i) => i % 2 === 0),
        d: HOSTILE_IDS,
        e: ["zz-last"],
        f: users,
      };
      for (const [id, members] of Object.entries(of)) await lists.subscribe(env, wanted(id, members, { id }), AT);
      await lists.deleteList(env, "f", AT);
      const everyone = [...users, ...HOSTILE_IDS, "zz-last"];
      for (const limit of [1, 16, 17, 99, 1000]) {
        const found = await all(
          (query) => lists.subscribersOfAny(env, ["f", "e", "d", "c", "b", "a", "b", "unknown"], query),
          limit,
        );
        assert.equal(found.length, everyone.length);
        assert.deepEqual(new Set(found.map((s) => s.userId)), new Set(everyone));
        for (let i = 1; i < found.length; i++) {
          const [before, after] = [found[i - 1]?.userId ?? "", found[i]?.userId ?? ""];
          assert.ok(Buffer.compare(Buffer.from(before), Buffer.from(after)) < 0, `${before} before ${after}`);
        }
        for (const s of found) {
          const least = Object.keys(of).find((id) => of[id]?.includes(s.userId));
          assert.equal(s.listId, least);
          assert.deepEqual(s.preferences, { id: least });
        }
      }
      assert.deepEqual(await lists.subscribersOfAny(env, [], { limit: 5 }), { items: [], next: null });
    });

    test(`${name}: thousands of subscriptions go into one call`, async () => {
      const lists = await directory();
      const env = newEnvironment();
      const users = Array.from({ length: 12_000 }, (_, i) => `user-${i}`);
      await lists.subscribe(env, wanted("big", users), AT);
      await lists.subscribe(env, wanted("big", users.slice(1000)), AT, { listId: "big", replace: true });
      const page = await lists.subscribers(env, "big", { limit: 1000 });
      assert.equal(page.items.length, 1000);
      assert.equal((await all((query) => lists.subscribers(env, "big", query), 1000)).length, 11_000);
    });
  });

  describe("tokens", () => {
    test(`${name}: changes of one token that meet are all kept, and none brings a deleted token back`, async () => {
      const tokens = await directory();
      const env = newEnvironment();
      await tokens.putTokens(env, [token("met", "u", { properties: {} })]);
      const keys = Array.from({ length: 12 }, (_, i) => `k${i}`);
      await Promise.all(
        keys.map((key) =>
          tokens.modifyToken(env, "u", "met", (old) => ({ ...old, properties: { ...old.properties, [key]: 1 } })),
        ),
      );
      assert.deepEqual(Object.keys((await tokens.readToken(env, "u", "met"))?.properties ?? {}).sort(), keys.sort());
      await tokens.deleteToken(env, "u", "met");
      assert.equal(await tokens.modifyToken(env, "u", "met", (old) => old), null);
      assert.equal(await tokens.readToken(env, "u", "met"), null);
      assert.equal(await tokens.modifyToken(env, "another", "a", (old) => old), null);
    });

    test(`${name}: tokens are added and overwritten, the others stay`, async () => {
      const tokens = await directory();
      const env = newEnvironment();
      await tokens.putTokens(env, [token("a", "u"), token("b", "u", { device: { platform: "ios" } })]);
      const changed = token("a", "u", { provider: "apn", properties: { n: 1 }, updatedAt: AT + 1, expiresAt: AT + 2 });
      await tokens.putTokens(env, [token("a", "u"), changed]);
      assert.deepEqual(await tokens.tokens(env, "u"), [changed, token("b", "u", { device: { platform: "ios" } })]);
      assert.deepEqual(await tokens.readToken(env, "u", "a"), changed);
      await tokens.putTokens(env, []);
    });

    test(`${name}: a token that is put on another user moves there`, async () => {
      const tokens = await directory();
      const env = newEnvironment();
      await tokens.putTokens(env, [token("a", "first")]);
      await tokens.putTokens(env, [token("a", "second")]);
      assert.deepEqual(await tokens.tokens(env, "first"), []);
      assert.equal(await tokens.readToken(env, "first", "a"), null);
      assert.equal(await tokens.deleteToken(env, "first", "a"), false);
      assert.deepEqual(await tokens.readToken(env, "second", "a"), token("a", "second"));
      assert.equal(await tokens.deleteToken(env, "second", "a"), true);
      assert.equal(await tokens.deleteToken(env, "second", "a"), false);
    });

    test(`${name}: users who want the same tokens at once leave each token with one of them`, async () => {
      const tokens = await directory();
      const env = newEnvironment();
      const names = ["t1", "t2", "t3", "t4"];
      await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          tokens.putTokens(
            env,
            (i % 2 === 0 ? names : names.toReversed()).map((one) => token(one, `u${i}`)),
          ),
        ),
      );
      const facts = await tokens.facts(
        env,
        Array.from({ length: 20 }, (_, i) => `u${i}`),
      );
      const having = facts.filter((f) => f.tokens.length > 0);
      assert.deepEqual(
        having.map((f) => f.tokens.map((one) => one.token)),
        [names],
      );
    });

    test(`${name}: tokens called dead fail with a reason; revoked ones stay revoked`, async () => {
      const tokens = await directory();
      const env = newEnvironment();
      await tokens.putTokens(env, [
        token("a", "u"),
        token("b", "v", { state: "unknown" }),
        token("c", "u", { state: "revoked" }),
        token("d", "u", { state: "failed", stateReason: "earlier" }),
        token("e", "u"),
      ]);
      await tokens.failTokens(env, ["a", "b", "c", "d", "unknown"], "not\0 registered", AT + 7);
      const states = [...(await tokens.tokens(env, "u")), ...(await tokens.tokens(env, "v"))];
      assert.deepEqual(
        states.map((t) => [t.token, t.state, t.stateReason, t.updatedAt]),
        [
          ["a", "failed", "not registered", AT + 7],
          ["c", "revoked", null, AT],
          ["d", "failed", "earlier", AT],
          ["e", "active", null, AT],
          ["b", "failed", "not registered", AT + 7],
        ],
      );
      await tokens.failTokens(env, [], "nothing", AT);
    });

    test(`${name}: more tokens than a send can read are refused, and nothing of them is kept`, async () => {
      const tokens = await directory();
      const env = newEnvironment();
      const many = Array.from({ length: MAX_TOKENS_OF_USER }, (_, i) => token(`t${i}`, "u"));
      await tokens.putTokens(env, many);
      await assert.rejects(tokens.putTokens(env, [token("other", "v"), token("one-more", "u")]), isInvalid);
      assert.equal((await tokens.tokens(env, "u")).length, MAX_TOKENS_OF_USER);
      assert.deepEqual(await tokens.tokens(env, "v"), []);
    });
  });

  describe("memberships", () => {
    test(`${name}: a membership replaces the profile of the earlier one`, async () => {
      const tenants = await directory();
      const env = newEnvironment();
      await tenants.putMemberships(env, [membership("t", "u", { a: 1 })]);
      await tenants.putMemberships(env, [membership("t", "u", { c: 3 }), membership("t", "u", { b: 2 })]);
      assert.deepEqual(await tenants.readMembership(env, "u", "t"), membership("t", "u", { b: 2 }));
      assert.equal(await tenants.readMembership(env, "t", "u"), null);
      assert.equal(await tenants.deleteMembership(env, "u", "t"), true);
      assert.equal(await tenants.deleteMembership(env, "u", "t"), false);
    });

    test(`${name}: tenants of a user and members of tenants come in order, in pages`, async () => {
      const tenants = await directory();
      const env = newEnvironment();
      await tenants.putMemberships(
        env,
        HOSTILE_IDS.flatMap((id) => [membership(id, "u"), membership("t1", id), membership("t2", id)]),
      );
      for (const limit of [1, 5, 100]) {
        const own = await all((query) => tenants.tenantsOf(env, "u", query), limit);
        assert.deepEqual(
          own.map((m) => m.tenantId),
          HOSTILE_IDS,
        );
        const members = await all((query) => tenants.membersOfAny(env, ["t2", "t1", "t2"], query), limit);
        assert.deepEqual(
          members.map((m) => [m.userId, m.tenantId]),
          HOSTILE_IDS.map((id) => [id, "t1"]),
        );
      }
      assert.deepEqual(await tenants.membersOfAny(env, [], { limit: 1 }), { items: [], next: null });
    });

    test(`${name}: those who belong to every one of the tenants are found`, async () => {
      const tenants = await directory();
      const env = newEnvironment();
      await tenants.putMemberships(env, [
        ...["a", "b", "c"].map((user) => membership("t1", user)),
        ...["b", "c", "d"].map((user) => membership("t2", user)),
      ]);
      const users = ["a", "b", "c", "d", "e", "b"];
      assert.deepEqual(await tenants.filterMembers(env, users, ["t1", "t2", "t1"]), new Set(["b", "c"]));
      assert.deepEqual(await tenants.filterMembers(env, users, ["t1"]), new Set(["a", "b", "c"]));
      assert.deepEqual(await tenants.filterMembers(env, users, ["t1", "none"]), new Set());
      assert.deepEqual(await tenants.filterMembers(env, users, []), new Set(users));
      assert.deepEqual(await tenants.filterMembers(env, [], ["t1"]), new Set());
    });

    test(`${name}: all memberships of a user, and of a tenant, end at once`, async () => {
      const tenants = await directory();
      const env = newEnvironment();
      const crowd = Array.from({ length: 5001 }, (_, i) => membership("big", `u${i}`));
      await tenants.putMemberships(env, [...crowd, membership("small", "u1"), membership("other", "u1")]);
      await tenants.deleteMembershipsOfTenant(env, "big");
      assert.deepEqual((await tenants.membersOfAny(env, ["big"], { limit: 1 })).items, []);
      assert.deepEqual(
        (await tenants.tenantsOf(env, "u1", { limit: 5 })).items.map((m) => m.tenantId),
        ["other", "small"],
      );
      await tenants.deleteMembershipsOfUser(env, "u1");
      assert.deepEqual((await tenants.tenantsOf(env, "u1", { limit: 5 })).items, []);
    });

    test(`${name}: memberships written and ended at once do not stand still`, async () => {
      const tenants = await directory();
      const env = newEnvironment();
      const ids = ["t1", "t2", "t3"];
      await Promise.all(
        Array.from({ length: 30 }, (_, i) => {
          if (i % 5 === 2) return tenants.deleteMembershipsOfUser(env, "u0");
          if (i % 5 === 4) return tenants.deleteMembershipsOfTenant(env, "t2");
          const order = i % 2 === 0 ? ids : ids.toReversed();
          return tenants.putMemberships(
            env,
            order.flatMap((id) => [membership(id, "u0"), membership(id, "u1")]),
          );
        }),
      );
      assert.equal((await tenants.filterMembers(env, ["u1"], ["t1", "t3"])).size, 1);
    });
  });

  test(`${name}: environments with the same ids never see each other`, async () => {
    const store = await directory();
    const [here, there] = [newEnvironment(), newEnvironment()];
    const fill = async (env: EnvironmentId, mark: string): Promise<void> => {
      await store.modifyUser(env, "u", AT, () => ({ mark }));
      await store.putList(env, { id: "l", name: mark, preferences: null }, AT);
      await store.subscribe(env, wanted("l", ["u"], { mark }), AT);
      await store.putTokens(env, [token("t", "u", { properties: { mark } })]);
      await store.putMemberships(env, [membership("acme", "u", { mark })]);
    };
    await fill(here, "here");
    await fill(there, "there");
    const look = async (env: EnvironmentId): Promise<unknown> => [
      await store.readUser(env, "u"),
      await store.facts(env, ["u"]),
      await store.lists(env, "", () => true, { limit: 5 }),
      await store.readList(env, "l"),
      await store.subscribers(env, "l", { limit: 5 }),
      await store.subscribersOfAny(env, ["l"], { limit: 5 }),
      await store.subscriptionsOf(env, "u", { limit: 5 }),
      await store.tokens(env, "u"),
      await store.readToken(env, "u", "t"),
      await store.readMembership(env, "u", "acme"),
      await store.tenantsOf(env, "u", { limit: 5 }),
      await store.membersOfAny(env, ["acme"], { limit: 5 }),
    ];
    const before = await look(here);
    assert.ok(!JSON.stringify(before).includes('"there"'));

    // Everything that changes or removes, on the other side.
    await store.failTokens(there, ["t"], "dead", AT);
    await store.subscribe(there, [], AT, { listId: "l", replace: true });
    await store.subscribe(there, wanted("l", ["u"]), AT);
    await store.unsubscribe(there, "l", "u");
    await store.subscribe(there, wanted("l", ["u"]), AT);
    await store.unsubscribeFromAll(there, "u");
    await store.deleteList(there, "l", AT);
    await store.subscribe(there, wanted("l", ["v"]), AT);
    await store.deleteList(there, "l", AT);
    await store.restoreList(there, "l", AT);
    await store.deleteList(there, "l", AT);
    await store.putList(there, { id: "l", name: "anew", preferences: null }, AT);
    await store.deleteToken(there, "u", "t");
    await store.deleteMembership(there, "u", "acme");
    await store.putMemberships(there, [membership("acme", "u")]);
    await store.deleteMembershipsOfUser(there, "u");
    await store.putMemberships(there, [membership("acme", "u")]);
    await store.deleteMembershipsOfTenant(there, "acme");
    await store.deleteUser(there, "u");
    assert.deepEqual(await look(here), before);
    assert.equal((await store.filterMembers(there, ["u"], ["acme"])).size, 0);
  });

  test(`${name}: the pages of a send are read along an index, in order`, async () => {
    const database = await openRaw();
    const explain = name === "sqlite" ? "explain query plan" : "explain";
    for (const [table, group] of [
      ["list_subscriptions", "list_id"],
      ["memberships", "tenant_id"],
    ]) {
      const plan = await database.read(function* () {
        if (name === "postgres") {
          // Small tables are always scanned; what matters is that the index can serve the order too.
          yield* run(text(name, "select set_config('enable_seqscan', 'off', true)", []));
          yield* run(text(name, "select set_config('enable_bitmapscan', 'off', true)", []));
        }
        const sql = `${explain} select * from ${table} where env_id = ? and ${group} = ? and user_id > ?
          order by user_id limit ?`;
        return (yield* run(text(name, sql, ["env", "g", "u", 1000]))).rows;
      });
      const told = JSON.stringify(plan);
      assert.match(told, name === "sqlite" ? /PRIMARY KEY \(env_id=\? AND \w+=\? AND user_id>\?\)/ : /Index Scan/);
      assert.doesNotMatch(told, /sort|temp b-tree/i);
    }
  });
});
