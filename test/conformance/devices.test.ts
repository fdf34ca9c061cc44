/** The port of devices, and the parts of the inbox's port that lists of many items need. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Device, DeviceToken } from "../../src/engine/model.ts";
import type { GotItem, Page } from "../../src/engine/ports.ts";
import { Refusal } from "../../src/engine/refusal.ts";
import { MAX_TOKENS_OF_USER } from "../../src/storage/tokens.ts";
import { forEachDatabase } from "./databases.ts";
import { inboxSend, newEnvironmentId, T0 } from "./fixtures.ts";

const DEVICE = { userId: "ann", registered: true, token: null, language: null, info: {}, tags: {} };
/** Longer than an index can hold. */
const TOKEN = "t".repeat(3_000);

forEachDatabase((dialect, open) => {
  test(`${dialect}: a device is made, changed and deleted`, async () => {
    const { devices } = await open();
    const env = newEnvironmentId();
    assert.deepEqual(await devices.read(env, ["a", "b"]), [null, null]);
    const made = await devices.modify(env, "a", T0, (old) => {
      assert.equal(old, null);
      return { ...DEVICE, info: { model: "x" }, tags: { ü: ["\u0000", 1] } };
    });
    assert.deepEqual([made.before, made.lostToken], [null, []]);
    assert.deepEqual((await devices.read(env, ["b", "a"]))[1], made.after);
    assert.deepEqual(made.after?.tags, { ü: ["\u0000", 1] });
    const changed = await devices.modify(env, "a", T0 + 5, (old) => ({ ...DEVICE, ...old, language: "de" }));
    assert.deepEqual(
      [changed.after?.createdAt, changed.after?.updatedAt, changed.before?.language],
      [T0, T0 + 5, null],
    );
    assert.deepEqual(await devices.read(newEnvironmentId(), ["a"]), [null]);
    assert.equal((await devices.modify(env, "a", T0, () => null)).before?.id, "a");
    assert.deepEqual(await devices.modify(env, "a", T0, () => null), { before: null, after: null, lostToken: [] });
    for (const id of ["", "nul\u0000", "\ud800", "x".repeat(1_100)]) {
      await assert.rejects(
        devices.modify(env, id, T0, () => DEVICE),
        Refusal,
      );
    }
    await assert.rejects(
      devices.modify(env, "a", T0, () => ({ ...DEVICE, userId: "\u0000" })),
      Refusal,
    );
    assert.deepEqual(await devices.read(env, ["a"]), [null], "what is refused leaves nothing behind");
  });

  test(`${dialect}: changes that meet are made one after the other, also of a device that is not there yet`, async () => {
    const { devices } = await open();
    const env = newEnvironmentId();
    const add = () =>
      devices.modify(env, "a", T0, (old) => ({ ...DEVICE, info: { n: ((old?.info.n as number) ?? 0) + 1 } }));
    await Promise.all(Array.from({ length: 20 }, add));
    assert.equal((await devices.read(env, ["a"]))[0]?.info.n, 20);
  });

  test(`${dialect}: a token is one device's, whoever takes it from whom at the same time`, async () => {
    const { devices } = await open();
    const env = newEnvironmentId();
    const ids = ["a", "b", "c", "d"];
    const take = (id: string) => devices.modify(env, id, T0, () => ({ ...DEVICE, token: TOKEN }), { gets: TOKEN });
    await take("a");
    assert.deepEqual(
      (await take("b")).lostToken.map((device) => device.id),
      ["a"],
    );
    await Promise.all([...ids, ...ids, ...ids.toReversed()].map(take));
    const held = (await devices.read(env, ids)).filter((device) => device?.token !== null);
    assert.ok(held.length === 1, `${held.length} have it`);
    assert.deepEqual(await devices.withTokens(env, [TOKEN, "none"]), held);
    assert.deepEqual(await devices.withTokens(newEnvironmentId(), [TOKEN]), []);
  });

  // The directory was written after the device, in a commit of its own: of two devices that took the same token one could
  // have it while the other one's user got the pushes, and what stopped in between was not made good by repeating it.
  test(`${dialect}: the directory has a token as the device has it, from the same moment on`, async () => {
    const { devices, directory } = await open();
    const env = newEnvironmentId();
    const listed = (after: Device & { readonly token: string }): DeviceToken => {
      const { token, userId, createdAt, updatedAt } = after;
      const rest = { stateReason: null, expiresAt: null, device: null, properties: null, tracking: null } as const;
      return { token, userId, provider: "web-push", state: "active", createdAt, updatedAt, ...rest };
    };
    const take = (id: string, token: string, userId = `of-${id}`) =>
      devices.modify(env, id, T0, () => ({ ...DEVICE, userId, token }), { gets: token, listed });
    const ofUser = async (userId: string) => (await directory.tokens(env, userId)).map(({ token }) => token);
    const ids = ["a", "b", "c"];
    await Promise.all([...ids, ...ids.toReversed(), ...ids].map((id) => take(id, "t")));
    const [holder] = (await devices.read(env, ids)).filter((device) => device?.token != null);
    for (const id of ids) assert.deepEqual(await ofUser(`of-${id}`), holder?.id === id ? ["t"] : []);

    await take("d", "first", "dan");
    await directory.deleteToken(env, "dan", "first");
    await take("d", "first", "dan");
    assert.deepEqual(await ofUser("dan"), ["first"], "told again, it is listed again");
    await take("d", "second", "dan");
    assert.deepEqual(await ofUser("dan"), ["second"]);
    await devices.modify(env, "d", T0, (old) => ({ ...DEVICE, ...old, language: "de" }), { listed: () => null });
    assert.deepEqual(await ofUser("dan"), ["second"], "left as it is");
    await take("e", "other", "dan");
    await directory.putTokens(env, [listed({ ...(await devices.read(env, ["d"]))[0], token: "phone" } as never)]);
    assert.equal(await devices.moveAll(env, "dan", "eve", T0 + 9), 2);
    assert.deepEqual([await ofUser("dan"), await ofUser("eve")], [["phone"], ["other", "second"]]);
    await devices.modify(env, "e", T0, (old) => ({ ...DEVICE, ...old, token: null }));
    assert.deepEqual(await ofUser("eve"), ["second"]);
    await devices.modify(env, "d", T0, () => null);
    assert.deepEqual(await ofUser("eve"), []);

    const many = Array.from({ length: MAX_TOKENS_OF_USER }, (_, i) => ({ id: `d${i}`, token: `t${i}` }));
    await directory.putTokens(
      env,
      many.map(({ id, token }) => listed({ ...DEVICE, id, token, userId: "max", createdAt: T0, updatedAt: T0 })),
    );
    await assert.rejects(take("f", "one more", "max"), Refusal);
    assert.deepEqual(await devices.read(env, ["f"]), [null], "what is refused leaves nothing behind");
  });

  // `checkDevice` went on saying that the token was there, so that a browser whose subscription had ended never told its
  // new one.
  test(`${dialect}: a token that a provider called dead is no device's any more`, async () => {
    const { devices, directory } = await open();
    const [env, other] = [newEnvironmentId(), newEnvironmentId()];
    for (const [where, id, token] of [
      [env, "a", TOKEN],
      [env, "b", "alive"],
      [other, "a", TOKEN],
    ] as const) {
      await devices.modify(where, id, T0, () => ({ ...DEVICE, token }), { gets: token });
    }
    await directory.failTokens(env, [TOKEN, "unknown"], "gone", T0 + 1);
    const tokens = async (where: typeof env) =>
      (await devices.read(where, ["a", "b"])).map((device) => device?.token ?? null);
    assert.deepEqual(
      [await tokens(env), await tokens(other)],
      [
        [null, "alive"],
        [TOKEN, null],
      ],
    );
    const again = await devices.modify(env, "a", T0 + 2, () => ({ ...DEVICE, token: TOKEN }), { gets: TOKEN });
    assert.deepEqual([again.before?.token, again.after?.token], [null, TOKEN]);
  });

  test(`${dialect}: users with a registered device, and the languages they were last seen in`, async () => {
    const { devices } = await open();
    const env = newEnvironmentId();
    const put = (id: string, userId: string, more: object, at = T0) =>
      devices.modify(env, id, at, () => ({ ...DEVICE, userId, ...more }));
    await put("1", "ann", { language: "en" }, T0 + 1);
    await put("2", "ann", { language: "de" }, T0);
    await put("3", "bob", { language: null });
    await put("4", "cid", { registered: false, language: "it" });
    await put("5", "dan", {});
    const first = await devices.users(env, { limit: 2 });
    assert.deepEqual([first.items, first.next], [["ann", "bob"], "bob"]);
    assert.deepEqual(await devices.users(env, { after: first.next, limit: 2 }), { items: ["dan"], next: null });
    assert.deepEqual([...(await devices.languages(env, ["ann", "bob", "cid", "nobody"]))].sort(), [
      ["ann", "en"],
      ["cid", "it"],
    ]);
    assert.deepEqual(
      (await devices.ofUser(env, "ann", 10)).map((device) => device.id),
      ["1", "2"],
    );
    assert.equal(await devices.moveAll(env, "ann", "bob", T0 + 9), 2);
    assert.equal((await devices.ofUser(env, "bob", 10)).length, 3);
    assert.deepEqual(await devices.ofUser(env, "ann", 10), []);
  });

  test(`${dialect}: brief lists have the items that whole ones have, and a stamp that changes with them`, async () => {
    const store = await open();
    const { inbox } = store;
    const env = newEnvironmentId();
    const stamps = new Set<string>();
    const fresh = async (): Promise<void> => {
      const stamp = await inbox.stamp(env, "ann");
      assert.ok(!stamps.has(stamp), stamp);
      assert.equal(await inbox.stamp(env, "ann"), stamp);
      stamps.add(stamp);
    };
    await fresh();
    const sends = Array.from({ length: 5 }, (_, i) =>
      inboxSend(env, "ann", { message: i > 2 ? { tenantId: "acme" } : {} }),
    );
    await store.pipeline.accept(sends);
    await fresh();
    await store.pipeline.accept([inboxSend(env, "bob")]);
    const filter = { userId: "ann", archived: false };
    const whole = await inbox.list(env, filter, T0, { limit: 10 });
    const brief = await inbox.brief(env, filter, T0, { limit: 10 });
    assert.deepEqual(
      brief.items,
      whole.items.map((item) => {
        const { id, messageId, requestId, createdAt, readAt, interactedAt, expiresAt, content, data } = item;
        return { id, messageId, requestId, createdAt, readAt, interactedAt, expiresAt, content, data };
      }),
    );
    const page = await inbox.brief(env, filter, T0, { limit: 2 });
    assert.deepEqual([page.items.length, page.next], [2, page.items[1]?.id]);
    const newer = await inbox.brief(env, filter, T0, { limit: 2, before: whole.items[4]?.id ?? null });
    assert.deepEqual(
      newer.items.map((item) => item.id),
      [whole.items[2]?.id, whole.items[3]?.id],
    );
    const id = whole.items[0]?.id ?? "dlv_";
    for (const field of ["interacted", "read", "seen", "archived", "deleted"] as const) {
      await inbox.change(env, "ann", [{ deliveryId: id, field, value: true, again: "keep" }], T0, () => []);
      await fresh();
    }
    await inbox.change(env, "ann", [{ deliveryId: id, field: "deleted", value: true, again: "keep" }], T0, () => []);
    const known = await inbox.stamp(env, "ann");
    assert.ok(stamps.has(known), "nothing was changed");
    const items = await inbox.itemsOf(env, [whole.items[0]?.messageId ?? "msg_", sends[0]?.message.id ?? "msg_"]);
    assert.equal(items.filter((item) => item.deletedAt !== null).length, 1);
    assert.deepEqual(await inbox.itemsOf(newEnvironmentId(), [items[0]?.messageId ?? "msg_"]), []);

    const got: GotItem[] = [];
    for (let after: string | null = null; ; ) {
      const some: Page<GotItem> = await inbox.everGot(env, "ann", T0, { after, limit: 3 });
      got.push(...some.items);
      after = some.next;
      if (after === null) break;
    }
    assert.deepEqual(
      got.map((item) => item.id),
      whole.items.map((item) => item.id),
    );
    assert.deepEqual(
      got.filter((item) => item.putAway).map((item) => item.id),
      [id],
    );
    assert.deepEqual(await inbox.everGot(newEnvironmentId(), "ann", T0, { limit: 3 }), { items: [], next: null });
  });
});
