/** `PUT /admin/inbox-visibility`: which items a facade shows. */
import assert from "node:assert/strict";
import { afterEach, type TestContext, test } from "node:test";
import { Listener } from "./listening.ts";
import { forEachWorld, keysOf, ONE_STEP, type World } from "./world.ts";

let users = 0;

/** A user with an item of each facade: `k1`, `k2`, `k3`, oldest first. */
async function userWithThree(world: World): Promise<string> {
  const user = `viewer-${++users}`;
  const step = (): void => world.clock.advance(1_000);
  await world.courierSend({ key: "k1", users: [user] });
  step();
  await world.knockTrigger({ key: "k2", users: [user] }, ONE_STEP);
  step();
  await world.pushwooshSend({ key: "k3", users: [user] });
  step();
  return user;
}

async function shownTo(world: World, user: string): Promise<Readonly<Record<string, readonly string[]>>> {
  const [courier, knock, pushwoosh] = await Promise.all([
    world.courierViews(user),
    world.knockFeed(user, ""),
    world.pushwooshInbox(user),
  ]);
  const { items, total, unread } = courier.main;
  // Counts go by the same.
  assert.deepEqual([total, unread], [items.length, items.filter(({ read }) => read === null).length]);
  assert.deepEqual(
    [knock.total, knock.unread],
    [knock.items.length, knock.items.filter((one) => one.read_at === null).length],
  );
  assert.equal(pushwoosh.newInbox, pushwoosh.items.filter(({ status }) => status === 1).length);
  return { courier: keysOf(items), knock: keysOf(knock.items), pushwoosh: keysOf(pushwoosh.items) };
}

const ALL = ["k3", "k2", "k1"];

forEachWorld((name, open) => {
  const set = async (shown: object): Promise<void> => {
    await (await open()).admin("inbox-visibility", shown);
  };
  afterEach(() => set({}));

  async function listen(t: TestContext, world: World, user: string): Promise<Listener> {
    const listener = await Listener.open(world, user);
    t.after(() => listener.close());
    return listener;
  }

  test(`${name}: all items are shown everywhere, until a facade is told to show its own`, async () => {
    const world = await open();
    const user = await userWithThree(world);
    const everywhere = { courier: ALL, knock: ALL, pushwoosh: ALL };
    assert.deepEqual(await shownTo(world, user), everywhere);
    for (const [facade, key] of [
      ["courier", "k1"],
      ["knock", "k2"],
      ["pushwoosh", "k3"],
    ] as const) {
      await set({ [facade]: "own" });
      assert.deepEqual(await shownTo(world, user), { ...everywhere, [facade]: [key] });
    }
    await set({});
    assert.deepEqual(await shownTo(world, user), everywhere);
  });

  test(`${name}: pages of own items are full and in order`, async () => {
    const world = await open();
    const user = `viewer-${++users}`;
    const own: string[] = [];
    for (let i = 0; i < 30; i++) {
      world.clock.advance(1_000);
      if (i % 3 === 0) await world.knockTrigger({ key: `k${i}`, users: [user] }, ONE_STEP);
      else if (i % 3 === 1) await world.pushwooshSend({ key: `k${i}`, users: [user] });
      else {
        own.unshift(`k${i}`);
        await world.courierSend({ key: `k${i}`, users: [user] });
      }
    }
    await set({ courier: "own", pushwoosh: "own" });
    assert.deepEqual(keysOf(await world.courierPages(user, 3)), own);
    assert.equal((await world.pushwooshPages(user, 3)).length, 10);
    assert.equal((await world.knockFeed(user, "page_size=4")).items.length, 30);
  });

  test(`${name}: Courier's pages hear of its own items only, and leave the others alone`, async (t) => {
    const world = await open();
    const user = await userWithThree(world);
    const { items } = (await world.courierViews(user)).main;
    await set({ courier: "own" });
    const page = await listen(t, world, user);
    await world.pushwooshSend({ key: "k4", users: [user] });
    await world.courierSend({ key: "k5", users: [user] });
    const inbox = await world.pushwooshInbox(user);
    for (const { inbox_id } of inbox.items) await world.pushwooshStatus(user, inbox_id, 2);
    const { main, legacy } = await page.courier();
    const names = main.map((line) =>
      line
        .split(" ")
        .slice(0, line.startsWith("message") ? 2 : 1)
        .join(" "),
    );
    assert.deepEqual(names, ["message k5", "read", "read"]);
    assert.deepEqual(legacy, main);
    // By their ids, the others are unknown.
    const [third, second, first] = items;
    for (const [item, known] of [
      [first, true],
      [second, false],
      [third, false],
    ] as const) {
      assert.equal(await world.courierMark(user, "unread", item?.messageId ?? ""), known);
      const found = await world.graphql(user, `query { message(messageId: "${item?.messageId}") { messageId } }`);
      assert.equal(found.message !== null, known);
    }
    await world.graphql(user, "mutation { archiveAll }");
    assert.deepEqual((await shownTo(world, user)).knock, ["k4", "k3", "k2"]);
  });

  test(`${name}: Pushwoosh leaves alone what it does not show`, async () => {
    const world = await open();
    const user = await userWithThree(world);
    const { items } = await world.pushwooshInbox(user);
    await set({ pushwoosh: "own" });
    for (const { inbox_id } of items) await world.pushwooshStatus(user, inbox_id, 4);
    for (const { order } of items) await world.pushwooshStatus(user, order, 3);
    assert.deepEqual(await shownTo(world, user), { courier: ["k2", "k1"], knock: ["k2", "k1"], pushwoosh: [] });
    const { main } = await world.courierViews(user, ["main"]);
    assert.equal(main.unread, 2);
  });

  test(`${name}: Knock's pages and its bulk marks go by it`, async (t) => {
    const world = await open();
    const user = await userWithThree(world);
    await set({ knock: "own" });
    const page = await listen(t, world, user);
    await world.courierSend({ key: "k4", users: [user] });
    world.clock.advance(250);
    assert.deepEqual(await page.knock(0), []);
    await world.knockTrigger({ key: "k5", users: [user] }, ONE_STEP);
    assert.deepEqual(
      (await page.knock(1)).map(({ main }) => main),
      [[2, 2, 2]],
    );
    await world.knockBulk(user, "read");
    const { main } = await world.courierViews(user, ["main"]);
    assert.deepEqual(
      main.items.map(({ key, read }) => [key, read !== null]),
      [
        ["k5", true],
        ["k4", false],
        ["k3", false],
        ["k2", true],
        ["k1", false],
      ],
    );
  });
});
