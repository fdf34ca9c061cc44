/** Every action through every facade, on items sent through every facade, seen through every facade: docs/one-inbox.md. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Row, rowsOf } from "./doc-tables.ts";
import { Listener } from "./listening.ts";
import type { Vendor } from "./model.ts";
import { forEachWorld, ONE_STEP, TENANT, type World } from "./world.ts";

let keys = 0;

/** One user's one item, and what facades call it. */
class Item {
  readonly world: World;
  readonly user: string;
  readonly key: string;
  readonly code: string | null;
  readonly courierId: string;
  readonly knockId: string;
  readonly pushwooshId: string;

  private constructor(world: World, user: string, key: string, code: string | null, ids: readonly string[]) {
    this.world = world;
    this.user = user;
    this.key = key;
    this.code = code;
    [this.courierId, this.knockId, this.pushwooshId] = ids as [string, string, string];
  }

  static async send(world: World, via: Vendor, tenant: string | null = null): Promise<Item> {
    const key = `k${++keys}`;
    const user = `user-of-${key}`;
    const sent = { key, users: [user], tenant };
    world.clock.advance(1_000);
    let code: string | null = null;
    if (via === "courier") await world.courierSend(sent);
    else if (via === "knock") await world.knockTrigger(sent, ONE_STEP);
    else code = await world.pushwooshSend(sent);
    const [courier, knock, pushwoosh] = await Promise.all([
      world.courierViews(user),
      world.knockFeed(user, ""),
      world.pushwooshInbox(user),
    ]);
    const ids = [
      (courier.main.items[0] ?? courier.tenant.items[0])?.messageId,
      knock.items[0]?.id,
      pushwoosh.items[0]?.inbox_id,
    ];
    assert.ok(ids.every((id) => id !== undefined));
    return new Item(world, user, key, code, ids as string[]);
  }

  /** @param action as docs/one-inbox.md spells it. @returns whether the client was told that there is such an item. */
  async do(action: string, source?: string): Promise<boolean> {
    const { world, user } = this;
    const [vendor, ...words] = action.split(" ");
    const what = words.at(-1) as string;
    if (vendor === "Courier" && /All|archiveRead/.test(what)) {
      await world.graphql(user, `mutation { ${what} }`, source);
      return true;
    }
    if (vendor === "Courier") return world.courierMark(user, what, this.courierId, source);
    if (vendor === "Knock" && words[0] === "bulk") {
      await world.knockBulk(user, what);
      return true;
    }
    if (vendor === "Knock") return (await world.knockMark(what, this.knockId)) === 200;
    if (words[0] === "status") await world.pushwooshStatus(user, this.pushwooshId, Number(what));
    else await world.pushwooshDelete(this.code as string);
    return true;
  }

  async seen(): Promise<Pick<Row, "courier" | "knock" | "pushwoosh">> {
    const { world, user } = this;
    const [courier, feed, archive, pushwoosh] = await Promise.all([
      world.courierViews(user),
      world.knockFeed(user, "archived=exclude"),
      world.knockFeed(user, "archived=only"),
      world.pushwooshInbox(user),
    ]);
    const said = (place: string, words: { readonly [word: string]: unknown }): string =>
      [place, ...Object.keys(words).filter((word) => words[word] !== null)].join(", ");
    const courierItem = [courier.main, courier.archive].flatMap(({ items }, i) =>
      items.map(({ read, opened }) => said(i === 0 ? "inbox" : "archive", { read, opened })),
    );
    const knockItem = [feed, archive].flatMap(({ items }, i) =>
      items.map(({ seen_at: seen, read_at: read, interacted_at: interacted }) =>
        said(i === 0 ? "feed" : "archive", { seen, read, interacted }),
      ),
    );
    // Badges say the same as the lists.
    assert.equal(courier.main.total, courier.main.items.length);
    assert.equal(courier.main.unread, courier.main.items.filter(({ read }) => read === null).length);
    assert.deepEqual([feed.total, feed.unread], [courier.main.total, courier.main.unread]);
    assert.equal(feed.unseen, feed.items.filter(({ seen_at }) => seen_at === null).length);
    assert.equal(pushwoosh.newInbox, pushwoosh.items.filter(({ status }) => status === 1).length);
    const takenBack = pushwoosh.deleted.includes(this.pushwooshId) ? ["taken back"] : [];
    return {
      courier: courierItem.join() || "–",
      knock: knockItem.join() || "–",
      pushwoosh: [...pushwoosh.items.map(({ status }) => String(status)), ...takenBack].join() || "–",
    };
  }

  async listen(t: TestContext): Promise<Listener> {
    const listener = await Listener.open(this.world, this.user);
    t.after(() => listener.close());
    return listener;
  }

  /** Lines of Courier's sockets without the id, which has to be the item's. */
  names(lines: readonly string[]): readonly string[] {
    return lines.map((line) => {
      const [name = "", id] = line.split(" ");
      assert.ok(id === undefined || id === this.courierId, line);
      return name;
    });
  }
}

/** What clients of former times are told of. */
const LEGACY = ["read", "unread", "opened", "archive", "unarchive", "mark-all-read"];

forEachWorld((name, open) => {
  async function check(t: TestContext, row: Row, via: Vendor): Promise<void> {
    const world = await open();
    const item = await Item.send(world, via);
    for (const action of row.before) {
      world.clock.advance(1_000);
      assert.ok(await item.do(action), action);
    }
    const page = await item.listen(t);
    world.clock.advance(1_000);
    assert.equal(await item.do(row.action), !row.unknown, "known");
    const { main, tenant, legacy } = await page.courier();
    assert.deepEqual(item.names(main), row.frames, "Courier's pages");
    assert.deepEqual(
      item.names(legacy),
      row.frames.filter((frame) => LEGACY.includes(frame)),
      "Courier's older pages",
    );
    // Another tenant's page hears only of a change of everything.
    assert.deepEqual(
      tenant,
      main.filter((line) => !line.includes(" ")),
    );
    const { courier, knock, pushwoosh } = row;
    assert.deepEqual(await item.seen(), { courier, knock, pushwoosh });
    world.clock.advance(250);
    const pushes = await page.knock(row.push === null ? 0 : 1);
    // To prove that nothing is pushed, something that must be is waited for.
    const expected = row.push === null ? [] : [row.push];
    await world.courierSend({ key: `k${++keys}`, users: [item.user] });
    world.clock.advance(250);
    assert.deepEqual(
      [...pushes, ...(await page.knock(1))].slice(0, -1).map(({ main }) => main),
      expected,
      "Knock's pages",
    );
  }

  for (const via of ["courier", "knock", "pushwoosh"] as const) {
    for (const row of [...rowsOf("actions"), ...rowsOf("no counterpart")]) {
      test(`${name}: on an item sent through ${via}: ${row.title}`, (t) => check(t, row, via));
    }
  }
  for (const row of rowsOf("taken back")) test(`${name}: ${row.title}`, (t) => check(t, row, "pushwoosh"));

  const timesOf = async (item: Item): Promise<readonly (string | null)[]> => {
    const [entry] = (await item.world.knockFeed(item.user, "archived=include")).items;
    return [entry?.seen_at, entry?.read_at, entry?.interacted_at, entry?.archived_at].map((at) => at ?? null);
  };

  for (const [facade, once, which] of [
    ["Courier", "read", 1],
    ["Courier", "opened", 0],
    ["Courier", "archive", 3],
    ["Pushwoosh", "status 2", 1],
    ["Pushwoosh", "status 3", 2],
  ] as const) {
    test(`${name}: ${facade} keeps the first time of ${once}, and tells of it once`, async (t) => {
      const item = await Item.send(await open(), "knock");
      await item.do(`${facade} ${once}`);
      const first = await timesOf(item);
      assert.notEqual(first[which], null);
      const page = await item.listen(t);
      item.world.clock.advance(5_000);
      await item.do(`${facade} ${once}`);
      assert.deepEqual(await timesOf(item), first);
      assert.deepEqual((await page.courier()).main, []);
    });
  }

  for (const [mark, which, frame] of [
    ["seen", 0, "opened"],
    ["read", 1, "read"],
    ["interacted", 2, "clicked"],
    ["archived", 3, "archive"],
  ] as const) {
    test(`${name}: Knock moves the time of ${mark}, which is told as a change`, async (t) => {
      const item = await Item.send(await open(), "courier");
      await item.do(`Knock ${mark}`);
      const first = await timesOf(item);
      const page = await item.listen(t);
      item.world.clock.advance(5_000);
      await item.do(`Knock ${mark}`);
      const now = new Date(item.world.clock.now()).toISOString();
      // Whoever interacts once more has not read once more.
      assert.deepEqual(await timesOf(item), first.toSpliced(which, 1, now));
      assert.deepEqual(item.names((await page.courier()).main), [frame]);
    });
  }

  test(`${name}: what is done through one facade has gone out to the others' pages before it is answered`, async (t) => {
    const world = await open();
    const { hub } = world.app;
    for (const action of [
      "Courier read",
      "Knock unread",
      "Pushwoosh status 2",
      "Knock bulk archive",
      "Courier unarchive",
    ]) {
      const item = await Item.send(world, "knock");
      if (action === "Knock unread" || action === "Courier unarchive") {
        await item.do(action.replace(" un", " ").replace("Knock read", "Courier read"));
      }
      await item.listen(t);
      const told: string[] = [];
      const stop = hub.delivered.on(({ userId }) => told.push(userId));
      const before = hub.stats.framesSent;
      await item.do(action);
      stop();
      // One event, told to all kinds of sockets in one go; of Courier's, two show what has no tenant.
      assert.deepEqual([told, hub.stats.framesSent - before >= 2], [[item.user], true], action);
    }
  });

  test(`${name}: a page is not told what it did itself, every other is`, async (t) => {
    const item = await Item.send(await open(), "pushwoosh");
    const page = await item.listen(t);
    for (const action of ["read", "opened", "archive", "unarchive", "clicked", "markAllRead", "archiveAll"]) {
      await item.do(`Courier ${action}`, page.source);
    }
    const { main, legacy } = await page.courier();
    assert.deepEqual(main, []);
    assert.deepEqual(item.names(legacy), ["read", "opened", "archive", "unarchive"]);
    // The first is told at once, what comes in the next quarter of a second together.
    assert.equal((await page.knock(1)).length, 1);
    item.world.clock.advance(250);
    assert.deepEqual(
      (await page.knock(1)).map(({ main }) => main),
      [[0, 0, 0]],
    );
  });

  for (const via of ["courier", "knock"] as const) {
    test(`${name}: an item of a tenant, sent through ${via}, is where each vendor's clients look for it`, async (t) => {
      const world = await open();
      const item = await Item.send(world, via, TENANT);
      const courier = await world.courierViews(item.user);
      assert.deepEqual([courier.main.total, courier.tenant.total], [0, 1]);
      for (const [query, total] of [
        ["", 1],
        [`tenant=${TENANT}`, 1],
        ["tenant=another", 0],
        ["has_tenant=false", 0],
        [`tenant=${TENANT}&has_tenant=true`, 1],
      ] as const) {
        assert.equal((await world.knockFeed(item.user, query)).total, total, query);
      }
      assert.equal((await world.pushwooshInbox(item.user)).newInbox, 1);
      const page = await item.listen(t);
      await item.do("Pushwoosh status 2");
      const { main, tenant, legacy } = await page.courier();
      assert.deepEqual([main, item.names(tenant), legacy], [[], ["read"], []]);
      world.clock.advance(250);
      const [push] = await page.knock(1);
      assert.deepEqual(
        [push?.main, push?.tenant],
        [
          [1, 0, 1],
          [1, 0, 1],
        ],
      );
    });
  }
});
