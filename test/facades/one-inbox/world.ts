/**
 * One server and all of its facades, as their clients see them: what each lists of a user's inbox, in one shape, and what
 * each can do with it. Items are told apart by a word in their text, the same through every facade: `k1`, `k2`, …
 */
import assert from "node:assert/strict";
import { after, describe, type TestContext } from "node:test";
import { Pool } from "undici";
import type { App } from "../../../src/app.ts";
import { FakeClock } from "../../../src/lib/clock.ts";
import type { Dialect } from "../../../src/storage/database.ts";
import { DIALECTS, newPlace } from "../../conformance/databases.ts";
import { PUBLIC_KEY, SECRET_KEY, startServer } from "../../support/server.ts";

// biome-ignore lint/suspicious/noExplicitAny: whatever the server said; tests look at it field by field
type Any = any;

/** An item as Courier's clients see it; times are ISO 8601 or null. */
export interface CourierItem {
  readonly key: string;
  readonly messageId: string;
  readonly read: string | null;
  readonly opened: string | null;
  readonly archived: string | null;
  readonly all: Any;
}
export interface KnockItem {
  readonly key: string;
  readonly id: string;
  readonly read_at: string | null;
  readonly seen_at: string | null;
  readonly interacted_at: string | null;
  readonly archived_at: string | null;
  readonly all: Any;
}
export interface PushwooshItem {
  readonly key: string;
  readonly inbox_id: string;
  readonly order: string;
  readonly status: number;
  readonly all: Any;
}
/** `total` as the list itself says; `unread` and `unseen` as its badge. */
export interface Listed<Item> {
  readonly items: readonly Item[];
  readonly total: number;
  readonly unread: number;
  readonly unseen: number;
}
/** What Courier shows of a user: the view without a tenant and that of `TENANT`, each with its archive. */
export type CourierViews = { readonly [view in CourierView]: Listed<CourierItem> };
export interface PushwooshInbox {
  readonly items: readonly PushwooshItem[];
  readonly deleted: readonly string[];
  readonly newInbox: number;
}

export const TENANT = "acme";
export const APP_CODE = "AAAAA-BBBBB";
/** Workflows of every world: of one in-app step, and of two. Their items are `<key>` and `<key>a`, `<key>b`. */
export const ONE_STEP = "one-step";
export const TWO_STEPS = "two-steps";

export interface Sent {
  readonly key: string;
  readonly users: readonly string[];
  readonly tenant?: string | null;
}

const ALL_FIELDS =
  "messageId accountId title preview body icon created read opened archived tags data actions { content href }";
const listOf = (name: string, params: string, fields: string): string =>
  `${name}: messages(params: {${params}}, limit: 100) { totalCount nodes { ${fields} } }
   ${name}Unread: count(params: {${params === "" ? "" : `${params}, `}status: "unread"})`;
const VIEWS = {
  main: "",
  archive: "archived: true",
  tenant: `accountId: "${TENANT}"`,
  tenantArchive: `accountId: "${TENANT}", archived: true`,
} as const;
export type CourierView = keyof typeof VIEWS;
const ALL_VIEWS = Object.keys(VIEWS) as CourierView[];

const HOUR_MS = 3_600_000;
let started = 0;

export class World {
  readonly app: App;
  readonly clock: FakeClock;
  readonly url: string;
  readonly feedId: string;
  readonly #pool: Pool;
  readonly #tokens = new Map<string, string>();
  readonly #remove: (() => Promise<void>) | undefined;

  private constructor(app: App, clock: FakeClock, remove?: () => Promise<void>) {
    this.app = app;
    this.clock = clock;
    this.url = app.url;
    this.feedId = app.environment.feedId;
    this.#pool = new Pool(app.url, { connections: 16 });
    this.#remove = remove;
  }

  static async open(dialect: Dialect): Promise<World> {
    // Ids never go back within a process, so a second world of a test file has to start after the first.
    const clock = new FakeClock(Date.UTC(2026, 0, 5, 12) + started++ * 400 * 24 * HOUR_MS);
    const placed = dialect === "postgres" ? await newPlace("postgres") : null;
    const place: { readonly [name: string]: string } =
      placed === null
        ? {}
        : {
            CARILLON_DATABASE_URL: placed.place.url ?? "",
            CARILLON_DATABASE_POOL: String(placed.place.poolSize),
            CARILLON_DATA_DIR: placed.place.dataDir,
          };
    const app = await startServer({ CARILLON_APP_CODE: APP_CODE, ...place }, { clock });
    const world = new World(app, clock, placed?.remove);
    const body = (text: string) => ({ markdown_body: text, action_url: "{{ data.url }}" });
    const step = (ref: string, text: string) => ({ ref, type: "channel", channel_key: "in-app", template: body(text) });
    await world.workflow(ONE_STEP, [step("one", "{{ data.key }} from a workflow\n\nfor {{ recipient.id }}")]);
    await world.workflow(TWO_STEPS, [
      step("first", "# {{ data.key }}a\n\nthe first of a run"),
      step("second", "# {{ data.key }}b\n\nthe second of a run"),
    ]);
    return world;
  }

  async close(): Promise<void> {
    await this.#pool.close();
    await this.app.close();
    await this.#remove?.();
  }

  // ——— calls ———————————————————————————————————————————————————————————————————————————————————————————————————————

  async call(
    method: "GET" | "POST" | "PUT" | "DELETE",
    path: string,
    body: unknown,
    headers: { readonly [name: string]: string } = { authorization: `Bearer ${SECRET_KEY}` },
  ): Promise<{ readonly status: number; readonly body: Any }> {
    const answer = await this.#pool.request({
      method,
      path,
      headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await answer.body.text();
    return { status: answer.statusCode, body: text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : text };
  }

  /** @throws for anything but success. */
  async ok(...args: Parameters<World["call"]>): Promise<Any> {
    const { status, body } = await this.call(...args);
    assert.ok(status >= 200 && status < 300, `${args[0]} ${args[1]}: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  admin(path: string, body?: unknown): Promise<Any> {
    return this.ok(body === undefined ? "GET" : "PUT", `/admin/${path}`, body);
  }

  /** Of Courier, for everything in one user's inbox. */
  async token(user: string): Promise<string> {
    const known = this.#tokens.get(user);
    if (known !== undefined) return known;
    const scope = `user_id:${user} inbox:read:messages inbox:write:events`;
    const { token } = await this.ok("POST", "/auth/issue-token", { scope, expires_in: "300 days" });
    this.#tokens.set(user, token);
    return token;
  }

  async workflow(key: string, steps: readonly object[]): Promise<void> {
    const path = `/v1/workflows/${key}?environment=development&commit=true`;
    await this.ok("PUT", path, { workflow: { name: key, steps } });
  }

  // ——— Courier —————————————————————————————————————————————————————————————————————————————————————————————————————

  /** @param source the connection that asks; it is not told what it did. */
  async graphql(user: string, query: string, source?: string): Promise<Any> {
    const { data, errors } = await this.ok(
      "POST",
      "/q",
      { query },
      {
        authorization: `Bearer ${await this.token(user)}`,
        "x-courier-user-id": user,
        ...(source === undefined ? {} : { "x-courier-client-source-id": source }),
      },
    );
    assert.equal(errors, undefined, JSON.stringify(errors));
    return data;
  }

  async courierSend({ key, users, tenant = null }: Sent, more: object = {}, metadata: object = {}): Promise<void> {
    await this.ok("POST", "/send", {
      message: {
        to: users.map((user_id) => ({ user_id })),
        content: { title: `${key} from Courier`, body: "a body" },
        routing: { method: "single", channels: ["inbox"] },
        data: { key },
        ...(tenant === null ? {} : { context: { tenant_id: tenant } }),
        metadata,
        ...more,
      },
    });
  }

  async courierViews<View extends CourierView>(
    user: string,
    views: readonly View[] = ALL_VIEWS as View[],
    fields = ALL_FIELDS,
  ): Promise<Pick<CourierViews, View>> {
    const lists = views.map((view) => listOf(view, VIEWS[view], fields));
    const data = await this.graphql(user, `query { ${lists.join(" ")} }`);
    const view = (name: View): Listed<CourierItem> => ({
      items: data[name].nodes.map((all: Any) => ({ key: keyIn(`${all.title} ${all.preview}`), ...all, all })),
      total: data[name].totalCount,
      unread: data[`${name}Unread`],
      unseen: data[name].nodes.filter((one: Any) => one.opened === null).length,
    });
    return Object.fromEntries(views.map((name) => [name, view(name)])) as Pick<CourierViews, View>;
  }

  /** The view without a tenant, read in pages of so many. */
  async courierPages(user: string, limit: number): Promise<readonly CourierItem[]> {
    const items: CourierItem[] = [];
    for (let after = ""; ; ) {
      const query = `query { messages(params: {}, limit: ${limit}, after: "${after}") {
        pageInfo { startCursor hasNextPage } nodes { messageId title preview read opened archived } } }`;
      const { messages } = await this.graphql(user, query);
      items.push(...messages.nodes.map((all: Any) => ({ key: keyIn(`${all.title} ${all.preview}`), ...all, all })));
      assert.equal(messages.pageInfo.hasNextPage, messages.pageInfo.startCursor !== null);
      if (!messages.pageInfo.hasNextPage) return items;
      after = messages.pageInfo.startCursor;
    }
  }

  /** `read`, `unread`, `opened`, `archive`, `unarchive`, `clicked`. @returns whether the item is known. */
  async courierMark(user: string, what: string, messageId: string, source?: string): Promise<boolean> {
    return (await this.graphql(user, `mutation { done: ${what}(messageId: "${messageId}") }`, source)).done;
  }

  // ——— Knock ———————————————————————————————————————————————————————————————————————————————————————————————————————

  async knockTrigger({ key, users, tenant = null }: Sent, workflow: string, data: object = {}): Promise<void> {
    await this.ok("POST", `/v1/workflows/${workflow}/trigger`, {
      recipients: users.map((id) => ({ id })),
      data: { key, ...data },
      ...(tenant === null ? {} : { tenant }),
    });
  }

  async knockFeed(user: string, query: string, feedId = this.feedId): Promise<Listed<KnockItem>> {
    const path = `/v1/users/${user}/feeds/${feedId}`;
    const body = await this.ok("GET", `${path}?${query}`, undefined, { authorization: `Bearer ${PUBLIC_KEY}` });
    let { entries } = body;
    for (let next = body.page_info.after; next !== null; ) {
      const more = await this.ok("GET", `${path}?${query}&after=${next}`, undefined, {
        authorization: `Bearer ${PUBLIC_KEY}`,
      });
      entries = [...entries, ...more.entries];
      next = more.page_info.after;
    }
    return {
      items: entries.map((all: Any) => ({ key: keyIn(all.blocks[0].rendered), ...all, all })),
      total: body.meta.total_count,
      unread: body.meta.unread_count,
      unseen: body.meta.unseen_count,
    };
  }

  /** `PUT` of a mark, as `seen`; or taking one back, as `unseen`, by `DELETE`. @returns the status. */
  async knockMark(mark: string, id: string): Promise<number> {
    const undone = mark.startsWith("un") ? mark.slice(2) : null;
    const path = `/v1/messages/${id}/${undone ?? mark}`;
    const headers = { authorization: `Bearer ${PUBLIC_KEY}` };
    const { status } = await this.call(
      undone === null ? "PUT" : "DELETE",
      path,
      undone === null ? {} : undefined,
      headers,
    );
    return status;
  }

  async knockBulk(user: string, action: string, more: object = {}): Promise<void> {
    const path = `/v1/channels/${this.feedId}/messages/bulk/${action}`;
    await this.ok("POST", path, { user_ids: [user], ...more }, { authorization: `Bearer ${PUBLIC_KEY}` });
  }

  // ——— Pushwoosh ———————————————————————————————————————————————————————————————————————————————————————————————————

  /** @returns what stands under `response`. */
  async pushwoosh(method: string, request: object): Promise<Any> {
    const body = await this.ok("POST", `/json/1.3/${method}`, { request: { application: APP_CODE, ...request } }, {});
    assert.equal(body.status_code, 200, JSON.stringify(body));
    return body.response;
  }

  /** @returns the message's code. */
  async pushwooshSend({ key, users }: Sent, more: object = {}): Promise<string> {
    const notification = {
      send_date: "now",
      title: `${key} from Pushwoosh`,
      content: "a text",
      users,
      inbox_days: 30,
      data: { key },
      ...more,
    };
    return (await this.pushwoosh("createMessage", { auth: SECRET_KEY, notifications: [notification] })).Messages[0];
  }

  async pushwooshInbox(user: string): Promise<PushwooshInbox> {
    const { messages, deleted, new_inbox, next } = await this.pushwoosh("getInboxMessages", { userId: user, count: 0 });
    assert.equal(next, "");
    return {
      items: messages.map((all: Any) => ({ key: keyIn(`${all.title} ${all.text}`), ...all, all })),
      deleted,
      newInbox: new_inbox,
    };
  }

  /** The same read in pages of so many; each page counts over the whole inbox. */
  async pushwooshPages(user: string, count: number): Promise<readonly PushwooshItem[]> {
    const items: PushwooshItem[] = [];
    const { newInbox } = await this.pushwooshInbox(user);
    for (let last_code = ""; ; ) {
      const page = await this.pushwoosh("getInboxMessages", { userId: user, count, last_code });
      const { messages, next, new_inbox } = page;
      assert.equal(new_inbox, newInbox);
      items.push(...messages.map((all: Any) => ({ key: keyIn(`${all.title} ${all.text}`), ...all, all })));
      if (next === "") return items;
      last_code = next;
    }
  }

  async pushwooshStatus(user: string, code: string, status: number): Promise<void> {
    assert.equal(await this.pushwoosh("inboxStatus", { userId: user, inbox_code: code, status }), null);
  }

  async pushwooshDelete(code: string): Promise<void> {
    await this.pushwoosh("deleteMessage", { auth: SECRET_KEY, message: code });
  }
}

/** The word that names an item, in whatever was made of its text. */
export function keyIn(text: string): string {
  const found = /\bk\d+[ab]?\b/.exec(text)?.[0];
  assert.ok(found !== undefined, `no key in ${text}`);
  return found;
}

export function keysOf(items: readonly { readonly key: string }[]): readonly string[] {
  return items.map(({ key }) => key);
}

/** Declares a suite for each database there is; all of its tests share one server. */
export function forEachWorld(suite: (name: Dialect, open: () => Promise<World>) => void): void {
  for (const dialect of DIALECTS) {
    describe(dialect, () => {
      let opened: Promise<World> | undefined;
      after(async () => (await opened)?.close());
      suite(dialect, () => (opened ??= World.open(dialect)));
    });
  }
}

/** For a test that needs a server to itself. */
export async function worldFor(t: TestContext, dialect: Dialect = "sqlite"): Promise<World> {
  const world = await World.open(dialect);
  t.after(() => world.close());
  return world;
}
