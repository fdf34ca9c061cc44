/**
 * Steps at random through all facades, each made on a server and on the model, and after each what the server shows and
 * tells compared with the model.
 */
import assert from "node:assert/strict";
import { dice } from "../../support/dice.ts";
import { FEEDS, Listener } from "./listening.ts";
import { type Item, Model } from "./model.ts";
import { keysOf, ONE_STEP, TENANT, TWO_STEPS, type World } from "./world.ts";

const USERS = 3;
const MINUTE_MS = 60_000;

export class Walk {
  readonly #world: World;
  readonly #model = new Model(TENANT);
  readonly #roll: () => number;
  readonly #listeners = new Map<string, Listener>();
  #generation = 0;
  #keys = 0;
  #did = "";
  #beatAt = 0;

  constructor(world: World, seed: number) {
    this.#world = world;
    this.#roll = dice(seed);
  }

  /** What the last step did, for people. */
  get did(): string {
    return this.#did;
  }

  #upTo(n: number): number {
    return Math.floor(this.#roll() * n);
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#upTo(list.length)] as T;
  }

  get #users(): readonly string[] {
    return Array.from({ length: USERS }, (_, i) => `user-${this.#generation}-${i}`);
  }

  async nextGeneration(): Promise<void> {
    this.close();
    this.#generation++;
    this.#model.items.length = 0;
    await this.#openAll();
  }

  async #openAll(): Promise<void> {
    for (const user of this.#users) this.#listeners.set(user, await Listener.open(this.#world, user));
  }

  close(): void {
    for (const listener of this.#listeners.values()) listener.close();
    this.#listeners.clear();
  }

  async step(): Promise<void> {
    this.#pass(1_000 + this.#upTo(5_000));
    const kind = this.#roll();
    let users: readonly string[];
    if (kind < 0.3) users = await this.#send();
    else if (kind < 0.6) users = await this.#markInCourier();
    else if (kind < 0.8) users = await this.#markInKnock();
    else if (kind < 0.98) users = await this.#markInPushwoosh();
    else users = await this.#wait();
    await this.#compare(users);
  }

  #pass(ms: number): void {
    this.#world.clock.advance(ms);
    this.#model.now = this.#world.clock.now();
  }

  // ——— steps: each does the same to the server and to the model ————————————————————————————————————————————————————

  async #send(): Promise<readonly string[]> {
    const key = `k${++this.#keys}`;
    const users = this.#roll() < 0.15 ? this.#users.slice(0, 2) : [this.#one(this.#users)];
    const tenant = this.#one([null, null, TENANT, "another"]);
    const via = this.#one(["courier", "knock", "knock two", "pushwoosh"]);
    const soon = this.#roll() < 0.2;
    this.#did = `${via} sends ${key} to ${users} of ${tenant}${soon ? ", for a while" : ""}`;
    const sent = { key, users, tenant };
    const add = (more: Pick<Item, "key" | "via" | "tenant" | "code" | "expiresAt">): void => {
      for (const user of users) this.#model.send({ ...more, user });
    };
    if (via === "courier") {
      const expiresAt = soon ? this.#model.now + 30 * MINUTE_MS : null;
      await this.#world.courierSend(sent, soon ? { expiry: { expires_in: 30 * MINUTE_MS } } : {});
      add({ key, via, tenant, code: null, expiresAt });
    } else if (via === "pushwoosh") {
      const day = 24 * 60 * MINUTE_MS;
      const code = await this.#world.pushwooshSend(sent, { inbox_days: soon ? 1 : 30 });
      add({ key, via, tenant: null, code, expiresAt: this.#model.now + (soon ? day : 30 * day) });
    } else {
      const two = via === "knock two";
      await this.#world.knockTrigger(sent, two ? TWO_STEPS : ONE_STEP);
      for (const user of users) {
        for (const name of two ? [`${key}a`, `${key}b`] : [key]) {
          this.#model.send({ key: name, user, via: "knock", tenant, code: null, expiresAt: null });
        }
      }
    }
    return users;
  }

  /** Any item that there ever was, rarely one that is gone. */
  #anItem(): Item | null {
    const { items } = this.#model;
    if (items.length === 0) return null;
    const item = this.#one(items);
    return this.#model.isGone(item) && this.#roll() < 0.6 ? this.#one(items) : item;
  }

  async #markInCourier(): Promise<readonly string[]> {
    const user = this.#one(this.#users);
    const source = this.#roll() < 0.3 ? (this.#listeners.get(user)?.source ?? null) : null;
    if (this.#roll() < 0.12) {
      const what = this.#one(["markAllRead", "archiveAll", "archiveRead"] as const);
      this.#did = `courier ${what} of ${user} by ${source}`;
      this.#model.courierMarkAll(user, what, source);
      await this.#world.graphql(user, `mutation { ${what} }`, source ?? undefined);
      return [user];
    }
    const item = this.#anItem();
    if (item === null || item.courierId === null) return [];
    const what = this.#one(["read", "unread", "opened", "archive", "unarchive", "clicked"]);
    const own = this.#listeners.get(item.user)?.source ?? null;
    const by = source === null ? null : own;
    this.#did = `courier ${what} ${item.key} of ${item.user} by ${by}`;
    const known = this.#model.courierMark(item, what, by);
    assert.equal(await this.#world.courierMark(item.user, what, item.courierId, by ?? undefined), known, "known");
    return [item.user];
  }

  async #markInKnock(): Promise<readonly string[]> {
    if (this.#roll() < 0.2) {
      const user = this.#one(this.#users);
      const common = ["seen", "seen", "unseen", "read", "unread", "archived", "unarchived", "interacted"];
      const action = this.#roll() < 0.05 ? "delete" : this.#one(common);
      const archived = this.#one(["exclude", "include", "only"] as const);
      this.#did = `knock bulk ${action} of ${user}, archived ${archived}`;
      this.#model.knockBulk(user, action, archived);
      await this.#world.knockBulk(user, action, { archived });
      return [user];
    }
    const item = this.#anItem();
    if (item === null || item.knockId === null) return [];
    const mark = this.#one(["seen", "unseen", "read", "unread", "interacted", "archived", "unarchived"]);
    this.#did = `knock ${mark} ${item.key} of ${item.user}`;
    const known = this.#model.knockMark(item, mark);
    assert.equal(await this.#world.knockMark(mark, item.knockId), known ? 200 : 404);
    return [item.user];
  }

  async #markInPushwoosh(): Promise<readonly string[]> {
    const item = this.#anItem();
    if (item === null || item.pushwooshId === null) return [];
    if (item.code !== null && this.#roll() < 0.15) {
      this.#did = `pushwoosh takes back ${item.key}`;
      this.#model.pushwooshDelete(item.code);
      await this.#world.pushwooshDelete(item.code);
      return this.#users;
    }
    const status = this.#one([1, 2, 2, 3, 3, 4]);
    this.#did = `pushwoosh status ${status} of ${item.key} of ${item.user}`;
    this.#model.pushwooshStatus(item, status);
    await this.#world.pushwooshStatus(item.user, item.pushwooshId, status);
    return [item.user];
  }

  /** Items expire meanwhile, and sockets are closed for being silent. */
  async #wait(): Promise<readonly string[]> {
    const minutes = this.#one([10, 20, 12 * 60]);
    this.#did = `${minutes} minutes pass`;
    this.close();
    this.#pass(minutes * MINUTE_MS);
    await this.#openAll();
    return this.#users;
  }

  // ——— comparing ———————————————————————————————————————————————————————————————————————————————————————————————————

  async #compare(users: readonly string[]): Promise<void> {
    this.#pass(250);
    if (this.#model.now - this.#beatAt > 30_000) {
      this.#beatAt = this.#model.now;
      await Promise.all([...this.#listeners.values()].map((listener) => listener.beat()));
    }
    await Promise.all(
      users.map(async (user) => {
        await this.#compareSockets(user);
        await this.#compareLists(user);
      }),
    );
  }

  /** What most items are in, always; the rest now and then, which is enough to find what is wrong. */
  async #compareLists(user: string): Promise<void> {
    const model = this.#model;
    const chosen = (): boolean => this.#roll() < 0.35;
    const views = COURIER_VIEWS.filter(([view]) => view === "main" || chosen());
    const feeds = (["main", "archive", "tenant"] as const).filter((feed) => feed === "main" || chosen());
    const [courier, pushwoosh, ...knock] = await Promise.all([
      this.#world.courierViews(
        user,
        views.map(([view]) => view),
        "messageId title preview read opened archived",
      ),
      this.#world.pushwooshInbox(user),
      ...feeds.map((feed) => this.#world.knockFeed(user, query(FEEDS[feed]))),
    ]);
    for (const [name, of, archived] of views) {
      const expected = model.courierList(user, of, archived);
      const { items, total, unread } = courier[name];
      assert.deepEqual(
        items.map(({ key, messageId, read, opened, archived }) => [key, messageId, read, opened, archived]),
        expected.map((item) => [item.key, item.courierId, iso(item.read), iso(item.seen), iso(item.archived)]),
        `courier ${name} of ${user}`,
      );
      assert.deepEqual([total, unread], [expected.length, unreadIn(expected)], `courier counts ${name} of ${user}`);
    }
    for (const [n, name] of feeds.entries()) {
      const { items, total, unread, unseen } = knock[n] as (typeof knock)[number];
      const expected = model.knockFeed(user, name);
      for (const [i, item] of expected.entries()) item.knockId ??= items[i]?.id ?? null;
      assert.deepEqual(
        items.map(({ key, id, read_at, seen_at, interacted_at, archived_at }) => [
          key,
          id,
          read_at,
          seen_at,
          interacted_at,
          archived_at,
        ]),
        expected.map((item) => [
          item.key,
          item.knockId,
          ...[item.read, item.seen, item.interacted, item.archived].map(iso),
        ]),
        `knock ${name} of ${user}`,
      );
      const unseenExpected = expected.filter(({ seen }) => seen === null).length;
      assert.deepEqual([total, unread, unseen], [expected.length, unreadIn(expected), unseenExpected], `knock ${name}`);
    }
    const expected = model.pushwooshList(user);
    for (const [i, item] of expected.entries()) item.pushwooshId ??= pushwoosh.items[i]?.inbox_id ?? null;
    assert.deepEqual(
      pushwoosh.items.map(({ key, inbox_id, status }) => [key, inbox_id, status]),
      expected.map((item) => [item.key, item.pushwooshId, model.status(item)]),
      `pushwoosh of ${user}`,
    );
    assert.equal(pushwoosh.newInbox, expected.filter((item) => model.status(item) === 1).length, "new_inbox");
    assert.deepEqual(
      [...pushwoosh.deleted].sort(),
      model
        .pushwooshDeleted(user)
        .map(({ pushwooshId }) => pushwooshId)
        .sort(),
      `taken back from ${user}`,
    );
  }

  async #compareSockets(user: string): Promise<void> {
    const told = this.#model.takeTold(user);
    const listener = this.#listeners.get(user) as Listener;
    const pushes = this.#model.pushes(user, told.knock);
    const [courier, knock] = await Promise.all([listener.courier(), listener.knock(pushes.length)]);
    for (const line of [...courier.main, ...courier.tenant]) this.#learnId(user, line);
    const keyOf = new Map(
      this.#model.items.flatMap(({ courierId, key }) => (courierId === null ? [] : [[courierId, key]])),
    );
    const inKeys = (line: string): string => {
      const [name = "", first, second] = line.split(" ");
      return first === undefined ? name : `${name} ${second === undefined ? (keyOf.get(first) ?? first) : first}`;
    };
    const { main, tenant, legacy } = told;
    assert.deepEqual(
      { main: courier.main.map(inKeys), tenant: courier.tenant.map(inKeys), legacy: courier.legacy.map(inKeys) },
      { main, tenant, legacy },
      `courier frames of ${user}`,
    );
    assert.deepEqual(knock, pushes, `knock pushes of ${user}`);
  }

  /** By which id Courier calls an item, from the frame that tells of it. Lists have to say the same. */
  #learnId(user: string, line: string): void {
    const [name, key, id] = line.split(" ");
    const item = name === "message" ? this.#model.items.find((one) => one.user === user && one.key === key) : undefined;
    if (item !== undefined) item.courierId = id ?? null;
  }

  /** Reads the lists in small pages: the same items in the same order. */
  async comparePages(): Promise<void> {
    this.#did = "paging";
    for (const user of this.#users) {
      const courier = await this.#world.courierPages(user, 2);
      assert.deepEqual(keysOf(courier), keysOf(this.#model.courierList(user, null, false)));
      const knock = await this.#world.knockFeed(user, "archived=include&page_size=2&mode=compact");
      assert.deepEqual(keysOf(knock.items), keysOf(this.#model.listed(user)));
      const pushwoosh = await this.#world.pushwooshPages(user, 2);
      assert.deepEqual(keysOf(pushwoosh), keysOf(this.#model.pushwooshList(user)));
    }
  }
}

const COURIER_VIEWS = [
  ["main", null, false],
  ["archive", null, true],
  ["tenant", TENANT, false],
  ["tenantArchive", TENANT, true],
] as const;

function query(feed: { readonly [name: string]: string }): string {
  return new URLSearchParams({ ...feed, mode: "compact" }).toString();
}

function iso(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}

function unreadIn(items: readonly Item[]): number {
  return items.filter(({ read }) => read === null).length;
}
