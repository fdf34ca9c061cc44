import assert from "node:assert/strict";
import { test } from "node:test";
import type { EnvironmentId } from "../../src/engine/model.ts";
import type { Page } from "../../src/engine/ports.ts";
import { Refusal } from "../../src/engine/refusal.ts";
import { type AudienceMember, keyInTime } from "../../src/engine/workflow/model.ts";
import type { PartyStore } from "../../src/engine/workflow/ports.ts";
import { forEachDatabase } from "./databases.ts";
import { newEnvironmentId, T0 } from "./fixtures.ts";

const member = (userId: string, tenantId: string | null = null) => ({ userId, tenantId });
const isInvalid = (error: unknown): boolean => error instanceof Refusal && error.code === "invalid";

async function allOf(
  parties: PartyStore,
  env: EnvironmentId,
  audience: string,
  limit: number,
): Promise<AudienceMember[]> {
  const items: AudienceMember[] = [];
  for (let after: string | null = null; ; ) {
    const page: Page<AudienceMember> = await parties.members(env, audience, { after, limit });
    items.push(...page.items);
    if (page.next === null) return items;
    after = page.next;
  }
}

forEachDatabase((name, open) => {
  test(`${name}: members are added once, in a tenant apart from as such`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    await parties.putMembers(env, "vip", [member("ann"), member("ann", "acme"), member("ann")], T0);
    await parties.putMembers(env, "vip", [member("ann"), member("bob")], T0 + 1);
    assert.deepEqual((await parties.members(env, "vip", { limit: 9 })).items, [
      { userId: "bob", tenantId: null, addedAt: T0 + 1 },
      { userId: "ann", tenantId: "acme", addedAt: T0 },
      { userId: "ann", tenantId: null, addedAt: T0 },
    ]);
    const is = (userId: string, tenantId: string | null, audience = "vip") => {
      return parties.isMember(env, audience, userId, tenantId);
    };
    assert.deepEqual(
      await Promise.all([is("ann", null), is("ann", "acme"), is("bob", null), is("bob", "acme"), is("ann", null, "v")]),
      [true, true, true, false, false],
    );
    assert.equal(await parties.isMember(newEnvironmentId(), "vip", "ann", null), false);

    await parties.deleteMembers(newEnvironmentId(), "vip", [member("ann")]);
    await parties.deleteMembers(env, "vip", [member("ann"), member("nobody"), member("bob", "acme")]);
    assert.deepEqual(await Promise.all([is("ann", null), is("ann", "acme"), is("bob", null)]), [false, true, true]);
    await parties.putMembers(env, "vip", [], T0);
    await parties.deleteMembers(env, "vip", []);
  });

  test(`${name}: members are listed newest first, a thousand of one moment each once, both ways`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    const many = Array.from({ length: 1000 }, (_, i) => member(`u${i % 500}`, i < 500 ? null : "😀"));
    await parties.putMembers(env, "all", many, T0);
    await parties.putMembers(env, "all", [member("newest")], T0 + 1);
    await parties.putMembers(env, "all2", [member("other")], T0 + 1);
    const found = await allOf(parties, env, "all", 333);
    const keys = found.map((m) => `${m.userId} ${m.tenantId}`);
    assert.equal(new Set(keys).size, 1001);
    assert.equal(keys.length, 1001);
    assert.equal(found[0]?.userId, "newest");
    const middle = found[500] as AudienceMember;
    const key = keyInTime(middle.addedAt, middle.userId, middle.tenantId ?? "");
    const before = await parties.members(env, "all", { before: key, limit: 10 });
    assert.deepEqual(before.items, found.slice(490, 500));
    const ahead = await parties.members(env, "all", { before: before.next, limit: 1000 });
    assert.deepEqual([ahead.items, ahead.next], [found.slice(0, 490), null]);
    const after = await parties.members(env, "all", { after: key, limit: 10 });
    assert.deepEqual(after.items, found.slice(501, 511));
  });

  test(`${name}: takes odd ids, refuses those it cannot store`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    const odd = ["\u0001", "'; --", "a/b", "\\", '"q"', "{a,b}", "NULL", "\uffff", "😀", "é".repeat(512)];
    const members = odd.flatMap((id) => [member(id), member("ann", id), member(id, id)]);
    const audience = "é".repeat(128);
    await parties.putMembers(env, audience, members, T0);
    for (const { userId, tenantId } of members) assert.ok(await parties.isMember(env, audience, userId, tenantId));
    assert.equal((await allOf(parties, env, audience, 7)).length, members.length);
    for (const bad of ["", "a\0", "\ud800", "x".repeat(1025)]) {
      await assert.rejects(parties.putMembers(env, bad, [member("ann")], T0), isInvalid);
      await assert.rejects(parties.putMembers(env, "vip", [member("ann"), member(bad)], T0), isInvalid);
      await assert.rejects(parties.deleteMembers(env, "vip", [member("ann", bad)]), isInvalid);
    }
    assert.deepEqual((await parties.members(env, "vip", { limit: 5 })).items, []);
    await parties.deleteMembers(env, audience, members);
    assert.deepEqual((await parties.members(env, audience, { limit: 5 })).items, []);
  });

  test(`${name}: adding and removing the same members at once neither fails nor hangs`, async () => {
    const { parties } = await open();
    const env = newEnvironmentId();
    const members = Array.from({ length: 50 }, (_, i) => member(`u${i}`, i % 2 === 0 ? null : `t${i % 3}`));
    const back = [...members].reverse();
    for (let round = 0; round < 3; round++) {
      await Promise.all([
        parties.putMembers(env, "vip", members, T0),
        parties.deleteMembers(env, "vip", back),
        parties.putMembers(env, "vip", back, T0),
        parties.delete(
          env,
          ["u1", "u2", "u3"].map((id) => ({ collection: "$users", id })),
        ),
        parties.deleteMembers(env, "vip", members),
      ]);
    }
    await parties.putMembers(env, "vip", back, T0);
    assert.equal((await allOf(parties, env, "vip", 20)).length, 50);
  });
});
